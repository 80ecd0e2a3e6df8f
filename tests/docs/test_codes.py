"""Every diagnostic code that the project declares stands on a page, with its meaning."""

from __future__ import annotations

import importlib
import pkgutil
import re
from pathlib import Path
from types import ModuleType

import certify
import certify_codegen
import certify_spec
import certify_verifier
from certify_spec.diagnostics import rules

PAGES = Path(__file__).resolve().parents[2] / "docs"
#: Modules that run when they are imported, or only inside the sandbox.
LEFT_OUT = ("__main__", "_worker", "laboratory.inside")
#: How codes begin that tests declare for themselves, in whichever process this one runs.
OF_TESTS = ("TEST", "TST")


def import_all(package: ModuleType) -> None:
    """Import a package's modules, so that their rules are declared."""
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        if not any(part in module.name for part in LEFT_OUT):
            importlib.import_module(module.name)


def test_every_declared_code_is_documented() -> None:
    """C-LOOPS: a reader who meets a code finds it in the documentation."""
    for package in (certify, certify_spec, certify_verifier, certify_codegen):
        import_all(package)
    text = "\n".join(page.read_text(encoding="utf-8") for page in PAGES.rglob("*.md"))
    declared = [code for code in sorted(rules()) if not code.startswith(OF_TESTS)]
    assert [code for code in declared if not re.search(rf"\b{code}\b", text)] == []


def test_the_commands_page_has_the_codes_meanings() -> None:
    """The page of the command line says of each of its codes what the code says."""
    import_all(certify)
    page = (PAGES / "commands.md").read_text(encoding="utf-8")
    expected = [f"| {r.code} | {r.meaning} | {r.advice} |" for r in rules().values() if r.code.startswith("CLI")]
    assert [line for line in expected if line not in page] == []
