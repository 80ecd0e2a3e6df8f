"""Nested inductive types: occurrences inside other families become auxiliary types of the group, and back.

Rules this module keeps (the Lean 4 reference, "Nested Inductive Types"):

- an occurrence of the group inside `J D…`, with `J` an earlier inductive family and `D…` its parameters, is replaced
  by an auxiliary type with the constructors of `J` at `D…`; the group so made is checked like any mutual group;
- the constructors are well typed as they are written, parameters `D…` that no field uses included;
- the parameters `D…` do not depend on local variables;
- afterwards the auxiliary types are put back to what they stand for, and their recursors are named `rec_1`, `rec_2`, ….
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from certify_verifier.lean import exprs as ex
from certify_verifier.lean import levels, rules
from certify_verifier.lean.environment import (
    Axiom,
    Constant,
    Constructor,
    Environment,
    Inductive,
    Recursor,
    RecursorRule,
)
from certify_verifier.lean.errors import Refused
from certify_verifier.lean.exprs import App, Const, Expr, Lam, Local, Pi
from certify_verifier.lean.inductive import InductiveSpec, TypeSpec, build_flat
from certify_verifier.lean.infer import Checker
from certify_verifier.lean.names import Name, child
from certify_verifier.lean.reduce import Budget
from certify_verifier.lean.terms import instantiate, lambdas, mentions, products, same, substitute_levels
from certify_verifier.lean.terms import replace as replace_terms


@dataclass(frozen=True, slots=True)
class _Auxiliary:
    """An auxiliary type: its name, the application `J D…` it stands for, and `J`."""

    name: Name
    stands_for: Expr
    family: Inductive


class _Flattening:
    """Replaces nested occurrences, type by type, until none is left."""

    def __init__(self, spec: InductiveSpec, environment: Environment, budget: Budget) -> None:
        self.spec = spec
        self.environment = environment
        self.budget = budget
        self.own_levels = [levels.param(name) for name in spec.levels]
        self.types: list[TypeSpec] = list(spec.types)
        self.auxiliaries: list[_Auxiliary] = []
        self.params = self._open_parameters()

    def _open_parameters(self) -> list[Local]:
        params: list[Local] = []
        rest = self.spec.types[0].type
        for number in range(self.spec.num_params):
            if not isinstance(rest, Pi):
                name = self.spec.types[0].name
                raise Refused(rules.INDUCTIVE_TYPE, f"`{name}` has fewer parameters than it announces")
            params.append(ex.local(-1 - number, rest.name, instantiate(rest.type, params)))
            rest = rest.body
        return params

    def run(self) -> InductiveSpec:
        """The group with auxiliary types in place of nested occurrences."""
        done = 0
        while done < len(self.types):
            type_ = self.types[done]
            constructors = tuple((name, self._flatten(name, c)) for name, c in type_.constructors)
            self.types[done] = TypeSpec(type_.name, type_.type, constructors)
            done += 1
        return InductiveSpec(self.spec.levels, self.spec.num_params, tuple(self.types))

    def _flatten(self, name: Name, type_: Expr) -> Expr:
        body = type_
        for _ in self.params:
            if not isinstance(body, Pi):
                raise Refused(rules.CONSTRUCTOR_PARAMETERS, f"`{name}` does not start with its type's parameters")
            body = body.body
        body = instantiate(body, self.params)
        changed = replace_terms(body, self._replacement)
        return type_ if changed is body else products(self.params, changed)

    def _replacement(self, e: Expr) -> Expr | None:
        if not isinstance(e, App):
            return None
        head, args = ex.unapply(e)
        family = self.environment.constants.get(head.name) if isinstance(head, Const) else None
        if not isinstance(head, Const) or not isinstance(family, Inductive) or len(args) < family.num_params:
            return None
        params = args[: family.num_params]
        group = frozenset(t.name for t in self.types)
        if family.name in group or not any(mentions(param, group) for param in params):
            return None
        if any(param.loose for param in params):
            raise Refused(
                rules.NESTED_PARAMETERS, f"`{family.name}` holds the declared type at parameters with local variables"
            )
        whole = ex.apply(head, params)
        known = next((a for a in self.auxiliaries if same(a.stands_for, whole)), None)
        if known is None:
            known = self._add_auxiliaries(family, head, params)
        stand_in = ex.apply(ex.const(known.name, self.own_levels), self.params)
        return ex.apply(stand_in, args[family.num_params :])

    def _add_auxiliaries(self, family: Inductive, head: Const, params: list[Expr]) -> _Auxiliary:
        """Auxiliary types for the whole mutual group of `family`; gives the one for `family` itself."""
        if not self.auxiliaries:
            self._check_as_written()
        wanted = None
        for member_name in family.group:
            member = self.environment.constants[member_name]
            assert isinstance(member, Inductive), "a group lists inductive types"
            name = f"«nested»{len(self.auxiliaries) + 1}"
            stands_for = ex.apply(ex.const(member_name, head.levels), params)
            auxiliary = _Auxiliary(name, stands_for, member)
            self.auxiliaries.append(auxiliary)
            if member_name == family.name:
                wanted = auxiliary
            constructors = tuple(
                (f"{name}.{c}", self._at_parameters(self.environment.constants[c], head, params))
                for c in member.constructors
            )
            self.types.append(TypeSpec(name, self._at_parameters(member, head, params), constructors))
        assert wanted is not None, "a type is a member of its group"
        return wanted

    def _check_as_written(self) -> None:
        """Refuse constructors that are ill typed before anything stands for a part of them."""
        environment = self.environment.copy()
        for type_ in self.spec.types:
            Checker(environment, self.budget).universe_of(type_.type)
        for type_ in self.spec.types:
            environment.add(Axiom(type_.name, self.spec.levels, type_.type))
        checker = Checker(environment, self.budget)
        for type_ in self.spec.types:
            for _, constructor in type_.constructors:
                checker.universe_of(constructor)

    def _at_parameters(self, constant: Constant, head: Const, params: list[Expr]) -> Expr:
        """The constant's type with its own parameters put in, over the parameters of the group."""
        type_ = substitute_levels(constant.type, dict(zip(constant.levels, head.levels, strict=True)))
        for _ in params:
            assert isinstance(type_, Pi), "an accepted family has its parameters as written products"
            type_ = type_.body
        return products(self.params, instantiate(type_, params))


class _Restoring:
    """Puts back what auxiliary types, constructors and recursors stand for."""

    def __init__(self, flattening: _Flattening) -> None:
        self.params = flattening.params
        self.first = flattening.spec.types[0].name
        self.names: dict[Name, Name] = {}
        self.terms: dict[Name, Expr] = {}
        self.families: dict[Name, Name] = {}
        for number, auxiliary in enumerate(flattening.auxiliaries):
            head, params = ex.unapply(auxiliary.stands_for)
            assert isinstance(head, Const), "an auxiliary type stands for a family at parameters"
            self.terms[auxiliary.name] = auxiliary.stands_for
            self.families[auxiliary.name] = auxiliary.family.name
            self.names[child(auxiliary.name, "rec")] = child(self.first, f"rec_{number + 1}")
            for constructor in auxiliary.family.constructors:
                name = f"{auxiliary.name}.{constructor}"
                self.names[name] = constructor
                self.terms[name] = ex.apply(ex.const(constructor, head.levels), params)

    def constant(self, constant: Constant) -> Constant:
        """A generated declaration without auxiliary types."""
        type_ = self._under(constant.type, products)
        if isinstance(constant, Recursor):
            return replace(
                constant,
                name=self.names.get(constant.name, constant.name),
                type=type_,
                inductive=self.families.get(constant.inductive, constant.inductive),
                rules=tuple(
                    RecursorRule(
                        self.names.get(r.constructor, r.constructor), r.num_fields, self._under(r.value, lambdas)
                    )
                    for r in constant.rules
                ),
            )
        return replace(constant, type=type_)

    def _under(self, e: Expr, close: Callable[[list[Local], Expr], Expr]) -> Expr:
        body = e
        for _ in self.params:
            assert isinstance(body, Pi | Lam), "everything generated starts with the group's parameters"
            body = body.body
        opened = instantiate(body, self.params)
        restored = replace_terms(opened, self._restore)
        return e if restored is opened else close(self.params, restored)

    def _restore(self, e: Expr) -> Expr | None:
        head, args = ex.unapply(e)
        if not isinstance(head, Const):
            return None
        term = self.terms.get(head.name)
        if term is None:
            renamed = self.names.get(head.name)
            return ex.const(renamed, head.levels) if renamed is not None and e is head else None
        rest = [replace_terms(arg, self._restore) for arg in args[len(self.params) :]]
        return ex.apply(replace_terms(term, self._restore), rest)


def build(spec: InductiveSpec, environment: Environment, budget: Budget) -> list[Constant]:
    """Check a group of inductive types and give everything that follows from it; the environment is not changed.

    Raises:
        Refused: a rule is broken.
        Exhausted: the budget is spent.
    """
    if not spec.types:
        raise Refused(rules.EMPTY_INDUCTIVE, "an inductive declaration has no type")
    flattening = _Flattening(spec, environment, budget)
    flat = flattening.run()
    made = build_flat(flat, environment.copy(), budget)
    if not flattening.auxiliaries:
        return made
    restoring = _Restoring(flattening)
    own = {t.name for t in spec.types}
    group = tuple(t.name for t in spec.types)
    result: list[Constant] = []
    for constant in made:
        if isinstance(constant, Inductive):
            if constant.name in own:
                nested = len(flattening.auxiliaries)
                result.append(replace(constant, group=group, num_nested=nested))
        elif not isinstance(constant, Constructor) or constant.inductive in own:
            result.append(restoring.constant(constant))
    return result
