"""What every training run does: its steps, validations and files, whatever it trains."""

from __future__ import annotations

import contextlib
import json
import logging
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from musicvae_core import schedules
from musicvae_core.config import TrainConfig
from musicvae_core.dataset import Dataset, Windows
from musicvae_core.errors import ConfigError, NonFiniteLossError
from musicvae_core.files import remove_parts, write_atomically
from musicvae_core.training.run import ModelRun

STATE_FILE, LOG_FILE = "training.pt", "log.jsonl"
MIN_TRAIN_WINDOWS = 16
N_VALIDATION = 512

Losses = dict[str, Tensor]
Metrics = dict[str, Any]

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


def begin(run: ModelRun[Any], out: Path, *, resume: bool) -> bool:
    """Take up the run kept under `out`, or make room for a new one; return whether it is new.

    Raises
    ------
    ConfigError
        If `out` holds a run that is not to be gone on with, or one of other settings.
    """
    goes_on = resume and (out / STATE_FILE).exists()
    if not goes_on:
        _check_unused(out)
    out.mkdir(parents=True, exist_ok=True)
    if goes_on:
        for folder in (out, out / "best", out / "last"):
            remove_parts(folder)
        run.restore(out / STATE_FILE)
        _complete_log(run, out / LOG_FILE)
    return not goes_on


def finish(
    run: ModelRun[Any],
    out: Path,
    step: Callable[[], Losses],
    validate: Callable[[], Metrics],
) -> Metrics:
    """Take the steps that are left, and keep the best and the last checkpoint under `out`.

    Parameters
    ----------
    run, out
        The run and where it is kept.
    step
        Takes one step and returns its losses.
    validate
        Measures the averaged weights; `validation/loss` says which are the best.

    Returns
    -------
    The last validation's metrics; none where no step was left to take.
    """
    metrics: Metrics = {}
    first_step = run.step
    try:
        for row in _steps(run, out, step, validate):
            metrics = row
    except KeyboardInterrupt:
        log.warning("Stopped at step %d; go on with --resume.", run.step)
    if run.step > first_step:
        run.save(out / STATE_FILE)
        is_measured = metrics.get("step") == run.step
        run.save_checkpoint(out / "last", metrics if is_measured else {"step": run.step})
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


def _steps(
    run: ModelRun[Any], out: Path, step: Callable[[], Losses], validate: Callable[[], Metrics]
) -> Iterator[Metrics]:
    """Take the steps that are left; yield the metrics of each validation."""
    config = run.config
    started = time.monotonic()
    bar = tqdm(total=config.n_steps, initial=run.step, desc=run.preset.name, unit="step")
    with bar:
        while not run.is_over:
            losses = step()
            bar.update()
            if run.step % 20 == 0:
                bar.set_postfix({name: f"{float(value):.2f}" for name, value in losses.items()})
            if run.step % config.validate_every == 0 or run.step == config.n_steps:
                row: Metrics = {"step": run.step, "seconds": time.monotonic() - started}
                row |= {name: float(value) for name, value in losses.items()}
                metrics = validate()
                run.row = row | metrics
                _keep_best_and_last(run, out, metrics)
                _append(run.row, out / LOG_FILE)
                yield run.row
    if run.step < config.n_steps:
        log.info("No better validation for %d; stopping early.", run.stale)


def _append(row: Metrics, path: Path) -> None:
    with path.open("a") as lines:
        lines.write(json.dumps(row) + "\n")


def _complete_log(run: ModelRun[Any], path: Path) -> None:
    """Add the row of a validation that was saved, and then a kill came before its row was."""
    lines = path.read_text().splitlines(keepends=True) if path.exists() else []
    whole = [line for line in lines if line.endswith("\n")]
    if whole != lines:
        write_atomically(path, lambda part: part.write_text("".join(whole)))
    if run.row and run.row["step"] not in (json.loads(line)["step"] for line in whole):
        _append(run.row, path)


def _keep_best_and_last(run: ModelRun[Any], out: Path, metrics: Metrics) -> None:
    """Keep the averaged weights as `last`, and as `best` if they are."""
    loss = metrics["validation/loss"]
    run.stale += 1
    if loss < run.best:
        run.best, run.stale = loss, 0
        run.save_checkpoint(out / "best", {"step": run.step, **metrics})
    run.save(out / STATE_FILE)
    run.save_checkpoint(out / "last", {"step": run.step, **metrics})
    log.info("step %d: %s", run.step, metrics)


def descend(run: ModelRun[Any], losses: Losses) -> Losses:
    """Take one optimiser step down the loss, and average the weights.

    Raises
    ------
    NonFiniteLossError
        If the loss is not finite; the weights are left as they were.
    """
    if not torch.isfinite(losses["loss/total"]):
        raise NonFiniteLossError(
            f"The loss is {losses['loss/total'].item()} at step {run.step}; "
            "the last good checkpoint is kept: go on from it with a lower learning_rate."
        )
    for group in run.optimiser.param_groups:
        group["lr"] = schedules.learning_rate(run.step, run.config)
    run.optimiser.zero_grad(set_to_none=True)
    losses["loss/total"].backward()  # type: ignore[no-untyped-call]
    torch.nn.utils.clip_grad_norm_(run.model.parameters(), run.config.gradient_clip)
    with _uninterrupted():
        run.optimiser.step()
        run.average.update_parameters(run.model)
        run.step += 1
    return {name: value.detach() for name, value in losses.items()}


@contextlib.contextmanager
def _uninterrupted() -> Iterator[None]:
    """Hold Ctrl-C back until what is within is done: half a step is not to be saved."""
    if threading.current_thread() is not threading.main_thread():
        yield  # where no signal arrives
        return
    held: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _: held.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if held:
        signal.raise_signal(signal.SIGINT)


def step_generator(run: ModelRun[Any]) -> torch.Generator:
    """Return the source of randomness that belongs to the present step."""
    return torch.Generator(run.device).manual_seed(run.config.seed * 1_000_003 + run.step)


def batch_indices(step: int, n_examples: int, config: TrainConfig) -> np.ndarray[Any, Any]:
    """Return the indices of a step's batch; each epoch is one seeded permutation."""
    positions = np.arange(step * config.batch_size, (step + 1) * config.batch_size)
    epochs, places = np.divmod(positions, n_examples)
    indices = np.empty(len(positions), np.int64)
    for epoch in np.unique(epochs):
        order = np.random.default_rng((config.seed, 1, int(epoch))).permutation(n_examples)
        indices[epochs == epoch] = order[places[epochs == epoch]]
    return indices


def validation_windows(dataset: Dataset, n_bars: int) -> Windows:
    """Return evenly spread validation windows; a data set too small for them lends its own."""
    lengths = zip(dataset.labels, dataset.grooves, strict=True)
    is_there = any(label.split == "validation" and g.n_bars >= n_bars for label, g in lengths)
    windows = dataset.windows("validation" if is_there else "train", n_bars)
    return evenly(windows, N_VALIDATION)


def evenly(windows: Windows, n: int) -> Windows:
    """Return n evenly spread windows, or all where there are fewer."""
    return windows.take(np.linspace(0, len(windows) - 1, min(n, len(windows))))
