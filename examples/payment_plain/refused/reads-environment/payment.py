"""Charges a customer for an invoice, once: the node of `examples/payment` in plain Python, without a context.

It opens its own connection and derives its own key; the laboratory sees both.
"""

import asyncio
import os
from typing import Annotated, Literal

import httpx
from pydantic import BaseModel, Field

from certify.key import idempotency_key

PROVIDER = "https://payments.example"
ATTEMPTS = 3
TIMEOUT = 0.5
FIRST_WAIT = 0.1
LONGEST_WAIT = 1.0


class Charge(BaseModel):
    customer: Annotated[str, Field(pattern=r"^cus_[a-z0-9]{1,24}$")]
    invoice: Annotated[str, Field(pattern=r"^INV-[0-9]{1,12}$")]
    amount_minor: Annotated[int, Field(ge=1, le=500_000)]
    currency: Literal["EUR", "USD", "GBP"]


class Receipt(BaseModel):
    charge_id: str
    invoice: str
    amount_minor: int
    currency: str


class Unauthorised(Exception):
    """The provider does not accept our credentials: somebody has to act, and trying again cannot help."""


class Refused(Exception):
    """The provider will not make this charge."""


class Unavailable(Exception):
    """The provider did not make the charge in time; it may be asked again with the same key."""


async def charge(order: Charge) -> Receipt:
    async with httpx.AsyncClient(base_url=os.environ.get("PAYMENTS_URL", PROVIDER), follow_redirects=False) as client:
        for attempt in range(ATTEMPTS):
            pause = FIRST_WAIT * 2**attempt
            answer = await attempted(client, order)
            if answer is not None:
                if answer.status_code == 401:
                    raise Unauthorised("the provider refuses our credentials")
                if 200 <= answer.status_code < 300 and (made := receipt(order, answer)):
                    return made
                if 300 <= answer.status_code < 500 and answer.status_code != 429:
                    raise Refused(f"the provider answered {answer.status_code}")
                pause = max(pause, retry_after(answer))
            if pause > LONGEST_WAIT:
                raise Unavailable("the provider asks us to wait for longer than we may")
            if attempt + 1 < ATTEMPTS:
                await asyncio.sleep(pause)
    raise Unavailable(f"no charge after {ATTEMPTS} attempts")


async def attempted(client: httpx.AsyncClient, order: Charge) -> httpx.Response | None:
    """The whole answer, or None when it did not come in time or was broken."""
    try:
        # httpx's own time limits hold for each read: an answer that drips would pass them for ever
        async with asyncio.timeout(TIMEOUT):
            return await client.post("/charges", json=order.model_dump(), headers={"idempotency-key": key(order)})
    except (TimeoutError, httpx.HTTPError):
        return None


def retry_after(answer: httpx.Response) -> float:
    """Seconds that the provider asks us to wait; 0 when it does not, or gives a date."""
    text = answer.headers.get("retry-after", "")
    return float(text) if text.isascii() and text.isdigit() else 0.0


def key(order: Charge) -> str:
    fields = {"invoice": order.invoice, "amount_minor": order.amount_minor, "currency": order.currency}
    return idempotency_key("billing", "billing/charge-plain", order.customer, fields).hex()


def receipt(order: Charge, answer: httpx.Response) -> Receipt | None:
    """Only an answer that confirms this charge is a receipt; any other is as good as lost."""
    try:
        made = answer.json()
    except ValueError:
        return None
    if not isinstance(made, dict) or not isinstance(made.get("id"), str):
        return None
    if made.get("amount_minor") != order.amount_minor or made.get("currency") != order.currency:
        return None
    return Receipt(
        charge_id=made["id"], invoice=order.invoice, amount_minor=order.amount_minor, currency=order.currency
    )
