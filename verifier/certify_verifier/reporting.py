"""What was found, for people and for programs.

Rules this module keeps:

- nothing here prints or decides: a report goes in, text or data comes out;
- what is not proved has a diagnostic with a stable code, so that every view of diagnostics shows it.
"""

from __future__ import annotations

import json
from typing import Any, Final, assert_never

from certify_spec import interpreter
from certify_spec import model as m
from certify_spec.diagnostics import Diagnostic, Rule
from certify_spec.values import shown
from certify_verifier.verdict import (
    Finding,
    NotInductive,
    Proved,
    ProvedUpTo,
    Refuted,
    Undecided,
    Vacuous,
    is_success,
    name,
)
from certify_verifier.verify import Report

REFUTED: Final = Rule("VER001", "A run breaks a property.", "Correct the machine, or the property.")
NOT_INDUCTIVE: Final = Rule(
    "VER002",
    "A step breaks a property, from a state that is not known to be reachable.",
    "Add the invariant or lemma that excludes the state; it may be that the property holds.",
)
VACUOUS: Final = Rule("VER003", "A specification speaks of something that can never happen.", "Look for the typo.")
UNDECIDED: Final = Rule("VER004", "No solver could decide a property within its limits.", "Simplify it, or allow more.")
BOUNDED: Final = Rule(
    "VER005", "A property is proved for short runs of a small instance only.", "Prove it by induction."
)


def diagnostic(finding: Finding, specification: m.Specification) -> Diagnostic | None:
    """What is wrong with a property, or None if it is proved."""
    verdict = finding.verdict
    what = f"{finding.kind} `{finding.name}`"
    match verdict:
        case Proved():
            return None
        case Refuted(trace, clause):
            steps = len(trace.steps)
            message = f"the {what} is refuted" + (f" by a run of {steps} steps" if steps else "")
            because = "\n".join([f"this is false: {clause}", *_run(finding, specification).splitlines()])
            return Diagnostic(REFUTED, message, finding.place, because=because, fix=REFUTED.advice)
        case NotInductive():
            message = f"the {what} is not inductive"
            because = "\n".join(
                ["from this state, not known to be reachable, it fails:", *_run(finding, specification).splitlines()]
            )
            return Diagnostic(NOT_INDUCTIVE, message, finding.place, because=because, fix=NOT_INDUCTIVE.advice)
        case Vacuous(premise):
            message = f"the {what} is vacuous"
            return Diagnostic(VACUOUS, message, finding.place, because=f"impossible: {premise}", fix=VACUOUS.advice)
        case Undecided(reason):
            message = f"the {what} is undecided"
            return Diagnostic(UNDECIDED, message, finding.place, because=reason, fix=UNDECIDED.advice)
        case ProvedUpTo(steps, instance):
            message = f"the {what} is proved for runs of at most {steps} steps of `{instance}` only"
            return Diagnostic(BOUNDED, message, finding.place, fix=BOUNDED.advice)
        case _:
            assert_never(verdict)


def _run(finding: Finding, specification: m.Specification) -> str:
    assert isinstance(finding.verdict, Refuted | NotInductive)
    trace = finding.verdict.trace
    if finding.kind == "law":
        return "\n".join(f"{n} = {shown(v, specification.sorts)}" for n, v in trace.start.items())
    return interpreter.render(trace, specification)


def diagnostics(report: Report, specification: m.Specification) -> tuple[Diagnostic, ...]:
    """Everything that is not proved."""
    found = (diagnostic(finding, specification) for finding in report.findings)
    return tuple(d for d in found if d is not None)


def exit_status(report: Report) -> int:
    """0 if everything is proved, 1 if something is refuted or vacuous, 3 if something is not known."""
    verdicts = [finding.verdict for finding in report.findings]
    if any(isinstance(verdict, Refuted | Vacuous) for verdict in verdicts):
        return 1
    return 0 if all(map(is_success, verdicts)) else 3


def table(report: Report) -> str:
    """One line per property: what it is, its verdict, how it was shown, and how long that took."""
    rows = [
        (finding.kind, finding.name, name(finding.verdict), _how(finding), f"{finding.seconds:.2f} s")
        for finding in report.findings
    ]
    widths = [max((len(row[column]) for row in rows), default=0) for column in range(4)]
    lines = ["  ".join([*(cell.ljust(w) for cell, w in zip(row, widths, strict=False)), row[4]]) for row in rows]
    proved = sum(is_success(finding.verdict) for finding in report.findings)
    lines.append(f"{report.specification}: {proved} of {len(report.findings)} hold, {report.seconds:.2f} s")
    return "\n".join(lines)


def _how(finding: Finding) -> str:
    match finding.verdict:
        case Proved(method):
            return method
        case Refuted(trace):
            return f"{len(trace.steps)} steps"
        case Undecided(reason):
            return reason
        case Vacuous(premise):
            return premise
        case NotInductive(_, event):
            return event.action if event else "at the start"
        case ProvedUpTo(steps):
            return f"{steps} steps"
        case _:
            assert_never(finding.verdict)


def to_data(report: Report) -> dict[str, Any]:
    """The report as text, numbers, lists and maps."""
    return {
        "specification": report.specification,
        "proved": report.is_proved,
        "seconds": report.seconds,
        "findings": [finding.to_data() for finding in report.findings],
        "obligations": {
            digest: {"title": obligation.title, "proved_by": list(report.proved_by[digest])}
            for digest, obligation in report.obligations.items()
        },
    }


def as_test(finding: Finding, specification: m.Specification) -> str:
    """A counterexample as a pytest: it fails as long as the run is possible and breaks the property.

    Raises:
        ValueError: the finding has no run.
    """
    if not isinstance(finding.verdict, Refuted) or finding.kind == "law":
        raise ValueError(f"`{finding.name}` has no run that refutes it")
    data = json.dumps(finding.verdict.trace.to_data(), indent=4, sort_keys=True)
    return f'''"""The run that once refuted `{finding.name}` of `{specification.name}`."""

import json
from pathlib import Path

from certify_spec.interpreter import Interpreter, Trace
from certify_spec.loader import load

RUN = """
{data}
"""


def test_{finding.name}_is_not_broken_by_this_run() -> None:
    """The machine cannot run like this any more, or nothing is broken where the run ends."""
    specification = load(Path({specification.path!r}))
    trace = Trace.from_data(json.loads(RUN))
    machine = Interpreter(specification, trace.world)
    if machine.replay(trace) == "":
        before = trace.steps[-2][1] if len(trace.steps) > 1 else trace.start
        broken = {{formula.name for formula in machine.broken_in(trace.last)}}
        if trace.steps:
            event, after = trace.steps[-1]
            broken |= {{step.name for step in machine.broken_by(before, event, after)}}
        assert {finding.name!r} not in broken
'''
