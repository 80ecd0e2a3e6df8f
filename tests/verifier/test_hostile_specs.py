"""Hostile specifications: each ends with a verdict or an error that says why, in bounded time and memory."""

import pytest

from certify_spec.loader import examine_text, load_text
from certify_verifier.effort import excess
from certify_verifier.solving import Question, Solvers, Status
from certify_verifier.verdict import Proved, Refuted, Undecided, Vacuous, Verdict
from certify_verifier.verify import Settings, verify

HASTY = Settings(steps=2, quick=200, slow=300)

CUBES = "a * a * a + b * b * b + c * c * c != 114"  # nobody knows whether three cubes make 114


def verdicts(text: str, solvers: Solvers, settings: Settings = HASTY) -> dict[str, Verdict]:
    """What is found of each property, action and premise."""
    return {finding.name: finding.verdict for finding in verify(load_text(text), solvers, settings).findings}


def codes(text: str) -> set[str]:
    """The codes of what is wrong with a text; it must be refused."""
    specification, diagnostics = examine_text(text)
    assert specification is None
    return {diagnostic.code for diagnostic in diagnostics}


# --- solvers that would run for ever ---------------------------------------------------------------------------------


STATE = "machine M\nvar a : Int = 0\nvar b : Int = 0\nvar c : Int = 0\n"
SET = "action set(x: Int, y: Int, z: Int) { a := x; b := y; c := z }\n"


@pytest.mark.parametrize(
    "text",
    [
        f"theory T\nlaw l(a: Int, b: Int, c: Int) : {CUBES}\n",
        f"{STATE}{SET}invariant l : {CUBES}\n",
        f"{STATE}fair {SET}always l : {CUBES}\n",
    ],
    ids=["law", "invariant", "always"],
)
def test_an_open_question_of_mathematics_is_undecided(text: str, solvers: Solvers) -> None:
    """What no solver can tell is undecided, with a reason, and what can be told beside it is."""
    found = verdicts(text, solvers)
    assert isinstance(found["l"], Undecided)
    assert found["l"].reason != ""
    assert [v for name, v in found.items() if name in ("T", "M", "set") and not isinstance(v, Proved)] == []


def test_a_sort_without_end_is_not_proved(solvers: Solvers) -> None:
    """Axioms that only endless worlds satisfy end as undecided or vacuous, never as proved."""
    axioms = (
        "relation less(a: S, b: S)\n"
        "axiom irreflexive : forall a in S: not less(a, a)\n"
        "axiom transitive : forall a, b, c in S: less(a, b) and less(b, c) implies less(a, c)\n"
        "axiom endless : forall a in S: exists b in S: less(a, b)\n"
    )
    found = verdicts(f"theory T\nsort S\n{axioms}law least(a: S) : exists b in S: not less(a, b) and a != b\n", solvers)
    assert isinstance(found["T"], Undecided | Vacuous)
    assert not isinstance(found["least"], Proved)


def test_a_solver_that_does_not_stop_is_stopped() -> None:
    """A process that overruns its limit is ended, and the next question is answered."""
    power = " ".join(["(* x x x y)"] * 40)
    endless = (
        "(declare-fun x () Int)(declare-fun y () Int)(declare-fun f (Int) Int)"
        "(assert (forall ((z Int)) (= (f (* z z)) (+ z (f (* z y))))))"
        f"(assert (= (+ {power}) (f 7919)))"
    )
    with Solvers(jobs=1) as pool:
        first = pool.ask(Question(endless, milliseconds=200))
        after = pool.ask(Question("(assert false)"))
    assert (first.status is Status.UNSAT, after.status) == (False, Status.UNSAT)


# --- long texts and large worlds -------------------------------------------------------------------------------------


def test_ten_thousand_properties_are_declined(solvers: Solvers) -> None:
    """A file of ten thousand properties is read; that their proofs are too much to write out is said of each."""
    lines = "".join(f"invariant i{n} : count >= 0 - {n}\n" for n in range(10_000))
    found = verdicts(f"machine M\nvar count : Int = 0\naction up {{ count := count + 1 }}\n{lines}", solvers)
    assert len(found) == 10_001
    assert {type(v) for v in found.values()} == {Undecided}
    assert "split the machine" in str(found["i0"])


def test_ten_thousand_lines_are_verified(solvers: Solvers) -> None:
    """Ten thousand lines that say little are no trouble: what they claim is proved."""
    action = "action up {\n  count := count + 1\n" + "  -- again\n" * 5_000 + "}\n"
    long = "invariant x : count >= 0\n" + "  and count >= 0\n" * 5_000
    found = verdicts(f"machine M\nvar count : Int = 0\n{action}{long}", solvers)
    assert {type(v) for v in found.values()} == {Proved}


def test_an_instance_without_measure_is_refused() -> None:
    """An instance of millions of things is SPEC209."""
    assert "SPEC209" in codes("machine M\nsort S\nvar m : Set[S] = empty\ninstance big { S = 9000000 }\n")


def test_a_search_without_measure_is_declined(solvers: Solvers) -> None:
    """A search among millions of entries of a map is not begun."""
    keys = ", ".join(["S"] * 7)
    state = f"machine M\nsort S\nvar m : Map[{keys} -> Bool] = all false\n"
    action = f"action go(s: S) {{ m[{', '.join(['s'] * 7)}] := true }}\n"
    found = verdicts(f"{state}{action}invariant x : m == m\ninstance big {{ S = 12 }}\n", solvers)
    assert {type(v) for v in found.values()} == {Undecided}
    assert "instance" in str(found["x"])


def test_definitions_that_double_are_refused() -> None:
    """Fifty definitions that each use the one before twice would make a formula of 2^50 parts: SPEC314."""
    doubling = "".join(f"define d{n} : Int = d{n - 1} + d{n - 1}\n" for n in range(1, 50))
    text = f"machine M\nvar count : Int = 0\ndefine d0 : Int = count\n{doubling}invariant x : d49 == 0\n"
    assert "SPEC314" in codes(text)


@pytest.mark.parametrize(
    "formula",
    [
        "(" * 100_000,
        "not " * 20_000 + "a",
        "if a then " * 20_000 + "a" + " else a" * 20_000,
        "forall x in S: " * 20_000 + "a",
        "m[" * 50_000,
    ],
    ids=["brackets", "negations", "conditions", "quantifiers", "keys"],
)
def test_deep_nesting_is_refused(formula: str) -> None:
    """Nesting without end is SPEC106 (or a bracket without partner), however it is written."""
    text = f"machine M\nsort S\nvar a : Bool = true\nvar m : Map[S -> Bool] = all true\ninvariant x : {formula}\n"
    assert codes(text) & {"SPEC104", "SPEC106"}


def test_what_is_deep_within_the_bound_is_proved(solvers: Solvers) -> None:
    """Nesting that the reader accepts is no trouble for what comes after it."""
    deep = "not (" * 40 + "a" + ")" * 40
    machine = "machine M\nvar a : Bool = true\naction go { a := true }\n"
    found = verdicts(f"{machine}invariant x : {deep}\n", solvers)
    assert isinstance(found["x"], Proved)


# --- letters that look alike -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    ["соunt", "count\u200b", "ｃount", "coun\u0442", "co\u00adunt", "\u202ecount", "coυnt"],
    ids=["Cyrillic", "zero width", "full width", "one letter", "soft hyphen", "right to left", "Greek"],
)
def test_look_alikes_are_refused(name: str) -> None:
    """A second name that is drawn like the first is refused, so that no property speaks of another variable."""
    text = f"machine M\nvar count : Int = 0\nvar {name} : Int = 0\naction up {{ count := count + 1 }}\n"
    assert codes(f"{text}invariant x : {name} == 0\n") & {"SPEC102", "SPEC103"}


def test_a_property_hidden_by_its_direction_is_refused() -> None:
    """Signs that turn the direction of text do not pass, in no place but a comment or a documentation."""
    text = "machine M\nvar n : Int = 0\naction up { n := n + 1 }\ninvariant x : n >= 0 \u202eor true\n"
    assert codes(text) & {"SPEC102", "SPEC103"}


# --- assumptions that contradict each other --------------------------------------------------------------------------

GATE = """machine Gate
param low : Int where low >= 1
param high : Int where high >= low
sort Call
var inside : Set[Call] = empty
action enter(c: Call) when size(inside) < high { inside := insert(inside, c) }
invariant wrong : size(inside) < 0
"""


@pytest.mark.parametrize(
    "assumption",
    [
        "assume no : high < low\n",
        "assume no : low * low == 2\n",
        "relation r(c: Call)\naxiom a : forall c in Call: r(c)\naxiom b : exists c in Call: not r(c)\n",
    ],
    ids=["parameters", "no root of two", "axioms"],
)
def test_contradictory_assumptions_prove_nothing(assumption: str, solvers: Solvers) -> None:
    """From a contradiction everything follows, so the whole is vacuous (or undecided), and is no success."""
    specification = load_text(GATE + assumption)
    found = verify(specification, solvers, HASTY)
    whole = next(f.verdict for f in found.findings if f.kind == "assumptions")
    assert isinstance(whole, Vacuous | Undecided)
    assert not found.is_proved


def test_contradictory_start_is_vacuous(solvers: Solvers) -> None:
    """No state satisfies what is said of the start: nothing can be true of it."""
    text = "machine M\nvar n : Int\ninit a : n > 3\ninit b : n < 2\naction up { n := n + 1 }\ninvariant x : n == 77\n"
    assert verdicts(text, solvers)["M"] == Vacuous("the assumptions and the initial state")


def test_a_contradiction_far_away_is_no_contradiction(solvers: Solvers) -> None:
    """Assumptions that only large numbers meet are kept, and a wrong claim under them is refuted."""
    text = GATE.replace("high >= low", "high >= 1000000 * low").replace("size(inside) < 0", "size(inside) < 1")
    assert isinstance(verdicts(text, solvers)["wrong"], Refuted)


def test_the_estimate_lets_the_ordinary_pass() -> None:
    """The bound is on what nobody writes: a machine of a hundred properties is far below it."""
    lines = "".join(f"invariant i{n} : count >= 0 - {n}\n" for n in range(100))
    text = f"machine M\nvar count : Int = 0\naction up {{ count := count + 1 }}\n{lines}"
    assert excess(load_text(text), {}, 12) == ""
    assert "split the machine" in excess(load_text(text), {}, 12, limit=1_000)
