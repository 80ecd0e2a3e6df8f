"""Tokens of Lean source text.

Rules this module keeps (the Lean 4 reference, "Lexical Structure"):

- identifiers are Lean's: letters, Greek letters except λ, Π, Σ, subscripts, `_ ' ! ?`, components joined by dots,
  `«…»`; a dot straight after a term starts a field, one after a space or bracket starts a short name;
- comments nest; a `/-- … -/` comment is kept for the declaration that follows;
- every token knows its line and column, and whether it is the first on its line.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from certify_verifier.lean import rules
from certify_verifier.lean.front.errors import Spot, Wrong


class Kind(Enum):
    """What a token is."""

    IDENT = auto()
    KEYWORD = auto()
    NUMBER = auto()
    STRING = auto()
    SYMBOL = auto()
    FIELD = auto()
    SHORT = auto()
    DOC = auto()
    END = auto()


@dataclass(frozen=True, slots=True)
class Token:
    """A token: its kind, text, place, whether it is the first on its line and whether it touches the one before."""

    kind: Kind
    text: str
    spot: Spot
    first: bool
    touching: bool


COMMANDS: Final = frozenset(
    ["def", "theorem", "abbrev", "example", "axiom", "inductive", "structure", "namespace", "section", "end", "open",
     "variable", "universe", "instance", "class", "mutual", "noncomputable", "private", "protected", "partial",
     "unsafe", "opaque", "import", "deriving", "set_option", "attribute", "macro", "macro_rules", "syntax", "notation",
     "infixl", "infixr", "infix", "prefix", "postfix", "elab", "initialize", "export", "local", "scoped", "#eval",
     "#check", "#print", "#reduce"]
)  # fmt: skip
TERM_WORDS: Final = frozenset(
    ["fun", "λ", "let", "have", "show", "from", "match", "with", "nomatch", "nofun", "calc", "if", "then", "else",
     "do", "by", "sorry", "where", "Type", "Sort", "Prop", "in", "extends", "termination_by", "decreasing_by",
     "suffices", "haveI", "letI"]
)  # fmt: skip
SYMBOLS: Final = sorted(
    [
        ":=", "=>", "->", "→", "←", "<-", "↔", "<->", "∧", "/\\", "∨", "\\/", "¬", "≠", "!=", "≤", "<=", "≥", ">=",
        "==", "=", "<|>", "<|", "|>.", "|>", "<", ">", "::", ":", "++", "+", "-", "*", "/", "%", "^", "&&", "||", "|",
        "!", "×", "⊕", "∘", "▸", "$", "(", ")", "[", "]", "{", "}", "⦃", "⦄", "⟨", "⟩", ",", ";", "_", "@", "·", "..",
        ".{", ".", "∀", "∃", "∑", "∈", "#", "?", "`", "←", "∣", "⊢", "≅", "&", "~", "⁻¹", "∪", "∩", "⊆",
    ],
    key=len,
    reverse=True,
)  # fmt: skip

_SYMBOL: Final = re.compile("|".join(map(re.escape, SYMBOLS)))

MAX_DIGITS: Final = 4000
"""The longest number read, in decimal digits."""

_NOT_LETTERS: Final = "λΠΣ"


def _starts_name(char: str) -> bool:
    return (char.isalpha() and char not in _NOT_LETTERS) or char in "_«" or "\u2080" <= char <= "\u209c"


def _continues_name(char: str) -> bool:
    return (
        (char.isalnum() and char not in _NOT_LETTERS) or char in "_'!?" or "\u2080" <= char <= "\u209c" or char == "ᵢ"
    )


class _Lexer:
    def __init__(self, source: str) -> None:
        self.source = source
        self.at = 0
        self.line = 1
        self.line_start = 0
        self.first = True
        self.last_end = -1
        self.tokens: list[Token] = []

    def spot(self) -> Spot:
        return Spot(self.line, self.at - self.line_start + 1)

    def run(self, *, header: bool = False) -> list[Token]:
        while True:
            self._skip_space()
            if self.at >= len(self.source):
                break
            self._token()
            last = self.tokens[-1]
            if header and last.first and last.spot.column == 1 and last.text != "import":
                break
        self.tokens.append(Token(Kind.END, "", self.spot(), True, False))
        return self.tokens

    def _advance(self, count: int) -> str:
        text = self.source[self.at : self.at + count]
        for offset, char in enumerate(text):
            if char == "\n":
                self.line += 1
                self.line_start = self.at + offset + 1
                self.first = True
        self.at += count
        return text

    def _skip_space(self) -> None:
        while self.at < len(self.source):
            rest = self.source[self.at : self.at + 3]
            if rest[0] in " \n\r":
                self._advance(1)
            elif rest[0] == "\t":
                raise Wrong(rules.BAD_TOKEN, "Lean source has no tabs", self.spot())
            elif rest.startswith("--"):
                end = self.source.find("\n", self.at)
                self._advance((end if end >= 0 else len(self.source)) - self.at)
            elif rest.startswith("/-"):
                self._comment()
            else:
                return

    def _comment(self) -> None:
        start, spot = self.at, self.spot()
        depth, at = 0, self.at
        while True:
            opening, closing = self.source.find("/-", at), self.source.find("-/", at)
            if closing < 0:
                raise Wrong(rules.BAD_TOKEN, "a comment is never closed", spot)
            if 0 <= opening < closing:
                depth, at = depth + 1, opening + 2
            else:
                depth, at = depth - 1, closing + 2
            if depth == 0:
                break
        text = self.source[start:at]
        first = self.first
        self._advance(at - start)
        if text.startswith("/--"):
            self.tokens.append(Token(Kind.DOC, " ".join(text[3:-2].split()), spot, first, False))
        self.first = first or self.first

    def _token(self) -> None:
        char = self.source[self.at]
        touching = self.last_end == self.at
        if _starts_name(char) and not (
            char == "_" and not _continues_name(self.source[self.at + 1 : self.at + 2] or " ")
        ):
            self._name(touching)
        elif char.isdecimal():
            self._number(touching)
        elif char == '"':
            self._string(touching)
        elif char == "." and touching and self._after_term() and self._field():
            pass
        elif char == "." and _starts_name(self.source[self.at + 1 : self.at + 2] or " "):
            spot = self.spot()
            self._advance(1)
            self._put(Kind.SHORT, self._read_name(), spot, touching)
        elif char == "#" and self.source[self.at + 1 : self.at + 2].isalpha():
            spot = self.spot()
            self._advance(1)
            self._put(Kind.KEYWORD, "#" + self._read_name(), spot, touching)
        else:
            symbol = _SYMBOL.match(self.source, self.at)
            spot = self.spot()
            if symbol is None:
                raise Wrong(rules.BAD_TOKEN, f"the character `{char}` has no meaning here", spot)
            self._put(Kind.SYMBOL, self._advance(len(symbol.group())), spot, touching)

    def _put(self, kind: Kind, text: str, spot: Spot, touching: bool) -> None:
        self.tokens.append(Token(kind, text, spot, self.first, touching))
        self.first = False
        self.last_end = self.at

    def _after_term(self) -> bool:
        if not self.tokens:
            return False
        last = self.tokens[-1]
        return last.kind in (Kind.IDENT, Kind.FIELD) or last.text in (")", "⟩", "]", "}")

    def _field(self) -> bool:
        following = self.source[self.at + 1 : self.at + 2]
        spot = self.spot()
        if following.isdecimal():
            self._advance(1)
            digits = self._while(str.isdecimal)
            self._put(Kind.FIELD, digits, spot, True)
            return True
        if following and _starts_name(following):
            self._advance(1)
            self._put(Kind.FIELD, self._read_name(), spot, True)
            return True
        return False

    def _while(self, keep: object) -> str:
        assert callable(keep)
        end = self.at
        while end < len(self.source) and keep(self.source[end]):
            end += 1
        return self._advance(end - self.at)

    def _part(self) -> str:
        if self.source[self.at] == "«":
            end = self.source.find("»", self.at)
            if end < 0 or "\n" in self.source[self.at : end]:
                raise Wrong(rules.BAD_TOKEN, "a quoted name is never closed", self.spot())
            return self._advance(end + 1 - self.at)
        return self._while(_continues_name)

    def _read_name(self) -> str:
        parts = [self._part()]
        while self.source[self.at : self.at + 1] == "." and _starts_name(self.source[self.at + 1 : self.at + 2] or " "):
            self._advance(1)
            parts.append(self._part())
        return ".".join(parts)

    def _name(self, touching: bool) -> None:
        spot = self.spot()
        text = self._read_name()
        kind = Kind.KEYWORD if text in COMMANDS or text in TERM_WORDS else Kind.IDENT
        self._put(kind, text, spot, touching)

    def _number(self, touching: bool) -> None:
        spot = self.spot()
        text = self._while(str.isdecimal)
        if (
            not text.isascii()
            or len(text) > 4000
            or (self.at < len(self.source) and _starts_name(self.source[self.at]))
        ):
            raise Wrong(rules.BAD_TOKEN, "this number is written in a way that is not supported", spot)
        self._put(Kind.NUMBER, text, spot, touching)

    def _string(self, touching: bool) -> None:
        spot = self.spot()
        escapes = {"n": "\n", "t": "\t", "\\": "\\", '"': '"', "r": "\r", "'": "'"}
        text, at = [], self.at + 1
        while True:
            char = self.source[at : at + 1]
            if char in ("", "\n"):
                raise Wrong(rules.BAD_TOKEN, "a string is never closed", spot)
            if char == '"':
                break
            if char == "\\":
                escape = escapes.get(self.source[at + 1 : at + 2])
                if escape is None:
                    raise Wrong(rules.BAD_TOKEN, "a string has an unknown escape", spot)
                text.append(escape)
                at += 2
            else:
                text.append(char)
                at += 1
        self._advance(at + 1 - self.at)
        self._put(Kind.STRING, "".join(text), spot, touching)


def tokenize(source: str, *, header: bool = False) -> list[Token]:
    """The tokens of a source text, an end token last; with `header` only up to the first command after the imports.

    Raises:
        Wrong: a character or token is not Lean's.
    """
    return _Lexer(source).run(header=header)
