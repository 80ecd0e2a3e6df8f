"""A release in one file, to be verified without the registry.

Rules this module keeps:

- the file is canonical CBOR: the log's entries about the release with their proofs, the evidence, and every blob;
- `verify` believes nothing in it but the registry's key that it is given.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from certify.codec import EncodingError, address, decode
from certify.evidence.bundle import Evidence
from certify.registry import checkpoint, decisions, entries, merkle
from certify.registry.checkpoint import CheckpointError, Verifier
from certify.registry.entries import Decided, Entry, EntryError, Ledger, Published, Release
from certify.registry.envelopes import EnvelopeError, demand_statement, opened, read_evidence, signed_by, verdicts
from certify.registry.errors import UNKNOWN_NAME, Refused, reason, wrong
from certify.registry.merkle import ProofError
from certify.registry.registry import Registry
from certify_spec.diagnostics import Rule

MEDIA_TYPE: Final = "application/vnd.certify.bundle+cbor"
SCHEMA: Final = 1
BROKEN: Final = Rule("BND001", "a bundle does not hold", "download it again, and ask who runs the registry")


@dataclass(frozen=True, slots=True)
class Verified:
    """What a bundle shows.

    Attributes:
        release: the release as it stood.
        published: the entry that let it in.
        decisions: the decisions on it, in order.
        evidence: its evidence.
        checkpoint: the signed checkpoint that everything rests on.
        blobs: number of blobs whose bytes were compared with their digest.
        proofs: number of entries whose place in the log was proved.
    """

    release: Release
    published: Published
    decisions: tuple[Decided, ...]
    evidence: Evidence
    checkpoint: str
    blobs: int
    proofs: int


def bundle(registry: Registry, name: str) -> dict[str, Any]:
    """Everything about a release, as data.

    Raises:
        RequestError: REG008 unknown, REG009 not a name; REG023 a blob was changed.
    """
    shown = registry.show(name)
    note = registry.checkpoint()
    if note is None:
        raise wrong(UNKNOWN_NAME, "the log is empty")
    size = checkpoint.parse(note, registry.verifier).size
    numbers = [shown.release.entry, *(record.number for record in shown.decisions)]
    logged = []
    for number in numbers:
        ((_, data),) = registry.raw_entries(number, number + 1)
        proof = list(registry.inclusion_proof(number, size))
        logged.append({"number": number, "data": data, "proof": proof})
    named = set(shown.published.blobs).union(*(record.entry.blobs for record in shown.decisions))
    return {
        "schema": SCHEMA,
        "name": name,
        "verifier": str(registry.verifier),
        "checkpoint": note,
        "entries": logged,
        "blobs": {digest: registry.blob(digest) for digest in sorted(named)},
    }


def verify(data: bytes, verifier: Verifier) -> Verified:
    """Check everything in a bundle.

    Args:
        data: the file.
        verifier: the registry's key as known from elsewhere.

    Raises:
        Refused: BND001, it does not hold; the message says why.
    """
    try:
        return _verified(_read(data), verifier)
    except (CheckpointError, ProofError, EntryError, EnvelopeError, EncodingError) as error:
        raise Refused(reason(BROKEN, "the bundle does not hold", because=str(error))) from None
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise Refused(reason(BROKEN, "the bundle is malformed", because=f"{type(error).__name__}: {error}")) from None


def named_verifier(data: bytes) -> Verifier:
    """The key that the bundle itself names: believe it only if you know it from elsewhere.

    Raises:
        Refused: BND001, the bundle is malformed.
    """
    try:
        return Verifier.from_text(_read(data)["verifier"])
    except (EncodingError, CheckpointError, KeyError, TypeError, ValueError) as error:
        raise Refused(reason(BROKEN, "the bundle is malformed", because=str(error))) from None


def _read(data: bytes) -> Mapping[str, Any]:
    found = decode(data)
    if not isinstance(found, dict) or found.get("schema") != SCHEMA:
        raise ValueError("it is no bundle of this schema")
    return found


def _verified(found: Mapping[str, Any], verifier: Verifier) -> Verified:
    head = checkpoint.parse(found["checkpoint"], verifier)
    blobs: Mapping[str, bytes] = found["blobs"]
    for digest, data in blobs.items():
        if address(data) != digest:
            raise ValueError(f"the blob {digest} has other bytes")
    ledger, logged = Ledger(), []
    for each in found["entries"]:
        leaf = merkle.leaf_hash(each["data"])
        merkle.verify_inclusion(leaf, each["number"], head.size, tuple(each["proof"]), head.root)
        entry = entries.read(each["data"])
        ledger.apply(each["number"], entry)
        logged.append(entry)
    published, decided = _about_one(logged)
    if f"{published.node}@{published.release}" != found["name"]:
        raise ValueError("it is about another release than it says")
    if lost := ledger.blobs - blobs.keys():
        raise ValueError(f"the blob {min(lost)} is missing")
    evidence = read_evidence(blobs[published.evidence])
    _demand_evidence(evidence, published, blobs)
    for decision in decided:
        _demand_decision(decision, published, blobs)
    (release,) = ledger
    return Verified(
        release, published, decided, evidence, found["checkpoint"], len(blobs), len(logged)
    )  # fmt: skip


def _about_one(logged: list[Entry]) -> tuple[Published, tuple[Decided, ...]]:
    if not logged or not isinstance(logged[0], Published):
        raise ValueError("it does not begin with the entry that let the release in")
    decided = tuple(entry for entry in logged[1:] if isinstance(entry, Decided))
    if len(decided) != len(logged) - 1:
        raise ValueError("it holds entries of other kinds")
    return logged[0], decided


def _demand_evidence(evidence: Evidence, published: Published, blobs: Mapping[str, bytes]) -> None:
    said = (evidence.node, evidence.version, evidence.subject, verdicts(evidence))
    if said != (published.node, published.release, published.subject, dict(published.verdicts)):
        raise ValueError("the evidence says something else than the log")
    if lost := evidence.references - blobs.keys():
        raise ValueError(f"the blob {min(lost)}, which the evidence names, is missing")
    envelope = opened(blobs[published.envelope], published.signer)
    demand_statement(envelope, evidence, blobs[evidence.sbom])


def _demand_decision(decided: Decided, published: Published, blobs: Mapping[str, bytes]) -> None:
    said = decisions.read(blobs[decided.envelope], decided.signer)
    expected = decisions.Decision(
        decided.node, decided.release, decided.evidence, decided.status, decided.version, decided.reason
    )
    if said != expected:
        raise ValueError("a decision was signed that says something else than the log")
    if decided.status is entries.Status.APPROVED and signed_by(blobs[published.envelope], decided.signer):
        raise ValueError("the release was approved with a key that signed its evidence")
