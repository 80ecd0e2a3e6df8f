"""The simulated upstreams: each fault is what it says, on the wire (C-CONTRACT)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from certify.laboratory import archive
from certify.laboratory.laboratory import Laboratory
from certify.laboratory.record import Delivery, Fault, Plan, Returned, RunRecord
from contract_bench import UPSTREAM
from lab_support import opened, write_node

NODE = """
    import socket

    import httpx


    def node(order: dict[str, str]) -> dict[str, str | int | float]:
        if order.get("raw"):
            return raw(order["raw"])
        client = httpx.Client(timeout=2, verify=order.get("verify") != "no")
        try:
            for _ in range(int(order.get("times", 1))):
                answer = client.request(order.get("method", "GET"), f"{order['scheme']}://shop.example/prices")
        except httpx.HTTPError as error:
            return {"error": type(error).__name__}
        return {"status": answer.status_code, "text": answer.text, "seconds": answer.elapsed.total_seconds()}


    def raw(host):
        with socket.create_connection((host, 80), timeout=2) as connection:
            connection.sendall(b"GET /prices HTTP/1.1\\r\\nHost: shop.example\\r\\n\\r\\n")
            got = b""
            try:
                while chunk := connection.recv(4096):
                    got += chunk
                    if got.endswith(b"}"):
                        break
            except ConnectionResetError:
                return {"got": got.decode(), "end": "reset"}
        return {"got": got.decode(), "end": "close"}
"""
SIMULATOR = """
    async def app(scope, receive, send):
        await receive()
        empty = scope["method"] == "DELETE"
        headers = [(b"content-type", b"application/json"), (b"x-seen", scope["method"].encode())]
        await send({"type": "http.response.start", "status": 204 if empty else 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if empty else b'{"cents": 250}'})
"""


@pytest.fixture(scope="module", params=["http", "https"])
def shop(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Laboratory]]:
    """The scheme, and a laboratory on a node that asks a shop over it."""
    manifest = write_node(
        tmp_path_factory.mktemp("shop"),
        NODE,
        {"scheme": request.param, "item": "tea"},
        effects="effectful",
        determinism="best_effort",
        rest=UPSTREAM.format(attempts=1, scheme=request.param, answers=""),
        files={"shop.py": SIMULATOR},
    )
    with opened(manifest) as (_folder, laboratory):
        yield request.param, laboratory


def _run(shop: tuple[str, Laboratory], *faults: Fault, **order: str) -> RunRecord:
    scheme, laboratory = shop
    text = json.dumps({"scheme": scheme, "item": "tea", **order}).encode()
    return laboratory.run(Plan((Delivery(text),), faults=faults))


def _answer(record: RunRecord) -> dict[str, Any]:
    outcome = record.outcomes[0]
    assert isinstance(outcome, Returned), outcome
    answer: dict[str, Any] = json.loads(outcome.json)
    answer.pop("seconds", None)
    return answer


RIGHT = {"status": 200, "text": '{"cents": 250}'}


@pytest.mark.parametrize(
    ("fault", "answer", "acted"),
    [
        (Fault("shop", "status", 503, (("retry-after", "1"),), b"busy"), {"status": 503, "text": "busy"}, False),
        (Fault("shop", "status", 204), {"status": 204, "text": ""}, False),
        (Fault("shop", "status", 304), {"status": 304, "text": ""}, False),
        (Fault("shop", "reset_before"), {"error": "ReadError"}, False),
        (Fault("shop", "reset_after"), {"error": "ReadError"}, True),
        (Fault("shop", "reset_during"), {"error": "ReadError"}, True),
        (Fault("shop", "truncated", body=b'{"cents": 250}'), {"error": "RemoteProtocolError"}, False),
        (Fault("shop", "timeout"), {"error": "ReadTimeout"}, False),
        (Fault("shop", "redirect"), {"status": 302, "text": ""}, False),
        (Fault("elsewhere", "reset_before"), RIGHT, True),
    ],
    ids=lambda value: value.kind if isinstance(value, Fault) else "",
)
def test_fault_is_what_it_says(shop: tuple[str, Laboratory], fault: Fault, answer: dict[str, Any], acted: bool) -> None:
    """C-CONTRACT: the client sees the fault, and the record says whether the upstream acted."""
    record = _run(shop, fault)
    if shop[0] == "https" and fault.upstream == "shop" and fault.kind.startswith("reset"):
        answer = {"error": "RemoteProtocolError"}  # beneath TLS a reset reaches the client as an end without a goodbye
    assert (_answer(record), [e.acted for e in record.exchanges], record.incomplete) == (answer, [acted], "")


def test_slow_answer_is_right_and_late(shop: tuple[str, Laboratory]) -> None:
    """C-CONTRACT: a slow answer is the right one, with white space before it, and lasts as long as asked."""
    record = _run(shop, Fault("shop", "slow", seconds=2.5))
    outcome = record.outcomes[0]
    assert isinstance(outcome, Returned)
    told = json.loads(outcome.json)
    assert (json.loads(told["text"]), told["status"], told["seconds"] >= 2.5) == ({"cents": 250}, 200, True)


@pytest.mark.parametrize("method", ["HEAD", "DELETE"])
def test_answers_without_body(shop: tuple[str, Laboratory], method: str) -> None:
    """C-CONTRACT: HEAD and 204 have no body, and the record is complete."""
    record = _run(shop, method=method)
    status = 204 if method == "DELETE" else 200
    assert (_answer(record), record.incomplete) == ({"status": status, "text": ""}, "")


def test_fault_hits_the_requests_named(shop: tuple[str, Laboratory]) -> None:
    """C-CONTRACT: a fault for request 1 of three hits that one alone; each exchange has its time."""
    record = _run(shop, Fault("shop", "status", 500, requests=(1,)), times="3")
    times = [exchange.at for exchange in record.exchanges]
    assert [exchange.status for exchange in record.exchanges] == [200, 500, 200]
    assert (times == sorted(times), times[0] > 0) == (True, True)


def test_times_are_not_compared(shop: tuple[str, Laboratory]) -> None:
    """C-CONTRACT: two runs are the same although their exchanges happen at other times; the times are kept."""
    first, second = _run(shop), _run(shop)
    later = replace(first, exchanges=tuple(replace(e, at=e.at + 9) for e in first.exchanges))
    assert archive.same(first, second) or _answer(first) == _answer(second)
    assert archive.observable_bytes(later) == archive.observable_bytes(first)
    assert archive.to_bytes(later) != archive.to_bytes(first)


def test_certificate_of_another_host(shop: tuple[str, Laboratory]) -> None:
    """C-CONTRACT: a client that verifies sends nothing; one that does not is recorded with its request."""
    if shop[0] == "http":
        pytest.skip("there is no certificate without TLS")
    careful, careless = _run(shop, Fault("shop", "tls")), _run(shop, Fault("shop", "tls"), verify="no")
    assert (_answer(careful), [e.method for e in careful.exchanges]) == ({"error": "ConnectError"}, [""])
    assert ([e.method for e in careless.exchanges], careless.exchanges[-1].acted) == (["", "GET"], False)
    assert _answer(_run(shop, Fault("shop", "tls", requests=(0,)), times="1"))["error"] == "ConnectError"


def test_reset_during_sends_half(shop: tuple[str, Laboratory]) -> None:
    """C-CONTRACT: a reset in the middle of the answer comes after its first half."""
    if shop[0] == "https":
        pytest.skip("the raw client speaks no TLS")
    answer = _answer(_run(shop, Fault("shop", "reset_during"), raw="shop.example"))
    assert (answer["got"].endswith('{"cents'), answer["end"]) == (True, "reset")


def test_node_file_is_left_alone(shop: tuple[str, Laboratory], tmp_path: Path) -> None:
    """C-SANDBOX: serving faults leaves nothing in the node's folder."""
    record = _run(shop)
    assert record.world.files == {}
