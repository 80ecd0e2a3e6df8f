"""Evidence in and out: blobs at once, in packs, in parts and in ranges."""

from __future__ import annotations

import re
from typing import Annotated, Final

from pydantic import Field
from starlette.responses import Response

from certify.codec import address, decode
from certify.registry.entries import DIGEST
from certify.registry.errors import BLOB_DIGEST, UNKNOWN_NAME, Refused, reason, wrong
from certify.registry.registry import Registry
from certify.registry.sql import BLOB
from certify.service.answers import answer
from certify.service.api.values import BASE, BINARY, MADE, MADE_OR_THERE, Hex
from certify.service.errors import NO_SUCH_PLACE, QUOTA, Declined, bad
from certify.service.web import Context, Endpoint, Shape, read_body
from certify.times import write_time

_RANGE: Final = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})")
_RANGES: Final = {200: "All of it.", 206: "The range.", 304: "It has not changed.", 416: "Nothing is in the range."}


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
        return Response(whole, 200, headers, BINARY)
    data = await context.read(lambda r: r.store.blobs.read(digest, start, stop))
    headers["Content-Range"] = f"bytes {start}-{stop - 1}/{size}"
    return Response(data, 206, headers, BINARY)


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

    await context.write(work, *((BLOB, digest) for digest in pack))
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

    await context.write(work, (BLOB, digest))


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


ENDPOINTS: Final = (
    Endpoint("GET", f"{BASE}/blobs/{{digest}}", "Download a blob, or a range of it", get_blob, "read", media=BINARY,
             success=_RANGES),
    Endpoint("POST", f"{BASE}/blobs", "Which blobs are missing", missing_blobs, "upload", body=MissingBody),
    Endpoint("PUT", f"{BASE}/blobs/{{digest}}", "Upload a blob at once", put_blob, "upload", raw=BINARY, success=MADE),
    Endpoint("POST", f"{BASE}/packs", "Upload several blobs at once", put_pack, "upload", raw=BINARY,
             success=MADE),
    Endpoint("POST", f"{BASE}/uploads", "Begin an upload in parts", begin_upload, "upload", body=UploadBody,
             success=MADE_OR_THERE),
    Endpoint("GET", f"{BASE}/uploads/{{upload}}", "Where an upload goes on", upload_offset, "upload"),
    Endpoint("PATCH", f"{BASE}/uploads/{{upload}}", "Go on with an upload", upload_part, "upload", raw=BINARY),
)  # fmt: skip
