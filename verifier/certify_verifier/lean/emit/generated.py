"""Generated files of a package: which they are, what they should be, and whether they are that.

Rules this module keeps:

- a generated file names its specification in its first lines: a path below the package's folder, or a shipped
  specification such as `patterns/retry.ct`;
- a file is current when it is, byte for byte, what its specification gives now.
"""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path
from typing import Final

from certify_spec.diagnostics import Diagnostic, Place, RequestError
from certify_spec.loader import load
from certify_verifier.lean import rules
from certify_verifier.lean.emit.machine import MARK, emit

SHIPPED: Final = ("patterns/retry.ct", "patterns/circuit_breaker.ct", "patterns/bulkhead.ct")
"""The specifications whose machines the shipped theorems speak of."""
FOLDER: Final = "Certify/Machines"
"""Where the files of machines stand in a package."""

_SOURCE: Final = re.compile(re.escape(MARK) + r"([^`\n]+)`")
_HEAD: Final = 2000


def source_of(text: str) -> str:
    """The specification that a generated file names, empty for a file that people wrote."""
    found = _SOURCE.search(text[:_HEAD])
    return found.group(1) if found else ""


def specification_at(source: str, folder: Path) -> Path:
    """Where the specification is that a generated file of a package names."""
    own = folder / source
    return own if own.is_file() else Path(str(files("certify_spec"))) / source


def fresh(source: str, folder: Path) -> str:
    """What a generated file of a package should be.

    Raises:
        RequestError: the specification cannot be read, or has no translation.
    """
    return emit(load(specification_at(source, folder)), source)


def stale(text: str, shown: str, folder: Path) -> Diagnostic | None:
    """What is wrong with a file of a package if it is generated and not current."""
    source = source_of(text)
    if not source:
        return None
    try:
        wanted = fresh(source, folder)
    except RequestError as error:
        because = error.diagnostics[0].message if error.diagnostics else ""
        message = f"`{source}`, which this file is generated from, gives none"
        return Diagnostic(rules.STALE, message, Place(shown, 1, 1), because=because, fix=rules.STALE.advice)
    if text == wanted:
        return None
    lines = zip(text.splitlines(), wanted.splitlines(), strict=False)
    line = next((n for n, (is_, should) in enumerate(lines, 1) if is_ != should), 1)
    message = f"this file is not what `{source}` gives now"
    return Diagnostic(rules.STALE, message, Place(shown, line, 1), fix=rules.STALE.advice)
