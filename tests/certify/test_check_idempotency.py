"""C-IDEM without a sandbox: schedules, comparison, variants, and verdicts over an imagined node."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from certify.checks import idempotency, idempotency_rules, schedules
from certify.checks.aftermath import Aftermath, Difference, Expectation, Surplus, aftermath
from certify.checks.schedules import Kind, Schedule, Step
from certify.checks.trials import Trial
from certify.checks.variants import is_covered, variants
from certify.checks.workbench import Workbench
from certify.evidence.verdict import CheckResult, Failed, NotApplicable, Passed, Unknown
from certify.laboratory.record import (
    Crashed,
    Exceeded,
    Exchange,
    Plan,
    Raised,
    Returned,
    RunRecord,
    Usage,
    World,
)
from certify.manifest.model import Manifest
from certify.subject import Signature, Subject
from certify_spec.diagnostics import Rule, Severity

PAGE = Path(__file__).parents[2] / "docs" / "checks" / "idempotency.md"


def manifest(effects: str = "effectful", header: str | None = "Key", key: tuple[str, ...] = ("id",)) -> Manifest:
    """A manifest with one upstream."""
    upstream: dict[str, Any] = {"name": "pay", "kind": "http", "url": "http://pay.example", "mode": "write"}
    upstream["answers"] = {
        answer: {"outcome": "error"} for answer in ("401", "429", "5xx", "timeout", "malformed", "slow")
    }
    if header:
        upstream["idempotency_header"] = header
    if effects != "effectful":
        upstream = {"name": "clock", "kind": "clock"}
    whole = {
        "schema": 1,
        "node": {
            "id": "t/n", "version": "1.0.0", "entry": "node:run", "effects": effects, "determinism": "best_effort",
        },
        "resource": [upstream],
        "idempotency": {"flow": "t", "key": list(key)} if effects == "effectful" else None,
        "budget": {"wall": "1s", "cpu": "1s", "memory": "64MiB"},
        "fixture": [{"name": "one", "input": "one.json"}],
    }  # fmt: skip
    return Manifest.model_validate({k: v for k, v in whole.items() if v is not None})


NOTHING = Plan(())


def record(
    plan: Plan = NOTHING,
    *,
    rows: Iterable[tuple[object, ...]] = (),
    texts: dict[str, str] | None = None,
    exchanges: tuple[Exchange, ...] = (),
    upstream: bool = False,
    incomplete: str = "",
) -> RunRecord:
    """A record with one table, some text files, and some requests."""
    tables = {"node.sqlite3": {"t": tuple(sorted(map(repr, rows)))}}
    if upstream:
        tables["upstream/pay/p.sqlite3"] = {"seen": ("(1,)",)}
    files = dict.fromkeys(texts or {}, "digest")
    world = World(files, tables, texts or {})
    answers = tuple(Returned(b"\x01", b"1") for _ in plan.deliveries)
    used = tuple(Usage(0.0, 0.0, 0) for _ in plan.deliveries)
    return RunRecord(plan, answers, (), exchanges, world, tuple(2 for _ in answers), used, incomplete=incomplete)


def sent(key: str | None, method: str = "POST", status: int = 201, body: bytes = b"{}") -> Exchange:
    """A request that reached the upstream."""
    headers = (("key", key),) if key is not None else ()
    return Exchange("pay", 0, method, "/charges", headers, body, status, b"", acted=True)


def left(kept: RunRecord, of: Manifest | None = None) -> Aftermath:
    """What a record left."""
    return aftermath(kept, of or manifest())


# -- comparing ---------------------------------------------------------------------------------------------------------


def test_equal_worlds_agree() -> None:
    """C-IDEM: a run that left what clean runs left does not differ."""
    clean = left(record(rows=[("a", 1)]))
    assert not Expectation.of([clean, clean]).compare(clean)


def test_a_second_row_is_extra() -> None:
    """C-IDEM: two rows where one is right are told with both numbers."""
    clean = left(record(rows=[("a", 1)]))
    difference = Expectation.of([clean]).compare(left(record(rows=[("a", 1), ("a", 1)])))
    assert difference.describe() == "2 rows in t of node.sqlite3 where 1 is right"
    assert not difference.is_loss


def test_a_missing_row_is_a_loss() -> None:
    """C-IDEM: a row too few is a lost effect."""
    difference = Expectation.of([left(record(rows=[("a", 1)]))]).compare(left(record()))
    assert (difference.describe(), difference.is_loss) == ("0 rows in t of node.sqlite3 where 1 is right", True)


def test_random_columns_are_not_compared() -> None:
    """C-IDEM: a column that differs between clean runs raises no alarm, and hides no second row."""
    expected = Expectation.of([left(record(rows=[("a", "r1")])), left(record(rows=[("a", "r2")]))])
    assert not expected.compare(left(record(rows=[("a", "r3")])))
    assert expected.compare(left(record(rows=[("a", "r3"), ("a", "r4")])))


def test_a_changing_member_of_json_hides_no_other() -> None:
    """C-IDEM: inside JSON, a time that differs is left out, and a count that differs is found."""
    clean = [left(record(rows=[("k", f'{{"at": {at}, "count": 1}}')])) for at in (1, 2)]
    expected = Expectation.of(clean)
    assert not expected.compare(left(record(rows=[("k", '{"at": 9, "count": 1}')])))
    assert expected.compare(left(record(rows=[("k", '{"at": 9, "count": 2}')])))


def test_a_constant_value_beside_changing_ones_is_compared() -> None:
    """C-IDEM: in a key-value table one changing value does not hide that another one changed."""
    clean = [left(record(rows=[("at", at), ("count", 1)])) for at in (10, 20)]
    assert Expectation.of(clean).compare(left(record(rows=[("at", 30), ("count", 2)])))


def test_lines_of_a_text_are_compared() -> None:
    """C-IDEM: a line appended twice is found, even with a time in it."""
    clean = [left(record(texts={"log": f'{{"at": {at}, "id": 1}}\nend\n'})) for at in (1, 2)]
    twice = left(record(texts={"log": '{"at": 1, "id": 1}\nend\n{"at": 5, "id": 1}\n'}))
    assert Expectation.of(clean).compare(twice).places == ("file log",)


def test_files_with_random_names_are_counted() -> None:
    """C-IDEM: a file whose name is drawn at random is expected once, under any name."""
    expected = Expectation.of([left(record(texts={f"out/{name}.txt": "x\n"})) for name in ("a", "b")])
    assert not expected.compare(left(record(texts={"out/c.txt": "x\n"})))
    assert expected.compare(left(record(texts={"out/c.txt": "x\n", "out/d.txt": "x\n"})))


def test_rows_that_change_in_number_cannot_be_compared() -> None:
    """C-IDEM: when clean runs leave different numbers of rows, nothing is compared, and the reason is said."""
    expected = Expectation.of([left(record(rows=[("a",)])), left(record(rows=[("a",), ("a",)]))])
    assert (
        expected.incomparable == "t of node.sqlite3 differs from one undisturbed run to the next beyond single values"
    )


def test_content_that_cannot_be_read_is_blind() -> None:
    """C-IDEM: a file of which only a changing digest is known is neither equal nor different."""

    def binary(digest: str) -> Aftermath:
        return left(replace(record(), world=World({"f": digest}, {}, {})))

    assert Expectation.of([binary("1"), binary("2")]).compare(binary("3")).blind == ("file f",)


@pytest.mark.parametrize(
    ("exchanges", "extra"),
    [
        ((sent("k"), sent("k")), False),
        ((sent("k"), sent("other")), True),
        ((sent("k"), sent(None)), True),
        ((sent("k"), sent("other", status=409)), False),
        ((sent("k"), sent("other", method="GET")), False),
        ((sent("k"), sent(None, method="PUT"), sent(None, method="PUT")), True),
    ],
)
def test_a_key_decides_whether_a_request_is_a_second_effect(exchanges: tuple[Exchange, ...], extra: bool) -> None:
    """C-IDEM: the same key is the same effect; another key or none is a second one; a refusal or a read is none."""
    expected = Expectation.of([left(record(exchanges=(sent("k"),)))])
    assert bool(expected.compare(left(record(exchanges=exchanges))).extra) is extra


def test_without_a_header_the_simulators_state_decides() -> None:
    """C-IDEM: no header is declared: requests count only where the simulator keeps no state."""
    for keeps, extra in ((False, True), (True, False)):
        once, twice = (left(record(exchanges=(sent(None),) * n, upstream=keeps), manifest(header=None)) for n in (1, 2))
        assert bool(Expectation.of([once]).compare(twice).extra) is extra


# -- schedules and variants --------------------------------------------------------------------------------------------


def test_all_orders_of_two_messages_with_one_duplicate() -> None:
    """C-IDEM: six histories, each different, each with the order of first deliveries that is right for it."""
    found = list(schedules.reorderings("a", "b", 61))
    orders = {tuple(step.fixture for step in schedule.steps) for schedule in found}
    assert len(found) == len(orders) == 6
    assert all(s.orders == (tuple(dict.fromkeys(step.fixture for step in s.steps)),) for s in found)


def test_crash_pairs_are_exhaustive() -> None:
    """C-IDEM: each pair of a first and a second crash point is there once."""
    pairs = [(s.steps[0].at, s.steps[1].at) for s in schedules.crash_pairs("a", {0: 2, 1: 3}, 61)]
    assert pairs == [(0, 0), (0, 1), (1, 0), (1, 1), (1, 2)]


def test_samples_are_the_same_every_time() -> None:
    """C-IDEM: a sample has a fixed seed, keeps the order, and is everything when it may be."""
    assert schedules.sample(range(100), 10) == schedules.sample(range(100), 10)
    assert schedules.sample(range(100), 10) == sorted(schedules.sample(range(100), 10))
    assert schedules.sample([3, 1, 2], 3) == [3, 1, 2]


def test_a_schedule_says_what_it_does() -> None:
    """C-IDEM: the words of a history name messages, crash and repetition."""
    (first, *_rest) = schedules.crashes("pay", 3, 61)
    assert first.describe() == "deliver `pay`; crash before system call 0; deliver `pay` again"
    lost = schedules.lost_answer("pay", "bank", 1, 61)
    assert lost.describe() == "deliver `pay`; lose the answer of `bank` to request 2; deliver `pay` again"


@pytest.mark.parametrize(("again", "kept"), [({17, 20}, [9, 17, 20]), ({3}, [3, 9, 17, 20]), (set(), [3, 9, 17, 20])])
def test_a_failure_by_chance_is_not_the_one_that_is_shown(again: set[int], kept: list[int]) -> None:
    """C-IDEM: seeded: two deliveries overlapped on a busy machine, and the line at which one was held was blamed."""

    def held(at: int, *, fails: bool) -> Trial:
        steps = (Step("a", at, "preempt"), Step("a"))
        difference = Difference((Surplus("rows", 2, 1, ()),)) if fails else Difference()
        return Trial(Schedule(Kind.CONCURRENT, steps, (("a",),)), record(), difference)

    def attempt(wanted: list[Schedule]) -> list[Trial]:
        return [held(schedule.steps[0].at or 0, fails=schedule.steps[0].at in again) for schedule in wanted]

    trials = [held(3, fails=True), held(9, fails=False), held(17, fails=True), held(20, fails=True)]
    assert [trial.schedule.steps[0].at for trial in idempotency.without_chance(trials, attempt)] == kept


def test_a_smaller_schedule_is_preferred() -> None:
    """C-IDEM: fewer deliveries come first, then fewer interruptions, then earlier ones."""
    late = Schedule(Kind.CRASH, (Step("a", 5), Step("a")), (("a",),))
    early = Schedule(Kind.CRASH, (Step("a", 1), Step("a")), (("a",),))
    assert schedules.duplicate("a", 61).size < early.size < late.size < schedules.crash_pairs("a", {0: 1}, 61)[0].size


@pytest.mark.parametrize(
    ("value", "path"),
    [
        ({"a": 1, "b": "x9"}, "a"),
        ({"a": 1, "b": "x9"}, "b"),
        ({"a": {"c": True}}, "a.c"),
        ({"a": [{"q": 1.5}]}, "a[].q"),
        ({"a": {"k": "v"}}, "a{}"),
        ({"a": None}, "a"),
        ([1, 2], "[]"),
        ("text", "$"),
    ],
)
def test_a_variant_differs_in_its_field_alone(value: object, path: str) -> None:
    """C-KEY: each candidate differs from its base, at the path in question and nowhere else."""
    found = list(variants(value, path, {"type": "string"}, []))
    assert found != []
    for variant in found:
        assert variant != value or type(variant) is not type(value)
        if isinstance(value, dict) and isinstance(variant, dict):
            name = path.split(".", maxsplit=1)[0].removesuffix("{}").removesuffix("[]")
            assert {k: v for k, v in variant.items() if k != name} == {k: v for k, v in value.items() if k != name}


def test_values_of_other_fixtures_come_first() -> None:
    """C-KEY: what another fixture has is likely to be accepted, so it is tried first; then the schema's values."""
    found = list(variants({"a": "EUR"}, "a", {"enum": ["EUR", "GBP"]}, [{"a": "USD"}]))
    assert found[:2] == [{"a": "USD"}, {"a": "GBP"}]


@pytest.mark.parametrize(
    ("field", "keys", "covered"),
    [("a", ["a"], True), ("a.b", ["a"], True), ("a", ["$"], True), ("ab", ["a"], False), ("a.c", ["a.b"], False)],
)
def test_a_key_covers_what_is_below_it(field: str, keys: list[str], covered: bool) -> None:
    """C-KEY: a key path has everything below it, and nothing beside it."""
    assert is_covered(field, keys) is covered


# -- verdicts ----------------------------------------------------------------------------------------------------------


@dataclass
class Imagined:
    """A laboratory whose node is a function from the number of completed deliveries of a message to its rows."""

    rows: Callable[[list[bytes]], list[tuple[object, ...]]]
    spoil: Callable[[RunRecord], RunRecord] = lambda kept: kept
    plans: list[Plan] = field(default_factory=list)

    def signature(self) -> Signature:
        """A node of one field."""
        schema = {"type": "object", "properties": {"id": {"type": "string"}}}
        return Signature(schema, {}, ("order",), None, False, (), "node.py", 1)

    def run(self, plan: Plan) -> RunRecord:
        """Interrupted deliveries leave nothing; the others leave what `rows` says."""
        self.plans.append(plan)
        done = [d.input for d in plan.deliveries if d.interrupt is None or d.interrupt.action == "preempt"]
        kept = record(plan, rows=self.rows(done))
        outcomes = tuple(
            Crashed(planned=True, signal=9) if d.interrupt and d.interrupt.action == "crash" else outcome
            for d, outcome in zip(plan.deliveries, kept.outcomes, strict=True)
        )
        return self.spoil(replace(kept, outcomes=outcomes))

    def run_all(self, plans: Iterable[Plan]) -> Iterator[RunRecord]:
        """One after the other."""
        return map(self.run, plans)

    remembered = run_all


def once(done: list[bytes]) -> list[tuple[object, ...]]:
    """A node that has each effect once."""
    return [(text.decode(),) for text in dict.fromkeys(done)]


def each_time(done: list[bytes]) -> list[tuple[object, ...]]:
    """A node that has its effect each time."""
    return [(text.decode(),) for text in done]


def checked(laboratory: Imagined, of: Manifest | None = None, folder: Path = Path()) -> CheckResult:
    """The check's result on an imagined node with two fixtures."""
    subject = Subject(of or manifest(), folder, "node.toml", {}, "")
    fixtures = {"one": b'{"id": "a1"}', "other": b'{"id": "b2"}'}
    return idempotency.check(Workbench(subject, laboratory, fixtures, {}))


def test_a_node_with_each_effect_once_passes() -> None:
    """C-IDEM: every kind of schedule was run, and none was left out silently."""
    result = checked(Imagined(once))
    assert result.verdict == Passed()
    ran = set(result.measured["schedules"])
    assert {"duplicate", "reordered", "crash", "two_crashes", "crash_overtaken", "concurrent"} <= ran


def test_a_node_that_repeats_itself_fails() -> None:
    """C-IDEM: the smallest schedule is the simple duplicate."""
    result = checked(Imagined(each_time))
    assert result.verdict == Failed()
    assert [finding.code for finding in result.findings] == ["IDEM001"]
    assert result.findings[0].message.startswith("deliver `one`; deliver `one` again: 2 rows")


def test_a_pure_node_without_effects_is_not_judged() -> None:
    """C-IDEM: nothing to repeat."""
    result = checked(Imagined(lambda _done: []), manifest("pure"))
    assert isinstance(result.verdict, NotApplicable)


def test_a_pure_claim_does_not_excuse_an_effect() -> None:
    """C-IDEM: what has an effect is judged whatever the manifest says, and lacks a key."""
    result = checked(Imagined(once), manifest("pure"))
    assert result.verdict == Failed()
    assert "IDEM010" in {finding.code for finding in result.findings}


def test_an_effectful_node_that_shows_no_effect_is_unknown() -> None:
    """C-IDEM: where nothing could be repeated, nothing is passed."""
    assert isinstance(checked(Imagined(lambda _done: [])).verdict, Unknown)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda kept: replace(kept, incomplete="3 records did not fit"),
        lambda kept: replace(kept, outcomes=(Exceeded("wall"), *kept.outcomes[1:])) if len(kept.outcomes) > 1 else kept,
        lambda kept: (
            replace(kept, outcomes=(*kept.outcomes[:-1], Crashed(planned=False, signal=11)))
            if len(kept.outcomes) > 1
            else kept
        ),
    ],
)
def test_a_run_that_does_not_tell_everything_decides_nothing(spoil: Callable[[RunRecord], RunRecord]) -> None:
    """C-IDEM: an incomplete record, a limit and a process that ended by itself are never a pass."""
    assert isinstance(checked(Imagined(once, spoil)).verdict, Unknown)


def test_state_that_cannot_be_compared_is_unknown() -> None:
    """C-IDEM: a node that leaves another number of rows in each run is not judged, and not passed."""
    numbers = iter(range(10_000))
    assert isinstance(checked(Imagined(lambda _done: [("x",)] * (1 + next(numbers) % 3))).verdict, Unknown)


def test_a_redelivery_that_raises_is_found() -> None:
    """C-IDEM: the effect is there once, and still a redelivery may not raise."""

    def spoil(kept: RunRecord) -> RunRecord:
        if len(kept.outcomes) < 2 or kept.plan.deliveries[0].input != kept.plan.deliveries[1].input:
            return kept
        if isinstance(kept.outcomes[0], Crashed):
            return kept
        return replace(kept, outcomes=(kept.outcomes[0], Raised("KeyError", "known", ("KeyError",), ())))

    result = checked(Imagined(once, spoil))
    assert "IDEM007" in {finding.code for finding in result.findings if finding.severity is Severity.ERROR}


def test_a_fixture_without_a_key_is_found() -> None:
    """C-KEY: the key names a field that the input does not have."""
    result = checked(Imagined(once), manifest(key=("missing",)))
    assert "IDEM013" in {finding.code for finding in result.findings}


def test_every_delivery_comes_at_another_time() -> None:
    """C-KEY: deliveries that follow each other are apart, so that a key made of the clock shows."""
    laboratory = Imagined(once)
    checked(laboratory)
    assert all(len({d.later for d in plan.deliveries}) == len(plan.deliveries) for plan in laboratory.plans)


def test_the_page_lists_the_codes() -> None:
    """Docs: each code stands on the page with its meaning, and no other does."""
    found = dict(re.findall(r"^\| (IDEM\d{3}) \| (.+?)(?: \((?:warning|note)\))? \|$", PAGE.read_text(), re.MULTILINE))
    declared = {rule.code: rule.meaning for rule in vars(idempotency_rules).values() if isinstance(rule, Rule)}
    assert found == declared
