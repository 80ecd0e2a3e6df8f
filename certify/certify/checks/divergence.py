"""Finds the line where two runs of the same node part.

Both runs are recorded line by line (`Observe.LINES`). Sets and maps are compared without regard to order, so the line
named is the first at which a difference became visible in a value: where a set was turned into a list, a clock was
read, a seed was drawn.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from certify.laboratory.record import Event, EventKind, RunRecord, Step
from certify.manifest.model import Factor
from certify_spec.diagnostics import Place


@dataclass(frozen=True, slots=True)
class Divergence:
    """Where two runs part: the line, and what had which value. `variable` is empty when the path itself differs.

    `thread` counts from the main one: other threads take up work in an order of chance.
    """

    place: Place
    function: str
    variable: str
    first: str
    second: str
    thread: int = 0

    def describe(self) -> str:
        """One or two lines for a finding."""
        if not self.variable:
            return f"after this line the two runs took different ways in `{self.function}`"
        name = _NAMES.get(self.variable, f"`{self.variable}`")
        return f"{name} was {self.first}\nand then {self.second}"


_NAMES: Final = {"return": "the returned value", "raised": "what was raised"}


def divergence(
    first: RunRecord, second: RunRecord, twin: RunRecord | None = None, *, main_only: bool = False
) -> Divergence | None:
    """The first step at which the two runs differ; None when their steps are equal.

    The main thread comes first: it gives the answer, and what its lines see of other threads is where a race becomes
    visible.

    A `twin` is a run in the same surroundings as `first`: what differs between these two has another cause, and is left
    out. With `main_only`, what other threads do does not count: they take turns as chance has it.
    """
    one, other = _threads(first), _threads(second)
    same = _threads(twin) if twin is not None else {}
    for thread in [0] if main_only else sorted(one.keys() | other.keys()):
        noise = _noise(one.get(thread, []), same.get(thread, []))
        found = _of_steps(one.get(thread, []), other.get(thread, []), noise)
        if found is not None:
            return replace(found, thread=thread)
    return None


_Difference = tuple[Place, str, str]


def _threads(record: RunRecord) -> dict[int, list[Step]]:
    steps: dict[int, list[Step]] = {}
    for step in record.steps[0] if record.steps else ():
        steps.setdefault(step.thread, []).append(step)
    return steps


def _noise(first: Sequence[Step], twin: Sequence[Step]) -> frozenset[_Difference]:
    """What differs between two runs in the same surroundings: lines and variables."""
    return frozenset(
        (one.place, one.function, name)
        for one, other in zip(first, twin, strict=False)
        if (one.place, one.function) == (other.place, other.function)
        for name in one.values.keys() | other.values.keys()
        if one.values.get(name) != other.values.get(name)
    )


def _of_steps(first: Sequence[Step], second: Sequence[Step], noise: frozenset[_Difference]) -> Divergence | None:
    previous: Step | None = None
    for one, other in zip(first, second, strict=False):
        if (one.place, one.function) != (other.place, other.function):
            at = previous or one
            return Divergence(at.place, at.function, "", "", "")
        for name in sorted(one.values.keys() | other.values.keys()):
            here, there = one.values.get(name, "unchanged"), other.values.get(name, "unchanged")
            if here != there and (one.place, one.function, name) not in noise:
                return Divergence(one.place, one.function, name, here, there)
        previous = one
    if len(first) != len(second) and previous is not None:
        return Divergence(previous.place, previous.function, "", "", "")
    return None


_READINGS: Final = {
    Factor.CLOCK: {EventKind.CLOCK},
    Factor.RANDOM: {EventKind.RANDOM},
    Factor.ENV: {EventKind.ENV},
    Factor.HOSTNAME: {EventKind.HOST},
    Factor.PID: {EventKind.HOST},
    Factor.CWD: {EventKind.HOST},
    Factor.CPU_COUNT: {EventKind.HOST},
    Factor.TIMEZONE: {EventKind.CLOCK, EventKind.HOST, EventKind.ENV},
    Factor.LOCALE: {EventKind.HOST, EventKind.ENV},
    Factor.ASLR: {EventKind.IDENTITY},
    Factor.HASH_SEED: {EventKind.IDENTITY},
    Factor.DIRECTORY_ORDER: {EventKind.LISTING},
    Factor.THREADS: {EventKind.THREAD},
}


#: Clocks that run on in the laboratory: neither another wall clock nor another time zone changes what they show.
RUNNING_CLOCKS: Final = frozenset(
    {"time.monotonic", "time.perf_counter", "time.process_time", "time.thread_time"}
    | {"time.monotonic_ns", "time.perf_counter_ns", "time.process_time_ns", "time.thread_time_ns"}
)
_SENT: Final = (EventKind.CAPABILITY, EventKind.CONNECT, EventKind.WRITE, EventKind.DATABASE)


def sendings(record: RunRecord) -> tuple[Event, ...]:
    """The events in which the node told the world something, in its own lines."""
    return tuple(event for event in record.events if event.kind in _SENT and event.place is not None)


def readings(record: RunRecord, factor: Factor | None) -> tuple[Event, ...]:
    """The events in which the node read this factor, or may have, in its own lines; without one, what none can pin."""
    kinds = _READINGS.get(factor, set()) if factor else {EventKind.CLOCK, EventKind.THREAD}
    without = RUNNING_CLOCKS if factor else frozenset()
    return tuple(
        event
        for event in record.events
        if event.kind in kinds and event.place is not None and event.target not in without
    )
