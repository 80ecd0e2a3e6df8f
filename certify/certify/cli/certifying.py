"""Behind `check`, `publish` and `gate`: certify, write the report, submit, and say what came of it."""

from __future__ import annotations

import contextlib
import gc
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from certify import certification as pipeline
from certify.certification import Certification
from certify.evidence.keys import KeyPair, default_folder, load_key, new_key
from certify.evidence.verdict import Failed, Unknown, name
from certify_spec.diagnostics import Diagnostic, RequestError, Rule, Severity

if TYPE_CHECKING:  # what is not needed to start sandboxes is imported while they start
    from certify.cli.output import Output
    from certify.policy.waivers import SignedWaiver
    from certify.registry.errors import Refused
    from certify.registry.registry import StoredWaiver
    from certify.registry.submission import Receipt

CLI005 = Rule("CLI005", "There is no check of that name.", "Use one of the names that the message lists.")
CLI011 = Rule("CLI011", "A stored waiver does not verify.", "Run `certify registry verify-log`, and waive anew.")

#: Every run is answered several times by a thread that another one keeps waiting for so long, or longer.
_SWITCH_SECONDS: Final = 0.0005
REPORTS = Path(".certify/reports")


@dataclass(frozen=True, slots=True)
class Report:
    """The written report: its folder, the page to open first, and that page's bytes."""

    folder: Path
    page: Path
    html: bytes


def signing_key(place: Path | None) -> KeyPair | None:
    """The key to sign with; None when the default folder has none yet, and the first node that passes makes one."""
    if place is None and not any(default_folder().glob("*.pem")):
        return None
    return load_key(place)


def certify(
    manifest: Path, only: list[str], policy: Path | None, registry: str, jobs: int | None, *, as_json: bool
) -> tuple[Certification, Report]:
    """Certify and write the report.

    Raises:
        RequestError: the manifest, the policies or the names of checks are wrong; nothing was written.
    """
    sys.setswitchinterval(_SWITCH_SECONDS)
    with pipeline.opened(manifest, jobs=jobs) as node:
        from certify.cli.output import Output
        from certify.cli.progress import TerminalProgress

        output = Output(as_json=as_json)
        settings = _settings(node.folder.subject.manifest.node.id, only, policy, registry, output)
        with TerminalProgress(output.people) as progress, _memory_kept():
            found = pipeline.judge(node, settings, progress)
    return found, write_report(found)


@contextlib.contextmanager
def _memory_kept() -> Iterator[None]:
    """Have the collector pass over what there is already: drawing inputs collects, and waits for all of it."""
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def _settings(node: str, only: list[str], policy: Path | None, registry: str, output: Output) -> pipeline.Settings:
    from certify.policy.policies import load_policies

    policies = load_policies(policy)
    known = list(pipeline.checks(policies)) if only else []
    chosen = [text.upper() if text.upper().startswith("C-") else f"C-{text.upper()}" for text in only]
    wrong = [
        Diagnostic(CLI005, f"no check is called {text}", because=f"there are {', '.join(known)}", fix=CLI005.advice)
        for text, name_ in zip(only, chosen, strict=True)
        if name_ not in known
    ]
    if wrong:
        raise RequestError(*wrong)
    waivers = _waivers(registry, node, output)
    return pipeline.Settings(policies, waivers, frozenset(chosen), meanwhile=_prepare_report)


def _waivers(registry: str, node: str, output: Output) -> tuple[SignedWaiver, ...]:
    """The node's waivers whose signatures verify; those that do not are named, and cover nothing.

    Which of them cover a finding at this moment is for `certify.policy.waivers` to say: a finding that one just misses
    tells why.
    """
    from certify.cli import registries
    from certify.registry.errors import Refused

    if not registries.is_there(registry):
        return ()
    verified: list[SignedWaiver] = []
    with registries.opened(registry) as opened:
        for stored in opened.waivers(node):
            try:
                verified.append(opened.signed_waiver(stored))
            except (Refused, RequestError) as error:
                output.diagnostics([_unverified(stored, error)], errors=True)
    return tuple(verified)


def _unverified(stored: StoredWaiver, error: Refused | RequestError) -> Diagnostic:
    because = "; ".join(d.message for d in error.diagnostics)
    message = f"the waiver {stored.id[:16]}… of {stored.waiver.code} does not verify, and covers nothing"
    return Diagnostic(CLI011, message, because=because, fix=CLI011.advice, severity=Severity.WARNING)


def _prepare_report() -> None:
    from certify.report import html

    html.prepare()


def write_report(found: Certification) -> Report:
    """Write the report's files below `.certify/reports`; each is written whole or not at all."""
    evidence = found.evidence
    folder = REPORTS / evidence.node.replace("/", "--") / evidence.version
    folder.mkdir(parents=True, exist_ok=True)
    from certify.report import render

    html = render(evidence, found.blobs, "html")
    for file, content in (("report.html", html), ("report.json", render(evidence, found.blobs, "json"))):
        partial = folder / f".{file}.partial"
        partial.write_bytes(content)
        partial.replace(folder / file)
    records = {digest for result in evidence.results for digest in result.artefacts.values()}
    (folder / "runs").mkdir(exist_ok=True)
    for digest in sorted(records):
        (folder / "runs" / f"{digest}.cbor").write_bytes(found.blobs[digest])
    return Report(folder, folder / "report.html", html)


def submit(found: Certification, report: Report, key: KeyPair | None, registry: str) -> Receipt:
    """Sign the evidence, with a new key if there is none, and hand it in, in one transaction.

    Raises:
        Refused: the registry declines.
    """
    from certify import codec
    from certify.cli import registries
    from certify.registry.submission import Submission

    key = key or new_key()
    bundle = found.sign(key)
    evidence = found.evidence
    encoded = evidence.encode()
    blobs = dict(found.blobs) | {codec.address(encoded): encoded, codec.address(report.html): report.html}
    artefacts = {
        "report": codec.address(report.html),
        "sbom": evidence.sbom,
        "manifest": evidence.manifest,
        "policy": evidence.policy,
    }
    submission = Submission(
        node=evidence.node,
        release=evidence.version,
        subject=evidence.subject,
        evidence=codec.address(encoded),
        envelope=bundle.envelope,
        signer=key.public,
        blobs=blobs,
        artefacts=artefacts,
        verdicts={result.check: name(result.verdict) for result in evidence.results},
    )
    with registries.ensured(registry) as opened:
        return opened.publish(submission)


def show(
    found: Certification, report: Report, receipt: Receipt | None = None, *, publishing: bool = False, as_json: bool
) -> None:
    """Findings, verdict, and what happens now."""
    from certify.cli.output import Output

    output = Output(as_json=as_json)
    evidence = found.evidence
    for result in evidence.results:
        output.diagnostics(result.findings)
    word = name(found.verdict)
    output.say(
        f"{evidence.name}: {word} ({found.runs} runs, {found.at_once} at once, in {found.seconds:.1f} s)", _style(found)
    )
    if receipt is not None:
        did = "published" if receipt.appended else "was already published"
        output.say(
            f"{evidence.name} {did}: entry {receipt.entry} of the log, evidence {evidence.digest[:16]}…", "green"
        )
    elif publishing:
        output.say("nothing was published", "bold red")
    output.say(f"report: {report.page}")
    output.data(
        {
            "subject": evidence.name,
            "verdict": word,
            "published": receipt is not None,
            "report": str(report.page),
            "evidence": evidence.digest,
            "receipt": receipt.to_data() if receipt else None,
            "results": [result.to_data() for result in evidence.results],
        }
    )


def _style(found: Certification) -> str:
    match found.verdict:
        case Failed():
            return "bold red"
        case Unknown():
            return "magenta"
        case _:
            return "green"
