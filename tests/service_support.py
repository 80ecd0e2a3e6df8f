"""A service for tests: in this process, with users, keys and tokens, and what to hand in."""

from __future__ import annotations

import base64
import contextlib
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from certify.evidence.keys import KeyPair
from certify.registry import decisions
from certify.registry.decisions import Decision
from certify.registry.entries import Status
from certify.registry.registry import Registry
from certify.registry.submission import Submission
from certify.service import identity, server
from certify.service.settings import Settings
from certify.times import system_clock
from registry_support import AUTHOR, OTHER

BASE = "/api/v1"
ADMIN = KeyPair(Ed25519PrivateKey.from_private_bytes(b"\x03" * 32))
PASSWORD = "a password for tests"
USERS = {"ana": (["author"], AUTHOR), "bo": (["reviewer"], OTHER), "eve": (["admin", "author", "reviewer"], ADMIN)}


@dataclass
class Inhabited:
    """A registry's folder with users, and a token of each."""

    folder: Path
    tokens: dict[str, str] = field(default_factory=dict)

    def bearer(self, user: str) -> dict[str, str]:
        """The header that a user sends."""
        return {"Authorization": f"Bearer {self.tokens[user]}"}


def inhabit(folder: Path, **storage: Any) -> Inhabited:
    """Make a registry with the three users of `USERS`; ana's and bo's keys are entered, and everybody has a token."""
    found, now = Inhabited(folder), system_clock()
    password = hashed()
    registry = Registry.create(folder, **storage) if not (folder / "key").exists() else Registry.open(folder)
    with registry as opened, opened.store.write() as view:
        for user, (roles, key) in USERS.items():
            identity.add_user(view, user, now=now, roles=roles, password=password)
            identity.add_key(view, user, key.public, now=now)
            text, _ = identity.new_token(view, user, now=now, name="tests", expires=now + timedelta(days=1))
            found.tokens[user] = text
    return found


_HASHED: list[str] = []


def hashed() -> str:
    """The hash of `PASSWORD`, made once: hashing is slow on purpose."""
    if not _HASHED:
        _HASHED.append(identity.hashed(PASSWORD))
    return _HASHED[0]


def roomy(folder: Path, **changes: Any) -> Settings:
    """Settings under which tests do not run into the limits that other tests are about."""
    return replace(
        Settings(folder, rate=1e9, burst=10**9, secure_cookies=False, login_rate=1e9, login_burst=10**9), **changes
    )


@contextlib.contextmanager
def client(settings: Settings, *, tracer: Any = None) -> Iterator[httpx.Client]:
    """A client of a service that runs in this process."""
    with served(settings, tracer=tracer) as address, httpx.Client(base_url=address, timeout=60) as found:
        yield found


def text(data: bytes) -> str:
    """Bytes as the API takes them."""
    return base64.b64encode(data).decode()


def upload(found: Any, headers: dict[str, str], submission: Submission) -> None:
    """Upload every blob of a submission."""
    for digest, data in submission.blobs.items():
        answer = found.put(
            f"{BASE}/blobs/{digest}", content=data, headers={**headers, "Content-Type": "application/octet-stream"}
        )
        assert answer.status_code == 201, answer.text


def release_body(submission: Submission) -> dict[str, Any]:
    """A submission as `POST /releases` takes it."""
    return {
        "node": submission.node,
        "release": submission.release,
        "subject": submission.subject,
        "evidence": submission.evidence,
        "envelope": text(submission.envelope),
        "signer": submission.signer.raw.hex(),
        "blobs": sorted(submission.blobs),
        "artefacts": dict(submission.artefacts),
        "verdicts": dict(submission.verdicts),
    }


def publish(found: Any, headers: dict[str, str], submission: Submission) -> Any:
    """Upload and publish."""
    upload(found, headers, submission)
    return found.post(f"{BASE}/releases", json=release_body(submission), headers=headers)


def decision_body(
    submission: Submission,
    status: Status = Status.APPROVED,
    *,
    version: int = 1,
    key: KeyPair = OTHER,
    reason: str = "read",
) -> dict[str, Any]:
    """A signed decision as `POST /decisions` takes it."""
    decision = Decision(submission.node, submission.release, submission.evidence, status, version, reason)
    return {"envelope": text(decisions.sign(decision, key)), "signer": key.public.raw.hex()}


def codes_of(answer: Any) -> list[str]:
    """The codes of a problem."""
    return sorted(diagnostic["code"] for diagnostic in answer.json()["diagnostics"])


@contextlib.contextmanager
def served(settings: Settings, *, at_own_address: bool = False, tracer: Any = None) -> Iterator[str]:
    """The address of a real server on loopback, in a thread of this process.

    With `at_own_address` its public address is the one that it listens at.
    """
    listening = socket.create_server(("127.0.0.1", 0))
    if at_own_address:
        settings = replace(settings, public_url=f"http://127.0.0.1:{listening.getsockname()[1]}")
    app = server.application(settings, tracer=tracer)
    with running(uvicorn_config(app, settings), listening) as address:
        yield address


def uvicorn_config(app: Any, settings: Settings) -> Any:
    """How the service's own server runs an application."""
    return server.config(app, settings)


@contextlib.contextmanager
def listening_app(app: Any) -> Iterator[str]:
    """The address of any other application on loopback."""
    config = uvicorn.Config(app, log_config=None, lifespan="off", ws="none")
    with running(config, socket.create_server(("127.0.0.1", 0))) as address:
        yield address


@contextlib.contextmanager
def running(config: Any, listening: socket.socket) -> Iterator[str]:
    """A server in a thread of this process."""
    ready = threading.Event()
    serving = server.Server(config, ready.set)
    thread = threading.Thread(target=serving.run, args=([listening],), daemon=True)
    thread.start()
    assert ready.wait(60)
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        serving.should_exit = True
        thread.join(60)
        listening.close()
