"""Waivers: one finding of one node that somebody answers for, until a date.

Rules this module keeps:

- a waiver covers exactly one code, and one place if it names one; there are no wildcards;
- it has an owner, a reason, a date of issue and an end, and covers nothing outside those dates;
- it is bound to a node and either to a range of its versions or to one subject's digest;
- everything here is pure: the time is passed in.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Final

from certify.registry.times import read_time
from certify.registry.versions import Range

PAYLOAD_TYPE: Final = "application/vnd.certify.waiver+cbor"

_CODE = re.compile(r"[A-Z]{2,8}[0-9]{3}")
_DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Waiver:
    """One finding, let through.

    Attributes:
        node: the node's id.
        code: the finding's code, such as ``EFF003``.
        reason: why that is acceptable.
        owner: who answers for it.
        issued: when it begins, as RFC 3339 text in UTC such as ``2026-11-20T12:00:00Z``.
        expires: when it ends; it covers nothing from that moment on.
        releases: a range of the node's versions, such as ``>=1.2.0,<2.0.0``; empty when `subject` is given.
        subject: the digest of the one subject it is for; empty when `releases` is given.
        place: ``file`` or ``file:line`` of the one finding it is for; empty for every finding with the code.
    """

    node: str
    code: str
    reason: str
    owner: str
    issued: str
    expires: str
    releases: str = ""
    subject: str = ""
    place: str = ""

    def problems(self, now: datetime) -> tuple[str, ...]:
        """What keeps it from being accepted at `now`; empty when nothing does."""
        problems = [f"it names no {name}" for name in ("node", "reason", "owner") if not getattr(self, name).strip()]
        if not _CODE.fullmatch(self.code):
            problems.append(f"{self.code!r} is not the code of one finding")
        if bool(self.releases) == bool(self.subject):
            problems.append("it must name either a range of versions or one subject's digest")
        if self.subject and not _DIGEST.fullmatch(self.subject):
            problems.append("the subject is not a BLAKE3 digest of 64 hexadecimal digits")
        try:
            if self.releases:
                Range.parse(self.releases)
            issued, expires = read_time(self.issued), read_time(self.expires)
        except ValueError as error:
            return (*problems, str(error))
        if expires <= issued:
            problems.append("it ends before it begins")
        elif expires <= now:
            problems.append(f"it ended on {self.expires}")
        return tuple(problems)

    def covers(self, *, node: str, release: str, subject: str, now: datetime) -> bool:
        """Whether it speaks, at `now`, of this release or this subject of the node."""
        if node != self.node or not read_time(self.issued) <= now < read_time(self.expires):
            return False
        return subject == self.subject if self.subject else release in Range.parse(self.releases)

    def excuses(self, code: str, file: str = "", line: int = 0) -> bool:
        """Whether it speaks of a finding with this code at this place."""
        return code == self.code and self.place in {"", file, f"{file}:{line}"}

    def to_data(self) -> dict[str, str]:
        """The waiver as a map of text."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Waiver:
        """The inverse of `to_data`.

        Raises:
            ValueError: another set of keys, or a value that is not text.
        """
        if set(data) != {field.name for field in fields(cls)} or not all(isinstance(v, str) for v in data.values()):
            raise ValueError(f"a waiver is a map of text with the keys {', '.join(f.name for f in fields(cls))}")
        return cls(**data)
