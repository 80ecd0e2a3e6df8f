"""Checks that run side by side parse one after the other, whoever parses."""

from __future__ import annotations

import ast
import gc
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from certify import parsing


def at_once(work: Callable[[], object]) -> list[BaseException]:
    """What four threads raise that do the same at once."""
    raised: list[BaseException] = []

    def attempt() -> None:
        try:
            work()
        except BaseException as error:
            raised.append(error)

    threads = [threading.Thread(target=attempt) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return raised


def give_way(_phase: str, _info: dict[str, int]) -> None:
    """Let another thread go on."""
    time.sleep(0)


def test_one_thread_parses_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Seeded: a parser that two threads may not be in at once, called as libraries call it."""
    inside: list[int] = []
    most: list[int] = []

    def fragile(*_arguments: Any, **_named: Any) -> ast.Module:
        inside.append(1)
        most.append(len(inside))
        time.sleep(0.01)
        inside.pop()
        return ast.Module([], [])

    monkeypatch.setattr(parsing, "_usual", fragile)
    with parsing.in_turn():
        assert at_once(lambda: ast.parse("x")) == []
    assert (len(most), max(most)) == (4, 1)
    assert ast.parse is fragile
    monkeypatch.undo()
    with parsing.in_turn():
        pass
    assert isinstance(ast.parse("x"), ast.Module)


def test_python_s_parser_survives_threads() -> None:
    """Seeded by CPython 3.11: without taking turns, some of these end in a SystemError.

    Another thread gets in when the collection of garbage calls Python code, as Hypothesis has it do.
    """
    text = "\n".join(f"def f{i}(a, b):\n    return [a + (b * {i}) for c in (a, b)]" for i in range(60))
    before = gc.get_threshold()
    gc.callbacks.append(give_way)
    gc.set_threshold(200)
    try:
        with parsing.in_turn(), parsing.in_turn():
            assert at_once(lambda: [ast.parse(text) for _ in range(6)]) == []
    finally:
        gc.set_threshold(*before)
        gc.callbacks.remove(give_way)
    assert ast.parse is parsing._usual
