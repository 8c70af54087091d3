"""The atlas of a checkpoint: codes of real windows with labels, and the maps that place them.

The maps are principal components, and t-SNE on which new codes find a place. Codes are compared
by the angle between their directions: on the validation split of `groove_2bar` the nearest codes
by angle share more hits with a window than the nearest in a straight line (Jaccard .479 against
.459), and more often its style (.62 against .58). `latent.slerp` moves along directions too.

openTSNE is imported when first needed: a page that only draws a map does without it.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from musicvae_core.data.files import check_arrays, read_side_file, write_arrays

_Codes = NDArray[np.float32]
_Positions = NDArray[np.float32]

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

    N_COMPONENTS: ClassVar[int] = 3

    mean: NDArray[np.float32]
    components: NDArray[np.float32]
    explained: NDArray[np.float32]

    def place(self, codes: _Codes) -> _Positions:
        """Return where codes (n, Z) lie on the components, (n, 3) float32."""
        return np.asarray((codes - self.mean) @ self.components.T, np.float32)


def directions(codes: _Codes) -> _Codes:
    """Return codes (n, Z) at length 1; a code of zeros stays."""
    lengths = np.linalg.norm(codes, axis=-1, keepdims=True)
    return np.asarray(codes / np.where(lengths > 0, lengths, 1), np.float32)


def mean_code(codes: _Codes) -> _Codes:
    """Return the middle of codes (n, Z), n at least 1: their mean direction at their mean length.

    The plain mean of different grooves is much shorter than any of them, and plays up to a
    tenth fewer notes than they do; this one has as many, and shares as many hits with them.
    """
    middle = directions(directions(codes).mean(axis=0))
    return np.asarray(middle * np.linalg.norm(codes, axis=1).mean(), np.float32)


def nearest(codes: _Codes, code: _Codes, n: int) -> NDArray[np.int64]:
    """Return the indices of the n codes of (N, Z) at the smallest angles to a code (Z,)."""
    cosines = directions(codes) @ directions(code)
    n = min(n, len(codes))
    some = np.argpartition(-cosines, n - 1)[:n]
    return np.asarray(some[np.argsort(-cosines[some], kind="stable")], np.int64)


class _TsneMap:
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
        (N, 2) float32, of a fit, see `latent.fit`.

    Source: Poličar, Stražar and Zupan 2023, "Embedding to reference t-SNE space".
    """

    def __init__(self, codes: _Codes, positions: _Positions) -> None:
        self._codes = codes
        self._positions = positions
        self._fitted: Any = None
        self._lock = threading.Lock()

    def place(self, codes: _Codes) -> _Positions:
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


ATLAS_FILE = "atlas.npz"
_FORMAT = "musicvae_core atlas"
_FORMAT_VERSION = 2
"""Raised when older code cannot read what is written: 2 has codes in 8 bits."""

_TINY = np.float32(1e-12)
_DENSITIES = ("step_density", "note_density", "melody_note_density")
"""The attribute of drums, of a line and of a band that tells how busy they are."""


@dataclass(frozen=True)
class Performance:
    """What is known of a performance; beat_type is `beat`, `fill` or empty.

    Of a tune, `style` is the collection that it is from.
    """

    name: str
    style: str
    drummer: str
    beat_type: str
    tempo_bpm: float


@dataclass(frozen=True, eq=False)
class Atlas:
    """Windows of the train split as points.

    Parameters
    ----------
    fingerprint
        `Checkpoint.fingerprint` of the model that the codes belong to.
    n_bars
        Length of a window.
    codes
        (N, Z) float32: posterior means, rounded to 8 bits with a scale a dimension once saved.
    performance
        (N,) int64: the index in `performances` of the one each was cut from.
    start_bar
        (N,) int64: the bar each begins at, counted from 0.
    performances
        Those that have a window here.
    attributes
        By the names of `attributes.CONTROLS`, (N,) float32 each, in their own units.
    principal
        The principal components of the codes.
    tsne
        (N, 2) float32: where each lies on the t-SNE map.
    """

    fingerprint: str
    n_bars: int
    codes: NDArray[np.float32]
    performance: NDArray[np.int64]
    start_bar: NDArray[np.int64]
    performances: tuple[Performance, ...]
    attributes: Mapping[str, NDArray[np.float32]]
    principal: Principal
    tsne: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.codes)

    def performance_of(self, point: int) -> Performance:
        """Return the performance that a point was cut from."""
        return self.performances[int(self.performance[point])]

    @cached_property
    def styles(self) -> tuple[str, ...]:
        """The styles of the windows, those with the most windows first."""
        counts = Counter(self._styles.tolist())
        return tuple(style for style, _ in counts.most_common())

    def windows_of(self, style: str) -> NDArray[np.int64]:
        """Return the indices of the windows of a style."""
        return np.flatnonzero(self._styles == style)

    @property
    def density(self) -> NDArray[np.float32]:
        """How many notes each window has for its length, (N,): struck steps, of lines notes."""
        return next(self.attributes[name] for name in _DENSITIES if name in self.attributes)

    @cached_property
    def _styles(self) -> NDArray[np.str_]:
        names = [performance.style for performance in self.performances]
        return np.asarray(names, np.str_)[self.performance]

    @cached_property
    def tsne_map(self) -> _TsneMap:
        """The t-SNE map, to place new codes on."""
        return _TsneMap(self.codes, self.tsne)


def _pack_codes(codes: NDArray[np.float32]) -> dict[str, NDArray[Any]]:
    """Return codes (N, Z) as they are stored, in 8 bits with a scale a dimension.

    The error is 1% of the codes' own size; 99 of 100 codes of the shipped maps keep the same
    nearest neighbour as in 16 bits.
    """
    scale = np.maximum(np.abs(codes).max(axis=0), _TINY) / np.float32(127)  # (Z,)
    return {"codes": np.rint(codes / scale).astype(np.int8), "scale": scale}


def _unpack_codes(arrays: Mapping[str, NDArray[Any]]) -> NDArray[np.float32]:
    """Undo `_pack_codes`."""
    codes = arrays["codes"].astype(np.float32)
    return codes * arrays["scale"] if "scale" in arrays else codes


def save_atlas(atlas: Atlas, folder: Path) -> Path:
    """Write an atlas into a checkpoint's folder, whole or not at all, and return its path."""
    about = {
        "format": _FORMAT,
        "format_version": _FORMAT_VERSION,
        "fingerprint": atlas.fingerprint,
        "n_bars": atlas.n_bars,
        "performances": [asdict(performance) for performance in atlas.performances],
        "attributes": list(atlas.attributes),
    }
    table = np.stack([*atlas.attributes.values()], axis=1) if atlas.attributes else ()
    arrays = _pack_codes(atlas.codes) | {
        "performance": atlas.performance.astype(np.int32),
        "start_bar": atlas.start_bar.astype(np.int32),
        "attributes": np.asarray(table, np.float16).reshape(len(atlas), len(atlas.attributes)),
        "mean": atlas.principal.mean,
        "components": atlas.principal.components,
        "explained": atlas.principal.explained,
        "tsne": atlas.tsne,
    }
    target = Path(folder) / ATLAS_FILE
    write_arrays(target, about, arrays)
    return target


def load_atlas(folder: Path, fingerprint: str) -> Atlas:
    """Load the atlas of a checkpoint's folder.

    Parameters
    ----------
    folder
        The checkpoint's.
    fingerprint
        `Checkpoint.fingerprint` of the model beside it.

    Raises
    ------
    CheckpointError
        As `read_side_file`.
    """
    return read_side_file(
        Path(folder) / ATLAS_FILE,
        form=_FORMAT,
        version=_FORMAT_VERSION,
        fingerprint=fingerprint,
        assembled=_assembled,
        remedy=f"python -m musicvae_core atlas {folder} --data PATH",
    )


def _assembled(about: dict[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Atlas:
    """Return the atlas that the parts are; ValueError where they do not fit together."""
    codes = _unpack_codes(arrays)
    n, z_size = codes.shape
    names = about["attributes"]
    shapes = {
        "codes": (n, z_size),
        "performance": (n,),
        "start_bar": (n,),
        "attributes": (n, len(names)),
        "mean": (z_size,),
        "components": (Principal.N_COMPONENTS, z_size),
        "explained": (Principal.N_COMPONENTS,),
        "tsne": (n, 2),
    }
    check_arrays({**arrays, "codes": codes}, shapes)
    performances = tuple(Performance(**row) for row in about["performances"])
    performance = arrays["performance"].astype(np.int64)
    if n and not 0 <= performance.min() <= performance.max() < len(performances):
        raise ValueError("a point has no performance")
    table = arrays["attributes"].astype(np.float32)
    return Atlas(
        fingerprint=str(about["fingerprint"]),
        n_bars=int(about["n_bars"]),
        codes=codes,
        performance=performance,
        start_bar=arrays["start_bar"].astype(np.int64),
        performances=performances,
        attributes=dict(zip(names, table.T, strict=True)),
        principal=Principal(arrays["mean"], arrays["components"], arrays["explained"]),
        tsne=arrays["tsne"].astype(np.float32),
    )
