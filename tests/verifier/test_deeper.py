"""P-VERIFY: induction over several steps proves what one step cannot, and never what a run breaks."""

from certify_spec.loader import load_text
from certify_verifier.inference import PREDICATE
from certify_verifier.solving import Answer, Question, Solvers, Status
from certify_verifier.verdict import NotInductive, Proved, Refuted, Verdict
from certify_verifier.verify import Settings, verify

RING = """machine Ring
param top : Int where top >= 3
var a : Int = 0
var b : Int = 0
var c : Int = 0
action turn { a := b; b := c; c := a }
invariant low : a < top
"""


class Without(Solvers):
    """Solvers of which Spacer never answers, so that what is proved is proved by induction over steps."""

    def ask(self, question: Question) -> Answer:
        """The answer to one question."""
        if question.solver == "spacer":
            return Answer(Status.UNKNOWN, PREDICATE)
        return super().ask(question)


def verdict_of(text: str, settings: Settings | None = None) -> Verdict:
    """What is concluded of the only invariant, without lemmas."""
    with Without(jobs=1) as solvers:
        report = verify(load_text(text), solvers, settings or Settings(steps=4))
    return next(finding.verdict for finding in report.findings if finding.kind == "invariant")


def test_three_steps_prove_what_one_cannot() -> None:
    """A value that reaches the claim after two moves is excluded by three states in which the claim held."""
    assert verdict_of(RING) == Proved("induction over 3 steps")


def test_the_second_solver_proves_it_too() -> None:
    """Where both solvers are asked, each first state and the step over several are proved by both."""
    with Without(jobs=1) as solvers:
        report = verify(load_text(RING), solvers, Settings("both", steps=4))
    finding = next(finding for finding in report.findings if finding.kind == "invariant")
    assert finding.verdict == Proved("induction over 3 steps")
    assert [report.proved_by[digest] for digest in finding.obligations] == [("cvc5", "z3")] * 4


def test_two_steps_prove_what_one_cannot() -> None:
    """With one place less, two steps are enough."""
    text = RING.replace("b := c; c := a", "b := a").replace("var c : Int = 0\n", "")
    assert verdict_of(text) == Proved("induction over 2 steps")


def test_a_seeded_bug_at_the_start_is_refuted() -> None:
    """The step from any states is as strong as before; only the first states of a run tell that it is wrong."""
    found = verdict_of(RING.replace("var c : Int = 0", "var c : Int = 7"))
    assert isinstance(found, Refuted)
    assert [event.action for event, _ in found.trace.steps] == ["turn", "turn"]


def test_a_seeded_bug_beyond_the_runs_searched_is_not_proved() -> None:
    """A run of six steps breaks it; where only two are searched, it is not inductive, and is not called proved."""
    late = "action up { a := a + 1 }\ninvariant low : a < 6\n"
    text = "machine Late\nvar a : Int = 0\n" + late
    assert isinstance(verdict_of(text, Settings(steps=2)), NotInductive)
