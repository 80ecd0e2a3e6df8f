"""The files that a manifest names: read from its folder, and from nowhere else.

Rules this module keeps:

- a path is followed through symbolic links first, and refused when it then lies outside the folder;
- only regular files are read, and never more of them than a limit allows;
- nothing is imported, run or written.
"""

from __future__ import annotations

import errno
import json
import os
import stat
from collections.abc import Collection, Iterator, Mapping
from importlib import resources
from importlib.machinery import all_suffixes
from pathlib import Path
from typing import Any, Final

from certify.manifest import consistency, rules
from certify.manifest.consistency import Problem, leaves_folder
from certify_spec.diagnostics import Rule

MAX_PROOF_BYTES: Final = 16 * 2**20
"""A proof bundle is at most so large."""
MAX_FIXTURE_BYTES: Final = 8 * 2**20
"""A fixture is at most so large."""


class Refused(Exception):
    """A file cannot be used; `rule`, `message` and `fix` say why and what now."""

    def __init__(self, rule: Rule, message: str, fix: str) -> None:
        super().__init__(message)
        self.rule = rule
        self.message = message
        self.fix = fix


def read_inside(root: Path, relative: str, limit: int) -> bytes:
    """The content of a regular file in the folder `root`.

    Args:
        root: the folder.
        relative: the file's path within it, with forward slashes.
        limit: the most bytes it may have.

    Raises:
        Refused: it leaves the folder, is not there, is no regular file, may not be read, or is too large.
    """
    real = inside(root, relative)
    try:
        content = read_regular(real, limit + 1)
    except OSError as error:
        raise Refused(rules.NO_FILE, _why(relative, error), "create the file, or correct the path") from None
    if len(content) > limit:
        raise Refused(rules.TOO_MUCH, f"{relative} has more than {limit} bytes", "make it smaller")
    return content


def read_regular(path: Path, limit: int) -> bytes:
    """The first `limit` bytes of a regular file; a pipe or a device is never waited for.

    Raises:
        OSError: it is not there, may not be read, or is no regular file.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        mode = os.fstat(descriptor).st_mode
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if not stat.S_ISREG(mode):
            raise OSError(errno.EINVAL, "it is no regular file")
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            return file.read(limit)
    finally:
        os.close(descriptor)


def _why(relative: str, error: OSError) -> str:
    if error.errno == errno.ENOENT:
        return f"there is no file {relative}"
    if error.errno == errno.EISDIR:
        return f"{relative} is a folder"
    return f"{relative} cannot be read: {(error.strerror or 'unknown reason').lower()}"


def inside(root: Path, relative: str) -> Path:
    """Where `relative` really lies, links followed; it may not exist.

    Raises:
        Refused: outside the folder `root`.
    """
    if why := leaves_folder(relative):
        raise Refused(rules.OUTSIDE, f"the path {relative!r} {why}", "write a path below the manifest's folder")
    try:
        home = root.resolve()
        real = (root / relative).resolve()
    except (OSError, RuntimeError):
        raise Refused(rules.OUTSIDE, f"{relative} is a symbolic link to itself", "replace the link") from None
    if not real.is_relative_to(home):
        fix = "copy the file into the folder instead of linking to it"
        raise Refused(rules.OUTSIDE, f"{relative} is a symbolic link that leaves the manifest's folder", fix)
    return real


def module_files(root: Path, module: str) -> tuple[str, ...]:
    """The files in `root` that importing `module` may execute for its last name; empty when it is not there.

    A package and a plain module, source, byte code and native code of the same name may all be there: Python takes one
    of them, and which one depends on its version, so all are listed.
    """
    base = module.replace(".", "/")
    names = [f"{base}/__init__{suffix}" for suffix in all_suffixes()] + [f"{base}{suffix}" for suffix in all_suffixes()]
    return tuple(name for name in names if (root / name).is_file())


def parse_json(content: bytes) -> Any:
    """The one JSON value (RFC 8259) in `content`.

    Raises:
        json.JSONDecodeError: with the place, where it is known; else a ValueError: not UTF-8, a name twice in an
            object, a number that JSON does not have, or too deep.
    """
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        line, start = content.count(b"\n", 0, error.start) + 1, content.rfind(b"\n", 0, error.start) + 1
        raise ValueError(f"not UTF-8 on line {line}, byte {error.start - start + 1}") from None
    try:
        return json.loads(text, object_pairs_hook=_without_doubles, parse_constant=_no_constant)
    except RecursionError:
        raise ValueError("it nests too deep") from None


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"the name {next(n for n in names if names.count(n) > 1)!r} is in an object twice")
    return members


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON number")


def of_files(manifest: Mapping[str, Any], root: Path) -> Iterator[Problem]:
    """Every file that the manifest names is in its folder, and every fixture is JSON."""
    for i, fixture in enumerate(consistency.tables(manifest, "fixture")):
        for name in ("input", "output"):
            if isinstance(path := fixture.get(name), str):
                yield from _of_fixture(("fixture", i, name), path, root)
    for i, proof in enumerate(consistency.tables(manifest, "proof")):
        if isinstance(path := proof.get("file"), str):
            yield from _of_proof(("proof", i, "file"), path, root)
    node = consistency.table(manifest, "node")
    yield from _of_module(("node", "entry"), node.get("entry"), root)
    for i, resource in enumerate(consistency.tables(manifest, "resource")):
        yield from _of_module(("resource", i, "simulator"), resource.get("simulator"), root)


def _of_fixture(path: consistency.Path, file: str, root: Path) -> Iterator[Problem]:
    try:
        content = read_inside(root, file, MAX_FIXTURE_BYTES)
    except Refused as refused:
        yield Problem(refused.rule, path, refused.message, fix=refused.fix)
        return
    try:
        parse_json(content)
    except json.JSONDecodeError as error:
        place = (file, error.lineno, error.colno)
        message = f"{file} is not JSON: {error.msg[:1].lower()}{error.msg[1:]}"
        yield Problem(rules.NOT_JSON, path, message, fix="correct the file there", elsewhere=place)
    except ValueError as error:
        reason = "a number has too many digits" if "digits" in str(error) else str(error)
        message = f"{file} is not JSON: {reason}"
        yield Problem(rules.NOT_JSON, path, message, fix="correct the file", elsewhere=(file, 1, 1))


def _of_proof(path: consistency.Path, file: str, root: Path) -> Iterator[Problem]:
    try:
        read_inside(root, file, MAX_PROOF_BYTES)
    except Refused as refused:
        yield Problem(refused.rule, path, refused.message, fix=refused.fix)


def _of_module(path: consistency.Path, named: object, root: Path) -> Iterator[Problem]:
    if not isinstance(named, str) or ":" not in named:
        return
    module = named.partition(":")[0]
    if not all(part.isidentifier() for part in module.split(".")):
        return
    files = module_files(root, module)
    if not files:
        yield Problem(
            rules.NO_MODULE,
            path,
            f"there is no module `{module}` in the manifest's folder",
            fix=f"create {module.replace('.', '/')}.py, or correct the name",
        )
    for file in files:
        try:
            inside(root, file)
        except Refused as refused:
            yield Problem(refused.rule, path, refused.message, fix=refused.fix)


def shipped_patterns() -> tuple[str, ...]:
    """Names of the pattern specs that this release ships."""
    folder = resources.files("certify_spec").joinpath("patterns")
    if not folder.is_dir():
        return ()
    return tuple(sorted(file.name[:-3] for file in folder.iterdir() if file.name.endswith(".ct")))


def of_patterns(manifest: Mapping[str, Any], known: Collection[str]) -> Iterator[Problem]:
    """Every pattern is one of those `known`."""
    for i, pattern in enumerate(consistency.tables(manifest, "pattern")):
        spec = pattern.get("spec")
        if isinstance(spec, str) and spec not in known:
            close = consistency.nearest(spec, known)
            shipped = f"shipped are {', '.join(known)}" if known else "this release ships none"
            fix = f"did you mean {close}?" if close else "use one of these, or remove the pattern"
            yield Problem(rules.PATTERN, ("pattern", i, "spec"), f"no pattern is called {spec!r}", shipped, fix)
