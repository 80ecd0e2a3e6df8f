"""Submissions and receipts: what is handed in, and what is handed back.

Rules this module keeps:

- everything is pure; `problems` finds every reason to refuse, not only the first;
- nothing that the submission says of itself is believed: digests are computed, signatures verified, and the verdicts
  compared with those in the evidence;
- a receipt can be checked by anyone who has the registry's verifier key, without the registry.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from certify.codec import EncodingError, address, encode
from certify.evidence.bundle import Evidence
from certify.evidence.keys import PublicKey
from certify.registry import checkpoint, merkle
from certify.registry.checkpoint import CheckpointError, Verifier
from certify.registry.entries import DIGEST
from certify.registry.envelopes import EnvelopeError, demand_statement, opened, read_evidence, verdicts
from certify.registry.errors import (
    BLOB_DIGEST,
    BLOB_MISSING,
    EVIDENCE,
    MALFORMED,
    SIGNATURE,
    STATEMENT,
    VERDICT,
    Refused,
    reason,
)
from certify.registry.merkle import ProofError
from certify.releases import NODE_ID, precedence
from certify_spec.diagnostics import Diagnostic

ALLOWED: Final = frozenset({"passed", "waived", "not-applicable"})
"""Names of the verdicts with which a node may be published, as `certify.evidence.verdict` has them."""


@dataclass(frozen=True, slots=True)
class Submission:
    """A certified release, handed in.

    Attributes:
        node: the node's id.
        release: the node's version.
        subject: digest of the subject.
        evidence: digest of the evidence; its bytes are among `blobs`.
        envelope: the DSSE envelope about the two.
        signer: the key that signed it.
        blobs: bytes by digest: the evidence, everything that it names, and everything that `artefacts` names; all of
            them are kept.
        artefacts: digests by name, for people: ``report`` above all, ``sbom``, ``manifest``, ``policy`` …
        verdicts: verdict names by check.
    """

    node: str
    release: str
    subject: str
    evidence: str
    envelope: bytes
    signer: PublicKey
    blobs: Mapping[str, bytes]
    artefacts: Mapping[str, str]
    verdicts: Mapping[str, str]

    @property
    def name(self) -> str:
        """``node@release``."""
        return f"{self.node}@{self.release}"

    @property
    def references(self) -> tuple[str, ...]:
        """Digests of the blobs that go by no name, in order."""
        return tuple(sorted(self.blobs.keys() - {self.evidence, *self.artefacts.values()}))

    @property
    def stored(self) -> dict[str, bytes]:
        """The blobs that are kept: all of them, and the envelope."""
        return {digest: self.blobs[digest] for digest in sorted(self.blobs)} | {address(self.envelope): self.envelope}


@dataclass(frozen=True, slots=True)
class Receipt:
    """Proof that an entry is in the log.

    Attributes:
        node: the node's id.
        release: the node's version; empty for a waiver.
        evidence: digest of the evidence in the log; empty for a waiver.
        at: when the entry was made.
        entry: the entry's number, from 0.
        leaf: the entry's leaf hash.
        size: number of entries in the tree of `checkpoint`.
        root: the tree's hash.
        proof: inclusion proof, lowest sibling first.
        checkpoint: the signed checkpoint, a C2SP signed note.
        report: where the report's blob lies, if one was submitted.
        appended: whether this request made the entry; not part of the receipt's identity.
    """

    node: str
    release: str
    evidence: str
    at: str
    entry: int
    leaf: bytes
    size: int
    root: bytes
    proof: tuple[bytes, ...]
    checkpoint: str
    report: Path | None = field(default=None, compare=False)
    appended: bool = field(default=False, compare=False)

    def verify(self, verifier: Verifier) -> None:
        """Check the receipt against the registry's key.

        Raises:
            CheckpointError: the checkpoint is not signed by that key, or is about another tree.
            ProofError: the proof does not lead from the leaf to the root.
        """
        signed = checkpoint.parse(self.checkpoint, verifier)
        if (signed.size, signed.root) != (self.size, self.root):
            raise CheckpointError("the checkpoint is about another tree than the receipt")
        merkle.verify_inclusion(self.leaf, self.entry, self.size, self.proof, self.root)

    def to_data(self) -> dict[str, Any]:
        """The receipt as a map of text, integers and lists; hashes in hexadecimal."""
        return {
            "node": self.node,
            "release": self.release,
            "evidence": self.evidence,
            "at": self.at,
            "entry": self.entry,
            "leaf": self.leaf.hex(),
            "size": self.size,
            "root": self.root.hex(),
            "proof": [sibling.hex() for sibling in self.proof],
            "checkpoint": self.checkpoint,
        }

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Receipt:
        """The inverse of `to_data`.

        Raises:
            ProofError: it is not a receipt.
        """
        try:
            return cls(
                node=str(data["node"]),
                release=str(data["release"]),
                evidence=str(data["evidence"]),
                at=str(data["at"]),
                entry=int(data["entry"]),
                leaf=bytes.fromhex(data["leaf"]),
                size=int(data["size"]),
                root=bytes.fromhex(data["root"]),
                proof=tuple(bytes.fromhex(sibling) for sibling in data["proof"]),
                checkpoint=str(data["checkpoint"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise ProofError(f"not a receipt: {error!r}") from None


@dataclass(frozen=True, slots=True)
class Checked:
    """A submission with which nothing is wrong on its own account; only `checked` makes one."""

    submission: Submission


def checked(submission: Submission) -> Checked:
    """The submission, after every reason to refuse it on its own account has been looked for.

    Raises:
        Refused: REG020 to REG024 and REG029, with every reason.
    """
    found = problems(submission)
    if found:
        raise Refused(*found)
    return Checked(submission)


def problems(submission: Submission) -> tuple[Diagnostic, ...]:
    """Every reason to refuse the submission on its own account; empty when there is none."""
    malformed = tuple(_malformed(submission))
    return malformed or (*_blob_problems(submission), *_evidence_problems(submission), *_verdict_problems(submission))


def _malformed(submission: Submission) -> Iterator[Diagnostic]:
    if not NODE_ID.fullmatch(submission.node):
        yield reason(MALFORMED, f"{submission.node!r} is not a node's id")
    try:
        precedence(submission.release)
    except ValueError as error:
        yield reason(MALFORMED, str(error))
    digests = {"subject": submission.subject, "evidence": submission.evidence, **submission.artefacts}
    for name, digest in digests.items():
        if not DIGEST.fullmatch(digest):
            yield reason(MALFORMED, f"the digest of {name} is not one of 64 hexadecimal digits: {digest!r}")
    try:
        encode([dict(submission.artefacts), dict(submission.verdicts)])
    except EncodingError as error:
        yield reason(MALFORMED, "a name in the submission has no canonical encoding", because=str(error))


def _blob_problems(submission: Submission) -> Iterator[Diagnostic]:
    for digest, data in submission.blobs.items():
        found = address(data)
        if found != digest:
            yield reason(BLOB_DIGEST, f"the blob submitted as {digest!r} is not that", because=f"its digest is {found}")
    for name, digest in {"evidence": submission.evidence, **submission.artefacts}.items():
        if digest not in submission.blobs:
            yield reason(BLOB_MISSING, f"the blob of {name} is missing", because=f"{digest} is not among the blobs")


def _evidence_problems(submission: Submission) -> Iterator[Diagnostic]:
    """Why envelope, evidence and submission do not say one and the same."""
    data = submission.blobs.get(submission.evidence)
    try:
        verified = opened(submission.envelope, submission.signer)
    except EnvelopeError as error:
        yield reason(SIGNATURE, f"the envelope of {submission.name} does not verify", because=str(error))
        verified = None
    if data is None:
        return
    try:
        evidence = read_evidence(data)
        found = verdicts(evidence)
    except EnvelopeError as error:
        yield reason(EVIDENCE, f"the evidence of {submission.name} cannot be read", because=str(error))
        return
    yield from _differences(submission, evidence, found)
    for digest in sorted(evidence.references - submission.blobs.keys()):
        yield reason(BLOB_MISSING, f"the blob {digest} is missing", because="the evidence names it")
    sbom = submission.blobs.get(evidence.sbom)
    if verified is None or sbom is None:
        return
    try:
        demand_statement(verified, evidence, sbom)
    except EnvelopeError as error:
        yield reason(STATEMENT, f"the envelope of {submission.name} is about something else", because=str(error))


def _differences(submission: Submission, evidence: Evidence, found: Mapping[str, str]) -> Iterator[Diagnostic]:
    claims = {
        "node": (submission.node, evidence.node),
        "version": (submission.release, evidence.version),
        "subject": (submission.subject, evidence.subject),
        "verdicts": (_listed(submission.verdicts), _listed(found)),
    }
    for what, (claimed, shown) in claims.items():
        if claimed != shown:
            message = f"the evidence of {submission.name} has another {what} than the submission"
            yield reason(EVIDENCE, message, because=f"evidence: {shown}\nsubmission: {claimed}")


def _verdict_problems(submission: Submission) -> Iterator[Diagnostic]:
    if not submission.verdicts:
        yield reason(VERDICT, f"{submission.name} comes without any verdict")
    for check, verdict in sorted(submission.verdicts.items()):
        if verdict not in ALLOWED:
            yield reason(VERDICT, f"{check} is {verdict}", because="only passed, waived and not-applicable are let in")


def _listed(verdicts: Mapping[str, str]) -> str:
    return ", ".join(f"{check} {verdict}" for check, verdict in sorted(verdicts.items())) or "none"
