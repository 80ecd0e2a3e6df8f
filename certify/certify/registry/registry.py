"""The registry: releases let in with their evidence, and a log of every decision.

Rules this module keeps:

- every change is one log entry, one new checkpoint and the rows they imply, in one transaction;
- what the caller says of itself is checked before the transaction begins; what others may have changed, within it;
- the registry signs a new tree only after the last checkpoint has been found to fit the tree it extends;
- times come from the clock that was passed in.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Self

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from certify.codec import address
from certify.evidence.keys import KeyPair, PublicKey
from certify.policy.waivers import Candidate, SignedWaiver, Waiver, WaiverError, out_of_scope
from certify.registry import checkpoint, decisions, entries, founding, merkle, submission, waivers
from certify.registry.checkpoint import Checkpoint, CheckpointError, Verifier
from certify.registry.decisions import Decision
from certify.registry.disk import Disk
from certify.registry.entries import Decided, Entry, EntryError, Published, Release, Status, WaiverGranted
from certify.registry.envelopes import SignatureMismatchError, read_evidence, signed_by
from certify.registry.errors import (
    BLOB_DIGEST,
    DAMAGED,
    EXISTS,
    MALFORMED,
    SELF_APPROVAL,
    SIGNATURE,
    STATEMENT,
    TAKEN,
    TRANSITION,
    UNKNOWN_NAME,
    WAIVER,
    Refused,
    VersionTaken,
    from_system,
    reason,
    wrong,
)
from certify.registry.places import Storage, create_store, open_store
from certify.registry.store import Reader, Store, Writer
from certify.registry.submission import Checked, Receipt, Submission
from certify.times import Clock, system_clock, write_time
from certify_spec.diagnostics import RequestError

REPORT = "report"
"""Name of the artefact that people read."""


@dataclass(frozen=True, slots=True)
class LogRecord:
    """One entry of the log, with its number from 0."""

    number: int
    entry: Entry

    @property
    def kind(self) -> str:
        """publish, waive or decision."""
        return entries.kind(self.entry)


@dataclass(frozen=True, slots=True)
class StoredWaiver:
    """A waiver as the registry holds it.

    Attributes:
        id: digest of its signed envelope; how evidence refers to it.
        number: number of its log entry.
        waiver: the waiver.
        signer: the key that signed it.
        at: when it was entered.
    """

    id: str
    number: int
    waiver: Waiver
    signer: PublicKey
    at: str


@dataclass(frozen=True, slots=True)
class Shown:
    """Everything the registry holds about one release.

    Attributes:
        release: the release as it stands.
        published: the log entry that let it in.
        decisions: the decisions on it since, in order.
        receipt: the receipt of its publishing.
    """

    release: Release
    published: Published
    decisions: tuple[LogRecord, ...]
    receipt: Receipt


def split_name(name: str) -> tuple[str, str]:
    """Node and release of ``node@release``.

    Raises:
        RequestError: REG009, it has not that form.
    """
    node, separator, release = name.partition("@")
    if not separator or not node or not release:
        raise wrong(MALFORMED, f"{name!r} is not of the form node@version", fix="write payments/charge@1.2.0")
    return node, release


class Registry:
    """An embedded registry in a folder. Not shared between threads; processes may share the folder.

    Use `create`, `open` or `ensure`; close it, or use it as a context manager.
    """

    def __init__(self, store: Store, verifier: Verifier, clock: Clock) -> None:
        self._store = store
        self._verifier = verifier
        self._key: KeyPair | None = None
        self._clock = clock

    @classmethod
    def create(
        cls,
        folder: Path,
        *,
        clock: Clock = system_clock,
        disk: Disk | None = None,
        storage: Storage = Storage(),  # noqa: B008 - a constant
    ) -> Self:
        """Make an empty registry with a new key, or finish one whose making was interrupted.

        Raises:
            RequestError: REG002 the folder holds something else, REG003 or REG010 it cannot be written.
        """
        disk = disk or Disk()
        try:
            disk.steps("make registry folder")
            folder.mkdir(parents=True, exist_ok=True)
            foreign = {file.name for file in folder.iterdir()} - founding.OWN_NAMES
        except OSError as error:
            raise from_system(error, folder) from error
        if foreign:
            raise wrong(EXISTS, f"{folder} holds other files", because=", ".join(sorted(foreign)[:5]))
        with founding.making(folder):
            if founding.is_made(folder):
                raise wrong(EXISTS, f"{folder} already holds a registry")
            disk.steps("make key")
            key = founding.made_key(folder)
            verifier = Verifier(f"certify-registry/{key.public.key_id[:16]}", key.public.raw)
            create_store(folder, storage, {"verifier": str(verifier)}, at=write_time(clock()), disk=disk).close()
        return cls.open(folder, clock=clock, disk=disk)

    @classmethod
    def open(
        cls,
        folder: Path,
        *,
        clock: Clock = system_clock,
        disk: Disk | None = None,
        busy_seconds: float = 30.0,
        shared: bool = False,
    ) -> Self:
        """Open the registry in `folder`; one without its key, or without write access, can be read.

        Args:
            folder: the registry's folder.
            clock: where times come from.
            disk: how files are changed.
            busy_seconds: how long to wait for another writer.
            shared: whether another thread may close it; only one may use it all the same.

        Raises:
            RequestError: REG001 no registry, REG003 not accessible, REG004 newer schema, REG005 damaged.
        """
        store = open_store(folder, disk=disk, busy_seconds=busy_seconds, shared=shared)
        try:
            with store.read() as view:
                verifier = _read_verifier(view)
        except BaseException:
            store.close()
            raise
        return cls(store, verifier, clock)

    @classmethod
    def ensure(cls, folder: Path, *, clock: Clock = system_clock, disk: Disk | None = None) -> Self:
        """Open the registry in `folder`, making it if there is none."""
        if not founding.is_made(folder):
            try:
                return cls.create(folder, clock=clock, disk=disk)
            except RequestError:
                if not founding.is_made(folder):  # otherwise somebody else was quicker
                    raise
        return cls.open(folder, clock=clock, disk=disk)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the folder."""
        self._store.close()

    @property
    def folder(self) -> Path:
        """Where the registry lies."""
        return self._store.folder

    @property
    def verifier(self) -> Verifier:
        """The public side of the registry's key; `str()` of it is what others keep."""
        return self._verifier

    @property
    def store(self) -> Store:
        """Where everything rests; for what the service keeps beside the log."""
        return self._store

    # Changes

    def publish(self, handed_in: Submission | Checked) -> Receipt:
        """Let a release in. The same subject again gives the first receipt again, and changes nothing.

        Args:
            handed_in: the submission, or one that `submission.checked` has found nothing wrong with.

        Raises:
            VersionTaken: REG025, the release exists with another subject.
            Refused: REG020 to REG024, REG028 and REG029, every reason why the submission does not hold; REG027 the
                release was rejected or revoked.
            RequestError: REG003, REG005, REG006, REG007 or REG010; nothing was changed.
        """
        handed_in = (submission.checked(handed_in) if isinstance(handed_in, Submission) else handed_in).submission
        with self._store.write() as view:
            found = view.release(handed_in.node, handed_in.release)
            if found is not None:
                _demand_same_release(found, handed_in)
                return self._receipt(view, found.entry)
            now = self._clock()
            self._demand_waivers(view, handed_in, now)
            view.put_blobs(handed_in.stored)
            published = _published_at(handed_in, now)
            number = self._append(view, published)
            view.add_release(Release.of(number, published))
            return self._receipt(view, number, appended=True)

    def waive(self, envelope: bytes, signer: PublicKey) -> Receipt:
        """Accept a signed waiver: an envelope that `waivers.sign` gives.

        The same envelope again gives the first receipt again.

        Raises:
            Refused: REG021 the signature does not verify, REG022 it is no waiver, REG028 it cannot be accepted.
            RequestError: as `publish`.
        """
        waiver, now = _granted(envelope, signer), self._clock()
        if why := waivers.untimely(waiver, now):
            raise Refused(reason(WAIVER, f"the waiver of {waiver.code} cannot be entered", because=why))
        identity = address(envelope)
        with self._store.write() as view:
            known = dict(view.waivers(waiver.node))
            if identity in known:
                return self._receipt(view, known[identity])
            view.put_blobs({identity: envelope})
            number = self._append(view, WaiverGranted(write_time(now), waiver.node, waiver, identity, signer))
            view.add_waiver(identity, waiver.node, number)
            return self._receipt(view, number, appended=True)

    def decide(self, envelope: bytes, signer: PublicKey) -> Receipt:
        """Carry out a signed decision: an envelope that `decisions.sign` gives.

        Raises:
            Conflict: REG026, the release is at another version than the decision is based on.
            Refused: REG021, REG022 as for waivers, or about other evidence; REG027 the status cannot follow; REG030
                the approval is by a key that signed the evidence.
            RequestError: REG008 no such release; otherwise as `publish`.
        """
        decision = _decision(envelope, signer)
        identity = address(envelope)
        with self._store.write() as view:
            found = _existing(view, decision.node, decision.release)
            # First, so that a decision from a stale page is told so, whatever else is wrong with it.
            view.swap_release(found.decided(decision.status), decision.version)
            if decision.evidence != found.evidence:
                raise Refused(reason(STATEMENT, f"the decision on {found.name} is about other evidence"))
            if decision.status not in found.status.next:
                because = f"from {found.status} it can become: {', '.join(sorted(found.status.next)) or 'nothing'}"
                raise Refused(reason(TRANSITION, f"{found.name} cannot become {decision.status}", because=because))
            if decision.status is Status.APPROVED:
                self._demand_other_key(view, found, signer)
            view.put_blobs({identity: envelope})
            number = self._append(
                view,
                Decided(
                    at=write_time(self._clock()),
                    node=decision.node,
                    release=decision.release,
                    evidence=decision.evidence,
                    status=decision.status,
                    version=decision.version,
                    reason=decision.reason,
                    envelope=identity,
                    signer=signer,
                ),
            )
            return self._receipt(view, number, appended=True)

    @staticmethod
    def read_decision(envelope: bytes, signer: PublicKey) -> Decision:
        """The decision in a signed envelope.

        Raises:
            Refused: REG021 the signature does not verify, REG022 it holds no decision.
        """
        return _decision(envelope, signer)

    @staticmethod
    def read_waiver(envelope: bytes, signer: PublicKey) -> Waiver:
        """The waiver in a signed envelope.

        Raises:
            Refused: REG021 the signature does not verify, REG022 it holds no waiver, REG028 it cannot be accepted.
        """
        return _granted(envelope, signer)

    # Questions

    def list_nodes(self) -> Mapping[str, tuple[Release, ...]]:
        """All releases by node, nodes by name, releases in the order of publishing."""
        with self._store.read() as view:
            releases = view.releases()
        nodes: dict[str, list[Release]] = {}
        for release in releases:
            nodes.setdefault(release.node, []).append(release)
        return {node: tuple(nodes[node]) for node in sorted(nodes)}

    def listed(self) -> tuple[tuple[Release, str], ...]:
        """All releases with the time of publishing, nodes by name."""
        with self._store.read() as view:
            found = [(release, _published(view, release).at) for release in view.releases()]
        return tuple(sorted(found, key=lambda pair: (pair[0].node, pair[0].entry)))

    @staticmethod
    def demand_name(name: str) -> None:
        """Refuse what is no ``node@release``.

        Raises:
            RequestError: REG009.
        """
        split_name(name)

    def history(self, node: str) -> tuple[LogRecord, ...]:
        """The log's entries about one node, in order.

        Raises:
            RequestError: REG008, there is none.
        """
        with self._store.read() as view:
            found = view.entries_of(node)
        if not found:
            raise wrong(UNKNOWN_NAME, f"the log has nothing about {node!r}")
        return tuple(_record(number, data) for number, data in found)

    def show(self, name: str) -> Shown:
        """One release, by ``node@release``.

        Raises:
            RequestError: REG008 unknown, REG009 not a name.
        """
        node, release = split_name(name)
        with self._store.read() as view:
            found = _existing(view, node, release)
            records = [_record(number, data) for number, data in view.entries_of(node)]
            receipt = self._receipt(view, found.entry)
            published = _published(view, found)
        decided = tuple(r for r in records if isinstance(r.entry, Decided) and r.entry.release == release)
        return Shown(found, published, decided, receipt)

    def find(self, node: str, release: str) -> Release | None:
        """One release as it stands, if there is one."""
        with self._store.read() as view:
            return view.release(node, release)

    def blob(self, digest: str) -> bytes:
        """A blob's bytes, after comparing them with their digest.

        Raises:
            RequestError: REG008 not there, REG009 not a digest, REG023 the bytes are not those of the digest.
        """
        try:
            data = self._store.blobs.read(digest)
        except ValueError as error:
            raise wrong(MALFORMED, str(error)) from None
        except OSError as error:
            raise from_system(error, self.folder) from error
        if data is None:
            raise wrong(UNKNOWN_NAME, f"there is no blob {digest}")
        if address(data) != digest:
            raise wrong(
                BLOB_DIGEST, f"the bytes of blob {digest} were changed", fix="run `certify registry verify-log`"
            )
        return data

    def blob_path(self, digest: str) -> Path:
        """Where a blob lies if it is there, in a registry whose blobs are files.

        Raises:
            RequestError: REG009, not a digest; REG008, its blobs are no files.
        """
        try:
            found = self._store.blobs.file(digest)
        except ValueError as error:
            raise wrong(MALFORMED, str(error)) from None
        if found is None:
            raise wrong(UNKNOWN_NAME, f"the blob {digest} is no file here", fix="ask for its bytes")
        return found

    def where(self, digest: str) -> str:
        """Where a blob can be had, for people."""
        found = self._store.blobs.file(digest)
        return str(found) if found is not None else f"blob {digest}"

    def log(self, start: int = 0, stop: int | None = None) -> tuple[LogRecord, ...]:
        """The log's entries from `start` to before `stop`."""
        with self._store.read() as view:
            return tuple(_record(number, data) for number, data in view.entries(start, stop))

    def waivers(self, node: str | None = None) -> tuple[StoredWaiver, ...]:
        """All waivers, or those for one node, expired ones too, in order."""
        with self._store.read() as view:
            found = view.waivers(node)
            records = [(identity, _entry(view, number)) for identity, number in found]
        return tuple(_stored(identity, record) for identity, record in records)

    def valid_waivers(self, node: str, release: str, subject: str) -> tuple[StoredWaiver, ...]:
        """The waivers that cover this release or this subject now, by the registry's clock."""
        candidate, now = Candidate(node, release, subject), self._clock()
        return tuple(stored for stored in self.waivers(node) if not out_of_scope(stored.waiver, candidate, now))

    def signed_waiver(self, stored: StoredWaiver) -> SignedWaiver:
        """A stored waiver with its envelope, after the signature has been verified again.

        Raises:
            Refused: REG021 the signature does not verify, REG022 something else was signed than the log says.
            RequestError: REG008 the envelope is missing, REG023 it was changed.
        """
        envelope = self.blob(stored.id)
        if _granted(envelope, stored.signer) != stored.waiver:
            raise Refused(reason(STATEMENT, f"the waiver {stored.id} is not the one that was signed"))
        return SignedWaiver(stored.waiver, envelope, stored.signer.key_id)

    def checkpoint(self) -> str | None:
        """The newest signed checkpoint; None while the log is empty. Keep it elsewhere to detect a rollback."""
        with self._store.read() as view:
            size = view.size()
            return view.checkpoint(size) if size else None

    def receipt(self, number: int) -> Receipt:
        """The receipt of an entry, as it was handed out.

        Raises:
            RequestError: REG008, there is no such entry.
        """
        with self._store.read() as view:
            if not 0 <= number < view.size():
                raise wrong(UNKNOWN_NAME, f"the log has no entry {number}")
            return self._receipt(view, number)

    def inclusion_proof(self, number: int, size: int) -> tuple[bytes, ...]:
        """Proof that the log of `size` entries holds entry `number`; for `merkle.verify_inclusion`.

        Raises:
            RequestError: REG008, the log has never had such an entry at that size.
        """
        with self._store.read() as view:
            if not 0 <= number < size <= view.size():
                raise wrong(UNKNOWN_NAME, f"the log of {size} entries has no entry {number}")
            return merkle.inclusion_proof(number, size, view.subtree)

    def checkpoint_at(self, size: int) -> str:
        """The signed checkpoint of an earlier size.

        Raises:
            RequestError: REG008, the log has not had that size.
        """
        with self._store.read() as view:
            if not 0 < size <= view.size():
                raise wrong(UNKNOWN_NAME, f"the log has not had {size} entries")
            return view.checkpoint(size)

    def raw_entries(self, start: int = 0, stop: int | None = None) -> tuple[tuple[int, bytes], ...]:
        """The log's entries as they are stored, with their numbers."""
        with self._store.read() as view:
            return view.entries(start, stop)

    def consistency_proof(self, old: int, new: int) -> tuple[bytes, ...]:
        """Proof that the log of `new` entries begins with that of `old`; for `merkle.verify_consistency`.

        Raises:
            RequestError: REG008, the log has never had such sizes.
        """
        with self._store.read() as view:
            if not 0 <= old <= new <= view.size():
                raise wrong(UNKNOWN_NAME, f"the log has not gone from {old} to {new} entries")
            return merkle.consistency_proof(old, new, view.subtree)

    # Parts

    def _append(self, view: Writer, entry: Entry) -> int:
        """Add an entry and a checkpoint over the tree it makes; returns the entry's number."""
        size = view.size()
        tree = merkle.frontier(size, view.subtree)
        if size:
            self._demand_checkpoint(view, size, tree.root())
        data = entries.write(entry)
        leaf = merkle.leaf_hash(data)
        grown, made = tree.append(leaf)
        note = checkpoint.sign(Checkpoint(self._verifier.origin, grown.size, grown.root()), self._signing_key())
        view.append(size, node=entry.node, data=data, leaf=leaf, subtrees=made, note=note)
        release = "" if isinstance(entry, WaiverGranted) else entry.release
        view.add_event(
            entry.at, entries.kind(entry), f"{entry.node}@{release}" if release else entry.node, _told(size, entry)
        )
        return size

    def _demand_checkpoint(self, view: Reader, size: int, root: bytes) -> None:
        try:
            signed = checkpoint.parse(view.checkpoint(size), self._verifier)
        except CheckpointError as error:
            raise wrong(DAMAGED, "the last checkpoint does not hold", because=str(error)) from None
        if (signed.size, signed.root) != (size, root):
            raise wrong(DAMAGED, "the log is not the one that the last checkpoint was signed for")

    def _signing_key(self) -> Ed25519PrivateKey:
        """The registry's key, read when it is first needed: whoever only reads needs none."""
        if self._key is None:
            self._key = founding.own_key(self.folder, self._verifier)
        return self._key.private

    def _receipt(self, view: Reader, number: int, *, appended: bool = False) -> Receipt:
        """The receipt for an entry, always over the tree that ends with it: the same whenever it is asked for."""
        record = _entry(view, number)
        published = record.entry if isinstance(record.entry, Published) else None
        report = published.artefacts.get(REPORT) if published else None
        size = number + 1
        note = view.checkpoint(size)
        try:
            signed = checkpoint.parse(note, self._verifier)
        except CheckpointError as error:
            raise wrong(DAMAGED, f"the checkpoint of size {size} does not hold", because=str(error)) from None
        return Receipt(
            node=record.entry.node,
            release="" if isinstance(record.entry, WaiverGranted) else record.entry.release,
            evidence="" if isinstance(record.entry, WaiverGranted) else record.entry.evidence,
            at=record.entry.at,
            entry=number,
            leaf=view.subtree(0, number),
            size=size,
            root=signed.root,
            proof=merkle.inclusion_proof(number, size, view.subtree),
            checkpoint=note,
            report=self._store.blobs.file(report) if report else None,
            appended=appended,
        )

    def _demand_waivers(self, view: Reader, handed_in: Submission, now: datetime) -> None:
        """Every waiver that the evidence names was granted and is valid now, and every waived verdict follows."""
        evidence = read_evidence(handed_in.blobs[handed_in.evidence])
        numbers, granted = dict(view.waivers(handed_in.node)), {}
        for identity in evidence.waivers:
            if identity in numbers:
                stored = _stored(identity, _entry(view, numbers[identity]))
                granted[identity] = SignedWaiver(stored.waiver, handed_in.blobs[identity], stored.signer.key_id)
        if problems := list(waivers.unjustified(evidence, granted, now)):
            raise Refused(*(reason(WAIVER, f"{handed_in.name}: {problem}") for problem in problems))

    def _demand_other_key(self, view: Reader, found: Release, signer: PublicKey) -> None:
        """Whoever signed the evidence, alone or with others, does not approve it."""
        published = _published(view, found)
        if signer == published.signer or signed_by(self.blob(published.envelope), signer):
            message = f"{found.name} cannot be approved with key {signer.key_id}"
            raise Refused(reason(SELF_APPROVAL, message, because="the same key signed its evidence"))


def _told(number: int, entry: Entry) -> dict[str, Any]:
    """What those who follow are told of an entry."""
    told: dict[str, Any] = {"entry": number, "signer": entry.signer.key_id}
    match entry:
        case Published():
            return told | {"status": Status.CERTIFIED.value, "evidence": entry.evidence, "version": 1}
        case Decided():
            return told | {"status": entry.status.value, "evidence": entry.evidence, "version": entry.version + 1}
        case WaiverGranted():
            return told | {"code": entry.waiver.code}


def _decision(envelope: bytes, signer: PublicKey) -> Decision:
    """The decision in a signed envelope."""
    try:
        return decisions.read(envelope, signer)
    except SignatureMismatchError as error:
        raise Refused(reason(SIGNATURE, "the envelope does not verify", because=str(error))) from None
    except ValueError as error:
        raise Refused(reason(STATEMENT, "the envelope holds no decision", because=str(error))) from None


def _granted(envelope: bytes, signer: PublicKey) -> Waiver:
    """The waiver in a signed envelope."""
    try:
        return waivers.read(envelope, signer).waiver
    except SignatureMismatchError as error:
        raise Refused(reason(SIGNATURE, "the envelope does not verify", because=str(error))) from None
    except WaiverError as error:
        raise waivers.refusal(error) from None
    except ValueError as error:
        raise Refused(reason(STATEMENT, "the envelope holds no waiver", because=str(error))) from None


def _demand_same_release(found: Release, handed_in: Submission) -> None:
    if found.subject != handed_in.subject:
        because = f"it was published with subject {found.subject}, and this is {handed_in.subject}"
        raise VersionTaken(reason(TAKEN, f"{found.name} exists with other content", because=because))
    if found.status in {Status.REJECTED, Status.REVOKED}:
        fix = "repair the node, and give it a new version"
        raise Refused(reason(TRANSITION, f"{found.name} was {found.status}, and stays so", fix=fix))


def _existing(view: Reader, node: str, release: str) -> Release:
    found = view.release(node, release)
    if found is not None:
        return found
    known = ", ".join(other.release for other in view.releases(node))
    because = f"its releases are: {known}" if known else f"no release of {node} was ever published"
    raise wrong(UNKNOWN_NAME, f"there is no release {node}@{release}", because=because)


def _published_at(handed_in: Submission, now: datetime) -> Published:
    """The entry that lets a submission in."""
    return Published(
        at=write_time(now),
        node=handed_in.node,
        release=handed_in.release,
        subject=handed_in.subject,
        evidence=handed_in.evidence,
        envelope=address(handed_in.envelope),
        signer=handed_in.signer,
        artefacts=dict(handed_in.artefacts),
        references=handed_in.references,
        verdicts=dict(handed_in.verdicts),
    )


def _published(view: Reader, found: Release) -> Published:
    """The entry that let a release in."""
    entry = _entry(view, found.entry).entry
    if not isinstance(entry, Published):
        raise wrong(DAMAGED, f"log entry {found.entry} did not publish {found.name}, and the tables say that it did")
    return entry


def _entry(view: Reader, number: int) -> LogRecord:
    for found, data in view.entries(number, number + 1):
        return _record(found, data)
    raise wrong(DAMAGED, f"the log has no entry {number}, which its tables name")


def _record(number: int, data: bytes) -> LogRecord:
    try:
        return LogRecord(number, entries.read(data))
    except EntryError as error:
        raise wrong(DAMAGED, f"log entry {number} cannot be read", because=str(error)) from None


def _stored(identity: str, record: LogRecord) -> StoredWaiver:
    if not isinstance(record.entry, WaiverGranted):
        raise wrong(DAMAGED, f"log entry {record.number} is no waiver, and the tables say that it is {identity}")
    return StoredWaiver(identity, record.number, record.entry.waiver, record.entry.signer, record.entry.at)


def _read_verifier(view: Reader) -> Verifier:
    try:
        return Verifier.from_text(view.setting("verifier"))
    except CheckpointError as error:
        raise wrong(DAMAGED, "the registry does not know its own key", because=str(error)) from None
