"""A node's folder that tests can write and break."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from certify.manifest.loader import load
from certify_spec.diagnostics import Diagnostic, RequestError

SMALL = """\
schema = 1

[node]
id = "shop/normalise"
version = "1.0.0"
entry = "normalise:handle"
effects = "pure"
determinism = "strict"

[budget]
wall = "1s"
cpu = "500ms"
memory = "64MiB"

[[fixture]]
name = "order"
input = "fixtures/order.json"
"""

UPSTREAM = """\
schema = 1

[node]
id = "shop/charge"
version = "2.1.0-rc.1"
entry = "charge:handle"
effects = "effectful"
determinism = "stable"
pins = ["upstream", "clock"]
tolerance = 0.5

[input.classes]
"order.id" = "internal"
"order.lines[].sku" = "public"

[[resource]]
name = "payments"
kind = "http"
mode = "write"
url = "https://api.example.com:8443"
idempotency_header = "Idempotency-Key"
simulator = "upstream:app"
[resource.answers]
401 = { outcome = "error", error = "NotAllowed", attempts = 2 }
429 = { outcome = "error", error = "Busy", within = "3s" }
5xx = { outcome = "error", error = "Down" }
timeout = { outcome = "error", error = "Down" }
malformed = { outcome = "error", error = "Down" }
slow = { outcome = "value", output = { state = "charged" } }

[idempotency]
flow = "checkout"
key = ["order.id"]
partition = "order.tenant"

[budget]
wall = "1s"
cpu = "500ms"
memory = "64MiB"
requests = 2

[[fixture]]
name = "order"
input = "fixtures/order.json"
output = "fixtures/charged.json"
"""

FILES: Mapping[str, str] = {
    "normalise.py": "def handle(order):\n    return order\n",
    "charge.py": "def handle(order, context):\n    return order\n",
    "upstream.py": "async def app(scope, receive, send):\n    pass\n",
    "fixtures/order.json": '{"order": {"id": "1"}}\n',
    "fixtures/charged.json": '{"state": "charged"}\n',
}


def write_node(folder: Path, text: str = SMALL, files: Mapping[str, str] = FILES) -> Path:
    """Write a node's folder; the path of its manifest."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
    manifest = folder / "node.toml"
    manifest.write_bytes(text.encode())
    return manifest


def refusals(path: Path) -> tuple[Diagnostic, ...]:
    """What is wrong with a manifest; nothing when it loads."""
    try:
        load(path)
    except RequestError as error:
        return error.diagnostics
    return ()


def found(diagnostics: tuple[Diagnostic, ...]) -> list[tuple[str, int, int]]:
    """Code, line and column of each."""
    return [(d.code, d.place.line, d.place.column) if d.place else (d.code, 0, 0) for d in diagnostics]
