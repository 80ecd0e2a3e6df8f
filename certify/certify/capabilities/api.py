"""The context: the only way a node is meant to touch the world.

Rules this module keeps:

- protocols only; `real`, `recording` and `replaying` implement them with the same behaviour;
- imports nothing but the standard library, so that a node which names `Context` in its signature stays light;
- every operation is synchronous and safe to call from a thread;
- an argument of the wrong type is a `TypeError`, one with an impossible value a `ValueError`; every other failure is a
  `CapabilityError`, or a `KeyError` where the operation says so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

T = TypeVar("T")


class CapabilityError(Exception):
    """The root of the errors that a context raises."""


class CapabilityDenied(CapabilityError):
    """The node used a capability, or a mode of it, that its manifest does not declare."""


class UpstreamTimeout(CapabilityError):
    """The upstream did not answer in time."""


class UpstreamUnreachable(CapabilityError):
    """The connection to the upstream could not be made, or broke."""


class BudgetExceeded(CapabilityError):
    """The call would use more than its budget allows."""


class StoreError(CapabilityError):
    """A store could not do it: a wrong statement, a full disk, a name that cannot be, a transaction that is over."""


class ConstraintViolated(StoreError):
    """The database refused a row that breaks a constraint (UNIQUE, NOT NULL, CHECK, FOREIGN KEY)."""


class StoreBusy(StoreError):
    """Another process held the store for longer than the busy timeout."""


@dataclass(frozen=True, slots=True)
class Response:
    """An upstream's answer. Header names are lower case."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    def json(self) -> Any:
        """The body as JSON.

        Raises:
            ValueError: the body is not JSON text in UTF-8.
        """
        import json

        try:
            return json.loads(self.body.decode(), parse_constant=_no_json)
        except RecursionError:
            raise ValueError("the body nests deeper than anything can read") from None


def _no_json(constant: str) -> None:
    """Refuse NaN and Infinity, which Python's reader takes for JSON."""
    raise ValueError(f"{constant} is no JSON")


class Http(Protocol):
    """Requests to declared upstreams. `upstream` is the name of an `http` resource."""

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
        """Send one request and return the answer, whatever its status. Redirects are not followed.

        Args:
            upstream: name of the resource.
            method: an HTTP method; anything but GET, HEAD and OPTIONS needs mode `write`.
            path: path and query, beginning with `/`.
            json: a value to send as JSON.
            content: bytes to send as they are.
            headers: further headers.
            timeout: seconds for the whole exchange: connecting, sending, and reading the last byte of the answer. An
                upstream that answers slowly, a byte at a time, does not stretch it. (Looking up a host name is the
                system's, and not under it.)

        Raises:
            UpstreamTimeout: no complete answer in time.
            UpstreamUnreachable: refused, reset, not trusted (TLS), cut short, or an answer that cannot be decoded.
            CapabilityDenied: not declared, or not in this mode.
            TypeError: a value that has no JSON form, or content that is not bytes.
            ValueError: a path without `/`, both `json` and `content`, a header that cannot be sent.
        """

    def get(self, upstream: str, path: str, **options: Any) -> Response:
        """`request` with GET."""

    def post(self, upstream: str, path: str, **options: Any) -> Response:
        """`request` with POST."""


class KeyValue(Protocol):
    """A durable map from text to bytes."""

    def get(self, key: str) -> bytes | None:
        """The value, or None."""

    def put(self, key: str, value: bytes) -> None:
        """Set the value."""

    def put_if_absent(self, key: str, value: bytes) -> bool:
        """Set the value if there is none, atomically; whether it was set."""

    def delete(self, key: str) -> None:
        """Remove the key; nothing happens when it is absent."""

    def keys(self, prefix: str = "") -> Sequence[str]:
        """Keys with this prefix, sorted."""


class Blob(Protocol):
    """Durable named byte strings."""

    def read(self, name: str) -> bytes:
        """The content.

        Raises:
            KeyError: there is no such blob.
        """

    def write(self, name: str, content: bytes) -> None:
        """Replace the content, atomically."""

    def names(self, prefix: str = "") -> Sequence[str]:
        """Names with this prefix, sorted."""


class Transaction(Protocol):
    """An open transaction."""

    def execute(self, statement: str, parameters: Sequence[Any] = ()) -> Sequence[tuple[Any, ...]]:
        """Run one SQL statement and return its rows.

        Parameters and columns are None, int, float, str or bytes.

        Raises:
            ConstraintViolated: a row breaks a constraint.
            StoreError: the statement is wrong, or the transaction is over.
            CapabilityDenied: the statement reaches beyond the database (ATTACH, a clock or random function that the
                manifest does not declare).
        """


class Database(Protocol):
    """A relational database. A transaction commits when its block ends well and rolls back when it raises."""

    def transaction(self) -> AbstractContextManager[Transaction]:
        """A context manager that gives a `Transaction`; it takes the write lock at once. Needs mode `write`.

        Raises:
            StoreBusy: on entering, when another process keeps the lock for too long.
            StoreError: on entering, when this thread is inside a transaction of this database already.
        """

    def query(self, statement: str, parameters: Sequence[Any] = ()) -> Sequence[tuple[Any, ...]]:
        """Rows of one SELECT, outside any transaction.

        Raises:
            StoreError: the statement is wrong or would write, or this thread is inside a transaction of this database.
        """


class Clock(Protocol):
    """Time."""

    def now(self) -> float:
        """Wall clock: seconds since 1970."""

    def monotonic(self) -> float:
        """Seconds since some fixed moment; never goes back."""

    def sleep(self, seconds: float) -> None:
        """Wait."""


class Random(Protocol):
    """Randomness."""

    def random(self) -> float:
        """A float in [0, 1)."""

    def randbytes(self, count: int) -> bytes:
        """So many random bytes."""

    def choice(self, items: Sequence[T]) -> T:
        """One of the items."""

    def uuid(self) -> str:
        """A random UUID as text."""


class Secrets(Protocol):
    """Credentials."""

    def get(self, name: str) -> str:
        """The secret's value; it never appears in a record or a log line.

        Raises:
            CapabilityDenied: no `secrets` resource lists the name in its `variables`.
            KeyError: it is declared but not set.
        """


class Dedupe(Protocol):
    """Remembers which requests have been handled."""

    def seen(self, key: bytes) -> bytes | None:
        """The result remembered for this key, or None."""

    def remember(self, key: bytes, result: bytes) -> bool:
        """Remember the result unless the key has one already; whether it was remembered."""


class BudgetMeter(Protocol):
    """Counts what the call uses against its budget."""

    def spend(self, *, tokens: int = 0, money_micros: int = 0) -> None:
        """Count it.

        Raises:
            BudgetExceeded: it would pass the manifest's budget; nothing is counted then.
        """

    def left(self) -> Mapping[str, int]:
        """What is left: `tokens` and `money_micros`."""


class Log(Protocol):
    """Structured log lines."""

    def info(self, message: str, **fields: Any) -> None:
        """Something worth knowing."""

    def warning(self, message: str, **fields: Any) -> None:
        """Something worth a look."""


class Context(Protocol):
    """What a node is given beside its input.

    Each name is there whether declared or not; using one that the manifest does not declare raises `CapabilityDenied`
    (and is recorded).
    """

    http: Http
    clock: Clock
    random: Random
    secrets: Secrets
    dedupe: Dedupe
    budget: BudgetMeter
    log: Log

    @property
    def key(self) -> bytes:
        """The idempotency key of this call (C-KEY), 32 bytes, from the manifest's `[idempotency]` and the input."""

    def kv(self, name: str) -> KeyValue:
        """The key-value store of that name."""

    def blob(self, name: str) -> Blob:
        """The blob store of that name."""

    def db(self, name: str) -> Database:
        """The database of that name."""
