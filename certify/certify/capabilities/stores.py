"""Key-value and dedupe stores on SQLite.

Rules this module keeps:

- a rollback journal, not a write-ahead log: one file is the whole store at rest, it needs no shared memory, so that two
  processes in different sandboxes can share it, and a process killed at any point leaves what the last commit left;
- every operation is one statement or one immediate transaction: atomic across threads and processes;
- keys are stored as bytes (UTF-8), whose order is that of their code points, and which may hold U+0000.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from certify.capabilities.api import ConstraintViolated, StoreBusy, StoreError

_SCHEMA = "CREATE TABLE IF NOT EXISTS entries (key BLOB PRIMARY KEY, value BLOB NOT NULL, at REAL) WITHOUT ROWID"


def connect(path: Path, busy_timeout: float, *, create: bool) -> sqlite3.Connection:
    """A connection in autocommit mode that any thread may use, one at a time.

    Raises:
        StoreError: the file cannot be opened.
    """
    if create:
        path.parent.mkdir(parents=True, exist_ok=True)
    with translated(path.name):
        connection = sqlite3.connect(
            f"{path.absolute().as_uri()}?mode={'rwc' if create else 'rw'}",
            uri=True,
            timeout=busy_timeout,
            isolation_level=None,
            check_same_thread=False,
        )
        try:
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA foreign_keys = ON")
        except BaseException:
            connection.close()
            raise
        return connection


@contextmanager
def translated(store: str) -> Iterator[None]:
    """Turn SQLite's errors into this package's."""
    try:
        yield
    except sqlite3.IntegrityError as error:
        raise ConstraintViolated(f"{store}: {error}") from error
    except (sqlite3.Error, sqlite3.Warning, OSError, OverflowError) as error:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        kind = StoreBusy if code in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED} else StoreError
        raise kind(f"{store}: {error}") from error


class Entries:
    """A table of keys and values in a file of its own, opened when it is first used."""

    def __init__(self, path: Path, busy_timeout: float) -> None:
        self._path = path
        self._busy_timeout = busy_timeout
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None

    def close(self) -> None:
        """Close the file; the next use opens it again."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def read(self, statement: str, parameters: Sequence[Any]) -> list[tuple[Any, ...]]:
        """The rows of a SELECT. A store that nobody has written yet is empty, and stays unmade."""
        with self._lock, translated(self._path.name):
            if self._connection is None and not self._path.exists():
                return []
            return self._open().execute(statement, parameters).fetchall()

    def change(self, statement: str, parameters: Sequence[Any]) -> int:
        """How many rows one statement changed."""
        with self._lock, translated(self._path.name):
            return self._open().execute(statement, parameters).rowcount

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            connection = connect(self._path, self._busy_timeout, create=True)
            try:
                connection.execute(_SCHEMA)
            except BaseException:
                connection.close()
                raise
            self._connection = connection
        return self._connection


class KeyValueStore:
    """`KeyValue` on a file."""

    def __init__(self, path: Path, busy_timeout: float) -> None:
        self._entries = Entries(path, busy_timeout)

    def close(self) -> None:
        """Close the file."""
        self._entries.close()

    def get(self, key: str) -> bytes | None:
        """See `KeyValue.get`."""
        rows = self._entries.read("SELECT value FROM entries WHERE key = ?", (key.encode(),))
        return bytes(rows[0][0]) if rows else None

    def put(self, key: str, value: bytes) -> None:
        """See `KeyValue.put`."""
        self._entries.change(
            "INSERT INTO entries (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
            (key.encode(), value),
        )

    def put_if_absent(self, key: str, value: bytes) -> bool:
        """See `KeyValue.put_if_absent`."""
        changed = self._entries.change(
            "INSERT INTO entries (key, value) VALUES (?, ?) ON CONFLICT (key) DO NOTHING", (key.encode(), value)
        )
        return changed == 1

    def delete(self, key: str) -> None:
        """See `KeyValue.delete`."""
        self._entries.change("DELETE FROM entries WHERE key = ?", (key.encode(),))

    def keys(self, prefix: str) -> tuple[str, ...]:
        """See `KeyValue.keys`."""
        rows = self._entries.read("SELECT key FROM entries WHERE key >= ? ORDER BY key", (prefix.encode(),))
        return tuple(key for key in (bytes(row[0]).decode() for row in rows) if key.startswith(prefix))


class DedupeStore:
    """`Dedupe` on a file. An entry older than `retention` seconds counts as forgotten."""

    def __init__(self, path: Path, busy_timeout: float, retention: float) -> None:
        self._entries = Entries(path, busy_timeout)
        self._retention = retention

    def close(self) -> None:
        """Close the file."""
        self._entries.close()

    def seen(self, key: bytes) -> bytes | None:
        """See `Dedupe.seen`."""
        rows = self._entries.read(
            "SELECT value FROM entries WHERE key = ? AND at > ?", (key, time.time() - self._retention)
        )
        return bytes(rows[0][0]) if rows else None

    def remember(self, key: bytes, result: bytes) -> bool:
        """See `Dedupe.remember`."""
        now = time.time()
        changed = self._entries.change(
            "INSERT INTO entries (key, value, at) VALUES (?, ?, ?) ON CONFLICT (key) DO UPDATE "
            "SET value = excluded.value, at = excluded.at WHERE entries.at <= ?",
            (key, result, now, now - self._retention),
        )
        return changed == 1
