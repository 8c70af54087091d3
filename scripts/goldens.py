"""Golden files: the current output of the shipped models, the lab, the metrics and the MIDI writer.

    python -m scripts.goldens                 rewrite tests/golden
    python -m scripts.goldens --only lines    one of its files: after new weights of a melody
    python -m scripts.goldens --check         report any difference, bit by bit

Rewrite them only if behaviour is meant to change, and say so in the commit. The tests compare with
a tolerance, since processors round differently; a change that should not affect behaviour must
pass --check on one machine, before and after. Everything is computed in float32, since only some
processors are fast at 8-bit integers.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
import torch

from musicvae_core.data.dataset import Dataset, load_dataset
from musicvae_core.data.windows import Label
from musicvae_core.evaluation.metrics import evaluate
from musicvae_core.lab.options import Sampling
from musicvae_core.lab.tools import Lab
from musicvae_core.models import arithmetic
from musicvae_core.models.checkpoint import load_checkpoint
from musicvae_core.models.lab import GrooveLab
from musicvae_core.models.presets import override, preset
from musicvae_core.models.prior import PriorConfig
from musicvae_core.models.reconstruction import reconstruction_metrics
from musicvae_core.music.attributes import measure
from musicvae_core.music.drums import CLOSED_HAT, CRASH, KICK, N_VOICES, SNARE
from musicvae_core.music.forms import parts_of
from musicvae_core.music.grid import COMMON_TIME, VELOCITY_LEVELS
from musicvae_core.music.groove import Groove, groove_to_features
from musicvae_core.music.midi.write import write_midi
from musicvae_core.studio import Studio, limit_threads
from musicvae_core.training.fit_prior import PriorTraining, fit_prior
from musicvae_core.training.train import LOG_FILE, train

_ROOT = Path(__file__).resolve().parents[1]
_FOLDER = _ROOT / "tests" / "golden"
_ARCHIVE = _ROOT.parent / "shared" / "data" / "groove-midionly.zip"
_SEEDS = range(5)
_N_MEASURED = 200
_N_RECONSTRUCTED = 64
_EVALUATED, _N_EVALUATED = "drums_2bar", 64
_TRAINED = ("groove_2bar_tiny", "drums_16bar_hier_tiny")
_TEMPO_BPM = 96.0
_TICKS_PER_STEP = COMMON_TIME.ticks_per_step

_Arrays = dict[str, np.ndarray]


def _make_groove() -> Groove:
    """Two bars with a crash early for the first beat and a snare late on the last step."""
    levels = np.zeros((2 * COMMON_TIME.steps_per_bar, N_VOICES))
    ticks = np.zeros_like(levels)
    levels[[0, 7, 10, 16, 26], KICK] = 112, 70, 101, 127, 88
    levels[[4, 12, 20, 28, 31], SNARE] = 118, 120, 115, 121, 1
    levels[::2, CLOSED_HAT] = np.tile([90, 55], 8)
    levels[0, CRASH] = 104
    ticks[[4, 12, 20, 28, 31], SNARE] = 6, 9, 4, 8, 59
    ticks[2::4, CLOSED_HAT] = 13
    ticks[[0, 16], KICK] = -3, -60
    ticks[0, CRASH] = -11
    return Groove(levels > 0, levels / VELOCITY_LEVELS, ticks / _TICKS_PER_STEP, _TEMPO_BPM)


def _cells(groove: Groove) -> np.ndarray:
    """Return a groove in MIDI's numbers: (T, 9, 2) int8 levels and ticks.

    A level of 0 is a cell without a hit.
    """
    levels = np.rint(groove.velocities * VELOCITY_LEVELS) * groove.hits
    ticks = np.rint(groove.offsets * _TICKS_PER_STEP) * groove.hits
    return np.stack([levels, ticks], axis=-1).astype(np.int8)


def _sampled(studio: Studio) -> _Arrays:
    """Return samples, and a morph between the first two, of every model."""
    arrays: _Arrays = {}
    for info in studio.models("drums"):
        takes = [studio.sample(info.name, 1, seed=seed)[0].groove for seed in _SEEDS]
        arrays |= {f"{info.name}/sample{n}": _cells(groove) for n, groove in enumerate(takes)}
        steps = studio.morph(info.name, takes[:2], 5).grooves
        arrays |= {f"{info.name}/morph{n}": _cells(groove) for n, groove in enumerate(steps)}
    return arrays


def _sampled_lines(studio: Studio) -> _Arrays:
    """Return samples of every model of melodies or trios, part by part, and its fingerprint."""
    arrays: _Arrays = {}
    for info in (*studio.models("line"), *studio.models("piece")):
        arrays[f"{info.name}/weights"] = np.array(studio.checkpoint(info.name).fingerprint())
        takes = [studio.sample(info.name, 1, seed=seed)[0] for seed in _SEEDS]
        for name in parts_of(takes[0].groove):
            parts = [parts_of(take.groove)[name] for take in takes]
            rows = [_cells(one) if isinstance(one, Groove) else one.events() for one in parts]
            arrays[f"{info.name}/{name}"] = np.stack(rows).astype(np.uint8)
    return arrays


def _played(lab: Lab) -> _Arrays:
    """Return the lab's results for a groove, one for each tool."""
    groove, sampling = _make_groove().repeated(6), Sampling(seed=3)
    made = {
        "humanize": lab.humanize(groove, sampling=sampling),
        "drumify": lab.drumify(groove, sampling=sampling),
        "transfer": lab.transfer(groove, groove.repeated(4), sampling=sampling),
        "fill": lab.fill_in(groove, voices=[KICK], bars=[1, 4], sampling=sampling),
        "continue": lab.continue_groove(groove, 4, sampling=sampling),
    }
    return {name: _cells(groove) for name, groove in made.items()}


def _random_grooves(n: int) -> Iterator[Groove]:
    """Yield grooves of all densities, made with NumPy only."""
    rng = np.random.default_rng(12)
    for _ in range(n):
        shape = (int(rng.integers(1, 5)) * COMMON_TIME.steps_per_bar, N_VOICES)
        hits = rng.random(shape) < rng.uniform(0.02, 0.5)
        levels = rng.integers(1, VELOCITY_LEVELS + 1, shape)
        ticks = rng.integers(-_TICKS_PER_STEP // 2, _TICKS_PER_STEP // 2, shape)
        velocities = levels / VELOCITY_LEVELS
        yield Groove.from_hits(
            hits, velocities, ticks / _TICKS_PER_STEP, float(rng.uniform(40, 240))
        )


def _measured() -> _Arrays:
    """Return the attributes of some grooves, and digests of their MIDI files."""
    grooves = list(_random_grooves(_N_MEASURED))
    rows = [measure(groove) for groove in grooves]
    digests = [hashlib.sha256(write_midi(groove, loop=True)).hexdigest()[:16] for groove in grooves]
    attributes = {f"attribute/{name}": np.array([row[name] for row in rows]) for name in rows[0]}
    return attributes | {"midi": np.array(digests)}


def _reconstructed(studio: Studio) -> _Arrays:
    """Return the reconstruction metrics of every model on the same sampled grooves."""
    arrays: _Arrays = {}
    for info in studio.models("drums"):
        takes = studio.sample(info.name, _N_RECONSTRUCTED // info.n_bars, seed=9)
        features = np.stack([groove_to_features(take.groove) for take in takes])
        tempos_bpm = np.full(len(takes), _TEMPO_BPM, np.float32)
        metrics = reconstruction_metrics(studio.checkpoint(info.name).model, features, tempos_bpm)
        arrays |= {f"{info.name}/{name}": np.array(value) for name, value in metrics.items()}
    return arrays


def _evaluated(studio: Studio, dataset: Dataset) -> _Arrays:
    """Return the output of `evaluate --limit` for one model, flattened."""
    checkpoint = studio.checkpoint(_EVALUATED)
    metrics = evaluate(checkpoint, dataset, "validation", limit=_N_EVALUATED)
    return dict(_numbers(metrics, "evaluate"))


def _numbers(value: object, name: str) -> Iterator[tuple[str, np.ndarray]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _numbers(inner, f"{name}/{key}")
    elif isinstance(value, list):
        for place, inner in enumerate(value):
            yield from _numbers(inner, f"{name}/{place}")
    elif isinstance(value, int | float):
        yield name, np.array(value)


def _small_dataset() -> Dataset:
    splits = ("train", "train", "train", "train", "validation", "test") * 2
    grooves = [groove.repeated(20) for groove in _random_grooves(len(splits))]
    labels = [Label(f"{n}.mid", split, "drummer1", "funk") for n, split in enumerate(splits)]
    return Dataset(labels, grooves)


def _trained() -> _Arrays:
    """Return the logs and the weights of short trainings, and of the priors fitted to them."""
    arrays, dataset = {}, _small_dataset()
    changes = ["dropout=0.1", "sampling_rate=20"]
    with tempfile.TemporaryDirectory() as folder:
        for name in _TRAINED:
            out = Path(folder) / name
            train(override(preset(name), changes), dataset, out, device="cpu")
            checkpoint = load_checkpoint(out / "last")
            windows = dataset.windows("train", checkpoint.config.n_bars)
            few = PriorTraining(n_steps=10, batch_size=8)
            config = PriorConfig(width=8, depth=2)
            fitted = fit_prior(checkpoint, windows, few, config=config)
            arrays |= _run(name, out, checkpoint.model, fitted.prior)
        out = Path(folder) / "lab"
        train(preset("groove_lab_tiny"), dataset, out, device="cpu")
        lab = load_checkpoint(out / "last", GrooveLab)
        windows = dataset.windows("train", lab.config.n_bars)
        arrays |= _run("lab", out, fit_prior(lab, windows).model)
    return arrays


def _run(name: str, out: Path, *parts: torch.nn.Module) -> _Arrays:
    arrays: _Arrays = {}
    for line in (out / LOG_FILE).read_text().splitlines():
        row = json.loads(line)
        del row["seconds"]
        arrays |= {f"{name}/{row['step']}/{key}": np.array(value) for key, value in row.items()}
    for place, part in enumerate(parts):
        norms = [float(weights.double().norm()) for _, weights in sorted(part.state_dict().items())]
        arrays[f"{name}/norms{place}"] = np.array(norms)
    return arrays


def _measured_by_file(archive: Path) -> dict[str, Callable[[], _Arrays]]:
    """Return the function behind each golden file; `evaluate` only if the data set is available."""
    limit_threads()
    torch.manual_seed(0)
    studio = Studio()
    files: dict[str, Callable[[], _Arrays]] = {
        "samples": lambda: _sampled(studio),
        "lines": lambda: _sampled_lines(studio),
        "lab": lambda: _played(studio.lab()),
        "measures": _measured,
        "reconstruction": lambda: _reconstructed(studio),
        "training": _trained,
    }
    if archive.exists():
        files["evaluate"] = lambda: _evaluated(studio, load_dataset(archive))
    return files


def _load(name: str) -> _Arrays:
    """Return the arrays of a golden file."""
    with np.load(_FOLDER / f"{name}.npz") as stored:
        return {key: stored[key] for key in stored.files}


def _differences(old: _Arrays, new: _Arrays) -> Iterator[str]:
    """Yield a line for each array that is not identical, bit by bit."""
    for name in sorted(old.keys() | new.keys()):
        if name not in old or name not in new:
            yield f"{name}: only in the {'old' if name in old else 'new'}"
        elif old[name].shape != new[name].shape:
            yield f"{name}: {old[name].shape} became {new[name].shape}"
        elif not np.array_equal(old[name], new[name]):
            share = np.mean(old[name] != new[name])
            yield f"{name}: {share:.2%} of {old[name].size} values differ"


def _write(files: Mapping[str, _Arrays]) -> None:
    _FOLDER.mkdir(parents=True, exist_ok=True)
    for name, arrays in files.items():
        np.savez_compressed(_FOLDER / f"{name}.npz", **arrays)  # type: ignore[arg-type]
    groove = _make_groove()
    (_FOLDER / "two_bars.mid").write_bytes(write_midi(groove, loop=True))
    np.savez_compressed(
        _FOLDER / "two_bars.npz",
        hits=groove.hits,
        velocities=groove.velocities,
        offsets=groove.offsets,
        tempo_bpm=groove.tempo_bpm,
    )


def _main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="compare, and write nothing")
    parser.add_argument("--only", metavar="NAME", help="one file, by its name without .npz")
    parser.add_argument("--data", type=Path, default=_ARCHIVE, help="the Groove MIDI Dataset")
    options = parser.parse_args()
    arithmetic._is_fast_at_integers = lambda: False  # type: ignore[assignment]
    measures = _measured_by_file(options.data)
    if options.only:
        measures = {options.only: measures[options.only]}
    files = {name: measured() for name, measured in measures.items()}
    if not options.check:
        _write(files)
        return
    lines = [
        f"{name}: {line}"
        for name, arrays in files.items()
        for line in _differences(_load(name), arrays)
    ]
    print("\n".join(lines) or "nothing differs")
    raise SystemExit(bool(lines))


if __name__ == "__main__":
    _main()
