"""Records an order and the message about it in one transaction: both, or neither, and each once.

A projector reads `outbox`, publishes what is not marked as sent, and marks it. A message is known by the idempotency
key of the request that caused it, so that a repeated delivery finds it there.
"""

from typing import Annotated

from pydantic import BaseModel, Field

from certify.capabilities import Context

ORDERS = """
CREATE TABLE IF NOT EXISTS orders (id TEXT PRIMARY KEY, revision INTEGER NOT NULL, total_minor INTEGER NOT NULL)
"""
OUTBOX = """
CREATE TABLE IF NOT EXISTS outbox (
    key TEXT PRIMARY KEY,
    order_id TEXT NOT NULL,
    revision INTEGER NOT NULL,
    total_minor INTEGER NOT NULL,
    sent INTEGER NOT NULL DEFAULT 0
)
"""
# the later revision wins, and of two with the same number the larger total: in whatever order they arrive
UPSERT = """
INSERT INTO orders (id, revision, total_minor) VALUES (?, ?, ?)
ON CONFLICT (id) DO UPDATE SET revision = excluded.revision, total_minor = excluded.total_minor
WHERE (excluded.revision, excluded.total_minor) > (orders.revision, orders.total_minor)
"""
MESSAGE = """
INSERT INTO outbox (key, order_id, revision, total_minor) VALUES (?, ?, ?, ?)
ON CONFLICT (key) DO NOTHING
"""


class OrderChanged(BaseModel):
    order_id: Annotated[str, Field(pattern=r"^ord_[a-z0-9]{1,24}$")]
    revision: Annotated[int, Field(ge=1, le=1_000_000)]
    total_minor: Annotated[int, Field(ge=0, le=10**12)]


class Recorded(BaseModel):
    order_id: str
    revision: int


def record(change: OrderChanged, ctx: Context) -> Recorded:
    row = (change.order_id, change.revision, change.total_minor)
    with ctx.db("orders").transaction() as transaction:
        transaction.execute(ORDERS)
        transaction.execute(OUTBOX)
        transaction.execute(UPSERT, row)
        transaction.execute(MESSAGE, (ctx.key.hex(), *row))
    return Recorded(order_id=change.order_id, revision=change.revision)
