"""The shipped bulkhead on three checkers over ever more callers: a proof, a breadth-first search, Quint's simulator.

Run: ``python bench/verifier_peers.py [--svg FILE]``. What each shows differs, and the table says so: ``certify verify``
proves every property of the specification for any number of callers, any capacity and any queue; the search visits
every state for these callers, half as many permits and half as many places in the queue; the simulator samples runs of
the same model and guarantees nothing. Seconds are of the processor, all processes together, in one run of this script,
so that other load on the machine does not count.

Quint is installed in any folder with ``npm install @informalsystems/quint@0.33.0 antlr4ts@0.5.0-alpha.4``; `--quint` or
the variable ``QUINT`` names the folder. Without it that column is empty, and the table says why.
"""

from __future__ import annotations

import argparse
import math
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from certify_spec.loader import shipped

HERE = Path(__file__).resolve().parent
CALLERS = (2, 4, 6, 8)
SAMPLES, STEPS = 300, 20
PATIENCE = 20.0
"""Seconds of the processor after which a search is given up."""

State = tuple[tuple[str, ...], tuple[int, ...]]


@dataclass(frozen=True)
class Row:
    """What one number of callers costs on each checker; None where it was not finished, or not asked."""

    callers: int
    states: int
    searched: float | None
    sampled: float | None


def successors(state: State) -> Iterator[State]:
    """Every state one step on: the actions of `bulkhead.ct`, with the queue as it stands for its tickets."""
    stages, queue = state
    half = len(stages) // 2
    free = half - sum(stage in ("granted", "running", "abandoned") for stage in stages)

    def to(caller: int, stage: str, waiting: tuple[int, ...] = queue) -> State:
        return (*stages[:caller], stage, *stages[caller + 1 :]), waiting

    if queue and free > 0:
        yield to(queue[0], "granted", queue[1:])
    for caller, stage in enumerate(stages):
        match stage:
            case "outside":
                if free > 0 and not queue:
                    yield to(caller, "running")
                elif len(queue) < half:
                    yield to(caller, "queued", (*queue, caller))
            case "queued":
                yield to(caller, "outside", tuple(c for c in queue if c != caller))
            case "granted":
                yield to(caller, "running")
                yield to(caller, "outside")
            case "running":
                yield to(caller, "outside")
                yield to(caller, "abandoned")
            case _:
                yield to(caller, "outside")


def safe(state: State) -> bool:
    """What both peers are asked: permits are conserved, and who waits is in the queue."""
    stages, queue = state
    held = sum(stage in ("granted", "running", "abandoned") for stage in stages)
    waiting = {caller for caller, stage in enumerate(stages) if stage == "queued"}
    return max(held, len(queue)) <= len(stages) // 2 and waiting == set(queue)


def search(callers: int) -> tuple[int, float | None]:
    """A breadth-first search of every state: how many there are, and the seconds it takes."""
    begin = time.process_time()
    start: State = (("outside",) * callers, ())
    seen, level = {start}, [start]
    while level:
        following = []
        for state in level:
            assert safe(state)
            for after in successors(state):
                if after not in seen:
                    seen.add(after)
                    following.append(after)
            if time.process_time() - begin > PATIENCE:
                return len(seen), None
        level = following
    return len(seen), time.process_time() - begin


def spent(command: list[str], folder: Path) -> float:
    """The seconds that a command and all its processes take of the processor."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=900)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def prove() -> float:
    """The seconds of a proof from nothing, start of the command included."""
    bulkhead = next(path for path in shipped() if path.stem == "bulkhead")
    certify = [sys.executable, "-m", "certify.cli"]
    return spent([*certify, "verify", str(bulkhead), "--no-cache", "--jobs", "2"], HERE)


def quint(folder: str) -> list[str]:
    """How to call Quint's simulator; empty if it is not there."""
    script = Path(folder) / "node_modules/.bin/quint"
    node = shutil.which("node")
    return [node, str(script.resolve())] if folder and node and script.exists() else []


def sample(command: list[str], callers: int) -> float:
    """The seconds of the simulator for some hundred runs."""
    model = (HERE / "peers/bulkhead.qnt").read_text(encoding="utf-8")
    model = model.replace("0.to(1)", f"0.to({callers - 1})").replace("= 1\n", f"= {callers // 2}\n")
    with tempfile.TemporaryDirectory() as made:
        (Path(made) / "bulkhead.qnt").write_text(model, encoding="utf-8")
        asked = [f"--max-samples={SAMPLES}", f"--max-steps={STEPS}", "--invariant=safe", "--backend=typescript"]
        return spent([*command, "run", "bulkhead.qnt", *asked], Path(made))


def told(seconds: float | None, proof: float, otherwise: str) -> str:
    """Seconds, and how many times those of the proof."""
    return otherwise if seconds is None else f"{seconds:9.2f} s {seconds / proof:8.2f} x"


def plot(rows: list[Row], proof: float) -> str:
    """The table as a picture: seconds over callers, on a logarithmic scale."""
    width, height, left, bottom = 640, 360, 70, 300
    series = {
        "#0b6e4f": ("certify verify: proved for any number", [(row.callers, proof) for row in rows]),
        "#b3541e": ("breadth-first search: these callers only", [(r.callers, r.searched) for r in rows if r.searched]),
        "#5a4fcf": (
            f"Quint, {SAMPLES} sampled runs: no guarantee",
            [(r.callers, r.sampled) for r in rows if r.sampled],
        ),
    }
    low, high = -3, 2
    x = {row.callers: left + position * (width - left - 40) / (len(rows) - 1) for position, row in enumerate(rows)}

    def y(seconds: float) -> float:
        return bottom - (math.log10(max(seconds, 10**low)) - low) * (bottom - 30) / (high - low)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height + 40}"',
        '  font-family="sans-serif" font-size="12">',
        "<title>Seconds of the processor to check a bulkhead, over the number of callers</title>",
        f'<rect width="{width}" height="{height + 40}" fill="#ffffff"/>',
    ]
    for power in range(low, high + 1):
        at = y(10**power)
        parts.append(f'<line x1="{left}" x2="{width - 20}" y1="{at:.1f}" y2="{at:.1f}" stroke="#dddddd"/>')
        parts.append(f'<text x="{left - 8}" y="{at + 4:.1f}" text-anchor="end">{10.0**power:g} s</text>')
    parts += [f'<text x="{at:.1f}" y="{bottom + 18}" text-anchor="middle">{n}</text>' for n, at in x.items()]
    parts.append(f'<text x="{width / 2}" y="{bottom + 36}" text-anchor="middle">callers</text>')
    for number, (colour, (name, points)) in enumerate(series.items()):
        path = " ".join(f"{x[n]:.1f},{y(seconds):.1f}" for n, seconds in points if seconds is not None)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        at = bottom + 56 + number * 16
        parts.append(f'<rect x="{left}" y="{at - 9}" width="14" height="4" fill="{colour}"/>')
        parts.append(f'<text x="{left + 22}" y="{at - 3}">{name}</text>')
    return "\n".join([*parts, "</svg>", ""])


def main() -> None:
    """Measure, print the table, and draw it if a file is named."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--svg", type=Path)
    options.add_argument("--quint", default=os.environ.get("QUINT", ""), help="the folder in which Quint is installed")
    asked = options.parse_args()
    command = quint(asked.quint)
    proof = prove()
    print(
        f"certify verify bulkhead.ct: {proof:.2f} s; every property, any callers, capacity and queue, unbounded runs\n"
    )
    print("callers   states      breadth-first search        Quint's simulator")
    print(f"                      every state, bounded        {SAMPLES} runs of {STEPS} steps, no guarantee")
    rows = []
    for callers in CALLERS:
        states, searched = search(callers)
        sampled = sample(command, callers) if command else None
        rows.append(Row(callers, states, searched, sampled))
        left = told(searched, proof, f"unfinished after {PATIENCE:g} s")
        print(f"{callers:7} {states:8}   {left:24}    {told(sampled, proof, 'not run')}", flush=True)
    print("\nx: times the proof's seconds, in this run.")
    if not command:
        print("Quint was not run: it is not installed; see the head of this file.")
    if asked.svg:
        asked.svg.write_text(plot(rows, proof), encoding="utf-8")


if __name__ == "__main__":
    main()
