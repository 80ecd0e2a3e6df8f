"""`certify lean`: proofs checked without Lean, from the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from certify.cli.app import run

ROOT = Path(__file__).resolve().parents[2]


def test_a_false_theorem_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Soundness: a proof of False exits 1 and names file and line."""
    file = tmp_path / "cheat.lean"
    file.write_text("theorem cheat : False := True.intro\n")
    assert run(["lean", str(file)]) == 1
    assert "cheat.lean:1" in capsys.readouterr().out


def test_sorry_is_an_error(tmp_path: Path) -> None:
    """Soundness: sorry is never accepted."""
    file = tmp_path / "later.lean"
    file.write_text("theorem later : 1 = 2 := sorry\n")
    assert run(["lean", str(file)]) in {1, 3}


@pytest.mark.parametrize("name", ["nowhere.lean", "nowhere", "notes.txt"])
def test_what_is_no_lean_is_a_wrong_request(tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Bad input: a missing or foreign file exits 2 with a code."""
    (tmp_path / "notes.txt").write_text("x")
    assert run(["lean", str(tmp_path / name)]) == 2
    assert "Traceback" not in capsys.readouterr().err


def test_shipped_machines_are_current(capsys: pytest.CaptureFixture[str]) -> None:
    """C-PATTERNS: the generated Lean files are what the specifications give, and comparing writes nothing."""
    assert run(["lean", "--emit", "--check", "--into", str(ROOT / "lean"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["changed"] == []


def test_a_machine_of_ones_own_is_emitted_into_a_package(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A specification is emitted into a package, is found again from there, and is not current after a change."""
    (tmp_path / "lakefile.toml").write_text('[[lean_lib]]\nname = "P"\n')
    spec = tmp_path / "door.ct"
    spec.write_text("machine Door\nvar shut : Bool = true\naction push when shut { shut := false }\n")
    command = ["lean", "--emit", str(spec), "--into", str(tmp_path)]
    assert run(command) == 0
    assert "shut" in (tmp_path / "Certify" / "Machines" / "Door.lean").read_text()
    assert run([*command, "--check"]) == 0
    spec.write_text(spec.read_text().replace("when shut", "when true"))
    assert run(["lean", "--emit", "--check", "--into", str(tmp_path)]) == 1
    assert "not current" in capsys.readouterr().out


@pytest.mark.parametrize("options", [["--check"], ["--emit", "x.lean"], ["--emit", "--with-lake"], ["--into", "x"]])
def test_options_that_do_not_go_together_are_a_wrong_request(
    options: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Bad input: options of `lean` that contradict one another exit 2 with a code."""
    assert run(["lean", *options]) == 2
    assert "CLI016" in capsys.readouterr().err
