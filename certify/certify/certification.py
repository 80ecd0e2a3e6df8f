"""The certification of one node, from manifest to evidence: the data's way through the toolkit, in one page.

Rules this module keeps:

- checks run in the order of `checks`: first whether the node answers, then side by side all that judge what it does,
  then what is measured to the millisecond, and at last policy, which judges what the others found;
- a check that cannot decide, or fails itself, is `Unknown`: never passed, and never a silent block;
- nothing is written: what was found is a value; publishing and printing are somebody else's.
"""

from __future__ import annotations

import contextlib
import itertools
import platform
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

from certify import __version__, codec, parsing
from certify.checks import determinism, sandbox
from certify.checks.workbench import Check, Workbench
from certify.evidence import dsse
from certify.evidence.bundle import Bundle, Evidence, statement_of
from certify.evidence.keys import KeyPair
from certify.evidence.statement import PAYLOAD_TYPE
from certify.evidence.verdict import CheckResult, Unknown, Verdict, allows_publish
from certify.laboratory import archive
from certify.laboratory.laboratory import Laboratory, Limits
from certify.laboratory.reading import LaboratoryError
from certify.laboratory.record import RunRecord
from certify.subject import NodeFolder, read_subject
from certify.times import write_seconds
from certify_spec.diagnostics import RequestError

if TYPE_CHECKING:  # they take a while to import, and until then sandboxes can be started
    from certify.policy.policies import PolicySet
    from certify.policy.waivers import SignedWaiver

#: Checks that have the machine, or the others' results, to themselves: what comes between them runs side by side.
_ALONE: Final = frozenset({"C-SANDBOX", "C-BUDGET", "C-POLICY"})
_LIBRARIES: Final = (
    "blake3",
    "cbor2",
    "cedarpy",
    "cryptography",
    "cyclonedx-python-lib",
    "httpx",
    "hypothesis",
    "pydantic",
)


class Progress(Protocol):
    """Who is told how far a certification is. Every method returns at once."""

    def began(self, check: str) -> None:
        """A check has begun."""

    def advanced(self, check: str, done: int, total: int) -> None:
        """So many of the check's runs are done."""

    def ended(self, result: CheckResult) -> None:
        """A check has ended."""


class Silence:
    """Tells nobody."""

    def began(self, check: str) -> None:
        """Nothing."""

    def advanced(self, check: str, done: int, total: int) -> None:
        """Nothing."""

    def ended(self, result: CheckResult) -> None:
        """Nothing."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How to certify.

    Attributes:
        policies: the organisation's policies.
        waivers: waivers whose signatures have been verified, whether or not they speak of this node and this moment.
        only: ids of the checks to run; empty for all. Evidence of a part never lets a node into the registry.
        meanwhile: called once while the node is being run, when nothing else is to be done: to load what comes after.
        now: the clock of the evidence and of the waivers.
    """

    policies: PolicySet
    waivers: tuple[SignedWaiver, ...] = ()
    only: frozenset[str] = frozenset()
    meanwhile: Callable[[], None] = lambda: None
    now: Callable[[], datetime] = lambda: datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Certification:
    """What a certification came to.

    Attributes:
        folder: the node's files.
        evidence: the verdicts and what they rest on.
        blobs: the bytes that the evidence names, by digest.
        complete: whether every check was run.
        runs: how many times the node was run.
        at_once: how many runs were made at once, at the most.
        seconds: wall time of the whole.
    """

    folder: NodeFolder
    evidence: Evidence
    blobs: Mapping[str, bytes] = field(repr=False)
    complete: bool
    runs: int
    at_once: int
    seconds: float

    @property
    def verdict(self) -> Verdict:
        """The verdict over all checks."""
        return self.evidence.verdict

    @property
    def publishable(self) -> bool:
        """Whether the node may enter the registry."""
        return self.complete and allows_publish(self.verdict)

    def sign(self, key: KeyPair) -> Bundle:
        """The evidence with a signed statement about it."""
        payload = statement_of(self.evidence, self.blobs[self.evidence.sbom]).to_json()
        return Bundle(self.evidence, self.blobs, dsse.sign(PAYLOAD_TYPE, payload, key))


def checks(policies: PolicySet) -> dict[str, Check]:
    """All checks by id, in the order in which they run and are reported."""
    from certify.checks import budget, contract, effects, idempotency, patterns, policy, provenance

    return {
        sandbox.CHECK: sandbox.check,
        effects.CHECK: effects.check,
        determinism.CHECK: determinism.check,
        contract.CHECK: contract.check,
        idempotency.CHECK: idempotency.check,
        patterns.CHECK: patterns.check,
        provenance.CHECK: provenance.check,
        budget.CHECK: budget.make_check(policies),
        policy.CHECK: policy.make_check(policies),
    }


@dataclass(frozen=True, slots=True)
class Opened:
    """A node whose laboratory is at work; `began` by the monotonic clock."""

    folder: NodeFolder
    laboratory: Laboratory
    began: float


@contextlib.contextmanager
def opened(manifest: Path, *, jobs: int | None = None) -> Iterator[Opened]:
    """Read a node and have its sandboxes started, which takes as long as to load what judges it.

    Args:
        manifest: the `node.toml`.
        jobs: runs at a time; None for as many as the machine has room for.

    Raises:
        RequestError: the manifest or the node's files cannot be used.
        LaboratoryError: the laboratory could not be set up.
    """
    began = time.monotonic()
    folder = read_subject(manifest)
    with Laboratory(folder.subject, jobs=jobs, rehearsal=folder.rehearsal) as laboratory:
        laboratory.describe()
        laboratory.stock()
        yield Opened(folder, laboratory, began)


def certify(
    manifest: Path, settings: Settings, progress: Progress | None = None, *, jobs: int | None = None
) -> Certification:
    """Run the checks on a node: `opened`, then `judge`."""
    with opened(manifest, jobs=jobs) as node:
        return judge(node, settings, progress)


def judge(node: Opened, settings: Settings, progress: Progress | None = None) -> Certification:
    """Run the checks on a node whose laboratory is at work.

    Raises:
        RequestError: the node's entry point cannot be used.
        LaboratoryError: the laboratory failed.
    """
    from certify.policy.waivers import Candidate, apply_waivers, waivers_of

    started = settings.now()
    teller = progress or Silence()
    folder, laboratory = node.folder, node.laboratory
    blobs: dict[str, bytes] = {codec.address(content): content for content in folder.content.values()}
    all_checks = checks(settings.policies)
    laboratory.signature()
    chosen = {name: check for name, check in all_checks.items() if not settings.only or name in settings.only}
    bench = Workbench(folder.subject, laboratory, folder.inputs, folder.expected, keep=_keeper(blobs))
    results: dict[str, CheckResult] = {}
    for wave in _waves(chosen):
        for name, found in _judge_all(wave, replace(bench, earlier=dict(results)), teller, settings.meanwhile):
            results[name] = apply_waivers(found, settings.waivers, Candidate.of(folder.subject), started)
            teller.ended(results[name])
    modules = _modules(results, bench)
    from certify.evidence.sbom import build_sbom

    sbom = build_sbom(
        node=folder.subject.manifest.node.id,
        version=folder.subject.manifest.node.version,
        files=folder.subject.files,
        modules=modules,
        moment=started,
    )
    policies = codec.encode(settings.policies.to_data())
    used = waivers_of(finding for result in results.values() for finding in result.findings)
    envelopes = {waiver.id: waiver.envelope for waiver in settings.waivers}
    for content in (sbom, policies, *(envelopes[identity] for identity in used)):
        blobs[codec.address(content)] = content
    evidence = Evidence(
        node=folder.subject.manifest.node.id,
        version=folder.subject.manifest.node.version,
        subject=folder.subject.digest,
        files=folder.subject.files,
        manifest=folder.subject.files[folder.subject.manifest_file],
        results=tuple(results.values()),
        sbom=codec.address(sbom),
        policy=codec.address(policies),
        tools=tools(),
        laboratory=_laboratory_settings(folder),
        started=write_seconds(started),
        finished=write_seconds(settings.now()),
        waivers=used,
    )
    complete = chosen.keys() == all_checks.keys()
    seconds = time.monotonic() - node.began
    return Certification(folder, evidence, blobs, complete, laboratory.runs, laboratory.at_once, seconds)


def _waves(chosen: Mapping[str, Check]) -> Iterator[dict[str, Check]]:
    """The checks in their order, in groups that do not ask for each other's results."""
    for _alone, group in itertools.groupby(chosen.items(), key=lambda item: item[0] in _ALONE and item[0]):
        yield dict(group)


def _judge_all(
    wave: Mapping[str, Check], bench: Workbench, teller: Progress, meanwhile: Callable[[], None]
) -> Iterator[tuple[str, CheckResult]]:
    """Run the checks of a group side by side: while one thinks, another's runs have the processors."""
    pool = ThreadPoolExecutor(len(wave), thread_name_prefix="check")
    try:
        with parsing.in_turn():
            waiting: dict[str, Future[CheckResult]] = {}
            for name, check in wave.items():
                teller.began(name)
                waiting[name] = pool.submit(_judge, name, check, replace(bench, progress=_advance(teller, name)))
            if len(wave) > 1:
                meanwhile()
            for name, judged in waiting.items():
                yield name, judged.result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)  # what is interrupted ends when the laboratory closes


def _judge(name: str, check: Check, bench: Workbench) -> CheckResult:
    """Run one check. Whatever goes wrong inside it is `Unknown`, with the cause, and whether waiting helps."""
    began = time.monotonic()
    first = bench.earlier.get(sandbox.CHECK)
    if first is not None and not sandbox.answers(first):
        reason = "the node does not answer its fixtures, so there is nothing to judge: see C-SANDBOX"
        return CheckResult(name, Unknown(reason))
    try:
        result = check(bench)
    except LaboratoryError as error:
        result = CheckResult(name, Unknown(f"the laboratory failed: {error}", waiting_helps=True))
    except RequestError:
        raise
    except Exception as error:  # a check that crashes is never a pass and never a silent block
        where = _last_line(error)
        result = CheckResult(name, Unknown(f"the check itself failed: {type(error).__name__}: {error} ({where})"))
    return replace(result, seconds=time.monotonic() - began)


def _last_line(error: Exception) -> str:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return f"{Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}" if trace else "no place"


def _keeper(blobs: dict[str, bytes]) -> Callable[[RunRecord], str]:
    def keep(record: RunRecord) -> str:
        data = archive.to_bytes(record)
        digest = codec.address(data)
        blobs[digest] = data
        return digest

    return keep


def _advance(progress: Progress, name: str) -> Callable[[int, int], None]:
    return lambda done, total: progress.advanced(name, done, total)


def _modules(results: Mapping[str, CheckResult], bench: Workbench) -> tuple[str, ...]:
    from certify.checks import provenance

    known = results.get(provenance.CHECK)
    if known is not None and "modules" in known.measured:
        return tuple(known.measured["modules"])
    return bench.laboratory.signature().modules


def tools() -> dict[str, str]:
    """Versions of everything that had a part in the verdicts."""
    found = {"certify": __version__, "python": platform.python_version(), "kernel": platform.release()}
    for library in _LIBRARIES:
        found[library] = metadata.version(library)
    try:
        answer = subprocess.run(["bwrap", "--version"], capture_output=True, text=True, timeout=10, check=True)  # noqa: S607 - as the sandbox finds it
        found["bubblewrap"] = answer.stdout.split()[-1]
    except (OSError, subprocess.SubprocessError, IndexError):
        found["bubblewrap"] = "not found"
    return found


def _laboratory_settings(folder: NodeFolder) -> dict[str, Any]:
    limits = Limits.of(folder.subject.manifest)
    return {
        "environment": archive.plain(determinism.BASE),
        "limits": archive.plain(limits),
        "machine": platform.machine(),
        "observes": ["audit events", "system calls", "C functions", "lines", "upstream requests", "context"],
    }
