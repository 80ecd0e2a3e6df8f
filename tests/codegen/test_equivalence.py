"""Generated code and the interpreter of its specification, side by side.

Time is the interpreter's: a nanosecond of the code is a unit of the specification. Tasks are stepped by hand.
"""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from functools import partial
from types import ModuleType
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from certify_codegen.projection import Projection
from certify_spec.evaluate import World
from certify_spec.interpreter import Event, Interpreter
from certify_spec.values import Element, Table, Tagged, Value
from codegen_support import generated, import_package, names, specification, write_package

NANO = 1e-9
SETTINGS = settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
CALLS = [Element("Call", index) for index in range(4)]
#: Which key each value of a cache is right for: two of each.
OF = {"of": Table({(Element("Value", index),): Element("Key", index % 2) for index in range(4)})}


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> ModuleType:
    """The generated package."""
    folder = tmp_path_factory.mktemp("generated") / "equivalence_patterns"
    write_package(folder)
    return import_package(folder)


class Twin:
    """An interpreter of a specification with its state, and the clock that both sides read."""

    def __init__(self, pattern: str, **parameters: int) -> None:
        sizes = dict.fromkeys(specification(pattern).sorts, len(CALLS))
        self.interpreter = Interpreter(specification(pattern), World(sizes, {**OF, **parameters}, {}))
        self.state = next(self.interpreter.initial_states())

    def clock(self) -> int:
        return int(self.state["now"])

    def can(self, action: str, *arguments: Value) -> bool:
        return self.interpreter.can(self.state, Event(action, arguments))

    def take(self, action: str, *arguments: Value) -> None:
        assert self.can(action, *arguments), (action, arguments, dict(self.state))
        self.state = self.interpreter.take(self.state, Event(action, arguments))
        assert self.interpreter.broken_in(self.state) == ()

    def tick(self, by: int) -> None:
        if by:
            self.take("tick", by)

    def case(self, variable: str) -> str:
        value = self.state[variable]
        assert isinstance(value, Tagged)
        return value.case


class Pause:
    """What a stepped coroutine awaits."""

    def __await__(self) -> Generator[None, object, object]:
        return (yield)


# --- every machine, transition by transition -------------------------------------------------------------------------


def python_value(value: Value, module: ModuleType, calls: dict[Element, Any]) -> object:
    """A value of the interpreter as generated code holds it."""
    match value:
        case Tagged(case, None) if case != "none":
            return value.case
        case Tagged("none", None):
            return None
        case Tagged("some", content):
            assert content is not None
            return python_value(content, module, calls)
        case Element():
            return calls[value]
        case _:
            return value


def assert_same(
    projection: Projection, machine: Any, elements: dict[Element, Any], twin: Twin, module: ModuleType
) -> None:
    """That both sides hold the same."""
    for variable in projection.shared:
        held = getattr(machine, f"_{variable.name}")
        held = len(held) if variable.name in projection.representation.tokens else held
        if variable.name in projection.representation.rings:
            ring = twin.state[variable.name]
            assert isinstance(ring, Table)
            assert held == [ring[place,] for place in range(len(held))], variable.name
            continue
        assert held == python_value(twin.state[variable.name], module, elements), variable.name
    for variable in projection.fields:
        table = twin.state[variable.name]
        assert isinstance(table, Table)
        for element, held in elements.items():
            if hasattr(held, variable.name):  # what begins with nothing in particular is not there before it is written
                wanted = python_value(table[element,], module, elements)
                assert getattr(held, variable.name) == wanted, variable.name


PARAMETERS = {
    "circuit_breaker": {
        "failure_threshold": 2, "permitted_probes": 2, "success_threshold": 2, "recovery_time": 3, "lease": 2,
    },
    "count_window_breaker": {
        "window": 3, "minimum": 2, "failure_rate": 60, "slow_rate": 70, "slow_call": 2,
        "permitted_probes": 2, "success_threshold": 2, "recovery_time": 3, "lease": 2,
    },
    "time_window_breaker": {
        "buckets": 2, "width": 2, "minimum": 2, "failure_rate": 60, "slow_rate": 70, "slow_call": 3,
        "permitted_probes": 2, "success_threshold": 2, "recovery_time": 3, "lease": 2,
    },
    "retry": {"attempts": 3, "base": 2, "cap": 5, "deadline": 9, "reserve": 1, "ratio": 50},
    "bulkhead": {"capacity": 2, "queue_limit": 1},
    "timeout": {},
    "fallback": {},
    "hedge": {"hedges": 1, "delay": 2, "reserve": 1, "ratio": 50},
    "cache": {"ttl": 2, "capacity": 1},
    "token_bucket": {"burst": 2, "interval": 2},
}  # fmt: skip


@pytest.mark.parametrize("pattern", [name for name in names() if name in PARAMETERS])
def test_machine_and_interpreter_take_the_same_steps(pattern: str, package: ModuleType) -> None:
    """P1–P12: whatever can happen in one can happen in the other, and leads to the same state."""
    projection = generated(pattern).projection
    module = __import__(f"{package.__name__}.{pattern}", fromlist=["_Machine"])
    actions = {action.name: action for action in projection.actions}

    @SETTINGS
    @given(st.data())
    def run(data: st.DataObject) -> None:
        twin = Twin(pattern, **PARAMETERS[pattern])
        machine = object.__new__(module._Machine)
        machine._start(**PARAMETERS[pattern])
        calls: dict[Element, Any] = {}
        for sort in sorted(projection.sorts):  # keys before the values that are right for them
            owned = [name for name, (owner, _) in projection.attributes.items() if owner == sort]
            for element in (Element(sort, index) for index in range(3)):
                more = [calls[OF[name][element,]] for name in owned]
                more += [element] if sort in projection.representation.carrying else []
                calls[element] = getattr(module, f"_{sort}")(*more)
        for _ in range(data.draw(st.integers(1, 15), "steps")):
            if projection.clock and data.draw(st.integers(0, 3), "time") == 0:
                twin.tick(data.draw(st.integers(1, 3), "by"))
                continue
            action = actions[data.draw(st.sampled_from(sorted(actions)), "action")]
            given_: list[Value] = []
            for _name, kind in action.parameters:
                if str(kind) in projection.sorts:
                    given_.append(data.draw(st.sampled_from([e for e in calls if e.sort == str(kind)]), "element"))
                elif str(kind) == "Bool":
                    given_.append(data.draw(st.booleans(), "bool"))
                elif str(kind) == "Answer":
                    given_.append(
                        Tagged(data.draw(st.sampled_from([each.value for each in module.Answer][1:]), "answer"))
                    )
                else:
                    given_.append(data.draw(st.integers(0, 5), "number"))
            possible = twin.can(action.name, *given_)
            granted = projection.representation.granted.get(action.name)
            arguments = [
                module.Answer(value.case) if isinstance(value, Tagged) else python_value(value, module, calls)
                for value in given_
            ]
            now = {"now": twin.clock()} if projection.clock else {}
            can = getattr(machine, f"_can_{action.name}")(
                *arguments, **(now if projection.reads_clock(action, guard=True) else {})
            )
            assert possible == can if granted is None else can or not possible
            if not possible:
                continue
            twin.take(action.name, *given_)
            if projection.updates(action):
                for call in calls.values():
                    if hasattr(call, "children"):  # the list that the calling convention keeps
                        call.children = [d for d in calls.values() if d.parent is call or d is arguments[-2:][0]]
                getattr(machine, f"_do_{action.name}")(
                    *arguments, **(now if projection.reads_clock(action, guard=False) else {})
                )
            assert_same(projection, machine, calls, twin, module)

    run()


# --- the patterns as people use them ---------------------------------------------------------------------------------


@pytest.mark.parametrize("through", ["tasks", "guards"])
def test_breaker_as_specified(through: str, package: ModuleType) -> None:
    """P1, P2, P3, P4, P7: any interleaving of calls, failures, cancellations and time leads both to the same state."""
    parameters = PARAMETERS["circuit_breaker"]

    @SETTINGS
    @given(st.lists(st.tuples(st.integers(0, 3), st.sampled_from(["ok", "fail", "cancel", "time"])), max_size=30))
    def run(script: list[tuple[int, str]]) -> None:
        twin = Twin("circuit_breaker", **parameters)
        told: list[str] = []
        breaker = package.CircuitBreaker(
            failure_threshold=2, permitted_probes=2, success_threshold=2, recovery_time=3 * NANO, lease=2 * NANO,
            clock=twin.clock, on_event=lambda event: told.append(event.kind),
        )  # fmt: skip
        running: dict[int, Any] = {}

        @breaker
        async def work() -> object:
            return await Pause()

        def begin(number: int) -> None:
            before = len(told)
            way = next(a for a in ("admit", "probe", "probe_too", "reject") if twin.can(a, CALLS[number]))
            twin.take(way, CALLS[number])
            if way == "reject":
                with pytest.raises(package.CircuitOpen):
                    work().send(None) if through == "tasks" else breaker.guard().__enter__()
                assert told[before:] == ["rejected"]
            else:
                running[number] = work() if through == "tasks" else breaker.guard()
                assert (
                    running[number].send(None) if through == "tasks" else running[number].__enter__() and None
                ) is None

        def end(number: int, how: str) -> None:
            call = running.pop(number)
            twin.take({"ok": "succeed", "fail": "fail", "cancel": "cancel"}[how], CALLS[number])
            error = {"ok": None, "fail": OSError(), "cancel": asyncio.CancelledError()}[how]
            if through == "guards":
                call.__exit__(type(error) if error else None, error, None)
            elif error is None:
                with pytest.raises(StopIteration):
                    call.send(None)
            else:
                with pytest.raises(type(error)):
                    call.throw(error)

        for number, what in script:
            before, mode = len(told), twin.case("mode")
            if what == "time":
                twin.tick(1 + number)
            elif number in running:
                end(number, what)
                changed = twin.case("mode") != mode
                kind = {"open": "opened", "closed": "closed", "half_open": "half_opened"}[twin.case("mode")]
                assert told[before:] == ([kind] if changed else [])
            else:
                begin(number)
            snapshot = breaker.snapshot()
            assert snapshot.state == twin.case("mode")
            for name in ("era", "failures", "probes", "successes"):
                assert getattr(snapshot, name) == twin.state[name], name
        for call in running.values():
            if through == "tasks":
                call.close()

    run()


@pytest.mark.parametrize("through", ["guards", "tasks", "untimed tasks"])
@pytest.mark.parametrize("pattern", ["count_window_breaker", "time_window_breaker"])
def test_windowed_breakers_as_specified(pattern: str, through: str, package: ModuleType) -> None:
    """P1, P2, P3, P4, P7: the window, as people see it, is the machine's after any calls, ends and pauses."""
    timed = through != "untimed tasks"
    parameters = PARAMETERS[pattern] | ({} if timed else {"slow_call": 1 << 62})
    durations = {"width", "slow_call", "recovery_time", "lease"}
    kind = "CountWindowBreaker" if pattern.startswith("count") else "TimeWindowBreaker"

    @SETTINGS
    @given(st.lists(st.tuples(st.integers(0, 3), st.sampled_from(["ok", "ok", "fail", "cancel", "time"])), max_size=40))
    def run(script: list[tuple[int, str]]) -> None:
        twin = Twin(pattern, **parameters)
        given_ = {name: value * NANO if name in durations else value for name, value in parameters.items()}
        breaker = getattr(package, kind)(clock=twin.clock, **given_ | ({} if timed else {"slow_call": None}))
        running: dict[int, Any] = {}

        @breaker
        async def work() -> object:
            return await Pause()

        for number, what in script:
            call = CALLS[number]
            if what == "time":
                twin.tick(1 + number)
            elif number in running:
                guard = running.pop(number)
                error = {"ok": None, "fail": OSError(), "cancel": asyncio.CancelledError()}[what]
                if through == "guards":
                    guard.__exit__(type(error) if error else None, error, None)
                else:
                    with pytest.raises(StopIteration if error is None else type(error)):
                        guard.send(None) if error is None else guard.throw(error)
                if what != "cancel":
                    catch_up(twin)
                twin.take({"ok": "succeed", "fail": "fail", "cancel": "cancel"}[what], call)
            else:
                way = next(a for a in ("admit", "probe", "probe_too", "reject") if twin.can(a, call))
                twin.take(way, call)
                guard = breaker.guard() if through == "guards" else work()
                enter = guard.__enter__ if through == "guards" else partial(guard.send, None)
                if way == "reject":
                    with pytest.raises(package.CircuitOpen):
                        enter()
                else:
                    running[number] = guard
                    enter()
            snapshot = breaker.snapshot()
            catch_up(twin)
            assert snapshot.state == twin.case("mode")
            assert snapshot.calls == twin.state["filled" if pattern.startswith("count") else "calls"]
            for name in ("era", "failures", "slows", "probes", "successes"):
                assert getattr(snapshot, name) == twin.state[name], name
        for guard in running.values():
            if through != "guards":
                guard.close()

    run()


def catch_up(twin: Twin) -> None:
    """Move the window of a machine on to the present, where it has buckets."""
    for action in ("start_over", "move_on"):
        while action in twin.interpreter.specification.actions and twin.can(action):
            twin.take(action)


@pytest.mark.parametrize("way", ["tasks", "functions"])
def test_windowed_breakers_guard_functions(way: str, package: ModuleType) -> None:
    """P7: a decorated function, plain or a coroutine's, opens it at the rate and not before; slow calls open it too."""
    for kind, more in (("CountWindowBreaker", {"window": 4}), ("TimeWindowBreaker", {"buckets": 3, "width": 10.0})):
        time = [0]
        breaker = getattr(package, kind)(minimum=4, failure_rate=50, slow_call=5.0, clock=lambda t=time: t[0], **more)

        def work(takes: int, failing: bool, time: list[int] = time) -> int:
            time[0] += takes * 10**9
            if failing:
                raise OSError
            return takes

        async def task(takes: int, failing: bool, work: Any = work) -> int:
            return int(work(takes, failing))

        guarded: Any = breaker(task if way == "tasks" else work)
        for failing in (True, False, True):
            try:
                asyncio.run(guarded(0, failing)) if way == "tasks" else guarded(0, failing)
            except OSError:
                assert failing
        assert breaker.state == "closed"
        assert (asyncio.run(guarded(0, False)) if way == "tasks" else guarded(0, False)) == 0
        assert breaker.state == "open"
        with pytest.raises(package.CircuitOpen):
            asyncio.run(guarded(0, False)) if way == "tasks" else guarded(0, False)
        time[0] += 31 * 10**9
        assert (asyncio.run(guarded(1, False)) if way == "tasks" else guarded(1, False)) == 1
        assert (breaker.state, breaker.snapshot().calls) == ("closed", 0)
        for _ in range(4):
            asyncio.run(guarded(5, False)) if way == "tasks" else guarded(5, False)
        assert breaker.state == "open"


def test_bulkhead_as_specified(package: ModuleType) -> None:
    """P5: tasks that come, wait, are cancelled in the queue or while they run, and end, hold what the machine says."""
    parameters = PARAMETERS["bulkhead"]

    async def step() -> None:
        for _ in range(4):
            await asyncio.sleep(0)

    async def play(script: list[tuple[int, str]]) -> None:
        twin = Twin("bulkhead", **parameters)
        bulkhead = package.Bulkhead(capacity=2, queue_limit=1)
        tasks: dict[int, asyncio.Task[object]] = {}
        ends: dict[int, asyncio.Event] = {}
        started: list[int] = []
        expected: list[int] = []

        @bulkhead
        async def work(number: int) -> None:
            started.append(number)
            await ends[number].wait()

        def serve() -> None:
            while (first := next((c for c in CALLS if twin.can("grant", c)), None)) is not None:
                twin.take("grant", first)
                twin.take("start", first)
                expected.append(first.index)

        for number, what in script:
            call = CALLS[number]
            if number not in tasks:
                way = next(a for a in ("enter", "wait", "reject") if twin.can(a, call))
                twin.take(way, call)
                ends[number] = asyncio.Event()
                task = asyncio.ensure_future(work(number))
                await step()
                if way == "reject":
                    assert isinstance(task.exception(), package.BulkheadFull)
                else:
                    tasks[number] = task
                    expected += [number] if way == "enter" else []
            else:
                task = tasks[number]
                waits = twin.can("give_up", call)
                if what == "cancel" or waits:
                    twin.take("give_up" if waits else "finish", call)
                    task.cancel()
                else:
                    twin.take("finish", call)
                    ends[number].set()
                serve()
                await step()
                assert task.done()
                del tasks[number]
            snapshot = bulkhead.snapshot()
            assert (snapshot.free, snapshot.waiting) == (twin.state["free"], twin.state["waiting"])
            assert started == expected
        for number, task in tasks.items():
            ends[number].set()
            task.cancel()
        await asyncio.gather(*tasks.values(), return_exceptions=True)
        assert bulkhead.snapshot()[:3] == (2, 2, 0)

    @SETTINGS
    @given(st.lists(st.tuples(st.integers(0, 3), st.sampled_from(["end", "cancel"])), max_size=24))
    def run(script: list[tuple[int, str]]) -> None:
        asyncio.run(play(script))

    run()


@pytest.mark.parametrize("way", ["plain", "asynchronous", "keyed"])
def test_retry_as_specified(way: str, package: ModuleType) -> None:
    """P8, P9, P10, P12: every try, pause and end of a call is a run of the machine, and the caller is told of it."""
    parameters = PARAMETERS["retry"]
    answers = st.sampled_from(["success", "transient", "permanent", "asks"])
    tries = st.tuples(answers, st.integers(0, 3), st.floats(0, 1, exclude_max=True))

    @SETTINGS
    @given(st.lists(st.lists(tries, min_size=3, max_size=3), min_size=1, max_size=4), st.booleans())
    def run(script: list[list[tuple[str, int, float]]], idempotent: bool) -> None:
        twin = Twin("retry", **parameters)
        call = CALLS[0]
        events: list[Any] = []
        keys: list[object] = []
        chance: list[float] = []

        class Asking(Exception):
            retry_after = 4 * NANO

        kinds = {"transient": ConnectionError, "permanent": LookupError, "asks": Asking}
        coming: list[tuple[str, int, float]] = []

        def answer(key: object) -> str:
            keys.append(key)
            if len(keys) > 1:
                twin.take("resume", call)
            said, takes, chance[:] = coming[0][0], coming[0][1], [coming.pop(0)[2]]
            twin.tick(takes)
            twin.take("backend_answers", call, Tagged("transient" if said == "asks" else said))
            if said != "success":
                raise kinds[said](len(keys))
            twin.take("succeed", call)
            return "done"

        def pause(seconds: float) -> None:
            settled(events[-1])
            twin.tick(round(seconds / NANO))

        def settled(event: Any) -> None:
            asks = isinstance(event.detail["error"], Asking)
            delay = round(event.detail["pause"] / NANO) if event.kind == "retrying" else 4
            if not asks and event.kind != "retrying":
                delay = int(twin.state["backoff"][call,])
            twin.take("settle_as_asked" if asks else "settle", call, delay)

        async def asleep(seconds: float) -> None:
            pause(seconds)

        retry = package.Retry(
            attempts=3, base=2 * NANO, cap=5 * NANO, deadline=9 * NANO, reserve=1, ratio=50, idempotent=idempotent,
            on=(ConnectionError, Asking), clock=twin.clock, sleep=pause, asleep=asleep, random=lambda: chance[0],
            on_event=events.append, key="key" if way == "keyed" else None,
        )  # fmt: skip

        @retry
        def plain(key: object = None) -> str:
            return answer(key)

        @retry
        async def asynchronous(key: object = None) -> str:
            return answer(key)

        for coming[:] in script:
            keys.clear()
            twin.take("begin", call, idempotent)
            try:
                result = asyncio.run(asynchronous()) if way == "asynchronous" else plain()
            except (ConnectionError, LookupError, Asking) as error:
                told = error.args
                if twin.can("expire", call):
                    twin.take("expire", call)
                else:
                    settled(events[-1])
                assert twin.state["result"][call,] == Tagged("failed")
            else:
                assert result == "done"
                assert twin.state["result"][call,] == Tagged("succeeded")
                told = (len(keys),)
            assert told == (len(keys),) == (twin.state["tries"][call,],)
            assert len(set(keys)) == 1
            assert (keys[0] is not None) == (way == "keyed")
            assert retry.snapshot()[:2] == (twin.state["calls"], twin.state["retries"])

    run()


def test_limiter_as_specified(package: ModuleType) -> None:
    """P12, P-RATE: each client is admitted exactly when its bucket says so, and told how long to wait otherwise."""

    @SETTINGS
    @given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 4)), max_size=30))
    def run(script: list[tuple[int, int]]) -> None:
        twin = Twin("token_bucket", **PARAMETERS["token_bucket"])
        limiter = package.RateLimiter(rate=5e8, burst=2, clock=twin.clock, per=lambda number: number)
        admitted = limiter(lambda number: number)
        for number, pause in script:
            twin.tick(pause)
            client = Element("Client", number)
            if twin.can("admit", client):
                twin.take("admit", client)
                assert admitted(number) == number
            else:
                twin.take("reject", client)
                with pytest.raises(package.RateLimited) as told:
                    admitted(number)
                later = Twin("token_bucket", **PARAMETERS["token_bucket"])
                later.state = twin.state
                wait = round(told.value.retry_after / NANO)
                later.tick(wait - 1)
                assert not later.can("admit", client)
                later.tick(1)
                assert later.can("admit", client)

    run()


def test_timeout_as_specified(package: ModuleType) -> None:
    """P-TIMEOUT, P4: nested blocks are bound by the earlier deadline, and end as the machine says."""
    ways = st.sampled_from(["answer", "error", "cancel"])

    @SETTINGS
    @given(st.lists(st.tuples(st.integers(1, 6), st.integers(0, 4), ways), min_size=1, max_size=4))
    def run(script: list[tuple[int, int, str]]) -> None:
        twin = Twin("timeout")
        entered: list[Any] = []
        for depth, (limit, pause, _) in enumerate(script):
            guard = package.Timeout(limit * NANO, clock=twin.clock).guard()
            guard.__enter__()
            entered.append(guard)
            if depth == 0:
                twin.take("begin", CALLS[0], limit)
            else:
                twin.take("call", CALLS[depth - 1], CALLS[depth], limit)
            left = max(0, twin.state["deadline"][CALLS[depth],] - twin.clock())
            assert package.remaining() == pytest.approx(left * NANO)
            twin.tick(pause)
        for depth in reversed(range(len(script))):
            how, call = script[depth][2], CALLS[depth]
            error = {"answer": None, "error": OSError(), "cancel": KeyboardInterrupt()}[how]
            late = how != "cancel" and not twin.can("answer", call)
            twin.take("cancel" if how == "cancel" else "expire" if late else "answer", call)
            raised: BaseException | None = None
            try:
                entered[depth].__exit__(None, error, None)
            except package.DeadlineExceeded as problem:
                raised = problem
            assert (raised is not None) == late
        assert package.remaining() is None

    run()


def test_parameters_out_of_range_are_refused(package: ModuleType) -> None:
    """The assumptions of the specification are demanded of parameters, in its own words."""
    with pytest.raises(ValueError, match="failure_threshold >= 1 is to hold"):
        package.CircuitBreaker(failure_threshold=0)
    with pytest.raises(ValueError, match="success_threshold <= permitted_probes is to hold"):
        package.CircuitBreaker(success_threshold=2)
    with pytest.raises(ValueError, match="cap >= base is to hold"):
        package.Retry(idempotent=True, base=2.0, cap=1.0)
    with pytest.raises(ValueError, match="finite number of seconds"):
        package.Timeout(float("nan"))
    with pytest.raises(ValueError, match="capacity >= 1 is to hold"):
        package.Bulkhead(capacity=0)
