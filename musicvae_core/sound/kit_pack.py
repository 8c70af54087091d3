"""Drum kits and instruments as small files, from which a browser mixes what `Renderer` would.

For most drums of a font, FluidSynth changes only the gain with the velocity; for some, it switches
between a few recordings. A kit's pack holds one sound for each range of levels over which only the
gain changes. An instrument's pack holds a note every few semitones, and how fast each fades when it
ends. Music can then be sent as a few numbers per note, and packs are sent once.

The file: four bytes, little-endian, with the length of the header; the header as JSON; a FLAC file
of all sounds, concatenated.
"""

from __future__ import annotations

import io
import json
import struct
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import soundfile
from numpy.typing import NDArray

from musicvae_core.music.drums import N_VOICES
from musicvae_core.music.grid import VELOCITY_LEVELS
from musicvae_core.sound.sampler import Audio

_PACK_VERSION = 2
_LIKENESS_DB = -50.0
"""The largest residual energy when a scaled sound stands in for a note, relative to the note."""
_GAIN_TOLERANCE = 0.015
"""FluidSynth rounds attenuations to centibels, so gains are right within half a percent."""
_SOFTEST_PROBED = 12
"""Softer notes are close to 16-bit rounding, so they use the sound of the range above."""

_INSTRUMENT_PITCHES = range(24, 109, 4)
"""The notes in an instrument's pack: no pitch between them is more than two semitones away."""
_INSTRUMENT_LEVEL, _SOFT_LEVEL = 100, 50
"""The levels at which notes are recorded, and releases measured: in some fonts soft notes end
faster."""
_INSTRUMENT_UNIT = 16
"""16-bit steps per step of an instrument's 12 bits, which FLAC stores in two thirds of the size."""
_HELD_SECONDS = 3.0
_LOOP_SECONDS = (1.0, 2.0)
"""A sound that does not decay is cut, and loops between these times."""
_LASTING_DB = -3.0
_JOIN_SECONDS = 0.1
_FADE_SECONDS = 0.5
_RELEASED_SECONDS = 0.5
_RELEASE_WINDOW_SECONDS = 0.01
_RELEASE_RANGE_DB = (-40.0, -3.0)
_FASTEST_RELEASE = 1000.0
"""Decibels per second; any faster would click."""


@dataclass(frozen=True, eq=False)
class _Range:
    """Levels `low` to `high` of a voice, with one sound, (n_samples, 2), played at `high`."""

    low: int
    high: int
    sound: Audio


def write_kit_pack(
    note: Callable[[int, int], Audio], sample_rate: int, mastering: dict[str, float]
) -> bytes:
    """Return the pack of a kit.

    Parameters
    ----------
    note
        Takes a voice and a level, 1 to 127, and returns the sound, (n_samples, 2).
    sample_rate
        Samples per second.
    mastering
        The parameters of `render.softened`, for the header.
    """
    voices, sounds, start = [], [], 0
    for voice in range(N_VOICES):
        ranges = _ranges(partial(note, voice), VELOCITY_LEVELS)
        layers = []
        for each in ranges:
            peak = float(np.abs(each.sound).max(initial=0.0)) or 1.0
            sounds.append(each.sound / peak)
            layers.append([start, len(each.sound), each.low, each.high, peak])
            start += len(each.sound)
        voices.append(layers)
    pcm = np.rint(np.concatenate(sounds) * 32767.0).astype(np.int16)
    return _pack({"voices": voices, **mastering}, pcm, sample_rate)


def write_instrument_pack(note: Callable[[int, int, int], Audio], sample_rate: int) -> bytes:
    """Return the pack of an instrument.

    Parameters
    ----------
    note
        Takes a pitch, a level and the number of samples to hold the note, and returns its sound,
        (n_samples, 2), with its release.
    sample_rate
        Samples per second.
    """
    notes: list[list[float | None]] = []
    sounds, start = [], 0
    for pitch in _INSTRUMENT_PITCHES:
        sound, loop_start = _held(partial(note, pitch, _INSTRUMENT_LEVEL), sample_rate)
        falls = (
            _release(partial(note, pitch, level), sample_rate)
            for level in (_INSTRUMENT_LEVEL, _SOFT_LEVEL)
        )
        peak = float(np.abs(sound).max(initial=0.0)) or 1.0
        sounds.append(sound / peak)
        notes.append([pitch, start, len(sound), peak, loop_start, *falls])
        start += len(sound)
    unit = _INSTRUMENT_UNIT
    pcm = (np.rint(np.concatenate(sounds) * (32767 // unit)) * unit).astype(np.int16)
    levels = [_INSTRUMENT_LEVEL, _SOFT_LEVEL]
    return _pack({"levels": levels, "notes": notes}, pcm, sample_rate)


def _pack(header: dict[str, object], pcm: NDArray[np.int16], sample_rate: int) -> bytes:
    blob = io.BytesIO()
    soundfile.write(blob, pcm, sample_rate, format="FLAC", subtype="PCM_16")
    text = json.dumps({"version": _PACK_VERSION, "rate": sample_rate, **header}).encode()
    return struct.pack("<I", len(text)) + text + blob.getvalue()


def _held(note: Callable[[int], Audio], rate: int) -> tuple[Audio, int | None]:
    """Return a held note, and the sample at which its loop starts; None if the note decays."""
    n_held, half = round(_HELD_SECONDS * rate), rate // 2
    sound = note(n_held + half)[:n_held]
    if len(sound) < n_held:
        return sound, None
    if _decibels(sound[-half:]) - _decibels(sound[2 * half : 3 * half]) > _LASTING_DB:
        return _looped(sound, rate)
    n_fade = round(_FADE_SECONDS * rate)
    sound[-n_fade:] *= np.linspace(1.0, 0.0, n_fade, dtype=np.float32)[:, None]
    return sound, None


def _looped(sound: Audio, rate: int) -> tuple[Audio, int]:
    """Cut a sound to loop without a seam, starting where it is most similar to its end."""
    start, end = (round(seconds * rate) for seconds in _LOOP_SECONDS)
    n = round(_JOIN_SECONDS * rate)
    last = sound[end - n : end]
    places = range(start - n // 2, start + n // 2, 2)
    like = [float((last * sound[place - n : place]).sum()) for place in places]
    start = places[int(np.argmax(like))]
    ramp = np.linspace(0.0, 1.0, n, dtype=np.float32)[:, None]
    joined = (1 - ramp) * last + ramp * sound[start - n : start]
    return np.concatenate([sound[: end - n], joined]), start


def _release(note: Callable[[int], Audio], rate: int) -> float:
    """Return the decibels per second by which a note fades after it ends.

    Source: the SoundFont 2.04 specification, section 8.1.3, generator 38: the release of the
    volume envelope is linear in decibels.
    """
    end, window = round(_RELEASED_SECONDS * rate), round(_RELEASE_WINDOW_SECONDS * rate)
    released, held = note(end), note(round(_HELD_SECONDS * rate))
    n_windows = (min(len(released), len(held)) - end) // window
    if n_windows < 1:
        return _FASTEST_RELEASE
    parts = (x[end : end + n_windows * window].reshape(n_windows, -1) for x in (released, held))
    less, more = (np.square(part).sum(axis=1) + 1e-12 for part in parts)
    fallen = 10 * np.log10(less / more)
    low, high = _RELEASE_RANGE_DB
    is_falling = (fallen > low) & (fallen < high)
    seconds = (np.arange(n_windows) + 0.5)[is_falling] * _RELEASE_WINDOW_SECONDS
    if seconds.size == 0:
        return _FASTEST_RELEASE
    slope = float((-fallen[is_falling] * seconds).sum() / np.square(seconds).sum())
    return min(max(slope, 1.0), _FASTEST_RELEASE)


def _decibels(sound: Audio) -> float:
    return float(10 * np.log10(np.square(sound).sum() + 1e-12))


def _level_gain(level: int, high: int) -> float:
    """Return the amplitude of a level relative to the loudest of its range.

    Source: the SoundFont 2.04 specification, section 8.4.1: velocity attenuates by 40 dB
    per decade.
    """
    return (level / high) ** 2


def _ranges(note: Callable[[int], Audio], high: int) -> list[_Range]:
    """Return the ranges of levels 1 to `high`, loudest first."""
    sound = note(high)

    def is_one(low: int) -> bool:
        return low == high or _is_scaled(note(low), sound, _level_gain(low, high))

    lowest, other = high, _SOFTEST_PROBED
    if high <= other or is_one(other):
        return [_Range(1, high, sound)]
    while lowest - other > 1:
        middle = (lowest + other) // 2
        lowest, other = (middle, other) if is_one(middle) else (lowest, middle)
    return [_Range(lowest, high, sound), *_ranges(note, other)]


def _is_scaled(sound: Audio, other: Audio, gain: float) -> bool:
    """Return whether `sound` is `other` scaled by about `gain`."""
    n = min(len(sound), len(other))
    energy = float(np.square(other[:n]).sum()) or 1.0
    fitted = float((sound[:n] * other[:n]).sum()) / energy
    rest = np.square(sound[:n] - fitted * other[:n]).sum() + np.square(sound[n:]).sum()
    is_alike = rest <= 10 ** (_LIKENESS_DB / 10) * float(np.square(sound).sum())
    return bool(is_alike) and abs(fitted / gain - 1) < _GAIN_TOLERANCE
