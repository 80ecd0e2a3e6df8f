"""Breaking a specification on purpose, to see whether its properties notice.

A mutant differs from the machine in one small way: a guard is weaker, a number off by one, an update forgotten. A
property kills it if its proof fails for the mutant, with a state of a small world to show for it. A mutant that behaves
as the machine does wherever the invariants hold is equivalent and does not count.

Rules this module keeps:

- only what really happens is broken: ghosts are there for proofs, and mutants of them would say nothing;
- a mutant is dead only if something is shown to fail; a solver that gives up kills nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

from certify_spec import model as m
from certify_spec.datatypes import BOOL, DURATION, INT
from certify_spec.diagnostics import Place
from certify_spec.interpreter import Trace
from certify_verifier import terms as t
from certify_verifier.obligation import ANY_SIZE, Obligation, Purpose, Universe, frame_of
from certify_verifier.search import Goal, Unrolling, shortest
from certify_verifier.solving import Question, Solvers, Status
from certify_verifier.verify import Claim, Session, Settings, claims, finite_sizes


@dataclass(frozen=True, slots=True)
class Mutant:
    """A machine with one small change.

    Attributes:
        change: what was changed, in words.
        action: the action that was changed.
        place: where.
        specification: the machine with the change.
    """

    change: str
    action: str
    place: Place
    specification: m.Specification


class Fate(Enum):
    """What became of a mutant."""

    KILLED = "killed"
    SURVIVED = "survived"
    EQUIVALENT = "equivalent"
    UNDECIDED = "undecided"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a mutant, and by which property, if it was killed."""

    mutant: Mutant
    fate: Fate
    by: str = ""

    def to_data(self) -> dict[str, Any]:
        """The outcome as text and numbers."""
        mutant = self.mutant
        place = mutant.place.to_data()
        return {
            "change": mutant.change,
            "action": mutant.action,
            "place": place,
            "fate": self.fate.value,
            "by": self.by,
        }


# --- making mutants --------------------------------------------------------------------------------------------------


def mutants(specification: m.Specification) -> tuple[Mutant, ...]:
    """Every mutant of a machine, in the order of its text."""
    return tuple(mutant for action in specification.actions.values() for mutant in _of_action(specification, action))


def _of_action(specification: m.Specification, action: m.Action) -> Iterator[Mutant]:
    def made(changed: m.Action, change: str, place: Place) -> Mutant:
        actions = {**specification.actions, action.name: changed}
        return Mutant(change, action.name, place, replace(specification, actions=actions))

    if any(action.place == variable.place for variable in specification.variables.values()):
        return  # the `tick` that a clock brings along is not the author's
    for guard, change, place in _variants(action.guard, specification):
        yield made(replace(action, guard=guard), f"guard: {change}", place)
    real = {n for n, v in specification.variables.items() if v.role is m.Role.STATE}
    for name, update in action.updates.items():
        if name not in real:
            continue
        kept = {n: u for n, u in action.updates.items() if n != name}
        yield made(replace(action, updates=kept), f"`{name}` is not updated", update.place)
        for variant, change, place in _variants(update, specification):
            yield made(replace(action, updates={**action.updates, name: variant}), f"`{name}`: {change}", place)


Variant = tuple[m.Expression, str, Place]


def _variants(expression: m.Expression, specification: m.Specification) -> Iterator[Variant]:
    """The expression with one change anywhere in it."""
    text = specification.source(expression.place)
    for changed, change in _changes(expression, text):
        yield changed, change, expression.place
    for name, rebuild in _parts(expression):
        for changed, change, place in _variants(name, specification):
            yield rebuild(changed), change, place


def _changes(e: m.Expression, text: str) -> Iterator[tuple[m.Expression, str]]:
    """What can be changed of an expression itself."""
    match e:
        case m.And(operands=operands):
            for position in range(len(operands)):
                rest = operands[:position] + operands[position + 1 :]
                yield replace(e, operands=rest), f"conjunct {position + 1} of `{text}` is dropped"
        case m.Or(operands=operands):
            for position in range(len(operands)):
                rest = operands[:position] + operands[position + 1 :]
                yield replace(e, operands=rest), f"alternative {position + 1} of `{text}` is dropped"
        case m.Order():
            yield replace(e, strict=not e.strict), f"`{text}` is off at the border"
        case m.Equal():
            yield m.Not(type=BOOL, place=e.place, operand=e), f"`{text}` is negated"
        case m.Literal(value=int(value)) if e.type in (INT, DURATION):
            yield replace(e, value=value + 1), f"`{text}` is one more"
            yield replace(e, value=value - 1), f"`{text}` is one less"
        case m.Arithmetic(operator="+"):
            yield replace(e, operator="-"), f"`+` becomes `-` in `{text}`"
        case m.Arithmetic(operator="-"):
            yield replace(e, operator="+"), f"`-` becomes `+` in `{text}`"
        case m.Arithmetic(operator="min"):
            yield replace(e, operator="max"), f"`min` becomes `max` in `{text}`"
        case m.If(condition=condition):
            negated = m.Not(type=BOOL, place=condition.place, operand=condition)
            yield replace(e, condition=negated), f"the arms of `{text}` are swapped"
            yield e.then, f"`{text}` always takes its first arm"
            yield e.otherwise, f"`{text}` always takes its second arm"
        case m.Inserted() | m.Removed():
            yield e.set, f"`{text}` changes nothing"
        case m.Stored(entries=entries) if len(entries) > 1:
            for position in range(len(entries)):
                rest_entries = entries[:position] + entries[position + 1 :]
                yield replace(e, entries=rest_entries), f"assignment {position + 1} of `{text}` is dropped"
        case _:
            return


Rebuild = Callable[[m.Expression], m.Expression]


def _parts(e: m.Expression) -> Iterator[tuple[m.Expression, Rebuild]]:
    """The parts of an expression in which changes are made, and how to put a changed one back."""
    match e:
        case m.And(operands=operands) | m.Or(operands=operands):
            for position, operand in enumerate(operands):
                yield operand, _operand(e, position)
        case m.Order() | m.Equal() | m.Arithmetic():
            yield e.left, lambda new: replace(e, left=new)
            yield e.right, lambda new: replace(e, right=new)
        case m.Not(operand=operand):
            yield operand, lambda new: replace(e, operand=new)
        case m.Implies():
            yield e.premise, lambda new: replace(e, premise=new)
            yield e.conclusion, lambda new: replace(e, conclusion=new)
        case m.If():
            yield e.condition, lambda new: replace(e, condition=new)
            yield e.then, lambda new: replace(e, then=new)
            yield e.otherwise, lambda new: replace(e, otherwise=new)
        case m.Stored(entries=entries):
            yield e.map, lambda new: replace(e, map=new)
            for position, (_, value) in enumerate(entries):
                yield value, _entry(e, position)
        case m.Inserted() | m.Removed():
            yield e.set, lambda new: replace(e, set=new)
        case m.Amended(changes=changes):
            for position, (_, value) in enumerate(changes):
                yield value, _change(e, position)
        case m.Case(content=content) if content is not None:
            yield content, lambda new: replace(e, content=new)
        case m.Everywhere(value=value):
            yield value, lambda new: replace(e, value=new)
        case m.Tabulated(body=body):
            yield body, lambda new: replace(e, body=new)
        case _:
            return


def _operand(e: m.And | m.Or, position: int) -> Rebuild:
    return lambda new: replace(e, operands=(*e.operands[:position], new, *e.operands[position + 1 :]))


def _entry(e: m.Stored, position: int) -> Rebuild:
    keys = e.entries[position][0]
    return lambda new: replace(e, entries=(*e.entries[:position], (keys, new), *e.entries[position + 1 :]))


def _change(e: m.Amended, position: int) -> Rebuild:
    name = e.changes[position][0]
    return lambda new: replace(e, changes=(*e.changes[:position], (name, new), *e.changes[position + 1 :]))


# --- judging mutants -------------------------------------------------------------------------------------------------


def mutate(specification: m.Specification, solvers: Solvers, settings: Settings | None = None) -> tuple[Outcome, ...]:
    """What becomes of every mutant of a proved machine."""
    return mutate_some(specification, mutants(specification), solvers, settings)


def mutate_some(
    specification: m.Specification, chosen: Sequence[Mutant], solvers: Solvers, settings: Settings | None = None
) -> tuple[Outcome, ...]:
    """What becomes of some of the mutants of a proved machine."""
    judge = _Judge(specification, Session(solvers, settings or Settings()))
    return tuple(solvers.map(judge.outcome, chosen))


class _Judge:
    """Decides the fate of mutants of one machine."""

    def __init__(self, specification: m.Specification, session: Session) -> None:
        self._specification = specification
        self._session = session
        self._sizes = finite_sizes(specification, session.settings.size)
        self._lengths: dict[str, int] = {}

    def outcome(self, mutant: Mutant) -> Outcome:
        """What becomes of a mutant."""
        doubtful = ""
        for claim in _nearest_first(claims(mutant.specification)):
            fate = self._killed_by(claim, mutant)
            if fate is Fate.KILLED:
                return Outcome(mutant, Fate.KILLED, claim.name)
            if fate is Fate.UNDECIDED:
                doubtful = doubtful or claim.name
        if self._is_equivalent(mutant):
            return Outcome(mutant, Fate.EQUIVALENT)
        lost = self._lost(mutant)
        if lost:
            return Outcome(mutant, Fate.KILLED, lost)
        return Outcome(mutant, Fate.UNDECIDED, doubtful) if doubtful else Outcome(mutant, Fate.SURVIVED)

    def _killed_by(self, claim: Claim, mutant: Mutant) -> Fate:
        settings = self._session.settings
        doubtful = False
        for position, obligation in enumerate(claim.build(mutant.specification, ANY_SIZE)):
            if obligation.action not in ("", mutant.action) or obligation.purpose is Purpose.START:
                continue
            if self._session.is_unsatisfiable(obligation, settings.quick, solver="z3") is Status.UNSAT:
                continue
            if self._fails_somewhere(claim, mutant, position):
                return Fate.KILLED
            doubtful = doubtful or not self._provable(claim, mutant, position)
        return Fate.UNDECIDED if doubtful else Fate.SURVIVED

    def _fails_somewhere(self, claim: Claim, mutant: Mutant, position: int) -> bool:
        """Whether a small world shows that the proof fails."""
        for size in (1, 2, 3):
            sizes = dict.fromkeys(self._specification.sorts, size)
            obligation = claim.build(mutant.specification, Universe(sizes))[position]
            question = Question(obligation.text, milliseconds=self._session.settings.slow)
            if self._session.ask(question).status is Status.SAT:
                return True
        return False

    def _provable(self, claim: Claim, mutant: Mutant, position: int) -> bool:
        obligation = claim.build(mutant.specification, Universe(least=True))[position]
        return self._session.is_unsatisfiable(obligation, self._session.settings.slow, solver="z3") is Status.UNSAT

    def _is_equivalent(self, mutant: Mutant) -> bool:
        """Whether the mutant does the same as the machine wherever the invariants hold."""
        frame = frame_of(self._specification)
        state = frame.state
        before, changed = (s.actions[mutant.action] for s in (self._specification, mutant.specification))
        arguments = frame.arguments(before)
        guards = frame.guard(before, state, arguments), frame.guard(changed, state, arguments)
        after = frame.after(before, state, arguments), frame.after(changed, state, arguments)
        variables = self._specification.variables
        same = t.and_(*(frame.encoder.equal(v.type, after[0][n], after[1][n]) for n, v in variables.items()))
        claim = t.and_(t.equal(*guards), t.implies(guards[0], same))
        text = frame.text([*frame.known, t.not_(claim)])
        obligation = Obligation(mutant.change, Purpose.IMPLIED, mutant.action, "", text)
        return self._session.is_unsatisfiable(obligation, self._session.settings.slow, solver="z3") is Status.UNSAT

    def _lost(self, mutant: Mutant) -> str:
        """What the machine can do and the mutant cannot, in as many steps as the machine needs and two more."""
        unrolling: Unrolling | None = None
        for goal in self._goals():
            if goal.name not in self._lengths:
                found = shortest(
                    Unrolling(self._specification, self._sizes), goal, self._session.ask, self._session.settings.steps
                )
                self._lengths[goal.name] = len(found.steps) if isinstance(found, Trace) else -1
            length = self._lengths[goal.name]
            unrolling = unrolling or Unrolling(mutant.specification, self._sizes)
            if length >= 0 and not isinstance(
                shortest(unrolling, goal, self._session.ask, length + 2, tidy=False), Trace
            ):
                return goal.name
        return ""

    def _goals(self) -> Iterator[Goal]:
        for action in self._specification.actions.values():
            yield Goal(action.name, action=action.name)
        for formula in self._specification.of_kind(m.Kind.REACHABLE):
            yield Goal(formula.name, state=formula.formula, wanted=True)


def _nearest_first(every: tuple[Claim, ...]) -> list[Claim]:
    """Contracts of steps first: they are what most mutants break, and quick to ask."""
    order = {"step": 0, "invariant": 1, "lemma": 1, "always": 2, "progress": 3, "refines": 4}
    return sorted((claim for claim in every if claim.kind in order), key=lambda claim: order[claim.kind])
