"""Writing MIDI: loops that read back as what was written, and clips that are right played once."""

import io
from pathlib import Path

import mido
import numpy as np
import pretty_midi
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from midi_builders import TICKS_PER_BAR

from musicvae_core.errors import MidiError
from musicvae_core.music.drums import CRASH, KICK, N_VOICES, SNARE
from musicvae_core.music.grid import COMMON_TIME, VELOCITY_LEVELS, TempoMap
from musicvae_core.music.groove import Groove
from musicvae_core.music.midi.read import read_midi
from musicvae_core.music.midi.write import write_midi

STEPS_PER_BAR = COMMON_TIME.steps_per_bar
TICKS_PER_STEP = COMMON_TIME.ticks_per_step

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
def test_writing_and_reading_are_inverse(n_bars, cells, tempo_bpm):
    groove = build(n_bars, cells, tempo_bpm)
    data = write_midi(groove, loop=True)
    reading = read_midi(data)
    back = reading.groove
    assert np.array_equal(back.hits, groove.hits)
    assert np.array_equal(back.velocities, groove.velocities)
    assert np.abs(back.offsets - groove.offsets).max() <= 1 / TICKS_PER_STEP + 1e-6
    assert abs(60e6 / back.tempo_bpm - 60e6 / groove.tempo_bpm) <= 0.5 + 1e-6
    assert (reading.n_merged, dict(reading.dropped)) == (0, {})
    assert write_midi(back, loop=True) == data


@settings(derandomize=True, max_examples=50, deadline=None)
@example(1, [(0, KICK, 100, -0.5), (15, KICK, 100, ALMOST_HALF), (14, KICK, 9, 0.25)], True)
@given(st.sampled_from([1, 2]), st.lists(CELLS, max_size=40), st.booleans())
def test_a_written_file_is_standard_and_ends_with_its_last_bar(n_bars, cells, loop):
    groove = build(n_bars, cells, 120.0)
    data = write_midi(groove, loop=loop)
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
    with pytest.raises(MidiError, match="no note"):
        read_midi(data)


def mido_tracks(data: bytes) -> list[mido.MidiTrack]:
    return list(mido.MidiFile(file=io.BytesIO(data)).tracks)


def test_the_golden_file_is_written_and_read_exactly():
    expected = np.load(GOLDEN / "two_bars.npz")
    groove = Groove(**{key: expected[key] for key in expected.files})
    data = (GOLDEN / "two_bars.mid").read_bytes()
    assert write_midi(groove, loop=True) == data
    assert read_midi(data).groove == groove


def dropped_into_a_song(clip: bytes, at_bar: int, n_bars: int) -> Groove:
    """Return what a song of silence plays with a clip put at a bar of it, as a sequencer does."""
    song = mido.MidiFile(file=io.BytesIO(clip))
    for one in song.tracks:
        one[0].time += at_bar * TICKS_PER_BAR
        length = sum(message.time for message in one)
        one[-1].time += n_bars * TICKS_PER_BAR - length
    buffer = io.BytesIO()
    song.save(file=buffer)
    return read_midi(buffer.getvalue()).groove


@settings(derandomize=True, max_examples=50, deadline=None)
@example(1, [(0, KICK, 100, -0.5), (8, SNARE, 100, -0.2)])
@example(64, [(0, CRASH, 100, -0.01), (0, KICK, 9, 0.25), (1023, KICK, 9, ALMOST_HALF)])
@given(st.sampled_from([1, 2, 16, 64]), st.lists(CELLS, min_size=1, max_size=40))
def test_a_clip_in_a_song_has_its_first_beat_and_no_hit_too_many(n_bars, cells):
    groove = build(n_bars, cells, 120.0)
    heard = dropped_into_a_song(write_midi(groove), at_bar=3, n_bars=n_bars + 5)
    assert heard.n_hits == groove.n_hits
    clip = heard.padded(max(heard.n_bars, 3 + n_bars)).bars(3, n_bars)
    assert np.array_equal(clip.hits, groove.hits)
    assert np.array_equal(clip.velocities, groove.velocities)
    played = groove.offsets.copy()
    played[0] = np.maximum(played[0], 0)
    assert np.abs(clip.offsets - played).max() <= 1 / TICKS_PER_STEP + 1e-6


def test_the_two_forms_differ_only_where_the_first_beat_is_rushed():
    on_time = build(2, [(0, KICK, 100, 0.0), (5, SNARE, 80, -0.3)], 100.0)
    assert write_midi(on_time) == write_midi(on_time, loop=True)
    rushed = build(2, [(0, KICK, 100, -0.1), (5, SNARE, 80, -0.3)], 100.0)
    assert write_midi(rushed) != write_midi(rushed, loop=True)


def test_a_tempo_map_is_written_and_read_back():
    fermata = TempoMap(((0.0, 500_000), (7.0, 4_000_000), (8.0, 480_123)))
    groove = build(4, [(0, KICK, 100, 0.0), (63, SNARE, 80, 0.2)], 120.0)
    assert read_midi(write_midi(groove, tempo_map=fermata)).tempo_map == fermata


def test_tempos_past_the_end_are_left_out():
    groove = build(1, [(0, KICK, 100, 0.0)], 120.0)
    late = TempoMap(((0.0, 500_000), (4.0, 250_000)))
    assert write_midi(groove, tempo_map=late) == write_midi(groove)
