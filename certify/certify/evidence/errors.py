"""What is said of evidence that does not hold: its codes, and its exceptions."""

from __future__ import annotations

from typing import Final

from certify_spec.diagnostics import Diagnostic, Rule, render

MALFORMED_ENVELOPE: Final = Rule(
    "SIG001", "the bytes are not a DSSE envelope", "fetch the envelope again from where it was published"
)
NO_KNOWN_KEY: Final = Rule(
    "SIG002", "no signature is by a key that is trusted here", "pass the signer's public key, if you trust it"
)
FALSE_SIGNATURE: Final = Rule(
    "SIG003",
    "a signature does not match what it signs",
    "treat the content as tampered with: fetch it again, and ask its signer",
)
OTHER_PAYLOAD: Final = Rule(
    "SIG004", "the envelope holds another kind of payload", "pass the envelope that is asked for"
)
MALFORMED_STATEMENT: Final = Rule(
    "SIG005", "the signed payload is not a certification statement", "pass an envelope that `certify publish` wrote"
)
MALFORMED_EVIDENCE: Final = Rule(
    "EVD001", "the bytes are not evidence of a known schema", "upgrade this installation, or fetch the evidence again"
)
OTHER_EVIDENCE: Final = Rule(
    "EVD002", "the signed statement is about something else", "fetch statement and evidence of the same release"
)
ALTERED_BLOB: Final = Rule(
    "EVD003", "a blob's bytes do not have its digest", "restore the blob from a copy that has it"
)
MISSING_BLOB: Final = Rule("EVD004", "a blob that the evidence names is missing", "restore the blob")


class EvidenceError(Exception):
    """Evidence that does not hold, for the reasons in `diagnostics`."""

    def __init__(self, *diagnostics: Diagnostic) -> None:
        super().__init__("\n".join(render(diagnostic) for diagnostic in diagnostics))
        self.diagnostics = diagnostics


class SignatureError(EvidenceError):
    """An envelope, a signature or a signed statement that does not hold."""


def because(rule: Rule, message: str, reason: str = "") -> Diagnostic:
    """One diagnostic with the rule's own advice."""
    return Diagnostic(rule, message, because=reason, fix=rule.advice)
