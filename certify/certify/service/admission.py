"""How much the service takes on: requests in flight, and requests of each client.

Rules this module keeps:

- nothing waits in a queue of its own: what is not admitted is told so at once, with the time to come again;
- a client's bucket is forgotten when it would be full again: what is remembered is bounded.
"""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from certify.service.errors import FULL, TOO_MANY, Declined

MOST_CLIENTS: Final = 10_000
"""Buckets that are remembered; the one that was used longest ago goes first."""
WARNED_AT: Final = 0.8


class Bulkhead:
    """A bounded number of requests in flight.

    Args:
        capacity: how many.
        warn: called with the number in flight when it reaches 80 % of the capacity from below.
    """

    def __init__(self, capacity: int, warn: Callable[[int], None] = lambda _count: None) -> None:
        self.capacity = capacity
        self.in_flight = 0
        self._warn = warn

    @contextmanager
    def admitted(self) -> Iterator[None]:
        """A place, given back when the request ends, however it ends.

        Raises:
            Declined: SRV008, every place is taken.
        """
        if self.in_flight >= self.capacity:
            message = f"{self.capacity} requests are in flight, and no more are taken on"
            raise Declined(503, FULL, message, headers={"Retry-After": "1"})
        self.in_flight += 1
        if self.in_flight == max(1, math.ceil(self.capacity * WARNED_AT)):
            self._warn(self.in_flight)
        try:
            yield
        finally:
            self.in_flight -= 1


@dataclass(slots=True)
class Bucket:
    """One client's tokens."""

    tokens: float
    at: float


@dataclass(slots=True)
class Buckets:
    """A token bucket for each client.

    Attributes:
        rate: tokens a minute.
        burst: tokens in a full bucket.
        clock: seconds that only go forward.
    """

    rate: float
    burst: int
    clock: Callable[[], float] = time.monotonic
    held: OrderedDict[str, Bucket] = field(default_factory=OrderedDict)

    def take(self, client: str) -> None:
        """Take one of the client's tokens.

        Raises:
            Declined: SRV007, there is none; Retry-After says when there will be one.
        """
        wait = self.seconds_until(client)
        if wait > 0:
            message = f"more than {self.burst} requests at once, or {self.rate:g} a minute"
            raise Declined(429, TOO_MANY, message, headers={"Retry-After": str(max(1, math.ceil(wait)))})

    def seconds_until(self, client: str) -> float:
        """0 when a token was taken, else how long it takes until there is one."""
        now = self.clock()
        bucket = self.held.pop(client, None) or Bucket(float(self.burst), now)
        bucket.tokens = min(float(self.burst), bucket.tokens + (now - bucket.at) * self.rate / 60)
        bucket.at = now
        self.held[client] = bucket
        while len(self.held) > MOST_CLIENTS:
            self.held.popitem(last=False)
        if bucket.tokens < 1:
            return (1 - bucket.tokens) * 60 / self.rate
        bucket.tokens -= 1
        return 0.0
