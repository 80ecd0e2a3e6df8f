"""The process that serves: uvicorn, one event loop, one registry.

Rules this module keeps:

- it listens where it was told, says so in one line once it does, and ends in order when it is asked to;
- a connection that does not get on with its request is closed: nobody holds a place by being slow;
- TLS is for the reverse proxy in front; only proxies that were named are believed about where a request came from.
"""

from __future__ import annotations

import asyncio
import gc
import socket
import sys
from collections.abc import Callable
from typing import Any, Final

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.routing import BaseRoute, Route
from uvicorn.protocols.http.h11_impl import H11Protocol

from certify.registry.errors import SYSTEM, wrong
from certify.service import oidc, pages
from certify.service.app import build, guarded
from certify.service.logs import Log
from certify.service.service import Service
from certify.service.settings import Settings

HEADER_SECONDS: Final = 10.0
"""Within how many seconds a request's head must have arrived."""
CONNECTIONS: Final = 1024
COLLECTED_AFTER: Final = 10_000
"""So many new objects are looked through at a time; a request leaves some forty behind that only a look finds."""


def _patient(protocol: type[Any]) -> type[Any]:
    """The protocol, closing connections on which no request's head arrives in time."""

    class Patient(protocol):  # type: ignore[misc]  # one of uvicorn's two
        """Closes a connection that does not get on with its first request."""

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            self._patience = asyncio.get_running_loop().call_later(HEADER_SECONDS, self._lose_patience)

        def _lose_patience(self) -> None:
            if self.cycle is None and not self.transport.is_closing():
                self.transport.close()

        def connection_lost(self, exc: Exception | None) -> None:
            self._patience.cancel()
            super().connection_lost(exc)

    return Patient


def protocol() -> type[Any]:
    """The faster of uvicorn's protocols that is installed."""
    try:
        from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
    except ImportError:
        return _patient(H11Protocol)
    return _patient(HttpToolsProtocol)


class Server(uvicorn.Server):
    """A server that tells when it listens."""

    def __init__(self, config: uvicorn.Config, started: Callable[[], None]) -> None:
        super().__init__(config)
        self._tell = started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, then tell."""
        await super().startup(sockets)
        if self.started:
            self._tell()


def application(settings: Settings, log: Log | None = None, tracer: Any = None) -> Starlette:
    """The whole application: API and pages."""
    service = Service(settings, log=log, tracer=tracer)
    return build(service, [*sign_in_routes(service), *pages.routes(service)])


def sign_in_routes(service: Service, transport: httpx.AsyncBaseTransport | None = None) -> list[BaseRoute]:
    """The addresses of signing in elsewhere, where that was set up.

    Raises:
        RequestError: REG009, nobody could sign in like that.
    """
    settings = service.settings
    if settings.open_id is None:
        return []
    oidc.demand_settings(settings.open_id, settings.public_url)
    provider = oidc.OpenId(settings.open_id, service, transport)
    return [
        Route(oidc.BEGIN, guarded(service, oidc.BEGIN, provider.begin), methods=["GET"]),
        Route(oidc.BACK, guarded(service, oidc.BACK, provider.back), methods=["GET"]),
    ]


def config(app: Starlette, settings: Settings) -> uvicorn.Config:
    """How uvicorn runs it."""
    return uvicorn.Config(
        app,
        http=protocol(),
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=bool(settings.trusted_proxies),
        forwarded_allow_ips=list(settings.trusted_proxies),
        limit_concurrency=CONNECTIONS,
        timeout_keep_alive=15,
        timeout_graceful_shutdown=10,
    )


def run(settings: Settings, *, host: str, port: int, quiet: bool = False) -> int:
    """Serve until the process is asked to end; its exit status.

    Raises:
        RequestError: REG010, it cannot listen there.
    """
    try:
        listening = socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        raise wrong(SYSTEM, f"cannot listen at {host}:{port}: {error.strerror or error}") from None
    where = f"http://{host if ':' not in host else f'[{host}]'}:{listening.getsockname()[1]}"
    log = Log() if quiet else Log.to_errors()

    def started() -> None:
        leave_what_stays()
        sys.stdout.write(f"serving {where}\n")
        sys.stdout.flush()

    with listening:
        app = application(settings, log, tracer(settings))
        Server(config(app, settings), started).run([listening])
    return 0


def leave_what_stays() -> None:
    """Keep the collector of garbage away from what was loaded, and call it less often.

    Going through all of it held every request up for a quarter of a second, now and then.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(COLLECTED_AFTER, *gc.get_threshold()[1:])


def tracer(_settings: Settings) -> Any:
    """OpenTelemetry's tracer, when an exporter was asked for by the usual variables and the SDK is installed."""
    import os

    if os.environ.get("OTEL_TRACES_EXPORTER", "none") in {"", "none"}:
        return None
    try:
        from opentelemetry import trace
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter
    except ImportError:
        return None
    provider = TracerProvider(resource=Resource.create({"service.name": "certify-registry"}))
    exporter: Any
    if os.environ["OTEL_TRACES_EXPORTER"] == "console":
        exporter = ConsoleSpanExporter(out=sys.stderr)
    else:
        try:
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        except ImportError:
            return None
        exporter = OTLPSpanExporter()
    provider.add_span_processor(BatchSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    return trace.get_tracer("certify")
