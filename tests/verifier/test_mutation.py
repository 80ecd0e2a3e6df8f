"""Mutants: what is broken, what notices, and what cannot be noticed."""

from collections import Counter

from certify_spec.loader import load_text
from certify_verifier.mutation import Fate, mutants, mutate
from certify_verifier.solving import Solvers
from certify_verifier.verify import Settings

STRONG = """machine Gate
param limit : Int where limit >= 1
sort Call
var inside : Set[Call] = empty
action enter(c: Call) when size(inside) < limit and c not in inside { inside := insert(inside, c) }
action leave(c: Call) when c in inside { inside := remove(inside, c) }
invariant bounded : size(inside) <= limit
step enters on enter(c) : c in inside' and size(inside)' == size(inside) + 1
step leaves on leave(c) : c in inside and c not in inside' and size(inside)' == size(inside) - 1
reachable full : size(inside) == limit
instance small { Call = 2, limit = 1 }
"""
WEAK = """machine Weak
var n : Int = 0
var seen : Bool = false
action up when n < 3 { n := n + 1; seen := n >= 0 }
invariant positive : 0 <= n <= 3
reachable top : n == 3
"""


def test_a_strong_machine_has_no_survivors(solvers: Solvers) -> None:
    """Contracts, an invariant and what must be reachable leave no mutant alive."""
    fates = Counter(outcome.fate for outcome in mutate(load_text(STRONG), solvers))
    assert (set(fates), fates[Fate.KILLED] >= 6) == ({Fate.KILLED}, True)


def test_a_weak_machine_has_survivors(solvers: Solvers) -> None:
    """What no property speaks of may change unnoticed, and is reported."""
    outcomes = mutate(load_text(WEAK), solvers, Settings(steps=5))
    alive = {outcome.mutant.change for outcome in outcomes if outcome.fate is Fate.SURVIVED}
    assert "`seen` is not updated" in alive


def test_equivalent_mutants_are_told_apart(solvers: Solvers) -> None:
    """A mutant that does the same wherever the invariants hold is no survivor."""
    outcomes = mutate(load_text(WEAK), solvers, Settings(steps=5))
    same = {outcome.mutant.change for outcome in outcomes if outcome.fate is Fate.EQUIVALENT}
    assert "`seen`: `0` is one less" in same


def test_mutants_differ_in_one_action() -> None:
    """Each mutant changes the guard or the updates of one action and nothing else."""
    specification = load_text(STRONG)
    for mutant in mutants(specification):
        changed = [n for n, a in specification.actions.items() if mutant.specification.actions[n] != a]
        assert changed == [mutant.action]


def test_ghosts_are_not_broken() -> None:
    """Ghost state is for proofs: there are no mutants of it."""
    action = "action up when n < 3 { n := n + 1; h := h + 1 }\n"
    text = f"machine G\nvar n : Int = 0\nghost var h : Int = 0\n{action}invariant x : h == n\n"
    assert [m.change for m in mutants(load_text(text)) if "`h`" in m.change] == []
