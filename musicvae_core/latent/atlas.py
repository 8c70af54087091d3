"""The atlas of a checkpoint: labelled codes of real windows, and maps of the latent space.

There are two maps: principal components, and a t-SNE map that can place new codes. Codes are
compared by the angle between them: on the validation split of `groove_2bar`, the nearest codes
by angle share more hits with a window than the nearest by distance (Jaccard .479 against .459),
and more often its style (.62 against .58). `latent.slerp` interpolates by angle, too.

openTSNE is imported on first use: a page that only draws a map does not need it.
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
"""The default of openTSNE's `transform`: a new code is placed by its few nearest neighbours."""


@dataclass(frozen=True, eq=False)
class Principal:
    """The directions along which codes vary most.

    Parameters
    ----------
    mean
        (Z,) float32, mean of the codes.
    components
        (3, Z) float32, orthonormal, in order of decreasing variance.
    explained
        (3,) float32, each component's share of the codes' variance, 0 to 1.
    """

    N_COMPONENTS: ClassVar[int] = 3

    mean: NDArray[np.float32]
    components: NDArray[np.float32]
    explained: NDArray[np.float32]

    def place(self, codes: _Codes) -> _Positions:
        """Project codes (n, Z) onto the components, (n, 3) float32."""
        return np.asarray((codes - self.mean) @ self.components.T, np.float32)


def directions(codes: _Codes) -> _Codes:
    """Return codes (n, Z) scaled to length 1; a code of zeros is unchanged."""
    lengths = np.linalg.norm(codes, axis=-1, keepdims=True)
    return np.asarray(codes / np.where(lengths > 0, lengths, 1), np.float32)


def mean_code(codes: _Codes) -> _Codes:
    """Return the centre of codes (n, Z), n at least 1: their mean direction at their mean length.

    The plain mean of different grooves' codes is much shorter than any of them and plays up to a
    tenth fewer notes; this centre plays as many, and shares as many hits with the grooves.
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

    A new code starts at its nearest neighbour's position and is then moved by gradient descent
    towards its neighbours and away from all other codes, which stay fixed. openTSNE's default
    start, the median of 25 neighbours, leaves one code in twenty stranded between the groups
    its neighbours belong to.

    Parameters
    ----------
    codes
        (N, Z) float32, the codes the map was fitted to.
    positions
        (N, 2) float32, their fitted positions; see `latent.fit`.

    Source: Poličar, Stražar and Zupan 2023, "Embedding to reference t-SNE space".
    """

    def __init__(self, codes: _Codes, positions: _Positions) -> None:
        self._codes = codes
        self._positions = positions
        self._fitted: Any = None
        self._lock = threading.Lock()

    def place(self, codes: _Codes) -> _Positions:
        """Place new codes (n, Z) on the map, independently of one another: (n, 2) float32."""
        if not len(codes):
            return np.zeros((0, 2), np.float32)
        self.prepare()
        with self._lock:
            return self._transformed(codes)

    def prepare(self) -> None:
        """Prepare for placing codes; the first call takes a second or two."""
        with self._lock:
            if self._fitted is None:
                self._fitted = self._embedding()
                self._transformed(self._codes[:1])  # openTSNE makes its grid at the first code

    def _transformed(self, codes: _Codes) -> _Positions:
        placed = self._fitted.transform(directions(codes), _PLACING_PERPLEXITY, k=1)
        return np.asarray(placed, np.float32)

    def _embedding(self) -> Any:
        """Return openTSNE's embedding at the stored positions, without refitting it."""
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
"""Incremented whenever older code cannot read new files: version 2 stores codes in 8 bits."""

_LEVELS = 31
"""The highest level of a stored code; the lowest is its negative."""
_TINY = np.float32(1e-12)
_DENSITIES = ("step_density", "note_density", "melody_note_density")
"""The attributes that measure note density: of drums, of a line and of a trio."""


@dataclass(frozen=True)
class Performance:
    """Metadata of a performance; beat_type is `beat`, `fill` or empty.

    For a tune, `style` is the collection it comes from.
    """

    name: str
    style: str
    drummer: str
    beat_type: str
    tempo_bpm: float


@dataclass(frozen=True, eq=False)
class Atlas:
    """Windows of the train split as points in the latent space.

    Parameters
    ----------
    fingerprint
        `Checkpoint.fingerprint` of the model that the codes belong to.
    n_bars
        Length of a window.
    codes
        (N, Z) float32: posterior means; saving rounds them to 6 bits, with one scale per
        dimension.
    performance
        (N,) int64: index in `performances` of each window's performance.
    start_bar
        (N,) int64: each window's first bar, counted from 0.
    performances
        The performances that have a window here.
    attributes
        (N,) float32 for each attribute, in its own unit, by its name in `attributes.CONTROLS`.
    principal
        The principal components of the codes.
    tsne
        (N, 2) float32: each window's position on the t-SNE map.
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
        """Return the performance that a point's window was cut from."""
        return self.performances[int(self.performance[point])]

    @cached_property
    def styles(self) -> tuple[str, ...]:
        """The styles of the windows, the most common first."""
        counts = Counter(self._styles.tolist())
        return tuple(style for style, _ in counts.most_common())

    def windows_of(self, style: str) -> NDArray[np.int64]:
        """Return the indices of the windows of a style."""
        return np.flatnonzero(self._styles == style)

    @property
    def density(self) -> NDArray[np.float32]:
        """Note density of each window, (N,): of drums by steps with a hit, of lines by notes."""
        return next(self.attributes[name] for name in _DENSITIES if name in self.attributes)

    @cached_property
    def _styles(self) -> NDArray[np.str_]:
        names = [performance.style for performance in self.performances]
        return np.asarray(names, np.str_)[self.performance]

    @cached_property
    def tsne_map(self) -> _TsneMap:
        """The t-SNE map, for placing new codes."""
        return _TsneMap(self.codes, self.tsne)


def _pack_codes(codes: NDArray[np.float32]) -> dict[str, NDArray[Any]]:
    """Return codes (N, Z) in their stored form: 6 bits, with one scale per dimension.

    Compressed, they take three quarters of the space of 8 bits. Decoded at temperature 0, at most
    0.3% of the steps of the shipped maps differ from those in 8 bits.
    """
    scale = np.maximum(np.abs(codes).max(axis=0), _TINY) / np.float32(_LEVELS)  # (Z,)
    return {"codes": np.rint(codes / scale).astype(np.int8), "scale": scale}


def _unpack_codes(arrays: Mapping[str, NDArray[Any]]) -> NDArray[np.float32]:
    """Undo `_pack_codes`."""
    codes = arrays["codes"].astype(np.float32)
    return codes * arrays["scale"] if "scale" in arrays else codes


def save_atlas(atlas: Atlas, folder: Path) -> Path:
    """Write an atlas atomically into a checkpoint's folder, and return its path."""
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
        The checkpoint's folder.
    fingerprint
        `Checkpoint.fingerprint` of the model in that folder.

    Raises
    ------
    CheckpointError
        See `read_side_file`.
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
    """Assemble an atlas from its stored arrays; raise ValueError if they are inconsistent."""
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
