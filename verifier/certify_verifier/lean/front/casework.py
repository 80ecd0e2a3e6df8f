"""Cases of a match under way, and the recursors that distinguish them.

Rules this module keeps:

- every family is taken apart by its own recursor; the other types of its group get trivial motives and cases;
- data is never made from a proof, except where the recursor itself allows it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from certify_verifier.lean import exprs as ex
from certify_verifier.lean import levels, literals, rules
from certify_verifier.lean.environment import Constructor, Inductive, Recursor
from certify_verifier.lean.exprs import Const, Expr, Local, NatLit, Pi, Sort
from certify_verifier.lean.front import syntax as s
from certify_verifier.lean.front.elaborate import Elaborator
from certify_verifier.lean.front.errors import Spot, Wrong
from certify_verifier.lean.levels import Level
from certify_verifier.lean.terms import abstract, instantiate, lambdas, subterms


@dataclass(frozen=True, slots=True)
class Row:
    """An alternative under way: patterns still to match, one for each subject, and what its names stand for."""

    patterns: tuple[s.Term, ...]
    names: tuple[tuple[str, Expr], ...]
    number: int


@dataclass(frozen=True, slots=True)
class State:
    """A node of the tree: what is still matched, the rows that may apply, what is to be built.

    `live` are the locals made so far; `shape` is what was matched, as known here; `parts` pairs each direct part of
    the argument recursed on with its hypothesis.
    """

    subjects: tuple[Expr, ...]
    rows: tuple[Row, ...]
    goal: Expr
    live: tuple[Local, ...]
    shape: tuple[Expr, ...]
    parts: tuple[tuple[Expr, Expr], ...] = ()

    def change(self, change: Callable[[Expr], Expr]) -> State:
        """The node with every term changed; locals are left alone."""
        return State(
            tuple(map(change, self.subjects)),
            tuple(replace(row, names=tuple((n, change(e)) for n, e in row.names)) for row in self.rows),
            change(self.goal),
            self.live,
            tuple(map(change, self.shape)),
            tuple((change(a), change(b)) for a, b in self.parts),
        )


def substitute(e: Expr, old: Sequence[Local], new: Sequence[Expr]) -> Expr:
    """The term with locals replaced at once."""
    return instantiate(abstract(e, old), new)


class Casework:
    """Builds case distinctions for one match."""

    def __init__(self, elaborator: Elaborator, spot: Spot) -> None:
        self.elaborator = elaborator
        self.unifier = elaborator.unifier
        self.environment = elaborator.environment
        self.spot = spot

    def _constructed(self, e: Expr) -> tuple[Constructor, list[Expr]] | None:
        """The constructor and fields of a value that is visibly made by one."""
        value = self.unifier.whnf(e)
        if isinstance(value, NatLit):
            value = literals.expand_nat(value)
        head, args = ex.unapply(value)
        constant = self.environment.constants.get(head.name) if isinstance(head, Const) else None
        return (constant, args[constant.num_params :]) if isinstance(constant, Constructor) else None

    def _dependents(self, state: State, targets: Sequence[Expr]) -> list[Local]:
        """The live locals whose types depend on the targets, in order."""
        touched = set(targets)
        found = []
        for y in state.live:
            if y not in touched and any(part in touched for part in self._type_parts(y)):
                touched.add(y)
                found.append(y)
        return found

    def _type_parts(self, y: Local) -> set[Expr]:
        return set(subterms(self.unifier.filled(y.type)))

    def _recursor(
        self,
        family: tuple[Inductive, Const, list[Expr]],
        motive: Expr,
        goal: Expr,
        minor: Callable[[Constructor, list[Local], list[Local], list[Expr]], Expr],
        at: Sequence[Expr],
    ) -> Expr:
        """The recursor of a family with this motive and these cases; other types of the group get trivial ones."""
        inductive, head, params = family
        recursor = self.environment.constants[f"{inductive.name}.rec"]
        assert isinstance(recursor, Recursor), "every family has a recursor"
        level = self._universe_of(goal)
        own_levels = head.levels
        if len(recursor.levels) > len(own_levels):
            own_levels = (level, *own_levels)
        elif not self.unifier.same_level(level, levels.ZERO):
            raise Wrong(
                rules.BAD_ELIMINATION, f"a proof of `{inductive.name}` cannot be taken apart to make data", self.spot
            )
        spine = ex.apply(ex.const(recursor.name, own_levels), params)
        own_motive = inductive.group.index(inductive.name)
        type_ = self.unifier.type_of(spine)
        for number in range(recursor.num_motives):
            assert isinstance(type_, Pi), "a recursor takes its motives"
            given = motive if number == own_motive else self._trivial(type_.type, level)
            spine, type_ = ex.app(spine, given), instantiate(type_.body, [given])
        before = 0
        for name in inductive.group[:own_motive]:
            other = self.environment.constants[name]
            assert isinstance(other, Inductive), "a group lists types"
            before += len(other.constructors)
        for number in range(recursor.num_minors):
            assert isinstance(type_, Pi), "a recursor takes its cases"
            own = number - before
            if 0 <= own < len(inductive.constructors):
                constructor = self.environment.constants[inductive.constructors[own]]
                assert isinstance(constructor, Constructor), "a type lists constructors"
                case = self._case(type_.type, constructor, inductive, minor)
            else:
                case = self._trivial(type_.type, level)
            spine, type_ = ex.app(spine, case), instantiate(type_.body, [case])
        return ex.apply(spine, at)

    def _case(
        self,
        type_: Expr,
        constructor: Constructor,
        inductive: Inductive,
        minor: Callable[[Constructor, list[Local], list[Local], list[Expr]], Expr],
    ) -> Expr:
        opened: list[Local] = []
        while isinstance(type_, Pi):
            opened.append(self.unifier.new_local(type_.name, type_.type))
            type_ = instantiate(type_.body, [opened[-1]])
        fields, hypotheses = opened[: constructor.num_fields], opened[constructor.num_fields :]
        result = ex.unapply(type_)[1][: inductive.num_indices]
        return lambdas(opened, minor(constructor, fields, hypotheses, result))

    def _trivial(self, type_: Expr, level: Level) -> Expr:
        """A motive or case for a type of the group that is not distinguished: the type with one value, or its value."""
        opened: list[Local] = []
        while isinstance(type_, Pi):
            opened.append(self.unifier.new_local(type_.name, type_.type))
            type_ = instantiate(type_.body, [opened[-1]])
        return lambdas(opened, ex.const("PUnit" if isinstance(type_, Sort) else "PUnit.unit", [level]))

    def _universe_of(self, type_: Expr) -> Level:
        universe = self.unifier.whnf(self.unifier.type_of(type_))
        if isinstance(universe, Sort):
            return self.unifier.filled_level(universe.level)
        level = self.unifier.new_level()
        self.unifier.equal(universe, ex.sort(level))
        return self.unifier.filled_level(level)
