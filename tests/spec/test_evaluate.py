"""The meaning of expressions."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from certify_spec.evaluate import Evaluator, Surroundings, World, calculate
from certify_spec.loader import load_text
from certify_spec.values import Element, Row, Table, Tagged, Value, from_data, shown, to_data

HEAD = """machine M
sort Call
enum Mode { closed, open, failed(Int) }
record Ticket { era: Int, probe: Bool }
var n    : Int = 5
var mode : Mode = failed(3)
var last : Option[Int] = none
var seen : Map[Call -> Int] = all 0
var far  : Map[Int -> Bool] = all false
var busy : Set[Call] = empty
var t    : Ticket = Ticket(era = 1, probe = false)
define sum_to(k: Int) : Int = k * (k + 1) div 2
define twice[A](f: A -> A, x: A) : A = f(f(x))
"""
C0, C1 = Element("Call", 0), Element("Call", 1)
STATE: dict[str, Value] = {
    "n": 5,
    "mode": Tagged("failed", 3),
    "last": Tagged("none"),
    "seen": Table({(C0,): 2, (C1,): 0}),
    "far": Table({(7,): True}, default=False),
    "busy": frozenset({C0}),
    "t": Row((("era", 1), ("probe", False))),
}


def truth(formula: str) -> bool:
    """Whether a formula holds in the state above, in a world of two calls."""
    specification = load_text(f"{HEAD}invariant x : {formula}\n")
    evaluator = Evaluator(specification, World({"Call": 2}, {}))
    return evaluator.holds(specification.formulas[0].formula, Surroundings(STATE))


@pytest.mark.parametrize(
    "formula",
    [
        "n div 2 == 2 and -n div 2 == -3 and n div -2 == -3 and n div 0 == 0",
        "n mod 3 == 2 and -n mod 3 == 1 and n mod -3 == -1 and n mod 0 == 5",
        "min(n, 3) == 3 and max(n, 3) == 5 and 0 <= n < 6",
        "mode is failed and not (mode is open) and (if mode is failed(code) then code else 0) == 3",
        "(last ?? 9) == 9 and last is none and some(3) != last",
        "forall c in Call: seen[c] == 2 or c not in busy",
        "exists c in busy: seen[c] == 2",
        "size(busy) == 1",
        "forall c in Call: size(insert(busy, c)) == (if c in busy then 1 else 2)",
        "forall c in Call: size(remove(busy, c)) == (if c in busy then 0 else 1)",
        "far[7] and not far[8] and (forall i in 8 .. 20: not far[i])",
        "t.era == 1 and (t with (era = 4)).era == 4 and (t with (era = 4)).probe == false",
        "[c in Call: seen[c] + 1] != seen and [c in Call: seen[c]] == seen",
        "sum_to(10) == 55 and twice(fn(i: Int) => i * i, 3) == 81 and twice(sum_to, 2) == 6",
        "(forall i in 3 .. 2: false) and not (exists i in 3 .. 2: true)",
        "true iff (false implies false)",
        "if n > 4 then mode == failed(3) else false",
    ],
)
def test_formulas_that_hold(formula: str) -> None:
    """Each of these is true in the sample state."""
    assert truth(formula)


@pytest.mark.parametrize(
    "formula",
    ["mode == failed(4)", "far == all false", "forall c in Call: c in busy", "seen == all 0", "last == some(0)"],
)
def test_formulas_that_fail(formula: str) -> None:
    """Each of these is false in the sample state."""
    assert not truth(formula)


@given(st.integers(-50, 50), st.integers(-50, 50))
def test_division_is_total_and_undoes_multiplication(a: int, b: int) -> None:
    """`a == b * (a div b) + a mod b` for all numbers, zero included."""
    assert b * calculate("div", a, b) + calculate("mod", a, b) == a


def test_maps_with_infinitely_many_keys_compare_by_content() -> None:
    """What equals the default is not an entry."""
    assert Table({(1,): 0, (2,): 3}, default=0) == Table({(2,): 3}, default=0)


@pytest.mark.parametrize("value", [*STATE.values(), C1, True, Tagged("some", C0)])
def test_values_survive_as_data(value: Value) -> None:
    """Every value comes back from its data form."""
    assert from_data(to_data(value)) == value


def test_values_are_shown_in_the_words_of_the_language() -> None:
    """People read `c0`, cases, records and maps pointwise."""
    told = [shown(STATE[name], ["Call"]) for name in ("mode", "seen", "busy", "t", "far")]
    assert told == ["failed(3)", "[c0: 2, c1: 0]", "{c0}", "(era = 1, probe = false)", "[7: true, else: false]"]


def test_sorts_with_the_same_letter_are_shown_in_full() -> None:
    """`call0` and `clerk0` where `c0` could be either."""
    assert (shown(C0, ["Call", "Clerk"]), shown(C0, ["Call", "Node"])) == ("call0", "c0")
