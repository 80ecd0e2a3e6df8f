"""Paths of fields: how a manifest names a part of the input or the output.

A path is a row of steps: a map's member by name (``customer.email``), every item of a list (``lines[].sku``), every
entry of a map whose keys are not known beforehand (``tags{}``). ``$`` is the whole value. A name that is not letters,
digits, ``_`` and ``-`` is written as a JSON string: ``customer."first.name"``.

Rules this module keeps:

- `parse` and `render` are inverse to each other: one path, one spelling;
- `fields` misses nothing that a value of the schema can hold, but for null in the place of something with fields of
  its own; what it cannot look into is a field as a whole;
- `select` keeps structure, so that different values never become equal; `lookup` gives the bare values.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from enum import Enum
from typing import Any, Final
from urllib.parse import unquote

MAX_FIELDS: Final = 10_000
"""A schema with more fields than this is refused: nobody can tag them."""
MAX_STEPS: Final = 64
"""A path has at most so many steps."""


class SchemaError(ValueError):
    """A JSON Schema is malformed, refers to nothing, or is too large."""


class Each(Enum):
    """A step into every part of a container."""

    ITEM = "[]"
    """Every item of a list."""
    ENTRY = "{}"
    """Every entry of a map, its key included."""


Step = str | Each
FieldPath = tuple[Step, ...]

_BARE: Final = re.compile(r"[\w-]+")
_QUOTED: Final = re.compile(r'"(?:[^"\\\x00-\x1f]|\\.)*"')


def parse(text: str) -> FieldPath:
    """The steps of a path.

    Raises:
        ValueError: the text is no path; the message says where and why.
    """
    if text == "$":
        return ()
    steps: list[Step] = []
    position = 0
    while position < len(text):
        if text.startswith((Each.ITEM.value, Each.ENTRY.value), position):
            steps.append(Each(text[position : position + 2]))
            position += 2
            continue
        if steps:
            if text[position] != ".":
                raise ValueError(f"expected a dot at character {position + 1} of {text!r}")
            position += 1
        name, position = _name(text, position)
        steps.append(name)
    if not steps:
        raise ValueError("a path is not empty; the whole value is written $")
    if len(steps) > MAX_STEPS:
        raise ValueError(f"a path has at most {MAX_STEPS} steps")
    return tuple(steps)


def _name(text: str, position: int) -> tuple[str, int]:
    if bare := _BARE.match(text, position):
        return bare[0], bare.end()
    if quoted := _QUOTED.match(text, position):
        try:
            name = json.loads(quoted[0])
        except ValueError:
            raise ValueError(f"the quoted name at character {position + 1} of {text!r} is no JSON string") from None
        if render((name,)) != quoted[0]:
            raise ValueError(f"the name at character {position + 1} of {text!r} is written {render((name,))}")
        return name, quoted.end()
    raise ValueError(f"expected a field's name at character {position + 1} of {text!r}")


def render(path: FieldPath) -> str:
    """The text of a path; the inverse of `parse`."""
    if not path:
        return "$"
    text = ""
    for step in path:
        if isinstance(step, Each):
            text += step.value
            continue
        name = step if _BARE.fullmatch(step) else json.dumps(step, ensure_ascii=False)
        text += f".{name}" if text else name
    return text


def lookup(value: object, path: str) -> tuple[object, ...]:
    """Every value at `path` within `value`, in document order; empty when there is none.

    ``tags{}`` gives the values of the map's entries. A member that is there and null gives None.

    Raises:
        ValueError: `path` is no path.
    """
    return tuple(_values(value, parse(path)))


def _values(value: object, path: FieldPath) -> Iterator[object]:
    if not path:
        yield value
        return
    step, rest = path[0], path[1:]
    if isinstance(step, str):
        if isinstance(value, Mapping) and step in value:
            yield from _values(value[step], rest)
    elif step is Each.ITEM and isinstance(value, list | tuple):
        for item in value:
            yield from _values(item, rest)
    elif step is Each.ENTRY and isinstance(value, Mapping):
        for entry in value.values():
            yield from _values(entry, rest)


def select(value: object, path: str) -> object:
    """The part of `value` that `path` names, with its structure: for each ``[]`` a list, for each ``{}`` a map.

    So ``m[][]`` tells ``[[1], [2]]`` from ``[[1, 2]]``, and ``tags{}`` keeps the keys. It is what an idempotency key
    is made of.

    Raises:
        ValueError: `path` is no path.
        LookupError: the path leads nowhere in this value, or in one of its items; the message says how far it led.
    """
    return _select(value, parse(path), ())


def _select(value: object, path: FieldPath, done: FieldPath) -> object:
    if not path:
        return value
    step, rest = path[0], path[1:]
    here = (*done, step)
    if isinstance(step, str) and isinstance(value, Mapping) and step in value:
        return _select(value[step], rest, here)
    if step is Each.ITEM and isinstance(value, list | tuple):
        return [_select(item, rest, here) for item in value]
    if step is Each.ENTRY and isinstance(value, Mapping):
        return {key: _select(entry, rest, here) for key, entry in value.items()}
    raise LookupError(f"there is no `{render(here)}` in this value")


def fields(schema: Mapping[str, Any] | bool) -> dict[str, Mapping[str, Any]]:
    """The fields of a JSON Schema: each leaf's path, with the leaf's own schema.

    A leaf is what holds no further named parts: a scalar, anything of unknown shape, and the second occurrence of a
    type within itself (``children[]`` of a tree then stands for everything below). A map whose keys are open is a leaf
    too, for its keys are data; its values' fields come besides (``tags{}``, ``tags{}.email``). Alternatives are united.

    Args:
        schema: draft 2020-12, as pydantic writes it; references lead into the schema itself.

    Raises:
        SchemaError: a reference leads nowhere, or there are more than `MAX_FIELDS` fields.
    """
    found: dict[FieldPath, Mapping[str, Any]] = {}
    for path, leaf in _Walk(schema).leaves(schema, (), (), 0):
        known = found.get(path)
        found[path] = leaf if known is None or known == leaf else {"anyOf": [*_alternatives(known), leaf]}
        if len(found) > MAX_FIELDS:
            raise SchemaError(f"the schema has more than {MAX_FIELDS} fields")
    inner = {path[:length] for path in found for length in range(len(path))}
    return {render(path): leaf for path, leaf in found.items() if leaf != _NULL or path not in inner}


_NULL: Final[Mapping[str, Any]] = {"type": "null"}
_UNITED: Final = ("anyOf", "oneOf", "allOf")
_CONDITIONAL: Final = ("if", "then", "else")
_SCALARS: Final = frozenset({"string", "integer", "number", "boolean"})
_MAX_VISITS: Final = 20 * MAX_FIELDS
_MAX_NESTING: Final = 200
_Found = tuple[FieldPath, Mapping[str, Any]]


def _alternatives(leaf: Mapping[str, Any]) -> list[Any]:
    return list(leaf["anyOf"]) if leaf.keys() == {"anyOf"} else [leaf]


class _Walk:
    """One walk over a schema, bounded: a schema may come from somebody hostile, and references may multiply."""

    def __init__(self, root: object) -> None:
        self.root = root
        self.visits = 0

    def leaves(self, schema: object, path: FieldPath, within: tuple[str, ...], nesting: int) -> Iterator[_Found]:
        self.visits += 1
        if self.visits > _MAX_VISITS or nesting > _MAX_NESTING:
            raise SchemaError("the schema is too large to list its fields")
        if schema is False:
            return
        if schema is True:
            yield path, {}
            return
        if not isinstance(schema, Mapping):
            raise SchemaError(f"the schema of `{render(path)}` is neither a map nor true or false")
        parts = [(path, part) for part in _joined(schema)] + _members(schema, path)
        reference = schema.get("$ref")
        if reference is not None:
            if not isinstance(reference, str):
                raise SchemaError(f"the reference at `{render(path)}` is no text")
            if reference in within or len(path) >= MAX_STEPS:
                yield path, schema
            else:
                yield from self.leaves(resolve(self.root, reference), path, (*within, reference), nesting + 1)
        if _is_leaf(schema, has_parts=bool(parts) or reference is not None):
            yield path, schema
        for where, part in parts:
            yield from self.leaves(part, where, within, nesting + 1)


def _map(schema: Mapping[str, Any], word: str) -> Mapping[str, Any]:
    value = schema.get(word, {})
    if not isinstance(value, Mapping):
        raise SchemaError(f"`{word}` of a schema is a map")
    return value


def _list(schema: Mapping[str, Any], word: str) -> list[Any]:
    value = schema.get(word, [])
    if not isinstance(value, list | tuple):
        raise SchemaError(f"`{word}` of a schema is a list")
    return list(value)


def _kinds(schema: Mapping[str, Any]) -> list[Any]:
    kinds = schema.get("type", [])
    return kinds if isinstance(kinds, list) else [kinds]


def _joined(schema: Mapping[str, Any]) -> list[object]:
    united = [part for word in _UNITED for part in _list(schema, word)]
    return united + [schema[word] for word in _CONDITIONAL if word in schema]


def _members(schema: Mapping[str, Any], path: FieldPath) -> list[tuple[FieldPath, object]]:
    members: list[tuple[FieldPath, object]] = []
    for name, part in _map(schema, "properties").items():
        members.append(((*path, str(name)), part))
    prefix = _list(schema, "prefixItems")
    items = [*prefix, *([schema["items"]] if "items" in schema else [])]
    if "items" not in schema and "array" in _kinds(schema) and schema.get("maxItems") != len(prefix):
        items.append({})
    members += [((*path, Each.ITEM), part) for part in items]
    return members + [((*path, Each.ENTRY), part) for part in _entries(schema)]


def _entries(schema: Mapping[str, Any]) -> list[object]:
    """The schemas of a map's open entries; the first is that of their keys."""
    values: list[object] = list(_map(schema, "patternProperties").values())
    if "additionalProperties" in schema:
        values.append(schema["additionalProperties"])
    elif "object" in _kinds(schema) and "properties" not in schema and not values:
        values.append(True)
    values = [value for value in values if value is not False]
    return [schema.get("propertyNames", {"type": "string"}), *values] if values else []


def _is_leaf(schema: Mapping[str, Any], *, has_parts: bool) -> bool:
    kinds = _kinds(schema)
    if not kinds:
        return not has_parts
    return kinds == ["null"] or (any(kind in _SCALARS for kind in kinds) and not any(w in schema for w in _UNITED))


def resolve(root: object, reference: str) -> Any:
    """What a reference such as ``#/$defs/Customer`` leads to.

    Raises:
        SchemaError: it leads out of the schema, or nowhere.
    """
    if not reference.startswith("#"):
        raise SchemaError(f"the reference {reference} leads out of the schema")
    here: Any = root
    for part in unquote(reference[1:]).split("/")[1:]:
        name = part.replace("~1", "/").replace("~0", "~")
        if isinstance(here, Mapping) and name in here:
            here = here[name]
        elif isinstance(here, list) and name.isdecimal() and int(name) < len(here):
            here = here[int(name)]
        else:
            raise SchemaError(f"the reference {reference} leads nowhere")
    return here
