"""Reading data that somebody else wrote: each function takes what it promises, or says what is wrong and where."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

_HEX: Final = re.compile(r"[0-9a-f]*", re.ASCII)
_MOMENT: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z", re.ASCII)

DIGEST_DIGITS: Final[Mapping[str, int]] = {"blake3": 64, "sha256": 64, "sha384": 96, "sha512": 128}
"""Hexadecimal digits of each kind of digest that is read."""


class FormError(ValueError):
    """What does not have the form that is needed."""


def members(value: object, names: frozenset[str], where: str) -> Mapping[str, Any]:
    """The map, which has exactly the members `names`."""
    found = mapping(value, where)
    if missing := sorted(names - found.keys()):
        raise FormError(f"{where} lacks {', '.join(missing)}")
    if unknown := sorted(found.keys() - names):
        raise FormError(f"{where} has members that this release does not know: {', '.join(unknown)[:200]!r}")
    return found


def mapping(value: object, where: str) -> Mapping[str, Any]:
    """The map, whose keys are text."""
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise FormError(f"{where} is not a map with text keys")
    return value


def text(value: object, where: str) -> str:
    """The text, which is not empty."""
    if not isinstance(value, str) or not value:
        raise FormError(f"{where} is not text, or is empty")
    return value


def texts(value: object, where: str) -> dict[str, str]:
    """The map from text to text."""
    return {key: text(item, f"{where}.{key}") for key, item in mapping(value, where).items()}


def sequence(value: object, where: str) -> list[Any]:
    """The list."""
    if not isinstance(value, list):
        raise FormError(f"{where} is not a list")
    return value


def digest(value: object, where: str, kind: str = "blake3") -> str:
    """The digest: lower-case hexadecimal digits, as many as its kind has."""
    if not isinstance(value, str) or len(value) != DIGEST_DIGITS[kind] or not _HEX.fullmatch(value):
        raise FormError(f"{where} is not a {kind} digest of {DIGEST_DIGITS[kind]} lower-case hexadecimal digits")
    return value


def moment(value: object, where: str) -> str:
    """The moment: RFC 3339, in UTC, ending in ``Z``."""
    written = text(value, where)
    try:
        if not _MOMENT.fullmatch(written):
            raise ValueError  # noqa: TRY301 - the one message below serves both
        datetime.fromisoformat(written[:19])
    except ValueError:
        raise FormError(f"{where} is not a moment in UTC such as 2026-11-20T12:00:00Z") from None
    return written
