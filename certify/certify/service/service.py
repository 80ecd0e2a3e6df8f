"""The service: what every request has at hand, and what it does for pages and API alike.

Rules this module keeps:

- what a page does and what the API does is one function here;
- every refusal of access is audited before it is answered;
- a decision of a session is signed with a key that the service holds for the user, bound to evidence and version.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import datetime
from pathlib import Path
from typing import Any, Final, TypeVar

from starlette.requests import Request

from certify.evidence.keys import PRIVATE_FILE, KeyPair, PublicKey, load_key, new_key
from certify.policy.waivers import Waiver
from certify.registry import decisions, waivers
from certify.registry.decisions import Decision
from certify.registry.entries import Status
from certify.registry.errors import MALFORMED, wrong
from certify.registry.founding import KEY_FOLDER
from certify.registry.registry import Registry
from certify.registry.sql import Reader
from certify.registry.submission import Receipt
from certify.service import identity, reading
from certify.service.access import OF_STATUS, Access, load_access
from certify.service.admission import Buckets, Places
from certify.service.desk import Desk
from certify.service.errors import FOREIGN_KEY, NOT_SIGNED_IN, Declined
from certify.service.events import Hub
from certify.service.identity import NOBODY, Actor
from certify.service.known import Known
from certify.service.logs import Log
from certify.service.metrics import Metrics
from certify.service.settings import Settings
from certify.service.uploads import Uploads
from certify.service.web import COOKIE, bearer, client_address
from certify.times import Clock, system_clock, write_time

V = TypeVar("V")
HELD: Final = "held"
"""Folder below the registry's key folder, for the keys that sign what sessions decide."""


class Service:
    """One service over one registry.

    Args:
        settings: how it runs.
        clock: where times come from.
        log: where it says what happens.
        tracer: an OpenTelemetry tracer; None traces nothing.
    """

    def __init__(
        self, settings: Settings, *, clock: Clock = system_clock, log: Log | None = None, tracer: Any = None
    ) -> None:
        self.settings = settings
        self.clock = clock
        self.log = log or Log()
        self.desk = Desk(settings.folder, clock=clock, readers=settings.readers)
        self.known = Known(self.desk)
        self.access = Access(load_access(settings.access))
        self.metrics = Metrics(self)
        self.places = Places(settings.in_flight, self._nearly_full)
        self.buckets = Buckets(settings.rate, settings.burst)
        self.logins = Buckets(settings.login_rate, settings.login_burst)
        self.hub = Hub(self.desk, settings.streams)
        self.uploads = Uploads(settings.folder, settings.largest_blob)
        self._tracer = tracer
        self.stopping = False

    def _nearly_full(self, count: int) -> None:
        self.metrics.warned.inc()
        self.log.say("nearly full", in_flight=count, capacity=self.places.capacity)

    async def start(self) -> None:
        """Open the registry, and begin to follow its changes."""
        self.desk.start()
        await self.hub.start()

    async def stop(self) -> None:
        """Finish what was begun, and let go."""
        self.stopping = True
        await self.hub.stop()
        await asyncio.to_thread(self.desk.stop)
        self.desk.close()

    # Who asks

    async def actor(self, request: Request) -> Actor:
        """Who asks: by token, else by session, else nobody.

        Raises:
            Declined: SRV002, a token was sent that nobody has.
        """
        address, now = client_address(request), self.clock()
        if token := bearer(request):
            found = await self.known.actor(identity.by_token, token, now=now, address=address)
            if found is None:
                headers = {"WWW-Authenticate": 'Bearer realm="certify", error="invalid_token"'}
                message = "the token is unknown, has ended, or was revoked"
                raise Declined(401, NOT_SIGNED_IN, message, headers=headers, action="sign in", item=token[:20])
            return found
        if cookie := request.cookies.get(COOKIE, ""):
            held = await self.known.actor(identity.by_session, cookie, now=now, address=address)
            if held is not None:
                return held
        return Actor(scopes=NOBODY.scopes, address=address)

    async def sign_in(self, login: str, password: str, address: str) -> tuple[str, Actor]:
        """Begin a session with a password: the cookie's text, and who it is.

        Raises:
            Declined: SRV007 too many attempts, SRV002 user and password do not fit.
        """
        self.logins.take(f"address {address}")
        self.logins.take(f"user {login[:64]}")
        user = await self.desk.read(lambda r: _with(r, lambda v: v.record("user", login[:64])))
        if not await asyncio.to_thread(identity.fits, user, password) or user is None:
            raise Declined(
                401, NOT_SIGNED_IN, "user and password do not fit", who=login[:64], action="sign in", item="session"
            )  # fmt: skip
        return await self.begin_session(user.id, address)

    async def begin_session(self, user: str, address: str) -> tuple[str, Actor]:
        """Begin a session for a user who has shown who they are."""
        now = self.clock()

        def work(registry: Registry) -> tuple[str, Actor]:
            with registry.store.write() as view:
                for old in view.records("session", owner=user):
                    if str(old.data["expires"]) <= write_time(now):
                        view.drop_record("session", old.id)
                cookie, _ = identity.new_session(view, user, now=now, address=address)
                found = identity.by_session(view, cookie, now=now, address=address)
                assert found is not None
                return cookie, found

        return await self.desk.write(work)

    async def sign_out(self, cookie: str) -> None:
        """End a session."""

        def work(registry: Registry) -> None:
            with registry.store.write() as view:
                identity.end_session(view, cookie)

        await self.desk.write(work)

    # Decisions

    async def decide(self, actor: Actor, envelope: bytes, signer: PublicKey) -> Receipt:
        """Carry out a decision that the actor has signed with a key of theirs.

        Raises:
            Declined: SRV003 the policies do not allow it, SRV012 the key is none of the actor's.
            Refused: as `Registry.decide`.
        """
        decision = await self.desk.read(lambda r: r.read_decision(envelope, signer))

        def work(registry: Registry) -> Receipt:
            with registry.store.write() as view:
                self._demand_decision(registry, view, actor, decision, signer)
            return registry.decide(envelope, signer)

        return await self.desk.write(work)

    def _demand_decision(
        self, registry: Registry, view: Reader, actor: Actor, decision: Decision, signer: PublicKey
    ) -> None:
        action = OF_STATUS.get(decision.status)
        if action is None:
            raise wrong(MALFORMED, f"nobody decides that a release is {decision.status.value}")
        found = registry.show(f"{decision.node}@{decision.release}")
        authors = reading.authors(view, found.release, found.published)
        self.access.demand(actor, action, decision.node, authors)
        self.demand_key(view, actor, signer, action, decision.node)

    def demand_key(self, view: Reader, actor: Actor, signer: PublicKey, action: str, node: str) -> None:
        """Refuse a signature by a key that is none of the actor's.

        Raises:
            Declined: SRV012.
        """
        if not identity.is_key_of(view, actor.user, signer):
            message = f"the key {signer.key_id} is no key of {actor.user}"
            raise Declined(403, FOREIGN_KEY, message, who=actor.user, action=action, item=node)

    async def decide_here(
        self, actor: Actor, name: str, status: Status, *, evidence: str, version: int, reason: str
    ) -> Receipt:
        """Decide for a session, signed with the key that the service holds for the user.

        Args:
            actor: who decides.
            name: ``node@release``.
            status: what the release is to become.
            evidence: digest of the evidence that was on the page.
            version: version of the release that was on the page.
            reason: why.

        Raises:
            Conflict: REG026, somebody else was quicker.
            Declined, Refused: as `decide`.
        """
        found = await self.desk.read(lambda r: r.show(name).release)
        self.access.demand(actor, OF_STATUS.get(status, "approve"), found.node)
        key = await self.held_key(actor.user)
        decision = Decision(found.node, found.release, evidence, status, version, reason)
        return await self.decide(actor, decisions.sign(decision, key), key.public)

    async def waive(self, actor: Actor, envelope: bytes, signer: PublicKey) -> Receipt:
        """Enter a waiver that the actor has signed with a key of theirs.

        Raises:
            Declined: SRV003, SRV012.
            Refused: as `Registry.waive`.
        """
        waiver = await self.desk.read(lambda r: r.read_waiver(envelope, signer))
        self.access.demand(actor, "waive", waiver.node)

        def work(registry: Registry) -> Receipt:
            with registry.store.write() as view:
                self.demand_key(view, actor, signer, "waive", waiver.node)
            return registry.waive(envelope, signer)

        return await self.desk.write(work)

    async def waive_here(self, actor: Actor, waiver: Waiver) -> Receipt:
        """Waive for a session, signed with the key that the service holds for the user.

        Raises:
            Declined, Refused: as `waive`.
        """
        self.access.demand(actor, "waive", waiver.node)
        key = await self.held_key(actor.user)
        return await self.waive(actor, waivers.sign(waiver, key), key.public)

    async def held_key(self, user: str) -> KeyPair:
        """The key that the service signs with for the user's sessions; made when it is first needed."""
        folder = self.settings.folder / KEY_FOLDER / HELD / user

        def work(registry: Registry) -> KeyPair:
            key = _made_key(folder)
            with registry.store.write() as view:
                identity.add_key(view, user, key.public, now=self.clock(), held=True)
            return key

        def known(registry: Registry) -> KeyPair | None:
            if not (folder / PRIVATE_FILE).is_file():
                return None
            key = load_key(folder)
            return key if _with(registry, lambda v: identity.is_key_of(v, user, key.public)) else None

        held = await self.desk.read(known)
        return held if held is not None else await self.desk.write(work)

    # Being watched

    async def measure(self) -> None:
        """Bring the metrics that are asked of the registry up to date."""
        for status, number in (await self.desk.read(reading.counts)).items():
            self.metrics.waiting_reviews.labels(status).set(number)
        self.metrics.log_size.set(await self.desk.read(lambda r: _with(r, lambda v: v.size())))

    def traced(self, request: Request) -> AbstractContextManager[object]:
        """A span around a request, where OpenTelemetry is installed and set up; otherwise nothing."""
        if self._tracer is None:
            return contextlib.nullcontext()
        route = request.scope.get("route")
        name = f"{request.method} {getattr(route, 'path', request.url.path)}"
        span: AbstractContextManager[object] = self._tracer.start_as_current_span(name)
        return span

    # The audit

    async def audit(self, actor: Actor, action: str, item: str, outcome: str, reason: str) -> None:
        """Add a line to the audit; it is on the disk when this returns."""
        moment = self.clock()
        self.log.say("audit", who=actor.user, action=action, item=item, outcome=outcome, reason=reason)
        with contextlib.suppress(Exception):
            await self.desk.write(lambda r: _audited(r, moment, actor, action, item, outcome, reason))
            return
        self.log.say("audit was not written", who=actor.user, action=action, item=item)


def _audited(
    registry: Registry, now: datetime, actor: Actor, action: str, item: str, outcome: str, reason: str
) -> None:
    line = (_line(text) for text in (actor.user, action, item, outcome, reason, actor.address))
    with registry.store.write() as view:
        view.add_audit(write_time(now), *line)


def _line(text: str) -> str:
    """The text as the audit can hold it."""
    return text.replace("\0", "�").encode("utf-8", "replace").decode()[:1000]


def _made_key(folder: Path) -> KeyPair:
    if (folder / PRIVATE_FILE).is_file():
        return load_key(folder)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return new_key(folder)


def _with(registry: Registry, ask: Callable[[Reader], V]) -> V:
    with registry.store.read() as view:
        return ask(view)
