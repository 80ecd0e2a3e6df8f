"""Proof bundles that a manifest attaches to its node: checked by the project's own Lean kernel, and recorded.

Rules this module keeps:

- a bundle counts only when every declaration in it was checked and accepted, on standard axioms at most;
- each theorem that the manifest names is among the theorems of the bundle; what it states and rests on is recorded;
- what was not decided leaves the check unknown, never passed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from certify import codec
from certify.checks.workbench import Workbench
from certify.manifest.files import MAX_PROOF_BYTES, Refused, read_inside
from certify.manifest.model import Proof
from certify_spec.diagnostics import Diagnostic, Place, Rule
from certify_verifier.lean import Accepted, Declined, LeanReport, Rejected, check_export_bytes

PAT010: Final = Rule(
    "PAT010",
    "A proof bundle of the node is not accepted.",
    "Run `certify lean` on the bundle, mend the proof, and export it again.",
)
PAT011: Final = Rule(
    "PAT011",
    "A theorem that the manifest names is not in the bundle.",
    "Name a theorem that the bundle proves, or export this one with it.",
)


@dataclass(frozen=True, slots=True)
class Attached:
    """What became of the bundles of a node.

    Attributes:
        findings: what refuses the node.
        undecided: why some bundle was not decided, empty when each was.
        measured: by file, the theorems named in the manifest, each with its statement and axioms.
    """

    findings: tuple[Diagnostic, ...]
    undecided: str
    measured: dict[str, Any]


def attached(bench: Workbench) -> Attached:
    """Check every bundle that the manifest names."""
    findings: list[Diagnostic] = []
    undecided = ""
    measured: dict[str, Any] = {}
    for proof in bench.subject.manifest.proof:
        report = _report(bench, proof)
        if isinstance(report, str):
            undecided = undecided or report
            continue
        findings += _findings(bench, proof, report)
        if isinstance(report.verdict, Declined):
            undecided = undecided or f"{proof.file}: {report.verdict.reason}"
        measured[proof.file] = {
            entry.name: {"states": entry.statement, "axioms": list(entry.axioms)}
            for entry in report.theorems
            if entry.name in proof.theorems and entry.verdict == Accepted()
        }
    return Attached(tuple(findings), undecided, measured)


def _report(bench: Workbench, proof: Proof) -> LeanReport | str:
    """The kernel's report on a bundle, or why there is none."""
    try:
        content = read_inside(bench.subject.root, proof.file, MAX_PROOF_BYTES)
    except Refused as refused:
        return refused.message
    if codec.address(content) != bench.subject.files[proof.file]:
        return f"{proof.file} has changed since the node was read"
    return check_export_bytes(content, proof.file)


def _findings(bench: Workbench, proof: Proof, report: LeanReport) -> Iterator[Diagnostic]:
    if isinstance(report.verdict, Rejected):
        reason = report.verdict.reason
        message = f"the proof bundle {proof.file} is refused: {reason.message}"
        yield Diagnostic(PAT010, message, reason.place or Place(proof.file, 1), because=reason.code, fix=PAT010.advice)
    proved = {entry.name for entry in report.theorems}
    at = Place(bench.subject.manifest_file, 1)
    for name in proof.theorems:
        if name not in proved:
            yield Diagnostic(PAT011, f"{proof.file} has no theorem `{name}`", at, fix=PAT011.advice)
