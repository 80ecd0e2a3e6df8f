"""Text that comes from a node, made fit to be looked at.

Every field of evidence is hostile: what a node answers, names, prints and raises ends up in it.

Rules this module keeps:

- a character that nobody can see (control characters, overrides of direction, joiners, fillers, blanks that are no
  space) is shown by its code point, never passed on;
- a letter that looks like another is shown with its code point: in names wherever it is not Latin, in prose wherever a
  word mixes scripts or a letter is a mere form of an ASCII one;
- what a text says is not changed otherwise, and how much was left out is said.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

_WORD: Final = re.compile(r"\w+")
_INVISIBLE_CATEGORIES: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
#: Characters of visible categories that are drawn as nothing or as a blank: fillers, selectors, the empty Braille cell.
_BLANK: Final = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)
_MOST_MARKS: Final = 2
_ALIKE_SCRIPTS: Final = frozenset({"CYRILLIC", "GREEK", "ARMENIAN", "CHEROKEE", "COPTIC", "LISU", "GEORGIAN", "LATIN"})
_XML: Final = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of text that can be shown as it is, or, if `mark`, the name of a code point to be set apart."""

    text: str
    mark: bool = False


def code_point(character: str) -> str:
    """The character's code point, as ``U+202E``."""
    return f"U+{ord(character):04X}"


def pieces(text: str, *, name: bool = False) -> Iterator[Piece]:
    """The text with code points in place of what cannot be seen, and after what looks like something else.

    Line breaks and tabs stay as they are.

    Args:
        text: any text.
        name: whether it names something (a file, a host, a package, a policy): there every letter beyond the Latin ones
            is told by its code point too.
    """
    if text.isascii() and (text.isprintable() or _has_plain_blanks_only(text)):
        yield Piece(text)
        return
    suspects = _names_letters(text) if name else _prose_letters(text)
    kept: list[str] = []
    marks = 0
    for index, character in enumerate(text):
        marks = marks + 1 if unicodedata.category(character) in {"Mn", "Me"} else 0
        hidden = is_hidden(character) or marks > _MOST_MARKS
        if not hidden:
            kept.append(character)
        if hidden or index in suspects:
            if kept:
                yield Piece("".join(kept))
                kept = []
            yield Piece(code_point(character), mark=True)
    if kept:
        yield Piece("".join(kept))


def plain(text: str, *, name: bool = False) -> str:
    """`pieces` as one text, with code points in angle brackets: ``⟨U+202E⟩``."""
    return "".join(f"⟨{piece.text}⟩" if piece.mark else piece.text for piece in pieces(text, name=name))


def one_line(text: str, *, name: bool = False) -> str:
    """`plain` in one line."""
    return " ".join(plain(text, name=name).split())


def shortened(text: str, most: int) -> str:
    """The text's first `most` characters, with the number of those left out."""
    return text if len(text) <= most else f"{text[:most]}… ({len(text) - most} more characters)"


def for_xml(text: str) -> str:
    """`plain`, and without anything that XML 1.0 has no place for."""
    return _XML.sub(lambda match: f"⟨{code_point(match[0])}⟩", plain(text))


def runs_from_right(text: str) -> bool:
    """Whether the text has letters of a script that is written from right to left."""
    return not text.isascii() and any(unicodedata.bidirectional(character) in {"R", "AL"} for character in text)


@lru_cache(maxsize=4096)
def is_hidden(character: str) -> bool:
    """Whether a character is drawn as nothing, as a blank that is no space, or moves others about."""
    if character in "\t\n":
        return False
    if character == "\N{REPLACEMENT CHARACTER}":
        return False
    category = unicodedata.category(character)
    return (
        category in _INVISIBLE_CATEGORIES
        or (category == "Zs" and character != " ")
        or _BLANK.match(character) is not None
    )


def _has_plain_blanks_only(text: str) -> bool:
    return text.replace("\n", "").replace("\t", "").isprintable()


def _names_letters(text: str) -> frozenset[int]:
    """Positions of characters that a name had better not have: beyond ASCII, and no Latin letter."""
    return frozenset(
        index
        for index, character in enumerate(text)
        if not character.isascii()
        and not is_hidden(character)
        and (_script(character) != "LATIN" or _is_form(character))
        and character != "…"
    )


def _prose_letters(text: str) -> frozenset[int]:
    found: set[int] = set()
    for word in _WORD.finditer(text):
        if word[0].isascii():
            continue
        letters = [(index, text[index]) for index in range(*word.span()) if text[index].isalpha()]
        scripts = {_script(letter) for _, letter in letters} & _ALIKE_SCRIPTS
        for index, letter in letters:
            mixed = len(scripts) > 1 and "LATIN" in scripts and _script(letter) in scripts - {"LATIN"}
            if mixed or _is_form(letter):
                found.add(index)
    return frozenset(found)


@lru_cache(maxsize=4096)
def _script(character: str) -> str:
    """The first word of the character's Unicode name, which is its script for letters."""
    return unicodedata.name(character, "").partition(" ")[0]


@lru_cache(maxsize=4096)
def _is_form(character: str) -> bool:
    """Whether the character is a mere form (wide, mathematical, circled …) of ASCII ones."""
    return not character.isascii() and unicodedata.normalize("NFKC", character).isascii()
