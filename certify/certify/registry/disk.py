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
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import Final

from certify.registry.entries import DIGEST

Steps = Callable[[str], None]
_CHUNK: Final = 1 << 16


def no_steps(_what: str) -> None:
    """Announce to nobody."""


class Disk:
    """Changes to the file system, step by step.

    Args:
        steps: called before each step with its name.
    """

    def __init__(self, steps: Steps = no_steps) -> None:
        self.steps = steps

    def make_folder(self, folder: Path) -> None:
        """Make the folder unless it is there."""
        self.steps(f"make folder {folder.name}")
        folder.mkdir(exist_ok=True)

    def write(self, file: Path, data: bytes, mode: int = 0o644) -> None:
        """Write a new file and bring its bytes to the disk."""
        self.steps("create file")
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        try:
            view = memoryview(data)
            while view:
                self.steps("write file")
                view = view[os.write(descriptor, view[:_CHUNK]) :]
            self.steps("sync file")
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

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

    def sync_folder(self, folder: Path) -> None:
        """Bring the folder's names to the disk."""
        self.steps(f"sync folder {folder.name}")
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


class BlobFolder:
    """Blobs by digest: ``blobs/ab/cdef…`` in a registry's folder."""

    def __init__(self, folder: Path, disk: Disk) -> None:
        self._blobs = folder / "blobs"
        self._incoming = folder / "incoming"
        self._disk = disk

    def create(self) -> None:
        """Make the folders."""
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

    def read(self, digest: str) -> bytes | None:
        """The bytes under that name, unchecked; None when there are none."""
        try:
            return self.path(digest).read_bytes()
        except FileNotFoundError:
            return None

    def put(self, blobs: Mapping[str, bytes]) -> list[Path]:
        """Store blobs so that they are on the disk; returns journal files, to be removed after the commit."""
        folders: dict[Path, None] = {}
        journal = []
        for digest, data in blobs.items():
            name = self.path(digest)
            if name.parent not in folders:
                self._disk.make_folder(name.parent)
                folders[name.parent] = None
            if self.read(digest) == data:
                continue
            file = self._incoming / f"{digest}.{secrets.token_hex(8)}"
            journal.append(file)
            self._disk.write(file, data)
            if name.exists():  # its bytes are not those of its digest
                self._disk.remove(name)
            self._disk.link(file, name)
        for folder in (*folders, self._blobs):
            self._disk.sync_folder(folder)
        return journal

    def forget(self, journal: Collection[Path]) -> None:
        """Remove journal files."""
        for file in journal:
            self._disk.remove(file)

    def take_back(self, known: Callable[[str], bool]) -> None:
        """Remove what dead writers left behind: blobs that no committed entry names, and the journal itself."""
        for file in sorted(self._incoming.iterdir()):
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
