"""Publishes a second against bare SQLite transactions of the same bytes, and the time of verifying the log.

Run: ``python bench/registry_publish.py [FOLDER]``. Both sides write to the same disk, by turns, in one run.
"""

from __future__ import annotations

import contextlib
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from certify.codec import address, encode
from certify.evidence import dsse, statement
from certify.evidence.bundle import Evidence, statement_of
from certify.evidence.keys import KeyPair
from certify.evidence.verdict import CheckResult, Passed
from certify.registry.envelopes import verdicts
from certify.registry.registry import Registry
from certify.registry.submission import Submission
from certify.registry.verification import verify_log

ROUNDS = 5
PUBLISHES = 40
LOG = 1000
RECORD_BYTES = 20_000


def submission(release: str, key: KeyPair, record_bytes: int) -> Submission:
    """A release with a source file, a manifest, an SBOM, a policy, a report and a run record, four of them new."""
    source, sbom, policy = (
        b"def charge(request): ...",
        b'{"bomFormat": "CycloneDX"}',
        b"permit(principal, action, resource);",
    )
    manifest, report = f"[node]\nversion = {release!r}\n".encode(), f"<h1>{release}</h1>".encode()
    run = (release.encode() * record_bytes)[:record_bytes]
    files = {"node.py": address(source), "node.toml": address(manifest)}
    evidence = Evidence(
        node="payments/charge",
        version=release,
        subject=address(encode(files)),
        files=files,
        manifest=address(manifest),
        results=(CheckResult("C-DETERMINISM", Passed(), artefacts={"run": address(run)}),),
        sbom=address(sbom),
        policy=address(policy),
        tools={"certify": "0"},
        laboratory={},
        started="2026-11-20T12:00:00Z",
        finished="2026-11-20T12:00:01Z",
    )
    return Submission(
        node=evidence.node,
        release=release,
        subject=evidence.subject,
        evidence=evidence.digest,
        envelope=dsse.sign(statement.PAYLOAD_TYPE, statement_of(evidence, sbom).to_json(), key),
        signer=key.public,
        blobs={address(blob): blob for blob in (source, manifest, sbom, policy, report, run, evidence.encode())},
        artefacts={"report": address(report)},
        verdicts=verdicts(evidence),
    )


def bare(folder: Path, durable: str) -> sqlite3.Connection:
    """A database in WAL mode that takes blobs by digest."""
    connection = sqlite3.connect(folder / f"bare-{durable}.db", isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute(f"PRAGMA synchronous = {durable}")
    connection.execute("CREATE TABLE blobs (digest TEXT PRIMARY KEY, data BLOB) WITHOUT ROWID")
    return connection


def store(connection: sqlite3.Connection, handed_in: Submission) -> None:
    """The bytes of a submission in one transaction."""
    connection.execute("BEGIN IMMEDIATE")
    connection.executemany("INSERT OR IGNORE INTO blobs VALUES (?, ?)", handed_in.stored.items())
    connection.execute("COMMIT")


def main() -> None:
    where = Path(sys.argv[1]) if len(sys.argv) > 1 else None
    key = KeyPair(Ed25519PrivateKey.generate())
    seconds: dict[str, list[float]] = {"registry": [], "sqlite FULL": [], "sqlite NORMAL": []}
    with tempfile.TemporaryDirectory(dir=where) as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        registry = stack.enter_context(Registry.create(folder / "registry"))
        full = stack.enter_context(contextlib.closing(bare(folder, "FULL")))
        normal = stack.enter_context(contextlib.closing(bare(folder, "NORMAL")))
        ways: dict[str, Callable[[Submission], object]] = {
            "registry": registry.publish,
            "sqlite FULL": lambda handed_in: store(full, handed_in),
            "sqlite NORMAL": lambda handed_in: store(normal, handed_in),
        }
        for turn in range(ROUNDS):
            batch = [submission(f"1.{turn}.{number}", key, RECORD_BYTES) for number in range(PUBLISHES)]
            for way, work in ways.items():
                start = time.perf_counter()
                for handed_in in batch:
                    work(handed_in)
                seconds[way].append((time.perf_counter() - start) / PUBLISHES)
        size = sum(len(blob) for blob in submission("1.0.0", key, RECORD_BYTES).stored.values())
        for number in range(LOG - ROUNDS * PUBLISHES):
            registry.publish(submission(f"2.0.{number}", key, 100))
        start = time.perf_counter()
        report = verify_log(registry.folder)
        verifying = time.perf_counter() - start
    bare_rate = 1 / statistics.median(seconds["sqlite FULL"])
    print(f"{ROUNDS} rounds of {PUBLISHES} publishes by turns, {size:,} bytes each, median round")
    print(f"{'':24}{'a second':>10}{'ms each':>10}{'of bare FULL':>14}")
    for way, samples in seconds.items():
        rate = 1 / statistics.median(samples)
        print(f"{way:24}{rate:10.0f}{1000 / rate:10.2f}{rate / bare_rate:13.2f}x")
    print(
        f"verify_log: {verifying * 1000 / report.entries:.2f} s per 1,000 entries "
        f"({report.entries} entries, {report.blobs} blobs, {report.signatures} signatures, "
        f"{'holds' if report.holds else 'DOES NOT HOLD'})"
    )


if __name__ == "__main__":
    main()
