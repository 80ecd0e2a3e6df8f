"""Seeded bugs in policies, waivers and nodes: each is refused, with its own code."""

from __future__ import annotations

import base64
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import quote

import pytest

from certify.checks.budget import make_check as make_budget_check
from certify.checks.policy import make_check
from certify.checks.workbench import Check
from certify.evidence.verdict import CheckResult, Failed, Passed, Unknown, Waived, allows_publish
from certify.laboratory.record import Exceeded, Plan, Raised, RunRecord, Usage
from certify.policy.policies import load_policies
from certify.policy.waivers import Candidate, SignedWaiver, Waiver, apply_waivers
from certify_spec.diagnostics import RequestError, Severity
from policy_bench import CODE, INPUT, NODE, bench, exchange, ran, use

EMAIL: str = INPUT["customer"]["email"]
HEAD = '@id("seeded") @reason("r") @fix("f")\n'
FORBID = "forbid (principal, action, resource)"
START = datetime(2026, 11, 1, tzinfo=UTC)


def codes(result: CheckResult) -> set[str]:
    """Codes of the errors."""
    return {finding.code for finding in result.findings if finding.severity is Severity.ERROR}


SETS: dict[str, tuple[str, str, str]] = {
    "a file with a misspelt ending is skipped": ("own.ceder", HEAD + f"{FORBID};", "POL008"),
    "a policy in a folder below is skipped": ("below/own.cedar", HEAD + f"{FORBID};", "POL008"),
    "a forbid without an id": ("own.cedar", f'@reason("r") @fix("f") {FORBID};', "POL004"),
    "a forbid without a reason": ("own.cedar", f'@id("a") @fix("f") {FORBID};', "POL004"),
    "a missing attribute": ("own.cedar", HEAD + FORBID + ' when { principal.team == "a" };', "POL003"),
    "an attribute of another action": ("own.cedar", HEAD + FORBID + " when { context.observed };", "POL003"),
    "an action that nobody asks": (
        "own.cedar",
        HEAD + FORBID.replace("action", 'action == Action::"a"') + ";",
        "POL003",
    ),
    "a condition that never holds": ("own.cedar", HEAD + FORBID + " when { false };", "POL010"),
    "a template that is never linked": ("own.cedar", HEAD + FORBID.replace("(", "(principal == ?", 1) + ";", "POL006"),
    "two policies, one id": ("own.cedar", (HEAD + f"{FORBID};\n") * 2, "POL005"),
    "a string that never ends": ("own.cedar", HEAD + FORBID + ' when { "a;b };', "POL002"),
    "an unread setting": ("policy.toml", "schema = 1\n[egress]\nallowed = []\n", "POL007"),
    "a left-out policy that is not there": ("policy.toml", 'schema = 1\ndefaults.leave_out = ["x"]\n', "POL009"),
    "an empty folder": ("README.md", "policies to come", "POL001"),
}


@pytest.mark.parametrize("seed", SETS)
def test_a_wrong_policy_set_never_decides(tmp_path: Path, seed: str) -> None:
    """C-POLICY: a set with a hole in it is refused as a whole, before any node is judged."""
    file, text, code = SETS[seed]
    (tmp_path / file).parent.mkdir(exist_ok=True)
    (tmp_path / file).write_text(text, encoding="utf-8")
    with pytest.raises(RequestError) as caught:
        load_policies(tmp_path)
    assert code in {diagnostic.code for diagnostic in caught.value.diagnostics}


SECRET = '[[resource]]\nname = "keys"\nkind = "secrets"\nmode = "read"\nvariables = ["API_TOKEN"]\n\n[idempotency]'


def raised_on(status: int, text: str) -> Callable[[Plan], RunRecord]:
    """A node that raises with this text when its upstream answers so, and answers otherwise."""
    error = Raised("Unauthorised", text, ("Unauthorised", "Exception"), (CODE,))
    return lambda plan: ran(plan, outcome=error if plan.faults and plan.faults[0].status == status else None)


NODES: dict[str, tuple[str, str, Callable[[Plan], RunRecord], str]] = {
    "secret in an exception's text on 401": (
        "[idempotency]", SECRET, raised_on(401, "refused: Bearer laboratory-api_token"), "POL114",
    ),
    "secret in an exception's text on 500, in Base64": (
        "[idempotency]", SECRET, raised_on(500, base64.b64encode(b"k=laboratory-api_token").decode()), "POL114",
    ),
    "secret of the environment returned": (
        "[idempotency]", SECRET, lambda plan: ran(plan, output={"status": "laboratory-api_token"}), "POL113",
    ),
    "secret in a URL": (
        "[idempotency]", SECRET, lambda plan: ran(plan, exchanges=[exchange(path="/c?token=laboratory-api_token")]),
        "POL116",
    ),
    "undeclared PII field": ('"customer.email" = "pii"\n', "", ran, "POL110"),
    "PII tagged internal": ('"customer.email" = "pii"', '"customer.email" = "internal"', ran, "POL112"),
    "PII in a header": ("", "", lambda plan: ran(plan, exchanges=[exchange(headers=[("x-who", EMAIL)])]), "POL105"),
    "PII in a URL": ("", "", lambda plan: ran(plan, exchanges=[exchange(path=f"/c?e={quote(EMAIL)}")]), "POL105"),
    "PII in Base64": (
        "", "", lambda plan: ran(plan, exchanges=[exchange(base64.b64encode(b"?" + EMAIL.encode()))]), "POL105",
    ),
    "PII in a log line": ("", "", lambda plan: ran(plan, events=[use("log", message=f"charged {EMAIL}")]), "POL105"),
    "PII printed": ("", "", lambda plan: ran(plan, stderr=f"DEBUG {EMAIL}"), "POL105"),
    "secret logged": ("", "", lambda plan: ran(plan, events=[use("log", message="key <secret:API>")]), "POL114"),
    "secret returned": ("", "", lambda plan: ran(plan, output={"status": "<secret:API>"}), "POL113"),
    "plain http": ("https://payments.test", "http://payments.corp", ran, "POL102"),
    "admin scope": ("charges:write", "admin", ran, "POL103"),
    "data in another region": ('region = "eu-west-1"', 'region = "us-east-1"', ran, "POL104"),
    "no residency": ('[residency]\nregions = ["eu-west-1"]\n', "", ran, "POL101"),
    "tag for a field that is gone": ('order = "internal"', 'order = "internal"\nold = "internal"', ran, "POL111"),
}  # fmt: skip


@pytest.mark.parametrize("seed", NODES)
def test_each_seeded_node_is_refused(tmp_path: Path, seed: str) -> None:
    """C-POLICY: a node with one mistake fails with that mistake's code and no other."""
    old, new, react, code = NODES[seed]
    text = NODE.replace(old, new) if old else NODE
    result = make_check(load_policies())(bench(tmp_path, manifest=text, react=react))
    assert (result.verdict, codes(result)) == (Failed(), {code})


def test_an_exception_that_names_the_secret_passes(tmp_path: Path) -> None:
    """C-POLICY: to say which credential was refused gives nothing away."""
    text = NODE.replace("[idempotency]", SECRET)
    react = raised_on(401, "the provider refuses the credential API_TOKEN")
    result = make_check(load_policies())(bench(tmp_path, manifest=text, react=react))
    assert (result.verdict, codes(result)) == (Passed(), set())


BUDGETS: dict[str, tuple[Callable[[Plan], RunRecord], str]] = {
    "a request too many": (lambda plan: ran(plan, exchanges=[exchange()] * 2), "BUD004"),
    "a token too many": (lambda plan: ran(plan, events=[use("budget", tokens=60), use("budget", tokens=41)]), "BUD005"),
    "a millionth too much": (lambda plan: ran(plan, events=[use("budget", money_micros=2001)]), "BUD006"),
    "slow": (lambda plan: ran(plan, usage=Usage(0.5, 0.01, 0)), "BUD001"),
    "busy": (lambda plan: ran(plan, usage=Usage(0.09, 0.09, 0)), "BUD002"),
    "hungry": (lambda plan: ran(plan, usage=Usage(0.01, 0.01, 80 * 2**20)), "BUD003"),
    "hanging": (lambda plan: ran(plan, outcome=Exceeded("wall")), "BUD001"),
}


@pytest.mark.parametrize("seed", BUDGETS)
def test_each_seeded_overrun_is_refused(tmp_path: Path, seed: str) -> None:
    """C-BUDGET: one kind of overrun, one code."""
    react, code = BUDGETS[seed]
    result = make_budget_check(load_policies())(bench(tmp_path, react=react))
    assert (result.verdict, codes(result)) == (Failed(), {code})


@pytest.mark.parametrize("make", [make_check, make_budget_check])
def test_a_gap_in_the_record_is_never_a_pass(tmp_path: Path, make: Callable[..., Check]) -> None:
    """C-POLICY: what could not be seen is unknown, and unknown does not publish."""
    result = make(load_policies())(bench(tmp_path, react=lambda plan: ran(plan, incomplete="the watch failed")))
    assert isinstance(result.verdict, Unknown)
    assert not allows_publish(result.verdict)


WAIVERS: dict[str, tuple[dict[str, object], timedelta]] = {
    "expired": ({}, timedelta(days=30)),
    "not begun": ({}, timedelta(seconds=-1)),
    "another node": ({"node": "shop/refund"}, timedelta(days=1)),
    "another code": ({"code": "POL103"}, timedelta(days=1)),
    "another version": ({"versions": ("1.2.4",)}, timedelta(days=1)),
    "another content": ({"versions": (), "subject": "f" * 64}, timedelta(days=1)),
    "another host": ({"about": "host http://other.corp"}, timedelta(days=1)),
    "another line": ({"place": "node.toml:1"}, timedelta(days=1)),
}


def waived(folder: Path, changes: dict[str, object], after: timedelta) -> CheckResult:
    """The result of a node with plain http, under a waiver with these changes, some time after it begins."""
    work = bench(folder, manifest=NODE.replace("https://payments.test", "http://payments.corp"))
    right: dict[str, object] = {
        "node": "shop/charge", "versions": ("1.2.3",), "code": "POL102", "reason": "moves to https in December",
        "owner": "payments", "issued": START, "expires": START + timedelta(days=30),
    }  # fmt: skip
    waiver = Waiver(**(right | changes))  # type: ignore[arg-type]  # one place for all the variations of a waiver
    signed = SignedWaiver(waiver, b"its envelope", "k")
    return apply_waivers(make_check(load_policies())(work), [signed], Candidate.of(work.subject), START + after)


@pytest.mark.parametrize("seed", WAIVERS)
def test_a_waiver_that_does_not_fit_waives_nothing(tmp_path: Path, seed: str) -> None:
    """C-POLICY: the node stays refused, and the finding says why its waiver does not apply."""
    result = waived(tmp_path, *WAIVERS[seed])
    assert (result.verdict, codes(result)) == (Failed(), {"POL102"})


def test_the_waiver_that_fits_waives(tmp_path: Path) -> None:
    """C-POLICY: the same waiver without a seed covers the finding: the seeds above fail for their own reason."""
    result = waived(tmp_path, {"about": "host http://payments.corp"}, timedelta(days=1))
    assert (isinstance(result.verdict, Waived), codes(result)) == (True, set())
