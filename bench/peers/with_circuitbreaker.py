"""circuitbreaker."""

import circuitbreaker

rejected = circuitbreaker.CircuitBreakerError


def breaker(p):
    return circuitbreaker.CircuitBreaker(p.failure_threshold, p.recovery_time, p.failure)
