"""fluxgate."""

from fluxgate import AsyncCircuitBreaker, CallNotPermittedError, CircuitBreaker
from fluxgate.permits import All
from fluxgate.retries import Cooldown
from fluxgate.trackers import Custom
from fluxgate.trippers import Closed, FailureRate, FailureStreak, HalfOpened, MinRequests
from fluxgate.windows import CountWindow, TimeWindow

rejected = CallNotPermittedError


def made(p, tripper, window):
    more = {"max_half_open_calls": p.permitted_probes} if p.asynchronous else {}
    kind = AsyncCircuitBreaker if p.asynchronous else CircuitBreaker
    return kind(
        window=window,
        tracker=Custom(lambda error: isinstance(error, p.failure)),
        tripper=tripper,
        retry=Cooldown(p.recovery_time),
        permit=All(),
        listeners=[p.listener],
        **more,
    )


def breaker(p):
    tripper = (Closed() & FailureStreak(p.failure_threshold)) | (HalfOpened() & FailureStreak(1))
    return made(p, tripper, CountWindow(size=100))


def windowed(p):
    return made(p, MinRequests(p.minimum_calls) & FailureRate(p.failure_rate / 100), CountWindow(size=p.window))


def timed(p):
    return made(p, MinRequests(p.minimum_calls) & FailureRate(p.failure_rate / 100), TimeWindow(size=round(p.seconds)))
