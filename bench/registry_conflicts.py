"""10,000 conflicting edits of one item by 100 editors at once: each that was acknowledged is in it, once.

Run: ``python bench/registry_conflicts.py [--editors 100] [--edits 100]``, on SQLite and PostgreSQL. Each edit looks at
the item and swaps it by version; a conflict is tried again three times, with pauses that double; then the editor is
told, and gives up.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))


def main() -> int:
    """Print what came of it; 1 if an update was lost."""
    import postgres_support
    from certify.registry.places import Storage
    from certify.registry.registry import Registry
    from service_editing import edit

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--editors", type=int, default=100)
    parser.add_argument("--edits", type=int, default=100)
    arguments = parser.parse_args()
    lost = False
    heads = ("store", "edits", "acknowledged", "in the item", "given up", "conflicts", "s")
    print("{:<10} {:>6} {:>13} {:>12} {:>9} {:>10} {:>6}".format(*heads))
    with tempfile.TemporaryDirectory() as place, postgres_support.server(durable=True) as address:
        for store, database in (("sqlite", ""), ("postgres", address)):
            folder = Path(place) / store
            Registry.create(folder, storage=Storage(database)).close()
            began = time.perf_counter()
            tally = asyncio.run(edit(folder, editors=arguments.editors, edits=arguments.edits))
            took = time.perf_counter() - began
            lost = lost or tally["found"] != tally["acknowledged"]
            counts = (tally["acknowledged"], tally["found"], tally["given up"], tally["conflicts"])
            row = (store, arguments.editors * arguments.edits, *counts, took)
            print("{:<10} {:>6} {:>13} {:>12} {:>9} {:>10} {:>6.1f}".format(*row), flush=True)
    print("AN UPDATE WAS LOST" if lost else "no update was lost, and none was counted twice")
    return 1 if lost else 0


if __name__ == "__main__":
    sys.exit(main())
