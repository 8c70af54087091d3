"""Checkpoints of a groove lab: the same two files as `checkpoint`'s, of another kind of model."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from musicvae_core.checkpoint import Bits, read_extras, read_weights, write_files
from musicvae_core.config import LabConfig, TrainConfig, from_dict
from musicvae_core.errors import ConfigError, CorruptCheckpointError
from musicvae_core.models.code_noise import CodeNoise
from musicvae_core.models.lab import GrooveLab

LAB_KIND = "lab"


@dataclass
class LabCheckpoint:
    """A groove lab with where it came from; `metrics` is whatever was measured."""

    name: str
    title: str
    model: GrooveLab
    train: TrainConfig = field(default_factory=TrainConfig)
    metrics: dict[str, Any] = field(default_factory=dict)

    @property
    def config(self) -> LabConfig:
        """The model's dimensions."""
        return self.model.config


def save_lab_checkpoint(checkpoint: LabCheckpoint, folder: Path, *, bits: Bits = 32) -> None:
    """Write a groove lab; see `checkpoint.save_checkpoint`."""
    write_files(checkpoint, LAB_KIND, folder, checkpoint.model.state_dict(), {}, bits=bits)


def load_lab_checkpoint(folder: Path) -> LabCheckpoint:
    """Load a groove lab from its folder, in float32, ready to use.

    Raises
    ------
    CheckpointNotFoundError, CorruptCheckpointError, ForeignCheckpointError, NewerCheckpointError
        Each says which file is at fault and what to do.
    """
    path, about, tensors = read_weights(folder, LAB_KIND)
    try:
        name, title = about["name"], about["title"]
        with torch.device("meta"):
            model = GrooveLab(from_dict(LabConfig, about["model"]))
        unfitted = CodeNoise(model.config.z_size).state_dict(prefix="code_noise.")
        model.load_state_dict(unfitted | tensors, assign=True)  # older files have none of it
    except (ConfigError, AttributeError, KeyError, TypeError, RuntimeError) as error:
        raise CorruptCheckpointError(
            f"{path} does not hold the weights that its header promises: {error}"
        ) from error
    model.head.make_tables()
    train, metrics = read_extras(folder)
    return LabCheckpoint(name, title, model.eval(), train, metrics)
