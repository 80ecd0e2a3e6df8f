"""What a run leaves behind, in a form in which two runs can be compared: rows, files, and requests that acted.

Rules this module keeps:

- the measure is what clean runs of the same messages leave: what differs between clean runs (ids drawn at random, times
  of day) is not compared, and everything else must be equal;
- a row is taken apart as far as it goes (columns, members of JSON inside them), so that one changing member hides
  nothing else;
- what cannot be compared is said to be so, and never taken for equal.

A row's *identity* is what it holds in columns that are equal in all clean runs. Two runs agree when they have equally
many rows of each identity, and equal values in whatever else is constant among the rows of that identity.
"""

from __future__ import annotations

import ast
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from types import MappingProxyType
from typing import Any, Final

from certify.laboratory.record import Exchange, RunRecord, World
from certify.manifest.model import Manifest, ResourceKind

_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
_IDEMPOTENT: Final = frozenset({"PUT", "DELETE"})
_UNREADABLE: Final = "(unreadable)"
_OWN_NAMES: Final = "files with names of their own"
_SHOWN: Final = 200

Cells = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Row:
    """A row of a table, a line of a text file, or a file: its cells by path, and its text for people."""

    cells: Cells
    shown: str


@dataclass(frozen=True, slots=True)
class Request:
    """A request by a method that is not safe (RFC 9110, section 9.2.1), and that the upstream has acted on.

    Attributes:
        key: value of the resource's idempotency header; None when the request has none.
        recognisable: whether the manifest names such a header for the resource.
        place: number of the request among all of the run.
    """

    resource: str
    method: str
    path: str
    key: str | None
    recognisable: bool
    body: bytes
    place: int

    @property
    def identity(self) -> tuple[str, ...] | None:
        """What makes a repetition of this request the same effect; None when every request is one of its own."""
        if self.key is not None:
            return (self.resource, self.method, self.path, self.key)
        if self.method in _IDEMPOTENT:
            return (self.resource, self.method, self.path, self.body.hex())
        return None

    @property
    def lacks_key(self) -> bool:
        """Whether the upstream could recognise a repetition, and is not given the chance."""
        return self.recognisable and self.key is None and self.method not in _IDEMPOTENT


@dataclass(frozen=True, slots=True)
class Aftermath:
    """What a run left.

    Attributes:
        tables: rows by table; a table is named as people would, such as ``outbox of orders.sqlite3``.
        requests: in the order in which they arrived.
        keeps_state: names of upstreams whose simulator left something, so that their state can be compared.
        unreadable: databases that could not be read.
    """

    tables: Mapping[str, tuple[Row, ...]]
    requests: tuple[Request, ...]
    keeps_state: frozenset[str]
    unreadable: tuple[str, ...] = ()

    @property
    def is_effect(self) -> bool:
        """Whether there is anything at all: a write that stayed in the node's world, or a request that acted."""
        return bool(self.requests) or any(not table.endswith(_UPSTREAM_MARK) for table in self.tables)


_UPSTREAM_MARK: Final = " (upstream)"


def aftermath(record: RunRecord, manifest: Manifest) -> Aftermath:
    """What the run left behind."""
    tables = {name: rows for name, rows in _tables(record.world) if rows}
    paths = [*record.world.files, *record.world.databases]
    kept = frozenset(path.split("/")[1] for path in paths if path.startswith("upstream/"))
    unreadable = tuple(path for path, found in record.world.databases.items() if _UNREADABLE in found)
    return Aftermath(tables, tuple(requests(record.exchanges, manifest)), kept, unreadable)


def requests(exchanges: Iterable[Exchange], manifest: Manifest, *, refused: bool = False) -> Iterator[Request]:
    """The requests among these exchanges that had, or may have had, an effect.

    A request that the upstream refused (4xx) had none, and is left out unless `refused`.
    """
    headers = {
        resource.name: (resource.idempotency_header or "").lower()
        for resource in manifest.resource
        if resource.kind is ResourceKind.HTTP
    }
    for place, exchange in enumerate(exchanges):
        if exchange.method in _SAFE or not exchange.acted or (400 <= exchange.status < 500 and not refused):
            continue
        header = headers.get(exchange.resource, "")
        key = next((value for name, value in exchange.headers if header and name.lower() == header), None)
        yield Request(
            exchange.resource, exchange.method, exchange.path, key or None, bool(header), exchange.body, place
        )


# -- worlds as tables --------------------------------------------------------------------------------------------------


def _tables(world: World) -> Iterator[tuple[str, tuple[Row, ...]]]:
    for path, tables in world.databases.items():
        for table, rows in tables.items():
            yield _named(f"{table} of", path), tuple(_row(text) for text in rows)
    for path, digest in world.files.items():
        yield _named("file", path), tuple(_file(world.texts.get(path), digest))


def _named(what: str, path: str) -> str:
    if path.startswith("upstream/"):
        return f"{what} {path.removeprefix('upstream/')}{_UPSTREAM_MARK}"
    return f"{what} {path}"


def _row(text: str) -> Row:
    try:
        values = ast.literal_eval(text)
    except (ValueError, SyntaxError):  # a float that has no literal: inf, nan
        return Row({"": text}, _short(text))
    cells = {
        path: cell for position, value in enumerate(values) for path, cell in _flat(value, f"column {position + 1}")
    }
    return Row(cells, _short(text))


def _file(text: str | None, digest: str) -> Iterator[Row]:
    """A file that is one JSON document is one row, any other text a row for each line."""
    if text is None:
        yield Row({"digest": digest}, f"content {digest[:12]}…")
        return
    document = _json(text)
    if document is not None:
        yield Row(dict(_flat(text, "content")), _short(text))
        return
    yield Row({"file": "exists"}, "the file")
    for line in text.splitlines():
        yield Row(dict(_flat(line, "line")), _short(line))


def _flat(value: object, path: str) -> Iterator[tuple[str, str]]:
    """The parts of a value by path; text and bytes that hold a JSON object or list are looked into."""
    inner = value
    if isinstance(value, str | bytes):
        inner = _json(value)
    if isinstance(inner, dict) and inner:
        for name, part in inner.items():
            yield from _flat(part, f"{path}.{name}")
    elif isinstance(inner, list) and inner:
        for position, part in enumerate(inner):
            yield from _flat(part, f"{path}[{position}]")
    else:
        yield path, repr(value)


def _json(text: str | bytes) -> Any:
    head = text[:1]
    if head not in ("{", "[", b"{", b"["):
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _short(text: str) -> str:
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "…"


# -- comparing ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Surplus:
    """Rows or requests of one table or resource that are too many or too few."""

    where: str
    found: int
    right: int
    shown: tuple[str, ...]
    changing: tuple[str, ...] = ()
    """Values of the rows in question that differ from one clean run to the next."""
    is_request: bool = False

    def describe(self) -> str:
        """Such as ``2 rows in outbox of orders.sqlite3 where 1 is right``."""
        if self.is_request:
            return f"`{self.where}` acts {_count(self.found, 'time')} where {_count(self.right, 'time')} is right"
        if self.found == self.right:
            return f"other content in {self.where} than after one delivery of each message"
        verb = "is" if self.right == 1 else "are"
        return f"{_count(self.found, 'row')} in {self.where} where {self.right} {verb} right"


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


@dataclass(frozen=True, slots=True)
class Difference:
    """How a run's aftermath differs from what it should be.

    Attributes:
        extra: what there is too much of.
        missing: what there is too little of. A changed row is in both.
        blind: files of which neither equality nor difference can be told.
    """

    extra: tuple[Surplus, ...] = ()
    missing: tuple[Surplus, ...] = ()
    blind: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.extra or self.missing)

    @property
    def places(self) -> tuple[str, ...]:
        """The tables and upstreams in which there is a difference."""
        return tuple(dict.fromkeys(surplus.where for surplus in (*self.extra, *self.missing)))

    @property
    def is_loss(self) -> bool:
        """Whether something is missing, and nothing is there twice."""
        grown = any(surplus.found > surplus.right for surplus in self.extra)
        return bool(self.missing) and not grown

    def describe(self) -> str:
        """One line that counts."""
        first = {s.where: s for s in (*self.extra, *self.missing)}
        return "; ".join(surplus.describe() for surplus in first.values())

    def rows(self) -> str:
        """The differing rows and requests, a line each."""
        lines = [f"too much: {shown}" for s in self.extra for shown in s.shown[:3]]
        lines += [f"missing:  {shown}" for s in self.missing for shown in s.shown[:3]]
        return "\n".join(lines[:8])


@dataclass(frozen=True, slots=True)
class Expectation:
    """What clean runs of the same messages left, and which parts of it change from run to run.

    Attributes:
        clean: the clean runs, at least one.
        changing: paths whose values differ between the clean runs, by table.
        incomparable: why rows cannot be compared, empty when they can.
    """

    clean: tuple[Aftermath, ...]
    changing: Mapping[str, frozenset[str]] = field(default_factory=dict)
    incomparable: str = ""

    @classmethod
    def of(
        cls, clean: Iterable[Aftermath], changing: Mapping[str, frozenset[str]] = MappingProxyType({})
    ) -> Expectation:
        """Learn from clean runs; `changing` is what is known already to differ from run to run."""
        runs = _pooled(tuple(clean))
        names = sorted({name for run in runs for name in run.tables})
        changing = {
            name: _changing([run.tables.get(name, ()) for run in runs]) | changing.get(name, frozenset())
            for name in names
        }
        reason = ""
        for name in names:
            identities = [Counter(_identity(row, changing[name]) for row in run.tables.get(name, ())) for run in runs]
            if any(found != identities[0] for found in identities[1:]):
                reason = reason or f"{name} differs from one undisturbed run to the next beyond single values"
        for run in runs:
            for path in run.unreadable:
                reason = reason or f"{path} cannot be read"
        return cls(runs, changing, reason)

    def compare(self, found: Aftermath) -> Difference:
        """How a run differs from the clean ones; an empty difference when it does not."""
        extra: list[Surplus] = []
        missing: list[Surplus] = []
        blind: list[str] = []
        found = _pool(found, _fixed_names(self.clean))
        first = self.clean[0]
        for name in sorted({*first.tables, *found.tables}):
            changing = self.changing.get(name, frozenset())
            expected = [run.tables.get(name, ()) for run in self.clean]
            more, less = _compare_rows(name, expected, found.tables.get(name, ()), changing)
            extra += more
            missing += less
            known = {row.cells.get("digest") for rows in expected for row in rows}
            here = {row.cells.get("digest") for row in found.tables.get(name, ())}
            if "digest" in changing and not here <= known:
                blind.append(name)
        more, less = _compare_requests(first, found)
        return Difference((*extra, *more), (*missing, *less), (*blind, *found.unreadable))


def _fixed_names(runs: tuple[Aftermath, ...]) -> frozenset[str]:
    names = [frozenset(name for name in run.tables if name.startswith("file ")) for run in runs]
    return frozenset.intersection(*names)


def _pooled(runs: tuple[Aftermath, ...]) -> tuple[Aftermath, ...]:
    fixed = _fixed_names(runs)
    return tuple(_pool(run, fixed) for run in runs)


def _pool(run: Aftermath, fixed: frozenset[str]) -> Aftermath:
    """Gather the files whose names differ between clean runs: there each file is a row."""
    tables: dict[str, tuple[Row, ...]] = {}
    pool: list[Row] = []
    for name, rows in run.tables.items():
        if not name.startswith("file ") or name in fixed:
            tables[name] = rows
            continue
        path = PurePosixPath(name.removeprefix("file "))
        cells = {"folder": str(path.parent), "suffix": path.suffix}
        for number, row in enumerate(rows):
            cells |= {f"{number}.{part}" if len(rows) > 1 else part: cell for part, cell in row.cells.items()}
        pool.append(Row(cells, f"{path}: {rows[-1].shown}"))
    if pool:
        tables[_OWN_NAMES] = (*tables.get(_OWN_NAMES, ()), *pool)
    return Aftermath(tables, run.requests, run.keeps_state, run.unreadable)


def _changing(runs: list[tuple[Row, ...]]) -> frozenset[str]:
    paths = {path for rows in runs for row in rows for path in row.cells}
    return frozenset(path for path in paths if len({_values(rows, path) for rows in runs}) > 1)


def _values(rows: Iterable[Row], path: str) -> tuple[tuple[str, int], ...]:
    return tuple(sorted(Counter(row.cells.get(path, "") for row in rows).items()))


def _identity(row: Row, changing: frozenset[str]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted((path, cell) for path, cell in row.cells.items() if path not in changing))


def _groups(rows: Iterable[Row], changing: frozenset[str]) -> dict[tuple[tuple[str, str], ...], list[Row]]:
    groups: dict[tuple[tuple[str, str], ...], list[Row]] = defaultdict(list)
    for row in rows:
        groups[_identity(row, changing)].append(row)
    return groups


def _compare_rows(
    name: str, expected: list[tuple[Row, ...]], found: tuple[Row, ...], changing: frozenset[str]
) -> tuple[list[Surplus], list[Surplus]]:
    clean = [_groups(rows, changing) for rows in expected]
    theirs, ours = clean[0], _groups(found, changing)
    more: list[Row] = []
    less: list[Row] = []
    for identity in {**theirs, **ours}:
        right, here = theirs.get(identity, []), ours.get(identity, [])
        if len(here) > len(right):
            more += here[len(right) :]
        elif len(here) < len(right):
            less += right[len(here) :]
        elif any(
            _values(here, path) != _values(right, path)
            for path in changing
            if len({_values(groups.get(identity, ()), path) for groups in clean}) == 1
        ):
            more += here
            less += right
    values = tuple(
        cell for identity in {_identity(row, changing) for row in more} for row in ours[identity]
        for path, cell in sorted(row.cells.items()) if path in changing
    )  # fmt: skip
    counts = (len(found), len(expected[0]))
    extra = [Surplus(name, *counts, tuple(row.shown for row in more), values)] if more else []
    missing = [Surplus(name, *counts, tuple(row.shown for row in less))] if less else []
    return extra, missing


def effects_at(run: Aftermath, resource: str, *, by_state: bool) -> int:
    """How many effects the requests to a resource had: a repetition that the upstream can recognise has none.

    Args:
        run: what the run left.
        resource: name of the upstream.
        by_state: the simulator keeps state and the manifest names no header: the state is compared instead, and
            requests are not counted.
    """
    if by_state:
        return 0
    identities = [request.identity for request in run.requests if request.resource == resource]
    return len({identity for identity in identities if identity is not None}) + identities.count(None)


def _compare_requests(right: Aftermath, found: Aftermath) -> tuple[list[Surplus], list[Surplus]]:
    extra: list[Surplus] = []
    missing: list[Surplus] = []
    for resource in sorted({request.resource for request in (*right.requests, *found.requests)}):
        here = [request for request in found.requests if request.resource == resource]
        recognisable = any(request.recognisable for request in (*right.requests, *here) if request.resource == resource)
        by_state = not recognisable and resource in right.keeps_state
        counts = (
            effects_at(found, resource, by_state=by_state),
            effects_at(right, resource, by_state=by_state),
        )
        shown = tuple(f"{r.method} {r.path}, {_key(r)}" for r in here)
        keys = tuple(dict.fromkeys(request.key for request in here if request.key is not None))
        if counts[0] > counts[1]:
            extra.append(Surplus(resource, *counts, shown[-3:], keys, is_request=True))
        elif counts[0] < counts[1]:
            missing.append(Surplus(resource, *counts, shown[-3:], is_request=True))
    return extra, missing


def _key(request: Request) -> str:
    return f"key {_short(request.key)}" if request.key is not None else "without a key"
