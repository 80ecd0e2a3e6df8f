"""The parser of commands.

Rules this module keeps (the Lean 4 reference, "Definitions"):

- a file is a list of commands, each of which starts at a command word;
- modifiers that change nothing for the kernel (`private`, `protected`, `noncomputable`, `@[simp]`, `@[reducible]`, …)
  are read and dropped; those that change what is declared are declined.
"""

from __future__ import annotations

from typing import Final

from certify_verifier.lean import rules
from certify_verifier.lean.exprs import Binder
from certify_verifier.lean.front import syntax as s
from certify_verifier.lean.front.errors import Unsupported, Wrong
from certify_verifier.lean.front.lexer import Kind
from certify_verifier.lean.front.parser import TermParser

_HARMLESS_MODIFIERS: Final = ("noncomputable", "protected")
_HARMLESS_ATTRIBUTES: Final = ("simp", "reducible", "inline", "always_inline", "irreducible", "ext", "specialize")
_VALUES: Final = ("def", "theorem", "abbrev", "example", "axiom")
_SCOPES: Final = ("namespace", "section", "end", "open", "universe", "import")


class Parser(TermParser):
    """Commands from tokens."""

    def file(self) -> list[s.Command]:
        """Every command of the file.

        Raises:
            Wrong: the source does not follow the grammar.
            Unsupported: a command is not of the supported part.
        """
        found = []
        while self.token.kind is not Kind.END:
            found.append(self.command())
        return found

    def command(self) -> s.Command:
        """One command.

        Raises:
            Wrong: the source does not follow the grammar.
            Unsupported: the command is not of the supported part.
        """
        sentence = ""
        while self.token.kind is Kind.DOC:
            sentence = self.next().text
        if self.token.kind is Kind.END:
            raise self.unexpected("a command")
        self._modifiers()
        token = self.token
        if token.kind is not Kind.KEYWORD:
            raise self.unexpected("a command")
        if token.text in _VALUES:
            return self._declaration(sentence)
        if token.text == "inductive":
            return self._inductive(sentence)
        if token.text == "structure":
            return self._structure(sentence)
        if token.text == "mutual":
            return self._mutual()
        if token.text == "variable":
            self.next()
            return s.Variables(token.spot, self.binders(allow_bare=False))
        if token.text in _SCOPES:
            return self._scoping()
        raise Unsupported(f"the command `{token.text}`", token.spot)

    def _modifiers(self) -> None:
        while True:
            if self.take("@"):
                self.want("[")
                while not self.take("]"):
                    token = self.next()
                    if token.text not in (*_HARMLESS_ATTRIBUTES, ","):
                        raise Unsupported(f"the attribute `{token.text}`", token.spot)
            elif self.sees(*_HARMLESS_MODIFIERS):
                self.next()
            elif self.sees("private", "partial", "unsafe", "local", "scoped"):
                raise Unsupported(f"`{self.token.text}` declarations", self.spot)
            else:
                return

    def _declared_levels(self) -> tuple[str, ...] | None:
        if not (self.sees(".{") and self.token.touching):
            return None
        self.next()
        names = [self.want_name().text]
        while self.take(","):
            names.append(self.want_name().text)
        self.want("}")
        return tuple(names)

    def _optional_binders(self) -> tuple[s.BinderSyntax, ...]:
        return self.binders(allow_bare=False) if self.sees("(", "{", "⦃", "[") else ()

    def _declaration(self, sentence: str) -> s.Command:
        word = self.next()
        name = "_example" if word.text == "example" else self.want_name().text
        levels = self._declared_levels()
        binders = self._optional_binders()
        if self.token.kind is Kind.IDENT or self.sees("_"):
            raise Unsupported("arguments without brackets and types", self.spot)
        type_ = self.term() if self.take(":") else None
        value: s.Term | None = None
        alternatives: tuple[s.Alternative, ...] = ()
        if word.text != "axiom":
            if self.take(":="):
                value = self.term()
            elif self.sees("|"):
                alternatives = self.alternatives()
            else:
                raise self.unexpected("`:=` or `|`")
        self._no_trailer()
        return s.Declaration(word.spot, word.text, name, levels, binders, type_, value, alternatives, sentence)

    def _no_trailer(self) -> None:
        if self.sees("where", "termination_by", "decreasing_by", "deriving"):
            raise Unsupported(f"`{self.token.text}` here", self.spot)

    def _inductive(self, sentence: str) -> s.InductiveSyntax:
        spot = self.next().spot
        name = self.want_name().text
        levels = self._declared_levels()
        binders = self._optional_binders()
        type_ = self.term() if self.take(":") else None
        self.take("where")
        constructors = []
        while self.token.kind is Kind.DOC or self.sees("|"):
            if self.token.kind is Kind.DOC and not self._doc_of_constructor():
                break
            while self.token.kind is Kind.DOC:
                self.next()
            constructors.append(self._constructor())
        self._no_trailer()
        return s.InductiveSyntax(spot, name, levels, binders, type_, tuple(constructors), False, sentence)

    def _doc_of_constructor(self) -> bool:
        at = self.at
        while self.tokens[at].kind is Kind.DOC:
            at += 1
        return self.tokens[at].text == "|" and self.tokens[at].kind is Kind.SYMBOL

    def _constructor(self) -> s.ConstructorSyntax:
        self.want("|")
        token = self.want_name()
        binders = self._optional_binders()
        type_ = self.term() if self.take(":") else None
        return s.ConstructorSyntax(token.spot, token.text, binders, type_)

    def _structure(self, sentence: str) -> s.Command:
        spot = self.next().spot
        name = self.want_name().text
        levels = self._declared_levels()
        binders = self._optional_binders()
        if self.sees("extends"):
            raise Unsupported("`extends`", self.spot)
        type_ = self.term() if self.take(":") else None
        if self.sees("extends"):
            raise Unsupported("`extends`", self.spot)
        fields: list[s.BinderSyntax] = []
        maker = "mk"
        if self.take("where"):
            if self.token.kind is Kind.IDENT and self.tokens[self.at + 1].text == "::":
                maker = self.next().text
                self.next()
            fields = self._fields()
        self._no_trailer()
        constructor = s.ConstructorSyntax(spot, maker, tuple(fields), None)
        return s.InductiveSyntax(spot, name, levels, binders, type_, (constructor,), True, sentence)

    def _fields(self) -> list[s.BinderSyntax]:
        fields: list[s.BinderSyntax] = []
        column = self._field_column()
        while self.token.kind is Kind.DOC or self.token.kind is Kind.IDENT or self.sees("("):
            if self.token.kind is Kind.DOC:
                at = self.at + 1
                if self.tokens[at].kind is not Kind.IDENT and self.tokens[at].text != "(":
                    break
                self.next()
            with self.within(column):
                fields += self._field()
        return fields

    def _field_column(self) -> int:
        at = self.at
        while self.tokens[at].kind is Kind.DOC:
            at += 1
        return self.tokens[at].spot.column

    def _field(self) -> list[s.BinderSyntax]:
        if self.sees("("):
            return list(self._bracketed())
        names = self._names()
        own = self._optional_binders()
        self.want(":")
        type_ = self.term()
        if self.sees(":="):
            raise Unsupported("default values of fields", self.spot)
        if own:
            type_ = s.Product(names[0][0], own, type_)
        return [s.BinderSyntax(spot, name, type_, Binder.DEFAULT) for spot, name in names]

    def _mutual(self) -> s.Command:
        spot = self.next().spot
        types = []
        while not self.sees("end"):
            while self.token.kind is Kind.DOC:
                self.next()
            if not self.sees("inductive"):
                raise Unsupported("mutual declarations other than inductive types", self.spot)
            types.append(self._inductive(""))
        self.want("end")
        return s.MutualSyntax(spot, tuple(types))

    def _scoping(self) -> s.Command:
        word = self.next()
        names: list[str] = []
        while self.token.kind is Kind.IDENT and not (self.token.first and self.token.spot.column == 1):
            names.append(self.next().text)
        if word.text == "open" and (self.sees("(", "in") or "hiding" in names or "renaming" in names):
            raise Unsupported("`open` with a choice of names", word.spot)
        if word.text in ("namespace", "open", "universe", "import") and not names:
            raise self.unexpected("a name")
        if word.text in ("namespace", "section", "end") and len(names) > 1:
            raise Wrong(rules.BAD_SYNTAX, f"`{word.text}` takes one name", word.spot)
        return s.Scoping(word.spot, word.text, tuple(names))


def parse(source: str) -> list[s.Command]:
    """The commands of a source text.

    Raises:
        Wrong: it does not follow the grammar.
        Unsupported: it uses something outside the supported part.
    """
    return Parser(source).file()
