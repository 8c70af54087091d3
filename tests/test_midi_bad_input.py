"""Bad MIDI, one kind at a time: a named error that says what to do, soon and small."""

import time
import tracemalloc
from pathlib import Path

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
    EmptyMidiError,
    InvalidTempoError,
    MalformedMidiError,
    MidiError,
    MidiTooLargeError,
    UnsupportedMetreError,
    UnsupportedMidiError,
)
from musicvae_core.midi import read_midi
from musicvae_core.midi_scan import MAX_BARS, MAX_BYTES, MAX_NOTES, MAX_TICKS

SECONDS_ALLOWED = 2.0
BYTES_ALLOWED = 200 * 2**20
HIT = note(0, KICK_PITCH)


def sound_file() -> bytes:
    """Return a file with something of everything that a scan meets."""
    conductor = track(name("Song"), tempo(0, 500_000), metre(0, 4, 2), end(2 * TICKS_PER_BAR))
    drums = track(
        name("Drums"), program(0, 8, 9), HIT, note_off(30, KICK_PITCH), note(200, SNARE_PITCH),
        varlen(120) + bytes([SNARE_PITCH, 70]), varlen(5) + b"\xf0\x02\x7e\xf7", end(200),
    )  # fmt: skip
    return midi_file(conductor, drums, track(note(0, 40, channel=2), end(1)))


BAD_FILES = {
    "no bytes": (b"", EmptyMidiError, "0 bytes"),
    "no note": (drum_file(metre(0, 4, 2)), EmptyMidiError, "no note"),
    "only note-ons of velocity 0": (drum_file(note(0, 36, 0)), EmptyMidiError, "no note"),
    "only pitches without a voice": (drum_file(note(0, 80)), EmptyMidiError, "General MIDI"),
    "text": (b"kick, snare, kick, snare\n" * 99, MalformedMidiError, "not a MIDI file"),
    "a RIFF that is not MIDI": (b"RIFF\0\0\0\0WAVEfmt ", MalformedMidiError, "not a MIDI file"),
    "a header alone": (midi_file(n_tracks=1), MalformedMidiError, "cut short"),
    "no tracks": (midi_file(), MalformedMidiError, "0 tracks"),
    "no resolution": (drum_file(HIT, division=0), MalformedMidiError, "0 ticks"),
    "a missing track": (midi_file(track(HIT), n_tracks=2), MalformedMidiError, "track 2 of 2"),
    "a short chunk": (drum_file(HIT)[:-1], MalformedMidiError, "cut short"),
    "half an event": (midi_file(track(b"\x00\x99\x24")), MalformedMidiError, "cut short"),
    "half a meta event": (midi_file(track(b"\0\xff\x01\x09a")), MalformedMidiError, "cut short"),
    "no status byte": (midi_file(track(b"\x00\x24\x40")), MalformedMidiError, "status"),
    "an undefined status": (midi_file(track(b"\x00\xf4")), MalformedMidiError, "0xF4"),
    "a value of 200": (midi_file(track(b"\x00\x99\x24\xc8")), MalformedMidiError, "above 127"),
    "an endless number": (midi_file(track(b"\xff" * 9)), MalformedMidiError, "four bytes"),
    "half a tempo": (drum_file(meta(0, 0x51, b"\x07"), HIT), MalformedMidiError, "tempo"),
    "half a metre": (drum_file(meta(0, 0x58, b"\x04"), HIT), MalformedMidiError, "signature"),
    "a unit of 2 ** 200": (drum_file(metre(0, 4, 200), HIT), MalformedMidiError, "signature"),
    "film frames": (drum_file(HIT, division=0xE728), UnsupportedMidiError, "SMPTE"),
    "separate patterns": (drum_file(HIT, midi_format=2), UnsupportedMidiError, "format 2"),
    "three beats a bar": (drum_file(metre(0, 3, 2), HIT), UnsupportedMetreError, "3/4 in bar 1"),
    "a later 7/8": (
        drum_file(metre(0, 4, 2), HIT, metre(3 * TICKS_PER_BAR, 7, 3)),
        UnsupportedMetreError,
        "7/8 in bar 4",
    ),
    "no time at all": (
        *(drum_file(tempo(0, 0), HIT), InvalidTempoError),
        r"0 microseconds a beat \(no tempo\)",
    ),
    "too slow": (drum_file(tempo(0, 0xFFFFFF), HIT), InvalidTempoError, "3.576 bpm"),
    "too fast, later": (
        drum_file(HIT, tempo(TICKS_PER_BAR, 1)), InvalidTempoError, "in bar 2; .* 20 to 400",
    ),
    "a length bomb": (
        drum_file(note(0x0FFFFFFF, KICK_PITCH)), MidiTooLargeError, f"bars; .* {MAX_BARS:,}",
    ),
    "a length bomb at the end": (
        midi_file(track(HIT, end(0x0FFFFFFF))), MidiTooLargeError, "bars",
    ),
    "a length bomb of fine ticks": (
        drum_file(note(0x0FFFFFFF, KICK_PITCH), division=0x7FFF), MidiTooLargeError, "limit is 30",
    ),
    "too many notes": (
        drum_file(HIT, b"\x00\x24\x40" * MAX_NOTES), MidiTooLargeError, f"{MAX_NOTES:,} notes",
    ),
    "a million notes": (drum_file(HIT, b"\x00\x24\x40" * 10**6), MidiTooLargeError, "limit is 2"),
    "a full file without a note": (
        drum_file(b"\0\xb9\x04\x5a", b"\0\x04\x5a" * (MAX_BYTES // 3 - 30)), EmptyMidiError, "note",
    ),
}  # fmt: skip


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
        drum_file(HIT, note(MAX_TICKS - 9, KICK_PITCH), division=1000),
        drum_file(HIT, b"\x00\x24\x40" * (MAX_NOTES - 1)),
    ],
    ids=["length bomb", "longest that is read", "most notes that are read"],
)
def test_no_file_eats_memory(data):
    tracemalloc.start()
    try:
        read_midi(data)
    except MidiTooLargeError:
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
    with pytest.raises(MidiTooLargeError, match=r"100\.0 MB; the limit is 2\.1 MB"):
        read_midi(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2**20


@pytest.mark.parametrize("where", ["missing.mid", "."])
def test_a_path_that_cannot_be_read_says_so(tmp_path, where):
    with pytest.raises(MalformedMidiError, match="cannot be read"):
        read_midi(tmp_path / where)


def test_a_device_without_end_is_read_no_further_than_the_limit():
    endless = Path("/dev/zero")
    if not endless.exists():
        pytest.skip("no /dev/zero on this system")
    with pytest.raises(MidiTooLargeError):
        read_midi(endless)


def test_every_cut_of_a_file_is_an_error():
    data = sound_file()
    assert read_midi(data).groove.n_hits == 3
    for length in range(len(data)):
        with pytest.raises(MidiError):
            read_midi(data[:length])


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
