"""Which functions on numbers may compute on literals directly.

Rules this module keeps:

- a function is considered only with the type that Lean gives it, over Lean's own `Nat`, `Bool` and `Eq`;
- every equation that determines it holds by computation with free variables, or is the statement of an accepted
  theorem that rests on no axiom; so each fast answer is an equality that can be proved;
- the functions that its equations speak of are fast already.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from certify_verifier.lean import exprs as ex
from certify_verifier.lean import levels, literals, quotient
from certify_verifier.lean.environment import Constant, Definition, Environment, Theorem
from certify_verifier.lean.errors import Exhausted, Refused
from certify_verifier.lean.exprs import Expr, Local
from certify_verifier.lean.infer import Checker
from certify_verifier.lean.names import Name
from certify_verifier.lean.reduce import Budget
from certify_verifier.lean.terms import constants, products, same, subterms

EQUATION_STEPS: Final = 20_000
"""Steps spent on each equation of a function on numbers before the function is left to unfolding."""


def consider(constant: Constant, environment: Environment) -> None:
    """Let a function that was just declared compute on literals, if its equations hold already."""
    if constant.name in literals.OPERATIONS and _try(constant.name, environment):
        _try_others(environment)


def note(theorem: Theorem, environment: Environment) -> None:
    """Note that an accepted theorem, which rests on no axiom, states an equation of a function on numbers."""
    slow = [n for n in literals.OPERATIONS if n not in environment.fast and n in environment.constants]
    if not slow or theorem.levels or not quotient.has_equality(environment):
        return
    used = set(constants(theorem.type))
    for name in slow:
        if name in used and _may_be_fast(name, environment) and _note(theorem.type, name, environment):
            consider(environment.constants[name], environment)


def _note(type_: Expr, name: Name, environment: Environment) -> bool:
    found = False
    for number, wanted in enumerate(statements(name)):
        if (name, number) not in environment.stated and _equal(type_, wanted, environment):
            environment.stated.add((name, number))
            found = True
    return found


def _may_be_fast(name: Name, environment: Environment) -> bool:
    constant = environment.constants.get(name)
    return (
        isinstance(constant, Definition)
        and literals.may_be_fast(constant, environment)
        and same(constant.type, literals.operation_type(literals.OPERATIONS[name]))
    )


def _try_others(environment: Environment) -> None:
    """Try the functions again whose equations speak of one that has become fast."""
    while any(_try(name, environment) for name in literals.OPERATIONS.keys() - environment.fast):
        pass


def _try(name: Name, environment: Environment) -> bool:
    if name in environment.fast or not _may_be_fast(name, environment):
        return False
    for number, (left, right) in enumerate(literals.equations(name, *_variables())):
        if (name, number) not in environment.stated and not _equal(left, right, environment):
            return False
    environment.fast.add(name)
    return True


def _equal(left: Expr, right: Expr, environment: Environment) -> bool:
    checker = Checker(environment, Budget(EQUATION_STEPS))
    for _ in range(3):
        checker.fresh("x", literals.nat_type())  # the variables of an equation are locals 1 and 2
    try:
        return checker.equal(left, right)
    except (Exhausted, Refused):
        return False


def _variables() -> tuple[Local, Local]:
    return ex.local(1, "x", literals.nat_type()), ex.local(2, "y", literals.nat_type())


def statements(name: Name) -> Sequence[Expr]:
    """The equations of a function as propositions over the variables that occur in them, in the order `x`, `y`."""
    x, y = _variables()
    type_ = ex.const("Bool") if literals.OPERATIONS[name].gives_bool else literals.nat_type()
    result = []
    for left, right in literals.equations(name, x, y):
        statement = ex.apply(ex.const("Eq", [levels.ONE]), [type_, left, right])
        inside = set(subterms(statement))
        result.append(products([v for v in (x, y) if v in inside], statement))
    return result
