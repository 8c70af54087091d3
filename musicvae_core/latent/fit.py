"""Fitting a model's attribute vectors and atlas to the codes of the train split.

scikit-learn and openTSNE are imported where they are used: most commands do not need them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from musicvae_core.data.lines import LineWindows, Tune
from musicvae_core.data.windows import Label, Windows, WindowSource
from musicvae_core.errors import ConfigError
from musicvae_core.latent.atlas import Atlas, Performance, Principal, directions
from musicvae_core.latent.attribute_vectors import FILL, AttributeVectors
from musicvae_core.latent.codes import encode_features
from musicvae_core.models.checkpoint import Checkpoint
from musicvae_core.models.kinds import kind_of
from musicvae_core.music.forms import FORMS

_Array = NDArray[np.float64]

_MIN_WINDOWS, _MIN_PERFORMANCES = 50, 3
"""The least that a label needs to get a vector."""

_MIN_CODES = 8
_RIDGE = 0.05
"""Added to the codes' covariance, as a share of its mean variance."""
_OVERLAP = 1e-3
"""Added to the attributes' covariance, in units of variance, to separate near duplicates."""
_TAIL = 0.025
_MAX_FITTED = 20_000
"""Maximum number of windows, evenly spread: at most a gigabyte of melody features."""


def fit_vectors(checkpoint: Checkpoint, dataset: WindowSource[Any]) -> AttributeVectors:
    """Fit a plain and a corrected vector for every attribute, and one vector for every label.

    A plain vector is a difference of means, and also moves everything correlated with its
    attribute. To correct it, all attributes a, in standard deviations, are first predicted
    jointly from z by ridge regression, a = W'(z - mean). Of all moves d that raise only
    attribute k in that model, W'd = e_k, the corrected vector is the one with the least
    Mahalanobis length: with the codes' covariance C, d = C W (W' C W)^-1 e_k.

    Raises
    ------
    TooFewExamplesError
        If the train split has too few windows of the model's length.
    ConfigError
        If the model's form of music has no attributes to steer by.

    Source: Roberts et al. 2018, section 5.3 (plain vectors, quartiles); the correction is
    generalised least squares.
    """
    config = checkpoint.config
    kind = kind_of(config)
    form = FORMS[kind.plays]
    if not form.controls:
        raise ConfigError(f"A model of {form.nouns} has no attributes to steer by.")
    windows = dataset.windows("train", config.n_bars, minimum=_MIN_CODES)
    if len(windows) > _MAX_FITTED:
        windows = windows.take(np.linspace(0, len(windows) - 1, _MAX_FITTED))
    features = windows.features[:]
    codes = encode_features(checkpoint, features).astype(np.float64)
    attributes = kind.attributes(features, config)
    names = np.array([name for name in form.controls if name in attributes])
    table = np.stack([attributes[name] for name in names], axis=1)
    varies = table.std(axis=0) > 0
    names, table = names[varies], table[:, varies]
    lowest, highest = np.quantile(table, [_TAIL, 1 - _TAIL], axis=0)
    corrected, metric = _correct((table - table.mean(axis=0)) / table.std(axis=0), codes)
    labels = dict(_label_vectors(windows, codes))
    return AttributeVectors(
        fingerprint=checkpoint.fingerprint(),
        controls=tuple(str(name) for name in names),
        labels=tuple(labels),
        deviations=table.std(axis=0),
        lowest=lowest,
        highest=highest,
        plain=np.stack([_quartile_difference(values, codes) for values in table.T]),
        corrected=corrected,
        metric=metric,
        styles=np.array([*labels.values()]).reshape(-1, config.z_size),
    )


def _quartile_difference(values: _Array, codes: _Array) -> _Array:
    """Return the mean code (Z,) of the top quartile of values minus that of the bottom quartile.

    Values equal to a quartile's bound belong to it. If more than three quarters of the values
    are equal, they are compared with the rest.
    """
    low, high = np.quantile(values, [0.25, 0.75])
    if low < high:
        top, bottom = values >= high, values <= low
    elif (values > high).any():
        top, bottom = values > high, values <= high
    else:
        top, bottom = values >= low, values < low
    return np.asarray(codes[top].mean(axis=0) - codes[bottom].mean(axis=0))


def _correct(attributes: _Array, codes: _Array) -> tuple[_Array, _Array]:
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


def _label_vectors(windows: Windows | LineWindows, codes: _Array) -> Iterator[tuple[str, _Array]]:
    """Yield each label that is frequent enough with its vector, the most common styles first."""
    known = [_performance(label, 0.0) for label in windows.labels]
    of_window = [known[index] for index in windows.performance]
    styles = np.array([label.style for label in of_window])
    named, counts = np.unique(styles, return_counts=True)
    masks = {str(named[at]): styles == named[at] for at in np.argsort(-counts, kind="stable")}
    masks[FILL] = np.array([label.beat_type == "fill" for label in of_window])
    for name, mask in masks.items():
        n_performances = len(np.unique(windows.performance[mask]))
        is_frequent = mask.sum() >= _MIN_WINDOWS and n_performances >= _MIN_PERFORMANCES
        if name and is_frequent and not mask.all():
            yield name, codes[mask].mean(axis=0) - codes[~mask].mean(axis=0)


_N_WINDOWS = 4096
_MIN_MAP_CODES = 30
"""Minimum number of codes for a map."""
_PERPLEXITY = 50.0


def build_atlas(
    checkpoint: Checkpoint, dataset: WindowSource[Any], *, n: int = _N_WINDOWS, seed: int = 0
) -> Atlas:
    """Encode windows of the train split and lay them out on maps.

    Parameters
    ----------
    checkpoint, dataset
        The model, and the music to encode.
    n
        At least this many windows, or all if there are fewer; see `_spread`.
    seed
        Seed of the t-SNE map.

    Raises
    ------
    TooFewExamplesError
        If the train split has too few windows for a map.
    """
    n_bars = checkpoint.config.n_bars
    windows = dataset.windows("train", n_bars, minimum=_MIN_MAP_CODES)
    some = windows.take(_spread(windows.performance, n))
    features = some.features[:]
    codes = encode_features(checkpoint, features).astype(np.float16).astype(np.float32)
    attributes = kind_of(checkpoint.config).attributes(features, checkpoint.config)
    present, performance = np.unique(some.performance, return_inverse=True)
    return Atlas(
        fingerprint=checkpoint.fingerprint(),
        n_bars=n_bars,
        codes=codes,
        performance=performance.astype(np.int64),
        start_bar=some.start_bar,
        performances=tuple(
            _performance(some.labels[at], float(some.tempos_bpm[some.performance == at][0]))
            for at in present
        ),
        attributes={name: values.astype(np.float32) for name, values in attributes.items()},
        principal=_fit_principal(codes),
        tsne=_fit_tsne(codes, seed),
    )


def _spread(performance: NDArray[np.int64], n: int) -> NDArray[np.int64]:
    """Choose windows so that performances are represented equally, whatever their length.

    Parameters
    ----------
    performance
        (N,): the performance each window comes from; windows of a performance are adjacent.
    n
        Minimum number of windows to choose; all of them if there are fewer.

    Returns
    -------
    Indices in order: from each performance the same number of windows, evenly spaced from its
    first to its last, or all it has.
    """
    _, firsts, counts = np.unique(performance, return_index=True, return_counts=True)
    each = 1
    while np.minimum(counts, each).sum() < min(n, len(performance)):
        each += 1
    return np.concatenate(
        [
            first + np.rint(np.linspace(0, count - 1, min(count, each))).astype(np.int64)
            for first, count in zip(firsts, counts, strict=True)
        ]
    )


def _performance(label: Label | Tune, tempo_bpm: float) -> Performance:
    if isinstance(label, Tune):
        return Performance(label.title or label.name, label.collection, "", "", tempo_bpm)
    return Performance(label.name, label.style, label.drummer, label.beat_type, tempo_bpm)


def _fit_principal(codes: NDArray[np.float32]) -> Principal:
    """Find the principal components of codes (N, Z), N and Z at least 3."""
    from sklearn.decomposition import PCA

    fitted = PCA(Principal.N_COMPONENTS, svd_solver="full").fit(codes)
    arrays = (fitted.mean_, fitted.components_, fitted.explained_variance_ratio_)
    return Principal(*(np.asarray(array, np.float32) for array in arrays))


def _fit_tsne(codes: NDArray[np.float32], seed: int = 0) -> NDArray[np.float32]:
    """Embed codes (N, Z) in the plane so that neighbours stay neighbours: (N, 2) float32.

    Parameters
    ----------
    codes
        At least `_MIN_MAP_CODES`.
    seed
        The same seed gives the same map. The layout starts from the principal components.

    Source: van der Maaten and Hinton 2008; start: Kobak and Berens 2019; openTSNE: Poličar,
    Stražar and Zupan 2024.
    """
    from openTSNE import TSNE
    from openTSNE.affinity import PerplexityBasedNN
    from openTSNE.initialization import pca

    points = directions(codes)
    perplexity = min(_PERPLEXITY, (len(points) - 1) / 3)
    affinities = PerplexityBasedNN(points, perplexity, method="exact", random_state=seed)
    start = pca(points, random_state=seed)
    fitted = TSNE(perplexity=perplexity, random_state=seed).fit(
        affinities=affinities, initialization=start
    )
    positions = np.asarray(fitted, np.float64)
    centred = positions - (positions.max(axis=0) + positions.min(axis=0)) / 2
    return np.asarray(centred, np.float32)
