"""Definitional equality.

Rules this module keeps (Carneiro, "The Type Theory of Lean", §2.2 and §2.5; the order of tests is that of Lean's
kernel: cheap tests first, unfolding last):

- equal by computation, by eta for functions and structures, by proof irrelevance, and for types with one value;
- where both sides unfold, the one with the greater height goes first, both when they are level, and a shared head is
  first tried argument by argument;
- proved equalities are kept in a union-find forest; both answers are reused, since a local stands for any value;
- "not equal" is an answer that refuses; it is never taken for "equal".
"""

from __future__ import annotations

from certify_verifier.lean import exprs as ex
from certify_verifier.lean import levels, literals
from certify_verifier.lean.environment import Constructor, Environment
from certify_verifier.lean.exprs import App, BVar, Const, Expr, Lam, Local, NatLit, Pi, Proj, Sort, StrLit
from certify_verifier.lean.levels import Level
from certify_verifier.lean.reduce import Budget, Reducer
from certify_verifier.lean.terms import instantiate


class Equality(Reducer):
    """Equality over an environment; types, which some rules need, come from below."""

    def __init__(self, environment: Environment, budget: Budget) -> None:
        super().__init__(environment, budget)
        self.comparisons = 0
        self._parent: dict[Expr, Expr] = {}
        self._different: set[tuple[Expr, Expr]] = set()

    def equal(self, left: Expr, right: Expr) -> bool:
        """Whether two well-typed terms are equal by definition.

        Raises:
            Exhausted: the budget is spent.
        """
        if left is right:
            return True
        quick = self._quick(left, right)
        if quick is not None:
            return quick
        if self._root(left) is self._root(right):
            return True
        if (left, right) in self._different:
            return False
        self.budget.spend()
        self.comparisons += 1
        return self._remember(left, right, self._compare(left, right))

    def _root(self, e: Expr) -> Expr:
        parent = self._parent.get(e)
        if parent is None:
            return e
        root = parent
        while (above := self._parent.get(root)) is not None:
            root = above
        while parent is not root:
            self._parent[e] = root
            e, parent = parent, self._parent[parent]
        return root

    def _quick(self, left: Expr, right: Expr) -> bool | None:
        """The answer where the forms alone decide."""
        if isinstance(left, Sort) and isinstance(right, Sort):
            return self.same_level(left.level, right.level)
        if (isinstance(left, Lam) and isinstance(right, Lam)) or (isinstance(left, Pi) and isinstance(right, Pi)):
            return self._equal_bindings(left, right)
        if isinstance(left, NatLit) and isinstance(right, NatLit):
            return left.value == right.value
        if isinstance(left, StrLit) and isinstance(right, StrLit):
            return left.value == right.value
        if isinstance(left, BVar) or isinstance(right, BVar):
            return False
        return None

    def _equal_bindings(self, left: Lam | Pi, right: Lam | Pi) -> bool:
        if self._root(left) is self._root(right):
            return True
        if (left, right) in self._different:
            return False
        self.budget.spend()
        self.comparisons += 1
        return self._remember(left, right, self._compare_bindings(left, right))

    def _remember(self, left: Expr, right: Expr, answer: bool) -> bool:
        if answer:
            above, below = self._root(right), self._root(left)
            if above is not below:  # comparing may have joined them already
                self._parent[below] = above
        else:
            self._different.add((left, right))
        return answer

    def _compare_bindings(self, left: Lam | Pi, right: Lam | Pi) -> bool:
        kind = type(left)
        depth = self.depth
        opened: list[Expr] = []
        a: Expr = left
        b: Expr = right
        try:
            while isinstance(a, Lam | Pi) and isinstance(b, Lam | Pi) and type(a) is kind and type(b) is kind:
                domain = instantiate(a.type, opened)
                if a.type is not b.type and not self.equal(domain, instantiate(b.type, opened)):
                    return False
                opened.append(self.fresh(a.name, domain))
                a, b = a.body, b.body
            return self.equal(instantiate(a, opened), instantiate(b, opened))
        finally:
            self.depth = depth

    def _compare(self, left: Expr, right: Expr) -> bool:
        if not left.has_local and isinstance(right, Const) and right.name == "Bool.true":
            value = self.whnf(left)
            if value is right:
                return True
        a = self.whnf_core(left, cheap=True)
        b = self.whnf_core(right, cheap=True)
        if a is not left or b is not right:
            quick = True if a is b else self._quick(a, b)
            if quick is not None:
                return quick
        irrelevant = self._proof_irrelevance(a, b)
        if irrelevant is not None:
            return irrelevant
        decided, a, b = self._unfold_by_height(a, b)
        if decided is not None:
            return decided
        if self._equal_heads(a, b):
            return True
        c = self.whnf_core(a)
        d = self.whnf_core(b)
        if c is not a or d is not b:
            return self.equal(c, d)
        return (
            self._equal_applications(a, b)
            or self._eta(a, b)
            or self._eta(b, a)
            or self._eta_structure(a, b)
            or self._eta_structure(b, a)
            or self._equal_strings(a, b)
            or self._one_value(a, b)
        )

    def _equal_heads(self, a: Expr, b: Expr) -> bool:
        if isinstance(a, Const) and isinstance(b, Const):
            return a.name == b.name and self._equal_levels(a, b)
        if isinstance(a, Local) and isinstance(b, Local):
            return a is b
        if isinstance(a, Proj) and isinstance(b, Proj):
            return a.index == b.index and a.type_name == b.type_name and self.equal(a.struct, b.struct)
        return False

    def same_level(self, a: Level, b: Level) -> bool:
        """Whether two universes are equal."""
        return levels.equal(a, b)

    def height_of(self, head: Expr) -> int | None:
        """How early a head unfolds against another, `None` when it does not unfold."""
        return self.environment.height_of(head)

    def _equal_levels(self, a: Const, b: Const) -> bool:
        return len(a.levels) == len(b.levels) and all(map(self.same_level, a.levels, b.levels))

    def _proof_irrelevance(self, a: Expr, b: Expr) -> bool | None:
        """Two proofs are equal when they prove equal propositions."""
        if isinstance(a, Sort | Pi | NatLit | StrLit):
            return None
        type_ = self.type_of(a)
        if not self.is_proposition(type_):
            return None
        return self.equal(type_, self.type_of(b))

    def _unfold_by_height(self, a: Expr, b: Expr) -> tuple[bool | None, Expr, Expr]:
        """Unfold definitions until the answer is known or neither side unfolds."""
        while True:
            offset = self._equal_offsets(a, b)
            if offset is not None:
                return offset, a, b
            if not a.has_local and not b.has_local:
                number = self.compute_nat(a)
                if number is not None:
                    return self.equal(number, b), a, b
                number = self.compute_nat(b)
                if number is not None:
                    return self.equal(a, number), a, b
            head_a, head_b = ex.head_of(a), ex.head_of(b)
            height_a = self.height_of(head_a)
            height_b = self.height_of(head_b)
            if height_a is None and height_b is None:
                return None, a, b
            self.budget.spend()
            if height_b is None or (height_a is not None and height_a > height_b):
                a = self._unfolded(a)
            elif height_a is None or height_b > height_a:
                b = self._unfolded(b)
            else:
                if self._same_head_same_arguments(a, b, head_a, head_b):
                    return True, a, b
                a, b = self._unfolded(a), self._unfolded(b)
            if a is b:
                return True, a, b
            quick = self._quick(a, b)
            if quick is not None:
                return quick, a, b

    def _unfolded(self, e: Expr) -> Expr:
        unfolded = self.unfold(e)
        assert unfolded is not None, "only terms with a height are unfolded"
        return self.whnf_core(unfolded, cheap=True)

    def _same_head_same_arguments(self, a: Expr, b: Expr, head_a: Expr, head_b: Expr) -> bool:
        if not (isinstance(a, App) and isinstance(b, App) and isinstance(head_a, Const) and isinstance(head_b, Const)):
            return False
        if head_a.name != head_b.name or (a, b) in self._different:
            return False
        if self._equal_levels(head_a, head_b) and self._equal_arguments(a, b):
            return True
        self._different.add((a, b))
        return False

    def _equal_arguments(self, a: Expr, b: Expr) -> bool:
        left, right = ex.unapply(a)[1], ex.unapply(b)[1]
        return len(left) == len(right) and all(map(self.equal, left, right))

    def _equal_offsets(self, a: Expr, b: Expr) -> bool | None:
        if not self.environment.has_nat:
            return None
        if literals.is_zero(a) and literals.is_zero(b):
            return True
        if isinstance(a, NatLit) and isinstance(b, NatLit):
            return a.value == b.value
        below_a, below_b = literals.predecessor(a), literals.predecessor(b)
        if below_a is not None and below_b is not None:
            return self.equal(below_a, below_b)
        return None

    def _equal_applications(self, a: Expr, b: Expr) -> bool:
        if not (isinstance(a, App) and isinstance(b, App)):
            return False
        (head_a, args_a), (head_b, args_b) = ex.unapply(a), ex.unapply(b)
        return len(args_a) == len(args_b) and self.equal(head_a, head_b) and all(map(self.equal, args_a, args_b))

    def _eta(self, function: Expr, other: Expr) -> bool:
        """`fun x => f x` is `f`."""
        if not isinstance(function, Lam) or isinstance(other, Lam):
            return False
        type_ = self.whnf(self.type_of(other))
        if not isinstance(type_, Pi):
            return False
        wrapped = ex.lam(type_.name, type_.type, ex.app(other, ex.bvar(0)), type_.info)
        return self.equal(function, wrapped)

    def _eta_structure(self, other: Expr, made: Expr) -> bool:
        """`⟨s.1, …, s.n⟩` is `s`."""
        head, args = ex.unapply(made)
        if not isinstance(head, Const):
            return False
        maker = self.environment.constants.get(head.name)
        if not isinstance(maker, Constructor) or len(args) != maker.num_params + maker.num_fields:
            return False
        if self.environment.structure(maker.inductive) is None:
            return False
        if not self.equal(self.type_of(other), self.type_of(made)):
            return False
        fields = args[maker.num_params :]
        return all(self.equal(ex.proj(maker.inductive, i, other), field) for i, field in enumerate(fields))

    def _equal_strings(self, a: Expr, b: Expr) -> bool:
        if isinstance(a, StrLit) and not isinstance(b, StrLit):
            return self._expanded_equal(a, b)
        if isinstance(b, StrLit) and not isinstance(a, StrLit):
            return self._expanded_equal(b, a)
        return False

    def _expanded_equal(self, literal: StrLit, other: Expr) -> bool:
        if not isinstance(other, App):
            return False
        return self.equal(literals.expand_string(literal, self.environment), other)

    def _one_value(self, a: Expr, b: Expr) -> bool:
        """Two values of a structure without fields are equal."""
        type_ = self.whnf(self.type_of(a))
        head = ex.head_of(type_)
        if not isinstance(head, Const):
            return False
        maker = self.environment.structure(head.name)
        if maker is None or maker.num_fields:
            return False
        return self.equal(type_, self.type_of(b))
