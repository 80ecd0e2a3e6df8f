"""Actions: from statements to one simultaneous update per variable.

Rules this module keeps:

- every right-hand side reads the state before the step, whatever the order of the statements;
- a variable is assigned once on every path, as a whole or in parts, not both;
- only `tick` moves the clock, and only forwards by a duration.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from certify_spec import model as m
from certify_spec import rules
from certify_spec import syntax as s
from certify_spec._expressions import Elaborator
from certify_spec._scope import Bound, Globals, Report, Scope, unknown, with_article
from certify_spec.datatypes import BOOL, DURATION, MapType, Type
from certify_spec.diagnostics import Note, Place

MAX_STATEMENTS = 500
"""More statements in one action are refused; they would make a step that no reader can hold."""


@dataclass(slots=True)
class _Paths:
    """What has been assigned so far on one path: new values, and where each variable was assigned whole or in part."""

    values: dict[str, m.Expression] = field(default_factory=dict)
    whole: dict[str, Place] = field(default_factory=dict)
    parts: dict[str, Place] = field(default_factory=dict)

    def copy(self) -> _Paths:
        return _Paths(dict(self.values), dict(self.whole), dict(self.parts))


def action(
    declaration: s.ActionDeclaration, elaborator: Elaborator, names: Globals, report: Report, clock: str
) -> m.Action:
    """The meaning of an action's declaration."""
    scope, parameters = elaborator.parameters(declaration.parameters, Scope())
    guard: m.Expression = m.Literal(type=BOOL, place=declaration.place, value=True)
    if declaration.guard is not None:
        guard = elaborator.check(declaration.guard, BOOL, scope, Note("a guard is true or false"))
    paths = _Paths()
    if _count(declaration.body) > MAX_STATEMENTS:
        report.error(
            rules.TOO_BIG, f"`{declaration.name.text}` has more than {MAX_STATEMENTS} statements", declaration.place
        )
    else:
        _Statements(elaborator, names, report).run(declaration.body, scope, paths)
    _check_clock(declaration, paths, parameters, clock, report)
    words = {word.text for word in declaration.modifiers}
    if "strong" in words and "fair" not in words:
        report.error(rules.WRONG_KIND, "`strong` needs `fair` beside it", declaration.place, fix="write `strong fair`")
    fairness = m.Fairness.STRONG if "strong" in words else m.Fairness.WEAK if "fair" in words else m.Fairness.NONE
    return m.Action(
        declaration.name.text,
        parameters,
        fairness,
        "environment" in words,
        guard,
        paths.values,
        declaration.doc,
        declaration.name.place,
    )


def _count(statements: Sequence[s.Statement]) -> int:
    total, waiting = 0, list(statements)
    while waiting:
        statement = waiting.pop()
        total += 1
        if isinstance(statement, s.Branch):
            waiting += [*statement.then, *statement.otherwise]
    return total


def _check_clock(
    declaration: s.ActionDeclaration,
    paths: _Paths,
    parameters: tuple[tuple[str, Type], ...],
    clock: str,
    report: Report,
) -> None:
    if not clock:
        return
    if declaration.name.text != "tick":
        if clock in paths.values:
            report.error(
                rules.CLOCK,
                f"`{declaration.name.text}` sets the clock `{clock}`",
                paths.whole.get(clock, declaration.place),
                because="time passes by itself",
                fix="declare an action `tick(d : Duration)` of your own if its guard shall say more",
            )
        return
    durations = [name for name, kind in parameters if kind == DURATION]
    match paths.values.get(clock):
        case m.Arithmetic(operator="+", left=m.Variable(name=name), right=m.Local(name=by)) if (
            name == clock and by in durations
        ):
            return
        case _:
            report.error(
                rules.CLOCK,
                f"`tick` does not move the clock `{clock}` on by a duration",
                declaration.place,
                fix=f"write `action tick(d : Duration) when d > 0 and … {{ {clock} := {clock} + d }}`",
            )


class _Statements:
    """Runs statements symbolically: values are expressions over the state before."""

    def __init__(self, elaborator: Elaborator, names: Globals, report: Report) -> None:
        self._elaborator = elaborator
        self._names = names
        self._report = report

    def run(self, statements: Sequence[s.Statement], scope: Scope, paths: _Paths) -> None:
        for statement in statements:
            match statement:
                case s.Let(name, value):
                    meaning = self._elaborator.settled(value, scope)
                    self._elaborator.bind(scope, name, meaning.type)
                    scope = scope.binding(name.text, Bound(meaning.type, name.place, meaning))
                case s.Assignment():
                    self._assign(statement, scope, paths)
                case s.Branch():
                    self._branch(statement, scope, paths)

    def _assign(self, statement: s.Assignment, scope: Scope, paths: _Paths) -> None:
        name, place = statement.variable.text, statement.variable.place
        variable = self._names.variables.get(name)
        if variable is None:
            self._not_a_variable(statement.variable, scope)
            return
        self._check_once(statement, paths)
        before: m.Expression = m.Variable(type=variable.type, place=place, name=name)
        current = paths.values.get(name, before)
        note = Note(f"`{name}` has type `{variable.type}`", variable.place)
        paths.values[name] = self._changed(current, statement.path, statement.value, scope, note, place)

    def _not_a_variable(self, word: s.Word, scope: Scope) -> None:
        kind = "bound name" if word.text in scope.bound else self._names.kinds.get(word.text)
        if kind is None:
            if word.text not in self._names.broken:
                unknown(self._report, rules.UNKNOWN_NAME, "variable", word.text, word.place, self._names.variables)
            return
        self._report.error(
            rules.NOT_ASSIGNABLE,
            f"`{word.text}` is {with_article(kind)} and cannot be assigned",
            word.place,
            fix="only what is declared with `var` changes",
        )

    def _check_once(self, statement: s.Assignment, paths: _Paths) -> None:
        name, place = statement.variable.text, statement.variable.place
        earlier = paths.whole.get(name) or (None if statement.path else paths.parts.get(name))
        if earlier is not None:
            self._report.error(
                rules.ASSIGNED_TWICE,
                f"`{name}` is assigned twice",
                place,
                because="updates are simultaneous, so neither comes first",
                fix="put both into one value, or into the two arms of an `if`",
                notes=[Note("the other assignment is here", earlier)],
            )
        (paths.parts if statement.path else paths.whole)[name] = place

    def _changed(
        self,
        current: m.Expression,
        path: Sequence[tuple[s.Syntax, ...] | s.Word],
        value: s.Syntax,
        scope: Scope,
        note: Note,
        place: Place,
    ) -> m.Expression:
        """The value `current` with the part at `path` replaced."""
        if not path:
            return self._elaborator.check(value, current.type, scope, note)
        first, rest = path[0], path[1:]
        if isinstance(first, s.Word):
            kind = self._elaborator.field_type(current.type, first)
            inner: m.Expression = m.Field(type=kind, place=place, record=current, field=first.text)
            changed = self._changed(inner, rest, value, scope, note, place)
            if isinstance(current, m.Amended):
                kept = tuple(change for change in current.changes if change[0] != first.text)
                return replace(current, changes=(*kept, (first.text, changed)))
            return m.Amended(type=current.type, place=place, record=current, changes=((first.text, changed),))
        if not isinstance(current.type, MapType):
            self._report.error(
                rules.BAD_ARGUMENTS, f"only maps are indexed, and this has type `{current.type}`", place, notes=[note]
            )
            return current
        keys = self._elaborator.keys(current, first, place, scope)
        inner = m.Lookup(type=current.type.value, place=place, map=current, keys=keys)
        entry = (keys, self._changed(inner, rest, value, scope, note, place))
        if isinstance(current, m.Stored):
            return replace(current, entries=(*current.entries, entry))
        return m.Stored(type=current.type, place=place, map=current, entries=(entry,))

    def _branch(self, statement: s.Branch, scope: Scope, paths: _Paths) -> None:
        condition = self._elaborator.check(statement.condition, BOOL, scope)
        then, otherwise = paths.copy(), paths.copy()
        self.run(statement.then, scope, then)
        self.run(statement.otherwise, scope, otherwise)
        changed = [n for n in {**then.values, **otherwise.values} if _differs(n, then, otherwise, paths)]
        for name in changed:
            variable = self._names.variables[name]
            same: m.Expression = m.Variable(type=variable.type, place=statement.place, name=name)
            paths.values[name] = m.If(
                type=variable.type,
                place=statement.place,
                condition=condition,
                then=then.values.get(name, same),
                otherwise=otherwise.values.get(name, same),
            )
        paths.whole.update({**then.whole, **otherwise.whole})
        paths.parts.update({**then.parts, **otherwise.parts})


def _differs(name: str, then: _Paths, otherwise: _Paths, before: _Paths) -> bool:
    known: Mapping[str, m.Expression] = before.values
    return then.values.get(name) is not known.get(name) or otherwise.values.get(name) is not known.get(name)
