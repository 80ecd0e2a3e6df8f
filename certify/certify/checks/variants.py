"""Inputs that differ from a given one in a single field.

Rules this module keeps:

- a variant differs from its base at one path alone;
- whether the node's type accepts a variant is the node's to say: candidates come in an order in which the likeliest
  to be accepted are first (values of other fixtures, then the schema's, then small edits).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from certify.manifest.paths import Each, FieldPath, lookup, parse, render

CANDIDATES: Final = 6
"""Values that are tried for one field before it is left alone."""


def is_covered(field: str, keys: Sequence[str]) -> bool:
    """Whether a key path names this field, or something that it is part of."""
    path = parse(field)
    return any(path[: len(parse(key))] == parse(key) for key in keys)


def variants(value: object, field: str, leaf: Mapping[str, Any], others: Sequence[object]) -> Iterator[object]:
    """Inputs equal to `value` but for `field`: at most `CANDIDATES`, none when the field is not in this value."""
    path = parse(field)
    found = lookup(value, field)
    known = [other for one in others for other in lookup(one, field)]
    if not found and not known:
        return
    current = found[0] if found else None
    seen = [_text(current)] if found else []
    for candidate in (*known, *_of_schema(leaf), *_edits(current)):
        if _text(candidate) in seen:
            continue
        seen.append(_text(candidate))
        try:
            yield _replaced(value, path, candidate)
        except LookupError:
            return
        if len(seen) > CANDIDATES:
            return


def _text(value: object) -> str:
    return json.dumps(value, sort_keys=True)


def _replaced(value: object, path: FieldPath, new: object) -> object:
    """`value` with the first thing at `path` replaced."""
    if not path:
        return new
    step, rest = path[0], path[1:]
    if isinstance(step, str):
        if not isinstance(value, Mapping) or (rest and step not in value):
            raise LookupError(render(path))
        return {**value, step: _replaced(value.get(step), rest, new)}
    if step is Each.ITEM and isinstance(value, list) and value:
        return [_replaced(value[0], rest, new), *value[1:]]
    if step is Each.ENTRY and isinstance(value, Mapping) and value:
        first = next(iter(value))
        return {**value, first: _replaced(value[first], rest, new)}
    raise LookupError(render(path))


def _of_schema(leaf: Mapping[str, Any]) -> Iterator[object]:
    yield from leaf.get("enum", ())
    yield from leaf.get("examples", ())
    for word in ("anyOf", "oneOf"):
        for part in leaf.get(word, ()):
            if isinstance(part, Mapping):
                yield from _of_schema(part)


def _edits(value: object) -> Iterator[object]:
    if isinstance(value, bool):
        yield not value
    elif isinstance(value, int):
        yield from (value + 1, value - 1, value * 2 + 1, value // 2)
    elif isinstance(value, float):
        yield from (value + 1.0, value / 2, value + 0.5, -value)
    elif isinstance(value, str):
        yield from _other_texts(value)
    elif isinstance(value, list):
        yield from ([*value, *value[-1:]], value[:-1], value[::-1])
    elif isinstance(value, dict):
        yield from (dict(list(value.items())[:-1]), {**value, "another": "value"})
    else:
        yield from ("another", 1, True)


def _other_texts(text: str) -> Iterator[str]:
    """The text with its last, then its first letter or digit changed, keeping its kind; then a longer one."""
    places = [position for position, sign in enumerate(text) if sign.isascii() and sign.isalnum()]
    for position in (*places[-1:], *places[:1]):
        sign = text[position]
        for other in _successors(sign):
            yield text[:position] + other + text[position + 1 :]
    yield text + (text[-1:] or "a")
    yield text[:-1]


def _successors(sign: str) -> tuple[str, ...]:
    if sign.isdigit():
        return (str((int(sign) + 1) % 10), "1" if sign != "1" else "2")
    first = "A" if sign.isupper() else "a"
    return (chr(ord(first) + (ord(sign) - ord(first) + 1) % 6),)
