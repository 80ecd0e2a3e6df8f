"""Generated code under every Python that is installed: threads, tasks, cancellation, time; warnings are errors."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from codegen_support import write_package

EXERCISE = """\
import asyncio, sys, threading
from everywhere import *

assert "asyncio" in sys.modules
time = [0]
told = []
tell = lambda event: told.append(event.kind)
breaker = CircuitBreaker(failure_threshold=2, recovery_time=1.0, clock=lambda: time[0], on_event=tell)
def work(x):
    if x < 0:
        raise OSError(x)
    return x
guarded = breaker(work)
for _ in range(2):
    try: guarded(-1)
    except OSError: pass
try: guarded(1)
except CircuitOpen as error: assert error.retry_after == 1.0
time[0] = 10**9
assert guarded(1) == 1 and breaker.state == "closed"
assert told == ["opened", "rejected", "half_opened", "closed"], told

left = [-1, -1, 7]
assert Retry(attempts=3, idempotent=True, sleep=lambda s: None, base=1e-9, cap=1e-9)(lambda: work(left.pop(0)))() == 7

bulkhead = Bulkhead(capacity=2, queue_limit=100)
now, peak, lock = [0], [0], threading.Lock()
@bulkhead
def busy():
    with lock:
        now[0] += 1
        peak[0] = max(peak[0], now[0])
    for _ in range(200): pass
    with lock: now[0] -= 1
threads = [threading.Thread(target=lambda: [busy() for _ in range(100)]) for _ in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
assert peak[0] <= 2 and bulkhead.snapshot()[:3] == (2, 2, 0), (peak, bulkhead.snapshot())

loads = []
cache = Cache(ttl=60.0)
@cache
def load(key):
    loads.append(key)
    for _ in range(2000): pass
    return work(key)
threads = [threading.Thread(target=lambda: [load(key) for key in range(20)]) for _ in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
assert sorted(loads) == list(range(20)) and cache.snapshot()[:2] == (20, 0), (loads, cache.snapshot())

window = CountWindowBreaker(window=4, minimum=4, failure_rate=50)
within = window(work)
for x in (1, 1, 1, 1, 1, -1, 1, -1):
    try: within(x)
    except OSError: pass
assert window.state == "open" and window.snapshot().era == 1

async def main():
    @bulkhead
    async def hold(): await asyncio.sleep(0.001)
    tasks = [asyncio.ensure_future(hold()) for _ in range(20)]
    await asyncio.sleep(0)
    for task in tasks[::3]: task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert bulkhead.snapshot()[:3] == (2, 2, 0)
    try: await Timeout(0.001)(asyncio.sleep)(10)
    except DeadlineExceeded: pass
    else: raise AssertionError
    with Timeout(5.0): assert remaining() <= 5.0
    assert await Hedge(delay=0.001, idempotent=True)(asyncio.sleep)(0.01, "x") == "x"
    assert await Fallback(lambda: "y")(breaker(Retry(attempts=1, idempotent=True)(fails)))() == "y"
async def fails(): raise OSError
asyncio.run(main())
try: breaker(generator)
except NameError: pass
def generator(): yield
try: breaker(generator)
except TypeError: print("fine")
"""


def interpreters() -> list[str]:
    """The Pythons from 3.11 on that are installed here, each release once."""
    found: dict[str, str] = {}
    for minor in range(11, 16):
        for name in (f"python3.{minor}", f"python3.{minor}t"):
            places = sorted((Path.home() / ".pyenv" / "versions").glob(f"3.{minor}.*/bin/{name}"))
            path = str(places[-1]) if places else shutil.which(name)
            if path is not None and "shims" not in Path(path).parts:
                found[name] = path
    return list(found.values())


@pytest.mark.parametrize("python", interpreters(), ids=lambda path: Path(path).name)
def test_generated_code_works(python: str, tmp_path: Path) -> None:
    """Must show: the package works on every release from 3.11 on that can be had, free-threaded ones included."""
    write_package(tmp_path / "everywhere")
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    command = [python, "-W", "error", "-c", EXERCISE]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "fine\n", "")
