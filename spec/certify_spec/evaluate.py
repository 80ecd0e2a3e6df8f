"""The meaning of expressions: one total function from an expression and its surroundings to a value.

This is the reference. The solver's encoding, the generated code and the Lean definitions are other readings of it,
and tests play them against it.

Rules this module keeps:

- every typed expression has a value in every finite world: division by zero gives 0, a map has a value at every key;
- nothing is stored and nothing is printed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import product
from typing import Any, assert_never, cast

from certify_spec import model as m
from certify_spec.datatypes import BOOL, EnumType, MapType, RecordType, Scalar, SetType, SortType, Type, substitute
from certify_spec.values import Element, FunctionValue, Row, Table, Tagged, Value

DEFAULT_RANGES: Mapping[str, tuple[int, int]] = {"Int": (0, 3), "Duration": (0, 3), "Instant": (0, 3)}
"""Which numbers a finite instance tries where nothing says otherwise."""

MAX_VALUES = 100_000
"""How many values of one type a finite instance may run through."""


class TooManyValuesError(Exception):
    """A type has too many values in a finite world to run through."""


class State(Mapping[str, Value]):
    """A value for each variable; immutable and hashable."""

    __slots__ = ("_hash", "_values")

    def __init__(self, values: Mapping[str, Value]) -> None:
        self._values = dict(values)
        self._hash = hash(frozenset(self._values.items()))

    def __getitem__(self, name: str) -> Value:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        return isinstance(other, State) and self._hash == other._hash and self._values == other._values

    def __repr__(self) -> str:
        return f"State({self._values!r})"


@dataclass(frozen=True, slots=True)
class World:
    """What is fixed in a run: how many elements each sort has, and what parameters, functions and relations mean.

    Attributes:
        sizes: elements per sort, and per type variable of a law.
        functions: a value for each parameter, a table for each function and relation with arguments.
        ranges: the numbers that arguments of actions may be, by type.
    """

    sizes: Mapping[str, int]
    functions: Mapping[str, Value]
    ranges: Mapping[str, tuple[int, int]] = field(default_factory=lambda: DEFAULT_RANGES)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Where an expression is evaluated: the state, the one after the step, the bound names, the type variables."""

    state: Mapping[str, Value] = field(default_factory=dict)
    after: Mapping[str, Value] | None = None
    bound: Mapping[str, Value | FunctionValue] = field(default_factory=dict)
    types: Mapping[str, Type] = field(default_factory=dict)

    def binding(self, names: Mapping[str, Value | FunctionValue]) -> Surroundings:
        """The surroundings with more bound names."""
        return replace(self, bound={**self.bound, **names})


class Evaluator:
    """Evaluates the expressions of a specification in a world."""

    def __init__(self, specification: m.Specification, world: World) -> None:
        self._specification = specification
        self.world = world

    def holds(self, formula: m.Expression, around: Surroundings) -> bool:
        """Whether a formula is true."""
        return self.value(formula, around) is True

    def value(self, expression: m.Expression, around: Surroundings) -> Value:
        """The value of an expression."""
        return _MEANINGS[type(expression)](self, expression, around)

    # --- names -------------------------------------------------------------------------------------------------------

    def _literal(self, e: m.Literal, _around: Surroundings) -> Value:
        return e.value

    def _variable(self, e: m.Variable, around: Surroundings) -> Value:
        return around.state[e.name]

    def _after(self, e: m.After, around: Surroundings) -> Value:
        assert around.after is not None
        return self.value(e.operand, replace(around, state=around.after, after=None))

    def _local(self, e: m.Local, around: Surroundings) -> Value:
        return cast("Value", around.bound[e.name])

    def _applied(self, e: m.Applied, around: Surroundings) -> Value:
        meaning = self.world.functions[e.name]
        if not e.arguments:
            return meaning
        return cast("Table", meaning)[self._values(e.arguments, around)]

    def _invoked(self, e: m.Invoked, around: Surroundings) -> Value:
        definition = self._specification.definitions[e.definition]
        names = [name for name, _ in definition.parameters]
        given = [self._argument(argument, around) for argument in e.arguments]
        types = {name: substitute(kind, around.types) for name, kind in e.types}
        bound = dict(zip(names, given, strict=True))
        return self.value(definition.body, replace(around, bound=bound, types=types))

    def _argument(self, e: m.Expression, around: Surroundings) -> Value | FunctionValue:
        if isinstance(e, m.Lambda):
            names = [name for name, _ in e.parameters]
            return lambda *values: self.value(e.body, around.binding(dict(zip(names, values, strict=True))))
        return self.value(e, around)

    def _function_call(self, e: m.FunctionCall, around: Surroundings) -> Value:
        function = cast("FunctionValue", around.bound[e.function])
        return function(*self._values(e.arguments, around))

    def _lambda(self, _e: m.Lambda, _around: Surroundings) -> Value:
        raise AssertionError("functions are arguments only; the checker sees to it")

    def _enabled(self, e: m.Enabled, around: Surroundings) -> Value:
        action = self._specification.actions[e.action]
        names = (name for name, _ in action.parameters)
        bound = dict(zip(names, self._values(e.arguments, around), strict=True))
        return self.value(action.guard, replace(around, bound=bound))

    def _values(self, expressions: tuple[m.Expression, ...], around: Surroundings) -> tuple[Value, ...]:
        return tuple([self.value(expression, around) for expression in expressions])

    # --- logic -------------------------------------------------------------------------------------------------------

    def _if(self, e: m.If, around: Surroundings) -> Value:
        return self.value(e.then if self.value(e.condition, around) else e.otherwise, around)

    def _not(self, e: m.Not, around: Surroundings) -> Value:
        return not self.value(e.operand, around)

    def _and(self, e: m.And, around: Surroundings) -> Value:
        return all(self.value(operand, around) for operand in e.operands)

    def _or(self, e: m.Or, around: Surroundings) -> Value:
        return any(self.value(operand, around) for operand in e.operands)

    def _implies(self, e: m.Implies, around: Surroundings) -> Value:
        return not self.value(e.premise, around) or bool(self.value(e.conclusion, around))

    def _equal(self, e: m.Equal, around: Surroundings) -> Value:
        return self.value(e.left, around) == self.value(e.right, around)

    def _order(self, e: m.Order, around: Surroundings) -> Value:
        left, right = cast("int", self.value(e.left, around)), cast("int", self.value(e.right, around))
        return left < right if e.strict else left <= right

    def _arithmetic(self, e: m.Arithmetic, around: Surroundings) -> Value:
        left, right = cast("int", self.value(e.left, around)), cast("int", self.value(e.right, around))
        return calculate(e.operator, left, right)

    def _quantified(self, e: m.Quantified, around: Surroundings) -> Value:
        return self._over(e.binders, e.body, e.universal, around)

    def _over(self, binders: tuple[m.Binder, ...], body: m.Expression, universal: bool, around: Surroundings) -> bool:
        if not binders:
            return self.value(body, around) is True
        first, rest = binders[0], binders[1:]
        results = (
            self._over(rest, body, universal, around.binding({first.name: value}))
            for value in self.domain(first.domain, around)
        )
        return all(results) if universal else any(results)

    def domain(self, domain: m.Domain, around: Surroundings) -> Iterator[Value]:
        """The values that a binder ranges over."""
        match domain:
            case m.AllOf(kind):
                return self.values_of(substitute(kind, around.types))
            case m.Range(first, last):
                return iter(range(cast("int", self.value(first, around)), cast("int", self.value(last, around)) + 1))
            case m.Elements(held):
                return iter(cast("frozenset[Value]", self.value(held, around)))
            case _:
                assert_never(domain)

    # --- data --------------------------------------------------------------------------------------------------------

    def _case(self, e: m.Case, around: Surroundings) -> Value:
        return Tagged(e.case, None if e.content is None else self.value(e.content, around))

    def _is_case(self, e: m.IsCase, around: Surroundings) -> Value:
        return cast("Tagged", self.value(e.value, around)).case == e.case

    def _matched(self, e: m.Matched, around: Surroundings) -> Value:
        held = cast("Tagged", self.value(e.value, around))
        if held.case != e.case or held.content is None:
            return self.value(e.otherwise, around)
        return self.value(e.then, around.binding({e.content: held.content}))

    def _record(self, e: m.Record, around: Surroundings) -> Value:
        return Row(tuple((name, self.value(value, around)) for name, value in e.fields))

    def _field(self, e: m.Field, around: Surroundings) -> Value:
        return cast("Row", self.value(e.record, around))[e.field]

    def _amended(self, e: m.Amended, around: Surroundings) -> Value:
        changes = {name: self.value(value, around) for name, value in e.changes}
        return cast("Row", self.value(e.record, around)).amended(changes)

    def _lookup(self, e: m.Lookup, around: Surroundings) -> Value:
        return cast("Table", self.value(e.map, around))[self._values(e.keys, around)]

    def _stored(self, e: m.Stored, around: Surroundings) -> Value:
        entries = [(self._values(keys, around), self.value(value, around)) for keys, value in e.entries]
        return cast("Table", self.value(e.map, around)).stored(entries)

    def _everywhere(self, e: m.Everywhere, around: Surroundings) -> Value:
        kind = cast("MapType", substitute(e.type, around.types))
        return self.constant_table(kind, self.value(e.value, around))

    def _tabulated(self, e: m.Tabulated, around: Surroundings) -> Value:
        names = [name for name, _ in e.keys]
        keys = self._tuples(tuple(substitute(kind, around.types) for _, kind in e.keys))
        return Table({key: self.value(e.body, around.binding(dict(zip(names, key, strict=True)))) for key in keys})

    def _empty(self, _e: m.Empty, _around: Surroundings) -> Value:
        return frozenset()

    def _member(self, e: m.Member, around: Surroundings) -> Value:
        return self.value(e.element, around) in cast("frozenset[Value]", self.value(e.set, around))

    def _inserted(self, e: m.Inserted, around: Surroundings) -> Value:
        return cast("frozenset[Value]", self.value(e.set, around)) | {self.value(e.element, around)}

    def _removed(self, e: m.Removed, around: Surroundings) -> Value:
        return cast("frozenset[Value]", self.value(e.set, around)) - {self.value(e.element, around)}

    def _size(self, e: m.Size, around: Surroundings) -> Value:
        return len(cast("frozenset[Value]", self.value(e.set, around)))

    # --- all values of a type ----------------------------------------------------------------------------------------

    def constant_table(self, kind: MapType, value: Value) -> Table:
        """The map with one value everywhere."""
        if all(self._specification.shapes.is_finite(key) for key in kind.keys):
            return Table(dict.fromkeys(self._tuples(kind.keys), value))
        return Table({}, value)

    def _tuples(self, kinds: tuple[Type, ...]) -> Iterator[tuple[Value, ...]]:
        return product(*(tuple(self.values_of(kind)) for kind in kinds))

    def values_of(self, kind: Type) -> Iterator[Value]:
        """The values of a type in this world: all of a finite type, those in range of numbers.

        Of maps with infinitely many keys only the constant ones are tried.

        Raises:
            TooManyValuesError: there are more than `MAX_VALUES`.
        """
        shapes = self._specification.shapes
        match kind:
            case Scalar() if kind == BOOL:
                return iter((False, True))
            case Scalar(name):
                first, last = self.world.ranges.get(name, DEFAULT_RANGES[name])
                return iter(range(first, last + 1))
            case SortType(name):
                return (Element(name, index) for index in range(self.world.sizes.get(name, 1)))
            case EnumType():
                return (
                    Tagged(case, content)
                    for case, held in shapes.cases(kind).items()
                    for content in ((None,) if held is None else self.values_of(held))
                )
            case RecordType():
                fields = shapes.fields(kind)
                rows = self._bounded(tuple(fields.values()))
                return (Row(tuple(zip(fields, row, strict=True))) for row in rows)
            case SetType(element):
                elements = tuple(self.values_of(element))
                require(len(elements) < 17)
                return (
                    frozenset(e for position, e in enumerate(elements) if mask >> position & 1)
                    for mask in range(2 ** len(elements))
                )
            case MapType(keys, held):
                if not all(shapes.is_finite(key) for key in keys):
                    return (Table({}, value) for value in self.values_of(held))
                places = tuple(self._tuples(keys))
                values = self._bounded((held,) * len(places))
                return (Table(dict(zip(places, row, strict=True))) for row in values)
            case _:
                raise AssertionError(f"no values of type {kind}")

    def _bounded(self, kinds: tuple[Type, ...]) -> Iterator[tuple[Value, ...]]:
        pools = {kind: tuple(self.values_of(kind)) for kind in set(kinds)}
        total = 1
        for kind in kinds:
            total *= len(pools[kind])
            require(total <= MAX_VALUES)
        return product(*(pools[kind] for kind in kinds))


def calculate(operator: str, left: int, right: int) -> int:
    """The arithmetic of the language, total on whole numbers."""
    match operator:
        case "+":
            return left + right
        case "-":
            return left - right
        case "*":
            return left * right
        case "div":
            return left // right if right else 0
        case "mod":
            return left % right if right else left
        case "min":
            return min(left, right)
        case "max":
            return max(left, right)
        case _:
            raise AssertionError(f"no operator {operator}")


def require(few: bool) -> None:
    """Give up where there are too many values.

    Raises:
        TooManyValuesError: they are not few.
    """
    if not few:
        raise TooManyValuesError


_MEANINGS: Mapping[type, Callable[[Evaluator, Any, Surroundings], Value]] = {
    m.Literal: Evaluator._literal,
    m.Variable: Evaluator._variable,
    m.After: Evaluator._after,
    m.Local: Evaluator._local,
    m.Applied: Evaluator._applied,
    m.Invoked: Evaluator._invoked,
    m.FunctionCall: Evaluator._function_call,
    m.Lambda: Evaluator._lambda,
    m.Case: Evaluator._case,
    m.IsCase: Evaluator._is_case,
    m.Matched: Evaluator._matched,
    m.Record: Evaluator._record,
    m.Field: Evaluator._field,
    m.Amended: Evaluator._amended,
    m.If: Evaluator._if,
    m.Not: Evaluator._not,
    m.And: Evaluator._and,
    m.Or: Evaluator._or,
    m.Implies: Evaluator._implies,
    m.Equal: Evaluator._equal,
    m.Order: Evaluator._order,
    m.Arithmetic: Evaluator._arithmetic,
    m.Lookup: Evaluator._lookup,
    m.Stored: Evaluator._stored,
    m.Everywhere: Evaluator._everywhere,
    m.Tabulated: Evaluator._tabulated,
    m.Empty: Evaluator._empty,
    m.Member: Evaluator._member,
    m.Inserted: Evaluator._inserted,
    m.Removed: Evaluator._removed,
    m.Size: Evaluator._size,
    m.Quantified: Evaluator._quantified,
    m.Enabled: Evaluator._enabled,
}
