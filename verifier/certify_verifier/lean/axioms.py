"""The axioms of Lean's core library, and what each must say.

Rules this module keeps:

- an axiom is standard when its name, its statement and the inductive types it speaks of are Lean's; an axiom that has
  a standard name and says something else is refused;
- every other axiom may be declared, and is reported with each theorem that rests on it.

Source: the core library of Lean 4; Carneiro, "The Type Theory of Lean", §2.7.
"""

from __future__ import annotations

from typing import Final

from certify_verifier.lean import exprs as ex
from certify_verifier.lean import levels, quotient, rules
from certify_verifier.lean.environment import Axiom, Environment, Inductive, Quotient
from certify_verifier.lean.errors import Refused
from certify_verifier.lean.exprs import Expr
from certify_verifier.lean.names import Name
from certify_verifier.lean.terms import products, same, substitute_levels

PROPEXT: Final = "propext"
SOUND: Final = "Quot.sound"
CHOICE: Final = "Classical.choice"
STANDARD: Final[frozenset[Name]] = frozenset((PROPEXT, SOUND, CHOICE))
SORRY: Final = "sorryAx"

_U: Final = "u"


def statement(name: Name) -> tuple[tuple[Name, ...], Expr]:
    """The universe parameters and the statement of a standard axiom."""
    u = levels.param(_U)
    if name == PROPEXT:
        a, b = ex.local(-1, "a", ex.PROP), ex.local(-2, "b", ex.PROP)
        iff = ex.local(-3, "h", ex.apply(ex.const("Iff"), [a, b]))
        return (), products([a, b, iff], ex.apply(ex.const("Eq", [levels.ONE]), [ex.PROP, a, b]))
    alpha = ex.local(-1, "α", ex.sort(u))
    if name == CHOICE:
        inhabited = ex.local(-2, "h", ex.app(ex.const("Nonempty", [u]), alpha))
        return (_U,), products([alpha, inhabited], alpha)
    x, y = ex.local(-2, "a", alpha), ex.local(-3, "b", alpha)
    r = ex.local(-4, "r", products([x, y], ex.PROP))
    related = ex.local(-5, "h", ex.apply(r, [x, y]))
    quot = ex.apply(ex.const("Quot", [u]), [alpha, r])
    make = ex.apply(ex.const("Quot.mk", [u]), [alpha, r])
    equation = ex.apply(ex.const("Eq", [u]), [quot, ex.app(make, x), ex.app(make, y)])
    return (_U,), products([alpha, r, x, y, related], equation)


def check_statement(axiom: Axiom, environment: Environment) -> None:
    """Refuse an axiom that has a standard name and says something else.

    Raises:
        Refused: the statement differs, or a type it speaks of is not Lean's.
    """
    if axiom.name not in STANDARD:
        return
    own_levels, own = statement(axiom.name)
    if len(axiom.levels) != len(own_levels):
        raise Refused(rules.AXIOM_STATEMENT, f"`{axiom.name}` has another number of universe parameters than Lean's")
    renamed = dict(zip(own_levels, map(levels.param, axiom.levels), strict=True))
    if not same(axiom.type, substitute_levels(own, renamed)):
        raise Refused(rules.AXIOM_STATEMENT, f"`{axiom.name}` states something else than Lean's axiom of that name")
    if axiom.name in (PROPEXT, SOUND) and not quotient.has_equality(environment):
        raise Refused(rules.AXIOM_STATEMENT, f"`{axiom.name}` speaks of an `Eq` that is not Lean's")
    if axiom.name == SOUND and not isinstance(environment.constants.get("Quot"), Quotient):
        raise Refused(rules.AXIOM_STATEMENT, f"`{axiom.name}` speaks of a `Quot` that is not Lean's")
    if axiom.name == PROPEXT and not _is_iff(environment):
        raise Refused(rules.AXIOM_STATEMENT, f"`{axiom.name}` speaks of an `Iff` that is not Lean's")
    if axiom.name == CHOICE and not _is_nonempty(environment):
        raise Refused(rules.AXIOM_STATEMENT, f"`{axiom.name}` speaks of a `Nonempty` that is not Lean's")


def _sole_constructor_is(environment: Environment, name: Name, levels_: int, wanted: Expr) -> bool:
    """Whether an inductive proposition has exactly one constructor `intro`, of this type."""
    inductive = environment.constants.get(name)
    intro = environment.constants.get(f"{name}.intro")
    return (
        isinstance(inductive, Inductive)
        and intro is not None
        and inductive.constructors == (intro.name,)
        and len(inductive.levels) == levels_
        and same(substitute_levels(intro.type, dict(zip(intro.levels, [levels.param(_U)], strict=False))), wanted)
    )


def _is_iff(environment: Environment) -> bool:
    a, b = ex.local(-1, "a", ex.PROP), ex.local(-2, "b", ex.PROP)
    there = ex.local(-3, "mp", ex.pi("_", a, b))
    back = ex.local(-4, "mpr", ex.pi("_", b, a))
    wanted = products([a, b, there, back], ex.apply(ex.const("Iff"), [a, b]))
    return _sole_constructor_is(environment, "Iff", 0, wanted)


def _is_nonempty(environment: Environment) -> bool:
    u = levels.param(_U)
    alpha = ex.local(-1, "α", ex.sort(u))
    value = ex.local(-2, "val", alpha)
    wanted = products([alpha, value], ex.app(ex.const("Nonempty", [u]), alpha))
    return _sole_constructor_is(environment, "Nonempty", 1, wanted)
