"""Counterexamples as a pytest file: each replays its run, and fails with the broken clause until the spec is repaired.

Rules this module keeps:

- the file needs nothing but this toolkit and the specification, which it names relative to itself;
- everything from the specification is written as a Python literal: no text of it can become code;
- only runs that really refute a property become tests.
"""

from __future__ import annotations

import os
import pprint
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from certify.specs.engine import Verified
from certify.specs.explain import Explained
from certify_verifier.verdict import Refuted

MARK: Final = "# Written by `certify verify --as-test`."
"""The first line of every file that this module writes."""


def refuted(machines: Sequence[Verified]) -> list[tuple[Verified, Explained]]:
    """The findings that become tests."""
    return [(m, each) for m in machines for each in m.explained if isinstance(each.finding.verdict, Refuted)]


def render(machines: Sequence[Verified], target: Path) -> str:
    """The file's text.

    Args:
        machines: what was verified; at least one property of them is refuted.
        target: where the file will stand: specifications are named relative to its folder.
    """
    taken: set[str] = set()
    parts = [_HEAD]
    for machine, each in refuted(machines):
        parts.append("\n".join(_test(machine, each, target, taken)))
    return "\n\n".join(parts)


_HEAD: Final = f'''{MARK}
"""Counterexamples: each test replays one, and fails with the broken clause until the specification is repaired."""

from pathlib import Path

import pytest

from certify.specs.replay import replay

HERE = Path(__file__).resolve().parent
'''


def _test(machine: Verified, each: Explained, target: Path, taken: set[str]) -> Iterator[str]:
    specification, finding = machine.specification, each.finding
    assert each.trace is not None
    wanted = f"test_{specification.name.lower()}_{finding.name}"
    name, number = wanted, 1
    while name in taken:
        number += 1
        name = f"{wanted}_{number}"
    taken.add(name)
    place = os.path.relpath(Path(machine.file).resolve(), target.resolve().parent)
    run = pprint.pformat(each.trace.to_data(), width=110, sort_dicts=False)
    yield f"def {name}() -> None:"
    yield f'    """{finding.kind} `{finding.name}` of {specification.name} holds in this run."""'
    yield f"    run = {run.replace(chr(10), chr(10) + '    ')}"
    yield f"    broken = replay(HERE / {Path(place).as_posix()!r}, {finding.name!r}, run)"
    yield "    if broken:"
    yield "        pytest.fail(broken, pytrace=False)"
    yield ""
