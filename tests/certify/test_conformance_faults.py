"""The fault campaign: the generated code keeps every invariant, and code that does not is found out."""

from __future__ import annotations

from pathlib import Path

import pytest

from certify.cli.app import run
from certify.conformance.catalogue import FAULTS
from certify.conformance.faults import ENDINGS, JOURNEYS
from certify.conformance.faults import FAULTS as KINDS
from certify.conformance.judging import Scripted
from certify.conformance.running import examine
from certify.conformance.verdicts import MODES, Satisfied, Violated, word
from conformance_support import BENCH, reference


def test_there_are_at_least_a_hundred_scenarios() -> None:
    """Faults of every kind strike journeys through every pattern; all scenarios have names of their own."""
    names = [scenario.name for scenario in FAULTS]
    assert len(set(names)) == len(names) >= 100
    assert [name for journey in JOURNEYS for name in KINDS if f"{journey.name}: {name}" in names]
    struck = {kind for kind in KINDS if any(name.endswith(f": {kind}") for name in names)}
    assert struck == set(KINDS)
    assert sum(len(scenario.scripts) for scenario in FAULTS if isinstance(scenario, Scripted)) > 1_500
    assert len(ENDINGS) == 6


def test_the_generated_code_violates_nothing() -> None:
    """P1 to P12: no fault breaks an invariant; here at every sixth place, at every one in the benchmark."""
    report = examine(BENCH / "peers" / "generated.py", catalogue="faults", every=6, limit=120.0)
    wrong = [result for result in report.results if word(result.verdict) in {"violated", "undecided"}]
    assert wrong == []
    held = {result.scenario for result in report.results if isinstance(result.verdict, Satisfied)}
    assert held == {scenario.name for scenario in FAULTS}
    assert {result.mode for result in report.results} == set(MODES)


@pytest.mark.parametrize(
    ("old", "new", "number", "scenario"),
    [
        (
            '                self._probes -= self.mode == "half-open"\n',
            "",
            "P4",
            ": a caller gives up",
        ),
        (
            "                self.leave()  # the permit came in the same moment\n",
            "                pass\n",
            "P4",
            "bulkhead: cancelled at every step of the loop",
        ),
        ("first = self.queue.popleft()", "first = self.queue.pop()", "P5", "forty random steps, two permits"),
    ],
)
def test_what_breaks_an_invariant_is_found(old: str, new: str, number: str, scenario: str, tmp_path: Path) -> None:
    """A leak or a wrong order shows in the campaign, in the scenario that is about it."""
    adapter = reference(tmp_path, mode="async", changes=[(old, new)])
    report = examine(adapter, catalogue="faults", only=[number], every=3)
    found = {result.scenario for result in report.results if isinstance(result.verdict, Violated)}
    assert any(name.endswith(scenario) for name in found), found


@pytest.mark.parametrize(
    ("held", "said"),
    [("contextlib.nullcontext()", "is loading"), ("threading.Lock()", "s old")],
    ids=["loads twice at a time", "keeps for ever"],
)
def test_a_wrong_cache_is_found(held: str, said: str, tmp_path: Path) -> None:
    """P4: a cache that does not wait for a load under way is found, and one whose answers never grow old."""
    adapter = tmp_path / "adapter.py"
    adapter.write_text(
        f"""
import contextlib
import functools
import threading

modes = "sync"


def cache(p):
    p.seconds
    answers, held = {{}}, {held}

    def decorate(f):
        @functools.wraps(f)
        def call(*arguments):
            with held:
                if arguments not in answers:
                    answers[arguments] = f(*arguments)
                return answers[arguments]

        return call

    return decorate
""",
        encoding="utf-8",
    )
    report = examine(adapter, catalogue="faults", only=["P4"], every=3)
    wrong = [r.verdict for r in report.results if isinstance(r.verdict, Violated)]
    assert any(said in verdict.sentence for verdict in wrong), [verdict.sentence for verdict in wrong]


def test_the_campaign_is_a_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`certify conformance --faults` runs it against any adapter."""
    adapter = tmp_path / "adapter.py"
    adapter.write_text('modes = "async"\n\ndef timeout(p):\n    p.seconds\n    return lambda f: f\n', encoding="utf-8")
    assert run(["conformance", str(adapter), "--faults", "--only", "P3"]) == 1
    assert "takes more than 5 s" in capsys.readouterr().out
