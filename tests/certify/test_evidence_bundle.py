"""Evidence and its bundle: read back equal, refused when changed, checked against the signature."""

import copy
import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from certify import codec
from certify.evidence import dsse, statement
from certify.evidence.bundle import Bundle, Evidence, quotable, statement_of
from certify.evidence.errors import EvidenceError, SignatureError
from certify.evidence.keys import KeyPair
from certify.evidence.verdict import CheckResult, Failed, NotApplicable, Passed, Unknown, Waived
from certify_spec.diagnostics import Diagnostic, Note, Place, Rule, Severity

ALICE, EVE = (KeyPair(Ed25519PrivateKey.from_private_bytes(bytes([n]) * 32)) for n in (1, 2))
RULE = Rule("TEST001", "a rule of the tests", "none")
FILES = {"node.toml": b"schema = 1\n", "charge.py": b"def charge(): ...\n"}
SBOM, POLICY, TRACE, WAIVER = b"{}", b"permit (principal, action, resource);", b"trace", b"waiver"
BLOBS = {codec.address(data): data for data in (*FILES.values(), SBOM, POLICY, TRACE, WAIVER)}
FINDING = Diagnostic(
    RULE,
    "the clock was read",
    place=Place("charge.py", 1, 1),
    because="`time.time` was called",
    notes=(Note("from here", Place("charge.py", 2)),),
    severity=Severity.WARNING,
    data={"calls": [1, 2.5]},
)


def evidence(*results: CheckResult) -> Evidence:
    """Evidence with results of every kind, or with the given ones."""
    files = {path: codec.address(data) for path, data in FILES.items()}
    return Evidence(
        node="payments/charge",
        version="1.0.0",
        subject=codec.address(codec.encode(files)),
        files=files,
        manifest=files["node.toml"],
        results=results
        or (
            CheckResult("C-EFFECTS", Passed(), (FINDING,), {"wall_ms": 1.5}, {"trace": codec.address(TRACE)}, 0.25),
            CheckResult("C-IDEM", NotApplicable("the node has no effects")),
            CheckResult("C-POLICY", Waived((codec.address(WAIVER),))),
        ),
        sbom=codec.address(SBOM),
        policy=codec.address(POLICY),
        tools={"certify": "0.1.0", "python": "3.11.7"},
        laboratory={"timezone": "UTC", "wall_seconds": 10.0},
        started="2026-11-20T12:00:00Z",
        finished="2026-11-20T12:00:03.5Z",
        waivers=(codec.address(WAIVER),),
    )


def signed(about: Evidence, key: KeyPair = ALICE) -> bytes:
    """The envelope of the statement about the evidence."""
    return dsse.sign(statement.PAYLOAD_TYPE, statement_of(about, SBOM).to_json(), key)


def test_evidence_is_read_back_equal() -> None:
    """Encoding and decoding give the same evidence, with the same digest."""
    assert evidence() == Evidence.decode(evidence().encode())
    assert codec.address(evidence().encode()) == evidence().digest


@pytest.mark.parametrize("verdict", [Passed(), Failed(), Unknown("the upstream was away", waiting_helps=True)])
def test_every_verdict_is_read_back(verdict: Passed | Failed | Unknown) -> None:
    """A verdict of each kind survives, and the verdict over all checks with it."""
    assert verdict == Evidence.decode(evidence(CheckResult("C-BUDGET", verdict)).encode()).verdict


def test_evidence_names_all_its_blobs() -> None:
    """The references are the files, the SBOM, the policy, the waivers and the artefacts."""
    assert BLOBS.keys() == evidence().references


def test_evidence_needs_one_result_for_each_check() -> None:
    """No result at all, or two of one check, are refused: the first would pass for want of failures."""
    with pytest.raises(ValueError, match="without a check"):
        replace(evidence(), results=())
    with pytest.raises(ValueError, match="two results are of one check: C-IDEM"):
        evidence(CheckResult("C-IDEM", Failed()), CheckResult("C-IDEM", Passed()))


def test_text_of_the_node_that_has_no_canonical_form_is_shown_escaped() -> None:
    """A node cannot keep its verdict from being written down by raising an error with odd text."""
    data = {"a\u030a": "\udfff", "fine": "\u00e9", "numbers": (math.nan, -math.inf, 2**64, 1.5, 10**5000)}
    finding = Diagnostic(RULE, "it said e\u0301 and \ud800", data=data)
    read = Evidence.decode(evidence(CheckResult("C-CONTRACT", Failed(), (finding,))).encode())
    [shown] = read.results[0].findings
    assert shown.message == "it said e\\u0301 and \\ud800"
    numbers = ["nan", "-inf", "0x10000000000000000", 1.5, hex(10**5000)]
    assert shown.data == {"a\\u030a": "\\udfff", "fine": "\u00e9", "numbers": numbers}


def test_quoting_leaves_canonical_values_alone() -> None:
    """Text with a canonical form, numbers and bytes are not touched."""
    value = {"\u00e9": ["\U0001f600", 1, 1.5, None, True, b"e\xcc\x81"]}
    assert value == quotable(value)


Change = Callable[[dict[str, Any]], Any]

CHANGES: dict[str, Change] = {
    "a member is missing": lambda data: data.pop("policy"),
    "a member is unknown": lambda data: data.update(extra=1),
    "another schema": lambda data: data.update(schema=2),
    "no schema": lambda data: data.pop("schema"),
    "the schema true, which equals 1": lambda data: data.update(schema=True),
    "the schema 1.0, which equals 1": lambda data: data.update(schema=1.0),
    "an empty id": lambda data: data.update(node=""),
    "an id that is a number": lambda data: data.update(node=1),
    "a short digest": lambda data: data.update(sbom="ab"),
    "a digest with letters that are no digits": lambda data: data.update(sbom="zz" * 32),
    "a digest in capitals": lambda data: data.update(sbom=data["sbom"].upper()),
    "a digest with other scripts' digits": lambda data: data.update(sbom="\u0661" * 64),
    "a digest with a newline": lambda data: data.update(sbom=data["sbom"][:-1] + "\n"),
    "a digest that is null": lambda data: data.update(policy=None),
    "files that are a list": lambda data: data.update(files=[]),
    "a file without digest": lambda data: data["files"].update({"x.py": ""}),
    "a further file": lambda data: data["files"].update({"x.py": "0" * 64}),
    "another subject": lambda data: data.update(subject="0" * 64),
    "results that are a map": lambda data: data.update(results={}),
    "no results": lambda data: data.update(results=[]),
    "a result twice": lambda data: data["results"].append(data["results"][0]),
    "a result that is null": lambda data: data["results"].append(None),
    "a result without verdict": lambda data: data["results"][0].pop("verdict"),
    "a result with an unknown verdict": lambda data: data["results"][0]["verdict"].update(name="splendid"),
    "a result with an unknown member": lambda data: data["results"][0].update(extra=1),
    "a passed verdict with a reason": lambda data: data["results"][0]["verdict"].update(reason="x"),
    "findings in another order": lambda data: data["results"][0]["findings"].append(
        data["results"][0]["findings"][0] | {"severity": "error"}
    ),
    "a finding with an unknown member": lambda data: data["results"][0]["findings"][0].update(extra=1),
    "an artefact that is no digest": lambda data: data["results"][0]["artefacts"].update(trace="x"),
    "artefacts that are a list": lambda data: data["results"][0].update(artefacts=[]),
    "a check whose id is a number": lambda data: data["results"][0].update(check=1),
    "tools with a number": lambda data: data["tools"].update(python=3),
    "a laboratory that is text": lambda data: data.update(laboratory="x"),
    "a time without zone": lambda data: data.update(started="2026-11-20T12:00:00"),
    "a time with an offset": lambda data: data.update(started="2026-11-20T12:00:00+01:00"),
    "a day that does not exist": lambda data: data.update(started="2026-02-30T12:00:00Z"),
    "a waiver that is no digest": lambda data: data["waivers"].append("x"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_malformed_evidence_is_refused(change: Change) -> None:
    """EVD001, whatever the change to one member, and never an error of another kind."""
    data = copy.deepcopy(evidence().to_data())
    change(data)
    with pytest.raises(EvidenceError, match="EVD001"):
        Evidence.decode(codec.encode(data))


@pytest.mark.parametrize(
    "data", [b"", b"\x00", b"\x80", b"\xa0", evidence().encode() + b"\x00", evidence().encode()[1:]]
)
def test_bytes_that_are_no_evidence_are_refused(data: bytes) -> None:
    """EVD001, for other values and for bytes that are not canonical."""
    with pytest.raises(EvidenceError, match="EVD001"):
        Evidence.decode(data)


def test_a_whole_bundle_verifies() -> None:
    """The signer is named when signature, statement and every blob hold; the evidence itself may be among the blobs."""
    blobs = {**BLOBS, evidence().digest: evidence().encode()}
    verified = Bundle(evidence(), blobs, signed(evidence())).verify([ALICE.public])
    assert (ALICE.public.key_id,) == verified.signers


def failing(bundle: Bundle) -> list[str]:
    """The codes with which a bundle is refused."""
    with pytest.raises(EvidenceError) as refusal:
        bundle.verify([ALICE.public])
    return [diagnostic.code for diagnostic in refusal.value.diagnostics]


@pytest.mark.parametrize("name", sorted(BLOBS))
def test_each_altered_blob_is_named(name: str) -> None:
    """EVD003, whichever blob it is, and its digest is in the message."""
    bundle = Bundle(evidence(), {**BLOBS, name: BLOBS[name] + b" "}, signed(evidence()))
    assert failing(bundle) == ["EVD003"]
    with pytest.raises(EvidenceError, match=name):
        bundle.verify([ALICE.public])


@pytest.mark.parametrize("name", sorted(BLOBS))
def test_each_missing_blob_is_named(name: str) -> None:
    """EVD004, whichever blob it is."""
    blobs = {digest: data for digest, data in BLOBS.items() if digest != name}
    assert failing(Bundle(evidence(), blobs, signed(evidence()))) == ["EVD004"]


def test_every_problem_is_reported_at_once() -> None:
    """EVD003 and EVD004 together, one for each blob."""
    first, second, *_ = sorted(BLOBS)
    blobs = {digest: data for digest, data in BLOBS.items() if digest != first} | {second: b"?"}
    assert failing(Bundle(evidence(), blobs, signed(evidence()))) == ["EVD003", "EVD004"]


def test_changed_evidence_under_a_true_signature_is_refused() -> None:
    """EVD002, a failed check that was turned into a passed one, and a changed measurement."""
    failed = evidence(CheckResult("C-BUDGET", Failed()))
    passed = evidence(CheckResult("C-BUDGET", Passed()))
    assert failing(Bundle(passed, BLOBS, signed(failed))) == ["EVD002"]
    assert failing(Bundle(replace(passed, laboratory={"timezone": "CET"}), BLOBS, signed(passed))) == ["EVD002"]


def test_a_bundle_signed_by_somebody_else_is_refused() -> None:
    """SIG002, Eve's signature of true evidence."""
    assert failing(Bundle(evidence(), BLOBS, signed(evidence(), EVE))) == ["SIG002"]


def test_another_signed_payload_is_no_statement() -> None:
    """SIG004 for another payload type, SIG005 for a payload that is no statement."""
    waiver = dsse.sign("application/vnd.certify.waiver+cbor", b"{}", ALICE)
    assert failing(Bundle(evidence(), BLOBS, waiver)) == ["SIG004"]
    assert failing(Bundle(evidence(), BLOBS, dsse.sign(statement.PAYLOAD_TYPE, b"{}", ALICE))) == ["SIG005"]


def test_a_statement_is_made_only_of_the_sbom_that_the_evidence_names() -> None:
    """Another SBOM is refused before anything is signed."""
    with pytest.raises(ValueError, match="SBOM"):
        statement_of(evidence(), b"[]")


def test_signature_errors_are_evidence_errors() -> None:
    """One exception root: who catches evidence that does not hold catches signatures too."""
    assert issubclass(SignatureError, EvidenceError)
