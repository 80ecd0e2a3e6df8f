"""What guarding a call costs: bare, by hand, generated, and with every peer that is installed, in one run.

Run as ``python bench/resilience_peers.py [--rounds N]``. Numbers are nanoseconds of processor time for each call on the
success path, the least of many rounds in which the variants take turns; `overhead` is the time beyond the bare call,
and `ratio` is overhead against the hand-written reference of the same layers. Memory is that of one instance; import
time is that of a fresh interpreter beyond its own start. The libraries come with ``pip install .[peers]``.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import importlib.util
import itertools
import logging
import subprocess
import sys
import tempfile
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import by_hand
import generated_code as ours
from conformance_peers import installed

from certify.conformance.adapters import Adapter, read
from certify.conformance.clock import Clock
from certify.conformance.settings import Settings

HERE = Path(__file__).resolve().parent
LOOPS = 1_000
#: What is measured beside the pattern: a frame whose breaker has a window, and what any wrapper at all costs.
EXTRA = ("with a window, fused", "a wrapper that does nothing")


class Real(Clock):
    """The clock that libraries read in production."""

    def monotonic(self) -> float:  # noqa: D102
        return time.monotonic()


def peers() -> Iterator[tuple[str, Adapter]]:
    """The adapters of the installed peers."""
    sys.path.insert(0, str(HERE / "peers"))
    for name, title in installed().items():
        spec = importlib.util.spec_from_file_location(f"peer_{name}", HERE / "peers" / f"with_{name}.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        yield title, read(vars(module), name)


def guard(adapter: Adapter, pattern: str, fn: Any, *, asynchronous: bool) -> Any:
    """A function with a peer's guard around it; None where the peer has no such thing."""
    if ("async" if asynchronous else "sync") not in adapter.modes:
        return None
    build = adapter.build("service" if pattern == "three layers" else pattern)
    if build is None:
        return None
    sleep = asyncio.sleep if asynchronous else time.sleep
    given = {"capacity": 10, "failure_threshold": 5, "failure": Exception, "window": 100, "minimum_calls": 100}
    return build(Settings(Real(), next(_number), asynchronous=asynchronous, sleep=sleep, **given))(fn)


_number = itertools.count()


def wrapped(fn: Any, *, asynchronous: bool) -> Any:
    """A function in one more frame: nothing that is written in Python and waits for its outcome costs less."""

    def wrapper(x: Any) -> Any:
        return fn(x)

    async def wrapper_async(x: Any) -> Any:
        return await fn(x)

    return wrapper_async if asynchronous else wrapper


def variants(package: Any, adapters: list[tuple[str, Adapter]], pattern: str, *, asynchronous: bool) -> dict[str, Any]:
    """Everything that is measured for a pattern, the bare call and the reference first."""
    fn: Any = ours.backend_async if asynchronous else ours.backend
    found: dict[str, Any] = {
        "bare call": fn,
        "by hand": by_reference(pattern, fn, asynchronous=asynchronous),
        "a wrapper that does nothing": wrapped(fn, asynchronous=asynchronous),
    }
    found |= generated(package, pattern, fn, asynchronous=asynchronous)
    for title, adapter in adapters:
        made = guard(adapter, pattern, fn, asynchronous=asynchronous)
        if made is not None:
            found[title] = made
    return found


def by_reference(pattern: str, fn: Any, *, asynchronous: bool) -> Any:
    """The hand-written reference of a pattern, for a function of one argument."""
    bulkhead: Any = by_hand.AsyncBulkhead(10) if asynchronous else by_hand.Bulkhead(10)
    match pattern:
        case "breaker":
            return by_hand.Breaker(5, 30.0).of_one(fn)
        case "retry":
            return by_hand.Retry(3, 0.1, 5.0).of_one(fn)
        case "bulkhead":
            return bulkhead.of_one(fn)
        case "windowed":
            return by_hand.WindowedBreaker(100, 50, 100, 30.0).of_one(fn)
        case _:
            fuse = by_hand.fused_async if asynchronous else by_hand.fused
            return fuse(fn, by_hand.Retry(3, 0.1, 5.0), by_hand.Breaker(5, 30.0), bulkhead)


def generated(package: Any, pattern: str, fn: Any, *, asynchronous: bool) -> dict[str, Any]:
    """What is generated for a pattern: as a decorator, and fused for one argument where there is such a frame."""
    layers = ours.three(package)
    ending = "_async" if asynchronous else ""

    def fuse(name: str) -> Any:
        return getattr(getattr(package, f"fused_{name}{ending}"), f"fuse_{name}{ending}")

    match pattern:
        case "breaker":
            fused = fuse("one")(fn, breaker=package.CircuitBreaker())
            return {"generated, fused": fused, "generated, decorator": package.CircuitBreaker()(fn)}
        case "three layers":
            return {
                "generated, fused": fuse("three")(fn, **layers),
                "with a window, fused": fuse("three_windowed")(fn, **ours.three(package, windowed=True)),
                "generated, decorators": layers["retry"](layers["breaker"](layers["bulkhead"](fn))),
            }
        case "windowed":
            window = package.CountWindowBreaker(window=100, minimum=100)
            return {"generated, fused": fuse("one_windowed")(fn, breaker=window), "generated, decorator": window(fn)}
        case _:
            fused = fuse(f"one_{pattern}")(fn, **{pattern: layers[pattern]})
            return {"generated, fused": fused, "generated, decorator": layers[pattern](fn)}


# --- measuring -------------------------------------------------------------------------------------------------------


def once(fn: Callable[[int], Any]) -> float:
    """Nanoseconds for each call."""
    begin = time.thread_time_ns()
    for x in range(LOOPS):
        fn(x)
    return (time.thread_time_ns() - begin) / LOOPS


async def _each(fn: Callable[[int], Any]) -> float:
    begin = time.thread_time_ns()
    for x in range(LOOPS):
        await fn(x)
    return (time.thread_time_ns() - begin) / LOOPS


def least(found: dict[str, Any], rounds: int, *, asynchronous: bool) -> dict[str, float]:
    """The least of many rounds; slow ones get fewer, as noise is small beside them."""
    best = dict.fromkeys(found, float("inf"))
    with asyncio.Runner() as runner:
        gc.disable()
        for turn in range(rounds):
            for name, fn in found.items():
                if best[name] > 1_500 and turn > max(10, rounds // 10) and best[name] < float("inf"):
                    continue
                best[name] = min(best[name], runner.run(_each(fn)) if asynchronous else once(fn))
        gc.enable()
    return best


def show(pattern: str, sync: dict[str, float], tasks: dict[str, float]) -> None:
    """A table of both modes, with ratios to the reference, and how far the fastest peer is away."""
    print(f"\n{pattern}\n  {'':<26}{'sync':>9}{'overhead':>10}{'ratio':>8}   {'async':>9}{'overhead':>10}{'ratio':>8}")
    for name in dict.fromkeys((*sync, *tasks)):
        cells = []
        for best in (sync, tasks):
            if name not in best:
                cells.append(f"{'–':>9}{'':>18}")
                continue
            over, reference = best[name] - best["bare call"], best["by hand"] - best["bare call"]
            ratio = "" if name == "bare call" else f"{over / reference:.2f}"
            cells.append(f"{best[name]:>9.0f}{over:>10.0f}{ratio:>8}")
        print(f"  {name:<26}{'   '.join(cells)}")
    for mode, best in (("sync", sync), ("async", tasks)):
        ours = [n for n in best if n.startswith("generated") or n in EXTRA]
        others = {n: best[n] for n in best if n not in {"bare call", "by hand", *ours}}
        fastest = min(others, key=lambda n: others[n], default="")
        for mine in ours if others else ():
            times = (others[fastest] - best["bare call"]) / (best[mine] - best["bare call"])
            print(f"  {mode}: the fastest peer is {fastest}, with {times:.1f} times the overhead of: {mine}")


def contended(found: dict[str, Any], threads: int) -> None:
    """Calls per second of all threads together."""
    print(f"\nbreaker, {threads} threads at once\n  {'':<26}{'million calls/s':>16}")
    for name, fn in found.items():
        begin = time.perf_counter()
        workers = [threading.Thread(target=lambda fn=fn: [once(fn) for _ in range(3)]) for _ in range(threads)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        print(f"  {name:<26}{threads * 3 * LOOPS / (time.perf_counter() - begin) / 1e6:>16.2f}")


def memory(package: Any, adapters: list[tuple[str, Adapter]]) -> None:
    """Bytes of one guarded function, breaker or retry."""
    print(f"\nmemory of one guard, bytes\n  {'':<26}{'breaker':>9}{'retry':>9}")
    makers: dict[str, dict[str, Callable[[], Any]]] = {
        "by hand": {"breaker": lambda: by_hand.Breaker(5, 30.0), "retry": lambda: by_hand.Retry(3, 0.1, 5.0)},
        "generated": {"breaker": package.CircuitBreaker, "retry": lambda: package.Retry(idempotent=True)},
    }
    for title, adapter in adapters:
        asynchronous = "sync" not in adapter.modes
        fn = ours.backend_async if asynchronous else ours.backend
        makers[title] = {
            pattern: (lambda a=adapter, p=pattern, f=fn, s=asynchronous: guard(a, p, f, asynchronous=s))
            for pattern in ("breaker", "retry")
            if pattern in adapter.patterns
        }
    for title, made in makers.items():
        sizes = [
            f"{_size(made[pattern]):>9.0f}" if pattern in made else f"{'–':>9}" for pattern in ("breaker", "retry")
        ]
        print(f"  {title:<26}{''.join(sizes)}")


def _size(make: Callable[[], Any]) -> float:
    make()
    gc.collect()
    tracemalloc.start()
    kept = [make() for _ in range(100)]
    size = tracemalloc.get_traced_memory()[0] / len(kept)
    tracemalloc.stop()
    return size


def importing(folder: Path, titles: list[str]) -> None:
    """Milliseconds of an import in a fresh interpreter, the least of three."""
    print(f"\nimport\n  {'':<26}{'ms':>8}")
    modules = {"generated": "resilience_bench", "asyncio alone": "asyncio"}
    modules |= {title: title.split()[0].removesuffix("-cb") for title in titles}
    modules |= {title: "hyx.retry, hyx.circuitbreaker, hyx.bulkhead" for title in titles if title.startswith("hyx")}
    for title, module in modules.items():
        code = f"import time; t = time.perf_counter(); import {module}; print((time.perf_counter() - t) * 1e3)"
        command = [sys.executable, "-c", code]
        runs = [subprocess.run(command, cwd=folder, capture_output=True, check=True).stdout for _ in range(3)]
        print(f"  {title:<26}{min(map(float, runs)):>8.1f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=200)
    rounds = parser.parse_args().rounds
    logging.disable(logging.CRITICAL)
    with tempfile.TemporaryDirectory() as name:
        package = ours.generated(Path(name))
        adapters = list(peers())
        print(f"CPython {sys.version.split()[0]}, {rounds} rounds of {LOOPS} calls, the least of each, ns a call")
        for pattern in ("breaker", "retry", "bulkhead", "windowed", "three layers"):
            both = [variants(package, adapters, pattern, asynchronous=mode) for mode in (False, True)]
            title = "breaker with a window of 100 calls" if pattern == "windowed" else pattern
            show(title, least(both[0], rounds, asynchronous=False), least(both[1], rounds, asynchronous=True))
            if pattern == "breaker":
                contended(both[0], 8)
        memory(package, adapters)
        importing(Path(name), [title for title, _ in adapters])


if __name__ == "__main__":
    main()
