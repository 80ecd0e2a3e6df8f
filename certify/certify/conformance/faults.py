"""The fault campaign: journeys through each pattern, and every fault at every place of a journey.

A journey is a script in which all goes as usual. A fault is a way to change a script at a place: a caller gives up, a
clock is set, a crowd arrives, a call hangs. Each pair is a named scenario; its runs are all the places at which the
fault can strike. Beside them stand scenarios of what no script can say: cancellation at every step of the event loop,
threads that change between any two instructions, long random journeys, and the end of the interpreter.
"""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from certify.conformance import monitors
from certify.conformance.breakers import OVER, TRIP, UNDER
from certify.conformance.calls import one_round
from certify.conformance.driving import Flight
from certify.conformance.judging import Bench, Scenario, Script, Scripted, Told, Written, rows
from certify.conformance.monitors import Judge, Wrong
from certify.conformance.steps import NEUTRAL, Moment, Step, advance, call, cancel, end, fail, succeed, tick, wall
from certify.conformance.verdicts import Row

HOUR: Final = 3_600.0
CROWD: Final = tuple(range(100, 150))
_NEEDED: Final[Mapping[str, frozenset[str]]] = {
    "breaker": frozenset({"failure_threshold", "recovery_time"}),
    "bulkhead": frozenset({"capacity", "queue_limit"}),
    "retry": frozenset({"attempts"}),
    "limiter": frozenset({"rate", "burst"}),
    "timeout": frozenset({"seconds"}),
    "service": frozenset({"capacity"}),
    "cache": frozenset({"seconds"}),
}


# -- what a run must be


def _together(*judges: Judge) -> Judge:
    def judge(moments: Sequence[Moment], settings: Any) -> Wrong | None:
        found = [wrong for each in judges if (wrong := each(moments, settings)) is not None]
        return min(found, key=lambda wrong: wrong.moments, default=None)

    return judge


def genuine(moments: Sequence[Moment], _settings: Any) -> Wrong | None:
    """``altered``: a caller gets an answer or an error that the backend never gave, and that no guard names its own."""
    for position, moment in enumerate(moments, 1):
        for seen in moment.seen:
            if seen.kind == "returns" and not seen.genuine:
                return Wrong("altered", f"call {seen.call} gets {seen.detail}", position)
    return None


def neutral(moments: Sequence[Moment], _settings: Any) -> Wrong | None:
    """``again``: a call goes on after its caller gave up, or after it was interrupted."""
    for position, moment in enumerate(moments, 1):
        for number in moment.step.calls if moment.step.kind in ("cancel", *NEUTRAL) else ():
            seen = [each for each in moment.seen if each.call == number]
            if not seen or any(each.kind == "enters" for each in seen):
                return Wrong("again", f"call {number} goes on", position)
            if not seen[-1].genuine and seen[-1].kind != "rejected":
                return Wrong("altered", f"the caller of call {number} gets {seen[-1].detail} instead", position)
    return None


def timely(moments: Sequence[Moment], settings: Any) -> Wrong | None:
    """``late``: a caller waits longer than the time limit."""
    began: dict[int, float] = {}
    for position, moment in enumerate(moments, 1):
        for number in moment.step.calls if moment.step.kind == "call" else ():
            began[number] = moment.now
        ended = {seen.call: seen.at for seen in moment.seen if seen.kind in {"returns", "raises", "rejected"}}
        for number, at in list(began.items()):
            if ended.get(number, moment.now) - at > settings.seconds + 1e-6:
                return Wrong("late", f"call {number} takes more than {settings.seconds:g} s", position)
            if number in ended:
                del began[number]
    return None


def paced(moments: Sequence[Moment], settings: Any) -> Wrong | None:
    """``delay``: a pause between two tries of a call is longer than the cap."""
    for number in monitors.calls(moments):
        seen = [s for moment in moments for s in moment.seen if s.call == number and s.kind == "enters"]
        for each in seen[1:]:
            if each.lag > settings.cap + 1e-6:
                return Wrong(
                    "delay", f"call {number} pauses for {each.lag:g} s, the cap is {settings.cap:g} s", len(moments)
                )
    return None


def inside_bound(moments: Sequence[Moment], settings: Any) -> Wrong | None:
    """``capacity``: more calls are inside at once than may, by what callers see."""
    inside: set[int] = set()
    for position, moment in enumerate(moments, 1):
        if moment.step.kind not in {"call", "advance", "wall", "tick"}:
            inside.difference_update(moment.step.calls)
        for seen in moment.seen:
            if seen.kind == "enters":
                inside.add(seen.call)
            elif seen.kind != "event":
                inside.discard(seen.call)
        if len(inside) > settings.capacity:
            return Wrong("capacity", f"{len(inside)} calls run at once, {settings.capacity} may", position)
    return None


_retry: Final = _together(monitors.attempts, neutral, genuine, paced)
_JUDGES: Final[Mapping[str, Judge]] = {
    "breaker": _together(monitors.breaker, neutral),
    "bulkhead": _together(monitors.bulkhead, neutral),
    "retry": _retry,
    "limiter": _together(monitors.limiter, genuine),
    "timeout": _together(timely, genuine),
    "service": _together(monitors.attempts, genuine, inside_bound),
    "cache": _together(monitors.cache, neutral),
}
_KINDS: Final = frozenset(
    {
        *("probes", "open", "closed", "recovery", "lease", "slot", "waits", "altered", "capacity", "idle", "queue"),
        *("order", "attempts", "again", "deadline", "late", "delay", "rate"),
        *("twice", "kept", "stale"),
    }
)


# -- journeys


@dataclass(frozen=True)
class Journey:
    """A script in which all goes as usual."""

    name: str
    pattern: str
    script: Script
    given: Mapping[str, Any] = field(default_factory=dict)


JOURNEYS: Final = (
    Journey(
        "a breaker opens, probes and closes",
        "breaker",
        (
            call(1),
            succeed(1),
            *(call(2), fail(2), call(3), fail(3)),
            call(4),
            advance(OVER),
            call(5),
            call(6),
            succeed(5),
            call(7),
            fail(7),
            call(8),
        ),
    ),
    Journey(
        "a breaker whose first probe fails",
        "breaker",
        (
            *TRIP,
            call(3),
            advance(OVER),
            call(4),
            fail(4),
            call(5),
            advance(UNDER),
            call(6),
            advance(2.0),
            call(7),
            succeed(7),
            call(8),
        ),
    ),
    Journey(
        "a breaker with many calls in flight",
        "breaker",
        (
            call(1, 2, 3, 4, 5),
            fail(1),
            fail(2),
            call(6),
            succeed(3),
            fail(4),
            advance(OVER),
            call(7),
            succeed(5),
            call(8),
            succeed(7),
            call(9),
        ),
    ),
    Journey(
        "a breaker with three probes",
        "breaker",
        (
            *TRIP,
            advance(OVER),
            call(3, 4),
            call(5, 6),
            succeed(3),
            call(7),
            succeed(4),
            call(8),
            succeed(5),
            call(9),
            fail(9),
            call(10),
        ),
        {"permitted_probes": 3, "success_threshold": 3},
    ),
    Journey(
        "a breaker whose probe hangs",
        "breaker",
        (*TRIP, advance(OVER), call(3), call(4), advance(OVER), call(5), fail(3), call(6), succeed(5), call(7)),
    ),
    Journey(
        "a bulkhead is filled and drained",
        "bulkhead",
        (
            call(1),
            call(2),
            call(3),
            call(4),
            call(5),
            succeed(1),
            call(6),
            succeed(2),
            succeed(3),
            fail(4),
            succeed(6),
            call(7),
            call(8),
        ),
    ),
    Journey(
        "a bulkhead is used in turns",
        "bulkhead",
        (call(1), succeed(1), call(2), call(3), succeed(2), call(4), succeed(3), succeed(4), call(5), call(6), call(7)),
    ),
    Journey(
        "a call succeeds with its third try",
        "retry",
        (call(1), fail(1), advance(9.0), fail(1), advance(9.0), succeed(1), call(2), succeed(2)),
    ),
    Journey(
        "two calls try in turns",
        "retry",
        (call(1), call(2), fail(1), fail(2), advance(9.0), fail(2), succeed(1), advance(9.0), fail(2), advance(9.0)),
    ),
    Journey(
        "a limiter is used up and recovers",
        "limiter",
        (
            call(1, 2, 3, 4),
            succeed(1, 2, 3),
            advance(0.5),
            call(5),
            call(6),
            advance(2.0),
            call(7, 8, 9, 10),
            advance(10.0),
            call(11, 12, 13, 14),
        ),
    ),
    Journey(
        "one call is in time and one is late",
        "timeout",
        (
            call(1),
            advance(2.0),
            succeed(1),
            call(2),
            advance(4.0),
            advance(2.0),
            call(3),
            fail(3),
            call(4),
            advance(4.0),
            succeed(4),
        ),
        {"seconds": 5.0},
    ),
    Journey(
        "a cache loads, serves and forgets",
        "cache",
        (
            call(1, 3, 2),
            succeed(1),
            call(5),
            succeed(2),
            call(4),
            advance(4.0),
            call(7),
            advance(2.0),
            call(9, 11, 6),
            succeed(9),
        ),
    ),
    Journey(
        "a cache whose loads fail one after the other",
        "cache",
        (
            call(1, 3, 5, 7),
            fail(1),
            advance(1.0),
            fail(3),
            call(9),
            advance(6.0),
            succeed(5),
            call(11),
            succeed(7),
            call(13),
        ),
    ),
    Journey(
        "all layers together",
        "service",
        (
            call(1),
            call(2),
            fail(1),
            advance(9.0),
            succeed(1),
            succeed(2),
            call(3),
            fail(3),
            advance(9.0),
            fail(3),
            advance(9.0),
            call(4),
            advance(OVER),
            call(5),
            succeed(5),
        ),
        {"attempts": 3, "seconds": 20.0, "capacity": 2},
    ),
)


# -- faults


def _at_every_place(make: Callable[[Script], Iterator[Step]]) -> Callable[[Script], Iterator[Script]]:
    """A fault that is one more step, at every place."""

    def scripts(script: Script) -> Iterator[Script]:
        for step in make(script):
            for place in range(1, len(script) + 1):
                yield (*script[:place], step, *script[place:])

    return scripts


def _each_call(kind: str) -> Callable[[Script], Iterator[Step]]:
    def steps(script: Script) -> Iterator[Step]:
        numbers = dict.fromkeys(n for step in script if step.kind == "call" for n in step.calls)
        for number in numbers:
            yield cancel(number) if kind == "cancel" else end(kind, number)

    return steps


def _hangs(script: Script) -> Iterator[Script]:
    for place, step in enumerate(script):
        if step.kind in {"succeeds", "fails"}:
            yield script[:place] + script[place + 1 :]


def _instead(kind: str) -> Callable[[Script], Iterator[Script]]:
    """A fault by which a call ends otherwise."""

    def scripts(script: Script) -> Iterator[Script]:
        for place, step in enumerate(script):
            if step.kind in {"succeeds", "fails"} and step.kind != kind:
                yield (*script[:place], end(kind, *step.calls), *script[place + 1 :])

    return scripts


FAULTS: Final[Mapping[str, tuple[str, Callable[[Script], Iterator[Script]]]]] = {
    "a caller gives up": ("P4", _at_every_place(_each_call("cancel"))),
    "KeyboardInterrupt": ("P4", _instead("interrupts")),
    "SystemExit": ("P4", _instead("exits")),
    "GeneratorExit": ("P4", _instead("closes")),
    "CancelledError from within": ("P4", _instead("is-cancelled")),
    "an unexpected failure": ("P7", _instead("fails")),
    "an error that does not count": ("P7", _instead("errs")),
    "a call hangs": ("P3", _hangs),
    "the wall clock jumps forward": ("P6", _at_every_place(lambda _: iter([wall(HOUR)]))),
    "the wall clock jumps back": ("P6", _at_every_place(lambda _: iter([wall(-HOUR)]))),
    "the clock ticks coarsely": ("P6", _at_every_place(lambda _: iter([tick(1 / 64)]))),
    "a slow call": ("P8", _at_every_place(lambda _: iter([advance(3.0), advance(40.0)]))),
    "a stampede": ("P1", _at_every_place(lambda _: iter([call(*CROWD)]))),
}


def _scenario(journey: Journey, fault: str) -> Scripted:
    number, make = FAULTS[fault]
    return Scripted(
        number,
        f"{journey.name}: {fault}",
        journey.pattern,
        tuple(make(journey.script)),
        _JUDGES[journey.pattern],
        _KINDS,
        dict(journey.given),
        _NEEDED[journey.pattern],
    )


def _applies(journey: Journey, fault: str) -> bool:
    """Whether a judge can tell right from wrong.

    A service's layers wait for each other, and a crowd drowns a retry's script.
    """
    if fault == "a stampede":
        return journey.pattern in {"breaker", "bulkhead", "limiter", "service", "cache"}
    if journey.pattern == "limiter":
        return fault not in {"a caller gives up", "a call hangs", "the clock ticks coarsely"}
    return True


# -- random journeys


def _wandering(pattern: str, seed: int, steps: int) -> Script:
    """A script of random steps."""
    chance = random.Random(f"{pattern} {seed}")  # noqa: S311  # the same in every run
    made: list[Step] = []
    number = 0
    open_calls: list[int] = []
    kinds = ["succeeds", "fails", "fails", "cancel", *NEUTRAL]
    for _ in range(steps):
        choice = chance.random()
        if choice < 0.4 or not open_calls:
            count = chance.choice((1, 1, 1, 2, 5))
            made.append(call(*range(number + 1, number + count + 1)))
            open_calls += range(number + 1, number + count + 1)
            number += count
        elif choice < 0.8:
            kind = chance.choice(kinds)
            chosen = open_calls[-1] if chance.random() < 0.5 else chance.choice(open_calls)
            made.append(cancel(chosen) if kind == "cancel" else end(kind, chosen))
        elif choice < 0.95:
            made.append(advance(chance.choice((0.5, 3.0, 29.0, 31.0, 70.0))))
        else:
            made.append(wall(chance.choice((HOUR, -HOUR))))
    return tuple(made)


def _random_scenario(pattern: str, name: str, number: str, count: int, **given: Any) -> Scripted:
    scripts = tuple(_wandering(f"{pattern} {name}", seed, 40) for seed in range(count))
    return Scripted(number, name, pattern, scripts, _JUDGES[pattern], _KINDS, given, _NEEDED[pattern])


# -- cancellation at every step of the loop


def _at_every_round(pattern: str, **given: Any) -> Callable[[Bench], Told | None]:
    """A body.

    Of three calls that begin at once, one is cancelled after so many rounds of the loop; then nothing may be missing.
    """

    def body(bench: Bench) -> Told | None:
        for rounds in range(12):
            for victim in (1, 2, 3):
                for ending in ("succeeds", "fails"):
                    told = _cancelled_after(bench, pattern, rounds, victim, ending, given)
                    if told is not None:
                        return told
        return None

    return body


def _cancelled_after(
    bench: Bench, pattern: str, rounds: int, victim: int, ending: str, given: Mapping[str, Any]
) -> Told | None:
    with bench.stage(pattern, needs=_NEEDED[pattern], **given) as (stage, settings):
        for number in (1, 2, 3):
            stage.flights[number] = Flight(number)
            stage.begin(stage.flights[number])
        for turn in range(rounds):
            one_round(bench, stage)
            first = stage.flights[1]
            if turn == 2 and first.inside:
                first.outcome = ending
                stage.open_gate(first)
        if not stage.flights[victim].over:
            stage.give_up(stage.flights[victim])
        stage.rest()
        for _ in range(8):
            stage.take(succeed(1, 2, 3))
            stage.take(advance(50.0))
        left = [n for n in (1, 2, 3) if not stage.flights[n].over and not stage.flights[n].handle.done()]
        moments = stage.moments
        told = Row(f"call {victim} of 3 is cancelled after {rounds} rounds of the loop, call 1 {ending}", 0.0, ())
        if left:
            return Told(f"call {left[0]} never ends", (told, *rows(moments)))
        stage.take(advance(100.0))
        stage.take(call(11, 12, 13))
        inside = sum(stage.flights[number].inside for number in (11, 12, 13))
        wanted = min({"bulkhead": settings.capacity, "service": settings.capacity, "cache": 2}.get(pattern, 3), 3)
        if inside != wanted:
            return Told(f"{inside} calls run afterwards, {wanted} may", (told, *rows(moments)))
    return None


# -- crashes of another kind


def _raises(error: Callable[[], BaseException]) -> Callable[[Bench], Told | None]:
    """A body: the operation ends with an unusual exception, which must reach the caller as it is."""

    def body(bench: Bench) -> Told | None:
        told = (_altered(bench, pattern, error()) for pattern in _NEEDED if pattern in bench.adapter.patterns)
        return next((each for each in told if each is not None), None)

    return body


def _altered(bench: Bench, pattern: str, error: BaseException) -> Told | None:
    def explode() -> None:
        raise error

    with bench.world() as here:
        decorator, _ = bench.decorator(pattern, here, attempts=2)
        caught = _caught(bench, here, decorator, explode)
    if caught is error:
        return None
    row = Row(f"the operation in a {pattern} raises {type(error).__name__}", 0.0, (type(caught).__name__,))
    return Told(f"the caller of a {pattern} gets {type(caught).__name__} instead", (row,))


def _caught(bench: Bench, here: Any, decorator: Any, explode: Callable[[], None]) -> BaseException | None:
    found: list[BaseException] = []
    if bench.mode == "async":

        async def operation() -> None:
            explode()

        async def caller() -> None:
            try:
                await decorator(operation)()
            except BaseException as caught:
                found.append(caught)

        here.create_task(caller())
        here.pass_time(100.0)
    else:

        def plain() -> None:
            explode()

        def work() -> None:
            try:
                decorator(plain)()
            except BaseException as caught:
                found.append(caught)

        here.start("call 1", work)
        here.pass_time(100.0)
    return found[0] if found else None


def _refuses(kind: str, pattern: str) -> Callable[[Bench], Told | None]:
    """A body: a generator function, whose body runs after the guard has gone, is not wrapped."""

    def generator() -> Iterator[int]:
        yield 1

    async def stream() -> AsyncIterator[int]:
        yield 1

    def body(bench: Bench) -> Told | None:
        with bench.world() as here:
            decorator, _ = bench.decorator(pattern, here)
            try:
                decorator({"generator": generator, "stream": stream}[kind])
            except TypeError:
                return None
            return Told("it is wrapped", (Row(f"a {pattern} is put around it", 0.0, ("nothing is raised",)),))

    return body


class Unhashable(Exception):
    """An exception that cannot be put into sets, nor printed."""

    __hash__ = None  # type: ignore[assignment]

    def __str__(self) -> str:
        raise ValueError("cannot be printed")

    def __eq__(self, other: object) -> bool:
        raise ValueError("cannot be compared")


# -- the end of the interpreter

_PRELUDE: Final = """
import asyncio, atexit, sys, threading, time
from pathlib import Path
from certify.conformance.adapters import load
from certify.conformance.settings import Settings
adapter = load(Path(sys.argv[1]))
def made(pattern, asynchronous=False, **given):
    sleep = asyncio.sleep if asynchronous else time.sleep
    return adapter.patterns[pattern](Settings(time, 1, asynchronous=asynchronous, sleep=sleep, **given))
"""
ENDINGS: Final[Mapping[str, str]] = {
    "a daemon thread is in a guarded call": """
entered = threading.Event()
def hang():
    entered.set()
    threading.Event().wait()
guarded = made("breaker")(made("bulkhead")(hang))
threading.Thread(target=guarded, daemon=True).start()
entered.wait()
print("over")
""",
    "a daemon thread waits in the queue": """
entered = threading.Event()
def hang():
    entered.set()
    threading.Event().wait()
guarded = made("bulkhead", capacity=1)(hang)
threading.Thread(target=guarded, daemon=True).start()
entered.wait()
threading.Thread(target=guarded, daemon=True).start()
print("over")
""",
    "a guarded call in an exit handler": """
guarded = made("breaker")(made("bulkhead")(made("retry")(lambda: print("over"))))
atexit.register(guarded)
""",
    "a guarded call when modules are torn down": """
class Late:
    guarded = staticmethod(made("breaker")(made("limiter")(lambda: None)))
    def __del__(self):
        self.guarded()
keep = Late()
sys.modules["keep"] = keep
print("over")
""",
    "a loop is closed with guarded tasks pending": """
async def hang():
    await asyncio.Event().wait()
async def main():
    guarded = made("bulkhead", True)(made("retry", True)(made("breaker", True)(hang)))
    tasks = [asyncio.ensure_future(guarded()) for _ in range(4)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
asyncio.run(main())
print("over")
""",
    "threads end while others are in guarded calls": """
guarded = made("breaker")(made("bulkhead", capacity=50)(lambda: time.sleep(0.01)))
threads = [threading.Thread(target=guarded) for _ in range(20)]
for thread in threads: thread.start()
print("over")
""",
}


def _ending(script: str) -> Callable[[Bench], Told | None]:
    """A body: a process of its own comes to its end cleanly."""

    def body(bench: Bench) -> Told | None:
        command = [sys.executable, "-X", "dev", "-c", _PRELUDE + script, bench.adapter.path]
        done = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
        if done.returncode == 0 and done.stdout.strip() == "over" and not done.stderr.strip():
            return None
        said = tuple((done.stderr or done.stdout).strip().splitlines()[-5:])
        return Told(
            f"the process ends with status {done.returncode}", (Row("the interpreter comes to its end", 0.0, said),)
        )

    return body


# -- all of them

_ERRORS: Final[Mapping[str, Callable[[], BaseException]]] = {
    "MemoryError": MemoryError,
    "RecursionError": RecursionError,
    "an exception that cannot be printed, compared or hashed": Unhashable,
    "an exception group": lambda: ExceptionGroup("several", [ValueError("one")]),
    "a group with KeyboardInterrupt in it": lambda: BaseExceptionGroup("several", [KeyboardInterrupt()]),
    "TimeoutError of the backend's own": TimeoutError,
}


def _listener(_event: object) -> None:
    raise ZeroDivisionError("a listener of ours")


SCENARIOS: Final[tuple[Scenario, ...]] = (
    *(_scenario(journey, fault) for journey in JOURNEYS for fault in FAULTS if _applies(journey, fault)),
    *(
        Scripted(
            "P11",
            f"{journey.name}: listeners that raise",
            journey.pattern,
            (journey.script,),
            _JUDGES[journey.pattern],
            _KINDS,
            {**journey.given, "listener": _listener},
            _NEEDED[journey.pattern] | {"listener"},
        )
        for journey in JOURNEYS
        if journey.pattern in {"breaker", "cache"}
    ),
    _random_scenario("breaker", "forty random steps, one probe", "P1", 30),
    _random_scenario(
        "breaker",
        "forty random steps, three probes",
        "P1",
        30,
        permitted_probes=3,
        success_threshold=2,
        failure_threshold=3,
    ),
    _random_scenario("bulkhead", "forty random steps, two permits", "P5", 30),
    _random_scenario("bulkhead", "forty random steps, one permit, five places", "P5", 30, capacity=1, queue_limit=5),
    _random_scenario("retry", "forty random steps, tries", "P8", 30),
    _random_scenario("timeout", "forty random steps, limits of time", "P8", 40),
    _random_scenario("cache", "forty random steps, two things to load", "P4", 30),
    *(
        Written(
            "P4", f"{pattern}: cancelled at every step of the loop", pattern, _at_every_round(pattern), modes=("async",)
        )
        for pattern in ("breaker", "bulkhead", "retry", "timeout", "service", "cache")
    ),
    Written("P11", "the operation raises StopIteration", "breaker", _raises(StopIteration), modes=("sync",)),
    *(Written("P11", f"the operation raises {name}", "breaker", _raises(error)) for name, error in _ERRORS.items()),
    *(
        Written("P11", f"{pattern}: {what} is refused", pattern, _refuses(kind, pattern))
        for pattern in ("breaker", "bulkhead", "retry", "limiter", "timeout")
        for kind, what in (("generator", "a generator"), ("stream", "an async generator"))
    ),
    *(
        Written("P5", f"at the end of the interpreter {name}", "bulkhead", _ending(script), modes=("sync",))
        for name, script in ENDINGS.items()
    ),
)
