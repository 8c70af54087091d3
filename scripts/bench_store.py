"""Measure training from a store of windows, and of ten times as many made by augmentation.

    python -m scripts.bench_store FOLDER [--windows 16000] [--steps 60] [--preset groove_2bar]

prints, for each, the windows, the resident MiB of the process and the examples a second.
"""

import argparse
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from musicvae_core.data.windows import StoredRows, Windows, augment, write_rows
from musicvae_core.models.musicvae import draw_batch
from musicvae_core.models.presets import preset
from musicvae_core.training.run import Run
from musicvae_core.training.train import fabric_on, train_step

_PART = 1000


def _random_parts(n: int) -> Iterator[np.ndarray]:
    """Yield windows as sparse as a drummer's, and augmented copies of them, in parts."""
    rng = np.random.default_rng(0)
    for start in range(0, n, _PART):
        hits = rng.random((min(_PART, n - start), 32, 9)) < 0.13
        values = rng.uniform(-1, 1, (2, *hits.shape)) * hits
        features = np.concatenate([hits, np.abs(values[0]), values[1]], axis=-1)
        yield augment(features.astype(np.float32), 0.9, rng)


def _measure(path: Path, name: str, n_steps: int) -> None:
    """Print the figures of a training that reads this store."""
    rows = StoredRows(path)
    n = len(rows)
    zeros = np.zeros(n, np.int64)
    windows = Windows(rows, np.full(n, 120, np.float32), zeros, zeros, ())  # type: ignore[arg-type]
    run = Run(preset(name), fabric_on())
    times = []
    for step in range(n_steps):
        began = time.perf_counter()
        train_step(run, draw_batch(run.model, windows, run.config, step))
        times.append(time.perf_counter() - began)
    resident = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{n} {resident:.0f} {run.config.batch_size / np.median(times):.1f}")


def _main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--windows", type=int, default=16_000)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--preset", default="groove_2bar")
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure is not None:
        _measure(options.measure, options.preset, options.steps)
        return
    print("windows resident_MiB examples_per_second", flush=True)
    for n in (options.windows, 10 * options.windows):
        path = options.folder / f"{n}.npy"
        write_rows(path, _random_parts(n), (n, 32, 27))
        own = ["--measure", str(path), "--steps", str(options.steps), "--preset", options.preset]
        command = [sys.executable, "-m", "scripts.bench_store", str(options.folder), *own]
        subprocess.run(command, check=True)


if __name__ == "__main__":
    _main()
