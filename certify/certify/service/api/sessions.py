"""Signing in and out, and who one is."""

from __future__ import annotations

from typing import Annotated, Any, Final

from pydantic import Field
from starlette.responses import Response

from certify.service import identity
from certify.service.answers import answer
from certify.service.api.values import BASE
from certify.service.web import COOKIE, Context, Endpoint, Shape


class LoginBody(Shape):
    """Who signs in."""

    user: Annotated[str, Field(max_length=64)]
    password: Annotated[str, Field(max_length=1024)]


async def login(context: Context) -> Response:
    """Sign in; the session's cookie comes with the answer."""
    body: LoginBody = context.body
    cookie, actor = await context.service.sign_in(body.user, body.password, context.actor.address)
    response = answer({**_me(context, actor), "csrf": actor.csrf})
    set_session(response, cookie, secure=context.service.settings.secure_cookies)
    return response


def set_session(response: Response, cookie: str, *, secure: bool) -> None:
    """Send a session's cookie: for this host alone, out of reach of scripts and of other sites' forms."""
    response.set_cookie(
        COOKIE, cookie, max_age=int(identity.SESSION.total_seconds()), secure=secure, httponly=True, samesite="lax"
    )


async def logout(context: Context) -> Response:
    """Sign out."""
    cookie = context.request.cookies.get(COOKIE, "")
    if cookie:
        await context.service.sign_out(cookie)
    response = answer({"signed_out": True})
    response.delete_cookie(COOKIE)
    return response


async def me(context: Context) -> Response:
    """Who asks, and what they may do."""
    return answer(_me(context, context.actor))


def _me(context: Context, actor: identity.Actor) -> dict[str, Any]:
    access = context.service.access
    return {
        "user": actor.user,
        "name": actor.name,
        "roles": sorted(actor.roles),
        "token": actor.token,
        "prefix": actor.prefix,
        "may": [action for action in identity.ACTIONS if access.allows(actor, action)],
    }


ENDPOINTS: Final = (
    Endpoint("POST", f"{BASE}/login", "Sign in with a password", login, anonymous=True, body=LoginBody),
    Endpoint("POST", f"{BASE}/logout", "Sign out", logout, anonymous=True),
    Endpoint("GET", f"{BASE}/me", "Who asks, and what they may do", me),
)  # fmt: skip
