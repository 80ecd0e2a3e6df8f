"""Which of P1 to P12 other people's libraries keep: every adapter in `bench/peers`.

Run as ``python bench/conformance_peers.py``; it prints the table and a shortest trace for each violation. With
``--write`` the table goes into `docs/conformance.md`, with the date. The libraries come with ``pip install .[peers]``;
those that are missing are left out.
"""

from __future__ import annotations

import argparse
import datetime as dt
import importlib.metadata
import importlib.util
import platform
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from certify.conformance import view
from certify.conformance.running import Report, examine
from certify.conformance.verdicts import PROPERTIES, Violated

HERE = Path(__file__).resolve().parent
PAGE = HERE.parent / "docs" / "conformance.md"
#: Adapters, and the distributions that they need.
PEERS = {
    "interlock": "interlock-cb",
    "pyresilience": "pyresilience",
    "redress": "redress",
    "fluxgate": "fluxgate",
    "hyx": "hyx",
    "tenacity": "tenacity",
    "stamina": "stamina",
    "backoff": "backoff",
    "pybreaker": "pybreaker",
    "circuitbreaker": "circuitbreaker",
    "purgatory": "purgatory",
    "aiobreaker": "aiobreaker",
}


def installed() -> dict[str, str]:
    """The peers that are installed, with their versions."""
    found = {}
    for name, distribution in PEERS.items():
        try:
            found[name] = f"{distribution} {importlib.metadata.version(distribution)}"
        except importlib.metadata.PackageNotFoundError:
            print(f"{distribution} is not installed, and left out")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="put the table into docs/conformance.md")
    parser.add_argument("--only", nargs="*", help="these adapters alone")
    options = parser.parse_args()
    known = {name: title for name, title in installed().items() if not options.only or name in options.only}
    subjects = {title: HERE / "peers" / f"with_{name}.py" for name, title in known.items()}
    if not options.only:
        ours = {"generated code": "generated.py", "written by hand": "handwritten.py"}
        subjects = {
            title: HERE / "peers" / file for title, file in ours.items() if (HERE / "peers" / file).is_file()
        } | subjects
    with ThreadPoolExecutor(2) as pool:
        reports = list(zip(subjects, pool.map(lambda path: examine(path, limit=300.0), subjects.values()), strict=True))
    table = view.matrix(reports)
    print(table)
    for title, report in reports:
        show(title, report)
    if options.write:
        write(table)


def show(title: str, report: Report) -> None:
    """The shortest trace of each violation, and what is undecided."""
    for result, mode in view.violations(report):
        assert isinstance(result.verdict, Violated)
        print(f"\n{title}: {result.property} {PROPERTIES[result.property]}, {mode}: {result.verdict.sentence}")
        print(f"  {result.scenario}")
        for line in view.trace_lines(result.verdict):
            print(f"    {line}")
    for result in view.undecided(report):
        print(f"\n{title}: {result.property}, {result.mode}: {result.scenario}: undecided: {result.verdict.reason}")  # type: ignore[union-attr]


def write(table: str) -> None:
    """Put the table between its marks in the page."""
    today = dt.datetime.now(dt.UTC).date()
    told = f"<!-- peers -->\nMeasured on {today} with CPython {platform.python_version()}.\n\n{table}<!-- /peers -->"
    text = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(re.sub(r"<!-- peers -->.*<!-- /peers -->", lambda _: told, text, flags=re.DOTALL), encoding="utf-8")
    print(f"written to {PAGE.relative_to(HERE.parent)}")


if __name__ == "__main__":
    main()
