"""A finding is waived from end to end: refused, waived, certified, published, and seen as waived by whoever looks."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from certify.cli.app import run
from certify.cli.status import Status
from certify.evidence.bundle import Evidence
from certify.evidence.keys import KeyPair, load_key, new_key
from certify.evidence.verdict import Waived
from certify.policy.waivers import MARK, Waiver
from certify.registry import waivers
from certify.registry.registry import Registry
from certify.registry.verification import verify_log
from certify.subject import read_subject
from certify.times import system_clock
from registry_support import ticking

REFUSED = Path(__file__).parents[2] / "examples" / "webhook" / "refused" / "untagged-pii"
NODE, VERSION = "shop/normalise-order", "1.0.0"
NOW = system_clock().replace(microsecond=0)


@dataclass
class Shop:
    """A working folder with the refused node in it, a registry, and the command line."""

    folder: Path
    key: KeyPair
    capsys: pytest.CaptureFixture[str]

    @property
    def manifest(self) -> Path:
        """The node's manifest."""
        return self.folder / "node" / "node.toml"

    @property
    def registry(self) -> Path:
        """Where the registry lies, or will."""
        return self.folder / ".certify" / "registry"

    def run(self, *arguments: str) -> tuple[int, dict[str, Any]]:
        """Exit status and JSON document of a command; none of them may be undecided."""
        self.capsys.readouterr()
        status = run([*arguments, "--json"])
        out, told = self.capsys.readouterr()
        assert status != Status.UNDECIDED, told
        return status, json.loads(out)

    def waive(self, code: str, **changes: Any) -> str:
        """Enter a waiver of all the node's findings with the code; the changes may be such as no command writes."""
        right: dict[str, Any] = {
            "node": NODE, "code": code, "reason": "tagged with the next release", "owner": "orders@shop.example",
            "issued": NOW - timedelta(days=1), "expires": NOW + timedelta(days=1), "versions": ("1.*",),
        }  # fmt: skip
        waiver = Waiver(**(right | changes))
        with Registry.ensure(self.registry, clock=ticking(waiver.issued)) as registry:
            registry.waive(waivers.sign(waiver, self.key), self.key.public)
            return registry.waivers()[-1].id


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shop:
    """The shop, at its beginning."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CERTIFY_HOME", str(tmp_path / "home"))
    for name in ("CERTIFY_REGISTRY", "CERTIFY_POLICY"):
        monkeypatch.delenv(name, raising=False)
    shutil.copytree(REFUSED, tmp_path / "node")
    return Shop(tmp_path, new_key(), capsys)


def errors(document: dict[str, Any]) -> list[dict[str, Any]]:
    """The findings that refuse the node."""
    return [f for result in document["results"] for f in result["findings"] if f["severity"] == "error"]


def only_policy(shop: Shop) -> tuple[int, dict[str, Any]]:
    """The policy check alone: what it says of the node under the registry's waivers."""
    return shop.run("check", str(shop.manifest), "--only", "policy")


def test_a_refused_node_is_waived_published_and_seen_as_waived(shop: Shop) -> None:
    """C-POLICY: refused without a waiver; with it published, the finding visible in every view, the log in order."""
    status, refused = shop.run("publish", str(shop.manifest))
    findings = errors(refused)
    assert (status, refused["published"], shop.registry.exists()) == (1, False, False)

    granted: dict[str, dict[str, Any]] = {}
    for finding in findings:
        options = [
            "--code", finding["code"], "--versions", ">=1.0.0,<2.0.0", "--about", finding["data"]["about"],
            "--place", f"{finding['place']['file']}:{finding['place']['line']}", "--reason", "tagged next week",
            "--owner", "orders@shop.example", "--expires", (NOW + timedelta(days=9)).strftime("%Y-%m-%d"),
        ]  # fmt: skip
        status, waived = shop.run("registry", "waive", NODE, *options)
        assert (status, shop.run("check", str(shop.manifest), "--only", "policy")[0]) == (0, finding != findings[-1])
        granted[waived["id"]] = waived["waiver"]
    ids = tuple(sorted(granted))

    status, published = shop.run("publish", str(shop.manifest))
    assert (status, published["published"], published["verdict"], errors(published)) == (0, True, "waived", [])

    with Registry.open(shop.registry) as registry:
        shown = registry.show(f"{NODE}@{VERSION}")
        evidence = Evidence.decode(registry.blob(shown.published.evidence))
        envelopes = {identity: registry.blob(identity) for identity in evidence.waivers}
    policy = next(result for result in evidence.results if result.check == "C-POLICY")
    marked = {found.data[MARK]["waiver"]: found.data["about"] for found in policy.findings if MARK in found.data}
    signed = {identity: waivers.read(envelope, shop.key.public).waiver for identity, envelope in envelopes.items()}
    assert (evidence.waivers, policy.verdict) == (ids, Waived(ids))
    assert signed == {identity: Waiver.from_data(waiver) for identity, waiver in granted.items()}
    assert marked == {identity: waiver["about"] for identity, waiver in granted.items()}
    assert verify_log(shop.registry).diagnostics == ()

    _, shown_again = shop.run("registry", "show", f"{NODE}@{VERSION}")
    assert sorted(each["id"] for each in shown_again["waivers"]) == list(ids)
    for form in ("md", "html", "json", "sarif"):
        file = shop.folder / f"report.{form}"
        assert run(["report", f"{NODE}@{VERSION}", "--format", form, "-o", str(file)]) == 0
        told = file.read_text("utf-8")
        assert (form, "waived" in told.lower(), "tagged next week" in told) == (form, True, True)


def test_a_gate_lets_a_waived_node_through(shop: Shop) -> None:
    """C-GATE: the pipeline's gate reads the same waivers, and refuses without them."""
    assert shop.run("gate", str(shop.manifest))[0] == 1
    code = errors(only_policy(shop)[1])[0]["code"]
    shop.waive(code)
    status, document = shop.run("gate", str(shop.manifest))
    assert (status, [node["verdict"] for node in document["nodes"]]) == (0, ["waived"])


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"issued": NOW - timedelta(days=9), "expires": NOW - timedelta(days=1)}, "expired on"),
        ({"issued": NOW + timedelta(days=1), "expires": NOW + timedelta(days=9)}, "begins on"),
        ({"versions": (">=1.1.0,<2.0.0",)}, "not for version 1.0.0"),
        ({"versions": (), "subject": "ab" * 32}, "other content"),
        ({"place": "webhook.py"}, "at webhook.py"),
        ({"about": "another field"}, "about another field"),
        ({"node": "shop/other"}, ""),
        ({"code": "EFF001"}, ""),
    ],
)
def test_a_waiver_that_misses_does_not_help(shop: Shop, changes: dict[str, Any], why: str) -> None:
    """C-POLICY: expired, early, other versions, content, place, field, node or code: near misses say why."""
    found = errors(only_policy(shop)[1])
    shop.waive(**({"code": found[0]["code"]} | changes))
    status, document = only_policy(shop)
    notes = [note["message"] for finding in errors(document) for note in finding["notes"]]
    assert (status, len(errors(document))) == (1, len(found))
    assert any(why in note for note in notes) if why else not any("waiver" in note for note in notes)


def test_a_waiver_for_this_very_content_covers_it_until_it_changes(shop: Shop) -> None:
    """C-POLICY: bound to the subject's digest, the waiver ends with the first change of a file."""
    code = errors(only_policy(shop)[1])[0]["code"]
    shop.waive(code, versions=(), subject=read_subject(shop.manifest).subject.digest)
    assert only_policy(shop)[0] == 0
    shop.manifest.write_text(shop.manifest.read_text("utf-8") + "\n# changed\n", encoding="utf-8")
    assert only_policy(shop)[0] == 1


def test_a_waiver_whose_envelope_was_tampered_with_covers_nothing_and_is_named(shop: Shop) -> None:
    """C-POLICY: only waivers whose signatures verify count."""
    code = errors(only_policy(shop)[1])[0]["code"]
    identity = shop.waive(code)
    assert only_policy(shop)[0] == 0
    with Registry.open(shop.registry) as registry:
        registry.blob_path(identity).write_bytes(b"{}")
    status, document = only_policy(shop)
    shop.capsys.readouterr()
    assert (status, {finding["code"] for finding in errors(document)}) == (1, {code})
    run(["check", str(shop.manifest), "--only", "policy", "--json"])
    assert "CLI011" in shop.capsys.readouterr().err


def test_the_signer_of_the_evidence_does_not_approve_it(shop: Shop) -> None:
    """R-AUTH: the key that published may not approve; another may."""
    code = errors(only_policy(shop)[1])[0]["code"]
    shop.waive(code)
    assert shop.run("publish", str(shop.manifest))[0] == 0
    status, document = shop.run("registry", "approve", f"{NODE}@{VERSION}", "--reason", "mine")
    assert (status, [error["code"] for error in document["errors"]]) == (1, ["REG030"])
    other = new_key(shop.folder / "other")
    assert load_key(other.file).public == other.public
    signing = ["--key", str(other.file)]
    assert shop.run("registry", "approve", f"{NODE}@{VERSION}", "--reason", "read it", *signing)[0] == 0
