"""Where two runs part: the first line at which a value differs, whatever else goes on (C-DETERMINISM)."""

from __future__ import annotations

from certify.checks.divergence import Divergence, divergence, readings, sendings
from certify.laboratory.record import Event, EventKind, Plan, RunRecord, Step, World
from certify.manifest.model import Factor
from certify_spec.diagnostics import Place


def run(
    *steps: tuple[int, dict[str, str]] | tuple[int, dict[str, str], int], events: tuple[Event, ...] = ()
) -> RunRecord:
    """A run that reached these lines with these values, in thread 0 or the one named."""
    made = tuple(Step(Place("n.py", step[0]), "node", step[1], step[2] if len(step) > 2 else 0) for step in steps)
    return RunRecord(Plan(()), (), events, (), World(), (0,), steps=(made,))


def line(found: Divergence | None) -> tuple[int, str] | None:
    """Line and variable."""
    return (found.place.line, found.variable) if found else None


def test_equal_runs_do_not_part() -> None:
    """Equal steps, and no steps at all, part nowhere."""
    assert divergence(run((1, {"a": "1"})), run((1, {"a": "1"}))) is None
    assert divergence(run(), run()) is None


def test_the_first_value_that_differs_is_named() -> None:
    """Of several differences the first counts."""
    first = run((1, {"a": "1"}), (2, {"b": "x"}), (3, {"c": "x"}))
    second = run((1, {"a": "1"}), (2, {"b": "y"}), (3, {"c": "y"}))
    found = divergence(first, second)
    assert found == Divergence(Place("n.py", 2), "node", "b", "x", "y")
    assert found is not None
    assert found.describe() == "`b` was x\nand then y"


def test_a_value_that_only_one_run_changed_differs() -> None:
    """A variable that is changed in one run alone is a difference."""
    found = divergence(run((1, {"a": "1"})), run((1, {})))
    assert found is not None
    assert (line(found), found.second) == ((1, "a"), "unchanged")


def test_another_way_is_named_by_the_line_before() -> None:
    """When the lines themselves differ, the line that decided is the one before."""
    found = divergence(run((1, {}), (2, {}), (3, {})), run((1, {}), (2, {}), (5, {})))
    assert found is not None
    assert (line(found), "different ways" in found.describe()) == ((2, ""), True)


def test_a_run_that_ends_early_parts_at_its_end() -> None:
    """A run that is a beginning of the other parts at its last line."""
    assert line(divergence(run((1, {}), (2, {})), run((1, {}), (2, {}), (3, {})))) == (2, "")


def test_what_differs_anyway_is_left_out() -> None:
    """A timer that differs in two runs of the same surroundings does not hide the leak behind it."""
    first = run((1, {"t": "0.1"}), (2, {"names": "[a, b]"}))
    twin = run((1, {"t": "0.2"}), (2, {"names": "[a, b]"}))
    second = run((1, {"t": "0.3"}), (2, {"names": "[b, a]"}))
    assert line(divergence(first, second)) == (1, "t")
    assert line(divergence(first, second, twin)) == (2, "names")
    assert divergence(first, twin, run((1, {"t": "0.4"}), (2, {"names": "[a, b]"}))) is None


def test_the_main_thread_comes_first() -> None:
    """What other threads do is looked at last, or not at all."""
    first = run((7, {"x": "1"}, 1), (2, {"found": "[1]"}))
    second = run((7, {"x": "2"}, 1), (2, {"found": "[2]"}))
    calm = run((7, {"x": "2"}, 1), (2, {"found": "[1]"}))
    assert line(divergence(first, second)) == (2, "found")
    assert line(divergence(first, calm)) == (7, "x")
    assert divergence(first, calm, main_only=True) is None


def test_returned_and_raised_values_have_names() -> None:
    """What is returned or raised is said in words."""
    parts = [Divergence(Place("n.py", 1), "node", name, "1", "2").describe() for name in ("return", "raised")]
    assert parts == ["the returned value was 1\nand then 2", "what was raised was 1\nand then 2"]


def test_readings_and_sendings_have_a_place() -> None:
    """Only what the node's own lines did counts, by factor."""
    place = Place("n.py", 3)
    events = (
        Event(EventKind.CLOCK, "time.time", place=place),
        Event(EventKind.CLOCK, "time.time"),
        Event(EventKind.ENV, "HOME", place=place),
        Event(EventKind.CONNECT, "a:1", place=place),
    )
    seen = run(events=events)
    assert [event.target for event in readings(seen, Factor.CLOCK)] == ["time.time"]
    assert [event.target for event in readings(seen, Factor.ENV)] == ["HOME"]
    assert [event.target for event in readings(seen, None)] == ["time.time"]
    assert [event.target for event in sendings(seen)] == ["a:1"]


def test_a_clock_that_runs_on_is_no_reading_of_the_wall_clock_or_the_zone() -> None:
    """A pool's wait reads the monotonic clock: what it waits for may be a race, but neither clock nor time zone."""
    pool = Event(EventKind.CLOCK, "time.monotonic", 0, {"through": ["threading"]}, Place("n.py", 3))
    asked = Event(EventKind.CLOCK, "time.clock_gettime", 0, {}, Place("n.py", 4))
    seen = run((3, {}), events=(pool, asked))
    for factor in (Factor.CLOCK, Factor.TIMEZONE):
        assert readings(seen, factor) == (asked,)
    assert readings(seen, None) == (pool, asked)
