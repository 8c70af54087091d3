"""The library: everything that users keep, in one SQLite file.

    library = open_library()
    library.write(key, {"favourite/1": "…", "transport": None})
    library.read(key)

A file holds many libraries, one per key. It stores only hashes of the keys, so reading the file
does not reveal them. Each write is atomic, even if the process is killed.
"""

from __future__ import annotations

import logging
import os
import sqlite3
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from threading import RLock

import platformdirs

from musicvae_core.errors import LibraryError

_log = logging.getLogger(__name__)

_MIGRATIONS = (
    """
    CREATE TABLE libraries (
        id INTEGER PRIMARY KEY,
        key TEXT NOT NULL UNIQUE,
        used_at REAL NOT NULL
    );
    CREATE TABLE items (
        library INTEGER NOT NULL REFERENCES libraries (id) ON DELETE CASCADE,
        name TEXT NOT NULL,
        content TEXT NOT NULL,
        changed_at REAL NOT NULL,
        PRIMARY KEY (library, name)
    );
    """,
)
"""Script n migrates a file from version n to n + 1: append only."""
_FILE = "library.sqlite"
_LOCK_TIMEOUT_SECONDS = 5.0
"""How long to wait while another process writes."""
_DAY_SECONDS = 86_400.0
_MEBIBYTE = 2**20
_MEMORY = ":memory:"


class Library:
    """An open library file; thread-safe, and several processes may share the file.

    Parameters
    ----------
    path
        The file to open or create, with its folder; None keeps everything in memory.
    max_mebibytes
        The largest size of one library.
    max_days
        Libraries unused for longer are deleted when the file is opened; None keeps all.

    Attributes
    ----------
    problem
        Why nothing is kept when the server stops, in a sentence; empty if the file is on disk.

    Raises
    ------
    LibraryError
        If the file cannot be opened, is not a library, or is from a later version.
    """

    def __init__(
        self, path: Path | None, *, max_mebibytes: float = 64.0, max_days: float | None = None
    ) -> None:
        self.path = path
        self.problem = ""
        self._max_bytes = int(max_mebibytes * _MEBIBYTE)
        self._lock = RLock()
        try:
            if path:
                path.parent.mkdir(parents=True, exist_ok=True)
            self._connection = sqlite3.connect(
                str(path or _MEMORY),
                timeout=_LOCK_TIMEOUT_SECONDS,
                isolation_level=None,
                check_same_thread=False,
            )
            self._prepare()
            if max_days is not None:
                self._forget_unused(max_days)
        except (OSError, sqlite3.Error) as error:
            raise LibraryError(f"The library {path} cannot be opened: {error}.") from error

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def read(self, key: str) -> dict[str, str]:
        """Return the items of a library by name, in the order in which they were added.

        Raises
        ------
        LibraryError
            If the file is damaged or missing.
        """
        query = "SELECT name, content FROM items WHERE library = ? ORDER BY rowid"
        with self._transaction():
            return dict(self._connection.execute(query, (self._id_of(key),)))

    def write(self, key: str, changes: Mapping[str, str | None]) -> None:
        """Store texts in a library by name, atomically; None deletes an item.

        Raises
        ------
        LibraryError
            If the library would exceed its limit, or the disk is full.
        """
        now = time.time()
        with self._transaction():
            library = self._id_of(key)
            for name, content in changes.items():
                if content is None:
                    self._connection.execute(
                        "DELETE FROM items WHERE library = ? AND name = ?", (library, name)
                    )
                else:
                    self._connection.execute(
                        "INSERT INTO items VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE "
                        "SET content = excluded.content, changed_at = excluded.changed_at",
                        (library, name, content, now),
                    )
            self._check_size(library)

    def _prepare(self) -> None:
        """Migrate the file to the newest version."""
        for pragma in ("journal_mode = WAL", "synchronous = NORMAL", "foreign_keys = ON"):
            self._connection.execute(f"PRAGMA {pragma}")
        with self._transaction():
            [version] = self._connection.execute("PRAGMA user_version").fetchone()
            if version > len(_MIGRATIONS):
                raise LibraryError(
                    f"The library {self.path} is from a later version of this app: update this one."
                )
            for script in _MIGRATIONS[version:]:
                for statement in filter(str.strip, script.split(";")):
                    self._connection.execute(statement)
            self._connection.execute(f"PRAGMA user_version = {len(_MIGRATIONS)}")

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """Run a block atomically, while no other process writes."""
        with self._lock:
            try:
                self._connection.execute("BEGIN IMMEDIATE")
                try:
                    yield
                except BaseException:
                    self._connection.execute("ROLLBACK")
                    raise
                self._connection.execute("COMMIT")
            except sqlite3.Error as error:
                raise LibraryError(f"The library {self.path} cannot be used: {error}.") from error

    def _id_of(self, key: str) -> int:
        """Return the id of a key's library, created if needed, and record its use."""
        digest = sha256(key.encode()).hexdigest()
        [library] = self._connection.execute(
            "INSERT INTO libraries (key, used_at) VALUES (?, ?) "
            "ON CONFLICT DO UPDATE SET used_at = excluded.used_at RETURNING id",
            (digest, time.time()),
        ).fetchone()
        return int(library)

    def _check_size(self, library: int) -> None:
        [size] = self._connection.execute(
            "SELECT total(length(content)) FROM items WHERE library = ?", (library,)
        ).fetchone()
        if size > self._max_bytes:
            raise LibraryError(
                f"The library would have {size / _MEBIBYTE:.1f} MiB and "
                f"{self._max_bytes / _MEBIBYTE:g} MiB is the most: delete some favourites."
            )

    def _forget_unused(self, days: float) -> None:
        with self._transaction():
            oldest = time.time() - days * _DAY_SECONDS
            self._connection.execute("DELETE FROM libraries WHERE used_at < ?", (oldest,))


def _library_path() -> Path:
    """Return the path of the file: `MUSICVAE_LIBRARY`, or the user's data folder."""
    named = os.environ.get("MUSICVAE_LIBRARY")
    if not named:
        return platformdirs.user_data_path("musicvae_core", appauthor=False) / _FILE
    path = Path(named).expanduser()
    return path / _FILE if path.is_dir() else path


def open_library() -> Library:
    """Open the user's library, within the limits that the owner of a server sets.

    They are `MUSICVAE_LIBRARY_MAX_MB` and `MUSICVAE_LIBRARY_MAX_DAYS`. If the file cannot be used,
    everything is kept in memory, and `problem` says why.
    """
    max_mebibytes = _limit("MUSICVAE_LIBRARY_MAX_MB") or 64.0
    max_days = _limit("MUSICVAE_LIBRARY_MAX_DAYS")
    try:
        return Library(_library_path(), max_mebibytes=max_mebibytes, max_days=max_days)
    except LibraryError as error:
        _log.warning("%s", error)
        library = Library(None, max_mebibytes=max_mebibytes)
        library.problem = f"Nothing is kept when the server stops. {error}"
        return library


def _limit(name: str) -> float | None:
    """Return a positive number from the environment; None if it is unset or invalid."""
    given = os.environ.get(name)
    if not given:
        return None
    try:
        limit = float(given)
    except ValueError:
        limit = 0.0
    if limit > 0:
        return limit
    _log.warning("%s is %r, which is not a positive number; it is ignored.", name, given)
    return None
