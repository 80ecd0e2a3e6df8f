"""A registry for the tests of the pages: users, nodes of every kind, hostile ones, and a clock that is set by hand."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from certify.codec import address, encode
from certify.evidence import dsse, statement
from certify.evidence.bundle import Evidence, statement_of
from certify.evidence.keys import KeyPair
from certify.evidence.verdict import CheckResult, Failed, NotApplicable, Passed
from certify.policy.waivers import Candidate, Waiver, apply_waivers, waivers_of
from certify.registry import decisions, waivers
from certify.registry.decisions import Decision
from certify.registry.entries import Status
from certify.registry.envelopes import verdicts
from certify.registry.registry import Registry
from certify.registry.submission import Submission
from certify.report import render
from certify.service import identity, pages, server
from certify.service.app import build
from certify.service.service import Service
from certify_spec.diagnostics import Diagnostic, Note, Place, Rule, Severity
from registry_support import AUTHOR, OTHER
from service_support import ADMIN, hashed, roomy

THEN = datetime(2026, 11, 20, 12, tzinfo=UTC)
"""When everything was published."""
NOW = datetime(2026, 11, 28, 9, 30, tzinfo=UTC)
"""When the pages are looked at: the waiver of `LAPSED` ended on the 25th."""
PEOPLE: Mapping[str, tuple[list[str], KeyPair | None]] = {
    "ana": (["author"], AUTHOR),
    "bo": (["reviewer"], OTHER),
    "cy": (["reviewer"], None),
    "eve": (["admin", "author", "reviewer"], ADMIN),
}
CHARGE, LAPSED, OWN, CONTESTED, HOSTILE = (
    "billing/charge",
    "billing/refund",
    "shop/own",
    "shop/contested",
    "hostile/node",
)
FORMAT = Rule("TST031", "an answer of an upstream is not declared", "declare it under [resource.answers]")
WAIVED = Rule("TST004", "a fixture needs more than its budget", "raise the budget, or spend less")
REMARK = Rule("TST011", "a resource is declared and never exercised", "add a fixture that uses it, or drop it")
PAYLOAD = '"><script>document.title="run"</script><img src=x onerror=\'document.title="run"\'>{{7*7}}\u202e'
"""Text that would run if it came into a page as it is."""

MANIFEST = """\
schema = 1

[node]
id = {node}
version = {release}
entry = "payment:charge"
summary = {summary}
owner = "billing@shop.example"
profile = "queue"
effects = "effectful"
determinism = "stable"

[input.classes]
"customer.email" = "pii"
"customer.name" = "pii"
"invoice" = "internal"
"amount_minor" = "financial"
"currency" = "public"

[output.classes]
"receipt" = "internal"
"charged_minor" = "financial"

[[resource]]
name = "gateway"
kind = "http"
mode = "write"
url = "https://gateway.example:8443"
carries = ["financial", "pii"]

[[resource]]
name = "ledger"
kind = "db"
mode = "write"
path = "ledger.sqlite3"
carries = ["internal", "financial"]

[[resource]]
name = "clock"
kind = "clock"
mode = "read"

[[resource]]
name = "rates"
kind = "kv"
mode = "read"
"""
SOURCE = '''\
"""Charges a customer once."""


def charge(request, ctx):
    key = f"{request['invoice']}/{request['amount_minor']}"
    if ctx.dedupe.seen(key):
        return ctx.dedupe.answer(key)
    answer = ctx.http.post("gateway", "/charges", json=request, timeout=TIMEOUT)
    ctx.db.execute("insert into ledger values (?, ?)", (key, answer["id"]))
    return {"receipt": answer["id"], "charged_minor": request["amount_minor"]}


TIMEOUT = 2.0
'''


def effects() -> dict[str, Any]:
    """What the effects check measured."""
    declared = [
        ("gateway", "http", "write"),
        ("ledger", "db", "write"),
        ("clock", "clock", "read"),
        ("rates", "kv", "read"),
    ]
    return {
        "declared": [{"name": name, "kind": kind, "mode": mode} for name, kind, mode in declared],
        "static": [
            {
                "name": "http:gateway",
                "kind": "http",
                "mode": "write",
                "call": "ctx.http.post",
                "place": "payment.py:8:14",
            },
            {"name": "db:ledger", "kind": "db", "mode": "write", "call": "ctx.db.execute", "place": "payment.py:9:5"},
            {"name": "kv:rates", "kind": "kv", "mode": "read", "call": "ctx.kv.get", "place": "rates.py:3:5"},
        ],
        "observed": [
            {"name": "network:gateway.example:8443", "kind": "network", "mode": "write", "call": "connect"},
            {"name": "db:ledger", "kind": "db", "mode": "write", "call": "execute"},
            {"name": "clock", "kind": "clock", "mode": "read", "call": "clock_gettime"},
        ],
        "declared_class": "effectful",
        "derived_class": "effectful",
    }


def results(*, remark: str = "nothing uses `rates`", extra: tuple[CheckResult, ...] = ()) -> tuple[CheckResult, ...]:
    """The results of a whole certification that nothing refuses."""
    told = Diagnostic(
        REMARK,
        remark,
        Place("payment.py", 8, 14, 8, 27),
        severity=Severity.WARNING,
        data={"about": "rates"},
        because="no fixture reads it",
        fix="add a fixture that does",
        notes=(
            Note("it is declared here", Place("node.toml", 41, 1)),
            Note("and would be read here", Place("payment.py", 8, 14)),
        ),
        replay="certify replay node.toml --fixture first",
    )
    times = {
        "replays": 72,
        "factors": ["hash_seed", "clock", "random", "timezone", "locale", "cwd", "env", "threads"],
        "leaks": ["clock"],
        "declared": "stable",
        "pins": ["clock"],
        "observed": "stable",
    }
    budget = {"wallUs": 500_000, "requests": 2, "memoryBytes": 2**26}
    sample = {
        "wall_ms": {"least": 41.0, "most": 73.5},
        "requests": 1,
        "memory_kib": {"least": 21000.0, "most": 22800.0},
    }
    schedules = {
        "schedules": {"duplicate": 24, "crash": 52, "reorder": 12},
        "two_crashes": {"run": 49, "of": 49, "exhaustive": True},
    }
    answers = {
        "answers_injected": {"gateway": {"401": 2, "429": 4, "5xx": 4, "timeout": 3, "tls": 1}},
        "inputs_valid": 120,
    }
    replaced = {result.check for result in extra}
    made = (
        CheckResult("C-SANDBOX", Passed(), (), {"fixtures": 3}, {}, 0.61),
        CheckResult("C-EFFECTS", Passed(), (told,), effects(), {}, 1.42),
        CheckResult("C-DETERMINISM", Passed(), (), times, {}, 6.20),
        CheckResult("C-CONTRACT", Passed(), (), answers, {}, 3.35),
        CheckResult("C-IDEM", Passed(), (), schedules, {}, 2.87),
        CheckResult("C-PATTERNS", NotApplicable("it uses no generated pattern"), (), {}, {}, 0.01),
        CheckResult(
            "C-BUDGET",
            Passed(),
            (),
            {"fixtures": {"first": sample, "free": sample}, "budget": budget, "currency": "EUR"},
            {},
            0.9,
        ),
        CheckResult(
            "C-SBOM",
            Passed(),
            (),
            {"modules": ["payment", "json"], "standard_library": 41, "distributions": 2},
            {},
            0.4,
        ),
        CheckResult(
            "C-POLICY",
            Passed(),
            (),
            {
                "decisions": [
                    {
                        "request": {"action": "connect", "resource": {"type": "Host", "id": "gateway.example"}},
                        "decision": "allowed",
                        "policies": ["own-gateways"],
                    },
                ]
            },
            {},
            0.05,
        ),
    )
    return tuple(next((e for e in extra if e.check == r.check), r) for r in made) + tuple(
        e for e in extra if e.check not in {r.check for r in made} and replaced
    )


def whole(
    node: str = CHARGE,
    release: str = "1.0.0",
    *,
    key: KeyPair = AUTHOR,
    source: str = SOURCE,
    summary: str = "Charges a customer for an invoice, once.",
    found: tuple[CheckResult, ...] | None = None,
    granted: tuple[Waiver, ...] = (),
    extra: str = "",
    files: Mapping[str, bytes] | None = None,
    libraries: Mapping[str, str] | None = None,
    hostile: str = "",
    at: str = "2026-11-20T11:59:00Z",
) -> Submission:
    """A submission as a whole certification makes it; `granted` waivers are signed by bo's key and applied."""
    quoted = {"node": json.dumps(node), "release": json.dumps(release), "summary": json.dumps(summary)}
    manifest = (MANIFEST.format(**quoted) + extra).encode()
    content = {"node.toml": manifest, "payment.py": source.encode(), **(files or {})}
    digests = {path: address(data) for path, data in content.items()}
    named = libraries if libraries is not None else {"httpx": "0.27.2", "certifi": "2026.1.31"}
    components = [
        {
            "type": "library",
            "name": name,
            "version": version,
            "purl": f"pkg:pypi/{name}@{version}",
            "licenses": [{"license": {"id": hostile or "BSD-3-Clause"}}],
        }
        for name, version in named.items()
    ]
    sbom = json.dumps({"bomFormat": "CycloneDX", "components": components}).encode()
    policy = encode({"policies": []})
    subject = address(encode(digests))
    signed = {waivers.sign(waiver, OTHER): waiver for waiver in granted}
    applied = [waivers.read(envelope, OTHER.public) for envelope in signed]
    judged = tuple(
        apply_waivers(result, applied, Candidate(node, release, subject), THEN) for result in found or results()
    )
    evidence = Evidence(
        node=node,
        version=release,
        subject=subject,
        files=digests,
        manifest=digests["node.toml"],
        results=judged,
        sbom=address(sbom),
        policy=address(policy),
        tools={"certify": "0.1.0", **({hostile: hostile} if hostile else {})},
        laboratory={"machine": hostile or "laboratory", "cpus": 2},
        started="2026-11-20T11:58:00Z",
        finished=at,
        waivers=tuple(sorted({each for result in judged for each in waivers_of(result.findings)})),
    )
    blobs = {address(data): data for data in (*content.values(), sbom, policy, *signed, evidence.encode())}
    report = render(evidence, blobs, "html")
    blobs[address(report)] = report
    return Submission(
        node,
        release,
        subject,
        evidence.digest,
        dsse.sign(statement.PAYLOAD_TYPE, statement_of(evidence, sbom).to_json(), key),
        key.public,
        blobs,
        {"report": address(report), "sbom": address(sbom)},
        verdicts(evidence),
    )


def waiver(node: str, expires: datetime, **more: Any) -> Waiver:
    """A waiver of the budget's finding, from the day of publishing on."""
    said = {"reason": "the new client is slower until its cache is warm", "owner": "ana@shop.example"} | more
    return Waiver(
        node=node, code=WAIVED.code, issued=THEN.replace(hour=0), expires=expires, versions=(">=1.0.0,<2.0.0",), **said
    )


def over_budget(text: str = "it took 612 ms of 500 ms") -> CheckResult:
    """A budget check that refuses, for a waiver to cover."""
    return CheckResult(
        "C-BUDGET", Failed(), (Diagnostic(WAIVED, text, Place("payment.py", 8, 14), data={"about": "wall"}),)
    )


def hostile(text: str = PAYLOAD) -> Submission:
    """A node whose manifest, files, findings and measurements are text that would run."""
    said = Diagnostic(
        FORMAT,
        text,
        Place(f"{text}.py", 3, 1),
        severity=Severity.WARNING,
        because=text,
        fix=f"{text}\n{text}",
        notes=(Note(text, Place("payment.py", 4, 1)),),
        replay=text,
        data={"about": text, "resource": text, "answer": text},
    )
    measured = effects()
    measured["observed"].append({"name": f"http:{text}", "kind": text, "mode": text, "call": text})
    found = results(
        remark=text,
        extra=(
            CheckResult("C-EFFECTS", Passed(), (said,), measured, {text: address(b"run")}),
            CheckResult(
                "C-CONTRACT", Passed(), (said,), {text: {text: text}, "answers_injected": {text: {text: 3}}}, {}
            ),
            CheckResult("C-PATTERNS", NotApplicable(text)),
            CheckResult(
                "C-BUDGET", Failed(), (Diagnostic(WAIVED, text, Place("payment.py", 8, 14), data={"about": text}),)
            ),
            CheckResult(
                "C-POLICY",
                Passed(),
                (),
                {
                    "decisions": [
                        {
                            "request": {"action": text, "resource": {"type": text, "id": text}},
                            "decision": text,
                            "policies": [text],
                        }
                    ]
                },
            ),
        ),
    )
    quoted = json.dumps(text)
    extra = (
        f"[[resource]]\nname = {quoted}\nkind = {quoted}\nmode = {quoted}\nurl = {quoted}\npath = {quoted}\n"
        f"carries = [{quoted}]\n[output.classes2]\n{quoted} = {quoted}\n"
    )
    made = whole(
        HOSTILE,
        "1.0.1",
        summary=text,
        found=found,
        extra=extra,
        source=f"# {text}\n" * 9,
        hostile=text,
        files={f"{text}.py": f"{text}\n{text}\n{text}\n".encode()},
        libraries={text: text},
        granted=(waiver(HOSTILE, datetime(2026, 12, 20, tzinfo=UTC), reason=plain(text), owner=plain(text)),),
    )
    run = b"run"
    return Submission(
        made.node,
        made.release,
        made.subject,
        made.evidence,
        made.envelope,
        made.signer,
        {**made.blobs, address(run): run},
        {**made.artefacts},
        made.verdicts,
    )


def plain(text: str) -> str:
    """The text as a waiver may hold it: without what cannot be printed."""
    return "".join(character for character in text if character.isprintable())


@dataclass
class Clock:
    """A clock that is set by hand."""

    now: datetime = THEN

    def __call__(self) -> datetime:
        return self.now


def furnish(folder: Path) -> None:
    """Make the registry: people, and releases as of `THEN`."""
    password = hashed()
    with Registry.create(folder, clock=Clock()) as registry:
        with registry.store.write() as view:
            for user, (roles, key) in PEOPLE.items():
                identity.add_user(view, user, now=THEN, roles=roles, password=password)
                if key is not None:
                    identity.add_key(view, user, key.public, now=THEN)
        _publish(registry, whole(), "ana")
        _approve(registry, CHARGE, "1.0.0")
        changed = SOURCE.replace("TIMEOUT = 2.0", "TIMEOUT = 5.0").replace("json=request,", "json=request, retries=3,")
        later = whole(
            CHARGE,
            "1.1.0",
            source=changed,
            libraries={"httpx": "0.28.1", "certifi": "2026.1.31", "anyio": "4.9.0"},
            found=results(extra=(over_budget(),)),
            granted=(waiver(CHARGE, datetime(2026, 12, 31, tzinfo=UTC)),),
        )
        for granted in (
            waiver(CHARGE, datetime(2026, 12, 31, tzinfo=UTC)),
            waiver(LAPSED, datetime(2026, 11, 25, tzinfo=UTC)),
            waiver(HOSTILE, datetime(2026, 12, 20, tzinfo=UTC), reason=plain(PAYLOAD), owner=plain(PAYLOAD)),
        ):
            registry.waive(waivers.sign(granted, OTHER), OTHER.public)
        _publish(registry, later, "ana")
        lapsed = whole(
            LAPSED, found=results(extra=(over_budget(),)), granted=(waiver(LAPSED, datetime(2026, 11, 25, tzinfo=UTC)),)
        )
        _publish(registry, lapsed, "ana")
        _approve(registry, LAPSED, "1.0.0")
        _publish(registry, whole(OWN, key=ADMIN), "eve")
        for release in ("1.0.0", "1.1.0", "1.2.0", "1.3.0"):
            _publish(registry, whole(CONTESTED, release), "ana")
        _publish(registry, whole(HOSTILE, "1.0.0"), "ana")
        _publish(registry, hostile(), "ana")


def _publish(registry: Registry, handed_in: Submission, user: str) -> None:
    from certify.registry.sql import Record
    from certify.times import write_time

    registry.publish(handed_in)
    with registry.store.write() as view:
        view.put_record(Record("release", handed_in.name, user, at=write_time(THEN)), 0)


def _approve(registry: Registry, node: str, release: str) -> None:
    found = registry.show(f"{node}@{release}").release
    decision = Decision(
        node, release, found.evidence, Status.APPROVED, found.version, "read the report, and ran the fixtures"
    )
    registry.decide(decisions.sign(decision, OTHER), OTHER.public)


@contextlib.contextmanager
def serving(folder: Path, clock: Any = None) -> Iterator[str]:
    """The address of a server with pages on loopback, in a thread of this process, at `NOW`."""
    settings, ready = roomy(folder), threading.Event()
    service = Service(settings, clock=clock or Clock(NOW))
    listening = socket.create_server(("127.0.0.1", 0))
    running = server.Server(server.config(build(service, pages.routes(service)), settings), ready.set)
    thread = threading.Thread(target=running.run, args=([listening],), daemon=True)
    thread.start()
    assert ready.wait(30)
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        running.should_exit = True
        thread.join(30)
        listening.close()
