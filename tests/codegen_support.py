"""Generated code for tests: the shipped patterns as candidates and as modules that can be imported."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from types import ModuleType

from certify_codegen.generate import Module, Options, Proved, module, package
from certify_codegen.patterns import CONVENTIONS
from certify_spec import model as m
from certify_spec.loader import Loader, shipped

SPECS = {path.stem: path for path in shipped() if path.parent.name == "patterns"}


@cache
def specification(name: str) -> m.Specification:
    """A shipped pattern's specification."""
    return Loader().load(SPECS[name])


@cache
def generated(name: str, *, asynchronous: bool = True) -> Module:
    """A shipped pattern's module; what is proved of it elsewhere is taken for granted."""
    return module(Proved(specification(name), "blake3:0"), Options(asynchronous=asynchronous))


def names() -> list[str]:
    """The shipped patterns that code can be generated from."""
    return [name for name in SPECS if specification(name).name in CONVENTIONS]


def write_package(folder: Path, *, asynchronous: bool = True, only: Sequence[str] = ()) -> None:
    """Write a package with the patterns into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    modules = [generated(name, asynchronous=asynchronous) for name in only or names()]
    proofs = {each.convention.machine: "blake3:0" for each in modules}
    for name, text in package(modules, Options(asynchronous=asynchronous), proofs).items():
        (folder / name).write_text(text, encoding="utf-8")


def import_package(folder: Path) -> ModuleType:
    """Import a package that was written into a folder, and leave the import path as it was."""
    sys.path.insert(0, str(folder.parent))
    try:
        return importlib.import_module(folder.name)
    finally:
        sys.path.remove(str(folder.parent))
