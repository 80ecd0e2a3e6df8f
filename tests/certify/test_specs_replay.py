"""Counterexamples as tests, and scripts: what is written can be run, and says when a specification is repaired."""

import subprocess
import sys
from pathlib import Path

import pytest

from certify.specs import pytest_file, script
from certify.specs.replay import replay
from certify_spec.diagnostics import RequestError
from certify_spec.interpreter import Event, first_world
from certify_spec.loader import load_text
from certify_spec.values import Row, Tagged
from specs_support import C0, C1, LOCK, NO_CHECK, VERDICTS, bad_run, verified


def pytest_of(folder: Path) -> subprocess.CompletedProcess[str]:
    """What pytest says of a folder, without plug-ins or configuration from elsewhere."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir=.", "-c", "/dev/null", "."]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, check=False)


def test_a_written_test_fails_until_the_machine_is_repaired(tmp_path: Path) -> None:
    """The test fails with the run and the broken clause; once the guard is back it passes."""
    spec = tmp_path / "specs" / "lock.ct"
    spec.parent.mkdir()
    spec.write_text(NO_CHECK)
    target = tmp_path / "tests" / "test_lock.py"
    target.parent.mkdir()
    target.write_text(pytest_file.render([verified(VERDICTS["refuted"], path=str(spec))], target))
    failed = pytest_of(target.parent)
    assert (failed.returncode, "broken: c == d (with c = c0, d = c1)" in failed.stdout) == (1, True)
    spec.write_text(LOCK)
    assert pytest_of(target.parent).returncode == 0


def test_tests_of_one_name_are_told_apart(tmp_path: Path) -> None:
    """Two counterexamples of one property are two tests, and the file is Python whatever the path is called."""
    machine = verified(VERDICTS["refuted"], VERDICTS["refuted"], path='we\'ird"""\\.ct')
    text = pytest_file.render([machine], tmp_path / "test_x.py")
    names: dict[str, object] = {"__file__": str(tmp_path / "test_x.py")}
    exec(compile(text, "test_x.py", "exec"), names)
    assert sorted(name for name in names if name.startswith("test_")) == [
        "test_lock_one_holder",
        "test_lock_one_holder_2",
    ]
    assert text.startswith(pytest_file.MARK)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (NO_CHECK, "broken: c == d"),
        (LOCK, ""),
        (NO_CHECK.replace("one_holder", "another"), "has no safety property `one_holder` any more"),
        (NO_CHECK.replace("sort Call", "sort Call\nparam limit : Int where limit > 1"), "sets no value for limit"),
        (NO_CHECK.replace("instance", "param never : Int where never < never\ninstance"), "sets no value for never"),
        (NO_CHECK.replace("enum Stage { outside, inside }", "enum Stage { outside, inside, gone }"), "broken: c == d"),
        (NO_CHECK.replace("var taken : Int                = 0", "var taken : Int = 7"), "broken: c == d"),
        (NO_CHECK.replace("Call", "Client"), "the run no longer fits"),
    ],
    ids=["as it was", "repaired", "renamed", "new param", "no world", "new case", "other start", "other sort"],
)
def test_a_run_is_replayed_against_the_machine_as_it_is(tmp_path: Path, text: str, expected: str) -> None:
    """A run is broken, repaired, or does not fit any more, and each is said."""
    spec = tmp_path / "lock.ct"
    spec.write_text(text)
    told = replay(spec, "one_holder", bad_run().to_data())
    assert (expected in told, bool(told)) == (True, bool(expected))


def test_a_law_is_replayed_with_its_values(tmp_path: Path) -> None:
    """A refuted law fails for the same values until it is repaired."""
    spec = tmp_path / "t.ct"
    spec.write_text("theory T\nlaw small(x: Int) : x < 5\n")
    run = {"machine": "T", "sizes": {}, "functions": {}, "ranges": {}, "start": {"x": 5}, "steps": []}
    assert "broken: x < 5" in replay(spec, "small", run)
    spec.write_text("theory T\nlaw small(x: Int) : x < 5 or x >= 5\n")
    assert replay(spec, "small", run) == ""


VALUES = """machine Values
sort Call
sort Client
enum Outcome { success, failure(Int) }
record Ticket { era: Int, probe: Bool }
var n : Int = 0
action rest { n := 0 }
action call(c: Call, k: Client) { n := 1 }
action report(o: Outcome, t: Ticket) { n := 2 }
action several(s: Set[Bool], d: Duration) { n := 3 }
action deep(m: Map[Bool -> Int]) { n := 4 }
"""


def events(text: str) -> tuple[Event, ...]:
    """The events of a script over `VALUES`."""
    specification = load_text(VALUES)
    return script.read(text, "run.txt", specification, first_world(specification))


def test_a_script_reads_what_traces_print() -> None:
    """Every kind of argument that a trace prints can be written in a script."""
    read = events(
        "rest -- nothing\n\nrest()\nreport(o = failure(-2), t = Ticket(era = 1, probe = true))\n"
        "report(success, (era = 1, probe = false))\nseveral({true, false}, d = 3)\nseveral({}, 0)\n"
    )
    assert read[2] == Event("report", (Tagged("failure", -2), Row((("era", 1), ("probe", True)))))
    assert read[4] == Event("several", (frozenset({True, False}), 3))
    assert [event.action for event in read] == ["rest", "rest", "report", "report", "several", "several"]


def test_elements_are_named_as_traces_name_them() -> None:
    """Sorts with one first letter are written in full."""
    [event] = events("call(call1, client0)")
    assert [argument.index for argument in event.arguments if hasattr(argument, "index")] == [1, 0]


@pytest.mark.parametrize(
    ("line", "column", "reason"),
    [
        ("nope", 1, "there is no action `nope`"),
        ("repor(success)", 1, "did you mean `report`?"),
        ("call(c0, client0)", 6, "write one of call0, call1"),
        ("call(call0)", 11, "`,` is expected here, not `)`"),
        ("call(call0", 11, "`,` is expected here, not the line's end"),
        ("rest(1)", 6, "`)` is expected here, not `1`"),
        ("rest rest", 6, "`rest` stands after the action"),
        ("report(failure, (era = 1, probe = true))", 15, "`(` is expected here, not `,`"),
        ("report(maybe, x)", 8, "write one of success, failure"),
        ("several({1}, 2)", 10, "`1` is no value of `Bool`"),
        ("several({}, true)", 13, "write a number"),
        ("deep(x)", 6, "cannot be written in a script"),
        ("call(\u0441all0)", 6, "cannot stand in a script"),
        ("rest \x00", 6, "`⟨U+0000⟩` cannot stand in a script"),
        ("(" * 5000, 1, "there is no action `(`"),
    ],
)
def test_a_wrong_line_is_told_with_its_place(line: str, column: int, reason: str) -> None:
    """Each mistake has a line, a column, and what would be right."""
    with pytest.raises(RequestError) as caught:
        events(f"rest\n{line}\n")
    [told] = caught.value.diagnostics
    assert told.place is not None
    assert (told.code, told.place.line, told.place.column) == ("VER005", 2, column)
    assert reason in told.message


def test_all_wrong_lines_are_told_at_once() -> None:
    """One call tells every mistake."""
    with pytest.raises(RequestError) as caught:
        events("a\nb\nrest\nc\n")
    assert [told.place.line for told in caught.value.diagnostics if told.place] == [1, 2, 4]


def test_elements_of_the_run_are_distinct() -> None:
    """The run that the other tests build on is one of two callers."""
    assert [event.arguments for event, _ in bad_run().steps] == [(C0,), (2,), (C1,)]
