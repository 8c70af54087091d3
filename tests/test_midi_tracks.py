"""Which tracks of a MIDI file are drums, and which voice each pitch is: tracks and maps."""

import time

import pytest
from midi_builders import (
    BASS,
    KICK_PITCH,
    SNARE_PITCH,
    TICKS_PER_BAR,
    drum_file,
    end,
    hits_of,
    midi_file,
    name,
    note,
    program,
    tempo,
    track,
    varlen,
    without_drum_channel,
)

from musicvae_core.errors import DrumMapError, MidiError, NoDrumsError
from musicvae_core.music.drums import CLOSED_HAT, KICK, N_VOICES, OPEN_HAT, SNARE
from musicvae_core.music.midi.maps import DRUM_MAPS, find_map
from musicvae_core.music.midi.read import read_midi

# --- drums on another channel ------------------------------------------------------


def pitched(name_of_track, *pitches, channel=0, program_number=None):
    """Return a track of a channel that strikes its pitches one after the other."""
    events = [] if program_number is None else [program(0, program_number, channel)]
    events += [note(120, pitch, channel=channel) for pitch in pitches]
    return track(name(name_of_track), *events, end(1))


MELODY = ("Tune", 60, 62, 64, 65)
BASS_LINE = ("Low end", 36, 38, 40, 41, 43, 36, 45, 47)


@pytest.mark.parametrize(
    ("tracks", "read"),
    [
        pytest.param([MELODY, ("Drums", 36, 38)], "Drums", id="named drums"),
        pytest.param([MELODY, ("Drum Kit", 36, 80)], "Drum Kit", id="named kit"),
        pytest.param([MELODY, ("PERCUSSION 2", 36)], "PERCUSSION 2", id="named percussion"),
        pytest.param([MELODY, ("Tr 2", 36, 38, 42)], "Tr 2", id="few kit pitches"),
        pytest.param([("Rock Groove", 36, 38, 42, 46, 49)], "Rock Groove", id="kit pitches alone"),
        pytest.param([BASS_LINE, ("Tr 2", 36, 38, 42)], "Tr 2", id="beside a bass line"),
        pytest.param([("Bass", 36, 38), ("Beat", 36, 38)], "Beat", id="beside a named bass"),
    ],
)
def test_drums_are_found_by_name_or_by_their_pitches(tracks, read):
    reading = read_midi(midi_file(*(pitched(*one) for one in tracks)))
    assert f"Track {read} is read as drums." in reading.summary


def test_drums_on_several_tracks_are_read_together():
    names_and_pitches = (("Kick", 36), ("Snare", 38), ("Hat", 42))
    reading = read_midi(midi_file(*(pitched(*one) for one in names_and_pitches), pitched(*MELODY)))
    assert hits_of(reading.groove) == [(1, KICK), (1, SNARE), (1, CLOSED_HAT)]
    assert "3 tracks are read together as drums: Kick, Snare, Hat." in reading.summary
    assert reading.dropped == {"played by another instrument": 4}


def test_channel_10_without_a_kit_gives_way_to_a_track_named_drums():
    congas = track(note(0, 63), note(120, 64), end(1))
    reading = read_midi(midi_file(congas, pitched("Drums", 36, 38)))
    assert "Track Drums" in reading.summary


@pytest.mark.parametrize(
    "tracks",
    [
        [MELODY],
        [MELODY, BASS_LINE],
        [("Bass", 36, 38, 42)],
        [("Steel Drums", 60, 64, 67)],
        [("Whatever", 36, 38, 42), ("Kitty", 61, 62)],
    ],
)
def test_other_tracks_are_offered_by_name(tracks):
    programs = {"Whatever": 33}
    data = [pitched(*one, program_number=programs.get(one[0])) for one in tracks]
    with pytest.raises(NoDrumsError, match="Choose tracks") as caught:
        read_midi(midi_file(*data))
    assert caught.value.tracks == tuple(one[0] for one in tracks)


def test_names_that_repeat_are_numbered_and_a_nameless_track_has_its_programs():
    with pytest.raises(NoDrumsError, match="'Piano'") as caught:
        read_midi(without_drum_channel(), treat_as_drums="Piano")
    assert caught.value.tracks == ("Beat", "Beat (2)", "Electric Bass (finger)")


@pytest.mark.parametrize("choice", ["Beat (2)", 1, "1", ["1"], ["Beat (2)", 1]])
def test_an_offered_track_is_read_as_drums(choice):
    reading = read_midi(without_drum_channel(), treat_as_drums=choice)
    assert hits_of(reading.groove) == [(0, SNARE)]
    assert reading.dropped == {"played by another instrument": 2}


def test_several_tracks_are_read_together_where_they_are_chosen():
    reading = read_midi(without_drum_channel(), treat_as_drums=["Beat", "1"])
    assert hits_of(reading.groove) == [(0, KICK), (0, SNARE)]
    assert "2 tracks are read together as drums: Beat, Beat (2)." in reading.summary


def test_a_numeric_name_counts_before_a_number():
    tracks = [
        track(name(text), note(0, pitch, channel=BASS), end(1))
        for text, pitch in (("1", KICK_PITCH), ("0", SNARE_PITCH))
    ]
    for choice, voice in (("1", KICK), ("0", SNARE), (0, KICK), (1, SNARE)):
        reading = read_midi(midi_file(*tracks), treat_as_drums=choice)
        assert hits_of(reading.groove) == [(0, voice)]


@pytest.mark.parametrize("choice", ["Piano", 3, -1, "3", "-1", ["Beat", "Piano"], []])
def test_an_unknown_track_is_refused_with_a_list(choice):
    with pytest.raises(NoDrumsError, match="Beat") as caught:
        read_midi(without_drum_channel(), treat_as_drums=choice)
    assert len(caught.value.tracks) == 3


@pytest.mark.parametrize("names", [["Drum loop"] * 2_000, [f"Part {n}" for n in range(9_000)]])
def test_thousands_of_tracks_are_named_quickly(names):
    data = midi_file(*(pitched(one, 61) for one in names))
    start = time.process_time()
    with pytest.raises(NoDrumsError) as caught:
        read_midi(data, treat_as_drums="none of these")
    assert time.process_time() - start < 2
    assert len(set(caught.value.tracks)) == len(names)


# --- drum maps --------------------------------------------------------------------------


def test_percussion_that_is_read_as_a_voice_is_reported_by_name_and_number():
    data = drum_file(note(0, 54), note(0, 70, 60), note(480, 54), note(0, 56), note(480, 58))
    reading = read_midi(data)
    assert reading.substituted == {
        "tambourine read as closed hi-hat": 2,
        "maracas read as closed hi-hat": 1,
        "cowbell read as ride": 1,
        "vibraslap read as low tom": 1,
    }
    assert "2 tambourine read as closed hi-hat" in reading.summary
    assert "1 maracas merged into a louder one on the same sixteenth" in reading.summary


def test_reading_percussion_is_a_choice_of_map():
    data = drum_file(note(0, KICK_PITCH), note(0, 54))
    reading = read_midi(data, drum_map=DRUM_MAPS["kit-only"])
    assert hits_of(reading.groove) == [(0, KICK)]
    assert reading.dropped == {"no voice for pitch 54, Tambourine": 1}


def test_pitches_without_a_voice_are_offered_the_maps_that_have_one():
    beat = drum_file(note(0, KICK_PITCH), note(240, SNARE_PITCH), note(0, 62), note(240, 63))
    assert "EZdrummer and Superior Drummer (62, 63 closed hi-hat)" in read_midi(beat).summary
    chosen = read_midi(beat, drum_map=find_map("ezdrummer"))
    assert chosen.groove.n_hits == 4
    assert not chosen.remarks


def test_a_map_that_alone_fits_most_pitches_is_guessed_and_said():
    beat = drum_file(*(note(120, pitch) for pitch in (36, 38, 22, 24, 25, 62, 63, 64, 71)))
    reading = read_midi(beat)
    assert reading.groove.n_hits == 9
    assert "Most pitches fit only the drum map of EZdrummer and Superior Drummer" in (
        reading.summary
    )
    toms = drum_file(*(note(120, pitch) for pitch in (36, 38, 60, 65, 67, 69, 71, 77, 79)))
    assert "Addictive Drums" in read_midi(toms).summary


def test_congas_are_no_sign_of_a_sampler():
    data = drum_file(*(note(120, pitch) for pitch in (36, 62, 63, 64)))
    reading = read_midi(data)
    assert hits_of(reading.groove) == [(1, KICK)]
    assert "Most pitches fit" not in reading.summary


def test_congas_alone_are_refused_as_what_they_are():
    with pytest.raises(MidiError, match="Mute Hi Conga in General MIDI") as caught:
        read_midi(drum_file(note(0, 62), note(0, 63)))
    assert "EZdrummer and Superior Drummer (62, 63 closed hi-hat)" in str(caught.value)


@pytest.mark.parametrize("key", DRUM_MAPS)
def test_every_map_has_a_kit_and_is_found_by_its_names(key):
    one = find_map(key.upper().replace("-", " "))
    assert one is find_map(one.name) is DRUM_MAPS[key]
    assert set(one.voices.values()) == set(range(N_VOICES))
    assert all(0 <= pitch < 128 for pitch in one.voices)
    assert one.voices[36] == KICK
    assert one.voices[38] == SNARE


def test_a_map_of_ones_own_changes_the_pitches_that_it_names(tmp_path):
    path = tmp_path / "My kit.txt"
    path.write_text("# hats\n62 = closed hi-hat\n63: Open Hat\n\n54 none # no tambourine\n")
    mine = find_map(path)
    assert (mine.name, mine.voices[62], mine.voices[63]) == ("My kit", CLOSED_HAT, OPEN_HAT)
    assert 54 not in mine.voices
    assert mine.voices[36] == KICK


@pytest.mark.parametrize("line", ["62 = harp", "hat = 62", "128 = kick", "62", "= kick", ""])
def test_a_line_that_is_not_a_pitch_and_a_voice_is_refused_in_a_sentence(tmp_path, line):
    path = tmp_path / "map.txt"
    path.write_text(line)
    with pytest.raises(DrumMapError, match="62 = closed hi-hat"):
        find_map(path)


def test_an_unknown_map_is_refused_with_a_list():
    with pytest.raises(DrumMapError, match="ezdrummer"):
        find_map("no such map")
    with pytest.raises(DrumMapError, match="ezdrummer"):
        find_map("bad\0name")


# --- hi-hats and their pedal ---------------------------------------------------------------


def pedal(delta, value):
    return varlen(delta) + bytes([0xB9, 4, value])


def test_hi_hats_open_where_controller_4_says_so():
    data = drum_file(pedal(0, 90), note(0, 42), note(480, 42), pedal(10, 0), note(470, 42))
    reading = read_midi(data)
    assert hits_of(reading.groove) == [(0, OPEN_HAT), (4, OPEN_HAT), (8, CLOSED_HAT)]
    assert "2 of 3 hi-hats are open by controller 4." in reading.summary


@pytest.mark.parametrize("other", [46, 26, 22, 44])
def test_a_kit_with_its_own_pitches_for_open_hi_hats_is_believed(other):
    data = drum_file(pedal(0, 90), note(0, 42), pedal(240, 0), note(240, 42), note(480, other))
    reading = read_midi(data)
    assert reading.groove.hits[[0, 4], CLOSED_HAT].all()
    assert "controller" not in reading.summary


# --- silence at the start ---------------------------------------------------------------


def test_silent_first_bars_are_kept_and_reported_and_can_be_skipped():
    data = drum_file(tempo(0, 600_000), tempo(32 * TICKS_PER_BAR, 500_000), note(0, KICK_PITCH))
    reading = read_midi(data)
    assert (reading.groove.n_bars, reading.n_silent_bars) == (33, 32)
    assert "It starts at bar 33." in reading.summary
    passed = reading.from_first_hit()
    assert hits_of(passed.groove) == [(0, KICK)]
    assert passed.tempo_map.changes == ((0.0, 500_000),)
    assert "It starts at bar 33." in passed.summary
    assert passed.from_first_hit() is passed
