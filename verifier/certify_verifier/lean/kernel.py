"""The gate of the environment: every declaration is checked here, and only here enters.

Rules this module keeps (Carneiro, "The Type Theory of Lean", §2.3, §2.6, §2.7; the Lean 4 reference, "Definitions",
"Quotients"):

- a declaration is closed, uses the universe parameters it lists and no others, lists none twice;
- an axiom's type is a type; a value has the type that its definition says; a theorem states a proposition;
- what is recorded about inductive types, constructors and recursors equals what this kernel generates;
- the quotient's constants have exactly Lean's types, and need equality as Lean declares it;
- a declaration that is refused or undecided leaves the environment as it was.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from certify_verifier.lean import exprs as ex
from certify_verifier.lean import fast, levels, literals, nested, quotient, rules
from certify_verifier.lean.environment import (
    Axiom,
    Constant,
    Constructor,
    Definition,
    Environment,
    Inductive,
    Opaque,
    Quotient,
    Recursor,
    Theorem,
)
from certify_verifier.lean.errors import Exhausted, Refused
from certify_verifier.lean.exprs import Const, Expr, Sort
from certify_verifier.lean.inductive import InductiveSpec, TypeSpec
from certify_verifier.lean.infer import Checker
from certify_verifier.lean.names import Name
from certify_verifier.lean.reduce import Budget
from certify_verifier.lean.show import show
from certify_verifier.lean.terms import same, substitute_levels, subterms


@dataclass(frozen=True, slots=True)
class InductiveClaim:
    """A group of inductive types as somebody else recorded it: types, constructors and recursors with their facts."""

    types: tuple[Inductive, ...]
    constructors: tuple[Constructor, ...]
    recursors: tuple[Recursor, ...]


@dataclass(frozen=True, slots=True)
class Effort:
    """What a check cost: steps of all kinds, and comparisons of definitional equality among them."""

    steps: int
    comparisons: int


def declare(constant: Constant, environment: Environment, budget: Budget) -> Effort:
    """Check an axiom, definition, theorem, opaque constant or part of the quotient, and enter it.

    Raises:
        Refused: a rule is broken.
        Exhausted: the budget is spent.
    """
    _check_new(constant.name, environment)
    _check_closed(constant.name, constant.levels, _terms_of(constant))
    before = budget.taken
    checker = Checker(environment, budget)
    universe = checker.universe_of(constant.type)
    if isinstance(constant, Theorem) and not levels.is_zero(universe):
        raise Refused(
            rules.THEOREM_NOT_PROP, f"`{constant.name}` states `{show(constant.type)}`, which is no proposition"
        )
    if isinstance(constant, Definition | Theorem | Opaque):
        found = checker.infer(constant.value)
        if not checker.equal(found, constant.type):
            rule = rules.PROOF_TYPE if isinstance(constant, Theorem) else rules.VALUE_TYPE
            raise Refused(rule, f"`{constant.name}` says `{show(constant.type)}`, its value has type `{show(found)}`")
    elif isinstance(constant, Quotient):
        quotient.check(constant, environment)
    else:
        assert isinstance(constant, Axiom), "inductive types, constructors and recursors are declared as a group"
    environment.add(constant)
    fast.consider(constant, environment)
    return Effort(budget.taken - before, checker.comparisons)


def declare_inductive(spec: InductiveSpec, environment: Environment, budget: Budget) -> tuple[Constant, ...]:
    """Check a group of inductive types and enter it with its constructors and recursors.

    Raises:
        Refused: a rule is broken.
        Exhausted: the budget is spent.
    """
    for type_ in spec.types:
        _check_new(type_.name, environment)
        _check_closed(type_.name, spec.levels, (type_.type, *(c for _, c in type_.constructors)))
        for name, _ in type_.constructors:
            _check_new(name, environment)
    made = nested.build(spec, environment, budget)
    for constant in made:
        _check_new(constant.name, environment)
    if len({constant.name for constant in made}) != len(made):
        raise Refused(rules.DUPLICATE_NAME, f"`{spec.types[0].name}` and what follows from it declare a name twice")
    for constant in made:
        environment.add(constant)
    _note_literal_types(environment, spec.types[0].name)
    return tuple(made)


def declare_claim(claim: InductiveClaim, environment: Environment, budget: Budget) -> Effort:
    """Check a recorded group: declare it, and compare everything recorded with what was generated.

    Raises:
        Refused: a rule is broken or a recorded fact is wrong; the environment is as before.
        Exhausted: the budget is spent; the environment is as before.
    """
    before = budget.taken
    spec = _spec_of(claim)
    for recursor in claim.recursors:
        _check_closed(recursor.name, recursor.levels, (recursor.type, *(r.value for r in recursor.rules)))
    made = declare_inductive(spec, environment, budget)
    checker = Checker(environment, budget)
    try:
        _compare_claim(claim, {constant.name: constant for constant in made}, checker)
    except (Refused, Exhausted, RecursionError):
        environment.withdraw([constant.name for constant in made])
        raise
    return Effort(budget.taken - before, checker.comparisons)


def _check_new(name: Name, environment: Environment) -> None:
    if name in environment.constants:
        raise Refused(rules.DUPLICATE_NAME, f"`{name}` is already declared")


def _terms_of(constant: Constant) -> tuple[Expr, ...]:
    if isinstance(constant, Definition | Theorem | Opaque):
        return (constant.type, constant.value)
    return (constant.type,)


def _check_closed(name: Name, declared: Sequence[Name], terms: Iterable[Expr]) -> None:
    """Refuse loose indices, free locals, holes, and universe parameters not listed or listed twice."""
    listed = set(declared)
    if len(listed) != len(declared):
        raise Refused(rules.DUPLICATE_LEVEL, f"`{name}` lists a universe parameter twice")
    for term in terms:
        if term.loose:
            raise Refused(rules.LOOSE_BVAR, f"`{name}` has a bound variable that points outside every binder")
        if term.has_local:
            raise Refused(rules.FREE_LOCAL, f"`{name}` has a free variable")
        if term.has_meta:
            raise Refused(rules.METAVARIABLE, f"`{name}` has a hole that was never filled")
        for part in subterms(term) if term.has_param else ():
            at = (part.level,) if isinstance(part, Sort) else part.levels if isinstance(part, Const) else ()
            for parameter in (p for level in at for p in levels.parameters(level)):
                if parameter not in listed:
                    raise Refused(
                        rules.UNDECLARED_LEVEL, f"`{name}` uses the universe parameter `{parameter}` without listing it"
                    )


def _spec_of(claim: InductiveClaim) -> InductiveSpec:
    if not claim.types:
        raise Refused(rules.EMPTY_INDUCTIVE, "an inductive declaration has no type")
    first = claim.types[0]
    by_name = {c.name: c for c in claim.constructors}
    listed = [name for type_ in claim.types for name in type_.constructors]
    if len(by_name) != len(claim.constructors) or len(set(listed)) != len(listed):
        raise Refused(rules.DUPLICATE_NAME, f"`{first.name}` has two constructors of the same name")
    if set(by_name) != set(listed):
        raise Refused(rules.INDUCTIVE_FACTS, f"the constructors that `{first.name}` lists are not those given")
    for part in (*claim.types, *claim.constructors):
        if part.levels != first.levels:
            raise Refused(rules.INDUCTIVE_FACTS, f"`{part.name}` lists other universe parameters than `{first.name}`")
    if any(type_.num_params != first.num_params for type_ in claim.types):
        raise Refused(rules.MUTUAL_MISMATCH, f"the types declared with `{first.name}` differ in parameters")
    types = tuple(
        TypeSpec(t.name, t.type, tuple((name, by_name[name].type) for name in t.constructors)) for t in claim.types
    )
    return InductiveSpec(first.levels, first.num_params, types)


def _compare_claim(claim: InductiveClaim, made: dict[Name, Constant], checker: Checker) -> None:
    for told in (*claim.types, *claim.constructors):
        own = made[told.name]
        if _facts(told) != _facts(own):
            raise Refused(
                rules.INDUCTIVE_FACTS, f"`{told.name}` is recorded with {_facts(told)}, but it has {_facts(own)}"
            )
        if not _equal_terms(told.type, own.type, checker):
            raise Refused(rules.INDUCTIVE_FACTS, f"`{told.name}` is recorded with another type than it has")
    recursors = {name: constant for name, constant in made.items() if isinstance(constant, Recursor)}
    if sorted(r.name for r in claim.recursors) != sorted(recursors):
        raise Refused(
            rules.RECURSOR_SHAPE,
            f"recorded are the recursors {sorted(r.name for r in claim.recursors)}, generated are {sorted(recursors)}",
        )
    for recursor in claim.recursors:
        _compare_recursor(recursor, recursors[recursor.name], checker)


def _facts(constant: Constant) -> dict[str, object]:
    """What is recorded about a constant beside its type."""
    if isinstance(constant, Inductive):
        return {
            "parameters": constant.num_params,
            "indices": constant.num_indices,
            "group": constant.group,
            "constructors": constant.constructors,
            "recursive": constant.is_recursive,
            "reflexive": constant.is_reflexive,
            "nested": constant.num_nested,
        }
    if isinstance(constant, Constructor):
        return {
            "type": constant.inductive,
            "place": constant.index,
            "parameters": constant.num_params,
            "fields": constant.num_fields,
        }
    assert isinstance(constant, Recursor), "a group has types, constructors and recursors"
    return {
        "parameters": constant.num_params,
        "indices": constant.num_indices,
        "motives": constant.num_motives,
        "minor premises": constant.num_minors,
        "K": constant.k,
        "rules": [(rule.constructor, rule.num_fields) for rule in constant.rules],
    }


def _compare_recursor(told: Recursor, own: Recursor, checker: Checker) -> None:
    if len(told.levels) != len(own.levels):
        raise Refused(
            rules.RECURSOR_LEVELS,
            f"`{told.name}` is recorded with {len(told.levels)} universe parameters, but has {len(own.levels)}",
        )
    if _facts(told) != _facts(own):
        raise Refused(rules.RECURSOR_SHAPE, f"`{told.name}` is recorded with {_facts(told)}, but it has {_facts(own)}")
    renamed = dict(zip(own.levels, map(levels.param, told.levels), strict=True))
    if not _equal_terms(told.type, substitute_levels(own.type, renamed), checker):
        raise Refused(rules.RECURSOR_TYPE, f"`{told.name}` is recorded with another type than it has")
    for rule, own_rule in zip(told.rules, own.rules, strict=True):
        if not _equal_terms(rule.value, substitute_levels(own_rule.value, renamed), checker):
            raise Refused(
                rules.RECURSOR_RULE, f"`{told.name}` is recorded to compute otherwise at `{rule.constructor}`"
            )


def _equal_terms(told: Expr, own: Expr, checker: Checker) -> bool:
    """Whether a recorded term is the generated one, letter for letter or by computation once it is checked."""
    if same(told, own):
        return True
    return checker.equal(checker.infer(told), checker.infer(own)) and checker.equal(told, own)


def _note_literal_types(environment: Environment, name: Name) -> None:
    """Note that literals may be used when this declaration gave `Nat` or `Bool` the form Lean gives them."""
    inductive = environment.constants[name]
    if not isinstance(inductive, Inductive) or inductive.levels or not same(inductive.type, ex.TYPE):
        return
    own = ex.const(name)
    shape = [(c, environment.constants[c].type) for c in inductive.constructors]
    if name == "Nat" and [c for c, _ in shape] == ["Nat.zero", literals.SUCC]:
        environment.has_nat = same(shape[0][1], own) and same(shape[1][1], ex.pi("n", own, own))
    if name == "Bool" and [c for c, _ in shape] == ["Bool.false", "Bool.true"]:
        environment.has_bool = all(same(type_, own) for _, type_ in shape)
