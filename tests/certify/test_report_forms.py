"""Claims about the report's forms for machines and comments: Markdown, JSON, SARIF and JUnit."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote
from xml.etree import ElementTree as ET

import pytest
from markdown_it import MarkdownIt

from certify.certification import Settings, certify
from certify.evidence.verdict import CheckResult, Failed, NotApplicable, Passed, Unknown, Waived
from certify.policy.policies import load_policies
from certify.report import FORMATS, render
from certify.report.json_view import SCHEMA
from certify.report.sarif import FINGERPRINT
from certify_spec.diagnostics import Place, Severity
from report_support import RULE, WARNED, evidence, finding, results, waived

EXAMPLES = Path(__file__).parents[2] / "examples"
HOSTILE = (
    "<script>alert(1)</script><img src=x onerror=alert(1)>",
    "](javascript:alert(1)) [x](javascript:alert(1)) ![y](https://evil.example/z.png)",
    "@everyone fixes #1 https://evil.example www.evil.example a@b.example",
    "| cell | `code ``` fence",
    "# heading\n\n- list\n\n```\n</details><details>",
    "&lt;b&gt; &#60;script&#62; $x$ ~~s~~ **b** _i_",
)


class Tags(HTMLParser):
    """The elements of a fragment, and the addresses in it."""

    def __init__(self, fragment: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.feed(fragment)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [value or "" for name, value in attributes if name in {"href", "src"}]


def complete(*chosen: CheckResult) -> tuple[CheckResult, ...]:
    """Results of all checks: these, and the others passed."""
    given = {result.check: result for result in chosen}
    return tuple(given.get(each.check, CheckResult(each.check, Passed())) for each in results())


# -- Markdown


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_is_no_markup_in_a_comment(text: str) -> None:
    """C-REPORT: rendered as CommonMark with HTML allowed, a comment has no element, link or picture of the node's."""
    shown = MarkdownIt("commonmark", {"html": True}).enable("table").render(render(*evidence(text=text), "md").decode())
    found = Tags(shown)
    ours = {"h2", "h3", "p", "strong", "code", "ul", "li", "table", "thead", "tbody", "tr", "th", "td", "pre"}
    assert set(found.tags) <= ours | {"details", "summary"}
    assert found.addresses == []
    assert found.tags.count("details") == Tags(render(*evidence(text="plain"), "md").decode()).tags.count("details")


@pytest.mark.parametrize("sign", ["@everyone", "#1", "https://evil.example", "www.evil.example"])
def test_nothing_is_mentioned_or_referred_to(sign: str) -> None:
    """C-GATE: outside of code, a comment calls nobody, and refers to no other thread and no address."""
    written = render(*evidence(text=f"see {sign} now"), "md").decode()
    spoken = re.sub(r"(`+)(?!`).*?(?<!`)\1(?!`)", "", written, flags=re.DOTALL)
    assert sign in written
    assert sign not in spoken


def test_a_comment_has_verdict_reasons_and_excerpt() -> None:
    """C-GATE: the comment says what a reviewer needs, verdict first."""
    written = render(*evidence(complete(CheckResult("C-EFFECTS", Failed(), (finding(),)))), "md").decode()
    assert written.startswith("## ❌ `billing/charge@1.0.0`: failed\n\n**Refused by 1 check.** plain\n")
    assert "| `C-EFFECTS` | ❌ failed | 0.00 s | the clock is read |" in written
    assert ">    5      at = time.time()" in written
    assert "-    at = time.time()\n+    at = order.at  # the clock is read" in written


# -- JSON


def test_the_document_names_its_form_and_keeps_everything() -> None:
    """C-REPORT: results in JSON are those of the evidence, whole, beside what follows from them."""
    made, blobs = evidence()
    document = json.loads(render(made, blobs, "json"))
    assert document["schema"] == SCHEMA
    assert [
        {name: check[name] for name in kept} for check in document["checks"] if (kept := set(check) - {"title", "line"})
    ] == (json.loads(json.dumps([result.to_data() for result in made.results])))
    assert document["provenance"]["evidence"] == made.digest
    assert document["counts"]["findings"] == {"error": 3, "warning": 0, "note": 0, "waived": 1}
    assert (document["verdict"], document["allows_publish"], document["not_run"]) == ("failed", False, [])


@pytest.mark.parametrize(
    ("chosen", "verdict", "allows"),
    [
        (complete(), "passed", True),
        (complete(CheckResult("C-IDEM", NotApplicable("no effects"))), "passed", True),
        (complete(CheckResult("C-IDEM", Waived(("0" * 64,)), (waived(),))), "waived", True),
        (complete(CheckResult("C-IDEM", Unknown("blind"))), "unknown", False),
        (complete(CheckResult("C-IDEM", Failed(), (finding(),))), "failed", False),
        ((CheckResult("C-IDEM", Passed()),), "passed", False),
    ],
)
def test_what_may_be_published_is_said(chosen: tuple[CheckResult, ...], verdict: str, allows: bool) -> None:
    """C-GATE: only a whole certification without refusal and doubt allows a publish."""
    document = json.loads(render(*evidence(chosen), "json"))
    assert (document["verdict"], document["allows_publish"]) == (verdict, allows)


# -- SARIF


def sarif(*chosen: CheckResult) -> dict[str, Any]:
    """The only run of a log."""
    log = json.loads(render(*evidence(chosen), "sarif"))
    assert (log["version"], len(log["runs"])) == ("2.1.0", 1)
    run: dict[str, Any] = log["runs"][0]
    return run


def test_a_log_keeps_the_rules_of_the_standard() -> None:
    """C-GATE: what SARIF 2.1.0 demands of ids, indexes, levels, regions and references holds for every result."""
    run = sarif(*results())
    rules = run["tool"]["driver"]["rules"]
    assert len({rule["id"] for rule in rules}) == len(rules)
    for result in run["results"]:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
        assert (result["kind"], result["level"] in {"error", "warning", "note"}) == ("fail", True)
        assert result["message"]["text"]
        for place in [*result["locations"], *result.get("relatedLocations", [])]:
            if physical := place.get("physicalLocation"):
                artifact = physical["artifactLocation"]
                assert artifact["uriBaseId"] in run["originalUriBaseIds"]
                assert run["artifacts"][artifact["index"]]["location"]["uri"] == artifact["uri"]
                assert all(number >= 1 for number in physical.get("region", {"startLine": 1}).values())
    prints = [result["partialFingerprints"][FINGERPRINT] for result in run["results"]]
    assert len(set(prints)) == len(prints)


def test_a_finding_is_a_result_with_its_place_fix_and_help() -> None:
    """C-GATE: an editor can show the finding in the source and apply its edit."""
    run = sarif(*complete(CheckResult("C-EFFECTS", Failed(), (finding(),))))
    (result,) = run["results"]
    region = {"startLine": 5, "startColumn": 10, "endLine": 5, "endColumn": 21}
    assert result["locations"][0]["physicalLocation"]["region"] == region
    (replacement,) = result["fixes"][0]["artifactChanges"][0]["replacements"]
    assert replacement == {"deletedRegion": region, "insertedContent": {"text": "order.at  # the clock is read"}}
    assert run["tool"]["driver"]["rules"][0]["help"]["text"] == RULE.advice
    assert result["relatedLocations"][0]["physicalLocation"]["region"] == {"startLine": 4, "startColumn": 1}


def test_a_fingerprint_survives_moved_lines_and_other_figures() -> None:
    """C-GATE: a finding is the same one after lines were added above it, or when a measured time differs."""

    def prints(*findings: Any) -> list[str]:
        run = sarif(*complete(CheckResult("C-BUDGET", Failed(), findings)))
        return [result["partialFingerprints"][FINGERPRINT] for result in run["results"]]

    first = prints(finding("uses 65.2 ms", line=5), finding("uses 65.2 ms", line=6))
    assert prints(finding("uses 71 ms", line=3), finding("uses 9.75 ms", line=4)) == first
    assert len(set(first)) == 2
    assert prints(finding("uses 65.2 KiB", line=5)) != first[:1]


def test_a_waived_finding_is_suppressed_and_not_left_out() -> None:
    """C-POLICY: a waiver shows in the log, with who, why and until when."""
    (result,) = sarif(*complete(CheckResult("C-EFFECTS", Waived(("0" * 64,)), (waived("accepted for now"),))))[
        "results"
    ]
    (suppression,) = result["suppressions"]
    assert (suppression["kind"], suppression["status"]) == ("external", "accepted")
    assert suppression["justification"] == "accepted for now (accepted for now, until 2026-12-01T00:00:00Z)"


@pytest.mark.parametrize(
    ("chosen", "rules", "successful"),
    [
        (complete(), [], True),
        (complete(CheckResult("C-IDEM", Unknown("blind"))), ["REP001"], False),
        (complete(CheckResult("C-IDEM", Failed())), ["REP002"], True),
        (complete()[1:], ["REP003"], False),
    ],
)
def test_no_verdict_but_success_has_a_log_without_errors(
    chosen: tuple[CheckResult, ...], rules: list[str], successful: bool
) -> None:
    """C-GATE: undecided, refused without a finding and not run are errors; only success has none."""
    run = sarif(*chosen)
    assert [result["ruleId"] for result in run["results"] if result["level"] == "error"] == rules
    assert run["invocations"][0]["executionSuccessful"] is successful


@pytest.mark.parametrize(
    "file", ["/etc/passwd", "../../secret", "javascript:alert(1)", "https://evil.example/x", "C:\\x"]
)
def test_a_place_outside_of_the_node_is_no_location(file: str) -> None:
    """C-GATE: only the node's own files are referred to; another place is named, and put down to the manifest."""
    (result,) = sarif(*complete(CheckResult("C-EFFECTS", Failed(), (replace(finding(), place=Place(file, 3)),))))[
        "results"
    ]
    (location,) = result["locations"]
    assert location["physicalLocation"]["artifactLocation"]["uri"] == "node.toml"
    assert location["logicalLocations"][0]["fullyQualifiedName"] == f"{file}:3"


def test_links_in_a_message_are_none() -> None:
    """C-REPORT: SARIF reads `[text](target)` in messages as a link; a node cannot place one."""
    (result,) = sarif(*complete(CheckResult("C-EFFECTS", Failed(), (finding("[x](https://evil.example)"),))))["results"]
    assert not re.search(r"(?<!\\)\[[^\]]*\]\(", result["message"]["text"])


def test_paths_are_references() -> None:
    """C-GATE: every artefact's address is a relative reference without a scheme, and decodes to the file's path."""
    run = sarif(*complete())
    addresses = [artifact["location"]["uri"] for artifact in run["artifacts"]]
    assert [unquote(address) for address in addresses] == ["charge.py", "node.toml"]


# -- JUnit


def junit(*chosen: CheckResult, text: str = "plain") -> ET.Element:
    """The only suite."""
    root = ET.fromstring(render(*evidence(chosen, text=text), "junit"))
    (suite,) = root.findall("testsuite")
    return suite


def test_each_verdict_is_a_case_of_its_kind() -> None:
    """C-GATE: refused is a failure, undecided an error, not applicable skipped; the rest pass."""
    suite = junit(*results())
    kinds = {
        case.attrib["name"]: [child.tag for child in case if child.tag != "system-out"]
        for case in suite.iter("testcase")
    }
    assert kinds == {
        "C-SANDBOX": [],
        "C-EFFECTS": ["failure"],
        "C-DETERMINISM": [],
        "C-CONTRACT": ["failure"],
        "C-IDEM": [],
        "C-PATTERNS": ["skipped"],
        "C-BUDGET": [],
        "C-SBOM": ["error"],
        "C-POLICY": ["failure"],
    }
    assert {name: suite.attrib[name] for name in ("tests", "failures", "errors", "skipped")} == {
        "tests": "9",
        "failures": "3",
        "errors": "1",
        "skipped": "1",
    }


def test_what_did_not_run_is_an_error() -> None:
    """C-GATE: a pipeline that reads JUnit sees that a part was left out."""
    suite = junit(*complete()[1:])
    assert [(case.attrib["name"], child.attrib["type"]) for case in suite.iter("testcase") for child in case] == [
        ("C-SANDBOX", "not-run")
    ]
    assert suite.attrib["errors"] == "1"


def test_a_waiver_and_a_warning_are_in_the_output() -> None:
    """C-GATE: a case that passes keeps its warnings, and a waived one its waiver."""
    noted = finding("a look", rule=WARNED, severity=Severity.WARNING)
    suite = junit(
        *complete(CheckResult("C-EFFECTS", Passed(), (noted,)), CheckResult("C-IDEM", Waived(()), (waived(),)))
    )
    written = {case.attrib["name"]: case.findtext("system-out") for case in suite.iter("testcase") if len(case)}
    assert sorted(written) == ["C-EFFECTS", "C-IDEM"]
    assert "charge.py:5:10: warning: TEST021: a look" in str(written["C-EFFECTS"])


@pytest.mark.parametrize("text", [*HOSTILE, "\x00\x08\x1b[31m\ufffe\uffff", "]]><testcase/>"])
def test_junit_is_well_formed_whatever_the_node_says(text: str) -> None:
    """C-GATE: hostile text neither breaks the document nor adds a case to it."""
    assert len(list(junit(*results(text), text=text).iter("testcase"))) == 9


# -- a real run


def test_a_real_run_has_every_form() -> None:
    """C-REPORT: a node that reads the local time zone is shown refused, with its line, in every form."""
    manifest = EXAMPLES / "webhook/refused/local-time/node.toml"
    only = frozenset({"C-SANDBOX", "C-EFFECTS", "C-BUDGET", "C-POLICY"})
    found = certify(manifest, Settings(load_policies(), only=only))
    line = next(f.place.line for r in found.evidence.results for f in r.findings if f.place and f.code == "EFF002")
    for form in FORMATS:
        written = render(found.evidence, found.blobs, form)
        assert b"EFF002" in written, form
        assert written == render(type(found.evidence).decode(found.evidence.encode()), found.blobs, form)
    page = render(found.evidence, found.blobs, "html").decode()
    quoted = (manifest.parent / "webhook.py").read_text("utf-8").splitlines()[line - 1].strip()
    assert quoted in re.sub("</?mark>", "", page)
    assert "read_only" in page
