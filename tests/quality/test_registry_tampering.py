"""Tampering with a registry: each thing separately, each found by its own code."""

from __future__ import annotations

import contextlib
import random
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from certify.codec import address, decode, encode
from certify.evidence import dsse, statement, strict_json
from certify.evidence.bundle import Evidence, statement_of
from certify.evidence.keys import KeyPair, load_key
from certify.evidence.verdict import Failed, Passed
from certify.registry import checkpoint, merkle
from certify.registry.checkpoint import Checkpoint, Verifier
from certify.registry.decisions import Decision
from certify.registry.entries import Decided, Published, Status, read, write
from certify.registry.founding import KEY_FOLDER
from certify.registry.raw import load
from certify.registry.registry import Registry
from certify.registry.verification import VerificationReport, verify_log
from certify_spec.diagnostics import RequestError
from registry_support import (
    AUTHOR,
    NODE,
    OTHER,
    signed_decision,
    signed_waiver,
    submission,
    ticking,
    waived_submission,
    waiver,
)

# What the log holds: entries 0 and 1 publish, 2 waives, 3 decides, 4 publishes.
LAST = 4


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A registry with one entry of each kind, made once."""
    folder = tmp_path_factory.mktemp("pristine") / "registry"
    with Registry.create(folder, clock=ticking()) as registry:
        first = registry.publish(submission())
        registry.publish(submission(release="1.1.0", key=OTHER))
        registry.waive(*signed_waiver(waiver()))
        decision = Decision(NODE, "1.0.0", first.evidence, Status.APPROVED, 1, "looks right")
        registry.decide(*signed_decision(decision))
        registry.publish(submission("orders/normalise", "0.1.0"))
    return folder


@pytest.fixture
def folder(pristine: Path, tmp_path: Path) -> Path:
    """A copy to tamper with."""
    return Path(shutil.copytree(pristine, tmp_path / "registry"))


@contextlib.contextmanager
def database(folder: Path) -> Iterator[sqlite3.Connection]:
    """The database without the triggers that stop mistakes; they are back afterwards."""
    with contextlib.closing(sqlite3.connect(folder / "registry.db", isolation_level=None)) as connection:
        triggers = connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
        for name, _ in triggers:
            connection.execute(f"DROP TRIGGER {name}")
        yield connection
        for _, sql in triggers:
            connection.execute(sql)


def codes(report: VerificationReport) -> list[str]:
    """The codes found, each once."""
    return sorted({diagnostic.code for diagnostic in report.diagnostics})


def entries_named(report: VerificationReport, code: str) -> list[object]:
    """The entries that findings with the code name."""
    return [d.data.get("entry") for d in report.diagnostics if d.code == code]


def blob_path(folder: Path, digest: str) -> Path:
    """Where the blob lies."""
    return folder / "blobs" / digest[:2] / digest[2:]


def entry(folder: Path, number: int) -> Published:
    """One publishing entry."""
    with Registry.open(folder) as registry:
        found = registry.log(number, number + 1)[0].entry
    assert isinstance(found, Published)
    return found


def rebuild(folder: Path, connection: sqlite3.Connection, key: KeyPair | None = None) -> None:
    """Recompute leaf hashes and subtrees after a change, and with the registry's key the checkpoints too."""
    origin = Verifier.from_text(connection.execute("SELECT value FROM settings").fetchone()[0]).origin
    connection.execute("DELETE FROM subtrees")
    if key:
        connection.execute("DELETE FROM checkpoints")
    tree = merkle.Frontier()
    for number, data in connection.execute("SELECT number, data FROM entries ORDER BY number").fetchall():
        tree, made = tree.append(merkle.leaf_hash(data))
        connection.execute("UPDATE entries SET leaf_hash = ? WHERE number = ?", (made[0].hash, number))
        rows = [(subtree.level, subtree.index, subtree.hash) for subtree in made[1:]]
        connection.executemany("INSERT INTO subtrees VALUES (?, ?, ?)", rows)
        if key:
            note = checkpoint.sign(Checkpoint(origin, tree.size, tree.root()), key.private)
            connection.execute("INSERT INTO checkpoints VALUES (?, ?)", (tree.size, note))


def replace_entry(connection: sqlite3.Connection, number: int, change: Callable[[Published], Published]) -> None:
    """Change one publishing entry's bytes, and nothing else."""
    (data,) = connection.execute("SELECT data FROM entries WHERE number = ?", (number,)).fetchone()
    found = read(data)
    assert isinstance(found, Published)
    connection.execute("UPDATE entries SET data = ? WHERE number = ?", (write(change(found)), number))


def put_blob(folder: Path, connection: sqlite3.Connection, data: bytes) -> str:
    """Store a blob as the registry would; returns its digest."""
    digest = address(data)
    blob_path(folder, digest).parent.mkdir(exist_ok=True)
    blob_path(folder, digest).write_bytes(data)
    connection.execute("INSERT INTO blobs VALUES (?, ?)", (digest, len(data)))
    return digest


def drop_blob(folder: Path, connection: sqlite3.Connection, digest: str) -> None:
    """Remove a blob and its row."""
    connection.execute("PRAGMA foreign_keys = OFF")
    connection.execute("DELETE FROM blobs WHERE digest = ?", (digest,))
    blob_path(folder, digest).unlink()


def corrupted_signature(envelope: bytes) -> bytes:
    """The envelope with another signature of the right form."""
    document = strict_json.read(envelope)
    signature = document["signatures"][0]["sig"]
    document["signatures"][0]["sig"] = ("A" if signature[0] != "A" else "B") + signature[1:]
    return bytes(strict_json.write(document))


def forge_evidence(folder: Path, connection: sqlite3.Connection, key: KeyPair) -> None:
    """Let entry 1 rest on other evidence, in an envelope signed by `key`."""
    old = entry(folder, 1)
    evidence = Evidence.decode(blob_path(folder, old.evidence).read_bytes())
    better = replace(evidence, laboratory={"cpu_s": 64})
    sbom = blob_path(folder, evidence.sbom).read_bytes()
    envelope = dsse.sign(statement.PAYLOAD_TYPE, statement_of(better, sbom).to_json(), key)
    digests = {
        "evidence": put_blob(folder, connection, better.encode()),
        "envelope": put_blob(folder, connection, envelope),
    }
    connection.execute("UPDATE releases SET evidence = ? WHERE entry = 1", (digests["evidence"],))
    drop_blob(folder, connection, old.evidence)
    drop_blob(folder, connection, old.envelope)
    replace_entry(
        connection,
        1,
        lambda found: replace(found, evidence=digests["evidence"], envelope=digests["envelope"], signer=key.public),
    )


def test_an_untouched_registry_verifies(folder: Path) -> None:
    """R-LOG: nothing is found where nothing was done, and all of it was looked at."""
    report = verify_log(folder)
    assert (report.diagnostics, report.holds, report.entries) == ((), True, LAST + 1)
    assert report.signatures == (LAST + 1) * 2
    assert report.blobs == len([file for file in (folder / "blobs").rglob("*") if file.is_file()])


def test_verification_changes_nothing(folder: Path) -> None:
    """R-LOG: the database's bytes and the blobs are the same afterwards."""
    before = {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()}
    verify_log(folder)
    assert {file: file.read_bytes() for file in before} == before


@pytest.mark.parametrize("name", ["evidence", "envelope", "report", "reference"])
def test_a_changed_blob(folder: Path, name: str) -> None:
    """R-LOG: one bit of a blob, whichever it is, is one finding with the blob's digest."""
    found = entry(folder, 1)
    digests = {"evidence": found.evidence, "envelope": found.envelope, "report": found.artefacts["report"]}
    digest = digests.get(name) or next(d for d in found.references if d not in entry(folder, 0).blobs)
    path = blob_path(folder, digest)
    data = path.read_bytes()
    path.write_bytes(bytes((data[0] ^ 1,)) + data[1:])
    report = verify_log(folder)
    assert codes(report) == ["LOG021"]
    assert [d.data["blob"] for d in report.diagnostics] == [digest]


def test_a_removed_blob(folder: Path) -> None:
    """R-LOG: a blob that is gone is named with the entry that needs it."""
    blob_path(folder, entry(folder, LAST).evidence).unlink()
    report = verify_log(folder)
    assert (codes(report), entries_named(report, "LOG020")) == (["LOG020"], [LAST])


def test_a_folder_in_a_blobs_place(folder: Path) -> None:
    """R-LOG: what cannot be read as a file is missing, not a traceback."""
    path = blob_path(folder, entry(folder, LAST).evidence)
    path.unlink()
    path.mkdir()
    assert codes(verify_log(folder)) == ["LOG020"]


def test_swapped_blobs(folder: Path) -> None:
    """R-LOG: two evidences under each other's names are two findings."""
    one, two = (blob_path(folder, entry(folder, number).evidence) for number in (0, 1))
    first, second = one.read_bytes(), two.read_bytes()
    one.write_bytes(second)
    two.write_bytes(first)
    report = verify_log(folder)
    assert (codes(report), entries_named(report, "LOG021")) == (["LOG021"], [0, 1])


def test_a_blob_that_nobody_names_is_a_note(folder: Path) -> None:
    """R-LOG: what a dead publisher may have left behind is told, and is no failure."""
    digest = address(b"left behind")
    blob_path(folder, digest).parent.mkdir(exist_ok=True)
    blob_path(folder, digest).write_bytes(b"left behind")
    report = verify_log(folder)
    assert (codes(report), report.holds) == (["LOG022"], True)


def test_a_changed_log_entry(folder: Path) -> None:
    """R-LOG: an entry whose bytes were changed is named, and no later checkpoint fits."""
    with database(folder) as connection:
        replace_entry(connection, 1, lambda found: replace(found, at="2020-01-01T00:00:00Z"))
    report = verify_log(folder)
    assert codes(report) == ["LOG005", "LOG008", "LOG011"]
    assert (entries_named(report, "LOG005"), entries_named(report, "LOG011")) == ([1], [1])


def test_a_changed_log_entry_with_rebuilt_hashes(folder: Path) -> None:
    """R-LOG: fixing leaf hash and subtrees leaves the signed checkpoints to give it away."""
    with database(folder) as connection:
        replace_entry(connection, 1, lambda found: replace(found, at="2020-01-01T00:00:00Z"))
        rebuild(folder, connection)
    report = verify_log(folder)
    assert (codes(report), entries_named(report, "LOG011")) == (["LOG011"], [1])


def test_a_changed_log_entry_rebuilt_and_signed_with_the_registrys_key(folder: Path) -> None:
    """R-LOG: who has the registry's key can rewrite its own words, which only a remembered checkpoint shows."""
    remembered = verify_log(folder).checkpoint
    with database(folder) as connection:
        replace_entry(connection, 1, lambda found: replace(found, at="2020-01-01T00:00:00Z"))
        rebuild(folder, connection, load_key(folder / KEY_FOLDER))
    assert codes(verify_log(folder)) == []
    assert codes(verify_log(folder, remembered=remembered)) == ["LOG013"]


def test_an_entry_that_is_no_entry(folder: Path) -> None:
    """R-LOG: bytes that are not canonical are found even when all hashes and checkpoints were made anew."""
    with database(folder) as connection:
        connection.execute("UPDATE entries SET data = CAST(data || x'00' AS BLOB) WHERE number = ?", (LAST,))
        rebuild(folder, connection, load_key(folder / KEY_FOLDER))
    report = verify_log(folder)
    assert entries_named(report, "LOG006") == [LAST]
    assert not report.holds


def test_a_deleted_last_entry(folder: Path) -> None:
    """R-LOG: truncation shows in the checkpoint that covers more, and in the rows that are left."""
    with database(folder) as connection:
        connection.execute("DELETE FROM entries WHERE number = ?", (LAST,))
    report = verify_log(folder)
    assert codes(report) == ["LOG012", "LOG022", "LOG031"]


def test_a_deleted_entry_in_between(folder: Path) -> None:
    """R-LOG: a gap is named by the number of the entry that is missing."""
    with database(folder) as connection:
        connection.execute("DELETE FROM entries WHERE number = 2")
    report = verify_log(folder)
    assert entries_named(report, "LOG004") == [2]
    assert "LOG004" in codes(report)
    assert not report.holds


def test_a_deleted_entry_with_the_later_ones_moved_up(folder: Path) -> None:
    """R-LOG: closing the gap, with hashes rebuilt, leaves the checkpoints from there on to give it away."""
    with database(folder) as connection:
        connection.execute("DELETE FROM entries WHERE number = 2")
        connection.execute("UPDATE entries SET number = number - 1 WHERE number = 3")
        connection.execute("UPDATE entries SET number = number - 1 WHERE number = 4")
        rebuild(folder, connection)
    report = verify_log(folder)
    assert entries_named(report, "LOG011") == [2]
    assert {"LOG011", "LOG012"} <= set(codes(report))


def test_reordered_entries(folder: Path) -> None:
    """R-LOG: two entries in each other's place, with hashes rebuilt, break the checkpoints from the first on."""
    with database(folder) as connection:
        connection.execute("UPDATE entries SET number = 99 WHERE number = 0")
        connection.execute("UPDATE entries SET number = 0 WHERE number = 1")
        connection.execute("UPDATE entries SET number = 1 WHERE number = 99")
        rebuild(folder, connection)
    report = verify_log(folder)
    assert codes(report) == ["LOG011", "LOG032"]
    assert entries_named(report, "LOG011") == [0]


def test_an_added_entry_without_a_checkpoint(folder: Path) -> None:
    """R-LOG: an entry that the registry never signed for has no checkpoint, and is not in the tables."""
    with database(folder) as connection:
        (data,) = connection.execute("SELECT data FROM entries WHERE number = 0").fetchone()
        found = read(data)
        assert isinstance(found, Published)
        extra = write(replace(found, release="9.9.9"))
        connection.execute("INSERT INTO entries VALUES (5, ?, ?, ?)", (NODE, merkle.leaf_hash(extra), extra))
        rebuild(folder, connection)
    report = verify_log(folder)
    assert codes(report) == ["LOG009", "LOG025", "LOG030"]


def test_a_release_published_twice(folder: Path) -> None:
    """R-LOG: an entry that cannot follow on the others is named, even under a signed checkpoint."""
    with database(folder) as connection:
        (data,) = connection.execute("SELECT data FROM entries WHERE number = 0").fetchone()
        connection.execute("INSERT INTO entries VALUES (5, ?, ?, ?)", (NODE, merkle.leaf_hash(data), data))
        rebuild(folder, connection, load_key(folder / KEY_FOLDER))
    report = verify_log(folder)
    assert (codes(report), entries_named(report, "LOG007")) == (["LOG007"], [5])


def test_a_changed_subtree(folder: Path) -> None:
    """R-LOG: a stored hash that proofs would be made from is compared too."""
    with database(folder) as connection:
        connection.execute("UPDATE subtrees SET hash = zeroblob(32) WHERE level = 1 AND number = 1")
    report = verify_log(folder)
    assert (codes(report), entries_named(report, "LOG008")) == (["LOG008"], [2])


def test_an_absurd_subtree(folder: Path) -> None:
    """R-LOG: a row at an impossible level is reported, and takes neither time nor memory."""
    with database(folder) as connection:
        connection.execute("INSERT INTO subtrees VALUES (4611686018427387904, 4611686018427387904, zeroblob(32))")
    assert codes(verify_log(folder)) == ["LOG008"]


def test_a_forged_signature(folder: Path) -> None:
    """R-LOG: an envelope that was changed in place no longer has its digest."""
    path = blob_path(folder, entry(folder, 0).envelope)
    path.write_bytes(corrupted_signature(path.read_bytes()))
    report = verify_log(folder)
    assert (codes(report), entries_named(report, "LOG021")) == (["LOG021"], [0])


def forge_signature(folder: Path, connection: sqlite3.Connection) -> None:
    """Let entry 0 rest on an envelope whose signature is false, digests and rows made to fit."""
    old = entry(folder, 0).envelope
    forged = corrupted_signature(blob_path(folder, old).read_bytes())
    digest = put_blob(folder, connection, forged)
    drop_blob(folder, connection, old)
    replace_entry(connection, 0, lambda found: replace(found, envelope=digest))


def test_a_forged_signature_with_fixed_digests(folder: Path) -> None:
    """R-LOG: with digests, rows and tree made to fit, the signature and the checkpoints give it away."""
    with database(folder) as connection:
        forge_signature(folder, connection)
        rebuild(folder, connection)
    report = verify_log(folder)
    assert (codes(report), entries_named(report, "LOG023")) == (["LOG011", "LOG023"], [0])


def test_a_forged_signature_with_a_rebuilt_tree_and_new_checkpoints(folder: Path) -> None:
    """R-LOG: even with the registry's own key the author's signature cannot be made."""
    with database(folder) as connection:
        forge_signature(folder, connection)
        rebuild(folder, connection, load_key(folder / KEY_FOLDER))
    report = verify_log(folder)
    assert (codes(report), entries_named(report, "LOG023")) == (["LOG023"], [0])


def test_forged_evidence_signed_by_another_key(folder: Path) -> None:
    """R-LOG: a consistent forgery by a stranger with the registry's key shows against trusted signers or a memory."""
    remembered = verify_log(folder).checkpoint
    stranger = KeyPair(Ed25519PrivateKey.from_private_bytes(b"\x09" * 32))
    with database(folder) as connection:
        forge_evidence(folder, connection, stranger)
        rebuild(folder, connection, load_key(folder / KEY_FOLDER))
    assert codes(verify_log(folder)) == []
    assert codes(verify_log(folder, remembered=remembered)) == ["LOG013"]
    report = verify_log(folder, trusted=[AUTHOR.public, OTHER.public])
    assert (codes(report), entries_named(report, "LOG026")) == (["LOG026"], [1])


def test_trusted_signers_are_accepted(folder: Path) -> None:
    """R-LOG: naming the signers of all entries changes nothing."""
    assert codes(verify_log(folder, trusted=[AUTHOR.public, OTHER.public])) == []


def test_an_entry_that_claims_other_verdicts_than_its_evidence(folder: Path) -> None:
    """R-LOG: the entry's words are compared with the evidence that was signed."""
    with database(folder) as connection:
        replace_entry(connection, 1, lambda found: replace(found, verdicts={**found.verdicts, "C-BUDGET": "passed"}))
        rebuild(folder, connection, load_key(folder / KEY_FOLDER))
    report = verify_log(folder)
    assert (codes(report), entries_named(report, "LOG025")) == (["LOG025"], [1])


def test_evidence_that_should_never_have_been_let_in(folder: Path) -> None:
    """R-LOG: a failed verdict in the log is found, though author and registry have signed it."""
    with database(folder) as connection:
        old = entry(folder, 0)
        evidence = Evidence.decode(blob_path(folder, old.evidence).read_bytes())
        results = tuple(replace(r, verdict=Failed() if r.verdict == Passed() else r.verdict) for r in evidence.results)
        failed = replace(evidence, results=results)
        sbom = blob_path(folder, evidence.sbom).read_bytes()
        envelope = dsse.sign(statement.PAYLOAD_TYPE, statement_of(failed, sbom).to_json(), AUTHOR)
        new = replace(
            old,
            release="5.0.0",
            evidence=put_blob(folder, connection, failed.encode()),
            envelope=put_blob(folder, connection, envelope),
            verdicts={**old.verdicts, "C-DETERMINISM": "failed"},
        )
        connection.execute("INSERT INTO entries VALUES (5, ?, zeroblob(32), ?)", (NODE, write(new)))
        row = (NODE, "5.0.0", new.subject, new.evidence, 5, "certified", 1)
        connection.execute("INSERT INTO releases VALUES (?, ?, ?, ?, ?, ?, ?)", row)
        rebuild(folder, connection, load_key(folder / KEY_FOLDER))
    report = verify_log(folder)
    assert codes(report) == ["LOG025"]
    assert any("should never have been let in" in d.because for d in report.diagnostics)


def test_a_waiver_that_says_more_than_was_signed(folder: Path) -> None:
    """R-LOG: a waiver's end cannot be moved in the log without its signer."""
    with database(folder) as connection:
        (data,) = connection.execute("SELECT data FROM entries WHERE number = 2").fetchone()
        value = decode(data)
        value["waiver"]["expires"] = "2027-06-01T00:00:00Z"
        connection.execute("UPDATE entries SET data = ? WHERE number = 2", (encode(value),))
        rebuild(folder, connection, load_key(folder / KEY_FOLDER))
    report = verify_log(folder)
    assert (codes(report), entries_named(report, "LOG024")) == (["LOG024"], [2])


def test_a_decision_that_says_something_else_than_was_signed(folder: Path) -> None:
    """R-LOG: an approval cannot be turned into a rejection in the log without its signer."""
    with database(folder) as connection:
        (data,) = connection.execute("SELECT data FROM entries WHERE number = 3").fetchone()
        connection.execute(
            "UPDATE entries SET data = ? WHERE number = 3", (encode({**decode(data), "status": "rejected"}),)
        )
        connection.execute("UPDATE releases SET status = 'rejected' WHERE status = 'approved'")
        rebuild(folder, connection, load_key(folder / KEY_FOLDER))
    report = verify_log(folder)
    assert (codes(report), entries_named(report, "LOG024")) == (["LOG024"], [3])


@pytest.mark.parametrize(
    ("statement", "code"),
    [
        ("UPDATE releases SET status = 'approved' WHERE release = '1.1.0'", "LOG032"),
        ("UPDATE releases SET status = 'no such status' WHERE release = '1.1.0'", "LOG032"),
        ("UPDATE releases SET version = 7 WHERE release = '1.0.0'", "LOG032"),
        ("UPDATE releases SET subject = 'x' WHERE release = '1.0.0'", "LOG032"),
        ("UPDATE releases SET entry = 1 WHERE release = '1.0.0'", "LOG032"),
        ("UPDATE entries SET node = 'somebody/else' WHERE number = 1", "LOG032"),
        ("UPDATE waivers SET node = 'somebody/else'", "LOG032"),
        ("UPDATE blobs SET size = size + 1", "LOG032"),
        ("DELETE FROM releases WHERE release = '1.1.0'", "LOG030"),
        ("DELETE FROM waivers", "LOG030"),
        ("DELETE FROM blobs", "LOG030"),
        ("INSERT INTO blobs VALUES ('ab', 1)", "LOG031"),
        ("INSERT INTO releases SELECT node, '7.0.0', subject, evidence, 0, status, 1 FROM releases LIMIT 1", "LOG031"),
        ("INSERT INTO waivers SELECT digest, 'payments/charge', 0 FROM blobs LIMIT 1", "LOG031"),
        ("DELETE FROM checkpoints WHERE size = 2", "LOG009"),
        ("DELETE FROM checkpoints WHERE size = 5", "LOG009"),
        (
            "UPDATE checkpoints SET note = replace(note, char(10) || '3' || char(10), char(10) || '4' || char(10))",
            "LOG010",
        ),
        ("UPDATE checkpoints SET note = (SELECT note FROM checkpoints WHERE size = 1) WHERE size = 2", "LOG010"),
        ("UPDATE checkpoints SET note = '' WHERE size = 2", "LOG010"),
        ("INSERT INTO checkpoints SELECT -1, note FROM checkpoints WHERE size = 1", "LOG010"),
        ("CREATE TRIGGER more AFTER INSERT ON releases BEGIN DELETE FROM waivers; END", "LOG002"),
        ("DROP INDEX entries_of_node", "LOG002"),
        ("ALTER TABLE releases ADD COLUMN extra TEXT", "LOG002"),
        ("UPDATE settings SET value = 'nonsense'", "LOG003"),
        ("DELETE FROM settings", "LOG003"),
        ("DROP TABLE waivers", "LOG001"),
    ],
)
def test_a_changed_row(folder: Path, statement: str, code: str) -> None:
    """R-LOG: what is done to one table behind the log's back is found by that table's code and no other."""
    with database(folder) as connection:
        connection.execute(statement)
    assert codes(verify_log(folder)) == [code]


def test_a_missing_trigger(folder: Path) -> None:
    """R-LOG: a registry whose append-only triggers were dropped for good is told."""
    with contextlib.closing(sqlite3.connect(folder / "registry.db")) as connection:
        connection.execute("DROP TRIGGER entries_stay")
    assert codes(verify_log(folder)) == ["LOG002"]


def test_a_registry_rolled_back_as_a_whole(folder: Path, tmp_path: Path) -> None:
    """R-LOG: an older copy is consistent in itself; the remembered checkpoint says that more was there."""
    older = shutil.copytree(folder, tmp_path / "older")
    with Registry.open(folder, clock=ticking()) as registry:
        registry.publish(submission(release="1.2.0"))
        remembered = registry.checkpoint()
    assert codes(verify_log(older)) == []
    assert codes(verify_log(older, remembered=remembered)) == ["LOG013"]
    assert codes(verify_log(folder, remembered=remembered)) == []


def test_a_log_that_grew_extends_the_remembered_checkpoint(folder: Path) -> None:
    """R-LOG: a remembered checkpoint goes on holding while the log grows."""
    remembered = verify_log(folder).checkpoint
    with Registry.open(folder, clock=ticking()) as registry:
        registry.publish(submission(release="1.2.0"))
    assert codes(verify_log(folder, remembered=remembered)) == []


@pytest.mark.parametrize("note", ["", "not a checkpoint\n", "a\n1\nAAAA\n\n\u2014 a AAAA\n"])
def test_a_remembered_checkpoint_that_is_none(folder: Path, note: str) -> None:
    """R-LOG: a file that is no checkpoint of this registry is a finding, and proves nothing."""
    assert codes(verify_log(folder, remembered=note)) == ["LOG010"]


def test_a_registry_replaced_by_another(folder: Path, tmp_path: Path) -> None:
    """R-LOG: a whole new registry in the old one's place is found against the verifier key known from elsewhere."""
    with Registry.open(folder) as registry:
        verifier = registry.verifier
    with Registry.create(tmp_path / "new", clock=ticking()) as registry:
        registry.publish(submission())
    assert codes(verify_log(tmp_path / "new")) == []
    assert codes(verify_log(tmp_path / "new", verifier=verifier)) == ["LOG003", "LOG010"]
    assert codes(verify_log(folder, verifier=verifier)) == []


@pytest.mark.parametrize("page", range(1, 11))
def test_garbage_in_a_page(folder: Path, page: int) -> None:
    """R-LOG: a page of the database overwritten with garbage is found, whichever it is, and read no further."""
    size = 4096
    data = bytearray((folder / "registry.db").read_bytes())
    assert len(data) > page * size
    data[page * size + 8 : (page + 1) * size] = b"\xa5" * (size - 8)
    (folder / "registry.db").write_bytes(data)
    report = verify_log(folder)
    assert (report.holds, codes(report)) == (False, ["LOG001"])


@pytest.mark.parametrize("garbage", [b"", b"garbage", b"SQLite format 3\0" + b"\xff" * 5000])
def test_garbage_for_a_database(folder: Path, garbage: bytes) -> None:
    """R-LOG: a file that is no database at all is a finding, not a traceback."""
    (folder / "registry.db").write_bytes(garbage)
    assert codes(verify_log(folder)) == ["LOG001"]


@pytest.mark.parametrize("seed", range(8))
def test_flipped_bits(folder: Path, seed: int) -> None:
    """R-LOG: a flipped bit anywhere in the database is a finding, or changes nothing of what is stored."""
    chance, whole, stored = random.Random(seed), (folder / "registry.db").read_bytes(), load(folder)
    for _ in range(25):
        data = bytearray(whole)
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        for left in folder.glob("registry.db-*"):
            left.unlink()
        (folder / "registry.db").write_bytes(data)
        try:
            unnoticed = verify_log(folder).holds
        except RequestError as refused:  # the file no longer looks like a database in this mode
            unnoticed = not refused.diagnostics
        assert not unnoticed or load(folder) == stored
        with contextlib.suppress(RequestError), Registry.open(folder) as registry:
            registry.log()
            registry.list_nodes()
            registry.waivers()


def test_every_finding_says_what_to_do(folder: Path) -> None:
    """R-LOG: a problem carries a message, advice and the place in the log."""
    blob_path(folder, entry(folder, 0).evidence).unlink()
    (found,) = verify_log(folder).diagnostics
    assert (bool(found.fix), found.data["entry"], found.data["node"]) == (True, 0, NODE)


def test_a_waiver_that_was_granted_only_later(tmp_path: Path) -> None:
    """C-POLICY: a waived verdict whose waiver is entered after the release is found in a log signed anew."""
    folder, granted = tmp_path / "registry", signed_waiver(waiver())
    with Registry.create(folder, clock=ticking()) as registry:
        registry.waive(*granted)
        registry.publish(waived_submission(granted))
    assert verify_log(folder).diagnostics == ()
    with database(folder) as connection:
        rows = connection.execute("SELECT number, data FROM entries ORDER BY number").fetchall()
        for number, data in rows:
            connection.execute("UPDATE entries SET data = ? WHERE number = ?", (data, len(rows) - 1 - number))
        connection.execute("UPDATE releases SET entry = 0")
        connection.execute("UPDATE waivers SET entry = 1")
        rebuild(folder, connection, load_key(folder / KEY_FOLDER))
    report = verify_log(folder)
    assert (set(codes(report)), entries_named(report, "LOG025")[0]) == ({"LOG025"}, 0)
    assert any("was never granted" in d.because for d in report.diagnostics)


def test_a_release_let_in_after_its_waivers_end(tmp_path: Path) -> None:
    """C-POLICY: verification decides waived verdicts as of the moment of publishing, not of now."""
    folder, granted = tmp_path / "registry", signed_waiver(waiver())
    with Registry.create(folder, clock=ticking()) as registry:
        registry.waive(*granted)
        registry.publish(waived_submission(granted))
    with database(folder) as connection:
        replace_entry(connection, 1, lambda published: replace(published, at="2026-12-20T00:00:00.000000Z"))
        rebuild(folder, connection, load_key(folder / KEY_FOLDER))
    report = verify_log(folder)
    assert set(codes(report)) == {"LOG025"}
    assert any("expired on 2026-12-20T00:00:00Z" in d.because for d in report.diagnostics)


def test_an_approval_by_the_author_that_was_slipped_in(folder: Path) -> None:
    """R-AUTH: LOG027, an approval signed with the key of the evidence, in a log signed anew with the registry's key."""
    envelope, signer = signed_decision(
        Decision(NODE, "1.0.0", entry(folder, 0).evidence, Status.APPROVED, 1, "x"), AUTHOR
    )
    with database(folder) as connection:
        (data,) = connection.execute("SELECT data FROM entries WHERE number = 3").fetchone()
        old = read(data)
        assert isinstance(old, Decided)
        new = replace(old, envelope=put_blob(folder, connection, envelope), signer=signer, reason="x")
        connection.execute("UPDATE entries SET data = ? WHERE number = 3", (write(new),))
        drop_blob(folder, connection, old.envelope)
        rebuild(folder, connection, load_key(folder / KEY_FOLDER))
    report = verify_log(folder)
    assert (codes(report), entries_named(report, "LOG027")) == (["LOG027"], [3])
