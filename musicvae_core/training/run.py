"""The state of a training run: how it starts, is saved and restored; and Muon, an optimiser."""

from __future__ import annotations

import contextlib
import errno
import io
import json
import math
import pickle
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from musicvae_core.data.files import DAMAGED, write_atomically
from musicvae_core.data.windows import AnyWindows
from musicvae_core.errors import CheckpointError, ConfigError, TrainingError
from musicvae_core.models.checkpoint import Checkpoint, save_checkpoint
from musicvae_core.models.compiled import compile_model
from musicvae_core.models.config import TrainConfig
from musicvae_core.models.kinds import Kind, build, kind_of
from musicvae_core.models.musicvae import MusicVAE
from musicvae_core.models.presets import Preset

_PROGRESS = ("step", "best", "stale", "row")


def is_fast_at_bfloat16(device: torch.device) -> bool:
    """Return whether a device trains faster in bfloat16 than in float32.

    A CPU without bfloat16 instructions is far slower, and torch's LSTM refuses bfloat16 there.
    """
    if device.type != "cpu":
        return device.type == "cuda"
    abilities = torch.cpu.get_capabilities()
    return bool(abilities.get("avx512_bf16") or abilities.get("amx_bf16"))


@dataclass
class Run:
    """A training run of any kind of model: all the state needed to resume it exactly.

    If several processes train together, each holds the full state, and one of them writes it. All
    random numbers of a step follow from the seed and the step's number, so no generator state
    needs to be saved.
    """

    preset: Preset[Any]
    fabric: Fabric
    compiled: bool = False
    """Whether the model is compiled; see `compile_model`."""
    model: Any = field(init=False)
    average: AveragedModel = field(init=False)
    optimiser: torch.optim.AdamW = field(init=False)
    step: int = 0
    best: float = math.inf
    stale: int = 0
    row: dict[str, Any] = field(default_factory=dict)
    """The metrics of the last validation, as in the log."""

    def __post_init__(self) -> None:
        torch.manual_seed(self.preset.train.seed)
        config = self.preset.train
        self.model = build(self.preset.model).to(self.device)
        self.model.encoder.requires_grad_(not config.fixed_encoder)
        if self.compiled:
            compile_model(self.model)
        self._forward = self.fabric.setup(self.model)
        averaging = get_ema_multi_avg_fn(config.average_decay)  # type: ignore[no-untyped-call]
        self.average = AveragedModel(self.model, multi_avg_fn=averaging)
        self.optimiser = torch.optim.AdamW(
            self.model.parameters(), config.learning_rate, weight_decay=config.weight_decay
        )

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        return self.fabric.device

    def forward(self, batch: Any) -> Mapping[str, Tensor]:
        """Return the loss terms; gradients are shared between all processes.

        Matrix products use bfloat16 if the device is fast at it. Fabric's own mixed precision
        would also round the input velocities and offsets.
        """
        half = is_fast_at_bfloat16(self.device)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=half):
            terms: Mapping[str, Tensor] = self._forward(batch)
        return terms

    @property
    def kind(self) -> Kind:
        """The kind of the model."""
        return kind_of(self.preset.model)

    @property
    def averaged(self) -> Any:
        """The averaged model, ready to use."""
        return self.average.module.eval()

    @property
    def config(self) -> TrainConfig:
        """How the run trains."""
        return self.preset.train

    @property
    def is_over(self) -> bool:
        """Whether all steps are done, or too many validations brought no improvement."""
        has_stalled = 0 < self.config.patience <= self.stale
        return has_stalled or self.step >= self.config.n_steps

    def note(self, validation_loss: float) -> bool:
        """Record a validation loss; return whether it is the best so far."""
        is_best = validation_loss < self.best
        self.best, self.stale = (validation_loss, 0) if is_best else (self.best, self.stale + 1)
        return is_best

    @torch.no_grad()
    def start_from(self, checkpoint: Checkpoint[Any, Any]) -> None:
        """Copy the weights of a trained model, without anything fitted to it after training.

        Raises
        ------
        ConfigError
            If its dimensions differ.
        """
        if checkpoint.config != self.preset.model:
            raise ConfigError(
                f"The checkpoint {checkpoint.name} has other dimensions than the preset "
                f"{self.preset.name}; start from one of the same preset."
            )
        for own, trained in zip(
            self.model.parameters(), checkpoint.model.parameters(), strict=True
        ):
            own.copy_(trained)

    def start_parts(self, checkpoints: Mapping[str, Checkpoint[Any, Any]]) -> None:
        """Initialise parts of this model from trained ones; see `MusicVAE.initialise_part`.

        Raises
        ------
        ConfigError
            If there is no such part, or the dimensions differ.
        """
        if not isinstance(self.model, MusicVAE):
            raise ConfigError(f"The preset {self.preset.name} cannot start from parts of others.")
        for name, checkpoint in checkpoints.items():
            self.model.initialise_part(name, checkpoint.model)
        self.average.module.load_state_dict(self.model.state_dict())

    def spread_codes(self, windows: AnyWindows) -> None:
        """Initialise the encoder so that these windows' codes differ.

        See `TrainConfig.initial_sigma`.
        """
        features = torch.from_numpy(windows.features[:]).to(self.device)
        self.model.spread_codes(features, self.config.initial_sigma)
        self.average.module.load_state_dict(self.model.state_dict())

    def checkpoint(self, metrics: dict[str, Any]) -> Checkpoint[Any, Any]:
        """Return the averaged model as a checkpoint."""
        name, title = self.preset.name, self.preset.title
        return Checkpoint(name, title, self.averaged, self.config, metrics=metrics)

    def save_checkpoint(self, folder: Path, metrics: dict[str, Any]) -> None:
        """Write the averaged model and its metrics as a checkpoint.

        Raises
        ------
        TrainingError
        """
        with _report_full_disk(folder):
            save_checkpoint(self.checkpoint(metrics), folder)

    def save(self, path: Path) -> None:
        """Write the full state atomically.

        Raises
        ------
        TrainingError
        """
        state = {
            "config": json.dumps([self.preset.model.model_dump(), self.config.model_dump()]),
            "model": self.model.state_dict(),
            "average": self.average.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "progress": {name: getattr(self, name) for name in _PROGRESS},
        }
        buffer = io.BytesIO()
        torch.save(state, buffer)  # writing straight to a file hides why a write failed
        with _report_full_disk(path):
            write_atomically(path, lambda part: part.write_bytes(buffer.getbuffer()))

    def restore(self, path: Path) -> None:
        """Restore a saved state.

        Raises
        ------
        ConfigError
            If the run was started with another configuration.
        CheckpointError
            If the state is damaged or incomplete.
        """
        try:
            state = torch.load(path, map_location=self.device, weights_only=True)
            model, training = json.loads(state["config"])
        except (*DAMAGED, pickle.UnpicklingError) as error:
            raise CheckpointError(
                f"{path} is damaged, so the run cannot go on; begin another with "
                f"--start {path.parent / 'last'}."
            ) from error
        preset = self.preset
        started = (type(preset.model)(**model), TrainConfig(**training))
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


@contextlib.contextmanager
def _report_full_disk(target: Path) -> Iterator[None]:
    """Report a full disk, and what to do about it, while `target` is being written."""
    try:
        yield
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise TrainingError(
                f"There is no space left to write {target}; the last good checkpoint is kept: "
                "make room and go on with --resume."
            ) from error
        raise


_QUINTIC = (3.4445, -4.7750, 2.0315)
_N_ITERATIONS = 5
_EPSILON = 1e-7


class Muon(torch.optim.Optimizer):
    """Muon: updates matrices along their orthogonalised momentum (singular values near 1).

    `torch.optim.Muon` always multiplies in bfloat16, which on a processor without bfloat16
    instructions is some 180 times slower than float32.

    Parameters
    ----------
    matrices
        The parameters, each (A, B).
    learning_rate, momentum, weight_decay
        The usual settings; momentum is Nesterov's.

    Source: Jordan et al. 2024, kellerjordan.github.io/posts/muon.
    """

    def __init__(
        self,
        matrices: Iterable[nn.Parameter],
        learning_rate: float,
        momentum: float = 0.95,
        weight_decay: float = 0.01,
    ) -> None:
        settings = {"lr": learning_rate, "momentum": momentum, "weight_decay": weight_decay}
        super().__init__(matrices, settings)

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Take one step along the gradients."""
        for group in self.param_groups:
            for matrix in group["params"]:
                if matrix.grad is None:
                    continue
                state = self.state[matrix]
                if not state:
                    state["momentum"] = torch.zeros_like(matrix)
                average = state["momentum"].lerp_(matrix.grad, 1 - group["momentum"])
                update = _orthogonalised(matrix.grad.lerp(average, group["momentum"]))
                n_rows, n_columns = matrix.shape
                scale = max(1.0, n_rows / n_columns) ** 0.5
                matrix.mul_(1 - group["lr"] * group["weight_decay"])
                matrix.add_(update, alpha=-group["lr"] * scale)


def _orthogonalised(matrix: Tensor) -> Tensor:
    """Return a matrix (A, B) with its singular values moved into the range 0.7 to 1.2."""
    a, b, c = _QUINTIC
    is_tall = matrix.shape[0] > matrix.shape[1]
    x = matrix.T if is_tall else matrix
    x = x / x.norm().clamp(min=_EPSILON)
    for _ in range(_N_ITERATIONS):
        square = x @ x.T
        x = a * x + (b * square + c * square @ square) @ x
    result: Tensor = x.T if is_tall else x
    return result
