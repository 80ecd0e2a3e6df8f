"""Moments as text: RFC 3339 in UTC, ending in ``Z``; one moment, one spelling."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]

_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?Z", re.ASCII)


def system_clock() -> datetime:
    """The present moment."""
    return datetime.now(UTC)


def write_time(moment: datetime) -> str:
    """The moment as text, to the microsecond.

    Raises:
        ValueError: the moment has no time zone.
    """
    if moment.tzinfo is None:
        raise ValueError("a moment needs a time zone")
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def write_seconds(moment: datetime) -> str:
    """The moment as text, to the second; a fraction of a second is dropped.

    Raises:
        ValueError: the moment has no time zone.
    """
    return write_time(moment).partition(".")[0] + "Z"


def read_time(text: str) -> datetime:
    """The moment that the text names.

    Raises:
        ValueError: not RFC 3339 in UTC.
    """
    if not _MOMENT.fullmatch(text):
        raise ValueError(f"{text!r} is not a moment such as 2026-11-20T12:00:00Z")
    return datetime.fromisoformat(text)
