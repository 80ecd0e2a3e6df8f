"""The kernel accepts what Lean's theory accepts: each rule once, used as it is meant."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from certify_spec.diagnostics import Place
from certify_verifier.lean import exprs as ex
from certify_verifier.lean import levels, literals, verdict_name
from certify_verifier.lean.environment import Axiom, Definition, Environment, Inductive, Recursor, Theorem
from certify_verifier.lean.errors import Exhausted, Refused
from certify_verifier.lean.inductive import InductiveSpec, TypeSpec
from certify_verifier.lean.infer import Checker
from certify_verifier.lean.kernel import declare_claim
from certify_verifier.lean.reduce import Budget
from certify_verifier.lean.session import Session, run_deep
from certify_verifier.lean.terms import abstract, instantiate, same
from quality.lean_bad import claim_of
from quality.lean_world import (
    BOOL,
    FALSE,
    NAT,
    NAT2,
    ONE,
    PROP,
    TRUE,
    TYPE,
    ZERO,
    U,
    V,
    a,
    arrow,
    budget,
    c,
    define,
    eq,
    fun,
    induct,
    list_spec,
    pi,
    prove,
    refl,
    sort,
    spec,
    succ,
    world,
)

L0 = levels.ZERO
GOOD: list[tuple[str, Callable[[Environment], object]]] = []


def good(case: Callable[[Environment], object]) -> Callable[[Environment], object]:
    """Enter a case in the corpus of what is accepted."""
    GOOD.append((case.__name__, case))
    return case


@good
def beta_and_delta(env: Environment) -> None:
    """Applying a definition computes."""
    define(
        env,
        "twice",
        arrow(arrow(NAT, NAT), NAT, NAT),
        fun(arrow(NAT, NAT), lambda f: fun(NAT, lambda n: a(f, a(f, n)))),
    )
    prove(env, "t", eq(NAT, a(c("twice"), c("Nat.succ"), ZERO), ex.nat(2)), refl(NAT, ex.nat(2)))


@good
def zeta(env: Environment) -> None:
    """A local definition computes, and its value is visible in later types."""
    value = ex.let("n", NAT, ex.nat(2), a(c("Eq.refl", ONE), NAT, ex.bvar(0)))
    prove(env, "t", eq(NAT, ex.nat(2), succ(succ(ZERO))), value)


@good
def iota(env: Environment) -> None:
    """A recursor computes at each constructor."""
    prove(env, "t", eq(NAT, a(c("Nat.mul"), ex.nat(3), ex.nat(4)), ex.nat(12)), refl(NAT, ex.nat(12)))


@good
def eta_for_functions(env: Environment) -> None:
    """`fun x => f x` is `f`."""
    f2 = arrow(NAT, NAT)
    proof = fun(f2, lambda f: refl(f2, f))
    prove(env, "t", pi(f2, lambda f: eq(f2, fun(NAT, lambda x: a(f, x)), f)), proof)


@good
def eta_for_structures(env: Environment) -> None:
    """`(p.1, p.2)` is `p`."""
    pair = a(c("Prod", L0, L0), NAT, BOOL)

    def again(p: ex.Expr) -> ex.Expr:
        return a(c("Prod.mk", L0, L0), NAT, BOOL, ex.proj("Prod", 0, p), ex.proj("Prod", 1, p))

    prove(env, "t", pi(pair, lambda p: eq(pair, again(p), p)), fun(pair, lambda p: refl(pair, p)))


@good
def recursor_of_a_structure_on_a_variable(env: Environment) -> None:
    """A structure's recursor computes on a variable by its projections."""
    pair = a(c("Prod", L0, L0), NAT, BOOL)
    motive = fun(pair, lambda _: NAT)

    def first(p: ex.Expr) -> ex.Expr:
        case = fun(NAT, lambda x: fun(BOOL, lambda _: x))
        return a(c("Prod.rec", ONE, L0, L0), NAT, BOOL, motive, case, p)

    statement = pi(pair, lambda p: eq(NAT, first(p), ex.proj("Prod", 0, p)))
    prove(env, "t", statement, fun(pair, lambda p: refl(NAT, ex.proj("Prod", 0, p))))


@good
def one_value(env: Environment) -> None:
    """Two values of `Unit` are equal by computation."""
    unit = c("Unit")
    statement = pi(unit, lambda x: pi(unit, lambda y: eq(unit, x, y)))
    prove(env, "t", statement, fun(unit, lambda x: fun(unit, lambda _: refl(unit, x))))


@good
def proof_irrelevance(env: Environment) -> None:
    """Two proofs of one proposition are equal by computation."""
    statement = pi(PROP, lambda p: pi(p, lambda x: pi(p, lambda y: eq(p, x, y, L0))))
    proof = fun(PROP, lambda p: fun(p, lambda x: fun(p, lambda _: refl(p, x, L0))))
    prove(env, "t", statement, proof)


@good
def k_for_equality(env: Environment) -> None:
    """Casting along any proof of `s = s` computes."""
    two = levels.numeral(2)

    def cast(s: ex.Expr, h: ex.Expr, x: ex.Expr) -> ex.Expr:
        motive = fun(TYPE, lambda b: fun(eq(TYPE, s, b, two), lambda _: b))
        return a(c("Eq.rec", ONE, two), TYPE, s, motive, x, s, h)

    statement = pi(TYPE, lambda s: pi(eq(TYPE, s, s, two), lambda h: pi(s, lambda x: eq(s, cast(s, h, x), x))))
    proof = fun(TYPE, lambda s: fun(eq(TYPE, s, s, two), lambda _h: fun(s, lambda x: refl(s, x))))
    prove(env, "t", statement, proof)


@good
def quotient_computes(env: Environment) -> None:
    """`Quot.lift f h (Quot.mk r a)` is `f a`."""
    r = fun(NAT, lambda x: fun(NAT, lambda y: eq(NAT, x, y)))
    respects = fun(NAT, lambda x: fun(NAT, lambda y: fun(eq(NAT, x, y), lambda h: h)))
    identity = fun(NAT, lambda x: x)
    made = a(c("Quot.mk", ONE), NAT, r, ex.nat(5))
    lifted = a(c("Quot.lift", ONE, ONE), NAT, r, NAT, identity, respects, made)
    prove(env, "t", eq(NAT, lifted, ex.nat(5)), refl(NAT, ex.nat(5)))


@good
def quotient_induction_computes(env: Environment) -> None:
    """`Quot.ind` gives a proof of a proposition about every element."""
    r = fun(NAT, lambda _: fun(NAT, lambda _: TRUE))
    quot = a(c("Quot", ONE), NAT, r)
    proof = fun(
        quot, lambda q: a(c("Quot.ind", ONE), NAT, r, fun(quot, lambda _: TRUE), fun(NAT, lambda _: c("True.intro")), q)
    )
    prove(env, "t", arrow(quot, TRUE), proof)


@good
def large_numbers(env: Environment) -> None:
    """Arithmetic on literals does not count up to them."""
    big = 10**40
    product = a(c("Nat.mul"), ex.nat(big), ex.nat(big))
    prove(env, "t", eq(NAT, product, ex.nat(big * big)), refl(NAT, product))
    power = a(c("Nat.pow"), ex.nat(2), ex.nat(500))
    prove(env, "p", eq(NAT, power, ex.nat(2**500)), refl(NAT, power))


@good
def literal_against_successor(env: Environment) -> None:
    """`n + 3` is `succ (n + 2)` for an unknown `n`."""
    statement = pi(NAT, lambda n: eq(NAT, a(c("Nat.add"), n, ex.nat(3)), succ(a(c("Nat.add"), n, ex.nat(2)))))
    prove(env, "t", statement, fun(NAT, lambda n: refl(NAT, a(c("Nat.add"), n, ex.nat(3)))))


@good
def induction(env: Environment) -> None:
    """`0 + n = n` by induction, the step by rewriting under `succ`."""

    def claim(n: ex.Expr) -> ex.Expr:
        return eq(NAT, a(c("Nat.add"), ZERO, n), n)

    def step(n: ex.Expr) -> ex.Expr:
        left = a(c("Nat.add"), ZERO, n)
        motive = fun(NAT, lambda b: fun(eq(NAT, left, b), lambda _: eq(NAT, succ(left), succ(b))))
        return fun(claim(n), lambda ih: a(c("Eq.rec", L0, ONE), NAT, left, motive, refl(NAT, succ(left)), n, ih))

    proof = fun(NAT, lambda n: a(c("Nat.rec", L0), fun(NAT, claim), refl(NAT, ZERO), fun(NAT, step), n))
    prove(env, "t", pi(NAT, claim), proof)


@good
def impredicativity(env: Environment) -> None:
    """A proposition may quantify over all propositions."""
    identity = fun(PROP, lambda p: fun(p, lambda h: h))
    prove(env, "t", pi(PROP, lambda p: arrow(p, p)), identity)


@good
def universes_compute(env: Environment) -> None:
    """`Sort u → Sort v → Sort (imax u v)` is the type of the arrow."""
    type_ = arrow(sort(U), sort(V), sort(levels.imax_of(U, V)))
    define(env, "arrow", type_, fun(sort(U), lambda s: fun(sort(V), lambda t: arrow(s, t))), ("u", "v"))


@good
def false_eliminates_into_everything(env: Environment) -> None:
    """The empty proposition eliminates into data."""
    define(env, "f", arrow(FALSE, NAT), fun(FALSE, lambda h: a(c("False.rec", ONE), fun(FALSE, lambda _: NAT), h)))


@good
def accessibility(env: Environment) -> None:
    """`Acc` has a reflexive constructor and eliminates into data: its fields are fixed by the index or proofs."""

    def acc(t: ex.Expr, r: ex.Expr, x: ex.Expr) -> ex.Expr:
        return a(c("Acc", U), t, r, x)

    def over(make: Callable[[ex.Expr, ex.Expr], ex.Expr]) -> ex.Expr:
        return pi(sort(U), lambda t: pi(arrow(t, t, PROP), lambda r: make(t, r)))

    type_ = over(lambda t, _r: arrow(t, PROP))
    intro = over(lambda t, r: pi(t, lambda x: arrow(pi(t, lambda y: arrow(a(r, y, x), acc(t, r, y))), acc(t, r, x))))
    induct(env, spec("Acc", type_, ("intro", intro), params=2, at=("u",)))
    recursor = env.constants["Acc.rec"]
    inductive = env.constants["Acc"]
    assert isinstance(recursor, Recursor)
    assert isinstance(inductive, Inductive)
    assert (len(recursor.levels), recursor.k, inductive.is_reflexive) == (2, False, True)


@good
def mutual_types(env: Environment) -> None:
    """Even and odd numbers, and their recursors with two motives."""
    even, odd = c("Even"), c("Odd")
    e = TypeSpec("Even", TYPE, (("Even.zero", even), ("Even.next", arrow(odd, even))))
    induct(env, InductiveSpec((), 0, (e, TypeSpec("Odd", TYPE, (("Odd.next", arrow(even, odd)),)))))
    recursor = env.constants["Odd.rec"]
    assert isinstance(recursor, Recursor)
    assert (recursor.num_motives, recursor.num_minors, len(recursor.rules)) == (2, 3, 1)


@good
def nested_types(env: Environment) -> None:
    """Trees with a list of children: one auxiliary type, and a recursor for it that computes."""
    tree = c("Tree")
    induct(env, spec("Tree", TYPE, ("node", arrow(NAT, a(c("List", L0), tree), tree))))
    main, aux, inductive = (env.constants[n] for n in ("Tree.rec", "Tree.rec_1", "Tree"))
    assert isinstance(main, Recursor)
    assert isinstance(aux, Recursor)
    assert isinstance(inductive, Inductive)
    assert (main.num_motives, main.num_minors) == (2, 3)
    assert [r.constructor for r in aux.rules] == ["List.nil", "List.cons"]
    assert (inductive.num_nested, inductive.is_recursive) == (1, True)
    trees = a(c("List", L0), tree)
    size = [fun(tree, lambda _: NAT), fun(trees, lambda _: NAT)]
    node = fun(NAT, lambda _: fun(trees, lambda _: fun(NAT, succ)))
    cons = fun(tree, lambda _: fun(trees, lambda _: fun(NAT, lambda m: fun(NAT, lambda n: a(c("Nat.add"), m, n)))))
    count = a(c("Tree.rec", ONE), *size, node, ZERO, cons)
    leaf = a(c("Tree.node"), ZERO, a(c("List.nil", L0), tree))
    pair = a(c("List.cons", L0), tree, leaf, a(c("List.cons", L0), tree, leaf, a(c("List.nil", L0), tree)))
    whole = a(c("Tree.node"), ZERO, pair)
    prove(env, "t", eq(NAT, a(count, whole), ex.nat(3)), refl(NAT, ex.nat(3)))


@good
def doubly_nested_types(env: Environment) -> None:
    """Nesting inside nesting: two auxiliary types, truthfully recorded."""
    rose = c("Rose")
    nested = a(c("List", L0), a(c("Prod", L0, L0), NAT, rose))
    given = spec("Rose", TYPE, ("node", arrow(nested, rose)))
    claim = claim_of(given)
    assert [r.name for r in claim.recursors] == ["Rose.rec", "Rose.rec_1", "Rose.rec_2"]
    declare_claim(claim, env, budget())


@good
def strings(env: Environment) -> None:
    """A string literal is the string of its characters."""
    induct(env, spec("Char", TYPE, ("ofNat", arrow(NAT, c("Char")))))
    chars = a(c("List", L0), c("Char"))
    induct(env, spec("String", TYPE, ("mk", arrow(chars, c("String")))))
    one = a(c("List.cons", L0), c("Char"), a(c("Char.ofNat"), ex.nat(955)), a(c("List.nil", L0), c("Char")))
    string = c("String")
    prove(env, "t", eq(string, ex.string("λ"), a(c("String.mk"), one)), refl(string, ex.string("λ")))


@good
def projections_of_propositions(env: Environment) -> None:
    """A proof of a conjunction projects to its proofs."""
    both = pi(PROP, lambda p: pi(PROP, lambda q: arrow(a(c("And"), p, q), q)))
    proof = fun(PROP, lambda p: fun(PROP, lambda q: fun(a(c("And"), p, q), lambda h: ex.proj("And", 1, h))))
    prove(env, "t", both, proof)


@pytest.mark.parametrize(("name", "case"), GOOD, ids=[name for name, _ in GOOD])
def test_right_declarations_are_accepted(name: str, case: Callable[[Environment], object]) -> None:
    """A declaration that keeps the rules enters the environment."""
    assert case.__name__ == name
    run_deep(lambda: case(world()))


def test_fast_arithmetic_is_earned_by_equations() -> None:
    """Functions whose equations hold compute on literals; one that differs in a single equation does not."""

    def work() -> tuple[set[str], bool]:
        env = world()
        bad = Environment({k: v for k, v in env.constants.items() if not k.startswith("Nat.add")}, True, True)
        step = fun(NAT, lambda _n: fun(NAT, lambda r: succ(succ(r))))
        value = fun(NAT, lambda x: fun(NAT, lambda y: a(c("Nat.rec", ONE), fun(NAT, lambda _: NAT), x, step, y)))
        define(bad, "Nat.add", NAT2, value)
        return env.fast, "Nat.add" in bad.fast

    assert ({"Nat.add", "Nat.pred", "Nat.sub", "Nat.mul", "Nat.pow"}, False) == run_deep(work)


def test_a_spent_budget_is_no_decision() -> None:
    """A check that runs out of steps raises, and the environment is as before."""

    def work() -> bool:
        env = world()
        checker = Checker(env, Budget(3))
        with pytest.raises(Exhausted):
            checker.equal(a(c("Nat.mul"), ex.local(-1, "n", NAT), ex.nat(50)), ZERO)
        return "t" in env.constants

    assert run_deep(work) is False


def test_numbers_beyond_the_bound_are_no_decision() -> None:
    """A power that would fill the memory ends undecided."""

    def work() -> None:
        checker = Checker(world(), budget())
        huge = a(c("Nat.pow"), ex.nat(2), a(c("Nat.pow"), ex.nat(2), ex.nat(64)))
        with pytest.raises(Exhausted):
            checker.equal(huge, ZERO)

    run_deep(work)


def test_a_refused_group_leaves_nothing_behind() -> None:
    """A claim that is refused after its types were generated is taken back as a whole."""

    def work() -> tuple[list[str], bool]:
        env = Environment()
        claim = claim_of(spec("Nat", TYPE, ("zero", NAT), ("succ", arrow(NAT, NAT))))
        with pytest.raises(Refused):
            declare_claim(type(claim)(claim.types, claim.constructors, ()), env, budget())
        return list(env.constants), env.has_nat

    assert run_deep(work) == ([], False)


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        ("imax u v", "max u v", True),
        ("max u v", "imax u v", False),
        ("imax u (v+1)", "max u (v+1)", True),
        ("max u (v+1)", "imax u (v+1)", True),
        ("imax u (imax v w)", "imax v (imax u w)", True),
        ("imax (imax u v) w", "imax u w", False),
        ("u", "u+1", True),
        ("u+1", "u", False),
        ("max u v", "max v u", True),
        ("1", "max 1 u", True),
        ("1", "imax u 1", True),
        ("1", "imax 1 u", False),
        ("1", "imax 1 (u+1)", True),
        ("imax u u", "u", True),
        ("u", "imax u u", True),
        ("max (u+1) v", "max u v", False),
        ("imax 1 u", "max 1 u", True),
        ("max 1 (imax 1 u)", "max 1 u", True),
        ("max 1 u", "max 1 (imax 1 u)", True),
    ],
)
def test_the_order_of_universes_is_exact(low: str, high: str, expected: bool) -> None:
    """`≤` on levels agrees with the meaning of `imax` under every assignment."""
    assert levels.leq(level_of(low), level_of(high)) is expected


def level_of(text: str) -> levels.Level:
    """A level from its text in a small prefix notation with `+n`."""
    source = text.replace("imax", "imax_of").replace("max ", "max_of ").replace("imax_of_of", "imax_of")
    tokens = source.replace("(", " ( ").replace(")", " ) ").split()

    def atom() -> levels.Level:
        token = tokens.pop(0)
        if token == "(":
            value = term()
            tokens.pop(0)
        elif token.isdigit():
            value = levels.numeral(int(token))
        else:
            name, _, plus = token.partition("+")
            value = levels.param(name)
            for _ in range(int(plus or 0)):
                value = levels.succ(value)
        return value

    def term() -> levels.Level:
        if tokens[0] in ("imax_of", "max_of"):
            make = getattr(levels, tokens.pop(0))
            return make(atom(), atom())
        return atom()

    return term()


def test_substitution_keeps_binders_apart() -> None:
    """Instantiating and abstracting are inverse, under binders as well."""
    x = ex.local(-1, "x", NAT)
    body = ex.lam("y", NAT, a(c("Nat.add"), ex.bvar(1), ex.bvar(0)))
    opened = instantiate(body, [x])
    assert abstract(opened, [x]) is body
    assert same(opened, ex.lam("z", NAT, a(c("Nat.add"), x, ex.bvar(0))))


def test_list_recursor_is_the_textbook_one() -> None:
    """The generated recursor of lists has one motive, two cases and one induction hypothesis."""

    def work() -> tuple[int, int, int, int]:
        env = Environment()
        induct(env, list_spec())
        recursor = env.constants["List.rec"]
        assert isinstance(recursor, Recursor)
        return recursor.num_params, recursor.num_motives, recursor.num_minors, recursor.major

    assert run_deep(work) == (1, 1, 2, 4)


def test_every_fast_function_has_equations() -> None:
    """Each function that may compute on literals has equations over its arguments and a bounded result."""
    x, y = ex.local(-1, "x", NAT), ex.local(-2, "y", NAT)
    for name in literals.OPERATIONS:
        assert literals.equations(name, x, y)


def test_equalities_found_twice_do_not_tie_a_knot() -> None:
    """Noting an equality whose sides were joined meanwhile leaves the record of equalities free of cycles."""

    def work() -> bool:
        checker = Checker(world(), budget())
        x, y = ex.local(-1, "x", NAT), ex.local(-2, "y", NAT)
        for _ in range(3):
            checker._remember(x, y, answer=True)
            checker._remember(y, x, answer=True)
        return checker.equal(x, y)

    assert run_deep(work)


def test_room_for_terms_is_bounded() -> None:
    """A check that makes too many terms ends undecided."""

    def work() -> None:
        env = world()
        left, right = (fun(NAT, lambda n, k=k: a(c("Nat.mul"), n, ex.nat(k))) for k in (77, 78))
        checker = Checker(env, Budget(1_000_000, terms=0))
        with pytest.raises(Exhausted):
            checker.equal(left, right)

    run_deep(work)


def test_a_group_with_a_name_twice_leaves_nothing_behind() -> None:
    """A name that clashes with a generated recursor refuses the whole group."""

    def work() -> bool:
        env = world()
        before = set(env.constants)
        with pytest.raises(Refused):
            induct(env, spec("Tree", TYPE, ("rec_1", arrow(a(c("List", L0), c("Tree")), c("Tree")))))
        return set(env.constants) == before

    assert run_deep(work)


def test_axioms_behind_a_string_literal_are_reported() -> None:
    """Soundness: what a literal stands for counts as used: a proof of `False` hidden in a character is found."""

    def judge() -> list[str]:
        session = Session("attack")
        session.environment = world()
        place = Place("attack")
        falsity, nat, string = c("False"), c("Nat"), c("String")
        chars = a(c("List", levels.ZERO), c("Char"))
        session.check(Axiom("cheat", (), falsity), place)
        session.check(spec("Char", TYPE, ("mk", arrow(nat, falsity, c("Char")))), place)
        made = fun(nat, lambda n: a(c("Char.mk"), n, c("cheat")))
        session.check(Definition("Char.ofNat", (), arrow(nat, c("Char")), made, 1), place)
        session.check(spec("String", TYPE, ("mk", arrow(chars, string))), place)
        first = fun(
            chars,
            lambda xs: a(
                c("List.rec", levels.ZERO, levels.ZERO),
                c("Char"),
                fun(chars, lambda _: c("True")),
                c("True.intro"),
                fun(c("Char"), lambda _: fun(chars, lambda _: fun(c("True"), lambda h: h))),
                xs,
            ),
        )
        proof = a(c("String.rec", levels.ZERO), fun(string, lambda _: c("True")), first, ex.string("x"))
        entry = session.check(Theorem("truth", (), c("True"), proof), place)
        return [verdict_name(entry.verdict), *entry.axioms]

    assert run_deep(judge) == ["rejected", "cheat"]


def test_a_second_try_takes_no_axiom_back() -> None:
    """Soundness: declaring a name again, in vain, does not make what rests on it look free of axioms."""

    def judge() -> list[tuple[str, ...]]:
        session = Session("attack")
        session.environment = world()
        place = Place("attack")
        session.check(Axiom("cheat", (), FALSE), place)
        session.check(Theorem("foo", (), FALSE, c("cheat")), place)
        session.check(Theorem("foo", (), TRUE, c("True.intro")), place)
        entry = session.check(Theorem("bar", (), FALSE, c("foo")), place)
        return [(verdict_name(entry.verdict), *entry.axioms)]

    assert run_deep(judge) == [("rejected", "cheat")]
