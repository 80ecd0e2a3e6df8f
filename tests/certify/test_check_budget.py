"""C-BUDGET: what is over the budget is refused by its own code; what a busy machine adds is not."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest

from certify.checks.budget import FEWEST_RUNS, MOST_RUNS, make_check
from certify.checks.policy import differences
from certify.codec import decode, encode
from certify.evidence.verdict import CheckResult, Failed, Passed, Unknown
from certify.laboratory.record import Crashed, Event, EventKind, Exceeded, Plan, Raised, RunRecord, Usage
from certify.policy.policies import load_policies
from certify_spec.diagnostics import Place, Severity
from policy_bench import CODE, NODE, FakeLaboratory, React, bench, exchange, line_of, ran, use

MIB = 2**20
USUAL = Usage(wall=0.040, cpu=0.020, memory=20 * MIB)
EXACT = [use("budget", operation="spend", mode="read", tokens=60, money_micros=1500)]


def usual(plan: Plan) -> RunRecord:
    """A run within the budget."""
    return ran(plan, exchanges=[exchange()], events=EXACT, usage=USUAL)


def checked(folder: Path, react: React = usual, manifest: str = NODE) -> CheckResult:
    """The result for the example by the shipped policies."""
    return make_check(load_policies())(bench(folder, manifest=manifest, react=react))


def codes(result: CheckResult, severity: Severity = Severity.ERROR) -> list[str]:
    """Codes of the findings of this severity."""
    return [finding.code for finding in result.findings if finding.severity is severity]


def using(*usages: Usage) -> React:
    """A laboratory in which each run in turn uses so much, the last one for ever."""
    turns: Iterator[Usage] = iter(usages)
    last = usages[-1]
    return lambda plan: ran(plan, exchanges=[exchange()], events=EXACT, usage=next(turns, last))


def test_a_node_within_its_budget_passes_after_the_fewest_runs(tmp_path: Path) -> None:
    """C-BUDGET: no finding, and no run more than needed."""
    work = bench(tmp_path, react=usual)
    result = make_check(load_policies())(work)
    assert isinstance(work.laboratory, FakeLaboratory)
    assert (result.verdict, result.findings, len(work.laboratory.plans)) == (Passed(), (), FEWEST_RUNS)


def test_the_result_is_evidence_and_can_be_decided_again(tmp_path: Path) -> None:
    """C-BUDGET: a result has a canonical encoding, and its decision is the same when asked again."""
    data = dataclasses.replace(checked(tmp_path), seconds=0.0).to_data()
    read = CheckResult.from_data(decode(encode(data)))
    assert (read.to_data(), differences(load_policies(), read)) == (data, ())


def test_noise_never_refuses(tmp_path: Path) -> None:
    """C-BUDGET: nine runs on a starved machine and one quiet one: the quiet one counts."""
    noisy = [Usage(5.0, 4.0, 20 * MIB)] * (MOST_RUNS - 1)
    assert codes(checked(tmp_path, using(*noisy, USUAL))) == []


@pytest.mark.parametrize(
    ("usage", "code"),
    [
        (Usage(0.200, 0.020, 20 * MIB), "BUD001"),
        (Usage(0.040, 0.090, 20 * MIB), "BUD002"),
        (Usage(0.040, 0.020, 80 * MIB), "BUD003"),
    ],
)
def test_a_measured_figure_over_its_budget_in_every_run_is_refused(tmp_path: Path, usage: Usage, code: str) -> None:
    """C-BUDGET: wall, cpu and memory beyond the margin in all runs, at the entry point, with the budget's line."""
    work = bench(tmp_path, react=using(usage))
    result = make_check(load_policies())(work)
    finding = result.findings[0]
    assert isinstance(work.laboratory, FakeLaboratory)
    assert (result.verdict, codes(result), len(work.laboratory.plans)) == (Failed(), [code], MOST_RUNS)
    assert finding.place == Place("charge.py", 10)
    words = {"BUD001": "wall =", "BUD002": "cpu =", "BUD003": "memory ="}[code]
    assert finding.notes[0].place is not None
    assert finding.notes[0].place.line == line_of(NODE, words)


def test_between_budget_and_margin_is_a_warning(tmp_path: Path) -> None:
    """C-BUDGET: five milliseconds over may be the machine: said, not refused."""
    result = checked(tmp_path, using(Usage(0.105, 0.020, 20 * MIB)))
    assert (result.verdict, codes(result, Severity.WARNING)) == (Passed(), ["BUD010"])


@pytest.mark.parametrize(
    ("record", "code"),
    [
        (
            lambda plan: ran(plan, exchanges=[exchange()] * 2, events=[*EXACT, use("http.payments")], usage=USUAL),
            "BUD004",
        ),
        (
            lambda plan: ran(plan, exchanges=[exchange()], events=[*EXACT, use("budget", tokens=41)], usage=USUAL),
            "BUD005",
        ),
        (
            lambda plan: ran(
                plan,
                exchanges=[exchange()],
                events=[*EXACT, use("budget", arguments={"money_micros": 501})],
                usage=USUAL,
            ),
            "BUD006",
        ),
    ],
)
def test_one_more_than_the_budget_is_refused_where_it_was_spent(tmp_path: Path, record: React, code: str) -> None:
    """C-BUDGET: requests, tokens and money are exact, and the finding is at the line that spends most."""
    result = checked(tmp_path, record)
    assert (result.verdict, codes(result), result.findings[0].place) == (Failed(), [code], CODE)


def test_exact_quantities_are_judged_by_the_most(tmp_path: Path) -> None:
    """C-BUDGET: one run of three that sends a second request is over the budget."""
    counts = iter([1, 2, 1])
    result = checked(tmp_path, lambda plan: ran(plan, exchanges=[exchange()] * next(counts), events=EXACT, usage=USUAL))
    assert codes(result) == ["BUD004"]


def test_a_refused_spending_is_not_counted(tmp_path: Path) -> None:
    """C-BUDGET: what the meter refused was not spent; a graceful stop passes."""
    refused = use("budget", operation="spend", tokens=10_000, error="BudgetExceeded")
    assert (
        codes(checked(tmp_path, lambda plan: ran(plan, exchanges=[exchange()], events=[*EXACT, refused], usage=USUAL)))
        == []
    )


def test_a_fixture_stopped_by_its_budget_is_refused(tmp_path: Path) -> None:
    """C-BUDGET: BudgetExceeded that leaves the node is a finding at the line that raised."""
    raised = Raised("BudgetExceeded", "too much", ("BudgetExceeded", "CapabilityError"), (Place("charge.py", 9), CODE))
    result = checked(tmp_path, lambda plan: ran(plan, outcome=raised, usage=USUAL))
    assert [(f.code, f.place) for f in result.findings if f.severity is Severity.ERROR] == [("BUD007", CODE)]


@pytest.mark.parametrize(("limit", "code"), [("wall", "BUD001"), ("cpu", "BUD002"), ("memory", "BUD003")])
def test_a_run_ended_by_a_limit_is_refused(tmp_path: Path, limit: str, code: str) -> None:
    """C-BUDGET: a node that hangs, spins or eats memory is over its budget, whatever was measured."""
    result = checked(tmp_path, lambda plan: ran(plan, outcome=Exceeded(limit), usage=USUAL))  # type: ignore[arg-type]  # one of the three
    assert (result.verdict, codes(result)) == (Failed(), [code])


@pytest.mark.parametrize(
    "record",
    [
        lambda plan: ran(plan, incomplete="2 records did not fit"),
        lambda plan: dataclasses.replace(usual(plan), usage=()),
        lambda plan: ran(plan, outcome=Crashed(planned=False, signal=9), usage=USUAL),
    ],
)
def test_a_run_that_cannot_be_measured_is_unknown_never_a_pass(tmp_path: Path, record: React) -> None:
    """C-BUDGET: without figures there is no verdict."""
    result = checked(tmp_path, record)
    assert isinstance(result.verdict, Unknown)
    assert codes(result) == ["BUD120"]


@pytest.mark.parametrize(
    ("old", "new", "policy"),
    [
        ('wall = "100ms"', 'wall = "16m"', "wall-ceiling"),
        ('cpu = "50ms"', 'cpu = "61s"', "cpu-ceiling"),
        ('memory = "64MiB"', 'memory = "5GiB"', "memory-ceiling"),
        ("requests = 1\n", "requests = 1001\n", "requests-ceiling"),
        ("tokens = 100\n", "tokens = 200001\n", "tokens-ceiling"),
        ("money_micros = 2000\n", "money_micros = 5000001\n", "money-ceiling"),
        ("tokens = 100\n", "tokens = 18446744073709551615\n", "tokens-ceiling"),
        ("money_micros = 2000\n", "money_micros = 2000\nqps = 2000.0\n", "money-rate-ceiling"),
        ("money_micros = 2000\n", "money_micros = 0\nqps = 1281.0\n", "cpu-rate-ceiling"),
        ("money_micros = 2000\n", "money_micros = 0\nqps = 60000.0\n", "request-rate-ceiling"),
        ("money_micros = 2000\n", "money_micros = 0\nqps = 2400.0\n", "token-rate-ceiling"),
        ("money_micros = 2000\n", "money_micros = 2000\nburst = 200000\n", "memory-burst-ceiling"),
        ("money_micros = 2000\n", "money_micros = 2000\nqps = 1e300\n", "money-rate-ceiling"),
    ],
)
def test_each_ceiling_refuses_the_budget_by_name(tmp_path: Path, old: str, new: str, policy: str) -> None:
    """C-BUDGET: one call and all calls at the planned rate, against the organisation's ceilings."""
    text = NODE.replace(old, new)
    assert text != NODE
    result = checked(tmp_path, manifest=text)
    found = [finding for finding in result.findings if finding.data.get("policy") == policy]
    assert [(f.code, f.place and f.place.line) for f in found] == [("BUD101", line_of(text, "[budget]"))]
    assert result.verdict == Failed()


def test_a_ceiling_is_met_exactly(tmp_path: Path) -> None:
    """C-BUDGET: as much as the ceiling is allowed."""
    text = NODE.replace('cpu = "50ms"', 'cpu = "60s"').replace('wall = "100ms"', 'wall = "15m"')
    assert codes(checked(tmp_path, manifest=text)) == []


def test_a_budget_far_above_the_use_is_remarked_on(tmp_path: Path) -> None:
    """C-BUDGET: more than twenty times what any fixture uses is a warning at the budget's line, and refuses nothing."""
    text = NODE.replace("tokens = 100", "tokens = 1201").replace('wall = "100ms"', 'wall = "11s"')
    result = checked(tmp_path, manifest=text)
    assert (result.verdict, [(f.code, f.place and f.place.line) for f in result.findings]) == (
        Passed(),
        [("BUD011", line_of(text, "wall =")), ("BUD011", line_of(text, "tokens ="))],
    )


def test_connections_at_import_are_not_blamed_for_requests(tmp_path: Path) -> None:
    """C-BUDGET: the place of a request is a line that ran in the call."""
    loaded = Event(EventKind.CONNECT, "127.0.0.2:80", place=Place("charge.py", 1), importing=True)
    react = lambda plan: ran(plan, exchanges=[exchange()] * 2, events=[*EXACT, loaded], usage=USUAL)  # noqa: E731 - one expression
    assert [f.place for f in checked(tmp_path, react).findings] == [Place("charge.py", 10)]


def test_cost_a_day_is_estimated(tmp_path: Path) -> None:
    """C-BUDGET: money a call times calls a second times a day, measured and budgeted."""
    measured = checked(tmp_path).measured
    assert (
        measured["money_micros_per_day_measured"],
        measured["money_micros_per_day_budgeted"],
        measured["currency"],
    ) == (
        1500 * 86_400,
        2000 * 86_400,
        "EUR",
    )
