"""Declarations that Lean's theory refuses, each with the code of the rule it breaks.

Each entry builds on a fresh `world()`; nothing but its last step may be refused.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from certify_verifier.lean import axioms, levels
from certify_verifier.lean import exprs as ex
from certify_verifier.lean.environment import (
    Axiom,
    Constructor,
    Definition,
    Environment,
    Inductive,
    Opaque,
    Quotient,
    QuotPart,
    Recursor,
    Theorem,
)
from certify_verifier.lean.inductive import InductiveSpec, TypeSpec
from certify_verifier.lean.kernel import InductiveClaim, declare, declare_claim, declare_inductive
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
    nat_spec,
    pi,
    prove,
    refl,
    sort,
    spec,
    succ,
    world,
)

Attempt = Callable[[Environment], object]


@dataclass(frozen=True)
class Bad:
    """A declaration that must be refused, and the code it must be refused with."""

    name: str
    code: str
    attempt: Attempt


BAD: list[Bad] = []


def bad(code: str) -> Callable[[Attempt], Attempt]:
    """Enter a declaration in the corpus."""

    def enter(attempt: Attempt) -> Attempt:
        BAD.append(Bad(attempt.__name__, code, attempt))
        return attempt

    return enter


def claim_of(given: InductiveSpec) -> InductiveClaim:
    """What a truthful exporter would record about a group of types."""
    made = declare_inductive(given, world_without(given), budget())
    return InductiveClaim(
        tuple(x for x in made if isinstance(x, Inductive)),
        tuple(x for x in made if isinstance(x, Constructor)),
        tuple(x for x in made if isinstance(x, Recursor)),
    )


def world_without(given: InductiveSpec) -> Environment:
    """The usual world if the group is new, an empty one if it is part of it."""
    env = world()
    return Environment() if given.types[0].name in env.constants else env


def color_spec() -> InductiveSpec:
    """A small type with a recursive constructor: `red`, `mix : Color → Nat → Color`."""
    color = c("Color")
    return spec("Color", TYPE, ("red", color), ("mix", arrow(color, NAT, color)))


def with_recursor(change: Callable[[Recursor], Recursor], given: InductiveSpec | None = None) -> Attempt:
    """Declare a type whose recorded recursor was changed."""

    def attempt(env: Environment) -> object:
        claim = claim_of(given or color_spec())
        return declare_claim(replace(claim, recursors=(change(claim.recursors[0]),)), env, budget())

    return attempt


# universes ------------------------------------------------------------------------------------------------------------


@bad("LEAN212")
def type_in_type(env: Environment) -> None:
    """`def U : Type := Type`, the axiom behind Girard's paradox."""
    define(env, "U", TYPE, TYPE)


@bad("LEAN212")
def hurkens_universe_in_type(env: Environment) -> None:
    """`def U : Type := ∀ X : Type, (P (P X) → X) → P (P X)`: Hurkens' paradox needs it one universe too low."""

    def powers(x: ex.Expr) -> ex.Expr:
        return arrow(arrow(x, PROP), PROP)

    define(env, "U", TYPE, pi(TYPE, lambda x: arrow(arrow(powers(x), x), powers(x))))


@bad("LEAN210")
def hurkens_universe_applied_to_itself(env: Environment) -> None:
    """The universe of Hurkens' paradox, declared where it belongs, cannot be put into its own definition."""

    def powers(x: ex.Expr) -> ex.Expr:
        return arrow(arrow(x, PROP), PROP)

    universe = pi(TYPE, lambda x: arrow(arrow(powers(x), x), powers(x)))
    define(env, "U", sort(levels.numeral(2)), universe)
    define(
        env,
        "self",
        arrow(c("U"), powers(c("U"))),
        fun(c("U"), lambda u: a(u, c("U"), fun(powers(c("U")), lambda _: u))),
    )


@bad("LEAN212")
def imax_of_type_is_not_prop(env: Environment) -> None:
    """`∀ _ : Nat, Type` is no proposition."""
    define(env, "f", PROP, arrow(NAT, TYPE))


@bad("LEAN212")
def imax_is_not_its_right_side(env: Environment) -> None:
    """`Sort (max 1 u)` is not `Sort (imax 1 u)`: they differ at `u = 0`."""
    poly = pi(sort(levels.max_of(ONE, U)), lambda t: t)
    define(env, "f", sort(levels.succ(levels.imax_of(ONE, U))), poly, ("u",))


@bad("LEAN212")
def imax_does_not_commute(env: Environment) -> None:
    """`imax u v` is not `imax v u`."""
    value = fun(sort(U), lambda s: fun(sort(V), lambda t: arrow(s, t)))
    type_ = pi(sort(U), lambda _s: arrow(sort(V), sort(levels.imax_of(V, U))))
    define(env, "f", type_, value, ("u", "v"))


@bad("LEAN212")
def max_is_not_one_side(env: Environment) -> None:
    """A pair of a `Type u` and a `Type v` does not live in `Type u`."""
    su, sv = sort(levels.succ(U)), sort(levels.succ(V))
    value = fun(su, lambda s: fun(sv, lambda t: a(c("Prod", U, V), s, t)))
    define(env, "f", arrow(su, sv, su), value, ("u", "v"))


@bad("LEAN212")
def successor_is_not_itself(env: Environment) -> None:
    """`Sort u` does not have type `Sort u`."""
    define(env, "f", sort(U), sort(U), ("u",))


@bad("LEAN210")
def universe_argument_too_large(env: Environment) -> None:
    """`List.{0} Type` puts a large type into a small list."""
    define(env, "f", TYPE, a(c("List", levels.ZERO), TYPE))


@bad("LEAN201")
def universe_parameter_twice(env: Environment) -> None:
    """A definition lists `u` twice."""
    define(env, "f", sort(levels.succ(U)), sort(U), ("u", "u"))


@bad("LEAN202")
def universe_parameter_missing(env: Environment) -> None:
    """A definition uses `u` without listing it."""
    define(env, "f", sort(levels.succ(U)), sort(U))


@bad("LEAN202")
def universe_parameter_missing_in_constructor(env: Environment) -> None:
    """A constructor uses a universe parameter that its type does not list."""
    induct(env, spec("T", TYPE, ("mk", arrow(sort(U), c("T")))))


@bad("LEAN206")
def too_few_levels(env: Environment) -> None:
    """`List` is used without its universe."""
    define(env, "f", TYPE, a(c("List"), NAT))


@bad("LEAN206")
def too_many_levels(env: Environment) -> None:
    """`Nat` is used with a universe."""
    define(env, "f", TYPE, c("Nat", ONE))


# scoping and shape ----------------------------------------------------------------------------------------------------


@bad("LEAN203")
def loose_variable(env: Environment) -> None:
    """A value is a bound variable without binder."""
    declare(Definition("f", (), NAT, ex.bvar(0), 0), env, budget())


@bad("LEAN203")
def loose_variable_under_binder(env: Environment) -> None:
    """A variable points one binder too far."""
    declare(Definition("f", (), arrow(NAT, NAT), ex.lam("x", NAT, ex.bvar(1)), 0), env, budget())


@bad("LEAN204")
def free_local(env: Environment) -> None:
    """A value has a free variable."""
    declare(Theorem("f", (), FALSE, ex.local(7, "h", FALSE)), env, budget())


@bad("LEAN207")
def unfilled_hole(env: Environment) -> None:
    """A proof is a hole."""
    declare(Theorem("f", (), FALSE, ex.meta(0)), env, budget())


@bad("LEAN207")
def unfilled_universe(env: Environment) -> None:
    """A type has a universe that was never found."""
    declare(Axiom("f", (), sort(levels.meta(0))), env, budget())


@bad("LEAN205")
def unknown_constant(env: Environment) -> None:
    """A value is not declared."""
    define(env, "f", NAT, c("Nat.nothing"))


@bad("LEAN205")
def theorem_by_itself(env: Environment) -> None:
    """`theorem t : False := t`: a declaration cannot use itself."""
    prove(env, "t", FALSE, c("t"))


@bad("LEAN205")
def definition_by_itself(env: Environment) -> None:
    """`def loop (n : Nat) : False := loop n`: recursion goes through recursors only."""
    define(env, "loop", arrow(NAT, FALSE), fun(NAT, lambda n: a(c("loop"), n)))


@bad("LEAN200")
def name_twice(env: Environment) -> None:
    """`Nat.add` is declared again, with another value."""
    define(env, "Nat.add", NAT2, fun(NAT, lambda _: fun(NAT, lambda _: ZERO)))


@bad("LEAN200")
def constructor_name_twice(env: Environment) -> None:
    """Two constructors have the same name."""
    induct(env, spec("T", TYPE, ("mk", c("T")), ("mk", c("T"))))


@bad("LEAN200")
def constructor_takes_recursor_name(env: Environment) -> None:
    """A constructor is called `rec`."""
    induct(env, spec("T", TYPE, ("rec", c("T"))))


@bad("LEAN200")
def inductive_replaces_another(env: Environment) -> None:
    """`False` is declared again, with a constructor."""
    induct(env, spec("False", PROP, ("intro", FALSE)))


@bad("LEAN200")
def constructor_takes_auxiliary_recursor_name(env: Environment) -> None:
    """A constructor is called as the recursor of an auxiliary type will be."""
    induct(env, spec("Tree", TYPE, ("rec_1", arrow(a(c("List", levels.ZERO), c("Tree")), c("Tree")))))


@bad("LEAN213")
def zero_at_two_universes(_env: Environment) -> None:
    """Before `Nat` is declared, `Nat.zero` may be any definition, and differs from universe to universe."""
    env = Environment()
    eq_type = pi(sort(U), lambda t: arrow(t, t, PROP))
    intro = pi(sort(U), lambda t: pi(t, lambda x: a(c("Eq", U), t, x, x)))
    induct(env, spec("Eq", eq_type, ("refl", intro), params=2, at=("u",)))
    four = sort(levels.numeral(4))
    declare(Axiom("pick", ("u",), arrow(four, sort(levels.numeral(3)))), env, budget())
    big = levels.numeral(4)
    define(env, "Nat.zero", sort(levels.numeral(3)), a(c("pick", U), sort(levels.numeral(3))), ("u",))
    left, right = c("Nat.zero", levels.ZERO), c("Nat.zero", ONE)
    prove(env, "t", eq(sort(levels.numeral(3)), left, right, big), refl(sort(levels.numeral(3)), left, big))


# typing ---------------------------------------------------------------------------------------------------------------


@bad("LEAN208")
def value_as_type(env: Environment) -> None:
    """The type of an axiom is a number."""
    declare(Axiom("f", (), ZERO), env, budget())


@bad("LEAN208")
def value_as_binder_type(env: Environment) -> None:
    """A function takes an argument whose type is a number."""
    define(env, "f", arrow(NAT, NAT), fun(ZERO, lambda _: ZERO))


@bad("LEAN208")
def value_as_codomain(env: Environment) -> None:
    """An arrow ends in a number."""
    declare(Axiom("f", (), arrow(NAT, ZERO)), env, budget())


@bad("LEAN209")
def number_applied(env: Environment) -> None:
    """A number is applied to a number."""
    define(env, "f", NAT, a(ZERO, ZERO))


@bad("LEAN209")
def too_many_arguments(env: Environment) -> None:
    """`succ` is applied to two numbers."""
    define(env, "f", NAT, a(c("Nat.succ"), ZERO, ZERO))


@bad("LEAN210")
def wrong_argument(env: Environment) -> None:
    """`succ` is applied to a truth value."""
    define(env, "f", NAT, succ(c("Bool.true")))


@bad("LEAN210")
def wrong_dependent_argument(env: Environment) -> None:
    """A second argument has the type of another first argument."""
    define(env, "f", PROP, a(c("Eq", ONE), NAT, ZERO, c("Bool.true")))


@bad("LEAN211")
def wrong_let(env: Environment) -> None:
    """`let x : Nat := true; x`."""
    define(env, "f", NAT, ex.let("x", NAT, c("Bool.true"), ex.bvar(0)))


@bad("LEAN211")
def wrong_let_never_used(env: Environment) -> None:
    """`let h : False := trivial; 0`: an unused local definition is checked as well."""
    define(env, "f", NAT, ex.let("h", FALSE, c("True.intro"), ZERO))


@bad("LEAN212")
def wrong_value(env: Environment) -> None:
    """A number is defined as a truth value."""
    define(env, "f", NAT, c("Bool.true"))


@bad("LEAN212")
def wrong_opaque_value(env: Environment) -> None:
    """An opaque proof of `False` is checked although it never unfolds."""
    declare(Opaque("f", (), FALSE, c("True.intro")), env, budget())


@bad("LEAN213")
def truth_is_not_falsity(env: Environment) -> None:
    """`theorem cheat : False := True.intro`."""
    prove(env, "cheat", FALSE, c("True.intro"))


@bad("LEAN213")
def computation_does_not_agree(env: Environment) -> None:
    """`0 + 1 = 0` does not hold by computation."""
    left = a(c("Nat.add"), ZERO, succ(ZERO))
    prove(env, "t", eq(NAT, left, ZERO), refl(NAT, ZERO))


@bad("LEAN213")
def needs_induction(env: Environment) -> None:
    """`0 + n = n` does not hold by computation alone."""
    statement = pi(NAT, lambda n: eq(NAT, a(c("Nat.add"), ZERO, n), n))
    prove(env, "t", statement, fun(NAT, lambda n: refl(NAT, n)))


@bad("LEAN213")
def data_is_not_irrelevant(env: Environment) -> None:
    """`true = false`: two values of a type in `Type` are not equal for having the same type."""
    prove(env, "t", eq(BOOL, c("Bool.true"), c("Bool.false")), refl(BOOL, c("Bool.true")))


@bad("LEAN213")
def two_constructors_have_no_eta(env: Environment) -> None:
    """A value of a type with two constructors is not the first of them."""
    statement = pi(BOOL, lambda b: eq(BOOL, b, c("Bool.true")))
    prove(env, "t", statement, fun(BOOL, lambda b: refl(BOOL, b)))


@bad("LEAN213")
def eta_for_pairs_keeps_order(env: Environment) -> None:
    """`(p.2, p.1)` is not `p`."""
    pair = a(c("Prod", levels.ZERO, levels.ZERO), NAT, NAT)

    def swapped(p: ex.Expr) -> ex.Expr:
        return a(c("Prod.mk", levels.ZERO, levels.ZERO), NAT, NAT, ex.proj("Prod", 1, p), ex.proj("Prod", 0, p))

    prove(env, "t", pi(pair, lambda p: eq(pair, swapped(p), p)), fun(pair, lambda p: refl(pair, p)))


@bad("LEAN213")
def eta_needs_a_structure_without_recursion(env: Environment) -> None:
    """A recursive type with one constructor has no eta: `mk x.1` would unfold for ever."""
    loop = c("Loop")
    induct(env, spec("Loop", TYPE, ("mk", arrow(loop, loop))))
    statement = pi(loop, lambda x: eq(loop, a(c("Loop.mk"), ex.proj("Loop", 0, x)), x))
    prove(env, "t", statement, fun(loop, lambda x: refl(loop, x)))


@bad("LEAN213")
def proofs_of_different_statements(env: Environment) -> None:
    """Proof irrelevance does not make a proof of one proposition a proof of another."""
    prove(env, "t", pi(PROP, lambda p: arrow(TRUE, p)), fun(PROP, lambda _: fun(TRUE, lambda h: h)))


@bad("LEAN214")
def theorem_about_data(env: Environment) -> None:
    """`theorem t : Nat := 0`."""
    prove(env, "t", NAT, ZERO)


@bad("LEAN214")
def theorem_in_unknown_universe(env: Environment) -> None:
    """A theorem's statement in `Sort u` is no proposition for every `u`."""
    prove(env, "t", pi(sort(U), lambda t: arrow(t, t)), fun(sort(U), lambda t: fun(t, lambda x: x)), ("u",))


# projections ----------------------------------------------------------------------------------------------------------


@bad("LEAN215")
def projection_of_missing_field(env: Environment) -> None:
    """A pair has no third field."""
    pair = a(c("Prod", levels.ZERO, levels.ZERO), NAT, NAT)
    define(env, "f", arrow(pair, NAT), fun(pair, lambda p: ex.proj("Prod", 2, p)))


@bad("LEAN215")
def projection_of_another_structure(env: Environment) -> None:
    """A field of `Unit` is taken from a pair."""
    pair = a(c("Prod", levels.ZERO, levels.ZERO), NAT, NAT)
    define(env, "f", arrow(pair, NAT), fun(pair, lambda p: ex.proj("Unit", 0, p)))


@bad("LEAN215")
def projection_of_a_sum(env: Environment) -> None:
    """A number has two forms and no field."""
    define(env, "f", arrow(NAT, NAT), fun(NAT, lambda n: ex.proj("Nat", 0, n)))


@bad("LEAN215")
def projection_of_a_function(env: Environment) -> None:
    """A function has no field."""
    define(env, "f", arrow(NAT2, NAT), fun(NAT2, lambda f: ex.proj("Prod", 0, f)))


@bad("LEAN216")
def witness_out_of_existence(env: Environment) -> None:
    """The witness of an existence proof is hidden."""
    there = a(c("Exists", ONE), NAT, fun(NAT, lambda _: TRUE))
    define(env, "f", arrow(there, NAT), fun(there, lambda h: ex.proj("Exists", 0, h)))


@bad("LEAN216")
def proof_about_hidden_witness(env: Environment) -> None:
    """The second field of an existence proof speaks of the hidden witness."""
    there = a(c("Exists", ONE), NAT, fun(NAT, lambda _: TRUE))
    define(env, "f", arrow(there, TRUE), fun(there, lambda h: ex.proj("Exists", 1, h)))


@bad("LEAN212")
def projection_has_another_type(env: Environment) -> None:
    """The first field of a pair of a number and a truth value is no truth value."""
    pair = a(c("Prod", levels.ZERO, levels.ZERO), NAT, BOOL)
    define(env, "f", arrow(pair, BOOL), fun(pair, lambda p: ex.proj("Prod", 0, p)))


# literals -------------------------------------------------------------------------------------------------------------


@bad("LEAN217")
def number_without_nat(_env: Environment) -> None:
    """A number literal means nothing before `Nat` is declared."""
    declare(Definition("f", (), PROP, ex.nat(3), 0), Environment(), budget())


@bad("LEAN217")
def number_in_another_nat(_env: Environment) -> None:
    """A number literal means nothing when `Nat` has a third constructor."""
    env = Environment()
    induct(env, spec("Nat", TYPE, ("zero", NAT), ("succ", arrow(NAT, NAT)), ("omega", NAT)))
    define(env, "f", NAT, ex.nat(3))


@bad("LEAN217")
def string_without_string(env: Environment) -> None:
    """A string literal means nothing before `String` is declared."""
    define(env, "f", NAT, ex.string("x"))


@bad("LEAN213")
def wrong_sum_of_literals(env: Environment) -> None:
    """`2 + 2 = 5`."""
    two_and_two = a(c("Nat.add"), ex.nat(2), ex.nat(2))
    prove(env, "t", eq(NAT, two_and_two, ex.nat(5)), refl(NAT, ex.nat(5)))


@bad("LEAN213")
def addition_redefined(_env: Environment) -> None:
    """With an addition that always gives 0, `2 + 2 = 4` does not hold by fast arithmetic."""
    env = Environment()
    induct(env, nat_spec())
    eq_type = pi(sort(U), lambda t: arrow(t, t, PROP))
    intro = pi(sort(U), lambda t: pi(t, lambda x: a(c("Eq", U), t, x, x)))
    induct(env, spec("Eq", eq_type, ("refl", intro), params=2, at=("u",)))
    define(env, "Nat.add", NAT2, fun(NAT, lambda _: fun(NAT, lambda _: ZERO)))
    two_and_two = a(c("Nat.add"), ex.nat(2), ex.nat(2))
    prove(env, "t", eq(NAT, two_and_two, ex.nat(4)), refl(NAT, ex.nat(4)))


@bad("LEAN213")
def truncated_subtraction_is_not_signed(env: Environment) -> None:
    """`(1 - 2) + 2 = 1` does not hold for natural numbers."""
    left = a(c("Nat.add"), a(c("Nat.sub"), ex.nat(1), ex.nat(2)), ex.nat(2))
    prove(env, "t", eq(NAT, left, ex.nat(1)), refl(NAT, ex.nat(1)))


@bad("LEAN213")
def literal_is_not_its_successor(env: Environment) -> None:
    """`succ 6 = 8`."""
    prove(env, "t", eq(NAT, succ(ex.nat(6)), ex.nat(8)), refl(NAT, ex.nat(8)))


# inductive types ------------------------------------------------------------------------------------------------------


@bad("LEAN222")
def curry(env: Environment) -> None:
    """`inductive Bad | mk (f : Bad → False)`: Curry's paradox."""
    induct(env, spec("Bad", TYPE, ("mk", arrow(arrow(c("Bad"), FALSE), c("Bad")))))


@bad("LEAN222")
def curry_as_proposition(env: Environment) -> None:
    """Curry's paradox in `Prop`."""
    induct(env, spec("Bad", PROP, ("mk", arrow(arrow(c("Bad"), FALSE), c("Bad")))))


@bad("LEAN222")
def doubly_negative(env: Environment) -> None:
    """`(Bad → Prop) → Prop` is positive, but not strictly."""
    power = arrow(arrow(c("Bad"), PROP), PROP)
    induct(env, spec("Bad", sort(levels.numeral(2)), ("mk", arrow(power, c("Bad")))))


@bad("LEAN222")
def negative_through_a_definition(env: Environment) -> None:
    """A negative occurrence does not hide behind a definition."""
    define(env, "Not", arrow(TYPE, TYPE), fun(TYPE, lambda t: arrow(t, c("Unit"))))
    induct(env, spec("Bad", TYPE, ("mk", arrow(a(c("Not"), c("Bad")), c("Bad")))))


@bad("LEAN222")
def negative_through_nesting(env: Environment) -> None:
    """A negative occurrence does not hide inside another family."""
    neg = spec("Neg", arrow(TYPE, TYPE), ("mk", pi(TYPE, lambda t: arrow(arrow(t, FALSE), a(c("Neg"), t)))), params=1)
    induct(env, neg)
    induct(env, spec("Bad", TYPE, ("mk", arrow(a(c("Neg"), c("Bad")), c("Bad")))))


@bad("LEAN222")
def negative_in_a_group(env: Environment) -> None:
    """A negative occurrence of another type of the group."""
    first = TypeSpec("A", TYPE, (("A.mk", arrow(c("B"), c("A"))),))
    second = TypeSpec("B", TYPE, (("B.mk", arrow(arrow(c("A"), FALSE), c("B"))),))
    induct(env, InductiveSpec((), 0, (first, second)))


@bad("LEAN223")
def occurrence_under_a_variable(env: Environment) -> None:
    """`F Bad` for an unknown `F` may be negative."""
    made = pi(arrow(TYPE, TYPE), lambda f: arrow(a(f, a(c("Bad"), f)), a(c("Bad"), f)))
    induct(env, spec("Bad", arrow(arrow(TYPE, TYPE), TYPE), ("mk", made), params=1))


@bad("LEAN223")
def occurrence_in_an_equation(env: Environment) -> None:
    """A field whose type is an equation about the type itself."""
    declare(Axiom("opaque_same", (), arrow(TYPE, TYPE, PROP)), env, budget())
    induct(env, spec("Bad", TYPE, ("mk", arrow(a(c("opaque_same"), c("Bad"), NAT), c("Bad")))))


@bad("LEAN227")
def nesting_over_a_local_variable(env: Environment) -> None:
    """`∀ n : Nat, Pair n Bad` nests at a parameter that depends on `n`."""
    pair = spec(
        "Tagged",
        arrow(NAT, TYPE, TYPE),
        ("mk", pi(NAT, lambda n: pi(TYPE, lambda t: arrow(t, a(c("Tagged"), n, t))))),
        params=2,
    )
    induct(env, pair)
    induct(env, spec("Bad", TYPE, ("mk", pi(NAT, lambda n: arrow(a(c("Tagged"), n, c("Bad")), c("Bad"))))))


@bad("LEAN224")
def large_field(env: Environment) -> None:
    """`inductive Big : Type | mk (α : Type)`: Girard's paradox through a box."""
    induct(env, spec("Big", TYPE, ("mk", arrow(TYPE, c("Big")))))


@bad("LEAN224")
def large_field_when_zero(env: Environment) -> None:
    """A field in `Type` does not fit in `Sort u`, which may be `Prop` or smaller than `Type`."""
    induct(env, spec("Big", sort(U), ("mk", arrow(NAT, c("Big", U))), at=("u",)))


@bad("LEAN224")
def large_field_by_imax(env: Environment) -> None:
    """A field in `Sort (u + 1)` does not fit in `Sort (imax 1 u)`."""
    at = levels.imax_of(ONE, U)
    induct(env, spec("Big", sort(at), ("mk", arrow(sort(U), c("Big", U))), at=("u",)))


@bad("LEAN225")
def constructor_of_another_type(env: Environment) -> None:
    """A constructor builds a number."""
    induct(env, spec("T", TYPE, ("mk", NAT)))


@bad("LEAN225")
def constructor_at_other_parameters(env: Environment) -> None:
    """A constructor builds its type at another parameter."""
    made = pi(TYPE, lambda _t: a(c("T"), NAT))
    induct(env, spec("T", arrow(TYPE, TYPE), ("mk", made), params=1))


@bad("LEAN225")
def constructor_with_its_type_as_index(env: Environment) -> None:
    """The type being declared stands in an index of its own constructor."""
    made = a(c("T"), a(c("T"), NAT))
    induct(env, spec("T", arrow(TYPE, TYPE), ("mk", made)))


@bad("LEAN226")
def constructor_with_other_parameters(env: Environment) -> None:
    """A constructor starts with a parameter of another type."""
    induct(env, spec("T", arrow(NAT, TYPE), ("mk", arrow(BOOL, a(c("T"), ZERO))), params=1))


@bad("LEAN220")
def inductive_type_of_no_universe(env: Environment) -> None:
    """The type of an inductive type ends in `Nat`."""
    induct(env, spec("T", arrow(NAT, NAT)))


@bad("LEAN220")
def fewer_parameters_than_announced(env: Environment) -> None:
    """Two parameters are announced, one is there."""
    induct(env, spec("T", arrow(TYPE, TYPE), params=2))


@bad("LEAN221")
def group_in_two_universes(env: Environment) -> None:
    """Two mutual types live in different universes."""
    induct(env, InductiveSpec((), 0, (TypeSpec("A", TYPE, ()), TypeSpec("B", PROP, ()))))


@bad("LEAN221")
def group_with_two_parameters(env: Environment) -> None:
    """Two mutual types have different parameters."""
    first, second = TypeSpec("A", arrow(TYPE, TYPE), ()), TypeSpec("B", arrow(PROP, TYPE), ())
    induct(env, InductiveSpec((), 1, (first, second)))


@bad("LEAN233")
def group_of_nothing(env: Environment) -> None:
    """An inductive declaration without a type."""
    induct(env, InductiveSpec((), 0, ()))


# elimination ----------------------------------------------------------------------------------------------------------


@bad("LEAN206")
def large_elimination_of_two_proofs(env: Environment) -> None:
    """Choosing data by which of two proofs was given."""
    two = c("Two")
    induct(env, spec("Two", PROP, ("a", two), ("b", two)))
    pick = fun(two, lambda t: a(c("Two.rec", ONE), fun(two, lambda _: NAT), ZERO, succ(ZERO), t))
    define(env, "pick", arrow(two, NAT), pick)


@bad("LEAN206")
def large_elimination_of_or(env: Environment) -> None:
    """Choosing data by which side of a disjunction was proved."""
    either = a(c("Or"), TRUE, TRUE)
    left = fun(TRUE, lambda _: ZERO)
    pick = fun(either, lambda h: a(c("Or.rec", ONE), TRUE, TRUE, fun(either, lambda _: NAT), left, left, h))
    define(env, "pick", arrow(either, NAT), pick)


@bad("LEAN206")
def large_elimination_of_existence(env: Environment) -> None:
    """The witness of an existence proof by its recursor."""
    p = fun(NAT, lambda _: TRUE)
    there = a(c("Exists", ONE), NAT, p)
    case = fun(NAT, lambda w: fun(a(p, w), lambda _: w))
    pick = fun(there, lambda h: a(c("Exists.rec", ONE, ONE), NAT, p, fun(there, lambda _: NAT), case, h))
    define(env, "pick", arrow(there, NAT), pick)


@bad("LEAN228")
def recorded_large_elimination(env: Environment) -> None:
    """A recorded recursor of a proposition with two constructors takes a motive universe."""
    two = spec("Two", PROP, ("a", c("Two")), ("b", c("Two")))
    with_recursor(lambda r: replace(r, levels=("u",)), two)(env)


@bad("LEAN228")
def large_elimination_of_a_mutual_proposition(env: Environment) -> None:
    """Mutual propositions eliminate into propositions only."""
    first = TypeSpec("A", PROP, (("A.mk", arrow(c("B"), c("A"))),))
    claim = claim_of(InductiveSpec((), 0, (first, TypeSpec("B", PROP, ()))))
    changed = tuple(replace(r, levels=("u",)) for r in claim.recursors)
    declare_claim(replace(claim, recursors=changed), env, budget())


@bad("LEAN229")
def recursor_into_any_universe_but_no_motive(env: Environment) -> None:
    """A recorded recursor says that everything is `False`."""
    with_recursor(lambda r: replace(r, type=pi(c("Color"), lambda _: FALSE)))(env)


@bad("LEAN229")
def recursor_without_cases(env: Environment) -> None:
    """A recorded recursor proves a motive everywhere without asking for any case."""
    color = c("Color")
    type_ = pi(arrow(color, sort(U)), lambda m: pi(color, lambda t: a(m, t)))
    with_recursor(lambda r: replace(r, type=type_, levels=("u",)))(env)


@bad("LEAN230")
def recursor_computes_the_other_case(env: Environment) -> None:
    """A recorded recursor computes at `mix` what it should compute at `red`."""

    def change(r: Recursor) -> Recursor:
        first, second = r.rules
        wrong = replace(second, value=ex.lam("m", NAT, ex.bvar(0)))
        return replace(r, rules=(first, wrong))

    with_recursor(change)(env)


@bad("LEAN230")
def recursor_computes_false_equations(env: Environment) -> None:
    """A recorded `Nat.rec` computes at `succ` as at `zero`, which would prove `0 = 1`."""

    def change(r: Recursor) -> Recursor:
        zero, step = r.rules
        body = zero.value
        under = []
        while isinstance(body, ex.Lam):
            under.append(body)
            body = body.body
        value = ex.lam("n", NAT, ex.bvar(2))
        for binder in reversed(under):
            value = ex.lam(binder.name, binder.type, value, binder.info)
        return replace(r, rules=(zero, replace(step, value=value)))

    claim = claim_of(nat_spec())
    declare_claim(replace(claim, recursors=(change(claim.recursors[0]),)), Environment(), budget())


@bad("LEAN231")
def recursor_with_a_rule_too_few(env: Environment) -> None:
    """A recorded recursor has no rule for a constructor."""
    with_recursor(lambda r: replace(r, rules=r.rules[:1]))(env)


@bad("LEAN231")
def recursor_rules_exchanged(env: Environment) -> None:
    """A recorded recursor's rules are in the wrong order."""
    with_recursor(lambda r: replace(r, rules=r.rules[::-1]))(env)


@bad("LEAN231")
def recursor_counts_fields_wrongly(env: Environment) -> None:
    """A recorded rule takes another number of fields."""
    with_recursor(lambda r: replace(r, rules=(replace(r.rules[0], num_fields=1), r.rules[1])))(env)


@bad("LEAN231")
def recursor_with_k_it_has_not(env: Environment) -> None:
    """A recorded recursor claims to compute on every value of a type in `Type`."""
    with_recursor(lambda r: replace(r, k=True))(env)


@bad("LEAN231")
def recursor_missing(env: Environment) -> None:
    """A group is recorded without its recursor."""
    declare_claim(replace(claim_of(color_spec()), recursors=()), env, budget())


@bad("LEAN231")
def recursor_of_another_name(env: Environment) -> None:
    """A group is recorded with a recursor of another name."""
    with_recursor(lambda r: replace(r, name="Color.elim"))(env)


@bad("LEAN231")
def recursor_for_an_unrelated_type(env: Environment) -> None:
    """A second recursor is slipped in."""
    claim = claim_of(color_spec())
    declare_claim(replace(claim, recursors=(*claim.recursors, replace(claim.recursors[0], name="evil"))), env, budget())


@bad("LEAN232")
def constructor_place_wrong(env: Environment) -> None:
    """A recorded constructor claims another place."""
    claim = claim_of(color_spec())
    first, second = claim.constructors
    declare_claim(replace(claim, constructors=(replace(first, index=1), second)), env, budget())


@bad("LEAN232")
def recursion_denied(env: Environment) -> None:
    """A recursive type is recorded as a plain structure, to gain eta."""
    claim = claim_of(spec("Loop", TYPE, ("mk", arrow(c("Loop"), c("Loop")))))
    declare_claim(replace(claim, types=(replace(claim.types[0], is_recursive=False),)), env, budget())


@bad("LEAN232")
def constructor_left_out(env: Environment) -> None:
    """A constructor is given that the type does not list."""
    claim = claim_of(color_spec())
    declare_claim(replace(claim, types=(replace(claim.types[0], constructors=("Color.red",)),)), env, budget())


@bad("LEAN213")
def k_needs_the_right_type(env: Environment) -> None:
    """Casting along an unknown equation between types does not compute."""
    two = levels.numeral(2)

    def cast(s: ex.Expr, t: ex.Expr, h: ex.Expr, x: ex.Expr) -> ex.Expr:
        motive = fun(TYPE, lambda b: fun(eq(TYPE, s, b, two), lambda _: b))
        return a(c("Eq.rec", ONE, two), TYPE, s, motive, x, t, h)

    def statement(h: ex.Expr) -> ex.Expr:
        return eq(BOOL, cast(NAT, BOOL, h, ZERO), c("Bool.true"))

    proof = fun(eq(TYPE, NAT, BOOL, two), lambda _: refl(BOOL, c("Bool.true")))
    prove(env, "t", pi(eq(TYPE, NAT, BOOL, two), statement), proof)


# quotients and axioms -------------------------------------------------------------------------------------------------


@bad("LEAN240")
def lift_without_respect(_env: Environment) -> None:
    """`Quot.lift` without the proof that the function respects the relation."""
    env = world()
    own = env.constants["Quot.lift"]
    fresh = Environment({k: v for k, v in env.constants.items() if k != "Quot.lift"}, True, True)
    declare(Quotient("Quot.lift", own.levels, pi(NAT, lambda _: NAT), QuotPart.LIFT), fresh, budget())


@bad("LEAN240")
def quotient_of_another_name(env: Environment) -> None:
    """A constant of another name claims to be the quotient's constructor."""
    own = env.constants["Quot.mk"]
    declare(Quotient("Quot.make", own.levels, own.type, QuotPart.MAKE), env, budget())


@bad("LEAN240")
def quotient_over_a_definition(_env: Environment) -> None:
    """`Quot.mk` for a `Quot` that is only a definition: with `Unit` as quotient everything would be equal."""
    full = world()
    env = Environment({k: v for k, v in full.constants.items() if not k.startswith("Quot")}, True, True)
    own = full.constants["Quot"]
    value = fun(sort(U), lambda t: fun(arrow(t, t, PROP), lambda _: t))
    define(env, "Quot", own.type, value, own.levels)
    made = full.constants["Quot.mk"]
    declare(Quotient("Quot.mk", made.levels, made.type, QuotPart.MAKE), env, budget())


@bad("LEAN241")
def lift_with_another_equality(_env: Environment) -> None:
    """`Quot.lift` over an `Eq` that relates everything."""
    full = world()
    drop = ("Quot", "Eq")
    env = Environment({k: v for k, v in full.constants.items() if not k.startswith(drop)}, True, True)
    every = pi(sort(U), lambda t: pi(t, lambda x: pi(t, lambda y: a(c("Eq", U), t, x, y))))
    induct(env, spec("Eq", pi(sort(U), lambda t: arrow(t, t, PROP)), ("refl", every), params=3, at=("u",)))
    for part in (QuotPart.TYPE, QuotPart.MAKE, QuotPart.LIFT):
        own = full.constants[{"type": "Quot", "ctor": "Quot.mk", "lift": "Quot.lift"}[part.value]]
        declare(Quotient(own.name, own.levels, own.type, part), env, budget())


@bad("LEAN213")
def quotient_is_not_free_of_its_relation(env: Environment) -> None:
    """Two elements of a quotient are not equal by computation."""
    every = fun(NAT, lambda _: fun(NAT, lambda _: TRUE))
    quot = a(c("Quot", ONE), NAT, every)
    zero, one = (a(c("Quot.mk", ONE), NAT, every, x) for x in (ZERO, succ(ZERO)))
    prove(env, "t", eq(quot, zero, one), refl(quot, zero))


def _axiom(env: Environment, axiom: Axiom) -> None:
    axioms.check_statement(axiom, env)
    declare(axiom, env, budget())


@bad("LEAN242")
def propext_says_false(env: Environment) -> None:
    """An axiom called `propext` states `False`."""
    _axiom(env, Axiom("propext", (), FALSE))


@bad("LEAN242")
def propext_over_a_trivial_iff(env: Environment) -> None:
    """`propext` in its usual words, over an `Iff` that always holds, would make all propositions equal."""
    p2 = arrow(PROP, PROP, PROP)
    intro = pi(PROP, lambda p: pi(PROP, lambda q: a(c("Iff"), p, q)))
    induct(env, spec("Iff", p2, ("intro", intro), params=2))
    _axiom(env, Axiom("propext", (), axioms.statement("propext")[1]))


@bad("LEAN242")
def choice_over_a_trivial_nonempty(env: Environment) -> None:
    """`Classical.choice` over a `Nonempty` that always holds gives a value of `False`."""
    intro = pi(sort(U), lambda t: a(c("Nonempty", U), t))
    induct(env, spec("Nonempty", arrow(sort(U), PROP), ("intro", intro), params=1, at=("u",)))
    _axiom(env, Axiom("Classical.choice", *axioms.statement("Classical.choice")))


@bad("LEAN242")
def choice_with_another_universe(env: Environment) -> None:
    """`Classical.choice` with two universe parameters is not Lean's."""
    _axiom(env, Axiom("Classical.choice", ("u", "v"), axioms.statement("Classical.choice")[1]))


@bad("LEAN242")
def sound_without_relation(env: Environment) -> None:
    """`Quot.sound` without the premise that the elements are related."""
    wrong = pi(NAT, lambda x: pi(NAT, lambda y: eq(NAT, x, y)))
    _axiom(env, Axiom("Quot.sound", (), wrong))


# attacks --------------------------------------------------------------------------------------------------------------


def phantom(env: Environment) -> None:
    """`inductive Phantom (n : Nat) (A : Type) | mk (a : A)`: a parameter that no field uses."""
    made = pi(NAT, lambda n: pi(TYPE, lambda x: arrow(x, a(c("Phantom"), n, x))))
    induct(env, spec("Phantom", arrow(NAT, TYPE, TYPE), ("mk", made), params=2))


@bad("LEAN210")
def nested_at_an_ill_typed_parameter(env: Environment) -> None:
    """`T | mk : Phantom True T → T`: a parameter that disappears with the nesting is checked all the same."""
    phantom(env)
    induct(env, spec("T", TYPE, ("mk", arrow(a(c("Phantom"), TRUE, c("T")), c("T")))))


@bad("LEAN206")
def nested_at_too_few_levels(env: Environment) -> None:
    """`T | mk : List.{} T → T`: an occurrence inside a family without its universe levels."""
    induct(env, spec("T", TYPE, ("mk", arrow(ex.app(ex.const("List", []), c("T")), c("T")))))


@bad("LEAN210")
def nested_at_another_level(env: Environment) -> None:
    """`T : Type | mk : List.{2} T → T`: an occurrence inside a family of another universe."""
    two = levels.numeral(2)
    induct(env, spec("T", TYPE, ("mk", arrow(ex.app(ex.const("List", [two]), c("T")), c("T")))))


def strings_of(env: Environment, maker: str, number: int) -> None:
    """`def String.ofList (_ : List Char) : String := String.wrap number`, under the name given."""
    value = fun(a(c("List", levels.ZERO), c("Char")), lambda _: a(c("String.wrap"), ex.nat(number)))
    define(env, maker, arrow(a(c("List", levels.ZERO), c("Char")), c("String")), value)


@bad("LEAN213")
def string_literals_change_their_meaning(env: Environment) -> None:
    """`"x"` is `String.ofList ['x']`; a `String.mk` declared later does not give it another value."""
    induct(env, spec("Char", TYPE, ("mk", arrow(NAT, c("Char")))))
    define(env, "Char.ofNat", arrow(NAT, c("Char")), c("Char.mk"))
    induct(env, spec("String", TYPE, ("wrap", arrow(NAT, c("String")))))
    strings_of(env, "String.ofList", 0)
    first = a(c("String.wrap"), ex.nat(0))
    prove(env, "before", eq(c("String"), ex.string("x"), first), refl(c("String"), first))
    strings_of(env, "String.mk", 1)
    second = a(c("String.wrap"), ex.nat(1))
    prove(env, "after", eq(c("String"), ex.string("x"), second), refl(c("String"), second))
