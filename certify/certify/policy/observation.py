"""What left the node in a run: requests, stored values, rows, log lines and prints, each with where it went.

Rules this module keeps:

- everything that a record shows to have left the node is listed, whether the manifest declares it or not;
- a thing goes to the declared resource that it belongs to, or else to one named after its kind, which carries nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any, Final

from certify.laboratory.record import Event, EventKind, Exchange, RunRecord
from certify.manifest.model import Manifest, ResourceKind
from certify.policy.disclosure import Sent
from certify_spec.diagnostics import Place

_STORES: Final = frozenset({"kv", "blob", "db", "dedupe"})
_UPSTREAM: Final = "upstream/"


def sent_in(record: RunRecord, manifest: Manifest) -> Iterator[Sent]:
    """Everything that left the node in this run."""
    for exchange in record.exchanges:
        yield from _of_exchange(exchange, record)
    for event in record.events:
        if event.kind is EventKind.CAPABILITY:
            yield from _of_capability(event, manifest)
    yield from _of_world(record, manifest)
    if record.stderr:
        yield Sent(_single(manifest, "log"), "log", "what it printed", record.stderr.encode("utf-8", "replace"))


def _of_exchange(exchange: Exchange, record: RunRecord) -> Iterator[Sent]:
    place = _place_of(exchange, record)
    line = f"{exchange.method} {exchange.path.partition('?')[0]}"
    headers = "\n".join(f"{name}: {value}" for name, value in exchange.headers)
    yield Sent(
        exchange.resource, "http", f"the path of {line}", exchange.path.encode("utf-8", "replace"), place, in_url=True
    )
    for part, content in (
        (f"the headers of {line}", headers.encode("utf-8", "replace")),
        (f"the body of {line}", exchange.body),
    ):
        if content:
            yield Sent(exchange.resource, "http", part, content, place)


def unread_in(record: RunRecord) -> Iterator[Event]:
    """Uses of a context that wrote a value of which the record holds only the digest: it cannot be searched."""
    for event in record.events:
        if event.kind is EventKind.CAPABILITY and any(
            isinstance(value, Mapping) and {"blake3", "bytes"} <= value.keys() for value in _values(event.detail)
        ):
            yield event


def _values(value: object) -> Iterator[object]:
    """A value, and every value inside it."""
    stack: list[object] = [value]
    while stack:
        here = stack.pop()
        yield here
        if isinstance(here, Mapping):
            stack.extend(here.values())
        elif isinstance(here, list | tuple):
            stack.extend(here)


def _place_of(exchange: Exchange, record: RunRecord) -> Place | None:
    """The node's line that sent the request: of the request itself, or else of the connection before it."""
    line = f"{exchange.resource} {exchange.method} {exchange.path}"
    capability = f"http.{exchange.resource}"
    for kind, target in ((EventKind.REQUEST, line), (EventKind.CAPABILITY, capability), (EventKind.CONNECT, "")):
        for event in record.events:
            same = event.kind is kind and event.delivery == exchange.delivery and event.target.startswith(target)
            if same and event.place and not event.importing:
                return event.place
    return None


def _of_capability(event: Event, manifest: Manifest) -> Iterator[Sent]:
    kind, _, name = event.target.partition(".")
    operation = str(event.detail.get("operation", "use"))
    if kind == "log" or (kind in _STORES and event.detail.get("mode", "write") == "write"):
        resource = name or _single(manifest, kind)
        what = f"a log line ({operation})" if kind == "log" else f"`{operation}` of {event.target}"
        for content in _contents(event.detail):
            yield Sent(resource, kind, what, content, event.place)


def _contents(detail: Mapping[str, Any]) -> Iterator[bytes]:
    """A capability's arguments as JSON text, and each byte string among them by itself."""
    told = {name: value for name, value in detail.items() if name not in {"operation", "mode", "result", "through"}}
    yield json.dumps(told, default=_as_text, ensure_ascii=False).encode("utf-8", "replace")
    yield from (value for value in _values(told) if isinstance(value, bytes))


def _as_text(value: object) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _of_world(record: RunRecord, manifest: Manifest) -> Iterator[Sent]:
    for path, tables in record.world.databases.items():
        if path.startswith(_UPSTREAM):
            continue
        resource, kind = _owner_of(path, manifest)
        for table, rows in tables.items():
            yield Sent(resource, kind, f"table {table} of {path}", "\n".join(rows).encode("utf-8", "replace"))


def _owner_of(path: str, manifest: Manifest) -> tuple[str, str]:
    """Name and kind of the resource that a database file belongs to, by the layout of the context's stores."""
    file = PurePosixPath(path)
    for resource in manifest.resource:
        if resource.path is not None and PurePosixPath(resource.path) in {file, *file.parents}:
            return resource.name, resource.kind.value
    if file.parts[:2] == (".context", "kv"):
        return file.stem, "kv"
    if file.parts[:1] == (".context",):
        return _single(manifest, "dedupe"), "dedupe"
    databases = [resource.name for resource in manifest.resource if resource.kind is ResourceKind.DB]
    return (file.stem if file.stem in databases or len(databases) != 1 else databases[0]), "db"


def _single(manifest: Manifest, kind: str) -> str:
    """The declared resource of a kind of which a context has one; the kind itself when there is none."""
    return next((resource.name for resource in manifest.resource if resource.kind.value == kind), kind)
