"""Asking solvers: in processes of their own, with hard limits of time and memory.

Rules this module keeps:

- what ends a question is a number of the solver's own resource units, so that a busy or slow machine decides the same;
- a solver never outlives its wall limit: the process is killed, because a solver's own time-out is only a request;
- every question is asked of a fresh solver;
- an answer is `unsat` or `sat` only if a solver said so; everything else is `unknown` with a reason.
"""

from __future__ import annotations

import json
import queue
import selectors
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from enum import Enum
from types import TracebackType
from typing import Any, Final, Self, TypeVar

T = TypeVar("T")
R = TypeVar("R")

GRACE_SECONDS: Final = 1.0
"""How long a process may take beyond the solver's own limit of wall time."""

PATIENCE: Final = 6
"""How many times the effort of a question its wall time may be: what a busy machine may take, and the hard stop."""

UNITS: Final = {"z3": 1_000, "spacer": 1_000, "cvc5": 400}
"""The resource units of each solver that count as one millisecond of effort; `bench/solver_effort.py` measures them."""

MOST_UNITS: Final = 2**32 - 1
"""z3 reads its limit as an unsigned number of 32 bits."""


class Status(Enum):
    """What a solver says of an obligation's assertions."""

    UNSAT = "unsat"
    SAT = "sat"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Question:
    """SMT-LIB text for a solver.

    Attributes:
        text: a whole script without `(check-sat)`.
        solver: `z3` or `cvc5`; `spacer` for Horn clauses, whose model is wanted.
        milliseconds: the effort, in milliseconds of an idle machine: it stands for resource units, and these count.
        seed: for the solver's choices.
        model: whether a model is wanted.
        wall: the most milliseconds of wall time; 0 for `PATIENCE` times the effort.
    """

    text: str
    solver: str = "z3"
    milliseconds: int = 5_000
    seed: int = 0
    model: bool = False
    wall: int = 0

    @property
    def units(self) -> int:
        """The resource units that the solver may use."""
        return min(self.milliseconds * UNITS[self.solver], MOST_UNITS)

    @property
    def longest(self) -> int:
        """The hard limit, in milliseconds of wall time."""
        return self.wall or PATIENCE * self.milliseconds


@dataclass(frozen=True, slots=True)
class Answer:
    """A solver's answer, with the values of constants and functions if it has a model and was asked for it.

    Attributes:
        status: the answer.
        reason: why there is none.
        seconds: wall time.
        model: the values, by name.
        units: the resource units that were used, where the solver tells.
    """

    status: Status
    reason: str = ""
    seconds: float = 0.0
    model: Mapping[str, Any] = field(default_factory=dict)
    units: int = 0


class _Process:
    """One worker process, started when first needed and again after it was killed."""

    def __init__(self, megabytes: int) -> None:
        self._megabytes = megabytes
        self._process: subprocess.Popen[str] | None = None

    def ask(self, question: Question) -> Answer:
        process = self._running()
        assert process.stdin is not None
        text = question.text + ("(check-sat)\n" if question.solver == "cvc5" else "")
        request = {
            "text": text,
            "solver": question.solver,
            "units": question.units,
            "wall": question.longest,
            "seed": question.seed,
            "model": question.model,
        }
        try:
            process.stdin.write(json.dumps(request) + "\n")
            process.stdin.flush()
            line = self._line(process, question.longest / 1000 + GRACE_SECONDS)
        except OSError:
            line = ""
        if line is None:
            self.close()
            return Answer(Status.UNKNOWN, f"stopped after {question.longest / 1000:g} s", question.longest / 1000)
        if not line:
            self.close()
            return Answer(Status.UNKNOWN, f"the solver ended without an answer, within {self._megabytes} MB")
        try:
            answer = json.loads(line)
        except ValueError:
            self.close()
            return Answer(Status.UNKNOWN, "the solver's process answered nonsense")
        if answer["status"] in ("sat", "unsat"):
            return Answer(
                Status(answer["status"]), "", answer["seconds"], answer.get("model", {}), answer.get("units", 0)
            )
        return Answer(Status.UNKNOWN, answer.get("reason", "unknown"), answer["seconds"])

    def _running(self) -> subprocess.Popen[str]:
        if self._process is None or self._process.poll() is not None:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "certify_verifier._worker", str(self._megabytes)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
            )
        return self._process

    @staticmethod
    def _line(process: subprocess.Popen[str], seconds: float) -> str | None:
        """The next line, nothing if the process has ended, None when the time is up."""
        assert process.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            if not selector.select(seconds):
                return None
        return process.stdout.readline()

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None


class Solvers:
    """A pool of solver processes. Use it as a context manager: its processes end with it.

    Args:
        jobs: how many processes.
        megabytes: the memory limit of each.
    """

    def __init__(self, jobs: int = 2, megabytes: int = 4096) -> None:
        self._idle: queue.SimpleQueue[_Process] = queue.SimpleQueue()
        self._all = [_Process(megabytes) for _ in range(jobs)]
        for process in self._all:
            self._idle.put(process)
        self._threads = ThreadPoolExecutor(max_workers=jobs)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._threads.shutdown(cancel_futures=True)
        for process in self._all:
            process.close()

    def ask(self, question: Question) -> Answer:
        """The answer to one question, waiting for a process to be free."""
        process = self._idle.get()
        try:
            return process.ask(question)
        finally:
            self._idle.put(process)

    def exhausted(self) -> str:
        """Why nothing more need be asked; empty as long as there is time."""
        return ""

    def submit(self, question: Question) -> Future[Answer]:
        """The answer to a question, later."""
        return self._threads.submit(self.ask, question)

    def map(self, work: Callable[[T], R], items: Sequence[T]) -> list[R]:
        """The results of a function over items, in their order, as many at a time as there are processes."""
        return list(self._threads.map(work, items))
