"""What elaboration works with: names bound, holes, universes, and the types wanted.

Rules this module keeps:

- what is left out becomes a hole over the locals in scope and is found by unification;
- a hole that is never found refuses the declaration, with the place where it stands.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from certify_verifier.lean import exprs as ex
from certify_verifier.lean import levels, rules
from certify_verifier.lean.environment import Inductive
from certify_verifier.lean.exprs import Const, Expr, Local, Meta, Sort
from certify_verifier.lean.front import syntax as s
from certify_verifier.lean.front.errors import Spot, Wrong
from certify_verifier.lean.front.scope import FileScope
from certify_verifier.lean.front.unify import Unifier
from certify_verifier.lean.levels import Level
from certify_verifier.lean.names import Name
from certify_verifier.lean.reduce import Budget
from certify_verifier.lean.show import show
from certify_verifier.lean.terms import subterms


class Context(ABC):
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

    def core(self, name: Name, spot: Spot) -> Expr:
        """A constant of the core library.

        Raises:
            Wrong: the prelude does not have it.
        """
        if name not in self.environment.constants:
            raise Wrong(rules.UNKNOWN_NAME, f"`{name}` is not declared", spot)
        return self.constant(name)

    # types wanted ---------------------------------------------------------------------------------------------------

    @abstractmethod
    def term(self, term: s.Term, wanted: Expr | None) -> Expr:
        """The kernel term, of the type wanted where one is.

        Raises:
            Wrong: it has no meaning, or another type.
            Unsupported: it uses something this front end does not know.
        """

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

    def ascribed(self, e: Expr, type_: Expr) -> Expr:
        """The term so that its type is read off as written: `(fun x : T => x) e`."""
        return e if self.unifier.type_of(e) is type_ else ex.app(ex.lam("x", type_, ex.bvar(0)), e)

    def inductive_of(self, type_: Expr) -> tuple[Inductive, Const, list[Expr]] | None:
        """The inductive type that a type is, with its constant and arguments."""
        head, args = ex.unapply(self.unifier.whnf(type_))
        constant = self.environment.constants.get(head.name) if isinstance(head, Const) else None
        return (constant, head, args) if isinstance(constant, Inductive) and isinstance(head, Const) else None

    def quoted(self, e: Expr, spot: Spot) -> s.Ident:
        """A name that stands for a term already made."""
        name = f"«term»{len(self._subjects)}"
        self._subjects[name] = e
        return s.Ident(spot, name)

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
