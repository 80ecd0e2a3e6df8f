"""The API: every address below ``/api/v1``, with what it takes and does.

Rules this module keeps:

- handlers translate between HTTP and the service; what is decided is decided in the core;
- what must be checkable by others (log entries, envelopes, receipts) is handed out byte for byte, in base64.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
import re
from collections.abc import AsyncGenerator, Callable
from datetime import datetime, timedelta
from typing import Annotated, Any, Final

from pydantic import Field
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from certify.codec import address, decode, encode
from certify.evidence.keys import PublicKey
from certify.registry.entries import DIGEST
from certify.registry.errors import BLOB_DIGEST, BLOB_MISSING, UNKNOWN_NAME, Refused, reason, wrong
from certify.registry.registry import Registry, Shown, StoredWaiver
from certify.registry.sql import BLOB, Record
from certify.registry.submission import Checked, Receipt, Submission, checked
from certify.service import bundles, drafts, identity, reading
from certify.service.answers import answer
from certify.service.drafts import Change
from certify.service.errors import NO_SUCH_PLACE, QUOTA, Declined, bad
from certify.service.events import event_data
from certify.service.web import COOKIE, Context, Endpoint, Shape, read_body
from certify.times import write_time

BASE: Final = "/api/v1"
_RANGE: Final = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})")
_BINARY: Final = "application/octet-stream"

Number = Annotated[int, Field(ge=0, le=2**53)]
Limit = Annotated[int, Field(ge=1, le=reading.LONGEST_PAGE)]
Text = Annotated[str, Field(max_length=200)]
Hex = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Base64 = Annotated[str, Field(max_length=4_000_000)]


# Reading


class ListQuery(Shape):
    """Which releases."""

    text: Text = ""
    status: Text = ""
    before: Number = 2**53
    limit: Limit = 100


class DiffQuery(Shape):
    """Which two releases of a node."""

    old: Text
    new: Text


class NodeQuery(Shape):
    """Which node."""

    node: Text = ""


async def about(context: Context) -> Response:
    """The registry's name, key, size and newest checkpoint."""

    def work(registry: Registry) -> dict[str, Any]:
        with registry.store.read() as view:
            size = view.size()
        return {"verifier": str(registry.verifier), "size": size, "checkpoint": registry.checkpoint() or ""}

    return answer(await context.read(work))


async def list_releases(context: Context) -> Response:
    """Releases, the newest first."""
    q: ListQuery = context.query
    page = await context.read(
        lambda r: reading.queue(r, status=q.status, text=q.text, before=q.before, limit=q.limit)
    )  # fmt: skip
    return answer({"releases": [row.to_data() for row in page.rows], "next": page.next})


async def counts(context: Context) -> Response:
    """Number of releases by status."""
    return answer(await context.read(reading.counts))


async def show_release(context: Context) -> Response:
    """One release, with its log entries as they are stored."""
    name = context.part("name")
    return answer(await context.read(lambda r: _shown(r, r.show(name))))


def _shown(registry: Registry, shown: Shown) -> dict[str, Any]:
    number = shown.release.entry
    numbers = [number, *(record.number for record in shown.decisions)]
    raw = {n: data for n in numbers for _, data in registry.raw_entries(n, n + 1)}
    with registry.store.read() as view:
        authors = sorted(reading.authors(view, shown.release, shown.published))
    return {
        "release": reading.release_data(shown.release),
        "authors": authors,
        "published": reading.entry_data(shown.published),
        "decisions": [{"number": r.number, **reading.entry_data(r.entry)} for r in shown.decisions],
        "entries": [{"number": n, "data": _text(raw[n])} for n in numbers],
        "receipt": shown.receipt.to_data(),
    }


async def history(context: Context) -> Response:
    """The log's entries about a node."""
    node = context.part("name")
    found = await context.read(lambda r: r.history(node))
    return answer({"entries": [{"number": r.number, **reading.entry_data(r.entry)} for r in found]})


async def diff(context: Context) -> Response:
    """What changed between two releases of a node."""
    q: DiffQuery = context.query
    found = await context.read(lambda r: reading.changes(r, q.old, q.new))
    sections = {section: [change.to_data() for change in changes] for section, changes in found.items()}
    return answer({"old": q.old, "new": q.new, "differences": sections})


async def list_waivers(context: Context) -> Response:
    """The waivers, with the state of each now."""
    node, now = context.query.node, context.service.clock()
    found = await context.read(lambda r: [_waiver(r, stored, now) for stored in r.waivers(node or None)])
    return answer({"waivers": found})


def _waiver(registry: Registry, stored: StoredWaiver, now: datetime) -> dict[str, Any]:
    ((_, data),) = registry.raw_entries(stored.number, stored.number + 1)
    return {
        "id": stored.id,
        "state": stored.waiver.state(now).value,
        "waiver": stored.waiver.to_data(),
        "signer": stored.signer.key_id,
        "entry": stored.number,
        "at": stored.at,
        "data": _text(data),
    }


# Blobs


class UploadBody(Shape):
    """A blob that is to come."""

    digest: Hex
    size: Annotated[int, Field(ge=0, le=2**40)]


class MissingBody(Shape):
    """Blobs that somebody has."""

    digests: Annotated[list[Hex], Field(max_length=10_000)]


async def get_blob(context: Context) -> Response:
    """A blob, or a range of it."""
    digest = context.part("digest")
    if not DIGEST.fullmatch(digest):
        raise Declined(404, NO_SUCH_PLACE, "a blob's address is 64 hexadecimal digits")
    size = await context.read(lambda r: _held_size(r, digest))
    headers = {
        "ETag": f'"{digest}"',
        "Accept-Ranges": "bytes",
        "Cache-Control": "private, max-age=31536000, immutable",
        "Content-Security-Policy": "sandbox; default-src 'none'",
        "X-Content-Type-Options": "nosniff",
        "Content-Disposition": f'attachment; filename="{digest[:16]}"',
    }
    if context.request.headers.get("if-none-match") == f'"{digest}"':
        return Response(status_code=304, headers=headers)
    span = _span(context.request.headers.get("range", ""), size)
    if span is None:
        return Response(status_code=416, headers={**headers, "Content-Range": f"bytes */{size}"})
    start, stop = span
    if (start, stop) == (0, size):
        whole = await context.read(lambda r: r.blob(digest))
        return Response(whole, 200, headers, _BINARY)
    data = await context.read(lambda r: r.store.blobs.read(digest, start, stop))
    headers["Content-Range"] = f"bytes {start}-{stop - 1}/{size}"
    return Response(data, 206, headers, _BINARY)


def _held_size(registry: Registry, digest: str) -> int:
    with registry.store.read() as view:
        held = view.holds_blob(digest)
    size = registry.store.blobs.size(digest) if held else None
    if size is None:
        raise wrong(UNKNOWN_NAME, f"there is no blob {digest}")
    return size


def _span(text: str, size: int) -> tuple[int, int] | None:
    """The range that is asked for, as start and end; None when there is nothing in it."""
    match = _RANGE.fullmatch(text.strip())
    if match is None or match[0] == "bytes=-":
        return 0, size  # several ranges, or another unit: the whole is a right answer
    if not match[1]:
        start, stop = max(0, size - int(match[2])), size
    else:
        start, stop = int(match[1]), min(size, int(match[2]) + 1) if match[2] else size
    return (start, stop) if start < stop else None


async def missing_blobs(context: Context) -> Response:
    """Which of these blobs the registry lacks."""
    body: MissingBody = context.body

    def work(registry: Registry) -> list[str]:
        with registry.store.read() as view:
            return [digest for digest in dict.fromkeys(body.digests) if not view.holds_blob(digest)]

    return answer({"missing": await context.read(work)})


async def put_blob(context: Context) -> Response:
    """Upload a blob at once."""
    digest, settings = context.part("digest"), context.service.settings
    data = await read_body(context.request, settings.largest_part, settings.body_seconds)
    await _stage(context, digest, data)
    return answer({"digest": digest, "size": len(data)}, 201)


async def put_pack(context: Context) -> Response:
    """Upload several blobs at once: a canonical CBOR map of digests to bytes."""
    settings = context.service.settings
    data = await read_body(context.request, settings.largest_part, settings.body_seconds)
    pack = decode(data)
    if not isinstance(pack, dict) or not all(isinstance(blob, bytes) for blob in pack.values()):
        raise bad("a pack is a map of digests to bytes")
    changed = [digest for digest, blob in pack.items() if address(blob) != digest]
    if changed:
        raise Refused(
            *(reason(BLOB_DIGEST, f"the bytes sent as {digest[:64]!r} are not those") for digest in changed[:20])
        )
    owner, now, most = context.actor.user, write_time(context.service.clock()), settings.staged

    def work(registry: Registry) -> None:
        with registry.store.write() as view:
            if view.staged_bytes(owner) + len(data) > most:
                raise Declined(413, QUOTA, f"at most {most} bytes may wait to be published")
            for digest, blob in pack.items():
                view.stage_blob(digest, blob, owner, now)

    await context.write(work)
    return answer({"blobs": len(pack)}, 201)


async def _stage(context: Context, digest: str, data: bytes) -> None:
    if address(data) != digest:
        raise Refused(reason(BLOB_DIGEST, "the bytes do not have the digest that they were sent under"))
    owner, now, most = context.actor.user, context.service.clock(), context.service.settings.staged

    def work(registry: Registry) -> None:
        with registry.store.write() as view:
            if view.staged_bytes(owner) + len(data) > most:
                raise Declined(413, QUOTA, f"at most {most} bytes may wait to be published")
            view.stage_blob(digest, data, owner, write_time(now))

    await context.write(work)


async def begin_upload(context: Context) -> Response:
    """Begin an upload in parts; a blob that is there already needs none."""
    body: UploadBody = context.body

    def held(registry: Registry) -> bool:
        with registry.store.read() as view:
            return view.holds_blob(body.digest)

    if await context.read(held):
        return answer({"held": True, "offset": body.size})
    uploads = context.service.uploads
    found = await context.read(lambda _: uploads.begin(body.digest, body.size, context.actor.user))
    location = f"{BASE}/uploads/{found}"
    return answer({"held": False, "offset": 0, "upload": location}, 201, {"Location": location})


async def upload_offset(context: Context) -> Response:
    """Where an upload goes on."""
    uploads, part = context.service.uploads, context.part("upload")
    offset, size = await context.read(lambda _: uploads.offset(part, context.actor.user))
    return answer({"offset": offset, "size": size}, 200, {"Upload-Offset": str(offset), "Upload-Length": str(size)})


async def upload_part(context: Context) -> Response:
    """Go on with an upload."""
    uploads, part, settings = context.service.uploads, context.part("upload"), context.service.settings
    said = context.request.headers.get("upload-offset", "")
    if not re.fullmatch(r"[0-9]{1,15}", said):
        raise bad("the header Upload-Offset says where the part begins")
    user = context.actor.user
    data = await read_body(context.request, settings.largest_part, settings.body_seconds)
    offset, size = await context.read(lambda _: uploads.add(part, user, int(said), data))
    if offset == size:
        digest, whole = await context.read(lambda _: uploads.take(part, user))
        try:
            await _stage(context, digest, whole)
        finally:
            await context.read(lambda _: uploads.end(part, user))
    return answer({"offset": offset, "size": size}, 200, {"Upload-Offset": str(offset)})


# Publishing and deciding


class ReleaseBody(Shape):
    """A release that is handed in; every blob that it rests on was uploaded before."""

    node: Text
    release: Text
    subject: Hex
    evidence: Hex
    envelope: Base64
    signer: Hex
    blobs: Annotated[list[Hex], Field(max_length=10_000)]
    artefacts: Annotated[dict[Text, Hex], Field(max_length=1000)]
    verdicts: Annotated[dict[Text, Text], Field(max_length=1000)]


class SignedBody(Shape):
    """Something signed: a DSSE envelope, and the public key that it verifies with."""

    envelope: Base64
    signer: Hex


async def publish(context: Context) -> Response:
    """Let a release in."""
    body: ReleaseBody = context.body
    context.service.access.demand(context.actor, "publish", body.node)
    handed_in = await context.read(lambda r: _checked(r, body))
    receipt = await _publish(context, handed_in)
    return answer({"receipt": receipt.to_data(), "appended": receipt.appended}, 201 if receipt.appended else 200)


def _checked(registry: Registry, body: ReleaseBody) -> Checked:
    """The submission with the bytes of its blobs, after it was checked."""
    blobs, absent = {}, []
    for digest in dict.fromkeys([*body.blobs, body.evidence, *body.artefacts.values()]):
        with registry.store.read() as view:
            data = registry.store.blobs.read(digest) if view.holds_blob(digest) else None
        if data is None:
            absent.append(reason(BLOB_MISSING, f"the blob {digest} was not uploaded"))
        else:
            blobs[digest] = data
    if absent:
        raise Refused(*absent)
    return checked(
        Submission(
            body.node,
            body.release,
            body.subject,
            body.evidence,
            _bytes(body.envelope),
            PublicKey(bytes.fromhex(body.signer)),
            blobs,
            body.artefacts,
            body.verdicts,
        )
    )


async def _publish(context: Context, handed_in: Checked, draft: Record | None = None) -> Receipt:
    service, actor, submission = context.service, context.actor, handed_in.submission
    now = write_time(service.clock())

    def work(registry: Registry) -> Receipt:
        with registry.store.write() as view:
            service.demand_key(view, actor, submission.signer, "publish", submission.node)
            receipt = registry.publish(handed_in)
            if receipt.appended and view.record("release", submission.name) is None:
                handed = Record("release", submission.name, actor.user, at=now)
                view.put_record(handed, 0)
            if draft is not None:
                done = draft.changed(now, state=drafts.PUBLISHED, entry=receipt.entry)
                stored = view.put_record(done, draft.version)
                view.add_event(now, "draft", draft.id, {"status": stored.state, "version": stored.version})
            return receipt

    return await context.write(work)  # type: ignore[no-any-return]  # a receipt


async def decide(context: Context) -> Response:
    """Approve, reject or revoke a release, by a signed decision."""
    body: SignedBody = context.body
    signer = PublicKey(bytes.fromhex(body.signer))
    receipt = await context.service.decide(context.actor, _bytes(body.envelope), signer)
    return answer({"receipt": receipt.to_data(), "appended": receipt.appended}, 201)


async def waive(context: Context) -> Response:
    """Waive a finding, by a signed waiver."""
    body: SignedBody = context.body
    signer = PublicKey(bytes.fromhex(body.signer))
    receipt = await context.service.waive(context.actor, _bytes(body.envelope), signer)
    return answer({"receipt": receipt.to_data(), "appended": receipt.appended}, 201 if receipt.appended else 200)


# Drafts


class DraftBody(Shape):
    """A draft to begin."""

    node: Text
    release: Text
    context: dict[str, Any] = Field(default_factory=dict)


class ChangeBody(Shape):
    """A change of a draft that is at a version."""

    version: Annotated[int, Field(ge=1, le=2**53)]
    merge: bool = False
    status: Text = ""
    artefacts: Annotated[dict[Text, Hex], Field(max_length=1000)] = Field(default_factory=dict)
    context: dict[str, Any] = Field(default_factory=dict)


class CompleteBody(Shape):
    """What completes a draft: everything about the release that its artefacts do not say."""

    version: Annotated[int, Field(ge=1, le=2**53)]
    subject: Hex
    evidence: Hex
    envelope: Base64
    signer: Hex
    blobs: Annotated[list[Hex], Field(max_length=10_000)]
    verdicts: Annotated[dict[Text, Text], Field(max_length=1000)]
    artefacts: Annotated[list[Text], Field(max_length=1000)]


class AttachQuery(Shape):
    """The version of the draft that the artefact is attached to; 0 for whichever it is."""

    version: Number = 0


class DraftsQuery(Shape):
    """Which drafts."""

    status: Text = ""
    after: Text = ""
    limit: Limit = 100


async def begin_draft(context: Context) -> Response:
    """Begin to put a submission together."""
    body: DraftBody = context.body
    service, actor = context.service, context.actor
    service.access.demand(actor, "publish", body.node)
    drafts.demand_change(Change(context=body.context))
    now, identifier = write_time(service.clock()), drafts.new_id()
    fresh = drafts.begun(identifier, body.node, body.release, actor.user, body.context, now)

    def work(registry: Registry) -> Record:
        with registry.store.write() as view:
            stored = view.put_record(fresh, 0)
            view.add_event(now, "draft", identifier, {"status": stored.state, "version": stored.version})
            return stored

    return answer(drafts.shown(await context.write(work, (drafts.KIND, identifier))), 201)


async def list_drafts(context: Context) -> Response:
    """Drafts, by id."""
    q: DraftsQuery = context.query

    def work(registry: Registry) -> list[dict[str, Any]]:
        with registry.store.read() as view:
            found = view.records(drafts.KIND, state=q.status or None, after=q.after, limit=q.limit)
        return [drafts.shown(draft) for draft in found]

    return answer({"drafts": await context.read(work)})


async def show_draft(context: Context) -> Response:
    """One draft."""
    draft = await context.read(lambda r: _draft(r, context.part("draft")))
    return answer(drafts.shown(draft))


def _draft(registry: Registry, identifier: str) -> Record:
    with registry.store.read() as view:
        return identity.demand(view, drafts.KIND, identifier)


async def change_draft(context: Context) -> Response:
    """Change a draft, by compare-and-swap on its version."""
    body: ChangeBody = context.body
    change = Change(body.status, body.artefacts, body.context)
    drafts.demand_change(change)
    return answer(drafts.shown(await _changed(context, change, body.version, merge=body.merge)))


async def attach(context: Context) -> Response:
    """Upload an artefact and attach it to a draft."""
    q: AttachQuery = context.query
    settings, name = context.service.settings, context.part("artefact")
    data = await read_body(context.request, settings.largest_part, settings.body_seconds)
    digest = address(data)
    change = Change(artefacts={name: digest})
    drafts.demand_change(change)
    stored = await _changed(context, change, q.version, merge=True, blob=(digest, data))
    return answer({"digest": digest, **drafts.shown(stored)}, 201)


async def _changed(
    context: Context, change: Change, version: int, *, merge: bool, blob: tuple[str, bytes] | None = None
) -> Record:
    service, actor, identifier = context.service, context.actor, context.part("draft")
    now, most = write_time(service.clock()), service.settings.staged

    def work(registry: Registry) -> Record:
        with registry.store.write() as view:
            draft = identity.demand(view, drafts.KIND, identifier)
            service.access.demand(actor, "publish", str(draft.data["node"]))
            after = drafts.merged(draft, change, version or draft.version, now, merge=merge)
            if blob is not None:
                if view.staged_bytes(actor.user) + len(blob[1]) > most:
                    raise Declined(413, QUOTA, f"at most {most} bytes may wait to be published")
                view.stage_blob(*blob, actor.user, now)
            stored = view.put_record(after, draft.version)
            view.add_event(now, "draft", identifier, {"status": stored.state, "version": stored.version})
            return stored

    needs = [(drafts.KIND, identifier), *([(BLOB, blob[0])] if blob else [])]
    return await context.write(work, *needs)  # type: ignore[no-any-return]  # a record


async def complete(context: Context) -> Response:
    """Hand a draft in: its release is published, and the draft is closed, in one transaction."""
    body: CompleteBody = context.body
    draft: Record = await context.read(lambda r: _draft(r, context.part("draft")))
    node = str(draft.data["node"])
    context.service.access.demand(context.actor, "publish", node)
    if draft.state in drafts.CRITICAL:
        raise drafts.person(draft, drafts.PUBLISHED)
    if draft.version != body.version:
        raise drafts.conflict(draft, body.version)
    attached: dict[str, str] = dict(draft.data["artefacts"])
    if unknown := [name for name in body.artefacts if name not in attached]:
        raise bad(f"no artefact {unknown[0][:80]!r} is attached")
    release = ReleaseBody(
        node=node,
        release=str(draft.data["release"]),
        subject=body.subject,
        evidence=body.evidence,
        envelope=body.envelope,
        signer=body.signer,
        blobs=list(dict.fromkeys([*body.blobs, *attached.values()])),
        artefacts={name: attached[name] for name in body.artefacts},
        verdicts=body.verdicts,
    )
    handed_in = await context.read(lambda r: _checked(r, release))
    receipt = await _publish(context, handed_in, draft)
    return answer({"receipt": receipt.to_data(), "appended": receipt.appended}, 201)


# The log


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
    return answer({"entries": [{"number": number, "data": _text(data)} for number, data in found]})


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


async def get_bundle(context: Context) -> Response:
    """Everything that is needed to verify a release without the registry, in one file."""
    name = context.part("name")
    data = await context.read(lambda r: encode(bundles.bundle(r, name)))
    headers = {"Content-Disposition": f'attachment; filename="{re.sub("[^a-z0-9.-]", "-", name)}.certify"'}
    return Response(data, 200, headers, bundles.MEDIA_TYPE)


# Events


class EventsQuery(Shape):
    """Behind which change; a reader's cursor counts when one is named."""

    after: Annotated[int, Field(ge=-1, le=2**53)] = -1
    limit: Limit = 100
    reader: Annotated[str, Field(pattern=r"^[a-z0-9._-]{0,64}$")] = ""


class CursorBody(Shape):
    """Up to which change a reader has come."""

    number: Number
    version: Number = 0


async def get_events(context: Context) -> Response:
    """Changes, in order, from a reader's cursor on."""
    q: EventsQuery = context.query

    def work(registry: Registry) -> dict[str, Any]:
        with registry.store.read() as view:
            cursor = view.record("cursor", f"{context.actor.user}/{q.reader}") if q.reader else None
            start = q.after if q.after >= 0 else int(cursor.data["number"]) if cursor else 0
            found = view.events(start, q.limit)
        return {
            "events": [event_data(event) for event in found],
            "next": found[-1].number if found else start,
            "cursor_version": cursor.version if cursor else 0,
        }

    return answer(await context.read(work))


async def put_cursor(context: Context) -> Response:
    """Move a reader's cursor, by compare-and-swap on its version."""
    body: CursorBody = context.body
    name, user = context.part("reader"), context.actor.user
    if not re.fullmatch(r"[a-z0-9._-]{1,64}", name):
        raise bad("a reader's name is 1 to 64 lower-case letters, digits, and . _ -")
    record = Record(
        "cursor", f"{user}/{name}", user, at=write_time(context.service.clock()), data={"number": body.number}
    )

    def work(registry: Registry) -> Record:
        with registry.store.write() as view:
            return view.put_record(record, body.version)

    stored: Record = await context.write(work)
    return answer({"reader": name, "number": body.number, "version": stored.version})


async def stream_events(context: Context) -> Response:
    """Changes as they come, as server-sent events; Last-Event-ID says where to go on."""
    hub, said = context.service.hub, context.request.headers.get("last-event-id", "")
    after = context.query.after
    if re.fullmatch(r"[0-9]{1,15}", said):
        after = int(said)
    start = hub.newest if after < 0 else after
    hub.join()
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return _Stream(hub.frames(start), hub.leave, headers=headers)


class _Stream(Response):
    """A stream that gives its place back, however it ends.

    Frames go to the server as they come; one task listens for the client going away. A `StreamingResponse` does the
    same with several tasks and contexts for each stream, which is what a hundred streams would mostly wait for.
    """

    def __init__(self, frames: AsyncGenerator[bytes, None], leave: Callable[[], None], headers: dict[str, str]) -> None:
        super().__init__(None, 200, headers, "text/event-stream")
        del self.headers["content-length"]
        self._frames = frames
        self._leave = leave

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - as ASGI has it
        work = asyncio.ensure_future(self._send(send))
        try:
            while not work.done():
                listening = asyncio.ensure_future(receive())
                await asyncio.wait({work, listening}, return_when=asyncio.FIRST_COMPLETED)
                if not listening.done():
                    listening.cancel()
                elif listening.result()["type"] == "http.disconnect":
                    break
        finally:
            work.cancel()
            with contextlib.suppress(asyncio.CancelledError, OSError):
                await work
            await self._frames.aclose()
            self._leave()

    async def _send(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        async for frame in self._frames:
            await send({"type": "http.response.body", "body": frame, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


# Who


class LoginBody(Shape):
    """Who signs in."""

    user: Annotated[str, Field(max_length=64)]
    password: Annotated[str, Field(max_length=1024)]


class TokenBody(Shape):
    """A token to make: what it allows, for which nodes, for how long."""

    name: Text
    scopes: Annotated[list[Text], Field(max_length=20)] = Field(default_factory=list)
    prefix: Annotated[str, Field(max_length=128)] = ""
    days: Annotated[float, Field(gt=0, le=366)] | None = None


class KeyBody(Shape):
    """A public key, and its signature over the text that shows it is the sender's."""

    public: Hex
    signature: Annotated[str, Field(pattern=r"^[0-9a-f]{128}$")]


class UserBody(Shape):
    """A user to enter."""

    id: Annotated[str, Field(max_length=64)]
    name: Text = ""
    roles: Annotated[list[Text], Field(max_length=3)] = Field(default_factory=list)
    password: Annotated[str, Field(max_length=1024)] = ""


class UserChangeBody(Shape):
    """A change of a user."""

    version: Annotated[int, Field(ge=1, le=2**53)]
    state: Text | None = None
    roles: Annotated[list[Text], Field(max_length=3)] | None = None
    password: Annotated[str, Field(max_length=1024)] | None = None


class AuditQuery(Shape):
    """Which lines of the audit."""

    before: Number = 2**53
    limit: Limit = 100
    outcome: Text = ""


async def login(context: Context) -> Response:
    """Sign in; the session's cookie comes with the answer."""
    body: LoginBody = context.body
    cookie, actor = await context.service.sign_in(body.user, body.password, context.actor.address)
    response = answer({**_me(context, actor), "csrf": actor.csrf})
    set_session(response, cookie, secure=context.service.settings.secure_cookies)
    return response


def set_session(response: Response, cookie: str, *, secure: bool) -> None:
    """Send a session's cookie: for this host alone, out of reach of scripts and of other sites' forms."""
    response.set_cookie(
        COOKIE, cookie, max_age=int(identity.SESSION.total_seconds()), secure=secure, httponly=True, samesite="lax"
    )


async def logout(context: Context) -> Response:
    """Sign out."""
    cookie = context.request.cookies.get(COOKIE, "")
    if cookie:
        await context.service.sign_out(cookie)
    response = answer({"signed_out": True})
    response.delete_cookie(COOKIE)
    return response


async def me(context: Context) -> Response:
    """Who asks, and what they may do."""
    return answer(_me(context, context.actor))


def _me(context: Context, actor: identity.Actor) -> dict[str, Any]:
    access = context.service.access
    return {
        "user": actor.user,
        "name": actor.name,
        "roles": sorted(actor.roles),
        "token": actor.token,
        "prefix": actor.prefix,
        "may": [action for action in identity.ACTIONS if access.allows(actor, action)],
    }


async def make_token(context: Context) -> Response:
    """Make an API token, never wider than what asks for it; its text is shown once."""
    body: TokenBody = context.body
    service, actor = context.service, context.actor
    now = service.clock()
    ends = now + timedelta(days=body.days) if body.days is not None else None

    def work(registry: Registry) -> tuple[str, Record]:
        with registry.store.write() as view:
            return identity.new_token(
                view,
                actor.user,
                now=now,
                name=body.name,
                scopes=body.scopes,
                prefix=body.prefix,
                expires=ends,
                parent=actor.token,
            )

    text, stored = await context.write(work)
    return answer({"token": text, **identity.public_token(stored)}, 201)


async def list_tokens(context: Context) -> Response:
    """The tokens of whoever asks."""

    def work(registry: Registry) -> list[dict[str, Any]]:
        with registry.store.read() as view:
            return [identity.public_token(token) for token in view.records("token", owner=context.actor.user)]

    return answer({"tokens": await context.read(work)})


async def revoke_token(context: Context) -> Response:
    """Revoke a token, and all that were narrowed from it."""
    service, actor, identifier = context.service, context.actor, context.part("token")
    now = service.clock()

    def work(registry: Registry) -> dict[str, Any]:
        with registry.store.write() as view:
            found = identity.read_token(view, identifier)
            if found.owner != actor.user:
                service.access.demand(actor, "administer")
            return identity.public_token(identity.revoke_token(view, identifier, now=now))

    return answer(await context.write(work))


async def add_key(context: Context) -> Response:
    """Enter a signing key of whoever asks, who shows that they hold it."""
    body: KeyBody = context.body
    service, actor = context.service, context.actor
    key = PublicKey(bytes.fromhex(body.public))
    origin = await context.read(lambda r: r.verifier.origin)
    if not key.verifies(bytes.fromhex(body.signature), identity.possession(origin, actor.user, key)):
        raise Refused(reason(identity.POSSESSION, "the signature does not show that the key is yours"))
    now = service.clock()

    def work(registry: Registry) -> Record:
        with registry.store.write() as view:
            return identity.add_key(view, actor.user, key, now=now)

    stored: Record = await context.write(work)
    return answer({"key": stored.id, "owner": stored.owner, "state": stored.state}, 201)


async def list_keys(context: Context) -> Response:
    """The signing keys of whoever asks."""

    def work(registry: Registry) -> list[dict[str, Any]]:
        with registry.store.read() as view:
            found = view.records("key", owner=context.actor.user)
        return [{"key": k.id, "state": k.state, "held": k.data["held"], "at": k.at} for k in found]

    return answer({"keys": await context.read(work)})


async def revoke_key(context: Context) -> Response:
    """Revoke a signing key: nothing more can be signed with it."""
    service, actor, identifier = context.service, context.actor, context.part("key")
    now = write_time(service.clock())

    def work(registry: Registry) -> dict[str, Any]:
        with registry.store.write() as view:
            found = identity.demand(view, "key", identifier)
            if found.owner != actor.user:
                service.access.demand(actor, "administer")
            stored = view.put_record(found.changed(now, state="revoked"), found.version)
            return {"key": stored.id, "owner": stored.owner, "state": stored.state}

    return answer(await context.write(work))


async def list_users(context: Context) -> Response:
    """The users."""

    def work(registry: Registry) -> list[dict[str, Any]]:
        with registry.store.read() as view:
            return [identity.public_user(user) for user in view.records("user")]

    return answer({"users": await context.read(work)})


async def add_user(context: Context) -> Response:
    """Enter a user."""
    body: UserBody = context.body
    now = context.service.clock()
    hashed = await context.read(lambda _: identity.hashed(body.password)) if body.password else ""

    def work(registry: Registry) -> dict[str, Any]:
        with registry.store.write() as view:
            return identity.public_user(
                identity.add_user(view, body.id, now=now, name=body.name, roles=body.roles, password=hashed)
            )

    return answer(await context.write(work), 201)


async def change_user(context: Context) -> Response:
    """Change a user's roles, password or state, by compare-and-swap on the version."""
    body: UserChangeBody = context.body
    login, now = context.part("user"), context.service.clock()
    changes: dict[str, Any] = {}
    if body.state is not None:
        changes["state"] = body.state
    if body.roles is not None:
        changes["roles"] = body.roles
    if body.password is not None:
        password = body.password
        changes["password"] = await context.read(lambda _: identity.hashed(password))

    def work(registry: Registry) -> dict[str, Any]:
        with registry.store.write() as view:
            return identity.public_user(
                identity.change_user(view, login, now=now, expected=body.version, **changes)
            )  # fmt: skip

    return answer(await context.write(work))


async def get_audit(context: Context) -> Response:
    """The audit, the newest line first."""
    q: AuditQuery = context.query

    def work(registry: Registry) -> list[dict[str, Any]]:
        with registry.store.read() as view:
            found = view.audited(q.before, q.limit, q.outcome)
        return [{name: getattr(line, name) for name in line.__slots__} for line in found]

    return answer({"audit": await context.read(work)})


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise bad("a member is not base64") from None


_MADE: Final = {201: "Made.", 200: "It was there already."}
_PUT: Final = {201: "Made."}
_RANGES: Final = {200: "All of it.", 206: "The range.", 304: "It has not changed.", 416: "Nothing is in the range."}

ENDPOINTS: Final = (
    Endpoint("GET", f"{BASE}/registry", "The registry's key, size and newest checkpoint", about, "read"),
    Endpoint("GET", f"{BASE}/releases", "Search releases, the newest first", list_releases, "read", query=ListQuery),
    Endpoint("POST", f"{BASE}/releases", "Publish a release", publish, body=ReleaseBody, success=_MADE),
    Endpoint("GET", f"{BASE}/counts", "Number of releases by status", counts, "read"),
    Endpoint("GET", f"{BASE}/releases/{{name:path}}", "Show a release, by node@version", show_release, "read"),
    Endpoint("GET", f"{BASE}/history/{{name:path}}", "The log's entries about a node", history, "read"),
    Endpoint("GET", f"{BASE}/bundles/{{name:path}}", "A release to be verified offline", get_bundle, "read",
             media=bundles.MEDIA_TYPE),
    Endpoint("GET", f"{BASE}/diff", "What changed between two releases", diff, "read", query=DiffQuery),
    Endpoint("GET", f"{BASE}/waivers", "List waivers", list_waivers, "read", query=NodeQuery),
    Endpoint("POST", f"{BASE}/waivers", "Waive a finding", waive, body=SignedBody, success=_MADE),
    Endpoint("POST", f"{BASE}/decisions", "Decide on a release", decide, body=SignedBody, success=_PUT),
    Endpoint("GET", f"{BASE}/blobs/{{digest}}", "Download a blob, or a range of it", get_blob, "read", media=_BINARY,
             success=_RANGES),
    Endpoint("PUT", f"{BASE}/blobs/{{digest}}", "Upload a blob at once", put_blob, "upload", raw=_BINARY, success=_PUT),
    Endpoint("POST", f"{BASE}/blobs", "Which blobs are missing", missing_blobs, "upload", body=MissingBody),
    Endpoint("POST", f"{BASE}/packs", "Upload several blobs at once", put_pack, "upload", raw=_BINARY,
             success=_PUT),
    Endpoint("POST", f"{BASE}/uploads", "Begin an upload in parts", begin_upload, "upload", body=UploadBody,
             success=_MADE),
    Endpoint("GET", f"{BASE}/uploads/{{upload}}", "Where an upload goes on", upload_offset, "upload"),
    Endpoint("PATCH", f"{BASE}/uploads/{{upload}}", "Go on with an upload", upload_part, "upload", raw=_BINARY),
    Endpoint("GET", f"{BASE}/drafts", "List drafts", list_drafts, "read", query=DraftsQuery),
    Endpoint("POST", f"{BASE}/drafts", "Begin a draft", begin_draft, body=DraftBody, success=_PUT),
    Endpoint("GET", f"{BASE}/drafts/{{draft}}", "Show a draft", show_draft, "read"),
    Endpoint("PATCH", f"{BASE}/drafts/{{draft}}", "Change a draft", change_draft, body=ChangeBody),
    Endpoint("PUT", f"{BASE}/drafts/{{draft}}/artefacts/{{artefact}}", "Attach an artefact to a draft", attach,
             "upload", raw=_BINARY, query=AttachQuery, success=_PUT),
    Endpoint("POST", f"{BASE}/drafts/{{draft}}/complete", "Publish a draft", complete, body=CompleteBody, success=_PUT),
    Endpoint("GET", f"{BASE}/log/checkpoint", "A signed checkpoint", get_checkpoint, "read", query=SizeQuery,
             media="text/plain"),
    Endpoint("GET", f"{BASE}/log/entries", "Entries of the log", get_entries, "read", query=EntriesQuery),
    Endpoint("GET", f"{BASE}/log/inclusion", "Prove that an entry is in the log", get_inclusion, "read",
             query=InclusionQuery),
    Endpoint("GET", f"{BASE}/log/consistency", "Prove that the log only grew", get_consistency, "read",
             query=ConsistencyQuery),
    Endpoint("GET", f"{BASE}/events", "Changes behind a cursor", get_events, "read", query=EventsQuery),
    Endpoint("PUT", f"{BASE}/cursors/{{reader}}", "Move a reader's cursor", put_cursor, "read", body=CursorBody),
    Endpoint("GET", f"{BASE}/events/stream", "Changes as they come", stream_events, "read", query=EventsQuery,
             media="text/event-stream"),
    Endpoint("POST", f"{BASE}/login", "Sign in with a password", login, anonymous=True, body=LoginBody),
    Endpoint("POST", f"{BASE}/logout", "Sign out", logout, anonymous=True),
    Endpoint("GET", f"{BASE}/me", "Who asks, and what they may do", me),
    Endpoint("GET", f"{BASE}/tokens", "List one's tokens", list_tokens, "tokens"),
    Endpoint("POST", f"{BASE}/tokens", "Make a token", make_token, "tokens", body=TokenBody, success=_PUT),
    Endpoint("DELETE", f"{BASE}/tokens/{{token}}", "Revoke a token", revoke_token, "tokens"),
    Endpoint("GET", f"{BASE}/keys", "List one's signing keys", list_keys, "keys"),
    Endpoint("POST", f"{BASE}/keys", "Enter a signing key", add_key, "keys", body=KeyBody, success=_PUT),
    Endpoint("DELETE", f"{BASE}/keys/{{key}}", "Revoke a signing key", revoke_key, "keys"),
    Endpoint("GET", f"{BASE}/users", "List users", list_users, "administer"),
    Endpoint("POST", f"{BASE}/users", "Enter a user", add_user, "administer", body=UserBody, success=_PUT),
    Endpoint("PATCH", f"{BASE}/users/{{user}}", "Change a user", change_user, "administer", body=UserChangeBody),
    Endpoint("GET", f"{BASE}/audit", "The audit", get_audit, "audit", query=AuditQuery),
)  # fmt: skip
