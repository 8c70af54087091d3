"""Sets of melodies: tables, splits, which windows count, batches of training."""

import csv
import io
import zipfile

import numpy as np
import pytest

from musicvae_core.data.lines import _transpose, _window_bars, load_lines
from musicvae_core.errors import DamagedDataError, DataError, TooFewExamplesError
from musicvae_core.music.line import (
    FIRST_PITCH_CLASS,
    LINE_CLASSES,
    Line,
    Note,
    line_to_classes,
)
from musicvae_core.music.line_midi import read_line
from musicvae_core.music.midi.write import write_line

COLUMNS = ["file", "title", "collection", "split", "credit"]


def tune(n_bars, pitches=(60, 62, 64, 65), skipped=()):
    """Return a line of quarter notes that leaves out some bars."""
    notes = [
        Note(16 * bar + 4 * beat, 4, pitches[beat % len(pitches)], 0.8)
        for bar in range(n_bars)
        for beat in range(4)
        if bar not in skipped
    ]
    return Line.from_notes(notes, n_bars)


def archive(path, rows, columns=COLUMNS, **files):
    """Write a zip with an index.csv of (file, collection, split) rows and one tune a row."""
    text = io.StringIO()
    table = csv.DictWriter(text, columns, extrasaction="ignore")
    table.writeheader()
    with zipfile.ZipFile(path, "w") as made:
        for name, collection, split, line in rows:
            table.writerow({"file": name, "title": name, "collection": collection, "split": split})
            made.writestr(name, write_line(line))
        made.writestr("index.csv", text.getvalue())
    return path


@pytest.fixture
def folder(tmp_path):
    rows = [
        (f"midi/{i}.mid", "folk", split, tune(4))
        for i, split in enumerate(["train"] * 6 + ["validation", "test"])
    ]
    archive(tmp_path / "melody_folk.zip", rows)
    archive(tmp_path / "melody_art.zip", [("a.mid", "art", "train", tune(3, (70, 72)))])
    archive(tmp_path / "duo_other.zip", [("a.mid", "duo", "train", tune(3))])
    return tmp_path


def test_the_melody_zips_of_a_folder_are_read_together_with_their_splits(folder):
    dataset = load_lines(folder)
    assert len(dataset.labels) == 9
    train = dataset.windows("train", 2)
    assert len(train) == 6 * 3 + 2
    assert sorted(set(train.collections())) == ["art", "folk"]
    assert len(dataset.windows("validation", 2)) == len(dataset.windows("test", 2)) == 3
    first = next(i for i, label in enumerate(dataset.labels) if label.collection == "folk")
    expected = line_to_classes(dataset.readings[first].line.bars(1, 2))
    folk = train.take(np.flatnonzero(train.collections() == "folk"))
    assert folk.start_bar[1] == 1
    assert np.array_equal(folk.classes[1], expected)
    assert np.array_equal(folk.features[1:2][0], LINE_CLASSES.table[expected])


def test_a_folder_of_midi_is_split_by_file(tmp_path):
    for index in range(20):
        (tmp_path / f"{index:02d}.mid").write_bytes(write_line(tune(2)))
    (tmp_path / "broken.mid").write_bytes(b"not MIDI")
    dataset = load_lines(tmp_path)
    splits = [label.split for label in dataset.labels]
    assert {split: splits.count(split) for split in set(splits)}.keys() == {
        "train",
        "validation",
        "test",
    }
    assert [(n, why[:24]) for why, n in dataset.skipped.items()] == [
        (1, "This is not a MIDI file.")
    ]
    assert [label.name for label in load_lines(tmp_path).labels] == [
        label.name for label in dataset.labels
    ]


def test_paths_without_a_data_set_are_refused(tmp_path, folder):
    with pytest.raises(DataError, match="no data set"):
        load_lines(tmp_path / "nowhere")
    (tmp_path / "text.txt").write_text("text")
    with pytest.raises(DataError, match="not a zip"):
        load_lines(tmp_path / "text.txt")
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(DataError, match="no MIDI file"):
        load_lines(empty)
    with pytest.raises(TooFewExamplesError, match="20 windows of 2 bars and 21"):
        load_lines(folder).windows("train", 2, minimum=21)


def test_a_broken_table_is_refused_with_what_is_wrong(tmp_path):
    path = archive(tmp_path / "a.zip", [("a.mid", "art", "dress", tune(2))])
    with pytest.raises(DamagedDataError, match=r"split 'dress'.*train, validation, test"):
        load_lines(path)
    rows = [("a.mid", "art", "train", tune(2))]
    path = archive(tmp_path / "b.zip", rows, columns=COLUMNS[:3])
    with pytest.raises(DamagedDataError, match="no column split, credit"):
        load_lines(path)


def test_windows_that_are_silent_for_a_bar_or_of_one_pitch_do_not_count():
    whole = read_line(write_line(tune(4)))
    assert _window_bars(whole, 2) == [0, 1, 2]
    assert _window_bars(whole, 16) == []
    silent_bar = read_line(write_line(tune(6, skipped={2})))
    assert _window_bars(silent_bar, 2) == [0, 3, 4]
    assert _window_bars(read_line(write_line(tune(4, (60,)))), 2) == []
    two_pitches = read_line(write_line(tune(4, (60, 62))))
    assert _window_bars(two_pitches, 2) == [0, 1, 2]
    assert _window_bars(two_pitches, 3) == []


def test_fifteen_silent_steps_count_and_sixteen_do_not():
    for gap, expected in ((15, [0]), (16, [])):
        notes = [Note(0, 8, 60, 0.8), Note(8 + gap, 24 - gap, 62, 0.8)]
        line = Line.from_notes(notes, 2)
        assert _window_bars(read_line(write_line(line)), 2) == expected


def test_windows_with_too_many_onsets_off_the_grid_do_not_count():
    reading = read_line(write_line(tune(3)))
    loose = reading.is_on_grid.copy()
    loose[8] = False  # the first of bar 3: one of eight in the second window
    changed = type(reading)(**{**vars(reading), "is_on_grid": loose})
    assert _window_bars(changed, 2) == [0]


def test_transposition_moves_all_of_a_window_alike_and_stays_on_the_piano():
    rng = np.random.default_rng(0)
    classes = np.tile(line_to_classes(tune(2)).astype(np.uint8), (400, 1))
    classes[0, 0], classes[1, 0] = FIRST_PITCH_CLASS, LINE_CLASSES.n_classes - 1
    moved, _ = _transpose(classes, 0.75, rng)
    is_pitch = classes >= FIRST_PITCH_CLASS
    assert np.array_equal(moved >= FIRST_PITCH_CLASS, is_pitch)
    assert np.array_equal(moved[~is_pitch], classes[~is_pitch])
    steps = [np.unique((moved - classes.astype(int))[i][is_pitch[i]]) for i in range(400)]
    assert all(len(one) == 1 for one in steps)
    amounts = np.array([one[0] for one in steps])
    assert set(amounts[2:].tolist()) == set(range(-6, 7))
    assert amounts[0] >= 0
    assert amounts[1] <= 0
    assert (amounts == 0).mean() == pytest.approx(0.25 + 0.75 / 13, abs=0.06)


def test_variants_of_windows_are_the_same_tunes_in_other_keys(folder):
    windows = load_lines(folder).windows("train", 2)
    one, same, other = (windows.varied(seed).classes for seed in (0, 0, 1))
    assert one.dtype == windows.classes.dtype
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)
    moves = one.astype(int) - windows.classes
    is_pitch = windows.classes >= FIRST_PITCH_CLASS
    assert (moves[~is_pitch] == 0).all()
    for move, where in zip(moves, is_pitch, strict=True):
        assert len(set(move[where])) == 1
    assert np.abs(moves).max() <= 6


def test_batches_follow_from_seed_and_step_and_favour_small_collections(folder):
    train = load_lines(folder).windows("train", 2)
    draw = {"batch_size": 500, "augmentation": 0.5, "seed": 3}
    batch = train.batch(0, **draw)
    assert batch.shape == (500, 32, 90)
    assert np.array_equal(batch, train.batch(0, **draw))
    assert not np.array_equal(batch, train.batch(1, **draw))
    plain = train.batch(0, 2000, augmentation=0.0, seed=0)
    art = (plain == train.features[:2][0]).all(axis=(1, 2)) | (plain == train.features[:2][1]).all(
        axis=(1, 2)
    )
    assert train.collections()[:2].tolist() == ["art", "art"]
    assert art.mean() == pytest.approx(2**0.5 / (2**0.5 + 18**0.5), abs=0.03)
