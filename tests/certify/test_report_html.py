"""Claims about the HTML report: its structure, its order, its self-containment, and what hostile text does to it."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from certify.evidence.verdict import CheckResult, Failed, Passed, Unknown
from certify.report import FORMATS, html, json_view, markdown, render
from certify.report.view import read
from report_support import CHARGE, RULE, evidence, finding, results

VOID = frozenset({"meta", "br", "circle", "path", "rect", "hr", "img", "input", "link"})
HOSTILE = (
    "<script>alert(1)</script>",
    "</style><style>*{background:url(https://evil.example)}",
    "\"'><img src=x onerror=alert(1)>",
    "' onmouseover='alert(1)",
    "{{ 7 * 7 }}{% include 'x' %}",
    "<!-- --><svg onload=alert(1)>",
    "javascript:alert(1)",
    "\u202e\u2066gnp.exe\u0000\x1b]0;title\x07",
    "]]></table></main></html>",
)


class Page(HTMLParser):
    """The elements of a page with their attributes, and its text."""

    def __init__(self, page: bytes) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.open: list[str] = []
        self.words: list[str] = []
        self.feed(page.decode())
        self.close()

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attributes}))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attributes}))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1:] != ["style"]:
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def of(self, tag: str) -> Iterator[dict[str, str]]:
        return (attributes for name, attributes in self.elements if name == tag)


def page(*arguments: object, **options: object) -> Page:
    """The page of evidence made by hand."""
    return Page(render(*evidence(*arguments, **options), "html"))  # type: ignore[arg-type] # handed through


def test_the_page_is_well_formed_and_has_its_landmarks() -> None:
    """C-REPORT: every element is closed, and a reader with a screen reader finds language, navigation and main part."""
    shown = page()
    assert shown.open == []
    assert next(shown.of("html")) == {"lang": "en"}
    counts = Counter(tag for tag, _ in shown.elements)
    assert (counts["main"], counts["nav"], counts["h1"], counts["header"], counts["footer"]) == (1, 1, 1, 1, 1)


def test_headings_descend_one_level_at_a_time() -> None:
    """C-REPORT: the outline has no holes."""
    levels = [int(tag[1]) for tag, _ in page().elements if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))


def test_every_anchor_leads_somewhere_and_every_name_is_used_once() -> None:
    """C-REPORT: links within the page have their target, and there are no others."""
    shown = page()
    names = Counter(attributes["id"] for _, attributes in shown.elements if "id" in attributes)
    assert [name for name, count in names.items() if count > 1] == []
    assert {link["href"] for link in shown.of("a")} <= {f"#{name}" for name in names}


def test_the_page_needs_nothing_from_elsewhere() -> None:
    """C-REPORT: no script, no source, no address of style; the page's own policy forbids them too."""
    shown = page()
    assert not {"script", "link", "img", "iframe", "object", "embed", "form", "base"} & {
        tag for tag, _ in shown.elements
    }
    policy = next(meta["content"] for meta in shown.of("meta") if meta.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none'; style-src 'unsafe-inline'; img-src data:")
    assert not {"src", "srcset", "action", "style"} & {name for _, attributes in shown.elements for name in attributes}
    assert "url(" not in render(*evidence(), "html").decode()
    assert "@import" not in render(*evidence(), "html").decode()


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_adds_no_element_and_no_attribute(text: str) -> None:
    """C-REPORT: whatever the node says, in whichever field, the page has the elements it has with plain text."""
    kept = {"span", "bdi", "code"}  # marks of code points, and quoted parts of a message
    hostile, plain = page(text=text), page(text="plain")
    assert [tag for tag, _ in hostile.elements if tag not in kept] == [
        tag for tag, _ in plain.elements if tag not in kept
    ]
    names = [sorted(attributes) for tag, attributes in hostile.elements if tag not in kept]
    assert names == [sorted(attributes) for tag, attributes in plain.elements if tag not in kept]


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("text", HOSTILE)
def test_no_form_passes_on_what_cannot_be_seen(text: str, form: str) -> None:
    """C-REPORT: no control character and no override of direction is in any form, as such."""
    written = render(*evidence(text=text), form).decode()
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069]", written)


def test_hostile_source_is_quoted_as_it_is_stored() -> None:
    """C-REPORT: an override hidden in the node's text shows in the excerpt (CVE-2021-42574)."""
    source = CHARGE.replace("time.time()", "time.time()  # \u202e<b>")
    shown = render(*evidence(source=source), "html").decode()
    assert '<span class="code-point">U+202E</span>&lt;b&gt;' in shown


def test_the_verdict_comes_before_what_to_look_at_before_the_checks() -> None:
    """C-REPORT: the page goes from the verdict down to provenance."""
    text = page().text
    order = ["Certification report", "Refused by 3 checks", "Look at this first", "in a line", "Provenance", "yourself"]
    positions = [text.index(words, text.index("Certification report")) for words in order]
    assert positions == sorted(positions)


def test_a_finding_shows_place_source_reason_edit_path_and_command() -> None:
    """C-REPORT: a finding answers where, what, why and what now, and how to see it again."""
    made = CheckResult("C-EFFECTS", Failed(), (finding(),))
    text = page((made,)).text
    for words in (
        "error TEST020 the clock is read charge.py:5:10 charge.py",
        "5 ▸ at = time.time()",
        "because the clock is read",
        "fix the clock is read",
        "5 − at = time.time() 5 + at = order.at # the clock is read",
        "note the clock is read charge.py:4:1 def charge(order):",
        "certify replay node.toml --fixture the clock is read",
    ):
        assert words in text, words


def test_the_marked_part_is_what_the_place_covers() -> None:
    """C-REPORT: the words at fault are set apart."""
    shown = render(*evidence((CheckResult("C-EFFECTS", Failed(), (finding(),)),)), "html").decode()
    assert "<mark>time.time()</mark>" in shown


def test_each_measurement_has_its_form() -> None:
    """C-REPORT: sets, tiles, a matrix, schedules, bars, decisions and components are on the page."""
    text = page().text
    for words in (
        "no declared resource by this name: see the findings",  # the clock, which a finding calls undeclared
        "clock leaked",
        "random pinned",
        "hash seed held",
        "429 payments raises plain, 3 attempts 7 otherwise: see the findings",
        "5xx payments returns a value 4 as declared",
        "tls payments – 0 not injected",
        "two crashes 10 49 sampled",
        "requests 2 of 1 over",
        "connect Host plain refused plain",
        "customer pii",
    ):
        assert words in text, words


def test_unknown_is_said_and_never_looks_like_success() -> None:
    """C-REPORT: one undecided check leaves the page undecided, with the reason and whether waiting helps."""
    all_but = tuple(CheckResult(each.check, Passed()) for each in results() if each.check != "C-IDEM")
    unknown = CheckResult("C-IDEM", Unknown("the run was not observed", waiting_helps=True))
    shown = page((*all_but, unknown))
    assert "Undecided: 1 check could not decide, and undecided never passes; trying again later may help" in shown.text
    assert next(shown.of("title")) == {}
    assert "billing/charge@1.0.0: unknown" in shown.text


def test_a_check_that_did_not_run_is_named() -> None:
    """C-REPORT: a part of a certification is not taken for the whole."""
    text = page((CheckResult("C-SANDBOX", Passed()),)).text
    assert "incomplete Nothing refuses it; 8 checks did not run, so it cannot be published" in text
    assert text.count("a whole certification has this check; without it nothing can be published") == 8


def test_nothing_to_say_is_said() -> None:
    """C-REPORT: without findings the page says what is left to judge."""
    passed = tuple(CheckResult(each.check, Passed()) for each in results())
    assert "No check has a refusal, a doubt, a waiver or a warning" in page(passed).text


def test_what_is_missing_or_altered_is_not_shown() -> None:
    """C-REPORT: a blob without its digest is nobody's evidence; the page says that it is not there."""
    made, blobs = evidence((CheckResult("C-EFFECTS", Failed(), (finding(),)),))
    altered = dict.fromkeys(blobs, b"import os  # not what was certified")
    shown = render(made, altered, "html").decode()
    assert "not what was certified" not in shown
    assert "were not at hand, or did not have their digest" in shown
    assert render(made, {}, "html") == render(made, altered, "html")


@pytest.mark.parametrize("form", FORMATS)
def test_equal_evidence_gives_equal_bytes(form: str) -> None:
    """C-REPORT: a report is a function of its evidence, whether just made or read back from its bytes."""
    made, blobs = evidence()
    again = type(made).decode(made.encode())
    assert render(again, dict(reversed(blobs.items())), form) == render(made, blobs, form)


def test_ten_thousand_findings_stay_readable() -> None:
    """C-REPORT: what is shown is bounded, and the rest is counted."""
    many = tuple(finding(f"clock {number}", line=number % 6 + 1) for number in range(10_000))
    report = read(*evidence((CheckResult("C-EFFECTS", Failed(), many),)))
    shown = html.render(report)
    assert len(shown) < 200_000
    assert b"and 9955 more: the JSON form has all of them" in shown
    assert len(markdown.render(report)) < 65_536
    assert json_view.render(report).count(f'"meaning": "{RULE.meaning}"'.encode()) == 10_000


def test_a_form_that_does_not_exist_is_refused() -> None:
    """C-REPORT: a misspelt form is an error that lists the forms."""
    with pytest.raises(ValueError, match="html, md, json, sarif, junit"):
        render(*evidence(), "pdf")


@pytest.mark.parametrize(
    "measured",
    [
        {"declared": 1, "static": "x", "observed": None},
        {"leaks": [[]], "factors": {}, "pins": 3},
        {"fixtures": {"a": 1}, "budget": []},
        {"decisions": [{"request": 1}]},
        {"answers_injected": {"payments": 3}},
        {"schedules": [1], "x": {"run": "a", "of": []}},
        {"modules": 5, "deep": [[[[{"a": [1]}]]]], "": {"": {}}},
    ],
)
def test_measurements_of_an_unknown_shape_are_shown_as_they_are(measured: dict[str, object]) -> None:
    """C-REPORT: a check may measure otherwise than this release knows; the report neither fails nor drops it."""
    made = tuple(replace(each, verdict=Passed(), findings=(), measured=measured) for each in results())
    for form in FORMATS:
        assert render(*evidence(made), form)
