"""The laboratory: what a node can see, what is recorded, and what is denied (C-SANDBOX)."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from certify.laboratory import archive
from certify.laboratory.laboratory import Laboratory, Limits, sweep
from certify.laboratory.record import (
    Crashed,
    Delivery,
    Environment,
    EventKind,
    Exceeded,
    Interrupt,
    Observe,
    Plan,
    Raised,
    Returned,
    RunRecord,
    Unencodable,
)
from certify.laboratory.sandbox import Sandbox
from certify.subject import read_subject
from certify_spec.diagnostics import RequestError
from lab_support import opened, write_node

MANY = """
    import os, random, socket, sqlite3, subprocess, threading, time
    from dataclasses import dataclass


    @dataclass
    class Order:
        what: str


    def node(order: Order) -> dict[str, str | int | float | list[bool] | None]:
        return {"got": DO[order.what]()}


    def fork():
        if os.fork() == 0:
            os._exit(0)


    def spin():
        while True:
            pass


    def sleep():
        time.sleep(60)


    def thread():
        done = []
        worker = threading.Thread(target=lambda: (time.sleep(0.05), done.append(1)))
        worker.start()
        worker.join(5)
        return len(done)


    def raw():
        import ctypes

        libc = ctypes.CDLL(None)
        handle = libc.socket(2, 1, 0)
        return libc.connect(handle, b"\\x02\\x00\\x00\\x35\\x08\\x08\\x08\\x08" + bytes(8), 16)


    def database():
        with sqlite3.connect("rows.db") as db:
            db.execute("CREATE TABLE t (a, b)")
            db.execute("INSERT INTO t VALUES (2, 'y'), (1, 'x')")


    def count():
        with open("count", "a") as file:
            file.write("+")
        return os.path.getsize("count")


    DO = {
        "nothing": lambda: None,
        "clock": time.time,
        "entropy": lambda: os.urandom(8).hex(),
        "random": random.random,
        "host": lambda: [os.path.exists(path) for path in ("/home", "/var", "/etc/shadow", "/etc/ssh", "/opt", "/srv")],
        "environment": lambda: ",".join(sorted(k for k in os.environ if "CERTIFY" in k or "KEY" in k)),
        "write": lambda: open("out.txt", "w").write("x"),
        "escape": lambda: open("/node/out.txt", "w").write("x"),
        "etc": lambda: open("/etc/hosts", "a").write("x"),
        "fork": fork,
        "spawn": lambda: subprocess.run(["/bin/true"]).returncode,
        "shell": lambda: os.system("true"),
        "spin": spin,
        "sleep": sleep,
        "memory": lambda: len(bytearray(10**11)),
        "connect": lambda: socket.create_connection(("8.8.8.8", 53), 1),
        "resolve": lambda: socket.gethostbyname("example.com"),
        "raw": raw,
        "kill": lambda: os.kill(-1, 9),
        "kill parent": lambda: os.kill(os.getppid(), 9),
        "exit": lambda: os._exit(7),
        "system exit": lambda: exit(3),
        "thread": thread,
        "nan": lambda: float("nan"),
        "database": database,
        "count": count,
        "fill": lambda: open("big", "wb").write(bytes(10**8)),
        "stderr": lambda: print("spoken"),
        "time limit of a thread": lambda: threading.Thread(target=sleep).start(),
    }
"""


@pytest.fixture(scope="module")
def laboratory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Laboratory]:
    """A laboratory on a node that does what its input says."""
    manifest = write_node(tmp_path_factory.mktemp("many"), MANY, {"what": "nothing"})
    limits = Limits(wall=6.0, cpu=1.0, memory=2**30, file=2**24)
    with opened(manifest, limits=limits) as (_folder, lab):
        yield lab


def run(laboratory: Laboratory, *what: str, observe: Observe = Observe.CALLS, **environment: object) -> RunRecord:
    """One run with a delivery for each thing to do."""
    deliveries = tuple(Delivery(b'{"what": "%s"}' % name.encode()) for name in what)
    return laboratory.run(Plan(deliveries, replace(Environment(), **environment), observe=observe))


def got(record: RunRecord, delivery: int = 0) -> object:
    """What the node returned."""
    import json

    outcome = record.outcomes[delivery]
    assert isinstance(outcome, Returned), outcome
    return json.loads(outcome.json)["got"]


def limits_broken(record: RunRecord) -> set[str]:
    """The limits whose violations were recorded."""
    return {str(event.detail["limit"]) for event in record.events if event.kind is EventKind.VIOLATION}


def test_the_wall_clock_is_pinned_and_can_be_set(laboratory: Laboratory) -> None:
    """C-SANDBOX: `time.time()` gives the environment's clock, frozen."""
    assert got(run(laboratory, "clock")) == 1_767_225_600.0
    assert got(run(laboratory, "clock", clock=1_900_000_000)) == 1_900_000_000.0


def test_entropy_is_pinned_by_its_seed_and_differs_between_deliveries(laboratory: Laboratory) -> None:
    """C-DETERMINISM: os.urandom is a function of the seed and the delivery."""
    record = run(laboratory, "entropy", "entropy", "random")
    again = run(laboratory, "entropy", "entropy", "random")
    assert [got(record, i) for i in range(3)] == [got(again, i) for i in range(3)]
    assert got(record, 0) != got(record, 1)
    assert got(run(laboratory, "entropy", random_seed=1)) != got(record, 0)


def test_the_host_is_out_of_sight(laboratory: Laboratory) -> None:
    """C-SANDBOX: no home folder, no key, no variable of the caller is there."""
    record = run(laboratory, "host", "environment")
    assert got(record, 0) == [False] * 6
    assert not got(record, 1)


@pytest.mark.parametrize(
    ("what", "limit", "error"),
    [
        ("escape", "file system", "OSError"),
        ("etc", "file system", "OSError"),
        ("fork", "process", "PermissionError"),
        ("spawn", "process", "PermissionError"),
        ("connect", "network", "OSError"),
        ("kill", "signal", "PermissionError"),
        ("kill parent", "signal", "PermissionError"),
    ],
)
def test_what_is_forbidden_is_denied_and_recorded(laboratory: Laboratory, what: str, limit: str, error: str) -> None:
    """C-SANDBOX: each kind of escape is denied, and is evidence."""
    record = run(laboratory, what)
    outcome = record.outcomes[0]
    assert isinstance(outcome, Raised)
    assert error in outcome.bases
    assert limits_broken(record) == {limit}


def test_a_connection_past_python_is_seen_by_the_kernel(laboratory: Laboratory) -> None:
    """C-EFFECTS: connect through ctypes raises no audit event, and is recorded with its address all the same."""
    record = run(laboratory, "raw")
    assert {e.target for e in record.events if e.kind is EventKind.CONNECT} == {"8.8.8.8:53"}
    assert limits_broken(record) == {"network"}


def test_a_shell_is_denied(laboratory: Laboratory) -> None:
    """C-SANDBOX: os.system starts nothing."""
    record = run(laboratory, "shell")
    assert got(record) != 0
    assert "process" in limits_broken(record)


@pytest.mark.parametrize(
    ("what", "outcome"),
    [
        ("spin", Exceeded("cpu")),
        ("sleep", Exceeded("wall")),
        ("memory", Exceeded("memory")),
        ("time limit of a thread", Exceeded("wall")),
        ("exit", Crashed(planned=False, status=7)),
    ],
)
def test_what_does_not_end_is_ended(laboratory: Laboratory, what: str, outcome: object) -> None:
    """C-SANDBOX: every limit ends the run with an outcome of its own."""
    assert run(laboratory, what).outcomes == (outcome,)


def test_a_run_after_a_hang_is_as_good_as_any(laboratory: Laboratory) -> None:
    """C-SANDBOX: nothing of an ended run is left for the next."""
    run(laboratory, "write", "sleep")
    record = run(laboratory, "count")
    assert got(record) == 1
    assert set(record.world.files) == {"count"}


def test_threads_wait_as_they_do_outside(laboratory: Laboratory) -> None:
    """C-SANDBOX: timed waits work under the pinned clock."""
    assert got(run(laboratory, "thread")) == 1


def test_system_exit_is_an_outcome(laboratory: Laboratory) -> None:
    """A node that raises SystemExit raised it."""
    outcome = run(laboratory, "system exit").outcomes[0]
    assert isinstance(outcome, Raised)
    assert outcome.type == "SystemExit"


def test_a_value_without_canonical_form_is_told(laboratory: Laboratory) -> None:
    """NaN is refused, not guessed."""
    assert isinstance(run(laboratory, "nan").outcomes[0], Unencodable)


def test_the_world_is_described_by_content(laboratory: Laboratory) -> None:
    """C-IDEM: rows are sorted, so equal databases are equal worlds."""
    record = run(laboratory, "database")
    assert record.world.databases == {"rows.db": {"t": ("(1, 'x')", "(2, 'y')")}}


def test_a_world_outlives_its_deliveries_and_no_longer(laboratory: Laboratory) -> None:
    """C-IDEM: deliveries of one plan share a world; plans do not."""
    record = run(laboratory, "count", "count")
    assert (got(record, 0), got(record, 1)) == (1, 2)
    assert got(run(laboratory, "count")) == 1


def test_a_file_has_a_largest_size(laboratory: Laboratory) -> None:
    """C-SANDBOX: writing without end fails inside the sandbox."""
    assert isinstance(run(laboratory, "fill").outcomes[0], Raised | Crashed)


def test_what_a_node_prints_is_kept_for_people(laboratory: Laboratory) -> None:
    """Standard output is captured and never mixes with the report."""
    assert run(laboratory, "stderr").stderr == "spoken"


def test_a_planned_crash_happens_before_each_effectful_call(laboratory: Laboratory) -> None:
    """C-IDEM: crash points are exhaustive, and a crash at k leaves what the first k calls did."""
    calls = run(laboratory, "count").effectful_calls[0]
    assert calls >= 2
    sizes = []
    for position in range(calls):
        plan = Plan((Delivery(b'{"what": "count"}', Interrupt(position, "crash")), Delivery(b'{"what": "count"}')))
        record = laboratory.run(plan)
        assert record.outcomes[0] == Crashed(planned=True, signal=9)
        sizes.append(got(record, 1))
    assert sizes == sorted(sizes)
    assert sizes[0] == 1


NAMES = """
[[resource]]
name = "names"
kind = "db"
mode = "write"
path = "names.db"

[idempotency]
flow = "names"
key = ["$"]
"""


def test_a_preempted_delivery_lets_the_next_one_pass(laboratory: Laboratory) -> None:
    """C-IDEM: both deliveries answer, whichever finished first."""
    plan = Plan((Delivery(b'{"what": "count"}', Interrupt(1, "preempt")), Delivery(b'{"what": "count"}')))
    record = laboratory.run(plan)
    assert sorted(got(record, i) for i in (0, 1)) == [1, 2]  # type: ignore[type-var]  # both are integers


def test_a_delivery_that_waits_for_a_held_one_lets_it_finish_first(tmp_path: Path) -> None:
    """C-IDEM: which of the two goes on first, when the lock is free, is not left to how busy the machine is."""
    code = """
        import sqlite3


        def node(name: str) -> list[str]:
            with sqlite3.connect("names.db", isolation_level=None) as database:
                database.execute("BEGIN IMMEDIATE")
                database.execute("CREATE TABLE IF NOT EXISTS names (name TEXT)")
                database.execute("INSERT INTO names VALUES (?)", (name,))
                names = [row[0] for row in database.execute("SELECT name FROM names ORDER BY rowid")]
                database.execute("COMMIT")
            return names
    """
    with opened(write_node(tmp_path, code, "x", effects="effectful", node="", rest=NAMES)) as (_folder, lab):
        clean = lab.run(Plan((Delivery(b'"first"'),)))
        held = Interrupt(clean.effectful_calls[0] - 1, "preempt")
        outcomes = lab.run(Plan((Delivery(b'"first"', held), Delivery(b'"second"')))).outcomes
    assert [outcome.json for outcome in outcomes if isinstance(outcome, Returned)] == [
        b'["first"]',
        b'["first", "second"]',
    ]


def test_a_run_is_given_again_byte_for_byte(laboratory: Laboratory) -> None:
    """C-DETERMINISM: the stored record's plan gives its observable part again."""
    record = run(laboratory, "entropy", "database", "clock")
    data = archive.to_bytes(record)
    again = laboratory.run(archive.plan_of(data))
    assert archive.plan_of(data) == record.plan
    assert archive.observable_bytes(again) == archive.observable_of(data)


def test_events_name_the_nodes_own_line(laboratory: Laboratory) -> None:
    """C-EFFECTS: reading the clock is recorded with file and line."""
    event = next(e for e in run(laboratory, "clock").events if e.kind is EventKind.CLOCK)
    assert event.target == "time.time"
    assert event.place is not None
    assert event.place.file == "node.py"


def test_nothing_is_left_running(tmp_path: Path) -> None:
    """C-SANDBOX: when the laboratory closes, its processes and files are gone."""
    manifest = write_node(tmp_path, MANY, {"what": "nothing"})
    before = _children()
    with opened(manifest) as (_folder, lab):
        run(lab, "nothing")
        children = _children() - before
        assert children
    assert _children() & children == set()


def _children() -> set[int]:
    """Process ids of this process's children."""
    return {int(pid) for task in Path("/proc/self/task").iterdir() for pid in (task / "children").read_text().split()}


def test_what_a_killed_laboratory_left_is_removed(tmp_path: Path) -> None:
    """The files of a laboratory whose process was killed are removed by the next; those of one at work are not."""
    left, used, other = (tmp_path / name for name in ("certify-left", "certify-used", "other"))
    for folder in (left, used, other):
        (folder / "lab").mkdir(parents=True)
        (folder / "in-use").touch()
    with (used / "in-use").open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        sweep(tmp_path)
    assert (left.exists(), used.exists(), other.exists()) == (False, True, True)


def test_the_node_is_run_from_a_copy_of_what_was_read(tmp_path: Path) -> None:
    """C-SANDBOX: what is not in the subject's digest does not exist in the laboratory."""
    code = """
        import os


        def node(name: str) -> list[str]:
            return sorted(os.listdir("/node"))
    """
    manifest = write_node(
        tmp_path, code, "x", files={"secret.txt": "s", "data/rates.json": "{}"}, node='files = ["data/rates.json"]'
    )
    with opened(manifest) as (_folder, lab):
        outcome = lab.run(Plan((Delivery(b'"x"'),))).outcomes[0]
    assert isinstance(outcome, Returned)
    assert outcome.json == b'["data", "node.py", "node.toml", "one.json"]'


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("def node(x: int) -> int:\n    return x", ""),
        ("import nowhere_to_be_found\ndef node(x: int) -> int:\n    return x", "No module named"),
        ("def nodes(x: int) -> int:\n    return x", "did you mean `nodes`"),
        ("node = 3", "is not a function"),
        ("def node(x) -> int:\n    return x", "does not say the type of x"),
        ("def node(x: int):\n    return x", "does not say what it returns"),
        ("def node() -> int:\n    return 1", "takes no input"),
        ("def node(*x: int) -> int:\n    return 1", "give every parameter a name"),
        ("def node(x: int) -> int:\n    yield x", "is a generator"),
        ("def node(x: Nowhere) -> int:\n    return 1", "Nowhere"),
        ("def node(x: int) -> int:\n    return 1\nraise ValueError('at import')", "at import"),
        ("import os\nos._exit(3)", "exit status 3"),
        ("def node(x: int -> int:\n", "SyntaxError"),
    ],
)
def test_an_entry_point_that_cannot_be_used_is_told(tmp_path: Path, code: str, says: str) -> None:
    """Bad input: every way in which an entry point can be unusable is a request error that says which."""
    manifest = write_node(tmp_path, code, 1)
    with opened(manifest) as (_folder, lab):
        if not says:
            assert lab.signature().parameters == ("x",)
            return
        with pytest.raises(RequestError) as caught:
            lab.signature()
    assert says in str(caught.value)


ENTRIES = {
    "a partial": """
        import functools
        def greet(word: str, name: int) -> str:
            return f"{word}{name}"
        node = functools.partial(greet, word="n")
    """,
    "an object": """
        class Greeter:
            def __call__(self, name: int) -> str:
                return f"n{name}"
        node = Greeter()
    """,
    "a bound method": """
        class Greeter:
            def greet(self, name: int) -> str:
                return f"n{name}"
        node = Greeter().greet
    """,
    "a function of a standard typed dictionary": """
        from typing import TypedDict
        class Greeting(TypedDict):
            text: str
        def node(name: int) -> Greeting: return {"text": f"n{name}"}
    """,
}


@pytest.mark.parametrize("what", ENTRIES)
def test_an_entry_point_may_be_anything_that_is_called(tmp_path: Path, what: str) -> None:
    """A partial, an object, a bound method and a function of a standard TypedDict are run like any function."""
    code = ENTRIES[what]
    line = next(number for number, text in enumerate(code.splitlines(), 1) if "name: int" in text)
    with opened(write_node(tmp_path, code, 1)) as (_folder, laboratory):
        signature = laboratory.signature()
        (outcome,) = laboratory.run(Plan((Delivery(b"1"),))).outcomes
    assert (signature.parameters, signature.line) == (("name",), line)
    assert isinstance(outcome, Returned)
    assert outcome.json in {b'"n1"', b'{"text": "n1"}'}


def test_pydantic_models_are_no_effect(tmp_path: Path) -> None:
    """C-EFFECTS: what pydantic looks up once for everybody is not taken for the node's own reading of folders."""
    code = """
        from pydantic import BaseModel

        class Model(BaseModel):
            a: int

        def node(model: Model) -> int:
            return model.a
    """
    with opened(write_node(tmp_path, code, {"a": 1})) as (_folder, laboratory):
        events = laboratory.run(Plan((Delivery(b'{"a": 1}'),))).events
    assert [event for event in events if event.kind in {EventKind.LISTING, EventKind.READ}] == []


def test_plans_of_unusual_surroundings_share_a_sandbox(tmp_path: Path) -> None:
    """A few plans in a row that need the same other sandbox are one worker's, and records keep the plans' order."""
    plans = [
        Plan((Delivery(str(number).encode()),), Environment(hash_seed=seed))
        for seed in (0, 1, 2)
        for number in range(3)
    ]
    started: list[int] = []

    class Counting(Laboratory):
        def _greet(self, sandbox: Sandbox) -> None:
            started.append(sandbox.environment.hash_seed)
            super()._greet(sandbox)

    subject = read_subject(write_node(tmp_path, "def node(a: int) -> int:\n    return a", 1)).subject
    with Counting(subject, jobs=2) as laboratory:
        records = list(laboratory.run_all(plans))
    assert [record.plan for record in records] == plans
    assert (started.count(1), started.count(2)) == (1, 1)


def test_importing_may_not_take_for_ever(tmp_path: Path) -> None:
    """Bad input: a module that hangs at import is told, within the limit."""
    manifest = write_node(tmp_path, "import time\ntime.sleep(100)", 1)
    with opened(manifest, limits=Limits(wall=1.0)) as (_folder, lab), pytest.raises(RequestError, match="NODE003"):
        lab.signature()


def test_the_environment_pins_what_it_says(tmp_path: Path) -> None:
    """C-DETERMINISM: each factor of the environment reaches the node."""
    code = """
        import os, socket, time


        def node(x: int) -> dict[str, str]:
            return {
                "hash": str(hash("x")),
                "zone": time.strftime("%Z", time.localtime(0)),
                "locale": os.environ["LC_ALL"],
                "host": socket.gethostname(),
                "folder": os.getcwd(),
                "variable": os.environ.get("MARK", ""),
                "processors": str(sorted(os.sched_getaffinity(0))),
            }
    """
    manifest = write_node(tmp_path, code, 1)
    other = Environment(
        hash_seed=5, timezone="Asia/Tokyo", locale="C", hostname="box", cwd="there", env=(("MARK", "1"),), cpu_count=2
    )
    with opened(manifest) as (_folder, lab):
        records = list(lab.run_all([Plan((Delivery(b"1"),)), Plan((Delivery(b"1"),), other)]))
    import json

    first, second = (json.loads(r.outcomes[0].json) for r in records if isinstance(r.outcomes[0], Returned))
    assert (second["zone"], second["locale"], second["host"], second["folder"], second["variable"]) == (
        "JST", "C", "box", "/world/there", "1",
    )  # fmt: skip
    assert first["zone"] == "UTC"
    assert first["hash"] != second["hash"]
    assert (first["processors"], second["processors"]) == ("[0]", "[0, 1]")


def test_a_node_with_stale_files_is_told(tmp_path: Path) -> None:
    """A file that changed between reading and running ends the certification."""
    from certify.laboratory.reading import LaboratoryError

    manifest = write_node(tmp_path, "def node(x: int) -> int:\n    return x", 1)
    with opened(manifest) as (folder, lab):
        (tmp_path / "node.py").write_text("def node(x: int) -> int:\n    return x + 1")
        with pytest.raises(LaboratoryError, match="has changed"):
            lab.signature()
    assert (
        hashlib.sha256(folder.content["node.py"]).digest()
        != hashlib.sha256((tmp_path / "node.py").read_bytes()).digest()
    )


def test_a_remembered_plan_is_run_once(tmp_path: Path) -> None:
    """Work is not done twice: an equal plan that may be remembered gives the very same record; others are run."""
    manifest = write_node(tmp_path, "def node(x: int) -> int:\n    return x", 1)
    plan, other = Plan((Delivery(b"1"),), observe=Observe.CALLS), Plan((Delivery(b"2"),), observe=Observe.CALLS)
    with opened(manifest) as (_folder, lab):
        lab.signature()
        before = lab.runs
        first, second, third = lab.remembered([plan, other, plan])
        assert (first is third, lab.runs - before) == (True, 2)
        assert next(lab.remembered([plan])) is first
        assert next(lab.run_all([plan])) is not first
        assert next(lab.remembered([Plan((Delivery(b"1"),))])) is not first
        assert (second.outcomes[0], lab.runs - before) == (Returned(b"\x02", b"2"), 4)


def test_runs_at_once_have_a_processor_each(tmp_path: Path) -> None:
    """R-AUTOTUNE, seeded: every run was bound to the first processor; two at once took as long as one by one.

    The kernel says where a run is; of so many, each processor has some.
    """
    code = """
        import re


        def node(x: int) -> list[int]:
            with open("/proc/self/status") as file:
                allowed = re.search("^Cpus_allowed_list:\\s*(.*)$", file.read(), re.MULTILINE).group(1)
            for _ in range(3_000_000):
                pass
            return [int(number) for number in allowed.split(",")]
    """
    usable = sorted(os.sched_getaffinity(0))
    manifest = write_node(tmp_path, code, 1)
    with opened(manifest, jobs=len(usable)) as (_folder, lab):
        outcomes = [record.outcomes[0] for record in lab.run_all([Plan((Delivery(b"1"),))] * 12 * len(usable))]
    bound = [json.loads(outcome.json) for outcome in outcomes if isinstance(outcome, Returned)]
    assert len(bound) == len(outcomes)
    assert all(len(numbers) == 1 for numbers in bound)
    assert {numbers[0] for numbers in bound} == set(usable)


def test_sandboxes_that_were_started_early_are_as_good_as_any(tmp_path: Path) -> None:
    """What was started before it was known what the node imports imports it before its first run, and is used."""
    code = "import colorsys\n\n\ndef node(x: int) -> bool:\n    return sum(range(3_000_000)) > x\n"
    manifest = write_node(tmp_path, code, 1)
    folder = read_subject(manifest)
    started: list[Sandbox] = []
    with Laboratory(folder.subject, jobs=2) as lab:
        lab.stock()
        lab._coming[0].result()
        assert [sandbox.ready.modules for sandbox in lab._idle] == [()]
        outcomes = {record.outcomes[0] for record in lab.run_all([Plan((Delivery(b"1"),))] * 9)}
        with lab._lock:
            started += [*lab._idle, *lab._busy]
    assert len(outcomes) == 1
    assert len(started) == 2
    assert all("colorsys" in sandbox.ready.modules for sandbox in started)


def test_the_methods_of_data_classes_are_compiled_once(tmp_path: Path) -> None:
    """What the first delivery had compiled is at hand for the others, which are none the wiser."""
    code = """
        from dataclasses import dataclass


        @dataclass(frozen=True)
        class Order:
            id: str
            count: int = 1


        def node(order: Order) -> str:
            return f"{order} {hash(order) == hash(Order(order.id))} {Order.__init__.__code__.co_filename}"
    """
    with opened(write_node(tmp_path, code, {"id": "a"})) as (_folder, lab):
        lab.signature()
        texts = lab._ready.texts
        outcomes = {lab.run(Plan((Delivery(b'{"id": "a"}'),))).outcomes[0] for _ in range(2)}
        assert {sandbox.ready.texts for sandbox in lab._idle} == {texts}
    (outcome,) = outcomes
    assert isinstance(outcome, Returned)
    assert outcome.json == b"\"Order(id='a', count=1) True <string>\""
    assert any("def __init__" in text for text in texts)


def test_usual_sandboxes_are_kept_for_the_next_run(tmp_path: Path) -> None:
    """Seeded: the sandbox that most runs use was given up for those of surroundings that come once."""
    manifest = write_node(tmp_path, "def node(x: int) -> int:\n    return x", 1)
    with opened(manifest, jobs=1) as (_folder, lab):
        usual = lab.run(Plan((Delivery(b"1"),)))
        for seed in range(1, 7):
            lab.run(Plan((Delivery(b"1"),), Environment(hash_seed=seed)))
        kept = [sandbox.environment.hash_seed for sandbox in lab._idle]
    assert isinstance(usual.outcomes[0], Returned)
    assert (0 in kept, len(kept)) == (True, 4)


def test_inputs_that_the_type_refuses_are_told_without_a_call(tmp_path: Path) -> None:
    """C-CONTRACT: one process reads them all; what one of them keeps it from reading is not called refused."""
    code = """
        import os
        from typing import Annotated

        from pydantic import AfterValidator


        def checked(text: str) -> str:
            if text == "end":
                os._exit(3)
            if text == "odd":
                raise RuntimeError("a validator's own mistake")
            return text


        def node(text: Annotated[str, AfterValidator(checked)]) -> str:
            raise SystemExit("it was called")
    """
    manifest = write_node(tmp_path, code, "x")
    with opened(manifest) as (_folder, lab):
        assert lab.refuses([b"1", b'"x"', b"{", b'"odd"', b"null"]) == [True, False, True, True, True]
        assert lab.refuses([b"1", b'"end"', b"2"]) == [True, False, False]
        assert lab.refuses([]) == []


def test_processes_and_addresses_are_pinned(tmp_path: Path) -> None:
    """C-DETERMINISM: process id and addresses are the same whenever a sandbox is used again."""
    code = """
        import os


        class Box:
            pass


        def node(x: int) -> list[int]:
            boxes = {Box(), Box(), Box()}
            return [os.getpid(), id(Box()), id([x]), id(bytes(5000)), *map(id, boxes)]
    """
    manifest = write_node(tmp_path, code, 1)
    with opened(manifest) as (_folder, lab):
        answers = {lab.run(Plan((Delivery(b"1"),))).outcomes[0] for _ in range(8)}
    assert len(answers) == 1


def test_the_line_at_which_a_process_was_ended_is_known(laboratory: Laboratory) -> None:
    """C-SANDBOX: a limit, a fault and an exit have a place in the node."""
    places = [run(laboratory, what).usage[0].at for what in ("sleep", "spin", "exit", "memory")]
    assert all(place is not None and place.file == "node.py" and place.line for place in places)


def test_an_interpreter_below_the_scratch_folder_stays_visible(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """C-SANDBOX: a project below /tmp works: its interpreter lies over the scratch folder, and survives each world."""
    from certify.laboratory import sandbox

    installed = tmp_path / "installed"
    installed.mkdir()
    (installed / "mark").write_text("here")
    binds = [*sandbox._python_binds(), "--ro-bind", str(installed), "/tmp/below/installed"]
    monkeypatch.setattr(sandbox, "_python_binds", lambda: binds)
    code = """
        import os


        def node(x: int) -> list[bool]:
            left = os.path.exists("/tmp/left")
            open("/tmp/left", "w").close()
            return [left, os.path.exists("/tmp/below/installed/mark")]
    """
    manifest = write_node(tmp_path / "node", code, 1)
    with opened(manifest) as (_folder, lab):
        outcomes = {lab.run(Plan((Delivery(b"1"),))).outcomes[0] for _ in range(2)}
    (outcome,) = outcomes
    assert isinstance(outcome, Returned)
    assert outcome.json == b"[false, true]"
