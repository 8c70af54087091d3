"""Bad MIDI, one kind at a time: a named error that says what to do, soon and small."""

import time
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from midi_builders import (
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
    program,
    tempo,
    track,
    varlen,
)

from musicvae_core.errors import (
    MidiError,
)
from musicvae_core.music.drums import KICK, SNARE
from musicvae_core.music.midi.read import read_midi
from musicvae_core.music.midi.scan import _MAX_NOTES, _MAX_TRACKS, MAX_BARS, MAX_BYTES

SECONDS_ALLOWED = 2.0
BYTES_ALLOWED = 200 * 2**20
HIT = note(0, KICK_PITCH)


LATER = note(120, SNARE_PITCH)


def resized(chunk: bytes, size: int) -> bytes:
    """Return a chunk that claims another size than it has."""
    return chunk[:4] + size.to_bytes(4) + chunk[8:]


def sound_file() -> bytes:
    """Return a file with something of everything that a scan meets."""
    conductor = track(name("Song"), tempo(0, 500_000), metre(0, 4, 2), end(2 * TICKS_PER_BAR))
    drums = track(
        name("Drums"), program(0, 8, 9), HIT, note_off(30, KICK_PITCH), note(200, SNARE_PITCH),
        varlen(120) + bytes([SNARE_PITCH, 70]), varlen(5) + b"\xf0\x02\x7e\xf7", end(200),
    )  # fmt: skip
    return midi_file(conductor, drums, track(note(0, 40, channel=2), end(1)))


BAD_FILES = {
    "no bytes": (b"", MidiError, "0 bytes"),
    "no note": (drum_file(metre(0, 4, 2)), MidiError, "no note"),
    "only note-ons of velocity 0": (drum_file(note(0, 36, 0)), MidiError, "no note"),
    "only pitches without a voice": (
        drum_file(note(0, 80)), MidiError, "Mute Triangle in General MIDI",
    ),
    "text": (b"kick, snare, kick, snare\n" * 99, MidiError, "not a MIDI file"),
    "a RIFF that is not MIDI": (b"RIFF\0\0\0\0WAVEfmt ", MidiError, "not a MIDI file"),
    "a header alone": (midi_file(n_tracks=1), MidiError, "cut short"),
    "no tracks": (midi_file(), MidiError, "cut short before its first track"),
    "no resolution": (drum_file(HIT, division=0), MidiError, "0 ticks"),
    "no resolution of frames": (drum_file(HIT, division=0xE700), MidiError, "0 ticks"),
    "half an event alone": (midi_file(track(b"\x00\x99\x24")), MidiError, "no note"),
    "an endless number": (midi_file(track(b"\xff" * 9)), MidiError, "no note"),
    "three beats a bar": (drum_file(metre(0, 3, 2), HIT), MidiError, "3/4 in bar 1"),
    "a later 7/8": (
        drum_file(metre(0, 4, 2), HIT, metre(3 * TICKS_PER_BAR, 7, 3), HIT),
        MidiError,
        "7/8 in bar 4",
    ),
    "a length bomb": (
        drum_file(note(0x0FFFFFFF, KICK_PITCH)), MidiError, f"bar {MAX_BARS:,}",
    ),
    "too many notes": (
        drum_file(HIT, b"\x00\x24\x40" * _MAX_NOTES), MidiError, f"{_MAX_NOTES:,} notes",
    ),
    "a million notes": (drum_file(HIT, b"\x00\x24\x40" * 10**6), MidiError, "limit is 2"),
    "too many tracks": (
        midi_file(*[track()] * (_MAX_TRACKS + 1)), MidiError, f"{_MAX_TRACKS:,} tracks",
    ),
    "a full file without a note": (
        drum_file(b"\0\xb9\x04\x5a", b"\0\x04\x5a" * (MAX_BYTES // 3 - 30)), MidiError, "note",
    ),
}  # fmt: skip


DAMAGED_FILES = {
    "a value of 200": (drum_file(HIT, b"\x00\x99\x24\xc8", LATER), "1 damaged event was"),
    "a controller of 200": (drum_file(HIT, b"\x00\xb9\x07\xc8", LATER), "1 damaged event was"),
    "an undefined status": (drum_file(HIT, b"\x00\xf4", LATER), "1 damaged event was"),
    "a song position": (drum_file(HIT, b"\x00\xf2\x01\x02", LATER), "1 damaged event was"),
    "no status byte": (drum_file(b"\x00\x24\x40", HIT, LATER), "1 damaged event was"),
    "half a tempo": (drum_file(meta(0, 0x51, b"\x07"), HIT, LATER), "1 damaged event was"),
    "no time at all": (drum_file(tempo(0, 0), HIT, LATER), "1 damaged event was"),
    "half a metre": (drum_file(meta(0, 0x58, b"\x04"), HIT, LATER), "1 damaged event was"),
    "a unit of 2 ** 200": (drum_file(metre(0, 4, 200), HIT, LATER), "1 damaged event was"),
    "two of them": (drum_file(tempo(0, 0), HIT, metre(0, 4, 200), LATER), "2 damaged events were"),
    "a missing track": (midi_file(track(HIT, LATER), n_tracks=2), "only 1 of its 2 tracks"),
    "a missing number of tracks": (midi_file(track(HIT, LATER), n_tracks=0), "2 of 2"),
    "a short chunk": (drum_file(HIT, LATER)[:-2], "track 1 is read up to the break in bar 1"),
    "half an event": (midi_file(track(HIT, LATER, b"\x00\x99\x24")), "break in bar 1"),
    "half a meta event": (midi_file(track(HIT, LATER, b"\0\xff\x01\x09a")), "break in bar 1"),
    "a track that claims to be longer": (
        midi_file(resized(track(HIT, end(1)), 9_999), track(LATER, end(1))), "2 of 2 notes read.",
    ),
    "a track that claims to be shorter": (
        midi_file(resized(track(HIT, end(1)), 3), track(LATER, end(1))), "2 of 2 notes read.",
    ),
    "notes beyond the limit": (
        drum_file(HIT, LATER, note(0x0FFFFFF, KICK_PITCH)), "1 note after bar 1,000 left out",
    ),
    "film frames": (drum_file(HIT, LATER, division=0xE728), "(SMPTE); its bars are laid at 120"),
    "separate patterns": (
        midi_file(track(end(9)), track(HIT, LATER), track(HIT), midi_format=2),
        "One of the file's 3 patterns is read.",
    ),
    "a header of 128 bytes before it": (b"\0" * 128 + drum_file(HIT, LATER), "2 of 2 notes"),
}  # fmt: skip


@pytest.mark.parametrize("case", DAMAGED_FILES)
def test_only_what_is_damaged_is_lost_and_that_is_reported(case):
    data, words = DAMAGED_FILES[case]
    reading = read_midi(data)
    assert np.argwhere(reading.groove.hits)[:, 1].tolist() == [KICK, SNARE]
    assert words in reading.summary


@pytest.mark.parametrize(("microseconds", "bpm"), [(0xFFFFFF, 3.576), (1, 6e7)])
def test_no_tempo_makes_a_file_unreadable(microseconds, bpm):
    assert f"{bpm:.4g} bpm" in read_midi(drum_file(tempo(0, microseconds), HIT)).summary


@pytest.mark.parametrize("case", BAD_FILES)
def test_bad_bytes_raise_their_own_error(case):
    data, error, words = BAD_FILES[case]
    start = time.process_time()
    with pytest.raises(error, match=words) as caught:
        read_midi(data)
    assert time.process_time() - start < SECONDS_ALLOWED
    assert type(caught.value) is error
    assert str(caught.value).endswith(".")


@pytest.mark.parametrize(
    "data",
    [
        drum_file(note(0x0FFFFFFF, KICK_PITCH)),
        drum_file(HIT, note(MAX_BARS * 4_000 - 9, KICK_PITCH), division=1000),
        drum_file(HIT, note(MAX_BARS * 4 * 0x7FFF - 9, KICK_PITCH), division=0x7FFF),
        drum_file(HIT, b"\x00\x24\x40" * (_MAX_NOTES - 1)),
    ],
    ids=["length bomb", "longest that is read", "in finest ticks", "most notes that are read"],
)
def test_no_file_eats_memory(data):
    tracemalloc.start()
    try:
        read_midi(data)
    except MidiError:
        pass
    finally:
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert peak < BYTES_ALLOWED


def test_a_100_mb_file_is_refused_unread(tmp_path):
    path = tmp_path / "huge.mid"
    with path.open("wb") as file:
        file.truncate(100 * 10**6)
    tracemalloc.start()
    with pytest.raises(MidiError, match=r"100\.0 MB; the limit is 2\.1 MB"):
        read_midi(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2**20


@pytest.mark.parametrize("where", ["missing.mid", "."])
def test_a_path_that_cannot_be_read_says_so(tmp_path, where):
    with pytest.raises(MidiError, match="cannot be read"):
        read_midi(tmp_path / where)


def test_an_endless_device_is_read_only_up_to_the_limit():
    endless = Path("/dev/zero")
    if not endless.exists():
        pytest.skip("no /dev/zero on this system")
    with pytest.raises(MidiError):
        read_midi(endless)


def test_every_cut_of_a_file_is_read_up_to_the_break_and_reported_or_refused():
    data = sound_file()
    assert read_midi(data).groove.n_hits == 3
    n_hits = []
    for length in range(len(data)):
        try:
            reading = read_midi(data[:length])
        except MidiError:
            continue
        n_hits.append(reading.groove.n_hits)
        assert "cut short" in reading.summary
    assert n_hits == sorted(n_hits)
    assert set(n_hits) == {1, 2, 3}


@settings(derandomize=True, max_examples=400, deadline=1000 * SECONDS_ALLOWED)
@given(st.lists(st.tuples(st.integers(0, len(sound_file()) - 1), st.integers(0, 255)), max_size=8))
def test_changed_bytes_read_or_raise_a_midi_error(changes):
    data = bytearray(sound_file())
    for position, value in changes:
        data[position] = value
    assert is_read_or_refused(bytes(data))


@settings(derandomize=True, max_examples=200, deadline=1000 * SECONDS_ALLOWED)
@given(st.binary(max_size=300))
def test_any_bytes_as_a_track_read_or_raise_a_midi_error(body):
    assert is_read_or_refused(body)
    assert is_read_or_refused(midi_file(track(body)))


def is_read_or_refused(data: bytes) -> bool:
    """Whether a groove with hits is read, or refused in a sentence; raise all but a MidiError."""
    try:
        return read_midi(data).groove.n_hits > 0
    except MidiError as error:
        return str(error).endswith(".")
