"""The language page against reality."""

import re
from pathlib import Path

import pytest

from certify_spec import rules  # noqa: F401 -- declares the codes
from certify_spec.diagnostics import render
from certify_spec.diagnostics import rules as declared
from certify_spec.formatter import format_text
from certify_spec.interpreter import first_world, simulate
from certify_spec.loader import examine_text

PAGE = (Path(__file__).parents[2] / "docs" / "language.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"^```ct\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def test_the_page_has_its_examples() -> None:
    """The page shows at least six whole specifications."""
    assert len(EXAMPLES) >= 6


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda text: text.split()[1])
def test_every_example_is_right(example: str) -> None:
    """Each example has no diagnostic at all."""
    _, diagnostics = examine_text(example)
    assert [render(d) for d in diagnostics] == []


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda text: text.split()[1])
def test_every_example_is_laid_out(example: str) -> None:
    """Each example looks as the formatter would write it."""
    assert format_text(example) == example


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda text: text.split()[1])
def test_every_machine_runs_and_keeps_its_promises(example: str) -> None:
    """Random runs of each example break none of its properties."""
    specification, _ = examine_text(example)
    assert specification is not None
    if specification.is_machine:
        world = first_world(specification)
        assert [simulate(specification, world, 40, seed).broken for seed in range(20)] == [()] * 20


def test_every_code_is_explained_once() -> None:
    """The page lists exactly the codes of the language, with their meanings."""
    told = dict(re.findall(r"^\| `(SPEC\d+)` \| (.*) \|$", PAGE, re.MULTILINE))
    meant = {c: f"{r.meaning} {r.advice}".strip() for c, r in declared().items() if c.startswith("SPEC")}
    assert told == meant
