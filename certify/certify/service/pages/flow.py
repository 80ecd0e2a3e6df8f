"""The picture of what a node reads, what it gives, and where its data goes.

Rules this module keeps:

- it is drawn from the manifest's declarations and from what the effects check saw, and says which is which;
- what was seen and not declared is in it, and stands out;
- the same is said in words beside it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from markupsafe import Markup

from certify.report import text
from certify.report.panels import Cell, Sets
from certify.report.view import Field, Report

CLASSES: Final = ("credential", "pii", "financial", "confidential", "internal", "public")
"""Classes of data, the most sensitive first."""
_OUTSIDE: Final = frozenset({"http", "network"})
_MOST: Final = 12
_ROW, _TOP, _WIDTH = 70, 30, 862
_BOX, _GAP = 236, 76


@dataclass(frozen=True, slots=True)
class Data:
    """Fields of one class, coming in or going out."""

    side: str
    tag: str
    fields: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Resource:
    """Something outside the node.

    Attributes:
        kind, name, mode: as declared; the mode of what is not declared is as it was seen.
        where: host, path or variables.
        carries: classes of data that may be sent there, the most sensitive first.
        word, tone: what became of it, in words, and how that strikes.
        declared: whether the manifest names it.
    """

    kind: str
    name: str
    mode: str
    where: str
    carries: tuple[str, ...]
    word: str
    tone: str
    declared: bool

    @property
    def is_egress(self) -> bool:
        """Whether it is beyond this machine."""
        return self.kind in _OUTSIDE


@dataclass(frozen=True, slots=True)
class Flow:
    """What goes in, what goes out, and what is used on the way."""

    node: str
    inputs: tuple[Data, ...]
    outputs: tuple[Data, ...]
    resources: tuple[Resource, ...]
    left_out: int

    def sentences(self) -> Iterator[str]:
        """The same in words."""
        for data in (*self.inputs, *self.outputs):
            verb = "takes" if data.side == "input" else "gives"
            yield f"{verb} {data.tag} data: {', '.join(data.fields)}"
        for each in self.resources:
            carries = f", may send {', '.join(each.carries)}" if each.carries else ""
            yield f"{'writes' if each.mode == 'write' else 'reads'} {each.kind} {each.name}{carries}: {each.word}"
        if self.left_out:
            yield f"and {self.left_out} more resources"


def flow(report: Report, manifest: Mapping[str, Any]) -> Flow:
    """The flow of a report's node."""
    seen = {row[0].text: row for row in _effect_rows(report)}
    resources = [_declared(each, seen) for each in _tables(manifest.get("resource"))]
    resources += [_undeclared(row) for row in seen.values() if row[1].text == "no"]
    resources.sort(key=lambda each: (each.declared, not each.is_egress))
    return Flow(
        node=report.evidence.node,
        inputs=tuple(_by_class("input", report.fields)),
        outputs=tuple(_by_class("output", report.fields)),
        resources=tuple(resources[:_MOST]),
        left_out=max(0, len(resources) - _MOST),
    )


def _tables(found: object) -> list[Mapping[str, Any]]:
    return [each for each in found if isinstance(each, Mapping)] if isinstance(found, list) else []


def _effect_rows(report: Report) -> list[tuple[Cell, ...]]:
    panels = [panel for check in report.checks for panel in check.panels if isinstance(panel, Sets)]
    return [row for panel in panels for row in panel.table.rows]


def _declared(said: Mapping[str, Any], seen: Mapping[str, tuple[Cell, ...]]) -> Resource:
    kind, name, mode = (str(said.get(key, "")) for key in ("kind", "name", "mode"))
    row = seen.get(f"{kind} {name} ({mode})") or next(
        (cells for key, cells in seen.items() if key.startswith(f"{kind} {name} (")), None
    )
    carries = said.get("carries")
    tags = {str(tag) for tag in carries} if isinstance(carries, list) else set()
    return Resource(
        kind=kind,
        name=name,
        mode=mode or "read",
        where=_where(said),
        carries=tuple(sorted(tags, key=_sensitivity)),
        word=row[-1].text if row else "declared; the effects check says nothing of it",
        tone=row[-1].tone if row else "",
        declared=True,
    )


def _undeclared(row: tuple[Cell, ...]) -> Resource:
    kind, _, name = row[0].text.partition(":")
    return Resource(kind, name or kind, "read", "", (), row[-1].text, row[-1].tone, declared=False)


def _where(said: Mapping[str, Any]) -> str:
    url = said.get("url")
    if isinstance(url, str):
        try:
            return urlsplit(url).netloc or url
        except ValueError:
            return url
    variables = said.get("variables")
    if isinstance(variables, list):
        return ", ".join(map(str, variables))
    return str(said.get("path", ""))


def _by_class(side: str, fields: Iterable[Field]) -> Iterator[Data]:
    found: dict[str, list[str]] = {}
    for field in fields:
        if field.side == side:
            found.setdefault(field.tag, []).append(field.path)
    for tag in sorted(found, key=_sensitivity):
        yield Data(side, tag, tuple(found[tag]))


def _sensitivity(tag: str) -> tuple[int, str]:
    return (CLASSES.index(tag) if tag in CLASSES else len(CLASSES), tag)


# -- drawing -----------------------------------------------------------------------------------------------------


def draw(found: Flow) -> Markup:
    """The flow as an inline picture; its colours come from the stylesheet."""
    left, right = (*found.inputs, *found.outputs), found.resources
    rows = max(len(left), len(right), 2)
    height = _TOP + rows * _ROW + 4
    middle = _TOP + rows * _ROW / 2
    half = min(30 + 4 * max(len(left), len(right)), 70)
    parts = [_heading(1, "data in and out"), _heading(_BOX + _GAP, "node"), _heading(2 * (_BOX + _GAP), "uses")]
    for number, data in enumerate(left):
        y, end = _centre(number, len(left), rows), _landing(number, len(left), middle, half)
        parts += [_data(data, y), _arrow(_BOX, y, _BOX + _GAP, end, back=data.side == "output", kind=_tag(data.tag))]
    for number, each in enumerate(right):
        y, begin = _centre(number, len(right), rows), _landing(number, len(right), middle, half)
        kind = _tag(each.carries[0]) if each.carries else "plain"
        parts.append(
            _arrow(
                2 * _BOX + _GAP,
                begin,
                2 * (_BOX + _GAP),
                y,
                back=each.mode != "write",
                kind=kind if each.declared else "alarm",
            )
        )
        parts.append(_resource(each, y))
    parts.append(
        Markup(
            '<g class="centre"><rect x="{}" y="{}" width="{}" height="{}" rx="10"/>'
            '<text x="{}" y="{}" text-anchor="middle">{}</text></g>'
        ).format(_BOX + _GAP, middle - half, _BOX, 2 * half, _BOX * 1.5 + _GAP, middle + 5, _fit(found.node, 27))
    )
    label = f"Effects and data flow: {'; '.join(text.one_line(each) for each in found.sentences())}"
    return Markup(
        '<svg class="flow" viewBox="0 0 {} {}" role="img" aria-label="{}" focusable="false">'
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" '
        'orient="auto-start-reverse"><path d="M0 0L8 4L0 8z"/></marker></defs>{}</svg>'
    ).format(_WIDTH, height, label, Markup("").join(parts))


def _landing(number: int, of: int, middle: float, half: float) -> float:
    """Where the arrow meets the node's box: side by side, in the order of what it comes from."""
    return middle + (number - (of - 1) / 2) * min(14.0, 2 * (half - 10) / max(of - 1, 1))


def _centre(number: int, of: int, rows: int) -> float:
    return _TOP + (rows - of) * _ROW / 2 + number * _ROW + _ROW / 2


def _tag(tag: str) -> str:
    return tag if tag in CLASSES else "plain"


def _fit(value: str, most: int) -> str:
    plain = text.one_line(value, name=True)
    return plain if len(plain) <= most else f"{plain[: most - 1]}…"


def _heading(x: float, words: str) -> Markup:
    return Markup('<text class="head" x="{}" y="14">{}</text>').format(x, words)


def _data(data: Data, y: float) -> Markup:
    verb = "in" if data.side == "input" else "out"
    return Markup(
        '<g class="box {}"><rect x="1" y="{}" width="{}" height="46" rx="8"/><text class="kind" x="14" y="{}">'
        '{}: {}</text><text x="14" y="{}">{}</text></g>'
    ).format(
        _tag(data.tag), y - 23, _BOX - 1, y - 4, verb, _fit(data.tag, 24), y + 14, _fit(", ".join(data.fields), 30)
    )


def _resource(each: Resource, y: float) -> Markup:
    x = 2 * (_BOX + _GAP)
    lines = [
        (f"{_fit(each.kind, 20)}, {'undeclared' if not each.declared else each.mode}", "kind"),
        (_fit(each.name, 30), "main"),
        (_fit(f"sends {', '.join(each.carries)}" if each.carries else "", 38), "kind"),
    ]
    if each.is_egress:
        lines[0] = (f"egress, {lines[0][0]}", "kind")
    if each.where and each.where != each.name:
        lines[1] = (_fit(f"{each.name}: {each.where}", 30), "main")
    shown = [line for line in lines if line[0]]
    top = y - 9 * len(shown) - 5
    words = Markup("").join(
        Markup('<text class="{}" x="{}" y="{}">{}</text>').format(kind, x + 14, top + 19 + 17 * number, said)
        for number, (said, kind) in enumerate(shown)
    )
    return Markup('<g class="box {} {}"><rect x="{}" y="{}" width="{}" height="{}" rx="8"/>{}</g>').format(
        "declared" if each.declared else "alarm", _tone(each.tone), x, top, _BOX, 18 * len(shown) + 10, words
    )


def _tone(tone: str) -> str:
    return tone if tone in {"good", "bad", "warn", "muted"} else ""


def _arrow(x1: float, y1: float, x2: float, y2: float, *, back: bool, kind: str) -> Markup:
    bend = (x2 - x1) / 2
    end = "start" if back else "end"
    return Markup('<path class="arrow {}" d="M{} {}C{} {} {} {} {} {}" marker-{}="url(#tip)"/>').format(
        kind, x1 + 4, y1, x1 + bend, y1, x2 - bend, y2, x2 - 4, y2, end
    )
