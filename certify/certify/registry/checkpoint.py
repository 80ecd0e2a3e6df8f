"""Checkpoints: what the log's tree was at one size, signed by the registry.

The text is a signed note with a tlog-checkpoint body, as specified at https://c2sp.org/signed-note and
https://c2sp.org/tlog-checkpoint, so that any witness or monitor of transparency logs can read it.

Rules this module keeps:

- everything is pure; the registry's key is passed in;
- `parse` accepts only what `sign` can have written, with further signatures of others after ours;
- Ed25519 signatures are deterministic: one tree and one key give one checkpoint.
"""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from hashlib import sha256

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from certify.registry.merkle import HASH_BYTES

_ED25519 = b"\x01"
_SIGNATURE_LINE = re.compile(r"— (\S+) (\S+)")


class CheckpointError(ValueError):
    """A text is no checkpoint, or not one that this registry signed."""


@dataclass(frozen=True, slots=True)
class Verifier:
    """The public side of a registry's key.

    Attributes:
        origin: the log's name: no white space, no plus sign.
        public: the 32 bytes of the Ed25519 public key.
    """

    origin: str
    public: bytes

    @property
    def key_hash(self) -> bytes:
        """The 4 bytes by which a note's signature names its key."""
        return sha256(self.origin.encode() + b"\n" + _ED25519 + self.public).digest()[:4]

    def __str__(self) -> str:
        """The verifier key in the form ``name+hash+key`` of the signed-note specification."""
        return f"{self.origin}+{self.key_hash.hex()}+{base64.b64encode(_ED25519 + self.public).decode()}"

    @classmethod
    def from_text(cls, text: str) -> Verifier:
        """Read a verifier key.

        Raises:
            CheckpointError: it is not one.
        """
        try:
            origin, key_hash, key = text.strip().split("+", 2)
            raw = base64.b64decode(key, validate=True)
        except ValueError:
            raise CheckpointError("a verifier key has the form name+hash+key") from None
        verifier = cls(origin, raw[1:])
        if raw[:1] != _ED25519 or len(verifier.public) != 32 or verifier.key_hash.hex() != key_hash:
            raise CheckpointError("the verifier key is not an Ed25519 key, or its hash does not fit")
        return verifier


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The log's tree at one size.

    Attributes:
        origin: the log's name.
        size: number of entries.
        root: the tree hash.
    """

    origin: str
    size: int
    root: bytes

    @property
    def body(self) -> str:
        """The text that is signed."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"


def sign(checkpoint: Checkpoint, key: Ed25519PrivateKey) -> str:
    """The checkpoint as a signed note."""
    signature = key.sign(checkpoint.body.encode())
    verifier = Verifier(checkpoint.origin, key.public_key().public_bytes_raw())
    return f"{checkpoint.body}\n— {checkpoint.origin} {base64.b64encode(verifier.key_hash + signature).decode()}\n"


def parse(note: str, verifier: Verifier) -> Checkpoint:
    """Read a note and check its signature.

    Raises:
        CheckpointError: it is malformed, of another log, or carries no valid signature of `verifier`.
    """
    body, separator, signatures = note.rpartition("\n\n")
    if not separator or not signatures.endswith("\n"):
        raise CheckpointError("the text is not a signed note")
    checkpoint = _parse_body(body + "\n")
    if checkpoint.origin != verifier.origin:
        raise CheckpointError(f"it is a checkpoint of {checkpoint.origin}, not of {verifier.origin}")
    public = Ed25519PublicKey.from_public_bytes(verifier.public)
    own = [
        blob[4:]
        for name, blob in [_signature(line) for line in signatures[:-1].split("\n")]
        if name == verifier.origin and blob[:4] == verifier.key_hash
    ]
    if not own:
        raise CheckpointError("it carries no signature of the registry's key")
    try:
        for signature in own:
            public.verify(signature, checkpoint.body.encode())
    except InvalidSignature:
        raise CheckpointError("the registry's signature does not fit the text") from None
    return checkpoint


def _signature(line: str) -> tuple[str, bytes]:
    """Name and signature of a signature line."""
    match = _SIGNATURE_LINE.fullmatch(line)
    if match is None:
        raise CheckpointError("a signature line is malformed")
    return match[1], _base64(match[2])


def _parse_body(body: str) -> Checkpoint:
    lines = body.split("\n")
    if len(lines) != 4:  # origin, size, root, and nothing after the last line break
        raise CheckpointError("a checkpoint has three lines: origin, size and root")
    origin, size, root, _ = lines
    if not re.fullmatch(r"0|[1-9][0-9]{0,18}", size):
        raise CheckpointError("the size is not a number")
    checkpoint = Checkpoint(origin, int(size), _base64(root))
    if len(checkpoint.root) != HASH_BYTES or checkpoint.body != body:
        raise CheckpointError("the root is not a SHA-256 hash in base64")
    return checkpoint


def _base64(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        raise CheckpointError(f"not base64: {text[:20]}") from None
