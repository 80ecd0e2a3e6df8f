"""Reading tokens one after another, with the columns that end an expression.

Rules this module keeps (the Lean 4 reference, "Whitespace"; positions checked as Lean's parser does):

- a token that is the first on its line at or left of the enclosing construct's column ends an expression;
- nothing is consumed by looking.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from certify_verifier.lean import rules
from certify_verifier.lean.front.errors import Spot, Wrong
from certify_verifier.lean.front.lexer import Kind, Token, tokenize


class TokenReader:
    """A position in a list of tokens; with `header` the list ends with the first command after the imports."""

    def __init__(self, source: str, *, header: bool = False) -> None:
        self.tokens = tokenize(source, header=header)
        self.at = 0
        self.bound = 0

    @property
    def token(self) -> Token:
        """The next token."""
        return self.tokens[self.at]

    @property
    def spot(self) -> Spot:
        """The place of the next token."""
        return self.token.spot

    def next(self) -> Token:
        """Take the next token."""
        token = self.token
        if token.kind is not Kind.END:
            self.at += 1
        return token

    def sees(self, *texts: str) -> bool:
        """Whether the next token is one of these signs or words."""
        token = self.token
        return token.kind in (Kind.SYMBOL, Kind.KEYWORD) and token.text in texts

    def take(self, *texts: str) -> bool:
        """Take the next token if it is one of these signs or words."""
        if self.sees(*texts):
            self.at += 1
            return True
        return False

    def want(self, *texts: str) -> Token:
        """Take one of these signs or words.

        Raises:
            Wrong: something else stands there.
        """
        if not self.sees(*texts):
            raise self.unexpected(" or ".join(f"`{text}`" for text in texts))
        return self.next()

    def want_name(self) -> Token:
        """Take a name.

        Raises:
            Wrong: something else stands there.
        """
        if self.token.kind is not Kind.IDENT:
            raise self.unexpected("a name")
        return self.next()

    def unexpected(self, wanted: str) -> Wrong:
        """The exception for a token that does not fit."""
        token = self.token
        found = "the end of the file" if token.kind is Kind.END else f"`{token.text}`"
        return Wrong(rules.BAD_SYNTAX, f"{wanted} was expected, {found} stands here", token.spot)

    def ends(self) -> bool:
        """Whether the next token ends the expression by its place or kind."""
        token = self.token
        return token.kind is Kind.END or (token.first and token.spot.column <= self.bound)

    @contextmanager
    def within(self, column: int) -> Iterator[None]:
        """Expressions inside end at lines that start at or left of this column."""
        before, self.bound = self.bound, column
        try:
            yield
        finally:
            self.bound = before
