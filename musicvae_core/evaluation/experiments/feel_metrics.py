"""How close grooves are to real ones with the same notes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from musicvae_core.data.dataset import Dataset
from musicvae_core.data.windows import Split, Windows
from musicvae_core.evaluation.experiments.feel_baselines import split_feel
from musicvae_core.evaluation.realism import judge
from musicvae_core.lab.completion import Example
from musicvae_core.lab.options import Sampling, match_feel
from musicvae_core.lab.tools import Lab
from musicvae_core.models.checkpoint import LabCheckpoint
from musicvae_core.models.config import MAX_SEED
from musicvae_core.music.attributes import ATTRIBUTES, beats_of, measure
from musicvae_core.music.grid import COMMON_TIME
from musicvae_core.music.groove import Groove, features_to_groove

_Floats = NDArray[np.float32]

_FEEL_ATTRIBUTES = ("offset_spread", "swing", "velocity_mean", "velocity_spread")
_LEAST_HITS = 8
_N_RESAMPLED_AUCS = 300


class Real(NamedTuple):
    """Windows as drummers played them.

    features: (N, T, 27). tempos_bpm: (N,). performances: (N,) the performance of each window.
    """

    features: _Floats
    tempos_bpm: _Floats
    performances: NDArray[np.int64]


def errors(played: _Floats, real: Real) -> dict[str, float]:
    """Return the mean absolute errors of timing in ms and of velocity, over all hits."""
    hits, velocities, offsets = split_feel(real.features)
    _, own_velocities, own_offsets = split_feel(played)
    step_ms = 60_000 / real.tempos_bpm / COMMON_TIME.steps_per_beat
    late_ms = (own_offsets - offsets) * step_ms[:, None, None]
    return {
        "timing_mae_ms": float(np.abs(late_ms)[hits].mean()),
        "velocity_mae": float(np.abs(own_velocities - velocities)[hits].mean()),
    }


def likeness(draws: Sequence[_Floats], real: Real, seed: int) -> dict[str, Any]:
    """Compare draws of the same notes with how drummers played them.

    Parameters
    ----------
    draws
        Each (N, T, 27); only one for a deterministic method.
    real
        The real windows to compare with.
    seed
        Seed of the judge's folds, which differ for each draw, and of the bootstrap.

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
    weights = _resampled(real.performances, seed)
    chance = {name: _mean_interval(ours[name] - theirs[name], weights) for name in theirs}
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
        "chance": chance | {"auc": _auc_interval([one.auc for one in verdicts], weights)},
    }


def attribute_means(features: _Floats) -> dict[str, float]:
    """Return the means of the feel's attributes, and the accents of the real windows."""
    row = {name: float(values.mean()) for name, values in _attributes(features).items()}
    return row | {"accents": 1.0, "auc": 0.5}


def followed_share(drawn: _Floats, rhythm: _Floats) -> dict[str, float]:
    """Return the share of a rhythm's steps with an onset there, and within one step of it."""
    tapped = np.asarray(split_feel(rhythm)[0].any(axis=-1))
    has_hit = np.asarray(split_feel(drawn)[0].any(axis=-1))
    near = has_hit.copy()
    near[:, 1:] |= has_hit[:, :-1]
    near[:, :-1] |= has_hit[:, 1:]
    return {
        "at_the_step": float(has_hit[tapped].mean()),
        "within_a_step": float(near[tapped].mean()),
    }


def bar_jumps(features: _Floats, first_bars: NDArray[np.int64]) -> dict[str, float]:
    """Compare changes of loudness and lateness at the seams between stretches with those elsewhere.

    Parameters
    ----------
    features
        (N, T, 27).
    first_bars
        The bars that begin a stretch, except the first bar.

    Returns
    -------
    For `loudness` and `lateness`, the mean absolute change of a bar's mean at those bars,
    divided by that at all other bars; 1 means the seams are not noticeable.
    """
    hits, velocities, offsets = (
        part.reshape(len(features), -1, COMMON_TIME.steps_per_bar * part.shape[-1])
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


def _attributes(features: _Floats) -> dict[str, NDArray[np.float64]]:
    """Return the feel's attributes of every window, (N,) each.

    `swing_size` is the absolute swing of a window: in the mean of `swing`, drummers who swing
    and drummers who rush the second sixteenth cancel out.
    """
    beats = beats_of(features)
    values = {name: ATTRIBUTES[name](beats) for name in _FEEL_ATTRIBUTES}
    return values | {"swing_size": np.abs(values["swing"])}


def _auc_interval(
    aucs_at: Sequence[Callable[[_Doubles], float]], weights: NDArray[np.float64]
) -> _Interval:
    """Return the bootstrap interval of the mean AUC over performances, with the same judge."""
    aucs = [[auc(np.tile(row, 2)) for auc in aucs_at] for row in weights[:_N_RESAMPLED_AUCS]]
    return _interval(np.mean(aucs, axis=1))


def _accents(played: _Floats, real: _Floats) -> float:
    hits, velocities, _ = split_feel(real)
    _, own, _ = split_feel(played)
    found = []
    for is_hit, theirs, ours in zip(hits, velocities, own, strict=True):
        if is_hit.sum() >= _LEAST_HITS and theirs[is_hit].std() > 0:
            constant = np.ptp(ours[is_hit]) == 0
            found.append(0.0 if constant else np.corrcoef(theirs[is_hit], ours[is_hit])[0, 1])
    return float(np.mean(found)) if found else 0.0


_Doubles = NDArray[np.float64]
_Interval = list[float]
"""From, to."""

_N_RESAMPLES = 1000
_TAILS = (2.5, 97.5)


def _resampled(performances: NDArray[np.int64], seed: int, n: int = _N_RESAMPLES) -> _Doubles:
    """Resample whole performances with replacement.

    Windows of one performance are alike, so resampling windows would make intervals too narrow.

    Parameters
    ----------
    performances
        (N,) the performance of each window.
    seed, n
        Seed and number of the draws.

    Returns
    -------
    (n, N): how often each window occurs in each draw.

    Source: Davison and Hinkley 1997, section 3.8 (the cluster bootstrap).
    """
    names, places = np.unique(performances, return_inverse=True)
    shares = np.full(len(names), 1 / len(names))
    counts = np.random.default_rng(seed).multinomial(len(names), shares, size=n)
    return counts[:, places].astype(np.float64)


def _mean_interval(values: NDArray[np.floating], weights: _Doubles) -> _Interval:
    """Return the 95% interval of the mean of (N,) values, with the weights of `_resampled`."""
    return _interval(weights @ values / weights.sum(axis=1))


def _interval(draws: _Doubles) -> _Interval:
    """Return the central 95% interval of (n,) numbers."""
    low, high = np.percentile(draws, _TAILS)
    return [float(low), float(high)]


_N_PAIRS = 200
_CARRIED = ("swing", "laid_backness", "velocity_mean", "velocity_spread")
_BARS = 8

_Way = Callable[[Groove, Groove], Groove]
_Row = dict[str, Any]


def transfer_report(
    checkpoint: LabCheckpoint, dataset: Dataset, split: Split, seed: int
) -> list[_Row]:
    """Play the notes of one performance with the feel of another, in several ways.

    Returns
    -------
    A row for each method: its name and, for each attribute, the correlation over pairs between
    the result and the groove that gives the feel (`wanted`), and between the result and the
    groove that gives the notes (`own`).
    """
    windows = dataset.windows(split, _BARS)
    pairs = [
        (_groove(windows, feel), _groove(windows, notes)) for feel, notes in _pairs(windows, seed)
    ]
    rows = []
    for name, play in _ways(Lab(checkpoint), seed).items():
        measured = [
            tuple(map(measure, (play(feel, notes), feel, notes)))
            for feel, notes in pairs
            if feel.n_hits and notes.n_hits
        ]
        row: _Row = {"name": name, "wanted": {}, "own": {}}
        for attribute in _CARRIED:
            out, wanted, own = np.array([[one[attribute] for one in m] for m in measured]).T
            row["wanted"][attribute] = float(np.corrcoef(out, wanted)[0, 1])
            row["own"][attribute] = float(np.corrcoef(out, own)[0, 1])
        rows.append(row)
    return rows


def _ways(lab: Lab, seed: int) -> dict[str, _Way]:
    sampling = Sampling(seed=seed)

    def following(n_bars: int) -> _Way:
        def play(feel: Groove, groove: Groove) -> Groove:
            example = lab.example_from(feel)
            bars = example.features[:, : COMMON_TIME.steps_per_bar * n_bars]
            return lab.play_like(Example(example.z, bars), groove, sampling)

        return play

    return {
        "humanized, without the other groove": lambda _, groove: lab.humanize(
            groove, sampling=sampling
        ),
        "its code": following(0),
        "its code and two of its bars": following(2),
        "the same, means matched (as shipped)": lambda feel, groove: lab.transfer(
            feel, groove, sampling=sampling
        ),
        "humanized, means matched": lambda feel, groove: match_feel(
            lab.humanize(groove, sampling=sampling), feel
        ),
    }


def _pairs(windows: Windows, seed: int) -> NDArray[np.int64]:
    """Return pairs of windows of different performances, (n, 2)."""
    rng = np.random.default_rng(seed)
    pairs = rng.integers(0, len(windows), (20 * _N_PAIRS, 2))
    performances = windows.performance[pairs]
    return np.asarray(pairs[performances[:, 0] != performances[:, 1]][:_N_PAIRS])


def _groove(windows: Windows, index: int) -> Groove:
    return features_to_groove(windows.features[index], float(windows.tempos_bpm[index]))
