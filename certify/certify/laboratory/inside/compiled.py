"""The node's own modules, compiled before deliveries are forked: what is the same for all of them is done once.

Data classes write the text of their methods when they are defined, and compile it each time: a third of what importing
a node of ten of them takes. Those texts are told by the first delivery and compiled here, too.

Rules this module keeps:

- nothing of the node is run here, and what is compiled is what stands in its files, or a text that is used for an equal
  text alone: a process of its own, with limits, does it and hands over the bytes;
- what cannot be compiled there is compiled by each delivery, which fails over it as any process would.
"""

from __future__ import annotations

import builtins
import contextlib
import dataclasses
import marshal
import os
import resource
from collections.abc import Iterable, Mapping
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import CodeType
from typing import Any, Final

_CPU_SECONDS: Final = 5
_MEMORY_BYTES: Final = 2**30

_MOST_TEXTS: Final = 1_000
_LONGEST_TEXTS: Final = 2**18


@dataclasses.dataclass(frozen=True, slots=True)
class Codes:
    """Code by the path of its file, and by its text."""

    files: Mapping[str, CodeType] = dataclasses.field(default_factory=dict)
    texts: Mapping[str, CodeType] = dataclasses.field(default_factory=dict)


def read(folder: Path, texts: Iterable[str] = ()) -> Codes:
    """The code of each Python file below a folder, and of these texts; none when it takes too much to compile them."""
    kept = os.memfd_create("compiled")
    pid = os.fork()
    if pid == 0:
        status = 1
        with contextlib.suppress(BaseException):
            resource.setrlimit(resource.RLIMIT_CPU, (_CPU_SECONDS, _CPU_SECONDS))
            resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))
            with os.fdopen(kept, "wb") as file:
                marshal.dump((_compile_files(folder), _compile_texts(texts)), file)
            status = 0
        os._exit(status)
    _pid, status = os.waitpid(pid, 0)
    with os.fdopen(kept, "rb") as file:
        file.seek(0)
        return Codes(*marshal.load(file)) if status == 0 else Codes()  # noqa: S302 - written by the process above


def _compile_files(folder: Path) -> dict[str, CodeType]:
    codes: dict[str, CodeType] = {}
    for path in sorted(folder.rglob("*.py")):
        with contextlib.suppress(SyntaxError, ValueError, OSError, MemoryError, RecursionError):
            codes[str(path)] = compile(path.read_bytes(), str(path), "exec", dont_inherit=True)
    return codes


def _compile_texts(texts: Iterable[str]) -> dict[str, CodeType]:
    codes: dict[str, CodeType] = {}
    for text in texts:
        with contextlib.suppress(SyntaxError, ValueError, MemoryError, RecursionError):
            codes[text] = compile(text, "<string>", "exec", dont_inherit=True)
    return codes


def use(codes: Codes) -> list[str]:
    """Have imports, and the definition of data classes, take their code from here; gives the texts that it lacked.

    Those of data classes in these files, that is; the list grows as more are met, up to a limit.
    """
    usual, files, texts = SourceFileLoader.get_code, codes.files, codes.texts
    lacking: list[str] = []
    room = _LONGEST_TEXTS

    def get_code(loader: SourceFileLoader, fullname: str) -> CodeType | None:
        return files.get(loader.get_filename(fullname)) or usual(loader, fullname)

    def execute(source: str | CodeType, spaces: dict[str, Any], names: Mapping[str, object]) -> None:
        nonlocal room
        known = texts.get(source) if isinstance(source, str) else None
        if known is None and isinstance(source, str) and spaces.get("__file__") in files:
            room -= len(source)
            if room >= 0 and len(lacking) < _MOST_TEXTS:
                lacking.append(source)
        builtins.exec(known or source, spaces, names)  # noqa: S102 - as `dataclasses` would

    SourceFileLoader.get_code = get_code  # type: ignore[assignment, method-assign]
    vars(dataclasses)["exec"] = execute
    return lacking
