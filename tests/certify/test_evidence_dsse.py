"""DSSE envelopes (C-SBOM): signed here and checked elsewhere, signed elsewhere and checked here, and forged."""

import base64
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st
from securesystemslib.dsse import Envelope
from securesystemslib.signer import CryptoSigner, SSlibKey  # type: ignore[attr-defined]  # exported without saying so

from certify.evidence import dsse
from certify.evidence.dsse import MAX_ENVELOPE, MAX_SIGNATURES, Verified, sign, verify
from certify.evidence.errors import SignatureError
from certify.evidence.keys import KeyPair

KIND = "application/vnd.in-toto+json"
ALICE, BOB, EVE = (KeyPair(Ed25519PrivateKey.from_private_bytes(bytes([n]) * 32)) for n in (1, 2, 3))


def envelope(payload: bytes = b"{}", /, *signers: KeyPair, **changes: Any) -> bytes:
    """An envelope by the signers (Alice, when none is given), with members changed after signing."""
    document = json.loads(sign(KIND, payload, ALICE))
    document["signatures"] = [json.loads(sign(KIND, payload, one))["signatures"][0] for one in signers or (ALICE,)]
    return json.dumps(document | changes).encode()


def refused(data: bytes, *trusted: KeyPair) -> str:
    """The code with which `verify` refuses."""
    with pytest.raises(SignatureError) as refusal:
        verify(data, [pair.public for pair in trusted or (ALICE,)])
    [diagnostic] = refusal.value.diagnostics
    return diagnostic.code


def test_the_pre_authentication_encoding_is_that_of_the_protocol() -> None:
    """C-SBOM: the protocol's own example gives the protocol's own bytes; lengths count bytes."""
    assert (
        dsse.pre_authentication_encoding("http://example.com/HelloWorld", b"hello world")
        == b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    )
    assert dsse.pre_authentication_encoding("\u00e9", b"") == b"DSSEv1 2 \xc3\xa9 0 "


@given(st.binary(max_size=300))
def test_what_is_signed_here_verifies_here(payload: bytes) -> None:
    """C-SBOM: the payload comes back with its type and its signer."""
    expected = Verified(KIND, payload, (ALICE.public.key_id,))
    assert expected == verify(sign(KIND, payload, ALICE), [EVE.public, ALICE.public], payload_type=KIND)


@given(st.binary(max_size=300))
def test_what_is_signed_here_verifies_with_securesystemslib(payload: bytes) -> None:
    """C-SBOM: a third-party library accepts our envelope, with the key id that it derives itself."""
    theirs = Envelope.from_dict(json.loads(sign(KIND, payload, ALICE)))
    key = SSlibKey.from_crypto(ALICE.private.public_key())
    assert [ALICE.public.key_id] == list(theirs.verify([key], 1))
    assert payload == theirs.payload


@given(st.binary(max_size=300))
def test_what_securesystemslib_signs_verifies_here(payload: bytes) -> None:
    """C-SBOM: we accept an envelope that a third-party library has signed."""
    theirs = Envelope(payload, KIND, {})
    theirs.sign(CryptoSigner(ALICE.private))
    data = json.dumps(theirs.to_dict()).encode()
    assert Verified(KIND, payload, (ALICE.public.key_id,)) == verify(data, [ALICE.public])


def test_equal_input_gives_equal_envelopes() -> None:
    """C-SBOM: signing again changes nothing."""
    assert sign(KIND, b"payload", ALICE) == sign(KIND, b"payload", ALICE)


def test_an_envelope_by_somebody_else_is_refused() -> None:
    """C-SBOM: SIG002, for another signer and for an empty list of trusted keys."""
    assert refused(envelope(b"{}", EVE)) == "SIG002"
    with pytest.raises(SignatureError, match="SIG002"):
        verify(envelope(), [])


def test_a_changed_payload_is_refused() -> None:
    """C-SBOM: SIG003, one letter of the payload."""
    assert refused(envelope(b"passed", payload=base64.b64encode(b"Passed").decode())) == "SIG003"


def test_a_changed_payload_type_is_refused() -> None:
    """C-SBOM: SIG003, the type is signed too."""
    assert refused(envelope(payloadType="application/vnd.certify.waiver+cbor")) == "SIG003"


def test_a_signature_in_somebody_elses_name_is_refused() -> None:
    """C-SBOM: SIG003, Eve's signature under Alice's key id, even beside a true one."""
    forged = {**json.loads(envelope(b"{}", EVE))["signatures"][0], "keyid": ALICE.public.key_id}
    assert refused(envelope(signatures=[forged])) == "SIG003"
    assert refused(envelope(signatures=[*json.loads(envelope())["signatures"], forged])) == "SIG003"


def test_every_flipped_bit_of_a_signature_is_refused() -> None:
    """C-SBOM: SIG003, for each of the 512 bits."""
    true = base64.b64decode(json.loads(envelope())["signatures"][0]["sig"])
    for bit in range(512):
        false = (int.from_bytes(true) ^ 1 << bit).to_bytes(64)
        signature = {"keyid": ALICE.public.key_id, "sig": base64.b64encode(false).decode()}
        assert refused(envelope(signatures=[signature])) == "SIG003"


@pytest.mark.parametrize("length", [0, 1, 63, 65])
def test_a_signature_of_another_length_is_refused(length: int) -> None:
    """C-SBOM: SIG003, too short, too long or empty."""
    signature = {"keyid": ALICE.public.key_id, "sig": base64.b64encode(b"x" * length).decode()}
    assert refused(envelope(signatures=[signature])) == "SIG003"


def test_another_kind_of_payload_is_refused_when_one_is_asked_for() -> None:
    """C-SBOM: SIG004, a signed waiver is not a signed statement."""
    with pytest.raises(SignatureError, match="SIG004"):
        verify(sign("application/vnd.certify.waiver+cbor", b"{}", ALICE), [ALICE.public], payload_type=KIND)


def test_all_trusted_signers_are_named_once_and_the_others_told_apart() -> None:
    """C-SBOM: two trusted signers, one of them twice, and one stranger."""
    data = envelope(b"{}", ALICE, EVE, BOB, ALICE)
    expected = Verified(KIND, b"{}", (ALICE.public.key_id, BOB.public.key_id), (EVE.public.key_id,))
    assert expected == verify(data, [BOB.public, ALICE.public])


@pytest.mark.parametrize("hint", [{}, {"keyid": ""}, {"keyid": None}])
def test_a_signature_without_key_id_is_tried_with_every_key(hint: dict[str, object]) -> None:
    """C-SBOM: the key id is optional in the protocol, and the signature decides."""
    signature = {"sig": json.loads(envelope())["signatures"][0]["sig"], **hint}
    expected = Verified(KIND, b"{}", (ALICE.public.key_id,))
    assert expected == verify(envelope(signatures=[signature]), [BOB.public, ALICE.public])
    assert refused(envelope(signatures=[signature]), BOB) == "SIG002"


def test_the_url_safe_alphabet_is_read_too() -> None:
    """C-SBOM: the protocol allows both alphabets of base64."""
    payload = b"\xfb\xff\xfe" * 3
    data = envelope(payload, payload=base64.urlsafe_b64encode(payload).decode())
    assert payload == verify(data, [ALICE.public]).payload


def test_unknown_members_are_ignored() -> None:
    """C-SBOM: the protocol lets envelopes carry more."""
    assert verify(envelope(extra=[1]), [ALICE.public]).payload == b"{}"


SIGNATURES = json.loads(envelope())["signatures"]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"1",
        b"\xff\xfe",
        b"\xef\xbb\xbf{}",
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b"1" * 5000,
        envelope() + b"{}",
        envelope()[:-1],
        envelope()[:-1] + b',"payload":"e30="}',
        envelope().replace(b'"sig"', b'"sig": "", "sig"'),
        envelope(n=float("nan")),
        b" " * (MAX_ENVELOPE + 1),
        envelope(payload=None),
        envelope(payload=1),
        envelope(payload=[]),
        envelope(payload="e30"),
        envelope(payload="e30=="),
        envelope(payload="e3 0="),
        envelope(payload="e30=\n"),
        envelope(payload="e31="),
        envelope(payload="+_=="),
        envelope(payload="\u00e930="),
        envelope(payload="\ud800"),
        envelope(payloadType=""),
        envelope(payloadType=7),
        envelope(payloadType=None),
        envelope(payloadType="a\nb"),
        envelope(payloadType="\u00e9"),
        envelope(signatures=[]),
        envelope(signatures=None),
        envelope(signatures={}),
        envelope(signatures="x"),
        envelope(signatures=[1]),
        envelope(signatures=[{}]),
        envelope(signatures=[{"keyid": 1, "sig": ""}]),
        envelope(signatures=[{"keyid": [ALICE.public.key_id], "sig": ""}]),
        envelope(signatures=[{"keyid": "x", "sig": "%"}]),
        envelope(signatures=SIGNATURES * (MAX_SIGNATURES + 1)),
    ],
    ids=lambda data: ascii(data[-60:]),
)
def test_malformed_envelopes_are_refused(data: bytes) -> None:
    """C-SBOM: SIG001, whatever is not exactly an envelope."""
    assert refused(data) == "SIG001"


@given(st.binary(max_size=60))
def test_random_bytes_are_refused_as_malformed(data: bytes) -> None:
    """C-SBOM: SIG001, and never a traceback of another kind."""
    assert refused(data) == "SIG001"


@given(
    st.recursive(
        st.none() | st.integers() | st.text(),
        lambda inner: (
            st.lists(inner)
            | st.dictionaries(st.sampled_from(["payload", "payloadType", "signatures", "keyid", "sig"]), inner)
        ),
    )
)
def test_random_documents_are_refused(document: object) -> None:
    """C-SBOM: any JSON with an envelope's member names is refused in the codec's own terms."""
    assert refused(json.dumps(document).encode()) in {"SIG001", "SIG002"}
