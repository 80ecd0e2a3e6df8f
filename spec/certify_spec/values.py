"""The values of the language in plain Python, and how people read them.

Rules this module keeps:

- values are immutable and hashable; two values are equal exactly when the language says so;
- numbers, durations and instants are `int`, truth values `bool`, sets `frozenset`;
- a map over finitely many keys lists every key; one over infinitely many has a default and lists what differs from it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, order=True)
class Element:
    """The `index`-th element of a sort in a finite instance."""

    sort: str
    index: int


@dataclass(frozen=True, slots=True)
class Tagged:
    """A value of an enum: a case and what it holds."""

    case: str
    content: Value | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """A record: its fields in the order of the declaration."""

    fields: tuple[tuple[str, Value], ...]

    def __getitem__(self, field: str) -> Value:
        return next(value for name, value in self.fields if name == field)

    def amended(self, changes: Mapping[str, Value]) -> Row:
        """The record with some fields changed."""
        return Row(tuple((name, changes.get(name, value)) for name, value in self.fields))


class Table(Mapping[tuple["Value", ...], "Value"]):
    """A total map from tuples of keys.

    Args:
        entries: the value at each key, or, with a default, at the keys that differ from it.
        default: the value everywhere else; None if every key is listed.
    """

    __slots__ = ("_default", "_entries", "_hash")

    def __init__(self, entries: Mapping[tuple[Value, ...], Value], default: Value | None = None) -> None:
        self._entries = {k: v for k, v in entries.items() if default is None or v != default}
        self._default = default
        self._hash = hash((frozenset(self._entries.items()), default))

    def __getitem__(self, key: tuple[Value, ...]) -> Value:
        if self._default is None:
            return self._entries[key]
        return self._entries.get(key, self._default)

    def __iter__(self) -> Iterator[tuple[Value, ...]]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Table):
            return NotImplemented
        return self._hash == other._hash and self._default == other._default and self._entries == other._entries

    def __repr__(self) -> str:
        return f"Table({self._entries!r}, default={self._default!r})"

    @property
    def default(self) -> Value | None:
        """The value at the keys that are not listed, if there are such keys."""
        return self._default

    def stored(self, changes: Iterable[tuple[tuple[Value, ...], Value]]) -> Table:
        """The map with other values at some keys; later changes win."""
        return Table({**self._entries, **dict(changes)}, self._default)


Value = bool | int | Element | Tagged | Row | Table | frozenset[Any]
FunctionValue = Callable[..., Value]


def shown(value: Value, sorts: Iterable[str] = ()) -> str:
    """A value as the language would write it; elements are `c0`, `c1`, … after the first letter of their sort.

    Args:
        value: the value.
        sorts: the sorts of the specification: those with the same first letter are written in full.
    """
    names = tuple(sorts)
    match value:
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case Element(sort, index):
            alone = sum(name[0].lower() == sort[0].lower() for name in names) <= 1
            return f"{sort[0].lower() if alone else sort.lower()}{index}"
        case Tagged(case, content):
            return case if content is None else f"{case}({shown(content, names)})"
        case Row(fields):
            return "(" + ", ".join(f"{name} = {shown(held, names)}" for name, held in fields) + ")"
        case Table():
            return _shown_table(value, names)
        case frozenset():
            return "{" + ", ".join(shown(element, names) for element in in_order(value)) + "}"


def _shown_table(table: Table, names: tuple[str, ...]) -> str:
    values = set(table.values())
    if len(values) == 1 and table.default is None:
        return f"all {shown(values.pop(), names)}"
    parts = [f"{shown_keys(key, names)}: {shown(table[key], names)}" for key in in_order(table)]
    if table.default is not None:
        if not parts:
            return f"all {shown(table.default, names)}"
        parts.append(f"else: {shown(table.default, names)}")
    return "[" + ", ".join(parts) + "]"


def shown_keys(keys: tuple[Value, ...], sorts: Iterable[str] = ()) -> str:
    """The keys of a map entry."""
    names = tuple(sorts)
    return ", ".join(shown(key, names) for key in keys)


def exchanged(value: Value, names: Mapping[Element, Element]) -> Value:
    """The value with other elements in the place of some."""
    match value:
        case Element():
            return names.get(value, value)
        case Tagged(case, content):
            return value if content is None else Tagged(case, exchanged(content, names))
        case Row(fields):
            return Row(tuple((name, exchanged(held, names)) for name, held in fields))
        case Table():
            entries = {tuple(exchanged(k, names) for k in key): exchanged(held, names) for key, held in value.items()}
            return Table(entries, None if value.default is None else exchanged(value.default, names))
        case frozenset():
            return frozenset(exchanged(element, names) for element in value)
        case _:
            return value


def elements(value: Value) -> Iterator[Element]:
    """The elements of sorts in a value, in a stable order."""
    match value:
        case Element():
            yield value
        case Tagged(_, content) if content is not None:
            yield from elements(content)
        case Row(fields):
            for _, held in fields:
                yield from elements(held)
        case Table():
            for key in in_order(value):
                for part in (*key, value[key]):
                    yield from elements(part)
        case frozenset():
            for element in in_order(value):
                yield from elements(element)
        case _:
            return


def in_order(values: Iterable[Any]) -> list[Any]:
    """Values in an order that does not depend on hashes."""
    return sorted(values, key=_rank)


def _rank(value: Any) -> tuple[Any, ...]:
    match value:
        case bool() | int():
            return (0, int(value), "")
        case Element(sort, index):
            return (1, index, sort)
        case tuple():
            return (2, len(value), [_rank(part) for part in value])
        case _:
            return (3, 0, repr(value))


def to_data(value: Value) -> Any:
    """The value as text, numbers, lists and maps with text keys: the form that JSON carries."""
    match value:
        case bool() | int():
            return value
        case Element(sort, index):
            return {"sort": sort, "index": index}
        case Tagged(case, content):
            return {"case": case} | ({} if content is None else {"content": to_data(content)})
        case Row(fields):
            return {"record": {name: to_data(held) for name, held in fields}}
        case Table():
            entries = [[[to_data(part) for part in key], to_data(table_value)] for key, table_value in _items(value)]
            return {"map": entries} | ({} if value.default is None else {"default": to_data(value.default)})
        case frozenset():
            return {"set": [to_data(element) for element in in_order(value)]}


def _items(table: Table) -> list[tuple[tuple[Value, ...], Value]]:
    return [(key, table[key]) for key in in_order(table)]


def from_data(data: Any) -> Value:
    """The inverse of `to_data`."""
    match data:
        case bool() | int():
            return data
        case {"sort": sort, "index": index}:
            return Element(sort, index)
        case {"case": case}:
            return Tagged(case, from_data(data["content"]) if "content" in data else None)
        case {"record": fields}:
            return Row(tuple((name, from_data(held)) for name, held in fields.items()))
        case {"map": entries}:
            default = from_data(data["default"]) if "default" in data else None
            return Table({tuple(map(from_data, key)): from_data(held) for key, held in entries}, default)
        case {"set": elements}:
            return frozenset(from_data(element) for element in elements)
        case _:
            raise ValueError(f"not a value: {data!r}")
