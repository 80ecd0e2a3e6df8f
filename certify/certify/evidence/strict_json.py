"""JSON as signed documents need it: one reading, or none."""

from __future__ import annotations

import json
from typing import Any, Never


def read(data: bytes) -> Any:
    """The value that `data` writes.

    Raises:
        ValueError: not UTF-8, no JSON, a member named twice, a number that JSON has no word for, or too deep; the
            message says which.
    """
    try:
        return json.loads(data.decode("utf-8"), object_pairs_hook=_members, parse_constant=_no_constant)
    except UnicodeDecodeError as error:
        raise ValueError(f"byte {error.start} is not UTF-8") from None
    except RecursionError:
        raise ValueError("it nests too deeply") from None


def write(value: Any) -> bytes:
    """The value as JSON, members in order of their names, no spaces: equal values give equal bytes."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"the member {next(name for name in names if names.count(name) > 1)!r} occurs twice")
    return members


def _no_constant(word: str) -> Never:
    raise ValueError(f"{word} is not a JSON number")
