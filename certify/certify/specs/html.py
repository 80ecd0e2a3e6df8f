"""Verified machines as one HTML page: verdicts, counterexamples as tables and pictures, and the lines they break.

Rules this module keeps:

- the page is self-contained and has no script; its own policy, written in its head, forbids anything else;
- every text is escaped, and what cannot be seen is made visible;
- a picture never says more than the table beside it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from importlib import resources
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from certify.report import text
from certify.specs import diagram, tables
from certify.specs.engine import Verified
from certify.specs.explain import SANITY, Explained, Standing
from certify_spec.diagnostics import Place

_LONGEST: Final = 4000
_MOST_LINES: Final = 40
_MOST_STATE: Final = 400


def render(machines: Sequence[Verified]) -> str:
    """The page."""
    page = _environment().get_template("verified.html.j2").render(machines=machines, style=_style())
    return page.rstrip("\n") + "\n"


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("certify.specs"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"prose": _prose, "attribute": lambda value: escape(text.one_line(str(value)))}
    environment.globals |= {
        "draw": diagram.draw,
        "headline": tables.headline,
        "agreement": tables.agreement,
        "agreement_line": tables.agreement_line,
        "sanity_line": tables.sanity_line,
        "seconds": tables.seconds,
        "rows": tables.rows,
        "tone": _tone,
        "icon": _icon,
        "worst": _worst,
        "source": _source,
        "start": _start,
        "anchor": _anchor,
        "SANITY": SANITY,
    }
    return environment


@cache
def _style() -> Markup:
    sheets = (resources.files("certify.report") / "style.css", resources.files("certify.specs") / "page.css")
    return Markup("\n").join(Markup(sheet.read_text(encoding="utf-8")) for sheet in sheets)  # noqa: S704 - our own files


def _shown(value: Any) -> Any:
    """What an expression of the template prints: text is made fit to be looked at, and escaped."""
    if isinstance(value, Markup) or not isinstance(value, str):
        return value
    return _marked(value)


def _marked(value: str) -> Markup:
    return Markup("").join(
        Markup('<span class="code-point">{}</span>').format(piece.text) if piece.mark else escape(piece.text)
        for piece in text.pieces(text.shortened(value, _LONGEST))
    )


def _prose(value: Any) -> Markup:
    """A message: what stands between two backticks is set as code."""
    parts = str(value).split("`")
    if len(parts) % 2 == 0:
        return _marked(str(value))
    shown = [Markup("<code>{}</code>").format(_marked(p)) if i % 2 else _marked(p) for i, p in enumerate(parts)]
    return Markup("").join(shown)


def _tone(standing: Standing) -> str:
    return {Standing.HELD: "passed", Standing.BROKEN: "failed", Standing.OPEN: "unknown"}[standing]


def _icon(standing: Standing) -> Markup:
    paths = {
        Standing.HELD: "M4.4 8.3l2.4 2.4 4.8-5.2",
        Standing.BROKEN: "M5.2 5.2l5.6 5.6M10.8 5.2l-5.6 5.6",
        Standing.OPEN: "M8 4v5M8 11.6v.4",
    }
    return Markup(
        '<svg class="icon" viewBox="0 0 16 16" aria-hidden="true"><circle cx="8" cy="8" r="8"/><path d="{}"/></svg>'
    ).format(paths[standing])


def _worst(machine: Verified) -> Standing:
    standings = {each.standing for each in machine.explained}
    if Standing.BROKEN in standings:
        return Standing.BROKEN
    return Standing.OPEN if Standing.OPEN in standings or machine.trouble else Standing.HELD


def _anchor(machine: Verified, each: Explained) -> str:
    return f"{machine.specification.name}-{machine.explained.index(each)}"


def _start(each: Explained) -> list[tuple[str, str]]:
    assert each.story is not None
    return [(name, text.shortened(value, _MOST_STATE)) for name, value in each.story.start]


def _source(machine: Verified, each: Explained) -> list[dict[str, Any]]:
    """The lines of the property, with the part that is false set apart."""
    place = each.finding.place
    clause = each.story.clause_place if each.story else None
    last = max(place.end_line or place.line, clause.end_line if clause else 0)
    lines = machine.specification.text.splitlines()
    shown = range(place.line, min(last, place.line + _MOST_LINES, len(lines)) + 1)
    return [{"number": n, "hit": _hits(clause, n), "parts": list(_parts(lines[n - 1], n, clause))} for n in shown]


def _hits(clause: Place | None, number: int) -> bool:
    return clause is not None and clause.line <= number <= clause.end_line


def _parts(line: str, number: int, clause: Place | None) -> Iterator[tuple[str, bool]]:
    if clause is None or not _hits(clause, number):
        yield line, False
        return
    begin = clause.column - 1 if number == clause.line else len(line) - len(line.lstrip())
    end = clause.end_column - 1 if number == clause.end_line else len(line)
    yield from ((line[:begin], False), (line[begin:end], True), (line[end:], False))
