"""Inductive types and structures made into declarations for the kernel.

Rules this module keeps:

- a type stands at its own parameters inside its declaration, and is a constant only afterwards;
- the universe of a type that does not say it is the least that holds its fields, at least `Type`;
- a structure has a function for each field; data inside a proposition has none.
"""

from __future__ import annotations

from certify_verifier.lean import exprs as ex
from certify_verifier.lean import levels, rules
from certify_verifier.lean.environment import ABBREVIATION_HEIGHT, Definition, Environment, Inductive
from certify_verifier.lean.exprs import Binder, Expr, Local, Pi, Sort
from certify_verifier.lean.front import syntax as s
from certify_verifier.lean.front.errors import Spot, Unsupported, Wrong
from certify_verifier.lean.front.header import ELABORATION_STEPS, Header, Home, renew
from certify_verifier.lean.front.matching import Matcher
from certify_verifier.lean.front.scope import FileScope
from certify_verifier.lean.inductive import InductiveSpec, TypeSpec
from certify_verifier.lean.levels import Level
from certify_verifier.lean.names import Name
from certify_verifier.lean.reduce import Budget
from certify_verifier.lean.terms import instantiate, lambdas, products, subterms
from certify_verifier.lean.terms import replace as replace_terms


class Inducting:
    """Elaborates inductive types and structures."""

    def __init__(self, runner: Home, types: list[s.InductiveSyntax], spot: Spot) -> None:
        self.runner = runner
        self.types = types
        self.spot = spot
        self.header = Header(runner, types[0].levels)
        self.elaborator = self.header.elaborator

    def run(self) -> None:
        """Elaborate the types and have the kernel judge them; a structure's projections follow.

        Raises:
            Wrong: something in them has no meaning.
            Unsupported: they use something this front end does not know.
        """
        header, elaborator = self.header, self.elaborator
        first = self.types[0]
        if any(t.binders or t.levels for t in self.types[1:]) or (len(self.types) > 1 and first.binders):
            raise Unsupported("mutual inductive types with parameters", self.spot)
        header.open([*self.runner.scope.variables, *first.binders])
        written = [elaborator.type(t.type) if t.type is not None else None for t in self.types]
        header.settle(self.spot)
        done = [
            None if w is None else header.without_open_levels(elaborator.finished(renew(w, header.renewed), self.spot))
            for w in written
        ]
        if any(w is None for w in done) and len(done) > 1:
            done = [w if w is not None else ex.TYPE for w in done]
        unknown = elaborator.unifier.new_level()
        own = [w if w is not None else ex.sort(unknown) for w in done]
        stand_ins = [
            elaborator.unifier.new_local(t.name, products(header.locals, w, header.infos))
            for t, w in zip(self.types, own, strict=True)
        ]
        pairs = [(n, x) for t, x in zip(self.types, stand_ins, strict=True) for n in {t.name, self._full(t)}]
        fixed = [ex.apply(x, header.locals) for x in stand_ins]
        with elaborator.bound(*pairs):
            constructors = [
                [self._constructor(c, fixed[number]) for c in t.constructors] for number, t in enumerate(self.types)
            ]
        elaborator.settle(self.spot)
        if done[0] is None:
            self._infer_universe(unknown, [c for _, c, _ in constructors[0]], stand_ins)
            own = [elaborator.unifier.filled(w) for w in own]
        self._declare(own, stand_ins, constructors)

    def _full(self, type_: s.InductiveSyntax) -> Name:
        return self.runner.scope.full(type_.name)

    def _constructor(self, given: s.ConstructorSyntax, built: Expr) -> tuple[s.ConstructorSyntax, Expr, list[Binder]]:
        """The constructor's type over the parameters."""
        elaborator = self.elaborator
        opened: list[Local] = []
        infos: list[Binder] = []
        mark = len(elaborator.locals)
        for binder in given.binders:
            domain = elaborator.type(binder.type) if binder.type is not None else elaborator.type_hole(binder.spot)
            x = elaborator.unifier.new_local(binder.name, domain)
            opened.append(x)
            infos.append(binder.info)
            elaborator.locals.append(("" if binder.name == "_" else binder.name, x))
        result = elaborator.type(given.type) if given.type is not None else built
        del elaborator.locals[mark:]
        for type_ in (*(x.type for x in opened), result):
            self._fix_parameters(type_, ex.head_of(built))
        elaborator.unifier.retry()
        return given, products(opened, result, infos), infos

    def _fix_parameters(self, type_: Expr, stand_in: Expr) -> None:
        """Inside its own declaration a type stands at its own parameters."""
        unifier = self.elaborator.unifier
        for part in list(subterms(unifier.filled(type_))):
            head, args = ex.unapply(part)
            if head is stand_in and not part.loose and len(args) >= len(self.header.locals):
                for arg, param in zip(args, self.header.locals, strict=False):
                    unifier.attempt(lambda arg=arg, param=param: unifier.equal(arg, param))  # type: ignore[misc]  # bound now

    def _infer_universe(self, unknown: Level, constructors: list[Expr], stand_ins: list[Local]) -> None:
        """The least universe that holds every field, at least `Type`."""
        unifier = self.elaborator.unifier
        level: Level = levels.ONE
        for type_ in constructors:
            rest = unifier.filled(type_)
            while isinstance(rest, Pi):
                if not any(part in stand_ins for part in subterms(rest.type)):
                    universe = unifier.whnf(unifier.type_of(rest.type))
                    if isinstance(universe, Sort):
                        level = levels.max_of(unifier.filled_level(universe.level), level)
                rest = instantiate(rest.body, [unifier.new_local(rest.name, rest.type)])
        if not unifier.same_level(unknown, level):
            raise Wrong(rules.CANNOT_INFER, "the universe of this type cannot be inferred: write it", self.spot)

    def _declare(
        self,
        own: list[Expr],
        stand_ins: list[Local],
        constructors: list[list[tuple[s.ConstructorSyntax, Expr, list[Binder]]]],
    ) -> None:
        header, elaborator = self.header, self.elaborator
        finished = [
            [(c, header.without_open_levels(elaborator.finished(type_, self.spot))) for c, type_, _ in group]
            for group in constructors
        ]
        bodies = [type_ for group in finished for _, type_ in group]
        variables = len(self.runner.scope.variables)
        kept, infos = header.used([*own, *bodies], variables)
        if len(kept) != len(header.locals):
            raise Unsupported("a section variable beside an inductive type that does not use it", self.spot)
        names = header.level_names([products(kept, t, infos) for t in (*own, *bodies)])
        params = [levels.param(name) for name in names]
        real = {x: ex.const(self._full(t), params) for t, x in zip(self.types, stand_ins, strict=True)}

        def settled(e: Expr) -> Expr:
            return replace_terms(e, lambda part: real.get(part) if isinstance(part, Local) else None)

        implicit = [Binder.IMPLICIT] * len(kept)
        specs = []
        for t, type_, group in zip(self.types, own, finished, strict=True):
            made = tuple((f"{self._full(t)}.{c.name}", products(kept, settled(body), implicit)) for c, body in group)
            specs.append(TypeSpec(self._full(t), products(kept, type_, infos), made))
        spec = InductiveSpec(names, len(kept), tuple(specs))
        accepted = self.runner.declare_item(spec, self.spot, self.types[0].sentence)
        if accepted and self.types[0].is_structure:
            _declare_projections(self.runner, self._full(self.types[0]), self.spot)


def _declare_projections(runner: Home, name: Name, spot: Spot) -> None:
    """A function for each field of a structure; data inside a proposition has none."""
    environment: Environment = runner.session.environment
    inductive = environment.constants[name]
    maker = environment.sole_constructor(name)
    assert isinstance(inductive, Inductive), "just declared"
    assert maker is not None, "a structure has one constructor"
    params: list[Local] = []
    rest = maker.type
    for number in range(maker.num_params):
        assert isinstance(rest, Pi), "parameters come first"
        params.append(ex.local(-1 - number, rest.name, instantiate(rest.type, params)))
        rest = rest.body
    rest = instantiate(rest, params)
    whole = ex.apply(ex.const(name, [levels.param(u) for u in inductive.levels]), params)
    itself = ex.local(-1 - maker.num_params, "self", whole)
    infos = [*([Binder.IMPLICIT] * len(params)), Binder.DEFAULT]
    is_proposition = _is_proposition(inductive)
    for index in range(maker.num_fields):
        assert isinstance(rest, Pi), "fields follow"
        value = ex.proj(name, index, itself)
        type_ = products([*params, itself], rest.type, infos)
        closed = lambdas([*params, itself], value, infos)
        item = Definition(f"{name}.{rest.name}", inductive.levels, type_, closed, ABBREVIATION_HEIGHT)
        if is_proposition and not _is_proof(type_, environment):
            break
        runner.declare_item(item, spot, "")
        projection = ex.const(item.name, [levels.param(u) for u in inductive.levels])
        rest = instantiate(rest.body, [ex.apply(projection, [*params, itself])])


def _is_proposition(inductive: Inductive) -> bool:
    rest = inductive.type
    while isinstance(rest, Pi):
        rest = rest.body
    return isinstance(rest, Sort) and levels.is_zero(rest.level)


def _is_proof(type_: Expr, environment: Environment) -> bool:
    """Whether a projection's type ends in a proposition."""
    matcher = Matcher(FileScope(environment), Budget(ELABORATION_STEPS))
    return matcher.unifier.is_proposition(type_)
