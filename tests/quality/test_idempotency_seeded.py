"""Nodes with a seeded fault that C-IDEM must find, by code and line, and correct nodes that it must let pass."""

from __future__ import annotations

import json
import os
import re
from functools import cache
from pathlib import Path

import pytest

from certify.checks import idempotency
from certify.checks.workbench import Workbench
from certify.evidence.verdict import CheckResult, Failed, Passed
from certify.laboratory.laboratory import Laboratory
from certify.subject import read_subject
from certify_spec.diagnostics import Severity

CASES = Path(__file__).parent / "idempotency_cases"
#: Cases whose mechanism a cheaper case or an example has as well: judged with `CERTIFY_SEEDS=all`.
SELDOM = {
    "check_then_act", "first_come_first_served", "key_misses_field", "key_of_the_day", "mark_before_write",
    "newer_revision_wins", "one_transaction", "own_key_misses_field", "post_then_mark", "remembers_only_the_last",
    "says_read_only", "swallowed_constraint", "total_of_marked", "two_transactions", "write_before_mark",
}  # fmt: skip
REFUSED = sorted((CASES / "refused").glob("*.py.txt"))
ACCEPTED = sorted((CASES / "accepted").glob("*.py.txt"))


def judged(cases: list[Path]) -> list[Path]:
    """Those of the cases that are judged this time."""
    return [c for c in cases if os.environ.get("CERTIFY_SEEDS") == "all" or c.name.partition(".")[0] not in SELDOM]


FIXTURES = {"one": {"id": "a1", "amount": 5}, "other": {"id": "b2", "amount": 9}}

MANIFEST = """
schema = 1
[node]
id = "seeded/case"
version = "1.0.0"
entry = "node:run"
effects = "{effects}"
determinism = "best_effort"
[input.classes]
"id" = "public"
"amount" = "public"
[output.classes]
"$" = "public"
[[resource]]
name = "files"
kind = "fs"
mode = "{mode}"
path = "."
{http}{idempotency}
[budget]
wall = "3s"
cpu = "2s"
memory = "128MiB"
"""
HTTP = """
[[resource]]
name = "charges"
kind = "http"
mode = "write"
url = "http://127.0.0.1:8077"
simulator = "upstream:app"
{header}
[resource.answers]
"401" = {{ outcome = "value" }}
"429" = {{ outcome = "value" }}
"5xx" = {{ outcome = "value" }}
"timeout" = {{ outcome = "error" }}
"malformed" = {{ outcome = "value" }}
"slow" = {{ outcome = "value" }}
"""


def directive(case: Path, name: str) -> str | None:
    """What a comment of the case says, such as the code that it expects."""
    found = re.search(rf"^# {name}:(.*)$", case.read_text(encoding="utf-8"), re.MULTILINE)
    return None if found is None else found[1].strip()


def build(case: Path, folder: Path) -> Path:
    """Write the case as a node's folder; its manifest's path."""
    header = directive(case, "http")
    named = f'idempotency_header = "{header}"' if header else ""
    http = "" if header is None else HTTP.format(header=named)
    key = json.dumps([directive(case, "key")] if directive(case, "key") else ["id", "amount"])
    effects = directive(case, "effects") or "effectful"
    writes = effects == "effectful"
    idempotency_table = f'[idempotency]\nflow = "seeded"\nkey = {key}\n' if writes else ""
    text = MANIFEST.format(
        effects=effects, mode="write" if writes else "read", http=http, idempotency=idempotency_table
    )
    for name, value in FIXTURES.items():
        (folder / f"{name}.json").write_text(json.dumps(value))
        text += f'[[fixture]]\nname = "{name}"\ninput = "{name}.json"\n'
    (folder / "node.py").write_text(case.read_text(encoding="utf-8"))
    (folder / "upstream.py").write_text((CASES / "upstream.py.txt").read_text())
    (folder / "node.toml").write_text(text.lstrip())
    return folder / "node.toml"


def checked(manifest: Path) -> CheckResult:
    """The check's result on a node's folder."""
    folder = read_subject(manifest)
    with Laboratory(folder.subject, rehearsal=folder.rehearsal) as laboratory:
        return idempotency.check(Workbench(folder.subject, laboratory, folder.inputs, folder.expected))


def name_of(case: Path) -> str:
    """The case's name."""
    return case.name.partition(".")[0]


@pytest.mark.parametrize("case", judged(REFUSED), ids=name_of)
def test_seeded_fault_is_found(case: Path, tmp_path: Path) -> None:
    """C-IDEM: the fault is an error with the expected code, at the expected line."""
    result = checked(build(case, tmp_path))
    assert isinstance(result.verdict, Failed)
    found = [f for f in result.findings if f.severity is Severity.ERROR and f.code == directive(case, "expect")]
    assert [f.code for f in found][:1] == [directive(case, "expect")], [f.message for f in result.findings]
    at = directive(case, "at")
    if at:
        lines = [(tmp_path / f.place.file).read_text().splitlines()[f.place.line - 1] for f in found if f.place]
        assert any(at in line for line in lines), (at, lines)


@pytest.mark.parametrize("case", judged(ACCEPTED), ids=name_of)
def test_correct_node_passes(case: Path, tmp_path: Path) -> None:
    """C-IDEM: a correct node passes without an error, random ids and times of day in its rows notwithstanding."""
    result = checked(build(case, tmp_path))
    errors = [f.message for f in result.findings if f.severity is Severity.ERROR]
    assert (errors, result.verdict) == ([], Passed())


@cache
def codes() -> frozenset[str]:
    """The codes that the cases expect."""
    return frozenset(directive(case, "expect") or "" for case in REFUSED)


def test_there_are_enough_cases() -> None:
    """At least fourteen seeded faults of at least eight codes, and five correct nodes."""
    assert (len(REFUSED) >= 14, len(codes()) >= 8, len(ACCEPTED) >= 5) == (True, True, True)
