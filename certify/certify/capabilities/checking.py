"""The checks of arguments that every context makes, before anything is recorded or done.

Rules this module keeps:

- pure; the same call is refused with the same message by every kind of context;
- a wrong type is a `TypeError`, an impossible value a `ValueError`.
"""

from __future__ import annotations

import json as json_text
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

#: Methods that leave the upstream as it is.
READING_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_UNSENDABLE = re.compile(r"[\x00-\x1f\x7f]")
#: Headers that the connection owns: setting them would aim the request, or its end, at another place.
_OWNED_HEADERS = frozenset({"host", "content-length", "transfer-encoding", "connection", "upgrade"})


@dataclass(frozen=True, slots=True)
class Request:
    """A request as it will be sent: header names in lower case and sorted, the body as bytes."""

    upstream: str
    method: str
    path: str
    headers: Mapping[str, str]
    content: bytes
    timeout: float

    @property
    def mode(self) -> Literal["read", "write"]:
        """The mode that the method needs."""
        return "read" if self.method in READING_METHODS else "write"


def request(
    upstream: str,
    method: str,
    path: str,
    *,
    json: Any = None,
    content: bytes | None = None,
    headers: Mapping[str, str] | None = None,
    timeout: float = 5.0,
) -> Request:
    """The request that these arguments of `Http.request` ask for.

    Raises:
        TypeError: an argument of the wrong type, or a value without a JSON form.
        ValueError: a path, method, header or timeout that cannot be sent.
    """
    text(upstream, "the upstream's name")
    text(path, "the path")
    if not _TOKEN.fullmatch(text(method, "the method")):
        raise ValueError(f"{method!r} is no HTTP method")
    if not path.startswith("/") or _UNSENDABLE.search(path) or " " in path:
        raise ValueError(f"the path is {path!r}: it begins with / and has neither blanks nor control characters")
    if json is not None and content is not None:
        raise ValueError("a request has one body: give `json` or `content`, not both")
    if content is not None:
        octets(content, "the content")
    checked = _headers(headers or {})
    if json is not None:
        content = json_text.dumps(json, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
        checked.setdefault("content-type", "application/json")
    return Request(
        upstream, method.upper(), path, dict(sorted(checked.items())), content or b"", duration(timeout, 0.0)
    )


def _headers(headers: Mapping[str, str]) -> dict[str, str]:
    checked: dict[str, str] = {}
    for name, value in headers.items():
        lower = text(name, "a header's name").lower()
        if not _TOKEN.fullmatch(lower) or _UNSENDABLE.search(text(value, f"header {name}").replace("\t", " ")):
            raise ValueError(f"header {name!r} cannot be sent: its name or value has characters that HTTP forbids")
        if lower in _OWNED_HEADERS:
            raise ValueError(f"header {name!r} belongs to the connection: leave it out")
        if lower in checked:
            raise ValueError(f"header {name!r} is given twice")
        checked[lower] = value
    return checked


def text(value: object, what: str) -> str:
    """The value, which is text that UTF-8 can hold."""
    if not isinstance(value, str):
        raise TypeError(f"{what} is text, not {type(value).__name__}")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ValueError(f"{what} has a lone surrogate, which no store or upstream can hold") from None
    return value


def octets(value: object, what: str) -> bytes:
    """The value, which is bytes."""
    if not isinstance(value, bytes):
        raise TypeError(f"{what} is bytes, not {type(value).__name__}: encode it first")
    return value


def duration(value: object, least: float) -> float:
    """The value, which is a finite number of seconds, not below `least`."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"seconds are a number, not {type(value).__name__}")
    if not math.isfinite(value) or value < least:
        raise ValueError(f"{value} is no number of seconds to wait")
    return float(value)


def count(value: object, what: str) -> int:
    """The value, which is a natural number."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{what} is an integer, not {type(value).__name__}")
    if value < 0:
        raise ValueError(f"{what} is {value}: it cannot be negative")
    return value


def parameters(values: Sequence[Any]) -> tuple[Any, ...]:
    """Values that a statement can take: None, int, finite float, str, bytes."""
    if isinstance(values, (str, bytes)) or not isinstance(values, Sequence):
        raise TypeError("a statement's parameters are a list or tuple, one value for each `?`")
    for position, value in enumerate(values, 1):
        _parameter(value, f"parameter {position}")
    return tuple(values)


def _parameter(value: object, what: str) -> None:
    match value:
        case None | bytes():
            return
        case str():
            text(value, what)
        case bool() | int():
            if not -(2**63) <= value < 2**63:
                raise ValueError(f"{what} is {value}: a database holds integers of 64 bits")
        case float():
            if math.isnan(value):
                raise ValueError(f"{what} is NaN, which a database would turn into NULL")
        case _:
            raise TypeError(f"{what} is {type(value).__name__}: a database holds None, int, float, str and bytes")
