"""Views of verified machines: verdicts stay apart, runs can be read, hostile text does no harm."""

import json
import re
from html.parser import HTMLParser
from xml.etree import ElementTree as ET

import pytest

from certify.specs import diagram, html, json_view, junit, markdown, sarif, smt
from certify.specs.explain import Standing
from certify.specs.story import tell
from certify.specs.tables import agreement_line, headline, rows, sanity_line, story_lines
from certify_spec.loader import load_text
from certify_verifier.verdict import Refuted
from specs_support import LOCK, NO_CHECK, VERDICTS, bad_run, verified

CODES = {
    "proved-up-to": "VER105",
    "refuted": "VER101",
    "not-inductive": "VER102",
    "vacuous": "VER103",
    "undecided": "VER104",
}
STANDINGS = {"proved": Standing.HELD, "proved-up-to": Standing.OPEN, "undecided": Standing.OPEN}
HOSTILE = 'P1: <script>alert(1)</script> ]]> | `x` [a](javascript:x) \u202e\x07 & "quoted" \''


@pytest.mark.parametrize("word", VERDICTS)
def test_each_verdict_has_its_own_word_code_and_standing(word: str) -> None:
    """The six verdicts differ in word, diagnostic code and what they come to."""
    each = verified(VERDICTS[word]).explained[0]
    code = each.diagnostic.code if each.diagnostic else None
    assert (each.verdict, code, each.standing) == (word, CODES.get(word), STANDINGS.get(word, Standing.BROKEN))


def test_the_table_has_a_row_for_each_property_and_counts_the_rest() -> None:
    """What merely can happen is counted, unless everything is asked for."""
    machine = verified(*VERDICTS.values())
    assert [row.cells[1] for row in rows(machine)] == list(VERDICTS)
    assert [row.cells[0] for row in rows(machine, every=True)][-1] == "action take"
    assert sanity_line(machine) == "also: 1 action can happen"


def test_the_headline_says_what_came_of_it() -> None:
    """A machine that holds says so; another names what does not."""
    told = headline(verified(VERDICTS["refuted"], VERDICTS["undecided"], VERDICTS["proved"]))
    assert told == "Lock: 1 refuted, 1 undecided; 2 of 4 hold"
    assert headline(verified(VERDICTS["proved"])) == "Lock: everything holds (1 property, 1 obligation, 500 ms)"


def test_a_story_shows_only_what_changed_and_the_clause_with_its_place() -> None:
    """A refuted property is told as a table whose last line quotes the clause and its place."""
    [each, _] = verified(VERDICTS["refuted"]).explained
    assert each.story is not None
    assert list(story_lines(each.story)) == [
        "with Call has 2",
        "step  action        what changes",
        "0     start         now = 0",
        "                    stage = all outside",
        "                    taken = 0",
        "1     take(c = c0)  stage[c0]: outside → inside",
        "                    taken: 0 → 1",
        "2     tick(d = 2)   now: 0 → 2",
        "3     take(c = c1)  stage[c1]: outside → inside",
        "                    taken: 1 → 2",
        "broken: c == d (with c = c0, d = c1)  (lock.ct:17:74)",
    ]


def test_a_state_that_is_not_known_reachable_is_labelled() -> None:
    """What induction starts from is never shown as a run."""
    [each, _] = verified(VERDICTS["not-inductive"]).explained
    assert each.story is not None
    lines = list(story_lines(each.story))
    assert "the first state is one that no invariant excludes; it is not known whether a run leads to it" in lines
    assert not any("start " in line for line in lines)
    assert "Not a run." in html.render([verified(VERDICTS["not-inductive"])])


def test_agreement_of_two_solvers_is_counted() -> None:
    """Both, one alone, and neither are told apart."""
    machine = verified(VERDICTS["proved"])
    assert agreement_line(machine) == ""
    both = type(machine)(
        machine.specification,
        machine.explained,
        {"a": next(iter(machine.obligations.values())), "b": next(iter(machine.obligations.values()))},
        {"a": {"z3": "unsat", "cvc5": "unsat"}, "b": {"z3": "unsat", "cvc5": "unknown"}},
        0.1,
    )
    assert agreement_line(both) == "z3 and cvc5 both prove 1 of 2 obligations; z3 alone proves 1"


def test_json_has_every_finding_with_its_explanation() -> None:
    """The document can be read without the text beside it."""
    machine = verified(*VERDICTS.values())
    document = json.loads(json.dumps(json_view.document([machine], 1, [])))
    [found] = document["specifications"]
    assert [finding["verdict"] for finding in found["findings"]] == [*VERDICTS, "proved"]
    assert found["verdicts"] == {**dict.fromkeys(sorted(VERDICTS), 1), "proved": 2}
    steps = found["findings"][2]["counterexample"]["steps"]
    assert steps[1] == {
        "step": 2,
        "action": "tick",
        "arguments": {"d": "2"},
        "changes": [{"what": "now", "before": "0", "after": "2"}],
    }
    assert found["obligations"][0]["answers"] == {"z3": "unsat"}


def test_junit_never_takes_the_undecided_for_success() -> None:
    """What is broken fails, what is open errs, and the totals say so."""
    root = ET.fromstring(junit.render([verified(*VERDICTS.values())]))
    cases = {case[0].get("type"): case[0].tag for case in root.iter("testcase") if len(case)}
    assert cases == {
        "refuted": "failure",
        "not-inductive": "failure",
        "vacuous": "failure",
        "undecided": "error",
        "proved-up-to": "error",
    }
    assert (root.get("tests"), root.get("failures"), root.get("errors")) == ("7", "3", "2")


def test_sarif_places_each_result_and_tells_the_run() -> None:
    """Everything that is not proved is an error with a place; a counterexample is a code flow."""
    [log] = json.loads(sarif.render([verified(*VERDICTS.values())]))["runs"]
    assert [result["ruleId"] for result in log["results"]] == [CODES[word] for word in VERDICTS if word in CODES]
    assert {result["level"] for result in log["results"]} == {"error"}
    refuted = next(result for result in log["results"] if result["ruleId"] == "VER101")
    where = refuted["locations"][0]["physicalLocation"]
    assert (where["artifactLocation"]["uri"], where["region"]["startLine"]) == ("lock.ct", 16)
    [thread] = refuted["codeFlows"][0]["threadFlows"]
    assert [step["location"]["message"]["text"].partition(":")[0] for step in thread["locations"]] == [
        "take(c0)",
        "tick(2)",
        "take(c1)",
    ]
    assert log["invocations"] == [{"executionSuccessful": False}]


def test_sarif_fingerprints_do_not_depend_on_lines() -> None:
    """The same finding in a file with a line more is the same one."""
    logs = [
        json.loads(sarif.render([verified(VERDICTS["undecided"], text=text)]))["runs"][0]
        for text in (NO_CHECK, "\n" + NO_CHECK)
    ]
    assert logs[0]["results"][0]["partialFingerprints"] == logs[1]["results"][0]["partialFingerprints"]


class Tags(HTMLParser):
    """Collects the tags of a page, and whether they are balanced."""

    VOID = frozenset({"meta", "br"})

    def __init__(self) -> None:
        super().__init__()
        self.seen: set[str] = set()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:  # noqa: ARG002 - the parser's signature
        self.seen.add(tag)
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: object) -> None:  # noqa: ARG002 - the parser's signature
        self.seen.add(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_is_whole_self_contained_and_without_scripts() -> None:
    """The page loads nothing, runs nothing, and closes what it opens."""
    page = html.render([verified(*VERDICTS.values(), doc=HOSTILE)])
    tags = Tags()
    tags.feed(page)
    assert (tags.open, tags.seen & {"script", "iframe", "img", "link", "object", "b"}) == ([], set())
    assert not re.findall(r"(?:src|href)=\"(?!#)", page)
    assert "default-src 'none'" in page
    assert "light-dark(" in page


def test_hostile_text_stays_text() -> None:
    """What a specification says is escaped in each form, and what cannot be seen is made visible."""
    machine = verified(*VERDICTS.values(), doc=HOSTILE, path="<b>|`.ct")
    page = html.render([machine])
    assert "&lt;script&gt;alert(1)" in page
    assert '<span class="code-point">U+202E</span>' in page
    assert "<b>" not in page
    assert "\u202e" not in page + markdown.render([machine]) + junit.render([machine]) + sarif.render([machine])
    ET.fromstring(junit.render([machine]))
    prose = re.sub(r"```text\n.*?\n```", "", markdown.render([machine]), flags=re.DOTALL)
    assert "<b>" not in re.sub(r"`[^`]+`", "", prose)


def test_the_picture_has_a_lane_for_each_participant() -> None:
    """Callers, the machine and the environment are lanes; arrows say who does what; the last step is set apart."""
    story = tell(bad_run(), load_text(NO_CHECK), clause="c == d")
    picture = str(diagram.draw(story))
    ET.fromstring(picture)
    lanes = re.findall(r'<g class="lane (\w+)">.*?>([\w]+)</text></g>', picture)
    assert lanes == [("caller", "c0"), ("caller", "c1"), ("machine", "Lock")]
    assert picture.count('class="time"') == 1
    assert picture.count('<g class="step last">') == 1
    assert "✗ false: c == d" in picture


def test_what_happens_to_the_machine_comes_from_the_environment() -> None:
    """An action of the environment comes from a lane of its own, and goes on to the caller that it concerns."""
    from specs_support import C0, run_of

    story = tell(run_of(LOCK, ("take", [C0]), ("give", [C0])), load_text(LOCK))
    picture = str(diagram.draw(story))
    assert re.findall(r'<g class="lane (\w+)">', picture) == ["caller", "machine", "outside"]
    assert picture.count("onwards") == 1


def test_a_crowd_is_no_picture() -> None:
    """More participants than a picture can hold have the table only."""
    story = tell(bad_run(), load_text(NO_CHECK))
    crowd = [type(story.steps[0])(n, "take", (), (), f"c{n}", False, False, story.steps[0].place) for n in range(20)]
    many = type(story)(story.machine, (), (), (), tuple(crowd))
    assert diagram.draw(many) == ""


def test_smt_files_have_names_that_no_file_system_minds() -> None:
    """Two machines of one name have two folders; every file is in the index."""
    machines = [verified(VERDICTS["proved"]), verified(VERDICTS["proved"])]
    texts = smt.files(machines)
    assert sorted(texts) == [
        "Lock/001-one_holder-kept-take.smt2",
        "Lock_2/001-one_holder-kept-take.smt2",
        "index.json",
    ]
    assert [entry["file"] for entry in json.loads(texts["index.json"])] == sorted(texts)[:2]
    assert all(text.endswith("(check-sat)\n") for name, text in texts.items() if name.endswith(".smt2"))


def test_markdown_tells_the_verdicts_and_the_run() -> None:
    """The table has every verdict, and the counterexample stands in a fence."""
    text = markdown.render([verified(*VERDICTS.values())])
    assert [f" {word} |" in text for word in VERDICTS] == [True] * len(VERDICTS)
    assert "3     take(c = c1)" in text.partition("```text\n")[2]
    assert isinstance(VERDICTS["refuted"], Refuted)
