"""Division, remainder and what rests on them: fast only where their equations are proved."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable

import pytest

from certify_spec.diagnostics import Place
from certify_verifier.lean import STANDARD_AXIOMS, Accepted, fast, levels, literals, quotient
from certify_verifier.lean import exprs as ex
from certify_verifier.lean.environment import Axiom, Definition, Environment, Theorem
from certify_verifier.lean.errors import Refused
from certify_verifier.lean.exprs import Expr
from certify_verifier.lean.infer import Checker
from certify_verifier.lean.levels import Level
from certify_verifier.lean.report import LeanVerdict
from certify_verifier.lean.session import DEFAULT_STEPS, Session, run_deep
from certify_verifier.lean.terms import instantiate
from quality.lean_world import (
    BOOL,
    NAT,
    NAT2,
    ONE,
    ZERO,
    a,
    arrow,
    beq_value,
    budget,
    by_recursion,
    c,
    counting,
    define,
    div_value,
    eq,
    fun,
    mod_value,
    prove,
    refl,
    succ,
    world,
)

MEANING: dict[str, Callable[..., int]] = {
    "Nat.div": lambda x, y: x // y if y else 0,
    "Nat.mod": lambda x, y: x % y if y else x,
    "Nat.gcd": math.gcd,
    "Nat.log2": lambda x: int(math.log2(x)) if x else 0,
    "Nat.shiftRight": lambda x, y: x // 2**y,
    "Nat.land": operator.and_,
    "Nat.lor": operator.or_,
    "Nat.xor": operator.xor,
}
BIG = 10**40 + 7


def numbers() -> Environment:
    """The world with equality of numbers, remainder, quotient and shift, by recursion."""
    env = world()
    define(env, "Nat.beq", arrow(NAT, NAT, BOOL), beq_value())
    define(env, "Nat.mod", NAT2, mod_value())
    define(env, "Nat.div", NAT2, div_value())
    half = by_recursion("shift", lambda x: x, lambda _x, _n, r: a(c("Nat.div"), r, ex.nat(2)))
    define(env, "Nat.shiftRight", NAT2, half)
    return env


def session_over(env: Environment) -> Session:
    """A session that knows an environment."""
    session = Session("numbers")
    session.environment = env
    return session


def test_division_computes_on_literals_by_its_equations() -> None:
    """Large quotients, remainders and shifts are decided at once, and a wrong result of each is refused."""

    def work() -> None:
        env = numbers()
        assert {"Nat.mod", "Nat.div", "Nat.shiftRight"} <= env.fast
        for number, (name, y) in enumerate((("Nat.mod", 97), ("Nat.div", 97), ("Nat.shiftRight", 50), ("Nat.div", 0))):
            term, right = a(c(name), ex.nat(BIG), ex.nat(y)), MEANING[name](BIG, y)
            prove(env, f"t{number}", eq(NAT, term, ex.nat(right)), refl(NAT, term))
            with pytest.raises(Refused) as caught:
                prove(env, f"f{number}", eq(NAT, term, ex.nat(right + 1)), refl(NAT, term))
            assert caught.value.rule.code == "LEAN213"

    run_deep(work)


WRONG: dict[str, tuple[Expr, Callable[[], Expr]]] = {
    "another meaning": (NAT2, lambda: fun(NAT, lambda _: fun(NAT, lambda _: ZERO))),
    "wrong at the end of a turn": (NAT2, lambda: counting(lambda r: succ(succ(r)), lambda r: r, itself=False)),
    "another type": (arrow(NAT, NAT, BOOL), lambda: fun(NAT, lambda _: fun(NAT, lambda _: c("Bool.true")))),
}


@pytest.mark.parametrize("name", sorted(WRONG))
def test_another_division_is_not_accelerated(name: str) -> None:
    """A `Nat.div` of another meaning or type gets no fast arithmetic, so no false equation is proved with it."""

    def work() -> None:
        env = world()
        define(env, "Nat.beq", arrow(NAT, NAT, BOOL), beq_value())
        define(env, "Nat.mod", NAT2, mod_value())
        type_, value = WRONG[name]
        define(env, "Nat.div", type_, value())
        assert "Nat.div" not in env.fast
        if type_ is NAT2:
            seven = a(c("Nat.div"), ex.nat(7), ex.nat(2))
            with pytest.raises(Refused):
                prove(env, "t", eq(NAT, seven, ex.nat(3)), refl(NAT, ex.nat(3)))

    run_deep(work)


def cases(on: Expr, motive: Callable[[Expr], Expr], zero: Expr, step: Callable[[Expr], Expr], level: Level) -> Expr:
    """A proof or value by cases on a number."""
    body = fun(NAT, lambda n: fun(motive(n), lambda _: step(n)))
    return a(c("Nat.rec", level), fun(NAT, motive), zero, body, on)


def stuck_mod(env: Environment) -> None:
    """A remainder that looks at the divisor first: its equations hold by cases, not by computation."""
    define(env, "Nat.beq", arrow(NAT, NAT, BOOL), beq_value())
    define(env, "plain", NAT2, mod_value())

    def by_divisor(x: Expr, y: Expr) -> Expr:
        return cases(y, lambda _: NAT, a(c("plain"), x, ZERO), lambda n: a(c("plain"), x, succ(n)), ONE)

    define(env, "Nat.mod", NAT2, fun(NAT, lambda x: fun(NAT, lambda y: by_divisor(x, y))))


def proofs() -> list[Theorem]:
    """The equations of the remainder, proved by cases on the divisor."""
    first, second = fast.statements("Nat.mod")

    def by_cases(statement: Expr, x: Expr) -> Expr:
        assert isinstance(statement, ex.Pi)
        body = statement.body

        def reflexive(y: Expr) -> Expr:
            return refl(NAT, a(c("Nat.mod"), x, y))

        return fun(
            NAT,
            lambda y: cases(
                y, lambda n: instantiate(body, [n]), reflexive(ZERO), lambda n: reflexive(succ(n)), levels.ZERO
            ),
        )

    assert isinstance(second, ex.Pi)
    rest = second.body
    of_successor = fun(NAT, lambda x: by_cases(instantiate(rest, [x]), succ(x)))
    return [Theorem("mod_0", (), first, by_cases(first, ZERO)), Theorem("mod_1", (), second, of_successor)]


def test_theorems_without_axioms_let_a_function_compute() -> None:
    """Equations that hold by cases only count once both are theorems; an axiom that states them never does."""

    def work() -> tuple[list[bool], list[LeanVerdict], bool]:
        env = world()
        stuck_mod(env)
        session = session_over(env)
        steps, verdicts = ["Nat.mod" in env.fast], []
        for theorem in proofs():
            verdicts.append(session.check(theorem, Place("numbers")).verdict)
            steps.append("Nat.mod" in env.fast)
        other = world()
        stuck_mod(other)
        assumed = session_over(other)
        assumed = assumed.continued(allowed=STANDARD_AXIOMS | {"cheat_0", "cheat_1"}, steps=DEFAULT_STEPS)
        for number, theorem in enumerate(proofs()):
            assumed.check(Axiom(f"cheat_{number}", (), theorem.type), Place("numbers"))
            claimed = Theorem(theorem.name, (), theorem.type, c(f"cheat_{number}"))
            assert assumed.check(claimed, Place("numbers")).verdict == Accepted()
        return steps, verdicts, "Nat.mod" in assumed.environment.fast

    assert run_deep(work) == ([False, False, True], [Accepted(), Accepted()], False)


@pytest.mark.parametrize("name", MEANING)
def test_fast_functions_satisfy_their_equations(name: str) -> None:
    """Each function computes what it means, and so its own equations hold at every pair of small numbers."""

    def work() -> None:
        env = numbers()
        for other in MEANING:
            operation = literals.OPERATIONS[other]
            if other not in env.constants:
                env.add(Definition(other, (), literals.operation_type(operation), c(other)))
            env.fast.add(other)
        assert quotient.has_equality(env)
        arity = literals.OPERATIONS[name].arity
        for x in range(7):
            for y in range(7):
                checker = Checker(env, budget())
                given = [ex.nat(x), ex.nat(y)][:arity]
                assert checker.whnf(a(c(name), *given)) is ex.nat(MEANING[name](*(x, y)[:arity]))
                for left, right in literals.equations(name, ex.nat(x), ex.nat(y)):
                    assert checker.equal(left, right), (name, x, y)

    run_deep(work)
