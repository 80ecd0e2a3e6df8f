"""What the service can be told when it is started."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

MEBIBYTE = 2**20


@dataclass(frozen=True, slots=True)
class OpenIdSettings:
    """An OpenID Connect provider.

    Attributes:
        issuer: its address; the discovery document lies below it.
        client: id of this service there.
        secret_file: file with the client's secret.
        roles_claim: the claim that lists roles; those that are none of ours are left out.
    """

    issuer: str
    client: str
    secret_file: Path
    roles_claim: str = "roles"


@dataclass(frozen=True, slots=True)
class Settings:
    """How the service runs.

    Attributes:
        folder: the registry's folder.
        access: file with access policies; None for the shipped ones.
        in_flight: requests at a time.
        rate: requests a minute of one client.
        burst: requests of one client at once.
        login_rate: attempts to sign in of one address, or for one user, a minute.
        login_burst: the same, at once.
        streams: event streams at a time.
        largest_json: bytes of a JSON request.
        largest_part: bytes of one part of an upload.
        largest_blob: bytes of a blob.
        staged: bytes that one user may have uploaded that no release names.
        body_seconds: within how many seconds the body of a request must arrive.
        readers: threads that read.
        anonymous_read: whether everybody may read.
        secure_cookies: whether cookies are for HTTPS alone; only a test on loopback does without.
        public_url: address under which people reach the service; needed for OpenID Connect.
        open_id: an OpenID Connect provider.
    """

    folder: Path
    access: Path | None = None
    in_flight: int = 100
    rate: float = 100.0
    burst: int = 20
    login_rate: float = 5.0
    login_burst: int = 5
    streams: int = 200
    largest_json: int = 4 * MEBIBYTE
    largest_part: int = 16 * MEBIBYTE
    largest_blob: int = 256 * MEBIBYTE
    staged: int = 2048 * MEBIBYTE
    body_seconds: float = 30.0
    readers: int = 4
    anonymous_read: bool = False
    secure_cookies: bool = True
    public_url: str = ""
    open_id: OpenIdSettings | None = None
    trusted_proxies: tuple[str, ...] = field(default=())
