"""From text to the syntax tree, with every syntax error at once.

Rules this module keeps:

- the text is cut at the words that begin a declaration; each piece is parsed alone: one mistake, one declaration;
- nesting is bounded before anything recurses, so no text makes a reader of the tree run out of stack;
- parsing never fails otherwise than by diagnostics.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from pathlib import PurePath
from typing import Any, Final

from lark import Lark, Tree, UnexpectedToken
from lark import Token as LarkToken
from lark.lexer import Lexer, LexerState
from lark.parsers.lalr_interactive_parser import InteractiveParser

from certify_spec import _build, rules
from certify_spec import syntax as s
from certify_spec.diagnostics import Diagnostic, Edit, Note, Place
from certify_spec.tokens import SYMBOLS, Token, tokenize

MAX_NESTING: Final = 100
"""Levels of brackets or of expressions; generous for people, small enough for every recursion over the tree."""

MODIFIERS: Final = frozenset(("FAIR", "STRONG", "ENVIRONMENT", "GHOST"))
STARTERS: Final = MODIFIERS | frozenset(
    [
        "MACHINE",
        "THEORY",
        "ENUM",
        "RECORD",
        "SORT",
        "RELATION",
        "FUNCTION",
        "AXIOM",
        "ASSUME",
        "PARAM",
        "DEFINE",
        "VAR",
        "CLOCK",
        "INIT",
        "ACTION",
        "INVARIANT",
        "LEMMA",
        "ALWAYS",
        "STEP",
        "PROGRESS",
        "REACHABLE",
        "LAW",
        "INSTANCE",
        "REFINES",
    ]
)
_INSIDE_REFINES: Final = frozenset(("PARAM", "VAR", "ACTION"))
_CLOSERS: Final = {"RPAR": "LPAR", "RSQB": "LSQB", "RBRACE": "LBRACE"}
_TEXT_OF: Final = {kind: text for text, kind in SYMBOLS.items()}
_EXPRESSION_STARTS: Final = frozenset(("NAME", "NUMBER", "LPAR", "MINUS", "TRUE", "FALSE"))


class _NoLexer(Lexer):
    """The tokens come from `tokens.py`; lark only asks that a lexer exists."""

    def __init__(self, _configuration: Any) -> None:
        pass

    def lex(self, _lexer_state: LexerState, _parser_state: Any) -> Iterator[LarkToken]:
        """No tokens."""
        return iter(())


@cache
def _grammar() -> Lark:
    """The grammar, built once per process. No file cache: a pickle in a shared folder is an open door."""
    text = resources.files("certify_spec").joinpath("grammar.lark").read_text(encoding="utf-8")
    return Lark(
        text, parser="lalr", start="declaration", lexer=_NoLexer, maybe_placeholders=True, propagate_positions=True
    )


@dataclass(slots=True)
class _Piece:
    """The tokens of one declaration and the brackets open in it."""

    tokens: list[Token] = field(default_factory=list)
    open: list[Token] = field(default_factory=list)
    spoiled: bool = False


def parse(text: str, path: str) -> tuple[s.File, tuple[Diagnostic, ...]]:
    """The syntax tree of a text and everything wrong with its syntax.

    Args:
        text: the whole file.
        path: the file's name as diagnostics shall give it.
    """
    tokens, found = tokenize(text, path)
    diagnostics = list(found)
    declarations: list[s.Declaration] = []
    broken: set[str] = set()
    builder = _build.Builder(path)
    for piece in _pieces([token for token in tokens if token.kind != "COMMENT"], path, diagnostics):
        declaration = None if piece.spoiled else _parse_piece(piece.tokens, path, builder, diagnostics)
        if declaration is None:
            broken |= {token.text for token in piece.tokens if token.kind == "NAME"}
        else:
            declarations.append(declaration)
    header, rest = _header(declarations, broken, path, diagnostics)
    return s.File(path, header, rest, frozenset(broken), text), tuple(diagnostics)


def _pieces(tokens: Sequence[Token], path: str, diagnostics: list[Diagnostic]) -> Iterator[_Piece]:
    piece = _Piece()
    previous = ""
    for token in tokens:
        if token.kind in STARTERS and previous not in MODIFIERS and not _belongs_to_refinement(token, piece):
            if piece.tokens:
                yield _closed(piece, path, diagnostics)
            piece = _Piece()
        piece.tokens.append(token)
        _count_brackets(token, piece, path, diagnostics)
        previous = token.kind
    if piece.tokens:
        yield _closed(piece, path, diagnostics)


def _belongs_to_refinement(token: Token, piece: _Piece) -> bool:
    inside = bool(piece.open) and piece.tokens[0].kind == "REFINES"
    return inside and token.kind in _INSIDE_REFINES and token.column > 1


def _count_brackets(token: Token, piece: _Piece, path: str, diagnostics: list[Diagnostic]) -> None:
    if token.kind in _CLOSERS.values():
        piece.open.append(token)
        if len(piece.open) == MAX_NESTING + 1 and not piece.spoiled:
            piece.spoiled = True
            diagnostics.append(_too_deep(token.place(path), "brackets nest"))
    elif token.kind in _CLOSERS:
        if piece.open and piece.open[-1].kind == _CLOSERS[token.kind]:
            piece.open.pop()
        elif not piece.spoiled:
            piece.spoiled = True
            notes = (
                (Note(f"`{piece.open[-1].text}` is still open here", piece.open[-1].place(path)),) if piece.open else ()
            )
            diagnostics.append(
                Diagnostic(
                    rules.BRACKETS,
                    f"`{token.text}` closes nothing",
                    token.place(path),
                    fix=f"remove it, or open it with `{_TEXT_OF[_CLOSERS[token.kind]]}`",
                    notes=notes,
                )
            )


def _closed(piece: _Piece, path: str, diagnostics: list[Diagnostic]) -> _Piece:
    if piece.open and not piece.spoiled:
        piece.spoiled = True
        opened = piece.open[-1]
        last = piece.tokens[-1].place(path)
        diagnostics.append(
            Diagnostic(
                rules.BRACKETS,
                f"`{opened.text}` is never closed",
                opened.place(path),
                because=f"the declaration ends at line {last.line}",
                fix="close it: " + " ".join(_closer(token) for token in reversed(piece.open)),
            )
        )
    return piece


def _closer(opened: Token) -> str:
    return next(_TEXT_OF[closer] for closer, opener in _CLOSERS.items() if opener == opened.kind)


def _parse_piece(
    tokens: Sequence[Token], path: str, builder: _build.Builder, diagnostics: list[Diagnostic]
) -> s.Declaration | None:
    parser = _grammar().parse_interactive("", start="declaration")
    for position, token in enumerate(tokens):
        try:
            parser.feed_token(_lark_token(token))
        except UnexpectedToken:
            allowed = _allowed_after(tokens[:position])
            diagnostics.append(_unexpected(tokens, position, allowed, path))
            if "$END" not in allowed:
                return None
            break
    try:
        tree = parser.feed_eof(_lark_token(tokens[-1]))  # type: ignore[no-untyped-call]  # lark leaves it so
    except UnexpectedToken:
        diagnostics.append(_unfinished(tokens, parser, path))
        return None
    assert isinstance(tree, Tree)
    if _build.depth(tree) > MAX_NESTING:
        diagnostics.append(_too_deep(tokens[0].place(path), "this declaration nests"))
        return None
    return builder.declaration(tree)


def _allowed_after(tokens: Sequence[Token]) -> frozenset[str]:
    """What may follow these tokens. A parser that has met an error has reduced too much to be asked."""
    parser = _grammar().parse_interactive("", start="declaration")
    for token in tokens:
        parser.feed_token(_lark_token(token))
    return _accepted(parser)


def _accepted(parser: InteractiveParser) -> frozenset[str]:
    return frozenset(parser.accepts())  # type: ignore[no-untyped-call]  # lark leaves it so


def _lark_token(token: Token) -> LarkToken:
    end = token.column + token.width
    return LarkToken(
        token.kind, token.text, 0, line=token.line, column=token.column, end_line=token.line, end_column=end, end_pos=0
    )


def _too_deep(place: Place, what: str) -> Diagnostic:
    return Diagnostic(
        rules.TOO_DEEP, f"{what} more than {MAX_NESTING} levels deep", place, fix="name parts of it with `define`"
    )


def _unexpected(tokens: Sequence[Token], position: int, allowed: frozenset[str], path: str) -> Diagnostic:
    token = tokens[position]
    place = token.place(path)
    close = difflib.get_close_matches(token.text, _words_of(allowed | STARTERS), 1) if token.kind == "NAME" else []
    edit = None
    if close:
        fix = f"did you mean `{close[0]}`?"
        edit = Edit(place, close[0])
    else:
        fix = _hint(token, allowed)
        if token.kind == "IS_DEFINED" and fix:
            edit = Edit(place, ":=" if "ASSIGN" in allowed else "==")
    because = f"expected {_listing(allowed)}"
    if position and token.line != tokens[0].line:
        because += f", to go on with the {_title(tokens)} of line {tokens[0].line}"
    return Diagnostic(rules.UNEXPECTED, f"unexpected `{token.text}`", place, because=because, fix=fix, edit=edit)


def _unfinished(tokens: Sequence[Token], parser: InteractiveParser, path: str) -> Diagnostic:
    last = tokens[-1].place(path)
    place = Place(path, last.line, last.end_column, last.line, last.end_column)
    allowed = _accepted(parser)
    return Diagnostic(
        rules.UNEXPECTED, f"the {_title(tokens)} ends too early", place, because=f"expected {_listing(allowed)}"
    )


def _title(tokens: Sequence[Token]) -> str:
    """How a message names a declaration: its first word and its name."""
    named = next((token.text for token in tokens[1:4] if token.kind == "NAME"), "")
    word = next((token.text for token in tokens if token.kind not in MODIFIERS), tokens[0].text)
    return f"{word} `{named}`" if named else f"`{word}`"


def _hint(token: Token, allowed: frozenset[str]) -> str:
    match token.kind:
        case "IS_DEFINED" if "ASSIGN" in allowed:
            return "an assignment is written `:=`"
        case "IS_DEFINED" if "EQUAL" in allowed:
            return "equality is written `==`"
        case "ASSIGN" if "IS_DEFINED" in allowed:
            return "a start value or a definition is written with `=`"
        case "ARROW" | "YIELDS" if "IMPLIES" in allowed:
            return "an implication is written `implies`"
        case "PLUS" | "MINUS" if "ASSIGN" in allowed:
            return "write the whole new value: `x := x + 1`"
        case "COLON" if "IN" in allowed:
            return "what a binder ranges over is written `x in …`, before `:`"
        case "LBRACE" if "COLON" in allowed:
            return "the formula comes after `:`"
        case _:
            return ""


def _listing(allowed: frozenset[str]) -> str:
    names = sorted(allowed)
    parts: list[str] = []
    if allowed >= _EXPRESSION_STARTS:
        parts.append("an expression")
        names = sorted(allowed - _EXPRESSION_STARTS - {"NOT", "IF", "ALL", "FORALL", "EXISTS", "FN", "LSQB"})
    if "$END" in allowed:
        parts.append("the next declaration")
        names = [name for name in names if name in ("LBRACE", "COLON", "WHERE", "WHEN", "STRING")]
    if len(names) > 8 and "PLUS" in names:
        parts.append("an operator")
        operators = frozenset(
            [
                "PLUS",
                "MINUS",
                "STAR",
                "DIV",
                "MOD",
                "EQUAL",
                "UNEQUAL",
                "LESS",
                "MORE",
                "ATMOST",
                "ATLEAST",
                "IN",
                "IS",
                "NOT",
                "AND",
                "OR",
                "IFF",
                "IMPLIES",
            ]
        )
        names = [n for n in names if n not in operators | {"FALLBACK", "PRIME", "WITH", "DOT", "LPAR", "LSQB"}]
    parts += [_shown(name) for name in names]
    if len(parts) > 8:
        parts = [*parts[:7], "…"]
    return parts[0] if len(parts) == 1 else ", ".join(parts[:-1]) + " or " + parts[-1] if parts else "nothing more"


def _shown(terminal: str) -> str:
    plain = {"NAME": "a name", "NUMBER": "a number", "STRING": "a text in quotes", "IS_DEFINED": "`=`"}
    return plain.get(terminal) or f"`{_TEXT_OF.get(terminal, terminal.lower())}`"


def _words_of(terminals: frozenset[str]) -> list[str]:
    return sorted(
        t.lower() for t in terminals if t.isalpha() and t not in _TEXT_OF and t not in ("NAME", "NUMBER", "STRING")
    )


def _header(
    declarations: list[s.Declaration], broken: set[str], path: str, diagnostics: list[Diagnostic]
) -> tuple[s.Header, tuple[s.Declaration, ...]]:
    headers = [d for d in declarations if isinstance(d, s.Header)]
    rest = tuple(d for d in declarations if not isinstance(d, s.Header))
    start = Place(path, 1, 1)
    if not headers:
        if not any(d.rule is rules.UNEXPECTED and d.place and d.place.line == 1 for d in diagnostics):
            name = PurePath(path).stem.title().replace("_", "") or "Name"
            fix = f"begin the file with `machine {name}`, or `theory {name}` if it has no state"
            diagnostics.append(Diagnostic(rules.HEADER, "the file does not say what it declares", start, fix=fix))
        return s.Header("machine", s.Word("?", start), "", start), rest
    if declarations[0] is not headers[0] and not broken:
        diagnostics.append(
            Diagnostic(
                rules.HEADER,
                f"`{headers[0].kind}` is not the first declaration",
                headers[0].place,
                fix="move it to the top of the file",
            )
        )
    diagnostics += [
        Diagnostic(
            rules.HEADER,
            f"a second `{extra.kind}` in one file",
            extra.place,
            fix="give each machine its own file",
            notes=(Note("the first is here", headers[0].place),),
        )
        for extra in headers[1:]
    ]
    return headers[0], rest
