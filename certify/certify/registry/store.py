"""The embedded store: one SQLite database, blobs beside it, one small interface.

Rules this module keeps:

- `Reader` and `Writer` are all that the registry knows of its storage; another store implements the same two;
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
from importlib.resources import files
from pathlib import Path
from typing import Any, Final, Protocol

from certify.registry.disk import BlobFolder, Disk
from certify.registry.entries import Release, Status
from certify.registry.errors import (
    BUSY,
    DAMAGED,
    EXISTS,
    NEWER_SCHEMA,
    NOT_A_REGISTRY,
    NOT_WRITABLE,
    SYSTEM,
    Conflict,
    from_system,
    wrong,
)
from certify.registry.merkle import Subtree
from certify_spec.diagnostics import RequestError

APPLICATION: Final = 0x43455254
"""``CERT``: marks the database as a registry's."""
SCHEMA_VERSION: Final = 1
DATABASE: Final = "registry.db"
CACHE_KIB: Final = 64 * 1024


def schema() -> str:
    """The statements that make an empty database."""
    return files("certify.registry").joinpath("schema.sql").read_text()


class Reader(Protocol):
    """One consistent view of the storage."""

    def setting(self, name: str) -> str:
        """A setting made at creation."""

    def size(self) -> int:
        """Number of log entries."""

    def entries(self, start: int = 0, stop: int | None = None) -> tuple[tuple[int, bytes], ...]:
        """Entries with their numbers, in order."""

    def entries_of(self, node: str) -> tuple[tuple[int, bytes], ...]:
        """The entries about one node, in order."""

    def subtree(self, level: int, index: int) -> bytes:
        """Hash of a complete subtree of the log's tree."""

    def checkpoint(self, size: int) -> str:
        """The signed checkpoint at a size."""

    def release(self, node: str, release: str) -> Release | None:
        """One release, if there is one."""

    def releases(self, node: str | None = None) -> tuple[Release, ...]:
        """All releases, or those of one node, in the order of publishing."""

    def waivers(self, node: str | None = None) -> tuple[tuple[str, int], ...]:
        """Id and entry number of each waiver, or of those for one node, in order."""

    def knows_blob(self, digest: str) -> bool:
        """Whether a log entry names the blob."""


class Writer(Reader, Protocol):
    """A view that can be changed; all of it or nothing."""

    def put_blobs(self, blobs: Mapping[str, bytes]) -> None:
        """Store blobs by digest; those that are there already cost little."""

    def append(
        self, number: int, *, node: str, data: bytes, leaf: bytes, subtrees: tuple[Subtree, ...], note: str
    ) -> None:
        """Add a log entry, what it adds to the tree, and the checkpoint that includes it."""

    def add_release(self, release: Release) -> None:
        """Enter a release that is not there."""

    def swap_release(self, release: Release, expected: int) -> None:
        """Replace a release if it is at version `expected`; raises `Conflict` otherwise."""

    def add_waiver(self, identity: str, node: str, entry: int) -> None:
        """Enter a waiver that is not there."""


class SqliteStore:
    """A registry's folder: `registry.db`, `blobs/`, `incoming/`.

    Args:
        folder: the registry's folder.
        disk: how files are changed.
        busy_seconds: how long to wait for another writer.

    Raises:
        RequestError: REG001 no registry, REG003 not accessible, REG004 newer schema, REG005 damaged.
    """

    def __init__(self, folder: Path, *, disk: Disk | None = None, busy_seconds: float = 30.0) -> None:
        self.folder = folder
        self.disk = disk or Disk()
        self.blobs = BlobFolder(folder, self.disk)
        with _translated(folder):
            if not (folder / DATABASE).is_file():
                raise wrong(NOT_A_REGISTRY, f"there is no {DATABASE} in {folder}")
            self._connection = connect(folder, busy_seconds=busy_seconds)
        try:
            with _translated(folder):
                _demand_schema(self._connection, folder)
        except BaseException:
            self._connection.close()
            raise

    @classmethod
    def create(
        cls, folder: Path, settings: Mapping[str, str], *, at: str, disk: Disk | None = None, busy_seconds: float = 30.0
    ) -> SqliteStore:
        """Make an empty registry's database in a folder that exists, or finish one whose making was interrupted.

        Raises:
            RequestError: REG002 there is a registry or a foreign database, REG003 or REG010 files cannot be written.
        """
        disk = disk or Disk()
        with _translated(folder):
            BlobFolder(folder, disk).create()
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
        return cls(folder, disk=disk, busy_seconds=busy_seconds)

    def close(self) -> None:
        """Let go of the database."""
        self._connection.close()

    @contextlib.contextmanager
    def read(self) -> Iterator[Reader]:
        """One consistent view."""
        with _translated(self.folder):
            self._connection.execute("BEGIN")
            try:
                yield _SqliteView(self._connection, self.disk, self.blobs)
            finally:
                self._connection.execute("ROLLBACK")

    @contextlib.contextmanager
    def write(self) -> Iterator[Writer]:
        """A view to change, alone; on the disk when this returns, undone when it raises."""
        connection, disk = self._connection, self.disk
        with _translated(self.folder):
            connection.execute("PRAGMA synchronous = FULL")
            disk.steps("begin")
            connection.execute("BEGIN IMMEDIATE")
            try:
                view = _SqliteView(connection, disk, self.blobs)
                self.blobs.take_back(view.knows_blob)
                yield view
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


class _SqliteView:
    """`Reader` and `Writer` on an open transaction."""

    def __init__(self, connection: sqlite3.Connection, disk: Disk, blobs: BlobFolder) -> None:
        self._connection = connection
        self._disk = disk
        self._blobs = blobs
        self.journal: list[Path] = []

    def _rows(self, statement: str, *values: Any) -> list[Any]:
        return self._connection.execute(statement, values).fetchall()

    def _value(self, statement: str, *values: Any) -> Any:
        rows = self._rows(statement, *values)
        if not rows:
            raise wrong(DAMAGED, f"a row that the log must have is missing: {statement} with {values}")
        return rows[0][0]

    def _change(self, statement: str, *values: Any) -> int:
        self._disk.steps(" ".join(statement.split()[:3]).lower())
        return self._connection.execute(statement, values).rowcount

    def setting(self, name: str) -> str:
        return str(self._value("SELECT value FROM settings WHERE name = ?", name))

    def size(self) -> int:
        return int(self._value("SELECT coalesce(max(number) + 1, 0) FROM entries"))

    def entries(self, start: int = 0, stop: int | None = None) -> tuple[tuple[int, bytes], ...]:
        last = 2**63 - 1 if stop is None else stop - 1
        statement = "SELECT number, data FROM entries WHERE number BETWEEN ? AND ? ORDER BY number"
        return tuple(self._rows(statement, start, last))

    def entries_of(self, node: str) -> tuple[tuple[int, bytes], ...]:
        return tuple(self._rows("SELECT number, data FROM entries WHERE node = ? ORDER BY number", node))

    def subtree(self, level: int, index: int) -> bytes:
        if level == 0:
            return bytes(self._value("SELECT leaf_hash FROM entries WHERE number = ?", index))
        return bytes(self._value("SELECT hash FROM subtrees WHERE level = ? AND number = ?", level, index))

    def checkpoint(self, size: int) -> str:
        return str(self._value("SELECT note FROM checkpoints WHERE size = ?", size))

    def release(self, node: str, release: str) -> Release | None:
        rows = self._rows(f"{_SELECT_RELEASES} WHERE node = ? AND release = ?", node, release)
        return _release(rows[0]) if rows else None

    def releases(self, node: str | None = None) -> tuple[Release, ...]:
        rows = self._rows(f"{_SELECT_RELEASES} WHERE ?1 IS NULL OR node = ?1 ORDER BY entry", node)
        return tuple(_release(row) for row in rows)

    def waivers(self, node: str | None = None) -> tuple[tuple[str, int], ...]:
        return tuple(self._rows("SELECT id, entry FROM waivers WHERE ?1 IS NULL OR node = ?1 ORDER BY entry", node))

    def knows_blob(self, digest: str) -> bool:
        return bool(self._rows("SELECT 1 FROM blobs WHERE digest = ?", digest))

    def put_blobs(self, blobs: Mapping[str, bytes]) -> None:
        self.journal += self._blobs.put(blobs, self.knows_blob)
        for digest, data in blobs.items():
            self._change("INSERT OR IGNORE INTO blobs VALUES (?, ?)", digest, len(data))

    def append(
        self, number: int, *, node: str, data: bytes, leaf: bytes, subtrees: tuple[Subtree, ...], note: str
    ) -> None:
        self._change("INSERT INTO entries VALUES (?, ?, ?, ?)", number, node, leaf, data)
        for made in subtrees:
            if made.level:
                self._change("INSERT INTO subtrees VALUES (?, ?, ?)", made.level, made.index, made.hash)
        self._change("INSERT INTO checkpoints VALUES (?, ?)", number + 1, note)

    def add_release(self, release: Release) -> None:
        r = release
        values = (r.node, r.release, r.subject, r.evidence, r.entry, r.status.value, r.version)
        self._change("INSERT INTO releases VALUES (?, ?, ?, ?, ?, ?, ?)", *values)

    def swap_release(self, release: Release, expected: int) -> None:
        changed = self._change(
            "UPDATE releases SET status = ?, version = ? WHERE node = ? AND release = ? AND version = ?",
            release.status.value,
            release.version,
            release.node,
            release.release,
            expected,
        )
        if not changed:
            found = self.release(release.node, release.release)
            raise Conflict(release.name, expected, found.version if found else 0)

    def add_waiver(self, identity: str, node: str, entry: int) -> None:
        self._change("INSERT INTO waivers VALUES (?, ?, ?)", identity, node, entry)


_SELECT_RELEASES: Final = "SELECT node, release, subject, evidence, entry, status, version FROM releases"


def _release(row: Any) -> Release:
    node, release, subject, evidence, entry, status, version = row
    try:
        return Release(node, release, subject, evidence, entry, Status(status), version)
    except ValueError:
        raise wrong(DAMAGED, f"{node}@{release} has no known status: {status!r}") from None


_PRAGMAS: Final = ("synchronous = NORMAL", "foreign_keys = ON", f"cache_size = -{CACHE_KIB}", "trusted_schema = OFF")


def connect(folder: Path, *, busy_seconds: float, read_only: bool = False) -> sqlite3.Connection:
    """Open the database for writing where that is allowed and wanted, for reading otherwise.

    Raises:
        sqlite3.Error: it cannot be opened, or is none.
    """
    file = (folder / DATABASE).absolute()
    writable = os.access(file, os.W_OK) and os.access(folder, os.W_OK)
    if not writable and not (folder / f"{DATABASE}-wal").exists():
        # Without write access SQLite cannot make the files of WAL mode; nothing is pending in them, so none are needed.
        mode = "immutable=1"
    else:
        mode = "mode=rw" if writable and not read_only else "mode=ro"
    connection = sqlite3.connect(f"{file.as_uri()}?{mode}", uri=True, timeout=busy_seconds, isolation_level=None)
    try:
        for pragma in _PRAGMAS:
            connection.execute(f"PRAGMA {pragma}")
    except BaseException:
        connection.close()
        raise
    return connection


def _demand_schema(connection: sqlite3.Connection, folder: Path) -> None:
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


def _make_schema(connection: sqlite3.Connection, settings: Mapping[str, str], at: str, disk: Disk) -> None:
    disk.steps("begin")
    connection.execute("BEGIN IMMEDIATE")
    connection.execute(f"PRAGMA application_id = {APPLICATION}")
    for statement in statements(schema()):
        disk.steps("schema")
        connection.execute(statement)
    connection.execute("INSERT INTO migrations VALUES (?, ?)", (SCHEMA_VERSION, at))
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
