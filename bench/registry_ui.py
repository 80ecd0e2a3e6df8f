"""How long the review pages take in a registry of 20,000 nodes, against one of 200.

Run: ``python bench/registry_ui.py [NODES]``. Each page is asked for over HTTP by one client with a session, by turns in
both registries, in one run; the first request of each is shown apart, as nothing is warm for it.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import httpx

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from certify.registry.entries import Release
from certify.registry.registry import Registry
from pages_support import CHARGE, LAPSED, furnish, serving
from service_support import PASSWORD

ROUNDS = 15
SMALL = 200
PAGES = (
    "/queue",
    "/queue?status=all&text=charge",
    "/production",
    "/production?after=team-090",
    "/search?q=node-1999",
    f"/nodes/{LAPSED}",
    f"/releases/{CHARGE}@1.1.0",
    f"/changes?old={CHARGE}@1.0.0&new={CHARGE}@1.1.0",
    "/log",
    "/log?before=100",
    "/log?old=3",
    "/log/2",
)


def made(folder: Path, nodes: int) -> Path:
    """A registry with so many nodes: each has a log entry, a checkpoint and rows; all name the same evidence."""
    furnish(folder)
    began = time.perf_counter()
    with Registry.open(folder) as registry:
        first = registry.show(f"{CHARGE}@1.0.0").published
        for start in range(0, nodes, 1000):
            with registry.store.write() as view:
                for number in range(start, min(start + 1000, nodes)):
                    published = replace(first, node=f"team-{number % 100:03}/node-{number:05}")
                    view.add_release(Release.of(registry._append(view, published), published))
            print(f"\r{min(start + 1000, nodes)} of {nodes} nodes entered", end="", file=sys.stderr)
    print(f" in {time.perf_counter() - began:.0f} s", file=sys.stderr)
    return folder


def taken(client: httpx.Client, path: str) -> float:
    """Milliseconds of one request."""
    began = time.perf_counter()
    answer = client.get(path)
    assert answer.status_code == 200, (path, answer.status_code)
    return (time.perf_counter() - began) * 1000


def main() -> None:
    nodes = int(sys.argv[1]) if len(sys.argv) > 1 else 20_000
    with tempfile.TemporaryDirectory() as folder:
        sizes = (SMALL, nodes)
        folders = [made(Path(folder) / str(size), size) for size in sizes]
        with (
            serving(folders[0]) as small,
            serving(folders[1]) as large,
            httpx.Client(base_url=small, timeout=120) as first,
            httpx.Client(base_url=large, timeout=120) as second,
        ):
            for client in (first, second):
                client.post("/login", data={"user": "bo", "password": PASSWORD})
            print(f"milliseconds, median and slowest of {ROUNDS}, with {SMALL} and {nodes} nodes\n")
            print(f"{'page':<58}{'first':>8}{SMALL:>8}{nodes:>8}{'slowest':>9}{'ratio':>7}")
            for path in PAGES:
                cold = taken(second, path)
                pairs = [(taken(first, path), taken(second, path)) for _ in range(ROUNDS)]
                few, many = (statistics.median(side) for side in zip(*pairs, strict=True))
                worst = max(large_ for _, large_ in pairs)
                print(f"{path:<58}{cold:8.1f}{few:8.1f}{many:8.1f}{worst:9.1f}{many / few:7.2f}")


if __name__ == "__main__":
    main()
