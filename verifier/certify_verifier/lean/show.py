"""Terms as text, for messages: close to Lean's notation, cut off when long.

Rules this module keeps:

- the text is for people; nothing reads it back;
- at most `WIDTH` characters are built, however large the term.
"""

from __future__ import annotations

from typing import Final

from certify_verifier.lean import levels
from certify_verifier.lean.exprs import (
    App,
    Binder,
    BVar,
    Const,
    Expr,
    Lam,
    Let,
    Local,
    Meta,
    NatLit,
    Pi,
    Proj,
    Sort,
    StrLit,
    unapply,
)

WIDTH: Final = 240
_BRACKETS: Final = {
    Binder.DEFAULT: ("(", ")"),
    Binder.IMPLICIT: ("{", "}"),
    Binder.STRICT: ("⦃", "⦄"),
    Binder.INSTANCE: ("[", "]"),
}


class _Writer:
    def __init__(self) -> None:
        self.left = 2 * WIDTH
        self.parts: list[str] = []

    def put(self, text: str) -> None:
        self.parts.append(text)
        self.left -= len(text)

    def write(self, e: Expr, names: list[str], *, atomic: bool) -> None:
        self.left -= 1
        if self.left < 0:
            return
        if isinstance(e, BVar):
            self.put(names[-1 - e.index] if e.index < len(names) else f"#{e.index - len(names)}")
        elif isinstance(e, Local):
            self.put(e.name or "_")
        elif isinstance(e, Const):
            self.put(e.name)
        elif isinstance(e, Meta):
            self.put(f"?{e.ident}")
        elif isinstance(e, NatLit):
            self.put(str(e.value) if e.value.bit_length() < WIDTH else "…")
        elif isinstance(e, StrLit):
            self.put(repr(e.value[:WIDTH]))
        elif isinstance(e, Proj):
            self.write(e.struct, names, atomic=True)
            self.put(f".{e.index + 1}")
        elif isinstance(e, Sort) and e.level is levels.ZERO:
            self.put("Prop")
        else:
            if atomic:
                self.put("(")
            self._write_compound(e, names)
            if atomic:
                self.put(")")

    def _write_compound(self, e: Expr, names: list[str]) -> None:
        if isinstance(e, Sort):
            below = e.level.pred if isinstance(e.level, levels.Succ) else None
            text = levels.show(e.level if below is None else below)
            self.put("Type" if text == "0" else f"{'Sort' if below is None else 'Type'} {text}")
        elif isinstance(e, App):
            head, args = unapply(e)
            self.write(head, names, atomic=True)
            for arg in args:
                self.put(" ")
                self.write(arg, names, atomic=True)
        elif isinstance(e, Lam):
            self.put(f"fun ({e.name or '_'} : ")
            self.write(e.type, names, atomic=False)
            self.put(") => ")
            self.write(e.body, [*names, e.name or "_"], atomic=False)
        elif isinstance(e, Pi):
            if e.body.loose or e.info is not Binder.DEFAULT:
                opening, closing = _BRACKETS[e.info]
                self.put(f"{opening}{e.name or '_'} : ")
                self.write(e.type, names, atomic=False)
                self.put(f"{closing} → ")
            else:
                self.write(e.type, names, atomic=isinstance(e.type, Pi | Lam | Let))
                self.put(" → ")
            self.write(e.body, [*names, e.name or "_"], atomic=False)
        elif isinstance(e, Let):
            self.put(f"let {e.name} := ")
            self.write(e.value, names, atomic=False)
            self.put("; ")
            self.write(e.body, [*names, e.name], atomic=False)


def show(e: Expr) -> str:
    """The term as text of about `WIDTH` characters at most."""
    writer = _Writer()
    writer.write(e, [], atomic=False)
    text = "".join(writer.parts)
    return text if len(text) <= WIDTH else text[:WIDTH] + " …"
