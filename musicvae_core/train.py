"""The training loop: steps, what the decoder hears at each, validations."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from musicvae_core import schedules
from musicvae_core.augmentation import augment
from musicvae_core.checkpoint import load_checkpoint
from musicvae_core.config import Preset, TrainConfig
from musicvae_core.dataset import Dataset, Windows
from musicvae_core.errors import ConfigError, NonFiniteLossError
from musicvae_core.evaluate import reconstruction_metrics
from musicvae_core.losses import elbo_losses, kl_nats
from musicvae_core.models.musicvae import shift_right
from musicvae_core.run import Run

MIN_TRAIN_WINDOWS = 16
N_VALIDATION, N_SPREAD = 512, 256
STATE_FILE, LOG_FILE = "training.pt", "log.jsonl"

log = logging.getLogger(__name__)


def pick_device(name: str) -> torch.device:
    """Return the device of a name; `auto` takes CUDA, then Apple's, then the processor.

    Raises
    ------
    ConfigError
        If the device is not there.
    """
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name == "auto":
        name = next((kind for kind, present in there.items() if present), "cpu")
    if name != "cpu" and not there.get(name, False):
        raise ConfigError(f"There is no {name} device here; use --device cpu or auto.")
    return torch.device(name)


def train(
    preset: Preset,
    dataset: Dataset,
    out: Path,
    *,
    resume: bool = False,
    start: Path | None = None,
    device: str = "auto",
) -> dict[str, Any]:
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
    goes_on = resume and (out / STATE_FILE).exists()
    if not goes_on:
        _check_unused(out)
    run = Run(preset, pick_device(device))
    out.mkdir(parents=True, exist_ok=True)
    if goes_on:
        run.restore(out / STATE_FILE)
    elif start is not None:
        run.start_from(load_checkpoint(start))
    minimum = max(MIN_TRAIN_WINDOWS, preset.train.batch_size)
    windows = dataset.windows("train", preset.model.n_bars, minimum, preset.train.shortest_bars)
    if run.step == 0 and start is None and preset.train.initial_sigma > 0:
        run.spread_codes(_evenly(windows, N_SPREAD))
    held_out = _validation_windows(dataset, preset.model.n_bars)
    metrics: dict[str, Any] = {}
    first_step = run.step
    try:
        for row in _steps(run, windows, held_out, out):
            metrics = row
    except KeyboardInterrupt:
        log.warning("Stopped at step %d; go on with --resume.", run.step)
    if run.step > first_step:
        run.save(out / STATE_FILE)
        run.save_checkpoint(out / "last", metrics)
    return metrics


def _check_unused(out: Path) -> None:
    """Refuse to begin a run where another was kept: its log and best model would be mixed."""
    if (out / STATE_FILE).exists():
        raise ConfigError(f"{out} holds a run already; go on with --resume, or give another --out.")
    if (out / LOG_FILE).exists():
        raise ConfigError(
            f"{out} holds the {LOG_FILE} of a run but no {STATE_FILE} for --resume to go on from; "
            "give another --out."
        )


def _steps(run: Run, windows: Windows, held_out: Windows, out: Path) -> Iterator[dict[str, Any]]:
    """Take the steps that are left; yield the metrics of each validation."""
    config = run.config
    started = time.monotonic()
    bar = tqdm(total=config.n_steps, initial=run.step, desc=run.preset.name, unit="step")
    with bar:
        while not run.is_over:
            losses = train_step(run, windows.features)
            bar.update()
            if run.step % 20 == 0:
                bar.set_postfix({name: f"{float(value):.2f}" for name, value in losses.items()})
            if run.step % config.validate_every == 0 or run.step == config.n_steps:
                row = {"step": run.step, "seconds": time.monotonic() - started}
                row |= {name: float(value) for name, value in losses.items()}
                row |= _validate(run, held_out, out)
                with (out / LOG_FILE).open("a") as lines:
                    lines.write(json.dumps(row) + "\n")
                yield row
    if run.step < config.n_steps:
        log.info("No better validation for %d; stopping early.", run.stale)


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
    batch = features[_batch_indices(run.step, len(features), config)]
    rng = np.random.default_rng((config.seed, run.step))
    target = torch.from_numpy(augment(np.asarray(batch), config.augmentation, rng))
    target = target[..., : model.n_features].to(device)
    generator = torch.Generator(device).manual_seed(config.seed * 1_000_003 + run.step)
    for group in run.optimiser.param_groups:
        group["lr"] = schedules.learning_rate(run.step, config)
    model.train()
    with torch.autocast(device.type, torch.bfloat16, enabled=device.type != "mps"):
        losses = _losses(run, target, generator)
    if not torch.isfinite(losses["loss/total"]):
        raise NonFiniteLossError(
            f"The loss is {losses['loss/total'].item()} at step {run.step}; "
            "the last good checkpoint is kept: go on from it with a lower learning_rate."
        )
    run.optimiser.zero_grad(set_to_none=True)
    losses["loss/total"].backward()  # type: ignore[no-untyped-call]
    torch.nn.utils.clip_grad_norm_(model.parameters(), config.gradient_clip)
    run.optimiser.step()
    run.average.update_parameters(model)
    run.step += 1
    return {name: value.detach() for name, value in losses.items()}


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


def _batch_indices(step: int, n_examples: int, config: TrainConfig) -> np.ndarray[Any, Any]:
    """Return the indices of a step's batch; each epoch is one seeded permutation."""
    positions = np.arange(step * config.batch_size, (step + 1) * config.batch_size)
    epochs, places = np.divmod(positions, n_examples)
    indices = np.empty(len(positions), np.int64)
    for epoch in np.unique(epochs):
        order = np.random.default_rng((config.seed, 1, int(epoch))).permutation(n_examples)
        indices[epochs == epoch] = order[places[epochs == epoch]]
    return indices


def _validation_windows(dataset: Dataset, n_bars: int) -> Windows:
    """Return evenly spread validation windows; a data set too small for them lends its own."""
    n_there = sum(label.split == "validation" for label in dataset.labels)
    windows = dataset.windows("validation" if n_there else "train", n_bars)
    return _evenly(windows, N_VALIDATION)


def _evenly(windows: Windows, n: int) -> Windows:
    """Return n evenly spread windows, or all where there are fewer."""
    return windows.take(np.linspace(0, len(windows) - 1, min(n, len(windows))))


def _validate(run: Run, held_out: Windows, out: Path) -> dict[str, float]:
    """Measure the averaged weights, keep them as `last`, and as `best` if they are."""
    model = run.checkpoint({}).model
    measured = reconstruction_metrics(model, held_out.features, held_out.tempos_bpm)
    loss = sum(v for name, v in measured.items() if name.startswith("nll_"))
    loss += run.config.beta * measured["kl_nats"]
    metrics = {"validation/loss": loss}
    metrics |= {f"validation/{name}": value for name, value in measured.items()}
    run.stale += 1
    if loss < run.best:
        run.best, run.stale = loss, 0
        run.save_checkpoint(out / "best", {"step": run.step, **metrics})
    run.save(out / STATE_FILE)
    run.save_checkpoint(out / "last", {"step": run.step, **metrics})
    log.info("step %d: %s", run.step, metrics)
    return metrics
