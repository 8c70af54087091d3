"""Windows of performances, in memory or in a file that is read by index, and their batches.

A store is a folder of `.npy` files, NumPy's own format, each (N, T, F) float32 and named by a
fingerprint of what it was cut from and how. Rows are read with plain reads, not by mapping the
file: pages of a mapping count as memory of the process, and training touches them all.
"""

from __future__ import annotations

import hashlib
import logging
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Literal, Protocol, Self, TypeVar

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from musicvae_core.data.files import write_atomically
from musicvae_core.errors import (
    DamagedDataError,
)
from musicvae_core.music.drums import CODEC_VERSION, N_VOICES
from musicvae_core.music.grid import COMMON_TIME, Grid
from musicvae_core.music.groove import Groove

Split = Literal["train", "validation", "test"]

SPLITS: tuple[Split, ...] = ("train", "validation", "test")


@dataclass(frozen=True)
class Label:
    """What is known about one file: its split and what was played.

    name is its path inside the data set; beat_type is `beat`, `fill` or empty.
    """

    name: str
    split: Split
    drummer: str = ""
    style: str = ""
    beat_type: str = ""
    metre: str = "4-4"


@dataclass(frozen=True)
class Windows:
    """Sequences of equal length cut from performances a bar apart.

    Parameters
    ----------
    features
        (N, T, 27) float32, see `music.drums`.
    tempos_bpm
        (N,) float32.
    performance
        (N,) int64: the index in `labels` of the performance each was cut from.
    start_bar
        (N,) int64: the bar each begins at.
    labels
        One for each performance of the split.
    grid
        Of all of them.
    """

    features: NDArray[np.float32]
    tempos_bpm: NDArray[np.float32]
    performance: NDArray[np.int64]
    start_bar: NDArray[np.int64]
    labels: tuple[Label, ...]
    grid: Grid = COMMON_TIME

    def __len__(self) -> int:
        return len(self.features)

    def batch(
        self, step: int, batch_size: int, *, augmentation: float, seed: int
    ) -> NDArray[np.float32]:
        """Return the features (B, T, 27) that a training step learns from.

        Each epoch is one permutation; `augmentation` is the share of examples that are
        recombined. Seed and step settle both.
        """
        chosen = batch_indices(step, len(self), batch_size, seed)
        rng = np.random.default_rng((seed, step))
        return augment(self.features[chosen], augmentation, rng, self.grid)

    def take(self, indices: NDArray[np.floating] | NDArray[np.integer]) -> Windows:
        """Return the windows at the indices, which are rounded down."""
        chosen = indices.astype(np.int64)
        arrays = ("features", "tempos_bpm", "performance", "start_bar")
        return replace(self, **{name: getattr(self, name)[chosen] for name in arrays})


class FeatureRows(Protocol):
    """Windows as model features, (N, T, F) float32, which may be made on demand."""

    def __len__(self) -> int:
        """Return N."""

    def __getitem__(self, index: slice) -> NDArray[np.float32]:
        """Return the features of some windows."""


class AnyWindows(Protocol):
    """What training needs from windows of any kind."""

    @property
    def tempos_bpm(self) -> NDArray[np.float32]:
        """(N,) float32."""

    @property
    def features(self) -> FeatureRows:
        """The windows as model features."""

    def __len__(self) -> int:
        """Return how many there are."""

    def take(self, indices: NDArray[np.floating] | NDArray[np.integer]) -> Self:
        """Return the windows at the indices."""

    def batch(
        self, step: int, batch_size: int, *, augmentation: float, seed: int
    ) -> NDArray[np.float32]:
        """Return the features (B, T, F) that a training step learns from."""


_WindowsT_co = TypeVar("_WindowsT_co", bound=AnyWindows, covariant=True)


class WindowSource(Protocol[_WindowsT_co]):
    """A data set that windows are cut from."""

    def windows(
        self, split: Split, n_bars: int, minimum: int = 1, shortest_bars: int = 0
    ) -> _WindowsT_co:
        """Cut a split into windows of `n_bars` bars."""


def batch_indices(step: int, n_examples: int, batch_size: int, seed: int) -> NDArray[np.int64]:
    """Return the indices of a step's batch; each epoch is one seeded permutation."""
    positions = np.arange(step * batch_size, (step + 1) * batch_size)
    epochs, places = np.divmod(positions, n_examples)
    indices = np.empty(len(positions), np.int64)
    for epoch in np.unique(epochs):
        order = _order(seed, int(epoch), n_examples)
        indices[epochs == epoch] = order[places[epochs == epoch]]
    return indices


@lru_cache(maxsize=2)
def _order(seed: int, epoch: int, n_examples: int) -> NDArray[np.int64]:
    """Return the order of the examples in an epoch, made once for all of its steps."""
    order = np.random.default_rng((seed, 1, epoch)).permutation(n_examples)
    order.flags.writeable = False
    return order


_VERSION = 2
_CHUNK_BYTES = 2**24

_log = logging.getLogger(__name__)


class StoredRows:
    """Features (N, T, F) float32 that lie in a `.npy` file; any thread may read them.

    Parameters
    ----------
    path
        The file.

    Raises
    ------
    DamagedDataError
        If it is not such a file, or is cut short.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            with path.open("rb") as file:
                version = npy.read_magic(file)
                read_header = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
                self.shape, is_fortran, dtype = read_header[version](file)
                self._start = file.tell()
        except (OSError, ValueError, KeyError) as error:
            raise DamagedDataError(f"{path} is damaged ({error}); delete it.") from error
        self._row_shape = self.shape[1:]
        self._row_bytes = int(np.prod(self._row_shape)) * 4
        size = self._start + len(self) * self._row_bytes
        if is_fortran or dtype != np.float32 or path.stat().st_size != size:
            raise DamagedDataError(f"{path} is not a whole store of windows; delete it.")
        self._file = path.open("rb")
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return int(self.shape[0])

    def __getitem__(self, index: slice | NDArray[np.integer]) -> NDArray[np.float32]:
        """Return some rows, (n, T, F), in the order asked for."""
        if isinstance(index, slice):
            rows = np.arange(*index.indices(len(self)))
        else:
            rows = np.where(index < 0, index + len(self), index)
        if len(rows) and not 0 <= rows.min() <= rows.max() < len(self):
            raise IndexError(f"there are rows 0 to {len(self) - 1}")
        result = np.empty((len(rows), *self._row_shape), np.float32)
        with self._lock:
            for place, first, n in _runs(rows):
                self._file.seek(self._start + first * self._row_bytes)
                values = np.frombuffer(self._file.read(n * self._row_bytes), "<f4")
                result[place : place + n] = values.reshape(n, *self._row_shape)
        return result


def _runs(rows: NDArray[np.integer]) -> Iterator[tuple[int, int, int]]:
    """Yield, for each run of following rows, its place, its first row and its length."""
    breaks = np.flatnonzero(np.diff(rows) != 1) + 1
    for run in np.split(np.arange(len(rows)), breaks):
        if len(run):
            yield int(run[0]), int(rows[run[0]]), len(run)


def write_rows(path: Path, parts: Iterable[NDArray[np.float32]], shape: tuple[int, ...]) -> None:
    """Write parts (n, T, F) one after the other as a file of `StoredRows`, whole or not at all.

    Parameters
    ----------
    path
        In a folder that is there.
    parts
        Made one at a time, so that they are never all in memory.
    shape
        (N, T, F) of all of them together.
    """

    def write(part: Path) -> None:
        header = {"descr": "<f4", "fortran_order": False, "shape": shape}
        with part.open("wb") as file:
            npy.write_array_header_1_0(file, header)
            for rows in parts:
                step = max(1, _CHUNK_BYTES // max(1, rows[:1].nbytes))
                for start in range(0, len(rows), step):
                    file.write(np.ascontiguousarray(rows[start : start + step], "<f4").tobytes())

    write_atomically(path, write)


def fingerprint(grooves: Iterable[Groove], *settings: object) -> str:
    """Return a name for what is cut from grooves by some settings."""
    digest = hashlib.blake2b(repr((_VERSION, CODEC_VERSION, settings)).encode(), digest_size=12)
    for groove in grooves:
        digest.update(bytes((groove.grid.beats_per_bar, groove.grid.steps_per_beat)))
        for array in (groove.hits, groove.velocities, groove.offsets):
            digest.update(np.int64(len(array)).tobytes() + array.tobytes())
    return digest.hexdigest()


def stored(
    folder: Path, name: str, parts: Iterable[NDArray[np.float32]], shape: tuple[int, ...]
) -> StoredRows:
    """Return the rows of a store by name, written first where they are not there or damaged."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.npy"
    if path.exists():
        try:
            return StoredRows(path)
        except DamagedDataError as error:
            _log.warning("%s It is written anew.", error)
    write_rows(path, parts, shape)
    return StoredRows(path)


_MAX_DROPPED = 0.5


def augment(
    features: NDArray[np.float32],
    share: float,
    rng: np.random.Generator,
    grid: Grid = COMMON_TIME,
) -> NDArray[np.float32]:
    """Return a batch with a share of its examples recombined, to fight overfitting.

    Each altered example is made from whole voices, bars or beats that were really played, so that
    its rhythm and feel stay a drummer's: some of its voices, or of its bars, come from another
    window; or it is turned by whole beats, and some of its hits are left out.

    Parameters
    ----------
    features
        (B, T, F) float32 with F = 9 or 27, T whole bars; not changed.
    share
        Probability that an example is altered.
    rng
        Source of randomness.
    grid
        How the steps divide time.

    Returns
    -------
    (B, T, F) float32.
    """
    kinds = np.where(rng.random(len(features)) < share, rng.integers(1, 4, len(features)), 0)
    others = features[rng.permutation(len(features))]
    result = features.copy()
    for kind, change in enumerate((_swap_voices, _swap_bars, _turn_and_thin), start=1):
        chosen = kinds == kind
        if chosen.any():
            result[chosen] = change(features[chosen], others[chosen], rng, grid)
    return result


def _swap_voices(
    features: NDArray[np.float32],
    others: NDArray[np.float32],
    rng: np.random.Generator,
    grid: Grid,
) -> NDArray[np.float32]:
    swapped = rng.random((len(features), N_VOICES)) < 0.5
    every_part = np.tile(swapped, features.shape[-1] // N_VOICES)  # (B, F)
    return np.where(every_part[:, None, :], others, features)


def _swap_bars(
    features: NDArray[np.float32],
    others: NDArray[np.float32],
    rng: np.random.Generator,
    grid: Grid,
) -> NDArray[np.float32]:
    n_bars = features.shape[1] // grid.steps_per_bar
    swapped = np.repeat(rng.random((len(features), n_bars)) < 0.5, grid.steps_per_bar, axis=1)
    return np.where(swapped[:, :, None], others, features)


def _turn_and_thin(
    features: NDArray[np.float32],
    others: NDArray[np.float32],
    rng: np.random.Generator,
    grid: Grid,
) -> NDArray[np.float32]:
    n_examples, n_steps, n_features = features.shape
    beats = rng.integers(0, n_steps // grid.steps_per_beat, n_examples)
    steps = (np.arange(n_steps) + grid.steps_per_beat * beats[:, None]) % n_steps  # (B, T)
    turned = np.take_along_axis(features, steps[:, :, None], axis=1)
    dropped = rng.random((n_examples, n_steps, N_VOICES))
    kept = dropped >= rng.uniform(0, _MAX_DROPPED, (n_examples, 1, 1))
    return turned * np.tile(kept, n_features // N_VOICES)
