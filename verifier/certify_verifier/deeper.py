"""Induction over several steps: a claim that holds in `k` states one after the other holds in the next.

Rules this module keeps:

- worlds of any size and all parameters, as for plain induction;
- the first `k` states of every run are obligations, too: a step from states that no run has proves nothing alone;
- the other invariants are assumed in the states before, as plain induction assumes them: all are shown together.
"""

from __future__ import annotations

from typing import Final

from certify_spec import model as m
from certify_verifier import terms as t
from certify_verifier.encoding import Surroundings
from certify_verifier.obligation import Obligation, Purpose
from certify_verifier.search import Unrolling

DEPTHS: Final = (2, 3)
"""How many steps are tried, in this order."""


def deeper_obligations(specification: m.Specification, formula: m.Formula, depth: int) -> tuple[Obligation, ...]:
    """What is to be proved for a formula to hold in all reachable states, by induction over `depth` steps."""
    first = [_at(specification, formula, length, anywhere=False) for length in range(depth)]
    return (*first, _at(specification, formula, depth, anywhere=True))


def _at(specification: m.Specification, formula: m.Formula, length: int, *, anywhere: bool) -> Obligation:
    """That the formula holds after so many steps, from any state or from the start, if every invariant held before."""

    def written() -> str:
        run = Unrolling(specification, None, anywhere=anywhere)
        frame = run.frame
        given = []
        for _ in range(length):
            given += frame.invariants(run.states[-1])
            run.extend()
        last = run.states[-1]
        claim = frame.encoder.formula(formula.formula, Surroundings(last))
        steps = [part for step in run.constraints for part in step]
        return frame.text([*steps, *given, *frame.set_facts(last), t.not_(claim)])

    where = f"after {length} steps from any state" if anywhere else f"after {length} steps from the start"
    return Obligation(formula.name, Purpose.KEPT if anywhere else Purpose.START, "", where, written)
