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

from musicvae_core.codec import OFFSET_SCALE
from musicvae_core.groove import Groove
from musicvae_core.vocabulary import (
    CLOSED_HAT,
    CRASH,
    HIGH_TOM,
    KICK,
    LOW_TOM,
    MID_TOM,
    N_VOICES,
    OPEN_HAT,
    RIDE,
    SNARE,
    STEPS_PER_BAR,
    STEPS_PER_BEAT,
)

Array = NDArray[np.float64]


class Beats(NamedTuple):
    """The arrays of grooves: hits (..., T, 9) bool, velocities and offsets (..., T, 9) float."""

    hits: NDArray[np.bool_]
    velocities: NDArray[np.float32]
    offsets: NDArray[np.float32]


_TOMS = [LOW_TOM, MID_TOM, HIGH_TOM]


def beats_of(features: NDArray[np.float32]) -> Beats:
    """Return the arrays of model features (..., T, 27), or of hits alone (..., T, 9)."""
    hits = features[..., :N_VOICES] > 0.5
    if features.shape[-1] == N_VOICES:
        return Beats(hits, hits.astype(np.float32), np.zeros_like(features))
    velocities, offsets = np.split(features[..., N_VOICES:], 2, axis=-1)
    return Beats(hits, velocities, offsets / np.float32(OFFSET_SCALE))


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
    """Return the share of steps with a hit, 0 to 1.

    Source: Roberts et al. 2018, section 5.3 (note density, as onsets a step).
    """
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


def sixteenth_syncopation(beats: Beats) -> Array:
    """Return the share of hits that syncopate by a sixteenth in their own voice, 0 to 1.

    A hit does so between two eighths, with no hit of its voice on the step before.

    Source: Roberts et al. 2018, section 5.3, of melodies; here each voice is a line of its
    own, where `syncopation` takes the nine for one: a hi-hat in eighths would hide the kick.
    """
    syncopated = beats.hits[..., 1::2, :] & ~beats.hits[..., 0::2, :]
    return _ratio(syncopated.sum(axis=(-2, -1)), beats.hits.sum(axis=(-2, -1)))


def eighth_syncopation(beats: Beats) -> Array:
    """Return the share of hits that syncopate by an eighth in their own voice, 0 to 1.

    A hit does so on the second eighth of a beat, with no hit of its voice on the sixteenth
    before nor on the eighth before.

    Source: as `sixteenth_syncopation`.
    """
    before = beats.hits[..., 0::4, :] | beats.hits[..., 1::4, :]
    syncopated = beats.hits[..., 2::4, :] & ~before
    return _ratio(syncopated.sum(axis=(-2, -1)), beats.hits.sum(axis=(-2, -1)))


def swing(beats: Beats) -> Array:
    """Return how much later the second sixteenths of the eighths come than the first, in steps.

    The mean offset of hits at odd steps less that of hits at even ones; positive swings. 0
    where either has no hit.
    """
    even, odd = _by_parity(beats.hits)
    has_both = odd.any(axis=(-2, -1)) & even.any(axis=(-2, -1))
    later = _mean_of(beats.offsets, odd) - _mean_of(beats.offsets, even)
    return np.where(has_both, later, 0.0)


def _by_parity(hits: NDArray[np.bool_]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return the hits at even steps and those at odd ones, each in an array of full size."""
    is_odd = np.zeros(hits.shape[-2], bool)
    is_odd[1::2] = True
    return hits & ~is_odd[:, None], hits & is_odd[:, None]


def laid_backness(beats: Beats) -> Array:
    """Return the mean offset of all hits in steps; positive is behind the beat."""
    return _mean_of(beats.offsets, beats.hits)


def timing_looseness(beats: Beats) -> Array:
    """Return the standard deviation of the offsets in steps."""
    return _spread_of(beats.offsets, beats.hits)


def looseness(beats: Beats) -> Array:
    """Return the standard deviation of the offsets in steps, swing aside.

    Offsets are taken from the mean of the hits at even steps and of those at odd ones, so
    that a groove can swing and yet be tight, which `timing_looseness` does not know.
    """
    even, odd = _by_parity(beats.hits)
    variances = (
        _spread_of(beats.offsets, part) ** 2 * part.sum(axis=(-2, -1)) for part in (even, odd)
    )
    return np.asarray(np.sqrt(_ratio(sum(variances), beats.hits.sum(axis=(-2, -1)))))


def mean_velocity(beats: Beats) -> Array:
    """Return the mean velocity of the hits, 0 to 1."""
    return _mean_of(beats.velocities, beats.hits)


def dynamic_range(beats: Beats) -> Array:
    """Return the standard deviation of the velocities."""
    return _spread_of(beats.velocities, beats.hits)


def kick_activity(beats: Beats) -> Array:
    """Return the kicks a bar."""
    return _activity(beats, [KICK])


def snare_activity(beats: Beats) -> Array:
    """Return the snare hits a bar, ghost notes and all."""
    return _activity(beats, [SNARE])


def hat_activity(beats: Beats) -> Array:
    """Return the hi-hat hits a bar, closed and open."""
    return _activity(beats, [CLOSED_HAT, OPEN_HAT])


def open_hat_share(beats: Beats) -> Array:
    """Return the share of the hi-hat hits that are open, 0 to 1; 0 without a hi-hat."""
    return _ratio(_hits_of(beats, [OPEN_HAT]), _hits_of(beats, [CLOSED_HAT, OPEN_HAT]))


def ride_activity(beats: Beats) -> Array:
    """Return the ride hits a bar."""
    return _activity(beats, [RIDE])


def crash_activity(beats: Beats) -> Array:
    """Return the crash hits a bar; the other cymbal has its own `ride_activity`."""
    return _activity(beats, [CRASH])


def tom_activity(beats: Beats) -> Array:
    """Return the hits of the three toms a bar."""
    return _activity(beats, _TOMS)


def fill_ness(beats: Beats) -> Array:
    """Return the share of beats in which snare or toms play and nothing keeps time, 0 to 1.

    Time is kept by the hi-hat, closed or open, and the ride.

    Source: our own; of the measures of one line that we tried it tells the data set's fills
    from its beats best (area under the ROC curve of two-bar windows of the train split: .91;
    the share of toms among the hits has .82).
    """
    by_beat = beats.hits.reshape(*beats.hits.shape[:-2], -1, STEPS_PER_BEAT, beats.hits.shape[-1])
    sounding = np.asarray(by_beat.any(axis=-2))  # (..., beats, 9)
    leaves_time = ~sounding[..., [CLOSED_HAT, OPEN_HAT, RIDE]].any(axis=-1)
    return np.asarray((leaves_time & sounding[..., [SNARE, *_TOMS]].any(axis=-1)).mean(axis=-1))


def _hits_of(beats: Beats, voices: list[int] | slice) -> Array:
    return np.asarray(beats.hits[..., voices].sum(axis=(-2, -1)), np.float64)


def _activity(beats: Beats, voices: list[int]) -> Array:
    return np.asarray(_hits_of(beats, voices) / (beats.hits.shape[-2] / STEPS_PER_BAR))


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
"""What the judge of samples sees beside the grid; published numbers depend on these eight."""


def measure(groove: Groove) -> dict[str, float]:
    """Return every attribute of one groove."""
    beats = Beats(groove.hits, groove.velocities, groove.offsets)
    return {name: float(attribute(beats)) for name, attribute in ATTRIBUTES.items()}
