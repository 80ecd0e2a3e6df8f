"""The storage in PostgreSQL: the same tables, the same statements, the same promises.

Rules this module keeps:

- the tables are those of schema.sql, put into PostgreSQL's words: nothing is declared twice;
- many values go there as one JSON text: a statement for each few of them is a way to the server and back for each;
- writers take one advisory lock before they read anything, as SQLite's writers take its write lock;
- readers see one snapshot (`REPEATABLE READ`), and a commit waits for the disk (`synchronous_commit = on`);
- the driver's errors leave here as `RequestError`, without the address or password of the database.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from certify.registry.disk import BlobFolder, Blobs, Disk
from certify.registry.errors import (
    BUSY,
    DAMAGED,
    EXISTS,
    MALFORMED,
    NEWER_SCHEMA,
    NOT_A_REGISTRY,
    NOT_WRITABLE,
    SYSTEM,
    from_system,
    wrong,
)
from certify.registry.sql import TABLES, Piece, SqlView
from certify.registry.store import APPLICATION, SCHEMA_VERSION, Transactions, statements, step
from certify.times import system_clock, write_time
from certify_spec.diagnostics import RequestError

_FUNCTION: Final = (
    "CREATE FUNCTION certify_only_grows() RETURNS trigger LANGUAGE plpgsql AS "
    "$$ BEGIN RAISE EXCEPTION 'the log only grows'; END $$"
)
_TRIGGER: Final = re.compile(r"CREATE TRIGGER (\w+) BEFORE (\w+) ON (\w+) BEGIN .* END;", re.DOTALL)
_WORDS: Final = (
    (re.compile(r"\bSTRICT, WITHOUT ROWID|\bSTRICT"), ""),
    (re.compile(r"\bINTEGER\b"), "BIGINT"),
    (re.compile(r"\bBLOB\b"), "BYTEA"),
    # Names are compared byte by byte, as SQLite does, so that pages and orders are the same on both.
    (re.compile(r"\bTEXT\b"), 'TEXT COLLATE "C"'),
    (re.compile(r"--[^\n]*\n"), "\n"),
)


def translated(statement: str) -> str:
    """A statement of the schema in PostgreSQL's words."""
    for pattern, word in _WORDS:
        statement = pattern.sub(word, statement)
    trigger = _TRIGGER.search(statement)
    if trigger is None:
        return statement
    name, what, table = trigger.groups()
    return f"CREATE TRIGGER {name} BEFORE {what} ON {table} FOR EACH ROW EXECUTE FUNCTION certify_only_grows()"


class InJson:
    """Many values as one JSON text, of which PostgreSQL makes rows with the types of the table's columns."""

    def rows(self, table: str, rows: Sequence[tuple[Any, ...]]) -> Iterator[Piece]:
        """``SELECT … FROM json_populate_recordset(…)``, for so many characters at a time."""
        columns = TABLES[table]
        piece = f"SELECT {', '.join(columns)} FROM json_populate_recordset(NULL::{table}, ?)"  # noqa: S608 - names of ours
        texts, length = [], 0
        for row in rows:
            texts.append(_JSON.encode(dict(zip(columns, row, strict=True))))
            length += len(texts[-1])
            if length > _LONGEST:
                yield piece, [f"[{','.join(texts)}]"]
                texts, length = [], 0
        if texts:
            yield piece, [f"[{','.join(texts)}]"]

    def named(self, table: str, columns: str, key: str, texts: Sequence[str], *, kind: str = "") -> Iterator[Piece]:
        """One question for each text, all within one statement.

        That one finds its row by the primary key, whatever PostgreSQL believes of the table. For a list of keys it went
        through all rows of the kind, or of the table: it had made its plan when there were few.
        """
        where, values = ("kind = ? AND ", [kind]) if kind else ("", [])
        row = f"SELECT {columns} FROM {table} WHERE {where}{key} = wanted.text LIMIT 1"  # noqa: S608 - names of ours
        statement = f"SELECT found.* FROM json_array_elements_text(?) AS wanted (text), LATERAL ({row}) AS found"  # noqa: S608 - names of ours
        yield statement, [_JSON.encode(texts), *values]


def _bytes(value: object) -> str:
    """Bytes as PostgreSQL reads them from a text."""
    if isinstance(value, bytes):
        return f"\\x{value.hex()}"
    raise TypeError(f"{type(value).__name__} is no value of a column")


_JSON: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), default=_bytes)
_LONGEST: Final = 1 << 20
"""So many characters in one statement, or few more than one row has."""
IN_JSON: Final = InJson()


class PostgresStore(Transactions):
    """A registry whose tables are in a PostgreSQL database; its key, and unless elsewhere its blobs, are in a folder.

    Args:
        folder: the registry's folder.
        url: ``postgresql://user@host:port/database?options``; passwords come from PGPASSWORD or a password file.
        disk: how files are changed.
        busy_seconds: how long to wait for another writer.
        blobs: where blobs rest; in the folder by default.

    Raises:
        RequestError: REG001 no registry, REG003 not accessible, REG004 newer schema, REG010 not reachable.
    """

    def __init__(
        self,
        folder: Path,
        url: str,
        *,
        disk: Disk | None = None,
        busy_seconds: float = 30.0,
        blobs: Blobs | None = None,
    ) -> None:
        super().__init__()
        self.folder = folder
        self.disk = disk or Disk()
        self.blobs: Blobs = blobs or BlobFolder(folder, self.disk)
        with _translated(folder):
            self._connection = _connected(url, busy_seconds)
        try:
            with _translated(folder):
                _demand_schema(self._connection, folder)
        except BaseException:
            self._connection.close()
            raise

    @classmethod
    def create(
        cls,
        folder: Path,
        url: str,
        settings: Mapping[str, str],
        *,
        at: str,
        disk: Disk | None = None,
        busy_seconds: float = 30.0,
        blobs: Blobs | None = None,
    ) -> PostgresStore:
        """Make an empty registry's tables in a database that has none of them.

        Raises:
            RequestError: REG002 the database holds tables already, REG003 or REG010 it cannot be used.
        """
        with _translated(folder):
            (blobs or BlobFolder(folder, disk or Disk())).create()
            connection = _connected(url, busy_seconds)
            try:
                with _transaction(connection, "BEGIN"):
                    if _tables(connection) & set(TABLES):
                        raise wrong(EXISTS, "the database already holds a registry")
                    connection.execute(_FUNCTION)
                    connection.execute("CREATE TABLE migrations (version BIGINT PRIMARY KEY, applied_at TEXT NOT NULL)")
                    _apply(connection, 0, at)
                    for row in settings.items():
                        connection.execute("INSERT INTO settings VALUES (%s, %s)", row)
            finally:
                connection.close()
        return cls(folder, url, disk=disk, busy_seconds=busy_seconds, blobs=blobs)

    def close(self) -> None:
        """Let go of the database."""
        self._connection.close()

    def is_lost(self) -> bool:
        """Whether the connection was lost."""
        return bool(self._connection.closed)

    def _run(self, statement: str, values: Sequence[Any]) -> Any:
        return self._connection.execute(_marked(statement), values)

    def identity_changes(self) -> int:
        """How often identities were changed."""
        with _translated(self.folder):
            return SqlView(self._run, self.disk, self.blobs, IN_JSON).identity_changes()

    @contextlib.contextmanager
    def _reading(self) -> Iterator[SqlView]:
        with (
            _translated(self.folder),
            _transaction(self._connection, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", "ROLLBACK"),
        ):
            yield SqlView(self._run, self.disk, self.blobs, IN_JSON)

    @contextlib.contextmanager
    def _writing(self) -> Iterator[SqlView]:
        with _translated(self.folder):
            self.disk.steps("begin")
            with _transaction(self._connection, _BEGIN_WRITING) as begun:
                view = SqlView(self._run, self.disk, self.blobs, IN_JSON, {"events": _last_value(begun)})
                self.blobs.take_back(view.holds_blob)
                yield view
                view.flush()
                self.disk.steps("commit")
        with contextlib.suppress(OSError):
            self.blobs.forget(view.journal)


_BEGIN_ALONE: Final = f"BEGIN ISOLATION LEVEL READ COMMITTED; SELECT pg_advisory_xact_lock({APPLICATION})"
_BEGIN_WRITING: Final = f"{_BEGIN_ALONE}; SELECT coalesce(max(number), 0) FROM events"  # noqa: S608 - a number of ours
"""All in one way to the server and back; each statement sees what was committed when the one before it was done."""


def _last_value(cursor: Any) -> int:
    """The number that the last of several statements has found."""
    while cursor.nextset():
        pass
    return int(cursor.fetchone()[0])


@lru_cache(maxsize=1024)
def _marked(statement: str) -> str:
    """A statement with parameters marked as the driver has them."""
    return statement.replace("?", "%s")


@contextlib.contextmanager
def _transaction(connection: Any, begin: str, end: str = "COMMIT") -> Iterator[Any]:
    """A transaction; what beginning it has found."""
    try:
        yield connection.execute(begin)  # what begins a write may fail after the transaction was begun
        connection.execute(end)
    except BaseException:
        if not connection.closed:
            connection.execute("ROLLBACK")
        raise


def _connected(url: str, busy_seconds: float) -> Any:
    """A connection on which transactions are begun and ended by statements."""
    try:
        import psycopg
    except ImportError:
        raise wrong(
            MALFORMED, "PostgreSQL needs a driver that is not installed", fix="pip install 'certify-toolkit[postgres]'"
        ) from None
    connection = psycopg.connect(url, autocommit=True, connect_timeout=10, application_name="certify")
    connection.execute(f"SET lock_timeout = {int(busy_seconds * 1000)}")
    connection.execute("SET synchronous_commit = on")
    connection.execute("SET client_min_messages = warning")
    return connection


def _tables(connection: Any) -> set[str]:
    rows = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = current_schema()").fetchall()
    return {str(row[0]) for row in rows}


def _apply(connection: Any, found: int, at: str) -> None:
    """Bring the tables from one schema version to the present one."""
    for version in range(found + 1, SCHEMA_VERSION + 1):
        for statement in statements(step(version)):
            if "CREATE TABLE migrations" not in statement:
                connection.execute(translated(statement))
        connection.execute("INSERT INTO migrations VALUES (%s, %s)", (version, at))


def _demand_schema(connection: Any, folder: Path) -> None:
    if "migrations" not in _tables(connection):
        raise wrong(NOT_A_REGISTRY, f"the database of {folder} holds no registry")
    found = connection.execute("SELECT coalesce(max(version), 0) FROM migrations").fetchone()[0]
    if found > SCHEMA_VERSION:
        raise wrong(NEWER_SCHEMA, f"{folder} has schema {found}; this release reads up to {SCHEMA_VERSION}")
    if found < SCHEMA_VERSION:
        with _transaction(connection, _BEGIN_ALONE):
            found = connection.execute("SELECT max(version) FROM migrations").fetchone()[0]
            _apply(connection, found, write_time(system_clock()))


def alterations(connection: Any) -> tuple[str, ...]:
    """What the database has otherwise than the schema: columns, and the triggers that keep the log."""
    expected = {f"table {table} ({', '.join(columns)})" for table, columns in TABLES.items()}
    found = set()
    for table in TABLES:
        rows = connection.execute(
            "SELECT column_name FROM information_schema.columns "
            "WHERE table_schema = current_schema() AND table_name = %s ORDER BY ordinal_position",
            (table,),
        ).fetchall()
        found.add(f"table {table} ({', '.join(row[0] for row in rows)})")
    for version in range(1, SCHEMA_VERSION + 1):
        for statement in statements(step(version)):
            if trigger := _TRIGGER.search(statement):
                expected.add(f"trigger {trigger[1]} on {trigger[3]}")
    rows = connection.execute(
        "SELECT tgname, relname FROM pg_trigger JOIN pg_class ON pg_class.oid = tgrelid "
        "WHERE NOT tgisinternal AND tgenabled <> 'D' AND relnamespace = current_schema()::regnamespace"
    ).fetchall()
    found |= {f"trigger {name} on {table}" for name, table in rows}
    return tuple(sorted(expected ^ found))


@contextlib.contextmanager
def _translated(folder: Path) -> Iterator[None]:
    """Turn errors of the driver and of the system into the registry's own."""
    try:
        yield
    except OSError as error:
        raise from_system(error, folder) from error
    except Exception as error:
        refusal = _from_driver(error, folder)
        if refusal is None:
            raise
        raise refusal from error


def _from_driver(error: Exception, folder: Path) -> RequestError | None:
    if type(error).__module__.partition(".")[0] != "psycopg":
        return None
    import psycopg

    match error:
        case psycopg.errors.LockNotAvailable() | psycopg.errors.QueryCanceled():
            return wrong(BUSY, f"{folder} is held by another process")
        case psycopg.errors.InsufficientPrivilege() | psycopg.errors.ReadOnlySqlTransaction():
            return wrong(NOT_WRITABLE, f"the database of {folder} cannot be written: {_said(error)}")
        case psycopg.errors.UndefinedTable() | psycopg.errors.UndefinedColumn():
            return wrong(DAMAGED, f"the database of {folder} lacks a table: {_said(error)}")
        case psycopg.OperationalError() | psycopg.InterfaceError():
            return wrong(SYSTEM, f"the database of {folder} cannot be reached: {_said(error)}")
        case psycopg.DataError():
            return wrong(MALFORMED, f"a value cannot be stored: {_said(error)}")
        case psycopg.Error():
            return wrong(DAMAGED, f"the database of {folder} cannot be used: {_said(error)}")
        case _:
            return None


def _said(error: Exception) -> str:
    return str(error).partition("\n")[0].strip()
