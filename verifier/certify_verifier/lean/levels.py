"""Universe levels and their order.

Rules this module keeps (Carneiro, "The Type Theory of Lean", §2.1 and §2.6.1):

- levels are 0, successor, `max`, `imax` and parameters; `imax a b` is 0 when `b` is 0 and `max a b` otherwise;
- `a ≤ b` means: under every assignment of natural numbers to the parameters the value of `a` is at most that of `b`;
- the decision is exact: parameters that stand to the right of an `imax` are split into "zero" and "positive", which
  turns every level into a maximum of `parameter + k` and a constant, where the order can be read off;
- equal levels built twice are one object, so identity is a fast first test.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from itertools import product
from typing import Any, Final, final

from certify_verifier.lean.errors import Exhausted
from certify_verifier.lean.names import Name

MAX_SPLIT: Final = 10
"""Parameters to the right of an `imax` that one comparison may split; each doubles the cases."""


class Level:
    """A universe level; build one with `succ`, `max_of`, `imax_of`, `param`, `meta` or take `ZERO`."""

    __slots__ = ("guards", "has_meta", "has_param", "unknowns")
    has_param: bool
    has_meta: bool
    unknowns: frozenset[Level]
    guards: frozenset[Level]


@final
class Zero(Level):
    """The least level, the level of `Prop`."""

    __slots__ = ()


@final
class Succ(Level):
    """The level one above `pred`."""

    __slots__ = ("pred",)
    pred: Level


@final
class Max(Level):
    """The greater of two levels."""

    __slots__ = ("left", "right")
    left: Level
    right: Level


@final
class IMax(Level):
    """The level of a dependent product: 0 when `right` is 0, the greater of the two otherwise."""

    __slots__ = ("left", "right")
    left: Level
    right: Level


@final
class Param(Level):
    """A universe parameter of a declaration."""

    __slots__ = ("name",)
    name: Name


@final
class LevelMeta(Level):
    """A universe that elaboration has yet to find; the kernel refuses it."""

    __slots__ = ("ident",)
    ident: int


_table: dict[tuple[Any, ...], Level] = {}
_order: dict[tuple[Level, Level], bool] = {}


_NONE: Final[frozenset[Level]] = frozenset()


def _note(level: Level, unknowns: frozenset[Level], guards: frozenset[Level]) -> None:
    """Record the parameters of a level, and those that decide whether some `imax` in it is zero."""
    level.unknowns = unknowns
    level.guards = guards
    level.has_param = any(isinstance(u, Param) for u in unknowns)
    level.has_meta = any(isinstance(u, LevelMeta) for u in unknowns)


def _zero() -> Zero:
    level = Zero()
    _note(level, _NONE, _NONE)
    return level


ZERO: Final = _zero()


def succ(pred: Level) -> Level:
    """The successor of a level."""
    key = ("s", pred)
    found = _table.get(key)
    if found is None:
        level = Succ()
        level.pred = pred
        _note(level, pred.unknowns, pred.guards)
        _table[key] = found = level
    return found


ONE: Final = succ(ZERO)


def max_of(left: Level, right: Level) -> Level:
    """The greater of two levels, trivial cases simplified."""
    if left is right or isinstance(right, Zero):
        return left
    if isinstance(left, Zero):
        return right
    key = ("m", left, right)
    found = _table.get(key)
    if found is None:
        level = Max()
        level.left, level.right = left, right
        _note(level, left.unknowns | right.unknowns, left.guards | right.guards)
        _table[key] = found = level
    return found


def imax_of(left: Level, right: Level) -> Level:
    """The impredicative maximum of two levels, trivial cases simplified."""
    if isinstance(right, Zero) or left is right or isinstance(left, Zero):
        return right
    if isinstance(right, Succ):
        return max_of(left, right)
    key = ("i", left, right)
    found = _table.get(key)
    if found is None:
        level = IMax()
        level.left, level.right = left, right
        _note(level, left.unknowns | right.unknowns, left.guards | right.guards | right.unknowns)
        _table[key] = found = level
    return found


def param(name: Name) -> Level:
    """The parameter with this name."""
    key = ("p", name)
    found = _table.get(key)
    if found is None:
        level = Param()
        level.name = name
        _note(level, frozenset((level,)), _NONE)
        _table[key] = found = level
    return found


def meta(ident: int) -> Level:
    """The level to be found with this number."""
    key = ("?", ident)
    found = _table.get(key)
    if found is None:
        level = LevelMeta()
        level.ident = ident
        _note(level, frozenset((level,)), _NONE)
        _table[key] = found = level
    return found


def numeral(value: int) -> Level:
    """The level of a natural number."""
    level: Level = ZERO
    for _ in range(value):
        level = succ(level)
    return level


def rewrite(level: Level, change: Callable[[Level], Level]) -> Level:
    """The level with its parameters and unknowns changed, shared parts visited once."""
    cache: dict[Level, Level] = {}

    def go(level: Level) -> Level:
        if not level.unknowns:
            return level
        found = cache.get(level)
        if found is None:
            if isinstance(level, Succ):
                found = succ(go(level.pred))
            elif isinstance(level, Max):
                found = max_of(go(level.left), go(level.right))
            elif isinstance(level, IMax):
                found = imax_of(go(level.left), go(level.right))
            else:
                found = change(level)
            cache[level] = found
        return found

    return go(level)


def substitute(level: Level, values: Mapping[Name, Level]) -> Level:
    """The level with parameters replaced at once."""
    if not level.has_param:
        return level
    return rewrite(level, lambda u: values.get(u.name, u) if isinstance(u, Param) else u)


def parameters(level: Level) -> set[Name]:
    """The names of the parameters in the level."""
    return {u.name for u in level.unknowns if isinstance(u, Param)}


class _Sum:
    """A maximum of `unknown + offset` and a constant, under one choice of which unknowns are zero or positive."""

    __slots__ = ("constant", "offsets")

    def __init__(self, constant: int, offsets: dict[Level, int]) -> None:
        self.constant = constant
        self.offsets = offsets

    def least(self, positive: Mapping[Level, bool]) -> int:
        """The least value over all assignments that fit the choice."""
        lows = (offset + (1 if positive.get(unknown) else 0) for unknown, offset in self.offsets.items())
        return max(self.constant, *lows, 0)


def _evaluate(level: Level, positive: Mapping[Level, bool]) -> _Sum:
    cache: dict[Level, _Sum] = {}

    def go(level: Level) -> _Sum:
        found = cache.get(level)
        if found is None:
            found = cache[level] = compute(level)
        return found

    def compute(level: Level) -> _Sum:
        if isinstance(level, Succ):
            below = go(level.pred)
            return _Sum(below.constant + 1, {unknown: offset + 1 for unknown, offset in below.offsets.items()})
        if isinstance(level, Max | IMax):
            right = go(level.right)
            if isinstance(level, IMax) and right.least(positive) == 0:
                return right
            left = go(level.left)
            offsets = dict(left.offsets)
            for unknown, offset in right.offsets.items():
                offsets[unknown] = max(offset, offsets.get(unknown, 0))
            return _Sum(max(left.constant, right.constant), offsets)
        if isinstance(level, Param | LevelMeta) and positive.get(level, True):
            return _Sum(0, {level: 0})
        return _Sum(0, {})

    return go(level)


def _is_at_most(low: _Sum, high: _Sum, positive: Mapping[Level, bool]) -> bool:
    if low.constant > high.least(positive):
        return False
    return all(high.offsets.get(unknown, -1) >= offset for unknown, offset in low.offsets.items())


def leq(low: Level, high: Level) -> bool:
    """Whether `low ≤ high` under every assignment.

    Raises:
        Exhausted: more than `MAX_SPLIT` parameters would have to be split.
    """
    if low is high or isinstance(low, Zero):
        return True
    key = (low, high)
    known = _order.get(key)
    if known is None:
        guards = list(low.guards | high.guards)
        if len(guards) > MAX_SPLIT:
            raise Exhausted(f"a universe comparison with {len(guards)} parameters under `imax`")
        known = all(
            _is_at_most(_evaluate(low, positive), _evaluate(high, positive), positive)
            for choice in product((False, True), repeat=len(guards))
            for positive in (dict(zip(guards, choice, strict=True)),)
        )
        _order[key] = known
    return known


def equal(left: Level, right: Level) -> bool:
    """Whether two levels have the same value under every assignment."""
    return left is right or (leq(left, right) and leq(right, left))


def is_zero(level: Level) -> bool:
    """Whether the level is 0 under every assignment."""
    return leq(level, ZERO)


def is_never_zero(level: Level) -> bool:
    """Whether the level is at least 1 under every assignment."""
    return leq(ONE, level)


def show(level: Level, depth: int = 6) -> str:
    """The level as Lean writes it, cut off `depth` levels down."""
    offset = 0
    while isinstance(level, Succ):
        level = level.pred
        offset += 1
    if isinstance(level, Zero):
        return str(offset)
    if isinstance(level, Max | IMax):
        if not depth:
            return "…"
        word = "max" if isinstance(level, Max) else "imax"
        base = f"{word} {_show_argument(level.left, depth - 1)} {_show_argument(level.right, depth - 1)}"
        return f"({base})+{offset}" if offset else base
    base = level.name if isinstance(level, Param) else f"?u{level.ident}" if isinstance(level, LevelMeta) else "?"
    return f"{base}+{offset}" if offset else base


def _show_argument(level: Level, depth: int) -> str:
    text = show(level, depth)
    return text if text.isidentifier() or text.isdigit() else f"({text})"


@contextmanager
def scope() -> Iterator[None]:
    """Forget, at the end, the levels and comparisons made inside."""
    mark = len(_table)
    try:
        yield
    finally:
        while len(_table) > mark:
            _table.popitem()
        _order.clear()
