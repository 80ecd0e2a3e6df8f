"""C-SANDBOX: every fixture is run, and the node stays within its sandbox.

This check runs first: it shows that the node answers at all, and what came of each fixture is what later checks build
on. A violation is evidence, not a crash: the sandbox has denied it, and this check says what was tried, and where.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Final, assert_never

from certify.checks.workbench import Workbench
from certify.evidence.verdict import CheckResult, Failed, Passed, Unknown, Verdict
from certify.laboratory.record import (
    Crashed,
    Delivery,
    Event,
    EventKind,
    Exceeded,
    Observe,
    Plan,
    Raised,
    Returned,
    RunRecord,
    Unencodable,
)
from certify_spec.diagnostics import Diagnostic, Place, Rule, Severity

CHECK: Final = "C-SANDBOX"

SBX001 = Rule(
    "SBX001", "The node passed a limit of the sandbox.", "Make it end, or raise its budget if the work is needed."
)
SBX002 = Rule(
    "SBX002", "The node's process ended before it answered.", "Find out what ended it; a node answers or raises."
)
SBX003 = Rule(
    "SBX003", "The node tried to write outside its working folder.", "Write below the working folder, and declare it."
)
SBX004 = Rule("SBX004", "The node tried to start a process.", 'Do without, or declare a resource of kind "process".')
SBX005 = Rule(
    "SBX005", "The node tried to reach an address outside its sandbox.", "Declare the upstream as an http resource."
)
SBX006 = Rule(
    "SBX006", "The node tried to signal a process that is not its own.", "A node has no business with other processes."
)
SBX007 = Rule(
    "SBX007", "The node raised on a fixture.", "Correct the node or the fixture: a fixture is an input that must work."
)
SBX008 = Rule(
    "SBX008", "The node's output is not what its type says, or has no canonical form.", "Return what the type says."
)
SBX009 = Rule("SBX009", "A fixture does not have the input's type.", "Correct the fixture, or the type.")
SBX010 = Rule(
    "SBX010", "The output for a fixture is not the expected one.", "Correct the node, or the expected output."
)

_LIMITS: Final = {
    "process": (SBX004, "tried to start a process"),
    "file system": (SBX003, "tried to write to"),
    "network": (SBX005, "tried to reach"),
    "signal": (SBX006, "tried to send"),
}


def check(bench: Workbench) -> CheckResult:
    """Run every fixture once and judge how the runs ended."""
    names = list(bench.fixtures)
    plans = [Plan((Delivery(bench.fixtures[name]),), observe=Observe.CALLS) for name in names]
    findings: list[Diagnostic] = []
    incomplete = ""
    measured: dict[str, object] = {"fixtures": len(names)}
    artefacts: dict[str, str] = {}
    for done, (name, record) in enumerate(zip(names, bench.laboratory.remembered(plans), strict=True), 1):
        bench.progress(done, len(plans))
        artefacts[f"run of {name}"] = bench.keep(record)
        findings += _judge(bench, name, record)
        incomplete = incomplete or record.incomplete
    verdict: Verdict = Passed()
    if findings:
        verdict = Failed()
    elif incomplete:
        verdict = Unknown(f"a run's record is incomplete: {incomplete}")
    return CheckResult(CHECK, verdict, tuple(findings), measured, artefacts)


def answers(result: CheckResult) -> bool:
    """Whether the node answered its fixtures, so that other checks have something to judge."""
    silent = {SBX001.code, SBX002.code, SBX009.code}
    return not any(finding.code in silent for finding in result.findings)


def _judge(bench: Workbench, fixture: str, record: RunRecord) -> Iterator[Diagnostic]:
    entry = bench.laboratory.signature()
    at = Place(entry.file, entry.line)
    violations = list(_violations(fixture, record, at))
    ended = _ended(fixture, record, record.usage[0].at or at)
    if ended is not None and not _follows(ended, violations):
        yield ended
    yield from violations
    outcome = record.outcomes[0]
    expected = bench.expected.get(fixture)
    if expected is not None and isinstance(outcome, Returned) and json.loads(expected) != json.loads(outcome.json):
        yield Diagnostic(
            SBX010,
            f"fixture `{fixture}` gave another output than expected",
            at,
            because=f"expected {_shown(expected)}\ngot      {_shown(outcome.json)}",
            fix="correct the node, or the fixture's expected output",
        )


def _follows(ended: Diagnostic, violations: list[Diagnostic]) -> bool:
    """Whether the node only raised what a denial on the same line raised in it: that is one matter, told once."""
    lines = {(v.place.file, v.place.line) for v in violations if v.place}
    return ended.rule is SBX007 and ended.place is not None and (ended.place.file, ended.place.line) in lines


def _shown(text: bytes) -> str:
    shown = json.dumps(json.loads(text), ensure_ascii=False, sort_keys=True)
    return shown if len(shown) <= 300 else shown[:300] + "…"


def _ended(fixture: str, record: RunRecord, at: Place) -> Diagnostic | None:
    outcome = record.outcomes[0]
    said = f"\nit printed: {record.stderr[-300:]}" if record.stderr else ""
    match outcome:
        case Returned():
            return None
        case Exceeded(limit):
            used = record.usage[0]
            figures = {
                "wall": f"{used.wall:.1f} s passed, {used.cpu:.1f} s of them at work, with {used.memory >> 20} MiB",
                "cpu": f"{used.cpu:.1f} s of processor time",
                "memory": "an allocation failed",
            }
            return Diagnostic(
                SBX001,
                f"fixture `{fixture}` passed the {limit} limit",
                at,
                because=f"{figures[limit]}{said}",
                fix="look for a loop that does not end, a wait without a time-out, or memory that only grows",
                data={"limit": limit},
            )
        case Crashed(_planned, number, status):
            how = f"by signal {number}" if number else f"with exit status {status}"
            return Diagnostic(SBX002, f"fixture `{fixture}` ended the process {how}", at, because=said.strip())
        case Raised(kind, message, _bases, frames, rejected):
            if rejected:
                return Diagnostic(SBX009, f"fixture `{fixture}` does not have the input's type", at, because=message)
            return Diagnostic(SBX007, f"fixture `{fixture}` raised {kind}: {message}", frames[-1] if frames else at)
        case Unencodable(reason):
            return Diagnostic(SBX008, f"fixture `{fixture}`: {reason}", at)
        case _:
            assert_never(outcome)


def _violations(fixture: str, record: RunRecord, at: Place) -> Iterator[Diagnostic]:
    seen: set[tuple[str, str]] = set()
    for event in record.events:
        if event.kind is not EventKind.VIOLATION:
            continue
        limit = str(event.detail["limit"])
        if (limit, event.target) in seen:
            continue
        seen.add((limit, event.target))
        rule, did = _LIMITS[limit]
        yield Diagnostic(
            rule,
            f"the node {did} {event.target}" if limit != "process" else f"the node {did} ({event.target})",
            nearest(record.events, event) or at,
            because=f"the kernel saw `{event.detail['call']}` in fixture `{fixture}`: the sandbox does not let it",
            fix=rule.advice,
            severity=Severity.ERROR,
            data={"limit": limit, "target": event.target, "hard": True},
        )


_SAME_MATTER: Final = {
    "process": {EventKind.PROCESS},
    "file system": {EventKind.WRITE, EventKind.DATABASE},
    "network": {EventKind.CONNECT, EventKind.NATIVE, EventKind.RESOLVE},
    "signal": {EventKind.PROCESS},
}


def nearest(events: tuple[Event, ...], violation: Event) -> Place | None:
    """The node's line that most likely led to what the kernel saw: the same target first, then the same matter."""
    kinds = _SAME_MATTER[str(violation.detail["limit"])]
    alike = [e for e in events if e.kind in kinds and e.place is not None and e.delivery == violation.delivery]
    same = [e for e in alike if e.target == violation.target]
    return (same or alike)[-1].place if alike else None
