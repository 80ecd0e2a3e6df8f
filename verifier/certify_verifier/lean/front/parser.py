"""The parser of terms.

Rules this module keeps (the Lean 4 reference, "Terms"; precedences as in Lean's core notation):

- operators bind as in Lean: `→` 25, `∨` 30, `∧` 35, comparisons 50, `+` 65, `*` 70, application tightest;
- what is known to be Lean but not supported is declined by name, what is no Lean is refused.
"""

from __future__ import annotations

from typing import Final

from certify_verifier.lean import rules
from certify_verifier.lean.exprs import Binder
from certify_verifier.lean.front import syntax as s
from certify_verifier.lean.front.errors import Spot, Unsupported, Wrong
from certify_verifier.lean.front.lexer import Kind
from certify_verifier.lean.front.tokens import TokenReader

_ALIASES: Final = {"->": "→", "/\\": "∧", "\\/": "∨", "<->": "↔", "<=": "≤", ">=": "≥", "$": "<|"}
_INFIX: Final[dict[str, tuple[int, int, int]]] = {
    # sign: (its own precedence, the least of its left side, the least of its right side)
    "↔": (20, 21, 21),
    "→": (25, 26, 25),
    "∨": (30, 31, 30),
    "||": (30, 30, 31),
    "⊕": (30, 31, 30),
    "∧": (35, 36, 35),
    "&&": (35, 35, 36),
    "×": (35, 36, 35),
    "=": (50, 51, 51),
    "≠": (50, 51, 51),
    "≤": (50, 51, 51),
    "≥": (50, 51, 51),
    "<": (50, 51, 51),
    ">": (50, 51, 51),
    "==": (50, 51, 51),
    "++": (65, 65, 66),
    "+": (65, 65, 66),
    "-": (65, 65, 66),
    "::": (67, 68, 67),
    "*": (70, 70, 71),
    "^": (75, 76, 75),
    "∘": (90, 91, 90),
    "<|": (10, 11, 10),
}
_UNSUPPORTED_INFIX: Final = ("/", "%", "▸", "|>", "|>.", "<|>", "!=", "∈", "∣", "≅", "∪", "∩", "⊆")
_UNSUPPORTED_TERMS: Final = (
    "by", "if", "do", "haveI", "letI", "suffices", "termination_by", "decreasing_by", "extends"
)  # fmt: skip
_MAX: Final = 1024


class TermParser(TokenReader):
    """Terms from tokens."""

    def term(self, least: int = 0) -> s.Term:
        """A term whose operators bind at least this tightly.

        Raises:
            Wrong: there is no term.
            Unsupported: the term uses a construct that this front end does not know.
        """
        left = self._leading(least)
        while True:
            token = self.token
            if self.ends() or token.kind is not Kind.SYMBOL:
                return left
            if token.text in _UNSUPPORTED_INFIX:
                raise Unsupported(f"the operator `{token.text}`", token.spot)
            sign = _ALIASES.get(token.text, token.text)
            powers = _INFIX.get(sign)
            if powers is None or powers[0] < least:
                return left
            self.next()
            right = self.term(powers[2])
            left = s.Operator(token.spot, sign, (left, right))
            if powers[1] > powers[0] and powers[2] > powers[0]:
                least_again = self.token
                again = _INFIX.get(_ALIASES.get(least_again.text, least_again.text))
                if least_again.kind is Kind.SYMBOL and again and again[0] == powers[0] and not self.ends():
                    raise Wrong(
                        rules.BAD_SYNTAX, f"`{least_again.text}` cannot follow another comparison", least_again.spot
                    )

    def _leading(self, least: int) -> s.Term:
        token = self.token
        spot = token.spot
        if self.take("¬"):
            return s.Operator(spot, "¬", (self.term(40),))
        if self.take("!"):
            return s.Operator(spot, "!", (self.term(40),))
        if self.sees("fun", "λ"):
            return self._lambda()
        if self.take("∀"):
            binders = self.binders(allow_bare=True)
            self.want(",")
            return s.Product(spot, binders, self.term())
        if self.take("∃"):
            binders = self.binders(allow_bare=True)
            self.want(",")
            return s.Exists(spot, binders, self.term())
        if self.sees("let", "have"):
            return self._let()
        if self.take("show"):
            type_ = self.term()
            if self.sees("by"):
                raise Unsupported("tactics (`by`)", self.spot)
            self.want("from")
            return s.Show(spot, type_, self.term())
        if self.take("match"):
            return self._match(spot)
        if self.take("nomatch"):
            subjects = [self.term(_MAX)] if self.token.kind is not Kind.IDENT else [self._application()]
            while self.take(","):
                subjects.append(self.term())
            return s.Match(spot, tuple(subjects), ())
        if self.take("calc"):
            return self._calc(spot)
        if self.sees("(") and least <= 25:
            product = self._product()
            if product is not None:
                return product
        if self.sees("{", "⦃") and least <= 25:
            binders = self.binders(allow_bare=False)
            self.want("→", "->")
            return s.Product(spot, binders, self.term(25))
        return self._application()

    def _product(self) -> s.Term | None:
        """`(x y : A) → B`, or nothing when the bracket opens a term."""
        start, spot = self.at, self.spot
        self.next()
        names = 0
        while self.token.kind is Kind.IDENT or self.sees("_"):
            self.next()
            names += 1
        is_binder = names > 0 and self.sees(":")
        self.at = start
        if not is_binder:
            return None
        depth = 0
        while True:
            token = self.next()
            depth += token.text in ("(", "⟨", "[", "{") and token.kind is Kind.SYMBOL
            depth -= token.text in (")", "⟩", "]", "}") and token.kind is Kind.SYMBOL
            if depth == 0 or token.kind is Kind.END:
                break
        arrow = self.sees("→", "->", "(", "{", "⦃", "[") and not self.ends()
        is_arrow = self.sees("→", "->")
        self.at = start
        if not arrow:
            return None
        if not is_arrow:
            return self._product_with_more(spot, start)
        binders = self.binders(allow_bare=False)
        self.want("→", "->")
        return s.Product(spot, binders, self.term(25))

    def _product_with_more(self, spot: Spot, start: int) -> s.Term | None:
        """`(x : A) (y : B) → C`, or nothing when the brackets are applied."""
        try:
            binders = self.binders(allow_bare=False)
        except Wrong:
            self.at = start
            return None
        if not self.take("→", "->"):
            self.at = start
            return None
        return s.Product(spot, binders, self.term(25))

    # binders --------------------------------------------------------------------------------------------------------

    def binders(self, *, allow_bare: bool) -> tuple[s.BinderSyntax, ...]:
        """Bracketed binders, and bare names (`x y : A`) where allowed."""
        found: list[s.BinderSyntax] = []
        while not self.ends():
            if self.sees("(", "{", "⦃", "["):
                found += self._bracketed()
            elif allow_bare and (self.token.kind is Kind.IDENT or self.sees("_")):
                names = self._names()
                type_ = self.term() if self.take(":") else None
                found += [s.BinderSyntax(spot, name, type_, Binder.DEFAULT) for spot, name in names]
                if type_ is not None:
                    break
            else:
                break
        if not found:
            raise self.unexpected("a binder")
        return tuple(found)

    def _names(self) -> list[tuple[Spot, str]]:
        names = []
        while self.token.kind is Kind.IDENT or self.sees("_"):
            token = self.next()
            if "." in token.text:
                raise Wrong(rules.BAD_SYNTAX, f"`{token.text}` cannot be bound", token.spot)
            names.append((token.spot, token.text))
        return names

    def _bracketed(self) -> list[s.BinderSyntax]:
        opening = self.next()
        if opening.text == "[":
            raise Unsupported("instance arguments (`[…]`)", opening.spot)
        info = {"(": Binder.DEFAULT, "{": Binder.IMPLICIT, "⦃": Binder.STRICT}[opening.text]
        closing = {"(": ")", "{": "}", "⦃": "⦄"}[opening.text]
        if info is Binder.STRICT:
            raise Unsupported("strict implicit arguments (`⦃…⦄`)", opening.spot)
        with self.within(0):
            names = self._names()
            if not names:
                raise self.unexpected("a name")
            type_ = self.term() if self.take(":") else None
            if self.sees(":="):
                raise Unsupported("default values of arguments", self.spot)
            self.want(closing)
        return [s.BinderSyntax(spot, name, type_, info) for spot, name in names]

    # words ----------------------------------------------------------------------------------------------------------

    def _lambda(self) -> s.Term:
        spot = self.next().spot
        if self.sees("|"):
            return s.LambdaMatch(spot, self.alternatives())
        found: list[s.BinderSyntax] = []
        while not self.sees("=>"):
            if self.token.kind is Kind.IDENT or self.sees("_"):
                names = self._names()
                type_ = self.term() if self.take(":") else None
                found += [s.BinderSyntax(at, name, type_, Binder.DEFAULT) for at, name in names]
            elif self.sees("⟨") or (self.sees("(") and not self._is_binder()):
                at = self.spot
                found.append(s.BinderSyntax(at, "_", None, Binder.DEFAULT, self.term(_MAX)))
            elif self.sees("(", "{", "⦃", "["):
                found += self._bracketed()
            else:
                raise self.unexpected("`=>`")
        if not found:
            raise self.unexpected("a binder")
        self.want("=>")
        return s.Lambda(spot, tuple(found), self.term())

    def _is_binder(self) -> bool:
        at = self.at + 1
        while self.tokens[at].kind is Kind.IDENT or self.tokens[at].text == "_":
            at += 1
        return at > self.at + 1 and self.tokens[at].text in (":", ")")

    def _let(self) -> s.Term:
        word = self.next()
        spot = word.spot
        opaque = word.text == "have"
        pattern: s.Term | None = None
        name = "this"
        with self.within(spot.column):
            if self.sees("⟨", "("):
                pattern = self.term(_MAX)
            elif self.sees("_"):
                self.next()
                name = "_"
            elif self.token.kind is Kind.IDENT:
                name = self.next().text
            elif not opaque:
                raise self.unexpected("a name")
            is_plain = self.sees(":", ":=") or pattern is not None
            binders = () if is_plain else self.binders(allow_bare=False)
            type_ = self.term() if self.take(":") else None
            if self.sees("|"):
                raise Unsupported("`let` by alternatives", self.spot)
            if self.sees("from"):
                raise Unsupported("`have … from`", self.spot)
            self.want(":=")
            value = self.term()
        if not self.take(";") and not self.token.first:
            raise self.unexpected("`;` or a new line")
        return s.LetTerm(spot, name, binders, type_, value, self.term(), opaque, pattern)

    def _match(self, spot: Spot) -> s.Term:
        subjects = []
        while True:
            if self.token.kind is Kind.IDENT and self.tokens[self.at + 1].text == ":":
                raise Unsupported("a named equation of a match (`match h : e with`)", self.spot)
            subjects.append(self.term())
            if not self.take(","):
                break
        self.want("with")
        return s.Match(spot, tuple(subjects), self.alternatives())

    def alternatives(self) -> tuple[s.Alternative, ...]:
        """`| p, q => e` as often as they follow."""
        found: list[s.Alternative] = []
        while self.sees("|") and not (self.token.first and self.token.spot.column <= self.bound - 1):
            spot = self.next().spot
            patterns = [self.term(11)]
            while self.take(","):
                patterns.append(self.term(11))
            if self.sees("|"):
                raise Unsupported("alternatives that share a right side", self.spot)
            self.want("=>")
            found.append(s.Alternative(spot, tuple(patterns), self.term()))
        if not found:
            raise self.unexpected("`|`")
        return tuple(found)

    def _calc(self, spot: Spot) -> s.Term:
        steps = []
        column = self.spot.column
        while True:
            with self.within(column):
                relation = self.term()
                if self.sees("_"):
                    raise self.unexpected("`:=`")
                self.want(":=")
                steps.append((relation, self.term()))
            if not (self.token.first and self.sees("_") and self.spot.column == column):
                return s.Calc(spot, tuple(steps))

    # application ----------------------------------------------------------------------------------------------------

    def _application(self) -> s.Term:
        fn = self._postfix()
        args: list[s.Argument] = []
        while not self.ends():
            if self.sees("(") and self.tokens[self.at + 1].kind is Kind.IDENT and self.tokens[self.at + 2].text == ":=":
                self.next()
                name = self.next().text
                self.next()
                with self.within(0):
                    args.append(s.Argument(self.term(), name))
                    self.want(")")
            elif self._starts_argument():
                args.append(s.Argument(self._postfix()))
            elif self.sees("fun", "λ"):
                args.append(s.Argument(self._lambda()))
                break
            else:
                break
        return s.Apply(fn.spot, fn, tuple(args)) if args else fn

    def _starts_argument(self) -> bool:
        token = self.token
        if token.kind in (Kind.IDENT, Kind.NUMBER, Kind.STRING, Kind.SHORT):
            return True
        if token.kind is Kind.KEYWORD:
            return token.text in ("Type", "Sort", "Prop", "sorry", "nofun")
        return token.kind is Kind.SYMBOL and token.text in ("(", "[", "⟨", "@", "_", "·", "?", "`")

    def _postfix(self) -> s.Term:
        term = self._atom()
        while self.token.kind is Kind.FIELD:
            token = self.next()
            term = s.Field(token.spot, term, token.text)
        return term

    def _atom(self) -> s.Term:
        token = self.token
        spot = token.spot
        if token.kind is Kind.IDENT:
            return self._ident()
        if token.kind is Kind.SHORT:
            self.next()
            return s.ShortName(spot, token.text)
        if token.kind is Kind.NUMBER:
            self.next()
            return s.Number(spot, int(token.text))
        if token.kind is Kind.STRING:
            self.next()
            return s.Text(spot, token.text)
        if self.take("_"):
            return s.Hole(spot)
        if self.take("@"):
            return s.Explicit(spot, self._ident())
        if self.sees("Type", "Sort", "Prop"):
            return self._universe()
        if self.sees("("):
            return self._parenthesis()
        if self.take("⟨"):
            return s.Anonymous(spot, self._comma_separated("⟩"))
        if self.take("["):
            return s.ListTerm(spot, self._comma_separated("]"))
        if self.sees("sorry"):
            raise Wrong(rules.SORRY_SOURCE, "this proof is not finished", spot)
        if token.kind is Kind.KEYWORD and token.text in _UNSUPPORTED_TERMS:
            what = "tactics (`by`)" if token.text == "by" else f"`{token.text}`"
            raise Unsupported(what, spot)
        if self.sees("nofun", "·", "?", "`", "∑", "{", "#", "-"):
            raise Unsupported(f"`{token.text}` at the start of a term", spot)
        raise self.unexpected("a term")

    def _ident(self) -> s.Ident:
        token = self.want_name()
        found: tuple[s.LevelSyntax, ...] | None = None
        if self.sees(".{") and self.token.touching:
            self.next()
            parts = [self.level()]
            while self.take(","):
                parts.append(self.level())
            self.want("}")
            found = tuple(parts)
        return s.Ident(token.spot, token.text, found)

    def _comma_separated(self, closing: str) -> tuple[s.Term, ...]:
        parts = []
        with self.within(0):
            while not self.sees(closing):
                parts.append(self.term())
                if not self.take(","):
                    break
            self.want(closing)
        return tuple(parts)

    def _parenthesis(self) -> s.Term:
        spot = self.next().spot
        with self.within(0):
            if self.take(")"):
                return s.Tuple(spot, ())
            first = self.term()
            if self.take(":"):
                type_ = self.term()
                self.want(")")
                return s.Show(spot, type_, first)
            parts = [first]
            while self.take(","):
                parts.append(self.term())
            self.want(")")
        return s.Tuple(spot, tuple(parts)) if len(parts) > 1 else first

    # universes ------------------------------------------------------------------------------------------------------

    def _universe(self) -> s.Term:
        token = self.next()
        if token.text == "Prop":
            return s.Universe(token.spot, "Prop", None)
        following = self.token
        has_level = not self.ends() and (following.kind in (Kind.IDENT, Kind.NUMBER) or self.sees("_"))
        if not has_level and self.sees("(") and self._is_level_bracket():
            has_level = True
        return s.Universe(token.spot, token.text, self._level_atom() if has_level else None)

    def _is_level_bracket(self) -> bool:
        first, second = self.tokens[self.at + 1], self.tokens[self.at + 2]
        if self.ends() or first.kind not in (Kind.IDENT, Kind.NUMBER):
            return False
        return first.text in ("max", "imax") or second.text in ("+", ")")

    def level(self) -> s.LevelSyntax:
        """A universe."""
        token = self.token
        if token.kind is Kind.IDENT and token.text in ("max", "imax"):
            self.next()
            parts = []
            while self.token.kind in (Kind.IDENT, Kind.NUMBER) or self.sees("(", "_"):
                parts.append(self._level_atom())
            if len(parts) < 2:
                raise self.unexpected("a universe")
            found = s.LevelSyntax(token.spot, token.text, tuple(parts))
        else:
            found = self._level_atom()
        while self.take("+"):
            if self.token.kind is not Kind.NUMBER:
                raise self.unexpected("a number")
            found = s.LevelSyntax(token.spot, "+", (found,), min(int(self.next().text), 1000))
        return found

    def _level_atom(self) -> s.LevelSyntax:
        token = self.token
        if token.kind in (Kind.IDENT, Kind.NUMBER) or self.sees("_"):
            self.next()
            if token.kind is Kind.NUMBER and int(token.text) > 1000:
                raise Unsupported("a universe above 1000", token.spot)
            return s.LevelSyntax(token.spot, token.text)
        self.want("(")
        found = self.level()
        self.want(")")
        return found
