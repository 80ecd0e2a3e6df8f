"""What a run imported, compared with what the node's folder declares.

Rules this module keeps:

- declarations are read from `requirements.txt` (files that it includes, too) and `pyproject.toml`, without running
  anything; a folder with neither declares nothing, and nothing is compared;
- what a declared distribution requires is declared with it, but a module that the node's own text imports is better
  declared by itself: another release of the one in between may drop it;
- what this toolkit gives to every node (`provided`) needs no declaration.
"""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from certify.evidence import installed
from certify.evidence.installed import Installed, applies
from certify.evidence.sbom import sort_imports
from certify_spec.diagnostics import Diagnostic, Place, Rule, Severity

NOT_DECLARED: Final = Rule(
    "SBOM010",
    "a distribution was imported that the node does not declare",
    "declare it in the node's requirements, or do without it",
)
DECLARED_BY_CHANCE: Final = Rule(
    "SBOM011",
    "the node imports a distribution that only another one requires",
    "declare it in the node's requirements by itself",
)
UNREADABLE_DECLARATION: Final = Rule(
    "SBOM012", "a declaration of requirements cannot be read", "correct it, so that it can be compared with the run"
)
OTHER_VERSION: Final = Rule(
    "SBOM013",
    "the imported version is not one that the node declares",
    "certify in an environment that was installed from the node's requirements",
)

PROVIDED: Final = ("certify-toolkit",)
"""Distributions that every node may import without declaring them."""

_INCLUDE: Final = re.compile(r"(?:-r|--requirement|-c|--constraint)(?:\s+|=)(?P<file>\S+)")
_MAX_FILE: Final = 2**20


@dataclass(slots=True)
class _Declared:
    """Requirements by normalised name, with the place of each; and what could not be read."""

    requirements: dict[str, list[Requirement]] = field(default_factory=dict)
    places: dict[str, Place] = field(default_factory=dict)
    problems: list[Diagnostic] = field(default_factory=list)
    found: bool = False

    def add(self, text: str, place: Place) -> None:
        try:
            requirement = Requirement(text)
        except InvalidRequirement as error:
            self.problems.append(_unreadable(place, f"{text[:80]!r} is no requirement", str(error).splitlines()[0]))
            return
        if applies(requirement):
            name = canonicalize_name(requirement.name)
            self.requirements.setdefault(name, []).append(requirement)
            self.places.setdefault(name, place)

    @property
    def extras(self) -> dict[str, frozenset[str]]:
        return {
            name: frozenset(extra for one in several for extra in one.extras)
            for name, several in self.requirements.items()
        }


def imported_but_not_declared(
    root: Path,
    files: Iterable[str],
    modules: Iterable[str],
    *,
    here: Installed | None = None,
    provided: Collection[str] = PROVIDED,
) -> tuple[Diagnostic, ...]:
    """What the run imported beyond the node's declarations.

    Args:
        root: the manifest's folder.
        files: paths of the node's own files, relative to `root`.
        modules: dotted names of all modules that the run imported.
        here: where to look distributions up.
        provided: distributions that need no declaration.

    Returns:
        SBOM010 an imported distribution is not declared, not even through another; SBOM011 (warning) one that the
        node's text imports is declared only through another; SBOM012 a declaration cannot be read; SBOM013 the version
        found is not allowed. Empty when the folder declares nothing.
    """
    declared = _read_declarations(root)
    if not declared.found:
        return ()
    index = here or installed.here()
    paths = sorted(files)
    imported = sort_imports(modules, paths, index).distributions
    own_imports: dict[str, Place] = {
        name: place
        for module, place in _imports_in_text(root, paths).items()
        for name in (one.name for one in index.providing(module))
    }
    allowed = {canonicalize_name(name) for name in provided}
    covered = index.closure(declared.requirements, declared.extras)
    brought = index.closure(allowed)
    findings = list(declared.problems)
    for name in imported:
        place = own_imports.get(name)
        if name in declared.requirements:
            findings += _wrong_version(name, declared, index)
        elif name in allowed or (name in brought and place is None):
            continue
        elif name in covered:
            findings += [_by_chance(name, place)] if place else []
        else:
            findings.append(_undeclared(name, imported[name], place))
    return tuple(findings)


def _undeclared(name: str, modules: Collection[str], place: Place | None) -> Diagnostic:
    shown = ", ".join(list(modules)[:3]) + (" …" if len(modules) > 3 else "")
    how = "the node's text imports it" if place else "no line of the node imports it: it was imported indirectly"
    return Diagnostic(
        NOT_DECLARED,
        f"{name} is imported and not declared",
        place=place,
        because=f"the run imported {shown}; {how}",
        fix=f"add {name} to the node's requirements, or do without it",
        data={"distribution": name, "modules": list(modules)},
    )


def _by_chance(name: str, place: Place) -> Diagnostic:
    return Diagnostic(
        DECLARED_BY_CHANCE,
        f"{name} is imported here and declared only through another distribution",
        place=place,
        fix=f"add {name} to the node's requirements",
        severity=Severity.WARNING,
        data={"distribution": name},
    )


def _wrong_version(name: str, declared: _Declared, index: Installed) -> Iterator[Diagnostic]:
    distribution = index.named(name)
    for requirement in declared.requirements[name]:
        if distribution and not requirement.specifier.contains(distribution.version, prereleases=True):
            yield Diagnostic(
                OTHER_VERSION,
                f"{name} {distribution.version} was imported",
                place=declared.places[name],
                because=f"the node declares {requirement}",
                fix=OTHER_VERSION.advice,
                data={"distribution": name, "version": distribution.version},
            )


def _imports_in_text(root: Path, files: Iterable[str]) -> dict[str, Place]:
    """The first place at which the node's own text imports each module."""
    found: dict[str, Place] = {}
    for file in files:
        if file.endswith(".py"):
            for module, line, column in _imports_of(root / file):
                found.setdefault(module, Place(file, line, column + 1))
    return found


def _imports_of(file: Path) -> Iterator[tuple[str, int, int]]:
    try:
        tree = ast.parse(file.read_bytes())
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        return  # the run says what is wrong with it
    for statement in ast.walk(tree):
        if isinstance(statement, ast.Import):
            for alias in statement.names:
                yield alias.name, statement.lineno, statement.col_offset
        elif isinstance(statement, ast.ImportFrom) and statement.module and not statement.level:
            yield statement.module, statement.lineno, statement.col_offset


def _read_declarations(root: Path) -> _Declared:
    declared = _Declared()
    for name, reader in (("requirements.txt", _read_requirements), ("pyproject.toml", _read_project)):
        if (root / name).exists():
            declared.found |= reader(root, name, declared)
    return declared


def _read_requirements(root: Path, name: str, declared: _Declared, seen: frozenset[str] = frozenset()) -> bool:
    text = _text(root, name, declared)
    for number, line in _logical_lines(text or ""):
        place = Place(name, number, 1)
        if include := _INCLUDE.fullmatch(line):
            if line.startswith(("-c", "--constraint")):
                continue  # a constraint declares nothing
            target = (Path(name).parent / include["file"]).as_posix()
            if target not in seen | {name}:
                _read_requirements(root, target, declared, seen | {name})
        elif not line.startswith("-"):
            declared.add(re.split(r"\s--\w", line, maxsplit=1)[0].strip(), place)
    return True


def _logical_lines(text: str) -> Iterator[tuple[int, str]]:
    """Lines with their numbers, joined where a backslash ends them, without comments and empty ones."""
    joined, start = "", 0
    for number, line in enumerate(text.splitlines(), 1):
        start = start if joined else number
        joined += line.removesuffix("\\")
        if not line.endswith("\\"):
            bare = re.sub(r"(^|\s)#.*", "", joined).strip()
            if bare:
                yield start, bare
            joined = ""
    if joined.strip():
        yield start, joined.strip()


def _read_project(root: Path, name: str, declared: _Declared) -> bool:
    """Whether the file says what is required; settings of tools, or dynamic dependencies, declare nothing."""
    text = _text(root, name, declared)
    try:
        document: dict[str, Any] = tomllib.loads(text or "")
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        declared.problems.append(_unreadable(Place(name), f"{name} is not TOML", str(error)))
        return True
    project = document.get("project")
    if not isinstance(project, Mapping):
        return text is None
    if "dependencies" in project.get("dynamic", ()):
        return False
    several = project.get("dependencies", [])
    if not isinstance(several, list):
        declared.problems.append(_unreadable(Place(name), "`project.dependencies` is not a list"))
        return True
    for requirement in several:
        line = _line_of(text or "", str(requirement))
        declared.add(str(requirement), Place(name, line, 1 if line else 0))
    return True


def _line_of(text: str, requirement: str) -> int:
    return next((number for number, line in enumerate(text.splitlines(), 1) if requirement in line), 0)


def _text(root: Path, name: str, declared: _Declared) -> str | None:
    file = root / name
    try:
        if not file.resolve().is_relative_to(root.resolve()) or not file.is_file():
            declared.problems.append(_unreadable(Place(name), f"{name} is no file in the node's folder"))
            return None
        data = file.read_bytes()
        if len(data) > _MAX_FILE:
            declared.problems.append(_unreadable(Place(name), f"{name} has more than {_MAX_FILE} bytes"))
            return None
        return data.decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        declared.problems.append(_unreadable(Place(name), f"{name} cannot be read", str(error).splitlines()[0]))
        return None


def _unreadable(place: Place, message: str, reason: str = "") -> Diagnostic:
    return Diagnostic(UNREADABLE_DECLARATION, message, place=place, because=reason, fix=UNREADABLE_DECLARATION.advice)
