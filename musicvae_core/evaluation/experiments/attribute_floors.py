"""How much other attributes must change with one: by definition, and in real grooves."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from musicvae_core.latent.attribute_vectors import AttributeVectors
from musicvae_core.latent.steering import Steered, weights_of
from musicvae_core.music.grid import COMMON_TIME

_Array = NDArray[np.float64]

_SINGLE = ("kick_activity", "snare_activity", "hat_activity", "ride_activity", "crash_activity")
_VOICES = (*_SINGLE, "tom_activity")
_SHIFTS = np.linspace(0, 5, 501)
"""Movements of the voices to try, in standard deviations."""
_ROWS_AT_ONCE = 256


def nearest_real(
    vectors: AttributeVectors, table: _Array, targets: _Array, steered: Steered
) -> Steered:
    """Return the real groove nearest to each goal, by the cost that `steer` uses.

    No slider can be expected to separate what drummers do not separate either.

    Parameters
    ----------
    vectors
        The vectors of K attributes.
    table
        (N, K): the attributes of the real grooves, in their own units.
    targets, steered
        (n, K): n goals, NaN for attributes that should stay, and the results of steering.
    """
    scaled = table / vectors.deviations
    goals = np.where(np.isnan(targets), steered.before, targets) / vectors.deviations
    weights = weights_of(vectors.controls, ~np.isnan(targets)) ** 2
    parts = np.split(np.arange(len(goals)), range(_ROWS_AT_ONCE, len(goals), _ROWS_AT_ONCE))
    nearest = [
        (weights[part] @ (scaled**2).T - 2 * (weights * goals)[part] @ scaled.T).argmin(axis=1)
        for part in parts
    ]
    return replace(steered, after=table[np.concatenate(nearest)])


def definition_floors(
    vectors: AttributeVectors, targets: _Array, before: _Array
) -> dict[str, dict[str, float]]:
    """Return how much must change for note density and fill-ness to reach their targets.

    Parameters
    ----------
    vectors
        The vectors of K attributes.
    targets, before
        (n, K): goals of single sliders, NaN elsewhere, and the attributes as they were.

    Returns
    -------
    For each of the two that the model has and that was set: the mean movement of the voice that
    moves most (`step_density`) or of the hi-hat (`fill_ness`), as a share of the attribute's own
    movement in standard deviations. `least` is the minimum that counting requires; `alike` is
    the movement in a groove that otherwise stays the same. See `_density_floor` and
    `_fill_floor`.
    """
    floors = {}
    for name, floor in {"step_density": _density_floor, "fill_ness": _fill_floor}.items():
        if not {name, *_VOICES} <= set(vectors.controls):
            continue
        at = vectors.controls.index(name)
        rows = ~np.isnan(targets[:, at])
        goals, was = targets[rows, at], before[rows]
        own = np.abs(goals - was[:, at]).sum() / vectors.deviations[at] / max(1, len(goals))
        if own > 0:
            least, alike = floor(vectors, goals, was)
            floors[name] = {"least": float(least / own), "alike": float(alike / own)}
    return floors


def _density_floor(vectors: AttributeVectors, goals: _Array, before: _Array) -> tuple[float, float]:
    """Return how far all voices must move equally to reach a number of steps with hits.

    The number of steps with hits is at most the sum of all hits, and at least that of the
    busiest voice. For `alike`, hits coincide as often as before.
    """
    columns = [vectors.controls.index(name) for name in _VOICES]
    hits, step = before[:, columns], _SHIFTS[:, None, None] * vectors.deviations[columns]
    more, fewer = hits + step, np.maximum(hits - step, 0)  # (shifts, n, voices)
    density = _column(vectors, "step_density", before)
    n_wanted, is_more = COMMON_TIME.steps_per_bar * goals, goals > density
    up = (more.sum(axis=-1) >= n_wanted).argmax(axis=0)
    down = (fewer[..., : len(_SINGLE)].max(axis=-1) <= n_wanted).argmax(axis=0)
    was = COMMON_TIME.steps_per_bar * density
    sums = n_wanted * hits.sum(axis=-1) / np.maximum(was, 1)
    alike_up = (more.sum(axis=-1) >= sums).argmax(axis=0)
    alike_down = (fewer.sum(axis=-1) <= sums).argmax(axis=0)
    least, alike = np.where(is_more, up, down), np.where(is_more, alike_up, alike_down)
    return float(_SHIFTS[least].mean()), float(_SHIFTS[alike].mean())


def _fill_floor(vectors: AttributeVectors, goals: _Array, before: _Array) -> tuple[float, float]:
    """Return how far the hi-hat must fall when more beats leave it out.

    The other beats can hold one hit per step; for `alike`, they stay as busy as before.
    """
    hat, was = (_column(vectors, name, before) for name in ("hat_activity", "fill_ness"))
    deviation = vectors.deviations[vectors.controls.index("hat_activity")]
    least = np.maximum(0, hat - COMMON_TIME.steps_per_bar * (1 - goals))
    remaining = np.minimum(1, (1 - goals) / np.maximum(1 - was, 1e-9))
    return float(least.mean() / deviation), float((hat * (1 - remaining)).mean() / deviation)


def _column(vectors: AttributeVectors, name: str, table: _Array) -> _Array:
    return np.asarray(table[:, vectors.controls.index(name)])
