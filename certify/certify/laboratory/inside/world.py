"""Worlds: what outlives one call. Made empty, and described after the last delivery in a form that can be compared."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
from pathlib import Path
from typing import Any, Final

from blake3 import blake3

WORLD: Final = Path("/world")
SCRATCH: Final = Path("/tmp")  # noqa: S108 - the sandbox's own
_SQLITE_MAGIC: Final = b"SQLite format 3\0"
_LARGEST_TEXT: Final = 2**16
_SIDE_FILES: Final = ("-wal", "-shm", "-journal")


def scratch_folders() -> tuple[Path, ...]:
    """The folders that a node may write to."""
    return (WORLD, SCRATCH, Path("/dev/shm"))  # noqa: S108 - the sandbox's own


def mounted() -> frozenset[str]:
    """What lies in the scratch folders at the start: the way to an interpreter that is mounted below them."""
    return frozenset(entry.path for folder in scratch_folders() if folder.is_dir() for entry in os.scandir(folder))


def fresh(work: Path, upstreams: list[str], kept: frozenset[str] = frozenset()) -> None:
    """Empty the world, but for what is `kept`, and make the working folders."""
    for folder in scratch_folders():
        with contextlib.suppress(FileNotFoundError):
            for entry in os.scandir(folder):
                if entry.path not in kept:
                    _remove(Path(entry.path))
    work.mkdir(parents=True, exist_ok=True)
    for name in upstreams:
        (WORLD / ".upstream" / name).mkdir(parents=True)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        for folder, _names, _files in os.walk(path):
            with contextlib.suppress(OSError):
                Path(folder).chmod(0o700)
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            path.unlink()


def describe(work: Path) -> dict[str, Any]:
    """Digests of the files, what small text files hold, and every row of the databases.

    Of the working folder, and of the simulated upstreams.
    """
    files: dict[str, str] = {}
    texts: dict[str, str] = {}
    databases: dict[str, dict[str, list[str]]] = {}
    for root, prefix in ((work, ""), (WORLD / ".upstream", "upstream/")):
        for path in sorted(root.rglob("*")):
            name = prefix + str(path.relative_to(root))
            if path.is_symlink() or not path.is_file():
                if path.is_symlink():
                    files[name] = f"link to {path.readlink()}"
                continue
            if path.name.endswith(_SIDE_FILES) and Path(str(path).rsplit("-", 1)[0]).exists():
                continue
            content = _read(path)
            if content.startswith(_SQLITE_MAGIC):
                databases[name] = _tables(path)
            elif content or not _is_new_database(path):
                files[name] = blake3(content).hexdigest()
                if len(content) <= _LARGEST_TEXT:
                    with contextlib.suppress(UnicodeDecodeError):
                        texts[name] = content.decode()
    return {"files": files, "databases": databases, "texts": texts}


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        return f"unreadable: {error.strerror}".encode()


def _is_new_database(path: Path) -> bool:
    """Whether this empty file is a database whose content is still in its log."""
    return Path(f"{path}-wal").exists() or Path(f"{path}-journal").exists()


def _tables(path: Path) -> dict[str, list[str]]:
    """Every row of every table, each as text, sorted: two databases with equal content give equal maps."""
    try:
        with contextlib.closing(sqlite3.connect(path, timeout=1.0)) as database:
            database.text_factory = lambda raw: raw.decode(errors="replace")
            names = [
                row[0]
                for row in database.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")
                if not row[0].startswith("sqlite_")
            ]
            return {name: sorted(repr(row) for row in database.execute(_all_rows(name))) for name in names}
    except sqlite3.Error as error:
        return {"(unreadable)": [str(error)]}


def _all_rows(table: str) -> str:
    quoted = table.replace('"', '""')
    return f'SELECT * FROM "{quoted}"'  # noqa: S608 - a name that the database gave, quoted
