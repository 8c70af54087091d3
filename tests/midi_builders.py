"""Builders of MIDI bytes, sound and broken, that need no MIDI library; and hits as pairs."""

import numpy as np

from musicvae_core.music.grid import TICKS_PER_BEAT
from musicvae_core.music.groove import Groove

TICKS_PER_BAR = 4 * TICKS_PER_BEAT
KICK_PITCH, SNARE_PITCH, HAT_PITCH = 36, 38, 42
BASS, DRUMS = 1, 9


def varlen(number: int) -> bytes:
    """Return a delta time as MIDI writes it: seven bits a byte, the high ones first."""
    groups = [number & 0x7F]
    while number := number >> 7:
        groups.append(number & 0x7F | 0x80)
    return bytes(reversed(groups))


def note(delta: int, pitch: int, velocity: int = 100, channel: int = DRUMS) -> bytes:
    return varlen(delta) + bytes([0x90 | channel, pitch, velocity])


def note_off(delta: int, pitch: int, channel: int = DRUMS) -> bytes:
    return varlen(delta) + bytes([0x80 | channel, pitch, 64])


def meta(delta: int, kind: int, payload: bytes) -> bytes:
    return varlen(delta) + bytes([0xFF, kind]) + varlen(len(payload)) + payload


def name(text: str) -> bytes:
    return meta(0, 0x03, text.encode())


def tempo(delta: int, microseconds_per_beat: int) -> bytes:
    return meta(delta, 0x51, microseconds_per_beat.to_bytes(3))


def metre(delta: int, beats: int, log2_unit: int) -> bytes:
    return meta(delta, 0x58, bytes([beats, log2_unit, 24, 8]))


def program(delta: int, number: int, channel: int) -> bytes:
    return varlen(delta) + bytes([0xC0 | channel, number])


def end(delta: int = 0) -> bytes:
    return meta(delta, 0x2F, b"")


def track(*events: bytes) -> bytes:
    body = b"".join(events)
    return b"MTrk" + len(body).to_bytes(4) + body


def midi_file(
    *tracks: bytes, midi_format: int = 1, division: int = TICKS_PER_BEAT, n_tracks: int = -1
) -> bytes:
    stated = len(tracks) if n_tracks < 0 else n_tracks
    fields = b"".join(number.to_bytes(2) for number in (midi_format, stated, division))
    return b"MThd" + len(fields).to_bytes(4) + fields + b"".join(tracks)


def drum_file(*events: bytes, **header: int) -> bytes:
    """Return a file of one track, which ends a tick after its last event."""
    return midi_file(track(*events, end(1)), **header)


def without_drum_channel() -> bytes:
    """Return a file of three tracks: `Beat` has a kick, `Beat (2)` a snare, one a bass's note."""
    return midi_file(
        track(name("Beat"), note(0, KICK_PITCH, channel=BASS), end(1)),
        track(name("Beat"), note(0, SNARE_PITCH, channel=BASS), end(1)),
        track(program(0, 33, BASS), note(0, 28, channel=BASS), end(1)),
    )


def hits_of(groove: Groove) -> list[tuple[int, int]]:
    """Return step and voice of every hit."""
    return [(int(step), int(voice)) for step, voice in np.argwhere(groove.hits)]
