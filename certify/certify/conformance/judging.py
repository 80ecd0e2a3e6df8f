"""Scenarios, and what a library makes of them.

A scripted scenario has scripts, a judge, and the kinds of wrong that break its property. When a run is wrong, steps
are left out as long as it stays wrong in such a way; what remains is the trace. Then it is run once more without the
steps that the property is about: if it is wrong even so, the fault lies elsewhere, and nothing is concluded.
"""

from __future__ import annotations

import asyncio
import itertools
import math
import random
import sysconfig
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

from certify.conformance import tasks, threads
from certify.conformance.adapters import Adapter
from certify.conformance.clock import START, Clock
from certify.conformance.driving import Plan, Stage, TaskStage, ThreadStage
from certify.conformance.monitors import Judge, Wrong
from certify.conformance.settings import MEANINGS, Settings, read
from certify.conformance.steps import Moment, Step, folded
from certify.conformance.verdicts import NotApplicable, Row, Satisfied, Undecided, Verdict, Violated

Script = tuple[Step, ...]
#: How many instructions of the code under test an exploration may pass in all, and the runs that it makes even so.
MOST_INSTRUCTIONS: Final = 40_000
LEAST_RUNS: Final = 40
_STDLIB: Final = str(Path(sysconfig.get_paths()["stdlib"]).resolve())
_HERE: Final = str(Path(__file__).resolve().parent)


class Refused(Exception):
    """The library refuses to build the guard, or to wrap the operation."""

    def __init__(self, error: BaseException) -> None:
        super().__init__(f"{type(error).__name__}: {error}")
        self.error = error


class Unbuilt(Exception):
    """The adapter has no such pattern, or does not use a setting that matters here."""


@dataclass
class Bench:
    """What scenarios run on: an adapter, a clock, a mode."""

    adapter: Adapter
    clock: Clock
    mode: str
    #: Of a scenario's scripts, every how manyth is played.
    every: int = 1
    number: Iterator[int] = field(default_factory=itertools.count)
    used: frozenset[str] = frozenset()

    @contextmanager
    def world(self) -> Iterator[Any]:
        """Threads or tasks, with everything at its beginning."""
        self.clock.reset()
        random.seed(0)
        with tasks.world(self.clock) if self.mode == "async" else threads.world(self.clock) as here:
            yield here

    def decorator(
        self, pattern: str, here: Any = None, needs: frozenset[str] = frozenset(), **given: Any
    ) -> tuple[Any, Any]:
        """A guard as a decorator, and the settings that it keeps to.

        Raises:
            Unbuilt: the adapter has no such pattern, or does not use a setting that is needed.
            Refused: the library does not build it.
        """
        build = self.adapter.build(pattern)
        if build is None:
            raise Unbuilt(f"no {pattern}")
        asynchronous = self.mode == "async"
        sleep = asyncio.sleep if asynchronous else time.sleep
        settings = Settings(self.clock, next(self.number), asynchronous=asynchronous, sleep=sleep, **given)
        try:
            made = _inside(here, build, settings)
        except NotImplementedError as error:
            raise Unbuilt(f"no {pattern} in {self.mode} code: {error}") from None
        except Exception as error:
            raise Refused(error) from error
        self.used = read(settings)
        missing = sorted(needs - self.used)
        if missing:
            raise Unbuilt(f"the adapter does not use {', '.join(missing)}")
        return made, self.effective(settings, given)

    def effective(self, settings: Settings, given: dict[str, Any]) -> Any:
        """The settings as a judge may rely on them: what the adapter does not use is not promised."""
        values = {name: default for name, (_, default) in MEANINGS.items()} | given
        for name in ("lease", "queue_limit", "deadline"):
            if name not in read(settings):
                values[name] = None
        return SimpleNamespace(**values, successes_reset=self.adapter.successes_reset)

    @contextmanager
    def stage(
        self,
        pattern: str,
        *,
        needs: frozenset[str] = frozenset(),
        plans: dict[int, Plan] | None = None,
        retry_after: Callable[[int], float | None] | None = None,
        **given: Any,
    ) -> Iterator[tuple[Stage, Any]]:
        """A guard on a stage of its own.

        Raises:
            Unbuilt: the adapter has no such pattern, or does not use a setting that is needed.
            Refused: the library does not build it, or does not wrap the operation.
        """
        with self.world() as here:
            stage: list[Stage] = []
            if given.get("listener") == "stage":
                given["listener"] = lambda event: stage[0].tell(event)  # noqa: PLW0108  # there is no stage yet
            decorator, settings = self.decorator(pattern, here, needs, **given)
            kind: Any = TaskStage if self.mode == "async" else ThreadStage
            try:
                stage.append(_inside(here, kind, here, decorator, self.adapter.rejected, plans, retry_after))
            except Exception as error:
                raise Refused(error) from error
            yield stage[0], settings


def _inside(here: Any, function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a function, in a task where there is a loop.

    Some libraries look for the running one. A coroutine is awaited.
    """
    if not isinstance(here, tasks.Loop):
        return function(*arguments)

    async def called() -> Any:
        made = function(*arguments)
        return await made if asyncio.iscoroutine(made) else made

    task = here.create_task(called())
    here.settle()
    return task.result()


@cache
def is_foreign(file: str) -> bool:
    """Whether a file is the code under test, rather than Python's or the kit's own."""
    if file.startswith("<"):
        return False
    path = str(Path(file).resolve())
    return not path.startswith(_HERE) and ("site-packages" in path or not path.startswith(_STDLIB))


# -- scripted scenarios


@dataclass(frozen=True)
class Scripted:
    """A scenario that is played from scripts and judged by what was seen."""

    property: str
    name: str
    pattern: str
    scripts: tuple[Script, ...]
    judge: Judge
    kinds: frozenset[str]
    given: dict[str, Any] = field(default_factory=dict)
    needs: frozenset[str] = frozenset()
    essential: Callable[[Step], bool] | None = None
    plans: dict[int, Plan] | None = None
    retry_after: Callable[[int], float | None] | None = None
    modes: tuple[str, ...] = ("sync", "async")
    #: How many preemptive switches of threads are explored; 0: threads change only where they wait.
    switches: int = 0
    most_runs: int = 400

    def run(self, bench: Bench) -> Verdict:
        """Play it, and say what came of it."""
        scripts = self.scripts[:: bench.every]
        for script in scripts:
            wrong, moments = self._play(bench, script)
            if wrong is None:
                continue
            if wrong.kind not in self.kinds:
                return Undecided(f"it fails before that: {wrong.sentence}")
            return self._shrunk(bench, script, wrong, moments)
        if self.switches and bench.mode == "sync":
            return self._explored(bench)
        return Satisfied(len(scripts))

    def _play(
        self, bench: Bench, script: Sequence[Step], switches: Switches | None = None
    ) -> tuple[Wrong | None, list[Moment]]:
        with bench.stage(
            self.pattern, needs=self.needs, plans=self.plans, retry_after=self.retry_after, **self.given
        ) as (stage, settings):
            if switches is not None and isinstance(stage, ThreadStage):
                switches.watch(stage)
            moments = stage.play(script)
            return self.judge(moments, settings), moments

    def _shrunk(self, bench: Bench, script: Script, wrong: Wrong, moments: list[Moment]) -> Verdict:
        def fails(candidate: Sequence[Step]) -> bool:
            found, _ = self._play(bench, candidate)
            return found is not None and found.kind in self.kinds

        if self.essential is not None:
            bare = [step for step in script if not self.essential(step)]
            if fails(bare):
                found, _ = self._play(bench, bare)
                assert found is not None
                return Undecided(f"it fails without that too: {found.sentence}")
        kept = [moment.step for moment in moments[: wrong.moments]]
        smallest = shrink(kept, fails)
        found, seen = self._play(bench, smallest)
        if found is None:
            return Undecided("the same steps are wrong in one run and not in another")
        return Violated(found.sentence, rows(seen[: found.moments]))

    def _explored(self, bench: Bench) -> Verdict:
        """Every run with one switch, then with two, and so on, as far as the number of runs allows."""
        runs = 0
        for script in self.scripts:
            counted = Switches()
            self._play(bench, script, counted)
            most = max(LEAST_RUNS, min(self.most_runs, MOST_INSTRUCTIONS // max(1, counted.points)))
            for chosen in choices(counted.points, self.switches, most):
                runs += 1
                switches = Switches(chosen)
                wrong, moments = self._play(bench, script, switches)
                if wrong is None:
                    continue
                if wrong.kind not in self.kinds:
                    return Undecided(f"it fails before that: {wrong.sentence}")
                told = f"{wrong.sentence}, when another thread comes in {' and '.join(switches.places)}"
                return Violated(told, rows(moments[: wrong.moments]))
        return Satisfied(runs + len(self.scripts))


class Switches:
    """A plan of threads: at which points another one is to run.

    Points are counted only while several calls move, since otherwise there is nothing to choose.
    """

    def __init__(self, chosen: Sequence[int] = ()) -> None:
        self.points = 0
        self.places: list[str] = []
        self._chosen = frozenset(chosen)

    def watch(self, stage: ThreadStage) -> None:
        """Let every instruction of the code under test be a point."""
        world = stage.threads
        world.watched = is_foreign

        def plan(_actor: threads.Actor) -> bool:
            if sum(flight.started and not flight.over for flight in stage.flights.values()) + world.waiting() < 2:
                return False
            self.points += 1
            if self.points - 1 in self._chosen:
                self.places.append(f"at {world.place}")
                return True
            return False

        world.plan = plan


def choices(points: int, switches: int, most: int) -> Iterator[tuple[int, ...]]:
    """Every choice of one point, then of two, and so on.

    Where there are more than `most` of a number, so many of them, and a fourth as many of the next.
    """
    for count in range(1, switches + 1):
        most = most if count == 1 else max(1, most // 4)
        if math.comb(points, count) <= most:
            yield from itertools.combinations(range(points), count)
        else:
            chance = random.Random(count)  # noqa: S311  # which runs are looked at
            for _ in range(most):
                yield tuple(sorted(chance.sample(range(points), count)))


def rows(moments: Sequence[Moment]) -> tuple[Row, ...]:
    """Moments as the rows of a trace."""
    return tuple(Row(str(m.step), round(m.now, 6), tuple(folded(m.seen))) for m in moments)


def shrink(script: Sequence[Step], fails: Callable[[Sequence[Step]], bool]) -> list[Step]:
    """A script that still fails, and of which neither a step nor a call of a step can be left out."""
    kept = list(script)
    size = max(1, len(kept) // 2)
    while True:
        smaller = _one_smaller(kept, size, fails)
        if smaller is not None:
            kept = smaller
        elif size > 1:
            size //= 2
        else:
            return kept


def _one_smaller(kept: list[Step], size: int, fails: Callable[[Sequence[Step]], bool]) -> list[Step] | None:
    for start in range(0, len(kept), size):
        candidate = kept[:start] + kept[start + size :]
        if candidate and fails(candidate):
            return candidate
    if size > 1:
        return None
    for index, step in enumerate(kept):
        for calls in _fewer(step.calls):
            candidate = [*kept[:index], replace(step, calls=calls), *kept[index + 1 :]]
            if fails(candidate):
                return candidate
    return None


def _fewer(calls: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    if len(calls) < 2:
        return
    half = len(calls) // 2
    if half > 1:
        yield calls[:half]
        yield calls[half:]
    for leave in range(len(calls)):
        yield calls[:leave] + calls[leave + 1 :]


# -- scenarios that are written out


@dataclass(frozen=True)
class Told:
    """A violation, as a written-out scenario tells it."""

    sentence: str
    trace: tuple[Row, ...]


@dataclass(frozen=True)
class Written:
    """A scenario that is a function: gives what is wrong, or None."""

    property: str
    name: str
    pattern: str
    body: Callable[[Bench], Told | None]
    modes: tuple[str, ...] = ("sync", "async")

    def run(self, bench: Bench) -> Verdict:
        """Run it, and say what came of it."""
        told = self.body(bench)
        return Satisfied() if told is None else Violated(told.sentence, told.trace)


Scenario = Scripted | Written


def judge(scenario: Scenario, bench: Bench) -> Verdict:
    """What a scenario says of a library; trouble of any kind is undecided."""
    if bench.mode not in scenario.modes:
        return NotApplicable(f"it is about {scenario.modes[0]} code")
    try:
        return scenario.run(bench)
    except Unbuilt as error:
        return NotApplicable(str(error))
    except Refused as error:
        return Undecided(f"the library does not build it: {error}")
    except (threads.Escaped, threads.Deadlock, tasks.Spinning) as error:
        return Undecided(str(error))
    except Exception as error:
        return Undecided(f"the scenario ends with {type(error).__name__}: {error}")


def since_start(clock: Clock) -> float:
    """Seconds since the scenario began."""
    return clock.now - START
