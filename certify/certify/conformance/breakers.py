"""Scenarios of circuit breakers: P1, P2, P3, P4, P6, P7, and what P11 asks of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

from certify.conformance import monitors
from certify.conformance.judging import Bench, Script, Scripted, Told, Written, rows
from certify.conformance.monitors import Judge, Wrong
from certify.conformance.steps import NEUTRAL, Moment, Step, advance, call, cancel, end, fail, succeed, tick, wall

RECOVERY: Final = 30.0
LEASE: Final = 30.0
#: A little more than the pause, and a little less: breakers differ in what happens at the very instant.
OVER: Final = 31.0
UNDER: Final = 29.0
LONG: Final = 3_100.0
HOUR: Final = 3_600.0
CROWD: Final = tuple(range(10, 60))

TRIP: Final[Script] = (call(1), fail(1), call(2), fail(2))
ENDS: Final = ("cancel", *NEUTRAL)


def breaker_scenario(
    number: str,
    name: str,
    scripts: Sequence[Script],
    kinds: Iterable[str],
    essential: Callable[[Step], bool] | None = None,
    needs: Iterable[str] = (),
    **more: Any,
) -> Scripted:
    """A scripted scenario of a breaker that counts failures in a row."""
    judge: Judge = more.pop("judge", monitors.breaker)
    return Scripted(
        number,
        name,
        more.pop("pattern", "breaker"),
        tuple(scripts),
        judge,
        frozenset(kinds),
        given=more.pop("given", {}),
        needs=frozenset(needs),
        essential=essential,
        **more,
    )


def _is(*steps: Step) -> Callable[[Step], bool]:
    return lambda step: step in steps


def _kind(*kinds: str) -> Callable[[Step], bool]:
    return lambda step: step.kind in kinds


def _neutral_scripts(make: Callable[[Callable[[int], Step]], Script]) -> tuple[Script, ...]:
    """A script for each way to end that is neither success nor failure."""
    return tuple(make(lambda n, kind=kind: cancel(n) if kind == "cancel" else end(kind, n)) for kind in ENDS)  # type: ignore[misc]


# -- P7 with a window


def windowed(moments: Sequence[Moment], settings: Any) -> Wrong | None:
    """``closed``: rejected though the window does not ask for it; ``open``: passed though it does. Integers only."""
    return _by_window(moments, settings, lambda window, _now: window[-settings.window :])


def timed(moments: Sequence[Moment], settings: Any) -> Wrong | None:
    """The same with a window of time; no script asks about outcomes that are about to leave it."""
    return _by_window(
        moments, settings, lambda window, now: [each for each in window if now - each[0] < settings.seconds]
    )


_Window = list[tuple[float, bool]]


def _by_window(moments: Sequence[Moment], settings: Any, kept: Callable[[_Window, float], _Window]) -> Wrong | None:
    """What is wrong of a breaker that looks at what is kept of its outcomes, each with when and whether it failed."""
    outcomes: _Window = []
    is_open, now = False, 0.0
    for position, moment in enumerate(moments, 1):
        now += moment.step.value if moment.step.kind == "advance" else 0.0
        window = [failed for _, failed in kept(outcomes, now)]
        for seen in moment.seen:
            failures = sum(window)
            told = f"with {failures} failures among the last {len(window)} outcomes"
            if seen.kind == "rejected" and not is_open:
                return Wrong("closed", f"call {seen.call} is rejected {told}", position)
            if seen.kind == "enters" and is_open:
                return Wrong("open", f"call {seen.call} reaches the backend {told}", position)
        if moment.step.kind in {"succeeds", "fails"} and not is_open:
            outcomes = kept([*outcomes, *[(now, moment.step.kind == "fails")] * len(moment.step.calls)], now)
            window = [failed for _, failed in outcomes]
            enough = len(window) >= settings.minimum_calls
            is_open = enough and sum(window) * 100 >= settings.failure_rate * len(window)
    return None


def _outcomes(text: str) -> Script:
    """A script of calls one after the other, ``f`` for failures and ``s`` for successes, and one more call.

    A dash is two fifths of the time that an outcome counts.
    """
    steps: list[Step] = []
    for number, letter in enumerate(text, 1):
        if letter == "-":
            steps.append(advance(4.0))
        else:
            steps += [call(number), fail(number) if letter == "f" else succeed(number)]
    return (*steps, call(len(text) + 1))


# -- P7 and P11 with listeners


def _events(bench: Bench) -> Told | None:
    with bench.stage("breaker", needs=frozenset({"listener"}), listener="stage") as (stage, _):
        script = (
            call(1),
            call(9),
            *TRIP[2:3],
            fail(1),
            fail(2),
            fail(9),
            call(4),
            advance(OVER),
            call(5),
            succeed(5),
            call(6),
        )
        moments = stage.play(script)
        expected = {"fails": 1, "call": 1, "succeeds": 1}
        total = 0
        for position, moment in enumerate(moments, 1):
            total += sum(seen.kind == "event" for seen in moment.seen)
            if total > sum(expected.values()):
                return Told(f"a listener is told {total} times of 3 changes", rows(moments[:position]))
        if total != 3:
            return Told(f"a listener is told {total} times of 3 changes: opened, half-open, closed", rows(moments))
    return None


class _Broken(Exception):
    """What a listener of ours raises."""


def _raising_listener(bench: Bench) -> Told | None:
    def listener(_event: object) -> None:
        raise _Broken

    script = (*TRIP, call(3), advance(OVER), call(4), succeed(4), call(5), succeed(5))
    with bench.stage("breaker", needs=frozenset({"listener"}), listener=listener) as (stage, settings):
        moments = stage.play(script)
        wrong = monitors.breaker(moments, settings)
    if wrong is None:
        return None
    return Told(f"with a listener that raises, {wrong.sentence}", rows(moments[: wrong.moments]))


def _listener_under_lock(bench: Bench) -> Told | None:
    """A listener waits; meanwhile a call in another thread must get its answer."""
    held: list[bool] = []

    def listener(_event: object) -> None:
        if stage.threads.current() is not None and not held:
            held.append(True)
            while held[0]:
                stage.threads.wait(held, None)

    with bench.stage("breaker", needs=frozenset({"listener"}), listener=listener) as (made, _):
        stage: Any = made
        moments = stage.play((call(1), call(2), fail(1), fail(2), call(3)))
        stuck = [seen for seen in moments[-1].seen if seen.kind == "waits"] if held else []
        if held:
            held[0] = False
            stage.threads.wake(held)
            stage.rest()
        if stuck:
            return Told("call 3 waits for a lock that is held while a listener runs", rows(moments))
    return None


SCENARIOS: Final = (
    # -- P1
    breaker_scenario(
        "P1", "fifty callers at once when the pause is over", [(*TRIP, advance(OVER), call(*CROWD))], {"probes"}
    ),
    breaker_scenario(
        "P1",
        "callers one by one when the pause is over",
        [(*TRIP, advance(OVER), *(call(n) for n in CROWD[:8]))],
        {"probes"},
    ),
    breaker_scenario(
        "P1",
        "callers at once after a probe that failed",
        [(*TRIP, advance(OVER), call(3), fail(3), advance(OVER), call(*CROWD))],
        {"probes"},
    ),
    breaker_scenario(
        "P1",
        "three probes permitted, eight callers",
        [(*TRIP, advance(OVER), call(*range(3, 11))), (*TRIP, advance(OVER), *(call(n) for n in range(3, 11)))],
        {"probes"},
        needs={"permitted_probes"},
        given={"permitted_probes": 3, "success_threshold": 3},
    ),
    breaker_scenario(
        "P1",
        "threads that change between any two instructions",
        [(*TRIP, advance(OVER), call(3, 4))],
        {"probes"},
        switches=2,
        modes=("sync",),
    ),
    # -- P2
    breaker_scenario(
        "P2",
        "a success from before it opened",
        [(call(9), *TRIP, succeed(9), call(3))],
        {"open"},
        _is(succeed(9)),
    ),
    breaker_scenario(
        "P2",
        "a failure from before it opened, in half-open",
        [
            (call(9), *TRIP, advance(OVER), call(3), fail(9), succeed(3), call(4)),
            (call(9), *TRIP, advance(OVER), call(3), fail(9), call(4), succeed(3), call(5)),
        ],
        {"closed", "slot", "probes", "open"},
        _is(fail(9)),
    ),
    breaker_scenario(
        "P2",
        "a success from before it opened, in half-open",
        [(call(9), *TRIP, advance(OVER), call(3), succeed(9), call(4))],
        {"probes", "open"},
        _is(succeed(9)),
    ),
    breaker_scenario(
        "P2",
        "a failure from before it opened, when it has closed again",
        [(call(9), *TRIP, advance(OVER), call(3), succeed(3), fail(9), call(4), fail(4), call(5))],
        {"closed"},
        _is(fail(9)),
    ),
    breaker_scenario(
        "P2",
        "a success from before it opened, when it has closed again",
        [(call(9), *TRIP, advance(OVER), call(3), succeed(3), call(4), fail(4), succeed(9), call(5), fail(5), call(6))],
        {"open"},
        _is(succeed(9)),
    ),
    breaker_scenario(
        "P2",
        "a failure from before it opened does not lengthen the pause",
        [(call(9), *TRIP, advance(UNDER), fail(9), advance(2.0), call(3))],
        {"recovery"},
        _is(fail(9)),
    ),
    breaker_scenario(
        "P2",
        "a hung probe ends after its successor has begun",
        [
            (*TRIP, advance(OVER), call(3), advance(OVER), call(4), ending, call(5))
            for ending in (fail(3), cancel(3), end("interrupts", 3), succeed(3))
        ],
        {"probes", "open", "slot", "closed"},
        lambda step: 3 in step.calls and step.kind != "call",
        needs={"lease"},
    ),
    # -- P3
    breaker_scenario(
        "P3",
        "a probe that hangs",
        [(*TRIP, advance(OVER), call(3), advance(OVER), call(4), advance(LONG), call(5), advance(LONG), call(6))],
        {"lease", "recovery", "slot"},
        _kind("advance"),
    ),
    breaker_scenario(
        "P3",
        "every probe hangs, two permitted",
        [(*TRIP, advance(OVER), call(3, 4), advance(LONG), call(5, 6), advance(LONG), call(7))],
        {"lease", "recovery"},
        _kind("advance"),
        needs={"permitted_probes"},
        given={"permitted_probes": 2, "success_threshold": 2},
    ),
    breaker_scenario(
        "P3",
        "a probe that is cancelled or interrupted",
        [
            (*script, advance(LONG), call(8))
            for script in _neutral_scripts(lambda ends: (*TRIP, advance(OVER), call(3), ends(3)))
        ],
        {"lease", "recovery", "slot"},
        _kind(*ENDS),
    ),
    breaker_scenario(
        "P3",
        "a probe that ends with an error that does not count",
        [(*TRIP, advance(OVER), call(3), end("errs", 3), advance(LONG), call(4))],
        {"lease", "recovery", "slot"},
        _kind("errs"),
    ),
    breaker_scenario(
        "P3",
        "it closes when the backend is well again",
        [(*TRIP, advance(OVER), call(3), succeed(3), call(4), succeed(4), call(5))],
        {"closed", "recovery", "slot"},
    ),
    breaker_scenario(
        "P3",
        "a row of probes that fail, and one that succeeds",
        [
            (
                *TRIP,
                *(step for n in range(3, 9) for step in (advance(OVER), call(n), fail(n))),
                advance(OVER),
                call(20),
                succeed(20),
                call(21),
            )
        ],
        {"recovery", "closed", "slot"},
    ),
    # -- P4
    breaker_scenario(
        "P4",
        "cancelled calls are no failures",
        _neutral_scripts(lambda ends: (call(1), ends(1), call(2), ends(2), call(3))),
        {"closed"},
        _kind(*ENDS),
    ),
    breaker_scenario(
        "P4",
        "a cancelled call is no success",
        _neutral_scripts(lambda ends: (call(1), fail(1), call(2), ends(2), call(3), fail(3), call(4))),
        {"open", "closed"},
        _kind(*ENDS),
    ),
    breaker_scenario(
        "P4",
        "a cancelled probe gives its slot back, and closes nothing",
        (
            *_neutral_scripts(lambda ends: (*TRIP, advance(OVER), call(3), ends(3), call(4))),
            *_neutral_scripts(lambda ends: (*TRIP, advance(OVER), call(3), ends(3), call(4), fail(4), call(5))),
        ),
        {"slot", "probes", "recovery", "open"},
        _kind(*ENDS),
    ),
    breaker_scenario(
        "P4",
        "what ends a call reaches its caller",
        _neutral_scripts(lambda ends: (call(1), ends(1))),
        {"altered"},
        _kind(*ENDS),
    ),
    # -- P6
    breaker_scenario(
        "P6",
        "the wall clock is set forward while it is open",
        [(*TRIP, wall(HOUR), call(3))],
        {"open"},
        _kind("wall"),
    ),
    breaker_scenario(
        "P6",
        "the wall clock is set back while it is open",
        [(*TRIP, wall(-HOUR), advance(OVER), call(3))],
        {"recovery"},
        _kind("wall"),
    ),
    breaker_scenario(
        "P6",
        "the wall clock is set while a probe is in flight",
        [(*TRIP, advance(OVER), call(3), wall(seconds), succeed(3), call(4)) for seconds in (HOUR, -HOUR)],
        {"probes", "closed", "open", "lease", "slot"},
        _kind("wall"),
    ),
    breaker_scenario(
        "P6",
        "the clock ticks coarsely, so that readings are equal",
        [
            (
                tick(1 / 64),
                *TRIP,
                call(3),
                advance(OVER),
                call(4),
                fail(4),
                call(5),
                advance(OVER),
                call(6),
                succeed(6),
                call(7),
            )
        ],
        {"open", "recovery", "closed", "slot"},
        _kind("tick"),
    ),
    # -- P7
    breaker_scenario(
        "P7",
        "it opens with the last failure of the row, and not before",
        [
            (call(1), fail(1), call(2), fail(2), call(3), fail(3), call(4), advance(UNDER), call(5)),
            (
                call(1),
                fail(1),
                call(2),
                fail(2),
                call(3),
                succeed(3),
                call(4),
                fail(4),
                call(5),
                fail(5),
                call(6),
                fail(6),
                call(7),
            ),
            (*(step for n in range(1, 12) for step in (call(n), fail(n) if n % 3 else succeed(n))),),
        ],
        {"open", "closed"},
        given={"failure_threshold": 3},
        needs={"failure_threshold"},
    ),
    breaker_scenario(
        "P7",
        "calls in flight fail one after the other",
        [(call(1, 2, 3, 4, 5), fail(1), call(6), fail(2), call(7), fail(3), call(8))],
        {"open", "closed"},
        given={"failure_threshold": 3},
        needs={"failure_threshold"},
    ),
    breaker_scenario(
        "P7",
        "failures at once in threads that change between any two instructions",
        [(call(1, 2), fail(1, 2), call(3))],
        {"open", "closed"},
        switches=2,
        modes=("sync",),
    ),
    breaker_scenario(
        "P7",
        "a failed probe opens it for a whole pause",
        [(*TRIP, advance(OVER), call(3), fail(3), call(4), advance(UNDER), call(5), advance(2.0), call(6))],
        {"open", "closed", "recovery"},
    ),
    breaker_scenario(
        "P7",
        "it opens exactly when the window says so",
        [
            _outcomes("fff" + "f"),
            _outcomes("sssffff"),
            _outcomes("ssssssffff"),
            _outcomes("fsss" * 6),
            _outcomes("fsfs"),
            _outcomes("ssssssfffff"),
            _outcomes("sssssssssssssffffssf"),
        ],
        {"open", "closed"},
        pattern="windowed",
        judge=windowed,
        needs={"window"},
    ),
    breaker_scenario(
        "P7",
        "29 of 100 is 29 %, and 28 is not",
        [_outcomes("s" * 71 + "f" * 28), _outcomes("s" * 71 + "f" * 29)],
        {"open", "closed"},
        pattern="windowed",
        judge=windowed,
        needs={"window", "failure_rate"},
        given={"window": 100, "failure_rate": 29, "minimum_calls": 100},
    ),
    breaker_scenario(
        "P7",
        "it opens exactly when the last seconds say so",
        [
            _outcomes("ffff"),
            _outcomes("fff---f"),
            _outcomes("fff-f"),
            _outcomes("ssssssss---ffff"),
            _outcomes("ssssssss-ffff"),
        ],
        {"open", "closed"},
        pattern="timed",
        judge=timed,
        needs={"seconds"},
        given={"seconds": 10.0},
    ),
    Written("P7", "listeners are told once of each change", "breaker", _events),
    # -- P11
    breaker_scenario(
        "P11",
        "calls run side by side",
        [(call(1), call(2), succeed(2), succeed(1))],
        {"waits", "altered"},
    ),
    Written("P11", "a listener that raises changes nothing", "breaker", _raising_listener),
    Written("P11", "listeners run without a lock", "breaker", _listener_under_lock, modes=("sync",)),
)
