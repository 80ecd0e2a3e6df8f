"""The stored rows as they are, for verification: read without indices, believed in nothing.

Rules this module keeps:

- the database is opened for reading only, and each table is scanned in full;
- rows are handed on as found: whether they fit the log is for the reader to judge;
- a database that SQLite itself finds damaged gives `DamageError` with what SQLite says.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from certify.registry.errors import DAMAGED
from certify.registry.places import open_store, read_storage
from certify.registry.store import SCHEMA_VERSION, connect, from_sqlite, schema, statements

Row = tuple[Any, ...]


class DamageError(Exception):
    """SQLite cannot read the database, or finds its pages inconsistent."""


@dataclass(frozen=True, slots=True)
class RawStorage:
    """Every row of the registry's tables.

    Attributes:
        alterations: tables, indices and triggers that differ from the schema's.
        settings: ``(name, value)``.
        entries: ``(number, node, leaf_hash, data)`` by number.
        subtrees: ``(level, number, hash)``.
        checkpoints: ``(size, note)`` by size.
        blobs: ``(digest, size)``.
        releases: ``(node, release, subject, evidence, entry, status, version)``.
        waivers: ``(id, node, entry)``.
    """

    alterations: tuple[str, ...]
    settings: tuple[Row, ...]
    entries: tuple[Row, ...]
    subtrees: tuple[Row, ...]
    checkpoints: tuple[Row, ...]
    blobs: tuple[Row, ...]
    releases: tuple[Row, ...]
    waivers: tuple[Row, ...]


def load(folder: Path) -> RawStorage:
    """Read everything, in one transaction.

    Raises:
        DamageError: the database is damaged, or lacks a table.
        RequestError: REG003, REG006 or REG010, the database cannot be read at present.
    """
    if read_storage(folder).database:
        return _load_elsewhere(folder)
    try:
        with contextlib.closing(connect(folder, busy_seconds=30.0, read_only=True)) as connection:
            connection.execute("BEGIN")
            said = [str(row[0]) for row in connection.execute("PRAGMA integrity_check(5)")]
            if said != ["ok"]:
                raise DamageError("; ".join(said))
            alterations = _alterations(connection)
            return RawStorage(alterations, **{table: _scan(connection, table) for table in _COLUMNS})
    except UnicodeDecodeError as error:  # SQLite quotes damaged text in its messages
        raise DamageError("it holds text that is not UTF-8") from error
    except sqlite3.Error as error:
        refusal = from_sqlite(error, folder)
        if all(diagnostic.rule == DAMAGED for diagnostic in refusal.diagnostics):
            raise DamageError(str(error)) from error
        raise refusal from error


_COLUMNS: Final[Mapping[str, Mapping[str, type]]] = {
    "settings": {"name": str, "value": str},
    "entries": {"number": int, "node": str, "leaf_hash": bytes, "data": bytes},
    "subtrees": {"level": int, "number": int, "hash": bytes},
    "checkpoints": {"size": int, "note": str},
    "blobs": {"digest": str, "size": int},
    "releases": {
        "node": str,
        "release": str,
        "subject": str,
        "evidence": str,
        "entry": int,
        "status": str,
        "version": int,
    },
    "waivers": {"id": str, "node": str, "entry": int},
}


def _scan(connection: sqlite3.Connection, table: str) -> tuple[Row, ...]:
    """The table's rows, ordered by their first column after they were read."""
    columns = _COLUMNS[table]
    rows = list(connection.execute(f"SELECT {', '.join(columns)} FROM {table} NOT INDEXED"))  # noqa: S608 - names of ours
    if not all(isinstance(value, kind) for row in rows for value, kind in zip(row, columns.values(), strict=True)):
        raise DamageError(f"the table {table} holds values of other types than its columns have")
    return tuple(sorted(rows, key=lambda row: row[0]))


def _load_elsewhere(folder: Path) -> RawStorage:
    """As `load`, from PostgreSQL."""
    from certify.registry import postgres

    store = open_store(folder)
    try:
        with store.read() as view:
            tables = {table: tuple(view.rows(table)) for table in _COLUMNS}
        altered = postgres.alterations(store._connection)  # type: ignore[attr-defined]  # its driver's own
    finally:
        store.close()
    for table, rows in tables.items():
        kinds = _COLUMNS[table].values()
        if not all(isinstance(value, kind) for row in rows for value, kind in zip(row, kinds, strict=True)):
            raise DamageError(f"the table {table} holds values of other types than its columns have")
    return RawStorage(altered, **tables)


def _alterations(connection: sqlite3.Connection) -> tuple[str, ...]:
    """Names of what the database's own schema has otherwise, too much or too little."""
    with contextlib.closing(sqlite3.connect(":memory:")) as fresh:
        # A registry that cannot be written keeps an older schema, and is not altered for that.
        found = connection.execute("SELECT coalesce(max(version), 0) FROM migrations").fetchone()[0]
        for statement in statements(schema(min(found, SCHEMA_VERSION) or SCHEMA_VERSION)):
            fresh.execute(statement)
        expected = _objects(fresh)
    found = _objects(connection)
    return tuple(sorted(name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name)))


def _objects(connection: sqlite3.Connection) -> dict[str, str]:
    rows = connection.execute("SELECT type || ' ' || name, sql FROM sqlite_master WHERE sql IS NOT NULL")
    return {str(name): " ".join(str(sql).split()) for name, sql in rows}
