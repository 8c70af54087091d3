"""Writing a file whole or not at all."""

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from musicvae_core.data.files import (
    check_file,
    make_folder,
    temporary_folder,
    write_atomically,
    write_content,
)
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


_HOLD_A_FOLDER = """
import sys
from pathlib import Path
from musicvae_core.data.files import temporary_folder

folder = temporary_folder("kits-")
Path(folder.name, "pack").write_bytes(b"sounds")
print(folder.name, flush=True)
sys.stdin.read()
"""


@pytest.mark.skipif(os.name == "nt", reason="Windows cannot lock a folder")
def test_the_folder_of_a_killed_process_is_removed_and_those_in_use_stay(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)  # read the variable again
    (tmp_path / "kits-new").mkdir()  # as one that is just being made
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "file").write_text("not ours")
    (tmp_path / "kits-link").symlink_to(tmp_path / "other")
    processes, folders = [], []
    for _ in range(2):
        command = [sys.executable, "-c", _HOLD_A_FOLDER]
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        processes.append(process)
        folders.append(Path(process.stdout.readline().strip()))
    killed, running = processes
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    assert all(folder.is_dir() for folder in folders), "nobody has cleared up yet"
    own = temporary_folder("kits-")
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {"kits-new", "kits-link", "other", folders[1].name, Path(own.name).name}
    assert (folders[1] / "pack").exists()
    assert (tmp_path / "other" / "file").exists()
    running.communicate("")
    assert not folders[1].exists(), "a process that ends removes its own"
    killed.stdin.close()
    killed.stdout.close()
