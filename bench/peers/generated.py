"""The generated code: every property that applies is to hold."""

import os
import sys
from pathlib import Path

if "CERTIFY_RESILIENCE" in os.environ:
    sys.path.insert(0, os.environ["CERTIFY_RESILIENCE"])
else:
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
    import resilience_package

    sys.path.insert(0, str(resilience_package.folder()))

import resilience

rejected = resilience.Rejected
CHANGES = {"opened", "half_opened", "closed"}


def clock(p):
    return lambda: round(p.clock() * 1e9)


def told(p):
    listener = p.listener
    return lambda event: listener(event) if event.kind in CHANGES else None


def breaker(p):
    return resilience.CircuitBreaker(
        failure_threshold=p.failure_threshold,
        recovery_time=p.recovery_time,
        permitted_probes=p.permitted_probes,
        success_threshold=p.success_threshold,
        lease=p.lease,
        counts=p.failure,
        clock=clock(p),
        on_event=told(p),
    )


def windowed(p):
    return resilience.CountWindowBreaker(
        window=p.window,
        failure_rate=p.failure_rate,
        minimum=p.minimum_calls,
        recovery_time=p.recovery_time,
        counts=p.failure,
        clock=clock(p),
        on_event=told(p),
    )


def bulkhead(p):
    return resilience.Bulkhead(capacity=p.capacity, queue_limit=p.queue_limit, clock=clock(p))


def retry(p):
    return resilience.Retry(
        attempts=p.attempts,
        idempotent=p.idempotent,
        on=p.failure,
        base=p.base,
        cap=p.cap,
        deadline=p.deadline,
        reserve=p.reserve,
        ratio=p.ratio,
        retry_after=p.retry_after,
        clock=clock(p),
        random=p.random.random,
        **({"asleep": p.sleep} if p.asynchronous else {"sleep": p.sleep}),
    )


def timeout(p):
    return resilience.Timeout(p.seconds, abandon=not p.asynchronous, clock=clock(p))


def limiter(p):
    return resilience.RateLimiter(rate=p.rate, burst=p.burst, clock=clock(p))


def cache(p):
    return resilience.Cache(ttl=p.seconds, clock=clock(p), on_event=p.listener)


def hedge(p):
    if not p.asynchronous:
        raise NotImplementedError("threads cannot be stopped")
    return resilience.Hedge(delay=p.seconds, idempotent=p.idempotent, reserve=p.reserve, ratio=p.ratio, clock=clock(p))


def fallback(p):
    return resilience.Fallback(p.second, on=p.failure)


def timed(p):
    return resilience.TimeWindowBreaker(
        buckets=10,
        width=p.seconds / 10,
        failure_rate=p.failure_rate,
        minimum=p.minimum_calls,
        recovery_time=p.recovery_time,
        counts=p.failure,
        clock=clock(p),
        on_event=told(p),
    )
