"""The desk and who is known at it: which writes go together, and one question for many."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

from certify.registry.registry import Registry
from certify.registry.sql import BLOB
from certify.service import identity
from certify.service.desk import BLOBS_AT_ONCE, LARGEST_BATCH, SHARE_OF_BLOBS, Desk, _Order, chosen
from certify.service.identity import Actor
from certify.service.known import Known
from certify.times import system_clock

NOW = system_clock()


def order(name: str, blobs: int = 0) -> _Order:
    """A write that brings blobs."""
    loop = asyncio.new_event_loop()
    loop.close()
    needs = (("draft", name), *((BLOB, f"{name} {n}") for n in range(blobs)))
    return _Order(lambda _: name, needs, loop, loop.create_future())


def names(orders: list[_Order]) -> list[str]:
    """What the writes are called."""
    return [found.needs[0][1] for found in orders]


def test_writes_that_bring_blobs_are_spread_over_transactions() -> None:
    """R-LOAD: when all clients upload at once, nobody waits for all of them; uploads wait in their order."""
    orders = [order(f"{'upload' if n % 2 else 'change'} {n}", blobs=n % 2) for n in range(80)]
    found, left = chosen(orders)
    uploads = [name for name in names(orders) if name.startswith("upload")]
    share = len(orders) // SHARE_OF_BLOBS
    assert [name for name in names(found) if name.startswith("upload")] == uploads[:share]
    assert len([name for name in names(found) if name.startswith("change")]) == 40
    assert names(left) == uploads[share:]
    assert names(chosen([*left, order("late", 1)])[0]) == uploads[share : share + BLOBS_AT_ONCE]


def test_an_upload_of_any_size_has_its_turn() -> None:
    """R-LOAD: seeded by a large upload that small ones overtake for ever; what was left goes first, however large."""
    large = order("large", 10 * BLOBS_AT_ONCE)
    found, left = chosen([order("first", 1), large, *(order("small", 1) for _ in range(3)), order("change")])
    assert (names(found), names(left)) == (["first", "change"], ["large", "small", "small", "small"])
    found, left = chosen([*left, order("small", 1)])
    assert (names(found), names(left)) == (["large"], ["small"] * 4)


def test_a_transaction_is_bounded() -> None:
    """R-LOAD: the last write in one waits for all."""
    found, left = chosen([order(str(n)) for n in range(LARGEST_BATCH + 5)])
    assert names([*found, *left]) == [str(n) for n in range(LARGEST_BATCH + 5)]
    assert len(left) == 5


def test_what_was_left_is_written_before_the_desk_stops(tmp_path: Path) -> None:
    """R-DURABLE: uploads that wait for a later transaction are written, though nothing else comes."""
    Registry.create(tmp_path / "registry").close()

    async def use() -> list[int]:
        desk = Desk(tmp_path / "registry")
        writes = [asyncio.ensure_future(desk.write(_number(n), (BLOB, f"{n:064x}"))) for n in range(40)]
        await asyncio.sleep(0)
        desk.start()
        await asyncio.to_thread(desk.stop)
        desk.close()
        assert (desk.batches > 2, desk.writes, desk.waiting) == (True, 40, 0)
        return await asyncio.gather(*writes)

    assert asyncio.run(use()) == list(range(40))


def _number(number: int) -> Callable[[Registry], int]:
    def work(registry: Registry) -> int:
        with registry.store.write():
            return number

    return work


class Slow:
    """A desk whose answers are made when they are asked for, and come when the gate opens."""

    def __init__(self, actor: Actor) -> None:
        self.answer: tuple[int, Actor | None] = (1, actor)
        self.asked = 0
        self.begun, self.gate = asyncio.Event(), asyncio.Event()

    async def look(self, _work: Any) -> tuple[int, Actor | None]:
        """The answer of the moment, later."""
        self.asked += 1
        self.begun.set()
        answer = self.answer
        await self.gate.wait()
        return answer


def test_many_who_send_one_token_are_recognised_at_once() -> None:
    """R-AUTH: of a hundred requests with a token that is new, those that came after a question share the next one.

    Seeded by sharing the one under way, which knows nothing of a token that was revoked meanwhile.
    """

    async def ask() -> tuple[Any, list[Any], int, int]:
        slow = Slow(Actor("ana", ends=NOW + timedelta(hours=1)))
        known = Known(slow)  # type: ignore[arg-type]  # all that it asks of a desk
        first = asyncio.create_task(known.actor(identity.by_token, "cty_x", now=NOW, address=""))
        await slow.begun.wait()
        slow.answer = (2, None)
        others = [asyncio.create_task(known.actor(identity.by_token, "cty_x", now=NOW, address="")) for _ in range(99)]
        others[0].cancel()
        await asyncio.sleep(0)
        slow.gate.set()
        return await first, await asyncio.gather(*others[1:]), slow.asked, len(known._questions)

    first, others, asked, kept = asyncio.run(ask())
    assert (first.user, set(others), asked, kept) == ("ana", {None}, 2, 0)


def test_a_shared_question_does_not_lengthen_a_token() -> None:
    """R-AUTH: who asks after the end is nobody, though the question was put for somebody who asked before it."""

    async def ask() -> list[Any]:
        slow = Slow(Actor("ana", ends=NOW + timedelta(seconds=1)))
        known = Known(slow)  # type: ignore[arg-type]  # as above
        moments = (NOW, NOW + timedelta(seconds=1))
        asks = [asyncio.create_task(known.actor(identity.by_token, "cty_x", now=at, address="")) for at in moments]
        await asyncio.sleep(0)
        slow.gate.set()
        return await asyncio.gather(*asks)

    before, after = asyncio.run(ask())
    assert (before.user, after) == ("ana", None)
