"""Progress of a certification on the terminal: a live line for each check at work, one for each that has ended."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)

from certify.cli.output import verdict_line
from certify.evidence.verdict import CheckResult


class TerminalProgress:
    """A `certify.certification.Progress` for a terminal; in a pipe, only the lines of ended checks are written."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def began(self, check: str) -> None:
        """Show the check as at work."""
        self._tasks[check] = self._live.add_task(check, total=None)

    def advanced(self, check: str, done: int, total: int) -> None:
        """Move the bar."""
        if check in self._tasks:
            self._live.update(self._tasks[check], completed=done, total=total)

    def ended(self, result: CheckResult) -> None:
        """Replace the bar by the verdict."""
        task = self._tasks.pop(result.check, None)
        if task is not None:
            self._live.remove_task(task)
        self._console.print(verdict_line(result))
