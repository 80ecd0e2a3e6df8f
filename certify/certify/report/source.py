"""Excerpts of the node's source around a place, and suggested edits as small diffs."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

from certify_spec.diagnostics import Edit, Place

AROUND: Final = 3
"""So many lines are shown before and after the place."""
_LONGEST_LINE: Final = 240
_MOST_MARKED: Final = 12
_MOST_DIFF: Final = 40

Lines = Callable[[str], tuple[str, ...] | None]
"""The lines of one of the node's files; None when it has no such file."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of an excerpt.

    Attributes:
        number: counted from 1; 0 stands for lines that are left out.
        before, marked, after: its text in three parts; `marked` is what the place covers, empty if unknown.
        hit: whether the place is on this line.
    """

    number: int
    before: str
    marked: str = ""
    after: str = ""
    hit: bool = False

    @property
    def text(self) -> str:
        """The whole line."""
        return self.before + self.marked + self.after


@dataclass(frozen=True, slots=True)
class Change:
    """One line of a diff: removed, added, or kept, with its number in the old or the new text."""

    kind: Literal["removed", "added", "kept"]
    number: int
    text: str


def excerpt(place: Place | None, lines: Lines) -> tuple[Line, ...]:
    """The lines around a place; empty when the file or the line is not at hand."""
    if place is None or place.line < 1:
        return ()
    text = lines(place.file)
    if text is None or place.line > len(text):
        return ()
    last = max(place.line, _last(place))
    shown_to = min(last, place.line + _MOST_MARKED, len(text))
    numbers = range(max(1, place.line - AROUND), min(len(text), shown_to + AROUND) + 1)
    found = [_line(text[number - 1], number, place, last) for number in numbers]
    while found and not found[-1].hit and not found[-1].text.strip():
        found.pop()
    while found and not found[0].hit and not found[0].text.strip():
        found.pop(0)
    return tuple(found)


def _last(place: Place) -> int:
    """The last line of a place: an end in column 1 lies before that line's first character."""
    return place.end_line - 1 if place.end_column == 1 and place.end_line > place.line else place.end_line


def _line(text: str, number: int, place: Place, last: int) -> Line:
    if not place.line <= number <= last:
        return Line(number, _cut(text))
    start = place.column - 1 if number == place.line and place.column else 0
    end = place.end_column - 1 if number == place.end_line and place.end_column else len(text)
    if not place.column or not 0 <= start < end <= len(text):
        return Line(number, _cut(text), hit=True)
    if start == 0 and end == len(text):
        start = len(text) - len(text.lstrip())
    left = max(0, start - _LONGEST_LINE // 2)
    before = ("…" if left else "") + text[left:start]
    return Line(number, before, _cut(text[start:end]), _cut(text[end:]), hit=True)


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST_LINE else text[:_LONGEST_LINE] + "…"


def difference(edit: Edit, lines: Lines) -> tuple[Change, ...]:
    """What an edit changes, with a line of surroundings; empty when its file or place is not at hand."""
    old = lines(edit.place.file)
    new = None if old is None else edited(old, edit)
    if old is None or new is None or list(old) == new:
        return ()
    found: list[Change] = []
    matcher = difflib.SequenceMatcher(None, old, new, autojunk=False) if len(old) < 5000 else None
    for tag, i1, i2, j1, j2 in matcher.get_opcodes() if matcher else _around(old, new, edit):
        if tag == "equal":
            continue
        if i1 and (not found or found[-1].kind != "kept"):
            found.append(Change("kept", i1, _cut(old[i1 - 1])))
        found += [Change("removed", i + 1, _cut(old[i])) for i in range(i1, i2)]
        found += [Change("added", j + 1, _cut(new[j])) for j in range(j1, j2)]
        if i2 < len(old):
            found.append(Change("kept", i2 + 1, _cut(old[i2])))
    return tuple(found[:_MOST_DIFF])


def edited(old: tuple[str, ...], edit: Edit) -> list[str] | None:
    """The lines after the edit; None when its place is not in the text."""
    place = edit.place
    end_line = place.end_line or place.line
    end_column = place.end_column or place.column
    if not (1 <= place.line <= end_line <= len(old) and place.column >= 1 and end_column >= 1):
        return None
    first, last = old[place.line - 1], old[end_line - 1]
    if place.column - 1 > len(first) or end_column - 1 > len(last):
        return None
    if (place.line, place.column) > (end_line, end_column):
        return None
    replaced = first[: place.column - 1] + edit.replacement + last[end_column - 1 :]
    return [*old[: place.line - 1], *replaced.split("\n"), *old[end_line:]]


def _around(old: tuple[str, ...], new: list[str], edit: Edit) -> list[tuple[str, int, int, int, int]]:
    """The one changed region of a long file, without comparing all of it."""
    start, end = edit.place.line - 1, edit.place.end_line or edit.place.line
    return [("replace", start, end, start, len(new) - (len(old) - end))]
