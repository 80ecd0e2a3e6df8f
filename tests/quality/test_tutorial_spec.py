"""The tutorial against reality: every machine in it is verified, and every verdict and run is the one it tells."""

import re
from pathlib import Path

import pytest

from certify_spec.diagnostics import render as told
from certify_spec.formatter import format_text
from certify_spec.interpreter import render
from certify_spec.loader import examine_text
from certify_verifier.mutation import Fate, mutate
from certify_verifier.solving import Solvers
from certify_verifier.verdict import Refuted, name
from certify_verifier.verify import verify

PAGE = (Path(__file__).parents[2] / "docs" / "tutorial.md").read_text(encoding="utf-8")
MACHINES = re.findall(r"^```ct(?: ([a-z-]+) (\w+))?\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
(RUN,) = re.findall(r"^```text\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize(("verdict", "claim", "text"), MACHINES, ids=[f"{i}" for i in range(len(MACHINES))])
def test_each_machine_has_the_verdict_told(verdict: str, claim: str, text: str) -> None:
    """A machine without a note is proved throughout; one with a note has that verdict on that property."""
    specification, diagnostics = examine_text(text)
    assert [told(diagnostic) for diagnostic in diagnostics] == []
    assert specification is not None
    assert format_text(text) == text
    with Solvers(jobs=2) as solvers:
        report = verify(specification, solvers)
    verdicts = {finding.name: name(finding.verdict) for finding in report.findings}
    assert verdicts[claim] == verdict if claim else set(verdicts.values()) == {"proved"}


def test_the_run_is_the_one_told() -> None:
    """The counterexample on the page is what the verifier prints."""
    text = next(text for verdict, _, text in MACHINES if verdict == "refuted")
    specification, _ = examine_text(text)
    assert specification is not None
    with Solvers(jobs=1) as solvers:
        found = next(f.verdict for f in verify(specification, solvers).findings if isinstance(f.verdict, Refuted))
    assert render(found.trace, specification) == RUN.rstrip("\n")


def test_the_last_machine_has_no_surviving_mutants() -> None:
    """What the page says of mutants is so."""
    text = next(text for _, _, text in MACHINES if "one_at_a_time" in text)
    specification, _ = examine_text(text)
    assert specification is not None
    with Solvers(jobs=2) as solvers:
        alive = [o.mutant.change for o in mutate(specification, solvers) if o.fate in (Fate.SURVIVED, Fate.UNDECIDED)]
    assert alive == []
