"""A context that answers from a record and touches nothing.

Rules this module keeps:

- results come in the order of the record, equal byte for byte; a recorded error is raised again; sleeping takes no
  time;
- the first call that differs from the record ends the replay: it, and every later call, raises the same
  `ReplayDivergence`, so that a node which swallows exceptions cannot go on unnoticed;
- a secret is answered with a stand-in, ``<secret:NAME>``, as it appears in the record.

A node that uses its context from several threads at once has no single order, and may diverge from its own record.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import TypeVar

from certify.capabilities.api import Context
from certify.capabilities.operation import Call, Operation
from certify.capabilities.redaction import Redactor, placeholder
from certify.capabilities.surface import Surface, Wire

T = TypeVar("T")


class ReplayDivergence(Exception):
    """The node did something else than the record says.

    It is no `CapabilityError`, so that a node does not take it for an upstream's failure and try again.

    Attributes:
        position: index of the operation in the record.
        expected: the recorded operation; None when the record is at its end.
        actual: what the node did; None when the node ended first.
    """

    def __init__(self, position: int, expected: Operation | None, actual: Call | None) -> None:
        super().__init__(
            f"operation {position} differs from the record: "
            f"expected {expected.call.text() if expected else 'the end'}, "
            f"got {actual.text() if actual else 'the end'}"
        )
        self.position = position
        self.expected = expected
        self.actual = actual


def replaying(operations: Iterable[Operation]) -> ReplayingContext:
    """A context that answers with these operations, in their order."""
    return ReplayingContext(_ReplayingChannel(tuple(operations)))


class ReplayingContext(Surface):
    """A `Context` over a record. Call `finish` when the node has ended."""

    def __init__(self, channel: _ReplayingChannel) -> None:
        super().__init__(channel)
        self._replay = channel

    @property
    def divergence(self) -> ReplayDivergence | None:
        """The first difference from the record so far, if there was one."""
        return self._replay.divergence

    def finish(self) -> None:
        """Check that the node did all that the record says.

        Raises:
            ReplayDivergence: it did something else, or less.
        """
        self._replay.finish()


class _ReplayingChannel:
    def __init__(self, operations: tuple[Operation, ...]) -> None:
        self._operations = operations
        self._position = 0
        self._redactor = Redactor()
        self._lock = threading.Lock()
        self.divergence: ReplayDivergence | None = None

    def perform(self, call: Call, act: Callable[[Context], T], wire: Wire[T]) -> T:
        del act  # the record has the answer
        with self._lock:
            operation = self._next(
                Call(call.kind, call.name, call.operation, call.mode, self._redactor.data(call.arguments))
            )
        if operation.error is not None:
            raise operation.error.exception()
        if call.kind == "secrets":
            self._redactor.learn(call.arguments["name"], placeholder(call.arguments["name"]))
        return wire.read(operation.result)

    def finish(self) -> None:
        with self._lock:
            if self.divergence is None and self._position < len(self._operations):
                self.divergence = ReplayDivergence(self._position, self._operations[self._position], None)
            if self.divergence is not None:
                raise self.divergence

    def _next(self, call: Call) -> Operation:
        if self.divergence is not None:
            raise self.divergence
        expected = self._operations[self._position] if self._position < len(self._operations) else None
        if expected is None or expected.call.text() != call.text():
            self.divergence = ReplayDivergence(self._position, expected, call)
            raise self.divergence
        self._position += 1
        return expected
