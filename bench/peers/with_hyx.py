"""hyx: tasks only."""

from hyx.bulkhead import bulkhead as hyx_bulkhead
from hyx.bulkhead.exceptions import BulkheadFull
from hyx.circuitbreaker import consecutive_breaker
from hyx.circuitbreaker.exceptions import BreakerFailing
from hyx.fallback import fallback as hyx_fallback
from hyx.ratelimit import tokenbucket
from hyx.ratelimit.exceptions import RateLimitExceeded
from hyx.retry import retry as hyx_retry
from hyx.retry.backoffs import expo
from hyx.retry.jitters import full
from hyx.timeout import timeout as hyx_timeout

rejected = (BreakerFailing, BulkheadFull, RateLimitExceeded)
modes = "async"


def breaker(p):
    return consecutive_breaker(p.failure, p.failure_threshold, p.recovery_time, p.success_threshold)


def bulkhead(p):
    return hyx_bulkhead(p.capacity, p.capacity + p.queue_limit)


def retry(p):
    return hyx_retry(
        on=p.failure, attempts=p.attempts, backoff=expo(min_delay_secs=p.base, max_delay_secs=p.cap, jitter=full)
    )


def timeout(p):
    return hyx_timeout(p.seconds)


def limiter(p):
    return tokenbucket(max_executions=p.rate, per_time_secs=1.0, bucket_size=p.burst)


def fallback(p):
    async def second(*_given):
        return p.second()

    return hyx_fallback(second, on=p.failure)
