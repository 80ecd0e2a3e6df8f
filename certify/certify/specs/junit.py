"""Verified machines as JUnit XML: one suite per machine, one case per property.

Rules this module keeps:

- what is broken is a `failure`, what is open an `error`: who counts either never takes it for success;
- the document is well-formed XML 1.0 whatever a specification says.
"""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree import ElementTree as ET

from certify.report import text
from certify.specs.engine import Verified
from certify.specs.explain import Explained, Standing
from certify.specs.tables import story_lines
from certify_spec.diagnostics import Diagnostic
from certify_spec.diagnostics import render as as_text


def render(machines: Sequence[Verified]) -> str:
    """The document."""
    root = ET.Element("testsuites", {"name": "certify verify", **_totals(machines)})
    for machine in machines:
        suite = _element(root, "testsuite", name=machine.specification.name, file=machine.file, **_totals([machine]))
        for each in machine.explained:
            _case(suite, machine, each)
        if machine.trouble is not None:
            case = _element(suite, "testcase", classname=machine.specification.name, name="verification", time="0.000")
            _told(case, "error", machine.trouble, "disagreement", "")
    ET.indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ET.tostring(root, encoding="unicode")}\n'


def _totals(machines: Sequence[Verified]) -> dict[str, str]:
    every = [each.standing for machine in machines for each in machine.explained]
    troubles = sum(machine.trouble is not None for machine in machines)
    return {
        "tests": str(len(every) + troubles),
        "failures": str(every.count(Standing.BROKEN)),
        "errors": str(every.count(Standing.OPEN) + troubles),
        "skipped": "0",
        "time": f"{sum(machine.seconds for machine in machines):.3f}",
    }


def _case(suite: ET.Element, machine: Verified, each: Explained) -> None:
    case = _element(
        suite,
        "testcase",
        classname=machine.specification.name,
        name=each.title,
        file=machine.file,
        line=str(each.finding.place.line),
        time=f"{each.finding.seconds:.3f}",
    )
    if each.diagnostic is not None:
        story = "\n".join(story_lines(each.story, law=each.finding.kind == "law")) if each.story else ""
        kind = "failure" if each.standing is Standing.BROKEN else "error"
        _told(case, kind, each.diagnostic, each.verdict, story)


def _told(case: ET.Element, tag: str, told: Diagnostic, kind: str, story: str) -> None:
    _element(case, tag, "\n\n".join(part for part in (as_text(told), story) if part), type=kind, message=told.message)


def _element(parent: ET.Element, tag: str, content: str = "", **attributes: str) -> ET.Element:
    made = ET.SubElement(parent, tag, {name: text.for_xml(value) for name, value in attributes.items()})
    if content:
        made.text = text.for_xml(content)
    return made
