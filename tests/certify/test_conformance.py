"""The conformance kit: right code satisfies everything, wrong requests are refused, and what hangs is undecided."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from certify.cli.app import run
from certify.conformance import view
from certify.conformance.catalogue import SCENARIOS
from certify.conformance.judging import choices, shrink
from certify.conformance.running import Report, examine
from certify.conformance.steps import advance, call, fail, succeed
from certify.conformance.verdicts import (
    MODES,
    PROPERTIES,
    NotApplicable,
    Result,
    Row,
    Satisfied,
    Undecided,
    Violated,
    overall,
    word,
)
from codegen_support import write_package
from conformance_support import BENCH

FIVE_LINES = """\
import circuitbreaker

rejected = circuitbreaker.CircuitBreakerError

def breaker(p):
    return circuitbreaker.CircuitBreaker(p.failure_threshold, p.recovery_time, p.failure)
"""

DYING = """\
import os

modes = "sync"

def retry(p):
    attempts, cap = p.attempts, p.cap
    return lambda f: lambda n: os._exit(7) if attempts > 50 else f(n)
"""

SPINNING = """\
modes = "sync"

def retry(p):
    settings = p.reserve, p.ratio, p.attempts
    def forever(n):
        while settings:
            pass
    return lambda f: forever
"""


@pytest.fixture(scope="module")
def generated() -> Report:
    """What the generated code makes of every scenario."""
    return examine(BENCH / "peers" / "generated.py")


def test_the_generated_code_satisfies_all_twelve_in_both_modes(generated: Report) -> None:
    """P1 to P12: nothing is violated, and nothing is undecided."""
    verdicts = {(number, mode): word(generated.verdict(number, mode)) for number in PROPERTIES for mode in MODES}
    assert set(verdicts.values()) == {"satisfied"}, verdicts
    assert not [result for result in generated.results if isinstance(result.verdict, Undecided | Violated)]


@pytest.mark.parametrize(
    ("pattern", "drops", "told"),
    [
        (
            "count_window_breaker",
            "self._filled == self._window and self._failed_at[self._place]",
            "is rejected with 4 failures among the last 10 outcomes",
        ),
        (
            "time_window_breaker",
            "self._can_start_over(now)",
            "reaches the backend with 4 failures among the last 4 outcomes",
        ),
    ],
)
def test_a_generated_window_that_does_not_move_is_found(
    pattern: str, drops: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """P7: the kit sees in generated code that a window keeps what is old, or stands still, and shows the calls."""
    write_package(tmp_path / "resilience", only=[pattern])
    module = tmp_path / "resilience" / f"{pattern}.py"
    text = module.read_text(encoding="utf-8")
    kept = text.replace(drops, "False")
    assert kept != text
    module.write_text(kept, encoding="utf-8")
    monkeypatch.setenv("CERTIFY_RESILIENCE", str(tmp_path))
    adapter = tmp_path / "adapter.py"
    whole = (BENCH / "peers" / "generated.py").read_text(encoding="utf-8")
    others = ["breaker", "bulkhead", "retry", "timeout", "limiter", "cache", "hedge", "fallback"]
    others.append("windowed" if pattern.startswith("time") else "timed")
    adapter.write_text(f'{whole}\nmodes = "sync"\ndel {", ".join(others)}\n', encoding="utf-8")
    found = [each.verdict for each in examine(adapter, only=["P7"]).results if isinstance(each.verdict, Violated)]
    assert len(found) == 1
    assert told in found[0].sentence


def test_the_reference_satisfies_what_applies(tmp_path: Path) -> None:
    """A careful hand-written implementation passes: the kit refuses no right code."""
    report = examine(BENCH / "peers" / "handwritten.py", only=["P2", "P4", "P6", "P8", "P12"])
    left = [result for result in report.results if isinstance(result.verdict, Undecided | Violated)]
    assert left == []


def test_a_library_that_breaks_its_promises_is_shown_doing_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """P1: an adapter of five lines is enough to see fifty probes; the exit status says so."""
    adapter = tmp_path / "adapter.py"
    adapter.write_text(FIVE_LINES, encoding="utf-8")
    assert run(["conformance", str(adapter), "--only", "P1", "--only", "P4", "--json"]) == 1
    data: Any = json.loads(capsys.readouterr().out)
    said = data["adapters"][0]["verdicts"]
    assert said["sync"]["P1"]["verdict"] == said["async"]["P1"]["verdict"] == "violated"
    assert [row["step"] for row in said["async"]["P1"]["trace"]][-1] == "calls 11, 12 arrive"
    assert said["sync"]["P4"]["sentence"] == "call 4 reaches the backend 0 s after the breaker opened"
    assert said["sync"]["P9"]["verdict"] == "not applicable"


def test_people_get_a_table_and_a_trace(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The table has a line for each property, and each violation its steps."""
    adapter = tmp_path / "adapter.py"
    adapter.write_text(f'{FIVE_LINES}\nmodes = "async"\n', encoding="utf-8")
    assert run(["conformance", str(adapter), "--only", "P1"]) == 1
    printed = capsys.readouterr().out
    assert "P1 probe bound" in printed
    assert "P2" not in printed
    assert "31 s pass" in printed
    assert "call 11 reaches the backend; call 12 reaches the backend" in printed


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("def breaker(p:\n", 1, "it is not Python"),
        ("x = 1\nraise ValueError('no')\n", 2, "importing it raises ValueError: no"),
        ("x = 1\n", 0, "it defines none of breaker"),
        ("def breaker(p):\n    return p\n", 0, "it does not say in `rejected`"),
        ("rejected = 3\n\ndef breaker(p):\n    return p\n", 0, "`rejected` names 3"),
        ("modes = 'threads'\n\ndef retry(p):\n    return p\n", 0, "`modes` is 'threads'"),
    ],
)
def test_a_bad_adapter_is_refused(
    text: str, line: int, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A bad adapter: where, what, what now; exit status 2."""
    adapter = tmp_path / "adapter.py"
    adapter.write_text(text, encoding="utf-8")
    assert run(["conformance", str(adapter)]) == 2
    error = capsys.readouterr().err
    where = f"{adapter}:{line}: " if line else f"{adapter}: "
    assert f"{where}CNF002: {said}" in error


@pytest.mark.parametrize(
    ("arguments", "code"), [(["nowhere.py"], "CNF001"), (["nowhere.py", "--only", "P13"], "CNF003")]
)
def test_a_wrong_request_is_refused(arguments: list[str], code: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A file that is not there, and a property that does not exist: exit status 2."""
    assert run(["conformance", *arguments]) == 2
    assert code in capsys.readouterr().err


def test_what_hangs_or_dies_is_undecided(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Code that ends the process decides nothing: exit status 3, and the other scenarios go on."""
    adapter = tmp_path / "adapter.py"
    adapter.write_text(DYING, encoding="utf-8")
    assert run(["conformance", str(adapter), "--only", "P9", "--json"]) == 3
    results = json.loads(capsys.readouterr().out)["adapters"][0]["scenarios"]
    assert [r["reason"] for r in results if r["verdict"] == "undecided"] == ["the child died with status 7"]
    assert len(results) == sum(scenario.property == "P9" for scenario in SCENARIOS)


def test_a_scenario_that_does_not_end_is_ended(tmp_path: Path) -> None:
    """The time limit is hard: the child is killed, and says nothing of the property."""
    adapter = tmp_path / "adapter.py"
    adapter.write_text(SPINNING, encoding="utf-8")
    verdict = examine(adapter, only=["P10"], limit=1.5).verdict("P10", "sync")
    assert isinstance(verdict, Undecided)
    assert "1.5 s" in verdict.reason or "cannot see" in verdict.reason


def test_unknown_is_never_success() -> None:
    """Undecided outweighs satisfied, and violated both; what has no scenario is not applicable."""
    held, open_, broken = Satisfied(), Undecided("slow"), Violated("wrong", (Row("call 1 arrives", 0.0, ()),))
    results = [Result("P1", name, "sync", verdict) for name, verdict in (("a", held), ("b", open_), ("c", broken))]
    assert overall(results) == broken
    assert overall(results[:2]) == Undecided("b: slow")
    assert overall(results[:1]) == held
    assert isinstance(overall([]), NotApplicable)
    assert [Result.from_data(result.to_data()) for result in results] == results


def test_shrinking_leaves_nothing_out_that_is_needed() -> None:
    """A script is cut down to the steps and the calls without which it no longer fails."""
    script = [call(1), fail(1), *(call(n) for n in range(2, 9)), advance(3.0), succeed(4), call(*range(20, 40))]

    def fails(candidate: Any) -> bool:
        kinds = [step.kind for step in candidate]
        return "advance" in kinds and kinds[-1] == "call" and len(candidate[-1].calls) >= 2

    smallest = shrink(script, fails)
    assert [(step.kind, len(step.calls)) for step in smallest] == [("advance", 0), ("call", 2)]


def test_few_points_are_explored_wholly() -> None:
    """Every choice of at most two points, where there are few enough."""
    assert len(list(choices(5, 2, 100))) == 5 + 10
    assert len(list(choices(1000, 2, 100))) == 100 + 25


def test_the_matrix_is_markdown(generated: Report) -> None:
    """The table of libraries has a column for each property, and both modes in each cell."""
    head, rule, row = view.matrix([("generated code", generated)]).splitlines()
    assert head.count("|") == rule.count("|") == row.count("|") == 14
    assert row.count("✓✓") == 12
