"""The signed statement: an in-toto Statement, version 1, that says how a node was judged, and on what evidence.

Rules this module keeps:

- the subject is named ``id@version`` and carries BLAKE3 and SHA-256 of the same bytes, so that tools without BLAKE3 can
  follow it: the canonical map from the node's files to their digests;
- every digest is checked here, for its letters and its length, when written and when read;
- a statement that this module would not have written is refused when read.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from certify.codec import address
from certify.evidence import errors, forms, strict_json, verdict
from certify.evidence.errors import SignatureError, because
from certify.evidence.verdict import Verdict

PAYLOAD_TYPE: Final = "application/vnd.in-toto+json"
"""The payload type of the envelope."""
STATEMENT_TYPE: Final = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE: Final = "urn:certify:certification:v1"
"""Names the form of the predicate, which docs/evidence.md describes."""
EVIDENCE_MEDIA_TYPE: Final = "application/vnd.certify.evidence+cbor"
SBOM_MEDIA_TYPE: Final = "application/vnd.cyclonedx+json"

_VERDICTS: Final = frozenset({"passed", "failed", "waived", "not-applicable", "unknown"})
_PREDICATE_MEMBERS: Final = frozenset({"evidence", "sbom", "policy", "verdict", "checks", "waivers", "finished"})


@dataclass(frozen=True, slots=True)
class Digests:
    """Two digests of the same bytes, in lower-case hexadecimal digits."""

    blake3: str
    sha256: str

    def __post_init__(self) -> None:
        forms.digest(self.blake3, "digest.blake3", "blake3")
        forms.digest(self.sha256, "digest.sha256", "sha256")

    @classmethod
    def of(cls, data: bytes) -> Digests:
        """Both digests of `data`."""
        return cls(address(data), hashlib.sha256(data).hexdigest())

    def to_data(self) -> dict[str, str]:
        """An in-toto digest set."""
        return {"blake3": self.blake3, "sha256": self.sha256}

    @classmethod
    def from_data(cls, data: object, where: str) -> Digests:
        """The inverse of `to_data`."""
        found = forms.members(data, frozenset({"blake3", "sha256"}), where)
        return cls(found["blake3"], found["sha256"])


@dataclass(frozen=True, slots=True)
class Statement:
    """What is signed of a certification.

    Attributes:
        name: ``id@version`` of the node.
        subject: digests of the canonical map of the node's files.
        evidence: digests of the evidence's canonical bytes.
        sbom: digests of the CycloneDX document.
        policy: the BLAKE3 digest of the policies applied.
        verdict: the name of the verdict over all checks.
        checks: the name of each check's verdict, by the check's id.
        waivers: digests of the envelopes of the waivers that cover a finding.
        finished: when the certification ended, RFC 3339 in UTC.
    """

    name: str
    subject: Digests
    evidence: Digests
    sbom: Digests
    policy: str
    verdict: str
    checks: Mapping[str, str] = field(hash=False)
    waivers: tuple[str, ...]
    finished: str

    def to_data(self) -> dict[str, Any]:
        """The statement as in-toto writes it."""
        return {
            "_type": STATEMENT_TYPE,
            "subject": [{"name": self.name, "digest": self.subject.to_data()}],
            "predicateType": PREDICATE_TYPE,
            "predicate": {
                "evidence": {"mediaType": EVIDENCE_MEDIA_TYPE, "digest": self.evidence.to_data()},
                "sbom": {"mediaType": SBOM_MEDIA_TYPE, "digest": self.sbom.to_data()},
                "policy": {"digest": {"blake3": self.policy}},
                "verdict": self.verdict,
                "checks": dict(self.checks),
                "waivers": [{"digest": {"blake3": waiver}} for waiver in self.waivers],
                "finished": self.finished,
            },
        }

    def to_json(self) -> bytes:
        """The statement as JSON; equal statements give equal bytes."""
        return strict_json.write(self.to_data())

    @classmethod
    def from_json(cls, payload: bytes) -> Statement:
        """Read a statement back.

        Raises:
            SignatureError: SIG005, the payload is not a statement that `to_json` can have written.
        """
        try:
            return cls._read(strict_json.read(payload))
        except ValueError as error:
            raise SignatureError(
                because(errors.MALFORMED_STATEMENT, "the payload is no certification statement", str(error))
            ) from None

    @classmethod
    def _read(cls, document: object) -> Statement:
        whole = forms.members(document, frozenset({"_type", "subject", "predicateType", "predicate"}), "the statement")
        _is(whole["_type"], STATEMENT_TYPE, "_type")
        _is(whole["predicateType"], PREDICATE_TYPE, "predicateType")
        subjects = forms.sequence(whole["subject"], "subject")
        if len(subjects) != 1:
            raise forms.FormError(f"it has {len(subjects)} subjects instead of one")
        subject = forms.members(subjects[0], frozenset({"name", "digest"}), "subject[0]")
        predicate = forms.members(whole["predicate"], _PREDICATE_MEMBERS, "predicate")
        return cls(
            name=forms.text(subject["name"], "subject[0].name"),
            subject=Digests.from_data(subject["digest"], "subject[0].digest"),
            evidence=_resource(predicate["evidence"], EVIDENCE_MEDIA_TYPE, "predicate.evidence"),
            sbom=_resource(predicate["sbom"], SBOM_MEDIA_TYPE, "predicate.sbom"),
            policy=_blake3(predicate["policy"], "predicate.policy"),
            verdict=_verdict(predicate["verdict"], "predicate.verdict"),
            checks={
                check: _verdict(name, f"predicate.checks.{check}")
                for check, name in forms.mapping(predicate["checks"], "predicate.checks").items()
            },
            waivers=tuple(
                _blake3(waiver, f"predicate.waivers[{index}]")
                for index, waiver in enumerate(forms.sequence(predicate["waivers"], "predicate.waivers"))
            ),
            finished=forms.moment(predicate["finished"], "predicate.finished"),
        )


def word(judged: Verdict) -> str:
    """The verdict's name, as statements write it."""
    return verdict.name(judged)


def differences(left: object, right: object, where: str = "statement") -> Iterator[str]:
    """The paths at which two documents differ."""
    if isinstance(left, dict) and isinstance(right, dict):
        for name in sorted(left.keys() | right.keys()):
            yield from differences(left.get(name), right.get(name), f"{where}.{name}")
    elif isinstance(left, list) and isinstance(right, list) and len(left) == len(right):
        for index, pair in enumerate(zip(left, right, strict=True)):
            yield from differences(*pair, f"{where}[{index}]")
    elif left != right:
        yield f"{where} differs"


def _is(value: object, expected: str, where: str) -> None:
    if value != expected:
        raise forms.FormError(f"{where} is not {expected}")


def _resource(value: object, media_type: str, where: str) -> Digests:
    found = forms.members(value, frozenset({"mediaType", "digest"}), where)
    _is(found["mediaType"], media_type, f"{where}.mediaType")
    return Digests.from_data(found["digest"], f"{where}.digest")


def _blake3(value: object, where: str) -> str:
    found = forms.members(value, frozenset({"digest"}), where)
    digests = forms.members(found["digest"], frozenset({"blake3"}), f"{where}.digest")
    return forms.digest(digests["blake3"], f"{where}.digest.blake3")


def _verdict(value: object, where: str) -> str:
    if not isinstance(value, str) or value not in _VERDICTS:
        raise forms.FormError(f"{where} is not the name of a verdict")
    return value
