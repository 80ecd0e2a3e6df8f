"""Reading the bytes that evidence names.

Rules this module keeps:

- bytes are used only if they have the digest that the evidence names: a report never shows somebody else's text;
- what is missing, altered or unreadable is None; the report says so where it would have been shown.
"""

from __future__ import annotations

import base64
import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from certify import codec
from certify.evidence.bundle import Evidence
from certify.policy.policies import PolicySet
from certify_spec.diagnostics import RequestError


@dataclass(frozen=True)
class Blobs:
    """The blobs of one evidence; `content` has them by digest."""

    content: Mapping[str, bytes]

    def read(self, digest: str) -> bytes | None:
        """The bytes with this digest, if they are at hand."""
        data = self.content.get(digest)
        return data if data is not None and codec.address(data) == digest else None

    def text(self, digest: str) -> str | None:
        """The UTF-8 text with this digest."""
        data = self.read(digest)
        try:
            return None if data is None else data.decode("utf-8")
        except UnicodeDecodeError:
            return None

    def waiver(self, digest: str) -> dict[str, Any]:
        """What the waiver in a DSSE envelope says, with `key_id`, the key that it names; empty if it cannot be read.

        The signature is not verified here: whoever certified, or keeps the registry, has done so.
        """
        envelope = self.json(digest)
        try:
            said = _map(base64.b64decode(envelope["payload"], validate=True))
            return {**said, "key_id": str(envelope["signatures"][0]["keyid"])}
        except (KeyError, IndexError, TypeError, ValueError):
            return {}

    def cbor(self, digest: str) -> dict[str, Any]:
        """The map with this digest; empty if there is none."""
        data = self.read(digest)
        try:
            return {} if data is None else _map(data)
        except codec.EncodingError:
            return {}

    def json(self, digest: str) -> dict[str, Any]:
        """The JSON object with this digest; empty if there is none."""
        try:
            value = json.loads(self.text(digest) or "{}")
        except (ValueError, RecursionError):
            return {}
        return value if isinstance(value, dict) else {}

    def toml(self, digest: str) -> dict[str, Any]:
        """The TOML document with this digest; empty if there is none."""
        try:
            return tomllib.loads(self.text(digest) or "")
        except (tomllib.TOMLDecodeError, RecursionError):
            return {}

    def policies(self, digest: str) -> PolicySet | None:
        """The policies with this digest."""
        try:
            return PolicySet.from_data(self.cbor(digest))
        except (RequestError, KeyError, TypeError, ValueError, AttributeError):
            return None


def _map(data: bytes) -> dict[str, Any]:
    value = codec.decode(data)
    return value if isinstance(value, dict) else {}


class Sources:
    """The node's files as lines, by the path that findings name."""

    def __init__(self, evidence: Evidence, blobs: Blobs) -> None:
        self._files = evidence.files
        self._blobs = blobs
        self._lines = lru_cache(maxsize=None)(self._read)

    def lines(self, file: str) -> tuple[str, ...] | None:
        """The lines of one of the node's files; None when it is none, or no text."""
        return self._lines(file)

    def _read(self, file: str) -> tuple[str, ...] | None:
        digest = self._files.get(file)
        text = None if digest is None else self._blobs.text(digest)
        # as Python and TOML count lines: other separators are characters within a line
        return None if text is None else tuple(text.replace("\r\n", "\n").split("\n"))
