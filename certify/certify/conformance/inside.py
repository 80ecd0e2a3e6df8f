"""The child process: imports an adapter under a controlled clock, runs scenarios, writes a line of JSON for each.

Run as ``python -m certify.conformance.inside CATALOGUE ADAPTER MODE FIRST EVERY [PROPERTY…]``; standard output belongs
to the kit, what the code under test prints goes to standard error.
"""

from __future__ import annotations

import gc
import json
import os
import sys
from pathlib import Path
from typing import Any

from certify.conformance import clock as clocks
from certify.conformance import threads


def main(arguments: list[str]) -> None:
    """Run the scenarios of a mode from a number on, of some properties or all, and write what each said."""
    catalogue, path, mode, first, every, *wanted = arguments
    lines = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8", buffering=1)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())

    def write(**data: Any) -> None:
        lines.write(json.dumps(data) + "\n")
        lines.flush()

    import asyncio  # noqa: F401  # before time is replaced: its own modules keep the real one
    import concurrent.futures  # noqa: F401

    clock = clocks.Clock()
    clocks.install(clock)
    threads.install(clock)

    from certify.conformance import adapters
    from certify.conformance.catalogue import CATALOGUES
    from certify.conformance.judging import Bench, judge
    from certify.conformance.verdicts import Result

    try:
        adapter = adapters.load(Path(path))
    except adapters.AdapterError as error:
        write(error=str(error), line=error.line)
        return
    write(modes=list(adapter.modes), patterns=list(adapter.patterns), version=adapter.version)
    if mode not in adapter.modes:
        return
    gc.disable()
    for number, scenario in enumerate(CATALOGUES[catalogue]):
        if number < int(first) or (wanted and scenario.property not in wanted):
            continue
        write(begins=number)
        bench = Bench(adapter, clock, mode, int(every))
        verdict = judge(scenario, bench)
        write(result=Result(scenario.property, scenario.name, mode, verdict).to_data())
        gc.collect()
    write(done=True)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    finally:
        sys.stderr.flush()
        os._exit(0)  # threads of the code under test may still wait
