"""Proof obligations as values: SMT-LIB text whose unsatisfiability proves a claim.

Rules this module keeps:

- an obligation is its text: two with the same text are the same, and its digest names it in caches and in evidence;
- the text asserts what may be assumed and the negation of the claim, for parameters and sorts of any size;
- nothing is assumed that is not proved elsewhere or stated as an assumption, but that sets are finite.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from threading import Lock
from typing import Final

from certify_spec import analysis
from certify_spec import model as m
from certify_spec.datatypes import FunctionType, Type
from certify_verifier import terms as t
from certify_verifier.encoding import Encoder, State, Surroundings, Symbolic, SymbolicFunction
from certify_verifier.terms import Term


class Purpose(Enum):
    """What an obligation shows."""

    START = "holds at the start"
    KEPT = "is kept"
    IMPLIED = "follows from the invariants"
    STEP = "holds of the step"
    LAW = "holds for all types and values"
    PROGRESS = "makes progress"
    REFINES = "is a step of the abstract machine"


@dataclass(frozen=True)
class Obligation:
    """One claim to prove.

    Attributes:
        claim: the property that it belongs to.
        purpose: what it shows.
        action: the action that it speaks of, or nothing.
        detail: which part of the claim, where there are several.
        written: its text, or what writes it when it is first needed.
    """

    claim: str
    purpose: Purpose
    action: str
    detail: str
    written: str | Callable[[], str]

    @cached_property
    def text(self) -> str:
        """SMT-LIB; the claim holds if its assertions are unsatisfiable."""
        return self.written if isinstance(self.written, str) else self.written()

    @cached_property
    def digest(self) -> str:
        """The obligation's name: a digest of its text."""
        return hashlib.blake2b(self.text.encode(), digest_size=16).hexdigest()

    @property
    def title(self) -> str:
        """The obligation in words."""
        what = f"{self.purpose.value} {self.detail}".strip()
        return f"{self.claim}: {what}{f' by {self.action}' if self.action else ''}"

    def to_smt(self) -> str:
        """A complete SMT-LIB 2 script, for any solver."""
        return f"; {self.title}\n; proved if unsat\n(set-logic ALL)\n{self.text}(check-sat)\n"


@dataclass(frozen=True, slots=True)
class Universe:
    """Which worlds an obligation speaks of.

    Attributes:
        sizes: the size of each sort; None for any size.
        least: whether to say that finite sets have least elements, which some claims need and most only suffer from.
    """

    sizes: Mapping[str, int] | None = None
    least: bool = False


ANY_SIZE = Universe()


@dataclass(frozen=True, slots=True)
class Step:
    """A step from any state.

    Attributes:
        arguments: of the action.
        guard: that it can happen.
        after: the state after it.
        facts: what is known of finite sets after it.
    """

    arguments: Mapping[str, Symbolic]
    guard: Term
    after: Mapping[str, Symbolic]
    facts: tuple[Term, ...]


class Frame:
    """What every obligation of a specification is made from: one encoder and what may be assumed.

    Args:
        specification: the specification.
        universe: which worlds to speak of, and how much to say of finite sets.
    """

    def __init__(self, specification: m.Specification, universe: Universe = ANY_SIZE) -> None:
        self.specification = specification
        self.universe = universe
        self.encoder = Encoder(specification, universe.sizes)
        self._steps: dict[str, Step] = {}

    @cached_property
    def state(self) -> dict[str, Symbolic]:
        """Any state."""
        return self.encoder.state("s.")

    @cached_property
    def known(self) -> tuple[Term, ...]:
        """What may be assumed of `state`: the assumptions, and what is proved of every reachable state."""
        return (*self.assumed(), *self.invariants(self.state))

    def step(self, action: m.Action) -> Step:
        """Any step of an action from `state`."""
        found = self._steps.get(action.name)
        if found is None:
            arguments = self.arguments(action)
            after = self.after(action, self.state, arguments)
            guard = self.guard(action, self.state, arguments)
            found = Step(arguments, guard, after, tuple(self.set_facts(after)))
            self._steps[action.name] = found
        return found

    def set_facts(self, state: State) -> list[Term]:
        """What is known of finite sets, in a state."""
        return self.encoder.set_facts(state, least=self.universe.least)

    def assumed(self) -> list[Term]:
        """The assumptions and axioms."""
        return self.formulas((m.Kind.ASSUME, m.Kind.AXIOM), {})

    def formulas(self, kinds: Sequence[m.Kind], state: State) -> list[Term]:
        """The formulas of some kinds, in a state."""
        around = Surroundings(state)
        return [self.encoder.formula(f.formula, around) for f in self.specification.of_kind(*kinds)]

    def start(self, state: State) -> list[Term]:
        """That a state is an initial one."""
        parts = self.formulas((m.Kind.INIT,), state)
        for name, variable in self.specification.variables.items():
            if variable.initial is not None:
                value = self.encoder.value(variable.initial, Surroundings())
                parts.append(self.encoder.equal(variable.type, state[name], value))
        return parts

    def initial_state(self) -> dict[str, Symbolic]:
        """The initial state: start values where there are any, unknown values elsewhere."""
        state = self.encoder.state("s.")
        for name, variable in self.specification.variables.items():
            if variable.initial is not None:
                state[name] = self.encoder.value(variable.initial, Surroundings())
        return state

    def invariants(self, state: State) -> list[Term]:
        """What is proved of every reachable state, and what is known of finite sets."""
        known = self.formulas((m.Kind.INVARIANT, m.Kind.LEMMA), state)
        return [*known, *self.set_facts(state)]

    def arguments(self, action: m.Action, prefix: str = "a.") -> dict[str, Symbolic]:
        """Unknown arguments of an action."""
        return self.unknowns(action.parameters, prefix)

    def unknowns(self, parameters: Iterable[tuple[str, Type]], prefix: str) -> dict[str, Symbolic]:
        """Unknown values of parameters."""
        return {name: self.encoder.unknown(kind, prefix + name) for name, kind in parameters}

    def guard(self, action: m.Action, state: State, arguments: Mapping[str, Symbolic]) -> Term:
        """That an action can happen."""
        return self.encoder.formula(action.guard, Surroundings(state, bound=arguments))

    def after(self, action: m.Action, state: State, arguments: Mapping[str, Symbolic]) -> dict[str, Symbolic]:
        """The state after an action."""
        around = Surroundings(state, bound=arguments)
        return {**state, **{name: self.encoder.value(update, around) for name, update in action.updates.items()}}

    def text(self, assertions: Sequence[Term]) -> str:
        """SMT-LIB text of assertions."""
        kept = [assertion for assertion in assertions if assertion is not t.TRUE]
        return t.script(kept, self.encoder.enumerations)


_FRAMES: Final[OrderedDict[tuple[object, ...], Frame]] = OrderedDict()
_MOST_FRAMES: Final = 16
_FINDING: Final = Lock()


def frame_of(specification: m.Specification, universe: Universe = ANY_SIZE) -> Frame:
    """The frame of a specification in a universe: one for all obligations, so that what they share is encoded once."""
    sizes = None if universe.sizes is None else tuple(sorted(universe.sizes.items()))
    key = (id(specification), sizes, universe.least)  # a kept frame keeps its specification, and with it the identity
    with _FINDING:
        frame = _FRAMES.pop(key, None) or Frame(specification, universe)
        _FRAMES[key] = frame
        while len(_FRAMES) > _MOST_FRAMES:
            _FRAMES.popitem(last=False)
        return frame


def obligations_of(
    specification: m.Specification, formula: m.Formula, universe: Universe = ANY_SIZE
) -> tuple[Obligation, ...]:
    """What is to be proved for a formula to hold in all reachable states."""
    frame = frame_of(specification, universe)
    if formula.kind is m.Kind.ALWAYS:
        return (_implied(frame, formula),)
    read = analysis.variables_read(formula.formula, specification.definitions, specification.actions)
    kept = (a for a in specification.actions.values() if read & a.updates.keys())
    return (_at_the_start(frame, formula), *(_kept(frame, formula, action) for action in kept))


def _implied(frame: Frame, formula: m.Formula) -> Obligation:
    def written() -> str:
        claim = frame.encoder.formula(formula.formula, Surroundings(frame.state))
        return frame.text([*frame.known, t.not_(claim)])

    return Obligation(formula.name, Purpose.IMPLIED, "", "", written)


def _at_the_start(frame: Frame, formula: m.Formula) -> Obligation:
    def written() -> str:
        state = frame.initial_state()
        claim = frame.encoder.formula(formula.formula, Surroundings(state))
        given = [*frame.assumed(), *frame.formulas((m.Kind.INIT,), state), *frame.set_facts(state)]
        return frame.text([*given, t.not_(claim)])

    return Obligation(formula.name, Purpose.START, "", "", written)


def _kept(frame: Frame, formula: m.Formula, action: m.Action) -> Obligation:
    def written() -> str:
        step = frame.step(action)
        claim = frame.encoder.formula(formula.formula, Surroundings(step.after))
        return frame.text([*frame.known, step.guard, *step.facts, t.not_(claim)])

    return Obligation(formula.name, Purpose.KEPT, action.name, "", written)


def step_obligations(
    specification: m.Specification, step: m.StepProperty, universe: Universe = ANY_SIZE
) -> tuple[Obligation, ...]:
    """What is to be proved for a step property: for each action that it speaks of."""
    frame = frame_of(specification, universe)
    return tuple(_of_step(frame, step, action, names) for action, names in actions_of(specification, step))


def _of_step(frame: Frame, claimed: m.StepProperty, action: m.Action, names: Sequence[str]) -> Obligation:
    def written() -> str:
        step = frame.step(action)
        around = Surroundings(frame.state, step.after, renamed(names, step.arguments))
        claim = frame.encoder.formula(claimed.formula, around)
        return frame.text([*frame.known, step.guard, *step.facts, t.not_(claim)])

    return Obligation(claimed.name, Purpose.STEP, action.name, "", written)


def actions_of(specification: m.Specification, step: m.StepProperty) -> Iterator[tuple[m.Action, tuple[str, ...]]]:
    """The actions that a step property speaks of, with its names for their arguments."""
    if not step.on:
        yield from ((action, ()) for action in specification.actions.values())
    for on in step.on:
        yield specification.actions[on.action], on.names


def renamed(names: Sequence[str], arguments: Mapping[str, Symbolic]) -> dict[str, Symbolic | SymbolicFunction]:
    """Arguments under the names that a property gives them."""
    return dict(zip(names, arguments.values(), strict=False))


def law_obligation(specification: m.Specification, law: m.Law, universe: Universe = ANY_SIZE) -> Obligation:
    """What is to be proved for a law: that no values of its parameters break it."""
    return _of_values(specification, law, law.formula, universe, wanted=False)


def law_premise_obligation(
    specification: m.Specification, law: m.Law, premise: m.Expression, universe: Universe = ANY_SIZE
) -> Obligation:
    """That no values meet the premise of a law: if this is refuted, the law says something."""
    return _of_values(specification, law, premise, universe, wanted=True)


def _of_values(
    specification: m.Specification, law: m.Law, formula: m.Expression, universe: Universe, *, wanted: bool
) -> Obligation:
    frame = frame_of(specification, universe)

    def written() -> str:
        bound: dict[str, Symbolic | SymbolicFunction] = {}
        for name, kind in law.parameters:
            bound[name] = (
                _unknown_function(frame.encoder, kind, f"f.{name}")
                if isinstance(kind, FunctionType)
                else frame.encoder.unknown(kind, f"a.{name}")
            )
        found = frame.encoder.formula(formula, Surroundings(bound=bound))
        return frame.text([*frame.assumed(), found if wanted else t.not_(found)])

    return Obligation(law.name, Purpose.LAW, "", "", written)


def _unknown_function(encoder: Encoder, kind: FunctionType, name: str) -> SymbolicFunction:
    def function(*values: Symbolic) -> Symbolic:
        return encoder.unknown(kind.result, name, tuple(part for value in values for part in encoder.flat(value)))

    return function
