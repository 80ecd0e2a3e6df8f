"""Hidden effects that the static analysis must find, and pure nodes that it must leave alone (C-EFFECTS)."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from certify.analysis import Analysis, Kind, analyse, parse_sources

CASES = Path(__file__).parent / "effects_cases"
HIDDEN = sorted((CASES / "hidden").glob("*.py.txt"))
PURE = sorted((CASES / "pure").glob("*.py.txt"))


def _analyse(case: Path) -> Analysis:
    return analyse(parse_sources({"node.py": case.read_bytes()}), "node:run")


def _expected(case: Path) -> str:
    found = re.search(r"^# expect: (.+)$", case.read_text(encoding="utf-8"), re.MULTILINE)
    assert found is not None
    return found[1]


def _said(analysis: Analysis) -> set[str]:
    effects = {
        f"{effect.kind}:{effect.mode} {effect.resource or effect.target}".strip()
        for effect in analysis.effects
        if effect.kind is not Kind.THREAD
    }
    return effects | ({"unknown"} if analysis.blind else set())


@pytest.mark.parametrize("case", HIDDEN, ids=lambda case: case.name.partition(".")[0])
def test_hidden_effect_is_found(case: Path) -> None:
    """The hidden effect is found with its kind, mode and target, or the walk says that it is blind there."""
    assert _expected(case) in _said(_analyse(case))


@pytest.mark.parametrize("case", HIDDEN, ids=lambda case: case.name.partition(".")[0])
def test_every_effect_has_a_witness(case: Path) -> None:
    """Each effect's path begins at an entry or an import and ends where the effect stands."""
    for effect in _analyse(case).effects:
        assert effect.path[-1].place == effect.place
        assert effect.path[0].label.endswith(("is the entry point", "is imported"))


@pytest.mark.parametrize(
    "case", [case for case in HIDDEN if _expected(case) != "unknown"], ids=lambda case: case.name.partition(".")[0]
)
def test_found_effect_is_all_there_is(case: Path) -> None:
    """A case with a visible effect gives no blind spot and no effect of another kind beside it."""
    assert {said.partition(":")[0] for said in _said(_analyse(case))} == {_expected(case).partition(":")[0]}


@pytest.mark.parametrize("case", PURE, ids=lambda case: case.name.partition(".")[0])
def test_pure_node_is_not_flagged(case: Path) -> None:
    """A pure node has no effect and no blind spot: a false alarm is a defect too."""
    assert _said(_analyse(case)) == set()


def test_there_are_enough_cases() -> None:
    """At least forty ways to hide an effect, and fifteen pure nodes."""
    assert (len(HIDDEN) >= 40, len(PURE) >= 15) == (True, True)
