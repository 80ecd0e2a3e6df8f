"""Reading `node.toml`: a manifest, or everything that is wrong with it, each with file, line and column.

Rules this module keeps:

- all problems are found in one reading; only a file that cannot be read, is no TOML or has another schema stops short;
- a fault has one diagnostic, at the words that are wrong;
- files are read and nothing else: the node is not imported.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from certify import codec
from certify.manifest import consistency, errors, files, positions, rules
from certify.manifest.consistency import At, Problem
from certify.manifest.model import Manifest
from certify.manifest.positions import Positions
from certify_spec.diagnostics import Diagnostic, Edit, Note, Place, RequestError, Rule, in_order

SCHEMA: Final = 1
"""The version of the manifest's schema that this release reads."""
MAX_BYTES: Final = 2**20
"""A manifest is at most so large."""


def load(path: Path) -> Manifest:
    """The manifest in the file `path`, read and checked together with the files that it names.

    Raises:
        RequestError: with every problem (codes MAN001 …), in the order of the file.
    """
    return parse(read(path), path)


def parse(content: bytes, path: Path) -> Manifest:
    """The manifest in `content`, as if it stood in the file `path`.

    Raises:
        RequestError: as `load`.
    """
    text = _text(content, path)
    places = _index(text, path)
    document = _toml(text, places, path)
    _demand_schema(document, places, path)
    manifest, found = _validate(document)
    found += consistency.of_manifest(document)
    found += files.of_files(document, path.parent)
    found += files.of_patterns(document, files.shipped_patterns())
    diagnostics = [_diagnostic(problem, places, path) for problem in _one_each(found)]
    if "schema" not in document:
        diagnostics.append(_no_schema(document, path))
    if manifest is None or diagnostics:
        raise RequestError(*in_order(diagnostics))
    return manifest


def _text(content: bytes, path: Path) -> str:
    if len(content) > MAX_BYTES:
        raise _stop(rules.TOO_BIG, path, f"the manifest has more than {MAX_BYTES} bytes", "move data into fixtures")
    if content.startswith(b"\xef\xbb\xbf"):
        raise _stop(
            rules.NOT_TEXT, path, "the manifest begins with a byte order mark", 'save it as "UTF-8 without BOM"'
        )
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        before = content[: error.start]
        line, column = before.count(b"\n") + 1, len(before[before.rfind(b"\n") + 1 :].decode("utf-8")) + 1
        message = f"the byte 0x{content[error.start]:02x} here is not UTF-8"
        raise _stop(rules.NOT_TEXT, path, message, "save the file as UTF-8", (line, column)) from None


def read(path: Path) -> bytes:
    """The bytes of a manifest, at most one more than `MAX_BYTES`.

    Raises:
        RequestError: it is not there, is no regular file, or may not be read (MAN001).
    """
    try:
        return files.read_regular(path, MAX_BYTES + 1)
    except IsADirectoryError:
        fix = f"name a manifest in it, such as {path / 'node.toml'}"
        raise _stop(rules.UNREADABLE, path, "this is a folder, not a manifest", fix) from None
    except FileNotFoundError:
        fix = "correct the path, or write one with `certify init MODULE:FUNCTION`"
        raise _stop(rules.UNREADABLE, path, "there is no such file", fix) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise _stop(rules.UNREADABLE, path, f"the file cannot be read: {reason.lower()}", "correct the path") from None


def _stop(rule: Rule, path: Path, message: str, fix: str, at: tuple[int, int] = (0, 0)) -> RequestError:
    return RequestError(Diagnostic(rule, message, Place(str(path), *at), fix=fix))


def _index(text: str, path: Path) -> Positions:
    try:
        return positions.index(text)
    except positions.TooDeep as error:
        message = f"the manifest nests more than {positions.MAX_DEPTH} deep here"
        raise _stop(rules.TOO_BIG, path, message, "flatten it", (error.line, error.column)) from None


def _toml(text: str, places: Positions, path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        message, line, column = _syntax(str(error), text)
        raise _stop(rules.SYNTAX, path, message, "correct it here", (line, column)) from None
    except (ValueError, RecursionError):
        place = next(_unreadable_numbers(text, places), (1, 1))
        message = "this number has more digits than can be read"
        raise _stop(rules.SYNTAX, path, message, "write a smaller number", place) from None


def _syntax(message: str, text: str) -> tuple[str, int, int]:
    """The message of `tomllib` and the place that it ends with."""
    match = re.fullmatch(r"(.*) \(at (?:line (\d+), column (\d+)|end of document)\)", message, re.DOTALL)
    if match is None:
        return message, 1, 1
    if match[2]:
        return match[1], int(match[2]), int(match[3])
    lines = text.split("\n")
    return f"{match[1]} at the end of the file", len(lines), len(lines[-1]) + 1


def _unreadable_numbers(text: str, places: Positions) -> Iterator[tuple[int, int]]:
    lines = text.replace("\r\n", "\n").split("\n")
    for span in places.values.values():
        if span.line == span.end_line:
            try:
                tomllib.loads(f"value = {lines[span.line - 1][span.column - 1 : span.end_column - 1]}")
            except ValueError:
                yield span.line, span.column


def _demand_schema(document: Mapping[str, Any], places: Positions, path: Path) -> None:
    """Another schema has other fields: nothing more can be said of it."""
    if "schema" not in document:
        return
    schema = document["schema"]
    if type(schema) is int and schema == SCHEMA:
        return
    newer = type(schema) is int and schema > SCHEMA
    raise RequestError(
        Diagnostic(
            rules.SCHEMA,
            f"the schema is {errors.describe(schema)}, and this release reads schema {SCHEMA}",
            places.value(("schema",)).within(str(path)),
            fix="install a newer release of certify" if newer else f"write `schema = {SCHEMA}`",
        )
    )


def _no_schema(document: Mapping[str, Any], path: Path) -> Diagnostic:
    misplaced = next((name for name, table in document.items() if isinstance(table, dict) and "schema" in table), None)
    start = Place(str(path), 1, 1, 1, 1)
    return Diagnostic(
        rules.SCHEMA,
        f"the manifest does not say which schema it follows; this release reads schema {SCHEMA}",
        start,
        because=f"`schema` stands in [{misplaced}], and belongs above every table" if misplaced else "",
        fix=f"write `schema = {SCHEMA}` as the first line",
        edit=Edit(start, f"schema = {SCHEMA}\n"),
    )


def _validate(document: Mapping[str, Any]) -> tuple[Manifest | None, list[Problem]]:
    found = list(_not_carried(document, ()))
    # JSON, because there pydantic is strict about types and still takes text for enumerations and lists for tuples
    try:
        return Manifest.model_validate_json(json.dumps(document, default=str), strict=True), found
    except ValidationError as error:
        return None, [*found, *errors.problems(error.errors(include_url=False), document)]


def _not_carried(value: object, path: consistency.Path) -> Iterator[Problem]:
    """What has no canonical encoding cannot go into evidence, wherever it stands."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _encodable(name, (*path, name), At.KEY)
            yield from _not_carried(inner, (*path, name))
    elif isinstance(value, list):
        for i, inner in enumerate(value):
            yield from _not_carried(inner, (*path, i))
    else:
        yield from _encodable(value, path, At.VALUE)


def _encodable(value: object, path: consistency.Path, at: At) -> Iterator[Problem]:
    try:
        codec.encode(value)
    except codec.EncodingError as error:
        message = f"evidence cannot carry {errors.describe(value)}"
        yield Problem(rules.NOT_CARRIED, path, message, because=error.reason, fix=error.fix, at=at)


def _one_each(found: Iterable[Problem]) -> Iterator[Problem]:
    """Without what repeats another problem: a value is at fault once, for the first thing that is wrong with it."""
    seen: dict[tuple[object, ...], Problem] = {}
    for problem in found:
        whole = (problem.path, problem.at) if problem.at is At.VALUE else (problem.path, problem.at, problem.message)
        seen.setdefault(whole, problem)
    yield from seen.values()


def _diagnostic(problem: Problem, places: Positions, path: Path) -> Diagnostic:
    file = str(path)
    spot = {At.KEY: places.key, At.VALUE: places.value, At.TABLE: places.table}
    here = spot[problem.at](problem.path).within(file)
    notes = [Note(remark, places.value(where).within(file)) for where, remark in problem.related]
    place = here
    if problem.elsewhere is not None:
        name, line, column = problem.elsewhere
        place = Place(str(path.parent / name), line, column)
        notes.insert(0, Note("the manifest names the file here", here))
    return Diagnostic(problem.rule, problem.message, place, problem.because, problem.fix, tuple(notes))
