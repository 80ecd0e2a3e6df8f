"""What generated code costs on the success path, beside hand-written code and a bare call, in one run.

The hand-written references are those of `by_hand`: what a careful author would write, without a lock on the success
path, and without a retry budget, which the generated code has. A window of outcomes needs a lock in both. Each
number is the least of many rounds of processor time, the variants taking turns, so that a noisy neighbour disturbs all
of them alike. `overhead` is the time beyond the bare call.

    python bench/generated_code.py [--rounds N]
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import importlib
import subprocess
import sys
import tempfile
import threading
import time
import tracemalloc
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import by_hand

from certify_codegen import fusion
from certify_codegen.generate import Fused, Module, Options, Proved, fused_file, module, package
from certify_codegen.patterns import CONVENTIONS
from certify_spec.loader import Loader, shipped

LOOPS = 2_000
FRAMES = (
    ("retry,breaker,bulkhead", "three"),
    ("retry,window,bulkhead", "three_windowed"),
    ("breaker", "one"),
    ("window", "one_windowed"),
    ("retry", "one_retry"),
    ("bulkhead", "one_bulkhead"),
)
"""The frames that are fused: layers, and a name."""
ENDLESS = 1 << 20
"""A window that is never full, so that each outcome is recorded under the lock."""
Plain = Callable[[int], int]
Async = Callable[[int], Coroutine[Any, Any, int]]


# --- generated -------------------------------------------------------------------------------------------------------


def generated(folder: Path) -> Any:
    """The shipped patterns, generated and imported, with frames fused for one argument."""
    loader = Loader()
    specifications = [loader.load(path) for path in shipped() if path.parent.name == "patterns"]
    options = Options()
    modules: list[Module] = [module(Proved(s, ""), options) for s in specifications if s.name in CONVENTIONS]
    stack = next(s for s in specifications if s.name == fusion.STACK)
    proofs = {s.name: "" for s in specifications}
    files = package(modules, options, proofs)
    for order, name in FRAMES:
        for prefix, ending in (("", ""), ("async ", "_async")):
            layers = fusion.layers(order.split(","))
            shape = fusion.signature(f"{prefix}{name}{ending}(x: int) -> int")
            file, text = fused_file(Fused(layers, shape), stack, modules, proofs)
            files[file] = text
    (folder / "resilience_bench").mkdir()
    for name, text in files.items():
        (folder / "resilience_bench" / name).write_text(text, encoding="utf-8")
    sys.path.insert(0, str(folder))
    found = importlib.import_module("resilience_bench")
    for _, name in FRAMES:
        importlib.import_module(f"resilience_bench.fused_{name}")
        importlib.import_module(f"resilience_bench.fused_{name}_async")
    return found


def backend(x: int) -> int:
    return x


async def backend_async(x: int) -> int:
    return x


def three(package: Any, *, windowed: bool = False) -> dict[str, Any]:
    return {
        "retry": package.Retry(idempotent=True),
        "breaker": package.CountWindowBreaker(window=100, minimum=100) if windowed else package.CircuitBreaker(),
        "bulkhead": package.Bulkhead(capacity=10),
    }


def plain(package: Any) -> dict[str, Plain]:
    layers = three(package)
    return {
        "bare call": backend,
        "breaker, by hand, one argument": by_hand.Breaker(5, 30.0).of_one(backend),
        "breaker, fused, one argument": package.fused_one.fuse_one(backend, breaker=package.CircuitBreaker()),
        "breaker, by hand, any arguments": by_hand.Breaker(5, 30.0)(backend),
        "breaker, decorator": package.CircuitBreaker()(backend),
        "count window, by hand, one argument": by_hand.WindowedBreaker(100, 50, 100, 30.0).of_one(backend),
        "count window, fused, one argument": package.fused_one_windowed.fuse_one_windowed(
            backend, breaker=package.CountWindowBreaker(window=100, minimum=100)
        ),
        "count window, by hand": by_hand.WindowedBreaker(100, 50, 100, 30.0)(backend),
        "count window, decorator": package.CountWindowBreaker(window=100, minimum=100)(backend),
        "count window, filling, by hand": by_hand.WindowedBreaker(ENDLESS, 50, ENDLESS, 30.0)(backend),
        "count window, filling, decorator": package.CountWindowBreaker(window=ENDLESS, minimum=ENDLESS)(backend),
        "count window, timed, decorator": package.CountWindowBreaker(window=100, minimum=100, slow_call=1.0)(backend),
        "time window, decorator": package.TimeWindowBreaker(minimum=100)(backend),
        "retry, decorator": package.Retry(idempotent=True)(backend),
        "bulkhead, decorator": package.Bulkhead(capacity=10)(backend),
        "rate limiter, decorator": package.RateLimiter(rate=1e9, burst=1 << 30)(backend),
        "timeout, decorator": package.Timeout(10.0)(backend),
        "cache, a hit, decorator": package.Cache(ttl=1e6, capacity=2 * LOOPS)(backend),
        "three layers, by hand, fused": by_hand.fused(
            backend, by_hand.Retry(3, 0.1, 5.0), by_hand.Breaker(5, 30.0), by_hand.Bulkhead(10)
        ),
        "three layers, fused": package.fused_three.fuse_three(backend, **layers),
        "three layers with a window, by hand, fused": by_hand.fused(
            backend, by_hand.Retry(3, 0.1, 5.0), by_hand.WindowedBreaker(100, 50, 100, 30.0), by_hand.Bulkhead(10)
        ),
        "three layers with a window, fused": package.fused_three_windowed.fuse_three_windowed(
            backend, **three(package, windowed=True)
        ),
        "three layers, decorators": layers["retry"](layers["breaker"](layers["bulkhead"](backend))),
    }


def asynchronous(package: Any) -> dict[str, Async]:
    layers = three(package)
    return {
        "bare call": backend_async,
        "breaker, by hand, one argument": by_hand.Breaker(5, 30.0).of_one(backend_async),
        "breaker, fused, one argument": package.fused_one_async.fuse_one_async(
            backend_async, breaker=package.CircuitBreaker()
        ),
        "breaker, by hand, any arguments": by_hand.Breaker(5, 30.0)(backend_async),
        "breaker, decorator": package.CircuitBreaker()(backend_async),
        "count window, by hand, one argument": by_hand.WindowedBreaker(100, 50, 100, 30.0).of_one(backend_async),
        "count window, fused, one argument": package.fused_one_windowed_async.fuse_one_windowed_async(
            backend_async, breaker=package.CountWindowBreaker(window=100, minimum=100)
        ),
        "count window, by hand": by_hand.WindowedBreaker(100, 50, 100, 30.0)(backend_async),
        "count window, decorator": package.CountWindowBreaker(window=100, minimum=100)(backend_async),
        "count window, filling, by hand": by_hand.WindowedBreaker(ENDLESS, 50, ENDLESS, 30.0)(backend_async),
        "count window, filling, decorator": package.CountWindowBreaker(window=ENDLESS, minimum=ENDLESS)(backend_async),
        "time window, decorator": package.TimeWindowBreaker(minimum=100)(backend_async),
        "retry, decorator": package.Retry(idempotent=True)(backend_async),
        "bulkhead, decorator": package.Bulkhead(capacity=10)(backend_async),
        "three layers, by hand, fused": by_hand.fused_async(
            backend_async, by_hand.Retry(3, 0.1, 5.0), by_hand.Breaker(5, 30.0), by_hand.AsyncBulkhead(10)
        ),
        "three layers, fused": package.fused_three_async.fuse_three_async(backend_async, **layers),
        "three layers with a window, by hand, fused": by_hand.fused_async(
            backend_async,
            by_hand.Retry(3, 0.1, 5.0),
            by_hand.WindowedBreaker(100, 50, 100, 30.0),
            by_hand.AsyncBulkhead(10),
        ),
        "three layers with a window, fused": package.fused_three_windowed_async.fuse_three_windowed_async(
            backend_async, **three(package, windowed=True)
        ),
        "three layers, decorators": layers["retry"](layers["breaker"](layers["bulkhead"](backend_async))),
    }


# --- measuring -------------------------------------------------------------------------------------------------------

RATIOS = (
    ("breaker, fused, one argument", "breaker, by hand, one argument", 1.2),
    ("breaker, decorator", "breaker, by hand, any arguments", 1.2),
    ("count window, fused, one argument", "count window, by hand, one argument", 1.2),
    ("count window, decorator", "count window, by hand", 1.2),
    ("count window, filling, decorator", "count window, filling, by hand", 1.2),
    ("three layers, fused", "three layers, by hand, fused", 1.3),
    ("three layers with a window, fused", "three layers with a window, by hand, fused", 1.3),
)


def once(fn: Plain) -> float:
    begin = time.thread_time_ns()
    for x in range(LOOPS):
        fn(x)
    return (time.thread_time_ns() - begin) / LOOPS


async def once_async(fn: Async) -> float:
    begin = time.thread_time_ns()
    for x in range(LOOPS):
        await fn(x)
    return (time.thread_time_ns() - begin) / LOOPS


def least(variants: dict[str, Any], measure: Callable[[Any], float], rounds: int) -> dict[str, float]:
    best = dict.fromkeys(variants, float("inf"))
    gc.disable()
    for _ in range(rounds):
        for name, fn in variants.items():
            best[name] = min(best[name], measure(fn))
    gc.enable()
    return best


def show(title: str, best: dict[str, float]) -> None:
    bare = best["bare call"]
    print(f"\n{title}, ns a call\n  {'':<44}{'total':>8}{'overhead':>10}")
    for name, total in best.items():
        print(f"  {name:<44}{total:8.0f}{total - bare:10.0f}")
    for ours, theirs, target in RATIOS:
        whole = best[ours] / best[theirs]
        over = (best[ours] - bare) / (best[theirs] - bare)
        print(f"  {ours} / {theirs}: total {whole:.2f}, overhead {over:.2f} (target {target})")


def contended(variants: dict[str, Plain], threads: int) -> None:
    """Calls per second of all threads together."""
    print(f"\n{threads} threads at once, million calls a second, all together")
    for name in ("bare call", "breaker, by hand, any arguments", "breaker, decorator", "three layers, fused"):
        fn = variants[name]
        begin = time.perf_counter()
        workers = [threading.Thread(target=lambda fn=fn: [once(fn) for _ in range(20)]) for _ in range(threads)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        print(f"  {name:<44}{threads * 20 * LOOPS / (time.perf_counter() - begin) / 1e6:8.2f}")


def memory(package: Any) -> None:
    print("\nmemory of an instance, bytes")
    makers = {
        "CircuitBreaker": package.CircuitBreaker,
        "CountWindowBreaker": package.CountWindowBreaker,
        "TimeWindowBreaker": package.TimeWindowBreaker,
        "Retry": lambda: package.Retry(idempotent=True),
        "Bulkhead": package.Bulkhead,
        "Timeout": lambda: package.Timeout(1.0),
        "Cache": lambda: package.Cache(ttl=1.0),
        "RateLimiter": lambda: package.RateLimiter(rate=1.0),
    }
    for name, make in makers.items():
        make()
        tracemalloc.start()
        kept = [make() for _ in range(200)]
        size = tracemalloc.get_traced_memory()[0] / len(kept)
        tracemalloc.stop()
        print(f"  {name:<44}{size:8.0f}")


def importing(folder: Path) -> None:
    print("\nimport, ms, the least of five, in a fresh interpreter")
    for name in ("threading, functools, typing, enum", "resilience_bench", "asyncio"):
        what = name.replace(" ", "")
        code = f"import time; t = time.perf_counter(); import {what}; print((time.perf_counter() - t) * 1e3)"
        times = [
            float(subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, check=True).stdout)
            for _ in range(5)
        ]
        print(f"  {name:<44}{min(times):8.1f}")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=300)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as name:
        package = generated(Path(name))
        print(f"CPython {sys.version.split()[0]}, {rounds} rounds of {LOOPS} calls, the least of each")
        variants = plain(package)
        show("plain functions", least(variants, once, rounds))
        show(
            "coroutine functions",
            least(asynchronous(package), lambda fn: asyncio.run(once_async(fn)), rounds),
        )
        contended(variants, 8)
        memory(package)
        importing(Path(name))


if __name__ == "__main__":
    main()
