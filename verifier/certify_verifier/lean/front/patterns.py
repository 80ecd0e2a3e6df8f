"""Patterns, read against the inductive type of what is matched.

Rules this module keeps:

- a name is a constructor where one of that name is in scope, a variable otherwise;
- a constructor takes a pattern for each explicit field; implicit fields are matched by anything;
- numbers and `n + 1` are patterns of `Nat`, `[a, b]` and `x :: xs` of lists, `(a, b)` of pairs, `⟨…⟩` of any type with
  one constructor.
"""

from __future__ import annotations

from dataclasses import dataclass

from certify_verifier.lean import rules
from certify_verifier.lean.environment import Constructor, Environment, Inductive
from certify_verifier.lean.exprs import Binder, Pi
from certify_verifier.lean.front import syntax as s
from certify_verifier.lean.front.errors import Spot, Unsupported, Wrong
from certify_verifier.lean.front.scope import FileScope
from certify_verifier.lean.names import Name

_MAX_NUMBER = 1000


@dataclass(frozen=True, slots=True)
class Anything:
    """A pattern that fits every value, and the name it gives it, empty for none."""

    name: str


@dataclass(frozen=True, slots=True)
class Made:
    """A pattern that fits the values of one constructor; a pattern for each field."""

    constructor: Name
    fields: tuple[s.Term, ...]


def read_pattern(pattern: s.Term, inductive: Inductive | None, scope: FileScope) -> Anything | Made:
    """What a pattern fits, among the values of an inductive type (`None`: the type is not inductive).

    Raises:
        Wrong: the pattern does not fit the type.
        Unsupported: the form of the pattern is not known here.
    """
    if isinstance(pattern, s.Hole):
        return Anything("")
    if isinstance(pattern, s.Ident):
        constructor = constructor_named(pattern.name, pattern.spot, scope)
        if constructor is None:
            if "." in pattern.name:
                raise Wrong(rules.UNKNOWN_NAME, f"there is no constructor `{pattern.name}`", pattern.spot)
            return Anything(pattern.name)
        return _made(constructor, (), inductive, pattern.spot, scope.environment)
    head, args = _as_application(pattern, inductive, scope)
    return _made(head, args, inductive, pattern.spot, scope.environment)


def constructor_named(name: str, spot: Spot, scope: FileScope) -> Name | None:
    """The constructor that a name in a pattern means, `rfl` standing for `Eq.refl`."""
    found = scope.resolve(name, spot)
    if found is None or found[1]:
        return None
    if found[0] == "rfl":
        return "Eq.refl"
    return found[0] if isinstance(scope.environment.constants[found[0]], Constructor) else None


def _as_application(pattern: s.Term, inductive: Inductive | None, scope: FileScope) -> tuple[Name, tuple[s.Term, ...]]:
    """A pattern's constructor and the patterns written for its explicit fields."""
    spot = pattern.spot
    match pattern:
        case s.ShortName():
            return _owned(pattern.name, inductive, spot), ()
        case s.Apply(fn=s.Ident() as fn):
            found = constructor_named(fn.name, fn.spot, scope)
            if found is None:
                raise Wrong(rules.BAD_PATTERN, f"`{fn.name}` is no constructor", fn.spot)
            return found, _plain_arguments(pattern)
        case s.Apply(fn=s.ShortName() as fn):
            return _owned(fn.name, inductive, spot), _plain_arguments(pattern)
        case s.Number():
            if pattern.value > _MAX_NUMBER:
                raise Unsupported(f"a number above {_MAX_NUMBER} as a pattern", spot)
            return ("Nat.succ", (s.Number(spot, pattern.value - 1),)) if pattern.value else ("Nat.zero", ())
        case s.Operator(sign="+", args=(left, s.Number(value=count))) if 1 <= count <= _MAX_NUMBER:
            below = left if count == 1 else s.Operator(spot, "+", (left, s.Number(spot, count - 1)))
            return "Nat.succ", (below,)
        case s.Operator(sign="::"):
            return "List.cons", pattern.args
        case s.ListTerm():
            if not pattern.parts:
                return "List.nil", ()
            return "List.cons", (pattern.parts[0], s.ListTerm(spot, pattern.parts[1:]))
        case s.Tuple():
            if not pattern.parts:
                return "PUnit.unit", ()
            rest = pattern.parts[1] if len(pattern.parts) == 2 else s.Tuple(spot, pattern.parts[1:])
            return "Prod.mk", (pattern.parts[0], rest)
        case s.Anonymous():
            return _anonymous(pattern, inductive, scope.environment)
        case _:
            raise Unsupported("this form of pattern", spot)


def _plain_arguments(pattern: s.Apply) -> tuple[s.Term, ...]:
    if any(arg.name for arg in pattern.args):
        raise Unsupported("named arguments in a pattern", pattern.spot)
    return tuple(arg.value for arg in pattern.args)


def _owned(name: str, inductive: Inductive | None, spot: Spot) -> Name:
    if inductive is None:
        raise Wrong(rules.BAD_PATTERN, f"`.{name}` needs an inductive type", spot)
    return f"{inductive.name}.{name}"


def _anonymous(
    pattern: s.Anonymous, inductive: Inductive | None, environment: Environment
) -> tuple[Name, tuple[s.Term, ...]]:
    maker = environment.sole_constructor(inductive.name) if inductive is not None else None
    if maker is None:
        raise Wrong(rules.BAD_PATTERN, "`⟨…⟩` needs a type with exactly one constructor", pattern.spot)
    fields = sum(explicit_fields(maker))
    parts = pattern.parts
    if len(parts) > fields > 0:
        parts = (*parts[: fields - 1], s.Anonymous(parts[fields - 1].spot, parts[fields - 1 :]))
    return maker.name, parts


def explicit_fields(constructor: Constructor) -> list[bool]:
    """For each field whether it is written out."""
    found, type_ = [], constructor.type
    for place in range(constructor.num_params + constructor.num_fields):
        assert isinstance(type_, Pi), "a constructor has as many arguments as parameters and fields"
        if place >= constructor.num_params:
            found.append(type_.info is Binder.DEFAULT)
        type_ = type_.body
    return found


def _made(
    name: Name, args: tuple[s.Term, ...], inductive: Inductive | None, spot: Spot, environment: Environment
) -> Made:
    constructor = environment.constants.get(name)
    if inductive is None or not isinstance(constructor, Constructor) or constructor.inductive != inductive.name:
        told = f"`{inductive.name}`" if inductive is not None else "a type without constructors"
        raise Wrong(rules.BAD_PATTERN, f"`{name}` is no constructor of {told}", spot)
    explicit = explicit_fields(constructor)
    fixed = _explicit_parameters(constructor)
    if fixed and len(args) == fixed + sum(explicit):
        if not all(isinstance(arg, s.Hole) for arg in args[:fixed]):
            raise Unsupported("a pattern other than `_` for what the type fixes", spot)
        args = args[fixed:]
    if sum(explicit) != len(args):
        raise Wrong(rules.BAD_PATTERN, f"`{name}` has {sum(explicit)} fields, {len(args)} are matched", spot)
    given = iter(args)
    return Made(name, tuple(next(given) if shown else s.Hole(spot) for shown in explicit))


def _explicit_parameters(constructor: Constructor) -> int:
    """How many parameters the constructor takes written out, such as the value of `Eq.refl`."""
    found, type_ = 0, constructor.type
    for _ in range(constructor.num_params):
        assert isinstance(type_, Pi), "a constructor has its parameters"
        found += type_.info is Binder.DEFAULT
        type_ = type_.body
    return found
