"""The in-toto statement (C-SBOM): what it says, and what is not read as one."""

import copy
import hashlib
import json
from collections.abc import Callable
from typing import Any

import pytest

from certify.codec import address
from certify.evidence.errors import SignatureError
from certify.evidence.statement import Digests, Statement

STATEMENT = Statement(
    name="payments/charge@1.0.0",
    subject=Digests.of(b"subject"),
    evidence=Digests.of(b"evidence"),
    sbom=Digests.of(b"sbom"),
    policy=address(b"policy"),
    verdict="waived",
    checks={"C-EFFECTS": "passed", "C-IDEM": "not-applicable", "C-POLICY": "waived"},
    waivers=(address(b"waiver"),),
    finished="2026-11-20T12:00:00Z",
)


def test_the_statement_is_an_in_toto_statement() -> None:
    """C-SBOM: types, subject and digests are where in-toto puts them, with SHA-256 beside BLAKE3."""
    document = json.loads(STATEMENT.to_json())
    assert document["_type"] == "https://in-toto.io/Statement/v1"
    assert document["predicateType"] == "urn:certify:certification:v1"
    [subject] = document["subject"]
    assert subject["name"] == "payments/charge@1.0.0"
    assert {"blake3": address(b"subject"), "sha256": hashlib.sha256(b"subject").hexdigest()} == subject["digest"]
    assert document["predicate"]["checks"] == {"C-EFFECTS": "passed", "C-IDEM": "not-applicable", "C-POLICY": "waived"}


def test_a_statement_is_read_back_equal() -> None:
    """C-SBOM: reading undoes writing, and equal statements have equal bytes."""
    assert Statement.from_json(STATEMENT.to_json()) == STATEMENT
    assert STATEMENT.to_json() == Statement.from_json(STATEMENT.to_json()).to_json()


@pytest.mark.parametrize("bad", ["zz", "", "A" * 64, "a" * 63, "a" * 65, "a" * 63 + "\n", "\u0661" * 64])
def test_digests_are_checked_when_they_are_made(bad: str) -> None:
    """C-SBOM: letters and lengths are checked here, because the in-toto libraries do not."""
    with pytest.raises(ValueError, match="sha256"):
        Digests(blake3=address(b""), sha256=bad)
    with pytest.raises(ValueError, match="blake3"):
        Digests(blake3=bad, sha256=address(b""))


Change = Callable[[dict[str, Any]], Any]

CHANGES: dict[str, Change] = {
    "another statement type": lambda s: s.update(_type="https://in-toto.io/Statement/v0.1"),
    "another predicate type": lambda s: s.update(predicateType="https://slsa.dev/provenance/v1"),
    "no subject": lambda s: s.update(subject=[]),
    "two subjects": lambda s: s["subject"].append(s["subject"][0]),
    "a subject that is text": lambda s: s.update(subject=["x"]),
    "a subject without digest": lambda s: s["subject"][0].pop("digest"),
    "a subject with an empty name": lambda s: s["subject"][0].update(name=""),
    "a digest that is no digest": lambda s: s["subject"][0]["digest"].update(sha256="zz"),
    "a digest short of SHA-256": lambda s: s["subject"][0]["digest"].pop("sha256"),
    "a digest of an unknown kind": lambda s: s["subject"][0]["digest"].update(md5="0" * 32),
    "a digest that is a number": lambda s: s["predicate"]["sbom"]["digest"].update(blake3=7),
    "an unknown member": lambda s: s.update(extra=1),
    "an unknown member of the predicate": lambda s: s["predicate"].update(extra=1),
    "a predicate that is null": lambda s: s.update(predicate=None),
    "another media type": lambda s: s["predicate"]["evidence"].update(mediaType="text/plain"),
    "an unknown verdict": lambda s: s["predicate"].update(verdict="splendid"),
    "a verdict that is a list": lambda s: s["predicate"].update(verdict=["passed"]),
    "an unknown verdict of a check": lambda s: s["predicate"]["checks"].update({"C-IDEM": "ok"}),
    "checks that are a list": lambda s: s["predicate"].update(checks=[]),
    "a waiver without digest": lambda s: s["predicate"].update(waivers=[{}]),
    "a policy without digest": lambda s: s["predicate"].update(policy={"digest": {}}),
    "no time": lambda s: s["predicate"].update(finished="yesterday"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_malformed_statements_are_refused(change: Change) -> None:
    """C-SBOM: SIG005, whatever the change to one member."""
    document = copy.deepcopy(STATEMENT.to_data())
    change(document)
    with pytest.raises(SignatureError, match="SIG005"):
        Statement.from_json(json.dumps(document).encode())


@pytest.mark.parametrize(
    "payload", [b"", b"null", b"[]", b"{", b"\xff", b"[" * 99_999, b'{"_type":1,"_type":2}', b"NaN"]
)
def test_payloads_that_are_no_json_objects_are_refused(payload: bytes) -> None:
    """C-SBOM: SIG005, a member that is named twice among them."""
    with pytest.raises(SignatureError, match="SIG005"):
        Statement.from_json(payload)
