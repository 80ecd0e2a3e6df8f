"""Waivers cover one finding, for a while, and never turn unknown into a pass."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from certify.codec import decode, encode
from certify.evidence.verdict import CheckResult, Failed, NotApplicable, Passed, Unknown, Verdict, Waived
from certify.policy.waivers import (
    Candidate,
    SignedWaiver,
    State,
    Waiver,
    WaiverError,
    apply_waivers,
    before_waivers,
    objection,
    waivers_of,
)
from certify_spec.diagnostics import Diagnostic, Place, Rule, Severity
from policy_bench import bench

RULE = Rule("TSTW001", "A finding for tests of waivers.")
OTHER = Rule("TSTW002", "Another finding for tests of waivers.")
START = datetime(2026, 11, 1, tzinfo=UTC)
END = datetime(2026, 12, 1, tzinfo=UTC)
NOW = datetime(2026, 11, 20, tzinfo=UTC)
FINDING = Diagnostic(RULE, "it happened", Place("charge.py", 14, 3), data={"about": "field a"})


def waiver(**changes: Any) -> Waiver:
    """A waiver that covers the finding, but for the changes."""
    right: dict[str, Any] = {
        "node": "shop/charge", "versions": ("1.2.3",), "code": "TSTW001", "reason": "accepted until the rewrite",
        "owner": "payments team", "issued": START, "expires": END,
    }  # fmt: skip
    return Waiver(**(right | changes))


def signed(**changes: Any) -> SignedWaiver:
    """The waiver in something that stands for its envelope."""
    found = waiver(**changes)
    return SignedWaiver(found, encode(found.to_data()), "k1")


def applies(found: Waiver, finding: Diagnostic, subject: Candidate, now: datetime) -> bool:
    """Whether nothing speaks against the waiver for this finding of a check like any other."""
    return not objection(found, "C-TEST", finding, subject, now)


@pytest.fixture
def subject(tmp_path: Path) -> Candidate:
    """The example node, version 1.2.3."""
    return Candidate.of(bench(tmp_path).subject)


def failed(*findings: Diagnostic, verdict: Verdict | None = None, check: str = "C-TEST") -> CheckResult:
    """A result with these findings."""
    return CheckResult(check, verdict or Failed(), findings)


def test_a_right_waiver_turns_failed_into_waived_and_stays_visible(subject: Candidate) -> None:
    """C-POLICY: the finding remains, as a warning that names owner, end and reason."""
    given = signed()
    result = apply_waivers(failed(FINDING), [given], subject, NOW)
    found = result.findings[0]
    assert (result.verdict, waivers_of(result.findings)) == (Waived((given.id,)), (given.id,))
    assert (found.severity, found.code) == (Severity.WARNING, "TSTW001")
    assert found.data["waived"] == {
        "waiver": given.id,
        "owner": "payments team",
        "key": "k1",
        "expires": "2026-12-01T00:00:00Z",
        "reason": "accepted until the rewrite",
    }
    assert "payments team" in found.notes[-1].message


@pytest.mark.parametrize(
    ("changes", "now", "why"),
    [
        ({}, END, "expired"),
        ({}, END + timedelta(days=1), "expired"),
        ({}, START - timedelta(seconds=1), "begins"),
        ({"node": "shop/refund"}, NOW, "node"),
        ({"code": "TSTW002"}, NOW, "TSTW002"),
        ({"versions": ("1.2.4",)}, NOW, "version"),
        ({"versions": ("1.3.*",)}, NOW, "version"),
        ({"versions": ("1.2.3-rc.1",)}, NOW, "version"),
        ({"versions": ("2.*", "0.*")}, NOW, "version"),
        ({"versions": (">=1.2.4,<2.0.0", "<1.2.3")}, NOW, "version"),
        ({"versions": (), "subject": "0" * 64}, NOW, "content"),
        ({"place": "charge.py:15"}, NOW, "charge.py:15"),
        ({"place": "harge.py"}, NOW, "harge.py"),
        ({"about": "field b"}, NOW, "field b"),
    ],
)
def test_a_waiver_that_misses_covers_nothing_and_says_why(
    subject: Candidate, changes: dict[str, Any], now: datetime, why: str
) -> None:
    """C-POLICY: expired, early, another node, code, version, content or place: refused as if it were not there."""
    given = signed(**changes)
    result = apply_waivers(failed(FINDING), [given], subject, now)
    assert (result.verdict, result.findings[0].severity) == (Failed(), Severity.ERROR)
    assert why in objection(given.waiver, "C-TEST", FINDING, subject, now)


@pytest.mark.parametrize(
    "changes",
    [
        {"versions": ("1.2.*",)},
        {"versions": ("1.*",)},
        {"versions": ("9.9.9", "1.2.3")},
        {"versions": (">=1.0.0,<2.0.0",)},
        {"versions": ("==1.2.3",)},
        {"place": "charge.py"},
        {"place": "charge.py:14"},
        {"place": "charge.py:14:3"},
        {"about": "field a"},
    ],
)
def test_scopes_that_fit_cover(subject: Candidate, changes: dict[str, Any]) -> None:
    """C-POLICY: a series or a range of versions, a file, a line, and what the finding is about can narrow a waiver."""
    assert applies(waiver(**changes), FINDING, subject, NOW)


def test_a_waiver_for_one_content_covers_it_in_any_version(subject: Candidate) -> None:
    """C-POLICY: bound to a digest, the version does not matter, and no other content counts."""
    found = waiver(versions=(), subject=subject.subject)
    renamed = dataclasses.replace(subject, version="9.0.0")
    assert (applies(found, FINDING, subject, NOW), applies(found, FINDING, renamed, NOW)) == (True, True)
    assert not applies(found, FINDING, dataclasses.replace(subject, subject="b" * 64), NOW)


@pytest.mark.parametrize(
    ("place", "code", "file", "line", "excused"),
    [
        ("", "TSTW001", "node.py", 7, True),
        ("", "TSTW002", "node.py", 7, False),
        ("node.py", "TSTW001", "node.py", 7, True),
        ("node.py:7", "TSTW001", "node.py", 7, True),
        ("node.py:7", "TSTW001", "node.py", 8, False),
        ("node.py:7", "TSTW001", "node.py", 77, False),
        ("node.py", "TSTW001", "other.py", 7, False),
    ],
)
def test_a_waiver_excuses_one_code_at_its_place(
    subject: Candidate, place: str, code: str, file: str, line: int, excused: bool
) -> None:
    """C-POLICY: one finding, not its neighbours."""
    rule = {"TSTW001": RULE, "TSTW002": OTHER}[code]
    found = Diagnostic(rule, "it happened", Place(file, line, 2))
    assert applies(waiver(place=place), found, subject, NOW) is excused


def test_a_finding_without_a_place_is_at_no_place(subject: Candidate) -> None:
    """C-POLICY: a waiver that names a place does not reach findings that have none."""
    assert not applies(waiver(place="charge.py"), dataclasses.replace(FINDING, place=None), subject, NOW)


@pytest.mark.parametrize(
    ("node", "version", "moment", "covered"),
    [
        ("shop/charge", "1.0.0", NOW, True),
        ("shop/charge", "2.0.0", NOW, False),
        ("shop/charge", "2.0.0-rc.1", NOW, False),
        ("shop/charge2", "1.0.0", NOW, False),
        ("shop", "1.0.0", NOW, False),
        ("shop/charge", "1.0.0", START, True),
        ("shop/charge", "1.0.0", START - timedelta(microseconds=1), False),
        ("shop/charge", "1.0.0", END, False),
        ("shop/charge", "1.0.0", END - timedelta(microseconds=1), True),
    ],
)
def test_a_waiver_covers_its_node_its_versions_and_its_dates(
    node: str, version: str, moment: datetime, covered: bool
) -> None:
    """C-POLICY: the first moment counts, the last does not, nothing outside does."""
    found = waiver(versions=(">=1.0.0,<2.0.0",))
    assert applies(found, FINDING, Candidate(node, version, "a" * 64), moment) is covered


def test_the_state_says_on_which_side_of_its_dates_a_moment_lies() -> None:
    """C-POLICY: not yet, valid, expired; the end belongs to expired."""
    moments = (START - timedelta(seconds=1), START, END - timedelta(seconds=1), END)
    assert [waiver().state(moment) for moment in moments] == [State.NOT_YET, State.VALID, State.VALID, State.EXPIRED]


def test_time_zones_do_not_move_the_end(subject: Candidate) -> None:
    """C-POLICY: the same moment in another zone is the same moment."""
    east = timezone(timedelta(hours=14))
    assert not applies(waiver(), FINDING, subject, END.astimezone(east))
    assert applies(waiver(expires=END.astimezone(east)), FINDING, subject, END - timedelta(seconds=1))


def test_one_uncovered_error_keeps_the_result_failed(subject: Candidate) -> None:
    """C-POLICY: covering one of two errors marks the one and waives nothing."""
    result = apply_waivers(failed(FINDING, dataclasses.replace(FINDING, rule=OTHER)), [signed()], subject, NOW)
    assert (result.verdict, [f.severity for f in result.findings]) == (Failed(), [Severity.WARNING, Severity.ERROR])


def test_a_failure_without_an_error_is_not_waived(subject: Candidate) -> None:
    """C-POLICY: a failed result that names no error cannot be covered by covering nothing."""
    warning = dataclasses.replace(FINDING, severity=Severity.WARNING)
    assert apply_waivers(failed(), [signed()], subject, NOW).verdict == Failed()
    assert apply_waivers(failed(warning), [signed()], subject, NOW).verdict == Failed()


@pytest.mark.parametrize("verdict", [Passed(), Unknown("crashed"), NotApplicable("none")])
def test_other_verdicts_are_left_alone(subject: Candidate, verdict: Verdict) -> None:
    """C-POLICY: no waiver turns unknown into a pass."""
    result = failed(FINDING, verdict=verdict)
    assert apply_waivers(result, [signed()], subject, NOW) == result


def test_hard_failures_are_never_waived(subject: Candidate) -> None:
    """C-IDEM: a suspected collision, a sandbox violation and an undecided policy stay failed."""
    with pytest.raises(ValueError, match="never be waived"):
        waiver(code="IDEM099")
    sandbox = apply_waivers(failed(FINDING, check="C-SANDBOX"), [signed()], subject, NOW)
    assert "findings of C-SANDBOX can never be waived" in sandbox.findings[0].notes[-1].message
    undecided = dataclasses.replace(FINDING, data={"waivable": False})
    marked = apply_waivers(failed(undecided), [signed()], subject, NOW)
    assert (sandbox.verdict, marked.verdict) == (Failed(), Failed())


def test_the_original_comes_back_for_a_later_decision(subject: Candidate) -> None:
    """C-POLICY: evidence decided again after the end is failed again: expiry holds at every re-check."""
    original = failed(FINDING, dataclasses.replace(FINDING, message="twice"))
    waived = CheckResult.from_data(decode(encode(apply_waivers(original, [signed()], subject, NOW).to_data())))
    again = before_waivers(waived)
    assert again.to_data() == original.to_data()
    assert apply_waivers(again, [signed()], subject, END).verdict == Failed()
    missed = apply_waivers(original, [signed()], subject, END)
    assert before_waivers(missed).to_data() == original.to_data()


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"versions": ()}, "either versions or one subject"),
        ({"subject": "a" * 64}, "either versions or one subject"),
        ({"versions": ("*",)}, "not a range"),
        ({"versions": ("1.2",)}, "not a range"),
        ({"versions": (">=1",)}, "not a version"),
        ({"versions": ("",)}, "not a range"),
        ({"versions": (">=1.0.0",)}, "no upper end"),
        ({"versions": ("1.2.3", ">0.0.0")}, "no upper end"),
        ({"versions": ("1.2.3",) * 51}, "more than 50"),
        ({"versions": (), "subject": "abc"}, "64"),
        ({"versions": (), "subject": "A" * 64}, "64"),
        ({"node": "*"}, "id"),
        ({"node": "shop/charge@1.2.3"}, "id"),
        ({"code": "*"}, "code"),
        ({"reason": " "}, "reason"),
        ({"owner": ""}, "owner"),
        ({"reason": "fine\x1b[2K"}, "printable"),
        ({"owner": "two\nlines"}, "printable"),
        ({"about": "\u202efield"}, "printable"),
        ({"place": "cafe\u0301.py"}, "Form C"),
        ({"reason": "x" * 1001}, "1000 characters"),
        ({"expires": START}, "before it begins"),
        ({"expires": START + timedelta(days=367)}, "more than"),
        ({"expires": END + timedelta(microseconds=1)}, "whole seconds"),
        ({"expires": datetime(2026, 12, 1)}, "time zone"),  # noqa: DTZ001 - what is refused
    ],
)
def test_an_open_or_nameless_waiver_cannot_be_written(changes: dict[str, Any], why: str) -> None:
    """C-POLICY: scope, reason, owner, key and end are not optional."""
    with pytest.raises(ValueError, match=why):
        waiver(**changes)


def test_a_waiver_survives_its_signed_form() -> None:
    """C-POLICY: what is signed is read back equal, whatever zone its times were given in."""
    east = timezone(timedelta(hours=5, minutes=30))
    for given in (
        waiver(versions=("1.2.*", "1.3.0"), place="charge.py:14", about="field a"),
        waiver(versions=(), subject="a" * 64, expires=END.astimezone(east)),
    ):
        again = Waiver.from_data(decode(encode(given.to_data())))
        assert (again, again.to_data()) == (given, given.to_data())


def test_every_reason_against_a_waiver_is_given_at_once() -> None:
    """C-POLICY: whoever writes a waiver learns everything that is wrong with it."""
    with pytest.raises(WaiverError) as refused:
        waiver(code="*", owner="", versions=("*",), expires=START)
    assert len(refused.value.problems) == 4


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"extra": "x"}, "exactly these keys"),
        ({"expires": "soon"}, "is not a moment"),
        ({"expires": "2026-12-01T00:00:00+00:00"}, "is not a moment"),
        ({"expires": "2026-12-01T00:00:00.0Z"}, "to the second"),
        ({"expires": "2026-13-40T00:00:00Z"}, "month"),
        ({"expires": 5}, "map of text"),
        ({"versions": "1.2.3"}, "list of text"),
        ({"versions": [1]}, "list of text"),
        ({"node": None}, "map of text"),
    ],
)
def test_a_forged_form_is_refused(change: dict[str, Any], why: str) -> None:
    """C-POLICY: unknown fields, wrong types and times that are none are no waiver."""
    with pytest.raises(ValueError, match=why):
        Waiver.from_data(waiver().to_data() | change)


def test_a_missing_field_is_refused() -> None:
    """C-POLICY: a waiver without its end is no waiver."""
    data = waiver().to_data()
    del data["expires"]
    with pytest.raises(ValueError, match="exactly these keys"):
        Waiver.from_data(data)
