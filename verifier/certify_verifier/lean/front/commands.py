"""Commands of the source language: what they declare, checked by the kernel one after another.

Rules this module keeps:

- every declaration is elaborated and then judged by the kernel; the kernel's verdict is the verdict;
- a declaration that is refused or declined is not declared, and the next one is still looked at;
- variables of the section are added where they are used; universes that are left open become parameters.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence

from certify_spec.diagnostics import Diagnostic, Place
from certify_verifier.lean import exprs as ex
from certify_verifier.lean import rules
from certify_verifier.lean.environment import ABBREVIATION_HEIGHT, Axiom, Definition, Inductive, Theorem
from certify_verifier.lean.errors import Exhausted, Refused
from certify_verifier.lean.exprs import Binder, Expr, Local, Pi
from certify_verifier.lean.front import syntax as s
from certify_verifier.lean.front.casework import Row, State
from certify_verifier.lean.front.errors import Spot, Unsupported, Wrong
from certify_verifier.lean.front.header import Header, renew
from certify_verifier.lean.front.inducting import Inducting
from certify_verifier.lean.front.matching import NotStructural, Recursion
from certify_verifier.lean.front.patterns import Made, read_pattern
from certify_verifier.lean.front.scope import FileScope
from certify_verifier.lean.names import Name
from certify_verifier.lean.report import Accepted, Declined, Entry, LeanVerdict, Rejected
from certify_verifier.lean.session import INSIDE, Item, Session
from certify_verifier.lean.terms import constants, instantiate, lambdas, products, same, subterms
from certify_verifier.lean.terms import replace as replace_terms


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
            except Exception as defect:  # a defect of this checker is no verdict on the file
                spot = command.spot
                what = f"{INSIDE} ({type(defect).__name__}: {defect})"
                self._note(Declined(f"{self.file}:{spot.line}:{spot.column}: {what}"), command)
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
        Inducting(self, types, spot).run()

    def declare_item(self, item: Item, spot: Spot, sentence: str) -> bool:
        """Have the kernel judge a declaration; whether it was accepted."""
        return self._declare(item, spot, sentence)


def _kind(word: str) -> str:
    return {"theorem": "theorem", "axiom": "axiom", "example": "definition"}.get(word, "definition")


class _Declaring:
    """Elaborates a definition, theorem, example or axiom."""

    def __init__(self, runner: Runner, command: s.Declaration) -> None:
        self.runner = runner
        self.command = command
        self.header = Header(runner, command.levels)
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
            goal = header.without_open_levels(self.elaborator.finished(renew(goal, header.renewed), command.spot))
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
