"""The ASGI application: routes, and what happens around every request.

Rules this module keeps:

- a request is admitted or declined before anything else is done for it;
- whatever goes wrong is one problem document, one line in the log and one observation in the metrics; what is a refusal
  of access is in the audit before it is answered;
- pages come from the routes that are passed in: the API knows nothing of them.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, nullcontext
from dataclasses import replace
from typing import Any, Final

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from certify.registry.errors import Conflict, Refused
from certify.service import answers, openapi
from certify.service.answers import answer
from certify.service.api import ENDPOINTS
from certify.service.errors import DEFECT, NO_SUCH_METHOD, NO_SUCH_PLACE, Declined
from certify.service.identity import Actor
from certify.service.routing import Application
from certify.service.service import Service
from certify.service.web import Endpoint, answered, bearer, client_address
from certify_spec.diagnostics import RequestError

Answerer = Callable[[Request], Awaitable[Response]]
HEADERS: Final = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
UNGUARDED: Final = frozenset({"/healthz", "/readyz", "/metrics"})
"""Addresses that answer however much there is to do."""
STREAMING: Final = "/events/stream"


def build(service: Service, pages: Sequence[BaseRoute] = ()) -> Application:
    """The application over a service.

    Args:
        service: the service; started and stopped with the application.
        pages: further routes; wrap their endpoints with `guarded`.
    """

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        await service.start()
        try:
            yield
        finally:
            await service.stop()

    routes = [
        Route("/openapi.json", guarded(service, "openapi", _document), methods=["GET"]),
        Route("/healthz", _healthy, methods=["GET"]),
        Route("/readyz", _ready, methods=["GET"]),
        Route("/metrics", _metrics, methods=["GET"]),
        *pages,
    ]
    api = [_route(service, endpoint) for endpoint in in_order(ENDPOINTS)]
    app = Application(api, routes, lifespan=lifespan, exception_handlers={HTTPException: _unrouted})
    app.state.service = service
    return app


def in_order(endpoints: Sequence[Endpoint]) -> list[Endpoint]:
    """Addresses without parts first, so that none is taken for a part of another."""
    return sorted(endpoints, key=lambda endpoint: "{" in endpoint.path)


def _route(service: Service, endpoint: Endpoint) -> Route:
    async def work(request: Request) -> Response:
        return await answered(endpoint, service, request)

    return Route(endpoint.path, guarded(service, endpoint.path, work), methods=[endpoint.method])


def guarded(
    service: Service, name: str, work: Answerer, of: Callable[[Request, Exception], Response] | None = None
) -> Answerer:
    """The work with everything around it: admission, the answer to errors, audit, metrics, log.

    Args:
        service: the service.
        name: what the endpoint is called in metrics.
        work: answers the request.
        of: what an error becomes; a problem document by default.
    """

    async def answer_it(request: Request) -> Response:
        began = time.perf_counter()
        try:
            response = await _admitted(service, request, work)
        except Exception as error:
            response = await _declined(service, request, error, of)
        said = {name for name, _ in response.raw_headers}
        response.raw_headers += [header for header in HEADERS if header[0] not in said]
        seconds = time.perf_counter() - began
        service.metrics.requests.labels(request.method, name, str(response.status_code)).observe(seconds)
        service.log.say(
            "request",
            method=request.method,
            endpoint=name,
            status=response.status_code,
            seconds=round(seconds, 6),
            client=client_address(request),
        )
        return response

    return answer_it


async def _admitted(service: Service, request: Request, work: Answerer) -> Response:
    service.buckets.take(_client(request))
    place = nullcontext() if request.scope["path"].endswith(STREAMING) else service.places.admitted()
    with place, service.traced(request):
        return await work(request)


def _client(request: Request) -> str:
    """Whose bucket a request draws from: the token's, else the address's."""
    token = bearer(request)
    return f"token {token[:20]}" if token.startswith("cty_") else f"address {client_address(request)}"


async def _declined(
    service: Service, request: Request, error: Exception, of: Callable[[Request, Exception], Response] | None
) -> Response:
    response = of(request, error) if of is not None else answers.of(error)
    match error:
        case Declined():
            service.metrics.refused.labels(error.diagnostic.code).inc()
            if error.status in {429, 503}:
                service.metrics.backpressure.labels(error.diagnostic.code).inc()
            if error.action or error.status in {408, 413, 415}:
                await _audit(service, request, error.who, error.action or "send", error.item, str(error))
        case Conflict():
            service.metrics.conflicts.labels("release" if "@" in error.item else "draft").inc()
            await _audit(service, request, "", "change", error.item, str(error))
        case Refused() | RequestError():
            for diagnostic in error.diagnostics:
                service.metrics.refused.labels(diagnostic.code).inc()
            if request.method not in {"GET", "HEAD"} or isinstance(error, Refused):
                said = "; ".join(f"{d.code}: {d.message}" for d in error.diagnostics)
                await _audit(service, request, "", "change", request.url.path, said)
        case _ if response.status_code >= 500:
            service.log.say("defect", code=DEFECT.code, error=f"{type(error).__name__}: {error}", path=request.url.path)
        case _:
            pass
    return response


async def _audit(service: Service, request: Request, who: str, action: str, item: str, why: str) -> None:
    actor = Actor(user=who, address=client_address(request))
    if not who:
        try:
            actor = replace(await service.actor(request), address=actor.address)
        except Exception:
            actor = replace(actor, user="")
    await service.audit(actor, action, item or request.url.path, "refused", why)


async def _document(_request: Request) -> Response:
    return answer(openapi.document(ENDPOINTS))


async def _healthy(_request: Request) -> Response:
    """The process answers."""
    return answer({"healthy": True})


async def _ready(request: Request) -> Response:
    """The registry answers, and requests are taken on."""
    service: Service = request.app.state.service
    try:
        async with asyncio.timeout(5):
            size = await service.desk.read(lambda registry: len(registry.checkpoint() or ""))
    except Exception:
        return answer({"ready": False}, 503, {"Retry-After": "1"})
    ready = not service.stopping
    return answer({"ready": ready, "log": size > 0}, 200 if ready else 503)


async def _metrics(request: Request) -> Response:
    service: Service = request.app.state.service
    await service.measure()
    return Response(service.metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")


async def _unrouted(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    rule = NO_SUCH_METHOD if error.status_code == 405 else NO_SUCH_PLACE
    return answers.of(Declined(error.status_code, rule, rule.meaning, headers=dict(error.headers or {})))


def document_text() -> str:
    """The OpenAPI document as text."""
    value: Any = openapi.document(ENDPOINTS)
    return json.dumps(value, ensure_ascii=False, indent=2, sort_keys=True) + "\n"
