"""The quotient type: four constants whose types are fixed.

Rules this module keeps (Carneiro, "The Type Theory of Lean", §2.7.1; the Lean 4 reference, "Quotients"):

- `Quot`, `Quot.mk`, `Quot.lift` and `Quot.ind` have exactly the types below, up to the names of universe parameters;
- `Quot.lift` speaks of equality, so `Eq` is declared first, as an inductive type with its usual constructor.
"""

from __future__ import annotations

from typing import Final

from certify_verifier.lean import exprs as ex
from certify_verifier.lean import levels, rules
from certify_verifier.lean.environment import Environment, Inductive, Quotient, QuotPart
from certify_verifier.lean.errors import Refused
from certify_verifier.lean.exprs import Binder, Expr
from certify_verifier.lean.inductive import InductiveSpec, TypeSpec
from certify_verifier.lean.levels import Level
from certify_verifier.lean.names import Name
from certify_verifier.lean.terms import products, same, substitute_levels

NAMES: Final[dict[QuotPart, Name]] = {
    QuotPart.TYPE: "Quot",
    QuotPart.MAKE: "Quot.mk",
    QuotPart.LIFT: "Quot.lift",
    QuotPart.IND: "Quot.ind",
}


def constant(part: QuotPart) -> Quotient:
    """A part of the quotient as Lean declares it."""
    names = ("u", "v") if part is QuotPart.LIFT else ("u",)
    return Quotient(NAMES[part], names, _type_of(part, levels.param("u"), levels.param("v")), part)


def _type_of(part: QuotPart, u: Level, v: Level) -> Expr:
    alpha = ex.local(-1, "α", ex.sort(u))
    a = ex.local(-2, "a", alpha)
    b = ex.local(-3, "b", alpha)
    r = ex.local(-4, "r", products([a, b], ex.PROP))
    quot = ex.apply(ex.const("Quot", [u]), [alpha, r])
    made = ex.apply(ex.const("Quot.mk", [u]), [alpha, r, a])
    hidden, shown = Binder.IMPLICIT, Binder.DEFAULT
    if part is QuotPart.TYPE:
        return products([alpha, r], ex.sort(u), [hidden, shown])
    if part is QuotPart.MAKE:
        return products([alpha, r, a], quot, [hidden, shown, shown])
    q = ex.local(-5, "q", quot)
    if part is QuotPart.LIFT:
        beta = ex.local(-6, "β", ex.sort(v))
        f = ex.local(-7, "f", products([a], beta))
        related = ex.local(-8, "h", ex.apply(r, [a, b]))
        equation = ex.apply(ex.const("Eq", [v]), [beta, ex.app(f, a), ex.app(f, b)])
        respects = ex.local(-9, "respects", products([a, b, related], equation))
        return products([alpha, r, beta, f, respects, q], beta, [hidden, hidden, hidden, shown, shown, shown])
    motive = ex.local(-10, "motive", products([q], ex.PROP))
    minor = ex.local(-11, "mk", products([a], ex.app(motive, made)))
    return products([alpha, r, motive, minor, q], ex.app(motive, q), [hidden, hidden, hidden, shown, shown])


def equality() -> InductiveSpec:
    """Equality as Lean declares it: `Eq.refl` takes its value written out."""
    u = levels.param("u")
    alpha = ex.local(-1, "α", ex.sort(u))
    a = ex.local(-2, "a", alpha)
    b = ex.local(-3, "a", alpha)
    type_ = products([alpha, a, b], ex.PROP, [Binder.IMPLICIT, Binder.DEFAULT, Binder.DEFAULT])
    refl = products([alpha, a], ex.apply(ex.const("Eq", [u]), [alpha, a, a]), [Binder.IMPLICIT, Binder.DEFAULT])
    return InductiveSpec(("u",), 2, (TypeSpec("Eq", type_, (("Eq.refl", refl),)),))


def check(given: Quotient, environment: Environment) -> None:
    """Refuse a part of the quotient that is not Lean's.

    Raises:
        Refused: its name, levels or type differ, or equality is missing.
    """
    own = constant(given.part)
    if given.name != own.name or len(given.levels) != len(own.levels):
        raise Refused(rules.QUOT_SHAPE, f"`{given.name}` is not Lean's `{own.name}`")
    renamed = dict(zip(own.levels, map(levels.param, given.levels), strict=True))
    if not same(given.type, substitute_levels(own.type, renamed)):
        raise Refused(rules.QUOT_SHAPE, f"`{given.name}` has another type than Lean gives it")
    needs = {QuotPart.TYPE: (), QuotPart.MAKE: ("Quot",), QuotPart.LIFT: ("Quot",), QuotPart.IND: ("Quot", "Quot.mk")}
    for name in needs[given.part]:
        if not isinstance(environment.constants.get(name), Quotient):
            raise Refused(rules.QUOT_SHAPE, f"`{given.name}` needs the quotient's own `{name}`")
    if given.part is QuotPart.LIFT and not has_equality(environment):
        raise Refused(rules.QUOT_NEEDS_EQ, "`Quot.lift` needs `Eq` as Lean declares it")


def has_equality(environment: Environment) -> bool:
    """Whether `Eq` is the inductive equality with its one constructor."""
    eq = environment.constants.get("Eq")
    refl = environment.constants.get("Eq.refl")
    if not isinstance(eq, Inductive) or refl is None or eq.constructors != ("Eq.refl",) or len(eq.levels) != 1:
        return False
    u = levels.param(eq.levels[0])
    alpha = ex.local(-1, "α", ex.sort(u))
    a = ex.local(-2, "a", alpha)
    b = ex.local(-3, "b", alpha)
    eq_type = products([alpha, a, b], ex.PROP)
    refl_type = products([alpha, a], ex.apply(ex.const("Eq", [u]), [alpha, a, a]))
    return same(eq.type, eq_type) and same(refl.type, refl_type)
