"""Terms of the source language made into kernel terms.

Rules this module keeps:

- types of binders that are left out become holes; implicit arguments of the type wanted are bound;
- `+ - * ^ ≤ <` and numerals are those of `Nat`: there are no type classes; `&& || !` are those of `Bool`;
- nothing elaborated here is trusted, the kernel checks it.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Final

from certify_verifier.lean import exprs as ex
from certify_verifier.lean import levels, rules
from certify_verifier.lean.exprs import Binder, Const, Expr, Local, Meta, Pi
from certify_verifier.lean.front import syntax as s
from certify_verifier.lean.front.application import Applications
from certify_verifier.lean.front.errors import Spot, Unsupported, Wrong
from certify_verifier.lean.names import Name
from certify_verifier.lean.show import show
from certify_verifier.lean.terms import abstract, instantiate, lambdas, products

_OPERATORS: Final[dict[str, Name]] = {
    "=": "Eq",
    "≠": "Ne",
    "∧": "And",
    "∨": "Or",
    "↔": "Iff",
    "¬": "Not",
    "×": "Prod",
    "⊕": "Sum",
    "::": "List.cons",
    "++": "List.append",
    "+": "Nat.add",
    "-": "Nat.sub",
    "*": "Nat.mul",
    "^": "Nat.pow",
    "≤": "Nat.le",
    "<": "Nat.lt",
    "&&": "and",
    "||": "or",
    "!": "not",
    "∘": "Function.comp",
}
_FLIPPED: Final = {"≥": "≤", ">": "<"}
_TRANSITIVE: Final[dict[Name, Name]] = {"Eq": "Eq.trans", "Nat.le": "Nat.le_trans", "Iff": "Iff.trans"}


class Elaborator(Applications):
    """An elaborator of every term but matches."""

    def term(self, term: s.Term, wanted: Expr | None) -> Expr:
        """The kernel term, of the type wanted where one is.

        Raises:
            Wrong: it has no meaning, or another type.
            Unsupported: it uses something this front end does not know.
        """
        if wanted is not None:
            implicit = self._implicit_product(term, wanted)
            if implicit is not None:
                x = self.unifier.new_local(implicit.name, implicit.type)
                with self.bound(("", x)):
                    body = self.term(term, instantiate(implicit.body, [x]))
                return lambdas([x], body, [implicit.info])
        found = self._dispatch(term, wanted)
        if wanted is not None:
            self.require(found, wanted, term.spot)
        return found

    def _implicit_product(self, term: s.Term, wanted: Expr) -> Pi | None:
        """The product over an implicit argument that the term leaves to be bound."""
        if isinstance(term, s.Explicit | s.Hole):
            return None
        if isinstance(term, s.Lambda) and term.binders[0].info is not Binder.DEFAULT:
            return None
        product = self.unifier.whnf_core(wanted)
        return product if isinstance(product, Pi) and product.info is Binder.IMPLICIT else None

    # dispatch -------------------------------------------------------------------------------------------------------

    def _dispatch(self, term: s.Term, wanted: Expr | None) -> Expr:
        match term:
            case s.Ident() | s.Explicit() | s.Apply() | s.Field() | s.ShortName():
                return self._application(term, wanted)
            case s.Number():
                return self._number(term, wanted)
            case s.Text():
                raise Unsupported("a string, whose core type differs between releases", term.spot)
            case s.Hole():
                return self.hole(wanted if wanted is not None else self.type_hole(term.spot), term.spot)
            case s.Universe():
                return self._universe(term)
            case s.Lambda():
                return self._lambda(list(term.binders), term.body, wanted)
            case s.Product():
                return self._product(list(term.binders), term.body)
            case s.Exists():
                return self._exists(list(term.binders), term.body, term.spot)
            case s.Operator():
                return self._operator(term, wanted)
            case s.LetTerm():
                return self._let(term, wanted)
            case s.Show():
                type_ = self.type(term.type)
                if wanted is not None:
                    self.unifier.attempt(lambda: self.unifier.equal(type_, wanted))
                return self.ascribed(self.term(term.value, type_), type_)
            case s.Anonymous():
                return self._anonymous(term, wanted)
            case s.Tuple():
                return self._tuple(term, wanted)
            case s.ListTerm():
                return self._list(term, wanted)
            case s.Match():
                return self.match(list(term.subjects), term.alternatives, wanted, term.spot)
            case s.LambdaMatch():
                return self._lambda_match(term, wanted)
            case s.Calc():
                return self._calc(term)
            case _:
                raise Unsupported("this term", term.spot)

    @abstractmethod
    def match(
        self, subjects: list[s.Term], alternatives: tuple[s.Alternative, ...], wanted: Expr | None, spot: Spot
    ) -> Expr:
        """A match; `certify_verifier.lean.front.matching` says how."""

    def _number(self, term: s.Number, wanted: Expr | None) -> Expr:
        if wanted is not None:
            type_ = self.unifier.whnf(wanted)
            head = ex.head_of(type_)
            if not isinstance(head, Meta) and not (isinstance(head, Const) and head.name == "Nat"):
                if isinstance(head, Const | Local):
                    raise Wrong(rules.TYPE_MISMATCH, f"a number is no `{show(self.unifier.filled(wanted))}`", term.spot)
                raise Unsupported(f"a number as a `{show(type_)}`", term.spot)
        return ex.nat(term.value)

    def _universe(self, term: s.Universe) -> Expr:
        if term.word == "Prop":
            return ex.PROP
        level = self.level(term.level) if term.level is not None else levels.ZERO
        if term.level is None:
            return ex.TYPE if term.word == "Type" else ex.PROP
        return ex.sort(levels.succ(level) if term.word == "Type" else level)

    # binders --------------------------------------------------------------------------------------------------------

    def _lambda(self, binders: list[s.BinderSyntax], body: s.Term, wanted: Expr | None) -> Expr:
        if not binders:
            return self.term(body, wanted)
        binder, rest = binders[0], binders[1:]
        product = self.unifier.whnf(wanted) if wanted is not None else None
        if isinstance(product, Pi) and product.info is Binder.IMPLICIT and binder.info is Binder.DEFAULT:
            x = self.unifier.new_local(product.name, product.type)
            with self.bound(("", x)):
                inner = self._lambda(binders, body, instantiate(product.body, [x]))
            return lambdas([x], inner, [product.info])
        domain = self._domain(binder, product)
        x = self.unifier.new_local(binder.name, domain)
        body_type = instantiate(product.body, [x]) if isinstance(product, Pi) else None
        with self.bound(("" if binder.name == "_" else binder.name, x)):
            if binder.pattern is not None:
                inner = self._match_local(x, binder.pattern, rest, body, body_type)
            else:
                inner = self._lambda(rest, body, body_type)
        return lambdas([x], inner, [binder.info])

    def _domain(self, binder: s.BinderSyntax, product: Expr | None) -> Expr:
        written = self.type(binder.type) if binder.type is not None else None
        if not isinstance(product, Pi):
            return written if written is not None else self.type_hole(binder.spot)
        if written is not None and not self.unifier.attempt(lambda: self.unifier.equal(written, product.type)):
            told = show(self.unifier.filled(product.type))
            raise Wrong(
                rules.TYPE_MISMATCH,
                f"`{binder.name}` is given type `{show(self.unifier.filled(written))}`, but `{told}` is wanted",
                binder.spot,
            )
        return written if written is not None else product.type

    def _match_local(
        self, x: Local, pattern: s.Term, rest: list[s.BinderSyntax], body: s.Term, wanted: Expr | None
    ) -> Expr:
        inner = s.Lambda(pattern.spot, tuple(rest), body) if rest else body
        name = f"«pattern»{x.ident}"
        with self.bound((name, x)):
            alternative = s.Alternative(pattern.spot, (pattern,), inner)
            return self.match([s.Ident(pattern.spot, name)], (alternative,), wanted, pattern.spot)

    def _product(self, binders: list[s.BinderSyntax], body: s.Term) -> Expr:
        if not binders:
            return self.type(body)
        binder = binders[0]
        domain = self.type(binder.type) if binder.type is not None else self.type_hole(binder.spot)
        x = self.unifier.new_local(binder.name, domain)
        with self.bound(("" if binder.name == "_" else binder.name, x)):
            inner = self._product(binders[1:], body)
        return products([x], inner, [binder.info])

    def _exists(self, binders: list[s.BinderSyntax], body: s.Term, spot: Spot) -> Expr:
        if not binders:
            return self.term(body, ex.PROP)
        binder = binders[0]
        domain = self.type(binder.type) if binder.type is not None else self.type_hole(binder.spot)
        x = self.unifier.new_local(binder.name, domain)
        with self.bound(("" if binder.name == "_" else binder.name, x)):
            inner = self._exists(binders[1:], body, spot)
        head = self.core("Exists", spot)
        assert isinstance(head, Const), "a core name is a constant"
        self.unifier.equal(ex.sort(head.levels[0]), self.unifier.type_of(domain))
        return ex.apply(head, [domain, lambdas([x], inner)])

    def _let(self, term: s.LetTerm, wanted: Expr | None) -> Expr:
        if term.pattern is not None:
            subject = term.value if term.type is None else s.Show(term.spot, term.type, term.value)
            return self.match([subject], (s.Alternative(term.spot, (term.pattern,), term.body),), wanted, term.spot)
        type_ = self._product(list(term.binders), term.type) if term.type is not None else None
        if term.binders:
            value = self._lambda(list(term.binders), term.value, type_)
            if type_ is not None:
                self.require(value, type_, term.spot)
        else:
            value = self.term(term.value, type_)
        self.unifier.retry()
        if type_ is None:
            type_ = self.unifier.filled(self.unifier.type_of(value))
        x = self.unifier.new_local(term.name, type_)
        if not term.opaque:
            self.unifier.let_values[x] = value
        with self.bound(("" if term.name == "_" else term.name, x)):
            body = self.term(term.body, wanted)
        if term.opaque:
            return ex.app(lambdas([x], body), value)
        return ex.let(term.name, type_, value, abstract(self.unifier.filled(body), [x]))

    # notations ------------------------------------------------------------------------------------------------------

    def _operator(self, term: s.Operator, wanted: Expr | None) -> Expr:
        if term.sign == "→":
            domain, codomain = self.type(term.args[0]), self.type(term.args[1])
            return ex.pi("a", domain, codomain)
        if term.sign == "<|":
            fn, arg = term.args
            if isinstance(fn, s.Apply):
                return self._application(s.Apply(fn.spot, fn.fn, (*fn.args, s.Argument(arg))), wanted)
            return self._application(s.Apply(fn.spot, fn, (s.Argument(arg),)), wanted)
        if term.sign == "==":
            raise Unsupported("`==`, which needs a type class: write `Nat.beq`", term.spot)
        args = term.args[::-1] if term.sign in _FLIPPED else term.args
        name = _OPERATORS[_FLIPPED.get(term.sign, term.sign)]
        return self.apply(self.core(name, term.spot), [s.Argument(arg) for arg in args], wanted, term.spot)

    def _anonymous(self, term: s.Anonymous, wanted: Expr | None) -> Expr:
        self.unifier.retry()
        type_ = self.unifier.whnf(wanted) if wanted is not None else None
        head = ex.head_of(type_) if type_ is not None else None
        if type_ is None or not isinstance(head, Const):
            raise Wrong(rules.CANNOT_INFER, "the type that `⟨…⟩` builds is not known", term.spot)
        maker = self.environment.sole_constructor(head.name)
        if maker is None:
            raise Wrong(rules.TYPE_MISMATCH, f"`{show(type_)}` has not exactly one constructor for `⟨…⟩`", term.spot)
        fields = self._explicit_fields(maker.type, maker.num_params)
        parts = list(term.parts)
        if len(parts) > fields > 0:
            rest = s.Anonymous(parts[fields - 1].spot, tuple(parts[fields - 1 :]))
            parts = [*parts[: fields - 1], rest]
        return self.apply(self.constant(maker.name), [s.Argument(p) for p in parts], wanted, term.spot)

    @staticmethod
    def _explicit_fields(type_: Expr, params: int) -> int:
        count = place = 0
        while isinstance(type_, Pi):
            count += place >= params and type_.info is Binder.DEFAULT
            place += 1
            type_ = type_.body
        return count

    def _tuple(self, term: s.Tuple, wanted: Expr | None) -> Expr:
        if not term.parts:
            return self.core("PUnit.unit", term.spot)
        rest = term.parts[1] if len(term.parts) == 2 else s.Tuple(term.parts[1].spot, term.parts[1:])
        make = self.core("Prod.mk", term.spot)
        return self.apply(make, [s.Argument(term.parts[0]), s.Argument(rest)], wanted, term.spot)

    def _list(self, term: s.ListTerm, wanted: Expr | None) -> Expr:
        if not term.parts:
            return self.apply(self.core("List.nil", term.spot), [], wanted, term.spot)
        rest = s.ListTerm(term.spot, term.parts[1:])
        make = self.core("List.cons", term.spot)
        return self.apply(make, [s.Argument(term.parts[0]), s.Argument(rest)], wanted, term.spot)

    def _lambda_match(self, term: s.LambdaMatch, wanted: Expr | None) -> Expr:
        count = len(term.alternatives[0].patterns)
        names = [f"«argument»{len(self.locals)}.{i}" for i in range(count)]
        binders = tuple(s.BinderSyntax(term.spot, name, None, Binder.DEFAULT) for name in names)
        subjects = tuple(s.Ident(term.spot, name) for name in names)
        return self._lambda(list(binders), s.Match(term.spot, subjects, term.alternatives), wanted)

    def _calc(self, term: s.Calc) -> Expr:
        proof, last = None, None
        for relation, reason in term.steps:
            type_ = self._calc_relation(relation, last)
            step = self.ascribed(self.term(reason, type_), type_)
            self.unifier.retry()
            type_ = self.unifier.filled(type_)
            head, args = ex.unapply(self.unifier.whnf_core(type_))
            if not isinstance(head, Const) or head.name not in _TRANSITIVE or len(args) < 2:
                raise Unsupported("a calculation with a relation other than `=`, `≤` and `↔`", relation.spot)
            proof = step if proof is None else self._chain(proof, step, head.name, relation.spot)
            last = args[-1]
        assert proof is not None, "a calculation has a step"
        return proof

    def _chain(self, proof: Expr, step: Expr, relation: Name, spot: Spot) -> Expr:
        link = self.core(_TRANSITIVE[relation], spot)
        return self.apply(link, [s.Argument(self.quoted(e, spot)) for e in (proof, step)], None, spot)

    def _calc_relation(self, relation: s.Term, last: Expr | None) -> Expr:
        if last is None:
            return self.type(relation)
        if not isinstance(relation, s.Operator) or not isinstance(relation.args[0], s.Hole):
            raise Unsupported("a step of a calculation that does not start with `_`", relation.spot)
        left = self.quoted(last, relation.spot)
        return self.type(s.Operator(relation.spot, relation.sign, (left, relation.args[1])))
