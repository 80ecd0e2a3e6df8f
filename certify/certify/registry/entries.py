"""Log entries: what was decided, as canonical bytes, and what they leave behind.

Rules this module keeps:

- an entry is a canonical CBOR map with a `kind` and a `schema`; `read` accepts exactly what `write` gives;
- an entry names every blob it rests on by digest, and carries the public key that its envelope verifies with;
- the registry's tables are a projection of the log: `Ledger` computes them from the entries alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from enum import StrEnum
from typing import Any, Final

from certify.codec import EncodingError, decode, encode
from certify.evidence.keys import PublicKey
from certify.policy.waivers import Waiver
from certify.releases import NODE_ID, precedence
from certify.times import read_time

SCHEMA: Final = 1
DIGEST: Final = re.compile(r"[0-9a-f]{64}")


class EntryError(ValueError):
    """Bytes are not a log entry, or an entry cannot follow on those before it."""


class Status(StrEnum):
    """Where a release stands."""

    SUBMITTED = "submitted"
    CERTIFIED = "certified"
    APPROVED = "approved"
    REJECTED = "rejected"
    REVOKED = "revoked"

    @property
    def next(self) -> frozenset[Status]:
        """The statuses that a decision may give it."""
        return _NEXT[self]


_NEXT: Final[Mapping[Status, frozenset[Status]]] = {
    Status.SUBMITTED: frozenset({Status.CERTIFIED, Status.REJECTED}),
    Status.CERTIFIED: frozenset({Status.APPROVED, Status.REJECTED, Status.REVOKED}),
    Status.APPROVED: frozenset({Status.REVOKED}),
    Status.REJECTED: frozenset(),
    Status.REVOKED: frozenset(),
}


@dataclass(frozen=True, slots=True)
class Published:
    """A release was let in.

    Attributes:
        at: when, RFC 3339 in UTC.
        node: the node's id.
        release: the node's version.
        subject: digest of the subject.
        evidence: digest of the evidence.
        envelope: digest of the DSSE envelope.
        signer: who signed it.
        artefacts: digests of blobs that go by a name (``sbom``, ``report``, ``manifest`` …).
        references: digests of the further blobs, which the evidence names; in order.
        verdicts: verdict names by check.
    """

    at: str
    node: str
    release: str
    subject: str
    evidence: str
    envelope: str
    signer: PublicKey
    artefacts: Mapping[str, str]
    references: tuple[str, ...]
    verdicts: Mapping[str, str]

    @property
    def blobs(self) -> frozenset[str]:
        """Every digest that it rests on."""
        return frozenset({self.evidence, self.envelope, *self.artefacts.values(), *self.references})


@dataclass(frozen=True, slots=True)
class WaiverGranted:
    """A waiver was accepted; `envelope` is the digest of its DSSE envelope, and the waiver's id."""

    at: str
    node: str
    waiver: Waiver
    envelope: str
    signer: PublicKey

    @property
    def blobs(self) -> frozenset[str]:
        """Every digest that it rests on."""
        return frozenset({self.envelope})


@dataclass(frozen=True, slots=True)
class Decided:
    """A release's status was changed by a signed decision.

    Attributes:
        evidence: digest of the evidence that was looked at.
        status: the new status.
        version: version of the release that the decision was based on.
        reason: why.
    """

    at: str
    node: str
    release: str
    evidence: str
    status: Status
    version: int
    reason: str
    envelope: str
    signer: PublicKey

    @property
    def blobs(self) -> frozenset[str]:
        """Every digest that it rests on."""
        return frozenset({self.envelope})


Entry = Published | WaiverGranted | Decided

_KINDS: Final[Mapping[str, type[Entry]]] = {"publish": Published, "waive": WaiverGranted, "decision": Decided}


def kind(entry: Entry) -> str:
    """The entry's kind: publish, waive or decision."""
    return next(name for name, cls in _KINDS.items() if isinstance(entry, cls))


def write(entry: Entry) -> bytes:
    """The entry's canonical bytes.

    Raises:
        EncodingError: a text in it is not in Normalization Form C, or an integer is too large.
    """
    data: dict[str, Any] = {"kind": kind(entry), "schema": SCHEMA}
    for name in (f.name for f in fields(entry)):
        value: Any = getattr(entry, name)
        match value:
            case PublicKey():
                value = {"key": value.key_id, "public": value.raw}
            case Waiver():
                value = value.to_data()
            case Status():
                value = value.value
            case _:
                pass
        data[name] = value
    return encode(data)


def read(data: bytes) -> Entry:
    """The entry whose canonical bytes are `data`.

    Raises:
        EntryError: they are not those of an entry.
    """
    try:
        value = decode(data)
    except EncodingError as error:
        raise EntryError(f"not canonical: {error.reason}") from None
    if not isinstance(value, dict) or value.get("schema") != SCHEMA or value.get("kind") not in _KINDS:
        raise EntryError("it has no known kind and schema")
    cls = _KINDS[value.pop("kind")]
    del value["schema"]
    if set(value) != {f.name for f in fields(cls)}:
        raise EntryError("it has other keys than its kind has")
    return cls(**{name: _field(name, member) for name, member in value.items()})


def _field(name: str, value: Any) -> Any:
    match name:
        case "signer":
            return _signer(value)
        case "waiver" if isinstance(value, dict):
            return _or_invalid(Waiver.from_data, value)
        case "status" if isinstance(value, str):
            return _or_invalid(Status, value)
        case "version" if type(value) is int and value >= 1:
            return value
        case "artefacts" if _is_text_map(value):
            return {key: _digest(digest) for key, digest in value.items()}
        case "verdicts" if _is_text_map(value):
            return value
        case "references" if isinstance(value, list):
            return tuple(_digest(digest) for digest in value)
        case "subject" | "evidence" | "envelope":
            return _digest(value)
        case "at" if isinstance(value, str):
            _or_invalid(read_time, value)
            return value
        case "release" if isinstance(value, str):
            _or_invalid(precedence, value)
            return value
        case "node" if isinstance(value, str) and NODE_ID.fullmatch(value):
            return value
        case "reason" if isinstance(value, str):
            return value
        case _:
            raise EntryError(f"its {name} is malformed")


def _or_invalid(parse: Any, value: Any) -> Any:
    try:
        return parse(value)
    except ValueError as error:
        raise EntryError(str(error)) from None


def _signer(value: Any) -> PublicKey:
    match value:
        case {"key": key, "public": bytes(public), **rest} if not rest and len(public) == 32:
            signer = PublicKey(public)
            if signer.key_id == key:
                return signer
        case _:
            pass
    raise EntryError("its signer is malformed, or its id is another key's")


def _digest(value: Any) -> str:
    if not isinstance(value, str) or not DIGEST.fullmatch(value):
        raise EntryError("a digest in it is malformed")
    return value


def _is_text_map(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(v, str) for v in value.values())


@dataclass(frozen=True, slots=True)
class Release:
    """One release of a node as it stands.

    Attributes:
        node: the node's id.
        release: the node's version.
        subject: digest of the subject.
        evidence: digest of the evidence.
        entry: number of the log entry that let it in.
        status: where it stands.
        version: how many entries have shaped it; the counter that compare-and-swap goes by.
    """

    node: str
    release: str
    subject: str
    evidence: str
    entry: int
    status: Status
    version: int

    @property
    def name(self) -> str:
        """``node@release``."""
        return f"{self.node}@{self.release}"

    @classmethod
    def of(cls, number: int, entry: Published) -> Release:
        """What publishing leaves behind."""
        return cls(entry.node, entry.release, entry.subject, entry.evidence, number, Status.CERTIFIED, 1)

    def decided(self, status: Status) -> Release:
        """What a decision leaves behind."""
        return replace(self, status=status, version=self.version + 1)


@dataclass(slots=True)
class Ledger:
    """The tables as the log has them, computed entry by entry.

    Attributes:
        releases: by node and release.
        waivers: node and entry number by the waiver's id.
        blobs: the digests that entries name.
    """

    releases: dict[tuple[str, str], Release] = field(default_factory=dict)
    waivers: dict[str, tuple[str, int]] = field(default_factory=dict)
    blobs: set[str] = field(default_factory=set)

    def apply(self, number: int, entry: Entry) -> None:
        """Take in one more entry.

        Raises:
            EntryError: it cannot follow on those before it; the ledger is as it was.
        """
        match entry:
            case Published():
                if (entry.node, entry.release) in self.releases:
                    raise EntryError(f"{entry.node}@{entry.release} was published before")
                self.releases[entry.node, entry.release] = Release.of(number, entry)
            case WaiverGranted():
                if entry.envelope in self.waivers or entry.waiver.node != entry.node:
                    raise EntryError("the waiver was granted before, or is another node's")
                self.waivers[entry.envelope] = (entry.node, number)
            case Decided():
                found = self.releases.get((entry.node, entry.release))
                if found is None or found.version != entry.version or entry.status not in found.status.next:
                    raise EntryError(f"the decision on {entry.node}@{entry.release} does not fit its status")
                if found.evidence != entry.evidence:
                    raise EntryError(f"the decision on {entry.node}@{entry.release} is about other evidence")
                self.releases[entry.node, entry.release] = found.decided(entry.status)
        self.blobs |= entry.blobs

    def __iter__(self) -> Iterator[Release]:
        return iter(self.releases.values())
