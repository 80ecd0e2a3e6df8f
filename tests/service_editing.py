"""Many editors of one item: compare-and-swap with retries, and what came of it."""

from __future__ import annotations

import asyncio
from pathlib import Path

from certify.registry.errors import Conflict
from certify.registry.registry import Registry
from certify.registry.sql import Record
from certify.service.desk import Desk
from certify.service.drafts import retried

AT = "2026-11-20T12:00:00.000000Z"


async def edit(folder: Path, *, editors: int, edits: int) -> dict[str, int]:
    """Edit one counter from many tasks at once, with compare-and-swap and retries; what came of it."""
    desk = Desk(folder)
    desk.start()
    tally = dict.fromkeys(("acknowledged", "given up", "conflicts"), 0)

    def begin(found: Registry) -> None:
        with found.store.write() as view:
            view.put_record(Record("counter", "one", at=AT, data={"n": 0}), 0)

    def look(found: Registry) -> Record:
        with found.store.read() as view:
            record = view.record("counter", "one")
        assert record is not None
        return record

    async def attempt() -> None:
        seen = await desk.read(look)

        def change(found: Registry) -> None:
            with found.store.write() as view:
                view.put_record(seen.changed(AT, n=seen.data["n"] + 1), seen.version)

        try:
            await desk.write(change)
        except Conflict:
            tally["conflicts"] += 1
            raise

    async def editor() -> None:
        for _ in range(edits):
            try:
                await retried(attempt, asyncio.sleep, first=0.002)
                tally["acknowledged"] += 1
            except Conflict:
                tally["given up"] += 1

    try:
        await desk.write(begin)
        await asyncio.gather(*(editor() for _ in range(editors)))
        tally["found"] = int((await desk.read(look)).data["n"])
    finally:
        desk.stop()
        desk.close()
    return tally
