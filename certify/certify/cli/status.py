"""Exit statuses, and what leads to each."""

from __future__ import annotations

from enum import IntEnum
from typing import assert_never

from certify.evidence.verdict import Failed, NotApplicable, Passed, Unknown, Verdict, Waived


class Status(IntEnum):
    """The command line's exit statuses; scripts rely on them."""

    HELD = 0
    REFUSED = 1
    WRONG_REQUEST = 2
    UNDECIDED = 3


def of(verdict: Verdict) -> Status:
    """The exit status that a verdict leads to."""
    match verdict:
        case Passed() | Waived() | NotApplicable():
            return Status.HELD
        case Failed():
            return Status.REFUSED
        case Unknown():
            return Status.UNDECIDED
        case _:
            assert_never(verdict)
