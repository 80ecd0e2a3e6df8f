"""The tree that the parser makes: what was written, before names and types mean anything.

Rules this module keeps:

- every node is a frozen value with the place of its text;
- nothing is resolved here: `Name("mode")` may turn out to be a variable, a parameter, a case or a mistake;
- parentheses leave no trace, comments neither (the formatter works on tokens).
"""

from __future__ import annotations

from dataclasses import dataclass

from certify_spec.diagnostics import Place


@dataclass(frozen=True, slots=True)
class Word:
    """A name where it is written."""

    text: str
    place: Place


# --- types -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class TypeName:
    """`Bool`, `Set[Call]`, `Map[Node, Term -> Bool]`: `value` is the part behind the arrow."""

    name: Word
    arguments: tuple[TypeName, ...]
    value: TypeName | None
    place: Place


@dataclass(frozen=True, slots=True)
class Arrow:
    """The type of a function parameter: `A -> B` or `(A, B) -> C`."""

    parameters: tuple[TypeName, ...]
    result: TypeName
    place: Place


TypeSyntax = TypeName | Arrow


@dataclass(frozen=True, slots=True)
class Parameter:
    """`name : type`, of an action, a definition, a law, a function or a lambda."""

    name: Word
    type: TypeSyntax


# --- expressions -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Name:
    """A name in an expression."""

    name: str
    place: Place


@dataclass(frozen=True, slots=True)
class Number:
    """A whole number: of type Int, Duration or, as the start of a variable, Instant."""

    value: int
    place: Place


@dataclass(frozen=True, slots=True)
class Truth:
    """`true` or `false`."""

    value: bool
    place: Place


@dataclass(frozen=True, slots=True)
class Unary:
    """`not e` or `-e`."""

    operator: str
    operand: Syntax
    place: Place


@dataclass(frozen=True, slots=True)
class Binary:
    """`+ - * div mod ?? implies iff`."""

    operator: str
    left: Syntax
    right: Syntax
    place: Place


@dataclass(frozen=True, slots=True)
class Connective:
    """A chain of `and`, or one of `or`."""

    operator: str
    operands: tuple[Syntax, ...]
    place: Place


@dataclass(frozen=True, slots=True)
class Comparison:
    """`a < b <= c`: each neighbouring pair must compare so."""

    operands: tuple[Syntax, ...]
    operators: tuple[str, ...]
    place: Place


@dataclass(frozen=True, slots=True)
class CaseTest:
    """`e is some`."""

    value: Syntax
    case: Word
    place: Place


@dataclass(frozen=True, slots=True)
class Argument:
    """An argument, by position or by name."""

    name: Word | None
    value: Syntax


@dataclass(frozen=True, slots=True)
class Application:
    """`f(a, b)`: a function, a definition, a record, a case with content, or a word of the language such as `size`."""

    function: Syntax
    arguments: tuple[Argument, ...]
    place: Place


@dataclass(frozen=True, slots=True)
class Indexed:
    """`m[a, b]`."""

    map: Syntax
    keys: tuple[Syntax, ...]
    place: Place


@dataclass(frozen=True, slots=True)
class Selected:
    """`r.field`."""

    record: Syntax
    field: Word
    place: Place


@dataclass(frozen=True, slots=True)
class Primed:
    """`x'`: the value after the step."""

    operand: Syntax
    place: Place


@dataclass(frozen=True, slots=True)
class Amended:
    """`r with (field = e)`."""

    record: Syntax
    changes: tuple[tuple[Word, Syntax], ...]
    place: Place


@dataclass(frozen=True, slots=True)
class Binder:
    """`a, b in domain`; `to` is the end of a range `domain .. to`."""

    names: tuple[Word, ...]
    domain: Syntax
    to: Syntax | None


@dataclass(frozen=True, slots=True)
class Comprehension:
    """`[c in Call : e]`: the map that gives `e` at each key."""

    binders: tuple[Binder, ...]
    body: Syntax
    place: Place


@dataclass(frozen=True, slots=True)
class Everywhere:
    """`all e`: the map that gives `e` at every key."""

    value: Syntax
    place: Place


@dataclass(frozen=True, slots=True)
class Quantified:
    """`forall …` or `exists …`."""

    universal: bool
    binders: tuple[Binder, ...]
    body: Syntax
    place: Place


@dataclass(frozen=True, slots=True)
class Conditional:
    """`if c then a else b`."""

    condition: Syntax
    then: Syntax
    otherwise: Syntax
    place: Place


@dataclass(frozen=True, slots=True)
class Match:
    """`if e is some(x) then a else b`: `x` is known in `a`."""

    value: Syntax
    case: Word
    content: Word
    then: Syntax
    otherwise: Syntax
    place: Place


@dataclass(frozen=True, slots=True)
class Lambda:
    """`fn(x : A) => e`: only as an argument of a definition."""

    parameters: tuple[Parameter, ...]
    body: Syntax
    place: Place


Syntax = (
    Name
    | Number
    | Truth
    | Unary
    | Binary
    | Connective
    | Comparison
    | CaseTest
    | Application
    | Indexed
    | Selected
    | Primed
    | Amended
    | Comprehension
    | Everywhere
    | Quantified
    | Conditional
    | Match
    | Lambda
)

# --- statements ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Assignment:
    """`x := e`, `m[k] := e`, `r.f := e` and mixtures; a path step is a tuple of keys or a field's name."""

    variable: Word
    path: tuple[tuple[Syntax, ...] | Word, ...]
    value: Syntax
    place: Place


@dataclass(frozen=True, slots=True)
class Let:
    """`let x = e`: a name for a value of the state before the step."""

    name: Word
    value: Syntax
    place: Place


@dataclass(frozen=True, slots=True)
class Branch:
    """`if c { … } else { … }`."""

    condition: Syntax
    then: tuple[Statement, ...]
    otherwise: tuple[Statement, ...]
    place: Place


Statement = Assignment | Let | Branch

# --- declarations ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Header:
    """`machine Name` or `theory Name`."""

    kind: str
    name: Word
    doc: str
    place: Place


@dataclass(frozen=True, slots=True)
class EnumDeclaration:
    """`enum Name { case, case(Content) }`."""

    name: Word
    type_parameters: tuple[Word, ...]
    cases: tuple[tuple[Word, TypeName | None], ...]
    doc: str
    place: Place


@dataclass(frozen=True, slots=True)
class RecordDeclaration:
    """`record Name { field : Type }`."""

    name: Word
    type_parameters: tuple[Word, ...]
    fields: tuple[tuple[Word, TypeName], ...]
    doc: str
    place: Place


@dataclass(frozen=True, slots=True)
class SortDeclaration:
    """`sort Name`: any number of things."""

    name: Word
    doc: str
    place: Place


@dataclass(frozen=True, slots=True)
class FunctionDeclaration:
    """`function f(x : A) : B`, or `relation r(x : A)` with `result` None."""

    name: Word
    parameters: tuple[Parameter, ...]
    result: TypeName | None
    doc: str
    place: Place


@dataclass(frozen=True, slots=True)
class ParameterDeclaration:
    """`param x : Int where x >= 1`."""

    name: Word
    type: TypeName
    doc: str
    where: Syntax | None
    place: Place


@dataclass(frozen=True, slots=True)
class DefinitionDeclaration:
    """`define f(x : A) : B = e`."""

    name: Word
    type_parameters: tuple[Word, ...]
    parameters: tuple[Parameter, ...]
    result: TypeName
    doc: str
    body: Syntax
    place: Place


@dataclass(frozen=True, slots=True)
class VariableDeclaration:
    """`var x : Int in 0 .. n = 0`."""

    name: Word
    ghost: bool
    type: TypeName
    span: tuple[Syntax, Syntax] | None
    initial: Syntax | None
    doc: str
    place: Place


@dataclass(frozen=True, slots=True)
class ClockDeclaration:
    """`clock now`."""

    name: Word
    doc: str
    place: Place


@dataclass(frozen=True, slots=True)
class ActionDeclaration:
    """`fair action name(c : Call) when guard { … }`."""

    name: Word
    modifiers: tuple[Word, ...]
    parameters: tuple[Parameter, ...]
    doc: str
    guard: Syntax | None
    body: tuple[Statement, ...]
    place: Place


@dataclass(frozen=True, slots=True)
class Claim:
    """`axiom`, `assume`, `init`, `invariant`, `lemma`, `always` or `reachable`: a kind, a name and a formula."""

    kind: str
    name: Word
    doc: str
    formula: Syntax
    place: Place


@dataclass(frozen=True, slots=True)
class Mention:
    """An action by name, with or without arguments."""

    action: Word
    arguments: tuple[Syntax, ...] | None
    place: Place


@dataclass(frozen=True, slots=True)
class Help:
    """A helpful action, and when it helps."""

    mention: Mention
    condition: Syntax | None


@dataclass(frozen=True, slots=True)
class StepDeclaration:
    """`step name on action(x) : formula` over a state and the next."""

    name: Word
    on: tuple[Mention, ...]
    doc: str
    formula: Syntax
    place: Place


@dataclass(frozen=True, slots=True)
class ProgressDeclaration:
    """`progress name : p ~> q by rank helpful a via r`, or `… chain first, second`."""

    name: Word
    parameters: tuple[Parameter, ...]
    doc: str
    premise: Syntax
    goal: Syntax
    ranks: tuple[Syntax, ...]
    helpful: tuple[Help, ...]
    via: Syntax | None
    chain: tuple[Word, ...]
    place: Place


@dataclass(frozen=True, slots=True)
class LawDeclaration:
    """`law name[A](x : A) : formula`, for all types A and all x."""

    name: Word
    type_parameters: tuple[Word, ...]
    parameters: tuple[Parameter, ...]
    doc: str
    formula: Syntax
    place: Place


@dataclass(frozen=True, slots=True)
class Setting:
    """`Call = 3` or `Duration = 1 .. 4`."""

    name: Word
    value: Syntax
    to: Syntax | None


@dataclass(frozen=True, slots=True)
class InstanceDeclaration:
    """`instance small { Call = 3, limit = 2 }`."""

    name: Word
    settings: tuple[Setting, ...]
    doc: str
    place: Place


@dataclass(frozen=True, slots=True)
class ActionMapping:
    """`action concrete(x) = abstract(x) when condition`; where the condition fails the abstract machine stays."""

    concrete: Mention
    abstract: Mention
    condition: Syntax | None


@dataclass(frozen=True, slots=True)
class RefinementDeclaration:
    """`refines Abstract from "file.ct" via { … }`."""

    abstract: Word
    source: Word
    parameters: tuple[tuple[Word, Syntax], ...]
    variables: tuple[tuple[Word, Syntax], ...]
    actions: tuple[ActionMapping, ...]
    place: Place


Declaration = (
    Header
    | EnumDeclaration
    | RecordDeclaration
    | SortDeclaration
    | FunctionDeclaration
    | ParameterDeclaration
    | DefinitionDeclaration
    | VariableDeclaration
    | ClockDeclaration
    | ActionDeclaration
    | Claim
    | StepDeclaration
    | ProgressDeclaration
    | LawDeclaration
    | InstanceDeclaration
    | RefinementDeclaration
)


@dataclass(frozen=True, slots=True)
class File:
    """A parsed file: its header and the declarations in their order.

    `broken` holds the names in declarations with syntax errors: they are declared, though nobody knows as what.
    """

    path: str
    header: Header
    declarations: tuple[Declaration, ...]
    broken: frozenset[str] = frozenset()
    text: str = ""
