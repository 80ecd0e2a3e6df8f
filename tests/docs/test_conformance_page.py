"""The page on conformance is true: its adapter works, and its tables are the kit's own."""

from __future__ import annotations

import re
from pathlib import Path

from certify.cli.app import run
from certify.conformance import rules
from certify.conformance.adapters import PATTERNS
from certify.conformance.settings import MEANINGS
from certify.conformance.verdicts import PROPERTIES
from certify_spec.diagnostics import Rule

PAGE = (Path(__file__).parents[2] / "docs" / "conformance.md").read_text(encoding="utf-8")


def rows(heading: str) -> dict[str, str]:
    """A table's first two cells, without backticks around the first."""
    table = PAGE.split(f"\n| {heading} |", 1)[1].split("\n\n", 1)[0].splitlines()[2:]
    cells = ([cell.strip() for cell in row.strip("|").split(" | ")] for row in table)
    return {cell[0].strip("`"): cell[1] for cell in cells}


def test_the_adapter_of_five_lines_works(tmp_path: Path) -> None:
    """The example runs as it stands, and shows that P1 is violated."""
    [text] = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    adapter = tmp_path / "adapter.py"
    adapter.write_text(text, encoding="utf-8")
    assert len([line for line in text.splitlines() if line]) <= 5
    assert run(["conformance", str(adapter), "--only", "P1"]) == 1


def test_the_tables_are_the_kits_own() -> None:
    """Patterns, settings, properties and codes are those of the kit, with their meanings."""
    assert rows("function | is") == dict(PATTERNS)
    assert rows("setting | means") == {name: meaning for name, (meaning, _) in MEANINGS.items()}
    assert rows("| property") == dict(PROPERTIES)
    declared = {r.code: f"{r.meaning} | {r.advice}" for r in vars(rules).values() if isinstance(r, Rule)}
    assert dict(re.findall(r"^\| (CNF\d+) \| (.*) \|$", PAGE, re.MULTILINE)) == declared


def test_the_table_of_libraries_was_measured() -> None:
    """Every peer stands in the table with its version, beside the generated code, below date and interpreter."""
    table = PAGE.split("<!-- peers -->")[1].split("<!-- /peers -->")[0]
    assert re.search(r"Measured on \d{4}-\d\d-\d\d with CPython 3\.\d+", table)
    names = re.findall(r"^\| ([a-z][a-z -]*?)(?: [\d.]+)? \|", table, re.MULTILINE)
    assert len(names) == 14
    [ours] = [line for line in table.splitlines() if line.startswith("| generated code")]
    assert not set(ours) & {"✗", "?"}
