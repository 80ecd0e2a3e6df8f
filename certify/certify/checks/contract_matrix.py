"""The matrix of upstream answers: which faults stand for an answer that the manifest declares.

Rules this module keeps:

- every declared answer has at least one case; a class of statuses (`4xx`, `5xx`) leaves out those declared by
  themselves;
- a *persistent* case gives the answer to every request, a *transient* one to one request only;
- a case without an expectation is judged for safety alone: it may not end in a programming error, hang, follow a
  redirect to an undeclared host or accept another host's certificate.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from email.utils import formatdate
from typing import Any, Final

from certify.laboratory.record import Environment, Exchange, Fault, RunRecord
from certify.manifest.model import Answer, Resource

ELSEWHERE: Final = "undeclared.example"
ELSEWHERE_ADDRESS: Final = "127.9.9.9:8080"
WAIT: Final = 1
"""Seconds that the injected Retry-After asks for."""
_ABSURD: Final = 3_600
_SHAPES: Final = 6
_STATUSES: Final = {"4xx": (403, 404, 409, 422), "5xx": (500, 502, 503, 504)}
_JSON: Final = (("content-type", "application/json"),)


@dataclass(frozen=True, slots=True)
class Bed:
    """An input that makes a node ask an upstream, and the run in which the upstream answered well.

    Attributes:
        name: what the input is called in findings.
        position: which of the run's requests to the upstream is disturbed, counting from 0.
    """

    resource: Resource
    name: str
    text: bytes
    clean: RunRecord
    position: int = 0

    @property
    def exchanges(self) -> tuple[Exchange, ...]:
        """The undisturbed exchanges with the upstream."""
        return tuple(exchange for exchange in self.clean.exchanges if exchange.resource == self.resource.name)


@dataclass(frozen=True, slots=True)
class Case:
    """One injected answer.

    Attributes:
        answer: the manifest's name of the answer, such as `5xx`.
        label: what is injected, for people.
        expected: what the manifest declares; None to judge safety alone.
        retry_after: seconds that the answer asks to wait; 0 when it does not.
        dated: whether it says so as a date.
        redirects: whether it points to a host that nobody declared.
    """

    bed: Bed
    answer: str
    label: str
    fault: Fault
    expected: Answer | None
    retry_after: int = 0
    dated: bool = False
    redirects: bool = False

    @property
    def persistent(self) -> bool:
        """Whether every request from the bed's position on gets the answer."""
        return len(self.fault.requests) != 1

    @property
    def transient(self) -> bool:
        """Whether one request only gets it."""
        return not self.persistent


def matrix(bed: Bed, limit: float, *, reduced: bool = False) -> Iterator[Case]:
    """The cases for one bed.

    Args:
        bed: the input and its undisturbed run.
        limit: the longest time in seconds that the node may take where the manifest says nothing else.
        reduced: one persistent case for each answer, for beds beyond an upstream's first.
    """
    for answer, expected in bed.resource.answers.items():
        if answer == "200":
            continue
        cases = [replace(case, fault=_from(case.fault, bed.position)) for case in _of(bed, answer, expected, limit)]
        if reduced:
            yield from (case for case in cases[:1])
            continue
        yield from cases
        if (expected.attempts or 1) > 1 and cases:
            yield from _transient(bed, answer, cases, expected)
    if not reduced:
        yield from (replace(case, fault=_from(case.fault, bed.position)) for case in _besides(bed))


def _from(fault: Fault, position: int) -> Fault:
    """The fault for every request from a position on: none is named when that is all of them."""
    return fault if position == 0 else replace(fault, requests=tuple(range(position, position + 500)))


def _transient(bed: Bed, answer: str, cases: list[Case], expected: Answer) -> Iterator[Case]:
    chosen = [case for case in cases if case.label in _TRANSIENT] or cases[:1]
    for case in chosen:
        once = replace(case.fault, requests=(bed.position,))
        yield replace(case, label=f"{case.label}, once", fault=once)
    if answer == "429":
        date = formatdate(Environment().clock + WAIT, usegmt=True)
        fault = _status(bed, 429, (("retry-after", date),), requests=(bed.position,))
        label = f"429 with Retry-After: {date}, once"
        yield Case(bed, answer, label, fault, expected, retry_after=WAIT, dated=True)


_TRANSIENT: Final = frozenset({"429", "503", "no answer", "a body that is broken JSON", "a reset after it acted"})


def _of(bed: Bed, answer: str, expected: Answer, limit: float) -> Iterator[Case]:
    name = bed.resource.name
    match answer:
        case "429":
            yield from _too_many_requests(bed, expected)
        case "timeout":
            yield Case(bed, answer, "no answer", Fault(name, "timeout"), expected)
        case "slow":
            longest = expected.within or limit
            seconds = 1.5 * longest + 1 if expected.outcome == "error" else 0.5 * longest
            yield Case(bed, answer, "a correct answer that drips", Fault(name, "slow", seconds=seconds), expected)
        case "malformed":
            yield from _malformed(bed, expected)
        case "reset":
            yield Case(bed, answer, "a reset before it acted", Fault(name, "reset_before"), expected)
            yield Case(bed, answer, "a reset after it acted", Fault(name, "reset_after"), expected)
            yield Case(bed, answer, "a reset in the middle of its answer", Fault(name, "reset_during"), expected)
        case "redirect":
            yield from _redirects(bed, expected)
        case "tls":
            if (bed.resource.url or "").startswith("https:"):
                yield Case(bed, answer, "a certificate of another host", Fault(name, "tls"), expected)
        case _:
            for status in _statuses(bed.resource, answer):
                yield Case(bed, answer, str(status), _status(bed, status), expected)


def _statuses(resource: Resource, answer: str) -> tuple[int, ...]:
    """The statuses that stand for a declared one: itself, or those of its class that are not declared apart."""
    if answer not in _STATUSES:
        return (int(answer),)
    apart = {int(name) for name in resource.answers if name.isdigit()}
    return tuple(status for status in _STATUSES[answer] if status not in apart) or _STATUSES[answer][:1]


def _status(bed: Bed, status: int, headers: tuple[tuple[str, str], ...] = (), requests: tuple[int, ...] = ()) -> Fault:
    body = b"" if status in {204, 304} else b'{"error": "injected"}'
    return Fault(bed.resource.name, "status", status, headers + _JSON, body, requests)


def _too_many_requests(bed: Bed, expected: Answer) -> Iterator[Case]:
    yield Case(bed, "429", "429", _status(bed, 429), expected)
    for text, seconds in ((str(WAIT), WAIT), (str(_ABSURD), _ABSURD), ("soon", 0), ("-1", 0)):
        fault = _status(bed, 429, (("retry-after", text),))
        yield Case(bed, "429", f"429 with Retry-After: {text}", fault, expected, retry_after=seconds)


def _malformed(bed: Bed, expected: Answer) -> Iterator[Case]:
    name = bed.resource.name
    right = bed.exchanges[bed.position].answer if bed.position < len(bed.exchanges) else b"{}"
    yield Case(bed, "malformed", "a body that is broken JSON", Fault(name, "malformed"), expected)
    page = Fault(name, "content_type")
    yield Case(bed, "malformed", "a page of HTML with status 200", page, expected)
    cut = Fault(name, "truncated", body=right)
    yield Case(bed, "malformed", "a body shorter than announced", cut, expected)
    for label, body in (
        ("an empty body", b""),
        ("the body `[]`", b"[]"),
        ("the body `null`", b"null"),
        ('the body `{"unexpected": 1}`', b'{"unexpected": 1}'),
        ("a body that is not UTF-8", b'\xff{"id": "\xfe"}'),
    ):
        yield Case(bed, "malformed", label, Fault(name, "status", 200, _JSON, body), expected)
    for label, body in _shapes(right):
        yield Case(bed, "malformed", label, Fault(name, "status", 200, _JSON, body, (0,)), None)


def _shapes(right: bytes) -> Iterator[tuple[str, bytes]]:
    """The right answer with one field missing, or null: the node may do without it, but not break on it."""
    try:
        answer = json.loads(right)
    except ValueError:
        return
    if not isinstance(answer, dict):
        return
    for field in list(answer)[: _SHAPES // 2]:
        yield f"its answer without `{field}`", _dumped({k: v for k, v in answer.items() if k != field})
        yield f"its answer with `{field}` null", _dumped({**answer, field: None})


def _dumped(value: Any) -> bytes:
    return json.dumps(value).encode()


def _redirects(bed: Bed, expected: Answer | None) -> Iterator[Case]:
    scheme = (bed.resource.url or "").partition(":")[0]
    for status, host in ((302, ELSEWHERE), (307, ELSEWHERE_ADDRESS)):
        target = f"{'http' if host is ELSEWHERE_ADDRESS else scheme}://{host}/elsewhere"
        fault = Fault(bed.resource.name, "status", status, (("location", target),))
        yield Case(bed, "redirect", f"{status} to {target}", fault, expected, redirects=True)


def _besides(bed: Bed) -> Iterator[Case]:
    """What every node must withstand, whether its manifest speaks of it or not."""
    declared = bed.resource.answers
    if "redirect" not in declared:
        yield from _redirects(bed, None)
    if "tls" not in declared and (bed.resource.url or "").startswith("https:"):
        yield Case(bed, "tls", "a certificate of another host", Fault(bed.resource.name, "tls"), None)
    if "reset" not in declared:
        yield Case(bed, "reset", "a reset after it acted", Fault(bed.resource.name, "reset_after"), None)
