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


def test_the_first_commands_and_the_example_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader who types what stands there has a package that is as generated, and can use it in all four ways."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CERTIFY_CACHE", str(tmp_path / "cache"))
    for command in COMMANDS[:2]:
        assert app.run([*shlex.split(command)[1:], "--limit", "60"]) == 0
    [example] = [text for kind, text in BLOCKS if kind == "python"]
    done = subprocess.run([sys.executable, "-W", "error", "-c", example], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_every_command_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command that fuses has layers in a safe order and a signature that can be fused."""
    from certify_codegen import fusion
    from codegen_support import specification

    monkeypatch.chdir(tmp_path)
    [command] = [shlex.split(line) for line in COMMANDS if "--fuse" in line]
    layers = fusion.layers(command[command.index("--fuse") + 1].split(","))
    assert fusion.unsafe(layers, specification("stack")) == ()
    assert fusion.signature(command[command.index("--signature") + 1]).name == "fetch"


def test_the_codes_are_those_that_are_declared() -> None:
    """Each code stands there with its meaning and advice."""
    declared = [rule for rule in vars(rules).values() if isinstance(rule, Rule)]
    rows = [f"| {rule.code} | {rule.meaning} | {rule.advice} |" for rule in declared]
    assert [row for row in rows if row not in PAGE] == []
    assert len(re.findall(r"^\| GEN\d+", PAGE, flags=re.MULTILINE)) == len(declared)
