"""What names stand for while a file is checked, and how its mistakes are told."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from certify_spec import model as m
from certify_spec import rules
from certify_spec.datatypes import (
    BOOL,
    DURATION,
    INSTANT,
    INT,
    OPTION,
    EnumShape,
    RecordShape,
    Scalar,
    Shapes,
    Type,
)
from certify_spec.diagnostics import Diagnostic, Edit, Note, Place, Rule, Severity

SCALARS: Final[dict[str, Scalar]] = {kind.name: kind for kind in (BOOL, INT, DURATION, INSTANT)}
BUILTINS: Final = frozenset(("size", "insert", "remove", "min", "max", "enabled", "empty"))
PROPERTIES: Final = frozenset(
    (
        "axiom",
        "assume",
        "init",
        "invariant",
        "lemma",
        "always",
        "reachable",
        "step property",
        "progress property",
        "law",
        "instance",
    )
)
RESERVED: Final = BUILTINS | SCALARS.keys() | {"Map", "Set", "Option", "none", "some"}


@dataclass(slots=True)
class Report:
    """The diagnostics of one file."""

    diagnostics: list[Diagnostic] = field(default_factory=list)

    def error(
        self,
        rule: Rule,
        message: str,
        place: Place,
        *,
        because: str = "",
        fix: str = "",
        notes: Iterable[Note | None] = (),
        edit: Edit | None = None,
    ) -> None:
        """Note an error."""
        kept = tuple(note for note in notes if note is not None)
        self.diagnostics.append(Diagnostic(rule, message, place, because=because, fix=fix, notes=kept, edit=edit))

    def warning(self, rule: Rule, message: str, place: Place, fix: str) -> None:
        """Note a warning."""
        self.diagnostics.append(Diagnostic(rule, message, place, fix=fix, severity=Severity.WARNING))

    @property
    def has_errors(self) -> bool:
        """Whether anything refuses the file."""
        return any(diagnostic.severity is Severity.ERROR for diagnostic in self.diagnostics)


@dataclass(slots=True)
class Globals:
    """Everything that a file declares, by name."""

    broken: frozenset[str] = frozenset()
    places: dict[str, Place] = field(default_factory=dict)
    kinds: dict[str, str] = field(default_factory=dict)
    sorts: dict[str, Place] = field(default_factory=dict)
    enums: dict[str, EnumShape] = field(default_factory=lambda: {"Option": OPTION})
    records: dict[str, RecordShape] = field(default_factory=dict)
    cases: dict[str, str] = field(default_factory=lambda: {"none": "Option", "some": "Option"})
    functions: dict[str, m.Function] = field(default_factory=dict)
    definitions: dict[str, m.Definition] = field(default_factory=dict)
    variables: dict[str, m.StateVariable] = field(default_factory=dict)
    signatures: dict[str, tuple[tuple[str, Type], ...]] = field(default_factory=dict)

    @property
    def shapes(self) -> Shapes:
        """The enums and records."""
        return Shapes(self.enums, self.records)

    def meaning_at(self, name: str) -> Place | None:
        """Where a name is declared that means something inside formulas; names of properties do not."""
        return None if self.kinds.get(name) in PROPERTIES else self.places.get(name)

    def declare(self, name: str, kind: str, place: Place, report: Report) -> bool:
        """Enter a name; reports it, and says no, if it is taken."""
        if name in RESERVED:
            report.error(rules.RESERVED, f"`{name}` is a word of the language", place, fix="choose another name")
            return False
        if name in self.places:
            report.error(
                rules.TWICE,
                f"`{name}` is declared twice",
                place,
                fix="rename one of the two",
                notes=[Note(f"it is {with_article(self.kinds[name])} here", self.places[name])],
            )
            return False
        self.places[name], self.kinds[name] = place, kind
        return True


@dataclass(frozen=True, slots=True)
class Bound:
    """A bound name: its type, where it is bound, and for `let` what it stands for."""

    type: Type
    place: Place
    meaning: m.Expression | None = None


@dataclass(frozen=True, slots=True)
class Scope:
    """The names bound around an expression, and what the expression may speak of.

    Attributes:
        bound: the names.
        variables: type variables in force.
        primes: whether `'` may stand here.
        starts: whether a number may stand for an instant, as in the start value of a variable.
        properties: whether `enabled` may stand here.
    """

    bound: Mapping[str, Bound] = field(default_factory=dict)
    variables: frozenset[str] = frozenset()
    primes: bool = False
    starts: bool = False
    properties: bool = False

    def binding(self, name: str, bound: Bound) -> Scope:
        """The scope with one name more."""
        return replace(self, bound={**self.bound, name: bound})


def with_article(noun: str) -> str:
    """The noun with its indefinite article."""
    return f"an {noun}" if noun[0] in "aeiou" else f"a {noun}"


def nearest(name: str, names: Iterable[str]) -> str:
    """The name that was probably meant, or nothing."""
    close = difflib.get_close_matches(name, sorted(set(names)), 1, cutoff=0.6)
    return close[0] if close else ""


FEW: Final = 5
"""So many names are listed where none is near."""


def unknown(report: Report, rule: Rule, what: str, name: str, place: Place, names: Iterable[str]) -> None:
    """Report a name that is not declared, with the nearest one that is."""
    known = tuple(names)
    close = nearest(name, known)
    few = ", ".join(f"`{each}`" for each in known) if 0 < len(known) <= FEW else ""
    report.error(
        rule,
        f"there is no {what} `{name}`",
        place,
        fix=f"did you mean `{close}`?" if close else f"use one of {few}" if few else "",
        edit=Edit(place, close) if close else None,
    )
