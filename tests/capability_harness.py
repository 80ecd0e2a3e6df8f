"""Runs one scenario against each kind of context: real, recording over real, and replaying what was recorded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from certify import codec
from certify.capabilities import Context, Grant, Operation, Settings, real_context
from certify.capabilities.recording import recording
from certify.capabilities.replaying import replaying

T = TypeVar("T")
Scenario = Callable[[Context], T]

KINDS = ("real", "recording", "replaying")

EVERYTHING = (
    Grant("http", "api", "write"),
    Grant("kv", "store", "write"),
    Grant("blob", "files", "write"),
    Grant("db", "main", "write"),
    Grant("dedupe", "dedupe", "write"),
    Grant("clock", "clock"),
    Grant("random", "random"),
    Grant("secrets", "token", "read", ("API_TOKEN",)),
    Grant("budget", "budget"),
    Grant("log", "log"),
)


def record(settings: Settings, scenario: Scenario[T]) -> tuple[T, list[Operation]]:
    """What a scenario gives in the real world, and the operations it took."""
    operations: list[Operation] = []
    with real_context(settings) as world:
        return scenario(recording(world, operations.append)), operations


def stored(operations: list[Operation]) -> list[Operation]:
    """The operations after they have been stored as canonical bytes and read back."""
    return [Operation.from_data(codec.decode(codec.encode(operation.to_data()))) for operation in operations]


@dataclass(frozen=True)
class Bench:
    """Performs scenarios with one kind of context."""

    kind: str
    settings: Settings

    def perform(self, scenario: Scenario[T], **changes: object) -> T:
        """The scenario's result."""
        settings = replace(self.settings, **changes)  # type: ignore[arg-type]  # the names are those of the fields
        if self.kind == "real":
            with real_context(settings) as world:
                return scenario(world)
        result, operations = record(settings, scenario)
        if self.kind == "recording":
            return result
        context = replaying(stored(operations))
        result = scenario(context)
        context.finish()
        return result


def bench(kind: str, folder: Path, **changes: object) -> Bench:
    """A bench whose context may do everything, below `folder`."""
    settings = Settings(folder=folder, grants=EVERYTHING, tokens=100, money_micros=50, key=bytes(32), busy_timeout=5.0)
    return Bench(kind, replace(settings, **changes))  # type: ignore[arg-type]  # the names are those of the fields
