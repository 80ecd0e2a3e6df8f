"""Waivers: named, scoped, dated decisions to live with one finding.

Rules this module keeps:

- a waiver covers findings of one code, in one node, in stated versions or one content; nothing wider can be written;
- it has a reason, an owner and an end; outside its time it covers nothing;
- a waived finding stays in the result, as a warning that names its waiver: `before_waivers` gives the original back;
- a result counts as waived only if every error in it is covered; what nobody may waive is in `NEVER_WAIVED` and
  `NEVER_WAIVED_CHECKS`;
- whether a signature is right is for the registry, which makes a `SignedWaiver` only of what it has verified;
- everything here is pure: the time is passed in.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from certify import codec
from certify.evidence import forms
from certify.evidence.verdict import CheckResult, Failed, Waived
from certify.releases import NODE_ID, Range
from certify.subject import Subject
from certify.times import read_time, write_seconds
from certify_spec.diagnostics import Diagnostic, Note, Severity

LONGEST: Final = timedelta(days=366)
"""A waiver lasts at most so long; after that somebody looks again."""

NEVER_WAIVED: Final = frozenset({"IDEM099"})
"""Codes of findings that no waiver covers: a suspected collision of keys is a hard failure."""

NEVER_WAIVED_CHECKS: Final = frozenset({"C-SANDBOX", "C-SBOM"})
"""Checks whose findings no waiver covers: an escape from the sandbox, or evidence that does not verify."""

_CODE: Final = re.compile(r"[A-Z]{2,8}[0-9]{3}")
_MAX_TEXT: Final = 1_000
_MAX_RANGES: Final = 50


class WaiverError(ValueError):
    """What is asked for is no waiver that may be written; `problems` are all reasons."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(self.problems))


class State(StrEnum):
    """Where a moment lies, seen from a waiver."""

    VALID = "valid"
    EXPIRED = "expired"
    NOT_YET = "not yet"


@dataclass(frozen=True, slots=True)
class Waiver:
    """A decision to live with one finding for a while.

    Attributes:
        node: id of the node, without version.
        code: code of the finding.
        reason: why it is acceptable; one line.
        owner: who answers for it; one line.
        issued: when it begins, to the second.
        expires: the first moment at which it no longer holds, to the second.
        versions: the versions it holds for, as ranges of which one must fit (`certify.releases.Range`): ``1.2.3``,
            ``1.2.*``, ``>=1.0.0,<2.0.0``; empty when `subject` is given.
        subject: the digest of the one subject it holds for; empty when `versions` are given.
        place: file, file and line, or file, line and column of the finding, such as ``charge.py:14``; empty for any.
        about: what the finding is about, as its data's `about` says (a field, a host …); empty for any.

    Raises:
        WaiverError: it lacks one of these, its scope is open, or it lasts longer than `LONGEST`; all reasons at once.
    """

    node: str
    code: str
    reason: str
    owner: str
    issued: datetime
    expires: datetime
    versions: tuple[str, ...] = ()
    subject: str = ""
    place: str = ""
    about: str = ""

    def __post_init__(self) -> None:
        problems = (*self._scope_problems(), *self._text_problems(), *self._time_problems())
        if problems:
            raise WaiverError(problems)

    def _scope_problems(self) -> Iterable[str]:
        if not NODE_ID.fullmatch(self.node):
            yield f"{self.node!r} is no node's id"
        if not _CODE.fullmatch(self.code):
            yield f"{self.code!r} is not the code of one finding"
        if self.code in NEVER_WAIVED:
            yield f"{self.code} can never be waived"
        if bool(self.versions) == bool(self.subject):
            yield "it must name either versions or one subject's digest: otherwise it would hold for ever new content"
        if len(self.versions) > _MAX_RANGES:
            yield f"it names more than {_MAX_RANGES} ranges of versions"
        for text in self.versions:
            try:
                if not Range.parse(text).is_bounded:
                    yield f"{text!r} has no upper end: it would hold for ever new versions"
            except ValueError as error:
                yield str(error)
        if self.subject:
            try:
                forms.digest(self.subject, "the subject")
            except ValueError as error:
                yield str(error)

    def _text_problems(self) -> Iterable[str]:
        for name in ("reason", "owner", "place", "about"):
            text: str = getattr(self, name)
            if name in {"reason", "owner"} and not text.strip():
                yield f"it names no {name}"
            if not text.isprintable() or not unicodedata.is_normalized("NFC", text):
                yield f"its {name} is not one line of printable text in Normalization Form C"
            if len(text) > _MAX_TEXT:
                yield f"its {name} has more than {_MAX_TEXT} characters"

    def _time_problems(self) -> Iterable[str]:
        if self.issued.tzinfo is None or self.expires.tzinfo is None:
            yield "times carry a time zone"
            return
        if self.issued.microsecond or self.expires.microsecond:
            yield "times are whole seconds"
        if self.expires <= self.issued:
            yield "it ends before it begins"
        elif self.expires - self.issued > LONGEST:
            yield f"it lasts more than {LONGEST.days} days"

    def state(self, now: datetime) -> State:
        """Whether it holds at `now`: its first moment counts, its end does not."""
        if now < self.issued:
            return State.NOT_YET
        return State.VALID if now < self.expires else State.EXPIRED

    def to_data(self) -> dict[str, Any]:
        """The waiver as a map: the form that is signed. Times are UTC, to the second."""
        data = {each.name: getattr(self, each.name) for each in fields(self)}
        times = {name: write_seconds(data[name]) for name in ("issued", "expires")}
        return data | times | {"versions": list(self.versions)}

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Waiver:
        """The inverse of `to_data`.

        Raises:
            WaiverError: it has the form of a waiver, and says what no waiver may say.
            ValueError: the map has not the form of a waiver.
        """
        names = {each.name for each in fields(cls)}
        if set(data) != names:
            raise ValueError(f"a waiver is a map with exactly these keys: {', '.join(sorted(names))}")
        versions, texts = data["versions"], {name: data[name] for name in names - {"versions"}}
        if not isinstance(versions, list) or not all(isinstance(text, str) for text in (*versions, *texts.values())):
            raise ValueError("a waiver is a map of text, and its versions are a list of text")
        return cls(**(texts | {"versions": tuple(versions)} | _times(texts)))


def _times(texts: Mapping[str, str]) -> dict[str, Any]:
    times, problems = {}, []
    for name in ("issued", "expires"):
        try:
            times[name] = read_time(texts[name])
            if write_seconds(times[name]) != texts[name]:
                problems.append(f"{texts[name]!r} is not a moment to the second")
        except ValueError as error:
            problems.append(str(error))
    if problems:
        raise WaiverError(problems)
    return times


@dataclass(frozen=True, slots=True)
class SignedWaiver:
    """A waiver in its envelope, after the signature has been verified.

    Attributes:
        waiver: what was signed.
        envelope: the DSSE envelope around it.
        key_id: id of the key that signed it.
    """

    waiver: Waiver
    envelope: bytes = field(repr=False)
    key_id: str

    @property
    def id(self) -> str:
        """BLAKE3 of the envelope: how verdicts, evidence and the registry name the waiver."""
        return codec.address(self.envelope)


@dataclass(frozen=True, slots=True)
class Candidate:
    """What a waiver may be for: one content of one version of a node.

    Attributes:
        node: the node's id.
        version: the node's version.
        subject: digest of its content.
    """

    node: str
    version: str
    subject: str

    @classmethod
    def of(cls, subject: Subject) -> Candidate:
        """The subject, as waivers see it."""
        node = subject.manifest.node
        return cls(node.id, node.version, subject.digest)


def out_of_scope(waiver: Waiver, candidate: Candidate, now: datetime) -> str:
    """Why `waiver` does not speak of `candidate` at the moment `now`; empty when it does."""
    if waiver.node != candidate.node:
        return f"it is for the node {waiver.node}"
    if waiver.versions and not any(candidate.version in Range.parse(text) for text in waiver.versions):
        return f"it is for {' or '.join(waiver.versions)}, not for version {candidate.version}"
    if waiver.subject and waiver.subject != candidate.subject:
        return "it is for other content of this node"
    match waiver.state(now):
        case State.VALID:
            return ""
        case State.NOT_YET:
            return f"it begins on {write_seconds(waiver.issued)}"
        case State.EXPIRED:
            return f"it expired on {write_seconds(waiver.expires)}"


def objection(waiver: Waiver, check: str, finding: Diagnostic, candidate: Candidate, now: datetime) -> str:
    """Why `waiver` does not cover `finding`; empty when it does.

    Args:
        waiver: the waiver.
        check: id of the check that found it.
        finding: an error of that check.
        candidate: the node that the check judged.
        now: the moment to decide for, with a time zone.
    """
    if finding.code in NEVER_WAIVED or finding.data.get("waivable") is False:
        return f"{finding.code} can never be waived here"
    if check in NEVER_WAIVED_CHECKS:
        return f"findings of {check} can never be waived"
    if waiver.code != finding.code:
        return f"it is for {waiver.code}, not for {finding.code}"
    if waiver.place and not _is_at(waiver.place, finding):
        return f"it is for a finding at {waiver.place}"
    if waiver.about and waiver.about != finding.data.get("about", ""):
        return f"it is for a finding about {waiver.about}"
    return out_of_scope(waiver, candidate, now)


def apply_waivers(
    result: CheckResult, waivers: Iterable[SignedWaiver], candidate: Candidate, now: datetime
) -> CheckResult:
    """`result` as the waivers leave it.

    A failed result in which every error is covered becomes `Waived`. Covered errors are turned into warnings that name
    their waiver, whether or not others remain; an error that a waiver of its code and node misses says which and why.
    A result with any other verdict, or that failed without an error to cover, comes back unchanged: nothing turns
    *unknown* into a pass.
    """
    known = sorted(waivers, key=lambda signed: signed.id)
    if not isinstance(result.verdict, Failed) or not known:
        return result
    findings = tuple(_decided(result.check, finding, known, candidate, now) for finding in result.findings)
    left = any(finding.severity is Severity.ERROR for finding in findings)
    used = waivers_of(findings)
    verdict = Failed() if left or not used else Waived(used)
    return replace(result, verdict=verdict, findings=findings)


def waivers_of(findings: Iterable[Diagnostic]) -> tuple[str, ...]:
    """Ids of the waivers that cover some of the findings of a result, in order, each once."""
    return tuple(sorted({finding.data[MARK]["waiver"] for finding in findings if MARK in finding.data}))


def before_waivers(result: CheckResult) -> CheckResult:
    """The result as the check gave it: what a later moment, at which waivers have ended, is decided on."""
    findings = tuple(_unmarked(finding) for finding in result.findings)
    verdict = Failed() if isinstance(result.verdict, Waived) else result.verdict
    return replace(result, verdict=verdict, findings=findings)


MARK: Final = "waived"
"""Key, in a covered finding's data, of a map: `waiver` (its id), `owner`, `key` (id), `expires` and `reason`."""

_NEAR: Final = "waiver does not apply: "


def _decided(
    check: str, finding: Diagnostic, known: list[SignedWaiver], candidate: Candidate, now: datetime
) -> Diagnostic:
    """The finding, marked by the first waiver that covers it, or with a note on each that nearly does."""
    if finding.severity is not Severity.ERROR:
        return finding
    objections = [(signed, objection(signed.waiver, check, finding, candidate, now)) for signed in known]
    covering = next((signed for signed, why in objections if not why), None)
    if covering is not None:
        return _marked(finding, covering)
    near = [
        Note(f"{_NEAR}{why}")
        for signed, why in objections
        if (signed.waiver.code, signed.waiver.node) == (finding.code, candidate.node)
    ]
    return replace(finding, notes=(*finding.notes, *near)) if near else finding


def _marked(finding: Diagnostic, signed: SignedWaiver) -> Diagnostic:
    waiver = signed.waiver
    until = write_seconds(waiver.expires)
    mark = {
        "waiver": signed.id,
        "owner": waiver.owner,
        "key": signed.key_id,
        "expires": until,
        "reason": waiver.reason,
    }
    note = Note(f"waived until {until} by {waiver.owner}: {waiver.reason}")
    return replace(finding, severity=Severity.WARNING, notes=(*finding.notes, note), data={**finding.data, MARK: mark})


def _unmarked(finding: Diagnostic) -> Diagnostic:
    if MARK not in finding.data:
        return replace(finding, notes=tuple(note for note in finding.notes if not note.message.startswith(_NEAR)))
    data = {name: value for name, value in finding.data.items() if name != MARK}
    return replace(finding, severity=Severity.ERROR, notes=finding.notes[:-1], data=data)


def _is_at(place: str, finding: Diagnostic) -> bool:
    if finding.place is None:
        return False
    return place in {finding.place.file, f"{finding.place.file}:{finding.place.line}", str(finding.place)}
