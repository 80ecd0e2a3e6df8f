"""Users, and the audit of what they were refused."""

from __future__ import annotations

from typing import Annotated, Any, Final

from pydantic import Field
from starlette.responses import Response

from certify.registry.registry import Registry
from certify.service import identity
from certify.service.answers import answer
from certify.service.api.values import BASE, MADE, Limit, Number, Text
from certify.service.web import Context, Endpoint, Shape


class UserBody(Shape):
    """A user to enter."""

    id: Annotated[str, Field(max_length=64)]
    name: Text = ""
    roles: Annotated[list[Text], Field(max_length=3)] = Field(default_factory=list)
    password: Annotated[str, Field(max_length=1024)] = ""


class UserChangeBody(Shape):
    """A change of a user."""

    version: Annotated[int, Field(ge=1, le=2**53)]
    state: Text | None = None
    roles: Annotated[list[Text], Field(max_length=3)] | None = None
    password: Annotated[str, Field(max_length=1024)] | None = None


class AuditQuery(Shape):
    """Which lines of the audit."""

    before: Number = 2**53
    limit: Limit = 100
    outcome: Text = ""


async def list_users(context: Context) -> Response:
    """The users."""

    def work(registry: Registry) -> list[dict[str, Any]]:
        with registry.store.read() as view:
            return [identity.public_user(user) for user in view.records("user")]

    return answer({"users": await context.read(work)})


async def add_user(context: Context) -> Response:
    """Enter a user."""
    body: UserBody = context.body
    now = context.service.clock()
    hashed = await context.read(lambda _: identity.hashed(body.password)) if body.password else ""

    def work(registry: Registry) -> dict[str, Any]:
        with registry.store.write() as view:
            return identity.public_user(
                identity.add_user(view, body.id, now=now, name=body.name, roles=body.roles, password=hashed)
            )

    return answer(await context.write(work), 201)


async def change_user(context: Context) -> Response:
    """Change a user's roles, password or state, by compare-and-swap on the version."""
    body: UserChangeBody = context.body
    login, now = context.part("user"), context.service.clock()
    changes: dict[str, Any] = {}
    if body.state is not None:
        changes["state"] = body.state
    if body.roles is not None:
        changes["roles"] = body.roles
    if body.password is not None:
        password = body.password
        changes["password"] = await context.read(lambda _: identity.hashed(password))

    def work(registry: Registry) -> dict[str, Any]:
        with registry.store.write() as view:
            return identity.public_user(
                identity.change_user(view, login, now=now, expected=body.version, **changes)
            )  # fmt: skip

    return answer(await context.write(work))


async def get_audit(context: Context) -> Response:
    """The audit, the newest line first."""
    q: AuditQuery = context.query

    def work(registry: Registry) -> list[dict[str, Any]]:
        with registry.store.read() as view:
            found = view.audited(q.before, q.limit, q.outcome)
        return [{name: getattr(line, name) for name in line.__slots__} for line in found]

    return answer({"audit": await context.read(work)})


ENDPOINTS: Final = (
    Endpoint("GET", f"{BASE}/users", "List users", list_users, "administer"),
    Endpoint("POST", f"{BASE}/users", "Enter a user", add_user, "administer", body=UserBody, success=MADE),
    Endpoint("PATCH", f"{BASE}/users/{{user}}", "Change a user", change_user, "administer", body=UserChangeBody),
    Endpoint("GET", f"{BASE}/audit", "The audit", get_audit, "audit", query=AuditQuery),
)  # fmt: skip
