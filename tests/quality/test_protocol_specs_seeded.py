"""The shipped protocols are proved for any number of nodes, and each classic mistake in them is refuted."""

from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources

import pytest

from certify_spec.formatter import format_text
from certify_spec.interpreter import Interpreter, Trace
from certify_spec.loader import load_text
from certify_verifier.mutation import Fate, mutate
from certify_verifier.solving import Solvers
from certify_verifier.verdict import Proved
from certify_verifier.verify import Session, Settings, search, verify

PROTOCOLS = ("lock_service", "two_phase_commit", "raft_election")


@dataclass(frozen=True)
class Bug:
    """A mistake: what the text is changed to, the property that refutes it, and the steps of a shortest run.

    Steps that do not depend on each other may come in another order.
    """

    name: str
    protocol: str
    old: str
    new: str
    refuted: str
    steps: str


# fmt: off -- a bug reads best on few lines
BUGS = [
    Bug(
        "lent without a return",
        "lock_service",
        "when n in asked and free {",
        "when n in asked {",
        "exclusive",
        "ask ask lend lend take take",
    ),
    Bug(
        "a repeated grant is taken",
        "lock_service",
        "when t in lent and t.round > last[t.node] {",
        "when t in lent {",
        "holder_is_the_latest",
        "ask lend take give_back take",
    ),
    Bug(
        "a repeated return frees the lock",
        "lock_service",
        "when t in given and t.round == round {",
        "when t in given {",
        "one_is_open",
        "ask lend take give_back get_back lend get_back",
    ),
    Bug(
        "given back and kept",
        "lock_service",
        "  holds[n] := false\n",
        "",
        "holder_is_the_latest",
        "ask lend take give_back",
    ),
    Bug("a round lent twice", "lock_service", "  round := round + 1\n", "", "lent_by_the_server", "ask lend"),
    Bug(
        "commit without all votes",
        "two_phase_commit",
        "forall n in Node: n in heard {",
        "exists n in Node: n in heard {",
        "agreement",
        "vote_yes hear decide_commit tell obey refuse",
    ),
    Bug(
        "told before it is written",
        "two_phase_commit",
        "  log := commit\n",
        "  told := commit\n",
        "told_is_written",
        "vote_yes vote_yes hear hear decide_commit",
    ),
    Bug(
        "commits when it is back",
        "two_phase_commit",
        "then abort else log",
        "then commit else log",
        "agreement",
        "crash recover tell vote_yes obey refuse",
    ),
    Bug(
        "a decision lost in a crash",
        "two_phase_commit",
        "if log == undecided then abort else log",
        "abort",
        "decisions_last",
        "vote_yes vote_yes hear hear decide_commit crash recover",
    ),
    Bug(
        "a vote taken back",
        "two_phase_commit",
        'refuse(n: Node) "A node cannot commit, and is done." when stage[n] == working',
        'refuse(n: Node) "A node cannot commit, and is done." when stage[n] == working or stage[n] == prepared',
        "votes_bind",
        "vote_yes refuse",
    ),
    Bug(
        "votes twice in a term",
        "raft_election",
        "asked[c, term[n]] and voted[n] == none {",
        "asked[c, term[n]] {",
        "one_leader_per_term",
        "stand stand win vote win",
    ),
    Bug(
        "forgets its vote in a restart",
        "raft_election",
        "{ stage[n] := follower }",
        "{ stage[n] := follower; voted[n] := none }",
        "one_leader_per_term",
        "stand stand win restart vote win",
    ),
    Bug(
        "forgets its term in a restart",
        "raft_election",
        "{ stage[n] := follower }",
        "{ stage[n] := follower; term[n] := 0 }",
        "terms_grow",
        "stand restart",
    ),
    Bug(
        "quorums that do not meet",
        "raft_election",
        "member(n, p) and member(n, q)",
        "member(n, p) or member(n, q)",
        "one_leader_per_term",
        "stand stand win win",
    ),
    Bug(
        "leads on into a later term",
        "raft_election",
        "  voted[n] := none\n  stage[n] := follower\n",
        "  voted[n] := none\n",
        "leaders_have_won",
        "stand win hear",
    ),
    Bug(
        "stands without noting its vote",
        "raft_election",
        "  term[n] := term[n] + 1\n  voted[n] := some(n)\n",
        "  term[n] := term[n] + 1\n",
        "votes_are_remembered",
        "stand",
    ),
]
# fmt: on


def source(protocol: str) -> str:
    """The text of a shipped protocol."""
    return resources.files("certify_spec").joinpath(f"protocols/{protocol}.ct").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def session() -> Iterator[Session]:
    """Two solver processes."""
    with Solvers(jobs=2) as solvers:
        yield Session(solvers, Settings(steps=8))


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_protocol_is_proved(protocol: str, session: Session) -> None:
    """Each protocol is proved for any number of nodes, each action can happen and each premise can be met."""
    findings = verify(load_text(source(protocol)), session.solvers).findings
    assert [(f.name, f.verdict) for f in findings if not isinstance(f.verdict, Proved)] == []
    assert {"invariant", "step", "action", "reachable", "premise"} <= {f.kind for f in findings}


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_protocol_is_laid_out(protocol: str) -> None:
    """Each protocol looks as the formatter would write it."""
    assert format_text(source(protocol)) == source(protocol)


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: f"{bug.protocol}: {bug.name}")
def test_a_seeded_bug_is_refuted(bug: Bug, session: Session) -> None:
    """The property that is there for the bug refutes it by a shortest run, step by step the expected one."""
    text = source(bug.protocol)
    assert text.count(bug.old) == 1, "the protocol has changed"
    specification = load_text(text.replace(bug.old, bug.new))
    trace = search(specification, bug.refuted, session)
    assert isinstance(trace, Trace)
    assert Interpreter(specification, trace.world).replay(trace) == ""
    assert sorted(event.action for event, _ in trace.steps) == sorted(bug.steps.split())


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_no_mutant_survives(protocol: str, session: Session) -> None:
    """Whatever single thing is broken in a protocol, a property notices."""
    outcomes = mutate(load_text(source(protocol)), session.solvers)
    alive = [o.mutant.change for o in outcomes if o.fate in (Fate.SURVIVED, Fate.UNDECIDED)]
    assert alive == []
