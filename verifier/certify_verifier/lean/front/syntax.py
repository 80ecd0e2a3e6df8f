"""The syntax tree of the supported part of Lean.

Rules this module keeps:

- every node knows where it stands; nodes are values and mean nothing by themselves;
- operators are kept by their sign, their meaning is `elaborate`'s business.
"""

from __future__ import annotations

from dataclasses import dataclass

from certify_verifier.lean.exprs import Binder
from certify_verifier.lean.front.errors import Spot


@dataclass(frozen=True, slots=True)
class Node:
    """Anything with a place."""

    spot: Spot


@dataclass(frozen=True, slots=True)
class Term(Node):
    """A term."""


@dataclass(frozen=True, slots=True)
class LevelSyntax(Node):
    """A universe: a number, a name, `_`, or `max`, `imax`, `+` of others."""

    head: str
    parts: tuple[LevelSyntax, ...] = ()
    offset: int = 0


@dataclass(frozen=True, slots=True)
class Ident(Term):
    """A name, perhaps with universes."""

    name: str
    levels: tuple[LevelSyntax, ...] | None = None


@dataclass(frozen=True, slots=True)
class ShortName(Term):
    """`.name`, to be found in the namespace of the type wanted."""

    name: str


@dataclass(frozen=True, slots=True)
class Number(Term):
    """A number."""

    value: int


@dataclass(frozen=True, slots=True)
class Text(Term):
    """A string."""

    value: str


@dataclass(frozen=True, slots=True)
class Hole(Term):
    """`_`."""


@dataclass(frozen=True, slots=True)
class Universe(Term):
    """`Prop`, `Type u`, `Sort u`."""

    word: str
    level: LevelSyntax | None


@dataclass(frozen=True, slots=True)
class Argument:
    """An argument, by name when `name` is not empty."""

    value: Term
    name: str = ""


@dataclass(frozen=True, slots=True)
class Apply(Term):
    """A function with arguments."""

    fn: Term
    args: tuple[Argument, ...]


@dataclass(frozen=True, slots=True)
class Explicit(Term):
    """`@f`."""

    fn: Ident


@dataclass(frozen=True, slots=True)
class Field(Term):
    """`e.1` or `e.name`."""

    of: Term
    name: str


@dataclass(frozen=True, slots=True)
class BinderSyntax(Node):
    """A bound name with its type, if written, and how it is given; `pattern` when a pattern stands for the name."""

    name: str
    type: Term | None
    info: Binder
    pattern: Term | None = None


@dataclass(frozen=True, slots=True)
class Lambda(Term):
    """`fun … => …`."""

    binders: tuple[BinderSyntax, ...]
    body: Term


@dataclass(frozen=True, slots=True)
class Product(Term):
    """`∀ …, …` or `(x : A) → …`."""

    binders: tuple[BinderSyntax, ...]
    body: Term


@dataclass(frozen=True, slots=True)
class Exists(Term):
    """`∃ …, …`."""

    binders: tuple[BinderSyntax, ...]
    body: Term


@dataclass(frozen=True, slots=True)
class Operator(Term):
    """A sign with its arguments, one or two."""

    sign: str
    args: tuple[Term, ...]


@dataclass(frozen=True, slots=True)
class LetTerm(Term):
    """`let x : T := v; b`, or `have` when `opaque`."""

    name: str
    binders: tuple[BinderSyntax, ...]
    type: Term | None
    value: Term
    body: Term
    opaque: bool
    pattern: Term | None = None


@dataclass(frozen=True, slots=True)
class Show(Term):
    """`show T from e`, and `(e : T)`."""

    type: Term
    value: Term


@dataclass(frozen=True, slots=True)
class Anonymous(Term):
    """`⟨a, b⟩`."""

    parts: tuple[Term, ...]


@dataclass(frozen=True, slots=True)
class Tuple(Term):
    """`(a, b)`, `()` when empty."""

    parts: tuple[Term, ...]


@dataclass(frozen=True, slots=True)
class ListTerm(Term):
    """`[a, b]`."""

    parts: tuple[Term, ...]


@dataclass(frozen=True, slots=True)
class Alternative(Node):
    """`| p, q => e`."""

    patterns: tuple[Term, ...]
    body: Term


@dataclass(frozen=True, slots=True)
class Match(Term):
    """`match a, b with …`, or `nomatch a` without alternatives."""

    subjects: tuple[Term, ...]
    alternatives: tuple[Alternative, ...]


@dataclass(frozen=True, slots=True)
class LambdaMatch(Term):
    """`fun | p => e | …`."""

    alternatives: tuple[Alternative, ...]


@dataclass(frozen=True, slots=True)
class Calc(Term):
    """`calc`: steps, each a relation with its proof."""

    steps: tuple[tuple[Term, Term], ...]


@dataclass(frozen=True, slots=True)
class Command(Node):
    """A command."""


@dataclass(frozen=True, slots=True)
class Declaration(Command):
    """`def`, `theorem`, `abbrev`, `example` or `axiom`: by a value, or by alternatives."""

    word: str
    name: str
    levels: tuple[str, ...] | None
    binders: tuple[BinderSyntax, ...]
    type: Term | None
    value: Term | None
    alternatives: tuple[Alternative, ...]
    sentence: str


@dataclass(frozen=True, slots=True)
class ConstructorSyntax(Node):
    """A constructor: its name, its own binders, its type if written."""

    name: str
    binders: tuple[BinderSyntax, ...]
    type: Term | None


@dataclass(frozen=True, slots=True)
class InductiveSyntax(Command):
    """An inductive type, or a structure when `fields` is set."""

    name: str
    levels: tuple[str, ...] | None
    binders: tuple[BinderSyntax, ...]
    type: Term | None
    constructors: tuple[ConstructorSyntax, ...]
    is_structure: bool
    sentence: str


@dataclass(frozen=True, slots=True)
class MutualSyntax(Command):
    """Inductive types declared together."""

    types: tuple[InductiveSyntax, ...]


@dataclass(frozen=True, slots=True)
class Scoping(Command):
    """`namespace`, `section`, `end`, `open`, `universe` or `import` with names."""

    word: str
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Variables(Command):
    """`variable` with binders."""

    binders: tuple[BinderSyntax, ...]
