"""Verified machines as one JSON document."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from certify.specs.engine import Verified


def document(machines: Sequence[Verified], status: int, written: Sequence[str]) -> dict[str, Any]:
    """The document: the exit status, each specification with its findings, and the files that were written."""
    return {"status": status, "specifications": [_machine(machine) for machine in machines], "written": list(written)}


def _machine(verified: Verified) -> dict[str, Any]:
    return {
        "name": verified.specification.name,
        "file": verified.file,
        "doc": verified.specification.doc,
        "seconds": verified.seconds,
        "verdicts": dict(sorted(Counter(explained.verdict for explained in verified.explained).items())),
        "findings": [explained.to_data() for explained in verified.explained],
        "obligations": [
            {
                "digest": digest,
                "property": obligation.claim,
                "title": obligation.title,
                "answers": dict(verified.answers.get(digest, {})),
            }
            for digest, obligation in verified.obligations.items()
        ],
        "trouble": verified.trouble.to_data() if verified.trouble else None,
    }
