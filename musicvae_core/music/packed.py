"""Arrays and music as short texts, exactly, for JSON that pydantic writes and reads.

A dataclass with a field of type `Floats`, `Groove`, `Line` or `Piece` can be given to a
`TypeAdapter` as it is.
"""

from __future__ import annotations

import base64
import struct
import zlib
from abc import ABC, abstractmethod
from typing import Annotated, Any, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import GetCoreSchemaHandler, PlainSerializer, PlainValidator

_MAX_BYTES = 2**20
"""Of an unpacked text: some forty times the fullest piece of 256 bars."""
_SHAPE = struct.Struct("<B")
_SIDE = struct.Struct("<I")


def _pack_floats(array: NDArray[np.float32]) -> str:
    """Return a float32 array as a text, its shape with it."""
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
    """Return bytes as letters, deflated."""
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
        raise ValueError("no array, and no text of one")
    return _unpack_floats(value)


Floats = Annotated[NDArray[np.float32], PlainValidator(_validate), PlainSerializer(_pack_floats)]
"""A float32 array of any shape."""


class WrittenAsText(ABC):
    """Music that pydantic takes as it is, and writes to JSON as a short text."""

    @abstractmethod
    def to_text(self) -> str:
        """Return it as a short text, exactly."""

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
        """Return the schema of a value that is one already, or the text of one."""
        form = Annotated[Any, PlainValidator(cls._validated), PlainSerializer(cls.to_text)]
        return handler.generate_schema(form)

    @classmethod
    def _validated(cls, value: Any) -> Self:
        if isinstance(value, cls):
            return value
        if not isinstance(value, str):
            raise ValueError(f"no {cls.__name__.lower()}, and no text of one")
        return cls.from_text(value)
