"""The page on generated code: its commands run, its example works, and its codes are those that are declared."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from certify.cli import app
from certify_codegen import rules
from certify_spec.diagnostics import Rule

PAGE = (Path(__file__).parents[2] / "docs" / "generating.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", PAGE, flags=re.MULTILINE | re.DOTALL)
COMMANDS = [line for kind, text in BLOCKS if not kind for line in text.splitlines() if line.startswith("certify ")]


def test_the_commands_and_the_examples_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader who types what stands there has a package that is as generated, used in all four ways and fused."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CERTIFY_CACHE", str(tmp_path / "cache"))
    made, examples = COMMANDS[:2], [text for kind, text in BLOCKS if kind == "python"]
    [fused] = [line for line in COMMANDS if "--fuse" in line]
    for commands, example in zip((made, [fused, f"{fused} --check"]), examples, strict=True):
        for command in commands:
            assert app.run([*shlex.split(command)[1:], "--limit", "60"]) == 0, command
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", example], capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stderr) == (0, "")


def test_the_refusal_is_the_one_that_is_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The order that the page calls unsafe is refused in the page's words, and nothing is written."""
    out = tmp_path / "resilience"
    assert app.run(["generate", "retry", "circuit_breaker", "-o", str(out), "--fuse", "breaker,retry"]) == 1
    said = re.sub(r"^\S*/(?=stack\.ct)", "", capsys.readouterr().out, flags=re.MULTILINE).strip()
    assert said in PAGE
    assert not out.exists()


def test_the_codes_are_those_that_are_declared() -> None:
    """Each code stands there with its meaning and advice."""
    declared = [rule for rule in vars(rules).values() if isinstance(rule, Rule)]
    rows = [f"| {rule.code} | {rule.meaning} | {rule.advice} |" for rule in declared]
    assert [row for row in rows if row not in PAGE] == []
    assert len(re.findall(r"^\| GEN\d+", PAGE, flags=re.MULTILINE)) == len(declared)
