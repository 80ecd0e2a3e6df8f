"""One evaluator: allowed, refused or undecided, and never allowed by mistake."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from certify.policy.evaluation import (
    LONGEST,
    Allowed,
    Decision,
    Entity,
    PolicyRequest,
    Refused,
    Undecided,
    evaluate,
    whole,
)
from certify.policy.facts import Address, address_of, is_local
from certify.policy.policies import PolicySet, load_policies
from certify.policy.settings import matches

NODE = Entity(
    "Node",
    "a@1.0.0",
    {
        "id": "a", "version": "1.0.0", "owner": "", "profile": "dev", "effects": "effectful",
        "determinism": "strict", "dataClasses": [],
    },
)  # fmt: skip
CONTEXT: dict[str, Any] = {
    "hasIdempotencyKey": True, "hasResidency": True, "patterns": [], "passed": [], "failed": [], "unknown": [],
}  # fmt: skip
FORBID = '@id("{0}") @reason("because") @fix("so")\nforbid (principal, action == Action::"publish", resource)\n'


def asked(policies: PolicySet, **changes: Any) -> Decision:
    """The decision on publishing the node."""
    return evaluate(policies, PolicyRequest("publish", NODE, Entity("Registry", "registry"), CONTEXT | changes))


def with_own(folder: Path, text: str, settings: str = "") -> PolicySet:
    """The shipped policies and these."""
    (folder / "own.cedar").write_text(text, encoding="utf-8")
    (folder / "policy.toml").write_text("schema = 1\n" + settings, encoding="utf-8")
    return load_policies(folder)


def test_what_is_permitted_and_not_forbidden_is_allowed() -> None:
    """C-POLICY: an allowing decision names the policy that permits."""
    assert asked(load_policies()) == Allowed(("publish-permitted",))


def test_each_forbidding_policy_is_named_with_reason_and_fix() -> None:
    """C-POLICY: two concerns, two refusals, each by the policy's own id."""
    node = Entity("Node", NODE.id, {**NODE.attributes, "dataClasses": ["pii"]})
    context = CONTEXT | {"hasIdempotencyKey": False, "hasResidency": False}
    decision = evaluate(load_policies(), PolicyRequest("publish", node, Entity("Registry", "registry"), context))
    assert isinstance(decision, Refused)
    assert [r.policy for r in decision.refusals] == ["effectful-has-key", "personal-data-has-residency"]
    assert all(r.reason and r.fix for r in decision.refusals)


def test_without_a_permit_nothing_passes(tmp_path: Path) -> None:
    """C-POLICY: leaving the permit out refuses, and says that nothing permits."""
    policies = with_own(
        tmp_path,
        FORBID.format("own") + 'when { principal.owner == "x" };',
        'defaults.leave_out = ["publish-permitted"]',
    )
    decision = asked(policies)
    assert isinstance(decision, Refused)
    assert [(r.policy, "no policy permits" in r.reason) for r in decision.refusals] == [("", True)]


def test_a_policy_that_cannot_be_evaluated_never_lets_pass(tmp_path: Path) -> None:
    """C-POLICY: Cedar skips an erring forbid and allows; here nothing is decided, in the policy's own name."""
    huge = "when { context.patterns.isEmpty() && 9223372036854775807 + 1 > 0 };"
    decision = asked(with_own(tmp_path, FORBID.format("overflowing") + huge))
    assert isinstance(decision, Undecided)
    assert "`overflowing`" in decision.errors[0]


def test_a_refusal_stands_beside_an_error(tmp_path: Path) -> None:
    """C-POLICY: what one policy forbids is refused even when another cannot be evaluated."""
    text = (
        FORBID.format("refusing")
        + ";"
        + FORBID.format("overflowing")
        + "when { context.patterns.isEmpty() && 9223372036854775807 + 1 > 0 };"
    )
    decision = asked(with_own(tmp_path, text))
    assert isinstance(decision, Refused)
    assert ([r.policy for r in decision.refusals], len(decision.errors)) == (["refusing"], 1)


@pytest.mark.parametrize(
    "request_",
    [
        PolicyRequest("publish", NODE, Entity("Registry", "registry"), {}),
        PolicyRequest("publish", NODE, Entity("Registry", "registry"), CONTEXT | {"more": True}),
        PolicyRequest("publish", NODE, Entity("Registry", "registry"), CONTEXT | {"hasResidency": "yes"}),
        PolicyRequest("publish", Entity("Node", "a", {}), Entity("Registry", "registry"), CONTEXT),
        PolicyRequest("fly", NODE, Entity("Registry", "registry"), CONTEXT),
        PolicyRequest("publish", NODE, Entity("Nowhere", "x"), CONTEXT),
        PolicyRequest("connect", NODE, Entity("Host", "h", {"name": "h"}), {"declared": True, "observed": True}),
    ],
)
def test_a_question_outside_the_vocabulary_is_undecided(request_: PolicyRequest) -> None:
    """C-POLICY: a missing attribute, a wrong type, an unknown action: never allowed, never a traceback."""
    decision = evaluate(load_policies(), request_)
    assert isinstance(decision, Undecided)
    assert decision.errors


def test_a_request_survives_evidence() -> None:
    """C-POLICY: what was asked can be asked again."""
    request = PolicyRequest("publish", NODE, Entity("Registry", "registry"), CONTEXT, (Entity("Registry", "other"),))
    assert PolicyRequest.from_data(request.to_data()).to_data() == request.to_data()


@pytest.mark.parametrize(
    ("number", "expected"),
    [(0, 0), (1.0, 1), (1.2, 2), (2**63 - 1, LONGEST), (2**80, LONGEST), (1e300, LONGEST), (float("inf"), LONGEST)],
)
def test_numbers_are_rounded_up_and_held(number: float, expected: int) -> None:
    """C-BUDGET: a number too big for policies stays above every ceiling."""
    assert whole(number) == expected


@pytest.mark.parametrize(
    ("url", "scheme", "host", "port"),
    [
        ("https://API.Example.com", "https", "api.example.com", 443),
        ("http://a.test:8080/", "http", "a.test", 8080),
        ("https://[::1]:99", "https", "::1", 99),
        ("https://a.test.", "https", "a.test", 443),
        ("https://good.example@evil.example", "https", "https://good.example@evil.example", 0),
        ("https://good.example\\@evil.example", "https", "https://good.example\\@evil.example", 0),
        ("https://good.example?x", "https", "https://good.example?x", 0),
        ("https://good.example#evil", "https", "https://good.example#evil", 0),
        ("https://a:99999", "", "https://a:99999", 0),
        ("https://[::1", "", "https://[::1", 0),
    ],
)
def test_addresses_are_read_in_one_way_only(url: str, scheme: str, host: str, port: int) -> None:
    """C-POLICY: a URL that two readers could read in two ways is no host that anyone allows."""
    assert address_of(url) == Address(scheme, host, port)


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("localhost", True), ("api.localhost", True), ("127.0.0.1", True), ("127.9.9.9", True), ("::1", True),
        ("localhost.evil.example", False), ("2130706433", False), ("0x7f000001", False), ("127.0.0.1.example", False),
        ("0.0.0.0", False), ("10.0.0.1", False), ("", False),
    ],
)  # fmt: skip
def test_the_machine_itself_is_recognised(host: str, expected: bool) -> None:
    """C-POLICY: look-alikes of localhost are not local."""
    assert is_local(host) is expected


@pytest.mark.parametrize(
    ("text", "pattern", "expected"),
    [
        ("a.example.com", "*.example.com", True),
        ("example.com", "*.example.com", False),
        ("evilexample.com", "*.example.com", False),
        ("aXexample.com", "a.example.com", False),
        ("*", "\\*", True),
        ("x", "\\*", False),
        ("a:admin", "*:admin", True),
        ("a[b", "a[b", True),
        ("a\nb", "a*b", True),
    ],
)
def test_patterns_have_one_special_sign(text: str, pattern: str, expected: bool) -> None:
    """C-POLICY: `*` is any text, everything else is itself."""
    assert matches(text, (pattern,)) is expected
