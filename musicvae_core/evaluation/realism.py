"""How real samples sound, compared with real drummers' windows by features and by a judge."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedGroupKFold

from musicvae_core.errors import TooFewExamplesError
from musicvae_core.music.attributes import ATTRIBUTES, beats_of
from musicvae_core.music.drums import N_VOICES
from musicvae_core.music.grid import COMMON_TIME, Grid

_Features = NDArray[np.float32]

_N_FOLDS = 5
_MIN_PERFORMANCES = 50
_JUDGE = {
    "max_iter": 100,
    "learning_rate": 0.15,
    "max_leaf_nodes": 15,
    "max_features": 0.3,
    "max_bins": 63,
}


class _Verdict(NamedTuple):
    """The judge's scores of samples and real windows, all held out.

    labels: (N + M,) 0 for a sample, 1 for a real window. scores: (N + M,) how real each seems.
    """

    labels: NDArray[np.int64]
    scores: NDArray[np.float64]

    def auc(self, weights: NDArray[np.float64] | None = None) -> float:
        """Return the area under the ROC curve; windows may be weighted."""
        return float(roc_auc_score(self.labels, self.scores, sample_weight=weights))


def attribute_table(
    features: _Features, grid: Grid = COMMON_TIME
) -> dict[str, NDArray[np.float64]]:
    """Return every attribute of every window, (N,) each."""
    beats = beats_of(features, grid)
    return {name: attribute(beats) for name, attribute in ATTRIBUTES.items()}


def feature_gaps(
    generated: _Features, real: _Features, grid: Grid = COMMON_TIME
) -> dict[str, dict[str, float]]:
    """Compare the means of each drum attribute; see `gaps_between`."""
    return gaps_between(attribute_table(generated, grid), attribute_table(real, grid))


def gaps_between(
    ours: Mapping[str, NDArray[np.float64]], theirs: Mapping[str, NDArray[np.float64]]
) -> dict[str, dict[str, float]]:
    """Compare the means of each attribute, given (N,) and (M,) values by name.

    Returns
    -------
    For each attribute, the means `generated` and `real`, and `gap`, their difference in
    standard deviations of the real windows.
    """
    gaps = {}
    for name, values in theirs.items():
        deviation = values.std()
        difference = ours[name].mean() - values.mean()
        gaps[name] = {
            "generated": float(ours[name].mean()),
            "real": float(values.mean()),
            "gap": float(difference / deviation) if deviation > 0 else 0.0,
        }
    return gaps


def judge_auc(
    generated: _Features,
    real: _Features,
    performances: NDArray[np.int64],
    seed: int = 0,
    imitated: NDArray[np.int64] | None = None,
    grid: Grid = COMMON_TIME,
) -> float:
    """Return how well gradient-boosted trees tell samples from real windows; see `judge`.

    Returns
    -------
    Area under the ROC curve of the held-out scores; 0.5 is chance level.
    """
    return judge(generated, real, performances, seed, imitated, grid).auc()


def judge(
    generated: _Features,
    real: _Features,
    performances: NDArray[np.int64],
    seed: int = 0,
    imitated: NDArray[np.int64] | None = None,
    grid: Grid = COMMON_TIME,
) -> _Verdict:
    """Train gradient-boosted trees to tell drum samples from real windows; see `judge_tables`.

    The judge sees every attribute, and every cell of the first bar and of the bar halfway
    through. With two bars, that is every cell.

    Parameters
    ----------
    generated, real
        (N, T, F) and (M, T, F) with the same F, 9 or 27.
    performances, seed, imitated
        See `judge_tables`.
    grid
        How the steps divide time.
    """
    tables = _judge_view(generated, grid), _judge_view(real, grid)
    return judge_tables(*tables, performances, seed, imitated)


def judge_tables(
    generated: NDArray[np.floating],
    real: NDArray[np.floating],
    performances: NDArray[np.int64],
    seed: int = 0,
    imitated: NDArray[np.int64] | None = None,
) -> _Verdict:
    """Train gradient-boosted trees to tell samples from real windows.

    Scores come from cross-validation, in which each performance belongs to a single fold.

    Parameters
    ----------
    generated, real
        (N, A) and (M, A): the attributes of each window.
    performances
        (M,) the performance of each real window.
    seed
        Seed of the folds and the trees.
    imitated
        (N,) the performance nearest to each sample; the two are then kept in the same fold.
        Without this, a sample can pass for real because the trees were fitted to the
        performance it resembles. Ignored with fewer than `_MIN_PERFORMANCES` performances.

    Raises
    ------
    TooFewExamplesError
        If there are too few windows or performances to hold some out.
    """
    n_performances = len(np.unique(performances))
    if min(len(generated), len(real)) < _N_FOLDS or n_performances < 2:
        raise TooFewExamplesError(
            f"There are {len(generated)} samples and {len(real)} real windows, of "
            f"{n_performances} performances, to judge by; at least {_N_FOLDS} of each, of 2 "
            "performances, are needed: raise the limit or add data."
        )
    table = np.concatenate([generated, real])
    labels = np.repeat([0, 1], [len(generated), len(real)])
    if imitated is None or n_performances < _MIN_PERFORMANCES:
        imitated = performances.max(initial=0) + 1 + np.arange(len(generated))
    groups = np.concatenate([imitated, performances])
    scores = np.zeros(len(labels))
    folds = StratifiedGroupKFold(_N_FOLDS, shuffle=True, random_state=seed)
    for fitted, held_out in folds.split(table, labels, groups):
        trees = HistGradientBoostingClassifier(**_JUDGE, random_state=seed)
        trees.fit(table[fitted], labels[fitted])
        scores[held_out] = trees.predict_proba(table[held_out])[:, 1]
    return _Verdict(labels, scores)


def _judge_view(features: _Features, grid: Grid = COMMON_TIME) -> NDArray[np.float32]:
    """Return the judge's inputs for windows (N, T, F): cells first, then attributes."""
    attributes = np.stack(list(attribute_table(features, grid).values()), axis=1)
    bars = features.reshape(len(features), -1, grid.steps_per_bar, features.shape[-1])
    cells = bars[:, :: max(1, bars.shape[1] // 2)].reshape(len(features), -1)
    return np.concatenate([cells, attributes], axis=1).astype(np.float32)


def nearest_windows(
    features: _Features, source: _Features
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return each window's nearest source window, (N,), and how many cells differ, (N,).

    If samples lie much nearer to the train split than unseen music does, the model has memorised
    it.
    """
    ours, theirs = (
        (windows[..., :N_VOICES] > 0.5).reshape(len(windows), -1).astype(np.float32)
        for windows in (features, source)
    )
    different = ours.sum(1, keepdims=True) + theirs.sum(1) - 2 * ours @ theirs.T
    return different.argmin(axis=1), np.asarray(different.min(axis=1), np.int64)
