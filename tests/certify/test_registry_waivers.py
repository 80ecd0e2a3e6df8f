"""Names, times, entries, and waivers as they are signed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from certify.codec import address, decode, encode
from certify.evidence import dsse
from certify.policy.waivers import WaiverError
from certify.registry import entries, waivers
from certify.registry.entries import EntryError, Ledger, Published, Status, WaiverGranted
from certify.registry.envelopes import EnvelopeError, SignatureMismatchError
from certify.releases import Range, precedence
from certify.times import read_time, write_time
from registry_support import AUTHOR, NODE, NOON, OTHER, changed, signed_waiver, unchecked_waiver, waiver

ENTRY = Published(
    at="2026-11-20T12:00:00Z",
    node=NODE,
    release="1.0.0",
    subject="a" * 64,
    evidence="b" * 64,
    envelope="c" * 64,
    signer=AUTHOR.public,
    artefacts={"report": "d" * 64},
    references=("e" * 64,),
    verdicts={"C-IDEM": "passed"},
)


def test_precedence_is_that_of_the_standard() -> None:
    """R-SCHEMA: the example of semver.org, section 11, sorts as it says."""
    ordered = [
        "1.0.0-alpha",
        "1.0.0-alpha.1",
        "1.0.0-alpha.beta",
        "1.0.0-beta",
        "1.0.0-beta.2",
        "1.0.0-beta.11",
        "1.0.0-rc.1",
        "1.0.0",
        "2.0.0",
        "2.1.0",
        "2.1.1",
        "2.10.0",
    ]
    shuffled = ordered[::2] + ordered[1::2]
    assert sorted(shuffled, key=precedence) == ordered


@pytest.mark.parametrize("text", ["", "1", "1.0", "1.0.0.0", "v1.0.0", "1.0.0-", "1.0.0+build", "١.0.0", "1.0.0\n"])
def test_what_is_no_version_is_refused(text: str) -> None:
    """R-SCHEMA: versions are as the manifest has them."""
    with pytest.raises(ValueError, match="is not a version"):
        precedence(text)


@pytest.mark.parametrize(
    ("text", "inside", "outside"),
    [
        ("==1.2.3", ["1.2.3"], ["1.2.4", "1.2.3-rc.1"]),
        (">=1.2.0,<2.0.0", ["1.2.0", "1.99.0"], ["1.1.9", "2.0.0", "1.2.0-rc.1"]),
        ("> 1.0.0, <= 1.1.0", ["1.0.1", "1.1.0"], ["1.0.0", "1.1.1", "1.1.0-rc.1"]),
        ("<2.0.0", ["0.1.0", "1.99.0"], ["2.0.0", "2.0.0-rc.1", "1.5.0-rc.1"]),
        (">=2.0.0-rc.1,<2.1.0", ["2.0.0-rc.1", "2.0.0-rc.2", "2.0.0"], ["2.0.0-beta", "2.0.1-rc.1", "2.1.0-rc.1"]),
        ("1.2.3", ["1.2.3"], ["1.2.4", "1.2.3-rc.1", "11.2.3"]),
        ("1.2.3-rc.1", ["1.2.3-rc.1"], ["1.2.3", "1.2.3-rc.2"]),
        ("1.2.*", ["1.2.0", "1.2.99"], ["1.3.0", "1.20.0", "1.2.0-rc.1", "1.3.0-rc.1"]),
        ("1.*", ["1.0.0", "1.99.99"], ["2.0.0", "10.0.0", "0.9.9", "1.5.0-rc.1", "2.0.0-rc.1"]),
    ],
)
def test_a_range_contains_what_all_its_comparisons_allow(text: str, inside: list[str], outside: list[str]) -> None:
    """C-POLICY: a waiver's range means what it says."""
    found = Range.parse(text)
    assert ([v for v in inside if v in found], [v for v in outside if v in found]) == (inside, [])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "*",
        "1",
        "1.2",
        "1.2.*.*",
        "*.1",
        "=1.0.0",
        "~=1.0.0",
        ">=1",
        ">=1.0.0,",
        "!=1.0.0",
        "9" * 18 + ".*",
        ">=1.*",
    ],
)
def test_what_is_no_range_is_refused(text: str) -> None:
    """C-POLICY: there are no wildcards and no open ends by accident."""
    with pytest.raises(ValueError, match="is not a"):
        Range.parse(text)


def test_a_range_says_whether_it_ends() -> None:
    """C-POLICY: what has no upper end would hold every version to come."""
    texts = ["1.2.3", "1.2.*", "1.*", "==1.0.0", "<2.0.0", ">=1.0.0,<=2.0.0", ">=1.0.0", ">1.0.0, >=2.0.0"]
    assert [Range.parse(text).is_bounded for text in texts] == [True] * 6 + [False] * 2


def test_a_signed_waiver_reads_back_and_goes_by_its_envelope() -> None:
    """C-POLICY: what was signed is what is read; the id is the envelope's digest, the key the signer's."""
    envelope, signer = signed_waiver(waiver())
    found = waivers.read(envelope, signer)
    assert (found.waiver, found.id, found.key_id) == (waiver(), address(envelope), AUTHOR.public.key_id)


def test_a_waiver_is_not_read_in_another_name() -> None:
    """C-POLICY: the envelope counts only with the key that signed it."""
    with pytest.raises(SignatureMismatchError):
        waivers.read(signed_waiver(waiver())[0], OTHER.public)


@pytest.mark.parametrize(
    "data", [{}, changed(unchecked_waiver(), more="x"), changed(unchecked_waiver(), code=7), [], "waiver"]
)
def test_a_signed_map_that_is_no_waiver_is_refused(data: object) -> None:
    """C-POLICY: another set of members, or a value of another type, is no waiver."""
    with pytest.raises(ValueError, match="map"):
        waivers.read(dsse.sign(waivers.PAYLOAD_TYPE, encode(data), AUTHOR), AUTHOR.public)


def test_a_signed_waiver_of_a_finding_that_nobody_may_waive_is_refused() -> None:
    """C-IDEM: a signature does not make a suspected collision waivable."""
    envelope = dsse.sign(waivers.PAYLOAD_TYPE, encode(unchecked_waiver(code="IDEM099")), AUTHOR)
    with pytest.raises(WaiverError, match="never be waived"):
        waivers.read(envelope, AUTHOR.public)


def test_a_waiver_of_another_payload_type_is_refused() -> None:
    """C-POLICY: the same map, signed as something else, is no waiver."""
    envelope = dsse.sign("application/vnd.certify.decision+cbor", encode(unchecked_waiver()), AUTHOR)
    with pytest.raises(EnvelopeError, match="payload"):
        waivers.read(envelope, AUTHOR.public)


@pytest.mark.parametrize(
    ("now", "why"),
    [
        (NOON, ""),
        (NOON - timedelta(days=5), ""),
        (datetime(2026, 12, 20, tzinfo=UTC), "ended"),
        (datetime(2025, 12, 1, tzinfo=UTC), "more than 366 days"),
    ],
)
def test_a_waiver_is_entered_only_while_its_end_is_near(now: datetime, why: str) -> None:
    """C-POLICY: neither after its end, nor so early that its end is out of sight: dates of issue are only claimed."""
    found = waivers.untimely(waiver(), now)
    assert (why in found, bool(found)) == (True, bool(why))


@given(st.datetimes(timezones=st.sampled_from([UTC, timezone(timedelta(hours=5))])))
def test_moments_read_back(moment: datetime) -> None:
    """R-LOG: a moment in any zone has one spelling, and reads back as the same moment."""
    if not datetime(2, 1, 1, tzinfo=UTC) < moment < datetime(9998, 1, 1, tzinfo=UTC):
        return
    assert read_time(write_time(moment)) == moment


def test_a_moment_without_a_zone_is_refused() -> None:
    """R-LOG: a clock that does not say where it stands is not believed."""
    with pytest.raises(ValueError, match="time zone"):
        write_time(datetime(2026, 11, 20))  # noqa: DTZ001 - the point of the test


def test_entries_read_back() -> None:
    """R-LOG: what was written is what is read."""
    granted = WaiverGranted("2026-11-20T12:00:00Z", NODE, waiver(), "f" * 64, AUTHOR.public)
    decided = entries.Decided(ENTRY.at, NODE, "1.0.0", "b" * 64, Status.APPROVED, 1, "ok", "f" * 64, AUTHOR.public)
    for entry in (ENTRY, granted, decided):
        assert entries.read(entries.write(entry)) == entry


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "delete"},
        {"kind": 1},
        {"schema": 2},
        {"at": "yesterday"},
        {"at": 5},
        {"node": "../up"},
        {"release": "1"},
        {"subject": "A" * 64},
        {"evidence": None},
        {"envelope": "c" * 63},
        {"signer": {"key": "x", "public": AUTHOR.public.raw}},
        {"signer": {"key": AUTHOR.public.key_id, "public": b"short"}},
        {"signer": {"key": AUTHOR.public.key_id, "public": AUTHOR.public.raw, "more": 1}},
        {"artefacts": {"report": "x"}},
        {"artefacts": []},
        {"references": ["x"]},
        {"references": {}},
        {"verdicts": {"C-IDEM": 1}},
        {"more": 1},
    ],
)
def test_a_malformed_entry_is_refused(change: dict[str, object]) -> None:
    """R-LOG: each member has its form, and there is no further one."""
    data = changed(decode(entries.write(ENTRY)), **change)
    with pytest.raises(EntryError):
        entries.read(encode(data))


@pytest.mark.parametrize("data", [b"", b"\xa0", b"\x80", b"\xff", encode({"kind": "publish", "schema": 1})])
def test_bytes_that_are_no_entry_are_refused(data: bytes) -> None:
    """R-LOG: neither nothing nor half of it passes for an entry."""
    with pytest.raises(EntryError):
        entries.read(data)


@given(st.binary(max_size=60))
def test_no_bytes_are_more_than_refused(data: bytes) -> None:
    """R-LOG: whatever lies in the log, reading it ends in an entry or in an `EntryError`."""
    with pytest.raises(EntryError):
        entries.read(data)


def test_a_ledger_refuses_what_cannot_follow() -> None:
    """R-LOG: publishing twice, granting twice, deciding on nothing, from a stale version or about other evidence."""
    ledger = Ledger()
    ledger.apply(0, ENTRY)
    granted = WaiverGranted(ENTRY.at, NODE, waiver(), "f" * 64, AUTHOR.public)
    ledger.apply(1, granted)

    def decided(release: str, evidence: str, status: Status, version: int) -> entries.Decided:
        return entries.Decided(ENTRY.at, NODE, release, evidence, status, version, "ok", "f" * 64, AUTHOR.public)

    before = (dict(ledger.releases), dict(ledger.waivers), set(ledger.blobs))
    for impossible in (
        ENTRY,
        granted,
        decided("9.0.0", "b" * 64, Status.APPROVED, 1),
        decided("1.0.0", "b" * 64, Status.APPROVED, 2),
        decided("1.0.0", "b" * 64, Status.SUBMITTED, 1),
        decided("1.0.0", "a" * 64, Status.APPROVED, 1),
        WaiverGranted(ENTRY.at, "other", waiver(), "0" * 64, AUTHOR.public),
    ):
        with pytest.raises(EntryError):
            ledger.apply(2, impossible)
        assert (ledger.releases, ledger.waivers, ledger.blobs) == before
