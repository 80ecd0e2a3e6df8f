"""C-SBOM: what the node's runs imported is known, and is what was installed.

The bill of materials itself is built by `certify.evidence.sbom`; this check compares it with what the runs really did.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from certify.checks.workbench import Workbench
from certify.evidence import sbom
from certify.evidence.verdict import CheckResult, Failed, Passed
from certify.laboratory.record import Delivery, Plan

CHECK: Final = "C-SBOM"


def imported(bench: Workbench) -> tuple[str, ...]:
    """Names of the modules that importing and running the node imported, fixture by fixture."""
    plans = [Plan((Delivery(text),)) for text in bench.fixtures.values()]
    names = set(bench.laboratory.signature().modules)
    for record in bench.laboratory.run_all(plans):
        names |= set(record.modules)
    return tuple(sorted(name for name in names if not _is_own(name, bench.subject.files)))


def check(bench: Workbench) -> CheckResult:
    """Every imported module has a known origin and the bytes that were installed."""
    names = imported(bench)
    doubts = sbom.doubts(names, bench.subject.files)
    sorted_imports = sbom.sort_imports(names, bench.subject.files, sbom.Installed())
    measured = {
        "modules": list(names),
        "distributions": sorted(sorted_imports.distributions),
        "standard_library": len(sorted_imports.standard),
    }
    return CheckResult(CHECK, Failed() if doubts else Passed(), tuple(doubts), measured)


def _is_own(name: str, files: Iterable[str]) -> bool:
    """Whether a module is the node's own, or the laboratory's."""
    path = name.replace(".", "/")
    return name.startswith("certify.laboratory") or any(file in {f"{path}.py", f"{path}/__init__.py"} for file in files)
