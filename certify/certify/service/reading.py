"""What pages and the API read: the queue, a node, a release with its evidence, and what changed.

Every function takes an opened `Registry` and gives values; run them with `Desk.read`.

Rules this module keeps:

- nothing here changes anything, and nothing here decides who may see it;
- lists are pages: they end at a limit, and say where the next one begins.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from certify.evidence.bundle import Evidence
from certify.registry import differences, entries
from certify.registry.differences import Change
from certify.registry.entries import Decided, Entry, Published, Release, Status
from certify.registry.errors import MALFORMED, UNKNOWN_NAME, wrong
from certify.registry.registry import LogRecord, Registry, Shown, StoredWaiver, split_name
from certify.registry.sql import MANY, Reader
from certify.releases import precedence
from certify.service import identity

LONGEST_PAGE: Final = 500


@dataclass(frozen=True, slots=True)
class Row:
    """A release in a list.

    Attributes:
        release: the release as it stands.
        at: when it was let in.
        signer: id of the key that signed its evidence.
        author: the user who handed it in; empty when nobody is known.
        verdicts: verdict names by check.
    """

    release: Release
    at: str
    signer: str
    author: str
    verdicts: Mapping[str, str]

    def to_data(self) -> dict[str, Any]:
        """The row as data."""
        return {
            **release_data(self.release),
            "at": self.at,
            "signer": self.signer,
            "author": self.author,
            "verdicts": dict(self.verdicts),
        }


@dataclass(frozen=True, slots=True)
class Page:
    """Some rows of a list; `next` is where the next page begins, 0 when there is none."""

    rows: tuple[Row, ...]
    next: int


@dataclass(frozen=True, slots=True)
class NodeView:
    """A node: its releases by precedence, the newest first, its log entries, and its waivers."""

    node: str
    releases: tuple[Row, ...]
    history: tuple[LogRecord, ...]
    waivers: tuple[StoredWaiver, ...]


@dataclass(frozen=True, slots=True)
class VersionView:
    """A release with everything that a reviewer looks at.

    Attributes:
        shown: the release, its log entry, decisions and receipt.
        evidence: its evidence.
        waivers: the waivers that its evidence rests on.
        authors: the users who handed it in or signed its evidence, who therefore do not approve it.
        previous: the newest earlier release that was approved, or failing that certified; empty when there is none.
    """

    shown: Shown
    evidence: Evidence
    waivers: tuple[StoredWaiver, ...]
    authors: frozenset[str]
    previous: str


def release_data(release: Release) -> dict[str, Any]:
    """A release as data."""
    return {
        "node": release.node,
        "release": release.release,
        "subject": release.subject,
        "evidence": release.evidence,
        "entry": release.entry,
        "status": release.status.value,
        "version": release.version,
    }


def queue(
    registry: Registry, *, status: str = "", text: str = "", before: int = MANY, limit: int = 50
) -> Page:  # fmt: skip
    """Releases, the newest first: those that wait for a review have the status ``certified``.

    Args:
        registry: the registry.
        status: only those with this status; empty for all.
        text: only those whose ``node@release`` holds it.
        before: only those let in before this log entry.
        limit: at most so many.

    Raises:
        RequestError: REG009, there is no such status.
    """
    if status and status not in set(Status):
        raise wrong(MALFORMED, f"there is no status {status!r}", because=f"there are {', '.join(Status)}")
    limit = max(1, min(limit, LONGEST_PAGE))
    with registry.store.read() as view:
        found = view.find_releases(status=status, text=text, before=before, limit=limit + 1)
        rows = tuple(_row(view, release) for release in found[:limit])
    return Page(rows, found[limit - 1].entry if len(found) > limit else 0)


def counts(registry: Registry) -> dict[str, int]:
    """Number of releases by status; every status is named."""
    with registry.store.read() as view:
        found = view.count_releases()
    return {status.value: found.get(status.value, 0) for status in Status}


def node(registry: Registry, name: str) -> NodeView:
    """A node.

    Raises:
        RequestError: REG008, there is none.
    """
    with registry.store.read() as view:
        rows = [_row(view, release) for release in view.releases(name)]
        if not rows and not view.entries_of(name):
            raise wrong(UNKNOWN_NAME, f"the registry has nothing about {name[:200]!r}")
    rows.sort(key=lambda row: precedence(row.release.release), reverse=True)
    return NodeView(name, tuple(rows), registry.history(name), registry.waivers(name))


def version(registry: Registry, name: str) -> VersionView:
    """A release, by ``node@release``.

    Raises:
        RequestError: REG008 unknown, REG009 not a name; REG023 its evidence was changed.
    """
    shown = registry.show(name)
    with registry.store.read() as view:
        known = authors(view, shown.release, shown.published)
        earlier = view.releases(shown.release.node)
    waivers = tuple(w for w in registry.waivers(shown.release.node) if w.id in shown.published.blobs)
    evidence = Evidence.decode(registry.blob(shown.release.evidence))
    return VersionView(shown, evidence, waivers, known, _previous(shown.release, earlier))


def _previous(release: Release, all_of_node: tuple[Release, ...]) -> str:
    here = precedence(release.release)
    earlier = [other for other in all_of_node if precedence(other.release) < here]
    for status in (Status.APPROVED, Status.CERTIFIED):
        held = [other for other in earlier if other.status is status]
        if held:
            return max(held, key=lambda other: precedence(other.release)).name
    return ""


def authors(view: Reader, release: Release, published: Published) -> frozenset[str]:
    """The users who handed a release in, or whose key signed its evidence."""
    handed = view.record("release", release.name)
    found = {identity.owner_of_key(view, published.signer), handed.owner if handed else ""}
    return frozenset(found - {""})


def changes(registry: Registry, old: str, new: str) -> dict[str, tuple[Change, ...]]:
    """What changed between two releases of a node, by section.

    Raises:
        RequestError: REG008 unknown, REG009 no names of releases of one node.
    """
    if split_name(old)[0] != split_name(new)[0]:
        raise wrong(MALFORMED, "the two are releases of different nodes", fix="name two releases of one node")
    before, after = (Evidence.decode(registry.blob(registry.show(name).release.evidence)) for name in (old, new))
    return differences.compare(before, after, registry.blob)


def ends(view: Reader, name: str) -> tuple[Row | None, Row | None]:
    """A node's newest approved release, and its newest one, by precedence; None where there is none."""
    held = sorted(view.releases(name), key=lambda release: precedence(release.release))
    approved = [release for release in held if release.status is Status.APPROVED]
    return (_row(view, approved[-1]) if approved else None, _row(view, held[-1]) if held else None)


def entry_data(entry: Entry) -> dict[str, Any]:
    """A log entry as data for people: keys by their id."""
    said: dict[str, Any] = {"kind": entries.kind(entry), "at": entry.at, "node": entry.node}
    said |= {"signer": entry.signer.key_id, "envelope": entry.envelope}
    match entry:
        case Published():
            said |= {"release": entry.release, "evidence": entry.evidence, "subject": entry.subject}
            said |= {"artefacts": dict(entry.artefacts), "verdicts": dict(entry.verdicts)}
        case Decided():
            said |= {"release": entry.release, "evidence": entry.evidence, "status": entry.status.value}
            said |= {"version": entry.version, "reason": entry.reason}
        case _:
            said |= {"waiver": entry.waiver.to_data()}
    return said


def _row(view: Reader, release: Release) -> Row:
    ((_, data),) = view.entries(release.entry, release.entry + 1)
    published = entries.read(data)
    assert isinstance(published, Published)
    handed = view.record("release", release.name)
    author = handed.owner if handed else identity.owner_of_key(view, published.signer)
    return Row(release, published.at, published.signer.key_id, author, published.verdicts)
