"""Where each key, table and value of a TOML document stands.

`tomllib` reads TOML and forgets the places; this index remembers them. It judges nothing: a document that `tomllib`
accepts is indexed in full, and of any other document as much as comes before its first error.

Rules this module keeps:

- lines and columns count from 1, columns in characters; ends are exclusive;
- the text is read once, in linear time, and nests at most `MAX_DEPTH` deep, so that it can be scanned before any
  other parser sees it.
"""

from __future__ import annotations

import contextlib
import re
import tomllib
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from certify_spec.diagnostics import Place

MAX_DEPTH: Final = 32
"""Keys, arrays and inline tables may nest this deep."""

Path = tuple[str | int, ...]


class TooDeep(ValueError):
    """The document nests deeper than `MAX_DEPTH`; `line` and `column` say where."""

    def __init__(self, line: int, column: int) -> None:
        super().__init__(f"nested more than {MAX_DEPTH} deep")
        self.line = line
        self.column = column


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of text: line and column of its first character, and of the one after its last."""

    line: int
    column: int
    end_line: int
    end_column: int

    def within(self, file: str) -> Place:
        """The same stretch, as a place in `file`."""
        return Place(file, self.line, self.column, self.end_line, self.end_column)


_START: Final = Span(1, 1, 1, 1)


@dataclass(frozen=True, slots=True)
class Positions:
    """Spans by path; a path holds keys, and indices of arrays.

    Attributes:
        keys: of each key, where it is first written; for a table of an array, its header.
        values: of each value that is written as one: scalars, arrays, inline tables.
        tables: of each header, brackets included.
    """

    keys: Mapping[Path, Span] = field(default_factory=dict)
    values: Mapping[Path, Span] = field(default_factory=dict)
    tables: Mapping[Path, Span] = field(default_factory=dict)

    def key(self, path: Path) -> Span:
        """Where the key of `path` is written, or else the nearest thing around it."""
        return self._nearest(path, self.keys, self.tables, self.values)

    def value(self, path: Path) -> Span:
        """Where the value at `path` is written, or else the nearest thing around it."""
        return self._nearest(path, self.values, self.tables, self.keys)

    def table(self, path: Path) -> Span:
        """The header of the table at `path`, or else the nearest thing around it; the document starts at 1:1."""
        return self._nearest(path, self.tables, self.values, self.keys)

    def _nearest(self, path: Path, *indices: Mapping[Path, Span]) -> Span:
        for length in range(len(path), 0, -1):
            for index in indices:
                if (span := index.get(path[:length])) is not None:
                    return span
        return _START


def index(text: str) -> Positions:
    """The places in a TOML document.

    Raises:
        TooDeep: it nests deeper than `MAX_DEPTH`.
    """
    scanner = _Scanner(text.replace("\r\n", "\n"))
    with contextlib.suppress(_NotToml):
        scanner.document()
    return Positions(scanner.keys, scanner.values, scanner.tables)


class _NotToml(Exception):
    """The text is not TOML from here on; `tomllib` says why."""


@dataclass(frozen=True, slots=True)
class _Key:
    name: str
    start: int
    end: int


_BLANK: Final = re.compile(r"(?:[ \t\n]+|#[^\n]*)*+")
_SPACE: Final = re.compile(r"[ \t]*")
_BARE_KEY: Final = re.compile(r"[A-Za-z0-9_-]+")
_BASIC: Final = re.compile(r'"(?:[^"\\\n]|\\[^\n])*+"')
_LITERAL: Final = re.compile(r"'[^'\n]*'")
_LONG_BASIC: Final = re.compile(r'"""(?:[^"\\]|\\.|"{1,2}(?!"))*+"{3,5}', re.DOTALL)
_LONG_LITERAL: Final = re.compile(r"'''(?:[^']|'{1,2}(?!'))*+'{3,5}")
_SCALAR: Final = re.compile(r"[^,\]}#\n]+")


class _Scanner:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.lines = [0, *(match.end() for match in re.finditer("\n", text))]
        self.keys: dict[Path, Span] = {}
        self.values: dict[Path, Span] = {}
        self.tables: dict[Path, Span] = {}
        self.lengths: dict[Path, int] = {}

    def document(self) -> None:
        table: Path = ()
        while self._blank() < len(self.text):
            if self.text.startswith("[", self.at):
                table = self._header()
            else:
                self._pair(table)

    def _header(self) -> Path:
        start = self.at
        brackets = 2 if self.text.startswith("[[", start) else 1
        self.at += brackets
        keys = self._dotted()
        self._expect("]" * brackets)
        span = self._span(start, self.at)
        path = self._through(keys[:-1])
        path = (*path, keys[-1].name)
        self.keys.setdefault(path, self._span(keys[-1].start, keys[-1].end))
        if brackets == 2:
            count = self.lengths.get(path, 0)
            self.lengths[path] = count + 1
            self.tables.setdefault(path, span)
            path = (*path, count)
        self.tables[path] = span
        return path

    def _through(self, keys: list[_Key]) -> Path:
        """The path of a header's leading keys: an array of tables means its last table."""
        path: Path = ()
        for key in keys:
            path = (*path, key.name)
            self.keys.setdefault(path, self._span(key.start, key.end))
            if path in self.lengths:
                path = (*path, self.lengths[path] - 1)
        return path

    def _pair(self, table: Path) -> None:
        path = table
        for key in self._dotted(len(table)):
            path = (*path, key.name)
            self.keys.setdefault(path, self._span(key.start, key.end))
        self._expect("=")
        self._spaces()
        self._value(path)

    def _value(self, path: Path) -> None:
        if len(path) > MAX_DEPTH:
            raise TooDeep(*self._place(self.at))
        start = self.at
        if self.text.startswith("[", start):
            self._array(path)
        elif self.text.startswith("{", start):
            self._inline(path)
        else:
            self._scalar()
        self.values[path] = self._span(start, self.at)

    def _array(self, path: Path) -> None:
        self.at += 1
        count = 0
        while not self._closes("]"):
            self._value((*path, count))
            count += 1
            self._blank()
            if not self.text.startswith(",", self.at):
                self._expect("]")
                return
            self.at += 1

    def _inline(self, path: Path) -> None:
        self.at += 1
        while not self._closes("}"):
            self._pair(path)
            self._blank()
            if not self.text.startswith(",", self.at):
                self._expect("}")
                return
            self.at += 1

    def _closes(self, bracket: str) -> bool:
        self._blank()
        if not self.text.startswith(bracket, self.at):
            return False
        self.at += 1
        return True

    def _scalar(self) -> None:
        for quote, pattern in (('"""', _LONG_BASIC), ("'''", _LONG_LITERAL), ('"', _BASIC), ("'", _LITERAL)):
            if self.text.startswith(quote, self.at):
                self._match(pattern)
                return
        match = _SCALAR.match(self.text, self.at)
        if match is None:
            raise _NotToml
        self.at += len(match[0].rstrip(" \t\r"))

    def _dotted(self, depth: int = 0) -> list[_Key]:
        keys = [self._key()]
        while self.text.startswith(".", self._spaces()):
            self.at += 1
            if depth + len(keys) >= MAX_DEPTH:
                raise TooDeep(*self._place(self.at))
            keys.append(self._key())
        return keys

    def _key(self) -> _Key:
        start = self._spaces()
        quoted = {'"': _BASIC, "'": _LITERAL}.get(self.text[start : start + 1])
        self._match(quoted or _BARE_KEY)
        written = self.text[start : self.at]
        return _Key(_unquoted(written) if quoted else written, start, self.at)

    def _match(self, pattern: re.Pattern[str]) -> None:
        match = pattern.match(self.text, self.at)
        if match is None:
            raise _NotToml
        self.at = match.end()

    def _expect(self, sign: str) -> None:
        self._spaces()
        if not self.text.startswith(sign, self.at):
            raise _NotToml
        self.at += len(sign)

    def _spaces(self) -> int:
        self._match(_SPACE)
        return self.at

    def _blank(self) -> int:
        self._match(_BLANK)
        return self.at

    def _span(self, start: int, end: int) -> Span:
        return Span(*self._place(start), *self._place(end))

    def _place(self, offset: int) -> tuple[int, int]:
        line = bisect_right(self.lines, offset)
        return line, offset - self.lines[line - 1] + 1


def _unquoted(written: str) -> str:
    try:
        value = tomllib.loads(f"key = {written}")["key"]
    except tomllib.TOMLDecodeError:
        raise _NotToml from None
    return str(value)
