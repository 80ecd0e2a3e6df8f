"""The table of addresses finds what going through all routes would find."""

from __future__ import annotations

from itertools import product
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match, Route

from certify.service.api import ENDPOINTS
from certify.service.api.values import BASE
from certify.service.app import in_order
from certify.service.routing import Table

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
PARTS = (
    "",
    "/x",
    "/a/b@1.0.0",
    "/x/artefacts/y",
    "/x/complete",
    "/stream",
    "/checkpoint",
    "/entries",
    "/inclusion",
    "/consistency",
    "//",
    "/x/",
)


async def nothing(_request: Request) -> Response:
    """Answer nothing."""
    return Response()


def test_the_table_finds_what_the_routes_say() -> None:
    """R-LOAD: for every method, and every address that is declared or looks like one, the same route, or none."""
    routes = [Route(endpoint.path, nothing, methods=[endpoint.method]) for endpoint in in_order(ENDPOINTS)]
    table, found = Table(routes), set()
    fronts = {"/".join(route.path.split("/")[:4]) for route in routes} | {BASE, "", f"{BASE}/nowhere", "/api"}
    for method, path in product(METHODS, (front + part for front in sorted(fronts) for part in PARTS)):
        scope: dict[str, Any] = {"type": "http", "method": method, "path": path, "root_path": ""}
        expected = next((route for route in routes if route.matches(scope)[0] is Match.FULL), None)
        route, told = table.find(scope) or (None, {})
        assert route is expected, (method, path)
        assert expected is None or told == expected.matches(scope)[1]
        found.add(route and (route.path, *route.methods))
    assert len(found) == len(routes) + 1, "every route was found, and nothing once"
