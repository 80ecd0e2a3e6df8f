"""What the API's values look like, whatever they belong to."""

from __future__ import annotations

import base64
import binascii
from typing import Annotated, Final

from pydantic import Field

from certify.service import reading
from certify.service.errors import bad

BASE: Final = "/api/v1"
BINARY: Final = "application/octet-stream"
MADE_OR_THERE: Final = {201: "Made.", 200: "It was there already."}
MADE: Final = {201: "Made."}

Number = Annotated[int, Field(ge=0, le=2**53)]
Limit = Annotated[int, Field(ge=1, le=reading.LONGEST_PAGE)]
Text = Annotated[str, Field(max_length=200)]
Hex = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Base64 = Annotated[str, Field(max_length=4_000_000)]


def base64_text(data: bytes) -> str:
    """Bytes as text."""
    return base64.b64encode(data).decode()


def base64_bytes(text: str) -> bytes:
    """The bytes that a text stands for.

    Raises:
        Declined: SRV001, it is not base64.
    """
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise bad("a member is not base64") from None
