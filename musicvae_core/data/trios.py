"""Sets of trios: zips with tables of songs and of windows, or MIDI files; and sets of any form."""

from __future__ import annotations

import csv
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from io import StringIO
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from musicvae_core.data.dataset import archive_member, describe_skipped, load_dataset
from musicvae_core.data.files import holds
from musicvae_core.data.lines import LineWindows, Tune, load_lines, tune_files
from musicvae_core.data.windows import Split, WindowSource
from musicvae_core.errors import (
    DataError,
    MusicVAEError,
    NoMelodyError,
    TooFewExamplesError,
)
from musicvae_core.music.forms import Plays
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
    trio_to_classes,
)

_ARCHIVES = "trio_*.zip"
_WINDOWS_TABLE = "windows16.csv"
_BARS_OF_THE_TABLE = 16
_MAX_SILENT_BARS = 2

_Starts = dict[str, list[int]]
"""The bars at which windows begin, by the track of their melody; an empty name is any."""


@dataclass(frozen=True)
class _Song:
    """One song: its trio with each track that can be its melody, and the windows chosen in it.

    Parameters
    ----------
    tune
        What is known about it; windows are drawn evenly over tunes' collections, so each song
        is one of its own.
    pieces
        The trio with a melody, by the name of the melody's track.
    starts
        The windows of 16 bars that the data set's table lists; None without one.
    """

    tune: Tune
    pieces: dict[str, Piece]
    starts: _Starts | None

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
    """All songs that could be read, and the count of what could not, by reason."""

    songs: list[_Song] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)

    @property
    def labels(self) -> list[Tune]:
        """What is known about each song."""
        return [song.tune for song in self.songs]

    def n_windows(self, split: str, n_bars: int) -> int:
        """Return how many windows `windows` would cut."""
        return sum(
            1 for song in self.songs if song.tune.split == split for _ in song.window_bars(n_bars)
        )

    def windows(
        self, split: Split, n_bars: int, minimum: int = 1, shortest_bars: int = 0
    ) -> LineWindows:
        """Cut a split into windows of `n_bars` bars, a bar apart, never across songs.

        Of 16 bars they are those of the data set's table, where it has one. Otherwise a window
        is left out in which a part is silent for more than two bars on end.

        Parameters
        ----------
        split, n_bars, minimum, shortest_bars
            As `LineDataset.windows`.

        Returns
        -------
        LineWindows
            With classes (N, T, 3) uint16 of melody, bass and drums.

        Raises
        ------
        TooFewExamplesError
            If there are fewer than `minimum`.
        """
        songs = [song for song in self.songs if song.tune.split == split]
        found = [list(song.window_bars(n_bars)) for song in songs]
        counts = [len(windows) for windows in found]
        if sum(counts) < minimum:
            raise TooFewExamplesError(
                f"The {split} split has {sum(counts)} windows of {n_bars} bars and {minimum} are "
                f"needed; add songs of at least {n_bars} bars with melody, bass and drums."
            )
        every = [window for windows in found for window in windows]
        return LineWindows(
            np.array(
                [trio_to_classes(piece.bars(bar, n_bars), piece.grid) for piece, bar in every],
                np.uint16,
            ),
            np.array([piece.tempo_bpm for piece, _ in every], np.float32),
            np.repeat(np.arange(len(songs)), counts),
            np.array([bar for _, bar in every], np.int64),
            tuple(song.tune for song in songs),
            tuple(TRIO_CLASSES.values()),
        )


def _all_play(piece: Piece) -> bool:
    return all(_longest_silence(part) <= _MAX_SILENT_BARS for part in piece.parts.values())


def _longest_silence(part: Part) -> int:
    """Return for how many whole bars on end a part is silent at most."""
    sounds = part.hits.any(axis=1) if isinstance(part, Groove) else part.pitches != SILENT
    silent_bars = [not bar.any() for bar in sounds.reshape(part.n_bars, -1)]
    return max((len(list(run)) for silent, run in groupby(silent_bars) if silent), default=0)


def holds_trios(path: Path) -> bool:
    """Say whether a path is a set of songs with a table of windows of trios.

    A folder of zips of melodies may hold some of trios as well, and is taken for the former.
    """
    return holds(path, _WINDOWS_TABLE)


def load_trios(path: Path, *, grid: Grid = COMMON_TIME) -> _TrioDataset:
    """Read a set of songs with melody, bass and drums.

    Parameters
    ----------
    path
        A zip or a folder with an `index.csv` of songs and a `windows16.csv` of their windows; a
        folder of such zips, named `trio_*.zip`, which are read together; or any folder of MIDI
        files, which are split by file, 80/10/10, by a fixed seed, and read by `read_piece`.
    grid
        What to put the notes on; songs in another metre are left out.

    Raises
    ------
    DataError
        If there is no song at the path with all three parts.
    DamagedDataError
        If an archive is not whole, or its table lacks a column or has a broken row.
    """
    path = Path(path)
    if not path.exists():
        raise DataError(f"There is no data set at {path}; give a zip or a folder.")
    archives = sorted(path.glob(_ARCHIVES)) if path.is_dir() else [path]
    dataset = _TrioDataset()
    for source in archives or [path]:
        tables = _windows_table(source)
        for tune, content in tune_files(source):
            starts = tables.get(tune.name, {}) if tables is not None else None
            try:
                dataset.songs.append(_read_song(tune, content, starts, grid))
            except MusicVAEError as error:
                dataset.skipped[str(error)] += 1
    if not dataset.songs:
        raise DataError(
            f"No song at {path} has melody, bass and drums. {describe_skipped(dataset.skipped)}"
        )
    return dataset


def _windows_table(source: Path) -> dict[str, _Starts] | None:
    """Read where windows begin, by file and melody; None without a table."""
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


def _read_song(tune: Tune, content: bytes, starts: _Starts | None, grid: Grid) -> _Song:
    """Read a song once for each track that is the melody of a window."""
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
        trio_to_classes(each, grid)  # refuses pitches that no model plays
    return _Song(replace(tune, collection=tune.title or tune.name), pieces, starts)


_LOADERS: Mapping[Plays, Callable[..., WindowSource[Any]]] = {
    "drums": load_dataset,
    "line": load_lines,
    "piece": load_trios,
}


def load_data(plays: Plays, path: Path, **reading: Any) -> WindowSource[Any]:
    """Read a set of what models of a form of music learn from.

    Parameters
    ----------
    plays
        The form, see `Kind.plays`.
    path
        A zip or a folder.
    reading
        How drums are read, see `load_dataset`.

    Raises
    ------
    DataError
        If there is nothing to read.
    """
    return _LOADERS[plays](path, **reading)
