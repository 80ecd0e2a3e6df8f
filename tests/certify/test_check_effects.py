"""C-EFFECTS as a whole: three sets compared, on hand-made records of runs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from textwrap import dedent

import pytest

from certify.checks import effects
from certify.checks.workbench import Workbench
from certify.evidence.verdict import CheckResult, Failed, Passed, Unknown
from certify.laboratory.record import Event, EventKind, Exchange, Observe, Plan, Returned, RunRecord, World
from certify.subject import Signature, read_subject
from certify_spec.diagnostics import Place, Severity, rules

HTTP = """
[[resource]]
name = "payments"
kind = "http"
mode = "write"
url = "https://api.example.com"
[resource.answers]
401 = { outcome = "value" }
429 = { outcome = "value" }
5xx = { outcome = "value" }
timeout = { outcome = "error" }
malformed = { outcome = "value" }
slow = { outcome = "value" }
"""
POST = Exchange("payments", 0, "POST", "/charges", (), b"", 200, b"{}", acted=True)


class FakeLaboratory:
    """Answers every plan with the same events."""

    def __init__(self, events: Iterable[Event], exchanges: Iterable[Exchange] = (), incomplete: str = "") -> None:
        self.events, self.exchanges, self.incomplete = tuple(events), tuple(exchanges), incomplete
        self.plans: list[Plan] = []

    def signature(self) -> Signature:
        return Signature({}, {}, ("order",), "ctx", False, (), "node.py", 1)

    def run(self, plan: Plan) -> RunRecord:
        self.plans.append(plan)
        outcome = Returned(b"", b"")
        return RunRecord(plan, (outcome,), self.events, self.exchanges, World(), (0,), incomplete=self.incomplete)

    def run_all(self, plans: Iterable[Plan]) -> Iterator[RunRecord]:
        return map(self.run, plans)

    remembered = run_all


class Judge:
    """Writes a node into a folder and checks it against made-up runs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(
        self,
        code: str,
        *events: Event,
        declares: str = "pure",
        resources: str = "",
        trusts: str = "",
        exchanges: Iterable[Exchange] = (),
        incomplete: str = "",
        keyed: bool = False,
    ) -> CheckResult:
        (self.folder / "node.py").write_text(dedent(code))
        (self.folder / "one.json").write_text("{}")
        key = '[idempotency]\nflow = "f"\nkey = ["id"]\n' if keyed or declares == "effectful" else ""
        (self.folder / "node.toml").write_text(
            f'schema = 1\n[node]\nid = "t/n"\nversion = "1.0.0"\nentry = "node:run"\neffects = "{declares}"\n'
            f'determinism = "best_effort"\n{trusts}[budget]\nwall = "1s"\ncpu = "1s"\nmemory = "64MiB"\nrequests = 9\n'
            f'{key}[[fixture]]\nname = "one"\ninput = "one.json"\n{resources}'
        )
        node = read_subject(self.folder / "node.toml")
        self.laboratory = FakeLaboratory(events, exchanges, incomplete)
        return effects.check(Workbench(node.subject, self.laboratory, node.inputs, node.expected))


@pytest.fixture
def judge(tmp_path: Path) -> Judge:
    """A judge with a folder of its own."""
    return Judge(tmp_path)


def event(kind: EventKind, target: str, line: int = 0, via: str = "audit", **detail: object) -> Event:
    """An event, at a line of the node where one is given."""
    return Event(kind, target, detail=detail, place=Place("node.py", line) if line else None, via=via)


def resource(kind: str, name: str = "", mode: str = "", more: str = "") -> str:
    """A `[[resource]]` table."""
    lines = ["[[resource]]", f'name = "{name or kind}"', f'kind = "{kind}"', f'mode = "{mode}"' if mode else "", more]
    return "\n".join(filter(None, lines)) + "\n"


def codes(result: CheckResult, severity: Severity = Severity.ERROR) -> list[str]:
    """The codes of a result's findings, sorted."""
    return sorted(finding.code for finding in result.findings if finding.severity is severity)


PURE = "def run(order):\n    return order\n"


def test_pure_node_passes(judge: Judge) -> None:
    """A node without effects that claims none passes without findings (S-1)."""
    result = judge(PURE)
    assert (result.verdict, result.findings, result.check) == (Passed(), (), "C-EFFECTS")


def test_every_fixture_is_watched_closely(judge: Judge) -> None:
    """Each fixture is run once, and calls of C functions are watched."""
    judge(PURE)
    assert [plan.observe for plan in judge.laboratory.plans] == [Observe.CALLS]


def test_observed_effect_must_be_declared(judge: Judge) -> None:
    """A connection that a run made is refused with its line, the declared hosts, and who saw it."""
    code = "import httpx\ndef run(order):\n    return httpx.post(order['u'])\n"
    seen = event(EventKind.CONNECT, "10.0.0.9:8443", 3)
    result = judge(code, seen, declares="effectful", resources=HTTP, exchanges=[POST])
    (finding,) = (f for f in result.findings if f.code == "EFF001")
    assert (result.verdict, str(finding.place)) == (Failed(), "node.py:3")
    assert "10.0.0.9:8443" in finding.message
    assert "payments = https://api.example.com" in finding.because
    assert "audit hook" in finding.because


def test_failed_look_up_and_its_text_are_one_finding(judge: Judge) -> None:
    """A host that could not be looked up is named with the port that the text gives, once."""
    code = "import httpx\ndef run(order):\n    return httpx.post('https://fraud.example/x')\n"
    result = judge(code, event(EventKind.RESOLVE, "fraud.example", 3), declares="effectful")
    assert [(f.code, "fraud.example:443" in f.message) for f in result.findings] == [("EFF001", True)]


def test_kernel_events_without_a_line_refuse(judge: Judge) -> None:
    """What only the kernel saw, as with ctypes or a C extension, refuses although no line of the node is known."""
    result = judge(
        PURE, event(EventKind.CONNECT, "192.0.2.1:80", via="kernel"), event(EventKind.WRITE, "/etc/x", via="kernel")
    )
    assert (result.verdict, codes(result)) == (Failed(), ["EFF001", "EFF001", "EFF005"])


def test_static_effect_must_be_declared(judge: Judge) -> None:
    """An effect in a branch that no fixture takes is refused with its witness path and the TOML to add."""
    code = "import time\ndef helper():\n    return time.time()\ndef run(order):\n    return helper() if order else 0\n"
    result = judge(code, declares="read_only")
    (finding,) = result.findings
    assert (finding.code, str(finding.place), [str(n.place).split(":")[1] for n in finding.notes]) == (
        "EFF002",
        "node.py:3:12",
        ["4", "5", "3"],
    )
    assert 'kind = "clock"' in finding.fix


def test_one_finding_for_one_effect(judge: Judge) -> None:
    """The same effect seen by text, call watch and twice in a run is one finding."""
    code = "import time\ndef run(order):\n    return time.time() + time.time()\n"
    seen = [event(EventKind.CLOCK, "time.time", 3, via="call"), event(EventKind.CLOCK, "time.time", 3, via="call")]
    result = judge(code, *seen, declares="read_only")
    assert codes(result) == ["EFF001"]
    assert result.findings[0].notes


def test_declared_and_used_passes(judge: Judge) -> None:
    """Declared, in the text, and seen in a run: nothing to say."""
    code = "import time\ndef run(order):\n    return time.time()\n"
    seen = event(EventKind.CLOCK, "time.time", 3, via="call")
    result = judge(code, seen, declares="read_only", resources=resource("clock"))
    assert (result.verdict, result.findings) == (Passed(), ())


def test_declared_and_never_exercised_is_a_warning(judge: Judge) -> None:
    """What is declared and in the text, but reached by no fixture, is said and does not refuse."""
    code = "import time\ndef run(order):\n    return time.time() if order else 0\n"
    result = judge(code, declares="read_only", resources=resource("clock"))
    assert (result.verdict, codes(result, Severity.WARNING)) == (Passed(), ["EFF007"])


def test_unused_resource_is_refused(judge: Judge) -> None:
    """A resource that neither text nor runs use is refused at its place in the manifest."""
    result = judge(PURE, declares="read_only", resources=resource("clock"))
    assert (result.verdict, codes(result)) == (Failed(), ["EFF003", "EFF006"])
    assert {finding.place.file for finding in result.findings} == {"node.toml"}


def test_unused_write_mode_is_refused(judge: Judge) -> None:
    """A store that is declared for writing and only read is refused, with the edit."""
    code = "def run(order, ctx):\n    return ctx.kv('orders').get('x')\n"
    seen = event(EventKind.CAPABILITY, "kv.orders", 2, via="context", mode="read", operation="get")
    result = judge(code, seen, declares="effectful", resources=resource("kv", "orders", "write"))
    assert (codes(result), result.findings[0].edit.replacement) == (["EFF004", "EFF006"], '"read"')


def test_writing_needs_the_write_mode(judge: Judge) -> None:
    """A store that is declared for reading and written is refused, by name (W-CAPS)."""
    code = "def run(order, ctx):\n    ctx.kv('orders').put('x', b'')\n"
    seen = event(EventKind.CAPABILITY, "kv.orders", 2, via="context", mode="write", operation="put")
    result = judge(code, seen, declares="effectful", resources=resource("kv", "orders", "read"))
    assert codes(result) == ["EFF001"]
    assert "`orders` is declared for reading only" in result.findings[0].message


@pytest.mark.parametrize(
    ("declares", "expected"), [("pure", ["EFF001", "EFF005"]), ("read_only", []), ("effectful", ["EFF006"])]
)
def test_class_is_exactly_the_derived_one(judge: Judge, declares: str, expected: list[str]) -> None:
    """A class below or above the derived one is refused; the edit names the derived one (W-LATTICE)."""
    code = "import time\ndef run(order):\n    return time.time()\n"
    seen = event(EventKind.CLOCK, "time.time", 3, via="call")
    result = judge(code, seen, declares=declares, resources="" if declares == "pure" else resource("clock"))
    about_class = [f.edit.replacement for f in result.findings if f.code in {"EFF005", "EFF006"}]
    assert (codes(result), about_class) == (expected, ['"read_only"'] * (declares != "read_only"))


def test_logging_leaves_a_node_pure(judge: Judge) -> None:
    """A node that only logs is pure, once it declares the log."""
    result = judge("def run(order):\n    print(order)\n    return order\n", resources=resource("log"))
    assert (result.verdict, result.findings) == (Passed(), ())


def test_blind_spot_is_unknown(judge: Judge) -> None:
    """Where the analysis goes blind the verdict is unknown and names the place, whatever the runs show."""
    result = judge("def run(order):\n    return eval('1')\n")
    assert isinstance(result.verdict, Unknown)
    assert "node.py:2:12" in result.verdict.reason
    assert codes(result) == ["EFF008"]


def test_failure_outweighs_a_blind_spot(judge: Judge) -> None:
    """A node that is blind in one place and wrong in another is refused for what is wrong."""
    result = judge("import time\ndef run(order):\n    return eval('1') + time.time()\n", declares="read_only")
    assert (result.verdict, codes(result)) == (Failed(), ["EFF002", "EFF008"])


def test_blind_spot_does_not_call_a_resource_unused(judge: Judge) -> None:
    """Behind a blind spot a declared resource may be used, and a higher class may be right."""
    result = judge(
        "def run(order):\n    return eval('1')\n", declares="effectful", resources=resource("kv", "a", "write")
    )
    assert codes(result) == ["EFF008"]


def test_native_code_in_a_run_is_unknown(judge: Judge) -> None:
    """A run that called native code proves nothing about what it did."""
    result = judge(PURE, event(EventKind.NATIVE, "libc.so.6", 2, call="ctypes.dlopen"))
    assert (isinstance(result.verdict, Unknown), codes(result)) == (True, ["EFF011"])


def test_unreadable_file_is_unknown(judge: Judge) -> None:
    """A module that is imported but is no Python gives an unknown verdict, not an exception."""
    (judge.folder / "broken.py").write_text("def f(:\n")
    result = judge("def run(order):\n    import broken\n    return broken.f(order)\n")
    assert isinstance(result.verdict, Unknown)
    assert "EFF020" in codes(result) or "EFF008" in codes(result)


def test_incomplete_record_is_unknown(judge: Judge) -> None:
    """A record that does not tell everything never passes, and waiting may help."""
    result = judge(PURE, incomplete="3 records did not fit")
    assert result.verdict == Unknown("the record of fixture `one`: 3 records did not fit", waiting_helps=True)


def test_trusted_package_is_a_note(judge: Judge) -> None:
    """A trusted package passes with a note, and softens what nobody uses to a warning."""
    code = "import stripe\ndef run(order):\n    return stripe.charge(order)\n"
    result = judge(code, trusts='trusts = ["stripe", "os"]\n', declares="read_only", resources=resource("kv", "a"))
    assert (result.verdict, codes(result, Severity.NOTE), codes(result, Severity.WARNING)) == (
        Passed(),
        ["EFF009"],
        ["EFF003", "EFF006", "EFF012"],
    )


def test_effects_of_trusted_packages_are_still_observed(judge: Judge) -> None:
    """Trust is for the text alone: what a trusted package does in a run must be declared."""
    code = "import stripe\ndef run(order):\n    return stripe.charge(order)\n"
    seen = event(EventKind.CONNECT, "192.0.2.7:443", 3, through=["stripe"])
    assert codes(judge(code, seen, trusts='trusts = ["stripe"]\n')) == ["EFF001", "EFF005"]


def test_declared_upstream_is_recognised_by_its_address(judge: Judge) -> None:
    """A direct request to a declared upstream is use of that resource, through the laboratory's addresses."""
    code = "import httpx\ndef run(order):\n    return httpx.post('https://api.example.com/charges')\n"
    through = ["socket", "httpx._api"]
    seen = [
        event(EventKind.RESOLVE, "api.example.com", 3, through=through),
        event(EventKind.CONNECT, "127.1.0.2:443", 3, through=through),
        event(EventKind.CONNECT, "127.1.0.2:443", via="kernel"),
        event(EventKind.CONNECT, "unix:/var/run/nscd/socket", via="kernel"),
        event(EventKind.ENV, "SSL_CERT_FILE", 3, via="call", through=["os", "httpx._api"]),
        event(EventKind.CLOCK, "time.perf_counter", 3, via="call", through=["httpx._client", "httpx._api"]),
        event(EventKind.RANDOM, "getrandom", via="kernel"),
    ]
    result = judge(code, *seen, declares="effectful", resources=HTTP, exchanges=[POST])
    assert (result.verdict, result.findings) == (Passed(), ())


def test_own_clock_is_not_housekeeping(judge: Judge) -> None:
    """A clock that the node reads itself counts, on the very line where a library reads it for itself."""
    code = "import logging\nimport time\ndef run(order):\n    logging.info(time.time())\n"
    seen = [
        event(EventKind.CLOCK, "time.time", 4, via="call", through=["logging"]),
        event(EventKind.CLOCK, "time.time", 4, via="call", through=[]),
    ]
    assert codes(judge(code, *seen, declares="read_only", resources=resource("log"))) == ["EFF001"]
    assert codes(judge(code.replace("time.time()", "'x'"), seen[0], resources=resource("log"))) == []


def test_entropy_drawn_below_python_needs_a_reason(judge: Judge) -> None:
    """The allocator draws entropy for a new thread; without thread, connection or generator a draw is an effect."""
    drawn = event(EventKind.RANDOM, "getrandom", via="kernel")
    code = "import threading\ndef run(order):\n    threading.Thread(target=print).start()\n"
    assert codes(judge(code, drawn, resources=resource("log"))) == []
    assert codes(judge(PURE, drawn)) == ["EFF001", "EFF005"]


def test_context_stores_are_not_files(judge: Judge) -> None:
    """The kernel sees the context write its stores; that is the use of the store, not of the file system."""
    code = "def run(order, ctx):\n    ctx.kv('orders').put('x', b'')\n"
    seen = [
        event(EventKind.CAPABILITY, "kv.orders", 2, via="context", mode="write", operation="put"),
        event(EventKind.WRITE, "/world/work", via="kernel", call="mkdir"),
        event(EventKind.WRITE, "/world/work/.context/kv", via="kernel", call="mkdir"),
        event(EventKind.WRITE, "/world/work/.context/kv/orders.sqlite3-journal", via="kernel", call="openat"),
    ]
    result = judge(code, *seen, declares="effectful", resources=resource("kv", "orders", "write"))
    assert (result.verdict, result.findings) == (Passed(), ())


def test_undeclared_store_of_the_context_is_refused(judge: Judge) -> None:
    """Files of another store, and files opened by the node itself, are no business of a declared store."""
    code = "def run(order, ctx):\n    ctx.kv('orders').put('x', b'')\n"
    seen = [
        event(EventKind.CAPABILITY, "kv.orders", 2, via="context", mode="write", operation="put"),
        event(EventKind.WRITE, "/world/work/.context/kv/other.sqlite3", via="kernel", call="openat"),
        event(EventKind.WRITE, "/world/work/.context/kv/orders.sqlite3", 2, call="open"),
    ]
    result = judge(code, *seen, declares="effectful", resources=resource("kv", "orders", "write"))
    assert codes(result) == ["EFF001", "EFF001"]


@pytest.mark.parametrize(
    ("target", "expected"),
    [("/world/work/out/a.txt", []), ("/world/work/other.txt", ["EFF001"]), ("/etc/x", ["EFF001"])],
)
def test_files_are_matched_by_path(judge: Judge, target: str, expected: list[str]) -> None:
    """A declared folder covers what lies below it, and nothing else."""
    code = "def run(order):\n    open(order['p'], 'w')\n"
    declared = resource("fs", "out", "write", 'path = "out"')
    assert (
        codes(judge(code, event(EventKind.WRITE, target, 2, call="open"), declares="effectful", resources=declared))
        == expected
    )


def test_hidden_target_is_a_warning(judge: Judge) -> None:
    """A file whose name the text does not show is taken as the declared one, with a warning."""
    code = "def run(order):\n    open(order['p'], 'w')\n"
    seen = event(EventKind.WRITE, "/world/work/out/a", 2, call="open")
    result = judge(code, seen, declares="effectful", resources=resource("fs", "out", "write", 'path = "out"'))
    assert (result.verdict, codes(result, Severity.WARNING)) == (Passed(), ["EFF010"])


def test_database_and_its_journal_are_one_effect(judge: Judge) -> None:
    """A database file, its journal and the connection to it are one undeclared database, written."""
    code = "import sqlite3\ndef run(order):\n    sqlite3.connect('own.db').execute(order['sql'])\n"
    seen = [
        event(EventKind.DATABASE, "own.db", 3),
        event(EventKind.WRITE, "/world/work/own.db", via="kernel", call="openat"),
        event(EventKind.WRITE, "/world/work/own.db-journal", via="kernel", call="openat"),
    ]
    result = judge(code, *seen, declares="effectful")
    assert codes(result) == ["EFF001"]
    assert 'path = "own.db"' in result.findings[0].fix
    assert 'mode = "write"' in result.findings[0].fix


def test_variables_are_matched_by_name(judge: Judge) -> None:
    """An environment resource with variables covers those and no others."""
    code = "import os\ndef run(order):\n    return os.environ['REGION'], os.getenv('TOKEN')\n"
    declared = resource("env", "env", "", 'variables = ["REGION"]')
    seen = [
        event(EventKind.ENV, "REGION", 3, via="call", through=["os"]),
        event(EventKind.HOST, "os.getpid", 3, via="call"),
    ]
    result = judge(code, *seen, declares="read_only", resources=declared)
    assert sorted((f.code, f.data["target"]) for f in result.findings) == [("EFF001", "host.pid"), ("EFF002", "TOKEN")]


def test_suggested_table_makes_the_finding_go_away(judge: Judge) -> None:
    """The table that a finding prints, added as its edit says, makes the manifest right."""
    code = "import os\ndef run(order):\n    return os.environ['REGION']\n"
    seen = event(EventKind.ENV, "REGION", 3, via="call")
    (finding,) = judge(code, seen, declares="read_only").findings
    assert judge(code, seen, declares="read_only", resources=finding.edit.replacement).verdict == Passed()


def test_three_sets_are_in_the_report(judge: Judge) -> None:
    """The three sets are measured, with places, for the report's table."""
    code = "import time\ndef run(order):\n    return time.time()\n"
    measured = judge(
        code, event(EventKind.CLOCK, "time.time", 3, via="call"), declares="read_only", resources=resource("clock")
    ).measured
    assert [[entry["name"] for entry in measured[name]] for name in ("declared", "static", "observed")] == [
        ["clock"]
    ] * 3
    assert (measured["declared_class"], measured["derived_class"]) == ("read_only", "read_only")


def test_result_survives_evidence(judge: Judge) -> None:
    """A result with findings, notes and edits is the same after it has been data."""
    result = judge("import time\ndef run(order):\n    return time.time()\n")
    assert CheckResult.from_data(result.to_data()).to_data() == result.to_data()


def test_documented_codes_are_the_declared_codes() -> None:
    """The page on effects lists exactly the codes that the check declares."""
    page = Path(__file__).parents[2] / "docs" / "checks" / "effects.md"
    documented = set(re.findall(r"^\| `(EFF\d{3})`", page.read_text(encoding="utf-8"), re.MULTILINE))
    assert documented == {code for code in rules() if code.startswith("EFF")}
