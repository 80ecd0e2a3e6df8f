"""Copies of a whole registry: backups, and moving from one storage to another.

Rules this module keeps:

- a backup is an embedded registry: SQLite and files, to be verified and opened as it is, wherever it came from;
- rows are copied from one snapshot, and blobs after it: a blob that a row names is never removed;
- a copy is verified before it is called done, and what does not verify is not restored.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Final

from certify.registry.disk import Disk
from certify.registry.errors import DAMAGED, EXISTS, from_system, wrong
from certify.registry.founding import KEY_FOLDER
from certify.registry.places import Storage, create_store, open_store
from certify.registry.sql import TABLES
from certify.registry.store import Store
from certify.registry.verification import VerificationReport, verify_log
from certify.times import system_clock, write_time
from certify_spec.diagnostics import RequestError

_ONCE: Final = frozenset({"settings"})
_AT_ONCE: Final = 64


def backup(source: Path, target: Path, *, with_key: bool = True) -> VerificationReport:
    """Copy a registry into a new folder; the registry may be in use.

    Args:
        source: the registry's folder.
        target: the backup's folder, which must not exist.
        with_key: whether to copy the registry's signing keys: without them a backup can only be read.

    Raises:
        RequestError: REG001, REG003, REG005, REG010; REG002 the target exists.
    """
    return _copy(source, target, Storage(), with_key=with_key)


def restore(source: Path, target: Path, storage: Storage) -> VerificationReport:
    """Make a registry from a backup, in whatever storage.

    Raises:
        RequestError: REG005 the backup does not verify; otherwise as `backup`.
    """
    report = verify_log(source)
    if not report.holds:
        because = "; ".join(d.message for d in report.diagnostics[:3])
        raise wrong(DAMAGED, f"{source} does not verify, and is not restored", because=because)
    return _copy(source, target, storage, with_key=True)


def _copy(source: Path, target: Path, storage: Storage, *, with_key: bool) -> VerificationReport:
    if target.exists():
        raise wrong(EXISTS, f"{target} exists already")
    taken = open_store(source)
    try:
        target.mkdir(parents=True)
        _copy_rows(taken, target, storage)
        keys = source / KEY_FOLDER
        if with_key and keys.is_dir():
            shutil.copytree(keys, target / KEY_FOLDER, copy_function=shutil.copy2)
            (target / KEY_FOLDER).chmod(0o700)
    except RequestError:
        raise
    except OSError as error:
        raise from_system(error, target) from error
    finally:
        taken.close()
    return verify_log(target)


def _copy_rows(source: Store, target: Path, storage: Storage) -> None:
    with source.read() as view:
        rows = {table: view.rows(table) for table in TABLES}
    settings = {str(name): str(value) for name, value in rows["settings"]}
    made = create_store(target, storage, settings, at=write_time(system_clock()), disk=Disk())
    try:
        digests = [str(row[0]) for table in ("blobs", "staged") for row in rows[table]]
        for start in range(0, len(digests), _AT_ONCE):
            _copy_blobs(source, made, digests[start : start + _AT_ONCE])
        with made.write() as view:
            for table in TABLES:
                if table not in _ONCE:
                    view.enter(table, rows[table])
    finally:
        made.close()


def _copy_blobs(source: Store, target: Store, digests: list[str]) -> None:
    """Copy blobs that no row of the target names yet."""
    found = {digest: source.blobs.read(digest) for digest in digests}
    lost = [digest for digest, data in found.items() if data is None]
    if lost:
        raise wrong(DAMAGED, f"the blob {lost[0]} is missing", fix="run `certify registry verify-log`")
    journal = target.blobs.put({digest: data for digest, data in found.items() if data is not None}, lambda _: False)
    target.blobs.forget(journal)
