"""The hand-written reference: every property that applies is to hold."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import by_hand

rejected = by_hand.Rejected


def breaker(p):
    return by_hand.Breaker(
        p.failure_threshold,
        p.recovery_time,
        failure=p.failure,
        permitted_probes=p.permitted_probes,
        success_threshold=p.success_threshold,
        lease=p.lease,
        clock=p.clock,
        listener=p.listener,
    )


def windowed(p):
    return by_hand.WindowedBreaker(
        p.window, p.failure_rate, p.minimum_calls, p.recovery_time, failure=p.failure, clock=p.clock
    )


def bulkhead(p):
    kind = by_hand.AsyncBulkhead if p.asynchronous else by_hand.Bulkhead
    return kind(p.capacity, p.queue_limit)


def retry(p):
    return by_hand.Retry(
        p.attempts,
        p.base,
        p.cap,
        deadline=p.deadline,
        failure=p.failure,
        retry_after=p.retry_after,
        idempotent=p.idempotent,
        reserve=p.reserve,
        ratio=p.ratio,
        clock=p.clock,
        chance=p.random,
    )


def timeout(p):
    if not p.asynchronous:
        raise NotImplementedError("threads cannot be stopped")
    return by_hand.timeout(p.seconds)


def limiter(p):
    return by_hand.Limiter(p.rate, p.burst, p.clock)


def hedge(p):
    return by_hand.hedge(p.seconds, idempotent=p.idempotent)


def cache(p):
    return by_hand.cache(p.seconds, p.clock)
