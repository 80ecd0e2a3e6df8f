"""P-VERIFY: parts of guards that change nothing are noted, and only these."""

from pathlib import Path

import pytest

from certify.cli.app import run
from certify_spec.loader import load_text
from certify_verifier.redundancy import redundant_guards
from certify_verifier.solving import Solvers

GATE = """machine Gate
param most : Int where most >= 1
var inside : Int = 0
action enter when inside < most and inside >= 0 { inside := inside + 1 }
action leave when inside > 0 { inside := inside - 1 }
invariant bounded : inside >= 0 and inside <= most
"""


def test_a_seeded_part_that_changes_nothing_is_noted(solvers: Solvers) -> None:
    """What the invariant says already is noted; the border and the exit, which it does not say, are not."""
    found = redundant_guards(load_text(GATE), solvers)
    assert [(guard.action, guard.text, guard.place.line) for guard in found] == [("enter", "inside >= 0", 4)]


def test_without_the_invariant_it_says_something(solvers: Solvers) -> None:
    """The same part is needed where no invariant implies it."""
    assert redundant_guards(load_text(GATE.replace("inside >= 0 and inside <= most", "inside <= most")), solvers) == ()


def test_it_is_a_note_and_no_failure(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command notes it with `--all`, each time, and the status is that of a proof."""
    monkeypatch.chdir(tmp_path)
    Path("gate.ct").write_text(GATE, encoding="utf-8")
    for _ in range(2):
        assert run(["verify", "gate.ct", "--all", "--jobs", "1"]) == 0
        out = capsys.readouterr().out
        assert "VER106" in out
        assert out.count("changes nothing") == 1
