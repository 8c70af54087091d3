"""Training a groove lab: random tasks, and the likelihood of what they hide."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from musicvae_core import schedules
from musicvae_core.augmentation import change_feel
from musicvae_core.checkpoint import Described
from musicvae_core.dataset import Dataset
from musicvae_core.kept import Controls, Kept
from musicvae_core.lab.checkpoint import (
    LabCheckpoint,
    load_lab_checkpoint,
    save_lab_checkpoint,
)
from musicvae_core.lab.examples import Examples, examples_of
from musicvae_core.lab.hiding import hide, hide_controls
from musicvae_core.lab.likelihood import score_rest
from musicvae_core.losses import elbo_losses
from musicvae_core.models.lab import GrooveLab
from musicvae_core.presets import LabPreset
from musicvae_core.training.loop import (
    MIN_TRAIN_WINDOWS,
    Losses,
    Metrics,
    batch_indices,
    begin,
    descend,
    finish,
    pick_device,
    step_generator,
    validation_windows,
)
from musicvae_core.training.run import ModelRun

_VALIDATION_SEED = 1


class LabRun(ModelRun[GrooveLab]):
    """A training run of a `GrooveLab`."""

    preset: LabPreset

    def _new_model(self) -> GrooveLab:
        return GrooveLab(self.preset.model)

    def _write_checkpoint(self, folder: Path, metrics: dict[str, Any]) -> None:
        name, title = self.preset.name, self.preset.title
        checkpoint = LabCheckpoint(name, title, self.averaged, self.config, metrics)
        save_lab_checkpoint(checkpoint, folder)

    def start_from(self, checkpoint: Described) -> None:
        """Take up the weights, and not the noise that was fitted to them; see the base class."""
        super().start_from(checkpoint)
        self.model.code_noise.forget()


def train_lab(
    preset: LabPreset,
    dataset: Dataset,
    out: Path,
    *,
    resume: bool = False,
    start: Path | None = None,
    device: str = "auto",
) -> Metrics:
    """Train a groove lab; files, starts, resuming and errors are as of `train.train`."""
    run = LabRun(preset, pick_device(device))
    if begin(run, out, resume=resume) and start is not None:
        run.start_from(load_lab_checkpoint(start))
    minimum = max(MIN_TRAIN_WINDOWS, preset.train.batch_size)
    windows = dataset.windows("train", preset.model.n_bars, minimum)
    examples = examples_of(windows, preset.model)
    held_out = examples_of(validation_windows(dataset, preset.model.n_bars), preset.model)
    return finish(run, out, lambda: lab_step(run, examples), lambda: _validate(run, held_out))


def lab_step(run: LabRun, examples: Examples) -> Losses:
    """Take one optimiser step on the batch and the tasks that belong to its number.

    Raises
    ------
    NonFiniteLossError
        If the loss is not finite; the weights are left as they were.
    """
    config, device = run.config, run.device
    batch = examples.take(batch_indices(run.step, len(examples.features), config))
    rng = np.random.default_rng((config.seed, run.step))
    played = change_feel(batch.features, config.augmentation, rng.spawn(1)[0])
    kept, controls = hide(played, rng), hide_controls(batch.controls, rng)
    run.model.train()
    with torch.autocast(device.type, torch.bfloat16, enabled=device.type != "mps"):
        losses = lab_losses(
            run.model,
            kept,
            controls,
            step_generator(run),
            beta=schedules.beta(run.step, config),
            beta_of_feel=config.beta_of_feel,
            free_bits=config.free_bits,
            feel_weight=config.feel_weight,
            word_dropout=config.word_dropout,
        )
    return descend(run, losses)


def lab_losses(
    model: GrooveLab,
    kept: Kept,
    controls: Controls,
    generator: torch.Generator,
    *,
    beta: float,
    beta_of_feel: float,
    free_bits: float,
    feel_weight: float,
    word_dropout: float,
) -> dict[str, Tensor]:
    """Return the objective of a batch, whose truth is in `kept.features`; see `elbo_losses`."""
    log_probs, kl = score_rest(model, kept, controls, generator, word_dropout)
    is_feel = torch.from_numpy(kept.hits.all(axis=(1, 2))).to(kl.device)
    losses = elbo_losses(
        log_probs,
        torch.where(is_feel, beta_of_feel * kl, kl),
        beta=beta,
        free_bits=free_bits,
        feel_weight=feel_weight,
    )
    return losses | {"kl/nats": kl.mean()}


@torch.no_grad()
def _validate(run: LabRun, held_out: Examples) -> dict[str, float]:
    """Measure the averaged weights on tasks that are the same every time."""
    rng = np.random.default_rng(_VALIDATION_SEED)
    generator = torch.Generator(run.device).manual_seed(_VALIDATION_SEED)
    kept, controls = hide(held_out.features, rng), hide_controls(held_out.controls, rng)
    losses = lab_losses(
        run.averaged,
        kept,
        controls,
        generator,
        beta=run.config.beta,
        beta_of_feel=run.config.beta_of_feel,
        free_bits=0.0,
        feel_weight=run.config.feel_weight,
        word_dropout=0.0,
    )
    return {
        f"validation/{name.removeprefix('loss/total') or 'loss'}": float(value)
        for name, value in losses.items()
    }
