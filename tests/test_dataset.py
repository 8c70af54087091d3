"""The data set: splits, windows, the cache, and what cannot be read."""

import csv
import errno
import io
import os
import time
import zipfile
from pathlib import Path

import midi_builders as midi
import numpy as np
import pytest
from tiny_data import dataset_of, drummed_groove, random_groove, write_folder

from musicvae_core.data import dataset as dataset_module
from musicvae_core.data.dataset import load_dataset
from musicvae_core.data.windows import SPLITS
from musicvae_core.errors import DamagedDataError, DataError, TooFewExamplesError
from musicvae_core.music.drums import CLOSED_HAT, SNARE
from musicvae_core.music.groove import Groove, groove_to_features
from musicvae_core.music.midi.maps import find_map
from musicvae_core.music.midi.write import write_midi

WINDOWS_OF_THE_REAL_SET = {
    2: (16_536, 2_055, 2_084),
    4: (15_694, 1_939, 1_919),
    16: (12_460, 1_446, 1_096),
}
COLUMNS = ("drummer", "style", "beat_type", "time_signature", "midi_filename", "split")
HEAD = "midi_filename,split,drummer,style,beat_type,time_signature"


def write_zip(path, rows, grooves, prefix="groove/"):
    """Write an archive laid out as the public one: a table, and files in folders."""
    table = io.StringIO()
    writer = csv.DictWriter(table, COLUMNS)
    writer.writeheader()
    writer.writerows(dict(zip(COLUMNS, row, strict=True)) for row in rows)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{prefix}info.csv", table.getvalue())
        archive.writestr(f"{prefix}README", "words")
        for name, groove in grooves.items():
            archive.writestr(prefix + name, write_midi(groove))
    return path


@pytest.fixture
def grooves():
    rng = np.random.default_rng(0)
    return [drummed_groove(rng, 3, tempo_bpm) for tempo_bpm in (90.0, 120.0, 150.0)]


@pytest.fixture
def archive(tmp_path, grooves):
    """Three performances, one of a split each, a row without a file and a file without a row."""
    names = [f"drummer{i}/session1/{i}_funk.mid" for i in range(3)]
    rows = [
        ("drummer0", "funk/groove1", "beat", "4-4", names[0], "train"),
        ("drummer1", "rock", "fill", "4-4", names[1], "validation"),
        ("drummer2", "latin/samba", "beat", "4-4", names[2], "test"),
        ("drummer9", "rock", "beat", "4-4", "drummer9/lost.mid", "train"),
    ]
    files = dict(zip(names, grooves, strict=True)) | {"drummer0/extra.mid": grooves[0]}
    return write_zip(tmp_path / "set.zip", rows, files)


def same(one, other):
    return all(
        getattr(one, name) == getattr(other, name)
        for name in ("labels", "grooves", "skipped", "dropped", "metres")
    )


def test_an_archive_is_read_by_its_table(archive, grooves, own_cache):
    dataset = load_dataset(archive)
    rows = [
        (label.name, label.split, label.drummer, label.style, label.beat_type, label.metre)
        for label in dataset.labels
    ]
    assert rows == [
        ("drummer0/session1/0_funk.mid", "train", "drummer0", "funk", "beat", "4-4"),
        ("drummer1/session1/1_funk.mid", "validation", "drummer1", "rock", "fill", "4-4"),
        ("drummer2/session1/2_funk.mid", "test", "drummer2", "latin", "beat", "4-4"),
    ]
    for read, written in zip(dataset.grooves, grooves, strict=True):
        assert np.array_equal(read.hits, written.hits)
        assert read.tempo_bpm == pytest.approx(written.tempo_bpm)
    assert dataset.metres == {"4-4": 3}


def test_an_unpacked_archive_reads_as_the_archive(archive, tmp_path, own_cache):
    with zipfile.ZipFile(archive) as packed:
        packed.extractall(tmp_path / "unpacked")
    for folder in (tmp_path / "unpacked", tmp_path / "unpacked" / "groove"):
        assert same(load_dataset(folder), load_dataset(archive))


def test_a_folder_is_split_by_file_in_tenths_by_a_fixed_seed(midi_folder, tmp_path):
    first = load_dataset(midi_folder, tmp_path / "one")
    again = load_dataset(midi_folder, tmp_path / "two")
    splits = [label.split for label in first.labels]
    assert [splits.count(split) for split in SPLITS] == [16, 2, 2]
    assert len({label.name for label in first.labels}) == 20
    assert splits != sorted(splits, key=SPLITS.index)
    assert same(first, again)


def test_files_in_folders_of_folders_are_found(tmp_path, grooves, own_cache):
    write_folder(tmp_path / "midi" / "a" / "b", grooves[:1])
    (tmp_path / "midi" / "c.MIDI").write_bytes(write_midi(grooves[1]))
    (tmp_path / "midi" / "notes.txt").write_text("words")
    names = {label.name for label in load_dataset(tmp_path / "midi").labels}
    assert names == {"a/b/00.mid", "c.MIDI"}


def test_unreadable_files_are_counted_by_reason(tmp_path, grooves, own_cache):
    folder = write_folder(tmp_path / "midi", grooves)
    (folder / "broken.mid").write_bytes(b"no MIDI")
    (folder / "empty.mid").write_bytes(b"")
    dataset = load_dataset(folder)
    assert len(dataset.labels) == len(dataset.grooves) == 3
    assert sorted(dataset.skipped.values()) == [1, 1]
    assert any(reason.startswith("This is not a MIDI file.") for reason in dataset.skipped)


def test_a_missing_file_is_reported_with_the_way_to_get_it(tmp_path, own_cache):
    with pytest.raises(DataError, match="--download"):
        load_dataset(tmp_path / "nowhere.zip")


def test_a_place_without_drums_is_refused(tmp_path, own_cache):
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="There is no MIDI file"):
        load_dataset(tmp_path / "empty")
    (tmp_path / "empty" / "broken.mid").write_bytes(b"no MIDI")
    with pytest.raises(DataError, match="1 file: This is not a MIDI file"):
        load_dataset(tmp_path / "empty")
    (tmp_path / "text.zip").write_text("words")
    with pytest.raises(DataError, match="not a zip archive"):
        load_dataset(tmp_path / "text.zip")


@pytest.mark.parametrize(
    ("head", "missing"),
    [
        ("drummer,style,beat_type,time_signature,midi_filename", "split"),
        ("midi_filename,split,drummer,style", "beat_type, time_signature"),
        ("", "midi_filename, split, drummer, style, beat_type, time_signature"),
    ],
)
def test_a_table_without_its_columns_is_refused_with_those_it_lacks(
    tmp_path, grooves, own_cache, head, missing
):
    folder = write_folder(tmp_path / "midi", grooves)
    (folder / "info.csv").write_text(f"{head}\n00.mid,a,b,c,d\n")
    with pytest.raises(DamagedDataError, match=f"no column {missing}; restore it, or remove it"):
        load_dataset(folder)


@pytest.mark.parametrize(
    ("rows", "encoding", "complaint"),
    [
        ("00.mid,Train,drummer1,rock,beat,4-4", "utf-8", "puts 00.mid in the split 'Train'"),
        ("00.mid,train,drümmer,rock,beat,4-4", "latin-1", "is not text in UTF-8"),
    ],
)
def test_a_broken_table_is_refused_in_a_sentence(
    tmp_path, grooves, own_cache, rows, encoding, complaint
):
    folder = write_folder(tmp_path / "midi", grooves)
    (folder / "info.csv").write_text(f"{HEAD}\n{rows}\n", encoding=encoding)
    with pytest.raises(DamagedDataError, match=complaint):
        load_dataset(folder)


def test_a_table_may_bear_a_mark_and_rows_without_all_that_is_not_needed(
    tmp_path, grooves, own_cache
):
    folder = write_folder(tmp_path / "midi", grooves)
    table = f"{HEAD}\n00.mid,train\n01.mid,test,drummer1,rock,beat,4-4\n"
    (folder / "info.csv").write_text(table, encoding="utf-8-sig")
    (folder / "album_info.csv").write_text("words")
    labels = load_dataset(folder).labels
    assert [(label.name, label.style) for label in labels] == [("00.mid", ""), ("01.mid", "rock")]


def test_an_archive_that_is_not_whole_is_refused_by_the_file(archive, own_cache):
    content = bytearray(archive.read_bytes())
    with zipfile.ZipFile(archive) as packed:
        damaged = next(one for one in packed.infolist() if one.filename.endswith("1_funk.mid"))
    content[damaged.header_offset + 30 + len(damaged.filename) + 20] ^= 0xFF
    archive.write_bytes(content)
    with pytest.raises(DamagedDataError, match=r"cannot be read at .*1_funk\.mid"):
        load_dataset(archive)


def test_a_folder_named_as_a_file_is_passed_over(tmp_path, grooves, own_cache):
    folder = write_folder(tmp_path / "midi", grooves)
    write_folder(folder / "x.mid", grooves[:1])
    dataset = load_dataset(folder)
    names = {label.name for label in dataset.labels}
    assert names == {"00.mid", "01.mid", "02.mid", "x.mid/00.mid"}
    assert dataset.skipped == {}


@pytest.mark.parametrize("n_bars", [1, 2, 4])
def test_windows_are_a_bar_apart_and_never_across_performances(n_bars):
    rng = np.random.default_rng(0)
    lengths, tempos = (5, 1, 4), (70.0, 80.0, 90.0)
    grooves = [random_groove(rng, n, tempo) for n, tempo in zip(lengths, tempos, strict=True)]
    dataset = dataset_of({"test": grooves, "train": [random_groove(rng, 9)]})
    windows = dataset.windows("test", n_bars)
    expected = [
        (index, start)
        for index, length in enumerate(lengths)
        for start in range(length - n_bars + 1)
    ]
    starts = zip(windows.performance.tolist(), windows.start_bar.tolist(), strict=True)
    assert list(starts) == expected
    assert len(windows) == len(expected)
    assert [label.name for label in windows.labels] == ["test0.mid", "test1.mid", "test2.mid"]
    assert windows.features.dtype == np.float32
    for (index, start), features, tempo_bpm in zip(
        expected, windows.features, windows.tempos_bpm, strict=True
    ):
        assert np.array_equal(features, groove_to_features(grooves[index].bars(start, n_bars)))
        assert tempo_bpm == tempos[index]


def test_too_few_windows_are_refused_with_their_number():
    dataset = dataset_of({"train": [Groove.silent(3)]})
    assert len(dataset.windows("train", 2, minimum=2)) == 2
    with pytest.raises(TooFewExamplesError, match="has 2 windows of 2 bars and 3 are needed"):
        dataset.windows("train", 2, minimum=3)
    with pytest.raises(TooFewExamplesError, match="has 0 windows of 4 bars"):
        dataset.windows("train", 4)
    with pytest.raises(TooFewExamplesError, match="test split has 0 windows"):
        dataset.windows("test", 1)


def test_taking_windows_takes_all_that_belongs_to_them():
    rng = np.random.default_rng(0)
    windows = dataset_of({"train": [random_groove(rng, 4), random_groove(rng, 3)]}).windows(
        "train", 2
    )
    taken = windows.take(np.array([4.0, 0.9, 4.0]))
    assert len(taken) == 3
    for name in ("features", "tempos_bpm", "performance", "start_bar"):
        assert np.array_equal(getattr(taken, name), getattr(windows, name)[[4, 0, 4]])
    assert taken.labels == windows.labels


@pytest.fixture
def reads(monkeypatch):
    """Count the files that are read afresh."""
    names = []
    read_midi = dataset_module.read_midi
    monkeypatch.setattr(
        dataset_module,
        "read_midi",
        lambda content, **how: names.append(1) or read_midi(content, **how),
    )
    return names


@pytest.fixture
def folder(tmp_path, grooves):
    folder = write_folder(tmp_path / "midi", grooves)
    (folder / "broken.mid").write_bytes(b"no MIDI")
    return folder


def test_the_cache_gives_what_a_fresh_reading_gives(folder, own_cache, reads):
    fresh, cached = load_dataset(folder), load_dataset(folder)
    assert len(reads) == 4
    assert same(fresh, cached)
    assert all(path.suffix == ".npz" for path in own_cache.iterdir())


def test_a_file_that_changes_is_read_again(folder, own_cache, reads, grooves):
    before = load_dataset(folder)
    changed = folder / "00.mid"
    status = changed.stat()
    changed.write_bytes(write_midi(Groove.from_hits(grooves[0].hits, 0.5)))
    os.utime(changed, ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    after = load_dataset(folder)
    assert len(reads) == 8
    assert after.grooves[0] != before.grooves[0]
    assert after.grooves[1:] == before.grooves[1:]
    (folder / "more.mid").write_bytes(write_midi(grooves[2]))
    assert len(load_dataset(folder).labels) == 4


@pytest.mark.parametrize("damage", ["empty", "text", "cut", "foreign"])
def test_a_damaged_cache_is_rebuilt(folder, own_cache, reads, damage, caplog):
    fresh = load_dataset(folder)
    (cache,) = own_cache.iterdir()
    whole = cache.read_bytes()
    if damage == "foreign":
        np.savez(cache, other=np.zeros(3))
    else:
        contents = {"empty": b"", "text": b"words", "cut": whole[: len(whole) // 2]}
        cache.write_bytes(contents[damage])
    assert same(load_dataset(folder), fresh)
    assert "damaged" in caplog.text
    reads.clear()
    assert same(load_dataset(folder), fresh)
    assert reads == []


def test_without_room_for_a_cache_the_data_is_read_all_the_same(folder, tmp_path, caplog):
    (tmp_path / "file").write_text("in the way")
    dataset = load_dataset(folder, tmp_path / "file" / "cache")
    assert len(dataset.labels) == 3
    assert "could not be cached" in caplog.text


def test_a_cache_on_a_full_disk_leaves_no_partial_file(folder, own_cache, monkeypatch, caplog):
    def fill(part, content):
        with part.open("wb") as file:
            file.write(content[:100])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", fill)
    assert len(load_dataset(folder).labels) == 3
    assert "could not be cached" in caplog.text
    assert list(own_cache.iterdir()) == []


@pytest.fixture(scope="module")
def real_cache(real_archive, tmp_path_factory):
    """A cache of the real data set, and the processor time that making it took."""
    folder = tmp_path_factory.mktemp("cache")
    started = time.process_time()
    load_dataset(real_archive, folder)
    return folder, time.process_time() - started


@pytest.mark.slow
def test_the_real_data_set_is_read_and_cached_in_time(real_archive, real_cache):
    folder, cold_seconds = real_cache
    started = time.process_time()
    dataset = load_dataset(real_archive, folder)
    assert time.process_time() - started < 0.5 * 3  # slack for a machine that is busy
    assert cold_seconds < 15
    assert len(dataset.labels) == 1138
    assert dataset.skipped.total() == 12
    assert all("only 4/4 is supported" in reason for reason in dataset.skipped)
    assert dataset.metres["4-4"] == 1138


@pytest.mark.slow
@pytest.mark.parametrize("n_bars", WINDOWS_OF_THE_REAL_SET)
def test_windows_of_the_real_data_set(real_archive, real_cache, n_bars):
    dataset = load_dataset(real_archive, real_cache[0])
    counts = tuple(len(dataset.windows(split, n_bars)) for split in SPLITS)
    assert counts == WINDOWS_OF_THE_REAL_SET[n_bars]


def test_short_performances_are_repeated_from_each_of_their_bars_on():
    rng = np.random.default_rng(0)
    lengths = (2, 3, 9)
    grooves = [random_groove(rng, n_bars) for n_bars in lengths]
    dataset = dataset_of({"train": grooves})
    assert len(dataset.windows("train", 8)) == 2
    windows = dataset.windows("train", 8, shortest_bars=3)
    assert windows.performance.tolist() == [1, 1, 1, 2, 2]
    assert windows.start_bar.tolist() == [0, 1, 2, 0, 1]
    bars = windows.features.reshape(5, 8, 16, -1)
    for first in range(3):
        expected = [(first + bar) % 3 for bar in range(8)]
        own = windows.features[0].reshape(8, 16, -1)[:3]
        np.testing.assert_array_equal(bars[first], own[expected])


def track_on_channel_1(name, pitch):
    hits = (midi.note(delta, pitch, channel=0) for delta in (0, 480))
    return midi.track(midi.name(name), *hits, midi.end(1))


def test_drums_of_a_folder_are_found_and_tracks_and_a_map_can_be_chosen(tmp_path, own_cache):
    tracks = [track_on_channel_1(*one) for one in (("BD", 36), ("SD", 38), ("Congas", 63))]
    (tmp_path / "song.mid").write_bytes(midi.midi_file(*tracks))
    (tmp_path / "tune.mid").write_bytes(midi.midi_file(track_on_channel_1("Tune", 72)))
    found = load_dataset(tmp_path)
    assert [groove.n_hits for groove in found.grooves] == [4]
    assert "Choose tracks to read as drums: Tune." in next(iter(found.skipped))
    chosen = load_dataset(tmp_path, tracks=["SD", "Congas"], drum_map=find_map("ezdrummer"))
    hits = chosen.grooves[0].hits.any(axis=0)
    assert np.flatnonzero(hits).tolist() == [SNARE, CLOSED_HAT]
    assert load_dataset(tmp_path).grooves == found.grooves
    with pytest.raises(DataError, match="no track 'Kit'"):
        load_dataset(tmp_path, tracks="Kit")
