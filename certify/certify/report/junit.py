"""The report as JUnit XML, which every pipeline reads: one suite, one case for each check.

Rules this module keeps:

- a refusal is a `failure`, what is undecided or did not run is an `error`, what is not applicable is `skipped`; passed
  and waived cases say their warnings and waivers in `system-out`;
- the document is well-formed XML 1.0 whatever a node says.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final
from xml.etree import ElementTree as ET

from certify.evidence.verdict import CheckResult, Failed, NotApplicable, Passed, Unknown, Waived
from certify.report import text
from certify.report.view import Report
from certify_spec.diagnostics import Diagnostic, Severity
from certify_spec.diagnostics import render as as_text

_MOST: Final = 100
_LONGEST: Final = 4000


def render(report: Report) -> bytes:
    """The document, in UTF-8."""
    evidence = report.evidence
    verdicts = [result.verdict for result in evidence.results]
    totals = {
        "tests": len(verdicts) + len(report.not_run),
        "failures": sum(isinstance(verdict, Failed) for verdict in verdicts),
        "errors": sum(isinstance(verdict, Unknown) for verdict in verdicts) + len(report.not_run),
        "skipped": sum(isinstance(verdict, NotApplicable) for verdict in verdicts),
    }
    time = f"{sum(result.seconds for result in evidence.results):.3f}"
    numbers = {name: str(number) for name, number in totals.items()}
    root = ET.Element("testsuites", {"name": "certify", **numbers, "time": time})
    started = evidence.started.removesuffix("Z")
    suite = _element(root, "testsuite", name=evidence.name, **numbers, time=time, timestamp=started)
    properties = _element(suite, "properties")
    for name, value in (
        ("verdict", report.verdict),
        ("subject", evidence.subject),
        ("evidence", report.digest),
        ("certify", evidence.tools.get("certify", "")),
    ):
        _element(properties, "property", name=name, value=value)
    for result in evidence.results:
        _case(suite, evidence.node, result)
    for check in report.not_run:
        case = _element(suite, "testcase", classname=_dotted(evidence.node), name=check, time="0.000")
        _element(case, "error", type="not-run", message="the check did not run, so nothing can be published")
    ET.indent(root)
    body: str = ET.tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{body}\n'.encode()


def _case(suite: ET.Element, node: str, result: CheckResult) -> None:
    case = _element(suite, "testcase", classname=_dotted(node), name=result.check, time=f"{result.seconds:.3f}")
    errors = [finding for finding in result.findings if finding.severity is Severity.ERROR]
    others = [finding for finding in result.findings if finding.severity is not Severity.ERROR]
    match result.verdict:
        case Failed():
            first = errors[0].message if errors else "refused, without a finding"
            kind = errors[0].code if errors else "refused"
            _element(case, "failure", "\n".join(_listed(errors)), type=kind, message=text.one_line(first))
        case Unknown(reason, waiting_helps):
            beside = "; trying again may help" if waiting_helps else ""
            message = text.one_line(text.shortened(reason, _LONGEST)) + beside
            _element(case, "error", "\n".join(_listed(errors)), type="unknown", message=message)
        case NotApplicable(reason):
            _element(case, "skipped", message=text.one_line(text.shortened(reason, _LONGEST)))
        case Passed() | Waived():
            others = [*errors, *others]
    if others:
        _element(case, "system-out", "\n".join(_listed(others)))


def _listed(findings: Iterable[Diagnostic]) -> Iterator[str]:
    known = list(findings)
    yield from (text.shortened(as_text(finding), _LONGEST) for finding in known[:_MOST])
    if len(known) > _MOST:
        yield f"and {len(known) - _MOST} more: the JSON form has all of them"


def _element(parent: ET.Element, tag: str, content: str = "", **attributes: str) -> ET.Element:
    made = ET.SubElement(parent, tag, {name: text.for_xml(value) for name, value in attributes.items()})
    if content:
        made.text = text.for_xml(content)
    return made


def _dotted(node: str) -> str:
    """The node's id as the class name that viewers split at dots."""
    return node.replace("/", ".")
