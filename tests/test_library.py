"""The library's file: kept whole, by key, through kills, versions and damage."""

import json
import sqlite3
import sys
import time
from contextlib import suppress
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from musicvae_core.data import library as module
from musicvae_core.data.library import Library, _library_path, open_library
from musicvae_core.errors import LibraryError

N_KILLS = 200
N_NAMES = 8


def write_for_ever(path: Path, connection: Connection) -> None:
    """Write round after round, and tell each that was written."""
    library = Library(path)
    number = int(library.read("own").get("0", "0").split()[0])
    connection.send(None)
    while True:
        number += 1
        content = f"{number} " + "x" * 4000
        library.write("own", {str(at): content for at in range(N_NAMES)})
        connection.send(number)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a folder" / "library.sqlite"


def test_the_next_process_reads_items_in_the_order_written(path):
    Library(path).write("me", {"b": "1", "a": "2"})
    Library(path).write("me", {"b": "3", "c": "é\x00"})
    assert list(Library(path).read("me").items()) == [("b", "3"), ("a", "2"), ("c", "é\x00")]


def test_none_deletes_an_item_even_a_missing_one(path):
    library = Library(path)
    library.write("me", {"a": "1", "b": "2"})
    library.write("me", {"a": None, "never": None})
    assert library.read("me") == {"b": "2"}


def test_a_key_opens_only_its_own_library_and_the_file_does_not_reveal_it(path):
    library = Library(path)
    library.write("my secret key", {"a": "mine"})
    library.write("another key", {"a": "theirs"})
    assert library.read("my secret key") == {"a": "mine"}
    assert library.read("My secret key") == {}
    library.close()
    stored = b"".join(file.read_bytes() for file in path.parent.iterdir())
    assert b"mine" in stored
    assert b"secret" not in stored


def test_all_is_written_or_nothing(path):
    library = Library(path)
    library.write("me", {"a": "old", "b": "old"})
    with pytest.raises(LibraryError):
        library.write("me", {"a": "new", "b": object()})
    assert library.read("me") == {"a": "old", "b": "old"}


def test_a_library_larger_than_its_limit_is_refused_and_stays_as_it_was(path):
    library = Library(path, max_mebibytes=0.001)
    library.write("me", {"a": "x" * 1000})
    with pytest.raises(LibraryError, match="delete some favourites"):
        library.write("me", {"b": "x" * 100})
    assert list(library.read("me")) == ["a"]
    library.write("another", {"a": "x" * 1000})


def test_libraries_that_nobody_uses_go_when_the_owner_says_so(path, monkeypatch):
    library = Library(path)
    for key, days in (("left", 40), ("used", 20)):
        monkeypatch.setattr(time, "time", lambda days=days: 1e9 - days * 86_400)
        library.write(key, {"a": "1"})
    monkeypatch.setattr(time, "time", lambda: 1e9)
    assert Library(path).read("used") == {"a": "1"}
    kept = Library(path, max_days=30)
    assert kept.read("used") == {"a": "1"}
    assert kept.read("left") == {}
    [count] = kept._connection.execute("SELECT count(*) FROM items").fetchone()
    assert count == 1


def test_the_file_is_in_wal_mode_and_says_its_version(path):
    Library(path)
    with sqlite3.connect(path) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert connection.execute("PRAGMA user_version").fetchone() == (1,)


def test_a_file_of_an_older_version_is_migrated_once_with_all_it_holds(path, monkeypatch):
    Library(path).write("me", {"a": "1"})
    more = "ALTER TABLE items ADD COLUMN colour TEXT NOT NULL DEFAULT 'red'"
    monkeypatch.setattr(module, "_MIGRATIONS", (*module._MIGRATIONS, more))
    for _ in range(2):
        assert Library(path).read("me") == {"a": "1"}
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT colour FROM items").fetchall() == [("red",)]


def test_an_aborted_migration_leaves_the_older_version(path, monkeypatch):
    Library(path).write("me", {"a": "1"})
    with monkeypatch.context() as patch:
        broken = "CREATE TABLE another (id INTEGER); CREATE TABLE items (id INTEGER)"
        patch.setattr(module, "_MIGRATIONS", (*module._MIGRATIONS, broken))
        with pytest.raises(LibraryError):
            Library(path)
    assert Library(path).read("me") == {"a": "1"}


def test_a_file_of_a_later_version_is_refused_and_left_alone(path):
    Library(path).write("me", {"a": "1"})
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 99")
    with pytest.raises(LibraryError, match="later version"):
        Library(path)


def test_two_servers_may_share_a_file(path):
    one, other = Library(path), Library(path)
    for at in range(20):
        one.write("me", {f"one {at}": "1"})
        other.write("me", {f"other {at}": "1"})
    assert len(one.read("me")) == len(other.read("me")) == 40


@pytest.mark.slow
def test_a_kill_in_the_middle_of_a_save_leaves_the_old_or_the_new(path):
    """A process writes round after round and is killed; what is read is all of one round."""
    fork = get_context("fork")  # starts in a millisecond
    n_written = 0
    for at in range(N_KILLS):
        hears, says = fork.Pipe(duplex=False)
        writer = fork.Process(target=write_for_ever, args=[path, says])
        writer.start()
        says.close()
        assert hears.recv() is None
        time.sleep(0.0002 * (at % 25))
        writer.kill()
        writer.join()
        rounds = []
        with suppress(EOFError):
            while True:
                rounds.append(hears.recv())
        library = Library(path)
        found = library.read("own")
        assert library._connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        library.close()
        assert len(found) in (0, N_NAMES)
        [found_round] = {int(content.split()[0]) for content in found.values()} or [0]
        if rounds:
            assert found_round in (rounds[-1], rounds[-1] + 1)
            n_written += 1
    assert n_written > N_KILLS / 4  # else the writer was hardly ever in the middle of anything


def test_the_library_is_where_the_environment_or_the_user_s_folder_says(tmp_path, monkeypatch):
    monkeypatch.setenv("MUSICVAE_LIBRARY", str(tmp_path))
    assert _library_path() == tmp_path / "library.sqlite"
    monkeypatch.setenv("MUSICVAE_LIBRARY", str(tmp_path / "mine.db"))
    assert _library_path() == tmp_path / "mine.db"
    monkeypatch.delenv("MUSICVAE_LIBRARY")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    if sys.platform == "linux":
        assert _library_path() == tmp_path / "data" / "musicvae_core" / "library.sqlite"


@pytest.mark.parametrize("content", [b"This is no database. " * 100, None])
def test_an_unusable_file_is_left_alone_and_replaced_by_memory(content, tmp_path, monkeypatch):
    path = tmp_path / "library.sqlite"
    if content is None:
        (tmp_path / "file").touch()
        path = tmp_path / "file" / "library.sqlite"
    else:
        path.write_bytes(content)
    monkeypatch.setenv("MUSICVAE_LIBRARY", str(path))
    library = open_library()
    assert library.problem.startswith("Nothing is kept when the server stops.")
    library.write("me", {"a": "1"})
    assert library.read("me") == {"a": "1"}
    assert content is None or path.read_bytes() == content


def test_the_owner_s_limits_are_read_and_nonsense_is_ignored(tmp_path, monkeypatch, caplog):
    monkeypatch.setenv("MUSICVAE_LIBRARY", str(tmp_path))
    monkeypatch.setenv("MUSICVAE_LIBRARY_MAX_MB", "0.001")
    monkeypatch.setenv("MUSICVAE_LIBRARY_MAX_DAYS", "soon")
    library = open_library()
    assert "'soon'" in caplog.text
    with pytest.raises(LibraryError):
        library.write("me", {"a": json.dumps("x" * 2000)})
