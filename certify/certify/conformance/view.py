"""Reports for people.

A table of verdicts, and for each violation its trace; the same as Markdown, for several libraries.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from certify.conformance.running import Report
from certify.conformance.verdicts import (
    MODES,
    PROPERTIES,
    NotApplicable,
    Result,
    Satisfied,
    Undecided,
    Verdict,
    Violated,
    word,
)

MARKS: Final = {"satisfied": "✓", "violated": "✗", "not applicable": "–", "undecided": "?"}


def table(report: Report) -> Iterator[tuple[str, ...]]:
    """Rows of property, verdict in each mode, and why."""
    for number in report.asked:
        title = PROPERTIES[number]
        verdicts = [report.verdict(number, mode) for mode in MODES]
        yield (f"{number} {title}", *map(word, verdicts), _why(verdicts))


def _why(verdicts: Sequence[Verdict]) -> str:
    """The reason that matters most."""
    for kind in (Violated, Undecided):
        for verdict in verdicts:
            if isinstance(verdict, kind):
                return verdict.sentence if isinstance(verdict, Violated) else verdict.reason
    runs = sum(verdict.runs for verdict in verdicts if isinstance(verdict, Satisfied))
    if runs:
        return f"{runs} runs"
    return next((verdict.reason for verdict in verdicts if isinstance(verdict, NotApplicable)), "")


def violations(report: Report) -> Iterator[tuple[Result, str]]:
    """Each property that is violated in a mode, once, by its shortest trace.

    And the other mode that it is violated in as well.
    """
    for number in PROPERTIES:
        for mode in MODES:
            verdict = report.verdict(number, mode)
            if isinstance(verdict, Violated):
                result = next(
                    r for r in report.results if r.verdict == verdict and r.property == number and r.mode == mode
                )
                yield result, mode


def trace_lines(violated: Violated) -> Iterator[str]:
    """A trace as aligned lines of text."""
    steps = [f"{row.seconds:g} s" for row in violated.trace], [row.step for row in violated.trace]
    widths = [max(map(len, column), default=0) for column in steps]
    for at, step, row in zip(*steps, violated.trace, strict=True):
        yield f"{at:>{widths[0]}}  {step:<{widths[1]}}  {'; '.join(row.seen) or 'nothing happens'}".rstrip()


def undecided(report: Report) -> Iterator[Result]:
    """Scenarios that decide nothing."""
    return (result for result in report.results if isinstance(result.verdict, Undecided))


def matrix(reports: Sequence[tuple[str, Report]]) -> str:
    """Libraries against properties as a Markdown table: the verdict in sync and in async code."""
    lines = [
        f"| | {' | '.join(PROPERTIES)} |",
        f"|---|{':-:|' * len(PROPERTIES)}",
    ]
    for name, report in reports:
        cells = ["".join(MARKS[word(report.verdict(number, mode))] for mode in MODES) for number in PROPERTIES]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"
