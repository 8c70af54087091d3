"""Checkpoints: a folder with weights, configuration and metrics.

`model.safetensors` holds the weights in 32, 16 or 8 bits and, in its header, everything needed
to rebuild the model. That one file is replaced atomically, so a checkpoint never mixes old and
new. `config.json` repeats the header for human readers and adds training settings and metrics.
Nothing is ever unpickled.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Any, Generic, Literal, TypeAlias, cast, overload

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn
from typing_extensions import TypeVar

from musicvae_core.data.files import parse_json, write_atomically
from musicvae_core.errors import (
    CheckpointError,
    ConfigError,
)
from musicvae_core.models.config import LabConfig, ModelConfig, TrainConfig
from musicvae_core.models.heads import CategoricalHead
from musicvae_core.models.kinds import CONFIGS, build, kind_of
from musicvae_core.models.lab import GrooveLab
from musicvae_core.models.musicvae import MusicVAE
from musicvae_core.models.notes_prior import NotesConfig, NotesPrior
from musicvae_core.models.presets import Preset
from musicvae_core.models.prior import LatentPrior, PriorConfig
from musicvae_core.music.drums import CODEC_VERSION

_FORMAT = "musicvae_core"
_FORMAT_VERSION = 3
"""Incremented whenever older code cannot read new files: version 2 has 8-bit matrices, and version
3 may have a model of notes."""

WEIGHTS_FILE, CONFIG_FILE = "model.safetensors", "config.json"
_OLDEST_FAMILY = "musicvae"
"""The family of checkpoints whose header does not name one."""
_SCALE_SUFFIX = ".scale"
_MIN_INT8, _MAX_INT8, _TINY_SCALE = 2**15, 127, 1e-12
"""Smaller matrices stay in 16 bits. Storing mu's alone in 8 bits lowers the free-running accuracy
of `trio_16bar`'s drums from .922 to .872 (validation split), and saves only 24 KB."""
_Bits = Literal[32, 16, 8]
_ModelT = TypeVar("_ModelT", bound=nn.Module, default=MusicVAE)
_ConfigT = TypeVar("_ConfigT", default=ModelConfig)


@dataclass
class Checkpoint(Generic[_ModelT, _ConfigT]):
    """A model of any kind, with its name, training settings, learned priors and metrics.

    `prior` is the flow that draws, redraws and refines codes; `notes` draws and redraws melodies
    and trios in its place, note by note. Each is None if it has not been fitted; without either,
    N(0, I) serves as the prior.
    """

    name: str
    title: str
    model: _ModelT
    train: TrainConfig = field(default_factory=TrainConfig)
    prior: LatentPrior | None = None
    notes: NotesPrior | None = None
    metrics: dict[str, Any] = field(default_factory=dict)

    @property
    def config(self) -> _ConfigT:
        """The model's dimensions."""
        config: Any = self.model.config
        return cast("_ConfigT", config)

    @property
    def best_prior(self) -> Literal["learned", "normal"]:
        """The prior to sample from unless told otherwise: see `latent.codes.sample_codes`."""
        return "normal" if self.prior is None and self.notes is None else "learned"

    def fingerprint(self) -> str:
        """Return a hash of the model's weights as float16; it does not depend on the priors."""
        digest = blake2b(digest_size=16)
        for name, tensor in sorted(self.model.state_dict().items()):
            digest.update(name.encode())
            digest.update(tensor.detach().to("cpu", torch.float16).contiguous().numpy().tobytes())
        return digest.hexdigest()

    def to_features(self, music: Any) -> NDArray[np.float32]:
        """Return music as the model's features, (T, F) float32.

        Raises
        ------
        GridError
            If the music is on a different grid from the model's.
        InvalidMusicError
            If the model cannot represent the music for another reason.
        """
        config: Any = self.config
        return kind_of(config).to_features(music, config.grid)

    def to_music(self, features: NDArray[np.float32], tempo_bpm: float) -> Any:
        """Return features (T, F) as music, on the model's grid; undoes `to_features`."""
        config: Any = self.config
        return kind_of(config).to_music(features, tempo_bpm, config.grid)

    @staticmethod
    def new(preset: Preset[Any]) -> Checkpoint[Any, Any]:
        """Return an untrained checkpoint of a preset."""
        return Checkpoint(preset.name, preset.title, build(preset.model), preset.train)


LabCheckpoint: TypeAlias = Checkpoint[GrooveLab, LabConfig]


def _packed(tensors: Mapping[str, Tensor], bits: _Bits) -> dict[str, Tensor]:
    """Return tensors in their stored form."""
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


def save_checkpoint(checkpoint: Checkpoint[Any, Any], folder: Path, *, bits: _Bits = 32) -> None:
    """Write a checkpoint, each of its two files atomically.

    Parameters
    ----------
    checkpoint
        The checkpoint to write.
    folder
        Created if missing; its `model.safetensors` and `config.json` are replaced.
    bits
        Bits per weight: 32, 16 (float16), or 8 (matrices as integers with one scale per row).
    """
    folder.mkdir(parents=True, exist_ok=True)
    tensors = dict(checkpoint.model.state_dict())
    about: dict[str, Any] = {
        "format": _FORMAT,
        "format_version": _FORMAT_VERSION,
        "codec_version": CODEC_VERSION,
        "kind": kind_of(checkpoint.config).family,
        "name": checkpoint.name,
        "title": checkpoint.title,
        "model": checkpoint.config.model_dump(),
    }
    for name, prior in (("prior", checkpoint.prior), ("notes", checkpoint.notes)):
        if prior is not None:
            state = prior.state_dict()
            tensors |= {f"{name}.{key}": tensor for key, tensor in state.items()}
            about[name] = prior.config.model_dump()
    stored = _packed({name: tensor.detach().cpu() for name, tensor in tensors.items()}, bits)
    header = {"about": json.dumps(about)}
    content = save(stored, header)  # safetensors' own file writer hides why a write failed
    write_atomically(folder / WEIGHTS_FILE, lambda part: part.write_bytes(content))
    about |= {"train": checkpoint.train.model_dump(), "metrics": checkpoint.metrics}
    text = json.dumps(about, indent=2) + "\n"
    write_atomically(folder / CONFIG_FILE, lambda part: part.write_text(text))


@overload
def load_checkpoint(folder: Path) -> Checkpoint: ...
@overload
def load_checkpoint(folder: Path, network: type[_ModelT]) -> Checkpoint[_ModelT, Any]: ...
def load_checkpoint(folder: Path, network: type[Any] = MusicVAE) -> Checkpoint[Any, Any]:
    """Load a checkpoint from its folder, in float32, ready to use.

    Parameters
    ----------
    folder
        Holds `model.safetensors` and, optionally, `config.json`.
    network
        The expected class of network; `torch.nn.Module` accepts any.

    Raises
    ------
    CheckpointError
        If a file is missing or damaged; the message names the file and the remedy.
    """
    path, about, tensors = _read(folder)
    if family_of(about) not in CONFIGS:
        raise CheckpointError(
            f"{path} holds a model of the kind {family_of(about)!r}, which is not known here; "
            f"known are {', '.join(CONFIGS)}."
        )
    try:
        name, title = about["name"], about["title"]
        config: Any = CONFIGS[family_of(about)](**about["model"])
        alphabets = kind_of(config).alphabets
        builders: dict[str, Callable[[], nn.Module]] = {
            "prior": lambda: LatentPrior(PriorConfig(**about["prior"]), config.z_size),
            "notes": lambda: NotesPrior(NotesConfig(**about["notes"]), config, alphabets),
        }
        # Built without storage, then given the stored tensors, to skip the initialisation.
        with torch.device("meta"):
            model = build(config)
            priors: dict[str, Any] = {
                part: build_prior() for part, build_prior in builders.items() if part in about
            }
        _check_network(path, model, network)
        for part, prior in priors.items():
            prior.load_state_dict(_taken(tensors, f"{part}."), assign=True)
            prior.eval()
        model.load_state_dict(tensors, assign=True)
    except (ConfigError, AttributeError, KeyError, TypeError, RuntimeError) as error:
        raise CheckpointError(
            f"{path} does not hold the weights that its header promises: {error}"
        ) from error
    for module in model.modules():
        if isinstance(module, CategoricalHead):
            module.make_tables()
    train, metrics = _read_extras(folder)
    return Checkpoint(name, title, model.eval(), train, **priors, metrics=metrics)


def _taken(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Take the tensors with a prefix out of a dictionary, and return them without it."""
    names = [name for name in tensors if name.startswith(prefix)]
    return {name.removeprefix(prefix): tensors.pop(name) for name in names}


def _check_network(path: Path, model: nn.Module, network: type[nn.Module]) -> None:
    if not isinstance(model, network):
        raise CheckpointError(
            f"{path} holds a {type(model).__name__}, and a {network.__name__} is needed."
        )


def family_of(about: Mapping[str, Any]) -> str:
    """Return the model family named in a checkpoint's header or its `config.json`."""
    return str(about.get("kind", _OLDEST_FAMILY))


def _read(folder: Path) -> tuple[Path, dict[str, Any], dict[str, Tensor]]:
    path = Path(folder) / WEIGHTS_FILE
    if not path.is_file():
        raise CheckpointError(f"There is no checkpoint at {folder}: {path} is missing.")
    try:
        with safe_open(path, framework="pt") as stored:
            header = stored.metadata() or {}
            about = _check_header(path, header)
            packed = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118
        tensors = _unpacked(packed)
        _check_finite(tensors)
    except (SafetensorError, OSError, struct.error, ValueError, KeyError) as error:
        raise CheckpointError(
            f"{path} is damaged or cut short ({error}); fetch or train it again."
        ) from error
    return path, about, tensors


def _check_finite(tensors: Mapping[str, Tensor]) -> None:
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise ValueError(f"{name} holds numbers that are not finite")


def _check_header(path: Path, header: Mapping[str, str]) -> dict[str, Any]:
    about = parse_json(header.get("about", "{}"))
    if not isinstance(about, dict) or about.get("format") != _FORMAT:
        raise CheckpointError(
            f"{path} was not written by {_FORMAT}; give a folder made by its train command."
        )
    versions = ("format_version", "codec_version")
    unsaid = [name for name in versions if not isinstance(about.get(name), int)]
    if unsaid:
        raise CheckpointError(
            f"The header of {path} gives no {' and no '.join(unsaid)}; fetch or train it again."
        )
    if about["format_version"] > _FORMAT_VERSION or about["codec_version"] > CODEC_VERSION:
        raise CheckpointError(
            f"{path} was written by a later version of {_FORMAT}; update this one to load it."
        )
    return about


def _read_extras(folder: Path) -> tuple[TrainConfig, dict[str, Any]]:
    """Read a checkpoint's optional training settings and metrics."""
    path = Path(folder) / CONFIG_FILE
    if not path.is_file():
        return TrainConfig(), {}
    try:
        extras = parse_json(path.read_text())
        return TrainConfig(**extras.get("train", {})), extras.get("metrics", {})
    except (OSError, ValueError, AttributeError) as error:
        raise CheckpointError(f"{path} is damaged ({error}); restore or delete it.") from error
