"""Measure training from windows in files, for a data set and for an augmented one ten times larger.

    python -m scripts.bench_store FOLDER [--preset melody_2bar] [--files 200] [--steps 60]

Writes both sets as MIDI under FOLDER, cuts their windows into a store, and then trains from it,
each time in a separate process. Prints for each set the number of windows, the seconds it took to
build the store and to reopen it, the resident MiB of training, and the examples per second (the
best of its rounds); then compares the larger set with the smaller.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from musicvae_core.data.trios import load_data
from musicvae_core.models.kinds import Kind, kind_of
from musicvae_core.models.presets import preset
from musicvae_core.music.forms import Music, form_of
from musicvae_core.music.grid import DEFAULT_TEMPO_BPM, Grid
from musicvae_core.training.run import Run
from musicvae_core.training.train import fabric_on, train_step

_BARS, _TIMES = 80, 10
_SHARE_OF_EVENTS = 0.3


def _music(kind: Kind, grid: Grid, seed: int) -> Music:
    """Return random music of the kind, about as dense as real playing."""
    rng = np.random.default_rng(seed)
    n_steps = _BARS * grid.steps_per_bar
    parts = []
    for alphabet in kind.alphabets.values():
        classes = rng.integers(0, alphabet.n_classes, n_steps)
        parts.append(alphabet.table[classes * (rng.random(n_steps) < _SHARE_OF_EVENTS)])
    music: Music = kind.to_music(np.concatenate(parts, axis=-1), DEFAULT_TEMPO_BPM, grid)
    return music


def _write_set(folder: Path, kind: Kind, grid: Grid, n_files: int, n_copies: int) -> None:
    """Write performances, and copies of each rotated by a number of bars."""
    folder.mkdir(parents=True)
    for seed in range(n_files):
        music = _music(kind, grid, seed)
        for copy in range(n_copies):
            turned = music.repeated(2 * _BARS).bars(7 * copy, _BARS)
            path = folder / f"{seed:05d}-{copy}.mid"
            path.write_bytes(form_of(turned).write(turned, False))


def _measure(name: str, source: Path, n_steps: int) -> None:
    """Print the figures of training on a set, as JSON."""
    chosen = preset(name)
    kind = kind_of(chosen.model)
    began = time.perf_counter()
    stored = load_data(
        kind.plays, source, store=source.with_suffix(".store"), grid=chosen.model.grid
    )
    windows = stored.windows("train", chosen.model.n_bars)
    found = time.perf_counter() - began
    run = Run(chosen, fabric_on())
    times = []
    for step in range(n_steps):
        began = time.perf_counter()
        train_step(run, kind.draw_batch(run.model, windows, run.config, step))
        times.append(time.perf_counter() - began)
    figures = {
        "windows": len(windows),
        "store_seconds": round(found, 2),
        "resident_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        "examples_per_second": round(run.config.batch_size / float(np.median(times)), 1),
    }
    print(json.dumps(figures))


def _measured(options: argparse.Namespace, source: Path, n_steps: int) -> dict[str, float]:
    own = ["--measure", str(source), "--steps", str(n_steps), "--preset", options.preset]
    command = [sys.executable, "-m", "scripts.bench_store", str(options.folder), *own]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    figures: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return figures


def _main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--files", type=int, default=200)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=2, help="how often each is trained from")
    parser.add_argument("--preset", default="groove_2bar")
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure is not None:
        _measure(options.preset, options.measure, options.steps)
        return
    model = preset(options.preset).model
    sources = [options.folder / f"{options.preset}_{n}" for n in (1, _TIMES)]
    built = []
    for source, n_copies in zip(sources, (1, _TIMES), strict=True):
        _write_set(source, kind_of(model), model.grid, options.files, n_copies)
        built.append(_measured(options, source, 1)["store_seconds"])
    rounds = [
        [_measured(options, one, options.steps) for one in sources] for _ in range(options.rounds)
    ]
    print("windows built_s found_s resident_MiB examples_per_second", flush=True)
    results = []
    for seconds, runs in zip(built, zip(*rounds, strict=True), strict=True):
        memory = max(run["resident_mib"] for run in runs)
        speed = max(run["examples_per_second"] for run in runs)
        found = min(run["store_seconds"] for run in runs)
        results.append((memory, speed))
        print(f"{runs[0]['windows']} {seconds} {found} {memory} {speed}", flush=True)
    (memory, speed), (much_memory, much_speed) = results
    print(f"memory {much_memory / memory - 1:+.1%}, speed {much_speed / speed - 1:+.1%}")


if __name__ == "__main__":
    _main()
