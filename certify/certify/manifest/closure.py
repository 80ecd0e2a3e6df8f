"""The node's own modules: which files of its folder decide what it does.

Static imports are followed from the entry point, the simulators and the declared types. Python can import in ways that
no reading of the text reveals; where a module shows a sign of that, every module of the folder counts.

Rules this module keeps:

- too many files are safe, one too few is not: whatever is in doubt belongs to the node;
- nothing is imported or run;
- a link that leaves the folder is refused.
"""

from __future__ import annotations

import ast
import os
import warnings
from collections.abc import Callable, Iterator
from importlib.machinery import SOURCE_SUFFIXES, all_suffixes
from pathlib import Path
from typing import Final

from certify.manifest.files import inside, module_files
from certify.manifest.model import Manifest

Read = Callable[[str], bytes]

#: Modules through which other modules can be imported, code be made from data, or another interpreter be started.
_IMPORTERS: Final = frozenset({
    "builtins", "cffi", "code", "codeop", "ctypes", "imp", "importlib", "marshal", "multiprocessing", "pickle",
    "pkg_resources", "pkgutil", "pydoc", "runpy", "shelve", "site", "subprocess", "unittest", "zipimport",
})  # fmt: skip
#: Names and attributes that lead to the same.
_DYNAMIC: Final = frozenset({
    "ImportString", "__builtins__", "__dict__", "__globals__", "__import__", "__loader__", "__path__", "__spec__",
    "__subclasses__", "attrgetter", "compile", "dictConfig", "eval", "exec", "fileConfig", "globals", "import_module",
    "import_string", "locals", "meta_path", "methodcaller", "modules", "path_hooks", "path_importer_cache", "popen",
    "system", "vars",
})  # fmt: skip
#: Of those, names that are ordinary where they are attributes: `re.compile`, `frame.eval`.
_ORDINARY_ATTRIBUTES: Final = frozenset({"compile", "eval", "exec", "globals", "locals", "vars"})
#: Of the module `os`: what starts another program.
_STARTERS: Final = ("exec", "fork", "posix_spawn", "spawn")


def closure(manifest: Manifest, root: Path, read: Read) -> frozenset[str]:
    """The paths of the node's own modules, relative to `root`; each has been read with `read`.

    Raises:
        Refused: a link leaves the folder; and whatever `read` raises.
    """
    found = _Closure(root, read)
    for module in _roots(manifest):
        found.add(module)
    if found.dynamic:
        for name in every_module(root):
            found.add_file(name, "")
    return frozenset(found.files)


def _roots(manifest: Manifest) -> Iterator[str]:
    yield manifest.node.entry.partition(":")[0]
    for resource in manifest.resource:
        if resource.simulator:
            yield resource.simulator.partition(":")[0]
    for payload in (manifest.input, manifest.output):
        if payload.type:
            yield payload.type.partition(":")[0]


def every_module(root: Path) -> Iterator[str]:
    """Every file below `root` that Python could import; virtual environments, caches and hidden folders left out.

    Raises:
        Refused: a link to a folder leaves `root`.
    """
    for folder, folders, files in os.walk(root):
        below = Path(folder).relative_to(root)
        for name in list(folders):
            path = Path(folder) / name
            if path.is_symlink():
                inside(root, (below / name).as_posix())
            if name.startswith(".") or name == "__pycache__" or (path / "pyvenv.cfg").exists():
                folders.remove(name)
        folders.sort()
        yield from ((below / name).as_posix() for name in sorted(files) if name.endswith(tuple(all_suffixes())))


class _Closure:
    def __init__(self, root: Path, read: Read) -> None:
        self.root = root
        self.read = read
        self.files: set[str] = set()
        self.modules: set[str] = set()
        self.dynamic = False

    def add(self, module: str) -> bool:
        """Add a module of the folder, its packages, and what they import; whether it is in the folder."""
        there = False
        pending = [module]
        while pending:
            name = pending.pop()
            if name in self.modules:
                there = there or name == module
                continue
            files = module_files(self.root, name)
            if not files and not (self.root / name.replace(".", "/")).is_dir():
                continue
            there = there or name == module
            self.modules.add(name)
            if "." in name:
                pending.append(name.rpartition(".")[0])
            for file in files:
                pending += self.add_file(file, name)
        return there

    def add_file(self, file: str, module: str) -> list[str]:
        """Read one file; the names that it imports, whether they are in the folder or not."""
        if file in self.files:
            return []
        self.files.add(file)
        content = self.read(file)
        if not file.endswith(tuple(SOURCE_SUFFIXES)):
            self.dynamic = True  # native code and byte code import what they like
            return []
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                tree = ast.parse(content)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            self.dynamic = True
            return []
        package = module if Path(file).stem == "__init__" else module.rpartition(".")[0]
        self.dynamic = self.dynamic or _is_dynamic(tree)
        return [name for node in ast.walk(tree) for name in self._imported(node, package)]

    def _imported(self, node: ast.AST, package: str) -> list[str]:
        match node:
            case ast.Import(names=names):
                return [alias.name for alias in names]
            case ast.ImportFrom(module=module, names=names, level=level):
                base = _absolute(module, level, package)
            case _:
                return []
        if base is None:
            return []
        if any(alias.name == "*" for alias in names) and (self.root / base.replace(".", "/")).is_dir():
            self.dynamic = True  # what a star means, the package's `__all__` says when it runs
        return [base, *(f"{base}.{alias.name}".lstrip(".") for alias in names if alias.name != "*")]


def _absolute(module: str | None, level: int, package: str) -> str | None:
    """The full name of what a `from` names; None when it climbs out of the folder."""
    if level == 0:
        return module
    parts = package.split(".") if package else []
    if level > len(parts):
        return None
    base = parts[: len(parts) - level + 1]
    return ".".join([*base, module] if module else base)


def _is_dynamic(tree: ast.AST) -> bool:
    """Whether a module shows any sign of importing what its import statements do not say."""
    return any(_is_sign(node) for node in ast.walk(tree))


def _is_sign(node: ast.AST) -> bool:
    match node:
        case ast.Import(names=names):
            # under another name, `sys` could not be told from anything else that has a `path`
            return any(_leads_anywhere(alias.name) or (alias.name == "sys" and alias.asname) for alias in names)
        case ast.ImportFrom(module=module, names=names):
            if module in {"sys", "os"} and any(_is_name_of(alias.name) or alias.name == "*" for alias in names):
                return True
            return _leads_anywhere(module or "") or any(alias.name in _DYNAMIC for alias in names)
        case ast.Attribute(attr=name, value=owner):
            if name == "path":
                return _is_sys(owner)
            return (
                name in _DYNAMIC - _ORDINARY_ATTRIBUTES
                or name == "sys"
                or (_is_os(owner) and name.startswith(_STARTERS))
            )
        case ast.Name(id=name):
            return name in _DYNAMIC
        case ast.Call(func=ast.Name(id="getattr"), args=[_, ast.Constant(value=str(name)), *_]):
            return _is_name_of(name)
        case ast.Call(func=ast.Name(id="getattr")):
            return True
        case ast.Constant(value=str(text)):
            return text.startswith("__") and text in _DYNAMIC
        case ast.Assign(value=value) | ast.AnnAssign(value=value) | ast.NamedExpr(value=value):
            return isinstance(value, ast.Name) and value.id in {"sys", "os"}
        case _:
            return False


def _leads_anywhere(module: str) -> bool:
    return module.partition(".")[0] in _IMPORTERS


def _is_name_of(name: str) -> bool:
    return name in _DYNAMIC or name in {"path", "sys"} or name.startswith(_STARTERS)


def _is_sys(owner: ast.expr) -> bool:
    return isinstance(owner, ast.Name) and owner.id == "sys"


def _is_os(owner: ast.expr) -> bool:
    return isinstance(owner, ast.Name) and owner.id == "os"
