"""Verdicts and stories as plain tables: columns of text for terminals and pipes.

Rules this module keeps:

- one row per property; what only shows that the specification speaks of something is counted where it holds, and has
  a row where it does not;
- a step's row lists what changed, one change to a line.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from certify.specs.engine import Verified
from certify.specs.explain import SANITY, Explained, Standing, counted
from certify.specs.story import Story
from certify_verifier.verdict import Proved

_SANITY_WORDS = {
    "action": ("action", "can happen"),
    "reachable": ("goal", "can be reached"),
    "premise": ("premise", "can be met"),
}


@dataclass(frozen=True, slots=True)
class Row:
    """One property's row: the cells of `COLUMNS`."""

    explained: Explained
    cells: tuple[str, ...]


COLUMNS = ("property", "verdict", "how", "solvers", "time")


def rows(verified: Verified, *, every: bool = False) -> tuple[Row, ...]:
    """The table of a machine.

    Args:
        verified: the machine.
        every: whether what merely shows that it speaks of something has rows of its own even where it holds.
    """
    return tuple(
        Row(each, (each.title, each.verdict, each.how, agreement(each), seconds(each.finding.seconds)))
        for each in verified.explained
        if every or each.finding.kind not in SANITY or each.standing is not Standing.HELD
    )


def agreement(explained: Explained) -> str:
    """Which solvers proved how many of a property's obligations: ``z3 4/4, cvc5 4/4``."""
    total = len(explained.finding.obligations)
    return ", ".join(f"{solver} {count}/{total}" for solver, count in explained.finding.solvers.items())


def seconds(value: float) -> str:
    """A time for people."""
    return f"{value * 1000:.0f} ms" if value < 1 else f"{value:.1f} s"


def sanity_line(verified: Verified) -> str:
    """What shows that the machine speaks of something, counted: ``also: 3 actions can happen``; empty if none is."""
    held = Counter(e.finding.kind for e in verified.explained if e.standing is Standing.HELD)
    parts = [f"{counted(held[kind], noun)} {verb}" for kind, (noun, verb) in _SANITY_WORDS.items() if held[kind]]
    if held["assumptions"]:
        parts.append("the assumptions can hold")
    return f"also: {', '.join(parts)}" if parts else ""


def lemma_lines(verified: Verified) -> Iterator[str]:
    """The lemmas that were found, as the specification could state them: then they need not be found again."""
    for explained in verified.explained:
        verdict = explained.finding.verdict
        if isinstance(verdict, Proved) and verdict.lemma:
            yield f"found: {verdict.lemma}"


def headline(verified: Verified) -> str:
    """The machine in one line: what came of it."""
    name = verified.specification.name
    if verified.trouble is not None:
        return f"{name}: nothing is concluded"
    standings = Counter(explained.standing for explained in verified.explained)
    told = Counter(explained.verdict for explained in verified.explained if explained.standing is not Standing.HELD)
    number = sum(explained.finding.kind not in SANITY for explained in verified.explained)
    if not told:
        return f"{name}: everything holds ({counted(number, 'property')}, {_rests_on(verified)})"
    parts = ", ".join(f"{count} {word.replace('-', ' ')}" for word, count in told.items())
    return f"{name}: {parts}; {standings[Standing.HELD]} of {len(verified.explained)} hold"


def _rests_on(verified: Verified) -> str:
    return f"{counted(len(verified.obligations), 'obligation')}, {seconds(verified.seconds)}"


def agreement_line(verified: Verified) -> str:
    """How far two solvers agree; empty if only one was asked."""
    both = [said for said in verified.answers.values() if {"z3", "cvc5"} <= said.keys()]
    if not both:
        return ""
    agreed = sum(said["z3"] == said["cvc5"] == "unsat" for said in both)
    alone = Counter(
        solver
        for said in both
        for solver, other in (("z3", "cvc5"), ("cvc5", "z3"))
        if said[solver] == "unsat" and said[other] != "unsat"
    )
    parts = [f"z3 and cvc5 both prove {agreed} of {counted(len(verified.obligations), 'obligation')}"]
    parts += [f"{solver} alone proves {count}" for solver, count in sorted(alone.items())]
    return "; ".join(parts)


def story_lines(story: Story, *, law: bool = False) -> Iterator[str]:
    """A story as lines of text: what is fixed, then a table of steps, then the clause that broke."""
    fixed = [
        *(f"{sort} has {size}" for sort, size in story.sizes),
        *(f"{name} = {value}" for name, value in story.fixed),
    ]
    if fixed:
        yield f"with {', '.join(fixed)}"
    if not story.is_a_run:
        yield "the first state is one that no invariant excludes; it is not known whether a run leads to it"
    head = "values" if law else ("start" if story.is_a_run else "some state")
    table: list[Sequence[Sequence[str]]] = [(("0",), (head,), [f"{name} = {value}" for name, value in story.start])]
    for step in story.steps:
        given = ", ".join(f"{name} = {value}" for name, value in step.arguments)
        changed = [str(change) for change in step.changes] or ["nothing changes"]
        table.append(((str(step.number),), (f"{step.action}({given})" if given else step.action,), changed))
    yield from aligned(("step", "action", "what changes"), table)
    if story.clause:
        where = f"  ({story.clause_place})" if story.clause_place else ""
        yield f"broken: {story.clause}{where}"


def aligned(columns: Sequence[str], table: Iterable[Sequence[Sequence[str]]]) -> Iterator[str]:
    """Rows whose cells are lines of text, in columns; the last column is as wide as it likes."""
    known = [[[column] for column in columns], *([list(cell) for cell in row] for row in table)]
    widths = [max(len(line) for row in known for line in row[i] or [""]) for i in range(len(columns) - 1)]
    for row in known:
        for number in range(max(len(cell) for cell in row)):
            lines = [cell[number] if number < len(cell) else "" for cell in row]
            padded = [f"{line:<{width}}" for line, width in zip(lines, widths, strict=False)]
            yield "  ".join([*padded, lines[-1]]).rstrip()
