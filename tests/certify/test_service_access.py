"""Who may do what: what is remembered of the policies' decisions is what they would say again."""

from __future__ import annotations

from pathlib import Path

import pytest

from certify.policy.evaluation import Allowed, Refused
from certify.service import access
from certify.service.access import Access, load_access, named_nodes
from certify.service.identity import Actor

ANA = Actor("ana", "Ana", frozenset({"author"}))
POLICIES = """
@id("everybody-writes")
@reason("everybody hands in what they like")
permit (principal, action == Action::"publish", resource);

@id("not-this-one")
@reason("it is kept")
@fix("leave it")
forbid (principal, action, resource == Node::"kept/one");

@id("nor-these")
@reason("they are kept")
@fix("leave them")
forbid (principal, action, resource) when { resource in [Node::"kept/two", Node::"a \\"name\\""] };
"""


def test_nodes_that_policies_name_are_told_apart(tmp_path: Path) -> None:
    """R-AUTH: a decision on one node is remembered for others only where no policy names any of them."""
    (tmp_path / "access.cedar").write_text(POLICIES)
    found = Access(load_access(tmp_path / "access.cedar"))
    assert named_nodes(found.policies) == {"kept/one", "kept/two", 'a "name"'}
    nodes = ("free/one", "kept/one", "free/two", "kept/two", "free/one", 'a "name"')
    said = [type(found.decide(ANA, "publish", node)) for node in nodes]
    assert said == [Allowed, Refused, Allowed, Refused, Allowed, Refused]


def test_other_nodes_are_decided_on_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """R-AUTH: the shipped policies name no node, so a thousand of them are one question; a refusal names its own."""
    asked = []

    def evaluate(*question: object) -> object:
        asked.append(question)
        return real(*question)

    real = access.evaluate
    monkeypatch.setattr(access, "evaluate", evaluate)
    found = Access(load_access())
    assert all(found.allows(ANA, "publish", f"node/n{number}") for number in range(1000))
    assert len(asked) == 1
    said = found.decide(ANA, "approve", "node/refused")
    assert isinstance(said, Refused)
    assert "node/refused" in said.refusals[0].reason
    assert not found.allows(ANA, "approve", "node/n1", ["ana"])
