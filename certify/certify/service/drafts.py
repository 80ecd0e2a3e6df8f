"""Drafts: submissions being put together by several hands.

Rules this module keeps:

- a draft changes by compare-and-swap on its version; a change based on an older one is merged or is a conflict, and
  nothing is lost silently;
- status: the last write wins, as long as neither of two changes is critical; artefacts: union; context: deep merge of
  keys that do not overlap;
- a critical status (`published`, `withdrawn`) is never merged: a person looks at both;
- everything here is pure.
"""

from __future__ import annotations

import random
import re
import secrets
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from certify.registry.entries import DIGEST
from certify.registry.errors import MALFORMED, Conflict, wrong
from certify.registry.sql import Record
from certify.releases import NODE_ID, precedence
from certify.service.errors import PERSON, Declined

KIND: Final = "draft"
OPEN, READY, PUBLISHED, WITHDRAWN = "open", "ready", "published", "withdrawn"
STATUSES: Final = (OPEN, READY, PUBLISHED, WITHDRAWN)
CRITICAL: Final = frozenset({PUBLISHED, WITHDRAWN})
RETRIES: Final = 3
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_DEEPEST: Final = 8
_MOST: Final = 500

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Change:
    """What somebody changes in a draft.

    Attributes:
        status: the new status; empty to leave it.
        artefacts: digests by name, to be added.
        context: a map whose leaves are set; leaves that are not named stay.
    """

    status: str = ""
    artefacts: Mapping[str, str] = field(default_factory=dict)
    context: Mapping[str, Any] = field(default_factory=dict)


class Overlap(Conflict):
    """A change that cannot be merged with what was changed since.

    Attributes:
        paths: what both have changed.
    """

    def __init__(self, item: str, expected: int, actual: int, paths: tuple[str, ...]) -> None:
        super().__init__(item, expected, actual)
        self.paths = paths


def demand_change(change: Change) -> None:
    """Refuse a change that is none.

    Raises:
        RequestError: REG009.
    """
    if change.status and change.status not in {OPEN, READY, WITHDRAWN}:
        raise wrong(MALFORMED, f"a draft cannot be made {change.status!r}", fix="write open, ready or withdrawn")
    for name, digest in change.artefacts.items():
        if not _NAME.fullmatch(name) or not DIGEST.fullmatch(digest):
            raise wrong(MALFORMED, f"the artefact {name[:80]!r} is not a name with a digest")
    if len(list(leaves(change.context))) > _MOST:
        raise wrong(MALFORMED, f"a context has at most {_MOST} values")


def leaves(context: Mapping[str, Any], above: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """The values of a nested map that are no maps, with their paths.

    Raises:
        RequestError: REG009, a key holds a line break, or the map is nested too deep.
    """
    if len(above) > _DEEPEST:
        raise wrong(MALFORMED, f"a context nests at most {_DEEPEST} deep")
    for key, value in context.items():
        if not key or "\n" in key or len(key) > 200:
            raise wrong(MALFORMED, "a key of a context is 1 to 200 characters in one line")
        if isinstance(value, Mapping) and value:
            yield from leaves(value, (*above, key))
        else:
            yield (*above, key), value


def merged(draft: Record, change: Change, expected: int, at: str, *, merge: bool) -> Record:
    """The draft with the change in it.

    Args:
        draft: the draft as it stands.
        change: what to change.
        expected: version that the change is based on.
        at: the moment.
        merge: whether to merge with what was changed since; otherwise that is a conflict.

    Raises:
        Conflict: REG026, the draft is at another version, and must not or cannot be merged.
        Declined: SRV010, two changes of status of which one is critical.
    """
    item = f"{KIND} {draft.id}"
    touched: dict[str, int] = dict(draft.data["touched"])
    if expected > draft.version or (expected != draft.version and not merge):
        raise Conflict(item, expected, draft.version)
    if draft.state in CRITICAL:
        if change.status and change.status != draft.state:
            raise person(draft, change.status)
        raise Conflict(item, expected, draft.version)
    newer = {path for path, version in touched.items() if version > expected}
    if change.status in CRITICAL and "status" in newer and change.status != draft.state:
        raise person(draft, change.status)
    artefacts = dict(draft.data["artefacts"])
    context: dict[str, Any] = draft.data["context"]
    overlaps = []
    mine = {"status"} if change.status else set()
    for name, digest in change.artefacts.items():
        path = f"artefacts\n{name}"
        if path in newer and artefacts.get(name) != digest:
            overlaps.append(path)
        artefacts[name] = digest
        mine.add(path)
    for steps, value in leaves(change.context):
        path = "\n".join(("context", *steps))
        if _differs(context, steps, value) and any(_overlap(path, other) for other in newer):
            overlaps.append(path)
        context = _set(context, steps, value)
        mine.add(path)
    if overlaps:
        raise Overlap(item, expected, draft.version, tuple(path.replace("\n", ".") for path in overlaps))
    kept = {path: version for path, version in touched.items() if not any(_overlap(path, own) for own in mine)}
    after = kept | dict.fromkeys(mine, draft.version + 1)
    return draft.changed(at, state=change.status or None, artefacts=artefacts, context=context, touched=after)


def new_id() -> str:
    """An id for a draft."""
    return secrets.token_hex(12)


def begun(identity: str, node: str, release: str, owner: str, context: Mapping[str, Any], at: str) -> Record:
    """A draft to begin with.

    Raises:
        RequestError: REG009, node or version is none.
    """
    if not NODE_ID.fullmatch(node):
        raise wrong(MALFORMED, f"{node!r} is not a node's id")
    try:
        precedence(release)
    except ValueError as error:
        raise wrong(MALFORMED, str(error)) from None
    data = {"node": node, "release": release, "artefacts": {}, "context": dict(context), "touched": {}}
    return Record(KIND, identity, owner, OPEN, at=at, data=data)


def conflict(draft: Record, expected: int) -> Conflict:
    """The draft is at another version than expected."""
    return Conflict(f"{KIND} {draft.id}", expected, draft.version)


def person(draft: Record, wanted: str) -> Declined:
    """Two changes of a status of which one is critical: a person looks at both."""
    return Declined(
        409,
        PERSON,
        f"{KIND} {draft.id} is {draft.state}, and was to become {wanted}",
        because=f"somebody changed its status at version {draft.version}",
        action="merge",
        item=draft.id,
    )


def _overlap(one: str, other: str) -> bool:
    """Whether one path is the other, or lies in it."""
    return one == other or one.startswith(other + "\n") or other.startswith(one + "\n")


def _differs(context: Mapping[str, Any], steps: tuple[str, ...], value: Any) -> bool:
    found: Any = context
    for step in steps:
        if not isinstance(found, Mapping) or step not in found:
            return True
        found = found[step]
    return bool(found != value)


def _set(context: Mapping[str, Any], steps: tuple[str, ...], value: Any) -> dict[str, Any]:
    first, *rest = steps
    if not rest:
        return {**context, first: value}
    below = context.get(first)
    return {**context, first: _set(below if isinstance(below, Mapping) else {}, tuple(rest), value)}


async def retried(
    attempt: Callable[[], Awaitable[T]],
    sleep: Callable[[float], Awaitable[object]],
    *,
    retries: int = RETRIES,
    first: float = 0.05,
    chance: Callable[[], float] = random.random,
) -> T:
    """What the attempt gives, repeated after a conflict: pauses double, and are drawn from their upper half.

    Args:
        attempt: looks at the item as it stands and changes it.
        sleep: waits.
        retries: how often to repeat.
        first: the first pause, in seconds.
        chance: a number from 0 to below 1.

    Raises:
        Conflict: of the last attempt.
    """
    for number in range(retries):
        try:
            return await attempt()
        except Conflict:
            await sleep(first * 2**number * (0.5 + chance() / 2))
    return await attempt()


def shown(draft: Record) -> dict[str, Any]:
    """The draft as data."""
    data = {key: value for key, value in draft.data.items() if key != "touched"}
    return {
        "id": draft.id,
        "owner": draft.owner,
        "status": draft.state,
        "version": draft.version,
        "changed": draft.at,
        **data,
    }
