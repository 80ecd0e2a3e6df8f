"""P-LANG: `certify format` lays out specifications, and touches nothing that it cannot read."""

import json
from pathlib import Path

import pytest

from certify.cli.app import run

UNTIDY = "machine   Up\nvar n:Int=0\naction up{n:=n+1}\ninvariant least:n>=0\n"
TIDY = "machine Up\nvar n : Int = 0\naction up { n := n + 1 }\ninvariant least : n >= 0\n"


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    """A specification that is laid out otherwise."""
    file = tmp_path / "up.ct"
    file.write_text(UNTIDY, encoding="utf-8")
    return file


def test_files_are_laid_out_and_stay_so(spec: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What was laid out once is laid out; `--check` refuses before and accepts after, and writes nothing."""
    assert run(["format", str(spec), "--check"]) == 1
    assert spec.read_text(encoding="utf-8") == UNTIDY
    assert (run(["format", str(spec)]), spec.read_text(encoding="utf-8")) == (0, TIDY)
    capsys.readouterr()
    assert run(["format", str(spec.parent), "--check", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"status": 0, "changed": []}


def test_one_wrong_file_stops_all(spec: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file that cannot be read is shown with its place, and no other one is written either."""
    (spec.parent / "wrong.ct").write_text("machine Wrong\nvar n : Int = (\n", encoding="utf-8")
    (spec.parent / "bytes.ct").write_bytes(b"machine \xff\n")
    assert run(["format", str(spec.parent)]) == 2
    told = capsys.readouterr()
    assert all(code in told.out + told.err for code in ("SPEC104", "SPEC002", "wrong.ct:2"))
    assert spec.read_text(encoding="utf-8") == UNTIDY
