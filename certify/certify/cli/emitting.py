"""Behind `lean --emit`: the machines of specifications, written as Lean files that the theorems speak of."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from certify.cli.output import Output
from certify.cli.proving import shipped
from certify.cli.status import Status
from certify_spec.diagnostics import Diagnostic, Place, RequestError, Rule
from certify_spec.loader import load
from certify_verifier.lean.emit import FOLDER, SHIPPED, emit, fresh, source_of

CLI016 = Rule(
    "CLI016",
    "These options of `lean` do not go together.",
    "Give `.ct` files with `--emit`, `--into` and `--check` only with it, and `--with-lake` only without.",
)


@dataclass(frozen=True, slots=True)
class Options:
    """What was asked for.

    Attributes:
        specifications: the `.ct` files; the package's own generated files and the shipped machines when empty.
        into: the package; the shipped one when None.
        write: whether files are written, rather than compared only.
        asked: whether `--emit` was given.
        with_lake: whether the official build was asked for as well.
    """

    specifications: tuple[Path, ...]
    into: Path | None
    write: bool
    asked: bool
    with_lake: bool


def run(options: Options, *, as_json: bool) -> int:
    """Write or compare the Lean files of machines; every file is made before the first is written.

    Raises:
        RequestError: options do not go together, a specification cannot be read, or has no translation.
    """
    _require(options)
    output = Output(as_json=as_json)
    folder = options.into or shipped()
    if not (folder / "lakefile.toml").is_file():
        raise RequestError(Diagnostic(CLI016, f"{folder} is no Lean package", Place(str(folder)), fix=CLI016.advice))
    texts = _own(options.specifications, folder) if options.specifications else _known(folder)
    changed = [path for path, text in texts.items() if not path.is_file() or path.read_text(encoding="utf-8") != text]
    for path in changed if options.write else []:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(texts[path], encoding="utf-8")
    for path in texts:
        word = "current" if path not in changed else "written" if options.write else "not current"
        output.say(f"{path}: {word}", "" if path not in changed else "green" if options.write else "bold red")
    output.data({"files": [str(path) for path in texts], "changed": [str(path) for path in changed]})
    return Status.REFUSED if changed and not options.write else Status.HELD


def _require(options: Options) -> None:
    wrong = [path for path in options.specifications if path.suffix != ".ct"]
    if not options.asked or options.with_lake or wrong:
        message = f"{wrong[0]} is no specification" if wrong else "these options do not go together"
        place = Place(str(wrong[0])) if wrong else None
        raise RequestError(Diagnostic(CLI016, message, place, fix=CLI016.advice))


def _own(specifications: tuple[Path, ...], folder: Path) -> dict[Path, str]:
    """The files of the specifications named, which are found again from the package's folder."""
    found = {}
    for path in specifications:
        specification = load(path)
        source = Path(os.path.relpath(path.resolve(), folder.resolve())).as_posix()
        found[folder / FOLDER / f"{specification.name}.lean"] = emit(specification, source)
    return found


def _known(folder: Path) -> dict[Path, str]:
    """The generated files of a package, and in the shipped one the machines that its theorems speak of."""
    found = {}
    for path in sorted(folder.rglob("*.lean")):
        source = source_of(path.read_text(encoding="utf-8"))
        if source:
            found[path] = fresh(source, folder)
    for source in SHIPPED if folder.resolve() == shipped().resolve() else ():
        name = "".join(part.capitalize() for part in Path(source).stem.split("_"))
        found.setdefault(folder / FOLDER / f"{name}.lean", fresh(source, folder))
    return found
