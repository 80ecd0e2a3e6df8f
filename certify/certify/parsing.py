"""One thread at a time in Python's own parser.

CPython 3.11 keeps the depth of the tree that it makes in one place for all threads. Of two that parse at once, one may
end in "SystemError: AST constructor recursion depth mismatch", though nothing is wrong with its text.
"""

from __future__ import annotations

import ast
import contextlib
import threading
from collections.abc import Iterator
from typing import Any

_usual: Any = ast.parse
_parser = threading.RLock()
_count = threading.Lock()
_wanted = 0


def _parse(*arguments: Any, **named: Any) -> Any:
    with _parser:
        return _usual(*arguments, **named)


@contextlib.contextmanager
def in_turn() -> Iterator[None]:
    """Until this ends, whoever calls `ast.parse` in this process waits for its turn: libraries do so as well."""
    global _wanted
    with _count:
        _wanted += 1
        vars(ast)["parse"] = _parse
    try:
        yield
    finally:
        with _count:
            _wanted -= 1
            if not _wanted:
                vars(ast)["parse"] = _usual
