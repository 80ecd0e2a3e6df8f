"""Cache, fallback and hedge as people use them."""

from __future__ import annotations

import asyncio
import dis
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType, ModuleType
from typing import Any

import pytest

from codegen_support import import_package, write_package


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> ModuleType:
    """The generated package."""
    folder = tmp_path_factory.mktemp("companions") / "companion_patterns"
    write_package(folder, only=["cache", "fallback", "hedge"])
    return import_package(folder)


@pytest.mark.parametrize("asynchronous", [False, True])
def test_fallback(asynchronous: bool, package: ModuleType) -> None:
    """P-FALLBACK, P4: covered failures fall back, others and cancellations do not; the first failure surfaces."""
    told: list[str] = []
    seen: list[object] = []

    def second(x: BaseException | int) -> str:
        seen.append(x)
        if isinstance(x, BrokenPipeError):
            raise ValueError("second")  # noqa: TRY004
        return "second best"

    fallback = package.Fallback(second, on=ConnectionError, on_event=lambda event: told.append(event.kind))

    def first(x: BaseException | int) -> str:
        if isinstance(x, BaseException):
            raise x
        return "best"

    async def first_async(x: BaseException | int) -> str:
        return first(x)

    def call(x: BaseException | int) -> object:
        return asyncio.run(fallback(first_async)(x)) if asynchronous else fallback(first)(x)

    assert call(1) == "best"
    assert call(ConnectionResetError()) == "second best"
    for error in (BrokenPipeError(), LookupError(), asyncio.CancelledError()):
        with pytest.raises(type(error)) as caught:
            call(error)
        assert caught.value is error or asynchronous
    assert [type(each).__name__ for each in seen] == ["ConnectionResetError", "BrokenPipeError"]
    assert told == ["degraded", "failed", "failed"]
    assert fallback.snapshot()[:2] == (1, 2)


def test_hedge_takes_the_first_answer_and_awaits_the_losers(package: ModuleType) -> None:
    """P12, P-HEDGE: a slow copy is overtaken by the next, cancelled, and has ended when the call does."""

    async def play() -> None:
        hedge = package.Hedge(delay=0.001, idempotent=True, hedges=1)
        copies: list[str] = []

        @hedge
        async def work() -> int:
            number = len(copies)
            copies.append("runs")
            try:
                if number == 0:
                    await asyncio.Event().wait()
                return number
            finally:
                await asyncio.sleep(0)
                copies[number] = "ended"

        assert await work() == 1
        assert copies == ["ended", "ended"]
        assert hedge.snapshot()[:2] == (1, 1)

    asyncio.run(play())


def test_hedge_copies_only_what_may_be_repeated_and_is_afforded(package: ModuleType) -> None:
    """P10, P12: nothing is copied that is not idempotent, and nothing beyond the budget."""

    async def copies(**parameters: object) -> int:
        begun = 0

        @package.Hedge(delay=1e-9, **parameters)
        async def work() -> None:
            nonlocal begun
            begun += 1
            for _ in range(5):
                await asyncio.sleep(0.001)

        await work()
        return begun

    assert asyncio.run(copies(idempotent=False, hedges=3)) == 1
    assert asyncio.run(copies(idempotent=True, hedges=3, reserve=2, ratio=0)) == 3
    assert asyncio.run(copies(idempotent=True, hedges=3, reserve=9)) == 4


def test_hedge_fails_with_the_last_failure_and_passes_cancellation_on(package: ModuleType) -> None:
    """P4, P-HEDGE: if every copy fails the last failure is told; a cancelled call has cancelled its copies."""

    async def play() -> None:
        hedge = package.Hedge(delay=10.0, idempotent=True)
        ended: list[str] = []

        @hedge
        async def work(fails: bool) -> None:
            try:
                if fails:
                    raise OSError("backend")
                await asyncio.Event().wait()
            finally:
                ended.append("ended")

        with pytest.raises(OSError, match="backend"):
            await work(fails=True)
        task = asyncio.ensure_future(work(fails=False))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert ended == ["ended", "ended"]

    asyncio.run(play())


def test_what_cannot_be_protected_is_refused(package: ModuleType) -> None:
    """P11: a plain function is not hedged in silence, and a coroutine function is no fallback of a plain one."""

    async def later() -> None: ...

    with pytest.raises(TypeError, match="could not be stopped"):
        package.Hedge(delay=1.0, idempotent=True)(lambda: None)
    with pytest.raises(TypeError, match="is asynchronous"):
        package.Fallback(later)(lambda: None)


def test_a_cache_loads_once_for_all_threads_and_forgets_in_time(package: ModuleType) -> None:
    """P-CACHE, P6: one load serves all who want its key; what is a TTL old or invalidated is loaded anew."""
    time = [0]
    told: list[str] = []
    begun, go = threading.Semaphore(0), threading.Event()
    loads: list[object] = []
    cache = package.Cache(ttl=5.0, capacity=2, clock=lambda: time[0], on_event=lambda event: told.append(event.kind))

    @cache
    def fetch(key: object, *, times: object = 1) -> str:
        loads.append(key)
        begun.release()
        go.wait()
        return f"{key}×{times}"

    answers: list[str] = []
    threads = [threading.Thread(target=lambda: answers.append(fetch(1))) for _ in range(4)]
    for thread in threads:
        thread.start()
    begun.acquire()
    while cache.snapshot().waiting < 3:
        pass
    go.set()
    for thread in threads:
        thread.join()
    assert (answers, loads) == (["1×1"] * 4, [1])
    assert [fetch(1.0), fetch(True), fetch(1, times=2)] == ["1.0×1", "True×1", "1×2"]
    assert told == ["loaded", "loaded", "evicted", "loaded", "evicted", "loaded"]
    loads.clear()
    fetch(1, times=2)
    time[0] += 5 * 10**9 - 1
    assert loads == []
    fetch(1, times=2)
    assert loads == []
    time[0] += 1
    fetch(1, times=2)
    assert loads == [1]
    cache.invalidate(fetch, 1, times=2)
    fetch(1, times=2)
    assert loads == [1, 1]
    cache.clear()
    assert cache.snapshot().entries == 0
    with pytest.raises(TypeError, match="unhashable"):
        fetch([])


def test_a_cancelled_load_is_taken_over(package: ModuleType) -> None:
    """P4, P-CACHE: failures and cancellations are not kept; of those who wait, the next loads, and none is lost."""
    cache = package.Cache(ttl=5.0, key=lambda key, _how: key)
    loads: list[str] = []

    @cache
    async def fetch(key: str, how: str) -> str | None:
        loads.append(how)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        if how == "fails":
            raise LookupError(key)
        return None

    async def play() -> None:
        tasks = [asyncio.ensure_future(fetch("a", how)) for how in ("cancelled", "fails", "goes", "succeeds", "waits")]
        await asyncio.sleep(0)
        assert cache.snapshot().waiting == 4
        tasks[2].cancel()
        tasks[0].cancel()
        cancelled, failed, gone, *rest = await asyncio.gather(*tasks, return_exceptions=True)
        assert isinstance(cancelled, asyncio.CancelledError)
        assert isinstance(gone, asyncio.CancelledError)
        assert isinstance(failed, LookupError)
        assert rest == [None, None]  # which is a value like any other
        assert loads == ["cancelled", "fails", "succeeds"]
        assert await fetch("a", "again") is None
        slow = asyncio.ensure_future(fetch("b", "outdated"))
        await asyncio.sleep(0)
        cache.invalidate(fetch, "b", "")
        await slow
        await fetch("b", "anew")
        assert loads[3:] == ["outdated", "anew"]

    asyncio.run(play())
    assert cache.snapshot()[:2] == (2, 0)


class Interrupted(BaseException):
    """What a handler of signals raises."""


class Signal:
    """Raises at one of the places of the cache's code where Python runs handlers of signals.

    They are beginnings of functions, ends of calls of C, and turns of loops. Callbacks of the event loop are left out:
    what raises there strikes the loop.
    """

    def __init__(self, place: int) -> None:
        self.left = place
        self._last: dict[FrameType, str] = {}

    @contextmanager
    def awaited(self) -> Iterator[None]:
        """Raise meanwhile, in this thread."""
        sys.settrace(self._trace)
        try:
            yield
        finally:
            sys.settrace(None)

    def _trace(self, frame: FrameType, event: str, _argument: object) -> Any:
        code = frame.f_code
        if not code.co_filename.endswith("cache.py") or code.co_name == "_notice":
            return None
        frame.f_trace_opcodes = True
        if event == "return" and frame.f_back is not None:
            self._last[frame.f_back] = ""  # no handler runs when a function in Python returns
        if event == "opcode":
            last, here = self._last.get(frame, ""), dis.opname[code.co_code[frame.f_lasti]]
            self._last[frame] = here
            if last.startswith(("RESUME", "CALL", "JUMP_BACKWARD")) and here != "PUSH_EXC_INFO":  # the call returned
                self.left -= 1
                if self.left == -1:
                    raise Interrupted
        return self._trace


def _strike(play: Callable[[Signal], object]) -> int:
    """Play with a signal at the first place, at the second, and so on; gives how many there are."""
    for place in range(1000):
        signal = Signal(place)
        play(signal)
        if signal.left >= 0:
            return place
    raise AssertionError("it does not end")


@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.parametrize("victim", ["loads", "waits"])
def test_a_signal_anywhere_in_a_cache_leaves_no_thread_waiting(victim: str, fails: bool, package: ModuleType) -> None:
    """P4, P-CACHE: wherever a signal strikes a call that loads or waits, another that wants the key has its answer."""

    def play(signal: Signal) -> None:
        cache = package.Cache(ttl=5.0)
        go, loads = threading.Event(), [0]

        @cache
        def fetch(_key: str) -> int:
            loads[0] += 1
            number = loads[0]
            go.wait(5)
            if fails and number == 1:
                raise LookupError
            return number

        def ask() -> None:
            try:
                fetch("a")
            except LookupError:
                assert fails

        def struck() -> None:
            with suppress(Interrupted), signal.awaited():
                ask()

        first, second = (struck, ask) if victim == "loads" else (ask, struck)
        threads = [threading.Thread(target=first), threading.Thread(target=second)]
        threads[0].start()
        while threads[0].is_alive() and not loads[0]:
            threads[0].join(0.0001)
        threads[1].start()
        while all(thread.is_alive() for thread in threads) and not cache.snapshot().waiting:
            threads[0].join(0.0001)
        go.set()
        for thread in threads:
            thread.join(5)
        assert not any(thread.is_alive() for thread in threads)
        assert cache.snapshot().waiting == 0
        assert not any(line.key.busy for line in cache._lines.values())
        assert fetch("a") <= 3

    assert _strike(play) > 5


# A signal may strike between a coroutine and its `await`, and Python warns of it.
@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited")
@pytest.mark.parametrize("fails", [False, True])
def test_a_signal_anywhere_in_a_cache_leaves_no_task_waiting(fails: bool, package: ModuleType) -> None:
    """P4, P-CACHE: wherever a signal strikes one of two tasks that want a key, the other has its answer."""

    async def work(signal: Signal) -> None:
        cache = package.Cache(ttl=5.0)
        loads = 0

        @cache
        async def fetch(_key: str) -> int:
            nonlocal loads
            loads += 1
            number = loads
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            if fails and number == 1:
                raise LookupError
            return number

        tasks = [asyncio.create_task(fetch("a")) for _ in range(2)]
        with signal.awaited():
            done, _ = await asyncio.wait(tasks, timeout=5)
        assert len(done) == 2
        ends = [task.exception() for task in tasks]
        assert sum(isinstance(end, Interrupted) for end in ends) == (signal.left == -1)
        assert cache.snapshot().waiting == 0
        assert not any(line.key.busy for line in cache._lines.values())
        assert await fetch("a") <= 3

    assert _strike(lambda signal: asyncio.run(work(signal))) > 5
