"""Types of terms, checked.

Rules this module keeps (Carneiro, "The Type Theory of Lean", §2.3 and §2.4; projections and literals as in the Lean 4
kernel):

- `infer` accepts a term only after every part of it was checked; `type_of` trusts that it was;
- data never leaves a proof: a projection out of a proposition is a proof itself, and fields that depend on data it
  hides are out of reach;
- literals have the types `Nat` and `String` only where these are declared as Lean declares them.
"""

from __future__ import annotations

from certify_verifier.lean import exprs as ex
from certify_verifier.lean import levels, literals, rules
from certify_verifier.lean.environment import Environment, Inductive
from certify_verifier.lean.equality import Equality
from certify_verifier.lean.errors import Refused
from certify_verifier.lean.exprs import App, BVar, Const, Expr, Lam, Let, Local, Meta, NatLit, Pi, Proj, Sort, StrLit
from certify_verifier.lean.levels import Level
from certify_verifier.lean.reduce import Budget
from certify_verifier.lean.show import show
from certify_verifier.lean.terms import instantiate, products


class Checker(Equality):
    """The type checker for one declaration over an environment."""

    def __init__(self, environment: Environment, budget: Budget) -> None:
        super().__init__(environment, budget)
        self._checked: dict[Expr, Expr] = {}
        self._trusted: dict[Expr, Expr] = {}

    def infer(self, e: Expr) -> Expr:
        """The type of a term, every part of it checked.

        Raises:
            Refused: the term has no type; the rule says why.
            Exhausted: the budget is spent.
        """
        return self._infer(e, check=True)

    def type_of(self, e: Expr) -> Expr:
        """The type of a term that was checked before, or is built from such terms."""
        return self._infer(e, check=False)

    def universe_of(self, e: Expr) -> Level:
        """The universe of a type, every part of it checked.

        Raises:
            Refused: the term is no type.
        """
        return self._universe(e, self.infer(e))

    def _universe(self, e: Expr, type_: Expr) -> Level:
        universe = type_ if isinstance(type_, Sort) else self.whnf(type_)
        if not isinstance(universe, Sort):
            raise Refused(rules.NOT_A_TYPE, f"`{show(e)}` is no type, it has type `{show(type_)}`")
        return universe.level

    def _infer(self, e: Expr, *, check: bool) -> Expr:
        if isinstance(e, Local):
            return e.type
        known = self._checked.get(e)
        if known is None and not check:
            known = self._trusted.get(e)
        if known is None:
            self.budget.spend()
            known = self._infer_new(e, check=check)
            (self._checked if check else self._trusted)[e] = known
        return known

    def _infer_new(self, e: Expr, *, check: bool) -> Expr:
        if isinstance(e, App):
            return self._infer_application(e, check=check)
        if isinstance(e, Const):
            return self.environment.type_of(e)
        if isinstance(e, Lam):
            return self._infer_lambda(e, check=check)
        if isinstance(e, Pi):
            return self._infer_product(e, check=check)
        if isinstance(e, Sort):
            return ex.sort(levels.succ(e.level))
        if isinstance(e, Let):
            return self._infer_let(e, check=check)
        if isinstance(e, Proj):
            return self._infer_projection(e, check=check)
        if isinstance(e, NatLit | StrLit):
            return self._infer_literal(e)
        if isinstance(e, BVar):
            raise Refused(rules.LOOSE_BVAR, f"bound variable #{e.index} points outside every binder")
        assert isinstance(e, Meta), "every kind of term is covered above"
        raise Refused(rules.METAVARIABLE, "a hole was never filled")

    def _infer_application(self, e: App, *, check: bool) -> Expr:
        head, args = ex.unapply(e)
        type_ = self._infer(head, check=check)
        start = 0
        for i, arg in enumerate(args):
            if not isinstance(type_, Pi):
                type_ = self.whnf(instantiate(type_, args[start:i]))
                start = i
                if not isinstance(type_, Pi):
                    done = ex.apply(head, args[:i])
                    raise Refused(
                        rules.NOT_A_FUNCTION, f"`{show(done)}` has type `{show(type_)}` and takes no argument"
                    )
            if check:
                self._check_argument(head, arg, instantiate(type_.type, args[start:i]))
            type_ = type_.body
        return instantiate(type_, args[start:])

    def _check_argument(self, head: Expr, arg: Expr, wanted: Expr) -> None:
        found = self.infer(arg)
        if not self.equal(found, wanted):
            raise Refused(
                rules.ARGUMENT_TYPE,
                f"`{show(head)}` wants an argument of type `{show(wanted)}`, "
                f"but `{show(arg)}` has type `{show(found)}`",
            )

    def _infer_lambda(self, e: Lam, *, check: bool) -> Expr:
        depth = self.depth
        opened: list[Local] = []
        infos = []
        body: Expr = e
        try:
            while isinstance(body, Lam):
                domain = instantiate(body.type, opened)
                if check:
                    self.universe_of(domain)
                opened.append(self.fresh(body.name, domain))
                infos.append(body.info)
                body = body.body
            type_ = self._infer(instantiate(body, opened), check=check)
            return products(opened, type_, infos)
        finally:
            self.depth = depth

    def _infer_product(self, e: Pi, *, check: bool) -> Expr:
        depth = self.depth
        opened: list[Local] = []
        universes = []
        body: Expr = e
        try:
            while isinstance(body, Pi):
                domain = instantiate(body.type, opened)
                universes.append(self._universe(domain, self._infer(domain, check=check)))
                opened.append(self.fresh(body.name, domain))
                body = body.body
            last = instantiate(body, opened)
            level = self._universe(last, self._infer(last, check=check))
        finally:
            self.depth = depth
        for universe in reversed(universes):
            level = levels.imax_of(universe, level)
        return ex.sort(level)

    def _infer_let(self, e: Let, *, check: bool) -> Expr:
        if check:
            self.universe_of(e.type)
            found = self.infer(e.value)
            if not self.equal(found, e.type):
                raise Refused(
                    rules.LET_TYPE,
                    f"`let {e.name}` says type `{show(e.type)}`, but its value has type `{show(found)}`",
                )
        return self._infer(instantiate(e.body, [e.value]), check=check)

    def _infer_literal(self, e: NatLit | StrLit) -> Expr:
        if isinstance(e, NatLit):
            if not self.environment.has_nat:
                raise Refused(rules.LITERAL, "a number literal needs `Nat` as Lean declares it")
            return literals.nat_type()
        string_type = ex.const("String")
        if not self.equal(self.infer(literals.expand_string(e, self.environment)), string_type):
            raise Refused(rules.LITERAL, "a string literal needs `String` as Lean declares it")
        return string_type

    def _infer_projection(self, e: Proj, *, check: bool) -> Expr:
        struct_type = self.whnf(self._infer(e.struct, check=check))
        head, args = ex.unapply(struct_type)
        inductive = self.environment.constants.get(head.name) if isinstance(head, Const) else None
        if not isinstance(head, Const) or not isinstance(inductive, Inductive) or inductive.name != e.type_name:
            raise Refused(
                rules.BAD_PROJECTION, f"field {e.index} of `{e.type_name}` is taken from a `{show(struct_type)}`"
            )
        maker = self.environment.sole_constructor(inductive.name)
        if maker is None or len(args) != inductive.num_params + inductive.num_indices:
            raise Refused(rules.BAD_PROJECTION, f"`{inductive.name}` is no structure and has no fields to take")
        if not 0 <= e.index < maker.num_fields:
            raise Refused(rules.BAD_PROJECTION, f"`{inductive.name}` has {maker.num_fields} fields, none at {e.index}")
        type_ = self.environment.type_of(ex.const(maker.name, head.levels))
        for arg in args[: inductive.num_params]:
            type_ = self._open_field(type_, arg)
        hides_data = self.is_proposition(struct_type)
        for i in range(e.index):
            field = self._field(type_)
            if hides_data and field.body.loose and not self.is_proposition(field.type):
                raise Refused(rules.PROP_PROJECTION, f"field {e.index} of `{inductive.name}` depends on hidden data")
            type_ = self._open_field(type_, ex.proj(e.type_name, i, e.struct))
        wanted = self._field(type_).type
        if hides_data and not self.is_proposition(wanted):
            raise Refused(rules.PROP_PROJECTION, f"field {e.index} of `{inductive.name}` is data inside a proof")
        return wanted

    def _field(self, type_: Expr) -> Pi:
        found = type_ if isinstance(type_, Pi) else self.whnf(type_)
        assert isinstance(found, Pi), "a constructor's type has as many arguments as it has parameters and fields"
        return found

    def _open_field(self, type_: Expr, value: Expr) -> Expr:
        return instantiate(self._field(type_).body, [value])
