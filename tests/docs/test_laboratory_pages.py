"""Claims about the pages of the laboratory and its checks: they say what the code does."""

from __future__ import annotations

import re
from pathlib import Path
from types import ModuleType

import pytest

from certify.checks import determinism, sandbox
from certify.checks.determinism import PERTURBATIONS, SCREENED, changes, screens
from certify.laboratory import reading
from certify.laboratory import sandbox as walls
from certify.manifest.model import Factor
from certify_spec.diagnostics import Rule

DOCS = Path(__file__).parents[2] / "docs"
PAGES = {
    "laboratory.md": (walls, reading),
    "checks/determinism.md": (determinism,),
    "checks/sandbox.md": (sandbox,),
}


def table(page: str) -> list[tuple[str, str, str]]:
    """The rows of a page's table of codes."""
    text = (DOCS / page).read_text(encoding="utf-8").partition("\n## Codes\n")[2]
    return re.findall(r"^\| ([A-Z]+[0-9]{3}) \| (.+) \| (.+) \|$", text, re.MULTILINE)


def declared(*modules: ModuleType) -> list[tuple[str, str, str]]:
    """The rules that these modules declare."""
    rules = {value for module in modules for value in vars(module).values() if isinstance(value, Rule)}
    return sorted((rule.code, rule.meaning, rule.advice) for rule in rules)


@pytest.mark.parametrize("page", PAGES)
def test_the_table_of_codes_is_what_the_code_declares(page: str) -> None:
    """Every code with its meaning and advice, and no other."""
    assert table(page) == declared(*PAGES[page])


def factors() -> dict[str, str]:
    """The factors that the page lists, with how each is changed."""
    text = (DOCS / "checks/determinism.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (`[a-z_`, ]+) \| (.+) \|$", text, re.MULTILINE)
    return {name: how for names, how in rows for name in re.findall(r"[a-z_]+", names)}


def test_every_documented_factor_is_perturbed_and_every_perturbed_one_documented() -> None:
    """The table of factors is the list of perturbations."""
    assert factors().keys() == {str(factor) for factor, _environment in PERTURBATIONS}


@pytest.mark.parametrize("factor", [Factor.TIMEZONE, Factor.LOCALE])
def test_named_values_are_the_ones_used(factor: Factor) -> None:
    """Zones and locales on the page are those of the replays."""
    used = [str(value) for each, env in PERTURBATIONS if each is factor for value in changes(env).values()]
    assert factors()[str(factor)] == ", ".join(used)


def test_the_number_of_replays_is_said() -> None:
    """The page says how many replays a fixture costs."""
    text = (DOCS / "checks/determinism.md").read_text(encoding="utf-8")
    alone = [factor for factor, _environment in PERTURBATIONS if factor not in SCREENED]
    screened = 3 + len(alone) + len(screens())
    assert f"{screened} replays a fixture; {screened - 1} of a node that is not pure" in " ".join(text.split())
    assert f"({3 + len(PERTURBATIONS) + len(screens())} replays)" in text
