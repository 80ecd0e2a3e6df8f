"""Reading specifications: the only place of this floor that opens files.

Rules this module keeps:

- a file is read once per `Loader`, however many refine it;
- syntax and meaning are reported together, all at once;
- a machine that refines itself, by however long a way, is refused.
"""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Final

from certify_spec import checker, parser, rules
from certify_spec import model as m
from certify_spec.diagnostics import Diagnostic, Place, RequestError, Severity, in_order

MAX_BYTES: Final = 4 * 1024 * 1024


class Loader:
    """Loads specifications and what they refine.

    Args:
        folder: paths in diagnostics are relative to this folder; the working folder by default.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = (folder or Path.cwd()).resolve()
        self._loaded: dict[Path, tuple[m.Specification | None, tuple[Diagnostic, ...]]] = {}
        self._loading: list[Path] = []

    def load(self, path: Path) -> m.Specification:
        """The specification in a file.

        Raises:
            RequestError: with everything that is wrong with the file, warnings included.
        """
        specification, diagnostics = self.examine(path)
        if specification is None:
            raise RequestError(*diagnostics)
        return specification

    def examine(self, path: Path) -> tuple[m.Specification | None, tuple[Diagnostic, ...]]:
        """The specification in a file, or None, and every diagnostic, those of the files that it refines included."""
        path = path.resolve()
        if path not in self._loaded:
            self._loading.append(path)
            try:
                self._loaded[path] = self._read(path)
            finally:
                self._loading.pop()
        return self._loaded[path]

    def _read(self, path: Path) -> tuple[m.Specification | None, tuple[Diagnostic, ...]]:
        shown = self.shown(path)
        text = _text(path, shown)
        if isinstance(text, Diagnostic):
            return None, (text,)
        others: list[Diagnostic] = []

        def resolve(source: str) -> m.Specification | None:
            target = (path.parent / source).resolve()
            if target in self._loading:
                others.append(Diagnostic(rules.CYCLE, f"`{source}` refines this machine in turn", Place(shown)))
                return None
            specification, diagnostics = self.examine(target)
            others.extend(diagnostics)
            return specification

        file, syntax = parser.parse(text, shown)
        specification, meaning = checker.check(file, resolve)
        every = in_order(dict.fromkeys((*syntax, *meaning, *others)))
        broken = any(diagnostic.severity is Severity.ERROR for diagnostic in every)
        return None if broken else specification, every

    def shown(self, path: Path) -> str:
        """How diagnostics name a file."""
        return str(path.relative_to(self._folder)) if path.is_relative_to(self._folder) else str(path)


def load(path: Path) -> m.Specification:
    """The specification in a file.

    Raises:
        RequestError: with everything that is wrong with it.
    """
    return Loader().load(path)


def load_text(text: str, path: str = "spec.ct") -> m.Specification:
    """The specification in a text that refines nothing.

    Raises:
        RequestError: with everything that is wrong with it.
    """
    specification, diagnostics = examine_text(text, path)
    if specification is None:
        raise RequestError(*diagnostics)
    return specification


def examine_text(text: str, path: str = "spec.ct") -> tuple[m.Specification | None, tuple[Diagnostic, ...]]:
    """The specification in a text, or None, and every diagnostic."""
    file, syntax = parser.parse(text, path)
    specification, meaning = checker.check(file)
    every = in_order((*syntax, *meaning))
    return None if any(d.severity is Severity.ERROR for d in every) else specification, every


def examine_syntax(path: Path) -> tuple[str, tuple[Diagnostic, ...]]:
    """The text of a file, and everything wrong with its syntax."""
    text = _text(path, str(path))
    if isinstance(text, Diagnostic):
        return "", (text,)
    return text, parser.parse(text, str(path))[1]


def shipped() -> tuple[Path, ...]:
    """The shipped specifications, in a stable order."""
    folder = Path(str(resources.files("certify_spec")))
    return tuple(sorted(folder.glob("*/*.ct")))


def _text(path: Path, shown: str) -> str | Diagnostic:
    try:
        data = path.read_bytes()
    except OSError as problem:
        return Diagnostic(rules.UNREADABLE, "cannot be read", Place(shown), because=problem.strerror or str(problem))
    if len(data) > MAX_BYTES:
        return Diagnostic(rules.TOO_LARGE, f"the file has {len(data)} bytes", Place(shown))
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        line = data[: problem.start].count(b"\n") + 1
        return Diagnostic(rules.NOT_TEXT, "this is not UTF-8", Place(shown, line), fix="save the file as UTF-8")
