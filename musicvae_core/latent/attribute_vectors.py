"""Attribute vectors of a checkpoint: directions in z that change one attribute of a groove.

They are stored next to the weights as `attribute_vectors.npz`, so that steering needs no data
set. Nothing in that file is ever unpickled.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from musicvae_core.data.files import check_arrays, read_side_file, write_arrays

VECTORS_FILE = "attribute_vectors.npz"
_FORMAT = "musicvae_core attribute vectors"
_FORMAT_VERSION = 1
FILL = "fill"
"""The label that distinguishes fills from beats; every other label is a style."""

_Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class AttributeVectors:
    """Directions in z for K attributes and L labels, fitted to the train split.

    Parameters
    ----------
    fingerprint
        `Checkpoint.fingerprint` of the model that the vectors belong to.
    controls
        Names of the attributes, from `attributes.CONTROLS`: those that vary in the train split.
    labels
        Styles, by their names in the data set, and `FILL`.
    deviations
        (K,): each attribute's standard deviation, in its own unit.
    lowest, highest
        (K,): each attribute's 2.5% and 97.5% quantiles over the windows, in its own unit.
    plain
        (K, Z): mean z of the top quartile minus that of the bottom quartile.
    corrected
        (K, Z): the most likely change of z that raises one attribute by a standard deviation
        and leaves the others unchanged, in a linear model of all attributes.
    metric
        (K, K): w @ metric @ w is the squared Mahalanobis length, under the codes' covariance,
        of the sum of corrected vectors with weights w.
    styles
        (L, Z): mean z with the label minus mean z without it.
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
        """The names of everything the model can be steered by: attributes and labels."""
        return frozenset((*self.controls, *self.labels))

    def styled(self, codes: NDArray[np.float32], amounts: Mapping[str, float]) -> _Array:
        """Return codes (..., Z) with the given amount of each label's vector added."""
        moves = [amount * self.styles[self.labels.index(name)] for name, amount in amounts.items()]
        return np.asarray(codes + np.sum(moves, axis=0), np.float64)


_ARRAYS = ("deviations", "lowest", "highest", "plain", "corrected", "metric", "styles")


def save_vectors(vectors: AttributeVectors, folder: Path) -> Path:
    """Write vectors atomically into a checkpoint's folder, and return their path."""
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
        The checkpoint's folder.
    fingerprint
        `Checkpoint.fingerprint` of the model in that folder.

    Raises
    ------
    CheckpointError
        See `read_side_file`.
    """
    return read_side_file(
        Path(folder) / VECTORS_FILE,
        form=_FORMAT,
        version=_FORMAT_VERSION,
        fingerprint=fingerprint,
        assembled=_assembled,
        remedy=f"python -m musicvae_core attribute-vectors {folder} --data PATH",
    )


def _assembled(about: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> AttributeVectors:
    """Assemble the vectors from stored arrays; raise ValueError if they are inconsistent."""
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
