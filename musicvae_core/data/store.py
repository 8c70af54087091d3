"""Windows in files: cut once, in parallel, reused, and read by index.

Each form of music defines how its sets are read and cut (`SetReader`); the rest is common. The
windows of a split are two files, named by a fingerprint of the sources and of everything that
determines the windows: their rows (N, T, ...) as `.npy`, and their metadata as `.npz`. Rows are
read with plain reads, not by memory mapping: mapped pages count as memory of the process, and
training touches them all.
"""

from __future__ import annotations

import hashlib
import json
import logging
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from io import BytesIO
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from musicvae_core.data.files import DAMAGED, make_folder, write_atomically, write_content
from musicvae_core.data.windows import Split
from musicvae_core.errors import (
    DamagedDataError,
    DataError,
    MusicVAEError,
    TooFewExamplesError,
)
from musicvae_core.music.drums import CODEC_VERSION
from musicvae_core.music.grid import Grid

_READING_VERSION = 5
"""Increment whenever files are read, cut or refused differently."""
_SOURCES = (".mid", ".midi", ".zip", ".csv")
_FEW, _BATCH, _CHUNK = 64, 1024, 8
"""Sets of fewer files are read in this process; files queued for others, and sent, at a time."""

_log = logging.getLogger(__name__)


class Cut(NamedTuple):
    """The windows of one performance.

    Parameters
    ----------
    rows
        (n, T, ...).
    start_bars
        (n,) int64: the first bar of each.
    tempo_bpm
        The tempo of the performance.
    """

    rows: NDArray[Any]
    start_bars: NDArray[np.int64]
    tempo_bpm: float


@dataclass(frozen=True)
class SetReader:
    """How data sets of one form of music are read and cut.

    Parameters
    ----------
    files
        Yields the label of each file of a set, a dataclass with a split, and the input of `read`.
    read
        Returns the performance in a file; if it raises `MusicVAEError`, the file is skipped.
    cut
        Takes a performance, `n_bars` and `shortest_bars`, and returns its windows.
    windows
        Builds windows from rows, tempos, performances, first bars, labels and a grid.
    label
        The class of the labels.
    needed
        What to add to a set that is too small, for messages.
    """

    files: Callable[[Path], Iterable[tuple[Any, Any]]]
    read: Callable[..., Any]
    cut: Callable[[Any, int, int], Cut]
    windows: Callable[..., Any]
    label: Callable[..., Any]
    needed: str

    def performances(
        self, files: Iterable[tuple[Any, Any]], skipped: Counter[str], **reading: Any
    ) -> Iterator[tuple[Any, Any]]:
        """Yield each label with its performance, and count unreadable files by reason."""
        for label, content in files:
            try:
                performance = self.read(content, **reading)
            except MusicVAEError as error:
                _skip(label, str(error), skipped)
            else:
                yield label, performance

    def cut_split(
        self,
        performances: Iterable[tuple[Any, Any]],
        split: Split,
        n_bars: int,
        minimum: int,
        shortest_bars: int,
        grid: Grid,
    ) -> Any:
        """Return the windows of a split, in memory; see `StoredSet.windows`."""
        chosen = [one for one in performances if one[0].split == split]
        cuts = [self.cut(performance, n_bars, shortest_bars) for _, performance in chosen]
        n = sum(len(cut.rows) for cut in cuts)
        self.check_enough(n, split, n_bars, minimum, grid)
        rows = np.concatenate([cut.rows for cut in cuts])
        labels = tuple(label for label, _ in chosen)
        places = ((cut.start_bars, cut.tempo_bpm) for cut in cuts)
        return self.windows(rows, *_join(list(places)), labels, grid)

    def check_enough(self, n: int, split: Split, n_bars: int, minimum: int, grid: Grid) -> None:
        """Raise `TooFewExamplesError` if there are fewer windows than needed."""
        if n < minimum:
            raise TooFewExamplesError(
                f"The {split} split has {n} windows of {n_bars} bars and {minimum} are needed; "
                f"add {self.needed} of at least {n_bars} bars in {grid.beats_per_bar}/4."
            )


@dataclass(frozen=True)
class StoredSet:
    """A data set whose windows are kept in files; its MIDI is read only if they are missing.

    Parameters
    ----------
    reader
        The reader of its form of music.
    source
        A zip or a folder.
    folder
        Where to keep the windows.
    reading
        Options of `SetReader.read`, including the grid.

    Large sets are read and cut by one process per processor. Each imports the program's main
    module, which needs an `if __name__ == "__main__"` guard.
    """

    reader: SetReader
    source: Path
    folder: Path
    reading: Mapping[str, Any]

    @property
    def grid(self) -> Grid:
        """The grid of all music in the set."""
        grid: Grid = self.reading["grid"]
        return grid

    def windows(self, split: Split, n_bars: int, minimum: int = 1, shortest_bars: int = 0) -> Any:
        """Return a split's windows, with rows in a file that is written if it is missing.

        Parameters
        ----------
        split, n_bars, minimum, shortest_bars
            As `Dataset.windows`.

        Raises
        ------
        TooFewExamplesError
            If there are fewer than `minimum`.
        DataError
            If there is no set, or none of it can be read.
        """
        make_folder(self.folder)
        how = (self.reader.needed, dict(self.reading), split, n_bars, shortest_bars)
        path = self.folder / f"{fingerprint(self.source, *how)}.npy"
        try:
            found = self._open(path)
        except (*DAMAGED, DamagedDataError) as error:
            if path.exists():
                _log.warning("The store %s is damaged and is rebuilt: %s", path, error)
            self._write(path, split, n_bars, shortest_bars)
            found = self._open(path)
        self.reader.check_enough(len(found), split, n_bars, minimum, self.grid)
        return found

    def _open(self, path: Path) -> Any:
        with np.load(path.with_suffix(".npz")) as stored:
            arrays = dict(stored)
        rows = _StoredRows(path)
        if len(rows) != len(arrays["start_bars"]):
            raise ValueError("its two files do not match")
        labels = tuple(
            self.reader.label(**label) for label in json.loads(arrays["labels"].tobytes())
        )
        known = (arrays["tempos_bpm"], arrays["performance"], arrays["start_bars"])
        return self.reader.windows(rows, *known, labels, self.grid)

    def _write(self, path: Path, split: Split, n_bars: int, shortest_bars: int) -> None:
        files = (one for one in self.reader.files(self.source) if one[0].split == split)
        work = partial(_cut_file, self.reader, n_bars, shortest_bars, self.reading)
        labels: list[Any] = []
        places: list[tuple[NDArray[np.int64], float]] = []
        skipped: Counter[str] = Counter()

        def parts() -> Iterator[NDArray[Any]]:
            for label, made in _in_parallel(work, files):
                if isinstance(made, str):
                    _skip(label, made, skipped)
                else:
                    labels.append(label)
                    places.append((made.start_bars, made.tempo_bpm))
                    yield made.rows

        _write_rows(path, parts())
        names = ("tempos_bpm", "performance", "start_bars")
        arrays: dict[str, Any] = dict(zip(names, _join(places), strict=True))
        arrays["labels"] = np.frombuffer(json.dumps(list(map(asdict, labels))).encode(), np.uint8)
        content = BytesIO()
        np.savez(content, **arrays)
        write_content(path.with_suffix(".npz"), content.getvalue())
        if skipped:
            _log.warning("%d files are left out. %s", skipped.total(), describe_skipped(skipped))


def _cut_file(
    reader: SetReader,
    n_bars: int,
    shortest_bars: int,
    reading: Mapping[str, Any],
    file: tuple[Any, Any],
) -> tuple[Any, Cut | str]:
    """Return a file's label and its windows, or why it is skipped."""
    label, content = file
    try:
        return label, reader.cut(reader.read(content, **reading), n_bars, shortest_bars)
    except MusicVAEError as error:
        return label, str(error)


def _in_parallel(work: Callable[[Any], Any], items: Iterator[Any]) -> Iterator[Any]:
    """Yield the result of each item, in order; many items are spread over processes.

    The processes are spawned: a forked one might inherit locks held by other threads.
    """
    batch = list(islice(items, _FEW))
    if len(batch) < _FEW:
        yield from map(work, batch)
        return
    with ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:
        while batch:
            yield from pool.map(work, batch, chunksize=_CHUNK)
            batch = list(islice(items, _BATCH))


def _join(
    places: list[tuple[NDArray[np.int64], float]],
) -> tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.int64]]:
    """Return the tempo, performance and first bar of every window, (N,) each."""
    starts = [start_bars for start_bars, _ in places]
    counts = [len(one) for one in starts]
    tempos_bpm = np.repeat([tempo_bpm for _, tempo_bpm in places], counts).astype(np.float32)
    start_bars = np.concatenate([np.zeros(0, np.int64), *starts])
    return tempos_bpm, np.repeat(np.arange(len(counts)), counts), start_bars


def _skip(label: Any, reason: str, skipped: Counter[str]) -> None:
    skipped[reason] += 1
    _log.info("%s skipped: %s", label.name, reason)


def describe_skipped(counts: Counter[str]) -> str:
    """Return the most common reasons for skipping files, one or more sentences each."""
    if not counts:
        return "There is no MIDI file."
    listed = [f"{n} {'file' if n == 1 else 'files'}: {why}" for why, n in counts.most_common(3)]
    return " ".join(listed)


def fingerprint(source: Path, *settings: object) -> str:
    """Return a hash of a set's file paths, sizes and times, and of settings, to use as a file name.

    Raises
    ------
    DataError
        If there is no set.
    """
    if not source.exists():
        raise DataError(f"There is no data set at {source}; give a zip or a folder.")
    found = sorted(file for file in source.rglob("*") if file.suffix.lower() in _SOURCES)
    versions = (CODEC_VERSION, _READING_VERSION)
    digest = hashlib.sha256(f"{versions} {settings!r} {source.resolve()}".encode())
    for file in found if source.is_dir() else [source]:
        status = file.stat()
        digest.update(f"{file} {status.st_size} {status.st_mtime_ns}".encode())
    return digest.hexdigest()[:24]


class _StoredRows:
    """Rows (N, ...) of a `.npy` file; thread-safe.

    Parameters
    ----------
    path
        The file.

    Raises
    ------
    DamagedDataError
        If it is not such a file, or is truncated.
    """

    def __init__(self, path: Path) -> None:
        try:
            with path.open("rb") as file:
                if npy.read_magic(file) != (1, 0):
                    raise ValueError("its version is not 1.0")
                self.shape, is_fortran, self.dtype = npy.read_array_header_1_0(file)
                self._start = file.tell()
        except (OSError, ValueError) as error:
            raise DamagedDataError(f"{path} is damaged ({error}); delete it.") from error
        self._row_bytes = int(np.prod(self.shape[1:])) * self.dtype.itemsize
        size = self._start + len(self) * self._row_bytes
        if is_fortran or self.dtype.hasobject or path.stat().st_size != size:
            raise DamagedDataError(f"{path} is not a complete store of windows; delete it.")
        self._file = path.open("rb")
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return int(self.shape[0])

    def __getitem__(self, index: slice | NDArray[np.integer]) -> NDArray[Any]:
        """Return some rows, (n, ...), in the given order."""
        if isinstance(index, slice):
            rows = np.arange(*index.indices(len(self)))
        else:
            rows = np.where(index < 0, index + len(self), index)
        if len(rows) and not 0 <= rows.min() <= rows.max() < len(self):
            raise IndexError(f"there are rows 0 to {len(self) - 1}")
        result = np.empty((len(rows), *self.shape[1:]), self.dtype)
        with self._lock:
            for place, first, n in _runs(rows):
                self._file.seek(self._start + first * self._row_bytes)
                values = np.frombuffer(self._file.read(n * self._row_bytes), self.dtype)
                result[place : place + n] = values.reshape(n, *self.shape[1:])
        return result


def _runs(rows: NDArray[np.integer]) -> Iterator[tuple[int, int, int]]:
    """Yield the position, first row and length of each run of consecutive rows."""
    breaks = np.flatnonzero(np.diff(rows) != 1) + 1
    for run in np.split(np.arange(len(rows)), breaks):
        if len(run):
            yield int(run[0]), int(rows[run[0]]), len(run)


def _write_rows(path: Path, parts: Iterable[NDArray[Any]]) -> None:
    """Write parts (n, ...) to a file of `_StoredRows`, atomically.

    Parameters
    ----------
    path
        A file in an existing folder.
    parts
        Arrays that differ only in n; generated one at a time, so that they are never all in memory.
    """

    def write(unfinished: Path) -> None:
        n_rows, like = 0, np.zeros(0, np.float32)
        with unfinished.open("wb") as file:
            for part in parts:
                if not file.tell():
                    like = part[:0]
                    _write_header(file, like, 0)
                file.write(np.ascontiguousarray(part).data)
                n_rows += len(part)
            file.seek(0)
            _write_header(file, like, n_rows)

    write_atomically(path, write)


def _write_header(file: Any, like: NDArray[Any], n_rows: int) -> None:
    """Write NumPy's header, whose length does not depend on the number of rows."""
    shape = (n_rows, *like.shape[1:])
    header = {"descr": npy.dtype_to_descr(like.dtype), "fortran_order": False, "shape": shape}
    npy.write_array_header_1_0(file, header)
