"""Verification of a whole registry: everything computed again from the raw storage.

Rules this module keeps:

- nothing stored is believed for being stored: leaf hashes, subtrees, roots, digests, signatures and every row are
  recomputed from the log's bytes and the blobs' bytes, and compared;
- each problem is a diagnostic of its own that names entry and node; one cause is reported where it sits, and what
  merely follows from a blob that is missing or changed is not reported again;
- what a folder cannot show by itself, that it was rolled back or signed anew as a whole with the registry's own key,
  shows against a checkpoint, a verifier key or signers remembered elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from certify.codec import address
from certify.evidence.bundle import Evidence
from certify.evidence.keys import PublicKey
from certify.policy.waivers import SignedWaiver
from certify.registry import checkpoint, decisions, entries, merkle, waivers
from certify.registry.checkpoint import CheckpointError, Verifier
from certify.registry.decisions import Decision
from certify.registry.entries import Decided, Entry, EntryError, Ledger, Published, Release, Status, WaiverGranted
from certify.registry.envelopes import (
    EnvelopeError,
    SignatureMismatchError,
    demand_statement,
    opened,
    read_evidence,
    signed_by,
    verdicts,
)
from certify.registry.errors import NOT_A_REGISTRY, from_system, wrong
from certify.registry.merkle import Frontier
from certify.registry.places import blobs_of, is_placed
from certify.registry.raw import DamageError, RawStorage, Row, load
from certify.registry.store import DATABASE
from certify.registry.submission import ALLOWED
from certify.times import read_time
from certify_spec.diagnostics import Diagnostic, Rule, Severity

_RESTORE: Final = "restore the registry from a backup that verifies"

DATABASE_DAMAGED: Final = Rule("LOG001", "the database file is damaged", _RESTORE)
SCHEMA_ALTERED: Final = Rule("LOG002", "the database's tables or triggers were altered", _RESTORE)
VERIFIER: Final = Rule("LOG003", "the registry's key is not the expected one", "ask who runs the registry for its key")
ENTRY_MISSING: Final = Rule("LOG004", "a log entry is missing", _RESTORE)
ENTRY_CHANGED: Final = Rule("LOG005", "a log entry's bytes do not have its leaf hash", _RESTORE)
ENTRY_UNREADABLE: Final = Rule("LOG006", "a log entry cannot be read", _RESTORE)
ENTRY_IMPOSSIBLE: Final = Rule("LOG007", "a log entry cannot follow on those before it", _RESTORE)
SUBTREE: Final = Rule("LOG008", "a stored subtree hash is not that of the log", _RESTORE)
CHECKPOINT_MISSING: Final = Rule("LOG009", "a checkpoint is missing", _RESTORE)
CHECKPOINT_SIGNATURE: Final = Rule("LOG010", "a checkpoint does not verify", _RESTORE)
CHECKPOINT_ROOT: Final = Rule("LOG011", "the log is not the one that a checkpoint was signed for", _RESTORE)
TRUNCATED: Final = Rule("LOG012", "a checkpoint covers more entries than there are", _RESTORE)
REMEMBERED: Final = Rule("LOG013", "the log does not extend the remembered checkpoint", _RESTORE)
BLOB_MISSING: Final = Rule("LOG020", "a blob that the log names is missing", "restore the blob from a backup")
BLOB_CHANGED: Final = Rule("LOG021", "a blob's bytes do not have its digest", "restore the blob from a backup")
BLOB_UNNAMED: Final = Rule(
    "LOG022", "no log entry names a blob", "nothing relies on it; the next publish may remove it"
)
FORGED: Final = Rule("LOG023", "an envelope's signature does not verify", _RESTORE)
OTHER_STATEMENT: Final = Rule("LOG024", "an envelope does not say what its log entry says", _RESTORE)
OTHER_EVIDENCE: Final = Rule("LOG025", "the evidence does not say what its log entry says", _RESTORE)
UNTRUSTED: Final = Rule("LOG026", "an envelope is signed by a key that is not trusted", "find out whose key it is")
OWN_APPROVAL: Final = Rule("LOG027", "a release was approved with a key that signed its evidence", _RESTORE)
ROW_MISSING: Final = Rule("LOG030", "a table lacks a row that the log implies", _RESTORE)
ROW_UNKNOWN: Final = Rule("LOG031", "a table has a row that the log does not imply", _RESTORE)
ROW_CHANGED: Final = Rule("LOG032", "a table's row says something else than the log", _RESTORE)


@dataclass(frozen=True, slots=True)
class VerificationReport:
    """What verification found.

    Attributes:
        diagnostics: every problem, and notes; in the order of the log.
        entries: log entries read.
        blobs: blobs whose bytes were compared with their digest.
        signatures: envelopes and checkpoints whose signatures were verified.
        root: the log's tree hash, recomputed.
        checkpoint: the newest checkpoint that fits the log, to be remembered elsewhere; empty if there is none.
    """

    diagnostics: tuple[Diagnostic, ...]
    entries: int = 0
    blobs: int = 0
    signatures: int = 0
    root: bytes = field(default_factory=merkle.empty_root)
    checkpoint: str = ""

    @property
    def holds(self) -> bool:
        """Whether nothing is wrong; notes may remain."""
        return all(diagnostic.severity is not Severity.ERROR for diagnostic in self.diagnostics)

    def to_data(self) -> dict[str, Any]:
        """The report as a map."""
        return {
            "holds": self.holds,
            "entries": self.entries,
            "blobs": self.blobs,
            "signatures": self.signatures,
            "root": self.root.hex(),
            "checkpoint": self.checkpoint,
            "diagnostics": [diagnostic.to_data() for diagnostic in self.diagnostics],
        }


def verify_log(
    folder: Path,
    *,
    remembered: str | None = None,
    verifier: Verifier | None = None,
    trusted: Iterable[PublicKey] | None = None,
) -> VerificationReport:
    """Verify a registry's folder; changes nothing in it.

    Args:
        folder: the registry's folder.
        remembered: a checkpoint kept elsewhere, which the log must extend.
        verifier: the registry's key as known from elsewhere; None takes the one in the folder at its word.
        trusted: keys whose signatures count; None takes any key that an entry names.

    Raises:
        RequestError: REG001 the folder holds no registry; REG003, REG006, REG010 it cannot be read at present.
    """
    if not is_placed(folder):
        raise wrong(NOT_A_REGISTRY, f"there is no {DATABASE} in {folder}")
    try:
        raw = load(folder)
    except DamageError as error:
        return VerificationReport((_problem(DATABASE_DAMAGED, f"{folder / DATABASE} is damaged", because=str(error)),))
    blobs = blobs_of(folder)
    try:
        return _Verification(raw, blobs.read, verifier, None if trusted is None else frozenset(trusted)).report(
            remembered, blobs.digests()
        )
    except OSError as error:
        raise from_system(error, folder) from error


def verify_download(
    raw: RawStorage,
    read_blob: Callable[[str], bytes | None],
    *,
    remembered: str | None = None,
    verifier: Verifier | None = None,
    trusted: Iterable[PublicKey] | None = None,
    withheld: Mapping[str, str] | None = None,
) -> VerificationReport:
    """Verify what a service has handed out: entries, newest checkpoint, blobs, and the releases and waivers it lists.

    Subtrees, older checkpoints and the sizes of blobs are the service's own, and are not looked for.

    Args:
        raw: what was downloaded.
        read_blob: the bytes of a blob that was downloaded.
        remembered: a checkpoint kept elsewhere, which the log must extend.
        verifier: the registry's key as known from elsewhere; None takes what was downloaded at its word.
        trusted: keys whose signatures count; None takes any key that an entry names.
        withheld: why the service did not hand out a blob, by its digest.
    """
    known = None if trusted is None else frozenset(trusted)
    return _Verification(raw, read_blob, verifier, known, withheld or {}).report(remembered, None)


class _Verification:
    """One pass over the raw storage; `report` runs its steps in order."""

    def __init__(
        self,
        raw: RawStorage,
        read_blob: Callable[[str], bytes | None],
        verifier: Verifier | None,
        trusted: frozenset[PublicKey] | None,
        withheld: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self._withheld = withheld
        self._raw = raw
        self._read_blob = read_blob
        self._expected_verifier = verifier
        self._trusted = trusted
        self._found: list[Diagnostic] = []
        self._ledger = Ledger()
        self._roots = [merkle.empty_root()]
        self._subtrees: dict[tuple[int, int], bytes] = {}
        self._entries: list[tuple[int, Entry]] = []
        self._published: dict[tuple[str, str], Published] = {}
        self._waivers: dict[str, tuple[int, WaiverGranted]] = {}
        self._sizes: dict[str, int] = {}
        self._signatures = 0
        self._newest = ""

    def report(self, remembered: str | None, stored: Iterable[str] | None) -> VerificationReport:
        """Run every step; `stored` are the blobs that there are, None where only what was asked for was handed out."""
        for name in self._raw.alterations:
            self._say(SCHEMA_ALTERED, f"the {name} is not as this release makes it")
        verifier = self._verifier()
        self._replay_log()
        if stored is not None:
            self._check_subtrees()
        if verifier is not None:
            self._check_checkpoints(verifier, every_size=stored is not None)
            self._check_remembered(remembered, verifier)
        self._check_blobs()
        for number, entry in self._entries:
            self._check_entry(number, entry)
        self._check_rows(sizes=stored is not None)
        self._check_unnamed(stored or ())
        return VerificationReport(
            tuple(self._found),
            entries=len(self._raw.entries),
            blobs=len(self._sizes),
            signatures=self._signatures,
            root=self._roots[-1],
            checkpoint=self._newest,
        )

    def _say(self, rule: Rule, message: str, *, because: str = "", **data: Any) -> None:
        self._found.append(_problem(rule, message, because=because, **data))

    def _verifier(self) -> Verifier | None:
        settings: dict[str, str] = dict(self._raw.settings)
        stored = settings.get("verifier", "")
        if self._expected_verifier is not None and str(self._expected_verifier) != stored:
            self._say(VERIFIER, "the registry signs with another key than expected", because=f"it has {stored}")
            return self._expected_verifier
        try:
            return Verifier.from_text(stored)
        except CheckpointError as error:
            self._say(VERIFIER, "the registry's verifier key cannot be read", because=str(error))
            return None

    def _replay_log(self) -> None:
        """Rebuild tree and tables from the entries, up to the first one that is missing."""
        tree = Frontier()
        for number, node, leaf, data in self._raw.entries:
            if number != tree.size:
                self._say(
                    ENTRY_MISSING,
                    f"log entry {tree.size} is missing",
                    because=f"entry {number} comes next",
                    entry=tree.size,
                )
                return
            computed = merkle.leaf_hash(data)
            if computed != leaf:
                self._say(ENTRY_CHANGED, f"log entry {number} ({node}) was changed", entry=number, node=node)
            tree, made = tree.append(computed)
            self._roots.append(tree.root())
            self._subtrees |= {(subtree.level, subtree.index): subtree.hash for subtree in made if subtree.level}
            self._replay_entry(number, node, data)

    def _replay_entry(self, number: int, node: str, data: bytes) -> None:
        try:
            entry = entries.read(data)
        except EntryError as error:
            self._say(
                ENTRY_UNREADABLE,
                f"log entry {number} ({node}) cannot be read",
                because=str(error),
                entry=number,
                node=node,
            )
            return
        if entry.node != node:
            self._say(
                ROW_CHANGED,
                f"log entry {number} is about {entry.node}, and its row says {node}",
                entry=number,
                node=node,
            )
        try:
            self._ledger.apply(number, entry)
        except EntryError as error:
            self._say(
                ENTRY_IMPOSSIBLE, f"log entry {number} ({node}) cannot be", because=str(error), entry=number, node=node
            )
            return
        self._entries.append((number, entry))
        match entry:
            case Published():
                self._published[entry.node, entry.release] = entry
            case WaiverGranted():
                self._waivers[entry.envelope] = (number, entry)
            case Decided():
                pass

    def _check_subtrees(self) -> None:
        stored = {(level, number): value for level, number, value in self._raw.subtrees}
        for place in sorted(self._subtrees.keys() | stored.keys()):
            level, number = place
            if place not in self._subtrees:
                self._say(
                    SUBTREE, f"the stored hash at level {level}, number {number} is over entries that are not there"
                )
            elif self._subtrees[place] != stored.get(place):
                first, last = number << level, (number + 1 << level) - 1
                self._say(SUBTREE, f"the stored hash over the entries {first} to {last} is not theirs", entry=first)

    def _check_checkpoints(self, verifier: Verifier, *, every_size: bool) -> None:
        """Every size has had its checkpoint, and all of them are about prefixes of this one log."""
        notes: dict[int, str] = dict(self._raw.checkpoints)
        whole = len(self._roots) - 1
        complete = whole == len(self._raw.entries)
        for size in range(1, whole + 1) if every_size else ():
            if size not in notes:
                self._say(CHECKPOINT_MISSING, f"the checkpoint of size {size} is missing", entry=size - 1)
        other: list[int] = []
        for size, note in sorted(notes.items()):
            try:
                signed = checkpoint.parse(note, verifier)
                if signed.size != size:
                    raise CheckpointError(f"it says size {signed.size}")  # noqa: TRY301 - one of its ways to be wrong
            except CheckpointError as error:
                self._say(
                    CHECKPOINT_SIGNATURE,
                    f"the checkpoint of size {size} does not hold",
                    because=str(error),
                    entry=size - 1,
                )
                continue
            self._signatures += 1
            if size > whole:
                if complete:
                    self._say(
                        TRUNCATED,
                        f"the checkpoint of size {size} was signed, and the log has {whole} entries",
                        entry=size - 1,
                    )
            elif signed.root != self._roots[size]:
                other.append(size)
            else:
                self._newest = note
        if other:
            self._say(
                CHECKPOINT_ROOT,
                f"the log's first {other[0]} entries are not those that were signed",
                because=f"{len(other)} checkpoints from size {other[0]} on have another root",
                entry=other[0] - 1,
            )

    def _check_remembered(self, remembered: str | None, verifier: Verifier) -> None:
        if remembered is None:
            return
        try:
            signed = checkpoint.parse(remembered, verifier)
        except CheckpointError as error:
            self._say(CHECKPOINT_SIGNATURE, "the remembered checkpoint is not one of this registry", because=str(error))
            return
        self._signatures += 1
        if signed.size >= len(self._roots):
            because = f"it had {signed.size} entries, and {len(self._roots) - 1} can be read"
            self._say(REMEMBERED, "the log was rolled back", because=because, entry=len(self._roots) - 1)
        elif signed.root != self._roots[signed.size]:
            because = f"its first {signed.size} entries had another root"
            self._say(REMEMBERED, "the log was rewritten", because=because)

    def _check_blobs(self) -> None:
        first: dict[str, tuple[int, Entry]] = {}
        for number, entry in self._entries:
            for digest in sorted(entry.blobs):
                first.setdefault(digest, (number, entry))
        for digest, (number, entry) in first.items():
            data = self._read_blob(digest)
            message = f"the blob {digest}, named by log entry {number} ({entry.node})"
            if data is None:
                because = self._withheld.get(digest, "")
                about = {"entry": number, "node": entry.node, "blob": digest}
                self._say(BLOB_MISSING, f"{message}, is missing", because=because, **about)
            elif (found := address(data)) != digest:
                self._say(
                    BLOB_CHANGED,
                    f"{message}, was changed",
                    because=f"its bytes have the digest {found}",
                    entry=number,
                    node=entry.node,
                    blob=digest,
                )
            else:
                self._sizes[digest] = len(data)

    def _blob(self, digest: str) -> bytes | None:
        """The bytes of a blob that is there and unchanged."""
        return self._read_blob(digest) if digest in self._sizes else None

    def _check_entry(self, number: int, entry: Entry) -> None:
        """The entry's signature, and that what was signed says what the entry says."""
        about = {"entry": number, "node": entry.node}
        if self._trusted is not None and entry.signer not in self._trusted:
            self._say(
                UNTRUSTED,
                f"log entry {number} ({entry.node}) rests on a key that is not trusted",
                because=f"it is signed by {entry.signer.key_id}",
                **about,
            )
        evidence = self._evidence(number, entry) if isinstance(entry, Published) else None
        envelope = self._blob(entry.envelope)
        if envelope is None:
            return
        try:
            verified = opened(envelope, entry.signer)
            self._signatures += 1
            match entry:
                case Published():
                    sbom = self._blob(evidence.sbom) if evidence else None
                    if evidence and sbom:
                        demand_statement(verified, evidence, sbom)
                case WaiverGranted():
                    _demand_equal(waivers.read(envelope, entry.signer).waiver, entry.waiver)
                case Decided():
                    said = Decision(
                        entry.node, entry.release, entry.evidence, entry.status, entry.version, entry.reason
                    )
                    _demand_equal(decisions.read(envelope, entry.signer), said)
                    self._check_approver(number, entry)
        except SignatureMismatchError as error:
            self._say(
                FORGED,
                f"the signature of log entry {number} ({entry.node}) does not verify",
                because=str(error),
                **about,
            )
        except ValueError as error:
            self._say(
                OTHER_STATEMENT,
                f"what was signed for log entry {number} ({entry.node}) is something else",
                because=str(error),
                **about,
            )

    def _evidence(self, number: int, entry: Published) -> Evidence | None:
        """The entry's evidence, compared with the entry; None if it is missing, changed or unreadable."""
        data = self._blob(entry.evidence)
        if data is None:
            return None
        evidence = None
        try:
            evidence = read_evidence(data)
            problems = [*_evidence_problems(evidence, entry), *self._waiver_problems(number, entry, evidence)]
        except EnvelopeError as error:
            problems = [str(error)]
        for problem in problems:
            message = f"the evidence of log entry {number} ({entry.node}@{entry.release}) does not fit it"
            self._say(OTHER_EVIDENCE, message, because=problem, entry=number, node=entry.node)
        return evidence

    def _waiver_problems(self, number: int, entry: Published, evidence: Evidence) -> Iterator[str]:
        """Waived verdicts that did not follow when the release was let in."""
        granted: dict[str, SignedWaiver] = {}
        for identity in evidence.waivers:
            envelope = self._blob(identity)
            if envelope is None:
                return  # that it is missing or changed, or that the log does not name it, has been said
            before, waiver = self._waivers.get(identity, (number, None))
            if waiver is not None and before < number and waiver.node == entry.node:
                granted[identity] = SignedWaiver(waiver.waiver, envelope, waiver.signer.key_id)
        yield from waivers.unjustified(evidence, granted, read_time(entry.at))

    def _check_approver(self, number: int, entry: Decided) -> None:
        """No self-approval: whoever signed the evidence has not approved it."""
        published = self._published[entry.node, entry.release]
        envelope = self._blob(published.envelope)
        if entry.status is Status.APPROVED and (
            entry.signer == published.signer or (envelope is not None and signed_by(envelope, entry.signer))
        ):
            message = f"{entry.node}@{entry.release} was approved with a key that signed its evidence"
            self._say(OWN_APPROVAL, message, because=f"key {entry.signer.key_id}", entry=number, node=entry.node)

    def _check_rows(self, *, sizes: bool) -> None:
        if len(self._entries) != len(self._raw.entries):
            return  # the tables cannot be derived from a log that cannot be read; that has been said
        ledger = self._ledger
        self._compare("releases", 2, (release_row(release) for release in ledger), self._raw.releases)
        self._compare("waivers", 1, ((identity, *row) for identity, row in ledger.waivers.items()), self._raw.waivers)
        if not sizes:
            return
        stored: dict[str, int] = dict(self._raw.blobs)
        # The size of a blob that is missing or changed is not known; its row is compared by name alone.
        expected = ((digest, self._sizes.get(digest, stored.get(digest, -1))) for digest in ledger.blobs)
        self._compare("blobs", 1, expected, self._raw.blobs)

    def _compare(self, table: str, key: int, expected: Iterable[Row], stored: Iterable[Row]) -> None:
        """Compare rows whose first `key` columns name them."""
        ours = {row[:key]: row for row in expected}
        theirs = {row[:key]: row for row in stored}
        for name in sorted(ours.keys() | theirs.keys()):
            shown = "@".join(map(str, name))
            if name not in theirs:
                self._say(ROW_MISSING, f"the table {table} lacks {shown}", row=shown)
            elif name not in ours:
                self._say(ROW_UNKNOWN, f"the table {table} has {shown}, and the log has not", row=shown)
            elif ours[name] != theirs[name]:
                because = f"log: {ours[name][key:]}\ntable: {theirs[name][key:]}"
                self._say(
                    ROW_CHANGED,
                    f"the table {table} says something else of {shown} than the log",
                    because=because,
                    row=shown,
                )

    def _check_unnamed(self, stored: Iterable[str]) -> None:
        for digest in sorted(set(stored) - self._ledger.blobs):
            self._found.append(
                Diagnostic(
                    BLOB_UNNAMED,
                    f"no log entry names the blob {digest}",
                    fix=BLOB_UNNAMED.advice,
                    severity=Severity.NOTE,
                )
            )


def _problem(rule: Rule, message: str, *, because: str = "", **data: Any) -> Diagnostic:
    return Diagnostic(rule, message, because=because, fix=rule.advice, data=data)


def _demand_equal(signed: object, logged: object) -> None:
    if signed != logged:
        raise ValueError(f"signed: {signed}; logged: {logged}")


def release_row(release: Release) -> Row:
    """A release as its table has it."""
    r = release
    return (r.node, r.release, r.subject, r.evidence, r.entry, r.status.value, r.version)


def _evidence_problems(evidence: Evidence, entry: Published) -> Iterator[str]:
    found = verdicts(evidence)
    claims = {
        "node": (evidence.node, entry.node),
        "version": (evidence.version, entry.release),
        "subject": (evidence.subject, entry.subject),
        "verdicts": (found, dict(entry.verdicts)),
    }
    for what, (shown, logged) in claims.items():
        if shown != logged:
            yield f"its {what}: evidence has {shown}, the log has {logged}"
    if refused := sorted(check for check, verdict in found.items() if verdict not in ALLOWED):
        yield f"it should never have been let in: {', '.join(refused)}"
    if lost := sorted(evidence.references - entry.blobs):
        yield f"it names blobs that the log does not keep: {', '.join(lost)}"
