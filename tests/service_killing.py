"""A server that is killed under load, again and again, and what its registry says afterwards."""

from __future__ import annotations

import itertools
import os
import random
import signal
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import httpx

from certify.registry.registry import Registry
from certify.registry.verification import verify_log
from certify.service import drafts, server
from certify.service.app import build
from certify.service.service import Service
from registry_support import submission
from service_support import BASE, Inhabited, publish, roomy

CLIENTS = 3
LATEST = 0.8


@dataclass
class Tally:
    """What a campaign has seen.

    Attributes:
        kills: servers that were killed while they listened.
        releases: publishes that were acknowledged, over all rounds.
        changes: changes of drafts that were acknowledged.
        wrong: whatever was lost, half-written or does not verify; empty when all is well.
    """

    kills: int = 0
    releases: int = 0
    changes: int = 0
    wrong: list[str] = field(default_factory=list)


def campaign(
    lived: Inhabited, kills: int, *, seed: int = 1, told: Callable[[Tally], None] = lambda _tally: None
) -> Tally:
    """Kill a server at so many random moments, under load; after each, look at what its registry says."""
    chance, tally = random.Random(seed), Tally()
    for number in range(kills):
        acknowledged = lived.folder.parent / f"acknowledged-{number}"
        listening = socket.create_server(("127.0.0.1", 0))
        port = listening.getsockname()[1]
        serving = forked(partial(serve, lived.folder, listening))
        listening.close()
        client = forked(partial(load, port, lived, number, acknowledged))
        time_to_live = chance.uniform(0.0, LATEST)
        wait_for_first(acknowledged)
        threading.Event().wait(time_to_live)
        os.kill(serving, signal.SIGKILL)
        os.waitpid(serving, 0)
        os.waitpid(client, 0)
        tally.kills += 1
        look(lived.folder, acknowledged, tally)
        acknowledged.unlink(missing_ok=True)
        told(tally)
    return tally


def forked(work: Callable[[], object]) -> int:
    """The id of a process that does the work and nothing else."""
    child = os.fork()
    if child == 0:
        try:
            work()
        finally:
            os._exit(0)
    return child


def serve(folder: Path, listening: socket.socket) -> None:
    """Serve until killed."""
    settings = roomy(folder)
    app = build(Service(settings))
    server.Server(server.config(app, settings), lambda: None).run([listening])


def wait_for_first(acknowledged: Path) -> None:
    """Wait until something was acknowledged, so that the load is there before the kill."""
    ends = time.monotonic() + 60
    while not (acknowledged.exists() and acknowledged.stat().st_size):
        assert time.monotonic() < ends, "nothing was ever acknowledged"
        threading.Event().wait(0.01)


def load(port: int, lived: Inhabited, number: int, acknowledged: Path) -> None:
    """Clients that publish and edit until the server is gone; what was acknowledged is written down at once."""
    lines = os.open(acknowledged, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    headers = lived.bearer("ana")

    def publisher(which: int) -> None:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as found:
            for count in itertools.count():
                handed_in = submission(f"kill/n{number}-{which}", f"1.{count}.0", code=f"{number} {which} {count}")
                receipt = publish(found, headers, handed_in).json()["receipt"]
                os.write(lines, f"release {handed_in.name} {receipt['entry']} {receipt['leaf']}\n".encode())

    def editor() -> None:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as found:
            made = found.post(f"{BASE}/drafts", json={"node": "kill/draft", "release": "1.0.0"}, headers=headers).json()
            for count in itertools.count(1):
                change = {"version": count, "context": {"count": count}}
                answer = found.patch(f"{BASE}/drafts/{made['id']}", json=change, headers=headers).json()
                os.write(lines, f"draft {made['id']} {answer['version']} {count}\n".encode())

    def until_it_is_gone(work: Callable[[], None]) -> None:
        try:
            work()
        except httpx.HTTPError:
            return

    works: list[Callable[[], None]] = [editor, *(lambda which=which: publisher(which) for which in range(CLIENTS))]
    threads = [threading.Thread(target=until_it_is_gone, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)


def look(folder: Path, acknowledged: Path, tally: Tally) -> None:
    """Compare what was acknowledged with what is there, and verify the log."""
    with Registry.open(folder) as registry:
        for line in acknowledged.read_text().splitlines():
            kind, name, first, second = line.split()
            if kind == "release":
                tally.releases += 1
                found = registry.find(*name.split("@"))
                if found is None:
                    tally.wrong.append(f"lost: {line}")
                    continue
                receipt = registry.show(name).receipt
                if (receipt.entry, receipt.leaf.hex()) != (int(first), second):
                    tally.wrong.append(f"another entry: {line}")
            else:
                tally.changes += 1
                with registry.store.read() as view:
                    draft = view.record(drafts.KIND, name)
                if draft is None or draft.version < int(first) or draft.data["context"]["count"] < int(second):
                    tally.wrong.append(f"lost: {line}")
    report = verify_log(folder)
    tally.wrong += [f"{d.code}: {d.message}" for d in report.diagnostics if d.code != "LOG022"]
    # A blob that no entry names is an upload that waits, or what the killed server's last writer left.
    with Registry.open(folder) as registry, registry.store.write():
        pass
    left = list((folder / "incoming").iterdir())
    if left:
        tally.wrong.append(f"left behind: {left[:3]}")
