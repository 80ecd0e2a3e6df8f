"""The frozen wall clock of Python code. The monotonic clock always runs."""

from __future__ import annotations

import sys


def freeze(seconds: float) -> None:
    """Freeze the wall clock at so many seconds since 1970; called again, it moves."""
    plugin_host = sys.modules.get("pytest")
    sys.modules["pytest"] = None  # type: ignore[assignment]  # time-machine brings a plugin along: spare its import
    try:
        import time_machine
    finally:
        if plugin_host is None:
            del sys.modules["pytest"]
        else:
            sys.modules["pytest"] = plugin_host
    time_machine.travel(seconds, tick=False).start()
