"""The walk of a node's text: what it resolves, where it goes blind, and that nothing makes it raise (C-EFFECTS)."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

import pytest

from certify.analysis import Analysis, analyse, parse_sources, read_sources


def walk(files: str | dict[str, str], **options: object) -> Analysis:
    """The analysis of files given as text."""
    sources = files if isinstance(files, dict) else {"node.py": files}
    texts = {name: dedent(text).encode() for name, text in sources.items()}
    return analyse(parse_sources(texts), "node:run", **options)  # type: ignore[arg-type]


def said(analysis: Analysis) -> list[str]:
    """Names and modes of the effects."""
    return sorted({f"{e.name} {e.mode}" for e in analysis.effects})


def blind(analysis: Analysis) -> list[str]:
    """What the walk could not follow."""
    return [spot.what for spot in analysis.blind]


def test_witness_path_leads_through_every_helper() -> None:
    """The path names entry, helpers and call, each with its file and line (C-EFFECTS)."""
    analysis = walk(
        {
            "node.py": "from helpers import stamp\ndef run(order):\n    return stamp(order)\n",
            "helpers.py": "import time\ndef stamp(x):\n    return inner(x)\ndef inner(x):\n    return time.time()\n",
        }
    )
    (effect,) = analysis.effects
    assert [f"{step.place.file}:{step.place.line}" for step in effect.path] == [
        "node.py:2",
        "node.py:3",
        "helpers.py:3",
        "helpers.py:5",
    ]


def test_import_time_code_of_imported_modules_counts() -> None:
    """What a module of the node does when it is imported is an effect, whichever function is used of it."""
    analysis = walk(
        {
            "node.py": "from pkg.tools import twice\ndef run(order):\n    return twice(order)\n",
            "pkg/__init__.py": "import os\nHOME = os.environ['HOME']\n",
            "pkg/tools.py": "def twice(x):\n    return 2 * x\n",
        }
    )
    assert said(analysis) == ["env:HOME read"]
    assert [step.label for step in analysis.effects[0].path[:2]] == [
        "module `node` is imported",
        "module `node` imports module `pkg`",
    ]


def test_modules_that_are_not_imported_do_not_count() -> None:
    """A file beside the node that nothing imports has no effect on it."""
    files = {"node.py": "def run(order):\n    return order\n", "other.py": "import socket\nsocket.socket()\n"}
    assert said(walk(files)) == []


def test_relative_imports_and_reexports_are_followed() -> None:
    """Relative imports, re-exports and aliases lead to the same function."""
    analysis = walk(
        {
            "node.py": "from pkg import helper as h\ndef run(order):\n    return h(order)\n",
            "pkg/__init__.py": "from .impl import helper\n",
            "pkg/impl.py": "from ..clock import now\ndef helper(x):\n    return now()\n".replace(
                "..clock", "pkg.clock"
            ),
            "pkg/clock.py": "from time import time as now\n",
        }
    )
    assert said(analysis) == ["clock read"]


def test_own_module_cannot_hide_a_standard_one() -> None:
    """A file named like a standard module is walked beside it, since the interpreter may take either."""
    files = {"node.py": "import time\ndef run(o):\n    return time.time()\n", "time.py": "def time():\n    return 1\n"}
    assert said(walk(files)) == ["clock read"]


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        ("open('a/../b.txt')", ["fs:b.txt read"]),
        ("open('b.txt', 'r+')", ["fs:b.txt write"]),
        ("open('b.txt', mode=order['m'])", ["fs:b.txt write"]),
        ("open(order['p'])", ["fs read"]),
        ("(pathlib.Path('d') / 'x').read_text()", ["fs:d/x read"]),
        ("pathlib.Path('d', 'x').open('w')", ["fs:d/x write"]),
        ("requests.request('GET', 'http://h/x')", ["network:h:80 read"]),
        ("requests.request(order['m'], 'http://h/x')", ["network:h:80 write"]),
        ("requests.get(BASE + '/x')", ["network:api.example.com:443 read"]),
        ("requests.get(f'{BASE}/{order}')", ["network:api.example.com:443 read"]),
        ("requests.get(f'https://{order}.example.com/')", ["network read"]),
        ("requests.get(order['url'])", ["network read"]),
        ("urllib.request.urlopen('http://h/')", ["network:h:80 read"]),
        ("urllib.request.urlopen('http://h/', b'x')", ["network:h:80 write"]),
        ("http.client.HTTPSConnection('h').request('POST', '/')", ["network:h:443 read", "network:h:443 write"]),
        ("socket.create_connection(('h', 25))", ["network:h:25 write"]),
        ("sqlite3.connect('o.db').execute('SELECT 1')", ["db:o.db read"]),
        ("sqlite3.connect('o.db').execute(order['sql'])", ["db:o.db read", "db:o.db write"]),
        ("os.environ['A']", ["env:A read"]),
        ("os.environ.get(order['v'])", ["env read"]),
        ("os.environ.__setitem__('A', '1')", ["env:A write"]),
        ("random.Random().random()", ["random read"]),
        ("random.Random(None).random()", ["random read"]),
        ("random.Random(7).random()", []),
        ("time.strftime('%Y', time.gmtime(0))", []),
        ("time.strftime('%Y')", ["clock read"]),
        ("datetime.datetime.fromtimestamp(0)", ["env:host.timezone read"]),
        ("datetime.datetime.fromtimestamp(0, datetime.UTC)", []),
        ("open(__file__).read()", []),
        ("(pathlib.Path(__file__).parent.parent / 'etc/passwd').read_text()", ["fs read"]),
        ("(pathlib.Path(__file__).parent / '../../etc/passwd').read_text()", ["fs:../etc/passwd read"]),
        ("(pathlib.Path(__file__).parent / order['p']).read_text()", ["fs read"]),
    ],
)
def test_mode_and_target_are_read_from_the_text(call: str, expected: list[str]) -> None:
    """Kind, mode and target follow from what the text shows; what it does not show counts as the worst (C-EFFECTS)."""
    modules = [
        "datetime",
        "http.client",
        "os",
        "pathlib",
        "random",
        "requests",
        "socket",
        "sqlite3",
        "time",
        "urllib.request",
    ]
    imports = "".join(f"import {module}\n" for module in modules)
    analysis = walk(f"{imports}BASE = 'https://api.example.com'\ndef run(order):\n    return {call}\n")
    assert (said(analysis), blind(analysis)) == (expected, [])


@pytest.mark.parametrize(
    ("use", "expected"),
    [
        ("ctx.http.get('rates', '/x')", ["http:rates read"]),
        ("ctx.http.request('rates', 'GET', '/x')", ["http:rates read"]),
        ("ctx.http.request('rates', order['m'], '/x')", ["http:rates write"]),
        ("ctx.http.post(order['who'], '/x')", ["http write"]),
        ("ctx.kv('orders').get('k')", ["kv:orders read"]),
        ("ctx.kv('orders').put_if_absent('k', b'')", ["kv:orders write"]),
        ("ctx.blob('b').names()", ["blob:b read"]),
        ("ctx.db('d').query('SELECT 1')", ["db:d read"]),
        ("ctx.db('d').transaction().__enter__()", ["db:d write"]),
        ("ctx.dedupe.remember(ctx.key, b'')", ["dedupe write"]),
        ("ctx.dedupe.seen(ctx.key)", ["dedupe read"]),
        ("getattr(ctx.clock, 'now')()", ["clock read"]),
        ("(lambda c: c.random.uuid())(ctx)", ["random read"]),
        ("[c.log.info('x') for c in [ctx]]", ["log write"]),
        ("{'c': ctx}['c'].secrets.get('key')", ["secrets:key read"]),
    ],
)
def test_context_is_followed(use: str, expected: list[str]) -> None:
    """Uses of the context are found wherever it goes, with the resource's name and the mode (W-CAPS)."""
    head = "from certify.capabilities import Context\n"
    assert said(walk(f"{head}def run(order, ctx: Context):\n    return {use}\n")) == expected


def test_answer_of_a_client_is_data() -> None:
    """Reading the answer of a request is no further request."""
    code = """
        import httpx
        def run(order):
            with httpx.Client(base_url="https://h") as client:
                answer = client.post("/x", json=order)
            return answer.headers.get("a"), answer.json().get("b")
        """
    assert said(walk(code)) == ["network:h:443 write"]


def test_context_without_annotation_is_named_by_the_signature() -> None:
    """A context parameter that the signature names needs no annotation."""
    assert said(walk("def run(order, c):\n    return c.clock.now()\n", context="c")) == ["clock read"]


@pytest.mark.parametrize(
    "code",
    [
        "ctx._channel",
        "ctx.http._channel",
        "getattr(ctx, order['name'])",
        "ctx.kv._x",
        "ctx.__dict__",
        "setattr(json, 'dumps', str)",
        "json.dumps.__globals__",
        "__builtins__",
        "vars(json)",
        "exec('1')",
        "type('X', (), {})",
        "order.__class__.__mro__",
        "(lambda: 0).__code__",
        "order['t'].format(json)",
        "operator.attrgetter(order['n'])(json)",
        "list(map(getattr, [json], order['names']))",
        "marshal.loads(order)",
        "codecs.lookup('x') and sys._getframe()",
        "undefined_name(order)",
        "typing.get_type_hints(order)",
        "ctypes.CDLL('libc.so.6')",
    ],
)
def test_dynamic_features_are_blind_spots(code: str) -> None:
    """What the text does not show is a blind spot with a place, never silence (C-EFFECTS)."""
    imports = "import codecs\nimport ctypes\nimport json\nimport marshal\nimport operator\nimport sys\nimport typing\n"
    imports = "".join(line + "\n" for line in imports.splitlines() if line.split()[1] in code)
    head = "from certify.capabilities import Context\n"
    analysis = walk(f"{head}{imports}def run(order, ctx: Context):\n    return {code}\n")
    assert [spot.place.file for spot in analysis.blind][:1] == ["node.py"]


def test_trusted_packages_are_assumptions() -> None:
    """A package in `trusts` is no blind spot but an assumption with the place of its import."""
    analysis = walk("import stripe\ndef run(order):\n    return stripe.charge(order)\n", trusts=("stripe",))
    assert (blind(analysis), [str(a.place) + " " + a.module for a in analysis.assumptions]) == (
        [],
        ["node.py:1:1 stripe"],
    )


def test_standard_modules_are_never_trusted() -> None:
    """Naming `os`, `ctypes` or `builtins` in `trusts` opens nothing."""
    code = "import ctypes\nimport os\ndef run(order):\n    ctypes.CDLL(None)\n    eval('1')\n    return os.getpid()\n"
    analysis = walk(code, trusts=("os", "ctypes", "builtins"))
    assert (said(analysis), set(blind(analysis)), analysis.assumptions) == (
        ["env:host.pid read"],
        {"ctypes", "builtins.eval"},
        (),
    )


def test_callbacks_of_trusted_packages_are_walked() -> None:
    """A function handed to a trusted package is walked: only the package itself is trusted."""
    code = "import rx, time\ndef tick(x):\n    return time.time()\ndef run(o):\n    return rx.map(tick, o)\n"
    assert said(walk(code, trusts=("rx",))) == ["clock read"]


def test_broken_files_are_blind_spots_and_diagnostics() -> None:
    """A syntax error in an imported file is reported with its line, and the import is a blind spot."""
    analysis = walk({"node.py": "from a import f\ndef run(o):\n    return f(o)\n", "a.py": "x = 1\ndef f(:\n"})
    assert [(d.code, str(d.place)) for d in analysis.diagnostics] == [("EFF020", "a.py:2:7")]
    assert "a" in blind(analysis)


@pytest.mark.parametrize(
    "content",
    [b"x = '\xff'\n", b"\x00", b"# coding: rot13\nqrs eha(k): cnff\n", b"# coding: nonsense\n", b"def run(o:\n"],
)
def test_entry_that_is_no_python_is_unknown(content: bytes) -> None:
    """An entry file that cannot be read as Python gives a blind spot and a diagnostic, not an exception."""
    analysis = analyse(parse_sources({"node.py": content}), "node:run")
    assert ([d.code for d in analysis.diagnostics], len(analysis.blind)) == (["EFF020"], 1)


@pytest.mark.parametrize(
    "body",
    [
        "return " + "(" * 5000 + "o" + ")" * 5000,
        "return o" + ".a(1)" * 3000,
        "return " + "+".join(["o"] * 20_000),
        "return run(run)(run)(o)",
    ],
)
def test_monstrous_code_does_not_raise(body: str) -> None:
    """Deep nesting and endless chains end in an answer, whatever it is worth."""
    analysis = walk(f"def run(o):\n    {body}\n")
    assert analysis.blind or not analysis.effects


def test_cycles_of_imports_calls_and_bases_end() -> None:
    """Modules that import, functions that call, and classes that derive from each other are walked once."""
    analysis = walk(
        {
            "node.py": "from a import *\nclass A(A): pass\nclass B(C): pass\nclass C(B): pass\n"
            "def run(o):\n    p = o\n    while p:\n        p = p + 'x'\n    return f(p), B()\n",
            "a.py": "from b import *\nfrom node import run\ndef f(o):\n    return g(o)\n",
            "b.py": "from a import *\nimport time\ndef g(o):\n    return f(o) or time.time()\n",
        }
    )
    assert said(analysis) == ["clock read"]


def test_large_file_is_walked_to_its_end() -> None:
    """A long chain of functions in one file still leads to the effect at its end."""
    lines = ["import time", "def f0(x):", "    return time.time()"]
    for number in range(1, 3000):
        lines += [f"def f{number}(x):", f"    return f{number - 1}(x)"]
    lines += ["def run(o):", "    return f2999(o)"]
    (effect,) = walk("\n".join(lines)).effects
    assert (effect.name, len(effect.path)) == ("clock", 3002)


def test_table_of_data_is_no_burden() -> None:
    """A literal of a hundred thousand rows is data, and what follows it is still walked."""
    rows = "".join(f"    'k{i}': [{i}, ('x', 'y')],\n" for i in range(50_000))
    assert said(walk(f"import time\nTABLE = {{\n{rows}}}\ndef run(o):\n    return TABLE[o], time.time()\n")) == [
        "clock read"
    ]


def test_too_large_file_is_a_diagnostic(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file beyond the bound is not read, and the verdict about it is unknown."""
    monkeypatch.setattr("certify.analysis.sources.LARGEST_FILE", 10)
    (tmp_path / "node.py").write_text("def run(o):\n    return o\n")
    analysis = analyse(read_sources(tmp_path, ["node.py", "absent.py"]), "node:run")
    assert ([d.code for d in analysis.diagnostics], len(analysis.blind)) == (["EFF020", "EFF021"], 1)


def test_running_out_of_visits_is_a_blind_spot(monkeypatch: pytest.MonkeyPatch) -> None:
    """When the bound on visits is passed, the whole node is a blind spot."""
    monkeypatch.setattr("certify.analysis.engine._MOST_VISITS", 5)
    analysis = walk("def run(o):\n    return [o, o, o, o, o, o]\n")
    assert [spot.why for spot in analysis.blind] == ["is too large for the analysis to finish"]


def test_missing_entry_is_a_blind_spot() -> None:
    """An entry point that the module does not define cannot be bounded."""
    assert blind(walk("def other(o):\n    return o\n")) == ["run"]
    assert blind(analyse(parse_sources({}), "node:run")) == ["node:run"]


def test_nothing_of_the_node_is_executed(tmp_path: Path) -> None:
    """Walking a node that would write when imported writes nothing."""
    (tmp_path / "node.py").write_text(f"open({str(tmp_path / 'trace')!r}, 'w')\ndef run(o):\n    return o\n")
    analysis = analyse(read_sources(tmp_path), "node:run")
    assert ([e.kind.value for e in analysis.effects], (tmp_path / "trace").exists()) == (["fs"], False)


def test_analysis_is_deterministic() -> None:
    """Two walks of one text say the same in the same order."""
    code = "import time, random, os\ndef run(o):\n    return [f() for f in (time.time, random.random, os.getpid)]\n"
    assert walk(code).to_data() == walk(code).to_data()
