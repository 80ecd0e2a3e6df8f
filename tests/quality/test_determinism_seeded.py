"""Nodes that leak something of their surroundings into their answer, each by another way, and nodes that do not.

For every leak C-DETERMINISM names the factor, the file and the line, and gives a command that shows it (C-DETERMINISM).
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from certify.evidence.verdict import CheckResult, Failed, Passed
from certify_spec.diagnostics import Diagnostic, Place, Severity, render
from determinism_support import Bench, Case, cases, opened, write_shared

LEAKING, STEADY = cases("leaking"), cases("steady")
ALL = os.environ.get("CERTIFY_SEEDS") == "all"
#: Cases that are judged with `CERTIFY_SEEDS=all`: another one leaks in the same place.
SELDOM = {"clock-in-a-request", "set-in-a-request"}
#: Of the ways to leak a factor, so many are judged, spread over all of them; every one with `CERTIFY_SEEDS=all`.
MOST_OF_A_FACTOR = 2
#: How often the steady nodes are judged: 20 is what is asked of a release.
REPETITIONS = int(os.environ.get("CERTIFY_REPETITIONS", "1"))


def chosen() -> dict[str, Case]:
    """The leaking cases that are judged: some of each factor, or all."""
    if ALL:
        return LEAKING
    kinds: dict[frozenset[frozenset[str]], list[str]] = {}
    for name, case in LEAKING.items():
        kinds.setdefault(case.expect, []).append(name)
    some = [name for names in kinds.values() for name in names[:: -(-len(names) // MOST_OF_A_FACTOR)]]
    return {name: LEAKING[name] for name in some if name not in SELDOM}


SHARED = {name: case for name, case in chosen().items() if not case.alone}
ALONE = {name: case for name, case in LEAKING.items() if case.alone and (ALL or name not in SELDOM)}


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """One node with all cases that need no manifest of their own."""
    with opened(write_shared(tmp_path_factory.mktemp("leaking"), SHARED)) as bench:
        yield bench


@pytest.fixture(scope="module")
def steady(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """One node with all steady cases."""
    with opened(write_shared(tmp_path_factory.mktemp("steady"), STEADY)) as bench:
        yield bench


def errors(result: CheckResult) -> list[Diagnostic]:
    """The findings that refuse."""
    return [finding for finding in result.findings if finding.severity is Severity.ERROR]


def assert_named(case: Case, result: CheckResult, main: str) -> None:
    """The leak's factors, and nothing else, at the leak's line."""
    found = errors(result)
    places = {Place(main if place.file == "node.py" else place.file, place.line) for place in case.leaks}
    assert isinstance(result.verdict, Failed)
    codes = {finding.code for finding in found}
    assert all(codes & either for either in case.expect), [render(finding) for finding in found]
    assert codes <= frozenset().union(*case.expect), [render(finding) for finding in found]
    assert {Place(f.place.file, f.place.line) for f in found if f.place} <= places, [render(f) for f in found]


@pytest.mark.parametrize("name", SHARED)
def test_a_leak_is_named_with_its_factor_and_line(shared: Bench, name: str) -> None:
    """C-DETERMINISM: what leaked, and where; and the command beside it shows the leak."""
    case = SHARED[name]
    result = shared.judge(case)
    assert_named(case, result, f"{case.module}.py")
    value = json.loads(case.settings.get("input", "1"))
    inputs = {"one": json.dumps({"case": case.module, "value": value}).encode()}
    assert all(shared.shows(finding, inputs) for finding in errors(result))


@pytest.mark.parametrize("name", ALONE)
def test_a_leak_beyond_the_answer_is_named(tmp_path: Path, name: str) -> None:
    """C-DETERMINISM: a leak into a request, a header or the second fixture is one, too."""
    case = ALONE[name]
    with opened(case.write(tmp_path)) as bench:
        result = bench.judge_inputs(bench.folder.inputs)
        assert_named(case, result, "node.py")
        assert all(bench.shows(finding, bench.folder.inputs) for finding in errors(result))


def test_steady_nodes_pass_again_and_again(steady: Bench) -> None:
    """C-DETERMINISM: no false alarm, however often it is looked for."""
    inputs = {
        name: json.dumps({"case": case.module, "value": json.loads(case.settings.get("input", "1"))}).encode()
        for name, case in STEADY.items()
    }
    for _ in range(REPETITIONS):
        result = steady.judge_inputs(inputs)
        assert (result.verdict, [render(finding) for finding in result.findings]) == (Passed(), [])


def test_there_are_enough_cases() -> None:
    """At least eighty ways to leak, and twenty ways not to."""
    assert (len(LEAKING) >= 80, len(STEADY) >= 20) == (True, True)
