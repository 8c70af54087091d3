"""The archive's download against a server on loopback that can misbehave."""

import errno
import hashlib
import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace

import pytest

from musicvae_core.data import download
from musicvae_core.data.download import download_archive
from musicvae_core.errors import DataError

BODY = bytes(range(256)) * 1024
HALF = len(BODY) // 2


class _Handler(BaseHTTPRequestHandler):
    """Serves `server.body`, honouring Range unless told not to, cut at `server.cut_at`."""

    def do_GET(self) -> None:
        self.server.ranges.append(self.headers.get("Range"))
        if self.path != "/groove.zip":
            self.send_error(404)
            return
        body, start = self.server.body, 0
        asked = self.headers.get("Range")
        if asked and self.server.honours_range:
            start = int(asked.removeprefix("bytes=").removesuffix("-"))
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        else:
            self.send_response(200)
        if self.server.announces_length:
            self.send_header("Content-Length", str(len(body) - start))
        self.end_headers()
        self.wfile.write(body[start : self.server.cut_at])

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[ThreadingHTTPServer]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as httpd:
        httpd.body, httpd.cut_at, httpd.ranges = BODY, None, []
        httpd.honours_range = httpd.announces_length = True
        threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.01}).start()
        yield httpd
        httpd.shutdown()


def fetch(server: ThreadingHTTPServer, folder: Path, name: str = "groove.zip") -> Path:
    return download_archive(
        folder,
        url=f"http://127.0.0.1:{server.server_port}/{name}",
        size=len(BODY),
        sha256=hashlib.sha256(BODY).hexdigest(),
        progress=False,
    )


def part_in(folder: Path) -> Path:
    return folder / "groove.zip.part"


def test_a_fresh_download_is_whole_and_leaves_no_part(server, tmp_path):
    archive = fetch(server, tmp_path / "new" / "folder")

    assert archive == tmp_path / "new" / "folder" / "groove.zip"
    assert archive.read_bytes() == BODY
    assert list(archive.parent.iterdir()) == [archive]
    assert server.ranges == [None]


def test_a_whole_archive_is_not_fetched_again(server, tmp_path):
    fetch(server, tmp_path)
    fetch(server, tmp_path)

    assert len(server.ranges) == 1


@pytest.mark.parametrize("content", [b"short", bytes(len(BODY))], ids=["short", "altered"])
def test_an_archive_that_is_not_whole_is_fetched_again(server, tmp_path, content):
    (tmp_path / "groove.zip").write_bytes(content)

    assert fetch(server, tmp_path).read_bytes() == BODY


def test_half_a_part_is_resumed(server, tmp_path):
    part_in(tmp_path).write_bytes(BODY[:HALF])

    assert fetch(server, tmp_path).read_bytes() == BODY
    assert server.ranges == [f"bytes={HALF}-"]


def test_an_interrupted_download_is_reported_and_resumed(server, tmp_path):
    server.cut_at = HALF
    with pytest.raises(DataError, match=rf"stopped after {HALF:,} of {len(BODY):,} bytes"):
        fetch(server, tmp_path)
    assert not (tmp_path / "groove.zip").exists()

    server.cut_at = None
    assert fetch(server, tmp_path).read_bytes() == BODY
    assert server.ranges == [None, f"bytes={HALF}-"]


def test_a_server_that_ignores_range_starts_over(server, tmp_path):
    server.honours_range = False
    part_in(tmp_path).write_bytes(BODY[:HALF])

    assert fetch(server, tmp_path).read_bytes() == BODY


@pytest.mark.parametrize("n_bytes", [len(BODY), len(BODY) + 5], ids=["whole", "too long"])
def test_a_part_of_full_length_or_more_is_not_asked_beyond_its_end(server, tmp_path, n_bytes):
    part_in(tmp_path).write_bytes((BODY + b"extra")[:n_bytes])

    assert fetch(server, tmp_path).read_bytes() == BODY
    assert server.ranges in ([], [None])


def test_a_corrupted_byte_is_refused_and_removed(server, tmp_path):
    server.body = BODY[:HALF] + b"\xff" + BODY[HALF + 1 :]

    with pytest.raises(DataError, match="sha256"):
        fetch(server, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_another_size_is_refused_before_it_is_read(server, tmp_path):
    server.body = BODY + b"more"

    with pytest.raises(DataError, match=f"{len(BODY) + 4:,} bytes where {len(BODY):,}"):
        fetch(server, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_an_endless_body_is_not_read_to_its_end(server, tmp_path):
    server.announces_length = False
    server.body = BODY * 8

    with pytest.raises(DataError, match="not the expected archive") as caught:
        fetch(server, tmp_path)
    n_read = int(str(caught.value).split(" gave ")[1].split()[0].replace(",", ""))
    assert len(BODY) < n_read <= len(BODY) + download._CHUNK_BYTES


def test_a_missing_page_is_named(server, tmp_path):
    with pytest.raises(DataError, match="answered 404"):
        fetch(server, tmp_path, "other.zip")


def test_no_network_is_named(server, tmp_path):
    server.shutdown()
    server.server_close()

    with pytest.raises(DataError, match=r"could not be fetched.*check the network"):
        fetch(server, tmp_path)


def test_a_full_disk_is_named(server, tmp_path, monkeypatch):
    def write_nothing(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(download, "_copy", write_nothing)
    with pytest.raises(DataError, match=r"is full: the archive needs 0\.3 MB"):
        fetch(server, tmp_path)


def test_a_folder_that_is_a_file_is_named(server, tmp_path):
    (tmp_path / "file").write_text("in the way")

    with pytest.raises(DataError, match="cannot be written"):
        fetch(server, tmp_path / "file")


def test_progress_counts_bytes_from_where_it_resumes(server, tmp_path, monkeypatch):
    bars: list[SimpleNamespace] = []

    class Bar:
        def __init__(self, **options: object) -> None:
            bars.append(SimpleNamespace(**options, n=options["initial"]))

        def __enter__(self) -> "Bar":
            return self

        def __exit__(self, *_: object) -> None:
            pass

        def update(self, n: int) -> None:
            bars[-1].n += n

    monkeypatch.setattr(download, "tqdm", Bar)
    part_in(tmp_path).write_bytes(BODY[:HALF])
    fetch(server, tmp_path)

    assert [(bar.initial, bar.n, bar.total) for bar in bars] == [(HALF, len(BODY), len(BODY))]
    assert bars[0].disable
