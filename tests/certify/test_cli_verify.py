"""`verify` and `simulate`: verdicts and exit statuses, wrong requests, and what is written."""

from __future__ import annotations

import json
import re
from importlib import metadata
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from certify.cli import verifying
from certify.cli.app import run
from certify.specs import engine
from certify_verifier import cache
from certify_verifier.search import DisagreementError
from certify_verifier.solving import Question, Status
from specs_support import LOCK, NO_CHECK, NO_COUNT, NO_LEMMA, NO_RELEASE

DEEP = """machine Far
var n : Int = 0
action up { n := n + 1 }
invariant counts : n >= 0
reachable far : n == 99
"""
HARD = """theory Hard
law cubes(a: Int, b: Int, c: Int) : a * a * a + b * b * b + c * c * c != 114
"""  # nobody knows whether 114 is a sum of three cubes
ONCE = """machine Once
var done : Bool = false
action go when not done { done := true }
invariant told : done or not done
"""
MANY = """machine Many
var n : Int = 0
action add(u: Int, v: Int, w: Int) { n := u + v + w }
invariant same : n == n
instance big { Int = 0 .. 999 }
"""


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Commands run in a folder of their own, with kept answers of their own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CERTIFY_CACHE", raising=False)
    return tmp_path


def spec(text: str, name: str = "lock.ct") -> str:
    """A file with a specification."""
    Path(name).parent.mkdir(parents=True, exist_ok=True)
    Path(name).write_text(text, encoding="utf-8")
    return name


def verdicts(out: str) -> dict[str, str]:
    """The verdict of each property in a JSON document."""
    [found] = json.loads(out)["specifications"]
    return {finding["property"]: finding["verdict"] for finding in found["findings"]}


@pytest.mark.parametrize(
    ("text", "name", "verdict", "status"),
    [
        (LOCK, "one_holder", "proved", 0),
        (NO_CHECK, "one_holder", "refuted", 1),
        (NO_RELEASE, "comes_back", "refuted", 1),
        (NO_LEMMA, "one_holder", "proved", 0),
        (NO_COUNT, "bounded", "not-inductive", 1),
        (LOCK.replace("== inside {", "== inside and taken > 7 {"), "give", "vacuous", 1),
        (DEEP, "far", "undecided", 3),
    ],
    ids=["right", "no check", "no release", "lemma found", "no lemma", "never given back", "too far"],
)
def test_each_verdict_has_its_exit_status(
    capsys: pytest.CaptureFixture[str], text: str, name: str, verdict: str, status: int
) -> None:
    """Seeded bugs are found by name; undecided is neither success nor refusal."""
    assert run(["verify", spec(text), "--json", "--jobs", "2"]) == status
    out = capsys.readouterr().out
    assert (verdicts(out)[name], json.loads(out)["status"]) == (verdict, status)


def test_a_lemma_that_was_found_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    """What had to be found is said, as a declaration to copy too; once it is stated, nothing is looked for."""
    text = spec(NO_LEMMA)
    assert run(["verify", text, "--jobs", "2"]) == 0
    out = capsys.readouterr().out
    assert "by induction with a lemma that was found, for all parameters" in out
    [lemma] = [line.partition("found: ")[2] for line in out.splitlines() if "found: lemma" in line]
    assert run(["verify", text, "--jobs", "2"]) == 0
    assert f"found: {lemma}\n" in capsys.readouterr().out
    assert run(["verify", spec(f"{NO_LEMMA}{lemma}\n"), "--jobs", "2"]) == 0
    assert "found: lemma" not in capsys.readouterr().out


def test_a_counterexample_is_told_as_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    """The table shows steps, arguments, what changed, the broken clause and its line."""
    assert run(["verify", spec(NO_CHECK), "--jobs", "2"]) == 1
    out = capsys.readouterr().out
    assert "lock.ct:16:11: VER101: invariant `one_holder` is refuted: a run of 2 steps breaks it" in out
    assert "    1     take(c = c0)  stage[c0]: outside → inside\n" in out
    assert "    broken: c == d (with c = c0, d = c1)  (lock.ct:17:74)\n" in out


def test_both_solvers_are_asked_and_their_agreement_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    """With `--solver both`, each property says how many of its obligations each solver proves."""
    assert run(["verify", spec(LOCK), "--solver", "both", "--json", "--jobs", "2"]) == 0
    read = capsys.readouterr()
    [found] = json.loads(read.out)["specifications"]
    finding = next(f for f in found["findings"] if f["property"] == "one_holder")
    assert finding["solvers"] == dict.fromkeys(("cvc5", "z3"), len(finding["obligations"]))
    assert all(obligation["answers"] == {"z3": "unsat", "cvc5": "unsat"} for obligation in found["obligations"])
    assert f"z3 and cvc5 both prove {len(found['obligations'])} of {len(found['obligations'])} obligations" in read.err


def test_folders_are_searched_and_files_named_twice_are_verified_once(capsys: pytest.CaptureFixture[str]) -> None:
    """Every `.ct` file of a folder, hidden folders left out, in a stable order."""
    spec(LOCK.replace("Lock", "Second"), "specs/b/second.ct")
    spec(LOCK.replace("Lock", "First"), "specs/a.ct")
    spec("nonsense", "specs/.hidden/c.ct")
    assert run(["verify", "specs", "specs/a.ct", "./specs/../specs/a.ct", "--json", "--jobs", "2"]) == 0
    names = [found["name"] for found in json.loads(capsys.readouterr().out)["specifications"]]
    assert names == ["First", "Second"]


def test_the_forms_are_documents_on_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    """In each form standard output is the document alone; people read standard error."""
    name = spec(NO_CHECK)
    assert [run(["verify", name, "--format", form, "--jobs", "2"]) for form in ("md", "sarif")] == [1, 1]
    out = capsys.readouterr().out
    markdown, _, sarif = out.partition('{\n  "$schema"')
    assert markdown.startswith("## Lock: ")
    assert json.loads('{"$schema"' + sarif)["version"] == "2.1.0"
    assert run(["verify", name, "--format", "junit", "--jobs", "2"]) == 1
    read = capsys.readouterr()
    assert ET.fromstring(read.out).get("failures") != "0"
    assert "broken: c == d" in read.err


def test_what_was_asked_for_is_written(capsys: pytest.CaptureFixture[str]) -> None:
    """Obligations, the page and the test are written, and named in the document."""
    arguments = ["--smt", "out/smt", "--html", "out/page.html", "--as-test", "out/test_lock.py"]
    assert run(["verify", spec(NO_CHECK), "--json", "--jobs", "2", *arguments]) == 1
    assert json.loads(capsys.readouterr().out)["written"] == ["out/smt", "out/page.html", "out/test_lock.py"]
    index = json.loads(Path("out/smt/index.json").read_text())
    assert sorted(Path("out/smt") / entry["file"] for entry in index) == sorted(Path("out/smt").rglob("*.smt2"))
    assert all("(check-sat)" in file.read_text() for file in Path("out/smt").rglob("*.smt2"))
    assert "<svg" in Path("out/page.html").read_text()
    compile(Path("out/test_lock.py").read_text(), "test_lock.py", "exec")
    assert not list(Path("out").rglob(".*"))


def test_without_a_refutation_no_test_is_written(capsys: pytest.CaptureFixture[str]) -> None:
    """A machine that holds leaves no test."""
    assert run(["verify", spec(LOCK), "--as-test", "test_lock.py", "--jobs", "2"]) == 0
    assert "no test was written" in capsys.readouterr().out
    assert not Path("test_lock.py").exists()


def test_answers_are_kept_where_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """`.certify/cache` by default, CERTIFY_CACHE if it is set, nothing with `--no-cache`."""
    name = spec(LOCK)
    assert run(["verify", name, "--no-cache", "--jobs", "2"]) == 0
    assert not Path(".certify").exists()
    assert run(["verify", name, "--jobs", "2"]) == 0
    assert list(Path(".certify/cache").rglob("*.json"))
    monkeypatch.setenv("CERTIFY_CACHE", "elsewhere")
    assert run(["verify", name, "--jobs", "2"]) == 0
    assert list(Path("elsewhere").rglob("*.json"))


def test_a_cache_that_cannot_be_written_is_a_warning(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The verification goes on, and says once that nothing was kept."""
    Path("occupied").write_text("a file")
    monkeypatch.setenv("CERTIFY_CACHE", "occupied")
    assert run(["verify", spec(LOCK), "--jobs", "2"]) == 0
    assert capsys.readouterr().out.count("VER011") == 1


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["nowhere.ct"], "VER001"),
        (["empty"], "VER002"),
        (["notes.txt"], "VER003"),
        (["/dev/zero"], "VER003"),
        (["lock.ct", "--as-test", "notes.txt"], "VER004"),
        (["lock.ct", "--as-test", "lock.ct"], "VER004"),
        (["lock.ct", "--html", "lock.ct"], "VER004"),
        (["lock.ct", "--html", "empty"], "VER004"),
        (["lock.ct", "--smt", "notes.txt"], "VER004"),
        (["lock.ct", "--json", "--format", "md"], "VER006"),
        (["lock.ct", "--watch", "--json"], "VER006"),
        (["lock.ct", "--format", "pdf"], "VER006"),
        (["lock.ct", "--solver", "vampire"], "VER006"),
        (["lock.ct", "--jobs", "0"], "CLI001"),
        (["lock.ct", "--limit", "0"], "CLI001"),
        ([], "CLI001"),
        (["binary.ct"], "SPEC002"),
        (["wrong.ct"], "SPEC"),
    ],
    ids=lambda value: " ".join(value) or "nothing" if isinstance(value, list) else "",
)
def test_a_wrong_request_is_refused_before_anything_is_verified(
    capsys: pytest.CaptureFixture[str], arguments: list[str], code: str
) -> None:
    """Exit status 2, a code, and nothing written or overwritten."""
    spec(LOCK)
    Path("empty").mkdir()
    Path("notes.txt").write_text("mine")
    Path("binary.ct").write_bytes(b"machine \xff\xfe")
    Path("wrong.ct").write_text("machine Wrong\nvar n : Int = true\n")
    before = {path: path.read_bytes() for path in Path().rglob("*") if path.is_file()}
    assert run(["verify", *arguments]) == 2
    assert code in capsys.readouterr().err
    assert {path: path.read_bytes() for path in Path().rglob("*") if path.is_file()} == before


def test_all_mistakes_of_all_files_are_told_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    """Several wrong files are told together, each with line and column, and the right one is not verified."""
    spec("machine A\nvar n : Int = true\nvar m : Bool = 3\n", "a.ct")
    spec("machine B\naction x when nothing { }\n", "b.ct")
    spec(LOCK)
    assert run(["verify", "a.ct", "b.ct", "lock.ct", "--json"]) == 2
    read = capsys.readouterr()
    places = [(e["place"]["file"], e["place"]["line"]) for e in json.loads(read.out)["errors"]]
    assert places == [("a.ct", 2), ("a.ct", 3), ("b.ct", 2)]
    assert "a.ct:2:15: SPEC301" in read.err
    assert not Path(".certify").exists()


def test_what_would_take_for_ever_ends_undecided(capsys: pytest.CaptureFixture[str]) -> None:
    """A law beyond the solvers is undecided within the limits, with the reason."""
    assert run(["verify", spec(HARD, "hard.ct"), "--limit", "0.2", "--budget", "3", "--jobs", "1"]) == 3
    assert "VER104: law `cubes` is undecided" in capsys.readouterr().out


def test_the_second_solver_may_be_missing(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Without cvc5 a hard law is undecided all the same, and asking for cvc5 by name is refused."""

    def version(package: str) -> str:
        if package == "cvc5":
            raise metadata.PackageNotFoundError(package)
        return "1"

    cache.solver_version.cache_clear()
    monkeypatch.setattr(cache.metadata, "version", version)
    assert run(["verify", spec(HARD, "hard.ct"), "--limit", "0.2", "--budget", "3", "--jobs", "1"]) == 3
    cache.solver_version.cache_clear()
    monkeypatch.setattr(verifying.importlib.util, "find_spec", lambda _: None)
    assert run(["verify", "hard.ct", "--solver", "both"]) == 2
    assert "VER007: cvc5 is not installed" in capsys.readouterr().err


def test_a_machine_may_not_use_more_than_its_budget(capsys: pytest.CaptureFixture[str]) -> None:
    """Once the time of a machine is used up every further question is unknown, and nothing is called proved."""
    assert run(["verify", spec(LOCK), "--budget", "0.1", "--limit", "0.01", "--no-cache", "--json"]) == 3
    assert "refuted" not in verdicts(capsys.readouterr().out).values()


def test_watching_verifies_again_when_a_file_changes(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A change, a mistake and a repair each lead to a new round; Ctrl-C ends with the last status."""
    name = spec(LOCK)
    rounds = iter([NO_CHECK, "machine Broken\nvar n : Int = true\n", LOCK])

    def pause() -> None:
        text = next(rounds, None)
        if text is None:
            raise KeyboardInterrupt
        Path(name).write_text(text + f"-- {len(text)}\n")

    monkeypatch.setattr(verifying, "_pause", pause)
    assert run(["verify", name, "--watch", "--jobs", "2"]) == 0
    out = capsys.readouterr().out
    told = re.findall(r"^Lock: (everything holds|\d+ refuted)|(SPEC301)", out, re.MULTILINE)
    assert ["".join(each) for each in told] == ["everything holds", "2 refuted", "SPEC301", "everything holds"]


def test_an_interrupted_verification_ends_at_once() -> None:
    """Ctrl-C does not wait for the limits of the questions that are being asked."""
    cubes = "(declare-fun a () Int)(declare-fun b () Int)(declare-fun c () Int)"
    cubes += "(assert (= 114 (+ (* a a a) (* b b b) (* c c c))))"
    asked = []

    def interrupted() -> None:
        with engine.Pool(2) as pool:
            asked.extend(pool.submit(Question(cubes, milliseconds=250_000)) for _ in range(4))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert {future.cancelled() or future.result().status for future in asked} <= {True, Status.UNKNOWN}


def test_readings_that_contradict_each_other_conclude_nothing(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disagreement between solver and interpreter is told as a defect, in every form, and is no success."""

    def disagree(*_: object) -> None:
        raise DisagreementError("one_holder: the interpreter finds that it holds")

    monkeypatch.setattr(engine, "verify", disagree)
    name = spec(LOCK)
    assert run(["verify", name, "--html", "page.html"]) == 3
    assert "lock.ct:1:1: VER010: nothing is concluded about Lock" in capsys.readouterr().out
    forms = []
    for form in ("md", "sarif", "junit"):
        assert run(["verify", name, "--format", form]) == 3
        forms.append(capsys.readouterr().out)
    told = ["nothing is concluded" in text for text in (*forms, Path("page.html").read_text())]
    assert told == [True] * 4
    assert ET.fromstring(forms[2]).get("errors") == "1"


# --- simulate --------------------------------------------------------------------------------------------------------


def test_a_simulation_is_the_same_for_the_same_seed(capsys: pytest.CaptureFixture[str]) -> None:
    """Equal seeds give equal runs, byte for byte; some other seed gives another."""
    name = spec(LOCK)
    runs = []
    for seed in ("1", "1", "2", "3", "4"):
        assert run(["simulate", name, "--steps", "12", "--seed", seed]) == 0
        runs.append(capsys.readouterr().out)
    assert runs[0] == runs[1]
    assert len(set(runs)) > 1


def test_a_simulation_stops_at_what_it_breaks(capsys: pytest.CaptureFixture[str]) -> None:
    """A run that breaks a property ends there, names it, and exits 1."""
    assert run(["simulate", spec(NO_CHECK), "--steps", "200", "--json"]) == 1
    read = capsys.readouterr()
    found = json.loads(read.out)
    assert found["broken"]
    assert f"broken: {found['broken'][0]}" in read.err


def test_a_script_is_followed(capsys: pytest.CaptureFixture[str]) -> None:
    """The steps of a script are taken in order, and the table shows them."""
    Path("run.txt").write_text("take(c0)\ntick(d = 3) -- time passes\ngive(c0)\n")
    assert run(["simulate", spec(LOCK), "--script", "run.txt"]) == 0
    out = capsys.readouterr().out
    assert "2     tick(d = 3)   now: 0 → 3\n" in out
    assert out.endswith("3 steps\n")


def test_a_run_that_cannot_go_on_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    """Where nothing can happen any more the run ends early."""
    assert run(["simulate", spec(ONCE)]) == 0
    assert "1 step; nothing can happen any more" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "arguments", "code"),
    [
        (LOCK, ["--script", "nowhere.txt"], "VER001"),
        (LOCK, ["--script", "wrong.txt"], "VER005"),
        (LOCK, ["--script", "binary.txt"], "VER005"),
        (LOCK, ["--script", "impossible.txt"], "SPEC402"),
        (LOCK, ["--instance", "large"], "SPEC201"),
        (LOCK, ["--steps", "-1"], "CLI001"),
        (LOCK.replace("var taken", "param p : Int where p < p\nvar taken"), [], "SPEC401"),
        ("theory T\nlaw l(x: Int) : x == x\n", [], "VER008"),
        ("machine W\nvar n : Int = true\n", [], "SPEC301"),
        (
            MANY,
            [],
            "SPEC403",
        ),
    ],
)
def test_a_wrong_simulation_is_refused(
    capsys: pytest.CaptureFixture[str], text: str, arguments: list[str], code: str
) -> None:
    """Exit status 2 and a code."""
    Path("wrong.txt").write_text("take(c9)\n")
    Path("binary.txt").write_bytes(b"\xff\xfe")
    Path("impossible.txt").write_text("take(c0)\ntake(c0)\n")
    assert run(["simulate", spec(text), *arguments]) == 2
    assert code in capsys.readouterr().err


def test_a_simulation_that_takes_too_long_ends(capsys: pytest.CaptureFixture[str]) -> None:
    """A run beyond its limit is refused with VER009."""
    slow = LOCK.replace("invariant kept", "invariant slow : forall a, b, c, d, e, f in Call: a == a\ninvariant kept")
    slow = slow.replace("Call = 2", "Call = 12")
    assert run(["simulate", spec(slow), "--limit", "0.2"]) == 2
    assert "VER009" in capsys.readouterr().err
