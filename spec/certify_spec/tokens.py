"""From text to tokens, comments included.

Rules this module keeps:

- every character of the text is in exactly one token, or between two as blank space;
- a character that the language does not have is reported once, with what was probably meant, and replaced by that, so
  that the parser can go on;
- the work is linear in the length of the text.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import Final

from certify_spec import rules
from certify_spec.diagnostics import Diagnostic, Edit, Place

KEYWORDS: Final[frozenset[str]] = frozenset(
    [
        "machine",
        "theory",
        "enum",
        "record",
        "sort",
        "relation",
        "function",
        "axiom",
        "assume",
        "param",
        "where",
        "define",
        "ghost",
        "var",
        "clock",
        "init",
        "fair",
        "strong",
        "environment",
        "action",
        "when",
        "invariant",
        "lemma",
        "always",
        "step",
        "on",
        "progress",
        "by",
        "helpful",
        "via",
        "chain",
        "reachable",
        "law",
        "instance",
        "refines",
        "from",
        "let",
        "if",
        "then",
        "else",
        "and",
        "or",
        "not",
        "implies",
        "iff",
        "forall",
        "exists",
        "in",
        "is",
        "with",
        "all",
        "true",
        "false",
        "div",
        "mod",
        "fn",
    ]
)

SYMBOLS: Final[dict[str, str]] = {
    ":=": "ASSIGN",
    "~>": "LEADSTO",
    "->": "ARROW",
    "=>": "YIELDS",
    "==": "EQUAL",
    "!=": "UNEQUAL",
    "<=": "ATMOST",
    ">=": "ATLEAST",
    "??": "FALLBACK",
    "..": "DOTS",
    "(": "LPAR",
    ")": "RPAR",
    "[": "LSQB",
    "]": "RSQB",
    "{": "LBRACE",
    "}": "RBRACE",
    "<": "LESS",
    ">": "MORE",
    "=": "IS_DEFINED",
    ":": "COLON",
    ";": "SEMICOLON",
    ",": "COMMA",
    ".": "DOT",
    "+": "PLUS",
    "-": "MINUS",
    "*": "STAR",
    "'": "PRIME",
}

_PATTERN: Final = re.compile(
    r"""
    (?P<space>[ \t\r\n]+)
  | (?P<comment>--[^\n]*)
  | (?P<word>\w+)
  | (?P<string>"[^"\n]*")
  | (?P<open_string>"[^"\n]*)
  | (?P<foreign>==>|&&|\|\||<->|<=>|\|(?!\|)|//[^\n]*|!(?!=)|&|/|%|\^|\#[^\n]*)
  | (?P<symbol>:=|~>|->|=>|==|!=|<=|>=|\?\?|\.\.|[()\[\]{}<>=:;,.+\-*'])
  | (?P<other>.)
    """,
    re.VERBOSE | re.DOTALL,
)

_FOREIGN: Final[dict[str, str]] = {
    "==>": "implies",
    "&&": "and",
    "||": "or",
    "<->": "iff",
    "<=>": "iff",
    "!": "not",
    "/": "div",
    "%": "mod",
    "≤": "<=",
    "≥": ">=",
    "≠": "!=",
    "∧": "and",
    "∨": "or",
    "¬": "not",
    "⇒": "implies",
    "→": "->",
    "⇔": "iff",
    "↔": "iff",
    "∀": "forall",
    "∃": "exists",
    "∈": "in",
    "∉": "not in",
    "×": "*",
    "·": "*",
    "−": "-",
    "–": "-",
    "—": "-",
    "≔": ":=",
    "↝": "~>",
    "…": "..",
    "“": '"',
    "”": '"',
    "’": "'",
    "‘": "'",
    "：": ":",
    "，": ",",
    "；": ";",
}
"""What other notations write, and what this language writes for it."""

_LOOK_ALIKES: Final[dict[str, str]] = dict(
    zip(
        "аеорсухіјѕԁԛԝһӏАВЕКМНОРСТУХІЈЅαοντρυικΑΒΕΖΗΙΚΜΝΟΡΤΥΧօոսաɡɩ",
        "aeopcyxijsdqwhlABEKMHOPCTYXIJSaovtpuikABEZHIKMNOPTYXonuwgi",
        strict=True,
    )
)
"""Letters of other scripts that are drawn like a Latin one."""

MAX_DIGITS: Final = 30
"""Longer numbers are refused: no quantity of a specification needs them, and reading them is quadratic."""

MAX_NAME: Final = 120


@dataclass(frozen=True, slots=True)
class Token:
    """One word, sign, number, string or comment.

    Attributes:
        kind: the grammar's terminal: a keyword or sign by its own name, or NAME, NUMBER, STRING, COMMENT.
        text: the text as the language writes it; differs from the source only after a report.
        line, column: where it starts, counting from 1.
        width: how many characters of the source it covers.
    """

    kind: str
    text: str
    line: int
    column: int
    width: int

    def place(self, file: str) -> Place:
        """Where the token stands."""
        return Place(file, self.line, self.column, self.line, self.column + self.width)


def tokenize(text: str, file: str) -> tuple[tuple[Token, ...], tuple[Diagnostic, ...]]:
    """The tokens of a text, comments included, and what is wrong with its characters."""
    tokens: list[Token] = []
    found: list[Diagnostic] = []
    line, line_start = 1, 0
    for match in _PATTERN.finditer(text):
        kind, raw = match.lastgroup or "other", match.group()
        if kind == "space":
            breaks = raw.count("\n")
            if breaks:
                line += breaks
                line_start = match.start() + raw.rindex("\n") + 1
            continue
        here = Place(file, line, match.start() - line_start + 1, line, match.end() - line_start + 1)
        token, diagnostic = _token(kind, raw, here)
        if diagnostic:
            found.append(diagnostic)
        tokens += token
    return tuple(tokens), tuple(_at_most(found))


def _at_most(found: list[Diagnostic], limit: int = 50) -> list[Diagnostic]:
    """The first reports: a file that is not a specification at all needs no ten thousand of them."""
    return found[:limit]


def _token(kind: str, raw: str, here: Place) -> tuple[list[Token], Diagnostic | None]:
    def made(terminal: str, text: str) -> Token:
        return Token(terminal, text, here.line, here.column, len(raw))

    match kind:
        case "comment":
            return [made("COMMENT", raw.rstrip())], None
        case "string":
            return [made("STRING", raw)], None
        case "symbol":
            return [made(SYMBOLS[raw], raw)], None
        case "open_string":
            return [made("STRING", raw.rstrip() + '"')], Diagnostic(
                rules.OPEN_STRING, "this text has no closing quote", here, fix='close it with `"` on the same line'
            )
        case "word":
            return _word(raw, here)
        case _:
            return _foreign(raw, here)


def _word(raw: str, here: Place) -> tuple[list[Token], Diagnostic | None]:
    def made(terminal: str, text: str) -> list[Token]:
        return [Token(terminal, text, here.line, here.column, len(raw))]

    if raw in KEYWORDS:
        return made(raw.upper(), raw), None
    if raw.isascii():
        if raw.isdigit() and len(raw) <= MAX_DIGITS:
            return made("NUMBER", raw), None
        if raw[0].isdigit():
            return made("NUMBER", "1"), _bad_number(raw, here)
        if len(raw) > MAX_NAME:
            report = Diagnostic(
                rules.LONG_WORD, f"this name has {len(raw)} letters", here, fix=f"use at most {MAX_NAME} letters"
            )
            return made("NAME", raw[:MAX_NAME]), report
        return made("NAME", raw), None
    plain = _plain(raw)
    odd = next(letter for letter in raw if not letter.isascii())
    report = Diagnostic(
        rules.LOOK_ALIKE,
        f"`{raw}` contains {_named(odd)}",
        here,
        because="names are written with the letters a-z and A-Z, digits and `_`, so that no two names look alike",
        fix=f"write `{plain}`",
        edit=Edit(here, plain),
    )
    if plain in KEYWORDS:
        return made(plain.upper(), plain), report
    return made("NUMBER" if plain.isdigit() else "NAME", plain), report


def _bad_number(raw: str, here: Place) -> Diagnostic:
    if raw.isdigit():
        return Diagnostic(
            rules.LONG_WORD, f"this number has {len(raw)} digits", here, fix=f"use at most {MAX_DIGITS} digits"
        )
    return Diagnostic(
        rules.BAD_NUMBER,
        f"`{raw}` is neither a number nor a name",
        here,
        because="numbers are whole and have no unit; names start with a letter",
        fix="a duration counts clock steps: make it a `param` of type Duration, or leave the unit away",
    )


def _foreign(raw: str, here: Place) -> tuple[list[Token], Diagnostic]:
    meant = _FOREIGN.get(raw) or (unicodedata.normalize("NFKC", raw) if raw.isprintable() else "")
    if raw.startswith(("#", "//")):
        return [], Diagnostic(
            rules.FOREIGN,
            f"`{raw[:2].strip()}` does not begin a comment",
            here,
            fix="comments begin with `--`, integer division is `div`",
        )
    known = meant in KEYWORDS or meant in SYMBOLS or meant == "not in"
    report = Diagnostic(
        rules.FOREIGN if raw.isascii() else rules.LOOK_ALIKE,
        f"{_named(raw)} is not part of the language"
        if not raw.isascii() or not raw.isprintable()
        else f"`{raw}` is not part of the language",
        here,
        fix=f"write `{meant}`" if known else "remove it",
        edit=Edit(here, meant if known else ""),
    )
    if not known:
        return [], report
    tokens = [
        Token(SYMBOLS.get(part, part.upper()), part, here.line, here.column, len(raw)) for part in meant.split(" ")
    ]
    return tokens, report


def _plain(raw: str) -> str:
    """The name as its reader sees it, in plain letters."""
    shown = "".join(_LOOK_ALIKES.get(letter, letter) for letter in unicodedata.normalize("NFKC", raw))
    spelled = "".join(c for c in unicodedata.normalize("NFKD", shown) if c.isascii() and (c.isalnum() or c == "_"))
    return spelled or "name"


def _named(letter: str) -> str:
    return f"U+{ord(letter):04X} {unicodedata.name(letter, 'without a name')}"
