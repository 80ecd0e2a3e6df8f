"""The README is true: its node certifies with its commands, its links lead somewhere, its make targets exist."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from certify.cli.app import run

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


#: Commands about proofs: they run in the repository, and the pages about them execute them.
PROVING = {"verify", "simulate", "lean", "generate"}


def blocks(language: str) -> list[str]:
    """The fenced blocks of a language."""
    found = re.findall(r"^```(\w*)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
    return [text for named, text in found if named == language]


def test_the_readme_s_node_certifies_with_the_readme_s_commands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every `certify` command of the README's walk-through exits 0, in order."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CERTIFY_HOME", str(tmp_path / "keys"))
    for variable in ("CERTIFY_REGISTRY", "CERTIFY_POLICY"):
        monkeypatch.delenv(variable, raising=False)
    (tmp_path / "greeting.py").write_text(blocks("python")[0], encoding="utf-8")
    commands = [line for line in "".join(blocks("")).splitlines() if line.startswith("certify ")]
    commands = [line for line in commands if line.split()[1] not in PROVING]
    statuses = [(line, run(line.partition("#")[0].split()[1:])) for line in commands]
    assert statuses == [(line, 0) for line in commands]
    assert len(commands) >= 6
    capsys.readouterr()


@pytest.mark.parametrize("file", ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md"])
def test_links_lead_somewhere(file: str) -> None:
    """Every relative link of a top-level page names a file that is there."""
    text = (ROOT / file).read_text(encoding="utf-8")
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", text) if "://" not in link]
    assert [link for link in links if not (ROOT / link).exists()] == []


@pytest.mark.parametrize("target", re.findall(r"^make (\w+)$", README, re.MULTILINE))
def test_make_targets_exist(target: str) -> None:
    """The README's commands are targets of the Makefile."""
    subprocess.run(["make", "-n", target], cwd=ROOT, check=True, capture_output=True)


@pytest.mark.parametrize("command", ["simulate"])
def test_the_readme_s_commands_about_proofs_hold(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What the README says of simulating is so; its command about Lean runs with the tests of the shipped package."""
    monkeypatch.chdir(ROOT)
    line = next(line for line in "".join(blocks("")).splitlines() if line.startswith(f"certify {command} "))
    assert run(line.partition("#")[0].split()[1:]) == 0
    capsys.readouterr()
