"""The page on reviewing says what the pages do."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from starlette.routing import Route

from certify.cli.app import run
from certify.registry.registry import Registry
from certify.service import pages
from certify.service.pages import rendering
from certify.service.service import Service
from certify.service.settings import Settings

PAGE = (Path(__file__).parents[2] / "docs" / "review.md").read_text("utf-8")


def rows(first: str) -> list[list[str]]:
    """The rows of the table whose head begins with `first`."""
    lines = PAGE[PAGE.index(f"| {first} |") :].split("\n\n", maxsplit=1)[0].strip().splitlines()
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def test_the_pages_commands_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """R-REVIEW: users are entered as written, and `serve` has the option that is named."""
    monkeypatch.setenv("CERTIFY_REGISTRY", str(tmp_path / "registry"))
    monkeypatch.setenv("CERTIFY_PASSWORD", "a password for tests")
    Registry.create(tmp_path / "registry").close()
    (block,) = re.findall(r"^```sh\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    *entered, serve = [shlex.split(line) for line in block.splitlines()]
    assert [run(command[1:]) for command in entered] == [0, 0]
    capsys.readouterr()
    monkeypatch.setattr("certify.service.server.run", lambda settings, **_: 0 if not settings.secure_cookies else 2)
    assert run(serve[1:]) == 0


def test_the_page_lists_every_address(tmp_path: Path) -> None:
    """R-REVIEW: each page that can be opened is in the table, and no other."""
    Registry.create(tmp_path / "registry").close()
    routes = pages.routes(Service(Settings(tmp_path / "registry")))
    opened = {r.path.split("{")[0].rstrip("/") for r in routes if isinstance(r, Route) and "GET" in (r.methods or ())}
    named = {a.split("?")[0].split("/N")[0] for row in rows("address") for a in re.findall(r"`([^`]+)`", row[0])}
    assert named == opened - {"", "/static", "/login"}


def test_the_page_lists_every_key() -> None:
    """R-REVIEW: the keys are those of the pages' own list."""
    shown = rendering.environment().get_template("keylist.html.j2").render()
    expected = [
        [re.sub(r"<kbd>(.*?)</kbd>", r"`\1`", keys), does]
        for keys, does in re.findall(r"<dt>(.*?)</dt><dd>(.*?)</dd>", shown)
    ]
    assert rows("keys") == expected
