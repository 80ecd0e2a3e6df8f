"""Behind `conformance`: which of P1 to P12 a resilience library keeps, in sync and in async code."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from certify.cli.output import Output
from certify.cli.status import Status
from certify.conformance import rules, view
from certify.conformance.running import Report, adapters, examine
from certify.conformance.verdicts import MODES, PROPERTIES, Undecided, Violated
from certify_spec.diagnostics import Diagnostic, RequestError

_WORDS = {"satisfied": "green", "violated": "bold red", "undecided": "magenta"}


def run(paths: list[Path], only: list[str], *, faults: bool, limit: float, as_json: bool) -> int:
    """Examine each adapter, or run the fault campaign against it; show its table and the trace of every violation.

    Raises:
        RequestError: a property has no such name, or an adapter cannot be used; nothing was shown of it.
    """
    output = Output(as_json=as_json)
    wrong = [
        Diagnostic(rules.NO_PROPERTY, f"no property is called {name!r}") for name in only if name not in PROPERTIES
    ]
    if wrong:
        raise RequestError(*(replace(each, fix=rules.NO_PROPERTY.advice) for each in wrong))
    catalogue = "faults" if faults else "conformance"
    reports = [_examine(path, catalogue, only or list(PROPERTIES), limit, output) for path in adapters(paths)]
    status = max((_status(report) for report in reports), key=_badness, default=Status.HELD)
    output.data({"status": int(status), "adapters": [report.to_data() for report in reports]})
    return status


def _examine(path: Path, catalogue: str, only: list[str], limit: float, output: Output) -> Report:
    columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), BarColumn(bar_width=24))
    live = Progress(
        *columns,
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=output.people,
        transient=True,
        disable=not output.people.is_terminal,
    )
    with live:
        task = live.add_task(path.name, total=None)

        def told(done: int, total: int) -> None:
            live.update(task, completed=done, total=total)

        report = examine(path, catalogue=catalogue, only=only, limit=limit, told=told)
    _show(report, output)
    return report


def _show(report: Report, output: Output) -> None:
    title = f"{report.adapter} {report.version}".strip()
    output.table(("property", *MODES, "because"), view.table(report), title=title)
    for result, mode in view.violations(report):
        assert isinstance(result.verdict, Violated)
        output.say("")
        output.say(
            f"{result.property} {PROPERTIES[result.property]}, {mode}: {result.verdict.sentence}", _WORDS["violated"]
        )
        output.say(f"  {result.scenario}", "dim")
        for line in view.trace_lines(result.verdict):
            output.say(f"    {line}")
    for result in view.undecided(report):
        assert isinstance(result.verdict, Undecided)
        output.say(
            f"{result.property}, {result.mode}: {result.scenario}: undecided: {result.verdict.reason}",
            _WORDS["undecided"],
        )
    output.say("")


def _status(report: Report) -> Status:
    """Violated before undecided before held."""
    verdicts = [report.verdict(number, mode) for number in PROPERTIES for mode in MODES]
    if any(isinstance(verdict, Violated) for verdict in verdicts):
        return Status.REFUSED
    return Status.UNDECIDED if any(isinstance(verdict, Undecided) for verdict in verdicts) else Status.HELD


def _badness(status: Status) -> int:
    return (Status.HELD, Status.UNDECIDED, Status.REFUSED).index(status)
