"""Verified machines as Markdown: for a comment on a change, or a build's summary.

Rules this module keeps:

- what comes from a specification stands in code spans and fences that it cannot leave;
- the table has a row for every property, and every counterexample follows it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from certify.report import text
from certify.specs.engine import Verified
from certify.specs.explain import Explained, Standing
from certify.specs.tables import agreement, agreement_line, headline, rows, sanity_line, seconds, story_lines

_SIGNS = {Standing.HELD: "✓", Standing.BROKEN: "✗", Standing.OPEN: "?"}


def render(machines: Sequence[Verified]) -> str:
    """The document."""
    return "\n\n".join(block for machine in machines for block in _machine(machine)) + "\n"


def _machine(verified: Verified) -> Iterator[str]:
    yield f"## {_escaped(headline(verified))}"
    yield _code(verified.file)
    if verified.trouble is not None:
        yield f"{_escaped(verified.trouble.message)}: {_code(verified.trouble.because)}"
        return
    table = ["| property | verdict | how | solvers | time |", "|---|---|---|---|---|"]
    for row in rows(verified):
        each = row.explained
        verdict = f"{_SIGNS[each.standing]} {each.verdict}"
        cells = (_code(each.title), verdict, _escaped(each.how), agreement(each), seconds(each.finding.seconds))
        table.append(f"| {' | '.join(cells)} |")
    yield "\n".join(table)
    lines = [line for line in (sanity_line(verified), agreement_line(verified)) if line]
    if lines:
        yield "  \n".join(_escaped(line) for line in lines)
    for each in verified.explained:
        yield from _explanation(each)


def _explanation(each: Explained) -> Iterator[str]:
    told = each.diagnostic
    if told is None:
        return
    yield f"### {_escaped(told.code)}: {_escaped(told.message)}"
    yield "\n".join(
        (f"- at {_code(str(told.place))}", f"- because {_escaped(told.because)}", f"- {_escaped(told.fix)}")
    )
    if each.story is not None:
        yield _fenced("\n".join(story_lines(each.story, law=each.finding.kind == "law")))


def _escaped(value: str) -> str:
    """Prose: nothing in it is markup but the code spans that it asks for."""
    parts = text.one_line(value).split("`")
    if len(parts) % 2 == 0:
        return _plain(text.one_line(value))
    return "".join(_code(part) if index % 2 else _plain(part) for index, part in enumerate(parts))


def _plain(value: str) -> str:
    return re.sub(r"([\\`*_{}\[\]<>#|~&@!])", r"\\\1", value)


def _code(value: str) -> str:
    """A code span that also survives the cell of a table."""
    shown = text.one_line(value, name=True).replace("|", "\\|")
    longest = max((len(run) for run in re.findall("`+", shown)), default=0)
    fence = "`" * (longest + 1)
    space = " " if "`" in shown else ""
    return f"{fence}{space}{shown}{space}{fence}" if shown else ""


def _fenced(value: str) -> str:
    shown = text.plain(value)
    longest = max((len(run) for run in re.findall("`+", shown)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}text\n{shown}\n{fence}"
