"""Reports: tables, data, diagnostics, exit statuses and tests made of counterexamples."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from certify_spec.diagnostics import render
from certify_spec.loader import Loader
from certify_verifier.reporting import as_test, diagnostics, exit_status, table, to_data
from certify_verifier.solving import Solvers
from certify_verifier.verify import verify

RIGHT = "machine Count\nvar n : Int = 0\naction up when n < 3 { n := n + 1 }\ninvariant small : 0 <= n <= 3\n"
WRONG = RIGHT.replace("n < 3", "n <= 3")


def test_a_refutation_is_told_with_its_run(solvers: Solvers, tmp_path: Path) -> None:
    """The diagnostic has a stable code, the broken clause and the run."""
    (tmp_path / "count.ct").write_text(WRONG)
    specification = Loader(tmp_path).load(tmp_path / "count.ct")
    (told,) = diagnostics(verify(specification, solvers), specification)
    lines = render(told).splitlines()
    assert lines[0] == "count.ct:4:11: VER001: the invariant `small` is refuted by a run of 4 steps"
    assert lines[1] == "  because this is false: n <= 3"
    assert lines[-2] == "      4  up()   n: 3 -> 4"


@pytest.mark.parametrize(("text", "status"), [(RIGHT, 0), (WRONG, 1), (RIGHT.replace("0 <= n", "n != 2 or n >= 0"), 0)])
def test_exit_statuses(solvers: Solvers, tmp_path: Path, text: str, status: int) -> None:
    """0 for proved, 1 for refuted."""
    (tmp_path / "count.ct").write_text(text)
    assert exit_status(verify(Loader(tmp_path).load(tmp_path / "count.ct"), solvers)) == status


def test_an_unknown_is_no_success(solvers: Solvers, tmp_path: Path) -> None:
    """3 for what nobody knows."""
    (tmp_path / "open.ct").write_text(
        "machine O\nvar n : Int = 0\naction up { n := n + 1 }\ninvariant x : n >= 0\nreachable far : n == 60\n"
    )
    specification = Loader(tmp_path).load(tmp_path / "open.ct")
    assert exit_status(verify(specification, solvers)) == 3


def test_a_report_is_data(solvers: Solvers, tmp_path: Path) -> None:
    """A report survives JSON, and its table has a line per property."""
    (tmp_path / "count.ct").write_text(WRONG)
    report = verify(Loader(tmp_path).load(tmp_path / "count.ct"), solvers)
    data = json.loads(json.dumps(to_data(report)))
    assert data["findings"][0]["verdict"] == "refuted"
    assert len(table(report).splitlines()) == len(report.findings) + 1


@pytest.mark.parametrize(("text", "status"), [(WRONG, 1), (RIGHT, 0)])
def test_a_counterexample_becomes_a_test(solvers: Solvers, tmp_path: Path, text: str, status: int) -> None:
    """The test made of a run fails for the machine that allows it and passes for the corrected one."""
    (tmp_path / "count.ct").write_text(WRONG)
    specification = Loader(tmp_path).load(tmp_path / "count.ct")
    finding = verify(specification, solvers).findings[0]
    (tmp_path / "test_run.py").write_text(as_test(finding, specification))
    (tmp_path / "count.ct").write_text(text)
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_run.py"],
        cwd=tmp_path,
        check=False,
        capture_output=True,
    )
    assert run.returncode == status
