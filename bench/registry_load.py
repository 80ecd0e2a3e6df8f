"""The service under load: create, update, attach, complete at 1, 10, 50 and 100 clients, on SQLite and PostgreSQL.

Run: ``python bench/registry_load.py [--seconds 8] [--clients 1,10,50,100] [--stores sqlite,postgres] [--full]``.

Clients run in a process of their own and talk HTTP over loopback with kept connections. One *turn* is a draft from
beginning to end: create, two updates, attach (4 kB of bytes that nobody has sent before), complete. With ``--full``
complete publishes a signed release, with its log entry and checkpoint; otherwise it makes the draft ready. In the same
run, on the same disk: bare SQLite transactions of one row, durable (`synchronous=FULL`), one writer. Everything that is
acknowledged is on the disk.

Folders stay until everything was measured: for some minutes after many files were removed, ext4 takes a millisecond and
more to make a new one nearby, since it goes past what was removed. So wait before another run, or give it another disk,
or a folder whose folders lie apart (``chattr +T``).
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import multiprocessing
import os
import secrets
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Coroutine
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))
BASE = "/api/v1"
T = TypeVar("T")


def raw_sqlite(folder: Path, seconds: float) -> float:
    """Durable transactions of one row a second, by one writer."""
    connection = sqlite3.connect(folder / "bare.db", isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("CREATE TABLE rows (id INTEGER PRIMARY KEY, data TEXT)")
    done, ends = 0, time.perf_counter() + seconds
    while time.perf_counter() < ends:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("INSERT INTO rows (data) VALUES (?)", ("x" * 200,))
        connection.execute("COMMIT")
        done += 1
    connection.close()
    return done / seconds


class Wire:
    """One kept connection, speaking just enough HTTP/1.1: the client must not be what is measured."""

    def __init__(self, port: int, token: str) -> None:
        self._port = port
        self._head = f"Host: 127.0.0.1\r\nAuthorization: Bearer {token}\r\n"

    async def open(self) -> None:
        """Connect."""
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)

    async def send(self, method: str, path: str, body: bytes, kind: str) -> tuple[int, bytes]:
        """Send a request; status and body of the answer."""
        head = (
            f"{method} {BASE}{path} HTTP/1.1\r\n{self._head}Content-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        self._writer.write(head.encode() + body)
        raw = await self._reader.readuntil(b"\r\n\r\n")
        length = int(next(h for h in raw.lower().split(b"\r\n") if h.startswith(b"content-length")).split(b":")[1])
        return int(raw[9:12]), await self._reader.readexactly(length)


def releases(count: int, first: int) -> list[tuple[str, str, dict[str, Any], list[bytes]]]:
    """Signed releases, made before the clock starts."""
    from registry_support import submission

    made = []
    for number in range(first, first + count):
        node = f"load/n{number}"
        handed_in = submission(node, code=node)
        body = {
            "subject": handed_in.subject,
            "evidence": handed_in.evidence,
            "envelope": base64.b64encode(handed_in.envelope).decode(),
            "signer": handed_in.signer.raw.hex(),
            "blobs": [],
            "verdicts": dict(handed_in.verdicts),
            "artefacts": [],
        }
        made.append((node, "1.0.0", body, list(handed_in.blobs.values())))
    return made


async def client(port: int, token: str, ends: float, times: dict[str, list[float]], full: list[Any] | None) -> int:
    """One client: turns until the time is over; the number of answers that were no success."""
    wire, wrong = Wire(port, token), 0
    await wire.open()

    async def step(name: str, method: str, path: str, body: Any, kind: str = "application/json") -> Any:
        nonlocal wrong
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        began = time.perf_counter()
        status, answer = await wire.send(method, path, data, kind)
        times[name].append(time.perf_counter() - began)
        if status >= 300:
            wrong += 1
            return None
        return json.loads(answer)

    while time.perf_counter() < ends and (full is None or full):
        node, release, rest, blobs = full.pop() if full else (f"load/{secrets.token_hex(6)}", "1.0.0", {}, [])
        draft = await step("create", "POST", "/drafts", {"node": node, "release": release})
        if draft is None:
            continue
        place = f"/drafts/{draft['id']}"
        for value in (1, 2):
            change = {"version": draft["version"], "context": {"ticket": {"number": value}}}
            draft = await step("update", "PATCH", place, change) or draft
        for number, data in enumerate(blobs or [os.urandom(4096)]):
            path = f"{place}/artefacts/blob-{number}"
            draft = await step("attach", "PUT", path, data, "application/octet-stream") or draft
        if full is None:
            await step("complete", "PATCH", place, {"version": draft["version"], "status": "ready"})
        else:
            await step("complete", "POST", f"{place}/complete", {**rest, "version": draft["version"]})
    return wrong


def quick(work: Coroutine[Any, Any, T]) -> T:
    """Run the clients' work in the fastest loop that is installed: they are not what is measured."""
    try:
        import uvloop
    except ImportError:
        return asyncio.run(work)
    return uvloop.run(work)


def drive(port: int, token: str, clients: int, seconds: float, full: list[Any] | None, found: Any) -> None:
    """A process of clients."""
    times: dict[str, list[float]] = {name: [] for name in ("create", "update", "attach", "complete")}

    async def all_of_them() -> int:
        ends = time.perf_counter() + seconds
        return sum(await asyncio.gather(*(client(port, token, ends, times, full) for _ in range(clients))))

    began, spent = time.perf_counter(), time.process_time()
    wrong = quick(all_of_them())
    found.put((times, wrong, time.perf_counter() - began, time.process_time() - spent))


def serve(folder: Path) -> tuple[subprocess.Popen[str], int]:
    """A server process on a free port."""
    command = [sys.executable, "-m", "certify.cli", "registry", "serve", "--registry", str(folder), "--port", "0"]
    options = ["--quiet", "--plain-http", "--rate", "1000000", "--burst", "1000000", "--in-flight", "128"]
    process = subprocess.Popen([*command, *options], stdout=subprocess.PIPE, text=True, cwd=ROOT)
    assert process.stdout is not None
    return process, int(process.stdout.readline().rpartition(":")[2])


def cpu_seconds(pid: int) -> float:
    """CPU time that a process has spent."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def prepared(folder: Path, database: str) -> str:
    """A registry with an author; the author's token."""
    from certify.registry.places import Storage
    from certify.registry.registry import Registry
    from certify.service import identity
    from certify.times import system_clock
    from registry_support import AUTHOR

    now = system_clock()
    with Registry.create(folder, storage=Storage(database)) as registry, registry.store.write() as view:
        identity.add_user(view, "load", now=now, roles=["author"])
        identity.add_key(view, "load", AUTHOR.public, now=now)
        token, _ = identity.new_token(view, "load", now=now, name="load", expires=now + timedelta(days=1))
    return token


def quantile(values: list[float], part: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * part))] * 1000 if ordered else 0.0


def measure(store: str, arguments: argparse.Namespace, bare: float, database: str, place: Path) -> bool:
    """One store: a table, a row for each number of clients."""
    from certify.registry.verification import verify_log

    good, first = True, 0
    print(f"\n{store}: one server process; times in ms; {'publishing' if arguments.full else 'drafts'}")
    print(f"{'clients':>7} {'ops/s':>7} {'/raw':>6} {'p50':>7} {'p99':>7}   p99 of create, update, attach, complete"
          "   server CPU/op   wrong")  # fmt: skip
    for clients in arguments.clients:
        folder = Path(tempfile.mkdtemp(dir=place)) / "registry"
        address = fresh(database, store, clients) if store == "postgres" else ""
        token = prepared(folder, address)
        process, port = serve(folder)
        try:
            full = releases(int(60 * arguments.seconds), first) if arguments.full else None
            first += 10_000
            results: Any = multiprocessing.Queue()
            before = cpu_seconds(process.pid)
            driver = multiprocessing.Process(
                target=drive, args=(port, token, clients, arguments.seconds, full, results)
            )
            driver.start()
            times, wrong, took, _ = results.get(timeout=arguments.seconds * 10 + 60)
            driver.join()
            spent = cpu_seconds(process.pid) - before
        finally:
            process.terminate()
            process.wait(30)
        every = [t for each in times.values() for t in each]
        rate = len(every) / took
        p99 = quantile(every, 0.99)
        parts = "  ".join(f"{quantile(times[name], 0.99):6.1f}" for name in times)
        print(f"{clients:>7} {rate:>7.0f} {rate / bare:>6.2f} {quantile(every, 0.5):>7.1f} {p99:>7.1f}   {parts}"
              f"   {spent / len(every) * 1000:9.2f} ms   {wrong:>5}", flush=True)  # fmt: skip
        good = good and wrong == 0 and verify_log(folder).holds
    return good


def fresh(address: str, store: str, clients: int) -> str:
    from postgres_support import fresh_database

    return fresh_database(address, f"load_{store}_{clients}_{secrets.token_hex(3)}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=8)
    parser.add_argument("--clients", type=lambda text: [int(n) for n in text.split(",")], default=[1, 10, 50, 100])
    parser.add_argument("--stores", type=lambda text: text.split(","), default=["sqlite", "postgres"])
    parser.add_argument("--disk", type=Path, default=Path(tempfile.gettempdir()))
    parser.add_argument("--full", action="store_true")
    arguments = parser.parse_args()
    import contextlib

    import postgres_support

    with contextlib.ExitStack() as stack:
        place = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=arguments.disk)))
        bare = statistics.median(raw_sqlite(Path(tempfile.mkdtemp(dir=place)), 1.0) for _ in range(3))
        print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; bare SQLite, durable: {bare:.0f} transactions/s")
        database = stack.enter_context(postgres_support.server(durable=True)) if "postgres" in arguments.stores else ""
        good = [measure(store, arguments, bare, database, place) for store in arguments.stores]
    print(
        "\nno request failed, and every log verifies" if all(good) else "\nA REQUEST FAILED, OR A LOG DOES NOT VERIFY"
    )
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main())
