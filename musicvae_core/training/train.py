"""Training a model of any kind: steps, validations and files."""

from __future__ import annotations

import contextlib
import json
import logging
import signal
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor
from tqdm import tqdm

from musicvae_core.data.files import remove_parts, write_atomically
from musicvae_core.data.windows import AnyWindows, WindowSource
from musicvae_core.errors import ConfigError, TooFewExamplesError, TrainingError
from musicvae_core.models.checkpoint import load_checkpoint
from musicvae_core.models.musicvae import elbo_losses, map_batch
from musicvae_core.models.presets import Preset
from musicvae_core.training.run import Run

_WindowsT = TypeVar("_WindowsT", bound=AnyWindows)

_STATE_FILE, LOG_FILE = "training.pt", "log.jsonl"
_MIN_TRAIN_WINDOWS = 16
_N_VALIDATION = 512
_N_SPREAD = 256
"""Number of windows used to initialise the encoder."""

_Losses = dict[str, Tensor]
_Metrics = dict[str, Any]

_log = logging.getLogger(__name__)


def train(
    preset: Preset[Any],
    source: WindowSource[AnyWindows],
    out: Path,
    *,
    resume: bool = False,
    start: Path | None = None,
    start_parts: Mapping[str, Path] | None = None,
    device: str = "auto",
    devices: int = 1,
    strategy: str = "auto",
    compiled: bool = False,
) -> _Metrics:
    """Train a preset, and keep the best and the last checkpoint under `out`.

    `best` has the lowest validation loss. `log.jsonl` has one line per validation. `resume`
    continues from `training.pt`, with any number of processes. SIGINT and SIGTERM end the run
    after the current step and save it.

    Parameters
    ----------
    preset, source, out
        The preset to train, its data, and the folder for the results.
    resume
        Continue from `out/training.pt` if it exists; otherwise `out` must not hold a run.
    start
        A checkpoint of the same dimensions to start from, for fine-tuning for example.
    start_parts
        Checkpoints to start parts of the model from, by part name; each is of that part alone.
    device
        `auto`, `cpu`, `cuda` or `mps`.
    devices, strategy
        Number of processes that share each batch, and Lightning Fabric's name for how they do:
        `auto` or `ddp`.
    compiled
        Compile the model first; this takes a minute and pays off on a GPU.

    Returns
    -------
    The last validation's metrics; empty if no step was left to take.

    Raises
    ------
    TooFewExamplesError, ConfigError, TrainingError
    """
    config = preset.train
    if config.batch_size % devices:
        raise ConfigError(
            f"batch_size is {config.batch_size}; it must be a multiple of devices, {devices}."
        )
    run = Run(preset, fabric_on(device, devices, strategy), compiled)
    is_new = _begin(run, out, resume=resume)
    minimum = max(_MIN_TRAIN_WINDOWS, config.batch_size)
    windows = source.windows("train", preset.model.n_bars, minimum, config.shortest_bars)
    if is_new and start is not None:
        run.start_from(load_checkpoint(start, torch.nn.Module))
    elif is_new and config.initial_sigma > 0:
        run.spread_codes(_evenly(windows, _N_SPREAD))
    if is_new and start_parts:
        loaded = {name: load_checkpoint(path) for name, path in start_parts.items()}
        run.start_parts(loaded)
    held_out = _validation_windows(source, preset.model.n_bars)
    return _finish(run, out, windows, held_out)


def train_step(run: Run, batch: Any) -> _Losses:
    """Take one optimiser step on a batch; see `Kind.draw_batch`.

    Raises
    ------
    TrainingError
        If the loss is not finite; the weights then stay unchanged.
    """
    config, fabric = run.config, run.fabric
    share = len(batch.kl_weights) // fabric.world_size
    rows = slice(fabric.global_rank * share, (fabric.global_rank + 1) * share)
    own = fabric.to_device(map_batch(lambda part: part[rows], batch))
    run.model.train()
    losses = elbo_losses(
        run.forward(own),
        own.kl_weights,
        beta=config.beta_at(run.step),
        free_bits=config.free_bits,
        feel_weight=config.feel_weight,
    )
    return _descend(run, losses)


def fabric_on(device: str = "cpu", devices: int = 1, strategy: str = "auto") -> Fabric:
    """Return a Fabric for training on a device, with its other processes started; see `train`.

    Raises
    ------
    ConfigError
        If the device is not available, or too few such devices are.
    """
    kind = pick_device(device).type
    try:
        fabric = Fabric(accelerator=kind, devices=devices, strategy=strategy)
    except (ValueError, RuntimeError) as error:
        raise ConfigError(f"--devices {devices} --strategy {strategy}: {error}") from error
    fabric.launch()
    return fabric


def pick_device(name: str) -> torch.device:
    """Return the named device; `auto` prefers CUDA, then Apple's MPS, then the CPU.

    Raises
    ------
    ConfigError
        If the device is not available.
    """
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name == "auto":
        name = next((kind for kind, present in there.items() if present), "cpu")
    if name != "cpu" and not there.get(name, False):
        raise ConfigError(f"There is no {name} device here; use --device cpu or auto.")
    return torch.device(name)


def _begin(run: Run, out: Path, *, resume: bool) -> bool:
    """Resume the run under `out`, or prepare the folder for a new one; return whether it is new.

    Raises
    ------
    ConfigError
        If `out` holds a run and `resume` is off, or its settings differ.
    """
    goes_on = resume and (out / _STATE_FILE).exists()
    if goes_on:
        run.restore(out / _STATE_FILE)
    else:
        _check_unused(out)
    run.fabric.barrier()
    if run.fabric.is_global_zero:
        out.mkdir(parents=True, exist_ok=True)
        if goes_on:
            for folder in (out, out / "best", out / "last"):
                remove_parts(folder)
            _complete_log(run, out / LOG_FILE)
    return not goes_on


def _finish(run: Run, out: Path, windows: AnyWindows, held_out: AnyWindows) -> _Metrics:
    """Take the remaining steps, and keep the best and the last checkpoint under `out`.

    Returns
    -------
    The last validation's metrics; empty if no step was left to take.
    """
    metrics: _Metrics = {}
    first_step = run.step
    for row in _steps(run, out, windows, held_out):
        metrics = row
    if run.step > first_step and run.fabric.is_global_zero:
        run.save(out / _STATE_FILE)
        is_measured = metrics.get("step") == run.step
        run.save_checkpoint(out / "last", metrics if is_measured else {"step": run.step})
    return metrics


def _check_unused(out: Path) -> None:
    """Refuse to start a run in another run's folder: their logs and best models would mix."""
    if (out / _STATE_FILE).exists():
        raise ConfigError(f"{out} holds a run already; go on with --resume, or give another --out.")
    if (out / LOG_FILE).exists():
        raise ConfigError(
            f"{out} holds the {LOG_FILE} of a run but no {_STATE_FILE} for --resume to go on from; "
            "give another --out."
        )


def _steps(run: Run, out: Path, windows: AnyWindows, held_out: AnyWindows) -> Iterator[_Metrics]:
    """Take the remaining steps; yield the metrics of each validation."""
    config = run.config
    started = time.monotonic()
    bar = tqdm(
        total=config.n_steps,
        initial=run.step,
        desc=run.preset.name,
        unit="step",
        disable=not run.fabric.is_global_zero,
    )
    with bar, _stop_requests() as requests:
        while not run.is_over:
            if _any_process(run, bool(requests)):
                _log.warning("Stopped at step %d; go on with --resume.", run.step)
                return
            batch = run.kind.draw_batch(run.model, windows, config, run.step)
            losses = train_step(run, batch)
            bar.update()
            if run.step % 20 == 0:
                bar.set_postfix({name: f"{float(value):.2f}" for name, value in losses.items()})
            if run.step % config.validate_every == 0 or run.step == config.n_steps:
                row: _Metrics = {"step": run.step, "seconds": time.monotonic() - started}
                row |= {name: float(value) for name, value in losses.items()}
                metrics = _validate(run, held_out)
                run.row = row | metrics
                is_best = run.note(metrics["validation/loss"])
                if run.fabric.is_global_zero:
                    _keep(run, out, metrics, is_best=is_best)
                    _append(run.row, out / LOG_FILE)
                yield run.row
    if run.step < config.n_steps:
        _log.info("No better validation for %d; stopping early.", run.stale)


def _append(row: _Metrics, path: Path) -> None:
    with path.open("a") as lines:
        lines.write(json.dumps(row) + "\n")


def _complete_log(run: Run, path: Path) -> None:
    """Repair the log after a kill: drop a cut-off line, and add a missing validation row."""
    lines = path.read_text().splitlines(keepends=True) if path.exists() else []
    whole = [line for line in lines if line.endswith("\n")]
    if whole != lines:
        write_atomically(path, lambda part: part.write_text("".join(whole)))
    if run.row and run.row["step"] not in (json.loads(line)["step"] for line in whole):
        _append(run.row, path)


def _keep(run: Run, out: Path, metrics: _Metrics, *, is_best: bool) -> None:
    """Save the averaged weights as `last`, and also as `best` if they are the best so far."""
    if is_best:
        run.save_checkpoint(out / "best", {"step": run.step, **metrics})
    run.save(out / _STATE_FILE)
    run.save_checkpoint(out / "last", {"step": run.step, **metrics})
    _log.info("step %d: %s", run.step, metrics)


def _descend(run: Run, losses: _Losses) -> _Losses:
    """Take one optimiser step, and update the running average of the weights.

    Raises
    ------
    TrainingError
        If the loss is not finite; the weights then stay unchanged.
    """
    own = torch.stack([value.detach() for value in losses.values()])
    shared: Any = run.fabric.all_reduce(own, reduce_op="mean")  # so that all processes stop alike
    means = dict(zip(losses, shared, strict=True))
    if not torch.isfinite(means["loss/total"]):
        raise TrainingError(
            f"The loss is {means['loss/total'].item()} at step {run.step}; "
            "the last good checkpoint is kept: go on from it with a lower learning_rate."
        )
    for group in run.optimiser.param_groups:
        group["lr"] = run.config.learning_rate_at(run.step)
    run.optimiser.zero_grad(set_to_none=True)
    run.fabric.backward(losses["loss/total"])
    torch.nn.utils.clip_grad_norm_(run.model.parameters(), run.config.gradient_clip)
    run.optimiser.step()
    run.average.update_parameters(run.model)
    run.step += 1
    return means


@contextlib.contextmanager
def _stop_requests() -> Iterator[list[int]]:
    """Collect signals that ask to stop, so that no half-finished step is ever saved.

    A signal that is ignored, as Ctrl-C is in a background run, stays ignored. A second signal of
    the same kind has its usual effect at once.
    """
    requests: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield requests  # where no signal arrives
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def request(number: int, _: object) -> None:
        requests.append(number)
        signal.signal(number, before[signal.Signals(number)])

    for number, handler in before.items():
        if handler not in (signal.SIG_IGN, None):
            signal.signal(number, request)
    try:
        yield requests
    finally:
        for number, handler in before.items():
            if handler is not None:
                signal.signal(number, handler)


def _any_process(run: Run, condition: bool) -> bool:
    """Return whether a condition holds in any process: all must stop at the same step."""
    if run.fabric.world_size == 1:
        return condition
    total: Any = run.fabric.all_reduce(torch.tensor(float(condition)), reduce_op="sum")
    return bool(total > 0)


def _validate(run: Run, held_out: AnyWindows) -> _Metrics:
    """Measure the averaged weights in one process, and share the metrics with the others."""
    measured: _Metrics = {}
    if run.fabric.is_global_zero:
        measured = dict(run.kind.measure(run.averaged, held_out, run.config))
    measured = run.fabric.broadcast(measured)
    return {f"validation/{name}": value for name, value in measured.items()}


def _validation_windows(dataset: WindowSource[_WindowsT], n_bars: int) -> _WindowsT:
    """Return evenly spread validation windows, or training windows if the data set is too small."""
    try:
        windows = dataset.windows("validation", n_bars)
    except TooFewExamplesError:
        windows = dataset.windows("train", n_bars)
    return _evenly(windows, _N_VALIDATION)


def _evenly(windows: _WindowsT, n: int) -> _WindowsT:
    """Return n evenly spread windows, or all if there are fewer."""
    return windows.take(np.linspace(0, len(windows) - 1, min(n, len(windows))))
