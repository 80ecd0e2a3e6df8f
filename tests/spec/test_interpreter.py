"""Machines as they run."""

from pathlib import Path

import pytest

from certify_spec.diagnostics import RequestError
from certify_spec.evaluate import State
from certify_spec.interpreter import Event, Interpreter, Trace, first_world, render, simulate, worlds
from certify_spec.loader import load_text
from certify_spec.values import Element

LOCK = """machine Lock
param limit : Int where 1 <= limit <= 2
sort Call
relation vip(c: Call)
axiom someone : exists c in Call: vip(c)
var held  : Set[Call] = empty
var turns : Int = 0
var lucky : Bool
init not_lucky_twice : not lucky or limit == 2
action take(c: Call) when c not in held and size(held) < limit { held := insert(held, c); turns := turns + 1 }
action swap when turns > 0 { turns := size(held); held := empty }
invariant bounded : size(held) <= limit
step counted on take(c) : turns' == turns + 1 and (vip(c) or lucky or c in held')
instance small { Call = 2, limit = 1 }
"""
C0, C1 = Element("Call", 0), Element("Call", 1)


def test_worlds_satisfy_the_assumptions() -> None:
    """Every world of an instance has its sizes and values, and the axioms hold in it."""
    specification = load_text(LOCK)
    found = list(worlds(specification, specification.instances["small"]))
    assert [(w.sizes["Call"], w.functions["limit"]) for w in found] == [(2, 1)] * 3
    assert all(Interpreter(specification, world).is_a_world() for world in found)


def test_initial_states_satisfy_init() -> None:
    """A variable without a start starts with whatever `init` allows."""
    specification = load_text(LOCK)
    world = first_world(specification)
    assert [state["lucky"] for state in Interpreter(specification, world).initial_states()] == [False]


def test_updates_are_simultaneous() -> None:
    """`swap` reads the state before the step on every right-hand side."""
    specification = load_text(LOCK)
    machine = Interpreter(specification, first_world(specification))
    before = State({"held": frozenset({C0}), "turns": 9, "lucky": False})
    assert machine.take(before, Event("swap")) == State({"held": frozenset(), "turns": 1, "lucky": False})


def test_guards_decide_what_can_happen() -> None:
    """The events of a state are exactly the instances of actions whose guard holds."""
    specification = load_text(LOCK)
    machine = Interpreter(specification, first_world(specification))
    start = next(machine.initial_states())
    assert list(machine.events(start)) == [Event("take", (C0,)), Event("take", (C1,))]
    assert list(machine.events(machine.take(start, Event("take", (C1,))))) == [Event("swap")]


def test_the_same_seed_gives_the_same_run() -> None:
    """A simulation is a function of its seed."""
    specification = load_text(LOCK)
    world = first_world(specification)
    assert simulate(specification, world, 30, 5) == simulate(specification, world, 30, 5)


def test_a_broken_property_ends_the_run() -> None:
    """A run stops at the step that breaks something, and says what."""
    wrong = load_text(
        LOCK.replace("size(held) < limit", "size(held) <= limit").replace("(vip(c) or lucky or c in held')", "true")
    )
    run = simulate(wrong, first_world(wrong), 100, 1)
    assert (run.broken, len(run.trace.last["held"])) == (("bounded",), 2)  # type: ignore[arg-type]  # a set


def test_a_script_is_followed() -> None:
    """Scripted events are taken in order."""
    specification = load_text(LOCK)
    run = simulate(specification, first_world(specification), 0, 0, [Event("take", (C1,)), Event("swap")])
    assert [event.action for event, _ in run.trace.steps] == ["take", "swap"]


def test_a_script_that_cannot_be_followed_is_refused() -> None:
    """A scripted event whose guard is false is SPEC402, with its position."""
    specification = load_text(LOCK)
    with pytest.raises(RequestError, match="SPEC402: step 1 of the script, `swap\\(\\)`, cannot happen"):
        simulate(specification, first_world(specification), 0, 0, [Event("swap")])


def test_contradictory_assumptions_have_no_world() -> None:
    """Assumptions that contradict each other are SPEC401."""
    specification = load_text(LOCK.replace("1 <= limit <= 2", "limit < 1 and limit > 1"))
    with pytest.raises(RequestError, match="SPEC401"):
        first_world(specification)


def test_too_many_values_are_refused() -> None:
    """An instance that cannot be run through is SPEC403, in bounded time."""
    specification = load_text(
        "machine M\nsort Call\nrelation r(a: Call, b: Call)\naxiom x : forall a, b in Call: r(a, b)\n"
        "var n : Int = 0\ninvariant i : n == 0\ninstance big { Call = 9 }\n"
    )
    with pytest.raises(RequestError, match="SPEC403"):
        first_world(specification)


def test_a_trace_is_replayed() -> None:
    """A run replays; a changed one does not, and it is said where."""
    specification = load_text(LOCK)
    world = first_world(specification)
    machine = Interpreter(specification, world)
    trace = simulate(specification, world, 6, 2).trace
    forged = Trace(trace.machine, world, trace.start, ((Event("swap"), trace.start), *trace.steps))
    late = Trace(trace.machine, world, trace.last, ())
    assert machine.replay(trace) == ""
    assert machine.replay(forged) == "`swap` cannot happen at step 1"
    assert machine.replay(late) == "the machine cannot start in the first state"


def test_a_trace_survives_as_data() -> None:
    """A trace comes back from its data form."""
    specification = load_text(LOCK)
    trace = simulate(specification, first_world(specification), 6, 2).trace
    assert Trace.from_data(trace.to_data()) == trace


def test_a_trace_shows_only_what_changed() -> None:
    """A trace is a table of steps, events and changes."""
    specification = load_text(LOCK)
    run = simulate(specification, first_world(specification), 0, 0, [Event("take", (C1,))])
    lines = render(run.trace, specification).splitlines()
    assert lines[-2:] == ["  1  take(c = c1)  held: {} -> {c1}", "                   turns: 0 -> 1"]


def test_the_editor_grammar_knows_every_keyword() -> None:
    """The TextMate grammar highlights exactly the keywords of the language."""
    import json
    import re

    from certify_spec.tokens import KEYWORDS

    grammar = json.loads((Path(__file__).parents[2] / "editors" / "ct.tmLanguage.json").read_text(encoding="utf-8"))
    words = {
        w for group in grammar["repository"]["keywords"]["patterns"] for w in re.findall(r"[a-z]{2,}", group["match"])
    }
    assert words == KEYWORDS
