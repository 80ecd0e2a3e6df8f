"""The report as JSON, for programs: all of the evidence, and what follows from it.

Rules this module keeps:

- `SCHEMA` names the form; members are added within a version, never taken away or given another meaning;
- nothing is cut and nothing grouped: what people see cut is here in full;
- the text is ASCII: what could be mistaken, or move a terminal's cursor, is escaped, and means the same when read.
"""

from __future__ import annotations

import json
from typing import Any, Final

from certify.evidence.verdict import Unknown, allows_publish
from certify.report.view import Check, Report, waiver_of
from certify_spec.diagnostics import Severity

SCHEMA: Final = "urn:certify:report:v1"
"""Names the form that docs/reports.md describes."""


def render(report: Report) -> bytes:
    """The document, in ASCII; members in order of their names."""
    text = json.dumps(to_data(report), sort_keys=True, indent=2, ensure_ascii=True, allow_nan=False, default=_bytes)
    return text.replace("\x7f", "\\u007f").encode("ascii") + b"\n"


def to_data(report: Report) -> dict[str, Any]:
    """The document as a map."""
    evidence = report.evidence
    return {
        "schema": SCHEMA,
        "subject": {
            "name": evidence.name,
            "node": evidence.node,
            "version": evidence.version,
            "digest": evidence.subject,
            "files": dict(evidence.files),
            **({"about": dict(report.node)} if report.node else {}),
        },
        "verdict": report.verdict,
        "allows_publish": allows_publish(evidence.verdict) and not report.not_run,
        "headline": report.headline,
        "not_run": list(report.not_run),
        "waiting_helps": any(
            isinstance(result.verdict, Unknown) and result.verdict.waiting_helps for result in evidence.results
        ),
        "counts": _counts(report),
        "checks": [
            result.to_data() | {"title": check.title, "line": check.line}
            for result, check in zip(evidence.results, report.checks, strict=True)
        ],
        "data_classes": [{"side": each.side, "path": each.path, "class": each.tag} for each in report.fields],
        "components": [
            {
                "name": each.name,
                "version": each.version,
                "licence": each.licence,
                "purl": each.purl,
                "imported": each.imported,
            }
            for each in report.components
        ],
        "waivers": [dict(waiver) for waiver in report.waivers],
        "provenance": {
            "evidence": report.digest,
            "manifest": evidence.manifest,
            "sbom": evidence.sbom,
            "policy": evidence.policy,
            "tools": dict(evidence.tools),
            "laboratory": dict(evidence.laboratory),
            "started": evidence.started,
            "finished": evidence.finished,
            "absent": list(report.absent),
        },
    }


def _counts(report: Report) -> dict[str, Any]:
    findings = [finding for result in report.evidence.results for finding in result.findings]
    return {
        "checks": _by_verdict(report.checks),
        "findings": {
            severity.value: sum(finding.severity is severity and not waiver_of(finding) for finding in findings)
            for severity in Severity
        }
        | {"waived": sum(bool(waiver_of(finding)) for finding in findings)},
    }


def _by_verdict(checks: tuple[Check, ...]) -> dict[str, int]:
    words = ("passed", "failed", "waived", "not-applicable", "unknown")
    return {word: sum(check.verdict == word for check in checks) for word in words}


def _bytes(value: object) -> str:
    """Byte strings, which JSON lacks, as hexadecimal digits."""
    if isinstance(value, bytes):
        return value.hex()
    raise TypeError(f"{type(value).__name__} has no form in JSON")
