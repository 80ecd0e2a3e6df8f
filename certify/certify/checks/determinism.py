"""C-DETERMINISM: the node's answer is replayed while one outside factor after another is changed.

Rules this module keeps:

- where a difference is named, one factor at a time differs from the pinned surroundings. Before that, factors that
  need a sandbox of their own are changed together (`screens`): if nothing differs then, none of them is changed alone;
- *strict*: outputs and the requests sent are byte-identical under every factor; *stable*: under every factor that the
  manifest does not pin, within its tolerance; *best effort*: causes are recorded, nothing is judged;
- a difference between two runs in the same surroundings is a cause of its own: something that nobody can pin (a thread
  race, the monotonic clock);
- what is found is shown with the line where the runs part and a command that shows it again.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from typing import Any, Final, TypeVar

from certify.checks.divergence import RUNNING_CLOCKS, Divergence, divergence, readings, sendings
from certify.checks.workbench import Laboratory, Workbench
from certify.evidence.verdict import CheckResult, Failed, Passed, Unknown, Verdict
from certify.laboratory.record import (
    Crashed,
    Delivery,
    Environment,
    Event,
    EventKind,
    Exceeded,
    Observe,
    Plan,
    Returned,
    RunRecord,
)
from certify.manifest.model import Determinism, Effects, Factor
from certify_spec.diagnostics import Diagnostic, Note, Place, Rule, Severity

CHECK: Final = "C-DETERMINISM"

DET001 = Rule(
    "DET001", "The output depends on the hash seed.", "Sort what comes out of a set, or of a map keyed by objects."
)
DET002 = Rule(
    "DET002",
    "The output depends on the wall clock.",
    "Take the time as an input, or claim `stable` with the clock pinned.",
)
DET003 = Rule(
    "DET003", "The output depends on entropy.", "Take the seed as an input, or claim `stable` with `random` pinned."
)
DET004 = Rule(
    "DET004", "The output depends on the time zone.", "Work in UTC and convert with a zone that the input names."
)
DET005 = Rule(
    "DET005", "The output depends on the locale.", "Format without the locale, or with one that the input names."
)
DET006 = Rule("DET006", "The output depends on the host's name.", "Leave the host out of the output.")
DET007 = Rule("DET007", "The output depends on the process id.", "Leave the process id out of the output.")
DET008 = Rule(
    "DET008", "The output depends on the working folder.", "Leave paths out of the output, or make them relative."
)
DET009 = Rule("DET009", "The output depends on environment variables.", "Take settings as an input.")
DET010 = Rule(
    "DET010", "The output depends on memory addresses.", "Leave `id()` and default representations out of the output."
)
DET011 = Rule(
    "DET011", "The output depends on the number of processors.", "Fix the number of parts, and merge them in order."
)
DET012 = Rule(
    "DET012",
    "The output depends on how threads are switched.",
    "Join threads and merge their results in a fixed order.",
)
DET013 = Rule(
    "DET013",
    "The output depends on how files came into a folder: the order in which it is listed, or their times.",
    "Sort what listing a folder gives, and leave the times of files out.",
)
DET014 = Rule(
    "DET014",
    "The output depends on what the process was called with before.",
    "Keep no state between calls, or none that the output depends on.",
)
DET020 = Rule(
    "DET020",
    "The output differs between two runs in the same surroundings.",
    "Look for threads, timing and the monotonic clock.",
)
DET030 = Rule(
    "DET030", "A pinned factor has no influence that the replays could see.", "Claim less: take it out of `pins`."
)
DET031 = Rule("DET031", "The node claims less determinism than the replays show.", "Consider the stronger claim.")

_RULES: Final[Mapping[Factor, Rule]] = {
    Factor.HASH_SEED: DET001,
    Factor.CLOCK: DET002,
    Factor.RANDOM: DET003,
    Factor.TIMEZONE: DET004,
    Factor.LOCALE: DET005,
    Factor.HOSTNAME: DET006,
    Factor.PID: DET007,
    Factor.CWD: DET008,
    Factor.ENV: DET009,
    Factor.ASLR: DET010,
    Factor.CPU_COUNT: DET011,
    Factor.THREADS: DET012,
    Factor.DIRECTORY_ORDER: DET013,
    Factor.EARLIER_CALLS: DET014,
}

BASE: Final = Environment()
#: Each perturbation differs from `BASE` in one factor only.
PERTURBATIONS: Final[tuple[tuple[Factor, Environment], ...]] = (
    (Factor.HASH_SEED, replace(BASE, hash_seed=1)),
    (Factor.HASH_SEED, replace(BASE, hash_seed=2)),
    (Factor.HASH_SEED, replace(BASE, hash_seed=3)),
    (Factor.HASH_SEED, replace(BASE, hash_seed=4_294_967_295)),
    (Factor.CLOCK, replace(BASE, clock=1_767_225_601)),
    (Factor.CLOCK, replace(BASE, clock=1_782_864_000 + 47_111)),
    (Factor.CLOCK, replace(BASE, clock=2_019_686_399)),
    (Factor.RANDOM, replace(BASE, random_seed=1)),
    (Factor.RANDOM, replace(BASE, random_seed=2)),
    (Factor.TIMEZONE, replace(BASE, timezone="Pacific/Auckland")),
    (Factor.TIMEZONE, replace(BASE, timezone="America/St_Johns")),
    (Factor.LOCALE, replace(BASE, locale="tr_TR.UTF-8")),
    (Factor.LOCALE, replace(BASE, locale="C")),
    (Factor.HOSTNAME, replace(BASE, hostname="elsewhere")),
    (Factor.PID, replace(BASE, pid_offset=7)),
    (Factor.CWD, replace(BASE, cwd="another-folder")),
    (Factor.ENV, replace(BASE, env=(("CERTIFY_PERTURBED", "1"), ("DEBUG", "1"), ("USER", "somebody")))),
    (Factor.ASLR, replace(BASE, aslr=True)),
    (Factor.CPU_COUNT, replace(BASE, cpu_count=2)),
    (Factor.THREADS, replace(BASE, threads=1e-6)),
    (Factor.THREADS, replace(BASE, threads=1e-5)),
    (Factor.THREADS, replace(BASE, threads=1e-4)),
    (Factor.DIRECTORY_ORDER, replace(BASE, directory_order=1)),
    (Factor.EARLIER_CALLS, replace(BASE, earlier_calls=1)),
)
#: Factors that a sandbox is born with: to start one takes as long as ten replays.
SCREENED: Final = frozenset({Factor.HASH_SEED, Factor.CLOCK, Factor.LOCALE, Factor.HOSTNAME, Factor.DIRECTORY_ORDER})
_REPEATS: Final = 3
_CONFIRMATIONS: Final = 3
_SCATTERINGS: Final = 4
#: So many factors on one line that reads none of them are one race.
_CHANCES: Final = 3
#: Factors under which no two runs need to be equal.
_NEVER_TWICE: Final = frozenset({Factor.ASLR, Factor.THREADS, Factor.CPU_COUNT})
#: Calls that give a running clock, or may.
_MAYBE_RUNNING: Final = RUNNING_CLOCKS | {"time.clock_gettime", "time.clock_gettime_ns"}

_Item = TypeVar("_Item")


@dataclass(frozen=True, slots=True)
class _Leak:
    """A factor that changed the answer, in the first fixture and environment where it did. No factor: nothing did.

    `steady` says of a leak without a factor that no two runs in one sandbox differed.
    """

    factor: Factor | None
    fixture: str
    environment: Environment
    first: RunRecord
    second: RunRecord
    steady: bool = False


@dataclass(frozen=True, slots=True)
class _Cause:
    """A leak with the place where the two runs part, and the factors that move the same line by moving this one."""

    leak: _Leak
    rule: Rule
    parted: Divergence | None
    seen: tuple[Event, ...]
    place: Place
    draws: bool
    threaded: bool
    moved_by: tuple[Factor, ...] = ()


def check(bench: Workbench) -> CheckResult:
    """Replay every fixture in the pinned surroundings and under every perturbation."""
    node = bench.subject.manifest.node
    replays = _Replays(bench)
    pins = frozenset(node.pins)
    replays.make(_schedule(node.effects, pins))
    if not replays.hopeless and replays.screened(screens(pins)) and None not in replays.leaks:
        replays.make(_singly(pins))  # what differs by itself could not be told apart
    causes = _causes(bench, replays.leaks)
    found = {cause.leak.factor for cause in causes}
    measured = {
        "replays": replays.made,
        "factors": sorted({str(factor) for factor, _ in PERTURBATIONS}),
        "leaks": sorted("unpinned" if factor is None else str(factor) for factor in found),
        "declared": str(node.determinism),
        "pins": [str(pin) for pin in node.pins],
        "observed": _observed(found),
    }
    findings = tuple(_findings(bench, causes, replays.undecided))
    verdict: Verdict = Passed()
    if any(finding.severity is Severity.ERROR for finding in findings):
        verdict = Failed()
    elif replays.undecided:
        verdict = Unknown(replays.undecided)
    return CheckResult(CHECK, verdict, findings, measured, replays.artefacts)


class _Replays:
    """The replays that were made, and what came of them.

    Attributes:
        made: how many.
        leaks: the first difference under each factor; None stands for no factor.
        undecided: why there is no verdict without a finding; empty when there is one.
        artefacts: digests of the records that are kept as evidence, by what they are.
    """

    def __init__(self, bench: Workbench) -> None:
        self._bench = bench
        self._base: dict[str, RunRecord] = {}
        self.made = 0
        self.leaks: dict[Factor | None, _Leak] = {}
        self.undecided = ""
        self.artefacts: dict[str, str] = {}

    @property
    def hopeless(self) -> bool:
        """Whether there is nothing to compare with: the first run of every fixture gave no answer."""
        begun = self._base.keys() == self._bench.fixtures.keys()
        return begun and all(_undecided(fixture, record) for fixture, record in self._base.items())

    def make(self, schedule: Iterable[tuple[Factor | None, Environment]]) -> None:
        """Replay every fixture in these surroundings, and note where it differs; until that is hopeless."""
        listed = list(schedule)
        for (factor, environment), fixture, record in self._run(listed, [environment for _, environment in listed]):
            self.undecided = self.undecided or _undecided(fixture, record)
            first = self._base.setdefault(fixture, record)
            if first is record:
                self.artefacts[f"replay of {fixture}"] = self._bench.keep(record)
            elif factor not in self.leaks and self._differs(first, record):
                self.leaks[factor] = _Leak(factor, fixture, environment, first, record)
                self.artefacts[f"replay of {fixture}, other {factor or 'run'}"] = self._bench.keep(record)
            if self.hopeless:
                return

    def screened(self, environments: Sequence[Environment]) -> bool:
        """Whether anything differs, or gives no answer, in these surroundings, in which several factors are changed."""
        runs = [*self._run(environments, environments)]
        return any(
            _limited(self._base[fixture], record) or self._differs(self._base[fixture], record)
            for _environment, fixture, record in runs
        )

    def _run(
        self, items: Sequence[_Item], environments: Sequence[Environment]
    ) -> Iterator[tuple[_Item, str, RunRecord]]:
        fixtures = self._bench.fixtures
        of = [(item, fixture) for item in items for fixture in fixtures]
        plans = [Plan((Delivery(text),), environment) for environment in environments for text in fixtures.values()]
        total = self.made + len(plans)
        for (item, fixture), record in zip(of, _records(self._bench.laboratory, plans), strict=True):
            self.made += 1
            self._bench.progress(self.made, total)
            yield item, fixture, record

    def _differs(self, first: RunRecord, record: RunRecord) -> bool:
        return not _limited(first, record) and not same(first, record, self._bench.subject.manifest.node.tolerance)


def _records(laboratory: Laboratory, plans: list[Plan]) -> Iterator[RunRecord]:
    """The records of the plans. Those in the pinned surroundings come one after the other, and so from one sandbox.

    Within a sandbox addresses are pinned; between two of them, native libraries that draw entropy while they are
    loaded lay out memory in different ways.
    """
    pinned = [plan for plan in plans if plan.environment == BASE]
    yield from laboratory.run_in_turn(pinned)
    yield from laboratory.run_all(plan for plan in plans if plan.environment != BASE)


def _schedule(effects: Effects, pins: frozenset[Factor]) -> Iterator[tuple[Factor | None, Environment]]:
    """What to run each fixture in. Only a pure node may be called again without looking at what that does."""
    for _ in range(_REPEATS):
        yield None, BASE
    for factor, environment in PERTURBATIONS:
        if factor in SCREENED - pins or (factor is Factor.EARLIER_CALLS and effects is not Effects.PURE):
            continue
        yield factor, environment


def _singly(pins: frozenset[Factor]) -> Iterator[tuple[Factor, Environment]]:
    """What the screens changed together, one after the other."""
    return ((factor, environment) for factor, environment in PERTURBATIONS if factor in SCREENED - pins)


def screens(pins: frozenset[Factor] = frozenset()) -> tuple[Environment, ...]:
    """Surroundings in which several factors differ: each perturbation that needs a sandbox of its own is in one.

    No factor has one value in all of them, so that none can hide another. What is pinned may differ, and is left out.
    """
    screened = SCREENED - pins
    found = [BASE] * min(2, len(screened))
    for factor in sorted(screened, key=lambda factor: (-_values(factor), factor)):
        changed = [environment for each, environment in PERTURBATIONS if each is factor]
        found += [BASE] * (len(changed) - len(found))
        busy = sorted(range(len(found)), key=lambda place: (len(changes(found[place])), place))
        for place, environment in zip(busy, changed, strict=False):
            found[place] = replace(found[place], **changes(environment))
    return tuple(found)


def _values(factor: Factor) -> int:
    return sum(each is factor for each, _environment in PERTURBATIONS)


def _limited(*records: RunRecord) -> bool:
    """Whether a run ended at a limit, or was not recorded in full: its answer is not to be compared."""
    return any(isinstance(record.outcomes[0], Exceeded) or record.incomplete for record in records)


def _undecided(fixture: str, record: RunRecord) -> str:
    outcome = record.outcomes[0]
    if isinstance(outcome, Exceeded | Crashed):
        return f"a replay of fixture `{fixture}` gave no answer to compare ({type(outcome).__name__.lower()})"
    return f"the record of a replay of `{fixture}` is incomplete: {record.incomplete}" if record.incomplete else ""


def same(first: RunRecord, second: RunRecord, tolerance: float) -> bool:
    """Whether two runs gave the same answer, sent the same requests and left the same world."""
    answers = _same_outcome(first.outcomes[0], second.outcomes[0], tolerance)
    return answers and _requests(first) == _requests(second) and first.world == second.world


def _same_outcome(first: object, second: object, tolerance: float) -> bool:
    if isinstance(first, Returned) and isinstance(second, Returned):
        if first.output == second.output:
            return True
        return tolerance > 0 and close(json.loads(first.json), json.loads(second.json), tolerance)
    return first == second


def _requests(record: RunRecord) -> list[tuple[object, ...]]:
    return [(e.resource, e.method, e.path, e.headers, e.body) for e in record.exchanges]


def close(first: Any, second: Any, tolerance: float) -> bool:
    """Whether two JSON values are equal but for floats that differ by at most `tolerance`."""
    if isinstance(first, float) and isinstance(second, int | float) and not isinstance(second, bool):
        return first == second or abs(first - second) <= tolerance
    if isinstance(second, float) and isinstance(first, int) and not isinstance(first, bool):
        return first == second or abs(first - second) <= tolerance
    if isinstance(first, dict) and isinstance(second, dict):
        return first.keys() == second.keys() and all(close(first[k], second[k], tolerance) for k in first)
    if isinstance(first, list) and isinstance(second, list):
        return len(first) == len(second) and all(close(a, b, tolerance) for a, b in zip(first, second, strict=True))
    return type(first) is type(second) and bool(first == second)


# -- causes -----------------------------------------------------------------------------------------------------------


def _causes(bench: Workbench, leaks: Mapping[Factor | None, _Leak]) -> list[_Cause]:
    """What made the runs differ: confirmed by running again, line by line, and told apart."""
    confirmed = {leak.factor: leak for leak in (_of_layout(bench, _confirmed(bench, leak)) for leak in leaks.values())}
    if None in confirmed:  # what differs by itself differs under every factor too: the factors cannot be told apart
        confirmed = {None: confirmed[None]}
    return _folded([_cause(bench, leak) for leak in confirmed.values()], frozenset(bench.subject.manifest.node.pins))


def _confirmed(bench: Workbench, leak: _Leak) -> _Leak:
    """The leak, if the pinned surroundings give one answer again and again, and the changed ones another.

    Otherwise it is nothing that this factor did. What is the same within a sandbox and another in the next is steady;
    what differs within one has no factor at all.
    """
    tolerance = bench.subject.manifest.node.tolerance
    delivery = (Delivery(bench.fixtures[leak.fixture]),)
    again = bench.laboratory.run_in_turn([Plan(delivery, BASE)] * _CONFIRMATIONS)
    again = [record for record in again if not _limited(record)] or [leak.first]
    astray = [record for record in again[1:] if not same(again[0], record, tolerance)]
    if astray or leak.factor is None:
        second = astray[0] if astray else leak.second
        return replace(leak, factor=None, environment=BASE, second=second, steady=not astray)
    if not same(leak.first, again[0], tolerance):
        return replace(leak, factor=None, environment=BASE, second=again[0], steady=True)
    if leak.factor in _NEVER_TWICE:
        return leak
    others = bench.laboratory.run_all([Plan(delivery, leak.environment)] * _CONFIRMATIONS)
    if any(same(leak.first, record, tolerance) for record in others if not _limited(record)):
        return replace(leak, factor=None, environment=BASE, steady=True)
    return leak


def _of_layout(bench: Workbench, leak: _Leak) -> _Leak:
    """The leak with memory's layout for its factor, if that is all that can make two sandboxes differ.

    So it is when runs in one sandbox are equal, and the node starts no thread and reads no running clock itself. What
    the manifest pins explains nothing: then these are two answers in the surroundings that it claims are enough.
    """
    if leak.factor is not None or not leak.steady or Factor.ASLR in bench.subject.manifest.node.pins:
        return leak
    [watched] = _closely(bench, (Delivery(bench.fixtures[leak.fixture]),), [BASE])
    if _threads(watched) or _reads_running_clock(watched):
        return leak
    return replace(leak, factor=Factor.ASLR, environment=replace(BASE, aslr=True))


def _cause(bench: Workbench, leak: _Leak) -> _Cause:
    """Run both sides again, line by line, and find where they part."""
    delivery = (Delivery(bench.fixtures[leak.fixture]),)
    environments = (BASE, BASE, *([] if leak.factor is None else [leak.environment]))
    runs = _closely(bench, delivery, environments)
    rule = _RULES[leak.factor] if leak.factor else DET012 if _races(runs[-1]) else DET020
    if rule is DET012:
        parted = _race(bench, delivery, runs)
    else:
        parted = divergence(runs[0], runs[1]) if leak.factor is None else divergence(runs[0], runs[2], twin=runs[1])
    if leak.factor is Factor.EARLIER_CALLS:
        parted = _accumulated(bench, delivery) or parted
    if leak.factor is Factor.ASLR and (parted is None or parted.thread):
        parted = _scattered(bench, delivery, runs, leak.environment) or parted
    seen = readings(runs[-1], leak.factor)
    entry = bench.laboratory.signature()
    last = [event.place for event in (*seen, *sendings(runs[-1])) if event.place is not None]
    place = parted.place if parted else last[0] if last else Place(entry.file, entry.line)
    draws = any(event.kind is EventKind.RANDOM for event in runs[-1].events)
    if rule is DET012:
        leak = replace(leak, environment=replace(BASE, threads=leak.environment.threads if leak.factor else 1e-6))
    return _Cause(leak, rule, parted, seen, place, draws, _races(runs[-1]))


def _closely(bench: Workbench, delivery: tuple[Delivery], environments: Iterable[Environment]) -> list[RunRecord]:
    return list(_records(bench.laboratory, [Plan(delivery, e, observe=Observe.LINES) for e in environments]))


def _accumulated(bench: Workbench, delivery: tuple[Delivery]) -> Divergence | None:
    """Where a second and a third call part: unlike the first, neither imports or prepares anything."""
    second, third = (replace(BASE, earlier_calls=number) for number in (1, 2))
    runs = _closely(bench, delivery, (second, second, third))
    return divergence(runs[0], runs[2], twin=runs[1])


def _scattered(
    bench: Workbench, delivery: tuple[Delivery], runs: list[RunRecord], environment: Environment
) -> Divergence | None:
    """Where another layout of memory shows in the thread that answers: a few objects may lie in one order by chance."""
    for _ in range(_SCATTERINGS):
        again = bench.laboratory.run(Plan(delivery, environment, observe=Observe.LINES))
        parted = divergence(runs[0], again, twin=runs[1], main_only=True)
        if parted is not None:
            return parted
    return None


def _race(bench: Workbench, delivery: tuple[Delivery], runs: list[RunRecord]) -> Divergence | None:
    """Where a race becomes visible in the thread that answers: it may take a few runs to show."""
    parted = divergence(runs[0], runs[-1], main_only=True)
    schedules = [environment for factor, environment in PERTURBATIONS if factor is Factor.THREADS]
    for environment in schedules:
        if parted is not None:
            break
        again = bench.laboratory.run(Plan(delivery, environment, observe=Observe.LINES))
        parted = divergence(runs[0], again, main_only=True)
    return parted


def _races(record: RunRecord) -> bool:
    """Whether threads are all that can make this run differ by itself."""
    return _threads(record) and not _reads_running_clock(record)


def _threads(record: RunRecord) -> bool:
    """Whether the node's lines start threads, or are run by some."""
    started = any(event.kind is EventKind.THREAD for event in record.events if event.place is not None)
    return started or any(step.thread for steps in record.steps for step in steps)


def _reads_running_clock(record: RunRecord) -> bool:
    """Whether the node itself, and not a library that waits for something, reads a clock that runs on."""
    return any(event.target in _MAYBE_RUNNING and not event.detail.get("through") for event in record.events)


def _folded(causes: list[_Cause], pins: frozenset[Factor]) -> list[_Cause]:
    """Without those that only move what another one leaks.

    A race shows under whichever factor it happens to. Almost every factor moves memory: a leaked address differs under
    all of them, on the same line. And the state of OpenSSL's generator is partly made of addresses. What the manifest
    pins explains nothing away.
    """
    race = next((cause for cause in causes if cause.leak.factor is Factor.THREADS and cause.seen), None)
    if race is not None and Factor.THREADS not in pins:
        causes = [cause for cause in causes if not _may_be_raced(cause, race)]
    if Factor.THREADS not in pins:
        causes = _by_chance(causes)
    earlier = next((cause for cause in causes if cause.leak.factor is Factor.EARLIER_CALLS), None)
    if earlier and any(_cannot_come_again(c, earlier) for c in causes if c.leak.factor not in pins):
        causes.remove(earlier)
    for root in (Factor.RANDOM, Factor.ASLR):
        at = next((cause for cause in causes if cause.leak.factor is root and root not in pins), None)
        if at is None or (root is Factor.RANDOM and not at.draws):
            continue
        moved = [c for c in causes if c is not at and _on_its_line(c, at) and not _reads_there(c)]
        if root is Factor.RANDOM and not any(c.leak.factor is Factor.ASLR for c in moved):
            continue
        names = tuple(c.leak.factor for c in moved if c.leak.factor)
        causes = [replace(c, moved_by=names) if c is at else c for c in causes if c not in moved]
    return causes


def _by_chance(causes: list[_Cause]) -> list[_Cause]:
    """Without those that a race explains though it did not show where threads are switched otherwise.

    Then it shows under several other factors, on one line, which reads none of them.
    """
    chance = [c for c in causes if c.threaded and c.leak.factor not in {None, Factor.THREADS} and not _reads_there(c)]
    at_once = [c for c in chance if _on_its_line(c, chance[0])]
    if len(at_once) < _CHANCES or any(c.leak.factor is Factor.ASLR for c in at_once):
        return causes
    race = at_once[0]
    named = replace(
        race,
        rule=DET012,
        leak=replace(race.leak, factor=Factor.THREADS, environment=replace(BASE, threads=1e-6)),
        moved_by=tuple(c.leak.factor for c in at_once if c.leak.factor),
    )
    return [named if c is race else c for c in causes if c is race or c not in at_once]


def _cannot_come_again(cause: _Cause, earlier: _Cause) -> bool:
    """Whether the cause gives each call of a process something else: addresses, and what no Python code drew."""
    native = cause.leak.factor is Factor.RANDOM and not _reads_there(cause) and _on_its_line(earlier, cause)
    return native or cause.leak.factor is Factor.ASLR


def _may_be_raced(cause: _Cause, race: _Cause) -> bool:
    """Whether a race explains a cause: chance decides under which factors a race shows."""
    return cause is not race and not _reads_there(cause)


def _on_its_line(cause: _Cause, root: _Cause) -> bool:
    """Whether a cause parts where the root does, or nowhere that tells: watching the lines moves memory, too."""
    return cause.place == root.place or cause.parted is None or bool(cause.parted.thread and not cause.seen)


def _reads_there(cause: _Cause) -> bool:
    """Whether the line that the cause names reads the cause's factor: then it needs no other to explain it."""
    if cause.leak.factor in {Factor.HASH_SEED, Factor.ASLR}:
        return False
    return any(event.place is not None and event.place.line == cause.place.line for event in cause.seen)


# -- findings ---------------------------------------------------------------------------------------------------------


def _observed(found: AbstractSet[Factor | None]) -> str:
    if not found:
        return str(Determinism.STRICT)
    return str(Determinism.BEST_EFFORT if None in found else Determinism.STABLE)


def _findings(bench: Workbench, causes: list[_Cause], undecided: str) -> Iterator[Diagnostic]:
    node = bench.subject.manifest.node
    judged = node.determinism is not Determinism.BEST_EFFORT
    found = {cause.leak.factor for cause in causes}
    for cause in causes:
        allowed = not judged or cause.leak.factor in node.pins
        yield _finding(bench, cause, Severity.NOTE if allowed else Severity.ERROR)
    at = Place(bench.subject.manifest_file, 1)
    if None not in found and not undecided:
        for pin in node.pins:
            if pin not in found and pin in _RULES:
                yield Diagnostic(
                    DET030,
                    f"`{pin}` is pinned, but no replay differed when it changed",
                    at,
                    fix=DET030.advice,
                    severity=Severity.NOTE,
                )
    if node.determinism is not Determinism.STRICT and not found and not undecided:
        yield Diagnostic(
            DET031,
            f'every replay gave the same answer: the node claims "{node.determinism}" and showed "strict"',
            at,
            fix='write determinism = "strict" if that is meant',
            severity=Severity.NOTE,
        )


def _finding(bench: Workbench, cause: _Cause, severity: Severity) -> Diagnostic:
    leak = cause.leak
    others = (event for event in cause.seen if event.place is not None and event.place.line != cause.place.line)
    notes = tuple(Note(f"`{event.target}` is read here", event.place) for event in [*others][:4])
    if cause.moved_by:
        notes += (Note(f"the same line differs with other {', '.join(cause.moved_by)}: they move it, too"),)
    changed = "in two runs of the same surroundings" if leak.factor is None else f"with {_difference(leak.environment)}"
    return Diagnostic(
        cause.rule,
        f"fixture `{leak.fixture}` {_what_differs(leak)} {changed}",
        cause.place,
        because=cause.parted.describe() if cause.parted else _outputs(leak),
        fix=cause.rule.advice,
        notes=notes,
        replay=replay_command(bench.subject.manifest_file, leak.fixture, leak.environment),
        severity=severity,
        data={"factor": str(leak.factor or "unpinned"), "fixture": leak.fixture},
    )


def _what_differs(leak: _Leak) -> str:
    """What the two runs do not agree in, as the finding says it."""
    if not _same_outcome(leak.first.outcomes[0], leak.second.outcomes[0], 0.0):
        return "answers otherwise"
    return "sends other requests" if _requests(leak.first) != _requests(leak.second) else "leaves other data"


def _difference(environment: Environment) -> str:
    parts = []
    for name, value in changes(environment).items():
        shown = " ".join(f"{k}={v}" for k, v in value) if isinstance(value, tuple) else value
        parts.append(f"{name} {shown}")
    return ", ".join(parts)


def changes(environment: Environment) -> dict[str, Any]:
    """The fields in which an environment differs from the pinned one."""
    names = Environment.__dataclass_fields__
    return {name: getattr(environment, name) for name in names if getattr(environment, name) != getattr(BASE, name)}


def replay_command(manifest_file: str, fixture: str, environment: Environment) -> str:
    """The command that shows both answers side by side."""
    parts = [f"certify replay {manifest_file} --fixture {fixture}"]
    for name, value in changes(environment).items():
        if isinstance(value, tuple):
            parts += [f"--set env.{key}={text}" for key, text in value]
        else:
            parts.append(f"--set {name}={value}")
    return " ".join(parts)


def _outputs(leak: _Leak) -> str:
    def shown(record: RunRecord) -> str:
        outcome = record.outcomes[0]
        return outcome.json.decode(errors="replace")[:300] if isinstance(outcome, Returned) else repr(outcome)[:300]

    return f"once    {shown(leak.first)}\nand then {shown(leak.second)}"
