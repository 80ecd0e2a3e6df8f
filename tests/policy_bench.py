"""A bench for the policy and budget checks: a manifest in text, and a laboratory of hand-made records."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from certify.checks.workbench import Workbench
from certify.codec import address, encode
from certify.laboratory.record import (
    Event,
    EventKind,
    Exchange,
    Outcome,
    Plan,
    Returned,
    RunRecord,
    Usage,
    World,
)
from certify.manifest.model import Manifest
from certify.subject import Signature, Subject
from certify_spec.diagnostics import Place

ANSWERS = """
[resource.answers]
401 = { outcome = "error" }
429 = { outcome = "error" }
5xx = { outcome = "error" }
timeout = { outcome = "error" }
malformed = { outcome = "error" }
slow = { outcome = "value" }
"""

NODE = """\
schema = 1

[node]
id = "shop/charge"
version = "1.2.3"
entry = "charge:charge"
effects = "effectful"
determinism = "best_effort"

[input.classes]
"customer.email" = "pii"
amount = "financial"
order = "internal"

[output.classes]
status = "internal"

[[resource]]
name = "payments"
kind = "http"
mode = "write"
url = "https://payments.test"
carries = ["financial"]
scopes = ["charges:write"]
region = "eu-west-1"
{answers}
[[resource]]
name = "log"
kind = "log"
mode = "write"

[idempotency]
flow = "checkout"
key = ["order"]

[residency]
regions = ["eu-west-1"]

[budget]
wall = "100ms"
cpu = "50ms"
memory = "64MiB"
requests = 1
tokens = 100
money_micros = 2000

[[fixture]]
name = "typical"
input = "fixtures/typical.json"
""".replace("{answers}", ANSWERS)

INPUT: dict[str, Any] = {"customer": {"email": "jane.roe@mail.example"}, "amount": 129_900, "order": "ord-77"}
TEXT = {"type": "string"}
INPUT_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "customer": {"type": "object", "properties": {"email": TEXT}, "additionalProperties": False},
        "amount": {"type": "integer"},
        "order": TEXT,
    },
    "additionalProperties": False,
}
OUTPUT_SCHEMA: dict[str, Any] = {"type": "object", "properties": {"status": TEXT}, "additionalProperties": False}
CODE = Place("charge.py", 14)

React = Callable[[Plan], RunRecord]


def exchange(body: bytes = b"{}", *, path: str = "/charges", headers: Iterable[tuple[str, str]] = ()) -> Exchange:
    """A request that reached `payments`."""
    return Exchange("payments", 0, "POST", path, tuple(headers), body, 200, b"{}", acted=True)


def use(target: str, place: Place | None = CODE, **detail: Any) -> Event:
    """A use of the context."""
    return Event(EventKind.CAPABILITY, target, 0, detail, place, "context")


def ran(
    plan: Plan,
    *,
    output: object = None,
    exchanges: Iterable[Exchange] = (),
    events: Iterable[Event] = (),
    outcome: Outcome | None = None,
    usage: Usage | None = None,
    world: World | None = None,
    stderr: str = "",
    incomplete: str = "",
) -> RunRecord:
    """A record of one delivery."""
    value = {"status": "ok"} if output is None else output
    return RunRecord(
        plan=plan,
        outcomes=(outcome or Returned(encode(value), json.dumps(value).encode()),),
        events=tuple(events),
        exchanges=tuple(exchanges),
        world=world or World(),
        effectful_calls=(0,),
        usage=(usage or Usage(0.010, 0.005, 2**20),),
        stderr=stderr,
        incomplete=incomplete,
    )


class FakeLaboratory:
    """Answers each plan by a function, and remembers what it was asked."""

    def __init__(self, react: React, input_schema: Mapping[str, Any], output_schema: Mapping[str, Any]) -> None:
        self.plans: list[Plan] = []
        self._react = react
        self._signature = Signature(input_schema, output_schema, ("request",), "context", False, (), "charge.py", 10)

    def signature(self) -> Signature:
        return self._signature

    def run(self, plan: Plan) -> RunRecord:
        self.plans.append(plan)
        return self._react(plan)

    def run_all(self, plans: Iterable[Plan]) -> Iterator[RunRecord]:
        return (self.run(plan) for plan in plans)

    def run_in_turn(self, plans: Iterable[Plan]) -> list[RunRecord]:
        return [self.run(plan) for plan in plans]

    remembered = run_all


def bench(
    folder: Path,
    *,
    manifest: str = NODE,
    react: React = ran,
    value: object = None,
    input_schema: Mapping[str, Any] = INPUT_SCHEMA,
    output_schema: Mapping[str, Any] = OUTPUT_SCHEMA,
    expected: Mapping[str, bytes] | None = None,
) -> Workbench:
    """A workbench with one fixture."""
    (folder / "node.toml").write_text(manifest, encoding="utf-8")
    content = json.dumps(INPUT if value is None else value).encode()
    files = {"node.toml": address(manifest.encode()), "fixtures/typical.json": address(content)}
    subject = Subject(
        Manifest.model_validate(tomllib.loads(manifest)), folder, "node.toml", files, address(encode(files))
    )
    laboratory = FakeLaboratory(react, input_schema, output_schema)
    return Workbench(subject, laboratory, {"typical": content}, expected or {})


def line_of(text: str, words: str) -> int:
    """The line, from 1, on which `words` first stand."""
    return text[: text.index(words)].count("\n") + 1
