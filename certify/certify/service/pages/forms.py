"""What a form sends.

Rules this module keeps:

- a form is read up to a limit, each field once, and text that no database can hold is refused;
- a form that another site sent is refused before it is looked at; one of a session carries the session's form token;
- where to go next is an address of this service, whatever was sent.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, time
from typing import Final
from urllib.parse import parse_qsl, urlsplit

from starlette.requests import Request

from certify.policy.waivers import Waiver, WaiverError
from certify.registry.entries import DIGEST, Status
from certify.registry.waivers import refusal
from certify.service.errors import FORGED, Declined, bad
from certify.service.identity import Actor
from certify.service.service import Service
from certify.service.web import demand_form_token, read_body

LARGEST: Final = 64 * 1024
MOST_FIELDS: Final = 40
DECISIONS: Final[Mapping[str, Status]] = {
    "approve": Status.APPROVED,
    "reject": Status.REJECTED,
    "revoke": Status.REVOKED,
}
_LOCAL: Final = re.compile(r"/(?![/\\])[!-~]{0,2000}")
_NUMBER: Final = re.compile(r"[0-9]{1,15}")
_UNPRINTABLE: Final = re.compile("[\0-\x08\x0b\x0c\x0e-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class DecisionForm:
    """A decision, bound to the evidence and the version that were on the page."""

    status: Status
    reason: str
    evidence: str
    version: int


async def read_form(service: Service, request: Request) -> dict[str, str]:
    """The fields of a form.

    Raises:
        Declined: SRV001 not a form, SRV006 or SRV016 too large or slow, SRV009 from another site.
    """
    demand_same_site(request, service.settings.public_url)
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/x-www-form-urlencoded":
        raise bad("a form is sent as application/x-www-form-urlencoded")
    data = await read_body(request, LARGEST, service.settings.body_seconds)
    try:
        pairs = parse_qsl(data.decode("utf-8"), keep_blank_values=True, max_num_fields=MOST_FIELDS, errors="strict")
    except (UnicodeDecodeError, ValueError):
        raise bad("the form is not UTF-8, or has too many fields") from None
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise bad("a field occurs twice")
    if any(_UNPRINTABLE.search(text) for pair in pairs for text in pair):
        raise bad("a field holds a control character")
    return fields


def demand_same_site(request: Request, public_url: str) -> None:
    """Refuse what another site's page sent.

    Raises:
        Declined: SRV009.
    """
    site, origin = request.headers.get("sec-fetch-site", ""), request.headers.get("origin", "")
    if site in {"same-origin", "none"}:
        return
    ours = {request.headers.get("host", ""), urlsplit(public_url).netloc} - {""}
    if site or (origin and urlsplit(origin).netloc not in ours):
        raise Declined(403, FORGED, "the form was sent by a page of another site", action="form token", item="form")


def demand_session(actor: Actor, fields: Mapping[str, str]) -> None:
    """Refuse a form without the session's form token.

    Raises:
        Declined: SRV009.
    """
    demand_form_token(actor, fields.get("form_token", ""))


def decision_form(fields: Mapping[str, str]) -> DecisionForm:
    """The decision that a form asks for.

    Raises:
        Declined: SRV001, something is missing.
    """
    status, reason = DECISIONS.get(fields.get("decision", "")), one_line(fields.get("reason", ""))
    if status is None:
        raise bad("choose what is to become of the release: approve, reject or revoke")
    if not reason:
        raise bad("a decision needs a reason: those who come after you read it in the log")
    return DecisionForm(status, reason[:4000], *bound(fields))


def bound(fields: Mapping[str, str]) -> tuple[str, int]:
    """The evidence and the version that were on the page.

    Raises:
        Declined: SRV001, they are missing.
    """
    evidence, version = fields.get("evidence", ""), fields.get("version", "")
    if not DIGEST.fullmatch(evidence) or not _NUMBER.fullmatch(version):
        raise bad("the form does not say which evidence and which version was on the page")
    return evidence, int(version)


def waiver_form(node: str, fields: Mapping[str, str], owner: str, now: datetime) -> Waiver:
    """The waiver that a form asks for, from now on.

    Raises:
        Declined: SRV001, the date is none.
        Refused: REG028, every reason why it is no waiver that may be written.
    """
    versions = tuple(text.strip() for text in fields.get("versions", "").split(" or ") if text.strip())
    try:
        expires = datetime.combine(datetime.fromisoformat(fields.get("expires", "")).date(), time(0), UTC)
    except ValueError:
        raise bad("the end of a waiver is a date, such as 2027-01-31") from None
    try:
        return Waiver(
            node=node,
            code=fields.get("code", "").strip(),
            reason=one_line(fields.get("reason", "")),
            owner=one_line(fields.get("owner", "")) or owner,
            issued=now.replace(microsecond=0),
            expires=expires,
            versions=versions,
            place=fields.get("place", "").strip(),
            about=fields.get("about", "").strip(),
        )
    except WaiverError as error:
        raise refusal(error) from None


def one_line(text: str) -> str:
    """The text in one line."""
    return " ".join(text.split())


def number(text: str, otherwise: int) -> int:
    """A number in a query; `otherwise` if it is none."""
    return int(text) if _NUMBER.fullmatch(text) else otherwise


def local(text: str, otherwise: str = "/queue") -> str:
    """An address of this service; `otherwise` if it is none."""
    return text if _LOCAL.fullmatch(text) else otherwise
