"""The storage interface: one suite, on SQLite and on PostgreSQL, with blobs in files and in S3-compatible storage."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

import postgres_support
from certify.codec import address
from certify.registry import postgres
from certify.registry.copies import backup, restore
from certify.registry.decisions import Decision
from certify.registry.entries import Status
from certify.registry.errors import Conflict
from certify.registry.places import Storage
from certify.registry.postgres import PostgresStore
from certify.registry.registry import Registry
from certify.registry.sql import BLOB, Record, Spoiled
from certify.registry.store import SCHEMA_VERSION, SqliteStore, statements, step
from certify.registry.verification import verify_log
from certify.service import identity
from certify.service import server as server_of
from certify.service.desk import Desk, _Order
from certify.service.identity import Actor
from certify.service.known import Known
from certify.times import system_clock
from certify_spec.diagnostics import RequestError
from registry_support import NODE, OTHER, codes, signed_decision, signed_waiver, submission, ticking, waiver
from service_editing import edit
from service_support import (
    ADMIN,
    BASE,
    codes_of,
    decision_body,
    inhabit,
    publish,
    roomy,
    running,
    uvicorn_config,
)

STORES = ("sqlite", "postgres", "postgres+s3")
AT = "2026-11-20T12:00:00.000000Z"


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """One PostgreSQL server."""
    with postgres_support.server() as address_:
        yield address_


@pytest.fixture(scope="module")
def bucket() -> Iterator[Callable[[], str]]:
    """Addresses of new buckets in one S3-compatible server."""
    import os

    from moto.server import ThreadedMotoServer

    running = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    running.start()
    host, port = running.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patch.setenv(name, "test")
        patch.setenv("AWS_CONFIG_FILE", os.devnull)
        numbers = itertools.count()
        yield lambda: f"s3://bucket-{next(numbers)}/registry?endpoint=http://{host}:{port}"
    running.stop()


Make = Callable[[str], tuple[Path, Storage]]


@pytest.fixture(scope="module")
def make(
    tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Callable[[str], tuple[Path, Storage]]:
    """Makes places for a registry of a kind; servers start when they are first needed."""
    numbers = itertools.count()

    def made(kind: str) -> tuple[Path, Storage]:
        number = next(numbers)
        server = request.getfixturevalue("server") if "postgres" in kind else ""
        database = postgres_support.fresh_database(server, f"db{number}") if server else ""
        folder = tmp_path_factory.mktemp("contract") / "registry"
        return folder, Storage(database, request.getfixturevalue("bucket")() if "s3" in kind else "")

    return made


@pytest.fixture(scope="module", params=STORES)
def registry(request: pytest.FixtureRequest, make: Make) -> Iterator[Registry]:
    """An empty registry of each kind; tests use nodes of their own."""
    folder, storage = make(request.param)
    with Registry.create(folder, clock=ticking(), storage=storage) as found:
        yield found


def test_a_release_goes_through_its_life(registry: Registry) -> None:
    """R-STORE, R-OCC: publish, again, approve, a second approval; the same receipts and conflicts on every store."""
    handed_in = submission("life/node")
    receipt = registry.publish(handed_in)
    assert registry.publish(handed_in) == receipt
    receipt.verify(registry.verifier)
    decision = Decision("life/node", "1.0.0", receipt.evidence, Status.APPROVED, 1, "looks right")
    registry.decide(*signed_decision(decision))
    with pytest.raises(Conflict) as told:
        registry.decide(*signed_decision(decision))
    assert (told.value.item, told.value.expected, told.value.actual) == ("life/node@1.0.0", 1, 2)
    assert registry.show("life/node@1.0.0").release.status is Status.APPROVED
    assert registry.blob(receipt.evidence) == handed_in.blobs[receipt.evidence]
    registry.waive(*signed_waiver(waiver()))
    assert [stored.waiver.code for stored in registry.waivers(NODE)] == ["TSTR001"]
    assert verify_log(registry.folder).diagnostics == ()


def test_records_are_swapped_by_version(registry: Registry) -> None:
    """R-OCC: a record is stored at the expected version, or a conflict names item, expected and actual version."""
    record = Record("thing", "a", "ana", "open", at=AT, data={"n": 1, "text": "日本\n\"'"})
    with registry.store.write() as view:
        stored = view.put_record(record, 0)
        assert view.record("thing", "a") == stored
        again = view.put_record(stored.changed(AT, n=2), 1)
    assert (again.version, again.data["n"]) == (2, 2)
    for expected, actual in ((0, 2), (1, 2), (3, 2)):
        with pytest.raises(Conflict) as told, registry.store.write() as view:
            view.put_record(record, expected)
        assert (told.value.item, told.value.expected, told.value.actual) == ("thing a", expected, actual)
    with registry.store.read() as view:
        assert view.records("thing", owner="ana", state="open") == (again,)
        assert view.records("thing", owner="bo") == view.records("thing", after="a") == ()


def test_many_values_at_once_stay_as_they_are(registry: Registry) -> None:
    """R-STORE: more rows than one statement takes go in and come out unchanged, whatever their text is."""
    hostile = "\\x00 \\u0041 \"'{}[],? %s %% \u2028 日本 \x01\n"
    records = {f"{hostile}{n}": Record("many", f"{hostile}{n}", hostile, at=AT, data={"n": n}) for n in range(130)}
    long = {f"long {n}": Record("many", f"long {n}", at=AT, data={"text": "x" * 600_000}) for n in range(4)}
    with registry.store.write() as view:
        for record in (records | long).values():
            view.put_record(record, 0)
    names = [*records, *long, "nobody"]
    with registry.store.read() as view:
        view.fetch(("many", name) for name in names)
        found = {name: view.record("many", name) for name in names}
        assert view.records("many") == tuple(sorted((r for r in found.values() if r), key=lambda r: r.id.encode()))
    assert found == {name: replace(r, version=1) for name, r in (records | long).items()} | {"nobody": None}


@pytest.mark.parametrize("kind", ["postgres", "sqlite"])
def test_who_waited_for_the_lock_in_vain_can_go_on(make: Make, kind: str) -> None:
    """R-STORE: REG006 while somebody else writes; the next write on the same connection is done."""
    folder, storage = make(kind)
    with Registry.create(folder, storage=storage) as elsewhere:
        open_one = (
            partial(PostgresStore, folder, storage.database) if storage.database else partial(SqliteStore, folder)
        )
        with contextlib.closing(open_one(busy_seconds=0.05)) as impatient:
            with elsewhere.store.write(), pytest.raises(RequestError) as told, impatient.write():
                pass
            assert codes(told.value) == ["REG006"]
            with impatient.write() as view:
                assert view.put_record(Record("thing", "a", at=AT), 0).version == 1


def test_in_postgresql_a_batch_costs_few_ways_to_the_server(make: Make) -> None:
    """R-LOAD: seeded by statements of a few rows each; a hundred drafts are read and written in one statement each."""
    folder, storage = make("postgres")
    with Registry.create(folder, storage=storage) as registry:
        ids = [f"draft {n}" for n in range(100)]
        blobs = {address(name.encode()): name.encode() for name in ids}
        with registry.store.batch(hopeful=True) as view:
            asked: list[str] = []
            run = view._execute
            view._execute = lambda statement, values: (asked.append(statement), run(statement, values))[1]
            view.fetch([*(("draft", name) for name in ids), *((BLOB, digest) for digest in blobs)])
            for name, (digest, data) in zip(ids, blobs.items(), strict=True):
                with registry.store.write() as each:
                    each.put_record(Record("draft", name, at=AT), 0)
                    each.stage_blob(digest, data, "ana", AT)
                    each.add_event(AT, "draft", name, {})
        assert len(asked) == 5, asked


def test_a_key_is_found_by_its_index_in_a_table_that_was_small(make: Make) -> None:
    """R-LOAD: seeded by a list of keys, for which PostgreSQL went through every draft as long as it knew of none."""
    folder, storage = make("postgres")
    with Registry.create(folder, storage=storage) as registry, registry.store.read() as view:
        for table, key, kind in (("records", "id", "draft"), ("staged", "digest", ""), ("blobs", "digest", "")):
            ((statement, values),) = postgres.IN_JSON.named(table, key, key, ["a", "b"], kind=kind)
            plan = "\n".join(row[0] for row in view._rows(f"EXPLAIN {statement}", *values))
            assert f"using {table}_pkey" in plan, plan


def test_a_part_of_a_batch_is_undone_alone(registry: Registry) -> None:
    """R-STORE: in one transaction, a write that raises leaves nothing, and the others stay."""
    with registry.store.batch():
        with registry.store.write() as view:
            view.put_record(Record("batch", "kept", at=AT), 0)
        with pytest.raises(ZeroDivisionError):
            undone(registry)
        with registry.store.write() as view:
            view.put_record(Record("batch", "kept too", at=AT), 0)
    with registry.store.read() as view:
        assert [record.id for record in view.records("batch")] == ["kept", "kept too"]
        assert not view.holds_blob(address(b"undone"))
    assert registry.store.blobs.read(address(b"undone")) is None


def test_a_hopeful_batch_is_undone_whole(registry: Registry) -> None:
    """R-STORE: without savepoints, a write that fails while its changes wait is undone alone; later, all are."""
    with registry.store.batch(hopeful=True):
        with registry.store.write() as view:
            view.put_record(Record("hope", "kept", at=AT), 0)
        with pytest.raises(Conflict), registry.store.write() as view:
            view.put_record(Record("hope", "kept", at=AT), 7)
        with pytest.raises(ZeroDivisionError):
            undone(registry)
    with pytest.raises(Spoiled):
        spoiled(registry)
    with registry.store.read() as view:
        assert [record.id for record in view.records("hope")] == ["kept"]
        assert view.record("batch", "undone") is None


def spoiled(registry: Registry) -> None:
    """A batch of which a part fails that has changed something: whoever hides that from the batch does not save it."""
    with registry.store.batch(hopeful=True):
        with registry.store.write() as view:
            view.put_record(Record("hope", "innocent", at=AT), 0)
        with contextlib.suppress(Spoiled):
            written_and_undone(registry)


def undone(registry: Registry) -> None:
    """A write that raises after it has changed something."""
    with registry.store.write() as view:
        view.put_record(Record("batch", "undone", at=AT), 0)
        view.stage_blob(address(b"undone"), b"undone", "ana", AT)
        raise ZeroDivisionError


def test_uploads_wait_to_be_named(registry: Registry) -> None:
    """R-STORE: an upload is held, counts for its owner, survives other writers, and is given up when it is old."""
    digest = address(b"uploaded")
    with registry.store.write() as view:
        view.stage_blob(digest, b"uploaded", "ana", AT)
    with registry.store.write() as view:
        assert (view.holds_blob(digest), view.knows_blob(digest), view.staged_bytes("ana")) == (True, False, 8)
    assert registry.store.blobs.read(digest, 2, 5) == b"loa"
    assert registry.store.blobs.size(digest) == 8
    with registry.store.write() as view:
        assert view.unstage("2026-11-20T11:00:00Z") == ()
        assert view.unstage("2026-11-20T13:00:00Z") == (digest,)
        registry.store.blobs.remove([digest])
    assert registry.store.blobs.read(digest) is None


def test_events_and_audit_only_grow(registry: Registry) -> None:
    """R-FANOUT: changes have numbers without gaps; the audit cannot be changed, not even by mistake."""
    with registry.store.write() as view:
        last = view.last_event()
        for number in range(3):
            view.add_event(AT, "test", f"item {number}", {"n": number})
        view.add_audit(AT, "ana", "approve", "x", "refused", "no", "127.0.0.1")
    with registry.store.read() as view:
        assert [(e.number - last, e.data["n"]) for e in view.events(last, 10)] == [(1, 0), (2, 1), (3, 2)]
        assert view.audited(outcome="refused", limit=1)[0].who == "ana"
    with pytest.raises(Exception, match=r"only grows|REG005"), registry.store.write() as view:
        view._run("DELETE FROM audit", ())


def test_lists_are_searched_the_same_everywhere(registry: Registry) -> None:
    """R-STORE: order, upper and lower case, and signs that stand for something else."""
    for node, release in (("list/a", "1.0.0"), ("list/b_c", "1.0.0"), ("list/bxc", "1.0.0")):
        registry.publish(submission(node, release))
    with registry.store.read() as view:
        found = view.find_releases(text="LIST/b_c")
        newest = view.find_releases(text="list/", limit=2)
        assert view.count_releases()["certified"] >= 3
        ids = [release.node for release in view.find_releases(text="list/", limit=50)]
        walked = view.nodes(text="LIST/", limit=1)
        while more := view.nodes(text="list/", after=walked[-1], limit=1):
            walked += more
        assert sorted(walked) == sorted(set(ids))
    assert [release.node for release in found] == ["list/b_c"]
    assert [release.node for release in newest] == ["list/bxc", "list/b_c"]


def test_text_that_looks_like_a_statement_is_text(registry: Registry) -> None:
    """R-AUTH: values are parameters on every store; none becomes a statement."""
    hostile = "x'; DROP TABLE records; --"
    with registry.store.write() as view:
        view.put_record(Record("hostile", hostile, hostile, hostile, at=AT, data={hostile: hostile}), 0)
        assert view.release(hostile, hostile) is None
        assert view.find_releases(text=hostile) == ()
    with registry.store.read() as view:
        assert view.records("hostile", owner=hostile, state=hostile)[0].data == {hostile: hostile}


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_no_update_is_lost_among_conflicting_edits(make: Make, kind: str) -> None:
    """R-OCC: of 1,000 edits of one counter by 50 editors at once, each that was acknowledged is in it, once."""
    folder, storage = make(kind)
    Registry.create(folder, storage=storage).close()
    tally = asyncio.run(edit(folder, editors=50, edits=20))
    assert tally["acknowledged"] + tally["given up"] == 1000
    assert tally["found"] == tally["acknowledged"] > 0
    assert tally["conflicts"] > 0


def written_and_undone(registry: Registry) -> None:
    """A write that raises after some of it is in the database."""
    with registry.store.write() as view:
        view.put_record(Record("batch", "undone", at=AT), 0)
        view.put_blobs({address(b"undone"): b"undone"})
        raise ZeroDivisionError


def staged(registry: Registry) -> int:
    """An upload of six bytes; how many its owner has uploaded then."""
    with registry.store.write() as view:
        view.stage_blob(address(b"staged"), b"staged", "ana", AT)
        return view.staged_bytes("ana")


def unwritable(registry: Registry) -> None:
    """A write that no database takes, which shows when it is written."""
    with registry.store.write() as view:
        view.put_record(Record("batch", "\ud800", at=AT), 0)


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_a_write_that_fails_late_harms_no_other(make: Make, kind: str) -> None:
    """R-STORE: of writes that wait together, some fail after they have changed something: the others are done."""
    folder, storage = make(kind)
    Registry.create(folder, storage=storage).close()

    async def all_at_once() -> list[Any]:
        desk = Desk(folder)
        desk.start()
        try:
            with held_writer(desk) as go:
                works = (put("first"), undone, written_and_undone, unwritable, staged, staged, put("last"))
                needs = ((BLOB, address(b"staged")), ("batch", "first"))
                writes = [asyncio.ensure_future(desk.write(work, *needs)) for work in works]
                await asyncio.sleep(0)
                go.set()
                return await asyncio.gather(*writes, return_exceptions=True)
        finally:
            desk.stop()
            desk.close()

    first, *failed, once, twice, last = asyncio.run(all_at_once())
    assert (first, once, twice, last) == (1, 6, 6, 1)
    assert [type(error) for error in failed] == [ZeroDivisionError, ZeroDivisionError, UnicodeEncodeError]
    with Registry.open(folder) as found, found.store.read() as view:
        assert [record.id for record in view.records("batch")] == ["first", "last"]
        assert [(event.number, event.item) for event in view.events(0, 9)] == [(1, "first"), (2, "last")]


def put(name: str) -> Callable[[Registry], int]:
    """A write that stores a record and tells of it."""

    def work(registry: Registry) -> int:
        with registry.store.write() as view:
            view.add_event(AT, "test", name, {})
            return view.put_record(Record("batch", name, at=AT), 0).version

    return work


def test_a_lost_connection_is_opened_anew(make: Make) -> None:
    """R-STORE: when the database has dropped every connection, a read is answered, and the second write is done."""
    import psycopg

    folder, storage = make("postgres")
    Registry.create(folder, storage=storage).close()

    async def use() -> tuple[int, list[Any]]:
        desk = Desk(folder, readers=1)
        desk.start()
        try:
            await desk.write(put("before"))
            await desk.read(lambda registry: registry.store.identity_changes())
            with psycopg.connect(storage.database, autocommit=True) as other:
                other.execute(
                    "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity "
                    "WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )
            found = await desk.read(lambda registry: registry.store.identity_changes())
            await asyncio.gather(desk.write(put("lost")), return_exceptions=True)
            return found, [await desk.write(put("after"))]
        finally:
            desk.stop()
            desk.close()

    assert asyncio.run(use()) == (0, [1])


REVOKED_ELSEWHERE = """
import sys
from pathlib import Path
from certify.registry.registry import Registry
from certify.service import identity
from certify.times import system_clock
with Registry.open(Path(sys.argv[1])) as registry, registry.store.write() as view:
    identity.revoke_token(view, sys.argv[2], now=system_clock())
"""


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_who_was_recognised_is_forgotten_at_once(make: Make, kind: str) -> None:
    """R-AUTH: what another service, another process or the clock takes away is gone with the very next request."""
    folder, storage = make(kind)
    lived, now = inhabit(folder, storage=storage), system_clock()
    with Registry.open(folder) as elsewhere:

        def change(work: Callable[[Any], Any]) -> Any:
            with elsewhere.store.write() as view:
                return work(view)

        def token(parent: str = "", hours: int = 2) -> tuple[str, str]:
            ends = now + timedelta(hours=hours)
            made = change(lambda v: identity.new_token(v, "ana", now=now, name="x", parent=parent, expires=ends))
            return made[0], made[1].id

        async def ask() -> None:
            desk = Desk(folder)
            known = Known(desk)

            async def who(text: str, at: datetime = now) -> Actor | None:
                """Who it is: the same when asked again, which costs one small question."""
                first = await known.actor(identity.by_token, text, now=at, address="")
                assert first == await known.actor(identity.by_token, text, now=at, address="")
                return first

            (parent, parent_id), (late, _) = token(), token(hours=1)
            narrowed, _ = token(parent_id)
            cookie, _ = change(lambda v: identity.new_session(v, "bo", now=now, address=""))
            session = partial(known.actor, identity.by_session, cookie, now=now, address="")
            assert all([await who(parent), await who(narrowed), await session()])
            assert await who(late, now + timedelta(minutes=59))
            assert await who(late, now + timedelta(hours=1)) is None
            change(lambda v: identity.change_user(v, "ana", now=now, roles=["reviewer"]))
            assert (await who(narrowed)).roles == {"reviewer"}
            command = [sys.executable, "-c", REVOKED_ELSEWHERE, str(folder), parent_id]
            await asyncio.to_thread(subprocess.run, command, check=True, timeout=60)
            assert await who(parent) is await who(narrowed) is None
            change(lambda v: identity.end_session(v, cookie))
            assert await session() is None
            assert await who(lived.tokens["ana"])
            change(lambda v: identity.change_user(v, "ana", now=now, state="disabled"))
            assert await who(lived.tokens["ana"]) is None
            desk.stop()
            desk.close()

        asyncio.run(ask())


@pytest.mark.parametrize("services", [1, 2])
@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_of_two_approvals_at_once_one_wins(make: Make, kind: str, services: int) -> None:
    """R-OCC: of two approvals that wait at once, at one service or at two over one store, one wins, one is told."""
    folder, storage = make(kind)
    lived, handed_in = inhabit(folder, storage=storage), submission("two/at-once")
    with contextlib.ExitStack() as stack:
        apps = [server_of.application(roomy(folder)) for _ in range(services)]
        urls = [stack.enter_context(listening(app, folder)) for app in apps]
        clients = [stack.enter_context(httpx.Client(base_url=url, timeout=60)) for url in (urls[0], urls[-1])]
        assert publish(clients[0], lived.bearer("ana"), handed_in).status_code == 201
        held = [stack.enter_context(held_writer(app.state.service.desk)) for app in apps]
        pool = stack.enter_context(ThreadPoolExecutor(2))
        answers = [
            pool.submit(client.post, f"{BASE}/decisions", json=decision_body(handed_in, key=key), headers=bearer)
            for client, key, bearer in zip(
                clients, (OTHER, ADMIN), (lived.bearer("bo"), lived.bearer("eve")), strict=True
            )
        ]
        assert until(lambda: sum(app.state.service.desk.waiting for app in apps) == 2)
        for go in held:
            go.set()
        won, lost = sorted((answer.result(60) for answer in answers), key=lambda answer: answer.status_code)
    assert (won.status_code, lost.status_code, codes_of(lost)) == (201, 409, ["REG026"])
    assert [lost.json()[name] for name in ("item", "expected", "actual")] == ["two/at-once@1.0.0", 1, 2]
    with Registry.open(folder) as opened:
        assert len(opened.show("two/at-once@1.0.0").decisions) == 1
    assert verify_log(folder).holds


@contextlib.contextmanager
def listening(app: Any, folder: Path) -> Iterator[str]:
    """The address of a service's application."""
    with running(uvicorn_config(app, roomy(folder)), socket.create_server(("127.0.0.1", 0))) as address_:
        yield address_


@contextlib.contextmanager
def held_writer(desk: Desk) -> Iterator[threading.Event]:
    """Keep a service's writer busy outside any transaction until the event is set: what is ordered meanwhile waits."""
    go, carry_out, loop = threading.Event(), desk._carry_out, asyncio.new_event_loop()
    order = _Order(lambda _: None, (), loop, loop.create_future())
    loop.close()

    def patient(orders: Any) -> None:
        assert go.wait(60)
        carry_out(orders)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(desk, "_carry_out", patient)
        desk._orders.put(order)
        assert until(lambda: desk.waiting == 0)
        try:
            yield go
        finally:
            go.set()


def until(holds: Callable[[], bool]) -> bool:
    """Wait for something, for a minute at most; whether it came."""
    ends = time.monotonic() + 60
    while not holds() and time.monotonic() < ends:
        time.sleep(0.002)
    return holds()


def test_a_registry_moves_from_store_to_store(make: Make, tmp_path: Path) -> None:
    """R-DURABLE: a backup is an embedded registry that verifies; restored into PostgreSQL and S3 it says the same."""
    folder, storage = make("sqlite")
    with Registry.create(folder, clock=ticking(), storage=storage) as source:
        receipt = source.publish(submission())
        decision = Decision(NODE, "1.0.0", receipt.evidence, Status.APPROVED, 1, "looks right")
        source.decide(*signed_decision(decision, OTHER))
        with source.store.write() as view:
            view.put_record(Record("user", "ana", at=AT, data={"roles": ["author"]}), 0)
    report = backup(folder, tmp_path / "backup")
    assert (report.holds, report.entries) == (True, 2)
    target, elsewhere = make("postgres+s3")
    assert restore(tmp_path / "backup", target, elsewhere).holds
    with Registry.open(target, clock=ticking()) as found:
        assert found.show(f"{NODE}@1.0.0").receipt == receipt
        with found.store.read() as view:
            assert view.record("user", "ana") is not None
        found.publish(submission(release="1.1.0"))
    assert verify_log(target).holds
    assert backup(target, tmp_path / "again").entries == 3


def test_a_damaged_backup_is_not_restored(make: Make, tmp_path: Path) -> None:
    """R-DURABLE: what does not verify is refused, and nothing is made."""
    folder, storage = make("sqlite")
    with Registry.create(folder, clock=ticking(), storage=storage) as source:
        receipt = source.publish(submission())
    backup(folder, tmp_path / "backup")
    blob = tmp_path / "backup" / "blobs" / receipt.evidence[:2] / receipt.evidence[2:]
    blob.write_bytes(b"other")
    target, _ = make("sqlite")
    with pytest.raises(RequestError) as refused:
        restore(tmp_path / "backup", target, Storage())
    assert codes(refused.value) == ["REG005"]
    assert not target.exists()


def test_an_older_schema_is_brought_up(make: Make) -> None:
    """R-SCHEMA: a registry of schema 1 opens, is migrated in one transaction, and still verifies."""
    import contextlib
    import sqlite3

    folder, storage = make("sqlite")
    with Registry.create(folder, clock=ticking(), storage=storage) as made:
        made.publish(submission())
    with contextlib.closing(sqlite3.connect(folder / "registry.db", isolation_level=None)) as connection:
        for statement in statements(step(2)):
            kind, name = statement.rpartition("CREATE ")[2].split()[:2]
            if kind != "TRIGGER":
                connection.execute(f"DROP {kind} IF EXISTS {name}")
        connection.execute("DELETE FROM migrations WHERE version > 1")
    assert verify_log(folder).diagnostics == ()
    with Registry.open(folder, clock=ticking()) as opened:
        opened.publish(submission(release="1.1.0"))
        with opened.store.read() as view:
            assert view._rows("SELECT max(version) FROM migrations") == [(SCHEMA_VERSION,)]
    assert verify_log(folder).diagnostics == ()


def test_an_older_schema_is_brought_up_in_postgresql(make: Make) -> None:
    """R-SCHEMA: as above; what a writer asks for when it begins may not be there yet."""
    import psycopg

    folder, storage = make("postgres")
    with Registry.create(folder, clock=ticking(), storage=storage) as made:
        made.publish(submission())
    with psycopg.connect(storage.database, autocommit=True) as connection:
        connection.execute("DROP TABLE records, staged, events, audit")
        connection.execute("DROP INDEX releases_by_status, releases_by_entry")
        connection.execute("DELETE FROM migrations WHERE version > 1")
    with Registry.open(folder, clock=ticking()) as opened:
        opened.publish(submission(release="1.1.0"))
    assert verify_log(folder).diagnostics == ()


def test_numbers_follow_those_of_another_writer(make: Make) -> None:
    """R-FANOUT: seeded by a number that was asked for before the lock was given: changes have numbers without gaps."""
    folder, storage = make("postgres")
    with Registry.create(folder, storage=storage) as one, Registry.open(folder) as other:

        def tell(registry: Registry) -> None:
            with registry.store.write() as view:
                view.add_event(AT, "test", "x", {})

        with ThreadPoolExecutor(1) as pool:
            with one.store.write() as view:
                waiting = pool.submit(tell, other)
                assert until(lambda: _waits_for_the_lock(storage.database))
                view.add_event(AT, "test", "x", {})
            waiting.result(60)
        with one.store.read() as view:
            assert [event.number for event in view.events(0, 9)] == [1, 2]


def _waits_for_the_lock(database: str) -> bool:
    import psycopg

    with psycopg.connect(database, autocommit=True) as connection:
        return bool(connection.execute("SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted").fetchall())


@pytest.mark.parametrize(
    ("tamper", "code"),
    [
        ("UPDATE releases SET status = 'approved'", "LOG032"),
        ("DELETE FROM releases", "LOG030"),
        ("UPDATE checkpoints SET note = 'x'", "LOG010"),
        ("UPDATE entries SET leaf_hash = decode(repeat('00', 32), 'hex')", "LOG005"),
        ("DROP TRIGGER entries_stay ON entries", "LOG002"),
    ],
)
def test_a_rewritten_log_is_found_in_postgresql(make: Make, tamper: str, code: str) -> None:
    """R-LOG: what somebody with the database's password changes is found by `verify-log`."""
    import psycopg

    folder, storage = make("postgres")
    with Registry.create(folder, clock=ticking(), storage=storage) as made:
        made.publish(submission())
    with psycopg.connect(storage.database, autocommit=True) as connection:
        if not tamper.startswith("DROP"):
            for table in ("entries", "checkpoints"):
                connection.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
        connection.execute(tamper)
        for table in ("entries", "checkpoints"):
            connection.execute(f"ALTER TABLE {table} ENABLE TRIGGER USER")
    assert code in {d.code for d in verify_log(folder).diagnostics}


@pytest.mark.parametrize(
    "database", ["mysql://x/y", "postgresql://user:secret@127.0.0.1/x", "postgresql://127.0.0.1/x?password=secret"]
)
def test_addresses_that_are_refused(tmp_path: Path, database: str) -> None:
    """R-STORE: another database, or an address that would store a password."""
    with pytest.raises(RequestError) as refused:
        Registry.create(tmp_path / "registry", storage=Storage(database))
    assert codes(refused.value) == ["REG009"]


def test_a_database_that_is_not_there(tmp_path: Path) -> None:
    """R-STORE: REG010 with what the driver says, and no registry."""
    port = postgres_support.free_port()
    with pytest.raises(RequestError) as refused:
        Registry.create(tmp_path / "registry", storage=Storage(f"postgresql://x@127.0.0.1:{port}/x"))
    assert codes(refused.value) == ["REG010"]


def test_the_schema_in_postgresqls_words() -> None:
    """R-SCHEMA: nothing of SQLite's own words is left in what PostgreSQL is told."""
    for version in range(1, SCHEMA_VERSION + 1):
        for statement in statements(step(version)):
            said = postgres.translated(statement)
            assert not any(word in said for word in ("STRICT", "ROWID", "BLOB", "RAISE(", "INTEGER"))
