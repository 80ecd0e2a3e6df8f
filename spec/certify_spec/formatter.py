"""One way to lay a specification out.

Rules this module keeps:

- the tokens, comments included, and the line breaks stay as they are; only blank space changes;
- formatting what is formatted changes nothing;
- neighbouring one-line `param` and `var` declarations stand in columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from certify_spec import parser
from certify_spec.diagnostics import RequestError, Severity
from certify_spec.parser import MODIFIERS, STARTERS
from certify_spec.tokens import Token, tokenize

INDENT: Final = 2

_OPENERS: Final = frozenset(("LPAR", "LSQB", "LBRACE"))
_CLOSERS: Final = frozenset(("RPAR", "RSQB", "RBRACE"))
_TIGHT_BEFORE: Final = frozenset(("RPAR", "RSQB", "COMMA", "SEMICOLON", "DOT", "PRIME"))
_TIGHT_AFTER: Final = frozenset(("LPAR", "LSQB", "DOT"))
_ENDS_OPERAND: Final = frozenset(("NAME", "NUMBER", "RPAR", "RSQB", "PRIME", "TRUE", "FALSE", "STRING"))
_COLUMNED: Final = {"PARAM": "param", "VAR": "var", "GHOST": "var"}


@dataclass(slots=True)
class _Line:
    """One line of the output.

    Attributes:
        cells: its text, cut where columns begin.
        indent: how far it is indented.
        blank_before: whether an empty line stands before it.
        group: which lines it stands in columns with; empty for none.
        comment: the comment at its end.
    """

    cells: list[str] = field(default_factory=lambda: [""])
    indent: int = 0
    blank_before: bool = False
    group: str = ""
    comment: str = ""


def format_text(text: str, path: str = "spec.ct") -> str:
    """The text, laid out.

    Raises:
        RequestError: the text has syntax errors.
    """
    _, diagnostics = parser.parse(text, path)
    errors = [diagnostic for diagnostic in diagnostics if diagnostic.severity is Severity.ERROR]
    if errors:
        raise RequestError(*errors)
    tokens, _ = tokenize(text, path)
    result = _render(_lines(tokens))
    assert [(t.kind, t.text) for t in tokenize(result, path)[0]] == [(t.kind, t.text) for t in tokens]
    return result


class _Layout:
    """Where a token stands: how deep in brackets, and in what part of its declaration."""

    def __init__(self) -> None:
        self.depth = 0
        self.head_colon_seen = False
        self.previous: Token | None = None
        self.before_previous: Token | None = None

    def begins_declaration(self, token: Token) -> bool:
        after_modifier = self.previous is not None and self.previous.kind in MODIFIERS
        return self.depth == 0 and token.kind in STARTERS and not after_modifier

    def move(self, token: Token) -> None:
        self.depth += (token.kind in _OPENERS) - (token.kind in _CLOSERS)
        self.before_previous, self.previous = self.previous, token


def _lines(tokens: Sequence[Token]) -> list[_Line]:
    lines: list[_Line] = []
    layout = _Layout()
    for position, token in enumerate(tokens):
        before = tokens[position - 1] if position else None
        if before is None or token.line != before.line:
            line = _Line(blank_before=before is not None and token.line > before.line + 1)
            line.indent = _indent(tokens, position, layout)
            lines.append(line)
        _place(token, lines[-1], layout)
    _keep_whole(lines)
    return lines


def _place(token: Token, line: _Line, layout: _Layout) -> None:
    if token.kind == "COMMENT":
        if line.cells == [""]:
            line.cells[-1] = token.text
        else:
            line.comment = token.text
        return
    if layout.begins_declaration(token):
        layout.head_colon_seen = False
        if line.cells == [""]:
            line.group = _COLUMNED.get(token.kind, "")
        else:
            line.group = ""
    if token.kind == "ACTION":
        layout.head_colon_seen = True  # an action has no colon of its own: one in its guard belongs to a quantifier
    head = token.kind == "COLON" and layout.depth == 0 and not layout.head_colon_seen
    column = bool(line.group) and (head or (layout.depth == 0 and token.kind in ("WHERE", "IS_DEFINED")))
    space = " " if line.cells != [""] and (head or _space_before(token, layout)) else ""
    if head:
        layout.head_colon_seen = True
    if column:
        line.cells.append(space.lstrip() + token.text)
    else:
        line.cells[-1] += space + token.text
    layout.move(token)


def _space_before(token: Token, layout: _Layout) -> bool:
    previous = layout.previous
    if previous is None or token.kind in _TIGHT_BEFORE or previous.kind in _TIGHT_AFTER:
        return False
    if token.kind == "COLON":
        return False
    if token.kind in ("LPAR", "LSQB"):
        called = previous.kind in ("NAME", "RPAR", "RSQB", "PRIME", "FN")
        return not called
    return not (previous.kind == "MINUS" and _is_sign(layout))


def _is_sign(layout: _Layout) -> bool:
    before = layout.before_previous
    return before is None or before.kind not in _ENDS_OPERAND


def _indent(tokens: Sequence[Token], position: int, layout: _Layout) -> int:
    token = tokens[position]
    if token.kind == "COMMENT":
        following = next((t for t in tokens[position:] if t.kind != "COMMENT"), None)
        if following is None or layout.begins_declaration(following):
            return 0
        token = following
    elif layout.begins_declaration(token):
        return 0
    depth = layout.depth - (token.kind in _CLOSERS)
    return INDENT * depth if layout.depth else INDENT


def _keep_whole(lines: list[_Line]) -> None:
    """Columns are for declarations that are one line each."""
    for line, following in zip(lines, [*lines[1:], _Line()], strict=True):
        if line.group and following.indent:
            _flatten(line)


def _flatten(line: _Line) -> None:
    line.cells = [" ".join(line.cells)]
    line.group = ""


def _render(lines: list[_Line]) -> str:
    output: list[str] = []
    position = 0
    while position < len(lines):
        block = [lines[position]]
        while (
            position + len(block) < len(lines)
            and block[0].group
            and lines[position + len(block)].group == block[0].group
            and not lines[position + len(block)].blank_before
        ):
            block.append(lines[position + len(block)])
        if block[0].blank_before:
            output.append("")
        output += _in_columns(block)
        position += len(block)
    return "\n".join(output) + "\n" if output else ""


def _in_columns(block: Sequence[_Line]) -> list[str]:
    """The lines of a block: the first columns as wide as the widest, the last and its comment as they come."""
    texts = [line.cells[0] for line in block]
    for column in range(1, max(len(line.cells) for line in block)):
        width = max(
            len(text) for text, line in zip(texts, block, strict=True) if len(line.cells) > column or column == 1
        )
        texts = [
            f"{text:<{width}} {line.cells[column]}" if len(line.cells) > column else text
            for text, line in zip(texts, block, strict=True)
        ]
    commented = [text for text, line in zip(texts, block, strict=True) if line.comment]
    width = max(map(len, commented), default=0)
    return [
        " " * line.indent + (f"{text:<{width}}  {line.comment}" if line.comment else text)
        for text, line in zip(texts, block, strict=True)
    ]
