"""Reading MIDI: where hits land, how long the groove is, what is kept and what is not."""

import numpy as np
import pytest
from midi_builders import (
    BASS,
    HAT_PITCH,
    KICK_PITCH,
    SNARE_PITCH,
    TICKS_PER_BAR,
    drum_file,
    end,
    hits_of,
    meta,
    metre,
    midi_file,
    note,
    note_off,
    program,
    tempo,
    track,
    varlen,
)

from musicvae_core.music.drums import CLOSED_HAT, KICK, SNARE
from musicvae_core.music.midi.read import read_midi


@pytest.mark.parametrize(
    ("tick", "step", "offset"),
    [(0, 0, 0.0), (59, 0, 59 / 120), (60, 1, -0.5), (119, 1, -1 / 120), (121, 1, 1 / 120)],
)
def test_a_hit_belongs_to_the_nearest_step_and_halves_go_up(tick, step, offset):
    groove = read_midi(drum_file(note(tick, KICK_PITCH))).groove
    assert hits_of(groove) == [(step, KICK)]
    assert groove.offsets[step, KICK] == np.float32(offset)


def test_velocity_is_the_level_over_127():
    groove = read_midi(drum_file(note(0, KICK_PITCH, 127), note(120, KICK_PITCH, 1))).groove
    assert groove.velocities[0, KICK] == 1.0
    assert groove.velocities[1, KICK] == np.float32(1 / 127)


@pytest.mark.parametrize("resolution", [1, 24, 96, 480, 960, 9600, 32767])
def test_any_resolution_gives_the_same_grid(resolution):
    data = drum_file(note(0, KICK_PITCH), note(resolution, SNARE_PITCH), division=resolution)
    assert hits_of(read_midi(data).groove) == [(0, KICK), (4, SNARE)]


def test_tempo_changes_on_a_later_track_do_not_move_hits():
    hits = [note(960, KICK_PITCH), note(480, SNARE_PITCH)]
    steady = read_midi(drum_file(*hits))
    bent = read_midi(
        midi_file(
            track(tempo(0, 500_000), end()),
            track(*hits, end(1)),
            track(tempo(300, 1_000_000), tempo(700, 200_000), end()),
        )
    )
    assert np.array_equal(bent.groove.hits, steady.groove.hits)
    assert np.array_equal(bent.groove.offsets, steady.groove.offsets)
    assert bent.tempo_map.tempos_bpm == (120.0, 60.0, 300.0)


def test_the_tempo_is_the_one_stated_or_120():
    assert read_midi(drum_file(note(0, KICK_PITCH))).groove.tempo_bpm == 120.0
    assert read_midi(drum_file(tempo(0, 600_000), note(0, KICK_PITCH))).groove.tempo_bpm == 100.0


def test_the_tempo_of_most_beats_is_played_and_all_are_kept():
    data = drum_file(tempo(0, 500_000), note(0, KICK_PITCH), tempo(960, 1_000_000), note(960, 38))
    reading = read_midi(data)
    assert reading.groove.tempo_bpm == 60.0
    assert reading.tempo_map.changes == ((0.0, 500_000), (2.0, 1_000_000))
    assert "between 60 and 120 bpm; the groove plays at 60 bpm" in reading.summary


@pytest.mark.parametrize(("microseconds", "played"), [(4_000_000, 20.0), (100_000, 400.0)])
def test_a_tempo_that_no_groove_has_is_kept_and_the_nearest_played(microseconds, played):
    reading = read_midi(drum_file(tempo(0, microseconds), note(0, KICK_PITCH)))
    assert reading.groove.tempo_bpm == played
    assert reading.tempo_map.changes == ((0.0, microseconds),)
    assert f"plays at {played:g} bpm" in reading.summary


def test_the_later_of_two_tempos_at_a_tick_counts():
    data = drum_file(tempo(0, 500_000), tempo(0, 428_571), tempo(0, 0), note(0, KICK_PITCH))
    reading = read_midi(data)
    assert reading.tempo_map.changes == ((0.0, 428_571),)
    assert "tempo" not in reading.summary


def test_a_tempo_after_the_groove_does_not_count():
    data = drum_file(tempo(0, 500_000), note(0, KICK_PITCH), tempo(3 * TICKS_PER_BAR, 1_000_000))
    assert read_midi(data).groove.tempo_bpm == 120.0


def test_the_groove_ends_with_the_bar_of_its_last_hit():
    within = read_midi(drum_file(note(TICKS_PER_BAR - 61, KICK_PITCH)))
    beyond = read_midi(drum_file(note(TICKS_PER_BAR - 60, KICK_PITCH)))
    assert (within.groove.n_bars, beyond.groove.n_bars) == (1, 2)


# --- loops ------------------------------------------------------------------


def test_early_for_the_end_of_a_loop_is_early_for_its_start():
    data = midi_file(track(note(TICKS_PER_BAR - 30, KICK_PITCH), end(30)))
    groove = read_midi(data).groove
    assert hits_of(groove) == [(0, KICK)]
    assert groove.offsets[0, KICK] == -0.25


@pytest.mark.parametrize("late", [-60, -3, 1, 60])
def test_an_end_within_a_32nd_of_a_bar_line_is_that_bar_line(late):
    data = midi_file(
        track(note(TICKS_PER_BAR - 70, SNARE_PITCH), note(1, KICK_PITCH), end()),
        track(end(2 * TICKS_PER_BAR + late)),
    )
    groove = read_midi(data).groove
    assert (groove.n_bars, hits_of(groove)) == (2, [(15, SNARE), (15, KICK)][::-1])


@pytest.mark.parametrize("late", [-61, 61])
def test_an_end_far_from_a_bar_line_does_not_count(late):
    data = midi_file(track(note(0, KICK_PITCH), end(2 * TICKS_PER_BAR + late)))
    assert read_midi(data).groove.n_bars == 1


@pytest.mark.parametrize("delta", [1, 30, 50])
def test_a_recording_that_stops_with_its_last_note_does_not_wrap(delta):
    hit = (note(TICKS_PER_BAR - 30, KICK_PITCH), note_off(delta + 1, KICK_PITCH))
    assert hits_of(read_midi(midi_file(track(*hit, end()))).groove) == [(16, KICK)]
    assert hits_of(read_midi(midi_file(track(*hit, end(1)))).groove) == [(16, KICK)]


def test_a_loop_whose_last_note_is_held_to_its_end_wraps_though_it_ends_a_tick_late():
    hit = (note(TICKS_PER_BAR - 30, KICK_PITCH), note_off(30, KICK_PITCH))
    assert hits_of(read_midi(midi_file(track(*hit, end(1)))).groove) == [(0, KICK)]


def test_a_hit_on_the_line_where_a_file_ends_opens_a_bar():
    data = midi_file(track(note(TICKS_PER_BAR, KICK_PITCH), end()))
    assert hits_of(read_midi(data).groove) == [(16, KICK)]


@pytest.mark.parametrize(("early", "offset"), [(60, 0.5 - 0.5 / 120), (12, 0.5 - 0.5 / 120)])
def test_a_hit_that_wraps_never_costs_the_downbeat(early, offset):
    data = midi_file(
        track(note(0, KICK_PITCH, 50), note(TICKS_PER_BAR - early, KICK_PITCH, 110), end(early))
    )
    reading = read_midi(data)
    assert hits_of(reading.groove) == [(0, KICK), (15, KICK)]
    assert reading.groove.velocities[0, KICK] == np.float32(50 / 127)
    assert reading.groove.offsets[15, KICK] == np.float32(offset)
    assert reading.n_merged == 0


@pytest.mark.parametrize(("end_bar", "n_bars"), [(1, 1), (2, 2), (3, 3), (4, 1), (300, 1)])
def test_silence_of_up_to_two_bars_belongs_to_a_file(end_bar, n_bars):
    data = midi_file(track(note(0, KICK_PITCH), end(end_bar * TICKS_PER_BAR)))
    assert read_midi(data).groove.n_bars == n_bars


def test_events_long_after_the_last_note_do_not_lengthen_a_file():
    far = 1_500 * TICKS_PER_BAR
    beat = track(note(0, KICK_PITCH), end(2 * TICKS_PER_BAR))
    trails = [
        track(tempo(far, 600_000), end()),
        track(varlen(far) + bytes([0xB9, 7, 100]), end()),
        track(metre(far, 3, 2), end()),
        track(program(far, 3, 0), end(far)),
        track(end(far)),
    ]
    for trail in trails:
        reading = read_midi(midi_file(beat, trail))
        assert (reading.groove.n_bars, reading.groove.tempo_bpm) == (2, 120.0)
        assert reading.tempo_map.is_steady


def test_a_marked_loop_end_is_the_end_however_far():
    marker = meta(16 * TICKS_PER_BAR, 0x06, b"loopEnd")
    assert read_midi(midi_file(track(note(0, KICK_PITCH), marker, end()))).groove.n_bars == 16


# --- what is kept, merged, dropped -----------------------------------------------


def test_the_louder_or_else_the_earlier_hit_in_a_cell_is_kept():
    louder = read_midi(drum_file(note(0, KICK_PITCH, 60), note(9, 35, 90)))
    equal = read_midi(drum_file(note(3, SNARE_PITCH, 90), note(9, 40, 90)))
    assert louder.groove.offsets[0, KICK] == np.float32(9 / 120)
    assert equal.groove.offsets[0, SNARE] == np.float32(3 / 120)
    assert "1 snare merged into a louder one" in equal.summary


def test_every_note_is_accounted_for():
    reading = read_midi(
        midi_file(
            track(note(0, KICK_PITCH), note(0, 80), note(0, 80), note(5, 35, 1), note(9, 2), end()),
            track(note(0, 40, channel=BASS), end(7)),
        )
    )
    assert dict(reading.dropped) == {
        "no voice for pitch 2, not a General MIDI drum": 1,
        "no voice for pitch 80, Mute Triangle": 2,
        "played by another instrument": 1,
    }
    assert reading.n_notes == 6
    assert reading.n_notes == (
        reading.groove.n_hits + reading.n_merged + sum(reading.dropped.values())
    )
    assert reading.summary.startswith("1 of 6 notes read; 1 kick merged")


def test_notes_without_an_end_or_a_length_are_read():
    data = drum_file(
        note(0, KICK_PITCH),
        note(0, SNARE_PITCH),
        note_off(0, SNARE_PITCH),
        note(120, HAT_PITCH),
        note(240, HAT_PITCH, 0),
    )
    assert hits_of(read_midi(data).groove) == [(0, KICK), (0, SNARE), (1, CLOSED_HAT)]


def test_running_status_sysex_and_unknown_chunks_are_read_through():
    body = (
        varlen(0) + b"\xf0\x03\x7e\x09\xf7" + note(0, KICK_PITCH)
        + varlen(120) + bytes([SNARE_PITCH, 80])
        + meta(0, 0x7F, b"\x00\xff") + varlen(120) + bytes([HAT_PITCH, 70]) + end(1)
    )  # fmt: skip
    data = midi_file(b"XFIH" + (3).to_bytes(4) + b"abc", track(body), n_tracks=1)
    assert hits_of(read_midi(data).groove) == [(0, KICK), (1, SNARE), (2, CLOSED_HAT)]


def test_a_delta_time_padded_with_zeros_is_read():
    padded = b"\x80\x80\x00" + note(0, KICK_PITCH)[1:]
    assert hits_of(read_midi(drum_file(padded)).groove) == [(0, KICK)]


def test_an_odd_key_signature_does_not_spoil_a_file():
    odd_key = meta(0, 0x59, bytes([9, 7]))
    assert read_midi(drum_file(odd_key, note(0, KICK_PITCH))).groove.n_hits == 1


def test_format_0_and_a_riff_wrapper_are_read():
    data = drum_file(metre(0, 4, 2), note(0, KICK_PITCH), midi_format=0)
    riff = b"RIFF" + (len(data) + 12).to_bytes(4, "little") + b"RMIDdata"
    wrapped = riff + len(data).to_bytes(4, "little") + data
    assert read_midi(data).groove == read_midi(wrapped).groove


def test_a_path_is_read_like_its_bytes(tmp_path):
    path = tmp_path / "beat.mid"
    path.write_bytes(drum_file(note(0, KICK_PITCH)))
    assert read_midi(path).groove == read_midi(path.read_bytes()).groove
