"""Databases on SQLite.

Rules this module keeps:

- the write lock is taken when a transaction begins, so that what it reads still holds when it writes;
- a statement reaches its own database and nothing else: no ATTACH, no VACUUM INTO, no pragma that changes a setting,
  and no function that reads the clock or a random source unless the manifest declares these;
- a thread that waits (for another thread or another process) waits for the busy timeout at most.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from certify.capabilities.api import CapabilityDenied, StoreBusy, StoreError, Transaction
from certify.capabilities.settings import Access, Grants
from certify.capabilities.stores import connect, translated

_READING = frozenset({sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE})
_INSPECTING_PRAGMAS = frozenset(
    {"foreign_key_list", "index_info", "index_list", "index_xinfo", "table_info", "table_list", "table_xinfo"}
)
_FUNCTIONS = {
    "random": frozenset({"random", "randomblob"}),
    "clock": frozenset(
        {"current_date", "current_time", "current_timestamp", "date", "datetime", "julianday", "strftime", "time"}
        | {"timediff", "unixepoch"}
    ),
}


class SqliteDatabase:
    """`Database` on a file, with one connection that is opened when it is first used."""

    def __init__(self, name: str, path: Path, grants: Grants, busy_timeout: float, mode: Access) -> None:
        self._name = name
        self._path = path
        self._grants = grants
        self._busy_timeout = busy_timeout
        self._mode = mode
        self._lock = threading.Lock()
        self._owner: int | None = None
        self._connection: sqlite3.Connection | None = None
        self._denied = ""
        self._reading = True
        self._steering = False

    def close(self) -> None:
        """Close the file; an open transaction is rolled back."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def transaction(self) -> OpenTransaction:
        """See `Database.transaction`."""
        return OpenTransaction(self)

    def query(self, statement: str, parameters: Sequence[Any]) -> tuple[tuple[Any, ...], ...]:
        """See `Database.query`."""
        self._take("a query outside it would not see what the transaction did: use the transaction's `execute`")
        try:
            self._reading = True
            return self.execute(statement, parameters)
        finally:
            self._give()

    def begin(self) -> None:
        """Take the thread lock, then the file's write lock."""
        self._take("a transaction cannot be nested: finish the first")
        try:
            self._reading = False
            self._steer("BEGIN IMMEDIATE")
        except BaseException:
            self._give()
            raise

    def end(self, statement: str) -> None:
        """Commit or roll back (nothing, when the statement is empty), and give the locks back.

        A commit that fails is rolled back.
        """
        try:
            if statement:
                self._steer(statement)
        except BaseException:
            if self._connection is not None and self._connection.in_transaction:
                self._steer("ROLLBACK")
            raise
        finally:
            self._give()

    def execute(self, statement: str, parameters: Sequence[Any]) -> tuple[tuple[Any, ...], ...]:
        """Run a statement on the connection; the caller holds the lock."""
        connection = self._open()
        self._denied = ""
        try:
            with translated(f"db `{self._name}`"):
                return tuple(connection.execute(statement, parameters).fetchall())
        except StoreError as error:
            if self._denied:
                raise CapabilityDenied(f"db `{self._name}`: {self._denied}") from error
            raise

    def in_transaction(self) -> bool:
        """Whether SQLite still has the transaction open: some errors (a full disk) roll it back at once."""
        return self._connection is not None and self._connection.in_transaction

    def _take(self, nested: str) -> None:
        if self._owner == threading.get_ident():
            raise StoreError(f"db `{self._name}`: this thread is inside a transaction already; {nested}")
        if not self._lock.acquire(timeout=self._busy_timeout):
            raise StoreBusy(f"db `{self._name}`: another thread held it for more than {self._busy_timeout:g} s")
        self._owner = threading.get_ident()

    def _give(self) -> None:
        self._owner = None
        self._lock.release()

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            connection = connect(self._path, self._busy_timeout, create=self._mode == "write")
            connection.set_authorizer(self._authorise)
            self._connection = connection
        return self._connection

    def _steer(self, statement: str) -> None:
        connection = self._open()
        self._steering = True
        try:
            with translated(f"db `{self._name}`"):
                connection.execute(statement)
        finally:
            self._steering = False

    def _authorise(self, action: int, first: str | None, second: str | None, *_: str | None) -> int:
        # SQLite asks while it compiles a statement; whatever raised here would be lost, so the reason is kept aside
        if self._steering:
            return sqlite3.SQLITE_OK
        self._denied = self._denied or self._objection(action, first, second)
        return sqlite3.SQLITE_DENY if self._denied else sqlite3.SQLITE_OK

    def _objection(self, action: int, first: str | None, second: str | None) -> str:
        if action in {sqlite3.SQLITE_ATTACH, sqlite3.SQLITE_DETACH}:
            return "a statement may not attach or write another file; declare a db resource for each database"
        if action == sqlite3.SQLITE_TRANSACTION:
            return "a statement may not begin or end a transaction; that is what `with ctx.db(...).transaction()` does"
        if action == sqlite3.SQLITE_PRAGMA:
            return "" if first in _INSPECTING_PRAGMAS else f"a statement may not use PRAGMA {first}"
        if action == sqlite3.SQLITE_FUNCTION:
            return self._objection_to_function((second or "").lower())
        if self._reading and action not in _READING:
            return "a query may not write; write inside a transaction"
        return ""

    def _objection_to_function(self, function: str) -> str:
        for kind, functions in _FUNCTIONS.items():
            if function in functions and not self._grants.allows(kind):
                return (
                    f"the SQL function {function}() reads the {kind}, which node.toml does not declare; "
                    f'pass the value as a parameter, or add\n[[resource]]\nname = "{kind}"\nkind = "{kind}"'
                )
        return ""


class OpenTransaction:
    """A block that commits at its end and rolls back when it is left by an error."""

    def __init__(self, database: SqliteDatabase) -> None:
        self._database = database
        self._open = False

    def __enter__(self) -> Transaction:
        self._database.begin()
        self._open = True
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open = False
        lost = not self._database.in_transaction()
        self._database.end("" if lost else "ROLLBACK" if kind is not None else "COMMIT")
        if lost and kind is None:
            raise StoreError("the database had rolled the transaction back after an error: nothing was written")

    def execute(self, statement: str, parameters: Sequence[Any] = ()) -> tuple[tuple[Any, ...], ...]:
        """See `Transaction.execute`."""
        if not self._open:
            raise StoreError("the transaction is over: its block has ended")
        return self._database.execute(statement, parameters)
