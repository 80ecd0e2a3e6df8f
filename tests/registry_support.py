"""Submissions, waivers and decisions for the registry's tests: small, real, signed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from certify.codec import address, encode
from certify.evidence import dsse, statement
from certify.evidence.bundle import Evidence, statement_of
from certify.evidence.keys import KeyPair, PublicKey
from certify.evidence.verdict import CheckResult, Failed, NotApplicable, Passed, Verdict
from certify.policy.waivers import Candidate, Waiver, apply_waivers, waivers_of
from certify.registry import decisions, waivers
from certify.registry.decisions import Decision
from certify.registry.envelopes import verdicts
from certify.registry.submission import Submission
from certify_spec.diagnostics import Diagnostic, Place, Rule

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
AUTHOR = KeyPair(Ed25519PrivateKey.from_private_bytes(b"\x01" * 32))
OTHER = KeyPair(Ed25519PrivateKey.from_private_bytes(b"\x02" * 32))
NODE = "payments/charge"
RULE = Rule("TSTR001", "A finding for tests of the registry.")
FINDING = Diagnostic(RULE, "it happened", Place("node.py", 7, 1), data={"about": "field a"})


def ticking(start: datetime = NOON) -> Callable[[], datetime]:
    """A clock that goes on by a second each time it is read."""
    moment = [start]

    def clock() -> datetime:
        moment[0] += timedelta(seconds=1)
        return moment[0]

    return clock


def submission(
    node: str = NODE,
    release: str = "1.0.0",
    *,
    code: str = "def charge(request): ...",
    verdict: Verdict | None = None,
    size: int = 100,
    key: KeyPair = AUTHOR,
    finished: str = "2026-11-20T11:59:00Z",
    change: Callable[[Evidence], Evidence] = lambda evidence: evidence,
) -> Submission:
    """A whole submission; `size` is that of its run record in bytes."""
    source, manifest = code.encode(), f"[node]\nid = {node!r}\nversion = {release!r}\n".encode()
    sbom, policy, report = b'{"bomFormat": "CycloneDX"}', b"permit(principal, action, resource);", b"<h1>Report</h1>"
    run = (f"{node} {release} run ".encode() * size)[:size]
    files = {"node.py": address(source), "node.toml": address(manifest)}
    results = (
        CheckResult("C-DETERMINISM", verdict or Passed(), artefacts={"run": address(run)}),
        CheckResult("C-IDEM", NotApplicable("the node has no effects")),
    )
    evidence = change(
        Evidence(
            node=node,
            version=release,
            subject=address(encode(files)),
            files=files,
            manifest=address(manifest),
            results=results,
            sbom=address(sbom),
            policy=address(policy),
            tools={"certify": "0.1.0"},
            laboratory={"cpu_s": 2},
            started="2026-11-20T11:58:00Z",
            finished=finished,
        )
    )
    blobs = {address(blob): blob for blob in (source, manifest, sbom, policy, report, run, evidence.encode())}
    envelope = dsse.sign(statement.PAYLOAD_TYPE, statement_of(evidence, sbom).to_json(), key)
    return Submission(
        node=node,
        release=release,
        subject=evidence.subject,
        evidence=evidence.digest,
        envelope=envelope,
        signer=key.public,
        blobs=blobs,
        artefacts={"report": address(report), "sbom": address(sbom), "manifest": address(manifest)},
        verdicts=verdicts(evidence),
    )


def unchecked_waiver(**changes: Any) -> dict[str, Any]:
    """The signed form of a waiver that holds at noon, whatever the changes make of it."""
    whole = {
        "node": NODE,
        "code": RULE.code,
        "reason": "the clock is only logged",
        "owner": "ana@example.com",
        "issued": "2026-11-20T00:00:00Z",
        "expires": "2026-12-20T00:00:00Z",
        "versions": [">=1.0.0,<2.0.0"],
        "subject": "",
        "place": "",
        "about": "",
    }
    return whole | changes


def waiver(**changes: Any) -> Waiver:
    """A waiver that holds at noon."""
    return Waiver.from_data(unchecked_waiver(**changes))


def signed_waiver(found: Waiver, key: KeyPair = AUTHOR) -> tuple[bytes, PublicKey]:
    """The waiver in its envelope, and who signed it."""
    return waivers.sign(found, key), key.public


def waived_submission(
    *granted: tuple[bytes, PublicKey],
    release: str = "1.0.0",
    check: str = "C-DETERMINISM",
    now: datetime = NOON,
    spoil: Callable[[CheckResult], CheckResult] = lambda result: result,
) -> Submission:
    """A submission with the finding `FINDING`, as the pipeline hands it in when these waivers were granted.

    `spoil` changes the result afterwards, as somebody would who signs what suits him.
    """
    signed = [waivers.read(envelope, signer) for envelope, signer in granted]

    def rest_on(evidence: Evidence) -> Evidence:
        candidate = Candidate(evidence.node, evidence.version, evidence.subject)
        result = spoil(apply_waivers(CheckResult(check, Failed(), (FINDING,)), signed, candidate, now))
        return replace(evidence, results=(result,), waivers=waivers_of(result.findings))

    found = submission(release=release, change=rest_on)
    return replace(found, blobs={**found.blobs} | {each.id: each.envelope for each in signed})


def signed_decision(decision: Decision, key: KeyPair = OTHER) -> tuple[bytes, PublicKey]:
    """The decision in its envelope, and who signed it."""
    return decisions.sign(decision, key), key.public


def codes(error: Any) -> list[str]:
    """The codes that an exception carries."""
    return sorted(diagnostic.code for diagnostic in error.diagnostics)


def changed(data: Mapping[str, Any], **changes: Any) -> dict[str, Any]:
    """The map with some members changed."""
    return {**data, **changes}
