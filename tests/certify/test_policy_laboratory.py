"""C-POLICY and C-BUDGET over runs of the real laboratory: no false alarm, and each leak at its line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from certify.checks import budget, policy
from certify.checks.workbench import Workbench
from certify.evidence.verdict import CheckResult, Failed, Passed
from certify.laboratory.laboratory import Laboratory
from certify.policy.policies import load_policies
from certify.subject import read_subject
from certify_spec.diagnostics import Severity
from policy_bench import INPUT, NODE, line_of

SIMULATOR = """
async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
    await send({"type": "http.response.body", "body": b"{}"})
"""

NODE_PY = """\
import base64
from dataclasses import dataclass

from certify.capabilities.api import Context


@dataclass
class Customer:
    email: str


@dataclass
class Order:
    customer: Customer
    amount: int
    order: str


@dataclass
class Answer:
    status: str


def charge(request: Order, context: Context) -> Answer:
    context.budget.spend(tokens=60, money_micros=1500)
    {line}
    context.http.post("payments", "/charges", json={{"amount": request.amount}})
    return Answer("charged")
"""
LINE = line_of(NODE_PY, "{line}")
MANIFEST = (
    NODE.replace('url = "https://payments.test"', 'url = "https://payments.test"\nsimulator = "upstream:app"')
    .replace('wall = "100ms"', 'wall = "5s"')
    .replace('cpu = "50ms"', 'cpu = "200ms"')
    + """
[[resource]]
name = "budget"
kind = "budget"
"""
)


def checked(folder: Path, line: str, manifest: str = MANIFEST) -> tuple[CheckResult, CheckResult]:
    """The results of both checks for a node that does `line` before its one request."""
    (folder / "fixtures").mkdir()
    (folder / "fixtures" / "typical.json").write_text(json.dumps(INPUT), encoding="utf-8")
    (folder / "upstream.py").write_text(SIMULATOR, encoding="utf-8")
    (folder / "charge.py").write_text(NODE_PY.format(line=line), encoding="utf-8")
    (folder / "node.toml").write_text(manifest, encoding="utf-8")
    node = read_subject(folder / "node.toml")
    policies = load_policies()
    with Laboratory(node.subject, rehearsal=node.rehearsal) as laboratory:
        bench = Workbench(node.subject, laboratory, node.inputs, node.expected)
        return policy.make_check(policies)(bench), budget.make_check(policies)(bench)


def told(result: CheckResult) -> list[tuple[str, str, int]]:
    """Code, file and line of each error."""
    return [
        (finding.code, finding.place.file, finding.place.line)
        for finding in result.findings
        if finding.severity is Severity.ERROR and finding.place is not None
    ]


def test_a_right_node_passes_both_checks(tmp_path: Path) -> None:
    """C-POLICY: a node that does what it declares raises no alarm in the laboratory."""
    by_policy, by_budget = checked(tmp_path, 'context.log.info("charging", order=request.order)')
    assert (told(by_policy), told(by_budget)) == ([], [])
    assert (by_policy.verdict, by_budget.verdict) == (Passed(), Passed())
    assert by_budget.measured["fixtures"]["typical"]["tokens"] == 60


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ('context.log.info("charging", who=request.customer.email)', [("POL105", "charge.py", LINE)]),
        (
            'context.http.get("payments", "/c?e=" + base64.b64encode(b"?" + request.customer.email.encode()).decode())',
            [("POL105", "charge.py", LINE)],
        ),
        ("print(request.customer.email)", [("POL105", "node.toml", 0)]),
    ],
)
def test_a_leak_is_refused_at_its_line(tmp_path: Path, line: str, expected: list[tuple[str, str, int]]) -> None:
    """C-POLICY: personal data in a log line, in a URL and on standard output."""
    result, _ = checked(tmp_path, line)
    assert result.verdict == Failed()
    assert [(code, file, at if file == "charge.py" else 0) for code, file, at in told(result)] == expected


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ('context.http.get("payments", "/again")', "BUD004"),
        ("context.budget.spend(tokens=40); context.budget.spend(tokens=1)", "BUD007"),
        ("context.budget.spend(money_micros=501)", "BUD007"),
        ("sum(i * i for i in range(5 * 10**6))", "BUD002"),
    ],
)
def test_an_overrun_is_refused_at_its_line(tmp_path: Path, line: str, code: str) -> None:
    """C-BUDGET: a request too many, spending beyond the budget, and a busy loop."""
    _, result = checked(tmp_path, line, MANIFEST.replace('cpu = "200ms"', 'cpu = "60ms"'))
    assert result.verdict == Failed()
    assert code in {each[0] for each in told(result)}
    assert {each[1] for each in told(result)} == {"charge.py"}
