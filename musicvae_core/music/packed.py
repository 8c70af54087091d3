"""The base class of all music, and lossless, compact texts of arrays and music for JSON.

pydantic reads and writes dataclasses with fields of type `Floats`, `Groove`, `Line` or `Piece`.
"""

from __future__ import annotations

import base64
import struct
import zlib
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Self, cast

import numpy as np
from numpy.typing import NDArray
from pydantic import GetCoreSchemaHandler, PlainSerializer, PlainValidator

from musicvae_core.errors import InvalidMusicError
from musicvae_core.music.grid import MAX_TEMPO_BPM, MIN_TEMPO_BPM, Grid

_MAX_BYTES = 2**20
"""Limit of an unpacked text: some forty times the fullest piece of 256 bars."""
_SHAPE = struct.Struct("<B")
_SIDE = struct.Struct("<I")


def _pack_floats(array: NDArray[np.float32]) -> str:
    """Return a float32 array as a text that includes its shape."""
    sides = b"".join(_SIDE.pack(side) for side in array.shape)
    return pack_bytes(_SHAPE.pack(array.ndim) + sides + array.astype("<f4").tobytes())


def _unpack_floats(text: str) -> NDArray[np.float32]:
    """Undo `_pack_floats`; the array is read-only.

    Raises
    ------
    ValueError
        If the text is damaged, or a number is not finite.
    """
    data = unpack_bytes(text)
    n_sides = data[0] if data else 0
    start = _SHAPE.size + n_sides * _SIDE.size
    if len(data) < start:
        raise ValueError("the array is cut short")
    sides = [side for (side,) in _SIDE.iter_unpack(data[_SHAPE.size : start])]
    array = np.frombuffer(data[start:], "<f4").astype(np.float32).reshape(sides)
    if not np.isfinite(array).all():
        raise ValueError("not every number is finite")
    array.flags.writeable = False
    return array


def pack_bytes(data: bytes) -> str:
    """Return bytes deflated and as base64."""
    return base64.b64encode(zlib.compress(data)).decode()


def unpack_bytes(text: str) -> bytes:
    """Undo `pack_bytes`.

    Raises
    ------
    ValueError
        If the text is damaged, or holds more than `_MAX_BYTES`.
    """
    inflater = zlib.decompressobj()
    try:
        data = inflater.decompress(base64.b64decode(text, validate=True), _MAX_BYTES)
    except zlib.error as error:
        raise ValueError("the packing is damaged") from error
    if not inflater.eof or inflater.unused_data:
        raise ValueError("the packing does not end where it should")
    return data


def _validate(value: Any) -> NDArray[np.float32]:
    if isinstance(value, np.ndarray):
        return value
    if not isinstance(value, str):
        raise ValueError("neither an array nor the text of one")
    return _unpack_floats(value)


Floats = Annotated[NDArray[np.float32], PlainValidator(_validate), PlainSerializer(_pack_floats)]
"""A float32 array of any shape."""


class MusicOnGrid(ABC):
    """Music of whole bars on a grid; pydantic writes it to JSON as a short text.

    `ARRAYS` names the arrays of a class and their types; each array has a value, or a row of
    values, for each step. They are copied and made read-only, so music can be shared and cached.
    """

    ARRAYS: ClassVar[Mapping[str, type]] = {}

    if TYPE_CHECKING:  # fields or properties of each class

        @property
        def tempo_bpm(self) -> float:
            """Quarter notes per minute."""

        @property
        def grid(self) -> Grid:
            """The grid of the steps."""

    def _freeze_arrays(self) -> None:
        """Copy the arrays and make them read-only; check their shapes and the tempo."""
        for name, dtype in self.ARRAYS.items():
            array: NDArray[Any] = np.array(getattr(self, name), dtype=dtype)
            array.flags.writeable = False
            object.__setattr__(self, name, array)
        object.__setattr__(self, "tempo_bpm", float(self.tempo_bpm))
        shapes = {name: getattr(self, name).shape for name in self.ARRAYS}
        (first, shape), *others = shapes.items()
        if not shape or not shape[0] or shape[0] % self.grid.steps_per_bar:
            raise InvalidMusicError(
                f"{first} has shape {shape}; {self._noun} has a positive multiple of "
                f"{self.grid.steps_per_bar} steps."
            )
        for name, other in others:
            if other != shape:
                raise InvalidMusicError(
                    f"{name} has shape {other}; {first} has {shape}: make them equal."
                )
        if not MIN_TEMPO_BPM <= self.tempo_bpm <= MAX_TEMPO_BPM:
            raise InvalidMusicError(
                f"The tempo is {self.tempo_bpm:g} bpm; "
                f"it must lie in {MIN_TEMPO_BPM:g} to {MAX_TEMPO_BPM:g}."
            )

    @property
    def _noun(self) -> str:
        return f"the {type(self).__name__.lower()}"

    def _other_fields(self) -> tuple[Any, ...]:
        """Return the values of all fields that are not arrays."""
        names = (one.name for one in fields(cast(Any, self)))
        return tuple(getattr(self, name) for name in names if name not in self.ARRAYS)

    def __eq__(self, other: object) -> bool:
        """Whether all fields are exactly equal."""
        if not isinstance(other, type(self)):
            return NotImplemented
        return self._other_fields() == other._other_fields() and all(
            np.array_equal(getattr(self, name), getattr(other, name)) for name in self.ARRAYS
        )

    def __hash__(self) -> int:
        arrays = (getattr(self, name) + 0 for name in self.ARRAYS)  # -0.0 equals 0.0
        return hash((self._other_fields(), *(array.tobytes() for array in arrays)))

    @property
    def n_steps(self) -> int:
        """Length in steps."""
        return len(getattr(self, next(iter(self.ARRAYS))))

    @property
    def n_bars(self) -> int:
        """Length in bars."""
        return self.n_steps // self.grid.steps_per_bar

    @property
    def step_seconds(self) -> float:
        """Duration of a step."""
        return 60.0 / self.tempo_bpm / self.grid.steps_per_beat

    @property
    def duration_seconds(self) -> float:
        """Duration of one pass through the music."""
        return self.n_steps * self.step_seconds

    def at_tempo(self, tempo_bpm: float) -> Self:
        """Return the same music at another tempo."""
        return self._with(tempo_bpm=tempo_bpm)

    def repeated(self, n_bars: int) -> Self:
        """Return the music repeated, or cut, to `n_bars` bars."""
        return self._at(np.arange(n_bars * self.grid.steps_per_bar) % self.n_steps)

    def _with(self, **changes: Any) -> Self:
        changed: Self = replace(cast(Any, self), **changes)
        return changed

    def _at(self, steps: slice | NDArray[np.int64]) -> Self:
        """Return the music of some steps, in the given order."""
        return self._with(**{name: getattr(self, name)[steps] for name in self.ARRAYS})

    def _steps_of(self, start_bar: int, n_bars: int) -> slice:
        """Return the steps of some bars, counted from 0.

        Raises
        ------
        InvalidMusicError
            If a bar does not exist, or `n_bars` is not positive.
        """
        if not 0 <= start_bar < start_bar + n_bars <= self.n_bars:
            raise InvalidMusicError(
                f"There are not {n_bars} bars from bar {start_bar} on; "
                f"{self._noun} has bars 0 to {self.n_bars - 1}: ask for one or more of these."
            )
        steps_per_bar = self.grid.steps_per_bar
        return slice(start_bar * steps_per_bar, (start_bar + n_bars) * steps_per_bar)

    def _check_fits(self, n_bars: int) -> None:
        """Raise `InvalidMusicError` if the music is longer than `n_bars`."""
        if self.n_bars > n_bars:
            raise InvalidMusicError(
                f"{self._noun.capitalize()} has {self.n_bars} bars, more than {n_bars}: "
                "choose some of them."
            )

    @classmethod
    def joined(cls, pieces: Sequence[Self]) -> Self:
        """Concatenate music; tempo and other fields are those of the first.

        Raises
        ------
        InvalidMusicError
            If there is nothing to join, or the grids differ.
        """
        noun = cls.__name__.lower()
        if not pieces:
            raise InvalidMusicError(f"There is no {noun} to join: give one or more.")
        if len({piece.grid for piece in pieces}) > 1:
            raise InvalidMusicError(f"The {noun}s to join have different grids: give one grid.")
        joined = {
            name: np.concatenate([getattr(one, name) for one in pieces]) for name in cls.ARRAYS
        }
        return pieces[0]._with(**joined)

    @abstractmethod
    def to_text(self) -> str:
        """Return the music as a short, lossless text."""

    @classmethod
    @abstractmethod
    def from_text(cls, text: str) -> Self:
        """Undo `to_text`.

        Raises
        ------
        ValueError
            If the text is damaged.
        """

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: Any, handler: GetCoreSchemaHandler) -> Any:
        """Accept an instance, or the text of one."""
        form = Annotated[Any, PlainValidator(cls._validated), PlainSerializer(cls.to_text)]
        return handler.generate_schema(form)

    @classmethod
    def _validated(cls, value: Any) -> Self:
        if isinstance(value, cls):
            return value
        if not isinstance(value, str):
            raise ValueError(f"neither a {cls.__name__.lower()} nor the text of one")
        return cls.from_text(value)
