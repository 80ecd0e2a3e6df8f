"""DSSE envelopes with Ed25519 signatures: the form in which statements leave this machine.

After the DSSE protocol, version 1 (secure-systems-lab): what is signed is the pre-authentication encoding of payload
type and payload, never JSON.

Rules this module keeps:

- the payload is handed out only after a signature by one of the given keys has been verified;
- a key id is a hint: it chooses which key to try, and proves nothing;
- signatures by keys that were not given are skipped; one that names a given key and is false refuses the envelope;
- parsing is strict: duplicate members, another alphabet than base64's, stray bits and oversized input are refused.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from certify.evidence import errors, strict_json
from certify.evidence.errors import SignatureError, because
from certify.evidence.keys import KeyPair, PublicKey
from certify_spec.diagnostics import Diagnostic

MAX_ENVELOPE: Final = 16 * 2**20
"""Bytes of the largest envelope that is read."""

MAX_SIGNATURES: Final = 64
"""Signatures that one envelope may carry."""

_BASE64: Final = re.compile(r"[A-Za-z0-9+/]*={0,2}|[A-Za-z0-9_-]*={0,2}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Verified:
    """A payload whose signature has been verified.

    Attributes:
        payload_type: the media type that was signed along with it.
        payload: the signed bytes.
        signers: ids of the given keys whose signatures hold, in the order of the envelope.
        unknown: key ids, as the envelope writes them, of signatures that nobody vouches for here.
    """

    payload_type: str
    payload: bytes
    signers: tuple[str, ...]
    unknown: tuple[str, ...] = ()


class _MalformedError(ValueError):
    """Why bytes are no envelope."""


@dataclass(frozen=True, slots=True)
class _Signature:
    key_id: str
    value: bytes


@dataclass(frozen=True, slots=True)
class _Envelope:
    payload_type: str
    payload: bytes
    signatures: tuple[_Signature, ...]


def pre_authentication_encoding(payload_type: str, payload: bytes) -> bytes:
    """The bytes that are signed: ``DSSEv1``, and the payload type and the payload, each after its length."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def sign(payload_type: str, payload: bytes, key: KeyPair) -> bytes:
    """The envelope, as JSON, of `payload` signed with `key`. Ed25519 is deterministic: equal input, equal bytes."""
    signature = key.sign(pre_authentication_encoding(payload_type, payload))
    return strict_json.write(
        {
            "payloadType": payload_type,
            "payload": base64.b64encode(payload).decode(),
            "signatures": [{"keyid": key.public.key_id, "sig": base64.b64encode(signature).decode()}],
        }
    )


def verify(envelope: bytes, public_keys: Iterable[PublicKey], *, payload_type: str | None = None) -> Verified:
    """The payload, after a signature by at least one of `public_keys` has been verified.

    Args:
        envelope: the envelope as JSON.
        public_keys: the keys that are trusted.
        payload_type: the media type that is asked for; None takes any, and leaves the judgement to the caller.

    Raises:
        SignatureError: SIG001 not an envelope, SIG002 no signature by a given key, SIG003 a false signature,
            SIG004 another payload type.
    """
    parsed = _parse(envelope)
    if payload_type is not None and parsed.payload_type != payload_type:
        reason = f"its payload type is {parsed.payload_type!r}"
        raise SignatureError(because(errors.OTHER_PAYLOAD, f"the envelope holds no {payload_type}", reason))
    keys = {key.key_id: key for key in public_keys}
    message = pre_authentication_encoding(parsed.payload_type, parsed.payload)
    found = [(signature, _signer(signature, message, keys)) for signature in parsed.signatures]
    signers = tuple(dict.fromkeys(signer for _, signer in found if signer))
    unknown = tuple(signature.key_id for signature, signer in found if signer is None)
    if not signers:
        raise SignatureError(_nobody_known(unknown, keys))
    return Verified(parsed.payload_type, parsed.payload, signers, unknown)


def _signer(signature: _Signature, message: bytes, keys: Mapping[str, PublicKey]) -> str | None:
    """The id of the given key that made the signature; None when it is by none of them."""
    named = keys.get(signature.key_id)
    if named is not None and not named.verifies(signature.value, message):
        reason = "the payload or the signature was changed after signing, or somebody signed in the key's name"
        raise SignatureError(because(errors.FALSE_SIGNATURE, f"the signature of key {named.key_id} is false", reason))
    if named is not None:
        return named.key_id
    candidates = () if signature.key_id else keys.values()
    return next((key.key_id for key in candidates if key.verifies(signature.value, message)), None)


def _nobody_known(unknown: tuple[str, ...], keys: Mapping[str, PublicKey]) -> Diagnostic:
    signed_by = ", ".join(key_id[:80] or "(unnamed)" for key_id in unknown)
    trusted = ", ".join(keys) or "none"
    message = f"no trusted key has signed: the signatures are by {signed_by}"
    return because(errors.NO_KNOWN_KEY, message, f"the keys trusted here are: {trusted}")


def _parse(data: bytes) -> _Envelope:
    try:
        return _read(data)
    except ValueError as error:
        raise SignatureError(because(errors.MALFORMED_ENVELOPE, "this is no DSSE envelope", str(error))) from None


def _read(data: bytes) -> _Envelope:
    if len(data) > MAX_ENVELOPE:
        raise _MalformedError(f"it has {len(data)} bytes, and at most {MAX_ENVELOPE} are read")
    document = strict_json.read(data)
    if not isinstance(document, dict):
        raise _MalformedError("it is not a JSON object")
    signatures = document.get("signatures")
    if not isinstance(signatures, list) or not 1 <= len(signatures) <= MAX_SIGNATURES:
        raise _MalformedError(f"`signatures` is not a list of 1 to {MAX_SIGNATURES} signatures")
    return _Envelope(
        payload_type=_text(document, "payloadType"),
        payload=_bytes(document, "payload"),
        signatures=tuple(_signature(signature) for signature in signatures),
    )


def _signature(written: object) -> _Signature:
    if not isinstance(written, dict):
        raise _MalformedError("a signature is not a JSON object")
    key_id = written.get("keyid") or ""  # the protocol makes no difference between none, null and empty
    if not isinstance(key_id, str):
        raise _MalformedError("a `keyid` is not text")
    return _Signature(key_id, _bytes(written, "sig"))


def _text(document: Mapping[str, object], name: str) -> str:
    value = document.get(name)
    if not isinstance(value, str) or not value:
        raise _MalformedError(f"`{name}` is missing, or is no text")
    if not value.isascii() or not value.isprintable():
        raise _MalformedError(f"`{name}` is not printable ASCII")
    return value


def _bytes(document: Mapping[str, object], name: str) -> bytes:
    value = document.get(name)
    if not isinstance(value, str):
        raise _MalformedError(f"`{name}` is missing, or is no text")
    if not _BASE64.fullmatch(value):
        raise _MalformedError(f"`{name}` is not base64")
    standard = value.replace("-", "+").replace("_", "/")
    try:
        data = base64.b64decode(standard, validate=True)
    except binascii.Error as error:
        raise _MalformedError(f"`{name}` is not base64: {error}") from None
    if base64.b64encode(data).decode() != standard:
        raise _MalformedError(f"`{name}` is not base64: it has stray bits at its end")
    return data
