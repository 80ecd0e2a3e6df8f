"""From the syntax tree to a checked specification, with every mistake at once.

Rules this module keeps:

- declarations may stand in any order, except that definitions use only definitions above them;
- no name hides another;
- a specification is returned only if nothing is wrong with it: no reader needs to expect nonsense;
- ghosts decide nothing: what really happens does not depend on them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from certify_spec import _actions, _instances, analysis, rules
from certify_spec import model as m
from certify_spec import syntax as s
from certify_spec._expressions import Elaborator
from certify_spec._refinement import Resolve, refinement
from certify_spec._scope import Globals, Report, Scope, unknown
from certify_spec.datatypes import (
    BOOL,
    DURATION,
    INSTANT,
    INT,
    UNKNOWN,
    EnumShape,
    FunctionType,
    MapType,
    RecordShape,
    SetType,
    Type,
    walk,
)
from certify_spec.diagnostics import Diagnostic, Note, Place, in_order

_KINDS: Final[dict[type, str]] = {
    s.EnumDeclaration: "enum",
    s.RecordDeclaration: "record",
    s.SortDeclaration: "sort",
    s.FunctionDeclaration: "function",
    s.ParameterDeclaration: "parameter",
    s.DefinitionDeclaration: "definition",
    s.VariableDeclaration: "variable",
    s.ClockDeclaration: "clock",
    s.ActionDeclaration: "action",
    s.StepDeclaration: "step property",
    s.ProgressDeclaration: "progress property",
    s.LawDeclaration: "law",
    s.InstanceDeclaration: "instance",
}


def check(file: s.File, resolve: Resolve | None = None) -> tuple[m.Specification | None, tuple[Diagnostic, ...]]:
    """The meaning of a parsed file, or None, and everything wrong with it.

    Args:
        file: the syntax tree.
        resolve: finds the specification that a `refines … from "path"` names; without it refinements are refused.
    """
    checker = _Checker(file, resolve or (lambda _path: None))
    specification = checker.run()
    return specification, in_order(checker.report.diagnostics)


@dataclass(slots=True)
class _Gathered:
    """What the checked declarations add up to."""

    formulas: list[m.Formula] = field(default_factory=list)
    steps: list[m.StepProperty] = field(default_factory=list)
    progress: list[m.Progress] = field(default_factory=list)
    laws: list[m.Law] = field(default_factory=list)
    actions: dict[str, m.Action] = field(default_factory=dict)
    instances: dict[str, m.Instance] = field(default_factory=dict)
    refinements: list[m.Refinement] = field(default_factory=list)
    clock: str = ""


class _Checker:
    """One pass over the names, one over what they mean."""

    def __init__(self, file: s.File, resolve: Resolve) -> None:
        self._file = file
        self._resolve = resolve
        self.report = Report()
        self._names = Globals(broken=file.broken)
        self._elaborator = Elaborator(self._names, self.report)
        self._measurer = analysis.Measurer()
        self._all = _Gathered()

    def run(self) -> m.Specification | None:
        kept = [d for d in self._file.declarations if self._declared(d)]
        self._types(kept)
        self._symbols(kept)
        for declaration in kept:
            if isinstance(declaration, s.DefinitionDeclaration):
                self._definition(declaration)
        self._starts(kept)
        for declaration in kept:
            self._meaning(declaration)
        self._clock_steps()
        self._unused(kept)
        return None if self.report.has_errors else self._specification()

    # --- names -------------------------------------------------------------------------------------------------------

    def _declared(self, declaration: s.Declaration) -> bool:
        if isinstance(declaration, s.RefinementDeclaration | s.Header):
            return True
        kind = declaration.kind if isinstance(declaration, s.Claim) else _KINDS[type(declaration)]
        fresh = self._names.declare(declaration.name.text, kind, declaration.name.place, self.report)
        stateful = isinstance(
            declaration,
            s.VariableDeclaration
            | s.ClockDeclaration
            | s.ActionDeclaration
            | s.StepDeclaration
            | s.ProgressDeclaration,
        ) or kind in ("init", "invariant", "lemma", "always", "reachable")
        if stateful and self._file.header.kind == "theory":
            self.report.error(
                rules.STATEFUL,
                f"a theory has no {kind}",
                declaration.name.place,
                fix="make the file a `machine`, or move this to one",
            )
        if isinstance(declaration, s.EnumDeclaration):
            for case, _ in declaration.cases:
                if self._names.declare(case.text, f"case of `{declaration.name.text}`", case.place, self.report):
                    self._names.cases[case.text] = declaration.name.text
        return fresh

    def _types(self, declarations: Iterable[s.Declaration]) -> None:
        shaped = [d for d in declarations if isinstance(d, s.EnumDeclaration | s.RecordDeclaration)]
        for declaration in declarations:
            if isinstance(declaration, s.SortDeclaration):
                self._names.sorts[declaration.name.text] = declaration.name.place
        # Shapes see only those above them, so that no type contains itself.
        for shape in shaped:
            variables = tuple(word.text for word in shape.type_parameters)
            name = shape.name.text
            known = frozenset(variables)
            if isinstance(shape, s.EnumDeclaration):
                cases = {c.text: None if t is None else self._elaborator.type_of(t, known) for c, t in shape.cases}
                self._names.enums[name] = EnumShape(name, variables, cases)
                self._names.cases.update(dict.fromkeys(cases.keys() - self._other_cases(name), name))
            else:
                self._fields(shape)
                fields = {f.text: self._elaborator.type_of(t, known) for f, t in shape.fields}
                self._names.records[name] = RecordShape(name, variables, fields)

    def _other_cases(self, name: str) -> set[str]:
        return {case for case, owner in self._names.cases.items() if owner != name}

    def _fields(self, shape: s.RecordDeclaration) -> None:
        seen: dict[str, Place] = {}
        for word, _ in shape.fields:
            if word.text in seen:
                self.report.error(
                    rules.TWICE,
                    f"`{word.text}` is a field twice",
                    word.place,
                    notes=[Note("first here", seen[word.text])],
                )
            seen[word.text] = word.place

    def _symbols(self, declarations: Iterable[s.Declaration]) -> None:
        for d in declarations:
            match d:
                case s.FunctionDeclaration():
                    _, parameters = self._elaborator.parameters(d.parameters, Scope())
                    result = BOOL if d.result is None else self._elaborator.type_of(d.result)
                    self._rigid_types(d.name, (*(t for _, t in parameters), result))
                    self._names.functions[d.name.text] = m.Function(
                        d.name.text, parameters, result, d.doc, d.name.place
                    )
                case s.ParameterDeclaration():
                    kind = self._elaborator.type_of(d.type)
                    self._rigid_types(d.name, (kind,))
                    self._names.functions[d.name.text] = m.Function(d.name.text, (), kind, d.doc, d.name.place)
                case s.VariableDeclaration():
                    role = m.Role.GHOST if d.ghost else m.Role.STATE
                    kind = self._elaborator.type_of(d.type)
                    self._names.variables[d.name.text] = m.StateVariable(
                        d.name.text, kind, role, None, d.doc, d.name.place
                    )
                case s.ClockDeclaration():
                    self._clock(d)
                case s.ActionDeclaration():
                    # Types are reported where the action is checked; here they are only looked up.
                    quiet = Elaborator(self._names, Report())
                    parameters = tuple((p.name.text, quiet.type_of(p.type)) for p in d.parameters)
                    self._names.signatures[d.name.text] = parameters
                case _:
                    pass

    def _rigid_types(self, name: s.Word, kinds: Iterable[Type]) -> None:
        for kind in kinds:
            if not self._names.shapes.is_key(kind):
                self.report.error(
                    rules.BAD_KEY,
                    f"`{name.text}` takes and gives only numbers, sorts, plain enums and records of these",
                    name.place,
                    because=f"it uses `{kind}`",
                )
            elif kind == INSTANT:
                self.report.error(
                    rules.ABSOLUTE_TIME,
                    f"`{name.text}` fixes an instant",
                    name.place,
                    because="clocks start anywhere",
                    fix="use a Duration since the start",
                )

    def _clock(self, d: s.ClockDeclaration) -> None:
        if self._all.clock:
            first = self._names.places[self._all.clock]
            self.report.error(rules.TWICE, "a second clock", d.name.place, notes=[Note("the first is here", first)])
            return
        self._all.clock = d.name.text
        start = m.Literal(type=INSTANT, place=d.place, value=0)
        self._names.variables[d.name.text] = m.StateVariable(
            d.name.text, INSTANT, m.Role.CLOCK, start, d.doc, d.name.place
        )
        if "tick" not in self._names.places:
            self._names.declare("tick", "action", d.name.place, self.report)
        self._names.signatures.setdefault("tick", (("d", DURATION),))

    # --- meanings ----------------------------------------------------------------------------------------------------

    def _definition(self, d: s.DefinitionDeclaration) -> None:
        variables = tuple(word.text for word in d.type_parameters)
        scope, parameters = self._elaborator.parameters(d.parameters, Scope(variables=frozenset(variables)))
        result = self._elaborator.type_of(d.result, frozenset(variables))
        if isinstance(result, FunctionType):
            self.report.error(rules.FUNCTION_VALUE, "a definition gives plain data", d.result.place)
        why = Note(f"`{d.name.text}` has type `{result}`", d.result.place)
        body = self._elaborator.check(d.body, result, scope, why)
        name = d.name.text
        self._names.definitions[name] = m.Definition(name, variables, parameters, result, body, d.doc, d.name.place)
        self._measured(self._measurer.define(name, body), f"`{name}`", d.place)

    def _measured(self, measure: analysis.Measure, what: str, place: Place) -> None:
        if measure.depth > analysis.MAX_DEPTH or measure.size > analysis.MAX_SIZE:
            self.report.error(
                rules.TOO_BIG,
                f"{what} grows too large when its definitions are written out",
                place,
                because=f"at most {analysis.MAX_DEPTH} levels and {analysis.MAX_SIZE} parts can be checked",
            )

    def _formula(self, syntax: s.Syntax, scope: Scope, what: str) -> m.Expression:
        formula = self._elaborator.check(syntax, BOOL, scope, Note(f"{what} is true or false"))
        self._measured(self._measurer.measure(formula), what, syntax.place)
        return formula

    def _starts(self, declarations: Iterable[s.Declaration]) -> None:
        for d in declarations:
            if not isinstance(d, s.VariableDeclaration):
                continue
            variable = self._names.variables[d.name.text]
            if isinstance(variable.type, FunctionType) or any(isinstance(t, FunctionType) for t in walk(variable.type)):
                self.report.error(rules.FUNCTION_VALUE, "a variable holds plain data", d.type.place)
            if d.initial is not None:
                why = Note(f"`{d.name.text}` has type `{variable.type}`", d.name.place)
                start = self._elaborator.check(d.initial, variable.type, Scope(starts=True), why)
                self._rigid(start, f"the start of `{d.name.text}`", d.initial.place)
                self._names.variables[d.name.text] = m.StateVariable(
                    variable.name, variable.type, variable.role, start, variable.doc, variable.place
                )
            if d.span is not None:
                self._span(d, variable.type, d.span)

    def _span(self, d: s.VariableDeclaration, kind: Type, span: tuple[s.Syntax, s.Syntax]) -> None:
        """A range is an invariant like any other: it is proved, not assumed."""
        place, name = d.place, f"{d.name.text}_in_range"
        self._names.declare(name, "invariant", d.name.place, self.report)
        held: m.Expression = m.Variable(type=kind, place=d.name.place, name=d.name.text)
        binders: list[m.Binder] = []
        while isinstance(held.type, MapType):
            if not all(self._names.shapes.is_finite(key) for key in held.type.keys):
                self.report.error(rules.INFINITE, "a range needs a map with finitely many keys", d.type.place)
                return
            fresh = [m.Binder(f"key{len(binders) + i}", key, m.AllOf(key)) for i, key in enumerate(held.type.keys, 1)]
            keys = tuple(m.Local(type=b.type, place=place, name=b.name) for b in fresh)
            held = m.Lookup(type=held.type.value, place=place, map=held, keys=keys)
            binders += fresh
        if isinstance(held.type, SetType):
            held = m.Size(type=INT, place=place, set=held)
        if held.type not in (INT, DURATION, UNKNOWN):
            self.report.error(
                rules.BAD_OPERANDS, f"a `{kind}` has no range", d.type.place, fix="ranges bound numbers and set sizes"
            )
            return
        first, last = (self._elaborator.check(end, held.type, Scope()) for end in span)
        for end, syntax in zip((first, last), span, strict=True):
            self._rigid(end, "the range of a variable", syntax.place)
        lower = m.Order(type=BOOL, place=first.place, left=first, right=held, strict=False)
        upper = m.Order(type=BOOL, place=last.place, left=held, right=last, strict=False)
        formula: m.Expression = m.And(type=BOOL, place=place, operands=(lower, upper))
        if binders:
            formula = m.Quantified(type=BOOL, place=place, universal=True, binders=tuple(binders), body=formula)
        doc = f"{d.name.text} stays in its declared range"
        self._all.formulas.append(m.Formula(m.Kind.INVARIANT, name, formula, doc, place))

    def _rigid(self, expression: m.Expression, what: str, place: Place) -> None:
        read = analysis.variables_read(expression, self._names.definitions)
        if read:
            name = min(read)
            self.report.error(
                rules.STATEFUL,
                f"{what} depends on the state",
                place,
                because=f"it reads `{name}`",
                fix="use parameters only",
                notes=[Note(f"`{name}` is a variable", self._names.places[name])],
            )

    def _meaning(self, d: s.Declaration) -> None:
        match d:
            case s.ParameterDeclaration() if d.where is not None:
                formula = self._formula(d.where, Scope(), "a `where` clause")
                self._rigid(formula, "a `where` clause", d.where.place)
                self._all.formulas.append(m.Formula(m.Kind.ASSUME, d.name.text, formula, d.doc, d.where.place))
            case s.Claim():
                self._claim(d)
            case s.ActionDeclaration():
                action = _actions.action(d, self._elaborator, self._names, self.report, self._all.clock)
                for part in (action.guard, *action.updates.values()):
                    self._measured(self._measurer.measure(part), f"the action `{action.name}`", d.name.place)
                self._ghosts(action)
                self._all.actions[action.name] = action
            case s.StepDeclaration():
                self._step(d)
            case s.ProgressDeclaration():
                self._progress(d)
            case s.LawDeclaration():
                variables = tuple(word.text for word in d.type_parameters)
                scope, parameters = self._elaborator.parameters(d.parameters, Scope(variables=frozenset(variables)))
                formula = self._formula(d.formula, scope, "a law")
                self._rigid(formula, "a law", d.formula.place)
                self._all.laws.append(m.Law(d.name.text, variables, parameters, formula, d.doc, d.name.place))
            case s.InstanceDeclaration():
                self._all.instances[d.name.text] = _instances.instance(d, self._names, self.report)
            case s.RefinementDeclaration():
                made = refinement(d, self._elaborator, self._names, self.report, self._resolve)
                if made is not None:
                    self._all.refinements.append(made)
            case _:
                pass

    def _claim(self, d: s.Claim) -> None:
        kind = m.Kind(d.kind)
        rigid = kind in (m.Kind.AXIOM, m.Kind.ASSUME)
        scope = Scope(properties=kind in (m.Kind.ALWAYS, m.Kind.REACHABLE), starts=kind is m.Kind.INIT)
        formula = self._formula(d.formula, scope, f"the {d.kind} `{d.name.text}`")
        if rigid:
            self._rigid(formula, f"the {d.kind} `{d.name.text}`", d.formula.place)
        self._all.formulas.append(m.Formula(kind, d.name.text, formula, d.doc, d.name.place))

    def _step(self, d: s.StepDeclaration) -> None:
        on: list[m.OnAction] = []
        scope = Scope(primes=True, properties=True)
        for position, mention in enumerate(d.on):
            signature = self._action_named(mention.action)
            if signature is None:
                continue
            names = self._names_of(mention, signature)
            if position == 0:
                for word, (_, kind) in zip(names, signature, strict=False):
                    scope = self._elaborator.bind(scope, word, kind)
            elif {w.text: str(t) for w, (_, t) in zip(names, signature, strict=False)} != {
                name: str(bound.type) for name, bound in scope.bound.items()
            }:
                self.report.error(
                    rules.BAD_ARGUMENTS,
                    f"`{mention.action.text}` does not bind the same names as `{d.on[0].action.text}`",
                    mention.place,
                    fix="give both the same names of the same types, or write two step properties",
                )
            on.append(m.OnAction(mention.action.text, tuple(word.text for word in names)))
        formula = self._formula(d.formula, scope, f"the step property `{d.name.text}`")
        self._all.steps.append(m.StepProperty(d.name.text, tuple(on), formula, d.doc, d.name.place))

    def _action_named(self, word: s.Word) -> tuple[tuple[str, Type], ...] | None:
        signature = self._names.signatures.get(word.text)
        if signature is None and word.text not in self._names.broken:
            unknown(self.report, rules.UNKNOWN_NAME, "action", word.text, word.place, self._names.signatures)
        return signature

    def _names_of(self, mention: s.Mention, signature: tuple[tuple[str, Type], ...]) -> tuple[s.Word, ...]:
        """The names that a mention gives to the arguments of an action."""
        arguments = mention.arguments or ()
        words = tuple(s.Word(a.name, a.place) for a in arguments if isinstance(a, s.Name))
        if len(words) != len(arguments) or (words and len(words) != len(signature)):
            shown = ", ".join(name for name, _ in signature)
            self.report.error(
                rules.BAD_ARGUMENTS,
                f"names are needed for the arguments of `{mention.action.text}`",
                mention.place,
                fix=f"write `{mention.action.text}({shown})`",
            )
        return words

    def _progress(self, d: s.ProgressDeclaration) -> None:
        scope, parameters = self._elaborator.parameters(d.parameters, Scope(properties=True))
        for name, kind in parameters:
            if not self._names.shapes.is_key(kind):
                self.report.error(
                    rules.BAD_KEY,
                    f"`{name}` has type `{kind}`, of which progress cannot speak",
                    d.name.place,
                    because="its parameters are numbers, `Bool`, sorts, enums without content, and records of these",
                )
        premise = self._formula(d.premise, scope, "the premise of progress")
        goal = self._formula(d.goal, scope, "the goal of progress")
        argument: m.Ranking | m.Chain
        if d.chain:
            argument = m.Chain(tuple(word.text for word in d.chain))
            known = [p.name for p in self._all.progress]
            for word in d.chain:
                if word.text not in known:
                    unknown(self.report, rules.UNKNOWN_NAME, "progress property above", word.text, word.place, known)
        else:
            ranks = tuple(self._rank(rank, scope) for rank in d.ranks)
            via = premise if d.via is None else self._formula(d.via, scope, "what holds until the goal")
            argument = m.Ranking(ranks, tuple(h for h in (self._helpful(x, scope) for x in d.helpful) if h), via)
        self._all.progress.append(m.Progress(d.name.text, parameters, premise, goal, argument, d.doc, d.name.place))

    def _rank(self, syntax: s.Syntax, scope: Scope) -> m.Expression:
        rank = self._elaborator.settled(syntax, scope)
        if rank.type not in (INT, DURATION, UNKNOWN):
            self.report.error(
                rules.MISMATCH,
                f"a rank is a number or a duration, and this has type `{rank.type}`",
                syntax.place,
                because="a rank must not fall for ever: whole numbers from 0 cannot",
            )
        self._measured(self._measurer.measure(rank), "the rank", syntax.place)
        return rank

    def _helpful(self, syntax: s.Help, scope: Scope) -> m.Helpful | None:
        mention = syntax.mention
        signature = self._action_named(mention.action)
        if signature is None:
            return None
        condition: m.Expression = m.Literal(type=BOOL, place=mention.place, value=True)
        if syntax.condition is not None:
            condition = self._formula(syntax.condition, scope, "when an action helps")
        if mention.arguments is None:
            return m.Helpful(mention.action.text, None if signature else (), condition)
        if len(mention.arguments) != len(signature):
            self.report.error(
                rules.BAD_ARGUMENTS,
                f"`{mention.action.text}` takes {len(signature)} arguments, not {len(mention.arguments)}",
                mention.place,
            )
            return None
        arguments = tuple(
            self._elaborator.check(argument, kind, scope)
            for argument, (_, kind) in zip(mention.arguments, signature, strict=True)
        )
        return m.Helpful(mention.action.text, arguments, condition)

    def _ghosts(self, action: m.Action) -> None:
        ghosts = {name for name, variable in self._names.variables.items() if variable.role is m.Role.GHOST}
        places = self._names.places
        real = {"its guard": action.guard} | {f"`{n}`": u for n, u in action.updates.items() if n not in ghosts}
        for what, expression in real.items():
            leak = min(analysis.variables_read(expression, self._names.definitions) & ghosts, default=None)
            if leak:
                self.report.error(
                    rules.GHOST_LEAK,
                    f"in `{action.name}`, {what} depends on the ghost `{leak}`",
                    next(
                        (p.place for p in m.walk(expression) if isinstance(p, m.Variable) and p.name == leak),
                        action.place,
                    ),
                    because="ghosts exist for proofs only and are not there when the machine runs",
                    fix="make it a `var`, or use real state here",
                    notes=[Note(f"`{leak}` is declared here", places[leak])],
                )

    def _clock_steps(self) -> None:
        """A clock brings the action `tick` and the promise that it never goes back."""
        clock = self._all.clock
        if not clock:
            return
        place = self._names.places[clock]
        now = m.Variable(type=INSTANT, place=place, name=clock)
        if "tick" not in self._all.actions and "tick" not in self._names.broken:
            d = m.Local(type=DURATION, place=place, name="d")
            zero = m.Literal(type=DURATION, place=place, value=0)
            guard = m.Order(type=BOOL, place=place, left=zero, right=d, strict=True)
            later = m.Arithmetic(type=INSTANT, place=place, operator="+", left=now, right=d)
            self._all.actions["tick"] = m.Action(
                "tick", (("d", DURATION),), m.Fairness.WEAK, True, guard, {clock: later}, "time passes", place
            )
        after = m.After(type=INSTANT, place=place, operand=now)
        forwards = m.Order(type=BOOL, place=place, left=now, right=after, strict=False)
        name = f"{clock}_never_goes_back"
        self._names.declare(name, "step property", place, self.report)
        self._all.steps.append(m.StepProperty(name, (), forwards, "time only passes", place))

    def _unused(self, declarations: Iterable[s.Declaration]) -> None:
        if self.report.has_errors or self._names.broken:
            return
        used: set[str] = set()
        for expression in self._expressions():
            used |= analysis.names_used(expression)
        for d in declarations:
            name = getattr(d, "name", None)
            if isinstance(
                d, s.ParameterDeclaration | s.FunctionDeclaration | s.VariableDeclaration | s.DefinitionDeclaration
            ):
                assert isinstance(name, s.Word)
                if name.text not in used:
                    kind = _KINDS[type(d)]
                    self.report.warning(
                        rules.UNUSED, f"the {kind} `{name.text}` is never read", name.place, "use it or remove it"
                    )

    def _expressions(self) -> Iterable[m.Expression]:
        every = self._all
        yield from (d.body for d in self._names.definitions.values())
        yield from (v.initial for v in self._names.variables.values() if v.initial is not None)
        yield from (f.formula for f in every.formulas)
        yield from (step.formula for step in every.steps)
        yield from (law.formula for law in every.laws)
        for action in every.actions.values():
            yield action.guard
            yield from action.updates.values()
        for progress in every.progress:
            yield from (progress.premise, progress.goal)
            if isinstance(progress.argument, m.Ranking):
                yield from (*progress.argument.ranks, progress.argument.via)
                yield from (a for h in progress.argument.helpful for a in (h.condition, *(h.arguments or ())))
        for refined in every.refinements:
            yield from (*refined.parameters.values(), *refined.variables.values())
            for mapped in refined.actions:
                yield from (*mapped.arguments, mapped.condition)

    def _specification(self) -> m.Specification:
        every, names, header = self._all, self._names, self._file.header
        return m.Specification(
            name=header.name.text,
            path=self._file.path,
            is_machine=header.kind == "machine",
            doc=header.doc,
            shapes=names.shapes,
            sorts=tuple(names.sorts),
            functions=names.functions,
            definitions=names.definitions,
            variables=names.variables,
            actions=every.actions,
            formulas=tuple(every.formulas),
            steps=tuple(every.steps),
            progress=tuple(every.progress),
            laws=tuple(every.laws),
            instances=every.instances,
            refinements=tuple(every.refinements),
            place=header.place,
            text=self._file.text,
        )
