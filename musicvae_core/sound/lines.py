"""`Line` and `Piece` to stereo audio, with the SoundFont's instruments.

As with drums (see `render`), FluidSynth plays each note on its own, held for its length, and the
renderer adds it to the loop at the exact sample of its onset.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from musicvae_core.music.drums import N_VOICES
from musicvae_core.music.forms import Music, parts_of
from musicvae_core.music.grid import VELOCITY_LEVELS
from musicvae_core.music.groove import Groove
from musicvae_core.music.line import Line
from musicvae_core.music.piece import BASS, Part, Piece
from musicvae_core.sound.render import Renderer, add_wrapped, check_length, softened
from musicvae_core.sound.sampler import Audio

_LINE_GAIN, _BASS_GAIN = 0.8, 1.0
"""Gains of lines relative to drums, for about equal loudness. Without them, the medians of twelve
songs of Freedoom are -19.9 dB (melody), -20.6 (bass) and -21.2 (drums); a melody also stands out
more than the rest."""


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
    check_length(music.duration_seconds)
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
        add_wrapped(loop, sound, start % len(loop))
    return loop
