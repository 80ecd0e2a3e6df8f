"""A service's log, downloaded, and then verified without asking the service again.

Rules this module keeps:

- nothing is believed on the way: bytes are kept as they came, and judged by `certify.registry.verification`;
- the log may grow meanwhile: lists are read between two checkpoints, and a row may be as the log had it at any size
  from the first to the second;
- what the service does not hand out (subtrees, older checkpoints, sizes of blobs) is left out, never assumed.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from certify.registry import entries, merkle
from certify.registry.checkpoint import Verifier
from certify.registry.entries import DIGEST, Decided, EntryError, Ledger, Published, WaiverGranted
from certify.registry.errors import BLOB_DIGEST, UNKNOWN_NAME, Refused
from certify.registry.raw import RawStorage, Row
from certify.registry.verification import VerificationReport, release_row, verify_download
from certify.service.client import RemoteRegistry
from certify_spec.diagnostics import RequestError

_LOST: Final = frozenset({UNKNOWN_NAME.code, BLOB_DIGEST.code})


def verify(
    remote: RemoteRegistry, *, remembered: str | None = None, verifier: Verifier | None = None
) -> VerificationReport:
    """Download everything that a service's log speaks of, and verify it.

    Args:
        remote: the service.
        remembered: a checkpoint kept elsewhere, which the log must extend.
        verifier: the registry's key as known from elsewhere; None takes the service at its word.

    Raises:
        Refused, RequestError: the service declines; SRV014 it cannot be reached, SRV015 it answers wrongly.
    """
    first = _size(remote.itself()[1])
    releases = {(r.node, r.release): release_row(r) for r, _ in remote.listed()}
    waivers = {(w.id,): (w.id, w.waiver.node, w.number) for w in remote.waivers()}
    said, note = remote.itself()
    size = _size(note)
    log = remote.some_entries(size)
    ledger = Ledger()
    meanwhile: dict[Row, set[Row | None]] = {}
    for number, data in log:
        try:
            entry = entries.read(data)
            before = ledger.releases.get((entry.node, _release(entry)))
            ledger.apply(number, entry)
        except EntryError:
            continue  # the verification says so
        if number >= first:
            key = (entry.envelope,) if isinstance(entry, WaiverGranted) else (entry.node, _release(entry))
            meanwhile.setdefault(key, set()).add(release_row(before) if before else None)
    raw = RawStorage(
        alterations=(),
        settings=(("verifier", said),),
        entries=tuple((number, _node(data), merkle.leaf_hash(data), data) for number, data in log),
        subtrees=(),
        checkpoints=((size, note),) if note else (),
        blobs=(),
        releases=_settled(releases, {(r.node, r.release): release_row(r) for r in ledger}, meanwhile),
        waivers=_settled(waivers, {(w,): (w, *row) for w, row in ledger.waivers.items()}, meanwhile),
    )
    with tempfile.TemporaryDirectory(prefix="certify-log-") as place:
        withheld = _download(remote, sorted(ledger.blobs), Path(place))

        def read(digest: str) -> bytes | None:
            file = Path(place) / digest
            return file.read_bytes() if DIGEST.fullmatch(digest) and file.is_file() else None

        return verify_download(raw, read, remembered=remembered, verifier=verifier, withheld=withheld)


def _download(remote: RemoteRegistry, digests: Iterable[str], place: Path) -> dict[str, str]:
    """Keep the blobs as they come, one file for each; why the service lacks the others."""
    withheld = {}
    for digest in digests:
        try:
            (place / digest).write_bytes(remote.blob_as_sent(digest))
        except (Refused, RequestError) as error:
            if any(diagnostic.code not in _LOST for diagnostic in error.diagnostics):
                raise
            withheld[digest] = "the service says: " + "; ".join(d.message for d in error.diagnostics)
    return withheld


def _settled(said: dict[Row, Row], logged: dict[Row, Row], meanwhile: dict[Row, set[Row | None]]) -> tuple[Row, ...]:
    """The rows that the service listed; those as the log had them while they were listed, as it has them at the end."""
    found = dict(said)
    for key, passing in meanwhile.items():
        if key in logged and said.get(key) in passing:
            found[key] = logged[key]
    return tuple(found[key] for key in sorted(found))


def _size(note: str) -> int:
    """The size that a checkpoint speaks of, signed or not; 0 if of none."""
    lines = note.split("\n")
    return int(lines[1]) if len(lines) > 1 and lines[1].isascii() and lines[1].isdecimal() and len(lines[1]) < 16 else 0


def _release(entry: entries.Entry) -> str:
    return entry.release if isinstance(entry, Published | Decided) else ""


def _node(data: bytes) -> str:
    """The node of an entry, if it can be read: a service hands out no row beside the entry."""
    try:
        return entries.read(data).node
    except EntryError:
        return "?"
