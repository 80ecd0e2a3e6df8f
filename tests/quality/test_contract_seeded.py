"""Seeded mistakes that C-CONTRACT must find, each by its code, answer and line; and correct nodes it must pass."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest

from certify.evidence.verdict import CheckResult, Failed, Passed
from contract_bench import checked, write_asking
from lab_support import write_node

CASES = Path(__file__).parent / "contract_cases"
SEEDED = sorted(CASES.glob("*.py.txt"))
WRONG = [case for case in SEEDED if "# expect: none" not in case.read_text(encoding="utf-8")]
RIGHT = [case for case in SEEDED if case not in WRONG]
#: Mistakes that are met much like another one of these, or of a refused example: judged with `CERTIFY_SEEDS=all`.
SELDOM = {
    "accepts-a-truncated-body", "default-on-timeout", "does-not-recover", "follows-redirects", "gives-up-at-once",
    "recursion-on-a-deep-tree", "retries-401", "swallowed-429-for-one-input", "time-out-of-each-read-only",
    "trusts-the-status-alone",
}  # fmt: skip
_WALL = 3.5


def _name(case: Path) -> str:
    return case.name.partition(".")[0]


def _judged(cases: list[Path]) -> list[Path]:
    return [case for case in cases if os.environ.get("CERTIFY_SEEDS") == "all" or _name(case) not in SELDOM]


def _option(code: str, name: str) -> str | None:
    found = re.search(rf"^# {name}(?:: (.+))?$", code, re.MULTILINE)
    return None if found is None else found[1] or name


def _check(case: Path, folder: Path) -> tuple[str, CheckResult]:
    code = case.read_text(encoding="utf-8")
    given = _option(code, "input")
    if given is not None:
        manifest = write_node(folder, code, json.loads(given))
    else:
        attempts = int(_option(code, "attempts") or 3)
        manifest = write_asking(folder, code, attempts=attempts, scheme="https" if _option(code, "tls") else "http")
    return code, checked(manifest, wall=_WALL if _option(code, "limit") else None)


@pytest.mark.parametrize("case", _judged(WRONG), ids=_name)
def test_seeded_mistake_is_found(case: Path, tmp_path: Path) -> None:
    """C-CONTRACT: the mistake is refused with the expected code, at the marked line, with the smallest input."""
    code, result = _check(case, tmp_path)
    expected, _, subject = str(_option(code, "expect")).partition(" ")
    lines = [number for number, line in enumerate(code.splitlines(), 1) if line.endswith("# <- here")]
    found = [finding for finding in result.findings if finding.code == expected]
    matching = [
        finding
        for finding in found
        if subject in {"any", finding.data.get("answer")} or subject in f"{finding.message} {finding.because}"
    ]
    assert result.verdict == Failed()
    assert matching, [(finding.code, finding.message) for finding in result.findings]
    assert not lines or {(f.place.file, f.place.line) for f in matching if f.place} & {("node.py", n) for n in lines}
    smallest = _option(code, "smallest")
    assert smallest is None or smallest in {finding.data["input"] for finding in matching}


@pytest.mark.parametrize("case", RIGHT, ids=_name)
def test_correct_node_is_passed(case: Path, tmp_path: Path) -> None:
    """C-CONTRACT: a node that does what it declares has no finding."""
    _code, result = _check(case, tmp_path)
    assert (result.verdict, [finding.message for finding in result.findings]) == (Passed(), [])


def test_there_are_enough_cases() -> None:
    """C-CONTRACT: at least twenty seeded mistakes, and correct nodes beside them."""
    assert (len(WRONG) >= 20, len(RIGHT) >= 2) == (True, True)
