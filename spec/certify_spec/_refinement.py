"""Refinements: how this machine's state and actions appear as those of a more abstract one."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from certify_spec import model as m
from certify_spec import rules
from certify_spec import syntax as s
from certify_spec._expressions import Elaborator
from certify_spec._scope import Globals, Report, Scope, unknown
from certify_spec.datatypes import BOOL, EnumType, RecordType, SortType, Type, fits, walk
from certify_spec.diagnostics import Note

Resolve = Callable[[str], m.Specification | None]


def refinement(
    declaration: s.RefinementDeclaration, elaborator: Elaborator, names: Globals, report: Report, resolve: Resolve
) -> m.Refinement | None:
    """The meaning of a refinement, or None after a report."""
    abstract = resolve(declaration.source.text)
    if abstract is None or not abstract.is_machine or abstract.name != declaration.abstract.text:
        found = "nothing checked" if abstract is None else f"`{abstract.name}`"
        report.error(
            rules.BAD_REFINEMENT,
            f'"{declaration.source.text}" holds {found}, not the machine `{declaration.abstract.text}`',
            declaration.source.place,
            fix="give the path of the machine's file, relative to this one, and correct that file first",
        )
        return None
    made = _Refinement(declaration, elaborator, names, report, abstract)
    parameters = made.parts("parameter", declaration.parameters, _signature(abstract))
    variables = made.parts("variable", declaration.variables, {n: v.type for n, v in abstract.variables.items()})
    actions = made.actions()
    return m.Refinement(abstract, parameters, variables, actions, declaration.place)


def _signature(abstract: m.Specification) -> dict[str, Type]:
    return {name: function.result for name, function in abstract.functions.items()}


class _Refinement:
    """One refinement in the making."""

    def __init__(
        self,
        declaration: s.RefinementDeclaration,
        elaborator: Elaborator,
        names: Globals,
        report: Report,
        abstract: m.Specification,
    ) -> None:
        self._declaration = declaration
        self._elaborator = elaborator
        self._names = names
        self._report = report
        self._abstract = abstract

    def parts(
        self, what: str, given: Iterable[tuple[s.Word, s.Syntax]], wanted: dict[str, Type]
    ) -> dict[str, m.Expression]:
        """What each parameter, or each variable, of the abstract machine is here."""
        made: dict[str, m.Expression] = {}
        for word, syntax in given:
            if word.text not in wanted:
                unknown(self._report, rules.UNKNOWN_NAME, f"abstract {what}", word.text, word.place, wanted)
            elif word.text in made:
                self._report.error(rules.TWICE, f"`{word.text}` is given twice", word.place)
            else:
                kind = wanted[word.text]
                self._known_here(kind, word)
                why = Note(f"the abstract `{word.text}` is a `{kind}`")
                made[word.text] = self._elaborator.check(syntax, kind, Scope(), why)
        for name in wanted.keys() - made.keys():
            same = self._same(name, wanted[name])
            if same is None:
                self._report.error(
                    rules.BAD_REFINEMENT,
                    f"nothing says what the abstract {what} `{name}` is here",
                    self._declaration.place,
                    fix=f"write `{'param' if what == 'parameter' else 'var'} {name} = …`",
                )
            else:
                made[name] = same
        return made

    def _same(self, name: str, kind: Type) -> m.Expression | None:
        """The concrete variable or parameter of the same name and type."""
        place = self._declaration.place
        if name in self._names.variables and fits(self._names.variables[name].type, kind):
            return m.Variable(type=kind, place=place, name=name)
        function = self._names.functions.get(name)
        if function is not None and not function.parameters and fits(function.result, kind):
            return m.Applied(type=kind, place=place, name=name)
        return None

    def _known_here(self, kind: Type, word: s.Word) -> None:
        shapes = self._abstract.shapes
        for part in walk(kind):
            match part:
                case SortType(name=name):
                    same = name in self._names.sorts
                case EnumType(name=name):
                    same = self._names.enums.get(name) == shapes.enums[name]
                case RecordType(name=name):
                    same = self._names.records.get(name) == shapes.records[name]
                case _:
                    continue
            if not same:
                self._report.error(
                    rules.BAD_REFINEMENT,
                    f"the abstract `{word.text}` has type `{kind}`, and `{name}` is not declared alike here",
                    word.place,
                    fix=f"declare `{name}` here as it is there",
                )

    def actions(self) -> tuple[m.MappedAction, ...]:
        """What each concrete action is in the abstract machine."""
        made: list[m.MappedAction] = []
        for mapping in self._declaration.actions:
            mapped = self._action(mapping)
            if mapped is not None:
                made.append(mapped)
        clocks = "tick" in self._names.signatures and "tick" in self._abstract.actions
        if clocks and all(mapped.concrete != "tick" for mapped in made):
            made.append(self._tick())
        return tuple(made)

    def _tick(self) -> m.MappedAction:
        place = self._declaration.place
        signature = self._names.signatures["tick"]
        names = tuple(name for name, _ in signature)
        arguments = tuple(m.Local(type=kind, place=place, name=name) for name, kind in signature)
        always = m.Literal(type=BOOL, place=place, value=True)
        return m.MappedAction("tick", names, "tick", arguments, always)

    def _action(self, mapping: s.ActionMapping) -> m.MappedAction | None:
        concrete, abstract = mapping.concrete.action, mapping.abstract.action
        signature = self._names.signatures.get(concrete.text)
        target = self._abstract.actions.get(abstract.text)
        if signature is None:
            unknown(self._report, rules.UNKNOWN_NAME, "action", concrete.text, concrete.place, self._names.signatures)
            return None
        if target is None:
            known = self._abstract.actions
            unknown(self._report, rules.UNKNOWN_NAME, "abstract action", abstract.text, abstract.place, known)
            return None
        given = mapping.concrete.arguments or ()
        names = [s.Word(a.name, a.place) for a in given if isinstance(a, s.Name)]
        wanted = mapping.abstract.arguments or ()
        if len(names) != len(signature) or len(given) != len(signature) or len(wanted) != len(target.parameters):
            self._report.error(
                rules.BAD_ARGUMENTS,
                f"`{concrete.text}` takes {len(signature)} names, `{abstract.text}` {len(target.parameters)} arguments",
                mapping.concrete.place,
            )
            return None
        scope = Scope()
        for word, (_, kind) in zip(names, signature, strict=True):
            scope = self._elaborator.bind(scope, word, kind)
        arguments = tuple(
            self._elaborator.check(argument, kind, scope)
            for argument, (_, kind) in zip(wanted, target.parameters, strict=True)
        )
        condition: m.Expression = m.Literal(type=BOOL, place=self._declaration.place, value=True)
        if mapping.condition is not None:
            condition = self._elaborator.check(mapping.condition, BOOL, scope)
        return m.MappedAction(concrete.text, tuple(word.text for word in names), abstract.text, arguments, condition)
