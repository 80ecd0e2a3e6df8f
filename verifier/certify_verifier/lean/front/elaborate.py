"""Terms of the source language made into kernel terms.

Rules this module keeps:

- what is left out (implicit arguments, types of binders, universes) becomes a hole and is found by unification;
- arguments are elaborated with the type wanted, from left to right; those whose form says nothing wait for the others;
- `+ - * ^ ≤ <` and numerals are those of `Nat`: there are no type classes; `&& || !` are those of `Bool`;
- nothing elaborated here is trusted, the kernel checks it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from certify_verifier.lean import exprs as ex
from certify_verifier.lean import levels, rules
from certify_verifier.lean.environment import Inductive
from certify_verifier.lean.exprs import Binder, Const, Expr, Local, Meta, Pi, Sort
from certify_verifier.lean.front import syntax as s
from certify_verifier.lean.front.errors import Spot, Unsupported, Wrong
from certify_verifier.lean.front.scope import FileScope
from certify_verifier.lean.front.unify import Unifier
from certify_verifier.lean.levels import Level
from certify_verifier.lean.names import Name
from certify_verifier.lean.reduce import Budget
from certify_verifier.lean.show import show
from certify_verifier.lean.terms import abstract, instantiate, lambdas, products, subterms

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
_WAITING: Final = (s.Lambda, s.Anonymous, s.ShortName, s.Match, s.LambdaMatch, s.Hole)


class Elaborator:
    """Elaborates the terms of one declaration.

    Attributes:
        scope: what global names mean.
        unifier: holes and their solutions.
        locals: the names bound here, innermost last.
        levels: universe parameters that may be named.
    """

    def __init__(self, scope: FileScope, budget: Budget) -> None:
        self.scope = scope
        self.environment = scope.environment
        self.unifier = Unifier(scope.environment, budget)
        self.locals: list[tuple[str, Expr]] = []
        self.levels: list[str] = list(scope.universes)
        self._subjects: dict[str, Expr] = {}

    # locals and holes -----------------------------------------------------------------------------------------------

    @contextmanager
    def bound(self, *pairs: tuple[str, Expr]) -> Iterator[None]:
        """Names bound inside."""
        count = len(self.locals)
        self.locals.extend(pairs)
        try:
            yield
        finally:
            del self.locals[count:]

    def in_scope(self) -> list[Local]:
        """The locals that a hole made here may use."""
        return list(dict.fromkeys(x for _, x in self.locals if isinstance(x, Local)))

    def hole(self, type_: Expr, spot: Spot) -> Expr:
        """A term of this type to be found."""
        return self.unifier.new_hole(type_, self.in_scope(), spot)

    def type_hole(self, spot: Spot) -> Expr:
        """A type to be found."""
        return self.hole(ex.sort(self.unifier.new_level()), spot)

    def constant(self, name: Name, given: Sequence[Level] | None = None) -> Expr:
        """A declared constant, at universes to be found unless given."""
        count = len(self.environment.constants[name].levels)
        return ex.const(name, given if given is not None else [self.unifier.new_level() for _ in range(count)])

    def _core(self, name: Name, spot: Spot) -> Expr:
        if name not in self.environment.constants:
            raise Wrong(rules.UNKNOWN_NAME, f"`{name}` is not declared", spot)
        return self.constant(name)

    # entry ----------------------------------------------------------------------------------------------------------

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

    def require(self, found: Expr, wanted: Expr, spot: Spot) -> None:
        """Unify a term's type with the type wanted.

        Raises:
            Wrong: they differ.
        """
        type_ = self.unifier.type_of(found)
        if not self.unifier.attempt(lambda: self.unifier.equal(type_, wanted)):
            shown, told = show(self.unifier.filled(wanted)), show(self.unifier.filled(type_))
            raise Wrong(rules.TYPE_MISMATCH, f"this has type `{told}`, but `{shown}` is wanted", spot)

    def type(self, term: s.Term) -> Expr:
        """The kernel term of a type.

        Raises:
            Wrong: it is no type.
        """
        found = self.term(term, None)
        universe = self.unifier.whnf(self.unifier.type_of(found))
        if isinstance(universe, Sort):
            return found
        if isinstance(ex.head_of(universe), Meta) and self.unifier.equal(universe, ex.sort(self.unifier.new_level())):
            return found
        raise Wrong(rules.TYPE_MISMATCH, f"a type is wanted, this has type `{show(universe)}`", term.spot)

    def settle(self, spot: Spot) -> None:
        """Try all equations put off.

        Raises:
            Wrong: one cannot hold.
        """
        if not self.unifier.retry() or not self.unifier.retry(final=True):
            raise Wrong(rules.CANNOT_INFER, "what is left out here cannot be inferred", spot)

    def finished(self, e: Expr, spot: Spot) -> Expr:
        """The term with everything found put in.

        Raises:
            Wrong: something was not found.
        """
        e = self.unifier.filled(e)
        for part in subterms(e) if e.has_meta else ():
            if isinstance(part, Meta):
                hole = self.unifier.holes[part.ident]
                raise Wrong(
                    rules.CANNOT_INFER,
                    "what is left out here cannot be inferred",
                    hole.spot if hole.spot.line else spot,
                    f"its type is `{show(self.unifier.filled(hole.type))}`",
                )
        return e

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
                return self._ascribed(self.term(term.value, type_), type_)
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

    def match(
        self, subjects: list[s.Term], alternatives: tuple[s.Alternative, ...], wanted: Expr | None, spot: Spot
    ) -> Expr:
        """A match; `certify_verifier.lean.front.matching` says how."""
        raise NotImplementedError

    def _ascribed(self, e: Expr, type_: Expr) -> Expr:
        """The term so that its type is read off as written: `(fun x : T => x) e`."""
        return e if self.unifier.type_of(e) is type_ else ex.app(ex.lam("x", type_, ex.bvar(0)), e)

    def _number(self, term: s.Number, wanted: Expr | None) -> Expr:
        if wanted is not None:
            type_ = self.unifier.whnf(wanted)
            head = ex.head_of(type_)
            if not isinstance(head, Meta) and not (isinstance(head, Const) and head.name == "Nat"):
                if isinstance(head, Const | Local):
                    raise Wrong(rules.TYPE_MISMATCH, f"a number is no `{show(self.unifier.filled(wanted))}`", term.spot)
                raise Unsupported(f"a number as a `{show(type_)}`", term.spot)
        return ex.nat(term.value)

    # universes ------------------------------------------------------------------------------------------------------

    def level(self, given: s.LevelSyntax) -> Level:
        """A universe as written.

        Raises:
            Wrong: it names a universe that is not declared.
        """
        if given.head == "_":
            return self.unifier.new_level()
        if given.head.isdigit():
            return levels.numeral(int(given.head))
        if given.head in ("max", "imax") and given.parts:
            make = levels.max_of if given.head == "max" else levels.imax_of
            found = self.level(given.parts[-1])
            for part in reversed(given.parts[:-1]):
                found = make(self.level(part), found)
            return found
        if given.head == "+":
            found = self.level(given.parts[0])
            for _ in range(given.offset):
                found = levels.succ(found)
            return found
        if given.head not in self.levels:
            raise Wrong(rules.UNKNOWN_NAME, f"the universe `{given.head}` is not declared", given.spot)
        return levels.param(given.head)

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
        head = self._core("Exists", spot)
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

    # application ----------------------------------------------------------------------------------------------------

    def _application(self, term: s.Term, wanted: Expr | None) -> Expr:
        args: list[s.Argument] = []
        explicit = False
        head = term
        if isinstance(head, s.Apply):
            args, head = list(head.args), head.fn
        if isinstance(head, s.Explicit):
            explicit, head = True, head.fn
        fn, args = self._head(head, args, wanted)
        if not args and not explicit and not isinstance(head, s.Ident | s.ShortName | s.Field):
            return fn
        return self.apply(fn, args, wanted, term.spot, explicit=explicit)

    def _head(self, head: s.Term, args: list[s.Argument], wanted: Expr | None) -> tuple[Expr, list[s.Argument]]:
        """What stands in front of the arguments; fields put what they are taken from among the arguments."""
        if isinstance(head, s.Ident):
            return self._name(head, args)
        if isinstance(head, s.ShortName):
            return self._short_name(head, wanted), args
        if isinstance(head, s.Field):
            return self._field(self.term(head.of, None), head.name, args, head.spot)
        return self.term(head, None), args

    def _name(self, ident: s.Ident, args: list[s.Argument]) -> tuple[Expr, list[s.Argument]]:
        fn, fields = self.resolve(ident)
        for index, name in enumerate(fields):
            last = index == len(fields) - 1
            fn, args_ = self._field(self._with_implicits(fn, ident.spot), name, args if last else [], ident.spot)
            if last:
                return fn, args_
            fn = self.apply(fn, args_, None, ident.spot)
        return fn, args

    def _with_implicits(self, fn: Expr, spot: Spot) -> Expr:
        return self.apply(fn, [], None, spot)

    def resolve(self, ident: s.Ident) -> tuple[Expr, list[str]]:
        """What a written name means, and the fields that follow it.

        Raises:
            Wrong: nothing in scope has the name.
        """
        if ident.name in self._subjects:
            return self._subjects[ident.name], []
        parts = ident.name.split(".")
        for name, x in reversed(self.locals):
            if name == ident.name:
                return x, []
            if name and name == parts[0] and "." not in name:
                return x, parts[1:]
        found = self.scope.resolve(ident.name, ident.spot)
        if found is None:
            raise Wrong(rules.UNKNOWN_NAME, f"`{ident.name}` is not known here", ident.spot)
        name, fields = found
        given = None
        if ident.levels is not None:
            given = [self.level(level) for level in ident.levels]
            if len(given) != len(self.environment.constants[name].levels):
                raise Wrong(rules.LEVEL_COUNT, f"`{name}` takes another number of universes", ident.spot)
        return self.constant(name, given), fields

    def _short_name(self, head: s.ShortName, wanted: Expr | None) -> Expr:
        """`.name` is looked for in the namespace of the type wanted."""
        type_ = self.unifier.whnf_core(wanted) if wanted is not None else None
        while type_ is not None:
            while isinstance(type_, Pi):
                type_ = type_.body
            constant = ex.head_of(type_)
            if isinstance(constant, Const) and f"{constant.name}.{head.name}" in self.environment.constants:
                return self.constant(f"{constant.name}.{head.name}")
            type_ = self.unifier.unfold(type_)
        raise Wrong(rules.UNKNOWN_NAME, f"`.{head.name}` needs a known type that has it", head.spot)

    def _field(self, of: Expr, name: str, args: list[s.Argument], spot: Spot) -> tuple[Expr, list[s.Argument]]:
        """`e.name`: the function of that name for `e`'s type, with `e` as its first fitting argument."""
        self.unifier.retry()
        of = self.unifier.filled(of)
        type_: Expr | None = self.unifier.whnf_core(self.unifier.type_of(of))
        while type_ is not None:
            head = ex.head_of(type_)
            owner = head.name if isinstance(head, Const) else ""
            function = self._field_function(owner, name)
            if function is not None:
                fn = self.constant(function)
                return self._method(fn, of, owner, args, spot)
            unfolded = self.unifier.unfold(type_)
            type_ = None if unfolded is None else self.unifier.whnf_core(unfolded)
        told = show(self.unifier.filled(self.unifier.type_of(of)))
        raise Wrong(rules.UNKNOWN_NAME, f"a `{told}` has no field `{name}`", spot)

    def _field_function(self, owner: Name, name: str) -> Name | None:
        if not name.isdigit():
            full = f"{owner}.{name}"
            return full if owner and full in self.environment.constants else None
        maker = self.environment.sole_constructor(owner)
        if maker is None:
            return None
        type_ = maker.type
        place = maker.num_params + int(name) - 1
        for _ in range(place):
            if not isinstance(type_, Pi):
                return None
            type_ = type_.body
        if not isinstance(type_, Pi) or int(name) < 1:
            return None
        full = f"{owner}.{type_.name}"
        return full if full in self.environment.constants else None

    def _method(
        self, fn: Expr, of: Expr, owner: Name, args: list[s.Argument], spot: Spot
    ) -> tuple[Expr, list[s.Argument]]:
        """The function with `e` in place of its first explicit argument of the owner's type."""
        type_ = self.unifier.type_of(fn)
        before: list[s.Argument] = list(args)
        placed: list[s.Argument] = []
        while True:
            type_ = self.unifier.whnf(type_)
            if not isinstance(type_, Pi):
                raise Wrong(rules.NOT_APPLICABLE, f"`{show(fn)}` takes no `{owner}`", spot)
            if type_.info is Binder.DEFAULT:
                head = ex.head_of(self.unifier.whnf_core(type_.type))
                if isinstance(head, Const) and head.name == owner:
                    break
                named = next((a for a in before if a.name == type_.name), None)
                if named is None:
                    positional = next((a for a in before if not a.name), None)
                    if positional is None:
                        raise Wrong(rules.NOT_APPLICABLE, f"`{show(fn)}` lacks an argument", spot)
                    before.remove(positional)
                    placed.append(positional)
            type_ = type_.body
        return fn, [*placed, s.Argument(self.quoted(of, spot)), *before]

    def quoted(self, e: Expr, spot: Spot) -> s.Ident:
        """A name that stands for a term already made."""
        name = f"«term»{len(self._subjects)}"
        self._subjects[name] = e
        return s.Ident(spot, name)

    def apply(
        self, fn: Expr, args: list[s.Argument], wanted: Expr | None, spot: Spot, *, explicit: bool = False
    ) -> Expr:
        """A function with its arguments, implicit ones as holes.

        Raises:
            Wrong: an argument does not fit, or is one too many.
        """
        unifier = self.unifier
        positional = [a for a in args if not a.name]
        named = {a.name: a for a in args if a.name}
        waiting: list[tuple[Expr, s.Term, Expr]] = []
        spine, type_ = fn, unifier.type_of(fn)
        while True:
            if not isinstance(type_, Pi):
                type_ = unifier.whnf(type_)
            if not isinstance(type_, Pi) and waiting and (positional or named):
                self._arguments(waiting)
                waiting = []
                type_ = unifier.whnf(type_)
            if not isinstance(type_, Pi):
                break
            given = named.pop(type_.name, None)
            if given is None and type_.info is not Binder.DEFAULT and not explicit:
                hole = self.hole(type_.type, spot)
            else:
                if given is None:
                    if not positional:
                        break
                    given = positional.pop(0)
                hole = self.hole(type_.type, given.value.spot)
                waiting.append((hole, given.value, type_.type))
            spine, type_ = ex.app(spine, hole), instantiate(type_.body, [hole])
        if positional or named:
            extra = f"`{next(iter(named))}`" if named else "another"
            told, shown = show(unifier.filled(type_)), show(unifier.filled(spine))
            raise Wrong(
                rules.NOT_APPLICABLE,
                f"`{shown}` has type `{told}` and takes no {extra} argument",
                spot,
            )
        if wanted is not None and waiting and not self._mentions_any(type_, [hole for hole, _, _ in waiting]):
            unifier.attempt(lambda: unifier.equal(type_, wanted))
        self._arguments(waiting)
        return unifier.filled(spine)

    def _arguments(self, waiting: list[tuple[Expr, s.Term, Expr]]) -> None:
        later = []
        for hole, syntax, domain in waiting:
            if isinstance(syntax, _WAITING) and self._says_too_little(syntax, domain):
                later.append((hole, syntax, domain))
            else:
                self._argument(hole, syntax, domain)
        for hole, syntax, domain in later:
            self._argument(hole, syntax, domain)

    def _mentions_any(self, type_: Expr, holes: Sequence[Expr]) -> bool:
        """Whether a type depends on arguments not elaborated yet: then it says nothing about them."""
        heads = {ex.head_of(hole) for hole in holes}
        return any(part in heads for part in subterms(self.unifier.filled(type_)))

    def _says_too_little(self, syntax: s.Term, domain: Expr) -> bool:
        """Whether the type wanted leaves open what the form of the argument needs to know."""
        known = self.unifier.whnf_core(domain)
        if isinstance(ex.head_of(known), Meta):
            return True
        if not isinstance(syntax, s.Lambda):
            return False
        for binder in syntax.binders:
            known = self.unifier.whnf_core(known)
            if not isinstance(known, Pi):
                return isinstance(ex.head_of(known), Meta)
            if binder.type is None and isinstance(ex.head_of(self.unifier.whnf_core(known.type)), Meta):
                return True
            known = known.body
        return False

    def _argument(self, hole: Expr, syntax: s.Term, domain: Expr) -> None:
        unifier = self.unifier
        if isinstance(syntax, s.Ident) and syntax.name in self._subjects:
            value = self._subjects[syntax.name]
            self.require(value, domain, syntax.spot)
        else:
            value = self.term(syntax, unifier.filled(domain))
        if not unifier.attempt(lambda: unifier.equal(hole, value)):
            told, wanted = show(unifier.filled(value)), show(unifier.filled(hole))
            raise Wrong(rules.TYPE_MISMATCH, f"this is `{told}`, but `{wanted}` is wanted", syntax.spot)
        if unifier.has_put_off and not unifier.retry():
            raise Wrong(
                rules.TYPE_MISMATCH,
                "this argument does not fit the others",
                syntax.spot,
                f"it has type `{show(unifier.filled(unifier.type_of(value)))}`",
            )

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
        return self.apply(self._core(name, term.spot), [s.Argument(arg) for arg in args], wanted, term.spot)

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
            return self._core("PUnit.unit", term.spot)
        rest = term.parts[1] if len(term.parts) == 2 else s.Tuple(term.parts[1].spot, term.parts[1:])
        make = self._core("Prod.mk", term.spot)
        return self.apply(make, [s.Argument(term.parts[0]), s.Argument(rest)], wanted, term.spot)

    def _list(self, term: s.ListTerm, wanted: Expr | None) -> Expr:
        if not term.parts:
            return self.apply(self._core("List.nil", term.spot), [], wanted, term.spot)
        rest = s.ListTerm(term.spot, term.parts[1:])
        make = self._core("List.cons", term.spot)
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
            step = self._ascribed(self.term(reason, type_), type_)
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
        link = self._core(_TRANSITIVE[relation], spot)
        return self.apply(link, [s.Argument(self.quoted(e, spot)) for e in (proof, step)], None, spot)

    def _calc_relation(self, relation: s.Term, last: Expr | None) -> Expr:
        if last is None:
            return self.type(relation)
        if not isinstance(relation, s.Operator) or not isinstance(relation.args[0], s.Hole):
            raise Unsupported("a step of a calculation that does not start with `_`", relation.spot)
        left = self.quoted(last, relation.spot)
        return self.type(s.Operator(relation.spot, relation.sign, (left, relation.args[1])))

    def inductive_of(self, type_: Expr) -> tuple[Inductive, Const, list[Expr]] | None:
        """The inductive type that a type is, with its constant and arguments."""
        head, args = ex.unapply(self.unifier.whnf(type_))
        constant = self.environment.constants.get(head.name) if isinstance(head, Const) else None
        return (constant, head, args) if isinstance(constant, Inductive) and isinstance(head, Const) else None
