"""Storage: the one interface, and the embedded store, one SQLite database with blobs beside it.

Rules this module keeps:

- `Store` is all that the registry knows of its storage; another database implements the same one;
- a write is one transaction: blobs are on the disk before the commit, and the commit is on the disk before `write`
  returns (`synchronous=FULL` for it, see docs/adr/registry-durability.md);
- writers are serialised by the database's write lock, taken before anything is read;
- SQLite's and the system's errors leave here as `RequestError`, and nothing half-done stays.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from importlib.resources import files
from pathlib import Path
from typing import Final, Protocol

from certify.registry.disk import BlobFolder, Blobs, Disk
from certify.registry.errors import (
    BUSY,
    DAMAGED,
    EXISTS,
    NEWER_SCHEMA,
    NOT_A_REGISTRY,
    NOT_WRITABLE,
    SYSTEM,
    from_system,
    wrong,
)
from certify.registry.sql import Reader, Spoiled, SqlView, Writer
from certify.times import system_clock, write_time
from certify_spec.diagnostics import RequestError

APPLICATION: Final = 0x43455254
"""``CERT``: marks the database as a registry's."""
SCHEMA_VERSION: Final = 2
DATABASE: Final = "registry.db"
CACHE_KIB: Final = 64 * 1024


def schema(version: int = SCHEMA_VERSION) -> str:
    """The statements that make an empty database of a schema version, or bring it there step by step."""
    return "".join(step(number) for number in range(1, version + 1))


def step(version: int) -> str:
    """The statements that lead to a schema version from the one before it."""
    name = "schema.sql" if version == 1 else f"schema_{version}.sql"
    return files("certify.registry").joinpath(name).read_text()


class Store(Protocol):
    """A registry's storage: one database and its blobs. Not shared between threads."""

    folder: Path
    blobs: Blobs

    def close(self) -> None:
        """Let go of the database."""

    def is_lost(self) -> bool:
        """Whether the database can be reached no longer, but perhaps anew."""

    def read(self) -> AbstractContextManager[SqlView]:
        """One consistent view."""

    def write(self) -> AbstractContextManager[SqlView]:
        """A view to change, alone; on the disk when this returns, undone when it raises.

        Within a `batch` it is on the disk when the batch returns.
        """

    def batch(self, *, hopeful: bool = False) -> AbstractContextManager[SqlView]:
        """Several writes in one transaction: each is undone alone, all are acknowledged together.

        Args:
            hopeful: whether to do without a savepoint for each write. One that fails while all that it has changed
                waits in memory is undone alone all the same; otherwise all are.

        Raises:
            Spoiled: a write has failed that cannot be undone alone, and nothing was written.
        """

    def identity_changes(self) -> int:
        """As `Reader.identity_changes`, of this moment: one question, and no transaction around it."""


class Transactions:
    """How writes become transactions; a database adds `_reading` and `_writing`."""

    def __init__(self) -> None:
        self._batch: SqlView | None = None
        self._hopeful = False

    def _reading(self) -> AbstractContextManager[SqlView]:
        raise NotImplementedError

    def _writing(self) -> AbstractContextManager[SqlView]:
        raise NotImplementedError

    @contextlib.contextmanager
    def read(self) -> Iterator[SqlView]:
        """One consistent view."""
        if self._batch is not None:
            yield self._batch
        else:
            with self._reading() as view:
                yield view

    @contextlib.contextmanager
    def write(self) -> Iterator[SqlView]:
        """A view to change, alone; on the disk when this returns, undone when it raises."""
        if self._batch is not None:
            with self._batch.hopeful_part() if self._hopeful else self._batch.part():
                yield self._batch
        else:
            with self._writing() as view:
                yield view

    @contextlib.contextmanager
    def batch(self, *, hopeful: bool = False) -> Iterator[SqlView]:
        """Several writes in one transaction: each is undone alone, all are acknowledged together."""
        with self._writing() as view:
            self._batch, self._hopeful = view, hopeful
            try:
                yield view
            finally:
                self._batch = None
            if hopeful:
                _settled(view)


def _settled(view: SqlView) -> None:
    """Write what the parts of a hopeful batch have left waiting; that one of them is wrong shows only here."""
    try:
        view.settle()
    except Exception as error:
        raise Spoiled from error


class SqliteStore(Transactions):
    """A registry's folder: `registry.db`, `blobs/`, `incoming/`.

    Args:
        folder: the registry's folder.
        disk: how files are changed.
        busy_seconds: how long to wait for another writer.
        blobs: where blobs rest; in the folder by default.
        shared: whether another thread may close it.

    Raises:
        RequestError: REG001 no registry, REG003 not accessible, REG004 newer schema, REG005 damaged.
    """

    def __init__(
        self,
        folder: Path,
        *,
        disk: Disk | None = None,
        busy_seconds: float = 30.0,
        blobs: Blobs | None = None,
        shared: bool = False,
    ) -> None:
        super().__init__()
        self.folder = folder
        self.disk = disk or Disk()
        self.blobs: Blobs = blobs or BlobFolder(folder, self.disk)
        with _translated(folder):
            if not (folder / DATABASE).is_file():
                raise wrong(NOT_A_REGISTRY, f"there is no {DATABASE} in {folder}")
            self._connection = connect(folder, busy_seconds=busy_seconds, shared=shared)
        try:
            with _translated(folder):
                found = _demand_schema(self._connection, folder)
                if found < SCHEMA_VERSION and is_writable(folder):
                    _migrate(self._connection)
        except BaseException:
            self._connection.close()
            raise

    @classmethod
    def create(
        cls,
        folder: Path,
        settings: Mapping[str, str],
        *,
        at: str,
        disk: Disk | None = None,
        busy_seconds: float = 30.0,
        blobs: Blobs | None = None,
    ) -> SqliteStore:
        """Make an empty registry's database in a folder that exists, or finish one whose making was interrupted.

        Raises:
            RequestError: REG002 there is a registry or a foreign database, REG003 or REG010 files cannot be written.
        """
        disk = disk or Disk()
        with _translated(folder):
            (blobs or BlobFolder(folder, disk)).create()
            disk.steps("open database")
            connection = sqlite3.connect(folder / DATABASE, timeout=busy_seconds, isolation_level=None)
            try:
                if connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
                    raise wrong(EXISTS, f"{folder} already holds a database")
                disk.steps("journal mode")
                connection.execute("PRAGMA journal_mode = WAL")
                connection.execute("PRAGMA synchronous = FULL")
                _make_schema(connection, settings, at, disk)
            finally:
                connection.close()
            disk.sync("folder", [folder])
        return cls(folder, disk=disk, busy_seconds=busy_seconds, blobs=blobs)

    def close(self) -> None:
        """Let go of the database."""
        self._connection.close()

    def is_lost(self) -> bool:
        """Never: the database is in this process."""
        return False

    def identity_changes(self) -> int:
        """How often identities were changed."""
        with _translated(self.folder):
            return SqlView(self._connection.execute, self.disk, self.blobs).identity_changes()

    @contextlib.contextmanager
    def _reading(self) -> Iterator[SqlView]:
        with _translated(self.folder):
            self._connection.execute("BEGIN")
            try:
                yield SqlView(self._connection.execute, self.disk, self.blobs)
            finally:
                self._connection.execute("ROLLBACK")

    @contextlib.contextmanager
    def _writing(self) -> Iterator[SqlView]:
        connection, disk = self._connection, self.disk
        with _translated(self.folder):
            connection.execute("PRAGMA synchronous = FULL")
            disk.steps("begin")
            connection.execute("BEGIN IMMEDIATE")
            try:
                view = SqlView(connection.execute, disk, self.blobs)
                self.blobs.take_back(view.holds_blob)
                yield view
                view.flush()
                disk.steps("commit")
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise
            finally:
                connection.execute("PRAGMA synchronous = NORMAL")
        # Committed: a journal file that stays is taken back by the next writer, so failing here is no failure.
        with contextlib.suppress(OSError):
            self.blobs.forget(view.journal)


_PRAGMAS: Final = ("synchronous = NORMAL", "foreign_keys = ON", f"cache_size = -{CACHE_KIB}", "trusted_schema = OFF")


def connect(folder: Path, *, busy_seconds: float, read_only: bool = False, shared: bool = False) -> sqlite3.Connection:
    """Open the database for writing where that is allowed and wanted, for reading otherwise.

    Raises:
        sqlite3.Error: it cannot be opened, or is none.
    """
    file = (folder / DATABASE).absolute()
    writable = is_writable(folder)
    if not writable and not (folder / f"{DATABASE}-wal").exists():
        # Without write access SQLite cannot make the files of WAL mode; nothing is pending in them, so none are needed.
        mode = "immutable=1"
    else:
        mode = "mode=rw" if writable and not read_only else "mode=ro"
    connection = sqlite3.connect(
        f"{file.as_uri()}?{mode}",
        uri=True,
        timeout=busy_seconds,
        isolation_level=None,
        check_same_thread=not shared,
    )
    try:
        for pragma in _PRAGMAS:
            connection.execute(f"PRAGMA {pragma}")
    except BaseException:
        connection.close()
        raise
    return connection


def is_writable(folder: Path) -> bool:
    """Whether this process may change the database in `folder`."""
    return os.access(folder / DATABASE, os.W_OK) and os.access(folder, os.W_OK)


def _migrate(connection: sqlite3.Connection) -> None:
    """Bring an older database to the present schema, in one transaction; two processes may try at once."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        found = connection.execute("SELECT max(version) FROM migrations").fetchone()[0]
        for version in range(found + 1, SCHEMA_VERSION + 1):
            for statement in statements(step(version)):
                connection.execute(statement)
            connection.execute("INSERT INTO migrations VALUES (?, ?)", (version, write_time(system_clock())))
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _demand_schema(connection: sqlite3.Connection, folder: Path) -> int:
    application = connection.execute("PRAGMA application_id").fetchone()[0]
    if application != APPLICATION:
        empty = not connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        because = "it was never finished" if empty else "its database is another program's"
        raise wrong(NOT_A_REGISTRY, f"{folder} is not a registry", because=because)
    found = connection.execute("SELECT max(version) FROM migrations").fetchone()[0]
    if found is None:
        raise wrong(DAMAGED, f"{folder} does not say which schema it has")
    if found > SCHEMA_VERSION:
        raise wrong(NEWER_SCHEMA, f"{folder} has schema {found}; this release reads up to {SCHEMA_VERSION}")
    return int(found)


def _make_schema(connection: sqlite3.Connection, settings: Mapping[str, str], at: str, disk: Disk) -> None:
    disk.steps("begin")
    connection.execute("BEGIN IMMEDIATE")
    connection.execute(f"PRAGMA application_id = {APPLICATION}")
    for statement in statements(schema()):
        disk.steps("schema")
        connection.execute(statement)
    connection.executemany("INSERT INTO migrations VALUES (?, ?)", [(v, at) for v in range(1, SCHEMA_VERSION + 1)])
    connection.executemany("INSERT INTO settings VALUES (?, ?)", settings.items())
    disk.steps("commit")
    connection.execute("COMMIT")


def statements(script: str) -> Iterator[str]:
    """The statements of a script, one by one: `executescript` would commit in between."""
    pending = ""
    for line in script.splitlines(keepends=True):
        pending += line
        if sqlite3.complete_statement(pending):
            yield pending.strip()
            pending = ""


@contextlib.contextmanager
def _translated(folder: Path) -> Iterator[None]:
    """Turn errors of SQLite and of the system into the registry's own."""
    try:
        yield
    except sqlite3.Error as error:
        raise from_sqlite(error, folder) from error
    except UnicodeDecodeError as error:
        raise _undecodable(folder) from error
    except OSError as error:
        raise from_system(error, folder) from error


def _undecodable(folder: Path) -> RequestError:
    """SQLite quotes damaged text in its messages, and Python then cannot decode the message."""
    return wrong(DAMAGED, f"the database in {folder} cannot be read: it holds text that is not UTF-8")


def from_sqlite(error: sqlite3.Error, folder: Path) -> RequestError:
    """What SQLite said about the database in `folder`."""
    name = getattr(error, "sqlite_errorname", "")
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return wrong(BUSY, f"{folder} is held by another process")
    if name.startswith(("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM")):
        return wrong(NOT_WRITABLE, f"{folder} cannot be written: {error}")
    if name.startswith(("SQLITE_FULL", "SQLITE_IOERR")):
        return wrong(SYSTEM, f"{folder}: {error}")
    return wrong(DAMAGED, f"the database in {folder} cannot be read: {error}")


__all__ = ["Reader", "SqliteStore", "Store", "Transactions", "Writer"]
