"""Seeded bugs of the window breakers, the companions and their composition: each is refuted with its shortest run."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from certify_spec import model as m
from certify_spec.interpreter import Interpreter, Trace
from certify_spec.loader import load_text, shipped
from certify_verifier.solving import Solvers
from certify_verifier.verify import Session, Settings, search


@dataclass(frozen=True)
class Bug:
    """A mistake: what the text is changed to, which property refutes it, and how long the shortest run is."""

    name: str
    pattern: str
    old: str
    new: str
    refuted: str
    steps: int


OPENING = (
    "opens(true, slow(c)) {\n      mode := open\n      era := era + 1\n      until := now + recovery_time\n"
    "      place := 0\n      filled := 0\n"
)

BUGS = [
    Bug(
        "window not reset on opening",
        "count_window_breaker",
        OPENING + "      failures := 0\n",
        OPENING,
        "counters_are_exact",
        4,
    ),
    Bug(
        "one place too many in the ring",
        "count_window_breaker",
        "if place + 1 == window then 0",
        "if place == window then 0",
        "window_has_a_size",
        4,
    ),
    Bug(
        "slow answers are not recorded",
        "count_window_breaker",
        "slow_at[place] := slow(c)",
        "slow_at[place] := false",
        "window_is_as_recorded",
        3,
    ),
    Bug(
        "rejections are recorded",
        "count_window_breaker",
        "(mode == open or probes + successes >= permitted_probes) { }",
        "(mode == open or probes + successes >= permitted_probes) { failures := failures + 1 }",
        "only_outcomes_are_recorded",
        3,
    ),
    Bug(
        "a late outcome goes into an old bucket",
        "time_window_breaker",
        "stage[c] == inside and not over {",
        "stage[c] == inside {",
        "outcomes_are_past",
        3,
    ),
    Bug(
        "a pause of one bucket drops all",
        "time_window_breaker",
        "when over and now - bucket >= buckets * width {",
        "when over {",
        "only_the_past_is_dropped",
        4,
    ),
    Bug(
        "not idempotent and retried",
        "stack",
        "  repeatable and tries[q] < attempts",
        "  tries[q] < attempts",
        "repeated_only_if_repeatable",
        5,
    ),
    Bug("budget not charged", "stack", "    retries := retries + 1\n", "", "calls_are_accounted_for", 3),
    Bug(
        "breaker outside the retry",
        "stack",
        "keeps_time and sees_every_try and sees_hangs and sees_the_backend_only implies counted == failed",
        "keeps_time and sees_hangs and sees_the_backend_only implies counted == failed",
        "breaker_is_exact",
        3,
    ),
    Bug(
        "breaker inside the time limit of a try",
        "stack",
        "keeps_time and sees_every_try and sees_hangs and sees_the_backend_only implies counted == failed",
        "keeps_time and sees_every_try and sees_the_backend_only implies counted == failed",
        "breaker_is_exact",
        4,
    ),
    Bug(
        "breaker outside what rejects",
        "stack",
        "keeps_time and sees_every_try and sees_hangs and sees_the_backend_only implies counted == failed",
        "keeps_time and sees_every_try and sees_hangs implies counted == failed",
        "breaker_is_exact",
        4,
    ),
    Bug(
        "time limit inside the retry",
        "stack",
        "keeps_time implies slowest < total_limit",
        "slowest < total_limit",
        "answers_in_time",
        4,
    ),
    Bug(
        "limiter outside the retry",
        "stack",
        "limits_calls implies sent <= allowance",
        "sent <= allowance",
        "calls_are_limited",
        5,
    ),
    Bug(
        "told when it is full",
        "backpressure",
        "told or depth + 1 >= high",
        "told or depth + 1 >= bound",
        "told_in_time",
        2,
    ),
    Bug(
        "told with no room to spare",
        "backpressure",
        "1 <= high and high * 5 <= bound * 4",
        "1 <= high and high <= bound",
        "told_with_room_to_spare",
        4,
    ),
    Bug(
        "credit lost on cancel",
        "backpressure",
        "has_credit[p] := false\n  credits := credits - 1\n  holders",
        "has_credit[p] := false\n  holders",
        "credits_are_counted",
        2,
    ),
    Bug(
        "one credit too many",
        "backpressure",
        "and depth + credits < bound {",
        "and depth + credits <= bound {",
        "depth_is_bounded",
        3,
    ),
    Bug(
        "falls back on what is not covered",
        "fallback",
        "when stage[c] == first and answer[c] == covered {",
        "when stage[c] == first and failed_now(c) {",
        "covered_failures_only",
        2,
    ),
    Bug(
        "falls back on a success",
        "fallback",
        "when stage[c] == first and answer[c] == covered {",
        "when stage[c] == first and answer[c] != unanswered {",
        "falls_back_exactly",
        3,
    ),
    Bug(
        "the second failure surfaces",
        "fallback",
        "if stage[c] == first then answer[c] else cause[c]\n",
        "answer[c]\n",
        "the_first_failure_surfaces",
        5,
    ),
    Bug(
        "cancellation falls back",
        "fallback",
        "  stage[c] := done\n  result[c] := cancelled",
        "  stage[c] := second\n  result[c] := cancelled",
        "cancellation_is_final",
        2,
    ),
    Bug(
        "hedge loser not awaited",
        "hedge",
        "when stage[c] == ending and stopping[c] == 0 {",
        "when stage[c] == ending {",
        "losers_are_awaited",
        3,
    ),
    Bug("hedge loser not cancelled", "hedge", "  stopping[c] := running[c] - 1\n", "", "first_answer_wins", 4),
    Bug(
        "not idempotent and hedged",
        "hedge",
        "stage[c] == waiting and idempotent[c] and launched",
        "stage[c] == waiting and launched",
        "copied_only_if_idempotent",
        3,
    ),
    Bug(
        "budget not charged",
        "hedge",
        "  latest[c] := now\n  extra := extra + 1\n",
        "  latest[c] := now\n",
        "copies_are_charged",
        3,
    ),
    Bug(
        "budget ignored",
        "hedge",
        "now - latest[c] >= delay and affordable {",
        "now - latest[c] >= delay {",
        "budget_is_kept",
        3,
    ),
    Bug(
        "one copy too many",
        "hedge",
        "launched[c] <= hedges and",
        "launched[c] <= hedges + 1 and",
        "copies_are_bounded",
        6,
    ),
    Bug(
        "a new key per copy",
        "hedge",
        "  latest[c] := now\n  extra := extra + 1\n",
        "  latest[c] := now\n  extra := extra + 1\n  key[c] := next_key\n  next_key := next_key + 1\n",
        "key_is_stable",
        3,
    ),
    Bug("stale served", "cache", "has[k] and now - loaded[k] < ttl", "has[k]", "never_stale", 4),
    Bug(
        "key not compared as a whole",
        "cache",
        "stage[c] == loading and of(v) == wanted[c] {",
        "stage[c] == loading {",
        "strict_keys",
        2,
    ),
    Bug(
        "age counted from the end of the load",
        "cache",
        "loaded[wanted[c]] := began[c]",
        "loaded[wanted[c]] := now",
        "kept_exactly",
        3,
    ),
    Bug(
        "kept though invalidated",
        "cache",
        "if seen[c] == version[wanted[c]] and (has",
        "if (has",
        "versions_are_current",
        3,
    ),
    Bug("two loads of one key", "cache", "not fresh(k) and not busy[k] {", "not fresh(k) {", "one_load_per_key", 2),
    Bug(
        "flight leaked on cancel",
        "cache",
        "  stage[c] := done\n  busy[wanted[c]] := false\n}",
        "  stage[c] := done\n}",
        "failures_are_not_kept",
        2,
    ),
    Bug(
        "limiter burst counted twice",
        "token_bucket",
        "used(c) + interval <= full {",
        "used(c) + interval <= 2 * full {",
        "tokens_in_range",
        2,
    ),
]


def seeded(bug: Bug) -> m.Specification:
    """The pattern with the bug, by itself: what it refines would only hide where its own properties break."""
    (path,) = [path for path in shipped() if path.stem == bug.pattern]
    text = re.sub(r"\nrefines .*?\n}\n", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
    assert bug.old in text, f"{bug.name}: the pattern has changed"
    return load_text(text.replace(bug.old, bug.new, 1), f"{bug.pattern}.ct")


@pytest.fixture(scope="module")
def session() -> Iterator[Session]:
    """Two solver processes."""
    with Solvers(jobs=2) as solvers:
        yield Session(solvers, Settings(steps=8))


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: f"{bug.pattern}: {bug.name}")
def test_a_seeded_bug_is_refuted(bug: Bug, session: Session) -> None:
    """P1 to P12, P-COMPOSE: the property that is there for the bug refutes it, by a shortest run, which is replayed."""
    specification = seeded(bug)
    trace = search(specification, bug.refuted, session)
    assert isinstance(trace, Trace)
    assert Interpreter(specification, trace.world).replay(trace) == ""
    assert len(trace.steps) == bug.steps
