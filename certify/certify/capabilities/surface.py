"""A context over a channel: every operation becomes a call that the channel answers.

`recording` and `replaying` are two channels; they share this one reading of the interface, so that what one records is
what the other expects.

Rules this module keeps:

- arguments are checked before the channel sees them, as every context does;
- arguments and results cross the channel as data (see `operation`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Generic, Protocol, TypeVar

from certify.capabilities import checking
from certify.capabilities.api import (
    Blob,
    BudgetMeter,
    Clock,
    Context,
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
from certify.capabilities.operation import Call, plain, summarised
from certify.capabilities.redaction import placeholder

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Wire(Generic[T]):
    """How a result becomes data, and the result again."""

    write: Callable[[T], Any]
    read: Callable[[Any], T]


class Channel(Protocol):
    """Answers calls."""

    def perform(self, call: Call, act: Callable[[Context], T], wire: Wire[T]) -> T:
        """The call's result: by doing `act` in a context, or from what is known of it."""


def _same(value: Any) -> Any:
    return value


_NOTHING: Wire[None] = Wire(lambda _: None, lambda _: None)
_BYTES: Wire[bytes] = Wire(_same, _same)
_MAYBE_BYTES: Wire[bytes | None] = Wire(_same, _same)
_FLAG: Wire[bool] = Wire(_same, _same)
_INTEGER: Wire[int] = Wire(_same, _same)
_FLOAT: Wire[float] = Wire(_same, _same)
_TEXT: Wire[str] = Wire(_same, _same)
_TEXTS: Wire[Sequence[str]] = Wire(list, tuple)
_COUNTS: Wire[Mapping[str, int]] = Wire(dict, dict)
_ROWS: Wire[Sequence[tuple[Any, ...]]] = Wire(
    lambda rows: [list(row) for row in rows], lambda rows: tuple(tuple(row) for row in rows)
)
_RESPONSE: Wire[Response] = Wire(
    lambda response: {"status": response.status, "headers": dict(response.headers), "body": response.body},
    lambda data: Response(data["status"], data["headers"], data["body"]),
)


class Surface:
    """A `Context` whose every operation goes through a channel."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self.http: Http = _Http(channel)
        self.clock: Clock = _Clock(channel)
        self.random: Random = _Random(channel)
        self.secrets: Secrets = _Secrets(channel)
        self.dedupe: Dedupe = _Dedupe(channel)
        self.budget: BudgetMeter = _BudgetMeter(channel)
        self.log: Log = _Log(channel)

    @property
    def key(self) -> bytes:
        """See `Context.key`."""
        return self._channel.perform(Call("key", "", "get", "read"), lambda world: world.key, _BYTES)

    def kv(self, name: str) -> KeyValue:
        """See `Context.kv`."""
        return _KeyValue(self._channel, checking.text(name, "a store's name"))

    def blob(self, name: str) -> Blob:
        """See `Context.blob`."""
        return _Blob(self._channel, checking.text(name, "a store's name"))

    def db(self, name: str) -> Database:
        """See `Context.db`."""
        return _Database(self._channel, checking.text(name, "a database's name"))


class _Http:
    def __init__(self, channel: Channel) -> None:
        self._channel = channel

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
        call = Call(
            "http",
            upstream,
            "request",
            request.mode,
            {
                "method": request.method,
                "path": request.path,
                "headers": dict(request.headers),
                "content": summarised(request.content),
                "timeout": request.timeout,
            },
        )
        return self._channel.perform(call, lambda world: _send(world, request), _RESPONSE)

    def get(self, upstream: str, path: str, **options: Any) -> Response:
        return self.request(upstream, "GET", path, **options)

    def post(self, upstream: str, path: str, **options: Any) -> Response:
        return self.request(upstream, "POST", path, **options)


def _send(world: Context, request: checking.Request) -> Response:
    return world.http.request(
        request.upstream,
        request.method,
        request.path,
        content=request.content,
        headers=request.headers,
        timeout=request.timeout,
    )


class _KeyValue:
    def __init__(self, channel: Channel, name: str) -> None:
        self._channel = channel
        self._name = name

    def get(self, key: str) -> bytes | None:
        call = Call("kv", self._name, "get", "read", {"key": checking.text(key, "a key")})
        return self._channel.perform(call, lambda world: world.kv(self._name).get(key), _MAYBE_BYTES)

    def put(self, key: str, value: bytes) -> None:
        call = self._setting("put", key, value)
        self._channel.perform(call, lambda world: world.kv(self._name).put(key, value), _NOTHING)

    def put_if_absent(self, key: str, value: bytes) -> bool:
        call = self._setting("put_if_absent", key, value)
        return self._channel.perform(call, lambda world: world.kv(self._name).put_if_absent(key, value), _FLAG)

    def delete(self, key: str) -> None:
        call = Call("kv", self._name, "delete", "write", {"key": checking.text(key, "a key")})
        self._channel.perform(call, lambda world: world.kv(self._name).delete(key), _NOTHING)

    def keys(self, prefix: str = "") -> Sequence[str]:
        call = Call("kv", self._name, "keys", "read", {"prefix": checking.text(prefix, "a prefix")})
        return self._channel.perform(call, lambda world: world.kv(self._name).keys(prefix), _TEXTS)

    def _setting(self, operation: str, key: str, value: bytes) -> Call:
        checking.text(key, "a key")
        checking.octets(value, "a value")
        return Call("kv", self._name, operation, "write", {"key": key, "value": summarised(value)})


class _Blob:
    def __init__(self, channel: Channel, name: str) -> None:
        self._channel = channel
        self._name = name

    def read(self, name: str) -> bytes:
        call = Call("blob", self._name, "read", "read", {"key": checking.text(name, "a blob's name")})
        return self._channel.perform(call, lambda world: world.blob(self._name).read(name), _BYTES)

    def write(self, name: str, content: bytes) -> None:
        checking.text(name, "a blob's name")
        checking.octets(content, "a blob's content")
        call = Call("blob", self._name, "write", "write", {"key": name, "value": summarised(content)})
        self._channel.perform(call, lambda world: world.blob(self._name).write(name, content), _NOTHING)

    def names(self, prefix: str = "") -> Sequence[str]:
        call = Call("blob", self._name, "names", "read", {"prefix": checking.text(prefix, "a prefix")})
        return self._channel.perform(call, lambda world: world.blob(self._name).names(prefix), _TEXTS)


class _Database:
    def __init__(self, channel: Channel, name: str) -> None:
        self._channel = channel
        self._name = name

    def transaction(self) -> AbstractContextManager[Transaction]:
        return _Transaction(self._channel, self._name)

    def query(self, statement: str, parameters: Sequence[Any] = ()) -> Sequence[tuple[Any, ...]]:
        call, values = _statement(self._name, "query", "read", statement, parameters)
        return self._channel.perform(call, lambda world: world.db(self._name).query(statement, values), _ROWS)


class _Transaction:
    """A block whose begin, statements and end are calls of their own."""

    def __init__(self, channel: Channel, name: str) -> None:
        self._channel = channel
        self._name = name
        self._begun = False
        self._inner: AbstractContextManager[Transaction] | None = None
        self._transaction: Transaction | None = None

    def __enter__(self) -> Transaction:
        if self._begun:
            raise StoreError("a transaction serves one block: call `transaction()` again")
        self._channel.perform(Call("db", self._name, "begin", "write"), self._begin, _NOTHING)
        self._begun = True
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        def end(_: Context) -> None:
            if self._inner is not None:
                self._inner.__exit__(kind, error, trace)

        operation = "commit" if kind is None else "rollback"
        self._channel.perform(Call("db", self._name, operation, "write"), end, _NOTHING)

    def execute(self, statement: str, parameters: Sequence[Any] = ()) -> Sequence[tuple[Any, ...]]:
        call, values = _statement(self._name, "execute", "write", statement, parameters)

        def act(_: Context) -> Sequence[tuple[Any, ...]]:
            if self._transaction is None:
                raise StoreError("the transaction has not begun: use it in a `with` block")
            return self._transaction.execute(statement, values)

        return self._channel.perform(call, act, _ROWS)

    def _begin(self, world: Context) -> None:
        inner = world.db(self._name).transaction()
        self._transaction = inner.__enter__()
        self._inner = inner


def _statement(
    name: str, operation: str, mode: str, statement: str, parameters: Sequence[Any]
) -> tuple[Call, tuple[Any, ...]]:
    checking.text(statement, "a statement")
    values = checking.parameters(parameters)
    recorded = [summarised(value) if isinstance(value, bytes) else plain(value) for value in values]
    return Call("db", name, operation, mode, {"statement": statement, "parameters": recorded}), values


class _Clock:
    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    def now(self) -> float:
        return self._channel.perform(Call("clock", "", "now", "read"), lambda world: world.clock.now(), _FLOAT)

    def monotonic(self) -> float:
        call = Call("clock", "", "monotonic", "read")
        return self._channel.perform(call, lambda world: world.clock.monotonic(), _FLOAT)

    def sleep(self, seconds: float) -> None:
        call = Call("clock", "", "sleep", "read", {"seconds": checking.duration(seconds, 0.0)})
        self._channel.perform(call, lambda world: world.clock.sleep(seconds), _NOTHING)


class _Random:
    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    def random(self) -> float:
        call = Call("random", "", "random", "read")
        return self._channel.perform(call, lambda world: world.random.random(), _FLOAT)

    def randbytes(self, count: int) -> bytes:
        call = Call("random", "", "randbytes", "read", {"count": checking.count(count, "the number of bytes")})
        return self._channel.perform(call, lambda world: world.random.randbytes(count), _BYTES)

    def choice(self, items: Sequence[T]) -> T:
        if not items:
            raise ValueError("there is nothing to choose from")
        size = len(items)
        # the items may be anything; which one was chosen is data
        call = Call("random", "", "choice", "read", {"count": size})
        return items[self._channel.perform(call, lambda world: world.random.choice(range(size)), _INTEGER)]

    def uuid(self) -> str:
        return self._channel.perform(Call("random", "", "uuid", "read"), lambda world: world.random.uuid(), _TEXT)


class _Secrets:
    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    def get(self, name: str) -> str:
        call = Call("secrets", "", "get", "read", {"name": checking.text(name, "a secret's name")})
        unrecorded: Wire[str] = Wire(lambda _: None, lambda _: placeholder(name))
        return self._channel.perform(call, lambda world: world.secrets.get(name), unrecorded)


class _Dedupe:
    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    def seen(self, key: bytes) -> bytes | None:
        call = Call("dedupe", "", "seen", "read", {"key": checking.octets(key, "a key")})
        return self._channel.perform(call, lambda world: world.dedupe.seen(key), _MAYBE_BYTES)

    def remember(self, key: bytes, result: bytes) -> bool:
        checking.octets(key, "a key")
        checking.octets(result, "a result")
        call = Call("dedupe", "", "remember", "write", {"key": key, "value": summarised(result)})
        return self._channel.perform(call, lambda world: world.dedupe.remember(key, result), _FLAG)


class _BudgetMeter:
    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    def spend(self, *, tokens: int = 0, money_micros: int = 0) -> None:
        spent = {
            "tokens": checking.count(tokens, "tokens"),
            "money_micros": checking.count(money_micros, "money_micros"),
        }
        call = Call("budget", "", "spend", "read", spent)
        self._channel.perform(
            call, lambda world: world.budget.spend(tokens=tokens, money_micros=money_micros), _NOTHING
        )

    def left(self) -> Mapping[str, int]:
        return self._channel.perform(Call("budget", "", "left", "read"), lambda world: world.budget.left(), _COUNTS)


class _Log:
    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    def info(self, message: str, **fields: Any) -> None:
        call = self._line("info", message, fields)
        self._channel.perform(call, lambda world: world.log.info(message, **fields), _NOTHING)

    def warning(self, message: str, **fields: Any) -> None:
        call = self._line("warning", message, fields)
        self._channel.perform(call, lambda world: world.log.warning(message, **fields), _NOTHING)

    @staticmethod
    def _line(level: str, message: str, fields: Mapping[str, Any]) -> Call:
        checking.text(message, "a message")
        return Call("log", "", level, "read", {"message": message, "fields": plain(fields)})
