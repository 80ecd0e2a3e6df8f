"""Wrong specifications and exactly what is said of them."""

import re
from pathlib import Path

import pytest

from certify_spec import rules  # noqa: F401 -- declares the codes
from certify_spec.diagnostics import Severity, render
from certify_spec.diagnostics import rules as declared
from certify_spec.loader import examine_text

FOLDER = Path(__file__).parents[1] / "regression" / "language"
CASES = sorted(FOLDER.glob("*.ct"))
ELSEWHERE = {"SPEC001", "SPEC002", "SPEC003", "SPEC004", "SPEC106", "SPEC108", "SPEC401", "SPEC402", "SPEC403"}
"""Codes that need a file system, a very long text or a run: `test_loader`, `test_parser`, `test_interpreter`."""


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_what_is_said(path: Path) -> None:
    """The diagnostics of each wrong specification are those beside it, in order."""
    _, diagnostics = examine_text(path.read_text(encoding="utf-8"), path.name)
    said = "".join(render(diagnostic) + "\n" for diagnostic in diagnostics)
    assert said == path.with_suffix(".expect").read_text(encoding="utf-8")


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_a_wrong_specification_is_refused(path: Path) -> None:
    """A specification comes back exactly if nothing is an error."""
    specification, diagnostics = examine_text(path.read_text(encoding="utf-8"), path.name)
    assert (specification is None) == any(d.severity is Severity.ERROR for d in diagnostics)


def test_every_code_has_a_case() -> None:
    """Each code of the language is shown by a wrong specification."""
    shown = set(re.findall(r"SPEC\d+", "".join(path.with_suffix(".expect").read_text() for path in CASES)))
    assert shown | ELSEWHERE == {code for code in declared() if code.startswith("SPEC")}
