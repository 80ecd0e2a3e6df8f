"""The report as one HTML page, for a reviewer.

Rules this module keeps:

- the page is self-contained and has no script; its own policy, written in its head, forbids anything else;
- every value passes through `_shown` on its way into the page: what cannot be seen is made visible, what looks like
  something else is marked, and everything is escaped;
- pictures are drawn from numbers alone, and each has its numbers beside it as text.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any, Final

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from certify.evidence.bundle import Evidence
from certify.report import generic, text
from certify.report.panels import Bar, Panel
from certify.report.view import Report, anchor_of

_PAGE, _PARTS = "report.html.j2", "parts.html.j2"
_LONGEST: Final = 4000
#: Positions of the counts in the picture of three sets, by membership (declared, in the text, observed).
_REGIONS: Final = {
    (True, False, False): (78, 82),
    (False, True, False): (242, 82),
    (False, False, True): (160, 222),
    (True, True, False): (160, 72),
    (True, False, True): (113, 152),
    (False, True, True): (207, 152),
    (True, True, True): (160, 122),
}


def render(report: Report) -> bytes:
    """The page, in UTF-8."""
    page = environment().get_template(_PAGE).render(report=report, style=Markup(style()))  # noqa: S704 - our own file
    return (page.strip("\n") + "\n").encode()


def prepare() -> None:
    """Load the page's templates, so that `render` need not: that takes several times as long as to fill them in."""
    for name in (_PAGE, _PARTS):
        environment().get_template(name)


@cache
def environment(*packages: str) -> Environment:
    """Where templates find what a report is made of, ``parts.html.j2``; templates of further packages come first."""
    made = Environment(
        loader=ChoiceLoader([PackageLoader(package) for package in (*packages, "certify.report")]),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {
        "name": _name,
        "attribute": _attribute,
        "prose": _prose,
        "seconds": _seconds,
        "argument": _argument,
    }
    made.globals |= {
        "sets": _sets,
        "legend": _legend,
        "bar": _bar,
        "anchor": anchor_of,
        "kind": _kind,
        "moment": _moment,
        "laboratory_panels": _laboratory,
        "first_run": _first_run,
    }
    return made


@cache
def style() -> str:
    """The stylesheet."""
    return resources.files("certify.report").joinpath("style.css").read_text(encoding="utf-8")


def _shown(value: Any) -> Any:
    """What an expression of the template prints: text is made fit to be looked at, and escaped."""
    if isinstance(value, Markup) or not isinstance(value, str):
        return value
    return _marked(str(value))


def _name(value: Any) -> Markup:
    """Something that names: a file, a host, a package, a digest."""
    return _marked(str(value), name=True)


def _attribute(value: Any) -> Markup:
    """Text for an attribute, where nothing can be set apart."""
    return escape(text.one_line(str(value)))


def _marked(value: str, *, name: bool = False) -> Markup:
    shown = text.shortened(value, _LONGEST)
    parts = [
        Markup('<span class="code-point">{}</span>').format(piece.text) if piece.mark else escape(piece.text)
        for piece in text.pieces(shown, name=name)
    ]
    joined = Markup("").join(parts)
    return Markup("<bdi>{}</bdi>").format(joined) if text.runs_from_right(shown) else joined


def _prose(value: Any) -> Markup:
    """A message: what stands between two backticks is set as code."""
    parts = text.shortened(str(value), _LONGEST).split("`")
    if len(parts) % 2 == 0:  # a backtick of the node's own: nothing is paired
        return _marked(str(value))
    shown = [
        Markup("<code>{}</code>").format(_marked(part, name=True)) if index % 2 else _marked(part)
        for index, part in enumerate(parts)
    ]
    return Markup("").join(shown)


def _seconds(value: float) -> str:
    if value < 0.001:
        return "–"
    return f"{value * 1000:.0f} ms" if value < 1 else f"{value:.1f} s"


def _moment(value: str) -> str:
    """A time of the evidence, for people."""
    day, _, rest = value.partition("T")
    return f"{day} {rest[:5]} UTC" if rest else value


def _laboratory(evidence: Evidence) -> tuple[Panel, ...]:
    return generic.panels(evidence.laboratory)


def _argument(value: Any) -> Markup:
    """A name as one argument of a shell, whatever it is."""
    return _name(shlex.quote(str(value)))


def _first_run(report: Report) -> str:
    """The digest of a stored run; empty if there is none."""
    return next((digest for check in report.checks for _label, digest in check.artefacts), "")


def _kind(panel: Panel) -> str:
    """Which macro shows a panel."""
    return type(panel).__name__.lower()


def _sets(counts: Mapping[tuple[bool, bool, bool], int]) -> Markup:
    """Three overlapping circles with the number of effects in each part; parts without any are left blank."""
    numbers = Markup("").join(
        Markup('<text x="{}" y="{}" class="count">{}</text>').format(x, y, counts[region])
        for region, (x, y) in _REGIONS.items()
        if counts.get(region)
    )
    total = sum(counts.values())
    whole = counts.get((True, True, True), 0)
    label = f"Three overlapping sets of effects: declared, in the text, observed. {whole} of {total} are in all three."
    return Markup(
        '<svg class="sets" viewBox="0 0 320 262" role="img" aria-label="{}">'
        '<circle cx="120" cy="96" r="76"/><circle cx="200" cy="96" r="76"/><circle cx="160" cy="165" r="76"/>'
        '<text x="64" y="14" class="set">declared</text><text x="256" y="14" class="set">in the text</text>'
        '<text x="160" y="257" class="set">observed</text>{}</svg>'
    ).format(label, numbers)


def _legend(counts: Mapping[tuple[bool, bool, bool], int]) -> list[tuple[str, int]]:
    """The parts of the picture in words, largest membership first."""
    names = ("declared", "in the text", "observed")
    return [
        (
            ", ".join(name for name, held in zip(names, region, strict=True) if held)
            + (" only" if sum(region) == 1 else ""),
            counts[region],
        )
        for region in sorted(_REGIONS, key=lambda region: (-sum(region), region), reverse=False)
        if counts.get(region)
    ]


def _bar(bar: Bar) -> Markup:
    """What was used, as a part of what is allowed; the line is the limit."""
    least, most, limit = (round(bar.share(amount) * 1000, 1) for amount in (bar.least, bar.most, bar.allowed))
    shown = max(most, 4.0) if bar.most > 0 else 0.0
    return Markup(
        '<svg class="bar{}" viewBox="0 0 1000 20" preserveAspectRatio="none" role="img" aria-label="{}">'
        '<rect class="track" width="{}" height="20"/><rect class="used" width="{}" height="20"/>'
        '<rect class="range" x="{}" width="{}" height="20"/><rect class="limit" x="{}" width="4" height="20"/></svg>'
    ).format(
        " over" if bar.over else "",
        f"{bar.name}: {bar.used} used, {bar.limit} allowed",
        limit,
        shown,
        least,
        max(0.0, round(most - least, 1)),
        min(limit, 996),
    )
