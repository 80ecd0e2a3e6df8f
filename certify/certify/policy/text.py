"""Cedar text with positions: where each policy stands, and where a syntax error lies.

The engine's messages carry no position. A policy ends at a semicolon outside strings and comments, so the text is cut
there, and a text that does not parse is read token by token: as long as the engine says that its input ended too early,
the tokens so far are right, and the first token for which it says something else is the wrong one.

Rules this module keeps:

- whether text is right is for the engine to say; this module only says where;
- a syntax error costs one parse for each halving of its policy's tokens, and nothing is parsed twice when all is well.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import cedarpy

from certify_spec.diagnostics import Place

_TOKEN: Final = re.compile(
    r"""(?P<space>\s+) | (?P<comment>//[^\n]*) | (?P<string>"(?:\\.|[^"\\])*") | (?P<name>\w+)
      | (?P<operator>==|!=|<=|>=|&&|\|\||::|.)""",
    re.VERBOSE | re.DOTALL,
)
_EARLY: Final = "unexpected end of input"


@dataclass(frozen=True, slots=True)
class Statement:
    """One policy as written.

    Attributes:
        text: from its first annotation to its semicolon.
        place: where it begins; `end_*` is just behind the semicolon.
        offset: index of its first character in the file's text.
    """

    text: str
    place: Place
    offset: int


@dataclass(frozen=True, slots=True)
class SyntaxFault:
    """What the engine says of text that it cannot read, and where."""

    message: str
    place: Place


def statements(text: str, file: str) -> Iterator[Statement]:
    """The policies of a file, in order; what follows the last semicolon is one more when it holds a token."""
    begin = -1
    for token in _TOKEN.finditer(text):
        if token.lastgroup in {"space", "comment"}:
            continue
        if begin < 0:
            begin = token.start()
        if token[0] == ";":
            yield _statement(text, file, begin, token.end())
            begin = -1
    if begin >= 0:
        yield _statement(text, file, begin, len(text.rstrip()))


def fault(statement: Statement, text: str, message: str) -> SyntaxFault:
    """Where in `statement`, which the engine refuses with `message`, the mistake lies.

    Args:
        statement: the policy.
        text: the whole text of the file.
        message: what the engine says.
    """
    ends = [token.end() for token in _TOKEN.finditer(statement.text) if token.lastgroup not in {"space", "comment"}]
    low, high = 0, len(ends)  # the first `low` tokens are a right beginning; the first `high` are refused
    while high - low > 1:
        middle = (low + high) // 2
        if _is_right_beginning(statement.text[: ends[middle - 1]]):
            low = middle
        else:
            high = middle
    if message == _EARLY:
        return SyntaxFault("the policy ends too early", place_at(text, statement.place.file, _end(statement)))
    if high == len(ends) and message != "invalid token" and "unexpected token" not in message:
        return SyntaxFault(message, statement.place)  # only the whole policy is wrong, not one token
    high = _named_token(statement.text, ends, high, message)
    low = high - 1
    wrong = statement.text[: ends[high - 1]]
    start = statement.offset + (ends[low - 1] if low else 0)
    skipped = re.match(r"(?:\s|//[^\n]*(?:\n|$))*", text[start : statement.offset + len(wrong)])
    return SyntaxFault(message, place_at(text, statement.place.file, start + (skipped.end() if skipped else 0)))


def _named_token(text: str, ends: list[int], high: int, message: str) -> int:
    """The token, counting from 1, that the message quotes, at or little before the `high`-th.

    The engine recovers from some mistakes, and complains of them only when it has read a token or two more.
    """
    quoted = re.search(r"unexpected token `(.+)`", message, re.DOTALL)
    for position in range(high, max(0, high - 4), -1):
        if quoted and text[: ends[position - 1]].endswith(quoted[1]):
            return position
    return high


def place_at(text: str, file: str, offset: int, end: int = -1) -> Place:
    """The place of a character, or of the span up to `end`, in a file's text."""
    line, column = _line_and_column(text, offset)
    if end < 0:
        return Place(file, line, column)
    return Place(file, line, column, *_line_and_column(text, end))


def _line_and_column(text: str, offset: int) -> tuple[int, int]:
    return text.count("\n", 0, offset) + 1, offset - (text.rfind("\n", 0, offset) + 1) + 1


def _statement(text: str, file: str, begin: int, end: int) -> Statement:
    return Statement(text[begin:end], place_at(text, file, begin, end), begin)


def _end(statement: Statement) -> int:
    return statement.offset + len(statement.text)


def _is_right_beginning(text: str) -> bool:
    """Whether the engine finds nothing wrong with `text` but that it may end too early."""
    try:
        cedarpy.PolicySet.from_str(text)
    except ValueError as error:
        return str(error) == _EARLY
    return True
