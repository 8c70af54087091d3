"""Music of any form to stereo audio by FluidSynth, and audio to WAV bytes.

A groove is rendered event by event. FluidSynth plays each distinct note (kit, voice, level) once,
on its own, and the renderer adds that sound to the loop at the exact sample of every hit. It would
be simpler to let FluidSynth play the whole groove, but

- FluidSynth starts notes on the boundaries of 64-sample blocks, up to 1.45 ms late;
- its voices inherit gain and filter state from the note they played before, so the same groove
  would sound different after another one;
- a SoundFont's sounds start up to 5 ms after the note, differently in each kit.

Here each note is played from a known state, its leading silence is cut, and mixing only reads
finished sounds, so many sessions can render at once. FluidSynth's reverb and chorus are off: the
kits were recorded in their own rooms, and a reverb tail would carry state from note to note.
"""

from __future__ import annotations

import importlib.util
import io
import wave
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from musicvae_core.errors import (
    ConfigError,
    RenderError,
    SoundTooLongError,
)
from musicvae_core.music.drums import CLOSED_HAT, N_VOICES, OPEN_HAT
from musicvae_core.music.forms import Music, parts_of
from musicvae_core.music.grid import VELOCITY_LEVELS
from musicvae_core.music.groove import Groove
from musicvae_core.music.line import Line
from musicvae_core.music.piece import BASS, Part, Piece
from musicvae_core.sound.kit_pack import write_instrument_pack, write_kit_pack
from musicvae_core.sound.sampler import Audio, Sampler

_SAMPLE_RATE = 44100
_SAMPLE_RATE_LIMITS = (8000, 96000)
"""What FluidSynth accepts."""

_SYSTEM_SOUNDFONTS: tuple[str, ...] = (
    "/usr/share/sounds/sf2/FluidR3_GM.sf2",
    "/usr/share/sounds/sf2/default-GM.sf2",
    "/usr/share/soundfonts/FluidR3_GM.sf2",
    "/usr/share/soundfonts/default.sf2",
    "/opt/homebrew/share/soundfonts/default.sf2",
    "/usr/local/share/soundfonts/default.sf2",
)
"""Where Debian and Ubuntu, Fedora and Arch, and Homebrew keep a General MIDI font."""

_LINE_GAIN, _BASS_GAIN = 0.8, 1.0
"""Gains of lines relative to drums, for about equal loudness. Without them, the medians of twelve
songs of Freedoom are -19.9 dB (melody), -20.6 (bass) and -21.2 (drums); a melody also stands out
more than the rest."""

_MAX_SECONDS = 360.0
"""The longest sound: 64 bars at 43 bpm. It takes 127 MB, and as much again while softened."""

_GM2_KITS = {
    0: "Studio: dry, for everything",
    8: "Room: wider, for pop",
    16: "Power: big, for rock",
    24: "Electronic: drum machine of the eighties",
    25: "TR-808: deep and snappy",
    32: "Jazz: open and light",
    40: "Brushes: swept, for ballads",
    48: "Orchestra: concert drums",
}
"""The drum kits of General MIDI 2 by program, with what they sound like."""
_KNEE = 0.5
_CEILING = 0.99
_HATS = (CLOSED_HAT, OPEN_HAT)
_INSTALL_SOUNDFONT = (
    "No General MIDI SoundFont was found, so there is no sound: install one with "
    "`apt install fluid-soundfont-gm`, or give the path of a .sf2 file."
)


def _find_soundfont() -> Path:
    """Return the system's General MIDI font or, failing that, the small one in pretty_midi.

    Raises
    ------
    RenderError
        If there is neither.
    """
    candidates = [Path(name) for name in _SYSTEM_SOUNDFONTS]
    package = importlib.util.find_spec("pretty_midi")  # found, not imported: it is slow to import
    if package is not None and package.origin is not None:
        candidates.append(Path(package.origin).with_name("TimGM6mb.sf2"))
    for path in candidates:
        if path.is_file():
            return path
    raise RenderError(_INSTALL_SOUNDFONT)


def wav_bytes(audio: Audio, sample_rate: int = _SAMPLE_RATE) -> bytes:
    """Return audio as a 16-bit PCM WAV file.

    Parameters
    ----------
    audio
        (n_samples, channels) float; values outside [-1, 1] are clipped.
    sample_rate
        Samples per second.
    """
    pcm = np.rint(np.clip(audio, -1.0, 1.0) * 32767.0).astype("<i2")
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(pcm.shape[1])
        file.setsampwidth(2)
        file.setframerate(sample_rate)
        file.writeframes(pcm.tobytes())
    return buffer.getvalue()


class Renderer:
    """Plays grooves with the drum kits of a SoundFont; thread-safe.

    Parameters
    ----------
    soundfont
        Path of a SoundFont; None for `_find_soundfont()`.
    sample_rate
        Samples per second, 8,000 to 96,000.

    Raises
    ------
    RenderError
        If FluidSynth's library or the font is missing, or the font is damaged or has no drum kit.
    ConfigError
        If the sample rate is out of range.
    """

    def __init__(self, soundfont: Path | None = None, sample_rate: int = _SAMPLE_RATE) -> None:
        low, high = _SAMPLE_RATE_LIMITS
        if not low <= sample_rate <= high:
            raise ConfigError(f"sample_rate is {sample_rate}; it must lie in {low} to {high}.")
        self.soundfont = _find_soundfont() if soundfont is None else Path(soundfont)
        self.sample_rate = sample_rate
        self.sampler = Sampler(self.soundfont, sample_rate)
        self._damping = _damping(sample_rate)

    @property
    def kits(self) -> tuple[str, ...]:
        """Names of the font's drum kits, in its order; the first is the default."""
        return tuple(self.sampler.programs)

    @property
    def described_kits(self) -> dict[str, str]:
        """Descriptions of the kits by name, those of General MIDI 2 first."""
        by_program = {program: name for name, program in self.sampler.programs.items()}
        known = {
            by_program[program]: text
            for program, text in _GM2_KITS.items()
            if program in by_program
        }
        return known | {name: name for name in self.kits if name not in known}

    def kit_pack(self, kit: str) -> bytes:
        """Return a kit as one file from which a browser mixes what `render` would.

        Raises
        ------
        RenderError
            If the font has no such kit, or its sounds cannot be read.
        """
        name = self._kit_name(kit)
        mastering = {"knee": _KNEE, "ceiling": _CEILING}
        return write_kit_pack(partial(self.sampler.note, name), self.sample_rate, mastering)

    def instrument_pack(self, program: int) -> bytes:
        """Return an instrument as one file, with which a browser plays lines.

        Raises
        ------
        RenderError
            If the font has no instrument of this General MIDI program, or it cannot be read.
        """
        return write_instrument_pack(partial(self.sampler.line_note, program), self.sample_rate)

    def _kit_name(self, kit: str | None) -> str:
        name = self.kits[0] if kit is None else kit
        if name not in self.sampler.programs:
            raise RenderError(f"No kit is called {name!r}; there are {', '.join(self.kits)}.")
        return name

    def check(self, groove: Groove, kit: str | None = None, n_passes: int = 1) -> str:
        """Return the name of the kit; raise the errors of `render` without playing anything.

        Raises
        ------
        ConfigError, RenderError, SoundTooLongError
        """
        if n_passes < 1:
            raise ConfigError(f"n_passes is {n_passes}; it must be 1 or more.")
        _check_length(n_passes * groove.duration_seconds)
        return self._kit_name(kit)

    def render(
        self,
        groove: Groove,
        kit: str | None = None,
        n_passes: int = 1,
        gains: Sequence[float] | None = None,
        voice_kits: Mapping[int, str] | None = None,
    ) -> Audio:
        """Return the sound of a groove as a loop that has always been playing.

        Tails past the end sound at the start, and a hit before the first beat sounds at the end, so
        the audio loops without a seam.

        Parameters
        ----------
        groove
            What to play.
        kit
            One of `kits`; None for the first.
        n_passes
            How many times the loop is repeated, 1 or more.
        gains
            Amplitude of each voice in the mix, in the order of `VOICES`; None for 1 each. A
            voice at 0 is not played, so a silent closed hi-hat does not choke an open one.
        voice_kits
            The kits of voices that do not use `kit`.

        Returns
        -------
        audio
            (n_samples, 2) float32 in (-1, 1): `n_passes` times
            round(duration_seconds * sample_rate) samples, with the same gain for every groove.

        Raises
        ------
        RenderError
            If the font has no such kit, or its sounds cannot be read.
        SoundTooLongError
            If it is longer than `_MAX_SECONDS`.
        """
        self.check(groove, kit, n_passes)
        soft = softened(self.mixed(groove, kit, gains, voice_kits))
        return soft if n_passes == 1 else np.tile(soft, (n_passes, 1))

    def mixed(
        self,
        groove: Groove,
        kit: str | None = None,
        gains: Sequence[float] | None = None,
        voice_kits: Mapping[int, str] | None = None,
    ) -> Audio:
        """Return the sound of one pass before softening, to be mixed with other parts."""
        name = self._kit_name(kit)
        own = {voice: self._kit_name(each) for voice, each in (voice_kits or {}).items()}
        loop = np.zeros((round(groove.duration_seconds * self.sample_rate), 2), np.float32)
        mix = np.ones(N_VOICES, np.float32) if gains is None else np.asarray(gains, np.float32)
        steps, voices = np.nonzero(groove.hits & (mix > 0))
        starts = self._starts(groove, steps, voices) % len(loop)
        levels = np.rint(groove.velocities[steps, voices] * VELOCITY_LEVELS).astype(int)
        ring = _ring_lengths(starts, voices, len(loop))
        for start, voice, level, rings in zip(starts, voices, levels, ring, strict=True):
            note = self.sampler.note(own.get(int(voice), name), int(voice), max(1, int(level)))
            if rings is not None:
                note = self._choked(note, rings)
            _add_wrapped(loop, note * mix[voice], int(start))
        return loop

    def _starts(
        self, groove: Groove, steps: NDArray[np.intp], voices: NDArray[np.intp]
    ) -> NDArray[np.int64]:
        """Return the sample at which each hit is played; negative before the loop starts."""
        played_at_steps = steps + groove.offsets[steps, voices].astype(np.float64)
        step_samples = groove.step_seconds * self.sample_rate
        starts: NDArray[np.int64] = np.rint(played_at_steps * step_samples).astype(np.int64)
        return starts

    def _choked(self, note: Audio, rings: int) -> Audio:
        """Return a note that rings for `rings` samples and is then damped."""
        choked = note[: rings + len(self._damping)].copy()
        choked[rings:] *= self._damping[: max(0, len(choked) - rings), None]
        return choked


def _check_length(seconds: float) -> None:
    """Raise `SoundTooLongError` beyond `_MAX_SECONDS`."""
    if seconds > _MAX_SECONDS:
        raise SoundTooLongError(
            f"It lasts {seconds / 60:.3g} minutes; the limit is {_MAX_SECONDS / 60:.0f}: "
            "choose fewer bars, or a faster tempo."
        )


def _damping(sample_rate: int) -> Audio:
    """Return the gain of a choked cymbal after the choke: a linear fall by 96 dB in 0.89 s.

    Source: `fluid_voice_kill_excl` in FluidSynth's fluid_voice.c, which gives a voice cut
    by its exclusive class a release of -200 timecents, 2^(-200/1200) s.
    """
    decibels = np.linspace(0.0, -96.0, round(2 ** (-200 / 1200) * sample_rate))
    return (10.0 ** (decibels / 20.0)).astype(np.float32)


def _ring_lengths(
    starts: NDArray[np.int64], voices: NDArray[np.intp], n_samples: int
) -> list[int | None]:
    """Return for how many samples each hit may ring; None for no limit.

    Open and closed hi-hat are one instrument: each hit ends the one before, also across the end of
    the loop. Most fonts have an exclusive class for this, but not all (FluidR3's TR-808 does not),
    so it is done here for every font.
    """
    hat_starts = np.unique(starts[np.isin(voices, _HATS)])
    lengths: list[int | None] = []
    for start, voice in zip(starts, voices, strict=True):
        if voice not in _HATS:
            lengths.append(None)
            continue
        following = hat_starts[np.searchsorted(hat_starts, start, side="right") % len(hat_starts)]
        lengths.append(int((following - start - 1) % n_samples + 1))
    return lengths


def _add_wrapped(loop: Audio, sound: Audio, start: int) -> None:
    """Add `sound` to `loop` at sample `start`, wrapping around its end as often as needed."""
    read, write = 0, start
    while read < len(sound):
        count = min(len(loop) - write, len(sound) - read)
        loop[write : write + count] += sound[read : read + count]
        read, write = read + count, 0


def softened(audio: Audio) -> Audio:
    """Apply a memoryless soft limiter: audio below the knee is unchanged, louder audio is bent.

    A kit's gain is fixed, so that equal hits are equally loud in every groove. Only the attacks of
    the loudest hits exceed the knee: over 16 samples of `groove_2bar`, the change is -34 dB in the
    median and -21 dB at most. Because there is no memory, rotating a loop rotates its sound.
    """
    loudness = np.abs(audio)
    loud = loudness > _KNEE
    room = _CEILING - _KNEE
    bent = _KNEE + room * np.tanh((loudness[loud] - _KNEE) / room)
    audio[loud] = np.copysign(bent, audio[loud])
    return audio


def render_music(
    renderer: Renderer,
    music: Music,
    kit: str | None = None,
    gains: Sequence[float] | None = None,
    voice_kits: Mapping[int, str] | None = None,
) -> Audio:
    """Return the sound of music of any form, as a loop that has always been playing.

    Parameters
    ----------
    renderer, music
        What plays, and what to play.
    kit, voice_kits
        As `Renderer.render`, for the drums.
    gains
        Amplitudes in the mix, of the nine drums and then of the lines, on top of the `balance` of a
        piece's parts; None for 1 each; 0 mutes.

    Raises
    ------
    RenderError
        As `Renderer.render`, or if the font has no instrument for a line's program.
    SoundTooLongError
        If it is longer than six minutes.
    """
    voice_gains = None if gains is None else gains[:N_VOICES]
    if isinstance(music, Groove):
        return renderer.render(music, kit, gains=voice_gains, voice_kits=voice_kits)
    _check_length(music.duration_seconds)
    line_gains = iter(() if gains is None else gains[N_VOICES:])
    loop = np.zeros((round(music.duration_seconds * renderer.sample_rate), 2), np.float32)
    for name, part in parts_of(music).items():
        if isinstance(part, Groove):
            loop += renderer.mixed(part, kit, voice_gains, voice_kits)
            continue
        gain = next(line_gains, 1.0) * (balance(name, part) if isinstance(music, Piece) else 1.0)
        if gain > 0:
            loop += np.float32(gain) * _mixed(renderer, part)
    return softened(loop)


def balance(name: str, part: Part) -> float:
    """Return the gain of a part of a piece that makes lines and drums about equally loud."""
    if isinstance(part, Groove):
        return 1.0
    return _BASS_GAIN if name == BASS else _LINE_GAIN


def _mixed(renderer: Renderer, part: Line) -> Audio:
    """Return the sound of one pass of a line before softening."""
    step_samples = part.step_seconds * renderer.sample_rate
    loop = np.zeros((round(part.duration_seconds * renderer.sample_rate), 2), np.float32)
    for note in part.notes():
        start = round(part.place_of(note.step) * step_samples)
        end = part.place_of(note.step + note.n_steps) * step_samples
        level = max(1, round(note.velocity * VELOCITY_LEVELS))
        sound = renderer.sampler.line_note(part.program, note.pitch, level, round(end) - start)
        _add_wrapped(loop, sound, start % len(loop))
    return loop
