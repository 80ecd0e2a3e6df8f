"""A context that reports every use of another.

Rules this module keeps:

- an operation is reported when it has ended, well or not, and before the node goes on; denied ones are reported too;
- reports come one at a time, in the order in which operations ended, in the thread that used the context, so that the
  callback may look at the stack;
- the values of secrets never reach the callback.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

from certify.capabilities.api import Context
from certify.capabilities.operation import Call, Failure, Operation
from certify.capabilities.redaction import Redactor
from certify.capabilities.surface import Surface, Wire

T = TypeVar("T")

Record = Callable[[Operation], None]


def recording(context: Context, record: Record) -> Surface:
    """A context that does what `context` does and calls `record` with each operation.

    Args:
        context: any context; most often `real_context(settings)`.
        record: called with each operation. What it raises reaches the node.
    """
    return Surface(_RecordingChannel(context, record))


class _RecordingChannel:
    def __init__(self, world: Context, record: Record) -> None:
        self._world = world
        self._record = record
        self._redactor = Redactor()
        self._lock = threading.Lock()

    def perform(self, call: Call, act: Callable[[Context], T], wire: Wire[T]) -> T:
        try:
            result = act(self._world)
        except Exception as error:
            # whatever the world raised is evidence first and the node's business then
            self._report(call, None, Failure.of(error))
            raise
        if call.kind == "secrets" and isinstance(result, str):
            self._redactor.learn(call.arguments["name"], result)
        self._report(call, wire.write(result), None)
        return result

    def _report(self, call: Call, result: object, error: Failure | None) -> None:
        clean = self._redactor.data
        failure = Failure(error.type, clean(error.message)) if error else None
        with self._lock:
            self._record(
                Operation(
                    call.kind, call.name, call.operation, call.mode, clean(call.arguments), clean(result), failure
                )
            )
