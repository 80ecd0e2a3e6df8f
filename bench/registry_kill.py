"""Kill the service at random moments under load, and compare what was acknowledged with what is there.

Run: ``python bench/registry_kill.py [--kills 200] [--seed 1] [--folder FOLDER]``. After each kill: every acknowledged
release has the entry of its receipt, every acknowledged change of a draft is there, and the log verifies from the raw
storage.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))


def main() -> int:
    """Run the campaign; 1 if anything was lost or does not verify."""
    from service_killing import Tally, campaign
    from service_support import inhabit

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--folder", type=Path)
    arguments = parser.parse_args()

    def told(tally: Tally) -> None:
        if sys.stderr.isatty():
            print(f"\r{tally.kills} kills, {tally.releases} releases", end="", file=sys.stderr)

    with tempfile.TemporaryDirectory(dir=arguments.folder) as place:
        began = time.perf_counter()
        tally = campaign(inhabit(Path(place) / "registry"), arguments.kills, seed=arguments.seed, told=told)
        took = time.perf_counter() - began
    print(f"{tally.kills} kills in {took:.0f} s: {tally.releases} releases and {tally.changes} changes of drafts")
    print("acknowledged, all of them there, and the log verified after each kill" if not tally.wrong else "WRONG:")
    for line in tally.wrong:
        print(line)
    return 1 if tally.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
