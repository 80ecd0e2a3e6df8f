"""The first half of C-CONTRACT: valid inputs are answered, invalid ones refused.

Rules this module keeps:

- the inputs are the fixtures, then their places at the extremes of the schema, then random ones; the same for a subject
  each time;
- on a valid input the node returns a value of its output type or raises an exception that is part of its interface: a
  class of its own, one that the manifest declares, one of the context's, or one that its own line raises by name and
  that is no programming error;
- one failure is told once, with the smallest input found that shows it.
"""

from __future__ import annotations

import itertools
import json
import re
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from certify.checks import contract_rules as rules
from certify.checks.contract_places import Lines
from certify.checks.contract_sources import Sources, is_programming
from certify.checks.fuzz_edges import Trial, boundaries, invalid
from certify.checks.fuzzing import Schema, draws, text_of
from certify.checks.shrinking import shrink
from certify.checks.workbench import Workbench
from certify.laboratory.record import (
    Crashed,
    Delivery,
    Exceeded,
    Outcome,
    Plan,
    Raised,
    Returned,
    RunRecord,
    Unencodable,
)
from certify_spec.diagnostics import Diagnostic, Place, Rule, Severity

BOUNDARY_INPUTS: Final = 48
RANDOM_INPUTS: Final = 24
INVALID_INPUTS: Final = 32
_EXAMPLES: Final = 3
_SECONDS: Final = 30.0
_FEWEST: Final = 12
_SHRUNK: Final = 4
_ENOUGH_HANGS: Final = 2
"""Inputs that pass a limit before the rest is left out: each costs the whole limit, and one refutes the node."""
_SHRINKING_RUNS: Final = 48
_POSITION: Final = re.compile(r"\[\d+\]")
"""A place in a list: the same mistake at two of them is one."""


@dataclass(slots=True)
class Fuzzed:
    """What came of the inputs.

    Attributes:
        answered: the valid inputs that the node's type took, with their runs, fixtures first.
        undecided: why the inputs do not decide, empty when they do.
    """

    findings: list[Diagnostic] = field(default_factory=list)
    measured: dict[str, Any] = field(default_factory=dict)
    artefacts: dict[str, str] = field(default_factory=dict)
    answered: list[tuple[Trial, RunRecord]] = field(default_factory=list)
    undecided: str = ""


@dataclass(frozen=True, slots=True)
class _Failure:
    """How a run failed: equal failures are one finding."""

    rule: Rule
    what: str
    place: Place | None = None


def fuzz(bench: Workbench, lines: Lines, sources: Sources) -> Fuzzed:
    """Run valid and invalid inputs and judge what comes of them."""
    result = Fuzzed()
    schema = bench.laboratory.signature().input_schema
    number = int(bench.subject.digest[:8], 16)
    examples = [json.loads(text) for text in bench.fixtures.values()]
    fixtures = [Trial(text, f"fixture `{name}`") for name, text in bench.fixtures.items()]
    edges: list[Trial] = []
    random: list[Trial] = []
    valid = itertools.chain(
        fixtures,
        _noted(itertools.islice(boundaries(schema, examples[:_EXAMPLES], number), BOUNDARY_INPUTS), edges),
        _noted(_random(schema, number), random),
    )
    wrong = [*itertools.islice(invalid(schema, examples[0]), INVALID_INPUTS)]
    progress = _Progress(bench, len(fixtures) + BOUNDARY_INPUTS + RANDOM_INPUTS + len(wrong))

    failures: dict[_Failure, tuple[Trial, RunRecord]] = {}
    ended: list[Outcome] = []
    for trial, record in _runs(bench, valid, progress):
        ended.append(record.outcomes[0])
        result.undecided = result.undecided or _doubt(trial, record)
        if not _rejected(record.outcomes[0]):
            result.answered.append((trial, record))
        failure = judge(record.outcomes[0], sources)
        if failure is not None:
            failures.setdefault(failure, (trial, record))
    for failure, (trial, record) in failures.items():
        shrunk = len(result.findings) < _SHRUNK
        result.findings.append(_finding(bench, lines, sources, failure, trial, shrunk=shrunk))
        result.artefacts[f"run of {trial.what}"] = bench.keep(record)
    planned = len(ended) + sum(1 for _trial in valid)  # there may have been no time for some
    refused = _refuse(bench, wrong, progress, result)

    result.measured = {
        "inputs_planned": planned + len(wrong),
        "inputs_valid": len(ended),
        "inputs_at_boundaries": len(edges),
        "inputs_random": len(random),
        "inputs_returned": sum(isinstance(outcome, Returned) for outcome in ended),
        "inputs_ended_in_own_error": sum(
            isinstance(outcome, Raised) and not outcome.rejected and sources.is_own(outcome) for outcome in ended
        ),
        "inputs_refused_by_type": sum(_rejected(outcome) for outcome in ended),
        "inputs_invalid": len(wrong),
        "inputs_invalid_refused": refused,
        "inputs_seed": number,
    }
    _judge_coverage(bench, result, len(ended), planned)
    return result


def judge(outcome: Outcome, sources: Sources) -> _Failure | None:
    """How a run on a valid input failed, if it did."""
    match outcome:
        case Raised(kind, _message, _bases, frames, rejected):
            if rejected or sources.is_own(outcome):
                return None
            rule = rules.PROGRAMMING if is_programming(outcome) else rules.FOREIGN
            return _Failure(rule, kind, _line(frames[-1]) if frames else None)
        case Exceeded(limit):
            return _Failure(rules.ENDED, f"the {limit} limit")
        case Crashed(_planned, number, status):
            return _Failure(rules.ENDED, f"signal {number}" if number else f"exit status {status}")
        case Unencodable(reason):
            return _Failure(rules.MISFIT, _POSITION.sub("[…]", reason.partition(":")[0]))
        case Returned():
            return None


def _line(place: Place) -> Place:
    return Place(place.file, place.line)


def _rejected(outcome: Outcome) -> bool:
    return isinstance(outcome, Raised) and outcome.rejected


def _doubt(trial: Trial, record: RunRecord) -> str:
    return f"the record of a run on {trial.what} is incomplete: {record.incomplete}" if record.incomplete else ""


def _random(schema: Schema, number: int) -> Iterator[Trial]:
    for value in draws(schema, RANDOM_INPUTS, number):
        yield Trial(text_of(value).encode(), "a random input")


def _noted(trials: Iterable[Trial], made: list[Trial]) -> Iterator[Trial]:
    """The trials, each noted when it is made: that is when somebody is about to run it, so that none waits for all."""
    for trial in trials:
        made.append(trial)
        yield trial


@dataclass(slots=True)
class _Progress:
    bench: Workbench
    total: int
    done: int = 0
    until: float = field(default_factory=lambda: time.monotonic() + _SECONDS)
    hung: int = 0

    def step(self) -> None:
        self.done += 1
        self.bench.progress(self.done, self.total)


def _runs(bench: Workbench, trials: Iterable[Trial], progress: _Progress) -> Iterator[tuple[Trial, RunRecord]]:
    """Runs of the trials in their order, as many as there is time for."""
    upcoming, begun = iter(trials), deque[Trial]()

    def plans() -> Iterator[Plan]:
        for position in itertools.count():
            late = position >= _FEWEST and time.monotonic() > progress.until
            trial = None if late or progress.hung >= _ENOUGH_HANGS else next(upcoming, None)
            if trial is None:
                return
            begun.append(trial)
            yield Plan((Delivery(trial.text),))

    for record in bench.laboratory.run_all(plans()):
        progress.step()
        progress.hung += isinstance(record.outcomes[0], Exceeded)
        yield begun.popleft(), record


def _refuse(bench: Workbench, wrong: Sequence[Trial], progress: _Progress, result: Fuzzed) -> int:
    """Hand in the invalid inputs; gives how many were refused, by the type or, in a run, by the node."""
    by_type = bench.laboratory.refuses([trial.text for trial in wrong])
    refused = sum(by_type)
    for _ in range(refused):
        progress.step()
    told: set[tuple[str, str]] = set()
    signature = bench.laboratory.signature()
    others = [trial for trial, at_once in zip(wrong, by_type, strict=True) if not at_once]
    for trial, record in _runs(bench, others, progress):
        outcome = record.outcomes[0]
        result.undecided = result.undecided or _doubt(trial, record)
        if isinstance(outcome, Raised):
            refused += 1
            continue
        accepted = isinstance(outcome, Returned | Unencodable)
        rule = rules.INVALID_ACCEPTED if accepted else rules.INVALID_ENDED
        failure = judge(outcome, Sources(frozenset(), {}, frozenset()))
        did = "it is answered" if accepted else f"the run ends by {failure.what if failure else 'itself'}"
        key = (rule.code, trial.what.partition(" ")[2])
        if key in told:
            continue
        told.add(key)
        result.artefacts[f"run of an invalid input: {trial.what}"] = bench.keep(record)
        result.findings.append(
            Diagnostic(
                rule,
                f"an invalid input is not refused: {trial.what}, and {did}",
                Place(signature.file, signature.line),
                because=f"input {_shown(trial.text)}",
                fix=rule.advice,
                data={"input": _shown(trial.text, 2_000)},
            )
        )
    return refused


def _finding(
    bench: Workbench, lines: Lines, sources: Sources, failure: _Failure, trial: Trial, *, shrunk: bool
) -> Diagnostic:
    text, outcome = _smallest(bench, sources, failure, trial) if shrunk else (trial.text, None)
    place = failure.place
    if place is None and failure.rule is rules.MISFIT:
        place = lines.not_finite(text)
    size = "the smallest input found" if shrunk else "the input"
    return Diagnostic(
        failure.rule,
        f"a valid input {_ended_in(failure)}",
        place or lines.entry,
        because=f"{size}: {_shown(text)}\nfirst seen with {trial.what}" + (f"\n{_said(outcome)}" if outcome else ""),
        fix=failure.rule.advice,
        data={"input": _shown(text, 4_000), "first": trial.what, "failure": failure.what},
    )


def _ended_in(failure: _Failure) -> str:
    if failure.rule in {rules.PROGRAMMING, rules.FOREIGN}:
        return f"ends in {failure.what}"
    return f"ends by {failure.what}" if failure.rule is rules.ENDED else f"gives no answer: {failure.what}"


def _said(outcome: Outcome) -> str:
    match outcome:
        case Raised(kind, message):
            return f"{kind}: {message[:200]}"
        case Unencodable(reason):
            return reason[:300]
        case _:
            return ""


def _shown(text: bytes, most: int = 400) -> str:
    shown = text.decode(errors="backslashreplace")
    return shown if len(shown) <= most else f"{shown[:most]}… ({len(text)} bytes)"


def _smallest(bench: Workbench, sources: Sources, failure: _Failure, trial: Trial) -> tuple[bytes, Outcome | None]:
    """The simplest input found that fails in the same way, with what came of it."""
    if failure.rule is rules.ENDED:
        return trial.text, None  # every try would take as long as the limit
    seen: dict[str, Outcome] = {}

    def fails(values: Sequence[Any]) -> list[bool]:
        texts = [text_of(value) for value in values]
        records = bench.laboratory.run_all(Plan((Delivery(text.encode()),)) for text in texts)
        outcomes = [record.outcomes[0] for record in records]
        seen.update(zip(texts, outcomes, strict=True))
        return [judge(outcome, sources) == failure for outcome in outcomes]

    smallest = text_of(shrink(json.loads(trial.text), fails, most=_SHRINKING_RUNS))
    return smallest.encode(), seen.get(smallest)


def _judge_coverage(bench: Workbench, result: Fuzzed, ran: int, planned: int) -> None:
    """Say when the inputs show less than they should."""
    taken = len(result.answered)
    signature = bench.laboratory.signature()
    if not taken:
        result.undecided = result.undecided or "no input that the schema allows was taken by the type"
    elif taken * 4 < ran:
        result.findings.append(
            Diagnostic(
                rules.MOSTLY_REFUSED,
                f"the type refuses {ran - taken} of {ran} inputs that its schema allows",
                Place(signature.file, signature.line),
                because="few inputs reach the node, so few of its ways are tried",
                fix=rules.MOSTLY_REFUSED.advice,
                severity=Severity.WARNING,
            )
        )
    if ran < min(planned, 2 * _FEWEST):
        result.undecided = result.undecided or f"only {ran} of {planned} inputs could be run in {_SECONDS:.0f} s"
