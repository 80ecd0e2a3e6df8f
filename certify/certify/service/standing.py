"""May a release go to production? One answer, for pages and whoever else asks.

Rules this module keeps:

- a release may go when it is approved and everything that it rests on still holds at the moment of asking;
- a waiver that has ended is said to have ended, and takes with it what it allowed;
- what cannot be read is unknown, never yes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final

from certify.codec import EncodingError
from certify.evidence.bundle import Evidence
from certify.evidence.errors import EvidenceError
from certify.evidence.verdict import Waived
from certify.policy.waivers import Candidate, SignedWaiver, out_of_scope
from certify.registry import waivers
from certify.registry.entries import Release, Status
from certify.registry.errors import Refused
from certify.registry.registry import Registry
from certify.times import write_seconds
from certify_spec.diagnostics import RequestError


class Word(StrEnum):
    """The answer in a word."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Standing:
    """The answer.

    Attributes:
        word: yes, no, or unknown.
        reasons: why not.
        until: checks that rest on waivers, each with the moment up to which all of these hold.
        lapsed: checks that rested on waivers of which one no longer holds, each with why.
    """

    word: Word
    reasons: tuple[str, ...] = ()
    until: Mapping[str, str] = field(default_factory=dict, hash=False)
    lapsed: Mapping[str, str] = field(default_factory=dict, hash=False)


_NOT_APPROVED: Final[Mapping[Status, str]] = {
    Status.SUBMITTED: "it is not certified yet",
    Status.CERTIFIED: "nobody has approved it yet",
    Status.REJECTED: "it was rejected",
    Status.REVOKED: "it was revoked",
}


def of(registry: Registry, release: Release, verdicts: Mapping[str, str], now: datetime) -> Standing:
    """Whether a release may go to production at `now`.

    Args:
        registry: where it is.
        release: the release as it stands.
        verdicts: verdict names by check, as its log entry has them; evidence is read only where one is waived.
        now: the moment.
    """
    if "waived" not in verdicts.values():
        return judged(release, None, {}, now)
    try:
        evidence = Evidence.decode(registry.blob(release.evidence))
        granted = {
            stored.id: registry.signed_waiver(stored)
            for stored in registry.waivers(release.node)
            if stored.id in evidence.waivers
        }
    except (RequestError, Refused, EvidenceError, EncodingError) as error:
        why = f"its evidence cannot be read, and waiting does not help: {str(error).splitlines()[0]}"
        return Standing(Word.UNKNOWN, (why,))
    return judged(release, evidence, granted, now)


def judged(
    release: Release, evidence: Evidence | None, granted: Mapping[str, SignedWaiver], now: datetime
) -> Standing:  # fmt: skip
    """The answer, from the release, its evidence where that rests on waivers, and the waivers that were granted."""
    reasons = [] if release.status is Status.APPROVED else [_NOT_APPROVED[release.status]]
    until: dict[str, str] = {}
    lapsed: dict[str, str] = {}
    if evidence is not None:
        candidate = Candidate(evidence.node, evidence.version, evidence.subject)
        for result in evidence.results:
            if isinstance(result.verdict, Waived):
                found = [granted.get(identity) for identity in result.verdict.waivers]
                whys = [out_of_scope(each.waiver, candidate, now) if each else "it was never granted" for each in found]
                if any(whys):
                    lapsed[result.check] = next(why for why in whys if why).removesuffix("T00:00:00Z")
                else:
                    until[result.check] = min(write_seconds(each.waiver.expires) for each in found if each)
        named = [f"{check} rests on a waiver, and {why}" for check, why in lapsed.items()]
        reasons += named or waivers.unjustified(evidence, granted, now)
    return Standing(Word.NO if reasons else Word.YES, tuple(reasons), until, lapsed)
