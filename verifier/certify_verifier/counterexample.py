"""Counterexamples for people: states that a solver found, replayed by the interpreter, and the clause that broke.

Rules this module keeps:

- nothing is explained that the interpreter does not confirm;
- a clause is quoted as it is written, with the values of its bound names.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from certify_spec import model as m
from certify_spec.datatypes import BOOL, FunctionType, MapType, RecordType, Type, option
from certify_spec.diagnostics import Place
from certify_spec.evaluate import State, Surroundings, World
from certify_spec.interpreter import Event, Interpreter, Trace
from certify_spec.values import Table, Value, shown
from certify_verifier import terms as t
from certify_verifier.encoding import Surroundings as SymbolicSurroundings
from certify_verifier.encoding import Symbolic, SymbolicMap
from certify_verifier.obligation import Frame, Obligation, Purpose, Universe, frame_of
from certify_verifier.search import Decoder, DisagreementError, Goal, world_of
from certify_verifier.verdict import NotInductive, Refuted, Verdict


def explain(
    specification: m.Specification, claim: str, obligation: Obligation, universe: Universe, model: Mapping[str, Any]
) -> Verdict:
    """What a model of a failed obligation shows.

    Raises:
        DisagreementError: the interpreter does not confirm it.
    """
    frame = frame_of(specification, universe)
    decoder = Decoder(frame, model)
    world = world_of(frame, decoder, universe.sizes or {})
    if obligation.purpose is Purpose.LAW:
        return _law(specification, claim, frame, decoder, world)
    machine = Interpreter(specification, world)
    start = _state(frame, decoder, machine, at_start=obligation.purpose is Purpose.START)
    trace, event = Trace(specification.name, world, start, ()), None
    if obligation.action:
        action = specification.actions[obligation.action]
        values = frame.arguments(action)
        event = Event(action.name, tuple(decoder.value(kind, values[name]) for name, kind in action.parameters))
        if not machine.can(start, event):
            raise DisagreementError(f"{obligation.title}: `{event}` cannot happen in the state that the solver gives")
        trace = replace(trace, steps=((event, machine.take(start, event)),))
    _confirm(machine, claim, obligation, trace, event)
    return NotInductive(trace, event)


def _state(frame: Frame, decoder: Decoder, machine: Interpreter, *, at_start: bool) -> State:
    symbolic = frame.initial_state() if at_start else frame.encoder.state("s.")
    values: dict[str, Value] = {}
    for name, variable in frame.specification.variables.items():
        if at_start and variable.initial is not None:
            values[name] = machine.evaluator.value(variable.initial, Surroundings())
        else:
            values[name] = decoder.value(variable.type, symbolic[name])
    return State(values)


def _confirm(machine: Interpreter, claim: str, obligation: Obligation, trace: Trace, event: Event | None) -> None:
    """The interpreter finds the claim broken where the solver does."""
    specification = machine.specification
    for formula in specification.of_kind(m.Kind.INVARIANT, m.Kind.LEMMA, m.Kind.ALWAYS):
        if formula.name == claim and machine.holds(formula.formula, trace.last):
            raise DisagreementError(f"{obligation.title}: the interpreter finds that it holds")
    for step in specification.steps:
        if step.name == claim and event and machine.keeps(step, trace.start, event, trace.last):
            raise DisagreementError(f"{obligation.title}: the interpreter finds that it holds")


def _law(specification: m.Specification, claim: str, frame: Frame, decoder: Decoder, world: World) -> Verdict:
    law = next(law for law in specification.laws if law.name == claim)
    values: dict[str, Value] = {}
    bound: dict[str, Any] = {}
    for name, kind in law.parameters:
        if isinstance(kind, FunctionType):
            unknown = SymbolicMap(_unknown(frame, kind, name))
            table = decoder.value(MapType(kind.parameters, kind.result), unknown)
            assert isinstance(table, Table)
            values[name] = table
            bound[name] = _function(table)
        else:
            values[name] = decoder.value(kind, frame.encoder.unknown(kind, f"a.{name}"))
            bound[name] = values[name]
    machine = Interpreter(specification, world)
    if machine.evaluator.holds(law.formula, Surroundings(bound=bound)):
        raise DisagreementError(f"{claim}: the interpreter finds that it holds")
    return Refuted(Trace(specification.name, world, State(values), ()), specification.source(law.formula.place))


def _unknown(frame: Frame, kind: FunctionType, name: str) -> Callable[[tuple[t.Term, ...]], Symbolic]:
    return lambda keys: frame.encoder.unknown(kind.result, f"f.{name}", keys)


def _function(table: Table) -> Any:
    return lambda *keys: table[keys]


def impossible(specification: m.Specification, goal: Goal) -> Obligation:
    """That the invariants exclude a goal."""
    frame = frame_of(specification)
    parts = [*frame.known]
    if goal.action:
        parts.append(frame.step(specification.actions[goal.action]).guard)
    if goal.state is not None:
        parts.append(frame.encoder.formula(goal.state, SymbolicSurroundings(frame.state)))
    return Obligation(goal.name, Purpose.IMPLIED, goal.action, "(never)", frame.text(parts))


def premises(specification: m.Specification) -> Iterator[tuple[str, m.Expression, Place]]:
    """The premises that must be met for properties to say anything: of implications and of progress."""
    for formula in specification.of_kind(m.Kind.INVARIANT, m.Kind.ALWAYS):
        premise = _premise(formula.formula)
        if premise is not None:
            yield formula.name, premise, formula.place
    for progress in specification.progress:
        yield progress.name, _met(specification, progress), progress.place


def law_premises(specification: m.Specification) -> Iterator[tuple[m.Law, m.Expression]]:
    """The premises that some values must meet for laws to say anything."""
    for law in specification.laws:
        premise = _premise(law.formula)
        if premise is not None:
            yield law, premise


def _premise(formula: m.Expression) -> m.Expression | None:
    match formula:
        case m.Implies(premise=premise):
            return premise
        case m.Quantified(universal=True, binders=binders, body=body):
            inner = _premise(body)
            return None if inner is None else _exists(binders, inner)
        case _:
            return None


def _met(specification: m.Specification, progress: m.Progress) -> m.Expression:
    """That the premise of progress is met by some values of its parameters, numbers being small."""
    binders: list[m.Binder] = []
    premise = progress.premise
    for name, kind in progress.parameters:
        made, value = _some_value(specification, name, kind, progress.place)
        binders += made
        if not isinstance(value, m.Local):
            premise = _with_local(name, value, premise)
    return _exists(tuple(binders), premise)


def _some_value(
    specification: m.Specification, name: str, kind: Type, place: Place
) -> tuple[list[m.Binder], m.Expression]:
    """Binders, and a value made from them: a record falls apart into its fields, so that its numbers can be small."""
    if specification.shapes.is_finite(kind):
        return [m.Binder(name, kind, m.AllOf(kind))], m.Local(type=kind, place=place, name=name)
    if isinstance(kind, RecordType):
        binders: list[m.Binder] = []
        values: list[tuple[str, m.Expression]] = []
        for field, held in specification.shapes.fields(kind).items():
            made, value = _some_value(specification, f"{name}.{field}", held, place)
            binders += made
            values.append((field, value))
        return binders, m.Record(type=kind, place=place, fields=tuple(values))
    first, last = (m.Literal(type=kind, place=place, value=value) for value in (0, 3))
    return [m.Binder(name, kind, m.Range(first, last))], m.Local(type=kind, place=place, name=name)


def _with_local(name: str, value: m.Expression, formula: m.Expression) -> m.Expression:
    """A formula in which a name stands for a value."""
    content = m.Case(type=option(value.type), place=value.place, case="some", content=value)
    never = m.Literal(type=BOOL, place=value.place, value=False)
    return m.Matched(
        type=BOOL, place=formula.place, value=content, case="some", content=name, then=formula, otherwise=never
    )


def _exists(binders: tuple[m.Binder, ...], body: m.Expression) -> m.Expression:
    if not binders:
        return body
    return m.Quantified(type=BOOL, place=body.place, universal=False, binders=binders, body=body)


def broken_clause(specification: m.Specification, goal: Goal, trace: Trace) -> str:
    """The smallest part of a property that is false at the end of a run, as written, with the values of its names."""
    machine = Interpreter(specification, trace.world)
    around = Surroundings(trace.last)
    formula = goal.state
    if goal.step is not None:
        event, after = trace.steps[-1]
        before = trace.steps[-2][1] if len(trace.steps) > 1 else trace.start
        names = next((on.names for on in goal.step.on if on.action == event.action), ())
        around = Surroundings(before, after, dict(zip(names, event.arguments, strict=False)))
        formula = goal.step.formula
    if formula is None:
        return ""
    clause, where = _narrowed(machine, formula, around)
    text = specification.source(clause.place)
    values = {name: value for name, value in where.bound.items() if name not in around.bound and not callable(value)}
    told = ", ".join(f"{name} = {shown(value, specification.sorts)}" for name, value in values.items())
    return f"{text} (with {told})" if told else text


def _narrowed(machine: Interpreter, formula: m.Expression, around: Surroundings) -> tuple[m.Expression, Surroundings]:
    """The part of a false formula that makes it false."""
    evaluator = machine.evaluator
    match formula:
        case m.And(operands=operands):
            broken = next(operand for operand in operands if not evaluator.holds(operand, around))
            return _narrowed(machine, broken, around)
        case m.Implies(conclusion=conclusion):
            return _narrowed(machine, conclusion, around)
        case m.Quantified(universal=True, binders=(first, *rest), body=body):
            inner = replace(formula, binders=tuple(rest)) if rest else body
            for value in evaluator.domain(first.domain, around):
                chosen = around.binding({first.name: value})
                if not evaluator.holds(inner, chosen):
                    return _narrowed(machine, inner, chosen)
            return formula, around
        case _:
            return formula, around
