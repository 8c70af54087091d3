"""Training a MusicVAE: what a step learns from, what the decoder hears, what is validated."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from musicvae_core import schedules
from musicvae_core.augmentation import augment
from musicvae_core.checkpoint import load_checkpoint
from musicvae_core.dataset import Dataset, Windows
from musicvae_core.evaluate import reconstruction_metrics
from musicvae_core.losses import elbo_losses, kl_nats
from musicvae_core.models.musicvae import shift_right
from musicvae_core.presets import Preset
from musicvae_core.training.loop import (
    MIN_TRAIN_WINDOWS,
    Metrics,
    batch_indices,
    begin,
    descend,
    evenly,
    finish,
    pick_device,
    step_generator,
    validation_windows,
)
from musicvae_core.training.run import Run

N_SPREAD = 256
"""Windows over which the first codes are spread."""


def train(
    preset: Preset,
    dataset: Dataset,
    out: Path,
    *,
    resume: bool = False,
    start: Path | None = None,
    device: str = "auto",
) -> Metrics:
    """Train a preset, and keep the best and the last checkpoint under `out`.

    `best` is the one of the lowest validation loss. `log.jsonl` has a line a validation;
    `training.pt` is what `resume` goes on from. An interrupt saves and returns.

    Parameters
    ----------
    preset, dataset, out
        What to train, on what, and where to keep it.
    resume
        Go on from `out/training.pt` where it exists; without this, `out` may hold no run.
    start
        A checkpoint of the same dimensions whose weights to begin with, as to fine-tune it.
    device
        `auto`, `cpu`, `cuda` or `mps`.

    Returns
    -------
    The last validation's metrics; none where no step was left to take.

    Raises
    ------
    TooFewExamplesError, ConfigError, NonFiniteLossError, DiskFullError
    """
    run = Run(preset, pick_device(device))
    is_new = begin(run, out, resume=resume)
    minimum = max(MIN_TRAIN_WINDOWS, preset.train.batch_size)
    windows = dataset.windows("train", preset.model.n_bars, minimum, preset.train.shortest_bars)
    if is_new and start is not None:
        run.start_from(load_checkpoint(start))
    elif is_new and preset.train.initial_sigma > 0:
        run.spread_codes(evenly(windows, N_SPREAD))
    held_out = validation_windows(dataset, preset.model.n_bars)
    return finish(
        run, out, lambda: train_step(run, windows.features), lambda: _validate(run, held_out)
    )


def train_step(
    run: Run, features: Tensor | np.ndarray[Any, np.dtype[np.float32]]
) -> dict[str, Tensor]:
    """Take one optimiser step on the batch that belongs to its number.

    Raises
    ------
    NonFiniteLossError
        If the loss is not finite; the weights are left as they were.
    """
    config, model, device = run.config, run.model, run.device
    batch = features[batch_indices(run.step, len(features), config)]
    rng = np.random.default_rng((config.seed, run.step))
    target = torch.from_numpy(augment(np.asarray(batch), config.augmentation, rng))
    target = target[..., : model.n_features].to(device)
    model.train()
    with torch.autocast(device.type, torch.bfloat16, enabled=device.type != "mps"):
        losses = _losses(run, target, step_generator(run))
    return descend(run, losses)


def _losses(run: Run, target: Tensor, generator: torch.Generator) -> dict[str, Tensor]:
    config, model = run.config, run.model
    mu, sigma = model.encode(target)
    z = model.reparameterise(mu, sigma, generator)
    previous = _corrupt(run, z, shift_right(target), generator)
    states = torch.nn.functional.dropout(model.decode_forced(z, previous), config.dropout)
    return elbo_losses(
        model.head.log_prob(states, target),
        kl_nats(mu, sigma),
        beta=schedules.beta(run.step, config),
        free_bits=config.free_bits,
        feel_weight=config.feel_weight,
    )


def _corrupt(run: Run, z: Tensor, previous: Tensor, generator: torch.Generator) -> Tensor:
    """Blank some of the decoder's inputs, and put its own outputs in place of others.

    Deviation: scheduled sampling draws every replaced input from a first, teacher-forced pass
    (Mihaylova and Martins 2019, section 3), so that all steps still train in parallel; the
    paper draws them one after the other.
    """
    config, shape = run.config, previous.shape[:2]

    def chosen(probability: float) -> Tensor:
        noise = torch.rand(shape, generator=generator, device=previous.device)
        return (noise < probability).unsqueeze(-1)

    probability = schedules.sampling_probability(run.step, config.sampling_rate)
    if probability > 0:
        with torch.no_grad():
            head = run.model.head
            states = run.model.decode_forced(z, previous)
            drawn = head.sample(states, 1.0, head.draw_noise(tuple(shape), generator))
        previous = torch.where(chosen(probability), shift_right(drawn), previous)
    if config.word_dropout > 0:
        previous = previous * ~chosen(config.word_dropout)
    return previous


def _validate(run: Run, held_out: Windows) -> dict[str, float]:
    """Measure the averaged weights."""
    measured = reconstruction_metrics(run.averaged, held_out.features, held_out.tempos_bpm)
    loss = sum(v for name, v in measured.items() if name.startswith("nll_"))
    loss += run.config.beta * measured["kl_nats"]
    return {"validation/loss": loss} | {f"validation/{n}": v for n, v in measured.items()}
