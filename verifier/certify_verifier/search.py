"""Bounded search in a finite instance: the shortest run that breaks, or reaches, something.

Rules this module keeps:

- every run found is replayed by the interpreter before anyone sees it; a disagreement is an internal error, no result;
- lengths are tried in order, so the run found is a shortest one of the instance;
- the numbers of a run are made small once its length is known.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import product
from threading import Lock
from typing import Any, Final

from certify_spec import model as m
from certify_spec.datatypes import (
    BOOL,
    EnumType,
    MapType,
    RecordType,
    Scalar,
    SetType,
    SortType,
    Type,
    walk,
)
from certify_spec.evaluate import State as ConcreteState
from certify_spec.evaluate import Surroundings as ConcreteSurroundings
from certify_spec.evaluate import World
from certify_spec.interpreter import Event, Interpreter, Trace
from certify_spec.values import Element, Row, Table, Tagged, Value, elements, exchanged
from certify_verifier import terms as t
from certify_verifier.encoding import (
    Surroundings,
    Symbolic,
    SymbolicEnum,
    SymbolicMap,
    SymbolicRecord,
    SymbolicSet,
    sort_name,
)
from certify_verifier.obligation import Frame, Universe, renamed
from certify_verifier.solving import Answer, Question, Status
from certify_verifier.terms import Term

Ask = Callable[[Question], Answer]

SMALL_NUMBERS: Final = (2, 8, 64)
"""Bounds tried on the numbers of a run, so that people read small ones."""

_STEP_SORT: Final = "T.step taken"


class DisagreementError(Exception):
    """A run that a solver found is not one of the interpreter: one of the two readings of the language is wrong."""


@dataclass(frozen=True, slots=True)
class Goal:
    """What a run shall end in.

    Attributes:
        name: of the property.
        state: a formula over the last state, or None.
        step: a formula over the last step, with the action (None for any) and the names of its arguments.
        wanted: the truth value that the formula shall have: true to reach it, false to break it.
        action: an action that the last step shall take, or nothing.
    """

    name: str
    state: m.Expression | None = None
    step: m.StepProperty | None = None
    wanted: bool = False
    action: str = ""


class Unrolling:
    """The runs of a machine, as formulas, grown step by step.

    Args:
        specification: the machine.
        sizes: the size of each sort; None for worlds of any size.
        anywhere: whether the runs begin in any state and not in an initial one.
    """

    def __init__(
        self, specification: m.Specification, sizes: Mapping[str, int] | None, *, anywhere: bool = False
    ) -> None:
        self.specification = specification
        self.sizes = dict(sizes or {})
        self.growing = Lock()
        self.frame = Frame(specification, Universe(sizes))
        actions = tuple(specification.actions)
        self.frame.encoder.enumerations[_STEP_SORT] = tuple(f"{_STEP_SORT}.{name}" for name in actions)
        state = self.frame.state if anywhere else self.frame.initial_state()
        self.states: list[dict[str, Symbolic]] = [state]
        self.arguments: list[dict[str, dict[str, Symbolic]]] = []
        given = [*self.frame.assumed(), *([] if anywhere else self.frame.formulas((m.Kind.INIT,), state))]
        bounded = sizes is not None and _multiplies(specification)
        self.constraints: list[list[Term]] = [[*given, *self._settings()] if bounded else given]

    def _settings(self) -> Iterator[Term]:
        """That the parameters have values which the first declared instance gives them.

        Said only where unknown numbers are multiplied: solvers do not find runs through products of two unknowns.
        """
        instance = next(iter(self.specification.instances.values()), None)
        for name, values in (instance.values if instance else {}).items():
            parameter = self.frame.encoder.value(
                m.Applied(type=self.specification.functions[name].result, place=self.specification.place, name=name),
                Surroundings(),
            )
            if isinstance(parameter, Term) and all(type(value) is int for value in values):
                yield t.or_(*(t.equal(parameter, t.number(int(value))) for value in values))

    def taken(self, step: int, action: str) -> Term:
        """That a step, counted from 0, takes an action."""
        return t.equal(t.apply(f"step {step}", (), _STEP_SORT), t.constructor(_STEP_SORT, f"{_STEP_SORT}.{action}"))

    def extend(self) -> None:
        """Add a step."""
        step, state = len(self.arguments), self.states[-1]
        arguments: dict[str, dict[str, Symbolic]] = {}
        afters: dict[str, dict[str, Symbolic]] = {}
        made: list[Term] = []
        for action in self.specification.actions.values():
            given = self.frame.arguments(action, f"a{step}.{action.name}.")
            arguments[action.name] = given
            made.append(t.implies(self.taken(step, action.name), self.frame.guard(action, state, given)))
            afters[action.name] = self.frame.after(action, state, given)
        following = dict(state)
        for name, variable in self.specification.variables.items():
            changing = [a for a in self.specification.actions.values() if name in a.updates]
            if changing:
                value = state[name]
                for action in changing:
                    value = self.frame.encoder.choice(self.taken(step, action.name), afters[action.name][name], value)
                following[name] = self._named(variable.type, f"s{step + 1}.{name}", value, made)
        self.arguments.append(arguments)
        self.states.append(following)
        self.constraints.append(made)

    def _named(self, kind: Type, name: str, value: Symbolic, made: list[Term]) -> Symbolic:
        """A value under a name of its own, unless its keys are endless: then it stays a function of them.

        Such a function asks the one of the state before, by every way a step can go: it looks up each key only once.
        """
        if isinstance(kind, MapType) and not all(self._is_finite(key) for key in kind.keys):
            assert isinstance(value, SymbolicMap)
            return SymbolicMap(cache(value.at))
        if isinstance(kind, SetType) and not self._is_finite(kind.element):
            return value
        named = self.frame.encoder.unknown(kind, name)
        made.append(self.frame.encoder.equal(kind, named, value))
        return named

    def _is_finite(self, kind: Type) -> bool:
        return self.specification.shapes.is_finite(kind)

    def reaches(self, goal: Goal) -> Term:
        """That the run so far ends in a goal."""
        last, encoder = self.states[-1], self.frame.encoder
        parts: list[Term] = []
        step = len(self.arguments) - 1
        if goal.action:
            parts.append(self.taken(step, goal.action) if step >= 0 else t.FALSE)
        if goal.state is not None:
            formula = encoder.formula(goal.state, Surroundings(last))
            parts.append(formula if goal.wanted else t.not_(formula))
        if goal.step is not None:
            parts.append(self._step_reaches(goal.step, goal.wanted) if step >= 0 else t.FALSE)
        return t.and_(*parts)

    def _step_reaches(self, claim: m.StepProperty, wanted: bool) -> Term:
        step = len(self.arguments) - 1
        before, last = self.states[-2:]
        on = [(o.action, o.names) for o in claim.on] or [(name, ()) for name in self.specification.actions]
        found: list[Term] = []
        for action, names in on:
            bound = renamed(names, self.arguments[step][action])
            formula = self.frame.encoder.formula(claim.formula, Surroundings(before, last, bound))
            found.append(t.and_(self.taken(step, action), formula if wanted else t.not_(formula)))
        return t.or_(*found)

    def text(self, *goals: Goal) -> str:
        """That some run of this length ends in one of the goals."""
        reached = t.or_(*(self.reaches(goal) for goal in goals))
        return self.frame.text([*(part for step in self.constraints for part in step), reached])


def _multiplies(specification: m.Specification) -> bool:
    """Whether a step depends on a product of two numbers of which neither is written out."""
    bodies = [definition.body for definition in specification.definitions.values()]
    for action in specification.actions.values():
        bodies += [action.guard, *action.updates.values()]
    return any(
        isinstance(part, m.Arithmetic)
        and part.operator == "*"
        and not isinstance(part.left, m.Literal)
        and not isinstance(part.right, m.Literal)
        for body in bodies
        for part in m.walk(body)
    )


def is_exact(specification: m.Specification) -> bool:
    """Whether a finite universe says all there is to say of the state.

    It does not where sets have infinitely many possible elements: of the size of such a set only some facts are stated,
    so that a solver may think of sets that are none. What it then finds and the interpreter denies is no result.
    """
    kinds = (part for variable in specification.variables.values() for part in walk(variable.type))
    return all(not isinstance(kind, SetType) or specification.shapes.is_finite(kind.element) for kind in kinds)


@dataclass(frozen=True, slots=True)
class NotFound:
    """No run of at most `steps` steps ends in the goal; `complete` says whether every length was decided."""

    steps: int
    complete: bool
    reason: str = ""


def shortest(
    unrolling: Unrolling, goal: Goal, ask: Ask, steps: int, milliseconds: int = 10_000, *, tidy: bool = True
) -> Trace | NotFound:
    """A shortest run that ends in a goal.

    Args:
        unrolling: the machine in a finite instance; it grows as needed and can serve several goals in turn.
        goal: what the run shall end in.
        ask: asks a solver.
        steps: the longest run to look for.
        milliseconds: the limit of each question.
        tidy: whether to make the numbers of the run small.

    Raises:
        DisagreementError: the interpreter does not replay the run that the solver found.
    """
    reason = ""
    for length in range(steps + 1):
        part = _prefix(unrolling, length)
        text = part.text(goal)
        answer = ask(Question(text, milliseconds=milliseconds, model=True))
        if answer.status is Status.SAT:
            try:
                return _trace(part, _with_small_numbers(text, answer, ask) if tidy else answer, goal)
            except DisagreementError as problem:
                if is_exact(unrolling.specification):
                    raise
                reason = reason or str(problem)
        if answer.status is Status.UNKNOWN:
            reason = reason or f"runs of {length} steps: {answer.reason}"
    return NotFound(steps, not reason, reason)


def shortest_of(
    unrolling: Unrolling, goals: Sequence[Goal], ask: Ask, steps: int, milliseconds: int = 10_000
) -> dict[str, Trace | NotFound]:
    """For each of several goals a shortest run that ends in it: each length is asked about all that are left at once.

    Args:
        unrolling: the machine in a finite instance; it grows as needed.
        goals: what to reach: states and actions.
        ask: asks a solver.
        steps: the longest runs to look for.
        milliseconds: the limit of each question.

    Raises:
        DisagreementError: the interpreter does not replay a run that the solver found.
    """
    left, found = list(goals), dict[str, Trace | NotFound]()
    for length in range(steps + 1):
        if not left:
            break
        part = _prefix(unrolling, length)
        answer = Answer(Status.UNSAT)
        while left:
            answer = ask(Question(part.text(*left), milliseconds=milliseconds, model=True))
            reached = _reached(part, left, answer) if answer.status is Status.SAT else {}
            found |= reached
            left = [goal for goal in left if goal.name not in reached]
            if not reached:
                break
        if left and answer.status is not Status.UNSAT:
            # What cannot be answered together, or is denied by the interpreter, is asked one by one.
            return found | {goal.name: shortest(unrolling, goal, ask, steps, milliseconds, tidy=False) for goal in left}
    return found | {goal.name: NotFound(steps, complete=True) for goal in left}


def _reached(part: Unrolling, goals: Sequence[Goal], answer: Answer) -> dict[str, Trace]:
    """The goals in which the run of a model ends; none if the interpreter denies it where a solver may be wrong."""
    try:
        trace = _trace(part, answer, Goal("run"))
    except DisagreementError:
        if is_exact(part.specification):
            raise
        return {}
    machine = Interpreter(part.specification, trace.world)
    action = trace.steps[-1][0].action if trace.steps else ""
    return {
        goal.name: trace
        for goal in goals
        if goal.action in ("", action) and (goal.state is None or machine.holds(goal.state, trace.last) is goal.wanted)
    }


def _prefix(unrolling: Unrolling, length: int) -> Unrolling:
    """The runs of exactly this length."""
    with unrolling.growing:
        while len(unrolling.arguments) < length:
            unrolling.extend()
    part = object.__new__(Unrolling)
    part.specification, part.sizes, part.frame = unrolling.specification, unrolling.sizes, unrolling.frame
    part.states = unrolling.states[: length + 1]
    part.arguments = unrolling.arguments[:length]
    part.constraints = unrolling.constraints[: length + 1]
    return part


def _with_small_numbers(text: str, answer: Answer, ask: Ask) -> Answer:
    """The run again, with numbers as small as they can be."""
    begin, end = "(declare-fun ", " () Int)"
    declared = [line for line in text.splitlines() if line.startswith(begin) and line.endswith(end)]
    names = [line.removeprefix(begin).removesuffix(end) for line in declared]
    for bound in SMALL_NUMBERS:
        limits = "".join(f"(assert (<= (- {bound}) {name} {bound}))\n" for name in names)
        smaller = ask(Question(text + limits, milliseconds=2_000, model=True))
        if smaller.status is Status.SAT:
            return smaller
    return answer


# --- from models to runs ---------------------------------------------------------------------------------------------


class Decoder:
    """Reads values out of a solver's model."""

    def __init__(self, frame: Frame, model: Mapping[str, Any]) -> None:
        self._frame = frame
        self._model = model

    def value(self, kind: Type, symbolic: Symbolic) -> Value:
        """The value that a symbolic value has in the model."""
        shapes = self._frame.encoder.shapes
        match kind, symbolic:
            case (Scalar() | SortType(), Term()):
                return self._scalar(kind, self.evaluate(symbolic))
            case (EnumType(), Term()):
                return Tagged(_last(self.evaluate(symbolic)))
            case (EnumType(), SymbolicEnum()):
                case_name = _last(self.evaluate(symbolic.tag))
                held = shapes.cases(kind)[case_name]
                return Tagged(case_name, None if held is None else self.value(held, symbolic.contents[case_name]))
            case (RecordType(), SymbolicRecord()):
                fields = shapes.fields(kind)
                return Row(tuple((f, self.value(held, symbolic.fields[f])) for f, held in fields.items()))
            case (SetType(), SymbolicSet()):
                return frozenset(
                    key for key, flat in self._keys(kind.element) if self.evaluate(symbolic.has(flat)) is True
                )
            case (MapType(), SymbolicMap()):
                return self._table(kind, symbolic)
            case _:
                raise AssertionError(f"no value of type {kind}")

    def _table(self, kind: MapType, symbolic: SymbolicMap) -> Table:
        pools = [list(self._keys(key)) for key in kind.keys]
        entries: dict[tuple[Value, ...], Value] = {}
        for row in product(*pools):
            flat = tuple(part for _, parts in row for part in parts)
            entries[tuple(key for key, _ in row)] = self.value(kind.value, symbolic.at(flat))
        if all(self._frame.encoder.shapes.is_finite(key) for key in kind.keys):
            return Table(entries)
        # Far away from every number of the model the value is that of anywhere else.
        far = [t.number(self._far()) if key == "Int" else None for k in kind.keys for key in self._sorts(k)]
        keys = tuple(
            part if part is not None else self._any(sort) for part, sort in zip(far, self._all(kind), strict=True)
        )
        return Table(entries, self.value(kind.value, symbolic.at(keys)))

    def _all(self, kind: MapType) -> list[str]:
        return [sort for key in kind.keys for sort in self._sorts(key)]

    def _sorts(self, kind: Type) -> tuple[str, ...]:
        return self._frame.encoder.flat_sorts(kind)

    def _any(self, sort: str) -> Term:
        if sort == t.BOOL:
            return t.FALSE
        return t.constructor(sort, self._frame.encoder.enumerations[sort][0])

    def _far(self) -> int:
        return 1 + max((abs(number) for number in self._numbers()), default=0)

    def _numbers(self) -> Iterator[int]:
        waiting: list[Any] = list(self._model.values())
        while waiting:
            item = waiting.pop()
            if isinstance(item, int) and not isinstance(item, bool):
                yield item
            elif isinstance(item, dict):
                waiting += item.values()
            elif isinstance(item, list):
                waiting += item

    def _keys(self, kind: Type) -> Iterator[tuple[Value, tuple[Term, ...]]]:
        """The keys of a type that may matter: all of a finite one, and the numbers that the model mentions."""
        encoder = self._frame.encoder
        match kind:
            case Scalar() if kind == BOOL:
                yield from ((False, (t.FALSE,)), (True, (t.TRUE,)))
            case Scalar():
                numbers = {n + d for n in self._numbers() for d in (-1, 0, 1)} | {0, 1}
                yield from ((number, (t.number(number),)) for number in sorted(numbers))
            case EnumType() if not encoder.shapes.is_plain(kind):
                yield from self._case_keys(kind)
            case SortType(name) | EnumType(name):
                for index, value in enumerate(encoder.enumerations[f"T.{name}"]):
                    known: Value = Element(name, index) if isinstance(kind, SortType) else Tagged(_last(value))
                    yield known, (t.constructor(f"T.{name}", value),)
            case RecordType():
                fields = encoder.shapes.fields(kind)
                for row in product(*(list(self._keys(held)) for held in fields.values())):
                    values = Row(tuple((f, key) for f, (key, _) in zip(fields, row, strict=True)))
                    yield values, tuple(part for _, parts in row for part in parts)
            case _:
                raise AssertionError(f"`{kind}` is no key")

    def _case_keys(self, kind: EnumType) -> Iterator[tuple[Value, tuple[Term, ...]]]:
        """The values of an enum with content, flattened as the encoder does: what the tag hides is a fixed value."""
        encoder = self._frame.encoder
        cases = encoder.shapes.cases(kind)
        sort = sort_name(kind.name)
        for chosen, content in cases.items():
            tag = t.constructor(sort, f"{sort}.{chosen}")
            inner: list[tuple[Value | None, tuple[Term, ...]]] = [(None, ())]
            if content is not None:
                inner = [*self._keys(content)]
            for value, flat in inner:
                parts = [tag]
                for case, held in cases.items():
                    if held is not None:
                        hidden = (t.apply(f"any {s}", (), s) for s in encoder.flat_sorts(held))
                        parts += flat if case == chosen else hidden
                yield Tagged(chosen, value), tuple(parts)

    @staticmethod
    def _scalar(kind: Type, found: bool | int | str) -> Value:
        if isinstance(kind, SortType):
            assert isinstance(found, str)
            return Element(kind.name, int(_last(found)))
        assert not isinstance(found, str)
        return found

    def evaluate(self, term: Term) -> bool | int | str:
        """The value of a closed term without quantifiers; what the model leaves open is the first value of its sort."""
        values: dict[Term, bool | int | str] = {}
        for part in t.walk([term]):
            values[part] = self._evaluated(part, [values[arg] for arg in part.args])
        return values[term]

    def _evaluated(self, term: Term, args: Sequence[bool | int | str]) -> bool | int | str:
        if term.op == "lit":
            assert isinstance(term.value, bool | int | str)
            return term.value
        if term.op == "app":
            return self._application(term, list(args))
        return _OPERATORS[term.op](*args)

    def _application(self, term: Term, args: list[bool | int | str]) -> bool | int | str:
        found = self._model.get(str(term.value))
        if isinstance(found, dict):
            for given, value in found["entries"]:
                if given == args:
                    return _plain(value)
            return _plain(found["else"])
        if found is not None:
            return _plain(found)
        if term.sort == t.BOOL:
            return False
        return 0 if term.sort == t.INT else self._frame.encoder.enumerations[term.sort][0]


_OPERATORS: Final[Mapping[str, Callable[..., bool | int | str]]] = {
    "not": lambda a: not a,
    "and": lambda *a: all(a),
    "or": lambda *a: any(a),
    "=": lambda a, b: a == b,
    "ite": lambda c, a, b: a if c else b,
    "<=": lambda a, b: a <= b,
    "<": lambda a, b: a < b,
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "div": lambda a, b: (a // b if b > 0 else -(a // -b)) if b else 0,
    "mod": lambda a, b: a % abs(b) if b else a,
}


def _plain(value: object) -> bool | int | str:
    assert isinstance(value, bool | int | str)
    return value


def _last(name: bool | int | str) -> str:
    assert isinstance(name, str)
    return name.rsplit(".", 1)[1]


def world_of(frame: Frame, decoder: Decoder, sizes: Mapping[str, int]) -> World:
    """The parameters, functions and relations of a model."""
    functions: dict[str, Value] = {}
    for name, function in frame.specification.functions.items():
        kinds = tuple(kind for _, kind in function.parameters)
        whole: Symbolic
        if kinds:
            whole = SymbolicMap(_function(frame, function.result, f"p.{name}"))
            functions[name] = decoder.value(MapType(kinds, function.result), whole)
        else:
            functions[name] = decoder.value(function.result, frame.encoder.unknown(function.result, f"p.{name}"))
    return World(dict(sizes), functions)


def _function(frame: Frame, result: Type, name: str) -> Callable[[tuple[Term, ...]], Symbolic]:
    return lambda keys: frame.encoder.unknown(result, name, keys)


def _trace(part: Unrolling, answer: Answer, goal: Goal) -> Trace:
    decoder = Decoder(part.frame, answer.model)
    world = world_of(part.frame, decoder, part.sizes)
    start = start_of(part.frame, decoder, Interpreter(part.specification, world), part.states[0])
    events = [_event(part, decoder, step) for step in range(len(part.arguments))]
    names = _by_appearance(events, part.sizes)
    functions = {name: exchanged(value, names) for name, value in world.functions.items()}
    world = World(world.sizes, functions)
    state = ConcreteState({name: exchanged(value, names) for name, value in start.items()})
    trace = Trace(part.specification.name, world, state, ())
    machine = Interpreter(part.specification, world)
    for step, found in enumerate(events, 1):
        event = Event(found.action, tuple(exchanged(argument, names) for argument in found.arguments))
        if not machine.can(trace.last, event):
            raise DisagreementError(f"{goal.name}: `{event}` cannot happen at step {step}")
        trace = Trace(trace.machine, world, trace.start, (*trace.steps, (event, machine.take(trace.last, event))))
    _require_replay(machine, trace, goal)
    return trace


def _event(part: Unrolling, decoder: Decoder, step: int) -> Event:
    taken = str(decoder.evaluate(t.apply(f"step {step}", (), _STEP_SORT))).removeprefix(f"{_STEP_SORT}.")
    parameters = part.specification.actions[taken].parameters
    arguments = part.arguments[step][taken]
    return Event(taken, tuple(decoder.value(kind, arguments[name]) for name, kind in parameters))


def _by_appearance(events: Sequence[Event], sizes: Mapping[str, int]) -> dict[Element, Element]:
    """New names for the elements of sorts, in the order in which a run first speaks of them."""
    order: dict[str, dict[Element, None]] = {sort: {} for sort in sizes}
    for event in events:
        for argument in event.arguments:
            for element in elements(argument):
                order[element.sort][element] = None
    for sort, size in sizes.items():
        order[sort] |= dict.fromkeys(Element(sort, index) for index in range(size))
    return {old: Element(sort, index) for sort, found in order.items() for index, old in enumerate(found)}


def start_of(frame: Frame, decoder: Decoder, machine: Interpreter, state: Mapping[str, Symbolic]) -> ConcreteState:
    """The initial state of a model: start values by the interpreter, the rest from the model."""
    values: dict[str, Value] = {}
    for name, variable in frame.specification.variables.items():
        if variable.initial is not None:
            values[name] = machine.evaluator.value(variable.initial, ConcreteSurroundings())
        else:
            values[name] = decoder.value(variable.type, state[name])
    return ConcreteState(values)


def _require_replay(machine: Interpreter, trace: Trace, goal: Goal) -> None:
    problem = machine.replay(trace)
    if not problem and not machine.is_a_world():
        problem = "the assumptions do not hold"
    if not problem and goal.state is not None and machine.holds(goal.state, trace.last) is not goal.wanted:
        problem = "the last state is not as the solver says"
    if not problem and goal.step is not None:
        before = trace.steps[-2][1] if len(trace.steps) > 1 else trace.start
        event, after = trace.steps[-1]
        if machine.keeps(goal.step, before, event, after) is not goal.wanted:
            problem = "the last step is not as the solver says"
    if problem:
        raise DisagreementError(f"{goal.name}: {problem}")
