"""Melodies from MIDI files of other programs, and back into files."""

import io

import mido
import pytest
from hypothesis import given, settings
from test_line import lines

from musicvae_core.errors import MidiError, NoMelodyError
from musicvae_core.music.line import Line, Note
from musicvae_core.music.line_midi import read_line
from musicvae_core.music.midi.write import write_line


def midi(*tracks, ticks_per_beat=480):
    """Write tracks of (name, channel, program, [(start, end, pitch, level)]) in ticks."""
    made = []
    for name, channel, program, notes in tracks:
        events = [(end, 0, pitch, 0) for _, end, pitch, _ in notes if end is not None]
        events += [(start, 1, pitch, level) for start, _, pitch, level in notes]
        track = mido.MidiTrack(
            [
                mido.MetaMessage("track_name", name=name),
                mido.Message("program_change", channel=channel, program=program),
            ]
        )
        now = 0
        for tick, begins, pitch, level in sorted(events, key=lambda event: event[:2]):
            kind = "note_on" if begins else "note_off"
            track.append(
                mido.Message(kind, channel=channel, note=pitch, velocity=level, time=tick - now)
            )
            now = tick
        made.append(track)
    buffer = io.BytesIO()
    mido.MidiFile(ticks_per_beat=ticks_per_beat, tracks=made).save(file=buffer)
    return buffer.getvalue()


def quarters(*pitches, start=0, level=100, length=480):
    return [
        (start + 480 * i, start + 480 * i + length, pitch, level)
        for i, pitch in enumerate(pitches)
        if pitch is not None
    ]


CHORDS = [(480 * i, 480 * i + 480, pitch, 80) for i in range(4) for pitch in (48, 52, 55)]


@settings(max_examples=40, deadline=None)
@given(lines())
def test_a_line_comes_back_from_its_file(line):
    if line.n_notes == 0:
        with pytest.raises(MidiError):
            read_line(write_line(line))
        return
    again = read_line(write_line(line)).line
    longest = line.bars(0, again.n_bars)
    assert [note[:3] for note in again.notes()] == [note[:3] for note in longest.notes()]
    assert again.tempo_bpm == pytest.approx(line.tempo_bpm, rel=1e-5)
    assert again.program == line.program


def test_a_file_names_its_track_and_sets_channel_program_and_end():
    line = Line.from_notes([Note(4, 8, 67, 0.5)], 2, tempo_bpm=90, program=73)
    file = mido.MidiFile(file=io.BytesIO(write_line(line, "Flute")))
    assert [track.name for track in file.tracks] == ["", "Flute"]
    events = [message for message in file.tracks[1] if message.type == "note_on"]
    notes = [message for message in events if message.velocity]
    assert [(note.channel, note.note, note.velocity) for note in notes] == [(0, 67, 64)]
    assert any(m.type == "program_change" and m.program == 73 for m in file.tracks[1])
    assert {sum(message.time for message in track) for track in file.tracks} == {2 * 1920}


def test_the_highest_line_is_the_melody_and_chords_and_drums_are_not():
    data = midi(
        ("Pad", 0, 89, [(start, end, pitch + 48, level) for start, end, pitch, level in CHORDS]),
        ("Bass", 1, 33, quarters(36, 38, 40, 41)),
        ("Flute", 2, 73, quarters(72, 74, None, 76)),
        ("Drums", 9, 0, quarters(98, 98, 98, 98)),
    )
    reading = read_line(data)
    assert (reading.track, reading.line.program) == ("Flute", 73)
    assert [note[:3] for note in reading.line.notes()] == [(0, 4, 72), (4, 4, 74), (12, 4, 76)]
    assert reading.summary == "3 of 3 notes of Flute read."


@pytest.mark.parametrize("track", ["Bass", 1, "1"])
def test_a_track_is_chosen_by_name_or_number(track):
    data = midi(("Flute", 0, 73, quarters(72, 74)), ("Bass", 5, 33, quarters(36, 38)))
    assert [note.pitch for note in read_line(data, track=track).line.notes()] == [36, 38]


def test_tracks_of_one_name_are_numbered_and_channels_of_one_track_are_apart():
    data = midi(("Voice", 0, 52, quarters(60)), ("Voice", 1, 52, quarters(64)))
    assert read_line(data, track="Voice (2)").line.pitches[0] == 64
    one_track = mido.MidiTrack(
        [
            mido.Message("note_on", channel=channel, note=pitch, velocity=9, time=0)
            for channel, pitch in ((0, 60), (3, 40))
        ]
    )
    buffer = io.BytesIO()
    mido.MidiFile(type=0, tracks=[one_track]).save(file=buffer)
    assert read_line(buffer.getvalue(), track=1).line.pitches[0] == 40


def test_chords_alone_are_refused_by_name_and_give_their_top_when_chosen():
    data = midi(("Piano", 0, 0, CHORDS), ("Strings", 1, 48, CHORDS))
    with pytest.raises(NoMelodyError, match=r"plays chords.*Piano, Strings") as error:
        read_line(data)
    assert error.value.tracks == ("Piano", "Strings")
    reading = read_line(data, track="Piano")
    assert [note.pitch for note in reading.line.notes()] == [55] * 4
    assert reading.dropped == {"lower notes of a chord": 8}
    assert reading.summary.startswith("4 of 12 notes of Piano read; 8 dropped")


def test_an_unknown_track_is_refused_with_a_list():
    with pytest.raises(NoMelodyError, match=r"no track 'Oboe'.*Flute"):
        read_line(midi(("Flute", 0, 73, quarters(72))), track="Oboe")


def test_a_file_without_a_pitched_instrument_is_refused():
    with pytest.raises(MidiError, match="pitched"):
        read_line(midi(("Drums", 9, 0, quarters(36))))


def test_notes_that_overlap_end_where_the_next_begins():
    reading = read_line(midi(("Legato", 0, 0, quarters(60, 62, 64, length=700))))
    assert [note[:3] for note in reading.line.notes()] == [(0, 4, 60), (4, 4, 62), (8, 6, 64)]
    assert reading.n_shortened == 2
    assert "2 cut short where the next begins" in reading.summary


def test_a_note_lasts_a_step_at_least_and_one_without_an_end_lasts_to_the_track_s():
    grace = read_line(midi(("Grace", 0, 0, [(0, 20, 60, 90), (480, 960, 62, 90)])))
    assert [note[:3] for note in grace.line.notes()] == [(0, 1, 60), (4, 4, 62)]
    hanging = midi(("Hanging", 0, 0, [(0, None, 60, 90), (960, 1440, 62, 90)]))
    assert [note[:3] for note in read_line(hanging).line.notes()] == [(0, 8, 60), (8, 4, 62)]


def test_a_note_struck_again_before_its_release_is_two():
    data = midi(("Repeat", 0, 0, [(0, None, 60, 90), (240, 480, 60, 90)]))
    assert [note[:3] for note in read_line(data).line.notes()] == [(0, 2, 60), (2, 2, 60)]


def test_onsets_go_to_the_nearest_step_and_triplets_are_said_to_be_off_the_grid():
    triplets = [(160 * i, 160 * i + 160, 60 + i, 90) for i in range(6)]
    reading = read_line(midi(("Triplets", 0, 0, triplets)))
    assert reading.onset_steps.tolist() == [0, 1, 3, 4, 5, 7]
    assert reading.is_on_grid.tolist() == [True, False, False, True, False, False]
    crowded = [(0, 60, 60, 90), (40, 100, 62, 90), (480, 960, 64, 90)]
    reading = read_line(midi(("Ornament", 0, 0, crowded)))
    assert [note.pitch for note in reading.line.notes()] == [62, 64]
    assert reading.dropped == {"on the same sixteenth as another": 1}


def test_a_pick_up_keeps_its_place_before_the_bar_line():
    reading = read_line(midi(("Tune", 0, 0, quarters(67, 72, 74, start=3 * 480))))
    assert [note[:3] for note in reading.line.notes()] == [(12, 4, 67), (16, 4, 72), (20, 4, 74)]
    assert reading.line.n_bars == 2


def test_velocities_and_the_tempo_are_the_file_s(tmp_path):
    path = tmp_path / "tune.mid"
    path.write_bytes(midi(("Tune", 0, 0, quarters(60, level=64))))
    reading = read_line(path)
    assert reading.line.velocities[0] == pytest.approx(64 / 127)
    assert reading.line.tempo_bpm == 120
