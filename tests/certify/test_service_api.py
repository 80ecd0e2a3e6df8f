"""The service's API: publishing, deciding, reading, the log, identity and access."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from certify.codec import address
from certify.registry import checkpoint, entries, merkle
from certify.registry.checkpoint import Verifier
from certify.registry.entries import Status
from certify.registry.verification import verify_log
from certify.service import bundles, openapi
from certify.service.api import ENDPOINTS
from certify.service.identity import possession
from registry_support import AUTHOR, NODE, OTHER, signed_waiver, submission, waiver
from service_support import (
    ADMIN,
    BASE,
    PASSWORD,
    Inhabited,
    client,
    codes_of,
    decision_body,
    inhabit,
    publish,
    release_body,
    roomy,
    text,
    upload,
)


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Inhabited:
    """A registry with users."""
    return inhabit(tmp_path_factory.mktemp("service") / "registry")


@pytest.fixture(scope="module")
def api(lived: Inhabited) -> Iterator[httpx.Client]:
    """A client of one service, for tests that each use releases of their own."""
    with client(roomy(lived.folder)) as found:
        yield found


def test_a_release_goes_in_and_comes_out(api: httpx.Client, lived: Inhabited) -> None:
    """R-LOG: publish, show and download; the receipt verifies with the registry's key and nothing else."""
    handed_in = submission("round/trip")
    made = publish(api, lived.bearer("ana"), handed_in)
    assert (made.status_code, made.json()["appended"]) == (201, True)
    again = publish(api, lived.bearer("ana"), handed_in)
    assert (again.status_code, again.json()["receipt"]) == (200, made.json()["receipt"])
    shown = api.get(f"{BASE}/releases/round/trip@1.0.0", headers=lived.bearer("bo")).json()
    assert shown["release"]["status"] == "certified"
    assert shown["authors"] == ["ana"]
    blob = api.get(f"{BASE}/blobs/{handed_in.evidence}", headers=lived.bearer("bo"))
    assert (blob.status_code, address(blob.content)) == (200, handed_in.evidence)


def test_two_reviewers_approve_and_one_is_told(api: httpx.Client, lived: Inhabited) -> None:
    """R-OCC: of two approvals of the same version one wins, and the other gets item, expected and actual version."""
    handed_in = submission("two/approvals")
    publish(api, lived.bearer("ana"), handed_in)
    first = api.post(f"{BASE}/decisions", json=decision_body(handed_in), headers=lived.bearer("bo"))
    second = api.post(f"{BASE}/decisions", json=decision_body(handed_in, key=ADMIN), headers=lived.bearer("eve"))
    assert (first.status_code, second.status_code) == (201, 409)
    told = second.json()
    assert (told["item"], told["expected"], told["actual"]) == ("two/approvals@1.0.0", 1, 2)
    assert codes_of(second) == ["REG026"]


def test_nobody_approves_their_own_release(api: httpx.Client, lived: Inhabited) -> None:
    """R-AUTH: whoever handed a release in may not approve it, not even with a key that signed nothing."""
    handed_in = submission("own/approval", key=ADMIN)
    publish(api, lived.bearer("eve"), handed_in)
    other = new_key(api, lived, "eve", b"\x09" * 32)
    refused = api.post(f"{BASE}/decisions", json=decision_body(handed_in, key=other), headers=lived.bearer("eve"))
    assert (refused.status_code, codes_of(refused)) == (403, ["SRV003"])
    assert "no-self-approval" in refused.json()["diagnostics"][0]["because"]
    assert audited(api, lived)[0]["action"] == "approve"
    rejected = api.post(
        f"{BASE}/decisions", json=decision_body(handed_in, Status.REJECTED, key=other), headers=lived.bearer("eve")
    )
    assert rejected.status_code == 201


def new_key(api: httpx.Client, lived: Inhabited, user: str, seed: bytes) -> Any:
    """A further key of a user, entered over the API."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from certify.evidence.keys import KeyPair

    key = KeyPair(Ed25519PrivateKey.from_private_bytes(seed))
    origin = Verifier.from_text(api.get(f"{BASE}/registry", headers=lived.bearer(user)).json()["verifier"]).origin
    body = {"public": key.public.raw.hex(), "signature": key.sign(possession(origin, user, key.public)).hex()}
    made = api.post(f"{BASE}/keys", json=body, headers=lived.bearer(user))
    assert made.status_code == 201, made.text
    return key


def audited(api: httpx.Client, lived: Inhabited) -> list[dict[str, Any]]:
    """The audit, the newest line first."""
    found: list[dict[str, Any]] = api.get(f"{BASE}/audit", headers=lived.bearer("eve")).json()["audit"]
    return found


@pytest.mark.parametrize(
    ("user", "method", "path", "action"),
    [
        ("bo", "POST", "/releases", "publish"),
        ("ana", "POST", "/decisions", "approve"),
        ("ana", "POST", "/waivers", "waive"),
        ("bo", "GET", "/audit", "audit"),
        ("ana", "GET", "/users", "administer"),
        ("ana", "POST", "/users", "administer"),
        ("bo", "POST", "/blobs", "upload"),
    ],
)
def test_a_role_that_may_not_is_refused_and_audited(
    api: httpx.Client, lived: Inhabited, user: str, method: str, path: str, action: str
) -> None:
    """R-AUTH: Cedar policies decide by role, and every refusal is in the audit with who, what and why."""
    handed_in = submission("roles/refused")
    if path == "/decisions":
        publish(api, lived.bearer("ana"), handed_in)
    bodies = {
        "/releases": release_body(handed_in),
        "/decisions": decision_body(handed_in, key=AUTHOR),
        "/waivers": {"envelope": text(signed_waiver(waiver())[0]), "signer": AUTHOR.public.raw.hex()},
        "/users": {"id": "x"},
        "/blobs": {"digests": []},
    }
    refused = api.request(method, f"{BASE}{path}", json=bodies.get(path), headers=lived.bearer(user))
    assert (refused.status_code, codes_of(refused)) == (403, ["SRV003"])
    line = audited(api, lived)[0]
    assert (line["who"], line["action"], line["outcome"]) == (user, action, "refused")


def test_nobody_in_particular_reads_nothing(api: httpx.Client, lived: Inhabited) -> None:
    """R-AUTH: without a token every address but sign-in, health and the document says 401."""
    for endpoint in ENDPOINTS:
        if not endpoint.anonymous:
            path = re.sub(r"\{\w+(:path)?\}", "x", endpoint.path)
            assert api.request(endpoint.method, path).status_code == 401, endpoint.path


def test_a_narrowed_token(api: httpx.Client, lived: Inhabited) -> None:
    """R-AUTH: a token is narrowed by scope and prefix, never widened, and ends with the one it came from."""
    body = {"name": "ci", "scopes": ["read", "upload", "publish", "tokens"], "prefix": "narrow/in", "days": 0.5}
    made = api.post(f"{BASE}/tokens", json=body, headers=lived.bearer("ana")).json()
    narrowed = {"Authorization": f"Bearer {made['token']}"}
    assert publish(api, narrowed, submission("narrow/in/side")).status_code == 201
    outside = submission("narrow/inside")
    refused = publish(api, narrowed, outside)
    assert (refused.status_code, codes_of(refused)) == (403, ["SRV003"])
    assert "token-prefix" in refused.json()["diagnostics"][0]["because"]
    assert api.get(f"{BASE}/keys", headers=narrowed).status_code == 403
    for wider in ({"scopes": ["approve"]}, {"prefix": "narrow"}, {"days": 2}):
        answer = api.post(f"{BASE}/tokens", json={"name": "wider", **wider}, headers=narrowed)
        assert (answer.status_code, codes_of(answer)) == (422, ["REG009"])
    child = api.post(f"{BASE}/tokens", json={"name": "child", "scopes": ["read"]}, headers=narrowed).json()
    reading = {"Authorization": f"Bearer {child['token']}"}
    assert api.get(f"{BASE}/counts", headers=reading).status_code == 200
    assert api.delete(f"{BASE}/tokens/{made['id']}", headers=lived.bearer("ana")).status_code == 200
    assert [api.get(f"{BASE}/counts", headers=h).status_code for h in (narrowed, reading)] == [401, 401]


def test_secrets_are_not_stored(lived: Inhabited, api: httpx.Client) -> None:
    """R-AUTH: neither tokens, nor passwords, nor cookies can be read from the database."""
    assert api.post(f"{BASE}/login", json={"user": "ana", "password": PASSWORD}).status_code == 200
    cookie = api.cookies["certify_session"]
    api.cookies.clear()
    stored = b"".join(file.read_bytes() for file in lived.folder.glob("registry.db*"))
    assert lived.tokens["ana"].split("_")[2].encode() not in stored
    assert PASSWORD.encode() not in stored
    assert cookie.encode() not in stored


def test_a_session_needs_its_form_token(api: httpx.Client, lived: Inhabited) -> None:
    """R-AUTH: what rides on a cookie and changes something carries the session's token, or is refused and audited."""
    signed_in = api.post(f"{BASE}/login", json={"user": "ana", "password": PASSWORD}).json()
    try:
        assert api.get(f"{BASE}/me").json()["user"] == "ana"
        forged = api.post(f"{BASE}/tokens", json={"name": "x"})
        assert (forged.status_code, codes_of(forged)) == (403, ["SRV009"])
        right = api.post(f"{BASE}/tokens", json={"name": "x"}, headers={"X-CSRF-Token": signed_in["csrf"]})
        assert right.status_code == 201
        assert api.post(f"{BASE}/logout", headers={"X-CSRF-Token": signed_in["csrf"]}).status_code == 200
        assert api.get(f"{BASE}/me").status_code == 401
    finally:
        api.cookies.clear()
    assert "form token" in [line["action"] for line in audited(api, lived)]


def test_a_wrong_password_is_refused_and_then_waited_for(lived: Inhabited) -> None:
    """R-AUTH: sign-in is limited for each address and user; a wrong password and no such user look the same."""
    with client(roomy(lived.folder, login_rate=0.1, login_burst=3)) as fresh:
        wrong = [fresh.post(f"{BASE}/login", json={"user": u, "password": "wrong" * 4}) for u in ("ana", "nobody")]
        assert [(w.status_code, w.json()["detail"]) for w in wrong] == [(401, "user and password do not fit")] * 2
        answers = [fresh.post(f"{BASE}/login", json={"user": "ana", "password": "x"}) for _ in range(2)]
        assert [a.status_code for a in answers] == [401, 429]
        assert int(answers[-1].headers["Retry-After"]) >= 1


def test_waivers_go_in_and_come_out(api: httpx.Client, lived: Inhabited) -> None:
    """R-REVIEW: a signed waiver is entered by a reviewer with a key of theirs, and by nobody else's."""
    from datetime import timedelta

    from certify.times import system_clock, write_seconds

    now = system_clock()
    found = waiver(issued=write_seconds(now), expires=write_seconds(now + timedelta(days=3)))
    envelope, signer = signed_waiver(found, OTHER)
    body = {"envelope": text(envelope), "signer": signer.raw.hex()}
    foreign = api.post(f"{BASE}/waivers", json=body, headers=lived.bearer("eve"))
    assert (foreign.status_code, codes_of(foreign)) == (403, ["SRV012"])
    assert api.post(f"{BASE}/waivers", json=body, headers=lived.bearer("bo")).status_code == 201
    listed = api.get(f"{BASE}/waivers", params={"node": NODE}, headers=lived.bearer("ana")).json()["waivers"]
    assert [(each["id"], each["state"]) for each in listed] == [(address(envelope), "valid")]


def test_a_blob_in_parts_and_in_ranges(api: httpx.Client, lived: Inhabited) -> None:
    """R-REVIEW: an upload goes on where it stopped, a part that does not follow is refused, and a range is a range."""
    headers, data = lived.bearer("ana"), bytes(range(256)) * 40
    body = {"digest": address(data), "size": len(data)}
    made = api.post(f"{BASE}/uploads", json=body, headers=headers)
    place = made.json()["upload"]
    raw = {**headers, "Content-Type": "application/octet-stream"}
    assert api.patch(place, content=data[:5000], headers={**raw, "Upload-Offset": "0"}).json()["offset"] == 5000
    twice = api.patch(place, content=data[:5000], headers={**raw, "Upload-Offset": "0"})
    assert (twice.status_code, codes_of(twice), twice.headers["Upload-Offset"]) == (409, ["SRV011"], "5000")
    assert api.get(place, headers=headers).json() == {"offset": 5000, "size": len(data)}
    assert api.get(place, headers=lived.bearer("eve")).status_code == 404
    assert api.patch(place, content=data[5000:], headers={**raw, "Upload-Offset": "5000"}).status_code == 200
    assert api.post(f"{BASE}/uploads", json=body, headers=headers).json()["held"] is True
    where = f"{BASE}/blobs/{address(data)}"
    for asked, span in (("bytes=0-9", data[:10]), ("bytes=-7", data[-7:]), ("bytes=10000-", data[10000:])):
        part = api.get(where, headers={**headers, "Range": asked})
        assert (part.status_code, part.content) == (206, span)
    assert api.get(where, headers={**headers, "Range": "bytes=99999-"}).status_code == 416
    assert api.get(where, headers={**headers, "If-None-Match": f'"{address(data)}"'}).status_code == 304


def test_the_log_is_proved_over_the_api(api: httpx.Client, lived: Inhabited) -> None:
    """R-LOG: checkpoint, inclusion and consistency verify with nothing but the registry's key."""
    headers = lived.bearer("bo")
    verifier = Verifier.from_text(api.get(f"{BASE}/registry", headers=headers).json()["verifier"])
    publish(api, lived.bearer("ana"), submission("log/first"))
    old = checkpoint.parse(api.get(f"{BASE}/log/checkpoint", headers=headers).text, verifier)
    publish(api, lived.bearer("ana"), submission("log/second"))
    new = checkpoint.parse(api.get(f"{BASE}/log/checkpoint", headers=headers).text, verifier)
    asked = {"old": old.size, "new": new.size}
    proof = api.get(f"{BASE}/log/consistency", params=asked, headers=headers).json()["proof"]
    merkle.verify_consistency(old.size, new.size, old.root, new.root, tuple(bytes.fromhex(p) for p in proof))
    import base64

    asked = {"start": old.size - 1, "limit": 1}
    (entry,) = api.get(f"{BASE}/log/entries", params=asked, headers=headers).json()["entries"]
    data = base64.b64decode(entry["data"])
    assert entries.read(data).node == "log/first"
    asked = {"entry": entry["number"], "size": new.size}
    proof = api.get(f"{BASE}/log/inclusion", params=asked, headers=headers).json()["proof"]
    siblings = tuple(bytes.fromhex(p) for p in proof)
    merkle.verify_inclusion(merkle.leaf_hash(data), entry["number"], new.size, siblings, new.root)


def test_a_bundle_verifies_offline(api: httpx.Client, lived: Inhabited) -> None:
    """R-LOG: a downloaded bundle shows release, decisions and evidence to whoever knows the registry's key."""
    handed_in = submission("bundle/node")
    publish(api, lived.bearer("ana"), handed_in)
    api.post(f"{BASE}/decisions", json=decision_body(handed_in), headers=lived.bearer("bo"))
    data = api.get(f"{BASE}/bundles/bundle/node@1.0.0", headers=lived.bearer("bo")).content
    verifier = Verifier.from_text(api.get(f"{BASE}/registry", headers=lived.bearer("bo")).json()["verifier"])
    shown = bundles.verify(data, verifier)
    assert (shown.release.status, shown.proofs, len(shown.decisions)) == (Status.APPROVED, 2, 1)


def test_lists_are_searched_and_paged(api: httpx.Client, lived: Inhabited) -> None:
    """R-REVIEW: by text and status, the newest first, page by page; a percent sign is a percent sign."""
    for number in range(3):
        publish(api, lived.bearer("ana"), submission("paged/node", f"1.{number}.0"))
    asked = {"text": "paged/", "limit": 2}
    first = api.get(f"{BASE}/releases", params=asked, headers=lived.bearer("bo")).json()
    rest = api.get(f"{BASE}/releases", params={**asked, "before": first["next"]}, headers=lived.bearer("bo")).json()
    assert [row["release"] for row in (*first["releases"], *rest["releases"])] == ["1.2.0", "1.1.0", "1.0.0"]
    assert rest["next"] == 0
    assert api.get(f"{BASE}/releases", params={"text": "pag%"}, headers=lived.bearer("bo")).json()["releases"] == []
    wrong = api.get(f"{BASE}/releases", params={"status": "lost"}, headers=lived.bearer("bo"))
    assert (wrong.status_code, codes_of(wrong)) == (422, ["REG009"])


def test_two_releases_are_compared(api: httpx.Client, lived: Inhabited) -> None:
    """R-REVIEW: what changed between two releases of a node."""
    for release, code in (("1.0.0", "one"), ("1.1.0", "two")):
        publish(api, lived.bearer("ana"), submission("diff/node", release, code=code))
    asked = {"old": "diff/node@1.0.0", "new": "diff/node@1.1.0"}
    found = api.get(f"{BASE}/diff", params=asked, headers=lived.bearer("bo")).json()["differences"]
    assert [change["name"] for change in found["files"]] == ["node.py", "node.toml"]


def test_a_release_whose_key_is_somebody_elses(api: httpx.Client, lived: Inhabited) -> None:
    """R-AUTH: evidence that is signed with another user's key, or with nobody's, is not let in."""
    handed_in = submission("foreign/key", key=OTHER)
    refused = publish(api, lived.bearer("ana"), handed_in)
    assert (refused.status_code, codes_of(refused)) == (403, ["SRV012"])


def test_a_missing_blob_is_named(api: httpx.Client, lived: Inhabited) -> None:
    """R-DURABLE: a release whose evidence was not uploaded is refused with every digest that is missing."""
    handed_in = submission("missing/blob", code="never uploaded")
    refused = api.post(f"{BASE}/releases", json=release_body(handed_in), headers=lived.bearer("ana"))
    assert refused.status_code == 422
    assert set(codes_of(refused)) == {"REG024"}
    asked = api.post(f"{BASE}/blobs", json={"digests": sorted(handed_in.blobs)}, headers=lived.bearer("ana")).json()
    assert handed_in.evidence in asked["missing"]
    upload(api, lived.bearer("ana"), handed_in)
    assert api.post(f"{BASE}/releases", json=release_body(handed_in), headers=lived.bearer("ana")).status_code == 201


def test_health_readiness_and_metrics(api: httpx.Client) -> None:
    """R-METRICS: the process answers, the registry answers, and what is measured is there for Prometheus."""
    assert api.get("/healthz").json() == {"healthy": True}
    assert api.get("/readyz").json()["ready"] is True
    said = api.get("/metrics").text
    for name in ("certify_request_seconds_bucket", "certify_in_flight", "certify_queue", "certify_conflicts_total"):
        assert name in said


def test_the_document_describes_every_address(api: httpx.Client) -> None:
    """R-REVIEW: the OpenAPI document is served, is valid, and names what is routed."""
    served = api.get("/openapi.json").json()
    assert served == openapi.document(ENDPOINTS)
    assert {(m.upper(), p) for p, found in served["paths"].items() for m in found} == {
        (e.method, re.sub(r":path\}", "}", e.path)) for e in ENDPOINTS
    }
    assert len({o["operationId"] for found in served["paths"].values() for o in found.values()}) == len(ENDPOINTS)


def test_what_the_service_wrote_verifies(lived: Inhabited, api: httpx.Client, tmp_path: Path) -> None:
    """R-LOG: after all of the above the log holds from the raw storage."""
    publish(api, lived.bearer("ana"), submission("last/one"))
    assert verify_log(lived.folder).holds
