"""How much of its limit each proof of the shipped specifications uses, in resource units of the solvers.

`UNITS` in `certify_verifier.solving` says how many units count as a millisecond. This measures, for both solvers, the
units that each answered question uses per millisecond, and the question that comes closest to its limit.
"""

from __future__ import annotations

import statistics
import sys
from dataclasses import dataclass
from threading import Lock

from certify_spec.loader import load, shipped
from certify_verifier.solving import Answer, Question, Solvers, Status
from certify_verifier.verify import Settings, verify


@dataclass(frozen=True)
class Asked:
    """One question that was answered: its solver, effort and use."""

    file: str
    solver: str
    effort: int
    seconds: float
    units: int
    share: float


class Measured(Solvers):
    """Solvers that note what each answer cost."""

    def __init__(self, jobs: int) -> None:
        super().__init__(jobs)
        self.file = ""
        self.asked: list[Asked] = []
        self.unknown = 0
        self._lock = Lock()

    def ask(self, question: Question) -> Answer:
        """The answer to one question, noted."""
        answer = super().ask(question)
        with self._lock:
            if answer.status is Status.UNKNOWN:
                self.unknown += 1
            else:
                share = answer.units / question.units
                effort = question.milliseconds
                self.asked.append(Asked(self.file, question.solver, effort, answer.seconds, answer.units, share))
        return answer


def main() -> None:
    """Print one line for each solver."""
    names = sys.argv[1:]
    with Measured(jobs=1) as solvers:
        for path in shipped():
            if not names or path.stem in names:
                solvers.file = path.name
                report = verify(load(path), solvers, Settings(solver="both"))
                print(
                    f"{path.name:30} {'proved' if report.is_proved else 'NOT PROVED'} {report.seconds:6.1f} s",
                    flush=True,
                )
    print(f"unknown: {solvers.unknown}")
    for solver in sorted({each.solver for each in solvers.asked}):
        own = [each for each in solvers.asked if each.solver == solver]
        rates = [each.units / each.seconds / 1000 for each in own if each.seconds > 0.05] or [0.0]
        most = max(own, key=lambda each: each.share)
        slowest = max(own, key=lambda each: each.seconds)
        print(
            f"{solver}: {len(own)} answers; units per ms over 50 ms: median {statistics.median(rates):.0f},"
            f" most {max(rates):.0f}; closest to its limit: {most.share:.1%} of {most.effort} ms in {most.file}"
            f" ({most.units} units); slowest {slowest.seconds:.2f} s of {slowest.effort} ms in {slowest.file}"
        )


if __name__ == "__main__":
    main()
