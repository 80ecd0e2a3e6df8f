"""Claims about paths of fields."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from certify.manifest.paths import MAX_STEPS, Each, FieldPath, SchemaError, fields, lookup, parse, render, select

NAMES = st.text(min_size=1, max_size=6) | st.sampled_from(["a", "b.c", "$", "[]", "", '"', "lines", "é"])
PATHS = st.lists(NAMES | st.sampled_from(Each), max_size=6).map(tuple)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=12,
)


@given(PATHS)
def test_a_path_reads_back_as_it_was_written(path: FieldPath) -> None:
    """`parse` is the inverse of `render`, whatever the names."""
    assert path == parse(render(path))


@given(st.text(alphabet='ab.[]{}"\\$ é', max_size=12))
def test_a_text_is_one_spelling_of_one_path_or_no_path(text: str) -> None:
    """What `parse` accepts, `render` writes in the same letters."""
    try:
        path = parse(text)
    except ValueError:
        return
    assert text == render(path)


@pytest.mark.parametrize(
    "text", ["", ".", "a.", ".a", "a..b", "a[", "a[]b", "a[0]", "a b", "$.a", '"a', '"a"', "a]", "a.[]", "{a}", '"\\x"']
)
def test_malformed_paths_are_refused(text: str) -> None:
    """What is no path is refused with a reason, never read as something near it."""
    with pytest.raises(ValueError, match=r"expected|empty|written|JSON string"):
        parse(text)


def test_too_long_a_path_is_refused() -> None:
    """A path has a bounded number of steps."""
    with pytest.raises(ValueError, match="at most"):
        parse("a" + "[]" * MAX_STEPS)


def leaf_paths(value: Any) -> list[FieldPath]:
    """The path of every leaf of a value; map members by name."""
    if isinstance(value, Mapping) and value:
        return [(key, *rest) for key, inner in value.items() for rest in leaf_paths(inner)]
    if isinstance(value, list) and value:
        return [(Each.ITEM, *rest) for inner in value for rest in leaf_paths(inner)]
    return [()]


@given(VALUES)
def test_lookup_finds_every_leaf_of_a_value_and_nothing_else(value: Any) -> None:
    """The values at all leaf paths together are the value's leaves."""

    def leaves(part: Any) -> list[Any]:
        if isinstance(part, Mapping) and part:
            return [leaf for inner in part.values() for leaf in leaves(inner)]
        if isinstance(part, list) and part:
            return [leaf for inner in part for leaf in leaves(inner)]
        return [part]

    found = [leaf for path in dict.fromkeys(leaf_paths(value)) for leaf in lookup(value, render(path))]
    missing = [leaf for leaf in leaves(value) if not any(leaf is other or leaf == other for other in found)]
    assert missing == []


@given(
    st.lists(st.lists(st.integers(0, 2), max_size=2), max_size=3),
    st.lists(st.lists(st.integers(0, 2), max_size=2), max_size=3),
)
def test_select_never_makes_different_values_equal(left: Any, right: Any) -> None:
    """What `[][]` selects from two lists of lists is equal only when they are (C-KEY)."""
    assert (left == right) == (select(left, "[][]") == select(right, "[][]"))


def test_select_keeps_lists_and_maps() -> None:
    """Structure survives: a list for each item step, a map with its keys for each entry step (C-KEY)."""
    order = {"lines": [{"sku": "a", "n": 1}, {"sku": "b", "n": 2}], "tags": {"x": {"v": 1}}, "c.d": None}

    assert (["a", "b"], {"x": 1}, None, order) == (
        select(order, "lines[].sku"),
        select(order, "tags{}.v"),
        select(order, '"c.d"'),
        select(order, "$"),
    )


@pytest.mark.parametrize(("path", "named"), [("a.c", "a.c"), ("b[]", "b[]"), ("a{}.x", "a{}.x"), ("l[].x", "l[].x")])
def test_select_tells_missing_from_null(path: str, named: str) -> None:
    """A member that is not there raises and names the path; one that is null is None (C-KEY)."""
    with pytest.raises(LookupError, match=named.replace("[", r"\[").replace("]", r"\]").replace("{", r"\{")):
        select({"a": {"b": None}, "b": {}, "l": [{"x": 1}, {}]}, path)
    assert select({"a": {"b": None}}, "a.b") is None


class Customer(BaseModel):
    email: str
    phone: str | None = None


class Tree(BaseModel):
    value: int
    children: list[Tree] = []


class Order(BaseModel):
    id: int
    customer: Customer | None
    lines: list[Customer]
    grid: list[list[float]]
    pair: tuple[int, str]
    tags: dict[str, str]
    people: dict[str, Customer]
    anything: dict[str, Any]
    loose: Any
    tree: Tree
    either: Customer | int


def test_fields_of_a_model_are_all_its_leaves() -> None:
    """Nested models, lists, tuples, maps, alternatives and recursion each give the fields they can hold (C-POLICY)."""
    expected = [
        "id",
        "customer.email",
        "customer.phone",
        "lines[].email",
        "lines[].phone",
        "grid[][]",
        "pair[]",
        "tags{}",
        "people{}",
        "people{}.email",
        "people{}.phone",
        "anything{}",
        "loose",
        "tree.value",
        "tree.children[]",
        "either.email",
        "either.phone",
        "either",
    ]
    assert sorted(expected) == sorted(fields(Order.model_json_schema()))


def uncovered(value: Any, listed: Mapping[str, object]) -> list[FieldPath]:
    """Leaf paths of `value` that no listed field is, or stands for as a whole.

    Null in the place of something with fields of its own needs none: its absence is theirs.
    """
    steps = [parse(path) for path in listed]

    def meet(left: FieldPath, right: FieldPath) -> bool:
        pairs = zip(left, right, strict=False)
        return all(one == other or (one is Each.ENTRY and isinstance(other, str)) for one, other in pairs)

    def stands_for(field: FieldPath, path: FieldPath) -> bool:
        return len(field) <= len(path) and meet(field, path)

    def is_absence(path: FieldPath) -> bool:
        reached = any(len(field) > len(path) and meet(field[: len(path)], path) for field in steps)
        return reached and any(leaf is None for leaf in lookup(value, render(path)))

    return [
        path for path in leaf_paths(value) if not (any(stands_for(field, path) for field in steps) or is_absence(path))
    ]


LEAVES = st.sampled_from([{"type": "string"}, {"type": "integer"}, {"type": "null"}, {"const": 1}, True])
SCHEMAS = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.builds(
            lambda parts: {
                "type": "object",
                "properties": parts,
                "required": list(parts),
                "additionalProperties": False,
            },
            st.dictionaries(st.sampled_from("abc"), inner, min_size=1, max_size=3),
        ),
        st.builds(lambda part: {"type": "array", "items": part, "minItems": 1}, inner),
        st.builds(lambda part: {"type": "object", "additionalProperties": part, "minProperties": 1}, inner),
        st.builds(lambda parts: {"anyOf": parts}, st.lists(inner, min_size=1, max_size=2)),
        st.builds(lambda part: {"type": "array", "prefixItems": [part], "minItems": 1, "maxItems": 1}, inner),
    ),
    max_leaves=8,
)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_no_part_of_a_valid_value_is_without_a_field(data: st.DataObject) -> None:
    """Every leaf of any value of a schema is one of its fields, or lies within one (C-POLICY)."""
    schema = data.draw(SCHEMAS)
    value = data.draw(instances(schema))

    assert uncovered(value, fields({"anyOf": [schema]})) == []


def instances(schema: Any) -> st.SearchStrategy[Any]:
    """Values of a schema."""
    if schema is True:
        return st.sampled_from([1, "x", None])
    if "anyOf" in schema:
        return st.one_of([instances(part) for part in schema["anyOf"]])
    if "const" in schema:
        return st.just(schema["const"])
    match schema["type"]:
        case "object" if "properties" in schema:
            return st.fixed_dictionaries({name: instances(part) for name, part in schema["properties"].items()})
        case "object":
            return st.dictionaries(
                st.sampled_from("xyz"), instances(schema["additionalProperties"]), min_size=1, max_size=2
            )
        case "array":
            part = schema["items"] if "items" in schema else schema["prefixItems"][0]
            return st.lists(instances(part), min_size=1, max_size=1 if "prefixItems" in schema else 2)
        case "string":
            return st.just("text")
        case "integer":
            return st.just(7)
        case _:
            return st.none()


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "#/$defs/Nowhere"},
        {"$ref": "https://example.com/schema"},
        {"$ref": 3},
        {"properties": ["a"]},
        {"properties": {"a": "string"}},
        {"anyOf": {"a": 1}},
        {"properties": {str(i): {"type": "string"} for i in range(10_001)}},
        {
            "$defs": {str(i): {"allOf": [{"$ref": f"#/$defs/{i + 1}"}] * 2} for i in range(40)} | {"40": False},
            "$ref": "#/$defs/0",
        },
    ],
)
def test_a_schema_that_cannot_be_listed_is_refused(schema: dict[str, Any]) -> None:
    """References that lead nowhere, malformed parts and schemas that multiply are errors (C-POLICY)."""
    with pytest.raises(SchemaError):
        fields(schema)


def test_a_deeply_nested_schema_is_refused() -> None:
    """Nesting without end is an error and no crash."""
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(5_000):
        schema = {"anyOf": [schema]}
    with pytest.raises(SchemaError, match="too large"):
        fields(schema)
