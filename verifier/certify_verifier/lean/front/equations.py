"""Equations between indices, solved in the middle of a match.

Rules this module keeps (McBride, Goguen and McKinna, "A few constructions on constructors"):

- an equation with a variable is used by substituting it everywhere; between equal constructors it becomes equations of
  the fields; between different ones it closes the case; one that holds by computation is dropped;
- any other equation is not solved here, and the match is declined.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from certify_verifier.lean import exprs as ex
from certify_verifier.lean import levels
from certify_verifier.lean.environment import Constructor
from certify_verifier.lean.exprs import Const, Expr, Local
from certify_verifier.lean.front.casework import Casework, State, substitute
from certify_verifier.lean.front.errors import Unsupported
from certify_verifier.lean.reduce import beta
from certify_verifier.lean.show import show
from certify_verifier.lean.terms import lambdas, products, same, subterms


class Equations(Casework):
    """A builder of case distinctions that solves equations."""

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
        inner = state.change(lambda e: substitute(self.unifier.filled(e), [mention], [value]))
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
            z = self.unifier.new_local(y.name, substitute(self.unifier.filled(y.type), old, new))
            old.append(y)
            new.append(z)
            renewed.append(z)
        inner = state.change(lambda e: substitute(self.unifier.filled(e), old, new))
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
