"""Diagnostics: where, what, why, and what now, as values.

Rules this module keeps:

- every code is a `Rule`, declared once beside its meaning; two rules never share a code;
- a diagnostic is data first (`Diagnostic.to_data`) and text second (`render`);
- nothing here prints.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final


class Severity(StrEnum):
    """How much a diagnostic matters: an error refuses, a warning asks for a look, a note explains."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


_RULES: Final[dict[str, Rule]] = {}


@dataclass(frozen=True, slots=True)
class Rule:
    """A stable diagnostic code and its meaning; declaring one enters it in the catalogue `rules()`.

    Args:
        code: letters for the phase and three digits, such as ``EFF001``.
        meaning: one sentence, true of every diagnostic with this code.
        advice: what to do about it, in general.

    Raises:
        ValueError: another rule has the same code and another meaning.
    """

    code: str
    meaning: str
    advice: str = ""

    def __post_init__(self) -> None:
        known = _RULES.setdefault(self.code, self)
        if known != self:
            raise ValueError(f"code {self.code} is declared twice: {known.meaning!r} and {self.meaning!r}")


def rules() -> Mapping[str, Rule]:
    """Every rule declared by the modules imported so far, by code."""
    return MappingProxyType(_RULES)


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """A place in a text file. Lines and columns count from 1; `end_*` is exclusive, 0 when unknown.

    `file` is written as the user would name it: relative to the folder of the manifest or to the working folder.
    """

    file: str
    line: int = 0
    column: int = 0
    end_line: int = 0
    end_column: int = 0

    def __str__(self) -> str:
        parts = [self.file]
        if self.line:
            parts.append(str(self.line))
            if self.column:
                parts.append(str(self.column))
        return ":".join(parts)

    def to_data(self) -> dict[str, Any]:
        """The place as a map of text and integers."""
        return {
            "file": self.file,
            "line": self.line,
            "column": self.column,
            "end_line": self.end_line,
            "end_column": self.end_column,
        }

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Place:
        """The inverse of `to_data`."""
        return cls(data["file"], data["line"], data["column"], data["end_line"], data["end_column"])


@dataclass(frozen=True, slots=True)
class Note:
    """A remark beside a diagnostic, with a place of its own."""

    message: str
    place: Place | None = None

    def to_data(self) -> dict[str, Any]:
        """The note as a map."""
        return {"message": self.message, "place": self.place.to_data() if self.place else None}

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Note:
        """The inverse of `to_data`."""
        return cls(data["message"], Place.from_data(data["place"]) if data["place"] else None)


@dataclass(frozen=True, slots=True)
class Edit:
    """A suggested edit: replace the text at `place` (an empty span inserts) by `replacement`."""

    place: Place
    replacement: str

    def to_data(self) -> dict[str, Any]:
        """The edit as a map."""
        return {"place": self.place.to_data(), "replacement": self.replacement}

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Edit:
        """The inverse of `to_data`."""
        return cls(Place.from_data(data["place"]), data["replacement"])


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One thing that is wrong, or worth knowing.

    Attributes:
        rule: the stable code and its meaning.
        message: what happened here, in the user's own names; one line.
        place: where; None when it has no place in a file.
        because: why that is so: the evidence in a line or two.
        fix: what to do now.
        notes: further places that matter, such as the path from the entry point.
        edit: a suggested edit that a program may apply.
        replay: a command that shows it again.
        severity: error, warning or note.
    """

    rule: Rule
    message: str
    place: Place | None = None
    because: str = ""
    fix: str = ""
    notes: tuple[Note, ...] = ()
    edit: Edit | None = None
    replay: str = ""
    severity: Severity = Severity.ERROR
    data: Mapping[str, Any] = field(default_factory=dict, hash=False)

    @property
    def code(self) -> str:
        """The rule's stable code."""
        return self.rule.code

    def to_data(self) -> dict[str, Any]:
        """The diagnostic as a map of text, integers, lists and maps: the form that evidence and `--json` carry."""
        return {
            "code": self.rule.code,
            "meaning": self.rule.meaning,
            "advice": self.rule.advice,
            "severity": self.severity.value,
            "message": self.message,
            "place": self.place.to_data() if self.place else None,
            "because": self.because,
            "fix": self.fix,
            "notes": [note.to_data() for note in self.notes],
            "edit": self.edit.to_data() if self.edit else None,
            "replay": self.replay,
            "data": dict(self.data),
        }

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Diagnostic:
        """The inverse of `to_data`.

        Evidence outlives releases: a code that this release does not know, or whose meaning has been reworded since,
        keeps the meaning that the evidence gives.
        """
        known = _RULES.get(data["code"])
        rule = known if known and known.meaning == data["meaning"] else _foreign_rule(data)
        return cls(
            rule=rule,
            message=data["message"],
            place=Place.from_data(data["place"]) if data["place"] else None,
            because=data["because"],
            fix=data["fix"],
            notes=tuple(Note.from_data(note) for note in data["notes"]),
            edit=Edit.from_data(data["edit"]) if data["edit"] else None,
            replay=data["replay"],
            severity=Severity(data["severity"]),
            data=data["data"],
        )


def _foreign_rule(data: Mapping[str, Any]) -> Rule:
    """A rule read from evidence, kept out of this release's catalogue."""
    rule = object.__new__(Rule)
    for name in ("code", "meaning", "advice"):
        object.__setattr__(rule, name, data.get(name, ""))
    return rule


def render(diagnostic: Diagnostic) -> str:
    """The diagnostic as text: ``file:line:column: CODE: message`` and indented lines for why and what now."""
    where = f"{diagnostic.place}: " if diagnostic.place else ""
    kind = "" if diagnostic.severity is Severity.ERROR else f"{diagnostic.severity.value}: "
    lines = [f"{where}{kind}{diagnostic.code}: {diagnostic.message}"]
    if diagnostic.because:
        lines += [
            f"  because {line}" if i == 0 else f"    {line}" for i, line in enumerate(diagnostic.because.splitlines())
        ]
    if diagnostic.fix:
        lines += [f"  {line}" for line in diagnostic.fix.splitlines()]
    for note in diagnostic.notes:
        lines.append(f"{note.place}: note: {note.message}" if note.place else f"  note: {note.message}")
    if diagnostic.replay:
        lines.append(f"  replay: {diagnostic.replay}")
    return "\n".join(lines)


def in_order(diagnostics: Iterable[Diagnostic]) -> tuple[Diagnostic, ...]:
    """Errors first, then by place, code and message: a stable order for people and for evidence."""
    rank = {Severity.ERROR: 0, Severity.WARNING: 1, Severity.NOTE: 2}
    return tuple(sorted(diagnostics, key=lambda d: (rank[d.severity], d.place or Place(""), d.code, d.message)))


class RequestError(Exception):
    """The request was wrong: unreadable file, bad manifest, bad argument. Exit status 2.

    Carries every diagnostic found, so that all are reported at once.
    """

    def __init__(self, *diagnostics: Diagnostic) -> None:
        super().__init__("\n".join(render(d) for d in diagnostics))
        self.diagnostics = diagnostics
