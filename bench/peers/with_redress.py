"""redress."""

import functools
import inspect

import redress
from redress import AsyncPolicy, AsyncRetry, Classification, ErrorClass, Policy, Retry

rejected = redress.CircuitOpenError
successes_reset = False  # it counts failures in a span of time, whatever succeeded between them


def wrap(policy, asynchronous):
    def decorate(function):
        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def guarded(*args):
                return await policy.call(lambda: function(*args))

            return guarded

        @functools.wraps(function)
        def wrapper(*args):
            return policy.call(lambda: function(*args))

        return wrapper

    return decorate


def classify(p):
    def classifier(error):
        if not isinstance(error, p.failure):
            return ErrorClass.PERMANENT
        return Classification(ErrorClass.TRANSIENT, retry_after_s=p.retry_after(error))

    return classifier


def build(p, with_retry, with_breaker):
    circuit = None
    if with_breaker:
        circuit = redress.CircuitBreaker(
            failure_threshold=p.failure_threshold, recovery_timeout_s=p.recovery_time, window_s=1e9, clock=p.clock
        )
    kind = AsyncRetry if p.asynchronous else Retry
    again = kind(
        classifier=classify(p),
        strategy=redress.retry_after_or(redress.equal_jitter(base_s=p.base, max_s=p.cap)),
        max_attempts=p.attempts if with_retry else 1,
        deadline_s=(p.deadline or 1e9) if with_retry else 1e9,
        max_unknown_attempts=None,
    )
    policy = (AsyncPolicy if p.asynchronous else Policy)(retry=again, circuit_breaker=circuit)
    return wrap(policy, p.asynchronous)


def breaker(p):
    return build(p, with_retry=False, with_breaker=True)


def retry(p):
    return build(p, with_retry=True, with_breaker=False)
