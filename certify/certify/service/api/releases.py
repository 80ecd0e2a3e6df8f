"""Releases: searched, shown, compared, taken offline, and let in."""

from __future__ import annotations

import re
from typing import Annotated, Any, Final

from pydantic import Field
from starlette.responses import Response

from certify.codec import encode
from certify.evidence.keys import PublicKey
from certify.registry.errors import BLOB_MISSING, Refused, reason
from certify.registry.registry import Registry, Shown
from certify.registry.sql import Record
from certify.registry.submission import Checked, Receipt, Submission, checked
from certify.service import bundles, drafts, reading
from certify.service.answers import answer
from certify.service.api.values import BASE, MADE_OR_THERE, Base64, Hex, Limit, Number, Text, base64_bytes, base64_text
from certify.service.web import Context, Endpoint, Shape
from certify.times import write_time


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
        "entries": [{"number": n, "data": base64_text(raw[n])} for n in numbers],
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


async def get_bundle(context: Context) -> Response:
    """Everything that is needed to verify a release without the registry, in one file."""
    name = context.part("name")
    data = await context.read(lambda r: encode(bundles.bundle(r, name)))
    headers = {"Content-Disposition": f'attachment; filename="{re.sub("[^a-z0-9.-]", "-", name)}.certify"'}
    return Response(data, 200, headers, bundles.MEDIA_TYPE)


async def publish(context: Context) -> Response:
    """Let a release in."""
    body: ReleaseBody = context.body
    context.service.access.demand(context.actor, "publish", body.node)
    handed_in = await context.read(lambda r: checked_submission(r, body))
    receipt = await let_in(context, handed_in)
    return answer({"receipt": receipt.to_data(), "appended": receipt.appended}, 201 if receipt.appended else 200)


def checked_submission(registry: Registry, body: ReleaseBody) -> Checked:
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
            base64_bytes(body.envelope),
            PublicKey(bytes.fromhex(body.signer)),
            blobs,
            body.artefacts,
            body.verdicts,
        )
    )


async def let_in(context: Context, handed_in: Checked, draft: Record | None = None) -> Receipt:
    """Publish a submission that was checked, and close the draft that it was put together in, in one transaction."""
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


ENDPOINTS: Final = (
    Endpoint("GET", f"{BASE}/releases", "Search releases, the newest first", list_releases, "read", query=ListQuery),
    Endpoint("GET", f"{BASE}/counts", "Number of releases by status", counts, "read"),
    Endpoint("GET", f"{BASE}/releases/{{name:path}}", "Show a release, by node@version", show_release, "read"),
    Endpoint("GET", f"{BASE}/history/{{name:path}}", "The log's entries about a node", history, "read"),
    Endpoint("GET", f"{BASE}/diff", "What changed between two releases", diff, "read", query=DiffQuery),
    Endpoint("GET", f"{BASE}/bundles/{{name:path}}", "A release to be verified offline", get_bundle, "read",
             media=bundles.MEDIA_TYPE),
    Endpoint("POST", f"{BASE}/releases", "Publish a release", publish, body=ReleaseBody, success=MADE_OR_THERE),
)  # fmt: skip
