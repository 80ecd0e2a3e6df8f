"""The context that touches the world: httpx, SQLite, the file system, the system's clock and entropy.

Rules this module keeps:

- what the manifest does not declare is refused before anything happens;
- a back end is opened when it is first used, so that a node pays for what it uses;
- stores lie under the working folder and nowhere else (see `Layout`).
"""

from __future__ import annotations

import json
import os
import random
import sys
import threading
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, Self, TypeVar

from certify.capabilities import checking
from certify.capabilities.api import (
    Blob,
    BudgetExceeded,
    BudgetMeter,
    CapabilityDenied,
    Clock,
    Database,
    Dedupe,
    Http,
    KeyValue,
    Log,
    Random,
    Response,
    Secrets,
    StoreError,
    Transaction,
)
from certify.capabilities.operation import plain
from certify.capabilities.redaction import SHORTEST_SECRET, Redactor
from certify.capabilities.settings import Access, Grants, Settings

if TYPE_CHECKING:
    from certify.capabilities.blobs import BlobFolder
    from certify.capabilities.databases import SqliteDatabase
    from certify.capabilities.stores import DedupeStore, KeyValueStore
    from certify.capabilities.upstreams import Upstreams

T = TypeVar("T")


class _Closable(Protocol):
    def close(self) -> None: ...


C = TypeVar("C", bound=_Closable)


def real_context(settings: Settings) -> RealContext:
    """A context over the real world. Use it in a `with` block, or close it, to close its files and connections.

    It may be used from many threads; a forked child needs a context of its own.

    Raises:
        StoreError: a store's path leaves the working folder.
    """
    return RealContext(settings)


class Layout:
    """Where the stores of a context lie.

    ``.context/kv/NAME.sqlite3``, ``.context/dedupe.sqlite3``, ``.context/blob/NAME/`` and ``NAME.sqlite3`` for a
    database; a resource's `path` moves its database or its blobs, within the working folder.
    """

    def __init__(self, folder: str | Path, paths: Mapping[str, str]) -> None:
        self._folder = Path(folder).absolute()
        self._paths = {name: self._inside(name, path) for name, path in paths.items()}

    def kv(self, name: str) -> Path:
        """The file of a key-value store."""
        return self._folder / ".context" / "kv" / f"{name}.sqlite3"

    def dedupe(self) -> Path:
        """The file of the dedupe store."""
        return self._folder / ".context" / "dedupe.sqlite3"

    def blob(self, name: str) -> Path:
        """The folder of a blob store."""
        return self._paths.get(name, self._folder / ".context" / "blob" / name)

    def db(self, name: str) -> Path:
        """The file of a database."""
        return self._paths.get(name, self._folder / f"{name}.sqlite3")

    def _inside(self, name: str, path: str) -> Path:
        found = (self._folder / path).resolve()
        if not found.is_relative_to(self._folder.resolve()):
            raise StoreError(f"the path {path!r} of `{name}` leaves the working folder; write a path inside it")
        return found


class RealContext:
    """A `Context` over the real world."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._grants = Grants(settings.grants)
        self._layout = Layout(settings.folder, settings.paths)
        self._opened: dict[tuple[str, str], Any] = {}
        self._lock = threading.Lock()
        self._redactor = Redactor()
        self.http: Http = _Http(self)
        self.clock: Clock = _Clock(self._grants)
        self.random: Random = _Random(self._grants)
        self.secrets: Secrets = _Secrets(self._grants, settings.secrets, self._redactor)
        self.dedupe: Dedupe = _Dedupe(self)
        self.budget: BudgetMeter = _BudgetMeter(self._grants, settings.tokens, settings.money_micros)
        self.log: Log = _Log(self._grants, self._redactor)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close every file and connection."""
        with self._lock:
            opened, self._opened = self._opened, {}
        for back_end in opened.values():
            back_end.close()

    @property
    def key(self) -> bytes:
        """See `Context.key`."""
        if not self._settings.key:
            raise CapabilityDenied(
                "the node used its idempotency key, but node.toml has no [idempotency]; add it with `flow` and `key`"
            )
        return self._settings.key

    def kv(self, name: str) -> KeyValue:
        """See `Context.kv`."""
        return _KeyValue(self, checking.text(name, "a store's name"))

    def blob(self, name: str) -> Blob:
        """See `Context.blob`."""
        return _Blob(self, checking.text(name, "a store's name"))

    def db(self, name: str) -> Database:
        """See `Context.db`."""
        return _Database(self, checking.text(name, "a database's name"))

    def upstreams(self, upstream: str, mode: Access) -> Upstreams:
        """The client, for a declared use."""
        self._grants.require("http", upstream, mode, "http.request")
        return self._open("http", "", self._new_upstreams)

    def kv_store(self, name: str, mode: Access, use: str) -> KeyValueStore:
        """The store, for a declared use."""
        self._grants.require("kv", name, mode, f"kv.{use}")
        return self._open("kv", name, lambda: self._new_kv(name))

    def blob_folder(self, name: str, mode: Access, use: str) -> BlobFolder:
        """The folder, for a declared use."""
        self._grants.require("blob", name, mode, f"blob.{use}")
        from certify.capabilities.blobs import BlobFolder

        return BlobFolder(name, self._layout.blob(name))

    def database(self, name: str, mode: Access, use: str) -> SqliteDatabase:
        """The database, for a declared use."""
        self._grants.require("db", name, mode, f"db.{use}")
        return self._open("db", name, lambda: self._new_database(name))

    def dedupe_store(self, mode: Access, use: str) -> DedupeStore:
        """The store, for a declared use."""
        self._grants.require("dedupe", "", mode, f"dedupe.{use}")
        return self._open("dedupe", "", self._new_dedupe)

    def _open(self, kind: str, name: str, make: Callable[[], C]) -> C:
        with self._lock:
            back_end: C = self._opened.get((kind, name)) or make()
            self._opened[kind, name] = back_end
            return back_end

    def _new_upstreams(self) -> Upstreams:
        from certify.capabilities.upstreams import Upstreams

        return Upstreams(self._settings.upstreams, self._settings.largest_body)

    def _new_kv(self, name: str) -> KeyValueStore:
        from certify.capabilities.stores import KeyValueStore

        return KeyValueStore(self._layout.kv(name), self._settings.busy_timeout)

    def _new_dedupe(self) -> DedupeStore:
        from certify.capabilities.stores import DedupeStore

        return DedupeStore(self._layout.dedupe(), self._settings.busy_timeout, self._settings.retention)

    def _new_database(self, name: str) -> SqliteDatabase:
        from certify.capabilities.databases import SqliteDatabase

        mode: Access = "read" if all(g.mode == "read" for g in self._settings.grants if g.name == name) else "write"
        return SqliteDatabase(name, self._layout.db(name), self._grants, self._settings.busy_timeout, mode)


class _Http:
    def __init__(self, context: RealContext) -> None:
        self._context = context

    def request(
        self,
        upstream: str,
        method: str,
        path: str,
        *,
        json: Any = None,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float = 5.0,
    ) -> Response:
        request = checking.request(upstream, method, path, json=json, content=content, headers=headers, timeout=timeout)
        return self._context.upstreams(upstream, request.mode).send(request)

    def get(self, upstream: str, path: str, **options: Any) -> Response:
        return self.request(upstream, "GET", path, **options)

    def post(self, upstream: str, path: str, **options: Any) -> Response:
        return self.request(upstream, "POST", path, **options)


class _KeyValue:
    def __init__(self, context: RealContext, name: str) -> None:
        self._context = context
        self._name = name

    def get(self, key: str) -> bytes | None:
        checking.text(key, "a key")
        return self._context.kv_store(self._name, "read", "get").get(key)

    def put(self, key: str, value: bytes) -> None:
        checking.text(key, "a key")
        checking.octets(value, "a value")
        self._context.kv_store(self._name, "write", "put").put(key, value)

    def put_if_absent(self, key: str, value: bytes) -> bool:
        checking.text(key, "a key")
        checking.octets(value, "a value")
        return self._context.kv_store(self._name, "write", "put_if_absent").put_if_absent(key, value)

    def delete(self, key: str) -> None:
        checking.text(key, "a key")
        self._context.kv_store(self._name, "write", "delete").delete(key)

    def keys(self, prefix: str = "") -> Sequence[str]:
        checking.text(prefix, "a prefix")
        return self._context.kv_store(self._name, "read", "keys").keys(prefix)


class _Blob:
    def __init__(self, context: RealContext, name: str) -> None:
        self._context = context
        self._name = name

    def read(self, name: str) -> bytes:
        checking.text(name, "a blob's name")
        return self._context.blob_folder(self._name, "read", "read").read(name)

    def write(self, name: str, content: bytes) -> None:
        checking.text(name, "a blob's name")
        checking.octets(content, "a blob's content")
        self._context.blob_folder(self._name, "write", "write").write(name, content)

    def names(self, prefix: str = "") -> Sequence[str]:
        checking.text(prefix, "a prefix")
        return self._context.blob_folder(self._name, "read", "names").names(prefix)


class _Database:
    def __init__(self, context: RealContext, name: str) -> None:
        self._context = context
        self._name = name

    def transaction(self) -> AbstractContextManager[Transaction]:
        return _Transaction(self._context, self._name)

    def query(self, statement: str, parameters: Sequence[Any] = ()) -> Sequence[tuple[Any, ...]]:
        checking.text(statement, "a statement")
        values = checking.parameters(parameters)
        return self._context.database(self._name, "read", "query").query(statement, values)


class _Transaction:
    """Asks for the database when its block begins, so that an undeclared one is refused there."""

    def __init__(self, context: RealContext, name: str) -> None:
        self._context = context
        self._name = name
        self._inner: AbstractContextManager[Transaction] | None = None
        self._transaction: Transaction | None = None

    def __enter__(self) -> Transaction:
        if self._inner is not None:
            raise StoreError("a transaction serves one block: call `transaction()` again")
        inner = self._context.database(self._name, "write", "transaction").transaction()
        self._transaction = inner.__enter__()
        self._inner = inner
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._inner is not None:
            self._inner.__exit__(kind, error, trace)

    def execute(self, statement: str, parameters: Sequence[Any] = ()) -> Sequence[tuple[Any, ...]]:
        checking.text(statement, "a statement")
        values = checking.parameters(parameters)
        if self._transaction is None:
            raise StoreError("the transaction has not begun: use it in a `with` block")
        return self._transaction.execute(statement, values)


class _Clock:
    def __init__(self, grants: Grants) -> None:
        self._grants = grants

    def now(self) -> float:
        self._grants.require("clock", "", "read", "clock.now")
        return time.time()

    def monotonic(self) -> float:
        self._grants.require("clock", "", "read", "clock.monotonic")
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        wait = checking.duration(seconds, 0.0)
        self._grants.require("clock", "", "read", "clock.sleep")
        time.sleep(wait)


class _Random:
    def __init__(self, grants: Grants) -> None:
        self._grants = grants
        self._source = random.SystemRandom()

    def random(self) -> float:
        self._grants.require("random", "", "read", "random.random")
        return self._source.random()

    def randbytes(self, count: int) -> bytes:
        checking.count(count, "the number of bytes")
        self._grants.require("random", "", "read", "random.randbytes")
        return os.urandom(count)

    def choice(self, items: Sequence[T]) -> T:
        if not items:
            raise ValueError("there is nothing to choose from")
        self._grants.require("random", "", "read", "random.choice")
        return self._source.choice(items)

    def uuid(self) -> str:
        self._grants.require("random", "", "read", "random.uuid")
        return str(uuid.UUID(bytes=os.urandom(16), version=4))


class _Secrets:
    def __init__(self, grants: Grants, variables: Mapping[str, str], redactor: Redactor) -> None:
        self._grants = grants
        self._variables = variables
        self._redactor = redactor

    def get(self, name: str) -> str:
        checking.text(name, "a secret's name")
        self._grants.require_secret(name)
        variable = self._variables.get(name, name)
        value = os.environ.get(variable)
        if value is None:
            raise KeyError(f"the secret {name!r} is not set: the environment has no variable {variable}")
        if len(value) < SHORTEST_SECRET:
            raise KeyError(f"the secret {name!r} has fewer than {SHORTEST_SECRET} characters: set {variable} properly")
        self._redactor.learn(name, value)
        return value


class _Dedupe:
    def __init__(self, context: RealContext) -> None:
        self._context = context

    def seen(self, key: bytes) -> bytes | None:
        checking.octets(key, "a key")
        return self._context.dedupe_store("read", "seen").seen(key)

    def remember(self, key: bytes, result: bytes) -> bool:
        checking.octets(key, "a key")
        checking.octets(result, "a result")
        return self._context.dedupe_store("write", "remember").remember(key, result)


class _BudgetMeter:
    def __init__(self, grants: Grants, tokens: int, money_micros: int) -> None:
        self._grants = grants
        self._limits = {"tokens": tokens, "money_micros": money_micros}
        self._spent = {"tokens": 0, "money_micros": 0}
        self._lock = threading.Lock()

    def spend(self, *, tokens: int = 0, money_micros: int = 0) -> None:
        wanted = {
            "tokens": checking.count(tokens, "tokens"),
            "money_micros": checking.count(money_micros, "money_micros"),
        }
        self._grants.require("budget", "", "read", "budget.spend")
        with self._lock:
            after = {what: self._spent[what] + amount for what, amount in wanted.items()}
            for what, amount in after.items():
                if amount > self._limits[what]:
                    raise BudgetExceeded(
                        f"the call would use {amount} {what}, but its budget has {self._limits[what]}; use less, or "
                        f"raise `{what}` in the [budget] of node.toml"
                    )
            self._spent = after

    def left(self) -> Mapping[str, int]:
        self._grants.require("budget", "", "read", "budget.left")
        with self._lock:
            return {what: limit - self._spent[what] for what, limit in self._limits.items()}


class _Log:
    def __init__(self, grants: Grants, redactor: Redactor) -> None:
        self._grants = grants
        self._redactor = redactor

    def info(self, message: str, **fields: Any) -> None:
        self._write("info", message, fields)

    def warning(self, message: str, **fields: Any) -> None:
        self._write("warning", message, fields)

    def _write(self, level: str, message: str, fields: Mapping[str, Any]) -> None:
        checking.text(message, "a message")
        self._grants.require("log", "", "read", f"log.{level}")
        line = {"level": level, "message": message, **({"fields": plain(fields)} if fields else {})}
        sys.stderr.write(json.dumps(self._redactor.data(line), default=repr) + "\n")
