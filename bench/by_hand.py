"""Retry, breaker, bulkhead and their companions as a careful person writes them.

Success paths take no lock. A breaker's is sound because a success in a closed breaker without failures changes
nothing, so that reading one attribute after the call decides whether there is anything to do at all; whatever changes
state does so under a lock. A bulkhead's is sound because a permit is put back before the queue is looked at, and a
waiter queues before it looks for a permit: one of the two sees the other. Listeners are told outside of the lock, in
order, by one thread at a time.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import random
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any


class Rejected(Exception):
    """A guard turned the call away."""


class CircuitOpen(Rejected):
    """The breaker is open."""


class BulkheadFull(Rejected):
    """No permit, and no place in the queue."""


class RateLimited(Rejected):
    """No token."""


class DeadlineExceeded(Exception):
    """The time is up."""


def refuse_generators(function: Callable[..., Any]) -> None:
    """Generators run after the guard has gone; they are not wrapped.

    Raises:
        TypeError: the function is one.
    """
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise TypeError(f"{function.__qualname__} is a generator: guard what it calls")


# -- the breaker


class Breaker:
    """A breaker that counts failures in a row; probes carry a lease."""

    _good = 0  # what `failures` is when there was none

    def __init__(
        self,
        failure_threshold: int,
        recovery_time: float,
        *,
        failure: type[BaseException] = Exception,
        permitted_probes: int = 1,
        success_threshold: int = 1,
        lease: float = 30.0,
        clock: Callable[[], float] = time.monotonic,
        listener: Callable[[str], None] | None = None,
    ) -> None:
        self._threshold, self._recovery, self._failure = failure_threshold, recovery_time, failure
        self._permitted, self._wanted, self._lease = permitted_probes, success_threshold, lease
        self._clock, self._listener = clock, listener
        self._lock = threading.Lock()
        self.mode = ""  # closed; the empty text is quickest to test
        self.era = self.failures = self._probes = self._successes = 0
        self._until = 0.0
        self._events: deque[str] = deque()
        self._telling = False

    def enter(self) -> int:
        """Admit a call where the breaker is not closed; gives its era.

        Raises:
            CircuitOpen: it is turned away.
        """
        with self._lock:
            if not self.mode:
                return self.era
            now = self._clock()
            if now >= self._until:
                if self.mode == "open":
                    self._events.append("half-open")
                self.mode, self.era, self._probes, self._successes = "half-open", self.era + 1, 1, 0
                self._until = now + self._lease
            elif self.mode == "half-open" and self._probes + self._successes < self._permitted:
                self._probes += 1
            else:
                raise CircuitOpen
            era = self.era
        self._tell()
        return era

    def succeeded(self, era: int) -> None:
        """A call of an era has succeeded."""
        with self._lock:
            if era != self.era:
                return
            self.failures = self._good
            if self.mode:
                self._probes -= 1
                self._successes += 1
                if self._successes >= self._wanted:
                    self.mode, self.era, self._probes, self._successes = "", self.era + 1, 0, 0
                    self._events.append("closed")
        self._tell()

    def failed(self, era: int, error: BaseException) -> None:
        """A call of an era has ended with an exception."""
        with self._lock:
            if era != self.era:
                return
            if not isinstance(error, self._failure) or not isinstance(error, Exception):
                self._probes -= self.mode == "half-open"
                return
            self.failures += 1
            if not self.mode and self.failures < self._threshold:
                return
            self.mode, self.era, self.failures = "open", self.era + 1, self._good
            self._probes = self._successes = 0
            self._until = self._clock() + self._recovery
            self._events.append("open")
        self._tell()

    def _tell(self) -> None:
        """Tell what is not told yet, unless somebody is at it."""
        while self._events:
            with self._lock:
                if self._telling or not self._events:
                    return
                self._telling, event = True, self._events.popleft()
            try:
                if self._listener is not None:
                    self._listener(event)
            except Exception:
                pass  # a listener changes nothing
            finally:
                self._telling = False

    def __call__(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, guarded."""
        refuse_generators(function)
        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def guarded(*args: Any, **kwargs: Any) -> Any:
                era = self.era  # before the mode: once this is past, so is whatever the mode says
                if self.mode:
                    era = self.enter()
                try:
                    result = await function(*args, **kwargs)
                except BaseException as error:
                    self.failed(era, error)
                    raise
                if self.failures or self.mode:
                    self.succeeded(era)
                return result

            return guarded

        @functools.wraps(function)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            era = self.era
            if self.mode:
                era = self.enter()
            try:
                result = function(*args, **kwargs)
            except BaseException as error:
                self.failed(era, error)
                raise
            if self.failures or self.mode:
                self.succeeded(era)
            return result

        return wrapper

    def of_one(self, function: Callable[[Any], Any]) -> Callable[[Any], Any]:
        """The same for a function of one argument: forwarding costs more than guarding."""
        if inspect.iscoroutinefunction(function):

            async def guarded(x: Any) -> Any:
                era = self.era
                if self.mode:
                    era = self.enter()
                try:
                    result = await function(x)
                except BaseException as error:
                    self.failed(era, error)
                    raise
                if self.failures or self.mode:
                    self.succeeded(era)
                return result

            return guarded

        def wrapper(x: Any) -> Any:
            era = self.era
            if self.mode:
                era = self.enter()
            try:
                result = function(x)
            except BaseException as error:
                self.failed(era, error)
                raise
            if self.failures or self.mode:
                self.succeeded(era)
            return result

        return wrapper


class WindowedBreaker(Breaker):
    """A breaker that looks at a window of outcomes: a ring of bits and two counters, integers only.

    While the window is full of successes a further one changes nothing, as nobody can tell where a ring begins:
    `failures`, which the success path looks at, is then 0.
    """

    _good = 1  # until the window is full of successes, these are recorded too

    def __init__(self, window: int, failure_rate: int, minimum_calls: int, recovery_time: float, **more: Any) -> None:
        super().__init__(1, recovery_time, **more)
        self._ring = bytearray(window)
        self._rate, self._minimum = failure_rate, minimum_calls
        self._size = self._at = self._bad = 0
        self.failures = self._good

    def succeeded(self, era: int) -> None:
        """A call of an era has succeeded."""
        with self._lock:
            if era != self.era:
                return
            if not self.mode:
                if self._is_full_of_failures(0):
                    self._open()
                return
        super().succeeded(era)

    def failed(self, era: int, error: BaseException) -> None:
        """A call of an era has ended with an exception."""
        with self._lock:
            if era != self.era:
                return
            if not self.mode:
                if not isinstance(error, self._failure) or not isinstance(error, Exception):
                    return
                if self._is_full_of_failures(1):
                    self._open()
                return
        super().failed(era, error)

    def _open(self) -> None:
        self._size = self._at = self._bad = 0
        self._ring, self.failures = bytearray(len(self._ring)), self._good
        self.mode, self.era = "open", self.era + 1
        self._until = self._clock() + self._recovery

    def _is_full_of_failures(self, bad: int) -> bool:
        """Record an outcome; whether the window now asks to open."""
        ring, at = self._ring, self._at
        self._bad += bad - ring[at]
        ring[at] = bad
        self._at = at + 1 if at + 1 < len(ring) else 0
        if self._size < len(ring):
            self._size += 1
        self.failures = self._bad or self._size < len(ring)
        return self._size >= self._minimum and self._bad * 100 >= self._rate * self._size


# -- the retry


class Retry:
    """Tries again, within bounds of number, time and budget."""

    def __init__(
        self,
        attempts: int,
        base: float,
        cap: float,
        *,
        deadline: float | None = None,
        failure: type[BaseException] = Exception,
        retry_after: Callable[[BaseException], float | None] = lambda _error: None,
        idempotent: bool = True,
        reserve: int = 1_000_000,
        ratio: int = 0,
        clock: Callable[[], float] = time.monotonic,
        chance: random.Random | None = None,
    ) -> None:
        self._attempts = attempts if idempotent else 1
        self._base, self._cap, self._deadline, self._failure = base, cap, deadline, failure
        self._retry_after, self._clock = retry_after, clock
        self._reserve, self._ratio = reserve, ratio
        self._chance = chance or random.Random()
        self._lock = threading.Lock()
        self._calls = self._retries = 0

    def _pause(self, error: BaseException, tries: int, backoff: float, began: float) -> float | None:
        """How long to pause before the next try; None if there is none."""
        if tries >= self._attempts or not isinstance(error, self._failure) or not isinstance(error, Exception):
            return None
        if isinstance(error, Rejected | DeadlineExceeded):
            return None
        asked = self._retry_after(error)
        delay = asked if asked is not None else backoff - self._chance.random() * backoff / 2
        if self._deadline is not None and self._clock() - began + delay >= self._deadline:
            return None
        with self._lock:
            if (self._retries + 1) * 100 > self._reserve * 100 + self._ratio * self._calls:
                return None
            self._retries += 1
        return delay

    def _late(self, began: float) -> bool:
        return self._deadline is not None and self._clock() - began >= self._deadline

    def __call__(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, tried again."""
        refuse_generators(function)
        if inspect.iscoroutinefunction(function):

            async def again(error: BaseException, began: float, args: Any, kwargs: Any) -> Any:
                backoff, tries = self._base, 1
                while (delay := self._pause(error, tries, backoff, began)) is not None:
                    await asyncio.sleep(delay)
                    if self._late(began):
                        break
                    tries, backoff = tries + 1, min(self._cap, 2 * backoff)
                    try:
                        return await function(*args, **kwargs)
                    except Exception as newer:
                        error = newer
                raise error

            @functools.wraps(function)
            async def guarded(*args: Any, **kwargs: Any) -> Any:
                if self._ratio:
                    with self._lock:
                        self._calls += 1
                began = self._clock() if self._deadline is not None else 0.0
                try:
                    return await function(*args, **kwargs)
                except Exception as error:
                    first = error
                return await again(first, began, args, kwargs)

            return guarded

        @functools.wraps(function)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            if self._ratio:
                with self._lock:
                    self._calls += 1
            began = self._clock() if self._deadline is not None else 0.0
            try:
                return function(*args, **kwargs)
            except Exception as error:
                first = error
            return self._again(first, began, function, args, kwargs)

        return wrapper

    def _again(self, error: BaseException, began: float, function: Any, args: Any, kwargs: Any) -> Any:
        backoff, tries = self._base, 1
        while (delay := self._pause(error, tries, backoff, began)) is not None:
            time.sleep(delay)
            if self._late(began):
                break
            tries, backoff = tries + 1, min(self._cap, 2 * backoff)
            try:
                return function(*args, **kwargs)
            except Exception as newer:
                error = newer
        raise error

    def of_one(self, function: Callable[[Any], Any]) -> Callable[[Any], Any]:
        """The same for a function of one argument, without deadline and budget on the way to the first try."""
        if inspect.iscoroutinefunction(function):
            general = self(function)

            async def guarded(x: Any) -> Any:
                try:
                    return await function(x)
                except Exception:
                    return await general(x)  # for the cost of success alone: it begins anew

            return guarded

        def wrapper(x: Any) -> Any:
            try:
                return function(x)
            except Exception as error:
                first = error
            return self._again(first, 0.0, function, (x,), {})

        return wrapper


# -- the bulkhead


class Bulkhead:
    """A bound on threads at once, with a queue, first come, first served."""

    def __init__(self, capacity: int, queue_limit: int = 0) -> None:
        self.permits: list[None] = [None] * capacity
        self.queue: deque[Any] = deque()
        self._limit = queue_limit
        self._lock = threading.Lock()

    def wait(self) -> None:
        """No permit was free at first sight.

        Raises:
            BulkheadFull: nor is there a place in the queue.
        """
        with self._lock:
            if self.permits and not self.queue:
                self.permits.pop()
                return
            if len(self.queue) >= self._limit:
                raise BulkheadFull
            mine = threading.Lock()
            mine.acquire()
            self.queue.append(mine)
        self.grant()
        try:
            mine.acquire()
        except BaseException:
            with self._lock:
                if mine in self.queue:
                    self.queue.remove(mine)
                else:
                    self.permits.append(None)
            self.grant()
            raise

    def grant(self) -> None:
        """Hand permits on to those who wait."""
        while self.queue and self.permits:
            with self._lock:
                if self.queue and self.permits:
                    self.permits.pop()
                    self.queue.popleft().release()

    def enter(self) -> None:
        """Take a permit.

        Raises:
            BulkheadFull: there is none, and no place in the queue.
        """
        if self.queue:
            self.wait()
            return
        try:
            self.permits.pop()
        except IndexError:
            self.wait()

    def __call__(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, bounded."""
        refuse_generators(function)
        permits, queue, grant, enter = self.permits, self.queue, self.grant, self.enter

        @functools.wraps(function)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            enter()
            try:
                return function(*args, **kwargs)
            finally:
                permits.append(None)
                if queue:
                    grant()

        return wrapper

    def of_one(self, function: Callable[[Any], Any]) -> Callable[[Any], Any]:
        """The same for a function of one argument."""
        permits, queue, grant, wait = self.permits, self.queue, self.grant, self.wait

        def wrapper(x: Any) -> Any:
            if queue or not permits:
                wait()
            else:
                try:
                    permits.pop()
                except IndexError:
                    wait()
            try:
                return function(x)
            finally:
                permits.append(None)
                if queue:
                    grant()

        return wrapper


class AsyncBulkhead:
    """The same for tasks of one loop."""

    def __init__(self, capacity: int, queue_limit: int = 0) -> None:
        self.free = capacity
        self.queue: deque[asyncio.Future[None]] = deque()
        self._limit = queue_limit

    async def wait(self) -> None:
        """No permit is free.

        Raises:
            BulkheadFull: nor is there a place in the queue.
        """
        if len(self.queue) >= self._limit:
            raise BulkheadFull
        mine: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.queue.append(mine)
        try:
            await mine
        except BaseException:
            if mine.done() and not mine.cancelled():
                self.leave()  # the permit came in the same moment
            else:
                self.queue.remove(mine)
            raise

    def leave(self) -> None:
        """Give a permit back, or hand it on."""
        while self.queue:
            first = self.queue.popleft()
            if not first.done():
                first.set_result(None)
                return
        self.free += 1

    def __call__(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, bounded."""
        refuse_generators(function)

        @functools.wraps(function)
        async def guarded(*args: Any, **kwargs: Any) -> Any:
            if self.free and not self.queue:
                self.free -= 1
            else:
                await self.wait()
            try:
                return await function(*args, **kwargs)
            finally:
                if self.queue:
                    self.leave()
                else:
                    self.free += 1

        return guarded

    def of_one(self, function: Callable[[Any], Any]) -> Callable[[Any], Any]:
        """The same for a function of one argument."""

        async def guarded(x: Any) -> Any:
            if self.free and not self.queue:
                self.free -= 1
            else:
                await self.wait()
            try:
                return await function(x)
            finally:
                if self.queue:
                    self.leave()
                else:
                    self.free += 1

        return guarded


# -- all three in one frame


def fused(function: Callable[[Any], Any], retry: Retry, breaker: Breaker, bulkhead: Bulkhead) -> Callable[[Any], Any]:
    """Bulkhead around retry around breaker, for a function of one argument, in one frame on the way of success."""
    permits, queue, grant, wait = bulkhead.permits, bulkhead.queue, bulkhead.grant, bulkhead.wait
    inner = breaker.of_one(function)

    def wrapper(x: Any) -> Any:
        if queue or not permits:
            wait()
        else:
            try:
                permits.pop()
            except IndexError:
                wait()
        try:
            era = breaker.era
            if breaker.mode:
                era = breaker.enter()
            try:
                result = function(x)
            except BaseException as error:
                breaker.failed(era, error)
                if not isinstance(error, Exception):
                    raise
                first = error
            else:
                if breaker.failures or breaker.mode:
                    breaker.succeeded(era)
                return result
            return retry._again(first, 0.0, inner, (x,), {})
        finally:
            permits.append(None)
            if queue:
                grant()

    return wrapper


def fused_async(
    function: Callable[[Any], Any], retry: Retry, breaker: Breaker, bulkhead: AsyncBulkhead
) -> Callable[[Any], Any]:
    """The same for coroutines."""
    inner = retry(breaker.of_one(function))

    async def wrapper(x: Any) -> Any:
        if bulkhead.free and not bulkhead.queue:
            bulkhead.free -= 1
        else:
            await bulkhead.wait()
        try:
            era = breaker.era
            if breaker.mode:
                era = breaker.enter()
            try:
                result = await function(x)
            except BaseException as error:
                breaker.failed(era, error)
                if not isinstance(error, Exception):
                    raise
            else:
                if breaker.failures or breaker.mode:
                    breaker.succeeded(era)
                return result
            return await inner(x)  # for the cost of success alone: it begins anew
        finally:
            if bulkhead.queue:
                bulkhead.leave()
            else:
                bulkhead.free += 1

    return wrapper


# -- companions


class Limiter:
    """A token bucket as one number: when the bucket will be full again."""

    def __init__(self, rate: float, burst: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._gap, self._burst, self._clock = 1.0 / rate, burst, clock
        self._full_at = clock()
        self._lock = threading.Lock()

    def take(self) -> None:
        """Take a token.

        Raises:
            RateLimited: there is none.
        """
        with self._lock:
            now = self._clock()
            full_at = max(now, self._full_at)
            if full_at - now > (self._burst - 1) * self._gap:
                raise RateLimited
            self._full_at = full_at + self._gap

    def __call__(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, limited."""
        refuse_generators(function)
        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def guarded(*args: Any, **kwargs: Any) -> Any:
                self.take()
                return await function(*args, **kwargs)

            return guarded

        @functools.wraps(function)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            self.take()
            return function(*args, **kwargs)

        return wrapper


def timeout(seconds: float) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """A time limit for coroutines; threads cannot be stopped, and are not limited."""

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        if not inspect.iscoroutinefunction(function):
            raise TypeError(
                f"{function.__qualname__} is not a coroutine function: what runs in a thread cannot be stopped"
            )

        @functools.wraps(function)
        async def guarded(*args: Any, **kwargs: Any) -> Any:
            try:
                async with asyncio.timeout(seconds):
                    return await function(*args, **kwargs)
            except TimeoutError:
                raise DeadlineExceeded from None

        return guarded

    return decorate


def hedge(seconds: float, *, idempotent: bool) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """A second try when the first is slow; the loser is cancelled, and waited for."""

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        if not idempotent:
            return function

        @functools.wraps(function)
        async def guarded(*args: Any, **kwargs: Any) -> Any:
            tries = {asyncio.ensure_future(function(*args, **kwargs))}
            try:
                done, _ = await asyncio.wait(tries, timeout=seconds)
                if not done:
                    tries.add(asyncio.ensure_future(function(*args, **kwargs)))
                    done, _ = await asyncio.wait(tries, return_when=asyncio.FIRST_COMPLETED)
                return done.pop().result()
            finally:
                for each in tries:
                    each.cancel()
                await asyncio.gather(*tries, return_exceptions=True)

        return guarded

    return decorate


def cache(
    seconds: float, clock: Callable[[], float] = time.monotonic
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Answers from memory for so long."""

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        kept: dict[Any, tuple[float, Any]] = {}

        def find(args: Any) -> tuple[float, Any] | None:
            known = kept.get(args)
            return known if known is not None and clock() - known[0] < seconds else None

        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def guarded(*args: Any) -> Any:
                known = find(args)
                if known is None:
                    kept[args] = known = (clock(), await function(*args))
                return known[1]

            return guarded

        @functools.wraps(function)
        def wrapper(*args: Any) -> Any:
            known = find(args)
            if known is None:
                kept[args] = known = (clock(), function(*args))
            return known[1]

        return wrapper

    return decorate
