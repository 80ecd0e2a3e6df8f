"""Small specifications with seeded bugs, and verified machines made without a solver."""

from collections.abc import Sequence
from typing import Final

from certify.specs.engine import Verified
from certify.specs.explain import explain
from certify_spec.diagnostics import Place
from certify_spec.interpreter import Event, Interpreter, Trace, first_world
from certify_spec.loader import load_text
from certify_spec.values import Element, Value
from certify_verifier.obligation import Obligation, Purpose
from certify_verifier.verdict import (
    Finding,
    NotInductive,
    Proved,
    ProvedUpTo,
    Refuted,
    Undecided,
    Vacuous,
    Verdict,
)
from certify_verifier.verify import Settings

LOCK: Final = """machine Lock
  "A lock that callers take and give back."

sort Call

enum Stage { outside, inside }

clock now

var stage : Map[Call -> Stage] = all outside
var taken : Int                = 0

action take(c: Call) when stage[c] == outside and taken == 0 { stage[c] := inside; taken := taken + 1 }
environment action give(c: Call) when stage[c] == inside { stage[c] := outside; taken := taken - 1 }

invariant one_holder "P1: one at a time" :
  forall c, d in Call: stage[c] == inside and stage[d] == inside implies c == d
invariant counted : (forall c in Call: stage[c] == inside implies taken == 1) and 0 <= taken <= 1
invariant kept : taken == 1 implies exists c in Call: stage[c] == inside
step comes_back on give(c) : taken' == 0

instance small { Call = 2 }
"""
NO_CHECK: Final = LOCK.replace(" and taken == 0", "")
"""Seeded bug: the lock is given to whoever asks."""
NO_RELEASE: Final = LOCK.replace("taken := taken - 1", "taken := taken")
"""Seeded bug: whoever gives back does not free the lock."""
NO_LEMMA: Final = (
    LOCK.replace("invariant counted", "reachable counted")
    .replace("invariant kept", "reachable kept")
    .replace("step comes_back on give(c) : taken' == 0\n", "")
)
"""What the proof rests on is missing, and can be found."""
NO_COUNT: Final = """machine Gate
  "What the proof rests on is missing, and speaks of how many there are, which no small world can tell."
param limit : Int where limit >= 1
sort Call
var inside : Set[Call] = empty
var count : Int = 0
action enter(c: Call) when c not in inside and count < limit { inside := insert(inside, c); count := count + 1 }
action leave(c: Call) when c in inside { inside := remove(inside, c); count := count - 1 }
invariant bounded : size(inside) <= limit
"""

C0: Final = Element("Call", 0)
C1: Final = Element("Call", 1)


def run_of(text: str, *events: tuple[str, Sequence[Value]]) -> Trace:
    """The run of a specification that takes these events."""
    specification = load_text(text, "lock.ct")
    world = first_world(specification)
    machine = Interpreter(specification, world)
    trace = Trace(specification.name, world, next(machine.initial_states()), ())
    for action, arguments in events:
        event = Event(action, tuple(arguments))
        assert machine.can(trace.last, event)
        trace = Trace(trace.machine, world, trace.start, (*trace.steps, (event, machine.take(trace.last, event))))
    return trace


def bad_run() -> Trace:
    """The run that breaks the lock without its check, with time in between."""
    return run_of(NO_CHECK, ("take", [C0]), ("tick", [2]), ("take", [C1]))


VERDICTS: Final[dict[str, Verdict]] = {
    "proved": Proved("induction"),
    "proved-up-to": ProvedUpTo(7, "2 of Call"),
    "refuted": Refuted(bad_run(), "c == d (with c = c0, d = c1)"),
    "not-inductive": NotInductive(run_of(NO_CHECK, ("take", [C0])), Event("take", (C0,))),
    "vacuous": Vacuous("one_holder"),
    "undecided": Undecided("no solver decides: one_holder: is kept by take"),
}


def verified(*verdicts: Verdict, text: str = NO_CHECK, doc: str = "", path: str = "lock.ct") -> Verified:
    """A machine of which the first property has these verdicts, made without asking a solver."""
    specification = load_text(text, path)
    one_holder = next(formula for formula in specification.formulas if formula.name == "one_holder")
    obligation = Obligation("one_holder", Purpose.KEPT, "take", "", "(assert false)\n")
    findings = [
        Finding("one_holder", "invariant", verdict, one_holder.place, doc, 0.25, {"z3": 1}, (obligation.digest,))
        for verdict in verdicts
    ]
    action = Finding("take", "action", Proved("a run of 1 steps"), Place(path, 13, 8, 13, 12))
    explained = tuple(explain(finding, specification, Settings()) for finding in (*findings, action))
    return Verified(
        specification, explained, {obligation.digest: obligation}, {obligation.digest: {"z3": "unsat"}}, 0.5
    )
