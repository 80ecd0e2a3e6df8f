"""`certify mutate`: what a specification's properties miss."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from certify.cli.app import run

DOOR = """machine Door
  "A door."

var open : Bool = false

action push when not open { open := true }
action pull when open { open := false }
"""
STEPS = """
step pushed on push : not open and open'
step pulled on pull : open and not open'
"""


def test_a_machine_without_properties_lets_mutants_live(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Mutation: survivors exit 1, each with its place and change."""
    spec = tmp_path / "door.ct"
    spec.write_text(DOOR)
    assert run(["mutate", str(spec), "--json"]) == 1
    document = json.loads(capsys.readouterr().out)
    survivors = [m for m in document["mutants"] if m["fate"] == "survived"]
    assert survivors
    assert {m["action"] for m in survivors} <= {"push", "pull"}


def test_contracts_kill_them(tmp_path: Path) -> None:
    """Mutation: a machine whose every action says what it does has no survivors."""
    spec = tmp_path / "door.ct"
    spec.write_text(DOOR + STEPS)
    assert run(["mutate", str(spec)]) == 0


def test_nothing_to_break_is_a_wrong_request(tmp_path: Path) -> None:
    """Bad input: a missing file exits 2."""
    assert run(["mutate", str(tmp_path / "nowhere.ct")]) == 2
