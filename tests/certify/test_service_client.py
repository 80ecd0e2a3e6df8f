"""A served registry from the command line, and what the client does not believe."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from certify.cli.app import run
from certify.codec import address
from certify.evidence.keys import KeyPair, new_key
from certify.registry.decisions import Decision
from certify.registry.entries import Status
from certify.registry.errors import Refused
from certify.registry.registry import Registry
from certify.registry.verification import verify_log
from certify.service import downloads
from certify.service.client import RemoteRegistry
from certify.times import system_clock, write_seconds
from certify_spec.diagnostics import RequestError
from registry_support import NODE, codes, signed_decision, signed_waiver, submission, waiver
from service_support import BASE, Inhabited, inhabit, roomy, served


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Inhabited:
    """A registry with users."""
    return inhabit(tmp_path_factory.mktemp("client") / "registry")


@pytest.fixture(scope="module")
def url(lived: Inhabited) -> Iterator[str]:
    """The address of a server."""
    with served(roomy(lived.folder)) as address_:
        yield address_


@pytest.fixture
def as_bo(lived: Inhabited, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> KeyPair:
    """The command line of bo, with a key of its own in its home folder."""
    monkeypatch.setenv("CERTIFY_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("CERTIFY_REGISTRY", url)
    monkeypatch.setenv("CERTIFY_TOKEN", lived.tokens["bo"])
    return new_key()


def test_the_command_line_works_on_a_service(
    lived: Inhabited, url: str, as_bo: KeyPair, capsys: pytest.CaptureFixture[str]
) -> None:
    """R-REVIEW: list, show, diff, waive, waivers, approve and reject with the address of a service for a folder."""
    with RemoteRegistry(url, token=lived.tokens["ana"]) as remote:
        receipts = [remote.publish(submission("remote/node", release, code=release)) for release in ("1.0.0", "1.1.0")]
    assert [receipt.appended for receipt in receipts] == [True, True]
    assert run(["registry", "approve", "remote/node@1.0.0", "--reason", "read"]) == 1
    assert "SRV012" in capsys.readouterr().err
    soon = (system_clock() + timedelta(days=30)).strftime("%Y-%m-%d")
    commands = (
        ["register-key"],
        ["approve", "remote/node@1.0.0", "--reason", "read"],
        ["reject", "remote/node@1.1.0", "--reason", "charges twice"],
        ["waive", "remote/node", "--code", "POL112", "--versions", "1.*", "--reason", "soon", "--owner", "bo",
         "--expires", soon],
        ["waivers", "remote/node"],
        ["list"],
        ["diff", "remote/node@1.0.0", "remote/node@1.1.0"],
        ["show", "remote/node@1.0.0", "--json"],
    )  # fmt: skip
    assert [run(["registry", *command]) for command in commands] == [0] * len(commands)
    said = capsys.readouterr().out
    shown = json.loads(said[said.index("{") :])
    assert (shown["release"]["status"], shown["decisions"][0]["signer"]) == ("approved", as_bo.public.key_id)
    with Registry.open(lived.folder) as opened:
        statuses = [release.status for release in opened.list_nodes()["remote/node"]]
    assert statuses == [Status.APPROVED, Status.REJECTED]
    assert verify_log(lived.folder).holds


def test_a_conflict_is_told_as_one(url: str, lived: Inhabited, as_bo: KeyPair) -> None:
    """R-OCC: what the service says about a second approval is the same diagnostic as in a folder."""
    with RemoteRegistry(url, token=lived.tokens["ana"]) as remote:
        remote.publish(submission("remote/conflict"))
    run(["registry", "register-key"])
    assert run(["registry", "approve", "remote/conflict@1.0.0", "--reason", "read"]) == 0
    assert run(["registry", "approve", "remote/conflict@1.0.0", "--reason", "again"]) == 1


def test_a_large_blob_goes_up_in_parts(url: str, lived: Inhabited) -> None:
    """R-REVIEW: a large blob is uploaded in parts, goes on after an answer was lost, and comes back whole."""
    data = bytes(range(256)) * (9 * 2**12)  # 9 MiB
    lost = [1]

    class Lossy(httpx.HTTPTransport):
        """Loses the answer to the first part that arrives."""

        def handle_request(self, request: httpx.Request) -> httpx.Response:
            answer = super().handle_request(request)
            if request.method == "PATCH" and lost:
                lost.clear()
                raise httpx.ReadError("lost")
            return answer

    with RemoteRegistry(url, token=lived.tokens["ana"], transport=Lossy(), sleep=lambda _: None) as remote:
        remote.upload({address(data): data})
        assert remote.blob(address(data)) == data
    assert not lost
    assert not list((lived.folder / "uploads").iterdir())


@pytest.mark.parametrize("spoil", ["blob", "receipt", "entries", "checkpoint", "nonsense"])
def test_what_the_client_does_not_believe(url: str, lived: Inhabited, spoil: str) -> None:
    """R-LOG: other bytes, another entry, a receipt or a checkpoint that does not verify, and no JSON at all."""
    handed_in = submission("remote/spoilt")
    with RemoteRegistry(url, token=lived.tokens["ana"]) as remote:
        remote.publish(handed_in)

    class Spoiling(httpx.HTTPTransport):
        """Changes what the service answers."""

        def handle_request(self, request: httpx.Request) -> httpx.Response:
            answer = super().handle_request(request)
            content = answer.read()
            if spoil == "blob" and "/blobs/" in str(request.url):
                content = b"other"
            elif spoil == "nonsense":
                content = b"<html>"
            elif "/releases/" in str(request.url) or spoil == "checkpoint":
                content = json.dumps(spoilt(json.loads(content))).encode()
            return httpx.Response(answer.status_code, content=content)

    def spoilt(said: dict[str, Any]) -> dict[str, Any]:
        match spoil:
            case "receipt":
                said["receipt"]["entry"] += 1
            case "entries":
                said["entries"][0]["data"] = "AAAA"
            case "checkpoint" if "checkpoint" in said:
                said["checkpoint"] = said["checkpoint"].replace("\n", "\n1", 1)
        return said

    asked = {
        "blob": lambda remote: remote.blob(handed_in.evidence),
        "checkpoint": lambda remote: remote.checkpoint(),
    }.get(spoil, lambda remote: remote.show("remote/spoilt@1.0.0"))
    with (
        RemoteRegistry(url, token=lived.tokens["ana"], transport=Spoiling()) as remote,
        pytest.raises(RequestError) as refused,
    ):
        asked(remote)
    assert codes(refused.value) == ["REG023" if spoil == "blob" else "SRV015"]


def test_a_full_service_is_asked_again(lived: Inhabited) -> None:
    """R-BACKPRESSURE: the client waits as long as Retry-After says, a few times, and then tells."""
    waited: list[float] = []

    def full(request: httpx.Request) -> httpx.Response:
        if len(waited) >= 3 and request.url.path.endswith("registry"):
            return httpx.Response(200, json={"verifier": "", "checkpoint": "", "size": 0})
        return httpx.Response(503, headers={"Retry-After": "7"}, json={})

    with RemoteRegistry("http://full", token="", transport=httpx.MockTransport(full), sleep=waited.append) as remote:
        assert remote.checkpoint() is None
        assert waited == [7.0, 7.0, 7.0]
        with pytest.raises(RequestError) as refused:
            remote.waivers()
    assert codes(refused.value) == ["SRV015"]


def test_nobody_listens(lived: Inhabited) -> None:
    """R-REVIEW: SRV014 with the address, after a few attempts."""
    waited: list[float] = []
    with (
        RemoteRegistry("http://127.0.0.1:9", token="", sleep=waited.append) as remote,
        pytest.raises(RequestError) as r,
    ):
        remote.checkpoint()
    assert (codes(r.value), len(waited)) == (["SRV014"], 5)


def test_without_a_token(url: str) -> None:
    """R-AUTH: SRV002 says what to do."""
    with RemoteRegistry(url, token="") as remote, pytest.raises(RequestError) as refused:
        remote.listed()
    assert codes(refused.value) == ["SRV002"]


def test_a_release_that_is_refused_is_refused_here(url: str, lived: Inhabited) -> None:
    """R-REVIEW: a refusal of the service is a refusal of the command, with the same codes."""
    from certify.evidence.verdict import Failed

    with RemoteRegistry(url, token=lived.tokens["ana"]) as remote, pytest.raises(Refused) as refused:
        remote.publish(submission("remote/failed", verdict=Failed()))
    assert codes(refused.value) == ["REG020"]


@pytest.fixture(scope="module")
def grown(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Inhabited, str]]:
    """A service whose log holds two releases, a decision and a waiver, and a registry that nobody else changes."""
    lived = inhabit(tmp_path_factory.mktemp("grown") / "registry")
    with Registry.open(lived.folder) as opened:
        for release in ("1.0.0", "1.1.0"):
            opened.publish(submission(release=release, code=release))
        first = submission(release="1.0.0", code="1.0.0")
        opened.decide(*signed_decision(Decision(NODE, "1.0.0", first.evidence, Status.APPROVED, 1, "read")))
        opened.waive(*signed_waiver(waiver(**lasting())))
    with served(roomy(lived.folder)) as address_:
        yield lived, address_


def lasting() -> dict[str, str]:
    """Days of a waiver that holds now."""
    now = system_clock()
    return {name: write_seconds(now + timedelta(days=days)) for name, days in (("issued", -1), ("expires", 30))}


def test_the_log_of_a_service_is_verified_here(
    grown: tuple[Inhabited, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """R-LOG: `verify-log` downloads what the log speaks of, and finds what it finds in the folder; exit status 0."""
    lived, url_ = grown
    monkeypatch.setenv("CERTIFY_TOKEN", lived.tokens["bo"])
    here, saved = verify_log(lived.folder), tmp_path / "checkpoint"
    command = ["registry", "verify-log", "--registry", url_, "--json"]
    assert run([*command, "--save", str(saved)]) == 0
    said = json.loads(capsys.readouterr().out)
    assert [said[name] for name in ("holds", "entries", "blobs", "root")] == [True, 4, here.blobs, here.root.hex()]
    assert saved.read_text() == here.checkpoint
    assert run([*command, "--checkpoint", str(saved)]) == 0


@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        ("entry", "LOG011"),
        ("last entry", "LOG012"),
        ("checkpoint", "LOG010"),
        ("blob", "LOG021"),
        ("no blob", "LOG020"),
        ("status", "LOG032"),
        ("release", "LOG030"),
        ("waiver", "LOG030"),
    ],
)
def test_a_service_whose_log_does_not_hold(grown: tuple[Inhabited, str], spoil: str, code: str) -> None:
    """R-LOG: another entry, one too few, a checkpoint, blob, release or waiver that is not the log's: found."""
    lived, url_ = grown
    victim = submission(release="1.0.0", code="1.0.0").evidence

    class Spoiling(httpx.HTTPTransport):
        """Changes what the service answers."""

        def handle_request(self, request: httpx.Request) -> httpx.Response:
            answer = super().handle_request(request)
            path, content = request.url.path.removeprefix("/api/v1"), answer.read()
            if path == f"/blobs/{victim}" and "blob" in spoil:
                if spoil == "blob":
                    return httpx.Response(200, content=b"other")
                return super().handle_request(
                    httpx.Request("GET", f"{url_}{BASE}/blobs/{'0' * 64}", headers=request.headers)
                )
            if answer.headers.get("content-type", "").startswith("application/json"):
                return httpx.Response(answer.status_code, json=spoilt(path, json.loads(content)))
            return httpx.Response(answer.status_code, content=content)

    def spoilt(path: str, said: dict[str, Any]) -> dict[str, Any]:
        match spoil, path:
            case "entry", "/log/entries":
                said["entries"][0]["data"] = said["entries"][1]["data"]
            case "last entry", "/log/entries":
                said["entries"] = [each for each in said["entries"] if each["number"] < 3]
            case "checkpoint", "/registry":
                said["checkpoint"] = said["checkpoint"].replace("\n4\n", "\n3\n")
            case "status", "/releases":
                said["releases"][-1]["status"] = "rejected"
            case "release", "/releases":
                said["releases"].pop()
            case "waiver", "/waivers":
                said["waivers"].clear()
        return said

    with RemoteRegistry(url_, token=lived.tokens["bo"], transport=Spoiling()) as remote:
        report = downloads.verify(remote)
    assert code in codes(report)
    assert not report.holds


def test_a_service_with_another_key_or_an_older_log(
    grown: tuple[Inhabited, str], url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """R-LOG: what is known from elsewhere counts (1); a malformed key or no token is a wrong request (2)."""
    lived, url_ = grown
    monkeypatch.setenv("CERTIFY_TOKEN", lived.tokens["bo"])
    command, other = ["registry", "verify-log", "--registry", url_], tmp_path / "other"
    with RemoteRegistry(url, token="") as remote, pytest.raises(RequestError):
        remote.itself()
    with Registry.create(tmp_path / "elsewhere") as opened:
        opened.publish(submission())
        other.write_text(opened.checkpoint() or "")
        assert run([*command, "--verifier", str(opened.verifier)]) == 1
    assert run([*command, "--checkpoint", str(other)]) == 1
    assert run([*command, "--verifier", "nonsense"]) == 2
    monkeypatch.setenv("CERTIFY_TOKEN", "")
    assert run(command) == 2


def test_a_log_that_grows_meanwhile(grown: tuple[Inhabited, str]) -> None:
    """R-LOG: what is published and decided while the log is downloaded is no finding."""
    lived, url_ = grown
    late = submission(release="1.2.0", code="1.2.0")

    class Growing(httpx.HTTPTransport):
        """Lets the log grow once the releases have been listed."""

        grown = False

        def handle_request(self, request: httpx.Request) -> httpx.Response:
            answer = super().handle_request(request)
            if request.url.path.endswith("/waivers") and not self.grown:
                self.grown = True
                with Registry.open(lived.folder) as opened:
                    opened.publish(late)
                    opened.decide(*signed_decision(Decision(NODE, "1.2.0", late.evidence, Status.APPROVED, 1, "read")))
                    second = opened.show(f"{NODE}@1.1.0").release
                    opened.decide(
                        *signed_decision(
                            Decision(NODE, "1.1.0", second.evidence, Status.REJECTED, second.version, "no")
                        )
                    )
            return answer

    with RemoteRegistry(url_, token=lived.tokens["bo"], transport=Growing()) as remote:
        report = downloads.verify(remote)
    assert (report.holds, report.entries, codes(report)) == (True, 7, [])
