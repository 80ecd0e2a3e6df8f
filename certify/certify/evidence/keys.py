"""Signing keys: Ed25519, in PEM files that other tools read too.

Rules this module keeps:

- a private key file is created whole or not at all, readable by its owner alone, and never overwritten;
- a private key file that others may read is refused, and a private key never shows in a `repr` or a message;
- a key's id follows the rule of securesystemslib (SHA-256 of the key as canonical JSON), so that in-toto and TUF tools
  find the key without being told.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from certify_spec.diagnostics import Diagnostic, Place, RequestError, Rule

UNREADABLE_KEY: Final = Rule("KEY001", "a key file cannot be read", "name a file that exists and that you may read")
KEY_EXISTS: Final = Rule(
    "KEY002", "there is a key already", "use it, or name another folder; keys are never overwritten"
)
EXPOSED_KEY: Final = Rule(
    "KEY003", "others may read the private key", "run `chmod 600` on it; if others may have read it, make a new key"
)
MALFORMED_KEY: Final = Rule("KEY004", "the file holds no such key", "name a PEM file that `certify key new` wrote")
UNWRITABLE_FOLDER: Final = Rule("KEY005", "a key cannot be written there", "name a folder that you may write to")
NO_FOLDER: Final = Rule(
    "KEY006", "there is no folder for keys", "set CERTIFY_HOME or HOME to an absolute path, or name the folder"
)

PRIVATE_FILE: Final = "signing-key.pem"
"""Name of a private key's file in its folder."""
PUBLIC_FILE: Final = "signing-key.pub.pem"
"""Name of the public key's file beside it."""

_MAX_FILE: Final = 16 * 2**10


@dataclass(frozen=True, slots=True)
class PublicKey:
    """An Ed25519 public key; `raw` are its 32 bytes."""

    raw: bytes

    def __post_init__(self) -> None:
        if len(self.raw) != 32:
            raise ValueError("an Ed25519 public key has 32 bytes")

    @property
    def key_id(self) -> str:
        """64 hexadecimal digits that name the key."""
        document = f'{{"keytype":"ed25519","keyval":{{"public":"{self.raw.hex()}"}},"scheme":"ed25519"}}'
        return hashlib.sha256(document.encode()).hexdigest()

    def verifies(self, signature: bytes, message: bytes) -> bool:
        """Whether `signature` is this key's over `message`."""
        try:
            Ed25519PublicKey.from_public_bytes(self.raw).verify(signature, message)
        except InvalidSignature:
            return False
        return True

    def pem(self) -> bytes:
        """The key as SubjectPublicKeyInfo in PEM."""
        return Ed25519PublicKey.from_public_bytes(self.raw).public_bytes(
            Encoding.PEM, PublicFormat.SubjectPublicKeyInfo
        )

    @classmethod
    def from_pem(cls, pem: bytes) -> PublicKey:
        """The inverse of `pem`.

        Raises:
            ValueError: no PEM, or no Ed25519 public key.
        """
        try:
            key = load_pem_public_key(pem)
        except (ValueError, UnsupportedAlgorithm):
            raise ValueError("it is no public key in PEM") from None
        if not isinstance(key, Ed25519PublicKey):
            raise ValueError(f"it is a public key of another kind ({type(key).__name__.lstrip('_')})")  # noqa: TRY004 - one exception for whatever is wrong with the text
        return cls(key.public_bytes(Encoding.Raw, PublicFormat.Raw))


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A signing key and its public half; `file` is where the private key rests, None when it is only in memory."""

    private: Ed25519PrivateKey = field(repr=False)
    file: Path | None = None

    @property
    def public(self) -> PublicKey:
        """The public key."""
        return PublicKey(self.private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw))

    def sign(self, message: bytes) -> bytes:
        """The 64-byte signature of `message`."""
        return self.private.sign(message)

    def pem(self) -> bytes:
        """The private key as PKCS #8 in PEM, not encrypted."""
        return self.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def default_folder(environment: Mapping[str, str] | None = None) -> Path:
    """Where keys rest: ``$CERTIFY_HOME``, or ``$XDG_CONFIG_HOME/certify``, or ``~/.config/certify``.

    Raises:
        RequestError: KEY006, the variables name no absolute path.
    """
    variables = os.environ if environment is None else environment
    for name, below in (("CERTIFY_HOME", ""), ("XDG_CONFIG_HOME", "certify"), ("HOME", ".config/certify")):
        value = variables.get(name, "")
        if os.path.isabs(value):  # noqa: PTH117 - Path("") would be the working folder
            return Path(value) / below
        if value and name == "CERTIFY_HOME":
            raise _wrong(NO_FOLDER, f"CERTIFY_HOME is {value!r}, which is no absolute path")
    raise _wrong(NO_FOLDER, "neither CERTIFY_HOME nor XDG_CONFIG_HOME nor HOME names a folder")


def new_key(folder: Path | None = None) -> KeyPair:
    """Make a key pair in `folder` (by default `default_folder`), which is created, for its owner alone, if need be.

    The private key goes to `PRIVATE_FILE` with mode 0600, the public one to `PUBLIC_FILE`. Either both files are there
    afterwards or neither; only a crash between the two can leave the private key alone, from which the public key can
    be had again.

    Raises:
        RequestError: KEY002 one of the files exists, KEY005 the folder cannot be written.
    """
    place = folder or default_folder()
    private_file, public_file = place / PRIVATE_FILE, place / PUBLIC_FILE
    pair = KeyPair(Ed25519PrivateKey.generate(), private_file)
    try:
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        for file in (private_file, public_file):
            if os.path.lexists(file):
                raise _exists(file)
        _create(private_file, pair.pem(), 0o600)
        with _undoing(private_file):
            _create(public_file, pair.public.pem(), 0o644)
    except OSError as error:
        raise _wrong(UNWRITABLE_FOLDER, f"no key can be written to {place}", _said(error)) from None
    return pair


def load_key(path: Path | None = None) -> KeyPair:
    """The key pair of a private key file, or of the one in a folder; by default of the one in `default_folder`.

    Raises:
        RequestError: KEY001 unreadable, KEY003 readable by others, KEY004 no Ed25519 private key.
    """
    file = _in_folder(path or default_folder(), PRIVATE_FILE)
    data = _content(file, private=True)
    try:
        key = load_pem_private_key(data, password=None)
    except TypeError:
        raise _malformed(file, "the private key is encrypted, and there is nobody to ask for its password") from None
    except (ValueError, UnsupportedAlgorithm):
        raise _malformed(file, "it is no private key in PEM") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise _malformed(file, f"it is a private key of another kind ({type(key).__name__.lstrip('_')})")
    return KeyPair(key, file)


def load_public(path: Path | None = None) -> PublicKey:
    """The public key of a PEM file, or of the one in a folder; by default of the one in `default_folder`.

    Raises:
        RequestError: KEY001 unreadable, KEY004 no Ed25519 public key.
    """
    file = _in_folder(path or default_folder(), PUBLIC_FILE)
    try:
        return PublicKey.from_pem(_content(file, private=False))
    except ValueError as error:
        raise _malformed(file, str(error)) from None


def _in_folder(path: Path, name: str) -> Path:
    return path / name if path.is_dir() else path


def _content(file: Path, *, private: bool) -> bytes:
    try:
        # A pipe in the file's place must not keep the command waiting.
        with open(os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as stream:  # noqa: PTH123 - Path.open cannot pass flags
            status = os.fstat(stream.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise _wrong(UNREADABLE_KEY, f"{file} is not a file", file=file)
            if private and status.st_mode & 0o077:
                raise _exposed(file, status.st_mode)
            data = stream.read(_MAX_FILE + 1)
    except OSError as error:
        raise _wrong(UNREADABLE_KEY, f"the key file {file} cannot be read", _said(error), file=file) from None
    if len(data) > _MAX_FILE:
        raise _malformed(file, f"it has more than {_MAX_FILE} bytes")
    return data


def _create(file: Path, content: bytes, mode: int) -> None:
    """Create `file` with all of `content`, or not at all; refuses if it exists."""
    descriptor, temporary = tempfile.mkstemp(prefix=f".{file.name}.", dir=file.parent)
    try:
        with open(descriptor, "wb") as stream:  # noqa: PTH123 - it is a descriptor
            os.fchmod(descriptor, mode)
            stream.write(content)
            stream.flush()
            os.fsync(descriptor)
        # A link, unlike a rename, never replaces a file that somebody else has just made.
        os.link(temporary, file)
    except FileExistsError:
        raise _exists(file) from None
    finally:
        os.unlink(temporary)  # noqa: PTH108 - mkstemp gives text


@contextlib.contextmanager
def _undoing(file: Path) -> Iterator[None]:
    """Remove the file that was made just before if the block fails."""
    try:
        yield
    except BaseException:
        file.unlink()
        raise


def _said(error: OSError) -> str:
    return f"the system says: {error.strerror or error}"


def _exists(file: Path) -> RequestError:
    return _wrong(KEY_EXISTS, f"{file} exists", file=file)


def _exposed(file: Path, mode: int) -> RequestError:
    return _wrong(EXPOSED_KEY, f"others may read or change {file}", f"its mode is {stat.S_IMODE(mode):04o}", file=file)


def _malformed(file: Path, reason: str) -> RequestError:
    return _wrong(MALFORMED_KEY, f"{file} holds no such key", reason, file=file)


def _wrong(rule: Rule, message: str, reason: str = "", *, file: Path | None = None) -> RequestError:
    place = Place(str(file)) if file else None
    return RequestError(Diagnostic(rule, message, place=place, because=reason, fix=rule.advice))
