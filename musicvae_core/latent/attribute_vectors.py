"""Attribute vectors of a checkpoint: which way z moves to change one thing about a groove.

They lie beside the weights as `attribute_vectors.npz`, so that grooves can be steered without a
data set. Nothing in it is ever unpickled.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from musicvae_core.data.dataset import Dataset
from musicvae_core.data.files import DAMAGED, check_arrays, read_arrays, write_arrays
from musicvae_core.data.windows import Windows
from musicvae_core.errors import (
    SideFileError,
)
from musicvae_core.latent.atlas import MIN_CODES, Atlas, Performance, fit_principal, fit_tsne
from musicvae_core.latent.codes import encode_features
from musicvae_core.models.checkpoint import Checkpoint
from musicvae_core.music.attributes import beats_of
from musicvae_core.music.controls import controls_of, measure_controls

VECTORS_FILE = "attribute_vectors.npz"
_FORMAT = "musicvae_core attribute vectors"
_FORMAT_VERSION = 1
FILL = "fill"
"""The label that tells fills from beats; every other label is a style."""

_Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class AttributeVectors:
    """Directions in z for K attributes and L labels, fitted to the train split.

    Parameters
    ----------
    fingerprint
        `Checkpoint.fingerprint` of the model that they belong to.
    controls
        Names of the attributes, of `controls.CONTROLS`: those that vary in the train split.
    labels
        Styles, by their names in the data set, and `FILL`.
    deviations
        (K,): each attribute's standard deviation, in its own unit.
    lowest, highest
        (K,): what 2.5% of the windows lie below and above, in its own unit.
    plain
        (K, Z): mean z of the top quartile less that of the bottom quartile.
    corrected
        (K, Z): the likeliest change of z that raises one attribute by a standard deviation
        and no other, in a linear account of all of them together.
    metric
        (K, K): the squared Mahalanobis length of a sum of corrected vectors with weights w is
        w @ metric @ w, the covariance being that of the codes.
    styles
        (L, Z): mean z with the label less mean z without it.
    """

    fingerprint: str
    controls: tuple[str, ...]
    labels: tuple[str, ...]
    deviations: _Array
    lowest: _Array
    highest: _Array
    plain: _Array
    corrected: _Array
    metric: _Array
    styles: _Array

    @property
    def names(self) -> frozenset[str]:
        """The names of all that the model can be asked for, attributes and labels."""
        return frozenset((*self.controls, *self.labels))

    def styled(self, codes: NDArray[np.float32], amounts: Mapping[str, float]) -> _Array:
        """Return codes (..., Z) with so much of each label's vector added."""
        moves = [amount * self.styles[self.labels.index(name)] for name, amount in amounts.items()]
        return np.asarray(codes + np.sum(moves, axis=0), np.float64)


_ARRAYS = ("deviations", "lowest", "highest", "plain", "corrected", "metric", "styles")


def save_vectors(vectors: AttributeVectors, folder: Path) -> Path:
    """Write vectors into a checkpoint's folder, whole or not at all, and return their path."""
    about = {
        "format": _FORMAT,
        "format_version": _FORMAT_VERSION,
        "fingerprint": vectors.fingerprint,
        "controls": vectors.controls,
        "labels": vectors.labels,
    }
    arrays = {name: getattr(vectors, name).astype(np.float32) for name in _ARRAYS}
    target = Path(folder) / VECTORS_FILE
    write_arrays(target, about, arrays)
    return target


def load_vectors(folder: Path, fingerprint: str) -> AttributeVectors:
    """Load the vectors of a checkpoint's folder.

    Parameters
    ----------
    folder
        The checkpoint's.
    fingerprint
        `Checkpoint.fingerprint` of the model beside them.

    Raises
    ------
    SideFileError
        Each says which file is at fault and what to do.
    """
    path = Path(folder) / VECTORS_FILE
    remedy = f"python -m musicvae_core attribute-vectors {folder} --data PATH"
    if not path.is_file():
        raise SideFileError(f"There are no attribute vectors at {path}: fit them with {remedy}")
    try:
        about, arrays = read_arrays(path, _FORMAT)
        if about["format_version"] > _FORMAT_VERSION:
            raise SideFileError(
                f"{path} was written by a later version of this program; "
                f"update it, or fit the vectors again with {remedy}"
            )
        vectors = _assembled(about, arrays)
    except DAMAGED as error:
        raise SideFileError(
            f"{path} is damaged or cut short ({error}); fit the vectors again with {remedy}"
        ) from error
    if vectors.fingerprint != fingerprint:
        raise SideFileError(
            f"{path} was fitted to other weights than the model's; fit it again with {remedy}"
        )
    return vectors


def _assembled(about: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> AttributeVectors:
    """Return the vectors that the parts are; ValueError where they do not fit together."""
    n_controls, z_size = arrays["plain"].shape
    if len(about["controls"]) != n_controls:
        raise ValueError(f"it names {len(about['controls'])} attributes of {n_controls}")
    each = (n_controls,)
    shapes = {
        "deviations": each,
        "lowest": each,
        "highest": each,
        "plain": (n_controls, z_size),
        "corrected": (n_controls, z_size),
        "metric": (n_controls, n_controls),
        "styles": (len(about["labels"]), z_size),
    }
    check_arrays(arrays, shapes)
    return AttributeVectors(
        fingerprint=str(about["fingerprint"]),
        controls=tuple(about["controls"]),
        labels=tuple(about["labels"]),
        **{name: arrays[name].astype(np.float64) for name in _ARRAYS},
    )


_MIN_WINDOWS, _MIN_PERFORMANCES = 50, 3
"""What a label needs for a vector of its own."""

_MIN_CODES = 8
_RIDGE = 0.05
"""Added to the codes' covariance, as a share of its mean variance."""
_OVERLAP = 1e-3
"""Added to the attributes' own covariance, in variances: two that are nearly one stay apart."""
_TAIL = 0.025


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


def _label_vectors(windows: Windows, codes: _Array) -> Iterator[tuple[str, _Array]]:
    """Yield each label that is heard often enough, styles by how often, with its vector."""
    of_window = [windows.labels[index] for index in windows.performance]
    styles = np.array([label.style for label in of_window])
    named, counts = np.unique(styles, return_counts=True)
    masks = {str(named[at]): styles == named[at] for at in np.argsort(-counts, kind="stable")}
    masks[FILL] = np.array([label.beat_type == "fill" for label in of_window])
    for name, mask in masks.items():
        n_performances = len(np.unique(windows.performance[mask]))
        is_heard = mask.sum() >= _MIN_WINDOWS and n_performances >= _MIN_PERFORMANCES
        if name and is_heard and not mask.all():
            yield name, codes[mask].mean(axis=0) - codes[~mask].mean(axis=0)


_N_WINDOWS = 4096


def build_atlas(
    checkpoint: Checkpoint, dataset: Dataset, *, n: int = _N_WINDOWS, seed: int = 0
) -> Atlas:
    """Encode windows of the train split and lay them out.

    Parameters
    ----------
    checkpoint, dataset
        Whose space, of what music.
    n
        At least so many windows, or all there are: see `_spread`.
    seed
        Of the t-SNE map.

    Raises
    ------
    TooFewExamplesError
        If the train split has not windows enough for a map.
    """
    n_bars = checkpoint.config.n_bars
    windows = dataset.windows("train", n_bars, minimum=MIN_CODES)
    some = windows.take(_spread(windows.performance, n))
    codes = encode_features(checkpoint, some.features).astype(np.float16).astype(np.float32)
    present, performance = np.unique(some.performance, return_inverse=True)
    return Atlas(
        fingerprint=checkpoint.fingerprint(),
        n_bars=n_bars,
        codes=codes,
        performance=performance.astype(np.int64),
        start_bar=some.start_bar,
        performances=tuple(_performance(some, int(index)) for index in present),
        attributes=_attributes(some.features, checkpoint.config.has_feel),
        principal=fit_principal(codes),
        tsne=fit_tsne(codes, seed),
    )


def _spread(performance: NDArray[np.int64], n: int) -> NDArray[np.int64]:
    """Choose windows so that performances count alike, however long they are.

    Parameters
    ----------
    performance
        (N,): which performance each window is of; those of one stand together.
    n
        How many to choose, at least; all where there are not more.

    Returns
    -------
    Indices in order. Of each performance they are the same number, evenly spaced from its
    first window to its last, or all it has.
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


def _performance(windows: Windows, index: int) -> Performance:
    label = windows.labels[index]
    tempo_bpm = float(windows.tempos_bpm[windows.performance == index][0])
    return Performance(label.name, label.style, label.drummer, label.beat_type, tempo_bpm)


def _attributes(features: NDArray[np.float32], has_feel: bool) -> dict[str, NDArray[np.float32]]:
    """Return what can be told of what the model plays of the windows, by the controls' names."""
    names = controls_of(has_feel)
    table = measure_controls(beats_of(features), names).astype(np.float32)
    return dict(zip(names, table.T, strict=True))
