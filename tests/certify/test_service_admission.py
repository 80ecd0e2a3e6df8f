"""What the service takes on: places, buckets, fan-out, streams, drafts, a witness, sign-in elsewhere."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from certify.registry.errors import Conflict, Refused
from certify.registry.registry import Registry
from certify.registry.sql import Record
from certify.service import drafts, events, witness
from certify.service.admission import Buckets, Places
from certify.service.desk import Desk
from certify.service.drafts import Change, Overlap, merged, retried
from certify.service.errors import Declined
from certify.service.events import Hub
from registry_support import codes, submission
from service_support import BASE, Inhabited, client, codes_of, inhabit, publish, roomy, served, text

AT = "2026-11-20T12:00:00.000000Z"


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Inhabited:
    """A registry with users."""
    return inhabit(tmp_path_factory.mktemp("admission") / "registry")


@pytest.fixture(scope="module")
def api(lived: Inhabited) -> Iterator[httpx.Client]:
    """A client of one service."""
    with client(roomy(lived.folder)) as found:
        yield found


def test_a_commit_at_the_moment_of_stopping_does_not_keep_the_hub(lived: Inhabited) -> None:
    """R-STREAM: seeded by a cancellation that meets a change which was waited for; the hub ends all the same."""

    async def stop_upon_a_change() -> bool:
        desk = Desk(lived.folder)
        hub = Hub(desk, 1)
        await hub.start()
        await asyncio.sleep(0.05)  # it waits for a change now
        hub._stirred.set()
        await asyncio.sleep(0)  # the change has arrived, and the hub has not gone on
        stopping = asyncio.create_task(hub.stop())
        done, _ = await asyncio.wait({stopping}, timeout=5)
        desk.stop()
        return stopping in done

    assert asyncio.run(stop_upon_a_change())


def test_a_quiet_stream_says_that_it_is_there(lived: Inhabited, monkeypatch: pytest.MonkeyPatch) -> None:
    """R-STREAM: where nothing happens, a comment comes now and then, so that a dead connection shows."""
    monkeypatch.setattr(events, "BEAT_SECONDS", 0)
    monkeypatch.setattr(events, "POLL_SECONDS", 0.01)

    async def listen() -> bytes:
        desk = Desk(lived.folder)
        hub = Hub(desk, 1)
        await hub.start()
        try:
            async with asyncio.timeout(10):
                return await anext(hub.frames(hub.newest))
        finally:
            await hub.stop()
            desk.stop()

    assert asyncio.run(listen()) == b": still here\n\n"


def test_changes_are_read_for_streams_alone(lived: Inhabited, monkeypatch: pytest.MonkeyPatch) -> None:
    """R-STREAM: without a stream no change is read; one that comes then begins behind what was, or where it says."""
    reads: list[int] = []
    after = events._after
    monkeypatch.setattr(events, "_after", lambda *a: (reads.append(a[1]), after(*a))[1])

    async def use() -> None:
        desk = Desk(lived.folder)
        desk.start()
        hub = Hub(desk, 1)
        await hub.start()
        began = hub.newest
        try:
            async with asyncio.timeout(20):
                for name in ("unheard", "unheard too"):
                    await desk.write(lambda registry, name=name: tell(registry, name))
                await hub._look()  # as it does now and then
                assert hub.newest == began + 2
                await desk.write(lambda registry: tell(registry, "not looked at yet"))
                assert (await hub.last(), reads) == (began + 3, [])
                fresh, resumed = hub.frames(await hub.last()), hub.frames(began + 1)
                hub.join()
                await desk.write(lambda registry: tell(registry, "heard"))
                assert b'"item":"heard"' in await anext(fresh)
                told = b""
                while b'"item":"heard"' not in told:
                    told += await anext(resumed)
                assert [told.count(name) for name in (b"unheard too", b"not looked at yet", b"unheard")] == [1, 1, 1]
        finally:
            await hub.stop()
            desk.stop()
            desk.close()

    asyncio.run(use())
    assert reads


def tell(registry: Registry, name: str) -> None:
    """Write a change."""
    with registry.store.write() as view:
        view.add_event(AT, "test", name, {})


# Places and buckets


def test_places_are_bounded_warned_about_and_given_back() -> None:
    """R-BACKPRESSURE: the 101st request is declined, the 80th is warned about once, an error frees a place."""
    warned: list[int] = []
    places = Places(100, warned.append)
    with contextlib.ExitStack() as held:
        for _ in range(100):
            held.enter_context(places.admitted())
        with pytest.raises(Declined) as full:
            held.enter_context(places.admitted())
        assert (places.in_flight, warned) == (100, [80])
    assert (full.value.status, full.value.headers["Retry-After"]) == (503, "1")
    with pytest.raises(ZeroDivisionError), places.admitted():
        raise ZeroDivisionError
    assert places.in_flight == 0


def test_a_client_has_a_bucket_of_its_own() -> None:
    """R-BACKPRESSURE: 20 at once, then 100 a minute; Retry-After is the time to the next; others do not notice."""
    now = [0]
    buckets = Buckets(100, 20, lambda: now[0])
    for _ in range(20):
        buckets.take("ana")
    with pytest.raises(Declined) as early:
        buckets.take("ana")
    assert (early.value.status, early.value.headers["Retry-After"]) == (429, "1")
    buckets.take("bo")
    now[0] += 600_000_000  # 0.6 s: one token
    buckets.take("ana")
    with pytest.raises(Declined):
        buckets.take("ana")


def test_a_service_tells_when_to_come_again(lived: Inhabited) -> None:
    """R-BACKPRESSURE: over HTTP the 21st request at once is a 429 with Retry-After, and is counted; health is not."""
    with client(roomy(lived.folder, rate=1, burst=20)) as found:
        answers = [found.get(f"{BASE}/counts", headers=lived.bearer("bo")) for _ in range(21)]
        assert [answer.status_code for answer in answers] == [200] * 20 + [429]
        assert int(answers[-1].headers["Retry-After"]) >= 1
        assert found.get(f"{BASE}/counts", headers=lived.bearer("ana")).status_code == 200
        assert found.get("/healthz").status_code == 200
        assert 'certify_backpressure_total{reason="SRV007"} 1.0' in found.get("/metrics").text


def test_the_patterns_are_as_they_were_generated() -> None:
    """R-BACKPRESSURE: the service's bulkhead and token bucket are what is generated now, to the byte.

    The proofs are taken from the files: that the specifications are proved is tested with the specifications.
    """
    from certify_codegen import certificate
    from certify_codegen.generate import Options, Proved, module, package
    from codegen_support import specification

    folder = Path(drafts.__file__).parent / "patterns"
    texts = {file.name: file.read_text("utf-8") for file in folder.glob("*.py")}
    proofs, modules = {}, []
    for name in ("bulkhead", "token_bucket"):
        found = certificate.read(texts[f"{name}.py"])
        assert found is not None, name
        assert found.intact, name
        proofs[found.certificate.machine] = found.certificate.proof
        modules.append(module(Proved(specification(name), found.certificate.proof), Options()))
    wanted = package(modules, Options(), proofs)
    stale = [name for name in sorted(wanted | texts) if texts.get(name) != wanted.get(name)]
    assert stale == [], f"make patterns, to generate {', '.join(stale)} again"


# Drafts


def draft(**changes: object) -> Record:
    """A draft at version 1."""
    fresh = drafts.begun("d", "a/b", "1.0.0", "ana", {"team": {"name": "pay"}}, AT)
    return Record(fresh.kind, fresh.id, fresh.owner, fresh.state, 1, AT, {**fresh.data, **changes})


def stored(found: Record, change: Change, expected: int, *, merge: bool = True) -> Record:
    """The draft after the change, at the next version, as the storage would have it."""
    from dataclasses import replace

    after = merged(found, change, expected, AT, merge=merge)
    return replace(after, version=found.version + 1)


def test_changes_that_do_not_overlap_are_merged() -> None:
    """R-OCC: artefacts are united, contexts are merged leaf by leaf, and the last status wins."""
    one = stored(draft(), Change(status="ready", artefacts={"a": "a" * 64}, context={"team": {"lead": "bo"}}), 1)
    both = stored(one, Change(status="open", artefacts={"b": "b" * 64}, context={"team": {"size": 3}}), 1)
    assert both.data["artefacts"] == {"a": "a" * 64, "b": "b" * 64}
    assert both.data["context"] == {"team": {"name": "pay", "lead": "bo", "size": 3}}
    assert (both.state, both.version) == ("open", 3)


@pytest.mark.parametrize(
    "second",
    [
        Change(context={"team": {"name": "other"}}),
        Change(context={"team": {"name": {"deep": 1}}}),
        Change(context={"team": "gone"}),
        Change(artefacts={"a": "b" * 64}),
    ],
)
def test_changes_that_overlap_are_a_conflict(second: Change) -> None:
    """R-OCC: the same key, a key above or below it, or the same artefact with other bytes: nothing is overwritten."""
    one = stored(draft(), Change(artefacts={"a": "a" * 64}, context={"team": {"name": "new"}}), 1)
    with pytest.raises(Overlap) as told:
        stored(one, second, 1)
    assert (told.value.item, told.value.expected, told.value.actual) == ("draft d", 1, 2)


def test_without_merging_an_older_version_is_a_conflict() -> None:
    """R-OCC: what was not asked to be merged is not."""
    one = stored(draft(), Change(context={"x": 1}), 1)
    with pytest.raises(Conflict):
        stored(one, Change(context={"y": 1}), 1, merge=False)


def test_a_critical_status_goes_to_a_person() -> None:
    """R-OCC: withdrawn against ready is not merged, whoever was first; SRV010 names both."""
    withdrawn = stored(draft(), Change(status="withdrawn"), 1)
    ready = stored(draft(), Change(status="ready"), 1)
    for found, wanted in ((withdrawn, "ready"), (ready, "withdrawn")):
        with pytest.raises(Declined) as told:
            stored(found, Change(status=wanted), 1)
        assert (told.value.status, told.value.diagnostic.code) == (409, "SRV010")


def test_a_conflict_is_tried_again_three_times() -> None:
    """R-OCC: four attempts in all, and pauses that double."""
    pauses: list[float] = []

    async def attempt() -> None:
        raise Conflict("x", 1, 2)

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    with pytest.raises(Conflict):
        asyncio.run(retried(attempt, sleep, chance=lambda: 1.0))
    assert pauses == [0.05, 0.1, 0.2]


def test_a_draft_from_beginning_to_end(api: httpx.Client, lived: Inhabited) -> None:
    """R-OCC: create, update, attach and complete over HTTP; what was published is what was attached."""
    ana, handed_in = lived.bearer("ana"), submission("draft/node")
    made = api.post(f"{BASE}/drafts", json={"node": "draft/node", "release": "1.0.0"}, headers=ana).json()
    place = f"{BASE}/drafts/{made['id']}"
    update = {"version": 1, "status": "ready", "context": {"ticket": "PAY-1"}}
    assert api.patch(place, json=update, headers=ana).json()["version"] == 2
    stale = api.patch(place, json=update, headers=ana)
    assert (stale.status_code, stale.json()["expected"], stale.json()["actual"]) == (409, 1, 2)
    raw = {**ana, "Content-Type": "application/octet-stream"}
    for number, (digest, data) in enumerate(sorted(handed_in.blobs.items())):
        answer = api.put(f"{place}/artefacts/blob-{number}", content=data, headers=raw).json()
        assert answer["digest"] == digest
    body = {
        "version": answer["version"],
        "subject": handed_in.subject,
        "evidence": handed_in.evidence,
        "envelope": text(handed_in.envelope),
        "signer": handed_in.signer.raw.hex(),
        "blobs": [],
        "verdicts": dict(handed_in.verdicts),
        "artefacts": [],
    }
    done = api.post(f"{place}/complete", json=body, headers=ana)
    assert done.status_code == 201, done.text
    again = api.post(f"{place}/complete", json=body, headers=ana)
    assert (again.status_code, codes_of(again)) == (409, ["SRV010"])
    assert api.get(place, headers=ana).json()["status"] == "published"
    assert api.get(f"{BASE}/releases/draft/node@1.0.0", headers=ana).json()["authors"] == ["ana"]


# Events


def test_readers_have_cursors_of_their_own(api: httpx.Client, lived: Inhabited) -> None:
    """R-FANOUT: one write is read by each reader from its own cursor; a cursor moves by compare-and-swap."""
    publish(api, lived.bearer("ana"), submission("cursor/node"))
    for reader in ("mail", "chat"):
        read = api.get(f"{BASE}/events", params={"reader": reader}, headers=lived.bearer("bo")).json()
        assert "cursor/node@1.0.0" in [event["item"] for event in read["events"]]
    moved = api.put(f"{BASE}/cursors/mail", json={"number": read["next"]}, headers=lived.bearer("bo"))
    assert moved.json()["version"] == 1
    again = api.put(f"{BASE}/cursors/mail", json={"number": 0}, headers=lived.bearer("bo"))
    assert (again.status_code, codes_of(again)) == (409, ["REG026"])
    counts = [
        len(api.get(f"{BASE}/events", params={"reader": r}, headers=lived.bearer("bo")).json()["events"])
        for r in ("mail", "chat")
    ]
    assert counts[0] == 0 < counts[1]


def test_a_stream_tells_what_happens_and_frees_its_place(lived: Inhabited) -> None:
    """R-STREAM: a change arrives at every stream with its number; a client that leaves frees its place."""
    settings = roomy(lived.folder, streams=2)
    with served(settings) as url, httpx.Client(base_url=url, timeout=30) as found:
        with contextlib.ExitStack() as open_streams:
            streams = [
                open_streams.enter_context(found.stream("GET", f"{BASE}/events/stream", headers=lived.bearer("bo")))
                for _ in range(2)
            ]
            full = found.get(f"{BASE}/events/stream", headers=lived.bearer("bo"))
            assert (full.status_code, codes_of(full)) == (503, ["SRV008"])
            publish(found, lived.bearer("ana"), submission("stream/node"))
            told = [first_event(stream) for stream in streams]
        assert [event["item"] for event in told] == ["stream/node@1.0.0"] * 2
        assert told[0]["number"] == told[1]["number"]
        wait_for(lambda: "certify_streams 0.0" in found.get("/metrics").text)
        headers = {**lived.bearer("bo"), "Last-Event-ID": str(told[0]["number"] - 1)}
        with found.stream("GET", f"{BASE}/events/stream", headers=headers) as resumed:
            assert first_event(resumed) == told[0]


def first_event(stream: httpx.Response) -> dict[str, object]:
    """The first event of a stream."""
    for line in stream.iter_lines():
        if line.startswith("data: "):
            found: dict[str, object] = json.loads(line.removeprefix("data: "))
            return found
    raise AssertionError("the stream ended")


def wait_for(condition: object, seconds: float = 20) -> None:
    """Look until a condition holds."""
    ends = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < ends


# A witness


def test_a_witness_remembers_and_notices(lived: Inhabited, tmp_path: Path) -> None:
    """R-LOG: growth is fine; another history of the same size, a shorter log, and another key are not."""
    folder = tmp_path / "one"
    with Registry.create(folder) as one:
        one.publish(submission("w/a"))
        memory = witness.look(Here(one), None)
        one.publish(submission("w/b"))
        grown = witness.look(Here(one), memory)
        assert [note.split("\n")[1] for note in grown.notes] == ["1", "2"]
        witness.write_memory(tmp_path / "state.json", grown)
        assert witness.read_memory(tmp_path / "state.json") == grown
        assert witness.cross_check(memory, grown, Here(one)) == 3
        fork = other_history(folder, tmp_path / "two")
        with pytest.raises(Refused) as rewritten:
            witness.look(Here(fork), grown)
        assert codes(rewritten.value) == ["WIT001"]
        other = witness.look(Here(fork), None)
        with pytest.raises(Refused) as split:
            witness.cross_check(grown, other, Here(one))
        assert codes(split.value) == ["WIT002"]
        fork.close()
    with Registry.create(tmp_path / "three") as foreign:
        foreign.publish(submission("w/a"))
        with pytest.raises(Refused) as key:
            witness.look(Here(foreign), grown)
    assert codes(key.value) == ["WIT003"]


class Here:
    """A registry in this process, as a witness sees one."""

    def __init__(self, registry: Registry) -> None:
        self.registry = registry
        self.verifier = registry.verifier
        self.checkpoint = registry.checkpoint
        self.consistency_proof = registry.consistency_proof

    def entries(self, start: int, stop: int) -> list[bytes]:
        """Entries, byte for byte."""
        return [data for _, data in self.registry.raw_entries(start, stop)]


def other_history(folder: Path, target: Path) -> Registry:
    """A registry with the same key, and as many other entries: what somebody who holds the key can make."""
    import shutil

    Registry.create(target).close()
    shutil.rmtree(target)
    shutil.copytree(folder, target)
    for name in ("registry.db", "registry.db-wal", "registry.db-shm"):
        (target / name).unlink(missing_ok=True)
    shutil.rmtree(target / "blobs")
    found = Registry.create(target)
    for node in ("w/x", "w/y", "w/z"):
        found.publish(submission(node))
    return found


# Traces


def test_a_request_is_a_span(lived: Inhabited) -> None:
    """R-METRICS: with a tracer each request is a span, named for its method and endpoint and not for what was sent."""
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    spans = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    with client(roomy(lived.folder), tracer=provider.get_tracer("tests")) as found:
        found.get(f"{BASE}/history/some/node", headers=lived.bearer("bo"))
    provider.shutdown()
    assert [span.name for span in spans.get_finished_spans()] == [f"GET {BASE}/history/{{name:path}}"]
