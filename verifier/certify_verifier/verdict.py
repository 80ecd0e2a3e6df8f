"""What a verifier may conclude, as a sealed type that keeps apart what must not be confused.

Rules this module keeps:

- only `Proved` says that a property holds for all parameters, all sizes and all reachable states;
- a `Refuted` carries a run that the interpreter has replayed;
- `NotInductive` and `Undecided` are never success.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, assert_never

from certify_spec.diagnostics import Place
from certify_spec.interpreter import Event, Trace


@dataclass(frozen=True, slots=True)
class Proved:
    """Holds for all parameters, all sizes and all reachable states.

    Attributes:
        method: how it was shown.
        lemma: what the specification does not say and the proof needs, as the language would write it; it was found by
            the verifier and is proved together with the property.
    """

    method: str
    lemma: str = ""


@dataclass(frozen=True, slots=True)
class ProvedUpTo:
    """Holds in every run of at most `steps` steps in the instance described; nothing is known beyond."""

    steps: int
    instance: str


@dataclass(frozen=True, slots=True)
class Refuted:
    """A run breaks it, and no shorter one does in the same instance.

    Attributes:
        trace: the run, replayed by the interpreter.
        clause: the part of the property that is false at its end, as written.
    """

    trace: Trace
    clause: str = ""


@dataclass(frozen=True, slots=True)
class NotInductive:
    """A step leads from a state that satisfies every invariant to one that breaks this one.

    Whether a run leads to that state is not known: the property may be true and need a `lemma`.
    """

    trace: Trace
    event: Event | None


@dataclass(frozen=True, slots=True)
class Vacuous:
    """It speaks of nothing: `premise` can never happen."""

    premise: str


@dataclass(frozen=True, slots=True)
class Undecided:
    """Neither proved nor refuted, for `reason`. The SMT-LIB text of what was asked is at hand."""

    reason: str


Verdict = Proved | ProvedUpTo | Refuted | NotInductive | Vacuous | Undecided


def name(verdict: Verdict) -> str:
    """The verdict's stable name."""
    match verdict:
        case Proved():
            return "proved"
        case ProvedUpTo():
            return "proved-up-to"
        case Refuted():
            return "refuted"
        case NotInductive():
            return "not-inductive"
        case Vacuous():
            return "vacuous"
        case Undecided():
            return "undecided"
        case _:
            assert_never(verdict)


def is_success(verdict: Verdict) -> bool:
    """Whether the property holds without any reservation."""
    match verdict:
        case Proved():
            return True
        case ProvedUpTo() | Refuted() | NotInductive() | Vacuous() | Undecided():
            return False
        case _:
            assert_never(verdict)


def to_json(verdict: Verdict) -> dict[str, Any]:
    """The verdict as text, numbers, lists and maps."""
    data: dict[str, Any] = {"verdict": name(verdict)}
    match verdict:
        case Proved(method, lemma):
            return data | {"method": method} | ({"lemma": lemma} if lemma else {})
        case ProvedUpTo(steps, instance):
            return data | {"steps": steps, "instance": instance}
        case Refuted(trace, clause):
            return data | {"trace": trace.to_data(), "clause": clause}
        case NotInductive(trace, event):
            return data | {"trace": trace.to_data(), "action": event.action if event else ""}
        case Vacuous(premise):
            return data | {"premise": premise}
        case Undecided(reason):
            return data | {"reason": reason}
        case _:
            assert_never(verdict)


@dataclass(frozen=True, slots=True)
class Finding:
    """What is known of one property.

    Attributes:
        name: the name of the property.
        kind: what it claims: `invariant`, `step`, `progress`, … or `action` for whether an action can happen.
        verdict: the conclusion.
        place: where it stands.
        doc: its documentation, which begins with the requirements that it serves.
        seconds: wall time.
        solvers: for each solver asked, how many of the obligations it has proved.
        obligations: digests of the obligations that the conclusion rests on.
    """

    name: str
    kind: str
    verdict: Verdict
    place: Place
    doc: str = ""
    seconds: float = 0.0
    solvers: Mapping[str, int] = field(default_factory=dict)
    obligations: tuple[str, ...] = ()

    def to_data(self) -> dict[str, Any]:
        """The finding as text, numbers, lists and maps."""
        return {
            "property": self.name,
            "kind": self.kind,
            "place": self.place.to_data(),
            "doc": self.doc,
            "seconds": self.seconds,
            "solvers": dict(self.solvers),
            "obligations": list(self.obligations),
            **to_json(self.verdict),
        }
