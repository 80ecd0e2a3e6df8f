"""Behind `lean`: Lean packages, files and exported proofs, checked without Lean; and with it, where it is installed."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import certify_verifier
from certify.cli.output import Output
from certify.cli.status import Status
from certify_spec.diagnostics import Diagnostic, Place, RequestError, Rule
from certify_verifier.lean import (
    Accepted,
    Declined,
    LeanReport,
    LeanVerdict,
    PackageReport,
    check_export,
    check_package,
    check_source,
    verdict_name,
)
from certify_verifier.lean.report import overall

CLI012 = Rule(
    "CLI012",
    "This is nothing that the Lean checker reads.",
    "Name a folder with a `lakefile.toml`, a `.lean` file, or an `.ndjson` file in the export format.",
)

_LAKE_SECONDS = 3600


def run(paths: list[Path], *, with_lake: bool, as_json: bool) -> int:
    """Check each path and show every theorem with its sentence, axioms and verdict.

    Raises:
        RequestError: a path is not there, or is nothing that the checker reads.
    """
    output = Output(as_json=as_json)
    targets = paths or [shipped()]
    reports: list[LeanReport] = []
    packages: list[PackageReport] = []
    for path in targets:
        found = _check(path)
        if isinstance(found, PackageReport):
            packages.append(found)
            reports += found.reports
        else:
            reports.append(found)
    verdict = overall((*(report.verdict for report in reports), *(package.verdict for package in packages)))
    _show(output, reports, packages)
    lakes = [_lake(Path(package.folder)) for package in packages] if with_lake else []
    for lake in lakes:
        output.say(f"lake build in {lake['folder']}: {lake['outcome']} ({lake['version']})")
    output.say(_summary(reports, verdict), "green" if verdict == Accepted() else "bold red")
    output.data(
        {
            "verdict": verdict_name(verdict),
            "packages": [package.to_data() for package in packages],
            "files": [report.to_data() for report in reports],
            "lake": lakes,
        }
    )
    if any(lake["outcome"] == "failed" for lake in lakes):
        return Status.REFUSED
    return _status(verdict)


def shipped() -> Path:
    """The Lean package that comes with the toolkit: in the wheel, or beside the sources."""
    package = Path(certify_verifier.__file__).parent
    candidates = (Path("lean"), package / "shipped_lean", package.parent.parent / "lean")
    for candidate in candidates:
        if (candidate / "lakefile.toml").is_file():
            return candidate
    raise RequestError(Diagnostic(CLI012, "there is no Lean package here", fix=CLI012.advice))


def _check(path: Path) -> LeanReport | PackageReport:
    if path.is_dir():
        return check_package(path)
    if path.suffix == ".lean":
        return check_source(path)
    if path.suffix == ".ndjson":
        return check_export(path)
    raise RequestError(
        Diagnostic(CLI012, f"{path} is neither a package nor a file of theirs", Place(str(path)), fix=CLI012.advice)
    )


def _show(output: Output, reports: list[LeanReport], packages: list[PackageReport]) -> None:
    for report in reports:
        rows = [
            (entry.name, entry.sentence or "–", ", ".join(entry.axioms) or "none", verdict_name(entry.verdict))
            for entry in report.theorems
            if entry.sentence or entry.verdict != Accepted()
        ]
        if rows:
            output.table(("theorem", "says", "axioms", "verdict"), rows, title=report.file)
        output.diagnostics(report.diagnostics)
        for entry in report.entries:
            if isinstance(entry.verdict, Declined):
                output.say(f"{report.file}:{entry.line}: {entry.name} is declined: {entry.verdict.reason}", "magenta")
        if isinstance(report.verdict, Declined) and not any(isinstance(e.verdict, Declined) for e in report.entries):
            output.say(f"{report.file}: declined: {report.verdict.reason}", "magenta")
    for package in packages:
        output.diagnostics(package.diagnostics)


def _summary(reports: list[LeanReport], verdict: LeanVerdict) -> str:
    theorems = sum(len(report.theorems) for report in reports)
    declarations = sum(len(report.entries) for report in reports)
    axioms = sorted({axiom for report in reports for axiom in report.axioms})
    return (
        f"{len(reports)} files, {declarations} declarations, {theorems} theorems, "
        f"axioms: {', '.join(axioms) or 'none'}: {verdict_name(verdict)}"
    )


def _status(verdict: LeanVerdict) -> Status:
    match verdict_name(verdict):
        case "accepted":
            return Status.HELD
        case "rejected":
            return Status.REFUSED
        case _:
            return Status.UNDECIDED


def _lake(folder: Path) -> dict[str, Any]:
    """Run the official build where it is installed, and record its version."""
    lake = shutil.which("lake")
    if lake is None:
        return {"folder": str(folder), "version": "lake is not installed", "outcome": "not run"}
    version = subprocess.run([lake, "--version"], capture_output=True, text=True, check=False, timeout=60)
    built = subprocess.run(
        [lake, "build"], cwd=folder, capture_output=True, text=True, check=False, timeout=_LAKE_SECONDS
    )
    return {
        "folder": str(folder),
        "version": version.stdout.strip(),
        "outcome": "built" if built.returncode == 0 else "failed",
        "said": (built.stdout + built.stderr)[-4000:],
    }
