"""Maps of a latent space: principal components, and t-SNE on which new codes find a place.

Distances between codes are those of their directions, for which the angle stands: on the
validation split of `groove_2bar` the nearest codes by angle share more hits with a window than
the nearest in a straight line (Jaccard .479 against .459), and more often its style (.62
against .58). It is also along directions that `latent.slerp` moves.

scikit-learn and openTSNE are imported when first needed: a page that only draws a map does
without them.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Codes = NDArray[np.float32]
Positions = NDArray[np.float32]

N_COMPONENTS = 3
MIN_CODES = 30
"""Fewer codes make no map."""

_PERPLEXITY = 50.0
_PLACING_PERPLEXITY = 5.0
"""The default of openTSNE's `transform`: a new code has its own few neighbours in view."""


@dataclass(frozen=True, eq=False)
class Principal:
    """The directions along which codes vary most.

    Parameters
    ----------
    mean
        (Z,) float32, of the codes.
    components
        (3, Z) float32, orthonormal, the first varying most.
    explained
        (3,) float32, each one's share of the variance of the codes, 0 to 1.
    """

    mean: NDArray[np.float32]
    components: NDArray[np.float32]
    explained: NDArray[np.float32]

    def place(self, codes: Codes) -> Positions:
        """Return where codes (n, Z) lie on the components, (n, 3) float32."""
        return np.asarray((codes - self.mean) @ self.components.T, np.float32)


def fit_principal(codes: Codes) -> Principal:
    """Find the principal components of codes (N, Z), N and Z at least 3."""
    from sklearn.decomposition import PCA

    fitted = PCA(N_COMPONENTS, svd_solver="full").fit(codes)
    arrays = (fitted.mean_, fitted.components_, fitted.explained_variance_ratio_)
    return Principal(*(np.asarray(array, np.float32) for array in arrays))


def directions(codes: Codes) -> Codes:
    """Return codes (n, Z) at length 1; a code of zeros stays."""
    lengths = np.linalg.norm(codes, axis=-1, keepdims=True)
    return np.asarray(codes / np.where(lengths > 0, lengths, 1), np.float32)


def mean_code(codes: Codes) -> Codes:
    """Return the middle of codes (n, Z), n at least 1: their mean direction at their mean length.

    The plain mean of different grooves is much shorter than any of them, and plays up to a
    tenth fewer notes than they do; this one has as many, and shares as many hits with them.
    """
    middle = directions(directions(codes).mean(axis=0))
    return np.asarray(middle * np.linalg.norm(codes, axis=1).mean(), np.float32)


def nearest(codes: Codes, code: Codes, n: int) -> NDArray[np.int64]:
    """Return the indices of the n codes of (N, Z) at the smallest angles to a code (Z,)."""
    cosines = directions(codes) @ directions(code)
    n = min(n, len(codes))
    some = np.argpartition(-cosines, n - 1)[:n]
    return np.asarray(some[np.argsort(-cosines[some], kind="stable")], np.int64)


def fit_tsne(codes: Codes, seed: int = 0) -> Positions:
    """Lay codes (N, Z) out in the plane so that neighbours stay neighbours: (N, 2) float32.

    Parameters
    ----------
    codes
        At least `MIN_CODES`.
    seed
        The start is that of the principal components, and the same seed gives the same map.

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


class TsneMap:
    """A fitted t-SNE map that takes new codes; safe to use from many threads.

    A new code starts at the place of its nearest neighbour and is then moved by gradient
    descent, the codes of the map fixed, towards its own neighbours and away from all others.
    openTSNE's usual start, the median of 25 neighbours, leaves one code in twenty between
    groups that its neighbours are spread over.

    Parameters
    ----------
    codes
        (N, Z) float32, those the map was fitted to.
    positions
        (N, 2) float32, of `fit_tsne`.

    Source: Poličar, Stražar and Zupan 2023, "Embedding to reference t-SNE space".
    """

    def __init__(self, codes: Codes, positions: Positions) -> None:
        self._codes = codes
        self._positions = positions
        self._fitted: Any = None
        self._lock = threading.Lock()

    def place(self, codes: Codes) -> Positions:
        """Return where new codes (n, Z) lie on the map, (n, 2) float32, each by itself."""
        if not len(codes):
            return np.zeros((0, 2), np.float32)
        self.prepare()
        with self._lock:
            placed = self._fitted.transform(directions(codes), _PLACING_PERPLEXITY, k=1)
        return np.asarray(placed, np.float32)

    def prepare(self) -> None:
        """Get ready to place codes; that takes a second or two, once."""
        with self._lock:
            if self._fitted is None:
                self._fitted = self._embedding()

    def _embedding(self) -> Any:
        """Return openTSNE's embedding at the stored positions, without fitting it again."""
        from openTSNE import TSNEEmbedding
        from openTSNE.affinity import PerplexityBasedNN

        affinities = PerplexityBasedNN(
            directions(self._codes), _PLACING_PERPLEXITY, method="exact", random_state=0
        )
        start = self._positions.astype(np.float64)
        return TSNEEmbedding(start, affinities, negative_gradient_method="fft", random_state=0)
