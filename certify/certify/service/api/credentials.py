"""What somebody shows and signs with: API tokens and signing keys."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any, Final

from pydantic import Field
from starlette.responses import Response

from certify.evidence.keys import PublicKey
from certify.registry.errors import Refused, reason
from certify.registry.registry import Registry
from certify.registry.sql import Record
from certify.service import identity
from certify.service.answers import answer
from certify.service.api.values import BASE, MADE, Hex, Text
from certify.service.web import Context, Endpoint, Shape
from certify.times import write_time


class TokenBody(Shape):
    """A token to make: what it allows, for which nodes, for how long."""

    name: Text
    scopes: Annotated[list[Text], Field(max_length=20)] = Field(default_factory=list)
    prefix: Annotated[str, Field(max_length=128)] = ""
    days: Annotated[float, Field(gt=0, le=366)] | None = None


class KeyBody(Shape):
    """A public key, and its signature over the text that shows it is the sender's."""

    public: Hex
    signature: Annotated[str, Field(pattern=r"^[0-9a-f]{128}$")]


async def make_token(context: Context) -> Response:
    """Make an API token, never wider than what asks for it; its text is shown once."""
    body: TokenBody = context.body
    service, actor = context.service, context.actor
    now = service.clock()
    ends = now + timedelta(days=body.days) if body.days is not None else None

    def work(registry: Registry) -> tuple[str, Record]:
        with registry.store.write() as view:
            return identity.new_token(
                view,
                actor.user,
                now=now,
                name=body.name,
                scopes=body.scopes,
                prefix=body.prefix,
                expires=ends,
                parent=actor.token,
            )

    text, stored = await context.write(work)
    return answer({"token": text, **identity.public_token(stored)}, 201)


async def list_tokens(context: Context) -> Response:
    """The tokens of whoever asks."""

    def work(registry: Registry) -> list[dict[str, Any]]:
        with registry.store.read() as view:
            return [identity.public_token(token) for token in view.records("token", owner=context.actor.user)]

    return answer({"tokens": await context.read(work)})


async def revoke_token(context: Context) -> Response:
    """Revoke a token, and all that were narrowed from it."""
    service, actor, identifier = context.service, context.actor, context.part("token")
    now = service.clock()

    def work(registry: Registry) -> dict[str, Any]:
        with registry.store.write() as view:
            found = identity.read_token(view, identifier)
            if found.owner != actor.user:
                service.access.demand(actor, "administer")
            return identity.public_token(identity.revoke_token(view, identifier, now=now))

    return answer(await context.write(work))


async def add_key(context: Context) -> Response:
    """Enter a signing key of whoever asks, who shows that they hold it."""
    body: KeyBody = context.body
    service, actor = context.service, context.actor
    key = PublicKey(bytes.fromhex(body.public))
    origin = await context.read(lambda r: r.verifier.origin)
    if not key.verifies(bytes.fromhex(body.signature), identity.possession(origin, actor.user, key)):
        raise Refused(reason(identity.POSSESSION, "the signature does not show that the key is yours"))
    now = service.clock()

    def work(registry: Registry) -> Record:
        with registry.store.write() as view:
            return identity.add_key(view, actor.user, key, now=now)

    stored: Record = await context.write(work)
    return answer({"key": stored.id, "owner": stored.owner, "state": stored.state}, 201)


async def list_keys(context: Context) -> Response:
    """The signing keys of whoever asks."""

    def work(registry: Registry) -> list[dict[str, Any]]:
        with registry.store.read() as view:
            found = view.records("key", owner=context.actor.user)
        return [{"key": k.id, "state": k.state, "held": k.data["held"], "at": k.at} for k in found]

    return answer({"keys": await context.read(work)})


async def revoke_key(context: Context) -> Response:
    """Revoke a signing key: nothing more can be signed with it."""
    service, actor, identifier = context.service, context.actor, context.part("key")
    now = write_time(service.clock())

    def work(registry: Registry) -> dict[str, Any]:
        with registry.store.write() as view:
            found = identity.demand(view, "key", identifier)
            if found.owner != actor.user:
                service.access.demand(actor, "administer")
            stored = view.put_record(found.changed(now, state="revoked"), found.version)
            return {"key": stored.id, "owner": stored.owner, "state": stored.state}

    return answer(await context.write(work))


ENDPOINTS: Final = (
    Endpoint("POST", f"{BASE}/tokens", "Make a token", make_token, "tokens", body=TokenBody, success=MADE),
    Endpoint("GET", f"{BASE}/tokens", "List one's tokens", list_tokens, "tokens"),
    Endpoint("DELETE", f"{BASE}/tokens/{{token}}", "Revoke a token", revoke_token, "tokens"),
    Endpoint("POST", f"{BASE}/keys", "Enter a signing key", add_key, "keys", body=KeyBody, success=MADE),
    Endpoint("GET", f"{BASE}/keys", "List one's signing keys", list_keys, "keys"),
    Endpoint("DELETE", f"{BASE}/keys/{{key}}", "Revoke a signing key", revoke_key, "keys"),
)  # fmt: skip
