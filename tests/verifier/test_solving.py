"""Solvers in processes of their own: hard limits, and only real answers."""

import pytest

from certify_verifier.solving import Question, Solvers, Status

HARD = """(declare-fun a () Int)(declare-fun b () Int)(declare-fun c () Int)(declare-fun n () Int)
(assert (and (> a 1) (> b 1) (> c 1) (> n 2)))
(assert (= (+ (* a a a a a) (* b b b b b)) (+ (* c c c c c) (* 7 n n n n))))
(assert (forall ((x Int)) (exists ((y Int)) (and (> (* y y) x) (distinct (mod (* x y y) 7) 3)))))
"""


@pytest.mark.parametrize("solver", ["z3", "cvc5"])
def test_both_solvers_answer(solvers: Solvers, solver: str) -> None:
    """Each solver tells a contradiction from what can be."""
    texts = ["(declare-fun a () Int)(assert (< a a))", "(declare-fun a () Int)(assert (< a 3))"]
    said = [solvers.ask(Question(text, solver=solver)).status for text in texts]
    assert said == [Status.UNSAT, Status.SAT]


@pytest.mark.parametrize("solver", ["z3", "cvc5"])
def test_a_hard_question_ends(solvers: Solvers, solver: str) -> None:
    """A question beyond the limit ends as unknown, with a reason."""
    answer = solvers.ask(Question(HARD, solver=solver, milliseconds=300))
    assert (answer.status, answer.reason != "") == (Status.UNKNOWN, True)


CUBES = """(declare-fun a () Int)(declare-fun b () Int)(declare-fun c () Int)
(assert (= 114 (+ (* a a a) (* b b b) (* c c c))))
"""


@pytest.mark.parametrize("solver", ["z3", "cvc5"])
def test_effort_and_not_the_clock_ends_a_question(solvers: Solvers, solver: str) -> None:
    """However much time there is, a question ends when its resource units are used up, and says so."""
    answer = solvers.ask(Question(CUBES, solver=solver, milliseconds=5, wall=30_000))
    assert (answer.status, answer.reason) == (Status.UNKNOWN, "its effort is used up")


def test_effort_is_counted_the_same_each_time(solvers: Solvers) -> None:
    """The same question uses the same units, so that what is decided does not depend on the load of the machine."""
    text = "(declare-fun f (Int) Int)(assert (forall ((x Int)) (= (f x) (* 2 x))))(assert (= (f 7) 15))"
    for solver in ("z3", "cvc5"):
        used = {solvers.ask(Question(text, solver=solver)).units for _ in range(3)}
        assert len(used) == 1
        assert used != {0}


def test_the_clock_is_a_hard_stop(solvers: Solvers) -> None:
    """Effort without measure does not outlive the wall limit."""
    assert solvers.ask(Question(CUBES, milliseconds=3_600_000, wall=200)).status is Status.UNKNOWN


def test_a_solver_without_memory_ends() -> None:
    """A process that may not have the memory it needs ends as unknown, and the next question is answered again."""
    with Solvers(jobs=1, megabytes=40) as small:
        answer = small.ask(Question("(declare-fun a () Int)(assert (< a 3))"))
    assert answer.status is Status.UNKNOWN


def test_nonsense_is_no_proof(solvers: Solvers) -> None:
    """Text that a solver cannot read is unknown, never unsatisfiable, and does not disturb the next question."""
    nonsense = solvers.ask(Question("(assert (frobnicate))"))
    after = solvers.ask(Question("(assert false)"))
    assert (nonsense.status, after.status) == (Status.UNKNOWN, Status.UNSAT)


def test_a_model_is_given_when_asked_for(solvers: Solvers) -> None:
    """A model names constants and functions."""
    text = "(declare-fun a () Int)(declare-fun f (Int) Bool)(assert (and (= a 7) (f a) (not (f 8))))"
    model = solvers.ask(Question(text, model=True)).model
    assert (model["a"], model["f"]["entries"] + [model["f"]["else"]] != []) == (7, True)


def test_no_process_outlives_its_pool() -> None:
    """Leaving the pool ends its processes."""
    with Solvers(jobs=2) as pool:
        pool.map(pool.ask, [Question("(assert false)")] * 4)
        processes = [p._process for p in pool._all if p._process]
    assert [process.poll() is not None for process in processes] == [True] * len(processes)
