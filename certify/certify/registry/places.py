"""Where a registry keeps what: its folder alone, or a folder that names a database and a bucket.

Rules this module keeps:

- every registry has a folder: its key is there, and whatever is not said to be elsewhere;
- `storage.toml` in it names what is elsewhere, and holds no password.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from certify.registry.disk import BlobFolder, Blobs, Disk
from certify.registry.errors import MALFORMED, from_system, wrong
from certify.registry.store import DATABASE, SqliteStore, Store

STORAGE: Final = "storage.toml"


@dataclass(frozen=True, slots=True)
class Storage:
    """What a registry keeps elsewhere.

    Attributes:
        database: a PostgreSQL URL; empty for SQLite in the folder.
        blobs: an S3 URL; empty for files in the folder.
    """

    database: str = ""
    blobs: str = ""

    def __post_init__(self) -> None:
        if self.database:
            parts = urlsplit(self.database)
            if parts.scheme not in {"postgresql", "postgres"}:
                raise wrong(MALFORMED, f"the database is none of postgresql: {parts.scheme}://…")
            if parts.password or "password=" in parts.query:
                fix = "set PGPASSWORD, or use a password file (PGPASSFILE)"
                raise wrong(MALFORMED, "the database's address holds a password, and would be stored", fix=fix)

    def text(self) -> str:
        """The text of `storage.toml`."""
        said = {"database": self.database, "blobs": self.blobs}
        return "".join(f"{key} = {json.dumps(value)}\n" for key, value in said.items() if value)


def read_storage(folder: Path) -> Storage:
    """What the folder says about where things are.

    Raises:
        RequestError: REG009, the file is malformed.
    """
    try:
        said = tomllib.loads((folder / STORAGE).read_text("utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return Storage()
    except OSError as error:
        raise from_system(error, folder) from error
    except ValueError as error:
        raise wrong(MALFORMED, f"{folder / STORAGE} cannot be read", because=str(error)) from None
    if said.keys() - {"database", "blobs"} or not all(isinstance(value, str) for value in said.values()):
        raise wrong(MALFORMED, f"{folder / STORAGE} may hold `database` and `blobs`, as text")
    return Storage(**said)


def is_placed(folder: Path) -> bool:
    """Whether the folder holds a database, or names one."""
    return (folder / DATABASE).is_file() or bool(read_storage(folder).database)


def blobs_of(folder: Path, disk: Disk | None = None) -> Blobs:
    """Where the registry's blobs rest."""
    said, disk = read_storage(folder), disk or Disk()
    if not said.blobs:
        return BlobFolder(folder, disk)
    from certify.registry.objects import ObjectBlobs

    return ObjectBlobs(said.blobs, disk)


def open_store(folder: Path, *, disk: Disk | None = None, busy_seconds: float = 30.0, shared: bool = False) -> Store:
    """The registry's storage.

    Raises:
        RequestError: REG001 no registry, REG003 not accessible, REG004 newer schema, REG005 damaged.
    """
    said, blobs = read_storage(folder), blobs_of(folder, disk)
    if not said.database:
        return SqliteStore(folder, disk=disk, busy_seconds=busy_seconds, blobs=blobs, shared=shared)
    from certify.registry.postgres import PostgresStore

    return PostgresStore(folder, said.database, disk=disk, busy_seconds=busy_seconds, blobs=blobs)


def create_store(
    folder: Path, said: Storage, settings: Mapping[str, str], *, at: str, disk: Disk | None = None
) -> Store:
    """Make the registry's storage, and write down where it is.

    Raises:
        RequestError: REG002 there is a registry already, REG003 or REG010 files cannot be written.
    """
    text = said.text()
    if text:
        (folder / STORAGE).write_text(text, "utf-8")
    blobs = blobs_of(folder, disk)
    if not said.database:
        return SqliteStore.create(folder, settings, at=at, disk=disk, blobs=blobs)
    from certify.registry.postgres import PostgresStore

    return PostgresStore.create(folder, said.database, settings, at=at, disk=disk, blobs=blobs)
