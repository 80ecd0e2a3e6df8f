"""The desk between the event loop and the registry: reads in a few threads, writes in one.

Rules this module keeps:

- a registry is used by the one thread that opened it;
- writes that wait together are one transaction: each is undone alone when it is refused, and none is acknowledged
  before the commit has reached the disk;
- they are done without savepoints first: when one fails that has changed something, nothing was written, and all are
  done again with a savepoint for each, so a write may be done twice before it is acknowledged once;
- whoever waits is told in the event loop; a waiter who has gone away changes nothing about what was written;
- a connection that was lost is opened anew: a question is asked again, a write is told;
- writes are done in the order in which they came, but for those that bring blobs: of these, only a share is in one
  transaction, and the others wait among themselves for the next one, so that nobody waits for all of them;
- the number of waiting writes is bounded by the requests that were admitted.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

from certify.registry.places import read_storage
from certify.registry.registry import Registry
from certify.registry.sql import BLOB, Spoiled
from certify.times import Clock, system_clock
from certify_spec.diagnostics import RequestError

T = TypeVar("T")
Work = Callable[[Registry], Any]

LARGEST_BATCH: Final = 128
"""Writes in one transaction, at most: the last of them waits for all."""
BLOBS_AT_ONCE: Final = 8
SHARE_OF_BLOBS: Final = 4
"""Blobs that the writes in one transaction bring: eight, or one for every four writes that wait, or what a single write
brings. Each is a file to be synced, which takes as long as several writes without one."""


@dataclass(slots=True)
class _Order:
    """A write, and who waits for it."""

    work: Work
    needs: tuple[tuple[str, str], ...]
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[Any]
    result: Any = None
    error: BaseException | None = None

    @property
    def blobs(self) -> int:
        """Blobs that it brings."""
        return sum(kind == BLOB for kind, _ in self.needs)

    def tell(self) -> None:
        """In the event loop: hand out what came of it."""
        if self.future.done():
            return
        if self.error is not None:
            self.future.set_exception(self.error)
        else:
            self.future.set_result(self.result)


def chosen(orders: Sequence[_Order]) -> tuple[list[_Order], list[_Order]]:
    """The writes for one transaction, and those that are left for the next one, as they came."""
    found: list[_Order] = []
    left: list[_Order] = []
    most = max(BLOBS_AT_ONCE, len(orders) // SHARE_OF_BLOBS)
    blobs, closed = 0, False
    for order in orders:
        closed = closed or bool(blobs and order.blobs and blobs + order.blobs > most)
        if len(found) == LARGEST_BATCH or (closed and order.blobs):
            left.append(order)
        else:
            blobs += order.blobs
            found.append(order)
    return found, left


class Desk:
    """Asynchronous use of one registry.

    Args:
        folder: the registry's folder.
        clock: the registry's clock.
        readers: threads that read.
    """

    def __init__(self, folder: Path, *, clock: Clock = system_clock, readers: int = 4) -> None:
        self.folder = folder
        self.clock = clock
        self._local = threading.local()
        self._opened: list[Registry] = []
        self._lock = threading.Lock()
        self._readers = ThreadPoolExecutor(readers, "certify-read")
        self._orders: queue.SimpleQueue[_Order | None] = queue.SimpleQueue()
        self._left: list[_Order] = []
        self._writer = threading.Thread(target=self._serve, name="certify-write", daemon=True)
        self._started = False
        self.embedded = not read_storage(folder).database
        """Whether the database is in this process."""
        self.committed: list[Callable[[], None]] = []
        """Called in the writer's thread after each commit."""
        self.batches = 0
        self.writes = 0

    def start(self) -> None:
        """Begin to take writes."""
        if not self._started:
            self._started = True
            self._writer.start()

    def stop(self) -> None:
        """Finish what was ordered, and let go of the registry."""
        if self._started:
            self._orders.put(None)
            self._writer.join()
        self._readers.shutdown(wait=True)
        self._started = False

    @property
    def waiting(self) -> int:
        """Writes that nobody has begun."""
        return self._orders.qsize() + len(self._left)

    async def read(self, work: Callable[[Registry], T]) -> T:
        """Do the work in a reader's thread."""
        return await asyncio.get_running_loop().run_in_executor(self._readers, self._read, work)

    async def look(self, work: Callable[[Registry], T]) -> T:
        """Do work that reads a few rows by their keys: at once where the database is in this process.

        Going to another thread and back costs more than such a read. Over a network it would hold everybody up.
        """
        if self.embedded:
            return self._read(work)
        return await self.read(work)

    async def write(self, work: Callable[[Registry], T], *needs: tuple[str, str]) -> T:
        """Do the work in the writer's thread; when this returns, it is on the disk.

        Args:
            work: what to do.
            needs: records that it will ask for, by kind and id: those of all writes that wait are read at once.
        """
        loop = asyncio.get_running_loop()
        order = _Order(work, needs, loop, loop.create_future())
        self._orders.put(order)
        return await order.future  # type: ignore[no-any-return]  # what the work gave

    def _read(self, work: Callable[[Registry], T]) -> T:
        try:
            return work(self._registry())
        except RequestError:
            if not self._registry().store.is_lost():
                raise
        self._forget()
        return work(self._registry())

    def _registry(self) -> Registry:
        """This thread's registry."""
        found: Registry | None = getattr(self._local, "registry", None)
        if found is None:
            found = Registry.open(self.folder, clock=self.clock, shared=True)
            self._local.registry = found
            with self._lock:
                self._opened.append(found)
        return found

    def close(self) -> None:
        """Close every thread's registry; after `stop`."""
        with self._lock:
            for registry in self._opened:
                registry.close()
            self._opened.clear()

    def _serve(self) -> None:
        with contextlib.suppress(Exception):
            self._registry()  # so that the first write need not wait for that; what is wrong is told to a write
        going = True
        while going or self._left:
            came = self._came() if going else [None]
            going = None not in came
            found, self._left = chosen([*self._left, *(order for order in came if order is not None)])
            if found:
                self._carry_out(found)

    def _came(self) -> list[_Order | None]:
        """What has come, up to the end; waited for if nothing is left from before."""
        came: list[_Order | None] = []
        with contextlib.suppress(queue.Empty):
            while not came or came[-1] is not None:
                came.append(self._orders.get(block=not (came or self._left)))
        return came

    def _carry_out(self, orders: list[_Order]) -> None:
        try:
            try:
                self._write(orders, hopeful=True)
            except Spoiled:
                self._write(orders, hopeful=False)
        except BaseException as error:
            # Nothing was written: whoever was told nothing yet is told why.
            for order in orders:
                order.error = error
            self._forget()
        else:
            self.batches += 1
            self.writes += len(orders)
            for each in self.committed:
                each()
        for loop in {order.loop for order in orders}:
            mine = [order for order in orders if order.loop is loop]
            if not loop.is_closed():
                loop.call_soon_threadsafe(_tell, mine)

    def _write(self, orders: list[_Order], *, hopeful: bool) -> None:
        registry = self._registry()
        with registry.store.batch(hopeful=hopeful) as view:
            view.fetch(name for order in orders for name in order.needs)
            for order in orders:
                order.result = order.error = None
                try:
                    order.result = order.work(registry)
                except Spoiled:
                    raise
                except Exception as error:
                    order.error = error

    def _forget(self) -> None:
        """Open the registry anew next time: a lost connection to a database is of no further use."""
        found: Registry | None = getattr(self._local, "registry", None)
        if found is not None:
            self._local.registry = None
            with self._lock:
                self._opened.remove(found)
            found.close()


def _tell(orders: list[_Order]) -> None:
    for order in orders:
        order.tell()
