"""Hiding parts of grooves at random: the tasks that the groove lab learns all at once.

Every example is hidden in one of these ways, and in half of them its first bar is then shown
again, as it is when a long groove is made window by window:

- how the notes are played: velocities, offsets, or both;
- some voices, through all bars or some;
- some beats of all voices, often all from one on;
- everything but taps, of which some are dropped, and the velocities often flat;
- everything.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from musicvae_core.kept import UNKNOWN, Controls, Flags, Floats, Kept, taps_of
from musicvae_core.vocabulary import N_VOICES, STEPS_PER_BAR, STEPS_PER_BEAT

Hiding = Callable[[Floats, np.random.Generator], Kept]
_UNKNOWN_CONTROL = 0.5
"""Share of examples in which a density, a style or a drummer is not told."""


def hide(features: Floats, rng: np.random.Generator) -> Kept:
    """Hide parts of a batch (B, T, 27), each example in its own way; return what is left."""
    kinds = rng.choice(len(_HIDINGS), len(features), p=_SHARES)
    parts = [_HIDINGS[kind](one[None], rng) for kind, one in zip(kinds, features, strict=True)]
    names = ("features", "hits", "velocities", "offsets", "taps")
    kept = Kept(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))
    first_bar = np.arange(features.shape[1]) < STEPS_PER_BAR
    shown = rng.random((len(features), 1)) < 0.5
    return kept.revealing(shown & first_bar)


def hide_controls(controls: Controls, rng: np.random.Generator) -> Controls:
    """Leave out each control of some examples; the tempo is always told."""
    hidden = rng.random((3, len(controls.styles))) < _UNKNOWN_CONTROL
    return Controls(
        controls.tempos_bpm,
        np.where(hidden[0], np.nan, controls.densities).astype(np.float32),
        np.where(hidden[1], UNKNOWN, controls.styles),
        np.where(hidden[2], UNKNOWN, controls.drummers),
    )


def _hide_feel(features: Floats, rng: np.random.Generator) -> Kept:
    kept = Kept.notes(features)
    what = rng.choice(3, p=[0.7, 0.15, 0.15])
    if what == 1:
        return replace(kept, velocities=np.ones_like(kept.hits))
    if what == 2:
        return replace(kept, offsets=np.ones_like(kept.hits))
    return kept


def _hide_voices(features: Floats, rng: np.random.Generator) -> Kept:
    kept = Kept.everything(features)
    voices = rng.random(N_VOICES) < rng.uniform(0.1, 0.9)
    steps = _some_beats(features, rng) if rng.random() < 0.4 else np.ones_like(kept.hits[..., 0])
    return _without(kept, steps[..., None] & voices, rng)


def _hide_beats(features: Floats, rng: np.random.Generator) -> Kept:
    steps = _some_beats(features, rng)
    return _without(Kept.everything(features), steps[..., None] & np.ones(N_VOICES, bool), rng)


def _hide_all_but_taps(features: Floats, rng: np.random.Generator) -> Kept:
    taps = taps_of(features)
    if rng.random() < 0.2:
        taps = taps * (rng.random((*taps.shape[:2], 1)) > rng.uniform(0, 0.6))
    if rng.random() < 0.4:
        taps = taps * np.array([1, 0, 1], np.float32)
    return replace(Kept.nothing(features), taps=taps.astype(np.float32))


def _hide_all(features: Floats, rng: np.random.Generator) -> Kept:
    return Kept.nothing(features)


def _some_beats(features: Floats, rng: np.random.Generator) -> Flags:
    """Return the steps of one stretch of beats, half of the time up to the end: (1, T)."""
    n_beats = features.shape[1] // STEPS_PER_BEAT
    start = rng.integers(0, n_beats)
    end = n_beats if rng.random() < 0.5 else rng.integers(start, n_beats) + 1
    beats = (np.arange(n_beats) >= start) & (np.arange(n_beats) < end)
    return np.repeat(beats, STEPS_PER_BEAT)[None]


def _without(kept: Kept, cells: Flags, rng: np.random.Generator) -> Kept:
    """Hide cells; now and then how the rest is played as well."""
    shown = kept.hits & ~cells
    feel = shown if rng.random() < 0.8 else np.zeros_like(shown)
    return replace(kept, hits=shown, velocities=feel, offsets=feel)


_HIDINGS: tuple[Hiding, ...] = (
    _hide_feel,
    _hide_voices,
    _hide_beats,
    _hide_all_but_taps,
    _hide_all,
)
_SHARES = (0.35, 0.2, 0.2, 0.2, 0.05)
