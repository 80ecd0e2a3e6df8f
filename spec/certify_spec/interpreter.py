"""Machines as they run: initial states, what can happen in a state, and what it leads to.

Rules this module keeps:

- everything is a pure function of the specification, a finite world, and a seed where chance is asked for;
- an action reads the state before and gives the state after; nothing is in between.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, Final

from certify_spec import analysis, rules
from certify_spec import model as m
from certify_spec.datatypes import MapType, Type
from certify_spec.diagnostics import Diagnostic, RequestError
from certify_spec.evaluate import DEFAULT_RANGES, Evaluator, State, Surroundings, TooManyValuesError, World, require
from certify_spec.values import Table, Value, from_data, in_order, shown, shown_keys, to_data

MAX_TRIES: Final = 200_000
"""Assignments tried in search of a world or an initial state."""


@dataclass(frozen=True, slots=True)
class Event:
    """An action with its arguments."""

    action: str
    arguments: tuple[Value, ...] = ()


@dataclass(frozen=True, slots=True)
class Trace:
    """A run: a world, the state it starts in, and each event with the state after it."""

    machine: str
    world: World
    start: State
    steps: tuple[tuple[Event, State], ...]

    @property
    def last(self) -> State:
        """The state at the end."""
        return self.steps[-1][1] if self.steps else self.start

    def to_data(self) -> dict[str, Any]:
        """The trace as text, numbers, lists and maps."""
        return {
            "machine": self.machine,
            "sizes": dict(self.world.sizes),
            "functions": {name: to_data(value) for name, value in self.world.functions.items()},
            "ranges": {name: list(ends) for name, ends in self.world.ranges.items()},
            "start": {name: to_data(value) for name, value in self.start.items()},
            "steps": [
                {
                    "action": event.action,
                    "arguments": [to_data(argument) for argument in event.arguments],
                    "state": {name: to_data(value) for name, value in state.items()},
                }
                for event, state in self.steps
            ],
        }

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Trace:
        """The inverse of `to_data`."""
        functions = {name: from_data(value) for name, value in data["functions"].items()}
        ranges = {name: (ends[0], ends[1]) for name, ends in data["ranges"].items()}

        def state(values: Mapping[str, Any]) -> State:
            return State({name: from_data(value) for name, value in values.items()})

        steps = tuple(
            (Event(step["action"], tuple(from_data(a) for a in step["arguments"])), state(step["state"]))
            for step in data["steps"]
        )
        return cls(data["machine"], World(dict(data["sizes"]), functions, ranges), state(data["start"]), steps)


class Interpreter:
    """Runs a machine in one world."""

    def __init__(self, specification: m.Specification, world: World) -> None:
        self.specification = specification
        self.world = world
        self.evaluator = Evaluator(specification, world)

    def initial_states(self) -> Iterator[State]:
        """Every state that the machine may start in.

        Raises:
            RequestError: there are too many values to try.
        """
        free = {n: v.type for n, v in self.specification.variables.items() if v.initial is None}
        fixed = {
            n: self.evaluator.value(v.initial, Surroundings())
            for n, v in self.specification.variables.items()
            if v.initial is not None
        }
        formulas = [f.formula for f in self.specification.of_kind(m.Kind.INIT)]
        order = list(self.specification.variables)
        for values in _solutions(self.specification, self.evaluator, free, formulas, fixed, as_state=True):
            yield State({name: values[name] for name in order})

    def events(self, state: State) -> Iterator[Event]:
        """Everything that can happen in a state, within the ranges of the world."""
        for action in self.specification.actions.values():
            pools = [tuple(self.evaluator.values_of(kind)) for _, kind in action.parameters]
            for arguments in product(*pools):
                if self._guard(action, arguments, state):
                    yield Event(action.name, arguments)

    def can(self, state: State, event: Event) -> bool:
        """Whether an event can happen in a state."""
        action = self.specification.actions.get(event.action)
        return (
            action is not None
            and len(action.parameters) == len(event.arguments)
            and self._guard(action, event.arguments, state)
        )

    def _guard(self, action: m.Action, arguments: Sequence[Value], state: State) -> bool:
        return self.evaluator.holds(action.guard, Surroundings(state, bound=_named(action.parameters, arguments)))

    def take(self, state: State, event: Event) -> State:
        """The state after an event that can happen."""
        action = self.specification.actions[event.action]
        around = Surroundings(state, bound=_named(action.parameters, event.arguments))
        changes = {name: self.evaluator.value(update, around) for name, update in action.updates.items()}
        return State({**state, **changes})

    def holds(self, formula: m.Expression, state: State, bound: Mapping[str, Value] | None = None) -> bool:
        """Whether a formula holds in a state."""
        return self.evaluator.holds(formula, Surroundings(state, bound=bound or {}))

    def broken_in(self, state: State) -> tuple[m.Formula, ...]:
        """The safety properties of states that a state breaks."""
        kinds = (m.Kind.INVARIANT, m.Kind.LEMMA, m.Kind.ALWAYS)
        return tuple(f for f in self.specification.of_kind(*kinds) if not self.holds(f.formula, state))

    def broken_by(self, state: State, event: Event, after: State) -> tuple[m.StepProperty, ...]:
        """The step properties that a step breaks."""
        return tuple(p for p in self.specification.steps if not self.keeps(p, state, event, after))

    def keeps(self, step: m.StepProperty, state: State, event: Event, after: State) -> bool:
        """Whether a step keeps a step property."""
        names: tuple[str, ...] = ()
        if step.on:
            meant = next((on for on in step.on if on.action == event.action), None)
            if meant is None:
                return True
            names = meant.names
        bound = dict(zip(names, event.arguments, strict=False))
        return self.evaluator.holds(step.formula, Surroundings(state, after, bound))

    def replay(self, trace: Trace) -> str:
        """Why the machine cannot run like this trace; empty if it can."""
        if not self._may_start(trace.start):
            return "the machine cannot start in the first state"
        state = trace.start
        for position, (event, after) in enumerate(trace.steps, 1):
            if not self.can(state, event):
                return f"`{event.action}` cannot happen at step {position}"
            if self.take(state, event) != after:
                return f"`{event.action}` leads to another state at step {position}"
            state = after
        return ""

    def _may_start(self, state: State) -> bool:
        starts = {n: v.initial for n, v in self.specification.variables.items() if v.initial is not None}
        around = Surroundings()
        if any(self.evaluator.value(start, around) != state[name] for name, start in starts.items()):
            return False
        return all(self.holds(formula.formula, state) for formula in self.specification.of_kind(m.Kind.INIT))

    def is_a_world(self) -> bool:
        """Whether the assumptions and axioms hold in this world."""
        formulas = self.specification.of_kind(m.Kind.ASSUME, m.Kind.AXIOM)
        return all(self.evaluator.holds(formula.formula, Surroundings()) for formula in formulas)


def worlds(
    specification: m.Specification, instance: m.Instance | None = None, size: int = 2, tries: int = MAX_TRIES
) -> Iterator[World]:
    """Every finite world of an instance in which the assumptions and axioms hold.

    Args:
        specification: the specification.
        instance: sizes and values; what it leaves open is tried.
        size: the size of sorts that no instance sets.
        tries: how many assignments to try at most.

    Raises:
        RequestError: there are too many values to try.
    """
    sizes = dict.fromkeys(specification.sorts, size) | dict(instance.sizes if instance else {})
    ranges = dict(DEFAULT_RANGES) | dict(instance.ranges if instance else {})
    evaluator = Evaluator(specification, World(sizes, {}, ranges))
    kinds: dict[str, Type] = {
        name: MapType(tuple(kind for _, kind in function.parameters), function.result)
        if function.parameters
        else function.result
        for name, function in specification.functions.items()
    }
    formulas = [f.formula for f in specification.of_kind(m.Kind.ASSUME, m.Kind.AXIOM)]
    given = _given(specification, evaluator, instance)
    for functions in _solutions(
        specification, evaluator, kinds, formulas, {}, given=given, as_state=False, limit=tries
    ):
        yield World(sizes, functions, ranges)


def _given(
    specification: m.Specification, evaluator: Evaluator, instance: m.Instance | None
) -> dict[str, tuple[Value, ...]]:
    """The values that an instance gives to parameters."""
    given: dict[str, tuple[Value, ...]] = {}
    for name, values in (instance.values if instance else {}).items():
        kind = specification.functions[name].result
        known = {shown(value, specification.sorts): value for value in evaluator.values_of(kind)}
        elements = list(known.values())
        given[name] = tuple(
            value
            if isinstance(value, bool) or (isinstance(value, int) and isinstance(elements[0], int))
            else known[value]
            if isinstance(value, str)
            else elements[value % len(elements)]
            for value in values
        )
    return given


def _solutions(
    specification: m.Specification,
    evaluator: Evaluator,
    kinds: Mapping[str, Type],
    formulas: Sequence[m.Expression],
    fixed: Mapping[str, Value],
    *,
    as_state: bool,
    given: Mapping[str, tuple[Value, ...]] | None = None,
    limit: int = MAX_TRIES,
) -> Iterator[dict[str, Value]]:
    """Every assignment of values to names that satisfies the formulas, each formula tested as soon as it can be."""
    names = list(kinds)
    needs = [(_needs(specification, formula, as_state) & set(names), formula) for formula in formulas]
    ready: list[list[m.Expression]] = [[] for _ in range(len(names) + 1)]
    for need, formula in needs:
        ready[max((names.index(name) + 1 for name in need), default=0)].append(formula)
    tries = 0

    def holds(values: Mapping[str, Value], position: int) -> bool:
        if as_state:
            return all(evaluator.holds(formula, Surroundings(values)) for formula in ready[position])
        world = World(evaluator.world.sizes, values, evaluator.world.ranges)
        inner = Evaluator(specification, world)
        return all(inner.holds(formula, Surroundings()) for formula in ready[position])

    def extend(values: dict[str, Value], position: int) -> Iterator[dict[str, Value]]:
        nonlocal tries
        if position == len(names):
            yield dict(values)
            return
        name = names[position]
        try:
            pool: Iterable[Value] = (given or {}).get(name) or evaluator.values_of(kinds[name])
            for value in pool:
                tries += 1
                require(tries <= limit)
                values[name] = value
                if holds(values, position + 1):
                    yield from extend(values, position + 1)
        except TooManyValuesError:
            raise RequestError(_too_many(specification, name)) from None
        values.pop(name, None)

    start = dict(fixed)
    if holds(start, 0):
        yield from extend(start, 0)


def _needs(specification: m.Specification, formula: m.Expression, as_state: bool) -> frozenset[str]:
    if as_state:
        return analysis.variables_read(formula, specification.definitions)
    found: set[str] = set()
    waiting, seen = [formula], set[str]()
    while waiting:
        for part in m.walk(waiting.pop()):
            if isinstance(part, m.Applied):
                found.add(part.name)
            elif isinstance(part, m.Invoked) and part.definition not in seen:
                seen.add(part.definition)
                waiting.append(specification.definitions[part.definition].body)
    return frozenset(found)


def _too_many(specification: m.Specification, name: str) -> Diagnostic:
    place = specification.functions[name].place if name in specification.functions else specification.place
    return Diagnostic(
        rules.TOO_MANY, f"`{name}` has too many values to try in this instance", place, fix="make its sorts smaller"
    )


def first_world(specification: m.Specification, instance: str | None = None, size: int = 2) -> World:
    """The first world of an instance, by name; of the first declared instance if none is named.

    Raises:
        RequestError: there is no such instance, or no world satisfies the assumptions.
    """
    known = specification.instances
    if instance is not None and instance not in known:
        raise RequestError(Diagnostic(rules.UNKNOWN_NAME, f"there is no instance `{instance}`", specification.place))
    chosen = known[instance] if instance else next(iter(known.values()), None)
    found = next(worlds(specification, chosen, size), None)
    if found is None:
        raise RequestError(
            Diagnostic(
                rules.NO_INSTANCE,
                f"no finite instance of `{specification.name}` satisfies its assumptions",
                chosen.place if chosen else specification.place,
                fix="declare an `instance` with suitable values, or weaken the assumptions",
            )
        )
    return found


@dataclass(frozen=True, slots=True)
class Simulation:
    """A run and how it ended.

    Attributes:
        trace: the run.
        broken: the names of the properties that the last step or state breaks.
        stuck: whether nothing can happen at the end.
    """

    trace: Trace
    broken: tuple[str, ...]
    stuck: bool


def simulate(
    specification: m.Specification, world: World, steps: int, seed: int, script: Sequence[Event] | None = None
) -> Simulation:
    """Run a machine at random, or by a script, until the steps are done, a property breaks, or nothing can happen.

    Each step first chooses among the actions that can happen, then among their arguments, so that an action with many
    arguments is not taken more often than one with few.

    Args:
        specification: the machine.
        world: the finite world to run in.
        steps: at most so many steps.
        seed: decides all choices; the same seed gives the same run.
        script: the events to take instead of random ones.

    Raises:
        RequestError: the machine has no initial state here, or cannot follow the script.
    """
    chance = random.Random(seed)  # noqa: S311 -- a reproducible choice, not a secret
    machine = Interpreter(specification, world)
    start = next(machine.initial_states(), None)
    if start is None:
        raise RequestError(Diagnostic(rules.NO_INSTANCE, "the machine has no initial state", specification.place))
    state, taken = start, list[tuple[Event, State]]()
    broken = tuple(formula.name for formula in machine.broken_in(state))
    for position in range(len(script) if script is not None else steps):
        if broken:
            break
        event = script[position] if script is not None else _choice(machine, state, chance)
        if event is None:
            return Simulation(Trace(specification.name, world, start, tuple(taken)), broken, stuck=True)
        if not machine.can(state, event):
            raise RequestError(_cannot(specification, event, position + 1))
        after = machine.take(state, event)
        taken.append((event, after))
        broken = (
            *(step.name for step in machine.broken_by(state, event, after)),
            *(formula.name for formula in machine.broken_in(after)),
        )
        state = after
    return Simulation(Trace(specification.name, world, start, tuple(taken)), broken, stuck=False)


def _choice(machine: Interpreter, state: State, chance: random.Random) -> Event | None:
    by_action: dict[str, list[Event]] = {}
    for event in machine.events(state):
        by_action.setdefault(event.action, []).append(event)
    return chance.choice(by_action[chance.choice(sorted(by_action))]) if by_action else None


def _cannot(specification: m.Specification, event: Event, position: int) -> Diagnostic:
    action = specification.actions.get(event.action)
    called = f"{event.action}({', '.join(shown(a, specification.sorts) for a in event.arguments)})"
    return Diagnostic(
        rules.NO_RUN,
        f"step {position} of the script, `{called}`, cannot happen",
        action.place if action else specification.place,
        because="its guard is false there" if action else "there is no such action",
    )


def _named(parameters: Sequence[tuple[str, Type]], values: Sequence[Value]) -> dict[str, Value]:
    return {name: value for (name, _), value in zip(parameters, values, strict=True)}


# --- traces for people -----------------------------------------------------------------------------------------------


def changes(before: Mapping[str, Value], after: Mapping[str, Value], sorts: Iterable[str] = ()) -> tuple[str, ...]:
    """What changed between two states, maps pointwise: `era[c0]: 0 -> 1`."""
    names = tuple(sorts)
    found: list[str] = []
    for name, value in after.items():
        old = before[name]
        if old == value:
            continue
        if isinstance(old, Table) and isinstance(value, Table) and old.default == value.default:
            found += [
                f"{name}[{shown_keys(key, names)}]: {shown(old[key], names)} -> {shown(value[key], names)}"
                for key in in_order(old.keys() | value.keys())
                if old[key] != value[key]
            ]
        else:
            found.append(f"{name}: {shown(old, names)} -> {shown(value, names)}")
    return tuple(found)


def rows(trace: Trace, specification: m.Specification) -> tuple[tuple[str, str, tuple[str, ...]], ...]:
    """The trace as a table: step, event, and what changed; step 0 shows where it starts."""
    sorts = specification.sorts
    table = [("0", "start", tuple(f"{name} = {shown(value, sorts)}" for name, value in trace.start.items()))]
    state = trace.start
    for position, (event, after) in enumerate(trace.steps, 1):
        names = [name for name, _ in specification.actions[event.action].parameters]
        given = ", ".join(f"{n} = {shown(a, sorts)}" for n, a in zip(names, event.arguments, strict=True))
        table.append((str(position), f"{event.action}({given})", changes(state, after, sorts) or ("nothing changes",)))
        state = after
    return tuple(table)


def render(trace: Trace, specification: m.Specification) -> str:
    """The trace as text: the parameters, then a line per step and change."""
    sorts = specification.sorts
    fixed = ", ".join(f"{name} = {shown(value, sorts)}" for name, value in trace.world.functions.items())
    table = rows(trace, specification)
    width = max(len(event) for _, event, _ in table)
    lines = [f"with {fixed}"] if fixed else []
    for step, event, changed in table:
        for position, change in enumerate(changed):
            left = f"{step:>3}  {event:<{width}}" if position == 0 else " " * (width + 5)
            lines.append(f"{left}  {change}")
    return "\n".join(lines)
