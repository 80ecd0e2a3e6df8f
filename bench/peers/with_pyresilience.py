"""pyresilience."""

import pyresilience as r

rejected = (r.CircuitOpenError, r.BulkheadFullError, r.RateLimitExceededError)
CHANGES = {r.EventType.CIRCUIT_OPEN, r.EventType.CIRCUIT_HALF_OPEN, r.EventType.CIRCUIT_CLOSED}


def breaker_config(p):
    return r.CircuitBreakerConfig(
        failure_threshold=p.failure_threshold,
        recovery_timeout=p.recovery_time,
        success_threshold=p.success_threshold,
        error_types=(p.failure,),
    )


def retry_config(p):
    return r.RetryConfig(
        max_attempts=p.attempts,
        delay=p.base,
        max_delay=p.cap,
        retry_on=(p.failure,),
        delay_func=lambda _attempt, error: p.retry_after(error),
    )


def breaker(p):
    return r.resilient(circuit_breaker=breaker_config(p))


def windowed(p):
    return r.resilient(
        circuit_breaker=r.CircuitBreakerConfig(
            recovery_timeout=p.recovery_time,
            success_threshold=1,
            error_types=(p.failure,),
            sliding_window_size=p.window,
            failure_rate_threshold=p.failure_rate / 100,
            minimum_calls=p.minimum_calls,
        )
    )


def bulkhead(p):
    return r.resilient(bulkhead=r.BulkheadConfig(max_concurrent=p.capacity, max_wait=1e6))


def retry(p):
    limit = r.TimeoutConfig(seconds=p.deadline, per_attempt=False) if p.deadline else None
    return r.resilient(retry=retry_config(p), timeout=limit)


def timeout(p):
    return r.resilient(timeout=r.TimeoutConfig(seconds=p.seconds))


def limiter(p):
    return r.resilient(rate_limiter=r.RateLimiterConfig(max_calls=p.burst, period=p.burst / p.rate))


def cache(p):
    return r.resilient(cache=r.CacheConfig(ttl=p.seconds))


def limited(p):
    bulkhead = r.BulkheadConfig(max_concurrent=p.capacity, max_wait=1e6)
    return r.resilient(bulkhead=bulkhead, timeout=r.TimeoutConfig(seconds=p.seconds))


def service(p):
    bulkhead = r.BulkheadConfig(max_concurrent=p.capacity, max_wait=1e6)
    return r.resilient(retry=retry_config(p), circuit_breaker=breaker_config(p), bulkhead=bulkhead)


def stack(p):
    return r.resilient(retry=retry_config(p), circuit_breaker=breaker_config(p))


def fallback(p):
    return r.resilient(fallback=r.FallbackConfig(handler=lambda _error: p.second(), fallback_on=(p.failure,)))
