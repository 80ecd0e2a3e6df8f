"""Records as bytes: what evidence keeps of a run, and what a replay is compared with.

A record has two parts. What `observable` gives is decided by the subject and the plan: a replay must give it again,
byte for byte. The rest (times, memory, standard error, lines, values read from clocks) is kept for people.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import Any, Final

from pydantic import TypeAdapter

from certify import codec
from certify.evidence.bundle import quotable
from certify.laboratory.record import Plan, RunRecord

_SCHEMA: Final = 1
_PLANS: Final = TypeAdapter(Plan)


def to_bytes(record: RunRecord) -> bytes:
    """The record as canonical CBOR; `plan_of` and `observable_of` read it back."""
    kept = {
        "usage": plain(record.usage),
        "stderr": record.stderr,
        "exchange_times": [exchange.at for exchange in record.exchanges],
        "events": plain(record.events),
        "steps": plain(record.steps),
        "modules": plain(record.modules),
        "incomplete": record.incomplete,
    }
    whole = {"schema": _SCHEMA, "plan": plain(record.plan), "observable": observable(record), "besides": kept}
    return codec.encode(quotable(whole))


def observable(record: RunRecord) -> dict[str, Any]:
    """What a replay must give again: outcomes, exchanges, the world, and the events without what they carried."""
    return {
        "outcomes": [{"kind": type(outcome).__name__} | plain(outcome) for outcome in record.outcomes],
        "exchanges": [_timeless(plain(exchange)) for exchange in record.exchanges],
        "world": plain(record.world),
        "events": sorted({f"{e.delivery} {e.kind.value} {e.target} {e.place or ''} {e.via}" for e in record.events}),
    }


def _timeless(exchange: dict[str, Any]) -> dict[str, Any]:
    """An exchange without the time at which it happened."""
    return {name: value for name, value in exchange.items() if name != "at"}


def same(first: RunRecord, second: RunRecord) -> bool:
    """Whether two runs are equal in everything observable, byte for byte."""
    return _bytes(observable(first)) == _bytes(observable(second))


def plan_of(data: bytes) -> Plan:
    """The plan in a stored record.

    Raises:
        ValueError: the bytes are no record of a schema that this release knows.
    """
    return _PLANS.validate_python(_whole(data)["plan"])


def observable_of(data: bytes) -> bytes:
    """The canonical bytes of what a stored record says a replay must give again.

    Raises:
        ValueError: as `plan_of`.
    """
    return codec.encode(_whole(data)["observable"])


def observable_bytes(record: RunRecord) -> bytes:
    """The canonical bytes of a fresh record's observable part, to be compared with `observable_of`."""
    return _bytes(observable(record))


def _bytes(value: dict[str, Any]) -> bytes:
    return codec.encode(quotable(value))


def _whole(data: bytes) -> Mapping[str, Any]:
    whole = codec.decode(data)
    if not isinstance(whole, dict) or whole.get("schema") != _SCHEMA:
        raise ValueError("not a run's record of a schema that this release reads")
    return whole


def plain(value: Any) -> Any:
    """Dataclasses, enums, tuples and mappings as maps, text and lists."""
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Enum):
        return str(value.value)
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value
