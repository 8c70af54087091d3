"""MIDI files and data sets on grids other than sixteenths in 4/4: what is written is read again."""

import numpy as np
import pytest
from test_grid import TRIPLETS, WALTZ, any_groove
from test_grids_of_models import FLAT, LAB, checkpoint_on, line_on, music_on
from tiny_data import write_folder

from musicvae_core.cli.main import main
from musicvae_core.data.dataset import load_dataset
from musicvae_core.data.lines import load_lines
from musicvae_core.data.trios import load_trios
from musicvae_core.errors import MidiError
from musicvae_core.models.checkpoint import save_checkpoint
from musicvae_core.music.grid import COMMON_TIME, Grid
from musicvae_core.music.line_attributes import line_attributes
from musicvae_core.music.line_midi import read_line, read_piece
from musicvae_core.music.midi.read import read_midi, read_rhythm
from musicvae_core.music.midi.write import write_line, write_midi, write_piece

GRIDS = [WALTZ, TRIPLETS, Grid(5, 4), Grid(3, 3)]
on_each = pytest.mark.parametrize("grid", GRIDS, ids=str)


@on_each
def test_drums_are_read_as_they_were_written(grid):
    groove = any_groove(grid)
    reading = read_midi(write_midi(groove, loop=True), grid=grid)
    assert (reading.groove.grid, reading.groove.n_bars) == (grid, 3)
    assert np.array_equal(reading.groove.hits, groove.hits)
    assert np.abs(reading.groove.offsets - groove.offsets).max() <= 1 / grid.ticks_per_step
    assert read_rhythm(write_midi(groove), grid=grid).groove.grid == grid
    silent = groove.padded(4).bars(3, 1)
    late = type(groove).joined([silent, silent, groove])
    found = read_midi(write_midi(late), grid=grid)
    assert found.n_silent_bars == 2
    assert found.from_first_hit().groove.n_bars == 3


@on_each
def test_lines_and_pieces_are_read_as_they_were_written(grid):
    line = line_on(grid, 3)
    reading = read_line(write_line(line), grid=grid)
    assert reading.line.grid == grid
    assert np.array_equal(reading.line.pitches, line.pitches)
    assert reading.is_on_grid.all()
    piece = music_on("trio_16bar_tiny", grid, 3)
    read = read_piece(write_piece(piece), grid=grid).piece
    assert read.grid == grid
    assert read.n_bars == 3
    assert np.array_equal(read.drums.hits, piece.drums.hits)


def test_a_file_in_another_metre_is_refused_by_name():
    waltz, common = write_midi(any_groove(WALTZ)), write_midi(any_groove(COMMON_TIME))
    with pytest.raises(MidiError, match=r"in 3/4 in bar 1; only 4/4 is supported"):
        read_midi(waltz)
    with pytest.raises(MidiError, match=r"in 4/4 in bar 1; only 3/4 is supported"):
        read_midi(common, grid=WALTZ)


def test_a_data_set_is_read_and_cached_for_each_grid(tmp_path):
    grooves = [any_groove(WALTZ, 4, seed) for seed in range(3)]
    folder, cache = write_folder(tmp_path / "midi", grooves), tmp_path / "cache"
    fresh = load_dataset(folder, cache, grid=WALTZ)
    cached = load_dataset(folder, cache, grid=WALTZ)
    assert fresh.grooves == cached.grooves
    assert fresh.grid == cached.grid == WALTZ
    assert len(list(cache.iterdir())) == 1
    windows = cached.windows("train", 2)
    assert windows.grid == WALTZ
    assert windows.features.shape == (9, 24, 27)
    (folder / "common.mid").write_bytes(write_midi(any_groove(COMMON_TIME)))
    assert len(load_dataset(folder, cache).grooves) == 1
    assert len(load_dataset(folder, cache, grid=WALTZ).grooves) == 3


def test_sets_of_lines_and_of_trios_are_read_on_a_grid(tmp_path):
    tunes, songs = tmp_path / "tunes", tmp_path / "songs"
    tunes.mkdir()
    songs.mkdir()
    for seed in range(3):
        (tunes / f"{seed}.mid").write_bytes(write_line(line_on(WALTZ, 4, 60 + seed)))
        piece = music_on("trio_16bar_tiny", WALTZ, 4)
        (songs / f"{seed}.mid").write_bytes(write_piece(piece))
    assert load_lines(tunes, grid=WALTZ).windows("train", 2).features[:].shape == (9, 24, 90)
    found = load_trios(songs, grid=WALTZ).windows("train", 2)
    assert found.classes.shape == (9, 24, 3)


def test_attributes_of_a_line_know_its_beats_and_bars():
    waltz = line_attributes(line_on(WALTZ, 4))
    assert waltz["on_the_beat"] == 1
    assert (waltz["note_density"], waltz["rhythm_alike_1"]) == (3, 1)
    triplets = line_attributes(line_on(TRIPLETS, 4))
    assert triplets["on_the_beat"] == 1
    assert triplets["sixteenth_syncopation"] == triplets["eighth_syncopation"] == 0


def test_commands_read_files_on_the_grid_of_their_model(tmp_path):
    ends = [tmp_path / f"{seed}.mid" for seed in range(2)]
    for seed, path in enumerate(ends):
        path.write_bytes(write_midi(any_groove(WALTZ, 2, seed)))
    for name in (FLAT, LAB):
        save_checkpoint(checkpoint_on(name, WALTZ), tmp_path / name)
    out = tmp_path / "humanized.mid"
    commands = [
        ["interpolate", tmp_path / FLAT, *ends, "--steps", 3, "--out", tmp_path / "morph"],
        ["humanize", ends[0], out, "--checkpoint", tmp_path / LAB],
        ["transfer", ends[0], out, "--feel", ends[1], "--checkpoint", tmp_path / LAB],
    ]
    for words in commands:
        assert main([str(word) for word in words]) == 0
    written = [out, *(tmp_path / "morph").glob("*.mid")]
    assert len(written) == 5
    assert {read_midi(path, grid=WALTZ).groove.grid for path in written} == {WALTZ}
