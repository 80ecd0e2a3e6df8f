"""The conformance kit finds each seeded defect under its property, and shows the shortest trace."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from certify.conformance.running import examine
from certify.conformance.verdicts import PROPERTIES, Violated
from conformance_support import reference

sys.path.insert(0, str(Path(__file__).parent))
from conformance_seeds import SEEDS, Seed


def shown(text: str) -> str:
    """A sentence without the line at which threads change, which moves when the reference is edited."""
    return text.partition(", when another thread")[0]


@pytest.mark.parametrize("seed", SEEDS, ids=lambda seed: f"{seed.property}: {seed.name}")
def test_a_seeded_defect_is_found_under_its_property(seed: Seed, tmp_path: Path) -> None:
    """P1 to P12: each wrong implementation violates the property that it breaks, with the expected trace."""
    report = examine(reference(tmp_path, mode=seed.mode, changes=seed.changes), only=[seed.property])
    verdict = report.verdict(seed.property, seed.mode)
    assert isinstance(verdict, Violated), verdict
    assert tuple(row.step for row in verdict.trace) == seed.steps
    assert shown(verdict.sentence) == shown(seed.sentence)


def test_every_property_has_a_seed() -> None:
    """No property is asked about that nothing was ever seen to break."""
    assert {seed.property for seed in SEEDS} == set(PROPERTIES)
