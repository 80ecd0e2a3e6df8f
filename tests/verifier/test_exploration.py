"""P-VERIFY: runs of the interpreter show cheaply that things can happen, and never more than they show."""

from pathlib import Path

import pytest

from certify_spec import model as m
from certify_spec.interpreter import Interpreter
from certify_spec.loader import Loader, load_text, shipped
from certify_verifier.exploration import explore
from certify_verifier.search import Goal
from certify_verifier.verify import finite_sizes

MACHINES = [path for path in shipped() if path.parent.name != "laws"]
#: Six distinct places of layers are too seldom drawn at random: the solver finds the runs of this machine.
SELDOM_A_WORLD = {"stack"}


def goals_of(specification: m.Specification) -> list[Goal]:
    """That each action is taken, and each goal reached."""
    actions = [Goal(name, action=name) for name in specification.actions]
    states = [Goal(f.name, state=f.formula, wanted=True) for f in specification.of_kind(m.Kind.REACHABLE)]
    return actions + states


@pytest.mark.parametrize("path", MACHINES, ids=lambda path: path.stem)
def test_runs_are_runs(path: Path) -> None:
    """Every run replays, its world satisfies the assumptions, and it ends where it is said to end."""
    specification = Loader().load(path)
    found = explore(specification, goals_of(specification), finite_sizes(specification))
    assert found or path.stem in SELDOM_A_WORLD
    for goal in goals_of(specification):
        trace = found.get(goal.name)
        if trace is None:
            continue
        machine = Interpreter(specification, trace.world)
        assert (machine.is_a_world(), machine.replay(trace)) == (True, "")
        assert not goal.action or trace.steps[-1][0].action == goal.action
        assert goal.state is None or machine.holds(goal.state, trace.last)


def test_the_impossible_is_not_reached() -> None:
    """A goal that no run reaches has no run, and hides none of the others."""
    text = "machine Up\nvar n : Int = 0\naction up when n < 3 { n := n + 1 }\naction down when n < 0 { n := 0 }\n"
    specification = load_text(text + "reachable three : n == 3\nreachable four : n == 4\n")
    assert set(explore(specification, goals_of(specification), {})) == {"up", "three"}


def test_what_cannot_be_run_through_is_left_to_the_search() -> None:
    """Neither endless arguments, nor a contradiction, nor a parameter without small values raises or hangs."""
    many = (
        "machine Many\nvar n : Int = 0\naction to(a: Int, b: Int, c: Int, d: Int, e: Int) { n := a + b + c + d + e }\n"
    )
    never = "machine Never\nparam p : Int where p > 0 and p < 0\nvar n : Int = 0\naction up { n := n + p }\n"
    large = "machine Large\nparam p : Int where p > 1000000\nvar n : Int = 0\naction up { n := n + p }\n"
    for text in (many, never, large):
        specification = load_text(text)
        assert explore(specification, goals_of(specification), {}) == {}


def test_time_ends_the_runs() -> None:
    """When the time is used up, what was found is given, and nothing else happens."""
    specification = load_text("machine Up\nvar n : Int = 0\naction up { n := n + 1 }\n")
    clock = iter([0.0, *([1e9] * 50)])
    assert explore(specification, goals_of(specification), {}, lambda: next(clock)) == {}
