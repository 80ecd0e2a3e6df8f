"""What runs did, in the same words as the text: events of records as effects.

Rules this module keeps:

- an event of a kind that the manifest can declare becomes an effect, whoever saw it; none is dropped without a reason
  that is written here;
- a library's housekeeping (its own clock, environment, random numbers, files) is the library's, as long as the
  catalogue says that this library does so; connections, writes and processes always count;
- what the laboratory does for the context is named by the context's own event.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Final
from urllib.parse import urlsplit

from certify.analysis import catalogue
from certify.analysis.model import Analysis, Kind
from certify.laboratory.record import Event, EventKind, RunRecord
from certify.manifest.model import Manifest, Mode, Resource, ResourceKind
from certify_spec.diagnostics import Place

_KINDS: Final[Mapping[EventKind, tuple[Kind, Mode]]] = {
    EventKind.CONNECT: (Kind.NETWORK, Mode.WRITE),
    EventKind.RESOLVE: (Kind.NETWORK, Mode.READ),
    EventKind.READ: (Kind.FS, Mode.READ),
    EventKind.LISTING: (Kind.FS, Mode.READ),
    EventKind.WRITE: (Kind.FS, Mode.WRITE),
    EventKind.DATABASE: (Kind.DB, Mode.READ),
    EventKind.PROCESS: (Kind.PROCESS, Mode.WRITE),
    EventKind.CLOCK: (Kind.CLOCK, Mode.READ),
    EventKind.RANDOM: (Kind.RANDOM, Mode.READ),
    EventKind.ENV: (Kind.ENV, Mode.READ),
    EventKind.HOST: (Kind.ENV, Mode.READ),
    EventKind.THREAD: (Kind.THREAD, Mode.WRITE),
}
#: Kinds that libraries use for themselves.
_QUIET: Final = frozenset({Kind.CLOCK, Kind.RANDOM, Kind.ENV, Kind.THREAD})
#: The system's own services that name look-ups ask before they ask the network.
_SERVICES: Final = frozenset({"unix:/var/run/nscd/socket", "unix:/run/nscd/socket"})
_SQLITE: Final = ("-journal", "-wal", "-shm")
_PORTS: Final = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Seen:
    """One effect that runs had.

    Attributes:
        call: what did it, as the laboratory names it.
        resource: the name of the resource, where the laboratory knows it.
        place: the node's line that led to it; None when no line of the node did.
        via: who saw it.
        fixtures: the fixtures in whose runs it was seen.
    """

    kind: Kind
    mode: Mode
    call: str
    target: str = ""
    resource: str = ""
    place: Place | None = None
    via: frozenset[str] = frozenset()
    fixtures: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Kind and target in one word."""
        what = self.resource or self.target
        return f"{self.kind}:{what}" if what else self.kind.value


@dataclass(frozen=True, slots=True)
class Observation:
    """All that the runs of all fixtures did: effects, and native code that was called."""

    effects: tuple[Seen, ...]
    native: tuple[Event, ...] = ()


@dataclass(slots=True)
class _Reading:
    """What is needed to read one record's events."""

    manifest: Manifest
    analysis: Analysis
    record: RunRecord
    hosts: Mapping[str, str]
    loads: frozenset[str] = field(default_factory=frozenset)
    databases: frozenset[str] = field(default_factory=frozenset)


def observe(
    manifest: Manifest, analysis: Analysis, records: Mapping[str, RunRecord], addresses: Mapping[str, str] | None = None
) -> Observation:
    """The effects in the records of the fixtures' runs.

    Args:
        manifest: the node's; its upstreams say whose address is whose.
        analysis: of the node's text: which lines import, and what the libraries on a line do for themselves.
        records: the record of each fixture's run, by the fixture's name.
        addresses: the declared `host:port` behind each address that the laboratory gives an upstream.
    """
    hosts = dict(addresses or {})
    found: dict[tuple[object, ...], Seen] = {}
    native: dict[str, Event] = {}
    for fixture, record in records.items():
        reading = _Reading(manifest, analysis, record, hosts)
        reading.loads = frozenset(event.target for event in record.events if event.kind is EventKind.IMPORT)
        reading.databases = frozenset(
            _path(event.target, record) for event in record.events if event.kind is EventKind.DATABASE
        )
        for event in record.events:
            if event.kind is EventKind.NATIVE and not _trusted(reading, event):
                native.setdefault(f"{event.place}", event)
        for seen in _effects(reading):
            key = (seen.kind, seen.mode, seen.target, seen.resource)
            known = found.get(key)
            fixtures = (*known.fixtures, fixture) if known and fixture not in known.fixtures else (fixture,)
            if known is None:
                found[key] = replace(seen, fixtures=(fixture,))
            else:
                found[key] = replace(
                    known,
                    place=known.place or seen.place,
                    call=known.call if known.place else seen.call,
                    via=known.via | seen.via,
                    fixtures=known.fixtures if fixture in known.fixtures else fixtures,
                )
    order = sorted(found.values(), key=lambda s: (s.kind, s.target, s.resource, s.mode))
    return Observation(tuple(order), tuple(native.values()))


def upstream_addresses(manifest: Manifest) -> Mapping[str, str]:
    """The declared `host:port` behind each address that the laboratory gives an upstream."""
    from certify.laboratory.laboratory import _upstreams

    found: dict[str, str] = {}
    for upstream in _upstreams(manifest):
        found[f"{upstream.address}:{upstream.port}"] = f"{upstream.host}:{upstream.port}"
        found[f"{upstream.address}:0"] = f"{upstream.host}:0"
    return found


def declared_address(resource: Resource) -> str:
    """`host:port` of an http resource."""
    parts = urlsplit(resource.url or "")
    return f"{parts.hostname}:{parts.port or _PORTS.get(parts.scheme, 0)}"


def _effects(reading: _Reading) -> Iterator[Seen]:
    for exchange in reading.record.exchanges:
        mode = Mode.READ if exchange.method.upper() in {"GET", "HEAD", "OPTIONS"} else Mode.WRITE
        call = f"{exchange.method} {exchange.path}"
        yield Seen(Kind.HTTP, mode, call, resource=exchange.resource, via=frozenset({"upstream"}))
    for event in reading.record.events:
        if event.kind is EventKind.CAPABILITY:
            yield from _capability(event)
        elif event.kind in _KINDS and not _is_housekeeping(reading, event):
            seen = _seen(reading, event)
            if seen is not None:
                yield seen


def _capability(event: Event) -> Iterator[Seen]:
    kind, _, name = event.target.partition(".")
    if kind not in Kind.__members__.values():
        return
    detail = event.detail
    mode = Mode.WRITE if detail.get("mode") == "write" else Mode.READ
    arguments = detail.get("arguments")
    secret = str(arguments.get("name", "")) if kind == Kind.SECRETS and isinstance(arguments, Mapping) else ""
    call = f"ctx.{kind}.{detail.get('operation', '')}"
    yield Seen(Kind(kind), mode, call, target=secret, resource=name, place=event.place, via=frozenset({event.via}))


def _seen(reading: _Reading, event: Event) -> Seen | None:
    kind, mode = _KINDS[event.kind]
    target, call = event.target, str(event.detail.get("call") or event.target)
    if event.kind in {EventKind.CLOCK, EventKind.RANDOM, EventKind.HOST}:
        known = catalogue.lookup(event.target)
        if known is not None and known.kind is not None:
            kind, mode = known.kind, known.mode
            if known.pure_from and event.place and not reading.analysis.blind and not _through(event):
                return None  # whether it is an effect hangs on the arguments, which the text shows
        fact = known.fact if known else ""
        target = (fact if fact.isupper() else f"host.{fact}") if fact else ""
        target = target or (event.target if event.kind is EventKind.HOST else "")
    elif event.kind in {EventKind.CONNECT, EventKind.RESOLVE}:
        target = reading.hosts.get(event.target, event.target)
        if event.target in _SERVICES:
            return None
        if event.kind is EventKind.RESOLVE and target in {"", "localhost", "None"}:
            return None
        if target.endswith(":0"):
            kind, mode, target = Kind.NETWORK, Mode.READ, target[:-2]
    elif event.kind in {EventKind.READ, EventKind.LISTING, EventKind.WRITE, EventKind.DATABASE}:
        target = _path(event.target, reading.record)
        if _is_ambient(reading, event, target):
            return None
        if kind is Kind.FS and target in reading.databases:
            kind = Kind.DB
        call = event.detail.get("call", event.kind.value) if event.kind is not EventKind.DATABASE else "sqlite3.connect"
    elif event.kind is EventKind.ENV:
        target = "" if target == "*" else target
        call = "os.environ"
    elif event.kind is EventKind.PROCESS:
        call = target
    return Seen(kind, mode, str(call), target=target, place=event.place, via=frozenset({event.via}))


def _through(event: Event) -> tuple[str, ...]:
    through = event.detail.get("through") or ()
    return tuple(str(module) for module in through) if isinstance(through, (list, tuple)) else ()


def _trusted(reading: _Reading, event: Event) -> bool:
    tops = {module.partition(".")[0] for module in _through(event)}
    return bool(tops & {module.partition(".")[0] for module in reading.manifest.node.trusts})


def _is_housekeeping(reading: _Reading, event: Event) -> bool:
    """Whether a library did it for itself."""
    kind, _ = _KINDS[event.kind]
    through = _through(event)
    reads_files = event.kind in {EventKind.READ, EventKind.LISTING}
    if kind not in _QUIET and not reads_files:
        return False
    if event.via == "kernel":
        return event.kind is EventKind.RANDOM and _draws_by_itself(reading)
    if not through:
        return False
    place = event.place
    if place is not None and (place.file, place.line) in reading.analysis.imports:
        return True
    return kind in catalogue.implied(f"{through[-1]}.x")


def _draws_by_itself(reading: _Reading) -> bool:
    """Whether entropy was drawn below Python for a known reason.

    OpenSSL seeds itself for a connection, the module `random` when it is loaded, and the C library's allocator for a
    new thread; none of it reaches what the node computes.
    """
    analysis, events = reading.analysis, reading.record.events
    libraries = frozenset({Kind.RANDOM, Kind.THREAD})
    return (
        "random" in reading.loads
        or any(effect.kind is Kind.THREAD for effect in analysis.effects)
        or any(kinds & libraries for kinds in analysis.implied.values())
        or any(event.kind is EventKind.CAPABILITY and event.target.startswith("http.") for event in events)
        or any(event.kind is EventKind.THREAD for event in events)
    )


def _path(target: str, record: RunRecord) -> str:
    """A path as the manifest would write it: relative to the working folder where it lies below it."""
    if target in {":memory:", ""}:
        return ":memory:"
    path = target.removeprefix("file:").partition("?")[0] if target.startswith("file:") else target
    folder = f"/world/{record.plan.environment.cwd}"
    for home in (folder, f"/{record.plan.environment.cwd}"):
        if path == home:
            return "."
        path = path.removeprefix(home + "/")
    path = posixpath.normpath(path)
    for suffix in _SQLITE:
        path = path.removesuffix(suffix)
    return path


def _is_ambient(reading: _Reading, event: Event, path: str) -> bool:
    if path == ":memory:" or catalogue.AMBIENT_FILES.fullmatch(path):
        return event.kind is not EventKind.WRITE or path in {":memory:", "/dev/null"}
    if event.kind is EventKind.WRITE and event.via == "kernel":
        if path in {".", "/world"} and event.detail.get("call") == "mkdir":
            return True
        return _is_the_contexts(reading.manifest.resource, path)
    return False


def _is_the_contexts(resources: Iterable[Resource], path: str) -> bool:
    """Whether the kernel saw the context's own files being written."""
    homes: list[str] = []
    for resource in resources:
        match resource.kind:
            case ResourceKind.KV:
                homes.append(f".context/kv/{resource.name}.sqlite3")
            case ResourceKind.DEDUPE:
                homes.append(".context/dedupe.sqlite3")
            case ResourceKind.BLOB:
                homes.append(resource.path or f".context/blob/{resource.name}")
            case ResourceKind.DB:
                homes.append(resource.path or f"{resource.name}.sqlite3")
            case _:
                continue
    homes = [posixpath.normpath(home) for home in homes]
    return any(path == home or path.startswith(home + "/") or home.startswith(path + "/") for home in homes)
