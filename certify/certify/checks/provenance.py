"""C-SBOM: what the node's runs imported is known, and is what was installed.

The bill of materials itself is built by `certify.evidence.sbom`; this check compares it with what the runs really did.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from certify.checks.workbench import Workbench
from certify.evidence.verdict import CheckResult, Failed, Passed
from certify.laboratory.record import Delivery, Observe, Plan
from certify_spec.diagnostics import Severity

CHECK: Final = "C-SBOM"


def imported(bench: Workbench) -> tuple[str, ...]:
    """Names of the modules that importing and running the node imported, fixture by fixture."""
    plans = [Plan((Delivery(text),), observe=Observe.CALLS) for text in bench.fixtures.values()]  # C-SANDBOX's
    names = set(bench.laboratory.signature().modules)
    for record in bench.laboratory.remembered(plans):
        names |= set(record.modules)
    return tuple(sorted(name for name in names if not _is_own(name, bench.subject.files)))


def check(bench: Workbench) -> CheckResult:
    """Every imported module has a known origin and the bytes that were installed, and is declared if anything is."""
    from certify.evidence import dependencies, installed, sbom  # a third of a second, when there are runs to wait for

    names = imported(bench)
    subject = bench.subject
    findings = (
        *sbom.doubts(names, subject.files),
        *dependencies.imported_but_not_declared(subject.root, subject.files, names),
    )
    refused = any(finding.severity is Severity.ERROR for finding in findings)
    sorted_imports = sbom.sort_imports(names, subject.files, installed.here())
    measured = {
        "modules": list(names),
        "distributions": sorted(sorted_imports.distributions),
        "standard_library": len(sorted_imports.standard),
    }
    return CheckResult(CHECK, Failed() if refused else Passed(), findings, measured)


def _is_own(name: str, files: Iterable[str]) -> bool:
    """Whether a module is the node's own, or the laboratory's."""
    path = name.replace(".", "/")
    return name.startswith("certify.laboratory") or any(file in {f"{path}.py", f"{path}/__init__.py"} for file in files)
