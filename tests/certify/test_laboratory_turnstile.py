"""R-AUTOTUNE: the number of runs at once follows the machine's processors and memory, and can be overridden."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from certify.laboratory import turnstile
from certify.laboratory.turnstile import ThisMachine, Turnstile

MEGABYTE = 2**20
NODE = 256 * MEGABYTE


@dataclass
class Pretended:
    """A machine of two processors that is as idle as it is told."""

    rest: float = 0.0
    memory: int = 2**40
    processors: int = 2

    def idle(self) -> float:
        return self.rest

    def free(self) -> int:
        return self.memory


@pytest.fixture
def moments(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Time goes on by as much as lies between two looks, whenever this is called."""
    now = [0.0]
    monkeypatch.setattr(turnstile.time, "monotonic", lambda: now[0])

    def go_on() -> None:
        now[0] += 1.0

    return go_on


@contextmanager
def crowd(door: Turnstile, size: int, moments: Callable[[], None]) -> Iterator[None]:
    """So many are inside, with time going on between one and the next."""
    with ExitStack() as stack:
        for _ in range(size):
            moments()
            stack.enter_context(door.turn())
        moments()
        yield


def held_back(door: Turnstile) -> bool:
    """Whether one more is made to wait."""
    came_in = threading.Event()

    def enter() -> None:
        with door.turn():
            came_in.set()

    threading.Thread(target=enter, daemon=True).start()
    return not came_in.wait(0.5)


def test_busy_machine_gets_one_run_for_each_processor(moments: Callable[[], None]) -> None:
    """R-AUTOTUNE: without idle processors, a third run waits."""
    door = Turnstile(None, NODE, Pretended(rest=0.01))
    with crowd(door, 2, moments):
        assert held_back(door)
    assert door.peak == 2


def test_idle_processors_are_used(moments: Callable[[], None]) -> None:
    """R-AUTOTUNE: while processors have nothing to do, more come in, up to four for each."""
    door = Turnstile(None, NODE, Pretended(rest=0.9))
    with crowd(door, 8, moments):
        assert held_back(door)
    assert (door.peak, door.limit) == (8, 8)


def test_number_falls_when_the_machine_gets_busy(moments: Callable[[], None]) -> None:
    """R-AUTOTUNE: what was more than the processors goes again, one at a time, and not below them."""
    machine = Pretended(rest=0.9)
    door = Turnstile(None, NODE, machine)
    with crowd(door, 6, moments):
        pass
    machine.rest = 0.0
    limits = []
    for _ in range(6):
        with crowd(door, 1, moments):
            limits.append(door.limit)
    assert limits == [5, 4, 3, 2, 2, 2]


def test_memory_sets_the_limit(moments: Callable[[], None]) -> None:
    """R-AUTOTUNE: never over the machine's limits, and never none."""
    machine = Pretended(rest=0.9, memory=NODE)
    door = Turnstile(None, NODE, machine)
    with crowd(door, 1, moments):
        assert held_back(door)
    assert door.peak == 1


def test_number_given_is_the_number(moments: Callable[[], None]) -> None:
    """R-AUTOTUNE: `--jobs` overrides what is measured, both ways."""
    idle, busy = (Turnstile(3, NODE, Pretended(rest=rest)) for rest in (0.9, 0.0))
    for door in (idle, busy):
        with crowd(door, 3, moments):
            assert held_back(door)
        assert (door.most, door.peak) == (3, 3)


def test_idle_is_what_the_kernel_calls_idle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """R-AUTOTUNE, seeded: the fields of /proc/stat were counted from the wrong one, and no machine was ever idle."""
    stat = tmp_path / "stat"
    monkeypatch.setattr(turnstile, "_STAT", stat)
    monkeypatch.setattr(turnstile.os, "sched_getaffinity", lambda _process: {1})
    busy = "cpu0 900 0 0 0 0 0 0 0 0 0\n"
    stat.write_text(f"cpu 0 0 0 0 0 0 0 0 0 0\n{busy}cpu1 100 10 50 1000 20 3 4 5 0 0\n")
    machine = ThisMachine()
    stat.write_text(f"cpu 0 0 0 0 0 0 0 0 0 0\n{busy}cpu1 110 10 55 1070 30 5 5 7 7 0\n")
    assert machine.idle() == pytest.approx(80 / 100)
    assert machine.idle() == 0.0


def test_this_machine_is_measured() -> None:
    """R-AUTOTUNE: processors, idleness and memory come from the kernel."""
    machine = ThisMachine()
    assert machine.processors == len(os.sched_getaffinity(0))
    assert 0.0 <= machine.idle() <= 1.0
    assert 0 < machine.free() <= os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
