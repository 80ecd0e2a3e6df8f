"""Helps the tests of C-CONTRACT: nodes with an upstream, written to a folder, and the check run on them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from certify.checks import contract
from certify.checks.workbench import Workbench
from certify.evidence.verdict import CheckResult
from certify.laboratory.laboratory import Limits
from certify.laboratory.record import RunRecord
from lab_support import opened, write_node

SIMULATOR = """
    import json


    async def app(scope, receive, send):
        await receive()
        body = json.dumps({"cents": 250, "unit": "EUR"}).encode()
        headers = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})
"""
UPSTREAM = """
[[resource]]
name = "shop"
kind = "http"
mode = "write"
url = "{scheme}://shop.example"
idempotency_header = "Key"
simulator = "shop:app"

[resource.answers]
"401" = {{ outcome = "error", error = "Refused", attempts = 1 }}
"429" = {{ outcome = "error", error = "Unavailable", attempts = {attempts}, within = "2s" }}
"5xx" = {{ outcome = "error", error = "Unavailable", attempts = {attempts}, within = "2s" }}
"timeout" = {{ outcome = "error", error = "Unavailable", attempts = {attempts}, within = "2s" }}
"slow" = {{ outcome = "error", error = "Unavailable", attempts = {attempts}, within = "1s" }}
"malformed" = {{ outcome = "error", error = "Unavailable", attempts = {attempts}, within = "2s" }}
{answers}

[[resource]]
name = "clock"
kind = "clock"

[idempotency]
flow = "prices"
key = ["item"]
"""


def write_asking(folder: Path, code: str, *, attempts: int = 3, scheme: str = "http", answers: str = "") -> Path:
    """Write a node that asks the simulated shop for a price; gives the manifest's path."""
    return write_node(
        folder,
        code,
        {"item": "tea"},
        effects="effectful",
        determinism="best_effort",
        rest=UPSTREAM.format(attempts=attempts, scheme=scheme, answers=answers),
        files={"shop.py": SIMULATOR},
    )


def checked(manifest: Path, *, wall: float | None = None) -> CheckResult:
    """The check's result. `wall` shortens the limit on one run, for nodes that never end."""
    limits = None if wall is None else Limits(wall=wall)
    with opened(manifest, limits=limits, rehearsed=True) as (folder, laboratory):
        return contract.check(Workbench(folder.subject, laboratory, folder.inputs, folder.expected, keep=_kept))


def _kept(_record: RunRecord) -> str:
    return "kept"


def told(result: CheckResult) -> list[tuple[str, Any, str]]:
    """Code, answer and place of each finding."""
    return [(f.code, f.data.get("answer", ""), str(f.place)) for f in result.findings]
