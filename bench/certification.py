"""Where the time of a certification goes, replays a second, and a laboratory run against a bare call.

Run: ``python bench/certification.py [node.toml]``, by default on S-1. The references are measured in the same run: the
same function called in this process and in a new Python process for each call, which is what a script without a
laboratory would do.
"""

from __future__ import annotations

import importlib
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from certify import certification
from certify.checks.determinism import BASE, PERTURBATIONS
from certify.evidence.verdict import CheckResult, name
from certify.laboratory.laboratory import Laboratory
from certify.laboratory.record import Delivery, Observe, Plan
from certify.policy.policies import load_policies
from certify.subject import NodeFolder, read_subject

EXAMPLE = Path(__file__).parents[1] / "examples" / "webhook" / "node.toml"
CALLS = 2_000
RUNS = 40
STARTS = 4


def publish(manifest: Path) -> None:
    """The command itself, as a user has it, into a new registry."""
    with tempfile.TemporaryDirectory() as folder:
        command = [
            str(Path(sys.executable).with_name("certify")),
            "publish",
            str(manifest.resolve()),
            "--registry",
            "registry",
        ]
        environment = os.environ | {"CERTIFY_HOME": f"{folder}/keys"}
        start = time.perf_counter()
        ended = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
        seconds = time.perf_counter() - start
    print(f"certify publish: exit status {ended.returncode}, {seconds:.1f} s on {os.cpu_count()} processors")


def by_check(manifest: Path) -> None:
    """The checks' shares of the time; checks that run side by side have more than all of it together."""
    results: list[CheckResult] = []
    began: dict[str, float] = {}
    busy: list[tuple[float, float]] = []

    class Collecting(certification.Silence):
        def began(self, check: str) -> None:
            began[check] = time.perf_counter()

        def ended(self, result: CheckResult) -> None:
            results.append(result)
            busy.append((began[result.check], began[result.check] + result.seconds))

    found = certification.certify(manifest, certification.Settings(load_policies()), Collecting())
    print(f"\n{'check':16}{'verdict':16}{'seconds':>8}{'share':>8}")
    for result in results:
        share = result.seconds / found.seconds
        print(f"{result.check:16}{name(result.verdict):16}{result.seconds:8.2f}{share:8.0%}  {'#' * round(40 * share)}")
    rest = found.seconds - covered(busy)
    print(f"{'the rest':16}{'':16}{rest:8.2f}{rest / found.seconds:8.0%}")
    print(f"{found.runs} runs in {found.seconds:.1f} s: {found.runs / found.seconds:.1f} a second, starts included")


def covered(spans: list[tuple[float, float]]) -> float:
    """Seconds in which any of the spans lies: checks may run side by side."""
    total, until = 0.0, 0.0
    for start, end in sorted(spans):
        total += max(0.0, end - max(start, until))
        until = max(until, end)
    return total


def seconds_each(work: Callable[[], object], times: int) -> float:
    """The median time of one."""
    samples = []
    for _ in range(times):
        start = time.perf_counter()
        work()
        samples.append(time.perf_counter() - start)
    return statistics.median(samples)


def bare(folder: NodeFolder, text: bytes, schema: Any) -> tuple[float, float]:
    """Seconds of one call in this process, and of one in a new process."""
    entry, _, function = folder.subject.manifest.node.entry.partition(":")
    sys.path.insert(0, str(folder.subject.root))
    called: Callable[..., Any] = getattr(importlib.import_module(entry), function)
    import typing

    (parameter,) = schema.parameters
    adapter: TypeAdapter[Any] = TypeAdapter(typing.get_type_hints(called)[parameter])
    here = seconds_each(lambda: called(adapter.validate_json(text)), CALLS)
    program = (
        "import sys, typing, importlib, pydantic; sys.path.insert(0, sys.argv[1]);"
        f"f = getattr(importlib.import_module({entry!r}), {function!r});"
        f"f(pydantic.TypeAdapter(typing.get_type_hints(f)[{parameter!r}]).validate_json(sys.stdin.buffer.read()))"
    )
    command = [sys.executable, "-B", "-c", program, str(folder.subject.root)]
    return here, seconds_each(lambda: subprocess.run(command, input=text, check=True), STARTS)


def laboratory(manifest: Path) -> None:
    """Runs of the first fixture, in different ways."""
    folder = read_subject(manifest)
    text = next(iter(folder.inputs.values()))
    plan = Plan((Delivery(text),))
    rows: list[tuple[str, float]] = []
    with Laboratory(folder.subject, rehearsal=folder.rehearsal) as laboratory:
        start = time.perf_counter()
        signature = laboratory.signature()
        rows.append(("a laboratory's first run, with its sandbox", time.perf_counter() - start))
        rows.append(("a run in the same surroundings", seconds_each(lambda: laboratory.run(plan), RUNS)))
        lines = Plan((Delivery(text),), observe=Observe.LINES)
        rows.append(("a run watched line by line", seconds_each(lambda: laboratory.run(lines), RUNS // 4)))
        unusual = iter([environment for _, environment in PERTURBATIONS if environment.hash_seed != BASE.hash_seed])
        rows.append(
            (
                "a run that needs another sandbox",
                seconds_each(lambda: laboratory.run(Plan((Delivery(text),), next(unusual))), STARTS),
            )
        )
        list(laboratory.run_all([plan] * 8))
        start = time.perf_counter()
        list(laboratory.run_all([plan] * RUNS))
        rate = RUNS / (time.perf_counter() - start)
    if signature.context is None and len(signature.parameters) == 1 and not signature.is_async:
        here, process = bare(folder, text, signature)
        rows += [("a call in this process, input read by its type", here), ("a call in a new Python process", process)]
        reference, what = here, "of a bare call"
    else:
        reference, what = rows[1][1], "of a run"
    print(f"\n{'':50}{'ms':>10}{what:>18}")
    for label, seconds in rows:
        print(f"{label:50}{1000 * seconds:10.3f}{seconds / reference:17,.1f}x")
    print(f"{rate:.0f} replays a second, {os.cpu_count()} at a time")


def main() -> None:
    manifest = Path(sys.argv[1]) if len(sys.argv) > 1 else EXAMPLE
    publish(manifest)
    by_check(manifest)
    laboratory(manifest)


if __name__ == "__main__":
    main()
