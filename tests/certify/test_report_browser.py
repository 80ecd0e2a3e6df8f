"""Claims about the HTML report in a browser: legible in light and dark, within its width, silent under its policy."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import sync_playwright

from certify.report import render
from report_support import evidence

pytestmark = pytest.mark.browser
CHROMIUM = Path("/usr/bin/chromium")
HOSTILE = "</style><script>document.title = 'run'</script><img src=x onerror=\"document.title = 'run'\"> " + "long" * 90
#: Elements whose own text has a contrast below 4.5 to 1 (WCAG 2.2, 1.4.3), everything unfolded.
FAINT = """() => {
  const light = ([r, g, b]) => [r, g, b].map(v => v / 255)
    .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const colour = text => text.match(/[\\d.]+/g).map(Number);
  for (const each of document.querySelectorAll('details')) each.open = true;
  const found = [];
  for (const each of document.querySelectorAll('body *:not(svg *)')) {
    if (![...each.childNodes].some(n => n.nodeType === 3 && n.textContent.trim())) continue;
    let behind = each;
    while (behind && colour(getComputedStyle(behind).backgroundColor)[3] === 0) behind = behind.parentElement;
    const [a, b] = [light(colour(getComputedStyle(each).color)),
      light(colour(getComputedStyle(behind ?? document.body).backgroundColor))].sort((x, y) => y - x);
    if ((a + 0.05) / (b + 0.05) < 4.5) found.push(each.tagName + '.' + each.className);
  }
  return found;
}"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Debian's Chromium."""
    if not CHROMIUM.exists():
        pytest.skip("there is no Chromium here")
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("text", ["plain", HOSTILE])
def test_the_page_is_legible_narrow_and_silent(browser: Any, tmp_path: Path, scheme: str, text: str) -> None:
    """C-REPORT: contrast of at least 4.5 to 1, no sideways scrolling on a phone, nothing fetched, nothing run."""
    file = tmp_path / "report.html"
    file.write_bytes(render(*evidence(text=text), "html"))
    page = browser.new_page(color_scheme=scheme, viewport={"width": 360, "height": 800})
    noise: list[str] = []
    page.on("console", lambda message: noise.append(message.text))
    page.on("request", lambda request: noise.append(request.url))
    page.goto(file.as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    assert page.evaluate(FAINT) == []
    assert noise == [file.as_uri()]
    assert page.title().startswith("billing/charge@1.0.0: failed")
    page.close()


def test_print_unfolds_everything(browser: Any, tmp_path: Path) -> None:
    """C-REPORT: on paper nothing is folded away, and the navigation is gone."""
    file = tmp_path / "report.html"
    file.write_bytes(render(*evidence(), "html"))
    page = browser.new_page()
    page.emulate_media(media="print")
    page.goto(file.as_uri())
    folded = "() => [...document.querySelectorAll('details > :not(summary)')].filter(e => e.offsetHeight === 0).length"
    assert page.evaluate(folded) == 0
    assert page.evaluate("() => document.querySelector('nav').offsetHeight") == 0
    page.close()
