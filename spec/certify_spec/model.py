"""The typed tree: what a specification means, ready for every reader.

Rules this module keeps:

- names are resolved: an expression says whether it reads a variable, a parameter, a bound name or a function;
- every expression has a type and the place of its text; `Number` and unknown types do not occur;
- updates are simultaneous: an action gives each variable that it changes one expression over the state before;
- nothing here depends on how the specification was written, only on what it says.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from enum import Enum

from certify_spec.datatypes import Shapes, Type
from certify_spec.diagnostics import Place


@dataclass(frozen=True, slots=True, kw_only=True)
class _Expression:
    type: Type
    place: Place


@dataclass(frozen=True, slots=True, kw_only=True)
class Literal(_Expression):
    """A truth value or a whole number."""

    value: bool | int


@dataclass(frozen=True, slots=True, kw_only=True)
class Variable(_Expression):
    """A state variable, in the state at hand."""

    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class After(_Expression):
    """An expression over the state after the step. Stands only in step properties, and never inside itself."""

    operand: Expression


@dataclass(frozen=True, slots=True, kw_only=True)
class Local(_Expression):
    """A bound name: an argument, a quantified name, a `let`, the content of a case."""

    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied(_Expression):
    """A `param` (no arguments), `function` or `relation`: fixed for all of a run."""

    name: str
    arguments: tuple[Expression, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Invoked(_Expression):
    """A `define`, with its type arguments."""

    definition: str
    arguments: tuple[Expression, ...]
    types: tuple[tuple[str, Type], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionCall(_Expression):
    """A function-valued parameter of a definition or law, called."""

    function: str
    arguments: tuple[Expression, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Lambda(_Expression):
    """A function written in place."""

    parameters: tuple[tuple[str, Type], ...]
    body: Expression


@dataclass(frozen=True, slots=True, kw_only=True)
class Case(_Expression):
    """A value of an enum."""

    case: str
    content: Expression | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class IsCase(_Expression):
    """Whether an enum value is of a case."""

    value: Expression
    case: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Matched(_Expression):
    """`then`, with the content named, if the value is of the case, `otherwise` if not."""

    value: Expression
    case: str
    content: str
    then: Expression
    otherwise: Expression


@dataclass(frozen=True, slots=True, kw_only=True)
class Record(_Expression):
    """A record with all its fields, in the order of the declaration."""

    fields: tuple[tuple[str, Expression], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Field(_Expression):
    """A field of a record."""

    record: Expression
    field: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Amended(_Expression):
    """A record with some fields changed."""

    record: Expression
    changes: tuple[tuple[str, Expression], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class If(_Expression):
    """A conditional."""

    condition: Expression
    then: Expression
    otherwise: Expression


@dataclass(frozen=True, slots=True, kw_only=True)
class Not(_Expression):
    """Negation."""

    operand: Expression


@dataclass(frozen=True, slots=True, kw_only=True)
class And(_Expression):
    """All of them."""

    operands: tuple[Expression, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Or(_Expression):
    """At least one of them."""

    operands: tuple[Expression, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Implies(_Expression):
    """If the premise then the conclusion."""

    premise: Expression
    conclusion: Expression


@dataclass(frozen=True, slots=True, kw_only=True)
class Equal(_Expression):
    """Equality of values of any type; `iff` on Bool."""

    left: Expression
    right: Expression


@dataclass(frozen=True, slots=True, kw_only=True)
class Order(_Expression):
    """`<` or `<=`; the other two are written the other way round."""

    left: Expression
    right: Expression
    strict: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Arithmetic(_Expression):
    """`+`, `-`, `*`, `div`, `mod`, `min` or `max`.

    `a div b` is the floor of the quotient and `a mod b` is `a - b * (a div b)`, as in Python; by zero, `a div 0` is 0.
    """

    operator: str
    left: Expression
    right: Expression


@dataclass(frozen=True, slots=True, kw_only=True)
class Lookup(_Expression):
    """`m[k]`."""

    map: Expression
    keys: tuple[Expression, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored(_Expression):
    """A map changed at some keys; a later entry wins over an earlier one with the same keys."""

    map: Expression
    entries: tuple[tuple[tuple[Expression, ...], Expression], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Everywhere(_Expression):
    """A map with one value everywhere."""

    value: Expression


@dataclass(frozen=True, slots=True, kw_only=True)
class Tabulated(_Expression):
    """A map given by an expression over its keys."""

    keys: tuple[tuple[str, Type], ...]
    body: Expression


@dataclass(frozen=True, slots=True, kw_only=True)
class Empty(_Expression):
    """The empty set."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Member(_Expression):
    """Whether an element is in a set."""

    element: Expression
    set: Expression


@dataclass(frozen=True, slots=True, kw_only=True)
class Inserted(_Expression):
    """A set with an element more; unchanged if it was in."""

    set: Expression
    element: Expression


@dataclass(frozen=True, slots=True, kw_only=True)
class Removed(_Expression):
    """A set without an element; unchanged if it was not in."""

    set: Expression
    element: Expression


@dataclass(frozen=True, slots=True, kw_only=True)
class Size(_Expression):
    """How many elements a set has."""

    set: Expression


@dataclass(frozen=True, slots=True)
class AllOf:
    """The domain of a binder: every value of a finite type."""

    type: Type


@dataclass(frozen=True, slots=True)
class Range:
    """The domain of a binder: the numbers from `first` to `last`, both included."""

    first: Expression
    last: Expression


@dataclass(frozen=True, slots=True)
class Elements:
    """The domain of a binder: the elements of a set."""

    set: Expression


Domain = AllOf | Range | Elements


@dataclass(frozen=True, slots=True)
class Binder:
    """A bound name and what it ranges over."""

    name: str
    type: Type
    domain: Domain


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantified(_Expression):
    """For all, or for some, values of the binders."""

    universal: bool
    binders: tuple[Binder, ...]
    body: Expression


@dataclass(frozen=True, slots=True, kw_only=True)
class Enabled(_Expression):
    """Whether the guard of an action holds for these arguments."""

    action: str
    arguments: tuple[Expression, ...]


Expression = (
    Literal
    | Variable
    | After
    | Local
    | Applied
    | Invoked
    | FunctionCall
    | Lambda
    | Case
    | IsCase
    | Matched
    | Record
    | Field
    | Amended
    | If
    | Not
    | And
    | Or
    | Implies
    | Equal
    | Order
    | Arithmetic
    | Lookup
    | Stored
    | Everywhere
    | Tabulated
    | Empty
    | Member
    | Inserted
    | Removed
    | Size
    | Quantified
    | Enabled
)


def children(expression: Expression) -> Iterator[Expression]:
    """The expressions directly inside an expression, domains of binders included."""
    for name in _field_names(expression.__class__):
        yield from _inside(getattr(expression, name))


def _field_names(kind: type[_Expression]) -> tuple[str, ...]:
    if kind not in _FIELD_NAMES:
        _FIELD_NAMES[kind] = tuple(f.name for f in fields(kind) if f.name not in ("type", "place"))
    return _FIELD_NAMES[kind]


_FIELD_NAMES: dict[type[_Expression], tuple[str, ...]] = {}


def _inside(value: object) -> Iterator[Expression]:
    if isinstance(value, _Expression):
        yield value  # type: ignore[misc]  # the union lists every subclass of _Expression
    elif isinstance(value, tuple):
        for item in value:
            yield from _inside(item)
    elif isinstance(value, Binder):
        yield from _inside(value.domain)
    elif isinstance(value, Range):
        yield value.first
        yield value.last
    elif isinstance(value, Elements):
        yield value.set


def walk(expression: Expression) -> Iterator[Expression]:
    """The expression and everything inside it."""
    waiting = [expression]
    while waiting:
        current = waiting.pop()
        yield current
        waiting.extend(children(current))


# --- declarations ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Function:
    """A `param`, `function` or `relation`: a symbol whose meaning is fixed for all of a run."""

    name: str
    parameters: tuple[tuple[str, Type], ...]
    result: Type
    doc: str
    place: Place


@dataclass(frozen=True, slots=True)
class Definition:
    """A `define`: a named expression; it may use only definitions above it."""

    name: str
    variables: tuple[str, ...]
    parameters: tuple[tuple[str, Type], ...]
    result: Type
    body: Expression
    doc: str
    place: Place


class Role(Enum):
    """What a state variable is for: real state, ghost state that only proofs read, or the clock."""

    STATE = "var"
    GHOST = "ghost var"
    CLOCK = "clock"


@dataclass(frozen=True, slots=True)
class StateVariable:
    """A variable of the machine. Without `initial` it may start with any value that the `init` formulas allow."""

    name: str
    type: Type
    role: Role
    initial: Expression | None
    doc: str
    place: Place


class Fairness(Enum):
    """What the scheduler owes an action.

    Weak: neither the action nor any instance of it stays enabled for ever without being taken. Strong: nor is it
    enabled again and again for ever without being taken.
    """

    NONE = "none"
    WEAK = "fair"
    STRONG = "strong fair"


@dataclass(frozen=True, slots=True)
class Action:
    """An atomic step.

    Attributes:
        parameters: the arguments it ranges over.
        fairness: what the scheduler owes it.
        environment: whether it is something that happens to the machine rather than something the machine does.
        guard: when it can happen, over the state before.
        updates: the new value of each variable that it changes, over the state before.
    """

    name: str
    parameters: tuple[tuple[str, Type], ...]
    fairness: Fairness
    environment: bool
    guard: Expression
    updates: Mapping[str, Expression]
    doc: str
    place: Place


class Kind(Enum):
    """What a formula claims."""

    AXIOM = "axiom"
    ASSUME = "assume"
    INIT = "init"
    INVARIANT = "invariant"
    LEMMA = "lemma"
    ALWAYS = "always"
    REACHABLE = "reachable"


@dataclass(frozen=True, slots=True)
class Formula:
    """A named formula: over the parameters (axiom, assume), or over a state (the others)."""

    kind: Kind
    name: str
    formula: Expression
    doc: str
    place: Place


@dataclass(frozen=True, slots=True)
class OnAction:
    """An action that a step property speaks of, with names for its arguments."""

    action: str
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class StepProperty:
    """A formula over a state and the next, for the actions named, or for all if none is."""

    name: str
    on: tuple[OnAction, ...]
    formula: Expression
    doc: str
    place: Place


@dataclass(frozen=True, slots=True)
class Helpful:
    """An action that brings the goal nearer: with arguments, or with any that are enabled (None).

    It is counted upon only where `condition` holds.
    """

    action: str
    arguments: tuple[Expression, ...] | None
    condition: Expression


@dataclass(frozen=True, slots=True)
class Ranking:
    """How progress is made: a lexicographic rank of non-negative numbers that helpful actions lower.

    `via` is what holds from the premise until the goal.
    """

    ranks: tuple[Expression, ...]
    helpful: tuple[Helpful, ...]
    via: Expression


@dataclass(frozen=True, slots=True)
class Chain:
    """Progress by way of other progress properties, one after the other."""

    links: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Progress:
    """Whenever the premise holds, the goal holds then or later, for all values of the parameters."""

    name: str
    parameters: tuple[tuple[str, Type], ...]
    premise: Expression
    goal: Expression
    argument: Ranking | Chain
    doc: str
    place: Place


@dataclass(frozen=True, slots=True)
class Law:
    """A formula that holds for all types and all values of its parameters."""

    name: str
    variables: tuple[str, ...]
    parameters: tuple[tuple[str, Type], ...]
    formula: Expression
    doc: str
    place: Place


@dataclass(frozen=True, slots=True)
class Instance:
    """A finite instance to run and to search: sizes of sorts, values of parameters, ranges of number types.

    `values` gives, for each parameter that it sets, the values to try.
    """

    name: str
    sizes: Mapping[str, int]
    values: Mapping[str, tuple[bool | int | str, ...]]
    ranges: Mapping[str, tuple[int, int]]
    place: Place


@dataclass(frozen=True, slots=True)
class MappedAction:
    """What a concrete action is in the abstract machine, when `condition` holds; otherwise the abstract one stays."""

    concrete: str
    names: tuple[str, ...]
    abstract: str
    arguments: tuple[Expression, ...]
    condition: Expression


@dataclass(frozen=True, slots=True)
class Refinement:
    """How every run of this machine is a run of a more abstract one.

    Actions that are not mapped leave the abstract machine as it is.
    """

    abstract: Specification
    parameters: Mapping[str, Expression]
    variables: Mapping[str, Expression]
    actions: tuple[MappedAction, ...]
    place: Place


@dataclass(frozen=True, slots=True)
class Specification:
    """A checked file: a machine, or a theory (which has no state)."""

    name: str
    path: str
    is_machine: bool
    doc: str
    shapes: Shapes
    sorts: tuple[str, ...]
    functions: Mapping[str, Function]
    definitions: Mapping[str, Definition]
    variables: Mapping[str, StateVariable]
    actions: Mapping[str, Action]
    formulas: tuple[Formula, ...]
    steps: tuple[StepProperty, ...]
    progress: tuple[Progress, ...]
    laws: tuple[Law, ...]
    instances: Mapping[str, Instance]
    refinements: tuple[Refinement, ...]
    place: Place
    text: str

    def source(self, place: Place) -> str:
        """The text at a place, on one line."""
        lines = self.text.splitlines()[place.line - 1 : place.end_line]
        if lines:
            lines[-1] = lines[-1][: place.end_column - 1]
            lines[0] = lines[0][place.column - 1 :]
        return " ".join(line.split("--")[0].strip() for line in lines)

    def of_kind(self, *kinds: Kind) -> tuple[Formula, ...]:
        """The formulas of these kinds, in the order of the file."""
        return tuple(formula for formula in self.formulas if formula.kind in kinds)
