"""The registry's commands that sign: waive, waivers, approve, reject; and diff, through the command line."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from certify.cli.app import run
from certify.codec import address
from certify.evidence.bundle import Evidence
from certify.evidence.keys import KeyPair, new_key
from certify.policy.waivers import Waiver
from certify.registry.entries import Status
from certify.registry.registry import Registry
from certify.registry.verification import verify_log
from certify.times import read_time, system_clock, write_seconds
from registry_support import NODE, signed_waiver, submission, ticking

NOW = system_clock().replace(microsecond=0)
SOON = (NOW + timedelta(days=30)).strftime("%Y-%m-%d")


class House:
    """A registry's folder, two people's keys, and the command line."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.registry = folder / "registry"
        self.author, self.reviewer = new_key(folder / "author"), new_key(folder / "reviewer")
        self._capsys = capsys

    def run(self, *arguments: str, key: KeyPair | None = None) -> tuple[int, dict[str, Any]]:
        """Exit status and JSON document of a command on this registry."""
        signing = ["--key", str(key.file)] if key else []
        self._capsys.readouterr()
        status = run([*arguments, "--registry", str(self.registry), *signing, "--json"])
        return status, json.loads(self._capsys.readouterr().out)

    def said(self, *arguments: str) -> str:
        """What a command on this registry tells people."""
        self._capsys.readouterr()
        run([*arguments, "--registry", str(self.registry)])
        return self._capsys.readouterr().out

    def waive(self, key: KeyPair | None = None, **changes: Any) -> tuple[int, dict[str, Any]]:
        """`certify registry waive` with everything it needs, but for the changes; an empty one leaves it out."""
        options = {
            "code": "POL112", "versions": ">=1.0.0,<2.0.0", "reason": "tagged next week", "owner": "ana",
            "expires": SOON,
        } | changes  # fmt: skip
        written = [part for name, value in options.items() if value for part in (f"--{name}", value)]
        return self.run("registry", "waive", NODE, *written, key=key or self.author)

    def publish(self, release: str = "1.0.0", **changes: Any) -> None:
        """Publish a release, signed by the author."""
        with Registry.ensure(self.registry) as registry:
            registry.publish(submission(release=release, key=self.author, **changes))


@pytest.fixture
def house(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> House:
    """An empty house: the registry is not made yet."""
    return House(tmp_path, capsys)


def codes(document: dict[str, Any]) -> set[str]:
    """The codes of the errors in a document."""
    return {error["code"] for error in document["errors"]}


def test_a_waiver_is_signed_and_entered(house: House) -> None:
    """C-POLICY: the command signs with the caller's key; the log, the envelope and what is printed agree."""
    status, document = house.waive(place="node.toml:14", about="input field a")
    with Registry.open(house.registry) as registry:
        (stored,) = registry.waivers(NODE)
        signed = registry.signed_waiver(stored)
    assert (status, document["id"], document["signer"]) == (0, signed.id, house.author.public.key_id)
    assert Waiver.from_data(document["waiver"]) == signed.waiver
    assert (signed.waiver.expires, signed.waiver.place) == (read_time(f"{SOON}T00:00:00Z"), "node.toml:14")
    assert verify_log(house.registry).diagnostics == ()


def test_a_waiver_may_be_for_one_content_and_end_at_a_moment(house: House) -> None:
    """C-POLICY: a subject's digest stands in for versions, and a moment for a day."""
    moment = write_seconds(NOW + timedelta(hours=2))
    status, document = house.waive(versions="", subject="ab" * 32, expires=moment)
    assert (status, document["waiver"]["subject"], document["waiver"]["expires"]) == (0, "ab" * 32, moment)


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"expires": "2020-01-31"}, 1, "REG028"),
        ({"expires": (NOW + timedelta(days=370)).strftime("%Y-%m-%d")}, 1, "REG028"),
        ({"expires": "soon"}, 2, "REG009"),
        ({"expires": "2027-02-30"}, 2, "REG009"),
        ({"expires": "2027-01-31T00:00:00+01:00"}, 2, "REG009"),
        ({"expires": "٢٠٢٧-01-31"}, 2, "REG009"),
        ({"code": "IDEM099"}, 1, "REG028"),
        ({"code": "*"}, 1, "REG028"),
        ({"versions": ""}, 1, "REG028"),
        ({"versions": "*"}, 1, "REG028"),
        ({"versions": ">=1.0.0"}, 1, "REG028"),
        ({"subject": "ab" * 32}, 1, "REG028"),
        ({"reason": " "}, 1, "REG028"),
        ({"reason": "fine\x1b[1A"}, 1, "REG028"),
        ({"reason": "\udcff"}, 1, "REG028"),
        ({"owner": ""}, 2, "CLI001"),
        ({"expires": ""}, 2, "CLI001"),
    ],
)
def test_a_waiver_that_may_not_be_leaves_nothing_behind(
    house: House, changes: dict[str, Any], status: int, code: str
) -> None:
    """C-POLICY: a clear refusal, no traceback, and not even an empty registry."""
    found, document = house.waive(**changes)
    assert (found, codes(document), house.registry.exists()) == (status, {code}, False)


def test_a_waiver_needs_a_key(house: House, tmp_path: Path) -> None:
    """C-POLICY: without a signing key there is no waiver."""
    status, document = house.waive(key=replace(house.author, file=tmp_path / "missing.pem"))
    assert (status, codes(document), house.registry.exists()) == (2, {"KEY001"}, False)


def test_waivers_are_listed_with_their_state(house: House) -> None:
    """C-POLICY: valid, expired and not yet valid ones, of one node or of all."""
    times = {
        "expired": (NOW - timedelta(days=9), NOW - timedelta(days=2)),
        "valid": (NOW - timedelta(days=9), NOW + timedelta(days=9)),
        "not yet": (NOW + timedelta(days=1), NOW + timedelta(days=9)),
    }
    for state, (issued, expires) in times.items():
        with Registry.ensure(house.registry, clock=ticking(issued)) as registry:
            registry.waive(*signed_waiver(dated(issued, expires, reason=state), house.author))
    status, document = house.run("registry", "waivers", NODE)
    assert (status, [each["state"] for each in document["waivers"]]) == (0, list(times))
    assert [each["waiver"]["reason"] for each in document["waivers"]] == list(times)
    assert house.run("registry", "waivers")[1] == document
    assert house.run("registry", "waivers", "other/node")[1] == {"waivers": []}
    assert all(state in house.said("registry", "waivers") for state in times)


def dated(issued: datetime, expires: datetime, reason: str) -> Waiver:
    """A waiver with these dates."""
    return Waiver(NODE, "POL112", reason, "ana", issued, expires, versions=("1.*",))


def test_a_release_is_approved_by_somebody_else(house: House) -> None:
    """R-AUTH: the decision is signed, bound to the evidence, and in the log."""
    house.publish()
    status, document = house.run("registry", "approve", f"{NODE}@1.0.0", "--reason", "read it", key=house.reviewer)
    with Registry.open(house.registry) as registry:
        shown = registry.show(f"{NODE}@1.0.0")
    assert (status, shown.release.status) == (0, Status.APPROVED)
    assert document["decision"]["evidence"] == shown.release.evidence
    assert [record.entry.signer for record in shown.decisions] == [house.reviewer.public]
    assert verify_log(house.registry).diagnostics == ()


def test_nobody_approves_his_own_release(house: House) -> None:
    """R-AUTH: the key that signed the evidence is refused with a code of its own; nothing is changed."""
    house.publish()
    status, document = house.run("registry", "approve", f"{NODE}@1.0.0", "--reason", "mine", key=house.author)
    with Registry.open(house.registry) as registry:
        assert (registry.show(f"{NODE}@1.0.0").release.status, len(registry.log())) == (Status.CERTIFIED, 1)
    assert (status, codes(document)) == (1, {"REG030"})


def test_a_rejected_release_stays_rejected(house: House) -> None:
    """R-AUTH: an author may reject his own release; after that nobody approves it."""
    house.publish()
    name = f"{NODE}@1.0.0"
    assert house.run("registry", "reject", name, "--reason", "a mistake", key=house.author)[0] == 0
    status, document = house.run("registry", "approve", name, "--reason", "no", key=house.reviewer)
    assert (status, codes(document)) == (1, {"REG027"})


@pytest.mark.parametrize(
    ("arguments", "status", "code"),
    [
        (("approve", f"{NODE}@9.9.9", "--reason", "x"), 2, "REG008"),
        (("approve", NODE, "--reason", "x"), 2, "REG009"),
        (("approve", f"{NODE}@1.0.0"), 2, "CLI001"),
        (("approve", f"{NODE}@1.0.0", "--reason", "  "), 1, "REG022"),
        (("reject", f"{NODE}@1.0.0", "--reason", "\udcff"), 2, "REG009"),
        (("diff", f"{NODE}@1.0.0", f"{NODE}@9.9.9"), 2, "REG008"),
        (("diff", f"{NODE}@1.0.0", "other@1.0.0"), 2, "REG009"),
        (("diff", NODE, NODE), 2, "REG009"),
    ],
)
def test_a_wrong_request_is_told_so(house: House, arguments: tuple[str, ...], status: int, code: str) -> None:
    """R-STORE: unknown names, missing reasons and text that cannot be written are errors with a code."""
    house.publish()
    key = None if arguments[0] == "diff" else house.reviewer
    found, document = house.run("registry", *arguments, key=key)
    with Registry.open(house.registry) as registry:
        assert (found, codes(document), len(registry.log())) == (status, {code}, 1)


def test_two_releases_are_compared(house: House) -> None:
    """R-REVIEW: what changed between two releases is told from their evidence."""
    house.publish()
    house.publish("1.1.0", code="def charge(request): return 1")
    status, document = house.run("registry", "diff", f"{NODE}@1.0.0", f"{NODE}@1.1.0")
    found = document["differences"]
    assert (status, [change["name"] for change in found["files"]]) == (0, ["node.py", "node.toml"])
    assert found["manifest"] == [{"change": "changed", "name": "node.version", "before": "1.0.0", "after": "1.1.0"}]
    assert {section: found[section] for section in ("verdicts", "findings", "components", "policy")} == {
        "verdicts": [], "findings": [], "components": [], "policy": []
    }  # fmt: skip
    told = house.said("registry", "diff", f"{NODE}@1.0.0", f"{NODE}@1.1.0")
    assert ("node.version" in told, "nothing changed" in told) == (True, False)
    assert "nothing changed" in house.said("registry", "diff", f"{NODE}@1.0.0", f"{NODE}@1.0.0")


def test_a_hostile_name_does_not_steer_the_terminal(house: House) -> None:
    """R-REVIEW: escapes in what a node's author wrote are shown, not carried out."""
    house.publish()
    path = "a\x1b[2J\u202e.py"

    def with_file(evidence: Evidence) -> Evidence:
        from certify.subject import subject_digest

        files = {**evidence.files, path: evidence.files["node.py"]}
        return replace(evidence, files=files, subject=subject_digest(files))

    house.publish("1.1.0", change=with_file)
    told = house.said("registry", "diff", f"{NODE}@1.0.0", f"{NODE}@1.1.0")
    assert ("\x1b[2J" in told, "\u202e" in told, "\\x1b" in told) == (False, False, True)


def test_a_waiver_that_a_release_rests_on_is_shown_with_it(house: House) -> None:
    """C-POLICY: who looks at a release sees what was waived, by whom and until when."""
    from registry_support import RULE, waived_submission

    _, granted = house.waive(code=RULE.code)
    with Registry.open(house.registry) as registry:
        (stored,) = registry.waivers(NODE)
        envelope = registry.signed_waiver(stored).envelope
        registry.publish(waived_submission((envelope, stored.signer), now=system_clock()))
    _, document = house.run("registry", "show", f"{NODE}@1.0.0")
    assert [each["id"] for each in document["waivers"]] == [granted["id"]] == [address(envelope)]
    assert document["published"]["verdicts"] == {"C-DETERMINISM": "waived"}
    told = house.said("registry", "show", f"{NODE}@1.0.0")
    assert ("tagged next" in told, "ana" in told) == (True, True)
