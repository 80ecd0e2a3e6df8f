"""Signing keys in files (C-SBOM): made once, read strictly, never shown."""

import hashlib
import os
import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ed448, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from securesystemslib.signer import SSlibKey  # type: ignore[attr-defined]  # exported without saying so

from certify.evidence import keys
from certify.evidence.keys import PRIVATE_FILE, PUBLIC_FILE, KeyPair, PublicKey, load_key, load_public, new_key
from certify_spec.diagnostics import RequestError


def code(refusal: pytest.ExceptionInfo[RequestError]) -> str:
    """The code of the one diagnostic."""
    [diagnostic] = refusal.value.diagnostics
    return diagnostic.code


def test_a_new_key_is_read_back_from_its_files(tmp_path: Path) -> None:
    """C-SBOM: the pair that was made is the pair that the folder and each of its files give."""
    made = new_key(tmp_path / "keys")
    assert made.public == load_key(tmp_path / "keys").public == load_key(tmp_path / "keys" / PRIVATE_FILE).public
    assert made.public == load_public(tmp_path / "keys") == load_public(tmp_path / "keys" / PUBLIC_FILE)


def test_key_files_have_tight_modes(tmp_path: Path) -> None:
    """C-SBOM: the folder and the private key are their owner's alone, whatever the umask, and nothing else is left."""
    before = os.umask(0)
    try:
        new_key(tmp_path / "keys")
    finally:
        os.umask(before)
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in (tmp_path / "keys").iterdir()}
    assert modes == {PRIVATE_FILE: 0o600, PUBLIC_FILE: 0o644}
    assert stat.S_IMODE((tmp_path / "keys").stat().st_mode) == 0o700


@pytest.mark.parametrize("present", [PRIVATE_FILE, PUBLIC_FILE])
def test_a_key_is_never_overwritten(tmp_path: Path, present: str) -> None:
    """C-SBOM: KEY002, if either file exists neither is touched."""
    (tmp_path / present).write_text("precious")
    with pytest.raises(RequestError) as refusal:
        new_key(tmp_path)
    assert code(refusal) == "KEY002"
    assert [(present, "precious")] == [(file.name, file.read_text()) for file in tmp_path.iterdir()]


def test_a_dangling_link_in_the_keys_place_is_not_followed(tmp_path: Path) -> None:
    """C-SBOM: KEY002, a link that waits for the key is not written through."""
    (tmp_path / PRIVATE_FILE).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(RequestError) as refusal:
        new_key(tmp_path)
    assert code(refusal) == "KEY002"
    assert not (tmp_path / "elsewhere").exists()


def test_losing_a_race_for_the_public_file_leaves_no_private_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """C-SBOM: KEY002, when somebody makes the public file in between, the private file is taken back."""
    link = os.link

    def racing(source: str, target: Path) -> None:
        if target.name == PUBLIC_FILE:
            target.write_text("somebody else's")
        link(source, target)

    monkeypatch.setattr(os, "link", racing)
    with pytest.raises(RequestError) as refusal:
        new_key(tmp_path)
    assert code(refusal) == "KEY002"
    assert [file.name for file in tmp_path.iterdir()] == [PUBLIC_FILE]


def test_a_folder_that_cannot_be_made_is_a_clear_error(tmp_path: Path) -> None:
    """C-SBOM: KEY005, a file where the folder should be."""
    (tmp_path / "file").write_text("")
    with pytest.raises(RequestError) as refusal:
        new_key(tmp_path / "file" / "keys")
    assert code(refusal) == "KEY005"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o666])
def test_a_private_key_that_others_may_use_is_refused(tmp_path: Path, mode: int) -> None:
    """C-SBOM: KEY003, for every bit of group and others."""
    new_key(tmp_path)
    (tmp_path / PRIVATE_FILE).chmod(mode)
    with pytest.raises(RequestError) as refusal:
        load_key(tmp_path)
    assert code(refusal) == "KEY003"


def private(name: str, content: bytes, folder: Path) -> Path:
    """A file with that content and mode 0600."""
    file = folder / name
    file.touch(mode=0o600)
    file.write_bytes(content)
    return file


PKCS8 = (Encoding.PEM, PrivateFormat.PKCS8)
SPKI = (Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "no private key in PEM"),
        (b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "no private key in PEM"),
        (b"\xff" * 100, "no private key in PEM"),
        (b"x" * 20_000, "more than 16384 bytes"),
        (Ed25519PrivateKey.generate().private_bytes(*PKCS8, BestAvailableEncryption(b"s")), "encrypted"),
        (rsa.generate_private_key(65537, 2048).private_bytes(*PKCS8, NoEncryption()), "another kind (RSAPrivateKey)"),
        (ed448.Ed448PrivateKey.generate().private_bytes(*PKCS8, NoEncryption()), "another kind"),
    ],
    ids=["empty", "broken", "binary", "large", "encrypted", "RSA", "Ed448"],
)
def test_files_that_hold_no_signing_key_are_refused(tmp_path: Path, content: bytes, reason: str) -> None:
    """C-SBOM: KEY004, and the error says what the file holds instead."""
    with pytest.raises(RequestError, match="KEY004") as refusal:
        load_key(private("key.pem", content, tmp_path))
    assert reason in refusal.value.diagnostics[0].because


@pytest.mark.parametrize(
    "content",
    [
        b"",
        KeyPair(Ed25519PrivateKey.generate()).pem(),
        rsa.generate_private_key(65537, 2048)
        .public_key()
        .public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
    ],
    ids=["empty", "private", "RSA"],
)
def test_files_that_hold_no_public_key_are_refused(tmp_path: Path, content: bytes) -> None:
    """C-SBOM: KEY004, a private key in the public key's place among them."""
    (tmp_path / "key.pem").write_bytes(content)
    with pytest.raises(RequestError) as refusal:
        load_public(tmp_path / "key.pem")
    assert code(refusal) == "KEY004"


def test_files_that_cannot_be_read_are_a_clear_error(tmp_path: Path) -> None:
    """C-SBOM: KEY001, a missing file, a missing folder, and a pipe that nobody writes to."""
    os.mkfifo(tmp_path / "pipe", 0o600)
    for path in (tmp_path / "none.pem", tmp_path, tmp_path / "none" / "none.pem", tmp_path / "pipe"):
        with pytest.raises(RequestError) as refusal:
            load_key(path)
        assert code(refusal) == "KEY001"


@pytest.mark.parametrize(
    ("environment", "folder"),
    [
        ({"CERTIFY_HOME": "/c", "XDG_CONFIG_HOME": "/x", "HOME": "/h"}, "/c"),
        ({"XDG_CONFIG_HOME": "/x", "HOME": "/h"}, "/x/certify"),
        ({"CERTIFY_HOME": "", "XDG_CONFIG_HOME": "relative", "HOME": "/h"}, "/h/.config/certify"),
    ],
)
def test_the_default_folder_follows_the_environment(environment: dict[str, str], folder: str) -> None:
    """C-SBOM: CERTIFY_HOME, then the XDG base directory (ignored when relative, as XDG says), then the home folder."""
    assert Path(folder) == keys.default_folder(environment)


@pytest.mark.parametrize("environment", [{}, {"CERTIFY_HOME": "relative", "HOME": "/h"}])
def test_no_default_folder_is_a_clear_error(environment: dict[str, str]) -> None:
    """C-SBOM: KEY006, nothing set, or CERTIFY_HOME relative: keys never land in whatever folder is current."""
    with pytest.raises(RequestError) as refusal:
        keys.default_folder(environment)
    assert code(refusal) == "KEY006"


def test_key_ids_are_those_of_securesystemslib() -> None:
    """C-SBOM: the id is the one that securesystemslib derives by itself."""
    pair = KeyPair(Ed25519PrivateKey.generate())
    assert SSlibKey.from_crypto(pair.private.public_key()).keyid == pair.public.key_id


def test_public_keys_go_through_pem() -> None:
    """C-SBOM: PEM gives the key back, and OpenSSL's form of it is a SubjectPublicKeyInfo."""
    public = KeyPair(Ed25519PrivateKey.generate()).public
    assert public == PublicKey.from_pem(public.pem())
    assert public.pem().startswith(b"-----BEGIN PUBLIC KEY-----")


def test_a_key_pair_does_not_show_its_private_key() -> None:
    """C-SBOM: neither `repr` nor the key's file name tell the secret."""
    pair = KeyPair(Ed25519PrivateKey.from_private_bytes(hashlib.sha256(b"seed").digest()))
    assert repr(pair) == "KeyPair(file=None)"


def test_a_public_key_has_32_bytes() -> None:
    """C-SBOM: another length is no Ed25519 key."""
    with pytest.raises(ValueError, match="32 bytes"):
        PublicKey(b"short")
