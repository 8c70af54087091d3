"""Windows in files: the same as in memory, found again, written whole, and never all in memory."""

import contextlib
import logging
import os
import sys
import tracemalloc
from types import ModuleType

import numpy as np
import pytest
from test_lines_data import archive, tune
from test_trios import write_zip
from tiny_data import drummed_groove, write_folder

from musicvae_core.data import store as store_module
from musicvae_core.data.store import _StoredRows, _write_rows
from musicvae_core.data.trios import load_data
from musicvae_core.errors import DamagedDataError, DataError, TooFewExamplesError
from musicvae_core.models.kinds import kind_of
from musicvae_core.models.presets import override, preset
from musicvae_core.music.grid import Grid
from musicvae_core.music.midi.maps import find_map
from musicvae_core.training.train import train
from scripts import bench_store

FORMS = ("drums", "line", "piece")


@pytest.fixture(scope="module")
def sets(tmp_path_factory):
    """A set of each form, with a file in it that cannot be read."""
    folder = tmp_path_factory.mktemp("sets")
    rng = np.random.default_rng(1)
    drums = write_folder(folder / "drums", [drummed_groove(rng, 6 + n % 3) for n in range(20)])
    (drums / "broken.mid").write_bytes(b"not MIDI")
    lines = folder / "lines"
    lines.mkdir()
    splits = ["train"] * 6 + ["validation", "test"]
    rows = [(f"{n}.mid", "folk", split, tune(4 + n % 3)) for n, split in enumerate(splits)]
    archive(lines / "melody_folk.zip", rows)
    archive(lines / "melody_art.zip", [("a.mid", "art", "train", tune(3, (70, 72)))])
    return {"drums": drums, "line": lines, "piece": write_zip(folder / "trio_test.zip")}


def n_bars_of(form):
    return 16 if form == "piece" else 2


def rows_of(windows):
    return windows.features if hasattr(windows, "grid") else windows.classes


@pytest.mark.parametrize("form", FORMS)
def test_stored_windows_are_those_in_memory(form, sets, tmp_path):
    n_bars = n_bars_of(form)
    for split in ("train", "validation"):
        plain = load_data(form, sets[form]).windows(split, n_bars)
        kept = load_data(form, sets[form], store=tmp_path).windows(split, n_bars)
        again = load_data(form, sets[form], store=tmp_path).windows(split, n_bars)
        for one in (kept, again):
            assert len(one) == len(plain) > 0
            assert isinstance(rows_of(one), _StoredRows)
            assert rows_of(one).dtype == rows_of(plain).dtype
            assert np.array_equal(rows_of(one)[:], rows_of(plain))
            assert np.array_equal(one.features[:], plain.features[:])
            assert one.labels == plain.labels
            for name in ("tempos_bpm", "performance", "start_bar"):
                assert np.array_equal(getattr(one, name), getattr(plain, name))
                assert getattr(one, name).dtype == getattr(plain, name).dtype
            places = np.array([1, 0, 0, 1, -1])
            assert np.array_equal(one.take(places).features[:], plain.take(places).features[:])
            for step in range(6):
                batches = (w.batch(step, 5, augmentation=0.5, seed=3) for w in (one, plain))
                assert np.array_equal(*batches)


def test_short_performances_are_repeated_in_a_store_as_in_memory(sets, tmp_path):
    plain, kept = (
        load_data("drums", sets["drums"], store=store).windows("train", 8, shortest_bars=6)
        for store in (None, tmp_path)
    )
    assert len(plain) > len(load_data("drums", sets["drums"]).windows("train", 8))
    assert np.array_equal(kept.features[:], plain.features)


@pytest.mark.parametrize("form", FORMS)
def test_a_store_is_found_again_without_reading_the_set(form, sets, tmp_path, monkeypatch):
    n_bars = n_bars_of(form)
    load_data(form, sets[form], store=tmp_path).windows("train", n_bars)
    written = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    assert len(written) == 2

    def never(*_):
        raise AssertionError("the set is read again")

    monkeypatch.setattr(store_module, "_cut_file", never)
    load_data(form, sets[form], store=tmp_path).windows("train", n_bars)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == written


def test_a_store_knows_source_split_length_grid_and_reading(sets, tmp_path):
    folder = write_folder(
        tmp_path / "midi", [drummed_groove(np.random.default_rng(n), 4) for n in range(12)]
    )
    store = tmp_path / "store"

    def n_stores(n_bars=2, split="train", **how):
        source = load_data("drums", folder, store=store, **how)
        with contextlib.suppress(TooFewExamplesError):  # nothing of this set is on that grid
            source.windows(split, n_bars)
        return len(list(store.glob("*.npy")))

    assert [n_stores(), n_stores(), n_stores()] == [1, 1, 1]
    assert n_stores(n_bars=3) == 2
    assert n_stores(split="test") == 3
    assert n_stores(grid=Grid(3)) == 4
    assert n_stores(grid=Grid(4, 6)) == 5
    assert n_stores(drum_map=find_map("td-11")) == 6
    (folder / "00.mid").write_bytes((folder / "01.mid").read_bytes())
    os.utime(folder / "00.mid", (1, 1))
    assert n_stores() == 7


def test_many_files_are_cut_in_other_processes_as_here(tmp_path, monkeypatch):
    grooves = [drummed_groove(np.random.default_rng(n), 3) for n in range(12)]
    folder = write_folder(tmp_path / "midi", grooves)
    here = load_data("drums", folder, store=tmp_path / "here").windows("train", 2)
    # Not the app, which Streamlit's test driver leaves here: every new process would run it.
    monkeypatch.setitem(sys.modules, "__main__", ModuleType("__main__"))
    monkeypatch.setenv("TESTED_BY", str(os.getpid()))
    monkeypatch.setattr(store_module, "_FEW", 2)
    monkeypatch.setattr(store_module, "_BATCH", 3)
    monkeypatch.setattr(store_module, "_cut_file", _cut_elsewhere)
    shared = load_data(
        "drums", folder, store=tmp_path / "shared", drum_map=find_map("standard")
    ).windows("train", 2)
    assert len(here) > 10
    assert np.array_equal(here.features[:], shared.features[:])
    assert here.labels == shared.labels


_cut_file = store_module._cut_file


def _cut_elsewhere(*arguments):
    assert os.environ["TESTED_BY"] != str(os.getpid()), "it is cut in the process of the test"
    return _cut_file(*arguments)


@pytest.mark.parametrize("form", FORMS)
def test_too_few_windows_are_refused(form, sets, tmp_path):
    source = load_data(form, sets[form], store=tmp_path)
    n_bars = n_bars_of(form)
    n = len(source.windows("train", n_bars))
    with pytest.raises(TooFewExamplesError, match=f"has {n} windows of {n_bars} bars and {n + 1}"):
        source.windows("train", n_bars, minimum=n + 1)
    with pytest.raises(TooFewExamplesError, match="has 0 windows of 64 bars"):
        source.windows("train", 64)
    with pytest.raises(DataError, match="no data set"):
        load_data(form, tmp_path / "nowhere", store=tmp_path).windows("train", n_bars)


def test_unreadable_files_are_reported_once(sets, tmp_path, caplog):
    source = load_data("drums", sets["drums"], store=tmp_path)
    with caplog.at_level(logging.WARNING):
        for split in ("train", "validation", "test") * 2:
            source.windows(split, 2)
    assert [record.message for record in caplog.records if "left out" in record.message] == [
        caplog.records[0].message
    ]
    assert "not a MIDI file" in caplog.records[0].message


@pytest.mark.parametrize("suffix", [".npy", ".npz"])
@pytest.mark.parametrize("n_bytes", [0, 5, 200, -1])
def test_a_damaged_store_is_rebuilt(sets, tmp_path, suffix, n_bytes):
    source = load_data("line", sets["line"], store=tmp_path)
    plain = source.windows("train", 2).classes[:]
    (path,) = tmp_path.glob(f"*{suffix}")
    path.write_bytes(path.read_bytes()[:n_bytes])
    if suffix == ".npy":
        with pytest.raises(DamagedDataError, match="delete it"):
            _StoredRows(path)
    assert np.array_equal(source.windows("train", 2).classes[:], plain)


def test_an_aborted_write_leaves_nothing(tmp_path):
    def breaking():
        yield np.zeros((2, 4, 3), np.float32)
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        _write_rows(tmp_path / "rows.npy", breaking())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("dtype", [np.float32, np.uint8, np.uint16])
def test_numpy_reads_a_store(tmp_path, dtype):
    rows = np.arange(1200).reshape(100, 4, 3).astype(dtype)
    _write_rows(tmp_path / "rows.npy", iter([rows[:2], rows[2:2], rows[2:]]))
    assert np.array_equal(np.load(tmp_path / "rows.npy"), rows)
    kept = _StoredRows(tmp_path / "rows.npy")
    places = np.array([5, 6, 7, 0, 41, 41, -1])
    assert np.array_equal(kept[places], rows[places])
    assert kept[places[:0]].shape == (0, 4, 3)
    with pytest.raises(IndexError):
        kept[np.array([100])]


@pytest.mark.parametrize(
    "name", ["groove_2bar_tiny", "groove_lab_tiny", "melody_2bar_tiny", "trio_16bar_tiny"]
)
def test_training_from_a_store_is_training_from_memory(sets, tmp_path, name):
    form = {"melody_2bar_tiny": "line", "trio_16bar_tiny": "piece"}.get(name, "drums")
    chosen = override(preset(name), ["n_steps=4", "validate_every=4", "batch_size=8"])
    measured = [
        train(chosen, load_data(form, sets[form], store=store), tmp_path / run, device="cpu")
        for run, store in (("memory", None), ("files", tmp_path / "store"))
    ]
    for metrics in measured:
        del metrics["seconds"]
    assert measured[0] == measured[1]


def growth_of_memory(stored, n_bars):
    """How many bytes more are taken at once to draw from ten times the windows."""
    peaks = []
    for one in stored:
        tracemalloc.start()
        windows = one.windows("train", n_bars)
        for step in range(8):
            windows.batch(step, 16, augmentation=0.5, seed=3)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    return peaks[1] - peaks[0]


@pytest.mark.parametrize("name", ["groove_2bar_tiny", "melody_16bar_tiny", "trio_16bar_tiny"])
def test_ten_times_the_data_takes_less_memory_than_its_rows(tmp_path, name, monkeypatch):
    model = preset(name).model
    kind, stored, row_bytes = kind_of(model), [], []
    for n_copies in (1, 10):
        source, folder = tmp_path / f"set_{n_copies}", tmp_path / f"store_{n_copies}"
        bench_store._write_set(source, kind, model.grid, 2, n_copies)
        stored.append(load_data(kind.plays, source, store=folder))
        assert len(stored[-1].windows("train", model.n_bars)) > 100 * n_copies
        row_bytes.append(sum(path.stat().st_size for path in folder.glob("*.npy")))
    rows = row_bytes[1] - row_bytes[0]
    assert growth_of_memory(stored, model.n_bars) < 0.6 * rows
    monkeypatch.setattr(store_module, "_StoredRows", np.load)  # all rows in memory
    assert growth_of_memory(stored, model.n_bars) > rows
