"""`Line` and its classes: what a line may be, ties, note-offs, the ends of the range."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from musicvae_core.errors import InvalidMusicError
from musicvae_core.music.line import (
    _HIGHEST_PITCH,
    _LOWEST_PITCH,
    _NO_EVENT,
    _NOTE_OFF,
    FIRST_PITCH_CLASS,
    LINE_CLASSES,
    SILENT,
    Line,
    Note,
    classes_to_line,
    line_to_classes,
)


def pitch_class(pitch):
    return pitch - _LOWEST_PITCH + FIRST_PITCH_CLASS


@st.composite
def lines(draw):
    n_bars = draw(st.integers(1, 4))
    onsets = draw(st.sets(st.integers(0, 16 * n_bars - 1)))
    pitches = st.sampled_from([_LOWEST_PITCH, 60, 61, _HIGHEST_PITCH])
    notes = [Note(step, draw(st.integers(1, 40)), draw(pitches), 0.8) for step in onsets]
    return Line.from_notes(notes, n_bars, tempo_bpm=97.5, program=40)


@given(lines())
def test_classes_and_notes_are_two_ways_to_write_a_line(line):
    classes = line_to_classes(line)
    assert classes_to_line(classes, 97.5, program=40) == line
    assert classes_to_line(classes.astype(np.uint8), 97.5, program=40) == line
    assert Line.from_notes(line.notes(), line.n_bars, 97.5, program=40) == line


def test_the_alphabet_is_the_piano_a_note_off_and_no_event():
    assert LINE_CLASSES.n_classes == 90
    assert np.array_equal(LINE_CLASSES.table @ LINE_CLASSES.key, np.arange(90))
    onsets = LINE_CLASSES.table[:, LINE_CLASSES.onset_features].any(axis=1)
    assert np.array_equal(onsets, np.arange(90) >= FIRST_PITCH_CLASS)


def test_a_repeated_note_is_struck_again_and_a_rest_begins_with_a_note_off():
    line = Line.from_notes([Note(0, 2, 60, 1.0), Note(2, 1, 60, 1.0), Note(6, 10, 62, 0.5)], 1)
    middle, higher = pitch_class(60), pitch_class(62)
    expected = [
        middle,
        _NO_EVENT,
        middle,
        _NOTE_OFF,
        _NO_EVENT,
        _NO_EVENT,
        higher,
        *[_NO_EVENT] * 9,
    ]
    assert line_to_classes(line).tolist() == expected
    assert [note.n_steps for note in line.notes()] == [2, 1, 10]


def test_the_ends_of_the_piano_are_the_first_and_the_last_pitch():
    line = Line.from_notes([Note(0, 1, _LOWEST_PITCH, 1.0), Note(1, 15, _HIGHEST_PITCH, 1.0)], 1)
    assert line_to_classes(line)[:2].tolist() == [FIRST_PITCH_CLASS, LINE_CLASSES.n_classes - 1]
    for pitch in (_LOWEST_PITCH - 1, _HIGHEST_PITCH + 1):
        with pytest.raises(InvalidMusicError, match=f"{pitch}.*21 to 108"):
            line_to_classes(Line.from_notes([Note(0, 1, pitch, 1.0)], 1))


def test_classes_that_no_line_has_are_read_as_what_they_sound_like():
    classes = np.array(
        [_NO_EVENT, _NOTE_OFF, _NOTE_OFF, pitch_class(60), _NOTE_OFF, _NOTE_OFF] + 10 * [0]
    )
    line = classes_to_line(classes)
    assert line.pitches.tolist() == 3 * [SILENT] + [60] + 12 * [SILENT]
    assert list(line.notes()) == [Note(3, 1, 60, pytest.approx(0.8))]


def test_a_note_tied_over_a_bar_line_is_one_note_and_begins_anew_where_it_is_cut():
    line = Line.from_notes([Note(12, 8, 64, 0.5), Note(24, 20, 65, 0.7)], 3)
    assert line.n_notes == 2
    assert list(line.bars(0, 1).notes()) == [Note(12, 4, 64, 0.5)]
    second = list(line.bars(1, 1).notes())
    assert second == [Note(0, 4, 64, 0.5), Note(8, 8, 65, pytest.approx(0.7))]
    assert list(line.bars(2, 1).notes()) == [Note(0, 12, 65, pytest.approx(0.7))]
    with pytest.raises(InvalidMusicError, match="bars 0 to 2"):
        line.bars(2, 2)


def test_a_line_is_repeated_and_transposed():
    line = Line.from_notes([Note(0, 4, 60, 0.5)], 1, program=73)
    twice = line.repeated(3).transposed(-5)
    assert [(note.step, note.pitch) for note in twice.notes()] == [(0, 55), (16, 55), (32, 55)]
    assert twice.program == 73
    with pytest.raises(InvalidMusicError, match="semitones"):
        line.transposed(80)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"pitches": np.full(15, SILENT)}, "multiple of 16"),
        ({"onsets": np.zeros(32, bool)}, "onsets has shape"),
        ({"pitches": np.full(16, 128)}, "0 to 127"),
        ({"pitches": np.full(16, 60)}, "without an onset"),
        ({"onsets": np.ones(16, bool), "velocities": np.ones(16)}, "silent step"),
        ({"velocities": np.ones(16)}, "where no note begins"),
        ({"tempo_bpm": 0.0}, "tempo"),
        ({"program": 128}, "program"),
    ],
)
def test_invalid_lines_are_refused_with_the_reason(changes, words):
    silence = {
        "pitches": np.full(16, SILENT),
        "onsets": np.zeros(16, bool),
        "velocities": np.zeros(16),
        "tempo_bpm": 120.0,
    }
    with pytest.raises(InvalidMusicError, match=words):
        Line(**silence | changes)


def test_a_velocity_beyond_its_range_is_refused():
    for velocity in (0.0, 1.5, np.nan):
        with pytest.raises(InvalidMusicError, match="velocities"):
            Line.from_notes([Note(0, 1, 60, velocity)], 1)
    with pytest.raises(InvalidMusicError, match="shares its onset"):
        Line.from_notes([Note(0, 1, 60, 1.0), Note(0, 1, 64, 1.0)], 1)


def test_lines_are_equal_by_what_they_hold():
    line = Line.from_notes([Note(0, 4, 60, 0.5)], 1)
    assert line == Line.from_notes([Note(0, 4, 60, 0.5)], 1)
    assert hash(line) == hash(line.bars(0, 1))
    assert line != line.transposed(1)
    assert line != "a line"
    assert line.duration_seconds == pytest.approx(2.0)
    assert not line.pitches.flags.writeable
