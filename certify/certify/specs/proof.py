"""The proof of a specification as something that can be named: a digest of every claim and of what it rests on.

Rules this module keeps:

- there is a proof only if everything that the specification claims is proved without reservation;
- the digest depends on the claims and their obligations, not on who answered or how long it took.
"""

from __future__ import annotations

import json

from blake3 import blake3

from certify.specs.engine import Verified
from certify.specs.explain import Standing


def proof_digest(machine: Verified) -> str | None:
    """The digest of a specification's proof; None if something in it is not proved."""
    if machine.trouble is not None or any(each.standing is not Standing.HELD for each in machine.explained):
        return None
    claims = sorted(
        [each.finding.kind, each.finding.name, each.verdict, sorted(each.finding.obligations)]
        for each in machine.explained
    )
    return f"blake3:{blake3(json.dumps(claims, separators=(',', ':')).encode()).hexdigest()}"
