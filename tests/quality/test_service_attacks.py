"""Attacks on the service: every one is refused, says why, and is in the audit; nothing is a 5xx, and the log holds."""

from __future__ import annotations

import base64
import contextlib
import gzip
import json
import socket
import sqlite3
import time
import zlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from certify.codec import address, encode
from certify.evidence import dsse, statement
from certify.evidence.bundle import Evidence, statement_of
from certify.evidence.keys import KeyPair
from certify.registry.checkpoint import Verifier
from certify.registry.entries import Status
from certify.registry.errors import Refused
from certify.registry.registry import Registry
from certify.registry.verification import verify_log
from certify.service import bundles, server
from registry_support import AUTHOR, OTHER, codes, signed_waiver, submission, waiver
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

THIEF = KeyPair(Ed25519PrivateKey.from_private_bytes(b"\x66" * 32))
RAW = {"Content-Type": "application/octet-stream"}


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Inhabited:
    """A registry with users."""
    return inhabit(tmp_path_factory.mktemp("attacks") / "registry")


@pytest.fixture(scope="module")
def api(lived: Inhabited) -> Iterator[httpx.Client]:
    """A client of one service with small limits."""
    settings = roomy(lived.folder, largest_json=200_000, largest_part=200_000, largest_blob=10**6, body_seconds=1.0)
    with client(settings) as found:
        yield found


@pytest.fixture(scope="module", autouse=True)
def nothing_got_through(api: httpx.Client, lived: Inhabited) -> Iterator[None]:
    """After all attacks: no answer was a defect of the service, and the log holds from the raw storage."""
    yield
    said = api.get("/metrics").text
    assert not [
        line for line in said.splitlines() if line.startswith("certify_request_seconds_count") and '"50' in line
    ]
    assert verify_log(lived.folder).holds


def audit(api: httpx.Client, lived: Inhabited) -> list[dict[str, Any]]:
    """The newest lines of the audit."""
    found: list[dict[str, Any]] = api.get(f"{BASE}/audit", params={"limit": 5}, headers=lived.bearer("eve")).json()[
        "audit"
    ]
    return found


def refused(answer: httpx.Response, status: int, *expected: str) -> None:
    """The answer is this refusal."""
    assert (answer.status_code, codes_of(answer)) == (status, sorted(expected)), answer.text


# Signatures


def test_a_forged_signature_on_evidence(api: httpx.Client, lived: Inhabited) -> None:
    """R-AUTH: an envelope whose signature was changed, or that speaks of other evidence, lets nothing in."""
    whole = submission("attack/forged")
    broken = json.loads(whole.envelope)
    broken["signatures"][0]["sig"] = base64.b64encode(bytes(64)).decode()
    forged = replace(whole, envelope=json.dumps(broken).encode())
    other = replace(whole, envelope=submission("attack/other").envelope)
    upload(api, lived.bearer("ana"), whole)
    for found, code in ((forged, "REG021"), (other, "REG022")):
        answer = api.post(f"{BASE}/releases", json=release_body(found), headers=lived.bearer("ana"))
        refused(answer, 422, code)
        assert code in audit(api, lived)[0]["reason"]


def test_a_decision_signed_by_somebody_else(api: httpx.Client, lived: Inhabited) -> None:
    """R-AUTH: a reviewer's token with a thief's key, and the reviewer's key id with a thief's signature."""
    found = submission("attack/decision")
    publish(api, lived.bearer("ana"), found)
    stolen = api.post(f"{BASE}/decisions", json=decision_body(found, key=THIEF), headers=lived.bearer("bo"))
    refused(stolen, 403, "SRV012")
    body = {**decision_body(found, key=THIEF), "signer": OTHER.public.raw.hex()}
    refused(api.post(f"{BASE}/decisions", json=body, headers=lived.bearer("bo")), 422, "REG021")
    assert audit(api, lived)[0]["who"] == "bo"
    assert (
        api.get(f"{BASE}/releases/attack/decision@1.0.0", headers=lived.bearer("bo")).json()["release"]["version"] == 1
    )


def test_a_key_that_is_not_shown_to_be_ones_own(api: httpx.Client, lived: Inhabited) -> None:
    """R-AUTH: entering somebody else's public key, or one's own with a signature made for another registry or user."""
    body = {"public": THIEF.public.raw.hex(), "signature": AUTHOR.sign(b"x").hex()}
    refused(api.post(f"{BASE}/keys", json=body, headers=lived.bearer("ana")), 422, "SRV018")
    from certify.service.identity import possession

    origin = Verifier.from_text(api.get(f"{BASE}/registry", headers=lived.bearer("bo")).json()["verifier"]).origin
    theirs = {"public": OTHER.public.raw.hex(), "signature": OTHER.sign(possession(origin, "ana", OTHER.public)).hex()}
    refused(api.post(f"{BASE}/keys", json=theirs, headers=lived.bearer("ana")), 409, "REG002")


# Replays


def test_replayed_requests_change_nothing(api: httpx.Client, lived: Inhabited) -> None:
    """R-AUTH: a recorded publish, decision and waiver, sent again: the first receipt, a conflict, the first receipt."""
    found = submission("attack/replay")
    first = publish(api, lived.bearer("ana"), found)
    again = api.post(f"{BASE}/releases", json=release_body(found), headers=lived.bearer("ana"))
    assert (again.status_code, again.json()["receipt"]) == (200, first.json()["receipt"])
    body = decision_body(found)
    assert api.post(f"{BASE}/decisions", json=body, headers=lived.bearer("bo")).status_code == 201
    refused(api.post(f"{BASE}/decisions", json=body, headers=lived.bearer("bo")), 409, "REG026")
    assert "version 2" in audit(api, lived)[0]["reason"]
    from datetime import timedelta

    from certify.times import system_clock, write_seconds

    now = system_clock()
    signed, signer = signed_waiver(
        waiver(issued=write_seconds(now), expires=write_seconds(now + timedelta(days=1))), OTHER
    )
    sent = {"envelope": text(signed), "signer": signer.raw.hex()}
    answers = [api.post(f"{BASE}/waivers", json=sent, headers=lived.bearer("bo")) for _ in range(2)]
    assert [a.status_code for a in answers] == [201, 200]
    size = api.get(f"{BASE}/registry", headers=lived.bearer("bo")).json()["size"]
    assert answers[0].json()["receipt"]["entry"] == size - 1


def test_a_decision_for_another_release(api: httpx.Client, lived: Inhabited) -> None:
    """R-AUTH: a decision is bound to release, evidence and version: it says nothing about any other."""
    one, two = submission("attack/one"), submission("attack/two")
    for each in (one, two):
        publish(api, lived.bearer("ana"), each)
    moved = decision_body(replace(one, node="attack/two"))
    refused(api.post(f"{BASE}/decisions", json=moved, headers=lived.bearer("bo")), 422, "REG022")


# Tokens and sessions


def test_stolen_narrowed_and_made_up_tokens(api: httpx.Client, lived: Inhabited) -> None:
    """R-AUTH: a stolen token that was narrowed to reading can do no more, cannot grow, and dies with a revocation."""
    made = api.post(f"{BASE}/tokens", json={"name": "reader", "scopes": ["read"]}, headers=lived.bearer("eve")).json()
    stolen = {"Authorization": f"Bearer {made['token']}"}
    assert api.get(f"{BASE}/counts", headers=stolen).status_code == 200
    found = submission("attack/stolen", key=ADMIN)
    for answer in (
        api.put(f"{BASE}/blobs/{found.evidence}", content=found.blobs[found.evidence], headers={**stolen, **RAW}),
        api.post(f"{BASE}/releases", json=release_body(found), headers=stolen),
        api.post(f"{BASE}/tokens", json={"name": "more"}, headers=stolen),
        api.get(f"{BASE}/audit", headers=stolen),
        api.post(f"{BASE}/users", json={"id": "x", "roles": ["admin"]}, headers=stolen),
    ):
        refused(answer, 403, "SRV003")
        line = audit(api, lived)[0]
        assert (line["who"], "token-scope" in answer.text) == ("eve", True)
    identity, secret = made["token"].split("_", 2)[1:]
    for wrong in (f"cty_{identity}_{secret[:-1]}A", f"cty_{'0' * 16}_{secret}", "cty_' OR 1=1 --", "x" * 5000):
        refused(api.get(f"{BASE}/counts", headers={"Authorization": f"Bearer {wrong}"}), 401, "SRV002")
    assert audit(api, lived)[0]["action"] == "sign in"
    api.delete(f"{BASE}/tokens/{made['id']}", headers=lived.bearer("eve"))
    refused(api.get(f"{BASE}/counts", headers=stolen), 401, "SRV002")


def test_a_disabled_user_is_out_at_once(api: httpx.Client, lived: Inhabited) -> None:
    """R-AUTH: token and session of a user who was disabled end with the next request."""
    eve = lived.bearer("eve")
    made = api.post(f"{BASE}/users", json={"id": "mallory", "roles": ["author"], "password": PASSWORD}, headers=eve)
    with httpx.Client(base_url=api.base_url) as theirs:
        signed_in = theirs.post(f"{BASE}/login", json={"user": "mallory", "password": PASSWORD}).json()
        csrf = {"X-CSRF-Token": signed_in["csrf"]}
        token = theirs.post(f"{BASE}/tokens", json={"name": "t"}, headers=csrf).json()["token"]
        change = {"version": made.json()["version"], "state": "disabled"}
        assert api.patch(f"{BASE}/users/mallory", json=change, headers=eve).status_code == 200
        assert theirs.get(f"{BASE}/me").status_code == 401
    assert api.get(f"{BASE}/me", headers={"Authorization": f"Bearer {token}"}).status_code == 401


def test_guessed_cookies_and_passwords(api: httpx.Client, lived: Inhabited) -> None:
    """R-AUTH: a cookie that was never given out is nobody; a wrong password is audited with the name that was tried."""
    for cookie in ("x" * 43, "' OR '1'='1", "A" * 5000):
        assert api.get(f"{BASE}/me", headers={"Cookie": f"certify_session={cookie}"}).status_code == 401
    refused(api.post(f"{BASE}/login", json={"user": "ana", "password": "a guess or two"}), 401, "SRV002")
    assert ("ana", "sign in") in [(line["who"], line["action"]) for line in audit(api, lived)]


# Paths, statements, text


@pytest.mark.parametrize(
    "path",
    [
        "/blobs/..%2f..%2fkey%2fsigning-key.pem",
        "/blobs/%2e%2e/%2e%2e/key/signing-key.pem",
        "/blobs/" + "0" * 63 + "%00",
        "/blobs/" + "A" * 64,
        "/releases/../../key@1.0.0",
        "/releases/a/b@1.0.0%00",
        "/releases/%ff%fe@1.0.0",
        "/bundles/..%2f..%2fetc%2fpasswd@1",
        "/history/..%2f..%2fkey",
        "/uploads/..%2f..%2fkey",
        "/uploads/*",
        "/drafts/..%2fusers",
        "/drafts/%27%20OR%20%271%27%3D%271",
    ],
)
def test_paths_that_lead_elsewhere(api: httpx.Client, lived: Inhabited, path: str) -> None:
    """R-AUTH: path traversal, NUL, other encodings and statements in a path find nothing, and say so."""
    answer = api.get(f"{BASE}{path}", headers=lived.bearer("eve"))
    assert answer.status_code in {404, 422}, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert "PRIVATE KEY" not in answer.text


@pytest.mark.parametrize("hostile", ["' OR 1=1 --", '"; DROP TABLE users; --', "%' ESCAPE '", "\u202e../x", "a" * 199])
def test_statements_in_every_parameter(api: httpx.Client, lived: Inhabited, hostile: str) -> None:
    """R-AUTH: SQL injection: what looks like a statement is searched for, and finds nothing."""
    eve = lived.bearer("eve")
    found = api.get(f"{BASE}/releases", params={"text": hostile}, headers=eve)
    assert (found.status_code, found.json()["releases"]) == (200, [])
    for path, params in (
        ("/waivers", {"node": hostile}),
        ("/drafts", {"status": hostile, "after": hostile}),
        ("/audit", {"outcome": hostile}),
        ("/releases", {"status": hostile}),
        ("/diff", {"old": hostile, "new": hostile}),
        ("/events", {"reader": hostile}),
    ):
        assert api.get(f"{BASE}{path}", params=params, headers=eve).status_code in {200, 400, 422}
    assert len(api.get(f"{BASE}/users", headers=eve).json()["users"]) >= 3


def test_text_that_is_a_page_stays_text(api: httpx.Client, lived: Inhabited) -> None:
    """R-REVIEW: scripts in a reason, a context and a blob come back as JSON, or as a download that no browser runs."""
    script = "<script>alert(1)</script>"
    found = submission("attack/script", code=script)
    publish(api, lived.bearer("ana"), found)
    body = decision_body(found, Status.REJECTED, reason=script)
    assert api.post(f"{BASE}/decisions", json=body, headers=lived.bearer("bo")).status_code == 201
    shown = api.get(f"{BASE}/releases/attack/script@1.0.0", headers=lived.bearer("bo"))
    assert shown.headers["content-type"] == "application/json"
    assert shown.headers["x-content-type-options"] == "nosniff"
    blob = api.get(f"{BASE}/blobs/{address(script.encode())}", headers=lived.bearer("bo"))
    assert blob.headers["content-disposition"].startswith("attachment")
    assert "sandbox" in blob.headers["content-security-policy"]


@pytest.mark.parametrize(
    "body",
    [
        b'{"node": "a", "node": "b", "release": "1.0.0"}',
        b'{"node": "a\\u0000", "release": "1.0.0"}',
        b'{"node": "\\ud800", "release": "1.0.0"}',
        b'{"node": "a", "release": NaN}',
        b'{"node": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"node": "a", "release": "1.0.0", "admin": true}',
        b'{"node": 1e999, "release": "1.0.0"}',
        b'{"node": "a", "release": "1.0.0", "context": ' + b'{"a":' * 60 + b"1" + b"}" * 60 + b"}",
        b"\xff\xfe",
        b"",
    ],
)
def test_json_that_two_readers_read_otherwise(api: httpx.Client, lived: Inhabited, body: bytes) -> None:
    """R-AUTH: double keys, NUL, surrogates, NaN, deep nesting, further members and no JSON are refused."""
    headers = {**lived.bearer("ana"), "Content-Type": "application/json"}
    answer = api.post(f"{BASE}/drafts", content=body, headers=headers)
    assert answer.status_code in {400, 413, 422}, answer.text


# Size and time


def test_what_is_too_large(api: httpx.Client, lived: Inhabited) -> None:
    """R-BACKPRESSURE: by announcement, by what arrives, by the blob's announced size, and by what waits unpublished."""
    ana = lived.bearer("ana")
    refused(api.put(f"{BASE}/blobs/{'0' * 64}", content=b"x" * 300_000, headers={**ana, **RAW}), 413, "SRV006")
    assert audit(api, lived)[0]["outcome"] == "refused"

    def endless() -> Iterator[bytes]:
        for _ in range(40):
            yield b"x" * 10_000

    with contextlib.suppress(httpx.WriteError, httpx.ReadError):
        refused(api.put(f"{BASE}/blobs/{'0' * 64}", content=endless(), headers={**ana, **RAW}), 413, "SRV006")
    announced = {"digest": "0" * 64, "size": 10**9}
    refused(api.post(f"{BASE}/uploads", json=announced, headers=ana), 413, "SRV006")
    with client(roomy(lived.folder, staged=10)) as small:
        data = b"more than ten bytes"
        refused(small.put(f"{BASE}/blobs/{address(data)}", content=data, headers={**ana, **RAW}), 413, "SRV017")


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "gzip, gzip"])
def test_a_compressed_bomb(api: httpx.Client, lived: Inhabited, coding: str) -> None:
    """R-BACKPRESSURE: what arrives compressed is not unpacked: a bomb is a 415 before its first byte is read."""
    bomb = gzip.compress(bytes(10_000_000)) if "gzip" in coding else zlib.compress(bytes(10_000_000))
    headers = {**lived.bearer("ana"), "Content-Type": "application/json", "Content-Encoding": coding}
    refused(api.post(f"{BASE}/drafts", content=bomb, headers=headers), 415, "SRV001")
    assert audit(api, lived)[0]["who"] == "ana"


def test_evidence_that_is_a_bomb(api: httpx.Client, lived: Inhabited) -> None:
    """R-SCHEMA: a bill of materials nested deeper than any reader goes is compared by its digest."""
    deep = b"[" * 50_000 + b"]" * 50_000
    first = submission("attack/deep")
    evidence = replace(Evidence.decode(first.blobs[first.evidence]), version="1.1.0", sbom=address(deep))
    envelope = dsse.sign(statement.PAYLOAD_TYPE, statement_of(evidence, deep).to_json(), AUTHOR)
    blobs = {**first.blobs, address(deep): deep, evidence.digest: evidence.encode()}
    second = replace(
        first, release="1.1.0", evidence=evidence.digest, envelope=envelope, blobs=blobs, subject=evidence.subject
    )
    assert [publish(api, lived.bearer("ana"), each).status_code for each in (first, second)] == [201, 201]
    asked = {"old": "attack/deep@1.0.0", "new": "attack/deep@1.1.0"}
    compared = api.get(f"{BASE}/diff", params=asked, headers=lived.bearer("bo"))
    assert (compared.status_code, bool(compared.json()["differences"]["components"])) == (200, True)
    pack = b"\x81" * 100_000 + b"\x00"
    sent = api.post(
        f"{BASE}/packs", content=pack, headers={**lived.bearer("ana"), "Content-Type": "application/octet-stream"}
    )
    assert sent.status_code == 422


def test_a_pack_whose_bytes_are_others(api: httpx.Client, lived: Inhabited) -> None:
    """R-DURABLE: a blob under a digest that is not its own is refused, and nothing of the pack is kept."""
    good = b"a good blob of a bad pack"
    pack = encode({address(good): good, "0" * 64: b"bad"})
    headers = {**lived.bearer("ana"), "Content-Type": "application/octet-stream"}
    refused(api.post(f"{BASE}/packs", content=pack, headers=headers), 422, "REG023")
    asked = api.post(f"{BASE}/blobs", json={"digests": [address(good)]}, headers=lived.bearer("ana")).json()
    assert asked["missing"] == [address(good)]


def test_a_slow_body(api: httpx.Client, lived: Inhabited) -> None:
    """R-BACKPRESSURE: a body that does not arrive in time is a 408, its place is free again, and it is in the audit."""
    with raw(api) as wire:
        head = f"POST {BASE}/drafts HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {lived.tokens['ana']}\r\n"
        wire.sendall(f"{head}Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{{".encode())
        assert b" 408 " in wire.recv(4096).split(b"\r\n")[0]
    assert "certify_in_flight 0.0" in api.get("/metrics").text
    assert audit(api, lived)[0]["outcome"] == "refused"


def test_a_head_that_never_ends(lived: Inhabited, monkeypatch: pytest.MonkeyPatch) -> None:
    """R-BACKPRESSURE: a connection that does not get on with its first request is closed."""
    monkeypatch.setattr(server, "HEADER_SECONDS", 0.3)
    with client(roomy(lived.folder)) as found, raw(found) as wire:
        wire.sendall(b"GET / HTTP/1.1\r\nX-Slow: ")
        began = time.monotonic()
        assert wire.recv(100) == b""
        assert time.monotonic() - began < 20
        assert found.get("/healthz").status_code == 200


@contextlib.contextmanager
def raw(found: httpx.Client) -> Iterator[socket.socket]:
    """A connection on which anything can be sent."""
    with socket.create_connection((found.base_url.host, found.base_url.port or 80), timeout=30) as wire:
        yield wire


# The log


def test_a_log_that_was_rewritten(lived: Inhabited, tmp_path: Path) -> None:
    """R-LOG: whoever changes entries in the database is found by the next write, by `verify-log` and by a bundle."""
    folder = tmp_path / "registry"
    found = inhabit(folder)
    handed_in, second = submission("attack/log"), submission("attack/log", "1.1.0")
    with client(roomy(folder)) as api:
        publish(api, found.bearer("ana"), handed_in)
        data = api.get(f"{BASE}/bundles/attack/log@1.0.0", headers=found.bearer("bo")).content
        verifier = Verifier.from_text(api.get(f"{BASE}/registry", headers=found.bearer("bo")).json()["verifier"])
        with contextlib.closing(sqlite3.connect(folder / "registry.db", isolation_level=None)) as connection:
            connection.execute("DROP TRIGGER entries_stay")
            connection.execute("UPDATE entries SET leaf_hash = zeroblob(32)")
        answer = publish(api, found.bearer("ana"), second)
        refused(answer, 503, "REG005")
        assert str(folder) not in answer.text
        assert "REG005" in audit(api, found)[0]["reason"]
    assert not verify_log(folder).holds
    assert bundles.verify(data, verifier).release.status is Status.CERTIFIED


@pytest.mark.parametrize("what", ["entry", "blob", "checkpoint", "proof", "evidence", "key", "decision", "nonsense"])
def test_a_bundle_that_was_changed(tmp_path: Path, what: str) -> None:
    """R-LOG: a changed entry, blob, checkpoint or proof, another key, a decision left out of its place: BND001."""
    from certify.codec import decode
    from registry_support import ticking

    with Registry.create(tmp_path / "registry", clock=ticking()) as registry:
        registry.publish(submission("attack/bundle"))
        registry.publish(submission("attack/bundle", "1.1.0"))
        verifier = registry.verifier
        data = bundles.bundle(registry, "attack/bundle@1.0.0")
        other = bundles.bundle(registry, "attack/bundle@1.1.0")
    evidence = Evidence.decode(data["blobs"][evidence_of(data)])
    match what:
        case "entry":
            data["entries"][0]["data"] = other["entries"][0]["data"]
        case "blob":
            data["blobs"] = {**data["blobs"], evidence.sbom: b"{}"}
        case "checkpoint":
            data["checkpoint"] = data["checkpoint"].replace("\n2\n", "\n3\n")
        case "proof":
            data["entries"][0]["proof"] = [bytes(32)]
        case "evidence":
            data["blobs"] = {d: b for d, b in data["blobs"].items() if d != evidence.sbom}
        case "key":
            verifier = Verifier(verifier.origin, THIEF.public.raw)
        case "decision":
            data["entries"] = [*data["entries"], *data["entries"]]
    sent = encode(data) if what != "nonsense" else b"\xa0"
    assert what == "nonsense" or decode(sent) is not None
    with pytest.raises(Refused) as told:
        bundles.verify(sent, verifier)
    assert codes(told.value) == ["BND001"]


def evidence_of(data: dict[str, Any]) -> str:
    """The digest of a bundle's evidence."""
    from certify.registry import entries

    found = entries.read(data["entries"][0]["data"])
    assert isinstance(found, entries.Published)
    return found.evidence
