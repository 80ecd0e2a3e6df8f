"""interlock-cb. Its breakers look at windows: "failures in a row" is a window of that size, full of failures."""

import interlock
from interlock import Config, Pipeline
from interlock.window import WindowType

rejected = (interlock.CircuitOpenError, interlock.BulkheadFullError)


class Counts:
    def __init__(self, failure):
        self.failure = failure

    def is_failure(self, *, result, exception):
        return isinstance(exception, self.failure)


class Clock:
    def __init__(self, monotonic):
        self.monotonic = monotonic


class Listener:
    def __init__(self, told):
        self.told = told

    def on_state_change(self, *, name, old, new):
        self.told(new)


def made(p, size, minimum, rate, kind=WindowType.COUNT_BASED):
    config = Config(
        window_type=kind,
        window_size=size,
        minimum_number_of_calls=minimum,
        failure_rate_threshold=rate,
        wait_duration_in_open=p.recovery_time,
        permitted_calls_in_half_open=p.permitted_probes,
        max_concurrent_probes=p.permitted_probes,
    )
    return interlock.CircuitBreaker(
        name=p.name, config=config, clock=Clock(p.clock), classifier=Counts(p.failure), listener=Listener(p.listener)
    )


def breaker(p):
    return made(p, p.failure_threshold, p.failure_threshold, 1.0)


def windowed(p):
    return made(p, p.window, p.minimum_calls, p.failure_rate / 100)


def timed(p):
    return made(p, round(p.seconds), p.minimum_calls, p.failure_rate / 100, WindowType.TIME_BASED)


def bulkhead(p):
    return Pipeline.builder().bulkhead(p.capacity, max_wait=1e6).build()


def timeout(p):
    return Pipeline.builder().timeout(p.seconds).build()


def again(p, builder):
    import tenacity

    return builder.retry(
        attempts=p.attempts,
        retry=tenacity.retry_if_exception_type(p.failure),
        wait=tenacity.wait_random_exponential(multiplier=p.base, max=p.cap),
    )


def retry(p):
    return again(p, Pipeline.builder()).build()


def service(p):
    return again(p, Pipeline.builder().bulkhead(p.capacity, max_wait=1e6)).circuit_breaker(breaker(p)).build()
