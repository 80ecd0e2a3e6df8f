"""C-PATTERNS, attached proofs: a bundle is evidence when the kernel accepts it, and refuses the node when not."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import pytest

from certify.checks import patterns
from certify.checks.workbench import Laboratory, Workbench
from certify.evidence.verdict import CheckResult, Failed, NotApplicable, Passed, Unknown
from certify.subject import read_subject
from manifest_support import FILES, SMALL, refusals, write_node

EXPORT = Path(__file__).parents[1] / "verifier" / "lean" / "data" / "export" / "OkLogic.ndjson"
PROOF = '\n[[proof]]\nfile = "proofs/logic.ndjson"\ntheorems = [{}]\n'


def node(folder: Path, bundle: str, *theorems: str) -> Path:
    """A node with a proof bundle and the theorems it must prove."""
    named = ", ".join(f'"{name}"' for name in theorems)
    return write_node(folder, SMALL + PROOF.format(named), {**FILES, "proofs/logic.ndjson": bundle})


def check(manifest: Path) -> CheckResult:
    """The check on a node; it needs no laboratory."""
    folder = read_subject(manifest)
    return patterns.check(Workbench(folder.subject, cast("Laboratory", None), folder.inputs, folder.expected))


def test_an_accepted_bundle_is_evidence(tmp_path: Path) -> None:
    """C-PATTERNS: the theorems that the manifest names are recorded with their statements and axioms."""
    manifest = node(tmp_path, EXPORT.read_text(), "and_swap", "contra")
    result = check(manifest)
    assert result.verdict == Passed()
    recorded = result.measured["proofs"]["proofs/logic.ndjson"]
    assert sorted(recorded) == ["and_swap", "contra"]
    assert recorded["and_swap"]["axioms"] == []
    assert "And q p" in recorded["and_swap"]["states"]
    assert "proofs/logic.ndjson" in read_subject(manifest).subject.files


def test_a_wrong_bundle_fails_the_node(tmp_path: Path) -> None:
    """C-PATTERNS, seeded: a bundle whose proofs prove other theorems is refused, at the line in the bundle."""
    right = EXPORT.read_text()
    wrong = right.replace('"name":15,"type":58,"value":73', '"name":15,"type":58,"value":193')
    assert wrong != right
    result = check(node(tmp_path, wrong, "and_swap"))
    assert result.verdict == Failed()
    [finding] = [finding for finding in result.findings if finding.code == "PAT010"]
    assert finding.place is not None
    assert finding.place.file == "proofs/logic.ndjson"
    assert finding.place.line > 1
    assert result.measured["proofs"]["proofs/logic.ndjson"] == {}


def test_a_broken_bundle_fails_the_node(tmp_path: Path) -> None:
    """C-PATTERNS, seeded: what is no export at all is refused, not passed over."""
    assert check(node(tmp_path, "no export\n", "and_swap")).verdict == Failed()


def test_a_missing_theorem_fails_the_node(tmp_path: Path) -> None:
    """C-PATTERNS, seeded: a bundle that proves something else does not stand for the theorem named."""
    result = check(node(tmp_path, EXPORT.read_text(), "and_swap", "everything_is_safe"))
    assert result.verdict == Failed()
    assert [finding.code for finding in result.findings] == ["PAT011"]


def test_a_bundle_that_changes_is_not_judged(tmp_path: Path) -> None:
    """C-PATTERNS: what is judged is what the node's digest is made of."""
    manifest = node(tmp_path, EXPORT.read_text(), "and_swap")
    folder = read_subject(manifest)
    (tmp_path / "proofs" / "logic.ndjson").write_text(EXPORT.read_text() + "\n")
    result = patterns.check(Workbench(folder.subject, cast("Laboratory", None), folder.inputs, folder.expected))
    assert isinstance(result.verdict, Unknown)


def test_a_node_without_proofs_is_judged_as_before(tmp_path: Path) -> None:
    """C-PATTERNS: a manifest that names neither pattern nor proof has nothing to show."""
    assert isinstance(check(write_node(tmp_path)).verdict, NotApplicable)


@pytest.mark.parametrize(
    ("table", "code"),
    [
        ('[[proof]]\nfile = "gone.ndjson"\ntheorems = ["a"]', "MAN019"),
        ('[[proof]]\nfile = "../a.ndjson"\ntheorems = ["a"]', "MAN020"),
        ('[[proof]]\nfile = "normalise.py"\ntheorems = ["a"]', "MAN0"),
        ('[[proof]]\nfile = "a.ndjson"\ntheorems = []', "MAN0"),
    ],
)
def test_a_wrong_table_is_a_wrong_request(tmp_path: Path, table: str, code: str) -> None:
    """Bad input: a bundle that is not there, leaves the folder, is no export or need prove nothing is refused."""
    diagnostics = refusals(write_node(tmp_path, f"{SMALL}\n{table}\n"))
    assert any(diagnostic.code.startswith(code) for diagnostic in diagnostics), diagnostics
