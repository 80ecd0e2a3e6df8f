"""P-VERIFY: lemmas are found where plain induction needs one, and are believed only when it proves them."""

from typing import Any

import pytest

from certify_spec.loader import load_text
from certify_verifier.inference import PREDICATE, conjectures
from certify_verifier.solving import Answer, Question, Solvers, Status
from certify_verifier.verdict import NotInductive, Proved, ProvedUpTo, Refuted, Verdict
from certify_verifier.verify import Settings, verify

COUNTERS = """machine Counters
var n : Int = 0
var m : Int = 0
action up { n := n + 1; m := m + 1 }
action back when n > 0 { n := n - 1; m := m - 1 }
invariant not_negative : m >= 0
"""
LOCK = """machine Lock
sort Call
enum Stage { outside, waiting, inside }
var stage : Map[Call -> Stage] = all outside
var held : Bool = false
action ask(c: Call) when stage[c] == outside { stage[c] := waiting }
action take(c: Call) when stage[c] == waiting and not held { stage[c] := inside; held := true }
action give(c: Call) when stage[c] == inside { stage[c] := outside; held := false }
invariant one_holder : forall c, d in Call: stage[c] == inside and stage[d] == inside implies c == d
"""


def verdict_of(text: str, solvers: Solvers, settings: Settings | None = None) -> Verdict:
    """What is concluded of the only invariant."""
    report = verify(load_text(text), solvers, settings)
    return next(finding.verdict for finding in report.findings if finding.kind == "invariant")


class Liar(Solvers):
    """Solvers of which Spacer answers what it is told to answer."""

    def __init__(self, tree: Any) -> None:
        super().__init__(jobs=1)
        self._tree = tree

    def ask(self, question: Question) -> Answer:
        if question.solver == "spacer":
            return Answer(Status.SAT, model={PREDICATE: self._tree})
        return super().ask(question)


class Weak(Solvers):
    """Solvers that give up on whatever speaks of any state, and only follow runs from the start."""

    def ask(self, question: Question) -> Answer:
        return Answer(Status.UNKNOWN, "too hard") if "s.n" in question.text else super().ask(question)


@pytest.mark.parametrize("text", [COUNTERS, LOCK], ids=["numbers", "any number of callers"])
def test_a_lemma_is_found_and_proves_the_claim_when_stated(text: str, solvers: Solvers) -> None:
    """What induction cannot show alone is proved with a lemma, which the specification can state instead."""
    found = verdict_of(text, solvers)
    assert isinstance(found, Proved)
    assert found.lemma.startswith("lemma found_for_")
    stated = verdict_of(f"{text}{found.lemma}\n", solvers)
    assert stated == Proved("induction")


def test_a_seeded_bug_is_refuted_and_not_explained_away() -> None:
    """The lock is given to whoever asks: a run of four steps, whatever Spacer might say."""
    with Liar(tree=False) as solvers:
        found = verdict_of(LOCK.replace(" and not held", ""), solvers)
    assert isinstance(found, Refuted)
    assert [event.action for event, _ in found.trace.steps] == ["ask", "ask", "take", "take"]


@pytest.mark.parametrize(
    "tree",
    [
        True,
        False,
        [">=", ["var", 0], 0],
        ["and", [">=", ["var", 0], 0], ["<=", ["var", 0], 3]],
        ["or"],
        ["bvadd", ["var", 0], 1],
        [">=", ["*", ["var", 0], ["var", 1]], 0],
    ],
)
def test_a_wrong_lemma_proves_nothing(tree: Any) -> None:
    """Whatever Spacer answers, true or false, readable or not, a claim that it does not carry stays unproved."""
    with Liar(tree) as solvers:
        assert isinstance(verdict_of(COUNTERS, solvers, Settings(steps=3)), NotInductive)


def test_lemmas_speak_of_distinct_elements() -> None:
    """The elements of the small world become any distinct ones; a case is called by its name."""
    specification = load_text(LOCK)
    tree = ["or", ["=", ["var", 0], 2], ["<=", ["var", 1], 1], ["not", ["var", 2]]]
    [(_, text)] = conjectures(specification, specification.formulas[0], lambda _clauses: tree, sizes=(2,))
    assert text == (
        "lemma found_for_one_holder : forall call_0, call_1 in Call: call_0 != call_1 implies "
        "(((stage[call_0] is inside) or (stage[call_1] is outside or stage[call_1] is waiting) or (not held)))"
    )


def test_what_no_solver_decides_is_proved_up_to_a_length() -> None:
    """Where proofs fail for want of strength but every run was followed, the bound is said and is no success."""
    text = "machine Up\nsort Call\nvar n : Int = 0\naction up { n := n + 1 }\ninvariant least : n >= 0\n"
    with Weak(jobs=1) as solvers:
        assert verdict_of(text, solvers, Settings(steps=2)) == ProvedUpTo(2, "any parameters and 2 of Call")
