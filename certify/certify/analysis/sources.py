"""The node's own Python files as syntax trees, and which file a module name means.

Rules this module keeps:

- nothing is imported or executed; files are read as bytes, so that the interpreter's own rules for encodings apply;
- a file that is no Python, too large or too deep is a diagnostic and a hole, never an exception.
"""

from __future__ import annotations

import ast
import sys
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Final

from certify_spec.diagnostics import Diagnostic, Place, Rule

UNREADABLE: Final = Rule(
    "EFF020",
    "a Python file of the node cannot be read as Python",
    "repair the file; until then nothing can be said of what it does",
)
TOO_LARGE: Final = Rule(
    "EFF021",
    "a Python file of the node is larger than the analysis reads",
    "keep data in data files, and code in modules of moderate size",
)

#: Bytes of one file; a generous bound for source text written by people or generators.
LARGEST_FILE: Final = 16 * 2**20


@dataclass(frozen=True, slots=True)
class Source:
    """One module of the node: its dotted name, its file, and its tree (None when it could not be read)."""

    module: str
    file: str
    tree: ast.Module | None

    @property
    def is_package(self) -> bool:
        """Whether the file is a package's `__init__.py`."""
        return PurePosixPath(self.file).name == "__init__.py"


@dataclass(frozen=True, slots=True)
class Sources:
    """All modules of the node by dotted name, the folders that act as packages, and what could not be read."""

    modules: Mapping[str, Source]
    packages: frozenset[str] = frozenset()
    diagnostics: tuple[Diagnostic, ...] = ()
    texts: Mapping[str, bytes] = field(default_factory=dict)


def read_sources(root: Path, files: Iterable[str] | None = None) -> Sources:
    """Read the Python files among `files` (all below `root` when None).

    Args:
        root: the folder of the manifest; module names are relative to it.
        files: paths relative to `root`.
    """
    if files is None:
        files = (path.relative_to(root).as_posix() for path in root.rglob("*.py"))
    texts: dict[str, bytes] = {}
    holes: list[Diagnostic] = []
    for file in sorted(file for file in files if file.endswith(".py")):
        try:
            texts[file] = _bounded(root / file)
        except OSError as error:
            holes.append(_hole(UNREADABLE, file, f"cannot be read: {error.strerror or error}"))
            texts[file] = b""
        except ValueError as error:
            holes.append(_hole(TOO_LARGE, file, str(error)))
            texts[file] = b""
    broken = {hole.place.file for hole in holes if hole.place}
    return parse_sources(texts, broken=broken, diagnostics=holes)


def parse_sources(
    texts: Mapping[str, bytes], broken: Iterable[str] = (), diagnostics: Iterable[Diagnostic] = ()
) -> Sources:
    """Parse files given by path and content; those in `broken` are holes already explained by `diagnostics`."""
    holes = list(diagnostics)
    skipped = set(broken)
    modules: dict[str, Source] = {}
    packages: set[str] = set()
    for file in sorted(texts, key=lambda name: (not name.endswith("__init__.py"), name)):
        tree = None
        if file not in skipped:
            try:
                tree = _parse(texts[file])
            except _NotPython as error:
                holes.append(_hole(UNREADABLE, file, str(error), error.line, error.column))
        name = _module_name(file)
        # A package wins over a module of the same name, as it does in the import system.
        modules.setdefault(name, Source(name, file, tree))
        parts = name.split(".")
        packages |= {".".join(parts[:count]) for count in range(1, len(parts))}
    return Sources(modules, frozenset(packages), tuple(holes), dict(texts))


class _NotPython(Exception):
    """The bytes are no Python module."""

    def __init__(self, message: str, line: int = 0, column: int = 0) -> None:
        super().__init__(message)
        self.line, self.column = line, column


def _bounded(path: Path) -> bytes:
    with path.open("rb") as stream:
        content = stream.read(LARGEST_FILE + 1)
    if len(content) > LARGEST_FILE:
        raise ValueError(f"is larger than {LARGEST_FILE // 2**20} MiB")
    return content


def _parse(content: bytes) -> ast.Module:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a doubtful escape in the node's text is no concern of this walk
            return ast.parse(content)
    except SyntaxError as error:
        raise _NotPython(f"is not Python: {error.msg}", error.lineno or 0, error.offset or 0) from None
    except (ValueError, UnicodeDecodeError) as error:
        raise _NotPython(f"is not Python: {error}") from None
    except (RecursionError, MemoryError):
        raise _NotPython("is nested too deeply to be parsed") from None


def _hole(rule: Rule, file: str, why: str, line: int = 0, column: int = 0) -> Diagnostic:
    return Diagnostic(rule, f"`{file}` {why}", Place(file, line, column), fix=rule.advice)


def _module_name(file: str) -> str:
    parts = list(PurePosixPath(file).with_suffix("").parts)
    if parts[-1] == "__init__":
        parts.pop()
    return ".".join(parts)


def is_standard(module: str) -> bool:
    """Whether the top name of `module` belongs to the standard library."""
    return module.partition(".")[0] in sys.stdlib_module_names
