"""Weak head normal form: what a term computes to.

Rules this module keeps (Carneiro, "The Type Theory of Lean", §2.5; the Lean 4 reference, "Type Theory"):

- beta, zeta (local definitions), delta (constants), iota (recursors), projections and the quotient's `lift` and `ind`;
- a recursor of a type with the K property computes on every value of the right type, a recursor of a structure on
  every value by its projections;
- a number literal is `zero` or the successor of a literal, a string literal is the string of its characters;
- functions on numbers compute on literals directly only when their equations were proved (`Environment.fast`);
- every step is counted against a budget; when it is spent the check ends undecided.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Final

from certify_verifier.lean import exprs as ex
from certify_verifier.lean import levels, literals
from certify_verifier.lean.environment import (
    Constructor,
    Environment,
    Inductive,
    Quotient,
    QuotPart,
    Recursor,
    RecursorRule,
)
from certify_verifier.lean.errors import Exhausted
from certify_verifier.lean.exprs import App, Const, Expr, Lam, Let, Local, NatLit, Proj, Sort, StrLit
from certify_verifier.lean.names import Name
from certify_verifier.lean.terms import instantiate, substitute_levels

MAX_TERMS: Final = 3_000_000
"""Terms that the check of one declaration may make."""

_REDUCIBLE: Final = (App, Let, Proj)


class Budget:
    """Steps left for a check, and room for the terms it makes.

    Attributes:
        left: steps that may still be taken.
        taken: steps taken so far.
    """

    __slots__ = ("_ceiling", "left", "taken")

    def __init__(self, steps: int, terms: int = MAX_TERMS) -> None:
        self.left = steps
        self.taken = 0
        self._ceiling = ex.count() + terms

    def spend(self) -> None:
        """Take one step.

        Raises:
            Exhausted: none is left, or no room.
        """
        self.taken += 1
        self.left -= 1
        if self.left < 0:
            raise Exhausted(f"no decision after {self.taken - 1} steps")
        if ex.count() > self._ceiling:
            raise Exhausted("the terms that the check makes fill the room given to them")


class Reducer(ABC):
    """Computation over an environment; types and equality, which some rules need, come from below."""

    def __init__(self, environment: Environment, budget: Budget) -> None:
        self.environment = environment
        self.budget = budget
        self.depth = 0
        self._core: dict[Expr, Expr] = {}
        self._whnf: dict[Expr, Expr] = {}

    @abstractmethod
    def type_of(self, e: Expr) -> Expr:
        """The type of a term known to be well typed."""

    @abstractmethod
    def equal(self, left: Expr, right: Expr) -> bool:
        """Whether two well-typed terms are equal by definition."""

    def fresh(self, name: Name, type_: Expr) -> Local:
        """A local that occurs in no term at hand: terms at hand use only numbers below the current depth."""
        self.budget.spend()
        self.depth += 1
        return ex.local(self.depth, name, type_)

    def whnf(self, e: Expr) -> Expr:
        """The weak head normal form of a well-typed term, definitions unfolded."""
        if not isinstance(e, App | Let | Proj | Const):
            return e
        found = self._whnf.get(e)
        if found is None:
            found = e
            while True:
                found = self.whnf_core(found)
                number = self.compute_nat(found)
                if number is not None:
                    found = number
                    break
                unfolded = self.unfold(found)
                if unfolded is None:
                    break
                found = unfolded
            self._whnf[e] = found
        return found

    def whnf_core(self, e: Expr, *, cheap: bool = False) -> Expr:
        """The weak head normal form without unfolding the head; `cheap` does not unfold under projections either."""
        if not isinstance(e, _REDUCIBLE):
            return e
        known = self._core.get(e)
        if known is not None:
            return known
        start = e
        while isinstance(e, _REDUCIBLE):
            self.budget.spend()
            if isinstance(e, Let):
                e = instantiate(e.body, [e.value])
                continue
            reduced = self._project(e, cheap=cheap) if isinstance(e, Proj) else self._reduce_application(e, cheap=cheap)
            if reduced is None:
                break
            e = reduced
        if not cheap:
            self._core[start] = e
        return e

    def unfold(self, e: Expr) -> Expr | None:
        """The term with the constant at its head replaced by its value."""
        if isinstance(e, Const):
            return self.environment.value_of(e)
        if isinstance(e, App):
            head = ex.head_of(e)
            if isinstance(head, Const):
                value = self.environment.value_of(head)
                if value is not None:
                    return beta(value, ex.unapply(e)[1])
        return None

    def compute_nat(self, e: Expr) -> Expr | None:
        """The literal that a function on numbers gives on literals, `None` when the rule does not apply."""
        if e.has_local or not isinstance(e, App) or not self.environment.has_nat:
            return None
        head, args = ex.unapply(e)
        if not isinstance(head, Const) or head.levels:
            return None
        if head.name == literals.SUCC and len(args) == 1:
            number = self._number(args[0])
            return None if number is None else ex.nat(number + 1)
        if head.name not in self.environment.fast:
            return None
        operation = literals.OPERATIONS[head.name]
        if len(args) != operation.arity:
            return None
        numbers = []
        for arg in args:
            number = self._number(arg)
            if number is None:
                return None
            numbers.append(number)
        return operation.compute(*numbers)

    def _number(self, e: Expr) -> int | None:
        return literals.value_of(self.whnf(e))

    def _reduce_application(self, e: Expr, *, cheap: bool) -> Expr | None:
        head, args = ex.unapply(e)
        if isinstance(head, Lam):
            return beta(head, args)
        if isinstance(head, _REDUCIBLE):
            reduced = self.whnf_core(head, cheap=cheap)
            return None if reduced is head else beta(reduced, args)
        if isinstance(head, Const):
            constant = self.environment.constants.get(head.name)
            if isinstance(constant, Recursor):
                return self._reduce_recursor(constant, head, args)
            if isinstance(constant, Quotient):
                return self._reduce_quotient(constant, args)
        return None

    def _project(self, e: Proj, *, cheap: bool) -> Expr | None:
        struct = self.whnf_core(e.struct, cheap=True) if cheap else self.whnf(e.struct)
        struct = self._expand_string(struct)
        head, args = ex.unapply(struct)
        constructor = self._constructor(head)
        if constructor is None or constructor.inductive != e.type_name:
            return None
        place = constructor.num_params + e.index
        return args[place] if place < len(args) else None

    def _constructor(self, head: Expr) -> Constructor | None:
        if not isinstance(head, Const):
            return None
        constant = self.environment.constants.get(head.name)
        return constant if isinstance(constant, Constructor) else None

    def _expand_string(self, e: Expr) -> Expr:
        if isinstance(e, StrLit):
            return self.whnf(literals.expand_string(e, self.environment))
        return e

    def _reduce_quotient(self, constant: Quotient, args: list[Expr]) -> Expr | None:
        """`Quot.lift f h (Quot.mk r a)` is `f a`, and `Quot.ind h (Quot.mk r a)` is `h a`."""
        if constant.part is QuotPart.LIFT:
            function, major = 3, 5
        elif constant.part is QuotPart.IND:
            function, major = 3, 4
        else:
            return None
        if len(args) <= major:
            return None
        head, made = ex.unapply(self.whnf(args[major]))
        if not isinstance(head, Const) or len(made) != 3:
            return None
        maker = self.environment.constants.get(head.name)
        if not isinstance(maker, Quotient) or maker.part is not QuotPart.MAKE:
            return None
        return beta(ex.app(args[function], made[2]), args[major + 1 :])

    def _reduce_recursor(self, recursor: Recursor, head: Const, args: list[Expr]) -> Expr | None:
        place = recursor.major
        if len(args) <= place or len(head.levels) != len(recursor.levels):
            return None
        major = args[place]
        if recursor.k:
            major = self._as_k_constructor(recursor, major) or major
        major = self._expand_literal(self.whnf(major))
        rule_head, fields = ex.unapply(major)
        rule = self._rule(recursor, rule_head)
        if rule is None:
            major = self._as_structure_constructor(recursor, major)
            rule_head, fields = ex.unapply(major)
            rule = self._rule(recursor, rule_head)
        if rule is None or len(fields) < rule.num_fields:
            return None
        value = substitute_levels(rule.value, dict(zip(recursor.levels, head.levels, strict=True)))
        kept = recursor.num_params + recursor.num_motives + recursor.num_minors
        own = fields[len(fields) - rule.num_fields :] if rule.num_fields else []
        return beta(value, [*args[:kept], *own, *args[place + 1 :]])

    @staticmethod
    def _rule(recursor: Recursor, head: Expr) -> RecursorRule | None:
        if not isinstance(head, Const):
            return None
        return next((rule for rule in recursor.rules if rule.constructor == head.name), None)

    def _expand_literal(self, e: Expr) -> Expr:
        if isinstance(e, NatLit):
            return literals.expand_nat(e)
        return self._expand_string(e)

    def _as_k_constructor(self, recursor: Recursor, major: Expr) -> Expr | None:
        """For a type with the K property: the constructor in place of any value, when the types agree."""
        type_ = self.whnf(self.type_of(major))
        made = self._nullary_constructor(recursor, type_)
        if made is None or not self.equal(type_, self.type_of(made)):
            return None
        return made

    def _nullary_constructor(self, recursor: Recursor, type_: Expr) -> Expr | None:
        head, args = ex.unapply(type_)
        if not isinstance(head, Const) or head.name != recursor.inductive:
            return None
        inductive = self.environment.constants.get(head.name)
        if not isinstance(inductive, Inductive) or len(inductive.constructors) != 1:
            return None
        return ex.apply(ex.const(inductive.constructors[0], head.levels), args[: inductive.num_params])

    def _as_structure_constructor(self, recursor: Recursor, major: Expr) -> Expr:
        """For a structure that is no proposition: the constructor of the value's own projections."""
        maker = self.environment.structure(recursor.inductive)
        if maker is None or self._constructor(ex.head_of(major)) is not None:
            return major
        type_ = self.whnf(self.type_of(major))
        head, args = ex.unapply(type_)
        if not isinstance(head, Const) or head.name != recursor.inductive:
            return major
        if self.is_proposition(type_):
            return major
        fields = [ex.proj(recursor.inductive, i, major) for i in range(maker.num_fields)]
        return ex.apply(ex.const(maker.name, head.levels), [*args[: maker.num_params], *fields])

    def is_proposition(self, type_: Expr) -> bool:
        """Whether a type known to be well formed is a proposition."""
        universe = self.whnf(self.type_of(type_))
        return isinstance(universe, Sort) and not universe.level.has_meta and levels.is_zero(universe.level)


def beta(fn: Expr, args: list[Expr]) -> Expr:
    """The function applied, as many arguments as it has lambdas put in at once."""
    taken = 0
    body = fn
    while isinstance(body, Lam) and taken < len(args):
        body = body.body
        taken += 1
    return ex.apply(instantiate(body, args[:taken]), args[taken:])
