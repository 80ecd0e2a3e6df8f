"""Claims about reading `node.toml`: what is wrong is said, all at once, at the words that are wrong."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from certify.manifest import files
from certify.manifest.loader import MAX_BYTES, load, parse
from certify.manifest.model import Determinism, Effects, Manifest, ResourceKind
from certify_spec.diagnostics import RequestError, Severity, render
from manifest_support import FILES, SMALL, UPSTREAM, found, refusals, write_node


def test_a_complete_manifest_is_read(tmp_path: Path) -> None:
    """Every table reaches the model, durations in seconds and sizes in bytes."""
    manifest = load(write_node(tmp_path, UPSTREAM))

    assert (
        manifest.schema_,
        manifest.node.id,
        manifest.node.effects,
        manifest.node.determinism,
        manifest.resource[0].kind,
        manifest.resource[0].answers["429"].within,
        manifest.idempotency.key if manifest.idempotency else None,
        manifest.idempotency.retention if manifest.idempotency else None,
        manifest.budget.memory,
    ) == (
        1,
        "shop/charge",
        Effects.EFFECTFUL,
        Determinism.STABLE,
        ResourceKind.HTTP,
        3.0,
        ("order.id",),
        86400.0,
        2**26,
    )


AGAIN = '[[fixture]]\nname = "order"\ninput = "fixtures/order.json"\n[[fixture]]'
LOG = '[[resource]]\nname = "payments"\nkind = "log"\n'
FILE = '[[resource]]\nname = "f"\nkind = "fs"\npath = "../x"\n'

SEEDED = [
    # (manifest, words, their replacement, code, the words at which it is reported)
    (SMALL, 'version = "1.0.0"', "version = 1.0.0", "MAN004", ".0\n"),
    (SMALL, 'wall = "1s"', 'wall = "1s', "MAN004", "\ncpu"),
    (SMALL, "[budget]", "[node]", "MAN004", "]\nwall"),
    (SMALL, "schema = 1\n", "", "MAN005", ""),
    (SMALL, "schema = 1", "schema = 2", "MAN005", "2\n"),
    (SMALL, "schema = 1", "schema = true", "MAN005", "true\n"),
    (SMALL, "schema = 1", 'schema = "1"', "MAN005", '"1"\n'),
    (SMALL, 'effects = "pure"', 'efects = "pure"\neffects = "pure"', "MAN006", "efects"),
    (SMALL, "[[fixture]]", "[tool.x]\n[[fixture]]", "MAN006", "tool"),
    (SMALL, 'entry = "normalise:handle"', 'entry = ["normalise:handle"]', "MAN007", "["),
    (SMALL, "[budget]", "[budget]\nrequests = 1.0", "MAN007", "1.0"),
    (SMALL, "[budget]", "[budget]\nrequests = true", "MAN007", "true"),
    (SMALL, "[budget]", '[budget]\nqps = "1"', "MAN007", '"1"\n'),
    (SMALL, "[[fixture]]", "[fixture]", "MAN007", "[fixture]"),
    (SMALL, "[node]", "[[node]]", "MAN007", "[[node]]"),
    (SMALL, '"pure"', '"Pure"', "MAN008", '"Pure"'),
    (SMALL, '"strict"', '"stable"\npins = ["clock", "moon"]', "MAN008", '"moon"'),
    (SMALL, "[budget]", '[input.classes]\ncustomer.email = "pii"\n[budget]', "MAN008", "customer"),
    (SMALL, 'determinism = "strict"\n', "", "MAN009", "[node]"),
    (SMALL, '[[fixture]]\nname = "order"\n', "[[fixture]]\n", "MAN009", "[[fixture]]"),
    (SMALL, "normalise:handle", "normalise", "MAN010", '"normalise"'),
    (SMALL, "normalise:handle", "..normalise:handle", "MAN010", '"..'),
    (SMALL, '"1.0.0"', '"1.0"', "MAN010", '"1.0"'),
    (SMALL, '"1.0.0"', '"01.0.0"', "MAN010", '"01'),
    (SMALL, '"1.0.0"', '"١.0.0"', "MAN010", '"١'),
    (SMALL, '"1.0.0"', '"1.0.0\\n"', "MAN010", '"1.0'),
    (SMALL, '"shop/normalise"', '"../shop"', "MAN010", '"../'),
    (SMALL, 'wall = "1s"', "wall = 1", "MAN010", "1\ncpu"),
    (SMALL, 'wall = "1s"', 'wall = "0s"', "MAN010", '"0s"'),
    (SMALL, 'wall = "1s"', 'wall = "-1s"', "MAN010", '"-1s"'),
    (SMALL, 'wall = "1s"', f'wall = "{"9" * 400}s"', "MAN010", '"999'),
    (SMALL, 'memory = "64MiB"', 'memory = "64 mb"', "MAN010", '"64'),
    (SMALL, 'memory = "64MiB"', 'memory = "٦MiB"', "MAN010", '"٦'),
    (SMALL, "[budget]", "[budget]\nrequests = -1", "MAN010", "-1"),
    (SMALL, "[budget]", "[budget]\nqps = inf", "MAN011", "inf"),
    (SMALL, "[budget]", f"[budget]\ntokens = {2**64}", "MAN011", str(2**64)),
    (SMALL, '"shop/normalise"', '"shop/normalise"\nsummary = "e\u0301"', "MAN011", '"e\u0301'),
    (SMALL, '"shop/normalise"', '"shop/normalise"\nsummary = 1979-05-27', "MAN011", "1979"),
    (UPSTREAM, '{ state = "charged" }', "{ state = nan }", "MAN011", "nan"),
    (UPSTREAM, '{ state = "charged" }', "{ state = 07:32:00 }", "MAN011", "07:32"),
    (SMALL, "[[fixture]]", AGAIN, "MAN012", '"order"\ninput = "fixtures/order.json"\n$'),
    (UPSTREAM, 'key = ["order.id"]', 'key = ["order.id", "order.id"]', "MAN012", '"order.id"]'),
    (UPSTREAM, "[idempotency]", f"{LOG}[idempotency]", "MAN012", '"payments"\nkind = "log"'),
    (UPSTREAM, '"stable"', '"strict"', "MAN013", "pins"),
    (UPSTREAM, '"error", error = "NotAllowed"', '"value", error = "NotAllowed"', "MAN013", 'error = "Not'),
    (UPSTREAM, 'outcome = "value"', 'outcome = "error"', "MAN013", "output = {"),
    (UPSTREAM, "[resource.answers]", 'path = "x"\n[resource.answers]', "MAN013", "path"),
    (SMALL, "[budget]", '[[resource]]\nname = "t"\nkind = "clock"\nmode = "write"\n[budget]', "MAN013", '"write"'),
    (SMALL, '"pure"', '"effectful"', "MAN014", '"effectful"'),
    (UPSTREAM, '"effectful"', '"read_only"', "MAN015", '"write"'),
    (UPSTREAM, '"effectful"', '"pure"', "MAN015", '"write"'),
    (SMALL, "[budget]", '[[resource]]\nname = "t"\nkind = "clock"\n[budget]', "MAN016", '"clock"'),
    (UPSTREAM, 'malformed = { outcome = "error", error = "Down" }\n', "", "MAN017", "[resource.answers]"),
    (UPSTREAM, "timeout =", "timeuot =", "MAN017", "[resource.answers]"),
    (UPSTREAM, "5xx =", '600 = { outcome = "value" }\n5xx =', "MAN017", "600"),
    (UPSTREAM, '"order.lines[].sku" =', '"order.lines[0].sku" =', "MAN018", '"order.lines[0]'),
    (UPSTREAM, '"order.tenant"', '"order..tenant"', "MAN018", '"order..'),
    (UPSTREAM, 'key = ["order.id"]', 'key = [""]', "MAN018", '""]'),
    (SMALL, "fixtures/order.json", "fixtures/none.json", "MAN019", '"fixtures/none'),
    (SMALL, "fixtures/order.json", "fixtures", "MAN019", '"fixtures"'),
    (SMALL, "fixtures/order.json", "fixtures/order.json/x", "MAN019", '"fixtures/order.json/x'),
    (SMALL, "fixtures/order.json", "../order.json", "MAN020", '"../'),
    (SMALL, "fixtures/order.json", "/etc/passwd", "MAN020", '"/etc'),
    (SMALL, "fixtures/order.json", "fixtures/\\u0000", "MAN020", '"fixtures/\\u'),
    (SMALL, "fixtures/order.json", "", "MAN020", '""\n'),
    (UPSTREAM, "[idempotency]", f"{FILE}[idempotency]", "MAN020", '"../x'),
    (SMALL, "normalise:handle", "nowhere.normalise:handle", "MAN022", '"nowhere'),
    (UPSTREAM, "upstream:app", "os.path:app", "MAN022", '"os.path'),
    (SMALL, "[[fixture]]", '[[pattern]]\nspec = "retyr"\n[[fixture]]', "MAN023", '"retyr'),
]  # fmt: skip


@pytest.mark.parametrize(("text", "words", "wrong", "code", "at"), SEEDED, ids=lambda value: str(value)[:24].strip())
def test_a_seeded_mistake_is_found_at_its_words(
    tmp_path: Path, text: str, words: str, wrong: str, code: str, at: str
) -> None:
    """Each mistake has its code, and the line and column of the words at fault; it says what to do."""
    assert words in text
    broken = text.replace(words, wrong, 1)
    if at.endswith("$"):
        at, start = at[:-1], broken.rindex(at[:-1])
    else:
        start = text.index(words)
    offset = broken.index(at, start if at in broken[start:] else 0)
    line, column = broken.count("\n", 0, offset) + 1, offset - broken.rfind("\n", 0, offset)

    diagnostics = refusals(write_node(tmp_path, broken))

    assert (code, line, column) in found(diagnostics)
    assert all(d.message and d.fix and d.severity is Severity.ERROR for d in diagnostics)


@pytest.mark.parametrize(("text", "words", "wrong", "code", "at"), SEEDED, ids=lambda value: str(value)[:24].strip())
def test_one_mistake_is_reported_once(tmp_path: Path, text: str, words: str, wrong: str, code: str, at: str) -> None:
    """A single mistake has a single code: no other rule complains of what follows from it."""
    codes = {d.code for d in refusals(write_node(tmp_path, text.replace(words, wrong, 1)))}

    assert {code} == codes


def test_all_mistakes_are_reported_together(tmp_path: Path) -> None:
    """Mistakes of every phase after TOML itself come in one report, in the order of the file."""
    text = UPSTREAM
    for words, wrong in [
        ("schema = 1\n", ""), ("shop/charge", "Shop"), ("stable", "strict"), ("5xx", "6xx"), ('wall = "1s"', "wal = 1"),
        ("charge:handle", "nowhere:handle"), ("order.tenant", "order."), ("charged.json", "none.json"),
    ]:  # fmt: skip
        text = text.replace(words, wrong, 1)

    diagnostics = refusals(write_node(tmp_path, text))

    expected = [
        "MAN005",
        "MAN010",
        "MAN022",
        "MAN013",
        "MAN013",
        "MAN017",
        "MAN017",
        "MAN018",
        "MAN009",
        "MAN006",
        "MAN019",
    ]
    assert expected == [d.code for d in diagnostics]
    assert [d.place for d in diagnostics] == sorted(d.place for d in diagnostics if d.place)


@pytest.mark.parametrize(
    ("wrong", "suggestion"),
    [
        ('versoin = "1"', "`version`"),
        ('owners = "x"', "`owner`"),
        ('url = "https://x"', "a field of [[resource]]"),
        ("schema = 1", "a field of the manifest's top"),
    ],
)
def test_an_unknown_field_names_the_one_that_was_meant(tmp_path: Path, wrong: str, suggestion: str) -> None:
    """An unknown field comes with the nearest free name, or the table where it belongs."""
    text = SMALL.replace("[node]", f"[node]\n{wrong}").replace(
        'version = "1.0.0"\n', "" if "versoin" in wrong else 'version = "1.0.0"\n'
    )

    fixes = [d.fix for d in refusals(write_node(tmp_path, text)) if d.code == "MAN006"]

    assert [suggestion in fix for fix in fixes] == [True]


def test_another_schema_is_named_with_the_one_that_is_read(tmp_path: Path) -> None:
    """A manifest of the future is refused for that alone, whatever else it holds (R-SCHEMA)."""
    (only,) = refusals(write_node(tmp_path, SMALL.replace("schema = 1", "schema = 7") + "\n[future]\nx = 1\n"))

    assert (only.code, "reads schema 1" in only.message, "newer release" in only.fix) == ("MAN005", True, True)


def test_a_schema_below_a_table_is_told_where_it_belongs(tmp_path: Path) -> None:
    """TOML has no way back to the top; the report says so, and offers the edit."""
    text = SMALL.replace("schema = 1\n", "").replace("[budget]", "[budget]\nschema = 1")
    diagnostics = refusals(write_node(tmp_path, text))

    missing = next(d for d in diagnostics if d.code == "MAN005")
    assert ("[budget]" in missing.because, "schema = 1\n") == (True, missing.edit.replacement if missing.edit else None)


@pytest.mark.parametrize(
    ("content", "code", "line", "column"),
    [
        (b"\xef\xbb\xbfschema = 1\n", "MAN002", 0, 0),
        ("schema = 1\n# é".encode() + b" \xff", "MAN002", 2, 5),
        ("schema = 1\n".encode("utf-16"), "MAN002", 1, 1),
        (b"schema = 1\nx = '\x00'\n", "MAN004", 2, 6),
        (b"schema = 1\rx = 1", "MAN004", 1, 11),
        (b"# " + b"x" * MAX_BYTES, "MAN003", 0, 0),
        (b"a = " + b"[" * 50_000, "MAN003", 1, 37),
        (b"a." * 200_000 + b"a = 1", "MAN003", 1, 65),
        (b"schema = 1\nx = 0x" + b"f" * 20, "MAN006", 2, 1),
        (b"schema = 1\nx = " + b"9" * 5_000, "MAN004", 2, 5),
        (b"", "MAN005", 1, 1),
    ],
    ids=lambda value: str(value)[:20],
)
def test_hostile_bytes_are_refused_with_their_place(
    tmp_path: Path, content: bytes, code: str, line: int, column: int
) -> None:
    """Marks, foreign encodings, control characters, size, depth and giant numbers end in a diagnostic."""
    path = tmp_path / "node.toml"
    path.write_bytes(content)
    assert (code, line, column) in found(refusals(path))


def test_what_is_no_readable_file_is_refused(tmp_path: Path) -> None:
    """A missing file, a folder, a pipe, a loop of links and an impossible name each get MAN001 and a way on."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    names = [
        tmp_path / "none",
        tmp_path,
        tmp_path / "pipe",
        tmp_path / "loop",
        tmp_path / "nul\0",
        tmp_path / ("x" * 300),
    ]

    diagnostics = [refusals(name) for name in names]

    assert [["MAN001"]] * len(names) == [[d.code for d in each] for each in diagnostics]
    assert "node.toml" in diagnostics[1][0].fix


def test_a_missing_required_table_is_placed_at_the_start(tmp_path: Path) -> None:
    """Without a table there is no header: the first line stands for the manifest."""
    text = SMALL[: SMALL.index("[budget]")]

    diagnostics = refusals(write_node(tmp_path, text))

    assert found(diagnostics) == [("MAN009", 1, 1), ("MAN009", 1, 1)]
    assert [d.fix for d in diagnostics] == ["add [[fixture]]", "add [budget]"]


def test_a_problem_between_two_tables_points_at_both(tmp_path: Path) -> None:
    """A written resource under a read-only claim has a note at the claim."""
    (only,) = refusals(write_node(tmp_path, UPSTREAM.replace('"effectful"', '"read_only"')))

    assert (only.code, [note.place.line for note in only.notes if note.place]) == ("MAN015", [7])


BAD_JSON = [
    (b"{", 1, 2),
    (b"{}\n{}", 2, 1),
    (b'{"a": 1, "a": 2}', 1, 1),
    (b"[NaN]", 1, 1),
    (b'{"a":\n tru}', 2, 2),
    (b"\xef\xbb\xbf{}", 1, 1),
    (b"\xff", 1, 1),
    (b"", 1, 1),
    (b"[" * 100_000, 1, 1),
    (b"9" * 5_000, 1, 1),
]


@pytest.mark.parametrize(("content", "line", "column"), BAD_JSON, ids=lambda value: str(value)[:16])
def test_a_fixture_that_is_not_json_is_placed_in_the_fixture(
    tmp_path: Path, content: bytes, line: int, column: int
) -> None:
    """The place is in the fixture's file, and a note leads back to the manifest."""
    path = write_node(tmp_path)
    (tmp_path / "fixtures/order.json").write_bytes(content)

    (only,) = refusals(path)

    assert only.place is not None
    assert ("MAN021", str(tmp_path / "fixtures/order.json"), line, column) == (
        only.code,
        only.place.file,
        only.place.line,
        only.place.column,
    )
    assert [(str(path), 17)] == [(note.place.file, note.place.line) for note in only.notes if note.place]


def test_a_fixture_outside_the_folder_is_refused_though_a_link_hides_it(tmp_path: Path) -> None:
    """Links to a file and through a folder are followed before the folder is judged; links within it are fine."""
    outside = tmp_path / "outside.json"
    outside.write_text("{}")
    path = write_node(tmp_path / "node", files={k: v for k, v in FILES.items() if not k.startswith("fixtures")})
    linked = tmp_path / "node/fixtures"

    linked.symlink_to(tmp_path, target_is_directory=True)
    through_folder = refusals(write_node(tmp_path / "node", SMALL.replace("order.json", "outside.json"), {}))
    linked.unlink()
    linked.mkdir()
    (linked / "order.json").symlink_to(outside)
    to_file = refusals(write_node(tmp_path / "node", SMALL, {}))
    (linked / "order.json").unlink()
    (linked / "real.json").write_text("{}")
    (linked / "order.json").symlink_to("real.json")

    assert (found(through_folder), found(to_file), refusals(path)) == ([("MAN020", 17, 9)], [("MAN020", 17, 9)], ())


def test_a_module_outside_the_folder_is_refused_though_a_link_hides_it(tmp_path: Path) -> None:
    """An entry point that is a link out of the folder is not the node's own."""
    path = write_node(tmp_path / "node")
    (tmp_path / "elsewhere.py").write_text("def handle(x): return x\n")
    (tmp_path / "node/normalise.py").unlink()
    (tmp_path / "node/normalise.py").symlink_to(tmp_path / "elsewhere.py")

    assert found(refusals(path)) == [("MAN020", 6, 9)]


def test_a_giant_fixture_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fixture has a size that the laboratory can carry."""
    monkeypatch.setattr(files, "MAX_FIXTURE_BYTES", 10)
    assert found(refusals(write_node(tmp_path))) == [("MAN024", 17, 9)]


def test_a_pipe_as_fixture_is_refused_at_once(tmp_path: Path) -> None:
    """What is no regular file is never waited for."""
    path = write_node(tmp_path)
    (tmp_path / "fixtures/order.json").unlink()
    os.mkfifo(tmp_path / "fixtures/order.json")

    assert found(refusals(path)) == [("MAN019", 17, 9)]


@pytest.mark.parametrize(
    "url",
    [
        "ftp://a", "https://", "https:///x", "https://a/b", "https://a?x", "https://a#x", "https://u:p@a",
        "https://a:0",
        "https://a:99999", "https://a:", "https://a b", "https://[::1", "a.example", "https://a\\\\b", "",
    ],
)  # fmt: skip
def test_an_upstream_is_an_origin_and_nothing_more(tmp_path: Path, url: str) -> None:
    """Credentials, paths, queries and ports that cannot be are no part of an origin (C-POLICY)."""
    text = UPSTREAM.replace("https://api.example.com:8443", url)

    (only,) = refusals(write_node(tmp_path, text))

    assert found((only,))[0] == ("MAN010", 20, 7)


@pytest.mark.parametrize(
    "url", ["http://localhost:8080", "https://a.example/", "https://[::1]:443", "http://127.0.0.1"]
)
def test_origins_are_accepted(tmp_path: Path, url: str) -> None:
    """Hosts by name and by address, with and without port, are upstreams."""
    assert refusals(write_node(tmp_path, UPSTREAM.replace("https://api.example.com:8443", url))) == ()


def test_the_model_alone_refuses_what_does_not_go_together() -> None:
    """A manifest that is built without the loader obeys the same rules within its tables."""
    with pytest.raises(ValueError, match=r"`answers` must say what the node does on 401"):
        Manifest.model_validate(
            {
                "schema": 1,
                "node": {"id": "a", "version": "1.0.0", "entry": "a:b", "effects": "pure", "determinism": "strict"},
                "budget": {"wall": "1s", "cpu": "1s", "memory": "1MiB"},
                "resource": [{"name": "x", "kind": "http", "url": "http://x"}],
                "fixture": [{"name": "a", "input": "a"}],
            }
        )


LINES = st.lists(
    st.sampled_from([*UPSTREAM.splitlines(), "x = 1", "[a.b]", "[[c]]", "]", '"', "schema = 2"]), max_size=25
)


@settings(max_examples=300, deadline=None)
@given(LINES)
def test_no_manifest_ends_in_anything_but_a_manifest_or_diagnostics(lines: list[str]) -> None:
    """However its lines are shuffled, a manifest is read or refused with places inside the text."""
    text = "\n".join(lines)
    with pytest.raises(RequestError) as caught:  # its fixtures do not exist
        parse(text.encode(), Path("no-such-folder/node.toml"))

    places = [d.place for d in caught.value.diagnostics if d.place]
    assert len(places) == len(caught.value.diagnostics) > 0
    assert [place for place in places if not 1 <= place.line <= text.count("\n") + 1] == []


@settings(max_examples=300, deadline=None)
@given(st.integers(0, len(UPSTREAM) - 1), st.text(max_size=4), st.integers(0, 8))
def test_no_change_of_a_few_characters_ends_in_a_traceback(at: int, insert: str, drop: int) -> None:
    """A valid manifest with a few characters changed is read or refused, with text that can be written down."""
    text = UPSTREAM[:at] + insert + UPSTREAM[at + drop :]
    with pytest.raises(RequestError) as caught:  # its fixtures do not exist
        parse(text.encode("utf-8", "surrogatepass"), Path("no-such-folder/node.toml"))

    assert {d.code[:3] for d in caught.value.diagnostics} == {"MAN"}
    assert all(render(d).encode() for d in caught.value.diagnostics)
