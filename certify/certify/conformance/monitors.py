"""What a run must be: monitors that read moments and name the first that is wrong.

Rules this module keeps:

- a monitor knows only what a caller can see: which calls reached the backend, which were turned away, which wait;
- it is written to allow every run of the specification (`patterns/*.ct`), and more where
  the properties leave a choice: how long a lease is where the library names none, what an error does that is not
  counted;
- what it refuses is a kind and a sentence; scenarios say which kinds break their property.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from certify.conformance.steps import NEUTRAL, Moment, Seen, Step

#: Pauses after which every lease is over, where a library names none.
PATIENT: Final = 100
#: By how much a coarse clock may be behind, and more.
TICK: Final = 1 / 32


@dataclass(frozen=True, slots=True)
class Wrong:
    """The first thing that is wrong: its kind, a sentence, and the number of moments up to it."""

    kind: str
    sentence: str
    moments: int


Judge = Callable[[Sequence[Moment], Any], Wrong | None]


def first(moments: Sequence[Moment], judge: Callable[[Moment], Iterator[tuple[str, str]]]) -> Wrong | None:
    """What a judge of single moments finds first."""
    for number, moment in enumerate(moments, 1):
        for kind, sentence in judge(moment):
            return Wrong(kind, sentence, number)
    return None


# -- the breaker


@dataclass
class Breaker:
    """A breaker that counts failures in a row, as `circuit_breaker.ct` has it.

    Kinds: ``probes`` (P1), ``open`` and ``closed`` (P7), ``recovery`` and ``lease`` (P3), ``slot`` (P4), ``waits``
    (P11), ``altered`` (the caller got something other than the backend's answer).
    """

    threshold: int
    permitted: int
    successes_wanted: int
    recovery: float
    lease: float | None
    successes_reset: bool = True
    mode: str = "closed"
    era: int = 0
    failures: int = 0
    successes: int = 0
    until: float = 0.0
    round_began: float = 0.0
    probes: set[int] = field(default_factory=set)
    eras: dict[int, int] = field(default_factory=dict)

    def watch(self, moment: Moment) -> Iterator[tuple[str, str]]:
        """Follow a moment; gives what is wrong with it."""
        step = moment.step
        for number in step.calls if step.kind != "call" else ():
            self._end(number, step.kind, moment.now)
        for seen in _linear(moment):
            match seen.kind:
                case "enters":
                    yield from self._admit(seen)
                case "rejected" if seen.call not in self.eras:
                    yield from self._reject(seen)
                case "waits" if self.mode == "closed":
                    yield "waits", f"call {seen.call} waits, though the breaker is closed"
                case "waits":
                    yield from self._reject(seen, "waits")
                case "returns" | "raises" if not seen.genuine:
                    yield "altered", f"call {seen.call} gets {seen.detail}, which the backend did not say"
                case _:
                    pass

    def _admit(self, seen: Seen) -> Iterator[tuple[str, str]]:
        number, now = seen.call, seen.at
        if self.mode == "unknown":
            self.mode, self.eras[number] = "free", self.era
        elif self.mode == "free":
            pass
        elif self.mode == "closed":
            self.eras[number] = self.era
        elif self.mode == "open":
            if now < self.until:
                since = now - self.until + self.recovery
                yield "open", f"call {number} reaches the backend {since:g} s after the breaker opened"
            self._begin_round(number, now)
        elif self.lease is not None and now >= self.until:
            self._begin_round(number, now)
        elif len(self.probes) + self.successes < self.permitted:
            self.probes.add(number)
            self.eras[number] = self.era
        elif self.lease is None and now > self.round_began:
            self._begin_round(number, now)
        else:
            yield "probes", f"{len(self.probes) + 1} probes in flight, {self.permitted} permitted"

    def _begin_round(self, number: int, now: float) -> None:
        self.mode, self.era, self.successes = "half-open", self.era + 1, 0
        self.probes, self.round_began = {number}, now
        self.until = now + (self.lease or 0.0)
        self.eras[number] = self.era

    def _reject(self, seen: Seen, how: str = "is rejected") -> Iterator[tuple[str, str]]:
        now, number = seen.at, seen.call
        if self.mode == "closed":
            yield "closed", f"call {number} {how} after {self.failures} of {self.threshold} failures in a row"
        elif self.mode == "open" and now >= self.until:
            yield (
                "recovery",
                f"call {number} {how} {now - self.until + self.recovery:g} s after the breaker opened",
            )
        elif self.mode == "half-open" and len(self.probes) + self.successes < self.permitted:
            yield "slot", f"call {number} {how}, though no probe is in flight"
        elif (
            self.mode == "half-open"
            and now >= (self.round_began + PATIENT * self.recovery if self.lease is None else self.until)
        ) or (self.mode == "unknown" and now >= self.round_began + PATIENT * self.recovery):
            yield "lease", f"call {number} {how} {now - self.round_began:g} s after the last probe began"

    def _end(self, number: int, outcome: str, now: float) -> None:
        if self.eras.get(number) != self.era or self.mode in {"unknown", "free"}:
            return
        self.eras[number] = -1
        half = self.mode == "half-open"
        self.probes.discard(number)
        if outcome == "succeeds":
            self.failures = 0 if self.successes_reset or half else self.failures
            self.successes += half
            if half and self.successes >= self.successes_wanted:
                self.mode, self.era, self.successes, self.probes = "closed", self.era + 1, 0, set()
        elif outcome == "fails":
            self.failures += 1
            if half or self.failures >= self.threshold:
                self.mode, self.era, self.failures, self.successes = "open", self.era + 1, 0, 0
                self.probes, self.until = set(), now + self.recovery
        elif outcome == "errs" and half:
            self.mode = (
                "unknown"  # P3 asks that it recover; whether the error frees the slot or closes is the library's choice
            )
        else:
            assert outcome in (*NEUTRAL, "cancel", "errs"), outcome


def _linear(moment: Moment) -> list[Seen]:
    """What was seen, in an order in which it may have happened.

    Of calls that arrive at once, a probe may be admitted before another call is turned away, and reach the backend
    after it.
    """
    if moment.step.kind != "call":
        return list(moment.seen)
    return sorted(moment.seen, key=lambda seen: seen.kind == "rejected")


def breaker(moments: Sequence[Moment], settings: Any) -> Wrong | None:
    """The first moment that no breaker of these settings allows."""
    return first(
        moments,
        Breaker(
            settings.failure_threshold,
            settings.permitted_probes,
            settings.success_threshold,
            settings.recovery_time,
            settings.lease,
            settings.successes_reset,
        ).watch,
    )


# -- the bulkhead


@dataclass
class Bulkhead:
    """A bulkhead with a queue, as `bulkhead.ct` has it.

    Kinds: ``capacity`` (too many inside), ``idle`` (a call waits or is rejected though a permit is free), ``queue``
    (rejected though there is room in the queue, or more wait than may), ``order`` (a later call goes first),
    ``altered``.
    """

    capacity: int
    queue_limit: int | None
    inside: set[int] = field(default_factory=set)
    queue: list[int] = field(default_factory=list)

    def watch(self, moment: Moment) -> Iterator[tuple[str, str]]:
        """Follow a moment; gives what is wrong with it."""
        step = moment.step
        if step.kind == "call":
            yield from self._arrivals(moment)
            return
        for number in step.calls:
            self.inside.discard(number)
            if number in self.queue:
                self.queue.remove(number)
        for seen in moment.seen:
            if seen.kind == "enters":
                if self.queue and seen.call != self.queue[0]:
                    yield "order", f"call {seen.call} goes first, though call {self.queue[0]} has waited longer"
                if seen.call in self.queue:
                    self.queue.remove(seen.call)
                self.inside.add(seen.call)
            elif seen.kind in {"returns", "raises"} and not seen.genuine:
                yield "altered", f"call {seen.call} gets {seen.detail}, which the backend did not say"
            elif seen.kind == "rejected" and seen.call in self.queue:
                self.queue.remove(seen.call)
                yield "queue", f"call {seen.call} is rejected while it waits"
        yield from self._counts()

    def _arrivals(self, moment: Moment) -> Iterator[tuple[str, str]]:
        for seen in sorted(moment.seen, key=lambda each: each.call):
            how = {"waits": "waits", "rejected": "is rejected"}.get(seen.kind)
            if seen.kind == "enters":
                self.inside.add(seen.call)
            elif how is not None and len(self.inside) < self.capacity and not self.queue:
                yield "idle", f"call {seen.call} {how}, though {self._free()} of {self.capacity} permits are free"
            elif seen.kind == "waits":
                self.queue.append(seen.call)
            elif how is not None and self.queue_limit is not None and len(self.queue) < self.queue_limit:
                taken = f"{len(self.queue)} of {self.queue_limit} places are taken"
                yield "queue", f"call {seen.call} {how}, though {taken}"
        yield from self._counts()

    def _free(self) -> int:
        return self.capacity - len(self.inside)

    def _counts(self) -> Iterator[tuple[str, str]]:
        if len(self.inside) > self.capacity:
            yield "capacity", f"{len(self.inside)} calls run at once, {self.capacity} may"
        if self.queue_limit is not None and len(self.queue) > self.queue_limit:
            yield "queue", f"{len(self.queue)} calls wait, {self.queue_limit} may"
        if self.queue and len(self.inside) < self.capacity:
            yield "idle", f"call {self.queue[0]} still waits, though {self._free()} of {self.capacity} permits are free"


def bulkhead(moments: Sequence[Moment], settings: Any) -> Wrong | None:
    """The first moment that no bulkhead of these settings allows."""
    return first(moments, Bulkhead(settings.capacity, settings.queue_limit).watch)


def permits(moments: Sequence[Moment], settings: Any) -> Wrong | None:
    """The same without an order of arrival, for calls that move at once: ``capacity``, ``idle``, ``queue``."""
    inside: set[int] = set()
    waiting: set[int] = set()
    for position, moment in enumerate(moments, 1):
        rejected = 0
        there = len(inside | waiting)
        leaving = [n for step in (moment.step, *moment.step.also) if step.kind != "call" for n in step.calls]
        inside.difference_update(leaving)
        for seen in moment.seen:
            match seen.kind:
                case "enters":
                    inside.add(seen.call)
                    waiting.discard(seen.call)
                case "waits":
                    waiting.add(seen.call)
                case "rejected":
                    rejected += 1
                    waiting.discard(seen.call)
                case _:
                    inside.discard(seen.call)
        arrived = sum(len(step.calls) for step in (moment.step, *moment.step.also) if step.kind == "call")
        room = settings.capacity + (settings.queue_limit or 0) - there
        if len(inside) > settings.capacity:
            return Wrong("capacity", f"{len(inside)} calls run at once, {settings.capacity} may", position)
        if waiting and len(inside) < settings.capacity:
            return Wrong("idle", f"call {min(waiting)} waits, though a permit is free", position)
        if settings.queue_limit is not None and rejected > max(0, arrived - room):
            return Wrong("queue", f"{rejected} calls are rejected, though there is room for {room}", position)
    return None


# -- one logical call: tries, pauses, answers


@dataclass(frozen=True, slots=True)
class Tried:
    """What one call did: when each try began, and how it ended for the caller."""

    entries: tuple[float, ...]
    end: Seen | None


def tried(moments: Sequence[Moment], number: int = 1) -> Tried:
    """The tries of a call."""
    seen = [each for moment in moments for each in moment.seen if each.call == number]
    ends = [each for each in seen if each.kind in {"returns", "raises", "rejected"}]
    return Tried(tuple(each.at for each in seen if each.kind == "enters"), ends[0] if ends else None)


def calls(moments: Sequence[Moment]) -> tuple[int, ...]:
    """The numbers of all calls that arrived."""
    return tuple(n for moment in moments if moment.step.kind == "call" for n in moment.step.calls)


def attempts(moments: Sequence[Moment], settings: Any) -> Wrong | None:
    """``attempts``.

    A call tries more often than allowed; ``deadline``: a try begins, or the caller waits, after it; ``altered``,
    ``gives-up``.
    """
    for number in calls(moments):
        record = tried(moments, number)
        if len(record.entries) > settings.attempts:
            return _at(
                moments,
                number,
                settings.attempts,
                "attempts",
                f"call {number} tries {len(record.entries)} times, {settings.attempts} are allowed",
            )
    return None


def deadline(moments: Sequence[Moment], settings: Any) -> Wrong | None:
    """``deadline``: a try begins at or after the deadline, or a pause ends after it."""
    limit = settings.deadline
    for number in calls(moments):
        record = tried(moments, number)
        if not record.entries:
            continue
        began = record.entries[0]
        for index, at in enumerate(record.entries):
            if at - began > limit + 1e-6:
                return _at(
                    moments,
                    number,
                    index,
                    "deadline",
                    f"try {index + 1} begins {at - began:g} s after the call, the deadline is {limit:g} s",
                )
        end = record.end
        if end is not None and end.at - began > limit + 1e-6 and end.lag > 1e-6:
            return _at(
                moments,
                number,
                len(record.entries),
                "deadline",
                f"a pause ends {end.at - began:g} s after the call, the deadline is {limit:g} s",
            )
    return None


def _at(moments: Sequence[Moment], number: int, index: int, kind: str, sentence: str) -> Wrong:
    count = 0
    for position, moment in enumerate(moments, 1):
        for seen in moment.seen:
            if seen.call == number and seen.kind == "enters":
                if count == index:
                    return Wrong(kind, sentence, position)
                count += 1
    return Wrong(kind, sentence, len(moments))


def pauses(moments: Sequence[Moment], number: int = 1) -> tuple[float, ...]:
    """The pauses of a call whose tries take no time."""
    at = tried(moments, number).entries
    return tuple(round(b - a, 9) for a, b in itertools.pairwise(at))


# -- the limiter


def limiter(moments: Sequence[Moment], settings: Any) -> Wrong | None:
    """``rate``.

    More calls pass in some interval than burst + rate × its length; ``idle``: one is rejected though a whole token is
    there.
    """
    passed: list[float] = []
    tokens, last = float(settings.burst), 0.0
    for position, moment in enumerate(moments, 1):
        for seen in moment.seen:
            if seen.kind == "enters":
                passed.append(seen.at)
                count, worst = max(
                    ((len(passed) - i, passed[i]) for i in range(len(passed))),
                    key=lambda pair: pair[0] - settings.burst - settings.rate * (seen.at - pair[1]),
                )
                allowed = settings.burst + settings.rate * (seen.at - worst)
                if count > allowed + 1e-6:
                    return Wrong("rate", f"{count} calls pass within {seen.at - worst:g} s, {allowed:g} may", position)
                tokens = min(float(settings.burst), tokens + settings.rate * (seen.at - last)) - 1.0
                last = seen.at
            elif seen.kind == "rejected":
                there = min(float(settings.burst), tokens + settings.rate * (seen.at - last))
                if there >= 1.0 + 1e-6 and not passed_nothing(moment.step):
                    return Wrong("idle", f"call {seen.call} is rejected, though {there:g} tokens are there", position)
    return None


def passed_nothing(step: Step) -> bool:
    """Whether a step is no arrival."""
    return step.kind != "call"


# -- the cache


@dataclass
class Cache:
    """A cache as `cache.ct` has it, for calls with odd numbers that want one thing, and even ones that want another.

    Kinds: ``twice`` (two loads of a thing at a time), ``kept`` (a load though a fresh answer is kept), ``stale``,
    ``idle`` (a call waits, though nobody loads), ``altered`` (the answer to something else, or an error of another).
    """

    life: float
    loads: dict[int, int] = field(default_factory=dict)
    began: dict[int, float] = field(default_factory=dict)
    answers: dict[int, float] = field(default_factory=dict)

    def watch(self, moment: Moment) -> Iterator[tuple[str, str]]:
        """Follow a moment; gives what is wrong with it."""
        step = moment.step
        for number in step.calls if step.kind != "call" else ():
            if self.loads.get(number % 2) == number:
                del self.loads[number % 2]
                if step.kind == "succeeds":
                    self.answers[number] = self.began[number]
        for seen in moment.seen:
            match seen.kind:
                case "enters":
                    yield from self._enter(seen)
                case "returns":
                    yield from self._serve(seen)
                case "waits" if seen.call % 2 not in self.loads:
                    yield "idle", f"call {seen.call} waits, and nobody loads what it wants"
                case "raises" if not seen.genuine:
                    yield "altered", f"call {seen.call} gets {seen.detail}, which its own load did not say"
                case _:
                    pass

    def _enter(self, seen: Seen) -> Iterator[tuple[str, str]]:
        thing = seen.call % 2
        if thing in self.loads:
            yield "twice", f"call {seen.call} loads what call {self.loads[thing]} is loading"
        if any(n % 2 == thing and seen.at - began < self.life - TICK for n, began in self.answers.items()):
            yield "kept", f"call {seen.call} loads what is kept"
        self.loads[thing], self.began[seen.call] = seen.call, seen.at

    def _serve(self, seen: Seen) -> Iterator[tuple[str, str]]:
        source = int(seen.detail.strip("'").rpartition(" ")[2])
        if source % 2 != seen.call % 2 or source not in self.answers:
            yield "altered", f"call {seen.call} gets {seen.detail}"
        elif source != seen.call and seen.at - self.answers[source] > self.life + TICK:
            yield "stale", f"call {seen.call} gets an answer that is {seen.at - self.answers[source]:g} s old"


def cache(moments: Sequence[Moment], settings: Any) -> Wrong | None:
    """The first thing that is wrong with a cache."""
    return first(moments, Cache(settings.seconds).watch)
