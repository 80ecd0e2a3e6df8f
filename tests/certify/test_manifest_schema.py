"""Claims about the published JSON Schema of the manifest."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import jsonschema
import pytest

from certify.manifest.model import seconds, size
from certify.manifest.reference import TABLES, fields_of
from certify.manifest.schema import URN, json_schema, published
from manifest_support import SMALL, UPSTREAM

ROOT = Path(__file__).parents[2]


def test_the_published_schema_is_that_of_the_model() -> None:
    """`docs/schema/node-1.schema.json` is what `published` writes; regenerate it when the model changes (R-SCHEMA)."""
    assert published() == (ROOT / "docs/schema/node-1.schema.json").read_text(encoding="utf-8")


def test_the_schema_is_a_schema_with_a_name() -> None:
    """It is valid draft 2020-12, and its id is a urn."""
    jsonschema.Draft202012Validator.check_schema(json_schema())
    assert (json_schema()["$id"], URN) == ("urn:certify:schema:node:1", URN)


@pytest.mark.parametrize("text", [SMALL, UPSTREAM])
def test_manifests_are_valid(text: str) -> None:
    """What the loader reads, the schema accepts."""
    jsonschema.validate(tomllib.loads(text), json_schema())


@pytest.mark.parametrize(
    ("words", "wrong"),
    [
        ("[node]", "[node]\nx = 1"),
        ("schema = 1", "schema = 2"),
        ('"pure"', '"Pure"'),
        ('"1s"', "1"),
        ('"64MiB"', '"64"'),
        ('"1.0.0"', '"1.0"'),
        ("schema = 1\n", ""),
        ("normalise:handle", "normalise"),
    ],
)
def test_wrong_manifests_are_not_valid(words: str, wrong: str) -> None:
    """Unknown fields, other versions, wrong values, missing fields: an editor can underline them."""
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(tomllib.loads(SMALL.replace(words, wrong, 1)), json_schema())


@pytest.mark.parametrize("model", TABLES)
def test_every_field_says_what_it_means(model: str) -> None:
    """Each field of each table has a description, or a type that has one."""
    rows = fields_of(model).splitlines()[2:]
    assert [row for row in rows if row.endswith("|  |")] == []


@pytest.mark.parametrize(
    ("text", "value"), [("250ms", 0.25), ("1.5 s", 1.5), ("24h", 86_400.0), ("2d", 172_800.0), ("5m", 300.0)]
)
def test_durations_have_units(text: str, value: float) -> None:
    """A duration is a number with a unit, in seconds."""
    assert value == seconds(text)


@pytest.mark.parametrize(
    ("text", "value"), [("64KiB", 65_536), ("1.5MiB", 1_572_864), ("2GB", 2_000_000_000), ("7 B", 7)]
)
def test_sizes_have_units(text: str, value: int) -> None:
    """A size is a number with a unit, in bytes."""
    assert value == size(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1",
        "s",
        "1 ",
        "1  s",
        "1s ",
        "-1s",
        "+1s",
        "1e3s",
        "1_0s",
        "١s",
        "1S",
        ".5s",
        "1.s",
        "inf",
        "9" * 400 + "s",
        1,
        None,
    ],
)
def test_other_spellings_are_no_duration(text: object) -> None:
    """What is not exactly a number and a unit is refused, never guessed."""
    with pytest.raises(ValueError, match="write a duration"):
        seconds(text)


def test_the_schema_text_is_json() -> None:
    """The published text is the schema."""
    assert json_schema() == json.loads(published())
