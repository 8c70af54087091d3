"""Windows in files: the same as in memory, found again, written whole, and never all in memory."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tiny_data import dataset_of, drummed_groove

from musicvae_core.data.windows import StoredRows, fingerprint, write_rows
from musicvae_core.errors import DamagedDataError
from musicvae_core.models.presets import override, preset
from musicvae_core.music.grid import Grid
from musicvae_core.music.groove import Groove
from musicvae_core.training.train import train

TINY = ("--preset", "groove_2bar_tiny", "--steps", "20")
ROOT = Path(__file__).resolve().parents[1]


def dataset(seed=1, store=None):
    rng = np.random.default_rng(seed)
    splits = {"train": 6, "validation": 2}
    made = dataset_of(
        {name: [drummed_groove(rng, 8) for _ in range(n)] for name, n in splits.items()}
    )
    made.store = store
    return made


def test_stored_windows_are_those_in_memory(tmp_path):
    kept, plain = (dataset(store=store).windows("train", 2) for store in (tmp_path, None))
    assert len(kept) == len(plain) == 42
    assert np.array_equal(kept.features[:], plain.features)
    assert np.array_equal(kept.features[3:7], plain.features[3:7])
    rows = np.array([5, 6, 7, 0, 41, 41, -1])
    assert np.array_equal(kept.features[rows], plain.features[rows])
    assert kept.features[rows[:0]].shape == (0, 32, 27)
    assert np.array_equal(kept.take(rows).features, plain.take(rows).features)
    for step in range(12):
        batches = (one.batch(step, 8, augmentation=0.5, seed=3) for one in (kept, plain))
        assert np.array_equal(*batches)


def test_a_store_is_found_again_by_what_it_was_cut_from(tmp_path):
    dataset(store=tmp_path).windows("train", 2)
    (first,) = tmp_path.iterdir()
    written = first.stat().st_mtime_ns
    dataset(store=tmp_path).windows("train", 2)
    assert (first.stat().st_mtime_ns, len(list(tmp_path.iterdir()))) == (written, 1)
    dataset(seed=2, store=tmp_path).windows("train", 2)
    dataset(store=tmp_path).windows("train", 4)
    dataset(store=tmp_path).windows("validation", 2)
    assert len(list(tmp_path.iterdir())) == 4


def test_a_store_of_one_grid_is_not_that_of_another(tmp_path):
    """Two bars of 24 steps have the cells of four bars of 12, and are other windows."""
    plain = {
        grid: Groove.silent(24 // grid.beats_per_bar, grid=grid) for grid in (Grid(3), Grid(6))
    }
    rows = []
    for groove in plain.values():
        made = dataset_of({"train": [groove]})
        made.store = tmp_path
        rows.append(made.windows("train", 2).features[:])
    assert [one.shape for one in rows] == [(7, 24, 27), (3, 48, 27)]
    assert len({fingerprint([groove], 2) for groove in plain.values()}) == 2


@pytest.mark.parametrize("n_bytes", [0, 5, 200, -1])
def test_a_damaged_store_is_refused_and_written_anew(tmp_path, n_bytes):
    plain = dataset().windows("train", 2).features
    dataset(store=tmp_path).windows("train", 2)
    (path,) = tmp_path.iterdir()
    path.write_bytes(path.read_bytes()[:n_bytes])
    with pytest.raises(DamagedDataError, match="delete it"):
        StoredRows(path)
    assert np.array_equal(dataset(store=tmp_path).windows("train", 2).features[:], plain)


def test_a_write_that_breaks_off_leaves_nothing(tmp_path):
    def breaking():
        yield np.zeros((2, 4, 3), np.float32)
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        write_rows(tmp_path / "rows.npy", breaking(), (4, 4, 3))
    assert list(tmp_path.iterdir()) == []


def test_numpy_reads_a_store(tmp_path):
    rows = np.random.default_rng(0).random((5, 4, 3)).astype(np.float32)
    write_rows(tmp_path / "rows.npy", iter([rows[:2], rows[2:]]), rows.shape)
    assert np.array_equal(np.load(tmp_path / "rows.npy"), rows)


@pytest.mark.parametrize("name", ["groove_2bar_tiny", "groove_lab_tiny"])
def test_training_from_a_store_is_training_from_memory(tmp_path, name):
    chosen = override(preset(name), ["n_steps=4", "validate_every=4"])
    measured = [
        train(chosen, dataset(store=store), tmp_path / run, device="cpu")
        for run, store in (("memory", None), ("files", tmp_path / "store"))
    ]
    for metrics in measured:
        del metrics["seconds"]
    assert measured[0] == measured[1]


@pytest.mark.slow
def test_ten_times_the_data_takes_no_more_memory(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "scripts.bench_store", str(tmp_path), "--windows", "2000", *TINY],
        **{"cwd": ROOT, "capture_output": True, "text": True, "timeout": 500},
        check=True,
    )
    few, many = (list(map(float, line.split()[1:3])) for line in done.stdout.splitlines()[1:])
    assert many[0] < 1.1 * few[0]
