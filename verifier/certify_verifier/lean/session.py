"""A run of the kernel over a sequence of declarations, each with its verdict.

Rules this module keeps:

- whatever happens in one declaration, the next is still judged; what rests on something refused or undecided is not
  accepted either;
- `sorry`, and every axiom that is not allowed, refuses the theorem that rests on it;
- runs are made one after another in a thread with a deep stack, and leave no terms behind.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from typing import Final, TypeVar

from certify_spec.diagnostics import Diagnostic, Place, Rule
from certify_verifier.lean import axioms, fast, rules
from certify_verifier.lean import exprs as ex
from certify_verifier.lean.environment import (
    Axiom,
    Constant,
    Constructor,
    Definition,
    Environment,
    Inductive,
    Opaque,
    Recursor,
    Theorem,
)
from certify_verifier.lean.errors import Exhausted, Refused
from certify_verifier.lean.exprs import Expr
from certify_verifier.lean.inductive import InductiveSpec
from certify_verifier.lean.kernel import InductiveClaim, declare, declare_claim, declare_inductive
from certify_verifier.lean.names import Name
from certify_verifier.lean.reduce import Budget
from certify_verifier.lean.report import Accepted, Declined, Entry, LeanReport, LeanVerdict, Rejected, overall
from certify_verifier.lean.show import show
from certify_verifier.lean.terms import constants

DEFAULT_STEPS: Final = 2_000_000
"""Steps one declaration may take."""

INSIDE: Final = "this checker failed inside, which is a defect worth reporting"
"""What a verdict says when the checker itself is at fault."""

_STACK: Final = 512 * 1024 * 1024
_DEPTH: Final = 100_000
_lock = threading.Lock()
_T = TypeVar("_T")

Item = Constant | InductiveClaim | InductiveSpec


def run_deep(work: Callable[[], _T], *, keep: bool = False) -> _T:
    """Run work in a thread with a deep stack.

    Terms made meanwhile are forgotten, so give back plain values; with `keep` they stay as long as the process.
    """
    results: list[_T] = []
    failures: list[BaseException] = []

    def run() -> None:
        try:
            with nullcontext() if keep else ex.scope():
                results.append(work())
        except BaseException as failure:
            failures.append(failure)

    with _lock:
        depth, stack = sys.getrecursionlimit(), threading.stack_size(_STACK)
        sys.setrecursionlimit(_DEPTH)
        try:
            thread = threading.Thread(target=run, name="lean-check")
            thread.start()
            thread.join()
        finally:
            threading.stack_size(stack)
            sys.setrecursionlimit(depth)
    if failures:
        raise failures[0]
    return results[0]


class Session:
    """Declarations checked in order over one environment.

    Args:
        file: the file as named by the user.
        allowed: axioms that theorems may rest on.
        steps: steps one declaration may take.
    """

    def __init__(self, file: str, *, allowed: frozenset[Name] = axioms.STANDARD, steps: int = DEFAULT_STEPS) -> None:
        self.file = file
        self.environment = Environment()
        self.entries: list[Entry] = []
        self.steps = 0
        self.comparisons = 0
        self._allowed = allowed
        self._limit = steps
        self._rests_on: dict[Name, frozenset[Name]] = {}
        self._failed: dict[Name, LeanVerdict] = {}

    def continued(self, *, allowed: frozenset[Name], steps: int) -> Session:
        """A session that knows what this one declared, and reports none of it."""
        session = Session(self.file, allowed=allowed, steps=steps)
        session.environment = self.environment.copy()
        session._rests_on = dict(self._rests_on)
        session._failed = dict(self._failed)
        return session

    def facts(self) -> tuple[dict[Name, frozenset[Name]], dict[Name, LeanVerdict]]:
        """What each declaration rests on, and what became of those that were not accepted."""
        return self._rests_on, self._failed

    def adopt(
        self,
        constants_: dict[Name, Constant],
        rests_on: dict[Name, frozenset[Name]],
        failed: dict[Name, LeanVerdict],
    ) -> Name:
        """Take over what another session accepted; gives a name that both declare, else the empty text."""
        for name, constant in constants_.items():
            if name in self.environment.constants:
                return name
            self.environment.add(constant)
        for constant in constants_.values():
            fast.consider(constant, self.environment)
            if isinstance(constant, Theorem) and not rests_on.get(constant.name, True):
                fast.note(constant, self.environment)
        self._rests_on |= rests_on
        self._failed |= failed
        return ""

    def check(self, item: Item, place: Place, sentence: str = "") -> Entry:
        """Judge one declaration and remember the verdict."""
        names = _names_of(item)
        terms = list(_terms_of(item))
        budget = Budget(self._limit)
        verdict: LeanVerdict = Accepted()
        found: frozenset[Name] = frozenset()
        try:
            self._refuse_failed_parts(names[0], terms)
            verdict = self._declare(item, budget)
            found = self._axioms_of(item, terms)
            self._check_axioms(item, found)
            if isinstance(item, Theorem) and not found:
                fast.note(item, self.environment)
        except Refused as refused:
            verdict = Rejected(Diagnostic(refused.rule, refused.message, place, fix=refused.rule.advice))
        except Exhausted as exhausted:
            verdict = Declined(f"`{names[0]}`: {exhausted}")
        except _RestsOnUndecided as undecided:
            verdict = Declined(f"`{names[0]}` rests on `{undecided.name}`, which was not decided")
        except RecursionError:
            verdict = Declined(f"`{names[0]}`: the terms are nested deeper than this checker follows")
        except MemoryError:
            verdict = Declined(f"`{names[0]}`: the terms need more memory than there is")
        except Exception as defect:  # a defect of this checker is no verdict on the declaration
            verdict = Declined(f"`{names[0]}`: {INSIDE} ({type(defect).__name__}: {defect})")
        self.steps += budget.taken
        for name in names:
            self._rests_on[name] = self._rests_on.get(name, frozenset()) | found  # a second try takes nothing back
            if not isinstance(verdict, Accepted):
                self._failed.setdefault(name, verdict)
        entry = Entry(
            name=names[0],
            kind=_kind_of(item),
            statement=show(terms[0]) if terms else "",
            axioms=tuple(sorted(found)),
            line=place.line,
            verdict=verdict,
            sentence=sentence,
        )
        self.entries.append(entry)
        return entry

    def report(self) -> LeanReport:
        """What was concluded so far."""
        verdict = overall(tuple(entry.verdict for entry in self.entries))
        return LeanReport(self.file, tuple(self.entries), verdict, self.steps, self.comparisons)

    def _declare(self, item: Item, budget: Budget) -> Accepted:
        if isinstance(item, InductiveClaim):
            self.comparisons += declare_claim(item, self.environment, budget).comparisons
        elif isinstance(item, InductiveSpec):
            declare_inductive(item, self.environment, budget)
        else:
            if isinstance(item, Axiom):
                axioms.check_statement(item, self.environment)
            self.comparisons += declare(item, self.environment, budget).comparisons
        return Accepted()

    def _refuse_failed_parts(self, name: Name, terms: Iterable[Expr]) -> None:
        for used in (used for term in terms for used in constants(term)):
            verdict = self._failed.get(used)
            if isinstance(verdict, Rejected) and used not in self.environment.constants:
                raise Refused(rules.RESTS_ON_REFUSED, f"`{name}` rests on `{used}`, which was refused")
            if isinstance(verdict, Declined) and used not in self.environment.constants:
                raise _RestsOnUndecided(used)

    def _axioms_of(self, item: Item, terms: Iterable[Expr]) -> frozenset[Name]:
        found: set[Name] = {item.name} if isinstance(item, Axiom) else set()
        for used in {used for term in terms for used in constants(term)}:
            found |= self._rests_on.get(used, frozenset())
        return frozenset(found)

    def _check_axioms(self, item: Item, found: frozenset[Name]) -> None:
        if isinstance(item, Axiom):
            return
        name = _names_of(item)[0]
        if axioms.SORRY in found:
            raise Refused(rules.SORRY, f"`{name}` rests on `sorry`")
        unexpected = sorted(found - self._allowed)
        if unexpected:
            raise Refused(rules.UNEXPECTED_AXIOM, f"`{name}` rests on the axiom `{unexpected[0]}`")


class _RestsOnUndecided(Exception):
    def __init__(self, name: Name) -> None:
        super().__init__(name)
        self.name = name


def refusal(rule: Rule, message: str, place: Place) -> Rejected:
    """A rejection with its place."""
    return Rejected(Diagnostic(rule, message, place, fix=rule.advice))


def _names_of(item: Item) -> list[Name]:
    if isinstance(item, InductiveClaim):
        return [c.name for c in (*item.types, *item.constructors, *item.recursors)] or ["(no type)"]
    if isinstance(item, InductiveSpec):
        names = [t.name for t in item.types]
        return [*names, *(c for t in item.types for c, _ in t.constructors), *(f"{n}.rec" for n in names)] or [""]
    return [item.name]


def _terms_of(item: Item) -> Iterable[Expr]:
    if isinstance(item, InductiveClaim):
        yield from (c.type for c in (*item.types, *item.constructors))
    elif isinstance(item, InductiveSpec):
        yield from (t.type for t in item.types)
        yield from (c for t in item.types for _, c in t.constructors)
    else:
        yield item.type
        if isinstance(item, Definition | Theorem | Opaque):
            yield item.value


def _kind_of(item: Item) -> str:
    if isinstance(item, InductiveClaim | InductiveSpec):
        return "inductive"
    assert not isinstance(item, Inductive | Constructor | Recursor), "these come in groups"
    return type(item).__name__.lower()
