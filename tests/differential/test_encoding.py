"""The interpreter and the encoding are two readings of one language: played against each other without a solver."""

import random
from collections.abc import Mapping
from pathlib import Path

import pytest

from certify_spec import model as m
from certify_spec.datatypes import EnumType, MapType, RecordType, SetType, Type
from certify_spec.interpreter import Interpreter, first_world, simulate
from certify_spec.loader import load, load_text, shipped
from certify_spec.values import Element, Row, Table, Tagged, Value
from certify_verifier import terms as t
from certify_verifier.encoding import (
    Encoder,
    Surroundings,
    Symbolic,
    SymbolicEnum,
    SymbolicMap,
    SymbolicRecord,
    SymbolicSet,
    sort_name,
)
from certify_verifier.obligation import Frame, Universe
from certify_verifier.search import Decoder

PAGE = (Path(__file__).parents[2] / "docs" / "language.md").read_text(encoding="utf-8")
EXAMPLES = [part.split("```")[0] for part in PAGE.split("```ct\n")[1:]]
MACHINES = [s for s in (*map(load_text, EXAMPLES), *map(load, shipped())) if s.is_machine]


class Lift:
    """Concrete values as symbolic ones, so that terms over them fold to literals."""

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder

    def value(self, kind: Type, value: Value) -> Symbolic:
        """The symbolic form of a value."""
        match kind, value:
            case (_, bool()):
                return t.truth(value)
            case (_, int()):
                return t.number(value)
            case (_, Element(sort, index)):
                return t.constructor(sort_name(sort), f"{sort_name(sort)}.{index}")
            case (EnumType(), Tagged(case, content)):
                return self._enum(kind, case, content)
            case (RecordType(), Row(fields)):
                kinds = self._encoder.shapes.fields(kind)
                return SymbolicRecord({name: self.value(kinds[name], held) for name, held in fields})
            case (MapType(), Table()):
                return self._map(kind, value)
            case (SetType(), frozenset()):
                return self._set(kind, value)
            case _:
                raise AssertionError(kind)

    def _enum(self, kind: EnumType, case: str, content: Value | None) -> Symbolic:
        tag = t.constructor(sort_name(kind.name), f"{sort_name(kind.name)}.{case}")
        if self._encoder.shapes.is_plain(kind):
            return tag
        contents: dict[str, Symbolic] = {}
        for name, held in self._encoder.shapes.cases(kind).items():
            if held is not None:
                chosen = name == case and content is not None
                contents[name] = self.value(held, content) if chosen else self._encoder.unknown(held, "any")  # type: ignore[arg-type]  # chosen says it is there
        return SymbolicEnum(tag, contents)

    def members(self, kind: SetType, *sets: Value) -> dict[Value, tuple[t.Term, ...]]:
        """The elements of some sets, each with its scalars."""
        every = frozenset[Value]().union(*(s for s in sets if isinstance(s, frozenset)))
        return {x: self._flat((kind.element,), (x,)) for x in every}

    def _flat(self, kinds: tuple[Type, ...], key: tuple[Value, ...]) -> tuple[t.Term, ...]:
        pairs = zip(kinds, key, strict=True)
        return tuple(part for kind, value in pairs for part in self._encoder.flat(self.value(kind, value)))

    def _map(self, kind: MapType, table: Table) -> SymbolicMap:
        rows = [(self._flat(kind.keys, key), self.value(kind.value, table[key])) for key in table]
        rest = rows[0][1] if table.default is None else self.value(kind.value, table.default)

        def at(keys: tuple[t.Term, ...]) -> Symbolic:
            result = rest
            for row, value in rows:
                same = t.and_(*(t.equal(a, b) for a, b in zip(keys, row, strict=True)))
                result = self._encoder.choice(same, value, result)
            return result

        return SymbolicMap(at)

    def _set(self, kind: SetType, elements: frozenset[Value]) -> SymbolicSet:
        flats = [self._flat((kind.element,), (element,)) for element in elements]

        def has(keys: tuple[t.Term, ...]) -> t.Term:
            return t.or_(*(t.and_(*(t.equal(a, b) for a, b in zip(keys, f, strict=True))) for f in flats))

        return SymbolicSet(has, t.number(len(elements)))


def lifted(specification: m.Specification, lift: Lift, state: Mapping[str, Value]) -> dict[str, Symbolic]:
    """A state as symbolic values."""
    return {name: lift.value(v.type, state[name]) for name, v in specification.variables.items()}


@pytest.mark.parametrize("specification", MACHINES, ids=lambda s: s.name)
def test_runs_mean_the_same(specification: m.Specification) -> None:
    """On random runs both readings agree on every guard, every update, every invariant and every step property."""
    world = first_world(specification)
    machine = Interpreter(specification, world)
    compared = 0
    for seed in range(6):
        trace = simulate(specification, world, 25, seed).trace
        frame = Frame(specification, Universe(world.sizes))
        lifting = Lift(frame.encoder)
        parameters = {
            n: lifting.value(
                MapType(tuple(k for _, k in f.parameters), f.result) if f.parameters else f.result, world.functions[n]
            )
            for n, f in specification.functions.items()
        }
        frame.encoder = Encoder(specification, world.sizes, parameters)
        decoder, lift, around = Decoder(frame, {}), Lift(frame.encoder), trace.start
        for event, after in trace.steps:
            state = lifted(specification, lift, around)
            for formula in specification.of_kind(m.Kind.INVARIANT, m.Kind.LEMMA, m.Kind.ALWAYS):
                term = frame.encoder.formula(formula.formula, Surroundings(state))
                if not any(part.op in ("forall", "exists") for part in t.walk([term])):
                    assert decoder.evaluate(term) == machine.holds(formula.formula, around), formula.name
                    compared += 1
            action = specification.actions[event.action]
            given = {
                n: lift.value(kind, value) for (n, kind), value in zip(action.parameters, event.arguments, strict=True)
            }
            assert decoder.evaluate(frame.guard(action, state, given)) is True
            symbolic = frame.after(action, state, given)
            for name, variable in specification.variables.items():
                kind, shapes = variable.type, specification.shapes
                if isinstance(kind, SetType) and not shapes.is_finite(kind.element):
                    known, found = lift.members(kind, around[name], after[name]), symbolic[name]
                    assert isinstance(found, SymbolicSet)
                    held = frozenset(x for x, flat in known.items() if decoder.evaluate(found.has(flat)) is True)
                    assert held == after[name], (event, name)
                    assert decoder.evaluate(found.size) == len(held), (event, name)
                    compared += 1
                elif not isinstance(kind, MapType) or all(map(shapes.is_finite, kind.keys)):
                    assert decoder.value(kind, symbolic[name]) == after[name], (event, name)
                    compared += 1
            around = after
    assert compared > 20


def test_arithmetic_means_the_same() -> None:
    """Division and remainder fold, and evaluate, as the interpreter calculates, whatever the signs."""
    from certify_spec.evaluate import calculate

    chance = random.Random(5)
    specification = load_text("machine M\nvar a : Int = 0\ninvariant x : a == 0\n")
    for _ in range(500):
        a, b = chance.randint(-9, 9), chance.randint(-4, 4)
        decoder = Decoder(Frame(specification), {"a": a, "b": b})
        x, y = t.apply("a", (), t.INT), t.apply("b", (), t.INT)
        for operator, make in (("div", t.floor_div), ("mod", t.floor_mod)):
            assert decoder.evaluate(make(x, y)) == calculate(operator, a, b)
            assert decoder.evaluate(make(t.number(a), t.number(b))) == calculate(operator, a, b)
