"""Blobs in a folder, one file each.

Rules this module keeps:

- a name is quoted into one file name: whatever it holds, it cannot leave the folder;
- a write is complete or absent: a temporary file is written, synchronised and renamed, and then the folder is
  synchronised;
- a temporary file left by a killed process is taken over by the next writer, and never seen as a blob.
"""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from urllib.parse import quote, unquote

from certify.capabilities.api import StoreError

#: Bytes of a file name that every file system takes.
_LONGEST_NAME = 255


class BlobFolder:
    """`Blob` on a folder."""

    def __init__(self, name: str, folder: Path) -> None:
        self._name = name
        self._folder = folder

    def read(self, name: str) -> bytes:
        """See `Blob.read`."""
        with self._translated():
            try:
                descriptor = os.open(self._folder / file_name(name), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
            except FileNotFoundError:
                raise KeyError(f"there is no blob {name!r} in `{self._name}`") from None
            with os.fdopen(descriptor, "rb") as file:
                return file.read()

    def write(self, name: str, content: bytes) -> None:
        """See `Blob.write`."""
        target = self._folder / file_name(name)
        with self._translated():
            self._folder.mkdir(parents=True, exist_ok=True)
            with _temporary(self._folder) as (temporary, descriptor):
                _write_all(descriptor, content)
                os.fsync(descriptor)
                temporary.rename(target)
            _synchronise(self._folder)

    def names(self, prefix: str) -> tuple[str, ...]:
        """See `Blob.names`."""
        with self._translated():
            try:
                files = [file.name for file in self._folder.iterdir()]
            except FileNotFoundError:
                return ()
        names = (unquote(file, errors="strict") for file in files if not file.startswith("."))
        return tuple(sorted(name for name in names if name.startswith(prefix)))

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise StoreError(f"blob `{self._name}`: {error.strerror}") from error


def file_name(name: str) -> str:
    """The name of the file that holds a blob: percent-encoded, and never one that begins with a dot.

    Raises:
        ValueError: the name is empty or too long for a file system.
    """
    quoted = quote(name, safe=" +,=@()")
    if quoted.startswith("."):
        quoted = "%2E" + quoted[1:]
    if not 0 < len(quoted) <= _LONGEST_NAME:
        raise ValueError(f"a blob's name has 1 to {_LONGEST_NAME} bytes, percent-encoded; this one has {len(quoted)}")
    return quoted


@contextmanager
def _temporary(folder: Path) -> Iterator[tuple[Path, int]]:
    """An empty file that is ours until we rename it or close it.

    The lock tells a file that somebody is writing from one whose writer is dead, without process ids (two sandboxes may
    share both the folder and the numbers) and without a random name (which a strict node could not explain).
    """
    for number in count():
        path = folder / f".new-{number}"
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
        try:
            if _is_ours(path, descriptor):
                os.ftruncate(descriptor, 0)
                yield path, descriptor
                return
        finally:
            os.close(descriptor)


def _is_ours(path: Path, descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in {errno.EWOULDBLOCK, errno.EAGAIN}:
            return False
        raise
    # its former owner may have renamed it between our open and our lock
    try:
        return os.path.samestat(path.lstat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _write_all(descriptor: int, content: bytes) -> None:
    view = memoryview(content)
    while view:
        view = view[os.write(descriptor, view) :]


def _synchronise(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
