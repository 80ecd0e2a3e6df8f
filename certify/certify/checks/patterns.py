"""C-PATTERNS: the resilience patterns that a node names are generated from proved specs; attached proofs hold.

Nothing generates code from the specs yet, so a node that names a pattern is undecided, never passed.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from certify.checks.proofs import Attached, attached
from certify.checks.workbench import Workbench
from certify.evidence.verdict import CheckResult, Failed, NotApplicable, Passed, Unknown, Verdict
from certify_spec.diagnostics import Diagnostic, Place, Rule

CHECK: Final = "C-PATTERNS"

PAT001 = Rule(
    "PAT001",
    "It cannot be shown that the node's code was generated from the pattern that it names.",
    "Take the pattern out of the manifest: this release proves patterns, and does not yet generate code from them.",
)


def check(bench: Workbench) -> CheckResult:
    """Whether every pattern of the manifest stands in generated code, and every attached proof is accepted."""
    generated = _generated(bench)
    return _with_proofs(generated, attached(bench)) if bench.subject.manifest.proof else generated


def _with_proofs(generated: CheckResult, proofs: Attached) -> CheckResult:
    """What the patterns and the attached proofs come to together: the worse of the two."""
    verdict: Verdict = Passed()
    if isinstance(generated.verdict, Failed) or proofs.findings:
        verdict = Failed()
    elif isinstance(generated.verdict, Unknown):
        verdict = generated.verdict
    elif proofs.undecided:
        verdict = Unknown(proofs.undecided)
    measured = {**generated.measured, "proofs": proofs.measured}
    return replace(generated, verdict=verdict, findings=(*generated.findings, *proofs.findings), measured=measured)


def _generated(bench: Workbench) -> CheckResult:
    """Whether every pattern of the manifest stands in generated code; what cannot be shown leaves this unknown."""
    patterns = bench.subject.manifest.pattern
    if not patterns:
        return CheckResult(CHECK, NotApplicable("the manifest names no resilience pattern"))
    at = Place(bench.subject.manifest_file, 1)
    findings = tuple(
        Diagnostic(
            PAT001, f"nothing shows that the node's `{pattern.spec}` was generated from its spec", at, fix=PAT001.advice
        )
        for pattern in patterns
    )
    return CheckResult(CHECK, Unknown(f"{len(findings)} pattern(s) without generated code"), findings)
