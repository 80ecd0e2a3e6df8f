"""Scenarios of retries, bulkheads, limits of time and rate, hedges and caches.

P4, P5, P6, P8, P9, P10, P12 and what P11 asks.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Final

from certify.conformance import monitors
from certify.conformance.driving import Plan
from certify.conformance.judging import Bench, Refused, Script, Scripted, Told, Written, rows, since_start
from certify.conformance.monitors import Wrong, tried
from certify.conformance.steps import (
    NEUTRAL,
    Failure,
    Moment,
    Step,
    advance,
    call,
    cancel,
    end,
    fail,
    succeed,
    tick,
    wall,
)
from certify.conformance.verdicts import Row

HOUR: Final = 3_600.0
ENDS: Final = ("cancel", *NEUTRAL)
MANY: Final = 1_100
_USED: Final = frozenset({"attempts"})


def _ending(kind: str, number: int) -> Step:
    return cancel(number) if kind == "cancel" else end(kind, number)


def always(outcome: str, seconds: float = 0.0) -> Plan:
    """A plan by which every try ends alike."""
    return lambda _try: (outcome, seconds)


# -- P4, retries


def once_only(moments: Sequence[Moment], _settings: Any) -> Wrong | None:
    """``again``.

    A call goes on after it ended in a way that is never tried again; ``altered``: its caller does not learn how.
    """
    for position, moment in enumerate(moments, 1):
        for number in moment.step.calls if moment.step.kind in ENDS else ():
            seen = [each for each in moment.seen if each.call == number]
            if any(each.kind == "enters" for each in seen):
                return Wrong("again", f"call {number} is tried again", position)
            if not seen:
                return Wrong("again", f"call {number} goes on", position)
            if not seen[-1].genuine:
                return Wrong("altered", f"the caller of call {number} gets {seen[-1].detail} instead", position)
    return None


_RETRY_ENDS: Final[tuple[Script, ...]] = tuple((call(1), _ending(kind, 1), advance(100.0)) for kind in ENDS)
_PAUSE_ENDS: Final[Script] = (call(1), fail(1), cancel(1), advance(100.0))


# -- P6 outside breakers


def _same_without(
    pattern: str, script: Script, kind: str, needs: frozenset[str], plans: dict[int, Plan] | None = None, **given: Any
) -> Callable[[Bench], Told | None]:
    """A body that plays a script with and without the steps of a kind, and wants the same to be seen."""

    def body(bench: Bench) -> Told | None:
        with bench.stage(pattern, needs=needs, plans=plans, **given) as (stage, _):
            with_it = list(stage.play(script))
        with bench.stage(pattern, needs=needs, plans=plans, **given) as (stage, _):
            without = list(stage.play([step for step in script if step.kind != kind]))
        compared = [moment for moment in with_it if moment.step.kind != kind]
        for moment, other in zip(compared, without, strict=False):
            if [(s.kind, s.call) for s in moment.seen] != [(s.kind, s.call) for s in other.seen]:
                position = with_it.index(moment) + 1
                told = ", ".join(map(str, moment.seen)) or "nothing is seen"
                otherwise = ", ".join(map(str, other.seen)) or "nothing"
                return Told(f"{told}; without the step of the clock: {otherwise}", rows(with_it[:position]))
        return None

    return body


# -- P8


def _stack_gives_up(moments: Sequence[Moment], settings: Any) -> Wrong | None:
    """``rejection``: a call goes on after the breaker has opened under it."""
    for position, moment in enumerate(moments, 1):
        if moment.step.kind != "advance":
            continue
        record = tried(moments[:position])
        if not record.entries:
            continue
        if len(record.entries) > settings.failure_threshold:
            return Wrong(
                "open",
                f"call 1 reaches the backend {len(record.entries)} times, and the breaker does not open",
                position,
            )
        if record.end is None:
            return Wrong("rejection", "call 1 is still trying, though the breaker is open", position)
    return None


def _timely(moments: Sequence[Moment], settings: Any) -> Wrong | None:
    """``late``: the caller of a call waits longer than the time limit."""
    for position, moment in enumerate(moments, 1):
        record = tried(moments[:position])
        if not record.entries:
            continue
        if record.end is None and moment.now > settings.seconds + 1e-6:
            return Wrong(
                "late", f"the caller still waits after {moment.now:g} s, the limit is {settings.seconds:g} s", position
            )
        if record.end is not None and record.end.at > settings.seconds + 1e-6:
            return Wrong(
                "late",
                f"the caller gets its answer after {record.end.at:g} s, the limit is {settings.seconds:g} s",
                position,
            )
    return None


# -- P9


def _delays(moments: Sequence[Moment], settings: Any) -> Wrong | None:
    """``delay``: a pause is negative or longer than the cap; ``attempts``: it ends otherwise than by its tries."""
    record = tried(moments)
    if not record.entries:
        return None
    for index, pause in enumerate(monitors.pauses(moments), 1):
        if not 0 <= pause <= settings.cap + 1e-6:
            return Wrong("delay", f"pause {index} is {pause:g} s, the cap is {settings.cap:g} s", len(moments))
    waited = moments[-1].now - record.entries[-1]
    if record.end is None:
        if waited > settings.cap + 1e-6:
            return Wrong(
                "delay",
                f"pause {len(record.entries)} is longer than {waited:g} s, the cap is {settings.cap:g} s",
                len(moments),
            )
    elif len(record.entries) < settings.attempts:
        return Wrong(
            "delay",
            f"after {len(record.entries)} of {settings.attempts} tries the caller gets {record.end.detail}",
            len(moments),
        )
    return None


def _asked(moments: Sequence[Moment], settings: Any) -> Wrong | None:
    """``asked``: a pause is shorter than the backend asked for, or ends after the deadline."""
    for index, pause in enumerate(monitors.pauses(moments), 1):
        if pause < 20.0 - 1e-6:
            return Wrong("asked", f"pause {index} is {pause:g} s, the backend asked for 20 s", len(moments))
    return monitors.deadline(moments, settings) if settings.deadline is not None else None


def _jitter(bench: Bench) -> Told | None:
    plans = {n: always("fails") for n in range(1, 9)}
    seen: list[float] = []
    with bench.stage("retry", needs=_USED | {"cap"}, plans=plans, attempts=12) as (stage, settings):
        moments = stage.play([step for n in plans for step in (call(n), advance(200.0))])
        for number in plans:
            seen += monitors.pauses(moments, number)[6:]
    if seen and max(seen) - min(seen) <= 1e-9:
        shown = (
            Row(
                "8 calls, of which every try fails",
                round(moments[-1].now, 3),
                (f"each pause from the seventh on is {seen[0]:g} s",),
            ),
        )
        return Told(f"{len(seen)} pauses at the cap of {settings.cap:g} s are all {seen[0]:g} s: no jitter", shown)
    return None


# -- P10


def _budget(moments: Sequence[Moment], settings: Any) -> Wrong | None:
    """``budget``: retries pass reserve + ratio × calls."""
    calls = retries = 0
    tries: dict[int, int] = {}
    for position, moment in enumerate(moments, 1):
        calls += len(moment.step.calls) if moment.step.kind == "call" else 0
        for seen in moment.seen:
            if seen.kind == "enters":
                tries[seen.call] = tries.get(seen.call, 0) + 1
                retries += tries[seen.call] > 1
        if retries * 100 > settings.reserve * 100 + settings.ratio * calls:
            return Wrong(
                "budget",
                f"{retries} retries for {calls} calls, {settings.reserve} + {settings.ratio} % are allowed",
                position,
            )
    return None


# -- P11


def _own_tries(moments: Sequence[Moment], settings: Any) -> Wrong | None:
    """``shared``: a call has fewer tries than it may, because another had some; ``waits``; ``altered``."""
    for position, moment in enumerate(moments, 1):
        for seen in moment.seen:
            if seen.kind == "waits":
                return Wrong("waits", f"call {seen.call} waits while another runs", position)
    wrong = monitors.attempts(moments, settings)
    if wrong is not None:
        return Wrong("shared", wrong.sentence, wrong.moments)
    for number in monitors.calls(moments):
        record = tried(moments, number)
        if record.end is not None and record.end.kind != "returns" and len(record.entries) < settings.attempts:
            return Wrong(
                "shared",
                f"call {number} gives up after {len(record.entries)} of {settings.attempts} tries",
                len(moments),
            )
    return None


_FAIL_TWICE: Final[tuple[Step, ...]] = (
    call(1),
    call(2),
    *(s for _ in range(3) for s in (fail(1), fail(2), advance(50.0))),
)


def _unprotected(kind: str) -> Callable[[Bench], Told | None]:
    """A body that guards a function of a kind and lets it fail: the breaker must open, or refuse to wrap it."""

    def body(bench: Bench) -> Told | None:
        with bench.world() as here:
            runs: list[int] = []
            functions = _functions(runs)
            try:
                decorator, settings = bench.decorator("breaker", here)
                guarded = decorator(functions[kind])
            except (Refused, TypeError, ValueError, NotImplementedError, RuntimeError):
                return None
            lines: list[Row] = []
            for number in range(1, settings.failure_threshold + 2):
                before = len(runs)
                ended = _exhaust(kind, guarded, here)
                seen = ("it reaches the backend",) if len(runs) > before else ()
                lines.append(
                    Row(
                        f"call {number} of a function that is {_ARTICLES[kind]}",
                        since_start(bench.clock),
                        (*seen, f"it {ended}"),
                    )
                )
                if ended == "is refused":
                    return None
            if len(runs) > settings.failure_threshold:
                return Told(
                    f"{_ARTICLES[kind]} is wrapped, not protected: {len(runs)} failures in a row do not open it",
                    tuple(lines),
                )
            return None

    return body


_ARTICLES: Final = {"coroutine": "`async def`", "generator": "a generator", "stream": "an async generator"}


def _functions(runs: list[int]) -> dict[str, Callable[..., Any]]:
    async def coroutine() -> None:
        runs.append(1)
        raise Failure("the backend failed")

    def generator() -> Any:
        runs.append(1)
        yield 1
        raise Failure("the backend failed")

    async def stream() -> Any:
        runs.append(1)
        yield 1
        raise Failure("the backend failed")

    return {"coroutine": coroutine, "generator": generator, "stream": stream}


def _exhaust(kind: str, guarded: Callable[..., Any], here: Any) -> str:
    """Call it as a user does, to its end; says how it ended."""
    try:
        made = guarded()
        if kind == "generator" and hasattr(made, "__iter__"):
            list(made)
        elif hasattr(made, "__await__") or hasattr(made, "__aiter__"):
            _await(made, here)
    except Failure:
        return "fails"
    except TypeError:
        return "is refused"
    except Exception as error:
        return f"raises {type(error).__name__}"
    return "returns"


def _await(made: Any, here: Any) -> None:
    async def consume() -> None:
        if hasattr(made, "__aiter__"):
            async for _ in made:
                pass
        else:
            result = await made
            if hasattr(result, "__aiter__"):
                async for _ in result:
                    pass

    if hasattr(here, "create_task"):
        task = here.create_task(consume())
        here.settle()
        task.result()
    else:
        loop = asyncio.new_event_loop()
        try:
            loop.run_until_complete(consume())
        finally:
            loop.close()


# -- P5: work that goes on, and permits that come and go


def _zombies(bench: Bench) -> Told | None:
    """A bulkhead and a time limit together: what is timed out may run on, and still counts."""
    with bench.stage("limited", needs=frozenset({"seconds", "capacity"}), capacity=1, seconds=5.0) as (stage, _):
        moments = stage.play((call(1), advance(6.0), call(2)))
        if stage.running > 1:
            return Told("2 calls run at once, 1 may: the first was timed out, and runs on", rows(moments))
    return None


def bulkhead_scenario(
    name: str,
    scripts: Sequence[Script],
    kinds: set[str],
    essential: Callable[[Step], bool] | None = None,
    *,
    needs: frozenset[str] = frozenset({"capacity"}),
    **given: Any,
) -> Scripted:
    """A scripted scenario of a bulkhead of two permits and two places."""
    return Scripted(
        "P5", name, "bulkhead", tuple(scripts), monitors.bulkhead, frozenset(kinds), given, needs, essential
    )


_FULL: Final[Script] = (call(1), call(2), call(3), call(4))
_QUEUE: Final = frozenset({"capacity", "queue_limit"})
_REUSE: Final[Script] = (call(11), call(12), call(13), call(14), call(15))


def _drained(*leave: Step) -> Script:
    """Fill it, let some leave in a way, let the rest end; then it must take as many as at first."""
    rest = tuple(succeed(n) for n in (1, 2, 3, 4, 1, 2, 3, 4))
    return (*_FULL, *leave, *rest, *_REUSE)


def _race(bench: Bench) -> Told | None:
    """A waiting caller is cancelled in the very tick in which its permit is handed on."""
    for first in ("end", "cancel"):
        with bench.stage("bulkhead", needs=_QUEUE, capacity=1, queue_limit=2) as (stage, _):
            stage.play((call(1), call(2), call(3)))
            flights = stage.flights
            if not flights[1].inside or flights[2].over:
                return None

            flights[1].outcome = "succeeds"
            if first == "end":
                stage.open_gate(flights[1])
                one_round(bench, stage)
                stage.give_up(flights[2])
            else:
                stage.give_up(flights[2])
                stage.open_gate(flights[1])
            stage.rest()
            told = Row(
                "call 1 succeeds, and call 2 is cancelled in the same moment",
                since_start(bench.clock),
                (f"call 3 {'reaches the backend' if flights[3].inside else 'waits'}",),
            )
            if not flights[3].inside:
                if flights[2].inside:
                    return None
                return Told(
                    "call 3 waits, though the permit is free: the wake-up is lost", (*rows(stage.moments), told)
                )
    return None


def one_round(bench: Bench, stage: Any) -> None:
    """Let the holder end and hand the permit on, but not the one who gets it run."""
    if bench.mode == "async":
        stage.loop.call_soon(stage.loop.stop)
        stage.loop.run_forever()
    else:
        stage.threads.step()


# -- P12


def _bursts(*pauses: float) -> Script:
    """Arrivals with pauses between them, four calls at a time."""
    steps: list[Step] = []
    for index, pause in enumerate(pauses):
        steps += [call(*range(index * 4 + 1, index * 4 + 5)), advance(pause)]
    return tuple(steps)


def _losers(bench: Bench) -> Told | None:
    """The first try hangs, the hedge answers; the caller must not have its answer before the loser is cleaned up."""
    log: list[str] = []
    with bench.world() as here:
        decorator, settings = bench.decorator("hedge", here, frozenset({"seconds"}), seconds=1.0, idempotent=True)
        running: list[int] = []

        async def operation() -> str:
            number = len(log) + 1
            log.append(f"try {number}")
            running.append(number)
            try:
                await asyncio.sleep(100.0 if number == 1 else 1.0)
            finally:
                await asyncio.sleep(2.0)
                running.remove(number)
            return f"answer of try {number}"

        guarded = decorator(operation)
        left: list[int] = []

        async def caller() -> str:
            answer: str = await guarded()
            left.extend(running)
            return answer

        task = here.create_task(caller())
        here.pass_time(50.0)
        trace = (
            Row(
                "call 1 arrives; its first try hangs, its second answers",
                since_start(bench.clock),
                (*log, *(("it returns",) if task.done() else ())),
            ),
        )
        if len(log) < 2:
            return Told(
                f"no second try is made within 50 s, though one is to follow after {settings.seconds:g} s", trace
            )
        if not task.done():
            return Told("the caller waits for the slow try, though the second one has answered", trace)
        if left:
            return Told(f"the caller has its answer, and try {left[0]} still runs", trace)
    return None


def _no_repeats(pattern: str) -> Callable[[Bench], Told | None]:
    """A body: an operation that may not be repeated is tried once, or not wrapped at all."""

    def body(bench: Bench) -> Told | None:
        try:
            with bench.stage(
                pattern,
                needs=frozenset({"idempotent"}),
                idempotent=False,
                plans={
                    1: lambda _try: ("fails" if pattern == "retry" else "succeeds", 0.0 if pattern == "retry" else 50.0)
                },
            ) as (stage, _):
                moments = stage.play((call(1), advance(100.0)))
        except Refused:
            return None
        count = len(tried(moments).entries)
        return (
            Told(f"an operation that may not be repeated is tried {count} times", rows(moments)) if count > 1 else None
        )

    return body


def _forgets_in_time(bench: Bench) -> Told | None:
    """A cache keeps an answer for its time by the monotonic clock."""
    runs: list[int] = []
    with bench.world() as here:
        decorator, _ = bench.decorator("cache", here, frozenset({"seconds"}), seconds=5.0)
        if bench.mode == "async":

            async def coroutine(key: int) -> int:
                runs.append(key)
                return key

            wrapped = decorator(coroutine)

            def ask() -> None:
                here.create_task(wrapped(1))
                here.settle()
        else:

            def plain(key: int) -> int:
                runs.append(key)
                return key

            wrapped = decorator(plain)

            def ask() -> None:
                wrapped(1)

        trace: list[Row] = []
        for step, expected in ((None, 1), (advance(3.0), 1), (wall(HOUR), 1), (wall(-2 * HOUR), 1), (advance(3.0), 2)):
            if step is not None:
                here.pass_time(step.value) if step.kind == "advance" else bench.clock.step_wall(step.value)
            before = len(runs)
            ask()
            trace.append(
                Row(
                    f"{step}; it is asked" if step else "it is asked",
                    since_start(bench.clock),
                    ("from the backend" if len(runs) > before else "from memory",),
                )
            )
            if len(runs) != expected:
                return Told(
                    "an answer is kept too long" if len(runs) < expected else "an answer is forgotten early",
                    tuple(trace),
                )
    return None


def _endings(bench: Bench, pattern: str, operation: Callable[[], str], times: int, **given: Any) -> list[str]:
    """How calls of an operation through one guard end, one after the other."""
    ends: list[str] = []
    with bench.world() as here:
        decorator, _ = bench.decorator(pattern, here, frozenset(given), **given)

        async def coroutine() -> str:
            return operation()

        guarded = decorator(coroutine if bench.mode == "async" else operation)

        async def ask_async() -> None:
            try:
                ends.append(await guarded())
            except BaseException as error:
                ends.append(type(error).__name__)

        for _ in range(times):
            if bench.mode == "async":
                here.create_task(ask_async())
                here.settle()
                continue
            try:
                ends.append(guarded())
            except BaseException as error:
                ends.append(type(error).__name__)
    return ends


_FATAL: Final = (asyncio.CancelledError, KeyboardInterrupt, SystemExit, GeneratorExit)


def _nothing_is_kept_of(bench: Bench) -> Told | None:
    """A load that fails or is cancelled is not kept, and whoever asks next has its answer."""
    for failure in (Failure, *_FATAL):
        runs: list[str] = []

        def operation(failure: type[BaseException] = failure, runs: list[str] = runs) -> str:
            runs.append("load")
            if len(runs) == 1:
                raise failure
            return "an answer"

        ends = _endings(bench, "cache", operation, 3, seconds=5.0)
        if ends != [failure.__name__, "an answer", "an answer"] or len(runs) != 2:
            trace = tuple(Row("it is asked", 0.0, (end,)) for end in ends)
            return Told(f"a load ends with {failure.__name__}; of three calls, {len(runs)} load", trace)
    return None


def _no_second_best(bench: Bench) -> Told | None:
    """What is no failure is not answered second best; what is, is."""
    for failure in (Failure, *_FATAL):

        def operation(failure: type[BaseException] = failure) -> str:
            raise failure

        ends = _endings(bench, "fallback", operation, 1, second=lambda: "second best")
        if ends != ["second best" if failure is Failure else failure.__name__]:
            return Told(f"a call that ends with {failure.__name__} ends so", (Row("call", 0.0, tuple(ends)),))
    return None


def retry_scenario(
    number: str,
    name: str,
    scripts: Sequence[Script],
    judge: monitors.Judge,
    kinds: set[str],
    essential: Callable[[Step], bool] | None = None,
    needs: frozenset[str] = _USED,
    **more: Any,
) -> Scripted:
    """A scripted scenario of a retry."""
    plans, asked = more.pop("plans", None), more.pop("retry_after", None)
    return Scripted(
        number,
        name,
        more.pop("pattern", "retry"),
        tuple(scripts),
        judge,
        frozenset(kinds),
        more,
        needs,
        essential,
        plans,
        asked,
    )


def _ends(step: Step) -> bool:
    return step.kind in ENDS


SCENARIOS: Final[tuple[Scripted | Written, ...]] = (
    # -- P4
    retry_scenario(
        "P4",
        "what ends a try in other ways than failure is not tried again",
        _RETRY_ENDS,
        once_only,
        {"again", "altered"},
        _ends,
        failure=Exception,
    ),
    retry_scenario(
        "P4",
        "nor is it when every exception is to be tried again",
        _RETRY_ENDS,
        once_only,
        {"again", "altered"},
        _ends,
        failure=BaseException,
    ),
    retry_scenario(
        "P4",
        "a caller who gives up in a pause",
        [_PAUSE_ENDS],
        once_only,
        {"again", "altered"},
        _ends,
        failure=Exception,
    ),
    # -- P5
    bulkhead_scenario(
        "no more run than may",
        [(call(*range(1, 9)),), tuple(call(n) for n in range(1, 9))],
        {"capacity", "queue", "idle"},
    ),
    bulkhead_scenario(
        "permits come back, however a call ends",
        [_drained(*(end(kind, 1), end(kind, 2))) for kind in ("fails", "errs", *NEUTRAL)],
        {"capacity", "idle", "queue"},
    ),
    bulkhead_scenario(
        "callers who give up while they run",
        [_drained(cancel(1), cancel(2))],
        {"capacity", "idle", "queue", "altered"},
        lambda s: s.kind == "cancel",
    ),
    bulkhead_scenario(
        "callers who give up in the queue",
        [_drained(cancel(3)), _drained(cancel(3), cancel(4)), (*_FULL, cancel(3), call(5), call(6))],
        {"capacity", "idle", "queue", "order"},
        lambda s: s.kind == "cancel",
        needs=_QUEUE,
    ),
    bulkhead_scenario(
        "first come, first served",
        [(*_FULL, succeed(1), succeed(2), call(5), call(6), succeed(3), succeed(4))],
        {"order", "idle"},
        needs=_QUEUE,
    ),
    bulkhead_scenario(
        "a newcomer does not overtake the queue",
        [(call(1), call(2), call(3), succeed(1), call(4), succeed(2), call(5))],
        {"order", "idle", "capacity"},
        needs=_QUEUE,
    ),
    Scripted(
        "P5",
        "threads that change between any two instructions",
        "bulkhead",
        (
            (call(1, 2, 3), succeed(1, 2, 3), succeed(1, 2, 3), call(4)),
            (call(1), Step("succeeds", (1,), also=(call(2),)), succeed(2), call(3)),
            (call(1), call(2), Step("succeeds", (1,), also=(call(3),)), succeed(2, 3), succeed(2, 3), call(4)),
        ),
        monitors.permits,
        frozenset({"capacity", "idle", "queue"}),
        {"capacity": 1, "queue_limit": 1},
        _QUEUE,
        modes=("sync",),
        switches=2,
    ),
    Written("P5", "who gives up just as the permit comes", "bulkhead", _race),
    Written("P5", "work that is timed out and runs on", "limited", _zombies),
    # -- P6
    Written(
        "P6",
        "the wall clock is set in a pause before the deadline",
        "retry",
        _same_without(
            "retry",
            (call(1), wall(HOUR), advance(3.0), wall(-2 * HOUR), advance(3.0), advance(20.0)),
            "wall",
            frozenset({"deadline"}),
            {1: always("fails")},
            deadline=8.0,
            attempts=10,
            base=1.0,
            cap=1.0,
        ),
    ),
    Written(
        "P6",
        "the wall clock is set while a limiter counts",
        "limiter",
        _same_without(
            "limiter",
            (
                call(1, 2, 3, 4),
                wall(HOUR),
                call(5, 6, 7, 8),
                advance(1.0),
                call(9, 10, 11, 12),
                wall(-2 * HOUR),
                advance(1.0),
                call(13, 14, 15),
            ),
            "wall",
            frozenset({"rate", "burst"}),
        ),
    ),
    Written(
        "P6",
        "the wall clock is set while a call is limited in time",
        "timeout",
        _same_without(
            "timeout",
            (call(1), advance(1.0), wall(HOUR), advance(1.0), wall(-2 * HOUR), advance(10.0)),
            "wall",
            frozenset({"seconds"}),
            {1: always("succeeds", 100.0)},
        ),
    ),
    Written("P6", "the wall clock is set while an answer is kept", "cache", _forgets_in_time),
    Written("P4", "a load that fails or is cancelled leaves nothing", "cache", _nothing_is_kept_of),
    Written("P4", "what ends a call otherwise is not answered second best", "fallback", _no_second_best),
    # -- P8
    retry_scenario(
        "P8",
        "a backend that always fails",
        [(call(1), *(advance(50.0) for _ in range(6)))],
        monitors.attempts,
        {"attempts"},
        plans={1: always("fails")},
        attempts=3,
    ),
    retry_scenario(
        "P8",
        "no try begins and no pause ends after the deadline",
        [(call(1), *(advance(1.0) for _ in range(40)))],
        monitors.deadline,
        {"deadline"},
        needs=frozenset({"deadline"}),
        plans={1: always("fails")},
        deadline=10.0,
        attempts=50,
        base=3.0,
        cap=4.0,
    ),
    retry_scenario(
        "P8",
        "slow tries before the deadline",
        [(call(1), *(advance(1.0) for _ in range(60)))],
        monitors.deadline,
        {"deadline"},
        needs=frozenset({"deadline"}),
        plans={1: always("fails", 4.0)},
        deadline=10.0,
        attempts=50,
        base=3.0,
        cap=4.0,
    ),
    retry_scenario(
        "P8",
        "what the open breaker rejects is not tried again",
        [(call(1), advance(10.0), advance(10.0))],
        _stack_gives_up,
        {"rejection"},
        pattern="stack",
        plans={1: always("fails")},
        attempts=6,
        failure_threshold=1,
        recovery_time=1_000.0,
        base=4.0,
        cap=4.0,
        failure=Exception,
    ),
    Scripted(
        "P8",
        "the caller has an answer when the time is up",
        "timeout",
        ((call(1), advance(4.0), advance(2.0), advance(100.0)),),
        _timely,
        frozenset({"late"}),
        {"seconds": 5.0},
        frozenset({"seconds"}),
        plans={1: always("succeeds", 50.0)},
    ),
    # -- P9
    retry_scenario(
        "P9",
        "pauses of 1,100 tries keep to the cap",
        [(call(1), advance(1e6))],
        _delays,
        {"delay"},
        needs=frozenset({"attempts", "cap"}),
        plans={1: always("fails")},
        attempts=MANY,
    ),
    Written("P9", "there is jitter at the cap", "retry", _jitter),
    retry_scenario(
        "P9",
        "Retry-After is honoured",
        [(call(1), advance(200.0))],
        _asked,
        {"asked"},
        needs=frozenset({"retry_after"}),
        plans={1: always("fails")},
        retry_after=lambda _try: 20.0,
    ),
    retry_scenario(
        "P9",
        "Retry-After past the deadline ends the call",
        [(call(1), *(advance(10.0) for _ in range(12)))],
        _asked,
        {"asked", "deadline"},
        needs=frozenset({"retry_after", "deadline"}),
        plans={1: always("fails")},
        retry_after=lambda _try: 20.0,
        deadline=50.0,
        attempts=9,
    ),
    # -- P10
    retry_scenario(
        "P10",
        "a storm of failures spends the budget and no more",
        [tuple(s for n in range(1, 41) for s in (call(n), advance(100.0)))],
        _budget,
        {"budget"},
        needs=frozenset({"reserve", "ratio"}),
        plans={n: always("fails") for n in range(1, 41)},
        reserve=3,
        ratio=10,
        attempts=4,
    ),
    retry_scenario(
        "P10",
        "a storm of callers at once spends the budget and no more",
        [(call(*range(1, 41)), advance(100.0), advance(100.0))],
        _budget,
        {"budget"},
        needs=frozenset({"reserve", "ratio"}),
        plans={n: always("fails") for n in range(1, 41)},
        reserve=3,
        ratio=10,
        attempts=4,
    ),
    retry_scenario(
        "P10",
        "one request reaches the backend no more often than its tries",
        [tuple(s for n in range(1, 5) for s in (call(n), advance(200.0)))],
        monitors.attempts,
        {"attempts"},
        pattern="stack",
        plans={n: always("fails") for n in range(1, 5)},
        attempts=3,
        failure_threshold=100,
    ),
    # -- P11
    retry_scenario("P11", "two calls have their own tries", [_FAIL_TWICE], _own_tries, {"shared", "waits"}, attempts=3),
    Written("P11", "`async def` is protected, or refused", "breaker", _unprotected("coroutine")),
    Written("P11", "generators are protected, or refused", "breaker", _unprotected("generator")),
    Written("P11", "async generators are protected, or refused", "breaker", _unprotected("stream")),
    # -- P12
    Scripted(
        "P12",
        "no interval lets more pass than burst and rate",
        "limiter",
        (
            _bursts(0.0, 0.5, 0.5, 0.5, 2.0, 0.0, 0.25, 0.25, 0.3, 0.7, 5.0, 0.0, 0.1),
            tuple(s for n in range(1, 80) for s in (call(n), advance(0.1))),
            (tick(1 / 64), *(s for n in range(1, 60) for s in (call(n), advance(0.15)))),
        ),
        monitors.limiter,
        frozenset({"rate"}),
        {},
        frozenset({"rate", "burst"}),
    ),
    Scripted(
        "P12",
        "a limiter in threads that change between any two instructions",
        "limiter",
        ((call(1, 2, 3),),),
        monitors.limiter,
        frozenset({"rate"}),
        {"burst": 1},
        frozenset({"rate", "burst"}),
        modes=("sync",),
        switches=2,
    ),
    Written("P12", "the loser of a hedge is cancelled and awaited", "hedge", _losers, modes=("async",)),
    Written("P12", "what may not be repeated is not tried again", "retry", _no_repeats("retry")),
    Written("P12", "what may not be repeated is not hedged", "hedge", _no_repeats("hedge"), modes=("async",)),
)
