"""Operations on expressions: substitution, abstraction, occurrences, equality up to binder names.

Rules this module keeps:

- substitution of closed terms for loose indices is capture-free because free variables are `Local`s, never indices;
- each operation visits a shared subterm once for each depth of binders above it;
- `same` compares up to names and kinds of binders, and levels by their value.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

from certify_verifier.lean import exprs as ex
from certify_verifier.lean import levels
from certify_verifier.lean.exprs import App, Binder, Binding, BVar, Const, Expr, Lam, Let, Local, Pi, Proj, Sort, StrLit
from certify_verifier.lean.levels import Level
from certify_verifier.lean.names import Name

_IN_STRINGS: Final = ("String", "String.mk", "String.ofList", "Char", "Char.ofNat", "List.nil", "List.cons")


def instantiate(body: Expr, values: Sequence[Expr]) -> Expr:
    """The body with loose index 0 replaced by the last value, 1 by the one before it, and so on.

    The values stand for binders in the order written, outermost first; loose indices of theirs keep their meaning.
    """
    if not body.loose:
        return body
    count = len(values)
    cache: dict[tuple[Expr, int], Expr] = {}

    def go(e: Expr, depth: int) -> Expr:
        if e.loose <= depth:
            return e
        if isinstance(e, BVar):
            index = e.index - depth
            return lift(values[count - 1 - index], depth) if index < count else ex.bvar(e.index - count)
        key = (e, depth)
        found = cache.get(key)
        if found is None:
            found = ex.app(go(e.fn, depth), go(e.arg, depth)) if isinstance(e, App) else rebuild(e, depth, go)
            cache[key] = found
        return found

    return go(body, 0)


def lift(e: Expr, by: int) -> Expr:
    """The term as it stands under `by` more binders: its loose indices raised."""
    if not e.loose or not by:
        return e
    cache: dict[tuple[Expr, int], Expr] = {}

    def go(e: Expr, depth: int) -> Expr:
        if e.loose <= depth:
            return e
        if isinstance(e, BVar):
            return ex.bvar(e.index + by)
        key = (e, depth)
        found = cache.get(key)
        if found is None:
            found = cache[key] = rebuild(e, depth, go)
        return found

    return go(e, 0)


def abstract(e: Expr, locals_: Sequence[Local]) -> Expr:
    """The term with locals replaced by loose indices, the last local by index 0."""
    return _abstract(e, {x: i for i, x in enumerate(locals_)}, len(locals_))


def _abstract(e: Expr, order: Mapping[Expr, int], count: int) -> Expr:
    """The term with the first `count` locals of an order replaced by loose indices, the last of them by 0."""
    if not e.has_local or not count:
        return e
    cache: dict[tuple[Expr, int], Expr] = {}

    def go(e: Expr, depth: int) -> Expr:
        if not e.has_local:
            return e
        if isinstance(e, Local):
            place = order.get(e, count)
            return e if place >= count else ex.bvar(count - 1 - place + depth)
        key = (e, depth)
        found = cache.get(key)
        if found is None:
            found = cache[key] = rebuild(e, depth, go)
        return found

    return go(e, 0)


def rebuild(e: Expr, depth: int, go: Callable[[Expr, int], Expr]) -> Expr:
    """The term with its children replaced by what `go` makes of them, one binder deeper where there is one."""
    if isinstance(e, App):
        return ex.app(go(e.fn, depth), go(e.arg, depth))
    if isinstance(e, Lam):
        return ex.lam(e.name, go(e.type, depth), go(e.body, depth + 1), e.info)
    if isinstance(e, Pi):
        return ex.pi(e.name, go(e.type, depth), go(e.body, depth + 1), e.info)
    if isinstance(e, Let):
        return ex.let(e.name, go(e.type, depth), go(e.value, depth), go(e.body, depth + 1))
    if isinstance(e, Proj):
        return ex.proj(e.type_name, e.index, go(e.struct, depth))
    return e


def lambdas(locals_: Sequence[Local], body: Expr, infos: Sequence[Binder] = ()) -> Expr:
    """The function over these locals, first one outermost."""
    return _close(ex.lam, locals_, body, infos)


def products(locals_: Sequence[Local], body: Expr, infos: Sequence[Binder] = ()) -> Expr:
    """The product over these locals, first one outermost."""
    return _close(ex.pi, locals_, body, infos)


def _close(
    make: Callable[[Name, Expr, Expr, Binder], Expr], locals_: Sequence[Local], body: Expr, infos: Sequence[Binder]
) -> Expr:
    order: dict[Expr, int] = {x: i for i, x in enumerate(locals_)}
    result = _abstract(body, order, len(locals_))
    for i in range(len(locals_) - 1, -1, -1):
        info = infos[i] if infos else Binder.DEFAULT
        result = make(locals_[i].name, _abstract(locals_[i].type, order, i), result, info)
    return result


def replace(e: Expr, change: Callable[[Expr], Expr | None]) -> Expr:
    """The term with subterms replaced, outermost first, functions before arguments; `None` keeps and descends."""
    cache: dict[Expr, Expr] = {}

    def go(e: Expr, depth: int) -> Expr:
        found = cache.get(e)
        if found is None:
            changed = change(e)
            found = cache[e] = rebuild(e, depth, go) if changed is None else changed
        return found

    return go(e, 0)


def substitute_levels(e: Expr, values: Mapping[Name, Level]) -> Expr:
    """The term with universe parameters replaced."""
    if not e.has_param or not values:
        return e
    cache: dict[Expr, Expr] = {}

    def go(e: Expr, depth: int) -> Expr:
        if not e.has_param:
            return e
        found = cache.get(e)
        if found is None:
            if isinstance(e, Sort):
                found = ex.sort(levels.substitute(e.level, values))
            elif isinstance(e, Const):
                found = ex.const(e.name, [levels.substitute(u, values) for u in e.levels])
            elif isinstance(e, Local):
                found = ex.local(e.ident, e.name, go(e.type, depth))
            else:
                found = rebuild(e, depth, go)
            cache[e] = found
        return found

    return go(e, 0)


def subterms(e: Expr) -> Iterator[Expr]:
    """Every distinct subterm once, the term itself first; types of locals are not entered."""
    seen: set[Expr] = {e}
    stack = [e]
    while stack:
        e = stack.pop()
        yield e
        for part in children(e):
            if part not in seen:
                seen.add(part)
                stack.append(part)


def open_subterms(e: Expr) -> Iterator[Expr]:
    """Every distinct subterm that has a local or a hole in it, once; types of locals are not entered."""
    if not (e.has_local or e.has_meta):
        return
    seen: set[Expr] = {e}
    stack = [e]
    while stack:
        e = stack.pop()
        yield e
        for part in children(e):
            if (part.has_local or part.has_meta) and part not in seen:
                seen.add(part)
                stack.append(part)


def children(e: Expr) -> tuple[Expr, ...]:
    """The direct parts of a term, in the order written."""
    if isinstance(e, App):
        return (e.fn, e.arg)
    if isinstance(e, Binding):
        return (e.type, e.body)
    if isinstance(e, Let):
        return (e.type, e.value, e.body)
    if isinstance(e, Proj):
        return (e.struct,)
    return ()


def constants(e: Expr) -> Iterator[Name]:
    """The name of every constant and every projected structure in the term, repeats possible.

    A string literal counts as what it stands for, since the term may compute with that.
    """
    for part in subterms(e):
        if isinstance(part, Const):
            yield part.name
        elif isinstance(part, Proj):
            yield part.type_name
        elif isinstance(part, StrLit):
            yield from _IN_STRINGS


def mentions(e: Expr, names: frozenset[Name]) -> bool:
    """Whether one of these constants occurs in the term."""
    return any(name in names for name in constants(e))


def same(left: Expr, right: Expr) -> bool:
    """Whether two terms are equal up to names and kinds of binders and the writing of levels."""
    seen: set[tuple[Expr, Expr]] = set()
    stack = [(left, right)]
    while stack:
        pair = stack.pop()
        a, b = pair
        if a is b or pair in seen:
            continue
        seen.add(pair)
        if type(a) is not type(b):
            return False
        if isinstance(a, Sort) and isinstance(b, Sort):
            if not levels.equal(a.level, b.level):
                return False
        elif isinstance(a, Const) and isinstance(b, Const):
            if a.name != b.name or len(a.levels) != len(b.levels):
                return False
            if not all(map(levels.equal, a.levels, b.levels)):
                return False
        elif isinstance(a, Proj) and isinstance(b, Proj):
            if (a.type_name, a.index) != (b.type_name, b.index):
                return False
            stack.append((a.struct, b.struct))
        elif isinstance(a, App | Binding | Let):
            stack.extend(zip(children(a), children(b), strict=True))
        else:
            return False
    return True
