"""Functions with their arguments: what a name means, fields, implicit arguments, the order of elaboration.

Rules this module keeps:

- arguments are elaborated with the type wanted, from left to right; those whose form says nothing wait for the others;
- the type wanted of the whole is used first, unless it depends on arguments not elaborated yet;
- `e.name` is the function of that name in the namespace of `e`'s type, with `e` in place of its first such argument.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from certify_verifier.lean import exprs as ex
from certify_verifier.lean import rules
from certify_verifier.lean.exprs import Binder, Const, Expr, Meta, Pi
from certify_verifier.lean.front import syntax as s
from certify_verifier.lean.front.context import Context
from certify_verifier.lean.front.errors import Spot, Wrong
from certify_verifier.lean.names import Name
from certify_verifier.lean.show import show
from certify_verifier.lean.terms import instantiate, subterms

_WAITING: Final = (s.Lambda, s.Anonymous, s.ShortName, s.Match, s.LambdaMatch, s.Hole)


class Applications(Context):
    """An elaborator of applications."""

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
