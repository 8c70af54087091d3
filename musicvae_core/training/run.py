"""The state of a training run: what it starts from, and what of it is kept."""

from __future__ import annotations

import contextlib
import errno
import io
import json
import math
import pickle
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar, cast

import numpy as np
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from musicvae_core.checkpoint import Checkpoint, Described, save_checkpoint
from musicvae_core.config import TrainConfig, from_dict
from musicvae_core.dataset import Windows
from musicvae_core.errors import ConfigError, CorruptCheckpointError, DiskFullError
from musicvae_core.files import DAMAGED, write_atomically
from musicvae_core.models.musicvae import MusicVAE
from musicvae_core.presets import LabPreset, Preset

ModelT = TypeVar("ModelT", bound=nn.Module)
_PROGRESS = ("step", "best", "stale", "row")


@dataclass
class ModelRun(ABC, Generic[ModelT]):
    """A training run: everything that a resumed one needs to go on as if never stopped.

    All randomness of a step is drawn from the seed and the number of the step, so nothing of
    it need be kept.
    """

    preset: Preset | LabPreset
    device: torch.device
    model: ModelT = field(init=False)
    average: AveragedModel = field(init=False)
    optimiser: torch.optim.AdamW = field(init=False)
    step: int = 0
    best: float = math.inf
    stale: int = 0
    row: dict[str, Any] = field(default_factory=dict)
    """What the last validation measured, as it stands in the log."""

    def __post_init__(self) -> None:
        torch.manual_seed(self.preset.train.seed)
        config = self.preset.train
        self.model = self._new_model().to(self.device)
        averaging = get_ema_multi_avg_fn(config.average_decay)  # type: ignore[no-untyped-call]
        self.average = AveragedModel(self.model, multi_avg_fn=averaging)
        self.optimiser = torch.optim.AdamW(
            self.model.parameters(), config.learning_rate, weight_decay=config.weight_decay
        )

    @abstractmethod
    def _new_model(self) -> ModelT:
        """Return the model of the preset, untrained."""

    @abstractmethod
    def _write_checkpoint(self, folder: Path, metrics: dict[str, Any]) -> None:
        """Write the averaged model and its metrics as a checkpoint of its kind."""

    @property
    def averaged(self) -> ModelT:
        """The averaged model, ready to use."""
        return cast("ModelT", self.average.module.eval())

    @property
    def config(self) -> TrainConfig:
        """How the run trains."""
        return self.preset.train

    @property
    def is_over(self) -> bool:
        """Whether all steps are taken, or too many validations were no better."""
        has_stalled = 0 < self.config.patience <= self.stale
        return has_stalled or self.step >= self.config.n_steps

    def start_from(self, checkpoint: Described) -> None:
        """Take up the weights of a trained model, and nothing else of it.

        Raises
        ------
        ConfigError
            If its dimensions are others.
        """
        if checkpoint.config != self.preset.model:
            raise ConfigError(
                f"The checkpoint {checkpoint.name} has other dimensions than the preset "
                f"{self.preset.name}; start from one of the same preset."
            )
        self.model.load_state_dict(checkpoint.model.state_dict())

    def save_checkpoint(self, folder: Path, metrics: dict[str, Any]) -> None:
        """Write the averaged model and its metrics as a checkpoint.

        Raises
        ------
        DiskFullError
        """
        with _full_disk_named(folder):
            self._write_checkpoint(folder, metrics)

    def save(self, path: Path) -> None:
        """Write the whole state, atomically.

        Raises
        ------
        DiskFullError
        """
        state = {
            "config": json.dumps([asdict(self.preset.model), asdict(self.config)]),
            "model": self.model.state_dict(),
            "average": self.average.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "progress": {name: getattr(self, name) for name in _PROGRESS},
        }
        buffer = io.BytesIO()
        torch.save(state, buffer)  # to a file it would hide why a write failed
        with _full_disk_named(path):
            write_atomically(path, lambda part: part.write_bytes(buffer.getbuffer()))

    def restore(self, path: Path) -> None:
        """Take up a saved state.

        Raises
        ------
        ConfigError
            If the run was started with another configuration.
        CorruptCheckpointError
            If the state is not whole.
        """
        try:
            state = torch.load(path, map_location=self.device, weights_only=True)
            model, training = json.loads(state["config"])
        except (*DAMAGED, pickle.UnpicklingError) as error:
            raise CorruptCheckpointError(
                f"{path} is damaged, so the run cannot go on; begin another with "
                f"--start {path.parent / 'last'}."
            ) from error
        preset = self.preset
        started = (from_dict(type(preset.model), model), from_dict(TrainConfig, training))
        if started != (preset.model, self.config):
            raise ConfigError(
                f"{path} was trained with other settings; give the same preset and --set, "
                "or another --out."
            )
        self.model.load_state_dict(state["model"])
        self.average.load_state_dict(state["average"])
        self.optimiser.load_state_dict(state["optimiser"])
        for name, value in state["progress"].items():
            setattr(self, name, value)


class Run(ModelRun[MusicVAE]):
    """A training run of a `MusicVAE`."""

    preset: Preset

    def _new_model(self) -> MusicVAE:
        return MusicVAE(self.preset.model)

    def checkpoint(self, metrics: dict[str, Any]) -> Checkpoint:
        """Return the averaged model as a checkpoint."""
        name, title = self.preset.name, self.preset.title
        return Checkpoint(name, title, self.averaged, self.config, None, metrics)

    def _write_checkpoint(self, folder: Path, metrics: dict[str, Any]) -> None:
        save_checkpoint(self.checkpoint(metrics), folder)

    @torch.no_grad()
    def spread_codes(self, windows: Windows) -> None:
        """Start with codes that tell these windows apart; see `TrainConfig.initial_sigma`."""
        features = torch.from_numpy(np.array(windows.features[..., : self.model.n_features]))
        encoder = self.model.encoder
        encoder.spread(encoder(features.to(self.device))[0], self.config.initial_sigma)
        self.average.module.load_state_dict(self.model.state_dict())


@contextlib.contextmanager
def _full_disk_named(target: Path) -> Iterator[None]:
    """Name a full disk as such, with what to do, where `target` is written."""
    try:
        yield
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise DiskFullError(
                f"There is no space left to write {target}; the last good checkpoint is kept: "
                "make room and go on with --resume."
            ) from error
        raise
