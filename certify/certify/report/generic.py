"""Any measurement, readably: what a check says that no view of its own is made for.

Rules this module keeps:

- whatever value evidence can hold is shown, or its size is; nothing here fails;
- units in the names of figures (``wall_ms``, ``memory_bytes``) become units in the text;
- what is long is cut, and how much was left out is said.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any, Final

from certify.report.panels import Cell, Figures, Panel, Table
from certify.report.text import shortened

MOST_ROWS: Final = 200
_MANY_ROWS: Final = 12
_MOST_COLUMNS: Final = 8
_LONGEST: Final = 400
_MOST_ITEMS: Final = 40
_UNITS: Final = {
    "_ms": "ms",
    "_us": "µs",
    "_seconds": "s",
    "_bytes": "bytes",
    "_kib": "KiB",
    "_millicores": "millicores",
}


def panels(measured: Mapping[str, Any]) -> tuple[Panel, ...]:
    """The values as labelled figures, lists of maps and maps of maps as tables."""
    simple = {name: value for name, value in measured.items() if not _is_table(value)}
    figures = tuple((label(name), cell(value, name)) for name, value in list(simple.items())[:MOST_ROWS])
    found: list[Panel] = [Figures("Measured", figures)] if figures else []
    found += [table(label(name), value) for name, value in measured.items() if _is_table(value)]
    return tuple(found)


def label(name: str) -> str:
    """The name of a figure, in words."""
    for ending in _UNITS:
        name = name.removesuffix(ending)
    words = name.replace("_", " ").strip()
    return words[:80] or "value"


def cell(value: Any, name: str = "") -> Cell:
    """One value as text."""
    unit = next((word for ending, word in _UNITS.items() if name.endswith(ending)), "")
    match value:
        case None | "":
            return Cell("–", tone="muted")
        case bool():
            return Cell("yes" if value else "no")
        case int() | float():
            return Cell(f"{number(value)} {unit}".strip())
        case str():
            return Cell(shortened(value, _LONGEST))
        case [] | ():
            return Cell("none", tone="muted")
        case list() | tuple() if not any(isinstance(item, list | tuple | dict) for item in value):
            shown = ", ".join(cell(item).text for item in value[:_MOST_ITEMS])
            more = f" and {len(value) - _MOST_ITEMS} more" if len(value) > _MOST_ITEMS else ""
            return Cell(shortened(shown, 4 * _LONGEST) + more)
        case {"least": int() | float() as least, "most": int() | float() as most}:
            return Cell(span(least, most, unit))
        case dict() if _is_brief(value):
            return Cell(
                "; ".join(f"{label(str(key))}: {cell(inner, str(key)).text}" for key, inner in value.items()) or "none"
            )
        case _:
            return Cell(shortened(as_json(value), _LONGEST), name=True)


def _is_brief(value: Mapping[str, Any]) -> bool:
    """Whether a map can be read in one line."""
    return len(value) <= _MANY_ROWS and not any(isinstance(inner, Mapping) for inner in value.values())


def span(least: float, most: float, unit: str) -> str:
    """A range of numbers, or the one that it is."""
    low, high = number(least), number(most)
    return f"{low if low == high else f'{low} – {high}'} {unit}".strip()


def number(value: float) -> str:
    """A number for people: thousands set apart, three digits behind small ones."""
    if not math.isfinite(value):
        return str(value)
    if abs(value) >= 100 or value == int(value):
        return f"{value:,.0f}" if abs(value) < 1e15 else f"{value:.3g}"
    return f"{value:.3g}"


def as_json(value: Any) -> str:
    """A value as one line of JSON, as far as it has one."""
    return json.dumps(value, ensure_ascii=False, default=repr)


def table(title: str, value: Any, *, most: int = MOST_ROWS) -> Table:
    """A list of maps, or a map of maps, as rows."""
    rows: list[Mapping[str, Any]]
    if isinstance(value, Mapping):
        rows = [{"": name, **inner} for name, inner in list(value.items())[:most]]
    else:
        rows = list(value[:most])
    columns = list(dict.fromkeys(name for row in rows for name in row))[:_MOST_COLUMNS]
    return Table(
        title,
        f"{len(value)} {'entry' if len(value) == 1 else 'entries'}",
        tuple(label(column) if column else "name" for column in columns),
        tuple(tuple(cell(row.get(column), column) for column in columns) for row in rows),
        left_out=len(value) - len(rows),
        collapsed=len(value) > _MANY_ROWS,
    )


def _is_table(value: Any) -> bool:
    if isinstance(value, Mapping):
        return bool(value) and all(isinstance(inner, Mapping) and "" not in inner for inner in value.values())
    return isinstance(value, list | tuple) and bool(value) and all(isinstance(inner, Mapping) for inner in value)
