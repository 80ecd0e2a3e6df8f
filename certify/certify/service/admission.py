"""How much the service takes on: requests in flight, and requests of each client.

Both are patterns that `certify generate` wrote from their proved specifications, in `patterns/`: never more requests in
flight than places, every place given back exactly once; never more requests of a client than ``burst + rate × time``.

Rules this module keeps:

- nothing waits in a queue: what is not admitted is told so at once, with the time to come again;
- what is added to the patterns here is the answer in HTTP, and no state of its own.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from certify.service.errors import FULL, TOO_MANY, Declined
from certify.service.patterns import Bulkhead, BulkheadFull, RateLimited, RateLimiter

WARNED_AT: Final = 0.8


class Places:
    """A bounded number of requests in flight.

    Args:
        capacity: how many.
        warn: called with the number in flight when it reaches 80 % of the capacity from below.
    """

    def __init__(self, capacity: int, warn: Callable[[int], None] = lambda _count: None) -> None:
        self.capacity = capacity
        self._bulkhead = Bulkhead(capacity=capacity, queue_limit=0, name="requests in flight")
        self._warn_at = max(1, math.ceil(capacity * WARNED_AT))
        self._warn = warn

    @property
    def in_flight(self) -> int:
        """Requests that hold a place."""
        return self.capacity - self._bulkhead.snapshot().free

    @contextmanager
    def admitted(self) -> Iterator[None]:
        """A place, given back when the request ends, however it ends.

        Raises:
            Declined: SRV008, every place is taken.
        """
        guard = self._bulkhead.guard()
        try:
            guard.__enter__()
        except BulkheadFull:
            message = f"{self.capacity} requests are in flight, and no more are taken on"
            raise Declined(503, FULL, message, headers={"Retry-After": "1"}) from None
        try:
            if (count := self.in_flight) == self._warn_at:
                self._warn(count)
            yield
        finally:
            guard.__exit__(None, None, None)


class Buckets:
    """A token bucket for each client.

    Args:
        rate: tokens a minute.
        burst: tokens in a full bucket.
        clock: nanoseconds that only go forward.
    """

    def __init__(self, rate: float, burst: int, clock: Callable[[], int] = time.monotonic_ns) -> None:
        self.rate = rate
        self.burst = burst
        self._limiter = RateLimiter(rate=rate / 60, burst=burst, name="requests of a client", clock=clock)

    @property
    def clients(self) -> int:
        """Clients whose bucket is not known to be full."""
        return self._limiter.snapshot().clients

    def take(self, client: str) -> None:
        """Take one of the client's tokens.

        Raises:
            Declined: SRV007, there is none; Retry-After says when there will be one.
        """
        try:
            self._limiter.admit(client)
        except RateLimited as early:
            wait = max(1, math.ceil(early.retry_after or 1))
            message = f"more than {self.burst} requests at once, or {self.rate:g} a minute"
            raise Declined(429, TOO_MANY, message, headers={"Retry-After": str(wait)}) from None
