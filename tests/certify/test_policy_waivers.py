"""Waivers cover one finding, for a while, and never turn unknown into a pass."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from certify.codec import decode, encode
from certify.evidence.verdict import CheckResult, Failed, NotApplicable, Passed, Unknown, Verdict, Waived
from certify.policy.waivers import Waiver, applies, apply_waivers, before_waivers, objection
from certify.subject import Subject
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
        "owner": "payments team", "issued": START, "expires": END, "key_id": "k1",
    }  # fmt: skip
    return Waiver(**(right | changes))


@pytest.fixture
def subject(tmp_path: Path) -> Subject:
    """The example node, version 1.2.3."""
    return bench(tmp_path).subject


def failed(*findings: Diagnostic, verdict: Verdict | None = None, check: str = "C-TEST") -> CheckResult:
    """A result with these findings."""
    return CheckResult(check, verdict or Failed(), findings)


def test_a_right_waiver_turns_failed_into_waived_and_stays_visible(subject: Subject) -> None:
    """C-POLICY: the finding remains, as a warning that names owner, end and reason."""
    given = waiver()
    result = apply_waivers(failed(FINDING), [given], subject, NOW)
    found = result.findings[0]
    assert result.verdict == Waived((given.address,))
    assert (found.severity, found.code, found.data["waived"]["waiver"]) == (Severity.WARNING, "TSTW001", given.address)
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
        ({"digest": "0" * 64}, NOW, "content"),
        ({"place": "charge.py:15"}, NOW, "charge.py:15"),
        ({"place": "harge.py"}, NOW, "harge.py"),
        ({"about": "field b"}, NOW, "field b"),
    ],
)
def test_a_waiver_that_misses_covers_nothing_and_says_why(
    subject: Subject, changes: dict[str, Any], now: datetime, why: str
) -> None:
    """C-POLICY: expired, early, another node, code, version, content or place: refused as if it were not there."""
    given = waiver(**changes)
    result = apply_waivers(failed(FINDING), [given], subject, now)
    assert (result.verdict, result.findings[0].severity) == (Failed(), Severity.ERROR)
    assert why in objection(given, FINDING, subject, now)


@pytest.mark.parametrize(
    "changes",
    [
        {"versions": ("1.2.*",)},
        {"versions": ("1.*",)},
        {"versions": ("9.9.9", "1.2.3")},
        {"place": "charge.py"},
        {"place": "charge.py:14"},
        {"place": "charge.py:14:3"},
        {"about": "field a"},
    ],
)
def test_scopes_that_fit_cover(subject: Subject, changes: dict[str, Any]) -> None:
    """C-POLICY: a series of versions, a file, a line, and what the finding is about can narrow a waiver."""
    assert applies(waiver(**changes), FINDING, subject, NOW)


def test_time_zones_do_not_move_the_end(subject: Subject) -> None:
    """C-POLICY: the same moment in another zone is the same moment."""
    east = timezone(timedelta(hours=14))
    assert not applies(waiver(), FINDING, subject, END.astimezone(east))
    assert applies(waiver(expires=END.astimezone(east)), FINDING, subject, END - timedelta(seconds=1))


def test_one_uncovered_error_keeps_the_result_failed(subject: Subject) -> None:
    """C-POLICY: covering one of two errors marks the one and waives nothing."""
    result = apply_waivers(failed(FINDING, dataclasses.replace(FINDING, rule=OTHER)), [waiver()], subject, NOW)
    assert (result.verdict, [f.severity for f in result.findings]) == (Failed(), [Severity.WARNING, Severity.ERROR])


def test_a_failure_without_an_error_is_not_waived(subject: Subject) -> None:
    """C-POLICY: a failed result that names no error cannot be covered by covering nothing."""
    warning = dataclasses.replace(FINDING, severity=Severity.WARNING)
    assert apply_waivers(failed(), [waiver()], subject, NOW).verdict == Failed()
    assert apply_waivers(failed(warning), [waiver()], subject, NOW).verdict == Failed()


@pytest.mark.parametrize("verdict", [Passed(), Unknown("crashed"), NotApplicable("none")])
def test_other_verdicts_are_left_alone(subject: Subject, verdict: Verdict) -> None:
    """C-POLICY: no waiver turns unknown into a pass."""
    result = failed(FINDING, verdict=verdict)
    assert apply_waivers(result, [waiver()], subject, NOW) == result


def test_hard_failures_are_never_waived(subject: Subject) -> None:
    """C-IDEM: a suspected collision, a sandbox violation and an undecided policy stay failed."""
    with pytest.raises(ValueError, match="never be waived"):
        waiver(code="IDEM099")
    sandbox = apply_waivers(failed(FINDING, check="C-SANDBOX"), [waiver()], subject, NOW)
    undecided = dataclasses.replace(FINDING, data={"waivable": False})
    marked = apply_waivers(failed(undecided), [waiver()], subject, NOW)
    assert (sandbox.verdict, marked.verdict) == (Failed(), Failed())


def test_the_original_comes_back_for_a_later_decision(subject: Subject) -> None:
    """C-POLICY: evidence decided again after the end is failed again: expiry holds at every re-check."""
    original = failed(FINDING, dataclasses.replace(FINDING, message="twice"))
    waived = CheckResult.from_data(decode(encode(apply_waivers(original, [waiver()], subject, NOW).to_data())))
    again = before_waivers(waived)
    assert again.to_data() == original.to_data()
    assert apply_waivers(again, [waiver()], subject, END).verdict == Failed()
    missed = apply_waivers(original, [waiver()], subject, END)
    assert before_waivers(missed).to_data() == original.to_data()


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"versions": ()}, "versions or a digest"),
        ({"versions": ("*",)}, "series"),
        ({"versions": ("1.2",)}, "series"),
        ({"digest": "abc"}, "64"),
        ({"node": "*"}, "id"),
        ({"node": "shop/charge@1.2.3"}, "id"),
        ({"code": "*"}, "code"),
        ({"reason": " "}, "reason"),
        ({"owner": ""}, "owner"),
        ({"key_id": ""}, "key id"),
        ({"expires": START}, "before it begins"),
        ({"expires": START + timedelta(days=367)}, "more than"),
        ({"expires": datetime(2026, 12, 1)}, "time zone"),  # noqa: DTZ001 - what is refused
    ],
)
def test_an_open_or_nameless_waiver_cannot_be_written(changes: dict[str, Any], why: str) -> None:
    """C-POLICY: scope, reason, owner, key and end are not optional."""
    with pytest.raises(ValueError, match=why):
        waiver(**changes)


def test_a_waiver_survives_its_signed_form() -> None:
    """C-POLICY: what is signed is read back equal, and the address is that of the form."""
    given = waiver(versions=("1.2.*", "1.3.0"), digest="a" * 64, place="charge.py:14", about="field a")
    again = Waiver.from_data(decode(encode(given.to_data())))
    assert (again, again.address) == (given, given.address)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"extra": "x"}, "exactly these fields"),
        ({"expires": "soon"}, "isoformat"),
        ({"expires": 5}, "are text"),
        ({"versions": "1.2.3"}, "list of text"),
        ({"versions": [1]}, "list of text"),
        ({"node": None}, "are text"),
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
    with pytest.raises(ValueError, match="exactly these fields"):
        Waiver.from_data(data)
