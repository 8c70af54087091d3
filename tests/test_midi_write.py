"""Writing MIDI: standard files that loop cleanly, and read back as what was written."""

import io
from pathlib import Path

import mido
import numpy as np
import pretty_midi
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from midi_builders import TICKS_PER_BAR

from musicvae_core.errors import EmptyMidiError
from musicvae_core.groove import Groove
from musicvae_core.midi import read_midi, write_midi
from musicvae_core.vocabulary import (
    CRASH,
    KICK,
    N_VOICES,
    SNARE,
    STEPS_PER_BAR,
    TICKS_PER_STEP,
    VELOCITY_LEVELS,
)

GOLDEN = Path(__file__).parent / "golden"
ALMOST_HALF = float(np.nextafter(np.float32(0.5), np.float32(0)))
CELLS = st.tuples(
    st.integers(0, 16 * STEPS_PER_BAR - 1),
    st.integers(0, N_VOICES - 1),
    st.integers(1, VELOCITY_LEVELS),
    st.floats(-0.5, ALMOST_HALF, width=32),
)


def build(n_bars: int, cells: list[tuple[int, int, int, float]], tempo_bpm: float) -> Groove:
    """Return a groove with the cells (step, voice, level, offset), steps wrapped to its length."""
    levels = np.zeros((n_bars * STEPS_PER_BAR, N_VOICES))
    offsets = np.zeros_like(levels)
    for step, voice, level, offset in cells:
        levels[step % len(levels), voice] = level
        offsets[step % len(levels), voice] = offset
    return Groove(levels > 0, levels / VELOCITY_LEVELS, offsets, tempo_bpm)


@settings(derandomize=True, max_examples=150, deadline=None)
@example(1, [(0, CRASH, 1, -0.5)], 20.0)
@example(2, [(0, KICK, 127, -0.5), (31, KICK, 1, ALMOST_HALF)], 400.0)
@example(2, [(4, SNARE, 90, 0.4999), (5, SNARE, 91, -0.5)], 133.3)
@example(2, [(0, KICK, 64, -0.001)], 90.0)
@given(
    st.sampled_from([1, 2, 16]),
    st.lists(CELLS, min_size=1, max_size=60),
    st.floats(20, 400),
)
def test_what_is_written_reads_back(n_bars, cells, tempo_bpm):
    groove = build(n_bars, cells, tempo_bpm)
    data = write_midi(groove)
    reading = read_midi(data)
    back = reading.groove
    assert np.array_equal(back.hits, groove.hits)
    assert np.array_equal(back.velocities, groove.velocities)
    assert np.abs(back.offsets - groove.offsets).max() <= 1 / TICKS_PER_STEP + 1e-6
    assert abs(60e6 / back.tempo_bpm - 60e6 / groove.tempo_bpm) <= 0.5 + 1e-6
    assert (reading.n_merged, dict(reading.dropped)) == (0, {})
    assert write_midi(back) == data


@settings(derandomize=True, max_examples=50, deadline=None)
@example(1, [(0, KICK, 100, -0.5), (15, KICK, 100, ALMOST_HALF), (14, KICK, 9, 0.25)])
@given(st.sampled_from([1, 2]), st.lists(CELLS, max_size=40))
def test_a_written_file_is_standard_and_ends_with_its_loop(n_bars, cells):
    groove = build(n_bars, cells, 120.0)
    data = write_midi(groove)
    written = mido.MidiFile(file=io.BytesIO(data))
    assert (written.type, written.ticks_per_beat) == (1, 480)
    metas = [message for message in written.tracks[0] if message.is_meta]
    assert [(m.numerator, m.denominator) for m in metas if m.type == "time_signature"] == [(4, 4)]
    for one in written.tracks:
        assert all(message.time >= 0 for message in one)
        assert sum(message.time for message in one) == n_bars * TICKS_PER_BAR
    notes = [message for message in written.tracks[1] if message.type == "note_on"]
    assert {message.channel for message in notes} <= {9}
    sounding: set[int] = set()
    for message in notes:  # each note ends before the next of its pitch begins
        assert (message.note in sounding) == (message.velocity == 0)
        sounding ^= {message.note}
    assert not sounding


def test_other_readers_find_every_note():
    groove = build(2, [(0, KICK, 100, -0.5), (0, SNARE, 90, 0.0), (31, CRASH, 80, 0.49)], 97.0)
    (drums,) = pretty_midi.PrettyMIDI(io.BytesIO(write_midi(groove))).instruments
    assert drums.is_drum
    assert sorted(found.pitch for found in drums.notes) == [36, 38, 49]
    assert all(0 <= found.start < found.end for found in drums.notes)


def test_silence_is_written_at_its_length_and_not_read_back():
    data = write_midi(Groove.silent(3))
    assert [sum(message.time for message in one) for one in mido_tracks(data)] == [5760, 5760]
    with pytest.raises(EmptyMidiError, match="no note"):
        read_midi(data)


def mido_tracks(data: bytes) -> list[mido.MidiTrack]:
    return list(mido.MidiFile(file=io.BytesIO(data)).tracks)


def test_the_golden_file_is_written_and_read_exactly():
    expected = np.load(GOLDEN / "two_bars.npz")
    groove = Groove(**{key: expected[key] for key in expected.files})
    data = (GOLDEN / "two_bars.mid").read_bytes()
    assert write_midi(groove) == data
    assert read_midi(data).groove == groove
