"""What z knows of style: a linear probe, and the vote of neighbours on the map."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import StandardScaler

from musicvae_core.checkpoint import Checkpoint
from musicvae_core.dataset import Dataset, Split
from musicvae_core.errors import TooFewExamplesError
from musicvae_core.latent import Codes, encode_features
from musicvae_core.space.atlas import Atlas
from musicvae_core.space.projection import directions

Array = NDArray[np.float64]
Names = NDArray[np.str_]
Scores = Callable[[Codes], Array]
"""Gives a score of each style for codes (n, Z): (n, styles)."""

PENALTIES = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
"""Inverse strengths of the probe's penalty that the validation split chooses from."""
NEIGHBOURS = (1, 5, 15, 30, 60)
"""Numbers of neighbours that it chooses from."""
_MAX_STEPS = 500


def probe_style(checkpoint: Checkpoint, dataset: Dataset, atlas: Atlas) -> dict[str, Any]:
    """Predict the style of held-out windows from their codes.

    Parameters
    ----------
    checkpoint
        Encodes the windows.
    dataset
        Its splits keep performances whole. What is to be chosen is chosen on the validation
        split, and everything is reported on the test split.
    atlas
        Whose points vote.

    Returns
    -------
    `n_windows` and `n_performances` of the test split, `n_styles` of the train split, and for
    `majority` (the style that the train split has most windows of, said always), `linear`,
    `map` (neighbours on the t-SNE map) and `space` (neighbours by angle between codes):
    `accuracy` over windows, `balanced`, the mean over styles of the share that is found, and
    `by_performance`, the accuracy where the windows of one are scored together; with `style`,
    and `penalty` or `neighbours`, what the validation split chose.

    Raises
    ------
    TooFewExamplesError
        If the train split has not two styles.

    Source: linear probes: Alain and Bengio 2016.
    """
    train, validation, test = (
        _labelled(checkpoint, dataset, split) for split in ("train", "validation", "test")
    )
    names, counts = np.unique(train.styles, return_counts=True)
    if len(names) < 2:
        raise TooFewExamplesError(
            "The train split is not of two styles or more; give a data set whose info.csv has them."
        )
    majority = str(names[counts.argmax()])
    always = np.tile((names == majority).astype(np.float64), (len(test.styles), 1))
    points = np.array([atlas.performance_of(point).style for point in range(len(atlas))])

    def linear(penalty: float) -> Scores:
        return _linear(train, penalty)

    def on_map(n: int) -> Scores:
        return _voters(names, points, atlas.tsne, n, atlas.tsne_map.place)

    def in_space(n: int) -> Scores:
        return _voters(names, points, directions(atlas.codes), n, directions)

    return {
        "n_windows": len(test.styles),
        "n_performances": len(np.unique(test.performances)),
        "n_styles": len(names),
        "majority": _report(names, always, test) | {"style": majority},
        "linear": _best(linear, PENALTIES, "penalty", names, validation, test),
        "map": _best(on_map, NEIGHBOURS, "neighbours", names, validation, test),
        "space": _best(in_space, NEIGHBOURS, "neighbours", names, validation, test),
    }


class _Labelled(NamedTuple):
    """A split: codes (N, Z), the style of each, and which performance it is of."""

    codes: Codes
    styles: Names
    performances: NDArray[np.int64]


def _labelled(checkpoint: Checkpoint, dataset: Dataset, split: Split) -> _Labelled:
    windows = dataset.windows(split, checkpoint.config.n_bars)
    styles = np.array([label.style for label in windows.labels])[windows.performance]
    return _Labelled(encode_features(checkpoint, windows.features), styles, windows.performance)


def _best(
    make: Callable[[Any], Scores],
    choices: Sequence[float],
    called: str,
    names: Names,
    validation: _Labelled,
    test: _Labelled,
) -> dict[str, Any]:
    """Make the scores that find most on the validation split, and report on the test split."""
    scorers = {choice: make(choice) for choice in choices}
    found = {
        choice: _accuracy(names, scores(validation.codes), validation.styles)
        for choice, scores in scorers.items()
    }
    chosen = max(choices, key=found.__getitem__)
    return _report(names, scorers[chosen](test.codes), test) | {called: chosen}


def _linear(train: _Labelled, penalty: float) -> Scores:
    """Fit a logistic regression on standardised codes; its columns are the sorted styles."""
    scaler = StandardScaler().fit(train.codes)
    model = LogisticRegression(C=penalty, max_iter=_MAX_STEPS)
    model.fit(scaler.transform(train.codes), train.styles)
    return lambda unseen: np.asarray(model.predict_proba(scaler.transform(unseen)))


def _voters(
    names: Names,
    styles: Names,
    points: NDArray[np.float32],
    n: int,
    place: Callable[[Codes], NDArray[np.float32]],
) -> Scores:
    """Return the shares of the styles among the n points nearest to where codes are placed."""
    index = NearestNeighbors(n_neighbors=min(n, len(points))).fit(points)
    votes = (styles[:, None] == names).astype(np.float64)  # (points, styles)
    return lambda unseen: np.asarray(
        votes[index.kneighbors(place(unseen), return_distance=False)].mean(axis=1)
    )


def _accuracy(names: Names, scores: Array, styles: Names) -> float:
    return float((names[scores.argmax(axis=1)] == styles).mean())


def _report(names: Names, scores: Array, test: _Labelled) -> dict[str, float]:
    styles = test.styles
    found = names[scores.argmax(axis=1)] == styles
    _, firsts, group = np.unique(test.performances, return_index=True, return_inverse=True)
    together = np.zeros((len(firsts), len(names)))
    np.add.at(together, group, scores)
    return {
        "accuracy": float(found.mean()),
        "balanced": float(np.mean([found[styles == style].mean() for style in np.unique(styles)])),
        "by_performance": _accuracy(names, together, styles[firsts]),
    }
