"""Makes an input that fails smaller, as long as it fails in the same way.

Greedy and bounded: the boldest step that still fails is taken, until none does or the tries are used up. The same
input and the same failures give the same result.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final

from certify.checks.fuzzing import text_of

_NONE: Final = object()


def simpler(value: Any) -> Iterator[Any]:
    """Values that are a little simpler, the boldest step first; every chain of steps ends."""
    match value:
        case True:
            yield False
        case False:
            return
        case int() | float():
            yield from _simpler_numbers(value)
        case str():
            yield from _simpler_texts(value)
        case list():
            yield from _simpler_lists(value)
        case dict():
            for name in value:
                yield {k: v for k, v in value.items() if k != name}
            for name, each in value.items():
                for inner in simpler(each):
                    yield {**value, name: inner}
        case _:
            return


def _simpler_numbers(value: float) -> Iterator[float]:
    steps = (
        (0, 1, int(value / 2), int(value))
        if type(value) is float
        else (0, 1, -(-value // 2) if value < 0 else value // 2, value - 1)
    )
    for step in dict.fromkeys(steps):
        if (abs(step), step < 0, isinstance(step, float)) < (abs(value), value < 0, isinstance(value, float)):
            yield step


def _simpler_texts(value: str) -> Iterator[str]:
    if not value:
        return
    half = len(value) // 2
    yield from dict.fromkeys(("", value[0], value[:half], value[half:], value[1:], value[:-1]))
    for i, sign in enumerate(value[:20]):
        for plain in "0a":
            if (ord(sign), sign) > (ord(plain), plain):
                yield value[:i] + plain + value[i + 1 :]


def _simpler_lists(value: list[Any]) -> Iterator[list[Any]]:
    if not value:
        return
    yield []
    half = len(value) // 2
    if half:
        yield value[:half]
        yield value[half:]
    for i in range(min(len(value), 12)):
        yield value[:i] + value[i + 1 :]
    for i, each in enumerate(value[:12]):
        for inner in simpler(each):
            yield [*value[:i], inner, *value[i + 1 :]]


def shrink(value: Any, fails: Callable[[Sequence[Any]], Iterable[bool]], *, most: int = 60, batch: int = 6) -> Any:
    """The simplest value found that still fails.

    Args:
        value: a value that fails.
        fails: says of each of some values whether it fails in the same way.
        most: how many values may be tried.
        batch: how many are tried at a time; the first that fails is taken.
    """
    tried = {text_of(value)}
    left = most
    current = value
    while left > 0:
        fresh = (each for each in simpler(current) if text_of(each) not in tried)
        found = False
        while left > 0 and (group := list(itertools.islice(fresh, min(batch, left)))):
            tried |= {text_of(each) for each in group}
            left -= len(group)
            better = next((each for each, bad in zip(group, fails(group), strict=True) if bad), _NONE)
            if better is not _NONE:
                current, found = better, True
                break
        if not found:
            return current
    return current
