"""Expressions of a specification as Lean terms.

Rules this module keeps:

- the meaning is the interpreter's: numbers are `Int` with the functions of `Certify.Whole`, maps are functions, finite
  sets are `Certify.Group`, a sort is a type with a test of equality, `Certify.Alike`;
- a condition without quantifiers is a `Bool` and computes; `statement` turns it into a proposition, where quantifiers
  may stand;
- what has no translation is refused with its place, never left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from certify_spec import model as m
from certify_spec.datatypes import BOOL, EnumType, MapType, Scalar, SetType, SortType, Type
from certify_spec.diagnostics import Diagnostic, Place, RequestError
from certify_verifier.lean import rules
from certify_verifier.lean.front.lexer import COMMANDS, TERM_WORDS

ALIKE: Final = "k"
PARAMS: Final = "p"
STATE: Final = "s"
AFTER: Final = "t"

_RESERVED: Final = frozenset(
    ["assert", "at", "break", "catch", "continue", "exists", "finally", "for", "forall", "hiding", "mk", "mut", "rec",
     "renaming", "repeat", "return", "try", "unless", "until", "using", "while"]
)  # fmt: skip
"""Words that official Lean takes, beside those that the front end knows."""
_LIBRARY: Final = frozenset(
    ["atMost", "below", "cond", "divide", "greater", "insert", "minus", "none_of", "not", "plus", "put", "remainder",
     "remove", "sameBool", "sameInt", "smaller", "times", "true", "false", "never", "rfl"]
)  # fmt: skip
"""What generated files use of the package."""
_MADE: Final = frozenset(["State", "Params", "Event", "initial", "next", "allowed", "run", "run_keeps", "Legal"])
"""What every generated file declares for itself."""
_TAKEN: Final = COMMANDS | TERM_WORDS | _RESERVED | _LIBRARY | _MADE | {ALIKE, PARAMS, STATE, AFTER, "e", "es", "h"}
_ARITHMETIC: Final = {
    "+": "plus",
    "-": "minus",
    "*": "times",
    "div": "divide",
    "mod": "remainder",
    "min": "smaller",
    "max": "greater",
}


def word(name: str) -> str:
    """A name of the specification as a name in Lean, where some words are taken."""
    return f"{name}_" if name in _TAKEN else name


def unsupported(what: str, place: Place) -> RequestError:
    """The exception for a construct that has no translation."""
    message = f"{what} cannot be emitted as Lean"
    return RequestError(Diagnostic(rules.NOT_EMITTED, message, place, fix=rules.NOT_EMITTED.advice))


def atom(term: str) -> str:
    """A term in brackets, unless it is one word."""
    return term if term.replace(".", "").replace("_", "").isalnum() or term.startswith("⟨") else f"({term})"


@dataclass(frozen=True, slots=True)
class Writer:
    """Writes the expressions of one specification; `state` is how the state at hand is called."""

    specification: m.Specification
    state: str = STATE

    def alike(self, sort: str) -> str:
        """How the test of equality of a sort is called."""
        sorts = self.specification.sorts
        return ALIKE if len(sorts) == 1 else f"{ALIKE}{sorts.index(sort) + 1}"

    def surroundings(self) -> str:
        """The arguments that every definition takes before its own: equalities, parameters, the state."""
        return " ".join([*map(self.alike, self.specification.sorts), PARAMS, self.state])

    def kind(self, type_: Type, place: Place) -> str:
        """A type."""
        match type_:
            case Scalar("Bool"):
                return "Bool"
            case Scalar():
                return "Int"
            case SortType(name):
                return name
            case EnumType(name) if self.specification.shapes.is_plain(type_):
                return name
            case MapType(keys, value):
                return " → ".join([*(atom(self.kind(key, place)) for key in keys), self.kind(value, place)])
            case SetType(element):
                return f"Group {atom(self.kind(element, place))}"
            case _:
                raise unsupported(f"the type `{type_}`", place)

    def equality(self, type_: Type, place: Place) -> str:
        """The test of equality of a type, as a function."""
        match type_:
            case Scalar("Bool"):
                return "sameBool"
            case Scalar():
                return "sameInt"
            case SortType(name):
                return f"{self.alike(name)}.same"
            case EnumType(name) if self.specification.shapes.is_plain(type_):
                return f"{name}.same"
            case _:
                raise unsupported(f"equality of values of type `{type_}`", place)

    # terms ----------------------------------------------------------------------------------------------------------

    def term(self, e: m.Expression) -> str:
        """An expression as a term that computes."""
        match e:
            case m.Literal(value=bool()):
                return "true" if e.value else "false"
            case m.Literal():
                return f"Int.ofNat {e.value}" if e.value >= 0 else f"Int.negSucc {-e.value - 1}"
            case m.Variable():
                return f"{self.state}.{word(e.name)}"
            case m.Local():
                return word(e.name)
            case m.Applied(arguments=()):
                return f"{PARAMS}.{word(e.name)}"
            case m.Invoked():
                return self.call(word(e.definition), e.arguments)
            case m.Case(type=EnumType(name), content=None):
                return f"{name}.{word(e.case)}"
            case m.If():
                return f"cond {self.part(e.condition)} {self.part(e.then)} {self.part(e.otherwise)}"
            case m.Arithmetic():
                return f"{_ARITHMETIC[e.operator]} {self.part(e.left)} {self.part(e.right)}"
            case m.Lookup():
                return " ".join([self.part(e.map), *map(self.part, e.keys)])
            case m.Stored(map=changed, type=MapType(keys)) if len(keys) == 1:
                term = self.part(changed)
                for (key,), value in e.entries:
                    term = f"(put {self.equality(keys[0], e.place)} {term} {self.part(key)} {self.part(value)})"
                return term[1:-1]
            case m.Everywhere(type=MapType(keys)):
                return f"fun {' '.join('_' * len(keys))} => {self.term(e.value)}"
            case m.Tabulated():
                return f"fun {' '.join(word(name) for name, _ in e.keys)} => {self.term(e.body)}"
            case m.Empty():
                return "none_of"
            case m.Inserted() | m.Removed():
                function = "insert" if isinstance(e, m.Inserted) else "remove"
                same = self.equality(e.element.type, e.place)
                return f"{function} {same} {self.part(e.set)} {self.part(e.element)}"
            case m.Size():
                return f"{atom(self.term(e.set))}.size"
            case _:
                return self._condition(e)

    def _condition(self, e: m.Expression) -> str:
        match e:
            case m.Not():
                return f"not {self.part(e.operand)}"
            case m.And() | m.Or():
                name = "and" if isinstance(e, m.And) else "or"
                *before, last = map(self.part, e.operands)
                for operand in reversed(before):
                    last = f"({name} {operand} {last})"
                return last[1:-1]
            case m.Implies():
                return f"or (not {self.part(e.premise)}) {self.part(e.conclusion)}"
            case m.Equal():
                return f"{self.equality(e.left.type, e.place)} {self.part(e.left)} {self.part(e.right)}"
            case m.Order():
                return f"{'below' if e.strict else 'atMost'} {self.part(e.left)} {self.part(e.right)}"
            case m.IsCase(value=value) if isinstance(value.type, EnumType):
                return f"{value.type.name}.same {self.part(value)} {value.type.name}.{word(e.case)}"
            case m.Member():
                return f"{atom(self.term(e.set))}.has {self.part(e.element)}"
            case _:
                raise unsupported(f"`{self.specification.source(e.place)}`", e.place)

    def part(self, e: m.Expression) -> str:
        """An expression as an argument."""
        return atom(self.term(e))

    def call(self, name: str, arguments: tuple[m.Expression, ...]) -> str:
        """A definition of the file at the state at hand."""
        return " ".join([name, self.surroundings(), *map(self.part, arguments)])

    # statements -----------------------------------------------------------------------------------------------------

    def computes(self, e: m.Expression) -> bool:
        """Whether a condition is free of what only a proposition can say."""
        for part in m.walk(e):
            if isinstance(part, m.Quantified | m.After):
                return False
            if isinstance(part, m.Invoked) and not self.computes(self.specification.definitions[part.definition].body):
                return False
            if isinstance(part, m.Enabled) and not self.computes(self.specification.actions[part.action].guard):
                return False
            if isinstance(part, m.Equal) and isinstance(part.left.type, MapType | SetType):
                return False
        return True

    def statement(self, e: m.Expression) -> str:
        """A condition as a proposition."""
        match e:
            case m.And() | m.Or():
                return (" ∧ " if isinstance(e, m.And) else " ∨ ").join(map(self._inner, e.operands))
            case m.Implies():
                return f"{self._inner(e.premise)} → {self._inner(e.conclusion)}"
            case m.Not():
                return f"¬ {self._inner(e.operand)}"
            case m.Equal() if e.left.type == BOOL:
                return f"{self._inner(e.left)} ↔ {self._inner(e.right)}"
            case m.Equal():
                return f"{self._side(e.left)} = {self._side(e.right)}"
            case m.Quantified():
                return self._quantified(e)
            case m.Enabled():
                allowed = self.call(f"{word(e.action)}_allowed", e.arguments)
                return f"{allowed} = true" if self.computes(self.specification.actions[e.action].guard) else allowed
            case m.Invoked() if not self.computes(self.specification.definitions[e.definition].body):
                return self.call(word(e.definition), e.arguments)
            case m.After():
                return self._later().statement(e.operand)
            case _:
                return f"{self._side(e)} = true"

    def _later(self) -> Writer:
        return Writer(self.specification, AFTER)

    def _side(self, e: m.Expression) -> str:
        return _WithAfter(self.specification, self.state).term(e)

    def _inner(self, e: m.Expression) -> str:
        return f"({self.statement(e)})"

    def _quantified(self, e: m.Quantified) -> str:
        text = self._inner(e.body)
        for binder in reversed(e.binders):
            name = word(binder.name)
            conditions: list[str] = []
            match binder.domain:
                case m.Range(first, last):
                    conditions = [f"atMost {self.part(first)} {name} = true", f"atMost {name} {self.part(last)} = true"]
                case m.Elements(group):
                    conditions = [f"{atom(self.term(group))}.has {name} = true"]
                case m.AllOf():
                    pass
            link = " → " if e.universal else " ∧ "
            inside = link.join([*(f"({condition})" for condition in conditions), text])
            kind = self.kind(binder.type, e.place)
            text = f"({'∀' if e.universal else '∃'} {name} : {kind}, {inside})"
        return text[1:-1]


@dataclass(frozen=True, slots=True)
class _WithAfter(Writer):
    """Terms in which parts speak of the state after the step."""

    def term(self, e: m.Expression) -> str:
        """An expression as a term, over both states."""
        if isinstance(e, m.After):
            return Writer(self.specification, AFTER).term(e.operand)
        return Writer.term(self, e)
