"""The commands on the service's page do what the page says, and its tables say what the code says."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest

from certify.cli.app import run
from certify.evidence.keys import new_key
from certify.registry.registry import Registry
from certify.registry.verification import verify_log
from certify.service.access import load_access
from certify.service.client import RemoteRegistry
from certify_spec.diagnostics import rules
from registry_support import submission
from service_support import PASSWORD, inhabit, roomy, served

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "service.md").read_text("utf-8")
#: What needs another machine, or a node; their parts are tested where they are.
ELSEWHERE = ("serve", "--database", "publish node.toml", "token new ana", "user add", "export ")


def commands() -> list[list[str]]:
    """The commands of the page's shell blocks, in order."""
    blocks = "\n".join(re.findall(r"^```sh\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL))
    lines = [line for line in blocks.splitlines() if line and not any(part in line for part in ELSEWHERE)]
    return [shlex.split(line)[1:] for line in lines]


def test_the_pages_commands_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """R-OPS: register a key, approve, back up, verify, restore, clean, witness, bundle and verify it, as written."""
    lived = inhabit(tmp_path / "registry")
    monkeypatch.setenv("CERTIFY_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("CERTIFY_TOKEN", lived.tokens["bo"])
    monkeypatch.chdir(tmp_path)
    new_key()
    done = []
    with served(roomy(lived.folder)) as url:
        with RemoteRegistry(url, token=lived.tokens["ana"]) as remote:
            remote.publish(submission("payments/charge"))
        for command in commands():
            here = "backup" in command or "clean" in command
            monkeypatch.setenv("CERTIFY_REGISTRY", str(lived.folder) if here else url)
            said = [part.replace("https://registry.example", url) for part in command]
            done.append((command[1], run(said)))
    assert done == [
        (verb, 0)
        for verb in (
            "register-key", "approve", "backup", "verify-log", "restore", "clean", "witness", "bundle", "verify-bundle"
        )
    ]  # fmt: skip
    assert verify_log(tmp_path / "restored").holds


def test_users_and_tokens_as_the_page_makes_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """R-AUTH: users and a narrowed token from the command line, and a wrong role that is refused."""
    monkeypatch.setenv("CERTIFY_PASSWORD", PASSWORD)
    monkeypatch.setenv("CERTIFY_REGISTRY", str(tmp_path / "registry"))
    block = PAGE[PAGE.index("```sh\n") : PAGE.index("certify registry serve")]
    lines = [shlex.split(line)[1:] for line in block.splitlines() if line.startswith("certify")]
    assert [run(line) for line in lines] == [0, 0, 0]
    assert run(["registry", "user", "add", "x", "--role", "king"]) == 2
    assert run(["registry", "user", "change", "bo", "--state", "disabled"]) == 0
    assert run(["registry", "user", "list"]) == 0
    capsys.readouterr()
    assert run(["registry", "token", "list", "ana", "--json"]) == 0
    (token,) = json.loads(capsys.readouterr().out)["tokens"]
    assert (token["scopes"], token["prefix"]) == (["read", "upload", "publish"], "payments")
    assert run(["registry", "token", "revoke", token["id"]]) == 0
    with Registry.open(tmp_path / "registry") as registry, registry.store.read() as view:
        assert [(u.id, u.state) for u in view.records("user")] == [("ana", "active"), ("bo", "disabled")]


def test_the_pages_policies_are_the_shipped_ones() -> None:
    """R-AUTH: the table of access policies names each, with its reason."""
    shown = dict(re.findall(r"^\| `([a-z-]+)` \| (.+) \|$", PAGE, re.MULTILINE))
    shipped = {policy.id: policy.reason for policy in load_access().policies}
    named = shown.keys() | {"token-scope", "token-prefix"}
    assert named == shipped.keys()
    assert {name: reason for name, reason in shipped.items() if name in shown} == shown


def test_the_pages_codes_are_those_of_the_service() -> None:
    """R-REVIEW: each code of the service, with meaning and advice, and no other."""
    import certify.service.api
    import certify.service.bundles
    import certify.service.witness  # noqa: F401 - declares its codes

    expected = [
        f"| `{r.code}` | {r.meaning} | {r.advice} |"
        for code, r in sorted(rules().items())
        if code.startswith(("SRV", "BND", "WIT"))
    ]
    assert re.findall(r"^\| `(?:SRV|BND|WIT)\d{3}` .*$", PAGE, re.MULTILINE) == sorted(expected)


def test_the_dashboard_asks_for_what_is_measured(tmp_path: Path) -> None:
    """R-METRICS: every metric that the Grafana dashboard names is one that the service has."""
    from certify.service.service import Service

    Registry.create(tmp_path / "registry").close()
    said = Service(roomy(tmp_path / "registry")).metrics.text().decode()
    dashboard = json.loads((ROOT / "docs" / "operations" / "grafana-registry.json").read_text("utf-8"))
    asked = {
        name
        for panel in dashboard["panels"]
        for target in panel["targets"]
        for name in re.findall(r"certify_\w+", target["expr"])
    }
    known = set(re.findall(r"^# TYPE (\S+)", said, re.MULTILINE))
    assert {re.sub(r"_(bucket|count|total)$", "", name) for name in asked} <= {
        re.sub(r"_total$", "", name) for name in known
    }
