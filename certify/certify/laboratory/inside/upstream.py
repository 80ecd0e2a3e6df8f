"""The simulated upstreams: real HTTP servers on the sandbox's loopback, which answer as told.

One process for one world. Each `http` resource listens at its own address and port, with TLS where its URL says so; a
request goes to the resource's simulator, an ASGI application of the node's folder, or to the fault that the plan has
for it. Every request and answer is written to the tape before the answer leaves.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import importlib
import os
import socket
import ssl
import struct
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import h11

from certify.laboratory.inside.modules import Loaded
from certify.laboratory.inside.tape import Tape

_LARGEST_BODY: Final = 16 * 2**20
_DRIP_SECONDS: Final = 0.1
_LONGEST_DRIP: Final = 600
#: Faults under which the upstream does what it is asked.
_ACTING: Final = frozenset({"", "slow", "reset_during", "reset_after"})
#: A reset overtakes what was sent before it: it waits, so that the beginning of the answer arrives.
_BEFORE_RESET: Final = 0.02
_BODILESS: Final = frozenset({204, 304})


class _Reset(Exception):
    """The connection is to be reset."""


class Upstream:
    """One resource."""

    def __init__(
        self, description: dict[str, Any], faults: list[dict[str, Any]], tape: Tape, loaded: Loaded,
        delivery: Callable[[], int],
    ) -> None:  # fmt: skip
        self.name: str = description["name"]
        self._scheme: str = description["scheme"]
        self._host: str = description["host"]
        self._simulator: str | None = description["simulator"]
        self._faults = [fault for fault in faults if fault["upstream"] == self.name]
        self._tape = tape
        self._loaded = loaded
        self._delivery = delivery
        self._application: Any = None
        self._requests = 0
        self._opened = time.monotonic()
        self._wrong: ssl.SSLContext | None = None
        self._work = Path("/world/.upstream") / self.name

    def fault(self) -> dict[str, Any] | None:
        """The fault that the next request gets."""
        for fault in self._faults:
            if not fault["requests"] or self._requests in fault["requests"]:
                return fault
        return None

    def tls(self) -> ssl.SSLContext | None:
        """The server's TLS settings, or None for plain HTTP."""
        contexts = certified(self.name, self._scheme, self._host)
        if contexts is None:
            return None
        context, wrong = contexts
        self._wrong = wrong

        def choose(connection: ssl.SSLObject, _name: str | None, _context: ssl.SSLContext) -> None:
            fault = self.fault()
            if fault and fault["kind"] == "tls":
                self._requests += 1  # no request follows a handshake that the client refuses
                self._note("", "", [], b"", 0, b"", acted=False, fault="tls", at=time.monotonic() - self._opened)
                connection.context = wrong

        context.sni_callback = choose
        return context

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection, request by request."""
        connection = h11.Connection(h11.SERVER)
        try:
            while await self._one(connection, reader, writer):
                connection.start_next_cycle()
        except _Reset:
            _reset(writer)
            return
        except (h11.ProtocolError, ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
            pass
        with contextlib.suppress(Exception):
            writer.close()

    async def _one(
        self, connection: h11.Connection, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        request: h11.Request | None = None
        body = bytearray()
        while True:
            event = connection.next_event()
            if event is h11.NEED_DATA:
                data = await reader.read(65536)
                if not data and request is None:
                    return False
                connection.receive_data(data)
            elif isinstance(event, h11.Request):
                request = event
            elif isinstance(event, h11.Data):
                body += event.data
                if len(body) > _LARGEST_BODY:
                    raise _Reset
            elif isinstance(event, h11.EndOfMessage):
                break
            else:
                return False
        assert request is not None
        return await self._respond(connection, writer, request, bytes(body))

    async def _respond(
        self, connection: h11.Connection, writer: asyncio.StreamWriter, request: h11.Request, body: bytes
    ) -> bool:
        at = time.monotonic() - self._opened
        deceived = self._is_deceived(writer)
        fault: dict[str, Any] | None = {"kind": "tls"} if deceived else self.fault()
        self._requests += not deceived  # its handshake was counted
        method, path = request.method.decode(), request.target.decode(errors="replace")
        headers = [(name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in request.headers]
        kind = fault["kind"] if fault else ""
        acts = kind in _ACTING
        status, answer_headers, answer = (
            await self._simulate(method, path, headers, body) if acts else _answer(fault or {}, self._scheme)
        )
        self._note(method, path, headers, body, status, answer, acted=acts, fault=kind, at=at)
        if kind in {"reset_before", "reset_after", "tls"}:
            raise _Reset
        if kind == "timeout":
            await asyncio.sleep(3600)
        if kind == "slow":
            answer = _padded(answer, answer_headers, (fault or {})["seconds"])
        empty = method == "HEAD" or status in _BODILESS
        await self._send(connection, writer, kind, status, answer_headers, answer, empty=empty)
        return connection.our_state is h11.DONE and connection.their_state is h11.DONE

    def _is_deceived(self, writer: asyncio.StreamWriter) -> bool:
        """Whether this connection showed a certificate of another host, and the client did not mind."""
        session = writer.get_extra_info("ssl_object")
        return session is not None and session.context is self._wrong

    async def _send(
        self, connection: h11.Connection, writer: asyncio.StreamWriter, kind: str, status: int,
        headers: list[tuple[str, str]], answer: bytes, *, empty: bool,
    ) -> None:  # fmt: skip
        announced = len(answer) + (64 if kind == "truncated" else 0)
        length = [] if status in _BODILESS else [("content-length", str(announced))]
        writer.write(connection.send(h11.Response(status_code=status, headers=headers + length, reason=b"")) or b"")
        if empty:
            answer = b""
        if kind == "slow":
            for position in range(min(len(answer), _LONGEST_DRIP)):
                await writer.drain()
                await asyncio.sleep(_DRIP_SECONDS)
                writer.write(connection.send(h11.Data(data=answer[position : position + 1])) or b"")
            answer = answer[_LONGEST_DRIP:]
        if kind == "reset_during":
            answer = answer[: len(answer) // 2]
        if answer:
            writer.write(connection.send(h11.Data(data=answer)) or b"")
        await writer.drain()
        if kind == "truncated":
            raise ConnectionError("cut")
        if kind == "reset_during":
            await asyncio.sleep(_BEFORE_RESET)
            raise _Reset
        writer.write(connection.send(h11.EndOfMessage()) or b"")
        await writer.drain()

    async def _simulate(
        self, method: str, path: str, headers: list[tuple[str, str]], body: bytes
    ) -> tuple[int, list[tuple[str, str]], bytes]:
        if self._simulator is None:
            return 200, [("content-type", "application/json")], b"{}"
        try:
            return await self._call(method, path, headers, body)
        except Exception:
            self._tape.append({"t": "trouble", "what": f"simulator of {self.name}: {traceback.format_exc()[-2000:]}"})
            return 500, [("content-type", "text/plain")], b"simulator failed"

    async def _call(
        self, method: str, path: str, headers: list[tuple[str, str]], body: bytes
    ) -> tuple[int, list[tuple[str, str]], bytes]:
        assert self._simulator is not None
        os.chdir(self._work)
        if self._application is None:
            module, _, name = self._simulator.partition(":")
            self._application = getattr(importlib.import_module(module), name)
            self._tape.append({"t": "modules", "names": self._loaded.since()})
        target, _, query = path.partition("?")
        scope = {
            "type": "http", "asgi": {"version": "3.0", "spec_version": "2.3"}, "http_version": "1.1", "method": method,
            "scheme": self._scheme, "path": target, "raw_path": target.encode(), "query_string": query.encode(),
            "root_path": "", "headers": [(n.encode("latin-1"), v.encode("latin-1")) for n, v in headers],
            "client": ("127.0.0.1", 0), "server": (self._host, None),
        }  # fmt: skip
        status, answer_headers, answer = 500, [("content-type", "text/plain")], bytearray()
        sent = False

        async def receive() -> dict[str, Any]:
            nonlocal sent
            if sent:
                return {"type": "http.disconnect"}
            sent = True
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: dict[str, Any]) -> None:
            nonlocal status, answer_headers
            if message["type"] == "http.response.start":
                status = message["status"]
                answer_headers = [
                    (name.decode("latin-1").lower(), value.decode("latin-1"))
                    for name, value in message.get("headers", [])
                    if name.lower() not in {b"content-length", b"transfer-encoding"}
                ]
            elif message["type"] == "http.response.body":
                answer.extend(message.get("body", b""))

        await self._application(scope, receive, send)
        return status, answer_headers, bytes(answer)

    def _note(
        self,
        method: str,
        path: str,
        headers: list[tuple[str, str]],
        body: bytes,
        status: int,
        answer: bytes,
        *,
        acted: bool,
        fault: str,
        at: float,
    ) -> None:
        self._tape.append(
            {
                "t": "exchange",
                "resource": self.name,
                "delivery": self._delivery(),
                "method": method,
                "path": path,
                "headers": headers,
                "body": body,
                "status": status,
                "answer": answer,
                "acted": acted,
                "fault": fault,
                "at": at,
            }
        )


@functools.cache
def certified(_name: str, scheme: str, host: str) -> tuple[ssl.SSLContext, ssl.SSLContext] | None:
    """A resource's TLS settings with its host's certificate, and with another's; made once for all worlds."""
    if scheme != "https":
        return None
    right, wrong = (ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER) for _ in range(2))
    right.load_cert_chain(f"/lab/{host}.pem")
    wrong.load_cert_chain("/lab/wrong.invalid.pem")
    return right, wrong


def _answer(fault: dict[str, Any], scheme: str) -> tuple[int, list[tuple[str, str]], bytes]:
    """What a fault answers in the simulator's place."""
    json_type = [("content-type", "application/json")]
    match fault["kind"]:
        case "status":
            headers = [(name, value) for name, value in fault["headers"]]
            if not any(name.lower() == "content-type" for name, _ in headers):
                headers += json_type
            return fault["status"], headers, fault["body"]
        case "malformed":
            return 200, json_type, b'{"id": "unfinished", "items": [1, 2,'
        case "truncated":
            return 200, json_type, fault["body"] or b'{"id": "cut off in the mid'
        case "content_type":
            return 200, [("content-type", "text/html")], b"<!doctype html><title>Sign in</title>"
        case "redirect":
            return 302, [("location", f"{scheme}://undeclared.example/elsewhere")], b""
        case _:
            return 0, [], b""


def _padded(answer: bytes, headers: list[tuple[str, str]], seconds: float) -> bytes:
    """The answer, long enough to drip for so long: white space may come before JSON, and nothing before anything else.

    What cannot be lengthened drips for as long as its bytes last.
    """
    missing = min(_LONGEST_DRIP, int(seconds / _DRIP_SECONDS) + 1) - len(answer)
    if missing > 0 and any(name == "content-type" and "json" in value for name, value in headers):
        return b" " * missing + answer
    return answer


def _reset(writer: asyncio.StreamWriter) -> None:
    """Close so that the other side sees a reset, not an end."""
    raw = writer.get_extra_info("socket")
    if raw is not None:
        with contextlib.suppress(OSError):
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


def run(
    descriptions: list[dict[str, Any]], sockets: dict[str, socket.socket], faults: list[dict[str, Any]], tape: Tape,
    loaded: Loaded, current: Callable[[], int], ready: Callable[[], None],
) -> None:  # fmt: skip
    """Serve until killed."""
    sys.path.insert(0, "/node")

    async def main() -> None:
        for description in descriptions:
            upstream = Upstream(description, faults, tape, loaded, current)
            await asyncio.start_server(upstream.serve, sock=sockets[upstream.name], ssl=upstream.tls())
        ready()
        await asyncio.Event().wait()

    asyncio.run(main())
