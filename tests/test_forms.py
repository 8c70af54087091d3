"""Music of every form: its text, its parts, and what goes through the pages alike."""

from __future__ import annotations

import numpy as np
import pytest
from pydantic import TypeAdapter

from musicvae_core.errors import NoDrumsError
from musicvae_core.music.drums import KICK, SNARE
from musicvae_core.music.forms import (
    FORMS,
    AnyMusic,
    Music,
    _text_to_music,
    drums_of,
    form_of,
    joined,
    music_to_text,
    n_notes,
    note_bytes,
    padded,
    parts_of,
    performed,
    rhythm_of,
    windows,
    with_drums,
)
from musicvae_core.music.grid import Grid
from musicvae_core.music.groove import Groove
from musicvae_core.music.line import Line, Note
from musicvae_core.music.line_midi import read_line
from musicvae_core.music.midi.read import read_midi
from musicvae_core.music.piece import Piece

LINE = Line.from_notes([Note(4 * beat, 3, 60 + beat, 0.5 + beat / 20) for beat in range(8)], 2)
DRUMS = Groove.from_hits(np.arange(32)[:, None] % 12 == np.array([0, 4, *[13] * 7]))
MUSIC: dict[str, Music] = {
    "drums": DRUMS,
    "line": LINE,
    "piece": Piece({"melody": LINE, "drums": DRUMS}),
}
ANY = TypeAdapter(AnyMusic)
every_form = pytest.mark.parametrize("name", FORMS)


@every_form
def test_music_is_recognised_by_its_form_and_comes_back_from_its_text(name: str) -> None:
    music = MUSIC[name]
    assert form_of(music).name == name
    assert _text_to_music(music_to_text(music)) == music
    assert ANY.validate_json(ANY.dump_json(music)) == music
    assert form_of(music).of_parts(parts_of(music)) == music


@pytest.mark.parametrize("text", ["line:", "tune:abc", "piece:{}", "", ":"])
def test_a_text_of_no_music_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"\S"):
        _text_to_music(text)


@every_form
def test_bars_are_taken_joined_and_padded_alike(name: str) -> None:
    music = MUSIC[name]
    first, second = windows(music, 1)
    assert joined([first, second]) == music
    longer = padded(music, 3)
    assert (longer.n_bars, n_notes(longer)) == (3, n_notes(music))
    assert longer.bars(0, 2) == music


@every_form
def test_the_fingerprint_does_not_depend_on_the_tempo(name: str) -> None:
    music = MUSIC[name]
    assert note_bytes(music.at_tempo(90)) == note_bytes(music)
    assert note_bytes(music.bars(0, 1)) != note_bytes(music.bars(1, 1))


def test_notes_are_told_apart_on_every_grid():
    """A quarter is 480 ticks, of which an offset may take half; a silent bar has a metre."""
    quarters = [
        Groove.from_hits(np.ones((4, 9), bool), 0.8, ticks / 480, grid=Grid(4, 1))
        for ticks in (-240, 16, 239)
    ]
    assert len({note_bytes(groove) for groove in quarters}) == 3
    silences = [Groove.silent(24 // beats, grid=Grid(beats)) for beats in (2, 3, 4, 6)]
    assert len({note_bytes(groove) for groove in silences}) == 4


def test_swing_and_feel_are_written_to_the_file_of_a_line_and_read_back_on_its_steps() -> None:
    line = Line.from_notes([Note(1, 2, 60, 0.4), Note(4, 2, 62, 0.8)], 1)
    swung = performed(line, swing=1.0, feel=0.0)
    data = FORMS["line"].write(swung, False)
    assert data != FORMS["line"].write(line, False)
    assert [note[:3] for note in read_line(data).line.notes()] == [(1, 2, 60), (4, 2, 62)]
    assert len({round(note.velocity, 4) for note in swung.notes()}) == 1
    assert swung.place_of(1) == pytest.approx(4 / 3)
    assert swung.place_of(4) == 4


def test_a_melody_gets_a_drummer() -> None:
    rhythm = rhythm_of(LINE)
    assert np.flatnonzero(rhythm.hits[:, SNARE]).tolist() == list(range(0, 32, 4))
    np.testing.assert_allclose(rhythm.velocities[:, SNARE], LINE.velocities)
    assert rhythm_of(MUSIC["piece"]) == DRUMS
    band = with_drums(LINE, DRUMS)
    assert band == MUSIC["piece"]
    assert with_drums(band, rhythm) == Piece({"melody": LINE, "drums": rhythm})
    assert with_drums(DRUMS, rhythm) == rhythm
    assert drums_of(band).hits[:, KICK].any()
    read = read_midi(FORMS["piece"].write(band, False)).groove
    np.testing.assert_array_equal(read.hits, DRUMS.hits)
    with pytest.raises(NoDrumsError, match="This melody has no drums"):
        drums_of(LINE)
