"""The calling conventions: which machine becomes which classes, and how its state is stored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Final

from certify_codegen.projection import Mirror, Representation, Ring


@dataclass(frozen=True, slots=True)
class Convention:
    """How a machine is used from Python.

    Attributes:
        machine: the machine's name in its specification.
        template: the module's template, without `.py.j2`; the module is called so as well.
        exports: what the package exports of it, the pattern's class first.
        base: what the machine's class extends.
        representation: how its state is stored.
    """

    machine: str
    template: str
    exports: tuple[str, ...]
    base: str
    representation: Representation = field(default_factory=Representation)


_PASS: Final = Mirror("_pass", "mode", "closed", "era", "_obeyed")

_CONVENTIONS: Final = (
    Convention(
        "CircuitBreaker",
        "circuit_breaker",
        ("CircuitBreaker",),
        "GuardingPattern",
        Representation(mirrors=(_PASS,)),
    ),
    Convention(
        "CountWindowBreaker",
        "count_window_breaker",
        ("CountWindowBreaker",),
        "GuardingPattern",
        Representation(
            mirrors=(_PASS, replace(_PASS, name="_quiet", only="untroubled")),
            rings=dict.fromkeys(("failed_at", "slow_at"), Ring("window", "window_has_a_size")),
        ),
    ),
    Convention(
        "TimeWindowBreaker",
        "time_window_breaker",
        ("TimeWindowBreaker",),
        "GuardingPattern",
        Representation(
            mirrors=(_PASS,),
            rings=dict.fromkeys(("calls_at", "failures_at", "slows_at"), Ring("buckets", "window_has_a_size")),
        ),
    ),
    Convention("Retry", "retry", ("Retry",), "Pattern"),
    Convention(
        "Bulkhead",
        "bulkhead",
        ("Bulkhead",),
        "GuardingPattern",
        Representation(tokens=frozenset({"free"}), granted={"grant": "first"}),
    ),
    Convention(
        "Timeout",
        "timeout",
        ("Timeout", "remaining"),
        "GuardingPattern",
        Representation(others={"asked_to_stop": ("children", "child")}),
    ),
    Convention("Fallback", "fallback", ("Fallback",), "Pattern", Representation(unused=frozenset({"succeed"}))),
    Convention("Hedge", "hedge", ("Hedge",), "Pattern", Representation(unused=frozenset({"retried_elsewhere"}))),
    Convention("Cache", "cache", ("Cache",), "Pattern", Representation(carrying=frozenset({"Value"}))),
    Convention("TokenBucket", "token_bucket", ("RateLimiter",), "GuardingPattern"),
)

CONVENTIONS: Final[Mapping[str, Convention]] = MappingProxyType({c.machine: c for c in _CONVENTIONS})
"""By the name of the machine."""

FAILURES: Final = (
    "BulkheadFull",
    "CircuitOpen",
    "DeadlineExceeded",
    "Event",
    "RateLimited",
    "Rejected",
    "RetryExhausted",
)
"""What every package exports."""
