"""What a scenario does, and what is seen: steps, observations, moments.

A script is a list of steps. A step that has no sense where it stands (the outcome of a call that is not inside) does
nothing and leaves no moment, so that every part of a script is a script: that is what makes shrinking sound.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

#: How a call inside the guarded operation may end, and the words for it.
OUTCOMES = {
    "succeeds": "succeeds",
    "fails": "fails",
    "errs": "ends with an error that does not count",
    "interrupts": "ends with KeyboardInterrupt",
    "exits": "ends with SystemExit",
    "closes": "ends with GeneratorExit",
    "is-cancelled": "ends with CancelledError",
}
#: Those that are neither success nor failure.
NEUTRAL = ("interrupts", "exits", "closes", "is-cancelled")


class Failure(Exception):
    """The failure that counts, and that may be tried again."""

    retry_after: float | None = None


class Ignored(Exception):
    """An error that the guard is told not to count."""


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that a scenario does.

    Kinds: ``call`` (calls arrive, several of them at once), an outcome of `OUTCOMES`, ``cancel`` (the caller gives up),
    ``advance`` and ``wall`` (seconds pass; the wall clock is set), ``tick`` (the clock becomes coarse). What is done
    `also` is done in the same moment.
    """

    kind: str
    calls: tuple[int, ...] = ()
    value: float = 0.0
    also: tuple[Step, ...] = ()

    def __str__(self) -> str:
        return "; ".join(each._told() for each in (self, *self.also))

    def _told(self) -> str:
        who = f"{'call' if len(self.calls) == 1 else 'calls'} {_listed(self.calls)}"
        many = len(self.calls) > 1
        match self.kind:
            case "call":
                return f"{who} {'arrive' if many else 'arrives'}"
            case "cancel":
                return f"{who} {'are' if many else 'is'} cancelled"
            case "advance":
                return f"{self.value:g} s pass"
            case "wall":
                return f"the wall clock is set {'forward' if self.value > 0 else 'back'} by {abs(self.value):g} s"
            case "tick":
                return f"the clock ticks every {self.value:g} s"
            case _:
                return f"{who}: {OUTCOMES[self.kind]}"


@dataclass(frozen=True, slots=True)
class Seen:
    """One thing that was seen.

    Kinds: ``enters`` (the operation begins), ``returns``, ``rejected``, ``raises`` (what reached the caller),
    ``waits`` (neither inside nor ended when everything is at rest), ``event`` (a listener was told).
    """

    kind: str
    call: int = 0
    detail: str = ""
    at: float = 0.0
    #: Seconds since the last try of the call ended.
    lag: float = field(default=0.0, compare=False)
    genuine: bool = field(default=True, compare=False)

    def __str__(self) -> str:
        match self.kind:
            case "enters":
                return f"call {self.call} reaches the backend"
            case "returns":
                return f"call {self.call} returns"
            case "rejected":
                return f"call {self.call} is rejected"
            case "waits":
                return f"call {self.call} waits"
            case "event":
                return f"told: {self.detail}"
            case _:
                return f"call {self.call} raises {self.detail}"


@dataclass(frozen=True, slots=True)
class Moment:
    """A step, when it was over, and what was seen meanwhile."""

    step: Step
    now: float
    seen: tuple[Seen, ...]

    def to_data(self) -> dict[str, Any]:
        """As a map of text and numbers."""
        return {
            "step": str(self.step),
            "seconds": round(self.now, 6),
            "seen": [str(each) for each in folded(self.seen)],
        }


def folded(seen: tuple[Seen, ...]) -> list[str]:
    """What was seen, with runs of the same thing told once."""
    told: list[str] = []
    for kind, group in _grouped(seen):
        if len(group) <= 2 or kind in {"event", "raises"}:
            told += [str(each) for each in group]
        else:
            verb = {"enters": "reach the backend", "returns": "return", "rejected": "are rejected", "waits": "wait"}[
                kind
            ]
            calls = tuple(dict.fromkeys(each.call for each in group))
            told.append(f"calls {_listed(calls)} {verb}" if len(calls) > 1 else f"{group[0]}, {len(group)} times")
    return told


def _grouped(seen: tuple[Seen, ...]) -> list[tuple[str, list[Seen]]]:
    groups: list[tuple[str, list[Seen]]] = []
    for each in seen:
        if groups and groups[-1][0] == each.kind:
            groups[-1][1].append(each)
        else:
            groups.append((each.kind, [each]))
    return groups


def _listed(calls: tuple[int, ...]) -> str:
    if len(calls) > 2 and calls == tuple(range(calls[0], calls[-1] + 1)):
        return f"{calls[0]} to {calls[-1]}"
    return ", ".join(map(str, calls))


# -- words to write scripts with


def call(*calls: int) -> Step:
    """Calls arrive, at once."""
    return Step("call", calls)


def succeed(*calls: int) -> Step:
    """They succeed."""
    return Step("succeeds", calls)


def fail(*calls: int) -> Step:
    """They fail."""
    return Step("fails", calls)


def end(kind: str, *calls: int) -> Step:
    """They end as told."""
    return Step(kind, calls)


def cancel(*calls: int) -> Step:
    """Their callers give up."""
    return Step("cancel", calls)


def advance(seconds: float) -> Step:
    """Time passes."""
    return Step("advance", value=seconds)


def wall(seconds: float) -> Step:
    """The wall clock is set."""
    return Step("wall", value=seconds)


def tick(seconds: float) -> Step:
    """The clock becomes coarse."""
    return Step("tick", value=seconds)
