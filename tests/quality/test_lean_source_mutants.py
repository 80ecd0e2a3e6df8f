"""Random changes to Lean source: the front end always comes to a verdict, and never to a proof of `False`."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import pytest

from certify_verifier.lean import Accepted, Declined, verdict_name
from certify_verifier.lean.session import INSIDE
from certify_verifier.lean.source import check_text

ROOT = Path(__file__).parents[2]
SOURCES = {
    "language": ROOT / "tests" / "verifier" / "lean" / "data" / "language.lean",
    "arithmetic": ROOT / "lean" / "Certify" / "Arithmetic.lean",
    "replicas": ROOT / "lean" / "Certify" / "Replicas.lean",
}
WORDS = [
    "fun",
    "match",
    "with",
    "|",
    "=>",
    "(",
    ")",
    "⟨",
    "⟩",
    ",",
    ":",
    ":=",
    "∀",
    "∃",
    "→",
    "_",
    "@",
    ".1",
    "rfl",
    "0",
    "Nat",
    "Type",
    "Prop",
    "n",
    "x",
    "h",
    "Eq.refl",
    "structure",
    "inductive",
    "where",
    "namespace",
    "end",
    "let",
    "have",
    "show",
    "from",
    "nomatch",
    "calc",
    "Sort",
    "max",
    ".{u}",
    "{x}",
    "(x:=0)",
]
COUNT = 80
STEPS = 100_000


def mutant(text: str, chance: random.Random) -> str:
    """A text with one or two words of one declaration removed, replaced, added or exchanged."""
    parts = text.split("\n\n")
    place = chance.randrange(len(parts))
    words = parts[place].split(" ")
    for _ in range(chance.randrange(1, 3)):
        index, other = chance.randrange(len(words)), chance.randrange(len(words))
        match chance.randrange(4):
            case 0:
                words[index] = ""
            case 1:
                words[index] = chance.choice(WORDS)
            case 2:
                words.insert(index, chance.choice(WORDS))
            case _:
                words[index], words[other] = words[other], words[index]
    return "\n\n".join([*parts[:place], " ".join(words), *parts[place + 1 :]])


@pytest.mark.parametrize("name", SOURCES)
def test_changed_source_always_gets_a_verdict(name: str) -> None:
    """No change makes the checker fail, and no accepted theorem states `False`; most changes are not accepted."""
    chance = random.Random(f"{name} 20261120")
    text = SOURCES[name].read_text(encoding="utf-8")
    found: Counter[str] = Counter()
    for _ in range(COUNT):
        report = check_text(mutant(text, chance), "mutant", steps=STEPS)
        found[verdict_name(report.verdict)] += 1
        reasons = [
            verdict.reason
            for verdict in (report.verdict, *(e.verdict for e in report.entries))
            if isinstance(verdict, Declined)
        ]
        assert not [reason for reason in reasons if INSIDE in reason]
        assert not [e for e in report.theorems if e.verdict == Accepted() and e.statement == "False"]
    assert sum(found.values()) == COUNT
    assert found["accepted"] < COUNT // 2
