"""The atlas of a checkpoint: codes of real windows with their labels and places on two maps.

It lies beside the weights as `atlas.npz`, so that a map opens without a data set; the grooves
of its points are decoded from their codes. Nothing in it is ever unpickled.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from musicvae_core.errors import (
    AtlasNotFoundError,
    CorruptAtlasError,
    NewerAtlasError,
    StaleAtlasError,
)
from musicvae_core.files import DAMAGED, check_arrays, read_arrays, write_arrays
from musicvae_core.space.projection import N_COMPONENTS, Principal, TsneMap

ATLAS_FILE = "atlas.npz"
FORMAT = "musicvae_core atlas"
FORMAT_VERSION = 2
"""Raised when older code cannot read what is written: 2 has codes in 8 bits."""

_MAX_HALF_CODES, _TINY = 3_000_000, np.float32(1e-12)


@dataclass(frozen=True)
class Performance:
    """What is known of a performance; beat_type is `beat`, `fill` or empty."""

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
        (N, Z) float32: posterior means, rounded to float16, or to 8 bits where they are many.
    performance
        (N,) int64: the index in `performances` of the one each was cut from.
    start_bar
        (N,) int64: the bar each begins at, counted from 0.
    performances
        Those that have a window here.
    attributes
        By the names of `controls.CONTROLS`, (N,) float32 each, in their own units.
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
    def tsne_map(self) -> TsneMap:
        """The t-SNE map, to place new codes on."""
        return TsneMap(self.codes, self.tsne)


def _pack_codes(codes: NDArray[np.float32]) -> dict[str, NDArray[Any]]:
    """Return codes (N, Z) as they are stored: many in 8 bits with a scale a dimension."""
    if codes.size <= _MAX_HALF_CODES:
        return {"codes": codes.astype(np.float16)}
    scale = np.maximum(np.abs(codes).max(axis=0), _TINY) / np.float32(127)  # (Z,)
    return {"codes": np.rint(codes / scale).astype(np.int8), "scale": scale}


def _unpack_codes(arrays: Mapping[str, NDArray[Any]]) -> NDArray[np.float32]:
    """Undo `_pack_codes`."""
    codes = arrays["codes"].astype(np.float32)
    return codes * arrays["scale"] if "scale" in arrays else codes


def save_atlas(atlas: Atlas, folder: Path) -> Path:
    """Write an atlas into a checkpoint's folder, whole or not at all, and return its path."""
    about = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
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
    AtlasNotFoundError, CorruptAtlasError, NewerAtlasError, StaleAtlasError
        Each says which file is at fault and what to do.
    """
    path = Path(folder) / ATLAS_FILE
    remedy = f"python -m musicvae_core atlas {folder} --data PATH"
    if not path.is_file():
        raise AtlasNotFoundError(f"There is no atlas at {path}: make it with {remedy}")
    try:
        about, arrays = read_arrays(path, FORMAT)
        if about["format_version"] > FORMAT_VERSION:
            raise NewerAtlasError(
                f"{path} was written by a later version of this program; "
                f"update it, or make the atlas again with {remedy}"
            )
        atlas = _assembled(about, arrays)
    except DAMAGED as error:
        raise CorruptAtlasError(
            f"{path} is damaged or cut short ({error}); make it again with {remedy}"
        ) from error
    if atlas.fingerprint != fingerprint:
        raise StaleAtlasError(
            f"{path} was made for other weights than the model's; make it again with {remedy}"
        )
    return atlas


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
        "components": (N_COMPONENTS, z_size),
        "explained": (N_COMPONENTS,),
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
