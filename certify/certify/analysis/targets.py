"""What a call is aimed at, as far as its text says: hosts, paths, variables, modes.

Rules this module keeps:

- pure functions of abstract values;
- what the text does not settle counts as the worst: an open mode that is not constant writes, a host that is not
  complete is no host.
"""

from __future__ import annotations

import ast
import posixpath
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

from certify.analysis.values import NOTHING, Bound, Instance, Text, Value, Values
from certify.manifest.model import Mode

#: How `__file__` and what is derived from it begin: the node's own folder, which is part of what is certified.
NODE: Final = "<node>"
_PORTS: Final = {"http": 80, "https": 443, "ws": 80, "wss": 443}
_READING: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_MOST: Final = 8


@dataclass(slots=True)
class Arguments:
    """The arguments of a call: values and nodes by position, values by keyword, and whatever stars bring."""

    positional: list[Values] = field(default_factory=list)
    nodes: list[ast.expr] = field(default_factory=list)
    keywords: dict[str, Values] = field(default_factory=dict)
    keyword_nodes: dict[str, ast.expr] = field(default_factory=dict)
    starred: Values = NOTHING
    has_star: bool = False

    @property
    def count(self) -> int:
        """How many arguments the text shows."""
        return len(self.positional) + len(self.keywords)

    def every(self) -> Values:
        """The values of all arguments together."""
        return self.starred.union(*self.positional, *self.keywords.values())

    def get(self, index: int, *names: str) -> Values | None:
        """The argument at a position or under one of the names; None when the call does not give it."""
        if 0 <= index < len(self.positional):
            return self.positional[index]
        return next((self.keywords[name] for name in names if name in self.keywords), None)

    def node(self, index: int, *names: str) -> ast.expr | None:
        """The node of the argument at a position or under one of the names."""
        if 0 <= index < len(self.nodes):
            return self.nodes[index]
        return next((self.keyword_nodes[name] for name in names if name in self.keyword_nodes), None)


def texts(values: Values | None) -> list[str] | None:
    """The texts that the values can be; None unless all of them are known in full."""
    if not values:
        return None
    found = [value.text for value in values if isinstance(value, Text) and value.exact]
    return sorted(found) if len(found) == len(values) else None


def open_mode(values: Values | None, *, has_star: bool) -> Mode:
    """The mode that an open mode such as ``"r"`` or ``"w+"`` asks for."""
    if values is None:
        return Mode.WRITE if has_star else Mode.READ
    known = texts(values)
    return Mode.READ if known is not None and not any(set(mode) & set("wax+") for mode in known) else Mode.WRITE


def verb_mode(values: Values | None) -> Mode:
    """The mode that an HTTP method asks for."""
    known = texts(values)
    return Mode.READ if known is not None and all(verb.upper() in _READING for verb in known) else Mode.WRITE


def sql_mode(values: Values | None) -> Mode:
    """The mode that SQL text asks for, by its first word."""
    starts = [value.text for value in values or () if isinstance(value, Text)]
    if not values or len(starts) != len(values):
        return Mode.WRITE
    reading = all(start.lstrip().partition(" ")[0].upper().strip() in {"SELECT", "EXPLAIN"} for start in starts)
    return Mode.READ if reading else Mode.WRITE


def paths(values: Values | None) -> list[str]:
    """The paths that the values can be; an empty text stands for one that is not known in full."""
    found = set()
    for value in values or ():
        match value:
            case Text(text, True):
                found.add(_normal(text))
            case Instance("pathlib.Path", target, True) if target:
                found.add(_normal(target))
            case _:
                found.add("")
    return sorted(found)[:_MOST] if found and "" not in found else [""]


def is_own(path: str) -> bool:
    """Whether a path lies in the node's own folder."""
    return path == NODE or path.startswith(NODE + "/")


def _normal(path: str) -> str:
    return posixpath.normpath(path) if path and "://" not in path and path != ":memory:" else path


def addresses(
    values: Values | None, node: ast.expr | None, port: ast.expr | None, default: int, base: str
) -> list[str]:
    """The `host:port` of each URL or host name; an empty text stands for one that is not known in full.

    Args:
        values: the argument's values.
        node: the argument, of which a tuple of host and port is read.
        port: the argument that holds the port, if any.
        default: the port when none is given; 0 when there is no default.
        base: the URL that relative ones are joined to.
    """
    if isinstance(node, ast.Tuple) and len(node.elts) >= 2:
        match node.elts[0], node.elts[1]:
            case ast.Constant(value=str(host)), ast.Constant(value=int(number)):
                return [f"{host}:{number}"]
            case _:
                return [""]
    found = {_address(value, port, default, base) for value in values or ()}
    return sorted(found)[:_MOST] if found and "" not in found else [""]


def _address(value: Value, port: ast.expr | None, default: int, base: str) -> str:
    match value:
        case Instance("urllib.request.Request", target, exact):
            text = target
        case Text(text, exact):
            pass
        case _:
            return ""
    if "://" not in text:
        if base and text.startswith("/"):
            return host_of(base, exact=True)
        if not exact or "/" in text or not text or base:
            return ""
        number = port.value if isinstance(port, ast.Constant) and isinstance(port.value, int) else default
        host, colon, tail = text.rpartition(":")
        return text if colon and tail.isdigit() and host else f"{text}:{number}" if number else ""
    return host_of(text, exact=exact)


def host_of(url: str, *, exact: bool) -> str:
    """`host:port` of a URL; empty when it is not complete."""
    try:
        parts = urlsplit(url)
        number = parts.port or _PORTS.get(parts.scheme, 0)
    except ValueError:
        return ""
    complete = exact or bool(parts.path) or bool(parts.query)
    return f"{parts.hostname}:{number}" if parts.hostname and number and complete else ""


def instances(type_: str, values: Values | None) -> Values:
    """Objects of an external class, opened on each of the values."""
    found: set[Value] = set()
    for value in values or ():
        match value:
            case Text(text, exact):
                found.add(Instance(type_, text, exact))
            case Instance(_, target, exact):
                found.add(Instance(type_, target, exact))
            case _:
                found.add(Instance(type_, "", False))
    return frozenset(found or {Instance(type_, "", True)})


def joined(parts: list[Values]) -> Iterator[tuple[str, bool]]:
    """Paths joined as `os.path.join` does, with whether each is known in full; nothing when the first part is not."""
    results: list[tuple[str, bool]] = [("", True)]
    for values in parts:
        grown: list[tuple[str, bool]] = []
        for start, exact in results:
            if not exact:
                grown.append((start, False))
                continue
            for value in values or {None}:
                match value:
                    case Text(text, known) | Instance(_, text, known):
                        grown.append((posixpath.join(start, text), known))
                    case _:
                        grown.append((start, False))
        results = grown[:_MOST]
    yield from results


def parent(text: str) -> str:
    """The folder of a path; empty when the text does not tell."""
    return posixpath.dirname(_normal(text))


def concatenated(left: Values, right: Values) -> Values:
    """Texts of `left` followed by texts of `right`; only how they begin where the right is not known."""
    found: set[Value] = set()
    for first in left:
        if not isinstance(first, Text):
            continue
        if not first.exact:
            found.add(first)
            continue
        for second in right or {None}:
            known = isinstance(second, Text)
            found.add(
                Text(first.text + second.text, second.exact) if isinstance(second, Text) else Text(first.text, known)
            )
    return frozenset(found) if len(found) <= _MOST else NOTHING


def receivers(values: Iterable[Value]) -> list[Bound]:
    """The external methods among the values."""
    return [value for value in values if isinstance(value, Bound)]
