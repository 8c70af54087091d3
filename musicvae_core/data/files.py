"""Atomic file writes, and arrays read without unpickling."""

from __future__ import annotations

import errno
import json
import logging
import os
import re
import shutil
import struct
import tempfile
import unicodedata
import weakref
import zipfile
import zlib
from collections.abc import Callable, Mapping
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from musicvae_core.errors import CheckpointError, ConfigError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

_Made = TypeVar("_Made")

_log = logging.getLogger(__name__)

DAMAGED = (
    *(OSError, EOFError, ValueError, KeyError, TypeError, RuntimeError),
    *(zipfile.BadZipFile, zlib.error, struct.error),
)
"""The errors that reading a damaged file raises; RuntimeError for an unknown compression."""
_PART = ".part"
"""The suffix of files being written."""


def parse_json(text: str) -> Any:
    """Parse a JSON text.

    Raises
    ------
    ValueError
        If it is invalid, or nested too deeply.
    """
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def write_atomically(target: Path, write: Callable[[Path], object]) -> None:
    """Write a file beside its target, flush it to disk, and move it into place.

    If interrupted at any moment, this leaves the old file or the new one, never a partial one.

    Parameters
    ----------
    target
        The file to create or replace, in an existing folder.
    write
        Called once with the path of an empty file to fill. If it raises, that file is removed.
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
    """Write bytes, or text as UTF-8, atomically; see `write_atomically`.

    Links are followed; special files such as `/dev/stdout` are written to directly.
    """
    data = content.encode() if isinstance(content, str) else content
    if target.exists() and not target.is_file():
        target.write_bytes(data)
    else:
        write_atomically(target.resolve(), lambda part: part.write_bytes(data))


_MAX_STEM_BYTES = 70
"""Leaves room, in 100 bytes, for a number, a seed and a suffix."""
_RESERVED = re.compile(r"con|prn|aux|nul|conin|conout|(com|lpt)[0-9¹²³]")


def file_stem(name: str) -> str:
    """Return a file name for a name, without suffix, that every file system accepts.

    It consists of letters, digits, dashes and underscores, is at most 70 bytes long in UTF-8, and
    is not a name that Windows reserves for a device, such as CON.
    """
    words = re.sub(r"[^\w]+", "-", unicodedata.normalize("NFC", name).lower()).strip("-_")
    short = words.encode()[:_MAX_STEM_BYTES].decode(errors="ignore").rstrip("-_")
    return f"{short}-groove" if _RESERVED.fullmatch(short) else short or "groove"


def check_file(target: Path) -> None:
    """Check that a file can be written to a path, before doing the work.

    Raises
    ------
    ConfigError
        If it is a folder, or its folder does not exist.
    """
    if target.is_dir():
        raise ConfigError(f"{target} is a folder: give the name of a file.")
    if not target.parent.is_dir():
        raise ConfigError(f"There is no folder {target.parent}: make it, or give another.")


def make_folder(target: Path) -> None:
    """Create a folder if it does not exist.

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
    """Remove the partial files that a killed `write_atomically` left in a folder."""
    for part in folder.glob(f".*{_PART}"):
        part.unlink(missing_ok=True)


def temporary_folder(prefix: str) -> tempfile.TemporaryDirectory[str]:
    """Make a folder that lasts as long as this process, in the system's temporary directory.

    A killed process cannot remove its own: the next call with the same prefix does. Each process
    holds a lock on its folder, which ends with the process, so those in use are left alone.

    Parameters
    ----------
    prefix
        How the folder's name begins; no other files in the temporary directory begin so.
    """
    for folder in Path(tempfile.gettempdir()).glob(f"{prefix}*"):
        _remove_abandoned(folder)
    made = tempfile.TemporaryDirectory(prefix=prefix)
    with suppress(OSError):
        weakref.finalize(made, os.close, _locked(Path(made.name)))
    return made


def _remove_abandoned(folder: Path) -> None:
    """Remove a folder of this user that no process has locked.

    An empty one stays: it may be one that its process is about to lock.
    """
    with suppress(OSError):
        if any(folder.iterdir()):
            lock = _locked(folder)
            if os.fstat(lock).st_uid == os.geteuid():
                shutil.rmtree(folder, ignore_errors=True)
            os.close(lock)


def _locked(folder: Path) -> int:
    """Lock a folder, and return the file descriptor that holds the lock.

    Raises
    ------
    OSError
        If another process has locked it, or it cannot be locked at all.
    """
    if fcntl is None:
        raise OSError(errno.ENOTSUP, "Folders cannot be locked", str(folder))
    lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        raise
    return lock


def write_arrays(
    target: Path, about: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]
) -> None:
    """Write arrays and a description as an npz file, atomically.

    Parameters
    ----------
    target
        The file to create or replace.
    about
        The description, stored as JSON; `_read_arrays` checks its `format`.
    arrays
        The arrays by name, which must not be `about`.
    """
    text = np.frombuffer(json.dumps(about).encode(), np.uint8)
    content = BytesIO()
    np.savez_compressed(content, about=text, **arrays)  # type: ignore[arg-type]
    write_atomically(target, lambda part: part.write_bytes(content.getbuffer()))


def _read_arrays(path: Path, form: str) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Undo `write_arrays`, verifying each array's checksum before parsing it.

    Raises
    ------
    One of `DAMAGED`
        If the file is damaged, has another format, or would have to be unpickled.
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
    """Raise ValueError for arrays with other shapes, or with numbers that are not finite."""
    for name, shape in shapes.items():
        if arrays[name].shape != shape:
            raise ValueError(f"{name} has shape {arrays[name].shape}, not {shape}")
        if not np.isfinite(arrays[name]).all():
            raise ValueError(f"not every number of {name} is finite")


def read_side_file(
    path: Path,
    *,
    form: str,
    version: int,
    fingerprint: str,
    assembled: Callable[[dict[str, Any], dict[str, NDArray[Any]]], _Made],
    remedy: str,
) -> _Made:
    """Load a file that was made for the weights of a checkpoint and lies beside them.

    Parameters
    ----------
    path
        A file written by `write_arrays`.
    form, version
        Its format, and the newest version that can be read.
    fingerprint
        `Checkpoint.fingerprint` of the model beside it.
    assembled
        Builds the result from the description and the arrays; raises ValueError if they do not
        match.
    remedy
        The command that creates the file.

    Raises
    ------
    CheckpointError
        If the file is missing, damaged, too new or made for other weights.
    """
    if not path.is_file():
        raise CheckpointError(f"There is no {path.name} in {path.parent}: make it with {remedy}")
    try:
        about, arrays = _read_arrays(path, form)
        if about["format_version"] > version:
            raise CheckpointError(
                f"{path} was written by a later version of this program; "
                f"update it, or make the file again with {remedy}"
            )
        made = assembled(about, arrays)
    except DAMAGED as error:
        raise CheckpointError(
            f"{path} is damaged or cut short ({error}); make it again with {remedy}"
        ) from error
    if about["fingerprint"] != fingerprint:
        raise CheckpointError(
            f"{path} was made for other weights than the model's; make it again with {remedy}"
        )
    return made
