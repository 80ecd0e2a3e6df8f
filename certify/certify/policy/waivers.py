"""Waivers: named, scoped, dated decisions to live with one finding.

Rules this module keeps:

- a waiver covers findings of one code, in one node, in stated versions or one content; nothing wider can be written;
- it has a reason, an owner, a key that signs it, and an end; outside its time it covers nothing;
- a waived finding stays in the result, as a warning that names its waiver: `before_waivers` gives the original back;
- a result counts as waived only if every error in it is covered; what nobody may waive is in `NEVER_WAIVED`;
- whether a signature is right is for the registry: what reaches `apply_waivers` has been checked.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any, Final

from certify import codec
from certify.evidence.verdict import CheckResult, Failed, Waived
from certify.subject import Subject
from certify_spec.diagnostics import Diagnostic, Note, Severity

LONGEST: Final = timedelta(days=366)
"""A waiver lasts at most so long; after that somebody looks again."""

NEVER_WAIVED: Final = frozenset({"IDEM099"})
"""Codes of findings that no waiver covers: a suspected collision of keys is a hard failure."""

NEVER_WAIVED_CHECKS: Final = frozenset({"C-SANDBOX", "C-SBOM"})
"""Checks whose findings no waiver covers: an escape from the sandbox, or evidence that does not verify."""

_NODE: Final = re.compile(r"[a-z0-9][a-z0-9_-]*(/[a-z0-9][a-z0-9_-]*)*")
_VERSION: Final = re.compile(r"\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?|\d+\.\d+\.\*|\d+\.\*")
_CODE: Final = re.compile(r"[A-Z]{2,8}\d{3}")
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Waiver:
    """A decision to live with one finding for a while.

    Attributes:
        node: id of the node, without version.
        versions: the versions it holds for: exact ones, or ``1.2.*`` and ``1.*``; may be empty when `digest` is given.
        digest: the subject's digest, when it holds for that content only.
        code: code of the finding.
        place: file, or file and line, of the finding, such as ``charge.py:14``; empty for any.
        about: what the finding is about, as its data's `about` says (a field, a host …); empty for any.
        reason: why it is acceptable.
        owner: who answers for it.
        issued: when it begins.
        expires: the first moment at which it no longer holds.
        key_id: the key that signs it.

    Raises:
        ValueError: it lacks one of these, its scope is open, or it lasts longer than `LONGEST`; all reasons at once.
    """

    node: str
    code: str
    reason: str
    owner: str
    issued: datetime
    expires: datetime
    key_id: str
    versions: tuple[str, ...] = ()
    digest: str = ""
    place: str = ""
    about: str = ""

    def __post_init__(self) -> None:
        problems = list(self._problems())
        if problems:
            raise ValueError("; ".join(problems))

    def _problems(self) -> Iterable[str]:
        if not _NODE.fullmatch(self.node):
            yield f"{self.node!r} is no node's id"
        if not self.versions and not self.digest:
            yield "a waiver names versions or a digest: otherwise it would hold for ever new content"
        for version in self.versions:
            if not _VERSION.fullmatch(version):
                yield f"{version!r} is neither a version nor a series such as 1.2.*"
        if self.digest and not _DIGEST.fullmatch(self.digest):
            yield "the digest is not 64 hexadecimal digits"
        if not _CODE.fullmatch(self.code):
            yield f"{self.code!r} is no finding's code"
        if self.code in NEVER_WAIVED:
            yield f"{self.code} can never be waived"
        for what, text in (("reason", self.reason), ("owner", self.owner), ("key id", self.key_id)):
            if not text.strip():
                yield f"a waiver has a {what}"
        if self.issued.tzinfo is None or self.expires.tzinfo is None:
            yield "times carry a time zone"
        elif self.expires <= self.issued:
            yield "it ends before it begins"
        elif self.expires - self.issued > LONGEST:
            yield f"it lasts more than {LONGEST.days} days"

    @cached_property
    def address(self) -> str:
        """BLAKE3 of the canonical form: how verdicts name the waiver."""
        return codec.address(codec.encode(self.to_data()))

    def to_data(self) -> dict[str, Any]:
        """The waiver as a map: the form that is signed. Times are UTC, to the second."""
        return {
            "node": self.node,
            "versions": list(self.versions),
            "digest": self.digest,
            "code": self.code,
            "place": self.place,
            "about": self.about,
            "reason": self.reason,
            "owner": self.owner,
            "issued": _stamp(self.issued),
            "expires": _stamp(self.expires),
            "key_id": self.key_id,
        }

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Waiver:
        """The inverse of `to_data`.

        Raises:
            ValueError: the map is no waiver, or not one that may be written.
        """
        names = {
            "node",
            "versions",
            "digest",
            "code",
            "place",
            "about",
            "reason",
            "owner",
            "issued",
            "expires",
            "key_id",
        }
        if data.keys() != names:
            raise ValueError(f"a waiver has exactly these fields: {', '.join(sorted(names))}")
        texts = {name: data[name] for name in names - {"versions", "issued", "expires"}}
        versions = data["versions"]
        if not all(isinstance(text, str) for text in (*texts.values(), data["issued"], data["expires"])):
            raise ValueError("the fields of a waiver are text")
        if not isinstance(versions, list | tuple) or not all(isinstance(text, str) for text in versions):
            raise ValueError("the versions of a waiver are a list of text")
        return cls(
            **texts,
            versions=tuple(versions),
            issued=datetime.fromisoformat(data["issued"]),
            expires=datetime.fromisoformat(data["expires"]),
        )


def _stamp(moment: datetime) -> str:
    return moment.astimezone(UTC).replace(microsecond=0).isoformat().replace("+00:00", "Z")


def objection(waiver: Waiver, finding: Diagnostic, subject: Subject, now: datetime) -> str:
    """Why `waiver` does not cover `finding`; empty when it does.

    Args:
        waiver: the waiver.
        finding: an error of some check.
        subject: the node that the check judged.
        now: the moment to decide for, with a time zone.
    """
    node = subject.manifest.node
    if finding.code in NEVER_WAIVED or finding.data.get("waivable") is False:
        return f"{finding.code} can never be waived"
    if waiver.code != finding.code:
        return f"it is for {waiver.code}, not for {finding.code}"
    if waiver.node != node.id:
        return f"it is for the node {waiver.node}"
    if waiver.versions and not any(_covers(version, node.version) for version in waiver.versions):
        return f"it is for {', '.join(waiver.versions)}, not for version {node.version}"
    if waiver.digest and waiver.digest != subject.digest:
        return "it is for other content of this node"
    if waiver.place and not _is_at(waiver.place, finding):
        return f"it is for a finding at {waiver.place}"
    if waiver.about and waiver.about != finding.data.get("about", ""):
        return f"it is for a finding about {waiver.about}"
    if now < waiver.issued:
        return f"it begins on {_stamp(waiver.issued)}"
    if now >= waiver.expires:
        return f"it expired on {_stamp(waiver.expires)}"
    return ""


def applies(waiver: Waiver, finding: Diagnostic, subject: Subject, now: datetime) -> bool:
    """Whether `waiver` covers `finding` at the moment `now`."""
    return not objection(waiver, finding, subject, now)


def apply_waivers(result: CheckResult, waivers: Iterable[Waiver], subject: Subject, now: datetime) -> CheckResult:
    """`result` as the waivers leave it.

    A failed result in which every error is covered becomes `Waived`. Covered errors are turned into warnings that name
    their waiver, whether or not others remain; an error that a waiver of its code and node misses says which and why.
    A result with any other verdict, or that failed without an error to cover, comes back unchanged: nothing turns
    *unknown* into a pass.
    """
    known = sorted(waivers, key=lambda waiver: waiver.address)
    if not isinstance(result.verdict, Failed) or result.check in NEVER_WAIVED_CHECKS or not known:
        return result
    used: set[str] = set()
    findings: list[Diagnostic] = []
    for finding in result.findings:
        if finding.severity is not Severity.ERROR:
            findings.append(finding)
            continue
        covering = next((waiver for waiver in known if applies(waiver, finding, subject, now)), None)
        if covering is None:
            findings.append(_missed(finding, known, subject, now))
        else:
            used.add(covering.address)
            findings.append(_marked(finding, covering))
    left = any(finding.severity is Severity.ERROR for finding in findings)
    verdict = Failed() if left or not used else Waived(tuple(sorted(used)))
    return replace(result, verdict=verdict, findings=tuple(findings))


def before_waivers(result: CheckResult) -> CheckResult:
    """The result as the check gave it: what a later moment, at which waivers have ended, is decided on."""
    findings = tuple(_unmarked(finding) for finding in result.findings)
    verdict = Failed() if isinstance(result.verdict, Waived) else result.verdict
    return replace(result, verdict=verdict, findings=findings)


_MARK: Final = "waived"
_NEAR: Final = "waiver does not apply: "


def _marked(finding: Diagnostic, waiver: Waiver) -> Diagnostic:
    mark = {"waiver": waiver.address, "owner": waiver.owner, "expires": _stamp(waiver.expires), "reason": waiver.reason}
    note = Note(f"waived until {_stamp(waiver.expires)} by {waiver.owner}: {waiver.reason}")
    return replace(
        finding,
        severity=Severity.WARNING,
        notes=(*finding.notes, note),
        data={**finding.data, _MARK: mark},
    )


def _missed(finding: Diagnostic, waivers: list[Waiver], subject: Subject, now: datetime) -> Diagnostic:
    near = [waiver for waiver in waivers if waiver.code == finding.code and waiver.node == subject.manifest.node.id]
    notes = tuple(Note(f"{_NEAR}{objection(waiver, finding, subject, now)}") for waiver in near)
    return replace(finding, notes=(*finding.notes, *notes)) if notes else finding


def _unmarked(finding: Diagnostic) -> Diagnostic:
    if _MARK not in finding.data:
        return replace(finding, notes=tuple(note for note in finding.notes if not note.message.startswith(_NEAR)))
    data = {name: value for name, value in finding.data.items() if name != _MARK}
    return replace(finding, severity=Severity.ERROR, notes=finding.notes[:-1], data=data)


def _covers(pattern: str, version: str) -> bool:
    """Whether a version is `pattern`, or of its series; a series holds no pre-release."""
    if not pattern.endswith(".*"):
        return pattern == version
    return "-" not in version and version.startswith(pattern.removesuffix("*"))


def _is_at(place: str, finding: Diagnostic) -> bool:
    if finding.place is None:
        return False
    return place in {finding.place.file, f"{finding.place.file}:{finding.place.line}", str(finding.place)}
