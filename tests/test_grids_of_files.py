"""MIDI files and data sets on grids other than sixteenths in 4/4: what is written is read again."""

import io

import mido
import numpy as np
import pytest
import soundfile
from test_grid import TRIPLETS, WALTZ, any_groove
from test_grids_of_models import FLAT, LAB, checkpoint_on, line_on, music_on
from tiny_data import write_folder

from musicvae_core.cli.main import main
from musicvae_core.data.dataset import load_dataset
from musicvae_core.data.lines import load_lines
from musicvae_core.data.trios import load_trios
from musicvae_core.errors import MidiError
from musicvae_core.models.checkpoint import save_checkpoint
from musicvae_core.music.drums import CLOSED_HAT
from musicvae_core.music.grid import COMMON_TIME, Grid, MetreMap
from musicvae_core.music.groove import Groove
from musicvae_core.music.line import Line, Note
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


@pytest.mark.parametrize("grid", [*GRIDS, COMMON_TIME], ids=str)
def test_a_file_says_its_own_grid(grid):
    """Drums are a little late on the coarsest steps where none meet; lines begin on a step."""
    coarsest = Grid(grid.beats_per_bar, {3: 4}.get(grid.steps_per_beat, grid.steps_per_beat))
    exact = Grid(grid.beats_per_bar, {3: 6}.get(grid.steps_per_beat, grid.steps_per_beat))
    hits = np.zeros((3 * grid.steps_per_bar, 9), bool)
    hits[:, CLOSED_HAT] = hits[0] = True
    groove = Groove.from_hits(hits, grid=grid)
    read = read_midi(write_midi(groove), grid=None).groove
    assert (read.grid, read.n_hits, read.n_bars) == (coarsest, groove.n_hits, 3)
    line = Line.from_notes([Note(n, 1, 60 + n % 2, 0.5) for n in range(len(hits))], 3, grid=grid)
    read_again = read_line(write_line(line), grid=None).line
    assert (read_again.grid, read_again.n_notes) == (exact, line.n_notes)


def test_bars_that_other_bars_fill_are_read_in_them_and_others_refused():
    for metre, beats_per_bar in (((2, 2), 4), ((4, 2), 4), ((8, 8), 4), ((1, 4), 4), ((3, 4), 3)):
        found = MetreMap(((0.0, *metre),))
        assert found.beats_per_bar(32) == beats_per_bar
        assert found.check(beats_per_bar, 32) == (
            [] if metre == (3, 4) else [f"Bars of {metre[0]}/{metre[1]} are read as bars of 4/4."]
        )
    for metre in ((6, 8), (12, 8), (5, 8), (7, 4), (3, 2)):
        with pytest.raises(MidiError, match="only 4/4 is supported"):
            MetreMap(((0.0, *metre),)).check(4, 32)
    odd = MetreMap(((0.0, 4, 4), (16.0, 2, 4), (22.0, 4, 4)))  # three bars of 2/4
    assert odd.check(4, 16) == []
    with pytest.raises(MidiError, match="in 2/4 in bar 5"):
        odd.check(4, 32)


def test_a_short_bar_with_notes_is_not_left_out():
    line = Line.from_notes([Note(4 * n, 4, 60 + n % 3, 0.5) for n in range(10)], 3)
    song = mido.MidiFile(file=io.BytesIO(write_line(line)))
    song.tracks[0] = mido.MidiTrack([m for m in song.tracks[0] if m.type != "time_signature"])
    for time, beats in ((0, 4), (4 * 480, 2), (2 * 480, 4)):
        song.tracks.append(
            mido.MidiTrack([mido.MetaMessage("time_signature", numerator=beats, time=time)])
        )
    song.tracks[-1][0].time = 6 * 480
    written = io.BytesIO()
    song.save(file=written)
    with pytest.raises(MidiError, match="in 2/4 in bar 2"):
        read_line(written.getvalue())


@pytest.mark.usefixtures("sound")
def test_render_plays_a_file_on_its_own_grid(tmp_path):
    groove = any_groove(Grid(3, 6), 4)
    (tmp_path / "in.mid").write_bytes(write_midi(groove, loop=True))
    assert main(["render", str(tmp_path / "in.mid"), str(tmp_path / "out.wav")]) == 0
    seconds = soundfile.info(tmp_path / "out.wav").duration
    assert seconds == pytest.approx(groove.duration_seconds, abs=0.01)
