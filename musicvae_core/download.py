"""Fetch the public archive of the Groove MIDI Dataset: resumable, checked, atomic."""

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

from musicvae_core.errors import DownloadError

ARCHIVE_URL = (
    "https://storage.googleapis.com/magentadata/datasets/groove/groove-v1.0.0-midionly.zip"
)
ARCHIVE_BYTES = 3_260_318
ARCHIVE_SHA256 = "651cbc524ffb891be1a3e46d89dc82a1cecb09a57c748c7b45b844c4841dcc1e"
"""The Groove MIDI Dataset 1.0.0 without audio (CC BY 4.0, Gillick et al. 2019)."""

TIMEOUT_SECONDS = 30.0
CHUNK_BYTES = 1 << 16

_BY_HAND = "or fetch the archive in a browser and pass its path with --data"
_logger = logging.getLogger(__name__)


def download_archive(
    folder: Path,
    *,
    url: str = ARCHIVE_URL,
    size: int = ARCHIVE_BYTES,
    sha256: str = ARCHIVE_SHA256,
    progress: bool = True,
) -> Path:
    """Return the path of the verified archive in `folder`, fetching what is missing of it.

    Bytes gather in a `.part` file beside the target, from which a later call goes on;
    the target's name appears only once size and hash are right.

    Parameters
    ----------
    folder
        Where the archive goes; made if missing.
    url
        Where it comes from; its last part is the name of the file.
    size
        What it must weigh, in bytes.
    sha256
        What it must hash to, in hexadecimal.
    progress
        Whether to draw a progress bar.

    Raises
    ------
    DownloadError
        No network, a refusal of the server, another size or hash, a full disk or a
        folder that cannot be written.
    """
    archive = folder / Path(urlsplit(url).path).name
    part = archive.with_name(archive.name + ".part")
    with _failures_named(url, folder, size):
        if _is_verified(archive, size, sha256):
            _logger.info("%s is there and whole", archive)
            return archive
        folder.mkdir(parents=True, exist_ok=True)
        if not part.exists() or part.stat().st_size != size:
            _fetch(url, part, size, progress)
        _verify(part, url, size, sha256)
        part.replace(archive)
    return archive


@contextmanager
def _failures_named(url: str, folder: Path, size: int) -> Iterator[None]:
    """Turn what the network, the server or the disk raises into a `DownloadError`."""
    try:
        yield
    except HTTPError as error:
        raise DownloadError(
            f"{url} answered {error.code} {error.reason}: try again later, {_BY_HAND}."
        ) from error
    except (http.client.HTTPException, OSError) as error:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DownloadError(
                f"The disk of {folder} is full: the archive needs {size / 1e6:.1f} MB there; "
                "free some space and start again, it goes on where it stopped."
            ) from error
        if isinstance(error, OSError) and error.filename is not None:
            raise DownloadError(
                f"{error.filename} cannot be written ({error.strerror}): "
                "choose another folder or change its permissions."
            ) from error
        raise DownloadError(
            f"{url} could not be fetched ({error}): check the network and start again, {_BY_HAND}."
        ) from error


def _fetch(url: str, part: Path, size: int, progress: bool) -> None:
    """Append to `part` what it lacks of the archive at `url`; start over if that cannot be."""
    have = part.stat().st_size if part.exists() else 0
    if have > size:
        have = 0
    request = Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    with urlopen(request, timeout=TIMEOUT_SECONDS) as response:
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
    """Refuse a response that announces another length, before a byte of it is kept."""
    announced = response.headers.get("Content-Length")
    if announced is not None and have + int(announced) != size:
        raise DownloadError(
            f"{url} has {have + int(announced):,} bytes where {size:,} were expected: "
            f"it is another file; try again later, {_BY_HAND}."
        )


def _copy(response: http.client.HTTPResponse, file: BinaryIO, limit: int, bar: tqdm) -> None:
    """Copy until the response ends, and never more than one chunk past `limit` bytes."""
    copied = 0
    while copied <= limit and (chunk := response.read(CHUNK_BYTES)):
        file.write(chunk)
        copied += len(chunk)
        bar.update(len(chunk))


def _is_verified(path: Path, size: int, sha256: str) -> bool:
    return path.is_file() and path.stat().st_size == size and _sha256_of(path) == sha256


def _verify(part: Path, url: str, size: int, sha256: str) -> None:
    """Raise unless `part` is the whole archive; a part that no resuming can mend is removed."""
    got = part.stat().st_size
    if got < size:
        raise DownloadError(
            f"{url} stopped after {got:,} of {size:,} bytes: "
            "start again, it goes on where it stopped."
        )
    if got > size or _sha256_of(part) != sha256:
        part.unlink()
        raise DownloadError(
            f"{url} gave {got:,} bytes that are not the archive expected (its size or sha256 "
            f"differs): they were removed; start again, {_BY_HAND}."
        )


def _sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
