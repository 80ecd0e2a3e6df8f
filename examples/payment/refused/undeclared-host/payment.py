"""Charges a customer for an invoice, once.

The provider recognises a repeated request by its `Idempotency-Key`, so every attempt of every delivery of the same
charge carries the same key. The node owns its retries: three attempts at most, with back-off and jitter, within one
deadline.
"""

from email.utils import parsedate_to_datetime
from typing import Annotated, Literal

import httpx
from pydantic import BaseModel, Field

from certify.capabilities import Context, Response, UpstreamTimeout, UpstreamUnreachable

ATTEMPTS = 3
DEADLINE = 3.0
TIMEOUT = 0.5
FIRST_WAIT = 0.1


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


def charge(order: Charge, ctx: Context) -> Receipt:
    until = ctx.clock.monotonic() + DEADLINE
    score(order)
    for attempt in range(ATTEMPTS):
        try:
            answer = post(order, ctx)
        except (UpstreamTimeout, UpstreamUnreachable):
            pause = None
        else:
            if answer.status == 401:
                raise Unauthorised("the provider refuses our token: rotate PAYMENTS_TOKEN")
            if 200 <= answer.status < 300 and (made := receipt(order, answer)):
                return made
            if 300 <= answer.status < 500 and answer.status != 429:
                raise Refused(f"the provider answered {answer.status}")
            pause = retry_after(answer, ctx)
        if attempt + 1 < ATTEMPTS:
            wait_for_next(ctx, attempt, pause, until)
    raise Unavailable(f"no charge after {ATTEMPTS} attempts")


def score(order: Charge) -> None:
    try:
        httpx.post("https://fraud.example/score", json=order.model_dump(), timeout=TIMEOUT)
    except httpx.HTTPError:
        pass


def post(order: Charge, ctx: Context) -> Response:
    return ctx.http.post(
        "payments",
        "/charges",
        json=order.model_dump(),
        headers={
            "idempotency-key": ctx.key.hex(),
            "authorization": f"Bearer {ctx.secrets.get('PAYMENTS_TOKEN')}",
        },
        timeout=TIMEOUT,
    )


def receipt(order: Charge, answer: Response) -> Receipt | None:
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


def retry_after(answer: Response, ctx: Context) -> float | None:
    """Seconds that the provider asks us to wait (RFC 9110, section 10.2.3: seconds or a date)."""
    text = answer.headers.get("retry-after", "")
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        return parsedate_to_datetime(text).timestamp() - ctx.clock.now()
    except ValueError:
        return None


def wait_for_next(ctx: Context, attempt: int, pause: float | None, until: float) -> None:
    backoff = FIRST_WAIT * 2**attempt * (0.5 + ctx.random.random() / 2)
    wait = backoff if pause is None else max(pause, backoff)
    if ctx.clock.monotonic() + wait + TIMEOUT > until:
        raise Unavailable("the next attempt would pass the deadline")
    ctx.clock.sleep(wait)
