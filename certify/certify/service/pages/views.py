"""What each page shows, as values read from the registry.

Every function takes an opened `Registry` and gives values; run them with `Desk.read`.

Rules this module keeps:

- nothing here changes anything; what somebody may do is asked of the policies, and a page offers no more than that;
- what was measured and found comes from `certify.report`, what changed from `certify.registry.differences`, and whether
  something may go to production from `certify.service.standing`: nothing is judged a second time here;
- every list is bounded, and says where it goes on.
"""

from __future__ import annotations

import difflib
import json
import re
import threading
from collections import Counter, OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from certify.evidence.bundle import Evidence
from certify.evidence.keys import PublicKey
from certify.policy.evaluation import Refused as PolicyRefused
from certify.policy.waivers import NEVER_WAIVED, NEVER_WAIVED_CHECKS, State
from certify.registry import checkpoint, merkle
from certify.registry.checkpoint import CheckpointError
from certify.registry.differences import SECTIONS, Change, Kind
from certify.registry.entries import DIGEST, Decided, Release, Status, WaiverGranted
from certify.registry.errors import UNKNOWN_NAME, wrong
from certify.registry.registry import LogRecord, Registry, StoredWaiver
from certify.registry.sql import MANY, Reader
from certify.report import view as report_view
from certify.report.blobs import Blobs
from certify.report.view import CHECKS, Report
from certify.service import identity, reading, standing
from certify.service.access import OF_STATUS, Access
from certify.service.identity import Actor
from certify.service.pages.flow import Flow, flow
from certify.service.reading import Row, VersionView
from certify.service.standing import Standing
from certify.times import write_seconds
from certify_spec.diagnostics import RequestError, Severity

PAGE: Final = 50
COLUMNS: Final = 8
"""Versions side by side in a node's matrix."""
MOST_CHANGES: Final = 200
MOST_DIFFED: Final = 12
_MOST_LINES: Final = 240
_LARGEST_TEXT: Final = 200_000
_MOST_REPORTS: Final = 64


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who looks at a page, and how.

    Attributes:
        actor: who it is; nobody has an empty user.
        may: the actions that the policies allow, nodes aside.
        theme: light or dark; empty for what the system prefers.
        here: the address of this page.
        now: the moment.
        waiting: releases that wait for a review.
    """

    actor: Actor
    may: frozenset[str]
    theme: str
    here: str
    now: datetime
    waiting: int = 0


@dataclass(frozen=True, slots=True)
class QueueView:
    """Some releases, the newest first."""

    rows: tuple[Row, ...]
    next: int
    status: str
    text: str
    first: bool
    counts: Mapping[str, int] = field(hash=False)


@dataclass(frozen=True, slots=True)
class Square:
    """One check of one version: the verdict's name, or `expired`, or `absent`; and a remark."""

    word: str
    remark: str = ""


@dataclass(frozen=True, slots=True)
class Column:
    """One version in a matrix."""

    row: Row
    standing: Standing


@dataclass(frozen=True, slots=True)
class Matrix:
    """Checks down, versions across; `versions_left_out` older ones are not shown."""

    columns: tuple[Column, ...]
    checks: tuple[tuple[str, str, tuple[Square, ...]], ...]
    versions_left_out: int = 0


@dataclass(frozen=True, slots=True)
class WaiverLine:
    """A waiver, its state now, and who signed it."""

    stored: StoredWaiver
    state: State
    signer: str


@dataclass(frozen=True, slots=True)
class Line:
    """One entry of the log, in words.

    Attributes:
        number: the entry's number.
        at: when.
        kind: published, waived, or the status that a decision gave.
        name: the release, or the node.
        who: the user whose key signed it, or the key's id.
        said: the reason, when there is one.
    """

    number: int
    at: str
    kind: str
    name: str
    who: str
    said: str = ""


@dataclass(frozen=True, slots=True)
class NodePage:
    """A node."""

    node: str
    matrix: Matrix
    rows: tuple[Row, ...]
    lines: tuple[Line, ...]
    waivers: tuple[WaiverLine, ...]
    previous: Mapping[str, str] = field(hash=False)
    may_waive: bool = False


@dataclass(frozen=True, slots=True)
class Choice:
    """A decision that could be taken, and why this visitor may not, if so."""

    word: str
    status: Status
    refusal: str = ""


@dataclass(frozen=True, slots=True)
class Waivable:
    """A finding that a waiver can be written for."""

    code: str
    place: str
    about: str
    message: str


@dataclass(frozen=True, slots=True)
class TextDiff:
    """What changed in a file: lines with their sign (``+``, ``-``, blank, ``@``), and how many are not shown."""

    path: str
    lines: tuple[tuple[str, str], ...]
    left_out: int = 0


@dataclass(frozen=True, slots=True)
class ChangesPage:
    """What changed between two releases, evidence against evidence."""

    old: str
    new: str
    sections: tuple[tuple[str, tuple[Change, ...], int], ...]
    texts: tuple[TextDiff, ...]
    choices: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        """How many things differ."""
        return sum(len(changes) + left_out for _, changes, left_out in self.sections)


@dataclass(frozen=True, slots=True)
class ReleasePage:
    """A release, for whoever is to decide about it."""

    version: VersionView
    report: Report
    flow: Flow
    standing: Standing
    author: str
    signer: str
    lines: tuple[Line, ...]
    waivers: tuple[WaiverLine, ...]
    choices: tuple[Choice, ...]
    may_waive: bool
    waivable: tuple[Waivable, ...]
    since: ChangesPage | None

    @property
    def release(self) -> Release:
        """The release as it stands."""
        return self.version.shown.release


@dataclass(frozen=True, slots=True)
class ProductionRow:
    """A node: what runs or may run (its newest approved release, if any), and its newest release."""

    node: str
    approved: Column | None
    newest: Column
    squares: tuple[Square, ...]


@dataclass(frozen=True, slots=True)
class ProductionPage:
    """May this go to production? Some nodes, with the checks of the release that the answer is about."""

    rows: tuple[ProductionRow, ...]
    checks: tuple[tuple[str, str], ...]
    next: str
    text: str
    first: bool


@dataclass(frozen=True, slots=True)
class SearchPage:
    """What a search found."""

    text: str
    nodes: tuple[str, ...]
    rows: tuple[Row, ...]
    more: bool
    blob: bool


@dataclass(frozen=True, slots=True)
class LogPage:
    """Some entries of the log, the newest first, and the signed size of it."""

    lines: tuple[Line, ...]
    size: int
    next: int
    first: bool
    checkpoint: str
    verifier: str
    consistency: Consistency | None = None


@dataclass(frozen=True, slots=True)
class Consistency:
    """A proof that the log of one size begins with that of an earlier one; `holds` was computed from the proof."""

    old: int
    new: int
    old_root: str
    new_root: str
    proof: tuple[str, ...]
    holds: bool


@dataclass(frozen=True, slots=True)
class EntryPage:
    """One entry of the log with the proof that the log holds it; `holds` was computed from the proof."""

    line: Line
    data: Mapping[str, Any] = field(hash=False)
    size: int = 0
    leaf: str = ""
    root: str = ""
    proof: tuple[str, ...] = ()
    holds: bool = False


@dataclass(frozen=True, slots=True)
class Clash:
    """A decision that came too late: what was wanted, and what had happened meanwhile."""

    name: str
    wanted: str
    reason: str
    expected: int
    actual: int
    status: str
    lines: tuple[Line, ...]


# -- reports -----------------------------------------------------------------------------------------------------


class Reports:
    """Reports by the digest of their evidence: the same evidence always gives the same report."""

    def __init__(self) -> None:
        self._found: OrderedDict[str, tuple[Report, Flow]] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, registry: Registry, evidence: Evidence, digest: str) -> tuple[Report, Flow]:
        """The report, and the picture of the node's flow."""
        with self._lock:
            held = self._found.get(digest)
            if held is not None:
                self._found.move_to_end(digest)
                return held
        blobs = _read_blobs(registry, evidence)
        report = report_view.read(evidence, blobs)
        made = report, flow(report, Blobs(blobs).toml(evidence.manifest))
        if not report.absent:  # what is missing may come back
            with self._lock:
                self._found[digest] = made
                while len(self._found) > _MOST_REPORTS:
                    self._found.popitem(last=False)
        return made


def _read_blobs(registry: Registry, evidence: Evidence) -> dict[str, bytes]:
    found = {}
    for digest in evidence.references:
        try:
            found[digest] = registry.blob(digest)
        except RequestError:
            continue  # the report says that it is absent
    return found


# -- pages -------------------------------------------------------------------------------------------------------


def queue(registry: Registry, *, status: str, text: str, before: int) -> QueueView:
    """The queue, or other releases."""
    page = reading.queue(registry, status=status, text=text, before=before, limit=PAGE)
    return QueueView(page.rows, page.next, status, text, before == MANY, reading.counts(registry))


def node(registry: Registry, name: str, access: Access, actor: Actor, now: datetime) -> NodePage:
    """A node.

    Raises:
        RequestError: REG008, there is none.
    """
    found = reading.node(registry, name)
    shown = found.releases[:COLUMNS]
    previous = {older.release.name: newer.release.name for newer, older in zip(found.releases, found.releases[1:])}  # noqa: B905 - one is shorter
    with registry.store.read() as view:
        lines = tuple(_line(view, record) for record in reversed(found.history[-200:]))
        waivers = tuple(_waiver_line(view, stored, now) for stored in found.waivers)
    return NodePage(
        node=name,
        matrix=matrix(registry, shown, now, left_out=len(found.releases) - len(shown)),
        rows=found.releases,
        lines=lines,
        waivers=waivers,
        previous={newer: older for older, newer in previous.items()},
        may_waive=access.allows(actor, "waive", name),
    )


def matrix(registry: Registry, rows: tuple[Row, ...], now: datetime, *, left_out: int = 0) -> Matrix:
    """Checks down, versions across, with the answer for each version."""
    columns = tuple(Column(row, standing.of(registry, row.release, row.verdicts, now)) for row in rows)
    checks = _checks_of(rows)
    return Matrix(
        columns,
        tuple((check, title, tuple(square(column, check) for column in columns)) for check, title in checks),
        left_out,
    )


def _checks_of(rows: tuple[Row, ...]) -> tuple[tuple[str, str], ...]:
    """Id and title of each check that some row has, in the order of a whole certification."""
    found = {check for row in rows for check in row.verdicts}
    ordered = [check for check in CHECKS if check in found] + sorted(found - CHECKS.keys())
    return tuple((check, CHECKS[check][0] if check in CHECKS else check) for check in ordered)


def square(column: Column, check: str) -> Square:
    """One check of one version; a waiver that has ended shows as such, not as waived."""
    verdict = column.row.verdicts.get(check)
    if verdict is None:
        return Square("absent", "this version was not checked so")
    if verdict != "waived":
        return Square(verdict)
    if check in column.standing.lapsed:
        return Square("expired", column.standing.lapsed[check])
    until = column.standing.until.get(check, "")
    return Square("waived", f"until {until[:10]}") if until else Square("unknown", "its waiver cannot be read")


def release(
    registry: Registry, reports: Reports, name: str, access: Access, actor: Actor, now: datetime
) -> ReleasePage:
    """A release.

    Raises:
        RequestError: REG008 unknown, REG009 not a name, REG023 its evidence was changed.
    """
    found = reading.version(registry, name)
    shown = found.shown
    report, picture = reports.of(registry, found.evidence, shown.release.evidence)
    with registry.store.read() as view:
        handed = view.record("release", name)
        entries = [LogRecord(shown.release.entry, shown.published), *shown.decisions]
        lines = tuple(_line(view, record) for record in reversed(entries))
        waivers = tuple(_waiver_line(view, stored, now) for stored in found.waivers)
        signer = _who(view, shown.published.signer)
    return ReleasePage(
        version=found,
        report=report,
        flow=picture,
        standing=standing.of(registry, shown.release, shown.published.verdicts, now),
        author=handed.owner if handed else signer,
        signer=signer,
        lines=lines,
        waivers=waivers,
        choices=tuple(choices(shown.release, found.authors, access, actor)),
        may_waive=access.allows(actor, "waive", shown.release.node),
        waivable=tuple(_waivable(found.evidence)),
        since=_since(registry, found.previous, name),
    )


def _since(registry: Registry, previous: str, name: str) -> ChangesPage | None:
    return changes(registry, previous, name) if previous else None


def choices(found: Release, authors: frozenset[str], access: Access, actor: Actor) -> Iterator[Choice]:
    """What could be decided about a release, each with why this visitor may not, if so."""
    for status, word in OF_STATUS.items():
        if status not in found.status.next:
            continue
        if not actor.user:
            yield Choice(word, status, "sign in to decide")
            continue
        said = access.decide(actor, word, found.node, authors)
        refusal = ""
        if isinstance(said, PolicyRefused):
            refusal = "; ".join(each.reason for each in said.refusals) or "no policy allows it"
        elif not access.allows(actor, word, found.node, authors):
            refusal = "the policies cannot decide"
        yield Choice(word, status, refusal)


def _waivable(evidence: Evidence) -> Iterator[Waivable]:
    """Findings that a waiver can be written for: those that are waived, and warnings that may become errors."""
    seen: set[tuple[str, str, str]] = set()
    for result in evidence.results:
        for finding in result.findings:
            if result.check in NEVER_WAIVED_CHECKS or finding.code in NEVER_WAIVED:
                continue
            if finding.severity not in {Severity.ERROR, Severity.WARNING}:
                continue
            about = finding.data.get("about", "")
            place = str(finding.place) if finding.place else ""
            made = Waivable(finding.code, place, about if isinstance(about, str) else "", finding.message)
            if (made.code, made.place, made.about) not in seen and len(seen) < 50:
                seen.add((made.code, made.place, made.about))
                yield made


def changes(registry: Registry, old: str, new: str) -> ChangesPage:
    """What changed between two releases of a node, the text of files included.

    Raises:
        RequestError: REG008 unknown, REG009 no names of releases of one node.
    """
    found = reading.changes(registry, old, new)
    with registry.store.read() as view:
        known = view.releases(old.partition("@")[0])
    return ChangesPage(
        old,
        new,
        tuple(
            (section, found[section][:MOST_CHANGES], max(0, len(found[section]) - MOST_CHANGES)) for section in SECTIONS
        ),
        tuple(_texts(registry, found["files"])),
        tuple(each.name for each in reversed(known[-200:])),
    )


def _texts(registry: Registry, files: tuple[Change, ...]) -> Iterator[TextDiff]:
    changed = [change for change in files if change.kind is Kind.CHANGED]
    for change in changed[:MOST_DIFFED]:
        before, after = (_text(registry, digest) for digest in (change.before, change.after))
        if before is None or after is None:
            continue
        lines: list[tuple[str, str]] = []
        for line in difflib.unified_diff(before, after, n=2, lineterm=""):
            if line.startswith(("---", "+++")) and len(lines) < 2 and not any(sign == "@" for sign, _ in lines):
                continue
            lines.append((line[:1], line[:240] if line.startswith("@") else line[1:240]))
        yield TextDiff(change.name, tuple(lines[:_MOST_LINES]), max(0, len(lines) - _MOST_LINES))


def _text(registry: Registry, digest: object) -> list[str] | None:
    """The lines of a blob that is text of a reasonable size."""
    try:
        data = registry.blob(str(digest))
        return None if len(data) > _LARGEST_TEXT else data.decode("utf-8").replace("\r\n", "\n").split("\n")
    except (RequestError, UnicodeDecodeError):
        return None


def production(registry: Registry, *, text: str, after: str, now: datetime) -> ProductionPage:
    """May this go to production? The answer is about a node's newest approved release, or failing that its newest."""
    with registry.store.read() as view:
        names = view.nodes(text=text, after=after, limit=PAGE + 1)
        held = [reading.ends(view, name) for name in names[:PAGE]]
    pairs = [(approved, newest) for approved, newest in held if newest is not None]
    asked = tuple(approved or newest for approved, newest in pairs)
    checks = _checks_of(asked)
    rows = []
    for approved, newest in pairs:
        last = Column(newest, standing.of(registry, newest.release, newest.verdicts, now))
        first = None
        if approved is not None:
            same = approved.release.release == newest.release.release
            first = last if same else Column(approved, standing.of(registry, approved.release, approved.verdicts, now))
        squares = tuple(square(first or last, check) for check, _ in checks)
        rows.append(ProductionRow(newest.release.node, first, last, squares))
    return ProductionPage(tuple(rows), checks, names[PAGE - 1] if len(names) > PAGE else "", text, not after)


def search(registry: Registry, text: str) -> SearchPage:
    """Releases and nodes by a part of their name, and anything that is stored by its digest."""
    wanted = text.strip()
    if not wanted:
        return SearchPage("", (), (), more=False, blob=False)
    page = reading.queue(registry, text=wanted, limit=PAGE)
    with registry.store.read() as view:
        nodes = view.nodes(text=wanted.partition("@")[0], limit=12)
        blob = bool(DIGEST.fullmatch(wanted)) and view.knows_blob(wanted)
    return SearchPage(wanted, nodes, page.rows, more=page.next > 0, blob=blob)


def log(registry: Registry, *, before: int, old: int, new: int) -> LogPage:
    """The log's newest entries before a number, and a proof of consistency when two sizes are named.

    Raises:
        RequestError: REG008, the log has never had such sizes.
    """
    with registry.store.read() as view:
        size = view.size()
    stop = min(before, size)
    start = max(0, stop - PAGE)
    records = registry.log(start, stop) if stop else ()
    with registry.store.read() as view:
        lines = tuple(_line(view, record) for record in reversed(records))
    return LogPage(
        lines,
        size,
        start,
        before >= size,
        registry.checkpoint() or "",
        str(registry.verifier),
        _consistency(registry, old, new or size) if old else None,
    )


def _consistency(registry: Registry, old: int, new: int) -> Consistency:
    proof = registry.consistency_proof(old, new)
    first, last = _root(registry, old), _root(registry, new)
    try:
        merkle.verify_consistency(old, new, first, last, proof)
        holds = True
    except merkle.ProofError:
        holds = False
    return Consistency(old, new, first.hex(), last.hex(), tuple(each.hex() for each in proof), holds)


def _root(registry: Registry, size: int) -> bytes:
    """The root that the registry signed at a size; empty, which no proof fits, when the signature does not hold."""
    try:
        return checkpoint.parse(registry.checkpoint_at(size), registry.verifier).root
    except CheckpointError:
        return b""


def entry(registry: Registry, number: int) -> EntryPage:
    """One entry of the log, with its proof against the newest checkpoint.

    Raises:
        RequestError: REG008, there is none.
    """
    with registry.store.read() as view:
        size = view.size()
    if number >= size:
        raise wrong(UNKNOWN_NAME, f"the log has no entry {number}")
    ((_, data),) = registry.raw_entries(number, number + 1)
    (record,) = registry.log(number, number + 1)
    leaf, proof, root = merkle.leaf_hash(data), registry.inclusion_proof(number, size), _root(registry, size)
    try:
        merkle.verify_inclusion(leaf, number, size, proof, root)
        holds = True
    except merkle.ProofError:
        holds = False
    with registry.store.read() as view:
        line = _line(view, record)
    return EntryPage(
        line, reading.entry_data(record.entry), size, leaf.hex(), root.hex(), tuple(each.hex() for each in proof), holds
    )


def clash(registry: Registry, name: str, wanted: str, reason: str, expected: int, actual: int) -> Clash:
    """What had happened before a decision that came too late."""
    shown = registry.show(name)
    with registry.store.read() as view:
        lines = tuple(
            _line(view, record)
            for record in shown.decisions
            if isinstance(record.entry, Decided) and record.entry.version >= expected
        )
    return Clash(name, wanted, reason, expected, actual, shown.release.status.value, lines)


# -- parts -------------------------------------------------------------------------------------------------------


def tally(verdicts: Mapping[str, str]) -> tuple[tuple[str, int], ...]:
    """How many checks have each verdict, what matters most first."""
    order = ("failed", "unknown", "waived", "passed", "not-applicable")
    found = Counter(verdicts.values())
    return tuple((word, found[word]) for word in order if found[word])


def _who(view: Reader, key: PublicKey) -> str:
    """Whose key it is; the key's id when it is nobody's here."""
    return identity.owner_of_key(view, key) or f"key {key.key_id[:12]}"


def _line(view: Reader, record: LogRecord) -> Line:
    entry_ = record.entry
    who = _who(view, entry_.signer)
    match entry_:
        case Decided():
            name, kind, said = f"{entry_.node}@{entry_.release}", entry_.status.value, entry_.reason
        case WaiverGranted():
            until = write_seconds(entry_.waiver.expires)[:10]
            name, kind, said = entry_.node, "waived", f"{entry_.waiver.code} until {until}: {entry_.waiver.reason}"
        case _:
            name, kind, said = f"{entry_.node}@{entry_.release}", "published", ""
    return Line(record.number, entry_.at, kind, name, who, said)


def _waiver_line(view: Reader, stored: StoredWaiver, now: datetime) -> WaiverLine:
    return WaiverLine(stored, stored.waiver.state(now), _who(view, stored.signer))


def value_text(value: Any) -> str:
    """A value of a change as text: text as it is, everything else as JSON."""
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True)


def ago(at: str, now: datetime) -> str:
    """How long ago a moment was, for people; the day when that is long."""
    try:
        passed = now - datetime.fromisoformat(at)
    except ValueError:
        return at
    if passed < timedelta(minutes=1):
        return "just now"
    if passed < timedelta(hours=1):
        return f"{int(passed.total_seconds() // 60)} min ago"
    if passed < timedelta(days=1):
        return f"{int(passed.total_seconds() // 3600)} h ago"
    return f"{passed.days} d ago" if passed < timedelta(days=30) else at[:10]


def versions_up_to_next_major(release_name: str) -> str:
    """The range of versions that a waiver is proposed for: this one and later ones of the same major version."""
    match = re.match(r"([0-9]+)\.", release_name)
    return f">={release_name},<{int(match[1]) + 1}.0.0" if match else release_name
