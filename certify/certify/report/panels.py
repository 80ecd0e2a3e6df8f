"""The forms in which a measurement is shown: figures, tables, sets, tiles and bars, as plain values.

A view decides how each looks; nothing here knows of HTML or Markdown.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Tone = Literal["", "good", "bad", "warn", "muted"]


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell: its text, whether it names something (and is set in a fixed width), and how it strikes the eye."""

    text: str
    name: bool = False
    tone: Tone = ""


@dataclass(frozen=True, slots=True)
class Figures:
    """A few labelled values."""

    title: str
    rows: tuple[tuple[str, Cell], ...]


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under headings.

    Attributes:
        caption: what the rows are.
        left_out: rows beyond those shown.
        collapsed: whether a reader opens it if need be.
    """

    title: str
    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    left_out: int = 0
    collapsed: bool = False


@dataclass(frozen=True, slots=True)
class Sets:
    """Effects as three overlapping sets: how many are in each part, and the table that names them.

    Attributes:
        counts: by membership ``(declared, in the text, observed)``.
    """

    title: str
    counts: Mapping[tuple[bool, bool, bool], int] = field(hash=False)
    table: Table


@dataclass(frozen=True, slots=True)
class Tile:
    """One factor: its name, what became of it in a word, and a remark."""

    name: str
    word: str
    tone: Tone
    remark: str = ""


@dataclass(frozen=True, slots=True)
class Tiles:
    """Factors side by side, with what the colours mean."""

    title: str
    caption: str
    tiles: tuple[Tile, ...]


@dataclass(frozen=True, slots=True)
class Bar:
    """What was used of what is allowed.

    Attributes:
        least, most: of all runs, in one unit with `allowed`.
        used, limit: the same for people, units included.
        remark: what else there is to say, such as the organisation's ceiling.
    """

    name: str
    least: float
    most: float
    allowed: float
    used: str
    limit: str
    remark: str = ""

    @property
    def over(self) -> bool:
        """Whether more was used than is allowed."""
        return self.most > self.allowed

    def share(self, amount: float) -> float:
        """`amount` as a part, 0 to 1, of the longer of what is allowed and what was used."""
        whole = max(self.allowed, self.most)
        return min(max(amount / whole, 0.0), 1.0) if whole > 0 else 0.0


@dataclass(frozen=True, slots=True)
class Bars:
    """Budgets, one below the other."""

    title: str
    caption: str
    bars: tuple[Bar, ...]


Panel = Figures | Table | Sets | Tiles | Bars
