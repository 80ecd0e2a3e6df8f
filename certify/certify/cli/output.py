"""What the command line says. When data is asked for, it alone is on standard output; people read standard error."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from certify.evidence.verdict import CheckResult, Failed, NotApplicable, Passed, Unknown, Waived, name
from certify_spec.diagnostics import Diagnostic, Severity, in_order, render

_COLOURS = {Severity.ERROR: "bold red", Severity.WARNING: "yellow", Severity.NOTE: "cyan"}
_VERDICTS = {"passed": "green", "failed": "bold red", "waived": "yellow", "not-applicable": "dim", "unknown": "magenta"}


class Output:
    """Where a command writes.

    With `as_json`, people's text goes to standard error and `data` prints the one JSON document.
    """

    def __init__(self, *, as_json: bool = False) -> None:
        self.as_json = as_json
        self.people = Console(stderr=as_json, highlight=False, soft_wrap=True)
        self.errors = Console(stderr=True, highlight=False, soft_wrap=True)

    def data(self, value: Any) -> None:
        """Print the command's JSON document, if it was asked for."""
        if self.as_json:
            sys.stdout.write(json.dumps(value, ensure_ascii=False, indent=2, sort_keys=True) + "\n")

    def say(self, text: str, style: str = "") -> None:
        """One line for people."""
        self.people.print(Text(text, style=style))

    def diagnostics(self, diagnostics: Iterable[Diagnostic], *, errors: bool = False) -> None:
        """Diagnostics for people: errors of the request on standard error, findings with the rest."""
        console = self.errors if errors else self.people
        for diagnostic in in_order(diagnostics):
            head, *rest = render(diagnostic).splitlines()
            console.print(Text(head, style=_COLOURS[diagnostic.severity]))
            for line in rest:
                console.print(Text(line))

    def table(self, columns: Sequence[str], rows: Iterable[Sequence[str]], title: str = "") -> None:
        """A table for people."""
        table = Table(title=title or None, title_justify="left", box=None, pad_edge=False, header_style="bold")
        for column in columns:
            table.add_column(column, overflow="fold")
        for row in rows:
            table.add_row(*(Text(cell) for cell in row))
        self.people.print(table)


def verdict_line(result: CheckResult) -> Text:
    """One check's verdict as a line."""
    word = name(result.verdict)
    line = Text(f"{result.check:<16}")
    line.append(f"{word:<15}", style=_VERDICTS[word])
    line.append(f"{result.seconds:6.1f} s  ", style="dim")
    line.append(_because(result))
    return line


def _because(result: CheckResult) -> str:
    match result.verdict:
        case NotApplicable(reason) | Unknown(reason):
            return reason
        case Failed():
            errors = sum(finding.severity is Severity.ERROR for finding in result.findings)
            return f"{errors} finding{'s' if errors != 1 else ''}"
        case Waived(waivers):
            return f"{len(waivers)} waiver{'s' if len(waivers) != 1 else ''}"
        case Passed():
            return ""
