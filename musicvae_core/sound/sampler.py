"""Single notes from FluidSynth, identical whatever was played before."""

from __future__ import annotations

import importlib
import threading
import weakref
from collections import OrderedDict
from collections.abc import Callable
from contextlib import redirect_stdout
from ctypes import c_int, c_void_p
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from musicvae_core.errors import RenderError
from musicvae_core.music.drums import CRASH, KICK, OPEN_HAT, SNARE, WRITTEN_PITCHES
from musicvae_core.music.grid import VELOCITY_LEVELS

Audio = NDArray[np.float32]

_CHORD_PEAK = 1.5
"""Peak, relative to full scale, of kick, snare, open hi-hat and crash together at level 127.

It is above 1 so that a typical groove is as loud as other music; `render.softened` keeps the rare
peaks below full scale.
"""

_LINE_PEAK = 0.5
"""Peak, relative to full scale, of an instrument's middle C or the C above it at level 127."""

_CHORD = (KICK, SNARE, OPEN_HAT, CRASH)
_LOUD_NOTES = (60, 72)
_LOUD_SECONDS = 0.5
_MELODIC_BANK, _LINE_CHANNEL = 0, 15
_DRUM_BANK = 128
_BLOCK = 64
"""Samples that FluidSynth computes at once; notes start on block boundaries."""
_LONGEST_SECONDS = 5
_FADE_SECONDS = 1
_SILENCE = 2.0**-16
"""Half a step of 16-bit audio: anything below it is silence."""
_SILENCE_OF_PEAK = 1e-3
"""For notes that are softer than that throughout: 60 dB below their own peak."""
_ATTACK = 0.1
_ATTACK_LEAD = 8
_CACHE_BYTES = 128 * 2**20
_MOST_OF_INT16 = 32_767
_IMPORT_LOCK = threading.Lock()
_INSTALL_FLUIDSYNTH = (
    "FluidSynth's library is missing, so there is no sound: install it with "
    "`apt install libfluidsynth3` or `brew install fluid-synth`, and start again."
)


class _Recording(NamedTuple):
    """A stored note: its samples are `levels`, (n, 2) int16, times `unit`.

    The error is 96 dB below the note's own peak, and the cache holds twice as many notes as it
    would in float32.
    """

    levels: NDArray[np.int16]
    unit: np.float32

    @classmethod
    def of(cls, note: Audio) -> _Recording:
        unit = np.float32(np.abs(note).max(initial=0.0) / _MOST_OF_INT16) or np.float32(1.0)
        return cls(np.rint(note / unit).astype(np.int16), unit)

    def note(self) -> Audio:
        return self.levels * self.unit


class Sampler:
    """A FluidSynth behind a lock, with a cache of the notes that it has played.

    One synthesizer is enough: a note takes well under a millisecond, and is then cached. It reads
    only the samples of the kits that are played, so a font of 148 MB opens in 20 ms and costs a
    few megabytes per kit. Each kit has its own channel.
    """

    def __init__(self, soundfont: Path, sample_rate: int) -> None:
        _check_is_whole(soundfont)
        self._soundfont, self._opened_file = soundfont, _fingerprint(soundfont)
        fluidsynth = _import_fluidsynth()
        self._write_float = _declare_write_float(fluidsynth)
        self._lock = threading.Lock()
        self._sample_rate = sample_rate
        self._synth = fluidsynth.Synth(
            gain=1.0,
            samplerate=sample_rate,
            **{
                "synth.dynamic-sample-loading": 1,
                "synth.reverb.active": 0,
                "synth.chorus.active": 0,
            },
        )
        weakref.finalize(self, self._synth.delete).atexit = False
        self._notes: OrderedDict[tuple[str | int, ...], _Recording] = OrderedDict()
        self._cached_bytes = 0
        self._kits: dict[str, tuple[int, np.float32]] = {}
        self._line_gains: dict[int, np.float32] = {}
        self._line_leads: dict[tuple[int, int], int] = {}
        self._font_id = self._synth.sfload(str(soundfont))
        if self._font_id < 0:
            raise RenderError(f"{soundfont.name} is damaged or not a SoundFont: choose another.")
        self.programs = self._list_programs()
        if not self.programs:
            raise RenderError(f"{soundfont.name} has no drum kit: choose a General MIDI font.")

    def note(self, kit: str, voice: int, level: int) -> Audio:
        """Return one drum note, (n_samples, 2), with its attack at the first sample."""

        def play() -> Audio:
            channel, gain = self._opened(kit)
            return self._play(channel, WRITTEN_PITCHES[voice], level) * gain

        return self._cached((kit, voice, level), play)

    def line_note(self, program: int, pitch: int, level: int, n_samples: int) -> Audio:
        """Return one note of an instrument, held for `n_samples`: (n, 2) with its release.

        The samples are counted from the attack. The attack is located in a longer note of the same
        pitch, so that short notes of slow instruments are in time, too.

        Raises
        ------
        RenderError
            If the font has no such instrument, or it cannot be read.
        """

        def play() -> Audio:
            gain = self._opened_line(program)
            lead = self._line_lead(program, pitch)
            sound = self._play_note(_LINE_CHANNEL, pitch, level, n_samples + lead)
            return _cut(sound, lead) * gain

        return self._cached((program, pitch, level, n_samples), play)

    def _cached(self, key: tuple[str | int, ...], play: Callable[[], Audio]) -> Audio:
        """Return the note with this key, played only if it is not cached."""
        with self._lock:
            recording = self._notes.get(key)
            if recording is None:
                recording = _Recording.of(play())
                self._notes[key] = recording
                self._cached_bytes += recording.levels.nbytes
            self._notes.move_to_end(key)
            self._forget_oldest()
        return recording.note()

    def _opened_line(self, program: int) -> np.float32:
        """Set the lines' channel to an instrument, and return its gain.

        Instruments differ by 20 dB in loudness; each has one gain for all its notes.
        """
        self._select(_LINE_CHANNEL, _MELODIC_BANK, program, f"instrument {program}")
        if program not in self._line_gains:
            n_samples = round(_LOUD_SECONDS * self._sample_rate)
            notes = [
                self._play(_LINE_CHANNEL, pitch, VELOCITY_LEVELS, n_samples)
                for pitch in _LOUD_NOTES
            ]
            peak = max(float(np.abs(note).max(initial=0.0)) for note in notes)
            self._line_gains[program] = np.float32(_LINE_PEAK / peak if peak > 0 else 1.0)
        return self._line_gains[program]

    def _line_lead(self, program: int, pitch: int) -> int:
        """Return the number of samples before the attack of an instrument's note."""
        if (program, pitch) not in self._line_leads:
            n_samples = round(_LOUD_SECONDS * self._sample_rate)
            sound = self._play_note(_LINE_CHANNEL, pitch, VELOCITY_LEVELS, n_samples)
            self._line_leads[program, pitch] = _lead(sound)
        return self._line_leads[program, pitch]

    def _list_programs(self) -> dict[str, int]:
        """Return the program of each kit by name; a repeated name gets its program number."""
        programs: dict[str, int] = {}
        for program in range(128):
            name = self._synth.sfpreset_name(self._font_id, _DRUM_BANK, program)
            if name is None:
                continue
            name = name.strip() or f"Kit {program}"
            programs[f"{name} ({program})" if name in programs else name] = program
        return programs

    def _opened(self, kit: str) -> tuple[int, np.float32]:
        """Return the channel and the gain of a kit, reading its samples at first use.

        Kits differ by 9 dB in loudness. Each is scaled to the same peak of the loudest chord that
        four limbs can play, so that all kits of all fonts are equally loud.
        """
        if kit not in self._kits:
            channel = len(self._kits)
            self._select(channel, _DRUM_BANK, self.programs[kit], repr(kit))
            notes = [
                self._play(channel, WRITTEN_PITCHES[voice], VELOCITY_LEVELS) for voice in _CHORD
            ]
            chord = np.zeros((max(map(len, notes)), 2), np.float32)
            for note in notes:
                chord[: len(note)] += note
            peak = np.abs(chord).max(initial=0.0)
            self._kits[kit] = (channel, np.float32(_CHORD_PEAK / peak if peak > 0 else 1.0))
        return self._kits[kit]

    def _select(self, channel: int, bank: int, program: int, name: str) -> None:
        """Set a channel to a kit or an instrument; FluidSynth now reads its samples from the file.

        It would crash if the file had been removed or replaced since it was opened.
        """
        if _fingerprint(self._soundfont) != self._opened_file:
            raise RenderError(f"{self._soundfont.name} was moved or changed: open it again.")
        if self._synth.program_select(channel, self._font_id, bank, program) < 0:
            raise RenderError(f"The sounds of {name} cannot be read: choose another.")

    def _play(self, channel: int, pitch: int, level: int, n_samples: int | None = None) -> Audio:
        """Return one note from its attack, held for `n_samples`, or indefinitely if None."""
        sound = self._play_note(channel, pitch, level, n_samples)
        return _cut(sound, _lead(sound))

    def _play_note(self, channel: int, pitch: int, level: int, n_samples: int | None) -> Audio:
        """Return one note as FluidSynth plays it, including the silence before and after it.

        FluidSynth's voices start from the mixing gain of the last note that they played, so the
        note is played for one block, stopped, and played again: the sound then does not depend on
        earlier notes. All reads are whole blocks, because notes start on block boundaries.
        """
        for _ in range(2):
            self._synth.all_sounds_off(channel)
            self._write(_BLOCK)
            self._synth.noteon(channel, pitch, level)
            first = self._write(_BLOCK)
        if n_samples is not None:
            n_blocks = max(1, round(n_samples / _BLOCK))
            first = np.concatenate([first, self._write((n_blocks - 1) * _BLOCK)])
            self._synth.noteoff(channel, pitch)
        sound = self._until_silent(first)
        self._synth.all_sounds_off(channel)
        self._write(_BLOCK)
        return sound

    def _until_silent(self, first: Audio) -> Audio:
        """Return `first` and the sound after it, faded out if it lasts five seconds."""
        chunks, peak = [first], np.abs(first).max()
        n_samples = self._sample_rate // (4 * _BLOCK) * _BLOCK  # whole blocks: a quarter second
        while len(chunks) <= 4 * _LONGEST_SECONDS:
            chunks.append(self._write(n_samples))
            chunk_peak = np.abs(chunks[-1]).max()
            peak = max(peak, chunk_peak)
            if chunk_peak < _silence(peak):
                return np.concatenate(chunks)
        sound = np.concatenate(chunks)
        n_fade = _FADE_SECONDS * self._sample_rate
        sound[-n_fade:] *= np.linspace(1.0, 0.0, n_fade, dtype=np.float32)[:, None]
        return sound

    def _write(self, n_samples: int) -> Audio:
        """Return the next samples of the synthesizer, (n_samples, 2), unscaled floats.

        pyfluidsynth's own `get_samples` returns 16-bit integers with dither whose state carries
        over from call to call.
        """
        audio = np.zeros((n_samples, 2), np.float32)
        data = audio.ctypes.data
        self._write_float(self._synth.synth, n_samples, data, 0, 2, data, 1, 2)
        return audio

    def _forget_oldest(self) -> None:
        """Drop the least recently used notes, down to 128 MB."""
        while self._cached_bytes > _CACHE_BYTES:
            _, recording = self._notes.popitem(last=False)
            self._cached_bytes -= recording.levels.nbytes


def _silence(peak: float) -> float:
    """Return the level below which a note with this peak has ended."""
    return min(_SILENCE, _SILENCE_OF_PEAK * peak)


def _loudness(sound: Audio) -> NDArray[np.float32]:
    """Return the larger of the two channels' absolute values, (n_samples,).

    Equals `np.abs(sound).max(axis=1)`, but is thirty times as fast.
    """
    loudness: NDArray[np.float32] = np.maximum(*np.abs(sound).T)
    return loudness


def _lead(sound: Audio) -> int:
    """Return the number of samples before a note's attack: just before a tenth of its peak."""
    loudness = _loudness(sound)
    peak = float(loudness.max())
    return max(0, int(np.argmax(loudness >= _ATTACK * peak)) - _ATTACK_LEAD)


def _cut(sound: Audio, lead: int) -> Audio:
    """Return a note without its lead and the silence after it; its first eight samples fade in."""
    loudness = _loudness(sound)
    peak = float(loudness.max())
    if peak == 0.0:
        return np.zeros((0, 2), np.float32)
    last = int(np.flatnonzero(loudness >= _silence(peak))[-1])
    note = sound[lead : last + 1].copy()
    n_fade = min(_ATTACK_LEAD, len(note))
    if lead > 0:
        note[:n_fade] *= np.linspace(0.0, 1.0, _ATTACK_LEAD, dtype=np.float32)[:n_fade, None]
    return note


def _check_is_whole(soundfont: Path) -> None:
    """Raise `RenderError` unless the file has a SoundFont's three lists, each complete.

    FluidSynth also refuses most damaged files, but slowly and with messages on standard error.
    """
    if not soundfont.is_file():
        raise RenderError(f"There is no SoundFont at {soundfont}: check the path.")
    try:
        size = soundfont.stat().st_size
        with soundfont.open("rb") as file:
            riff, riff_end, form = _read_chunk_head(file)
            lists, end = set(), 12
            while (riff, form) == (b"RIFF", b"sfbk") and end < riff_end <= size:
                file.seek(end)
                _, end, name = _read_chunk_head(file)
                lists.add(name)
    except OSError as error:
        raise RenderError(f"{soundfont.name} cannot be read: {error.strerror}.") from error
    if (riff, form) != (b"RIFF", b"sfbk"):
        raise RenderError(f"{soundfont.name} is not a SoundFont: choose a .sf2 file.")
    if end != riff_end or not lists >= {b"INFO", b"sdta", b"pdta"}:
        raise RenderError(f"{soundfont.name} is damaged or cut short: get a complete copy.")


def _fingerprint(path: Path) -> tuple[int, int, int] | None:
    """Return numbers that change when a file is replaced; None if it does not exist."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns


def _read_chunk_head(file: BinaryIO) -> tuple[bytes, int, bytes]:
    """Return a RIFF chunk's identifier, the position after its end, and its form."""
    start = file.tell()
    head = file.read(12)
    return head[:4], start + 8 + int.from_bytes(head[4:8], "little"), head[8:]


def _import_fluidsynth() -> Any:
    """Import pyfluidsynth, which loads the system library, and silence that library's log.

    FluidSynth would write errors about a bad font to standard error; here they are raised instead.
    If CI is set, pyfluidsynth prints where it found the library, which would mix with a command's
    output.
    """
    try:
        with _IMPORT_LOCK, redirect_stdout(None):
            fluidsynth = importlib.import_module("fluidsynth")
    except (ImportError, OSError, AttributeError) as error:
        raise RenderError(_INSTALL_FLUIDSYNTH) from error
    set_log_function = fluidsynth.cfunc(
        "fluid_set_log_function",
        c_void_p,
        ("level", c_int, 1),
        ("function", c_void_p, 1),
        ("data", c_void_p, 1),
    )
    for level in range(5):  # from panic to debug
        set_log_function(level, None, None)
    return fluidsynth


def _declare_write_float(fluidsynth: Any) -> Any:
    """Return FluidSynth's `fluid_synth_write_float`, which pyfluidsynth does not declare."""
    arguments = [("synth", c_void_p, 1), ("len", c_int, 1)]
    for side in ("left", "right"):
        arguments += [(side, c_void_p, 1), (f"{side}_offset", c_int, 1), (f"{side}_step", c_int, 1)]
    return fluidsynth.cfunc("fluid_synth_write_float", c_int, *arguments)
