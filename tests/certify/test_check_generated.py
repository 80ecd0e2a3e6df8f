"""C-PATTERNS, generated code: a pattern counts when this release generates the same file again, and proves its spec."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import pytest

from certify.checks import patterns
from certify.checks.workbench import Laboratory, Workbench
from certify.cli import app
from certify.evidence.verdict import CheckResult, Failed, Passed
from certify.subject import read_subject
from manifest_support import FILES, SMALL, write_node

USE = """\
from limits import RateLimiter

limiter = RateLimiter(rate=2.0, burst=5)


@limiter
def handle(order):
    return order
"""
PATTERN = '\n[[pattern]]\nspec = "token_bucket"\nparams = {{ rate = 2.0, burst = {} }}\n'


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The files of a generated package, by the node's paths, made by the command; answers of solvers are kept."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("generated")
        patch.setenv("CERTIFY_CACHE", str(folder / "cache"))
        assert app.run(["generate", "token_bucket", "-o", str(folder / "limits"), "--jobs", "2"]) == 0
        return {f"limits/{file.name}": file.read_text(encoding="utf-8") for file in (folder / "limits").iterdir()}


@pytest.fixture(autouse=True)
def _kept(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CERTIFY_CACHE", str(tmp_path_factory.getbasetemp() / "generated0" / "cache"))


def check(folder: Path, files: dict[str, str], burst: int = 5) -> CheckResult:
    """The check on a node that uses the package."""
    read = read_subject(write_node(folder, SMALL + PATTERN.format(burst), {**FILES, "normalise.py": USE, **files}))
    return patterns.check(Workbench(read.subject, cast("Laboratory", None), read.inputs, read.expected))


def test_a_generated_pattern_is_evidence(tmp_path: Path, package: dict[str, str]) -> None:
    """C-PATTERNS: the file, its specification and its proof are recorded."""
    result = check(tmp_path, package)
    assert result.findings == ()
    assert result.verdict == Passed()
    recorded = result.measured["patterns"]["token_bucket"]
    assert recorded["file"] == "limits/token_bucket.py"
    assert recorded["spec"].startswith("blake3:")
    assert recorded["proof"].startswith("blake3:")


def codes(result: CheckResult) -> list[str]:
    """The codes of the findings of a check that failed."""
    assert result.verdict == Failed()
    return [finding.code for finding in result.findings]


def test_hand_written_code_is_not_a_proved_pattern(tmp_path: Path) -> None:
    """C-PATTERNS, seeded: a class of the same name that was not generated refuses the node."""
    by_hand = "class RateLimiter:\n    def __init__(self, **_): ...\n    def __call__(self, fn): return fn\n"
    assert codes(check(tmp_path, {"limits/__init__.py": by_hand})) == ["PAT001"]


def test_an_edited_file_is_refused(tmp_path: Path, package: dict[str, str]) -> None:
    """C-PATTERNS, seeded: one character of a generated file changed refuses the node."""
    text = package["limits/token_bucket.py"].replace("<= self._burst", "< self._burst")
    assert codes(check(tmp_path, {**package, "limits/token_bucket.py": text})) == ["PAT002"]


def test_a_forged_certificate_is_refused(tmp_path: Path, package: dict[str, str]) -> None:
    """C-PATTERNS, seeded: sealing an edited text anew does not help, nor does naming a proof that nobody finds."""
    from certify_codegen import certificate

    text = package["limits/token_bucket.py"]
    found = certificate.read(text)
    assert found is not None
    body = text.partition("\n\n")[2]
    edited = certificate.sealed(found.certificate, body.replace("<= self._burst", "< self._burst"))
    assert codes(check(tmp_path / "edited", {**package, "limits/token_bucket.py": edited})) == ["PAT003"]
    claimed = text.replace(found.certificate.proof, "blake3:" + "0" * 64).partition("\n\n")[0]
    named = {field: getattr(found.certificate, field) for field in ("machine", "spec", "templates", "generator")}
    forged = certificate.Certificate(
        **named, proof="blake3:" + "0" * 64, equality=found.certificate.equality, flavour=found.certificate.flavour
    )
    assert "0" * 64 in claimed
    sealed = certificate.sealed(forged, body)
    assert codes(check(tmp_path / "proof", {**package, "limits/token_bucket.py": sealed})) == ["PAT003"]


def test_other_parameters_than_declared_are_refused(tmp_path: Path, package: dict[str, str]) -> None:
    """C-PATTERNS, seeded: a manifest that promises a smaller burst than the node uses is refused."""
    result = check(tmp_path, package, burst=4)
    assert codes(result) == ["PAT004"]
    assert result.findings[0].because == "it is used with rate=2.0, burst=5"
