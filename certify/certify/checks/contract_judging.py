"""Judges one injected answer: what the node did, against what its manifest declares.

Rules this module keeps:

- a success is *swallowed* when the upstream acted on none of the disturbed requests and none went through after them;
- under a persistent fault the node sends exactly the declared attempts; fewer are right only where a Retry-After would
  pass the deadline;
- under a transient fault the node recovers if it declares more than one attempt, and sends at most the declared ones;
- times have a margin of a quarter and 50 ms: a machine adds time and never takes it away.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

from certify.checks import contract_rules as rules
from certify.checks.contract_matrix import ELSEWHERE, ELSEWHERE_ADDRESS, Case
from certify.checks.contract_sources import Sources, is_programming
from certify.laboratory.record import (
    Crashed,
    EventKind,
    Exceeded,
    Exchange,
    Raised,
    Returned,
    RunRecord,
    Unencodable,
)
from certify.manifest.model import Answer
from certify_spec.diagnostics import Place, Rule, Severity

_FITS: Final = 0.6
"""The part of the deadline that waits may fill before giving up early is right."""
_EARLY: Final = 0.1
"""Seconds by which a request may come before its Retry-After: clocks and rounding."""
_ENDLESS: Final = 20


@dataclass(frozen=True, slots=True)
class Flaw:
    """Something wrong in one run.

    Attributes:
        did: what the node did, as the end of "the node …".
        at: how to find the line: ``raised``, ``returned``, ``request`` or ``parted``; `place` wins when it is known.
        timed: whether a busy machine alone may have caused it, so that it must show again.
    """

    rule: Rule
    case: Case
    did: str
    at: str
    place: Place | None = None
    severity: Severity = Severity.ERROR
    timed: bool = False


def judge(case: Case, record: RunRecord, sources: Sources, limit: float) -> Iterator[Flaw]:
    """Everything wrong in one run.

    Args:
        case: what was injected.
        record: the run.
        sources: the node's own exceptions.
        limit: the longest time in seconds that the node may take where the manifest says nothing else.
    """
    calls = attempts(case, record)
    yield from _judge_safety(case, record)
    yield from _judge_ending(case, record, sources, calls)
    if case.expected is None or not isinstance(record.outcomes[0], Returned | Raised):
        return
    yield from _judge_outcome(case, case.expected, record, calls)
    yield from _judge_attempts(case, case.expected, record, calls, limit)
    yield from _judge_time(case, case.expected, record, limit)
    yield from _judge_waits(case, case.expected, calls, limit)


def attempts(case: Case, record: RunRecord) -> tuple[Exchange, ...]:
    """The disturbed call with its repetitions: the requests like it, from the disturbed one on."""
    own = [exchange for exchange in record.exchanges if exchange.resource == case.bed.resource.name]
    later = own[case.bed.position :]
    if not later:
        return ()
    # a handshake that was spoilt has no method: it is the attempt of whatever comes after it
    first = next((each for each in later if each.method), later[0])
    kind = (first.method, _bare(first.path))
    return tuple(each for each in later if not each.method or (each.method, _bare(each.path)) == kind)


def _bare(path: str) -> str:
    return path.partition("?")[0]


def expectation(answer: Answer) -> str:
    """What the manifest declares, for people."""
    if answer.outcome == "error":
        parts = [f"raises {answer.error}" if answer.error else "raises"]
    else:
        parts = [f"returns {json.dumps(answer.output)}" if answer.output else "returns"]
    if answer.attempts is not None:
        parts.append(f"{answer.attempts} attempt{'s' if answer.attempts > 1 else ''}")
    if answer.within is not None:
        parts.append(f"within {answer.within:g} s")
    return ", ".join(parts)


def _judge_safety(case: Case, record: RunRecord) -> Iterator[Flaw]:
    for event in record.events if case.redirects else ():
        reached = ELSEWHERE in event.target or event.target == ELSEWHERE_ADDRESS
        if reached and event.kind in {EventKind.RESOLVE, EventKind.CONNECT}:
            yield Flaw(rules.FOLLOWS, case, f"went on to {event.target}", "request", event.place)
            break
    if any(exchange.fault == "tls" and exchange.method for exchange in record.exchanges):
        yield Flaw(rules.DECEIVED, case, "sent its request all the same", "request")
    header = case.bed.resource.idempotency_header
    if header is not None:
        keys = [_header(exchange, header) for exchange in attempts(case, record) if exchange.method]
        if any(one != other for one, other in pairwise(keys)):
            told = " and then ".join(repr(key) if key else "none" for key in keys[:3])
            yield Flaw(rules.OTHER_KEY, case, f"sent {header} {told}", "request")


def _header(exchange: Exchange, name: str) -> str:
    return next((value for header, value in exchange.headers if header == name.lower()), "")


def _judge_ending(case: Case, record: RunRecord, sources: Sources, calls: tuple[Exchange, ...]) -> Iterator[Flaw]:
    outcome = record.outcomes[0]
    match outcome:
        case Raised(kind, message, _bases, frames):
            declared = case.expected.error if case.expected else None
            if is_programming(outcome) and declared != kind and kind not in sources.classes:
                place = Place(frames[-1].file, frames[-1].line) if frames else None
                yield Flaw(rules.UPSTREAM_PROGRAMMING, case, f"ended in {kind}: {message[:120]}", "raised", place)
        case Exceeded(limit):
            yield _exceeded(case, limit, record, calls)
        case Crashed(_planned, number, status):
            how = f"signal {number}" if number else f"exit status {status}"
            yield Flaw(rules.ENDED, case, f"ended its process ({how})", "parted")
        case Unencodable(reason):
            yield Flaw(rules.MISFIT, case, f"gave no answer: {reason[:200]}", "returned")
        case Returned():
            return


def _exceeded(case: Case, limit: str, record: RunRecord, calls: tuple[Exchange, ...]) -> Flaw:
    declared = case.expected.attempts if case.expected and case.expected.attempts else _ENDLESS
    took = f"{record.usage[0].wall:.1f} s" if record.usage else "the limit"
    if len(calls) > max(declared, 1):
        return Flaw(rules.TOO_MANY, case, f"sent {len(calls)} requests in {took} and did not stop", "parted")
    if limit == "wall" and case.fault.kind in {"timeout", "slow"}:
        return Flaw(rules.NO_TIMEOUT, case, f"was still waiting after {took}", "request")
    if limit == "wall":
        return Flaw(rules.TOO_LONG, case, f"had not answered after {took}", "parted")
    return Flaw(rules.ENDED, case, f"passed its {limit} limit", "parted")


def _judge_outcome(case: Case, expected: Answer, record: RunRecord, calls: tuple[Exchange, ...]) -> Iterator[Flaw]:
    outcome = record.outcomes[0]
    if case.transient and (expected.attempts or 1) > 1:
        yield from _judge_recovery(case, expected, record, calls)
    elif isinstance(outcome, Returned) and expected.outcome == "error":
        if _confirmed(calls):
            yield Flaw(rules.OTHER_OUTCOME, case, f"returned {_shown(outcome)}", "returned")
        else:
            yield Flaw(rules.SWALLOWED, case, f"returned {_shown(outcome)}", "returned")
    elif isinstance(outcome, Raised) and expected.outcome == "value":
        yield Flaw(
            rules.OTHER_OUTCOME, case, f"raised {outcome.type}: {outcome.message[:120]}", "raised", _line(outcome)
        )
    else:
        yield from _judge_content(case, expected, outcome)


def _judge_content(case: Case, expected: Answer, outcome: Any) -> Iterator[Flaw]:
    if isinstance(outcome, Raised) and expected.error and not is_called(outcome, expected.error):
        did = f"raised {outcome.type}: {outcome.message[:120]}"
        yield Flaw(rules.OTHER_ERROR, case, did, "raised", _line(outcome))
    if isinstance(outcome, Returned) and expected.output:
        value = json.loads(outcome.json)
        if not is_part(expected.output, value):
            yield Flaw(rules.OTHER_OUTPUT, case, f"returned {_shown(outcome)}", "returned")


def _judge_recovery(case: Case, expected: Answer, record: RunRecord, calls: tuple[Exchange, ...]) -> Iterator[Flaw]:
    """One request was disturbed, and more attempts are declared: the node is to end as if nothing had happened."""
    outcome, clean = record.outcomes[0], case.bed.clean.outcomes[0]
    if isinstance(outcome, Raised) and isinstance(clean, Returned) and expected.outcome == "error":
        if not _may_give_up(case, expected, calls):
            yield Flaw(
                rules.NO_RECOVERY,
                case,
                f"raised {outcome.type} after {_requests(len(calls))}",
                "raised",
                _line(outcome),
            )
        elif expected.error and not is_called(outcome, expected.error):
            did = f"raised {outcome.type}: {outcome.message[:120]}"
            yield Flaw(rules.OTHER_ERROR, case, did, "raised", _line(outcome))
    if isinstance(outcome, Returned) and expected.outcome == "error" and not _confirmed(calls):
        yield Flaw(rules.SWALLOWED, case, f"returned {_shown(outcome)} after {_requests(len(calls))}", "returned")


def _may_give_up(case: Case, expected: Answer, calls: tuple[Exchange, ...]) -> bool:
    """Whether waiting as told could pass what the manifest allows, so that giving up is right."""
    return bool(case.retry_after) and len(calls) == 1 and not _fits(case, 1, expected.within)


def _fits(case: Case, waits: int, deadline: float | None) -> bool:
    return deadline is not None and waits * case.retry_after <= _FITS * deadline


def _confirmed(calls: tuple[Exchange, ...]) -> bool:
    """Whether the upstream acted on one of the requests and did not refuse it."""
    return any(call.acted and call.status < 400 for call in calls)


def _judge_attempts(
    case: Case, expected: Answer, record: RunRecord, calls: tuple[Exchange, ...], limit: float
) -> Iterator[Flaw]:
    declared = expected.attempts
    if declared is None:
        return
    alike = _alike(case)
    if case.transient:
        if len(calls) > declared - 1 + alike:
            yield Flaw(rules.TOO_MANY, case, f"sent {_requests(len(calls))}", "parted")
        return
    most = declared * alike if isinstance(record.outcomes[0], Returned) else declared
    if len(calls) > most:
        yield Flaw(rules.TOO_MANY, case, f"sent {_requests(len(calls))}", "parted")
    elif len(calls) < declared:
        waits = case.retry_after * (declared - 1)
        excused = bool(case.retry_after) and waits > _FITS * (expected.within or limit)
        if not excused and not _took_it(expected, record, calls):
            yield Flaw(rules.TOO_FEW, case, f"sent {_requests(len(calls))}", "parted", timed=True)


def _took_it(expected: Answer, record: RunRecord, calls: tuple[Exchange, ...]) -> bool:
    """Whether the node returned for a reason that leaves nothing to try again, or that is judged elsewhere."""
    return isinstance(record.outcomes[0], Returned) and (expected.outcome == "error" or _confirmed(calls))


def _alike(case: Case) -> int:
    """How many requests like the disturbed one an undisturbed run makes, from it on."""
    return max(1, len(attempts(case, case.bed.clean)))


def _judge_time(case: Case, expected: Answer, record: RunRecord, limit: float) -> Iterator[Flaw]:
    allowed = expected.within or limit
    took = record.usage[0].wall if record.usage else 0.0
    if took > 1.25 * allowed + 0.05:
        at = "request" if case.fault.kind in {"timeout", "slow"} else "parted"
        did = f"answered after {took:.1f} s, more than {allowed:g} s"
        yield Flaw(rules.TOO_LONG, case, did, at, timed=took < 1.5 * allowed + 0.5)


def _judge_waits(case: Case, expected: Answer, calls: tuple[Exchange, ...], limit: float) -> Iterator[Flaw]:
    if not case.retry_after or case.retry_after > _FITS * (expected.within or limit):
        return
    for call, following in pairwise(calls):
        gap = following.at - call.at
        if call.fault and gap < case.retry_after - _EARLY:
            rule = rules.NO_DATES if case.dated else rules.IMPATIENT
            severity = Severity.WARNING if case.dated else Severity.ERROR
            did = f"asked again after {gap:.2f} s instead of {case.retry_after} s"
            yield Flaw(rule, case, did, "parted", severity=severity)
            return


def is_called(error: Raised, name: str) -> bool:
    """Whether an exception has this class name, or one of its bases has."""
    return name.rpartition(".")[2] in {error.type, *error.bases}


def is_part(expected: Any, value: Any) -> bool:
    """Whether a value has what is expected of it: maps may have more fields, everything else is equal."""
    if isinstance(expected, dict):
        return isinstance(value, dict) and all(
            name in value and is_part(each, value[name]) for name, each in expected.items()
        )
    if isinstance(expected, list):
        return (
            isinstance(value, list)
            and len(expected) == len(value)
            and all(is_part(one, other) for one, other in zip(expected, value, strict=True))
        )
    return isinstance(expected, bool) == isinstance(value, bool) and bool(expected == value)


def _line(error: Raised) -> Place | None:
    return Place(error.frames[-1].file, error.frames[-1].line) if error.frames else None


def _shown(outcome: Returned) -> str:
    text = outcome.json.decode(errors="replace")
    return text if len(text) <= 120 else f"{text[:120]}…"


def _requests(count: int) -> str:
    return f"{count} request{'' if count == 1 else 's'}"
