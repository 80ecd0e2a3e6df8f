"""What the registry says when it declines: its codes, and its exceptions.

Rules this module keeps:

- a request that cannot be carried out as it stands is a `RequestError` (exit status 2): wrong folder, unreadable file,
  unknown name;
- a request that is understood and declined is a `Refused` (exit status 1): it says what does not hold;
- both carry diagnostics; nothing has been written when either is raised.
"""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Final

from certify_spec.diagnostics import Diagnostic, RequestError, Rule, render

NOT_A_REGISTRY: Final = Rule("REG001", "the folder holds no registry", "name another folder, or create a registry")
EXISTS: Final = Rule("REG002", "the folder is in use", "open the registry that is there, or name an empty folder")
NOT_WRITABLE: Final = Rule(
    "REG003", "the registry cannot be written", "ask for write access to the folder and to everything in it"
)
NEWER_SCHEMA: Final = Rule("REG004", "the registry was written by a newer release", "upgrade this installation")
DAMAGED: Final = Rule(
    "REG005", "the registry's database is damaged", "restore a backup, then run `certify registry verify-log`"
)
BUSY: Final = Rule("REG006", "another process holds the registry", "try again; if it lasts, find the process")
NO_KEY: Final = Rule(
    "REG007", "the registry's signing key is missing or another one", "put the registry's own key back in its place"
)
UNKNOWN_NAME: Final = Rule("REG008", "the registry has nothing of that name", "`certify registry list` shows the names")
MALFORMED: Final = Rule("REG009", "a value has not the form that the registry needs", "correct the value")
SYSTEM: Final = Rule("REG010", "the system declined to read or write a file", "see the reason, and try again")

VERDICT: Final = Rule("REG020", "a verdict does not allow publishing", "repair the node, or waive the finding")
SIGNATURE: Final = Rule("REG021", "an envelope's signature does not verify", "sign with the key that is submitted")
STATEMENT: Final = Rule(
    "REG022",
    "an envelope's statement speaks of something else",
    "sign a statement about this evidence",
)
BLOB_DIGEST: Final = Rule("REG023", "a blob's bytes do not have its digest", "submit the bytes that the evidence names")
BLOB_MISSING: Final = Rule("REG024", "a blob that is named was not submitted", "submit it along with the others")
TAKEN: Final = Rule("REG025", "the release exists with other content", "give the node a new version")
CONFLICT: Final = Rule("REG026", "the item was changed by somebody else", "look at it again and decide anew")
TRANSITION: Final = Rule("REG027", "the status cannot follow on the present one", "docs/registry.md lists the statuses")
WAIVER: Final = Rule("REG028", "the waiver cannot be accepted", "name one finding, a reason, an owner and an end")
EVIDENCE: Final = Rule("REG029", "the evidence says something else than the submission", "submit what the checks found")
SELF_APPROVAL: Final = Rule(
    "REG030", "a release cannot be approved with the key that signed its evidence", "ask somebody else to look at it"
)


class Refused(Exception):
    """The registry understands the request and declines it; exit status 1.

    Attributes:
        diagnostics: every reason, at once.
    """

    def __init__(self, *diagnostics: Diagnostic) -> None:
        super().__init__("\n".join(render(diagnostic) for diagnostic in diagnostics))
        self.diagnostics = diagnostics


class VersionTaken(Refused):
    """The registry holds the same release of the node with other content."""


class Conflict(Refused):
    """A compare-and-swap found another version than expected.

    Attributes:
        item: what was to be changed, such as ``payments/charge@1.2.0``.
        expected: the version that the request was based on.
        actual: the version found.
    """

    def __init__(self, item: str, expected: int, actual: int) -> None:
        super().__init__(
            Diagnostic(
                CONFLICT,
                f"{item} is at version {actual}",
                because=f"the request was based on version {expected}",
                fix=f"run `certify registry show {item}`, and repeat the request if it still holds",
            )
        )
        self.item = item
        self.expected = expected
        self.actual = actual


def wrong(rule: Rule, message: str, *, because: str = "", fix: str = "") -> RequestError:
    """A request error with one diagnostic; the rule's advice stands in for a missing fix."""
    return RequestError(Diagnostic(rule, message, because=because, fix=fix or rule.advice))


_NO_ACCESS: Final = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})


def from_system(error: OSError, folder: Path) -> RequestError:
    """What the system said about a file in `folder`, or about the folder."""
    rule = NOT_WRITABLE if error.errno in _NO_ACCESS else SYSTEM
    return wrong(rule, f"{error.filename or folder}: {error.strerror or error}")


def reason(rule: Rule, message: str, *, because: str = "", fix: str = "") -> Diagnostic:
    """One reason to refuse."""
    return Diagnostic(rule, message, because=because, fix=fix or rule.advice)
