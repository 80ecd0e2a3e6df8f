# ruff: noqa: E501  # what is replaced is quoted whole
"""Wrong implementations: the hand-written reference with one thing broken, and the property that it must fail."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Seed:
    """Changes of `bench/by_hand.py`, the property that they break, in which mode, the trace, and what is said."""

    name: str
    property: str
    mode: str
    changes: tuple[tuple[str, str], ...]
    steps: tuple[str, ...]
    sentence: str


SEEDS = (
    Seed(
        "admits every probe",
        "P1",
        "async",
        (
            (
                'elif self.mode == "half-open" and self._probes + self._successes < self._permitted:',
                'elif self.mode == "half-open":',
            ),
        ),
        ("call 1 arrives", "call 1: fails", "call 2 arrives", "call 2: fails", "31 s pass", "calls 11, 12 arrive"),
        "2 probes in flight, 1 permitted",
    ),
    Seed(
        "admits probes without a lock",
        "P1",
        "sync",
        (
            (
                "        with self._lock:\n            if not self.mode:\n                return self.era\n",
                "        if True:\n            if not self.mode:\n                return self.era\n",
            ),
        ),
        ("call 1 arrives", "call 1: fails", "call 2 arrives", "call 2: fails", "31 s pass", "calls 3, 4 arrive"),
        "2 probes in flight, 1 permitted, when another thread comes in at by_hand.py:91",
    ),
    Seed(
        "lets late successes count",
        "P2",
        "async",
        (
            (
                "            if era != self.era:\n                return\n            self.failures = self._good",
                "            self.failures = self._good",
            ),
        ),
        (
            "call 9 arrives",
            "call 1 arrives",
            "call 1: fails",
            "call 2 arrives",
            "call 2: fails",
            "call 9: succeeds",
            "call 3 arrives",
        ),
        "call 3 reaches the backend 0 s after the breaker opened",
    ),
    Seed(
        "lets late failures count",
        "P2",
        "sync",
        (
            (
                "            if era != self.era:\n                return\n            if not isinstance(error, self._failure) or",
                "            if not isinstance(error, self._failure) or",
            ),
        ),
        (
            "call 9 arrives",
            "call 1 arrives",
            "call 1: fails",
            "call 2 arrives",
            "call 2: fails",
            "29 s pass",
            "call 9: fails",
            "2 s pass",
            "call 3 arrives",
        ),
        "call 3 is rejected 31 s after the breaker opened",
    ),
    Seed(
        "waits for a hung probe",
        "P3",
        "async",
        (("            if now >= self._until:\n", '            if now >= self._until and self.mode == "open":\n'),),
        (
            "call 1 arrives",
            "call 1: fails",
            "call 2 arrives",
            "call 2: fails",
            "31 s pass",
            "call 3 arrives",
            "31 s pass",
            "call 4 arrives",
        ),
        "call 4 is rejected 31 s after the last probe began",
    ),
    Seed(
        "keeps the slot of a cancelled probe",
        "P4",
        "async",
        (('                self._probes -= self.mode == "half-open"\n', ""),),
        (
            "call 1 arrives",
            "call 1: fails",
            "call 2 arrives",
            "call 2: fails",
            "31 s pass",
            "call 3 arrives",
            "call 3 is cancelled",
            "call 4 arrives",
        ),
        "call 4 is rejected, though no probe is in flight",
    ),
    Seed(
        "counts interrupts as failures",
        "P4",
        "sync",
        (
            (
                "if not isinstance(error, self._failure) or not isinstance(error, Exception):\n                self._probes",
                "if not isinstance(error, (self._failure, KeyboardInterrupt)):\n                self._probes",
            ),
        ),
        ("call 1 arrives", "call 1 is cancelled", "call 2 arrives", "call 2 is cancelled", "call 3 arrives"),
        "call 3 is rejected after 0 of 2 failures in a row",
    ),
    Seed(
        "tries again after a cancellation",
        "P4",
        "async",
        (
            (
                "isinstance(error, self._failure) or not isinstance(error, Exception):\n            return None",
                "isinstance(error, (self._failure, asyncio.CancelledError)):\n            return None",
            ),
            (
                "                except Exception as error:\n                    first = error\n                return await again",
                "                except BaseException as error:\n                    first = error\n                return await again",
            ),
        ),
        ("call 1 arrives", "call 1 is cancelled"),
        "call 1 goes on",
    ),
    Seed(
        "forgets a caller who gave up in the queue",
        "P5",
        "sync",
        (
            (
                "                    self.queue.remove(mine)\n                else:",
                "                    pass\n                else:",
            ),
        ),
        (
            "call 1 arrives",
            "call 2 arrives",
            "call 3 arrives",
            "call 1 succeeds, and call 2 is cancelled in the same moment",
        ),
        "call 3 waits, though the permit is free: the wake-up is lost",
    ),
    Seed(
        "keeps the permit of a caller who gave up as it came",
        "P5",
        "async",
        (("                self.leave()  # the permit came in the same moment\n", "                pass\n"),),
        (
            "call 1 arrives",
            "call 2 arrives",
            "call 3 arrives",
            "call 1 succeeds, and call 2 is cancelled in the same moment",
        ),
        "call 3 waits, though the permit is free: the wake-up is lost",
    ),
    Seed(
        "serves the last one first",
        "P5",
        "async",
        (("first = self.queue.popleft()", "first = self.queue.pop()"),),
        ("call 1 arrives", "call 2 arrives", "call 3 arrives", "call 4 arrives", "call 1: succeeds"),
        "call 4 goes first, though call 3 has waited longer",
    ),
    Seed(
        "looks at the queue before it gives the permit back",
        "P5",
        "sync",
        (
            (
                "                permits.append(None)\n                if queue:\n                    grant()\n\n        return wrapper\n\n    def of_one",
                "                waits = bool(queue)\n                permits.append(None)\n                if waits:\n                    grant()\n\n        return wrapper\n\n    def of_one",
            ),
        ),
        ("call 1 arrives", "call 1: succeeds; call 2 arrives"),
        "call 2 waits, though a permit is free, when another thread comes in at by_hand.py:469",
    ),
    Seed(
        "reads the wall clock",
        "P6",
        "async",
        (
            (
                "            now = self._clock()\n            if now >= self._until",
                "            now = time.time() - 1_699_999_000\n            if now >= self._until",
            ),
        ),
        (
            "call 1 arrives",
            "call 1: fails",
            "call 2 arrives",
            "call 2: fails",
            "the wall clock is set forward by 3600 s",
            "call 3 arrives",
        ),
        "call 3 reaches the backend 0 s after the breaker opened",
    ),
    Seed(
        "opens one failure late",
        "P7",
        "async",
        (("self.failures < self._threshold", "self.failures <= self._threshold"),),
        ("calls 1 to 3 arrive", "call 1: fails", "call 2: fails", "call 3: fails", "call 8 arrives"),
        "call 8 reaches the backend 0 s after the breaker opened",
    ),
    Seed(
        "counts failures without a lock",
        "P7",
        "sync",
        (
            (
                "        with self._lock:\n            if era != self.era:\n                return\n            if not isinstance(error, self._failure) or",
                "        if True:\n            if era != self.era:\n                return\n            if not isinstance(error, self._failure) or",
            ),
        ),
        ("calls 1, 2 arrive", "calls 1, 2: fails", "call 3 arrives"),
        "call 3 reaches the backend 0 s after the breaker opened, when another thread comes in at by_hand.py:126",
    ),
    Seed(
        "never forgets what leaves the window",
        "P7",
        "async",
        (("self._bad += bad - ring[at]", "self._bad += bad"),),
        (
            "call 1 arrives",
            "call 1: fails",
            "call 2 arrives",
            "call 2: succeeds",
            "call 3 arrives",
            "call 3: succeeds",
            "call 4 arrives",
            "call 4: succeeds",
            "call 5 arrives",
            "call 5: fails",
            "call 6 arrives",
            "call 6: succeeds",
            "call 9 arrives",
            "call 9: fails",
            "call 10 arrives",
            "call 10: succeeds",
            "call 13 arrives",
            "call 13: fails",
            "call 14 arrives",
            "call 14: succeeds",
            "call 17 arrives",
            "call 17: fails",
            "call 18 arrives",
        ),
        "call 18 is rejected with 4 failures among the last 10 outcomes",
    ),
    Seed(
        "tries once too often",
        "P8",
        "async",
        (("tries >= self._attempts", "tries > self._attempts"),),
        ("call 1 arrives", "50 s pass"),
        "call 1 tries 4 times, 3 are allowed",
    ),
    Seed(
        "forgets the deadline",
        "P8",
        "sync",
        (("if self._deadline is not None and self._clock() - began + delay >= self._deadline:", "if False:"),),
        (
            "call 1 arrives",
            "1 s pass",
            "1 s pass",
            "1 s pass",
            "1 s pass",
            "1 s pass",
            "1 s pass",
            "1 s pass",
            "1 s pass",
            "1 s pass",
            "1 s pass",
            "1 s pass",
        ),
        "a pause ends 10.8585 s after the call, the deadline is 10 s",
    ),
    Seed(
        "tries again what an open breaker rejects",
        "P8",
        "sync",
        (("if isinstance(error, Rejected | DeadlineExceeded):", "if isinstance(error, DeadlineExceeded):"),),
        ("call 1 arrives", "10 s pass"),
        "call 1 is still trying, though the breaker is open",
    ),
    Seed(
        "draws the jitter before the cap",
        "P9",
        "async",
        (("backoff - self._chance.random() * backoff / 2", "min(self._cap, backoff * (1 + self._chance.random()))"),),
        ("8 calls, of which every try fails",),
        "40 pauses at the cap of 8 s are all 8 s: no jitter",
    ),
    Seed(
        "computes the pause before the cap",
        "P9",
        "sync",
        (
            (
                "tries, backoff = tries + 1, min(self._cap, 2 * backoff)\n            try",
                "tries, backoff = tries + 1, min(self._cap, self._base * 2.0**tries)\n            try",
            ),
        ),
        ("call 1 arrives", "1e+06 s pass"),
        "after 1024 of 1100 tries the caller gets OverflowError",
    ),
    Seed(
        "does not charge the budget",
        "P10",
        "async",
        (("            self._retries += 1\n", ""),),
        ("calls 1, 2 arrive", "100 s pass"),
        "6 retries for 2 calls, 3 + 10 % are allowed",
    ),
    Seed(
        "calls under its lock",
        "P11",
        "sync",
        (
            (
                "                result = function(*args, **kwargs)\n            except BaseException as error:\n                self.failed(era, error)",
                "                with self._lock:\n                    result = function(*args, **kwargs)\n            except BaseException as error:\n                self.failed(era, error)",
            ),
        ),
        ("call 1 arrives", "call 2 arrives"),
        "call 2 waits, though the breaker is closed",
    ),
    Seed(
        "lets listeners raise",
        "P11",
        "async",
        (("            except Exception:\n                pass  # a listener changes nothing\n", ""),),
        ("call 1 arrives", "call 1: fails", "call 2 arrives", "call 2: fails"),
        "with a listener that raises, call 2 gets _Broken, which the backend did not say",
    ),
    Seed(
        "tells listeners under its lock",
        "P11",
        "sync",
        (
            (
                "                self._telling, event = True, self._events.popleft()\n            try:",
                "                self._telling, event = True, self._events.popleft()\n                try:\n                    self._listener(event)\n                except Exception:\n                    pass\n                self._telling = False\n                continue\n            try:",
            ),
        ),
        ("call 1 arrives", "call 2 arrives", "call 1: fails", "call 2: fails", "call 3 arrives"),
        "call 3 waits for a lock that is held while a listener runs",
    ),
    Seed(
        "wraps generators",
        "P11",
        "async",
        (("    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):", "    if False:"),),
        (
            "call 1 of a function that is a generator",
            "call 2 of a function that is a generator",
            "call 3 of a function that is a generator",
        ),
        "a generator is wrapped, not protected: 3 failures in a row do not open it",
    ),
    Seed(
        "lets one call more pass",
        "P12",
        "sync",
        (("(self._burst - 1) * self._gap", "self._burst * self._gap"),),
        ("calls 1 to 4 arrive",),
        "4 calls pass within 0 s, 3 may",
    ),
    Seed(
        "does not wait for the loser",
        "P12",
        "async",
        (("                await asyncio.gather(*tries, return_exceptions=True)\n", ""),),
        ("call 1 arrives; its first try hangs, its second answers",),
        "the caller has its answer, and try 1 still runs",
    ),
    Seed(
        "tries again what may not be repeated",
        "P12",
        "async",
        (("attempts if idempotent else 1", "attempts"),),
        ("call 1 arrives", "100 s pass"),
        "an operation that may not be repeated is tried 3 times",
    ),
)
