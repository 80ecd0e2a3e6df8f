"""aiobreaker. The call that opens it gets a rejection instead of the backend's error; there is no other way."""

from datetime import timedelta

import aiobreaker

rejected = aiobreaker.CircuitBreakerError


def breaker(p):
    return aiobreaker.CircuitBreaker(
        fail_max=p.failure_threshold,
        timeout_duration=timedelta(seconds=p.recovery_time),
        exclude=[lambda error: not isinstance(error, p.failure)],
    )
