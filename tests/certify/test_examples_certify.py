"""S-1, S-4, S-10: accepted examples certify; refused variants are refused by the check, at the line, that they name."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from certify import certification
from certify.evidence.verdict import Failed, Passed, Unknown, name
from certify.policy.policies import load_policies
from certify_spec.diagnostics import Severity

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
ACCEPTED = sorted(path.parent for path in EXAMPLES.glob("*/node.toml"))
REFUSED = sorted(path.parent for path in EXAMPLES.glob("*/refused/*/refusal.toml"))


def named(folder: Path) -> str:
    """A test's id: the folder below `examples`."""
    return str(folder.relative_to(EXAMPLES))


def certify(folder: Path, *only: str) -> certification.Certification:
    """Certify the node in a folder."""
    settings = certification.Settings(load_policies(), only=frozenset(only))
    return certification.certify(folder / "node.toml", settings)


@pytest.mark.parametrize("folder", ACCEPTED, ids=named)
def test_an_accepted_example_certifies(folder: Path) -> None:
    """S-1, S-4, S-10: no check refuses an accepted example, and none is left undecided."""
    found = certify(folder)
    errors = [f for result in found.evidence.results for f in result.findings if f.severity is Severity.ERROR]
    undecided = [result for result in found.evidence.results if isinstance(result.verdict, Unknown)]
    assert (errors, undecided, name(found.verdict)) == ([], [], name(Passed()))
    assert found.publishable


@pytest.mark.parametrize("folder", REFUSED, ids=named)
def test_a_refused_variant_is_refused_where_it_is_wrong(folder: Path) -> None:
    """S-1, S-4, S-10: the check that a refused variant names finds it, in the file and at the line that it names."""
    expect = tomllib.loads((folder / "refusal.toml").read_text(encoding="utf-8"))["expect"]
    found = certify(folder, "C-SANDBOX", expect["check"])
    result = next(result for result in found.evidence.results if result.check == expect["check"])
    places = {(f.place.file, f.place.line) for f in result.findings if f.place and f.severity is Severity.ERROR}
    assert isinstance(result.verdict, Failed), result
    assert (expect["file"], expect["line"]) in places


def test_every_scenario_has_at_least_three_refused_variants() -> None:
    """S-1, S-4, S-10: each scenario shows at least three ways of being wrong."""
    counts = {named(folder): sum(folder in refused.parents for refused in REFUSED) for folder in ACCEPTED}
    assert min(counts.values()) >= 3
