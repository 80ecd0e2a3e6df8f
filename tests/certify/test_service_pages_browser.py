"""The review pages in a browser: by keyboard, without a script, in light and dark, and closed to hostile text."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import axe_playwright_python
import pytest
from playwright.sync_api import expect, sync_playwright

from certify.registry.entries import Status
from certify.registry.registry import Registry
from pages_support import CHARGE, CONTESTED, HOSTILE, LAPSED, OWN, furnish, serving
from service_support import PASSWORD

pytestmark = pytest.mark.browser
CHROMIUM = Path("/usr/bin/chromium")
AXE = (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text("utf-8")
PAGES = (
    "/queue",
    f"/releases/{CHARGE}@1.1.0",
    f"/releases/{LAPSED}@1.0.0",
    f"/releases/{HOSTILE}@1.0.1",
    f"/nodes/{LAPSED}",
    f"/changes?old={CHARGE}@1.0.0&new={CHARGE}@1.1.0",
    "/production",
    "/search?q=node",
    "/log?old=3",
    "/log/2",
    "/help",
    "/releases/no/such@1.0.0",
)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Debian's Chromium."""
    if not CHROMIUM.exists():
        pytest.skip("there is no Chromium here")
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A registry with people and nodes."""
    made = tmp_path_factory.mktemp("browsed") / "registry"
    furnish(made)
    return made


@pytest.fixture(scope="module")
def address(folder: Path) -> Iterator[str]:
    """A service over it."""
    with serving(folder) as found:
        yield found


@pytest.fixture(scope="module")
def sessions(browser: Any, address: str) -> dict[str, Any]:
    """The cookies of each user, come by through the form."""
    found = {}
    for user in ("bo", "cy", "eve"):
        page = browser.new_page(base_url=address)
        page.goto("/log")
        page.fill("#user", user)
        page.fill("#password", PASSWORD)
        page.keyboard.press("Enter")
        expect(page).to_have_url(f"{address}/log")
        found[user] = page.context.storage_state()
        page.context.close()
    return found


@pytest.fixture
def visit(browser: Any, address: str, sessions: dict[str, Any]) -> Iterator[Any]:
    """Open a page as somebody; the console says nothing, but for what was refused, and nothing is fetched elsewhere."""
    contexts, noise = [], []

    def elsewhere(url: str) -> bool:
        return not url.startswith((address, "data:"))

    def opened(user: str, path: str, **options: Any) -> Any:
        context = browser.new_context(base_url=address, storage_state=sessions[user], **options)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: noise.append(message.text))
        page.on("pageerror", lambda error: noise.append(str(error)))
        page.on("request", lambda request: noise.append(request.url) if elsewhere(request.url) else None)
        page.goto(path)
        return page

    yield opened
    for context in contexts:
        context.close()
    expected = ("the server responded with a status of 4", "violates the following Content Security Policy directive")
    assert [line for line in noise if not any(each in line for each in expected)] == []


def status_of(folder: Path, name: str) -> Status:
    """Where a release stands, as the registry itself says."""
    with Registry.open(folder) as registry:
        return registry.show(name).release.status


def test_a_whole_review_by_keyboard(visit: Any, folder: Path, address: str) -> None:
    """R-REVIEW: find in the queue, open, see what changed, approve with a reason: no pointer needed."""
    page = visit("bo", "/queue")
    names = page.locator(".row-name").all_inner_texts()
    wanted = f"{CONTESTED}@1.0.0"
    for _ in range(names.index(wanted) + 1):
        page.keyboard.press("j")
    page.keyboard.press("o")
    expect(page).to_have_url(f"{address}/releases/{wanted}")
    page.keyboard.press("?")
    expect(page.locator("dialog#keys")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("dialog#keys")).to_be_hidden()
    page.keyboard.press("d")
    assert page.evaluate("location.hash") == "#since"
    page.keyboard.press("r")
    page.keyboard.press("Escape")
    page.keyboard.press("a")
    expect(page.locator("#choose-approve")).to_be_checked()
    expect(page.locator("#reason")).to_be_focused()
    page.keyboard.type("read the diff; r and a are letters here")
    page.keyboard.press("Control+Enter")
    expect(page.locator(".done")).to_contain_text("You approved this release.")
    assert status_of(folder, wanted) is Status.APPROVED
    expect(page.locator(".timeline")).to_contain_text("read the diff; r and a are letters here")
    page.keyboard.press("/")
    page.keyboard.type("refund")
    page.keyboard.press("Enter")
    expect(page.locator(".row-name")).to_have_text([f"{LAPSED}@1.0.0"])
    page.keyboard.press("g")
    page.keyboard.press("p")
    expect(page).to_have_url(f"{address}/production")


def test_a_waiver_by_keyboard(visit: Any, folder: Path) -> None:
    """R-REVIEW: w opens the form with the finding filled in; reason and end are asked for before anything is sent."""
    page = visit("bo", f"/releases/{CHARGE}@1.1.0")
    page.keyboard.press("w")
    expect(page.locator("#code")).to_be_focused()
    page.fill("#code", "TST011")
    page.keyboard.press("Control+Enter")
    assert page.evaluate("document.querySelector('#expires').validity.valueMissing")
    page.fill("#about", "rates")
    page.fill("#expires", "2027-02-28")
    page.fill("#waive-reason", "used from the next version on")
    page.keyboard.press("Control+Enter")
    expect(page.locator(".done")).to_contain_text("The waiver is signed")
    with Registry.open(folder) as registry:
        assert [w.waiver.code for w in registry.waivers(CHARGE)] == ["TST004", "TST011"]


def test_a_refused_self_approval(visit: Any, folder: Path) -> None:
    """R-AUTH: the key says why not; a form sent all the same is refused by the policy, and changes nothing."""
    page = visit("eve", f"/releases/{OWN}@1.0.0")
    page.keyboard.press("a")
    expect(page.locator("#news")).to_contain_text("nobody approves a release that they handed in")
    page.evaluate("document.querySelector('#choose-approve').disabled = false")
    page.keyboard.press("a")
    page.keyboard.type("mine is good")
    page.keyboard.press("Control+Enter")
    expect(page.locator("h1")).to_contain_text("That is not allowed")
    expect(page.locator("main")).to_contain_text("no-self-approval")
    assert status_of(folder, f"{OWN}@1.0.0") is Status.CERTIFIED


def test_a_conflict_between_two_reviewers(visit: Any, folder: Path) -> None:
    """R-OCC, R-STREAM: the slower one hears of it on the open page, and is told all of it when deciding still."""
    name = f"{CONTESTED}@1.1.0"
    slow, quick = visit("cy", f"/releases/{name}"), visit("bo", f"/releases/{name}")
    quick.keyboard.press("r")
    quick.keyboard.type("charges twice after a time-out")
    quick.keyboard.press("Control+Enter")
    expect(quick.locator(".done")).to_contain_text("You rejected this release.")
    expect(slow.locator("#news")).to_contain_text("it is rejected")
    slow.keyboard.press("a")
    slow.keyboard.type("looks right to me")
    slow.keyboard.press("Control+Enter")
    expect(slow.locator("h1")).to_contain_text("Somebody was quicker")
    expect(slow.locator("main")).to_contain_text("charges twice after a time-out")
    expect(slow.locator("blockquote")).to_have_text("looks right to me")
    assert status_of(folder, name) is Status.REJECTED


def test_an_expired_waiver(visit: Any) -> None:
    """R-REVIEW: an approved release whose waiver has ended is a no, in red, with the day on which it ended."""
    page = visit("bo", "/production")
    row = page.locator("tr", has=page.get_by_role("link", name=LAPSED))
    expect(row.locator(".go")).to_have_text("no")
    expect(row.locator(".square.expired")).to_contain_text("expired on 2026-11-25")
    page.goto(f"/releases/{LAPSED}@1.0.0")
    expect(page.locator(".standing")).to_contain_text("C-BUDGET rests on a waiver, and it expired on 2026-11-25")
    expect(page.locator("#waive")).to_have_attribute("open", "")


def test_without_a_script(visit: Any, folder: Path, address: str) -> None:
    """R-REVIEW: reading, choosing colours, finding and deciding all work with scripts switched off."""
    page = visit("bo", "/queue", java_script_enabled=False)
    page.click("text=shop/contested@1.2.0")
    page.check("#choose-reject", force=True)
    page.fill("#reason", "no script, and a reason all the same")
    page.click("text=Sign and record")
    expect(page.locator(".done")).to_contain_text("You rejected this release.")
    assert status_of(folder, f"{CONTESTED}@1.2.0") is Status.REJECTED
    page.click("button[title^='Now as the system']")
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    page.fill("#q", "refund")
    page.press("#q", "Enter")
    expect(page.locator(".row-name")).to_have_text([f"{LAPSED}@1.0.0"])
    page.click("text=Help")
    expect(page).to_have_url(f"{address}/help")


def faults(page: Any, path: str, rules: list[str]) -> list[Any]:
    """What axe finds on a page with everything unfolded; by all its rules when none is named."""
    page.goto(path)
    page.evaluate("for (const each of document.querySelectorAll('details')) each.open = true")
    page.evaluate(AXE)
    found = page.evaluate(
        "rules => axe.run(rules.length ? { runOnly: rules } : {})"
        ".then(r => r.violations.map(v => [v.id, v.nodes.map(n => n.html.slice(0, 200)).slice(0, 3)]))",
        rules,
    )
    return [[path, *each] for each in found]


def test_everybody_can_read_every_page(visit: Any) -> None:
    """R-REVIEW: axe finds nothing on any page, and no page scrolls sideways on a phone."""
    page = visit("bo", "/queue", color_scheme="light", reduced_motion="reduce")
    assert [fault for path in PAGES for fault in faults(page, path, [])] == []
    page.set_viewport_size({"width": 360, "height": 800})
    widths = {}
    for path in PAGES:
        page.goto(path)
        widths[path] = page.evaluate("document.documentElement.scrollWidth")
    assert widths == dict.fromkeys(PAGES, 360)


def test_dark_is_dark_and_legible(visit: Any, tmp_path: Path) -> None:
    """R-REVIEW: where the system prefers dark, pages are dark, and every text on them has its contrast; as in light."""
    seen = {}
    for scheme in ("light", "dark"):
        page = visit("bo", "/queue", color_scheme=scheme, viewport={"width": 1280, "height": 900})
        seen[scheme] = page.evaluate("getComputedStyle(document.body).backgroundColor")
        picture = page.screenshot(path=tmp_path / f"{scheme}.png")
        assert picture.startswith(b"\x89PNG")
    assert seen == {"light": "rgb(246, 246, 243)", "dark": "rgb(18, 21, 26)"}
    dark = (PAGES[0], PAGES[1], PAGES[4], "/production", "/log?old=3")
    assert [fault for path in dark for fault in faults(page, path, ["color-contrast"])] == []


def test_nothing_of_a_node_runs(visit: Any) -> None:
    """R-REVIEW: hostile text of manifest, evidence and waiver does not run, nor would it if it got in."""
    page = visit("bo", f"/releases/{HOSTILE}@1.0.1")
    for path in (
        f"/releases/{HOSTILE}@1.0.1",
        f"/nodes/{HOSTILE}",
        f"/changes?old={HOSTILE}@1.0.0&new={HOSTILE}@1.0.1",
        "/search?q=%3Cimg+src%3Dx+onerror%3Ddocument.title%3D1%3E",
        "/log",
    ):
        page.goto(path)
        assert page.title() not in {"run", "1"}
        assert page.locator("img, script:not([src]), style, iframe").count() == 0
    blocked = page.evaluate(
        """async () => {
          const told = new Promise(done =>
            document.addEventListener('securitypolicyviolation', e => done(e.effectiveDirective)));
          const script = document.createElement('script');
          script.textContent = "document.title = 'run'";
          document.body.append(script);
          return [await told, document.title === 'run'];
        }"""
    )
    assert blocked == ["script-src-elem", False]
