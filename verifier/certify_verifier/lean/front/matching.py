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
from certify_verifier.lean import levels, literals, rules
from certify_verifier.lean.environment import Constructor, Inductive, Recursor
from certify_verifier.lean.exprs import Const, Expr, Local, Meta, NatLit, Pi, Sort
from certify_verifier.lean.front import syntax as s
from certify_verifier.lean.front.elaborate import Elaborator
from certify_verifier.lean.front.errors import Spot, Unsupported, Wrong
from certify_verifier.lean.front.patterns import Anything, Made, read_pattern
from certify_verifier.lean.levels import Level
from certify_verifier.lean.reduce import beta
from certify_verifier.lean.show import show
from certify_verifier.lean.terms import abstract, instantiate, lambdas, products, same, subterms
from certify_verifier.lean.terms import replace as replace_terms


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


class _Compiler:
    """Compiles one match."""

    def __init__(self, elaborator: Matcher, leaf: Leaf, spot: Spot) -> None:
        self.elaborator = elaborator
        self.unifier = elaborator.unifier
        self.environment = elaborator.environment
        self.leaf = leaf
        self.spot = spot
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

    def _constructed(self, e: Expr) -> tuple[Constructor, list[Expr]] | None:
        """The constructor and fields of a value that is visibly made by one."""
        value = self.unifier.whnf(e)
        if isinstance(value, NatLit):
            value = literals.expand_nat(value)
        head, args = ex.unapply(value)
        constant = self.environment.constants.get(head.name) if isinstance(head, Const) else None
        return (constant, args[constant.num_params :]) if isinstance(constant, Constructor) else None

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
            z = self.unifier.new_local(y.name, _substitute(self.unifier.filled(y.type), old, new))
            old.append(y)
            new.append(z)
            renewed.append(z)
        kept = [y for y in state.live if y not in old]
        inner = state.change(lambda e: _substitute(self.unifier.filled(e), old, new))
        inner = replace(inner, live=(*extra, *kept, *renewed))
        return lambdas(renewed, self.solve(inner))

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
            renewed = [self.unifier.new_local("e", _substitute(e.type, fresh, result)) for e in equations]
            rows = self._rows_at(state, column, constructor, x)
            subjects = (*state.subjects[:column], *fields, *state.subjects[column + 1 :])
            live = (*(y for y in state.live if y is not x), *fields)
            inner = replace(state, subjects=subjects, rows=rows, live=live)
            return lambdas(renewed, self._chain(inner, renewed, self.solve))

        tree = self._recursor(family, motive, goal, minor, [*indices, x])
        return ex.apply(tree, [self._refl(index) for index in indices])

    def _equation(self, a: Expr, b: Expr) -> Expr:
        type_ = self.unifier.filled(self.unifier.type_of(a))
        return ex.apply(ex.const("Eq", [self._universe_of(type_)]), [type_, a, b])

    def _refl(self, a: Expr) -> Expr:
        type_ = self.unifier.filled(self.unifier.type_of(a))
        return ex.apply(ex.const("Eq.refl", [self._universe_of(type_)]), [type_, a])

    def _solve_equation(self, state: State, proof: Expr, mention: Local | None, go: Callable[[State], Expr]) -> Expr:
        """Use an equation: substitute a variable, split equal constructors, or close the goal by different ones.

        `mention` is the local that stands for the proof in the state, if one does.
        """
        type_ = self.unifier.filled(self.unifier.whnf(self.unifier.type_of(proof)))
        head, (domain, a, b) = ex.unapply(type_)
        assert isinstance(head, Const), "an equation is made by `Eq`"
        a, b = self._core(a), self._core(b)
        if not a.has_meta and not b.has_meta and self.unifier.equal(a, b):
            return go(self._forget(state, mention, self._refl(a)))
        if isinstance(b, Local) and b not in set(subterms(a)):
            return self._rewrite(state, (proof, mention, lambda h: h), (head, domain), (a, b), go)
        if isinstance(a, Local) and a not in set(subterms(b)):

            def turn(side: Expr, other: Expr, h: Expr) -> Expr:
                return ex.apply(ex.const("Eq.symm", head.levels), [domain, side, other, h])

            evidence = (turn(a, b, proof), mention, lambda h: turn(b, a, h))
            return self._rewrite(state, evidence, (head, domain), (b, a), go)
        left, right = self._constructed(a), self._constructed(b)
        if left is None or right is None:
            raise Unsupported(f"a match that needs `{show(a)} = {show(b)}` to be solved", self.spot)
        if left[0].name != right[0].name:
            return self._contradiction(state.goal, (domain, a, b, proof), (head, left[0]))
        state = self._forget(state, mention, proof)
        return self._injectivity(state, (domain, a, b, proof), (left[0], left[1], right[1]), go)

    def _core(self, e: Expr) -> Expr:
        """A side of an equation computed as far as it shows a variable or constructor, else as it was."""
        value = self.unifier.whnf(e)
        return value if isinstance(value, Local) or self._constructed(value) is not None else e

    def _forget(self, state: State, mention: Local | None, value: Expr) -> State:
        """The state without the local that stood for a proof."""
        if mention is None:
            return state
        inner = state.change(lambda e: _substitute(self.unifier.filled(e), [mention], [value]))
        return replace(inner, live=tuple(y for y in state.live if y is not mention))

    def _rewrite(
        self,
        state: State,
        proof: tuple[Expr, Local | None, Callable[[Expr], Expr]],
        equality: tuple[Const, Expr],
        sides: tuple[Expr, Local],
        go: Callable[[State], Expr],
    ) -> Expr:
        """Put `a` for the variable `b` everywhere, by elimination of `a = b`."""
        (evidence, mention, back), (head, domain), (a, b) = proof, equality, sides
        opened = self.unifier.new_local("h", ex.apply(head, [domain, a, b]))
        if mention is not None:
            state = self._forget(state, mention, back(opened))
        dependents = self._dependents(state, [b, opened])
        goal = products(dependents, state.goal)
        motive = lambdas([b, opened], goal)
        level = self._universe_of(goal)
        refl = ex.apply(ex.const("Eq.refl", head.levels), [domain, a])
        old: list[Local] = [b, opened]
        new: list[Expr] = [a, refl]
        renewed: list[Local] = []
        for y in dependents:
            z = self.unifier.new_local(y.name, _substitute(self.unifier.filled(y.type), old, new))
            old.append(y)
            new.append(z)
            renewed.append(z)
        inner = state.change(lambda e: _substitute(self.unifier.filled(e), old, new))
        places = {y: z for y, z in zip(old, new, strict=True) if isinstance(z, Local)}
        live = [places.get(y, y) for y in state.live if y is not b]
        case = lambdas(renewed, go(replace(inner, live=tuple(live))))
        spine = ex.apply(ex.const("Eq.rec", [level, *head.levels]), [domain, a, motive, case, b, evidence])
        return ex.apply(spine, dependents)

    def _contradiction(
        self, goal: Expr, equation: tuple[Expr, Expr, Expr, Expr], made: tuple[Const, Constructor]
    ) -> Expr:
        """From an equation between different constructors everything follows: one is told from the other."""
        domain, a, b, proof = equation
        head, constructor = made
        found = self.elaborator.inductive_of(domain)
        assert found is not None, "constructors build inductive types"
        inductive, _, args = found
        x = self.unifier.new_local("x", domain)
        if inductive.num_indices:
            raise Unsupported("disjointness of constructors of an indexed type", self.spot)
        family = (inductive, found[1], args)

        def told(other: Constructor, *_: object) -> Expr:
            return ex.const("True" if other.name == constructor.name else "False")

        is_first = self._recursor(family, lambdas([x], ex.PROP), ex.PROP, told, [x])
        y = self.unifier.new_local("y", domain)
        h = self.unifier.new_local("h", ex.apply(head, [domain, a, y]))
        motive = lambdas([y, h], beta(lambdas([x], is_first), [y]))
        false = ex.apply(
            ex.const("Eq.rec", [levels.ZERO, *head.levels]), [domain, a, motive, ex.const("True.intro"), b, proof]
        )
        absurd = self.unifier.new_local("h", ex.const("False"))
        return ex.apply(ex.const("False.rec", [self._universe_of(goal)]), [lambdas([absurd], goal), false])

    def _injectivity(
        self,
        state: State,
        equation: tuple[Expr, Expr, Expr, Expr],
        made: tuple[Constructor, list[Expr], list[Expr]],
        go: Callable[[State], Expr],
    ) -> Expr:
        """From an equation between the same constructor, equations between the fields, used one after another."""
        domain, a, b, proof = equation
        constructor, left, right = made
        proofs = [
            self._field_equation((domain, a, b, proof), constructor, number, (x, y))
            for number, (x, y) in enumerate(zip(left, right, strict=True))
        ]
        opened = [self.unifier.new_local("e", self.unifier.filled(self.unifier.type_of(p))) for p in proofs]
        body = self._chain(state, opened, go)
        return beta(lambdas(opened, body), proofs)

    def _chain(self, state: State, equations: list[Local], go: Callable[[State], Expr]) -> Expr:
        """Use equations one after another; those that wait stand last among the live locals, to be kept up to date."""
        if not equations:
            return go(state)
        first, rest = equations[0], equations[1:]
        marked = replace(state, live=(*state.live, *rest))

        def after(inner: State) -> Expr:
            if not rest:
                return go(inner)
            cut = len(inner.live) - len(rest)
            return self._chain(replace(inner, live=inner.live[:cut]), list(inner.live[cut:]), go)

        return self._solve_equation(marked, first, first, after)

    def _field_equation(
        self,
        equation: tuple[Expr, Expr, Expr, Expr],
        constructor: Constructor,
        number: int,
        sides: tuple[Expr, Expr],
    ) -> Expr:
        domain, a, b, proof = equation
        found = self.elaborator.inductive_of(domain)
        assert found is not None, "constructors build inductive types"
        inductive, head, args = found
        type_ = self.unifier.filled(self.unifier.type_of(sides[0]))
        if inductive.num_indices or not same(type_, self.unifier.filled(self.unifier.type_of(sides[1]))):
            raise Unsupported("injectivity of a constructor with dependent fields", self.spot)
        x = self.unifier.new_local("x", domain)

        def pick(other: Constructor, fields: list[Local], *_: object) -> Expr:
            return fields[number] if other.name == constructor.name else sides[0]

        family = (inductive, head, args)
        taken = lambdas([x], self._recursor(family, lambdas([x], type_), type_, pick, [x]))
        u, v = self._universe_of(domain), self._universe_of(type_)
        return ex.apply(ex.const("congrArg", [u, v]), [domain, type_, a, b, taken, proof])

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


def _substitute(e: Expr, old: Sequence[Local], new: Sequence[Expr]) -> Expr:
    """The term with locals replaced at once."""
    return instantiate(abstract(e, old), new)
