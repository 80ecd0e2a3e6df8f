"""C-BUDGET: what the fixtures really use, against the manifest's budget; and the budget, against the organisation's.

What is counted (requests, tokens, money) is exact: one more than the budget refuses, in any run. What is measured (wall
and processor time, memory) varies with the machine, and noise only ever adds to it. So a fixture is run again
until one run is within the budget. When none of `MOST_RUNS` is, or none within `ENOUGH_SECONDS`, and the least lies
beyond the margin, the budget is broken. Between budget and margin it is a warning.

Rules this module keeps:

- a busy machine never refuses a node: the least of several runs is judged, never the largest or the mean;
- a run that was ended by a limit, or not observed in full, is a finding, never a pass;
- the figures are of the call alone: the laboratory measures from the entry point's first line to its return.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from certify.checks.policy import decided, origin_of, refusals, verdict_of
from certify.checks.workbench import Check, Workbench
from certify.evidence.verdict import CheckResult
from certify.laboratory.record import Crashed, Delivery, Event, EventKind, Exceeded, Plan, Raised, RunRecord
from certify.manifest.model import Budget
from certify.policy import facts
from certify.policy.evaluation import LONGEST, evaluate, plain, whole
from certify.policy.facts import Origin
from certify.policy.policies import PolicySet
from certify.subject import Signature
from certify_spec.diagnostics import Diagnostic, Note, Place, Rule, Severity, in_order

CHECK: Final = "C-BUDGET"
FEWEST_RUNS: Final = 3
MOST_RUNS: Final = 10
ENOUGH_SECONDS: Final = 60.0
"""A fixture whose runs have taken so long is not run again."""
GENEROUS: Final = 20
"""A budget of more than so many times what was measured is not planning but guessing."""
_DAY: Final = 86_400

WALL: Final = Rule("BUD001", "A call takes longer than `budget.wall`.", "Make it faster, or raise the budget.")
CPU: Final = Rule("BUD002", "A call uses more processor time than `budget.cpu`.", "Do less, or raise the budget.")
MEMORY: Final = Rule("BUD003", "A call uses more memory than `budget.memory`.", "Stream the data, or raise the budget.")
REQUESTS: Final = Rule(
    "BUD004", "A call sends more requests than `budget.requests`.", "Send fewer requests, or raise the budget."
)
TOKENS: Final = Rule(
    "BUD005", "A call spends more tokens than `budget.tokens`.", "Send less text, or raise the budget."
)
MONEY: Final = Rule(
    "BUD006", "A call spends more money than `budget.money_micros`.", "Make fewer paid calls, or raise the budget."
)
STOPPED: Final = Rule(
    "BUD007", "A fixture was stopped by its budget.", "Stop gracefully within the budget, or raise the budget."
)
NEAR: Final = Rule("BUD010", "A measured figure lies within the margin above its budget.", "Leave more room.")
TOO_GENEROUS: Final = Rule(
    "BUD011", "A budget is far more than any fixture uses.", "Lower it, or add a fixture that needs it."
)
UNOBSERVED: Final = Rule(
    "BUD120", "A run could not be measured in full, so nothing is decided.", "Run the check again."
)


@dataclass(frozen=True, slots=True)
class Gauge:
    """One quantity that a budget limits.

    Attributes:
        key: its name in the manifest's [budget].
        unit: the unit of `spent` and of messages.
        scale: how many of that unit are one of the manifest's.
        factor: with `slack`, the margin: beyond budget × factor + slack no machine's noise explains it. An exact
            quantity has factor 1 and slack 0.
        little: a budget up to this much is never called too generous.
    """

    key: str
    rule: Rule
    unit: str
    scale: float
    factor: float
    slack: float
    little: float

    @property
    def is_exact(self) -> bool:
        """Whether the quantity is counted, not measured."""
        return self.factor == 1.0 and self.slack == 0.0

    def limit(self, budget: Budget) -> float:
        """The budget, in `unit`."""
        return float(min(getattr(budget, self.key), LONGEST)) * self.scale


_MEASURED: Final = (
    Gauge("wall", WALL, "ms", 1e3, 1.25, 20.0, 10_000.0),
    Gauge("cpu", CPU, "ms", 1e3, 1.25, 20.0, 1000.0),
    Gauge("memory", MEMORY, "KiB", 1 / 1024, 1.05, 1024.0, 256 * 1024.0),
)
_COUNTED: Final = (
    Gauge("requests", REQUESTS, "requests", 1, 1.0, 0.0, 5.0),
    Gauge("tokens", TOKENS, "tokens", 1, 1.0, 0.0, 0.0),
    Gauge("money_micros", MONEY, "millionths", 1, 1.0, 0.0, 0.0),
)
GAUGES: Final = _MEASURED + _COUNTED


@dataclass(frozen=True, slots=True)
class Sample:
    """What the delivery of one run used, by gauge, and the line where most of it went where that is known."""

    spent: Mapping[str, float]
    places: Mapping[str, Place]


def make_check(policies: PolicySet) -> Check:
    """C-BUDGET with the ceilings of these policies."""

    def check(bench: Workbench) -> CheckResult:
        begun = time.monotonic()
        signature = bench.laboratory.signature()
        origin = origin_of(bench.subject, policies)
        records = _measure(bench)
        samples = {fixture: [_sample(record) for record in runs] for fixture, runs in records.items()}
        question = facts.about_budget(origin)
        decision = evaluate(policies, question.request)
        findings = [
            *refusals(question, decision),
            *(finding for each in samples for finding in _over(origin, signature, each, samples[each])),
            *_too_generous(origin, samples),
            *(finding for each in records for finding in _ended(origin, signature, each, records[each])),
        ]
        ordered = in_order(findings)
        measured = _figures(origin, samples) | {
            "policies": policies.digest,
            "decisions": [decided(question.request, decision)],
        }
        return CheckResult(CHECK, verdict_of(ordered), ordered, measured, seconds=time.monotonic() - begun)

    return check


# ------------------------------------------------------------------------------------------------------- measuring


def _measure(bench: Workbench) -> dict[str, list[RunRecord]]:
    """Runs of each fixture: a few, and more of those whose every run so far lies above a measured budget."""
    budget = bench.subject.manifest.budget
    records: dict[str, list[RunRecord]] = {fixture: [] for fixture in bench.fixtures}
    total = len(records) * FEWEST_RUNS
    for round_ in range(MOST_RUNS):
        again = [each for each in records if _needs_another(budget, records[each], round_)]
        if not again:
            break
        # one after another: two runs at once would measure each other
        for fixture in again:
            records[fixture].append(bench.laboratory.run(Plan((Delivery(bench.fixtures[fixture]),))))
            done = sum(map(len, records.values()))
            bench.progress(done, max(total, done))
    return records


def _needs_another(budget: Budget, records: list[RunRecord], round_: int) -> bool:
    """Whether one more run can change what is said of a fixture. One that a limit ended is refused already."""
    if any(isinstance(outcome, Exceeded) for record in records for outcome in record.outcomes):
        return False
    if round_ < FEWEST_RUNS:
        return True
    spent = sum(used.wall for record in records for used in record.usage)
    return spent < ENOUGH_SECONDS and _is_above(budget, records)


def _is_above(budget: Budget, records: list[RunRecord]) -> bool:
    """Whether no run so far is within the budget of one of the measured quantities."""
    samples = [_sample(record) for record in records]
    return any(
        min((sample.spent[gauge.key] for sample in samples if gauge.key in sample.spent), default=0.0)
        > gauge.limit(budget)
        for gauge in _MEASURED
    )


def _sample(record: RunRecord) -> Sample:
    spent: dict[str, float] = {"requests": float(len(record.exchanges)), "tokens": 0.0, "money_micros": 0.0}
    where: dict[str, Counter[Place]] = {gauge.key: Counter() for gauge in _COUNTED}
    if record.usage:
        used = record.usage[0]
        spent |= {"wall": used.wall * 1e3, "cpu": used.cpu * 1e3, "memory": used.memory / 1024}
    for event in record.events:
        if event.place and _is_request(event):
            where["requests"][event.place] += 1
        if event.kind is EventKind.CAPABILITY and event.target.partition(".")[0] == "budget":
            for key in ("tokens", "money_micros"):
                amount = _amount(event.detail, key)
                spent[key] += amount
                if event.place and amount:
                    where[key][event.place] += int(amount)
    return Sample(spent, {key: counter.most_common(1)[0][0] for key, counter in where.items() if counter})


def _is_request(event: Event) -> bool:
    """Whether the event is a request, or what leads to one."""
    if event.kind is EventKind.CAPABILITY:
        return event.target.partition(".")[0] == "http"
    return event.kind in {EventKind.REQUEST, EventKind.CONNECT} and not event.importing


def _amount(detail: Mapping[str, Any], key: str) -> float:
    """What a use of the budget capability spent; nothing when it was refused."""
    if detail.get("error") or detail.get("denied"):
        return 0.0
    for holder in (detail, detail.get("arguments"), detail.get("value")):
        if isinstance(holder, Mapping) and isinstance(holder.get(key), int):
            return float(holder[key])
    return 0.0


# --------------------------------------------------------------------------------------------------------- judging


def _over(origin: Origin, signature: Signature, fixture: str, samples: list[Sample]) -> Iterator[Diagnostic]:
    """What this fixture uses beyond the budget."""
    for gauge in GAUGES:
        spent = [sample.spent[gauge.key] for sample in samples if gauge.key in sample.spent]
        limit = gauge.limit(origin.manifest.budget)
        if not spent:
            continue
        judged = max(spent) if gauge.is_exact else min(spent)
        if judged <= limit:
            continue
        place = next((sample.places[gauge.key] for sample in samples if gauge.key in sample.places), None)
        breaks = judged > limit * gauge.factor + gauge.slack
        yield _excess(
            origin, signature, fixture, gauge, judged=judged, limit=limit, place=place, runs=len(spent), breaks=breaks
        )


def _excess(
    origin: Origin,
    signature: Signature,
    fixture: str,
    gauge: Gauge,
    *,
    judged: float,
    limit: float,
    place: Place | None,
    runs: int,
    breaks: bool,
) -> Diagnostic:
    amount, allowed = _number(judged), _number(limit)
    ratio = f", {_number(judged / limit)} times as much" if limit else ""
    how = "the most" if gauge.is_exact else "the least"
    return Diagnostic(
        gauge.rule if breaks else NEAR,
        f"fixture `{fixture}` uses {amount} {gauge.unit}; `budget.{gauge.key}` allows {allowed}{ratio}",
        place or Place(signature.file, signature.line),
        because=f"{how} of {runs} runs" + ("; most of it is spent here" if place else ""),
        fix=gauge.rule.advice,
        notes=(Note(f"`budget.{gauge.key}` is set here", origin.key(("budget", gauge.key))),),
        severity=Severity.ERROR if breaks else Severity.WARNING,
        data={
            "about": f"{gauge.key} of fixture {fixture}",
            "fixture": fixture,
            "used": judged,
            "budget": limit,
            "unit": gauge.unit,
            "runs": runs,
        },
    )


def _number(value: float) -> str:
    """A number for people: whole from 100 on, three digits below."""
    return f"{value:.0f}" if value >= 100 or value == int(value) else f"{value:.3g}"


def _too_generous(origin: Origin, samples: Mapping[str, list[Sample]]) -> Iterator[Diagnostic]:
    """Budgets of far more than the fixture that uses the most; what is little anyway is left alone."""
    for gauge in GAUGES:
        spent = [s.spent[gauge.key] for runs in samples.values() for s in runs if gauge.key in s.spent]
        limit = gauge.limit(origin.manifest.budget)
        most = max(spent, default=None)
        if most is None or limit <= gauge.little or limit <= GENEROUS * most:
            continue
        ratio = f"{_number(limit / most)} times as much" if most else "and no fixture uses any"
        yield Diagnostic(
            TOO_GENEROUS,
            f"`budget.{gauge.key}` allows {_number(limit)} {gauge.unit}; fixtures use at most {_number(most)}, {ratio}",
            origin.at("budget", gauge.key),
            fix=TOO_GENEROUS.advice,
            severity=Severity.WARNING,
            data={"about": f"{gauge.key} budget", "used": most, "budget": limit, "unit": gauge.unit},
        )


def _ended(origin: Origin, signature: Signature, fixture: str, records: list[RunRecord]) -> Iterator[Diagnostic]:
    """Runs that a limit or the budget ended, and runs that say too little; one finding of each kind."""
    seen: set[str] = set()
    for record in records:
        for finding in (*_limits(origin, signature, fixture, record), *_gaps(origin, fixture, record)):
            if finding.message not in seen:
                seen.add(finding.message)
                yield finding


def _limits(origin: Origin, signature: Signature, fixture: str, record: RunRecord) -> Iterator[Diagnostic]:
    rules = {"wall": WALL, "cpu": CPU, "memory": MEMORY}
    entry = Place(signature.file, signature.line)
    for outcome in record.outcomes:
        match outcome:
            case Exceeded(limit):
                yield Diagnostic(
                    rules[limit],
                    f"fixture `{fixture}` was ended: it passed the laboratory's {limit} limit",
                    entry,
                    because=f"the limit is several times `budget.{limit}`",
                    fix=rules[limit].advice,
                    notes=(Note(f"`budget.{limit}` is set here", origin.key(("budget", limit))),),
                    data={"about": f"{limit} of fixture {fixture}", "fixture": fixture, "limit": limit},
                )
            case Raised(bases=bases, frames=frames) if "BudgetExceeded" in bases:
                yield Diagnostic(
                    STOPPED,
                    f"fixture `{fixture}` would spend more than its budget, and ends with BudgetExceeded",
                    frames[-1] if frames else entry,
                    fix=STOPPED.advice,
                    notes=(Note("the budget is set here", origin.key(("budget",))),),
                    data={"about": f"fixture {fixture}", "fixture": fixture},
                )
            case _:
                pass


def _gaps(origin: Origin, fixture: str, record: RunRecord) -> Iterator[Diagnostic]:
    reason = record.incomplete
    if not reason and not (record.outcomes and record.usage):
        reason = "the run has no figures"
    crashes = [outcome for outcome in record.outcomes if isinstance(outcome, Crashed) and not outcome.planned]
    if not reason and crashes:
        reason = f"the process ended by {_how(crashes[0])}"
    if reason:
        yield Diagnostic(
            UNOBSERVED,
            f"the run of fixture `{fixture}` was not measured in full: {plain(reason)}",
            origin.key(("fixture",)),
            fix=UNOBSERVED.advice,
            data={"about": f"fixture {fixture}", "undecided": True, "waivable": False},
        )


def _how(crash: Crashed) -> str:
    return f"signal {crash.signal}" if crash.signal else f"exit status {crash.status}"


# --------------------------------------------------------------------------------------------------------- figures


def _figures(origin: Origin, samples: Mapping[str, list[Sample]]) -> dict[str, Any]:
    """The figures that a reader wants to see; money in millionths of the currency."""
    budget = origin.manifest.budget
    money = max((s.spent["money_micros"] for runs in samples.values() for s in runs), default=0.0)
    return {
        "runs": sum(map(len, samples.values())),
        "currency": origin.settings.currency,
        "fixtures": {fixture: _spread(runs) for fixture, runs in samples.items()},
        "budget": facts.use_of(origin.manifest),
        "ceiling": facts.ceiling_of(origin.settings.ceiling),
        "money_micros_per_day_measured": whole(money * budget.qps * _DAY),
        "money_micros_per_day_budgeted": facts.use_of(origin.manifest)["moneyMicrosPerDay"],
    }


def _spread(samples: Iterable[Sample]) -> dict[str, Any]:
    """Least and most of each quantity, in the unit in its name."""
    runs = list(samples)
    names = {"wall": "wall_ms", "cpu": "cpu_ms", "memory": "memory_kib"}
    found: dict[str, Any] = {}
    for gauge in GAUGES:
        spent = [sample.spent[gauge.key] for sample in runs if gauge.key in sample.spent]
        if spent:
            found[names.get(gauge.key, gauge.key)] = (
                int(max(spent)) if gauge.is_exact else {"least": round(min(spent), 3), "most": round(max(spent), 3)}
            )
    return found
