"""Drafts: submissions being put together, until one is handed in."""

from __future__ import annotations

from typing import Annotated, Any, Final

from pydantic import Field
from starlette.responses import Response

from certify.codec import address
from certify.registry.registry import Registry
from certify.registry.sql import BLOB, Record
from certify.service import drafts, identity
from certify.service.answers import answer
from certify.service.api.releases import ReleaseBody, checked_submission, let_in
from certify.service.api.values import BASE, BINARY, MADE, Base64, Hex, Limit, Number, Text
from certify.service.drafts import Change
from certify.service.errors import QUOTA, Declined, bad
from certify.service.web import Context, Endpoint, Shape, read_body
from certify.times import write_time


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
    handed_in = await context.read(lambda r: checked_submission(r, release))
    receipt = await let_in(context, handed_in, draft)
    return answer({"receipt": receipt.to_data(), "appended": receipt.appended}, 201)


ENDPOINTS: Final = (
    Endpoint("POST", f"{BASE}/drafts", "Begin a draft", begin_draft, body=DraftBody, success=MADE),
    Endpoint("GET", f"{BASE}/drafts", "List drafts", list_drafts, "read", query=DraftsQuery),
    Endpoint("GET", f"{BASE}/drafts/{{draft}}", "Show a draft", show_draft, "read"),
    Endpoint("PATCH", f"{BASE}/drafts/{{draft}}", "Change a draft", change_draft, body=ChangeBody),
    Endpoint("PUT", f"{BASE}/drafts/{{draft}}/artefacts/{{artefact}}", "Attach an artefact to a draft", attach,
             "upload", raw=BINARY, query=AttachQuery, success=MADE),
    Endpoint("POST", f"{BASE}/drafts/{{draft}}/complete", "Publish a draft", complete, body=CompleteBody, success=MADE),
)  # fmt: skip
