"""A small valid example of a JSON Schema: the first input of a new node.

Rules this module keeps:

- the same schema gives the same example, in every process;
- every field that can be filled is filled, and what recurs is cut at the first chance;
- what it cannot satisfy it says: a wrong example is worse than none.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from fractions import Fraction
from typing import Any, Final

from certify.manifest.paths import SchemaError, resolve

_MAX_NESTING: Final = 64
_MAX_VISITS: Final = 20_000

_FORMATS: Final[Mapping[str, str]] = {
    "date-time": "2026-01-01T00:00:00Z",
    "date": "2026-01-01",
    "time": "00:00:00Z",
    "duration": "PT1S",
    "email": "someone@example.com",
    "idn-email": "someone@example.com",
    "name-email": "Someone <someone@example.com>",
    "hostname": "example.com",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "ipvanyaddress": "192.0.2.1",
    "ipv4network": "192.0.2.0/24",
    "ipv6network": "2001:db8::/32",
    "ipv4interface": "192.0.2.1/24",
    "ipv6interface": "2001:db8::1/32",
    "uri": "https://example.com/",
    "iri": "https://example.com/",
    "uri-reference": "/",
    "multi-host-uri": "https://example.com/",
    "uuid": "00000000-0000-4000-8000-000000000000",
    "uuid1": "00000000-0000-1000-8000-000000000000",
    "uuid3": "00000000-0000-3000-8000-000000000000",
    "uuid4": "00000000-0000-4000-8000-000000000000",
    "uuid5": "00000000-0000-5000-8000-000000000000",
    "json-string": "{}",
    "base64url": "AAAA",
    "byte": "AAAA",
    "binary": "example",
    "json-pointer": "/example",
    "regex": "a*",
    "color": "black",
    "file-path": "example",
    "directory-path": "example",
    "path": "example",
}


#: Words of a schema that leave room above and beside an example.
_FREE_WORDS: Final = frozenset({"type", "title", "description", "default", "minimum", "exclusiveMinimum", "minLength"})


class NoExample(ValueError):
    """No example was found; the message says for which part of the schema and why."""


def example_input(schema: Mapping[str, Any]) -> object:
    """A small value that is valid for `schema`.

    An `examples` entry of the schema itself is taken at its word.

    Args:
        schema: draft 2020-12, of the kind that pydantic writes.

    Raises:
        NoExample: none was found: contradictory bounds, a pattern too hard, a recursion without end.
    """
    try:
        return _Maker(schema).make(schema, "$", ())
    except SchemaError as error:
        raise NoExample(str(error)) from None


class _Maker:
    def __init__(self, root: object) -> None:
        self.root = root
        self.visits = 0

    def make(self, schema: object, path: str, within: tuple[str, ...]) -> Any:
        self.visits += 1
        if self.visits > _MAX_VISITS or len(within) > _MAX_NESTING or path.count(".") + path.count("[") > _MAX_NESTING:
            raise NoExample(f"the schema at {path} is too large")
        if schema is True:
            return {}
        if not isinstance(schema, Mapping):
            raise NoExample(f"nothing is valid at {path}")
        if isinstance(reference := schema.get("$ref"), str):
            return self._reference(schema, reference, path, within)
        if isinstance(parts := schema.get("allOf"), list):
            rest = {word: value for word, value in schema.items() if word != "allOf"}
            return self.make(self._merged([rest, *parts]), path, (*within, "allOf"))
        if isinstance(examples := schema.get("examples"), list) and examples:
            return examples[0]
        if "const" in schema:
            return schema["const"]
        if isinstance(choices := schema.get("enum"), list) and choices:
            return choices[0]
        for word in ("anyOf", "oneOf"):
            if isinstance(parts := schema.get(word), list):
                rest = {name: value for name, value in schema.items() if name != word}
                return self._first([self._merged([rest, part]) for part in parts], path, (*within, word))
        return self._of_kind(schema, path, within)

    def _reference(self, schema: Mapping[str, Any], reference: str, path: str, within: tuple[str, ...]) -> Any:
        if reference in within:
            raise NoExample(f"the type at {path} holds itself without end")
        rest = {word: value for word, value in schema.items() if word not in {"$ref", "$defs"}}
        return self.make(self._merged([resolve(self.root, reference), rest]), path, (*within, reference))

    def _merged(self, parts: list[Any]) -> Any:
        merged: dict[str, Any] = {}
        for part in parts:
            if part is True:
                continue
            if not isinstance(part, Mapping):
                return False
            for word, value in part.items():
                known = merged.get(word)
                if word == "properties" and isinstance(known, Mapping) and isinstance(value, Mapping):
                    merged[word] = {**known, **value}
                elif word == "required" and isinstance(known, list) and isinstance(value, list):
                    merged[word] = [*known, *(name for name in value if name not in known)]
                else:
                    merged[word] = value
        return merged

    def _first(self, alternatives: list[Any], path: str, within: tuple[str, ...]) -> Any:
        """The first alternative that has an example; null only when nothing else has."""
        reason = NoExample(f"there are no alternatives at {path}")
        for alternative in sorted(alternatives, key=_is_null):
            try:
                return self.make(alternative, path, within)
            except NoExample as error:
                reason = error
        raise reason

    def _of_kind(self, schema: Mapping[str, Any], path: str, within: tuple[str, ...]) -> Any:
        kind = schema.get("type")
        if isinstance(kind, list):
            return self._first([{**schema, "type": each} for each in kind], path, (*within, "type"))
        match kind:
            case "object":
                return self._object(schema, path, within)
            case "array":
                return self._array(schema, path, within)
            case "string":
                return _string(schema, path)
            case "integer" | "number":
                return _number(schema, path, whole=kind == "integer")
            case "boolean":
                return True
            case "null":
                return None
            case _:
                return self._object(schema, path, within) if "properties" in schema else {}

    def _object(self, schema: Mapping[str, Any], path: str, within: tuple[str, ...]) -> dict[str, Any]:
        members: dict[str, Any] = {}
        properties, required = schema.get("properties", {}), schema.get("required", [])
        for name, part in properties.items():
            try:
                members[name] = self.make(part, f"{path}.{name}", within)
            except NoExample:
                if name in required:
                    raise
        open_part = schema.get("additionalProperties", True)
        for name in required:
            if name not in members:
                members[name] = self.make(open_part, f"{path}.{name}", within)
        for number in range(schema.get("minProperties", 0) - len(members)):
            name = self.make({"type": "string", **schema.get("propertyNames", {})}, f"{path}{{}}", within)
            if name in members:
                name = f"{name}{number}"
            members[name] = self.make(open_part, f"{path}.{name}", within)
        return members

    def _array(self, schema: Mapping[str, Any], path: str, within: tuple[str, ...]) -> list[Any]:
        items = [self.make(part, f"{path}[{i}]", within) for i, part in enumerate(schema.get("prefixItems", []))]
        least, most = schema.get("minItems", 0), schema.get("maxItems", math.inf)
        part = schema.get("items", not items)
        wanted = min(max(least, 1), most)
        while part is not False and len(items) < wanted:
            try:
                items.append(self._item(part, items, schema, f"{path}[{len(items)}]", within))
            except NoExample:
                if len(items) < least:
                    raise
                break
        if len(items) < least:
            raise NoExample(f"the list at {path} cannot have {least} items")
        return items

    def _item(
        self, part: object, items: list[Any], schema: Mapping[str, Any], path: str, within: tuple[str, ...]
    ) -> Any:
        item = self.make(part, path, within)
        if not schema.get("uniqueItems") or item not in items:
            return item
        for other in self._variants(part, item, len(items)):
            if other not in items:
                return other
        raise NoExample(f"the list at {path} needs items that differ")

    def _variants(self, part: object, item: Any, number: int) -> list[Any]:
        shape = resolve(self.root, part["$ref"]) if isinstance(part, Mapping) and "$ref" in part else part
        shape = shape if isinstance(shape, Mapping) else {}
        if isinstance(choices := shape.get("enum"), list):
            return choices
        if not shape.keys() <= _FREE_WORDS:
            return []  # a variant might break what these words demand
        if isinstance(item, bool):
            return [not item]
        if isinstance(item, int | float):
            return [item + number]
        return [f"{item}{number}"] if isinstance(item, str) else []


def _is_null(schema: object) -> bool:
    return isinstance(schema, Mapping) and schema.get("type") == "null"


def _number(schema: Mapping[str, Any], path: str, *, whole: bool) -> int | float:
    """A number within the bounds: 1 where it fits, otherwise one near a bound."""
    low, above = _bound(schema, "minimum"), _bound(schema, "exclusiveMinimum")
    high, below = _bound(schema, "maximum"), _bound(schema, "exclusiveMaximum")
    step = _bound(schema, "multipleOf") or (Fraction(1) if whole else None)
    if whole and step is not None:
        step = Fraction(step.numerator)  # the least whole number that is a multiple of a reduced fraction

    def fits(number: Fraction) -> bool:
        return (
            (low is None or number >= low)
            and (above is None or number > above)
            and (high is None or number <= high)
            and (below is None or number < below)
            and (step is None or (number / step).denominator == 1)
        )

    candidates = [Fraction(1), Fraction(0), *_known(step), *_known(low, high, above, below)]
    edges = _known(low, above, high, below)
    if step is not None:
        candidates += [(math.floor(edge / step) + shift) * step for edge in edges for shift in (0, 1, -1)]
    floor, ceiling = max(_known(low, above), default=None), min(_known(high, below), default=None)
    if floor is not None and ceiling is not None:
        candidates.append((floor + ceiling) / 2)
    candidates += [edge + shift for edge in edges for shift in (1, -1)]
    chosen = next((number for number in candidates if fits(number)), None)
    if chosen is None:
        raise NoExample(f"no number fits the bounds at {path}")
    return int(chosen) if chosen.denominator == 1 else float(chosen)


def _known(*bounds: Fraction | None) -> list[Fraction]:
    return [bound for bound in bounds if bound is not None]


def _bound(schema: Mapping[str, Any], word: str) -> Fraction | None:
    value = schema.get(word)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return Fraction(str(value)) if isinstance(value, float) else Fraction(value)


def _string(schema: Mapping[str, Any], path: str) -> str:
    least, most = schema.get("minLength", 0), schema.get("maxLength", math.inf)
    pattern = schema.get("pattern")
    text = _FORMATS.get(schema.get("format", ""))
    if text is None:
        text = _matching(pattern, least, most, path) if isinstance(pattern, str) else _sized("example", least, most)
    if not least <= len(text) <= most or (isinstance(pattern, str) and not re.search(pattern, text)):
        raise NoExample(f"no text fits the bounds at {path}")
    return text


def _sized(text: str, least: int, most: float) -> str:
    if least > 2**16:
        raise NoExample(f"a text of {least} characters is too long for an example")
    return text.ljust(least, "x")[: int(most) if most != math.inf else None]


def _matching(pattern: str, least: int, most: float, path: str) -> str:
    """The simplest text that a pattern finds: Hypothesis searches it, and always finds the same."""
    from hypothesis import HealthCheck, Phase, find, settings
    from hypothesis import strategies as st
    from hypothesis.errors import HypothesisException

    quiet = settings(
        database=None, derandomize=True, max_examples=300, deadline=None, suppress_health_check=list(HealthCheck),
        phases=(Phase.generate, Phase.shrink),
    )  # fmt: skip
    try:
        texts = st.from_regex(pattern, alphabet=st.characters(min_codepoint=32, max_codepoint=126))
        return find(texts, lambda text: least <= len(text) <= most and text.isprintable(), settings=quiet)
    except (HypothesisException, re.error, ValueError, RecursionError) as error:
        raise NoExample(f"no text was found for the pattern {pattern} at {path}: {error}") from None


def as_json(value: object) -> str:
    """The text of a fixture file: indented by two, with a newline at its end."""
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"
