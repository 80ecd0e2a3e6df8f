"""The symbolic reading of expressions: the same meaning as `certify_spec.evaluate`, over terms instead of values.

Rules this module keeps:

- the state after a step is the state before with its updates substituted: no primed copies, no frame conditions;
- a map is a function from keys to values, however deep: `Map[A, B -> V]` is a function of two arguments, never an array
  of arrays;
- records, enums with content, maps and sets fall apart into functions with scalar results, which every solver reads;
- a set is its membership and its size; both change together. In a finite universe the size is the exact sum;
- what a long run makes of a map or set is remembered key by key: each step reads the one before several times.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from itertools import count, product
from typing import Any, assert_never, cast

from certify_spec import model as m
from certify_spec.datatypes import (
    BOOL,
    EnumType,
    FunctionType,
    MapType,
    RecordType,
    Scalar,
    SetType,
    SortType,
    Type,
    Unknown,
    substitute,
)
from certify_verifier import terms as t
from certify_verifier.terms import Term


class UnsupportedError(Exception):
    """A construct that this encoding does not have; the message says which."""


@dataclass(frozen=True, slots=True)
class SymbolicRecord:
    """A record: a value per field."""

    fields: Mapping[str, Symbolic]


@dataclass(frozen=True, slots=True)
class SymbolicEnum:
    """An enum with content: a tag, and for each case that holds something, what it holds if the tag says so."""

    tag: Term
    contents: Mapping[str, Symbolic]


@dataclass(frozen=True, slots=True)
class SymbolicMap:
    """A map as a function of its keys, flattened to scalars."""

    at: Callable[[tuple[Term, ...]], Symbolic]


@dataclass(frozen=True, slots=True)
class SymbolicSet:
    """A set: its membership as a function of the flattened element, and its size."""

    has: Callable[[tuple[Term, ...]], Term]
    size: Term


Symbolic = Term | SymbolicRecord | SymbolicEnum | SymbolicMap | SymbolicSet
SymbolicFunction = Callable[..., Symbolic]
State = Mapping[str, Symbolic]


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Where an expression is encoded: the state, the one after the step, the bound names, the type variables."""

    state: State = field(default_factory=dict)
    after: State | None = None
    bound: Mapping[str, Symbolic | SymbolicFunction] = field(default_factory=dict)
    types: Mapping[str, Type] = field(default_factory=dict)

    def binding(self, names: Mapping[str, Symbolic | SymbolicFunction]) -> Surroundings:
        """The surroundings with more bound names."""
        return replace(self, bound={**self.bound, **names})


class Encoder:
    """Encodes the expressions of a specification.

    Args:
        specification: where definitions and shapes come from.
        sizes: the size of each sort, for a finite universe; None for sorts of any size.
        functions: how to read a parameter, function or relation other than as an unknown function of the same name;
            a refinement reads the abstract parameters as expressions of the concrete machine.
        names: numbers for bound variables; encoders whose terms meet share them.
    """

    def __init__(
        self,
        specification: m.Specification,
        sizes: Mapping[str, int] | None = None,
        functions: Mapping[str, Symbolic] | None = None,
        names: Iterator[int] | None = None,
    ) -> None:
        self.specification = specification
        self.shapes = specification.shapes
        self.sizes = sizes
        self._functions = dict(functions or {})
        self.names = count() if names is None else names
        self.enumerations: dict[str, tuple[str, ...]] = {
            sort_name(name): tuple(f"{sort_name(name)}.{case}" for case in shape.cases)
            for name, shape in self.shapes.enums.items()
        }
        for sort, size in (sizes or {}).items():
            self.enumerations[sort_name(sort)] = tuple(f"{sort_name(sort)}.{index}" for index in range(size))

    # --- unknown values ----------------------------------------------------------------------------------------------

    def unknown(self, kind: Type, name: str, keys: tuple[Term, ...] = ()) -> Symbolic:
        """An unknown value of a type: one function with a scalar result per leaf of the type."""
        match kind:
            case Scalar() | SortType():
                return self._leaf(name, keys, scalar_sort(kind))
            case EnumType() if self.shapes.is_plain(kind):
                return self._leaf(name, keys, scalar_sort(kind))
            case EnumType():
                contents = {
                    case: self.unknown(held, f"{name}.{case}", keys)
                    for case, held in self.shapes.cases(kind).items()
                    if held is not None
                }
                return SymbolicEnum(self._leaf(f"{name}.case", keys, sort_name(kind.name)), contents)
            case RecordType():
                fields = self.shapes.fields(kind)
                return SymbolicRecord({f: self.unknown(held, f"{name}.{f}", keys) for f, held in fields.items()})
            case MapType(_, held):
                return SymbolicMap(lambda more: self.unknown(held, f"{name}[]", (*keys, *more)))
            case SetType(element):
                return self._unknown_set(element, name, keys)
            case FunctionType() | Unknown():
                raise UnsupportedError(f"values of type {kind}")
            case _:
                assert_never(kind)

    def _unknown_set(self, element: Type, name: str, keys: tuple[Term, ...]) -> SymbolicSet:
        def has(flat: tuple[Term, ...]) -> Term:
            return self._leaf(f"{name}.has", (*keys, *flat), t.BOOL)

        if self._is_enumerable(element):
            return SymbolicSet(has, self._counted(element, has))
        return SymbolicSet(has, self._leaf(f"{name}.size", keys, t.INT))

    def _counted(self, element: Type, has: Callable[[tuple[Term, ...]], Term]) -> Term:
        total = t.number(0)
        for flat in self._all_flat(element):
            total = t.plus(total, t.ite(has(flat), t.number(1), t.number(0)))
        return total

    def _leaf(self, name: str, keys: tuple[Term, ...], sort: str) -> Term:
        """A scalar of the state. In a finite universe each element of a key has a constant of its own."""
        for position, key in enumerate(keys):
            if key.sort in self.enumerations and key.op != "lit":
                values = [t.constructor(key.sort, value) for value in self.enumerations[key.sort]]
                result = self._leaf(name, (*keys[:position], values[-1], *keys[position + 1 :]), sort)
                for value in reversed(values[:-1]):
                    here = self._leaf(name, (*keys[:position], value, *keys[position + 1 :]), sort)
                    result = t.ite(t.equal(key, value), here, result)
                return result
        fixed = [str(key.value) for key in keys if key.op == "lit" and key.sort in self.enumerations]
        rest = [key for key in keys if not (key.op == "lit" and key.sort in self.enumerations)]
        return t.apply(f"{name}<{','.join(fixed)}>" if fixed else name, rest, sort)

    def state(self, prefix: str = "") -> dict[str, Symbolic]:
        """An unknown state."""
        variables = self.specification.variables
        return {name: self.unknown(variable.type, prefix + name) for name, variable in variables.items()}

    # --- the values of a type ----------------------------------------------------------------------------------------

    def _is_enumerable(self, kind: Type) -> bool:
        """Whether this universe has finitely many values of a key type."""
        match kind:
            case SortType():
                return self.sizes is not None and scalar_sort(kind) in self.enumerations
            case RecordType():
                return all(self._is_enumerable(held) for held in self.shapes.fields(kind).values())
            case EnumType():
                return True
            case _:
                return kind == BOOL

    def _all_flat(self, kind: Type) -> Iterator[tuple[Term, ...]]:
        """All values of an enumerable key type, flattened."""
        match kind:
            case RecordType():
                for row in product(*(list(self._all_flat(held)) for held in self.shapes.fields(kind).values())):
                    yield tuple(part for flat in row for part in flat)
            case SortType() | EnumType():
                sort = scalar_sort(kind)
                for value in self.enumerations[sort]:
                    yield (t.constructor(sort, value),)
            case _:
                yield from ((t.FALSE,), (t.TRUE,))

    def over(self, kind: Type, universal: bool, body: Callable[[Symbolic], Term]) -> Term:
        """A quantifier over a key type: spelled out where the universe is finite, a quantifier otherwise."""
        join = t.and_ if universal else t.or_
        if self.sizes is not None and self._is_enumerable(kind):
            return join(*(body(self.rebuilt(kind, flat)) for flat in self._all_flat(kind)))
        if kind == BOOL:
            return join(body(t.FALSE), body(t.TRUE))
        flat = tuple(self.fresh(sort) for sort in self.flat_sorts(kind))
        made = body(self.rebuilt(kind, flat))
        return t.forall(flat, made) if universal else t.exists(flat, made)

    def fresh(self, sort: str) -> Term:
        """A variable to bind that no other quantifier of this encoder binds."""
        return t.variable(f"x{next(self.names)}", sort)

    def flat_sorts(self, kind: Type) -> tuple[str, ...]:
        """The sorts of the scalars that a key falls apart into."""
        if isinstance(kind, RecordType):
            return tuple(s for held in self.shapes.fields(kind).values() for s in self.flat_sorts(held))
        if isinstance(kind, EnumType) and not self.shapes.is_plain(kind):
            held_by_cases = [held for held in self.shapes.cases(kind).values() if held is not None]
            return (sort_name(kind.name), *(s for held in held_by_cases for s in self.flat_sorts(held)))
        return (scalar_sort(kind),)

    def rebuilt(self, kind: Type, flat: Sequence[Term]) -> Symbolic:
        """The key that falls apart into these scalars."""
        if not isinstance(kind, RecordType):
            return flat[0]
        fields: dict[str, Symbolic] = {}
        for name, held in self.shapes.fields(kind).items():
            width = len(self.flat_sorts(held))
            fields[name], flat = self.rebuilt(held, flat[:width]), flat[width:]
        return SymbolicRecord(fields)

    def flat(self, value: Symbolic) -> tuple[Term, ...]:
        """The scalars of a value; what the tag of an enum hides is replaced by a fixed value, so equals stay equal."""
        match value:
            case Term():
                return (value,)
            case SymbolicRecord(fields):
                return tuple(part for held in fields.values() for part in self.flat(held))
            case SymbolicEnum(tag, contents):
                parts: list[Term] = [tag]
                for case, held in contents.items():
                    is_case = _is(value, case)
                    parts += [
                        t.ite(is_case, part, t.apply(f"any {part.sort}", (), part.sort)) for part in self.flat(held)
                    ]
                return tuple(parts)
            case SymbolicMap() | SymbolicSet():
                raise UnsupportedError("a map or set as the argument of a function")
            case _:
                assert_never(value)

    # --- equality and choice -----------------------------------------------------------------------------------------

    def equal(self, kind: Type, a: Symbolic, b: Symbolic) -> Term:
        """Equality of two values of a type."""
        match kind, a, b:
            case (_, Term(), Term()):
                return t.equal(a, b)
            case (RecordType(), SymbolicRecord(), SymbolicRecord()):
                fields = self.shapes.fields(kind)
                return t.and_(*(self.equal(held, a.fields[f], b.fields[f]) for f, held in fields.items()))
            case (EnumType(), SymbolicEnum(), SymbolicEnum()):
                parts = [t.equal(a.tag, b.tag)]
                for case, held in self.shapes.cases(kind).items():
                    if held is not None:
                        is_case = _is(a, case)
                        parts.append(t.implies(is_case, self.equal(held, a.contents[case], b.contents[case])))
                return t.and_(*parts)
            case (MapType(), SymbolicMap(), SymbolicMap()):
                return self._over_keys(kind.keys, lambda keys: self.equal(kind.value, a.at(keys), b.at(keys)))
            case (SetType(), SymbolicSet(), SymbolicSet()):
                same = self._over_keys((kind.element,), lambda keys: t.equal(a.has(keys), b.has(keys)))
                return t.and_(same, t.equal(a.size, b.size))
            case _:
                raise UnsupportedError(f"equality of values of type {kind}")

    def _over_keys(self, kinds: Sequence[Type], body: Callable[[tuple[Term, ...]], Term]) -> Term:
        if not kinds:
            return body(())
        first, rest = kinds[0], kinds[1:]
        return self.over(
            first,
            True,
            lambda key: self._over_keys(rest, lambda keys: body((*self.flat(key), *keys))),
        )

    def choice(self, condition: Term, a: Symbolic, b: Symbolic) -> Symbolic:
        """`a` if the condition holds, `b` if not."""
        if condition.op == "lit" or a is b:
            return a if condition is t.TRUE or a is b else b
        match a, b:
            case (Term(), Term()):
                return t.ite(condition, a, b)
            case (SymbolicRecord(), SymbolicRecord()):
                return SymbolicRecord({f: self.choice(condition, v, b.fields[f]) for f, v in a.fields.items()})
            case (SymbolicEnum(), SymbolicEnum()):
                contents = {c: self.choice(condition, v, b.contents[c]) for c, v in a.contents.items()}
                return SymbolicEnum(t.ite(condition, a.tag, b.tag), contents)
            case (SymbolicMap(), SymbolicMap()):
                return SymbolicMap(cache(lambda keys: self.choice(condition, a.at(keys), b.at(keys))))
            case (SymbolicSet(), SymbolicSet()):
                size = t.ite(condition, a.size, b.size)
                return SymbolicSet(cache(lambda keys: t.ite(condition, a.has(keys), b.has(keys))), size)
            case _:
                raise AssertionError("both arms of a choice have one type")

    # --- expressions -------------------------------------------------------------------------------------------------

    def formula(self, expression: m.Expression, around: Surroundings) -> Term:
        """A formula as a term of sort Bool."""
        return self.term(expression, around)

    def term(self, expression: m.Expression, around: Surroundings) -> Term:
        """An expression of a scalar type."""
        value = self.value(expression, around)
        assert isinstance(value, Term)
        return value

    def value(self, expression: m.Expression, around: Surroundings) -> Symbolic:
        """The symbolic value of an expression."""
        return _MEANINGS[type(expression)](self, expression, around)

    def _literal(self, e: m.Literal, _around: Surroundings) -> Symbolic:
        return t.truth(e.value) if isinstance(e.value, bool) else t.number(e.value)

    def _variable(self, e: m.Variable, around: Surroundings) -> Symbolic:
        return around.state[e.name]

    def _after(self, e: m.After, around: Surroundings) -> Symbolic:
        assert around.after is not None
        return self.value(e.operand, replace(around, state=around.after, after=None))

    def _local(self, e: m.Local, around: Surroundings) -> Symbolic:
        return cast("Symbolic", around.bound[e.name])

    def _applied(self, e: m.Applied, around: Surroundings) -> Symbolic:
        keys = tuple(part for argument in e.arguments for part in self.flat(self.value(argument, around)))
        meaning = self._functions.get(e.name)
        if meaning is None:
            return self.unknown(e.type, f"p.{e.name}", keys)
        return meaning.at(keys) if isinstance(meaning, SymbolicMap) and e.arguments else meaning

    def _invoked(self, e: m.Invoked, around: Surroundings) -> Symbolic:
        definition = self.specification.definitions[e.definition]
        names = [name for name, _ in definition.parameters]
        given = [self._argument(argument, around) for argument in e.arguments]
        types = {name: substitute(kind, around.types) for name, kind in e.types}
        bound = dict(zip(names, given, strict=True))
        return self.value(definition.body, replace(around, bound=bound, types=types))

    def _argument(self, e: m.Expression, around: Surroundings) -> Symbolic | SymbolicFunction:
        if isinstance(e, m.Lambda):
            names = [name for name, _ in e.parameters]
            return lambda *values: self.value(e.body, around.binding(dict(zip(names, values, strict=True))))
        if isinstance(e, m.Local):
            return around.bound[e.name]
        return self.value(e, around)

    def _function_call(self, e: m.FunctionCall, around: Surroundings) -> Symbolic:
        function = cast("SymbolicFunction", around.bound[e.function])
        return function(*(self.value(argument, around) for argument in e.arguments))

    def _lambda(self, _e: m.Lambda, _around: Surroundings) -> Symbolic:
        raise AssertionError("functions are arguments only; the checker sees to it")

    def _enabled(self, e: m.Enabled, around: Surroundings) -> Symbolic:
        action = self.specification.actions[e.action]
        values = (self.value(argument, around) for argument in e.arguments)
        bound = {name: value for (name, _), value in zip(action.parameters, values, strict=True)}
        return self.value(action.guard, replace(around, bound=bound))

    def _if(self, e: m.If, around: Surroundings) -> Symbolic:
        condition = self.term(e.condition, around)
        if condition.op == "lit":
            return self.value(e.then if condition is t.TRUE else e.otherwise, around)
        return self.choice(condition, self.value(e.then, around), self.value(e.otherwise, around))

    def _not(self, e: m.Not, around: Surroundings) -> Symbolic:
        return t.not_(self.term(e.operand, around))

    def _and(self, e: m.And, around: Surroundings) -> Symbolic:
        return t.and_(*(self.term(operand, around) for operand in e.operands))

    def _or(self, e: m.Or, around: Surroundings) -> Symbolic:
        return t.or_(*(self.term(operand, around) for operand in e.operands))

    def _implies(self, e: m.Implies, around: Surroundings) -> Symbolic:
        return t.implies(self.term(e.premise, around), self.term(e.conclusion, around))

    def _equal(self, e: m.Equal, around: Surroundings) -> Symbolic:
        kind = substitute(e.left.type, around.types)
        return self.equal(kind, self.value(e.left, around), self.value(e.right, around))

    def _order(self, e: m.Order, around: Surroundings) -> Symbolic:
        left, right = self.term(e.left, around), self.term(e.right, around)
        return t.less(left, right) if e.strict else t.at_most(left, right)

    def _arithmetic(self, e: m.Arithmetic, around: Surroundings) -> Symbolic:
        left, right = self.term(e.left, around), self.term(e.right, around)
        match e.operator:
            case "min":
                return t.ite(t.at_most(left, right), left, right)
            case "max":
                return t.ite(t.at_most(left, right), right, left)
            case _:
                return _ARITHMETIC[e.operator](left, right)

    def _quantified(self, e: m.Quantified, around: Surroundings) -> Symbolic:
        return self._over_binders(e.binders, e.body, e.universal, around)

    def _over_binders(
        self, binders: tuple[m.Binder, ...], body: m.Expression, universal: bool, around: Surroundings
    ) -> Term:
        if not binders:
            return self.term(body, around)
        first, rest = binders[0], binders[1:]
        kind = substitute(first.type, around.types)

        def inner(value: Symbolic) -> Term:
            made = self._over_binders(rest, body, universal, around.binding({first.name: value}))
            within = self._within(first.domain, value, around)
            return t.implies(within, made) if universal else t.and_(within, made)

        spelled = self._small_range(first.domain, around)
        if spelled is not None:
            return (t.and_ if universal else t.or_)(*(inner(t.number(i)) for i in spelled))
        return self.over(kind, universal, inner)

    def _within(self, domain: m.Domain, value: Symbolic, around: Surroundings) -> Term:
        match domain:
            case m.AllOf():
                return t.TRUE
            case m.Range(first, last):
                assert isinstance(value, Term)
                return t.and_(t.at_most(self.term(first, around), value), t.at_most(value, self.term(last, around)))
            case m.Elements(held):
                contents = self.value(held, around)
                assert isinstance(contents, SymbolicSet)
                return contents.has(self.flat(value))
            case _:
                assert_never(domain)

    def _small_range(self, domain: m.Domain, around: Surroundings) -> range | None:
        """A range with fixed and near ends, which is spelled out."""
        if not isinstance(domain, m.Range):
            return None
        first, last = self.term(domain.first, around), self.term(domain.last, around)
        if first.op != "lit" or last.op != "lit":
            return None
        assert isinstance(first.value, int)
        assert isinstance(last.value, int)
        return range(first.value, last.value + 1) if last.value - first.value < 16 else None

    def _case(self, e: m.Case, around: Surroundings) -> Symbolic:
        kind = substitute(e.type, around.types)
        assert isinstance(kind, EnumType)
        tag = t.constructor(sort_name(kind.name), f"{sort_name(kind.name)}.{e.case}")
        if self.shapes.is_plain(kind):
            return tag
        contents = {
            case: self.value(e.content, around)
            if case == e.case and e.content is not None
            else self.unknown(held, f"any {held}")
            for case, held in self.shapes.cases(kind).items()
            if held is not None
        }
        return SymbolicEnum(tag, contents)

    def _is_case(self, e: m.IsCase, around: Surroundings) -> Symbolic:
        return _is(self.value(e.value, around), e.case)

    def _matched(self, e: m.Matched, around: Surroundings) -> Symbolic:
        held = self.value(e.value, around)
        assert isinstance(held, SymbolicEnum)
        then = self.value(e.then, around.binding({e.content: held.contents[e.case]}))
        return self.choice(_is(held, e.case), then, self.value(e.otherwise, around))

    def _record(self, e: m.Record, around: Surroundings) -> Symbolic:
        return SymbolicRecord({name: self.value(value, around) for name, value in e.fields})

    def _field(self, e: m.Field, around: Surroundings) -> Symbolic:
        record = self.value(e.record, around)
        assert isinstance(record, SymbolicRecord)
        return record.fields[e.field]

    def _amended(self, e: m.Amended, around: Surroundings) -> Symbolic:
        record = self.value(e.record, around)
        assert isinstance(record, SymbolicRecord)
        return SymbolicRecord({**record.fields, **{name: self.value(value, around) for name, value in e.changes}})

    def _keys(self, keys: tuple[m.Expression, ...], around: Surroundings) -> tuple[Term, ...]:
        return tuple(part for key in keys for part in self.flat(self.value(key, around)))

    def _lookup(self, e: m.Lookup, around: Surroundings) -> Symbolic:
        held = self.value(e.map, around)
        assert isinstance(held, SymbolicMap)
        return held.at(self._keys(e.keys, around))

    def _stored(self, e: m.Stored, around: Surroundings) -> Symbolic:
        held = self.value(e.map, around)
        assert isinstance(held, SymbolicMap)
        entries = [(self._keys(keys, around), self.value(value, around)) for keys, value in e.entries]

        def at(asked: tuple[Term, ...]) -> Symbolic:
            result = held.at(asked)
            for keys, value in entries:
                same = t.and_(*(t.equal(a, b) for a, b in zip(asked, keys, strict=True)))
                result = self.choice(same, value, result)
            return result

        return SymbolicMap(cache(at))

    def _everywhere(self, e: m.Everywhere, around: Surroundings) -> Symbolic:
        value = self.value(e.value, around)
        return SymbolicMap(lambda _keys: value)

    def _tabulated(self, e: m.Tabulated, around: Surroundings) -> Symbolic:
        kinds = [substitute(kind, around.types) for _, kind in e.keys]

        def at(flat: tuple[Term, ...]) -> Symbolic:
            bound: dict[str, Symbolic] = {}
            for (name, _), kind in zip(e.keys, kinds, strict=True):
                width = len(self.flat_sorts(kind))
                bound[name], flat = self.rebuilt(kind, flat[:width]), flat[width:]
            return self.value(e.body, around.binding(bound))

        return SymbolicMap(at)

    def _empty(self, _e: m.Empty, _around: Surroundings) -> Symbolic:
        return SymbolicSet(lambda _keys: t.FALSE, t.number(0))

    def _set(self, e: m.Expression, around: Surroundings) -> SymbolicSet:
        held = self.value(e, around)
        assert isinstance(held, SymbolicSet)
        return held

    def _member(self, e: m.Member, around: Surroundings) -> Symbolic:
        return self._set(e.set, around).has(self.flat(self.value(e.element, around)))

    def _inserted(self, e: m.Inserted, around: Surroundings) -> Symbolic:
        return self._with_element(e, around, present=True)

    def _removed(self, e: m.Removed, around: Surroundings) -> Symbolic:
        return self._with_element(e, around, present=False)

    def _with_element(self, e: m.Inserted | m.Removed, around: Surroundings, *, present: bool) -> SymbolicSet:
        """A set with an element put in or taken out; the size moves only if the membership does."""
        held, element = self._set(e.set, around), self.flat(self.value(e.element, around))
        kind = substitute(e.element.type, around.types)

        @cache
        def has(asked: tuple[Term, ...]) -> Term:
            same = t.and_(*(t.equal(a, b) for a, b in zip(asked, element, strict=True)))
            return t.ite(same, t.truth(present), held.has(asked))

        if self._is_enumerable(kind):
            return SymbolicSet(has, self._counted(kind, has))
        change = t.plus if present else t.minus
        moved = change(held.size, t.number(1))
        before = held.has(element)
        return SymbolicSet(has, t.ite(before, held.size, moved) if present else t.ite(before, moved, held.size))

    def _size(self, e: m.Size, around: Surroundings) -> Symbolic:
        return self._set(e.set, around).size

    # --- what is known of sets ---------------------------------------------------------------------------------------

    def set_facts(self, state: State, *, least: bool = False) -> list[Term]:
        """What holds of the sizes of the sets of a state, as finite sets: true of every state, so it may be assumed.

        Args:
            state: the state.
            least: whether also that a set has a least element in each map to numbers.
        """
        facts: list[Term] = []
        sets: list[tuple[Type, SymbolicSet]] = []
        for name, variable in self.specification.variables.items():
            value = state[name]
            if isinstance(variable.type, SetType) and isinstance(value, SymbolicSet):
                if not self._is_enumerable(variable.type.element):
                    sets.append((variable.type.element, value))
                    facts += self._facts_of_one(variable.type.element, value, witness=True)
                    facts += self._least_facts(variable.type.element, value, state) if least else []
            elif isinstance(variable.type, MapType) and isinstance(variable.type.value, SetType):
                facts += self._facts_of_many(variable.type, value)
        for kind, a in sets:
            facts += [self._fact_of_two(kind, a, b) for other, b in sets if other == kind and a is not b]
        return [fact for fact in facts if fact is not t.TRUE]

    def _facts_of_one(self, element: Type, held: SymbolicSet, *, witness: bool) -> list[Term]:
        def distinct(x: Symbolic, y: Symbolic) -> Term:
            two = t.at_most(t.number(2), held.size)
            return t.or_(self.equal(element, x, y), t.not_(held.has(self.flat(x))), t.not_(held.has(self.flat(y))), two)

        one = t.at_most(t.number(1), held.size)
        facts = [
            t.at_most(t.number(0), held.size),
            self.over(element, True, lambda x: t.implies(held.has(self.flat(x)), one)),
            self.over(element, True, lambda x: self.over(element, True, lambda y: distinct(x, y))),
        ]
        if witness:
            facts.append(t.implies(one, self.over(element, False, lambda x: held.has(self.flat(x)))))
        return facts

    def _least_facts(self, element: Type, held: SymbolicSet, state: State) -> list[Term]:
        """A set that is not empty has an element whose number is least, for each map from its elements to numbers."""
        facts: list[Term] = []
        for name, variable in self.specification.variables.items():
            value = state[name]
            kind = variable.type
            if not (isinstance(kind, MapType) and kind.keys == (element,) and isinstance(value, SymbolicMap)):
                continue
            if isinstance(kind.value, Scalar) and kind.value != BOOL:
                facts.append(self._least_fact(element, held, value))
        return facts

    def _least_fact(self, element: Type, held: SymbolicSet, ranks: SymbolicMap) -> Term:
        def is_least(x: Symbolic) -> Term:
            def no_less(y: Symbolic) -> Term:
                mine, theirs = ranks.at(self.flat(x)), ranks.at(self.flat(y))
                assert isinstance(mine, Term)
                assert isinstance(theirs, Term)
                return t.implies(held.has(self.flat(y)), t.at_most(mine, theirs))

            return t.and_(held.has(self.flat(x)), self.over(element, True, no_less))

        return t.implies(t.at_most(t.number(1), held.size), self.over(element, False, is_least))

    def _facts_of_many(self, kind: MapType, value: Symbolic) -> list[Term]:
        held_type = kind.value
        assert isinstance(held_type, SetType)
        assert isinstance(value, SymbolicMap)
        if self._is_enumerable(held_type.element):
            return []

        def at(keys: tuple[Term, ...]) -> Term:
            held = value.at(keys)
            assert isinstance(held, SymbolicSet)
            return t.and_(*self._facts_of_one(held_type.element, held, witness=False))

        return [self._over_keys(kind.keys, at)]

    def _fact_of_two(self, element: Type, a: SymbolicSet, b: SymbolicSet) -> Term:
        """A subset is no larger, and smaller if something is missing."""
        subset = self.over(element, True, lambda x: t.implies(a.has(self.flat(x)), b.has(self.flat(x))))
        missing = self.over(element, False, lambda x: t.and_(b.has(self.flat(x)), t.not_(a.has(self.flat(x)))))
        return t.implies(subset, t.and_(t.at_most(a.size, b.size), t.implies(missing, t.less(a.size, b.size))))


def scalar_sort(kind: Type) -> str:
    """The SMT-LIB sort of a scalar type."""
    match kind:
        case Scalar():
            return t.BOOL if kind == BOOL else t.INT
        case SortType(name) | EnumType(name):
            return sort_name(name)
        case _:
            raise UnsupportedError(f"values of type {kind} as keys")


def sort_name(name: str) -> str:
    """A sort or enum in SMT-LIB text, where the user's name could be one of the solver's own."""
    return f"T.{name}"


def _is(value: Symbolic, case: str) -> Term:
    tag = value.tag if isinstance(value, SymbolicEnum) else value
    assert isinstance(tag, Term)
    return t.equal(tag, t.constructor(tag.sort, f"{tag.sort}.{case}"))


_ARITHMETIC: Mapping[str, Callable[[Term, Term], Term]] = {
    "+": t.plus,
    "-": t.minus,
    "*": t.times,
    "div": t.floor_div,
    "mod": t.floor_mod,
}

_MEANINGS: Mapping[type, Callable[[Encoder, Any, Surroundings], Symbolic]] = {
    m.Literal: Encoder._literal,
    m.Variable: Encoder._variable,
    m.After: Encoder._after,
    m.Local: Encoder._local,
    m.Applied: Encoder._applied,
    m.Invoked: Encoder._invoked,
    m.FunctionCall: Encoder._function_call,
    m.Lambda: Encoder._lambda,
    m.Case: Encoder._case,
    m.IsCase: Encoder._is_case,
    m.Matched: Encoder._matched,
    m.Record: Encoder._record,
    m.Field: Encoder._field,
    m.Amended: Encoder._amended,
    m.If: Encoder._if,
    m.Not: Encoder._not,
    m.And: Encoder._and,
    m.Or: Encoder._or,
    m.Implies: Encoder._implies,
    m.Equal: Encoder._equal,
    m.Order: Encoder._order,
    m.Arithmetic: Encoder._arithmetic,
    m.Lookup: Encoder._lookup,
    m.Stored: Encoder._stored,
    m.Everywhere: Encoder._everywhere,
    m.Tabulated: Encoder._tabulated,
    m.Empty: Encoder._empty,
    m.Member: Encoder._member,
    m.Inserted: Encoder._inserted,
    m.Removed: Encoder._removed,
    m.Size: Encoder._size,
    m.Quantified: Encoder._quantified,
    m.Enabled: Encoder._enabled,
}
