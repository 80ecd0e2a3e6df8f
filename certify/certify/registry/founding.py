"""A registry's folder before it is one: its own files, its key, and being alone in making it.

Rules this module keeps:

- a making that was interrupted can be finished: whatever it left is either used or of no consequence;
- the private key is in a folder of its own, readable by its owner alone.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from certify.evidence.keys import PRIVATE_FILE, PUBLIC_FILE, KeyPair, load_key, new_key
from certify.registry.checkpoint import Verifier
from certify.registry.errors import NO_KEY, NOT_A_REGISTRY, from_system, wrong
from certify.registry.places import STORAGE, is_placed, open_store
from certify.registry.store import DATABASE
from certify_spec.diagnostics import RequestError

KEY_FOLDER: Final = "key"
"""Folder within the registry's, for its own signing key."""
OWN_NAMES: Final = frozenset({DATABASE, f"{DATABASE}-wal", f"{DATABASE}-shm", f"{DATABASE}-journal"}) | {
    "blobs",
    "incoming",
    KEY_FOLDER,
    STORAGE,
    "uploads",
}


def own_key(folder: Path, verifier: Verifier) -> KeyPair:
    """The registry's key.

    Raises:
        RequestError: REG007 it is not there, not readable, or another one; KEY003, KEY004 it is exposed, or no key.
    """
    file = folder / KEY_FOLDER / PRIVATE_FILE
    if not os.access(file, os.R_OK):
        raise wrong(NO_KEY, f"there is no readable key in {file}", because="without it a registry can only be read")
    key = load_key(file)
    if key.public.raw != verifier.public:
        raise wrong(NO_KEY, f"the key in {file} is not the one that this registry signs with")
    return key


def made_key(folder: Path) -> KeyPair:
    """The registry's key, made unless an interrupted making has left it."""
    if (folder / KEY_FOLDER / PRIVATE_FILE).exists():
        return load_key(folder / KEY_FOLDER)
    # A public half without its private one is the rest of an interrupted making, and of no use to anybody.
    (folder / KEY_FOLDER / PUBLIC_FILE).unlink(missing_ok=True)
    return new_key(folder / KEY_FOLDER)


def is_made(folder: Path) -> bool:
    """Whether a registry's making was finished there; unreadable counts as made, so that opening says what is wrong."""
    if not is_placed(folder):
        return False
    try:
        open_store(folder).close()
    except RequestError as error:
        return all(diagnostic.rule != NOT_A_REGISTRY for diagnostic in error.diagnostics)
    return True


@contextlib.contextmanager
def making(folder: Path) -> Iterator[None]:
    """Alone in making a registry in `folder`; the system lets go when the process ends, however it ends."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise from_system(error, folder) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
