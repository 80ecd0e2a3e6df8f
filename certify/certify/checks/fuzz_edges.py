"""Inputs at the edge of validity, and just beyond it.

Rules this module keeps:

- the same schema, examples and number give the same inputs, in the same order;
- what the schema bounds is tried at both bounds; what it leaves open is tried at sizes and values that are known to
  break programs, and never beyond 64-bit integers and 3,000 characters or items;
- an invalid input is one that the schema refuses and that no coercion can save; it says what is wrong with it.
"""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from certify.checks.fuzzing import FORMATS, LONGEST, Schema, draws, int_bounds, merged, resolved, text_of

_DEEPEST: Final = 60
_ODD_TEXT: Final = "e\u0301\U0001f600\u202e\u05d0\u0130\u00df\ufdfa"
"""Combining, astral, right to left, and letters that change their length with their case."""


# -- boundaries --------------------------------------------------------------------------------------------------------

Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Trial:
    """An input: its JSON text, and what is particular about it."""

    text: bytes
    what: str


def boundaries(schema: Schema, examples: Sequence[Any], number: int) -> Iterator[Trial]:
    """Each place of the examples at each extreme of its schema, the most telling extremes of all places first.

    A place that several examples have is varied in the first of them.
    """
    seen: set[str] = set()
    rows: list[Iterator[tuple[Any, Path, Any]]] = []
    shapes: set[Path] = set()
    for example in examples:
        for path, found in _places(schema, schema, example, (), 0):
            shape = tuple("" if isinstance(step, int) else step for step in path)
            if shape not in shapes:
                shapes.add(shape)
                rows.append(_row(schema, found, example, path, number))
    for row in itertools.chain.from_iterable(itertools.zip_longest(*rows)):
        if row is None:
            continue
        example, path, value = row
        text = text_of(_with(example, path, value))
        if text not in seen:
            seen.add(text)
            yield Trial(text.encode(), f"{shown(path)} = {brief(value)}")


def _row(root: Schema, schema: Schema, example: Any, path: Path, number: int) -> Iterator[tuple[Any, Path, Any]]:
    return ((example, path, value) for value in _extremes(root, schema, number))


def shown(path: Path) -> str:
    """A path for people: `lines[0].sku`, or `the input`."""
    parts = [f"[{step}]" if isinstance(step, int) else f".{step}" for step in path]
    return "".join(parts).lstrip(".") or "the input"


def brief(value: Any, most: int = 60) -> str:
    """The value as JSON, cut to a readable length."""
    text = json.dumps(value, ensure_ascii=True)
    return text if len(text) <= most else f"{text[:most]}… ({len(text)} characters)"


def _places(root: Schema, schema: Schema | bool, value: Any, path: Path, depth: int) -> Iterator[tuple[Path, Schema]]:
    """Every place of a value with the schema that governs it, outermost last."""
    plain = _plain(root, schema)
    if depth > _DEEPEST:
        return
    for branch in _branches(root, plain):
        if isinstance(value, dict) and isinstance(branch.get("properties", branch.get("additionalProperties")), dict):
            properties = branch.get("properties", {})
            for name, each in properties.items():
                if name in value:
                    yield from _places(root, each, value[name], (*path, name), depth + 1)
                else:
                    yield (*path, name), _plain(root, each)
            more = branch.get("additionalProperties")
            if isinstance(more, Mapping):
                for name in itertools.islice((n for n in value if n not in properties), 1):
                    yield from _places(root, more, value[name], (*path, name), depth + 1)
            break
        if isinstance(value, list) and branch.get("type") == "array":
            prefix = branch.get("prefixItems", ())
            for i, each in enumerate(prefix[: len(value)]):
                yield from _places(root, each, value[i], (*path, i), depth + 1)
            if len(value) > len(prefix) and "items" in branch:
                yield from _places(root, branch["items"], value[len(prefix)], (*path, len(prefix)), depth + 1)
            break
    yield path, plain


def _plain(root: Schema, schema: Schema | bool) -> Schema:
    """The schema without references at its head."""
    for _ in range(_DEEPEST):
        if not isinstance(schema, Mapping):
            return {} if schema else {"not": {}}
        if "$ref" in schema:
            schema = resolved(root, str(schema["$ref"]))
        elif "allOf" in schema:
            return merged(root, schema)
        else:
            return schema
    return {}


def _branches(root: Schema, schema: Schema) -> list[Schema]:
    for word in ("anyOf", "oneOf"):
        if word in schema:
            return [branch for each in schema[word] for branch in _branches(root, _plain(root, each))]
    kind = schema.get("type")
    return [{**schema, "type": each} for each in kind] if isinstance(kind, list) else [schema]


def _extremes(root: Schema, schema: Schema, number: int) -> Iterator[Any]:
    branches = _branches(root, schema)
    for row in itertools.zip_longest(*(_branch_extremes(root, branch, number) for branch in branches), fillvalue=_NONE):
        yield from (value for value in row if value is not _NONE)


_NONE: Final = object()


def _branch_extremes(root: Schema, schema: Schema, number: int) -> Iterator[Any]:
    if "const" in schema:
        yield schema["const"]
    elif "enum" in schema:
        yield from schema["enum"]
    else:
        match schema.get("type"):
            case "string":
                yield from _text_extremes(schema, number)
            case "integer":
                yield from _integer_extremes(schema)
            case "number":
                yield from _number_extremes(schema)
            case "boolean":
                yield from (False, True)
            case "null":
                yield None
            case "array":
                yield from _array_extremes(root, schema, number)
            case "object":
                yield from _object_extremes(root, schema, number)
            case _:
                yield from (None, "", 0, -0.0, [], {}, _ODD_TEXT, nested(_DEEPEST))


def _text_extremes(schema: Schema, number: int) -> Iterator[str]:
    if "pattern" in schema:
        found = draws(schema, 12, number)
        yield from dict.fromkeys([min(found, key=len), max(found, key=len), *found[:4]] if found else [])
        return
    name = schema.get("format")
    if isinstance(name, str) and name in FORMATS:
        yield from FORMATS[name]
        return
    low, high = int(schema.get("minLength", 0)), int(schema.get("maxLength", LONGEST))
    longest = "x" * min(high, max(low, LONGEST))
    for text in ("", _ODD_TEXT, "\u00b2", "\x00\x1b[0m", longest, "0", " ", "-1", "a\u0301" * 3, "%s{0}'\"\\", "NaN"):
        fitted = (text + "x" * (low - len(text)))[: min(high, LONGEST)]
        if low <= len(fitted) <= high:
            yield fitted


def _integer_extremes(schema: Schema) -> Iterator[int]:
    low, high = int_bounds(schema)
    step = int(schema.get("multipleOf", 1)) or 1
    least, most = -(-low // step) * step, high // step * step
    usual = (0, least, most, 1, -1, 2, -2, 2**31, 2**53 + 1, least + step, most - step)
    yield from dict.fromkeys(n for n in usual if low <= n <= high and n % step == 0)


def _number_extremes(schema: Schema) -> Iterator[float]:
    low, high = schema.get("minimum"), schema.get("maximum")
    above, below = schema.get("exclusiveMinimum"), schema.get("exclusiveMaximum")
    step = schema.get("multipleOf")
    usual = [
        0.0,
        -0.0,
        *(n for n in (low, high) if n is not None),
        1.0,
        -1.0,
        1e308,
        5e-324,
        -1e308,
        0.1,
        1e-9,
        2.0**53,
    ]
    usual += [math.nextafter(above, math.inf)] if above is not None else []
    usual += [math.nextafter(below, -math.inf)] if below is not None else []
    for n in usual:
        inside = (low is None or n >= low) and (high is None or n <= high)
        inside = inside and (above is None or n > above) and (below is None or n < below)
        if inside and (not step or math.isclose(n / step, round(n / step), abs_tol=1e-9)):
            yield n


def _array_extremes(root: Schema, schema: Schema, number: int) -> Iterator[list[Any]]:
    low, high = int(schema.get("minItems", 0)), int(schema.get("maxItems", LONGEST))
    one = next(iter(draws(_rooted(root, schema.get("items", {})), 1, number)), None)
    if low == 0 and not schema.get("prefixItems"):
        yield []
    if schema.get("prefixItems") or schema.get("items") is None:
        yield from draws(_rooted(root, schema), 2, number)
        return
    if schema.get("uniqueItems"):
        many = draws(_rooted(root, schema.get("items", {})), min(high, 40), number)
        if low <= len(many):
            yield many[: min(high, len(many))]
        return
    for size in dict.fromkeys((min(high, 1_100), low, 1, 2)):
        if low <= size <= high:
            yield [one] * size


def _object_extremes(root: Schema, schema: Schema, number: int) -> Iterator[dict[str, Any]]:
    """The fewest fields and the most, and a chain as deep as the type allows when it holds itself."""
    drawn = draws(_rooted(root, schema), 8, number)
    yield from sorted(drawn, key=lambda value: len(text_of(value)))[:1] if drawn else ()
    deep = chain(root, schema, _DEEPEST)
    if deep is not None:
        yield deep
    yield from sorted(drawn, key=lambda value: -len(text_of(value)))[:2] if drawn else ()


def _rooted(root: Schema, schema: Schema | bool) -> Schema | bool:
    """A part of a document as a document of its own, definitions included."""
    return {**schema, "$defs": root.get("$defs", {})} if isinstance(schema, Mapping) and "$defs" in root else schema


def chain(root: Schema, schema: Schema, depth: int) -> Any | None:
    """A value of a type that holds itself, nested `depth` times; None when it does not, or not by a direct field."""
    for name, each in schema.get("properties", {}).items():
        for wrap, inner in _holders(root, each):
            if _plain(root, inner) is schema or _plain(root, inner) == schema:
                smallest = draws(_rooted(root, {**schema, "properties": schema["properties"]}), 12, 0)
                leaf = min(smallest, key=lambda value: len(text_of(value)), default=None)
                if not isinstance(leaf, dict):
                    return None
                value = leaf
                for _ in range(depth):
                    value = {**leaf, name: wrap(value)}
                return value
    return None


def _holders(root: Schema, schema: Schema | bool) -> Iterator[tuple[Callable[[Any], Any], Schema | bool]]:
    """How a field's schema can hold another: itself, as one of several, in a list or in a map."""
    if isinstance(schema, Mapping) and "$ref" in schema:
        yield (lambda value: value), schema
        return
    for branch in _branches(root, schema if isinstance(schema, Mapping) else {}):
        if branch.get("type") == "array" and "items" in branch:
            yield (lambda value: [value]), branch["items"]
        elif isinstance(branch.get("additionalProperties"), Mapping):
            yield (lambda value: {"x": value}), branch["additionalProperties"]
        else:
            yield (lambda value: value), branch


def nested(depth: int) -> list[Any]:
    """A list in a list, so many times over."""
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


def _with(value: Any, path: Path, new: Any) -> Any:
    """The value with another one at a path."""
    if not path:
        return new
    head, rest = path[0], path[1:]
    if isinstance(value, list) and isinstance(head, int):
        return [_with(each, rest, new) if i == head else each for i, each in enumerate(value)]
    if isinstance(value, dict):
        return {**value, str(head): _with(value.get(str(head)), rest, new)}
    return value


def _without(value: Any, path: Path) -> Any:
    """The value without the field at a path."""
    head, rest = path[0], path[1:]
    if isinstance(value, list) and isinstance(head, int):
        kept = enumerate(value)
        return [_without(each, rest) if i == head else each for i, each in kept if rest or i != head]
    if isinstance(value, dict):
        return {k: _without(v, rest) if k == head else v for k, v in value.items() if rest or k != head}
    return value


# -- invalid inputs ----------------------------------------------------------------------------------------------------

_NOT_JSON: Final = (
    Trial(b"", "no input at all"),
    Trial(b"{", "broken JSON"),
    Trial(b'"\xff\xfe"', "text that is not UTF-8"),
    Trial(b'"\\ud800"', "half of a surrogate pair"),
    Trial(b"[" * 100_000, "100,000 opening brackets"),
)


def invalid(schema: Schema, example: Any) -> Iterator[Trial]:
    """Texts that are no JSON at all, and inputs that the schema refuses: an example with one thing wrong, each."""
    yield from _NOT_JSON[: None if _kinds(schema, schema) != _ALL_KINDS else -1]
    seen = {text_of(example)}
    for path, value, what in _wrongs(schema, example):
        text = text_of(_without(example, path) if value is _NONE else _with(example, path, value))
        if text not in seen:
            seen.add(text)
            yield Trial(text.encode(), f"{shown(path)} {what}")


_ALL_KINDS: Final = frozenset({"null", "boolean", "integer", "number", "string", "array", "object"})


def _kinds(root: Schema, schema: Schema) -> frozenset[str]:
    """The types that a schema allows; all of them where it does not say."""
    kinds: set[str] = set()
    for branch in _branches(root, schema):
        if "const" in branch or "enum" in branch:
            kinds |= {_kind(value) for value in branch.get("enum", [branch.get("const")])}
        elif branch.get("type") in _ALL_KINDS:
            kinds.add(str(branch["type"]))
        else:
            return _ALL_KINDS
    return frozenset(kinds | ({"integer"} if "number" in kinds else set()))


def _kind(value: Any) -> str:
    names = {bool: "boolean", int: "integer", float: "number", str: "string", list: "array", dict: "object"}
    return "null" if value is None else names[type(value)]


def _wrongs(root: Schema, example: Any) -> Iterator[tuple[Path, Any, str]]:
    """What can be wrong with each place, the first of every place before the second of any."""
    places = reversed(list(_places(root, root, example, (), 0)))
    rows = [_wrong(root, path, schema) for path, schema in places]
    yield from (each for each in itertools.chain.from_iterable(itertools.zip_longest(*rows)) if each is not None)


def _wrong(root: Schema, path: Path, schema: Schema) -> Iterator[tuple[Path, Any, str]]:
    kinds = _kinds(root, schema)
    if kinds == _ALL_KINDS:
        return
    for branch in _branches(root, schema)[:1]:
        yield from ((path, value, what) for value, what in _beyond(schema, branch))
        for name in branch.get("required", ()):
            yield (*path, name), _NONE, "is missing"
    if "object" not in kinds:
        yield path, {"unexpected": [True]}, "is an object"
    if not kinds & {"null"}:
        yield path, None, "is null"
    if kinds <= {"integer", "number"} or kinds in ({"object"}, {"array"}):
        yield path, "certify", "is text"
    if "array" not in kinds:
        yield path, [[None]], "is nested in lists"
    for branch in _branches(root, schema)[:1]:
        if branch.get("additionalProperties") is False and branch.get("type") == "object":
            yield (*path, "certify-unexpected"), 1, "is a field that the type forbids"


def _beyond(schema: Schema, branch: Schema) -> Iterator[tuple[Any, str]]:
    """Values just beyond what one branch allows; nothing when there are further branches."""
    if branch is not schema:
        return
    if "enum" in schema or "const" in schema:
        yield "certify-no-such-value", "is none of the values listed"
        return
    match schema.get("type"):
        case "integer":
            low, high = int_bounds(schema)
            if "minimum" in schema or "exclusiveMinimum" in schema:
                yield low - 1, "is below its minimum"
            if "maximum" in schema or "exclusiveMaximum" in schema:
                yield high + 1, "is above its maximum"
            yield 0.5, "is no whole number"
        case "number":
            if "minimum" in schema:
                yield schema["minimum"] - 1, "is below its minimum"
            if "maximum" in schema:
                yield schema["maximum"] + 1, "is above its maximum"
        case "string" if "format" not in schema:
            if int(schema.get("minLength", 0)) > 0:
                yield "x" * (int(schema["minLength"]) - 1), "is too short"
            if "maxLength" in schema:
                yield "x" * (int(schema["maxLength"]) + 1), "is too long"
        case "array":
            if "maxItems" in schema and "prefixItems" not in schema:
                yield [None] * (int(schema["maxItems"]) + 1), "has too many items"
            if int(schema.get("minItems", 0)) > 0:
                yield [], "has too few items"
        case _:
            return
