"""Sets of melodies: zips with an `index.csv`, or any folder of MIDI files."""

from __future__ import annotations

import csv
import zipfile
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from musicvae_core.data.dataset import archive_member, split_midi
from musicvae_core.data.store import Cut, SetReader, describe_skipped
from musicvae_core.data.windows import SPLITS, Split
from musicvae_core.errors import DamagedDataError, DataError
from musicvae_core.music.drums import Alphabet
from musicvae_core.music.grid import COMMON_TIME, Grid
from musicvae_core.music.line import (
    FIRST_PITCH_CLASS,
    LINE_CLASSES,
    MAX_TRANSPOSITION,
    SILENT,
    line_to_classes,
)
from musicvae_core.music.line_midi import LineReading, read_line

_TABLE = "index.csv"
_COLUMNS = ("file", "title", "collection", "split", "credit")

_MIN_ON_GRID = 0.9


@dataclass(frozen=True)
class Tune:
    """The metadata of one melody: its path in the data set, split and source."""

    name: str
    split: Split
    title: str = ""
    collection: str = ""
    credit: str = ""


class _Lookup:
    """Windows stored as classes, one or two bytes per step, and read as features by index.

    Parameters
    ----------
    classes
        (N, T), or (N, T, P) for several parts.
    alphabets
        The alphabet of each part.
    """

    def __init__(
        self, classes: NDArray[np.integer[Any]], alphabets: Sequence[Alphabet] = (LINE_CLASSES,)
    ) -> None:
        self.classes, self.alphabets = classes, alphabets

    def __len__(self) -> int:
        return len(self.classes)

    def __getitem__(self, index: slice | NDArray[np.integer]) -> NDArray[np.float32]:
        """Return features (n, T, F) float32 of some windows, with parts concatenated."""
        chosen = self.classes[index]
        parts = np.moveaxis(chosen.reshape(*chosen.shape[:2], -1), -1, 0)
        return np.concatenate(
            [one.table[part] for one, part in zip(self.alphabets, parts, strict=True)], axis=-1
        )


@dataclass(frozen=True)
class LineWindows:
    """Melodies, or pieces of several parts, of equal length, cut from tunes one bar apart.

    Parameters
    ----------
    classes
        (N, T) uint8, see `music.line`; (N, T, P) uint16 for pieces. An array, or rows of a file.
    tempos_bpm
        (N,) float32.
    performance
        (N,) int64: the index in `labels` of each window's tune.
    start_bar
        (N,) int64: the first bar of each window.
    labels
        One for each tune of the split.
    alphabets
        The classes of each part.
    """

    classes: NDArray[np.integer[Any]]
    tempos_bpm: NDArray[np.float32]
    performance: NDArray[np.int64]
    start_bar: NDArray[np.int64]
    labels: tuple[Tune, ...]
    alphabets: tuple[Alphabet, ...] = (LINE_CLASSES,)

    def __len__(self) -> int:
        return len(self.classes)

    @property
    def features(self) -> _Lookup:
        """The windows as model features, (N, T, F), by index."""
        return _Lookup(self.classes, self.alphabets)

    def take(self, indices: NDArray[np.floating] | NDArray[np.integer]) -> LineWindows:
        """Return the windows at the indices, which are rounded down."""
        chosen = indices.astype(np.int64)
        arrays = ("classes", "tempos_bpm", "performance", "start_bar")
        return replace(self, **{name: getattr(self, name)[chosen] for name in arrays})

    def collections(self) -> NDArray[np.str_]:
        """Return the collection of each window, (N,)."""
        return np.array([label.collection for label in self.labels])[self.performance]

    def by_collection(self) -> dict[str, NDArray[np.int64]]:
        """Return the indices of the windows of each collection, by name."""
        names = self.collections()
        return {name: np.flatnonzero(names == name) for name in np.unique(names).tolist()}

    def batch(
        self, step: int, batch_size: int, *, augmentation: float, seed: int
    ) -> NDArray[np.float32]:
        """Return the features (B, T, F) for a training step.

        Collections are drawn in proportion to the square root of their sizes, which oversamples
        small ones. With probability `augmentation`, a window is transposed by up to
        `MAX_TRANSPOSITION` semitones, all lines together, within the model's range.
        """
        rng = np.random.default_rng((seed, step))
        indices = np.searchsorted(self._cumulative_weights, rng.random(batch_size))
        classes, _ = _transpose(self.classes[indices], augmentation, rng, self._is_line)
        return _Lookup(classes, self.alphabets)[:]

    def transposed(
        self, indices: NDArray[np.integer], share: float, rng: np.random.Generator
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the classes (B, T, P) of some windows, a share of them transposed as in `batch`.

        Also returned is by how many semitones each was moved, (B,).
        """
        classes, semitones = _transpose(self.classes[indices], share, rng, self._is_line)
        return classes.reshape(*classes.shape[:2], len(self.alphabets)), semitones

    def varied(self, seed: int) -> LineWindows:
        """Return the windows, each moved by up to `MAX_TRANSPOSITION` semitones."""
        rng, classes = np.random.default_rng((seed, 2)), self.classes[:]
        moved, _ = _transpose(classes, 1.0, rng, self._is_line)
        return replace(self, classes=moved.astype(classes.dtype))

    @property
    def _is_line(self) -> NDArray[np.bool_]:
        return np.array([alphabet is LINE_CLASSES for alphabet in self.alphabets])

    @cached_property
    def _cumulative_weights(self) -> NDArray[np.float64]:
        names = [label.collection for label in self.labels]
        which = np.unique(names, return_inverse=True)[1].astype(np.int32)[self.performance]
        cumulative = np.cumsum((1 / np.sqrt(np.maximum(np.bincount(which), 1)))[which])
        return np.asarray(cumulative / cumulative[-1])


@dataclass
class LineDataset:
    """All tunes that could be read, and counts of the files that could not, by reason."""

    labels: list[Tune] = field(default_factory=list)
    readings: list[LineReading] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)

    @property
    def grid(self) -> Grid:
        """The grid of all tunes."""
        return self.readings[0].line.grid if self.readings else COMMON_TIME

    def n_windows(self, split: str, n_bars: int) -> int:
        """Return the number of windows that `windows` would cut."""
        tunes = zip(self.labels, self.readings, strict=True)
        return sum(
            len(_window_bars(reading, n_bars)) for tune, reading in tunes if tune.split == split
        )

    def windows(
        self, split: Split, n_bars: int, minimum: int = 1, shortest_bars: int = 0
    ) -> LineWindows:
        """Cut a split into windows of `n_bars` bars, one bar apart, within tunes.

        A window is left out if it contains a full bar of silence, has less than nine tenths of its
        onsets exactly on the grid, or fewer than two different pitches (three if longer than two
        bars).

        Parameters
        ----------
        split, n_bars
            Which tunes, and the length of a window.
        minimum
            The number of windows needed.
        shortest_bars
            Not used: tunes are never repeated.

        Raises
        ------
        TooFewExamplesError
            If there are fewer than `minimum`.
        """
        performances = zip(self.labels, self.readings, strict=True)
        made: LineWindows = LINES.cut_split(
            performances, split, n_bars, minimum, shortest_bars, self.grid
        )
        return made


def _cut(reading: LineReading, n_bars: int, shortest_bars: int) -> Cut:
    line, bars = reading.line, _window_bars(reading, n_bars)
    rows = np.zeros((len(bars), n_bars * line.grid.steps_per_bar), np.uint8)
    for row, bar in zip(rows, bars, strict=True):
        row[:] = line_to_classes(line.bars(bar, n_bars), line.grid)
    return Cut(rows, np.array(bars, np.int64), line.tempo_bpm)


def _window_bars(reading: LineReading, n_bars: int) -> list[int]:
    """Return the bars at which a window of a tune may start; see `LineDataset.windows`."""
    line, steps = reading.line, reading.onset_steps
    steps_per_bar = line.grid.steps_per_bar
    silent_run = np.zeros(line.n_steps, np.int64)
    for step in np.flatnonzero(line.pitches == SILENT):
        silent_run[step] = 1 + (silent_run[step - 1] if step else 0)
    min_pitches = 2 if n_bars <= 2 else 3
    bars = []
    for bar in range(line.n_bars - n_bars + 1):
        start, stop = bar * steps_per_bar, (bar + n_bars) * steps_per_bar
        within = (steps >= start) & (steps < stop)
        runs = np.minimum(silent_run[start:stop], np.arange(1, stop - start + 1))
        if (
            runs.max() < steps_per_bar
            and within.any()
            and reading.is_on_grid[within].mean() >= _MIN_ON_GRID
            and len(np.unique(reading.pitches[within])) >= min_pitches
        ):
            bars.append(bar)
    return bars


def _transpose(
    classes: NDArray[np.integer[Any]],
    share: float,
    rng: np.random.Generator,
    is_line: NDArray[np.bool_] | bool = True,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Transpose a share of windows of classes, within the range; return also the semitones (B,).

    They are (B, T), or (B, T, P) with parts; `is_line` says which parts to transpose, together.
    """
    numbers = classes.astype(np.int64)
    is_pitch = (numbers >= FIRST_PITCH_CLASS) & is_line
    axes = tuple(range(1, numbers.ndim))
    lowest = np.where(is_pitch, numbers, LINE_CLASSES.n_classes).min(axis=axes)
    highest = np.where(is_pitch, numbers, 0).max(axis=axes)
    moves = rng.integers(-MAX_TRANSPOSITION, MAX_TRANSPOSITION + 1, len(numbers))
    moves = np.where(rng.random(len(numbers)) < share, moves, 0)
    moves = np.maximum(moves, FIRST_PITCH_CLASS - lowest)
    moves = np.minimum(moves, LINE_CLASSES.n_classes - 1 - highest)
    by = moves.reshape(-1, *(1 for _ in axes))
    return np.where(is_pitch, numbers + by, numbers), np.asarray(moves, np.int64)


def load_lines(path: Path, *, grid: Grid = COMMON_TIME) -> LineDataset:
    """Read a set of melodies.

    Parameters
    ----------
    path
        A zip or a folder with an `index.csv` of files and their splits; a folder of such zips,
        named `melody_*.zip`, which are read together; or any folder of MIDI files, which are split
        by file, 80/10/10, with a fixed seed.
    grid
        The grid to quantise to; tunes in another metre are skipped.

    Raises
    ------
    DataError
        If no MIDI file at the path can be read.
    DamagedDataError
        If an archive is damaged, or its table lacks a column or has a broken row.
    """
    path = Path(path)
    if not path.exists():
        raise DataError(f"There is no data set at {path}; give a zip or a folder.")
    dataset = LineDataset()
    for tune, reading in LINES.performances(_files(path), dataset.skipped, grid=grid):
        dataset.labels.append(tune)
        dataset.readings.append(reading)
    if not dataset.labels:
        raise DataError(f"No melody at {path} could be read. {describe_skipped(dataset.skipped)}")
    return dataset


def _read_file(content: bytes, *, grid: Grid) -> LineReading:
    reading = read_line(content, grid=grid)
    line_to_classes(reading.line, grid)  # raises for pitches that no model plays
    return reading


def _files(path: Path) -> Iterator[tuple[Tune, bytes]]:
    for _, tune, content in tune_files(path, "melody"):
        yield tune, content


def tune_files(path: Path, what: str) -> Iterator[tuple[Path, Tune, bytes]]:
    """Yield the archive or folder, the tune and the contents of every file of a set.

    Parameters
    ----------
    path
        A zip, a folder of zips, or any other folder.
    what
        The prefix, before `_`, of the names of zips in a folder of zips.
    """
    for source in (sorted(path.glob(f"{what}_*.zip")) if path.is_dir() else []) or [path]:
        for tune, content in _files_of(source):
            yield source, tune, content


def _files_of(path: Path) -> Iterator[tuple[Tune, bytes]]:
    """Yield the tunes of one zip or folder, in a fixed order."""
    if path.is_file():
        if not zipfile.is_zipfile(path):
            raise DataError(f"{path} is not a zip archive; give the zip or a folder.")
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            table = archive_member(archive, _TABLE) if _TABLE in names else None
            for tune in _tunes(table, names, path.stem):
                yield tune, archive_member(archive, tune.name)
        return
    table_path = path / _TABLE
    names = sorted(file.relative_to(path).as_posix() for file in path.rglob("*") if file.is_file())
    for tune in _tunes(table_path.read_bytes() if table_path.is_file() else None, names, path.name):
        yield tune, (path / tune.name).read_bytes()


def _tunes(table: bytes | None, names: Iterable[str], source: str) -> list[Tune]:
    """Read the rows of `index.csv`; without it, split the files at random with a fixed seed."""
    if table is None:
        return [Tune(name, split, collection=source) for name, split in split_midi(names)]
    try:
        rows = csv.DictReader(StringIO(table.decode("utf-8-sig")))
    except UnicodeDecodeError as error:
        raise DamagedDataError(f"The {_TABLE} of {source} is not text in UTF-8.") from error
    missing = [column for column in _COLUMNS if column not in (rows.fieldnames or ())]
    if missing:
        raise DamagedDataError(f"The {_TABLE} of {source} has no column {', '.join(missing)}.")
    present = set(names)
    tunes = [_tune(row, source) for row in rows]
    return [tune for tune in tunes if tune.name in present]


def _tune(row: dict[str, str | None], source: str) -> Tune:
    name, title, collection, split, credit = (row[column] or "" for column in _COLUMNS)
    if split not in SPLITS:
        raise DamagedDataError(
            f"The {_TABLE} of {source} puts {name} in the split {split!r}, "
            f"not in {', '.join(SPLITS)}."
        )
    return Tune(name, split, title, collection, credit)


def line_windows(
    rows: NDArray[np.integer[Any]],
    tempos_bpm: NDArray[np.float32],
    performance: NDArray[np.int64],
    start_bars: NDArray[np.int64],
    labels: tuple[Tune, ...],
    grid: Grid,
    alphabets: tuple[Alphabet, ...] = (LINE_CLASSES,),
) -> LineWindows:
    """Return windows of lines, or of parts with these alphabets; the grid is not needed."""
    return LineWindows(rows, tempos_bpm, performance, start_bars, labels, alphabets)


LINES = SetReader(_files, _read_file, _cut, line_windows, Tune, "melodies")
"""How sets of melodies are read and cut; a performance is a `LineReading`."""
