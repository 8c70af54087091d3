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
    meta,
    metre,
    midi_file,
    name,
    note,
    note_off,
    tempo,
    track,
    varlen,
    without_drum_channel,
)

from musicvae_core.errors import NoDrumsError
from musicvae_core.groove import Groove
from musicvae_core.midi import read_midi
from musicvae_core.vocabulary import (
    CLOSED_HAT,
    KICK,
    SNARE,
)


def hits_of(groove: Groove) -> list[tuple[int, int]]:
    return [(int(step), int(voice)) for step, voice in np.argwhere(groove.hits)]


# --- the grid ---------------------------------------------------------------


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
    assert bent.n_tempos == 3


def test_the_tempo_is_the_one_stated_or_120():
    assert read_midi(drum_file(note(0, KICK_PITCH))).groove.tempo_bpm == 120.0
    assert read_midi(drum_file(tempo(0, 600_000), note(0, KICK_PITCH))).groove.tempo_bpm == 100.0


def test_several_tempos_average_to_the_same_duration():
    half_bar = TICKS_PER_BAR // 2
    data = drum_file(tempo(0, 500_000), note(0, KICK_PITCH), tempo(half_bar, 1_000_000))
    reading = read_midi(data)
    assert reading.groove.duration_seconds == pytest.approx(2 * 0.5 + 2 * 1.0)
    assert "2 tempos averaged to 80.0 bpm" in reading.summary


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


def test_a_performance_that_ends_off_the_bar_line_does_not_wrap():
    data = midi_file(track(note(TICKS_PER_BAR - 30, KICK_PITCH), end(31)))
    assert hits_of(read_midi(data).groove) == [(16, KICK)]


def test_a_hit_on_the_line_where_a_file_ends_opens_a_bar():
    data = midi_file(track(note(TICKS_PER_BAR, KICK_PITCH), end()))
    assert hits_of(read_midi(data).groove) == [(16, KICK)]


def test_the_louder_of_a_first_hit_and_an_early_one_for_it_wins():
    early_is_louder = midi_file(
        track(note(0, KICK_PITCH, 50), note(TICKS_PER_BAR - 12, KICK_PITCH, 51), end(12))
    )
    reading = read_midi(early_is_louder)
    assert hits_of(reading.groove) == [(0, KICK)]
    assert reading.groove.offsets[0, KICK] == np.float32(-0.1)
    assert reading.n_merged == 1


def test_a_loop_keeps_its_silent_last_bars():
    data = midi_file(track(note(0, KICK_PITCH), end(4 * TICKS_PER_BAR)))
    assert read_midi(data).groove.n_bars == 4


# --- what is kept, merged, dropped -----------------------------------------------


def test_of_two_hits_in_a_cell_the_louder_stays_and_of_equals_the_earlier():
    louder = read_midi(drum_file(note(0, KICK_PITCH, 60), note(9, 35, 90)))
    equal = read_midi(drum_file(note(3, SNARE_PITCH, 90), note(9, 40, 90)))
    assert louder.groove.offsets[0, KICK] == np.float32(9 / 120)
    assert equal.groove.offsets[0, SNARE] == np.float32(3 / 120)
    assert "1 merged" in equal.summary


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
    assert reading.summary.startswith("1 of 6 notes read; 1 merged")


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


# --- drums on another channel ------------------------------------------------------


def test_without_channel_10_the_tracks_are_offered_by_name():
    with pytest.raises(NoDrumsError, match="Choose a track") as caught:
        read_midi(without_drum_channel())
    assert caught.value.tracks == ("Beat", "Beat (2)", "Electric Bass (finger)")


@pytest.mark.parametrize("choice", ["Beat (2)", 1, "1"])
def test_an_offered_track_is_read_as_drums(choice):
    reading = read_midi(without_drum_channel(), treat_as_drums=choice)
    assert hits_of(reading.groove) == [(0, SNARE)]
    assert reading.dropped == {"played by another instrument": 2}


def test_a_name_that_is_a_number_is_a_name():
    tracks = [
        track(name(text), note(0, pitch, channel=BASS), end(1))
        for text, pitch in (("1", KICK_PITCH), ("0", SNARE_PITCH))
    ]
    for choice, voice in (("1", KICK), ("0", SNARE), (0, KICK), (1, SNARE)):
        reading = read_midi(midi_file(*tracks), treat_as_drums=choice)
        assert hits_of(reading.groove) == [(0, voice)]


@pytest.mark.parametrize("choice", ["Piano", 3, -1, "3", "-1"])
def test_a_track_that_is_not_there_is_refused_with_those_that_are(choice):
    with pytest.raises(NoDrumsError, match="Beat") as caught:
        read_midi(without_drum_channel(), treat_as_drums=choice)
    assert len(caught.value.tracks) == 3
