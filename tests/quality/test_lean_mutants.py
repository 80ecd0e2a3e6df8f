"""Random changes to accepted proofs never slip through."""

from __future__ import annotations

from pathlib import Path

import pytest

from certify_verifier.lean.export import check_export_bytes
from certify_verifier.lean.report import Rejected
from certify_verifier.lean.session import run_deep
from quality.lean_mutants import EXPORTS, STEPS, judge, mutants, original_of, outcomes

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


def test_the_short_way_refuses_what_the_reader_refuses() -> None:
    """Leaving out what did not change alters no outcome: the check of the whole export refuses the same mutants."""
    data = FILES[0].read_bytes()
    made = [mutant for _, mutant in mutants(data, 25, 7)]

    def short() -> list[bool]:
        original = original_of(data)
        return [judge(original, mutant).startswith("LEAN") for mutant in made]

    whole = [isinstance(check_export_bytes(mutant, "mutant", steps=STEPS).verdict, Rejected) for mutant in made]
    assert run_deep(short) == whole
    assert {True, False} == set(whole)
