"""Scripts for simulations: one action per line, with its arguments as traces print them.

Rules this module keeps:

- what a trace prints can be read again: `enter(c0)`, `record(t = (era = 1, probe = true))`;
- every wrong line is reported, with its place and what would be right.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from certify.report import text
from certify.specs import rules
from certify_spec import model as m
from certify_spec.datatypes import BOOL, EnumType, RecordType, Scalar, SetType, SortType, Type
from certify_spec.diagnostics import Diagnostic, Place, RequestError
from certify_spec.evaluate import World
from certify_spec.interpreter import Event
from certify_spec.values import Element, Row, Tagged, Value, shown

_TOKEN = re.compile(r"\s*(?:(?P<word>[A-Za-z_]\w*)|(?P<number>-?\d{1,40})(?!\w)|(?P<sign>[(){},=]))", re.ASCII)
_DEEPEST = 40


class _WrongLineError(Exception):
    def __init__(self, reason: str, column: int) -> None:
        super().__init__(reason)
        self.reason, self.column = reason, column


@dataclass(frozen=True, slots=True)
class _Token:
    text: str
    column: int


def read(content: str, file: str, specification: m.Specification, world: World) -> tuple[Event, ...]:
    """The events of a script.

    Args:
        content: the script; blank lines and what follows ``--`` are no events.
        file: its name, for places.
        specification: the machine, whose actions these are.
        world: the finite world in which they happen.

    Raises:
        RequestError: VER005, with every line that cannot be read.
    """
    events: list[Event] = []
    wrong: list[Diagnostic] = []
    for number, line in enumerate(content.splitlines(), 1):
        plain = line.split("--")[0].rstrip()
        if not plain.strip():
            continue
        try:
            events.append(_Line(plain, specification, world).event())
        except _WrongLineError as problem:
            place = Place(file, number, problem.column)
            wrong.append(
                Diagnostic(
                    rules.BAD_SCRIPT,
                    problem.reason,
                    place,
                    because=text.one_line(text.shortened(plain.strip(), 200), name=True),
                    fix=_forms(specification),
                )
            )
    if wrong:
        raise RequestError(*wrong)
    return tuple(events)


def _forms(specification: m.Specification) -> str:
    forms = (_form(action) for action in specification.actions.values())
    return f"write one of {', '.join(forms)}"


def _form(action: m.Action) -> str:
    return (
        f"{action.name}({', '.join(f'{n}: {k}' for n, k in action.parameters)})" if action.parameters else action.name
    )


class _Line:
    """One line being read."""

    def __init__(self, line: str, specification: m.Specification, world: World) -> None:
        self._specification, self._world = specification, world
        self._tokens = list(_tokens(line))
        self._end = len(line) + 1
        self._position = 0

    def event(self) -> Event:
        name = self._take()
        action = self._specification.actions.get(name.text)
        if action is None:
            near = difflib.get_close_matches(name.text, self._specification.actions, 1)
            meant = f"; did you mean `{near[0]}`?" if near else ""
            raise _WrongLineError(f"there is no action `{name.text}`{meant}", name.column)
        arguments = self._arguments(action)
        if self._position < len(self._tokens):
            raise _WrongLineError(f"`{self._next()}` stands after the action", self._column())
        return Event(action.name, arguments)

    def _arguments(self, action: m.Action) -> tuple[Value, ...]:
        if not action.parameters and self._next() != "(":
            return ()
        self._expect("(")
        values: list[Value] = []
        for position, (name, kind) in enumerate(action.parameters):
            if position:
                self._expect(",")
            if self._next() == name and self._next(1) == "=":
                self._position += 2
            values.append(self._value(kind, 0))
        self._expect(")")
        return tuple(values)

    def _value(self, kind: Type, depth: int) -> Value:
        if depth > _DEEPEST:
            raise _WrongLineError("the value nests too deeply", self._column())
        token = self._take()
        match kind:
            case Scalar() if kind == BOOL:
                return self._among({"true": True, "false": False}, token, kind)
            case Scalar():
                if not re.fullmatch(r"-?\d+", token.text):
                    raise _WrongLineError(f"`{token.text}` is no value of `{kind}`: write a number", token.column)
                return int(token.text)
            case SortType(name):
                known = (Element(name, index) for index in range(self._world.sizes.get(name, 1)))
                return self._among({shown(e, self._specification.sorts): e for e in known}, token, kind)
            case EnumType():
                return self._case(kind, token, depth)
            case RecordType():
                return self._record(kind, token, depth)
            case SetType(element):
                return self._set(element, token, depth)
            case _:
                raise _WrongLineError(f"a value of type `{kind}` cannot be written in a script", token.column)

    def _among(self, known: Mapping[str, Value], token: _Token, kind: Type) -> Value:
        if token.text not in known:
            among = ", ".join(known)
            raise _WrongLineError(f"`{token.text}` is no value of `{kind}` here: write one of {among}", token.column)
        return known[token.text]

    def _case(self, kind: EnumType, token: _Token, depth: int) -> Value:
        cases = self._specification.shapes.cases(kind)
        if token.text not in cases:
            raise _WrongLineError(
                f"`{token.text}` is no value of `{kind}`: write one of {', '.join(cases)}", token.column
            )
        held = cases[token.text]
        if held is None:
            return Tagged(token.text)
        self._expect("(")
        content = self._value(held, depth + 1)
        self._expect(")")
        return Tagged(token.text, content)

    def _record(self, kind: RecordType, token: _Token, depth: int) -> Value:
        if token.text == kind.name:
            token = self._take()
        if token.text != "(":
            raise _WrongLineError(f"a `{kind}` begins with `(`, not with `{token.text}`", token.column)
        fields: list[tuple[str, Value]] = []
        for position, (name, held) in enumerate(self._specification.shapes.fields(kind).items()):
            if position:
                self._expect(",")
            self._expect(name)
            self._expect("=")
            fields.append((name, self._value(held, depth + 1)))
        self._expect(")")
        return Row(tuple(fields))

    def _set(self, element: Type, token: _Token, depth: int) -> Value:
        if token.text != "{":
            raise _WrongLineError(f"a set begins with `{{`, not with `{token.text}`", token.column)
        found: list[Value] = []
        while self._next() != "}":
            if found:
                self._expect(",")
            found.append(self._value(element, depth + 1))
        self._expect("}")
        return frozenset(found)

    # --- tokens ------------------------------------------------------------------------------------------------------

    def _next(self, ahead: int = 0) -> str:
        position = self._position + ahead
        return self._tokens[position].text if position < len(self._tokens) else ""

    def _column(self) -> int:
        return self._tokens[self._position].column if self._position < len(self._tokens) else self._end

    def _take(self) -> _Token:
        if self._position == len(self._tokens):
            raise _WrongLineError("the line ends too early", self._end)
        self._position += 1
        return self._tokens[self._position - 1]

    def _expect(self, wanted: str) -> None:
        if self._next() != wanted:
            found = f"`{self._next()}`" if self._next() else "the line's end"
            raise _WrongLineError(f"`{wanted}` is expected here, not {found}", self._column())
        self._position += 1


def _tokens(line: str) -> Iterator[_Token]:
    position = 0
    while position < len(line):
        found = _TOKEN.match(line, position)
        if found is None:
            rest = line[position:]
            column = position + len(rest) - len(rest.lstrip()) + 1
            shown = text.one_line(line[column - 1], name=True)
            raise _WrongLineError(f"`{shown}` cannot stand in a script", column)
        kind = found.lastgroup
        assert kind is not None
        yield _Token(found[kind], found.start(kind) + 1)
        position = found.end()
