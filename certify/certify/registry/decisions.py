"""Decisions: a release's new status, as the person who decides signs it.

Rules this module keeps:

- a decision names the evidence that was looked at and the version of the release it is based on: a decision made from
  a stale page is refused, never merged.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from certify.codec import encode
from certify.evidence import dsse
from certify.evidence.keys import KeyPair, PublicKey
from certify.registry.entries import Status
from certify.registry.envelopes import opened, signed_map

PAYLOAD_TYPE: Final = "application/vnd.certify.decision+cbor"


@dataclass(frozen=True, slots=True)
class Decision:
    """What somebody decides about a release.

    Attributes:
        node: the node's id.
        release: the node's version.
        evidence: digest of the evidence that was looked at.
        status: the new status.
        version: version of the release that was looked at.
        reason: why; never empty.
    """

    node: str
    release: str
    evidence: str
    status: Status
    version: int
    reason: str

    def to_data(self) -> dict[str, Any]:
        """The decision as a map."""
        return {
            "node": self.node,
            "release": self.release,
            "evidence": self.evidence,
            "status": self.status.value,
            "version": self.version,
            "reason": self.reason,
        }

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Decision:
        """The inverse of `to_data`.

        Raises:
            ValueError: other keys, a value of another type, an unknown status or no reason.
        """
        match data:
            case {
                "node": str(node),
                "release": str(release),
                "evidence": str(evidence),
                "status": str(status),
                "version": int(version),
                "reason": str(reason),
                **rest,
            } if not rest and reason.strip() and version is not True and version is not False:
                return cls(node, release, evidence, Status(status), version, reason)
            case _:
                raise ValueError("a decision has node, release, evidence, status, version and a reason")


def sign(decision: Decision, key: KeyPair) -> bytes:
    """The decision in a DSSE envelope, as canonical CBOR."""
    return dsse.sign(PAYLOAD_TYPE, encode(decision.to_data()), key)


def read(envelope: bytes, signer: PublicKey) -> Decision:
    """The decision that `signer` has signed.

    Raises:
        SignatureMismatchError: no signature of that key.
        ValueError: the envelope holds something else.
    """
    return Decision.from_data(signed_map(opened(envelope, signer), PAYLOAD_TYPE))
