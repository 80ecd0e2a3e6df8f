"""Behind `registry waive`, `waivers`, `approve` and `reject`: what people sign, and the registry enters."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from certify.cli import registries
from certify.cli.output import Output
from certify.cli.status import Status
from certify.codec import EncodingError
from certify.evidence.keys import load_key
from certify.policy.waivers import State, Waiver, WaiverError
from certify.registry import decisions, waivers
from certify.registry.decisions import Decision
from certify.registry.entries import Status as Standing
from certify.registry.errors import MALFORMED, wrong
from certify.registry.registry import StoredWaiver
from certify.times import read_time, system_clock, write_seconds

_STYLES: Final = {State.VALID: "yellow", State.EXPIRED: "dim", State.NOT_YET: "cyan"}
_DAY: Final = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)


@dataclass(frozen=True, slots=True)
class Asked:
    """A waiver as it is asked for on the command line; the members are those of `Waiver`, as they were typed."""

    node: str
    code: str
    reason: str
    owner: str
    expires: str
    versions: tuple[str, ...] = ()
    subject: str = ""
    place: str = ""
    about: str = ""


def waive(asked: Asked, registry: str, key: Path | None, *, as_json: bool) -> int:
    """Sign a waiver that begins now, and enter it.

    Raises:
        RequestError: REG009 the end is no date or moment; the key or the registry cannot be used.
        Refused: REG028 it is no waiver that may be written.
    """
    output = Output(as_json=as_json)
    waiver = _waiver(asked, system_clock())
    pair = load_key(key)
    envelope = waivers.sign(waiver, pair)
    signed = waivers.read(envelope, pair.public)
    with registries.ensured(registry) as opened:
        receipt = opened.waive(envelope, pair.public)
    until = write_seconds(waiver.expires)
    output.say(f"{waiver.code} is waived for {waiver.node} ({_scope(waiver)}) until {until}", "yellow")
    output.say(f"waiver {signed.id}: entry {receipt.entry} of the log, signed by key {signed.key_id}")
    output.data(
        {"id": signed.id, "waiver": waiver.to_data(), "signer": signed.key_id, "receipt": receipt.to_data()},
    )
    return Status.HELD


def _waiver(asked: Asked, now: datetime) -> Waiver:
    expires = _moment(asked.expires)
    try:
        return Waiver(
            node=asked.node,
            code=asked.code,
            reason=asked.reason,
            owner=asked.owner,
            issued=now.replace(microsecond=0),
            expires=expires,
            versions=asked.versions,
            subject=asked.subject,
            place=asked.place,
            about=asked.about,
        )
    except WaiverError as error:
        raise waivers.refusal(error) from None


def _moment(text: str) -> datetime:
    """A day, which stands for its first moment in UTC, or a moment."""
    try:
        return read_time(f"{text}T00:00:00Z" if _DAY.fullmatch(text) else text)
    except ValueError as error:
        fix = "write a day such as 2027-01-31, or a moment in UTC such as 2027-01-31T12:00:00Z"
        raise wrong(
            MALFORMED, f"--expires {text!r} is neither a day nor a moment", because=str(error), fix=fix
        ) from None


def show(node: str | None, registry: str, *, as_json: bool) -> int:
    """List the waivers, of one node or of all, with the state of each at this moment."""
    output, now = Output(as_json=as_json), system_clock()
    with registries.opened(registry) as opened:
        found = opened.waivers(node)
    lines(output, found, now)
    if not found:
        output.say(f"no finding of {node} was ever waived" if node else "no finding was ever waived")
    output.data({"waivers": [data(stored, now) for stored in found]})
    return Status.HELD


def lines(output: Output, found: Iterable[StoredWaiver], now: datetime) -> None:
    """Waivers for people, each with its state at a moment."""
    for stored in found:
        waiver, state = stored.waiver, stored.waiver.state(now)
        output.say(f"{waiver.code} of {waiver.node} ({_scope(waiver)}): {_when(waiver, state)}", _STYLES[state])
        output.say(f"  {waiver.owner}: {waiver.reason}")
        output.say(f"  waiver {stored.id}, signed by key {stored.signer.key_id}")


def _when(waiver: Waiver, state: State) -> str:
    match state:
        case State.VALID:
            return f"valid until {write_seconds(waiver.expires)}"
        case State.EXPIRED:
            return f"expired on {write_seconds(waiver.expires)}"
        case State.NOT_YET:
            return f"not yet valid, from {write_seconds(waiver.issued)} until {write_seconds(waiver.expires)}"


def data(stored: StoredWaiver, now: datetime) -> dict[str, Any]:
    """A stored waiver and its state at a moment, as data."""
    return {
        "id": stored.id,
        "state": stored.waiver.state(now).value,
        "waiver": stored.waiver.to_data(),
        "signer": stored.signer.key_id,
        "entry": stored.number,
        "at": stored.at,
    }


def _scope(waiver: Waiver) -> str:
    what = " or ".join(waiver.versions) or f"subject {waiver.subject[:16]}…"
    return ", ".join(filter(None, (what, waiver.place, waiver.about)))


def decide(name: str, status: Standing, reason: str, registry: str, key: Path | None, *, as_json: bool) -> int:
    """Sign a decision on a release as it stands, bound to its evidence, and carry it out.

    Raises:
        RequestError: REG009 the reason cannot be written down; the release, the key or the registry is not there.
        Refused: REG022 there is no reason, REG026 somebody else was quicker, REG027 the status cannot follow, REG030
            the key signed the evidence.
    """
    output, pair = Output(as_json=as_json), load_key(key)
    with registries.opened(registry) as opened:
        release = opened.show(name).release
        decision = Decision(release.node, release.release, release.evidence, status, release.version, reason)
        try:
            envelope = decisions.sign(decision, pair)
        except EncodingError as error:
            raise wrong(MALFORMED, "the reason cannot be written down", because=error.reason) from None
        receipt = opened.decide(envelope, pair.public)
    said = f"{release.name} {status.value}: entry {receipt.entry} of the log, evidence {release.evidence[:16]}…"
    output.say(said, "green" if status is Standing.APPROVED else "bold red")
    output.data({"decision": decision.to_data(), "signer": pair.public.key_id, "receipt": receipt.to_data()})
    return Status.HELD
