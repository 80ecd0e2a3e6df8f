"""What an adapter is asked to build: settings that know which of them were read.

An adapter that never reads a setting says that its library has no such thing; scenarios that need it do not apply then.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from typing import Any, Final

from certify.conformance.clock import Clock
from certify.conformance.steps import Failure

#: Every setting, with what it means; its value unless a scenario says otherwise.
MEANINGS: Final[Mapping[str, tuple[str, Any]]] = {
    "name": ("a name that no other guard has", ""),
    "asynchronous": ("whether the calls are coroutines", False),
    "failure": ("the exception class that counts as a failure, and that may be tried again", Failure),
    "clock": ("a monotonic clock, as `time.monotonic`", None),
    "sleep": ("how to sleep, as `time.sleep`, or as `asyncio.sleep` where the calls are coroutines", None),
    "random": ("a source of random numbers, as `random.Random`", None),
    "listener": ("a function of one argument, to be told of every change of state", None),
    "failure_threshold": ("failures in a row that open the breaker", 2),
    "recovery_time": ("seconds before the first probe", 30.0),
    "permitted_probes": ("probes at a time", 1),
    "success_threshold": ("successful probes that close the breaker", 1),
    "lease": ("seconds that a probe may hang before the next one", 30.0),
    "window": ("outcomes that the breaker looks at (`windowed`)", 10),
    "failure_rate": ("percentage of failures among them that opens it (`windowed`, `timed`)", 50),
    "minimum_calls": ("outcomes without which it does not open (`windowed`, `timed`)", 4),
    "attempts": ("tries of one call, the first included", 3),
    "base": ("longest pause before the second try, in seconds", 1.0),
    "cap": ("longest pause before any try, in seconds", 8.0),
    "deadline": ("seconds that a call may take, pauses included; None: any", None),
    "retry_after": ("a function from an exception to the seconds that the backend asks for, or None", None),
    "idempotent": ("whether the operation may be repeated", True),
    "reserve": ("retries that are always allowed", 1_000_000),
    "ratio": ("retries allowed per hundred calls, beyond the reserve", 0),
    "capacity": ("calls that may run at once", 2),
    "queue_limit": ("calls that may wait", 2),
    "seconds": (
        "the time limit (`timeout`), life of an entry (`cache`) or of an outcome (`timed`), or pause before a `hedge`",
        5.0,
    ),
    "rate": ("calls per second", 2.0),
    "burst": ("calls at once", 3),
    "second": ("what is called instead, without arguments (`fallback`)", None),
}


class Settings:
    """The settings of one guard; reading one is noted."""

    def __init__(
        self, clock: Clock, number: int, *, asynchronous: bool, sleep: Callable[[float], Any], **given: Any
    ) -> None:
        values = {name: default for name, (_, default) in MEANINGS.items()}
        values |= {
            "name": f"guard-{number}",
            "asynchronous": asynchronous,
            "clock": clock.monotonic,
            "sleep": sleep,
            "random": random.Random(0),  # noqa: S311  # jitter, and the same in every run
            "listener": lambda _event: None,
            "retry_after": lambda error: getattr(error, "retry_after", None),
        }
        self._values = values | given
        self._read: set[str] = set()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name not in self._values:
            raise AttributeError(f"there is no setting {name!r}; there are {', '.join(MEANINGS)}")
        self._read.add(name)
        return self._values[name]

    def __reduce__(self) -> Any:
        raise TypeError("settings stay in their scenario")


def read(settings: Settings) -> frozenset[str]:
    """The settings that the adapter has read."""
    return frozenset(settings._read)
