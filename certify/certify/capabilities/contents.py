"""What a context's stores hold, in a form that can be compared.

Rules this module keeps:

- it reads and never writes, but that SQLite undoes what a killed process left half-done, as it would for the next user;
- moments are left out: two worlds that hold the same data have equal snapshots.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from certify.capabilities.blobs import BlobFolder
from certify.capabilities.stores import connect, translated

#: The folder, below the working folder, that holds the stores of a context.
STORES = ".context"


def snapshot(folder: str | Path, blobs: Mapping[str, str] | None = None) -> dict[str, dict[str, bytes]]:
    """Keys and values of every key-value, blob and dedupe store below a working folder.

    Args:
        folder: the working folder.
        blobs: the `path` of each blob resource that has one, by resource name.

    Returns:
        By store (``kv.NAME``, ``blob.NAME``, ``dedupe``): values by key; a dedupe key is written in hexadecimal. A
        store that was never written is absent.

    Raises:
        StoreError: a store's file is damaged.
    """
    base = Path(folder) / STORES
    found = {f"kv.{file.stem}": _entries(file) for file in sorted((base / "kv").glob("*.sqlite3"))}
    if (base / "dedupe.sqlite3").exists():
        found["dedupe"] = _entries(base / "dedupe.sqlite3", hexadecimal=True)
    folders = {child.name: child for child in sorted((base / "blob").glob("*")) if child.is_dir()}
    folders |= {name: Path(folder) / path for name, path in (blobs or {}).items() if (Path(folder) / path).is_dir()}
    for name, blob_folder in sorted(folders.items()):
        blob = BlobFolder(name, blob_folder)
        found[f"blob.{name}"] = {key: blob.read(key) for key in blob.names("")}
    return found


def _entries(file: Path, *, hexadecimal: bool = False) -> dict[str, bytes]:
    connection = connect(file, 5.0, create=False)
    try:
        with translated(file.stem):
            tables = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'entries'").fetchall()
            rows = connection.execute("SELECT key, value FROM entries ORDER BY key").fetchall() if tables else []
    finally:
        connection.close()
    return {(bytes(key).hex() if hexadecimal else bytes(key).decode()): bytes(value) for key, value in rows}
