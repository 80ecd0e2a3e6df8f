"""C-EFFECTS: what the node declares, what its text allows, and what its runs did, compared as three sets.

Rules this check keeps:

- what was observed is declared, what the text allows is declared, and what is declared is in one of the two;
- the declared class is exactly the join of all effects found: lower is a false claim, higher a loose one;
- where the analysis goes blind the verdict is unknown, whatever the runs show;
- one finding for each distinct effect, with who saw it and the path that leads there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from certify.analysis import Analysis, Effect, Kind, analyse, read_sources
from certify.analysis.declared import MODELESS, allows, effects_class, is_connection, touches
from certify.analysis.observed import Observation, Seen, observe, upstream_addresses
from certify.analysis.sources import is_standard
from certify.checks.workbench import Workbench
from certify.evidence.verdict import CheckResult, Failed, Passed, Unknown, Verdict
from certify.laboratory.record import Delivery, Observe, Plan, RunRecord
from certify.manifest import positions
from certify.manifest.model import Effects, Manifest, Mode, Resource
from certify_spec.diagnostics import Diagnostic, Edit, Note, Place, Rule, Severity

CHECK: Final = "C-EFFECTS"

UNDECLARED_RUN: Final = Rule(
    "EFF001", "a run had an effect that the manifest does not declare", "declare the resource, or do without the effect"
)
UNDECLARED_TEXT: Final = Rule(
    "EFF002",
    "the node's text allows an effect that the manifest does not declare",
    "declare the resource, or remove the code that can reach it",
)
UNUSED: Final = Rule(
    "EFF003", "the manifest declares a resource that neither the text nor a run uses", "remove the resource"
)
UNUSED_MODE: Final = Rule(
    "EFF004", "the manifest declares writing where the node only reads", 'declare the resource with mode = "read"'
)
CLASS_TOO_LOW: Final = Rule(
    "EFF005",
    "the declared effects class is below the derived one",
    "declare the derived class, or remove the effects that raise it",
)
CLASS_TOO_HIGH: Final = Rule(
    "EFF006", "the declared effects class is above the derived one", "tighten the claim to the derived class"
)
NEVER_EXERCISED: Final = Rule(
    "EFF007",
    "a declared effect is in the text, but no fixture exercises it",
    "add a fixture that reaches it, so that its behaviour is evidence too",
)
BLIND: Final = Rule(
    "EFF008",
    "the analysis goes blind here: anything may happen",
    "write it so that the text shows what is called, or trust the module in `node.trusts`",
)
TRUSTED: Final = Rule("EFF009", "a module's effects are taken on trust", "policy may refuse trusted modules")
TARGET_HIDDEN: Final = Rule(
    "EFF010",
    "the text does not show what an effect is aimed at",
    "write the host, path or name where the call can see it, so that the text proves it",
)
NATIVE: Final = Rule(
    "EFF011", "a run called native code, which no Python watch can follow", "do without ctypes and cffi"
)
NOT_TRUSTABLE: Final = Rule(
    "EFF012", "a standard module is named in `node.trusts`", "remove it: its effects are known and never taken on trust"
)

#: Kinds of which several may be meant on one line, told apart by their target.
_AIMED: Final = frozenset({Kind.NETWORK, Kind.HTTP, Kind.KV, Kind.BLOB, Kind.DB, Kind.FS, Kind.ENV, Kind.SECRETS})
_SAFE_NAME: Final = re.compile(r"[^a-z0-9_-]+")


@dataclass(frozen=True, slots=True)
class _Case:
    """Everything that the rules judge."""

    manifest: Manifest
    manifest_file: str
    text: str
    where: positions.Positions
    analysis: Analysis
    seen: Observation

    @property
    def resources(self) -> tuple[Resource, ...]:
        return self.manifest.resource

    def declared(self, effect: Effect | Seen) -> list[Resource]:
        """The resources that the effect is use of."""
        return [resource for resource in self.resources if touches(resource, effect)]

    def permits(self, effect: Effect | Seen) -> bool:
        """Whether a resource covers the effect, mode included."""
        if effect.kind is Kind.THREAD:
            return True
        return any(is_connection(effect) or allows(resource, effect) for resource in self.declared(effect))


def check(bench: Workbench) -> CheckResult:
    """Compare the three sets, and the class that follows from them with the declared one."""
    subject = bench.subject
    signature = bench.laboratory.signature()
    sources = read_sources(subject.root, subject.files)
    node = subject.manifest.node
    analysis = analyse(sources, node.entry, trusts=node.trusts, context=signature.context)
    records, incomplete, artefacts = _run(bench)
    seen = observe(subject.manifest, analysis, records, upstream_addresses(subject.manifest))
    text = (subject.root / subject.manifest_file).read_text(encoding="utf-8")
    case = _Case(subject.manifest, subject.manifest_file, text, positions.index(text), analysis, seen)
    findings = tuple(_findings(case))
    return CheckResult(CHECK, _verdict(findings, incomplete), findings, _measured(case), artefacts)


def _run(bench: Workbench) -> tuple[dict[str, RunRecord], str, dict[str, str]]:
    names = list(bench.fixtures)
    plans = [Plan((Delivery(bench.fixtures[name]),), observe=Observe.CALLS) for name in names]
    records: dict[str, RunRecord] = {}
    artefacts: dict[str, str] = {}
    incomplete = ""
    for name, record in zip(names, bench.laboratory.remembered(plans), strict=True):
        records[name] = record
        bench.progress(len(records), len(plans))
        artefacts[f"run of {name}"] = bench.keep(record)
        incomplete = incomplete or (record.incomplete and f"the record of fixture `{name}`: {record.incomplete}")
    return records, incomplete, {name: digest for name, digest in artefacts.items() if digest}


def _verdict(findings: Sequence[Diagnostic], incomplete: str) -> Verdict:
    undecided = {BLIND, NATIVE, *(f.rule for f in findings if f.code in {"EFF020", "EFF021"})}
    errors = [finding for finding in findings if finding.severity is Severity.ERROR]
    if any(finding.rule not in undecided for finding in errors):
        return Failed()
    if errors:
        places = ", ".join(sorted({str(finding.place) for finding in errors if finding.place}))
        return Unknown(f"the analysis goes blind at {places or 'places without a line'}")
    if incomplete:
        return Unknown(incomplete, waiting_helps=True)
    return Passed()


def _findings(case: _Case) -> Iterator[Diagnostic]:
    yield from case.analysis.diagnostics
    yield from _undeclared(case)
    yield from _unused(case)
    yield from _class(case)
    yield from _blind(case)
    yield from _remarks(case)


# -- observed and static within declared -------------------------------------------------------------------------


def _undeclared(case: _Case) -> Iterator[Diagnostic]:
    told: set[tuple[str, str]] = set()
    runs = [seen for seen in case.seen.effects if not case.permits(seen)]
    text = [effect for effect in case.analysis.effects if not case.permits(effect)]
    for seen in sorted(runs, key=lambda s: (s.place is None, s.kind, s.target)):
        key = (seen.kind.value, seen.resource or seen.target)
        if key in told or (seen.kind is Kind.NETWORK and _already_told(seen, told)):
            continue
        told.add(key)
        alike = [s for s in runs if (s.kind.value, s.resource or s.target) == key]
        witness = next((effect for effect in text if _same(effect, seen)), None)
        if witness is not None:
            told.add((witness.kind.value, witness.resource or witness.target))
        yield _undeclared_run(case, _with_port(_strongest(seen, alike), witness), witness)
    observed = {(seen.kind, seen.resource or seen.target) for seen in runs}
    for effect in text:
        key = (effect.kind.value, effect.resource or effect.target)
        hidden = not (effect.resource or effect.target) and any(kind is effect.kind for kind, _ in observed)
        if key in told or hidden:
            continue
        told.add(key)
        same = [other for other in text if (other.kind.value, other.resource or other.target) == key]
        yield _undeclared_text(case, next((other for other in same if other.mode is Mode.WRITE), effect))


def _strongest(seen: Seen, alike: Sequence[Seen]) -> Seen:
    """The same effect in the strongest of the modes in which it was seen, and with everybody who saw it."""
    mode = Mode.WRITE if any(other.mode is Mode.WRITE for other in alike) else seen.mode
    return replace(seen, mode=mode, via=seen.via.union(*(other.via for other in alike)))


def _with_port(seen: Seen, witness: Effect | None) -> Seen:
    """A look-up that failed names no port; the text may."""
    if witness is not None and seen.kind is Kind.NETWORK and witness.target.startswith(f"{seen.target}:"):
        return replace(seen, target=witness.target, mode=witness.mode)
    return seen


def _already_told(seen: Seen, told: set[tuple[str, str]]) -> bool:
    """A look-up and a connection to the same host are one matter."""
    host = seen.target.rpartition(":")[0] or seen.target
    return any(kind == Kind.NETWORK and (name.rpartition(":")[0] or name) == host for kind, name in told)


def _same(effect: Effect, seen: Seen) -> bool:
    """Whether an effect of the text is what a run did."""
    if effect.kind is not seen.kind:
        return False
    text, run = effect.resource or effect.target, seen.resource or seen.target
    if text in {"", run} or text.startswith(f"{run}:") or effect.kind not in _AIMED:
        return True
    same_line = seen.place is not None and (effect.place.file, effect.place.line) == (seen.place.file, seen.place.line)
    return same_line and effect.kind in {Kind.FS, Kind.DB}  # one file, written in two ways


def _undeclared_run(case: _Case, seen: Seen, witness: Effect | None) -> Diagnostic:
    place = seen.place or (witness.place if witness else None)
    names = ", ".join(f"`{name}`" for name in seen.fixtures)
    via = _who(seen)
    because = f"{via} saw {_deed(seen)} while fixture {names} ran"
    if seen.place is None:
        because += "; no line of the node's Python led there" + (", its text does" if witness else "")
    notes = _path_notes(witness) if witness else ()
    return Diagnostic(
        UNDECLARED_RUN,
        f"{_phrase(seen)} is not declared{_wrong_mode(case, seen)}",
        place or Place(case.manifest_file, 1, 1),
        because=f"{because}{_declared_list(case, seen.kind)}",
        fix=_fix(case, seen),
        notes=notes,
        edit=_edit(case, seen),
        data={"kind": seen.kind.value, "mode": seen.mode.value, "target": seen.target, "via": sorted(seen.via)},
    )


def _undeclared_text(case: _Case, effect: Effect) -> Diagnostic:
    return Diagnostic(
        UNDECLARED_TEXT,
        f"{_phrase(effect)} is not declared{_wrong_mode(case, effect)}",
        effect.place,
        because=f"static analysis: `{effect.call}` {effect.reason}{_declared_list(case, effect.kind)}",
        fix=_fix(case, effect),
        notes=_path_notes(effect),
        edit=_edit(case, effect),
        data={"kind": effect.kind.value, "mode": effect.mode.value, "target": effect.target, "via": ["static"]},
    )


def _phrase(effect: Effect | Seen) -> str:
    verb = "writing" if effect.mode is Mode.WRITE else "reading"
    what = effect.resource or effect.target
    match effect.kind:
        case Kind.NETWORK:
            return f"the connection to {what or 'a host that the text does not name'}"
        case Kind.PROCESS:
            return f"starting or changing a process (`{effect.call}`)"
        case Kind.FS:
            return f"{verb} {f'`{what}`' if what else 'a file that the text does not name'}"
        case Kind.CLOCK:
            return f"reading the clock (`{effect.call}`)"
        case Kind.RANDOM:
            return f"randomness (`{effect.call}`)"
        case Kind.ENV:
            return f"{verb} {f'`{what}` of the environment' if what else 'the environment'}"
        case Kind.LOG:
            return f"logging (`{effect.call}`)"
        case _:
            return f"{verb} {effect.kind} {f'`{what}`' if what else '(of a name that the text does not show)'}"


def _deed(seen: Seen) -> str:
    what = seen.resource or seen.target
    return f"`{seen.call}`" + (f" of {what}" if what and what != seen.call else "")


def _who(seen: Seen) -> str:
    names = {
        "audit": "the interpreter's audit hook",
        "kernel": "the kernel",
        "call": "the watch on C functions",
        "context": "the context",
        "upstream": "the upstream",
    }
    return " and ".join(names.get(via, via) for via in sorted(seen.via)) or "the laboratory"


def _wrong_mode(case: _Case, effect: Effect | Seen) -> str:
    found = case.declared(effect)
    return f": `{found[0].name}` is declared for reading only" if found else ""


def _declared_list(case: _Case, kind: Kind) -> str:
    if kind not in {Kind.NETWORK, Kind.HTTP}:
        return ""
    hosts = [f"{r.name} = {r.url}" for r in case.resources if r.url]
    return f"\ndeclared are: {', '.join(hosts)}" if hosts else "\nno http resource is declared"


def _path_notes(effect: Effect) -> tuple[Note, ...]:
    return tuple(Note(step.label, step.place) for step in effect.path)


# -- what to add to the manifest ---------------------------------------------------------------------------------


def _fix(case: _Case, effect: Effect | Seen) -> str:
    found = case.declared(effect)
    if found:
        return f'write mode = "write" in [[resource]] `{found[0].name}` of {case.manifest_file}, or do not write'
    instead = {
        Kind.CLOCK: "take the time as an input",
        Kind.RANDOM: "take the seed as an input",
        Kind.ENV: "take the setting as an input",
        Kind.LOG: "use no logging",
        Kind.PROCESS: "do without the process",
    }.get(effect.kind, "remove the call")
    return f"add to {case.manifest_file}, or {instead}:\n{_toml(case, effect).strip()}"


def _toml(case: _Case, effect: Effect | Seen) -> str:
    kind = effect.kind.resource
    address = effect.target if effect.kind is Kind.NETWORK and re.fullmatch(r"[\w.-]+(:\d+)?", effect.target) else ""
    host, _, port = address.partition(":")
    name = effect.resource or (host.split(".")[0] if address else effect.kind.value)
    lines = ["[[resource]]", f'name = "{_fresh(case, name)}"']
    if (address and port in {"", "80", "443"}) or effect.kind is Kind.HTTP:
        scheme = "http" if port == "80" else "https"
        lines += ['kind = "http"', f'mode = "{effect.mode}"', f'url = "{scheme}://{host or "HOST"}"']
        lines += ["# and `answers`: what the node does on 401, 429, 5xx, timeout, malformed, slow"]
    else:
        lines += [f'kind = "{kind}"']
        lines += [] if kind in MODELESS else [f'mode = "{effect.mode}"']
    if effect.kind in {Kind.FS, Kind.DB} and effect.target and not effect.resource and _plain(effect.target):
        lines.append(f'path = "{effect.target}"')
    if effect.kind in {Kind.ENV, Kind.SECRETS} and effect.target and _plain(effect.target):
        lines.append(f'variables = ["{effect.target}"]')
    return "\n" + "\n".join(lines) + "\n"


def _plain(text: str) -> bool:
    return not set(text) & set('"\\\n\r\t') and text.isprintable()


def _fresh(case: _Case, wish: str) -> str:
    name = _SAFE_NAME.sub("-", wish.lower()).strip("-_0123456789") or "resource"
    taken = {resource.name for resource in case.resources}
    return next(n for n in (name, *(f"{name}-{i}" for i in range(2, 10_000))) if n not in taken)


def _edit(case: _Case, effect: Effect | Seen) -> Edit | None:
    if case.declared(effect) or effect.kind in {Kind.NETWORK, Kind.HTTP}:
        return None  # a mode or an upstream is for the author to decide on
    lines = case.text.split("\n")
    end = Place(case.manifest_file, len(lines), len(lines[-1]) + 1, len(lines), len(lines[-1]) + 1)
    return Edit(end, ("" if case.text.endswith("\n") else "\n") + _toml(case, effect))


# -- declared within observed and static -------------------------------------------------------------------------


def _unused(case: _Case) -> Iterator[Diagnostic]:
    unsure = bool(case.analysis.blind or case.seen.native)
    trusted = bool(case.analysis.assumptions)
    for number, resource in enumerate(case.resources):
        static = [effect for effect in case.analysis.effects if touches(resource, effect)]
        seen = [effect for effect in case.seen.effects if touches(resource, effect)]
        place = case.where.key(("resource", number)).within(case.manifest_file)
        label = f"{resource.kind} resource `{resource.name}`"
        if not static and not seen:
            if not unsure:
                yield _declared_in_vain(label, place, trusted=trusted)
            continue
        used: list[Effect | Seen] = [*static, *seen]
        writes = [effect for effect in used if effect.mode is Mode.WRITE and not is_connection(effect)]
        if resource.mode is Mode.WRITE and resource.kind not in MODELESS and not writes and not (unsure or trusted):
            value = case.where.value(("resource", number, "mode")).within(case.manifest_file)
            yield Diagnostic(
                UNUSED_MODE,
                f"{label} is declared for writing, and the node only reads it",
                value,
                because=f"the text and the runs show only {', '.join(sorted({f'`{effect.call}`' for effect in used}))}",
                fix='write mode = "read"',
                edit=Edit(value, '"read"'),
            )
        if not seen and resource.kind.value != Kind.LOG:
            yield Diagnostic(
                NEVER_EXERCISED,
                f"{label} is declared, never exercised",
                place,
                because=f"the text reaches it at {static[0].place}, but no fixture's run does",
                fix=NEVER_EXERCISED.advice,
                notes=_path_notes(static[0]),
                severity=Severity.WARNING,
            )


def _declared_in_vain(label: str, place: Place, *, trusted: bool) -> Diagnostic:
    because = "neither the node's text nor the run of any fixture uses it"
    if trusted:
        because += "; a module taken on trust may"
    return Diagnostic(
        UNUSED,
        f"{label} is declared, and nothing uses it",
        place,
        because=because,
        fix="remove it from the manifest: what is declared is what the node may do",
        severity=Severity.WARNING if trusted else Severity.ERROR,
    )


# -- the class ---------------------------------------------------------------------------------------------------


def _derived(case: _Case) -> tuple[Effects, Effect | Seen | None]:
    """The join of all effects, and one that gives it."""
    effects: list[Effect | Seen] = [*case.analysis.effects, *case.seen.effects]
    best: tuple[Effects, Effect | Seen | None] = (Effects.PURE, None)
    for effect in effects:
        mode = Mode.READ if is_connection(effect) and effect.resource else effect.mode
        if is_connection(effect) and any(touches(r, effect) and r.url for r in case.resources):
            mode = Mode.READ  # the request that follows says whether it writes
        found = effects_class(effect.kind, mode)
        if found.rank > best[0].rank:
            best = (found, effect)
    return best


def _class(case: _Case) -> Iterator[Diagnostic]:
    declared = case.manifest.node.effects
    derived, cause = _derived(case)
    value = case.where.value(("node", "effects")).within(case.manifest_file)
    edit = Edit(value, f'"{derived.value}"')
    if declared.rank < derived.rank and cause is not None:
        yield Diagnostic(
            CLASS_TOO_LOW,
            f"the node claims effects = {declared.value!r} and is {derived.value!r}",
            value,
            because=f"{_phrase(cause)}{f' at {cause.place}' if cause.place else ''} makes it {derived.value}",
            fix=f'write effects = "{derived.value}", or remove what makes it so',
            notes=_path_notes(cause) if isinstance(cause, Effect) else (),
            edit=edit,
        )
    elif declared.rank > derived.rank and not case.analysis.blind and not case.seen.native:
        trusted = bool(case.analysis.assumptions)
        yield Diagnostic(
            CLASS_TOO_HIGH,
            f"the node claims effects = {declared.value!r} and is only {derived.value!r}",
            value,
            because="no effect in its text or its runs asks for more"
            + ("; a module taken on trust may" if trusted else ""),
            fix=f'tighten the claim: write effects = "{derived.value}"',
            edit=None if trusted else edit,
            severity=Severity.WARNING if trusted else Severity.ERROR,
        )


# -- blind spots, trust, hidden targets --------------------------------------------------------------------------


def _blind(case: _Case) -> Iterator[Diagnostic]:
    for spot in case.analysis.blind:
        yield Diagnostic(
            BLIND,
            f"`{spot.what}` {spot.why}",
            spot.place,
            because="static analysis goes blind here, so that no bound on the node's effects can be given",
            fix=BLIND.advice,
            notes=tuple(Note(step.label, step.place) for step in spot.path),
        )
    for event in case.seen.native:
        yield Diagnostic(
            NATIVE,
            f"native code was called: {event.target}",
            event.place,
            because=f"seen at `{event.detail.get('call', 'ctypes')}`; what it does next need not be seen",
            fix=NATIVE.advice,
        )


def _remarks(case: _Case) -> Iterator[Diagnostic]:
    for assumption in case.analysis.assumptions:
        yield Diagnostic(
            TRUSTED,
            f"module `{assumption.module}` is taken on trust",
            assumption.place,
            because="the manifest names it in `node.trusts`; the analysis does not look into it",
            severity=Severity.NOTE,
        )
    for number, module in enumerate(case.manifest.node.trusts):
        if is_standard(module):
            value = case.where.value(("node", "trusts", number)).within(case.manifest_file)
            yield Diagnostic(
                NOT_TRUSTABLE,
                f"`{module}` belongs to the standard library and is not taken on trust",
                value,
                fix=NOT_TRUSTABLE.advice,
                severity=Severity.WARNING,
            )
    for effect in case.analysis.effects:
        aimed = effect.kind in {Kind.NETWORK, Kind.FS, Kind.DB, Kind.HTTP, Kind.KV, Kind.BLOB}
        if aimed and not effect.target and not effect.resource and case.permits(effect):
            names = ", ".join(f"`{resource.name}`" for resource in case.declared(effect))
            yield Diagnostic(
                TARGET_HIDDEN,
                f"the text does not show what `{effect.call}` is aimed at",
                effect.place,
                because=f"it is taken as use of {names}; the runs agree, the text alone does not prove it",
                fix=TARGET_HIDDEN.advice,
                severity=Severity.WARNING,
            )


# -- the report's table ------------------------------------------------------------------------------------------


def _measured(case: _Case) -> dict[str, Any]:
    derived, _ = _derived(case)
    return {
        "declared": [{"name": r.name, "kind": r.kind.value, "mode": r.mode.value} for r in case.resources],
        "static": case.analysis.to_data()["effects"],
        "observed": [
            {
                "name": seen.name,
                "kind": seen.kind.value,
                "mode": seen.mode.value,
                "call": seen.call,
                "place": str(seen.place) if seen.place else "",
                "via": sorted(seen.via),
                "fixtures": list(seen.fixtures),
            }
            for seen in case.seen.effects
        ],
        "blind": case.analysis.to_data()["blind"],
        "trusted": case.analysis.to_data()["assumptions"],
        "declared_class": case.manifest.node.effects.value,
        "derived_class": "unknown" if case.analysis.blind or case.seen.native else derived.value,
        "files": list(case.analysis.files),
    }
