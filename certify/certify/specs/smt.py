"""Every obligation as a file of its own, for any solver that reads SMT-LIB 2.

Rules this module keeps:

- a file's name tells machine, property and action, and has no character that a file system or a shell minds;
- the index lists every file with its digest and what was answered in this run.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence

from certify.specs.engine import Verified


def files(machines: Sequence[Verified]) -> Mapping[str, str]:
    """Texts by path, relative to a folder: one per obligation, and ``index.json``."""
    found: dict[str, str] = {}
    index: list[dict[str, object]] = []
    folders: set[str] = set()
    for machine in machines:
        folder = _free(_safe(machine.specification.name), folders)
        for number, (digest, obligation) in enumerate(machine.obligations.items(), 1):
            parts = (f"{number:03}", obligation.claim, obligation.purpose.name.lower(), obligation.action)
            path = f"{folder}/{'-'.join(_safe(part) for part in parts if part)}.smt2"
            found[path] = obligation.to_smt()
            answers = dict(machine.answers.get(digest, {}))
            index.append(
                {
                    "file": path,
                    "specification": machine.file,
                    "property": obligation.claim,
                    "title": obligation.title,
                    "digest": digest,
                    "answers": answers,
                }
            )
    found["index.json"] = json.dumps(index, indent=2, ensure_ascii=False) + "\n"
    return found


def _safe(part: str) -> str:
    return re.sub(r"[^A-Za-z0-9_]+", "_", part)[:60]


def _free(name: str, taken: set[str]) -> str:
    number, chosen = 1, name
    while chosen.lower() in taken:
        number += 1
        chosen = f"{name}_{number}"
    taken.add(chosen.lower())
    return chosen
