"""Verdicts: what a check concluded, as a sealed type that can say "I do not know".

Rules this module keeps:

- `Verdict` has exactly five members, matched in full wherever it is read;
- only `Passed`, `Waived` and `NotApplicable` let a publish go on; `Unknown` never does;
- a verdict is a value: its data form holds text, integers, floats, booleans, lists and maps only.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, assert_never

from certify_spec.diagnostics import Diagnostic, in_order


@dataclass(frozen=True, slots=True)
class Passed:
    """The check ran to its end and found nothing that refuses the node."""


@dataclass(frozen=True, slots=True)
class Failed:
    """The check refutes the node; its findings with severity error say why."""


@dataclass(frozen=True, slots=True)
class Waived:
    """Every finding that refuses the node is covered by a valid waiver; `waivers` are the ids of these."""

    waivers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class NotApplicable:
    """The check has nothing to judge in this node, for `reason`."""

    reason: str


@dataclass(frozen=True, slots=True)
class Unknown:
    """The check could not decide, for `reason`; `waiting_helps` says whether trying again later may."""

    reason: str
    waiting_helps: bool = False


Verdict = Passed | Failed | Waived | NotApplicable | Unknown


def name(verdict: Verdict) -> str:
    """The verdict's stable name: passed, failed, waived, not-applicable or unknown."""
    match verdict:
        case Passed():
            return "passed"
        case Failed():
            return "failed"
        case Waived():
            return "waived"
        case NotApplicable():
            return "not-applicable"
        case Unknown():
            return "unknown"
        case _:
            assert_never(verdict)


def allows_publish(verdict: Verdict) -> bool:
    """Whether a node with this verdict may go on to the registry."""
    match verdict:
        case Passed() | Waived() | NotApplicable():
            return True
        case Failed() | Unknown():
            return False
        case _:
            assert_never(verdict)


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What one check says of one node.

    Attributes:
        check: the check's id, such as ``C-EFFECTS``.
        verdict: the conclusion.
        findings: what it rests on, errors first; a passed check may carry warnings and notes.
        measured: numbers and sets that readers want to see, with units in their names (``wall_ms``, ``memory_bytes``).
        artefacts: digests of blobs that belong to it (run records, traces), by name.
        seconds: wall time that the check took.
    """

    check: str
    verdict: Verdict
    findings: tuple[Diagnostic, ...] = ()
    measured: Mapping[str, Any] = field(default_factory=dict)
    artefacts: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 0.0

    def to_data(self) -> dict[str, Any]:
        """The result as a map; `from_data` is its inverse."""
        verdict: dict[str, Any] = {"name": name(self.verdict)}
        match self.verdict:
            case Waived(waivers):
                verdict["waivers"] = list(waivers)
            case NotApplicable(reason):
                verdict["reason"] = reason
            case Unknown(reason, waiting_helps):
                verdict |= {"reason": reason, "waiting_helps": waiting_helps}
            case Passed() | Failed():
                pass
            case _:
                assert_never(self.verdict)
        return {
            "check": self.check,
            "verdict": verdict,
            "findings": [finding.to_data() for finding in in_order(self.findings)],
            "measured": dict(self.measured),
            "artefacts": dict(self.artefacts),
            "seconds": self.seconds,
        }

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> CheckResult:
        """Read a result back from evidence."""
        return cls(
            check=data["check"],
            verdict=_verdict_from_data(data["verdict"]),
            findings=tuple(Diagnostic.from_data(finding) for finding in data["findings"]),
            measured=data["measured"],
            artefacts=data["artefacts"],
            seconds=data["seconds"],
        )


def _verdict_from_data(data: Mapping[str, Any]) -> Verdict:
    match data["name"]:
        case "passed":
            return Passed()
        case "failed":
            return Failed()
        case "waived":
            return Waived(tuple(data["waivers"]))
        case "not-applicable":
            return NotApplicable(data["reason"])
        case "unknown":
            return Unknown(data["reason"], data["waiting_helps"])
        case other:
            raise ValueError(f"no verdict is called {other!r}")


def overall(results: Iterable[CheckResult]) -> Verdict:
    """The verdict over all checks: one failure fails, otherwise one unknown leaves it unknown."""
    verdicts = [result.verdict for result in results]
    if any(isinstance(verdict, Failed) for verdict in verdicts):
        return Failed()
    for verdict in verdicts:
        if isinstance(verdict, Unknown):
            return verdict
    waivers = tuple(waiver for verdict in verdicts if isinstance(verdict, Waived) for waiver in verdict.waivers)
    return Waived(waivers) if waivers else Passed()
