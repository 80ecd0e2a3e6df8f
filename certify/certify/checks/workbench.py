"""What a check is given: the subject, the laboratory, and what earlier checks found.

A check is a function from a `Workbench` to a `CheckResult`. It asks the laboratory for runs and judges the records;
it never runs the node itself, prints nothing and writes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from certify.evidence.verdict import CheckResult
from certify.laboratory.record import Plan, RunRecord
from certify.subject import Signature, Subject


class Laboratory(Protocol):
    """The part of the laboratory that checks rely on."""

    def signature(self) -> Signature:
        """The entry point's signature. The node is imported once, in the sandbox."""

    def refuses(self, texts: Sequence[bytes]) -> list[bool]:
        """Which of these inputs the entry point's type refuses, without a call."""

    def run(self, plan: Plan) -> RunRecord:
        """Run one plan in a fresh world."""

    def run_all(self, plans: Iterable[Plan]) -> Iterator[RunRecord]:
        """Run independent plans, several at a time; records come in the order of the plans."""

    def run_in_turn(self, plans: Iterable[Plan]) -> list[RunRecord]:
        """Run plans one after the other, those in a row with equal surroundings in one sandbox."""

    def remembered(self, plans: Iterable[Plan]) -> Iterator[RunRecord]:
        """As `run_all`, but a plan that was asked for in this way before is not run again: it gives the same record."""


@dataclass(frozen=True, slots=True)
class Workbench:
    """Everything a check may use.

    Attributes:
        progress: call it with a number of finished runs and the planned total, as often as you like.
        fixtures, expected: the fixtures' inputs and expected outputs as JSON text, by name.
        earlier: results of the checks that ran before, by id.
        keep: store a run's record with the evidence; gives its digest.
    """

    subject: Subject
    laboratory: Laboratory
    fixtures: Mapping[str, bytes]
    expected: Mapping[str, bytes]
    earlier: Mapping[str, CheckResult] = field(default_factory=dict)
    progress: Callable[[int, int], None] = lambda _done, _total: None
    keep: Callable[[RunRecord], str] = lambda _record: ""


Check = Callable[[Workbench], CheckResult]
