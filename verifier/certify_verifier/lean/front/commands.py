"""Commands of the source language: what they declare, checked by the kernel one after another.

Rules this module keeps:

- every declaration is elaborated and then judged by the kernel; the kernel's verdict is the verdict;
- a declaration that is refused or declined is not declared, and the next one is still looked at;
- variables of the section are added where they are used; universes that are left open become parameters.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Final

from certify_spec.diagnostics import Diagnostic, Place
from certify_verifier.lean import exprs as ex
from certify_verifier.lean import levels, rules
from certify_verifier.lean.environment import ABBREVIATION_HEIGHT, Axiom, Definition, Environment, Inductive, Theorem
from certify_verifier.lean.errors import Exhausted, Refused
from certify_verifier.lean.exprs import Binder, Expr, Local, Pi, Sort
from certify_verifier.lean.front import syntax as s
from certify_verifier.lean.front.errors import Spot, Unsupported, Wrong
from certify_verifier.lean.front.matching import Matcher, NotStructural, Recursion, Row, State
from certify_verifier.lean.front.patterns import Made, read_pattern
from certify_verifier.lean.front.scope import FileScope
from certify_verifier.lean.inductive import InductiveSpec, TypeSpec
from certify_verifier.lean.levels import Level, LevelMeta
from certify_verifier.lean.names import Name
from certify_verifier.lean.reduce import Budget
from certify_verifier.lean.report import Accepted, Declined, Entry, LeanVerdict, Rejected
from certify_verifier.lean.session import Item, Session
from certify_verifier.lean.terms import constants, instantiate, lambdas, products, same, subterms
from certify_verifier.lean.terms import replace as replace_terms

ELABORATION_STEPS: Final = 2_000_000
"""Steps that the elaboration of one declaration may take."""


class Runner:
    """Runs the commands of a file over a session."""

    def __init__(self, session: Session, file: str) -> None:
        self.session = session
        self.file = file
        self.scope = FileScope(session.environment)
        self.verdicts: list[LeanVerdict] = []
        self._examples = 0

    def run(self, commands: Sequence[s.Command]) -> None:
        """Run commands in order; each problem becomes a verdict."""
        for command in commands:
            try:
                self._command(command)
            except Wrong as wrong:
                self._refuse(wrong, command)
            except Unsupported as unsupported:
                spot = unsupported.spot
                what = f"{self.file}:{spot.line}:{spot.column}: {unsupported.what} is not supported by this checker"
                self._note(Declined(what), command)
            except Refused as refused:
                place = self.place(command.spot)
                self._note(Rejected(Diagnostic(refused.rule, refused.message, place, fix=refused.rule.advice)), command)
            except (Exhausted, RecursionError, MemoryError) as exhausted:
                spot = command.spot
                self._note(Declined(f"{self.file}:{spot.line}:{spot.column}: {exhausted}"), command)
        if self.scope.sections:
            name = self.scope.sections[-1].name
            self._refuse(
                Wrong(rules.BAD_COMMAND, f"`{name or 'section'}` is never closed", Spot(1, 1)), s.Command(Spot(1, 1))
            )

    def place(self, spot: Spot) -> Place:
        """A place in the file."""
        return Place(self.file, spot.line, spot.column)

    def _refuse(self, wrong: Wrong, command: s.Command) -> None:
        place = self.place(wrong.spot)
        self._note(
            Rejected(Diagnostic(wrong.rule, wrong.message, place, because=wrong.because, fix=wrong.rule.advice)),
            command,
        )

    def _note(self, verdict: LeanVerdict, command: s.Command) -> None:
        self.verdicts.append(verdict)
        if isinstance(command, s.Declaration | s.InductiveSyntax):
            kind = "inductive" if isinstance(command, s.InductiveSyntax) else _kind(command.word)
            entry = Entry(self.scope.full(command.name), kind, "", (), command.spot.line, verdict, command.sentence)
            self.session.entries.append(entry)

    def _declare(self, item: Item, spot: Spot, sentence: str = "") -> bool:
        entry = self.session.check(item, self.place(spot), sentence)
        return isinstance(entry.verdict, Accepted)

    # commands -------------------------------------------------------------------------------------------------------

    def _command(self, command: s.Command) -> None:
        match command:
            case s.Scoping():
                self._scoping(command)
            case s.Variables():
                self.scope.variables.extend(command.binders)
            case s.Declaration():
                _Declaring(self, command).run()
            case s.InductiveSyntax():
                self._inductive([command], command.spot)
            case s.MutualSyntax():
                self._inductive(list(command.types), command.spot)
            case _:
                raise Unsupported("this command", command.spot)

    def _scoping(self, command: s.Scoping) -> None:
        name = command.names[0] if command.names else ""
        match command.word:
            case "namespace":
                self.scope.begin(name, is_namespace=True)
            case "section":
                self.scope.begin(name, is_namespace=False)
            case "end":
                self.scope.end(name, command.spot)
            case "open":
                for opened in command.names:
                    self.scope.open(opened, command.spot)
            case "universe":
                self.scope.universes.extend(command.names)
            case _:
                raise Unsupported(f"`{command.word}` here", command.spot)

    def fresh_example(self) -> Name:
        """A name for the next example."""
        self._examples += 1
        return f"_example.{self._examples}"

    def _inductive(self, types: list[s.InductiveSyntax], spot: Spot) -> None:
        _Inducting(self, types, spot).run()

    def declare_item(self, item: Item, spot: Spot, sentence: str) -> bool:
        """Have the kernel judge a declaration; whether it was accepted."""
        return self._declare(item, spot, sentence)


def _kind(word: str) -> str:
    return {"theorem": "theorem", "axiom": "axiom", "example": "definition"}.get(word, "definition")


class _Header:
    """The binders in front of a declaration: the section's variables, then its own."""

    def __init__(self, runner: Runner, given: tuple[str, ...] | None) -> None:
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
            type_ = elaborator.finished(_renew(x.type, renewed), spot)
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


def _renew(e: Expr, renewed: dict[Local, Local]) -> Expr:
    return replace_terms(e, lambda part: renewed.get(part) if isinstance(part, Local) else None) if renewed else e


class _Declaring:
    """Elaborates a definition, theorem, example or axiom."""

    def __init__(self, runner: Runner, command: s.Declaration) -> None:
        self.runner = runner
        self.command = command
        self.header = _Header(runner, command.levels)
        self.elaborator = self.header.elaborator
        self.alternatives = command.alternatives
        self.infos: list[Binder] = []
        self.name = runner.fresh_example() if command.word == "example" else runner.scope.full(command.name)

    def run(self) -> None:
        command, header = self.command, self.header
        variables = len(self.runner.scope.variables)
        header.open([*self.runner.scope.variables, *command.binders])
        goal = self.elaborator.type(command.type) if command.type is not None else None
        header.settle(command.spot)
        if goal is not None:
            goal = header.without_open_levels(self.elaborator.finished(_renew(goal, header.renewed), command.spot))
        elif command.word in ("theorem", "axiom") or command.alternatives:
            raise Wrong(rules.BAD_SYNTAX, f"`{command.name}` needs a type", command.spot)
        if command.word == "axiom":
            assert goal is not None, "checked above"
            self._finish(goal, None, variables)
            return
        value = self._value(goal)
        if goal is None:
            goal = self.elaborator.unifier.filled(self.elaborator.unifier.type_of(value))
        self._finish(goal, value, variables)

    def _value(self, goal: Expr | None) -> Expr:
        command = self.command
        if command.alternatives:
            assert goal is not None, "alternatives come with a type"
            return self._by_alternatives(goal)
        assert command.value is not None, "the grammar gives a value or alternatives"
        self._refuse_own_name(command.value)
        return self._closed(self.elaborator.term(command.value, goal))

    def _closed(self, e: Expr) -> Expr:
        self.elaborator.settle(self.command.spot)
        return self.header.without_open_levels(self.elaborator.finished(e, self.command.spot))

    def _names(self) -> tuple[str, ...]:
        return (self.command.name, self.name)

    def _refuse_own_name(self, value: s.Term) -> None:
        """A definition without alternatives has nothing to recurse on."""
        for call in _mentions(value, self._names()):
            if any(name == call.name for name, _ in self.elaborator.locals):
                continue
            if _has_match(value):
                raise Unsupported("recursion through `match`: write the definition by alternatives", call.spot)
            raise Wrong(rules.NOT_STRUCTURAL, f"`{call.name}` calls itself without getting smaller", call.spot)

    def _by_alternatives(self, goal: Expr) -> Expr:
        unifier = self.elaborator.unifier
        alternatives = self.command.alternatives
        columns: list[Local] = []
        hidden: list[int] = []
        rest = goal
        while len(columns) - len(hidden) < len(alternatives[0].patterns):
            rest = rest if isinstance(rest, Pi) else unifier.whnf(rest)
            if not isinstance(rest, Pi):
                raise Wrong(
                    rules.BAD_PATTERN, f"`{self.command.name}` does not take so many arguments", alternatives[0].spot
                )
            if rest.info is not Binder.DEFAULT:
                hidden.append(len(columns))
            self.infos.append(rest.info)
            columns.append(unifier.new_local(rest.name, rest.type))
            rest = instantiate(rest.body, [columns[-1]])
        self.alternatives = tuple(_with_holes(alternative, hidden) for alternative in alternatives)
        calls = [call for alternative in alternatives for call in _mentions(alternative.body, self._names())]
        if not calls:
            return self._tree(columns, rest, None, goal)
        first: Wrong | None = None
        for column in range(len(columns)):
            found = self.elaborator.inductive_of(columns[column].type)
            if found is None or not found[0].is_recursive or not self._distinguishes(column, found[0]):
                continue
            indices = found[2][found[0].num_params :]
            others = tuple(i for i, x in enumerate(columns) if i != column and x not in indices)
            try:
                return self._tree(columns, rest, (column, others), goal)
            except NotStructural:
                continue
            except Wrong as wrong:
                first = first or wrong
        if first is not None:
            raise first
        raise Unsupported("recursion that is not on a direct part of one argument", calls[0].spot)

    def _distinguishes(self, column: int, inductive: Inductive) -> bool:
        """Whether some alternative matches a constructor in this column."""
        scope = self.runner.scope
        patterns = (
            alternative.patterns[column] for alternative in self.alternatives if column < len(alternative.patterns)
        )
        return any(isinstance(read_pattern(pattern, inductive, scope), Made) for pattern in patterns)

    def _tree(
        self, columns: list[Local], goal: Expr, recursion: tuple[int, tuple[int, ...]] | None, whole: Expr
    ) -> Expr:
        elaborator, header = self.elaborator, self.header
        full: Recursion | None = None
        if recursion is not None:
            itself = elaborator.unifier.new_local(self.command.name, products(header.locals, whole, header.infos))
            full = Recursion(itself, tuple(header.locals), len(columns), *recursion)

        def leaf(state: State, row: Row) -> Expr:
            body = self.alternatives[row.number].body
            if full is None:
                return self._closed(elaborator.term(body, state.goal))
            own = [(name, full.itself) for name in self._names()]
            hidden = {name for name, _ in row.names}
            with elaborator.bound(*((n, x) for n, x in own if n not in hidden)):
                value = self._closed(elaborator.term(body, state.goal))
            return _with_hypotheses(value, state, full, body.spot)

        tree = elaborator.tree(columns, self.alternatives, goal, self.command.spot, leaf, full)
        return lambdas(columns, tree, self.infos)

    def _finish(self, goal: Expr, value: Expr | None, variables: int) -> None:
        header, command = self.header, self.command
        terms = [goal] if value is None else [goal, value]
        if command.word == "theorem":
            terms = [goal]
        kept, infos = header.used(terms, variables)
        if command.word == "theorem" and value is not None:
            self._refuse_hidden_variables(value, kept)
        type_ = products(kept, goal, infos)
        if value is None:
            names = header.level_names([type_])
            self.runner.declare_item(Axiom(self.name, names, type_), command.spot, command.sentence)
            return
        closed = lambdas(kept, value, infos)
        names = header.level_names([type_, closed])
        item: Item
        if command.word == "theorem":
            item = Theorem(self.name, names, type_, closed)
        else:
            height = ABBREVIATION_HEIGHT if command.word == "abbrev" else self._height(closed)
            item = Definition(self.name, names, type_, closed, height)
        self.runner.declare_item(item, command.spot, command.sentence)

    def _refuse_hidden_variables(self, value: Expr, kept: list[Local]) -> None:
        """A proof may use only those variables of the section that its statement uses."""
        for part in subterms(value):
            if isinstance(part, Local) and part in self.header.locals and part not in kept:
                raise Wrong(
                    rules.UNKNOWN_NAME, f"the statement does not use the variable `{part.name}`", self.command.spot
                )

    def _height(self, value: Expr) -> int:
        environment = self.runner.session.environment
        heights = [environment.height_of(ex.const(name)) for name in set(constants(value))]
        regular = [height for height in heights if height is not None and height < ABBREVIATION_HEIGHT]
        return 1 + max([0, *regular])


def _with_holes(alternative: s.Alternative, places: Sequence[int]) -> s.Alternative:
    """The alternative with a pattern for implicit arguments, which are not matched in writing."""
    patterns = list(alternative.patterns)
    for place in places:
        patterns.insert(place, s.Hole(alternative.spot))
    return dataclasses.replace(alternative, patterns=tuple(patterns))


def _mentions(node: object, names: tuple[str, ...]) -> Iterator[s.Ident]:
    """Every use of a name in a piece of syntax."""
    if isinstance(node, s.Ident):
        if node.name in names or any(node.name.startswith(f"{name}.") for name in names):
            yield node
    elif isinstance(node, tuple):
        for part in node:
            yield from _mentions(part, names)
    elif dataclasses.is_dataclass(node) and not isinstance(node, type):
        for field in dataclasses.fields(node):
            yield from _mentions(getattr(node, field.name), names)


def _has_match(node: object) -> bool:
    if isinstance(node, s.Match | s.LambdaMatch):
        return True
    if isinstance(node, tuple):
        return any(_has_match(part) for part in node)
    if dataclasses.is_dataclass(node) and not isinstance(node, type):
        return any(_has_match(getattr(node, field.name)) for field in dataclasses.fields(node))
    return False


def _with_hypotheses(e: Expr, state: State, recursion: Recursion, spot: Spot) -> Expr:
    """The term with recursive calls replaced by the hypotheses for direct parts.

    Raises:
        NotStructural: a call is on something else.
    """

    def change(part: Expr) -> Expr | None:
        head, args = ex.unapply(part)
        if head is not recursion.itself:
            return None
        fixed = len(recursion.fixed)
        if len(args) < fixed + recursion.arity or not all(map(same, args[:fixed], recursion.fixed)):
            raise NotStructural(spot)
        own, more = args[fixed : fixed + recursion.arity], args[fixed + recursion.arity :]
        smaller = own[recursion.column]
        kept = [replace_terms(own[i], change) for i in recursion.others]
        for field, hypothesis in state.parts:
            inner = _applied(smaller, field)
            if inner is not None:
                inner = [replace_terms(arg, change) for arg in inner]
                return ex.apply(hypothesis, [*inner, *kept, *(replace_terms(arg, change) for arg in more)])
        raise NotStructural(spot)

    found = replace_terms(e, change)
    if any(part is recursion.itself for part in subterms(found)):
        raise NotStructural(spot)
    return found


def _applied(e: Expr, field: Expr) -> list[Expr] | None:
    """The arguments that make a field into the term, `None` when it is made otherwise."""
    if same(e, field):
        return []
    head, args = ex.unapply(e)
    return args if head is field else None


class _Inducting:
    """Elaborates inductive types and structures."""

    def __init__(self, runner: Runner, types: list[s.InductiveSyntax], spot: Spot) -> None:
        self.runner = runner
        self.types = types
        self.spot = spot
        self.header = _Header(runner, types[0].levels)
        self.elaborator = self.header.elaborator

    def run(self) -> None:
        header, elaborator = self.header, self.elaborator
        first = self.types[0]
        if any(t.binders or t.levels for t in self.types[1:]) or (len(self.types) > 1 and first.binders):
            raise Unsupported("mutual inductive types with parameters", self.spot)
        header.open([*self.runner.scope.variables, *first.binders])
        written = [elaborator.type(t.type) if t.type is not None else None for t in self.types]
        header.settle(self.spot)
        done = [
            None if w is None else header.without_open_levels(elaborator.finished(_renew(w, header.renewed), self.spot))
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


def _declare_projections(runner: Runner, name: Name, spot: Spot) -> None:
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
