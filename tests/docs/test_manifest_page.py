"""Claims about the page `docs/manifest.md`: it says what the code does."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import jsonschema
import pytest

from certify.manifest.consistency import FURTHER_ANSWERS, REQUIRED_ANSWERS
from certify.manifest.model import _SIZES, _UNITS  # the page lists the units
from certify.manifest.paths import parse
from certify.manifest.reference import TABLES, codes, declared, fields_of
from certify.manifest.schema import json_schema
from certify.subject import MAX_FILE_BYTES, MAX_FILES, MAX_TOTAL_BYTES, read_subject
from certify_spec.diagnostics import render, rules
from manifest_support import refusals

PAGE = (Path(__file__).parents[2] / "docs/manifest.md").read_text(encoding="utf-8")
BLOCKS = dict(re.findall(r"^```\w+ (\S+)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL))


def folder(path: Path) -> Path:
    """The page's example as files."""
    for name, content in BLOCKS.items():
        file = path / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(content, encoding="utf-8")
    return path / "node.toml"


def test_the_example_is_a_node(tmp_path: Path) -> None:
    """The four files of the example load, and all of them belong to the node."""
    assert sorted(BLOCKS) == list(read_subject(folder(tmp_path)).subject.files)


def test_the_example_is_valid_by_the_published_schema() -> None:
    """The example is what an editor accepts, too."""
    jsonschema.validate(tomllib.loads(BLOCKS["node.toml"]), json_schema())


@pytest.mark.parametrize("model", TABLES)
def test_each_table_of_fields_is_that_of_the_model(model: str) -> None:
    """Fields, forms, defaults and meanings are the model's own."""
    assert f"### {TABLES[model]}\n\n{fields_of(model)}\n" in PAGE


def test_every_table_of_the_model_is_on_the_page() -> None:
    """No table of the schema is left out."""
    tables = {name for name, table in json_schema()["$defs"].items() if table["type"] == "object"}
    assert tables | {"Manifest"} == set(TABLES)


def test_the_codes_are_those_declared() -> None:
    """The page lists exactly the codes of the manifest, with their meaning and advice."""
    assert PAGE.endswith(f"\n{codes()}\n")
    assert [code for code in sorted(rules()) if code.startswith("MAN")] == [rule.code for rule in declared()]


def test_the_error_shown_is_the_error_given(tmp_path: Path) -> None:
    """The page's error message is what the loader says of that mistake."""
    shown = re.search(r"^```text\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    manifest = folder(tmp_path)
    text = BLOCKS["node.toml"].replace('summary = "Charges an order once."\n', "").replace('"effectful"', '"read-only"')
    lines = text.replace('owner = "payments@example.com"\nprofile = "queue"\n', "").splitlines(keepends=True)
    manifest.write_text("".join(lines), encoding="utf-8")

    given = [render(d).removeprefix(f"{tmp_path}/") for d in refusals(manifest) if d.code == "MAN008"]

    assert shown is not None
    assert [shown[1].rstrip()] == given


def test_the_paths_shown_are_paths() -> None:
    """Each path in the table of paths can be read."""
    table = PAGE[PAGE.index("| path | is |") : PAGE.index("In TOML a path")]
    shown = re.findall(r"^\| `(.*?)` \|", table, re.MULTILINE)
    assert len(shown) == len({parse(path) for path in shown}) > 0


def test_units_answers_and_limits_are_those_of_the_code() -> None:
    """Every unit, answer and limit that the code knows is on the page."""
    limits = [f"{MAX_FILES:,} files", f"{MAX_FILE_BYTES // 2**20} MiB", f"{MAX_TOTAL_BYTES // 2**20} MiB"]
    words = [f"`{word}`" for word in (*_UNITS, *_SIZES, *REQUIRED_ANSWERS, *FURTHER_ANSWERS)]
    assert [word for word in (*words, *limits) if word not in PAGE.replace("\n", " ")] == []
