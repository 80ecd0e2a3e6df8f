"""The report as Markdown: a comment on a change, or a page of a pipeline's summary.

Rules this module keeps:

- whatever comes from the node is either in a code span, whose fence is longer than any run of backticks in it, or
  escaped so far that nothing in it is a link, a mention, a reference, mathematics or HTML;
- the whole stays below `LONGEST` characters, which is what the common code hosts accept as one comment; verdicts and
  refusals come first, and what was left out is counted.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from certify.report import text
from certify.report.panels import Bars, Cell, Figures, Panel, Sets, Table, Tiles
from certify.report.view import Attention, Check, Finding, Group, Report
from certify_spec.diagnostics import Severity

LONGEST: Final = 60_000
"""The most characters of one report."""
_MESSAGE: Final = 600
_IN_FULL: Final = 3
_IN_BRIEF: Final = 5
_MOST_ROWS: Final = 25
_SIGNS: Final = {
    "passed": "✅", "failed": "❌", "waived": "🟡", "unknown": "❔", "not-applicable": "➖", "not run": "❔",
    "incomplete": "❔", "error": "❌", "warning": "⚠️", "note": "➖",
}  # fmt: skip
_SPECIAL: Final = re.compile(r"^[-+=]|[\\`*_{}\[\]<>&#|~$@]|://|www\.", re.IGNORECASE)


def render(report: Report) -> bytes:
    """The comment, in UTF-8."""
    kept: list[str] = []
    size = 0
    for block in _blocks(report):
        if size + len(block) > LONGEST - 200:
            kept.append("The rest is too long for a comment: see the HTML report.")
            break
        kept.append(block)
        size += len(block) + 2
    return ("\n\n".join(kept) + "\n").encode()


def _blocks(report: Report) -> Iterator[str]:
    """The paragraphs, most important first."""
    evidence = report.evidence
    yield f"## {_SIGNS[report.word]} {code(evidence.name)}: {report.word.replace('-', ' ')}"
    yield f"**{report.headline}.**" + (f" {prose(report.node['summary'])}" if "summary" in report.node else "")
    if report.attention:
        yield "### Look at this first"
        yield "\n".join(_pointer(item) for item in report.attention)
        if report.attention_left_out:
            yield f"and {report.attention_left_out} more below"
    yield "### Checks"
    yield "\n".join(_checks(report))
    for check in report.checks:
        yield from _findings(check)
    for check in report.checks:
        yield from _measured(check)
    yield from _provenance(report)


def _pointer(item: Attention) -> str:
    return f"- {_SIGNS[item.kind]} {prose(item.text)}"


def _checks(report: Report) -> Iterator[str]:
    yield "| check | verdict | time | in a line |"
    yield "|:--|:--|--:|:--|"
    for check in report.checks:
        verdict = f"{_SIGNS[check.verdict]} {check.verdict.replace('-', ' ')}"
        yield f"| {code(check.id, cell=True)} | {verdict} | {check.seconds:.2f} s | {prose(check.line)} |"
    for name in report.not_run:
        yield f"| {code(name, cell=True)} | {_SIGNS['not run']} not run | – | without it nothing can be published |"


def _findings(check: Check) -> Iterator[str]:
    if not check.groups:
        return
    refusing = any(group.severity is Severity.ERROR for group in check.groups)
    size = sum(group.size for group in check.groups) + check.groups_left_out
    count = "1 finding" if size == 1 else f"{size} findings"
    yield f"<details{' open' if refusing else ''}><summary>{_title(check)}: {count}</summary>"
    for group in check.groups:
        yield from _group(group)
    if check.groups_left_out:
        yield f"and {check.groups_left_out} findings of other codes"
    yield "</details>"


def _title(check: Check) -> str:
    """The title of a check that this release knows; of another no more than that, for here it would be HTML."""
    return check.title if check.question else "Further check"


def _group(group: Group) -> Iterator[str]:
    for finding in group.full[:_IN_FULL]:
        yield from _finding(finding)
    brief = [finding.what for finding in group.full[_IN_FULL:]] + list(group.brief)
    if brief:
        lines = [
            f"- {code(str(what.place)) + ' ' if what.place else ''}{prose(what.message)}" for what in brief[:_IN_BRIEF]
        ]
        left = group.size - min(len(group.full), _IN_FULL) - len(lines)
        yield "\n".join([*lines, *([f"- and {left} more of {code(group.code)}"] if left else [])])


def _finding(finding: Finding) -> Iterator[str]:
    what = finding.what
    kind = "waived" if finding.waiver else what.severity.value
    where = f" at {code(str(what.place))}" if what.place else ""
    yield f"{_SIGNS[kind]} **{kind}** {code(what.code)}{where}: {prose(what.message)}"
    if finding.excerpt:
        lines = [f"{'>' if line.hit else ' '} {line.number:>4}  {line.text}" for line in finding.excerpt]
        yield _fence("\n".join(lines))
    said = []
    if what.because:
        said.append(f"- because: {prose(what.because)}")
    if what.fix:
        said.append(f"- what now: {prose(what.fix)}")
    if finding.waiver:
        until, owner, reason = (str(finding.waiver.get(name, "?")) for name in ("expires", "owner", "reason"))
        said.append(f"- waived until {code(until)} by {code(owner)}: {prose(reason)}")
    said += [
        f"- ↳ {prose(note.message)}{f' ({code(str(note.place))})' if note.place else ''}"
        for note, _line in finding.path
    ]
    if what.replay:
        said.append(f"- see it again: {code(what.replay)}")
    if said:
        yield "\n".join(said)
    if finding.change and what.edit:
        signs = {"added": "+", "removed": "-", "kept": " "}
        yield f"suggested edit of {code(what.edit.place.file)}:"
        yield _fence("\n".join(f"{signs[line.kind]}{line.text}" for line in finding.change), "diff")


def _measured(check: Check) -> Iterator[str]:
    lines = [line for panel in check.panels for line in _panel(panel)]
    if lines:
        yield f"<details><summary>{_title(check)}: measured</summary>"
        yield "\n".join(lines)
        yield "</details>"


def _panel(panel: Panel) -> Iterator[str]:
    match panel:
        case Figures(rows=rows):
            yield from (f"- **{prose(label)}**: {_cell(value)}" for label, value in rows[:_MOST_ROWS])
        case Tiles(tiles=tiles):
            yield from (f"- {prose(tile.name)}: {prose(tile.word)}" for tile in tiles)
        case Bars(bars=bars):
            for bar in bars:
                over = " **over**" if bar.over else ""
                yield f"- {bar.name}: {prose(bar.used)} of {prose(bar.limit)}{over}"
        case Sets(table=table):
            yield from _table(table)
        case Table():
            yield from _table(panel)


def _table(table: Table) -> Iterator[str]:
    if table.collapsed:
        yield f"- {prose(table.caption)}"
        return
    yield ""
    yield f"| {' | '.join(prose(column) for column in table.columns)} |"
    yield f"|{':--|' * len(table.columns)}"
    for row in table.rows[:_MOST_ROWS]:
        yield f"| {' | '.join(_cell(value) for value in row)} |"
    if left := table.left_out + max(0, len(table.rows) - _MOST_ROWS):
        yield ""
        yield f"and {left} more"
    yield ""


def _cell(value: Cell) -> str:
    return code(value.text, cell=True) if value.name else prose(value.text)


def _provenance(report: Report) -> Iterator[str]:
    evidence = report.evidence
    yield "<details><summary>Provenance</summary>"
    rows = [("subject", evidence.subject), ("evidence", report.digest), ("policies", evidence.policy)]
    rows += [("bill of materials", evidence.sbom), ("finished", evidence.finished)]
    rows += [("waiver", f"{waiver['id']}") for waiver in report.waivers[:_MOST_ROWS]]
    lines = [f"- {label}: {code(value)}" for label, value in rows]
    if report.absent:
        lines.append(f"- {len(report.absent)} files that the evidence names were not at hand, or altered")
    yield "\n".join(lines)
    yield f"Check it: {code('certify registry verify-log')}; the digests are BLAKE3."
    yield "</details>"


# -- neutral text ------------------------------------------------------------------------------------------------


def code(value: str, *, cell: bool = False) -> str:
    """The value in a code span, in one line; within a table's cell, bars are escaped."""
    shown = text.one_line(text.shortened(value, _MESSAGE), name=True) or "–"
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", shown)), default=0))
    blank = " " if shown[0] == "`" or shown[-1] == "`" else ""
    span = f"{fence}{blank}{shown}{blank}{fence}"
    return span.replace("|", "\\|") if cell else span


def prose(value: str) -> str:
    """The value as text in one line, with what stands between two backticks as code."""
    parts = text.one_line(text.shortened(value, _MESSAGE)).split("`")
    if len(parts) % 2 == 0 or any(not part.strip() or "|" in part for part in parts[1::2]):
        return _escaped("`".join(parts))
    return "".join(code(part) if index % 2 else _escaped(part) for index, part in enumerate(parts))


def _escaped(value: str) -> str:
    return _SPECIAL.sub(_escape, value)


def _escape(match: re.Match[str]) -> str:
    """One special piece of text, as it shows: a comment after a sign keeps hosts from reading it as a reference."""
    found = match[0]
    if found == "://":
        return ":<!-- -->//"
    if len(found) > 1:
        return f"{found[:3]}<!-- -->{found[3:]}"
    if found in "<>&":
        return {"<": "&lt;", ">": "&gt;", "&": "&amp;"}[found]
    return f"\\{found}<!-- -->" if found in "@#$" else f"\\{found}"


def _fence(content: str, language: str = "") -> str:
    """A code block; its fence is longer than any in it."""
    shown = text.plain(content, name=True)
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", shown)), default=0))
    return f"{fence}{language}\n{shown}\n{fence}"
