"""How releases are named: ids of nodes, versions, and sets of versions.

Rules this module keeps:

- a version is three numbers and perhaps a pre-release (`1.4.0-rc.1`), as the manifest has it; precedence is that of
  semver.org 2.0.0, section 11;
- a range is a version (`1.4.0`), a series (`1.4.*`, `1.*`), or comparisons that must all hold (`>=1.2.0, <2.0.0`);
- a pre-release lies in a range only if one of its bounds is a pre-release of the same three numbers: `<2.0.0` does not
  reach `2.0.0-rc.1`.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

NODE_ID: Final = re.compile(r"[a-z0-9][a-z0-9_-]*(/[a-z0-9][a-z0-9_-]*)*")
"""A node's id, as the manifest has it."""

_VERSION = re.compile(r"([0-9]{1,18})\.([0-9]{1,18})\.([0-9]{1,18})(?:-([0-9A-Za-z.-]{1,100}))?")
_SERIES = re.compile(r"([0-9]{1,18})\.(?:([0-9]{1,18})\.)?\*")
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
        if _VERSION.fullmatch(text):
            return cls(text, (("==", text),))
        if series := _SERIES.fullmatch(text):
            bounds = _bounds(int(series[1]), series[2])
            precedence(bounds[1][1])
            return cls(text, bounds)
        comparisons = []
        for part in text.split(","):
            match = _COMPARISON.fullmatch(part.strip())
            if match is None:
                raise ValueError(f"{text!r} is not a range such as >=1.2.0,<2.0.0, 1.2.* or 1.2.3")
            precedence(match[2])
            comparisons.append((match[1], match[2]))
        return cls(text, tuple(comparisons))

    @property
    def is_bounded(self) -> bool:
        """Whether it ends somewhere: otherwise it would hold every version to come."""
        return any(sign in {"==", "<=", "<"} for sign, _ in self.comparisons)

    def __contains__(self, version: str) -> bool:
        found = precedence(version)
        bounds = [(sign, precedence(bound)) for sign, bound in self.comparisons]
        if _is_prerelease(found) and not any(_is_prerelease(bound) and bound[:3] == found[:3] for _, bound in bounds):
            return False
        return all(_COMPARISONS[sign](found, bound) for sign, bound in bounds)


def _bounds(major: int, minor: str | None) -> tuple[tuple[str, str], ...]:
    """The comparisons that a series stands for."""
    if minor is None:
        return (">=", f"{major}.0.0"), ("<", f"{major + 1}.0.0")
    return (">=", f"{major}.{int(minor)}.0"), ("<", f"{major}.{int(minor) + 1}.0")


def _is_prerelease(key: tuple[Any, ...]) -> bool:
    return bool(key[3] == 0)
