"""Who was recognised a moment ago: a token costs the storage one small question in place of several.

Rules this module keeps:

- nobody is served who would not be recognised anew: each request asks how often identities were changed, after it has
  come, and what was read before the last change is read again, whoever changed it;
- what has ended by the clock has ended: the moment of each request is compared;
- only who was recognised is kept, under a hash: no secret lies here, and strangers fill nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from functools import partial
from hashlib import sha256
from typing import Final, Generic, TypeVar

from certify.registry.registry import Registry
from certify.service.desk import Desk
from certify.service.identity import Actor

T = TypeVar("T")
Recognise = Callable[..., Actor | None]
"""`identity.by_token` or `identity.by_session`."""

MOST: Final = 4096
"""So many actors are kept at once."""


class Known:
    """Actors by what they send.

    Args:
        desk: the way to the registry.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._actors: dict[bytes, tuple[int, Actor]] = {}
        self._questions: dict[bytes, Shared[tuple[int, Actor | None]]] = {}
        self._changes = Shared(partial(desk.look, _changes))

    async def actor(self, recognise: Recognise, sent: str, *, now: datetime, address: str) -> Actor | None:
        """Who sends a token, or a session's cookie; None when nobody is known by it.

        Args:
            recognise: finds the actor in the storage.
            sent: the secret.
            now: the moment.
            address: where the request came from.
        """
        name = sha256(f"{recognise.__name__} {address} {sent}".encode("utf-8", "surrogatepass")).digest()
        changes, found = self._actors.get(name, (0, None))
        if found is None or found.ends is None or found.ends <= now or changes != await self._changes():
            look = partial(self._desk.look, partial(_recognised, recognise, sent, now, address))
            changes, found = await self._asked(name, look)
            self._remember(name, changes, found)
            if found is not None and found.ends is not None and found.ends <= now:
                return None  # it had not ended at the moment of who asked first
        return found

    async def _asked(
        self, name: bytes, look: Callable[[], Awaitable[tuple[int, Actor | None]]]
    ) -> tuple[int, Actor | None]:
        """What is found under a name: looked up once for all who ask meanwhile, as after a start a hundred may."""
        question = self._questions.setdefault(name, Shared(look))
        question.askers += 1
        try:
            return await question()
        finally:
            question.askers -= 1
            if not question.askers:
                del self._questions[name]

    def _remember(self, name: bytes, changes: int, found: Actor | None) -> None:
        self._actors.pop(name, None)
        if found is not None:
            if len(self._actors) >= MOST:
                del self._actors[next(iter(self._actors))]
            self._actors[name] = (changes, found)


class Shared(Generic[T]):
    """A question that many ask at once, and that is asked once for all who came before it was.

    Args:
        ask: asks it.

    Attributes:
        askers: for whoever keeps it: how many hold it.
    """

    def __init__(self, ask: Callable[[], Awaitable[T]]) -> None:
        self.askers = 0
        self._ask = ask
        self._waiting: list[asyncio.Future[T]] = []
        self._task: asyncio.Task[None] | None = None

    async def __call__(self) -> T:
        """The answer to a question that was asked after this was called."""
        mine: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._waiting.append(mine)
        if self._task is None:
            self._task = asyncio.create_task(self._serve())
        return await mine

    async def _serve(self) -> None:
        while self._waiting:
            waiting, self._waiting = self._waiting, []
            try:
                answer = await self._ask()
            except Exception as error:
                for one in waiting:
                    if not one.done():
                        one.set_exception(error)
            else:
                for one in waiting:
                    if not one.done():
                        one.set_result(answer)
        self._task = None


def _changes(registry: Registry) -> int:
    return registry.store.identity_changes()


def _recognised(
    recognise: Recognise, sent: str, now: datetime, address: str, registry: Registry
) -> tuple[int, Actor | None]:
    with registry.store.read() as view:
        return view.identity_changes(), recognise(view, sent, now=now, address=address)
