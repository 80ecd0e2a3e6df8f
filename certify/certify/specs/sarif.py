"""Verified machines as SARIF 2.1.0 (OASIS Standard): what is not proved, with its place and its run.

Rules this module keeps:

- everything that is not proved is a result of level `error`, what is undecided included;
- a counterexample is a code flow: one location per step, at the action that it takes;
- a fingerprint depends on machine, property and code, not on lines or times.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import PurePath
from typing import Any, Final
from urllib.parse import quote

from certify import __version__, codec
from certify.report import text
from certify.specs.engine import Verified
from certify.specs.explain import Explained, Standing
from certify.specs.story import Story
from certify_spec.diagnostics import Diagnostic, Place, Rule

SCHEMA: Final = "https://json.schemastore.org/sarif-2.1.0.json"
FINGERPRINT: Final = "certifyProperty/v1"


def render(machines: Sequence[Verified]) -> str:
    """The log."""
    found = [pair for machine in machines for pair in _found(machine)]
    declared = {told.code: told.rule for _, told, _ in found}
    order = {code: index for index, code in enumerate(sorted(declared))}
    unclear = any(each.standing is Standing.OPEN for m in machines for each in m.explained)
    run = {
        "tool": {
            "driver": {
                "name": "certify",
                "version": __version__,
                "rules": [_rule(declared[code]) for code in order],
            }
        },
        "columnKind": "unicodeCodePoints",
        "invocations": [{"executionSuccessful": not unclear and all(machine.trouble is None for machine in machines)}],
        "results": [_result(machine, told, each, order) for machine, told, each in found],
        "properties": {"verdicts": [_verdicts(machine) for machine in machines]},
    }
    document = {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}
    return json.dumps(document, indent=2, ensure_ascii=True).replace("\x7f", "\\u007f") + "\n"


def _found(machine: Verified) -> Iterator[tuple[Verified, Diagnostic, Explained | None]]:
    if machine.trouble is not None:
        yield machine, machine.trouble, None
    for each in machine.explained:
        if each.diagnostic is not None:
            yield machine, each.diagnostic, each


def _verdicts(machine: Verified) -> dict[str, Any]:
    return {
        "machine": machine.specification.name,
        "findings": {f"{each.finding.kind}: {each.finding.name}": each.verdict for each in machine.explained},
    }


def _rule(rule: Rule) -> dict[str, Any]:
    return {
        "id": rule.code,
        "shortDescription": {"text": rule.meaning},
        "help": {"text": rule.advice},
        "defaultConfiguration": {"level": "error"},
    }


def _result(machine: Verified, told: Diagnostic, each: Explained | None, order: dict[str, int]) -> dict[str, Any]:
    identity = [machine.specification.name, told.code, each.finding.kind if each else "", each.title if each else ""]
    result: dict[str, Any] = {
        "ruleId": told.code,
        "ruleIndex": order[told.code],
        "kind": "fail",
        "level": "error",
        "message": {"text": _told(told)},
        "locations": [_location(told.place or Place(machine.file))],
        "partialFingerprints": {FINGERPRINT: codec.address(json.dumps(identity).encode())},
    }
    related = [{**_location(note.place), "message": {"text": _line(note.message)}} for note in told.notes if note.place]
    if related:
        result["relatedLocations"] = [{"id": number, **place} for number, place in enumerate(related, 1)]
    if each is not None:
        result["properties"] = {"verdict": each.verdict, "property": each.finding.name, "kind": each.finding.kind}
        if each.story is not None and each.story.steps:
            result["codeFlows"] = [_flow(each.story)]
    return result


def _told(told: Diagnostic) -> str:
    parts = (told.message, told.because and f"because {told.because}", told.fix)
    return text.plain("\n".join(part for part in parts if part))


def _flow(story: Story) -> dict[str, Any]:
    return {
        "message": {"text": "a run" if story.is_a_run else "a step from a state that is not known reachable"},
        "threadFlows": [
            {
                "locations": [
                    {
                        "executionOrder": step.number,
                        "location": {
                            **_location(step.place),
                            "message": {"text": _line(f"{step.call}: {'; '.join(map(str, step.changes))}")},
                        },
                    }
                    for step in story.steps
                ]
            }
        ],
    }


def _line(value: str) -> str:
    return text.one_line(value)


def _location(place: Place) -> dict[str, Any]:
    path = PurePath(place.file)
    uri = path.as_uri() if path.is_absolute() else quote(path.as_posix())
    physical: dict[str, Any] = {"artifactLocation": {"uri": uri}}
    if place.line:
        region = {"startLine": place.line, "startColumn": place.column}
        ends = {"endLine": place.end_line, "endColumn": place.end_column}
        physical["region"] = {name: number for name, number in (region | ends).items() if number}
    return {"physicalLocation": physical}
