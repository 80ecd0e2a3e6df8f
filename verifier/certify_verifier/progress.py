"""Progress: what is to be proved for a ranking, or a chain of other progress, to be an argument.

A ranking shows that from the premise on, `via` holds until the goal does; that meanwhile the rank, whole numbers from
0 compared in order, never grows; and that some helpful action is enabled, stays enabled until the rank falls, and makes
it fall. An action is counted upon only where its own condition holds, which then belongs to its being enabled. As the
rank cannot fall for ever and helpful actions are fair, the goal must come.

Rules this module keeps:

- an action counts as helpful only if the scheduler is fair to it;
- the arguments of a helpful action stay the same until the rank falls, so that fairness to one instance of it applies.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial

from certify_spec import analysis
from certify_spec import model as m
from certify_spec.datatypes import Type
from certify_verifier import terms as t
from certify_verifier.encoding import State, Surroundings, Symbolic
from certify_verifier.obligation import ANY_SIZE, Frame, Obligation, Purpose, Universe, frame_of
from certify_verifier.terms import Term


def objection(specification: m.Specification, progress: m.Progress) -> str:
    """Why an argument cannot be one, whatever a solver says; empty if it can."""
    if isinstance(progress.argument, m.Chain):
        return _chain_objection(specification, progress, progress.argument)
    for helpful in progress.argument.helpful:
        action = specification.actions[helpful.action]
        if action.fairness is m.Fairness.NONE:
            return f"`{action.name}` helps only if it is taken, and nothing says that it is `fair`"
    return ""


def _chain_objection(specification: m.Specification, progress: m.Progress, chain: m.Chain) -> str:
    known = dict(progress.parameters)
    for link in links(specification, chain):
        for name, kind in link.parameters:
            if known.get(name) != kind:
                return f"`{link.name}` speaks of `{name} : {kind}`, and `{progress.name}` has no such parameter"
    return ""


def links(specification: m.Specification, chain: m.Chain) -> tuple[m.Progress, ...]:
    """The progress properties of a chain."""
    named = {progress.name: progress for progress in specification.progress}
    return tuple(named[name] for name in chain.links)


def progress_obligations(
    specification: m.Specification, progress: m.Progress, universe: Universe = ANY_SIZE
) -> tuple[Obligation, ...]:
    """What is to be proved for a progress property."""
    if isinstance(progress.argument, m.Chain):
        return tuple(_chained(specification, progress, progress.argument, universe))
    ranked = _Ranked(frame_of(specification, universe), progress, progress.argument)
    return (
        ranked.enters(),
        ranked.is_bounded(),
        ranked.is_enabled(),
        *(ranked.never_grows(action) for action in specification.actions.values()),
        *(ranked.falls(helpful) for helpful in progress.argument.helpful),
    )


Asked = tuple[Sequence[Term], Term]
"""What is given, and what is to follow from it."""


class _Ranked:
    """The obligations of a ranking: about a state in which `via` holds and the goal does not."""

    def __init__(self, frame: Frame, progress: m.Progress, ranking: m.Ranking) -> None:
        self._specification = frame.specification
        self._progress = progress
        self._ranking = ranking
        self._frame = frame
        self._state = frame.state
        self._bound = frame.unknowns(progress.parameters, "q.")

    def _obligation(self, action: str, detail: str, asked: Callable[[], Asked]) -> Obligation:
        def written() -> str:
            given, claim = asked()
            return self._frame.text([*self._frame.known, *given, t.not_(claim)])

        return Obligation(self._progress.name, Purpose.PROGRESS, action, detail, written)

    def _holds(self, formula: m.Expression, state: State) -> Term:
        return self._frame.encoder.formula(formula, Surroundings(state, bound=self._bound))

    def _waiting(self) -> list[Term]:
        return [self._holds(self._ranking.via, self._state), t.not_(self._holds(self._progress.goal, self._state))]

    def enters(self) -> Obligation:
        def asked() -> Asked:
            premise = self._holds(self._progress.premise, self._state)
            given = [premise, t.not_(self._holds(self._progress.goal, self._state))]
            return given, self._holds(self._ranking.via, self._state)

        return self._obligation("", "(`via` holds from the premise on)", asked)

    def is_bounded(self) -> Obligation:
        def asked() -> Asked:
            return self._waiting(), t.and_(*(t.at_most(t.number(0), rank) for rank in self._ranks(self._state)))

        return self._obligation("", "(the rank is not negative)", asked)

    def is_enabled(self) -> Obligation:
        def asked() -> Asked:
            return self._waiting(), t.or_(*(self._helps(helpful, self._state) for helpful in self._ranking.helpful))

        return self._obligation("", "(a helpful action is enabled)", asked)

    def never_grows(self, action: m.Action) -> Obligation:
        def asked() -> Asked:
            step = self._frame.step(action)
            stays = [self._keeps_helping(helpful, step.after) for helpful in self._ranking.helpful]
            ranks = zip(self._ranks(step.after), self._ranks(self._state), strict=True)
            same = t.and_(*(t.equal(a, b) for a, b in ranks), *stays)
            claim = self._onwards(step.after, t.or_(self._lower(step.after), same))
            return [*self._waiting(), step.guard, *step.facts], claim

        return self._obligation(action.name, "(the rank does not grow)", asked)

    def _keeps_helping(self, helpful: m.Helpful, after: State) -> Term:
        """That an action that helps goes on helping, in the same instance."""
        definitions = self._specification.definitions
        read = [a for a in helpful.arguments or () if analysis.variables_read(a, definitions)]
        if len(self._ranking.helpful) == 1 and not read:
            # That it stays enabled follows from its being enabled wherever the goal is awaited.
            return t.TRUE
        now, then = (Surroundings(state, bound=self._bound) for state in (self._state, after))
        encoder = self._frame.encoder
        same = [encoder.equal(a.type, encoder.value(a, now), encoder.value(a, then)) for a in read]
        return t.implies(self._helps(helpful, self._state), t.and_(self._helps(helpful, after), *same))

    def falls(self, helpful: m.Helpful) -> Obligation:
        action = self._specification.actions[helpful.action]

        def asked() -> Asked:
            arguments = self._arguments(action, helpful) or self._frame.arguments(action)
            after = self._frame.after(action, self._state, arguments)
            given = [*self._waiting(), self._holds(helpful.condition, self._state)]
            given += [self._frame.guard(action, self._state, arguments), *self._frame.set_facts(after)]
            return given, self._onwards(after, self._lower(after))

        return self._obligation(action.name, "(the rank falls)", asked)

    def _onwards(self, after: State, advance: Term) -> Term:
        return t.or_(self._holds(self._progress.goal, after), t.and_(self._holds(self._ranking.via, after), advance))

    def _ranks(self, state: State) -> list[Term]:
        around = Surroundings(state, bound=self._bound)
        return [self._frame.encoder.term(rank, around) for rank in self._ranking.ranks]

    def _lower(self, after: State) -> Term:
        """That the rank after is lower, the first number that differs deciding."""
        result: Term = t.FALSE
        pairs = list(zip(self._ranks(after), self._ranks(self._state), strict=True))
        for then, now in reversed(pairs):
            result = t.or_(t.less(then, now), t.and_(t.equal(then, now), result))
        return result

    def _arguments(self, action: m.Action, helpful: m.Helpful) -> dict[str, Symbolic] | None:
        if helpful.arguments is None:
            return None
        around = Surroundings(self._state, bound=self._bound)
        values = (self._frame.encoder.value(argument, around) for argument in helpful.arguments)
        return {name: value for (name, _), value in zip(action.parameters, values, strict=True)}

    def _helps(self, helpful: m.Helpful, state: State) -> Term:
        """That a helpful action is enabled where it is counted upon."""
        return t.and_(self._holds(helpful.condition, state), self._enabled(helpful, state))

    def _enabled(self, helpful: m.Helpful, state: State) -> Term:
        action = self._specification.actions[helpful.action]
        arguments = self._arguments(action, helpful)
        if arguments is not None:
            return self._frame.guard(action, state, arguments)
        return self._some_enabled(action, list(action.parameters), {}, state)

    def _some_enabled(
        self, action: m.Action, parameters: list[tuple[str, Type]], chosen: Mapping[str, Symbolic], state: State
    ) -> Term:
        if not parameters:
            return self._frame.guard(action, state, chosen)
        (name, kind), *rest = parameters
        return self._frame.encoder.over(
            kind, False, lambda value: self._some_enabled(action, rest, {**chosen, name: value}, state)
        )


def _chained(
    specification: m.Specification, progress: m.Progress, chain: m.Chain, universe: Universe
) -> Iterator[Obligation]:
    """Each link begins where the one before ends, the first at the premise, and the last ends at the goal."""
    stops = links(specification, chain)
    froms = [progress.premise, *(link.goal for link in stops)]
    tos = [*(link.premise for link in stops), progress.goal]
    frame = frame_of(specification, universe)
    for position, (begin, end) in enumerate(zip(froms, tos, strict=True)):
        written = partial(_link_text, frame, progress, begin, end)
        yield Obligation(progress.name, Purpose.PROGRESS, "", f"(link {position + 1} of the chain)", written)


def _link_text(frame: Frame, progress: m.Progress, begin: m.Expression, end: m.Expression) -> str:
    around = Surroundings(frame.state, bound=frame.unknowns(progress.parameters, "q."))
    formula = frame.encoder.formula
    given = [*frame.known, formula(begin, around), t.not_(formula(progress.goal, around))]
    return frame.text([*given, t.not_(formula(end, around))])
