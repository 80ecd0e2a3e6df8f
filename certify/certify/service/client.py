"""A registry that is served elsewhere, used as if it were here.

Rules this module keeps:

- what the service hands out is not believed for being handed out: blobs are compared with their digests, receipts and
  log entries with the signed checkpoint;
- evidence, decisions and waivers are signed here; the private key stays here;
- a service that is full is asked again after as long as it says, a few times; uploads go on where they stopped.
"""

from __future__ import annotations

import base64
import itertools
import os
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, Final, Self, TypeVar

import httpx

from certify import __version__
from certify.codec import address, encode
from certify.evidence.keys import KeyPair, PublicKey
from certify.policy.waivers import SignedWaiver
from certify.registry import checkpoint, entries, merkle
from certify.registry.checkpoint import Checkpoint, CheckpointError, Verifier
from certify.registry.entries import Decided, Entry, EntryError, Published, Release, Status, WaiverGranted
from certify.registry.errors import BLOB_DIGEST, STATEMENT, Conflict, Refused, reason, wrong
from certify.registry.merkle import ProofError
from certify.registry.registry import LogRecord, Registry, Shown, StoredWaiver
from certify.registry.submission import Receipt, Submission
from certify.service import identity
from certify.service.errors import FOREIGN_KEY, NOT_ALLOWED, UNREACHABLE, WRONG_ANSWER
from certify_spec.diagnostics import Diagnostic, RequestError

T = TypeVar("T")
TOKEN: Final = "CERTIFY_TOKEN"  # noqa: S105 - the name of a variable
BASE: Final = "/api/v1"
TRIES: Final = 6
LONGEST_WAIT: Final = 60.0
PACK: Final = 8 * 2**20
"""Bytes of blobs that are sent together."""
_DECLINED: Final = frozenset({NOT_ALLOWED.code, FOREIGN_KEY.code, "SRV010", "SRV017"})


class RemoteRegistry:
    """A served registry, with the questions and changes that the command line needs.

    Args:
        url: the service's address.
        token: an API token; that of CERTIFY_TOKEN by default.
        transport: how requests are sent; for tests.
        sleep: waits before a request is repeated.
    """

    def __init__(
        self,
        url: str,
        *,
        token: str | None = None,
        transport: httpx.BaseTransport | None = None,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self.url = url.rstrip("/")
        given = os.environ.get(TOKEN, "") if token is None else token
        headers = {"User-Agent": f"certify/{__version__}", "Accept-Encoding": "identity"}
        if given:
            headers["Authorization"] = f"Bearer {given}"
        self._http = httpx.Client(base_url=self.url, headers=headers, timeout=60, transport=transport)
        self._sleep = sleep
        self._verifier: Verifier | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the connections."""
        self._http.close()

    # Asking

    def ask(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Send a request, again if the service is full; the answer, if it is no problem.

        Raises:
            Refused, Conflict, RequestError: as the service says; SRV014 it cannot be reached.
        """
        for number in itertools.count(1):
            try:
                answer = self._http.request(method, f"{BASE}{path}", **options)
            except httpx.HTTPError as error:
                if number >= TRIES or not isinstance(error, httpx.ConnectError | httpx.ReadError):
                    message = f"{self.url} cannot be reached"
                    raise wrong(UNREACHABLE, message, because=str(error) or type(error).__name__) from None
                self._sleep(0.1 * 2**number)
                continue
            if answer.status_code in {429, 503} and number < TRIES:
                self._sleep(min(LONGEST_WAIT, float(answer.headers.get("Retry-After", "1"))))
                continue
            if answer.status_code >= 400:
                raise _said(self.url, answer)
            return answer
        raise AssertionError

    def _json(self, path: str, **query: Any) -> Any:
        answer = self.ask("GET", path, params=query)
        return self._read(answer.json)

    @property
    def verifier(self) -> Verifier:
        """The public side of the registry's key, as the service says."""
        if self._verifier is None:
            self._verifier = self._read(lambda: Verifier.from_text(self._json("/registry")["verifier"]))
        return self._verifier

    def _read(self, work: Callable[[], T]) -> T:
        """Read an answer.

        Raises:
            RequestError: SRV015, it is not what the service should have answered.
        """
        try:
            return work()
        except (KeyError, TypeError, ValueError, EntryError, CheckpointError, ProofError) as error:
            because = f"{type(error).__name__}: {error}"
            raise wrong(WRONG_ANSWER, f"{self.url} answered wrongly", because=because) from None

    # Questions

    def checkpoint(self) -> str | None:
        """The newest signed checkpoint; None while the log is empty."""
        note = str(self._json("/registry")["checkpoint"])
        if note:
            self._read(lambda: checkpoint.parse(note, self.verifier))
        return note or None

    def listed(self) -> tuple[tuple[Release, str], ...]:
        """All releases with the time of publishing, nodes by name."""
        rows = sorted(self._rows(), key=lambda row: (row["node"], row["entry"]))
        return self._read(lambda: tuple((_release(row), str(row["at"])) for row in rows))

    def _rows(self) -> Iterator[dict[str, Any]]:
        before = 2**53
        while before:
            page = self._json("/releases", before=before, limit=500)
            yield from page["releases"]
            before = page["next"]

    def find(self, node: str, release: str) -> Release | None:
        """One release as it stands, if there is one."""
        try:
            return self.show(f"{node}@{release}").release
        except RequestError as error:
            if all(diagnostic.code == "REG008" for diagnostic in error.diagnostics):
                return None
            raise

    def show(self, name: str) -> Shown:
        """One release; its entries are checked against the receipt.

        Raises:
            RequestError: REG008 unknown, REG009 not a name, SRV015 the service answers wrongly.
        """
        Registry.demand_name(name)
        said = self._json(f"/releases/{name}")
        return self._read(lambda: self._shown(said))

    def _shown(self, said: Mapping[str, Any]) -> Shown:
        receipt = Receipt.from_data(said["receipt"])
        receipt.verify(self.verifier)
        records = [LogRecord(each["number"], entries.read(_bytes(each["data"]))) for each in said["entries"]]
        first = records[0].entry
        if not isinstance(first, Published) or merkle.leaf_hash(_bytes(said["entries"][0]["data"])) != receipt.leaf:
            raise ValueError("the entry is not that of the receipt")
        decided = tuple(record for record in records if isinstance(record.entry, Decided))
        return Shown(_release(said["release"]), first, decided, receipt)

    def waivers(self, node: str | None = None) -> tuple[StoredWaiver, ...]:
        """All waivers, or those for one node, expired ones too, in order."""
        said = self._json("/waivers", **({"node": node} if node else {}))
        return self._read(lambda: tuple(_waiver(each) for each in said["waivers"]))

    def signed_waiver(self, stored: StoredWaiver) -> SignedWaiver:
        """A stored waiver with its envelope, after the signature has been verified.

        Raises:
            Refused: REG021 the signature does not verify, REG022 something else was signed than the log says.
        """
        envelope = self.blob(stored.id)
        if Registry.read_waiver(envelope, stored.signer) != stored.waiver:
            raise Refused(reason(STATEMENT, f"the waiver {stored.id} is not the one that was signed"))
        return SignedWaiver(stored.waiver, envelope, stored.signer.key_id)

    def blob(self, digest: str) -> bytes:
        """A blob's bytes, after comparing them with their digest; a download that broke off goes on.

        Raises:
            RequestError: REG008 not there, REG023 the bytes are not those of the digest.
        """
        data = self.ask("GET", f"/blobs/{digest}").content
        if address(data) != digest:
            raise wrong(BLOB_DIGEST, f"the bytes of blob {digest} were changed on the way, or there")
        return data

    def where(self, digest: str) -> str:
        """Where a blob can be had."""
        return f"{self.url}{BASE}/blobs/{digest}"

    def entries(self, start: int, stop: int) -> list[bytes]:
        """The log's entries, byte for byte.

        Raises:
            RequestError: SRV015, there are not as many.
        """
        found: list[bytes] = []
        while len(found) < stop - start:
            said = self._json("/log/entries", start=start + len(found), limit=min(500, stop - start - len(found)))
            if not said["entries"]:
                raise wrong(WRONG_ANSWER, f"{self.url} hands out only {start + len(found)} of {stop} entries")
            found += [_bytes(each["data"]) for each in said["entries"]]
        return found

    def itself(self) -> tuple[str, str]:
        """The registry's key and its newest checkpoint, as the service says, neither of them checked."""
        said = self._json("/registry")
        return self._read(lambda: (str(said["verifier"]), str(said["checkpoint"])))

    def some_entries(self, size: int) -> tuple[tuple[int, bytes], ...]:
        """The first entries of the log with the numbers that the service gives them; fewer if it has no more."""
        found: list[tuple[int, bytes]] = []
        while len(found) < size:
            said = self._json("/log/entries", start=len(found), limit=min(500, size - len(found)))
            page = self._read(partial(_numbered, said))
            if not page:
                break
            found += page
        return tuple(found[:size])

    def blob_as_sent(self, digest: str) -> bytes:
        """A blob's bytes as the service sends them, whatever they are.

        Raises:
            Refused, RequestError: REG008, REG023 the service has none, or finds it changed.
        """
        return self.ask("GET", f"/blobs/{digest}").content

    def consistency_proof(self, old: int, new: int) -> tuple[bytes, ...]:
        """Proof that the log of `new` entries begins with that of `old`."""
        said = self._json("/log/consistency", old=old, new=new)
        return tuple(bytes.fromhex(sibling) for sibling in said["proof"])

    def head(self) -> Checkpoint | None:
        """The newest checkpoint, verified; None while the log is empty."""
        note = self.checkpoint()
        return self._read(lambda: checkpoint.parse(note, self.verifier)) if note else None

    # Changes

    def publish(self, handed_in: Submission) -> Receipt:
        """Upload what the registry lacks, and publish.

        Raises:
            VersionTaken, Refused: as `Registry.publish`; SRV003, SRV012 the token or the key does not allow it.
            RequestError: SRV014, the service cannot be reached.
        """
        self.upload(handed_in.blobs)
        body = {
            "node": handed_in.node,
            "release": handed_in.release,
            "subject": handed_in.subject,
            "evidence": handed_in.evidence,
            "envelope": base64.b64encode(handed_in.envelope).decode(),
            "signer": handed_in.signer.raw.hex(),
            "blobs": sorted(handed_in.blobs),
            "artefacts": dict(handed_in.artefacts),
            "verdicts": dict(handed_in.verdicts),
        }
        return self._receipt(self.ask("POST", "/releases", json=body))

    def waive(self, envelope: bytes, signer: PublicKey) -> Receipt:
        """Hand in a signed waiver."""
        return self._receipt(self.ask("POST", "/waivers", json=_signed(envelope, signer)))

    def decide(self, envelope: bytes, signer: PublicKey) -> Receipt:
        """Hand in a signed decision."""
        return self._receipt(self.ask("POST", "/decisions", json=_signed(envelope, signer)))

    def _receipt(self, answer: httpx.Response) -> Receipt:
        from dataclasses import replace

        said = answer.json()

        def read() -> Receipt:
            receipt = Receipt.from_data(said["receipt"])
            receipt.verify(self.verifier)
            return replace(receipt, appended=bool(said["appended"]))

        return self._read(read)

    def upload(self, blobs: Mapping[str, bytes]) -> None:
        """Upload the blobs that the registry lacks: small ones together, large ones in parts."""
        digests = sorted(blobs)
        missing = [
            digest
            for start in range(0, len(digests), 5000)
            for digest in self.ask("POST", "/blobs", json={"digests": digests[start : start + 5000]}).json()["missing"]
        ]
        pack: dict[str, bytes] = {}
        for digest in missing:
            if len(blobs[digest]) > PACK // 2:
                self._upload_in_parts(digest, blobs[digest])
                continue
            if sum(map(len, pack.values())) + len(blobs[digest]) > PACK or len(pack) >= 500:
                self._send(pack)
                pack = {}
            pack[digest] = blobs[digest]
        if pack:
            self._send(pack)

    def _send(self, pack: Mapping[str, bytes]) -> None:
        self.ask("POST", "/packs", content=encode(dict(pack)), headers={"Content-Type": "application/octet-stream"})

    def _upload_in_parts(self, digest: str, data: bytes) -> None:
        begun = self.ask("POST", "/uploads", json={"digest": digest, "size": len(data)}).json()
        if begun["held"]:
            return
        place, offset = begun["upload"].removeprefix(BASE), 0
        while offset < len(data):
            headers = {"Upload-Offset": str(offset), "Content-Type": "application/octet-stream"}
            try:
                part = data[offset : offset + PACK]
                offset = int(self.ask("PATCH", place, content=part, headers=headers).json()["offset"])
            except Refused:
                raise
            except RequestError as error:
                if all(diagnostic.code not in {"SRV011", UNREACHABLE.code} for diagnostic in error.diagnostics):
                    raise
                offset = int(self._json(place)["offset"])

    def register_key(self, key: KeyPair) -> str:
        """Enter a signing key for the token's user; the user's id."""
        user = str(self._json("/me")["user"])
        signature = key.sign(identity.possession(self.verifier.origin, user, key.public)).hex()
        self.ask("POST", "/keys", json={"public": key.public.raw.hex(), "signature": signature})
        return user


def _said(url: str, answer: httpx.Response) -> Exception:
    """What a problem document says, as the core would have said it here."""
    try:
        said = answer.json()
        found = [Diagnostic.from_data(each) for each in said["diagnostics"]]
        if not found:
            raise ValueError("no reason is given")  # noqa: TRY301 - one of the ways to be no problem document
    except (ValueError, KeyError, TypeError):
        because = f"status {answer.status_code}: {answer.text[:200]}"
        return wrong(WRONG_ANSWER, f"{url} declined without saying why", because=because)
    if answer.status_code == 409 and "item" in said:
        return Conflict(str(said["item"]), int(said["expected"]), int(said["actual"]))
    if any(d.code in _DECLINED or "REG020" <= d.code <= "REG099" for d in found):
        return Refused(*found)
    return RequestError(*found)


def _release(said: Mapping[str, Any]) -> Release:
    return Release(
        str(said["node"]),
        str(said["release"]),
        str(said["subject"]),
        str(said["evidence"]),
        int(said["entry"]),
        Status(said["status"]),
        int(said["version"]),
    )


def _waiver(said: Mapping[str, Any]) -> StoredWaiver:
    entry: Entry = entries.read(_bytes(said["data"]))
    if not isinstance(entry, WaiverGranted) or entry.envelope != said["id"]:
        raise ValueError("the entry is not that of the waiver")
    return StoredWaiver(entry.envelope, int(said["entry"]), entry.waiver, entry.signer, entry.at)


def _numbered(said: Mapping[str, Any]) -> list[tuple[int, bytes]]:
    return [(int(each["number"]), _bytes(each["data"])) for each in said["entries"]]


def _signed(envelope: bytes, signer: PublicKey) -> dict[str, str]:
    return {"envelope": base64.b64encode(envelope).decode(), "signer": signer.raw.hex()}


def _bytes(text: str) -> bytes:
    return base64.b64decode(text, validate=True)
