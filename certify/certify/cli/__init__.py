"""The command line. Start-up is kept short: each command imports what it needs when it runs.

Exit status: 0 all held, 1 something was refuted or refused, 2 the request was wrong, 3 undecided.
"""

from __future__ import annotations

import atexit
import gc
import os
import sys
from collections.abc import Sequence
from typing import Final, NoReturn

#: Objects after which the collection of garbage begins: almost all that a command imports and makes is kept to its end.
_COLLECTED_AFTER: Final = 50_000


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run one command and exit with its status."""
    gc.set_threshold(_COLLECTED_AFTER, *gc.get_threshold()[1:])
    from certify.cli.app import run

    _exit(run(list(sys.argv[1:] if arguments is None else arguments)))


def _exit(status: int) -> NoReturn:
    """End the process as `sys.exit` would, but leave its memory to the kernel: to take it apart takes half a second."""
    atexit._run_exitfuncs()
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except OSError:
        sys.exit(status)  # whoever read it is gone: the interpreter knows what to say of that
    os._exit(status)


__all__ = ["main"]
