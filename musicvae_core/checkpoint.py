"""Checkpoints: a folder with weights, configuration and metrics; one path loads it.

`model.safetensors` holds the weights in 32, 16 or 8 bits and, in its header, all that is
needed to rebuild the model: replacing that one file is atomic, so a checkpoint is never half
new. `config.json` repeats the header for people and adds training and metrics. Nothing is
ever unpickled.
"""

from __future__ import annotations

import dataclasses
import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Any, Literal, Protocol

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from musicvae_core.codec import CODEC_VERSION
from musicvae_core.config import ModelConfig, TrainConfig, from_dict
from musicvae_core.errors import (
    CheckpointNotFoundError,
    ConfigError,
    CorruptCheckpointError,
    ForeignCheckpointError,
    NewerCheckpointError,
)
from musicvae_core.files import write_atomically
from musicvae_core.models.musicvae import MusicVAE
from musicvae_core.models.prior import LatentPrior, PriorConfig
from musicvae_core.presets import Preset

FORMAT = "musicvae_core"
FORMAT_VERSION = 2
"""Raised when files change so that older code cannot read them: 2 has 8-bit matrices."""

WEIGHTS_FILE, CONFIG_FILE = "model.safetensors", "config.json"
DEFAULT_KIND = "musicvae"
_PRIOR_PREFIX, _SCALE_SUFFIX = "prior.", ".scale"
_MIN_INT8, _MAX_INT8, _TINY_SCALE = 4096, 127, 1e-12
Bits = Literal[32, 16, 8]


@dataclass
class Checkpoint:
    """A model with where it came from.

    `metrics` is whatever was measured; `prior` is None where only N(0, I) was fitted.
    """

    name: str
    title: str
    model: MusicVAE
    train: TrainConfig = field(default_factory=TrainConfig)
    prior: LatentPrior | None = None
    metrics: dict[str, Any] = field(default_factory=dict)

    @property
    def config(self) -> ModelConfig:
        """The model's dimensions."""
        return self.model.config

    def fingerprint(self) -> str:
        """Return a text that changes with the model's weights as float16, not with the prior."""
        digest = blake2b(digest_size=16)
        for name, tensor in sorted(self.model.state_dict().items()):
            digest.update(name.encode())
            digest.update(tensor.detach().to("cpu", torch.float16).contiguous().numpy().tobytes())
        return digest.hexdigest()

    @classmethod
    def new(cls, preset: Preset) -> Checkpoint:
        """Return an untrained checkpoint of a preset."""
        return cls(preset.name, preset.title, MusicVAE(preset.model), preset.train)


def _packed(tensors: Mapping[str, Tensor], bits: Bits) -> dict[str, Tensor]:
    """Return tensors as they are stored."""
    if bits == 32:
        return {name: tensor.float().contiguous() for name, tensor in tensors.items()}
    packed = {name: tensor.half().contiguous() for name, tensor in tensors.items()}
    for name, tensor in tensors.items():
        if bits == 8 and tensor.dim() == 2 and tensor.numel() >= _MIN_INT8:
            largest = tensor.abs().amax(dim=1, keepdim=True)
            scale = largest.clamp(min=_TINY_SCALE) / _MAX_INT8
            packed[name] = (tensor / scale).round().to(torch.int8)
            packed[name + _SCALE_SUFFIX] = scale.float()
    return packed


def _unpacked(packed: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Undo `_packed`, into float32."""
    tensors = {name: t.float() for name, t in packed.items() if not name.endswith(_SCALE_SUFFIX)}
    for name, tensor in packed.items():
        if name.endswith(_SCALE_SUFFIX):
            tensors[name.removesuffix(_SCALE_SUFFIX)] *= tensor
    return tensors


class Described(Protocol):
    """What every checkpoint says of itself."""

    name: str
    title: str
    train: TrainConfig
    metrics: dict[str, Any]

    @property
    def model(self) -> nn.Module:
        """What was trained."""

    @property
    def config(self) -> Any:
        """The model's dimensions, a dataclass."""


def save_checkpoint(checkpoint: Checkpoint, folder: Path, *, bits: Bits = 32) -> None:
    """Write a checkpoint, each file atomically.

    Parameters
    ----------
    checkpoint
        What to write.
    folder
        Made if missing; its `model.safetensors` and `config.json` are replaced.
    bits
        A weight: 32, 16 (float16), or 8 (matrices as whole numbers, with a scale a row).
    """
    tensors = dict(checkpoint.model.state_dict())
    about: dict[str, Any] = {}
    if checkpoint.prior is not None:
        state = checkpoint.prior.state_dict()
        tensors |= {_PRIOR_PREFIX + name: tensor for name, tensor in state.items()}
        about["prior"] = dataclasses.asdict(checkpoint.prior.config)
    write_files(checkpoint, DEFAULT_KIND, folder, tensors, about, bits=bits)


def write_files(
    checkpoint: Described,
    kind: str,
    folder: Path,
    tensors: Mapping[str, Tensor],
    more: Mapping[str, Any],
    *,
    bits: Bits,
) -> None:
    """Write the two files of a checkpoint of any kind of model, each atomically.

    Parameters
    ----------
    checkpoint
        What to say of it.
    kind
        Of the model.
    folder
        Made if missing.
    tensors
        The weights.
    more
        What else the header says.
    bits
        See `save_checkpoint`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    stored = _packed({name: tensor.detach().cpu() for name, tensor in tensors.items()}, bits)
    about: dict[str, Any] = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "codec_version": CODEC_VERSION,
        "kind": kind,
        "name": checkpoint.name,
        "title": checkpoint.title,
        "model": dataclasses.asdict(checkpoint.config),
        **more,
    }
    header = {"about": json.dumps(about)}
    content = save(stored, header)  # safetensors' own writer would hide why a write failed
    write_atomically(folder / WEIGHTS_FILE, lambda part: part.write_bytes(content))
    about |= {"train": dataclasses.asdict(checkpoint.train), "metrics": checkpoint.metrics}
    text = json.dumps(about, indent=2) + "\n"
    write_atomically(folder / CONFIG_FILE, lambda part: part.write_text(text))


def load_checkpoint(folder: Path) -> Checkpoint:
    """Load a checkpoint from its folder, in float32, ready to use.

    Raises
    ------
    CheckpointNotFoundError, CorruptCheckpointError, ForeignCheckpointError, NewerCheckpointError
        Each says which file is at fault and what to do.
    """
    path, about, tensors = read_weights(folder, DEFAULT_KIND)
    try:
        name, title = about["name"], about["title"]
        config = from_dict(ModelConfig, about["model"])
        prior_config = from_dict(PriorConfig, about["prior"]) if "prior" in about else None
        # Built without storage, then given the stored tensors: no time is spent on initialising.
        with torch.device("meta"):
            model = MusicVAE(config)
            prior = None if prior_config is None else LatentPrior(prior_config, config.z_size)
        _assign(model, {n: t for n, t in tensors.items() if not n.startswith(_PRIOR_PREFIX)})
        if prior is not None:
            size = len(_PRIOR_PREFIX)
            own = {n[size:]: t for n, t in tensors.items() if n.startswith(_PRIOR_PREFIX)}
            prior.load_state_dict(own, assign=True)
    except (ConfigError, AttributeError, KeyError, TypeError, RuntimeError) as error:
        raise CorruptCheckpointError(
            f"{path} does not hold the weights that its header promises: {error}"
        ) from error
    train, metrics = read_extras(folder)
    return Checkpoint(name, title, model.eval(), train, prior, metrics)


def _assign(model: MusicVAE, tensors: Mapping[str, Tensor]) -> None:
    model.load_state_dict(dict(tensors), assign=True)
    model.head.make_tables()


def kind_of(folder: Path) -> str:
    """Return the kind of model that a checkpoint holds, `musicvae` or another.

    Raises
    ------
    CheckpointNotFoundError, CorruptCheckpointError, ForeignCheckpointError, NewerCheckpointError
    """
    return str(_read(folder)[1].get("kind", DEFAULT_KIND))


def read_weights(folder: Path, kind: str) -> tuple[Path, dict[str, Any], dict[str, Tensor]]:
    """Read a checkpoint's weights in float32 and its header, if it is of that kind of model.

    Returns
    -------
    The file, what the header says, and the weights by name.

    Raises
    ------
    CheckpointNotFoundError, CorruptCheckpointError, ForeignCheckpointError, NewerCheckpointError
    """
    path, about, tensors = _read(folder)
    found = about.get("kind", DEFAULT_KIND)
    if found != kind:
        raise ForeignCheckpointError(
            f"{path} holds a model of the kind {found!r}, and one of the kind {kind!r} is needed."
        )
    return path, about, tensors


def _read(folder: Path) -> tuple[Path, dict[str, Any], dict[str, Tensor]]:
    path = Path(folder) / WEIGHTS_FILE
    if not path.is_file():
        raise CheckpointNotFoundError(f"There is no checkpoint at {folder}: {path} is missing.")
    try:
        with safe_open(path, framework="pt") as stored:
            header = stored.metadata() or {}
            about = _check_header(path, header)
            packed = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118
        tensors = _unpacked(packed)
    except (SafetensorError, OSError, struct.error, ValueError, KeyError) as error:
        raise CorruptCheckpointError(
            f"{path} is damaged or cut short ({error}); fetch or train it again."
        ) from error
    return path, about, tensors


def _check_header(path: Path, header: Mapping[str, str]) -> dict[str, Any]:
    about = json.loads(header.get("about", "{}"))
    if not isinstance(about, dict) or about.get("format") != FORMAT:
        raise ForeignCheckpointError(
            f"{path} was not written by {FORMAT}; give a folder made by its train command."
        )
    versions = ("format_version", "codec_version")
    unsaid = [name for name in versions if not isinstance(about.get(name), int)]
    if unsaid:
        raise CorruptCheckpointError(
            f"The header of {path} gives no {' and no '.join(unsaid)}; fetch or train it again."
        )
    if about["format_version"] > FORMAT_VERSION or about["codec_version"] > CODEC_VERSION:
        raise NewerCheckpointError(
            f"{path} was written by a later version of {FORMAT}; update this one to load it."
        )
    return about


def read_extras(folder: Path) -> tuple[TrainConfig, dict[str, Any]]:
    """Read what a checkpoint can do without: how it was trained and what was measured."""
    path = Path(folder) / CONFIG_FILE
    if not path.is_file():
        return TrainConfig(), {}
    try:
        extras = json.loads(path.read_text())
        return from_dict(TrainConfig, extras.get("train", {})), extras.get("metrics", {})
    except (ValueError, AttributeError) as error:
        raise CorruptCheckpointError(
            f"{path} is damaged ({error}); restore or delete it."
        ) from error
