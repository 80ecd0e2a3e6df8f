"""Driving a guard through a script: calls in flight are held at gates, in threads or in tasks, and let go one by one.

Rules this module keeps:

- the guard is built once for a stage, and wraps one operation that all calls share, as in a program;
- after each step everything runs until it is at rest; then what happened is read off;
- a call's outcome is decided outside: the operation waits at its gate until the script says how it ends, unless the
  call was given a plan, which then decides without waiting.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from certify.conformance.clock import START, Clock
from certify.conformance.steps import OUTCOMES, Failure, Ignored, Moment, Seen, Step
from certify.conformance.tasks import Loop
from certify.conformance.threads import Actor, Threads

#: From the number of the try, counting from 1, to the outcome and the seconds that it takes.
Plan = Callable[[int], tuple[str, float]]


def error_of(outcome: str) -> BaseException:
    """The exception that an outcome ends with."""
    made: dict[str, Callable[[], BaseException]] = {
        "fails": lambda: Failure("the backend failed"),
        "errs": lambda: Ignored("not counted"),
        "interrupts": KeyboardInterrupt,
        "exits": SystemExit,
        "closes": GeneratorExit,
        "is-cancelled": asyncio.CancelledError,
    }
    return made[outcome]()


@dataclass(frozen=True)
class Asked:
    """What a call gives to the operation: calls with odd numbers ask for one thing, the others for another."""

    thing: int
    number: int = field(compare=False, repr=False)


@dataclass
class Flight:
    """A call: where it is, and what it has met."""

    number: int
    plan: Plan | None = None
    inside: bool = False
    over: bool = False
    started: bool = False
    given_up: bool = False
    outcome: str | None = None
    raised: BaseException | None = None
    tries: int = 0
    left_at: float = 0.0
    handle: Any = None
    gate: Any = None


class Stage(ABC):
    """A guard, its operation, and the calls in flight."""

    def __init__(
        self,
        clock: Clock,
        decorator: Callable[[Callable[..., Any]], Callable[..., Any]],
        rejections: tuple[type[BaseException], ...],
        plans: dict[int, Plan] | None = None,
        retry_after: Callable[[int], float | None] | None = None,
    ) -> None:
        self.clock = clock
        self.rejections = rejections
        self.flights: dict[int, Flight] = {}
        self.moments: list[Moment] = []
        self.running = 0
        self._plans = plans or {}
        self._retry_after = retry_after
        self._seen: list[Seen] = []
        self.guarded = decorator(self.operation())

    # -- what differs between threads and tasks

    @abstractmethod
    def operation(self) -> Callable[..., Any]:
        """What the guard wraps."""

    @abstractmethod
    def begin(self, flight: Flight) -> None:
        """Let a call begin."""

    @abstractmethod
    def open_gate(self, flight: Flight) -> None:
        """Let the operation of a call end."""

    @abstractmethod
    def give_up(self, flight: Flight) -> None:
        """Cancel a call."""

    @abstractmethod
    def rest(self) -> None:
        """Run until nothing can run."""

    @abstractmethod
    def pass_time(self, seconds: float) -> None:
        """Let time pass."""

    # -- what both share

    def tell(self, event: object) -> None:
        """What a listener was told."""
        self._see("event", 0, str(event))

    def play(self, script: Sequence[Step]) -> list[Moment]:
        """Take the steps, and give the moments of those that had sense."""
        for step in script:
            self.take(step)
        return self.moments

    def take(self, step: Step) -> None:
        """Take a step; one that has no sense here does nothing."""
        self._seen = []
        done = [self._do(each) for each in (step, *step.also)]
        if not any(done):
            return
        self.rest()
        for each in (step, *step.also):
            for number in each.calls if each.kind == "call" else ():
                flight = self.flights[number]
                if flight.started and not flight.inside and not flight.over:
                    self._see("waits", number)
        self.moments.append(Moment(step, self.clock.now - START, tuple(self._seen)))

    def _do(self, step: Step) -> bool:
        match step.kind:
            case "advance":
                self.pass_time(step.value)
            case "wall":
                self.clock.step_wall(step.value)
            case "tick":
                self.clock.tick = step.value
            case "call":
                fresh = [number for number in step.calls if number not in self.flights]
                for number in fresh:
                    self.flights[number] = Flight(number, self._plans.get(number))
                    self.begin(self.flights[number])
                return bool(fresh)
            case "cancel":
                there = [f for n in step.calls if (f := self.flights.get(n)) is not None and not f.over]
                for flight in there:
                    self.give_up(flight)
                return bool(there)
            case outcome:
                assert outcome in OUTCOMES, outcome
                there = [f for n in step.calls if (f := self.flights.get(n)) is not None and f.inside]
                for flight in there:
                    flight.outcome = outcome
                    self.open_gate(flight)
                return bool(there)
        return True

    def _see(self, kind: str, call: int, detail: str = "", *, genuine: bool = True) -> None:
        flight = self.flights.get(call)
        lag = 0.0 if flight is None else self.clock.now - flight.left_at
        self._seen.append(Seen(kind, call, detail, self.clock.now - START, lag, genuine))

    def entered(self, number: int) -> Flight:
        """The operation of a call begins."""
        flight = self.flights[number]
        flight.tries += 1
        self.running += 1
        self._see("enters", number)
        return flight

    def left(self, flight: Flight) -> None:
        """The operation of a call is over."""
        self.running -= 1
        flight.left_at = self.clock.now

    def conclude(self, flight: Flight, outcome: str) -> str:
        """The operation ends as decided."""
        flight.outcome = None
        if outcome == "succeeds":
            return f"answer {flight.number}"
        error = error_of(outcome)
        if isinstance(error, Failure) and self._retry_after is not None:
            error.retry_after = self._retry_after(flight.tries)
        flight.raised = error
        raise error

    def returned(self, flight: Flight, value: object) -> None:
        """A call returns to its caller."""
        flight.over = True
        self._see("returns", flight.number, repr(value), genuine=value == f"answer {flight.number}")

    def raised(self, flight: Flight, error: BaseException) -> None:
        """A call ends with an exception."""
        flight.over = True
        if isinstance(error, self.rejections):
            self._see("rejected", flight.number, type(error).__name__)
        else:
            told = error is flight.raised or (flight.given_up and isinstance(error, asyncio.CancelledError))
            self._see("raises", flight.number, type(error).__name__, genuine=told)


class ThreadStage(Stage):
    """Calls in threads."""

    def __init__(self, threads: Threads, *arguments: Any, **keywords: Any) -> None:
        self.threads = threads
        super().__init__(threads.clock, *arguments, **keywords)

    def operation(self) -> Callable[..., Any]:
        """A function that waits at its call's gate."""

        def operation(asked: Asked) -> str:
            flight = self.entered(asked.number)
            try:
                if flight.plan is not None:
                    outcome, seconds = flight.plan(flight.tries)
                    if seconds:
                        self.threads.sleep(seconds)
                    return self.conclude(flight, outcome)
                flight.inside = True
                flight.gate = object()
                try:
                    while flight.outcome is None:
                        self.threads.wait(flight.gate, None)
                finally:
                    flight.inside = False
                return self.conclude(flight, flight.outcome)
            finally:
                self.left(flight)

        return operation

    def begin(self, flight: Flight) -> None:
        """A thread for the call."""

        def work() -> None:
            flight.started = True
            try:
                value = self.guarded(Asked(flight.number % 2, flight.number))
            except BaseException as error:
                self.raised(flight, error)
            else:
                self.returned(flight, value)

        flight.handle = self.threads.start(f"call {flight.number}", work)

    def open_gate(self, flight: Flight) -> None:
        """Wake the thread."""
        self.threads.wake(flight.gate)

    def give_up(self, flight: Flight) -> None:
        """As Ctrl-C does: KeyboardInterrupt where the thread waits."""
        actor: Actor = flight.handle
        error = KeyboardInterrupt()
        flight.raised = error
        self.threads.inject(actor, error)

    def rest(self) -> None:
        """Until every thread waits."""
        self.threads.settle()

    def pass_time(self, seconds: float) -> None:
        """In the threads' world."""
        self.threads.pass_time(seconds)


class TaskStage(Stage):
    """Calls in tasks."""

    def __init__(self, loop: Loop, *arguments: Any, **keywords: Any) -> None:
        self.loop = loop
        super().__init__(loop.clock, *arguments, **keywords)

    def operation(self) -> Callable[..., Any]:
        """A coroutine function that waits at its call's gate."""

        async def operation(asked: Asked) -> str:
            flight = self.entered(asked.number)
            try:
                if flight.plan is not None:
                    outcome, seconds = flight.plan(flight.tries)
                    if seconds:
                        await asyncio.sleep(seconds)
                    return self.conclude(flight, outcome)
                flight.inside = True
                flight.gate = self.loop.create_future()
                try:
                    outcome = await flight.gate
                finally:
                    flight.inside = False
                return self.conclude(flight, outcome)
            finally:
                self.left(flight)

        return operation

    def begin(self, flight: Flight) -> None:
        """A task for the call."""

        async def work() -> None:
            flight.started = True
            try:
                value = await self.guarded(Asked(flight.number % 2, flight.number))
            except BaseException as error:
                self.raised(flight, error)
            else:
                self.returned(flight, value)

        flight.handle = self.loop.create_task(work())

    def open_gate(self, flight: Flight) -> None:
        """Answer the future."""
        if not flight.gate.done():
            flight.gate.set_result(flight.outcome)

    def give_up(self, flight: Flight) -> None:
        """Cancel the task."""
        flight.given_up = True
        flight.handle.cancel()

    def rest(self) -> None:
        """Until nothing is ready."""
        self.loop.settle()

    def pass_time(self, seconds: float) -> None:
        """In the loop's time."""
        self.loop.pass_time(seconds)
