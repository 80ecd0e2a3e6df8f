"""Names of Lean constants, written as text.

Rules this module keeps:

- a name is the text Lean shows for it: components joined by dots, a component that is no plain identifier in «…»;
- writing is injective: two different lists of components never give the same text, so text comparison decides;
- the anonymous name is the empty text.

Source: the `Name` type of the Lean 4 reference (anonymous, string component, number component).
"""

from __future__ import annotations

from typing import Final

Name = str

ANONYMOUS: Final[Name] = ""


def _is_plain(part: str) -> bool:
    if not part or part[0].isdigit():
        return False
    return all(c.isalnum() or c in "_'!?" for c in part)


def text_component(part: str) -> str:
    """A string component as text, in «…» when it could be mistaken for anything else."""
    return part if _is_plain(part) else "«" + part.replace("»", "»»") + "»"


def child(prefix: Name, part: str | int) -> Name:
    """The name `prefix.part`; numbers are written bare, strings quoted where needed."""
    shown = str(part) if isinstance(part, int) else text_component(part)
    return f"{prefix}.{shown}" if prefix else shown


def prefix_of(name: Name) -> Name:
    """The name without its last component, the anonymous name for a single component."""
    return _split_last(name)[0]


def last_of(name: Name) -> str:
    """The last component as written."""
    return _split_last(name)[1]


def _split_last(name: Name) -> tuple[Name, str]:
    """The name cut at its last dot outside quotation marks."""
    cut, index, quoted = -1, 0, False
    while index < len(name):
        if quoted and name.startswith("»»", index):
            index += 1
        elif name[index] in "«»":
            quoted = not quoted
        elif name[index] == "." and not quoted:
            cut = index
        index += 1
    return (name[:cut], name[cut + 1 :]) if cut >= 0 else (ANONYMOUS, name)
