"""The log: checkpoints, entries and proofs, byte for byte."""

from __future__ import annotations

from typing import Any, Final

from starlette.responses import Response

from certify.registry.errors import UNKNOWN_NAME, wrong
from certify.registry.registry import Registry
from certify.service.answers import answer
from certify.service.api.values import BASE, Limit, Number, base64_text
from certify.service.web import Context, Endpoint, Shape


class EntriesQuery(Shape):
    """Which entries."""

    start: Number = 0
    limit: Limit = 100


class InclusionQuery(Shape):
    """Which entry, in the tree of which size."""

    entry: Number
    size: Number


class ConsistencyQuery(Shape):
    """Which two sizes."""

    old: Number
    new: Number


class SizeQuery(Shape):
    """Which size; 0 for the newest."""

    size: Number = 0


async def about(context: Context) -> Response:
    """The registry's name, key, size and newest checkpoint."""

    def work(registry: Registry) -> dict[str, Any]:
        with registry.store.read() as view:
            size = view.size()
        return {"verifier": str(registry.verifier), "size": size, "checkpoint": registry.checkpoint() or ""}

    return answer(await context.read(work))


async def get_checkpoint(context: Context) -> Response:
    """A signed checkpoint, as a signed note."""
    size = context.query.size
    note = await context.read(lambda r: r.checkpoint_at(size) if size else r.checkpoint())
    if note is None:
        raise wrong(UNKNOWN_NAME, "the log is empty, and has no checkpoint")
    return Response(note.encode(), 200, {"Cache-Control": "no-store"}, "text/plain; charset=utf-8")


async def get_entries(context: Context) -> Response:
    """Entries of the log, byte for byte."""
    q: EntriesQuery = context.query
    found = await context.read(lambda r: r.raw_entries(q.start, q.start + q.limit))
    return answer({"entries": [{"number": number, "data": base64_text(data)} for number, data in found]})


async def get_inclusion(context: Context) -> Response:
    """Proof that an entry is in the log."""
    q: InclusionQuery = context.query
    found = await context.read(lambda r: r.inclusion_proof(q.entry, q.size))
    return answer({"entry": q.entry, "size": q.size, "proof": [sibling.hex() for sibling in found]})


async def get_consistency(context: Context) -> Response:
    """Proof that the log only grew."""
    q: ConsistencyQuery = context.query
    found = await context.read(lambda r: r.consistency_proof(q.old, q.new))
    return answer({"old": q.old, "new": q.new, "proof": [sibling.hex() for sibling in found]})


ENDPOINTS: Final = (
    Endpoint("GET", f"{BASE}/registry", "The registry's key, size and newest checkpoint", about, "read"),
    Endpoint("GET", f"{BASE}/log/checkpoint", "A signed checkpoint", get_checkpoint, "read", query=SizeQuery,
             media="text/plain"),
    Endpoint("GET", f"{BASE}/log/entries", "Entries of the log", get_entries, "read", query=EntriesQuery),
    Endpoint("GET", f"{BASE}/log/inclusion", "Prove that an entry is in the log", get_inclusion, "read",
             query=InclusionQuery),
    Endpoint("GET", f"{BASE}/log/consistency", "Prove that the log only grew", get_consistency, "read",
             query=ConsistencyQuery),
)  # fmt: skip
