"""Structured logs: one JSON object a line.

Rules this module keeps:

- a line never holds a secret: no token, no cookie, no body;
- a line is written whole, whoever else writes.
"""

from __future__ import annotations

import json
import sys
import threading
from typing import IO, Any

from certify.times import Clock, system_clock, write_time


class Log:
    """Where the service says what happens.

    Args:
        stream: where lines go; None says nothing.
        clock: where times come from.
    """

    def __init__(self, stream: IO[str] | None = None, *, clock: Clock = system_clock) -> None:
        self._stream = stream
        self._clock = clock
        self._lock = threading.Lock()

    @classmethod
    def to_errors(cls) -> Log:
        """To standard error."""
        return cls(sys.stderr)

    def say(self, event: str, **members: Any) -> None:
        """Write one line."""
        if self._stream is None:
            return
        line = json.dumps({"at": write_time(self._clock()), "event": event, **members}, ensure_ascii=True, default=str)
        with self._lock:
            self._stream.write(line + "\n")
            self._stream.flush()
