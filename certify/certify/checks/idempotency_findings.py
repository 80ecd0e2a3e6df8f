"""What C-IDEM tells people: the smallest history that fails, what it left, the line, and what to do."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Final

from certify.checks import blame, schedules
from certify.checks.aftermath import Request
from certify.checks.collisions import Collision, Survey
from certify.checks.idempotency_rules import (
    ANSWER_DIFFERS,
    BODY_CHANGES,
    COLLISION,
    DEBRIS,
    EFFECT_LOST,
    EXPIRES,
    KEY_CHANGES,
    NO_IDEMPOTENCY,
    NO_KEY,
    PARTIAL,
    RAISES,
    UNDERIVABLE,
)
from certify.checks.schedules import Kind, Schedule
from certify.checks.trials import Trial, Trials
from certify.checks.workbench import Workbench
from certify.laboratory.record import Delivery, Interrupt, Plan, RunRecord
from certify.manifest import positions
from certify_spec.diagnostics import Diagnostic, Note, Place, Rule, Severity

_SEVERITY: Final = {
    ANSWER_DIFFERS: Severity.WARNING,
    BODY_CHANGES: Severity.WARNING,
    PARTIAL: Severity.WARNING,
    DEBRIS: Severity.NOTE,
    EXPIRES: Severity.NOTE,
}


# -- the manifest ------------------------------------------------------------------------------------------------------


def manifest_place(bench: Workbench, *path: str | int) -> Place:
    """Where the manifest writes the value at `path`."""
    file = bench.subject.manifest_file
    try:
        text = (bench.subject.root / file).read_text(encoding="utf-8")
        return positions.index(text).value(path).within(file)
    except (OSError, ValueError):
        return Place(file, 1)


def missing_table(bench: Workbench) -> Diagnostic:
    """The node has effects, and the manifest no key."""
    return Diagnostic(
        NO_IDEMPOTENCY,
        "the node has effects, and the manifest does not say what makes two inputs the same request",
        Place(bench.subject.manifest_file, 1),
        because="without a key nobody can tell a repeated message from a new one",
        fix='add\n[idempotency]\nflow = "…"\nkey = ["…"]',
    )


def underivable(bench: Workbench, fixture: str, reason: str) -> Diagnostic:
    """A fixture has no key."""
    return Diagnostic(
        UNDERIVABLE,
        f"fixture `{fixture}` has no idempotency key",
        manifest_place(bench, "idempotency", "key"),
        because=reason,
        fix=UNDERIVABLE.advice,
    )


def without_key(trials: Trials, fixture: str, request: Request) -> Diagnostic:
    """A request that writes carries no key."""
    record = trials.closely(Plan((Delivery(trials.bench.fixtures[fixture]),)))
    resource = next(r for r in trials.bench.subject.manifest.resource if r.name == request.resource)
    return Diagnostic(
        NO_KEY,
        f"`{request.method} {request.path}` to `{request.resource}` carries no `{resource.idempotency_header}`",
        blame.request_line(record, 0) or entry(trials.bench),
        because="the upstream cannot tell a repeated request from a new one: each delivery of "
        f"`{fixture}` acts once more",
        fix=f"send the header `{resource.idempotency_header}` with the key of the request: `ctx.key.hex()`",
        data={"fixture": fixture, "resource": request.resource},
    )


def entry(bench: Workbench) -> Place:
    """The entry point."""
    signature = bench.laboratory.signature()
    return Place(signature.file, signature.line)


# -- schedules ---------------------------------------------------------------------------------------------------------


def trial(trials: Trials, rule: Rule, failed: Trial, digest: str) -> Diagnostic:
    """The finding about a failing schedule; `digest` is that of its record."""
    schedule = failed.schedule
    detail = trials.closely(schedule.plan(trials.bench.fixtures))
    found = _Located(trials, failed, detail)
    rule, place, notes = found.locate(rule)
    message = f"{schedule.describe(found.where)}: {_outcome(failed, rule)}"
    return Diagnostic(
        rule,
        message,
        place,
        because=_because(failed, rule),
        fix=rule.advice,
        notes=tuple(notes),
        replay=f"certify replay {trials.bench.subject.manifest_file} --record {digest}" if digest else "",
        severity=_SEVERITY.get(rule, Severity.ERROR),
        data=_data(schedule, digest),
    )


def _data(schedule: Schedule, digest: str) -> dict[str, Any]:
    return {
        "kind": schedule.kind.value,
        "deliveries": [
            {"fixture": s.fixture, "at": -1 if s.at is None else s.at, "action": s.action if s.at is not None else "",
             "later_seconds": s.later}
            for s in schedule.steps
        ],
        "lost_answer": list(schedule.lost) if schedule.lost else [],
        "record": digest,
    }  # fmt: skip


def _outcome(failed: Trial, rule: Rule) -> str:
    if rule is RAISES and failed.raised is not None:
        return f"the redelivery raises {failed.raised.type}: {failed.raised.message}"[:300]
    if rule is ANSWER_DIFFERS:
        return "the answers differ"
    if rule is BODY_CHANGES:
        return "the same key goes out with another body"
    if rule is DEBRIS:
        return f"{', '.join(failed.debris)} stays behind"
    if rule is EXPIRES and failed.difference:
        return f"the effect happens again: {failed.difference.describe()}"
    if failed.difference:
        return failed.difference.describe()
    return "the redelivery raises" if failed.raised else "the effects differ"


def _because(failed: Trial, rule: Rule) -> str:
    if rule is ANSWER_DIFFERS and failed.answers is not None:
        return f"first {failed.answers[0]}\nthen  {failed.answers[1]}"
    lines = [failed.difference.rows()] if failed.difference else []
    if failed.raised is not None and rule is not RAISES:
        lines.append(f"the redelivery raises {failed.raised.type}: {failed.raised.message}"[:300])
    return "\n".join(line for line in lines if line)


class _Located:
    """Where in the node a failing schedule points to."""

    def __init__(self, trials: Trials, failed: Trial, detail: RunRecord) -> None:
        self.trials = trials
        self.failed = failed
        self.schedule = failed.schedule
        self.detail = detail
        self.last = len(self.schedule.steps) - 1
        self.points = {i: self._point(i) for i, step in enumerate(self.schedule.steps) if step.at is not None}
        self.where = [self._beside(i) for i in range(len(self.schedule.steps))]

    def _point(self, position: int) -> blame.Interrupted:
        """Where a delivery was interrupted. One that was held is killed there instead, to see what it had done."""
        step = self.schedule.steps[position]
        crashed, clean = self.detail, self._whole(position)
        if step.action == "preempt":
            alone = replace(self.schedule, steps=(replace(step, action="crash"),))
            crashed = self.trials.closely(alone.plan(self.trials.bench.fixtures))
        return blame.interrupted(crashed, clean, position, position)

    def _whole(self, position: int) -> RunRecord:
        """The same history, in which the delivery goes on."""
        steps = (*self.schedule.steps[:position], replace(self.schedule.steps[position], at=None))
        return self.trials.closely(replace(self.schedule, steps=steps).plan(self.trials.bench.fixtures))

    def _beside(self, position: int) -> str:
        point, step = self.points.get(position), self.schedule.steps[position]
        if point is None:
            return ""
        at = point.doing or point.done
        return f"before system call {step.at}" + (f" ({at})" if at else "")

    def locate(self, rule: Rule) -> tuple[Rule, Place, list[Note]]:
        """The rule, made more precise where the cause is known, the place, and further places."""
        if rule in {DEBRIS, ANSWER_DIFFERS, EXPIRES}:
            point = next(iter(self.points.values()), blame.Interrupted())
            return rule, point.done or entry(self.trials.bench), []
        if rule is RAISES and self.failed.raised is not None and self.failed.raised.frames:
            return rule, self.failed.raised.frames[-1], []
        if rule is EFFECT_LOST:
            return rule, *self._lost()
        if self.points:
            return rule, *self._interrupted()
        return self._repeated(rule)

    def _lost(self) -> tuple[Place, list[Note]]:
        point = list(self.points.values())[-1]
        first = blame.own_steps(self._alone(), 0)
        parted = blame.parting(first, blame.own_steps(self.detail, self.last))
        place = parted or point.done or entry(self.trials.bench)
        notes = [Note("the redelivery goes another way from here", parted)] if parted else []
        if point.doing:
            notes.append(Note("the delivery died here", point.doing))
        return place, notes

    def _alone(self) -> RunRecord:
        name = self.schedule.steps[self.last].fixture
        return self.trials.closely(schedules.clean((name,), self.trials.gap).plan(self.trials.bench.fixtures))

    def _interrupted(self) -> tuple[Place, list[Note]]:
        point = list(self.points.values())[-1]
        place = point.used or point.done or point.doing or entry(self.trials.bench)
        concurrent = self.schedule.kind is Kind.CONCURRENT
        what = "the first delivery was held here" if concurrent else "the delivery died here"
        return place, [Note(what, point.doing)] if point.doing and point.doing != place else []

    def _repeated(self, rule: Rule) -> tuple[Rule, Place, list[Note]]:
        """An effect that happened again with nothing interrupted: a key that changes, or no key at all."""
        changed = [s for s in self.failed.difference.extra if s.changing]
        requests = [s for s in changed if s.is_request and len(s.changing) > 1]
        for surplus in requests:
            place = blame.origin(self.detail, surplus.changing[::-1], range(self.last, -1, -1))
            place = place or blame.reading_line(self.detail, self.last) or blame.request_line(self.detail, self.last)
            return KEY_CHANGES, place or entry(self.trials.bench), self._sent()
        for surplus in changed:
            if not surplus.is_request and (place := self._drawn(surplus.changing)):
                return KEY_CHANGES, place, []
        if any(s.is_request for s in self.failed.difference.extra):
            place = blame.request_line(self.detail, self.last) or blame.request_line(self.detail, 0)
            return rule, place or entry(self.trials.bench), []
        return rule, self._written(), []

    def _sent(self) -> list[Note]:
        place = blame.request_line(self.detail, self.last)
        return [Note("the request is sent here", place)] if place else []

    def _drawn(self, values: tuple[str, ...]) -> Place | None:
        """The line where a value of a surplus row was drawn at random, or read from the clock."""
        if blame.random_line(self.detail, self.last) or blame.reading_line(self.detail, self.last):
            return blame.origin(self.detail, values, [self.last])
        return None

    def _written(self) -> Place:
        """The line by which the last delivery wrote."""
        place = blame.writing_line(self.detail, self.last)
        if place is not None:
            return place
        plan = self.schedule.plan(self.trials.bench.fixtures)
        place = _last_effect(self.trials, plan, self.detail)
        if place is not None:
            return place
        return blame.opening_line(self.detail, self.last) or entry(self.trials.bench)


def _last_effect(trials: Trials, plan: Plan, through: RunRecord) -> Place | None:
    """The line of the last delivery's last effectful system call: the delivery is killed there, to see where it is."""
    last = len(plan.deliveries) - 1
    count = through.effectful_calls[last] if last < len(through.effectful_calls) else 0
    if not count:
        return None
    dying = replace(plan.deliveries[last], interrupt=Interrupt(count - 1, "crash"))
    died = trials.closely(replace(plan, deliveries=(*plan.deliveries[:-1], dying)))
    point = blame.interrupted(died, through, last, last)
    return point.doing or point.done


# -- collisions --------------------------------------------------------------------------------------------------------


def collisions(trials: Trials, found: Survey) -> Iterator[tuple[Diagnostic, RunRecord]]:
    """A finding for each field that the key should tell apart, with the run that shows it."""
    for collision in found.collisions:
        yield _collision(trials, collision), collision.record


def _collision(trials: Trials, collision: Collision) -> Diagnostic:
    bench = trials.bench
    key = manifest_place(bench, "idempotency", "key")
    pair = f"fixture `{collision.fixture}`, and the same with another `{collision.field}`"
    if not collision.field:
        pair = f"fixture `{collision.fixture}`, and another fixture that differs in more than one field"
    if collision.in_key or bench.subject.manifest.idempotency is None:
        place, because = _in_code(trials, collision), "the manifest's key has the field; the node's own does not"
    else:
        place, because = key, "both have the same idempotency key, and alone each has an effect of its own"
    rule = PARTIAL if collision.partial else COLLISION
    fix = f'add "{collision.field}" to `key`' if not collision.in_key and collision.field else rule.advice
    return Diagnostic(
        rule,
        f"{pair}: the second one {collision.what}",
        place,
        because=f"{because}\nfirst  {_shown(collision.first)}\nsecond {_shown(collision.second)}",
        fix=fix,
        notes=(Note("the manifest's key", key),) if place != key else (),
        severity=_SEVERITY.get(rule, Severity.ERROR),
        data={"field": collision.field, "fixture": collision.fixture, "in_key": collision.in_key},
    )


def _shown(text: bytes) -> str:
    shown = json.dumps(json.loads(text), ensure_ascii=False)
    return shown if len(shown) <= 300 else shown[:300] + "…"


def _in_code(trials: Trials, collision: Collision) -> Place:
    """Where the node's own key lost the difference, or where the second message went another way."""
    bench = trials.bench
    first = trials.closely(Plan((Delivery(collision.first),)))
    alone = trials.closely(Plan((Delivery(collision.second),)))
    if collision.shared:
        place = blame.shared_derivation(first, alone, collision.shared, (0, 0))
        if place is not None:
            return place
    plan = Plan((Delivery(collision.first), Delivery(collision.second, later=trials.gap)))
    both = trials.closely(plan)
    parted = blame.parting(blame.own_steps(alone, 0), blame.own_steps(both, 1))
    if parted is not None:
        return parted
    written = blame.writing_line(both, 1) or _last_effect(trials, Plan((Delivery(collision.second),)), alone)
    return written or entry(bench)
