"""Writing a file whole or not at all, and reading arrays without trusting them."""

from __future__ import annotations

import os
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

DAMAGED = (
    *(OSError, EOFError, ValueError, KeyError, TypeError, RuntimeError),
    *(zipfile.BadZipFile, zlib.error, struct.error),
)
"""What reading a damaged file raises, RuntimeError for a compression that there is not."""


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
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
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


def read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """Return the arrays of an npz file, each checked against its sum before it is parsed.

    Raises
    ------
    One of `DAMAGED`
        If the file is not whole, or would have to be unpickled.
    """
    with zipfile.ZipFile(path) as stored:
        contents = {name.removesuffix(".npy"): stored.read(name) for name in stored.namelist()}
    return {
        name: np.lib.format.read_array(BytesIO(content), allow_pickle=False)
        for name, content in contents.items()
    }
