"""Claims about the page `docs/patterns.md`: what it says is proved is stated, by that name and for that requirement."""

import re
from pathlib import Path

import pytest

from certify_spec import model as m
from certify_spec.loader import load, shipped

PAGE = (Path(__file__).parents[2] / "docs/patterns.md").read_text(encoding="utf-8")
SPECIFICATIONS = {path.name: load(path) for path in shipped() if path.parent.name == "patterns"}


def rows(heading: str) -> list[list[str]]:
    """The cells of the table below a heading."""
    section = PAGE.split(f"## {heading}\n")[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[1:]]


def documented(specification: m.Specification) -> dict[str, str]:
    """What each property of a specification says that it is for."""
    found = {formula.name: formula.doc for formula in specification.formulas}
    found |= {step.name: step.doc for step in specification.steps}
    return found | {progress.name: progress.doc for progress in specification.progress}


@pytest.mark.parametrize("name", list(SPECIFICATIONS))
def test_every_pattern_is_listed(name: str) -> None:
    """Each shipped pattern is on the page."""
    assert f"| `{name}` |" in PAGE.split("## Twelve properties")[0]


def test_what_is_listed_is_stated() -> None:
    """P1 to P12: each property in the table is in its specification, and names the requirement of its row."""
    missing = []
    for number, _, place, proved in rows("Twelve properties"):
        for name in re.findall(r"`([a-z_]+)`", proved) if place.startswith("`") else []:
            doc = documented(SPECIFICATIONS[place.strip("`")]).get(name, "")
            if number not in re.split(r"[:, ]+", doc):
                missing.append((number, place, name, doc))
    assert missing == []


def test_all_twelve_are_stated() -> None:
    """P1 to P12: none is left out."""
    assert {row[0] for row in rows("Twelve properties")} == {f"P{number}" for number in range(1, 13)}


def test_calls_do_not_interfere_anywhere() -> None:
    """P11: each pattern with calls of its own says that they do not interfere."""
    silent = [
        name for name, s in SPECIFICATIONS.items() if not any(d.startswith("P11") for d in documented(s).values())
    ]
    assert silent == ["breaker.ct", "stack.ct"]


def test_orders_have_reasons() -> None:
    """P-COMPOSE: each condition on an order has a property that it keeps, and a run that breaks it, with a reason."""
    stack = SPECIFICATIONS["stack.ct"]
    reasons = {formula.name: formula.doc for formula in stack.of_kind(m.Kind.REACHABLE)}
    for condition, _, kept, otherwise in rows("Orders"):
        name = condition.strip("`")
        assert name in stack.definitions
        assert kept.strip("`") in documented(stack)
        assert reasons[otherwise.strip("`")].startswith(f"{name}: ")
