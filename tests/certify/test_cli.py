"""The command line: exit statuses, clear errors, one JSON document, and nothing half-written."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from certify.cli.app import run
from certify_spec.diagnostics import RequestError
from lab_support import write_node

GOOD = """
    def node(name: str) -> str:
        return f"Hello {name}!"
"""
LEAKING = """
    import time


    def node(name: str) -> str:
        return f"{name} {time.time()}"
"""


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Commands run in a folder of their own, with keys of their own."""
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("CERTIFY_HOME", str(tmp_path / "keys"))
    monkeypatch.setenv("CERTIFY_CACHE", str(tmp_path / "cache"))
    for variable in ("CERTIFY_REGISTRY", "CERTIFY_POLICY"):
        monkeypatch.delenv(variable, raising=False)
    return folder


def good(folder: Path, **changes: str) -> Path:
    """A node that certifies."""
    rest = '[input.classes]\n"$" = "internal"\n\n[output.classes]\n"$" = "internal"\n'
    return write_node(folder, changes.pop("code", GOOD), "Ada", rest=rest, **changes)


def test_a_good_node_is_published_once(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """R-STORE: publish exits 0 and says where the report is; the same content again changes nothing."""
    manifest = good(here)
    assert run(["publish", str(manifest), "--json"]) == 0
    first = json.loads(capsys.readouterr().out)
    assert (first["published"], first["verdict"]) == (True, "passed")
    assert Path(first["report"]).read_bytes().startswith(b"<!doctype html>")
    assert run(["publish", str(manifest), "--json"]) == 0
    second = json.loads(capsys.readouterr().out)
    assert second["receipt"]["entry"] == first["receipt"]["entry"]
    assert run(["registry", "verify-log", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["entries"] == 1


def test_tables_for_drawing_are_kept_with_the_answers(here: Path, tmp_path: Path) -> None:
    """C-CONTRACT: what Hypothesis keeps lies in the cache, and the working folder stays as it is."""
    program = "from certify.checks.fuzzing import draws; assert draws({'type': 'string'}, 2, 1)"
    subprocess.run([sys.executable, "-c", program], check=True)
    assert (list(here.iterdir()), (tmp_path / "cache" / "hypothesis").is_dir()) == ([], True)


def test_the_same_version_with_other_content_is_refused(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """R-STORE: a version is taken for good."""
    assert run(["publish", str(good(here))]) == 0
    assert run(["publish", str(good(here, code=GOOD.replace("Hello", "Good day")))]) == 1
    assert "REG025" in capsys.readouterr().err


def test_a_refused_node_leaves_nothing_but_the_report(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """C-REPORT: a refusal exits 1, names file and line, and neither the registry nor a key is even made."""
    manifest = good(here, code=LEAKING)
    before = {path for path in here.parent.rglob("*") if path.is_file()}
    assert run(["publish", str(manifest)]) == 1
    out = capsys.readouterr().out
    assert "node.py:6" in out
    assert "nothing was published" in out
    after = {path for path in here.parent.rglob("*") if path.is_file()}
    assert {path.relative_to(here).parts[:2] for path in after - before} == {(".certify", "reports")}


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["check", "nowhere.toml"], "MAN001"),
        (["check", "."], "MAN001"),
        (["publish", "nowhere.toml"], "MAN001"),
        (["check"], "CLI001"),
        (["check", "node.toml", "--only", "C-NOTHING"], "CLI005"),
        (["check", "node.toml", "--policy", "nowhere"], "POL"),
        (["publish", "node.toml", "--key", "nowhere"], "KEY"),
        (["frobnicate"], "CLI001"),
        (["registry", "list"], "REG001"),
        (["registry", "verify-log", "--registry", "nowhere"], "REG001"),
        (["report", "a@1.0.0"], "REG001"),
        (["report", "a@1.0.0", "--format", "papyrus"], "CLI010"),
        (["replay", "node.toml", "--fixture", "none"], "CLI008"),
        (["replay", "node.toml", "--set", "moon=full", "--set", "clock=noon"], "CLI008"),
        (["init", "no colon"], "CLI007"),
        (["init", "nowhere:node", "--folder", "fresh"], "CLI007"),
        (["key", "show"], "KEY"),
    ],
)
def test_a_wrong_request_exits_2_with_a_code(
    here: Path, arguments: list[str], code: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Bad input: exit status 2, the code and what to do on standard error, and nothing written."""
    good(here)
    before = sorted(here.parent.rglob("*"))
    assert run(arguments) == 2
    captured = capsys.readouterr()
    assert code in captured.err
    assert "Traceback" not in captured.err
    assert sorted(here.parent.rglob("*")) == before


def test_errors_are_one_json_document_when_asked(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """C-LOOPS: every error is also data, with code and place."""
    (here / "node.toml").write_text("schema = 1\n[node]\nidd = 3\n", encoding="utf-8")
    assert run(["check", "node.toml", "--json"]) == 2
    document = json.loads(capsys.readouterr().out)
    assert document["status"] == 2
    assert {(e["code"], e["place"]["line"]) for e in document["errors"]} >= {("MAN006", 3)}


@pytest.mark.parametrize(
    ("code", "status", "says"),
    [
        ("import nowhere_at_all\ndef node(name: str) -> str:\n    return name", 2, "NODE002"),
        ("def node(name: str) -> str:\n    while True:\n        pass", 1, "SBX001"),
        ("def node(name: str) -> str:\n    return str(len(bytearray(10**12)))", 1, "SBX001"),
        ("import os\ndef node(name: str) -> str:\n    return str(os.fork())", 1, "SBX004"),
        ("def node(name: str) -> str:\n    open('/usr/x', 'w')\n    return name", 1, "SBX003"),
        (
            "import socket\ndef node(name: str) -> str:\n    socket.create_connection(('8.8.8.8', 9))\n    return name",
            1,
            "SBX005",
        ),
    ],
)
def test_a_node_that_misbehaves_is_a_clear_finding(
    here: Path, code: str, status: int, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Bad input: a node that does not import, hangs, eats memory, forks, writes outside or connects is told apart."""
    assert run(["check", str(good(here, code=code)), "--only", "sandbox"]) == status
    captured = capsys.readouterr()
    assert says in captured.out + captured.err
    assert "Traceback" not in captured.out + captured.err


def test_init_writes_a_manifest_that_can_be_checked(here: Path) -> None:
    """C-LOOPS: what init writes loads, and a second init refuses to overwrite it."""
    (here / "greeting.py").write_text(
        "def greet(name: str, times: int) -> list[str]:\n    return [name] * min(times, 3)\n"
    )
    assert run(["init", "greeting:greet"]) == 0
    assert (here / "node.toml").exists()
    assert run(["check", "node.toml", "--only", "sandbox", "--only", "effects"]) == 0
    assert run(["init", "greeting:greet"]) == 2


def test_replay_shows_where_two_runs_part(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """C-DETERMINISM: replay exits 1 when a factor matters, and names the line."""
    manifest = good(here, code=LEAKING)
    assert run(["replay", str(manifest)]) == 0
    assert run(["replay", str(manifest), "--set", "clock=1900000000"]) == 1
    assert "node.py:6" in capsys.readouterr().out


def test_a_stored_run_is_given_again(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """C-DETERMINISM: every run in the report can be replayed byte for byte."""
    manifest = good(here)
    assert run(["check", str(manifest), "--only", "sandbox"]) == 0
    record = next((here / ".certify" / "reports").rglob("*.cbor"))
    assert run(["replay", str(manifest), "--record", str(record)]) == 0
    record.write_bytes(b"\x00")
    assert run(["replay", str(manifest), "--record", str(record)]) == 2
    assert "holds no run" in capsys.readouterr().err


def test_a_broken_check_is_neither_a_pass_nor_silence(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """C-GATE: a check that crashes leaves the node undecided, exit status 3, with the cause."""
    from certify.checks import determinism

    def crash(_bench: object) -> None:
        raise ZeroDivisionError("seeded")

    monkeypatch.setattr(determinism, "check", crash)
    assert run(["publish", str(good(here))]) == 3
    assert "ZeroDivisionError: seeded" in capsys.readouterr().out
    assert not (here / ".certify" / "registry").exists()


def test_the_command_is_installed() -> None:
    """The console script answers."""
    command = Path(sys.executable).parent / "certify"
    answer = subprocess.run([command, "--version"], capture_output=True, text=True, check=True, env=dict(os.environ))
    assert answer.stdout.startswith("certify ")


def test_request_errors_carry_every_diagnostic() -> None:
    """Errors are reported all at once."""
    assert RequestError().diagnostics == ()
