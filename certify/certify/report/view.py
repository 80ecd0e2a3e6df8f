"""One evidence as a reader goes through it: verdict, what to look at first, checks, findings, provenance.

Rules this module keeps:

- the evidence is encoded and read back first, so that what is shown is exactly what its digest names;
- a check that did not run, or could not decide, is said aloud: silence never reads as success;
- findings are grouped by code, and the size of what is shown is bounded, with how much was left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, assert_never

from certify import codec
from certify.evidence.bundle import Evidence
from certify.evidence.verdict import CheckResult, Failed, NotApplicable, Passed, Unknown, Waived, name
from certify.report import measured
from certify.report.blobs import Blobs, Sources
from certify.report.panels import Panel
from certify.report.source import Change, Line, difference, excerpt
from certify_spec.diagnostics import Diagnostic, Note, Severity

IN_FULL: Final = 5
"""Findings of one code that are shown in full."""
IN_BRIEF: Final = 40
"""Findings of one code that are shown in one line each, after those in full."""
MOST_GROUPS: Final = 40
"""Codes of one check that are shown."""
_MOST_ATTENTION: Final = 8
_MOST_NOTES: Final = 12

CHECKS: Final[Mapping[str, tuple[str, str]]] = {
    "C-SANDBOX": ("Sandbox", "Does it answer its fixtures, and stay within its sandbox?"),
    "C-EFFECTS": ("Effects", "Does it do what it declares, and nothing else?"),
    "C-DETERMINISM": ("Determinism", "Does the same input give the same answer?"),
    "C-CONTRACT": ("Contract", "Does it accept what its types say, and answer upstream faults as declared?"),
    "C-IDEM": ("Idempotency", "Does a message that comes twice take effect once?"),
    "C-PATTERNS": ("Patterns", "Do its resilience patterns rest on proofs?"),
    "C-BUDGET": ("Budget", "Does it keep within its budget, and the budget within the ceiling?"),
    "C-SBOM": ("Bill of materials", "Is everything that it imports known, and as installed?"),
    "C-POLICY": ("Policy", "Does the organisation's policy allow it?"),
}
"""Title and question of each check of a whole certification, in their order."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A finding with what the node's source shows of it.

    Attributes:
        anchor: its name in a page.
        waiver: what its waiver says (`owner`, `expires`, `reason`, `waiver`); empty when it is not waived.
        path: its notes, each with the source line that it is about, if at hand.
    """

    anchor: str
    what: Diagnostic
    excerpt: tuple[Line, ...] = ()
    change: tuple[Change, ...] = ()
    path: tuple[tuple[Note, str], ...] = ()
    notes_left_out: int = 0
    waiver: Mapping[str, Any] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True)
class Group:
    """The findings of one code and severity: some in full, some in brief, and the number of the others."""

    code: str
    meaning: str
    severity: Severity
    waived: bool
    full: tuple[Finding, ...]
    brief: tuple[Diagnostic, ...]
    left_out: int

    @property
    def size(self) -> int:
        """How many findings there are."""
        return len(self.full) + len(self.brief) + self.left_out


@dataclass(frozen=True, slots=True)
class Check:
    """One check's result, ready to be shown.

    Attributes:
        verdict: the verdict's name.
        line: why, in a line.
        groups_left_out: findings of codes that are not shown.
    """

    id: str
    title: str
    question: str
    verdict: str
    line: str
    seconds: float
    groups: tuple[Group, ...]
    groups_left_out: int
    panels: tuple[Panel, ...]
    artefacts: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Attention:
    """Something to look at first: how it strikes (a verdict's name, or a severity), what, and the anchor to go to."""

    kind: str
    text: str
    anchor: str


@dataclass(frozen=True, slots=True)
class Component:
    """A component of the bill of materials."""

    name: str
    version: str
    licence: str
    purl: str
    imported: bool


@dataclass(frozen=True, slots=True)
class Field:
    """A field of the node's input or output, and the class of its data."""

    side: str
    path: str
    tag: str


@dataclass(frozen=True, slots=True)
class Report:
    """Everything that a view shows."""

    evidence: Evidence
    digest: str
    verdict: str
    headline: str
    node: Mapping[str, str] = field(hash=False)
    attention: tuple[Attention, ...]
    attention_left_out: int
    checks: tuple[Check, ...]
    not_run: tuple[str, ...]
    fields: tuple[Field, ...]
    components: tuple[Component, ...]
    waivers: tuple[Mapping[str, Any], ...]
    policies: tuple[tuple[str, str, str], ...]
    absent: tuple[str, ...]

    @property
    def word(self) -> str:
        """The verdict as people read it: a part that passed is `incomplete`, not passed."""
        return "incomplete" if self.not_run and self.verdict in {"passed", "waived"} else self.verdict

    @property
    def manifest_file(self) -> str:
        """The manifest's path, relative to its folder."""
        return manifest_file(self.evidence)


def read(evidence: Evidence, blobs: Mapping[str, bytes]) -> Report:
    """The report of `evidence`; equal evidence gives an equal report, but for what is missing from `blobs`.

    Raises:
        certify.codec.EncodingError: the evidence has no canonical form.
        certify.evidence.errors.EvidenceError: it is not evidence of a schema that this release knows.
    """
    encoded = evidence.encode()
    evidence = Evidence.decode(encoded)
    store = Blobs(blobs)
    sources = Sources(evidence, store)
    manifest = store.toml(evidence.manifest)
    policies = store.policies(evidence.policy)
    surroundings = measured.Surroundings(manifest, policies)
    checks = tuple(_check(result, sources, surroundings) for result in evidence.results)
    not_run = tuple(check for check in CHECKS if check not in {result.check for result in evidence.results})
    attention = tuple(_attention(evidence.results, checks, not_run))
    return Report(
        evidence=evidence,
        digest=codec.address(encoded),
        verdict=name(evidence.verdict),
        headline=_headline(evidence, not_run),
        node=_node(manifest),
        attention=attention[:_MOST_ATTENTION],
        attention_left_out=max(0, len(attention) - _MOST_ATTENTION),
        checks=checks,
        not_run=not_run,
        fields=tuple(_fields(manifest)),
        components=tuple(_components(store.json(evidence.sbom))),
        waivers=tuple({**store.waiver(digest), "id": digest} for digest in evidence.waivers),
        policies=tuple((policy.id, policy.effect, policy.text) for policy in policies.policies) if policies else (),
        absent=tuple(digest for digest in sorted(evidence.references) if store.read(digest) is None),
    )


def manifest_file(evidence: Evidence) -> str:
    """The path of the manifest among the evidence's files."""
    named = sorted(path for path, digest in evidence.files.items() if digest == evidence.manifest)
    return next((path for path in named if path.endswith("node.toml")), named[0] if named else "node.toml")


def _headline(evidence: Evidence, not_run: tuple[str, ...]) -> str:
    by_verdict: dict[str, list[str]] = {}
    for result in evidence.results:
        by_verdict.setdefault(name(result.verdict), []).append(result.check)
    refusing, open_ = len(by_verdict.get("failed", ())), len(by_verdict.get("unknown", ()))
    match evidence.verdict:
        case Failed():
            words = f"Refused by {_count(refusing, 'check')}"
            words += f"; {_count(open_, 'more')} could not decide" if open_ else ""
        case Unknown(waiting_helps=waiting):
            words = f"Undecided: {_count(open_, 'check')} could not decide, and undecided never passes"
            words += "; trying again later may help" if waiting else ""
        case Waived(waivers):
            words = f"Nothing refuses it, under {_count(len(set(waivers)), 'waiver')}"
        case Passed() | NotApplicable():
            words = "Nothing refuses it"
        case _:
            assert_never(evidence.verdict)
    return f"{words}; {_count(len(not_run), 'check')} did not run, so it cannot be published" if not_run else words


def _count(number: int, word: str) -> str:
    return f"{number} {word}" if number == 1 or word == "more" else f"{number} {word}s"


def _node(manifest: Mapping[str, Any]) -> dict[str, str]:
    """What the manifest says of the node, as far as it is text."""
    table = manifest.get("node")
    said = table if isinstance(table, Mapping) else {}
    names = ("summary", "owner", "entry", "profile", "effects", "determinism")
    return {name_: said[name_] for name_ in names if isinstance(said.get(name_), str) and said[name_]}


# -- checks and findings -----------------------------------------------------------------------------------------


def _check(result: CheckResult, sources: Sources, surroundings: measured.Surroundings) -> Check:
    title, question = CHECKS.get(result.check, (result.check, ""))
    groups = tuple(_groups(result, sources))
    return Check(
        id=result.check,
        title=title,
        question=question,
        verdict=name(result.verdict),
        line=_line(result),
        seconds=result.seconds,
        groups=groups[:MOST_GROUPS],
        groups_left_out=sum(group.size for group in groups[MOST_GROUPS:]),
        panels=measured.panels(result, surroundings),
        artefacts=tuple(sorted(result.artefacts.items())),
    )


def _line(result: CheckResult) -> str:
    errors = [finding for finding in result.findings if finding.severity is Severity.ERROR]
    waived = [finding for finding in result.findings if waiver_of(finding)]
    others = len(result.findings) - len(errors) - len(waived)
    beside = f"{_count(others, 'remark')}" if others else ""
    match result.verdict:
        case Unknown(reason, waiting_helps):
            return f"could not decide: {reason}" + ("; trying again may help" if waiting_helps else "")
        case NotApplicable(reason):
            return f"not applicable: {reason}"
        case Waived():
            first = f"waived: {waived[0].message}" if waived else "waived"
            return first + _and_more(len(waived) - 1)
        case Failed():
            return (errors[0].message if errors else "refused, without a finding") + _and_more(len(errors) - 1)
        case Passed():
            return f"nothing refuses it; {beside}" if beside else "nothing refuses it"
        case _:
            assert_never(result.verdict)


def _and_more(number: int) -> str:
    return f", and {number} more" if number > 0 else ""


def waiver_of(finding: Diagnostic) -> Mapping[str, Any]:
    """What the waiver that covers a finding says; empty when none does."""
    mark = finding.data.get("waived")
    return mark if isinstance(mark, Mapping) else {}


def _groups(result: CheckResult, sources: Sources) -> Iterator[Group]:
    by_code: dict[tuple[str, Severity, bool], list[Diagnostic]] = {}
    for finding in result.findings:
        by_code.setdefault((finding.code, finding.severity, bool(waiver_of(finding))), []).append(finding)
    for number, ((code, severity, waived), findings) in enumerate(by_code.items(), 1):
        full = tuple(
            _finding(finding, f"{_anchor(result.check)}-{number}-{index}", sources)
            for index, finding in enumerate(findings[:IN_FULL], 1)
        )
        brief = tuple(findings[IN_FULL : IN_FULL + IN_BRIEF])
        left_out = max(0, len(findings) - IN_FULL - IN_BRIEF)
        yield Group(code, findings[0].rule.meaning, severity, waived, full, brief, left_out)


def _finding(finding: Diagnostic, anchor: str, sources: Sources) -> Finding:
    return Finding(
        anchor=anchor,
        what=finding,
        excerpt=excerpt(finding.place, sources.lines),
        change=difference(finding.edit, sources.lines) if finding.edit else (),
        path=tuple((note, _at(note, sources)) for note in finding.notes[:_MOST_NOTES]),
        notes_left_out=max(0, len(finding.notes) - _MOST_NOTES),
        waiver=waiver_of(finding),
    )


def _at(note: Note, sources: Sources) -> str:
    lines = sources.lines(note.place.file) if note.place else None
    if note.place is None or lines is None or not 1 <= note.place.line <= len(lines):
        return ""
    return lines[note.place.line - 1].strip()[:160]


def _anchor(check: str) -> str:
    """The name of a check's section in a page: a few safe letters, whatever the check calls itself."""
    return check if check in CHECKS else f"check-{codec.address(check.encode())[:12]}"


def anchor_of(check: str) -> str:
    """The name of a check's section in a page."""
    return _anchor(check)


def _attention(
    results: Iterable[CheckResult], checks: Iterable[Check], not_run: tuple[str, ...]
) -> Iterator[Attention]:
    """What to look at first: refusals, what is undecided, what did not run, what is waived, and warnings."""
    shown = list(zip(results, checks, strict=True))
    groups = [(check, group) for _, check in shown for group in check.groups]
    for check, group in groups:
        if group.severity is Severity.ERROR:
            yield _pointer("error", check, group)
    for result, check in shown:
        if isinstance(result.verdict, Unknown):
            yield Attention("unknown", f"{check.title} {check.line}", _anchor(check.id))
        elif isinstance(result.verdict, Failed) and not any(f.severity is Severity.ERROR for f in result.findings):
            yield Attention("error", f"{check.title}: {check.line}", _anchor(check.id))
    if not_run:
        yield Attention("unknown", f"did not run: {', '.join(not_run)}", "checks")
    for check, group in groups:
        if group.waived:
            yield _pointer("waived", check, group)
    for check, group in groups:
        if group.severity is Severity.WARNING and not group.waived:
            yield _pointer("warning", check, group)


def _pointer(kind: str, check: Check, group: Group) -> Attention:
    first = group.full[0]
    where = f" ({first.what.place})" if first.what.place else ""
    until = f", until {first.waiver.get('expires', '?')} by {first.waiver.get('owner', '?')}" if group.waived else ""
    return Attention(
        kind, f"{check.title}: {first.what.message}{where}{until}{_and_more(group.size - 1)}", first.anchor
    )


# -- what the blobs say ------------------------------------------------------------------------------------------


def _fields(manifest: Mapping[str, Any]) -> Iterator[Field]:
    for side in ("input", "output"):
        table = manifest.get(side)
        classes = table.get("classes") if isinstance(table, Mapping) else None
        for path, tag in classes.items() if isinstance(classes, Mapping) else ():
            yield Field(side, str(path), str(tag))


def _components(document: Mapping[str, Any]) -> Iterator[Component]:
    """The components of a CycloneDX document, imported ones first."""
    listed = document.get("components")
    found = [_component(item) for item in listed if isinstance(item, Mapping)] if isinstance(listed, list) else []
    yield from sorted(found, key=lambda component: not component.imported)


def _component(item: Mapping[str, Any]) -> Component:
    properties = item.get("properties")
    said = {
        str(entry.get("name")): str(entry.get("value"))
        for entry in (properties if isinstance(properties, list) else [])
        if isinstance(entry, Mapping)
    }
    return Component(
        name=str(item.get("name", "")),
        version=str(item.get("version", "")),
        licence=_licences(item.get("licenses")),
        purl=str(item.get("purl", "")),
        imported=said.get("certify:imported", "true") != "false",
    )


def _licences(listed: object) -> str:
    found = []
    for entry in listed if isinstance(listed, list) else []:
        if isinstance(entry, Mapping):
            licence = entry.get("license")
            named = licence.get("id") or licence.get("name") if isinstance(licence, Mapping) else None
            found.append(str(entry.get("expression") or named or ""))
    return ", ".join(text for text in found if text)
