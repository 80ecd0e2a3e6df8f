"""Runs by the interpreter, taken at random from a fixed seed: the cheap way to show that something can happen.

A run that gets somewhere is its own proof, so nothing here asks a solver; what no run reaches is left to the search.

Rules this module keeps:

- the runs depend on the specification alone, unless they take too long: then fewer are taken, and none differs;
- a machine whose arguments or assumptions have too many values is left to the search as a whole.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from math import prod
from typing import Final

from certify_spec import model as m
from certify_spec.datatypes import Type
from certify_spec.diagnostics import RequestError
from certify_spec.evaluate import Evaluator, State, TooManyValuesError, World
from certify_spec.interpreter import Event, Interpreter, Trace, worlds
from certify_verifier.search import Goal

RUNS: Final = 40
STEPS: Final = 14
"""How many runs of how many steps: what people mean a machine to do, it mostly does within these."""

MOST_EVENTS: Final = 400
"""Actions with arguments to consider in each state; a machine with more is left to the search."""

MOST_TRIES: Final = 2_000
"""Assignments tried for a world that satisfies the assumptions."""

SECONDS: Final = 3.0
"""When to give up, however far the runs are."""

_WORLDS: Final = 12


def explore(
    specification: m.Specification,
    goals: Sequence[Goal],
    sizes: Mapping[str, int],
    now: Callable[[], float] = time.thread_time,
) -> dict[str, Trace]:
    """For each goal that some run reaches, such a run. Goals are about states and actions, not about steps.

    Args:
        specification: the machine.
        goals: what to reach.
        sizes: the size of each sort.
        now: tells how much time was spent, in seconds.
    """
    chance = random.Random(0)  # noqa: S311 -- a reproducible choice, not a secret
    end = now() + SECONDS
    found = _Found(goals)
    try:
        taken: Counter[str] = Counter()
        chosen = [
            (world, state) for world in _worlds(specification, sizes, chance) if (state := _start(specification, world))
        ]
        for number in range(RUNS if chosen else 0):
            world, start = chosen[number % len(chosen)]
            if not found.left or now() > end:
                break
            _run(Interpreter(specification, world), start, found, taken if number % 2 else Counter(), chance)
    except (RequestError, TooManyValuesError):
        pass  # too much to run through: the search needs no enumeration
    return found.traces


class _Found:
    """What has been reached so far."""

    def __init__(self, goals: Sequence[Goal]) -> None:
        self.left = list(goals)
        self.traces: dict[str, Trace] = {}

    def note(self, machine: Interpreter, trace: Trace) -> None:
        """The run has come to a new state."""
        action = trace.steps[-1][0].action if trace.steps else ""
        reached = [goal for goal in self.left if _reaches(machine, goal, action, trace.last)]
        for goal in reached:
            self.left.remove(goal)
            self.traces[goal.name] = trace


def _reaches(machine: Interpreter, goal: Goal, action: str, state: State) -> bool:
    if goal.action and goal.action != action:
        return False
    return goal.state is None or machine.holds(goal.state, state) is goal.wanted


def _run(machine: Interpreter, start: State, found: _Found, taken: Counter[str], chance: random.Random) -> None:
    """One run; actions that were taken seldom are preferred."""
    trace = Trace(machine.specification.name, machine.world, start, ())
    found.note(machine, trace)
    for _ in range(STEPS):
        possible: dict[str, list[Event]] = {}
        for event in machine.events(trace.last):
            possible.setdefault(event.action, []).append(event)
        if not possible or not found.left:
            return
        action = min(sorted(possible), key=lambda name: (taken[name] + 1) * chance.random())
        event = chance.choice(possible[action])
        taken[action] += 1
        trace = replace(trace, steps=(*trace.steps, (event, machine.take(trace.last, event))))
        found.note(machine, trace)


def _start(specification: m.Specification, world: World) -> State | None:
    return next(Interpreter(specification, world).initial_states(), None)


def _worlds(specification: m.Specification, sizes: Mapping[str, int], chance: random.Random) -> Iterator[World]:
    """Some worlds of the first instance, with parameters taken at random from what it gives them."""
    declared = next(iter(specification.instances.values()), None)
    instance = declared or m.Instance("", sizes, {}, {}, specification.place)
    for number in range(_WORLDS if instance.values else 1):
        values = {name: (chance.choice(given),) for name, given in instance.values.items()}
        wanted = replace(instance, sizes={**sizes, **instance.sizes}, values=values if number else instance.values)
        world = next(worlds(specification, wanted, tries=MOST_TRIES), None)
        if world is not None and _events(specification, world) <= MOST_EVENTS:
            yield world


def _events(specification: m.Specification, world: World) -> int:
    evaluator = Evaluator(specification, world)

    def count(kind: Type) -> int:
        return sum(1 for _ in evaluator.values_of(kind))

    return sum(prod(count(kind) for _, kind in a.parameters) for a in specification.actions.values())
