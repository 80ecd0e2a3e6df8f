"""C-DETERMINISM: what is judged under which claim, and what is never passed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from certify.checks import determinism
from certify.checks.determinism import PERTURBATIONS, SCREENED, changes, close, replay_command, same, screens
from certify.checks.workbench import Laboratory, Workbench
from certify.cli.app import run
from certify.cli.replaying import changed
from certify.cli.status import Status
from certify.evidence.verdict import CheckResult, Failed, Passed, Unknown
from certify.laboratory.laboratory import Limits
from certify.laboratory.record import Crashed, Environment, Exceeded, Exchange, Plan, Returned, RunRecord, World
from certify.manifest.model import Determinism, Factor
from certify.subject import Signature
from certify_spec.diagnostics import Place, Severity, render
from determinism_support import Bench, opened
from lab_support import opened as plainly
from lab_support import write_node

LEAKS = """
    import itertools
    import random
    import tempfile
    import threading
    import time
    import uuid

    CALLS = itertools.count()

    WORDS = {"ant", "bee", "cat", "dog", "elk", "fox", "gnu", "hen"}


    def node(what: str) -> list[str | float]:
        if what == "clock":
            return [time.time()]
        if what == "set":
            return list(WORDS)
        if what == "both":
            return [*WORDS, time.time()]
        if what == "sum":
            return [sum([len(word) * 0.1 + hash(word) % 7 * 1e-13 for word in WORDS])]
        if what == "counter":
            return [random.random(), next(CALLS)]
        if what == "chance":
            return [random.random(), uuid.uuid4().hex, random.Random().random()]
        if what == "name":
            return [next(tempfile._get_candidate_names())]
        if what == "timer":
            return [time.perf_counter()]
        if what == "waits":
            time.perf_counter()
        if what == "threads":
            threading.Thread(target=len, args=(what,)).start()
        return [what]
"""


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """A laboratory on a node that leaks what its input says."""
    with opened(write_node(tmp_path_factory.mktemp("leaks"), LEAKS, "nothing")) as bench:
        yield bench


def said(result: CheckResult) -> list[tuple[str, str]]:
    """Codes and severities of the findings."""
    return sorted((finding.code, finding.severity.value) for finding in result.findings)


def judge(bench: Bench, what: str, claim: Determinism, *pins: Factor, tolerance: float = 0.0) -> CheckResult:
    """What is said of one input under a claim."""
    inputs = {"one": b'"%s"' % what.encode()}
    return bench.judge_inputs(inputs, determinism=claim, pins=pins, tolerance=tolerance)


def test_a_strict_node_may_leak_nothing(bench: Bench) -> None:
    """C-DETERMINISM: under the strict claim every factor refuses."""
    result = judge(bench, "both", Determinism.STRICT)
    assert (type(result.verdict), said(result)) == (Failed, [("DET001", "error"), ("DET002", "error")])


def test_a_stable_node_may_leak_what_it_pins(bench: Bench) -> None:
    """C-DETERMINISM: a pinned factor is a note, any other an error."""
    pinned = judge(bench, "clock", Determinism.STABLE, Factor.CLOCK)
    assert (pinned.verdict, said(pinned)) == (Passed(), [("DET002", "note")])
    half = judge(bench, "both", Determinism.STABLE, Factor.CLOCK)
    assert (type(half.verdict), said(half)) == (Failed, [("DET001", "error"), ("DET002", "note")])


def test_a_pin_explains_nothing_but_itself(bench: Bench) -> None:
    """C-DETERMINISM: pinning memory addresses does not excuse a leak of the hash seed."""
    result = judge(bench, "set", Determinism.STABLE, Factor.ASLR)
    assert (type(result.verdict), said(result)) == (Failed, [("DET001", "error"), ("DET030", "note")])


def test_pinned_entropy_does_not_hide_what_is_kept_between_calls(bench: Bench) -> None:
    """C-DETERMINISM: a node that pins `random` and also counts its calls is refused for the counter, on one line."""
    result = judge(bench, "counter", Determinism.STABLE, Factor.RANDOM)
    assert (type(result.verdict), said(result)) == (Failed, [("DET003", "note"), ("DET014", "error")])


@pytest.mark.parametrize("what", ["chance", "name"])
def test_a_second_call_may_draw_what_is_pinned(bench: Bench, what: str) -> None:
    """C-DETERMINISM: drawing on pinned entropy is no state between calls, whichever generator is asked."""
    result = judge(bench, what, Determinism.STABLE, Factor.RANDOM)
    assert isinstance(result.verdict, Passed), [render(finding) for finding in result.findings]


@pytest.mark.parametrize(
    ("pins", "codes"),
    [(frozenset(), ["DET012"]), (frozenset({Factor.THREADS}), ["DET001", "DET005", "DET008"])],
)
def test_pinned_threads_do_not_explain_other_factors_away(pins: frozenset[Factor], codes: list[str]) -> None:
    """C-DETERMINISM: three factors on a line of a threaded node are one race, unless races are pinned."""
    at = Place("node.py", 7)
    record = RunRecord(Plan(()), (Returned(b"\x01", b"1"),), (), (), World(), (0,))
    causes = [
        determinism._Cause(
            determinism._Leak(factor, "one", environment, record, record),
            determinism._RULES[factor], None, (), at, draws=False, threaded=True,
        )
        for factor, environment in (
            (Factor.HASH_SEED, Environment(hash_seed=1)),
            (Factor.LOCALE, Environment(locale="C")),
            (Factor.CWD, Environment(cwd="a")),
        )
    ]  # fmt: skip
    assert sorted(cause.rule.code for cause in determinism._folded(causes, pins)) == codes


def test_an_over_declared_pin_is_noted(bench: Bench) -> None:
    """C-DETERMINISM: a pin without influence, and a claim weaker than what was seen, are notes."""
    result = judge(bench, "nothing", Determinism.STABLE, Factor.CLOCK, Factor.UPSTREAM)
    assert (result.verdict, said(result)) == (Passed(), [("DET030", "note"), ("DET031", "note")])


def test_a_tolerance_is_for_floats_alone(bench: Bench) -> None:
    """C-DETERMINISM: sums within the tolerance are equal; beyond it, and for text, they are not."""
    within = judge(bench, "sum", Determinism.STABLE, tolerance=1e-6)
    beyond = judge(bench, "sum", Determinism.STABLE, tolerance=1e-16)
    text = judge(bench, "set", Determinism.STABLE, tolerance=1e9)
    assert [type(result.verdict) for result in (within, beyond, text)] == [Passed, Failed, Failed]


def test_best_effort_is_recorded_and_not_judged(bench: Bench) -> None:
    """C-DETERMINISM: causes are printed, nothing is refused."""
    result = judge(bench, "both", Determinism.BEST_EFFORT)
    assert (result.verdict, said(result)) == (Passed(), [("DET001", "note"), ("DET002", "note")])


def test_what_nobody_can_pin_is_refused_under_every_claim_but_best_effort(bench: Bench) -> None:
    """C-DETERMINISM: a running clock in the answer is no factor that a pin could cover."""
    claims = [judge(bench, "timer", Determinism.STABLE, *Factor), judge(bench, "timer", Determinism.BEST_EFFORT)]
    assert [type(result.verdict) for result in claims] == [Failed, Passed]
    assert [said(result) for result in claims] == [[("DET020", "error")], [("DET020", "note")]]
    assert claims[0].measured["observed"] == "best_effort"


def test_what_was_measured_is_said(bench: Bench) -> None:
    """C-DETERMINISM: replays, factors and what was observed are part of the result."""
    measured = judge(bench, "clock", Determinism.STABLE, Factor.CLOCK).measured
    assert (measured["replays"], measured["leaks"], measured["observed"]) == (
        3 + len([factor for factor, _ in PERTURBATIONS if factor not in SCREENED - {Factor.CLOCK}]) + 4,
        ["clock"],
        "stable",
    )


class Spoiled:
    """A laboratory that changes the records on their way."""

    def __init__(self, laboratory: Laboratory, **changes: object) -> None:
        self._laboratory, self._changes = laboratory, changes

    def signature(self) -> Signature:
        """The node's own."""
        return self._laboratory.signature()

    def run(self, plan: Plan) -> RunRecord:
        """A changed record, of a run in changed surroundings."""
        record = self._laboratory.run(plan)
        return replace(record, **self._changes) if plan.environment.hash_seed == 2 else record

    def run_all(self, plans: Iterable[Plan]) -> Iterator[RunRecord]:
        """Changed records."""
        return map(self.run, plans)

    def run_in_turn(self, plans: Iterable[Plan]) -> list[RunRecord]:
        """Changed records."""
        return [*map(self.run, plans)]

    remembered = run_all


ELSEWHERE = (Returned(b"\x81\x01", b"[1]"),)


class Scattered(Spoiled):
    """A laboratory in which runs side by side take turns in two sandboxes; in the other one the node answers more."""

    def run_all(self, plans: Iterable[Plan]) -> Iterator[RunRecord]:
        """Every second record is of the other sandbox."""
        for number, plan in enumerate(plans):
            record = self._laboratory.run(plan)
            yield replace(record, outcomes=ELSEWHERE) if number % 2 else record


class Moved(Scattered):
    """A laboratory whose runs in turn come from the other sandbox, but for the first ones."""

    turns = 0

    def run_in_turn(self, plans: Iterable[Plan]) -> list[RunRecord]:
        """Records of one sandbox."""
        self.turns += 1
        records = map(self._laboratory.run, plans)
        return [replace(record, outcomes=ELSEWHERE) if self.turns > 1 else record for record in records]


@pytest.mark.parametrize(("what", "code"), [("nothing", "DET010"), ("waits", "DET020"), ("threads", "DET012")])
@pytest.mark.parametrize("sandboxes", [Scattered, Moved])
def test_what_differs_between_sandboxes_alone_is_their_layout(
    bench: Bench, sandboxes: type[Scattered], what: str, code: str
) -> None:
    """C-DETERMINISM: each sandbox repeats itself: an address, unless threads or a running clock may play a part."""
    inputs = {"one": b'"%s"' % what.encode()}
    result = determinism.check(Workbench(bench.folder.subject, sandboxes(bench.laboratory), inputs, {}))
    assert said(result) == [(code, "error")]


@pytest.mark.parametrize("sandboxes", [Scattered, Moved])
def test_a_pinned_layout_explains_nothing(bench: Bench, sandboxes: type[Scattered]) -> None:
    """C-DETERMINISM: two answers in pinned surroundings refuse a node that pins addresses, too."""
    node = bench.folder.subject.manifest.node
    claimed = node.model_copy(update={"determinism": Determinism.STABLE, "pins": (Factor.ASLR,)})
    manifest = bench.folder.subject.manifest.model_copy(update={"node": claimed})
    subject = replace(bench.folder.subject, manifest=manifest)
    result = determinism.check(Workbench(subject, sandboxes(bench.laboratory), {"one": b'"nothing"'}, {}))
    assert said(result) == [("DET020", "error")]


@pytest.mark.parametrize(
    ("changed", "verdict", "says"),
    [
        ({"incomplete": "7 records did not fit"}, Unknown, "7 records did not fit"),
        ({"outcomes": (Exceeded("wall"),)}, Unknown, "gave no answer to compare (exceeded)"),
        ({"outcomes": (Crashed(planned=False, signal=9),)}, Failed, "hash_seed 2"),
    ],
)
def test_what_gives_no_answer_is_never_passed(
    bench: Bench, changed: dict[str, object], verdict: type, says: str
) -> None:
    """C-DETERMINISM: an incomplete record and a limit are unknown; a crash that one factor brings is a leak."""
    spoiled = Workbench(bench.folder.subject, Spoiled(bench.laboratory, **changed), {"one": b'"nothing"'}, {})
    result = determinism.check(spoiled)
    told = getattr(result.verdict, "reason", "") + "".join(render(finding) for finding in result.findings)
    assert isinstance(result.verdict, verdict)
    assert says in told


def test_a_node_that_hangs_is_unknown(tmp_path: Path) -> None:
    """C-DETERMINISM: without an answer there is nothing to compare, and nothing is passed; the first run shows it."""
    code = "import time\n\n\ndef node(x: int) -> int:\n    time.sleep(60)\n    return x\n"
    with plainly(write_node(tmp_path, code, 1), limits=Limits(wall=0.2)) as (folder, laboratory):
        result = determinism.check(Workbench(folder.subject, laboratory, folder.inputs, {}))
    assert isinstance(result.verdict, Unknown)
    assert result.measured["replays"] == 1


def test_a_node_that_ends_on_one_fixture_is_replayed_on_the_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """C-DETERMINISM: seeded: the first fixture gives no answer, and the second one leaks all the same."""
    code = "import os, time\n\n\ndef node(x: int) -> float:\n    return time.time() if x else os._exit(3)\n"
    clocks = tuple(each for each in PERTURBATIONS if each[0] is Factor.CLOCK)
    monkeypatch.setattr(determinism, "PERTURBATIONS", clocks)
    with plainly(write_node(tmp_path, code, 1)) as (folder, laboratory):
        result = determinism.check(Workbench(folder.subject, laboratory, {"ends": b"0", "leaks": b"1"}, {}))
    assert said(result) == [("DET002", "error")]


@pytest.mark.parametrize(
    "pins", [frozenset(), frozenset({Factor.CLOCK}), SCREENED - {Factor.HOSTNAME, Factor.LOCALE}, SCREENED]
)
def test_the_screens_hold_every_perturbation_and_let_none_hide_another(pins: frozenset[Factor]) -> None:
    """C-DETERMINISM: what is changed together is what is changed alone, and no value of a factor is in all screens."""
    held = [changes(environment) for environment in screens(pins)]
    for factor, environment in PERTURBATIONS:
        (change,) = changes(environment).items()
        times = sum(change in screen.items() for screen in held)
        assert times == (factor in SCREENED - pins)
    assert all(held)
    assert len(held) > 1 or not SCREENED - pins


def test_what_a_screen_shows_is_looked_for_alone(bench: Bench) -> None:
    """C-DETERMINISM: a leak that a screen shows is named by its own factor, and costs the replays of all of them."""
    result = judge(bench, "set", Determinism.STRICT)
    assert said(result) == [("DET001", "error")]
    assert result.measured["replays"] == 3 + len(PERTURBATIONS) + len(screens())


@pytest.mark.parametrize(("factor", "environment"), PERTURBATIONS, ids=lambda value: str(value)[:24])
def test_a_perturbation_changes_its_own_factor_alone(factor: Factor, environment: Environment) -> None:
    """C-DETERMINISM: one factor at a time, so that a difference names its cause; and the replay command says it all."""
    names = {Factor.RANDOM: "random_seed", Factor.PID: "pid_offset"}
    assert list(changes(environment)) == [names.get(factor, str(factor))]
    words = replay_command("node.toml", "one", environment).split()
    assert changed([word for before, word in pairwise(words) if before == "--set"]) == environment


def test_every_factor_but_the_upstream_is_perturbed() -> None:
    """C-DETERMINISM: what can be pinned is also changed; upstreams answer as their simulators do."""
    assert {factor for factor, _environment in PERTURBATIONS} == set(Factor) - {Factor.UPSTREAM}


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        (1.0, 1.05, True), (1.0, 1.2, False), (1, 1.05, True), (1, 2, False), (1.0, True, False), ("a", "a", True),
        ([1.0, 2.0], [1.0], False), ({"a": 1.0}, {"a": 1.05}, True), ({"a": 1.0}, {"b": 1.0}, False),
        (None, None, True), (None, 0.0, False), ([], {}, False), (float("inf"), float("inf"), True),
    ],
)  # fmt: skip
def test_closeness_is_for_floats(first: object, second: object, expected: bool) -> None:
    """C-DETERMINISM: a tolerance of 0.1 forgives floats, never shapes, text or integers."""
    assert close(first, second, 0.1) is expected


def record(**parts: object) -> RunRecord:
    """A made-up run."""
    usual = RunRecord(Plan(()), (Returned(b"\x01", b"1"),), (), (), World(), (0,))
    return replace(usual, **parts)


def test_what_is_compared() -> None:
    """C-DETERMINISM: answers, requests in their order with headers and bodies, and the world that is left."""
    sent = Exchange("api", 0, "POST", "/a", (("x", "1"),), b"1", 200, b"", acted=True)
    different = [
        record(outcomes=(Returned(b"\x02", b"2"),)),
        record(exchanges=(sent,)),
        record(world=World(texts={"a": "b"}, files={"a": "0"})),
    ]
    assert [same(record(), other, 0.0) for other in different] == [False, False, False]
    assert same(record(), record(stderr="other", events=()), 0.0)
    other = replace(sent, headers=(("x", "2"),))
    assert not same(record(exchanges=(sent,)), record(exchanges=(other,)), 0.0)
    two = (sent, replace(sent, path="/b"))
    assert not same(record(exchanges=two), record(exchanges=two[::-1]), 0.0)


def test_the_printed_command_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """C-DETERMINISM: the replay command, as printed, shows the leak and exits 1."""
    monkeypatch.chdir(tmp_path)
    with opened(write_node(tmp_path, LEAKS, "set")) as bench:
        (finding,) = bench.judge_inputs(bench.folder.inputs).findings
    program, *words = finding.replay.split()
    assert (program, finding.severity, run(words)) == ("certify", Severity.ERROR, Status.REFUSED)
