"""The part of a generated module that is printed from its specification: enums, the fields of a call, the machine.

Rules this module keeps:

- every guard, update, start value and assumption is the printer's text of the specification's own expression;
- what stands around them is the same for every machine.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from certify_codegen.printer import INDENT, Printer, constant, unprintable
from certify_codegen.projection import Projection
from certify_spec import model as m
from certify_spec.datatypes import BOOL, DURATION, INSTANT, INT, EnumShape, EnumType, MapType, SortType, Type

MACHINE = "_Machine"


def machine_text(projection: Projection, base: str) -> str:
    """The classes of a machine: its enums, its element, and `_Machine` with all that it can do.

    Args:
        projection: the machine.
        base: the class that `_Machine` extends; its constructor is not called.
    """
    return "\n\n\n".join(_Emitter(projection, base).parts()) + "\n"


def element_class(sort: str) -> str:
    """The name of the class of one element of a sort."""
    return f"_{sort}"


class _Emitter:
    def __init__(self, projection: Projection, base: str) -> None:
        self._projection = projection
        self._specification = projection.specification
        self._printer = Printer(projection)
        self._base = base

    def parts(self) -> Iterator[str]:
        enums = [shape for name, shape in self._specification.shapes.enums.items() if name != "Option"]
        for shape in enums:
            yield self._enum(shape)
        if enums:
            yield "\n".join(self._constants(enums))
        for sort in self._projection.sorts:
            yield "\n".join(self._element(sort))
        yield "\n".join(self._machine())

    def _enum(self, shape: EnumShape) -> str:
        kind = EnumType(shape.name)
        held = [s for s in self._projection.sorts if any(_held(v) == kind for v in self._projection.of_sort(s))]
        of_machine = any(v.type == kind for v in self._projection.shared)
        what = "the machine" if of_machine else f"one {(held or self._projection.sorts)[0].lower()}"
        return "\n".join(
            [
                f"class {shape.name}(StrEnum):",
                f'{INDENT}"""`{shape.name}` of {what}."""',
                "",
                *(f'{INDENT}{case.upper()} = "{case}"' for case in shape.cases),
            ]
        )

    @staticmethod
    def _constants(enums: Sequence[EnumShape]) -> Iterator[str]:
        for shape in enums:
            for case in shape.cases:
                name = constant(EnumType(shape.name), case)
                yield f"{name}: Final[{shape.name}] = {shape.name}.{case.upper()}"

    def _element(self, sort: str) -> Iterator[str]:
        name = element_class(sort)
        fields = self._projection.of_sort(sort)
        lists = sorted(listed for listed, _ in self._projection.representation.others.values())
        given = {f: element_class(held) for f, (owner, held) in self._projection.attributes.items() if owner == sort}
        given |= {"content": "Any"} if sort in self._projection.representation.carrying else {}
        slots = sorted([*(v.name for v in fields), *lists, *given])
        yield f"class {name}:"
        yield f'{INDENT}"""One {sort.lower()}, as the machine knows it."""'
        yield ""
        yield f"{INDENT}__slots__ = {_tuple(slots)}"
        yield ""
        yield f"{INDENT}def __init__(self{''.join(f', {each}: {kind}' for each, kind in given.items())}) -> None:"
        yield from (f"{INDENT * 2}self.{each} = {each}" for each in given)
        for variable in fields:
            assert isinstance(variable.type, MapType)
            initial = variable.initial
            if initial is None:  # nothing in particular: it is written before it is read
                yield f"{INDENT * 2}self.{variable.name}: {self._type(variable.type.value)}"
                continue
            if not isinstance(initial, m.Everywhere):
                raise unprintable(f"the start of `{variable.name}`", variable.place)
            kind = self._type(variable.type.value)
            yield f"{INDENT * 2}self.{variable.name}: {kind} = {self._printer.expression(initial.value)}"
        for listed in lists:
            yield f"{INDENT * 2}self.{listed}: list[{name}] = []"

    def _machine(self) -> Iterator[str]:
        spec = self._specification
        mirrors = self._projection.representation.mirrors
        parameters = [p.name for p in self._projection.parameters]
        slots = [f"_{name}" for name in (*parameters, *(v.name for v in self._projection.shared))]
        slots += [*(mirror.name for mirror in mirrors), *{mirror.switch for mirror in mirrors}]
        yield f"class {MACHINE}({self._base}):"
        yield f'{INDENT}"""{spec.doc}'
        yield ""
        yield f"{INDENT}The machine of the specification: what it can do, when, and what changes. Who calls holds the"
        yield f"{INDENT}lock, and takes an action only where its guard holds."
        yield f'{INDENT}"""'
        yield ""
        yield f"{INDENT}__slots__ = {_tuple(sorted(slots))}"
        yield ""
        yield from self._start(parameters)
        for action in self._projection.actions:
            yield from self._guard(action)
            yield from self._transition(action)

    def _start(self, parameters: Sequence[str]) -> Iterator[str]:
        given = [f"{p.name}: {self._type(p.result)}" for p in self._projection.parameters]
        head = f"{INDENT}def _start(self{''.join(f', {text}' for text in given)}) -> None:"
        if len(head) <= 120:
            yield head
        else:
            yield f"{INDENT}def _start("
            one = f"{INDENT * 2}self, {', '.join(given)}"
            if len(one) <= 120:
                yield one
            else:
                yield f"{INDENT * 2}self,"
                yield from (f"{INDENT * 2}{text}," for text in given)
            yield f"{INDENT}) -> None:"
        yield f'{INDENT * 2}"""Take the parameters, and be as at the start."""'
        yield from (f"{INDENT * 2}self._{name} = {name}" for name in parameters)
        for assumed in self._specification.of_kind(m.Kind.ASSUME):
            text = self._specification.source(assumed.formula.place)
            yield f"{INDENT * 2}if not ({self._printer.expression(assumed.formula)}):"
            yield f'{INDENT * 3}raise ValueError("{self._specification.name}: {text} is to hold")'
        for variable in self._projection.shared:
            yield f"{INDENT * 2}{self._initial(variable)}"
        mirrors = self._projection.representation.mirrors
        yield from sorted({f"{INDENT * 2}self.{mirror.switch} = True" for mirror in mirrors})
        for mirror in mirrors:
            kind = self._type(self._specification.variables[mirror.value].type)
            first, *more = self._printer.mirrored(mirror)
            yield from (INDENT * 2 + line for line in (first.replace(" = ", f": {kind} | None = ", 1), *more))

    def _initial(self, variable: m.StateVariable) -> str:
        if variable.initial is None:
            raise unprintable(f"the start of `{variable.name}`, which may be several", variable.place)
        if variable.name in self._projection.representation.rings:
            assert isinstance(variable.type, MapType)
            kind = self._type(variable.type.value)
            return f"self._{variable.name}: list[{kind}] = {self._printer.emptied(variable.name, variable.initial)}"
        text = self._printer.expression(variable.initial)
        if variable.name in self._projection.representation.tokens:
            return f"self._{variable.name}: list[None] = [None] * {text}"
        return f"self._{variable.name}: {self._type(variable.type)} = {text}"

    def _guard(self, action: m.Action) -> Iterator[str]:
        yield ""
        yield self._head("can", action, guard=True, result="bool")
        yield from (f"{INDENT * 2}{line}" for line in self._printer.guard(action, len(INDENT) * 2))

    def _transition(self, action: m.Action) -> Iterator[str]:
        lines = self._printer.transition(action)
        if not lines:
            return
        yield ""
        yield self._head("do", action, guard=False, result="None")
        if action.doc:
            yield f'{INDENT * 2}"""{action.doc}"""'
        yield from (f"{INDENT * 2}{line}" for line in lines)

    def _head(self, verb: str, action: m.Action, *, guard: bool, result: str) -> str:
        given = [f"{name}: {self._type(kind)}" for name, kind in action.parameters]
        if self._projection.reads_clock(action, guard=guard):
            given.append("now: int")
        return f"{INDENT}def _{verb}_{action.name}({', '.join(['self', *given])}) -> {result}:"

    def _type(self, kind: Type) -> str:
        if kind == BOOL:
            return "bool"
        if kind in {INT, DURATION, INSTANT}:
            return "int"
        if isinstance(kind, SortType):
            return element_class(kind.name)
        if isinstance(kind, EnumType) and kind.name == "Option":
            return f"{self._type(kind.arguments[0])} | None"
        if isinstance(kind, EnumType):
            return kind.name
        raise unprintable(f"the type `{kind}`", self._specification.place)


def _held(variable: m.StateVariable) -> Type | None:
    return variable.type.value if isinstance(variable.type, MapType) else None


def _tuple(names: Sequence[str]) -> str:
    inside = ", ".join(f'"{name}"' for name in names)
    line = f"({inside}{',' if len(names) == 1 else ''})"
    if len(line) <= 120 - len(INDENT) - len("__slots__ = "):
        return line
    return "(\n" + "".join(f'{INDENT * 2}"{name}",\n' for name in names) + f"{INDENT})"
