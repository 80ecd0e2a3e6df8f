"""The shipped laws are proved for all types and values, and each of them broken is refuted by values that break it."""

from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources

import pytest

from certify_spec.formatter import format_text
from certify_spec.loader import load_text
from certify_verifier.solving import Solvers
from certify_verifier.verdict import Proved, Refuted
from certify_verifier.verify import verify

THEORIES = ("crdts", "functions", "lattices", "options", "results")


@dataclass(frozen=True)
class Wrong:
    """A mistake: what the first such text is changed to, and a law that it breaks."""

    name: str
    theory: str
    old: str
    new: str
    broken: str


# fmt: off -- a mistake reads best on few lines
WRONG = [
    Wrong("identity forgets", "options", "then some(f(x)) else none", "then none else none", "map_of_identity"),
    Wrong(
        "default left unmapped",
        "options",
        "map(f, o) ?? f(d) == f(o ?? d)",
        "map(f, o) ?? f(d) == f(d)",
        "default_is_natural",
    ),
    Wrong(
        "a product by one projection",
        "functions",
        " and second_of(h(z)) == g(z) implies h(z)",
        " implies h(z)",
        "product_is_unique",
    ),
    Wrong(
        "a coproduct by one case", "functions", " and (forall b in B: h(right(b)) == g(b))", "", "coproduct_is_unique"
    ),
    Wrong(
        "a cone that does not agree",
        "functions",
        "f(u(z)) == g(v(z)) implies agree",
        "f(u(z)) == f(u(z)) implies agree",
        "limit_is_a_cone",
    ),
    Wrong(
        "bind hides the failure",
        "results",
        "then f(x) else if r is failure(e) then failure(e)",
        "then f(x) else if r is failure(e) then failure(no_error)",
        "failure_stops",
    ),
    Wrong(
        "recovery replaces a success",
        "results",
        "if r is failure(e) then f(e) else r",
        "if r is failure(e) then f(e) else f(no_error)",
        "recovery_leaves_success",
    ),
    Wrong("a failure rolls the state back", "results", "state = m(s).state\n", "state = s\n", "failure_keeps_state"),
    Wrong(
        "the second step sees the first state",
        "results",
        "= f(m(s).value, m(s).state)",
        "= f(m(s).value, s)",
        "state_right_identity",
    ),
    Wrong(
        "the right part is forgotten",
        "lattices",
        "a == effectful or b == effectful",
        "a == effectful",
        "join_commutative",
    ),
    Wrong(
        "one class for two",
        "lattices",
        "determinism = determinisms(a.determinism, b.determinism)",
        "determinism = a.determinism",
        "join_commutative",
    ),
    Wrong("the latest deadline", "lattices", "max(a, min(a, b)) == a", "max(a, max(a, b)) == a", "absorption"),
    Wrong(
        "a partition borrows",
        "lattices",
        "if q == p then free[q] - n else free[q]",
        "free[q] - n",
        "partitions_are_apart",
    ),
    Wrong("a merge adds", "crdts", "max(a[n], b[n])", "a[n] + b[n]", "counter_idempotent"),
    Wrong("a merge takes the smaller", "crdts", "max(a[n], b[n])", "min(a[n], b[n])", "counter_merge_is_least"),
    Wrong("a merge keeps its own", "crdts", "max(a[k, n], b[k, n])", "a[k, n]", "nest_commutative"),
    Wrong(
        "no tie-break",
        "crdts",
        "a.time > b.time or (a.time == b.time and a.writer > b.writer)",
        "a.time > b.time",
        "register_commutative",
    ),
    Wrong(
        "two writes with one stamp",
        "crdts",
        "one_write(a, b) implies latest(a, b)",
        "latest(a, b)",
        "register_commutative",
    ),
    Wrong("a removal removes what it has not seen", "crdts", "(x == e and a.added[x, u])", "x == e", "addition_wins"),
    Wrong(
        "a removal removes everything", "crdts", "(x == e and a.added[x, u])", "a.added[x, u]", "removal_spares_others"
    ),
    Wrong(
        "a removal is not merged",
        "crdts",
        "a.gone[e, t] or b.gone[e, t]",
        "a.gone[e, t] and b.gone[e, t]",
        "removal_is_seen",
    ),
    Wrong("equal clocks are ordered", "crdts", "below(a, b) and a != b", "below(a, b)", "causality_is_strict"),
    Wrong(
        "receiving does not count", "crdts", "then a[k] + 1 else a[k]", "then a[k] else a[k]", "receiving_comes_after"
    ),
]
# fmt: on


def source(theory: str) -> str:
    """The text of a shipped theory."""
    return resources.files("certify_spec").joinpath(f"laws/{theory}.ct").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def solvers() -> Iterator[Solvers]:
    """Two solver processes."""
    with Solvers(jobs=2) as pool:
        yield pool


@pytest.mark.parametrize("theory", THEORIES)
def test_the_laws_are_proved(theory: str, solvers: Solvers) -> None:
    """D-CAT, D-CRDT, D-TRANS, W-LATTICE: every law holds, no premise is empty, and the file is laid out."""
    text = source(theory)
    findings = verify(load_text(text), solvers).findings
    assert [(f.name, f.verdict) for f in findings if not isinstance(f.verdict, Proved)] == []
    assert len([f for f in findings if f.kind == "law"]) >= 7
    assert format_text(text) == text


@pytest.mark.parametrize("wrong", WRONG, ids=lambda wrong: f"{wrong.theory}: {wrong.name}")
def test_a_wrong_law_is_refuted(wrong: Wrong, solvers: Solvers) -> None:
    """The law is refuted by a value for each of its parameters."""
    text = source(wrong.theory)
    assert wrong.old in text, "the theory has changed"
    specification = load_text(text.replace(wrong.old, wrong.new, 1))
    law = next(law for law in specification.laws if law.name == wrong.broken)
    findings = verify(specification, solvers).findings
    verdict = next(f.verdict for f in findings if f.name == wrong.broken)
    assert isinstance(verdict, Refuted)
    assert set(verdict.trace.start) == {name for name, _ in law.parameters}
