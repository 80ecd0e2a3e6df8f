"""The commands on the registry's page do what the page says."""

from __future__ import annotations

import re
import shlex
from datetime import timedelta
from pathlib import Path

import pytest

from certify.cli.app import run
from certify.evidence.keys import new_key
from certify.registry.entries import Decided, Published, Status, WaiverGranted
from certify.registry.registry import Registry
from certify.times import system_clock
from registry_support import submission

PAGE = (Path(__file__).parents[2] / "docs" / "registry.md").read_text("utf-8")


def commands() -> list[list[str]]:
    """The commands of the page's shell blocks, in order; ends of waivers lie in the future whenever this is run."""
    blocks = "\n".join(re.findall(r"^```sh\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL))
    soon = (system_clock() + timedelta(days=30)).strftime("%Y-%m-%d")
    dated = re.sub(r"--expires \S+", f"--expires {soon}", blocks.replace("\\\n", " "))
    return [shlex.split(line) for line in dated.splitlines() if line]


def test_the_pages_commands_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """R-REVIEW: approve, reject, diff, waive and waivers, as written, on two releases that somebody else has signed."""
    monkeypatch.setenv("CERTIFY_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("CERTIFY_REGISTRY", str(tmp_path / "registry"))
    new_key()
    with Registry.ensure(tmp_path / "registry") as registry:
        for release in ("1.0.0", "1.1.0"):
            registry.publish(submission("payments/charge", release))
    found = commands()
    assert [(command[:3], run(command[1:])) for command in found] == [
        (["certify", "registry", verb], 0) for verb in ("approve", "reject", "diff", "waive", "waivers")
    ]
    with Registry.open(tmp_path / "registry") as registry:
        entries = [record.entry for record in registry.log()]
    assert [type(entry) for entry in entries] == [Published, Published, Decided, Decided, WaiverGranted]
    assert [entry.status for entry in entries if isinstance(entry, Decided)] == [Status.APPROVED, Status.REJECTED]
