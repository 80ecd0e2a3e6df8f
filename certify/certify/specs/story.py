"""A counterexample as a story: steps with their arguments, only what changed, and the clause that broke.

Rules this module keeps:

- a story is read off a trace that the interpreter has replayed; it adds no step and leaves none out;
- elements are called `c0`, `c1`, … as everywhere;
- every name of a participant is an argument of the steps: nothing is guessed from names of actions.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from certify_spec import model as m
from certify_spec.diagnostics import Place
from certify_spec.interpreter import Event, Trace
from certify_spec.values import Element, Table, Value, in_order, shown, shown_keys


@dataclass(frozen=True, slots=True)
class Change:
    """A variable, or one entry of a map, before and after a step."""

    subject: str
    before: str
    after: str

    def __str__(self) -> str:
        return f"{self.subject}: {self.before} → {self.after}"


@dataclass(frozen=True, slots=True)
class Step:
    """One step.

    Attributes:
        number: from 1.
        action: its name.
        arguments: names and values.
        changes: only what changed.
        caller: the first argument that is an element of a sort, or nothing.
        environment: whether it happens to the machine.
        passes_time: whether it moves the machine's clock.
        place: of the action.
    """

    number: int
    action: str
    arguments: tuple[tuple[str, str], ...]
    changes: tuple[Change, ...]
    caller: str
    environment: bool
    passes_time: bool
    place: Place

    @property
    def call(self) -> str:
        """The step as the language would write it, its arguments without names."""
        return f"{self.action}({', '.join(value for _, value in self.arguments)})" if self.arguments else self.action


@dataclass(frozen=True, slots=True)
class Story:
    """A run, as people read it.

    Attributes:
        machine: its name.
        fixed: parameters, functions and relations with arguments as tables.
        sizes: how many elements each sort has.
        start: every variable at the start; for a law, the values that break it.
        steps: the steps.
        is_a_run: whether the machine can get to the start: false where the start state is not known reachable.
        clause: what is false at the end, as written; empty if that is not one formula.
        clause_place: where the clause stands.
    """

    machine: str
    fixed: tuple[tuple[str, str], ...]
    sizes: tuple[tuple[str, int], ...]
    start: tuple[tuple[str, str], ...]
    steps: tuple[Step, ...]
    is_a_run: bool = True
    clause: str = ""
    clause_place: Place | None = None

    @property
    def callers(self) -> tuple[str, ...]:
        """Those whose steps these are, by name."""
        return tuple(sorted({step.caller for step in self.steps if step.caller}, key=lambda name: (len(name), name)))

    def to_data(self) -> dict[str, Any]:
        """The story as text, numbers, lists and maps."""
        return {
            "fixed": dict(self.fixed),
            "sizes": dict(self.sizes),
            "start": dict(self.start),
            "start_is_reachable": self.is_a_run or None,
            "steps": [
                {
                    "step": step.number,
                    "action": step.action,
                    "arguments": dict(step.arguments),
                    "changes": [{"what": c.subject, "before": c.before, "after": c.after} for c in step.changes],
                }
                for step in self.steps
            ],
            "clause": self.clause,
            "clause_place": self.clause_place.to_data() if self.clause_place else None,
        }


def tell(
    trace: Trace,
    specification: m.Specification,
    *,
    is_a_run: bool = True,
    clause: str = "",
    formula: m.Expression | None = None,
) -> Story:
    """The story of a trace.

    Args:
        trace: a replayed trace of the specification.
        specification: the specification.
        is_a_run: whether the start is an initial state.
        clause: what is false at the end, as the verifier quotes it.
        formula: the property, in which the clause is looked up to give its place.
    """
    sorts = specification.sorts
    return Story(
        trace.machine,
        tuple((name, shown(value, sorts)) for name, value in trace.world.functions.items()),
        tuple(trace.world.sizes.items()),
        tuple((name, shown(value, sorts)) for name, value in trace.start.items()),
        tuple(_steps(trace, specification)),
        is_a_run,
        clause,
        place_of(clause, formula, specification) if formula is not None else None,
    )


def _steps(trace: Trace, specification: m.Specification) -> Iterator[Step]:
    clocks = {name for name, variable in specification.variables.items() if variable.role is m.Role.CLOCK}
    before: Mapping[str, Value] = trace.start
    for number, (event, after) in enumerate(trace.steps, 1):
        action = specification.actions[event.action]
        names = [name for name, _ in action.parameters]
        given = [shown(value, specification.sorts) for value in event.arguments]
        yield Step(
            number,
            event.action,
            tuple(zip(names, given, strict=True)),
            changes(before, after, specification),
            _caller(event, specification),
            action.environment,
            bool(clocks & action.updates.keys()),
            action.place,
        )
        before = after


def _caller(event: Event, specification: m.Specification) -> str:
    elements = (argument for argument in event.arguments if isinstance(argument, Element))
    first = next(elements, None)
    return "" if first is None else shown(first, specification.sorts)


def changes(
    before: Mapping[str, Value], after: Mapping[str, Value], specification: m.Specification
) -> tuple[Change, ...]:
    """What differs between two states, maps entry by entry."""
    sorts = specification.sorts
    found: list[Change] = []
    for name, new in after.items():
        old = before[name]
        if old == new:
            continue
        if isinstance(old, Table) and isinstance(new, Table) and old.default == new.default:
            found += [
                Change(f"{name}[{shown_keys(key, sorts)}]", shown(old[key], sorts), shown(new[key], sorts))
                for key in in_order(old.keys() | new.keys())
                if old[key] != new[key]
            ]
        else:
            found.append(Change(name, shown(old, sorts), shown(new, sorts)))
    return tuple(found)


def place_of(clause: str, formula: m.Expression, specification: m.Specification) -> Place | None:
    """Where a quoted clause stands inside a formula; the whole formula if it cannot be told."""
    found = formula.place
    length = -1
    for part in m.walk(formula):
        text = specification.source(part.place)
        if length < len(text) and (clause == text or clause.startswith(f"{text} (with ")):
            found, length = part.place, len(text)
    return found
