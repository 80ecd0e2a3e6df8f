"""`certify generate`: what it writes, what it refuses, and that refusing leaves nothing behind."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from certify.cli import app, generating
from codegen_support import SPECS

BUCKET = SPECS["token_bucket"]
TEXT = BUCKET.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Answers of solvers, kept for this module."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def _kept(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CERTIFY_CACHE", str(cache))


def run(*arguments: object) -> int:
    """The exit status of `certify generate`."""
    return app.run(["generate", *map(str, arguments), "--jobs", "2"])


def files(folder: Path) -> list[str]:
    """The names of everything in a folder."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def test_what_is_generated_is_checked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Deliver: a package by the name of a shipped pattern; `--check` holds, and refuses edits, gaps and old files."""
    out = tmp_path / "patterns"
    assert run("token_bucket", "-o", out) == 0
    assert files(out) == ["__init__.py", "_common.py", "token_bucket.py"]
    assert "TokenBucket: proved, 18 claims" in capsys.readouterr().out
    assert run("token_bucket", "-o", out, "--check") == 0

    target = out / "token_bucket.py"
    text = target.read_text(encoding="utf-8")
    target.write_text(text.replace("<= self._burst", "< self._burst"), encoding="utf-8")
    assert run("token_bucket", "-o", out, "--check") == 1
    assert "token_bucket.py:1: GEN007" in capsys.readouterr().out
    assert run("token_bucket", "-o", out) == 1
    assert "delete the file to have it generated again" in capsys.readouterr().out

    target.unlink()
    assert run("token_bucket", "-o", out, "--check") == 1
    assert "GEN009" in capsys.readouterr().out
    target.write_text(text, encoding="utf-8")
    assert run("token_bucket", "-o", out, "--check", "--sync-only") == 1
    assert "because another flavour" in capsys.readouterr().out


def test_a_new_specification_makes_old_files_stale(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file that was generated from another text of the specification is told apart, with what has changed."""
    spec, out = tmp_path / "bucket.ct", tmp_path / "patterns"
    spec.write_text(TEXT, encoding="utf-8")
    assert run(spec, "-o", out) == 0
    spec.write_text(TEXT + "\n-- a remark\n", encoding="utf-8")
    assert run(spec, "-o", out, "--check") == 1
    assert "because another spec" in capsys.readouterr().out
    assert run(spec, "-o", out) == 0
    assert run(spec, "-o", out, "--check") == 0


def test_nothing_is_generated_without_a_proof(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Deliver: a specification whose proof fails is refused, with its shortest run; nothing is written, nor checked."""
    spec, out = tmp_path / "bucket.ct", tmp_path / "patterns"
    spec.write_text(TEXT.replace("when used(c) + interval <= full {", "when used(c) <= full {"), encoding="utf-8")
    for more in ((), ("--check",)):
        assert run(spec, "-o", out, *more) == 1
        said = capsys.readouterr().out
        assert "VER101" in said
        assert "GEN006: nothing is generated from `TokenBucket`" in said
    assert not out.exists()


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("nowhere.ct", "-o", "out"), "VER001"),
        (("stack", "-o", "out"), "GEN003"),
        (("token_bucket",), "CLI001"),
        (("token_bucket", "-o", "file"), "GEN011"),
        (("token_bucket", "-o", "out", "--fuse", "limitr"), "GEN012"),
        (("token_bucket", "-o", "out", "--fuse", "limiter", "--signature", "f("), "GEN012"),
        (("token_bucket", "-o", "out", "--adapter", "statsd"), "GEN013"),
        (("token_bucket", "-o", "out", "--signature", "f() -> int"), "GEN012"),
        (("token_bucket", "-o", "out", "--fuse", "limiter,retry"), "GEN012"),
        (("token_bucket", "-o", "out", "--fuse", "limiter", "--import", "1 + 1"), "GEN012"),
        (
            ("token_bucket", "-o", "out", "--fuse", "limiter", "--sync-only", "--signature", "async f() -> int"),
            "GEN012",
        ),
    ],
)
def test_wrong_requests_are_told_and_write_nothing(
    arguments: tuple[str, ...],
    code: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A wrong request ends with 2, its code, and a folder as it was before."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("mine")
    assert run(*arguments) == 2
    assert code in capsys.readouterr().err
    assert files(tmp_path) == ["file"]


def test_foreign_files_are_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file that was not generated is never overwritten; a package's own `__init__.py` stays as it is."""
    out = tmp_path / "shop"
    out.mkdir()
    (out / "__init__.py").write_text("mine = 1\n")
    (out / "token_bucket.py").write_text("mine = 2\n")
    assert run("token_bucket", "-o", out) == 2
    assert "GEN011" in capsys.readouterr().err
    assert files(out) == ["__init__.py", "token_bucket.py"]
    (out / "token_bucket.py").unlink()
    assert run("token_bucket", "-o", out) == 0
    assert (out / "__init__.py").read_text() == "mine = 1\n"
    assert run("token_bucket", "-o", out, "--check") == 0


def test_an_unsafe_order_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """P-COMPOSE: refused with 1, the reason and the safe order, before anything is proved or written."""
    out = tmp_path / "patterns"
    assert run("retry", "circuit_breaker", "-o", out, "--fuse", "breaker,retry", "--json") == 1
    [error] = json.loads(capsys.readouterr().out)["errors"]
    assert error["code"] == "GEN010"
    assert "counts one failure where the backend failed several times" in error["because"]
    assert error["fix"] == "the safe order is retry,breaker"
    assert not out.exists()


def test_a_fused_function_is_written_and_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Deliver: a fused function compiles, is typed strictly and works; `--check` holds, and refuses an edit.

    The proofs are taken for granted here: the page on generated code has them made.
    """
    monkeypatch.setattr(generating, "_prove", lambda _o, _p, specs, *_: ({s.name: "blake3:0" for s in specs}, None))
    out = tmp_path / "shop"
    request = (
        "token_bucket",
        "bulkhead",
        "-o",
        out,
        "--fuse",
        "limiter,bulkhead",
        "--signature",
        "twice(x: int) -> int",
    )
    assert run(*request) == 0
    assert "fuse_twice" in capsys.readouterr().out
    assert files(out) == ["__init__.py", "_common.py", "bulkhead.py", "fused_twice.py", "token_bucket.py"]
    use = tmp_path / "use.py"
    use.write_text(
        "from shop import Bulkhead, RateLimited, RateLimiter\n"
        "from shop.fused_twice import fuse_twice\n"
        "def double(x: int) -> int:\n"
        "    return 2 * x\n"
        "twice = fuse_twice(double, limiter=RateLimiter(rate=0.001, burst=1), bulkhead=Bulkhead())\n"
        "print(twice(21))\n"
        "try:\n"
        "    twice(21)\n"
        "except RateLimited:\n"
        "    print('limited')\n",
        encoding="utf-8",
    )
    for command, said in (
        (["-W", "error", "use.py"], "42\nlimited\n"),
        (["-m", "mypy", "--strict", "--warn-unreachable", "use.py", "shop"], "Success"),
    ):
        done = subprocess.run([sys.executable, *command], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert said in done.stdout, (done.stdout, done.stderr)
    assert run(*request, "--check") == 0

    target = out / "fused_twice.py"
    text = target.read_text(encoding="utf-8")
    target.write_text(text.replace("limiter._admit_call(x)", "pass", 1), encoding="utf-8")
    assert target.read_text(encoding="utf-8") != text
    assert run(*request, "--check") == 1
    assert "fused_twice.py:1: GEN007" in capsys.readouterr().out
    target.write_text(text, encoding="utf-8")
    assert run(*request[:-1], "twice(x: float) -> float", "--check") == 1
    assert "GEN008" in capsys.readouterr().out
