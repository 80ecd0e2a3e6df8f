"""The review pages over HTTP: what they show, what they refuse, and that nothing of a node's runs in them."""

from __future__ import annotations

import contextlib
import re
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path

import httpx
import pytest

from certify.evidence.bundle import Evidence
from certify.evidence.verdict import CheckResult, Passed
from certify.registry.entries import Status
from certify.registry.registry import Registry
from certify.report import view as report_view
from certify.service import standing
from certify.service.pages import views
from certify.service.pages.flow import draw, flow
from certify.service.standing import Word
from pages_support import (
    CHARGE,
    CONTESTED,
    HOSTILE,
    LAPSED,
    NOW,
    OWN,
    PAYLOAD,
    THEN,
    effects,
    furnish,
    plain,
    results,
    serving,
    whole,
)
from service_support import BASE, PASSWORD

PAGES = (
    "/queue",
    "/queue?status=all",
    f"/nodes/{CHARGE}",
    f"/nodes/{HOSTILE}",
    f"/releases/{CHARGE}@1.1.0",
    f"/releases/{HOSTILE}@1.0.1",
    f"/changes?old={HOSTILE}@1.0.0&new={HOSTILE}@1.0.1",
    "/production",
    "/search?q=node",
    "/log",
    "/log?old=3",
    "/log/2",
    "/log/14",
    "/help",
    "/login",
    "/releases/no/such@1.0.0",
)
POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)


class Parsed(HTMLParser):
    """A page's elements, its text, and the fields of its forms."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_data(self, data: str) -> None:
        self.text += data

    def field(self, name: str) -> str:
        """The value of the last hidden field of that name."""
        return next(a["value"] for tag, a in reversed(self.elements) if tag == "input" and a.get("name") == name)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A registry with people and nodes."""
    made = tmp_path_factory.mktemp("pages") / "registry"
    furnish(made)
    return made


@pytest.fixture(scope="module")
def address(folder: Path) -> Iterator[str]:
    """A service over it."""
    with serving(folder) as found:
        yield found


@contextlib.contextmanager
def signed_in(address: str, user: str) -> Iterator[httpx.Client]:
    """A client with a session, come by through the form."""
    with httpx.Client(base_url=address, timeout=60) as client:
        assert client.post("/login", data={"user": user, "password": PASSWORD}).headers["location"] == "/queue"
        yield client


@pytest.fixture(scope="module")
def bo(address: str) -> Iterator[httpx.Client]:
    """A reviewer."""
    with signed_in(address, "bo") as client:
        yield client


def decide(client: httpx.Client, name: str, decision: str = "approve", **changes: str) -> httpx.Response:
    """Send the decision form of a release's page, with some fields changed."""
    page = Parsed(client.get(f"/releases/{name}").text)
    fields = {each: page.field(each) for each in ("form_token", "evidence", "version")}
    said = fields | {"decision": decision, "reason": "read it"} | changes
    return client.post(f"/releases/{name}", data=said)


@pytest.mark.parametrize("path", PAGES)
def test_every_page_is_closed_to_what_is_not_ours(bo: httpx.Client, path: str) -> None:
    """R-REVIEW: no script, style or handler within a page, one script and one stylesheet from here, nothing else."""
    answer = bo.get(path)
    assert answer.status_code == (404 if "no/such" in path else 200), answer.text[:2000]
    assert answer.headers["content-security-policy"] == POLICY
    assert answer.headers["cache-control"] == "no-store"
    page = Parsed(answer.text)
    scripts = [attributes for tag, attributes in page.elements if tag == "script"]
    assert [set(each) for each in scripts] == [{"src", "defer"}]
    assert not [tag for tag, _ in page.elements if tag in {"img", "style", "iframe", "object", "embed", "base"}]
    for _, attributes in page.elements:
        assert not [name for name in attributes if name == "style" or name.startswith("on")]
        address = attributes.get("href", attributes.get("src", "/"))
        assert address.startswith(("/", "#", "data:,")), address
    for asset in (scripts[0]["src"], next(a["href"] for t, a in page.elements if a.get("rel") == "stylesheet")):
        assert bo.get(asset).headers["cache-control"] == "public, max-age=31536000, immutable"


def test_hostile_text_is_shown_and_never_markup(bo: httpx.Client) -> None:
    """R-REVIEW: what a manifest, findings, measurements, a bill of materials and a waiver say comes out as text."""
    page = Parsed(bo.get(f"/releases/{HOSTILE}@1.0.1").text)
    shown = PAYLOAD.replace("\u202e", "U+202E")
    assert page.text.count(shown) >= 20
    for path in (f"/nodes/{HOSTILE}", f"/changes?old={HOSTILE}@1.0.0&new={HOSTILE}@1.0.1"):
        assert plain(PAYLOAD) in Parsed(bo.get(path).text).text
    echoed = bo.get("/search", params={"q": PAYLOAD})
    assert "<img" not in echoed.text
    assert "<script>" not in echoed.text


def test_whoever_is_nobody_signs_in_and_comes_back(address: str) -> None:
    """R-AUTH: a page sends nobody to the form, the form back to the page, and never to another site."""
    with httpx.Client(base_url=address) as client:
        sent = client.get(f"/nodes/{CHARGE}?x=1")
        assert (sent.status_code, sent.headers["location"]) == (303, "/login?next=%2Fnodes%2Fbilling%2Fcharge%3Fx%3D1")
        said = {"user": "bo", "password": PASSWORD}
        for asked, given in (
            (f"/nodes/{CHARGE}", f"/nodes/{CHARGE}"),
            ("//evil.example", "/queue"),
            ("/\\evil.example", "/queue"),
            ("https://evil.example", "/queue"),
            ("/a\r\nX: y", "/queue"),
        ):
            assert client.post("/login", data=said | {"next": asked}).headers["location"] == given
        wrong = client.post("/login", data=said | {"password": "wrong" * 4, "next": "/log"})
        assert wrong.status_code == 401
        page = Parsed(wrong.text)
        assert ("user and password do not fit" in page.text, page.field("next")) == (True, "/log")


def test_a_decision_by_a_plain_form(bo: httpx.Client, folder: Path) -> None:
    """R-REVIEW: a form without a script decides; the decision is signed with the reviewer's key, and logged."""
    name = f"{CONTESTED}@1.0.0"
    done = decide(bo, name, reason="  read the\nreport ")
    assert (done.status_code, done.headers["location"]) == (303, f"/releases/{name}?done=approved")
    assert "You approved this release." in bo.get(done.headers["location"]).text
    with Registry.open(folder) as registry:
        shown = registry.show(name)
    assert shown.release.status is Status.APPROVED
    assert shown.decisions[-1].entry.reason == "read the report"  # type: ignore[union-attr]
    assert "by <b>bo</b>" in re.sub(
        r'<span class="muted">by</span>', "by", bo.get(f"/log/{shown.decisions[-1].number}").text
    )


def test_of_two_reviewers_one_is_told(bo: httpx.Client, address: str) -> None:
    """R-OCC: a page that was overtaken decides nothing, says who decided what, and keeps what was written."""
    name = f"{CONTESTED}@1.1.0"
    with signed_in(address, "cy") as cy:
        stale = Parsed(cy.get(f"/releases/{name}").text)
        decide(bo, name, "reject", reason="charges twice after a time-out")
        fields = {each: stale.field(each) for each in ("form_token", "evidence", "version")}
        told = cy.post(f"/releases/{name}", data=fields | {"decision": "approve", "reason": "looks right to me"})
        assert told.status_code == 409
        page = " ".join(Parsed(told.text).text.split())
        assert "Somebody was quicker" in page
        assert "bo" in page
        assert "charges twice after a time-out" in page
        assert "looks right to me" in page
        late = cy.post(f"/waivers/{name}", data=fields | {"code": "TST004", "reason": "x"})
        assert (late.status_code, "Somebody was quicker" in late.text) == (409, True)


def test_a_decision_about_other_evidence_is_refused(bo: httpx.Client) -> None:
    """R-REVIEW: the digest on the page is part of what is decided; another one decides nothing."""
    refused = decide(bo, f"{CONTESTED}@1.2.0", evidence="0" * 64)
    assert (refused.status_code, "about other evidence" in refused.text) == (422, True)
    assert "certified" in bo.get(f"/releases/{CONTESTED}@1.2.0").text


def test_nobody_approves_their_own(address: str) -> None:
    """R-AUTH: the page does not offer it, the service refuses it by the policy's name, and the audit has it."""
    with signed_in(address, "eve") as eve:
        page = Parsed(eve.get(f"/releases/{OWN}@1.0.0").text)
        approve = next(a for tag, a in page.elements if a.get("id") == "choose-approve")
        assert "disabled" in approve
        assert "nobody approves a release that they handed in" in page.text
        refused = decide(eve, f"{OWN}@1.0.0")
        assert refused.status_code == 403
        assert "no-self-approval" in refused.text
        line = eve.get(f"{BASE}/audit").json()["audit"][0]
        assert (line["who"], line["action"], line["outcome"], line["item"]) == ("eve", "approve", "refused", OWN)


def test_a_forged_form_is_refused(bo: httpx.Client) -> None:
    """R-AUTH: without the session's token, or from another site's page, a form does nothing."""
    name = f"{CONTESTED}@1.2.0"
    assert decide(bo, name, form_token="").status_code == 403
    page = Parsed(bo.get(f"/releases/{name}").text)
    fields = {each: page.field(each) for each in ("form_token", "evidence", "version")} | {
        "decision": "reject",
        "reason": "x",
    }
    for headers in (
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "https://evil.example"},
    ):
        refused = bo.post(f"/releases/{name}", data=fields, headers=headers)
        assert (refused.status_code, "SRV009" in refused.text) == (403, True)
    assert bo.post("/logout", data={"form_token": "another"}).status_code == 403


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"decision=approve&decision=reject", 400),
        (b"reason=%00", 400),
        (b"reason=%ff", 400),
        (b"&".join(b"a%d=1" % n for n in range(60)), 400),
        (b"decision=perhaps&reason=x", 400),
        (b"decision=approve&reason=+%0a+", 400),
        (b"decision=approve&reason=x", 400),
        (b"x" * 70_000, 413),
    ],
)
def test_a_malformed_form_is_refused(bo: httpx.Client, body: bytes, status: int) -> None:
    """R-REVIEW: fields twice, control characters, no UTF-8, too many or too much: refused with a page that says so."""
    token = Parsed(bo.get("/queue").text).field("form_token").encode()
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    refused = bo.post(f"/releases/{CONTESTED}@1.2.0", content=b"form_token=" + token + b"&" + body, headers=headers)
    assert (refused.status_code, "SRV0" in refused.text) == (status, True)


def test_a_waiver_by_a_plain_form(bo: httpx.Client, folder: Path) -> None:
    """R-REVIEW: a waiver has a reason, an owner and an end; what is open is refused with every reason at once."""
    name = f"{CONTESTED}@1.3.0"
    page = Parsed(bo.get(f"/releases/{name}").text)
    fields = {each: page.field(each) for each in ("form_token", "evidence", "version")}
    said = {
        "code": "TST011",
        "versions": ">=1.3.0,<2.0.0",
        "about": "rates",
        "reason": "used from 1.4 on",
        "expires": "2027-01-31",
        "owner": "",
    }
    open_ = bo.post(f"/waivers/{name}", data=fields | said | {"versions": ">=1.0.0", "reason": " "})
    assert open_.status_code == 422
    assert ("no upper end" in open_.text, "it names no reason" in open_.text) == (True, True)
    assert bo.post(f"/waivers/{name}", data=fields | said | {"expires": "soon"}).status_code == 400
    past = bo.post(f"/waivers/{name}", data=fields | said | {"expires": "2026-11-27"})
    assert (past.status_code, "REG028" in past.text) == (422, True)
    done = bo.post(f"/waivers/{name}", data=fields | said)
    assert (done.status_code, done.headers["location"]) == (303, f"/nodes/{CONTESTED}?done=waived")
    with Registry.open(folder) as registry:
        (stored,) = registry.waivers(CONTESTED)
    assert (stored.waiver.owner, stored.waiver.about) == ("bo", "rates")
    assert stored.waiver.expires == datetime(2027, 1, 31, tzinfo=UTC)
    assert "valid" in Parsed(bo.get(done.headers["location"]).text).text


def test_an_expired_waiver_is_shown_as_expired(bo: httpx.Client) -> None:
    """R-REVIEW: an approved release whose waiver has ended may not go to production, and every page says so."""
    for path in (f"/nodes/{LAPSED}", f"/production?text={LAPSED}"):
        page = " ".join(Parsed(bo.get(path).text).text.split())
        assert re.search("waiver expired ?it expired on 2026-11-25", page)
        assert "C-BUDGET rests on a waiver, and it expired on 2026-11-25" in page
    assert "expired" in Parsed(bo.get(f"/releases/{LAPSED}@1.0.0").text).text


@pytest.mark.parametrize(
    ("now", "word"), [(THEN, Word.YES), (datetime(2026, 11, 25, tzinfo=UTC), Word.NO), (NOW, Word.NO)]
)
def test_may_it_go_to_production(folder: Path, now: datetime, word: Word) -> None:
    """R-REVIEW: yes up to the moment at which the waiver ends, no from that moment on."""
    with Registry.open(folder) as registry:
        shown = registry.show(f"{LAPSED}@1.0.0")
        found = standing.of(registry, shown.release, shown.published.verdicts, now)
    assert (found.word, set(found.lapsed)) == (word, set() if word is Word.YES else {"C-BUDGET"})


def test_unreadable_evidence_is_unknown(folder: Path, tmp_path: Path) -> None:
    """R-REVIEW: where the answer rests on evidence that was changed, it is neither yes nor no, and never yes."""
    copy = tmp_path / "registry"
    shutil.copytree(folder, copy)
    with Registry.open(copy) as registry:
        shown = registry.show(f"{LAPSED}@1.0.0")
        file = registry.blob_path(shown.release.evidence)
        file.chmod(0o600)
        file.write_bytes(file.read_bytes()[:-1])
        found = standing.of(registry, shown.release, shown.published.verdicts, THEN)
    assert found.word is Word.UNKNOWN
    assert "waiting does not help" in found.reasons[0]


def test_pages_of_a_list_hold_everything_once(bo: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """R-REVIEW: queue, production and log go on where they stopped, and miss and repeat nothing."""
    monkeypatch.setattr(views, "PAGE", 3)
    for start, pattern, least in (
        ("/queue?status=all", r'class="row-name" href="/releases/([^"]+)"', 10),
        ("/production", r'<th scope="row"><a href="/nodes/([^"]+)"', 5),
        ("/log", r"<a href=\"/log/(\d+)\">entry", 15),
    ):
        found: list[str] = []
        path = start
        while path:
            page = bo.get(path).text
            found += re.findall(pattern, page)
            more = re.search(r'rel="next" href="([^"]+)"', page)
            path = more[1].replace("&amp;", "&") if more else ""
        assert len(found) == len(set(found)), start
        assert len(found) >= least, start


def test_what_changed_is_shown_evidence_against_evidence(bo: httpx.Client) -> None:
    """R-REVIEW: since the last certified version: verdicts, components, and the lines of the files that changed."""
    for path in (f"/releases/{CHARGE}@1.1.0", f"/changes?old={CHARGE}@1.0.0&new={CHARGE}@1.1.0"):
        page = bo.get(path).text
        text = Parsed(page).text
        assert ("TIMEOUT = 2.0" in text, "TIMEOUT = 5.0" in text, "0.28.1" in text) == (True, True, True)
        assert page.count('<tr class="added"><td class="sign">+</td>') == 3
    other = bo.get("/changes", params={"old": f"{CHARGE}@1.0.0", "new": f"{OWN}@1.0.0"})
    assert (other.status_code, "different nodes" in other.text) == (422, True)


def test_the_log_is_proved_on_its_pages(bo: httpx.Client) -> None:
    """R-LOG: an entry's page and a comparison of two sizes carry their proofs, and say whether these hold."""
    assert "From the leaf and the" in bo.get("/log/2").text
    assert "The log of 3 entries is the beginning of that of 9." in bo.get("/log?old=3&new=9").text
    assert bo.get("/log?old=9&new=3").status_code == 404
    assert bo.get("/log/99999").status_code == 404
    assert bo.get("/log/x").status_code == 400


def test_colours_are_chosen_without_a_script(bo: httpx.Client) -> None:
    """R-REVIEW: dark and light are a form and a cookie; where to go back to is an address of this service."""
    answer = bo.post("/theme", data={"theme": "dark", "back": "/log"})
    assert answer.headers["location"] == "/log"
    assert '<html lang="en" data-theme="dark">' in bo.get("/log").text
    assert bo.post("/theme", data={"theme": "auto", "back": "//evil.example"}).headers["location"] == "/queue"
    assert '<html lang="en">' in bo.get("/log").text


def test_the_picture_says_what_is_not_declared() -> None:
    """R-REVIEW: the picture of effects has what was declared, where it goes and with which data, and what was not."""
    measured = effects()
    measured["observed"].append({"name": "env:HOME", "kind": "env", "mode": "read", "call": "os.getenv"})
    handed_in = whole(found=results(extra=(CheckResult("C-EFFECTS", Passed(), (), measured),)))
    gateway = {
        "name": "gateway",
        "kind": "http",
        "mode": "write",
        "url": "https://g.example:8443",
        "carries": ["internal", "pii"],
    }
    report = report_view.read(Evidence.decode(handed_in.blobs[handed_in.evidence]), handed_in.blobs)
    found = flow(report, {"resource": [gateway]})
    said = list(found.sentences())
    assert "takes pii data: customer.email, customer.name" in said
    assert "gives financial data: charged_minor" in said
    assert "writes http gateway, may send pii, internal: declared, in the text, observed" in said
    assert [(each.kind, each.name) for each in found.resources if not each.declared] == [("env", "HOME")]
    assert 'class="box alarm' in draw(found)
