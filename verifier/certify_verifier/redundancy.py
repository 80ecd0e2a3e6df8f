"""Guards that say nothing: parts of an action's guard that the invariants and its other parts imply.

Rules this module keeps:

- a note, never a failure: the machine without the part has the same steps from every state that the invariants allow;
- worlds of any size and all parameters; what no solver shows within its effort is not noted.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from certify_spec import model as m
from certify_spec.diagnostics import Place
from certify_verifier import terms as t
from certify_verifier.cache import Cache
from certify_verifier.obligation import Frame, Obligation, Purpose, frame_of
from certify_verifier.solving import Solvers, Status
from certify_verifier.verify import Session, Settings


@dataclass(frozen=True, slots=True)
class RedundantGuard:
    """A part of a guard that changes nothing.

    Attributes:
        action: the action that it guards.
        text: the part, as written.
        place: where it stands.
    """

    action: str
    text: str
    place: Place


EFFORT: Final = 200
"""Milliseconds of effort for each part of a guard."""


def redundant_guards(
    specification: m.Specification, solvers: Solvers, cache: Cache | None = None
) -> tuple[RedundantGuard, ...]:
    """The parts of guards that change nothing, in the order of the text.

    Args:
        specification: a machine whose invariants are proved; they are assumed.
        solvers: the processes to ask.
        cache: where answers are kept between runs.
    """
    session = Session(solvers, Settings(), cache)

    def told(asked: tuple[RedundantGuard, Obligation]) -> bool:
        return session.is_unsatisfiable(asked[1], EFFORT, solver="z3") is Status.UNSAT

    every = list(guard_obligations(specification))
    return tuple(guard for (guard, _), found in zip(every, solvers.map(told, every), strict=True) if found)


def guard_obligations(specification: m.Specification) -> Iterator[tuple[RedundantGuard, Obligation]]:
    """For each part of each guard that stands beside others or alone, that it follows from the rest."""
    frame = frame_of(specification)
    for action in specification.actions.values():
        parts = action.guard.operands if isinstance(action.guard, m.And) else (action.guard,)
        for position, part in enumerate(parts):
            if isinstance(part, m.Literal):
                continue
            rest = (*parts[:position], *parts[position + 1 :])
            told = RedundantGuard(action.name, specification.source(part.place), part.place)
            yield told, _follows(frame, action, part, rest)


def _follows(frame: Frame, action: m.Action, part: m.Expression, rest: tuple[m.Expression, ...]) -> Obligation:
    def written() -> str:
        arguments = frame.arguments(action)
        others = [frame.guard(replace(action, guard=other), frame.state, arguments) for other in rest]
        claimed = frame.guard(replace(action, guard=part), frame.state, arguments)
        return frame.text([*frame.known, *others, t.not_(claimed)])

    return Obligation(f"guard of {action.name}", Purpose.IMPLIED, action.name, "", written)
