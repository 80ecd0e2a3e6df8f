"""Live events: how evenly they reach 100 streams, and whether a client that leaves frees its place.

Run: ``python bench/registry_events.py [--streams 100] [--seconds 6] [--rate 100]``. Clients are a process of their own.
A writer makes so many changes a second; for each stream the gaps between two writes that reach it are taken, and the
time from a change to its arrival. Both clocks are those of this machine.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import tempfile
import time
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from registry_load import Wire, cpu_seconds, prepared, quantile, quick, serve


class Listener(asyncio.Protocol):
    """One stream: what arrives is written down with its moment, and read when all is over."""

    def __init__(self, token: str) -> None:
        self._head = f"GET /api/v1/events/stream HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n"
        self.heard: list[tuple[float, bytes]] = []

    def connection_made(self, transport: Any) -> None:
        """Ask for the stream."""
        self.transport = transport
        transport.write(self._head.encode())

    def data_received(self, data: bytes) -> None:
        """Note the moment."""
        self.heard.append((time.time(), data))

    def gaps(self) -> list[float]:
        """Seconds between two writes."""
        moments = [moment for moment, data in self.heard if b"data: " in data]
        return [after - before for before, after in pairwise(moments)]

    def delays(self) -> list[float]:
        """Seconds from each change to its arrival."""
        found = []
        for moment, data in self.heard:
            for line in data.split(b"\n"):
                if line.startswith(b"data: "):
                    at = datetime.fromisoformat(json.loads(line[6:])["at"]).replace(tzinfo=UTC)
                    found.append(moment - at.timestamp())
        return found


async def write(port: int, token: str, ends: float, rate: float) -> int:
    """Changes at an even pace; how many."""
    wires = [Wire(port, token) for _ in range(4)]
    drafts: list[Any] = []
    for number, wire in enumerate(wires):
        await wire.open()
        body = json.dumps({"node": f"events/n{number}", "release": "1.0.0"}).encode()
        drafts.append(json.loads((await wire.send("POST", "/drafts", body, "application/json"))[1]))

    async def edit(wire: Wire, draft: dict[str, Any], start: float) -> int:
        count, due = 0, start
        while due < ends:
            await asyncio.sleep(max(0.0, due - time.time()))
            body = json.dumps({"version": draft["version"], "context": {"n": count}}).encode()
            draft = json.loads((await wire.send("PATCH", f"/drafts/{draft['id']}", body, "application/json"))[1])
            count, due = count + 1, max(due + len(wires) / rate, time.time())
        return count

    begin = time.time()
    works = [edit(w, d, begin + n / rate) for n, (w, d) in enumerate(zip(wires, drafts, strict=True))]
    return sum(await asyncio.gather(*works))


async def measure(port: int, token: str, arguments: argparse.Namespace) -> bool:
    """Listen and write at once, and print what came of it."""
    loop = asyncio.get_running_loop()
    makes = [loop.create_connection(lambda: Listener(token), "127.0.0.1", port) for _ in range(arguments.streams)]
    listeners = [listener for _, listener in await asyncio.gather(*makes)]
    await asyncio.sleep(0.5)
    written = await write(port, token, time.time() + arguments.seconds, arguments.rate)
    await asyncio.sleep(0.5)
    for listener in listeners:
        listener.transport.close()
    gaps = [gap for listener in listeners for gap in listener.gaps()]
    late = [delay for listener in listeners for delay in listener.delays()]
    print(f"{arguments.streams} streams, {written} changes, {len(late)} events")
    print(f"gap between writes to a stream: p50 {quantile(gaps, 0.5):.1f} ms, p95 {quantile(gaps, 0.95):.1f} ms")
    print(f"from the change to its arrival: p50 {quantile(late, 0.5):.1f} ms, p95 {quantile(late, 0.95):.1f} ms")
    for _ in range(100):
        await asyncio.sleep(0.1)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        said = (await reader.read()).decode()
        writer.close()
        if "certify_streams 0.0" in said:
            print("every stream that was left has freed its place")
            return True
    print("STREAMS THAT WERE LEFT STILL HOLD PLACES")
    return False


def main() -> int:
    """Print the measurements; 1 if a place was not freed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--streams", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=6)
    parser.add_argument("--rate", type=float, default=100)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "registry"
        token = prepared(folder, "")
        process, port = serve(folder)
        try:
            print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
            before = cpu_seconds(process.pid)
            good = quick(measure(port, token, arguments))
            print(f"the server spent {cpu_seconds(process.pid) - before:.1f} s of CPU time")
        finally:
            process.terminate()
            process.wait(30)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
