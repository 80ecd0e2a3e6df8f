"""The storage's one view in SQL, whatever database runs it.

Rules this module keeps:

- `Reader` and `Writer` are all that the registry and the service know of their storage;
- every statement here is understood by SQLite and PostgreSQL alike; a store adds only how transactions begin and end,
  and how its database takes many values at once;
- values are always parameters, never text within a statement;
- what a transaction changes in records, uploads, events and the audit waits in memory, and is written in a few
  statements before the commit: writers hold the write lock, so nobody else changes these meanwhile, and the view sees
  what waits as if it were written;
- blobs are brought to the disk in one pass, right before the transaction commits.
"""

# ruff: noqa: D102 - `Reader` and `Writer` say what the methods of `SqlView` promise
from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, Protocol, TypeVar

from certify.registry.disk import Blobs, Disk
from certify.registry.entries import Release, Status
from certify.registry.errors import BUSY, DAMAGED, Conflict, wrong
from certify.registry.merkle import Subtree

T = TypeVar("T")

MANY: Final = 2**62
"""More rows than there are."""
IDENTITIES: Final = frozenset({"user", "token", "session"})
"""Kinds of records that say who somebody is."""
_COUNT: Final = ("count", "identities")
"""The record whose version counts the changes of those."""
BLOB: Final = "blob"
"""Stands for a kind of record where it is said what a write will ask for: whether a blob is held."""
_VALUES_AT_ONCE: Final = 49
"""So many values in one statement, at most: few lengths of a statement, so that it is found among those prepared."""


@dataclass(frozen=True, slots=True)
class Record:
    """Something that the service keeps: a user, a token, a submission.

    Attributes:
        kind: what it is.
        id: which one; unique within its kind.
        owner: whose it is; may be empty.
        state: where it stands; may be empty.
        version: how often it was changed, from 1; the counter that compare-and-swap goes by.
        at: when it was last changed.
        data: what is known of it, as JSON has it.
    """

    kind: str
    id: str
    owner: str = ""
    state: str = ""
    version: int = 0
    at: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)

    def changed(self, at: str, *, state: str | None = None, **data: Any) -> Record:
        """The record with some members of its data changed; storing it raises the version."""
        return replace(self, at=at, state=self.state if state is None else state, data={**self.data, **data})


@dataclass(frozen=True, slots=True)
class Event:
    """One change, for those who follow."""

    number: int
    at: str
    kind: str
    item: str
    data: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Audited:
    """One line of the audit."""

    number: int
    at: str
    who: str
    action: str
    item: str
    outcome: str
    reason: str
    address: str


class Reader(Protocol):
    """One consistent view of the storage."""

    def setting(self, name: str) -> str:
        """A setting made at creation."""

    def size(self) -> int:
        """Number of log entries."""

    def entries(self, start: int = 0, stop: int | None = None) -> tuple[tuple[int, bytes], ...]:
        """Entries with their numbers, in order."""

    def entries_of(self, node: str) -> tuple[tuple[int, bytes], ...]:
        """The entries about one node, in order."""

    def subtree(self, level: int, index: int) -> bytes:
        """Hash of a complete subtree of the log's tree."""

    def checkpoint(self, size: int) -> str:
        """The signed checkpoint at a size."""

    def release(self, node: str, release: str) -> Release | None:
        """One release, if there is one."""

    def releases(self, node: str | None = None) -> tuple[Release, ...]:
        """All releases, or those of one node, in the order of publishing."""

    def find_releases(
        self, *, status: str = "", text: str = "", before: int = MANY, limit: int = 100
    ) -> tuple[Release, ...]:
        """Releases with a status, whose name holds a text, published before an entry; the newest first."""

    def count_releases(self) -> dict[str, int]:
        """Number of releases by status."""

    def nodes(self, *, text: str = "", after: str = "", limit: int = 100) -> tuple[str, ...]:
        """Ids of nodes that have releases and whose id holds a text, by id, from behind `after`."""

    def waivers(self, node: str | None = None) -> tuple[tuple[str, int], ...]:
        """Id and entry number of each waiver, or of those for one node, in order."""

    def knows_blob(self, digest: str) -> bool:
        """Whether a log entry names the blob."""

    def holds_blob(self, digest: str) -> bool:
        """Whether a log entry names the blob, or it was uploaded to be named by one."""

    def record(self, kind: str, identity: str) -> Record | None:
        """One record, if there is one."""

    def records(
        self, kind: str, *, owner: str | None = None, state: str | None = None, after: str = "", limit: int = MANY
    ) -> tuple[Record, ...]:
        """Records of a kind by id, from behind `after`."""

    def identity_changes(self) -> int:
        """How often a user, a token or a session was changed or removed: what was known before may no longer hold."""

    def events(self, after: int, limit: int) -> tuple[Event, ...]:
        """The changes with greater numbers, in order."""

    def last_event(self) -> int:
        """Number of the newest change; 0 when there was none."""

    def audited(self, before: int = MANY, limit: int = 100, outcome: str = "") -> tuple[Audited, ...]:
        """Lines of the audit, the newest first."""

    def staged_bytes(self, owner: str) -> int:
        """How many bytes somebody has uploaded that no log entry names yet."""


class Writer(Reader, Protocol):
    """A view that can be changed; all of it or nothing."""

    def put_blobs(self, blobs: Mapping[str, bytes]) -> None:
        """Store blobs by digest; those that are there already cost little."""

    def stage_blob(self, digest: str, data: bytes, owner: str, at: str) -> None:
        """Store a blob that a later log entry is to name."""

    def unstage(self, before: str) -> tuple[str, ...]:
        """Give up uploads from before a moment that no log entry names; their digests."""

    def append(
        self, number: int, *, node: str, data: bytes, leaf: bytes, subtrees: tuple[Subtree, ...], note: str
    ) -> None:
        """Add a log entry, what it adds to the tree, and the checkpoint that includes it."""

    def add_release(self, release: Release) -> None:
        """Enter a release that is not there."""

    def swap_release(self, release: Release, expected: int) -> None:
        """Replace a release if it is at version `expected`; raises `Conflict` otherwise."""

    def add_waiver(self, identity: str, node: str, entry: int) -> None:
        """Enter a waiver that is not there."""

    def put_record(self, record: Record, expected: int) -> Record:
        """Store a record if it is at version `expected`, 0 for one that is not there; raises `Conflict` otherwise."""

    def drop_record(self, kind: str, identity: str) -> None:
        """Remove a record if it is there."""

    def add_event(self, at: str, kind: str, item: str, data: Mapping[str, Any]) -> None:
        """Tell those who follow of a change."""

    def add_audit(self, at: str, who: str, action: str, item: str, outcome: str, reason: str, address: str) -> None:
        """Add a line to the audit."""


class Answer(Protocol):
    """What a statement leaves: both databases' cursors are such."""

    @property
    def rowcount(self) -> int:
        """Number of rows changed."""

    def fetchall(self) -> list[Any]:
        """The rows found."""


Run = Callable[[str, Sequence[Any]], Answer]

TABLES: Final[Mapping[str, tuple[str, ...]]] = {
    "settings": ("name", "value"),
    "entries": ("number", "node", "leaf_hash", "data"),
    "subtrees": ("level", "number", "hash"),
    "checkpoints": ("size", "note"),
    "blobs": ("digest", "size"),
    "releases": ("node", "release", "subject", "evidence", "entry", "status", "version"),
    "waivers": ("id", "node", "entry"),
    "records": ("kind", "id", "owner", "state", "version", "at", "data"),
    "staged": ("digest", "size", "owner", "at"),
    "events": ("number", "at", "kind", "item", "data"),
    "audit": ("number", "at", "who", "action", "item", "outcome", "reason", "address"),
}
"""Every table with its columns, in an order in which rows can be entered."""


Piece = tuple[str, Sequence[Any]]
"""Piece of a statement, and the values that it has parameters for."""


class Bulk(Protocol):
    """How a database takes many values at once: in one statement, or in a few."""

    def rows(self, table: str, rows: Sequence[tuple[Any, ...]]) -> Iterator[Piece]:
        """What follows ``INSERT INTO table (columns)``, so that the rows are added."""

    def named(self, table: str, columns: str, key: str, texts: Sequence[str], *, kind: str = "") -> Iterator[Piece]:
        """What selects columns of the rows with one of the texts as their key, and of a kind where there are kinds."""


class InMarks:
    """A mark for each value, as every database understands it."""

    def rows(self, table: str, rows: Sequence[tuple[Any, ...]]) -> Iterator[Piece]:
        """``VALUES (?, ?), (?, ?)``."""
        marks = f"({', '.join('?' * len(TABLES[table]))})"
        for some in _parts(rows, _VALUES_AT_ONCE // len(TABLES[table])):
            yield f"VALUES {', '.join([marks] * len(some))}", [value for row in some for value in row]

    def named(self, table: str, columns: str, key: str, texts: Sequence[str], *, kind: str = "") -> Iterator[Piece]:
        """``SELECT … WHERE key IN (?, ?)``."""
        where, values = ("kind = ? AND ", [kind]) if kind else ("", [])
        for some in _parts(texts, _VALUES_AT_ONCE):
            marks = ", ".join("?" * len(some))
            yield f"SELECT {columns} FROM {table} WHERE {where}{key} IN ({marks})", [*values, *some]  # noqa: S608 - names of ours


IN_MARKS: Final = InMarks()


def _parts(found: Sequence[T], count: int) -> Iterator[Sequence[T]]:
    """Parts of a sequence that have no more than `count` members."""
    return (found[start : start + count] for start in range(0, len(found), count))


@dataclass(slots=True)
class _Waiting:
    """What a transaction has still to write.

    Attributes:
        records: by kind and id, each with its data as text.
        rows: rows to be added, by table and key.
        blobs: bytes by digest.
        numbers: numbers that were asked of the database once, and are kept up to date here.
    """

    records: dict[tuple[str, str], tuple[Record, str]] = field(default_factory=dict)
    rows: dict[str, dict[Any, tuple[Any, ...]]] = field(default_factory=dict)
    blobs: dict[str, bytes] = field(default_factory=dict)
    numbers: dict[str, int] = field(default_factory=dict)

    def copy(self) -> _Waiting:
        """As it is now."""
        rows = {table: dict(found) for table, found in self.rows.items()}
        return _Waiting(dict(self.records), rows, dict(self.blobs), dict(self.numbers))


class Spoiled(Exception):
    """A part of a transaction that was not to be undone alone has failed, and all of it is undone."""


class SqlView:
    """`Reader` and `Writer` on an open transaction.

    Args:
        run: runs a statement.
        disk: where files are changed.
        blobs: where blobs rest.
        bulk: how the database takes many values at once.
        last: the numbers of the last rows of tables, where they are known.
    """

    def __init__(
        self, run: Run, disk: Disk, blobs: Blobs, bulk: Bulk = IN_MARKS, last: Mapping[str, int] | None = None
    ) -> None:
        self._execute = run
        self._bulk = bulk
        self._disk = disk
        self._blobs = blobs
        self._waiting = _Waiting(numbers=dict(last or {}))
        self._seen: dict[tuple[str, str], Record | None] = {}
        self._absent: set[str] = set()
        self._fresh: set[str] = set()
        self._made = 0
        self._failed = False
        self.journal: list[Path] = []

    def _run(self, statement: str, values: Sequence[Any]) -> Answer:
        try:
            return self._execute(statement, values)
        except BaseException:
            self._failed = True  # PostgreSQL takes nothing more in this transaction
            raise

    # Reading

    def _rows(self, statement: str, *values: Any) -> list[Any]:
        return self._run(statement, values).fetchall()

    def _value(self, statement: str, *values: Any) -> Any:
        rows = self._rows(statement, *values)
        if not rows:
            raise wrong(DAMAGED, f"a row that the log must have is missing: {statement} with {values}")
        return rows[0][0]

    def setting(self, name: str) -> str:
        return str(self._value("SELECT value FROM settings WHERE name = ?", name))

    def size(self) -> int:
        return int(self._value("SELECT coalesce(max(number) + 1, 0) FROM entries"))

    def entries(self, start: int = 0, stop: int | None = None) -> tuple[tuple[int, bytes], ...]:
        last = 2**63 - 1 if stop is None else stop - 1
        statement = "SELECT number, data FROM entries WHERE number BETWEEN ? AND ? ORDER BY number"
        return tuple(self._rows(statement, start, last))

    def entries_of(self, node: str) -> tuple[tuple[int, bytes], ...]:
        return tuple(self._rows("SELECT number, data FROM entries WHERE node = ? ORDER BY number", node))

    def subtree(self, level: int, index: int) -> bytes:
        if level == 0:
            return bytes(self._value("SELECT leaf_hash FROM entries WHERE number = ?", index))
        return bytes(self._value("SELECT hash FROM subtrees WHERE level = ? AND number = ?", level, index))

    def checkpoint(self, size: int) -> str:
        return str(self._value("SELECT note FROM checkpoints WHERE size = ?", size))

    def release(self, node: str, release: str) -> Release | None:
        rows = self._rows(f"{_SELECT_RELEASES} WHERE node = ? AND release = ?", node, release)
        return _release(rows[0]) if rows else None

    def releases(self, node: str | None = None) -> tuple[Release, ...]:
        where, values = ("", ()) if node is None else ("WHERE node = ?", (node,))
        return tuple(_release(row) for row in self._rows(f"{_SELECT_RELEASES} {where} ORDER BY entry", *values))

    def find_releases(
        self, *, status: str = "", text: str = "", before: int = MANY, limit: int = 100
    ) -> tuple[Release, ...]:
        where, values = ["entry < ?"], [before]
        if status:
            where.append("status = ?")
            values.append(status)  # type: ignore[arg-type]  # parameters of one statement
        if text:
            where.append("lower(node || '@' || release) LIKE ? ESCAPE '!'")
            values.append(f"%{_escaped(text.lower())}%")  # type: ignore[arg-type]  # likewise
        statement = f"{_SELECT_RELEASES} WHERE {' AND '.join(where)} ORDER BY entry DESC LIMIT ?"
        return tuple(_release(row) for row in self._rows(statement, *values, limit))

    def count_releases(self) -> dict[str, int]:
        return {status: int(n) for status, n in self._rows("SELECT status, count(*) FROM releases GROUP BY status")}

    def nodes(self, *, text: str = "", after: str = "", limit: int = 100) -> tuple[str, ...]:
        where, values = "node > ?", [after]
        if text:
            where += " AND node LIKE ? ESCAPE '!'"
            values.append(f"%{_escaped(text.lower())}%")
        statement = f"SELECT DISTINCT node FROM releases WHERE {where} ORDER BY node LIMIT ?"  # noqa: S608 - text of ours
        return tuple(row[0] for row in self._rows(statement, *values, limit))

    def waivers(self, node: str | None = None) -> tuple[tuple[str, int], ...]:
        where, values = ("", ()) if node is None else ("WHERE node = ?", (node,))
        return tuple(self._rows(f"SELECT id, entry FROM waivers {where} ORDER BY entry", *values))  # noqa: S608 - text of ours

    def knows_blob(self, digest: str) -> bool:
        return bool(self._rows("SELECT 1 FROM blobs WHERE digest = ?", digest))

    def holds_blob(self, digest: str) -> bool:
        if digest in self._waiting.rows.get("staged", ()):
            return True
        return digest not in self._absent and bool(self._held([digest]))

    def _held(self, digests: Sequence[str]) -> set[str]:
        """Those of the digests that rows name."""
        found: set[str] = set()
        tables = [self._bulk.named(table, "digest", "digest", digests) for table in ("blobs", "staged")]
        for pieces in zip(*tables, strict=True):
            values = [value for _, some in pieces for value in some]
            found |= {row[0] for row in self._rows(" UNION ALL ".join(piece for piece, _ in pieces), *values)}
        return found

    def record(self, kind: str, identity: str) -> Record | None:
        name = (kind, identity)
        if name in self._waiting.records:
            return self._waiting.records[name][0]
        if name not in self._seen:
            rows = self._rows(f"{_SELECT_RECORDS} WHERE kind = ? AND id = ?", kind, identity)
            self._seen[name] = _record(rows[0]) if rows else None
        return self._seen[name]

    def fetch(self, names: Iterable[tuple[str, str]]) -> None:
        """Read what will be asked for one by one: records by kind and id, and whether blobs are held.

        The first thing in a transaction.
        """
        wanted: dict[str, list[str]] = {}
        for kind, identity in dict.fromkeys(names):
            wanted.setdefault(kind, []).append(identity)
        for kind, ids in wanted.items():
            if kind == BLOB:
                self._absent |= {*ids} - self._held(ids)
                continue
            self._seen |= dict.fromkeys((kind, identity) for identity in ids)
            for statement, values in self._bulk.named("records", _RECORD, "id", ids, kind=kind):
                self._seen |= {(kind, record.id): record for record in map(_record, self._rows(statement, *values))}

    def records(
        self, kind: str, *, owner: str | None = None, state: str | None = None, after: str = "", limit: int = MANY
    ) -> tuple[Record, ...]:
        self.settle()
        where, values = ["kind = ?", "id > ?"], [kind, after]
        for column, value in (("owner", owner), ("state", state)):
            if value is not None:
                where.append(f"{column} = ?")
                values.append(value)
        statement = f"{_SELECT_RECORDS} WHERE {' AND '.join(where)} ORDER BY id LIMIT ?"
        return tuple(_record(row) for row in self._rows(statement, *values, limit))

    def identity_changes(self) -> int:
        rows = self._rows("SELECT version FROM records WHERE kind = ? AND id = ?", *_COUNT)
        return int(rows[0][0]) if rows else 0

    def events(self, after: int, limit: int) -> tuple[Event, ...]:
        self.settle()
        statement = "SELECT number, at, kind, item, data FROM events WHERE number > ? ORDER BY number LIMIT ?"
        return tuple(
            Event(number, at, kind, item, json.loads(data))
            for number, at, kind, item, data in self._rows(statement, after, limit)
        )

    def last_event(self) -> int:
        self.settle()
        return int(self._value("SELECT coalesce(max(number), 0) FROM events"))

    def audited(self, before: int = MANY, limit: int = 100, outcome: str = "") -> tuple[Audited, ...]:
        self.settle()
        where, values = ("AND outcome = ?", (outcome,)) if outcome else ("", ())
        columns = ", ".join(TABLES["audit"])
        statement = f"SELECT {columns} FROM audit WHERE number < ? {where} ORDER BY number DESC LIMIT ?"  # noqa: S608 - text of ours
        return tuple(Audited(*row) for row in self._rows(statement, before, *values, limit))

    def staged_bytes(self, owner: str) -> int:
        if f"staged {owner}" not in self._waiting.numbers:
            self.settle()
        return self._once(f"staged {owner}", "SELECT coalesce(sum(size), 0) FROM staged WHERE owner = ?", owner)

    # Changing

    def _change(self, statement: str, *values: Any) -> int:
        self._disk.steps(" ".join(statement.split()[:3]).lower())
        changed = self._run(statement, values).rowcount
        self._made += changed
        return changed

    def _once(self, name: str, statement: str, *values: Any) -> int:
        """A number that is asked of the database once in a transaction."""
        numbers = self._waiting.numbers
        if name not in numbers:
            numbers[name] = int(self._value(statement, *values))
        return numbers[name]

    def _grow(self, table: str, *row: Any) -> None:
        """Add a row under the next number of its table."""
        number = self._once(table, f"SELECT coalesce(max(number), 0) FROM {table}") + 1  # noqa: S608 - names of ours
        self._waiting.numbers[table] = number
        self._waiting.rows.setdefault(table, {})[number] = (number, *row)

    @contextmanager
    def part(self) -> Iterator[None]:
        """A part that is undone alone when it raises."""
        waiting = self._waiting.copy()
        self._run("SAVEPOINT part", ())
        try:
            yield
            self.settle()
        except BaseException:
            self._run("ROLLBACK TO SAVEPOINT part", ())
            self._run("RELEASE SAVEPOINT part", ())
            self._waiting, self._failed = waiting, False
            self._seen.clear()
            raise
        self._run("RELEASE SAVEPOINT part", ())

    @contextmanager
    def hopeful_part(self) -> Iterator[None]:
        """A part that is undone alone when it raises, as long as nothing of it was written.

        Raises:
            Spoiled: something was, and the whole transaction is to be undone.
        """
        waiting, made = self._waiting.copy(), self._made
        try:
            yield
        except Exception as error:
            if self._failed or made != self._made:
                self._failed = True
                raise Spoiled from error
            self._waiting = waiting
            raise

    def settle(self) -> None:
        """Write what waits, but for the bytes of blobs.

        Raises:
            Spoiled: a part has failed that cannot be undone alone.
        """
        if self._failed:
            raise Spoiled
        records, rows = self._waiting.records, self._waiting.rows
        self._waiting.records, self._waiting.rows = {}, {}
        if records:
            self._disk.steps("update records")
            changed = self._insert("records", [(*_columns(record), text) for record, text in records.values()], _SWAP)
            if changed != len(records):
                raise wrong(BUSY, "a record was changed by somebody who does not hold the write lock")
            self._seen |= {name: record for name, (record, _) in records.items()}
        for table, found in rows.items():
            self._disk.steps(f"insert into {table}")
            self._insert(table, list(found.values()))

    def flush(self) -> None:
        """Write what waits, and bring the blobs to the disk; the last thing before the commit.

        Raises:
            Spoiled: as `settle`.
        """
        self.settle()
        if self._waiting.blobs:
            self.journal += self._blobs.put(self._waiting.blobs, self._rests)
            self._waiting.blobs = {}

    def _rests(self, digest: str) -> bool:
        """Whether the blob was brought to the disk by an earlier transaction, as far as rows can tell."""
        return digest not in self._fresh

    def put_blobs(self, blobs: Mapping[str, bytes]) -> None:
        for digest, data in blobs.items():
            self._waiting.blobs[digest] = data
            if self.knows_blob(digest):
                continue
            if self.holds_blob(digest):
                self._unstage([digest])
            else:
                self._fresh.add(digest)
                self._absent.discard(digest)
            self._change("INSERT INTO blobs VALUES (?, ?)", digest, len(data))

    def stage_blob(self, digest: str, data: bytes, owner: str, at: str) -> None:
        if self.holds_blob(digest):
            return
        self._absent.discard(digest)
        self._fresh.add(digest)
        self._waiting.blobs[digest] = data
        self._waiting.rows.setdefault("staged", {})[digest] = (digest, len(data), owner, at)
        if f"staged {owner}" in self._waiting.numbers:
            self._waiting.numbers[f"staged {owner}"] += len(data)

    def unstage(self, before: str) -> tuple[str, ...]:
        self.settle()
        found = tuple(row[0] for row in self._rows("SELECT digest FROM staged WHERE at < ?", before))
        self._unstage(found)
        return found

    def _unstage(self, digests: Iterable[str]) -> None:
        self.settle()
        for digest in digests:
            self._change("DELETE FROM staged WHERE digest = ?", digest)
        numbers = self._waiting.numbers
        self._waiting.numbers = {name: n for name, n in numbers.items() if not name.startswith("staged ")}

    def append(
        self, number: int, *, node: str, data: bytes, leaf: bytes, subtrees: tuple[Subtree, ...], note: str
    ) -> None:
        self._change("INSERT INTO entries VALUES (?, ?, ?, ?)", number, node, leaf, data)
        for made in subtrees:
            if made.level:
                self._change("INSERT INTO subtrees VALUES (?, ?, ?)", made.level, made.index, made.hash)
        self._change("INSERT INTO checkpoints VALUES (?, ?)", number + 1, note)

    def add_release(self, release: Release) -> None:
        r = release
        values = (r.node, r.release, r.subject, r.evidence, r.entry, r.status.value, r.version)
        self._change("INSERT INTO releases VALUES (?, ?, ?, ?, ?, ?, ?)", *values)

    def swap_release(self, release: Release, expected: int) -> None:
        changed = self._change(
            "UPDATE releases SET status = ?, version = ? WHERE node = ? AND release = ? AND version = ?",
            release.status.value,
            release.version,
            release.node,
            release.release,
            expected,
        )
        if not changed:
            found = self.release(release.node, release.release)
            raise Conflict(release.name, expected, found.version if found else 0)

    def add_waiver(self, identity: str, node: str, entry: int) -> None:
        self._change("INSERT INTO waivers VALUES (?, ?, ?)", identity, node, entry)

    def put_record(self, record: Record, expected: int) -> Record:
        stored = replace(record, version=expected + 1)
        text = _JSON.encode(stored.data)
        found = self.record(record.kind, record.id)
        if (found.version if found else 0) != expected:
            raise Conflict(f"{record.kind} {record.id}", expected, found.version if found else 0)
        self._waiting.records[(record.kind, record.id)] = (stored, text)
        if expected:
            self._count_identity(record.kind)
        return stored

    def drop_record(self, kind: str, identity: str) -> None:
        self.settle()
        self._change("DELETE FROM records WHERE kind = ? AND id = ?", kind, identity)
        self._seen[(kind, identity)] = None
        self._count_identity(kind)

    def _count_identity(self, kind: str) -> None:
        """Count a change of somebody's identity, in the transaction of the change. Who is new was nobody before."""
        if kind in IDENTITIES:
            statement = (
                "INSERT INTO records VALUES (?, ?, '', '', 1, '', '{}') "
                "ON CONFLICT (kind, id) DO UPDATE SET version = records.version + 1"
            )
            self._change(statement, *_COUNT)

    def add_event(self, at: str, kind: str, item: str, data: Mapping[str, Any]) -> None:
        text = _JSON.encode(data)
        self._grow("events", at, kind, item, text)

    def add_audit(self, at: str, who: str, action: str, item: str, outcome: str, reason: str, address: str) -> None:
        self._grow("audit", at, who, action, item, outcome, reason, address)

    # Copies

    def rows(self, table: str) -> list[tuple[Any, ...]]:
        """Every row of a table."""
        self.settle()
        columns = TABLES[table]
        found = self._rows(f"SELECT {', '.join(columns)} FROM {table}")  # noqa: S608 - names of ours
        return sorted(tuple(row) for row in found)

    def enter(self, table: str, rows: Sequence[tuple[Any, ...]]) -> None:
        """Enter rows as they are."""
        self._insert(table, rows)

    def _insert(self, table: str, rows: Sequence[tuple[Any, ...]], otherwise: str = "") -> int:
        """Add rows, several in a statement; the number of rows that were added or changed."""
        begun, changed = f"INSERT INTO {table} ({', '.join(TABLES[table])})", 0
        for piece, values in self._bulk.rows(table, rows):
            changed += self._run(f"{begun} {piece}{otherwise}", values).rowcount
        self._made += changed
        return changed


_JSON: Final = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":"))
_SELECT_RELEASES: Final = "SELECT node, release, subject, evidence, entry, status, version FROM releases"
_SWAP: Final = (
    " ON CONFLICT (kind, id) DO UPDATE SET owner = excluded.owner, state = excluded.state, version = excluded.version, "
    "at = excluded.at, data = excluded.data WHERE records.version < excluded.version"
)
_RECORD: Final = ", ".join(TABLES["records"])
_SELECT_RECORDS: Final = f"SELECT {_RECORD} FROM records"  # noqa: S608 - names of ours


def _escaped(text: str) -> str:
    """The text for LIKE, in which nothing stands for something else."""
    return text.replace("!", "!!").replace("%", "!%").replace("_", "!_")


def _release(row: Any) -> Release:
    node, release, subject, evidence, entry, status, version = row
    try:
        return Release(node, release, subject, evidence, entry, Status(status), version)
    except ValueError:
        raise wrong(DAMAGED, f"{node}@{release} has no known status: {status!r}") from None


def _columns(record: Record) -> tuple[Any, ...]:
    """The columns of a record, but for its data."""
    return record.kind, record.id, record.owner, record.state, record.version, record.at


def _record(row: Any) -> Record:
    kind, identity, owner, state, version, at, data = row
    return Record(kind, identity, owner, state, version, at, json.loads(data))
