"""Tasks under control: an event loop whose time is the scenario's clock.

`settle` runs the loop until nothing is ready; timers fire only when `pass_time` brings the clock to them. Only what
`asyncio` promises in public is used: the loop asks its selector how long it may sleep, and the selector's answer is to
stop the loop.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from certify.conformance.clock import Clock

_NOISE: Final = 1e-9
_MOST_ROUNDS: Final = 100_000


class Spinning(Exception):
    """Tasks keep each other busy without end."""


class _Selector(selectors.BaseSelector):
    """Nothing to read or write ever; when the loop would sleep, it stops instead."""

    def __init__(self) -> None:
        self._keys: dict[Any, selectors.SelectorKey] = {}
        self.loop: Loop | None = None

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        """Remember a file, as the loop's own wake-up pipe."""
        key = selectors.SelectorKey(fileobj, fileobj if isinstance(fileobj, int) else fileobj.fileno(), events, data)
        self._keys[fileobj] = key
        return key

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        """Forget a file."""
        return self._keys.pop(fileobj)

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """The loop has nothing to do for so long."""
        assert self.loop is not None
        if timeout is None or timeout > 0:
            self.loop.next_due = None if timeout is None else self.loop.clock.now + timeout
            self.loop.stop()
        return []

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        """What is registered."""
        return self._keys


class Loop(asyncio.SelectorEventLoop):
    """An event loop in a scenario's time."""

    def __init__(self, clock: Clock) -> None:
        selector = _Selector()
        self.clock = clock
        self.next_due: float | None = None
        self.rounds = 0
        super().__init__(selector)
        selector.loop = self
        self._clock_resolution = _NOISE
        self.set_exception_handler(lambda _loop, _context: None)

    def time(self) -> float:
        """The clock's reading."""
        return self.clock.now

    def settle(self) -> None:
        """Run until nothing is ready."""
        self.call_soon(lambda: None)
        while True:
            try:
                self.run_forever()
            except (KeyboardInterrupt, SystemExit):  # a task ended with it; the loop lets it through, and goes on
                continue
            return

    def pass_time(self, seconds: float) -> None:
        """Let time pass, firing each timer at its moment.

        Raises:
            Spinning: timers without length follow each other without end.
        """
        target = self.clock.now + seconds
        for _ in range(_MOST_ROUNDS):
            self.settle()
            if self.next_due is None or self.next_due > target:
                self.clock.now = max(self.clock.now, target)
                return
            self.clock.now = max(self.clock.now, self.next_due) + _NOISE
        raise Spinning("timers follow each other without end")


@contextmanager
def world(clock: Clock) -> Iterator[Loop]:
    """An event loop that is current meanwhile; tasks that are left are cancelled."""
    loop = Loop(clock)
    asyncio.set_event_loop(loop)
    sleeper = clock.sleeper
    try:
        yield loop
    finally:
        for _ in range(5):
            left = asyncio.all_tasks(loop)
            if not left:
                break
            for task in left:
                task.cancel()
            loop.settle()
        clock.sleeper = sleeper
        asyncio.set_event_loop(None)
        loop.close()
