"""The fault campaign against the generated code: every scenario with its verdict, in sync and in async code.

Run as ``python bench/fault_campaign.py [ADAPTER]``; it prints a table of all scenarios, and a trace of whatever is
violated. Faults strike journeys through each pattern at every place; the number of runs says at how many.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from pathlib import Path

from certify.conformance import view
from certify.conformance.running import Report, examine
from certify.conformance.verdicts import MODES, Satisfied, Undecided, Violated, word

HERE = Path(__file__).resolve().parent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("adapter", nargs="?", type=Path, default=HERE / "peers" / "generated.py")
    report = examine(parser.parse_args().adapter, catalogue="faults", limit=300.0)
    table(report)
    told = Counter(word(result.verdict) for result in report.results)
    names = {result.scenario for result in report.results if not word(result.verdict).startswith("not")}
    runs = sum(result.verdict.runs for result in report.results if isinstance(result.verdict, Satisfied))
    print(f"\n{len(names)} scenarios, {runs} runs: {', '.join(f'{n} {verdict}' for verdict, n in told.items())}")
    sys.exit(bool(told["violated"] or told["undecided"]))


def table(report: Report) -> None:
    """One line for each scenario, and the steps of each violation."""
    verdicts = {(result.property, result.scenario, result.mode): result.verdict for result in report.results}
    scenarios = list(dict.fromkeys((result.property, result.scenario) for result in report.results))
    width = max(len(name) for _, name in scenarios)
    print(f"{'':4} {'scenario':<{width}} {'sync':>5} {'async':>6} {'runs':>6}")
    for number, name in scenarios:
        found = [verdicts.get((number, name, mode)) for mode in MODES]
        marks = [view.MARKS[word(verdict)] if verdict is not None else " " for verdict in found]
        runs = sum(verdict.runs for verdict in found if isinstance(verdict, Satisfied))
        print(f"{number:4} {name:<{width}} {marks[0]:>5} {marks[1]:>6} {runs:>6}")
        for verdict in found:
            if isinstance(verdict, Violated):
                print(f"       {verdict.sentence}")
                for line in view.trace_lines(verdict):
                    print(f"         {line}")
            elif isinstance(verdict, Undecided):
                print(f"       undecided: {verdict.reason}")


if __name__ == "__main__":
    main()
