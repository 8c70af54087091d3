"""Pieces: parts together, as MIDI, as share codes, and as sound in balance."""

import io

import mido
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter
from test_line import lines
from test_line_midi import midi, quarters

from musicvae_core.errors import (
    InvalidMusicError,
    MidiError,
    NoMelodyError,
    ShareCodeError,
)
from musicvae_core.music.grid import Grid
from musicvae_core.music.groove import Groove
from musicvae_core.music.line import Line, Note
from musicvae_core.music.line_midi import read_piece
from musicvae_core.music.midi.write import write_piece
from musicvae_core.music.piece import _MAX_LINES, Piece
from musicvae_core.music.share import (
    _PIECE_PREFIX,
    Shared,
    read_share_code,
    write_share_code,
)
from musicvae_core.sound.render import Renderer, render_music

FLUTE, BASS_GUITAR = 73, 33


def band(n_bars=2, tempo_bpm=96.0):
    """Return a melody of quarters, a bass of halves and a kick a beat with some feel."""
    n_beats = 4 * n_bars
    melody = [Note(4 * i, 4, 72 + i % 5, 80 / 127) for i in range(n_beats)]
    bass = [Note(8 * i, 6, 36 + i % 3, 100 / 127) for i in range(n_beats // 2)]
    hits = np.zeros((16 * n_bars, 9), bool)
    hits[::4, 0] = True
    return Piece(
        {
            "melody": Line.from_notes(melody, n_bars, tempo_bpm, FLUTE),
            "bass": Line.from_notes(bass, n_bars, tempo_bpm, BASS_GUITAR),
            "drums": Groove.from_hits(hits, 90 / 127, 6 / 120, tempo_bpm),
        }
    )


def test_parts_are_of_one_length_tempo_and_grid():
    piece = band()
    assert (piece.n_bars, piece.n_steps, piece.tempo_bpm, piece.grid) == (2, 32, 96.0, Grid())
    assert piece.duration_seconds == pytest.approx(32 * piece.step_seconds)
    assert list(piece.lines) == ["melody", "bass"]
    assert piece.drums is piece["drums"]
    assert piece.only(["bass"]).drums is None
    line = piece["melody"]
    waltz = Line.from_notes([], 2, 96.0, grid=Grid(3))
    wrong = [{}, {"": line}, {"a": line, "b": piece.drums, "c": piece.drums}]
    wrong += [{"a": line, "b": other} for other in (line.at_tempo(80), line.bars(0, 1), waltz)]
    wrong.append({str(index): line for index in range(_MAX_LINES + 1)})
    for parts in wrong:
        with pytest.raises(InvalidMusicError):
            Piece(parts)
    with pytest.raises(InvalidMusicError):
        piece.only([])


def test_parts_of_other_lengths_and_tempos_come_together():
    line = Line.from_notes([Note(0, 4, 60, 0.5)], 1, 120.0)
    piece = Piece.together({"melody": line, "drums": Groove.silent(3, 90.0)})
    assert (piece.n_bars, piece.tempo_bpm) == (3, 120.0)
    assert list(piece["melody"].notes()) == [Note(0, 4, 60, 0.5)]
    assert Piece.together({"melody": line}, 77.0).tempo_bpm == 77.0


def test_pieces_are_cut_repeated_transposed_and_their_parts_replaced():
    piece = band()
    assert piece.repeated(4).bars(2, 2) == piece
    assert piece.at_tempo(60).tempo_bpm == 60
    higher = piece.transposed(12)
    assert higher.drums == piece.drums
    assert [note.pitch for note in higher["bass"].notes()] == [48, 49, 50, 48]
    swapped = piece.with_parts({"bass": higher["bass"]})
    assert (swapped["bass"], swapped["melody"]) == (higher["bass"], piece["melody"])
    assert swapped != piece
    assert swapped.with_parts({"bass": piece["bass"]}) == piece
    assert hash(band()) == hash(piece)


@given(lines(), st.booleans())
def test_a_text_gives_lines_and_pieces_back_exactly(line, has_drums):
    parts = {"melody": line, "low": line.at_tempo(97.5)}
    if has_drums:
        parts["drums"] = Groove.from_hits(np.eye(9)[np.arange(line.n_steps) % 9], 0.3, 0.1, 97.5)
    adapter = TypeAdapter(Piece)
    assert adapter.validate_json(adapter.dump_json(Piece(parts))) == Piece(parts)
    assert Line.from_text(line.to_text()) == line


def test_a_waltz_keeps_its_grid_as_a_text():
    waltz = Line.from_notes([Note(0, 30, 60, 1.0)], 3, grid=Grid(3))
    assert (waltz.n_steps, waltz.n_bars, waltz.bars(2, 1).n_notes) == (36, 3, 1)
    assert Line.from_text(waltz.to_text()) == waltz


@pytest.mark.parametrize("text", ["", "[]", "[[1]]", '[["a", false, "eJw"]]', "7"])
def test_a_damaged_text_is_a_value_error(text):
    with pytest.raises(ValueError, match=r"\w"):
        Piece.from_text(text)
    with pytest.raises(ValueError, match=r"\w"):
        Line.from_text(text)


def test_a_daw_shows_named_tracks_on_the_right_channels():
    file = mido.MidiFile(file=io.BytesIO(write_piece(band())))
    assert [track.name for track in file.tracks] == ["", "Melody", "Bass", "Drums"]
    programs = [m for track in file.tracks for m in track if m.type == "program_change"]
    assert [(m.channel, m.program) for m in programs] == [(0, FLUTE), (1, BASS_GUITAR), (9, 0)]
    for track, channel in zip(file.tracks[1:], (0, 1, 9), strict=True):
        assert {m.channel for m in track if m.type == "note_on"} == {channel}
    assert len({sum(message.time for message in track) for track in file.tracks}) == 1


@settings(max_examples=25)
@given(lines(), st.integers(0, 4))
def test_midi_gives_a_piece_back(line, n_silent):
    """With the silence at its end, however long."""
    if not line.n_notes:
        return
    loud = Line.from_notes(
        [note._replace(velocity=100 / 127) for note in line.notes()], line.n_bars, 100, 40
    )
    bass = Line.from_notes([Note(3, 2, 40, 64 / 127)], 1, 100, BASS_GUITAR)
    drums = Groove.from_hits(np.eye(9)[np.arange(16) % 9], 100 / 127, 12 / 120, 100)
    n_bars = line.n_bars + n_silent
    piece = Piece(
        {name: part.padded(n_bars) for name, part in
         {"melody": loud, "bass": bass, "drums": drums}.items()}
    )  # fmt: skip
    reading = read_piece(write_piece(piece, loop=True))
    assert reading.piece == piece
    assert dict(reading.tracks) == {"melody": "Melody", "bass": "Bass"}
    assert f"{loud.n_notes} of {loud.n_notes} notes of Melody read" in reading.summary


def test_parts_of_other_programs_are_found_by_name_program_and_pitch():
    high, low, mid = quarters(72, 74), quarters(40, 41), quarters(60, 62)
    unnamed = read_piece(midi(("A", 0, 0, mid), ("B", 1, 0, high), ("C", 2, 0, low)))
    assert dict(unnamed.tracks) == {"melody": "B", "bass": "C"}
    by_program = read_piece(midi(("A", 0, BASS_GUITAR, mid), ("B", 1, 0, low)))
    assert dict(by_program.tracks) == {"melody": "B", "bass": "A"}
    lead = read_piece(midi(("Lead", 0, 0, mid), ("Strings", 1, 48, high), ("Bass", 2, 0, low)))
    assert dict(lead.tracks) == {"melody": "Lead", "bass": "Bass"}
    alone = read_piece(midi(("Tune", 0, 0, high)))
    assert dict(alone.tracks) == {"melody": "Tune"}
    chosen = read_piece(midi(("Tune", 0, 0, high)), tracks={"bass": "Tune"})
    assert dict(chosen.tracks) == {"bass": "Tune"}


def test_drums_are_not_read_as_a_line_on_any_channel():
    kicks = quarters(36, 36, 38)
    for channel in (9, 3):
        reading = read_piece(midi(("Drums", channel, 0, kicks), ("Bass", 1, 33, quarters(40))))
        assert set(reading.piece.parts) == {"bass", "drums"}
        assert reading.piece.drums.n_hits == 3
    with pytest.raises(MidiError):
        read_piece(midi(("Empty", 0, 0, [])))


def test_chords_and_unknown_tracks_are_refused_by_name():
    chords = midi(
        ("Piano", 0, 0, [*quarters(60, 62), *quarters(64, 65)]), ("Bass", 1, 33, quarters(40))
    )
    with pytest.raises(NoMelodyError, match="Piano"):
        read_piece(chords)
    reading = read_piece(chords, tracks={"melody": "Piano"})
    assert [note.pitch for note in reading.piece["melody"].notes()] == [64, 65]
    with pytest.raises(NoMelodyError, match="Oboe"):
        read_piece(chords, tracks={"melody": "Oboe"})
    with pytest.raises(NoMelodyError, match="strings"):
        read_piece(chords, tracks={"strings": "Piano"})


def test_a_share_code_gives_a_piece_back():
    shared = Shared(band(16), "trio_16bar", "Jazz", "Midnight")
    code = write_share_code(shared)
    assert code.startswith(_PIECE_PREFIX)
    assert len(code) < 400
    again = read_share_code(f" {code[:30]}\n{code[30:]}")
    assert again.music == shared.music
    assert (again.model, again.kit, again.name) == ("trio_16bar", "Jazz", "Midnight")
    tune = Line.from_notes([Note(0, 9, 127, 1.0)], 1)
    for music in (tune, Piece({"melody": tune})):
        assert read_share_code(write_share_code(Shared(music))).music == tune


def test_a_damaged_share_code_is_refused():
    code = write_share_code(Shared(band()))
    for text in ("", "gs2.AAAA", _PIECE_PREFIX, code[:-9], code.replace(code[20:24], "AAAA")):
        with pytest.raises(ShareCodeError):
            read_share_code(text)
    with pytest.raises(ShareCodeError, match="65 bars"):
        write_share_code(Shared(band(65)))


@pytest.fixture(scope="module")
def renderer():
    return Renderer(sample_rate=22050)


def rms_decibels(audio):
    return 20 * np.log10(np.sqrt(np.mean(audio.astype(float) ** 2)))


def test_every_part_is_heard_and_can_be_muted(renderer):
    piece = band()
    whole = render_music(renderer, piece)
    assert len(whole) == round(piece.duration_seconds * 22050)
    assert np.abs(whole).max() < 1
    for name in piece.parts:
        lines = [float(line != name) for line in piece.lines]
        muted = render_music(renderer, piece, gains=[float(name != "drums")] * 9 + lines)
        assert np.allclose(muted, render_music(renderer, piece.only(set(piece.parts) - {name})))
        assert rms_decibels(whole - muted) > -40
    assert np.allclose(render_music(renderer, piece.only(["drums"])), renderer.render(piece.drums))
    quiet = render_music(renderer, piece.only(["melody"]))
    assert rms_decibels(render_music(renderer, piece["melody"])) == pytest.approx(
        rms_decibels(quiet), abs=3
    )
