"""C-PATTERNS: the resilience patterns that a node names are generated from proved specs; attached proofs hold.

The verifiers are imported when a node needs them: that takes as long as twenty runs of one that does not.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from certify.checks.workbench import Workbench
from certify.evidence.verdict import CheckResult, Failed, NotApplicable, Passed, Unknown, Verdict

if TYPE_CHECKING:
    from certify.checks.proofs import Attached

CHECK: Final = "C-PATTERNS"


def check(bench: Workbench) -> CheckResult:
    """Whether every pattern of the manifest stands in generated code, and every attached proof is accepted."""
    found = _generated(bench)
    if not bench.subject.manifest.proof:
        return found
    from certify.checks.proofs import attached

    return _with_proofs(found, attached(bench))


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
    from certify.checks.generated import generated

    found = generated(bench)
    verdict: Verdict = Failed() if found.findings else Unknown(found.undecided) if found.undecided else Passed()
    return CheckResult(CHECK, verdict, found.findings, {"patterns": found.measured})
