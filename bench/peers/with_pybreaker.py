"""pybreaker: threads only. The call that opens it gets the backend's error, so that the two can be told apart."""

import pybreaker

rejected = pybreaker.CircuitBreakerError
modes = "sync"


class Told(pybreaker.CircuitBreakerListener):
    def __init__(self, listener):
        self.listener = listener

    def state_change(self, cb, old_state, new_state):
        self.listener(new_state.name)


def breaker(p):
    return pybreaker.CircuitBreaker(
        fail_max=p.failure_threshold,
        reset_timeout=p.recovery_time,
        success_threshold=p.success_threshold,
        exclude=[lambda error: not isinstance(error, p.failure)],
        listeners=[Told(p.listener)],
        throw_new_error_on_trip=False,
    )
