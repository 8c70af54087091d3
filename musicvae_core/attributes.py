"""What can be told of a groove in a number: density, syncopation, swing, dynamics, voices.

Every function takes the arrays of one groove or of many, (..., T, 9), and returns (...)
float64, so that one definition serves a slider, a map and an evaluation of a thousand
samples. A groove without the hits that a number is about gets 0.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from musicvae_core.groove import Groove

Array = NDArray[np.float64]


class Beats(NamedTuple):
    """The arrays of grooves: hits (..., T, 9) bool, velocities and offsets (..., T, 9) float."""

    hits: NDArray[np.bool_]
    velocities: NDArray[np.float32]
    offsets: NDArray[np.float32]


def _ratio(part: NDArray[Any], whole: NDArray[Any]) -> Array:
    """Divide element by element, with 0 where there is nothing to divide by."""
    part, whole = np.asarray(part, np.float64), np.asarray(whole)
    return np.asarray(np.divide(part, whole, out=np.zeros(part.shape), where=whole > 0))


def _mean_of(values: NDArray[np.floating], where: NDArray[np.bool_]) -> Array:
    total = np.where(where, values, 0).sum(axis=(-2, -1), dtype=np.float64)
    return _ratio(total, where.sum(axis=(-2, -1)))


def _spread_of(values: NDArray[np.floating], where: NDArray[np.bool_]) -> Array:
    centre = _mean_of(values, where)[..., None, None]
    variance = _mean_of((values - centre) ** 2, where)
    return np.asarray(np.sqrt(variance))


def _struck(beats: Beats) -> NDArray[np.bool_]:
    """Return the steps with a hit of any voice, (..., T)."""
    return np.asarray(beats.hits.any(axis=-1))


def step_density(beats: Beats) -> Array:
    """Return the share of steps with a hit, 0 to 1."""
    return np.asarray(_struck(beats).mean(axis=-1))


def voices_used(beats: Beats) -> Array:
    """Return how many of the nine voices sound at least once."""
    return np.asarray(beats.hits.any(axis=-2).sum(axis=-1), np.float64)


def syncopation(beats: Beats) -> Array:
    """Return the share of struck steps that syncopate by a sixteenth, 0 to 1.

    A step does so where it is struck, lies between two eighths, and the step before it is
    silent.

    Source: Roberts et al. 2018, section 5.3 (attributes), where it is counted; here it is
    divided by the struck steps so that length and density do not matter.
    """
    struck = _struck(beats)
    syncopated = struck[..., 1::2] & ~struck[..., 0::2]
    return _ratio(syncopated.sum(axis=-1), struck.sum(axis=-1))


def swing(beats: Beats) -> Array:
    """Return how much later the second sixteenths of the eighths come than the first, in steps.

    The mean offset of hits at odd steps less that of hits at even ones; positive swings. 0
    where either has no hit.
    """
    is_odd = np.zeros(beats.hits.shape[-2], bool)
    is_odd[1::2] = True
    odd = beats.hits & is_odd[:, None]
    even = beats.hits & ~is_odd[:, None]
    has_both = odd.any(axis=(-2, -1)) & even.any(axis=(-2, -1))
    later = _mean_of(beats.offsets, odd) - _mean_of(beats.offsets, even)
    return np.where(has_both, later, 0.0)


def laid_backness(beats: Beats) -> Array:
    """Return the mean offset of all hits in steps; positive is behind the beat."""
    return _mean_of(beats.offsets, beats.hits)


def timing_looseness(beats: Beats) -> Array:
    """Return the standard deviation of the offsets in steps."""
    return _spread_of(beats.offsets, beats.hits)


def mean_velocity(beats: Beats) -> Array:
    """Return the mean velocity of the hits, 0 to 1."""
    return _mean_of(beats.velocities, beats.hits)


def dynamic_range(beats: Beats) -> Array:
    """Return the standard deviation of the velocities."""
    return _spread_of(beats.velocities, beats.hits)


ATTRIBUTES: Mapping[str, Callable[[Beats], Array]] = MappingProxyType(
    {
        "velocity_mean": mean_velocity,
        "velocity_spread": dynamic_range,
        "offset_spread": timing_looseness,
        "swing": swing,
        "laid_backness": laid_backness,
        "step_density": step_density,
        "syncopation": syncopation,
        "voices_used": voices_used,
    }
)


def measure(groove: Groove) -> dict[str, float]:
    """Return every attribute of one groove."""
    beats = Beats(groove.hits, groove.velocities, groove.offsets)
    return {name: float(attribute(beats)) for name, attribute in ATTRIBUTES.items()}
