"""The library as a zip: it comes back exactly, and no zip can do harm."""

import io
import json
import stat
import zipfile

import numpy as np
import pytest
from tiny_data import drummed_groove

from musicvae_core.errors import LibraryError
from musicvae_core.music.midi.read import read_midi
from musicvae_core.music.midi.write import write_midi
from pages.library import page as module
from pages.library.page import _read_archive, _write_archive
from pages.shared.collection import Source


def sources(n: int = 3) -> list[Source]:
    rng = np.random.default_rng(0)
    made = [drummed_groove(rng, 1 + at % 3, 80.5 + at) for at in range(n)]
    z = rng.normal(size=8).astype(np.float32)
    return [
        Source(f"Groove / {at}", groove, z, "a model", "favourite", "a note", ("x", "y"), 7.5)
        for at, groove in enumerate(made)
    ]


def read(name: str, data: bytes) -> Source:
    return Source(name.removesuffix(".mid"), read_midi(data).groove)


def zipped(files: dict[str, bytes], **how: object) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content, **how)
    return file.getvalue()


def midi() -> bytes:
    return write_midi(drummed_groove(np.random.default_rng(1), 2))


def test_written_windows_are_read_exactly_and_once() -> None:
    before = sources()
    result = _read_archive(_write_archive(before), read)
    assert not result.failures
    assert len(result.sources) == len(before)
    for one, other in zip(before, result.sources, strict=True):
        assert np.array_equal(one.z, other.z)
        for field in ("name", "groove", "model", "origin", "note", "tags", "kept_at"):
            assert getattr(one, field) == getattr(other, field)


def test_the_midi_files_in_it_are_named_and_any_program_s() -> None:
    with zipfile.ZipFile(io.BytesIO(_write_archive(sources()))) as archive:
        names = archive.namelist()
        assert names == ["library.json", "001-groove-0.mid", "002-groove-1.mid", "003-groove-2.mid"]
        assert read_midi(archive.read(names[1])).groove.n_hits == sources()[0].groove.n_hits
        assert json.loads(archive.read("library.json"))["version"] == 1


def test_a_zip_of_midi_alone_is_read_from_all_its_folders() -> None:
    files = {"a/one.mid": midi(), "two.MIDI": midi(), "readme.txt": b"x", "a/.hidden.mid": b"x"}
    result = _read_archive(zipped(files), read)
    assert [source.name for source in result.sources] == ["one", "two.MIDI"]
    assert not result.failures


def test_a_midi_file_that_was_added_to_a_library_comes_too() -> None:
    data = _write_archive(sources(1))
    file = io.BytesIO(data)
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr("added.mid", midi())
        archive.writestr("bad.mid", b"no MIDI")
    result = _read_archive(file.getvalue(), read)
    assert [source.name for source in result.sources] == ["Groove / 0", "added"]
    [failure] = result.failures
    assert failure.startswith("bad.mid: ")


@pytest.mark.parametrize(
    "name",
    ["../up.mid", "a/../../up.mid", "/etc/up.mid", "..\\up.mid", "C:/up.mid", "C:\\up.mid"],
)
def test_a_path_that_leaves_the_folder_is_refused(name) -> None:
    with pytest.raises(LibraryError, match="leads out of its own folder"):
        _read_archive(zipped({"good.mid": midi(), name: midi()}), read)


def test_a_link_is_refused() -> None:
    link = zipfile.ZipInfo("link.mid")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(link, "/etc/passwd")
    with pytest.raises(LibraryError, match="leads out of its own folder"):
        _read_archive(file.getvalue(), read)


def test_a_zip_bomb_is_refused_before_unpacking(monkeypatch) -> None:
    read_bytes = []
    opened = zipfile.ZipExtFile.read

    def counted(self, n=-1):
        read_bytes.append(n)
        return opened(self, n)

    monkeypatch.setattr(zipfile.ZipExtFile, "read", counted)
    with pytest.raises(LibraryError, match="too large"):
        _read_archive(zipped({"bomb.mid": bytes(50 * 2**20)}), read)
    assert 0 < max(read_bytes) <= module.MAX_BYTES + 1


def test_many_files_that_are_too_large_together_are_refused(monkeypatch) -> None:
    monkeypatch.setattr(module, "_MAX_UNPACKED_BYTES", 3000)
    with pytest.raises(LibraryError, match="all together"):
        _read_archive(zipped({f"{at}.mid": bytes(1000) for at in range(4)}), read)
    monkeypatch.setattr(module, "_MAX_FILES", 3)
    with pytest.raises(LibraryError, match="5 files"):
        _read_archive(zipped({f"{at}.mid": b"" for at in range(5)}), read)


@pytest.mark.parametrize("data", [b"", b"PK", b"no zip at all" * 100])
def test_files_that_are_not_zips_are_refused(data) -> None:
    with pytest.raises(LibraryError, match="damaged"):
        _read_archive(data, read)


def test_a_zip_that_was_damaged_is_refused_in_a_sentence() -> None:
    data = bytearray(_write_archive(sources()))
    rng = np.random.default_rng(0)
    refused = 0
    for _ in range(200):
        broken = data.copy()
        for at in rng.integers(len(broken), size=3):
            broken[at] ^= int(rng.integers(1, 256))
        try:
            _read_archive(bytes(broken), read)
        except LibraryError:
            refused += 1
    assert refused > 50


@pytest.mark.parametrize(
    "about",
    [b"", b"{}", b"[]", b'{"format": "another"}', b'{"favourites": [{"file": "x", "source": {}}]}'],
)
def test_a_list_that_does_not_fit_is_refused(about) -> None:
    with pytest.raises(LibraryError, match=r"library\.json in the zip is damaged"):
        _read_archive(zipped({"library.json": about}), read)
