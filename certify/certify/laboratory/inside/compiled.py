"""The node's own modules, compiled before deliveries are forked: what is the same for all of them is done once.

Rules this module keeps:

- nothing of the node is run here, and what is compiled is what stands in its files: a process of its own, with limits,
  does it and hands over the bytes;
- a file that cannot be compiled there is compiled by each delivery, which fails over it as any process would.
"""

from __future__ import annotations

import contextlib
import marshal
import os
import resource
from collections.abc import Mapping
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import CodeType
from typing import Final

_CPU_SECONDS: Final = 5
_MEMORY_BYTES: Final = 2**30

Codes = Mapping[str, CodeType]


def read(folder: Path) -> Codes:
    """The code of each Python file below a folder, by path; none when it takes too much to compile them."""
    kept = os.memfd_create("compiled")
    pid = os.fork()
    if pid == 0:
        status = 1
        with contextlib.suppress(BaseException):
            resource.setrlimit(resource.RLIMIT_CPU, (_CPU_SECONDS, _CPU_SECONDS))
            resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))
            with os.fdopen(kept, "wb") as file:
                marshal.dump(_compile(folder), file)
            status = 0
        os._exit(status)
    _pid, status = os.waitpid(pid, 0)
    with os.fdopen(kept, "rb") as file:
        file.seek(0)
        return marshal.load(file) if status == 0 else {}  # noqa: S302 - written by the process above


def _compile(folder: Path) -> dict[str, CodeType]:
    codes: dict[str, CodeType] = {}
    for path in sorted(folder.rglob("*.py")):
        with contextlib.suppress(SyntaxError, ValueError, OSError, MemoryError, RecursionError):
            codes[str(path)] = compile(path.read_bytes(), str(path), "exec", dont_inherit=True)
    return codes


def use(codes: Codes) -> None:
    """Have imports take the code of these files from here."""
    usual = SourceFileLoader.get_code

    def get_code(loader: SourceFileLoader, fullname: str) -> CodeType | None:
        return codes.get(loader.get_filename(fullname)) or usual(loader, fullname)

    SourceFileLoader.get_code = get_code  # type: ignore[assignment, method-assign]
