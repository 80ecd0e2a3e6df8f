"""Whether a key tells different requests apart: two inputs that differ in one field, delivered into one world.

Two inputs are *different requests* when, each delivered alone, they leave different effects. A key that takes them for
one loses an effect. That is suspected when

- both send an upstream the same key with different bodies; or
- the manifest's key is equal for both, and in the common world the second one left nothing in a place where alone it
  would have, or replaced all that the first one left there, or was refused by an upstream, or raised; or
- the manifest's key differs, and in either order the second one left nothing anywhere and answered as if it had.

Fields that make no difference to the effects may be in the key or not.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from certify.capabilities.settings import call_key
from certify.checks import schedules
from certify.checks.aftermath import Aftermath, Expectation, Request, aftermath, requests
from certify.checks.trials import Trials
from certify.checks.variants import is_covered, variants
from certify.codec import EncodingError
from certify.laboratory.record import Delivery, Plan, Raised, Returned, RunRecord
from certify.manifest.paths import SchemaError, fields


@dataclass(frozen=True, slots=True)
class Collision:
    """Two different requests that are taken for one.

    Attributes:
        field: the input field in which they differ; empty for two fixtures.
        in_key: whether the manifest's key has the field.
        what: what happened to the second one.
        shared: the key that both sent to an upstream, empty when they did not.
        partial: only a part of the second one's effect is missing, and the manifest's key tells the two apart.
    """

    field: str
    fixture: str
    in_key: bool
    first: bytes
    second: bytes
    what: str
    record: RunRecord
    shared: str = ""
    partial: bool = False


@dataclass(frozen=True, slots=True)
class Survey:
    """What came of trying out the fields."""

    collisions: tuple[Collision, ...]
    tried: tuple[str, ...]
    without_influence: tuple[str, ...]
    not_varied: tuple[str, ...]
    left_out: int


def survey(trials: Trials, names: list[str]) -> Survey:
    """Vary every input field of the fixtures, one at a time."""
    schema = trials.bench.laboratory.signature().input_schema
    try:
        found = fields(schema)
    except SchemaError as error:
        trials.undecided.append(f"the input's fields cannot be listed: {error}")
        return Survey((), (), (), (), 0)
    chosen = schedules.sample(list(found), schedules.FIELD_LIMIT)
    collisions: list[Collision] = []
    tried: list[str] = []
    silent: list[str] = []
    skipped: list[str] = []
    for field in chosen:
        pair = _Pair.of_field(trials, names, field, dict(found[field]))
        if pair is None:
            skipped.append(field)
            continue
        tried.append(field)
        if not pair.differ():
            silent.append(field)
        elif collision := pair.collision():
            collisions.append(collision)
    if collisions:
        return Survey(tuple(collisions), tuple(tried), tuple(silent), tuple(skipped), len(found) - len(chosen))
    equal = [pair.collision() for pair in _equal_keys(trials, names) if pair.differ()]
    collisions += [collision for collision in equal if collision is not None]
    return Survey(tuple(collisions), tuple(tried), tuple(silent), tuple(skipped), len(found) - len(chosen))


def _equal_keys(trials: Trials, names: list[str]) -> Iterator[_Pair]:
    """Pairs of fixtures with different inputs and one key."""
    manifest = trials.bench.subject.manifest
    if manifest.idempotency is None:
        return
    by_key: dict[bytes, str] = {}
    for name in names:
        value = json.loads(trials.bench.fixtures[name])
        try:
            key = call_key(manifest, value)
        except (LookupError, EncodingError):
            continue
        other = by_key.setdefault(key, name)
        if json.loads(trials.bench.fixtures[other]) != value:
            alone = trials.clean((name,))
            yield _Pair(trials, "", other, trials.bench.fixtures[name], alone)


@dataclass(frozen=True, slots=True)
class _Pair:
    """A fixture, and another input with the record of its undisturbed run."""

    trials: Trials
    field: str
    fixture: str
    second: bytes
    alone: RunRecord

    @classmethod
    def of_field(cls, trials: Trials, names: list[str], field: str, leaf: dict[str, Any]) -> _Pair | None:
        """A fixture and an accepted input that differs from it in `field` alone."""
        values = {name: json.loads(trials.bench.fixtures[name]) for name in names}
        for name in names:
            others = [value for other, value in values.items() if other != name]
            for variant in variants(values[name], field, leaf, others):
                second = json.dumps(variant, ensure_ascii=False).encode("utf-8", "surrogatepass")
                record = trials.one(Plan((Delivery(second),)), "field_alone")
                if isinstance(record.outcomes[0], Returned) and not record.incomplete:
                    return cls(trials, field, name, second, record)
        return None

    @property
    def first(self) -> bytes:
        return self.trials.bench.fixtures[self.fixture]

    @property
    def expected(self) -> Expectation:
        return self.trials.expectation((self.fixture,))

    def seen(self, record: RunRecord) -> Aftermath:
        return aftermath(record, self.trials.bench.subject.manifest)

    def differ(self) -> bool:
        """Whether the two have different effects, each alone."""
        if self.expected.compare(self.seen(self.alone)):
            return True
        clean = self.trials.clean((self.fixture,))
        return _bodies(self.seen(clean)) != _bodies(self.seen(self.alone))

    def in_key(self) -> bool:
        """Whether the manifest's key tells the two apart."""
        idempotency = self.trials.bench.subject.manifest.idempotency
        if idempotency is None:
            return False
        keys = [*idempotency.key, *([idempotency.partition] if idempotency.partition else [])]
        return bool(self.field) and is_covered(self.field, keys)

    def collision(self) -> Collision | None:
        """The first sign that the two are taken for one."""
        gap = self.trials.gap
        record = self.trials.one(Plan((Delivery(self.first), Delivery(self.second, later=gap))), "field_pair")
        self.trials.note(f"two inputs that differ in `{self.field}`", record)
        both = self.seen(record)
        if shared := self._shared_key(record):
            return self._found("sent the key of the first one with another body", record, shared=shared)
        if self.in_key():
            return self._of_told_apart(record, both)
        return self._of_equal_key(record, both)

    def _found(self, what: str, record: RunRecord, *, shared: str = "", partial: bool = False) -> Collision:
        return Collision(
            self.field, self.fixture, self.in_key(), self.first, self.second, what, record, shared, partial
        )

    def _shared_key(self, record: RunRecord) -> str:
        """A key that went to an upstream with two different bodies, in one world: there no two draws are equal."""
        sent = requests(record.exchanges, self.trials.bench.subject.manifest, refused=True)
        keyed = [request for request in sent if request.key]
        pairs = [(r, s) for r in keyed for s in keyed if r.identity == s.identity and r.body != s.body]
        return pairs[0][0].key or "" if pairs else ""

    def _of_equal_key(self, record: RunRecord, both: Aftermath) -> Collision | None:
        outcome = record.outcomes[1]
        if isinstance(outcome, Raised):
            return self._found(f"raised {outcome.type}: {outcome.message}"[:200], record)
        if refused := [e for e in record.exchanges if e.delivery == 1 and e.acted and e.status in {409, 422}]:
            return self._found(f"was refused by `{refused[0].resource}` with status {refused[0].status}", record)
        lost = self._same_as_first(both)
        if lost:
            return self._found(f"left nothing in {', '.join(lost)}", record)
        replaced = self._same_as_second(both)
        if replaced:
            return self._found(f"replaced what the first one had left in {', '.join(replaced)}", record)
        return None

    def _of_told_apart(self, record: RunRecord, both: Aftermath) -> Collision | None:
        lost = self._same_as_first(both)
        answer, alone = record.outcomes[1], self.alone.outcomes[0]
        if not lost or not isinstance(answer, Returned) or not isinstance(alone, Returned):
            return None
        first = record.outcomes[0]
        claims = answer.output == alone.output or (isinstance(first, Returned) and answer.output == first.output)
        if not claims:
            return None
        turned = self.trials.one(
            Plan((Delivery(self.second), Delivery(self.first, later=self.trials.gap))), "field_pair"
        )
        expected = Expectation.of([self.seen(self.alone)], changing=self.expected.changing)
        both_orders = tuple(name for name in lost if name not in expected.compare(self.seen(turned)).places)
        if not both_orders:
            return None
        partial = set(both_orders) != set(self._touched())
        return self._found(f"left nothing in {', '.join(both_orders)}, in either order", record, partial=partial)

    def _touched(self) -> tuple[str, ...]:
        """Tables and upstreams in which the two differ, each alone."""
        return self.expected.compare(self.seen(self.alone)).places

    def _same_as_first(self, both: Aftermath) -> tuple[str, ...]:
        """Where the second one should have left something, and all is as after the first one."""
        moved = self.expected.compare(both).places
        return tuple(name for name in self._touched() if name not in moved)

    def _same_as_second(self, both: Aftermath) -> tuple[str, ...]:
        """Where all is as after the second one alone, and the first one had left something else."""
        moved = Expectation.of([self.seen(self.alone)], changing=self.expected.changing).compare(both).places
        left = set(self.seen(self.trials.clean((self.fixture,))).tables)
        return tuple(name for name in self._touched() if name not in moved and name in left)


def _bodies(found: Aftermath) -> list[tuple[str, str, str, bytes]]:
    def essence(request: Request) -> tuple[str, str, str, bytes]:
        return request.resource, request.method, request.path, request.body

    return sorted(map(essence, found.requests))
