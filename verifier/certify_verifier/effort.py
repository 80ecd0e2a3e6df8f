"""How much there is to write out before a solver can be asked: known before it is done.

Rules this module keeps:

- the estimate is made from the specification alone, in time linear in its length;
- what is too much is said as that, with its numbers; nothing is dropped in silence.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from math import prod
from typing import Final

from certify_spec import analysis
from certify_spec import model as m
from certify_spec.datatypes import MapType, SetType, SortType, Type

MAX_PARTS: Final = 20_000_000
"""Parts of formulas to write out, over all obligations of a specification: about a gigabyte of text."""


def excess(specification: m.Specification, sizes: Mapping[str, int], steps: int, limit: int = MAX_PARTS) -> str:
    """Why a specification is too large to verify, or nothing.

    Args:
        specification: what is to be verified.
        sizes: the size of each sort in searches.
        steps: the longest runs to search.
        limit: the most parts to write out.
    """
    measurer = analysis.Measurer()
    for name, definition in specification.definitions.items():
        measurer.define(name, definition.body)
    proof, search = _proof(specification, measurer), _search(specification, measurer, sizes, steps)
    if proof > limit:
        return f"the proofs have {proof} parts together, and at most {limit} can be written out: split the machine"
    if search > limit:
        return (
            f"the searches have {search} parts together, and at most {limit} can be written out: "
            "split the machine, or make the sorts of its instance smaller"
        )
    return ""


def _proof(specification: m.Specification, measurer: analysis.Measurer) -> int:
    """Each obligation repeats all that is known."""
    known = _size(measurer, (formula.formula for formula in specification.formulas))
    every = len(specification.actions)
    kinds = (m.Kind.INVARIANT, m.Kind.LEMMA)
    obligations = len(specification.of_kind(m.Kind.ALWAYS)) + len(specification.laws)
    obligations += len(specification.of_kind(*kinds)) * (1 + every)
    obligations += sum(len(step.on) or every for step in specification.steps)
    obligations += len(specification.progress) * (2 + 2 * every)
    return obligations * known


def _search(specification: m.Specification, measurer: analysis.Measurer, sizes: Mapping[str, int], steps: int) -> int:
    """Each goal that is to be reached repeats all runs up to it, for each element of the sorts."""
    goals = 1 + len(specification.actions) + len(specification.of_kind(m.Kind.REACHABLE))
    run = 1 + _size(measurer, _parts(specification.actions.values()))
    ranges = [_keys(variable.type) for variable in specification.variables.values()]
    ranges += [tuple(kind for _, kind in action.parameters) for action in specification.actions.values()]
    formulas = (*_parts(specification.actions.values()), *(f.formula for f in specification.formulas))
    for expression in formulas:
        ranges += [tuple(b.type for b in q.binders) for q in m.walk(expression) if isinstance(q, m.Quantified)]
    widest = max((_count(kinds, sizes) for kinds in ranges), default=1)
    return goals * steps * run * widest


def _keys(kind: Type) -> tuple[Type, ...]:
    match kind:
        case MapType(keys, value):
            return (*keys, *_keys(value))
        case SetType(element):
            return (element,)
        case _:
            return ()


def _count(kinds: Iterable[Type], sizes: Mapping[str, int]) -> int:
    return prod(sizes.get(kind.name, 1) for kind in kinds if isinstance(kind, SortType))


def _parts(actions: Iterable[m.Action]) -> Iterator[m.Expression]:
    for action in actions:
        yield action.guard
        yield from action.updates.values()


def _size(measurer: analysis.Measurer, expressions: Iterable[m.Expression]) -> int:
    return sum(measurer.measure(expression).size for expression in expressions)
