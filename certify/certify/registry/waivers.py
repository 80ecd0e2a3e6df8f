"""Waivers as they are signed and kept; what a waiver says and covers is for `certify.policy.waivers` alone.

Rules this module keeps:

- a waiver is signed as canonical CBOR in a DSSE envelope, and the envelope's digest is its id;
- a `SignedWaiver` is made only of an envelope whose signature has been verified;
- waived verdicts are not believed: `unjustified` decides each of them again, from the findings;
- everything here is pure: the time is passed in.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Final

from certify.codec import encode
from certify.evidence import dsse
from certify.evidence.bundle import Evidence
from certify.evidence.keys import KeyPair, PublicKey
from certify.evidence.verdict import CheckResult, Waived
from certify.policy.waivers import (
    LONGEST,
    Candidate,
    SignedWaiver,
    State,
    Waiver,
    WaiverError,
    apply_waivers,
    before_waivers,
    out_of_scope,
)
from certify.registry.envelopes import opened, signed_map
from certify.registry.errors import WAIVER, Refused, reason
from certify.times import write_seconds

PAYLOAD_TYPE: Final = "application/vnd.certify.waiver+cbor"


def sign(waiver: Waiver, key: KeyPair) -> bytes:
    """The waiver in a DSSE envelope."""
    return dsse.sign(PAYLOAD_TYPE, encode(waiver.to_data()), key)


def read(envelope: bytes, signer: PublicKey) -> SignedWaiver:
    """The waiver that `signer` has signed.

    Raises:
        SignatureMismatchError: no signature of that key.
        WaiverError: it says what no waiver may say.
        ValueError: the envelope holds something else.
    """
    payload = signed_map(opened(envelope, signer), PAYLOAD_TYPE)
    return SignedWaiver(Waiver.from_data(payload), envelope, signer.key_id)


def refusal(error: WaiverError) -> Refused:
    """The registry's answer, REG028, to what is no waiver that may be written."""
    return Refused(*(reason(WAIVER, "the waiver cannot be accepted", because=problem) for problem in error.problems))


def untimely(waiver: Waiver, now: datetime) -> str:
    """Why the waiver may not be entered at `now`; empty when it may."""
    if waiver.state(now) is State.EXPIRED:
        return f"it ended on {write_seconds(waiver.expires)}"
    if waiver.expires - now > LONGEST:
        return f"it ends more than {LONGEST.days} days from now"
    return ""


def unjustified(evidence: Evidence, granted: Mapping[str, SignedWaiver], now: datetime) -> Iterator[str]:
    """What the evidence leaves out for a waiver's sake, and none covers at `now`.

    Args:
        evidence: the evidence.
        granted: the node's waivers that were granted, by id; those at least that the evidence names.
        now: the moment to decide for.
    """
    candidate = Candidate(evidence.node, evidence.version, evidence.subject)
    relied_on = []
    for identity in evidence.waivers:
        if identity not in granted:
            yield f"the waiver {identity} was never granted for {evidence.node}"
        elif why := out_of_scope(granted[identity].waiver, candidate, now):
            yield f"the waiver {identity} does not cover {evidence.name}: {why}"
        else:
            relied_on.append(granted[identity])
    for result in evidence.results:
        if isinstance(result.verdict, Waived) and not _follows(result, relied_on, candidate, now):
            yield f"{result.check} is called waived, and the waivers of the evidence do not make it so"


def _follows(result: CheckResult, waivers: list[SignedWaiver], candidate: Candidate, now: datetime) -> bool:
    """Whether deciding again gives the same result."""
    try:
        return apply_waivers(before_waivers(result), waivers, candidate, now).to_data() == result.to_data()
    except (TypeError, AttributeError, KeyError):
        return False  # findings are whatever the submitter wrote, and need not have the types of findings
