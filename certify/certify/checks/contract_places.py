"""Finds the line of the node that a finding is about, from runs recorded line by line.

Rules this module keeps:

- a line is taken from a run that shows the fault again, never guessed from the text;
- where nothing better is known, the entry point is named, and the finding's words still say what happened.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Final

from certify.checks.workbench import Workbench
from certify.laboratory.record import Delivery, Event, EventKind, Fault, Observe, Plan, RunRecord, Step
from certify_spec.diagnostics import Place

_NOT_FINITE: Final = re.compile(r"(?<![\w'\"])-?(?:nan|inf)(?![\w'\"])")
#: Watched runs that are made to see where the entry point returned.
_TRIES: Final = 3
_QUOTED: Final = re.compile(r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"")


@dataclass
class Lines:
    """Runs of one subject, line by line; equal ones are run once."""

    bench: Workbench
    known: dict[Plan, RunRecord] = field(default_factory=dict)

    @property
    def entry(self) -> Place:
        """The entry point."""
        signature = self.bench.laboratory.signature()
        return Place(signature.file, signature.line)

    def run(self, text: bytes, faults: tuple[Fault, ...] = ()) -> RunRecord:
        """The run of one input, line by line."""
        plan = Plan((Delivery(text),), faults=faults, observe=Observe.LINES)
        if plan not in self.known:
            self.known[plan] = self.bench.laboratory.run(plan)
        return self.known[plan]

    def returned(self, text: bytes, faults: tuple[Fault, ...] = ()) -> Place:
        """The line at which the entry point returned.

        A run that is watched is slower, and the machine may be busy: one that a time-out of the node's own ended in
        another way is made again.
        """
        name = self.bench.subject.manifest.node.entry.partition(":")[2]
        for _ in range(_TRIES):
            steps = _steps(self.run(text, faults))
            found = [step.place for step in steps if "return" in step.values and step.function == name]
            if found:
                return found[-1]
            self.known.pop(Plan((Delivery(text),), faults=faults, observe=Observe.LINES))
        return self.entry

    def not_finite(self, text: bytes, faults: tuple[Fault, ...] = ()) -> Place:
        """The line that first made a number that is not finite, or else the one at which the entry point returned."""
        for step in _steps(self.run(text, faults)):
            if any(_NOT_FINITE.search(_QUOTED.sub("", shown)) for shown in step.values.values()):
                return step.place
        return self.returned(text, faults)

    def parted(self, text: bytes, fault: Fault) -> Place | None:
        """The last line on which a run with the fault and one without go the same way."""
        first = [(step.place, step.function) for step in _steps(self.run(text))]
        second = [(step.place, step.function) for step in _steps(self.run(text, (fault,)))]
        for position, (one, other) in enumerate(zip(first, second, strict=False)):
            if one != other:
                return (first[position - 1] if position else one)[0]
        shorter = min(first, second, key=len)
        return shorter[-1][0] if shorter and len(first) != len(second) else None

    def request(self, upstream: str, text: bytes, clean: RunRecord, position: int = 0) -> Place:
        """The line that makes the request at `position` to an upstream."""
        used = [event.place for event in clean.events if event.target == f"http.{upstream}" and event.place is not None]
        if used:
            return used[min(position, len(used) - 1)]
        connects = _placed(clean.events, {EventKind.CONNECT, EventKind.RESOLVE})
        if connects:
            return connects[0]
        lost = Fault(upstream, "reset_before", requests=(position,))
        return self.parted(text, lost) or self.entry


def limited(fault: Fault, most: int) -> Fault:
    """The same fault for a few requests only, so that a node that never stops comes to an end."""
    first = fault.requests[0] if fault.requests else 0
    return replace(fault, requests=tuple(range(first, first + most)))


def _steps(record: RunRecord) -> tuple[Step, ...]:
    return record.steps[0] if record.steps else ()


def _placed(events: Iterable[Event], kinds: set[EventKind]) -> list[Place]:
    return [event.place for event in events if event.kind in kinds and event.place is not None]
