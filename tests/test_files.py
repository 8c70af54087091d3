"""Writing a file whole or not at all."""

import os
from pathlib import Path

import pytest

from musicvae_core.data.files import check_file, make_folder, write_atomically, write_content
from musicvae_core.errors import ConfigError


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_an_aborted_write_leaves_the_old_file(tmp_path, error):
    target = tmp_path / "file"
    target.write_text("old")

    def write(part):
        part.write_text("ne")
        assert target.read_text() == "old"
        raise error

    with pytest.raises(type(error)):
        write_atomically(target, write)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"file": "old"}


def test_a_written_file_is_whole_and_readable(tmp_path):
    write_atomically(tmp_path / "file", lambda part: part.write_text("new"))
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"file": "new"}
    assert (tmp_path / "file").stat().st_mode & 0o444 == 0o444


@pytest.mark.parametrize("content", ["né", "né".encode()])
def test_content_is_written_whole_or_not_at_all(tmp_path, monkeypatch, content):
    target = tmp_path / "file"
    target.write_text("old")
    (tmp_path / "link").symlink_to(target)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            write_content(target, content)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == dict.fromkeys(
        ("file", "link"), "old"
    )
    write_content(tmp_path / "link", content)
    assert target.read_bytes() == "né".encode()
    assert (tmp_path / "link").is_symlink()


def test_special_files_are_written_to_directly(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    write_content(tmp_path / "pipe", b"heard")
    assert os.read(reader, 9) == b"heard"
    os.close(reader)
    assert (tmp_path / "pipe").is_fifo()


def test_unwritable_targets_are_reported_before_the_work(tmp_path):
    with pytest.raises(ConfigError, match="is a folder"):
        check_file(tmp_path)
    with pytest.raises(ConfigError, match="no folder"):
        check_file(tmp_path / "none" / "a.mid")
    check_file(tmp_path / "a.mid")
    (tmp_path / "file").write_bytes(b"")
    for target in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(ConfigError, match="a file is in the way"):
            make_folder(target)
    make_folder(tmp_path / "new" / "folder")
    assert (tmp_path / "new" / "folder").is_dir()
