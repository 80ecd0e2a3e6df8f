"""Generated code with one seeded bug each: translation validation names the action and the variable it is about."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cache

import pytest

from certify_codegen.reading import UnreadableError
from certify_codegen.validation import Candidate, Validated, equalities, validate
from certify_verifier.solving import Answer, Question, Solvers, Status
from certify_verifier.terms import symbol
from codegen_support import generated, names

BREAKER, RETRY, BULKHEAD, TIMEOUT, BUCKET = "circuit_breaker", "retry", "bulkhead", "timeout", "token_bucket"
CACHE, COUNTED, TIMED = "cache", "count_window_breaker", "time_window_breaker"

NEXT = "0 if self._place + 1 == self._buckets else self._place + 1"
QUIET = (
    "                    and self._slows == 0\n                    else None\n                )\n"
    "            elif self._success_threshold"
)
MIRROR = "self._pass = self._era if self._obeyed and self._mode is _MODE_CLOSED else None"

#: What is seeded; the pattern, the text before and after; what the refusal must name.
DIFFERENT = {
    "wrong comparison in a guard": (
        BREAKER, "self._until <= now", "self._until < now", "when `probe` can happen", "the guard",
    ),
    "wrong comparison in a branch": (
        BREAKER, "self._success_threshold <= self._successes + 1", "self._success_threshold < self._successes + 1",
        "what `succeed` changes", "`mode`",
    ),
    "off by one": (
        BREAKER, "self._failures + 1 < self._failure_threshold", "self._failures < self._failure_threshold",
        "what `fail` changes", "`mode`",
    ),
    "lost update": (
        BREAKER, "                self._probes = self._probes - 1\n                self._successes",
        "                self._successes", "what `succeed` changes", "`probes`",
    ),
    "lost guard": (
        BREAKER, "c.stage is _STAGE_OUTSIDE and self._mode is _MODE_CLOSED", "self._mode is _MODE_CLOSED",
        "when `admit` can happen", "the guard",
    ),
    "swapped branches": (
        BREAKER, "if self._mode is _MODE_CLOSED:\n                self._failures",
        "if self._mode is not _MODE_CLOSED:\n                self._failures", "what `succeed` changes", "`failures`",
    ),
    "updates that are not simultaneous": (
        BREAKER, "        c.call_era = self._era + 1\n        self._era = self._era + 1\n",
        "        self._era = self._era + 1\n        c.call_era = self._era + 1\n", "what `probe` changes", "`call_era`",
    ),
    "a mirror that lags behind": (
        BREAKER, "                self._mode = _MODE_OPEN\n", "                self._mode = _MODE_HALF_OPEN\n",
        "what `fail` changes", "`mode`",
    ),
    "a mirror that is not set": (
        BREAKER,
        f"        {MIRROR}\n\n    def _can_cancel", "\n    def _can_cancel", "what `fail` changes",
        "whether `_pass` holds",
    ),
    "era isolation forgotten": (
        BREAKER, "if c.call_era == self._era and self._mode is _MODE_HALF_OPEN", "if self._mode is _MODE_HALF_OPEN",
        "what `cancel` changes", "`probes`",
    ),
    "a weaker demand": (
        BREAKER, "if not (self._recovery_time > 0)", "if not (self._recovery_time >= 0)", "the start",
        "the demand `recovery_time`",
    ),
    "another start": (
        BREAKER, "self._mode: Mode = _MODE_CLOSED", "self._mode: Mode = _MODE_OPEN", "the start", "`mode`",
    ),
    "cases of an enum exchanged": (
        BREAKER, "_MODE_OPEN: Final[Mode] = Mode.OPEN", "_MODE_OPEN: Final[Mode] = Mode.HALF_OPEN",
        "when `reject` can happen", "the guard",
    ),
    "a pause that is doubled after the cap": (
        RETRY, "self._cap if self._cap <= 2 * c.backoff else 2 * c.backoff",
        "2 * self._cap if self._cap <= c.backoff else 2 * c.backoff", "what `settle` changes", "`backoff`",
    ),
    "a retry after the deadline": (
        RETRY, "and delay < self._deadline - (now - c.began)", "and delay <= self._deadline - (now - c.began)",
        "what `settle` changes", "`stage`",
    ),
    "one try too many": (
        RETRY, "and c.tries < self._attempts", "and c.tries <= self._attempts", "what `settle` changes", "`retries`",
    ),
    "a try before the pause is over": (
        RETRY, "c.stage is _STAGE_PAUSING and c.wake <= now", "c.stage is _STAGE_PAUSING and c.began <= now",
        "when `resume` can happen", "the guard",
    ),
    "a permit given back twice": (
        BULKHEAD, "        c.stage = _STAGE_OUTSIDE\n\n    def _can_abandon",
        "        self._free.append(None)\n        c.stage = _STAGE_OUTSIDE\n\n    def _can_abandon",
        "what `finish` changes", "`free`",
    ),
    "a permit lost in the race": (
        BULKHEAD, "        self._free.append(None)\n        c.stage = _STAGE_OUTSIDE\n\n    def _can_finish",
        "        c.stage = _STAGE_OUTSIDE\n\n    def _can_finish", "what `give_up_granted` changes", "`free`",
    ),
    "a queue that is one too long": (
        BULKHEAD, "and self._waiting < self._queue_limit", "and self._waiting <= self._queue_limit",
        "when `wait` can happen", "the guard",
    ),
    "tickets given twice": (
        BULKHEAD, "        self._next_ticket = self._next_ticket + 1\n", "", "what `wait` changes", "`next_ticket`",
    ),
    "the later of two deadlines": (
        TIMEOUT, "c.deadline if c.deadline <= now + limit else now + limit",
        "now + limit if c.deadline <= now + limit else c.deadline", "what `call` changes", "`deadline`",
    ),
    "a late answer": (
        TIMEOUT, "and not c.asked_to_stop and now < c.deadline", "and not c.asked_to_stop and now <= c.deadline",
        "when `answer` can happen", "the guard",
    ),
    "all on the list are stopped": (
        TIMEOUT, "d.asked_to_stop = d.asked_to_stop or (d.stage is _STAGE_RUNNING and d.parent is c)",
        "d.asked_to_stop = d.asked_to_stop or d.stage is _STAGE_RUNNING", "what `answer` changes", "`asked_to_stop`",
    ),
    "nobody is stopped": (
        TIMEOUT, "d.asked_to_stop = d.asked_to_stop or (d.stage is _STAGE_RUNNING and d.parent is c)",
        "d.asked_to_stop = d.asked_to_stop", "what `answer` changes", "`asked_to_stop`",
    ),
    "a bucket that fills while it is full": (
        BUCKET, "(now if c.due <= now else c.due) + self._interval", "c.due + self._interval", "what `admit` changes",
        "`due`",
    ),
    "a value that is kept though it was invalidated": (
        CACHE, "if c.seen == c.wanted.version and (", "if c.seen <= c.wanted.version and (", "what `arrive` changes",
        "`has`",
    ),
    "a value that is counted twice": (
        CACHE, "            if not c.wanted.has:\n", "            if True:\n", "what `arrive` changes", "`entries`",
    ),
    "an age that counts from the end of the load": (
        CACHE, "c.wanted.loaded = c.began", "c.wanted.loaded = c.wanted.loaded", "what `arrive` changes", "`loaded`",
    ),
    "a value that is served a moment too long": (
        CACHE, "and k.has and now - k.loaded < self._ttl\n", "and k.has and now - k.loaded <= self._ttl\n",
        "when `hit` can happen", "the guard",
    ),
    "a value of another key": (
        CACHE, "c.stage is _STAGE_LOADING and v.of is c.wanted", "c.stage is _STAGE_LOADING",
        "when `arrive` can happen", "the guard",
    ),
    "a key that stays busy after a failure": (
        CACHE, "        c.stage = _STAGE_DONE\n        c.wanted.busy = False\n\n    def _can_receive",
        "        c.stage = _STAGE_DONE\n\n    def _can_receive", "what `fail` changes", "`busy`",
    ),
    "a window that is not reset": (
        COUNTED, "                self._filled = 0\n", "", "what `succeed` changes", "`filled`",
    ),
    "the oldest outcome is not dropped": (
        COUNTED, "- (\n                    1 if self._filled == self._window and self._failed_at[self._place] else 0\n",
        "- (\n                    0\n", "what `succeed` changes", "`failures`",
    ),
    "an outcome that is recorded as another": (
        COUNTED, "self._failed_at[self._place] = True", "self._failed_at[self._place] = False", "what `fail` changes",
        "`failed_at`",
    ),
    "a ring that turns too early": (
        COUNTED, "if self._place + 1 == self._window:", "if self._place + 2 == self._window:",
        "what `succeed` changes", "`place`",
    ),
    "a window that is called good while it fills": (
        COUNTED, "            and self._filled == self._window\n            and self._failures == 0\n",
        "            and self._failures == 0\n", "the start", "whether `_quiet` holds",
    ),
    "a window that is called good with a failure in it": (
        COUNTED, f"                    and self._failures == 0\n{QUIET}", QUIET, "what `succeed` changes",
        "whether `_quiet` holds",
    ),
    "a bucket that expires a moment late": (
        TIMED, "and self._width <= now - self._bucket\n            and now",
        "and self._width < now - self._bucket\n            and now",
        "when `move_on` can happen", "the guard",
    ),
    "a window of one bucket more": (
        TIMED, "and now - self._bucket < self._buckets * self._width",
        "and now - self._bucket < (self._buckets + 1) * self._width", "when `move_on` can happen", "the guard",
    ),
    "the oldest bucket is not dropped": (
        TIMED, f"        self._calls = self._calls - self._calls_at[{NEXT}]\n", "", "what `move_on` changes", "`calls`",
    ),
    "a bucket that is not emptied": (
        TIMED, f"        self._slows_at[{NEXT}] = 0\n", "", "what `move_on` changes", "`slows_at`",
    ),
    "buckets that are not reset": (
        TIMED, "                self._failures_at = [0] * self._buckets\n", "", "what `succeed` changes",
        "`failures_at`",
    ),
}  # fmt: skip

#: What is seeded so that the text is no machine any more: the reading refuses it, and says why.
UNREADABLE = {
    "a transition that is missing": (
        BREAKER, "def _do_cancel(self", "def _undo_cancel(self", "a method `_undo_cancel` that no action has",
    ),
    "a write from outside": (
        BREAKER, "        self._rejected += 1\n", "        self._rejected += 1\n        self._failures = 0\n",
        "`self._failures = 0` outside the machine",
    ),
    "a field that nobody has": (
        RETRY, "self._retries = self._retries + 1", "self._retried = self._retries + 1", "a field `_retried`",
    ),
    "a key that a value changes": (
        CACHE, "    self._do_fail(c)\n", "    self._do_fail(c)\n                value.of = line.key\n",
        "`value.of = line.key` outside the machine",
    ),
    "a field of another sort": (
        CACHE, "c.wanted = k\n        c.served = k.value", "c.wanted = k\n        c.served = c.value",
        "the field `value` of `c`, which has none",
    ),
    "a ring of another size": (
        COUNTED, "[False] * self._window", "[False] * self._minimum", "given something else than its places",
    ),
    "a truth that is a number": (
        BULKHEAD, "len(self._free) == 0 or", "len(self._free) or", "as a truth value",
    ),
    "a call in a transition": (
        BREAKER, "self._until = now + self._recovery_time", "self._until = int(now + self._recovery_time)",
        "an expression such as `int(now + self._recovery_time)`",
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def solvers() -> Iterator[Solvers]:
    """Two solver processes."""
    with Solvers(2) as pool:
        yield pool


def seeded(pattern: str, before: str, after: str) -> Candidate:
    """A pattern's text with one part replaced."""
    candidate = generated(pattern).candidate
    assert candidate.text.count(before) >= 1, before
    return replace(candidate, text=candidate.text.replace(before, after, 1))


def judged(candidate: Candidate, pool: Solvers) -> Validated:
    """What both solvers say of a text."""

    def ask(questions: Sequence[Question]) -> Sequence[Answer]:
        return pool.map(pool.ask, questions)

    return validate(candidate, ("z3", "cvc5"), ask)


@pytest.mark.parametrize("pattern", names())
def test_the_generated_text_is_the_specification(pattern: str, solvers: Solvers) -> None:
    """P-COMPOSE, P1–P12: both solvers agree that guards, updates, starts and fast paths are the specification's."""
    found = judged(generated(pattern).candidate, solvers)
    assert [d.message for d in found.wrong] == []
    assert found.agreed == {"z3": len(found.equalities), "cvc5": len(found.equalities)}
    assert len(found.equalities) >= 5


@pytest.mark.parametrize("bug", DIFFERENT)
def test_a_seeded_difference_is_found(bug: str, solvers: Solvers) -> None:
    """A printer or template bug is a failed proof that names the action and what differs."""
    pattern, before, after, where, what = DIFFERENT[bug]
    candidate = seeded(pattern, before, after)
    suspects = [each for each in equalities(candidate) if each.text not in proved(pattern)]
    [named] = [each for each in suspects if each.title.endswith(where)]
    ours, theirs = (symbol(name) for name in named.parts[what])
    differs = f"{named.text}(assert (not (= {ours} {theirs})))\n"
    assert solvers.ask(Question(differs, "z3")).status is Status.SAT
    assert solvers.ask(Question(differs, "cvc5")).status is Status.SAT


@cache
def proved(pattern: str) -> set[str]:
    """The questions about the unbroken text: those that are the same for a broken one are not about the bug."""
    return {each.text for each in equalities(generated(pattern).candidate)}


def test_both_solvers_refute_and_the_report_says_where_and_what(solvers: Solvers) -> None:
    """A difference is told with the place in the specification, both values, and a state in which they differ."""
    pattern, before, after, *_ = DIFFERENT["wrong comparison in a guard"]
    [told] = judged(seeded(pattern, before, after), solvers).wrong
    assert told.code == "GEN004"
    assert told.message == "CircuitBreaker: when `probe` can happen"
    assert "the guard is false in circuit_breaker.py, and true in CircuitBreaker" in told.because
    assert "until = " in told.because
    assert told.place is not None
    assert told.place.file.endswith("circuit_breaker.ct")


def test_a_place_beyond_the_ring_is_found(solvers: Solvers) -> None:
    """Python counts backwards from the end where a specification does not: each place is shown to be there."""
    for after in ("self._place + 1", "self._place - 1"):
        candidate = seeded(TIMED, f"self._calls_at[{NEXT}] = 0", f"self._calls_at[{after}] = 0")
        [places] = [each for each in equalities(candidate) if each.title.endswith("each place of a ring is there")]
        assert {solvers.ask(Question(places.text, name)).status for name in ("z3", "cvc5")} == {Status.SAT}


@pytest.mark.parametrize("bug", UNREADABLE)
def test_what_is_not_understood_is_refused(bug: str) -> None:
    """A text that has more, or other, than the machine has is refused with its line, never passed over."""
    pattern, before, after, why = UNREADABLE[bug]
    with pytest.raises(UnreadableError, match=r"line [0-9]+") as caught:
        list(equalities(seeded(pattern, before, after)))
    assert why in str(caught.value)
