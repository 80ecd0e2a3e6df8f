"""The one evaluator: command line, server, CI and re-check all decide here.

Rules this module keeps:

- a question is answered with exactly one of `Allowed`, `Refused` and `Undecided`;
- what no policy permits is refused; one forbid refuses, whatever permits;
- a policy that cannot be evaluated never lets anything pass: Cedar would skip it, here the answer is `Undecided` unless
  another policy refuses anyway;
- a request that the vocabulary does not know is `Undecided`, never allowed.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import cedarpy

from certify.policy.policies import Policy, PolicySet

LONGEST: Final = 2**63 - 1
"""Cedar's largest number; bigger ones are held here, so that they stay above every ceiling."""


@dataclass(frozen=True, slots=True)
class Entity:
    """A typed thing that policies speak of, with the attributes that certify.cedarschema gives its type."""

    type: str
    id: str
    attributes: Mapping[str, Any] = field(default_factory=dict, hash=False)

    def to_data(self) -> dict[str, Any]:
        """The entity as a map."""
        return {"type": self.type, "id": self.id, "attributes": dict(self.attributes)}

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Entity:
        """The inverse of `to_data`."""
        return cls(data["type"], data["id"], data["attributes"])

    @property
    def reference(self) -> dict[str, Any]:
        """How the context of a request names this entity."""
        return {"__entity": {"type": self.type, "id": self.id}}


@dataclass(frozen=True, slots=True)
class PolicyRequest:
    """One question: may `principal` do `action` to `resource`, in this `context`?

    Attributes:
        others: further entities that the context refers to.
    """

    action: str
    principal: Entity
    resource: Entity
    context: Mapping[str, Any] = field(default_factory=dict, hash=False)
    others: tuple[Entity, ...] = ()

    def to_data(self) -> dict[str, Any]:
        """The request as a map: the evidence that the decision rests on."""
        return {
            "action": self.action,
            "principal": self.principal.to_data(),
            "resource": self.resource.to_data(),
            "context": dict(self.context),
            "others": [entity.to_data() for entity in self.others],
        }

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> PolicyRequest:
        """The inverse of `to_data`."""
        return cls(
            data["action"],
            Entity.from_data(data["principal"]),
            Entity.from_data(data["resource"]),
            data["context"],
            tuple(Entity.from_data(entity) for entity in data["others"]),
        )


@dataclass(frozen=True, slots=True)
class Refusal:
    """One reason to refuse: the policy that forbids, or none when no policy permits."""

    policy: str
    reason: str
    fix: str


@dataclass(frozen=True, slots=True)
class Allowed:
    """Permitted by the policies `by`, forbidden by none, and every policy was evaluated."""

    by: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Refused:
    """Refused, for every one of `refusals`; `errors` are policies that could not be evaluated besides."""

    refusals: tuple[Refusal, ...]
    errors: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Undecided:
    """Nothing refuses, but something could not be evaluated: never a permission."""

    errors: tuple[str, ...]


Decision = Allowed | Refused | Undecided


def evaluate(policies: PolicySet, request: PolicyRequest) -> Decision:
    """Answer one question by `policies`. Pure: equal sets and requests give equal decisions."""
    return _decide(policies, request, _ask(policies, request))


def whole(number: float) -> int:
    """`number` as a Cedar number: rounded up, and held within 64 bits, infinity included."""
    if number >= LONGEST:
        return LONGEST
    rounded = int(number)
    return rounded + 1 if number > rounded else rounded


def plain(text: str) -> str:
    """`text` as evidence can hold it: Unicode Normalization Form C, without lone surrogates."""
    return unicodedata.normalize("NFC", text.encode("utf-8", "replace").decode("utf-8"))


def _ask(policies: PolicySet, request: PolicyRequest) -> cedarpy.AuthzResult:
    entities = {(each.type, each.id): each for each in (request.principal, request.resource, *request.others)}
    return cedarpy.is_authorized(
        _cedar_request(request),
        policies.engine,
        [_cedar_entity(entity) for entity in entities.values()],
        policies.vocabulary,
    )


def _cedar_request(request: PolicyRequest) -> dict[str, Any]:
    return {
        "principal": {"type": request.principal.type, "id": request.principal.id},
        "action": {"type": "Action", "id": request.action},
        "resource": {"type": request.resource.type, "id": request.resource.id},
        "context": dict(request.context),
    }


def _cedar_entity(entity: Entity) -> dict[str, Any]:
    return {"uid": {"type": entity.type, "id": entity.id}, "attrs": dict(entity.attributes), "parents": []}


def _decide(policies: PolicySet, request: PolicyRequest, answer: cedarpy.AuthzResult) -> Decision:
    deciding = sorted((policies.by_position(position) for position in answer.diagnostics.reasons), key=_by_id)
    errors = tuple(sorted(_in_own_names(policies, error) for error in answer.diagnostics.errors))
    match answer.decision:
        case cedarpy.Decision.Allow:
            return Undecided(errors) if errors else Allowed(tuple(policy.id for policy in deciding))
        case cedarpy.Decision.Deny if deciding:
            return Refused(tuple(Refusal(p.id, p.reason, p.fix) for p in deciding), errors)
        case cedarpy.Decision.Deny if not errors:
            return Refused((_unpermitted(request),))
        case _:
            return Undecided(errors or ("the policy engine gave no decision and no reason",))


def _by_id(policy: Policy) -> str:
    return policy.id


def _unpermitted(request: PolicyRequest) -> Refusal:
    return Refusal(
        "",
        f"no policy permits `{request.action}` for {request.resource.type} {request.resource.id!r}",
        f'write a policy that permits action == Action::"{request.action}", or do not leave out the shipped one',
    )


def _in_own_names(policies: PolicySet, error: str) -> str:
    """The engine's message, with the policy's own id in place of its position."""
    return plain(re.sub(r"`(policy\d+)`", lambda match: f"`{policies.by_position(match[1]).id}`", error))
