"""Decisions and waivers: signed by whoever makes them."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from starlette.responses import Response

from certify.evidence.keys import PublicKey
from certify.registry.registry import Registry, StoredWaiver
from certify.service.answers import answer
from certify.service.api.values import BASE, MADE, MADE_OR_THERE, Base64, Hex, Text, base64_bytes, base64_text
from certify.service.web import Context, Endpoint, Shape


class NodeQuery(Shape):
    """Which node."""

    node: Text = ""


class SignedBody(Shape):
    """Something signed: a DSSE envelope, and the public key that it verifies with."""

    envelope: Base64
    signer: Hex


async def decide(context: Context) -> Response:
    """Approve, reject or revoke a release, by a signed decision."""
    body: SignedBody = context.body
    signer = PublicKey(bytes.fromhex(body.signer))
    receipt = await context.service.decide(context.actor, base64_bytes(body.envelope), signer)
    return answer({"receipt": receipt.to_data(), "appended": receipt.appended}, 201)


async def list_waivers(context: Context) -> Response:
    """The waivers, with the state of each now."""
    node, now = context.query.node, context.service.clock()
    found = await context.read(lambda r: [_waiver(r, stored, now) for stored in r.waivers(node or None)])
    return answer({"waivers": found})


def _waiver(registry: Registry, stored: StoredWaiver, now: datetime) -> dict[str, Any]:
    ((_, data),) = registry.raw_entries(stored.number, stored.number + 1)
    return {
        "id": stored.id,
        "state": stored.waiver.state(now).value,
        "waiver": stored.waiver.to_data(),
        "signer": stored.signer.key_id,
        "entry": stored.number,
        "at": stored.at,
        "data": base64_text(data),
    }


async def waive(context: Context) -> Response:
    """Waive a finding, by a signed waiver."""
    body: SignedBody = context.body
    signer = PublicKey(bytes.fromhex(body.signer))
    receipt = await context.service.waive(context.actor, base64_bytes(body.envelope), signer)
    return answer({"receipt": receipt.to_data(), "appended": receipt.appended}, 201 if receipt.appended else 200)


ENDPOINTS: Final = (
    Endpoint("POST", f"{BASE}/decisions", "Decide on a release", decide, body=SignedBody, success=MADE),
    Endpoint("GET", f"{BASE}/waivers", "List waivers", list_waivers, "read", query=NodeQuery),
    Endpoint("POST", f"{BASE}/waivers", "Waive a finding", waive, body=SignedBody, success=MADE_OR_THERE),
)  # fmt: skip
