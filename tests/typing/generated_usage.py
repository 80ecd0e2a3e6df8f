"""Typical uses of a generated package, type-checked and never run: `patterns` is generated beside this file."""

from __future__ import annotations

from collections.abc import Callable
from typing import assert_type

from patterns import (
    Bulkhead,
    Cache,
    CircuitBreaker,
    CircuitOpen,
    DeadlineExceeded,
    Event,
    RateLimiter,
    Retry,
    Timeout,
    remaining,
)
from patterns.fused_afetch import fuse_afetch
from patterns.fused_fetch import fuse_fetch


def told(event: Event) -> None:
    assert_type(event.kind, str)


breaker = CircuitBreaker(failure_threshold=5, recovery_time=30.0, on_event=told)
retry = Retry(attempts=3, idempotent=True, on=(ConnectionError, TimeoutError))
bulkhead = Bulkhead(capacity=4, queue_limit=8, max_wait=1.0)
timeout = Timeout(2.0, attempt=True)
limiter = RateLimiter(rate=10.0, burst=5, per=lambda user, fresh=False: user)


@CircuitBreaker(failure_threshold=5, recovery_time=30.0)
def fetch(user: int, fresh: bool = False) -> bytes:
    return b""


@retry
@breaker
@bulkhead
@timeout
async def afetch(user: int, *, fresh: bool = False) -> bytes:
    return b""


cache = Cache(ttl=60.0, key=lambda user: user)


@cache
def profile(user: int) -> str:
    return ""


assert_type(profile(1), str)
cache.invalidate(profile, 1)


class Client:
    @limiter
    def get(self, user: int) -> str:
        return ""


assert_type(fetch(1, fresh=True), bytes)
assert_type(breaker.call(fetch, 1, fresh=False), bytes)
assert_type(Client().get(1), str)
assert_type(remaining(), float | None)


fused = fuse_fetch(fetch, retry=retry, breaker=breaker, bulkhead=bulkhead)
assert_type(fused(1), bytes)
afused = fuse_afetch(afetch, retry=retry, breaker=breaker, bulkhead=bulkhead, timeout=timeout)


async def use() -> bytes:
    async with breaker, bulkhead.guard() as permit, timeout:
        done: Callable[[], None] = permit.abandon()
        done()
    with breaker.guard(), limiter.guard("me"):
        pass
    try:
        return await afetch(1, fresh=True)
    except CircuitOpen as error:
        assert_type(error.retry_after, float | None)
    except DeadlineExceeded as late:
        assert_type(late.still_running, bool)
    assert_type(await afused(1, fresh=True), bytes)
    assert_type(await afetch(1), bytes)
    return await breaker.acall(afetch, 1)


assert_type(breaker.state == "open", bool)
assert_type(breaker.snapshot().failures, int)

fetch("me")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
fetch()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
Retry(attempts=3)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
breaker.call(fetch, "me")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
