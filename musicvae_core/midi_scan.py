"""A strict, bounded walk over the bytes of a MIDI file, before pretty_midi sees them.

mido's own parser takes bytes one call at a time (two thirds of the time of reading a
file), lets many kinds of exception escape on damaged bytes, and refuses sound files for
an odd key signature; pretty_midi allocates eight bytes for each tick that a file claims
to last. This walk keeps what a groove needs (notes, programs, tempos, names, the end),
stops at stated limits, and fails with a `MidiError` alone.

Source: Standard MIDI Files 1.0 (RP-001), MIDI Manufacturers Association 1996.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import NamedTuple

from musicvae_core.errors import (
    EmptyMidiError,
    InvalidTempoError,
    MalformedMidiError,
    MidiTooLargeError,
    UnsupportedMetreError,
    UnsupportedMidiError,
)
from musicvae_core.vocabulary import BEATS_PER_BAR, MAX_TEMPO_BPM, MIN_TEMPO_BPM

MAX_BYTES = 2 * 2**20
"""Larger files are refused unread; the longest performance of the data set has 0.1 MB."""
MAX_NOTES = 50_000
MAX_BARS = 1_000
MAX_TICKS = 4_000_000
"""pretty_midi holds eight bytes a tick: 1,000 bars fit at up to 1,000 ticks a beat."""

MICROSECONDS_PER_MINUTE = 60_000_000
EXPORT_AGAIN = "Export it again from your music software as a standard MIDI file (.mid)."

_MAX_NAME_LENGTH = 60
_NOTE_ON, _PROGRAM_CHANGE, _CHANNEL_PRESSURE = 0x9, 0xC, 0xD
_META, _SYSEX, _SYSEX_CONTINUED = 0xFF, 0xF0, 0xF7
_TRACK_NAME, _END_OF_TRACK, _SET_TEMPO, _TIME_SIGNATURE = 0x03, 0x2F, 0x51, 0x58


class ScannedNote(NamedTuple):
    """The start of a note; a drum has no length, so its end is not kept."""

    tick: int
    channel: int
    pitch: int
    velocity: int


@dataclass
class ScannedTrack:
    """The notes of one track in the order of the file, and the last program of each channel."""

    name: str = ""
    notes: list[ScannedNote] = field(default_factory=list)
    programs: dict[int, int] = field(default_factory=dict)
    end_tick: int = 0


@dataclass(frozen=True)
class ScannedMidi:
    """What a MIDI file says, with every time in ticks from its start.

    Parameters
    ----------
    ticks_per_beat
        Ticks in a quarter note, 1 to 32767.
    tracks
        In the order of the file.
    tempos
        (tick, microseconds a quarter note), in the order of time.
    """

    ticks_per_beat: int
    tracks: tuple[ScannedTrack, ...]
    tempos: tuple[tuple[int, int], ...]

    @property
    def end_tick(self) -> int:
        """Where the last track ends."""
        return max(track.end_tick for track in self.tracks)


def scan_midi(data: bytes) -> ScannedMidi:
    """Walk the bytes of a MIDI file once.

    Parameters
    ----------
    data
        A standard MIDI file of format 0 or 1, plain or in a RIFF wrapper (.rmi).

    Raises
    ------
    MidiTooLargeError
        Beyond `MAX_BYTES`, `MAX_NOTES`, `MAX_BARS` or `MAX_TICKS`.
    MalformedMidiError
        If the bytes are no MIDI file, or one that is damaged or cut short.
    UnsupportedMidiError
        If the file counts time in frames, or holds separate patterns (format 2).
    UnsupportedMetreError
        At the first time signature that is not 4/4.
    InvalidTempoError
        At the first tempo outside `MIN_TEMPO_BPM` to `MAX_TEMPO_BPM`.
    """
    check_size(len(data))
    if not data:
        raise EmptyMidiError("The file is empty (0 bytes). Choose another file.")
    start = max(data.find(b"MThd"), 0) if data.startswith(b"RIFF") else 0
    n_tracks, ticks_per_beat = _read_header(data, start)
    walk = _Walk(ticks_per_beat)
    position = start + 8 + int.from_bytes(data[start + 4 : start + 8])
    while len(walk.tracks) < n_tracks:
        kind, body = _read_chunk(data, position, len(walk.tracks), n_tracks)
        position += 8 + len(body)
        if kind == b"MTrk":
            walk.read_track(body)
    return ScannedMidi(ticks_per_beat, tuple(walk.tracks), tuple(sorted(walk.tempos)))


def check_size(n_bytes: int) -> None:
    """Raise `MidiTooLargeError` for more than `MAX_BYTES`."""
    if n_bytes > MAX_BYTES:
        raise MidiTooLargeError(
            f"The file has {n_bytes / 1e6:.1f} MB; the limit is {MAX_BYTES / 1e6:.1f} MB. "
            "Export the drum track alone, or a part of the song."
        )


def _read_header(data: bytes, start: int) -> tuple[int, int]:
    """Return the number of tracks and the ticks a beat that the header states."""
    if data[start : start + 4] != b"MThd"[: len(data) - start]:
        raise MalformedMidiError(f"This is not a MIDI file. {EXPORT_AGAIN}")
    header = data[start + 8 : start + 14]
    if len(header) < 6 or int.from_bytes(data[start + 4 : start + 8]) < 6:
        raise MalformedMidiError(f"The file is cut short in its header. {EXPORT_AGAIN}")
    midi_format, n_tracks, division = (int.from_bytes(header[i : i + 2]) for i in (0, 2, 4))
    if midi_format > 1:
        raise UnsupportedMidiError(
            f"The file is of MIDI format {midi_format}, not a song of format 0 or 1: "
            "export it, or one of its patterns, as one of these."
        )
    if division >= 0x8000:
        raise UnsupportedMidiError(
            "The file counts time in film frames (SMPTE), so it has no bars. "
            "Export it with ticks per quarter note."
        )
    if division == 0 or n_tracks == 0:
        what = "ticks per beat" if division == 0 else "tracks"
        raise MalformedMidiError(f"The file's header states 0 {what}. {EXPORT_AGAIN}")
    return n_tracks, division


def _read_chunk(data: bytes, position: int, n_read: int, n_tracks: int) -> tuple[bytes, bytes]:
    """Return the kind and the body of the chunk at `position`."""
    size = int.from_bytes(data[position + 4 : position + 8])
    body = data[position + 8 : position + 8 + size]
    if position + 8 > len(data) or len(body) < size:
        raise MalformedMidiError(
            f"The file is cut short: it ends within track {n_read + 1} of {n_tracks}. "
            f"{EXPORT_AGAIN}"
        )
    return data[position : position + 4], body


class _Walk:
    """The tracks read so far, and the limits that all of them share."""

    def __init__(self, ticks_per_beat: int) -> None:
        self.tracks: list[ScannedTrack] = []
        self.tempos: list[tuple[int, int]] = []
        self.ticks_per_bar = BEATS_PER_BAR * ticks_per_beat
        self.max_ticks = min(MAX_BARS * self.ticks_per_bar, MAX_TICKS)
        self.n_notes_left = MAX_NOTES

    def read_track(self, body: bytes) -> None:
        """Read the body of one track chunk."""
        track = ScannedTrack()
        self.tracks.append(track)
        try:
            self._read_events(body, track)
        except IndexError:
            raise _damaged(len(self.tracks), "an event that is cut short") from None

    def _read_events(self, body: bytes, track: ScannedTrack) -> None:
        """Add the notes and programs of `body` to `track`; IndexError where it breaks off."""
        position = tick = status = 0
        while position < len(body):
            delta = body[position]
            position += 1
            if delta >= 0x80:
                delta, position = self._read_length(body, position - 1)
            tick += delta
            if tick > self.max_ticks:
                raise self._too_long(tick)
            track.end_tick = tick
            if body[position] >= 0xF0:
                position, ended = self._read_system_event(body, position, tick, track)
                if ended:
                    return
                continue
            if body[position] >= 0x80:
                status = body[position]
                position += 1
            if not status:
                raise _damaged(len(self.tracks), "data without a status byte")
            command = status >> 4
            number = velocity = body[position]
            position += 1
            if command not in (_PROGRAM_CHANGE, _CHANNEL_PRESSURE):
                velocity = body[position]
                position += 1
            if number | velocity >= 0x80:
                raise _damaged(len(self.tracks), "a value above 127")
            if command == _NOTE_ON and velocity:
                self._count_note()
                track.notes.append(ScannedNote(tick, status & 0xF, number, velocity))
            elif command == _PROGRAM_CHANGE:
                track.programs[status & 0xF] = number

    def _count_note(self) -> None:
        self.n_notes_left -= 1
        if self.n_notes_left < 0:
            raise MidiTooLargeError(
                f"The file has more than {MAX_NOTES:,} notes. "
                "Export the drum track alone, or a part of the song."
            )

    def _read_system_event(
        self, body: bytes, position: int, tick: int, track: ScannedTrack
    ) -> tuple[int, bool]:
        """Read a meta or system exclusive event; return where it ends and if the track does."""
        status = body[position]
        kind = body[position + 1] if status == _META else None
        if status not in (_META, _SYSEX, _SYSEX_CONTINUED):
            raise _damaged(len(self.tracks), f"an undefined status byte 0x{status:02X}")
        start = position + (1 if kind is None else 2)
        size, start = self._read_length(body, start)
        payload = body[start : start + size]
        if len(payload) < size:
            raise IndexError("the payload is cut short")
        if kind == _TRACK_NAME:
            track.name = _decode_name(payload)
        elif kind == _SET_TEMPO:
            self._read_tempo(payload, tick)
        elif kind == _TIME_SIGNATURE:
            self._check_metre(payload, tick)
        return start + size, kind == _END_OF_TRACK

    def _read_length(self, body: bytes, position: int) -> tuple[int, int]:
        """Return the variable-length number at `position`, and where it ends."""
        value = 0
        for end in range(position + 1, position + 5):
            byte = body[end - 1]
            value = (value << 7) | (byte & 0x7F)
            if byte < 0x80:
                return value, end
        raise _damaged(len(self.tracks), "a number of more than four bytes")

    def _read_tempo(self, payload: bytes, tick: int) -> None:
        if len(payload) != 3:
            raise _damaged(len(self.tracks), f"a tempo of {len(payload)} bytes, not 3")
        microseconds_per_beat = int.from_bytes(payload)
        bpm = MICROSECONDS_PER_MINUTE / microseconds_per_beat if microseconds_per_beat else math.inf
        if not MIN_TEMPO_BPM <= bpm <= MAX_TEMPO_BPM:
            pace = "no tempo" if math.isinf(bpm) else f"{bpm:,.4g} bpm"
            raise InvalidTempoError(
                f"The file states {microseconds_per_beat:,} microseconds a beat ({pace}) "
                f"in bar {tick // self.ticks_per_bar + 1}; a groove has {MIN_TEMPO_BPM:g} to "
                f"{MAX_TEMPO_BPM:g} bpm. Set its tempo within these and export it again."
            )
        self.tempos.append((tick, microseconds_per_beat))

    def _check_metre(self, payload: bytes, tick: int) -> None:
        if len(payload) < 2 or payload[1] > 7:
            raise _damaged(len(self.tracks), "a broken time signature")
        beats, unit = payload[0], 2 ** payload[1]
        if (beats, unit) != (4, 4):
            raise UnsupportedMetreError(
                f"The file is in {beats}/{unit} in bar {tick // self.ticks_per_bar + 1}; "
                "only 4/4 is supported. Choose a file that is in 4/4 throughout, "
                "or export its 4/4 part alone."
            )

    def _too_long(self, tick: int) -> MidiTooLargeError:
        return MidiTooLargeError(
            f"The file lasts at least {tick // self.ticks_per_bar:,} bars; "
            f"at its resolution the limit is {self.max_ticks // self.ticks_per_bar:,}. "
            "Export a part of it."
        )


def _damaged(track_number: int, what: str) -> MalformedMidiError:
    return MalformedMidiError(
        f"The file is damaged: track {track_number} has {what}. {EXPORT_AGAIN}"
    )


def _decode_name(payload: bytes) -> str:
    """Decode a name as UTF-8, or as Latin-1 where it is not."""
    try:
        text = payload.decode("utf-8")
    except UnicodeDecodeError:
        text = payload.decode("latin-1")
    return "".join(filter(str.isprintable, text)).strip()[:_MAX_NAME_LENGTH]
