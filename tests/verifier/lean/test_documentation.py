"""The page on Lean says what is true."""

from __future__ import annotations

import re
from pathlib import Path

from certify_spec.diagnostics import Rule
from certify_verifier.lean import literals, rules

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "lean.md").read_text(encoding="utf-8")


def test_the_page_lists_exactly_the_declared_codes() -> None:
    """Every code with its meaning is on the page, and no other."""
    declared = {rule.code: rule.meaning for rule in vars(rules).values() if isinstance(rule, Rule)}
    listed = dict(re.findall(r"^\| (LEAN\d{3}) \| (.*) \|$", PAGE, flags=re.MULTILINE))
    assert declared == listed


def test_the_page_names_every_shipped_file() -> None:
    """The table of the package has every file of it that declares something the user reads."""
    shipped = {f"Certify/{path.name}" for path in (ROOT / "lean" / "Certify").glob("*.lean")} - {
        "Certify/Arithmetic.lean"
    }
    assert shipped == set(re.findall(r"^\| `(Certify/\w+\.lean)` \|", PAGE, flags=re.MULTILINE))


def test_the_page_names_every_fast_function() -> None:
    """The functions that compute on literals are those that the page lists."""
    paragraph = next(part for part in PAGE.split("\n- ") if part.startswith("A function on numbers"))
    assert set(re.findall(r"`(Nat\.\w+)`", paragraph)) == set(literals.OPERATIONS)
