"""Requests and endpoints: who asks, what for, with which body.

Rules this module keeps:

- an endpoint is declared once, with method, path, action and the shapes of query and body: requests are validated by
  that, and the OpenAPI document is written from it;
- a session's request that changes something carries the session's form token; an API token's need not;
- bodies are read up to a limit, within a time, and never unpacked: a compressed one is refused.
"""

from __future__ import annotations

import asyncio
import hmac
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from pydantic import BaseModel, ConfigDict, ValidationError
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from certify.registry.registry import Registry
from certify.service.errors import BAD_REQUEST, FORGED, NOT_SIGNED_IN, TOO_LARGE, TOO_SLOW, Declined, bad
from certify.service.identity import Actor

if TYPE_CHECKING:
    from certify.service.service import Service

COOKIE: Final = "certify_session"
SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
FORM_HEADER: Final = "x-csrf-token"


class Shape(BaseModel):
    """The shape of a query or a body: other members are refused, and values are not guessed."""

    model_config = ConfigDict(extra="forbid", frozen=True)


@dataclass(frozen=True, slots=True)
class Context:
    """One request.

    Attributes:
        service: the service.
        request: the request.
        actor: who asks.
        query: the query, in its declared shape.
        body: the body, in its declared shape.
    """

    service: Service
    request: Request
    actor: Actor
    query: Any = None
    body: Any = None

    def part(self, name: str) -> str:
        """A part of the path."""
        return str(self.request.path_params[name])

    async def read(self, work: Callable[[Registry], Any]) -> Any:
        """Do the work in a reader's thread."""
        return await self.service.desk.read(work)

    async def write(self, work: Callable[[Registry], Any], *needs: tuple[str, str]) -> Any:
        """Do the work in the writer's thread; `needs` are the records that it will ask for, by kind and id."""
        return await self.service.desk.write(work, *needs)


Handler = Callable[[Context], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One address with one method.

    Attributes:
        method: the HTTP method.
        path: the path, with parts in braces.
        summary: what it does, in one sentence.
        handler: does it.
        action: what the policies are asked before anything else; empty when the handler asks itself.
        anonymous: whether nobody in particular may ask.
        query: shape of the query.
        body: shape of the JSON body.
        raw: media type of a body that is no JSON.
        success: the statuses of success, each with what it means.
        media: media type of the answer.
    """

    method: str
    path: str
    summary: str
    handler: Handler
    action: str = ""
    anonymous: bool = False
    query: type[Shape] | None = None
    body: type[Shape] | None = None
    raw: str = ""
    success: Mapping[int, str] = field(default_factory=lambda: {200: "Done."})
    media: str = "application/json"


async def answered(endpoint: Endpoint, service: Service, request: Request) -> Response:
    """Answer one request to an endpoint.

    Raises:
        Declined: it is not for this endpoint, or not for whoever asks.
    """
    actor = await service.actor(request)
    if (
        not actor.user
        and not endpoint.anonymous
        and not (service.settings.anonymous_read and endpoint.action == "read")
    ):
        message = "sign in, or send a token"
        headers = {"WWW-Authenticate": 'Bearer realm="certify"'}
        raise Declined(
            401, NOT_SIGNED_IN, message, headers=headers, action=endpoint.action or "ask", item=endpoint.path
        )
    if request.method not in SAFE:
        demand_form_token(actor, request.headers.get(FORM_HEADER, ""))
    if endpoint.action and actor.user:
        service.access.demand(actor, endpoint.action)
    query = _query(endpoint, request)
    body = _shaped(endpoint.body, await read_json(service, request)) if endpoint.body else None
    return await endpoint.handler(Context(service, request, actor, query, body))


def demand_form_token(actor: Actor, sent: str) -> None:
    """Refuse a request that rides on a session without coming from one of its pages.

    Raises:
        Declined: SRV009.
    """
    if actor.csrf and not hmac.compare_digest(actor.csrf.encode(), sent.encode("utf-8", "replace")):
        raise Declined(403, FORGED, "the form token is missing or another one's", who=actor.user, action="form token")


def _query(endpoint: Endpoint, request: Request) -> Any:
    pairs = request.query_params.multi_items() if request.scope["query_string"] else []
    names = [name for name, _ in pairs]
    if len(set(names)) != len(names):
        raise bad("a parameter occurs twice")
    if endpoint.query is None:
        if pairs:
            raise bad(f"there is no parameter {names[0][:80]!r} here")
        return None
    return _shaped(endpoint.query, dict(pairs))


def _shaped(shape: type[Shape], data: Any) -> Any:
    try:
        return shape.model_validate(data)
    except ValidationError as error:
        said = "\n".join(
            f"{'.'.join(map(str, each['loc'])) or 'it'}: {each['msg']}"
            for each in error.errors(include_input=False)[:8]
        )
        raise Declined(400, BAD_REQUEST, "the request has not the declared shape", because=said) from None


async def read_json(service: Service, request: Request) -> Any:
    """The JSON body.

    Raises:
        Declined: SRV001 no JSON, or text that cannot be stored; SRV006, SRV016 too large or too slow.
    """
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise Declined(415, BAD_REQUEST, "the body is to be application/json")
    data = await read_body(request, service.settings.largest_json, service.settings.body_seconds)
    try:
        text = data.decode(json.detect_encoding(data))
        value = _JSON.decode(text)
    except (ValueError, RecursionError) as error:
        raise bad("the body is no JSON", because=str(error)[:300]) from None
    if "\\u" in text:  # what is wrong with a text can only have come in by an escape
        _demand_text(value)
    return value


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key occurs twice in a map")
    return found


_JSON: Final = json.JSONDecoder(parse_constant=_no_constant, object_pairs_hook=_once)


def _demand_text(value: Any) -> None:
    """Refuse text that no database can hold and no page can show: NUL, and halves of surrogate pairs."""
    waiting = [value]
    while waiting:
        match waiting.pop():
            case str() as text if "\0" in text or any("\ud800" <= c <= "\udfff" for c in text):
                raise bad("a text holds a NUL or half of a surrogate pair")
            case dict() as members:
                waiting += [*members.keys(), *members.values()]
            case list() as members:
                waiting += members
            case _:
                pass


async def read_body(request: Request, limit: int, seconds: float) -> bytes:
    """The body as it was sent.

    Raises:
        Declined: SRV001 it is compressed; SRV006 it is larger than the limit; SRV016 it did not arrive in time.
    """
    if request.headers.get("content-encoding", "identity").lower() not in {"", "identity"}:
        raise Declined(415, BAD_REQUEST, "a compressed body is not unpacked here", fix="send it as it is")
    said = request.headers.get("content-length", "0")
    if said.isdecimal() and int(said[:20]) > limit:
        raise _too_large(limit)
    chunks, size = [], 0
    try:
        async with asyncio.timeout(seconds):
            async for chunk in request.stream():
                size += len(chunk)
                if size > limit:
                    raise _too_large(limit)
                chunks.append(chunk)
    except TimeoutError:
        message = f"the body did not arrive within {seconds:g} s"
        raise Declined(408, TOO_SLOW, message, headers={"Connection": "close"}) from None
    except ClientDisconnect:
        raise bad("the client went away") from None
    return b"".join(chunks)


def _too_large(limit: int) -> Declined:
    return Declined(413, TOO_LARGE, f"the body is larger than {limit} bytes", headers={"Connection": "close"})


def bearer(request: Request) -> str:
    """The token that a request carries; empty when there is none."""
    for name, value in request.scope["headers"]:
        if name == b"authorization":
            kind, _, token = value.decode("latin-1").partition(" ")
            return token.strip() if kind.lower() == "bearer" else ""
    return ""


def client_address(request: Request) -> str:
    """Where the request came from, as far as the server knows."""
    client = request.scope.get("client")
    return str(client[0]) if client else ""
