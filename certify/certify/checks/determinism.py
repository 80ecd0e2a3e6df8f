"""C-DETERMINISM: the node's answer is replayed while one outside factor after another is changed.

Rules this module keeps:

- one factor at a time differs from the pinned surroundings, so a difference names its cause;
- *strict*: outputs and the requests sent are byte-identical under every factor; *stable*: under every factor that the
  manifest
  does not pin, within its tolerance; *best effort*: causes are recorded, nothing is judged;
- a difference between two runs in the same surroundings is a cause of its own: something that nobody can pin (a thread
  race, the
  monotonic clock);
- what is found is shown with the line where the runs part and a command that shows it again.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from certify.checks.divergence import Divergence, divergence, readings
from certify.checks.workbench import Workbench
from certify.evidence.verdict import CheckResult, Failed, Passed, Unknown, Verdict
from certify.laboratory.record import Crashed, Delivery, Environment, Exceeded, Observe, Plan, Returned, RunRecord
from certify.manifest.model import Determinism, Factor
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
    "DET013", "The output depends on the order in which a folder is listed.", "Sort what listing a folder gives."
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
    (Factor.DIRECTORY_ORDER, replace(BASE, directory_order=1)),
)
_REPEATS: Final = 3


@dataclass(frozen=True, slots=True)
class _Leak:
    """A factor that changed the answer, in the first fixture and environment where it did."""

    factor: Factor | None
    fixture: str
    environment: Environment
    first: RunRecord
    second: RunRecord


def check(bench: Workbench) -> CheckResult:
    """Replay every fixture in the pinned surroundings and under every perturbation."""
    node = bench.subject.manifest.node
    plans = [
        (
            fixture,
            factor,
            Plan((Delivery(text),), environment, observe=Observe.CALLS if factor is None else Observe.EFFECTS),
        )
        for factor, environment in _schedule()
        for fixture, text in bench.fixtures.items()
    ]
    base: dict[str, RunRecord] = {}
    leaks: dict[Factor | None, _Leak] = {}
    undecided = ""
    artefacts: dict[str, str] = {}
    records = bench.laboratory.run_all(plan for _fixture, _factor, plan in plans)
    for done, ((fixture, factor, plan), record) in enumerate(zip(plans, records, strict=True), 1):
        bench.progress(done, len(plans))
        undecided = undecided or _undecided(fixture, record)
        first = base.setdefault(fixture, record)
        if first is record:
            artefacts[f"replay of {fixture}"] = bench.keep(record)
        elif factor not in leaks and not same(first, record, node.tolerance):
            leaks[factor] = _Leak(factor, fixture, plan.environment, first, record)
            artefacts[f"replay of {fixture}, other {factor or 'run'}"] = bench.keep(record)
    if None in leaks and _reads_pid(leaks[None].second):
        leaks[Factor.PID] = replace(leaks.pop(None), factor=Factor.PID)
    if None in leaks:  # what differs by itself differs under every factor too: the factors cannot be told apart
        leaks = {None: leaks[None]}
    measured = {
        "replays": len(plans),
        "factors": sorted({str(factor) for factor, _ in PERTURBATIONS}),
        "leaks": sorted("unpinned" if factor is None else str(factor) for factor in leaks),
        "declared": str(node.determinism),
        "pins": [str(pin) for pin in node.pins],
        "observed": _observed(leaks),
    }
    findings = tuple(_findings(bench, leaks, undecided))
    verdict: Verdict = Passed()
    if any(finding.severity is Severity.ERROR for finding in findings):
        verdict = Failed()
    elif undecided:
        verdict = Unknown(undecided)
    return CheckResult(CHECK, verdict, findings, measured, artefacts)


def _reads_pid(record: RunRecord) -> bool:
    """Whether the run read its process id: the one thing that differs between two runs in one sandbox."""
    return any(event.target in {"os.getpid", "os.getppid"} for event in record.events)


def _schedule() -> Iterator[tuple[Factor | None, Environment]]:
    for _ in range(_REPEATS):
        yield None, BASE
    yield from PERTURBATIONS


def _undecided(fixture: str, record: RunRecord) -> str:
    outcome = record.outcomes[0]
    if isinstance(outcome, Exceeded | Crashed):
        return f"a replay of fixture `{fixture}` gave no answer to compare ({type(outcome).__name__.lower()})"
    return f"the record of a replay of `{fixture}` is incomplete: {record.incomplete}" if record.incomplete else ""


def same(first: RunRecord, second: RunRecord, tolerance: float) -> bool:
    """Whether two runs gave the same answer and sent the same requests."""
    return _same_outcome(first.outcomes[0], second.outcomes[0], tolerance) and _requests(first) == _requests(second)


def _same_outcome(first: object, second: object, tolerance: float) -> bool:
    if isinstance(first, Returned) and isinstance(second, Returned):
        if first.output == second.output:
            return True
        return tolerance > 0 and close(json.loads(first.json), json.loads(second.json), tolerance)
    return first == second


def _requests(record: RunRecord) -> list[tuple[str, str, str, bytes]]:
    return [(e.resource, e.method, e.path, e.body) for e in record.exchanges]


def close(first: Any, second: Any, tolerance: float) -> bool:
    """Whether two JSON values are equal but for floats that differ by at most `tolerance`."""
    if isinstance(first, float) and isinstance(second, int | float) and not isinstance(second, bool):
        return abs(first - second) <= tolerance
    if isinstance(second, float) and isinstance(first, int) and not isinstance(first, bool):
        return abs(first - second) <= tolerance
    if isinstance(first, dict) and isinstance(second, dict):
        return first.keys() == second.keys() and all(close(first[k], second[k], tolerance) for k in first)
    if isinstance(first, list) and isinstance(second, list):
        return len(first) == len(second) and all(close(a, b, tolerance) for a, b in zip(first, second, strict=True))
    return type(first) is type(second) and bool(first == second)


def _observed(leaks: Mapping[Factor | None, _Leak]) -> str:
    if not leaks:
        return str(Determinism.STRICT)
    return str(Determinism.BEST_EFFORT if None in leaks else Determinism.STABLE)


def _findings(bench: Workbench, leaks: Mapping[Factor | None, _Leak], undecided: str) -> Iterator[Diagnostic]:
    node = bench.subject.manifest.node
    judged = node.determinism is not Determinism.BEST_EFFORT
    for factor, leak in leaks.items():
        allowed = not judged or (factor is not None and factor in node.pins)
        yield _finding(bench, leak, Severity.NOTE if allowed else Severity.ERROR)
    at = Place(bench.subject.manifest_file, 1)
    if None not in leaks and not undecided:
        for pin in node.pins:
            if pin not in leaks and pin in _RULES:
                yield Diagnostic(
                    DET030,
                    f"`{pin}` is pinned, but no replay differed when it changed",
                    at,
                    fix=DET030.advice,
                    severity=Severity.NOTE,
                )
    if node.determinism is not Determinism.STRICT and not leaks and not undecided:
        yield Diagnostic(
            DET031,
            f'every replay gave the same answer: the node claims "{node.determinism}" and showed "strict"',
            at,
            fix='write determinism = "strict" if that is meant',
            severity=Severity.NOTE,
        )


def _finding(bench: Workbench, leak: _Leak, severity: Severity) -> Diagnostic:
    rule = DET020 if leak.factor is None else _RULES[leak.factor]
    parted, seen = _locate(bench, leak)
    entry = bench.laboratory.signature()
    place = parted.place if parted else seen[0].place if seen and seen[0].place else Place(entry.file, entry.line)
    notes = tuple(
        Note(f"`{event.target}` is read here", event.place)
        for event in seen[:4]
        if event.place is not None and event.place != place
    )
    changed = "in two runs of the same surroundings" if leak.factor is None else f"with {_difference(leak.environment)}"
    return Diagnostic(
        rule,
        f"fixture `{leak.fixture}` answers otherwise {changed}",
        place,
        because=parted.describe() if parted else _outputs(leak),
        fix=rule.advice,
        notes=notes,
        replay=replay_command(bench.subject.manifest_file, leak.fixture, leak.environment),
        severity=severity,
        data={"factor": str(leak.factor or "unpinned"), "fixture": leak.fixture},
    )


def _locate(bench: Workbench, leak: _Leak) -> tuple[Divergence | None, tuple[Any, ...]]:
    """Run both sides again, line by line, and find where they part."""
    delivery = (Delivery(bench.fixtures[leak.fixture]),)
    first, second = bench.laboratory.run_all(
        [Plan(delivery, BASE, observe=Observe.LINES), Plan(delivery, leak.environment, observe=Observe.LINES)]
    )
    seen = readings(second, leak.factor) if leak.factor is not None else ()
    return divergence(first, second), seen


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
