"""Writing a file whole or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path


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
