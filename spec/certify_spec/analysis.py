"""What can be said of a typed expression without running it: what it reads, how deep and how large it is.

Rules this module keeps:

- definitions count as if they were written out;
- nothing here recurses over expressions that have not been measured, so no specification exhausts the stack.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from certify_spec import model as m


def variables_read(
    expression: m.Expression, definitions: Mapping[str, m.Definition], actions: Mapping[str, m.Action] | None = None
) -> frozenset[str]:
    """The state variables that the value of an expression depends on, through definitions and guards too."""
    found: set[str] = set()
    seen: set[str] = set()
    waiting: list[Iterator[m.Expression]] = [m.walk(expression)]
    while waiting:
        for part in waiting.pop():
            if isinstance(part, m.Variable):
                found.add(part.name)
            elif isinstance(part, m.Invoked) and part.definition not in seen and part.definition in definitions:
                seen.add(part.definition)
                waiting.append(m.walk(definitions[part.definition].body))
            elif isinstance(part, m.Enabled) and actions and f"enabled {part.action}" not in seen:
                seen.add(f"enabled {part.action}")
                waiting.append(m.walk(actions[part.action].guard))
    return frozenset(found)


def names_used(expression: m.Expression) -> frozenset[str]:
    """The variables, functions and definitions that an expression names itself."""
    found: set[str] = set()
    for part in m.walk(expression):
        match part:
            case m.Variable(name=name) | m.Applied(name=name):
                found.add(name)
            case m.Invoked(definition=name):
                found.add(name)
            case _:
                pass
    return frozenset(found)


@dataclass(frozen=True, slots=True)
class Measure:
    """How deep an expression nests and how many nodes it has, definitions written out."""

    depth: int
    size: int


MAX_DEPTH = 200
"""Deeper expressions are refused: readers recurse, and Python's stack holds about a thousand frames."""

MAX_SIZE = 200_000
"""Larger expressions are refused: definitions that use each other twice grow without bound."""


class Measurer:
    """Measures expressions, each part once, however often it is shared."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[m.Expression, Measure]] = {}
        self._definitions: dict[str, Measure] = {}

    def define(self, name: str, body: m.Expression) -> Measure:
        """Measure a definition's body, for its uses."""
        self._definitions[name] = self.measure(body)
        return self._definitions[name]

    def measure(self, expression: m.Expression) -> Measure:
        """The measure of an expression."""
        waiting = [(expression, False)]
        while waiting:
            part, expanded = waiting.pop()
            if id(part) in self._known:
                continue
            if not expanded:
                waiting.append((part, True))
                waiting.extend((child, False) for child in m.children(part))
                continue
            below = [self._known[id(child)][1] for child in m.children(part)]
            depth = 1 + max((measure.depth for measure in below), default=0)
            size = 1 + sum(measure.size for measure in below)
            if isinstance(part, m.Invoked):
                body = self._definitions.get(part.definition, Measure(0, 0))
                depth, size = depth + body.depth, size + body.size
            # The expression is kept beside its measure: an id is only unique while its object lives.
            self._known[id(part)] = (part, Measure(min(depth, 10 * MAX_DEPTH), min(size, 10 * MAX_SIZE)))
        return self._known[id(expression)][1]
