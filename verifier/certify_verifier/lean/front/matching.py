"""Pattern matching and structural recursion, compiled to recursors.

Rules this module keeps (Goguen, McBride and McKinna, "Eliminating dependent pattern matching"; Cockx and Abel,
"Elaborating dependent (co)pattern matching"):

- a match becomes a tree of case distinctions; everything whose type depends on what is distinguished is generalised;
- indices that are no variables become equations, solved by substitution, injectivity and disjointness of constructors;
- a recursive call is the induction hypothesis of a direct part of the argument recursed on;
- a case that no alternative covers is an error unless its equations contradict each other; an alternative that no case
  reaches is an error.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from certify_verifier.lean import exprs as ex
from certify_verifier.lean import rules
from certify_verifier.lean.environment import Constructor, Inductive
from certify_verifier.lean.exprs import Const, Expr, Local, Meta, Pi
from certify_verifier.lean.front import syntax as s
from certify_verifier.lean.front.casework import Row, State, substitute
from certify_verifier.lean.front.elaborate import Elaborator
from certify_verifier.lean.front.equations import Equations
from certify_verifier.lean.front.errors import Spot, Unsupported, Wrong
from certify_verifier.lean.front.patterns import Anything, Made, read_pattern
from certify_verifier.lean.reduce import beta
from certify_verifier.lean.show import show
from certify_verifier.lean.terms import lambdas, products, subterms
from certify_verifier.lean.terms import replace as replace_terms


@dataclass(frozen=True, slots=True)
class Recursion:
    """A definition by recursion: its local stand-in, the arguments that stay the same, and the one recursed on."""

    itself: Local
    fixed: tuple[Local, ...]
    arity: int
    column: int
    others: tuple[int, ...]


class NotStructural(Exception):
    """A recursive call is on no direct part of the chosen argument."""

    def __init__(self, spot: Spot) -> None:
        super().__init__()
        self.spot = spot


Leaf = Callable[[State, Row], Expr]


class Matcher(Elaborator):
    """An elaborator that knows pattern matching."""

    def match(
        self, subjects: list[s.Term], alternatives: tuple[s.Alternative, ...], wanted: Expr | None, spot: Spot
    ) -> Expr:
        """A match as a tree of case distinctions, the wanted type generalised over what is matched.

        Raises:
            Wrong: a pattern does not fit, a case is missing or an alternative is never reached.
            Unsupported: an equation between indices cannot be solved here.
        """
        unifier = self.unifier
        values = [self.term(subject, None) for subject in subjects]
        unifier.retry()
        values = [unifier.filled(value) for value in values]
        goal = unifier.filled(wanted) if wanted is not None else self.type_hole(spot)
        opened: list[Local] = []
        for value in values:
            type_ = unifier.filled(unifier.type_of(value))
            for known, x in zip(values, opened, strict=False):
                type_ = _put(type_, known, x)
            opened.append(unifier.new_local("x", type_))
        for value, x in zip(values, opened, strict=True):
            goal = _put(goal, value, x)
        bodies = dict(enumerate(alternatives))

        def leaf(state: State, row: Row) -> Expr:
            return self.term(bodies[row.number].body, state.goal)

        tree = self.tree(opened, alternatives, goal, spot, leaf)
        return unifier.filled(beta(lambdas(opened, tree), values))

    def tree(
        self,
        subjects: Sequence[Local],
        alternatives: Sequence[s.Alternative],
        goal: Expr,
        spot: Spot,
        leaf: Leaf,
        recursion: Recursion | None = None,
    ) -> Expr:
        """The tree of case distinctions that chooses among alternatives.

        Raises:
            Wrong: a pattern does not fit, a case is missing or an alternative is never reached.
        """
        for alternative in alternatives:
            if len(alternative.patterns) != len(subjects):
                raise Wrong(
                    rules.BAD_PATTERN,
                    f"{len(subjects)} values are matched, this alternative has {len(alternative.patterns)} patterns",
                    alternative.spot,
                )
        rows = tuple(Row(a.patterns, (), number) for number, a in enumerate(alternatives))
        compiler = _Compiler(self, leaf, spot)
        state = State(tuple(subjects), rows, goal, tuple(subjects), tuple(subjects))
        found = compiler.solve(state) if recursion is None else compiler.split(state, recursion.column, recursion)
        for number, alternative in enumerate(alternatives):
            if number not in compiler.used:
                raise Wrong(rules.REDUNDANT_CASE, "this alternative is never reached", alternative.spot)
        return found


def _put(e: Expr, old: Expr, new: Expr) -> Expr:
    """The term with a subterm replaced wherever it stands."""
    return replace_terms(e, lambda part: new if part is old else None)


class _Compiler(Equations):
    """Compiles one match."""

    def __init__(self, elaborator: Matcher, leaf: Leaf, spot: Spot) -> None:
        super().__init__(elaborator, spot)
        self.leaf = leaf
        self.used: set[int] = set()

    # the tree -------------------------------------------------------------------------------------------------------

    def solve(self, state: State) -> Expr:
        """A term of the node's goal.

        Raises:
            Wrong: a case is missing, or an alternative is wrong.
        """
        if not state.rows:
            return self._absurd(state)
        first = state.rows[0]
        for column, pattern in enumerate(first.patterns):
            read = self._read(state, column, pattern)
            if isinstance(read, Made):
                subject = state.subjects[column]
                if not isinstance(subject, Local):
                    known = self._constructed(subject)
                    if known is not None:
                        return self._match_constructed(state, column, *known)
                    raise Unsupported("a constructor pattern where the value is fixed by another", pattern.spot)
                return self.split(state, column)
        return self._finish(state, first)

    def _finish(self, state: State, row: Row) -> Expr:
        names = list(row.names)
        for subject, pattern in zip(state.subjects, row.patterns, strict=True):
            if isinstance(pattern, s.Ident):
                names.append((pattern.name, subject))
        given = [name for name, _ in names]
        if len(set(given)) != len(given):
            twice = next(name for name in given if given.count(name) > 1)
            raise Wrong(rules.BAD_PATTERN, f"`{twice}` is bound twice in one alternative", self.spot)
        self.used.add(row.number)
        with self.elaborator.bound(*(("", x) for x in state.live), *names):
            return self.leaf(state, row)

    def _read(self, state: State, column: int, pattern: s.Term) -> Anything | Made:
        type_ = self.unifier.type_of(state.subjects[column])
        found = self.elaborator.inductive_of(type_)
        if found is None and isinstance(ex.head_of(self.unifier.whnf(type_)), Meta):
            if isinstance(pattern, s.Hole | s.Ident):
                plain = read_pattern(pattern, None, self.elaborator.scope) if isinstance(pattern, s.Hole) else None
                return plain or Anything(pattern.name if isinstance(pattern, s.Ident) else "")
            raise Wrong(rules.CANNOT_INFER, "the type of what is matched is not known", pattern.spot)
        return read_pattern(pattern, found[0] if found else None, self.elaborator.scope)

    def _match_constructed(self, state: State, column: int, constructor: Constructor, fields: list[Expr]) -> Expr:
        rows = self._rows_at(state, column, constructor, state.subjects[column])
        subjects = (*state.subjects[:column], *fields, *state.subjects[column + 1 :])
        return self.solve(replace(state, subjects=subjects, rows=rows))

    def _rows_at(self, state: State, column: int, constructor: Constructor, value: Expr) -> tuple[Row, ...]:
        """The rows that may apply where the subject is made by this constructor, opened into its fields."""
        rows = []
        for row in state.rows:
            pattern = row.patterns[column]
            read = self._read(state, column, pattern)
            if isinstance(read, Made):
                if read.constructor != constructor.name:
                    continue
                inner, names = read.fields, row.names
            else:
                inner = tuple(s.Hole(pattern.spot) for _ in range(constructor.num_fields))
                names = (*row.names, (read.name, value)) if read.name else row.names
            patterns = (*row.patterns[:column], *inner, *row.patterns[column + 1 :])
            rows.append(Row(patterns, names, row.number))
        return tuple(rows)

    # case distinction -----------------------------------------------------------------------------------------------

    def split(self, state: State, column: int, recursion: Recursion | None = None) -> Expr:
        """A case distinction on a subject; with `recursion` its hypotheses are kept.

        Raises:
            Wrong: the subject is of no inductive type, or data would leave a proof.
            Unsupported: the indices are of a form not solved here.
        """
        x = state.subjects[column]
        assert isinstance(x, Local), "the caller looked"
        found = self.elaborator.inductive_of(x.type)
        if found is None:
            raise Wrong(rules.BAD_PATTERN, f"a `{show(self.unifier.filled(x.type))}` has no constructors", self.spot)
        inductive, head, args = found
        params, indices = args[: inductive.num_params], args[inductive.num_params :]
        if self._are_variables(indices, params):
            opened = [i for i in indices if isinstance(i, Local)]
            return self._split_plain(state, column, (inductive, head, params), opened, recursion)
        if recursion is not None:
            raise NotStructural(self.spot)
        if inductive.name == "Eq":
            return self._without(state, column, lambda rest: self._solve_equation(rest, x, x, self.solve))
        return self._split_indexed(state, column, (inductive, head, params), indices)

    @staticmethod
    def _are_variables(indices: list[Expr], params: list[Expr]) -> bool:
        if not all(isinstance(i, Local) for i in indices) or len(set(indices)) != len(indices):
            return False
        return not any(part in indices for param in params for part in subterms(param))

    def _without(self, state: State, column: int, go: Callable[[State], Expr]) -> Expr:
        """Go on without a subject of `Eq` that every row matches by `Eq.refl` or anything."""
        subject = state.subjects[column]
        rows = []
        for row in state.rows:
            read = self._read(state, column, row.patterns[column])
            names = (*row.names, (read.name, subject)) if isinstance(read, Anything) and read.name else row.names
            rows.append(Row((*row.patterns[:column], *row.patterns[column + 1 :]), names, row.number))
        subjects = (*state.subjects[:column], *state.subjects[column + 1 :])
        return go(replace(state, subjects=subjects, rows=tuple(rows)))

    def _split_plain(
        self,
        state: State,
        column: int,
        family: tuple[Inductive, Const, list[Expr]],
        indices: list[Local],
        recursion: Recursion | None,
    ) -> Expr:
        x = state.subjects[column]
        assert isinstance(x, Local), "the caller looked"
        targets: list[Local] = [*indices, x]
        dependents = self._dependents(state, targets)
        if recursion is not None:
            others = [state.subjects[i] for i in recursion.others]
            if any(i in recursion.fixed for i in indices):
                raise NotStructural(self.spot)
            dependents = [y for y in others if isinstance(y, Local) and y not in targets]
            if any(part in dependents for param in family[2] for part in subterms(param)):
                raise NotStructural(self.spot)
        goal = products(dependents, state.goal)
        motive = lambdas(targets, goal)
        _, head, params = family

        def minor(constructor: Constructor, fields: list[Local], hypotheses: list[Local], result: list[Expr]) -> Expr:
            made = ex.apply(ex.const(constructor.name, head.levels), [*params, *fields])
            values: list[Expr] = [*result, made]
            rows = self._rows_at(state, column, constructor, x)
            subjects = (*state.subjects[:column], *fields, *state.subjects[column + 1 :])
            live = tuple(y for y in state.live if y not in targets)
            inner = replace(state, subjects=subjects, rows=rows, live=live)
            parts = inner.parts
            if recursion is not None:
                parts = tuple(self._parts(fields, hypotheses))
            inner = replace(inner, parts=parts)
            extra = (*fields, *hypotheses) if recursion is not None else tuple(fields)
            return self._under_dependents(inner, targets, values, dependents, extra)

        tree = self._recursor(family, motive, goal, minor, [*indices, x])
        return ex.apply(tree, dependents)

    def _parts(self, fields: list[Local], hypotheses: list[Local]) -> list[tuple[Expr, Expr]]:
        """Each recursive field with its hypothesis, matched by the field that the hypothesis speaks of."""
        found: list[tuple[Expr, Expr]] = []
        for hypothesis in hypotheses:
            type_ = hypothesis.type
            while isinstance(type_, Pi):
                type_ = type_.body
            about = ex.head_of(ex.unapply(type_)[1][-1])
            field = next(f for f in fields if f is about)
            found.append((field, hypothesis))
        return found

    def _under_dependents(
        self,
        state: State,
        targets: Sequence[Local],
        values: Sequence[Expr],
        dependents: Sequence[Local],
        extra: Sequence[Local],
    ) -> Expr:
        """Put values for targets everywhere, dependents being renewed, and solve what is left."""
        old: list[Local] = list(targets)
        new: list[Expr] = list(values)
        renewed: list[Local] = []
        for y in dependents:
            z = self.unifier.new_local(y.name, substitute(self.unifier.filled(y.type), old, new))
            old.append(y)
            new.append(z)
            renewed.append(z)
        kept = [y for y in state.live if y not in old]
        inner = state.change(lambda e: substitute(self.unifier.filled(e), old, new))
        inner = replace(inner, live=(*extra, *kept, *renewed))
        return lambdas(renewed, self.solve(inner))

    # indices --------------------------------------------------------------------------------------------------------

    def _split_indexed(
        self, state: State, column: int, family: tuple[Inductive, Const, list[Expr]], indices: list[Expr]
    ) -> Expr:
        """A case distinction where indices are terms: fresh indices, and equations with the terms."""
        _, head, params = family
        x = state.subjects[column]
        assert isinstance(x, Local), "the caller looked"
        if any(x in self._type_parts(y) for y in state.live) or x in set(subterms(self.unifier.filled(state.goal))):
            raise Unsupported("a match whose result speaks of a value with fixed indices", self.spot)
        fresh: list[Local] = []
        for index in indices:
            type_ = self.unifier.filled(self.unifier.type_of(index))
            if any(y in set(subterms(type_)) for y in fresh):
                raise Unsupported("an index whose type depends on another index", self.spot)
            fresh.append(self.unifier.new_local("i", type_))
        value = self.unifier.new_local(x.name, ex.apply(head, [*params, *fresh]))
        equations = [self.unifier.new_local("e", self._equation(a, b)) for a, b in zip(indices, fresh, strict=True)]
        goal = products(equations, state.goal)
        motive = lambdas([*fresh, value], goal)

        def minor(constructor: Constructor, fields: list[Local], hypotheses: list[Local], result: list[Expr]) -> Expr:
            del hypotheses
            renewed = [self.unifier.new_local("e", substitute(e.type, fresh, result)) for e in equations]
            rows = self._rows_at(state, column, constructor, x)
            subjects = (*state.subjects[:column], *fields, *state.subjects[column + 1 :])
            live = (*(y for y in state.live if y is not x), *fields)
            inner = replace(state, subjects=subjects, rows=rows, live=live)
            return lambdas(renewed, self._chain(inner, renewed, self.solve))

        tree = self._recursor(family, motive, goal, minor, [*indices, x])
        return ex.apply(tree, [self._refl(index) for index in indices])

    # no alternative left --------------------------------------------------------------------------------------------

    def _absurd(self, state: State) -> Expr:
        """A term for a case that no alternative covers: some value in it cannot exist.

        Raises:
            Wrong: every value in it may exist, so the case is missing.
        """
        for x in dict.fromkeys((*state.subjects, *state.live)):
            if not isinstance(x, Local):
                continue
            found = self.elaborator.inductive_of(x.type)
            if found is None or not self._may_be_empty(found[0], found[2]):
                continue
            narrowed = replace(state, subjects=(x,), rows=(), live=state.live)
            try:
                return self.split(narrowed, 0)
            except (Wrong, Unsupported, NotStructural):
                continue
        missing = ", ".join(show(self.unifier.filled(value)) for value in state.shape)
        raise Wrong(rules.MISSING_CASE, f"no alternative covers `{missing}`", self.spot)

    @staticmethod
    def _may_be_empty(inductive: Inductive, args: list[Expr]) -> bool:
        if not inductive.constructors:
            return True
        indices = args[inductive.num_params :]
        if inductive.name == "Eq":
            return True
        return bool(indices) and not all(isinstance(index, Local) for index in indices)
