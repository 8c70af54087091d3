"""Writing a file whole or not at all, and reading arrays without trusting them."""

from __future__ import annotations

import json
import os
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from musicvae_core.errors import ConfigError

DAMAGED = (
    *(OSError, EOFError, ValueError, KeyError, TypeError, RuntimeError),
    *(zipfile.BadZipFile, zlib.error, struct.error),
)
"""What reading a damaged file raises, RuntimeError for a compression that there is not."""
_PART = ".part"
"""How the name of a file ends that is being written."""


def write_atomically(target: Path, write: Callable[[Path], object]) -> None:
    """Write a file beside its target, flush it to disk, and put it in place in one move.

    A stop at any moment leaves the old file or the new one, never a part.

    Parameters
    ----------
    target
        The file to make or replace; its folder is there.
    write
        Called once with the path to fill in its stead, an empty file. What it raises is
        passed on, with nothing left beside the target.
    """
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.", suffix=_PART)
    os.close(handle)
    part = Path(name)
    try:
        write(part)
        with part.open("rb") as written:
            os.fsync(written.fileno())
        part.chmod(0o644)
        part.replace(target)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def write_content(target: Path, content: bytes | str) -> None:
    """Write bytes, or a text in UTF-8, as a file, whole or not at all; see `write_atomically`.

    A link is followed, and what is no plain file, such as `/dev/stdout`, is written to as it is.
    """
    data = content.encode() if isinstance(content, str) else content
    if target.exists() and not target.is_file():
        target.write_bytes(data)
    else:
        write_atomically(target.resolve(), lambda part: part.write_bytes(data))


def check_file(target: Path) -> None:
    """Refuse a path that no file can be written to, before the work that would fill it.

    Raises
    ------
    ConfigError
        If it is a folder, or in none.
    """
    if target.is_dir():
        raise ConfigError(f"{target} is a folder: give the name of a file.")
    if not target.parent.is_dir():
        raise ConfigError(f"There is no folder {target.parent}: make it, or give another.")


def make_folder(target: Path) -> None:
    """Make a folder where there is none.

    Raises
    ------
    ConfigError
        If a file is in the way.
    """
    try:
        target.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise ConfigError(f"{target} cannot be a folder: a file is in the way.") from error


def remove_parts(folder: Path) -> None:
    """Remove what `write_atomically` leaves in a folder, there or not, when it is killed."""
    for part in folder.glob(f".*{_PART}"):
        part.unlink(missing_ok=True)


def write_arrays(
    target: Path, about: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]
) -> None:
    """Write arrays as an npz file, whole or not at all, with what is to be said of them.

    Parameters
    ----------
    target
        The file to make or replace.
    about
        As JSON takes it; its `format` is what `read_arrays` asks for.
    arrays
        By name, none of them `about`.
    """
    said = np.frombuffer(json.dumps(about).encode(), np.uint8)
    content = BytesIO()
    np.savez_compressed(content, about=said, **arrays)  # type: ignore[arg-type]
    write_atomically(target, lambda part: part.write_bytes(content.getbuffer()))


def read_arrays(path: Path, form: str) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Return what `write_arrays` wrote, each array checked against its sum before it is parsed.

    Raises
    ------
    One of `DAMAGED`
        If the file is not whole, is of another format, or would have to be unpickled.
    """
    with zipfile.ZipFile(path) as stored:
        contents = {name.removesuffix(".npy"): stored.read(name) for name in stored.namelist()}
    arrays = {
        name: np.lib.format.read_array(BytesIO(content), allow_pickle=False)
        for name, content in contents.items()
    }
    about = json.loads(arrays.pop("about").tobytes())
    if about["format"] != form:
        raise ValueError(f"its format is {about['format']!r}")
    return about, arrays


def check_arrays(arrays: Mapping[str, NDArray[Any]], shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Refuse arrays of other shapes, or with numbers that are not finite, with a ValueError."""
    for name, shape in shapes.items():
        if arrays[name].shape != shape:
            raise ValueError(f"{name} has shape {arrays[name].shape} in place of {shape}")
        if not np.isfinite(arrays[name]).all():
            raise ValueError(f"not every number of {name} is finite")
