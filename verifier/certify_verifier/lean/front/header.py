"""What stands in front of a declaration: binders, section variables and universes.

Rules this module keeps:

- variables of the section are added where they are used;
- universes that nothing fixes become parameters of the declaration.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol

from certify_verifier.lean import exprs as ex
from certify_verifier.lean import levels
from certify_verifier.lean.exprs import Binder, Expr, Local, Sort
from certify_verifier.lean.front import syntax as s
from certify_verifier.lean.front.errors import Spot
from certify_verifier.lean.front.matching import Matcher
from certify_verifier.lean.front.scope import FileScope
from certify_verifier.lean.levels import Level, LevelMeta
from certify_verifier.lean.names import Name
from certify_verifier.lean.reduce import Budget
from certify_verifier.lean.session import Item, Session
from certify_verifier.lean.terms import replace as replace_terms
from certify_verifier.lean.terms import subterms

ELABORATION_STEPS: Final = 2_000_000
"""Steps that the elaboration of one declaration may take."""


class Home(Protocol):
    """Where declarations go: the names in scope, the session, and the kernel's judgement."""

    scope: FileScope
    session: Session

    def declare_item(self, item: Item, spot: Spot, sentence: str) -> bool:
        """Have the kernel judge a declaration; whether it was accepted."""


class Header:
    """The binders in front of a declaration: the section's variables, then its own."""

    def __init__(self, runner: Home, given: tuple[str, ...] | None) -> None:
        self.runner = runner
        self.elaborator = Matcher(runner.scope, Budget(ELABORATION_STEPS))
        self.elaborator.levels += list(given or ())
        self.given = given
        self.locals: list[Local] = []
        self.infos: list[Binder] = []

    def open(self, binders: Sequence[s.BinderSyntax]) -> None:
        """Bind names for the rest of the declaration."""
        for binder in binders:
            if binder.type is None:
                domain = self.elaborator.type_hole(binder.spot)
            else:
                domain = self.elaborator.type(binder.type)
            x = self.elaborator.unifier.new_local(binder.name, domain)
            self.locals.append(x)
            self.infos.append(binder.info)
            self.elaborator.locals.append(("" if binder.name == "_" else binder.name, x))

    def settle(self, spot: Spot) -> None:
        """Find what the binders left out; universes left open become parameters."""
        elaborator = self.elaborator
        elaborator.settle(spot)
        renewed: dict[Local, Local] = {}
        for number, x in enumerate(self.locals):
            type_ = elaborator.finished(renew(x.type, renewed), spot)
            type_ = self.without_open_levels(type_)
            y = elaborator.unifier.new_local(x.name, type_)
            renewed[x] = y
            self.locals[number] = y
        elaborator.locals = [(name, renewed.get(x, x) if isinstance(x, Local) else x) for name, x in elaborator.locals]
        self.renewed = renewed

    def without_open_levels(self, e: Expr) -> Expr:
        """The term with universes that nothing fixed made parameters."""
        unifier = self.elaborator.unifier
        e = unifier.filled(e)
        if not e.has_meta:
            return e
        for part in subterms(e):
            at: Sequence[Level] = ()
            if isinstance(part, Sort):
                at = (part.level,)
            elif isinstance(part, ex.Const):
                at = part.levels
            for unknown in (u for level in at for u in level.unknowns):
                if isinstance(unknown, LevelMeta) and unifier.filled_level(unknown) is unknown:
                    unifier.solve_level(unknown.ident, levels.param(self._fresh_level()))
        return unifier.filled(e)

    def _fresh_level(self) -> str:
        number = 1
        while f"u_{number}" in self.elaborator.levels:
            number += 1
        self.elaborator.levels.append(f"u_{number}")
        return f"u_{number}"

    def used(self, terms: Sequence[Expr], variables: int) -> tuple[list[Local], list[Binder]]:
        """The binders without the section's variables that nothing uses."""
        seen = {part for term in terms for part in subterms(term) if isinstance(part, Local)}
        kept = []
        for number in range(len(self.locals) - 1, -1, -1):
            x = self.locals[number]
            if number >= variables or x in seen:
                kept.append(number)
                seen |= {part for part in subterms(x.type) if isinstance(part, Local)}
        kept.reverse()
        return [self.locals[n] for n in kept], [self.infos[n] for n in kept]

    def level_names(self, terms: Sequence[Expr]) -> tuple[Name, ...]:
        """The universe parameters of the declaration: those listed, then those used, in the order declared."""
        found: set[Name] = set()
        for term in terms:
            for part in subterms(term) if term.has_param else ():
                at = (part.level,) if isinstance(part, Sort) else part.levels if isinstance(part, ex.Const) else ()
                for level in at:
                    found |= levels.parameters(level)
        listed = list(self.given or ())
        return (*listed, *(name for name in self.elaborator.levels if name in found and name not in listed))


def renew(e: Expr, renewed: dict[Local, Local]) -> Expr:
    """The term with locals exchanged."""
    return replace_terms(e, lambda part: renewed.get(part) if isinstance(part, Local) else None) if renewed else e
