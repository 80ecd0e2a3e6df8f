"""Runs schedules for the idempotency check, and compares what they leave with what clean runs leave.

Rules this module keeps:

- a record that does not tell everything, a run that passed a limit and a state that cannot be compared decide nothing:
  they are remembered as reasons to be undecided, and never taken for a success;
- what a clean delivery would have removed itself (a temporary file of a delivery that died) is debris, not an effect.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Final

from certify.checks import schedules
from certify.checks.aftermath import Aftermath, Difference, Expectation, aftermath
from certify.checks.schedules import Schedule
from certify.checks.workbench import Workbench
from certify.laboratory.record import (
    Crashed,
    EventKind,
    Exceeded,
    Observe,
    Plan,
    Raised,
    Returned,
    RunRecord,
    Unencodable,
)

_WORK: Final = "/world/work/"


@dataclass(frozen=True, slots=True)
class Trial:
    """A schedule that has been run.

    Attributes:
        difference: from what is right; empty when the effects are right.
        raised: the outcome of a redelivery that raised although a clean delivery returns.
        answers: the first answer and another one to a redelivery, when they differ.
        debris: files that an interrupted delivery left behind.
    """

    schedule: Schedule
    record: RunRecord
    difference: Difference
    raised: Raised | None = None
    answers: tuple[str, str] | None = None
    debris: tuple[str, ...] = ()


@dataclass(slots=True)
class Trials:
    """The runs of one check, and what they have in common.

    Attributes:
        gap: seconds between two deliveries.
        counts: runs by kind of schedule.
        undecided: reasons why nothing can be concluded.
    """

    bench: Workbench
    gap: int
    planned: int = 0
    done: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    undecided: list[str] = field(default_factory=list)
    unreached: int = 0
    refused_in_flight: int = 0
    _expected: dict[tuple[str, ...], Expectation] = field(default_factory=dict)
    _clean: dict[tuple[str, ...], list[RunRecord]] = field(default_factory=dict)

    # -- running -------------------------------------------------------------------------------------------------------

    def run(self, plans: Iterable[Plan], kind: str) -> Iterator[RunRecord]:
        """Run plans, count them, and tell how far we are."""
        waiting = list(plans)
        self.planned += len(waiting)
        for record in self.bench.laboratory.run_all(waiting):
            self.done += 1
            self.counts[kind] += 1
            self.bench.progress(self.done, self.planned)
            yield record

    def one(self, plan: Plan, kind: str) -> RunRecord:
        """Run one plan."""
        return next(iter(list(self.run([plan], kind))))

    def closely(self, plan: Plan) -> RunRecord:
        """Run a plan again, watched line by line."""
        return self.one(replace(plan, observe=Observe.LINES), "line_by_line")

    def prepare(self, orders: Iterable[tuple[str, ...]]) -> None:
        """Make clean runs of these orders of messages, whatever has not been made yet."""
        wanted = [order for order in dict.fromkeys(orders) if order not in self._expected]
        tasks = [
            (order, schedules.clean(order, self.gap, shift))
            for order in wanted
            for shift in ((0, 0, 1) if len(order) == 1 else (0, 1))
        ]
        plans = [schedule.plan(self.bench.fixtures) for _order, schedule in tasks]
        for (order, schedule), record in zip(tasks, self.run(plans, schedule_kind(tasks)), strict=True):
            self.note(f"an undisturbed run of {_names(order)}", record)
            shifted = len(schedule.steps) > len(order)
            if not shifted or _is_planned(record.outcomes[0]):
                self._clean.setdefault(order, []).append(record)
        for order in wanted:
            found = Expectation.of(aftermath(r, self.bench.subject.manifest) for r in self._clean[order])
            self._expected[order] = found
            if found.incomparable:
                self.undecided.append(found.incomparable)

    def expectation(self, order: tuple[str, ...]) -> Expectation:
        """What clean runs of these messages leave."""
        self.prepare([order])
        return self._expected[order]

    def clean(self, order: tuple[str, ...]) -> RunRecord:
        """The first clean run of these messages."""
        self.prepare([order])
        return self._clean[order][0]

    def note(self, what: str, record: RunRecord) -> None:
        """Remember why a record decides nothing."""
        reason = undecided(record)
        if reason:
            self.undecided.append(f"{what}: {reason}")

    # -- judging -------------------------------------------------------------------------------------------------------

    def attempt(self, wanted: Iterable[Schedule]) -> list[Trial]:
        """Run schedules and compare. Those whose deliveries were refused in flight get one delivery more."""
        tasks = list(wanted)
        self.prepare(order for schedule in tasks for order in schedule.orders)
        trials = [self._judge(s, r) for s, r in self._records(tasks)]
        unsettled = [t for t in trials if t.schedule.kind is schedules.Kind.CONCURRENT and t.raised is not None]
        if not unsettled:
            return trials
        self.refused_in_flight += len(unsettled)
        kept = [trial for trial in trials if trial not in unsettled]
        again = self._records([schedules.settled(trial.schedule) for trial in unsettled])
        return kept + [self._judge(schedule, record) for schedule, record in again]

    def _records(self, tasks: list[Schedule]) -> Iterator[tuple[Schedule, RunRecord]]:
        for kind in dict.fromkeys(schedule.kind for schedule in tasks):
            alike = [schedule for schedule in tasks if schedule.kind is kind]
            plans = [schedule.plan(self.bench.fixtures) for schedule in alike]
            yield from zip(alike, self.run(plans, kind.value), strict=True)

    def _judge(self, schedule: Schedule, record: RunRecord) -> Trial:
        self.note(schedule.describe(), record)
        planned = [s for s in schedule.steps if s.at is not None and s.action == "crash"]
        if planned and not any(_is_planned(outcome) for outcome in record.outcomes):
            self.unreached += 1
        debris = self._debris(schedule, record)
        found = aftermath(without(record, debris), self.bench.subject.manifest)
        difference = self._difference(schedule, found)
        return Trial(schedule, record, difference, _raised(schedule, record), _answers(schedule, record), debris)

    def _difference(self, schedule: Schedule, found: Aftermath) -> Difference:
        differences = []
        for order in schedule.orders:
            expected = self._expected[order]
            if expected.incomparable:
                return Difference()
            differences.append(expected.compare(found))
        best = min(differences, key=lambda d: (bool(d), len(d.blind)))
        if not best and best.blind:
            self.undecided.append(f"{', '.join(best.blind)} cannot be compared after: {schedule.describe()}")
        return best

    def _debris(self, schedule: Schedule, record: RunRecord) -> tuple[str, ...]:
        """Files that are left of deliveries that died, and that clean runs of the same messages make and remove."""
        if not any(isinstance(outcome, Crashed) for outcome in record.outcomes):
            return ()
        clean = [run for order in schedule.orders for run in self._clean[order]]
        names = {s.fixture for s in schedule.steps}
        clean += [run for name in names for run in self._clean.get((name,), [])]
        lasting = {path for run in clean for path in run.world.files}
        passing = {
            event.target.removeprefix(_WORK)
            for run in clean
            for event in run.events
            if event.kind is EventKind.WRITE and event.target.startswith(_WORK)
        }
        return tuple(sorted(path for path in record.world.files if path not in lasting and path in passing))


def schedule_kind(tasks: list[tuple[tuple[str, ...], Schedule]]) -> str:
    """The name under which clean runs are counted."""
    return tasks[0][1].kind.value if tasks else schedules.Kind.CLEAN.value


def without(record: RunRecord, paths: tuple[str, ...]) -> RunRecord:
    """The record as if these files were not there."""
    if not paths:
        return record
    world = record.world
    files = {path: digest for path, digest in world.files.items() if path not in paths}
    return replace(record, world=replace(world, files=files))


def undecided(record: RunRecord) -> str:
    """Why a record decides nothing; empty when it can be judged."""
    for outcome in record.outcomes:
        match outcome:
            case Exceeded(limit):
                return f"a delivery passed its {limit} limit"
            case Crashed(planned=False):
                return "a delivery's process ended by itself"
            case Unencodable(reason):
                return f"an answer cannot be compared: {reason}"
            case _:
                continue
    return f"the record is incomplete: {record.incomplete}" if record.incomplete else ""


def _names(order: tuple[str, ...]) -> str:
    return " and ".join(f"`{name}`" for name in order)


def _is_planned(outcome: object) -> bool:
    return isinstance(outcome, Crashed) and outcome.planned


def _raised(schedule: Schedule, record: RunRecord) -> Raised | None:
    """A redelivery that raised. Of deliveries at once, any may; with one more after them, only the last counts."""
    concurrent = schedule.kind is schedules.Kind.CONCURRENT
    seen: set[str] = set()
    last = len(schedule.steps) - 1
    for position, (step, outcome) in enumerate(zip(schedule.steps, record.outcomes, strict=True)):
        again = step.fixture in seen
        seen.add(step.fixture)
        if concurrent and last == 2 and position < last:
            continue
        if isinstance(outcome, Raised) and (again or concurrent):
            return outcome
    return None


def _answers(schedule: Schedule, record: RunRecord) -> tuple[str, str] | None:
    first: dict[str, Returned] = {}
    for step, outcome in zip(schedule.steps, record.outcomes, strict=True):
        if not isinstance(outcome, Returned):
            continue
        known = first.setdefault(step.fixture, outcome)
        if known.output != outcome.output:
            return known.json.decode(errors="replace")[:300], outcome.json.decode(errors="replace")[:300]
    return None
