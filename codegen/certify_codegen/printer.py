"""Python text of a specification's expressions and transitions.

Rules this module keeps:

- the text comes from the typed tree, part by part; nothing here knows a pattern;
- updates stay simultaneous: a field is written only after everything that still reads it, or its old value is kept in
  a local name first;
- nothing in a transition calls anything, so no signal handler runs between two of its writes; taking a token, which
  may fail, comes first.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from certify_codegen import rules
from certify_codegen.projection import Mirror, Projection
from certify_spec import model as m
from certify_spec.datatypes import BOOL, EnumType, SortType, Type
from certify_spec.diagnostics import Diagnostic, Place, RequestError

WIDTH = 120
INDENT = "    "
_DEEP = 20
"""Columns that a branch may be indented by; what is broken into lines does not depend on the exact number."""

# How tightly Python's operators bind.
_IF, _OR, _AND, _NOT, _COMPARE, _SUM, _PRODUCT, _UNARY, _ATOM = range(9)


@dataclass(frozen=True, slots=True)
class _Text:
    text: str
    level: int

    def within(self, level: int) -> str:
        return self.text if self.level >= level else f"({self.text})"


def constant(kind: Type, case: str) -> str:
    """The name of a case of an enum in generated code."""
    assert isinstance(kind, EnumType)
    return f"_{kind.name.upper()}_{case.upper()}"


def unprintable(what: str, place: Place) -> RequestError:
    """That there is no Python for something."""
    return RequestError(Diagnostic(rules.NOT_PRINTABLE, f"there is no Python for {what}", place))


@dataclass(frozen=True, slots=True)
class _Around:
    """What names mean where an expression is printed: bound names as expressions' text, and kept old values."""

    bound: Mapping[str, _Text] = field(default_factory=dict)
    kept: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Write:
    """One assignment: to `variable`, of the element `owner` or of the machine if that is empty."""

    variable: str
    owner: str
    value: m.Expression


@dataclass(frozen=True, slots=True)
class _Branch:
    condition: m.Expression
    then: tuple[_Unit, ...]
    otherwise: tuple[_Unit, ...]


@dataclass(frozen=True, slots=True)
class _Loop:
    """A tabulated update: for each element of the list `listed` of `owner`, under the name `key`."""

    variable: str
    key: str
    owner: str
    listed: str
    value: m.Expression


@dataclass(frozen=True, slots=True)
class _Put:
    """A change of one place of a ring."""

    variable: str
    place: m.Expression
    value: m.Expression


@dataclass(frozen=True, slots=True)
class _Reflection:
    """The last thing to be done: a mirror is set."""

    mirror: Mirror


_Unit = _Write | _Branch | _Loop | _Put | _Reflection


class Printer:
    """Prints the parts of one machine.

    Args:
        projection: the machine.
    """

    def __init__(self, projection: Projection) -> None:
        self.projection = projection
        self._specification = projection.specification
        self._fields = {v.name for v in projection.fields}
        self._shared = {v.name for v in projection.shared}
        self._rings = projection.representation.rings

    # --- expressions -------------------------------------------------------------------------------------------------

    def expression(self, e: m.Expression) -> str:
        """An expression on one line."""
        return self._print(e, _Around()).text

    def condition(self, e: m.Expression, column: int, bound: Sequence[str] = ()) -> list[str]:
        """`return` of a condition, on as many lines as its conjuncts need."""
        around = _Around({name: _Text(name, _ATOM) for name in bound})
        return self._returned(e, around, column)

    def _returned(self, e: m.Expression, around: _Around, column: int) -> list[str]:
        return self._headed("return ", e, "", around, column)

    def _headed(self, head: str, e: m.Expression, tail: str, around: _Around, column: int) -> list[str]:
        """A condition between a head and a tail, on one line if there is room and else on one for each operand."""
        line = f"{head}{self._print(e, around).text}{tail}"
        if column + len(line) <= WIDTH:
            return [line]
        if isinstance(e, m.Or):
            joint, texts = "or", [self._print(operand, around).within(_NOT) for operand in e.operands]
        else:
            joint, texts = "and", self._operands(e, around)
        if len(texts) == 2 and texts[1].startswith("(") and column + len(f"{head}{texts[0]} {joint} (") <= WIDTH:
            return [f"{head}{texts[0]} {joint} (", f"{INDENT}{texts[1][1:-1]}", f"){tail}"]
        joined = f" {joint} ".join(texts)
        if column + len(INDENT) + len(joined) <= WIDTH:
            return [f"{head}(", f"{INDENT}{joined}", f"){tail}"]
        inside = (f"{INDENT}{'' if i == 0 else f'{joint} '}{text}" for i, text in enumerate(texts))
        return [f"{head}(", *inside, f"){tail}"]

    def _print(self, e: m.Expression, around: _Around) -> _Text:
        match e:
            case m.Literal(value=value):
                return _Text(repr(value), _ATOM if value is True or value is False or value >= 0 else _UNARY)
            case m.Variable(name=name):
                return self._variable(name, around, e.place)
            case m.Local(name=name):
                return around.bound.get(name, _Text(name, _ATOM))
            case m.Applied(name=name, arguments=()):
                return _Text(f"self._{name}", _ATOM)
            case m.Applied(name=name, arguments=(element,)) if name in self.projection.attributes:
                return _Text(f"{self._print(element, around).within(_ATOM)}.{name}", _ATOM)
            case m.Invoked():
                return self._invoked(e, around)
            case m.Lookup(map=m.Variable(name=name), keys=(key,)) if name in self._fields:
                owner = self._print(key, around).within(_ATOM)
                return _Text(around.kept.get(f"{owner}.{name}", f"{owner}.{name}"), _ATOM)
            case m.Lookup(map=m.Variable(name=name), keys=(key,)) if name in self._rings:
                return _Text(f"self._{name}[{self._print(key, around).text}]", _ATOM)
            case m.Case():
                return self._case(e, around)
            case m.IsCase(value=value, case=case):
                return self._is_case(value, case, around)
            case m.Not(operand=m.Equal(left=left, right=right)):
                return self._equal(left, right, around, negated=True)
            case m.Not(operand=m.Order(left=left, right=right, strict=strict)):
                return self._order(right, left, around, strict=not strict)
            case m.Not(operand=operand):
                return _Text(f"not {self._print(operand, around).within(_NOT)}", _NOT)
            case m.And():
                return _Text(" and ".join(self._operands(e, around)), _AND)
            case m.Or(operands=operands):
                texts = [text for text in (self._print(o, around) for o in operands) if text.text != "False"]
                certain = [text for text in texts if text.text == "True"]
                if certain or len(texts) < 2:
                    return (certain or texts or [_Text("False", _ATOM)])[0]
                return _Text(" or ".join(text.within(_NOT) for text in texts), _OR)
            case m.Implies(premise=premise, conclusion=conclusion):
                one = self._print(premise, around).within(_NOT + 1)
                return _Text(f"not {one} or {self._print(conclusion, around).within(_AND)}", _OR)
            case m.Equal(left=left, right=right):
                return self._equal(left, right, around, negated=False)
            case m.Order(left=left, right=right, strict=strict):
                return self._order(left, right, around, strict=strict)
            case m.Arithmetic():
                return self._arithmetic(e, around)
            case m.If(condition=condition, then=then, otherwise=otherwise):
                said = self._print(condition, around).text
                if said in {"True", "False"}:
                    return self._print(then if said == "True" else otherwise, around)
                if self._print(otherwise, around).text == "True":
                    unless = m.Not(type=BOOL, place=e.place, operand=condition)
                    return self._print(m.Or(type=BOOL, place=e.place, operands=(unless, then)), around)
                chosen = (self._print(part, around).within(_OR) for part in (then, condition, otherwise))
                return _Text("{} if {} else {}".format(*chosen), _IF)
            case _:
                raise unprintable(f"`{self._specification.source(e.place)}`", e.place)

    def _variable(self, name: str, around: _Around, place: Place) -> _Text:
        if name == self.projection.clock:
            return _Text("now", _ATOM)
        if name not in self._shared or name in self._rings:
            raise unprintable(f"the whole of the map `{name}`", place)
        stored = f"self._{name}"
        if name in self.projection.representation.tokens:
            stored = f"len({stored})"
        return _Text(around.kept.get(name, stored), _ATOM)

    def _invoked(self, e: m.Invoked, around: _Around) -> _Text:
        definition = self._specification.definitions[e.definition]
        given = [self._print(argument, around) for argument in e.arguments]
        bound = dict(zip((name for name, _ in definition.parameters), given, strict=True))
        return self._print(definition.body, _Around(bound, around.kept))

    def _case(self, e: m.Case, around: _Around) -> _Text:
        kind = e.type
        if isinstance(kind, EnumType) and kind.name == "Option":
            if e.content is None:
                return _Text("None", _ATOM)
            if isinstance(e.content.type, SortType):
                return self._print(e.content, around)
        if e.content is not None:
            raise unprintable(f"a case with content, `{e.case}`", e.place)
        return _Text(constant(kind, e.case), _ATOM)

    def _is_case(self, value: m.Expression, case: str, around: _Around) -> _Text:
        text = self._print(value, around).within(_COMPARE + 1)
        if isinstance(value.type, EnumType) and value.type.name == "Option":
            return _Text(f"{text} is {'not ' if case == 'some' else ''}None", _COMPARE)
        return _Text(f"{text} is {constant(value.type, case)}", _COMPARE)

    def _equal(self, left: m.Expression, right: m.Expression, around: _Around, *, negated: bool) -> _Text:
        by_identity = isinstance(left.type, EnumType | SortType)
        sign = ("is not" if negated else "is") if by_identity else ("!=" if negated else "==")
        if left.type == BOOL:
            level = _COMPARE + 1
            texts = (self._print(part, around).within(level) for part in (left, right))
            return _Text(f" {sign} ".join(texts), _COMPARE)
        return self._binary(sign, left, right, _COMPARE, around)

    def _order(self, left: m.Expression, right: m.Expression, around: _Around, *, strict: bool) -> _Text:
        if isinstance(left, m.Literal):
            return self._binary(">" if strict else ">=", right, left, _COMPARE, around)
        return self._binary("<" if strict else "<=", left, right, _COMPARE, around)

    def _operands(self, e: m.Expression, around: _Around) -> list[str]:
        """The conjuncts of a conjunction, those of definitions in it among them."""
        if isinstance(e, m.And):
            return [text for operand in e.operands for text in self._operands(operand, around)]
        if isinstance(e, m.Invoked):
            definition = self._specification.definitions[e.definition]
            given = [self._print(argument, around) for argument in e.arguments]
            bound = dict(zip((name for name, _ in definition.parameters), given, strict=True))
            return self._operands(definition.body, _Around(bound, around.kept))
        return [self._print(e, around).within(_NOT)]

    def _binary(self, sign: str, left: m.Expression, right: m.Expression, level: int, around: _Around) -> _Text:
        return _Text(
            f"{self._print(left, around).within(level + 1)} {sign} {self._print(right, around).within(level + 1)}",
            level,
        )

    def _arithmetic(self, e: m.Arithmetic, around: _Around) -> _Text:
        left, right = self._print(e.left, around), self._print(e.right, around)
        match e.operator:
            case "+" | "-" if right.text == "0":
                return left
            case "+" | "-":
                return _Text(f"{left.within(_SUM)} {e.operator} {right.within(_SUM + 1)}", _SUM)
            case "*":
                return _Text(f"{left.within(_PRODUCT)} * {right.within(_PRODUCT + 1)}", _PRODUCT)
            case "div" | "mod" if isinstance(e.right, m.Literal) and e.right.value:
                sign = "//" if e.operator == "div" else "%"
                return _Text(f"{left.within(_PRODUCT)} {sign} {right.within(_PRODUCT + 1)}", _PRODUCT)
            case "min" | "max":
                a, b = left.within(_SUM), right.within(_SUM)
                first, second = (a, b) if e.operator == "min" else (b, a)
                return _Text(f"{first} if {a} <= {b} else {second}", _IF)
            case _:
                raise unprintable(f"`{e.operator}` by what may be 0", e.place)

    def emptied(self, ring: str, value: m.Expression) -> str:
        """A ring that holds one value everywhere."""
        if not isinstance(value, m.Everywhere):
            raise unprintable(f"this change of the whole of `{ring}`", value.place)
        return f"[{self._print(value.value, _Around()).text}] * self._{self._rings[ring].size}"

    # --- guards and transitions --------------------------------------------------------------------------------------

    def guard(self, action: m.Action, column: int) -> list[str]:
        """The body of the function that says whether an action can happen."""
        granted = self.projection.representation.granted.get(action.name)
        kept = tuple(
            part
            for part in _conjuncts(action.guard)
            if not (isinstance(part, m.Invoked) and part.definition == granted)
        )
        if len(kept) == 1:
            return self.condition(kept[0], column)
        if not kept:
            return ["return True"]
        return self.condition(m.And(type=BOOL, place=action.guard.place, operands=kept), column)

    def transition(self, action: m.Action) -> list[str]:
        """The body of the function that takes an action; empty if it changes nothing."""
        units = self._merged(
            unit for name, update in self.projection.updates(action).items() for unit in self._units(name, update)
        )
        for mirror in self.projection.representation.mirrors:
            units = _followed(units, _Reflection(mirror), self._mirrored(mirror))
        return self._statements(units, _Around())

    def _mirrored(self, mirror: Mirror) -> frozenset[str]:
        """The variables that a mirror depends on."""
        only = self._names(self._specification.definitions[mirror.only].body) if mirror.only else frozenset()
        return only | {mirror.variable, mirror.value}

    def mirrored(self, mirror: Mirror) -> list[str]:
        """The statement that sets a mirror."""
        case = constant(self._specification.variables[mirror.variable].type, mirror.case)
        when = [f"self.{mirror.switch}", f"self._{mirror.variable} is {case}"]
        only = self._operands(self._specification.definitions[mirror.only].body, _Around()) if mirror.only else []
        line = f"self.{mirror.name} = self._{mirror.value} if {' and '.join([*when, *only])} else None"
        if 2 * len(INDENT) + len(line) <= WIDTH:
            return [line]
        first, *rest = when + only
        parts = [f"self._{mirror.value}", f"if {first}", *(f"and {text}" for text in rest), "else None"]
        return [f"self.{mirror.name} = (", *(INDENT + part for part in parts), ")"]

    def _units(self, variable: str, update: m.Expression) -> tuple[_Unit, ...]:
        """What an update does, as statements: conditionals become branches, changes of maps become writes to fields."""
        match update:
            case m.Variable(name=name) if name == variable:
                return ()
            case m.If(condition=condition, then=then, otherwise=otherwise):
                return (_Branch(condition, self._units(variable, then), self._units(variable, otherwise)),)
            case m.Stored(map=held, entries=entries) if variable in self._fields:
                last = {self._owner(keys): value for keys, value in entries}
                return (
                    *self._units(variable, held),
                    *(_Write(variable, owner, value) for owner, value in last.items()),
                )
            case m.Stored(map=held, entries=entries) if variable in self._rings:
                if len({keys for keys, _ in entries}) > 1:
                    raise unprintable(f"a change of several places of `{variable}`", update.place)
                (place,), value = entries[-1]
                return (*self._units(variable, held), _Put(variable, place, value))
            case m.Tabulated(keys=((key, _),), body=body) if variable in self.projection.representation.others:
                listed, _ = self.projection.representation.others[variable]
                return (_Loop(variable, key, "c", listed, body),)
            case _ if variable in self._fields:
                raise unprintable(f"this change of every `{variable}`", update.place)
            case _:
                return (_Write(variable, "", update),)

    def _owner(self, keys: tuple[m.Expression, ...]) -> str:
        return self._print(keys[0], _Around()).within(_ATOM)

    def _merged(self, units: Iterable[_Unit]) -> tuple[_Unit, ...]:
        """The same, with branches on one condition made one."""
        writes: list[_Unit] = []
        branches: list[_Branch] = []
        for unit in units:
            if not isinstance(unit, _Branch):
                writes.append(unit)
                continue
            same = next((i for i, b in enumerate(branches) if b.condition == unit.condition), None)
            if same is None:
                branches.append(unit)
            else:
                known = branches[same]
                branches[same] = _Branch(
                    known.condition, (*known.then, *unit.then), (*known.otherwise, *unit.otherwise)
                )
        merged = (_Branch(b.condition, self._merged(b.then), self._merged(b.otherwise)) for b in branches)
        return (*writes, *merged)

    def _statements(self, units: Sequence[_Unit], around: _Around) -> list[str]:
        """Statements in an order in which nothing is read after it is written, old values kept where there is none."""
        waiting = sorted(units, key=self._rank)
        lines: list[str] = []
        kept = dict(around.kept)
        while waiting:
            others = [unit for unit in waiting if not isinstance(unit, _Reflection)]
            at = next(
                (i for i, unit in enumerate(waiting) if not self._disturbs(unit, others[:i] + others[i + 1 :], kept)),
                None,
            )
            if at is None:
                at = 0
                for place in sorted(self._written(waiting[0])):
                    name = f"before_{place.rpartition('.')[2].removeprefix('_')}"
                    lines.append(f"{name} = {self._stored(place)}")
                    kept[place] = name
            lines += self._statement(waiting.pop(at), _Around(around.bound, kept))
        return lines

    def _stored(self, place: str) -> str:
        if place in self._rings:
            raise unprintable(f"the old value of the whole of `{place}`", self._specification.variables[place].place)
        if "." in place:
            return place
        return f"len(self._{place})" if place in self.projection.representation.tokens else f"self._{place}"

    def _rank(self, unit: _Unit) -> int:
        if isinstance(unit, _Reflection):
            return 2
        return 0 if isinstance(unit, _Write) and unit.variable in self.projection.representation.tokens else 1

    def _disturbs(self, unit: _Unit, others: Sequence[_Unit], kept: Mapping[str, str]) -> bool:
        written = self._written(unit) - kept.keys()
        return any(_meet(written, self._read(other)) for other in others)

    def _statement(self, unit: _Unit, around: _Around) -> list[str]:
        match unit:
            case _Write(variable, owner, value):
                return [self._written_text(variable, owner, value, around)]
            case _Put(variable, place, value):
                return [f"self._{variable}[{self._print(place, around).text}] = {self._print(value, around).text}"]
            case _Loop(variable, key, owner, listed, value):
                inner = _Around({**around.bound, key: _Text(key, _ATOM)}, around.kept)
                return [
                    f"for {key} in {owner}.{listed}:",
                    f"{INDENT}{key}.{variable} = {self._print(value, inner).text}",
                ]
            case _Branch(condition, then, otherwise):
                return self._branch(condition, then, otherwise, around)
            case _Reflection(mirror):
                return self.mirrored(mirror)

    def _branch(
        self, condition: m.Expression, then: Sequence[_Unit], otherwise: Sequence[_Unit], around: _Around
    ) -> list[str]:
        if not then:
            negated = m.Not(type=BOOL, place=condition.place, operand=condition)
            return self._branch(negated, otherwise, (), around)
        if isinstance(condition, m.Invoked) and _DEEP + len(f"if {self._print(condition, around).text}:") > 2 * WIDTH:
            head = self._in_steps(condition, around)
        else:
            head = self._headed("if ", condition, ":", around, _DEEP)
        lines = [*head, *(INDENT + line for line in self._statements(then, around))]
        below = self._statements(otherwise, around)
        if below and below[0].startswith("if ") and all(line.startswith((INDENT, "el", "):")) for line in below[1:]):
            lines += ["el" + below[0], *below[1:]]
        elif below:
            lines += ["else:", *(INDENT + line for line in below)]
        return lines

    def _in_steps(self, condition: m.Invoked, around: _Around) -> list[str]:
        """`if` of a condition that is too long to be read at once: what its definitions are given has a name first."""
        lines: list[str] = []
        taken = {"c", "now", "self"}

        def named(name: str) -> str:
            found = next(n for n in (name, *(f"{name}_{number}" for number in range(2, 99))) if n not in taken)
            taken.add(found)
            return found

        def inside(call: m.Invoked, around: _Around) -> tuple[m.Expression, _Around]:
            definition = self._specification.definitions[call.definition]
            bound: dict[str, _Text] = {}
            for (parameter, _), argument in zip(definition.parameters, call.arguments, strict=True):
                text = self._print(argument, around)
                if text.level < _ATOM:
                    name = named(parameter)
                    lines.append(f"{name} = {text.text}")
                    text = _Text(name, _ATOM)
                bound[parameter] = text
            return definition.body, _Around(bound, around.kept)

        body, within = inside(condition, around)
        if isinstance(body, m.If) and isinstance(body.then, m.Invoked):
            then, deeper = inside(body.then, within)
            name = named(body.then.definition)
            lines += self._headed(f"{name} = ", then, "", deeper, _DEEP)
            local = m.Local(type=BOOL, place=body.place, name=name)
            body = m.If(type=BOOL, place=body.place, condition=body.condition, then=local, otherwise=body.otherwise)
        return [*lines, *self._headed("if ", body, ":", within, _DEEP)]

    def _written_text(self, variable: str, owner: str, value: m.Expression, around: _Around) -> str:
        if variable in self.projection.representation.tokens:
            match value:
                case m.Arithmetic(operator="-", left=m.Variable(name=name), right=m.Literal(value=1)) if (
                    name == variable
                ):
                    return f"self._{variable}.pop()"
                case m.Arithmetic(operator="+", left=m.Variable(name=name), right=m.Literal(value=1)) if (
                    name == variable
                ):
                    return f"self._{variable}.append(None)"
                case _:
                    raise unprintable(f"this change of the tokens `{variable}`", value.place)
        if variable in self._rings:
            return f"self._{variable} = {self.emptied(variable, value)}"
        target = f"{owner}.{variable}" if owner else f"self._{variable}"
        return f"{target} = {self._print(value, around).text}"

    # --- what is read and written, as `name` of the machine or `owner.name` of an element ----------------------------

    def _written(self, unit: _Unit) -> frozenset[str]:
        match unit:
            case _Put(variable, _, _):
                return frozenset((variable,))
            case _Write(variable, owner, _):
                return frozenset((f"{owner}.{variable}" if owner else variable,))
            case _Loop(variable, key, _, _, _):
                return frozenset((f"{key}.{variable}",))
            case _Branch(_, then, otherwise):
                return frozenset(name for part in (*then, *otherwise) for name in self._written(part))
            case _Reflection():
                return frozenset()

    def _read(self, unit: _Unit) -> frozenset[str]:
        match unit:
            case _Write(_, _, value) | _Loop(_, _, _, _, value):
                return self._names(value)
            case _Put(_, place, value):
                return self._names(place) | self._names(value)
            case _Branch(condition, then, otherwise):
                inside = (name for part in (*then, *otherwise) for name in self._read(part))
                return self._names(condition) | frozenset(inside)
            case _Reflection():
                return frozenset()

    def _names(self, expression: m.Expression) -> frozenset[str]:
        found: set[str] = set()
        waiting: list[tuple[m.Expression, Mapping[str, str]]] = [(expression, {})]
        while waiting:
            e, bound = waiting.pop()
            match e:
                case m.Lookup(map=m.Variable(name=name), keys=(m.Local(name=owner),)) if name in self._fields:
                    found.add(f"{bound.get(owner, owner)}.{name}")
                case m.Lookup(map=m.Variable(name=name), keys=(key,)) if name in self._fields:
                    found.add(f"?.{name}")
                    waiting.append((key, bound))
                case m.Variable(name=name):
                    found.add(name)
                case m.Invoked(definition=name, arguments=arguments):
                    definition = self._specification.definitions[name]
                    given = {
                        parameter: bound.get(argument.name, argument.name) if isinstance(argument, m.Local) else "?"
                        for (parameter, _), argument in zip(definition.parameters, arguments, strict=True)
                    }
                    waiting.append((definition.body, given))
                    waiting.extend((argument, bound) for argument in arguments)
                case _:
                    waiting.extend((child, bound) for child in m.children(e))
        return frozenset(found)


def _meet(written: frozenset[str], read: frozenset[str]) -> bool:
    """Whether something may be read that is written; fields of one name may be of one element under two names."""
    fields = {name.rpartition(".")[2] for name in read if "." in name}
    return any(name in read or ("." in name and name.rpartition(".")[2] in fields) for name in written)


def _followed(units: tuple[_Unit, ...], last: _Reflection, names: frozenset[str]) -> tuple[_Unit, ...]:
    """The same with one thing done last wherever some names are written, as far inside as possible."""
    writing = [unit for unit in units if _writes_any(unit, names)]
    match writing:
        case []:
            return units
        case [_Branch(condition, then, otherwise) as branch]:
            inside = _Branch(condition, _followed(then, last, names), _followed(otherwise, last, names))
            return tuple(inside if unit is branch else unit for unit in units)
        case _:
            return (*units, last)


def _writes_any(unit: _Unit, names: frozenset[str]) -> bool:
    match unit:
        case _Branch(_, then, otherwise):
            return any(_writes_any(part, names) for part in (*then, *otherwise))
        case _Reflection():
            return False
        case _:
            return unit.variable in names and not getattr(unit, "owner", "")


def _conjuncts(e: m.Expression) -> tuple[m.Expression, ...]:
    return tuple(part for operand in e.operands for part in _conjuncts(operand)) if isinstance(e, m.And) else (e,)
