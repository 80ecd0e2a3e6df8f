"""Who may do what: every request is one question to Cedar policies.

Rules this module keeps:

- there is one evaluator, `certify.policy.evaluation`: what no policy permits is refused, and so is what cannot be
  decided;
- a decision is a function of policies and question, so it may be remembered; a node's name is part of the question only
  where a policy names nodes, since the vocabulary gives policies no other way to read it;
- a refusal names the policy, and its reason.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Any, assert_never

import cedarpy

from certify.policy.evaluation import Allowed, Decision, Entity, PolicyRequest, Refused, Undecided, evaluate
from certify.policy.policies import PolicySet, policies_over
from certify.registry.entries import Status
from certify.service.errors import NOT_ALLOWED, NOT_SIGNED_IN, Declined
from certify.service.identity import Actor

OF_STATUS = {Status.APPROVED: "approve", Status.REJECTED: "reject", Status.REVOKED: "revoke"}
"""The action that gives a release a status."""


def load_access(file: Path | None = None) -> PolicySet:
    """The policies of a file, or the shipped ones.

    Raises:
        RequestError: the file is not a set of policies; all of it is reported at once (POL001 to POL010).
    """
    folder = resources.files("certify.service")
    if file is None:
        text, name = (folder / "access.cedar").read_text("utf-8"), "shipped/access.cedar"
    else:
        text, name = file.read_text("utf-8"), str(file)
    return policies_over(text, name, (folder / "access.cedarschema").read_text("utf-8"))


def named_nodes(policies: PolicySet) -> frozenset[str]:
    """The nodes that the policies name: for any other one they decide alike, names apart."""
    text = cedarpy.policies_to_json_str("\n".join(policy.text for policy in policies.policies))
    return frozenset(_nodes(json.loads(text)))


def _nodes(part: Any) -> Iterator[str]:
    """Ids of the nodes in a part of a policy, in Cedar's JSON."""
    match part:
        case {"type": "Node", "id": str() as identity}:
            yield identity
        case dict() as members:
            for member in members.values():
                yield from _nodes(member)
        case list() as members:
            for member in members:
                yield from _nodes(member)
        case _:
            pass


class Access:
    """The service's door."""

    def __init__(self, policies: PolicySet) -> None:
        self.policies = policies
        self._named = named_nodes(policies)
        self._another = max(self._named, default="node") + "?"  # greater than every name, so none of them
        self._decide = lru_cache(maxsize=4096)(self._decided)

    def demand(self, actor: Actor, action: str, node: str = "", authors: Iterable[str] = ()) -> None:
        """Let the request pass, or decline it.

        Args:
            actor: who asks.
            action: what for; one of `identity.ACTIONS`.
            node: id of the node that it is about; empty when about none.
            authors: who handed the release in, or signed its evidence.

        Raises:
            Declined: SRV002 nobody asks, SRV003 the policies do not allow it.
        """
        if not actor.user:
            raise Declined(
                401,
                NOT_SIGNED_IN,
                f"to {action}, sign in or send a token",
                headers={"WWW-Authenticate": 'Bearer realm="certify"'},
                action=action,
                item=node,
            )
        said = self.decide(actor, action, node, authors)
        match said:
            case Allowed():
                return
            case Refused(refusals):
                because = "\n".join(f"{r.policy or 'no policy'}: {r.reason}" for r in refusals)
                fix = "; ".join(r.fix for r in refusals if r.policy and r.fix)
            case Undecided(errors):
                because, fix = "\n".join(errors), "repair the access policies"
            case _:
                assert_never(said)
        message = f"{actor.user} may not {action} {node or 'here'}"
        raise Declined(
            403, NOT_ALLOWED, message, because=because, fix=fix, who=actor.user, action=action, item=node
        )  # fmt: skip

    def decide(self, actor: Actor, action: str, node: str = "", authors: Iterable[str] = ()) -> Decision:
        """What the policies say."""
        within, known = not node or actor.covers(node), frozenset(authors)
        if node and node not in self._named:
            said = self._decide(actor.user, actor.roles, actor.scopes, within, action, self._another, known)
            if isinstance(said, Allowed):
                return said  # what is not allowed is asked again below: a refusal names the node
        return self._decide(actor.user, actor.roles, actor.scopes, within, action, node, known)

    def allows(self, actor: Actor, action: str, node: str = "", authors: Iterable[str] = ()) -> bool:
        """Whether the policies let it pass: what a page offers, and no more than that."""
        return bool(actor.user) and isinstance(self.decide(actor, action, node, authors), Allowed)

    def _decided(
        self,
        user: str,
        roles: frozenset[str],
        scopes: frozenset[str],
        within: bool,
        action: str,
        node: str,
        authors: frozenset[str],
    ) -> Decision:
        if node:
            named = [Entity("User", author).reference for author in sorted(authors)]
            resource = Entity("Node", node, {"authors": named})
        else:
            resource = Entity("Service", "registry")
        return evaluate(
            self.policies,
            PolicyRequest(
                action,
                Entity("User", user, {"roles": sorted(roles)}),
                resource,
                {"action": action, "scopes": sorted(scopes), "within": within},
            ),
        )
