"""Inductive families: what may be declared, and the constructors and recursors that follow.

Rules this module keeps (Carneiro, "The Type Theory of Lean", §2.6; Dybjer, "Inductive families"; the Lean 4 reference,
"Inductive Types"):

- the types of a mutual group share parameters and universe; every constructor repeats the parameters and ends in its
  type at these parameters, with indices that do not mention the group;
- occurrences in fields are strictly positive; a field's universe is at most the type's, unless the type is a
  proposition;
- a type that may be a proposition eliminates into propositions only, except where one constructor at most, whose
  fields are proofs or fixed by the indices, makes the choice of proof irrelevant;
- the recursor's type and rules are generated here and taken from nowhere else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from certify_verifier.lean import exprs as ex
from certify_verifier.lean import levels, rules
from certify_verifier.lean.environment import Constant, Constructor, Environment, Inductive, Recursor, RecursorRule
from certify_verifier.lean.errors import Refused
from certify_verifier.lean.exprs import Binder, Const, Expr, Local, Pi, Sort
from certify_verifier.lean.infer import Checker
from certify_verifier.lean.levels import Level
from certify_verifier.lean.names import Name, child, last_of
from certify_verifier.lean.reduce import Budget
from certify_verifier.lean.show import show
from certify_verifier.lean.terms import instantiate, lambdas, mentions, products


@dataclass(frozen=True, slots=True)
class TypeSpec:
    """An inductive type as declared: its name, its type, its constructors with their types."""

    name: Name
    type: Expr
    constructors: tuple[tuple[Name, Expr], ...]


@dataclass(frozen=True, slots=True)
class InductiveSpec:
    """A group of mutual inductive types as declared."""

    levels: tuple[Name, ...]
    num_params: int
    types: tuple[TypeSpec, ...]


@dataclass(slots=True)
class _Family:
    """A type of the group: its constant, its indices as locals."""

    spec: TypeSpec
    const: Const
    indices: list[Local]


@dataclass(frozen=True, slots=True)
class _RecursiveField:
    """A field that holds values of the group: itself, its arguments, which type it gives and at which indices."""

    field: Local
    args: list[Local]
    target: int
    indices: list[Expr]


@dataclass(slots=True)
class _Case:
    """A constructor with its parameters put in: its fields, and the indices it builds at."""

    name: Name
    owner: int
    fields: list[Local]
    universes: list[Level]
    indices: list[Expr]
    recursive: list[_RecursiveField]
    infos: list[Binder]


class _Builder:
    """Checks one group without nesting and generates what follows from it."""

    def __init__(self, spec: InductiveSpec, environment: Environment, budget: Budget) -> None:
        self.spec = spec
        self.environment = environment
        self.budget = budget
        self.checker = Checker(environment, budget)
        self.levels = [levels.param(name) for name in spec.levels]
        self.params: list[Local] = []
        self.families: list[_Family] = []
        self.universe: Level = levels.ZERO
        self.group = frozenset(t.name for t in spec.types)
        self.cases: list[_Case] = []

    def build(self) -> list[Constant]:
        """Check the group and enter its types, constructors and recursors into the environment."""
        for index, type_ in enumerate(self.spec.types):
            self._open_type(index, type_)
        made: list[Constant] = list(self._provisional_types())
        for constant in made:
            self.environment.add(constant)
        self._renew_checker()
        for owner, family in enumerate(self.families):
            for name, constructor in family.spec.constructors:
                self.cases.append(self._check_constructor(owner, name, constructor))
        recursive = any(case.recursive for case in self.cases)
        reflexive = any(field.args for case in self.cases for field in case.recursive)
        for family in self.families:
            final = self._inductive(family, recursive=recursive, reflexive=reflexive)
            self.environment.constants[final.name] = final
        for family in self.families:
            for number, (name, constructor) in enumerate(family.spec.constructors):
                case = next(case for case in self.cases if case.name == name)
                params, fields = self.spec.num_params, len(case.fields)
                self.environment.add(
                    Constructor(name, self.spec.levels, constructor, family.spec.name, number, params, fields)
                )
        self._renew_checker()
        recursors = self._recursors()
        for recursor in recursors:
            self.environment.add(recursor)
        names = [family.spec.name for family in self.families] + [case.name for case in self.cases]
        return [*(self.environment.constants[name] for name in names), *recursors]

    def _renew_checker(self) -> None:
        """Start with empty caches, since the environment changed under the old ones."""
        depth, old = self.checker.depth, self.checker
        self.checker = Checker(self.environment, self.budget)
        self.checker.depth = depth
        self.checker.comparisons = old.comparisons

    def _open_type(self, index: int, type_: TypeSpec) -> None:
        checker = self.checker
        checker.universe_of(type_.type)
        rest = type_.type
        for number in range(self.spec.num_params):
            if not isinstance(rest, Pi):
                raise Refused(rules.INDUCTIVE_TYPE, f"`{type_.name}` has fewer parameters than it announces")
            if index == 0:
                self.params.append(checker.fresh(rest.name, rest.type))
            elif not checker.equal(rest.type, self.params[number].type):
                raise Refused(
                    rules.MUTUAL_MISMATCH, f"`{type_.name}` has another parameter `{rest.name}` than its group"
                )
            rest = instantiate(rest.body, [self.params[number]])
        indices: list[Local] = []
        while isinstance(rest, Pi):
            indices.append(checker.fresh(rest.name, rest.type))
            rest = instantiate(rest.body, [indices[-1]])
        rest = checker.whnf(rest)
        if not isinstance(rest, Sort):
            raise Refused(rules.INDUCTIVE_TYPE, f"the type of `{type_.name}` ends in `{show(rest)}`, not in a universe")
        if index == 0:
            self.universe = rest.level
        elif not levels.equal(self.universe, rest.level):
            raise Refused(rules.MUTUAL_MISMATCH, f"`{type_.name}` lives in another universe than its group")
        const = ex.const(type_.name, self.levels)
        self.families.append(_Family(type_, const, indices))

    def _provisional_types(self) -> list[Inductive]:
        return [self._inductive(family, recursive=True, reflexive=True) for family in self.families]

    def _inductive(self, family: _Family, *, recursive: bool, reflexive: bool) -> Inductive:
        return Inductive(
            name=family.spec.name,
            levels=self.spec.levels,
            type=family.spec.type,
            num_params=self.spec.num_params,
            num_indices=len(family.indices),
            group=tuple(t.name for t in self.spec.types),
            constructors=tuple(name for name, _ in family.spec.constructors),
            is_recursive=recursive,
            is_reflexive=reflexive,
            num_nested=0,
        )

    # constructors -----------------------------------------------------------------------------------------------

    def _check_constructor(self, owner: int, name: Name, type_: Expr) -> _Case:
        checker = self.checker
        checker.universe_of(type_)
        rest = type_
        for param in self.params:
            if not isinstance(rest, Pi) or not checker.equal(rest.type, param.type):
                raise Refused(
                    rules.CONSTRUCTOR_PARAMETERS, f"`{name}` does not start with its type's parameter `{param.name}`"
                )
            rest = instantiate(rest.body, [param])
        case = _Case(name, owner, [], [], [], [], [])
        while isinstance(rest, Pi):
            self._check_field(case, rest)
            rest = instantiate(rest.body, [case.fields[-1]])
        indices = self._indices_in_group(rest, owner)
        if indices is None:
            raise Refused(
                rules.CONSTRUCTOR_TYPE,
                f"`{name}` builds `{show(rest)}`, which is not `{self.families[owner].spec.name}` at its parameters "
                "with indices free of the types being declared",
            )
        case.indices = indices
        return case

    def _check_field(self, case: _Case, rest: Pi) -> None:
        checker = self.checker
        universe = checker.universe_of(rest.type)
        if not levels.is_zero(self.universe) and not levels.leq(universe, self.universe):
            raise Refused(
                rules.FIELD_UNIVERSE,
                f"field `{rest.name}` of `{case.name}` lives in universe {levels.show(universe)}, "
                f"its type in {levels.show(self.universe)}",
            )
        self._check_positivity(case.name, rest.name, rest.type)
        field = checker.fresh(rest.name, rest.type)
        case.fields.append(field)
        case.universes.append(universe)
        case.infos.append(rest.info)
        recursive = self._as_recursive(field)
        if recursive is not None:
            case.recursive.append(recursive)

    def _check_positivity(self, constructor: Name, field: Name, type_: Expr) -> None:
        checker = self.checker
        type_ = checker.whnf(type_)
        while mentions(type_, self.group):
            if self._target(type_) is not None:
                return
            if not isinstance(type_, Pi):
                raise Refused(
                    rules.BAD_OCCURRENCE, f"field `{field}` of `{constructor}` uses its own type in `{show(type_)}`"
                )
            if mentions(type_.type, self.group):
                raise Refused(
                    rules.NON_POSITIVE, f"field `{field}` of `{constructor}` takes its own type as an argument"
                )
            type_ = checker.whnf(instantiate(type_.body, [checker.fresh(type_.name, type_.type)]))

    def _as_recursive(self, field: Local) -> _RecursiveField | None:
        checker = self.checker
        args: list[Local] = []
        rest = checker.whnf(field.type)
        while isinstance(rest, Pi):
            args.append(checker.fresh(rest.name, rest.type))
            rest = checker.whnf(instantiate(rest.body, [args[-1]]))
        target = self._target(rest)
        return None if target is None else _RecursiveField(field, args, *target)

    def _target(self, e: Expr) -> tuple[int, list[Expr]] | None:
        """Which type of the group the term is, at the group's parameters, and at which indices."""
        for number in range(len(self.families)):
            indices = self._indices_in_group(e, number)
            if indices is not None:
                return number, indices
        return None

    def _indices_in_group(self, e: Expr, number: int) -> list[Expr] | None:
        head, args = ex.unapply(e)
        family = self.families[number]
        count = self.spec.num_params
        if head is not family.const or len(args) != count + len(family.indices):
            return None
        if not all(map(self.checker.equal, args[:count], self.params)):
            return None
        indices = args[count:]
        return None if any(mentions(index, self.group) for index in indices) else indices

    # recursors --------------------------------------------------------------------------------------------------

    def _eliminates_into_all(self) -> bool:
        if levels.is_never_zero(self.universe):
            return True
        if len(self.families) > 1 or len(self.cases) > 1:
            return False
        if not self.cases:
            return True
        case = self.cases[0]
        fixed = set(case.indices)
        return all(
            levels.is_zero(universe) or field in fixed
            for field, universe in zip(case.fields, case.universes, strict=True)
        )

    def _recursors(self) -> list[Recursor]:
        large = self._eliminates_into_all()
        names = self.spec.levels
        target: Level = levels.ZERO
        if large:
            fresh = _fresh_level(names)
            names = (fresh, *names)
            target = levels.param(fresh)
        own_levels = [levels.param(name) for name in names]
        motives, majors = self._motives(target)
        minors = [self._minor(case, motives) for case in self.cases]
        prefix = [*self.params, *motives, *minors]
        heads = [ex.apply(ex.const(child(f.spec.name, "rec"), own_levels), prefix) for f in self.families]
        found = []
        for number, family in enumerate(self.families):
            major = majors[number]
            result = ex.apply(motives[number], [*family.indices, major])
            found.append(
                Recursor(
                    name=child(family.spec.name, "rec"),
                    levels=names,
                    type=products([*prefix, *family.indices, major], result, self._recursor_binders(family)),
                    inductive=family.spec.name,
                    num_params=len(self.params),
                    num_indices=len(family.indices),
                    num_motives=len(motives),
                    num_minors=len(minors),
                    rules=tuple(
                        self._rule(case, minor, prefix, heads)
                        for case, minor in zip(self.cases, minors, strict=True)
                        if case.owner == number
                    ),
                    k=self._is_k(),
                )
            )
        return found

    def _recursor_binders(self, family: _Family) -> list[Binder]:
        """How a recursor's arguments are given: cases and the value written out, everything else found."""
        motive = Binder.IMPLICIT if self.cases else Binder.DEFAULT
        found = [Binder.IMPLICIT] * len(self.params) + [motive] * len(self.families)
        found += [Binder.DEFAULT] * len(self.cases)
        return [*found, *([Binder.IMPLICIT] * len(family.indices)), Binder.DEFAULT]

    def _is_k(self) -> bool:
        return (
            levels.is_zero(self.universe)
            and len(self.families) == 1
            and len(self.cases) == 1
            and not self.cases[0].fields
        )

    def _motives(self, target: Level) -> tuple[list[Local], list[Local]]:
        motives, majors = [], []
        for number, family in enumerate(self.families):
            major = self.checker.fresh("t", ex.apply(family.const, [*self.params, *family.indices]))
            name = "motive" if len(self.families) == 1 else f"motive_{number + 1}"
            majors.append(major)
            motives.append(self.checker.fresh(name, products([*family.indices, major], ex.sort(target))))
        return motives, majors

    def _minor(self, case: _Case, motives: Sequence[Local]) -> Local:
        hypotheses = []
        for field in case.recursive:
            value = ex.apply(field.field, field.args)
            type_ = products(field.args, ex.apply(motives[field.target], [*field.indices, value]))
            hypotheses.append(self.checker.fresh(f"{field.field.name}_ih", type_))
        made = ex.apply(ex.const(case.name, self.levels), [*self.params, *case.fields])
        result = ex.apply(motives[case.owner], [*case.indices, made])
        infos = [*case.infos, *([Binder.DEFAULT] * len(hypotheses))]
        return self.checker.fresh(last_of(case.name), products([*case.fields, *hypotheses], result, infos))

    def _rule(self, case: _Case, minor: Local, prefix: Sequence[Local], heads: Sequence[Expr]) -> RecursorRule:
        calls = [
            lambdas(
                field.args,
                ex.apply(heads[field.target], [*field.indices, ex.apply(field.field, field.args)]),
            )
            for field in case.recursive
        ]
        value = lambdas([*prefix, *case.fields], ex.apply(minor, [*case.fields, *calls]))
        return RecursorRule(case.name, len(case.fields), value)


def _fresh_level(taken: Sequence[Name]) -> Name:
    name, number = "u", 0
    while name in taken:
        number += 1
        name = f"u_{number}"
    return name


def build_flat(spec: InductiveSpec, environment: Environment, budget: Budget) -> list[Constant]:
    """Check a group in which no type occurs inside another family, and enter everything that follows from it.

    Raises:
        Refused: a rule is broken; the environment may hold a part of the group then, so give a copy or undo.
        Exhausted: the budget is spent.
    """
    if not spec.types:
        raise Refused(rules.EMPTY_INDUCTIVE, "an inductive declaration has no type")
    return _Builder(spec, environment, budget).build()
