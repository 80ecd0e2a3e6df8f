"""C-IDEM: messages are repeated, reordered, overlapped and interrupted, and each must have its effect once.

Rules this module keeps:

- the measure is what one undisturbed delivery of each message leaves: rows, files, and requests that acted;
- the check applies to whatever has an effect, whatever the manifest says of it;
- each kind of failure is shown once, by the smallest schedule that has it; a kind is not tried on a node that fails a
  simpler one, whose failure it would only repeat;
- a run that does not tell everything decides nothing: then the verdict is `Unknown`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Final

from certify.capabilities.settings import call_key
from certify.checks import idempotency_findings as findings_of
from certify.checks import schedules
from certify.checks.aftermath import aftermath
from certify.checks.collisions import Survey, survey
from certify.checks.idempotency_rules import (
    ANSWER_DIFFERS,
    BODY_CHANGES,
    CHECK,
    CONCURRENT,
    DEBRIS,
    DUPLICATE,
    EFFECT_LOST,
    EFFECT_REPEATED,
    EXPIRES,
    FORGETS,
    LOST_ANSWER,
    NO_KEY,
    RAISES,
    REORDERED,
)
from certify.checks.schedules import Kind, Schedule
from certify.checks.trials import Trial, Trials
from certify.checks.workbench import Workbench
from certify.codec import EncodingError
from certify.evidence.verdict import CheckResult, Failed, NotApplicable, Passed, Unknown, Verdict
from certify.laboratory.record import Observe, Returned, RunRecord
from certify.manifest.model import Effects
from certify_spec.diagnostics import Diagnostic, Rule, Severity

__all__ = ["CHECK", "check"]

#: Failing schedules that are run again, to show one that fails whenever it is run.
_MOST_AGAIN: Final = 4


def check(bench: Workbench) -> CheckResult:
    """Run the schedules, and judge what they leave."""
    return _Inquiry(bench).result()


@dataclass(slots=True)
class _Inquiry:
    """One check in progress.

    Attributes:
        worst: the smallest failing trial of each rule.
        names: fixtures that return when nothing disturbs them.
        fit: fixtures that stood the simple duplicate.
    """

    bench: Workbench
    trials: Trials = field(init=False)
    findings: list[Diagnostic] = field(default_factory=list)
    artefacts: dict[str, str] = field(default_factory=dict)
    measured: dict[str, Any] = field(default_factory=dict)
    worst: dict[Rule, Trial] = field(default_factory=dict)
    names: list[str] = field(default_factory=list)
    fit: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        idempotency = self.bench.subject.manifest.idempotency
        self.trials = Trials(self.bench, schedules.apart(idempotency.retention if idempotency else 86_400.0))

    def result(self) -> CheckResult:
        """The verdict, and everything that it rests on."""
        idle = self._undisturbed()
        if idle is not None:
            return idle
        self._keys()
        self._duplicates()
        self._reorderings()
        self._lost_answers()
        self._crashes()
        self._concurrency()
        self._retention()
        found = survey(self.trials, self.names)
        self._report(found)
        return self._conclude()

    # -- what there is to judge ----------------------------------------------------------------------------------------

    def _undisturbed(self) -> CheckResult | None:
        """Deliver each fixture by itself; the result when there is nothing more to do."""
        node = self.bench.subject.manifest.node
        first = dict(zip(self.bench.fixtures, self._first(), strict=True))
        self.names = [name for name, record in first.items() if isinstance(record.outcomes[0], Returned)]
        self.measured["effectful_calls"] = {name: record.effectful_calls[0] for name, record in first.items()}
        acts = [name for name in first if aftermath(first[name], self.bench.subject.manifest).is_effect]
        self.measured["fixtures_with_effect"] = sorted(acts)
        if acts and self.names:
            self.names = [name for name in self.names if first[name].effectful_calls[0] > 0]
            self.trials.prepare((name,) for name in self.names)
            return None
        if self.trials.undecided:
            return self._conclude()
        if node.effects is not Effects.EFFECTFUL and not acts:
            reason = f"the manifest says `{node.effects.value}`, and no run left a write or sent a request that writes"
            return CheckResult(CHECK, NotApplicable(reason), (), self._measures())
        reason = "no fixture has an effect, so that nothing could be repeated: add a fixture that has one"
        if not self.names:
            reason = "the node raises on every fixture, so that nothing could be repeated"
        self.trials.undecided.append(reason)
        return self._conclude()

    def _first(self) -> Iterator[RunRecord]:
        """A run of each fixture: C-SANDBOX's will do."""
        fixtures = self.bench.fixtures
        plans = [schedules.clean((name,), self.trials.gap).plan(fixtures) for name in fixtures]
        records = self.bench.laboratory.remembered(replace(plan, observe=Observe.CALLS) for plan in plans)
        for name, record in zip(fixtures, records, strict=True):
            self.trials.note(f"fixture `{name}`", record)
            yield record

    def _keys(self) -> None:
        """The node has a key, every fixture has one, and every request that writes carries one."""
        manifest = self.bench.subject.manifest
        if manifest.idempotency is None:
            self.findings.append(findings_of.missing_table(self.bench))
        else:
            for name, text in self.bench.fixtures.items():
                try:
                    call_key(manifest, json.loads(text))
                except (LookupError, EncodingError) as error:
                    self.findings.append(findings_of.underivable(self.bench, name, str(error)))
        for name in self.names:
            record = self.trials.clean((name,))
            lacking = [r for r in aftermath(record, manifest).requests if r.lacks_key]
            if lacking:
                self.findings.append(findings_of.without_key(self.trials, name, lacking[0]))
                self.artefacts[f"{NO_KEY.code}: request without a key"] = self.bench.keep(record)
                return

    # -- the schedules -------------------------------------------------------------------------------------------------

    def _duplicates(self) -> None:
        gap = self.trials.gap
        trials = self.trials.attempt(schedules.duplicate(name, gap) for name in self.names)
        self._judge(trials)
        self.fit = [t.schedule.steps[0].fixture for t in trials if not t.difference and t.raised is None]
        for trial in trials:
            found = aftermath(trial.record, self.bench.subject.manifest).requests
            if any(r.key and r.identity == s.identity and r.body != s.body for r in found for s in found):
                self._remember(BODY_CHANGES, trial)

    def _reorderings(self) -> None:
        chosen = schedules.pairs(self.fit)
        every = len(self.fit) * (len(self.fit) - 1) // 2
        self.measured["reordered_pairs"] = {"run": len(chosen), "of": every}
        gap = self.trials.gap
        self._judge(self.trials.attempt(s for a, b in chosen for s in schedules.reorderings(a, b, gap)))

    def _lost_answers(self) -> None:
        manifest = self.bench.subject.manifest
        wanted: list[Schedule] = []
        for name in self._representatives():
            record = self.trials.clean((name,))
            acting = {request.place for request in aftermath(record, manifest).requests}
            numbers: dict[str, int] = {}
            for place, exchange in enumerate(record.exchanges):
                number = numbers.setdefault(exchange.resource, 0)
                numbers[exchange.resource] += 1
                if place in acting:
                    wanted.append(schedules.lost_answer(name, exchange.resource, number, self.trials.gap))
        self._judge(self.trials.attempt(wanted))

    def _crashes(self) -> None:
        gap = self.trials.gap
        names = self._representatives()
        singles = {name: list(schedules.crashes(name, self._positions(name), gap)) for name in names}
        trials = self.trials.attempt(schedule for wanted in singles.values() for schedule in wanted)
        self._judge(trials)
        sound = [n for n in names if not any(t.difference or t.raised for t in trials if _first_of(t) == n)]
        pairs = [s for n in sound for s in schedules.crash_pairs(n, _second_positions(trials, n), gap)]
        most = schedules.PAIR_RUNS if len(pairs) <= schedules.PAIR_RUNS else schedules.PAIR_SAMPLE
        self._sampled(Kind.CRASH_PAIR, pairs, most)
        others = {n: [m for m in self.fit if m != n] for n in sound}
        late = [s for n in sound for m in others[n][:1] for s in schedules.overtaken(n, m, self._positions(n), gap)]
        self._sampled(Kind.OVERTAKEN, late, schedules.OVERTAKEN_RUNS)

    def _sampled(self, kind: Kind, wanted: list[Schedule], most: int) -> None:
        chosen = schedules.sample(wanted, most)
        self.measured[kind.value] = {"run": len(chosen), "of": len(wanted), "exhaustive": len(chosen) == len(wanted)}
        self._judge(self.trials.attempt(chosen))

    def _concurrency(self) -> None:
        wanted = [s for name in self._representatives() for s in schedules.concurrent(name, self._positions(name))]
        self._judge(without_chance(self.trials.attempt(wanted), self.trials.attempt))

    def _retention(self) -> None:
        idempotency = self.bench.subject.manifest.idempotency
        if idempotency is None or not self.fit:
            return
        name = self.fit[0]
        retention, gap = idempotency.retention, self.trials.gap
        kept, forgotten = self.trials.attempt(
            [schedules.retained(name, retention, gap), schedules.expired(name, retention, gap)]
        )
        self._judge([kept])
        if forgotten.difference or forgotten.raised:
            self._remember(EXPIRES, forgotten)

    def _positions(self, name: str) -> int:
        return self.trials.clean((name,)).effectful_calls[0]

    def _representatives(self) -> list[str]:
        """Of the fixtures that take the same way through the node, the first."""
        chosen: dict[tuple[object, ...], str] = {}
        for name in self.fit:
            record = self.trials.clean((name,))
            way = tuple((e.kind, e.place, e.via, e.detail.get("operation")) for e in record.events if not e.importing)
            chosen.setdefault((record.effectful_calls, way), name)
        self.measured["representatives"] = list(chosen.values())
        return list(chosen.values())

    # -- judging -------------------------------------------------------------------------------------------------------

    def _judge(self, trials: Iterable[Trial]) -> None:
        for trial in trials:
            if trial.difference:
                self._remember(_rule_of(trial), trial)
            elif trial.raised is not None:
                self._remember(RAISES, trial)
            elif trial.answers is not None:
                self._remember(ANSWER_DIFFERS, trial)
            if trial.debris:
                self._remember(DEBRIS, trial)

    def _remember(self, rule: Rule, trial: Trial) -> None:
        known = self.worst.get(rule)
        if known is None or trial.schedule.size < known.schedule.size:
            self.worst[rule] = trial

    def _report(self, found: Survey) -> None:
        for rule, trial in self.worst.items():
            digest = self.bench.keep(trial.record)
            finding = findings_of.trial(self.trials, rule, trial, digest)
            self.findings.append(finding)
            self.artefacts[f"{finding.code}: {trial.schedule.describe()}"] = digest
        for finding, record in findings_of.collisions(self.trials, found):
            self.artefacts[f"{finding.code}: {finding.data.get('field') or 'two fixtures'}"] = self.bench.keep(record)
            self.findings.append(finding)
        self.measured["fields"] = {
            "tried": list(found.tried),
            "without_influence": list(found.without_influence),
            "not_varied": list(found.not_varied),
            "left_out": found.left_out,
        }

    def _measures(self) -> dict[str, Any]:
        return self.measured | {
            "schedules": {str(kind): count for kind, count in sorted(self.trials.counts.items())},
            "runs": self.trials.done,
            "positions_not_reached": self.trials.unreached,
            "refused_in_flight": self.trials.refused_in_flight,
            "sampling_seed": schedules.SAMPLING_SEED,
            "seconds_apart": self.trials.gap,
        }

    def _conclude(self) -> CheckResult:
        verdict: Verdict = Passed()
        if any(finding.severity is Severity.ERROR for finding in self.findings):
            verdict = Failed()
        elif self.trials.undecided:
            verdict = Unknown(self.trials.undecided[0])
        return CheckResult(CHECK, verdict, tuple(self.findings), self._measures(), self.artefacts)


def without_chance(trials: list[Trial], attempt: Callable[[list[Schedule]], list[Trial]]) -> list[Trial]:
    """The trials, without failures that come before the first one that its schedule brings about again.

    On a busy machine two deliveries may overlap by chance, wherever one was held. Such a failure counts, too, but
    points to the wrong line; it is kept when none fails again.
    """
    failing = sorted((trial for trial in trials if trial.difference), key=lambda trial: trial.schedule.size)
    for number, trial in enumerate(failing[:_MOST_AGAIN]):
        if any(again.difference for again in attempt([trial.schedule])):
            return [other for other in trials if not any(other is each for each in failing[:number])]
    return trials


def _first_of(trial: Trial) -> str:
    return trial.schedule.steps[0].fixture


def _second_positions(trials: list[Trial], name: str) -> dict[int, int]:
    """How many points the second delivery had, after a crash of the first at each of its own."""
    return {
        trial.schedule.steps[0].at or 0: trial.record.effectful_calls[1] for trial in trials if _first_of(trial) == name
    }


_RULES: Final = {
    Kind.DUPLICATE: DUPLICATE,
    Kind.REORDERED: REORDERED,
    Kind.CONCURRENT: CONCURRENT,
    Kind.LOST_ANSWER: LOST_ANSWER,
    Kind.RETAINED: FORGETS,
    Kind.EXPIRED: EXPIRES,
}


def _rule_of(trial: Trial) -> Rule:
    crash = EFFECT_LOST if trial.difference.is_loss else EFFECT_REPEATED
    return _RULES.get(trial.schedule.kind, crash)
