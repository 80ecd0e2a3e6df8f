"""Verifying one machine with bounded workers, and keeping account of who answered what.

Rules this module keeps:

- every question to a solver has a limit, and all questions of one machine together have another: what is asked beyond
  it is unknown, with that as its reason;
- what is counted as agreement is what solvers said of the very text of an obligation, in this run or in a kept answer;
- an answer that cannot be kept is no trouble for the verification: it is said once.
"""

from __future__ import annotations

import queue
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import Any, Protocol, TypeVar

from certify.specs import rules
from certify.specs.explain import Explained, explain
from certify_spec import model as m
from certify_spec.diagnostics import Diagnostic, Place
from certify_verifier.cache import Cache
from certify_verifier.obligation import Obligation
from certify_verifier.search import DisagreementError
from certify_verifier.solving import Answer, Question, Solvers, Status
from certify_verifier.verdict import Finding
from certify_verifier.verify import Settings, verify

T = TypeVar("T")
R = TypeVar("R")


class Progress(Protocol):
    """Who is told how far a verification is; may be called from several threads."""

    def advanced(self, done: int, total: int) -> None:
        """So many of the items known so far are decided."""


class Silent:
    """Tells nobody."""

    def advanced(self, done: int, total: int) -> None:
        """Say nothing."""


class Pool(Solvers):
    """Solver processes under one more limit: the time that a machine may take.

    Args:
        jobs: how many processes.
        megabytes: the memory limit of each.
        budget: seconds that the questions of one machine may take, by the wall clock.
        now: a monotonic clock, in seconds.
    """

    def __init__(
        self, jobs: int, megabytes: int = 4096, budget: float = 600.0, now: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__(jobs, megabytes)
        self._budget, self._now = budget, now
        self._end = now() + budget
        self._stopped = False
        self._lock = Lock()
        self._progress: Progress = Silent()
        self._done = self._total = 0

    def begin(self, progress: Progress) -> None:
        """Begin another machine: its time starts now."""
        self._progress, self._done, self._total = progress, 0, 0
        self._end = self._now() + self._budget

    def exhausted(self) -> str:
        """Why nothing more need be asked; empty as long as there is time."""
        if self._stopped:
            return "stopped"
        return f"the {self._budget:g} s for a whole machine are used up" if self._now() >= self._end else ""

    def ask(self, question: Question) -> Answer:
        """The answer to one question, unknown once the time of the machine is used up."""
        left = self._end - self._now()
        reason = self.exhausted()
        if reason:
            return Answer(Status.UNKNOWN, reason)
        return super().ask(replace(question, wall=max(1, min(question.longest, int(left * 1000)))))

    def map(self, work: Callable[[T], R], items: Sequence[T]) -> list[R]:
        """The results of a function over items, in their order; tells how many are done."""
        with self._lock:
            self._total += len(items)

        def counted(item: T) -> R:
            result = work(item)
            with self._lock:
                self._done += 1
                self._progress.advanced(self._done, self._total)
            return result

        return super().map(counted, items)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self.stop()
        super().__exit__(kind, error, trace)

    def stop(self) -> None:
        """End every question now, so that an interrupted verification does not wait for its limits."""
        self._stopped = True
        taken: list[Any] = []
        while len(taken) < len(self._all):
            try:
                taken.append(self._idle.get(timeout=0.05))
            except queue.Empty:  # a process at work: it may only just have been started, so this is tried again
                for process in self._all:
                    if process._process is not None:
                        process._process.kill()
        for process in taken:
            self._idle.put(process)


class Ledger(Cache):
    """A cache that also remembers, for this run, what each solver said of each text.

    Args:
        folder: where answers are kept between runs; None to keep none.
    """

    def __init__(self, folder: Path | None) -> None:
        super().__init__(folder or Path())
        self._keeps = folder is not None
        self._said: dict[str, dict[str, Status]] = {}
        self._lock = Lock()
        self.trouble: OSError | None = None

    def find(self, question: Question) -> Answer | None:
        """The answer to a question, if it is known."""
        if not self._keeps:
            return None
        known = super().find(question)
        if known is not None:
            self._note(question, known)
        return known

    def keep(self, question: Question, answer: Answer) -> None:
        """Note an answer, and keep it if it is one."""
        self._note(question, answer)
        if not self._keeps or self.trouble is not None:
            return
        try:
            super().keep(question, answer)
        except OSError as problem:
            self.trouble = problem

    def _note(self, question: Question, answer: Answer) -> None:
        with self._lock:
            said = self._said.setdefault(question.text, {})
            if said.get(question.solver, Status.UNKNOWN) is Status.UNKNOWN:
                said[question.solver] = answer.status

    def said_of(self, obligation: Obligation) -> Mapping[str, str]:
        """For each solver that was asked about an obligation, what it said."""
        return {solver: status.value for solver, status in sorted(self._said.get(obligation.text, {}).items())}


class Headed(Protocol):
    """What views say of a specification itself; a whole one says it, and so does what is left of one in a cache."""

    @property
    def name(self) -> str:
        """Its name."""

    @property
    def doc(self) -> str:
        """What it is about."""

    @property
    def path(self) -> str:
        """Its file, as the user would name it."""

    @property
    def text(self) -> str:
        """The file's text."""

    @property
    def place(self) -> Place:
        """Where it is named."""


@dataclass(frozen=True, slots=True)
class Verified:
    """What is known of one specification.

    Attributes:
        specification: the specification, or its heading if the result was kept from an earlier run.
        explained: each finding with what it means.
        obligations: what was to be proved, by digest.
        answers: by digest of the obligation, what each solver that was asked said.
        seconds: wall time.
        trouble: why nothing was concluded, if two readings contradict each other.
    """

    specification: Headed
    explained: tuple[Explained, ...]
    obligations: Mapping[str, Obligation]
    answers: Mapping[str, Mapping[str, str]]
    seconds: float
    trouble: Diagnostic | None = None

    @property
    def file(self) -> str:
        """The specification's file, as the user would name it."""
        return self.specification.path


def examine(
    specification: m.Specification,
    pool: Pool,
    settings: Settings,
    ledger: Ledger,
    progress: Progress | None = None,
) -> Verified:
    """Decide everything that a specification claims, and explain what was found."""
    begin = time.monotonic()
    pool.begin(progress or Silent())
    try:
        report = verify(specification, pool, settings, ledger)
    except DisagreementError as problem:
        trouble = Diagnostic(
            rules.DISAGREEMENT,
            f"nothing is concluded about {specification.name}",
            specification.place,
            because=str(problem),
            fix=rules.DISAGREEMENT.advice,
        )
        return Verified(specification, (), {}, {}, time.monotonic() - begin, trouble)
    answers = {digest: ledger.said_of(obligation) for digest, obligation in report.obligations.items()}
    findings = (replace(finding, solvers=_agreement(finding, answers)) for finding in report.findings)
    explained = tuple(explain(finding, specification, settings) for finding in findings)
    return Verified(specification, explained, report.obligations, answers, report.seconds)


def _agreement(finding: Finding, answers: Mapping[str, Mapping[str, str]]) -> dict[str, int]:
    """For each solver that was asked, how many of the finding's obligations it proves."""
    counts: dict[str, int] = {}
    for digest in finding.obligations:
        for solver, said in answers.get(digest, {}).items():
            counts[solver] = counts.get(solver, 0) + (said == Status.UNSAT.value)
    return counts
