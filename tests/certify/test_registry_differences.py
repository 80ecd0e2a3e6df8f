"""Comparison of two releases' evidence."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from certify.codec import address, encode
from certify.evidence.bundle import Evidence
from certify.evidence.verdict import CheckResult, Failed, Passed
from certify.policy.policies import load_policies
from certify.policy.waivers import MARK
from certify.registry.differences import SECTIONS, Change, Kind, changes, compare, flat
from certify_spec.diagnostics import Place, Severity
from registry_support import FINDING, submission

STORE: dict[str, bytes] = {}


def kept(content: bytes) -> str:
    """The digest of bytes that are in the store from now on."""
    STORE[address(content)] = content
    return address(content)


def evidence(**changed: Any) -> Evidence:
    """Evidence like a real one, but for the changes."""
    found = submission()
    STORE.update(found.blobs)
    components = [{"type": "library", "name": "httpx", "version": "0.27.0"}, {"type": "file", "name": "node.py"}]
    whole: dict[str, Any] = {
        "manifest": kept(b'[node]\nid = "a"\nversion = "1.0.0"\n[[resource]]\nname = "db"\nmode = "read"\n'),
        "sbom": kept(json.dumps({"components": components}).encode()),
        "policy": kept(encode(load_policies().to_data())),
    }
    return replace(Evidence.decode(found.blobs[found.evidence]), **(whole | changed))


def differing(old: Evidence, new: Evidence) -> dict[str, tuple[Change, ...]]:
    """The sections that differ."""
    return {section: found for section, found in compare(old, new, STORE.__getitem__).items() if found}


def test_equal_evidence_has_no_differences() -> None:
    """R-REVIEW: every section is there, and empty."""
    found = compare(evidence(), evidence(), STORE.__getitem__)
    assert (tuple(found), set(found.values())) == (SECTIONS, {()})


def test_names_are_new_gone_or_changed() -> None:
    """R-REVIEW: each differing name once, in order."""
    assert changes({"a": 1, "b": 2, "c": 3}, {"b": 2, "c": 4, "d": 5}) == (
        Change(Kind.REMOVED, "a", before=1),
        Change(Kind.CHANGED, "c", 3, 4),
        Change(Kind.ADDED, "d", after=5),
    )


def test_manifests_are_compared_key_by_key() -> None:
    """R-REVIEW: tables in lists go by their name, so that order does not matter."""
    new = evidence(
        manifest=kept(
            b'[node]\nid = "a"\nversion = "1.1.0"\n[[resource]]\nname = "mail"\nmode = "write"\n'
            b'[[resource]]\nname = "db"\nmode = "write"\n'
        )
    )
    assert differing(evidence(), new) == {
        "manifest": (
            Change(Kind.CHANGED, "node.version", "1.0.0", "1.1.0"),
            Change(Kind.CHANGED, "resource[db].mode", "read", "write"),
            Change(Kind.ADDED, "resource[mail].mode", after="write"),
            Change(Kind.ADDED, "resource[mail].name", after="mail"),
        )
    }


def test_keys_that_need_quotes_keep_them_apart() -> None:
    """R-REVIEW: a dotted key and a nested one are not the same."""
    assert flat({"a.b": 1, "a": {"b": 2}}) == {'"a.b"': 1, "a.b": 2}


def test_verdicts_and_findings_are_compared() -> None:
    """R-REVIEW: a new verdict, a finding that is new, gone, or waived now; a line that moved is no difference."""
    gone, moved = replace(FINDING, data={"about": "field b"}), replace(FINDING, place=Place("node.py", 99, 1))
    waived = replace(moved, severity=Severity.WARNING, data={"about": "field a", MARK: {}})
    new = replace(FINDING, place=None, data={}, message="something else")
    old = evidence(results=(CheckResult("C-X", Failed(), (FINDING, gone)),))
    assert differing(old, evidence(results=(CheckResult("C-X", Failed(), (moved, gone)),))) == {}
    assert differing(old, evidence(results=(CheckResult("C-X", Passed(), (waived, new)),))) == {
        "verdicts": (Change(Kind.CHANGED, "C-X", "failed", "passed"),),
        "findings": (
            Change(Kind.CHANGED, "C-X TSTR001 node.py: field a", "error", "waived"),
            Change(Kind.REMOVED, "C-X TSTR001 node.py: field b", before="error"),
            Change(Kind.ADDED, "C-X TSTR001: something else", after="error"),
        ),
    }


def test_a_second_finding_of_a_kind_is_a_difference() -> None:
    """R-REVIEW: findings of one name are counted, not merged."""
    old = evidence(results=(CheckResult("C-X", Failed(), (FINDING,)),))
    new = evidence(results=(CheckResult("C-X", Failed(), (FINDING, FINDING)),))
    assert differing(old, new) == {"findings": (Change(Kind.ADDED, "C-X TSTR001 node.py: field a (2)", after="error"),)}


def test_components_are_compared_by_name_and_version() -> None:
    """R-REVIEW: libraries that came, went, or have another version."""
    components = [{"type": "library", "name": "httpx", "version": "0.28.0"}, {"type": "library", "name": "new"}]
    found = differing(evidence(), evidence(sbom=kept(json.dumps({"components": components}).encode())))
    assert found == {
        "components": (Change(Kind.CHANGED, "httpx", "0.27.0", "0.28.0"), Change(Kind.ADDED, "new", after=""))
    }


def test_policies_are_compared_by_id_and_settings_by_key() -> None:
    """R-REVIEW: a ceiling that was raised and a policy that was left out are named."""
    data = load_policies().to_data()
    first = data["policies"].pop(0)
    data["settings"]["ceiling"]["requests"] = 5000
    found = differing(evidence(), evidence(policy=kept(encode(data))))
    assert [change.name for change in found["policy"]] == ["policy budget-permitted", "settings.ceiling.requests"]
    assert found["policy"][0] == Change(Kind.REMOVED, "policy budget-permitted", before=first)


@pytest.mark.parametrize(
    ("part", "section", "content"),
    [
        ("manifest", "manifest", b"not = = toml"),
        ("manifest", "manifest", b"\xff"),
        ("sbom", "components", b"{}"),
        ("sbom", "components", b'{"components": [5]}'),
        ("sbom", "components", b"[" * 100_000),
        ("policy", "policy", b"permit(principal, action, resource);"),
        ("policy", "policy", encode({"policies": 5})),
    ],
)
def test_what_cannot_be_taken_apart_is_compared_by_digest(part: str, section: str, content: bytes) -> None:
    """R-REVIEW: an unexpected form is a difference, never an error, and never overlooked."""
    odd = evidence(**{part: kept(content)})
    assert set(differing(evidence(), odd)) == {section}
    assert differing(odd, odd) == {}
