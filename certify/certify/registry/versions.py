"""Versions of nodes: precedence as in semver.org 2.0.0, section 11, and ranges of them.

Rules this module keeps:

- a version is three numbers and perhaps a pre-release (`1.4.0-rc.1`), as the manifest has it;
- a range is one or more comparisons that must all hold: ``==1.4.0`` or ``>=1.2.0, <2.0.0``.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

_VERSION = re.compile(r"([0-9]{1,18})\.([0-9]{1,18})\.([0-9]{1,18})(?:-([0-9A-Za-z.-]{1,100}))?")
_COMPARISONS: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "==": operator.eq,
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
}
_COMPARISON = re.compile(r"(==|<=|>=|<|>)\s*(\S+)")


def precedence(version: str) -> tuple[Any, ...]:
    """A key by which versions sort.

    Raises:
        ValueError: not a version.
    """
    match = _VERSION.fullmatch(version)
    if match is None:
        raise ValueError(f"{version!r} is not a version such as 1.4.0")
    numbers = tuple(int(match[i]) for i in (1, 2, 3))
    if match[4] is None:
        return (*numbers, 1, ())
    # Numeric identifiers have lower precedence than others, and compare as numbers.
    parts = tuple((0, int(part), "") if part.isdigit() else (1, 0, part) for part in match[4].split("."))
    return (*numbers, 0, parts)


@dataclass(frozen=True, slots=True)
class Range:
    """A set of versions; `text` is how it was written."""

    text: str
    comparisons: tuple[tuple[str, str], ...]

    @classmethod
    def parse(cls, text: str) -> Range:
        """Read a range.

        Raises:
            ValueError: not a range.
        """
        comparisons = []
        for part in text.split(","):
            match = _COMPARISON.fullmatch(part.strip())
            if match is None:
                raise ValueError(f"{text!r} is not a range such as >=1.2.0,<2.0.0")
            precedence(match[2])
            comparisons.append((match[1], match[2]))
        return cls(text, tuple(comparisons))

    def __contains__(self, version: str) -> bool:
        found = precedence(version)
        return all(_COMPARISONS[sign](found, precedence(bound)) for sign, bound in self.comparisons)
