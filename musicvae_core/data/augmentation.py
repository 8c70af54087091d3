"""Recombination of training windows: more music of the same kind, to fight overfitting.

Each altered example is made from whole voices, bars or beats that were really played, so
that its rhythm and feel stay a drummer's:

- some of its voices come from another window;
- some of its bars come from another window;
- it is turned by whole beats, and some of its hits are left out.

The groove lab, which learns to play given notes, hears them played with another swing and
another lateness instead: `change_feel`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from musicvae_core.music.drums import N_VOICES, OFFSET_SCALE
from musicvae_core.music.grid import COMMON_TIME, Grid

_MAX_DROPPED = 0.5
_SWING, _LATENESS = 0.15, 0.06
"""Standard deviations, in steps, of the random changes of swing and of lateness."""
_LATEST = 0.98
"""Of an offset in model units: the next step begins at 1."""


def augment(
    features: NDArray[np.float32],
    share: float,
    rng: np.random.Generator,
    grid: Grid = COMMON_TIME,
) -> NDArray[np.float32]:
    """Return a batch with a share of its examples recombined.

    Parameters
    ----------
    features
        (B, T, F) float32 with F = 9 or 27, T whole bars; not changed.
    share
        Probability that an example is altered.
    rng
        Source of randomness.
    grid
        How the steps divide time.

    Returns
    -------
    (B, T, F) float32.
    """
    kinds = np.where(rng.random(len(features)) < share, rng.integers(1, 4, len(features)), 0)
    others = features[rng.permutation(len(features))]
    result = features.copy()
    for kind, change in enumerate((_swap_voices, _swap_bars, _turn_and_thin), start=1):
        chosen = kinds == kind
        if chosen.any():
            result[chosen] = change(features[chosen], others[chosen], rng, grid)
    return result


def change_feel(
    features: NDArray[np.float32], share: float, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Return a batch with a share of its examples swung, and played later or earlier.

    The hits at odd steps are moved by one amount more than those at even ones, and all by
    another; none leaves its step.

    Parameters
    ----------
    features
        (B, T, 27) float32; not changed.
    share
        Probability that an example is altered.
    rng
        Source of randomness.

    Returns
    -------
    (B, T, 27) float32.
    """
    n_examples, n_steps, _ = features.shape
    chosen = rng.random((n_examples, 1)) < share
    swing = chosen * rng.normal(0.0, _SWING, (n_examples, 1))
    lateness = chosen * rng.normal(0.0, _LATENESS, (n_examples, 1))
    by_step = np.array([-0.5, 0.5])[np.arange(n_steps) % 2]  # (T,)
    moves = swing * by_step + lateness  # (B, T), in steps
    result = features.copy()
    struck = features[..., :N_VOICES] > 0
    moved = np.clip(result[..., 2 * N_VOICES :] + OFFSET_SCALE * moves[..., None], -1.0, _LATEST)
    result[..., 2 * N_VOICES :] = np.where(struck, moved, 0)
    return result


def _swap_voices(
    features: NDArray[np.float32],
    others: NDArray[np.float32],
    rng: np.random.Generator,
    grid: Grid,
) -> NDArray[np.float32]:
    swapped = rng.random((len(features), N_VOICES)) < 0.5
    every_part = np.tile(swapped, features.shape[-1] // N_VOICES)  # (B, F)
    return np.where(every_part[:, None, :], others, features)


def _swap_bars(
    features: NDArray[np.float32],
    others: NDArray[np.float32],
    rng: np.random.Generator,
    grid: Grid,
) -> NDArray[np.float32]:
    n_bars = features.shape[1] // grid.steps_per_bar
    swapped = np.repeat(rng.random((len(features), n_bars)) < 0.5, grid.steps_per_bar, axis=1)
    return np.where(swapped[:, :, None], others, features)


def _turn_and_thin(
    features: NDArray[np.float32],
    others: NDArray[np.float32],
    rng: np.random.Generator,
    grid: Grid,
) -> NDArray[np.float32]:
    n_examples, n_steps, n_features = features.shape
    beats = rng.integers(0, n_steps // grid.steps_per_beat, n_examples)
    steps = (np.arange(n_steps) + grid.steps_per_beat * beats[:, None]) % n_steps  # (B, T)
    turned = np.take_along_axis(features, steps[:, :, None], axis=1)
    dropped = rng.random((n_examples, n_steps, N_VOICES))
    kept = dropped >= rng.uniform(0, _MAX_DROPPED, (n_examples, 1, 1))
    return turned * np.tile(kept, n_features // N_VOICES)
