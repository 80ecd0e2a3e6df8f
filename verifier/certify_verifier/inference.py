"""Lemmas that the solver finds: what carries an invariant that does not carry itself.

The machine in a world of one or two elements is a system of Horn clauses over finitely many numbers and truth values.
Z3's Spacer finds a predicate that holds at the start, is kept by every action and excludes what breaks the claim. It is
written down in the language, for all distinct elements in place of those of the small world, and is then no more than
a conjecture: only plain induction, for worlds of any size, makes it a lemma.

Rules this module keeps:

- nothing that Spacer says is believed; its answers are read as text of the language and checked like a user's;
- what has no reading in the language, or is too long for people, is no lemma.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count, product
from pathlib import Path
from typing import Any, Final

from certify_spec import checker, parser
from certify_spec import model as m
from certify_spec.datatypes import BOOL, EnumType, MapType, RecordType, Scalar, SetType, SortType, Type
from certify_spec.diagnostics import Severity
from certify_verifier import terms as t
from certify_verifier.encoding import Surroundings, Symbolic, SymbolicEnum, SymbolicMap, SymbolicRecord, SymbolicSet
from certify_verifier.obligation import Frame, Universe
from certify_verifier.terms import Term

PREDICATE: Final = "Holds"
MAX_LENGTH: Final = 2_000
"""Characters of a lemma; a longer one says nothing to anybody."""


class UnreadableError(Exception):
    """Something has no reading in the language, or no clauses."""


@dataclass(frozen=True, slots=True)
class _Leaf:
    """One number or truth value of the state or of the parameters.

    Attributes:
        term: as an unknown.
        text: in the language.
        cases: for an enum, the names of its cases in order; for a sort, those of its elements; nothing otherwise.
        is_sort: whether its values are elements of a sort.
    """

    term: Term
    text: str
    cases: tuple[str, ...] = ()
    is_sort: bool = False


class Clauses:
    """A machine in a small world as Horn clauses, and the reading of what solves them.

    Raises:
        UnreadableError: the machine has endless keys.
    """

    def __init__(self, specification: m.Specification, claim: m.Formula, size: int) -> None:
        self._specification = specification
        self._claim = claim
        self._frame = Frame(specification, Universe(dict.fromkeys(specification.sorts, size)))
        self._size = size
        self._leaves = [*self._fixed(), *self._of_state(self._frame.state)]

    def _elements(self, sort: str) -> tuple[str, ...]:
        stem = "".join(letter for letter in sort.lower() if letter.isalnum()) or "e"
        return tuple(f"{stem}_{index}" for index in range(self._size))

    # --- the leaves --------------------------------------------------------------------------------------------------

    def _fixed(self) -> Iterator[_Leaf]:
        encoder = self._frame.encoder
        for name, function in self._specification.functions.items():
            kinds = [kind for _, kind in function.parameters]
            for keys in product(*(self._keys(kind) for kind in kinds)):
                flat = tuple(term for term, _ in keys)
                called = f"{name}({', '.join(text for _, text in keys)})" if keys else name
                yield from self._of(function.result, encoder.unknown(function.result, f"p.{name}", flat), called)

    def _of_state(self, state: Mapping[str, Symbolic]) -> Iterator[_Leaf]:
        for name, variable in self._specification.variables.items():
            yield from self._of(variable.type, state[name], name)

    def _keys(self, kind: Type) -> list[tuple[Term, str]]:
        match kind:
            case SortType(name):
                values = self._frame.encoder.enumerations[f"T.{name}"]
                return [
                    (t.constructor(f"T.{name}", value), text)
                    for value, text in zip(values, self._elements(name), strict=True)
                ]
            case EnumType(name) if self._specification.shapes.is_plain(kind):
                values = self._frame.encoder.enumerations[f"T.{name}"]
                return [(t.constructor(f"T.{name}", value), value.rsplit(".", 1)[1]) for value in values]
            case Scalar() if kind == BOOL:
                return [(t.FALSE, "false"), (t.TRUE, "true")]
            case _:
                raise UnreadableError(f"keys of type {kind}")

    def _of(self, kind: Type, value: Symbolic, text: str) -> Iterator[_Leaf]:
        """The leaves of a value, in an order that depends on its type only."""
        shapes = self._specification.shapes
        match kind, value:
            case (Scalar(), Term()):
                yield _Leaf(value, text)
            case (SortType(name), Term()):
                yield _Leaf(value, text, self._elements(name), is_sort=True)
            case (EnumType(), Term()):
                yield _Leaf(value, text, tuple(shapes.cases(kind)))
            case (EnumType(), SymbolicEnum(tag, contents)):
                yield _Leaf(tag, text, tuple(shapes.cases(kind)))
                for case, held in shapes.cases(kind).items():
                    if held is not None:
                        yield from self._of(held, contents[case], self._content(held, text, case))
            case (RecordType(), SymbolicRecord(fields)):
                for name, held in shapes.fields(kind).items():
                    yield from self._of(held, fields[name], f"{text}.{name}")
            case (MapType(), SymbolicMap()):
                for keys in product(*(self._keys(key) for key in kind.keys)):
                    inside = f"{text}[{', '.join(called for _, called in keys)}]"
                    yield from self._of(kind.value, value.at(tuple(term for term, _ in keys)), inside)
            case (SetType(), SymbolicSet()):
                for term, called in self._keys(kind.element):
                    yield _Leaf(value.has((term,)), f"({called} in {text})")
            case _:
                raise UnreadableError(f"values of type {kind}")

    @staticmethod
    def _content(held: Type, text: str, case: str) -> str:
        if not isinstance(held, Scalar):
            return ""  # it has no value where the case is another one, and none to write instead
        return f"(if {text} is {case}(it) then it else {'false' if held == BOOL else '0'})"

    # --- the clauses -------------------------------------------------------------------------------------------------

    def text(self) -> str:
        """SMT-LIB text whose models are predicates that carry the claim."""
        frame = self._frame
        begin = frame.initial_state()
        assumed = frame.assumed()
        others = [
            frame.encoder.formula(f.formula, Surroundings(frame.state))
            for f in self._specification.of_kind(m.Kind.INVARIANT, m.Kind.LEMMA)
            if f.name != self._claim.name
        ]
        broken = t.not_(frame.encoder.formula(self._claim.formula, Surroundings(frame.state)))
        lines = [*self._sorts()]
        lines.append(f"(declare-fun {PREDICATE} ({' '.join(t.symbol(leaf.term.sort) for leaf in self._leaves)}) Bool)")
        lines.append(self._clause([*assumed, *frame.formulas((m.Kind.INIT,), begin)], begin))
        for action in self._specification.actions.values():
            step = frame.step(action)
            lines.append(self._clause([*assumed, *others, step.guard], step.after, before=True))
        lines.append(self._clause([*assumed, *others, broken], None, before=True))
        return "(set-logic HORN)\n" + "\n".join(lines) + "\n"

    def _sorts(self) -> Iterator[str]:
        # As numbers: Spacer is at home with these, and the bounds are premises of the clauses.
        for sort, values in self._frame.encoder.enumerations.items():
            yield f"(define-sort {t.symbol(sort)} () Int)"
            yield from (f"(define-fun {t.symbol(v)} () Int {position})" for position, v in enumerate(values))

    def _clause(self, premises: Iterable[Term], after: Mapping[str, Symbolic] | None, *, before: bool = False) -> str:
        fixed = [*self._fixed()]
        head = [leaf.term for leaf in (*fixed, *self._of_state(after))] if after is not None else []
        terms = [*premises, *head, *([leaf.term for leaf in self._leaves] if before else [])]
        unknown = {term for term in t.walk(terms) if term.op == "app"}
        if any(term.args for term in unknown):
            raise UnreadableError("values at endless keys")
        if any(term.op in ("forall", "exists") for term in t.walk(terms)):
            raise UnreadableError("a quantifier over endless values")
        enumerations = self._frame.encoder.enumerations
        names = {str(term.value): term for term in unknown}
        bounds = [
            f"(<= 0 {t.symbol(name)} {len(enumerations[term.sort]) - 1})"
            for name, term in sorted(names.items())
            if term.sort in enumerations
        ]
        parts = [*bounds, *(_with_lets(premise) for premise in premises)]
        if before:
            parts.append(f"({PREDICATE} {' '.join(t.to_text(leaf.term) for leaf in self._leaves)})")
        conclusion = f"({PREDICATE} {' '.join(map(_with_lets, head))})" if after is not None else "false"
        body = f"(=> (and true {' '.join(parts)}) {conclusion})"
        bound = " ".join(f"({t.symbol(name)} {t.symbol(term.sort)})" for name, term in sorted(names.items()))
        return f"(assert (forall ({bound}) {body}))" if bound else f"(assert {body})"

    # --- reading -----------------------------------------------------------------------------------------------------

    def read(self, tree: Any) -> tuple[m.Formula, str]:
        """The lemma, with its text, that a predicate is, for all distinct elements.

        Raises:
            UnreadableError: it has no reading in the language.
        """
        body = self._formula(tree)
        used = [sort for sort in self._specification.sorts if any(name in body for name in self._elements(sort))]
        for sort in reversed(used):
            names = self._elements(sort)
            apart = [f"{a} != {b}" for position, a in enumerate(names) for b in names[position + 1 :]]
            premise = f"{' and '.join(apart)} implies " if apart else ""
            body = f"forall {', '.join(names)} in {sort}: {premise}({body})"
        if len(body) > MAX_LENGTH:
            raise UnreadableError("a lemma too long to read")
        return self._checked(body)

    def _checked(self, body: str) -> tuple[m.Formula, str]:
        known = {formula.name for formula in self._specification.formulas}
        name = next(n for i in count(1) if (n := f"found_for_{self._claim.name}{'_' * (i - 1)}") not in known)
        file, syntax = parser.parse(f"{self._specification.text}\nlemma {name} : {body}\n", self._specification.path)
        specification, meaning = checker.check(file, self._abstract)
        if specification is None or any(d.severity is Severity.ERROR for d in (*syntax, *meaning)):
            raise UnreadableError("a lemma that the language does not have")
        found = next(formula for formula in specification.formulas if formula.name == name)
        return found, f"lemma {name} : {body}"

    def _abstract(self, source: str) -> m.Specification | None:
        known = {Path(r.abstract.path).name: r.abstract for r in self._specification.refinements}
        return known.get(Path(source).name)

    def _formula(self, tree: Any) -> str:
        match tree:
            case bool():
                return "true" if tree else "false"
            case int():
                return str(tree) if tree >= 0 else f"({tree})"
            case ["var", int(position)]:
                return self._readable(self._leaves[position])
            case ["=", a, b]:
                return self._equal(a, b)
            case ["<=" | "<" | ">=" | ">" as sign, a, b]:
                return self._compared(sign, a, b)
            case ["not", ["<=" | "<" | ">=" | ">" as sign, a, b]]:
                return self._compared(_OPPOSITES[sign], a, b)
            case ["+", a, ["*", -1, b]]:
                return f"({self._formula(a)} - {self._formula(b)})"
            case ["not", a]:
                return f"(not {self._formula(a)})"
            case ["and" | "or" | "=>" | "+" | "-" | "*" as sign, *parts] if len(parts) > 1:
                joined = {"=>": " implies "}.get(sign, f" {sign} ").join(self._formula(part) for part in parts)
                return f"({joined})"
            case ["and" | "or" | "+", part]:
                return self._formula(part)
            case ["-", a]:
                return f"(-{self._formula(a)})"
            case ["if", a, b, c]:
                return f"(if {self._formula(a)} then {self._formula(b)} else {self._formula(c)})"
            case _:
                raise UnreadableError(f"`{tree[0] if isinstance(tree, list) else tree}`")

    @staticmethod
    def _readable(leaf: _Leaf) -> str:
        if leaf.cases or not leaf.text:
            raise UnreadableError(f"arithmetic with {leaf.text}")
        return leaf.text

    def _listed(self, tree: Any) -> _Leaf | None:
        """The leaf with named values that a tree is, if it is one."""
        match tree:
            case ["var", int(position)] if self._leaves[position].cases:
                return self._leaves[position]
            case _:
                return None

    def _equal(self, a: Any, b: Any) -> str:
        one, other = self._listed(a), self._listed(b)
        if one and other:
            return f"({one.text} == {other.text})"
        if one or other:
            leaf, value = (one, b) if one else (other, a)
            assert leaf is not None
            return self._among(leaf, lambda index: index == value, value)
        return f"({self._formula(a)} == {self._formula(b)})"

    def _compared(self, sign: str, a: Any, b: Any) -> str:
        one, other = self._listed(a), self._listed(b)
        if one is None and other is None:
            return f"({self._formula(a)} {sign} {self._formula(b)})"
        holds = _ORDERS[sign]
        if one is not None:
            return self._among(one, lambda index: holds(index, b), b)
        assert other is not None
        return self._among(other, lambda index: holds(a, index), a)

    @staticmethod
    def _among(leaf: _Leaf, holds: Callable[[int], bool], value: Any) -> str:
        if not isinstance(value, int) or not leaf.text:
            raise UnreadableError(f"arithmetic with {leaf.text}")
        sign = "==" if leaf.is_sort else "is"
        parts = [f"{leaf.text} {sign} {case}" for index, case in enumerate(leaf.cases) if holds(index)]
        return f"({' or '.join(parts)})" if parts else "false"


_ORDERS: Final[Mapping[str, Callable[[int, int], bool]]] = {
    "<=": lambda a, b: a <= b,
    "<": lambda a, b: a < b,
    ">=": lambda a, b: a >= b,
    ">": lambda a, b: a > b,
}

_OPPOSITES: Final = {"<=": ">", "<": ">=", ">=": "<", ">": "<="}


def _with_lets(term: Term) -> str:
    """A term as text, with a name for each part that occurs more than once."""
    order = list(t.walk([term]))
    uses: dict[Term, int] = {}
    for part in order:
        for arg in part.args:
            uses[arg] = uses.get(arg, 0) + 1
    texts: dict[Term, str] = {}
    named: list[tuple[str, str]] = []
    for part in order:
        texts[part] = t.written(part, texts)
        if part.args and uses.get(part, 0) > 1:
            named.append((f"d.{len(named)}", texts[part]))
            texts[part] = named[-1][0]
    text = texts[term]
    for name, value in reversed(named):
        text = f"(let (({name} {value})) {text})"
    return text


def conjectures(
    specification: m.Specification, claim: m.Formula, solve: Callable[[str], Any], sizes: Sequence[int] = (1, 2)
) -> Iterator[tuple[m.Formula, str]]:
    """Lemmas that may carry a claim, found in small worlds, with their text.

    Args:
        specification: the machine.
        claim: what does not carry itself.
        solve: a predicate that solves clauses, as a tree, or None.
        sizes: the small worlds.
    """
    for size in sizes if specification.sorts else sizes[:1]:
        try:
            clauses = Clauses(specification, claim, size)
            tree = solve(clauses.text())
            if tree is not None:
                yield clauses.read(tree)
        except UnreadableError:
            continue
