"""Share codes: a groove or a piece with its model, tempo and kit as a short text, and back.

    text = write_share_code(Shared(groove, "groove_2bar", "Standard"))
    shared = read_share_code(text)

A code is `gs2.` followed by base64url of a checksum (CRC-32) and a body: the length in bars, the
tempo in thousandths, the names of the model, the kit and the groove, the hits as bits, and for each
hit a level from 1 to 127 and a tick from -60 to 59. The body is deflated if that makes it shorter.
Levels or ticks that are all equal are written once. `gs1.` is the same without the groove's name.
Grids other than sixteenths in 4/4 use `gs3.`: beats per bar and steps per beat follow the tempo,
and ticks divide the grid's own step.

A piece's code starts with `ps1.`, or `ps2.` with its grid. Its body is the head of a groove's body,
followed by the parts: the name, a byte for the type, the length in two bytes, and the notes. The
notes of a line are its program, a byte for each step (see `Line.events`) and a level for each note.
"""

from __future__ import annotations

import base64
import binascii
import dataclasses
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from musicvae_core.errors import MusicVAEError, ShareCodeError
from musicvae_core.music.drums import N_VOICES
from musicvae_core.music.forms import Music, parts_of
from musicvae_core.music.grid import COMMON_TIME, MAX_STEPS_PER_BAR, VELOCITY_LEVELS, Grid
from musicvae_core.music.groove import Groove
from musicvae_core.music.line import FIRST_PITCH_CLASS, Line
from musicvae_core.music.piece import Part, Piece

VERSION = 2
"""The version of codes in sixteenths in 4/4."""
_NAMELESS, _WITH_GRID = 1, 3
"""The versions without a name for the groove, and with a grid."""
_MAX_BARS = 64
_MAX_NAME_BYTES = 60
MAX_CODE_LENGTH = 16_000
"""In characters; a groove of 64 bars with a different level and tick in every cell needs more."""

_PREFIX = "gs"
_PIECE_PREFIX, _PIECE_WITH_GRID = "ps1.", "ps2."
"""The prefixes of share codes of pieces."""
_PLAIN, _DEFLATED = b"\x00", b"\x01"
_HEAD = struct.Struct(">BI")
_CHECKSUM = struct.Struct(">I")
_MAX_BODY = 3 * _MAX_BARS * MAX_STEPS_PER_BAR * N_VOICES
_MAX_TICKS = 240
"""The most ticks per step that fit a byte; longer steps are stored less finely than in MIDI."""
_TEMPO_SCALE = 1000
_SAME, _EACH = b"\x00", b"\x01"
_LINE, _DRUMS = b"\x00", b"\x01"
_PART, _MAX_PART = struct.Struct(">H"), 2**16 - 1
_DAMAGED = (
    binascii.Error, zlib.error, struct.error, ValueError, IndexError, MusicVAEError
)  # fmt: skip
_COPY_AGAIN = "The share code is damaged or incomplete: copy all of it again."


@dataclass(frozen=True, eq=False)
class Shared:
    """The contents of a share code.

    Parameters
    ----------
    music
        With its tempo and grid. Velocities are stored in 127ths, offsets in ticks (1/120 of a
        sixteenth), the tempo in thousandths of a bpm.
    model
        The name of its model; empty for none.
    kit
        The name of the drum kit to play it with; empty for any.
    name
        The name of the music, truncated to `_MAX_NAME_BYTES` in a code; empty for none.
    """

    music: Music
    model: str = ""
    kit: str = ""
    name: str = ""


def write_share_code(shared: Shared) -> str:
    """Return a share code; see the module for its format.

    Raises
    ------
    ShareCodeError
        If the music or a name is too long.
    """
    music = shared.music
    is_groove = isinstance(music, Groove)
    if music.n_bars > _MAX_BARS:
        raise ShareCodeError(
            f"The {'groove' if is_groove else 'piece'} has {music.n_bars} bars and a share code "
            f"holds {_MAX_BARS}: choose some of them, or send the MIDI file."
        )
    body, is_common = _pack_head(shared), music.grid == COMMON_TIME
    if isinstance(music, Groove):
        version = VERSION if is_common else _WITH_GRID
        return _encode(f"{_PREFIX}{version}.", body + _pack_notes(music))
    for name, part in parts_of(music).items():
        notes = _pack_notes(part) if isinstance(part, Groove) else _pack_line(part)
        kind = _DRUMS if isinstance(part, Groove) else _LINE
        if len(notes) > _MAX_PART:
            raise _too_long(len(notes))
        body += _pack_name(name) + kind + _PART.pack(len(notes)) + notes
    return _encode(_PIECE_PREFIX if is_common else _PIECE_WITH_GRID, body)


def _pack_head(shared: Shared) -> bytes:
    music = shared.music
    name = shared.name.encode()[:_MAX_NAME_BYTES].decode(errors="ignore")
    names = b"".join(map(_pack_name, (shared.model, shared.kit, name)))
    grid = () if music.grid == COMMON_TIME else dataclasses.astuple(music.grid)
    return _HEAD.pack(music.n_bars, round(music.tempo_bpm * _TEMPO_SCALE)) + bytes(grid) + names


def _encode(prefix: str, body: bytes) -> str:
    """Return a prefix followed by a body with its checksum, as text."""
    smaller = zlib.compress(body, 9, wbits=-15)
    packed = _DEFLATED + smaller if len(smaller) < len(body) else _PLAIN + body
    data = _CHECKSUM.pack(zlib.crc32(packed)) + packed
    code = prefix + base64.urlsafe_b64encode(data).decode().rstrip("=")
    if len(code) > MAX_CODE_LENGTH:
        raise _too_long(len(code))
    return code


def _too_long(n_letters: int) -> ShareCodeError:
    return ShareCodeError(
        f"The music needs a share code of {n_letters} letters and {MAX_CODE_LENGTH} is the most: "
        "choose fewer bars, or send the MIDI file."
    )


def read_share_code(text: str) -> Shared:
    """Undo `write_share_code`, ignoring white space and line breaks.

    Raises
    ------
    ShareCodeError
        If a later version of this package wrote it; or if it is not a share code, or is too long,
        truncated or changed.
    """
    if len(text) > 2 * MAX_CODE_LENGTH:
        raise ShareCodeError("The text is far too long for a share code: copy the code alone.")
    code = "".join(text.split())
    for start in (_PIECE_PREFIX, _PIECE_WITH_GRID):
        if code.startswith(start):
            unpack = partial(_unpack_piece, has_grid=start == _PIECE_WITH_GRID)
            return _opened(unpack, code.removeprefix(start))
    prefix, _, letters = code.partition(".")
    version = prefix.removeprefix(_PREFIX)
    if not prefix.startswith(_PREFIX) or not version.isdecimal() or not version.isascii():
        raise ShareCodeError(
            f"This is not a share code: one begins with {_PREFIX}{VERSION}. and is copied whole."
        )
    number = int(version[:4])
    if number > _WITH_GRID:
        raise ShareCodeError(
            "The share code is from a later version of this app: update this one to read it."
        )
    unpack = partial(_unpack, has_name=number > _NAMELESS, has_grid=number == _WITH_GRID)
    return _opened(unpack, letters)


def _opened(unpack: Callable[[bytes], Shared], letters: str) -> Shared:
    """Unpack the encoded part of a code; raise `ShareCodeError` if it is damaged."""
    try:
        return unpack(_decode(letters))
    except _DAMAGED as error:
        raise ShareCodeError(_COPY_AGAIN) from error


def _decode(letters: str) -> bytes:
    """Return the body of a code after verifying its checksum."""
    data = base64.b64decode(letters + "=" * (-len(letters) % 4), altchars=b"-_", validate=True)
    packed = data[_CHECKSUM.size :]
    if _CHECKSUM.unpack_from(data)[0] != zlib.crc32(packed):
        raise ValueError("the checksum differs")
    kind, body = packed[:1], packed[1:]
    if kind == _PLAIN:
        return body
    if kind != _DEFLATED:
        raise ValueError("the packing is unknown")
    inflater = zlib.decompressobj(wbits=-15)
    body = inflater.decompress(body, _MAX_BODY)
    if not inflater.eof or inflater.unused_data:
        raise ValueError("the packing does not end where it should")
    return body


def _unpack(body: bytes, *, has_name: bool, has_grid: bool) -> Shared:
    head, notes = _unpack_head(body, n_names=2 + has_name, has_grid=has_grid)
    return Shared(_unpack_notes(notes, head), *head.names)


class _Head(NamedTuple):
    """The head of a body."""

    n_bars: int
    tempo_bpm: float
    grid: Grid
    names: list[str]


def _unpack_head(body: bytes, *, n_names: int, has_grid: bool) -> tuple[_Head, bytes]:
    """Return the head of a body, and the rest."""
    n_bars, thousandths = _HEAD.unpack_from(body)
    if not 1 <= n_bars <= _MAX_BARS:
        raise ValueError(f"{n_bars} bars")
    rest, grid = body[_HEAD.size :], COMMON_TIME
    if has_grid:
        grid, rest = Grid(*rest[:2]), rest[2:]
    names = ["", "", ""]
    for index in range(n_names):
        names[index], rest = _unpack_name(rest)
    return _Head(n_bars, thousandths / _TEMPO_SCALE, grid, names), rest


def _unpack_piece(body: bytes, *, has_grid: bool) -> Shared:
    """Return a piece, or its part if there is only one."""
    head, rest = _unpack_head(body, n_names=3, has_grid=has_grid)
    parts: dict[str, Part] = {}
    while rest:
        name, rest = _unpack_name(rest)
        kind, (length,) = rest[:1], _PART.unpack_from(rest, 1)
        start = 1 + _PART.size
        notes, rest = rest[start : start + length], rest[start + length :]
        if len(notes) < length or kind not in (_LINE, _DRUMS):
            raise ValueError("a part is cut short or of an unknown type")
        unpack = _unpack_notes if kind == _DRUMS else _unpack_line
        parts[name] = unpack(notes, head)
    piece = Piece(parts)
    [first, *more] = parts.values()
    return Shared(piece if more else first, *head.names)


def _pack_name(name: str) -> bytes:
    data = name.encode()
    if len(data) > _MAX_NAME_BYTES:
        raise ShareCodeError(
            f"The name {name!r} is too long for a share code: {_MAX_NAME_BYTES} letters are the "
            "most."
        )
    return bytes([len(data)]) + data


def _unpack_name(data: bytes) -> tuple[str, bytes]:
    """Return the name at the start of data, and the rest."""
    end = 1 + data[0] if data else 0
    if not 0 < end <= len(data) or end > 1 + _MAX_NAME_BYTES:
        raise ValueError("a name is cut short or too long")
    return data[1:end].decode(), data[end:]


def _ticks_of(grid: Grid) -> int:
    return min(grid.ticks_per_step, _MAX_TICKS)


def _pack_notes(groove: Groove) -> bytes:
    hits, n_ticks = groove.hits, _ticks_of(groove.grid)
    half = n_ticks // 2
    levels = np.rint(groove.velocities[hits] * VELOCITY_LEVELS).clip(1, VELOCITY_LEVELS)
    ticks = np.rint(groove.offsets[hits] * n_ticks).clip(-half, n_ticks - half - 1)
    cells = np.packbits(hits).tobytes()
    return cells + _pack_column(levels) + _pack_column(ticks + half)


def _unpack_notes(data: bytes, head: _Head) -> Groove:
    shape = (head.n_bars * head.grid.steps_per_bar, N_VOICES)
    n_cells, n_ticks = shape[0] * shape[1], _ticks_of(head.grid)
    n_bytes = -(-n_cells // 8)
    bits = np.unpackbits(np.frombuffer(data[:n_bytes], np.uint8))
    hits = bits[:n_cells].astype(bool).reshape(shape)
    n_hits = int(hits.sum())
    levels, rest = _unpack_column(data[n_bytes:], n_hits)
    ticks, rest = _unpack_column(rest, n_hits)
    if rest or (ticks >= n_ticks).any() or (levels > VELOCITY_LEVELS).any():
        raise ValueError("a note is out of its range")
    feel = np.zeros((2, *shape), np.float32)
    feel[0][hits] = levels / VELOCITY_LEVELS
    feel[1][hits] = (ticks - n_ticks // 2) / n_ticks
    return Groove(hits, feel[0], feel[1], head.tempo_bpm, head.grid)


def _pack_line(line: Line) -> bytes:
    levels = np.rint(line.velocities[line.onsets] * VELOCITY_LEVELS).clip(1, VELOCITY_LEVELS)
    return bytes([line.program]) + line.events().astype(np.uint8).tobytes() + _pack_column(levels)


def _unpack_line(data: bytes, head: _Head) -> Line:
    end = 1 + head.n_bars * head.grid.steps_per_bar
    events = np.frombuffer(data[1:end], np.uint8)
    levels, rest = _unpack_column(data[end:], int((events >= FIRST_PITCH_CLASS).sum()))
    if rest or len(events) < end - 1:
        raise ValueError("a line is cut short or too long")
    velocities = (levels / VELOCITY_LEVELS).astype(np.float32)
    return Line.from_events(events, velocities, head.tempo_bpm, data[0], head.grid)


def _pack_column(values: NDArray[np.float32]) -> bytes:
    """Return integers from 0 to 255 as bytes, or as one byte if all are equal."""
    data = values.astype(np.uint8).tobytes()
    return _SAME + data[:1] if len(set(data)) == 1 else _EACH + data


def _unpack_column(data: bytes, n: int) -> tuple[NDArray[np.int64], bytes]:
    """Return the n numbers at the start of data, and the rest."""
    end = 2 if data[:1] == _SAME else 1 + n
    if data[:1] not in (_SAME, _EACH) or len(data) < end:
        raise ValueError("the notes are cut short")
    values = np.frombuffer(data[1:end], np.uint8).astype(np.int64)
    return (np.repeat(values, n) if data[:1] == _SAME else values), data[end:]
