"""The addresses of the pages.

Rules this module keeps:

- pages are read and rendered in a reader's thread; the event loop only passes them on;
- whoever is nobody is sent to sign in, and comes back to where they were going;
- a decision is taken by a form that names the evidence and the version that were on the page: a stale page decides
  nothing, and is told what happened meanwhile;
- whatever is refused is a page that says why, and in the audit.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from certify.registry.entries import Status
from certify.registry.errors import Conflict, Refused
from certify.registry.registry import Registry
from certify.registry.sql import MANY
from certify.service import answers, identity, reading
from certify.service.api.sessions import set_session
from certify.service.app import guarded
from certify.service.errors import NOT_SIGNED_IN, Declined, bad
from certify.service.identity import Actor
from certify.service.oidc import BEGIN
from certify.service.pages import forms, rendering, views
from certify.service.service import Service
from certify.service.web import COOKIE, client_address
from certify_spec.diagnostics import Diagnostic, RequestError

THEME: Final = "certify_theme"
_THEMES: Final = frozenset({"light", "dark"})
_DONE: Final = {
    "approved": "You approved this release. The decision is signed and in the log.",
    "rejected": "You rejected this release. The decision is signed and in the log.",
    "revoked": "You revoked this release. The decision is signed and in the log.",
    "waived": "The waiver is signed and in the log. It counts when the node is certified the next time.",
}
Answerer = Callable[["Pages", Request, Actor], Awaitable[Response]]


def routes(service: Service) -> list[BaseRoute]:
    """The routes of every page, for `certify.service.app.build`."""
    pages = Pages(service)
    return [
        Route("/", _home, methods=["GET"]),
        Route("/static/{name}", _static, methods=["GET"]),
        *(
            Route(path, pages.guarded(path, work, public=public), methods=[method])
            for method, path, work, public in (
                ("GET", "/login", show_login, True),
                ("POST", "/login", login, True),
                ("POST", "/logout", logout, True),
                ("POST", "/theme", theme, True),
                ("GET", "/help", show_help, True),
                ("GET", "/queue", show_queue, False),
                ("GET", "/nodes/{name:path}", show_node, False),
                ("GET", "/releases/{name:path}", show_release, False),
                ("POST", "/releases/{name:path}", decide, False),
                ("POST", "/waivers/{name:path}", waive, False),
                ("GET", "/changes", show_changes, False),
                ("GET", "/production", show_production, False),
                ("GET", "/search", show_search, False),
                ("GET", "/log", show_log, False),
                ("GET", "/log/{number}", show_entry, False),
            )
        ),
    ]


@dataclass(frozen=True)
class Told:
    """What an error page needs to know beside the error: put on the request before the error is raised."""

    actor: Actor
    clash: views.Clash | None = None
    login: Mapping[str, str] | None = None


class Pages:
    """What every page has at hand."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.reports = views.Reports()

    def guarded(self, name: str, work: Answerer, *, public: bool) -> Callable[[Request], Awaitable[Response]]:
        """The page with everything around it; `public` ones are for nobody in particular as well."""

        async def answer_it(request: Request) -> Response:
            actor = await self.service.actor(request)
            request.state.told = Told(actor)
            if not public:
                if not actor.user and not (self.service.settings.anonymous_read and request.method in {"GET", "HEAD"}):
                    return self._to_login(request)
                if actor.user:
                    self.service.access.demand(actor, "read")
            return await work(self, request, actor)

        return guarded(self.service, name, answer_it, of=self._problem)

    def _to_login(self, request: Request) -> Response:
        if request.method not in {"GET", "HEAD"}:
            raise Declined(401, NOT_SIGNED_IN, "sign in to decide", action="decide", item=request.url.path)
        here = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        return RedirectResponse(rendering.query("/login", next=here), 303, {"Cache-Control": "no-store"})

    def visitor(self, request: Request, actor: Actor, waiting: int = 0) -> views.Visitor:
        """Who looks at a page."""
        access = self.service.access
        chosen = request.cookies.get(THEME, "")
        here = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        return views.Visitor(
            actor=actor,
            may=frozenset(action for action in identity.ACTIONS if access.allows(actor, action)),
            theme=chosen if chosen in _THEMES else "",
            here=here if request.method == "GET" else "/queue",
            now=self.service.clock(),
            waiting=waiting,
        )

    async def page(
        self, request: Request, actor: Actor, template: str, work: Callable[[Registry], Any], **values: Any
    ) -> Response:
        """A page about what the work reads; both are done in a reader's thread."""

        def made(registry: Registry) -> bytes:
            waiting = reading.counts(registry)[Status.CERTIFIED.value]
            return rendering.render(template, self.visitor(request, actor, waiting), page=work(registry), **values)

        return rendering.answer(await self.service.desk.read(made))

    def _problem(self, request: Request, error: Exception) -> Response:
        """What an error becomes: the same status and the same reasons as in the API, as a page."""
        plain = answers.of(error)
        headers = {key: value for key, value in plain.headers.items() if key == "retry-after"}
        told: Told = getattr(request.state, "told", None) or Told(Actor())
        visitor = self.visitor(request, told.actor)
        status = plain.status_code
        if told.login is not None and isinstance(error, Declined):
            page = rendering.render("login", visitor, page=told.login, said=error.diagnostic)
        elif told.clash is not None and isinstance(error, Conflict):
            page = rendering.render("conflict", visitor, page=told.clash)
        else:
            page = rendering.render("problem", visitor, page=_reasons(error, status), status=status)
        return rendering.answer(page, status, headers)


def _reasons(error: Exception, status: int) -> tuple[Diagnostic, ...]:
    match error:
        case Declined():
            return (error.diagnostic,)
        case Refused() | RequestError() if status < 500:
            return tuple(error.diagnostics)
        case _:
            return ()


async def _home(_request: Request) -> Response:
    return RedirectResponse("/queue", 303)


async def _static(request: Request) -> Response:
    asset = rendering.assets().get(request.path_params["name"])
    if asset is None:
        return Response(status_code=404)
    headers = {"Cache-Control": "public, max-age=31536000, immutable", "X-Content-Type-Options": "nosniff"}
    return Response(asset.data, 200, headers, asset.media)


# Coming and going


async def show_login(pages: Pages, request: Request, actor: Actor) -> Response:
    """The form to sign in with."""
    wanted = _wanted(pages, request.query_params.get("next", ""), "")
    return rendering.answer(rendering.render("login", pages.visitor(request, actor), page=wanted, said=None))


def _wanted(pages: Pages, back: str, user: str) -> dict[str, str]:
    """What the page to sign in on shows: where to go on, who tries, and the way to the provider where there is one."""
    return {"next": forms.local(back), "user": user, "openid": BEGIN if pages.service.settings.open_id else ""}


async def login(pages: Pages, request: Request, actor: Actor) -> Response:
    """Sign in."""
    fields = await forms.read_form(pages.service, request)
    wanted = _wanted(pages, fields.get("next", ""), fields.get("user", "")[:64])
    request.state.told = Told(actor, login=wanted)
    cookie, _ = await pages.service.sign_in(wanted["user"], fields.get("password", ""), client_address(request))
    response = RedirectResponse(wanted["next"], 303, {"Cache-Control": "no-store"})
    set_session(response, cookie, secure=pages.service.settings.secure_cookies)
    return response


async def logout(pages: Pages, request: Request, actor: Actor) -> Response:
    """Sign out."""
    fields = await forms.read_form(pages.service, request)
    forms.demand_session(actor, fields)
    if cookie := request.cookies.get(COOKIE, ""):
        await pages.service.sign_out(cookie)
    response = RedirectResponse("/login", 303)
    response.delete_cookie(COOKIE)
    return response


async def theme(pages: Pages, request: Request, _actor: Actor) -> Response:
    """Choose light, dark, or what the system prefers."""
    fields = await forms.read_form(pages.service, request)
    response = RedirectResponse(forms.local(fields.get("back", "")), 303)
    chosen = fields.get("theme", "")
    if chosen in _THEMES:
        secure = pages.service.settings.secure_cookies
        response.set_cookie(THEME, chosen, max_age=366 * 86400, secure=secure, httponly=True, samesite="lax")
    else:
        response.delete_cookie(THEME)
    return response


async def show_help(pages: Pages, request: Request, actor: Actor) -> Response:
    """The keys, and what the words mean."""
    return rendering.answer(rendering.render("help", pages.visitor(request, actor)))


# Reading


async def show_queue(pages: Pages, request: Request, actor: Actor) -> Response:
    """Releases, those that wait for a review unless something else is asked for."""
    asked = request.query_params
    status, text = asked.get("status", Status.CERTIFIED.value), asked.get("text", "")[:200]
    before = forms.number(asked.get("before", ""), MANY)
    status = "" if status == "all" else status
    return await pages.page(
        request, actor, "queue", lambda r: views.queue(r, status=status, text=text, before=before)
    )  # fmt: skip


async def show_node(pages: Pages, request: Request, actor: Actor) -> Response:
    """A node."""
    name, access, now = str(request.path_params["name"]), pages.service.access, pages.service.clock()
    done = _DONE.get(request.query_params.get("done", ""), "")
    return await pages.page(request, actor, "node", lambda r: views.node(r, name, access, actor, now), done=done)


async def show_release(pages: Pages, request: Request, actor: Actor) -> Response:
    """A release, with all that there is to decide on."""
    name, access, now = str(request.path_params["name"]), pages.service.access, pages.service.clock()
    done = _DONE.get(request.query_params.get("done", ""), "")
    return await pages.page(
        request, actor, "release", lambda r: views.release(r, pages.reports, name, access, actor, now), done=done
    )


async def show_changes(pages: Pages, request: Request, actor: Actor) -> Response:
    """What changed between two releases."""
    old, new = (request.query_params.get(which, "")[:300] for which in ("old", "new"))
    return await pages.page(request, actor, "changes", lambda r: views.changes(r, old, new))


async def show_production(pages: Pages, request: Request, actor: Actor) -> Response:
    """May this go to production?"""
    text, after = (request.query_params.get(which, "")[:200] for which in ("text", "after"))
    now = pages.service.clock()
    return await pages.page(
        request, actor, "production", lambda r: views.production(r, text=text, after=after, now=now)
    )  # fmt: skip


async def show_search(pages: Pages, request: Request, actor: Actor) -> Response:
    """What a search found."""
    text = request.query_params.get("q", "")[:200].replace("\0", "")
    return await pages.page(request, actor, "search", lambda r: views.search(r, text))


async def show_log(pages: Pages, request: Request, actor: Actor) -> Response:
    """The log with its checkpoint."""
    asked = request.query_params
    before, old, new = (
        forms.number(asked.get(which, ""), otherwise) for which, otherwise in (("before", MANY), ("old", 0), ("new", 0))
    )
    return await pages.page(request, actor, "log", lambda r: views.log(r, before=before, old=old, new=new))


async def show_entry(pages: Pages, request: Request, actor: Actor) -> Response:
    """An entry of the log with its proof."""
    number = forms.number(str(request.path_params["number"]), -1)
    if number < 0:
        raise bad("an entry of the log goes by its number")
    return await pages.page(request, actor, "entry", lambda r: views.entry(r, number))


# Deciding


async def decide(pages: Pages, request: Request, actor: Actor) -> Response:
    """Approve, reject or revoke what was on the page."""
    service, name = pages.service, str(request.path_params["name"])
    fields = await forms.read_form(service, request)
    forms.demand_session(actor, fields)
    form = forms.decision_form(fields)
    try:
        await service.decide_here(
            actor, name, form.status, evidence=form.evidence, version=form.version, reason=form.reason
        )
    except Conflict as conflict:
        expected, actual, word = conflict.expected, conflict.actual, fields["decision"]
        found = await service.desk.read(lambda r: views.clash(r, name, word, form.reason, expected, actual))
        request.state.told = Told(actor, clash=found)
        raise
    return RedirectResponse(rendering.query(rendering.release_path(name), done=form.status.value), 303)


async def waive(pages: Pages, request: Request, actor: Actor) -> Response:
    """Waive a finding of the node whose release was on the page."""
    service, name = pages.service, str(request.path_params["name"])
    fields = await forms.read_form(service, request)
    forms.demand_session(actor, fields)
    evidence, version = forms.bound(fields)
    found = await service.desk.read(lambda r: r.show(name).release)
    if (found.evidence, found.version) != (evidence, version):
        reason = forms.one_line(fields.get("reason", ""))
        clash = await service.desk.read(lambda r: views.clash(r, name, "waive", reason, version, found.version))
        request.state.told = Told(actor, clash=clash)
        raise Conflict(name, version, found.version)
    waiver = forms.waiver_form(found.node, fields, actor.user, service.clock())
    await service.waive_here(actor, waiver)
    return RedirectResponse(rendering.query(rendering.node_path(found.node), done="waived"), 303)
