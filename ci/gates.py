"""Gates over the tree: what it must contain, and what it must not say.

Prints every breach as ``file:line: what`` and exits with 1 if there is one.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
REQUIRED: Final = (
    "spec", "verifier", "codegen", "certify", "lean", "tests", "ci", "examples", "docs", "bench",
    "README.md", "ARCHITECTURE.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "LICENSE", "Makefile",
    "pyproject.toml",
)  # fmt: skip
#: What no file may say: paths of a machine, hosts of package registries, unfinished work.
FORBIDDEN: Final = {
    "a machine's path": re.compile(r"/(?:home|Users)/[a-z]+/|/ro(?:ot)/|/wo(?:rk)/(?:main|shared)"),
    "a package registry's host": re.compile(
        r"\b(?:" + "|".join(("pypi", "registry" + r"\.npmjs", "deb" + r"\.debian")) + r")\.org\b"
    ),
    "a marker of unfinished work": re.compile(r"\b(?:TO" + "DO|FIX" + "ME|XX" + r"X)\b"),
}
TEXT: Final = frozenset(
    ["", ".cedar", ".css", ".ct", ".j2", ".json", ".lark", ".lean", ".md", ".py", ".sql", ".toml", ".yaml", ".yml"]
)
LEFT_OVER: Final = frozenset([".orig", ".rej", ".bak", ".pyc"])
#: The most lines that a module may have before it must be more than one thing; tables of data are the longest.
LONGEST: Final = 1200


def tracked() -> list[Path]:
    """Files that git tracks."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True)
    return [ROOT / name for name in listed.stdout.decode().split("\0") if name and (ROOT / name).is_file()]


def breaches(files: list[Path]) -> Iterator[str]:
    """Every breach, as a line."""
    yield from (f"{name}: missing" for name in REQUIRED if not (ROOT / name).exists())
    yield from (f"{file.relative_to(ROOT)}: left over by a tool" for file in files if file.suffix in LEFT_OVER)
    for file in files:
        if file.suffix not in TEXT or file.name == "LICENSE":
            continue
        lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
        name = file.relative_to(ROOT)
        if file.suffix == ".py" and len(lines) > LONGEST and "tests" not in name.parts:
            yield f"{name}: {len(lines)} lines, the most is {LONGEST}"
        for number, line in enumerate(lines, 1):
            yield from (f"{name}:{number}: {what}" for what, pattern in FORBIDDEN.items() if pattern.search(line))


def main() -> int:
    """Print the breaches; 1 if there is one."""
    found = list(breaches(tracked()))
    for line in found:
        print(line)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
