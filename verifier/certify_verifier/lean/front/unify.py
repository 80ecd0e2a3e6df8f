"""Holes and their solutions: unification of terms and universes.

Rules this module keeps (Miller, "A logic programming language with lambda-abstraction, function variables, and simple
unification"; Abel and Pientka, "Higher-order dynamic pattern unification for dependent types and records"):

- a hole is a constant of closed type, applied to the locals in scope where it stands, so that terms with holes may be
  abstracted like any others;
- a hole applied to distinct locals is solved by abstraction; an equation that is stuck on a hole is put off until more
  is known, and at last tried with the heads and arguments matched one by one;
- an attempt that fails leaves no solution behind;
- nothing found here is trusted: the kernel checks the finished term.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import is_
from typing import Final

from certify_verifier.lean import exprs as ex
from certify_verifier.lean import levels
from certify_verifier.lean.environment import ABBREVIATION_HEIGHT, Environment, Recursor
from certify_verifier.lean.exprs import App, Const, Expr, Local, Meta, Proj, Sort
from certify_verifier.lean.front.errors import Spot
from certify_verifier.lean.infer import Checker
from certify_verifier.lean.levels import Level, LevelMeta
from certify_verifier.lean.names import Name
from certify_verifier.lean.reduce import Budget, beta
from certify_verifier.lean.terms import abstract, instantiate, lambdas, open_subterms, products, rebuild

_FIRST_LOCAL: Final = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Hole:
    """A hole: its type, the locals in scope that the type speaks of, and where it stands."""

    type: Expr
    scope: tuple[Local, ...]
    spot: Spot

    def type_at(self, args: Sequence[Expr]) -> Expr:
        """The type of the hole applied to arguments in place of its scope, all of them or the first few."""
        if len(args) == len(self.scope) and all(map(is_, args, self.scope)):
            return self.type
        rest = products(self.scope[len(args) :], self.type)
        return instantiate(abstract(rest, self.scope[: len(args)]), args[: len(self.scope)])


class Unifier(Checker):
    """Types, computation and equality of terms with holes."""

    def __init__(self, environment: Environment, budget: Budget) -> None:
        super().__init__(environment, budget)
        self.holes: dict[int, Hole] = {}
        self.let_values: dict[Expr, Expr] = {}
        self._solved: dict[int, Expr] = {}
        self._levels: dict[int, Level] = {}
        self._trail: list[tuple[bool, int]] = []
        self._put_off: list[tuple[Expr, Expr]] = []
        self._levels_put_off: list[tuple[Level, Level]] = []
        self._next = 0
        self._final = False
        self._filled: dict[Expr, tuple[int, Expr]] = {}
        self._version = 0

    # making -------------------------------------------------------------------------------------------------------

    def new_local(self, name: Name, type_: Expr) -> Local:
        """A local that occurs nowhere yet."""
        self._next += 1
        return ex.local(_FIRST_LOCAL + self._next, name, type_)

    def new_level(self) -> Level:
        """A universe to be found."""
        self._next += 1
        return levels.meta(self._next)

    def new_hole(self, type_: Expr, scope: Sequence[Local], spot: Spot) -> Expr:
        """A term of this type to be found, which may use the locals in scope."""
        self._next += 1
        self.holes[self._next] = Hole(type_, tuple(scope), spot)
        return ex.apply(ex.meta(self._next), scope)

    # solutions ----------------------------------------------------------------------------------------------------

    def filled(self, e: Expr) -> Expr:
        """The term with every solved hole and universe put in."""
        if not e.has_meta or isinstance(e, Local):
            return e
        known = self._filled.get(e)
        if known is not None:
            version, result = known
            if version == self._version or not result.has_meta:
                return result
            result = self.filled(result) if result is not e else self._fill(e)
        else:
            result = self._fill(e)
        self._filled[e] = (self._version, result)
        return result

    def _fill(self, e: Expr) -> Expr:
        if isinstance(e, Sort):
            return ex.sort(self.filled_level(e.level))
        if isinstance(e, Const):
            return ex.const(e.name, [self.filled_level(u) for u in e.levels])
        if isinstance(e, App | Meta):
            head, args = ex.unapply(e)
            if isinstance(head, Meta):
                solution = self._solved.get(head.ident)
                if solution is not None:
                    return self.filled(beta(solution, args))
                return ex.apply(head, [self.filled(arg) for arg in args])
        return rebuild(e, 0, lambda part, _depth: self.filled(part))

    def filled_level(self, level: Level) -> Level:
        """The universe with everything found put in."""
        while level.has_meta:
            new = levels.rewrite(level, lambda u: self._levels.get(u.ident, u) if isinstance(u, LevelMeta) else u)
            if new is level:
                break
            level = new
        return level

    def solve_level(self, ident: int, level: Level) -> None:
        """Settle a universe."""
        self._levels[ident] = level
        self._trail.append((False, ident))
        self._version += 1

    def attempt(self, work: Callable[[], bool]) -> bool:
        """Do some work; when it fails, forget every solution that it found."""
        mark, put_off, levels_put_off = len(self._trail), len(self._put_off), len(self._levels_put_off)
        if work():
            return True
        if len(self._trail) > mark:
            self._filled.clear()
            self._version += 1
        while len(self._trail) > mark:
            is_term, ident = self._trail.pop()
            if is_term:
                del self._solved[ident]
            else:
                del self._levels[ident]
        del self._put_off[put_off:]
        del self._levels_put_off[levels_put_off:]
        return False

    def retry(self, *, final: bool = False) -> bool:
        """Try the equations put off once more, at last with less care; whether none of them is refuted."""
        self._final = final
        try:
            progress = True
            while progress and (self._put_off or self._levels_put_off):
                terms, self._put_off = self._put_off, []
                universes, self._levels_put_off = self._levels_put_off, []
                solved = len(self._trail)
                if not all(self.equal(a, b) for a, b in terms):
                    return False
                if not all(self.same_level(a, b) for a, b in universes):
                    return False
                progress = len(self._trail) > solved
        finally:
            self._final = False
        return not final or not (self._put_off or self._levels_put_off)

    @property
    def has_put_off(self) -> bool:
        """Whether some equation is still put off."""
        return bool(self._put_off or self._levels_put_off)

    # computation with holes -----------------------------------------------------------------------------------------

    def whnf(self, e: Expr) -> Expr:
        """As for terms without holes; solved holes are put in first, local definitions unfold."""
        return super().whnf(self.filled(e)) if not isinstance(e, Local) else self._whnf_local(e)

    def _whnf_local(self, e: Local) -> Expr:
        value = self.let_values.get(e)
        return e if value is None else self.whnf(value)

    def whnf_core(self, e: Expr, *, cheap: bool = False) -> Expr:
        """As for terms without holes, with solved holes put in first."""
        return super().whnf_core(self.filled(e), cheap=cheap)

    def unfold(self, e: Expr) -> Expr | None:
        """As for terms without holes; local definitions unfold as well."""
        head = ex.head_of(e)
        value = self.let_values.get(head) if isinstance(head, Local) else None
        return super().unfold(e) if value is None else beta(value, ex.unapply(e)[1])

    def height_of(self, head: Expr) -> int | None:
        """As for terms without holes; local definitions unfold first."""
        return ABBREVIATION_HEIGHT if head in self.let_values else super().height_of(head)

    def type_of(self, e: Expr) -> Expr:
        """As for terms without holes, with solved holes put in first."""
        return super().type_of(self.filled(e))

    def _infer_new(self, e: Expr, *, check: bool) -> Expr:
        head = ex.head_of(e)
        if isinstance(head, Meta):
            args = ex.unapply(e)[1]
            hole = self.holes[head.ident]
            if len(args) <= len(hole.scope):
                return hole.type_at(args)
        return super()._infer_new(e, check=check)

    # unification ----------------------------------------------------------------------------------------------------

    def equal(self, left: Expr, right: Expr) -> bool:
        """Whether two terms are equal, holes solved to make them so; an equation stuck on a hole is put off."""
        a, b = self.filled(left), self.filled(right)
        if a is b:
            return True
        if not a.has_meta and not b.has_meta:
            return super().equal(a, b)
        self.budget.spend()
        if isinstance(ex.head_of(a), Meta) or isinstance(ex.head_of(b), Meta):
            return self._equal_flexible(a, b)
        quick = self._quick(a, b)
        if quick is not None:
            return quick
        if self.attempt(lambda: self._compare(a, b)):
            return True
        if not self._final and (self._is_stuck(a) or self._is_stuck(b)):
            self._put_off.append((a, b))
            return True
        return False

    def _remember(self, left: Expr, right: Expr, answer: bool) -> bool:
        if left.has_meta or right.has_meta:
            return answer
        return super()._remember(left, right, answer)

    def _equal_flexible(self, a: Expr, b: Expr) -> bool:
        answers = []
        flexible = [(x, y) for x, y in ((a, b), (b, a)) if isinstance(ex.head_of(x), Meta)]
        flexible.sort(key=lambda pair: -len(ex.unapply(pair[0])[1]))
        for x, y in flexible:
            answer = self._solve(x, y)
            if answer:
                return True
            answers.append(answer)
        for x, y in ((a, b), (b, a)):
            reduced = self.whnf_core(x)
            if reduced is not x:
                return self.equal(reduced, y)
        if self._final and self.attempt(lambda: self._equal_applications(a, b)):
            return True
        if self._final and False not in answers and self.attempt(lambda: self._constant_solution(flexible)):
            return True
        if False in answers and None not in answers:
            return False
        if not self._final:
            self._put_off.append((a, b))
        return not self._final

    def _constant_solution(self, flexible: Sequence[tuple[Expr, Expr]]) -> bool:
        """At last: a hole whose arguments are no distinct locals may ignore those that are none."""
        for x, y in flexible:
            head, args = ex.unapply(x)
            kept = [arg for arg in args if isinstance(arg, Local)]
            if isinstance(head, Meta) and len(set(kept)) == len(kept):
                opened = [arg if isinstance(arg, Local) else self.new_local("_", self.type_of(arg)) for arg in args]
                if self._in_scope(head, opened, y) is not None:
                    self._settle(head, opened, y)
                    return True
        return False

    def _solve(self, x: Expr, y: Expr) -> bool | None:
        """Solve a hole at distinct locals; `None` when the form does not allow it."""
        head, args = ex.unapply(x)
        assert isinstance(head, Meta), "the caller looked"
        locals_ = [arg for arg in args if isinstance(arg, Local) and arg not in self.let_values]
        lets = [arg for arg in args if arg in self.let_values]
        if len(locals_) + len(lets) != len(args) or len(set(args)) != len(args):
            return None
        opened = [arg for arg in args if isinstance(arg, Local)]
        found = self._in_scope(head, opened, y)
        if found is None:
            reduced = self.whnf(y)
            if reduced is y:
                return False
            found = self._in_scope(head, opened, reduced)
            if found is None:
                return False
        if not self.equal(self.type_of(x), self.type_of(found)):
            return False
        found = self.filled(found)
        if head.ident in self._solved:
            return self.equal(x, found)
        if any(part is head for part in open_subterms(found)):
            return False
        self._settle(head, opened, found)
        return True

    def _settle(self, head: Meta, opened: Sequence[Local], value: Expr) -> None:
        count = len(self.holes[head.ident].scope)
        solution = abstract(lambdas(opened[count:], value), opened[:count])
        for _ in opened[:count]:
            solution = ex.lam("_", ex.PROP, solution)  # only ever applied: the types of the binders do not matter
        self._solved[head.ident] = solution
        self._trail.append((True, head.ident))
        self._version += 1

    def _in_scope(self, head: Meta, opened: Sequence[Local], value: Expr) -> Expr | None:
        """The value when it uses no other locals and not the hole itself; inner holes are narrowed where needed."""
        allowed = set(opened)
        for part in list(open_subterms(value)):
            if part is head:
                return None
            if isinstance(part, App) and isinstance(ex.head_of(part), Meta):
                self._narrow(part, allowed)
        value = self.filled(value)
        if any(isinstance(part, Local) and part not in allowed for part in open_subterms(value)):
            return None
        return value

    def _narrow(self, e: Expr, allowed: set[Local]) -> None:
        """Keep an inner hole from using locals that are not allowed."""
        head, args = ex.unapply(e)
        if not isinstance(head, Meta) or head.ident in self._solved or not all(isinstance(x, Local) for x in args):
            return
        opened = [x for x in args if isinstance(x, Local)]
        if len(set(opened)) != len(opened) or all(x in allowed for x in opened):
            return
        kept = [x for x in opened if x in allowed]
        type_ = self.filled(self.type_of(e))
        if any(isinstance(part, Local) and part not in allowed for part in open_subterms(type_)):
            return
        self._settle(head, opened, self.new_hole(type_, kept, self.holes[head.ident].spot))

    def _same_head_same_arguments(self, a: Expr, b: Expr, head_a: Expr, head_b: Expr) -> bool:
        again = super()._same_head_same_arguments
        if isinstance(head_a, Local):
            return head_a is head_b and self.attempt(lambda: self._equal_arguments(a, b))
        return self.attempt(lambda: again(a, b, head_a, head_b))

    def _equal_applications(self, a: Expr, b: Expr) -> bool:
        again = super()._equal_applications
        return self.attempt(lambda: self._equal_by_parts(a, b) if a.has_meta or b.has_meta else again(a, b))

    def _equal_by_parts(self, a: Expr, b: Expr) -> bool:
        """Heads and arguments one by one from the right, so that `?f x` fits `g y x`."""
        (head_a, args_a), (head_b, args_b) = ex.unapply(a), ex.unapply(b)
        count = min(len(args_a), len(args_b))
        if not count or (len(args_a) != len(args_b) and not (isinstance(head_a, Meta) or isinstance(head_b, Meta))):
            return False
        rest_a = ex.apply(head_a, args_a[: len(args_a) - count])
        rest_b = ex.apply(head_b, args_b[: len(args_b) - count])
        return self.equal(rest_a, rest_b) and all(
            map(self.equal, args_a[len(args_a) - count :], args_b[len(args_b) - count :])
        )

    def _eta(self, function: Expr, other: Expr) -> bool:
        again = super()._eta
        return self.attempt(lambda: again(function, other))

    def _eta_structure(self, other: Expr, made: Expr) -> bool:
        again = super()._eta_structure
        return self.attempt(lambda: again(other, made))

    def _is_stuck(self, e: Expr) -> bool:
        """Whether computation waits for a hole."""
        e = self.whnf(e)
        while True:
            head, args = ex.unapply(e)
            if isinstance(head, Meta):
                return True
            if isinstance(head, Proj):
                e = self.whnf(head.struct)
                continue
            constant = self.environment.constants.get(head.name) if isinstance(head, Const) else None
            if not isinstance(constant, Recursor) or len(args) <= constant.major:
                return False
            e = self.whnf(args[constant.major])

    # universes ------------------------------------------------------------------------------------------------------

    def same_level(self, a: Level, b: Level) -> bool:
        """Whether two universes are equal, unknown ones found to make them so, or put off."""
        a, b = self.filled_level(a), self.filled_level(b)
        if a is b:
            return True
        if not a.has_meta and not b.has_meta:
            return levels.equal(a, b)
        if isinstance(a, LevelMeta) and a not in b.unknowns:
            self.solve_level(a.ident, b)
            return True
        if isinstance(b, LevelMeta) and b not in a.unknowns:
            self.solve_level(b.ident, a)
            return True
        if isinstance(a, levels.Succ) and isinstance(b, levels.Succ):
            return self.same_level(a.pred, b.pred)
        if levels.equal(a, b):
            return True
        if self._final:
            return self._same_level_by_parts(a, b)
        self._levels_put_off.append((a, b))
        return True

    def _same_level_by_parts(self, a: Level, b: Level) -> bool:
        """At last: a maximum equals a universe when its parts do."""
        for x, y in ((a, b), (b, a)):
            if isinstance(x, levels.Max | levels.IMax):
                if type(x) is type(y) and isinstance(y, levels.Max | levels.IMax):
                    return self.same_level(x.left, y.left) and self.same_level(x.right, y.right)
                for part in (x.left, x.right):
                    if isinstance(part, LevelMeta) and part not in y.unknowns:
                        self.solve_level(part.ident, y)
                left, right = self.filled_level(a), self.filled_level(b)
                return levels.equal(left, right)
        return False

    def is_proposition(self, type_: Expr) -> bool:
        """As for terms without holes; a universe that is not known yet counts as no proposition."""
        universe = self.whnf(self.type_of(type_))
        if not isinstance(universe, Sort):
            return False
        level = self.filled_level(universe.level)
        return not level.has_meta and levels.is_zero(level)
