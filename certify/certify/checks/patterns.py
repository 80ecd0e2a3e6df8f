"""C-PATTERNS: the resilience patterns that a node names rest on proved specs."""

from __future__ import annotations

from typing import Final

from certify.checks.workbench import Workbench
from certify.evidence.verdict import CheckResult, NotApplicable, Unknown
from certify_spec.diagnostics import Diagnostic, Place, Rule

CHECK: Final = "C-PATTERNS"

PAT001 = Rule(
    "PAT001",
    "No proof is at hand for a pattern that the node names.",
    "Take the pattern out of the manifest until this release can prove it.",
)


def check(bench: Workbench) -> CheckResult:
    """Whether every pattern of the manifest has a proof; a pattern without one leaves the check unknown."""
    patterns = bench.subject.manifest.pattern
    if not patterns:
        return CheckResult(CHECK, NotApplicable("the manifest names no resilience pattern"))
    at = Place(bench.subject.manifest_file, 1)
    findings = tuple(
        Diagnostic(PAT001, f"no proof of `{pattern.spec}` is at hand", at, fix=PAT001.advice) for pattern in patterns
    )
    return CheckResult(CHECK, Unknown(f"{len(findings)} pattern(s) without a proof"), findings)
