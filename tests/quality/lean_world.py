"""A small Lean world for the kernel's tests: terms written as Python functions, and the usual inductive types.

Binders are Python functions (`fun(nat, lambda x: …)`), so that no test counts indices by hand.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import count

from certify_verifier.lean import exprs as ex
from certify_verifier.lean import levels, quotient
from certify_verifier.lean.environment import Definition, Environment, QuotPart, Theorem
from certify_verifier.lean.exprs import Binder, Expr
from certify_verifier.lean.inductive import InductiveSpec, TypeSpec
from certify_verifier.lean.kernel import declare, declare_inductive
from certify_verifier.lean.levels import Level
from certify_verifier.lean.reduce import Budget
from certify_verifier.lean.terms import lambdas, products

STEPS = 200_000
_numbers = count(1_000_000)

U, V = levels.param("u"), levels.param("v")
PROP, TYPE = ex.PROP, ex.TYPE
ONE = levels.ONE


def c(name: str, *at: Level) -> Expr:
    """A constant."""
    return ex.const(name, at)


def a(fn: Expr, *args: Expr) -> Expr:
    """An application."""
    return ex.apply(fn, args)


def fun(type_: Expr, body: Callable[[Expr], Expr], name: str = "x") -> Expr:
    """A lambda."""
    x = ex.local(next(_numbers), name, type_)
    return lambdas([x], body(x))


def pi(type_: Expr, body: Callable[[Expr], Expr], name: str = "x") -> Expr:
    """A product."""
    x = ex.local(next(_numbers), name, type_)
    return products([x], body(x), [Binder.DEFAULT])


def arrow(*types: Expr) -> Expr:
    """Arrows between types."""
    result = types[-1]
    for type_ in reversed(types[:-1]):
        result = ex.pi("a", type_, result)
    return result


def sort(level: Level) -> Expr:
    """A universe."""
    return ex.sort(level)


def spec(name: str, type_: Expr, *constructors: tuple[str, Expr], params: int = 0, at: tuple[str, ...] = ()):
    """One inductive type; constructors are named by their last component."""
    return InductiveSpec(at, params, (TypeSpec(name, type_, tuple((f"{name}.{n}", t) for n, t in constructors)),))


NAT, BOOL, FALSE, TRUE = c("Nat"), c("Bool"), c("False"), c("True")
ZERO = c("Nat.zero")


def succ(n: Expr) -> Expr:
    """The successor of a number."""
    return a(c("Nat.succ"), n)


def eq(type_: Expr, left: Expr, right: Expr, level: Level = ONE) -> Expr:
    """An equation."""
    return a(c("Eq", level), type_, left, right)


def refl(type_: Expr, value: Expr, level: Level = ONE) -> Expr:
    """The proof of an equation by computation."""
    return a(c("Eq.refl", level), type_, value)


def budget() -> Budget:
    """Steps for one test."""
    return Budget(STEPS)


def define(environment: Environment, name: str, type_: Expr, value: Expr, at: tuple[str, ...] = ()) -> None:
    """Declare a definition."""
    declare(Definition(name, at, type_, value, 1), environment, budget())


def prove(environment: Environment, name: str, type_: Expr, value: Expr, at: tuple[str, ...] = ()) -> None:
    """Declare a theorem."""
    declare(Theorem(name, at, type_, value), environment, budget())


def induct(environment: Environment, given: InductiveSpec) -> None:
    """Declare inductive types."""
    declare_inductive(given, environment, budget())


def nat_spec() -> InductiveSpec:
    """The natural numbers."""
    return spec("Nat", TYPE, ("zero", NAT), ("succ", arrow(NAT, NAT)))


def list_spec() -> InductiveSpec:
    """Lists."""
    list_of = c("List", U)
    type_u = sort(levels.succ(U))
    return spec(
        "List",
        arrow(type_u, type_u),
        ("nil", pi(type_u, lambda t: a(list_of, t))),
        ("cons", pi(type_u, lambda t: arrow(t, a(list_of, t), a(list_of, t)))),
        params=1,
        at=("u",),
    )


def eq_spec() -> InductiveSpec:
    """Equality."""
    return spec(
        "Eq",
        pi(sort(U), lambda t: arrow(t, t, PROP)),
        ("refl", pi(sort(U), lambda t: pi(t, lambda x: a(c("Eq", U), t, x, x)))),
        params=2,
        at=("u",),
    )


def prod_spec() -> InductiveSpec:
    """Pairs."""
    su, sv = sort(levels.succ(U)), sort(levels.succ(V))
    whole = sort(levels.succ(levels.max_of(U, V)))
    return spec(
        "Prod",
        arrow(su, sv, whole),
        ("mk", pi(su, lambda s: pi(sv, lambda t: arrow(s, t, a(c("Prod", U, V), s, t))))),
        params=2,
        at=("u", "v"),
    )


def exists_spec() -> InductiveSpec:
    """Existence: a proposition that hides its witness."""
    return spec(
        "Exists",
        pi(sort(U), lambda t: arrow(arrow(t, PROP), PROP)),
        (
            "intro",
            pi(
                sort(U),
                lambda t: pi(arrow(t, PROP), lambda p: pi(t, lambda w: arrow(a(p, w), a(c("Exists", U), t, p)))),
            ),
        ),
        params=2,
        at=("u",),
    )


def by_recursion(name: str, zero: Callable[[Expr], Expr], step: Callable[[Expr, Expr, Expr], Expr]) -> Expr:
    """A function of two numbers by recursion on the second: `step first previous result`."""
    del name
    motive = fun(NAT, lambda _: NAT)
    return fun(
        NAT,
        lambda x: fun(
            NAT,
            lambda y: a(c("Nat.rec", ONE), motive, zero(x), fun(NAT, lambda n: fun(NAT, lambda r: step(x, n, r))), y),
        ),
    )


NAT2 = arrow(NAT, NAT, NAT)


def add_value() -> Expr:
    """Addition by recursion on the second number."""
    return by_recursion("add", lambda x: x, lambda _x, _n, r: succ(r))


def world() -> Environment:
    """Nat, Bool, True, False, Unit, And, Or, Eq, Exists, Prod, List, Quot, and arithmetic."""
    env = Environment()
    induct(env, nat_spec())
    induct(env, spec("Bool", TYPE, ("false", BOOL), ("true", BOOL)))
    induct(env, spec("True", PROP, ("intro", TRUE)))
    induct(env, spec("False", PROP))
    induct(env, spec("Unit", TYPE, ("unit", c("Unit"))))
    p2 = arrow(PROP, PROP, PROP)
    both = pi(PROP, lambda p: pi(PROP, lambda q: arrow(p, q, a(c("And"), p, q))))
    induct(env, spec("And", p2, ("intro", both), params=2))
    inl = pi(PROP, lambda p: pi(PROP, lambda q: arrow(p, a(c("Or"), p, q))))
    inr = pi(PROP, lambda p: pi(PROP, lambda q: arrow(q, a(c("Or"), p, q))))
    induct(env, spec("Or", p2, ("inl", inl), ("inr", inr), params=2))
    induct(env, eq_spec())
    induct(env, exists_spec())
    induct(env, prod_spec())
    induct(env, list_spec())
    for part in QuotPart:
        declare(quotient.constant(part), env, budget())
    define(env, "Nat.add", NAT2, add_value())
    pred = fun(
        NAT, lambda y: a(c("Nat.rec", ONE), fun(NAT, lambda _: NAT), ZERO, fun(NAT, lambda n: fun(NAT, lambda _: n)), y)
    )
    define(env, "Nat.pred", arrow(NAT, NAT), pred)
    define(env, "Nat.sub", NAT2, by_recursion("sub", lambda x: x, lambda _x, _n, r: a(c("Nat.pred"), r)))
    define(env, "Nat.mul", NAT2, by_recursion("mul", lambda _x: ZERO, lambda x, _n, r: a(c("Nat.add"), r, x)))
    define(env, "Nat.pow", NAT2, by_recursion("pow", lambda _x: succ(ZERO), lambda x, _n, r: a(c("Nat.mul"), r, x)))
    return env


def beq_value() -> Expr:
    """Equality of numbers by recursion on the first."""
    on = arrow(NAT, BOOL)
    end = fun(NAT, lambda _: BOOL)
    true, false = c("Bool.true"), c("Bool.false")
    zero = fun(NAT, lambda y: a(c("Nat.rec", ONE), end, true, fun(NAT, lambda _: fun(BOOL, lambda _: false)), y))

    def step(before: Expr) -> Expr:
        return fun(
            NAT, lambda y: a(c("Nat.rec", ONE), end, false, fun(NAT, lambda m: fun(BOOL, lambda _: a(before, m))), y)
        )

    whole = fun(NAT, lambda _: on)
    return fun(NAT, lambda x: a(c("Nat.rec", ONE), whole, zero, fun(NAT, lambda _: fun(on, step)), x))


def counting(yes: Callable[[Expr], Expr], no: Callable[[Expr], Expr], *, itself: bool) -> Expr:
    """A function of two numbers, 0 at 0, by counting the first up: what becomes of the result where a turn is full."""
    to_nat = fun(BOOL, lambda _: NAT)
    nat = fun(NAT, lambda _: NAT)

    def step(y: Expr, n: Expr, r: Expr) -> Expr:
        rest = r if itself else a(c("Nat.mod"), n, y)
        return a(c("Bool.rec", ONE), to_nat, no(r), yes(r), a(c("Nat.beq"), succ(rest), y))

    return fun(
        NAT,
        lambda x: fun(
            NAT, lambda y: a(c("Nat.rec", ONE), nat, ZERO, fun(NAT, lambda n: fun(NAT, lambda r: step(y, n, r))), x)
        ),
    )


def mod_value() -> Expr:
    """The remainder by counting."""
    return counting(lambda _: ZERO, succ, itself=True)


def div_value() -> Expr:
    """The quotient by counting, over `Nat.mod`."""
    return counting(succ, lambda r: r, itself=False)
