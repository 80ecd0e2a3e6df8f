"""What a check of Lean proofs concluded, as values.

Rules this module keeps:

- a verdict is exactly one of `Accepted`, `Rejected` and `Declined`; only the first is success;
- a report is accepted when every declaration in it is, and it declares something.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, assert_never

from certify_spec.diagnostics import Diagnostic


@dataclass(frozen=True, slots=True)
class Accepted:
    """Checked to the end, and right."""


@dataclass(frozen=True, slots=True)
class Rejected:
    """A rule is broken; `reason` is the diagnostic that says which and where."""

    reason: Diagnostic


@dataclass(frozen=True, slots=True)
class Declined:
    """Not decided: a bound was reached, or something outside the supported part was met; `reason` says what."""

    reason: str


LeanVerdict = Accepted | Rejected | Declined


def verdict_name(verdict: LeanVerdict) -> str:
    """The verdict's stable name: accepted, rejected or declined."""
    match verdict:
        case Accepted():
            return "accepted"
        case Rejected():
            return "rejected"
        case Declined():
            return "declined"
        case _:
            assert_never(verdict)


@dataclass(frozen=True, slots=True)
class Entry:
    """A declaration and what became of it.

    Attributes:
        name: the declared name, for a group of inductive types the first.
        kind: axiom, definition, theorem, opaque, quotient or inductive.
        statement: its type as text, cut off when long.
        axioms: the axioms it rests on, directly or through others, in order of name.
        line: where it is declared, 0 when unknown.
        verdict: what became of it.
        sentence: what it says in English, where the source says so.
    """

    name: str
    kind: str
    statement: str
    axioms: tuple[str, ...]
    line: int
    verdict: LeanVerdict
    sentence: str = ""

    def to_data(self) -> dict[str, Any]:
        """The entry as a map of text, integers and lists."""
        data: dict[str, Any] = {
            "name": self.name,
            "kind": self.kind,
            "statement": self.statement,
            "axioms": list(self.axioms),
            "line": self.line,
            "verdict": verdict_name(self.verdict),
            "sentence": self.sentence,
        }
        if isinstance(self.verdict, Rejected):
            data["diagnostic"] = self.verdict.reason.to_data()
        if isinstance(self.verdict, Declined):
            data["reason"] = self.verdict.reason
        return data


@dataclass(frozen=True, slots=True)
class LeanReport:
    """The outcome for one file.

    Attributes:
        file: the file as named by the user.
        entries: every declaration in the order checked.
        verdict: accepted when every entry is; otherwise the first rejection, or the first that was declined.
        steps: reduction, inference and comparison steps taken.
        comparisons: comparisons of definitional equality among them.
    """

    file: str
    entries: tuple[Entry, ...]
    verdict: LeanVerdict
    steps: int = 0
    comparisons: int = 0

    @property
    def theorems(self) -> tuple[Entry, ...]:
        """The theorems among the entries."""
        return tuple(entry for entry in self.entries if entry.kind == "theorem")

    @property
    def axioms(self) -> tuple[str, ...]:
        """Every axiom that some theorem rests on, in order of name."""
        return tuple(sorted({axiom for entry in self.theorems for axiom in entry.axioms}))

    @property
    def diagnostics(self) -> tuple[Diagnostic, ...]:
        """Every diagnostic, the verdict's own included, each once."""
        verdicts = [self.verdict, *(entry.verdict for entry in self.entries)]
        return tuple(dict.fromkeys(v.reason for v in verdicts if isinstance(v, Rejected)))

    def to_data(self) -> dict[str, Any]:
        """The report as a map of text, integers and lists."""
        return {
            "file": self.file,
            "verdict": verdict_name(self.verdict),
            "reason": self.verdict.reason if isinstance(self.verdict, Declined) else "",
            "declarations": [entry.to_data() for entry in self.entries],
            "axioms": list(self.axioms),
            "diagnostics": [diagnostic.to_data() for diagnostic in self.diagnostics],
            "steps": self.steps,
            "comparisons": self.comparisons,
        }


def overall(verdicts: tuple[LeanVerdict, ...]) -> LeanVerdict:
    """The verdict of a whole: the first rejection, else the first that was declined, else accepted."""
    rejected = next((v for v in verdicts if isinstance(v, Rejected)), None)
    declined = next((v for v in verdicts if isinstance(v, Declined)), None)
    return rejected or declined or Accepted()
