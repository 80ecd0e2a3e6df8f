"""The command line. Start-up is kept short: each command imports what it needs when it runs.

Exit status: 0 all held, 1 something was refuted or refused, 2 the request was wrong, 3 undecided.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Sequence
from typing import Final

#: Objects after which the collection of garbage begins: almost all that a command imports and makes is kept to its end.
_COLLECTED_AFTER: Final = 50_000


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command and exit with its status."""
    gc.set_threshold(_COLLECTED_AFTER, *gc.get_threshold()[1:])
    from certify.cli.app import run

    sys.exit(run(list(sys.argv[1:] if arguments is None else arguments)))


__all__ = ["main"]
