"""A witness: somebody else who remembers a log's checkpoints, and finds out when it was rewritten or shown differently.

Rules this module keeps:

- the first look takes the registry's key at its word, unless it is given; from then on that key alone counts;
- every entry is fetched and hashed: the witness computes the root itself, and does not ask for proofs that it could do
  without;
- what is remembered is replaced only by what was found to extend it.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, Protocol

from certify.registry import checkpoint, entries, merkle
from certify.registry.checkpoint import Checkpoint, CheckpointError, Verifier
from certify.registry.entries import EntryError
from certify.registry.errors import UNKNOWN_NAME, Refused, reason, wrong
from certify.registry.merkle import Frontier
from certify_spec.diagnostics import Diagnostic, RequestError, Rule

REWRITTEN: Final = Rule("WIT001", "the log is not an extension of what was remembered", "ask who runs the registry")
SPLIT: Final = Rule("WIT002", "two parties were shown different logs", "compare both, and ask who runs the registry")
OTHER_KEY: Final = Rule("WIT003", "the log is signed with another key than before", "ask who runs the registry")
UNTRUE: Final = Rule("WIT004", "the log does not fit its own checkpoint", "ask who runs the registry")
UNREADABLE: Final = Rule("WIT005", "what was remembered cannot be read", "name a file that `witness` wrote")


class Log(Protocol):
    """The log that is watched; `RemoteRegistry` is one."""

    @property
    def verifier(self) -> Verifier:
        """The registry's key, as it says itself."""

    def checkpoint(self) -> str | None:
        """The newest signed checkpoint."""

    def entries(self, start: int, stop: int) -> list[bytes]:
        """Entries, byte for byte."""


@dataclass(frozen=True, slots=True)
class Memory:
    """What a witness remembers.

    Attributes:
        verifier: the registry's key.
        notes: signed checkpoints, by growing size.
        peaks: the tree's complete subtrees at the newest of them, from left to right.
    """

    verifier: Verifier
    notes: tuple[str, ...] = ()
    peaks: tuple[bytes, ...] = ()

    @property
    def newest(self) -> Checkpoint | None:
        """The newest checkpoint; None before there is one."""
        return checkpoint.parse(self.notes[-1], self.verifier) if self.notes else None

    def text(self) -> str:
        """What is kept in a file."""
        data = {
            "schema": 1,
            "verifier": str(self.verifier),
            "checkpoints": list(self.notes),
            "peaks": [peak.hex() for peak in self.peaks],
        }
        return json.dumps(data, ensure_ascii=False, indent=1) + "\n"


def read_memory(file: Path) -> Memory | None:
    """What a file remembers; None when there is none.

    Raises:
        RequestError: WIT005, it holds something else, or checkpoints that the key in it did not sign.
    """
    try:
        data: Any = json.loads(file.read_text("utf-8"))
        found = Memory(
            Verifier.from_text(data["verifier"]),
            tuple(data["checkpoints"]),
            tuple(bytes.fromhex(peak) for peak in data["peaks"]),
        )
        newest = found.newest
        if newest is not None and Frontier(newest.size, found.peaks).root() != newest.root:
            raise ValueError("its tree is not that of its newest checkpoint")  # noqa: TRY301 - one of its ways to be wrong
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, CheckpointError) as error:
        raise wrong(UNREADABLE, f"{file} cannot be read", because=str(error)) from None
    return found


def write_memory(file: Path, memory: Memory) -> None:
    """Remember, whole or not at all."""
    partial = file.with_name(f".{file.name}.partial")
    with partial.open("w", encoding="utf-8") as stream:
        stream.write(memory.text())
        stream.flush()
        os.fsync(stream.fileno())
    partial.replace(file)


def look(log: Log, memory: Memory | None, *, verifier: Verifier | None = None, kept: int = 1000) -> Memory:
    """Look at the log, and compare it with what is remembered.

    Args:
        log: the log.
        memory: what is remembered; None for a first look.
        verifier: the registry's key as known from elsewhere.
        kept: how many checkpoints to remember, at most.

    Raises:
        Refused: WIT001 to WIT004, the log was rewritten, signed anew, or does not fit its checkpoint.
    """
    known = verifier or (memory.verifier if memory else log.verifier)
    if memory is not None and memory.verifier != known:
        raise _refused(OTHER_KEY, f"the log was signed with {memory.verifier} before")
    note = log.checkpoint()
    seen = memory or Memory(known)
    before = seen.newest
    if note is None:
        if before is not None:
            raise _refused(REWRITTEN, f"the log is empty, and had {before.size} entries")
        return seen
    try:
        head = checkpoint.parse(note, known)
    except CheckpointError as error:
        raise _refused(OTHER_KEY, "the newest checkpoint does not verify with the known key", str(error)) from None
    size = before.size if before else 0
    if head.size < size:
        raise _refused(REWRITTEN, f"the log has {head.size} entries, and had {size}")
    tree = Frontier(size, seen.peaks)
    for data in log.entries(size, head.size):
        tree, _ = tree.append(merkle.leaf_hash(data))
        try:
            entries.read(data)
        except EntryError as error:
            raise _refused(UNTRUE, f"entry {tree.size - 1} cannot be read", str(error)) from None
    if tree.root() != head.root:
        rule, message = (UNTRUE, "the entries do not give the root that was signed")
        if before is not None:
            rule, message = REWRITTEN, f"the first {size} entries are not those that were signed before"
        raise _refused(rule, message)
    if before == head:
        return seen
    return Memory(known, (*seen.notes, note)[-kept:], tree.peaks)


def cross_check(memory: Memory, other: Memory, log: Any) -> int:
    """Compare two witnesses' checkpoints: both must lie on one growing log; how many were compared.

    Args:
        memory: what one remembers.
        other: what the other does.
        log: the log, for consistency proofs: `RemoteRegistry` is one.

    Raises:
        Refused: WIT002, they were shown different logs; WIT003 different keys.
    """
    if memory.verifier != other.verifier:
        raise _refused(OTHER_KEY, "the two witnesses know different keys")
    heads = sorted(
        (checkpoint.parse(note, memory.verifier) for note in (*memory.notes, *other.notes)), key=lambda head: head.size
    )
    for old, new in pairwise(heads):
        if old.size == new.size:
            if old.root != new.root:
                raise _refused(SPLIT, f"at {old.size} entries there are two roots, both signed")
            continue
        try:
            proof = log.consistency_proof(old.size, new.size)
            merkle.verify_consistency(old.size, new.size, old.root, new.root, proof)
        except RequestError as error:
            if any(diagnostic.code != UNKNOWN_NAME.code for diagnostic in error.diagnostics):
                raise
            raise _refused(
                SPLIT, f"the log has no {new.size} entries, and a checkpoint of that size is signed"
            ) from None
        except merkle.ProofError as error:
            raise _refused(SPLIT, f"{new.size} entries do not extend {old.size}", str(error)) from None
    return len(heads)


def _refused(rule: Rule, message: str, because: str = "") -> Refused:
    found: Diagnostic = reason(rule, message, because=because)
    return Refused(found)
