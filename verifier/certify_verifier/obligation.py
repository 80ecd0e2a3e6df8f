"""Proof obligations as values: SMT-LIB text whose unsatisfiability proves a claim.

Rules this module keeps:

- an obligation is its text: two with the same text are the same, and its digest names it in caches and in evidence;
- the text asserts what may be assumed and the negation of the claim, for parameters and sorts of any size;
- nothing is assumed that is not proved elsewhere or stated as an assumption, but that sets are finite.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

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


@dataclass(frozen=True, slots=True)
class Obligation:
    """One claim to prove.

    Attributes:
        claim: the property that it belongs to.
        purpose: what it shows.
        action: the action that it speaks of, or nothing.
        detail: which part of the claim, where there are several.
        text: SMT-LIB; the claim holds if its assertions are unsatisfiable.
    """

    claim: str
    purpose: Purpose
    action: str
    detail: str
    text: str

    @property
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


def obligations_of(
    specification: m.Specification, formula: m.Formula, universe: Universe = ANY_SIZE
) -> tuple[Obligation, ...]:
    """What is to be proved for a formula to hold in all reachable states."""
    if formula.kind is m.Kind.ALWAYS:
        return (_implied(specification, formula, universe),)
    read = analysis.variables_read(formula.formula, specification.definitions, specification.actions)
    kept = (a for a in specification.actions.values() if read & a.updates.keys())
    return (
        _at_the_start(specification, formula, universe),
        *(_kept(specification, formula, action, universe) for action in kept),
    )


def _implied(specification: m.Specification, formula: m.Formula, universe: Universe) -> Obligation:
    frame = Frame(specification, universe)
    state = frame.encoder.state("s.")
    claim = frame.encoder.formula(formula.formula, Surroundings(state))
    text = frame.text([*frame.assumed(), *frame.invariants(state), t.not_(claim)])
    return Obligation(formula.name, Purpose.IMPLIED, "", "", text)


def _at_the_start(specification: m.Specification, formula: m.Formula, universe: Universe) -> Obligation:
    frame = Frame(specification, universe)
    state = frame.initial_state()
    claim = frame.encoder.formula(formula.formula, Surroundings(state))
    given = [*frame.assumed(), *frame.formulas((m.Kind.INIT,), state), *frame.set_facts(state)]
    return Obligation(formula.name, Purpose.START, "", "", frame.text([*given, t.not_(claim)]))


def _kept(specification: m.Specification, formula: m.Formula, action: m.Action, universe: Universe) -> Obligation:
    frame = Frame(specification, universe)
    state = frame.encoder.state("s.")
    arguments = frame.arguments(action)
    after = frame.after(action, state, arguments)
    claim = frame.encoder.formula(formula.formula, Surroundings(after))
    given = [*frame.assumed(), *frame.invariants(state), frame.guard(action, state, arguments)]
    text = frame.text([*given, *frame.set_facts(after), t.not_(claim)])
    return Obligation(formula.name, Purpose.KEPT, action.name, "", text)


def step_obligations(
    specification: m.Specification, step: m.StepProperty, universe: Universe = ANY_SIZE
) -> tuple[Obligation, ...]:
    """What is to be proved for a step property: for each action that it speaks of."""
    made: list[Obligation] = []
    for action, names in actions_of(specification, step):
        frame = Frame(specification, universe)
        state = frame.encoder.state("s.")
        arguments = frame.arguments(action)
        after = frame.after(action, state, arguments)
        claim = frame.encoder.formula(step.formula, Surroundings(state, after, renamed(names, arguments)))
        given = [*frame.assumed(), *frame.invariants(state), frame.guard(action, state, arguments)]
        text = frame.text([*given, *frame.set_facts(after), t.not_(claim)])
        made.append(Obligation(step.name, Purpose.STEP, action.name, "", text))
    return tuple(made)


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
    frame = Frame(specification, universe)
    bound: dict[str, Symbolic | SymbolicFunction] = {}
    for name, kind in law.parameters:
        bound[name] = (
            _unknown_function(frame.encoder, kind, f"f.{name}")
            if isinstance(kind, FunctionType)
            else frame.encoder.unknown(kind, f"a.{name}")
        )
    found = frame.encoder.formula(formula, Surroundings(bound=bound))
    text = frame.text([*frame.assumed(), found if wanted else t.not_(found)])
    return Obligation(law.name, Purpose.LAW, "", "", text)


def _unknown_function(encoder: Encoder, kind: FunctionType, name: str) -> SymbolicFunction:
    def function(*values: Symbolic) -> Symbolic:
        return encoder.unknown(kind.result, name, tuple(part for value in values for part in encoder.flat(value)))

    return function
