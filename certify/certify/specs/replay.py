"""Replaying a counterexample against the specification as it is now: what the tests written by `--as-test` call.

Rules this module keeps:

- the run is taken step by step by the interpreter; nothing of the old states is trusted but what no start value fixes;
- a machine that cannot take a step any more, or whose assumptions exclude the world of the run, is repaired as far as
  this run goes; a specification that has lost the property, or that the run no longer fits, is not.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from certify.specs.explain import goal_of
from certify.specs.story import tell
from certify.specs.tables import story_lines
from certify_spec import model as m
from certify_spec.evaluate import State, Surroundings
from certify_spec.interpreter import Event, Interpreter, Trace
from certify_spec.loader import Loader
from certify_spec.values import Table, Value
from certify_verifier.counterexample import broken_clause

_STALE = "verify the specification again, and write the test again or delete it"


def replay(path: Path, called: str, run: Mapping[str, Any]) -> str:
    """Why a property is still broken by a run; empty if the run does not break it any more.

    Args:
        path: the specification's file.
        called: the property's name.
        run: the run, as `certify_spec.interpreter.Trace.to_data` writes it.

    Raises:
        RequestError: the specification cannot be read, with everything that is wrong with it.
    """
    specification = Loader().load(path)
    try:
        trace = Trace.from_data(run)
        if called in {law.name for law in specification.laws}:
            return _broken_law(specification, called, trace)
        return _broken_by(specification, called, trace)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, AssertionError):
        return f"the run no longer fits {specification.name}: {_STALE}"


def _broken_by(specification: m.Specification, called: str, run: Trace) -> str:
    goal = goal_of(specification, called)
    if goal is None:
        return f"{specification.name} has no safety property `{called}` any more: {_STALE}"
    missing = specification.functions.keys() - run.world.functions.keys()
    if missing:
        return f"the run sets no value for {', '.join(sorted(missing))}: {_STALE}"
    machine = Interpreter(specification, run.world)
    start = _start(machine, run.start)
    if not machine.is_a_world() or start is None:
        return ""
    trace = Trace(specification.name, run.world, start, ())
    if goal.state is not None and not machine.holds(goal.state, start):
        return _told(specification, called, trace)
    for event, _ in run.steps:
        before = trace.last
        if not machine.can(before, event):
            return ""
        after = machine.take(before, event)
        trace = Trace(trace.machine, trace.world, trace.start, (*trace.steps, (event, after)))
        if _breaks(machine, called, before, event, after):
            return _told(specification, called, trace)
    return ""


def _start(machine: Interpreter, old: Mapping[str, Value]) -> State | None:
    """The start by the specification's own start values; None if the machine does not start like that any more."""
    values = {
        name: old[name] if variable.initial is None else machine.evaluator.value(variable.initial, Surroundings())
        for name, variable in machine.specification.variables.items()
    }
    state = State(values)
    allowed = all(machine.holds(formula.formula, state) for formula in machine.specification.of_kind(m.Kind.INIT))
    return state if allowed else None


def _breaks(machine: Interpreter, called: str, before: State, event: Event, after: State) -> bool:
    steps = {step.name for step in machine.broken_by(before, event, after)}
    return called in steps | {formula.name for formula in machine.broken_in(after)}


def _told(specification: m.Specification, called: str, trace: Trace) -> str:
    goal = goal_of(specification, called)
    assert goal is not None
    clause = broken_clause(specification, goal, trace)
    formula = goal.state if goal.step is None else goal.step.formula
    story = tell(trace, specification, clause=clause, formula=formula)
    return "\n".join((f"`{called}` of {specification.name} is broken by this run:", *story_lines(story)))


def _broken_law(specification: m.Specification, called: str, run: Trace) -> str:
    law = next(law for law in specification.laws if law.name == called)
    machine = Interpreter(specification, run.world)
    if not machine.is_a_world():
        return ""
    bound: dict[str, Any] = {}
    for name, _ in law.parameters:
        value = run.start[name]
        bound[name] = _function(value) if isinstance(value, Table) else value
    if machine.evaluator.holds(law.formula, Surroundings(bound=bound)):
        return ""
    clause = specification.source(law.formula.place)
    story = tell(run, specification, clause=clause, formula=law.formula)
    return "\n".join((f"the law `{called}` of {specification.name} is broken:", *story_lines(story, law=True)))


def _function(table: Table) -> Any:
    return lambda *keys: table[keys]
