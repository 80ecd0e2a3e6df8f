"""C-SBOM: imports of unknown origin and undeclared distributions are refused."""

from __future__ import annotations

from pathlib import Path

from certify.checks import provenance
from certify.checks.workbench import Workbench
from certify.evidence.verdict import CheckResult, Failed, Passed
from lab_support import opened, write_node

CODE = """
    import httpx


    def node(x: int) -> int:
        return x if httpx.__version__ else 0
"""


def check(manifest: Path) -> CheckResult:
    """The check on a node."""
    with opened(manifest) as (folder, laboratory):
        return provenance.check(Workbench(folder.subject, laboratory, folder.inputs, folder.expected))


def test_what_was_imported_is_listed_by_distribution(tmp_path: Path) -> None:
    """C-SBOM: the distributions are those that the run imported, and no others of the environment."""
    result = check(write_node(tmp_path, CODE, 1))
    assert result.verdict == Passed()
    assert "httpx" in result.measured["distributions"]
    assert "hypothesis" not in result.measured["distributions"]


def test_an_undeclared_distribution_is_refused(tmp_path: Path) -> None:
    """C-SBOM, seeded: the node declares its requirements and imports something else."""
    result = check(write_node(tmp_path, CODE, 1, files={"requirements.txt": "pydantic\n"}))
    assert result.verdict == Failed()
    assert "SBOM010" in {finding.code for finding in result.findings}


def test_a_node_of_the_standard_library_passes(tmp_path: Path) -> None:
    """C-SBOM: a node without third-party imports has nothing to doubt."""
    assert check(write_node(tmp_path, "def node(x: int) -> int:\n    return x", 1)).verdict == Passed()
