"""Whether an effect is declared: the manifest's resources against effects of the text and of the runs.

Rules this module keeps:

- a resource covers an effect of its own kind and target, in its mode or a weaker one; writing includes reading;
- direct use of a declared upstream, database or folder counts as use of that resource;
- `fs` without a path covers the working folder, never an absolute path; `network` covers every address.
"""

from __future__ import annotations

import posixpath
from typing import Final

from certify.analysis.model import Effect, Kind
from certify.analysis.observed import Seen, declared_address
from certify.manifest.model import Effects, Mode, Resource, ResourceKind

#: Kinds that are only there or not there; their mode says nothing.
MODELESS: Final = frozenset(
    {
        ResourceKind.CLOCK,
        ResourceKind.RANDOM,
        ResourceKind.SECRETS,
        ResourceKind.LOG,
        ResourceKind.BUDGET,
        ResourceKind.PROCESS,
    }
)
_SCRATCH: Final = "/tmp/"  # noqa: S108 - the scratch folder inside the sandbox, not this machine's
_FILES: Final = frozenset({ResourceKind.FS, ResourceKind.DB, ResourceKind.BLOB})


def touches(resource: Resource, effect: Effect | Seen) -> bool:
    """Whether an effect is use of this resource, in whatever mode."""
    if effect.call.startswith("ctx.") or effect.resource:
        if effect.kind.resource is not resource.kind:
            return False
        if effect.kind is Kind.SECRETS and resource.variables and effect.target:
            return effect.target in resource.variables
        named = effect.kind in {Kind.HTTP, Kind.KV, Kind.BLOB, Kind.DB}
        return not named or not effect.resource or effect.resource == resource.name
    match effect.kind:
        case Kind.NETWORK:
            return _covers_address(resource, effect.target)
        case Kind.FS:
            return resource.kind in _FILES and _covers_path(resource, effect.target)
        case Kind.DB:
            return resource.kind is ResourceKind.DB and _covers_path(resource, effect.target)
        case Kind.ENV:
            if resource.kind is not ResourceKind.ENV:
                return False
            return not resource.variables or not effect.target or effect.target in resource.variables
        case _:
            return effect.kind.resource is resource.kind


def allows(resource: Resource, effect: Effect | Seen) -> bool:
    """Whether the resource's mode is enough for the effect."""
    return resource.kind in MODELESS or effect.mode is Mode.READ or resource.mode is Mode.WRITE


def is_connection(effect: Effect | Seen) -> bool:
    """Whether it only connects: what is sent over a connection shows in the request, which is judged by itself."""
    return isinstance(effect, Seen) and effect.kind is Kind.NETWORK and effect.via <= {"audit", "kernel", "call"}


def _covers_address(resource: Resource, target: str) -> bool:
    if resource.kind is ResourceKind.NETWORK:
        return True
    if resource.kind is not ResourceKind.HTTP:
        return False
    address = declared_address(resource)
    return not target or target in {address, address.rpartition(":")[0]}


def _covers_path(resource: Resource, target: str) -> bool:
    if not target:
        return True
    if resource.path is None:
        if resource.kind is ResourceKind.DB:
            return target == f"{resource.name}.sqlite3"
        outside = target == ".." or target.startswith(("/", "../"))
        return resource.kind is ResourceKind.FS and (not outside or target.startswith(_SCRATCH))
    home = posixpath.normpath(resource.path)
    return target == home or target.startswith(home + "/") or home == "."


def effects_class(kind: Kind, mode: Mode) -> Effects:
    """The class that one effect alone makes a node.

    What a node reads of the world, the clock and random numbers included, makes it read-only: called twice, it may
    answer twice differently. Logging, threads and its own budget leave it pure: no answer hangs on them.
    """
    if kind in {Kind.LOG, Kind.THREAD, Kind.BUDGET}:
        return Effects.PURE
    if kind in {Kind.CLOCK, Kind.RANDOM, Kind.SECRETS} or mode is Mode.READ:
        return Effects.READ_ONLY
    return Effects.EFFECTFUL
