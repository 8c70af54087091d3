"""Share codes: a groove with its model, tempo and kit as a short text, and back.

    text = write_share_code(Shared(groove, "groove_2bar", "Standard"))
    shared = read_share_code(text)

A code is `gs1.` and base64url of a checksum (CRC-32) and a body: the length in bars, the tempo
in thousandths, the two names, then the cells of the hits in bits, a level of 1 to 127 and a
tick of -60 to 59 for each hit. A body that deflate makes shorter is deflated. Levels or ticks
that are all the same are written once.
"""

from __future__ import annotations

import base64
import binascii
import struct
import zlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from musicvae_core.errors import MusicVAEError, NewerShareCodeError, ShareCodeError
from musicvae_core.groove import Groove
from musicvae_core.vocabulary import (
    N_VOICES,
    STEPS_PER_BAR,
    TICKS_PER_STEP,
    VELOCITY_LEVELS,
)

VERSION = 1
MAX_BARS = 64
MAX_NAME_BYTES = 60
MAX_CODE_LENGTH = 16_000
"""Letters; the fullest groove of 64 bars, every cell its own level and tick, would need more."""

_PREFIX = "gs"
_PLAIN, _DEFLATED = b"\x00", b"\x01"
_HEAD = struct.Struct(">BI")
_CHECKSUM = struct.Struct(">I")
_MAX_BODY = 3 * MAX_BARS * STEPS_PER_BAR * N_VOICES
_HALF_STEP = TICKS_PER_STEP // 2
_TEMPO_SCALE = 1000
_SAME, _EACH = b"\x00", b"\x01"


@dataclass(frozen=True, eq=False)
class Shared:
    """What a share code says.

    Parameters
    ----------
    groove
        With its tempo; velocities in 127ths, offsets in ticks of 1/120 step, the tempo in
        thousandths of a beat a minute.
    model
        The name of the model that it belongs to; empty for none.
    kit
        The name of the drum kit to play it with; empty for any.
    """

    groove: Groove
    model: str = ""
    kit: str = ""


def write_share_code(shared: Shared) -> str:
    """Return a share code; see the module for what is in it.

    Raises
    ------
    ShareCodeError
        If the groove or a name is too long for one.
    """
    groove = shared.groove
    if groove.n_bars > MAX_BARS:
        raise ShareCodeError(
            f"The groove has {groove.n_bars} bars and a share code holds {MAX_BARS}: "
            "choose some of them, or send the MIDI file."
        )
    body = _HEAD.pack(groove.n_bars, round(groove.tempo_bpm * _TEMPO_SCALE))
    body += _pack_name(shared.model) + _pack_name(shared.kit) + _pack_notes(groove)
    smaller = zlib.compress(body, 9, wbits=-15)
    packed = _DEFLATED + smaller if len(smaller) < len(body) else _PLAIN + body
    data = _CHECKSUM.pack(zlib.crc32(packed)) + packed
    code = f"{_PREFIX}{VERSION}.{base64.urlsafe_b64encode(data).decode().rstrip('=')}"
    if len(code) > MAX_CODE_LENGTH:
        raise ShareCodeError(
            f"The groove needs a share code of {len(code)} letters and {MAX_CODE_LENGTH} is the "
            "most: choose fewer bars, or send the MIDI file."
        )
    return code


def read_share_code(text: str) -> Shared:
    """Undo `write_share_code`; white space and line breaks in the text do not matter.

    Raises
    ------
    NewerShareCodeError
        If a later version of this package wrote it.
    ShareCodeError
        If it is no share code, or one that is too long, cut short or changed.
    """
    if len(text) > 2 * MAX_CODE_LENGTH:
        raise ShareCodeError("The text is far too long for a share code: copy the code alone.")
    prefix, _, letters = "".join(text.split()).partition(".")
    version = prefix.removeprefix(_PREFIX)
    if not prefix.startswith(_PREFIX) or not version.isdecimal() or not version.isascii():
        raise ShareCodeError(
            f"This is not a share code: one begins with {_PREFIX}{VERSION}. and is copied whole."
        )
    if int(version[:4]) > VERSION:
        raise NewerShareCodeError(
            "The share code is from a later version of this app: update this one to read it."
        )
    try:
        return _unpack(_decode(letters))
    except (binascii.Error, zlib.error, struct.error, ValueError, MusicVAEError) as error:
        raise ShareCodeError(
            "The share code is damaged or not whole: copy all of it again."
        ) from error


def _decode(letters: str) -> bytes:
    """Return the body of a code, its checksum compared."""
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


def _unpack(body: bytes) -> Shared:
    n_bars, thousandths = _HEAD.unpack_from(body)
    if not 1 <= n_bars <= MAX_BARS:
        raise ValueError(f"{n_bars} bars")
    model, rest = _unpack_name(body[_HEAD.size :])
    kit, notes = _unpack_name(rest)
    return Shared(_unpack_notes(notes, n_bars, thousandths / _TEMPO_SCALE), model, kit)


def _pack_name(name: str) -> bytes:
    data = name.encode()
    if len(data) > MAX_NAME_BYTES:
        raise ShareCodeError(
            f"The name {name!r} is too long for a share code: {MAX_NAME_BYTES} letters are the "
            "most."
        )
    return bytes([len(data)]) + data


def _unpack_name(data: bytes) -> tuple[str, bytes]:
    """Return the name that data begins with, and what follows it."""
    end = 1 + data[0] if data else 0
    if not 0 < end <= len(data) or end > 1 + MAX_NAME_BYTES:
        raise ValueError("a name is cut short or too long")
    return data[1:end].decode(), data[end:]


def _pack_notes(groove: Groove) -> bytes:
    struck = groove.hits
    levels = np.rint(groove.velocities[struck] * VELOCITY_LEVELS).clip(1, VELOCITY_LEVELS)
    ticks = np.rint(groove.offsets[struck] * TICKS_PER_STEP).clip(-_HALF_STEP, _HALF_STEP - 1)
    cells = np.packbits(struck).tobytes()
    return cells + _pack_column(levels) + _pack_column(ticks + _HALF_STEP)


def _unpack_notes(data: bytes, n_bars: int, tempo_bpm: float) -> Groove:
    shape = (n_bars * STEPS_PER_BAR, N_VOICES)
    n_cells = shape[0] * shape[1]
    n_bytes = -(-n_cells // 8)
    bits = np.unpackbits(np.frombuffer(data[:n_bytes], np.uint8))
    hits = bits[:n_cells].astype(bool).reshape(shape)
    n_hits = int(hits.sum())
    levels, rest = _unpack_column(data[n_bytes:], n_hits)
    ticks, rest = _unpack_column(rest, n_hits)
    if rest or (ticks >= TICKS_PER_STEP).any() or (levels > VELOCITY_LEVELS).any():
        raise ValueError("a note is out of its range")
    grids = np.zeros((2, *shape), np.float32)
    grids[0][hits] = levels / VELOCITY_LEVELS
    grids[1][hits] = (ticks - _HALF_STEP) / TICKS_PER_STEP
    return Groove(hits, grids[0], grids[1], tempo_bpm)


def _pack_column(values: NDArray[np.float32]) -> bytes:
    """Return whole numbers of 0 to 255 as bytes, as one where all are the same."""
    data = values.astype(np.uint8).tobytes()
    return _SAME + data[:1] if len(set(data)) == 1 else _EACH + data


def _unpack_column(data: bytes, n: int) -> tuple[NDArray[np.int64], bytes]:
    """Return n numbers that data begins with, and what follows them."""
    end = 2 if data[:1] == _SAME else 1 + n
    if data[:1] not in (_SAME, _EACH) or len(data) < end:
        raise ValueError("the notes are cut short")
    values = np.frombuffer(data[1:end], np.uint8).astype(np.int64)
    return (np.repeat(values, n) if data[:1] == _SAME else values), data[end:]
