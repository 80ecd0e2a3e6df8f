"""Expressions: from syntax to typed meaning.

Rules this module keeps:

- a mistake is reported where it is made, once; what depends on it has the type Unknown and is not reported again;
- the type of a literal, of `none`, `empty` and `all e` comes from where the value goes;
- an absolute clock reading cannot decide anything: no operator takes an Instant and gives anything but a difference.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final, assert_never

from certify_spec import model as m
from certify_spec import rules
from certify_spec import syntax as s
from certify_spec._scope import BUILTINS, SCALARS, Bound, Globals, Report, Scope, nearest, unknown, with_article
from certify_spec.datatypes import (
    BOOL,
    DURATION,
    INSTANT,
    INT,
    NUMBER,
    UNKNOWN,
    EnumType,
    FunctionType,
    MapType,
    RecordType,
    Scalar,
    SetType,
    SortType,
    Type,
    Unknown,
    bind,
    fits,
    option,
    substitute,
    variables_of,
)
from certify_spec.diagnostics import Note, Place

_QUANTITIES: Final = (INT, DURATION, INSTANT)
_RESULTS: Final[dict[tuple[str, Scalar, Scalar], Scalar]] = {
    ("+", INT, INT): INT,
    ("+", DURATION, DURATION): DURATION,
    ("+", INSTANT, DURATION): INSTANT,
    ("+", DURATION, INSTANT): INSTANT,
    ("-", INT, INT): INT,
    ("-", DURATION, DURATION): DURATION,
    ("-", INSTANT, DURATION): INSTANT,
    ("-", INSTANT, INSTANT): DURATION,
    ("*", INT, INT): INT,
    ("*", INT, DURATION): DURATION,
    ("*", DURATION, INT): DURATION,
    ("div", INT, INT): INT,
    ("div", DURATION, INT): DURATION,
    ("div", DURATION, DURATION): INT,
    ("mod", INT, INT): INT,
    ("mod", DURATION, DURATION): DURATION,
}
"""Which arithmetic has a meaning. There is none that makes a number or a duration of one instant."""


class Elaborator:
    """Gives expressions their meaning, against the names of one file."""

    def __init__(self, names: Globals, report: Report) -> None:
        self._names = names
        self._report = report

    # --- types -------------------------------------------------------------------------------------------------------

    def type_of(self, syntax: s.TypeSyntax, variables: frozenset[str] = frozenset()) -> Type:
        """The type that is written, Unknown after a report."""
        if isinstance(syntax, s.Arrow):
            parameters = tuple(self.type_of(p, variables) for p in syntax.parameters)
            return FunctionType(parameters, self.type_of(syntax.result, variables))
        name = syntax.name.text
        arguments = tuple(self.type_of(argument, variables) for argument in syntax.arguments)
        value = None if syntax.value is None else self.type_of(syntax.value, variables)
        if name == "Map" and arguments and value is not None:
            return MapType(tuple(self._key(a, t) for a, t in zip(arguments, syntax.arguments, strict=True)), value)
        if name == "Set" and len(arguments) == 1 and value is None:
            return SetType(self._key(arguments[0], syntax.arguments[0]))
        if value is not None or name in ("Map", "Set"):
            self._report.error(
                rules.BAD_ARGUMENTS,
                f"`{name}` is not applied as a type",
                syntax.place,
                fix="write `Map[Key -> Value]`, `Map[A, B -> Value]` or `Set[Element]`",
            )
            return UNKNOWN
        return self._named_type(syntax, arguments, variables)

    def _named_type(self, syntax: s.TypeName, arguments: tuple[Type, ...], variables: frozenset[str]) -> Type:
        name, names = syntax.name.text, self._names
        wanted = 0
        result: Type
        if name in variables:
            result = SortType(name, variable=True)
        elif name in SCALARS:
            result = SCALARS[name]
        elif name in names.sorts:
            result = SortType(name)
        elif name in names.enums:
            result, wanted = EnumType(name, arguments), len(names.enums[name].variables)
        elif name in names.records:
            result, wanted = RecordType(name, arguments), len(names.records[name].variables)
        else:
            if name not in names.broken:
                known = [*variables, *SCALARS, *names.sorts, *names.enums, *names.records, "Map", "Set"]
                unknown(self._report, rules.UNKNOWN_TYPE, "type", name, syntax.name.place, known)
            return UNKNOWN
        if len(arguments) != wanted:
            self._report.error(
                rules.BAD_ARGUMENTS, f"`{name}` takes {_counted(wanted, 'type')}, not {len(arguments)}", syntax.place
            )
            return UNKNOWN
        return result

    def _key(self, kind: Type, syntax: s.TypeName) -> Type:
        if self._names.shapes.is_key(kind):
            return kind
        self._report.error(
            rules.BAD_KEY,
            f"`{kind}` cannot be a key or an element",
            syntax.place,
            because="keys are compared: they are numbers, sorts, plain enums, or records of these",
            fix="use several keys, `Map[A, B -> V]`, or a sort",
        )
        return UNKNOWN

    # --- the two directions ------------------------------------------------------------------------------------------

    def check(self, syntax: s.Syntax, wanted: Type, scope: Scope, why: Note | None = None) -> m.Expression:
        """The expression, of the type wanted; `why` says where that type comes from."""
        found = self.infer(syntax, scope, wanted)
        if found.type == NUMBER:
            if wanted in _QUANTITIES:
                return self._coerced(found, wanted, scope)
            found = _settled(found)
        if not fits(wanted, found.type):
            self._mismatch(found, wanted, syntax.place, why)
            return replace(found, type=UNKNOWN)
        return found

    def settled(self, syntax: s.Syntax, scope: Scope) -> m.Expression:
        """The expression, of whatever type it has; a bare number is an Int."""
        return _settled(self.infer(syntax, scope, None))

    def infer(self, syntax: s.Syntax, scope: Scope, hint: Type | None) -> m.Expression:
        """The expression; `hint` is the type of the place where its value goes, if that is known."""
        place = syntax.place
        match syntax:
            case s.Number(value):
                return m.Literal(type=NUMBER, place=place, value=value)
            case s.Truth(value):
                return m.Literal(type=BOOL, place=place, value=value)
            case s.Name(name):
                return self._name(name, place, scope, hint)
            case s.Unary("not", operand):
                return m.Not(type=BOOL, place=place, operand=self.check(operand, BOOL, scope))
            case s.Unary(_, operand):
                return self._negative(operand, scope, place)
            case s.Connective(operator, operands):
                parts = tuple(self.check(operand, BOOL, scope) for operand in operands)
                made = m.And if operator == "and" else m.Or
                return made(type=BOOL, place=place, operands=parts)
            case s.Binary():
                return self._binary(syntax, scope, hint)
            case s.Comparison():
                return self._comparison(syntax, scope)
            case s.CaseTest(value, case):
                tested = self.settled(value, scope)
                self._case_of(tested.type, case)
                return m.IsCase(type=BOOL, place=place, value=tested, case=case.text)
            case s.Application():
                return self._application(syntax, scope, hint)
            case s.Indexed(indexed, keys):
                return self._lookup(self.settled(indexed, scope), keys, place, scope)
            case s.Selected(record, field):
                return self._selected(record, field, place, scope)
            case s.Primed(operand):
                return self._primed(operand, place, scope, hint)
            case s.Amended():
                return self._amended(syntax, scope, hint)
            case s.Comprehension(binders, body):
                return self._tabulated(binders, body, place, scope, hint)
            case s.Everywhere(value):
                return self._everywhere(value, place, scope, hint)
            case s.Quantified(universal, binders, body):
                bound, inner = self.binders(binders, scope)
                formula = self.check(body, BOOL, inner)
                return m.Quantified(type=BOOL, place=place, universal=universal, binders=bound, body=formula)
            case s.Conditional(condition, then, otherwise):
                test = self.check(condition, BOOL, scope)
                first, second = self._pair(then, otherwise, scope, scope, hint)
                return m.If(type=first.type, place=place, condition=test, then=first, otherwise=second)
            case s.Match():
                return self._matched(syntax, scope, hint)
            case s.Lambda():
                return self._lambda(syntax, scope)
            case _:
                assert_never(syntax)

    def _pair(
        self, left: s.Syntax, right: s.Syntax, left_scope: Scope, right_scope: Scope, hint: Type | None = None
    ) -> tuple[m.Expression, m.Expression]:
        """Two expressions that must have the same type, the clearer one first."""
        if self._needs_hint(left) and not self._needs_hint(right) and hint is None:
            second = self.infer(right, right_scope, hint)
            first = self.infer(left, left_scope, _useful(second.type))
        else:
            first = self.infer(left, left_scope, hint)
            second = self.infer(right, right_scope, _useful(first.type) or hint)
        if first.type == NUMBER and second.type in _QUANTITIES:
            first = self._coerced(first, second.type, left_scope)
        elif second.type == NUMBER and first.type in _QUANTITIES:
            second = self._coerced(second, first.type, right_scope)
        if not fits(first.type, second.type):
            self._mismatch(second, first.type, right.place, _declared_at(first, self._names, left_scope))
        return first, second

    def _needs_hint(self, syntax: s.Syntax) -> bool:
        match syntax:
            case s.Name(name) | s.Application(s.Name(name), _):
                return (
                    name == "empty" or bool(self._names.enums[self._names.cases[name]].variables)
                    if (name == "empty" or name in self._names.cases)
                    else False
                )
            case s.Everywhere():
                return True
            case s.Conditional(_, then, otherwise):
                return self._needs_hint(then) and self._needs_hint(otherwise)
            case _:
                return False

    # --- names and calls ---------------------------------------------------------------------------------------------

    def _name(self, name: str, place: Place, scope: Scope, hint: Type | None) -> m.Expression:
        names = self._names
        if name in scope.bound:
            bound = scope.bound[name]
            return bound.meaning or m.Local(type=bound.type, place=place, name=name)
        if name in names.variables:
            return m.Variable(type=names.variables[name].type, place=place, name=name)
        if name in names.functions:
            function = names.functions[name]
            if function.parameters:
                return self._misused(name, f"`{name}` takes arguments", f"write `{name}(…)`", place)
            return m.Applied(type=function.result, place=place, name=name)
        if name in names.cases:
            return self._case(name, None, place, scope, hint)
        if name == "empty":
            if isinstance(hint, SetType):
                return m.Empty(type=hint, place=place)
            if hint is None or isinstance(hint, Unknown):
                return self._unclear("the elements of `empty`", place)
            return m.Empty(type=SetType(UNKNOWN), place=place)
        if name in names.definitions:
            definition = names.definitions[name]
            if definition.parameters:
                return self._misused(name, f"`{name}` takes arguments", f"write `{name}(…)`", place)
            return m.Invoked(type=definition.result, place=place, definition=name, arguments=())
        return self._unknown_name(name, place, scope)

    def _unknown_name(self, name: str, place: Place, scope: Scope) -> m.Expression:
        names = self._names
        if name in BUILTINS:
            return self._misused(name, f"`{name}` takes arguments", f"write `{name}(…)`", place)
        kind = names.kinds.get(name)
        if kind == "definition":
            self._report.error(
                rules.TOO_EARLY,
                f"`{name}` is used above its definition",
                place,
                because="definitions use only definitions above them, so none can go round in a circle",
                fix="move the definition up",
                notes=[Note("it is defined here", names.places[name])],
            )
        elif kind:
            fix = f"`enabled({name})` says whether it can happen" if kind == "action" else ""
            self._report.error(
                rules.WRONG_KIND,
                f"`{name}` is {with_article(kind)}, not a value",
                place,
                fix=fix,
                notes=[Note("it is declared here", names.places[name])],
            )
        elif name not in names.broken:
            values = [*scope.bound, *names.variables, *names.functions, *names.cases, *names.definitions, *BUILTINS]
            values += names.sorts  # a binder may range over one
            unknown(self._report, rules.UNKNOWN_NAME, "name", name, place, values)
        return _nothing(place)

    def _misused(self, name: str, message: str, fix: str, place: Place) -> m.Expression:
        declared = self._names.places.get(name)
        notes = [Note("it is declared here", declared)] if declared else []
        self._report.error(rules.BAD_ARGUMENTS, message, place, fix=fix, notes=notes)
        return _nothing(place)

    def _case(self, name: str, content: s.Syntax | None, place: Place, scope: Scope, hint: Type | None) -> m.Expression:
        shape = self._names.enums[self._names.cases[name]]
        held = shape.cases[name]
        if (held is None) != (content is None):
            problem = "holds nothing" if held is None else f"holds a value of type `{held}`"
            fix = f"write `{name}`" if held is None else f"write `{name}(…)`"
            return self._misused(shape.name, f"the case `{name}` {problem}", fix, place)
        bound: dict[str, Type] = {}
        if isinstance(hint, EnumType) and hint.name == shape.name:
            bound = dict(zip(shape.variables, hint.arguments, strict=True))
        inside = None
        if content is not None and held is not None:
            if variables_of(held) <= bound.keys():
                inside = self.check(content, substitute(held, bound), scope)
            else:
                inside = self.settled(content, scope)
                bind(held, inside.type, frozenset(shape.variables), bound)
        missing = [variable for variable in shape.variables if variable not in bound]
        if missing:
            return self._unclear(f"which `{shape.name}` this `{name}` is", place)
        kind = EnumType(shape.name, tuple(bound[variable] for variable in shape.variables))
        return m.Case(type=kind, place=place, case=name, content=inside)

    def _unclear(self, what: str, place: Place) -> m.Expression:
        self._report.error(
            rules.UNCLEAR,
            f"nothing tells {what}",
            place,
            fix="compare it with, or pass it to, something of a known type",
        )
        return _nothing(place)

    def _application(self, syntax: s.Application, scope: Scope, hint: Type | None) -> m.Expression:
        place = syntax.place
        if not isinstance(syntax.function, s.Name):
            self._report.error(rules.BAD_ARGUMENTS, "only names can be applied to arguments", place)
            return _nothing(place)
        name, names = syntax.function.name, self._names
        if name in names.records and name not in scope.bound:
            return self._record(name, syntax, scope, hint)
        named = next((a.name for a in syntax.arguments if a.name), None)
        if named:
            self._report.error(
                rules.BAD_ARGUMENTS,
                f"`{name}` takes its arguments by position",
                named.place,
                fix="leave the name away; `=` names the fields of a record, `==` compares",
            )
        values = [argument.value for argument in syntax.arguments]
        if name in scope.bound:
            return self._call_local(name, values, place, scope)
        if name in names.functions:
            function = names.functions[name]
            arguments = self._arguments(name, function.parameters, values, place, scope)
            return m.Applied(type=function.result, place=place, name=name, arguments=arguments)
        if name in names.definitions:
            return self._call_definition(names.definitions[name], values, place, scope, hint)
        if name in names.cases:
            if len(values) != 1:
                return self._misused(name, f"the case `{name}` holds one value", "put several into a record", place)
            return self._case(name, values[0], place, scope, hint)
        if name in BUILTINS and name != "empty":
            return self._builtin(name, values, place, scope, hint)
        return self._unknown_name(name, syntax.function.place, scope)

    def _call_local(self, name: str, values: Sequence[s.Syntax], place: Place, scope: Scope) -> m.Expression:
        kind = scope.bound[name].type
        if not isinstance(kind, FunctionType):
            if not isinstance(kind, Unknown):
                self._report.error(rules.BAD_ARGUMENTS, f"`{name}` is no function but of type `{kind}`", place)
            return _nothing(place)
        parameters = tuple((f"argument {i}", p) for i, p in enumerate(kind.parameters, 1))
        arguments = self._arguments(name, parameters, values, place, scope)
        return m.FunctionCall(type=kind.result, place=place, function=name, arguments=arguments)

    def _arguments(
        self,
        name: str,
        parameters: Sequence[tuple[str, Type]],
        values: Sequence[s.Syntax],
        place: Place,
        scope: Scope,
    ) -> tuple[m.Expression, ...]:
        """Arguments of the types that a signature without type variables wants."""
        if len(parameters) != len(values):
            shown = ", ".join(f"{p}: {t}" if not p.startswith("argument ") else str(t) for p, t in parameters)
            self._misused(
                name,
                f"`{name}` takes {_counted(len(parameters), 'argument')}, not {len(values)}",
                f"write `{name}({shown})`",
                place,
            )
            return ()
        declared = self._names.places.get(name)
        return tuple(
            self.check(value, kind, scope, Note(f"`{parameter}` of `{name}` has type `{kind}`", declared))
            for (parameter, kind), value in zip(parameters, values, strict=True)
        )

    def _call_definition(
        self, definition: m.Definition, values: Sequence[s.Syntax], place: Place, scope: Scope, hint: Type | None
    ) -> m.Expression:
        if len(values) != len(definition.parameters):
            self._arguments(definition.name, definition.parameters, values, place, scope)
            return _nothing(place)
        variables = frozenset(definition.variables)
        bound: dict[str, Type] = {}
        if hint is not None and variables and not variables_of(hint) & variables:
            bind(definition.result, hint, variables, bound)
        made: dict[int, m.Expression] = {}
        # Functions come last: their types often follow from the plain arguments.
        order = sorted(range(len(values)), key=lambda i: isinstance(definition.parameters[i][1], FunctionType))
        for position in order:
            parameter, pattern = definition.parameters[position]
            why = Note(f"`{parameter}` of `{definition.name}` has type `{pattern}`", definition.place)
            made[position] = self._argument(values[position], pattern, variables, bound, scope, why)
        arguments = tuple(made[position] for position in range(len(values)))
        if variables - bound.keys():
            return self._unclear(f"which types `{definition.name}` is used with", place)
        return m.Invoked(
            type=substitute(definition.result, bound),
            place=place,
            definition=definition.name,
            arguments=arguments,
            types=tuple((variable, bound[variable]) for variable in definition.variables),
        )

    def _argument(
        self,
        value: s.Syntax,
        pattern: Type,
        variables: frozenset[str],
        bound: dict[str, Type],
        scope: Scope,
        why: Note,
    ) -> m.Expression:
        wanted = substitute(pattern, bound)
        open_variables = {part for part in variables if part in variables_of(pattern) and part not in bound}
        if isinstance(wanted, FunctionType):
            made = self._function_value(value, wanted, open_variables, scope)
        elif not open_variables:
            return self.check(value, wanted, scope, why)
        else:
            made = self.settled(value, scope)
        if not bind(pattern, made.type, variables, bound):
            self._mismatch(made, wanted, value.place, why)
        return made

    def _function_value(
        self, value: s.Syntax, wanted: FunctionType, open_variables: set[str], scope: Scope
    ) -> m.Expression:
        """A function as an argument: a lambda, a function parameter, or a declared function or definition by name."""
        if not isinstance(value, s.Name) or value.name in scope.bound:
            return self.settled(value, scope)
        names, name, place = self._names, value.name, value.place
        locals_ = tuple((f"{name}.{i}", kind) for i, kind in enumerate(wanted.parameters, 1))
        arguments = tuple(m.Local(type=kind, place=place, name=local) for local, kind in locals_)
        if any(open_variables & variables_of(kind) for kind in wanted.parameters):
            return self._unclear(f"the types that `{name}` is used with", place)
        body: m.Expression
        if name in names.functions and len(names.functions[name].parameters) == len(locals_):
            body = m.Applied(type=names.functions[name].result, place=place, name=name, arguments=arguments)
        elif name in names.definitions and len(names.definitions[name].parameters) == len(locals_):
            definition = names.definitions[name]
            bound: dict[str, Type] = {}
            for (_, pattern), kind in zip(definition.parameters, wanted.parameters, strict=True):
                if not bind(pattern, kind, frozenset(definition.variables), bound):
                    self._report.error(rules.MISMATCH, f"`{name}` takes `{pattern}`, but is given `{kind}`", place)
                    return _nothing(place)
            if set(definition.variables) - bound.keys():
                return self._unclear(f"the types that `{name}` is used with", place)
            types = tuple((variable, bound[variable]) for variable in definition.variables)
            result = substitute(definition.result, bound)
            body = m.Invoked(type=result, place=place, definition=name, arguments=arguments, types=types)
        elif name in names.cases:
            content = s.Name(locals_[0][0], place)
            inner = scope.binding(locals_[0][0], Bound(wanted.parameters[0], place))
            body = self._case(name, content, place, inner, None if open_variables else wanted.result)
        else:
            return self._unknown_name(name, place, scope)
        return m.Lambda(type=FunctionType(wanted.parameters, body.type), place=place, parameters=locals_, body=body)

    def _record(self, name: str, syntax: s.Application, scope: Scope, hint: Type | None) -> m.Expression:
        shape = self._names.records[name]
        bound: dict[str, Type] = {}
        if isinstance(hint, RecordType) and hint.name == name:
            bound = dict(zip(shape.variables, hint.arguments, strict=True))
        given = {a.name.text: a for a in syntax.arguments if a.name}
        if len(given) != len(syntax.arguments) or given.keys() != shape.fields.keys():
            shown = ", ".join(f"{field} = …" for field in shape.fields)
            return self._misused(
                name, f"`{name}` is made with each of its fields, by name", f"write `{name}({shown})`", syntax.place
            )
        fields: dict[str, m.Expression] = {}
        for field, pattern in shape.fields.items():
            why = Note(f"`{field}` of `{name}` has type `{pattern}`", self._names.places.get(name))
            fields[field] = self._argument(given[field].value, pattern, frozenset(shape.variables), bound, scope, why)
        if set(shape.variables) - bound.keys():
            return self._unclear(f"which `{name}` this is", syntax.place)
        kind = RecordType(name, tuple(bound[variable] for variable in shape.variables))
        return m.Record(type=kind, place=syntax.place, fields=tuple(fields.items()))

    def _builtin(
        self, name: str, values: Sequence[s.Syntax], place: Place, scope: Scope, hint: Type | None
    ) -> m.Expression:
        if name == "enabled":
            return self._enabled(values, place, scope)
        wanted = {"size": ("set",), "insert": ("set", "element"), "remove": ("set", "element")}.get(name, ("a", "b"))
        if len(values) != len(wanted):
            return self._misused(
                name,
                f"`{name}` takes {_counted(len(wanted), 'argument')}, not {len(values)}",
                f"write `{name}({', '.join(wanted)})`",
                place,
            )
        if name in ("min", "max"):
            left, right = self._pair(values[0], values[1], scope, scope, hint)
            self._quantity(left, f"`{name}`")
            return m.Arithmetic(type=left.type, place=place, operator=name, left=left, right=right)
        held = self.infer(values[0], scope, hint if name != "size" else None)
        if not isinstance(held.type, SetType):
            if not isinstance(held.type, Unknown):
                self._mismatch(held, SetType(UNKNOWN), values[0].place, None)
            return _nothing(place)
        if name == "size":
            return m.Size(type=INT, place=place, set=held)
        element = self.check(values[1], held.type.element, scope, _declared_at(held, self._names, scope))
        made = m.Inserted if name == "insert" else m.Removed
        return made(type=held.type, place=place, set=held, element=element)

    def _enabled(self, values: Sequence[s.Syntax], place: Place, scope: Scope) -> m.Expression:
        if not scope.properties:
            self._report.error(rules.WRONG_KIND, "`enabled` stands only in properties", place)
            return _nothing(place)
        only = values[0] if len(values) == 1 else None
        inside: Sequence[s.Syntax] = ()
        if isinstance(only, s.Application):
            inside = [argument.value for argument in only.arguments]
            only = only.function
        if not isinstance(only, s.Name) or only.name not in self._names.signatures:
            close = nearest(only.name, self._names.signatures) if isinstance(only, s.Name) else ""
            self._report.error(
                rules.UNKNOWN_NAME,
                "`enabled` needs an action",
                place,
                fix=f"did you mean `{close}`?" if close else "write `enabled(action)` or `enabled(action(x))`",
            )
            return _nothing(place)
        arguments = self._arguments(only.name, self._names.signatures[only.name], inside, place, scope)
        return m.Enabled(type=BOOL, place=place, action=only.name, arguments=arguments)

    # --- data --------------------------------------------------------------------------------------------------------

    def _lookup(self, held: m.Expression, keys: Sequence[s.Syntax], place: Place, scope: Scope) -> m.Expression:
        if not isinstance(held.type, MapType):
            if not isinstance(held.type, Unknown):
                self._report.error(
                    rules.BAD_ARGUMENTS,
                    f"only maps are indexed, and this has type `{held.type}`",
                    place,
                    notes=[_declared_at(held, self._names, scope)],
                )
            return _nothing(place)
        return m.Lookup(type=held.type.value, place=place, map=held, keys=self.keys(held, keys, place, scope))

    def keys(
        self, held: m.Expression, keys: Sequence[s.Syntax], place: Place, scope: Scope
    ) -> tuple[m.Expression, ...]:
        """The keys of a lookup in, or an update of, a map."""
        assert isinstance(held.type, MapType)
        why = _declared_at(held, self._names, scope)
        if len(keys) != len(held.type.keys):
            self._report.error(
                rules.BAD_ARGUMENTS,
                f"this map has {_counted(len(held.type.keys), 'key')}, not {len(keys)}",
                place,
                because=f"it is a `{held.type}`",
                notes=[why],
            )
            return ()
        return tuple(self.check(key, kind, scope, why) for key, kind in zip(keys, held.type.keys, strict=True))

    def _selected(self, record: s.Syntax, field: s.Word, place: Place, scope: Scope) -> m.Expression:
        if isinstance(record, s.Name) and record.name in self._names.enums and record.name not in scope.bound:
            if self._names.cases.get(field.text) == record.name:
                return self._case(field.text, None, place, scope, None)
            cases = self._names.enums[record.name].cases
            unknown(self._report, rules.BAD_FIELD, f"case in `{record.name}` called", field.text, field.place, cases)
            return _nothing(place)
        held = self.settled(record, scope)
        return m.Field(type=self.field_type(held.type, field), place=place, record=held, field=field.text)

    def field_type(self, kind: Type, field: s.Word) -> Type:
        """The type of a record's field, Unknown after a report."""
        if isinstance(kind, RecordType):
            fields = self._names.shapes.fields(kind)
            if field.text in fields:
                return fields[field.text]
            unknown(self._report, rules.BAD_FIELD, f"field in `{kind}` called", field.text, field.place, fields)
        elif not isinstance(kind, Unknown):
            shapes = self._names.shapes
            cases = [] if not isinstance(kind, EnumType) else [c for c, held in shapes.cases(kind).items() if held]
            fix = f"name what a case holds: `if … is {cases[0]}(x) then … else …`" if cases else ""
            self._report.error(rules.BAD_FIELD, f"`{kind}` is no record: it has no fields", field.place, fix=fix)
        return UNKNOWN

    def _amended(self, syntax: s.Amended, scope: Scope, hint: Type | None) -> m.Expression:
        held = self.infer(syntax.record, scope, hint)
        changes = tuple(
            (field.text, self.check(value, self.field_type(held.type, field), scope)) for field, value in syntax.changes
        )
        return m.Amended(type=held.type, place=syntax.place, record=held, changes=changes)

    def _case_of(self, kind: Type, case: s.Word) -> Type | None:
        """What a case of an enum type holds."""
        if isinstance(kind, EnumType):
            cases = self._names.shapes.cases(kind)
            if case.text in cases:
                return cases[case.text]
            unknown(self._report, rules.BAD_FIELD, f"case in `{kind}` called", case.text, case.place, cases)
        elif not isinstance(kind, Unknown):
            self._report.error(
                rules.BAD_FIELD, f"a `{kind}` has no cases", case.place, fix="`is` tests the case of an enum or option"
            )
        return UNKNOWN

    def _matched(self, syntax: s.Match, scope: Scope, hint: Type | None) -> m.Expression:
        held = self.settled(syntax.value, scope)
        content = self._case_of(held.type, syntax.case)
        if content is None:
            self._report.error(rules.BAD_FIELD, f"the case `{syntax.case.text}` holds nothing", syntax.case.place)
        inner = self.bind(scope, syntax.content, content or UNKNOWN)
        then, otherwise = self._pair(syntax.then, syntax.otherwise, inner, scope, hint)
        return m.Matched(
            type=then.type,
            place=syntax.place,
            value=held,
            case=syntax.case.text,
            content=syntax.content.text,
            then=then,
            otherwise=otherwise,
        )

    def _everywhere(self, value: s.Syntax, place: Place, scope: Scope, hint: Type | None) -> m.Expression:
        if isinstance(hint, MapType):
            return m.Everywhere(type=hint, place=place, value=self.check(value, hint.value, scope))
        if hint is not None and not isinstance(hint, Unknown):
            self._report.error(rules.MISMATCH, f"`all` makes a map, but a `{hint}` is needed here", place)
            return _nothing(place)
        return self._unclear("the keys of this map", place)

    def _tabulated(
        self, binders: Iterable[s.Binder], body: s.Syntax, place: Place, scope: Scope, hint: Type | None
    ) -> m.Expression:
        bound, inner = self.binders(binders, scope)
        if any(not isinstance(binder.domain, m.AllOf) for binder in bound):
            self._report.error(rules.INFINITE, "a map is given over whole types", place, fix="write `[k in Type : …]`")
            return _nothing(place)
        keys = tuple((binder.name, binder.type) for binder in bound)
        wanted = hint.value if isinstance(hint, MapType) else None
        value = self.check(body, wanted, inner) if wanted is not None else self.settled(body, inner)
        kind = MapType(tuple(t for _, t in keys), value.type)
        return m.Tabulated(type=kind, place=place, keys=keys, body=value)

    def _lambda(self, syntax: s.Lambda, scope: Scope) -> m.Expression:
        inner, parameters = self.parameters(syntax.parameters, scope)
        body = self.settled(syntax.body, inner)
        kind = FunctionType(tuple(t for _, t in parameters), body.type)
        return m.Lambda(type=kind, place=syntax.place, parameters=parameters, body=body)

    def _primed(self, operand: s.Syntax, place: Place, scope: Scope, hint: Type | None) -> m.Expression:
        if isinstance(operand, s.Primed):
            self._report.error(
                rules.MISPLACED_PRIME, "`'` stands twice: there is one next state", place, fix="leave one away"
            )
            return _nothing(place)
        if not scope.primes:
            self._report.error(
                rules.MISPLACED_PRIME,
                "`'` speaks of the state after a step, and there is no step here",
                place,
                fix="state it as a `step` property",
            )
            return _nothing(place)
        inner = self.infer(operand, replace(scope, primes=False), hint)
        return m.After(type=inner.type, place=place, operand=inner)

    # --- operators ---------------------------------------------------------------------------------------------------

    def _negative(self, operand: s.Syntax, scope: Scope, place: Place) -> m.Expression:
        inner = self.infer(operand, scope, None)
        if inner.type not in (INT, DURATION, NUMBER, UNKNOWN):
            self._operands("-", (inner,), place)
            return _nothing(place)
        zero = m.Literal(type=inner.type, place=place, value=0)
        return m.Arithmetic(type=inner.type, place=place, operator="-", left=zero, right=inner)

    def _binary(self, syntax: s.Binary, scope: Scope, hint: Type | None) -> m.Expression:
        place = syntax.place
        match syntax.operator:
            case "implies":
                premise, conclusion = (self.check(part, BOOL, scope) for part in (syntax.left, syntax.right))
                return m.Implies(type=BOOL, place=place, premise=premise, conclusion=conclusion)
            case "iff":
                left, right = (self.check(part, BOOL, scope) for part in (syntax.left, syntax.right))
                return m.Equal(type=BOOL, place=place, left=left, right=right)
            case "??":
                return self._fallback(syntax, scope, hint)
            case _:
                return self._arithmetic(syntax, scope)

    def _fallback(self, syntax: s.Binary, scope: Scope, hint: Type | None) -> m.Expression:
        value = self.infer(syntax.left, scope, None if hint is None else option(hint))
        if not (isinstance(value.type, EnumType) and value.type.name == "Option"):
            if not isinstance(value.type, Unknown):
                self._mismatch(value, option(UNKNOWN), syntax.left.place, None)
            return _nothing(syntax.place)
        (content,) = value.type.arguments
        otherwise = self.check(syntax.right, content, scope, _declared_at(value, self._names, scope))
        then = m.Local(type=content, place=syntax.place, name="??")
        return m.Matched(
            type=content, place=syntax.place, value=value, case="some", content="??", then=then, otherwise=otherwise
        )

    def _arithmetic(self, syntax: s.Binary, scope: Scope) -> m.Expression:
        operator, place = syntax.operator, syntax.place
        left, right = self.infer(syntax.left, scope, None), self.infer(syntax.right, scope, None)
        if isinstance(left.type, Unknown) or isinstance(right.type, Unknown):
            return _nothing(place)
        if left.type == NUMBER and right.type == NUMBER:
            return m.Arithmetic(type=NUMBER, place=place, operator=operator, left=left, right=right)
        if left.type == NUMBER:
            left = self._coerced(left, _literal_beside(operator, right.type), scope)
        if right.type == NUMBER:
            right = self._coerced(right, _literal_beside(operator, left.type), scope)
        result = (
            _RESULTS.get((operator, left.type, right.type))
            if isinstance(left.type, Scalar) and isinstance(right.type, Scalar)
            else None
        )
        if result is None:
            self._operands(operator, (left, right), place, scope)
            return _nothing(place)
        return m.Arithmetic(type=result, place=place, operator=operator, left=left, right=right)

    def _comparison(self, syntax: s.Comparison, scope: Scope) -> m.Expression:
        pairs = zip(syntax.operands, syntax.operators, syntax.operands[1:], strict=False)
        parts = tuple(self._compared(left, operator, right, scope) for left, operator, right in pairs)
        return parts[0] if len(parts) == 1 else m.And(type=BOOL, place=syntax.place, operands=parts)

    def _compared(self, left: s.Syntax, operator: str, right: s.Syntax, scope: Scope) -> m.Expression:
        place = Place(left.place.file, left.place.line, left.place.column, right.place.end_line, right.place.end_column)
        if operator in ("in", "not in"):
            return self._membership(left, right, operator == "in", place, scope)
        first, second = self._pair(left, right, scope, scope)
        first, second = _settled(first), _settled(second)
        if operator in ("==", "!="):
            if isinstance(first.type, FunctionType):
                self._report.error(rules.FUNCTION_VALUE, "functions cannot be compared", place)
            equal = m.Equal(type=BOOL, place=place, left=first, right=second)
            return equal if operator == "==" else m.Not(type=BOOL, place=place, operand=equal)
        self._quantity(first, f"`{operator}`")
        if operator in (">", ">="):
            first, second = second, first
        return m.Order(type=BOOL, place=place, left=first, right=second, strict=operator in ("<", ">"))

    def _membership(self, left: s.Syntax, right: s.Syntax, positive: bool, place: Place, scope: Scope) -> m.Expression:
        held = self.infer(right, scope, None)
        if not isinstance(held.type, SetType):
            if not isinstance(held.type, Unknown):
                self._report.error(
                    rules.BAD_OPERANDS,
                    f"`in` asks whether something is in a set, and this has type `{held.type}`",
                    right.place,
                    notes=[_declared_at(held, self._names, scope)],
                )
            return _nothing(place)
        element = self.check(left, held.type.element, scope, _declared_at(held, self._names, scope))
        member = m.Member(type=BOOL, place=place, element=element, set=held)
        return member if positive else m.Not(type=BOOL, place=place, operand=member)

    def _quantity(self, expression: m.Expression, what: str) -> None:
        if expression.type not in (*_QUANTITIES, NUMBER, UNKNOWN):
            self._report.error(
                rules.BAD_OPERANDS,
                f"{what} compares numbers, durations or instants, and this has type `{expression.type}`",
                expression.place,
                notes=[_declared_at(expression, self._names, Scope())],
            )

    # --- binders -----------------------------------------------------------------------------------------------------

    def binders(self, binders: Iterable[s.Binder], scope: Scope) -> tuple[tuple[m.Binder, ...], Scope]:
        """The binders of a quantifier, each seeing those before it, and the scope inside."""
        made: list[m.Binder] = []
        for binder in binders:
            domain, kind = self._domain(binder, scope)
            for name in binder.names:
                scope = self.bind(scope, name, kind)
                made.append(m.Binder(name.text, kind, domain))
        return tuple(made), scope

    def _domain(self, binder: s.Binder, scope: Scope) -> tuple[m.Domain, Type]:
        syntax = binder.domain
        if binder.to is not None:
            first, last = self._pair(syntax, binder.to, scope, scope)
            first, last = _settled(first), _settled(last)
            if first.type not in (INT, DURATION, UNKNOWN):
                self._mismatch(first, INT, syntax.place, None)
            return m.Range(first, last), first.type
        if isinstance(syntax, s.Name) and syntax.name not in scope.bound and self._is_type(syntax.name, scope):
            kind = self.type_of(s.TypeName(s.Word(syntax.name, syntax.place), (), None, syntax.place), scope.variables)
            if not (self._names.shapes.is_finite(kind) and self._names.shapes.is_key(kind)):
                self._report.error(
                    rules.INFINITE,
                    f"`{kind}` has no end",
                    syntax.place,
                    because="a property must be decidable in every finite instance",
                    fix=f"give a range: `{binder.names[0].text} in 0 .. n`",
                )
                return m.AllOf(UNKNOWN), UNKNOWN
            return m.AllOf(kind), kind
        held = self.infer(syntax, scope, None)
        if isinstance(held.type, SetType):
            return m.Elements(held), held.type.element
        if not isinstance(held.type, Unknown):
            self._report.error(
                rules.MISMATCH,
                f"a binder ranges over a type, a range or a set, and this has type `{held.type}`",
                syntax.place,
            )
        return m.AllOf(UNKNOWN), UNKNOWN

    def _is_type(self, name: str, scope: Scope) -> bool:
        names = self._names
        return (
            name in SCALARS
            or name in names.sorts
            or name in names.enums
            or name in names.records
            or (name in scope.variables)
        )

    def parameters(self, parameters: Iterable[s.Parameter], scope: Scope) -> tuple[Scope, tuple[tuple[str, Type], ...]]:
        """Parameters as bound names, and the scope inside."""
        made: list[tuple[str, Type]] = []
        for parameter in parameters:
            kind = self.type_of(parameter.type, scope.variables)
            scope = self.bind(scope, parameter.name, kind)
            made.append((parameter.name.text, kind))
        return scope, tuple(made)

    def bind(self, scope: Scope, name: s.Word, kind: Type, meaning: m.Expression | None = None) -> Scope:
        """The scope with a name more. A name that means something else already is reported: nothing hides another."""
        taken = self._names.meaning_at(name.text)
        if name.text in scope.bound:
            taken = scope.bound[name.text].place
        if name.text in BUILTINS or name.text in SCALARS:
            self._report.error(rules.RESERVED, f"`{name.text}` is a word of the language", name.place)
        elif taken is not None:
            self._report.error(
                rules.TWICE,
                f"`{name.text}` already means something here",
                name.place,
                fix="choose another name: no name hides another",
                notes=[Note("it is declared here", taken)],
            )
        return scope.binding(name.text, Bound(kind, name.place, meaning))

    # --- reports -----------------------------------------------------------------------------------------------------

    def _coerced(self, expression: m.Expression, kind: Type, scope: Scope) -> m.Expression:
        """A number literal, or arithmetic of such, as the quantity that its place needs."""
        if kind == INSTANT and not scope.starts:
            self._report.error(
                rules.ABSOLUTE_TIME,
                "an instant is compared or combined with a fixed number",
                expression.place,
                because="clocks start anywhere: only differences of instants mean something",
                fix="write a difference, such as `now - opened_at >= pause`",
            )
            return replace(expression, type=UNKNOWN)
        return _retyped(expression, kind)

    def _mismatch(self, found: m.Expression, wanted: Type, place: Place, why: Note | None) -> None:
        needed = "a number" if wanted == NUMBER else "a set" if wanted == SetType(UNKNOWN) else f"`{wanted}`"
        content = wanted.arguments[0] if isinstance(wanted, EnumType) and wanted.name == "Option" else None
        fits = content is not None and (found.type == content or (found.type == NUMBER and content in (INT, DURATION)))
        self._report.error(
            rules.MISMATCH,
            f"this {_told(found.type)}, but {needed} is needed here",
            place,
            fix="write `some(…)` around it" if fits else "",
            notes=[why, _declared_at(found, self._names, Scope())],
        )

    def _operands(
        self, operator: str, operands: Sequence[m.Expression], place: Place, scope: Scope | None = None
    ) -> None:
        kinds = " and ".join(f"`{operand.type}`" for operand in operands)
        fix = ""
        if INSTANT in [operand.type for operand in operands]:
            fix = "instants have differences: `now - since` is a Duration, `since + pause` an Instant"
        self._report.error(
            rules.BAD_OPERANDS,
            f"`{operator}` has no meaning for {kinds}",
            place,
            fix=fix,
            notes=[_declared_at(operand, self._names, scope or Scope()) for operand in operands],
        )


def _literal_beside(operator: str, other: Type) -> Type:
    """What a bare number means beside an operand of this type."""
    if operator in ("*", "div") and other == DURATION:
        return INT
    return DURATION if other == INSTANT else other if other in _QUANTITIES else INT


def _retyped(expression: m.Expression, kind: Type) -> m.Expression:
    match expression:
        case m.Arithmetic(operator="*", left=left, right=right):
            return replace(expression, type=kind, left=_retyped(left, INT), right=_retyped(right, kind))
        case m.Arithmetic(operator="div", left=left, right=right):
            return replace(expression, type=kind, left=_retyped(left, kind), right=_retyped(right, INT))
        case m.Arithmetic(left=left, right=right):
            return replace(expression, type=kind, left=_retyped(left, kind), right=_retyped(right, kind))
        case m.If(then=then, otherwise=otherwise):
            return replace(expression, type=kind, then=_retyped(then, kind), otherwise=_retyped(otherwise, kind))
        case m.Matched(then=then, otherwise=otherwise):
            return replace(expression, type=kind, then=_retyped(then, kind), otherwise=_retyped(otherwise, kind))
        case m.After(operand=operand):
            return replace(expression, type=kind, operand=_retyped(operand, kind))
        case _:
            return replace(expression, type=kind) if expression.type == NUMBER else expression


def _settled(expression: m.Expression) -> m.Expression:
    return _retyped(expression, INT) if expression.type == NUMBER else expression


def _told(kind: Type) -> str:
    return "is a number" if kind == NUMBER else f"has type `{kind}`"


def _useful(kind: Type) -> Type | None:
    return None if kind == NUMBER or isinstance(kind, Unknown) else kind


def _nothing(place: Place) -> m.Expression:
    return m.Local(type=UNKNOWN, place=place, name="?")


def _counted(number: int, noun: str) -> str:
    return f"{number or 'no'} {noun}{'' if number == 1 else 's'}"


def _declared_at(expression: m.Expression, names: Globals, scope: Scope) -> Note | None:
    """Where the type of an expression comes from."""
    match expression:
        case m.Variable(name=name) | m.Applied(name=name) | m.Invoked(definition=name):
            place: Place | None = names.places.get(name)
        case m.Local(name=name) if name in scope.bound:
            place = scope.bound[name].place
        case m.Lookup(map=inner) | m.After(operand=inner) | m.Field(record=inner):
            return _declared_at(inner, names, scope)
        case m.Arithmetic(left=left, right=right):
            return _declared_at(left, names, scope) or _declared_at(right, names, scope)
        case _:
            return None
    if place is None:
        return None
    whole: Mapping[str, Type] = {
        **{n: f.result for n, f in names.functions.items()},
        **{n: v.type for n, v in names.variables.items()},
        **{n: d.result for n, d in names.definitions.items()},
    }
    kind = whole.get(name, expression.type)
    return Note(f"`{name}` has type `{kind}`", place)
