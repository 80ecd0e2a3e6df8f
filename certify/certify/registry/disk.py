"""The file system as the store sees it, and blobs by digest on it.

Rules this module keeps:

- `Disk` is the only place that changes files; it announces every step beforehand, so that a test can end the process
  there;
- a file under `blobs/` is whole: its bytes are on the disk before it gets its name;
- `incoming/` is the journal: what lies there when a writer begins was left by one that died, and is taken back.

Only a writer that holds the database's write lock calls `put` and `take_back`.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, Protocol

from certify.registry.entries import DIGEST

Steps = Callable[[str], None]
_CHUNK: Final = 1 << 16
_SYNCS_AT_ONCE: Final = 8
_SYNCED_HERE: Final = 3
"""So few are synced one after the other: threads would cost more than they save."""


def no_steps(_what: str) -> None:
    """Announce to nobody."""


class Disk:
    """Changes to the file system, step by step.

    Args:
        steps: called before each step with its name.
    """

    def __init__(self, steps: Steps = no_steps) -> None:
        self.steps = steps
        self._pool: ThreadPoolExecutor | None = None

    def make_folder(self, folder: Path) -> None:
        """Make the folder unless it is there."""
        self.steps(f"make folder {folder.name}")
        folder.mkdir(exist_ok=True)

    def write(self, file: Path, data: bytes) -> None:
        """Write a new file; `sync` brings its bytes to the disk."""
        self.steps("create file")
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        try:
            view = memoryview(data)
            while view:
                self.steps("write file")
                view = view[os.write(descriptor, view[:_CHUNK]) :]
        finally:
            os.close(descriptor)

    def sync(self, what: str, paths: Collection[Path]) -> None:
        """Bring files' bytes, or folders' names, to the disk; several at once, so that the disk is waited for less."""
        self.steps(f"sync {what}")
        if len(paths) <= _SYNCED_HERE:
            _sync(paths)
        else:
            every = list(paths)
            shares = [every[start::_SYNCS_AT_ONCE] for start in range(min(len(every), _SYNCS_AT_ONCE))]
            if self._pool is None:  # kept, since making eight threads costs as much as what they do
                self._pool = ThreadPoolExecutor(_SYNCS_AT_ONCE, "certify-sync")
            list(self._pool.map(_sync, shares))

    def link(self, file: Path, name: Path) -> None:
        """Give the file a further name, which must be free."""
        self.steps("link file")
        name.hardlink_to(file)

    def rename(self, file: Path, name: Path) -> None:
        """Give the file another name, replacing what has it."""
        self.steps("rename file")
        file.replace(name)

    def remove(self, file: Path) -> None:
        """Remove the file if it is there."""
        self.steps("remove file")
        file.unlink(missing_ok=True)


def _sync(paths: Iterable[Path]) -> None:
    for path in paths:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


class Blobs(Protocol):
    """Where blobs rest, by digest. Whoever changes them holds the database's write lock."""

    def create(self) -> None:
        """Make what is needed unless it is there."""

    def file(self, digest: str) -> Path | None:
        """The file that the blob lies in, if it does; None where blobs are no files. Raises ValueError: no digest."""

    def read(self, digest: str, start: int = 0, stop: int | None = None) -> bytes | None:
        """The bytes under that name, or some of them, unchecked; None when there are none."""

    def size(self, digest: str) -> int | None:
        """Number of bytes under that name; None when there are none."""

    def put(self, blobs: Mapping[str, bytes], known: Callable[[str], bool]) -> list[Path]:
        """Store blobs so that they stay; returns a journal, to be forgotten after the commit."""

    def forget(self, journal: Collection[Path]) -> None:
        """Forget the journal."""

    def remove(self, digests: Collection[str]) -> None:
        """Remove blobs that nothing names."""

    def take_back(self, known: Callable[[str], bool]) -> None:
        """Remove what dead writers left behind."""

    def digests(self) -> Iterator[str]:
        """Every name that is a digest, in no order."""


class BlobFolder:
    """Blobs by digest: ``blobs/ab/cdef…`` in a registry's folder."""

    def __init__(self, folder: Path, disk: Disk) -> None:
        self._blobs = folder / "blobs"
        self._incoming = folder / "incoming"
        self._disk = disk

    def create(self) -> None:
        """Make the folders unless they are there."""
        self._disk.make_folder(self._blobs)
        self._disk.make_folder(self._incoming)

    def path(self, digest: str) -> Path:
        """Where the blob lies, if it does.

        Raises:
            ValueError: not a digest.
        """
        if not DIGEST.fullmatch(digest):
            raise ValueError(f"{digest!r} is not a digest of 64 hexadecimal digits")
        return self._blobs / digest[:2] / digest[2:]

    def file(self, digest: str) -> Path | None:
        """Where the blob lies, if it does.

        Raises:
            ValueError: not a digest.
        """
        return self.path(digest)

    def read(self, digest: str, start: int = 0, stop: int | None = None) -> bytes | None:
        """The bytes under that name, or those from `start` to before `stop`, unchecked; None when there are none."""
        try:
            with self.path(digest).open("rb") as file:
                file.seek(start)
                return file.read(-1 if stop is None else max(0, stop - start))
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
            return None

    def size(self, digest: str) -> int | None:
        """Number of bytes under that name; None when there are none."""
        try:
            return self.path(digest).stat().st_size
        except (FileNotFoundError, NotADirectoryError):
            return None

    def remove(self, digests: Collection[str]) -> None:
        """Remove blobs that nothing names."""
        for digest in digests:
            self._disk.remove(self.path(digest))

    def put(self, blobs: Mapping[str, bytes], known: Callable[[str], bool]) -> list[Path]:
        """Store blobs so that they are on the disk; returns journal files, to be removed after the commit.

        Args:
            blobs: bytes by digest.
            known: whether a committed entry names the digest: then the blob was brought to the disk before.
        """
        fresh = {digest: data for digest, data in blobs.items() if not (known(digest) and self.read(digest) == data)}
        files = {digest: self._incoming / f"{digest}.{secrets.token_hex(8)}" for digest in fresh}
        for digest, data in fresh.items():
            self._disk.write(files[digest], data)
        self._disk.sync("files", files.values())
        folders = {self.path(digest).parent for digest in fresh}
        for folder in sorted(folders):
            self._disk.make_folder(folder)
        for digest, file in files.items():
            name = self.path(digest)
            if name.exists():  # a file that no entry has vouched for, or whose bytes are not those of its digest
                self._disk.remove(name)
            self._disk.link(file, name)
        if fresh:
            self._disk.sync("folders", [self._blobs, *sorted(folders)])
        return list(files.values())

    def forget(self, journal: Collection[Path]) -> None:
        """Remove journal files."""
        for file in journal:
            self._disk.remove(file)

    def take_back(self, known: Callable[[str], bool]) -> None:
        """Remove what dead writers left behind: blobs that no committed entry names, and the journal itself."""
        try:
            left = sorted(self._incoming.iterdir())
        except FileNotFoundError:  # copies of a registry may lack the folders that were empty
            self.create()
            return
        for file in left:
            digest = file.name.partition(".")[0]
            if DIGEST.fullmatch(digest) and not known(digest):
                self._disk.remove(self.path(digest))
            self._disk.remove(file)

    def digests(self) -> Iterator[str]:
        """Every name under `blobs/` that is a digest, in no order."""
        with contextlib.suppress(FileNotFoundError):
            for folder in self._blobs.iterdir():
                if len(folder.name) == 2 and folder.is_dir():
                    yield from (
                        folder.name + file.name
                        for file in folder.iterdir()
                        if DIGEST.fullmatch(folder.name + file.name)
                    )
