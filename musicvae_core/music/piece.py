"""`Piece`: parts that play together, lines and drums, on one grid and at one tempo."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from musicvae_core.errors import InvalidMusicError
from musicvae_core.music.drums import DRUM_CLASSES, DRUMS, Alphabet, hits_to_classes
from musicvae_core.music.grid import COMMON_TIME, Grid
from musicvae_core.music.groove import Groove
from musicvae_core.music.line import LINE_CLASSES, Line, classes_to_line, line_to_classes
from musicvae_core.music.packed import MusicOnGrid

Part = Line | Groove
Plays = Literal["drums", "line", "piece"]
"""A form of music that models play; see `forms`."""

MELODY, BASS = "melody", "bass"
TRIO = (MELODY, BASS, DRUMS)
"""The parts of a trio, in order."""
_MAX_LINES = 15
"""A MIDI file has sixteen channels; one is for drums."""

TRIO_CLASSES: Mapping[str, Alphabet] = MappingProxyType(
    {MELODY: LINE_CLASSES, BASS: LINE_CLASSES, DRUMS: DRUM_CLASSES}
)
"""The classes of a step, for each part of a trio."""
_TRIO_PROGRAMS: Mapping[str, int] = MappingProxyType({MELODY: 81, BASS: 33})
"""Default General MIDI programs of a trio's lines: a synth lead and a bass guitar."""


@dataclass(frozen=True, eq=False)
class Piece(MusicOnGrid):
    """Parts by name, in display order: any number of lines, and at most one drum part.

    piece = Piece({"melody": melody, "bass": bass, "drums": groove})
    piece["bass"].program, piece.drums.n_hits, piece.n_bars

    Parameters
    ----------
    parts
        All have the same length, tempo and grid.

    Raises
    ------
    InvalidMusicError
        If they do not, there are no parts, a name is empty, or there are two drum parts.
    """

    parts: Mapping[str, Part]

    def __post_init__(self) -> None:
        object.__setattr__(self, "parts", MappingProxyType(dict(self.parts)))
        if not self.parts or not all(self.parts):
            raise InvalidMusicError("A piece has one or more parts, each with a name.")
        n_drums = sum(isinstance(part, Groove) for part in self.parts.values())
        if n_drums > 1 or len(self.parts) - n_drums > _MAX_LINES:
            raise InvalidMusicError(
                f"A piece has one part of drums and {_MAX_LINES} lines at most; "
                f"this one has {n_drums} and {len(self.parts) - n_drums}."
            )
        for what in ("n_steps", "tempo_bpm", "grid"):
            values = {name: getattr(part, what) for name, part in self.parts.items()}
            if len(set(values.values())) > 1:
                listed = ", ".join(f"{name}: {value}" for name, value in values.items())
                raise InvalidMusicError(f"The parts differ in {what} ({listed}): make them equal.")

    @classmethod
    def together(cls, parts: Mapping[str, Part], tempo_bpm: float | None = None) -> Piece:
        """Build a piece from parts of any length and tempo; shorter ones are padded with silence.

        The tempo defaults to that of the first part.

        Raises
        ------
        InvalidMusicError
            If the grids differ, or the parts do not make a `Piece`.
        """
        n_bars = max((part.n_bars for part in parts.values()), default=0)
        tempos = [part.tempo_bpm for part in parts.values()]
        tempo = tempo_bpm if tempo_bpm is not None else next(iter(tempos), 0.0)
        return cls({name: part.padded(n_bars).at_tempo(tempo) for name, part in parts.items()})

    def __getitem__(self, name: str) -> Part:
        """Return a part by name."""
        return self.parts[name]

    def __eq__(self, other: object) -> bool:
        """Whether all parts are equal, in the same order and with the same names."""
        if not isinstance(other, Piece):
            return NotImplemented
        return list(self.parts.items()) == list(other.parts.items())

    def __hash__(self) -> int:
        return hash(tuple(self.parts.items()))

    @property
    def _first(self) -> Part:
        return next(iter(self.parts.values()))

    @property
    def lines(self) -> Mapping[str, Line]:
        """The parts that are lines, by name."""
        return {name: part for name, part in self.parts.items() if isinstance(part, Line)}

    @property
    def drums(self) -> Groove | None:
        """The drum part; None if there is none."""
        grooves = (part for part in self.parts.values() if isinstance(part, Groove))
        return next(grooves, None)

    @property
    def tempo_bpm(self) -> float:
        """Quarter notes per minute."""
        return self._first.tempo_bpm

    @property
    def grid(self) -> Grid:
        """The grid of the steps."""
        return self._first.grid

    @property
    def n_steps(self) -> int:
        """Length in steps."""
        return self._first.n_steps

    def with_parts(self, parts: Mapping[str, Part]) -> Piece:
        """Return the piece with parts replaced, or appended if they are new."""
        return Piece({**self.parts, **parts})

    def only(self, names: Iterable[str]) -> Piece:
        """Return the piece with only these parts.

        Raises
        ------
        InvalidMusicError
            If no part is left.
        """
        wanted = set(names)
        return Piece({name: part for name, part in self.parts.items() if name in wanted})

    def at_tempo(self, tempo_bpm: float) -> Piece:
        """Return the same piece at another tempo."""
        return Piece({name: part.at_tempo(tempo_bpm) for name, part in self.parts.items()})

    def bars(self, start_bar: int, n_bars: int) -> Piece:
        """Return `n_bars` bars starting at `start_bar`, counted from 0; see `Line.bars`.

        Raises
        ------
        InvalidMusicError
            If a bar does not exist, or `n_bars` is not positive.
        """
        return Piece({name: part.bars(start_bar, n_bars) for name, part in self.parts.items()})

    def repeated(self, n_bars: int) -> Piece:
        """Return the piece repeated, or cut, to `n_bars` bars."""
        return Piece({name: part.repeated(n_bars) for name, part in self.parts.items()})

    def transposed(self, semitones: int) -> Piece:
        """Return the piece with all lines transposed; negative is down.

        Raises
        ------
        InvalidMusicError
            If a pitch would leave 0 to 127.
        """
        moved = {name: line.transposed(semitones) for name, line in self.lines.items()}
        return self.with_parts(moved)

    def to_text(self) -> str:
        """Return the piece as a lossless text."""
        return json.dumps(
            [[name, isinstance(part, Groove), part.to_text()] for name, part in self.parts.items()]
        )

    @classmethod
    def from_text(cls, text: str) -> Piece:
        """Undo `to_text`.

        Raises
        ------
        ValueError
            If the text is damaged or not a piece.
        """
        try:
            return cls(
                {
                    str(name): (Groove if is_drums else Line).from_text(part)
                    for name, is_drums, part in json.loads(text)
                }
            )
        except TypeError as error:
            raise ValueError("the text is not a piece") from error


def trio_to_classes(piece: Piece, grid: Grid = COMMON_TIME) -> NDArray[np.int64]:
    """Return the class of each part of a trio at each step, (T, 3) int64, without feel.

    Raises
    ------
    InvalidMusicError
        If a part is missing, or a line leaves the piano's range.
    GridError
        If the piece is on a different grid.
    """
    if set(piece.parts) != set(TRIO) or piece.drums is None:
        raise InvalidMusicError(
            f"A trio has a {MELODY}, a {BASS} and {DRUMS}; this has {', '.join(piece.parts)}."
        )
    lines = [line_to_classes(piece.lines[name], grid) for name in (MELODY, BASS)]
    return np.stack([*lines, hits_to_classes(piece.drums.hits)], axis=-1)


def classes_to_trio(
    classes: NDArray[np.integer[Any]],
    tempo_bpm: float = 120.0,
    programs: Mapping[str, int] = _TRIO_PROGRAMS,
    grid: Grid = COMMON_TIME,
) -> Piece:
    """Return classes (T, 3) as a trio; undoes `trio_to_classes`."""
    lines = {
        name: classes_to_line(classes[:, column], tempo_bpm, programs[name], grid=grid)
        for column, name in enumerate((MELODY, BASS))
    }
    drums = Groove.from_hits(DRUM_CLASSES.table[classes[:, 2]] > 0, tempo_bpm=tempo_bpm, grid=grid)
    return Piece({**lines, DRUMS: drums})


def trio_to_features(piece: Piece, grid: Grid = COMMON_TIME) -> NDArray[np.float32]:
    """Return a trio as features, (T, F) float32, with its parts concatenated."""
    classes = trio_to_classes(piece, grid).T
    tables = [alphabet.table for alphabet in TRIO_CLASSES.values()]
    return np.concatenate([table[one] for table, one in zip(tables, classes, strict=True)], axis=1)


def features_to_trio(
    features: NDArray[np.float32], tempo_bpm: float, grid: Grid = COMMON_TIME
) -> Piece:
    """Return features (T, F) as a trio; undoes `trio_to_features`."""
    columns, start = [], 0
    for alphabet in TRIO_CLASSES.values():
        own = features[:, start : start + len(alphabet.key)]
        columns.append((own > 0.5).astype(np.int64) @ alphabet.key)
        start += alphabet.n_features
    return classes_to_trio(np.stack(columns, axis=1), tempo_bpm, grid=grid)
