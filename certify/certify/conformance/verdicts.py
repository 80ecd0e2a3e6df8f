"""What is said of a property: satisfied, violated with a trace, not applicable, undecided."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, assert_never

#: The twelve properties, in a few words each.
PROPERTIES: Final[Mapping[str, str]] = {
    "P1": "probe bound",
    "P2": "era isolation",
    "P3": "recovery liveness",
    "P4": "cancellation neutrality",
    "P5": "permit conservation",
    "P6": "clock",
    "P7": "trip exactness",
    "P8": "retry bounds",
    "P9": "backoff law",
    "P10": "budget and amplification",
    "P11": "non-interference",
    "P12": "limiter, hedge, idempotency",
}
MODES: Final = ("sync", "async")


@dataclass(frozen=True, slots=True)
class Row:
    """A line of a trace: what was done, when it was over, what was seen."""

    step: str
    seconds: float
    seen: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Satisfied:
    """Every run was allowed."""

    runs: int = 1


@dataclass(frozen=True, slots=True)
class Violated:
    """A run was not; none of its steps can be left out."""

    sentence: str
    trace: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class NotApplicable:
    """The library has no such thing."""

    reason: str


@dataclass(frozen=True, slots=True)
class Undecided:
    """Nothing is concluded."""

    reason: str


Verdict = Satisfied | Violated | NotApplicable | Undecided


def word(verdict: Verdict) -> str:
    """The verdict in a word."""
    match verdict:
        case Satisfied():
            return "satisfied"
        case Violated():
            return "violated"
        case NotApplicable():
            return "not applicable"
        case Undecided():
            return "undecided"
        case _:
            assert_never(verdict)


@dataclass(frozen=True, slots=True)
class Result:
    """What one scenario said."""

    property: str
    scenario: str
    mode: str
    verdict: Verdict

    def to_data(self) -> dict[str, Any]:
        """As a map of text, numbers and lists."""
        data: dict[str, Any] = {
            "property": self.property,
            "scenario": self.scenario,
            "mode": self.mode,
            "verdict": word(self.verdict),
        }
        match self.verdict:
            case Satisfied(runs):
                data["runs"] = runs
            case Violated(sentence, trace):
                data["sentence"] = sentence
                data["trace"] = [{"step": r.step, "seconds": r.seconds, "seen": list(r.seen)} for r in trace]
            case NotApplicable(reason) | Undecided(reason):
                data["reason"] = reason
            case _:
                assert_never(self.verdict)
        return data

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Result:
        """The inverse of `to_data`."""
        verdict: Verdict
        match data["verdict"]:
            case "satisfied":
                verdict = Satisfied(data["runs"])
            case "violated":
                rows = tuple(Row(r["step"], r["seconds"], tuple(r["seen"])) for r in data["trace"])
                verdict = Violated(data["sentence"], rows)
            case "not applicable":
                verdict = NotApplicable(data["reason"])
            case _:
                verdict = Undecided(data["reason"])
        return cls(data["property"], data["scenario"], data["mode"], verdict)


def overall(results: Iterable[Result]) -> Verdict:
    """What a property's scenarios say together.

    The first violation with the shortest trace; then what is undecided; then satisfied.
    """
    known = list(results)
    broken = [r.verdict for r in known if isinstance(r.verdict, Violated)]
    if broken:
        return min(broken, key=lambda verdict: len(verdict.trace))
    for result in known:
        if isinstance(result.verdict, Undecided):
            return Undecided(f"{result.scenario}: {result.verdict.reason}")
    held = [r.verdict for r in known if isinstance(r.verdict, Satisfied)]
    if held:
        return Satisfied(sum(verdict.runs for verdict in held))
    reasons = list(dict.fromkeys(r.verdict.reason for r in known if isinstance(r.verdict, NotApplicable)))
    return NotApplicable("; ".join(reasons) or "no scenario speaks of it")
