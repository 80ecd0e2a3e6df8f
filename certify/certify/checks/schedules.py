"""Schedules: in which order a node's messages arrive, and what happens to each delivery on the way.

A queue that delivers at least once may deliver a message again, later, at the same time, and after the worker died at
any point. A schedule is one such history, small enough to be read.

Rules this module keeps:

- a schedule is data; its plan and its words say the same;
- deliveries that follow each other are apart in time, so that a key or a row that depends on the clock shows;
- exhaustive means every position that the undisturbed delivery has; what does not fit the budget of runs is sampled
  with a fixed seed, and counted as sampled.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import combinations
from typing import Final, Literal, TypeVar

from certify.laboratory.record import Delivery, Fault, Interrupt, Observe, Plan

APART: Final = 61
"""Seconds between two deliveries that follow each other; less when the manifest remembers for less."""
PAIR_RUNS: Final = 64
"""Pairs of crash points are all run when there are no more than this."""
PAIR_SAMPLE: Final = 16
"""With more pairs than that, so many are drawn."""
REORDER_PAIRS: Final = 4
"""Pairs of messages whose orders are all run; with more pairs than that, so many are drawn."""
OVERTAKEN_RUNS: Final = 16
"""Runs for a crash whose redelivery is overtaken by another message; with more positions, so many are drawn."""
FIELD_LIMIT: Final = 24
"""Input fields whose influence on the effects is tried out; with more fields than that, so many are drawn."""
SAMPLING_SEED: Final = 20_260_101
"""Seed of every sample that this check draws."""

T = TypeVar("T")


class Kind(StrEnum):
    """What a schedule tries. The value is its name in the result."""

    CLEAN = "undisturbed"
    DUPLICATE = "duplicate"
    REORDERED = "reordered"
    CONCURRENT = "concurrent"
    CRASH = "crash"
    CRASH_PAIR = "two_crashes"
    OVERTAKEN = "crash_overtaken"
    LOST_ANSWER = "lost_answer"
    RETAINED = "within_retention"
    EXPIRED = "after_retention"


@dataclass(frozen=True, slots=True)
class Step:
    """One delivery: of which fixture, and how it is interrupted."""

    fixture: str
    at: int | None = None
    action: Literal["crash", "preempt"] = "crash"
    later: int = 0


@dataclass(frozen=True, slots=True)
class Schedule:
    """A history of deliveries.

    Attributes:
        lost: an upstream's resource and the number of the request whose answer is lost after the upstream has acted.
        orders: the orders of first deliveries whose effects are right.
    """

    kind: Kind
    steps: tuple[Step, ...]
    orders: tuple[tuple[str, ...], ...]
    lost: tuple[str, int] | None = None

    @property
    def size(self) -> tuple[int, int, int, int]:
        """Smaller schedules are easier to read: fewer deliveries, fewer interruptions, earlier ones."""
        points = [step.at for step in self.steps if step.at is not None]
        distinct = len({step.fixture for step in self.steps})
        return (len(self.steps), len(points) + (self.lost is not None), distinct, sum(points))

    def plan(self, inputs: Mapping[str, bytes], observe: Observe = Observe.EFFECTS) -> Plan:
        """What the laboratory shall run."""
        deliveries = tuple(
            Delivery(inputs[s.fixture], None if s.at is None else Interrupt(s.at, s.action), s.later)
            for s in self.steps
        )
        faults = (Fault(self.lost[0], "reset_after", requests=(self.lost[1],)),) if self.lost else ()
        return Plan(deliveries, faults=faults, observe=observe)

    def describe(self, where: Sequence[str] = ()) -> str:
        """The history in words.

        Args:
            where: for each step what stands beside its interruption, such as ``before write of outbox.sqlite3``.
        """
        parts: list[str] = []
        seen: set[str] = set()
        for position, step in enumerate(self.steps):
            again = " again" if step.fixture in seen else ""
            seen.add(step.fixture)
            beside = where[position] if position < len(where) and where[position] else f"before system call {step.at}"
            parts.append(self._words(position, step, again, beside))
        return "; ".join(part for part in parts if part)

    def _words(self, position: int, step: Step, again: str, beside: str) -> str:
        if self.kind is Kind.CONCURRENT and position == 0:
            return f"deliver `{step.fixture}`; hold it {beside}"
        if self.kind is Kind.CONCURRENT and position == 1:
            return f"deliver `{step.fixture}` again meanwhile; let both finish"
        lost = ""
        if self.lost is not None and position == 0:
            lost = f"; lose the answer of `{self.lost[0]}` to request {self.lost[1] + 1}"
        crash = f"; crash {beside}" if step.at is not None else ""
        late = ""
        if self.kind in {Kind.RETAINED, Kind.EXPIRED} and position:
            late = f" {step.later - self.steps[0].later} s later"
        return f"deliver `{step.fixture}`{again}{late}{lost}{crash}"


def apart(retention: float) -> int:
    """Seconds between two deliveries, so that four of them lie well within the time that a key is remembered."""
    return max(1, min(APART, int(retention / 10)))


def clean(order: tuple[str, ...], gap: int, shift: int = 0) -> Schedule:
    """Each message once. `shift` crashes so many deliveries before they did anything, so that all else comes later."""
    before = [Step(order[0], at=0, later=gap * i) for i in range(shift)]
    steps = [*before, *(Step(name, later=gap * (i + shift)) for i, name in enumerate(order))]
    return Schedule(Kind.CLEAN, tuple(steps), (order,))


def duplicate(name: str, gap: int) -> Schedule:
    """The same message twice: the acknowledgement of the first delivery was lost."""
    return Schedule(Kind.DUPLICATE, (Step(name), Step(name, later=gap)), ((name,),))


def reorderings(first: str, second: str, gap: int) -> Iterator[Schedule]:
    """Every order of two messages of which one is delivered twice."""
    for twice, once in ((first, second), (second, first)):
        for order in ((twice, once, twice), (twice, twice, once), (once, twice, twice)):
            steps = tuple(Step(name, later=gap * i) for i, name in enumerate(order))
            yield Schedule(Kind.REORDERED, steps, (tuple(dict.fromkeys(order)),))


def lost_answer(name: str, upstream: str, number: int, gap: int) -> Schedule:
    """The upstream acts on a request of the first delivery, its answer is lost, and the message comes again."""
    return Schedule(Kind.LOST_ANSWER, (Step(name), Step(name, later=gap)), ((name,),), (upstream, number))


def crashes(name: str, positions: int, gap: int) -> Iterator[Schedule]:
    """A crash before every effectful system call, and the message again."""
    for at in range(positions):
        yield Schedule(Kind.CRASH, (Step(name, at), Step(name, later=gap)), ((name,),))


def crash_pairs(name: str, second: Mapping[int, int], gap: int) -> list[Schedule]:
    """Every pair of crash points; `second` says how many points the second delivery has after a crash at the first."""
    return [
        Schedule(Kind.CRASH_PAIR, (Step(name, i), Step(name, j, later=gap), Step(name, later=2 * gap)), ((name,),))
        for i, points in sorted(second.items())
        for j in range(points)
    ]


def overtaken(name: str, other: str, positions: int, gap: int) -> list[Schedule]:
    """A crash, another message, and only then the first one again: either order of the two is right."""
    return [
        Schedule(
            Kind.OVERTAKEN,
            (Step(name, at), Step(other, later=gap), Step(name, later=2 * gap)),
            ((name, other), (other, name)),
        )
        for at in range(positions)
    ]


def concurrent(name: str, positions: int) -> Iterator[Schedule]:
    """The same message twice at once, the first held before each of its effectful system calls."""
    for at in range(positions):
        yield Schedule(Kind.CONCURRENT, (Step(name, at, "preempt"), Step(name, later=1)), ((name,),))


def settled(schedule: Schedule) -> Schedule:
    """The same schedule with one more delivery, for messages that were refused while another was in flight."""
    last = schedule.steps[-1]
    return Schedule(
        schedule.kind, (*schedule.steps, Step(last.fixture, later=last.later + 1)), schedule.orders, schedule.lost
    )


def retained(name: str, retention: float, gap: int) -> Schedule:
    """The message again just before its key may be forgotten."""
    return Schedule(
        Kind.RETAINED, (Step(name, later=gap), Step(name, later=gap + max(1, int(retention) - 1))), ((name,),)
    )


def expired(name: str, retention: float, gap: int) -> Schedule:
    """The message again when its key may be forgotten."""
    return Schedule(Kind.EXPIRED, (Step(name, later=gap), Step(name, later=gap + int(retention) + 2)), ((name,),))


def pairs(names: Sequence[str]) -> list[tuple[str, str]]:
    """Pairs of different messages, all of them or a sample of `REORDER_PAIRS`."""
    return sample(list(combinations(names, 2)), REORDER_PAIRS)


def sample(items: Sequence[T], most: int) -> list[T]:
    """The items, or `most` of them in their order, drawn with a fixed seed."""
    if len(items) <= most:
        return list(items)
    chosen = sorted(random.Random(SAMPLING_SEED).sample(range(len(items)), most))  # noqa: S311 - a sample, no secret
    return [items[i] for i in chosen]
