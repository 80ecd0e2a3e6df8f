"""The shipped patterns: everything in them is proved, a second solver agrees, and mutants do not survive."""

from pathlib import Path

import pytest

from certify_spec.diagnostics import render
from certify_spec.formatter import format_text
from certify_spec.loader import Loader, load, shipped
from certify_verifier.mutation import Fate, mutants, mutate_some
from certify_verifier.solving import Solvers
from certify_verifier.verdict import is_success
from certify_verifier.verify import Settings, verify

PATTERNS = [path for path in shipped() if path.parent.name == "patterns"]


@pytest.mark.parametrize("path", PATTERNS, ids=lambda path: path.stem)
def test_everything_is_proved_twice(path: Path) -> None:
    """Every property is proved, nothing is vacuous, and both solvers prove every obligation."""
    with Solvers(jobs=2) as solvers:
        report = verify(load(path), solvers, Settings(solver="both"))
    assert [(f.name, f.verdict) for f in report.findings if not is_success(f.verdict)] == []
    alone = [report.obligations[d].title for d, names in report.proved_by.items() if names != ("cvc5", "z3")]
    assert alone == []


@pytest.mark.parametrize("path", PATTERNS, ids=lambda path: path.stem)
def test_nothing_is_left_to_say(path: Path) -> None:
    """Each file is laid out, and has not even a warning."""
    text = path.read_text(encoding="utf-8")
    assert format_text(text) == text
    assert [render(diagnostic) for diagnostic in Loader().examine(path)[1]] == []


@pytest.mark.parametrize("pattern", ["bulkhead", "circuit_breaker", "retry"])
def test_mutants_do_not_survive(pattern: str) -> None:
    """A sample of the mutants of each pattern is killed, or shown to be equivalent."""
    (path,) = [path for path in shipped() if path.stem == pattern]
    specification = load(path)
    sample = mutants(specification)[::15]
    with Solvers(jobs=2) as solvers:
        outcomes = mutate_some(specification, sample, solvers, Settings(steps=8))
    assert [o.mutant.change for o in outcomes if o.fate in (Fate.SURVIVED, Fate.UNDECIDED)] == []
