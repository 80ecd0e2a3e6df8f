"""The pages about policy and budget say what the code says."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

import certify.checks.budget
import certify.checks.policy
from certify.policy.policies import load_policies
from certify.policy.rules import REFUSALS
from certify_spec.diagnostics import rules

PAGES = Path(__file__).parents[2] / "docs" / "checks"


@pytest.mark.parametrize(("page", "letters"), [("policy.md", "POL"), ("budget.md", "BUD")])
def test_the_pages_list_exactly_the_declared_codes(page: str, letters: str) -> None:
    """C-REPORT: each code with its meaning, none missing, none invented."""
    text = (PAGES / page).read_text("utf-8")
    listed = dict(re.findall(rf"^\| ({letters}\d\d\d) \| (.+) \|$", text, re.MULTILINE))
    declared = {code: rule.meaning for code, rule in rules().items() if re.fullmatch(rf"{letters}\d\d\d", code)}
    assert listed == declared


def test_the_page_lists_every_action() -> None:
    """C-POLICY: the table of questions names the actions of the vocabulary."""
    text = (PAGES / "policy.md").read_text("utf-8")
    assert re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE) == list(REFUSALS)


def test_the_pages_examples_load(tmp_path: Path) -> None:
    """C-POLICY: the policy and the settings shown on the page are right."""
    text = (PAGES / "policy.md").read_text("utf-8")
    for language, file in (("cedar", "own.cedar"), ("toml", "policy.toml")):
        found = re.search(rf"```{language}\n(.*?)```", text, re.DOTALL)
        assert found is not None
        (tmp_path / file).write_text(found[1], encoding="utf-8")
    policies = load_policies(tmp_path)
    expected = tomllib.loads((tmp_path / "policy.toml").read_text("utf-8"))
    assert ("owner-named" in policies.texts, policies.settings.currency) == (True, expected["currency"])


def test_the_page_states_the_numbers_of_the_code() -> None:
    """C-BUDGET: runs and margins on the page are those in the check."""
    budget = certify.checks.budget
    text = " ".join((PAGES / "budget.md").read_text("utf-8").split())
    wall = next(gauge for gauge in budget.GAUGES if gauge.key == "wall")
    assert (wall.factor, wall.slack) == (1.25, 20.0)
    assert f"run {budget.FEWEST_RUNS} times" in text
    assert f"up to {budget.MOST_RUNS} times" in text
    assert f"or {budget.ENOUGH_SECONDS:.0f} seconds" in text
    assert f"more than {budget.GENEROUS} times" in text
