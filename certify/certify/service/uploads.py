"""Uploads that can be resumed: parts of a blob that arrive one after the other.

Rules this module keeps:

- an upload is a file of its own, named by a random number, in the registry's folder; its length is where it goes on;
- a part is written where the upload ends, or not at all; what was acknowledged is on the disk;
- a whole blob is compared with its digest before anybody can ask for it.
"""

from __future__ import annotations

import os
import re
import secrets
import time
from pathlib import Path
from typing import Final

from certify.registry.entries import DIGEST
from certify.service.errors import NO_SUCH_PLACE, OFFSET, TOO_LARGE, Declined, bad

FOLDER: Final = "uploads"
LONGEST_SECONDS: Final = 24 * 3600
_NAME: Final = re.compile(r"([0-9a-f]{32})\.([0-9a-f]{64})\.([0-9]{1,15})\.([a-z0-9._@+-]{1,64})")
_ID: Final = re.compile(r"[0-9a-f]{32}")


class Uploads:
    """The uploads that are under way.

    Args:
        folder: the registry's folder.
        largest: bytes of a blob, at most.
    """

    def __init__(self, folder: Path, largest: int) -> None:
        self._folder = folder / FOLDER
        self._largest = largest

    def begin(self, digest: str, size: int, owner: str) -> str:
        """Begin an upload; its id.

        Raises:
            Declined: SRV001 no digest, SRV006 larger than a blob may be.
        """
        if not DIGEST.fullmatch(digest):
            raise bad("a digest is 64 hexadecimal digits")
        if size > self._largest:
            raise Declined(413, TOO_LARGE, f"a blob has at most {self._largest} bytes")
        self._folder.mkdir(exist_ok=True)
        self.sweep()
        identity = secrets.token_hex(16)
        (self._folder / f"{identity}.{digest}.{size}.{owner}").touch(mode=0o600, exist_ok=False)
        return identity

    def _found(self, identity: str, owner: str) -> tuple[Path, str, int]:
        """File, digest and size of an upload.

        Raises:
            Declined: SRV004, there is none, or it is somebody else's.
        """
        if _ID.fullmatch(identity) and self._folder.is_dir():
            for file in self._folder.glob(f"{identity}.*"):
                match = _NAME.fullmatch(file.name)
                if match and match[4] == owner:
                    return file, match[2], int(match[3])
        raise Declined(404, NO_SUCH_PLACE, "there is no such upload; it may have ended a day ago")

    def offset(self, identity: str, owner: str) -> tuple[int, int]:
        """How many bytes have arrived, and of how many."""
        file, _, size = self._found(identity, owner)
        return file.stat().st_size, size

    def add(self, identity: str, owner: str, offset: int, part: bytes) -> tuple[int, int]:
        """Write a part; how many bytes have arrived then, and of how many.

        Raises:
            Declined: SRV011 the part begins elsewhere; SRV006 it goes beyond the end.
        """
        file, _, size = self._found(identity, owner)
        descriptor = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
        try:
            held = os.fstat(descriptor).st_size
            if held != offset:
                message = f"{held} bytes have arrived, and the part begins at {offset}"
                raise Declined(409, OFFSET, message, headers={"Upload-Offset": str(held)})
            if held + len(part) > size:
                raise Declined(413, TOO_LARGE, f"the part goes beyond the {size} bytes that were announced")
            view = memoryview(part)
            while view:
                view = view[os.write(descriptor, view) :]
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        return held + len(part), size

    def take(self, identity: str, owner: str) -> tuple[str, bytes]:
        """Digest and bytes of an upload that is whole."""
        file, digest, _ = self._found(identity, owner)
        return digest, file.read_bytes()

    def end(self, identity: str, owner: str) -> None:
        """Forget an upload."""
        self._found(identity, owner)[0].unlink(missing_ok=True)

    def sweep(self) -> None:
        """Forget uploads that nobody has gone on with for a day."""
        before = time.time() - LONGEST_SECONDS
        for file in self._folder.iterdir():
            if _NAME.fullmatch(file.name) and file.stat().st_mtime < before:
                file.unlink(missing_ok=True)
