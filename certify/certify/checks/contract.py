"""C-CONTRACT: inputs are fuzzed from the types, and every declared upstream answer is injected.

Rules this module keeps:

- every declared answer of every `http` resource is injected at an input that makes the node ask there, or it is an
  error that none does;
- one kind of mistake is one finding, with all the injected answers that show it;
- what a busy machine alone may cause must show in every one of three runs;
- a run that tells less than everything decides nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from certify.checks import contract_rules as rules
from certify.checks.contract_judging import Flaw, expectation, judge
from certify.checks.contract_matrix import Bed, Case, matrix
from certify.checks.contract_places import Lines, limited
from certify.checks.contract_rules import CHECK
from certify.checks.contract_sources import Sources, read
from certify.checks.workbench import Workbench
from certify.evidence.verdict import CheckResult, Failed, Passed, Unknown, Verdict
from certify.laboratory.record import Delivery, Exceeded, Fault, Plan, Returned, RunRecord
from certify.manifest import positions
from certify.manifest.model import Resource, ResourceKind
from certify_spec.diagnostics import Diagnostic, Note, Place, Severity

__all__ = ["CHECK", "check"]

_FURTHER_POSITIONS: Final = 2
_FURTHER_BEDS: Final = 3
_REPEATS: Final = 2
_LOCATED: Final = 12
_ENOUGH_HANGS: Final = 2
"""So many answers that hang show enough of an upstream: each costs the whole limit."""
_SLOW_KINDS: Final = ("slow", "timeout")
_PROMPT_KINDS: Final = ("status", "malformed")
"""Faults at which no node has to wait: they are injected at further inputs, too."""
_OTHER_INPUTS: Final = 6
#: Mistakes that have nothing to do with which answer shows them.
_WHATEVER_THE_ANSWER: Final = frozenset({rules.OTHER_KEY, rules.FOLLOWS, rules.DECEIVED})


@dataclass(slots=True)
class _Injected:
    """What came of the injected answers."""

    cases: list[Case] = field(default_factory=list)
    flaws: list[Flaw] = field(default_factory=list)
    artefacts: dict[str, str] = field(default_factory=dict)
    undecided: str = ""
    skipped: int = 0
    unsteady: int = 0


def check(bench: Workbench) -> CheckResult:
    """Fuzz the input, inject the matrix of upstream answers, and judge."""
    from certify.checks.contract_inputs import fuzz  # Hypothesis takes half a second to import

    lines, sources = Lines(bench), read(bench.subject)
    fuzzed = fuzz(bench, lines, sources)
    upstreams = [r for r in bench.subject.manifest.resource if r.kind is ResourceKind.HTTP]
    runs = [(trial.what, trial.text, record) for trial, record in fuzzed.answered]
    beds = {resource.name: list(_beds(resource, runs)) for resource in upstreams}
    limit = bench.subject.manifest.budget.wall
    cases = [
        case
        for resource in upstreams
        for number, bed in enumerate(beds[resource.name])
        for case in matrix(bed, limit, reduced=number > 0)
    ]
    cases += [
        case
        for resource in upstreams
        for bed in _others(resource, runs, beds[resource.name])
        for case in matrix(bed, limit, reduced=True)
        if case.fault.kind in _PROMPT_KINDS
    ]
    injected = _inject(bench, cases, sources, limit, begun=fuzzed.measured["inputs_planned"])
    injected.flaws += _judge_clean(beds, sources, limit)
    findings = [*fuzzed.findings, *_findings(bench, lines, injected.flaws)]
    undecided = fuzzed.undecided or injected.undecided
    if not undecided:
        findings += _not_exercised(bench, beds)
    measured = fuzzed.measured | _measured(upstreams, beds, injected, sources)
    verdict: Verdict = Passed()
    if any(finding.severity is Severity.ERROR for finding in findings):
        verdict = Failed()
    elif undecided:
        verdict = Unknown(undecided)
    return CheckResult(CHECK, verdict, tuple(findings), measured, fuzzed.artefacts | injected.artefacts)


# -- where to inject ---------------------------------------------------------------------------------------------------


def _beds(resource: Resource, runs: Sequence[tuple[str, bytes, RunRecord]]) -> Iterator[Bed]:
    """The inputs and requests at which to disturb an upstream: one for each kind of request, the first in full."""
    asking = [run for run in runs if any(e.resource == resource.name for e in run[2].exchanges)]
    answered = [run for run in asking if isinstance(run[2].outcomes[0], Returned)]
    seen: set[tuple[str, ...]] = set()
    for name, text, record in (answered or asking)[:40]:
        own = [exchange for exchange in record.exchanges if exchange.resource == resource.name]
        for position, exchange in enumerate(own[: _FURTHER_POSITIONS + 1]):
            path = exchange.path.partition("?")[0].split("/")
            kind = (exchange.method, str(len(path)), *path[1:2])
            if kind not in seen and len(seen) <= _FURTHER_BEDS:
                seen.add(kind)
                yield Bed(resource, name, text, record, position)


def _others(resource: Resource, runs: Sequence[tuple[str, bytes, RunRecord]], beds: Sequence[Bed]) -> Iterator[Bed]:
    """Other inputs with a request of a kind that was disturbed already: a node may answer as declared at one alone.

    The first ones, which are the fixtures, and some spread over the rest.
    """
    used = {bed.text for bed in beds}
    asking = [
        Bed(resource, name, text, record)
        for name, text, record in runs
        if text not in used and any(e.resource == resource.name for e in record.exchanges)
    ]
    first, rest = asking[: _OTHER_INPUTS // 2], asking[_OTHER_INPUTS // 2 :]
    yield from first
    yield from rest[:: -(-len(rest) // (_OTHER_INPUTS - len(first)) or 1)]


def _not_exercised(bench: Workbench, beds: dict[str, list[Bed]]) -> Iterator[Diagnostic]:
    for number, resource in enumerate(bench.subject.manifest.resource):
        if resource.name in beds and not beds[resource.name]:
            yield Diagnostic(
                rules.NOT_EXERCISED,
                f"no input makes a request to `{resource.name}`, so none of its declared answers is ever given",
                _declared(bench, number, None),
                because=f"{len(resource.answers)} answers are declared: {', '.join(resource.answers)}",
                fix=rules.NOT_EXERCISED.advice,
                data={"resource": resource.name},
            )


# -- injecting ---------------------------------------------------------------------------------------------------------


def _inject(bench: Workbench, cases: Sequence[Case], sources: Sources, limit: float, *, begun: int) -> _Injected:
    result = _Injected()
    hopeless: set[tuple[str, str]] = set()
    given: list[Case] = []

    def plans() -> Iterator[Plan]:
        for case in sorted(cases, key=_wait, reverse=True):
            name = case.bed.resource.name
            if (name, case.answer) in hopeless or sum(name == each for each, _ in hopeless) >= _ENOUGH_HANGS:
                result.skipped += 1
                continue
            given.append(case)
            yield _plan(case)

    for done, record in enumerate(bench.laboratory.run_all(plans()), 1):
        case = given[done - 1]
        bench.progress(begun + done, begun + len(cases))
        result.cases.append(case)
        if isinstance(record.outcomes[0], Exceeded):
            hopeless.add((case.bed.resource.name, case.answer))
        if record.incomplete:
            result.undecided = result.undecided or f"the record of {_name(case)} is incomplete: {record.incomplete}"
        flaws = _confirmed(bench, case, list(judge(case, record, sources, limit)), sources, limit, result)
        result.flaws += flaws
        shown = f"{case.bed.resource.name} answers {case.answer}"
        if flaws or (case.expected is not None and shown not in result.artefacts):
            result.artefacts[_name(case) if flaws else shown] = bench.keep(record)
    return result


def _plan(case: Case) -> Plan:
    return Plan((Delivery(case.bed.text),), faults=(case.fault,))


def _wait(case: Case) -> tuple[float, bool]:
    """How long the case may take a node that waits: like goes with like, so that no worker stands idle."""
    attempts = case.expected.attempts if case.expected and case.expected.attempts else 1
    once = 10.0 if case.fault.kind in _SLOW_KINDS else float(min(case.retry_after, 5))
    return once * (1 if case.transient else attempts), case.persistent


def _name(case: Case) -> str:
    return f"{case.bed.resource.name} answers with {case.label}"


def _confirmed(
    bench: Workbench, case: Case, flaws: list[Flaw], sources: Sources, limit: float, result: _Injected
) -> list[Flaw]:
    """The flaws, without those that a busy machine may have caused and that do not show again."""
    known = {(flaw.rule, flaw.case.bed.resource.name, flaw.case.answer) for flaw in result.flaws}
    for _ in range(_REPEATS):
        if not any(flaw.timed for flaw in flaws if (flaw.rule, case.bed.resource.name, case.answer) not in known):
            return flaws
        again = list(judge(case, bench.laboratory.run(_plan(case)), sources, limit))
        shown = {flaw.rule.code for flaw in again}
        kept = [flaw for flaw in flaws if not flaw.timed or flaw.rule.code in shown]
        result.unsteady += len(flaws) - len(kept)
        flaws = kept + [flaw for flaw in again if not flaw.timed and flaw.rule not in {f.rule for f in kept}]
    return flaws


def _judge_clean(beds: dict[str, list[Bed]], sources: Sources, limit: float) -> Iterator[Flaw]:
    """Where the manifest says what comes of a good answer, the undisturbed runs are judged by it."""
    for bed in (bed for group in beds.values() for bed in group[:1]):
        expected = bed.resource.answers.get("200")
        if expected is not None:
            none = Case(bed, "200", "its own answer", Fault(bed.resource.name, "status"), expected)
            yield from judge(none, bed.clean, sources, limit)


# -- telling -----------------------------------------------------------------------------------------------------------


def _findings(bench: Workbench, lines: Lines, flaws: Iterable[Flaw]) -> Iterator[Diagnostic]:
    groups: dict[tuple[Any, ...], list[Flaw]] = {}
    for flaw in flaws:
        bed = flaw.case.bed
        answer = "" if flaw.rule in _WHATEVER_THE_ANSWER else flaw.case.answer
        key = (flaw.rule.code, bed.resource.name, answer, bed.position, flaw.place)
        groups.setdefault(key, []).append(flaw)
    for number, group in enumerate(groups.values()):
        yield _finding(bench, lines, group, locate=number < _LOCATED)


def _finding(bench: Workbench, lines: Lines, group: list[Flaw], *, locate: bool) -> Diagnostic:
    flaw = group[0]
    case, bed = flaw.case, flaw.case.bed
    labels = list(dict.fromkeys(each.case.label for each in group))
    number = bench.subject.manifest.resource.index(bed.resource)
    request = lines.request(bed.resource.name, bed.text, bed.clean, bed.position)
    place = flaw.place or (_locate(lines, flaw, request) if locate else request)
    notes = [Note("the request is made here", request)] if request != place else []
    if case.expected is not None:
        notes.append(Note("the answer is declared here", _declared(bench, number, case.answer)))
    declared = f"declared for {case.answer}: {expectation(case.expected)}" if case.expected else "no node may do so"
    return Diagnostic(
        flaw.rule,
        f"when `{bed.resource.name}` gives {labels[0]}, the node {flaw.did}",
        place,
        because="\n".join([declared, f"injected at {bed.name}", *_likewise(labels)]),
        fix=flaw.rule.advice,
        notes=tuple(notes),
        severity=flaw.severity,
        data={
            "resource": bed.resource.name,
            "answer": case.answer,
            "injected": labels,
            "input": bed.text.decode(errors="backslashreplace")[:4_000],
            "record": _name(case),
        },
    )


def _likewise(labels: list[str]) -> list[str]:
    return [f"the same with {'; '.join(labels[1:6])}" + (" …" if len(labels) > 6 else "")] if len(labels) > 1 else []


def _locate(lines: Lines, flaw: Flaw, request: Place) -> Place:
    case = flaw.case
    if case.answer == "200":
        return lines.returned(case.bed.text)
    most = (case.expected.attempts if case.expected and case.expected.attempts else 1) + 1
    fault = case.fault if case.transient else limited(case.fault, most)
    match flaw.at:
        case "returned" if case.fault.kind != "slow":
            return lines.not_finite(case.bed.text, (case.fault,))
        case "parted" if case.fault.kind not in _SLOW_KINDS:
            return lines.parted(case.bed.text, fault) or request
        case _:
            return request


def _declared(bench: Workbench, resource: int, answer: str | None) -> Place:
    """Where the manifest declares an answer, or all of a resource's."""
    try:
        text = (bench.subject.root / bench.subject.manifest_file).read_text(encoding="utf-8")
        path: positions.Path = ("resource", resource, "answers", *([answer] if answer is not None else []))
        return positions.index(text).key(path).within(bench.subject.manifest_file)
    except (OSError, ValueError):
        return Place(bench.subject.manifest_file, 1)


def _measured(
    upstreams: Sequence[Resource], beds: dict[str, list[Bed]], injected: _Injected, sources: Sources
) -> dict[str, Any]:
    if not upstreams:
        return {"upstreams": "none declared: there is no answer to inject", "own_errors": sorted(sources.declared)}
    answers = {
        resource.name: {
            answer: sum(case.answer == answer and case.bed.resource.name == resource.name for case in injected.cases)
            for answer in resource.answers
        }
        for resource in upstreams
    }
    not_injected = [
        f"{resource.name} {answer}: {_why_not(resource, answer)}"
        for resource in upstreams
        for answer, count in answers[resource.name].items()
        if not count and answer != "200"
    ]
    return {
        "upstreams": [resource.name for resource in upstreams],
        "answers_injected": answers,
        "answers_not_injected": not_injected,
        "runs_with_injection": len(injected.cases),
        "runs_skipped_after_a_hang": injected.skipped,
        "flaws_not_seen_again": injected.unsteady,
        "injected_at": {name: [f"{bed.name}, request {bed.position}" for bed in group] for name, group in beds.items()},
    }


def _why_not(resource: Resource, answer: str) -> str:
    if answer == "tls" and not (resource.url or "").startswith("https:"):
        return "the upstream is asked without TLS"
    return "no input makes a request there, or an earlier hang left it out"
