"""First-order terms, and SMT-LIB 2 text of them.

Rules this module keeps:

- equal terms are one object, so sharing is kept and comparing is cheap;
- obvious simplifications are made while building, so that finite instances stay small: every one is an equivalence;
- the text depends only on the terms, not on when or in which order they were built.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Final
from weakref import WeakValueDictionary

BOOL: Final = "Bool"
INT: Final = "Int"


class Term:
    """A term. Build terms with the functions of this module only.

    Attributes:
        op: the SMT-LIB operator; `lit`, `var` (bound), `app`, `forall` or `exists`.
        sort: its sort.
        args: its operands.
        value: of a literal; the name of a `var` or `app`; the bound variables of a quantifier.
        is_open: whether it has bound variables that are free in it.
    """

    __slots__ = ("__weakref__", "args", "free", "op", "sort", "value")

    def __init__(self, op: str, sort: str, args: tuple[Term, ...], value: object, free: frozenset[Term]) -> None:
        self.op = op
        self.sort = sort
        self.args = args
        self.value = value
        self.free = free

    def __repr__(self) -> str:
        return to_text(self)


_TERMS: WeakValueDictionary[tuple[object, ...], Term] = WeakValueDictionary()
_MAKING: Final = Lock()
_NOTHING: Final[frozenset[Term]] = frozenset()


def _make(op: str, sort: str, args: tuple[Term, ...] = (), value: object = None) -> Term:
    key = (op, sort, args, value, type(value))
    return _TERMS.get(key) or _new(key, op, sort, args, value)


def _new(key: tuple[object, ...], op: str, sort: str, args: tuple[Term, ...], value: object) -> Term:
    with _MAKING:  # two threads that make equal terms get one object
        found = _TERMS.get(key)
        if found is not None:
            return found
        free = _NOTHING.union(*(arg.free for arg in args)) if args else _NOTHING
        if op in ("forall", "exists"):
            free -= frozenset(value)  # type: ignore[call-overload]  # a quantifier's value is its variables
        found = Term(op, sort, args, value, free)
        if op == "var":
            found.free = frozenset((found,))
        _TERMS[key] = found
        return found


TRUE: Final = _make("lit", BOOL, value=True)
FALSE: Final = _make("lit", BOOL, value=False)


def number(value: int) -> Term:
    """A whole number."""
    return _make("lit", INT, value=value)


def truth(value: bool) -> Term:
    """A truth value."""
    return TRUE if value else FALSE


def constructor(sort: str, name: str) -> Term:
    """A value of an enumeration."""
    return _make("lit", sort, value=name)


def variable(name: str, sort: str) -> Term:
    """A bound variable. Names must differ between nested quantifiers."""
    return _make("var", sort, value=name)


def apply(name: str, args: Sequence[Term], sort: str) -> Term:
    """A declared function applied; without arguments, a constant."""
    return _make("app", sort, tuple(args), name)


def not_(a: Term) -> Term:
    """Negation."""
    if a.op == "lit":
        return truth(a is FALSE)
    return a.args[0] if a.op == "not" else _make("not", BOOL, (a,))


def and_(*operands: Term) -> Term:
    """Conjunction."""
    return _connective("and", operands, FALSE, TRUE)


def or_(*operands: Term) -> Term:
    """Disjunction."""
    return _connective("or", operands, TRUE, FALSE)


def _connective(op: str, operands: Iterable[Term], zero: Term, one: Term) -> Term:
    flat: dict[Term, None] = {}
    for operand in operands:
        for part in operand.args if operand.op == op else (operand,):
            if part is zero or not_(part) in flat:
                return zero
            if part is not one:
                flat[part] = None
    parts = tuple(flat)
    return one if not parts else parts[0] if len(parts) == 1 else _make(op, BOOL, parts)


def implies(a: Term, b: Term) -> Term:
    """Implication."""
    return or_(not_(a), b)


def equal(a: Term, b: Term) -> Term:
    """Equality of terms of one sort."""
    if a is b:
        return TRUE
    if a.op == "lit" and b.op == "lit":
        return FALSE
    if a.sort == BOOL:
        for one, other in ((a, b), (b, a)):
            if one.op == "lit":
                return other if one is TRUE else not_(other)
    for choice, other in ((a, b), (b, a)):
        # A literal compared with a choice among literals: the choice is decided by its condition.
        if choice.op == "ite" and other.op == "lit" and all(arm.op == "lit" for arm in choice.args[1:]):
            condition, then, otherwise = choice.args
            return ite(condition, equal(then, other), equal(otherwise, other))
    return _make("=", BOOL, (a, b))


def ite(condition: Term, then: Term, otherwise: Term) -> Term:
    """A conditional."""
    if condition.op == "lit":
        return then if condition is TRUE else otherwise
    if then is otherwise:
        return then
    if condition.op == "not":
        return ite(condition.args[0], otherwise, then)
    if then.sort == BOOL:
        if then.op == "lit":
            return or_(condition, otherwise) if then is TRUE else and_(not_(condition), otherwise)
        if otherwise.op == "lit":
            return implies(condition, then) if otherwise is TRUE else and_(condition, then)
    return _make("ite", then.sort, (condition, then, otherwise))


def _ints(a: Term, b: Term) -> tuple[int, int] | None:
    if a.op == "lit" and b.op == "lit":
        assert isinstance(a.value, int)
        assert isinstance(b.value, int)
        return a.value, b.value
    return None


def at_most(a: Term, b: Term) -> Term:
    """`a <= b`."""
    both = _ints(a, b)
    return truth(both[0] <= both[1]) if both else TRUE if a is b else _make("<=", BOOL, (a, b))


def less(a: Term, b: Term) -> Term:
    """`a < b`."""
    both = _ints(a, b)
    return truth(both[0] < both[1]) if both else FALSE if a is b else _make("<", BOOL, (a, b))


def plus(a: Term, b: Term) -> Term:
    """`a + b`."""
    both = _ints(a, b)
    if both:
        return number(both[0] + both[1])
    if a.op == "lit" and a.value == 0:
        return b
    return a if b.op == "lit" and b.value == 0 else _make("+", INT, (a, b))


def minus(a: Term, b: Term) -> Term:
    """`a - b`."""
    both = _ints(a, b)
    if both:
        return number(both[0] - both[1])
    return a if b.op == "lit" and b.value == 0 else number(0) if a is b else _make("-", INT, (a, b))


def times(a: Term, b: Term) -> Term:
    """`a * b`."""
    both = _ints(a, b)
    if both:
        return number(both[0] * both[1])
    for one, other in ((a, b), (b, a)):
        if one.op == "lit" and one.value in (0, 1):
            return other if one.value == 1 else number(0)
    return _make("*", INT, (a, b))


def floor_div(a: Term, b: Term) -> Term:
    """The floor of the quotient, 0 if `b` is 0. SMT-LIB's `div` rounds otherwise when `b` is negative."""
    both = _ints(a, b)
    if both:
        return number(both[0] // both[1] if both[1] else 0)
    negated = _make("div", INT, (minus(number(0), a), minus(number(0), b)))
    positive = _make("div", INT, (a, b))
    return ite(less(number(0), b), positive, ite(less(b, number(0)), negated, number(0)))


def floor_mod(a: Term, b: Term) -> Term:
    """The remainder that belongs to `floor_div`; `a` itself if `b` is 0."""
    both = _ints(a, b)
    if both:
        return number(both[0] % both[1] if both[1] else both[0])
    negated = minus(number(0), _make("mod", INT, (minus(number(0), a), minus(number(0), b))))
    positive = _make("mod", INT, (a, b))
    return ite(less(number(0), b), positive, ite(less(b, number(0)), negated, a))


def forall(variables: Sequence[Term], body: Term) -> Term:
    """For all values of the variables."""
    return _quantifier("forall", variables, body)


def exists(variables: Sequence[Term], body: Term) -> Term:
    """For some values of the variables."""
    return _quantifier("exists", variables, body)


def _quantifier(op: str, variables: Sequence[Term], body: Term) -> Term:
    # Every sort has at least one element, so a variable that the body does not use can go.
    used = tuple(v for v in variables if v in body.free)
    if not used:
        return body
    if body.op == op:
        return _make(op, BOOL, body.args, (*used, *_bound(body)))
    return _make(op, BOOL, (body,), used)


def _bound(term: Term) -> tuple[Term, ...]:
    assert isinstance(term.value, tuple)
    return term.value


# --- text ------------------------------------------------------------------------------------------------------------

_PLAIN = re.compile(r"[A-Za-z_~!@$%^&*+=<>.?/-][A-Za-z0-9_~!@$%^&*+=<>.?/-]*")


def symbol(name: str) -> str:
    """A name as an SMT-LIB symbol."""
    return name if _PLAIN.fullmatch(name) else f"|{name}|"


def walk(terms: Iterable[Term]) -> Iterator[Term]:
    """Every term inside, each once, operands before what they are in."""
    seen: set[Term] = set()
    for root in terms:
        waiting = [(root, False)]
        while waiting:
            term, ready = waiting.pop()
            if ready:
                yield term
            elif term not in seen:
                seen.add(term)
                waiting.append((term, True))
                waiting.extend((arg, False) for arg in reversed(term.args))


def to_text(term: Term) -> str:
    """A term as SMT-LIB text."""
    texts: dict[Term, str] = {}
    for part in walk([term]):
        texts[part] = written(part, texts)
    return texts[term]


def written(term: Term, texts: Mapping[Term, str]) -> str:
    """A term as SMT-LIB text, given that of its operands."""
    inside = " ".join(texts[arg] for arg in term.args)
    match term.op:
        case "lit":
            return _literal(term.value)
        case "var":
            return symbol(str(term.value))
        case "app":
            return f"({symbol(str(term.value))} {inside})" if term.args else symbol(str(term.value))
        case "forall" | "exists":
            names = " ".join(f"({texts[v]} {symbol(v.sort)})" for v in _bound(term))
            return f"({term.op} ({names}) {inside})"
        case _:
            return f"({term.op} {inside})"


def _literal(value: object) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case int():
            return str(value) if value >= 0 else f"(- {-value})"
        case _:
            return symbol(str(value))


@dataclass(frozen=True, slots=True)
class Signature:
    """A declared function."""

    arguments: tuple[str, ...]
    result: str


def signatures(terms: Iterable[Term]) -> dict[str, Signature]:
    """The functions that occur among terms, in the order of their names; operands are not looked into."""
    found = {
        str(term.value): Signature(tuple(arg.sort for arg in term.args), term.sort)
        for term in terms
        if term.op == "app"
    }
    return dict(sorted(found.items()))


def script(assertions: Sequence[Term], enumerations: Mapping[str, Sequence[str]]) -> str:
    """SMT-LIB text that declares what occurs in the assertions and asserts them; without `(check-sat)`.

    Args:
        assertions: the formulas.
        enumerations: the values of each sort that has finitely many; other sorts are uninterpreted.
    """
    order = list(walk(assertions))
    functions = signatures(order)
    sorts = {s for f in functions.values() for s in (*f.arguments, f.result)}
    sorts |= {term.sort for term in order}
    lines = [_declared_sort(sort, enumerations) for sort in sorted(sorts - {BOOL, INT})]
    lines += [
        f"(declare-fun {symbol(name)} ({' '.join(map(symbol, f.arguments))}) {symbol(f.result)})"
        for name, f in functions.items()
    ]
    shared = _shared(order)
    texts: dict[Term, str] = {}
    variables = names = 0
    for term in order:
        if term.op == "var":
            # Named in the order in which they occur, whatever they were called while building.
            texts[term] = f"x{variables}"
            variables += 1
            continue
        text = written(term, texts)
        if term in shared:
            lines.append(f"(define-fun d.{names} () {symbol(term.sort)} {text})")
            text = f"d.{names}"
            names += 1
        texts[term] = text
    lines += [f"(assert {texts[term]})" for term in assertions]
    return "\n".join(lines) + "\n"


def _declared_sort(sort: str, enumerations: Mapping[str, Sequence[str]]) -> str:
    if sort not in enumerations:
        return f"(declare-sort {symbol(sort)} 0)"
    return f"(declare-datatypes (({symbol(sort)} 0)) (({' '.join(f'({symbol(c)})' for c in enumerations[sort])})))"


def _shared(order: Sequence[Term]) -> frozenset[Term]:
    """Closed terms that occur more than once and are worth a name."""
    uses: dict[Term, int] = {}
    for term in order:
        for arg in term.args:
            uses[arg] = uses.get(arg, 0) + 1
    return frozenset(
        term for term, count in uses.items() if count > 1 and term.args and term.op != "app" and not term.free
    )
