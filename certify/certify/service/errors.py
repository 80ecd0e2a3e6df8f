"""What the service says when it declines: its codes, and its exceptions.

Rules this module keeps:

- everything that a client did wrong has a code below; a 500 is always a defect;
- what the registry's core declines keeps its own code (REG…): the service adds none in its place.
"""

from __future__ import annotations

from typing import Final

from certify_spec.diagnostics import Diagnostic, Rule

BAD_REQUEST: Final = Rule("SRV001", "the request is not what this address takes", "see the OpenAPI document")
NOT_SIGNED_IN: Final = Rule("SRV002", "the request names nobody that the service knows", "sign in, or send a token")
NOT_ALLOWED: Final = Rule("SRV003", "the request is not allowed", "see the policy that the message names")
NO_SUCH_PLACE: Final = Rule("SRV004", "there is nothing at this address", "see the OpenAPI document")
NO_SUCH_METHOD: Final = Rule("SRV005", "this address does not take this method", "see the OpenAPI document")
TOO_LARGE: Final = Rule("SRV006", "the request is larger than the service takes", "upload large blobs in parts")
TOO_MANY: Final = Rule("SRV007", "the client has sent too many requests", "wait as long as Retry-After says")
FULL: Final = Rule("SRV008", "the service has as much to do as it takes on", "wait as long as Retry-After says")
FORGED: Final = Rule("SRV009", "the form does not come from a page of this session", "open the page again, and repeat")
PERSON: Final = Rule("SRV010", "two changes of a status need a person", "look at both, and decide which holds")
OFFSET: Final = Rule("SRV011", "the part does not follow on what was uploaded", "ask with HEAD where to go on")
FOREIGN_KEY: Final = Rule(
    "SRV012", "the signing key is not a key of this user", "run `certify registry register-key --registry URL`"
)
DEFECT: Final = Rule("SRV013", "the service itself failed", "this is a defect of certify: report it with the log")
UNREACHABLE: Final = Rule("SRV014", "the registry's service cannot be reached", "look at the address and the network")
WRONG_ANSWER: Final = Rule("SRV015", "the registry's service answered wrongly", "look at its log")
TOO_SLOW: Final = Rule("SRV016", "the request arrived too slowly", "send it again over a better connection")
QUOTA: Final = Rule("SRV017", "too much was uploaded that nothing names", "publish what was uploaded, or wait a day")


class Declined(Exception):
    """The service declines a request.

    Attributes:
        status: the HTTP status.
        diagnostic: why.
        headers: headers of the answer.
        who: the user, when one is known.
        action: what was to be done, for the audit; empty when the refusal is none of access.
        item: to what.
    """

    def __init__(
        self,
        status: int,
        rule: Rule,
        message: str,
        *,
        because: str = "",
        fix: str = "",
        headers: dict[str, str] | None = None,
        who: str = "",
        action: str = "",
        item: str = "",
    ) -> None:
        super().__init__(message)
        self.status = status
        self.diagnostic = Diagnostic(rule, message, because=because, fix=fix or rule.advice)
        self.headers = headers or {}
        self.who = who
        self.action = action
        self.item = item


def bad(message: str, *, because: str = "") -> Declined:
    """The request is malformed."""
    return Declined(400, BAD_REQUEST, message, because=because)
