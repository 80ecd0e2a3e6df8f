"""Refinement: every step of the concrete machine is a step of the abstract one, or leaves it as it is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from certify_spec import model as m
from certify_verifier import terms as t
from certify_verifier.encoding import Encoder, State, Surroundings, Symbolic
from certify_verifier.obligation import ANY_SIZE, Obligation, Purpose, Universe, frame_of, renamed
from certify_verifier.terms import Term


def title(refinement: m.Refinement) -> str:
    """How findings name a refinement."""
    return f"refines {refinement.abstract.name}"


def refinement_obligations(
    specification: m.Specification, refinement: m.Refinement, universe: Universe = ANY_SIZE
) -> tuple[Obligation, ...]:
    """What is to be proved for a refinement."""
    refined = _Refined(specification, refinement, universe)
    return (
        refined.assumptions(),
        refined.start(),
        *(refined.step(action) for action in specification.actions.values()),
    )


Asked = tuple[Sequence[Term], Term]
"""What is given, and what is to follow from it."""


class _Refined:
    """The obligations of a refinement."""

    def __init__(self, specification: m.Specification, refinement: m.Refinement, universe: Universe) -> None:
        self._refinement = refinement
        self._abstract = refinement.abstract
        self._frame = frame_of(specification, universe)
        encoder = self._frame.encoder
        parameters = {n: encoder.value(e, Surroundings()) for n, e in refinement.parameters.items()}
        self._above = Encoder(self._abstract, universe.sizes, parameters, encoder.names)

    def _seen(self, state: State) -> dict[str, Symbolic]:
        """The abstract state that a concrete one represents."""
        around = Surroundings(state)
        return {n: self._frame.encoder.value(e, around) for n, e in self._refinement.variables.items()}

    def _obligation(self, action: str, detail: str, asked: Callable[[], Asked]) -> Obligation:
        def written() -> str:
            given, claim = asked()
            return self._frame.text([*given, t.not_(claim)])

        return Obligation(title(self._refinement), Purpose.REFINES, action, detail, written)

    def assumptions(self) -> Obligation:
        def asked() -> Asked:
            formulas = self._abstract.of_kind(m.Kind.ASSUME, m.Kind.AXIOM)
            claim = t.and_(*(self._above.formula(f.formula, Surroundings()) for f in formulas))
            return self._frame.assumed(), claim

        return self._obligation("", "(the abstract assumptions hold)", asked)

    def start(self) -> Obligation:
        def asked() -> Asked:
            state = self._frame.initial_state()
            seen = self._seen(state)
            parts = [self._above.formula(f.formula, Surroundings(seen)) for f in self._abstract.of_kind(m.Kind.INIT)]
            for name, variable in self._abstract.variables.items():
                if variable.initial is not None:
                    begin = self._above.value(variable.initial, Surroundings())
                    parts.append(self._above.equal(variable.type, seen[name], begin))
            given = [*self._frame.assumed(), *self._frame.formulas((m.Kind.INIT,), state)]
            return [*given, *self._frame.set_facts(state)], t.and_(*parts)

        return self._obligation("", "(at the start)", asked)

    def step(self, action: m.Action) -> Obligation:
        def asked() -> Asked:
            state, step = self._frame.state, self._frame.step(action)
            seen, seen_after = self._seen(state), self._seen(step.after)
            claim = self._same(seen, seen_after)
            for mapped in reversed([x for x in self._refinement.actions if x.concrete == action.name]):
                around = Surroundings(state, bound=renamed(mapped.names, step.arguments))
                taken = self._taken(mapped, around, seen, seen_after)
                claim = t.ite(self._frame.encoder.formula(mapped.condition, around), taken, claim)
            return [*self._frame.known, step.guard, *step.facts], claim

        return self._obligation(action.name, "", asked)

    def _taken(
        self, mapped: m.MappedAction, around: Surroundings, seen: Mapping[str, Symbolic], after: Mapping[str, Symbolic]
    ) -> Term:
        action = self._abstract.actions[mapped.abstract]
        values = (self._frame.encoder.value(argument, around) for argument in mapped.arguments)
        above = Surroundings(seen, bound={n: v for (n, _), v in zip(action.parameters, values, strict=True)})
        changes = {name: self._above.value(update, above) for name, update in action.updates.items()}
        return t.and_(self._above.formula(action.guard, above), self._same({**seen, **changes}, after))

    def _same(self, one: Mapping[str, Symbolic], other: Mapping[str, Symbolic]) -> Term:
        return t.and_(
            *(self._above.equal(v.type, one[name], other[name]) for name, v in self._abstract.variables.items())
        )
