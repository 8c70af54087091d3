"""A bounded scanner for MIDI files that skips damaged parts.

mido's own parser reads byte by byte (two thirds of the time of reading a file), stops at the first
damaged event, and refuses valid files for an odd key signature. This scanner keeps what music needs
(notes, programs, the hi-hat pedal, tempos, metres, names, ends), skips damaged events, reads
truncated files up to the break, counts both, and raises only `MidiError`.

Source: Standard MIDI Files 1.0 (RP-001), MIDI Manufacturers Association 1996.
"""

from __future__ import annotations

from pathlib import Path

from musicvae_core.errors import MidiError
from musicvae_core.music.grid import COMMON_TIME, TempoMap
from musicvae_core.music.midi.tracks import DRUM_CHANNEL, ScannedMidi, ScannedNote, ScannedTrack

MAX_BYTES = 2 * 2**20
"""Larger files are refused unread; the longest performance in the data set has 0.1 MB."""
_MAX_NOTES = 50_000
MAX_BARS = 1_000
"""Later notes are left out."""
_MAX_TRACKS = 10_000

_EXPORT_AGAIN = "Export it again from your music software as a standard MIDI file (.mid)."

_MAX_NAME_LENGTH = 60
_HEADER_WITHIN_BYTES = 256
"""Some wrappers (RIFF, MacBinary) start with a header of their own."""
_NOTE_OFF, _NOTE_ON, _CONTROL_CHANGE, _PROGRAM_CHANGE, _CHANNEL_PRESSURE = 0x8, 0x9, 0xB, 0xC, 0xD
_PEDAL = 4
_META, _SYSEX, _SYSEX_CONTINUED = 0xFF, 0xF0, 0xF7
_DATA_BYTES_OF_SYSTEM_COMMON = {0xF1: 1, 0xF2: 2, 0xF3: 1}
_TRACK_NAME, _MARKER, _END_OF_TRACK, _SET_TEMPO, _TIME_SIGNATURE = 0x03, 0x06, 0x2F, 0x51, 0x58
LOOP_END = "loopEnd"


def scan_midi(data: bytes) -> ScannedMidi:
    """Scan the bytes of a MIDI file, once.

    Parameters
    ----------
    data
        A standard MIDI file, plain or in a wrapper such as RIFF (.rmi). From a file of separate
        patterns (format 2), the first with drums is read, or else the first with notes.

    Raises
    ------
    MidiError
        If the file exceeds `MAX_BYTES`, `_MAX_NOTES` or `_MAX_TRACKS`, or all notes are beyond
        `MAX_BARS`; or if it is not a MIDI file, or its header does not say how time is counted.
    """
    _check_size(len(data))
    if not data:
        raise MidiError("The file is empty (0 bytes). Choose another file.")
    midi_format, n_tracks, division, position = _read_header(data)
    walk = _Walk(division)
    while (chunk := _find_track(data, position)) is not None:
        start, end = chunk
        walk.read_track(data[start:end], is_cut=end > len(data), is_last=end >= len(data))
        position = end
    if not walk.tracks:
        raise MidiError(f"The file is cut short before its first track. {_EXPORT_AGAIN}")
    if len(walk.tracks) < n_tracks:
        walk.breaks.append(f"only {len(walk.tracks)} of its {n_tracks} tracks are there")
    walk.check_notes()
    tracks, remarks = walk.tracks, walk.remarks
    if midi_format == 2 and len(tracks) > 1:
        tracks = [_first_pattern(tracks)]
        remarks.append(f"One of the file's {len(walk.tracks)} patterns is read.")
    ticks_per_beat = division
    if division >= 0x8000:
        ticks_per_beat, remark = _beat_of_frames(division, tracks)
        remarks.append(remark)
    return ScannedMidi(ticks_per_beat, tuple(tracks), tuple(remarks))


def read_bytes(path: Path) -> bytes:
    """Read a file, but at most one byte more than the limit."""
    try:
        _check_size(path.stat().st_size)
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except OSError as error:
        reason = error.strerror or error
        raise MidiError(f"{path} cannot be read ({reason}). Check the path.") from error


def _check_size(n_bytes: int) -> None:
    """Raise `MidiError` for more than `MAX_BYTES`."""
    if n_bytes > MAX_BYTES:
        raise MidiError(
            f"The file has {n_bytes / 1e6:.1f} MB; the limit is {MAX_BYTES / 1e6:.1f} MB. "
            "Export the drum track alone, or a part of the song."
        )


def _read_header(data: bytes) -> tuple[int, int, int, int]:
    """Return the format, the number of tracks, the division, and where the header ends."""
    start = data.find(b"MThd", 0, _HEADER_WITHIN_BYTES)
    if start < 0:
        if data != b"MThd"[: len(data)]:
            raise MidiError(f"This is not a MIDI file. {_EXPORT_AGAIN}")
        start = 0
    header = data[start + 8 : start + 14]
    if len(header) < 6:
        raise MidiError(f"The file is cut short in its header. {_EXPORT_AGAIN}")
    midi_format, n_tracks, division = (int.from_bytes(header[i : i + 2]) for i in (0, 2, 4))
    if not division & 0xFF and (division >= 0x8000 or not division):
        raise MidiError(f"The file's header states 0 ticks per beat. {_EXPORT_AGAIN}")
    return midi_format, n_tracks, division, start + 14


def _find_track(data: bytes, position: int) -> tuple[int, int] | None:
    """Return the start and end of the next track's body, or None.

    A chunk ends where its header says if another chunk or the end of the file follows. Otherwise
    it ends at the next track or, if there is none, with the file; beyond it if the file is cut
    short.
    """
    while position < len(data):
        start = position + 8
        end = start + int.from_bytes(data[position + 4 : start])
        is_sound = end == len(data) or data[end : end + 4].isalpha()
        if data[position : position + 4] == b"MTrk":
            if not is_sound:
                found = data.find(b"MTrk", start)
                end = max(end, len(data)) if found < 0 else found
            return start, end
        if data[position : position + 4].isalpha() and is_sound:
            position = end
            continue
        position = data.find(b"MTrk", position)
        if position < 0:
            return None
    return None


def _first_pattern(tracks: list[ScannedTrack]) -> ScannedTrack:
    """Return the first track with drums, or else the first with notes."""
    playing = [track for track in tracks if track.notes]
    drums = [t for t in playing if any(note.channel == DRUM_CHANNEL for note in t.notes)]
    return [*drums, *playing, *tracks][0]


def _beat_of_frames(division: int, tracks: list[ScannedTrack]) -> tuple[int, str]:
    """Return the ticks per beat of a file that counts time in frames, and a remark.

    Such a file has no beats; its first tempo defines them.
    """
    frames_per_second = 0x100 - (division >> 8)
    ticks_per_second = (division & 0xFF) * (29.97 if frames_per_second == 29 else frames_per_second)
    tempos = sorted(tempo for track in tracks for tempo in track.tempos)
    first = TempoMap(tuple((0.0, microseconds) for _, microseconds in tempos[:1]))
    ((_, microseconds),), (tempo_bpm,) = first.changes, first.tempos_bpm
    for track in tracks:
        track.tempos = []
    tracks[0].tempos = [(0, microseconds)]
    remark = (
        f"The file counts time in film frames (SMPTE); its bars are laid at {tempo_bpm:.4g} bpm."
    )
    return max(round(ticks_per_second * microseconds / 1e6), 1), remark


class _Walk:
    """The tracks read so far, what was lost, and the limits that they share."""

    def __init__(self, division: int) -> None:
        self.tracks: list[ScannedTrack] = []
        # The limits are counted in bars of 4/4, whatever the metre.
        self.ticks_per_bar = COMMON_TIME.beats_per_bar * (division if division < 0x8000 else 1_000)
        self.max_tick = MAX_BARS * self.ticks_per_bar
        self.n_notes = self.n_beyond = self.n_damaged = 0
        self.breaks: list[str] = []

    @property
    def remarks(self) -> list[str]:
        """A sentence for each kind of loss."""
        remarks = []
        if self.n_damaged:
            events = "damaged event was" if self.n_damaged == 1 else "damaged events were"
            remarks.append(f"{self.n_damaged} {events} skipped.")
        if self.breaks:
            remarks.append(f"The file is cut short: {'; '.join(self.breaks)}.")
        if self.n_beyond:
            notes = "note" if self.n_beyond == 1 else "notes"
            remarks.append(f"{self.n_beyond} {notes} after bar {MAX_BARS:,} left out.")
        return remarks

    def check_notes(self) -> None:
        """Raise `MidiError` if all notes are beyond `MAX_BARS` bars."""
        if self.n_beyond and self.n_beyond == self.n_notes:
            raise MidiError(
                f"The file's first note is after bar {MAX_BARS:,}, which is the limit. "
                "Export the part that plays."
            )

    def read_track(self, body: bytes, *, is_cut: bool, is_last: bool) -> None:
        """Read the body of one track chunk, which may be cut off, or the last one."""
        if len(self.tracks) == _MAX_TRACKS:
            raise MidiError(
                f"The file has more than {_MAX_TRACKS:,} tracks. Export the drum track alone."
            )
        track = ScannedTrack()
        self.tracks.append(track)
        try:
            is_whole = self._read_events(body, track) or not is_cut
        except IndexError:
            is_whole = not is_last
            self.n_damaged += is_whole
        if not is_whole:
            number, bar = len(self.tracks), track.end_tick // self.ticks_per_bar + 1
            self.breaks.append(f"track {number} is read up to the break in bar {bar}")

    def _read_events(self, body: bytes, track: ScannedTrack) -> bool:
        """Add the events of `body` to `track`; raise IndexError if it is cut off.

        Returns
        -------
        Whether the track has an end event.
        """
        position = tick = status = 0
        while position < len(body):
            delta = body[position]
            position += 1
            if delta >= 0x80:
                delta, position = self._read_length(body, position - 1)
            tick += delta
            if body[position] >= 0xF0:
                position, ended = self._read_system_event(body, position, tick, track)
                if ended:
                    return True
                continue
            if body[position] >= 0x80:
                status = body[position]
                position += 1
            command, channel = status >> 4, status & 0xF
            number = value = body[position]
            position += 1
            if command not in (_PROGRAM_CHANGE, _CHANNEL_PRESSURE):
                value = body[position]
                position += 1
            if number | value >= 0x80 or not status:
                self.n_damaged += 1
            elif command == _NOTE_ON and value:
                self._add_note(track, ScannedNote(tick, channel, number, value))
            elif command in (_NOTE_ON, _NOTE_OFF):
                track.releases.append((tick, channel, number))
            elif command == _CONTROL_CHANGE and number == _PEDAL:
                track.pedals.append((tick, channel, value))
            elif command == _PROGRAM_CHANGE:
                track.programs[channel] = number
            track.end_tick = track.last_event_tick = tick
        return False

    def _add_note(self, track: ScannedTrack, note: ScannedNote) -> None:
        self.n_notes += 1
        if self.n_notes > _MAX_NOTES:
            raise MidiError(
                f"The file has more than {_MAX_NOTES:,} notes. "
                "Export the drum track alone, or a part of the song."
            )
        if note.tick < self.max_tick:
            track.notes.append(note)
        else:
            self.n_beyond += 1

    def _read_system_event(
        self, body: bytes, position: int, tick: int, track: ScannedTrack
    ) -> tuple[int, bool]:
        """Read a meta or system exclusive event; return its end, and whether the track ends."""
        status = body[position]
        if status not in (_META, _SYSEX, _SYSEX_CONTINUED):
            self.n_damaged += 1
            return position + 1 + _DATA_BYTES_OF_SYSTEM_COMMON.get(status, 0), False
        kind = body[position + 1] if status == _META else None
        size, start = self._read_length(body, position + (1 if kind is None else 2))
        payload = body[start : start + size]
        if len(payload) < size:
            raise IndexError("the payload is cut short")
        track.end_tick = tick
        if kind == _TRACK_NAME:
            track.name = _decode_name(payload)
        elif kind == _MARKER and payload == LOOP_END.encode():
            track.loop_end_tick = tick
        elif kind == _SET_TEMPO:
            self._read_tempo(payload, tick, track)
        elif kind == _TIME_SIGNATURE:
            self._read_metre(payload, tick, track)
        return start + size, kind == _END_OF_TRACK

    def _read_length(self, body: bytes, position: int) -> tuple[int, int]:
        """Return the variable-length number at `position`, and where it ends.

        A number of more than four bytes is damaged and read as 0.
        """
        value = 0
        for end in range(position + 1, position + 5):
            byte = body[end - 1]
            value = (value << 7) | (byte & 0x7F)
            if byte < 0x80:
                return value, end
        self.n_damaged += 1
        return 0, position + 4

    def _read_tempo(self, payload: bytes, tick: int, track: ScannedTrack) -> None:
        microseconds_per_beat = int.from_bytes(payload)
        if len(payload) == 3 and microseconds_per_beat:
            track.tempos.append((tick, microseconds_per_beat))
        else:
            self.n_damaged += 1

    def _read_metre(self, payload: bytes, tick: int, track: ScannedTrack) -> None:
        if len(payload) < 2 or payload[1] > 7 or not payload[0]:
            self.n_damaged += 1
        else:
            track.metres.append((tick, payload[0], 2 ** payload[1]))


def _decode_name(payload: bytes) -> str:
    """Decode a name as UTF-8 or, failing that, as Latin-1."""
    try:
        text = payload.decode("utf-8")
    except UnicodeDecodeError:
        text = payload.decode("latin-1")
    return "".join(filter(str.isprintable, text)).strip()[:_MAX_NAME_LENGTH]
