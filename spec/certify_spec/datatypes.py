"""The types of the language, as values.

Rules this module keeps:

- types are equal exactly when they are the same type: no aliases, no subtypes;
- `Option` is an ordinary enum that every file has;
- a key is a type whose values are plain scalars, or records of such, so that it can index a map cheaply.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import assert_never


@dataclass(frozen=True, slots=True)
class Scalar:
    """Bool, Int, Duration or Instant. `Number` is a literal whose type the context has yet to say."""

    name: str

    def __str__(self) -> str:
        return self.name


BOOL = Scalar("Bool")
INT = Scalar("Int")
DURATION = Scalar("Duration")
INSTANT = Scalar("Instant")
NUMBER = Scalar("number")


@dataclass(frozen=True, slots=True)
class SortType:
    """A `sort`, or a type variable of a law: things of which only equality is known."""

    name: str
    variable: bool = False

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class EnumType:
    """An enum, applied to type arguments."""

    name: str
    arguments: tuple[Type, ...] = ()

    def __str__(self) -> str:
        return _applied(self.name, self.arguments)


@dataclass(frozen=True, slots=True)
class RecordType:
    """A record, applied to type arguments."""

    name: str
    arguments: tuple[Type, ...] = ()

    def __str__(self) -> str:
        return _applied(self.name, self.arguments)


@dataclass(frozen=True, slots=True)
class MapType:
    """A total map from tuples of keys to values."""

    keys: tuple[Type, ...]
    value: Type

    def __str__(self) -> str:
        return f"Map[{', '.join(map(str, self.keys))} -> {self.value}]"


@dataclass(frozen=True, slots=True)
class SetType:
    """A finite set."""

    element: Type

    def __str__(self) -> str:
        return f"Set[{self.element}]"


@dataclass(frozen=True, slots=True)
class FunctionType:
    """A function, as a parameter of a definition or a law."""

    parameters: tuple[Type, ...]
    result: Type

    def __str__(self) -> str:
        inside = ", ".join(map(str, self.parameters))
        return f"{inside if len(self.parameters) == 1 else f'({inside})'} -> {self.result}"


@dataclass(frozen=True, slots=True)
class Unknown:
    """The type of something that is already reported; it fits everywhere, so that one mistake is told once."""

    def __str__(self) -> str:
        return "?"


UNKNOWN = Unknown()

Type = Scalar | SortType | EnumType | RecordType | MapType | SetType | FunctionType | Unknown


@dataclass(frozen=True, slots=True)
class EnumShape:
    """The declaration of an enum: its type variables, and its cases with what each holds (None for nothing)."""

    name: str
    variables: tuple[str, ...]
    cases: Mapping[str, Type | None]


@dataclass(frozen=True, slots=True)
class RecordShape:
    """The declaration of a record: its type variables and its fields."""

    name: str
    variables: tuple[str, ...]
    fields: Mapping[str, Type]


OPTION = EnumShape("Option", ("A",), {"none": None, "some": SortType("A", variable=True)})


def option(content: Type) -> EnumType:
    """The type `Option[content]`."""
    return EnumType("Option", (content,))


@dataclass(frozen=True, slots=True)
class Shapes:
    """The enums and records that a file declares, by name."""

    enums: Mapping[str, EnumShape]
    records: Mapping[str, RecordShape]

    def cases(self, kind: EnumType) -> dict[str, Type | None]:
        """The cases of an enum type, with the types that they hold."""
        shape = self.enums[kind.name]
        bound = dict(zip(shape.variables, kind.arguments, strict=True))
        return {name: None if held is None else substitute(held, bound) for name, held in shape.cases.items()}

    def fields(self, kind: RecordType) -> dict[str, Type]:
        """The fields of a record type."""
        shape = self.records[kind.name]
        bound = dict(zip(shape.variables, kind.arguments, strict=True))
        return {name: substitute(held, bound) for name, held in shape.fields.items()}

    def is_plain(self, kind: EnumType) -> bool:
        """Whether an enum is a bare list of names."""
        return all(held is None for held in self.enums[kind.name].cases.values())

    def is_key(self, kind: Type) -> bool:
        """Whether values of the type can index a map or be in a set."""
        match kind:
            case Scalar() | SortType() | Unknown():
                return True
            case EnumType():
                return self.is_plain(kind)
            case RecordType():
                return all(self.is_key(held) for held in self.fields(kind).values())
            case MapType() | SetType() | FunctionType():
                return False
            case _:
                assert_never(kind)

    def is_finite(self, kind: Type) -> bool:
        """Whether a finite instance has finitely many keys of this type: sorts count as finite, numbers do not."""
        match kind:
            case Scalar():
                return kind == BOOL
            case SortType() | Unknown():
                return True
            case EnumType():
                return all(held is None or self.is_finite(held) for held in self.cases(kind).values())
            case RecordType():
                return all(self.is_finite(held) for held in self.fields(kind).values())
            case MapType() | SetType() | FunctionType():
                return False
            case _:
                assert_never(kind)


def parts(kind: Type) -> tuple[Type, ...]:
    """The types that a type is written with."""
    match kind:
        case Scalar() | SortType() | Unknown():
            return ()
        case EnumType(_, arguments) | RecordType(_, arguments):
            return arguments
        case MapType(keys, value):
            return (*keys, value)
        case SetType(element):
            return (element,)
        case FunctionType(parameters, result):
            return (*parameters, result)
        case _:
            assert_never(kind)


def walk(kind: Type) -> Iterator[Type]:
    """The type and all that it is written with."""
    yield kind
    for part in parts(kind):
        yield from walk(part)


def substitute(kind: Type, bound: Mapping[str, Type]) -> Type:
    """The type with its type variables replaced."""
    match kind:
        case SortType(name, True):
            return bound.get(name, kind)
        case Scalar() | SortType() | Unknown():
            return kind
        case EnumType(name, arguments):
            return EnumType(name, tuple(substitute(a, bound) for a in arguments))
        case RecordType(name, arguments):
            return RecordType(name, tuple(substitute(a, bound) for a in arguments))
        case MapType(keys, value):
            return MapType(tuple(substitute(k, bound) for k in keys), substitute(value, bound))
        case SetType(element):
            return SetType(substitute(element, bound))
        case FunctionType(parameters, result):
            return FunctionType(tuple(substitute(p, bound) for p in parameters), substitute(result, bound))
        case _:
            assert_never(kind)


def fits(wanted: Type, given: Type) -> bool:
    """Whether the types are the same, parts already reported aside."""
    if isinstance(wanted, Unknown) or isinstance(given, Unknown):
        return True
    if isinstance(wanted, Scalar | SortType):
        return wanted == given
    return _same_head(wanted, given) and all(map(fits, parts(wanted), parts(given)))


def _same_head(wanted: Type, given: Type) -> bool:
    """Whether the types are written with the same constructor and as many parts."""
    same_name = getattr(wanted, "name", "") == getattr(given, "name", "")
    return type(wanted) is type(given) and same_name and len(parts(wanted)) == len(parts(given))


def bind(pattern: Type, given: Type, variables: frozenset[str], bound: dict[str, Type]) -> bool:
    """Match a type with type variables against one; fills `bound`. Returns whether they match."""
    if isinstance(pattern, SortType) and pattern.variable and pattern.name in variables:
        known = bound.setdefault(pattern.name, given)
        if isinstance(known, Unknown):
            bound[pattern.name] = given
        return fits(known, given)
    ours, theirs = parts(pattern), parts(given)
    if not ours or isinstance(given, Unknown):
        return fits(pattern, given)
    if not _same_head(pattern, given):
        return False
    matched = [bind(p, g, variables, bound) for p, g in zip(ours, theirs, strict=True)]
    return all(matched)


def variables_of(kind: Type) -> frozenset[str]:
    """The type variables in a type."""
    return frozenset(part.name for part in walk(kind) if isinstance(part, SortType) and part.variable)


def _applied(name: str, arguments: tuple[Type, ...]) -> str:
    return f"{name}[{', '.join(map(str, arguments))}]" if arguments else name
