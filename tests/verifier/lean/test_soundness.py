"""The kernel refuses wrong declarations, each for its own reason."""

from __future__ import annotations

import pytest

from certify_verifier.lean.errors import Refused
from certify_verifier.lean.session import run_deep
from quality.lean_bad import BAD, Bad
from quality.lean_world import world


@pytest.mark.parametrize("entry", BAD, ids=lambda entry: entry.name)
def test_wrong_declarations_are_refused_for_their_own_reason(entry: Bad) -> None:
    """A declaration that breaks a rule of the theory is refused with that rule's code."""

    def attempt() -> str:
        with pytest.raises(Refused) as caught:
            entry.attempt(world())
        return caught.value.rule.code

    assert entry.code == run_deep(attempt)


def test_the_corpus_is_large_and_named_apart() -> None:
    """At least 60 wrong declarations, no two of the same name, over at least 30 rules."""
    assert len(BAD) >= 60
    assert len({entry.name for entry in BAD}) == len(BAD)
    assert len({entry.code for entry in BAD}) >= 30
