"""Sets of trios: zips with tables of songs and windows, or MIDI files; loading sets of any form."""

from __future__ import annotations

import csv
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from io import StringIO
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from musicvae_core.data.dataset import DRUMS, archive_member, load_dataset
from musicvae_core.data.lines import LINES, LineWindows, Tune, line_windows, load_lines, tune_files
from musicvae_core.data.store import Cut, SetReader, StoredSet, describe_skipped
from musicvae_core.data.windows import Split, WindowSource
from musicvae_core.errors import DataError, NoMelodyError
from musicvae_core.music.grid import COMMON_TIME, Grid
from musicvae_core.music.groove import Groove
from musicvae_core.music.line import SILENT
from musicvae_core.music.line_midi import read_line, read_piece
from musicvae_core.music.piece import (
    MELODY,
    TRIO,
    TRIO_CLASSES,
    Part,
    Piece,
    Plays,
    trio_to_classes,
)

_WINDOWS_TABLE = "windows16.csv"
_BARS_OF_THE_TABLE = 16
_MAX_SILENT_BARS = 2

_Starts = dict[str, list[int]]
"""The bars at which windows start, by the melody's track; an empty name is any track."""


@dataclass(frozen=True)
class _Song:
    """One song: a trio for each track that can be its melody, and its listed windows.

    Parameters
    ----------
    pieces
        The trios, by the name of the melody's track.
    starts
        The windows of 16 bars listed in the data set's table; None without one.
    """

    pieces: dict[str, Piece]
    starts: _Starts | None

    @property
    def grid(self) -> Grid:
        """The grid of all its pieces."""
        return next(iter(self.pieces.values())).grid

    def window_bars(self, n_bars: int) -> Iterator[tuple[Piece, int]]:
        """Yield the piece and the first bar of every window; see `TrioDataset.windows`."""
        listed = self.starts if n_bars == _BARS_OF_THE_TABLE else None
        for name, piece in self.pieces.items():
            last = piece.n_bars - n_bars
            bars = range(last + 1) if listed is None else listed.get(name, [])
            for bar in (bar for bar in bars if bar <= last):
                if listed is not None or _all_play(piece.bars(bar, n_bars)):
                    yield piece, bar
            if listed is None:
                break  # windows with other melodies would repeat bass and drums


@dataclass
class _TrioDataset:
    """All songs that could be read, and counts of the files that could not, by reason."""

    labels: list[Tune] = field(default_factory=list)
    songs: list[_Song] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)

    def n_windows(self, split: str, n_bars: int) -> int:
        """Return the number of windows that `windows` would cut."""
        songs = zip(self.labels, self.songs, strict=True)
        return sum(
            1 for tune, song in songs if tune.split == split for _ in song.window_bars(n_bars)
        )

    def windows(
        self, split: Split, n_bars: int, minimum: int = 1, shortest_bars: int = 0
    ) -> LineWindows:
        """Cut a split into windows of `n_bars` bars, one bar apart, within songs.

        Windows of 16 bars are those of the data set's table, if it has one. Otherwise, windows in
        which a part is silent for more than two consecutive bars are left out.

        Parameters
        ----------
        split, n_bars, minimum, shortest_bars
            As `LineDataset.windows`.

        Returns
        -------
        LineWindows
            With classes (N, T, 3) uint16: melody, bass and drums.

        Raises
        ------
        TooFewExamplesError
            If there are fewer than `minimum`.
        """
        performances = zip(self.labels, self.songs, strict=True)
        grid = self.songs[0].grid if self.songs else COMMON_TIME
        made: LineWindows = _TRIOS.cut_split(
            performances, split, n_bars, minimum, shortest_bars, grid
        )
        return made


def _cut(song: _Song, n_bars: int, shortest_bars: int) -> Cut:
    found = list(song.window_bars(n_bars))
    rows = np.zeros((len(found), n_bars * song.grid.steps_per_bar, len(TRIO)), np.uint16)
    for row, (piece, bar) in zip(rows, found, strict=True):
        row[:] = trio_to_classes(piece.bars(bar, n_bars), piece.grid)
    piece = next(iter(song.pieces.values()))
    return Cut(rows, np.array([bar for _, bar in found], np.int64), piece.tempo_bpm)


def _all_play(piece: Piece) -> bool:
    return all(_longest_silence(part) <= _MAX_SILENT_BARS for part in piece.parts.values())


def _longest_silence(part: Part) -> int:
    """Return the largest number of consecutive silent bars of a part."""
    sounds = part.hits.any(axis=1) if isinstance(part, Groove) else part.pitches != SILENT
    silent_bars = [not bar.any() for bar in sounds.reshape(part.n_bars, -1)]
    return max((len(list(run)) for silent, run in groupby(silent_bars) if silent), default=0)


def form_of_set(path: Path) -> Plays:
    """Return the form of a set's music, judging by its tables; drums by default.

    A folder with zips of melodies counts as melodies, even if it also has zips of trios.
    """
    if _holds(path, _WINDOWS_TABLE):
        return "piece"
    has_archives = path.is_dir() and any(path.glob("melody_*.zip"))
    return "line" if has_archives or _holds(path, "index.csv") else "drums"


def _holds(path: Path, name: str) -> bool:
    """Return whether a folder or a zip has a file of this name at its top level."""
    if path.is_dir():
        return (path / name).is_file()
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return name in archive.namelist()


def load_trios(path: Path, *, grid: Grid = COMMON_TIME) -> _TrioDataset:
    """Read a set of songs with melody, bass and drums.

    Parameters
    ----------
    path
        A zip or a folder with an `index.csv` of songs and a `windows16.csv` of their windows; a
        folder of such zips, named `trio_*.zip`, which are read together; or any folder of MIDI
        files, which are split by file, 80/10/10, with a fixed seed, and read by `read_piece`.
    grid
        The grid to quantise to; songs in another metre are skipped.

    Raises
    ------
    DataError
        If no song at the path has all three parts.
    DamagedDataError
        If an archive is damaged, or its table lacks a column or has a broken row.
    """
    path = Path(path)
    if not path.exists():
        raise DataError(f"There is no data set at {path}; give a zip or a folder.")
    dataset = _TrioDataset()
    for tune, song in _TRIOS.performances(_files(path), dataset.skipped, grid=grid):
        dataset.labels.append(tune)
        dataset.songs.append(song)
    if not dataset.songs:
        raise DataError(
            f"No song at {path} has melody, bass and drums. {describe_skipped(dataset.skipped)}"
        )
    return dataset


def _files(path: Path) -> Iterator[tuple[Tune, tuple[bytes, _Starts | None]]]:
    """Yield every song with its file's contents and its listed windows.

    Each song is its own collection, since training balances collections.
    """
    tables: dict[Path, dict[str, _Starts] | None] = {}
    for source, tune, content in tune_files(path, "trio"):
        if source not in tables:
            tables[source] = _windows_table(source)
        table = tables[source]
        starts = None if table is None else table.get(tune.name, {})
        yield replace(tune, collection=tune.title or tune.name), (content, starts)


def _windows_table(source: Path) -> dict[str, _Starts] | None:
    """Read where windows start, by file and melody; None without a table."""
    if source.is_file():
        if not zipfile.is_zipfile(source):
            return None
        with zipfile.ZipFile(source) as archive:
            if _WINDOWS_TABLE not in archive.namelist():
                return None
            table = archive_member(archive, _WINDOWS_TABLE)
    elif (source / _WINDOWS_TABLE).is_file():
        table = (source / _WINDOWS_TABLE).read_bytes()
    else:
        return None
    starts: dict[str, _Starts] = {}
    for row in csv.DictReader(StringIO(table.decode("utf-8-sig"))):
        starts.setdefault(row["file"], {}).setdefault(row["melody"], []).append(int(row["bar"]))
    return starts


def _read_file(file: tuple[bytes, _Starts | None], *, grid: Grid) -> _Song:
    """Read a song, with a trio for each track that is the melody of a window."""
    content, starts = file
    first, *others = list(starts or {}) or [""]
    piece = read_piece(content, tracks={MELODY: first} if first else {}, grid=grid).piece
    missing = set(TRIO) - set(piece.parts)
    if missing:
        raise NoMelodyError(f"The file has no {', no '.join(sorted(missing))}.")
    pieces = {first: piece}
    for name in others:
        melody = read_line(content, track=name, grid=grid).line
        pieces[name] = Piece.together({**piece.parts, MELODY: melody}, piece.tempo_bpm)
    for each in pieces.values():
        trio_to_classes(each, grid)  # raises for pitches that no model plays
    return _Song(pieces, starts)


_TRIOS = SetReader(
    _files,
    _read_file,
    _cut,
    partial(line_windows, alphabets=tuple(TRIO_CLASSES.values())),
    Tune,
    "songs with melody, bass and drums",
)

_LOADERS: Mapping[Plays, tuple[Callable[..., WindowSource[Any]], SetReader]] = {
    "drums": (load_dataset, DRUMS),
    "line": (load_lines, LINES),
    "piece": (load_trios, _TRIOS),
}
"""For each form, the function that reads a set into memory, and the `SetReader` for stores."""


def load_data(
    plays: Plays,
    path: Path,
    *,
    store: Path | None = None,
    grid: Grid = COMMON_TIME,
    **reading: Any,
) -> WindowSource[Any]:
    """Read a training set of a form of music.

    Parameters
    ----------
    plays
        The form; see `Kind.plays`.
    path
        A zip or a folder.
    store
        A folder in which to keep windows, instead of in memory; see `StoredSet`.
    grid
        The grid to quantise to.
    reading
        Options for reading drums; see `load_dataset`.

    Raises
    ------
    DataError
        If nothing can be read.
    """
    load, reader = _LOADERS[plays]
    if store is None:
        return load(path, grid=grid, **reading)
    return StoredSet(reader, path, store, {"grid": grid, **reading})
