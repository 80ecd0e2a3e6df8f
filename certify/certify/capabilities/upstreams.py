"""Requests to declared upstreams, over httpx.

Rules this module keeps:

- nothing but the upstream's own base URL is reached: no redirects, no proxies, no `.netrc`;
- a deadline holds for the whole exchange, so that an upstream that drips cannot hold the node;
- every failure of the network, of TLS or of decoding is an `UpstreamTimeout` or an `UpstreamUnreachable`.
"""

from __future__ import annotations

import os
import ssl
import time
from collections.abc import Iterable, Iterator, Mapping
from contextvars import ContextVar
from typing import Any

import httpcore
import httpx

from certify.capabilities.api import CapabilityError, Response, UpstreamTimeout, UpstreamUnreachable
from certify.capabilities.checking import Request

_DEADLINE: ContextVar[float] = ContextVar("deadline")


class Upstreams:
    """One client for all upstreams of a context. Its connections are made when they are first needed."""

    def __init__(self, urls: Mapping[str, str], largest_body: int) -> None:
        self._urls = {name: url.rstrip("/") for name, url in urls.items()}
        self._largest_body = largest_body
        tls = any(url.startswith("https:") for url in self._urls.values())
        self._client = httpx.Client(
            transport=_Transport(_trust() if tls else None),
            follow_redirects=False,
            trust_env=False,
            headers={"user-agent": "certify"},
        )

    def close(self) -> None:
        """Close every connection."""
        self._client.close()

    def send(self, request: Request) -> Response:
        """Send the request and read the whole answer.

        Raises:
            UpstreamTimeout: the answer was not complete in time.
            UpstreamUnreachable: the connection or the answer was broken.
            CapabilityError: the settings have no address for this upstream.
        """
        base = self._urls.get(request.upstream)
        if base is None:
            raise CapabilityError(f"the settings have no URL for the upstream `{request.upstream}`")
        token = _DEADLINE.set(time.monotonic() + request.timeout)
        try:
            return self._exchange(request, base)
        except (TimeoutError, httpcore.TimeoutException, httpx.TimeoutException) as error:
            raise UpstreamTimeout(
                f"`{request.upstream}` gave no complete answer to {request.method} {request.path} "
                f"within {request.timeout:g} s"
            ) from error
        except (OSError, httpcore.NetworkError, httpcore.ProtocolError, httpx.HTTPError, httpx.InvalidURL) as error:
            raise UpstreamUnreachable(
                f"`{request.upstream}` could not be reached, or broke off, on {request.method} {request.path}: "
                f"{str(error) or type(error).__name__}"
            ) from error
        finally:
            _DEADLINE.reset(token)

    def _exchange(self, request: Request, base: str) -> Response:
        with self._client.stream(
            request.method,
            base + request.path,
            headers=dict(request.headers),
            content=request.content,
            timeout=request.timeout,
        ) as answer:
            body = bytearray()
            for chunk in answer.iter_bytes():
                body += chunk
                if len(body) > self._largest_body:
                    raise UpstreamUnreachable(
                        f"`{request.upstream}` answered with more than {self._largest_body} bytes; it was broken off"
                    )
            return Response(answer.status_code, dict(answer.headers.items()), bytes(body))


def _trust() -> ssl.SSLContext:
    """The authorities to trust: SSL_CERT_FILE or SSL_CERT_DIR where they are set, else those that httpx brings."""
    file, folder = os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR")
    if file or folder:
        return ssl.create_default_context(cafile=file or None, capath=folder or None)
    return httpx.create_ssl_context(trust_env=False)


def _remaining(timeout: float | None) -> float:
    """Seconds until the exchange's deadline, at most `timeout`."""
    left = _DEADLINE.get() - time.monotonic()
    if left <= 0:
        raise httpcore.ReadTimeout("the exchange's deadline has passed")
    return left if timeout is None else min(left, timeout)


class _DeadlineStream(httpcore.NetworkStream):
    """A connection on which every wait ends at the deadline of the exchange that waits."""

    def __init__(self, inner: httpcore.NetworkStream) -> None:
        self._inner = inner

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._inner.read(max_bytes, _remaining(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._inner.write(buffer, _remaining(timeout))

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        return _DeadlineStream(self._inner.start_tls(ssl_context, server_hostname, _remaining(timeout)))

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)


class _DeadlineBackend(httpcore.SyncBackend):
    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        return _DeadlineStream(super().connect_tcp(host, port, _remaining(timeout), local_address, socket_options))


class _Transport(httpx.BaseTransport):
    """httpx over a pool of connections that keep deadlines."""

    def __init__(self, trust: ssl.SSLContext | None) -> None:
        self._pool = httpcore.ConnectionPool(ssl_context=trust, network_backend=_DeadlineBackend())

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        url = httpcore.URL(
            scheme=request.url.raw_scheme,
            host=request.url.raw_host,
            port=request.url.port,
            target=request.url.raw_path,
        )
        answer = self._pool.handle_request(
            httpcore.Request(
                request.method, url, headers=request.headers.raw, content=request.read(), extensions=request.extensions
            )
        )
        return httpx.Response(answer.status, headers=answer.headers, stream=_Body(answer))

    def close(self) -> None:
        self._pool.close()


class _Body(httpx.SyncByteStream):
    def __init__(self, answer: httpcore.Response) -> None:
        self._answer = answer

    def __iter__(self) -> Iterator[bytes]:
        yield from self._answer.iter_stream()

    def close(self) -> None:
        self._answer.close()
