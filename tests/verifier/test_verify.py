"""Verdicts: what is proved, what is refuted and by which run, and what is neither."""

from pathlib import Path

import pytest

from certify_spec.interpreter import Interpreter
from certify_spec.loader import load, load_text
from certify_verifier.cache import Cache
from certify_verifier.solving import Solvers
from certify_verifier.verdict import (
    Finding,
    NotInductive,
    Proved,
    Refuted,
    Undecided,
    Vacuous,
    Verdict,
)
from certify_verifier.verify import Report, Settings, verify

GATE = """machine Gate
param limit : Int where limit >= 1
sort Call
var inside : Set[Call] = empty
var count  : Int       = 0
fair action enter(c: Call) when count < limit and c not in inside {
  inside := insert(inside, c)
  count := count + 1
}
fair action leave(c: Call) when c in inside { inside := remove(inside, c); count := count - 1 }
invariant bounded : size(inside) <= limit
invariant counted : count == size(inside)
always positive : forall c in inside: count >= 1
step one_by_one : size(inside)' - size(inside) <= 1
reachable full : size(inside) == limit and limit == 2
instance small { Call = 3 }
"""


def report(text: str, solvers: Solvers, settings: Settings | None = None) -> Report:
    """What is found of a specification."""
    return verify(load_text(text), solvers, settings)


def finding(found: Report, name: str) -> Finding:
    """What is found of one property."""
    return next(f for f in found.findings if f.name == name)


def verdict(text: str, name: str, solvers: Solvers) -> Verdict:
    """The verdict on one property."""
    return finding(report(text, solvers), name).verdict


def test_a_right_machine_is_proved(solvers: Solvers) -> None:
    """Every property of a right machine is proved, for any number of calls and any limit."""
    found = report(GATE, solvers)
    assert [(f.name, f.verdict) for f in found.findings if not isinstance(f.verdict, Proved)] == []


def test_both_solvers_agree(solvers: Solvers) -> None:
    """The second solver proves what the first does."""
    assert report(GATE, solvers, Settings(solver="both")).is_proved


def test_a_wrong_guard_is_refuted_by_a_shortest_run(solvers: Solvers) -> None:
    """Letting one too many in is shown by the run that does it, which the interpreter replays."""
    text = GATE.replace("count < limit", "count <= limit")
    found = verdict(text, "bounded", solvers)
    assert isinstance(found, Refuted)
    assert [event.action for event, _ in found.trace.steps] == ["enter", "enter"]
    assert Interpreter(load_text(text), found.trace.world).replay(found.trace) == ""
    assert found.clause == "size(inside) <= limit"


def test_a_wrong_step_is_refuted(solvers: Solvers) -> None:
    """A step property is refuted by a run whose last step breaks it."""
    found = verdict(GATE.replace("<= 1\nreachable", "<= 0\nreachable"), "one_by_one", solvers)
    assert isinstance(found, Refuted)
    assert len(found.trace.steps) == 1


def test_what_needs_a_lemma_is_not_inductive(solvers: Solvers) -> None:
    """A property that holds but does not carry itself is neither proved nor refuted, and the state is shown."""
    found = verdict(GATE.replace("invariant counted : count == size(inside)\n", ""), "bounded", solvers)
    assert isinstance(found, NotInductive)
    assert found.event is not None
    assert found.event.action == "enter"


def test_nothing_is_proved_from_what_is_not(solvers: Solvers) -> None:
    """What holds only together with a wrong invariant is not called proved."""
    text = GATE.replace(
        "invariant counted : count == size(inside)", "invariant counted : count == size(inside) and count < 2"
    )
    found = report(text, solvers)
    assert isinstance(finding(found, "counted").verdict, Refuted)
    assert isinstance(finding(found, "bounded").verdict, Undecided)


def test_contradictory_assumptions_are_vacuous(solvers: Solvers) -> None:
    """Assumptions that nothing satisfies prove nothing."""
    found = verdict(GATE.replace("limit >= 1", "limit >= 1 and limit < 1"), "Gate", solvers)
    assert found == Vacuous("the assumptions and the initial state")


def test_an_action_that_cannot_happen_is_vacuous(solvers: Solvers) -> None:
    """A guard that the invariants exclude is told."""
    found = verdict(GATE.replace("when c in inside", "when c in inside and count == 0"), "leave", solvers)
    assert found == Vacuous("leave")


def test_a_premise_that_cannot_be_met_is_vacuous(solvers: Solvers) -> None:
    """An implication whose premise never holds says nothing."""
    text = GATE + "always idle : count > limit implies limit == 7\n"
    assert verdict(text, "premise of idle", solvers) == Vacuous("premise of idle")


def test_a_goal_too_far_away_is_undecided(solvers: Solvers) -> None:
    """What no run within the bound reaches is not called impossible."""
    text = "machine Far\nvar n : Int = 0\naction up { n := n + 1 }\ninvariant x : n >= 0\nreachable far : n == 99\n"
    assert isinstance(verdict(text, "far", solvers), Undecided)


def test_an_unreachable_goal_is_vacuous(solvers: Solvers) -> None:
    """What the invariants exclude is told as that."""
    text = "machine Never\nvar n : Int = 0\naction up { n := n + 1 }\ninvariant x : n >= 0\nreachable below : n < 0\n"
    assert verdict(text, "below", solvers) == Vacuous("below")


def test_a_wrong_law_is_refuted_with_its_values(solvers: Solvers) -> None:
    """A law is refuted by values that break it, functions as tables."""
    text = "theory T\nlaw all_the_same[A, B](f: A -> B, x: A, y: A) : f(x) == f(y)\n"
    found = verdict(text, "all_the_same", solvers)
    assert isinstance(found, Refuted)
    assert set(found.trace.start) == {"f", "x", "y"}


def test_contradictory_axioms_are_vacuous(solvers: Solvers) -> None:
    """A theory without a model proves everything and means nothing."""
    axioms = "axiom a : forall x in S: r(x)\naxiom b : exists x in S: not r(x)\n"
    text = f"theory T\nsort S\nrelation r(x: S)\n{axioms}law l(x: S) : r(x)\n"
    assert verdict(text, "T", solvers) == Vacuous("the axioms")


PROGRESS = """machine Count
param high : Int where high >= 1
var n    : Int  = 0
var idle : Bool = true
{fair}action up when n < high {{ n := n + 1 }}
action rest {{ idle := not idle }}
invariant x : 0 <= n <= high
progress ends : n < high ~> n == high by {rank} helpful up
"""


@pytest.mark.parametrize(
    ("fair", "rank", "expected"),
    [
        ("fair ", "high - n", Proved),
        ("", "high - n", Undecided),
        ("fair ", "n", NotInductive),
        ("fair ", "0 - n", NotInductive),
        ("fair ", "high", NotInductive),
        ("fair ", "if idle then 2 * (high - n) else 2 * (high - n) + 1", NotInductive),
    ],
    ids=["right", "not fair", "growing rank", "negative rank", "constant rank", "another action raises it"],
)
def test_rankings(solvers: Solvers, fair: str, rank: str, expected: type) -> None:
    """A ranking must fall, must not be negative, must not grow, and its helpful actions must be fair."""
    assert isinstance(verdict(PROGRESS.format(fair=fair, rank=rank), "ends", solvers), expected)


def test_a_helpful_action_must_stay_enabled(solvers: Solvers) -> None:
    """Weak fairness does not help an action that is enabled only now and then."""
    text = PROGRESS.format(fair="fair ", rank="high - n").replace("when n < high {", "when n < high and idle {")
    assert isinstance(verdict(text, "ends", solvers), NotInductive)


def test_a_chain_is_as_strong_as_its_links(solvers: Solvers) -> None:
    """A chain joins progress; with a weak link it proves nothing."""
    text = """machine Two
var n : Int = 0
fair action a when n == 0 { n := 1 }
fair action b when n == 1 { n := 2 }
invariant x : 0 <= n <= 2
progress first : n == 0 ~> n == 1 by 1 helpful a
progress second : n == 1 ~> n == 2 by 1 helpful b
progress both : n == 0 ~> n == 2 chain first, second
"""
    right, wrong = (verdict(t, "both", solvers) for t in (text, text.replace("fair action b", "action b")))
    assert (type(right), type(wrong)) == (Proved, Undecided)


ABSTRACT = """machine Counter
var free : Int = 2
action take when free > 0 { free := free - 1 }
action give { free := free + 1 }
invariant x : free >= 0
"""
CONCRETE = """machine Pool
sort Call
var held : Set[Call] = empty
action enter(c: Call) when c not in held and size(held) < LIMIT { held := insert(held, c) }
action leave(c: Call) when c in held { held := remove(held, c) }
action look when size(held) == 0 { held := held }
invariant x : size(held) <= LIMIT
refines Counter from "counter.ct" via {
  var free = 2 - size(held)
  action enter(c) = take
  action leave(c) = give
}
instance small { Call = 3 }
"""


@pytest.mark.parametrize(("limit", "expected"), [("2", Proved), ("3", NotInductive)])
def test_refinement(solvers: Solvers, tmp_path: Path, limit: str, expected: type) -> None:
    """A machine refines another if each of its steps is one of the other's; letting one more in is not."""
    (tmp_path / "counter.ct").write_text(ABSTRACT)
    (tmp_path / "pool.ct").write_text(CONCRETE.replace("LIMIT", limit))
    found = verify(load(tmp_path / "pool.ct"), solvers)
    assert isinstance(finding(found, "refines Counter").verdict, expected)


def test_answers_are_kept(solvers: Solvers, tmp_path: Path) -> None:
    """A second verification asks no solver: it reads what the first kept."""
    specification = load_text(GATE)
    first = verify(specification, solvers, cache=Cache(tmp_path))
    with Solvers(jobs=1) as unused:
        second = verify(specification, unused, cache=Cache(tmp_path))
        started = [process for process in unused._all if process._process]
    assert ([f.verdict for f in second.findings], started) == ([f.verdict for f in first.findings], [])


def test_a_damaged_cache_is_no_answer(solvers: Solvers, tmp_path: Path) -> None:
    """A cache with nonsense in it changes nothing."""
    specification = load_text(GATE)
    verify(specification, solvers, cache=Cache(tmp_path))
    for path in tmp_path.rglob("*.json"):
        path.write_text("{}")
    assert verify(specification, solvers, cache=Cache(tmp_path)).is_proved


def test_every_obligation_is_smt_lib(solvers: Solvers) -> None:
    """Each obligation can be written out as a complete script."""
    found = report(GATE, solvers)
    assert all(o.to_smt().endswith("(check-sat)\n") for o in found.obligations.values())


def test_progress_speaks_of_records(solvers: Solvers) -> None:
    """A parameter of progress may be a record with numbers; its premise must be met like any other."""
    text = """machine Post
sort Node
record Letter { to: Node, number: Int }
var sent : Set[Letter] = empty
var seen : Set[Letter] = empty
action send(l: Letter) when l.number > 0 { sent := insert(sent, l) }
fair action read(l: Letter) when l in sent and l not in seen { seen := insert(seen, l) }
invariant numbered : forall l in sent: l.number > 0
progress arrives(l: Letter) : l in sent ~> l in seen by 0 helpful read(l)
"""
    assert [f.verdict for f in report(text, solvers).findings if not isinstance(f.verdict, Proved)] == []
    never = text.replace(": l in sent ~>", ": l in sent and l.number < 0 ~>")
    assert verdict(never, "premise of arrives", solvers) == Vacuous("premise of arrives")


def test_a_wrong_law_over_functions_of_cases(solvers: Solvers) -> None:
    """A function of an enum with content, nested or with numbers, is shown as a table that the interpreter reads."""
    text = """theory T
record Pair[A, B] { a: A, b: B }
law constant[A, B](f: Option[A] -> B, x: Option[A], y: Option[A]) : f(x) == f(y)
law numbers[A](f: Pair[Int, Option[Option[A]]] -> Bool, x: Pair[Int, Option[Option[A]]]) : f(x) == f(x with (b = none))
"""
    assert [type(verdict(text, name, solvers)) for name in ("constant", "numbers")] == [Refuted, Refuted]


def test_a_law_without_a_case_is_vacuous(solvers: Solvers) -> None:
    """A law whose premise no values meet says nothing, in a theory or in a machine."""
    law = "law nothing(x: Int, y: Int) : x < y and y < x implies x == 7\n"
    assert verdict("theory T\n" + law, "premise of nothing", solvers) == Vacuous("premise of nothing")
    assert verdict(GATE + law, "premise of nothing", solvers) == Vacuous("premise of nothing")


def test_sets_of_numbers_are_no_internal_error(solvers: Solvers) -> None:
    """Of sets with infinitely many possible elements a solver may imagine impossible ones: they are not shown."""
    text = """machine Numbers
var s : Set[Int] = empty
var n : Int = 0
action add when size(s) < 2 { s := insert(s, n); n := n + 1 }
action drop(x: Int) when x in s { s := remove(s, x) }
invariant two : size(s) <= 2
invariant one : size(s) <= 1
invariant three : 2 not in s or size(s) != 1
"""
    found = report(text, solvers, Settings(steps=9))
    assert isinstance(finding(found, "two").verdict, Proved)
    assert isinstance(finding(found, "one").verdict, Refuted)
    assert isinstance(finding(found, "three").verdict, Refuted)


def test_a_clause_is_quoted_whole(solvers: Solvers) -> None:
    """The clause that breaks is quoted with the bracket that it begins with."""
    text = "machine M\nvar n : Int = 0\naction up { n := n + 1 }\ninvariant x : n >= 0 and (n - 1) * 2 <= 0\n"
    found = verdict(text, "x", solvers)
    assert isinstance(found, Refuted)
    assert found.clause == "(n - 1) * 2 <= 0"
