"""Finds the line where two runs of the same node part.

Both runs are recorded line by line (`Observe.LINES`). Sets and maps are compared without regard to order, so the line
named
is the first at which a difference became visible in a value: where a set was turned into a list, a clock was read, a
seed was drawn.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from certify.laboratory.record import Event, EventKind, RunRecord, Step
from certify.manifest.model import Factor
from certify_spec.diagnostics import Place


@dataclass(frozen=True, slots=True)
class Divergence:
    """Where two runs part: the line, and what had which value. `variable` is empty when the path itself differs."""

    place: Place
    function: str
    variable: str
    first: str
    second: str

    def describe(self) -> str:
        """One or two lines for a finding."""
        if not self.variable:
            return f"after this line the two runs took different ways in `{self.function}`"
        name = "the returned value" if self.variable == "return" else f"`{self.variable}`"
        return f"{name} was {self.first}\nand then {self.second}"


def divergence(first: RunRecord, second: RunRecord) -> Divergence | None:
    """The first step at which the two runs differ; None when their steps are equal."""
    return _of_steps(first.steps[0] if first.steps else (), second.steps[0] if second.steps else ())


def _of_steps(first: tuple[Step, ...], second: tuple[Step, ...]) -> Divergence | None:
    previous: Step | None = None
    for one, other in zip(first, second, strict=False):
        if (one.place, one.function) != (other.place, other.function):
            at = previous or one
            return Divergence(at.place, at.function, "", "", "")
        for name in sorted(one.values.keys() | other.values.keys()):
            here, there = one.values.get(name, "unchanged"), other.values.get(name, "unchanged")
            if here != there:
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


def readings(record: RunRecord, factor: Factor) -> tuple[Event, ...]:
    """The events in which the node read this factor, or may have, in its own lines."""
    kinds = _READINGS.get(factor, set())
    return tuple(event for event in record.events if event.kind in kinds and event.place is not None)
