"""The registry's page says what the code does."""

from __future__ import annotations

import re
from pathlib import Path

from certify.registry import errors, verification
from certify.registry.entries import Status
from certify_spec.diagnostics import Rule

PAGE = (Path(__file__).parents[2] / "docs" / "registry.md").read_text()


def table(first: str) -> list[list[str]]:
    """The rows of the table whose head begins with `first`."""
    lines = PAGE[PAGE.index(f"| {first} |") :].split("\n\n", maxsplit=1)[0].strip().splitlines()
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def test_the_page_lists_exactly_the_declared_codes() -> None:
    """R-STORE: each code of the registry is there with its meaning and its advice, and no other."""
    declared = {rule for module in (errors, verification) for rule in vars(module).values() if isinstance(rule, Rule)}
    expected = sorted([f"`{rule.code}`", rule.meaning, rule.advice] for rule in declared)
    assert sorted(table("code")) == expected


def test_the_page_lists_the_statuses_and_what_they_become() -> None:
    """R-OCC: the table of statuses is that of the code."""
    expected = [[status.value, ", ".join(s.value for s in Status if s in status.next) or "–"] for status in Status]
    assert table("status") == expected


def test_every_code_that_the_page_mentions_exists() -> None:
    """R-STORE: the text names no code that is not declared."""
    declared = {
        rule.code for module in (errors, verification) for rule in vars(module).values() if isinstance(rule, Rule)
    }
    assert set(re.findall(r"\b(?:REG|LOG)\d{3}\b", PAGE)) <= declared
