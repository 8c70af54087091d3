"""Bringing the loudness and the timing of a groove to those of another, in the mean."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from musicvae_core.groove import Groove
from musicvae_core.vocabulary import LATEST_OFFSET, VELOCITY_LEVELS

Floats = NDArray[np.float32]

_LEAST_HITS = 4
"""Fewer hits of the other groove say nothing of its feel."""
_MOST_STRETCH = 2.0


def match_feel(groove: Groove, feel: Groove) -> Groove:
    """Return a groove as loud, with as much dynamics, and as late as another.

    Velocities get the other's mean and deviation, the latter changed by no more than a factor
    of two; offsets at even sixteenths, and those at odd ones, get the other's mean, which is
    its lateness and its swing. How hits differ among themselves stays the groove's own.
    """
    velocities = np.array(groove.velocities)
    if min(groove.n_hits, feel.n_hits) >= _LEAST_HITS:
        velocities[groove.hits] = _matched(groove.velocities[groove.hits], feel)
    offsets = np.array(groove.offsets)
    for parity in (0, 1):
        own, other = groove.hits[parity::2], feel.hits[parity::2]
        if own.any() and other.sum() >= _LEAST_HITS:
            mean = feel.offsets[parity::2][other].mean()
            offsets[parity::2] += mean - offsets[parity::2][own].mean()
    return Groove.from_hits(
        groove.hits,
        np.clip(velocities, 1 / VELOCITY_LEVELS, 1),
        np.clip(offsets, -0.5, LATEST_OFFSET),
        groove.tempo_bpm,
    )


def _matched(velocities: Floats, feel: Groove) -> Floats:
    """Return velocities (n,) with the mean and deviation of a groove's."""
    wanted = feel.velocities[feel.hits]
    deviation = velocities.std()
    stretch = wanted.std() / deviation if deviation > 0 else 1.0
    stretch = np.clip(stretch, 1 / _MOST_STRETCH, _MOST_STRETCH)
    return np.asarray(wanted.mean() + stretch * (velocities - velocities.mean()), np.float32)
