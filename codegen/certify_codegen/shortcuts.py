"""The fast paths: why what they leave out changes nothing, as questions for solvers.

A fast path does in one indivisible step of Python, without the lock, what a transition would do under it. For each
there is a title that says why that is sound, and the proof of it from the specification's own actions:

- a breaker that is closed admits by reading its mirror, and lets a success or a cancellation change nothing;
- a success in a full window of good outcomes only turns the ring, and nobody can tell where a ring begins;
- a retry counts a call that succeeds at once, after the fact;
- a bulkhead takes and gives back one token.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from certify_codegen.printer import Printer
from certify_codegen.projection import Projection
from certify_spec import model as m
from certify_spec.datatypes import SortType
from certify_verifier import terms as t
from certify_verifier.encoding import Surroundings, Symbolic
from certify_verifier.obligation import Frame
from certify_verifier.terms import Term


@dataclass(frozen=True, slots=True)
class Shortcut:
    """One thing to prove about a fast path: `text` is SMT-LIB, unsatisfiable if it holds."""

    title: str
    text: str


_ADMITTED: Final = frozenset({"c.stage = _STAGE_INSIDE", "c.call_era = era"})
#: A call that is not timed may have begun at any time: none is so long ago that it would be slow.
_TIMED: Final = frozenset({"c.began = began if self._timed else now", "c.began = began if self._timed else self._now"})

_WRITES: Final[Mapping[str, frozenset[str]]] = {
    "CircuitBreaker": _ADMITTED,
    "CountWindowBreaker": _ADMITTED | _TIMED,
    "TimeWindowBreaker": _ADMITTED | _TIMED,
    "Retry": frozenset({"self._calls += 1"}),
}


def writes_allowed(projection: Projection) -> frozenset[str]:
    """What code outside the machine's methods may write into its fields: each is part of a shortcut, or a mirror."""
    printer = Printer(projection)
    mirrors = ("\n".join(printer.mirrored(mirror)) for mirror in projection.representation.mirrors)
    return _WRITES.get(projection.specification.name, frozenset()) | {ast.unparse(ast.parse(text)) for text in mirrors}


def shortcuts(projection: Projection) -> Iterator[Shortcut]:
    """What is to be proved of the fast paths of a machine."""
    make = _MAKERS.get(projection.specification.name)
    if make is not None:
        yield from make(_Prover(projection))


class _Prover:
    def __init__(self, projection: Projection) -> None:
        self.projection = projection
        self.specification = projection.specification
        self.frame = Frame(projection.specification)
        self.before = self.frame.encoder.state("s.")

    def call(self) -> Term:
        found = self.frame.encoder.unknown(SortType(self.projection.sorts[0]), "a.c")
        assert isinstance(found, Term)
        return found

    def action(self, name: str) -> m.Action:
        return self.specification.actions[name]

    def taken(self, name: str, state: Mapping[str, Symbolic], *more: Symbolic) -> tuple[Term, dict[str, Symbolic]]:
        """The guard of an action for the call, and the state after it."""
        action = self.action(name)
        arguments = dict(zip((n for n, _ in action.parameters), (self.call(), *more), strict=True))
        return self.frame.guard(action, state, arguments), self.frame.after(action, state, arguments)

    def term(self, state: Mapping[str, Symbolic], name: str) -> Term:
        """A variable: of the machine, or of the call."""
        value = state[name]
        if not isinstance(value, Term):
            value = value.at((self.call(),))  # type: ignore[union-attr]  # fields are maps
        assert isinstance(value, Term)
        return value

    def case(self, name: str, case: str, state: Mapping[str, Symbolic]) -> Term:
        value = self.term(state, name)
        return t.equal(value, t.constructor(value.sort, f"{value.sort}.{case}"))

    def unchanged(self, a: Mapping[str, Symbolic], b: Mapping[str, Symbolic], *but: str) -> Term:
        """That two states agree in the variables of the machine, some excepted."""
        names = [v.name for v in self.projection.shared if v.name not in but]
        return t.and_(*(t.equal(self.term(a, name), self.term(b, name)) for name in names))

    def proved(self, title: str, given: list[Term], claim: Term) -> Shortcut:
        text = self.frame.text([*self.frame.assumed(), *given, t.not_(claim)])
        return Shortcut(f"{self.specification.name}: {title}", text)


def _breaker(prover: _Prover) -> Iterator[Shortcut]:
    admitted = yield from _closed_breaker(prover)
    before = prover.before
    _, after = prover.taken("succeed", before)
    no_failures = t.equal(prover.term(before, "failures"), t.number(0))
    yield prover.proved(
        "a success of a call admitted while closed changes nothing if there are no failures to forget",
        [*admitted, no_failures],
        prover.unchanged(before, after),
    )


def _closed_breaker(prover: _Prover) -> Generator[Shortcut, None, list[Term]]:
    """Calls that are admitted without the lock while it is closed; gives what is known of each when it ends."""
    before = prover.before
    closed, era = prover.case("mode", "closed", before), prover.term(before, "era")
    guard, after = prover.taken("admit", before)
    carried = [t.equal(prover.term(after, "call_era"), era)]
    if "began" in before:
        carried.append(t.equal(prover.term(after, "began"), prover.term(before, "now")))
    yield prover.proved(
        "admitting by the mirror is `admit`: the call carries the era, and nothing else changes",
        [closed, prover.case("stage", "outside", before)],
        t.and_(guard, *carried, prover.unchanged(before, after)),
    )
    # A past era, and its mode: an era has one mode for as long as it lasts, whatever happens.
    mode = prover.term(before, "mode")
    past_era, past_mode = t.apply("past.era", (), t.INT), t.apply("past.mode", (), mode.sort)

    def since(state: Mapping[str, Symbolic]) -> Term:
        now = prover.term(state, "era")
        same = t.implies(t.equal(now, past_era), t.equal(prover.term(state, "mode"), past_mode))
        return t.and_(t.at_most(past_era, now), same)

    invariants = prover.frame.invariants(before)
    for action in prover.specification.actions.values():
        arguments = prover.frame.arguments(action)
        yield prover.proved(
            f"an era has one mode for as long as it lasts, `{action.name}` included",
            [since(before), *invariants, prover.frame.guard(action, before, arguments)],
            since(prover.frame.after(action, before, arguments)),
        )
    admitted = [
        since(before),
        t.equal(past_mode, t.constructor(mode.sort, f"{mode.sort}.closed")),
        t.equal(prover.term(before, "call_era"), past_era),
        prover.case("stage", "inside", before),
    ]
    _, after = prover.taken("cancel", before)
    yield prover.proved(
        "a cancellation of a call admitted while closed changes nothing", admitted, prover.unchanged(before, after)
    )
    return admitted


def _time_window(prover: _Prover) -> Iterator[Shortcut]:
    yield from _closed_breaker(prover)


def _count_window(prover: _Prover) -> Iterator[Shortcut]:
    admitted = yield from _closed_breaker(prover)
    before = prover.before
    quick = t.less(t.minus(prover.term(before, "now"), prover.term(before, "began")), *_parameters(prover, "slow_call"))
    definition = prover.specification.definitions["untroubled"]
    untroubled = prover.frame.encoder.formula(definition.body, Surroundings(before))
    _, after = prover.taken("succeed", before)
    invariants, closed = prover.frame.invariants(before), prover.case("mode", "closed", before)
    yield prover.proved(
        "a success of a call admitted while closed turns a full window of good outcomes, or changes nothing",
        [*admitted, *invariants, closed, untroubled, quick],
        t.or_(*(_rotated(prover, before, after, t.number(places)) for places in (0, 1))),
    )
    # Two machines whose windows hold the same outcomes, in rings that begin at different places.
    turned, by = dict(before), t.apply("r.by", (), t.INT)
    for name in _RINGS:
        turned[name] = prover.frame.encoder.unknown(prover.specification.variables[name].type, f"r.{name}")
    given = [*invariants, _rotated(prover, before, turned, by)]
    for action in prover.projection.actions:
        arguments = prover.frame.arguments(action)
        guards = [prover.frame.guard(action, state, arguments) for state in (before, turned)]
        one, other = (prover.frame.after(action, state, arguments) for state in (before, turned))
        full = t.equal(prover.term(one, "filled"), *_parameters(prover, "window"))
        yield prover.proved(
            f"where a ring begins makes no difference, to `{action.name}` neither",
            given,
            t.and_(
                t.equal(*guards),
                t.implies(guards[0], _rotated(prover, one, other, t.ite(full, by, t.number(0)))),
            ),
        )


_RINGS: Final = ("failed_at", "slow_at", "place")


def _rotated(prover: _Prover, one: Mapping[str, Symbolic], other: Mapping[str, Symbolic], by: Term) -> Term:
    """That two states differ in where the ring begins alone: by so many places if it is full, and else in nothing."""
    [window] = _parameters(prover, "window")
    filled, at = prover.term(one, "filled"), t.variable("p", t.INT)

    def turned(place: Term) -> Term:
        further = t.plus(place, by)
        return t.ite(t.less(further, window), further, t.minus(further, window))

    held = [(_at(one[name], at), _at(other[name], turned(at))) for name in _RINGS[:2]]
    used = t.and_(t.at_most(t.number(0), at), t.less(at, filled))
    return t.and_(
        t.at_most(t.number(0), by),
        t.less(by, window),
        t.implies(t.less(filled, window), t.equal(by, t.number(0))),
        t.equal(prover.term(other, "place"), turned(prover.term(one, "place"))),
        t.forall([at], t.implies(used, t.and_(*(t.equal(a, b) for a, b in held)))),
        prover.unchanged(one, other, *_RINGS),
    )


def _at(held: Symbolic, place: Term) -> Term:
    """What a ring holds at a place."""
    found = held.at((place,))  # type: ignore[union-attr]  # rings are maps
    assert isinstance(found, Term)
    return found


def _retry(prover: _Prover) -> Iterator[Shortcut]:
    before = prover.before
    repeatable = t.apply("a.repeatable", (), t.BOOL)
    begins, begun = prover.taken("begin", before, repeatable)
    answer = prover.term(begun, "answer")
    answers, answered = prover.taken("backend_answers", begun, t.constructor(answer.sort, f"{answer.sort}.success"))
    succeeds, after = prover.taken("succeed", answered)
    counted = t.equal(prover.term(after, "calls"), t.plus(prover.term(before, "calls"), t.number(1)))
    fresh = t.or_(prover.case("stage", "idle", before), prover.case("stage", "done", before))
    yield prover.proved(
        "a call that succeeds at once is `begin`, the answer and `succeed`: it is counted, and uses up a key",
        [fresh],
        t.and_(begins, answers, succeeds, counted, prover.unchanged(before, after, "calls", "next_key")),
    )
    # The count may lag behind, if several threads count at once or a call has not ended: fewer retries are affordable.
    retries, reserve, ratio = (prover.term(before, "retries"), *_parameters(prover, "reserve", "ratio"))
    calls, lagging = prover.term(before, "calls"), t.apply("lagging", (), t.INT)

    def affordable(count: Term) -> Term:
        return t.at_most(
            t.times(t.plus(retries, t.number(1)), t.number(100)),
            t.plus(t.times(reserve, t.number(100)), t.times(ratio, count)),
        )

    yield prover.proved(
        "a count of calls that lags behind allows no retry that the true count does not",
        [t.at_most(lagging, calls), affordable(lagging)],
        affordable(calls),
    )


def _parameters(prover: _Prover, *names: str) -> Iterator[Term]:
    for name in names:
        found = prover.frame.encoder.unknown(prover.specification.functions[name].result, f"p.{name}")
        assert isinstance(found, Term)
        yield found


def _bulkhead(prover: _Prover) -> Iterator[Shortcut]:
    before = prover.before
    guard, after = prover.taken("enter", before)
    free, waiting = prover.term(before, "free"), prover.term(before, "waiting")
    one_less = t.equal(prover.term(after, "free"), t.minus(free, t.number(1)))
    outside = prover.case("stage", "outside", before)
    yield prover.proved(
        "taking a token while nobody waits is `enter`",
        [outside, t.less(t.number(0), free), t.equal(waiting, t.number(0))],
        t.and_(guard, one_less, prover.unchanged(before, after, "free")),
    )
    guard, left = prover.taken("finish", before)
    one_more = t.equal(prover.term(left, "free"), t.plus(free, t.number(1)))
    yield prover.proved(
        "giving a token back is `finish`",
        [prover.case("stage", "running", before)],
        t.and_(guard, one_more, prover.unchanged(before, left, "free")),
    )
    _, back = prover.taken("finish", after)
    yield prover.proved(
        "a token that is taken and given back at once leaves no trace",
        [outside],
        t.and_(prover.unchanged(before, back), prover.case("stage", "outside", back)),
    )


_MAKERS: Final[Mapping[str, Callable[[_Prover], Iterator[Shortcut]]]] = {
    "CircuitBreaker": _breaker,
    "CountWindowBreaker": _count_window,
    "TimeWindowBreaker": _time_window,
    "Retry": _retry,
    "Bulkhead": _bulkhead,
}
