"""Live events: one write, expanded on read.

Rules this module keeps:

- a change is written once, in its own transaction; streams go through the changes with cursors of their own;
- one task asks the storage for news and wakes every stream; a stream that falls behind catches up from the storage, and
  holds nobody up;
- while there is no stream, changes are not read, and only their number is looked at now and then;
- a client that goes away frees its place.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import deque
from collections.abc import AsyncGenerator
from typing import Final

from certify.registry.registry import Registry
from certify.registry.sql import Event
from certify.service.desk import Desk
from certify.service.errors import FULL, Declined

KEPT: Final = 4096
"""Changes that are kept in memory for streams that are nearly up to date."""
PAGE: Final = 500
POLL_SECONDS: Final = 0.25
"""How often to look for changes that another process has written."""
BEAT_SECONDS: Final = 15.0
GATHER_SECONDS: Final = 0.005


def event_data(event: Event) -> dict[str, object]:
    """A change as data."""
    return {"number": event.number, "at": event.at, "kind": event.kind, "item": event.item, "data": dict(event.data)}


def frame(event: Event) -> bytes:
    """A change as a server-sent event."""
    text = json.dumps(event_data(event), ensure_ascii=True, separators=(",", ":"))
    return f"id: {event.number}\nevent: {event.kind}\ndata: {text}\n\n".encode()


class Hub:
    """The changes, for every stream of this process.

    Args:
        desk: the way to the registry.
        capacity: streams at a time.
    """

    def __init__(self, desk: Desk, capacity: int) -> None:
        self._desk = desk
        self.capacity = capacity
        self.streams = 0
        self.newest = 0
        self._recent: deque[tuple[Event, bytes]] = deque(maxlen=KEPT)
        self._joined: dict[int, tuple[bytes, int]] = {}
        self._beats = 0
        self._news = asyncio.Event()
        self._stirred = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._stopping = False

    async def start(self) -> None:
        """Begin to follow the changes."""
        loop = asyncio.get_running_loop()
        self.newest = await self._desk.read(_last)

        def stir() -> None:
            if self.streams and not loop.is_closed():
                loop.call_soon_threadsafe(self._stirred.set)

        self._desk.committed.append(stir)
        self._task = asyncio.create_task(self._follow(), name="certify-events")

    async def stop(self) -> None:
        """Let every stream end."""
        self._stopping = True
        self._wake()
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _follow(self) -> None:
        loop = asyncio.get_running_loop()
        beaten = loop.time()
        while True:
            # `asyncio.wait_for` swallows a cancellation that meets what was waited for, before Python 3.12
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(POLL_SECONDS):
                    await self._stirred.wait()
            self._stirred.clear()
            if loop.time() - beaten >= BEAT_SECONDS:
                beaten, self._beats = loop.time(), self._beats + 1
                self._wake()
            try:
                found = await self._look()
            except Exception:  # noqa: S112 - the registry is out of order for a moment; streams wait, and the next look tells
                continue
            if found:
                self._wake()
                # Changes that come close together reach a stream in one write: a hundred streams cost as much as one.
                await asyncio.sleep(GATHER_SECONDS)
                if len(found) == PAGE:
                    self._stirred.set()

    async def _look(self) -> tuple[Event, ...]:
        """Look for changes; those that were read."""
        if not self.streams:
            last = await self._desk.read(_last)
            if last != self.newest:
                self._recent.clear()  # what comes next does not follow what is kept
                self.newest = last
                self._wake()  # a stream may have come meanwhile
            return ()
        found = await self._desk.read(lambda registry: _after(registry, self.newest, PAGE))
        if found:
            self._recent.extend((event, frame(event)) for event in found)
            self.newest = found[-1].number
        return found

    async def last(self) -> int:
        """Number of the newest change: a stream that begins behind it tells only what is still to come."""
        return self.newest if self.streams else await self._desk.read(_last)

    def _wake(self) -> None:
        self._joined.clear()
        news, self._news = self._news, asyncio.Event()
        news.set()

    def join(self) -> None:
        """Take a place for a stream; `leave` gives it back.

        Raises:
            Declined: SRV008, every place is taken.
        """
        if self.streams >= self.capacity or self._stopping:
            message = f"{self.capacity} streams are open, and no more are taken on"
            raise Declined(503, FULL, message, headers={"Retry-After": "5"})
        self.streams += 1
        self._stirred.set()

    def leave(self) -> None:
        """Give a stream's place back."""
        self.streams -= 1

    async def frames(self, after: int) -> AsyncGenerator[bytes, None]:
        """Changes behind a number, as they come, and a comment now and then so that a dead connection shows."""
        cursor, beats = after, self._beats
        while not self._stopping:
            news = self._news
            if cursor < self.newest:
                data, cursor = await self._next(cursor)
                yield data
            elif beats != self._beats:
                beats = self._beats
                yield b": still here\n\n"
            else:
                await news.wait()

    async def _next(self, cursor: int) -> tuple[bytes, int]:
        """The frames behind a cursor, and the cursor behind them; put together once for all that stand there."""
        if cursor in self._joined:
            return self._joined[cursor]
        if self._recent and self._recent[0][0].number <= cursor + 1:
            first = self._recent[0][0].number
            start = max(0, cursor + 1 - first)
            found = [self._recent[index] for index in range(start, min(len(self._recent), start + PAGE))]
            if found and found[0][0].number == cursor + 1:
                self._joined[cursor] = b"".join(data for _, data in found), found[-1][0].number
                return self._joined[cursor]
        events = await self._desk.read(lambda registry: _after(registry, cursor, PAGE))
        if not events:
            return b"", self.newest
        return b"".join(frame(event) for event in events), events[-1].number


def _last(registry: Registry) -> int:
    with registry.store.read() as view:
        return view.last_event()


def _after(registry: Registry, number: int, limit: int) -> tuple[Event, ...]:
    with registry.store.read() as view:
        return view.events(number, limit)
