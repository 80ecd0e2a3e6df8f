"""C-SANDBOX: whatever a node tries, there is a finding with a place, nothing is lost, and nothing is left running."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from certify.checks import sandbox
from certify.checks.workbench import Workbench
from certify.evidence.verdict import CheckResult, Failed, Passed, Unknown
from certify.laboratory.laboratory import Laboratory, Limits
from certify.laboratory.record import Plan, RunRecord
from certify.subject import NodeFolder, Signature
from certify_spec.diagnostics import RequestError, Severity, render
from lab_support import opened, write_node

#: What a hostile node does, and the code that must be found for it. The line that must be named ends in `# here`.
ACTS: dict[str, tuple[str, str]] = {
    "hang": ("SBX001", "time.sleep(60)  # here"),
    "spin": ("SBX001", "while True: pass  # here"),
    "wait for ever": ("SBX001", "threading.Event().wait()  # here"),
    "eat memory": ("SBX001", "return len(bytearray(10**11))  # here"),
    "eat memory slowly": ("SBX001", "held = []\nwhile True:\n    held.append(bytearray(2**24))  # here"),
    "fork": ("SBX004", "os.fork()  # here"),
    "fork bomb": ("SBX004", "while True:\n    try:\n        os.fork()  # here\n    except OSError:\n        return 1"),
    "spawn": ("SBX004", 'subprocess.run(["/bin/true"])  # here'),
    "shell": ("SBX004", 'os.system("true")  # here'),
    "posix spawn": ("SBX004", 'os.posix_spawn("/bin/true", ["true"], {})  # here'),
    "pool of processes": (
        "SBX004",
        (
            "from concurrent.futures import ProcessPoolExecutor\n"
            "with ProcessPoolExecutor(1) as pool:\n    pool.submit(int).result()  # here"
        ),
    ),
    "fill the disk": (
        "SBX007",
        'with open("big", "wb") as file:\n    while True:\n        file.write(bytes(2**20))  # here',
    ),
    "many files": (
        "SBX007",
        'for n in range(100):\n    with open(f"f{n}", "wb") as file:\n        file.write(bytes(2**23))  # here',
    ),
    "write outside": ("SBX003", 'open("/node/out.txt", "w")  # here'),
    "write to etc": ("SBX003", 'open("/etc/hosts", "a")  # here'),
    "remove outside": ("SBX003", 'os.remove("/etc/hosts")  # here'),
    "rename outside": ("SBX003", 'os.rename("/node/node.py", "/node/other.py")  # here'),
    "through a link": ("SBX007", 'os.symlink("/etc/hosts", "link")\nopen("link", "a")  # here'),
    "tcp": ("SBX005", 'socket.create_connection(("8.8.8.8", 53), 1)  # here'),
    "tcp 6": ("SBX005", 'socket.socket(socket.AF_INET6).connect(("2001:db8::1", 53))  # here'),
    "udp": (
        "SBX005",
        'socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("192.0.2.1", 53))  # here',
    ),
    "udp connected": (
        "SBX005",
        (
            "end = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
            'end.connect(("192.0.2.1", 53))  # here\nend.send(b"x")'
        ),
    ),
    "raw socket": ("SBX007", "socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)  # here"),
    "unix socket": ("SBX007", 'socket.socket(socket.AF_UNIX).connect("/run/docker.sock")  # here'),
    "native connect": (
        "SBX005",
        (
            "libc = ctypes.CDLL(None)\nhandle = libc.socket(2, 1, 0)\n"
            'return libc.connect(handle, b"\\x02\\x00\\x00\\x35\\x08\\x08\\x08\\x08" + bytes(8), 16)  # here'
        ),
    ),
    "kill everybody": ("SBX006", "os.kill(-1, signal.SIGKILL)  # here"),
    "kill the supervisor": ("SBX006", "os.kill(os.getppid(), signal.SIGKILL)  # here"),
    "kill init": ("SBX006", "os.kill(1, signal.SIGTERM)  # here"),
    "kill itself": ("SBX002", "os.kill(os.getpid(), signal.SIGKILL)"),
    "threads that never end": ("SBX001", "threading.Thread(target=time.sleep, args=(60,)).start()"),
    "daemon thread": ("", "threading.Thread(target=time.sleep, args=(60,), daemon=True).start()\nreturn 1"),
    "exit": ("SBX007", "sys.exit(3)  # here"),
    "exit in a thread": ("", "thread = threading.Thread(target=sys.exit)\nthread.start()\nthread.join()\nreturn 1"),
    "keyboard interrupt": ("SBX007", "raise KeyboardInterrupt  # here"),
    "_exit": ("SBX002", "os._exit(7)  # here"),
    "abort": ("SBX002", "os.abort()  # here"),
    "deep recursion": ("SBX007", "def down(n: int) -> int:  # here\n    return down(n + 1) + 1\nreturn down(0)"),
    "segfault": ("SBX002", "ctypes.string_at(0)  # here"),
    "stack overflow": (
        "SBX001 SBX002 SBX007",
        "sys.setrecursionlimit(10**9)\ndef down() -> int:\n    return down() + 1\nreturn down()",
    ),
    "huge output": ("SBX008 SBX001", 'return "x" * 2**27'),
    "huge stderr": ("SBX007", "while True:\n    os.write(2, bytes(2**20))  # here"),
    "wrong type": ("SBX008", 'return {"a": object()}'),
    "surrogate": ("SBX008", 'return "\\ud800"'),
    "nan": ("SBX008", 'return float("nan")'),
    "cycle": ("SBX008", "ring = []\nring.append(ring)\nreturn ring"),
    "generator": ("SBX008", "return (object() for number in range(3))"),
    "close everything": ("", "os.closerange(0, 4096)\nreturn 1"),
    "delete its folder": ("", "os.rmdir(os.getcwd())\nreturn 1"),
    "ignore signals": (
        "SBX001",
        (
            "for number in set(signal.Signals) - {signal.SIGKILL, signal.SIGSTOP}:\n"
            "    signal.signal(number, signal.SIG_IGN)\nwhile True:\n    pass"
        ),
    ),
    "stop itself": ("SBX001", "os.kill(os.getpid(), signal.SIGSTOP)"),
    "alarm": ("SBX002", "signal.alarm(1)\nsignal.pause()"),
    "unhooked": ("SBX004", "sys.setprofile(None)\nsys.settrace(None)\nos.fork()  # here"),
    "json replaced": (
        "SBX007 SBX008",
        (
            "import json\ndef fail(*_a: object, **_k: object) -> str:\n    raise RuntimeError('no json')  # here\n"
            "json.dumps = fail\nreturn 1"
        ),
    ),
    "certify replaced": (
        "SBX002 SBX007 SBX008",
        (
            "for name in [n for n in sys.modules if n.startswith('certify')]:\n"
            "    for key in list(vars(sys.modules[name])):\n        setattr(sys.modules[name], key, None)\nreturn 1"
        ),
    ),
    "modules emptied": ("", "sys.modules.clear()\nreturn 1"),
    "audit hook that raises": (
        "SBX002 SBX007",
        (
            "def hook(name: str, _arguments: object) -> None:\n    raise RuntimeError(name)\n"
            "sys.addaudithook(hook)\nopen('/etc/hosts')"
        ),
    ),
    "own memory": ("SBX003", "open('/proc/self/mem', 'r+b', buffering=0)  # here"),
    "supervisor's memory": ("SBX003", "open(f'/proc/{os.getppid()}/mem', 'r+b')  # here"),
    "escapes": ("SBX007", "raise ValueError('\\x1b[2J\\x1b[31mall is well\\x07')  # here"),
    "limits raised": ("SBX007", "import resource\nresource.setrlimit(resource.RLIMIT_AS, (-1, -1))  # here"),
    "evil text": (
        "SBX007",
        "class Evil(Exception):\n    def __str__(self) -> str:\n        raise SystemExit(0)\nraise Evil  # here",
    ),
}
_HEAD = """
import ctypes, os, signal, socket, subprocess, sys, threading, time
from typing import Any


def node(what: str) -> int | str | list[Any] | float:
    return ACTS[what]()

"""


def _module() -> str:
    parts = [textwrap.dedent(_HEAD)]
    for number, (_codes, body) in enumerate(ACTS.values()):
        parts.append(f"\ndef act_{number}() -> Any:\n" + textwrap.indent(f"{body}\nreturn 1", "    ") + "\n")
    listed = ", ".join(f"{name!r}: act_{number}" for number, name in enumerate(ACTS))
    return "".join(parts) + f"\nACTS = {{{listed}}}\n"


SOURCE = _module()
LIMITS = Limits(wall=4.0, cpu=2.0, memory=2**30, file=2**24)


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[NodeFolder, Laboratory]]:
    """A laboratory on a node that tries what its input says."""
    manifest = write_node(tmp_path_factory.mktemp("hostile"), SOURCE, "hang")
    with opened(manifest, limits=LIMITS) as (folder, laboratory):
        yield folder, laboratory


def judged(folder: NodeFolder, laboratory: Laboratory, *inputs: str) -> CheckResult:
    """What the check says of these inputs, each as a fixture."""
    fixtures = {f"f{number}": b'"%s"' % text.encode() for number, text in enumerate(inputs)}
    return sandbox.check(Workbench(folder.subject, laboratory, fixtures, {}))


def folder_names() -> set[str]:
    """What is in the memory file system where laboratories keep their files."""
    return {path.name for path in Path("/dev/shm").iterdir()}


def children() -> set[int]:
    """Process ids of this process's children."""
    return {int(pid) for task in Path("/proc/self/task").iterdir() for pid in (task / "children").read_text().split()}


@pytest.mark.parametrize("what", ACTS)
def test_every_trespass_is_a_finding(node: tuple[NodeFolder, Laboratory], what: str) -> None:
    """C-SANDBOX: the right code at the right line; and a well-behaved run in the same laboratory still passes."""
    codes, body = ACTS[what]
    result = judged(*node, what)
    found = {finding.code for finding in result.findings}
    assert found <= set(codes.split()), [render(f) for f in result.findings]
    assert isinstance(result.verdict, Failed if codes else Passed), result.verdict
    assert all(f.place is not None and f.place.file == "node.py" and f.place.line for f in result.findings)
    if "# here" in body and codes:
        start = SOURCE.index(f"def act_{list(ACTS).index(what)}()")
        line = SOURCE.count("\n", 0, SOURCE.index("# here", start)) + 1
        assert line in {f.place.line for f in result.findings if f.place}, [render(f) for f in result.findings]


def test_findings_hold_nothing_that_a_terminal_obeys(node: tuple[NodeFolder, Laboratory]) -> None:
    """C-SANDBOX: what a node says is shown, and cannot repaint the report."""
    (finding,) = judged(*node, "escapes").findings
    assert finding.message == "fixture `f0` raised ValueError: \\x1b[2J\\x1b[31mall is well\\x07"


def test_one_bad_fixture_does_not_hide_another(node: tuple[NodeFolder, Laboratory]) -> None:
    """C-SANDBOX: every fixture is judged, also after one that ended its process."""
    result = judged(*node, "segfault", "fork", "daemon thread", "_exit")
    assert [(f.code, f.message.split("`")[1]) for f in result.findings if f.code == "SBX002"] == [
        ("SBX002", "f0"),
        ("SBX002", "f3"),
    ]
    assert "SBX004" in {f.code for f in result.findings}
    assert not sandbox.answers(result)


def test_the_input_and_the_expected_output_are_compared(node: tuple[NodeFolder, Laboratory]) -> None:
    """C-SANDBOX: an input of another type and another output than expected are findings of their own."""
    folder, laboratory = node
    wrong = sandbox.check(Workbench(folder.subject, laboratory, {"a": b"[1]"}, {}))
    other = sandbox.check(Workbench(folder.subject, laboratory, {"b": b'"daemon thread"'}, {"b": b"2"}))
    right = sandbox.check(Workbench(folder.subject, laboratory, {"b": b'"daemon thread"'}, {"b": b"1.0"}))
    assert [[f.code for f in result.findings] for result in (wrong, other, right)] == [["SBX009"], ["SBX010"], []]
    assert (sandbox.answers(wrong), sandbox.answers(other), right.verdict) == (False, True, Passed())


class Forgetful:
    """A laboratory whose records are incomplete."""

    def __init__(self, laboratory: Laboratory) -> None:
        self._laboratory = laboratory

    def signature(self) -> Signature:
        """The node's own."""
        return self._laboratory.signature()

    def run(self, plan: Plan) -> RunRecord:
        """A run of which something was lost."""
        return replace(self._laboratory.run(plan), incomplete="3 records did not fit")

    def run_all(self, plans: Iterable[Plan]) -> Iterator[RunRecord]:
        """Runs of which something was lost."""
        return map(self.run, plans)

    remembered = run_all


def test_an_incomplete_record_is_never_a_pass(node: tuple[NodeFolder, Laboratory]) -> None:
    """C-SANDBOX: what was not recorded in full is unknown."""
    folder, laboratory = node
    bench = Workbench(folder.subject, Forgetful(laboratory), {"a": b'"daemon thread"'}, {})
    assert sandbox.check(bench).verdict == Unknown("a run's record is incomplete: 3 records did not fit")


def test_a_trespass_at_import_has_a_place(tmp_path: Path) -> None:
    """C-SANDBOX: what a module does while it is imported is denied and found, too."""
    code = """
        import os

        try:
            open("/etc/hosts", "a")
        except OSError:
            pass


        def node(x: int) -> int:
            return x
    """
    with opened(write_node(tmp_path, code, 1)) as (folder, laboratory):
        (finding,) = sandbox.check(Workbench(folder.subject, laboratory, folder.inputs, {})).findings
    assert (finding.code, str(finding.place)) == ("SBX003", "node.py:5")


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("import os\nos.fork()", "NODE002"),
        ("import os\nos._exit(0)", "NODE002"),
        ("import sys\nsys.exit()", "NODE002"),
        ("import ctypes\nctypes.string_at(0)", "NODE002"),
        ("import time\ntime.sleep(60)", "NODE003"),
        (
            "import threading, time\nthreading.Thread(target=time.sleep, args=(60,)).start()\nraise ValueError",
            "NODE002",
        ),
    ],
)
def test_a_module_that_cannot_be_imported_is_a_wrong_request(tmp_path: Path, code: str, says: str) -> None:
    """Bad input: importing that ends badly is told by its code, within the limit."""
    manifest = write_node(tmp_path, code + "\n\ndef node(x: int) -> int:\n    return x\n", 1)
    with opened(manifest, limits=Limits(wall=2.0)) as (_folder, lab), pytest.raises(RequestError, match=says):
        lab.signature()


def test_a_fork_bomb_with_leave_to_start_processes_is_bounded(tmp_path: Path) -> None:
    """C-SANDBOX: a node that may start processes cannot start them without end, and none outlives its run."""
    code = """
        import os
        import time


        def node(x: int) -> int:
            made = 0
            while True:
                try:
                    pid = os.fork()
                except OSError:
                    return made
                if pid == 0:
                    time.sleep(60)
                made += 1
    """
    rest = '[[resource]]\nname = "tool"\nkind = "process"\nmode = "write"\n[idempotency]\nflow = "f"\nkey = ["$"]\n'
    manifest = write_node(tmp_path, code, 1, effects="effectful", rest=rest)
    with opened(manifest, limits=Limits(wall=20.0)) as (folder, laboratory):
        result = sandbox.check(Workbench(folder.subject, laboratory, folder.inputs, {}))
        inside = descendants()
    assert [finding.code for finding in result.findings] == ["SBX004"]
    assert len(inside) < 20


def test_nothing_is_left_behind(tmp_path: Path) -> None:
    """C-SANDBOX: after all of it no process and no folder of the laboratory is left."""
    folders, before = folder_names(), children()
    with opened(write_node(tmp_path, SOURCE, "hang"), limits=LIMITS) as (folder, laboratory):
        judged(folder, laboratory, "fork bomb", "segfault", "threads that never end", "kill everybody", "fill the disk")
        mine, made = children() - before, folder_names() - folders
        assert mine
        assert made
    assert children() & mine == set()
    assert not laboratory._folder.exists()


def descendants() -> set[int]:
    """Process ids of everything below this process."""
    found: set[int] = set()
    queue = list(children())
    while queue:
        pid = queue.pop()
        found.add(pid)
        for task in Path(f"/proc/{pid}/task").glob("*"):
            try:
                queue += [int(child) for child in (task / "children").read_text().split()]
            except OSError:
                continue
    return found


def test_a_trespass_is_an_error_finding(node: tuple[NodeFolder, Laboratory]) -> None:
    """C-SANDBOX: a violation refuses, and its data marks it as one that nothing waives."""
    (finding,) = judged(*node, "write outside").findings
    assert (finding.severity, finding.data["hard"]) == (Severity.ERROR, True)
