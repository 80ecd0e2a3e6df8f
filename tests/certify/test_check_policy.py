"""C-POLICY: each thing that policy must refuse is refused, by its own code, at its own line."""

from __future__ import annotations

import base64
import dataclasses
import gzip
import json
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import pytest

from certify.checks.policy import differences, make_check
from certify.codec import decode, encode
from certify.evidence.verdict import CheckResult, Failed, Passed, Unknown
from certify.laboratory.record import Event, EventKind, Plan, RunRecord, World
from certify.policy.policies import load_policies
from certify_spec.diagnostics import Place, Severity
from policy_bench import CODE, INPUT, INPUT_SCHEMA, NODE, TEXT, bench, exchange, line_of, ran, use

EMAIL = INPUT["customer"]["email"]
CHARGE = json.dumps({"amount": INPUT["amount"]}).encode()


def good(plan: Plan) -> RunRecord:
    """The node charges, and sends what it may send."""
    return ran(plan, exchanges=[exchange(CHARGE)])


def checked(folder: Path, policies: Path | None = None, **changes: object) -> CheckResult:
    """The result for the example with these changes."""
    return make_check(load_policies(policies))(bench(folder, **{"react": good, **changes}))  # type: ignore[arg-type]  # one place for all the variations of a bench


def errors(result: CheckResult) -> list[str]:
    """Codes of the errors."""
    return [finding.code for finding in result.findings if finding.severity is Severity.ERROR]


def test_a_node_within_policy_passes_without_a_finding(tmp_path: Path) -> None:
    """C-POLICY: the example that declares everything passes, and nothing is remarked on."""
    result = checked(tmp_path)
    assert (result.verdict, result.findings) == (Passed(), ())


def test_the_result_is_evidence(tmp_path: Path) -> None:
    """C-POLICY: a result has a canonical encoding and is equal when read back."""
    data = dataclasses.replace(checked(tmp_path), seconds=0.0).to_data()
    assert CheckResult.from_data(decode(encode(data))).to_data() == data


def test_a_recheck_of_the_evidence_decides_the_same(tmp_path: Path) -> None:
    """C-POLICY: the questions in the evidence, put to the same policies again, get the same answers."""
    result = CheckResult.from_data(checked(tmp_path).to_data())
    assert differences(load_policies(), result) == ()


def test_a_recheck_notices_a_forged_decision(tmp_path: Path) -> None:
    """C-POLICY: a decision changed in the evidence is found by the re-check."""
    data = checked(tmp_path, manifest=NODE.replace("https://payments.test", "http://payments.corp")).to_data()
    for decision in data["measured"]["decisions"]:
        decision |= {"decision": "allowed", "policies": ["egress-permitted"]}
    assert any("http://payments.corp" in line for line in differences(load_policies(), CheckResult.from_data(data)))


@pytest.mark.parametrize(
    ("old", "new", "code", "policy", "words"),
    [
        ("https://payments.test", "http://payments.corp", "POL102", "egress-encrypted", "url ="),
        ("https://payments.test", "http://localhost.evil.corp", "POL102", "egress-encrypted", "url ="),
        ("https://payments.test", "http://2130706433", "POL102", "egress-encrypted", "url ="),
        ('"charges:write"', '"charges:write", "*"', "POL103", "scope-allowed", '"*"'),
        ('"charges:write"', '"admin:users"', "POL103", "scope-allowed", '"admin:users"'),
        ('"charges:write"', '" Admin "', "POL103", "scope-allowed", '" Admin "'),
        ('region = "eu-west-1"', 'region = "us-east-1"', "POL104", "region-in-residency", 'region = "us'),
        ('[residency]\nregions = ["eu-west-1"]\n', "", "POL101", "personal-data-has-residency", "[node]"),
        ('carries = ["financial"]\nscopes = ["charges:write"]\nregion = "eu-west-1"', 'carries = ["financial", "pii"]',
         "POL104", "personal-data-region-known", 'name = "payments"'),
        ('= "best_effort"', '= "best_effort"\ntrusts = ["leftpad"]', "POL107", "trust-allowed", "trusts"),
        ('status = "internal"', 'status = "credential"', "POL106", "credential-not-returned", 'status = "cred'),
    ],
)  # fmt: skip
def test_each_refused_manifest_names_policy_and_line(
    tmp_path: Path, old: str, new: str, code: str, policy: str, words: str
) -> None:
    """C-POLICY: a host, scope, region, module or class that policy forbids is refused by name, at its line."""
    text = NODE.replace(old, new)
    assert text != NODE
    result = checked(tmp_path, manifest=text)
    found = next(finding for finding in result.findings if finding.data.get("policy") == policy)
    assert (result.verdict, found.code, found.place and found.place.line) == (Failed(), code, line_of(text, words))


def test_a_trusted_module_covers_its_submodules_and_no_longer_name(tmp_path: Path) -> None:
    """C-POLICY: `pydantic` in the settings trusts `pydantic.main`, and not `pydantic_evil`."""
    text = NODE.replace('best_effort"', 'best_effort"\ntrusts = ["pydantic.main", "pydantic_evil"]')
    assert [f.data["about"] for f in checked(tmp_path, manifest=text).findings] == ["module pydantic_evil"]


def test_a_host_that_nobody_declared_is_refused_at_the_line_that_reached_for_it(tmp_path: Path) -> None:
    """C-POLICY: observed egress outside the manifest is refused where it happened."""
    event = Event(EventKind.RESOLVE, "evil.example", place=CODE)
    result = checked(tmp_path, react=lambda plan: ran(plan, events=[event]))
    assert [(f.code, f.data["policy"], f.place) for f in result.findings] == [("POL102", "egress-declared", CODE)]


def test_connections_to_the_simulated_upstreams_are_no_egress(tmp_path: Path) -> None:
    """C-POLICY: loopback, declared names and unix sockets raise no false alarm."""
    targets = ["127.0.0.2:443", "[::1]:80", "payments.test:443", "unix:/dev/log", "localhost:9"]
    events = [Event(EventKind.CONNECT, target, place=CODE) for target in targets]
    assert checked(tmp_path, react=lambda plan: ran(plan, events=events)).findings == ()


def test_every_field_needs_a_class(tmp_path: Path) -> None:
    """C-POLICY: a field without a class is named, at the table where its class belongs."""
    text = NODE.replace('order = "internal"\n', "")
    result = checked(tmp_path, manifest=text)
    assert [(f.code, f.data["about"], f.place and f.place.line) for f in result.findings] == [
        ("POL110", "input field order", line_of(text, "classes]"))
    ]


def test_a_class_for_a_field_that_does_not_exist_is_an_error(tmp_path: Path) -> None:
    """C-POLICY: a tag that covers nothing is refused, with the nearest field."""
    text = NODE.replace('amount = "financial"', 'amuont = "financial"')
    found = {f.code: f for f in checked(tmp_path, manifest=text).findings}
    assert set(found) == {"POL110", "POL111"}
    assert (found["POL111"].fix, found["POL111"].place) == (
        "write `amount`, or remove the line",
        dataclasses.replace(found["POL111"].place or CODE, file="node.toml", line=line_of(text, "amuont")),
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("eMail", "x"),
        ("contact_phone", "x"),
        ("birthDate", "x"),
        ("STREET_NAME", "x"),
        ("clientIp", "x"),
        ("note", "write to Jane <jane.roe@mail.example>"),
        ("note", "+49 (170) 1234567"),
        ("note", "DE89 3704 0044 0532 0130 00"),
        ("note", "4111-1111-1111-1111"),
        ("note", "078-05-1120"),
        ("note", "203.0.113.9"),
        ("note", "2001:db8::42"),
        ("note", "sk_live_" + "a1B2" * 6),
    ],
)
def test_a_field_that_looks_personal_is_refused_below_its_class(tmp_path: Path, name: str, value: str) -> None:
    """C-POLICY: names in any spelling and values by form and check digit give a mistagged field away."""
    text = NODE.replace('order = "internal"', f'order = "internal"\n{name} = "internal"')
    schema = {**INPUT_SCHEMA, "properties": {**INPUT_SCHEMA["properties"], name: TEXT}}
    result = checked(tmp_path, manifest=text, input_schema=schema, value={**INPUT, name: value})
    assert [
        (f.code, f.data["about"], f.place and f.place.line) for f in result.findings if f.severity is Severity.ERROR
    ] == [("POL112", f"input field {name}", line_of(text, f"{name} ="))]
    assert value == "x" or value not in json.dumps(result.to_data(), ensure_ascii=False)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("note", "ord-4111111111111112"),
        ("note", "2026-11-20T11:52:32Z"),
        ("note", "550e8400-e29b-41d4-a716-446655440000"),
        ("api_version", "10.2.3.4"),
        ("note", "1234567890123456"),
        ("email_verified", "yes"),
        ("product_name", "Jane"),
        ("hotel", "Grand"),
        ("company", "x"),
        ("note", "127.0.0.1"),
        ("idempotency_key", "a1b2"),
        ("session", "a"),
    ],
)
def test_an_ordinary_field_raises_no_alarm(tmp_path: Path, name: str, value: str) -> None:
    """C-POLICY: order numbers, times, versions and words that merely contain a telling one are left alone."""
    text = NODE.replace('order = "internal"', f'order = "internal"\n{name} = "internal"')
    schema = {**INPUT_SCHEMA, "properties": {**INPUT_SCHEMA["properties"], name: TEXT}}
    assert checked(tmp_path, manifest=text, input_schema=schema, value={**INPUT, name: value}).findings == ()


def test_an_output_that_turns_out_personal_is_refused(tmp_path: Path) -> None:
    """C-POLICY: what a run really returned counts, not only names and fixtures."""
    result = checked(tmp_path, react=lambda plan: ran(plan, output={"status": "sent to bob@mail.example"}))
    assert [(f.code, f.data["about"]) for f in result.findings] == [("POL112", "output field status")]


PLAIN = EMAIL.encode()
FORMS: dict[str, Callable[[bytes], bytes]] = {
    "plain": lambda raw: raw,
    "upper case": lambda raw: raw.upper(),
    "JSON": lambda raw: json.dumps({"to": raw.decode()}).encode(),
    "JSON escapes": lambda raw: "".join(f"\\u{byte:04x}" for byte in raw).encode(),
    "percent-encoded": lambda raw: quote(raw, safe="").encode(),
    "percent-encoded twice": lambda raw: quote(quote(raw, safe=""), safe="").encode(),
    "Base64": base64.b64encode,
    "Base64 shifted by one": lambda raw: base64.b64encode(b"?" + raw),
    "Base64 shifted by two": lambda raw: base64.b64encode(b"??" + raw + b"!"),
    "Base64 for URLs": lambda raw: base64.urlsafe_b64encode(b"\xfb\xff\xbf" + raw).rstrip(b"="),
    "hexadecimal": lambda raw: raw.hex().upper().encode(),
    "gzip": gzip.compress,
    "gzip in Base64": lambda raw: base64.b64encode(gzip.compress(raw)),
    "UTF-16": lambda raw: raw.decode().encode("utf-16"),
    "HTML": lambda raw: raw.replace(b"@", b"&#64;"),
}


_BINARY = {"gzip", "UTF-16"}
_PARTS = ("body", "path", "headers")


@pytest.mark.parametrize(
    ("part", "form"), [(part, form) for form in FORMS for part in _PARTS if part == "body" or form not in _BINARY]
)
def test_personal_data_in_a_request_is_found_in_any_encoding(tmp_path: Path, form: str, part: str) -> None:
    """C-POLICY: PII sent to a resource that does not carry it is refused, wherever and however it is written."""
    written = FORMS[form](PLAIN)
    as_text = written.decode("latin-1")
    sent = {
        "body": exchange(written),
        "path": exchange(path=f"/charges?q={as_text}"),
        "headers": exchange(headers=[("x-who", as_text)]),
    }[part]
    call = use("http.payments", operation="request", mode="write")
    result = checked(tmp_path, react=lambda plan: ran(plan, events=[call], exchanges=[sent]))
    assert [(f.code, f.data["policy"], f.place) for f in result.findings] == [("POL105", "class-carried", CODE)]
    assert result.findings[0].data["evidence"]["field"] == "customer.email"
    assert EMAIL not in json.dumps(result.to_data())


def test_what_a_resource_carries_may_be_sent_there(tmp_path: Path) -> None:
    """C-POLICY: a declared class is asked of policy and allowed; the evidence says that it was sent."""
    text = NODE.replace('carries = ["financial"]', 'carries = ["financial", "pii"]')
    result = checked(tmp_path, manifest=text, react=lambda plan: ran(plan, exchanges=[exchange(PLAIN)]))
    assert (result.verdict, [d["field"] for d in result.measured["disclosures"]]) == (Passed(), ["customer.email"])


def test_short_values_count_only_under_their_own_name(tmp_path: Path) -> None:
    """C-POLICY: an amount of 42 elsewhere proves nothing; under its own name it is the field."""
    text = NODE.replace('carries = ["financial"]', "carries = []")
    chance = checked(
        tmp_path,
        manifest=text,
        value={**INPUT, "amount": 42},
        react=lambda plan: ran(plan, exchanges=[exchange(b'{"retries": 42}')]),
    )
    sent = checked(
        tmp_path,
        manifest=text,
        value={**INPUT, "amount": 42},
        react=lambda plan: ran(plan, exchanges=[exchange(b"Amount=42&x=1")]),
    )
    assert (errors(chance), errors(sent)) == ([], ["POL105"])


def test_a_value_that_a_public_field_holds_too_proves_nothing(tmp_path: Path) -> None:
    """C-POLICY: no alarm over a value that may come from a less sensitive field."""
    value = {"customer": {"email": "same-text"}, "amount": 129_900, "order": "same-text"}
    assert (
        checked(tmp_path, value=value, react=lambda plan: ran(plan, exchanges=[exchange(b"same-text")])).findings == ()
    )


@pytest.mark.parametrize(
    "record",
    [
        lambda plan: ran(plan, events=[use("log", operation="info", mode="read", message="new", fields={"to": EMAIL})]),
        lambda plan: ran(
            plan, events=[use("log", operation="info", mode="read", message=base64.b64encode(PLAIN).decode())]
        ),
        lambda plan: ran(plan, stderr=f"charging {EMAIL}"),
        lambda plan: ran(plan, events=[use("kv.orders", operation="put", mode="write", key="k", value=PLAIN)]),
        lambda plan: ran(plan, events=[use("dedupe", operation="remember", mode="write", value=gzip.compress(PLAIN))]),
        lambda plan: ran(plan, world=World(databases={"orders.db": {"orders": (f"(1, '{EMAIL}')",)}})),
    ],
)
def test_personal_data_in_logs_prints_and_stores_is_refused(
    tmp_path: Path, record: Callable[[Plan], RunRecord]
) -> None:
    """C-POLICY: logs, prints, stores and tables are resources too."""
    assert errors(checked(tmp_path, react=record)) == ["POL105"]


def test_reading_by_a_personal_key_and_the_upstreams_own_tables_are_no_disclosure(tmp_path: Path) -> None:
    """C-POLICY: looking a key up stores nothing, and what the simulated upstream keeps is not the node's."""
    events = [use("kv.orders", operation="get", mode="read", key=EMAIL)]
    world = World(databases={"upstream/payments/db": {"t": (EMAIL,)}})
    assert checked(tmp_path, react=lambda plan: ran(plan, events=events, world=world)).findings == ()


def test_credentials_are_refused_in_output_logs_and_stores(tmp_path: Path) -> None:
    """C-POLICY: a secret's placeholder or a key's form is refused but on its way to an upstream."""
    leak = "<secret:API_KEY>"
    output = checked(tmp_path, react=lambda plan: ran(plan, output={"status": leak}))
    logged = checked(tmp_path, react=lambda plan: ran(plan, events=[use("log", operation="info", message=f"k {leak}")]))
    printed = checked(tmp_path, react=lambda plan: ran(plan, stderr="-----BEGIN PRIVATE KEY-----"))
    stored = checked(
        tmp_path, react=lambda plan: ran(plan, events=[use("kv.a", operation="put", mode="write", value=leak)])
    )
    header = checked(
        tmp_path, react=lambda plan: ran(plan, exchanges=[exchange(headers=[("authorization", f"Bearer {leak}")])])
    )
    assert [errors(each) for each in (output, logged, printed, stored, header)] == [
        ["POL113"],
        ["POL114"],
        ["POL114"],
        ["POL114"],
        [],
    ]


def test_a_tagged_credential_in_the_output_is_found(tmp_path: Path) -> None:
    """C-POLICY: the value of a credential field that comes back in the output is refused, encoded or not."""
    text = NODE.replace('order = "internal"', 'order = "credential"')
    react = lambda plan: ran(plan, output={"status": base64.b64encode(b"tok:hunter2-hunter2").decode()})  # noqa: E731 - one expression
    result = checked(tmp_path, manifest=text, value={**INPUT, "order": "hunter2-hunter2"}, react=react)
    assert errors(result) == ["POL113"]


def test_a_run_that_was_not_observed_in_full_is_unknown_never_a_pass(tmp_path: Path) -> None:
    """C-POLICY: an incomplete record leaves the check undecided, and no waiver may cover it."""
    lost = "3 records did not fit"
    result = checked(tmp_path, react=lambda plan: ran(plan, incomplete="" if plan.faults else lost))
    failing = checked(tmp_path, react=lambda plan: ran(plan, incomplete=lost if plan.faults else ""))
    for found in (result, failing):
        assert isinstance(found.verdict, Unknown)
        assert {(f.code, f.data["waivable"]) for f in found.findings} == {("POL121", False)}


def test_a_policy_that_fails_to_evaluate_is_unknown_never_skipped(tmp_path: Path) -> None:
    """C-POLICY: Cedar would skip a forbid that overflows; here the check does not pass."""
    folder = tmp_path / "policies"
    folder.mkdir()
    (folder / "own.cedar").write_text(
        '@id("own") @reason("r") @fix("f")\nforbid (principal, action == Action::"connect", resource)\n'
        "when { resource.port * 9223372036854775807 > 5 };\n"
    )
    result = checked(tmp_path, folder)
    assert isinstance(result.verdict, Unknown)
    assert [f.code for f in result.findings] == ["POL120"]
    assert "`own`" in result.findings[0].message


def test_a_value_recorded_by_its_digest_is_remarked_on(tmp_path: Path) -> None:
    """C-POLICY: what cannot be searched is said so."""
    event = use("blob.files", operation="write", mode="write", key="a", value={"blake3": "0" * 64, "bytes": 9000})
    assert [f.code for f in checked(tmp_path, react=lambda plan: ran(plan, events=[event])).findings] == ["POL115"]


def test_without_the_manifests_file_places_degrade_to_the_first_line(tmp_path: Path) -> None:
    """C-POLICY: a finding has a place even when the manifest's text is gone."""
    work = bench(tmp_path, manifest=NODE.replace("https://payments.test", "http://payments.corp"), react=good)
    (tmp_path / "node.toml").unlink()
    assert [f.place for f in make_check(load_policies())(work).findings] == [Place("node.toml", 1, 1, 1, 1)]
