"""Claims about examples made from JSON Schemas."""

from __future__ import annotations

import datetime as dt
import enum
import uuid
from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Any, Literal

import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field, HttpUrl, IPvAnyAddress

from certify.manifest.example import NoExample, as_json, example_input


def is_valid(value: object, schema: Mapping[str, Any] | bool) -> bool:
    """Whether the value satisfies the schema, formats included."""
    checker = jsonschema.Draft202012Validator.FORMAT_CHECKER
    return bool(jsonschema.Draft202012Validator(schema, format_checker=checker).is_valid(value))


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Line(BaseModel):
    model_config = ConfigDict(extra="forbid")
    sku: Annotated[str, Field(pattern=r"^[A-Z]{3}-\d{4}$")]
    count: Annotated[int, Field(gt=0, le=99, multiple_of=3)]
    price: Decimal
    weight: Annotated[float, Field(gt=0.25, lt=0.5)]
    note: Annotated[str, Field(min_length=12, max_length=14)] | None = None


class Tree(BaseModel):
    label: str
    children: list[Tree]
    parent: Tree | None = None


class Order(BaseModel):
    id: uuid.UUID
    at: dt.datetime
    day: dt.date
    clock: dt.time
    wait: dt.timedelta
    kind: Literal["order"]
    version: Literal[1, 2]
    colour: Colour
    lines: Annotated[list[Line], Field(min_length=2, max_length=3)]
    unique: Annotated[set[int], Field(min_length=3)]
    pair: tuple[int, str, bool]
    tags: dict[str, int]
    some: Annotated[dict[str, int], Field(min_length=2)]
    tree: Tree
    either: Line | int
    text: bytes
    url: HttpUrl
    address: IPvAnyAddress
    anything: Any
    nothing: None


def test_an_example_of_a_model_is_valid_for_its_schema_and_for_the_model() -> None:
    """What pydantic emits for real models, the example satisfies: bounds, patterns, formats, recursion."""
    schema = Order.model_json_schema()
    example = example_input(schema)

    assert is_valid(example, schema)
    assert Order.model_validate_json(as_json(example)).kind == "order"


def test_an_example_fills_optional_fields_and_cuts_recursion() -> None:
    """Optional fields have values to show; a type within itself ends at the first chance."""
    assert example_input(Tree.model_json_schema()) == {"label": "example", "children": [], "parent": None}
    assert "note" in example_input(Line.model_json_schema())  # type: ignore[operator]  # an object of a model


NUMBERS = st.integers(-30, 30) | st.sampled_from([0.1, 2.5, -7.25])
LEAVES = st.one_of(
    st.fixed_dictionaries(
        {"type": st.sampled_from(["string", "boolean", "null", "integer", "number", "array", "object"])}
    ),
    st.builds(
        lambda low, size: {"type": "integer", "minimum": low, "exclusiveMaximum": low + size},
        st.integers(-30, 30),
        st.integers(1, 9),
    ),
    st.builds(
        lambda low, size: {"type": "number", "exclusiveMinimum": low, "maximum": low + size}, NUMBERS, st.integers(1, 9)
    ),
    st.builds(
        lambda step, low: {"type": "integer", "multipleOf": step, "minimum": low},
        st.integers(1, 9),
        st.integers(-30, 30),
    ),
    st.builds(
        lambda low, more: {"type": "string", "minLength": low, "maxLength": low + more},
        st.integers(0, 20),
        st.integers(0, 3),
    ),
    st.sampled_from(["date-time", "date", "time", "email", "ipv4", "ipv6", "uuid", "uri", "duration"]).map(
        lambda f: {"type": "string", "format": f}
    ),
    st.lists(st.integers() | st.text(max_size=3), min_size=1, max_size=3).map(lambda c: {"enum": c}),
    st.sampled_from([True, {}, {"const": None}, {"type": ["null", "string"]}, {"type": "string", "pattern": "^a+b$"}]),
)


def compound(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Schemas made of schemas."""
    named = st.dictionaries(st.sampled_from("abc"), inner, max_size=3)
    return st.one_of(
        st.builds(
            lambda parts, more: {
                "type": "object",
                "properties": parts,
                "required": list(parts)[:2],
                "additionalProperties": more,
            },
            named,
            st.booleans(),
        ),
        st.builds(
            lambda part, low: {"type": "object", "additionalProperties": part, "minProperties": low},
            inner,
            st.integers(0, 2),
        ),
        st.builds(lambda part, low: {"type": "array", "items": part, "minItems": low}, inner, st.integers(0, 3)),
        st.builds(
            lambda parts: {"type": "array", "prefixItems": parts, "minItems": len(parts), "maxItems": len(parts)},
            st.lists(inner, min_size=1, max_size=2),
        ),
        st.builds(lambda parts: {"anyOf": parts}, st.lists(inner, min_size=1, max_size=2)),
        st.builds(
            lambda part: {"$defs": {"T": part}, "properties": {"x": {"$ref": "#/$defs/T"}}, "type": "object"}, inner
        ),
    )


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.nested_given])  # patterns are searched
@given(st.recursive(LEAVES, compound, max_leaves=6))
def test_every_example_is_valid_and_the_same_each_time(schema: Any) -> None:
    """Over random schemas of the supported kind: an example is valid, and a function of the schema."""
    whole = {"type": "object", "properties": {"v": inlined(schema)}, "required": ["v"]}

    assert is_valid(example_input(whole), whole)
    assert as_json(example_input(whole)) == as_json(example_input(whole))


def inlined(schema: Any) -> Any:
    """The schema with each `$ref` replaced by its target, for a reference leads to the root of the whole."""
    if isinstance(schema, list):
        return [inlined(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    if "$defs" in schema:
        return {"type": "object", "properties": {"x": inlined(schema["$defs"]["T"])}}
    return {word: inlined(part) for word, part in schema.items()}


@pytest.mark.parametrize(
    "schema",
    [
        False,
        {"type": "integer", "minimum": 3, "maximum": 2},
        {"type": "integer", "exclusiveMinimum": 3, "exclusiveMaximum": 4},
        {"type": "string", "minLength": 3, "maxLength": 2},
        {"type": "string", "format": "uuid", "maxLength": 3},
        {"type": "string", "pattern": "(?!)"},
        {"type": "string", "pattern": "("},
        {"type": "string", "minLength": 10**9},
        {"type": "array", "items": {"const": 1}, "uniqueItems": True, "minItems": 2},
        {"type": "array", "prefixItems": [True], "items": False, "minItems": 2},
        {
            "$ref": "#/$defs/A",
            "$defs": {"A": {"type": "object", "properties": {"a": {"$ref": "#/$defs/A"}}, "required": ["a"]}},
        },
        {"$ref": "#/$defs/None"},
        {"anyOf": [False, {"type": "integer", "minimum": 3, "maximum": 2}]},
        {"type": "object", "required": ["a"], "additionalProperties": False},
    ],
    ids=str,
)
def test_a_schema_without_an_example_is_said_to_have_none(schema: Any) -> None:
    """Contradictions, endless recursion and broken patterns are said, and no wrong example is given."""
    with pytest.raises(NoExample):
        example_input(schema)
