"""What changed between two releases, told from their evidence.

Rules this module keeps:

- both sides are read the same way, into maps from names to values, and compared by name: nothing is left out for being
  unexpected;
- what cannot be taken apart (a policy of another form, a bill of materials that is none) is compared by its digest;
- a finding is the same finding when check, code, file and what it is about are the same: its line may move;
- everything here is pure: blobs come from the function that is passed in.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from certify.codec import EncodingError, decode
from certify.evidence import verdict
from certify.evidence.bundle import Evidence
from certify.policy.waivers import MARK
from certify_spec.diagnostics import Diagnostic

Blobs = Callable[[str], bytes]
"""The bytes of a blob by its digest."""


class Kind(StrEnum):
    """How something differs."""

    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that differs.

    Attributes:
        kind: whether it is new, gone or another.
        name: what it is called.
        before: its value in the old release; None when it is new.
        after: its value in the new release; None when it is gone.
    """

    kind: Kind
    name: str
    before: Any = None
    after: Any = None

    def to_data(self) -> dict[str, Any]:
        """The change as a map."""
        return {"change": self.kind.value, "name": self.name, "before": self.before, "after": self.after}


SECTIONS: Final = ("files", "manifest", "verdicts", "findings", "components", "policy")
"""What is compared, in the order in which it is shown."""


def compare(old: Evidence, new: Evidence, blobs: Blobs) -> dict[str, tuple[Change, ...]]:
    """What differs between two releases: each of `SECTIONS`, with its changes by name; empty where nothing differs."""
    before, after = _sections(old, blobs), _sections(new, blobs)
    return {section: changes(before[section], after[section]) for section in SECTIONS}


def changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> tuple[Change, ...]:
    """The names whose values differ, in order."""
    found = []
    for name in sorted(old.keys() | new.keys()):
        if name not in old:
            found.append(Change(Kind.ADDED, name, after=new[name]))
        elif name not in new:
            found.append(Change(Kind.REMOVED, name, before=old[name]))
        elif old[name] != new[name]:
            found.append(Change(Kind.CHANGED, name, old[name], new[name]))
    return tuple(found)


def _sections(evidence: Evidence, blobs: Blobs) -> dict[str, Mapping[str, Any]]:
    return {
        "files": evidence.files,
        "manifest": _manifest(evidence.manifest, blobs),
        "verdicts": {result.check: verdict.name(result.verdict) for result in evidence.results},
        "findings": _findings(evidence),
        "components": _components(evidence.sbom, blobs),
        "policy": _policy(evidence.policy, blobs),
    }


def _manifest(digest: str, blobs: Blobs) -> dict[str, Any]:
    try:
        return flat(tomllib.loads(blobs(digest).decode("utf-8")))
    except ValueError:
        return {"node.toml": digest}


def flat(value: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """A nested map as one of dotted keys to values; tables in a list go by their `name`, or by their number."""
    found: dict[str, Any] = {}
    for key, member in value.items():
        name = f"{prefix}{key if re.fullmatch(r'[A-Za-z0-9_-]+', key) else json.dumps(key, ensure_ascii=False)}"
        if isinstance(member, Mapping) and member:
            found |= flat(member, f"{name}.")
        elif isinstance(member, list) and member and all(isinstance(each, Mapping) for each in member):
            for number, each in enumerate(member):
                called = each.get("name")
                found |= flat(each, f"{name}[{called if isinstance(called, str) else number}].")
        else:
            found[name] = _plain(member)
    return found


def _plain(value: Any) -> Any:
    """The value as JSON has it: dates and other things as text."""
    match value:
        case Mapping():
            return {str(key): _plain(member) for key, member in value.items()}
        case list():
            return [_plain(member) for member in value]
        case str() | bool() | int() | None:
            return value
        case _:
            return str(value)


def _findings(evidence: Evidence) -> dict[str, str]:
    """How much each finding matters (waived ones are called so), by check, code, file and what it is about."""
    found: dict[str, str] = {}
    for result in evidence.results:
        for finding in result.findings:
            name = base = _named(result.check, finding)
            count = 1
            while name in found:
                count += 1
                name = f"{base} ({count})"
            found[name] = "waived" if MARK in finding.data else finding.severity.value
    return found


def _named(check: str, finding: Diagnostic) -> str:
    about = finding.data.get("about")
    file = f" {finding.place.file}" if finding.place else ""
    return f"{check} {finding.code}{file}: {about if isinstance(about, str) and about else finding.message}"


def _components(digest: str, blobs: Blobs) -> dict[str, Any]:
    """Versions by the component's name; the node's own files are left to the comparison of files."""
    try:
        found: dict[str, set[str]] = {}
        for component in json.loads(blobs(digest))["components"]:
            if component.get("type") != "file":
                found.setdefault(str(component["name"]), set()).add(str(component.get("version", "")))
        return {name: ", ".join(sorted(versions)) for name, versions in found.items()}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return {"bill of materials": digest}


_ID: Final = re.compile(r'@id\("([^"]*)"\)')


def _policy(digest: str, blobs: Blobs) -> dict[str, Any]:
    """Policies by id, each setting by its key, and the vocabulary."""
    try:
        match decode(blobs(digest)):
            case {"policies": list(texts), "settings": dict(settings), "vocabulary": str(vocabulary)}:
                policies = {f"policy {_policy_id(str(text), number)}": str(text) for number, text in enumerate(texts)}
                return policies | flat(settings, "settings.") | {"vocabulary": vocabulary}
            case _:
                return {"policies": digest}
    except EncodingError:
        return {"policies": digest}


def _policy_id(text: str, number: int) -> str:
    match = _ID.search(text)
    return match[1] if match else str(number)
