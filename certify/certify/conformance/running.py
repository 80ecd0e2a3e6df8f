"""The parent: starts the child that imports foreign code, reads what it says, and ends it when its time is up.

A scenario at which the child hangs, dies or is killed is undecided; another child goes on with the next one.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from certify.conformance import rules
from certify.conformance.catalogue import CATALOGUES
from certify.conformance.verdicts import MODES, PROPERTIES, NotApplicable, Result, Undecided, Verdict, overall
from certify_spec.diagnostics import Diagnostic, Place, RequestError

#: Real seconds that one scenario may take, and that an adapter may take at least to be imported.
LIMIT: Final = 60.0
IMPORT_LIMIT: Final = 30.0
_MOST_SAID: Final = 2_000


@dataclass
class Report:
    """What came of an adapter: the results of all scenarios, in each mode."""

    adapter: str
    asked: tuple[str, ...] = tuple(PROPERTIES)
    version: str = ""
    modes: tuple[str, ...] = MODES
    patterns: tuple[str, ...] = ()
    results: list[Result] = field(default_factory=list)

    def verdict(self, number: str, mode: str) -> Verdict:
        """What is said of a property in a mode."""
        if number not in self.asked:
            return NotApplicable("it was not asked about")
        if mode not in self.modes:
            return NotApplicable(f"the library has no {mode} guards")
        return overall(r for r in self.results if r.property == number and r.mode == mode)

    def to_data(self) -> dict[str, Any]:
        """As a map of text, numbers and lists."""
        return {
            "adapter": self.adapter,
            "version": self.version,
            "asked": list(self.asked),
            "modes": list(self.modes),
            "patterns": list(self.patterns),
            "verdicts": {
                mode: {
                    number: Result(number, title, mode, self.verdict(number, mode)).to_data()
                    for number, title in PROPERTIES.items()
                }
                for mode in MODES
            },
            "scenarios": [result.to_data() for result in self.results],
        }


Told = Callable[[int, int], None]


def examine(
    path: Path,
    *,
    catalogue: str = "conformance",
    only: Iterable[str] = PROPERTIES,
    every: int = 1,
    limit: float = LIMIT,
    told: Told = lambda _done, _total: None,
) -> Report:
    """Run scenarios against an adapter.

    Args:
        path: the adapter.
        catalogue: which scenarios: ``conformance``, or ``faults``.
        every: of a scenario's scripts, every how manyth is played; all of them by default.
        only: the properties that are asked about; all of them by default.
        limit: real seconds that one scenario may take.
        told: is told of progress: how many results there are, of how many.

    Raises:
        RequestError: the adapter cannot be read, imported or used.
    """
    if not path.is_file():
        raise RequestError(
            Diagnostic(rules.MISSING, "there is no adapter here", Place(str(path)), fix=rules.MISSING.advice)
        )
    wanted = frozenset(only)
    report = Report(str(path), tuple(number for number in PROPERTIES if number in wanted))
    scenarios = CATALOGUES[catalogue]
    total = sum(scenario.property in wanted for scenario in scenarios) * len(MODES)
    child = _Child(report, path, catalogue, wanted, every, limit, lambda: told(len(report.results), total))
    for mode in MODES:
        first = 0
        while mode in report.modes and first < len(scenarios):
            first = child.run(mode, first)
    return report


@dataclass
class _Child:
    """Children, one after the other, that go through a catalogue."""

    report: Report
    path: Path
    catalogue: str
    wanted: frozenset[str]
    every: int
    limit: float
    told: Callable[[], None]

    def run(self, mode: str, first: int) -> int:
        """One child, from a scenario on; gives the number of the scenario to go on with."""
        scenarios, report = CATALOGUES[self.catalogue], self.report
        command = [sys.executable, "-m", "certify.conformance.inside", self.catalogue, str(self.path.resolve()), mode]
        command += [str(first), str(self.every), *sorted(self.wanted)]
        child = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
        )
        lines = _Lines(child, self.limit)
        began = -1
        try:
            for line in lines:
                if "error" in line:
                    raise _unusable(self.path, line)
                if "modes" in line:
                    report.modes, report.patterns = tuple(line["modes"]), tuple(line["patterns"])
                    report.version = line["version"]
                    if mode not in report.modes:
                        return len(scenarios)
                elif "begins" in line:
                    began = line["begins"]
                elif "result" in line:
                    report.results.append(Result.from_data(line["result"]))
                    self.told()
                else:
                    return len(scenarios)
        finally:
            _end(child)
        if began < 0:
            raise _unusable(self.path, {"error": f"importing it {lines.ended}", "line": 0}, lines.said)
        scenario = scenarios[began]
        undecided = Undecided(f"the child {lines.ended}")
        report.results.append(Result(scenario.property, scenario.name, mode, undecided))
        return began + 1


def _unusable(path: Path, line: dict[str, Any], said: str = "") -> RequestError:
    place = Place(str(path), line.get("line", 0))
    return RequestError(Diagnostic(rules.UNUSABLE, line["error"], place, because=said, fix=rules.UNUSABLE.advice))


def _end(child: subprocess.Popen[bytes]) -> None:
    """End the child and whatever it started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()
    for pipe in (child.stdout, child.stderr):
        if pipe is not None:
            pipe.close()


class _Lines:
    """The child's lines, each within the time limit."""

    def __init__(self, child: subprocess.Popen[bytes], limit: float) -> None:
        self._child, self._limit = child, limit
        self._rest = b""
        self._errors = b""
        self.ended = "ended"

    @property
    def said(self) -> str:
        """The last that the child said on standard error."""
        return self._errors[-_MOST_SAID:].decode(errors="replace").strip()

    def __iter__(self) -> Iterator[dict[str, Any]]:
        assert self._child.stdout is not None
        assert self._child.stderr is not None
        with selectors.DefaultSelector() as ready:
            ready.register(self._child.stdout, selectors.EVENT_READ)
            ready.register(self._child.stderr, selectors.EVENT_READ)
            until = time.monotonic() + max(self._limit, IMPORT_LIMIT)
            while True:
                events = ready.select(max(0.0, until - time.monotonic()))
                if not events:
                    self.ended = f"did not end within {self._limit:g} s"
                    return
                for key, _ in events:
                    data = os.read(key.fd, 65_536)
                    if key.fileobj is self._child.stderr:
                        self._errors = (self._errors + data)[-2 * _MOST_SAID :]
                        if not data:
                            ready.unregister(key.fileobj)
                        continue
                    if not data:
                        self.ended = f"died with status {self._child.wait(timeout=5)}"
                        return
                    *whole, self._rest = (self._rest + data).split(b"\n")
                    for text in whole:
                        until = time.monotonic() + self._limit
                        yield json.loads(text)


def adapters(paths: Sequence[Path]) -> tuple[Path, ...]:
    """The adapters at some paths: files, and the Python files of folders."""
    return tuple(file for path in paths for file in (sorted(path.glob("*.py")) if path.is_dir() else [path]))
