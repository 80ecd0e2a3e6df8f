"""The report as SARIF 2.1.0 (OASIS Standard), for code hosts and editors.

Rules this module keeps:

- places are relative to the manifest's folder, base `NODE`; only the node's own files are given as locations;
- a check that is undecided, did not run, or refuses without a finding is a result of its own, of level `error`: who
  counts errors never takes it for success;
- a result's fingerprint does not depend on line numbers, times or measured figures;
- waived findings are suppressed, with who, why and until when; they are not left out.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, Final
from urllib.parse import quote

from certify import codec
from certify.evidence.verdict import CheckResult, Failed, Unknown
from certify.report import text
from certify.report.view import Report, waiver_of
from certify_spec.diagnostics import Diagnostic, Edit, Place, Rule, Severity

SCHEMA: Final = "https://json.schemastore.org/sarif-2.1.0.json"
FINGERPRINT: Final = "certifyFinding/v1"
_LONGEST: Final = 4000
_LEVELS: Final = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.NOTE: "note"}
_LINK: Final = re.compile(r"\[(?=[^\]\n]*\]\()")
_ABOUT: Final = ("about", "kind", "mode", "target", "fixture", "factor", "policy", "resource", "limit")
_UNDECIDED: Final = Rule("REP001", "A check could not decide.", "Look at the reason; undecided never passes.")
_REFUSED: Final = Rule("REP002", "A check refuses the node without a finding.", "Look at the check's report.")
_NOT_RUN: Final = Rule("REP003", "A check did not run.", "Run the whole certification before publishing.")


def render(report: Report) -> bytes:
    """The log, in UTF-8 without anything that cannot be seen."""
    document = {"$schema": SCHEMA, "version": "2.1.0", "runs": [_run(report)]}
    return (
        json.dumps(document, indent=2, ensure_ascii=True, allow_nan=False).replace("\x7f", "\\u007f") + "\n"
    ).encode()


def _run(report: Report) -> dict[str, Any]:
    evidence = report.evidence
    found = [*_findings(report), *_verdicts(report)]
    rules = {finding.code: finding.rule for _check, finding in found}
    order = {code: index for index, code in enumerate(sorted(rules))}
    files = {path: index for index, path in enumerate(sorted(evidence.files))}
    undecided = any(isinstance(result.verdict, Unknown) for result in evidence.results) or bool(report.not_run)
    seen: Counter[str] = Counter()
    return {
        "tool": {
            "driver": {
                "name": "certify",
                "version": text.one_line(evidence.tools.get("certify", "unknown")),
                "rules": [_rule(rules[code], found) for code in order],
            }
        },
        "automationDetails": {"id": f"certify/{quote(evidence.node)}/"},
        "originalUriBaseIds": {"NODE": {"description": {"text": "the folder of the node's manifest"}}},
        "columnKind": "unicodeCodePoints",
        "invocations": [
            {
                "executionSuccessful": not undecided,
                "startTimeUtc": evidence.started,
                "endTimeUtc": evidence.finished,
                "toolExecutionNotifications": list(_notifications(report)),
            }
        ],
        "artifacts": [{"location": _artifact(path), "hashes": {"blake3": evidence.files[path]}} for path in files],
        "results": [_result(report, check, finding, order, files, seen) for check, finding in found],
        "properties": {
            "subject": text.one_line(evidence.name),
            "verdict": report.verdict,
            "evidence": report.digest,
            "checks": {text.one_line(check.id): check.verdict for check in report.checks},
        },
    }


def _findings(report: Report) -> Iterator[tuple[str, Diagnostic]]:
    for result in report.evidence.results:
        for finding in result.findings:
            yield result.check, finding


def _verdicts(report: Report) -> Iterator[tuple[str, Diagnostic]]:
    """Results for verdicts that no finding tells of."""
    at = Place(report.manifest_file)
    for result in report.evidence.results:
        if isinstance(result.verdict, Unknown):
            message = f"{result.check} could not decide: {result.verdict.reason}"
            yield result.check, Diagnostic(_UNDECIDED, message, at, fix=_UNDECIDED.advice, data={"about": result.check})
        elif isinstance(result.verdict, Failed) and not _refusing(result):
            message = f"{result.check} refuses the node"
            yield result.check, Diagnostic(_REFUSED, message, at, fix=_REFUSED.advice, data={"about": result.check})
    for check in report.not_run:
        message = f"{check} did not run, so the node cannot be published"
        yield check, Diagnostic(_NOT_RUN, message, at, fix=_NOT_RUN.advice, data={"about": check})


def _refusing(result: CheckResult) -> bool:
    return any(finding.severity is Severity.ERROR for finding in result.findings)


def _notifications(report: Report) -> Iterator[dict[str, Any]]:
    for result in report.evidence.results:
        if isinstance(result.verdict, Unknown):
            waiting = "trying again may help" if result.verdict.waiting_helps else "trying again does not help"
            message = f"{result.check} could not decide: {result.verdict.reason} ({waiting})"
            yield {"level": "error", "message": _message(message)}


def _rule(rule: Rule, found: list[tuple[str, Diagnostic]]) -> dict[str, Any]:
    of = [(check, finding) for check, finding in found if finding.code == rule.code]
    worst = next((s for s in Severity if any(finding.severity is s for _, finding in of)), Severity.NOTE)
    return {
        "id": text.one_line(rule.code),
        "shortDescription": _message(rule.meaning or rule.code),
        "help": _message(rule.advice or rule.meaning or rule.code),
        "defaultConfiguration": {"level": _LEVELS[worst]},
        "properties": {"tags": sorted({text.one_line(check) for check, _ in of})},
    }


def _result(
    report: Report,
    check: str,
    finding: Diagnostic,
    order: Mapping[str, int],
    files: Mapping[str, int],
    seen: Counter[str],
) -> dict[str, Any]:
    identity = _identity(report, check, finding)
    seen[identity] += 1
    parts = [finding.message, finding.because and f"because {finding.because}", finding.fix]
    parts += [finding.replay and f"see it again: {finding.replay}"]
    made: dict[str, Any] = {
        "ruleId": text.one_line(finding.code),
        "ruleIndex": order[finding.code],
        "kind": "fail",
        "level": _LEVELS[finding.severity],
        "message": _message("\n".join(part for part in parts if part)),
        "locations": [_location(finding.place, report, files)],
        "partialFingerprints": {FINGERPRINT: codec.address(f"{identity}\n{seen[identity]}".encode())},
        "properties": {"check": text.one_line(check)},
    }
    related = [
        {
            "id": number,
            "message": _message(note.message),
            **(_location(note.place, report, files) if note.place else {}),
        }
        for number, note in enumerate(finding.notes, 1)
    ]
    if related:
        made["relatedLocations"] = related
    if finding.edit and (fix := _fix(finding, finding.edit, files)):
        made["fixes"] = [fix]
    waiver = waiver_of(finding)
    if waiver:
        reason, owner, until = (str(waiver.get(name, "?")) for name in ("reason", "owner", "expires"))
        made["suppressions"] = [
            {
                "kind": "external",
                "status": "accepted",
                "justification": text.one_line(f"{reason} ({owner}, until {until})"),
            }
        ]
    return made


def _identity(report: Report, check: str, finding: Diagnostic) -> str:
    """What makes a finding the same one in another run: not its line, and no measured figure."""
    data = {name: str(finding.data[name]) for name in _ABOUT if name in finding.data}
    file = finding.place.file if finding.place else ""
    said = re.sub(r"\d+(?:[.,]\d+)*", "#", finding.message)
    return json.dumps([report.evidence.node, check, finding.code, file, data or said])


def _location(place: Place | None, report: Report, files: Mapping[str, int]) -> dict[str, Any]:
    """A place in the node's files; anything else is named, and put down to the manifest."""
    if place is None or place.file not in files:
        file = report.manifest_file
        artifact = _artifact(file) | ({"index": files[file]} if file in files else {})
        made: dict[str, Any] = {"physicalLocation": {"artifactLocation": artifact}}
        if place is not None:
            made["logicalLocations"] = [
                {"fullyQualifiedName": text.one_line(str(place), name=True), "kind": "resource"}
            ]
        return made
    physical: dict[str, Any] = {"artifactLocation": _artifact(place.file) | {"index": files[place.file]}}
    if region := _region(place):
        physical["region"] = region
    return {"physicalLocation": physical}


def _region(place: Place) -> dict[str, int]:
    if place.line < 1:
        return {}
    region = {"startLine": place.line}
    if place.column >= 1:
        region["startColumn"] = place.column
    if place.end_line >= place.line:
        ends_after = place.end_line > place.line or place.end_column > place.column >= 1
        if place.end_column >= 1 and ends_after:
            region |= {"endLine": place.end_line, "endColumn": place.end_column}
        elif place.end_line > place.line:
            region["endLine"] = place.end_line
    return region


def _fix(finding: Diagnostic, edit: Edit, files: Mapping[str, int]) -> dict[str, Any] | None:
    """The suggested edit; None when it is not in one of the node's files."""
    place = edit.place
    if place.file not in files or place.line < 1 or place.column < 1:
        return None
    deleted = {
        "startLine": place.line,
        "startColumn": place.column,
        "endLine": place.end_line or place.line,
        "endColumn": place.end_column or place.column,
    }
    replacement = {"deletedRegion": deleted, "insertedContent": {"text": edit.replacement}}
    return {
        "description": _message(finding.fix or finding.rule.advice or "apply the suggested edit"),
        "artifactChanges": [{"artifactLocation": _artifact(place.file), "replacements": [replacement]}],
    }


def _artifact(path: str) -> dict[str, Any]:
    """A file of the node, as a relative reference: whatever is no plain part of a path is percent-encoded."""
    return {"uri": quote(path), "uriBaseId": "NODE"}


def _message(said: str) -> dict[str, str]:
    """A message in which nothing is a link."""
    shown = text.shortened(text.plain(said), _LONGEST)
    return {"text": _LINK.sub(r"\\[", shown) or "–"}
