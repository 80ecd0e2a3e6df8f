"""Values to HTML.

Rules this module keeps:

- the templates are those of the report, and a few around them: every value goes the same way into a page;
- no page has a script or a style of its own: both come from one address each, named by the digest of their bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, Final
from urllib.parse import quote, urlencode

from jinja2 import Environment
from starlette.responses import Response

from certify.codec import address
from certify.report import html
from certify.service.pages import flow, views

POLICY: Final = (
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS: Final = {"Content-Security-Policy": POLICY, "Cache-Control": "no-store"}


@dataclass(frozen=True, slots=True)
class Asset:
    """A file of the pages, by an address that changes with its bytes."""

    path: str
    media: str
    data: bytes


@cache
def assets() -> Mapping[str, Asset]:
    """The stylesheet and the script, by the last part of their address."""
    folder = resources.files("certify.service.pages")
    style = html.style() + folder.joinpath("pages.css").read_text("utf-8")
    script = folder.joinpath("pages.js").read_text("utf-8")
    found = {}
    for kind, media, text in (("css", "text/css", style), ("js", "text/javascript", script)):
        data = text.encode()
        name = f"{address(data)[:16]}.{kind}"
        found[name] = Asset(f"/static/{name}", f"{media}; charset=utf-8", data)
    return found


@cache
def environment() -> Environment:
    """The templates."""
    made = html.environment("certify.service.pages")
    made.globals |= {
        "style_path": next(asset.path for asset in assets().values() if asset.path.endswith("css")),
        "script_path": next(asset.path for asset in assets().values() if asset.path.endswith("js")),
        "release_path": release_path,
        "node_path": node_path,
        "query": query,
        "draw": flow.draw,
        "ago": views.ago,
        "tally": views.tally,
        "value_text": views.value_text,
        "proposed_versions": views.versions_up_to_next_major,
    }
    return made


def render(template: str, visitor: views.Visitor, **values: Any) -> bytes:
    """A page."""
    return environment().get_template(f"{template}.html.j2").render(visitor=visitor, **values).encode("utf-8")


def answer(page: bytes, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A page as an answer."""
    return Response(page, status, {**HEADERS, **(headers or {})}, "text/html; charset=utf-8")


def release_path(name: str) -> str:
    """The address of a release's page."""
    return f"/releases/{quote(name, safe='/@+')}"


def node_path(node: str) -> str:
    """The address of a node's page."""
    return f"/nodes/{quote(node, safe='/')}"


def query(path: str, **members: Any) -> str:
    """An address with a query; members without a value are left out."""
    said = {key: str(value) for key, value in members.items() if value not in {"", 0, None}}
    return f"{path}?{urlencode(said)}" if said else path
