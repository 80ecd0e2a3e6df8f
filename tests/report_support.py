"""Evidence made by hand for the tests of the report: every verdict, every part of a finding, and hostile text."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any

from certify import codec
from certify.checks.effects import UNDECLARED_TEXT
from certify.evidence.bundle import Evidence
from certify.evidence.verdict import CheckResult, Failed, NotApplicable, Passed, Unknown, Waived
from certify_spec.diagnostics import Diagnostic, Edit, Note, Place, Rule, Severity

CHARGE = """\
import time


def charge(order):
    at = time.time()
    return {"at": at, "order": order}
"""
RULE = Rule("TEST020", "a clock is read", "take the time as an input")
WARNED = Rule("TEST021", "something is worth a look", "look")
TIMES: Mapping[str, Any] = {
    "replays": 72,
    "factors": ["clock", "hash_seed", "random"],
    "leaks": ["clock", "random"],
    "declared": "stable",
    "pins": ["random"],
    "observed": "stable",
}
EFFECTS: Mapping[str, Any] = {
    "declared": [
        {"name": "payments", "kind": "http", "mode": "write"},
        {"name": "random", "kind": "random", "mode": "read"},
    ],
    "static": [
        {"name": "http:payments", "kind": "http", "mode": "write", "call": "ctx.http.post", "place": "charge.py:5:1"},
        {"name": "clock", "kind": "clock", "mode": "read", "call": "time.time", "place": "charge.py:5:10"},
    ],
    "observed": [{"name": "network:payments.example:443", "kind": "network", "mode": "write", "call": "connect"}],
    "declared_class": "effectful",
    "derived_class": "effectful",
}


def manifest(text: str = "Charges once.") -> str:
    """A manifest as a report reads it; `text` stands wherever the schema has free text."""
    quoted = json.dumps(text)
    return (
        f'schema = 1\n[node]\nid = "billing/charge"\nsummary = {quoted}\nowner = {quoted}\nentry = {quoted}\n'
        f'effects = {quoted}\n[input.classes]\n{quoted} = {quoted}\n"customer" = "pii"\n[[resource]]\n'
        f'name = "payments"\nkind = "http"\nurl = "https://payments.example"\n[resource.answers]\n'
        f'"429" = {{ outcome = "error", error = {quoted}, attempts = 3 }}\n"5xx" = {{ outcome = "value" }}\n'
    )


def finding(text: str = "the clock is read", line: int = 5, rule: Rule = RULE, **more: Any) -> Diagnostic:
    """A finding in `charge.py` that has every part; `text` is in all that is free text."""
    at = Place("charge.py", line, 10, line, 21)
    return Diagnostic(
        rule,
        text,
        at,
        because=f"because {text}",
        fix=f"fix {text}",
        notes=(Note(f"note {text}", Place("charge.py", 4, 1)), Note(f"no place {text}")),
        edit=Edit(at, f"order.at  # {text}"),
        replay=f"certify replay node.toml --fixture {text}",
        **more,
    )


def waiver(text: str = "until the client is rewritten") -> bytes:
    """A waiver of the test's finding, in its envelope."""
    said = {"code": RULE.code, "reason": text, "owner": text, "about": text, "place": text}
    dates = {"issued": "2026-11-01T00:00:00Z", "expires": "2026-12-01T00:00:00Z"}
    payload = base64.b64encode(codec.encode(said | dates)).decode()
    return json.dumps({"payload": payload, "payloadType": text, "signatures": [{"keyid": text, "sig": ""}]}).encode()


def waived(text: str = "until the client is rewritten") -> Diagnostic:
    """The finding as a waiver leaves it."""
    mark = {"waiver": codec.address(waiver(text)), "owner": text, "expires": "2026-12-01T00:00:00Z", "reason": text}
    return finding(severity=Severity.WARNING, data={"waived": mark})


def results(text: str = "plain") -> tuple[CheckResult, ...]:
    """A result of each verdict, with measurements in every form."""
    budget = {"wallUs": 4_000_000, "requests": 1, "memoryBytes": 2**27}
    sample = {"wall_ms": {"least": 10.0, "most": 20.5}, "requests": 2, "memory_kib": {"least": 10.0, "most": 12.0}}
    decision = {
        "request": {"action": "connect", "resource": {"type": "Host", "id": text}},
        "decision": "refused",
        "policies": [text],
    }
    against = finding(text, data={"resource": "payments", "answer": "429"})
    return (
        CheckResult("C-SANDBOX", Passed(), (), {"fixtures": 3}, {f"run of {text}": codec.address(b"run")}, 0.5),
        CheckResult(
            "C-EFFECTS", Failed(), (finding(text, rule=UNDECLARED_TEXT, data={"kind": "clock"}),), EFFECTS, {}, 0.4
        ),
        CheckResult("C-DETERMINISM", Waived((codec.address(waiver(text)),)), (waived(text),), TIMES, {}, 12.5),
        CheckResult(
            "C-CONTRACT",
            Failed(),
            (against,),
            {"inputs_valid": 47, "answers_injected": {"payments": {"429": 7, "5xx": 4, "tls": 0}}},
        ),
        CheckResult(
            "C-IDEM",
            Passed(),
            (),
            {"schedules": {"crash": 7, "duplicate": 3}, "two_crashes": {"run": 10, "of": 49, "exhaustive": False}},
        ),
        CheckResult("C-PATTERNS", NotApplicable(f"no pattern {text}")),
        CheckResult(
            "C-BUDGET",
            Passed(),
            (),
            {"fixtures": {text: sample}, "budget": budget, "currency": text, text: {"a": text}},
        ),
        CheckResult("C-SBOM", Unknown(f"no origin {text}", waiting_helps=True), (), {"modules": [text]}),
        CheckResult("C-POLICY", Failed(), (finding(text, rule=WARNED),), {"decisions": [decision], "hosts": [text]}),
    )


def evidence(
    chosen: tuple[CheckResult, ...] | None = None, text: str = "plain", source: str = CHARGE
) -> tuple[Evidence, dict[str, bytes]]:
    """Evidence of these results, by default one of each verdict, and its blobs."""
    content = {"node.toml": manifest(text).encode(), "charge.py": source.encode()}
    files = {path: codec.address(data) for path, data in content.items()}
    component = {"name": text, "version": text, "purl": text, "licenses": [{"license": {"name": text}}]}
    sbom = json.dumps({"components": [component, component | {"properties": [{"name": text, "value": text}]}]}).encode()
    policy, wanted = codec.encode({"policies": []}), waiver(text)
    blobs = {codec.address(data): data for data in (*content.values(), sbom, policy, wanted, b"run")}
    made = Evidence(
        node="billing/charge",
        version="1.0.0",
        subject=codec.address(codec.encode(files)),
        files=files,
        manifest=files["node.toml"],
        results=results(text) if chosen is None else chosen,
        sbom=codec.address(sbom),
        policy=codec.address(policy),
        tools={"certify": "0.1.0", text: text},
        laboratory={"machine": text, "limits": {"wall": 5.0}},
        started="2026-11-20T12:00:00Z",
        finished="2026-11-20T12:00:03Z",
        waivers=(codec.address(wanted),),
    )
    return made, blobs
