"""How near grooves are to real ones that have the same notes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from musicvae_core.attributes import ATTRIBUTES, beats_of
from musicvae_core.config import MAX_SEED
from musicvae_core.experiments.bootstrap import Interval, interval, mean_interval, resampled
from musicvae_core.experiments.feel_baselines import split_feel
from musicvae_core.realism import Verdict, judge
from musicvae_core.vocabulary import STEPS_PER_BAR, STEPS_PER_BEAT

Floats = NDArray[np.float32]

FEEL_ATTRIBUTES = ("offset_spread", "swing", "velocity_mean", "velocity_spread")
_LEAST_HITS = 8
_N_RESAMPLED_AUCS = 300


class Real(NamedTuple):
    """Windows as drummers played them.

    features: (N, T, 27). tempos_bpm: (N,). performances: (N,) which each was cut from.
    """

    features: Floats
    tempos_bpm: Floats
    performances: NDArray[np.int64]


def errors(played: Floats, real: Real) -> dict[str, float]:
    """Return the mean absolute errors of timing in ms and of velocity, over all hits."""
    hits, velocities, offsets = split_feel(real.features)
    _, own_velocities, own_offsets = split_feel(played)
    step_ms = 60_000 / real.tempos_bpm / STEPS_PER_BEAT
    late_ms = (own_offsets - offsets) * step_ms[:, None, None]
    return {
        "timing_mae_ms": float(np.abs(late_ms)[hits].mean()),
        "velocity_mae": float(np.abs(own_velocities - velocities)[hits].mean()),
    }


def likeness(draws: Sequence[Floats], real: Real, seed: int) -> dict[str, Any]:
    """Compare draws of the same notes with how drummers played them.

    Parameters
    ----------
    draws
        Each (N, T, 27): one, where chance has no part in it.
    real
        What they are compared with.
    seed
        Of the judge's folds, another for each draw, and of what is resampled.

    Returns
    -------
    The means of the feel's attributes, over windows and draws; `accents`, the correlation of
    the velocities of a window's hits with those of the real window, on average over windows of
    at least 8 hits; `auc` the judge's, on average over the draws, and `auc_spread`, its standard
    deviation over them, None of one draw. `chance` holds 95% intervals over the performances:
    of how far each attribute is from the real windows', and of the AUC.
    """
    theirs = _attributes(real.features)
    ours = {name: np.zeros(len(real.features)) for name in theirs}
    for played in draws:
        for name, values in _attributes(played).items():
            ours[name] += values / len(draws)
    weights = resampled(real.performances, seed)
    chance = {name: mean_interval(ours[name] - theirs[name], weights) for name in theirs}
    verdicts = [
        judge(
            played,
            real.features,
            real.performances,
            (seed + draw) % (MAX_SEED + 1),
            real.performances,
        )
        for draw, played in enumerate(draws)
    ]
    aucs = [verdict.auc() for verdict in verdicts]
    return {
        **{name: float(values.mean()) for name, values in ours.items()},
        "accents": float(np.mean([_accents(played, real.features) for played in draws])),
        "auc": float(np.mean(aucs)),
        "auc_spread": float(np.std(aucs, ddof=1)) if len(aucs) > 1 else None,
        "chance": chance | {"auc": _auc_interval(verdicts, weights)},
    }


def attribute_means(features: Floats) -> dict[str, float]:
    """Return the means of the feel's attributes, and the accents of the real ones themselves."""
    row = {name: float(values.mean()) for name, values in _attributes(features).items()}
    return row | {"accents": 1.0, "auc": 0.5}


def followed_share(drawn: Floats, rhythm: Floats) -> dict[str, float]:
    """Return the shares of a rhythm's steps that have an onset, there and within a step."""
    tapped = np.asarray(split_feel(rhythm)[0].any(axis=-1))
    struck = np.asarray(split_feel(drawn)[0].any(axis=-1))
    near = struck.copy()
    near[:, 1:] |= struck[:, :-1]
    near[:, :-1] |= struck[:, 1:]
    return {
        "at_the_step": float(struck[tapped].mean()),
        "within_a_step": float(near[tapped].mean()),
    }


def bar_jumps(features: Floats, first_bars: NDArray[np.int64]) -> dict[str, float]:
    """Compare how much loudness and lateness change where a new stretch begins with elsewhere.

    Parameters
    ----------
    features
        (N, T, 27).
    first_bars
        The bars that begin a stretch, the first bar aside.

    Returns
    -------
    For `loudness` and `lateness` the mean absolute change of a bar's mean at those bars,
    divided by that at all others; 1 where a seam cannot be told.
    """
    hits, velocities, offsets = (
        part.reshape(len(features), -1, STEPS_PER_BAR * part.shape[-1])
        for part in split_feel(features)
    )
    counts = hits.sum(axis=-1)
    is_seam = np.isin(np.arange(1, counts.shape[1]), first_bars)
    ratios = {}
    for name, values in (("loudness", velocities), ("lateness", offsets)):
        means = np.where(counts > 0, (values * hits).sum(axis=-1) / np.maximum(counts, 1), np.nan)
        jumps = np.abs(np.diff(means, axis=1))
        ratios[name] = float(np.nanmean(jumps[:, is_seam]) / np.nanmean(jumps[:, ~is_seam]))
    return ratios


def _attributes(features: Floats) -> dict[str, NDArray[np.float64]]:
    """Return the feel's attributes of every window, (N,) each.

    `swing_size` is how much a window swings, to one side or the other: drummers who swing and
    those who rush the second sixteenth cancel in the mean of `swing`.
    """
    beats = beats_of(features)
    values = {name: ATTRIBUTES[name](beats) for name in FEEL_ATTRIBUTES}
    return values | {"swing_size": np.abs(values["swing"])}


def _auc_interval(verdicts: Sequence[Verdict], weights: NDArray[np.float64]) -> Interval:
    """Return where the mean AUC of verdicts lies on other performances, the judge as it is."""
    aucs = [
        [verdict.auc(np.tile(row, 2)) for verdict in verdicts]
        for row in weights[:_N_RESAMPLED_AUCS]
    ]
    return interval(np.mean(aucs, axis=1))


def _accents(played: Floats, real: Floats) -> float:
    hits, velocities, _ = split_feel(real)
    _, own, _ = split_feel(played)
    found = []
    for struck, theirs, ours in zip(hits, velocities, own, strict=True):
        if struck.sum() >= _LEAST_HITS and theirs[struck].std() > 0:
            constant = np.ptp(ours[struck]) == 0
            found.append(0.0 if constant else np.corrcoef(theirs[struck], ours[struck])[0, 1])
    return float(np.mean(found)) if found else 0.0
