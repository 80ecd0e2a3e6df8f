"""One clock for everything: time that passes only when a scenario says so.

Rules this module keeps:

- monotonic and wall time are two readings; `advance` moves both, `step_wall` moves the wall alone, as an administrator
  or a time server does;
- `install` replaces the readings that Python code can take (`time`, `datetime.datetime`), and must run before the code
  under test is imported, since that may keep what it imports;
- a clock may be coarse: readings are then multiples of its tick.
"""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable
from typing import Any, Final

START: Final = 1_000.0
_WALL_START: Final = 1_700_000_000.0
#: Readings as they were, for what must not depend on a scenario.
real_monotonic: Final = time.monotonic


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = START
        self._offset = _WALL_START - START
        self.tick = 0.0
        #: What a thread or the main program does that wants to sleep; a world puts its own way here.
        self.sleeper: Callable[[float], None] = self.pass_time

    def monotonic(self) -> float:
        """The monotonic reading, in seconds."""
        return self._ticked(self.now)

    def wall(self) -> float:
        """The wall's reading, in seconds since 1970."""
        return self._ticked(self.now + self._offset)

    def pass_time(self, seconds: float) -> None:
        """Move both readings forward."""
        self.now += max(0.0, seconds)

    def step_wall(self, seconds: float) -> None:
        """Set the wall clock forward or back; the monotonic one does not notice."""
        self._offset += seconds

    def reset(self) -> None:
        """Begin again."""
        self.now, self._offset, self.tick = START, _WALL_START - START, 0.0

    def _ticked(self, reading: float) -> float:
        return reading - reading % self.tick if self.tick else reading

    def sleep(self, seconds: float) -> None:
        """What `time.sleep` becomes.

        Raises:
            ValueError: the length is negative, as `time.sleep` has it.
        """
        if seconds < 0:
            raise ValueError("sleep length must be non-negative")
        self.sleeper(seconds)


def install(clock: Clock) -> None:
    """Let all readings of time come from this clock, for the rest of the process."""
    replaced: dict[str, Any] = {
        "monotonic": clock.monotonic,
        "perf_counter": clock.monotonic,
        "time": clock.wall,
        "monotonic_ns": lambda: round(clock.monotonic() * 1e9),
        "perf_counter_ns": lambda: round(clock.monotonic() * 1e9),
        "time_ns": lambda: round(clock.wall() * 1e9),
        "sleep": clock.sleep,
    }
    for name, reading in replaced.items():
        setattr(time, name, reading)

    class Dated(dt.datetime):
        """A date that is read off the clock."""

        @classmethod
        def now(cls, tz: dt.tzinfo | None = None) -> Any:
            """The wall's reading as a date."""
            return cls.fromtimestamp(clock.wall(), tz)

        @classmethod
        def utcnow(cls) -> Any:
            """The wall's reading as a date without a zone."""
            return cls.fromtimestamp(clock.wall(), dt.UTC).replace(tzinfo=None)

    Dated.__name__ = Dated.__qualname__ = "datetime"
    setattr(dt, "datetime", Dated)  # noqa: B010  # an assignment would be refused by the type checker
