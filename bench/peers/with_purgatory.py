"""purgatory."""

import purgatory
from purgatory.domain.model import OpenedState

rejected = OpenedState


def breaker(p):
    kind = purgatory.AsyncCircuitBreakerFactory if p.asynchronous else purgatory.SyncCircuitBreakerFactory
    excluded = (Exception, lambda error: not isinstance(error, p.failure))
    factory = kind(default_threshold=p.failure_threshold, default_ttl=p.recovery_time, exclude=[excluded])
    return factory(p.name)
