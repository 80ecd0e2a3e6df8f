"""The registry: what it lets in, what it refuses, and what it answers."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from certify.codec import address, encode
from certify.evidence import dsse, statement, strict_json
from certify.evidence.bundle import Evidence, statement_of
from certify.evidence.keys import KeyPair, PublicKey
from certify.evidence.verdict import CheckResult, Failed, Unknown, Waived
from certify.policy.waivers import SignedWaiver
from certify.registry import checkpoint, merkle, waivers
from certify.registry.checkpoint import CheckpointError
from certify.registry.decisions import Decision
from certify.registry.entries import Published, Status
from certify.registry.errors import Conflict, Refused, VersionTaken
from certify.registry.merkle import ProofError
from certify.registry.registry import Registry, split_name
from certify.registry.submission import Receipt, Submission
from certify.registry.verification import verify_log
from certify_spec.diagnostics import Note, RequestError, Rule, Severity
from registry_support import (
    AUTHOR,
    FINDING,
    NODE,
    NOON,
    OTHER,
    codes,
    signed_decision,
    signed_waiver,
    submission,
    ticking,
    unchecked_waiver,
    waived_submission,
    waiver,
)


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    """An empty registry."""
    with Registry.create(tmp_path / "registry", clock=ticking()) as made:
        yield made


# Publishing


def test_a_receipt_verifies_without_the_registry(registry: Registry) -> None:
    """R-LOG: every receipt leads from its leaf to the root that the registry signed."""
    receipts = [registry.publish(submission(release=f"1.0.{number}")) for number in range(9)]
    for receipt in receipts:
        receipt.verify(registry.verifier)
    assert [(receipt.entry, receipt.size) for receipt in receipts] == [(n, n + 1) for n in range(9)]


def test_a_receipt_reads_back_from_its_data(registry: Registry) -> None:
    """R-LOG: a receipt may be kept as data and verified later."""
    receipt = registry.publish(submission())
    assert Receipt.from_data(receipt.to_data()) == receipt


@pytest.mark.parametrize("data", [{}, {"node": "x"}, {"entry": "one"}])
def test_what_is_no_receipt_is_refused(data: dict[str, object]) -> None:
    """R-LOG: a map without a receipt's members is none."""
    with pytest.raises(ProofError):
        Receipt.from_data(data)


def test_a_changed_receipt_does_not_verify(registry: Registry) -> None:
    """R-LOG: another leaf, place, tree or checkpoint is refused."""
    registry.publish(submission())
    receipt = registry.publish(submission(release="1.1.0"))
    for wrong in (
        replace(receipt, leaf=bytes(32)),
        replace(receipt, entry=0),
        replace(receipt, size=3),
        replace(receipt, root=bytes(32)),
        replace(receipt, proof=()),
        replace(receipt, checkpoint=registry.receipt(0).checkpoint),
    ):
        with pytest.raises((ProofError, CheckpointError)):
            wrong.verify(registry.verifier)


def test_the_receipt_says_where_the_report_lies(registry: Registry) -> None:
    """R-STORE: the report can be opened from the receipt's path."""
    receipt = registry.publish(submission())
    assert receipt.report is not None
    assert receipt.report.read_bytes() == b"<h1>Report</h1>"


def test_every_blob_is_kept_under_its_digest(registry: Registry) -> None:
    """R-STORE: all that was submitted, and the envelope, can be had by digest."""
    handed_in = submission()
    registry.publish(handed_in)
    expected = {**handed_in.blobs, address(handed_in.envelope): handed_in.envelope}
    assert {digest: registry.blob(digest) for digest in expected} == expected


def test_the_log_entry_holds_what_was_decided(registry: Registry) -> None:
    """R-LOG: the entry names subject, evidence, envelope, signer, artefacts and verdicts, and the time of the clock."""
    handed_in = submission()
    receipt = registry.publish(handed_in)
    (record,) = registry.log()
    assert record.entry == Published(
        at=receipt.at,
        node=handed_in.node,
        release=handed_in.release,
        subject=handed_in.subject,
        evidence=handed_in.evidence,
        envelope=address(handed_in.envelope),
        signer=AUTHOR.public,
        artefacts=handed_in.artefacts,
        references=handed_in.references,
        verdicts={"C-DETERMINISM": "passed", "C-IDEM": "not-applicable"},
    )
    assert (record.kind, receipt.at.startswith("2026-11-20T12:00:")) == ("publish", True)


def test_the_same_content_twice_gives_the_same_receipt(registry: Registry) -> None:
    """R-STORE: publishing again appends nothing, also after other entries, and with evidence of another run."""
    first = registry.publish(submission())
    registry.publish(submission(release="1.1.0"))
    again = registry.publish(submission())
    later_run = registry.publish(submission(finished="2026-11-20T11:59:30Z"))
    assert (again, later_run, len(registry.log())) == (first, first, 2)
    assert [receipt.appended for receipt in (first, again, later_run)] == [True, False, False]


def test_the_same_version_with_other_content_is_refused(registry: Registry) -> None:
    """R-STORE: a version is one content for ever."""
    registry.publish(submission())
    with pytest.raises(VersionTaken) as refused:
        registry.publish(submission(code="def charge(request): return 1"))
    assert (codes(refused.value), len(registry.log())) == (["REG025"], 1)


@pytest.mark.parametrize("verdict", [Failed(), Unknown("the laboratory timed out", waiting_helps=True)])
def test_a_verdict_that_does_not_allow_it_is_refused(registry: Registry, verdict: Failed | Unknown) -> None:
    """C-GATE: failed and unknown never enter the registry, and leave nothing behind."""
    with pytest.raises(Refused) as refused:
        registry.publish(submission(verdict=verdict))
    assert (codes(refused.value), registry.log()) == (["REG020"], ())
    assert not [file for file in (registry.folder / "blobs").rglob("*") if file.is_file()]


def a_blob(handed_in: Submission) -> str:
    """Digest of the run record."""
    return Evidence.decode(handed_in.blobs[handed_in.evidence]).results[0].artefacts["run"]


def without(handed_in: Submission, digest: str) -> Submission:
    """The submission without one blob."""
    return replace(handed_in, blobs={key: blob for key, blob in handed_in.blobs.items() if key != digest})


ELSE = submission(release="2.0.0", code="something else")
WRONG: dict[str, tuple[Callable[[Submission], Submission], list[str]]] = {
    "claimed verdicts": (lambda s: replace(s, verdicts={**s.verdicts, "C-BUDGET": "passed"}), ["REG029"]),
    "a verdict that does not exist": (lambda s: replace(s, verdicts={"C-IDEM": "great"}), ["REG020", "REG029"]),
    "no verdicts": (lambda s: replace(s, verdicts={}), ["REG020", "REG029"]),
    "another's envelope": (lambda s: replace(s, envelope=ELSE.envelope), ["REG022"]),
    "an envelope by another key": (lambda s: replace(s, signer=OTHER.public), ["REG021"]),
    "a false signature": (lambda s: replace(s, envelope=s.envelope.replace(b'"sig":"', b'"sig":"AAAA')), ["REG021"]),
    "no envelope": (lambda s: replace(s, envelope=b""), ["REG021"]),
    "a signed something": (
        lambda s: replace(s, envelope=dsse.sign("text/plain", b"yes", AUTHOR)),
        ["REG022"],
    ),
    "a signed empty statement": (
        lambda s: replace(s, envelope=dsse.sign("application/vnd.in-toto+json", b"{}", AUTHOR)),
        ["REG022"],
    ),
    "another subject": (lambda s: replace(s, subject=ELSE.subject), ["REG029"]),
    "another node": (lambda s: replace(s, node="payments/refund"), ["REG029"]),
    "another version": (lambda s: replace(s, release="1.0.1"), ["REG029"]),
    "other evidence": (
        lambda s: replace(s, evidence=ELSE.evidence, blobs={**s.blobs, **ELSE.blobs}),
        ["REG022", "REG029", "REG029"],
    ),
    "evidence that is none": (
        lambda s: replace(s, evidence=address(b"none"), blobs={**s.blobs, address(b"none"): b"none"}),
        ["REG029"],
    ),
    "a blob's bytes": (lambda s: replace(s, blobs={**s.blobs, a_blob(s): b"other bytes"}), ["REG023"]),
    "a blob's name": (lambda s: replace(s, blobs={**s.blobs, "../../etc/passwd": b"root"}), ["REG023"]),
    "the run record missing": (lambda s: without(s, a_blob(s)), ["REG024"]),
    "the evidence missing": (lambda s: without(s, s.evidence), ["REG024"]),
    "an artefact missing": (lambda s: replace(s, artefacts={**s.artefacts, "trace": "ab" * 32}), ["REG024"]),
    "an artefact without a digest": (lambda s: replace(s, artefacts={"report": "../x"}), ["REG009"]),
    "an artefact's name": (lambda s: replace(s, artefacts={"e\u0301": s.evidence}), ["REG009"]),
    "an impossible node": (lambda s: replace(s, node="../up"), ["REG009"]),
    "an impossible version": (lambda s: replace(s, release="latest"), ["REG009"]),
    "an impossible subject": (lambda s: replace(s, subject="AB" * 32), ["REG009"]),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_submission_that_does_not_hold_is_refused(registry: Registry, what: str) -> None:
    """R-STORE: nothing that a submission says of itself is believed; a refusal writes nothing."""
    change, expected = WRONG[what]
    with pytest.raises(Refused) as refused:
        registry.publish(change(submission()))
    assert (codes(refused.value), registry.log()) == (expected, ())
    assert not [file for file in (registry.folder / "blobs").rglob("*") if file.is_file()]


def test_all_reasons_are_given_at_once(registry: Registry) -> None:
    """R-STORE: whoever submits learns of every problem, not only of the first."""
    handed_in = without(submission(verdict=Failed()), a_blob(submission()))
    with pytest.raises(Refused) as refused:
        registry.publish(replace(handed_in, signer=OTHER.public))
    assert codes(refused.value) == ["REG020", "REG021", "REG024"]


def test_a_blob_that_was_changed_on_the_disk_is_repaired_by_publishing_it_again(registry: Registry) -> None:
    """R-STORE: a later release with the same blob does not rely on bytes that are not its own."""
    receipt = registry.publish(submission())
    assert receipt.report is not None
    receipt.report.write_bytes(b"defaced")
    registry.publish(submission(release="1.1.0"))
    assert verify_log(registry.folder).diagnostics == ()


def test_the_registry_does_not_sign_over_a_log_that_was_changed(registry: Registry) -> None:
    """R-LOG: a tree that does not fit the last checkpoint is not extended."""
    registry.publish(submission())
    connection = registry._store._connection
    connection.execute("DROP TRIGGER entries_stay")
    connection.execute("UPDATE entries SET leaf_hash = zeroblob(32)")
    with pytest.raises(RequestError) as refused:
        registry.publish(submission(release="1.1.0"))
    assert (codes(refused.value), len(registry.log())) == (["REG005"], 1)


# Concurrency


def _publish_some(folder: Path, worker: int, count: int) -> None:
    with Registry.open(folder, clock=ticking()) as registry:
        for number in range(count):
            registry.publish(submission(f"worker-{worker}", f"1.0.{number}"))


def test_processes_that_publish_at_once_are_serialised(tmp_path: Path) -> None:
    """R-OCC: none of the releases of three processes is lost, and the log is one sequence."""
    folder = tmp_path / "registry"
    Registry.create(folder, clock=ticking()).close()
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=_publish_some, args=(folder, worker, 8)) for worker in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    with Registry.open(folder) as registry:
        published = {node: len(releases) for node, releases in registry.list_nodes().items()}
    assert [worker.exitcode for worker in workers] == [0, 0, 0]
    assert published == {"worker-0": 8, "worker-1": 8, "worker-2": 8}
    assert verify_log(folder).diagnostics == ()


def _ensure(folder: Path, worker: int) -> None:
    with Registry.ensure(folder, clock=ticking()) as registry:
        registry.publish(submission(f"worker-{worker}"))


def test_processes_that_make_the_registry_at_once_make_one(tmp_path: Path) -> None:
    """R-STORE: whoever comes first makes it, and all of them publish into it."""
    folder = tmp_path / "registry"
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=_ensure, args=(folder, worker)) for worker in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0, 0, 0, 0]
    assert (verify_log(folder).diagnostics, verify_log(folder).entries) == ((), 4)


def test_a_writer_that_waits_too_long_says_so(tmp_path: Path) -> None:
    """R-OCC: when another process holds the registry, the request is declined, not lost in a hang."""
    folder = tmp_path / "registry"
    with (
        Registry.create(folder, clock=ticking()) as first,
        Registry.open(folder, clock=ticking(), busy_seconds=0.05) as second,
        first._store.write(),
        pytest.raises(RequestError) as refused,
    ):
        second.publish(submission())
    assert codes(refused.value) == ["REG006"]


# Questions


def test_nodes_are_listed_with_their_releases_in_order(registry: Registry) -> None:
    """R-STORE: nodes by name, releases as they came."""
    for node, release in (("b", "1.0.0"), ("a", "2.0.0"), ("a", "1.0.0")):
        registry.publish(submission(node, release))
    found = {node: [release.release for release in releases] for node, releases in registry.list_nodes().items()}
    assert found == {"a": ["2.0.0", "1.0.0"], "b": ["1.0.0"]}
    assert list(found) == ["a", "b"]


def test_show_gives_a_release_with_its_entry_decisions_and_receipt(registry: Registry) -> None:
    """R-STORE: one name gives everything that is held about a release."""
    receipt = registry.publish(submission())
    registry.publish(submission(release="1.1.0"))
    registry.decide(*signed_decision(Decision(NODE, "1.0.0", receipt.evidence, Status.APPROVED, 1, "good")))
    shown = registry.show(f"{NODE}@1.0.0")
    assert (shown.release.status, shown.release.version, shown.receipt) == (Status.APPROVED, 2, receipt)
    assert (shown.published.release, [record.number for record in shown.decisions]) == ("1.0.0", [2])


def test_the_history_of_a_node_is_its_part_of_the_log(registry: Registry) -> None:
    """R-LOG: publishing, waiving and deciding are all there, in order, and no other node's."""
    receipt = registry.publish(submission())
    registry.publish(submission("other"))
    registry.waive(*signed_waiver(waiver()))
    registry.decide(*signed_decision(Decision(NODE, "1.0.0", receipt.evidence, Status.REJECTED, 1, "no")))
    history = registry.history(NODE)
    assert [(record.number, record.kind) for record in history] == [(0, "publish"), (2, "waive"), (3, "decision")]


def test_consistency_can_be_proved_between_any_two_checkpoints(registry: Registry) -> None:
    """R-LOG: each older tree is a prefix of each newer one, to whoever has the two checkpoints."""
    notes = [registry.publish(submission(release=f"1.0.{number}")).checkpoint for number in range(6)]
    signed = [checkpoint.parse(note, registry.verifier) for note in notes]
    for older in signed:
        for newer in signed[older.size - 1 :]:
            proof = registry.consistency_proof(older.size, newer.size)
            merkle.verify_consistency(older.size, newer.size, older.root, newer.root, proof)
    assert [point.size for point in signed] == [1, 2, 3, 4, 5, 6]


def test_the_newest_checkpoint_is_the_last_receipts(registry: Registry) -> None:
    """R-LOG: there is none while the log is empty."""
    assert registry.checkpoint() is None
    assert registry.publish(submission()).checkpoint == registry.checkpoint()


@pytest.mark.parametrize(
    ("ask", "code"),
    [
        (lambda registry: registry.show("payments/charge@9.9.9"), "REG008"),
        (lambda registry: registry.show("nobody@1.0.0"), "REG008"),
        (lambda registry: registry.show("payments/charge"), "REG009"),
        (lambda registry: registry.history("nobody"), "REG008"),
        (lambda registry: registry.blob("ab" * 32), "REG008"),
        (lambda registry: registry.blob("../../registry.db"), "REG009"),
        (lambda registry: registry.blob_path("x"), "REG009"),
        (lambda registry: registry.receipt(1), "REG008"),
        (lambda registry: registry.receipt(-1), "REG008"),
        (lambda registry: registry.consistency_proof(1, 2), "REG008"),
        (lambda registry: registry.consistency_proof(-1, 1), "REG008"),
    ],
)
def test_unknown_names_are_wrong_requests(registry: Registry, ask: Callable[[Registry], object], code: str) -> None:
    """R-STORE: what is not there is said with a code."""
    registry.publish(submission())
    with pytest.raises(RequestError) as refused:
        ask(registry)
    assert codes(refused.value) == [code]


def test_a_changed_blob_is_not_handed_out(registry: Registry) -> None:
    """R-STORE: bytes that do not have their digest never leave the registry as that blob."""
    receipt = registry.publish(submission())
    registry.blob_path(receipt.evidence).write_bytes(b"other")
    with pytest.raises(RequestError) as refused:
        registry.blob(receipt.evidence)
    assert codes(refused.value) == ["REG023"]


def test_names_are_split_at_the_at_sign() -> None:
    """R-STORE: ``node@version`` names a release."""
    assert split_name("payments/charge@1.2.0") == ("payments/charge", "1.2.0")


# Decisions


def test_a_decision_from_a_stale_page_is_a_conflict(registry: Registry) -> None:
    """R-OCC: the second of two decisions on one version is refused, naming item, expected and actual version."""
    receipt = registry.publish(submission())
    registry.decide(*signed_decision(Decision(NODE, "1.0.0", receipt.evidence, Status.APPROVED, 1, "good")))
    with pytest.raises(Conflict) as conflict:
        registry.decide(*signed_decision(Decision(NODE, "1.0.0", receipt.evidence, Status.REJECTED, 1, "bad")))
    found = conflict.value
    assert (codes(found), found.item, found.expected, found.actual) == (["REG026"], f"{NODE}@1.0.0", 1, 2)
    assert (len(registry.log()), registry.show(f"{NODE}@1.0.0").release.status) == (2, Status.APPROVED)
    assert verify_log(registry.folder).diagnostics == ()


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"evidence": "ab" * 32}, "REG022"),
        ({"status": Status.SUBMITTED}, "REG027"),
        ({"status": Status.CERTIFIED}, "REG027"),
        ({"reason": "  "}, "REG022"),
    ],
)
def test_a_decision_that_cannot_be_is_refused(registry: Registry, change: dict[str, Any], code: str) -> None:
    """R-OCC: about other evidence, to a status that cannot follow, or without a reason: nothing is changed."""
    receipt = registry.publish(submission())
    decision = Decision(NODE, "1.0.0", receipt.evidence, Status.APPROVED, 1, "good")
    with pytest.raises(Refused) as refused:
        registry.decide(*signed_decision(replace(decision, **change)))
    assert (codes(refused.value), len(registry.log())) == ([code], 1)
    registry.publish(submission(release="1.1.0"))
    assert verify_log(registry.folder).diagnostics == ()


@pytest.mark.parametrize("status", [Status.REJECTED, Status.REVOKED])
def test_a_release_that_was_rejected_or_revoked_is_not_let_in_again(registry: Registry, status: Status) -> None:
    """C-GATE: publishing the same content again is no way around a decision."""
    receipt = registry.publish(submission())
    registry.decide(*signed_decision(Decision(NODE, "1.0.0", receipt.evidence, status, 1, "bad")))
    with pytest.raises(Refused) as refused:
        registry.publish(submission())
    assert codes(refused.value) == ["REG027"]


def test_a_decision_must_be_signed_by_the_key_it_names(registry: Registry) -> None:
    """R-AUTH: nobody decides in another's name."""
    receipt = registry.publish(submission())
    envelope, _ = signed_decision(Decision(NODE, "1.0.0", receipt.evidence, Status.APPROVED, 1, "good"))
    with pytest.raises(Refused) as refused:
        registry.decide(envelope, AUTHOR.public)
    assert codes(refused.value) == ["REG021"]


def test_a_decision_about_nothing_is_a_wrong_request(registry: Registry) -> None:
    """R-OCC: a release that is not there cannot be decided on."""
    with pytest.raises(RequestError) as refused:
        registry.decide(*signed_decision(Decision(NODE, "1.0.0", "ab" * 32, Status.APPROVED, 1, "good")))
    assert codes(refused.value) == ["REG008"]


def test_a_waiver_is_no_decision(registry: Registry) -> None:
    """R-AUTH: an envelope counts for what its payload type says."""
    with pytest.raises(Refused) as refused:
        registry.decide(*signed_waiver(waiver()))
    assert codes(refused.value) == ["REG022"]


# Waivers


def test_a_waiver_is_logged_and_found(registry: Registry) -> None:
    """R-LOG: a waiver has a receipt, an id, and a place in the log."""
    envelope, signer = signed_waiver(waiver())
    receipt = registry.waive(envelope, signer)
    receipt.verify(registry.verifier)
    (stored,) = registry.waivers(NODE)
    assert (stored.id, stored.number, stored.waiver, stored.signer) == (address(envelope), 0, waiver(), signer)
    assert registry.valid_waivers(NODE, "1.5.0", "") == (stored,)
    assert (registry.waivers("other"), registry.waivers()) == ((), (stored,))


def test_the_same_waiver_twice_gives_the_same_receipt(registry: Registry) -> None:
    """R-LOG: granting again appends nothing."""
    first = registry.waive(*signed_waiver(waiver()))
    registry.publish(submission())
    assert (registry.waive(*signed_waiver(waiver())), len(registry.log())) == (first, 2)


def test_an_expired_waiver_no_longer_counts(tmp_path: Path) -> None:
    """C-POLICY: a waiver that was accepted covers nothing from its end on."""
    folder = tmp_path / "registry"
    with Registry.create(folder, clock=ticking()) as registry:
        registry.waive(*signed_waiver(waiver(expires="2026-11-21T00:00:00Z")))
        assert len(registry.valid_waivers(NODE, "1.0.0", "")) == 1
    with Registry.open(folder, clock=ticking(NOON + timedelta(days=1))) as registry:
        assert (registry.valid_waivers(NODE, "1.0.0", ""), len(registry.waivers(NODE))) == ((), 1)


@pytest.mark.parametrize(
    "changes",
    [
        {"expires": "2026-11-20T11:00:00Z"},
        {"expires": "2026-11-19T00:00:00Z"},
        {"expires": "never"},
        {"expires": "2026-12-20T00:00:00+01:00"},
        {"expires": "2026-13-40T00:00:00Z"},
        {"expires": "2027-11-22T00:00:00Z"},
        {"issued": ""},
        {"issued": "2027-11-20T00:00:00Z", "expires": "2027-11-25T00:00:00Z"},
        {"code": "*"},
        {"code": "EFF"},
        {"code": ""},
        {"code": "IDEM099"},
        {"reason": " "},
        {"owner": ""},
        {"versions": []},
        {"versions": ["*"]},
        {"versions": [">=1"]},
        {"versions": [">=1.0.0"]},
        {"subject": "ab" * 32},
        {"versions": [], "subject": "short"},
        {"node": "../up"},
    ],
)
def test_a_waiver_that_says_too_little_or_too_much_is_refused(registry: Registry, changes: dict[str, Any]) -> None:
    """C-POLICY: one finding, an owner, a reason, a scope and an end within a year, or no waiver."""
    envelope = dsse.sign(waivers.PAYLOAD_TYPE, encode(unchecked_waiver(**changes)), AUTHOR)
    with pytest.raises(Refused) as refused:
        registry.waive(envelope, AUTHOR.public)
    assert (set(codes(refused.value)), registry.log()) == ({"REG028"}, ())


def test_a_waiver_must_be_signed_by_the_key_it_names(registry: Registry) -> None:
    """C-POLICY: nobody waives in another's name."""
    envelope, _ = signed_waiver(waiver())
    with pytest.raises(Refused) as refused:
        registry.waive(envelope, OTHER.public)
    assert codes(refused.value) == ["REG021"]


@pytest.mark.parametrize("payload", [b"", b"\xa0", encode([]), encode({"node": 1}), encode(waiver().to_data())[:-1]])
def test_a_signed_something_is_no_waiver(registry: Registry, payload: bytes) -> None:
    """C-POLICY: a payload that is not a waiver's canonical map is refused."""
    with pytest.raises(Refused) as refused:
        registry.waive(dsse.sign(waivers.PAYLOAD_TYPE, payload, AUTHOR), AUTHOR.public)
    assert codes(refused.value) == ["REG022"]


def test_a_stored_waiver_is_handed_out_after_its_signature_was_verified_again(registry: Registry) -> None:
    """C-POLICY: the pipeline gets the waiver with its envelope; a changed envelope is not handed out."""
    envelope, signer = signed_waiver(waiver())
    registry.waive(envelope, signer)
    (stored,) = registry.waivers(NODE)
    assert registry.signed_waiver(stored) == SignedWaiver(waiver(), envelope, signer.key_id)
    with pytest.raises(Refused) as forged:
        registry.signed_waiver(replace(stored, signer=OTHER.public))
    with pytest.raises(Refused) as other:
        registry.signed_waiver(replace(stored, waiver=waiver(expires="2027-01-20T00:00:00Z")))
    registry.blob_path(stored.id).write_bytes(envelope + b" ")
    with pytest.raises(RequestError) as changed:
        registry.signed_waiver(stored)
    assert [codes(each.value) for each in (forged, other, changed)] == [["REG021"], ["REG022"], ["REG023"]]


# Releases that rest on waivers


def test_a_release_may_rely_on_a_waiver_that_was_granted(registry: Registry) -> None:
    """C-POLICY: with the waiver in the log, a waived verdict is let in, and its envelope is kept."""
    granted = signed_waiver(waiver(place="node.py:7", about="field a"))
    registry.waive(*granted)
    receipt = registry.publish(waived_submission(granted))
    assert (receipt.entry, registry.blob(address(granted[0]))) == (1, granted[0])
    assert registry.show(f"{NODE}@1.0.0").published.verdicts == {"C-DETERMINISM": "waived"}
    assert verify_log(registry.folder).diagnostics == ()


def test_a_release_may_not_rely_on_a_waiver_that_was_never_granted(registry: Registry) -> None:
    """C-POLICY: a waived verdict stands on the registry's waivers, not on its word."""
    with pytest.raises(Refused) as refused:
        registry.publish(waived_submission(signed_waiver(waiver())))
    assert (set(codes(refused.value)), registry.log()) == ({"REG028"}, ())


def forged(*granted: tuple[bytes, PublicKey], **changes: Any) -> Submission:
    """A submission whose author calls the finding waived by these waivers, whatever they say."""
    ids = tuple(sorted(address(envelope) for envelope, _ in granted))
    spoiled: dict[str, Any] = {"spoil": lambda result: replace(result, verdict=Waived(ids))}
    found = waived_submission(*granted, **(spoiled | changes))
    evidence = replace(Evidence.decode(found.blobs[found.evidence]), waivers=ids)
    return resigned(found, evidence)


def resigned(found: Submission, evidence: Evidence) -> Submission:
    """The submission with other evidence, signed by its author."""
    payload = statement_of(evidence, found.blobs[evidence.sbom]).to_json()
    encoded = evidence.encode()
    return replace(
        found,
        evidence=evidence.digest,
        envelope=dsse.sign(statement.PAYLOAD_TYPE, payload, AUTHOR),
        blobs={**found.blobs, address(encoded): encoded},
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"versions": [">=2.0.0,<3.0.0"]},
        {"versions": [], "subject": "ab" * 32},
        {"code": "TSTR002"},
        {"place": "node.py:8"},
        {"place": "other.py"},
        {"about": "field b"},
        {"issued": "2026-11-20T18:00:00Z"},
    ],
)
def test_a_release_may_not_rely_on_a_waiver_for_something_else(registry: Registry, changes: dict[str, Any]) -> None:
    """C-POLICY: other versions, other content, another code, place or field, or not yet: it is decided anew."""
    granted = signed_waiver(waiver(**changes))
    registry.waive(*granted)
    with pytest.raises(Refused) as refused:
        registry.publish(forged(granted))
    assert (set(codes(refused.value)), len(registry.log())) == ({"REG028"}, 1)


def test_a_release_may_not_rely_on_another_nodes_waiver(registry: Registry) -> None:
    """C-POLICY: a waiver of another node is none of this one."""
    granted = signed_waiver(waiver(node="payments/refund"))
    registry.waive(*granted)
    with pytest.raises(Refused) as refused:
        registry.publish(forged(granted))
    assert (set(codes(refused.value)), len(registry.log())) == ({"REG028"}, 1)


def test_a_release_may_not_rely_on_a_waiver_that_has_ended_since(tmp_path: Path) -> None:
    """C-POLICY: the moment of publishing counts, not that of the check."""
    folder, granted = tmp_path / "registry", signed_waiver(waiver(expires="2026-11-21T00:00:00Z"))
    with Registry.create(folder, clock=ticking()) as registry:
        registry.waive(*granted)
    with Registry.open(folder, clock=ticking(NOON + timedelta(days=1))) as registry, pytest.raises(Refused) as refused:
        registry.publish(waived_submission(granted))
    assert set(codes(refused.value)) == {"REG028"}


def foreign(data: dict[str, Any]) -> Rule:
    """A rule that nobody has declared, with members of any type."""
    rule = object.__new__(Rule)
    for name, value in data.items():
        object.__setattr__(rule, name, value)
    return rule


def _unmark(result: CheckResult) -> CheckResult:
    return replace(result, findings=(replace(result.findings[0], data={}, notes=()),))


SPOILS: dict[str, Callable[[CheckResult], CheckResult]] = {
    "the finding is left out": lambda result: replace(result, findings=()),
    "the finding is not marked": _unmark,
    "the finding is only a note": lambda r: replace(r, findings=(replace(r.findings[0], severity=Severity.NOTE),)),
    "a second finding is not covered": lambda r: replace(r, findings=(*r.findings, replace(FINDING, message="more"))),
    "the mark names another owner": lambda r: replace(
        r, findings=(replace(r.findings[0], data={"waived": {**r.findings[0].data["waived"], "owner": "nobody"}}),)
    ),
    "the mark is no map": lambda r: replace(r, findings=(replace(r.findings[0], data={"waived": 5}),)),
    "the note is no text": lambda r: replace(
        r,
        findings=(FINDING, replace(r.findings[0], data={}, notes=(Note(5),))),  # type: ignore[arg-type]  # hostile
    ),
    "the code is no text": lambda r: replace(
        r, findings=(replace(r.findings[0], rule=foreign({"code": ["x"], "meaning": "", "advice": ""})),)
    ),
    "the verdict names no waiver": lambda r: replace(r, verdict=Waived(())),
    "the verdict names a number": lambda r: replace(r, verdict=Waived((7,))),  # type: ignore[arg-type]  # hostile
    "the check's findings are never waived": lambda r: replace(r, check="C-SANDBOX"),
}


@pytest.mark.parametrize("spoil", SPOILS)
def test_a_waived_verdict_that_does_not_follow_is_refused(registry: Registry, spoil: str) -> None:
    """C-POLICY: under a right waiver, what the evidence says of the finding must follow from it, and stay visible."""
    granted = signed_waiver(waiver())
    registry.waive(*granted)
    honest = waived_submission(granted)
    evidence = Evidence.decode(honest.blobs[honest.evidence])
    results = tuple(SPOILS[spoil](result) for result in evidence.results)
    found = replace(resigned(honest, replace(evidence, results=results)), verdicts={r.check: "waived" for r in results})
    with pytest.raises(Refused) as refused:
        registry.publish(found)
    assert (set(codes(refused.value)) <= {"REG028", "REG029"}, len(registry.log())) == (True, 1)
    registry.publish(honest)


# No self-approval


def both(found: Submission) -> Submission:
    """The submission with an envelope that a second key has signed as well."""
    first, second = strict_json.read(found.envelope), strict_json.read(resigned_by(found, OTHER))
    assert isinstance(first, dict)
    assert isinstance(second, dict)
    first["signatures"] += second["signatures"]
    return replace(found, envelope=strict_json.write(first))


def resigned_by(found: Submission, key: KeyPair) -> bytes:
    """The submission's statement in an envelope of another key."""
    verified = dsse.verify(found.envelope, [found.signer])
    return dsse.sign(verified.payload_type, verified.payload, key)


def test_nobody_approves_what_he_signed(registry: Registry) -> None:
    """R-AUTH: the key that signed the evidence may not approve it; another may."""
    receipt = registry.publish(submission())
    decision = Decision(NODE, "1.0.0", receipt.evidence, Status.APPROVED, 1, "good")
    with pytest.raises(Refused) as refused:
        registry.decide(*signed_decision(decision, AUTHOR))
    assert (codes(refused.value), len(registry.log())) == (["REG030"], 1)
    assert registry.show(f"{NODE}@1.0.0").release.status is Status.CERTIFIED
    registry.decide(*signed_decision(decision, OTHER))
    assert registry.show(f"{NODE}@1.0.0").release.status is Status.APPROVED


def test_nobody_approves_what_he_signed_along_with_others(registry: Registry) -> None:
    """R-AUTH: an envelope with two signatures is approved by neither, whichever key handed it in."""
    receipt = registry.publish(both(submission()))
    for key in (AUTHOR, OTHER):
        with pytest.raises(Refused) as refused:
            registry.decide(
                *signed_decision(Decision(NODE, "1.0.0", receipt.evidence, Status.APPROVED, 1, "good"), key)
            )
        assert codes(refused.value) == ["REG030"]


@pytest.mark.parametrize("status", [Status.REJECTED, Status.REVOKED])
def test_an_author_may_withdraw_what_he_signed(registry: Registry, status: Status) -> None:
    """R-AUTH: only approval needs a second pair of eyes."""
    receipt = registry.publish(submission())
    registry.decide(*signed_decision(Decision(NODE, "1.0.0", receipt.evidence, status, 1, "mistake"), AUTHOR))
    assert registry.show(f"{NODE}@1.0.0").release.status is status
