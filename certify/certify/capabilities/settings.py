"""What a context is built from: grants, addresses, limits and the key of the call.

Rules this module keeps:

- pure: it reads a manifest and an input, and touches nothing else;
- grants come from the manifest alone; a setting can move a store or an upstream, never widen a grant.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from certify.capabilities.api import CapabilityDenied

if TYPE_CHECKING:
    from certify.manifest.model import Manifest

Access = Literal["read", "write"]

#: Kinds that a node reaches by name, such as `ctx.kv("orders")`; of the others there is one for each context.
NAMED_KINDS = frozenset({"http", "kv", "blob", "db"})


@dataclass(frozen=True, slots=True)
class Grant:
    """One resource that the manifest declares. `mode` "write" includes reading.

    Attributes:
        variables: of a `secrets` resource, the names of the secrets.
    """

    kind: str
    name: str
    mode: Access = "read"
    variables: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that decides what a real context does.

    Attributes:
        folder: the working folder; every store lies inside it.
        grants: what the node may use.
        upstreams: base URL (scheme, host, port) of each `http` resource.
        paths: path, relative to `folder`, of each `db` or `blob` resource that has one.
        secrets: environment variable that holds each secret, by the secret's name; a name that is missing here is its
            own variable.
        tokens: what the call may spend of tokens.
        money_micros: what the call may spend of money, in millionths of the policy's currency.
        key: the idempotency key of the call, 32 bytes; empty when the manifest has no `[idempotency]`.
        retention: seconds for which `dedupe` remembers.
        busy_timeout: seconds to wait for a store that another process holds.
        largest_body: bytes of an upstream's answer, decoded, beyond which it is broken off.
    """

    folder: str | Path
    grants: tuple[Grant, ...] = ()
    upstreams: Mapping[str, str] = field(default_factory=dict)
    paths: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict)
    tokens: int = 0
    money_micros: int = 0
    key: bytes = b""
    retention: float = 86_400.0
    busy_timeout: float = 5.0
    largest_body: int = 64 * 2**20


def manifest_grants(manifest: Manifest) -> tuple[Grant, ...]:
    """What the manifest's resources allow a context to do, in the manifest's order.

    `fs`, `env`, `process` and `network` resources grant nothing here: they name direct use, without a capability.
    """
    direct = {"fs", "env", "process", "network"}
    return tuple(
        Grant(
            resource.kind.value,
            resource.name,
            "write" if resource.mode.value == "write" else "read",
            resource.variables if resource.kind.value == "secrets" else (),
        )
        for resource in manifest.resource
        if resource.kind.value not in direct
    )


def settings_for(
    manifest: Manifest, *, folder: str | Path, key: bytes = b"", upstreams: Mapping[str, str] | None = None
) -> Settings:
    """The settings that a manifest asks for.

    Args:
        manifest: the node's manifest.
        folder: the working folder.
        key: the call's key, from `call_key`.
        upstreams: base URLs that replace the manifest's, by resource name: to run against an upstream of your own.
    """
    declared = {r.name: r.url for r in manifest.resource if r.kind.value == "http" and r.url is not None}
    return Settings(
        folder=folder,
        grants=manifest_grants(manifest),
        upstreams=declared | dict(upstreams or {}),
        paths={r.name: r.path for r in manifest.resource if r.kind.value in {"db", "blob"} and r.path is not None},
        tokens=manifest.budget.tokens,
        money_micros=manifest.budget.money_micros,
        key=key,
        retention=manifest.idempotency.retention if manifest.idempotency else 86_400.0,
    )


def call_key(manifest: Manifest, value: object) -> bytes:
    """The idempotency key (C-KEY) of a call with this input, or nothing when the manifest has no `[idempotency]`.

    Args:
        manifest: the node's manifest.
        value: the input as JSON data: maps, lists, text, numbers.

    Raises:
        LookupError: the input has no field at one of the key's paths.
        ValueError: a field has no deterministic encoding.
    """
    if manifest.idempotency is None:
        return b""
    from certify.key import idempotency_key
    from certify.manifest.paths import select

    idempotency = manifest.idempotency
    partition = "" if idempotency.partition is None else select(value, idempotency.partition)
    return idempotency_key(
        idempotency.flow,
        manifest.node.id,
        partition if isinstance(partition, str) else str(partition),
        {path: select(value, path) for path in idempotency.key},
    )


class Grants:
    """Answers whether a use is declared, and says what to add to the manifest when it is not."""

    def __init__(self, grants: tuple[Grant, ...]) -> None:
        self._grants = grants

    def allows(self, kind: str) -> bool:
        """Whether any resource of this kind is declared."""
        return any(grant.kind == kind for grant in self._grants)

    def require(self, kind: str, name: str, mode: Access, use: str) -> None:
        """Let a declared use pass.

        Args:
            kind: the resource's kind.
            name: its name; empty for the kinds of which a context has one.
            mode: the mode that the use needs.
            use: what the node did, such as ``kv.put``, for the message.

        Raises:
            CapabilityDenied: no resource declares it; the message says what to write into `node.toml`.
        """
        found = [g for g in self._grants if g.kind == kind and (kind not in NAMED_KINDS or g.name == name)]
        if not found:
            raise CapabilityDenied(
                f"the node used {use} of {_title(kind, name)}, which node.toml does not declare; add\n"
                f'[[resource]]\nname = "{name or kind}"\nkind = "{kind}"\nmode = "{mode}"'
            )
        if mode == "write" and all(grant.mode == "read" for grant in found):
            raise CapabilityDenied(
                f"the node used {use} of {_title(kind, found[0].name)}, which writes, but node.toml declares it with "
                f'mode = "read"; change it to mode = "write", or do not write'
            )

    def require_secret(self, name: str) -> None:
        """Let a declared secret pass.

        Raises:
            CapabilityDenied: no `secrets` resource lists it.
        """
        self.require("secrets", "", "read", f"secrets.get({name!r})")
        if not any(name in grant.variables for grant in self._grants if grant.kind == "secrets"):
            raise CapabilityDenied(
                f"the node read the secret {name!r}, which no secrets resource of node.toml lists; add it to that "
                f'resource: variables = ["{name}"]'
            )


def _title(kind: str, name: str) -> str:
    return f"{kind} `{name}`" if name else kind
