"""Waivers, versions, times and entries as values."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from certify.codec import decode, encode
from certify.registry import entries
from certify.registry.entries import EntryError, Ledger, Published, Status, WaiverGranted
from certify.registry.times import read_time, write_time
from certify.registry.versions import Range, precedence
from certify.registry.waivers import Waiver
from registry_support import AUTHOR, NODE, NOON, changed, waiver

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
        ("> 1.0.0, <= 1.1.0", ["1.0.1", "1.1.0"], ["1.0.0", "1.1.1"]),
    ],
)
def test_a_range_contains_what_all_its_comparisons_allow(text: str, inside: list[str], outside: list[str]) -> None:
    """C-POLICY: a waiver's range means what it says."""
    found = Range.parse(text)
    assert ([v for v in inside if v in found], [v for v in outside if v in found]) == (inside, [])


@pytest.mark.parametrize("text", ["", "*", "1.0.0", "=1.0.0", "~=1.0.0", ">=1", ">=1.0.0,", "!=1.0.0"])
def test_what_is_no_range_is_refused(text: str) -> None:
    """C-POLICY: there are no wildcards and no open ends by accident."""
    with pytest.raises(ValueError, match="is not a"):
        Range.parse(text)


@pytest.mark.parametrize(
    ("node", "release", "moment", "covered"),
    [
        (NODE, "1.0.0", NOON, True),
        (NODE, "2.0.0", NOON, False),
        ("payments/charge2", "1.0.0", NOON, False),
        ("payments", "1.0.0", NOON, False),
        (NODE, "1.0.0", datetime(2026, 11, 20, tzinfo=UTC), True),
        (NODE, "1.0.0", datetime(2026, 11, 20, tzinfo=UTC) - timedelta(microseconds=1), False),
        (NODE, "1.0.0", datetime(2026, 12, 20, tzinfo=UTC), False),
        (NODE, "1.0.0", datetime(2026, 12, 20, tzinfo=UTC) - timedelta(microseconds=1), True),
    ],
)
def test_a_waiver_covers_its_node_its_versions_and_its_dates(
    node: str, release: str, moment: datetime, covered: bool
) -> None:
    """C-POLICY: the first moment counts, the last does not, nothing outside does."""
    assert waiver().covers(node=node, release=release, subject="", now=moment) is covered


def test_a_waiver_for_a_subject_covers_no_other() -> None:
    """C-POLICY: bound to a digest, the version does not matter."""
    found = waiver(releases="", subject="a" * 64)
    assert found.covers(node=NODE, release="9.0.0", subject="a" * 64, now=NOON)
    assert not found.covers(node=NODE, release="1.0.0", subject="b" * 64, now=NOON)


@pytest.mark.parametrize(
    ("place", "found", "excused"),
    [
        ("", ("EFF003", "node.py", 7), True),
        ("", ("EFF004", "node.py", 7), False),
        ("node.py", ("EFF003", "node.py", 7), True),
        ("node.py:7", ("EFF003", "node.py", 7), True),
        ("node.py:7", ("EFF003", "node.py", 8), False),
        ("node.py:7", ("EFF003", "node.py", 77), False),
        ("node.py", ("EFF003", "other.py", 7), False),
    ],
)
def test_a_waiver_excuses_one_code_at_its_place(place: str, found: tuple[str, str, int], excused: bool) -> None:
    """C-POLICY: one finding, not its neighbours."""
    assert waiver(place=place).excuses(*found) is excused


@pytest.mark.parametrize("data", [{}, changed(waiver().to_data(), more="x"), changed(waiver().to_data(), code=7)])
def test_a_map_that_is_no_waiver_is_refused(data: dict[str, object]) -> None:
    """C-POLICY: another set of members, or a value that is not text, is no waiver."""
    with pytest.raises(ValueError, match="a waiver is a map"):
        Waiver.from_data(data)


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
