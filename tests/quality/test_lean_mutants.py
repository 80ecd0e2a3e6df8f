"""Random changes to accepted proofs never slip through."""

from __future__ import annotations

from pathlib import Path

import pytest

from quality.lean_mutants import EXPORTS, outcomes

FILES = sorted(EXPORTS.glob("*.ndjson"))
SHARE = 1000 // len(FILES) + 1


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_mutants_are_refused_or_right_for_a_reason(file: Path) -> None:
    """Every mutant is refused with a code or right for a named reason; most are refused, by many rules."""
    found = outcomes(SHARE, [file])
    refused = {outcome: times for outcome, times in found.items() if outcome.startswith("LEAN")}
    named = {outcome for outcome in found if outcome.startswith("right: ")}
    assert set(found) - {"not decided"} == refused.keys() | named
    assert sum(found.values()) == SHARE
    assert sum(refused.values()) > SHARE // 2
    assert len(refused) >= 8
