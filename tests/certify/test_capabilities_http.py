"""Requests to upstreams: what is sent, what comes back, and every way in which a network breaks."""

from __future__ import annotations

import gzip
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from capability_harness import KINDS, Bench, bench
from certify.capabilities import Context, Response, Settings, UpstreamTimeout, UpstreamUnreachable, real_context

Behaviour = Callable[[socket.socket, bytes], None]


class Server:
    """A server on loopback that reads one request from each connection and answers it as told."""

    def __init__(self, behave: Behaviour, tls: ssl.SSLContext | None = None) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._behave = behave
        self._tls = tls
        self.requests: list[bytes] = []
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self._listener.getsockname()[1]}"

    def _serve(self) -> None:
        while True:
            connection, _ = self._listener.accept()
            with connection:
                try:
                    secured = self._tls.wrap_socket(connection, server_side=True) if self._tls else connection
                    request = _read(secured)
                    if request == b"":
                        return
                    self.requests.append(request)
                    self._behave(secured, request)
                    secured.close()
                except OSError:
                    continue  # the client has gone, as some of these tests want

    def close(self) -> None:
        """End the thread by the connection that says nothing."""
        self._tls = None
        socket.create_connection(self._listener.getsockname()).close()
        self._thread.join()
        self._listener.close()


def _read(connection: socket.socket) -> bytes:
    """The head of one request, and the body that it announces."""
    received = b""
    while b"\r\n\r\n" not in received:
        data = connection.recv(65536)
        if not data:
            return received
        received += data
    head, _, body = received.partition(b"\r\n\r\n")
    lengths = [line.split(b":")[1] for line in head.lower().split(b"\r\n") if line.startswith(b"content-length")]
    while len(body) < int(lengths[0] if lengths else 0):
        body += connection.recv(65536)
    return head + b"\r\n\r\n" + body


def says(text: bytes) -> Behaviour:
    """A server that answers with these bytes and closes."""
    return lambda connection, _: connection.sendall(text)


def answer(body: bytes, *headers: bytes, status: bytes = b"200 OK") -> bytes:
    """A complete answer."""
    lines = [b"HTTP/1.1 " + status, b"content-length: %d" % len(body), *headers]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    """Starts servers, and ends them with the test."""
    servers: list[Server] = []

    def start(behave: Behaviour, tls: ssl.SSLContext | None = None) -> Server:
        servers.append(Server(behave, tls))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


@pytest.fixture(params=KINDS)
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Bench:
    """Each kind of context in turn."""
    return bench(request.param, tmp_path)


def outcome(ctx: Context, path: str = "/", **options: Any) -> str:
    """The status, or the class of the error."""
    try:
        return str(ctx.http.get("api", path, **options).status)
    except Exception as error:
        return type(error).__name__


def test_request_arrives_as_given_and_answer_comes_back(world: Bench, serve: Callable[..., Server]) -> None:
    """Method, path, headers and JSON body are sent as given; status, headers in lower case and body come back."""
    server = serve(says(answer(b'{"id": 1}', b"X-Trace: a", b"x-trace: b", status=b"201 Created")))

    def scenario(ctx: Context) -> list[Any]:
        made = ctx.http.post("api", "/charges?dry=1", json={"a": "é", "b": [1, None]}, headers={"Idempotency-Key": "k"})
        return [made.status, made.headers["x-trace"], made.json()]

    assert world.perform(scenario, upstreams={"api": server.url + "/"}) == [201, "a, b", {"id": 1}]
    head, _, body = server.requests[0].partition(b"\r\n\r\n")
    assert head.split(b"\r\n")[0] == b"POST /charges?dry=1 HTTP/1.1"
    assert {b"idempotency-key: k", b"content-type: application/json"} <= set(head.lower().split(b"\r\n"))
    assert '{"a":"é","b":[1,null]}'.encode() == body


def test_redirects_are_not_followed(world: Bench, serve: Callable[..., Server]) -> None:
    """A redirect is an answer like any other: only the declared host is reached (C-POLICY)."""
    elsewhere = serve(says(answer(b"")))
    server = serve(says(answer(b"", b"location: " + elsewhere.url.encode(), status=b"302 Found")))
    assert world.perform(outcome, upstreams={"api": server.url}) == "302"
    assert elsewhere.requests == []


def test_proxies_of_the_environment_are_ignored(
    world: Bench, serve: Callable[..., Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An environment variable cannot send the node's requests through another host (C-POLICY)."""
    proxy, server = serve(says(answer(b""))), serve(says(answer(b"")))
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, proxy.url)
    assert world.perform(outcome, upstreams={"api": server.url}) == "200"
    assert proxy.requests == []


BROKEN: dict[str, Behaviour] = {
    "closes without a word": lambda connection, _: connection.close(),
    "cuts the body": says(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf"),
    "cuts the head": says(b"HTTP/1.1 200 OK\r\ncontent-le"),
    "speaks no HTTP": says(b"SSH-2.0-OpenSSH\r\n\r\n"),
    "lies about gzip": says(answer(b"not gzip", b"content-encoding: gzip")),
    "wrong chunks": says(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nxyz\r\n"),
    "resets": lambda connection, _: connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0"),
}


@pytest.mark.parametrize("how", BROKEN)
def test_broken_answers_are_unreachable(world: Bench, serve: Callable[..., Server], how: str) -> None:
    """Whatever way an answer breaks, the node sees `UpstreamUnreachable` (C-CONTRACT)."""
    server = serve(BROKEN[how])
    assert UpstreamUnreachable.__name__ == world.perform(outcome, upstreams={"api": server.url})


def test_refused_connection_is_unreachable(world: Bench) -> None:
    """A port where nobody listens is `UpstreamUnreachable` (C-CONTRACT)."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    assert UpstreamUnreachable.__name__ == world.perform(outcome, upstreams={"api": f"http://127.0.0.1:{port}"})


def drip(*, head: bool) -> Behaviour:
    """A server that sends a correct answer a byte at a time, until the client has had enough."""
    text = b"HTTP/1.1 200 OK\r\n" + b"x-filler: y\r\n" * 1000 if head else answer(b"z" * 10_000)

    def behave(connection: socket.socket, _: bytes) -> None:
        connection.settimeout(0.02)
        start = 0 if head else text.index(b"\r\n\r\n") + 4
        connection.sendall(text[:start])
        for position in range(start, len(text)):
            connection.sendall(text[position : position + 1])
            try:
                if connection.recv(1) == b"":
                    return
            except TimeoutError:
                continue

    return behave


def silence(connection: socket.socket, _: bytes) -> None:
    """A server that reads the request and says nothing until the client goes."""
    connection.recv(1)


SLOW: dict[str, Behaviour] = {"silent": silence, "drips the head": drip(head=True), "drips the body": drip(head=False)}


@pytest.mark.parametrize("how", SLOW)
def test_timeout_holds_for_the_whole_exchange(world: Bench, serve: Callable[..., Server], how: str) -> None:
    """An upstream that says nothing, or a byte at a time, is `UpstreamTimeout` (C-CONTRACT)."""
    server = serve(SLOW[how])
    timed_out = world.perform(lambda ctx: outcome(ctx, timeout=0.3), upstreams={"api": server.url})
    assert UpstreamTimeout.__name__ == timed_out


def test_compressed_answers_are_decoded(world: Bench, serve: Callable[..., Server]) -> None:
    """A gzip body comes back decoded."""
    server = serve(says(answer(gzip.compress(b"hello"), b"content-encoding: gzip")))
    assert world.perform(lambda ctx: ctx.http.get("api", "/").body, upstreams={"api": server.url}) == b"hello"


def test_answer_beyond_the_limit_is_broken_off(world: Bench, serve: Callable[..., Server]) -> None:
    """An answer that unpacks to more than the limit is refused, not held in memory (C-SANDBOX)."""
    server = serve(says(answer(gzip.compress(bytes(10**6)), b"content-encoding: gzip")))
    refused = world.perform(outcome, upstreams={"api": server.url}, largest_body=10**5)
    assert UpstreamUnreachable.__name__ == refused


WRONG: dict[str, tuple[str, dict[str, Any]]] = {
    "path without slash": ("ValueError", {"path": "charges"}),
    "path with line feed": ("ValueError", {"path": "/a\r\nhost: evil"}),
    "path with blank": ("ValueError", {"path": "/a b"}),
    "header with line feed": ("ValueError", {"headers": {"x": "a\r\nhost: evil"}}),
    "header name with colon": ("ValueError", {"headers": {"x:y": "a"}}),
    "host header": ("ValueError", {"headers": {"Host": "evil.example"}}),
    "length header": ("ValueError", {"headers": {"content-length": "5"}}),
    "header twice": ("ValueError", {"headers": {"x": "1", "X": "2"}}),
    "two bodies": ("ValueError", {"json": 1, "content": b""}),
    "json of a set": ("TypeError", {"json": {1}}),
    "json of nan": ("ValueError", {"json": float("nan")}),
    "text content": ("TypeError", {"content": "text"}),
    "negative timeout": ("ValueError", {"timeout": -1}),
    "timeout of text": ("TypeError", {"timeout": "5"}),
}


@pytest.mark.parametrize("what", WRONG)
def test_requests_that_cannot_be_sent_are_refused(world: Bench, serve: Callable[..., Server], what: str) -> None:
    """A request that would smuggle, or has no form, is refused before anything is sent (C-POLICY)."""
    kind, options = WRONG[what]
    server = serve(says(answer(b"")))
    assert kind == world.perform(lambda ctx: outcome(ctx, **options), upstreams={"api": server.url})
    assert server.requests == []


@pytest.mark.parametrize(
    "path", ["/@evil.example/", "//evil.example/", "/\\evil.example", "/../..", "/:80", "/?x=é", "/#x"]
)
def test_paths_cannot_lead_to_another_host(world: Bench, serve: Callable[..., Server], path: str) -> None:
    """However a path is spelt, the request goes to the declared upstream (C-POLICY)."""
    server = serve(says(answer(b"")))
    assert world.perform(lambda ctx: outcome(ctx, path), upstreams={"api": server.url}) == "200"
    assert {b"host: " + server.url.removeprefix("http://").encode()} <= set(server.requests[0].lower().split(b"\r\n"))


def test_connection_is_used_again(tmp_path: Path) -> None:
    """Two requests of one context use one connection, each within its own deadline."""
    accepted: list[int] = []

    def twice(connection: socket.socket, _: bytes) -> None:
        accepted.append(1)
        connection.sendall(answer(b"1"))
        if _read(connection):
            connection.sendall(answer(b"2"))

    server = Server(twice)
    try:
        settings = bench("real", tmp_path, upstreams={"api": server.url}).settings
        with real_context(settings) as ctx:
            assert [ctx.http.get("api", "/", timeout=5).body, ctx.http.get("api", "/", timeout=5).body] == [b"1", b"2"]
        assert accepted == [1]
    finally:
        server.close()


def test_missing_url_is_an_error_with_the_name(tmp_path: Path) -> None:
    """A granted upstream without an address says so."""
    settings: Settings = bench("real", tmp_path).settings
    with real_context(settings) as ctx, pytest.raises(Exception, match="no URL for the upstream `api`"):
        ctx.http.get("api", "/")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"NaN",
        b"[-Infinity]",
        b"\xff",
        b"[" * 100_000,
        '{"a": 1}'.encode("utf-16"),
        b"\xef\xbb\xbf{}",
        b"9" * 5000,
    ],
)
def test_what_is_no_json_is_a_value_error(body: bytes) -> None:
    """Whatever an upstream sends in the place of JSON, reading it is a ValueError and nothing else (C-CONTRACT)."""
    with pytest.raises(ValueError):  # noqa: PT011 - the class is the contract
        Response(200, {}, body).json()


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A certificate for 127.0.0.1 and its key, in one file, that signs itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "upstream")])
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file = tmp_path / "certificate.pem"
    file.write_bytes(private + signed.public_bytes(serialization.Encoding.PEM))
    return file


def test_tls_is_verified(
    world: Bench, serve: Callable[..., Server], certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A certificate that nobody vouches for is unreachable; with its authority in SSL_CERT_FILE it is trusted."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate)
    server = serve(says(answer(b"")), tls)
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    assert UpstreamUnreachable.__name__ == world.perform(outcome, upstreams={"api": server.url})
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    assert world.perform(outcome, upstreams={"api": server.url}) == "200"
