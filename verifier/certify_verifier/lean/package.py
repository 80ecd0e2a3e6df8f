"""A Lean package checked as a whole: every file reached from its roots, in the order of imports.

Rules this module keeps:

- the roots are the libraries of `lakefile.toml`; a file that no root reaches is an error, and so is an import of
  nothing, of the file itself in a circle, or of anything outside the package;
- a generated file that is not what its specification gives now is an error;
- a file sees the prelude and what its imports declare, directly or through others, and nothing else.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from certify_spec.diagnostics import Diagnostic, Place, RequestError, in_order
from certify_verifier.lean import axioms, rules
from certify_verifier.lean.emit.generated import stale
from certify_verifier.lean.environment import Constant
from certify_verifier.lean.front.errors import Spot
from certify_verifier.lean.names import Name
from certify_verifier.lean.report import Accepted, Declined, LeanReport, LeanVerdict, Rejected, overall
from certify_verifier.lean.session import DEFAULT_STEPS, Session, run_deep
from certify_verifier.lean.source import check_in, imports_of, prelude, read_source


@dataclass(frozen=True, slots=True)
class PackageReport:
    """The outcome for a package.

    Attributes:
        folder: the package as named by the user.
        reports: one for each file reached, imports first.
        diagnostics: what is wrong with the package itself, beside what the reports say.
        toolchain: the Lean release that the package names, empty when it names none.
    """

    folder: str
    reports: tuple[LeanReport, ...]
    diagnostics: tuple[Diagnostic, ...]
    toolchain: str

    @property
    def verdict(self) -> LeanVerdict:
        """Accepted when every file is and the package itself is in order."""
        wrong: list[LeanVerdict] = [Rejected(diagnostic) for diagnostic in self.diagnostics]
        return overall((*wrong, *(report.verdict for report in self.reports)))

    def to_data(self) -> dict[str, Any]:
        """The report as a map of text, integers and lists."""
        return {
            "folder": self.folder,
            "toolchain": self.toolchain,
            "accepted": self.verdict == Accepted(),
            "files": [report.to_data() for report in self.reports],
            "diagnostics": [diagnostic.to_data() for diagnostic in self.diagnostics],
        }


@dataclass(frozen=True, slots=True)
class _Module:
    """A file of the package: its text and what it imports, with the places."""

    name: Name
    shown: str
    text: str
    imports: tuple[tuple[Name, Spot], ...]


@dataclass(slots=True)
class _Declared:
    """What a checked file declares."""

    constants: dict[Name, Constant]
    rests_on: dict[Name, frozenset[Name]]
    failed: dict[Name, LeanVerdict]


def check_package(
    folder: Path | str, *, allowed: frozenset[Name] = axioms.STANDARD, steps: int = DEFAULT_STEPS, name: str = ""
) -> PackageReport:
    """Check every file of a Lean package.

    Args:
        folder: the folder of `lakefile.toml`.
        allowed: axioms that theorems may rest on.
        steps: steps that one declaration may take before it is left undecided.
        name: how messages name the folder; the path when empty.

    Raises:
        RequestError: there is no package, or a file cannot be read.
    """
    path, shown = Path(folder), name or str(folder)
    walk = _Walk(path, shown)
    for root in _roots(path, shown):
        walk.visit(root, None)
    walk.note_unreached()
    before = prelude()
    reports = run_deep(lambda: _check(walk.order, before.continued(allowed=allowed, steps=steps), allowed, steps))
    toolchain = path / "lean-toolchain"
    named = toolchain.read_text(encoding="utf-8").strip() if toolchain.is_file() else ""
    return PackageReport(shown, tuple(reports), in_order(walk.diagnostics), named)


def _roots(folder: Path, shown: str) -> list[Name]:
    """The root modules that `lakefile.toml` names."""
    file = f"{shown}/lakefile.toml"
    try:
        data = tomllib.loads((folder / "lakefile.toml").read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        message = f"there is no readable `lakefile.toml`: {error}"
        raise RequestError(Diagnostic(rules.NO_PACKAGE, message, Place(file), fix=rules.NO_PACKAGE.advice)) from error
    libraries = data.get("lean_lib")
    found: list[Name] = []
    for library in libraries if isinstance(libraries, list) else []:
        named = library.get("roots", [library.get("name")]) if isinstance(library, dict) else []
        found += [root for root in named if isinstance(root, str) and root] if isinstance(named, list) else []
    if not found:
        message = "`lakefile.toml` names no library"
        raise RequestError(Diagnostic(rules.NO_PACKAGE, message, Place(file), fix=rules.NO_PACKAGE.advice))
    return found


class _Walk:
    """Visits files by their imports, imports first."""

    def __init__(self, folder: Path, shown: str) -> None:
        self.folder = folder
        self.shown = shown
        self.order: list[_Module] = []
        self.diagnostics: list[Diagnostic] = []
        self._seen: set[Name] = set()
        self._open: list[Name] = []

    def visit(self, name: Name, at: Place | None) -> None:
        """Visit a module and everything it imports."""
        if name in self._open:
            circle = " → ".join([*self._open[self._open.index(name) :], name])
            self._note(Diagnostic(rules.IMPORT_CIRCLE, f"the imports run in a circle: {circle}", at))
            return
        if name in self._seen:
            return
        self._seen.add(name)
        path = self.folder.joinpath(*name.split(".")).with_suffix(".lean")
        shown = f"{self.shown}/{'/'.join(name.split('.'))}.lean"
        if not path.is_file():
            place = at or Place(f"{self.shown}/lakefile.toml")
            message = f"there is no module `{name}` in the package"
            self._note(Diagnostic(rules.UNKNOWN_IMPORT, message, place, fix=rules.UNKNOWN_IMPORT.advice))
            return
        text = read_source(path, shown)
        outdated = stale(text, shown, self.folder)
        if outdated is not None:
            self._note(outdated)
        module = _Module(name, shown, text, tuple(imports_of(text)))
        self._open.append(name)
        for imported, spot in module.imports:
            self.visit(imported, Place(shown, spot.line, spot.column))
        self._open.pop()
        self.order.append(module)

    def _note(self, diagnostic: Diagnostic) -> None:
        self.diagnostics.append(diagnostic)

    def note_unreached(self) -> None:
        """Note every file of the package that no root reaches."""
        for path in sorted(self.folder.rglob("*.lean")):
            inside = path.relative_to(self.folder)
            name = ".".join(inside.with_suffix("").parts)
            if name not in self._seen and not any(part.startswith(".") for part in inside.parts):
                message = f"`{inside.as_posix()}` is not reached from the package's root"
                place = Place(f"{self.shown}/{inside.as_posix()}")
                self._note(Diagnostic(rules.UNREACHED, message, place, fix=rules.UNREACHED.advice))


def _check(order: list[_Module], base: Session, allowed: frozenset[Name], steps: int) -> list[LeanReport]:
    declared: dict[Name, _Declared] = {}
    reach: dict[Name, frozenset[Name]] = {}
    reports = []
    for module in order:
        direct = [name for name, _ in module.imports if name in declared]
        reach[module.name] = frozenset(direct).union(*(reach[name] for name in direct))
        session = base.continued(allowed=allowed, steps=steps)
        clash = ""
        for name in (m.name for m in order if m.name in reach[module.name]):
            clash = clash or session.adopt(declared[name].constants, declared[name].rests_on, declared[name].failed)
        if clash:
            reason = Diagnostic(rules.DUPLICATE_NAME, f"two imports declare `{clash}`", Place(module.shown, 1, 1))
            reports.append(LeanReport(module.shown, (), Rejected(reason)))
            declared[module.name] = _Declared({}, {}, {})
            continue
        known = set(session.environment.constants)
        missing = [name for name, _ in module.imports if name not in declared]
        report = check_in(session, module.shown, module.text)
        if missing and report.verdict == Accepted():
            verdict = Declined(f"{module.shown}: the import `{missing[0]}` was not checked")
            report = LeanReport(report.file, report.entries, verdict, report.steps, report.comparisons)
        reports.append(report)
        new = {n: c for n, c in session.environment.constants.items() if n not in known}
        declared[module.name] = _Declared(new, *session.facts())
    return reports
