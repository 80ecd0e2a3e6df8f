"""Keeps the values of secrets out of records and log lines.

Rules this module keeps:

- every occurrence of a learnt value becomes ``<secret:NAME>``, and so do its usual disguises: percent-encoded,
  JSON-escaped, hexadecimal, and Base64 at any alignment (there the whole Base64 word goes);
- what cannot be undone is left alone: a signature or a digest made with a secret is no secret;
- redacting twice is redacting once, so that a replay, which hands out the placeholder in the secret's place, makes the
  records that the recording made.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote, quote_plus

#: A shorter value would turn up in texts by chance; it is refused as a secret.
SHORTEST_SECRET = 4

_BASE64_WORD = "[A-Za-z0-9+/=_-]*"


def placeholder(name: str) -> str:
    """What stands in a secret's place in records, and is handed out for it in a replay."""
    return f"<secret:{name}>"


class Redactor:
    """Replaces the values it has learnt. Learning and redacting may happen in different threads."""

    def __init__(self) -> None:
        self._known: dict[str, str] = {}
        self._pattern: re.Pattern[str] | None = None
        self._names: tuple[str, ...] = ()

    def learn(self, name: str, value: str) -> None:
        """Keep this value out of everything from now on."""
        if self._known.get(name) == value:
            return
        self._known[name] = value
        longest_first = sorted(self._known.items(), key=lambda item: -len(item[1]))
        names = tuple(name for name, _ in longest_first)
        # one pattern for all, so that no secret is found inside the stand-in of another
        pattern = re.compile("|".join(f"({_pattern(value)})" for _, value in longest_first))
        self._names, self._pattern = names, pattern

    def text(self, text: str) -> str:
        """The text without secrets."""
        if self._pattern is None:
            return text
        names = self._names
        return self._pattern.sub(lambda match: placeholder(names[(match.lastindex or 1) - 1]), text)

    def data(self, value: Any) -> Any:
        """The same data without secrets, in map keys too."""
        if self._pattern is None:
            return value
        match value:
            case str():
                return self.text(value)
            case bytes():
                return self._bytes(value)
            case Mapping():
                return {self.text(key): self.data(item) for key, item in value.items()}
            case list() | tuple():
                return [self.data(item) for item in value]
            case _:
                return value

    def _bytes(self, value: bytes) -> bytes:
        # surrogateescape gives every byte string a text form and back; UTF-8 inside it is matched as text
        return self.text(value.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")


def _pattern(value: str) -> str:
    raw = value.encode("utf-8", "surrogatepass")
    disguises = {
        value,
        quote(raw, safe=""),
        quote(raw),
        quote_plus(raw),
        json.dumps(value)[1:-1],
        json.dumps(value, ensure_ascii=False)[1:-1],
        raw.hex(),
        raw.hex().upper(),
    }
    words = [re.escape(disguise) for disguise in sorted(disguises, key=lambda d: (-len(d), d))]
    base64_words = [f"{_BASE64_WORD}{re.escape(core)}{_BASE64_WORD}" for core in sorted(set(_base64_cores(raw)))]
    return "|".join([*words, *base64_words])


def _base64_cores(raw: bytes) -> Iterator[str]:
    """The characters of `raw` in Base64 that do not depend on its neighbours, at each of the three alignments."""
    for shift, mixed in ((0, 0), (1, 2), (2, 3)):
        encoded = base64.b64encode(bytes(shift) + raw).decode()
        whole = encoded if (shift + len(raw)) % 3 == 0 else encoded.rstrip("=")[:-1]
        core = whole[mixed:]
        yield core
        yield core.translate(str.maketrans("+/", "-_"))
