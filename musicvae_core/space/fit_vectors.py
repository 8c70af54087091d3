"""Fitting attribute vectors to the codes of the train split."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from musicvae_core.attributes import beats_of
from musicvae_core.checkpoint import Checkpoint
from musicvae_core.controls import controls_of, measure_controls
from musicvae_core.dataset import Dataset, Windows
from musicvae_core.latent import encode_features
from musicvae_core.space.attribute_vectors import FILL, AttributeVectors

MIN_WINDOWS, MIN_PERFORMANCES = 50, 3
"""What a label needs for a vector of its own."""

_MIN_CODES = 8
_RIDGE = 0.05
"""Added to the codes' covariance, as a share of its mean variance."""
_OVERLAP = 1e-3
"""Added to the attributes' own covariance, in variances: two that are nearly one stay apart."""
_TAIL = 0.025

Array = NDArray[np.float64]


def fit_vectors(checkpoint: Checkpoint, dataset: Dataset) -> AttributeVectors:
    """Fit plain and corrected vectors of every attribute, and one of every label.

    A plain vector is a difference of means, and moves whatever goes with its attribute. To
    correct it, all attributes a, in standard deviations, are first predicted together from
    z by ridge regression, a = W'(z - mean). Of all moves d that raise attribute k alone in
    that account, W'd = e_k, the vector is the one of least Mahalanobis length: with the
    codes' covariance C, d = C W (W' C W)^-1 e_k.

    Raises
    ------
    TooFewExamplesError
        If the train split has hardly any window of the model's length.

    Source: Roberts et al. 2018, section 5.3 (plain vectors, quartiles); the correction is
    generalised least squares.
    """
    config = checkpoint.config
    windows = dataset.windows("train", config.n_bars, minimum=_MIN_CODES)
    codes = encode_features(checkpoint, windows.features).astype(np.float64)
    names = np.array(controls_of(config.has_feel))
    table = measure_controls(beats_of(windows.features), tuple(names))
    varies = table.std(axis=0) > 0
    names, table = names[varies], table[:, varies]
    lowest, highest = np.quantile(table, [_TAIL, 1 - _TAIL], axis=0)
    corrected, metric = correct((table - table.mean(axis=0)) / table.std(axis=0), codes)
    labels = dict(_label_vectors(windows, codes))
    return AttributeVectors(
        fingerprint=checkpoint.fingerprint(),
        controls=tuple(str(name) for name in names),
        labels=tuple(labels),
        deviations=table.std(axis=0),
        lowest=lowest,
        highest=highest,
        plain=np.stack([quartile_difference(values, codes) for values in table.T]),
        corrected=corrected,
        metric=metric,
        styles=np.array([*labels.values()]).reshape(-1, config.z_size),
    )


def quartile_difference(values: Array, codes: Array) -> Array:
    """Return the mean code (Z,) of the top quartile of values less that of the bottom one.

    Values that tie with a quartile's bound count to it; where over three quarters tie, the
    others are laid against them.
    """
    low, high = np.quantile(values, [0.25, 0.75])
    if low < high:
        top, bottom = values >= high, values <= low
    elif (values > high).any():
        top, bottom = values > high, values <= high
    else:
        top, bottom = values >= low, values < low
    return np.asarray(codes[top].mean(axis=0) - codes[bottom].mean(axis=0))


def correct(attributes: Array, codes: Array) -> tuple[Array, Array]:
    """Return the corrected vectors (K, Z) of attributes (N, K), and their metric (K, K).

    The attributes are standardised; see `fit_vectors` and `AttributeVectors`.
    """
    centred = codes - codes.mean(axis=0)
    covariance = centred.T @ centred / len(codes)
    covariance += _RIDGE * np.trace(covariance) / len(covariance) * np.eye(len(covariance))
    weights = np.linalg.solve(covariance, centred.T @ attributes / len(codes))  # (Z, K)
    response = weights.T @ covariance @ weights  # (K, K)
    metric = np.linalg.inv(response + _OVERLAP * np.eye(len(response)))
    return metric @ (covariance @ weights).T, metric


def _label_vectors(windows: Windows, codes: Array) -> Iterator[tuple[str, Array]]:
    """Yield each label that is heard often enough, styles by how often, with its vector."""
    of_window = [windows.labels[index] for index in windows.performance]
    styles = np.array([label.style for label in of_window])
    named, counts = np.unique(styles, return_counts=True)
    masks = {str(named[at]): styles == named[at] for at in np.argsort(-counts, kind="stable")}
    masks[FILL] = np.array([label.beat_type == "fill" for label in of_window])
    for name, mask in masks.items():
        n_performances = len(np.unique(windows.performance[mask]))
        is_heard = mask.sum() >= MIN_WINDOWS and n_performances >= MIN_PERFORMANCES
        if name and is_heard and not mask.all():
            yield name, codes[mask].mean(axis=0) - codes[~mask].mean(axis=0)
