"""What envelopes and evidence say, as far as the registry must understand them.

Rules this module keeps:

- an envelope is believed after its signature has been verified with the one key that is given, and not before;
- a statement counts for evidence only when it is the one statement that this evidence calls for;
- everything here is pure, and every refusal is a subclass of `EnvelopeError` that says why.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from certify.codec import EncodingError, decode
from certify.evidence import dsse, statement, verdict
from certify.evidence.bundle import Evidence, statement_of
from certify.evidence.dsse import Verified
from certify.evidence.errors import EvidenceError
from certify.evidence.keys import PublicKey


class EnvelopeError(ValueError):
    """An envelope or evidence does not hold."""


class SignatureMismatchError(EnvelopeError):
    """No valid signature of the given key."""


class StatementMismatchError(EnvelopeError):
    """The signed payload says something else than it must."""


class UnreadableEvidenceError(EnvelopeError):
    """The bytes are no evidence."""


def opened(envelope: bytes, signer: PublicKey) -> Verified:
    """The payload of an envelope that `signer` has signed.

    Raises:
        SignatureMismatchError: it has not.
    """
    try:
        return dsse.verify(envelope, [signer])
    except EvidenceError as error:
        raise SignatureMismatchError(_said(error)) from None


def signed_by(envelope: bytes, key: PublicKey) -> bool:
    """Whether `key` is among those that have signed the envelope."""
    try:
        opened(envelope, key)
    except SignatureMismatchError:
        return False
    return True


def read_evidence(data: bytes) -> Evidence:
    """The evidence in canonical bytes.

    Raises:
        UnreadableEvidenceError: it is none.
    """
    try:
        return Evidence.decode(data)
    except EvidenceError as error:
        raise UnreadableEvidenceError(_said(error)) from None


def verdicts(evidence: Evidence) -> dict[str, str]:
    """The verdict names by check.

    Raises:
        UnreadableEvidenceError: a check occurs twice, so that one of its verdicts would hide the other.
    """
    names = {result.check: verdict.name(result.verdict) for result in evidence.results}
    if len(names) != len(evidence.results):
        raise UnreadableEvidenceError("a check occurs twice in the evidence")
    return names


def demand_statement(verified: Verified, evidence: Evidence, sbom: bytes) -> None:
    """Check that the payload is the statement that the evidence calls for: its subject, its digest, its verdicts.

    Raises:
        StatementMismatchError: it is not; the message names the parts that differ.
    """
    try:
        expected = statement_of(evidence, sbom)
        if verified.payload_type != statement.PAYLOAD_TYPE:
            raise StatementMismatchError(f"the payload is {verified.payload_type}, not {statement.PAYLOAD_TYPE}")
        found = statement.Statement.from_json(verified.payload)
    except EvidenceError as error:
        raise StatementMismatchError(_said(error)) from None
    except ValueError as error:
        raise StatementMismatchError(str(error)) from None
    if found != expected:
        raise StatementMismatchError(", ".join(statement.differences(found.to_data(), expected.to_data())))


def signed_map(verified: Verified, payload_type: str) -> Mapping[str, Any]:
    """The canonical CBOR map that an envelope of `payload_type` holds.

    Raises:
        StatementMismatchError: another type, or no such map.
    """
    if verified.payload_type != payload_type:
        raise StatementMismatchError(f"the payload is {verified.payload_type}, not {payload_type}")
    try:
        data = decode(verified.payload)
    except EncodingError as error:
        raise StatementMismatchError(f"the payload is not canonical: {error.reason}") from None
    if not isinstance(data, dict):
        raise StatementMismatchError("the payload is not a map")
    return data


def _said(error: EvidenceError) -> str:
    return "; ".join(f"{d.message}: {d.because}" if d.because else d.message for d in error.diagnostics)
