"""What a node may use of the world, and the three ways to provide it.

A node names `Context` in its signature; `real_context` gives it the world, `recording.recording` reports each use of a
context, and `replaying.replaying` answers from such a report. Importing this package loads the protocols only: the rest
arrives when it is named.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from certify.capabilities.api import (
    Blob,
    BudgetExceeded,
    BudgetMeter,
    CapabilityDenied,
    CapabilityError,
    Clock,
    ConstraintViolated,
    Context,
    Database,
    Dedupe,
    Http,
    KeyValue,
    Log,
    Random,
    Response,
    Secrets,
    StoreBusy,
    StoreError,
    Transaction,
    UpstreamTimeout,
    UpstreamUnreachable,
)

if TYPE_CHECKING:
    from certify.capabilities.contents import snapshot
    from certify.capabilities.operation import Failure, Operation
    from certify.capabilities.real import RealContext, real_context
    from certify.capabilities.replaying import ReplayDivergence, ReplayingContext
    from certify.capabilities.settings import Grant, Settings, call_key, manifest_grants, settings_for

_LATE = {
    "Failure": "operation",
    "Grant": "settings",
    "Operation": "operation",
    "RealContext": "real",
    "ReplayDivergence": "replaying",
    "ReplayingContext": "replaying",
    "Settings": "settings",
    "call_key": "settings",
    "manifest_grants": "settings",
    "real_context": "real",
    "settings_for": "settings",
    "snapshot": "contents",
}

__all__ = [
    "Blob",
    "BudgetExceeded",
    "BudgetMeter",
    "CapabilityDenied",
    "CapabilityError",
    "Clock",
    "ConstraintViolated",
    "Context",
    "Database",
    "Dedupe",
    "Failure",
    "Grant",
    "Http",
    "KeyValue",
    "Log",
    "Operation",
    "Random",
    "RealContext",
    "ReplayDivergence",
    "ReplayingContext",
    "Response",
    "Secrets",
    "Settings",
    "StoreBusy",
    "StoreError",
    "Transaction",
    "UpstreamTimeout",
    "UpstreamUnreachable",
    "call_key",
    "manifest_grants",
    "real_context",
    "settings_for",
    "snapshot",
]


def __getattr__(name: str) -> Any:
    module = _LATE.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{module}"), name)
