"""Claims about hostile text: what cannot be seen is shown, what looks alike is marked, the rest is left alone."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from certify.report.text import for_xml, is_hidden, one_line, pieces, plain, shortened


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("abc\u202edcba", "abc⟨U+202E⟩dcba"),
        ("\x1b[31mred", "⟨U+001B⟩[31mred"),
        ("zero\u200bwidth", "zero⟨U+200B⟩width"),
        ("a\u00a0b", "a⟨U+00A0⟩b"),
        ("tag\U000e0041", "tag⟨U+E0041⟩"),
        ("\u3164", "⟨U+3164⟩"),
        ("line\u2028end", "line⟨U+2028⟩end"),
        ("back\rspace", "back⟨U+000D⟩space"),
        ("\x00\x7f\x9b", "⟨U+0000⟩⟨U+007F⟩⟨U+009B⟩"),
        ("p\u0430ypal", "pа⟨U+0430⟩ypal"),
        ("\uff41dmin", "ａ⟨U+FF41⟩dmin"),
        ("z\u0301\u0301\u0301", "z\u0301\u0301⟨U+0301⟩"),
    ],
)
def test_what_deceives_is_made_visible(said: str, shown: str) -> None:
    """C-REPORT: overrides, control characters, blanks, fillers and look-alikes show their code points."""
    assert plain(said) == shown


@pytest.mark.parametrize("said", ["größe", "Привет, мир", "שלום", "日本語", "naïve café", "a\n\tb", "½ × π ≤ ∞", "…"])
def test_honest_text_is_left_alone(said: str) -> None:
    """C-REPORT: prose of any one script, signs and line breaks stay as they are."""
    assert plain(said) == said


def test_a_name_in_another_script_is_marked_as_a_whole() -> None:
    """C-REPORT: a host that is wholly Cyrillic looks Latin in prose; as a name every letter is told."""
    assert plain("\u0440\u0430") == "\u0440\u0430"
    assert plain("\u0440\u0430", name=True) == "р⟨U+0440⟩а⟨U+0430⟩"


@given(st.text())
def test_nothing_hidden_passes(said: str) -> None:
    """C-REPORT: whatever the text, no hidden character is left, and marking twice changes nothing hidden."""
    assert [c for c in plain(said) if is_hidden(c)] == []
    assert "\n" not in one_line(said)
    assert "".join(piece.text for piece in pieces(said) if not piece.mark) == "".join(
        c for c in plain_of_marks(said) if not is_hidden(c)
    )


def plain_of_marks(said: str) -> str:
    """The text without combining marks beyond the second in a row."""
    kept, marks = [], 0
    for character in said:
        marks = marks + 1 if unicodedata.category(character) in {"Mn", "Me"} else 0
        if marks <= 2:
            kept.append(character)
    return "".join(kept)


@given(st.text(st.characters(codec=None)))
def test_xml_gets_only_what_it_has_a_place_for(said: str) -> None:
    """C-REPORT: control characters and surrogates never reach an XML document."""
    assert all(c in "\t\n\r" or c >= " " for c in for_xml(said))
    assert for_xml(said).isprintable() or set("\t\n") & set(for_xml(said))


def test_what_is_left_out_is_counted() -> None:
    """C-REPORT: a cut text says by how much."""
    assert shortened("x" * 12, 10) == "xxxxxxxxxx… (2 more characters)"
