"""One use of a context as a value, and its text form.

Rules this module keeps:

- an `Operation` holds data only: None, booleans, numbers, text, bytes, lists and maps with text keys;
- its text form is ASCII JSON that keeps apart what Python's equality does not (1, 1.0 and True) and carries bytes, NaN
  and text in any normalization form, so that a record is equal, byte for byte, after it has been stored and read;
- results are whole, because a replay answers with them; long byte strings among the arguments are held as a digest.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from certify.capabilities.api import (
    BudgetExceeded,
    CapabilityDenied,
    CapabilityError,
    ConstraintViolated,
    StoreBusy,
    StoreError,
    UpstreamTimeout,
    UpstreamUnreachable,
)

#: Byte strings among the arguments that are longer than this are recorded as digest and length.
LONGEST_ARGUMENT = 4096

_FAILURES: dict[str, type[Exception]] = {
    kind.__name__: kind
    for kind in (
        BudgetExceeded,
        CapabilityDenied,
        CapabilityError,
        ConstraintViolated,
        KeyError,
        StoreBusy,
        StoreError,
        TypeError,
        UpstreamTimeout,
        UpstreamUnreachable,
        ValueError,
    )
}


@dataclass(frozen=True, slots=True)
class Failure:
    """The error that an operation ended with: the class name of the exception, and its message."""

    type: str
    message: str

    @classmethod
    def of(cls, error: Exception) -> Failure:
        """The failure that an exception stands for; a class outside the contract gives its nearest base inside it."""
        name = next((base.__name__ for base in type(error).__mro__ if base.__name__ in _FAILURES), "CapabilityError")
        return cls(name, str(error.args[0]) if error.args else "")

    def exception(self) -> Exception:
        """The exception again."""
        return _FAILURES.get(self.type, CapabilityError)(self.message)


@dataclass(frozen=True, slots=True)
class Call:
    """An operation before its answer is known.

    Attributes:
        kind: the resource's kind, or `key` for the call's idempotency key.
        name: the resource's name; empty for the kinds of which a context has one.
        operation: such as `put` or `request`.
        mode: the mode that it needs, "read" or "write".
        arguments: by name.
    """

    kind: str
    name: str
    operation: str
    mode: str
    arguments: Mapping[str, Any] = field(default_factory=dict)

    def text(self) -> str:
        """The call as one line of text: equal text means equal calls."""
        return f"{self.target}.{self.operation} [{self.mode}] {to_text(self.arguments)}"

    @property
    def target(self) -> str:
        """`kind.name`, or the kind alone where there is one for each context."""
        return f"{self.kind}.{self.name}" if self.name else self.kind


@dataclass(frozen=True, slots=True)
class Operation(Call):
    """One use of a context: the call, and the result or the error it came to."""

    result: Any = None
    error: Failure | None = None

    @property
    def call(self) -> Call:
        """The operation without its answer."""
        return Call(self.kind, self.name, self.operation, self.mode, self.arguments)

    def to_data(self) -> dict[str, Any]:
        """The operation as a map of ASCII text, fit for canonical CBOR; `from_data` is its inverse."""
        return {
            "kind": self.kind,
            "name": to_text(self.name),
            "operation": self.operation,
            "mode": self.mode,
            "arguments": to_text(self.arguments),
            "result": to_text(self.result),
            "error": [self.error.type, to_text(self.error.message)] if self.error else None,
        }

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Operation:
        """Read an operation back."""
        error = data["error"]
        return cls(
            data["kind"],
            from_text(data["name"]),
            data["operation"],
            data["mode"],
            from_text(data["arguments"]),
            from_text(data["result"]),
            Failure(error[0], from_text(error[1])) if error else None,
        )


def summarised(value: bytes) -> Any:
    """A byte string as an argument is recorded: itself, or its digest and length when it is long."""
    if len(value) <= LONGEST_ARGUMENT:
        return value
    from blake3 import blake3  # a native module that most calls never need

    return {"blake3": blake3(value).hexdigest(), "bytes": len(value)}


def plain(value: object) -> Any:
    """A snapshot of `value` as data. What has no data form is named by its type, so that a log line never fails."""
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value)
    if isinstance(value, str):
        return str(value)
    if isinstance(value, (bytes, bytearray)):
        return bytes(value)
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, Sequence):
        return [plain(item) for item in value]
    return f"<{type(value).__name__}>"


def to_text(value: object) -> str:
    """ASCII JSON of data; `from_text` is its inverse."""
    return json.dumps(_to_json(value), ensure_ascii=True, sort_keys=True, separators=(",", ":"), allow_nan=False)


def from_text(text: str) -> Any:
    """The data of a text that `to_text` made."""
    return _from_json(json.loads(text))


def _to_json(value: object) -> Any:
    match value:
        case bytes():
            return {"$bytes": value.hex()}
        case float() if not math.isfinite(value):
            return {"$float": repr(value)}
        case Mapping():
            return {_escaped(key): _to_json(item) for key, item in value.items()}
        case list() | tuple():
            return [_to_json(item) for item in value]
        case _:
            return value


def _escaped(key: str) -> str:
    return f"${key}" if key.startswith("$") else key


def _from_json(value: Any) -> Any:
    match value:
        case {"$bytes": str(digits), **rest} if not rest:
            return bytes.fromhex(digits)
        case {"$float": str(digits), **rest} if not rest:
            return float(digits)
        case dict():
            return {key.removeprefix("$"): _from_json(item) for key, item in value.items()}
        case list():
            return [_from_json(item) for item in value]
        case _:
            return value
