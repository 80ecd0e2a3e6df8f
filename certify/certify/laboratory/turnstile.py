"""How many runs are made at once (R-AUTOTUNE): what the machine has left over, measured while they are made.

Rules this module keeps:

- with a number given, that many; otherwise as many as there are processors, which is where it begins;
- one more when those who wait could use processors that have nothing to do: runs sleep, and wait for each other;
- one fewer when the processors are busy without it; never more than the free memory holds, and never none.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Protocol

_LOOK_SECONDS: Final = 0.2
_MUCH_IDLE: Final = 0.3
_LITTLE_IDLE: Final = 0.05
_MOST_PER_PROCESSOR: Final = 4
#: What a run takes beyond the node's own memory: its sandbox's two processes and its upstreams.
_RUN_BYTES: Final = 256 * 2**20
#: A processor's line in proc(5): user, nice, system, idle, iowait, and others, in ticks; its name is not counted.
_STAT: Final = Path("/proc/stat")
_IDLE_FIELDS: Final = (3, 4)


class Machine(Protocol):
    """What is asked of the machine."""

    @property
    def processors(self) -> int:
        """How many processors this process may use; at least one."""

    def idle(self) -> float:
        """The part of the time, from 0 to 1, in which those processors had nothing to do since this was last asked."""

    def free(self) -> int:
        """Bytes of memory that can be had without swapping."""


class ThisMachine:
    """This machine, as Linux tells it: proc(5)."""

    def __init__(self) -> None:
        self._own = frozenset(f"cpu{number}" for number in os.sched_getaffinity(0))
        self.processors = max(1, len(self._own))
        self._before = self._ticks()

    def idle(self) -> float:
        """The part of the time in which they had nothing to do since this was last asked."""
        before, self._before = self._before, self._ticks()
        idle, total = (now - then for now, then in zip(self._before, before, strict=True))
        return idle / total if total > 0 else 0.0

    def free(self) -> int:
        """Bytes that can be had without swapping."""
        for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
        return 0

    def _ticks(self) -> tuple[int, int]:
        """Ticks without work, and all ticks, of our processors since the machine was started."""
        idle = total = 0
        for line in _STAT.read_text(encoding="ascii").splitlines():
            name, *fields = line.split()
            if name in self._own:
                ticks = [int(field) for field in fields[:8]]  # those of guests are counted twice
                idle += sum(ticks[field] for field in _IDLE_FIELDS)
                total += sum(ticks)
        return idle, total


class Turnstile:
    """Lets in as many at once as the machine has room for.

    Args:
        jobs: how many at once; None to follow the machine.
        memory: bytes that the node itself may come to use in one run.
        machine: the machine to follow.

    Attributes:
        limit: how many are let in at the moment.
        peak: how many were in at once at the most.
    """

    def __init__(self, jobs: int | None, memory: int, machine: Machine | None = None) -> None:
        self._machine = machine or ThisMachine()
        self._least = jobs or self._machine.processors
        self.most = jobs or _MOST_PER_PROCESSOR * self._machine.processors
        self._memory = memory + _RUN_BYTES
        self._changed = threading.Condition()
        self._inside = 0
        self._looked = time.monotonic()
        self.limit = self._least
        self.peak = 0

    @contextlib.contextmanager
    def turn(self) -> Iterator[None]:
        """Wait until there is room for one more, and be that one."""
        with self._changed:
            while self._inside >= self._room():
                self._changed.wait(_LOOK_SECONDS)
            self._inside += 1
            self.peak = max(self.peak, self._inside)
        try:
            yield
        finally:
            with self._changed:
                self._inside -= 1
                self._changed.notify()

    def _room(self) -> int:
        """How many may be in; looks at the machine now and then, if that is to be followed."""
        now = time.monotonic()
        if self._least < self.most and now - self._looked >= _LOOK_SECONDS:
            self._looked = now
            idle = self._machine.idle()
            if idle >= _MUCH_IDLE and self._inside >= self.limit:
                self.limit = min(self.most, self.limit + 1)
            elif idle < _LITTLE_IDLE:
                self.limit = max(self._least, self.limit - 1)
            self.limit = max(1, min(self.limit, self._inside + self._machine.free() // self._memory))
        return self.limit
