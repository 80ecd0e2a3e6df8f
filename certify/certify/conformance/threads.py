"""Threads under control: one runs at a time, and what comes next is decided here.

Every thread that is started while a `Threads` world is current becomes an actor of it. An actor runs until it ends,
waits for a lock, sleeps, waits at a gate, or comes to a point at which the plan says to change. Nothing else runs
meanwhile, so that a run is a function of the plan. All waiting in Python's `threading` rests on locks; `install`
replaces the lock, and with it conditions, events, semaphores, queues and futures. Waiting with a time limit takes the
clock's time.

Rules this module keeps:

- only one thread holds the baton; whoever gives it away waits until it is given back;
- a point is passed in two places: before a lock is taken, and before an instruction of the code under test, where a
  plan asks for that;
- a thread that waits where nobody can see it (in C) is reported as `Escaped` after `PATIENCE` real seconds.
"""

from __future__ import annotations

import _thread
import queue
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, Final

from certify.conformance.clock import Clock

#: Real seconds after which a thread that does not give the baton back is given up.
PATIENCE: Final = 3.0

_real_allocate: Final = _thread.allocate_lock
_real_start: Final = threading._start_new_thread  # type: ignore[attr-defined]  # where Thread.start looks it up
_real_join: Final = threading.Thread.join


class Escaped(Exception):
    """A thread waits outside the kit's control."""


class Deadlock(Exception):
    """Every thread waits, and no time limit will wake one."""


class Abandoned(BaseException):
    """Raised in a thread that is still waiting when its scenario is over."""


class Actor:
    """A thread under control."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.baton = _real_allocate()
        self.baton.acquire()
        self.ident = 0
        self.done = False
        self.ready = True
        self.waits_for: object | None = None
        self.waits_since = 0
        self.wakes_at: float | None = None
        self.timed_out = False
        self.injected: BaseException | None = None


class Threads:
    """A world of threads."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.actors: list[Actor] = []
        #: Asked at every point: whether another thread is to run now. None: threads change only where they wait.
        self.plan: Callable[[Actor], bool] | None = None
        #: Files whose instructions are points; empty: none are.
        self.watched: Callable[[str], bool] | None = None
        #: Where the thread that runs is, in the files that are watched.
        self.place = "a lock"
        self._mine = _real_allocate()
        self._mine.acquire()
        self._by_ident: dict[int, Actor] = {}
        self._queue: list[Actor] = []
        self._waits = 0

    # -- for scenarios

    def start(self, name: str, work: Callable[[], object]) -> Actor:
        """A new thread; it runs when the world is settled next."""
        actor = Actor(name)
        self.actors.append(actor)
        self._queue.append(actor)

        def run() -> None:
            actor.baton.acquire()
            actor.ident = _thread.get_ident()
            self._by_ident[actor.ident] = actor
            try:
                if actor.injected is not None:
                    raise actor.injected
                if self.watched is not None:
                    sys.settrace(self._trace)
                work()
            except Abandoned:
                pass
            finally:
                sys.settrace(None)
                actor.done = True
                del self._by_ident[actor.ident]
                self.wake(actor)
                self._mine.release()

        _real_start(run, ())
        return actor

    def settle(self) -> None:
        """Run until every thread waits or has ended.

        Raises:
            Escaped: one does not give the baton back.
        """
        while self.step():
            pass

    def step(self) -> bool:
        """Let the next thread run until it stops; False if none can."""
        while self._queue:
            actor = self._queue.pop(0)
            if not actor.done:
                self._run(actor)
                return True
        return False

    def pass_time(self, seconds: float) -> None:
        """Let time pass, waking each sleeper at its moment."""
        target = self.clock.now + seconds
        while True:
            self.settle()
            due = [a.wakes_at for a in self.actors if not a.done and a.wakes_at is not None and a.wakes_at <= target]
            if not due:
                break
            self.clock.now = max(self.clock.now, min(due))
            self._wake_sleepers()
        self.clock.now = max(self.clock.now, target)

    def inject(self, actor: Actor, error: BaseException) -> None:
        """Raise an error where a thread waits, as a signal does."""
        actor.injected = error
        self._make_ready(actor)

    def close(self) -> None:
        """End every thread that still waits."""
        self.plan = self.watched = None
        for _ in range(50):
            left = [actor for actor in self.actors if not actor.done]
            if not left:
                return
            for actor in left:
                self.inject(actor, Abandoned())
            self.settle()

    # -- for what waits

    def current(self) -> Actor | None:
        """The actor that runs; None for the main program."""
        return self._by_ident.get(_thread.get_ident())

    def waiting(self) -> int:
        """How many threads have not begun yet."""
        return sum(not actor.ident and not actor.done for actor in self.actors)

    def point(self) -> None:
        """A place at which another thread may come in."""
        if self.plan is None:
            return
        actor = self.current()
        if actor is not None and self.plan(actor):
            self._queue.append(actor)
            self._give_back(actor)

    def wait(self, thing: object, seconds: float | None) -> bool:
        """Wait until `wake(thing)`, or for some time; False if the time ran out.

        Raises:
            Deadlock: the main program waits for what no thread will do.
        """
        actor = self.current()
        if actor is None:
            return self._drive(seconds)
        self._waits += 1
        actor.waits_for, actor.waits_since, actor.timed_out = thing, self._waits, False
        actor.wakes_at = None if seconds is None else self.clock.now + seconds
        self._give_back(actor)
        actor.waits_for = actor.wakes_at = None
        if actor.injected is not None:
            error, actor.injected = actor.injected, None
            raise error
        return not actor.timed_out

    def wake(self, thing: object) -> None:
        """Let those that wait for it look again, in the order in which they came."""
        for actor in sorted((a for a in self.actors if a.waits_for is thing), key=lambda a: a.waits_since):
            self._make_ready(actor)

    def sleep(self, seconds: float) -> None:
        """Sleep in the clock's time."""
        if self.current() is None:
            self.pass_time(seconds)
        else:
            self.wait(object(), seconds)

    # -- the baton

    def _run(self, actor: Actor) -> None:
        actor.baton.release()
        if not self._mine.acquire(timeout=PATIENCE):
            raise Escaped(f"{actor.name} waits where the kit cannot see it")

    def _give_back(self, actor: Actor) -> None:
        self._mine.release()
        actor.baton.acquire()

    def _make_ready(self, actor: Actor) -> None:
        if actor not in self._queue and not actor.done:
            actor.waits_for = None
            self._queue.append(actor)

    def _wake_sleepers(self) -> None:
        late = [a for a in self.actors if not a.done and a.wakes_at is not None and a.wakes_at <= self.clock.now]
        for actor in sorted(late, key=lambda a: a.wakes_at or 0.0):
            if actor not in self._queue:
                actor.timed_out, actor.wakes_at = True, None
                self._make_ready(actor)

    def _drive(self, seconds: float | None) -> bool:
        """The main program waits: let the others go on, and time too if nobody can."""
        if self.step():
            return True
        due = [a.wakes_at for a in self.actors if not a.done and a.wakes_at is not None]
        limit = None if seconds is None else self.clock.now + seconds
        if limit is not None and (not due or limit <= min(due)):
            self.clock.now = limit
            return False
        if not due:
            raise Deadlock("every thread waits for another")
        self.clock.now = max(self.clock.now, min(due))
        self._wake_sleepers()
        return True

    def _trace(self, frame: FrameType, event: str, _argument: Any) -> Any:
        if event == "call":
            if self.watched is None or not self.watched(frame.f_code.co_filename):
                return None
            frame.f_trace_opcodes = True
            frame.f_trace_lines = False
            return self._trace
        if event == "opcode":
            self.place = f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno}"
            self.point()
        return self._trace


_current: Threads | None = None


@contextmanager
def world(clock: Clock) -> Iterator[Threads]:
    """A world of threads that is current meanwhile; what still waits at its end is abandoned."""
    global _current
    before, sleeper = _current, clock.sleeper
    made = Threads(clock)
    _current, clock.sleeper = made, made.sleep
    try:
        yield made
    finally:
        try:
            made.close()
        finally:
            _current, clock.sleeper = before, sleeper


class Lock:
    """A lock that threads wait for under control."""

    def __init__(self) -> None:
        self._taken = False

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        """Take it; False if it is taken and the time runs out.

        Raises:
            Deadlock: nobody will ever give it back.
            ValueError: a time limit without blocking, as Python's lock has it.
        """
        if not blocking and timeout != -1:
            raise ValueError("can't specify a timeout for a non-blocking call")
        here = _current
        if here is not None:
            here.point()
        if not self._taken:
            self._taken = True
            return True
        if not blocking or timeout == 0:
            return False
        if here is None:
            raise Deadlock("a lock is taken that nobody holds any more")
        deadline = None if timeout < 0 else here.clock.now + timeout
        while self.locked():
            left = None if deadline is None else max(0.0, deadline - here.clock.now)
            if not here.wait(self, left) and self.locked():
                return False
        self._taken = True
        return True

    def release(self) -> None:
        """Give it back.

        Raises:
            RuntimeError: it is not taken.
        """
        if not self._taken:
            raise RuntimeError("release unlocked lock")
        self._taken = False
        if _current is not None:
            _current.wake(self)

    def locked(self) -> bool:
        """Whether it is taken."""
        return self._taken

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(self, *_: object) -> None:
        self.release()

    def _at_fork_reinit(self) -> None:
        self._taken = False


def _start_under_control(function: Callable[..., object], arguments: tuple[Any, ...], *rest: Any) -> Any:
    here = _current
    if here is None:
        return _real_start(function, arguments, *rest)
    actor = here.start(f"thread {len(here.actors) + 1}", lambda: function(*arguments))
    return id(actor)


def _join(thread: threading.Thread, timeout: float | None = None) -> None:
    here = _current
    if here is None:
        _real_join(thread, timeout)
        return
    deadline = None if timeout is None else here.clock.now + timeout
    actor = next((a for a in here.actors if a.ident and a.ident == thread.ident), None)
    while actor is not None and not actor.done:
        if not here.wait(actor, None if deadline is None else max(0.0, deadline - here.clock.now)):
            return


def install(clock: Clock) -> None:
    """Put threads, locks and everything built of them under control, for the rest of the process."""
    module: Any = threading
    module.Lock = module._allocate_lock = Lock
    module._CRLock = None  # RLock() is then the one written in Python, which rests on the lock above
    module._start_new_thread = _start_under_control
    module._time = clock.monotonic
    module.Thread.join = _join
    made: Any = queue
    made.SimpleQueue = made._PySimpleQueue
    made.time = clock.monotonic
