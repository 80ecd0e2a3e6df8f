"""Inputs from a JSON Schema: reading the schema, and drawing values that it allows.

Rules this module keeps:

- the same schema and number give the same values, in the same order, whatever this process has imported;
- what the schema leaves open stays within 64-bit integers and short texts and lists;
- nothing here runs a node.

The dialect is the part of JSON Schema 2020-12 that pydantic writes. A keyword that it does not know narrows nothing.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import math
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from hypothesis import HealthCheck, Phase, configuration, given, seed, settings
from hypothesis import strategies as st
from hypothesis.errors import HypothesisException
from hypothesis.internal.conjecture.providers import AVAILABLE_PROVIDERS, HypothesisProvider
from hypothesis.internal.constants_ast import Constants
from hypothesis.strategies import SearchStrategy

from certify.folders import cache_folder

Schema = Mapping[str, Any]

LONGEST: Final = 3_000
_INT_MIN, _INT_MAX = -(2**63), 2**63 - 1
_MERGES: Final = 64
#: All that UTF-8 encodes; to ask for the codec by name takes seconds the first time.
_CHARACTERS: Final[SearchStrategy[str]] = st.characters(exclude_categories=["Cs"])

FORMATS: Final[Mapping[str, tuple[str, ...]]] = {
    "date": ("2024-02-29", "1970-01-01", "9999-12-31", "0001-01-01"),
    "date-time": (
        "2024-02-29T23:59:59.999999Z",
        "9999-12-31T23:59:59+00:00",
        "0001-01-01T00:00:00Z",
        "2026-03-29T02:30:00+01:00",
        "1970-01-01T00:00:00-12:00",
        "2026-01-01T00:00:00",
    ),
    "time": ("23:59:59.999999", "00:00:00", "12:00:00Z"),
    "duration": ("PT0S", "P1D", "-P1DT1S", "P3650D", "PT0.000001S"),
    "uuid": ("00000000-0000-0000-0000-000000000000", "ffffffff-ffff-4fff-bfff-ffffffffffff"),
    "uuid4": ("f47ac10b-58cc-4372-a567-0e02b2c3d479",),
    "email": ("a@b.example", "o'neil+tag@sub.example.org"),
    "idn-email": ("a@b.example",),
    "uri": ("https://example.org/", "http://[::1]:8080/a?b=c#d"),
    "ipv4": ("0.0.0.0", "255.255.255.255"),  # noqa: S104 - a value, nothing listens
    "ipv6": ("::", "2001:db8::1"),
    "ipv4network": ("0.0.0.0/0",),
    "ipv6network": ("::/0",),
    "binary": ("", "AAAA"),
    "base64": ("", "AAAA"),
    "base64url": ("", "AAAA"),
    "path": ("a", "../a"),
    "json-string": ("null", "{}"),
    "regex": ("a", ".*"),
}


class _Secluded(HypothesisProvider):
    """Draws as Hypothesis does, but takes no constants from the source of the modules that happen to be imported.

    They would make the values depend on this process, and to collect them takes as long as a hundred runs.
    """

    _local_constants = Constants()


_BACKEND: Final = "certify-secluded"
AVAILABLE_PROVIDERS[_BACKEND] = _Secluded

# -- strategies --------------------------------------------------------------------------------------------------------


def strategy(schema: Schema | bool) -> SearchStrategy[Any]:
    """JSON values that a schema allows. Formats that Hypothesis cannot make are drawn from known examples."""
    return _Builder(schema if isinstance(schema, Mapping) else {}).of(schema)


def draws(schema: Schema | bool, count: int, number: int) -> list[Any]:
    """At most `count` different values of a schema, always the same for the same `number`.

    Empty when nothing can be made: a pattern that Python's `re` does not read, or bounds that nothing meets.
    """
    found: dict[str, Any] = {}

    @seed(number)
    @settings(
        max_examples=count * 2,
        backend=_BACKEND,
        database=None,
        deadline=None,
        derandomize=False,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
        report_multiple_bugs=False,
    )
    @given(strategy(schema))
    def collect(value: Any) -> None:
        if len(found) < count:
            found.setdefault(text_of(value), value)

    try:
        with _tables_kept():
            collect()
    except (HypothesisException, ValueError, OverflowError, RecursionError, re.error):
        return list(found.values())
    return list(found.values())


@contextlib.contextmanager
def _tables_kept() -> Iterator[None]:
    """Have Hypothesis keep its table of characters with our answers, not in a folder of its own wherever it is run."""
    before = vars(configuration).get("__hypothesis_home_directory")
    configuration.set_hypothesis_home_dir(cache_folder() / "hypothesis")
    try:
        yield
    finally:
        configuration.set_hypothesis_home_dir(before)


def text_of(value: Any) -> str:
    """The value as JSON text; equal for equal values."""
    return json.dumps(value, ensure_ascii=True, sort_keys=True)


class _Builder:
    """Builds strategies for one document; references are followed once each."""

    def __init__(self, root: Schema) -> None:
        self._root = root
        self._known: dict[str, SearchStrategy[Any]] = {}

    def of(self, schema: Schema | bool) -> SearchStrategy[Any]:
        if schema is False:
            return st.nothing()
        if schema is True or not isinstance(schema, Mapping):
            return _anything()
        if "$ref" in schema:
            return self._reference(str(schema["$ref"]))
        if "const" in schema:
            return st.just(schema["const"])
        if "enum" in schema:
            return st.sampled_from(list(schema["enum"]))
        for word in ("anyOf", "oneOf"):
            if word in schema:
                return st.one_of([self.of(each) for each in schema[word]])
        if "allOf" in schema:
            return self.of(merged(self._root, schema))
        kind = schema.get("type")
        if isinstance(kind, list):
            return st.one_of([self.of({**schema, "type": each}) for each in kind])
        return self._typed(str(kind), schema)

    def _reference(self, name: str) -> SearchStrategy[Any]:
        if name not in self._known:
            self._known[name] = st.deferred(lambda: self.of(resolved(self._root, name)))
        return self._known[name]

    def _typed(self, kind: str, schema: Schema) -> SearchStrategy[Any]:
        match kind:
            case "string":
                return _texts(schema)
            case "integer":
                low, high = int_bounds(schema)
                step = int(schema.get("multipleOf", 1)) or 1
                first, last = -(-low // step), high // step
                return st.integers(first, last).map(lambda n: n * step) if first <= last else st.nothing()
            case "number":
                return _numbers(schema)
            case "boolean":
                return st.booleans()
            case "null":
                return st.none()
            case "array":
                return self._array(schema)
            case "object":
                return self._object(schema)
            case _:
                return _anything()

    def _array(self, schema: Schema) -> SearchStrategy[Any]:
        low, high = lengths(schema, "minItems", "maxItems", 8)
        prefix = [self.of(each) for each in schema.get("prefixItems", ())]
        items = self.of(schema.get("items", not prefix))
        unique = text_of if schema.get("uniqueItems") else None
        rest_low, rest_high = max(0, low - len(prefix)), max(0, high - len(prefix))
        if items.is_empty:
            rest_low = rest_high = 0
        rest = st.lists(items, min_size=rest_low, max_size=rest_high, unique_by=unique)
        return st.tuples(st.tuples(*prefix), rest).map(lambda both: [*both[0], *both[1]])

    def _object(self, schema: Schema) -> SearchStrategy[Any]:
        properties = schema.get("properties", {})
        required = set(schema.get("required", ()))
        fields = {name: self.of(each) for name, each in properties.items()}
        fixed = st.fixed_dictionaries(
            {name: field for name, field in fields.items() if name in required},
            optional={name: field for name, field in fields.items() if name not in required},
        )
        more = schema.get("additionalProperties", False)
        patterns = schema.get("patternProperties", {})
        if more is False and not patterns:
            return fixed
        names = _texts({"type": "string", **schema.get("propertyNames", {})})
        if patterns:
            pattern, more = next(iter(patterns.items()))
            names = _texts({"type": "string", "pattern": pattern})
        low, high = lengths(schema, "minProperties", "maxProperties", 5)
        need = max(0, low - len(required))
        extra = st.dictionaries(
            names.filter(lambda name: name not in properties), self.of(more), min_size=need, max_size=max(need, high)
        )
        return st.tuples(extra, fixed).map(lambda both: {**both[0], **both[1]})


def _anything() -> SearchStrategy[Any]:
    scalars = st.none() | st.booleans() | st.integers(_INT_MIN, _INT_MAX) | _floats() | st.text(_CHARACTERS, max_size=8)
    return st.recursive(
        scalars,
        lambda inner: (
            st.lists(inner, max_size=4) | st.dictionaries(st.text(_CHARACTERS, max_size=8), inner, max_size=4)
        ),
        max_leaves=8,
    )


def _floats(**bounds: Any) -> SearchStrategy[float]:
    return st.floats(allow_nan=False, allow_infinity=False, **bounds)


def _numbers(schema: Schema) -> SearchStrategy[Any]:
    low, high = schema.get("minimum"), schema.get("maximum")
    above, below = schema.get("exclusiveMinimum"), schema.get("exclusiveMaximum")
    lowest = max((n for n in (low, above) if n is not None), default=None)
    highest = min((n for n in (high, below) if n is not None), default=None)
    step = schema.get("multipleOf")

    def fits(value: float) -> bool:
        return (above is None or value > above) and (below is None or value < below)

    if step:
        first = math.ceil((lowest if lowest is not None else -1000 * step) / step)
        last = math.floor((highest if highest is not None else 1000 * step) / step)
        return st.integers(first, last).map(lambda n: n * step).filter(fits) if first <= last else st.nothing()
    bounds = {
        "min_value": None if lowest is None else float(lowest),
        "max_value": None if highest is None else float(highest),
    }
    return _floats(**bounds).filter(fits)


def _texts(schema: Schema) -> SearchStrategy[str]:
    low, high = lengths(schema, "minLength", "maxLength", 40)
    if "pattern" in schema:
        pattern = ended(str(schema["pattern"]))
        return st.from_regex(pattern, alphabet=_CHARACTERS).filter(
            lambda text: low <= len(text) <= schema.get("maxLength", LONGEST)
        )
    match schema.get("format"):
        case "date":
            return st.dates().map(str)
        case "date-time":
            return st.datetimes(timezones=st.just(None)).map(lambda moment: moment.isoformat() + "Z")
        case "uuid":
            return st.uuids().map(str)
        case "ipv4" | "ipv6" as version:
            return st.ip_addresses(v=4 if version == "ipv4" else 6).map(str)
        case str() as name if name in FORMATS:
            return st.sampled_from(FORMATS[name])
        case _:
            return st.text(_CHARACTERS, min_size=low, max_size=high)


def ended(pattern: str) -> str:
    """The pattern with a final `$` that means the very end, as it does to pydantic: Python's allows a line feed."""
    backslashes = len(pattern[:-1]) - len(pattern[:-1].rstrip("\\"))
    return pattern[:-1] + r"\Z" if pattern.endswith("$") and backslashes % 2 == 0 else pattern


# -- reading schemas ---------------------------------------------------------------------------------------------------


def resolved(root: Schema, name: str) -> Schema | bool:
    """What a local reference names; true, which allows everything, when there is no such thing."""
    found: Any = root
    for step in name.removeprefix("#").strip("/").split("/"):
        key = step.replace("~1", "/").replace("~0", "~")
        if key:
            found = found.get(key, True) if isinstance(found, Mapping) else True
    return found if isinstance(found, Mapping | bool) else True


def merged(root: Schema, schema: Schema) -> Schema:
    """`allOf` as one schema: the parts' keywords together, objects' properties and requirements joined."""
    whole: dict[str, Any] = {key: value for key, value in schema.items() if key != "allOf"}
    for part in itertools.islice(schema["allOf"], _MERGES):
        plain = resolved(root, part["$ref"]) if "$ref" in part else part
        if not isinstance(plain, Mapping):
            continue
        for key, value in (merged(root, plain) if "allOf" in plain else plain).items():
            if key == "properties":
                whole[key] = {**whole.get(key, {}), **value}
            elif key == "required":
                whole[key] = sorted({*whole.get(key, ()), *value})
            else:
                whole.setdefault(key, value)
    return whole


def int_bounds(schema: Schema) -> tuple[int, int]:
    """The least and greatest integer that a schema allows; 64 bits where it is open."""
    low, high = schema.get("minimum"), schema.get("maximum")
    above, below = schema.get("exclusiveMinimum"), schema.get("exclusiveMaximum")
    lows = [*([math.ceil(low)] if low is not None else []), *([math.floor(above) + 1] if above is not None else [])]
    highs = [*([math.floor(high)] if high is not None else []), *([math.ceil(below) - 1] if below is not None else [])]
    least = max(lows, default=min(_INT_MIN, *highs) if highs else _INT_MIN)
    return least, min(highs, default=max(_INT_MAX, least))


def lengths(schema: Schema, least: str, most: str, usual: int) -> tuple[int, int]:
    """The least and greatest length to draw: the schema's, with `usual` more than the least where it is large."""
    low = int(schema.get(least, 0))
    return low, min(int(schema.get(most, low + usual)), low + usual)
