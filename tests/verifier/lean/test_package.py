"""Lean packages: the shipped one is accepted as it stands, and one that is not in order is not."""

from __future__ import annotations

import contextlib
import io
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from certify.cli import proving
from certify.cli.app import run
from certify_spec.diagnostics import RequestError
from certify_verifier.lean import STANDARD_AXIOMS, Accepted, Declined, PackageReport, Rejected, check_package

ROOT = Path(__file__).parents[3]
LEAN = ROOT / "lean"
HELPERS = ("Arithmetic", "Truth", "Whole", "Sets")
PATTERNS = (
    "Arithmetic", "Truth", "Whole", "Sets", "Retry", "CircuitBreaker", "Bulkhead", "RetryMachine", "BreakerMachine",
    "BulkheadMachine", "Replicas",
)  # fmt: skip
WANTED = {
    "Certify.types_assoc",
    "Certify.map_comp",
    "Certify.pair_unique",
    "Certify.either_unique",
    "Certify.sum_disjoint",
    "Certify.tuple_unique",
    "Certify.natural_square",
    "Certify.vertical_square",
    "Certify.functor_keeps_comp",
    "Certify.then_keeps_comp",
    "Certify.option_is_a_monad",
    "Certify.except_is_a_monad",
    "Certify.state_is_a_monad",
    "Certify.reader_is_a_monad",
    "Certify.writer_is_a_monad",
    "Certify.state_over_is_a_monad",
    "Certify.except_over_is_a_monad",
    "Certify.backpressure_over_is_a_monad",
    "Certify.except_lift_bind",
    "Certify.backpressure_lift_bind",
    "Certify.equalizer_unique",
    "Certify.state_lift_bind",
    "Certify.backpressure_lift_pure",
    "Certify.retry_attempts_bounded",
    "Certify.retry_success",
    "Certify.retry_failure",
    "Certify.retry_idempotent",
    "Certify.Retry.machine_bounds_tries",
    "Certify.Retry.machine_retries_exactly",
    "Certify.Retry.machine_retries_exactly_as_asked",
    "Certify.Retry.machine_success_ends",
    "Certify.Retry.machine_failure_surfaces",
    "Certify.Retry.machine_retry_is_one_application",
    "Certify.Retry.machine_repeats_only_idempotent",
    "Certify.Retry.machine_retry_ends",
    "Certify.CircuitBreaker.machine_one_way_only",
    "Certify.CircuitBreaker.machine_open_reaches_nothing",
    "Certify.CircuitBreaker.machine_isolates_successes",
    "Certify.CircuitBreaker.machine_isolates_failures",
    "Certify.CircuitBreaker.machine_isolates_cancellations",
    "Certify.CircuitBreaker.machine_bounds_probes",
    "Certify.Bulkhead.machine_conserves_permits",
    "Certify.Bulkhead.machine_use_leaves_others",
    "Certify.Bulkhead.machine_isolates_partitions",
    "Certify.Bulkhead.machine_conserves_each_partition",
    "Certify.replicas_agree",
    "Certify.glue_agrees",
    "Certify.glue_unique",
}


@dataclass(frozen=True)
class Cold:
    """What one check of the shipped package from cold gave: the command's status and document, the library's report."""

    status: int
    document: Any
    report: PackageReport


@pytest.fixture(scope="module")
def cold() -> Cold:
    """The README's command over the shipped package, run once; the report is the one that the command was given."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    line = next(line for line in readme.splitlines() if re.match(r"certify lean(?!\S)", line))
    found: list[PackageReport] = []

    def noted(path: Path) -> PackageReport:
        found.append(check_package(path))
        return found[-1]

    with pytest.MonkeyPatch.context() as patch, io.StringIO() as out, contextlib.redirect_stdout(out):
        patch.chdir(ROOT)
        patch.setattr(proving, "check_package", noted)
        status = run([*line.partition("#")[0].split()[1:], "--json"])
        document = json.loads(out.getvalue())
    [report] = found
    return Cold(status, document, report)


@pytest.fixture
def shipped(cold: Cold) -> PackageReport:
    """The report on the shipped package."""
    return cold.report


def test_the_readme_s_command_accepts_the_shipped_package(cold: Cold) -> None:
    """D-CAT, P-RETRY: what the README says of Lean is so: every declaration accepted, on standard axioms at most."""
    axioms = {entry["name"]: entry["axioms"] for file in cold.document["files"] for entry in file["declarations"]}
    assert cold.status == 0
    assert cold.document["verdict"] == "accepted"
    assert {axiom for used in axioms.values() for axiom in used} <= STANDARD_AXIOMS
    assert len(axioms) > 100
    assert cold.document["packages"] == [cold.report.to_data()]


def package(folder: Path, **files: str) -> Path:
    """A package with these modules; `__` in a name stands for a folder."""
    (folder / "lakefile.toml").write_text('name = "p"\n\n[[lean_lib]]\nname = "P"\n')
    for name, text in files.items():
        path = folder / (name.replace("__", "/") + ".lean")
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    return folder


def codes(report: PackageReport) -> list[str]:
    """The codes of what is wrong with the package itself."""
    return [diagnostic.code for diagnostic in report.diagnostics]


def test_the_shipped_package_is_accepted(shipped: PackageReport) -> None:
    """Every shipped file is reached from the root and accepted, and the main theorems are there."""
    assert shipped.verdict == Accepted()
    assert {entry.name for report in shipped.reports for entry in report.theorems} >= WANTED
    assert shipped.toolchain.startswith("leanprover/lean4:v4.")


def test_shipped_theorems_rest_on_standard_axioms_only(shipped: PackageReport) -> None:
    """The theorems about patterns rest on no axiom, the others on standard ones at most."""
    for report in shipped.reports:
        allowed = frozenset() if Path(report.file).stem in PATTERNS else STANDARD_AXIOMS
        assert set(report.axioms) <= allowed


def test_main_theorems_have_a_sentence(shipped: PackageReport) -> None:
    """Each main theorem says in English what it states."""
    sentences = {entry.name: entry.sentence for report in shipped.reports for entry in report.theorems}
    assert [name for name in sorted(WANTED) if not sentences[name].endswith(".")] == []


def test_the_page_of_theorems_lists_every_sentence(shipped: PackageReport) -> None:
    """D-CAT, P-RETRY: the page has each theorem with its sentence and axioms below a link to its file, and no other."""
    listed = [line for line in (ROOT / "docs" / "theorems.md").read_text(encoding="utf-8").splitlines() if line]
    wanted = []
    for report in shipped.reports:
        main = [entry for entry in report.theorems if entry.sentence and Path(report.file).stem not in HELPERS]
        if main:
            wanted += [f"## [{report.file}](../{report.file})", "| theorem | says | axioms |", "|---|---|---|"]
        for entry in main:
            axioms = ", ".join(f"`{axiom}`" for axiom in entry.axioms) or "none"
            wanted.append(f"| `{entry.name}` | {' '.join(entry.sentence.split())} | {axioms} |")
    assert listed[listed.index(wanted[0]) :] == wanted


def test_the_package_report_is_plain_data(shipped: PackageReport) -> None:
    """The report turns into text, numbers and lists that JSON can carry."""
    assert json.loads(json.dumps(shipped.to_data()))["accepted"] is True


def test_a_changed_definition_breaks_the_proofs(tmp_path: Path) -> None:
    """A retry that goes on after a success no longer has its law."""
    text = (LEAN / "Certify" / "Retry.lean").read_text()
    wrong = text.replace("| Except.ok a, _ => Except.ok a", "| Except.ok _, r => r")
    assert wrong != text
    arithmetic = (LEAN / "Certify" / "Arithmetic.lean").read_text()
    report = check_package(
        package(tmp_path, P="import Certify.Retry", Certify__Retry=wrong, Certify__Arithmetic=arithmetic)
    )
    refused = {e.name for r in report.reports for e in r.entries if isinstance(e.verdict, Rejected)}
    assert "Certify.retry_success" in refused


def test_a_file_that_no_root_reaches_is_an_error(tmp_path: Path) -> None:
    """A file beside the package's tree of imports is refused, so that no proof is left unchecked."""
    report = check_package(package(tmp_path, P="", Q="theorem t : False := t"))
    assert codes(report) == ["LEAN403"]
    assert isinstance(report.verdict, Rejected)


def test_an_import_of_nothing_is_an_error(tmp_path: Path) -> None:
    """An import that the package does not have is refused, with its place."""
    report = check_package(package(tmp_path, P="import P.Missing"), name="p")
    assert codes(report) == ["LEAN401"]
    assert str(report.diagnostics[0].place) == "p/P.lean:1:1"


def test_imports_in_a_circle_are_an_error(tmp_path: Path) -> None:
    """Two files that import each other are refused."""
    report = check_package(package(tmp_path, P="import P.A", P__A="import P.B", P__B="import P.A"))
    assert codes(report) == ["LEAN402"]
    assert report.verdict != Accepted()


def test_a_file_sees_only_what_it_imports(tmp_path: Path) -> None:
    """A file that was checked before, but is not imported, is not seen."""
    report = check_package(
        package(tmp_path, P="import P.A\nimport P.B", P__A="def one : Nat := 1", P__B="theorem t : one = 1 := rfl")
    )
    assert [type(r.verdict) for r in report.reports] == [Accepted, Rejected, Accepted]
    assert report.reports[1].diagnostics[0].code == "LEAN303"


def test_imports_reach_through_imports(tmp_path: Path) -> None:
    """What an imported file imports is seen as well."""
    report = check_package(
        package(tmp_path, P="import P.B\ntheorem t : one = 1 := rfl", P__A="def one : Nat := 1", P__B="import P.A")
    )
    assert report.verdict == Accepted()


def test_two_imports_may_not_declare_one_name(tmp_path: Path) -> None:
    """A file that imports two declarations of the same name is refused."""
    report = check_package(
        package(tmp_path, P="import P.A\nimport P.B", P__A="def one : Nat := 1", P__B="def one : Nat := 2")
    )
    assert [type(r.verdict) for r in report.reports] == [Accepted, Accepted, Rejected]


def test_an_unfinished_file_refuses_the_package(tmp_path: Path) -> None:
    """A `sorry` in a file, or a construct that is not supported, keeps the package from being accepted."""
    sorry = check_package(package(tmp_path, P="import P.A", P__A="theorem t : False := sorry"))
    assert isinstance(sorry.verdict, Rejected)
    tactic = check_package(package(tmp_path, P="import P.A", P__A="theorem t : True := by trivial"))
    assert isinstance(tactic.verdict, Declined)


@pytest.mark.parametrize("text", [None, "name =", 'name = "p"', "[[lean_lib]]\nroots = [1]"])
def test_a_folder_without_a_package_is_a_wrong_request(tmp_path: Path, text: str | None) -> None:
    """Without a readable `lakefile.toml` that names a library there is nothing to check."""
    if text is not None:
        (tmp_path / "lakefile.toml").write_text(text)
    with pytest.raises(RequestError) as caught:
        check_package(tmp_path)
    assert [diagnostic.code for diagnostic in caught.value.diagnostics] == ["LEAN400"]
