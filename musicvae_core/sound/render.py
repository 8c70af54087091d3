"""`Groove` to stereo audio by FluidSynth, and audio to WAV bytes.

A groove is rendered event by event. FluidSynth plays each distinct note (kit, voice,
level) once, alone, and the renderer adds that sound to the loop at the exact sample of
every hit. Playing the whole groove inside FluidSynth would be the shorter program, but

- FluidSynth starts notes on the borders of 64-sample blocks, up to 1.45 ms late;
- its voices inherit gain and filter state from the note they played before, so the
  same groove would give other bytes after another one;
- a SoundFont's sounds start up to 5 ms after the note, each kit differently.

Here each note is struck from a known state, its leading silence is cut, and mixing only
reads finished sounds, so many sessions can render at once. FluidSynth's reverb and
chorus are off: the kits were recorded in their own rooms, and a reverb's tail would
carry state from note to note.
"""

from __future__ import annotations

import importlib.util
import io
import wave
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from musicvae_core.errors import (
    ConfigError,
    SoundTooLongError,
    SynthUnavailableError,
    UnknownKitError,
)
from musicvae_core.groove import Groove
from musicvae_core.sound.sampler import Audio, Sampler
from musicvae_core.vocabulary import CLOSED_HAT, OPEN_HAT, VELOCITY_LEVELS

SAMPLE_RATE = 44100
SAMPLE_RATE_LIMITS = (8000, 96000)
"""What FluidSynth accepts."""

SYSTEM_SOUNDFONTS: tuple[str, ...] = (
    "/usr/share/sounds/sf2/FluidR3_GM.sf2",
    "/usr/share/sounds/sf2/default-GM.sf2",
    "/usr/share/soundfonts/FluidR3_GM.sf2",
    "/usr/share/soundfonts/default.sf2",
    "/opt/homebrew/share/soundfonts/default.sf2",
    "/usr/local/share/soundfonts/default.sf2",
)
"""Where Debian and Ubuntu, Fedora and Arch, and Homebrew keep a General MIDI font."""

MAX_SECONDS = 360.0
"""The longest sound: 64 bars at 43 bpm. It takes 127 MB, and about as much again to bend."""

_KNEE = 0.85
_CEILING = 0.99
_HATS = (CLOSED_HAT, OPEN_HAT)
_INSTALL_SOUNDFONT = (
    "No General MIDI SoundFont was found, so there is no sound: install one with "
    "`apt install fluid-soundfont-gm`, or give the path of a .sf2 file."
)


def find_soundfont() -> Path:
    """Return the system's General MIDI font, else the small one inside pretty_midi.

    Raises
    ------
    SynthUnavailableError
        If there is neither.
    """
    candidates = [Path(name) for name in SYSTEM_SOUNDFONTS]
    package = importlib.util.find_spec("pretty_midi")  # found, not imported: it is slow to import
    if package is not None and package.origin is not None:
        candidates.append(Path(package.origin).with_name("TimGM6mb.sf2"))
    for path in candidates:
        if path.is_file():
            return path
    raise SynthUnavailableError(_INSTALL_SOUNDFONT)


def wav_bytes(audio: Audio, sample_rate: int = SAMPLE_RATE) -> bytes:
    """Return audio as a 16-bit PCM WAV file.

    Parameters
    ----------
    audio
        (n_samples, channels) float in [-1, 1]; what lies beyond is clipped.
    sample_rate
        Samples a second.
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
    """Plays grooves with the drum kits of one SoundFont; any number of threads may share it.

    Parameters
    ----------
    soundfont
        Path of a SoundFont; None for `find_soundfont()`.
    sample_rate
        Samples a second, 8,000 to 96,000.

    Raises
    ------
    SynthUnavailableError
        If FluidSynth's library, or any font, is missing.
    SoundFontError
        If the font is missing, damaged, or has no drum kit.
    ConfigError
        If the sample rate is out of range.
    """

    def __init__(self, soundfont: Path | None = None, sample_rate: int = SAMPLE_RATE) -> None:
        low, high = SAMPLE_RATE_LIMITS
        if not low <= sample_rate <= high:
            raise ConfigError(f"sample_rate is {sample_rate}; it must lie in {low} to {high}.")
        self.soundfont = find_soundfont() if soundfont is None else Path(soundfont)
        self.sample_rate = sample_rate
        self._sampler = Sampler(self.soundfont, sample_rate)
        self._damping = _damping(sample_rate)

    @property
    def kits(self) -> tuple[str, ...]:
        """Names of the font's drum kits, in the font's order; the first is the default."""
        return tuple(self._sampler.programs)

    def check(self, groove: Groove, kit: str | None = None, n_passes: int = 1) -> str:
        """Return the name of the kit, and refuse what `render` would, before it plays a note.

        Raises
        ------
        ConfigError, UnknownKitError, SoundTooLongError
        """
        if n_passes < 1:
            raise ConfigError(f"n_passes is {n_passes}; it must be 1 or more.")
        _check_length(n_passes * groove.duration_seconds)
        name = self.kits[0] if kit is None else kit
        if name not in self._sampler.programs:
            raise UnknownKitError(f"No kit is called {name!r}; there are {', '.join(self.kits)}.")
        return name

    def render(self, groove: Groove, kit: str | None = None, n_passes: int = 1) -> Audio:
        """Return the sound of a loop that has been playing for ever.

        What rings past the end is heard at the start, and a hit before the first beat
        is heard at the end, so the audio repeats without a seam.

        Parameters
        ----------
        groove
            What to play.
        kit
            One of `kits`; None for the first.
        n_passes
            How many times the loop is repeated, 1 or more.

        Returns
        -------
        audio
            (n_samples, 2) float32 in (-1, 1): `n_passes` times
            round(duration_seconds * sample_rate) samples, at one gain for every groove.

        Raises
        ------
        UnknownKitError
            If the font has no such kit.
        SoundFontError
            If the kit's sounds cannot be read.
        SoundTooLongError
            If it would last longer than `MAX_SECONDS`.
        """
        name = self.check(groove, kit, n_passes)
        loop = np.zeros((round(groove.duration_seconds * self.sample_rate), 2), np.float32)
        steps, voices = np.nonzero(groove.hits)
        starts = self._starts(groove, steps, voices) % len(loop)
        levels = np.rint(groove.velocities[steps, voices] * VELOCITY_LEVELS).astype(int)
        ring = _ring_lengths(starts, voices, len(loop))
        for start, voice, level, rings in zip(starts, voices, levels, ring, strict=True):
            note = self._sampler.note(name, int(voice), max(1, int(level)))
            if rings is not None:
                note = self._choked(note, rings)
            _add_wrapped(loop, note, int(start))
        softened = _softened(loop)
        return softened if n_passes == 1 else np.tile(softened, (n_passes, 1))

    def _starts(
        self, groove: Groove, steps: NDArray[np.intp], voices: NDArray[np.intp]
    ) -> NDArray[np.int64]:
        """Return the sample at which each hit is played; negative before the loop begins."""
        played_at_steps = steps + groove.offsets[steps, voices].astype(np.float64)
        step_samples = groove.step_seconds * self.sample_rate
        starts: NDArray[np.int64] = np.rint(played_at_steps * step_samples).astype(np.int64)
        return starts

    def _choked(self, note: Audio, rings: int) -> Audio:
        """Return a note that rings for `rings` samples and then is damped."""
        choked = note[: rings + len(self._damping)].copy()
        choked[rings:] *= self._damping[: max(0, len(choked) - rings), None]
        return choked


def _check_length(seconds: float) -> None:
    if seconds > MAX_SECONDS:
        raise SoundTooLongError(
            f"It lasts {seconds / 60:.3g} minutes and can be heard up to {MAX_SECONDS / 60:.0f}: "
            "choose fewer bars, or a faster tempo."
        )


def _damping(sample_rate: int) -> Audio:
    """Return the gain of a choked cymbal from the choke on: 96 dB down, evenly, in 0.89 s.

    Source: `fluid_voice_kill_excl` in FluidSynth's fluid_voice.c, which gives a voice cut
    by its exclusive class a release of -200 timecents, 2^(-200/1200) s.
    """
    decibels = np.linspace(0.0, -96.0, round(2 ** (-200 / 1200) * sample_rate))
    return (10.0 ** (decibels / 20.0)).astype(np.float32)


def _ring_lengths(
    starts: NDArray[np.int64], voices: NDArray[np.intp], n_samples: int
) -> list[int | None]:
    """Return for how many samples each hit may ring; None for as long as it sounds.

    The two cymbals of a hi-hat are one instrument: each of its hits ends the one before,
    around the loop's end as well. Most fonts say so with an exclusive class but not all
    (FluidR3's TR-808 does not), so it is done here for every font.
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
    """Add `sound` to `loop` from sample `start` on, around the loop's end as often as needed."""
    read, write = 0, start
    while read < len(sound):
        count = min(len(loop) - write, len(sound) - read)
        loop[write : write + count] += sound[read : read + count]
        read, write = read + count, 0


def _softened(audio: Audio) -> Audio:
    """Return audio unchanged below the knee and bent towards the ceiling above it.

    A kit's gain is fixed, so that equal hits are equally loud in every groove, and lets
    four limbs strike as hard as they can below the knee. Only what no drummer plays goes
    above it. The curve has no memory: rotating a loop rotates its sound.
    """
    loudness = np.abs(audio)
    loud = loudness > _KNEE
    room = _CEILING - _KNEE
    bent = _KNEE + room * np.tanh((loudness[loud] - _KNEE) / room)
    audio[loud] = np.copysign(bent, audio[loud])
    return audio
