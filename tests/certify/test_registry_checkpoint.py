"""Checkpoints as signed notes."""

from __future__ import annotations

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from certify.registry import checkpoint
from certify.registry.checkpoint import Checkpoint, CheckpointError, Verifier

KEY = Ed25519PrivateKey.from_private_bytes(b"\x07" * 32)
OTHER = Ed25519PrivateKey.from_private_bytes(b"\x08" * 32)
VERIFIER = Verifier("certify-registry/abc", KEY.public_key().public_bytes_raw())
CHECKPOINT = Checkpoint("certify-registry/abc", 15, b"\x05" * 32)
NOTE = checkpoint.sign(CHECKPOINT, KEY)


def test_a_signed_checkpoint_reads_back() -> None:
    """R-LOG: what was signed is what is read."""
    assert checkpoint.parse(NOTE, VERIFIER) == CHECKPOINT


def test_the_text_has_the_form_of_the_specification() -> None:
    """R-LOG: origin, size, root in base64, an empty line, and a line with an em dash, a name and a signature."""
    lines = NOTE.split("\n")
    name, signature = lines[4].removeprefix("\u2014 ").split(" ")
    assert lines[:4] == ["certify-registry/abc", "15", base64.b64encode(b"\x05" * 32).decode(), ""]
    assert (name, len(base64.b64decode(signature)), lines[5:]) == ("certify-registry/abc", 4 + 64, [""])


def test_the_verifier_key_of_the_specification_reads_as_published() -> None:
    """R-LOG: the example key of the signed-note specification has the key hash that it is published with."""
    text = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
    assert str(Verifier.from_text(text)) == text


def test_a_verifier_key_reads_back() -> None:
    """R-LOG: the text of a verifier key gives the same key."""
    assert Verifier.from_text(str(VERIFIER)) == VERIFIER


@pytest.mark.parametrize(
    "text",
    ["", "a", "a+b", "a+b+c", "a+00000000+AQ==", str(VERIFIER).replace("abc", "abd"), str(VERIFIER) + "AA", "a+é+é"],
)
def test_malformed_verifier_keys_are_refused(text: str) -> None:
    """R-LOG: a key whose hash, kind or length is wrong is none."""
    with pytest.raises(CheckpointError):
        Verifier.from_text(text)


def test_signatures_of_others_are_skipped() -> None:
    """R-LOG: a witness may add its signature, before or after the registry's."""
    witness = checkpoint.sign(CHECKPOINT, OTHER).split("\n\n")[1]
    body, own = NOTE.split("\n\n")
    assert checkpoint.parse(f"{body}\n\n{witness}{own}", VERIFIER) == CHECKPOINT
    assert checkpoint.parse(f"{body}\n\n{own}{witness}", VERIFIER) == CHECKPOINT


@pytest.mark.parametrize(
    "note",
    [
        "",
        "\n\n",
        NOTE[:-1],
        NOTE.replace("\n15\n", "\n16\n"),
        NOTE.replace("\n15\n", "\n015\n"),
        NOTE.replace("\n15\n", "\n\u0661\n"),
        NOTE.replace("\n15\n", "\n-1\n"),
        NOTE.replace("abc\n15", "abd\n15"),
        NOTE.replace("BQUF", "BgUF", 1),
        NOTE.replace("\n\n", "\nmore\n\n"),
        NOTE.replace("\u2014", "-"),
        NOTE.split("\n\n", maxsplit=1)[0] + "\n\n",
        checkpoint.sign(CHECKPOINT, OTHER),
        checkpoint.sign(Checkpoint("another-log", 15, b"\x05" * 32), KEY),
        checkpoint.sign(Checkpoint("certify-registry/abc", 15, b"\x05" * 31), KEY),
        NOTE + "\u2014 x !!!\n",
        NOTE.replace("\u2014 certify-registry/abc ", "\u2014 certify-registry/abc A"),
    ],
)
def test_anything_else_is_refused(note: str) -> None:
    """R-LOG: changed text, changed signature, another key, another log and broken forms are no checkpoints."""
    with pytest.raises(CheckpointError):
        checkpoint.parse(note, VERIFIER)
