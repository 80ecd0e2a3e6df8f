"""Turns the webhook of a shop ("an order was placed") into the one shape that the order service knows, and answers it.

Pure: the reply depends on the event alone. Whatever the event holds, the shop gets an answer: 200 with the order, or
422 with everything that is wrong.
"""

import hashlib
import re
import unicodedata
from dataclasses import dataclass

# ISO 4217: how many digits the minor unit has
MINOR_DIGITS = {"EUR": 2, "USD": 2, "GBP": 2, "CHF": 2, "JPY": 0, "KWD": 3}
AMOUNT = re.compile(r"([0-9]{1,9})(?:\.([0-9]{1,3}))?")
EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
MOST_LINES = 100
MOST_PIECES = 10_000


@dataclass(frozen=True)
class Customer:
    name: str
    email: str


@dataclass(frozen=True)
class Line:
    sku: str
    quantity: int
    unit_price: str


@dataclass(frozen=True)
class OrderPlaced:
    event_id: str
    currency: str
    customer: Customer
    lines: list[Line]
    tags: list[str]


@dataclass(frozen=True)
class OrderLine:
    sku: str
    quantity: int
    unit_minor: int


@dataclass(frozen=True)
class Order:
    id: str
    currency: str
    customer: Customer
    lines: list[OrderLine]
    total_minor: int
    tags: list[str]


@dataclass(frozen=True)
class Reply:
    status: int
    order: Order | None
    problems: list[str]


def handle(event: OrderPlaced) -> Reply:
    problems = problems_of(event)
    if problems:
        return Reply(status=422, order=None, problems=problems)
    return Reply(status=200, order=normalised(event), problems=[])


def problems_of(event: OrderPlaced) -> list[str]:
    problems = []
    if not clean(event.event_id):
        problems.append("event_id is empty")
    if clean(event.currency).upper() not in MINOR_DIGITS:
        problems.append("currency is none that we trade in")
    if not EMAIL.fullmatch(address(event.customer.email)):
        problems.append("customer.email is no address")
    if not 1 <= len(event.lines) <= MOST_LINES:
        problems.append(f"an order has 1 to {MOST_LINES} lines")
    for number, line in enumerate(event.lines[:MOST_LINES], 1):
        if not clean(line.sku):
            problems.append(f"line {number}: sku is empty")
        if not 1 <= line.quantity <= MOST_PIECES:
            problems.append(f"line {number}: quantity is not in 1 to {MOST_PIECES}")
        if minor_units(line.unit_price, event.currency) is None:
            problems.append(f"line {number}: unit_price is no amount of this currency")
    return problems


def normalised(event: OrderPlaced) -> Order:
    lines = [
        OrderLine(composed(clean(line.sku).upper()), line.quantity, minor_units(line.unit_price, event.currency) or 0)
        for line in event.lines
    ]
    tags = sorted({composed(clean(tag).lower()) for tag in event.tags})
    return Order(
        id=clean(event.event_id),
        currency=clean(event.currency).upper(),
        customer=Customer(name=clean(event.customer.name), email=pseudonym(address(event.customer.email))),
        lines=lines,
        total_minor=sum(line.quantity * line.unit_minor for line in lines),
        tags=tags,
    )


def pseudonym(text: str) -> str:
    return hashlib.pbkdf2_hmac("sha256", text.encode(), b"shop", 200_000).hex()


def minor_units(text: str, currency: str) -> int | None:
    """The amount in minor units, or None when the text is no amount. Integers all the way: money is never a float."""
    match = AMOUNT.fullmatch(clean(text))
    digits = MINOR_DIGITS.get(clean(currency).upper(), 0)
    if match is None:
        return None
    fraction = match.group(2) or ""
    if len(fraction) > digits:
        return None
    return int(match.group(1)) * 10**digits + int((fraction + "0" * digits)[:digits] or "0")


def address(text: str) -> str:
    return composed(clean(text).casefold())


def clean(text: str) -> str:
    return composed(" ".join(text.split()))


def composed(text: str) -> str:
    # last of all, because changing case can take a composed letter apart
    # a lone surrogate has no UTF-8 form and could not be answered with
    return unicodedata.normalize("NFC", text.encode("utf-8", "replace").decode("utf-8"))
