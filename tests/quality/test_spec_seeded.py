"""Seeded bugs: each of the shipped patterns, broken as real libraries are, is refuted with its shortest run."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from certify_spec import model as m
from certify_spec.interpreter import Interpreter, Trace
from certify_spec.loader import examine_text, load_text, shipped
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


# fmt: off -- a bug reads best on few lines
BREAKER = [
    Bug(
        "no era check on success",
        "circuit_breaker",
        "outside\n  if call_era[c] == era {\n    if mode == closed {\n      failures := 0",
        "outside\n  if true {\n    if mode == closed {\n      failures := 0",
        "era_isolation",
        4,
    ),
    Bug(
        "no era check on failure",
        "circuit_breaker",
        "if call_era[c] == era {\n    if mode == closed and failures",
        "if true {\n    if mode == closed and failures",
        "era_isolation",
        4,
    ),
    Bug(
        "no era check on cancellation",
        "circuit_breaker",
        "if call_era[c] == era and mode == half_open",
        "if mode == half_open",
        "era_isolation",
        6,
    ),
    Bug(
        "no lease",
        "circuit_breaker",
        "define due : Bool = mode != closed",
        "define due : Bool = mode == open",
        "never_absorbing",
        5,
    ),
    Bug("lease not renewed", "circuit_breaker", "  until := now + lease\n", "", "rounds_are_apart", 4),
    Bug(
        "probe slot leaked on cancel",
        "circuit_breaker",
        "    probes := probes - 1\n    flying := remove(flying, c)\n  }\n}\n\ninvariant",
        "    flying := remove(flying, c)\n  }\n}\n\ninvariant",
        "probes_are_counted",
        5,
    ),
    Bug(
        "one probe too many",
        "circuit_breaker",
        "successes < permitted_probes {",
        "successes <= permitted_probes {",
        "probe_bound",
        5,
    ),
    Bug(
        "probes not bounded by what has succeeded",
        "circuit_breaker",
        "probes + successes < permitted_probes {",
        "probes < permitted_probes {",
        "probes_are_counted",
        7,
    ),
    Bug(
        "row not ended by success",
        "circuit_breaker",
        "      failures := 0\n      log",
        "      log",
        "success_ends_the_row",
        4,
    ),
    Bug(
        "window not reset on opening",
        "circuit_breaker",
        "now + recovery_time\n      failures := 0\n",
        "now + recovery_time\n",
        "not_yet_open",
        4,
    ),
    Bug(
        "trips one failure early",
        "circuit_breaker",
        "failures + 1 < failure_threshold",
        "failures + 2 < failure_threshold",
        "opens_exactly",
        2,
    ),
    Bug(
        "trips one failure late",
        "circuit_breaker",
        "failures + 1 < failure_threshold",
        "failures < failure_threshold",
        "opens_exactly",
        2,
    ),
    Bug(
        "re-opening keeps the old pause",
        "circuit_breaker",
        "      until := now + recovery_time\n",
        "      until := if mode == closed then now + recovery_time else until\n",
        "pauses_when_it_opens",
        5,
    ),
    Bug(
        "era not changed on opening",
        "circuit_breaker",
        "      era := era + 1\n      until",
        "      until",
        "changes_are_numbered",
        2,
    ),
    Bug(
        "cancellation counted as failure",
        "circuit_breaker",
        "  if call_era[c] == era and mode == half_open {",
        "  if call_era[c] == era and mode == closed { failures := failures + 1 }\n"
        "  if call_era[c] == era and mode == half_open {",
        "cancellation_is_neutral",
        2,
    ),
    Bug(
        "an open breaker lets calls through",
        "circuit_breaker",
        "stage[c] == outside and mode == closed {",
        "stage[c] == outside and mode != half_open {",
        "open_stops",
        2,
    ),
]
RETRY = [
    Bug(
        "deadline error retried",
        "retry",
        "answer[c] == transient and idempotent[c] and tries[c] < attempts and affordable",
        "answer[c] != success and idempotent[c] and tries[c] < attempts and affordable",
        "retries_exactly",
        3,
    ),
    Bug(
        "one try too many",
        "retry",
        "tries[c] < attempts and affordable",
        "tries[c] <= attempts and affordable",
        "tries_are_bounded",
        3,
    ),
    Bug(
        "not idempotent and retried",
        "retry",
        "answer[c] == transient and idempotent[c] and",
        "answer[c] == transient and",
        "retried_only_if_idempotent",
        3,
    ),
    Bug(
        "jitter added before the cap",
        "retry",
        "backoff[c] - backoff[c] div 2 <= delay <= backoff[c] {",
        "delay == backoff[c] {",
        "jitter_spreads",
        2,
    ),
    Bug(
        "no cap",
        "retry",
        "min(cap, 2 * backoff[c])\n    retries",
        "2 * backoff[c]\n    retries",
        "pauses_are_bounded",
        3,
    ),
    Bug("budget not charged", "retry", "    retries := retries + 1\n", "", "retries_are_charged", 3),
    Bug("budget ignored", "retry", "tries[c] < attempts and affordable", "tries[c] < attempts", "budget_is_kept", 3),
    Bug(
        "pause beyond the deadline",
        "retry",
        "may_retry(c) and delay < left(c)",
        "may_retry(c)",
        "pauses_end_in_time",
        3,
    ),
    Bug(
        "slept over and tried again",
        "retry",
        "now >= wake[c] and left(c) > 0 {",
        "now >= wake[c] {",
        "tries_start_in_time",
        5,
    ),
    Bug(
        "resumes before the pause is over",
        "retry",
        "now >= wake[c] and left(c) > 0 {",
        "left(c) > 0 {",
        "tries_start_in_time",
        4,
    ),
    Bug(
        "a new key per try",
        "retry",
        "  tries[c] := tries[c] + 1\n",
        "  tries[c] := tries[c] + 1\n  key[c] := next_key\n  next_key := next_key + 1\n",
        "key_is_stable",
        4,
    ),
    Bug(
        "cancellation retried",
        "retry",
        "  stage[c] := done\n  result[c] := cancelled",
        "  stage[c] := pausing\n  result[c] := cancelled",
        "cancellation_is_final",
        2,
    ),
    Bug(
        "another failure surfaces",
        "retry",
        "    surfaced[c] := answer[c]\n",
        "    surfaced[c] := permanent\n",
        "failure_surfaces",
        3,
    ),
    Bug(
        "old answer judged again",
        "retry",
        "  tries[c] := tries[c] + 1\n  answer[c] := unanswered\n",
        "  tries[c] := tries[c] + 1\n",
        "waking_waits_for_an_answer",
        4,
    ),
]
BULKHEAD = [
    Bug(
        "slot leaked when time-out meets grant",
        "bulkhead",
        "  stage[c] := outside\n  free := free + 1\n  promised",
        "  stage[c] := outside\n  promised",
        "permits_are_conserved",
        5,
    ),
    Bug(
        "slot leaked on error",
        "bulkhead",
        "  free := free + 1\n  busy := remove(busy, c)",
        "  busy := remove(busy, c)",
        "permits_are_conserved",
        2,
    ),
    Bug(
        "double release",
        "bulkhead",
        "  free := free + 1\n  busy",
        "  free := free + 2\n  busy",
        "permits_are_conserved",
        2,
    ),
    Bug(
        "released while the work runs on",
        "bulkhead",
        "  stage[c] := abandoned\n",
        "  stage[c] := abandoned\n  free := free + 1\n",
        "concurrency_is_bounded",
        3,
    ),
    Bug(
        "queue place leaked on cancel",
        "bulkhead",
        "  stage[c] := outside\n  waiting := waiting - 1\n  queue",
        "  stage[c] := outside\n  queue",
        "queue_is_bounded",
        3,
    ),
    Bug(
        "newcomer overtakes the queue",
        "bulkhead",
        "free > 0 and waiting == 0 {",
        "free > 0 {",
        "entering_overtakes_nobody",
        4,
    ),
    Bug(
        "last come first served",
        "bulkhead",
        "implies ticket[c] <= ticket[d]\n\ndefine",
        "implies ticket[c] >= ticket[d]\n\ndefine",
        "first_come_first_served",
        5,
    ),
    Bug(
        "lost wake-up", "bulkhead", "when first(c) and free > 0 {", "when first(c) and free > 1 {", "no_lost_wake_up", 3
    ),
    Bug("one place too many", "bulkhead", "waiting < queue_limit {", "waiting <= queue_limit {", "queue_is_bounded", 2),
    Bug(
        "enters without a permit",
        "bulkhead",
        "when stage[c] == outside and free > 0 and waiting == 0 {",
        "when stage[c] == outside and free >= 0 and waiting == 0 {",
        "never_negative",
        2,
    ),
    Bug(
        "grant does not take a permit",
        "bulkhead",
        "  stage[c] := granted\n  free := free - 1\n",
        "  stage[c] := granted\n",
        "permits_are_conserved",
        4,
    ),
]
OTHERS = [
    Bug("one call too many", "token_bucket", "used(c) + interval <= full {", "used(c) <= full {", "tokens_in_range", 2),
    Bug(
        "burst after a long rest",
        "token_bucket",
        "due[c] := max(due[c], now) + interval",
        "due[c] := due[c] + interval",
        "rate_is_bounded",
        4,
    ),
    Bug(
        "tokens come back too fast",
        "token_bucket",
        "due[c] := max(due[c], now) + interval",
        "due[c] := max(due[c] - 1, now) + interval",
        "rate_is_bounded",
        3,
    ),
    Bug(
        "rejections are charged",
        "token_bucket",
        "used(c) + interval > full { }",
        "used(c) + interval > full { due[c] := due[c] + interval }",
        "rejection_is_free",
        2,
    ),
    Bug(
        "the longer deadline wins",
        "timeout",
        "min(deadline[c], now + limit)\n  parent",
        "max(deadline[c], now + limit)\n  parent",
        "deadlines_nest",
        2,
    ),
    Bug("answers late", "timeout", "and now < deadline[c] {", "{", "never_late", 3),
    Bug(
        "callee not told",
        "timeout",
        "expired\n  ended[c] := now\n  asked_to_stop := [d in Call: asked_to_stop[d] or child(d, c)]\n",
        "expired\n  ended[c] := now\n",
        "cancellation_arrives",
        4,
    ),
    Bug("expires early", "timeout", "now >= deadline[c] {", "now + 1 >= deadline[c] {", "expires_on_time", 2),
]
# fmt: on
BUGS = [*BREAKER, *RETRY, *BULKHEAD, *OTHERS]


def source(pattern: str) -> str:
    """The text of a shipped pattern."""
    (path,) = [path for path in shipped() if path.stem == pattern]
    return path.read_text(encoding="utf-8")


def seeded(bug: Bug) -> m.Specification:
    """The pattern with the bug."""
    text = source(bug.pattern)
    assert text.count(bug.old) >= 1, f"{bug.name}: the pattern has changed"
    return load_text(text.replace(bug.old, bug.new, 1), f"{bug.pattern}.ct")


@pytest.fixture(scope="module")
def session() -> Iterator[Session]:
    """Two solver processes."""
    with Solvers(jobs=2) as solvers:
        yield Session(solvers, Settings(steps=8))


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: f"{bug.pattern}: {bug.name}")
def test_a_seeded_bug_is_refuted(bug: Bug, session: Session) -> None:
    """The property that is there for the bug refutes it, by a shortest run, which the interpreter replays."""
    specification = seeded(bug)
    trace = search(specification, bug.refuted, session)
    assert isinstance(trace, Trace)
    assert Interpreter(specification, trace.world).replay(trace) == ""
    assert len(trace.steps) == bug.steps


def test_a_wall_clock_cannot_be_written() -> None:
    """P6: a decision by an absolute clock reading has no type."""
    wrong = source("circuit_breaker").replace("now >= until\n", "now >= 1000\n", 1)
    assert "SPEC306" in {diagnostic.code for diagnostic in examine_text(wrong)[1]}


def test_a_clock_that_goes_back_is_refuted(session: Session) -> None:
    """P6: a clock that is set back, as a wall clock may be, breaks the promise that every clock makes."""
    tick = "environment action tick(d: Duration) { now := now + d }\n\naction admit"
    specification = load_text(source("circuit_breaker").replace("action admit", tick, 1))
    trace = search(specification, "now_never_goes_back", session)
    assert isinstance(trace, Trace)
    assert [event.action for event, _ in trace.steps] == ["tick"]


@pytest.mark.parametrize("pattern", ["circuit_breaker", "retry", "bulkhead"])
def test_the_patterns_name_what_they_prove(pattern: str) -> None:
    """Each property of a pattern says which requirement it serves, helpers and what the language adds aside."""
    specification = load_text(source(pattern))
    documented = [f.doc for f in specification.formulas] + [s.doc for s in specification.steps]
    wanted = {
        "circuit_breaker": {"P1", "P2", "P3", "P4", "P5", "P7", "P11"},
        "retry": {"P4", "P8", "P9", "P10", "P11", "P12"},
        "bulkhead": {"P5", "P11"},
    }[pattern]
    assert wanted <= {doc.split(":")[0] for doc in documented}
