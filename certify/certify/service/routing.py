"""Finding the endpoint of a request without going through all of them.

Rules this module keeps:

- the routes are Starlette's own, and what is found here is what Starlette would find: a table says only where to look;
- a request that no route takes in full (another method, no such address) goes Starlette's way, which knows what to say.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.routing import BaseRoute, Match, Route
from starlette.types import Receive, Scope, Send

SEGMENTS: Final = 3
"""So many segments at the front of an address the table goes by: ``/api/v1/drafts``."""


class Table:
    """Routes by method and the front of their address, in their order.

    Args:
        routes: the routes; none may have a part in the front of its address.
    """

    def __init__(self, routes: Sequence[Route]) -> None:
        self._routes: dict[tuple[str, str], list[Route]] = {}
        for route in routes:
            assert "{" not in _front(route.path), f"{route.path} would not be found by its front"
            for method in route.methods or ():
                self._routes.setdefault((method, _front(route.path)), []).append(route)

    def find(self, scope: Scope) -> tuple[Route, Scope] | None:
        """The first route that takes the request in full, and what it adds to the scope."""
        for route in self._routes.get((scope["method"], _front(scope["path"])), ()):
            match, found = route.matches(scope)
            if match is Match.FULL:
                return route, found
        return None


def _front(path: str) -> str:
    return "/".join(path.split("/", SEGMENTS + 1)[: SEGMENTS + 1])


class Application(Starlette):
    """Starlette, with a table before its routes.

    Args:
        tabled: routes that are found by the table; each endpoint answers a request, whatever goes wrong.
        routes: further routes.
        options: what Starlette takes besides.
    """

    def __init__(self, tabled: Sequence[Route], routes: Sequence[BaseRoute], **options: Any) -> None:
        super().__init__(routes=[*tabled, *routes], **options)
        self._table = Table(tabled)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        found = self._table.find(scope) if scope["type"] == "http" else None
        if found is None:
            await super().__call__(scope, receive, send)
            return
        route, told = found
        scope.update(told, app=self, route=route)
        response = await route.endpoint(Request(scope, receive, send))
        await response(scope, receive, send)
