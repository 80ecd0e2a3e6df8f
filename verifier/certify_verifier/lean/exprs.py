"""Expressions of Lean's core theory, one object for each.

Rules this module keeps (Carneiro, "The Type Theory of Lean", §2.1; the Lean 4 reference, "Expressions"):

- bound variables are de Bruijn indices, free ones are `Local`s that carry their type (locally nameless terms);
- an expression built twice is one object: equality of terms up to names of binders is at most a walk, identity is free;
- `loose` is one more than the greatest loose index, 0 for a closed term, so that substitution stops early;
- terms built inside a `scope()` are forgotten at its end; terms built outside live as long as the process.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from typing import Any, Final, final

from certify_verifier.lean import levels
from certify_verifier.lean.levels import Level
from certify_verifier.lean.names import Name


class Binder(StrEnum):
    """How an argument is given: written out, or found by elaboration."""

    DEFAULT = "default"
    IMPLICIT = "implicit"
    STRICT = "strictImplicit"
    INSTANCE = "instImplicit"


class Expr:
    """An expression; `has_local`, `has_param` and `has_meta` say what occurs in it."""

    __slots__ = ("has_local", "has_meta", "has_param", "loose")
    loose: int
    has_local: bool
    has_param: bool
    has_meta: bool


@final
class BVar(Expr):
    """A bound variable, by its distance from the binder."""

    __slots__ = ("index",)
    index: int


@final
class Local(Expr):
    """A free variable: a number that keeps it apart, a name to show, its type."""

    __slots__ = ("ident", "name", "type")
    ident: int
    name: Name
    type: Expr


@final
class Meta(Expr):
    """A term that elaboration has yet to find; the kernel refuses it."""

    __slots__ = ("ident",)
    ident: int


@final
class Sort(Expr):
    """The universe of a level: `Prop` for 0, `Type u` for `u + 1`."""

    __slots__ = ("level",)
    level: Level


@final
class Const(Expr):
    """A declared constant at given universe levels."""

    __slots__ = ("levels", "name")
    name: Name
    levels: tuple[Level, ...]


@final
class App(Expr):
    """A function applied to one argument."""

    __slots__ = ("arg", "fn")
    fn: Expr
    arg: Expr


class Binding(Expr):
    """A lambda or a product: a name to show, how the argument is given, its type, the body."""

    __slots__ = ("body", "info", "name", "type")
    name: Name
    info: Binder
    type: Expr
    body: Expr


@final
class Lam(Binding):
    """A function."""

    __slots__ = ()


@final
class Pi(Binding):
    """A dependent product."""

    __slots__ = ()


@final
class Let(Expr):
    """A local definition."""

    __slots__ = ("body", "name", "type", "value")
    name: Name
    type: Expr
    value: Expr
    body: Expr


@final
class Proj(Expr):
    """A field of a structure value, counted from 0 after the parameters."""

    __slots__ = ("index", "struct", "type_name")
    type_name: Name
    index: int
    struct: Expr


@final
class NatLit(Expr):
    """A natural number."""

    __slots__ = ("value",)
    value: int


@final
class StrLit(Expr):
    """A string."""

    __slots__ = ("value",)
    value: str


_table: dict[tuple[Any, ...], Any] = {}


def _flags(e: Expr, loose: int, has_local: bool, has_param: bool, has_meta: bool) -> None:
    e.loose = loose
    e.has_local = has_local
    e.has_param = has_param
    e.has_meta = has_meta


def bvar(index: int) -> Expr:
    """The bound variable `index` binders out."""
    key = (0, index)
    found: Expr | None = _table.get(key)
    if found is None:
        e = BVar()
        e.index = index
        _flags(e, index + 1, False, False, False)
        _table[key] = found = e
    return found


def local(ident: int, name: Name, type_: Expr) -> Local:
    """The free variable with this number and type; numbers are kept apart by whoever makes locals."""
    key = (1, ident, name, type_)
    found: Local | None = _table.get(key)
    if found is None:
        found = Local()
        found.ident, found.name, found.type = ident, name, type_
        _flags(found, 0, True, type_.has_param, type_.has_meta)
        _table[key] = found
    return found


def meta(ident: int) -> Expr:
    """The term to be found with this number."""
    key = (2, ident)
    found: Expr | None = _table.get(key)
    if found is None:
        e = Meta()
        e.ident = ident
        _flags(e, 0, False, False, True)
        _table[key] = found = e
    return found


def sort(level: Level) -> Sort:
    """The universe of a level."""
    key = (3, level)
    found: Sort | None = _table.get(key)
    if found is None:
        found = Sort()
        found.level = level
        _flags(found, 0, False, level.has_param, level.has_meta)
        _table[key] = found
    return found


def const(name: Name, levels_: Sequence[Level] = ()) -> Const:
    """A constant at given levels."""
    at = tuple(levels_)
    key = (4, name, at)
    found: Const | None = _table.get(key)
    if found is None:
        found = Const()
        found.name, found.levels = name, at
        _flags(found, 0, False, any(u.has_param for u in at), any(u.has_meta for u in at))
        _table[key] = found
    return found


def app(fn: Expr, arg: Expr) -> Expr:
    """One application."""
    key = (fn, arg)
    found: Expr | None = _table.get(key)
    if found is None:
        e = App()
        e.fn, e.arg = fn, arg
        e.loose = max(arg.loose, fn.loose)
        e.has_local = fn.has_local or arg.has_local
        e.has_param = fn.has_param or arg.has_param
        e.has_meta = fn.has_meta or arg.has_meta
        _table[key] = found = e
    return found


def _binding(e: Binding, name: Name, info: Binder, type_: Expr, body: Expr) -> None:
    e.name, e.info, e.type, e.body = name, info, type_, body
    _flags(
        e,
        max(type_.loose, body.loose - 1),
        type_.has_local or body.has_local,
        type_.has_param or body.has_param,
        type_.has_meta or body.has_meta,
    )


def lam(name: Name, type_: Expr, body: Expr, info: Binder = Binder.DEFAULT) -> Expr:
    """A function of one argument."""
    key = (6, name, info, type_, body)
    found: Expr | None = _table.get(key)
    if found is None:
        e = Lam()
        _binding(e, name, info, type_, body)
        _table[key] = found = e
    return found


def pi(name: Name, type_: Expr, body: Expr, info: Binder = Binder.DEFAULT) -> Expr:
    """A product over one argument."""
    key = (7, name, info, type_, body)
    found: Expr | None = _table.get(key)
    if found is None:
        e = Pi()
        _binding(e, name, info, type_, body)
        _table[key] = found = e
    return found


def let(name: Name, type_: Expr, value: Expr, body: Expr) -> Expr:
    """A local definition in a body."""
    key = (8, name, type_, value, body)
    found: Expr | None = _table.get(key)
    if found is None:
        e = Let()
        e.name, e.type, e.value, e.body = name, type_, value, body
        parts = (type_, value, body)
        _flags(
            e,
            max(type_.loose, value.loose, body.loose - 1),
            any(p.has_local for p in parts),
            any(p.has_param for p in parts),
            any(p.has_meta for p in parts),
        )
        _table[key] = found = e
    return found


def proj(type_name: Name, index: int, struct: Expr) -> Expr:
    """A field of a structure value."""
    key = (9, type_name, index, struct)
    found: Expr | None = _table.get(key)
    if found is None:
        e = Proj()
        e.type_name, e.index, e.struct = type_name, index, struct
        _flags(e, struct.loose, struct.has_local, struct.has_param, struct.has_meta)
        _table[key] = found = e
    return found


def nat(value: int) -> NatLit:
    """A natural number literal."""
    key = (10, value)
    found: NatLit | None = _table.get(key)
    if found is None:
        found = NatLit()
        found.value = value
        _flags(found, 0, False, False, False)
        _table[key] = found
    return found


def string(value: str) -> StrLit:
    """A string literal."""
    key = (11, value)
    found: StrLit | None = _table.get(key)
    if found is None:
        found = StrLit()
        found.value = value
        _flags(found, 0, False, False, False)
        _table[key] = found
    return found


PROP: Final = sort(levels.ZERO)
TYPE: Final = sort(levels.ONE)


def apply(fn: Expr, args: Sequence[Expr]) -> Expr:
    """A function applied to several arguments, first one first."""
    for arg in args:
        fn = app(fn, arg)
    return fn


def head_of(e: Expr) -> Expr:
    """What stands at the head of a chain of applications."""
    while isinstance(e, App):
        e = e.fn
    return e


def unapply(e: Expr) -> tuple[Expr, list[Expr]]:
    """The head and the arguments of a chain of applications."""
    args: list[Expr] = []
    while isinstance(e, App):
        args.append(e.arg)
        e = e.fn
    args.reverse()
    return e, args


def count() -> int:
    """How many terms there are."""
    return len(_table)


@contextmanager
def scope() -> Iterator[None]:
    """Forget, at the end, the terms and levels made inside."""
    with levels.scope():
        mark = len(_table)
        try:
            yield
        finally:
            while len(_table) > mark:
                _table.popitem()
