"""The download of the Groove MIDI Dataset: resumed, verified, and clear about what went wrong."""

from __future__ import annotations

import errno
import hashlib
import http.client
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from tqdm import tqdm

from musicvae_core.errors import DataError

_log = logging.getLogger(__name__)

_ARCHIVE_URL = (
    "https://storage.googleapis.com/magentadata/datasets/groove/groove-v1.0.0-midionly.zip"
)
_ARCHIVE_BYTES = 3_260_318
_ARCHIVE_SHA256 = "651cbc524ffb891be1a3e46d89dc82a1cecb09a57c748c7b45b844c4841dcc1e"
"""The Groove MIDI Dataset 1.0.0 without audio (CC BY 4.0, Gillick et al. 2019)."""

_TIMEOUT_SECONDS = 30.0
_CHUNK_BYTES = 1 << 16

_BY_HAND = "or fetch the archive in a browser and pass its path with --data"


def download_archive(
    folder: Path,
    *,
    url: str = _ARCHIVE_URL,
    size: int = _ARCHIVE_BYTES,
    sha256: str = _ARCHIVE_SHA256,
    progress: bool = True,
) -> Path:
    """Return the path of the verified archive in `folder`, downloading what is missing.

    The download goes to a `.part` file, which a later call resumes; it is renamed once its size
    and hash are verified.

    Parameters
    ----------
    folder
        Where to put the archive; created if missing.
    url
        Its address; the last part is the file name.
    size
        Its expected size in bytes.
    sha256
        Its expected hash in hexadecimal.
    progress
        Whether to draw a progress bar.

    Raises
    ------
    DataError
        If the network or the server fails, the size or hash differs, the disk is full, or the
        folder cannot be written.
    """
    archive = folder / Path(urlsplit(url).path).name
    part = archive.with_name(archive.name + ".part")
    with _report_failures(url, folder, size):
        if _is_verified(archive, size, sha256):
            _log.info("%s is already complete", archive)
            return archive
        folder.mkdir(parents=True, exist_ok=True)
        if not part.exists() or part.stat().st_size != size:
            _fetch(url, part, size, progress)
        _verify(part, url, size, sha256)
        part.replace(archive)
    return archive


@contextmanager
def _report_failures(url: str, folder: Path, size: int) -> Iterator[None]:
    """Turn errors of the network, the server or the disk into a `DataError`."""
    try:
        yield
    except HTTPError as error:
        raise DataError(
            f"{url} answered {error.code} {error.reason}: try again later, {_BY_HAND}."
        ) from error
    except (http.client.HTTPException, OSError) as error:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DataError(
                f"The disk of {folder} is full: the archive needs {size / 1e6:.1f} MB there; "
                "free some space and start again; the download resumes where it stopped."
            ) from error
        if isinstance(error, OSError) and error.filename is not None:
            raise DataError(
                f"{error.filename} cannot be written ({error.strerror}): "
                "choose another folder or change its permissions."
            ) from error
        raise DataError(
            f"{url} could not be fetched ({error}): check the network and start again, {_BY_HAND}."
        ) from error


def _fetch(url: str, part: Path, size: int, progress: bool) -> None:
    """Append the missing bytes to `part`, or start over if the server cannot resume."""
    have = part.stat().st_size if part.exists() else 0
    if have > size:
        have = 0
    request = Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    with urlopen(request, timeout=_TIMEOUT_SECONDS) as response:
        resumed = response.status == http.client.PARTIAL_CONTENT
        if not resumed:
            have = 0
        _check_announced_size(response, url, have, size)
        with (
            part.open("ab" if resumed else "wb") as file,
            tqdm(
                total=size,
                initial=have,
                desc=part.stem,
                unit="B",
                unit_scale=True,
                disable=not progress,
            ) as bar,
        ):
            _copy(response, file, size - have, bar)


def _check_announced_size(
    response: http.client.HTTPResponse, url: str, have: int, size: int
) -> None:
    """Refuse a response with another announced length, before anything is stored."""
    announced = response.headers.get("Content-Length")
    if announced is not None and have + int(announced) != size:
        raise DataError(
            f"{url} has {have + int(announced):,} bytes where {size:,} were expected: "
            f"it is another file; try again later, {_BY_HAND}."
        )


def _copy(response: http.client.HTTPResponse, file: BinaryIO, limit: int, bar: tqdm) -> None:
    """Copy until the response ends, at most one chunk past `limit` bytes."""
    copied = 0
    while copied <= limit and (chunk := response.read(_CHUNK_BYTES)):
        file.write(chunk)
        copied += len(chunk)
        bar.update(len(chunk))


def _is_verified(path: Path, size: int, sha256: str) -> bool:
    return path.is_file() and path.stat().st_size == size and _sha256_of(path) == sha256


def _verify(part: Path, url: str, size: int, sha256: str) -> None:
    """Raise unless `part` is the complete archive; remove it if resuming cannot help."""
    got = part.stat().st_size
    if got < size:
        raise DataError(
            f"{url} stopped after {got:,} of {size:,} bytes: "
            "start again; the download resumes where it stopped."
        )
    if got > size or _sha256_of(part) != sha256:
        part.unlink()
        raise DataError(
            f"{url} gave {got:,} bytes that are not the expected archive (size or sha256 differ); "
            f"they were removed. Start again, {_BY_HAND}."
        )


def _sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
