"""Changes: behind a cursor, and as they come."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncGenerator, Callable
from typing import Annotated, Any, Final

from pydantic import Field
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from certify.registry.registry import Registry
from certify.registry.sql import Record
from certify.service.answers import answer
from certify.service.api.values import BASE, Limit, Number
from certify.service.errors import bad
from certify.service.events import event_data
from certify.service.web import Context, Endpoint, Shape
from certify.times import write_time


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
    start = await hub.last() if after < 0 else after
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


ENDPOINTS: Final = (
    Endpoint("GET", f"{BASE}/events", "Changes behind a cursor", get_events, "read", query=EventsQuery),
    Endpoint("PUT", f"{BASE}/cursors/{{reader}}", "Move a reader's cursor", put_cursor, "read", body=CursorBody),
    Endpoint("GET", f"{BASE}/events/stream", "Changes as they come", stream_events, "read", query=EventsQuery,
             media="text/event-stream"),
)  # fmt: skip
