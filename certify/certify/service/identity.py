"""Who is there: users, their keys, API tokens and sessions.

Rules this module keeps:

- no secret is stored: passwords as Argon2id hashes, tokens and session cookies as SHA-256 of 256 random bits;
- a token is never wider than its user, nor than the token it was narrowed from, and ends with both;
- everything is a `Record` with a version, changed by compare-and-swap in one transaction;
- functions take a view of the storage and the moment: nothing here reads a clock or opens a database.
"""

from __future__ import annotations

import hmac
import re
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from hashlib import sha256
from typing import Any, Final

import argon2

from certify.evidence.keys import PublicKey
from certify.registry.errors import EXISTS, MALFORMED, UNKNOWN_NAME, wrong
from certify.registry.sql import Reader, Record, Writer
from certify.times import read_time, write_time
from certify_spec.diagnostics import Rule

ROLES: Final = ("author", "reviewer", "admin")
ACTIONS: Final = (
    "read",
    "upload",
    "publish",
    "approve",
    "reject",
    "revoke",
    "waive",
    "audit",
    "administer",
    "tokens",
    "keys",
)
"""What can be done, and so what a token can be narrowed to."""
POSSESSION: Final = Rule("SRV018", "a key was not shown to be the sender's", "sign with the key that is sent")
LOGIN: Final = re.compile(r"[a-z0-9][a-z0-9._@+-]{0,62}[a-z0-9]|[a-z0-9]")
_PREFIX: Final = re.compile(r"(?:[a-z0-9][a-z0-9._/-]{0,127})?")
_TOKEN: Final = re.compile(r"cty_([0-9a-f]{16})_([A-Za-z0-9_-]{43})")
SHORTEST_PASSWORD: Final = 12
LONGEST_PASSWORD: Final = 1024
LONGEST_TOKEN: Final = timedelta(days=366)
SESSION: Final = timedelta(hours=12)


@dataclass(frozen=True, slots=True)
class Actor:
    """Somebody who asks for something.

    Attributes:
        user: id of the user; empty for nobody.
        name: what the user is called.
        roles: the user's roles.
        scopes: what the token or session allows.
        prefix: below which nodes must lie; empty for all.
        token: id of the token; empty for a session.
        csrf: the session's form token; empty for an API token.
        address: where the request came from.
        ends: when the token or session ends; None for nobody.
    """

    user: str = ""
    name: str = ""
    roles: frozenset[str] = frozenset()
    scopes: frozenset[str] = frozenset(ACTIONS)
    prefix: str = ""
    token: str = ""
    csrf: str = ""
    address: str = ""
    ends: datetime | None = None

    def covers(self, node: str) -> bool:
        """Whether the token's prefix lets the node through; a prefix ends where a name does."""
        return covers(self.prefix, node)


def covers(prefix: str, node: str) -> bool:
    """Whether a node lies at or below a prefix."""
    return not prefix or node == prefix or node.startswith(prefix.rstrip("/") + "/")


NOBODY: Final = Actor(scopes=frozenset())


# Passwords


@lru_cache(maxsize=1)
def hasher() -> argon2.PasswordHasher:
    """Argon2id with the library's recommended costs (RFC 9106, low memory)."""
    return argon2.PasswordHasher.from_parameters(argon2.profiles.RFC_9106_LOW_MEMORY)


@lru_cache(maxsize=1)
def _decoy() -> str:
    """A hash to compare with when there is no user, so that one cannot tell by the time."""
    return hasher().hash(secrets.token_urlsafe(32))


def hashed(password: str) -> str:
    """The hash under which a password is kept.

    Raises:
        RequestError: REG009.
    """
    if not SHORTEST_PASSWORD <= len(password) <= LONGEST_PASSWORD:
        raise wrong(MALFORMED, f"a password has {SHORTEST_PASSWORD} to {LONGEST_PASSWORD} characters")
    return hasher().hash(password)


def fits(user: Record | None, password: str) -> bool:
    """Whether the password is the user's; takes as long when there is no such user."""
    stored = str(user.data.get("password", "")) if user is not None else ""
    try:
        hasher().verify(stored or _decoy(), password[: LONGEST_PASSWORD + 1])
    except (argon2.exceptions.VerificationError, argon2.exceptions.InvalidHashError):
        return False
    return bool(stored) and user is not None and user.state == "active"


# Users


def add_user(
    view: Writer, login: str, *, now: datetime, name: str = "", roles: Iterable[str] = ("author",), password: str = "",
    subject: str = "",
) -> Record:  # fmt: skip
    """Enter a user.

    Args:
        view: the storage.
        login: the id; lower case.
        now: the moment.
        name: what the user is called.
        roles: the roles.
        password: the hash of a password, by `hasher`; empty for somebody who signs in elsewhere.
        subject: ``issuer subject`` of an OpenID Connect provider; empty for none.

    Raises:
        RequestError: REG009 the id or a role is none; REG002 there is such a user.
    """
    found = tuple(dict.fromkeys(roles))
    if not LOGIN.fullmatch(login):
        raise wrong(MALFORMED, f"{login!r} is no id of a user", fix="write lower-case letters, digits, and . _ @ + -")
    _demand_roles(found)
    if view.record("user", login) is not None:
        raise wrong(EXISTS, f"there is a user {login}", fix="choose another id")
    data = {"name": name or login, "roles": list(found), "password": password, "subject": subject}
    return view.put_record(Record("user", login, state="active", at=write_time(now), data=data), 0)


def change_user(view: Writer, login: str, *, now: datetime, expected: int | None = None, **changes: Any) -> Record:
    """Change a user's roles, name, password hash, or state.

    Raises:
        RequestError: REG008 no such user, REG009 a value is none.
        Conflict: REG026, somebody else changed the user.
    """
    found = demand(view, "user", login)
    if "roles" in changes:
        _demand_roles(changes["roles"])
        changes["roles"] = list(dict.fromkeys(changes["roles"]))
    state = changes.pop("state", None)
    if state not in {None, "active", "disabled"}:
        raise wrong(MALFORMED, "a user is active or disabled")
    changed = view.put_record(
        found.changed(write_time(now), state=state, **changes), found.version if expected is None else expected
    )
    if state == "disabled" or "password" in changes:
        for session in view.records("session", owner=login):
            view.drop_record("session", session.id)
    return changed


def _demand_roles(roles: Iterable[str]) -> None:
    unknown = [role for role in roles if role not in ROLES]
    if unknown:
        raise wrong(MALFORMED, f"there is no role {unknown[0]!r}", because=f"there are {', '.join(ROLES)}")


def demand(view: Reader, kind: str, identity: str) -> Record:
    """One record.

    Raises:
        RequestError: REG008, there is none.
    """
    found = view.record(kind, identity)
    if found is None:
        raise wrong(UNKNOWN_NAME, f"there is no {kind} {identity!r}")
    return found


# Keys


def add_key(view: Writer, user: str, key: PublicKey, *, now: datetime, held: bool = False) -> Record:
    """Enter a user's signing key; `held` when the service signs with it for the user's sessions.

    Raises:
        RequestError: REG002, it is somebody else's, or was revoked.
    """
    found = view.record("key", key.key_id)
    if found is not None:
        if found.owner == user and found.state == "active":
            return found
        raise wrong(EXISTS, f"the key {key.key_id} cannot be entered for {user}", fix="make a new key")
    data = {"public": key.raw.hex(), "held": held}
    return view.put_record(Record("key", key.key_id, user, "active", at=write_time(now), data=data), 0)


def possession(origin: str, user: str, key: PublicKey) -> bytes:
    """What somebody signs to show that a key is theirs: for one registry, one user and one key."""
    return f"certify key\n{origin}\n{user}\n{key.key_id}\n".encode()


def owner_of_key(view: Reader, key: PublicKey) -> str:
    """Whose key it is, revoked or not; empty when nobody's."""
    found = view.record("key", key.key_id)
    return found.owner if found is not None else ""


def is_key_of(view: Reader, user: str, key: PublicKey) -> bool:
    """Whether the user may sign with the key now."""
    found = view.record("key", key.key_id)
    return found is not None and found.owner == user and found.state == "active"


# Tokens


def _digest(secret: str) -> str:
    return sha256(secret.encode()).hexdigest()


def new_token(
    view: Writer,
    user: str,
    *,
    now: datetime,
    name: str,
    scopes: Iterable[str] = (),
    prefix: str = "",
    expires: datetime | None = None,
    parent: str = "",
) -> tuple[str, Record]:
    """Make an API token: its text, which is shown once, and its record.

    Args:
        view: the storage.
        user: whose it is.
        now: the moment.
        name: what it is for.
        scopes: what it allows; everything its parent allows when empty.
        prefix: below which nodes must lie; as its parent's when empty.
        expires: when it ends; as its parent, or in a year, when None.
        parent: id of the token that it is narrowed from; empty when a session makes it.

    Raises:
        RequestError: REG009, it would be wider than its parent, or a value is none.
    """
    demand(view, "user", user)
    within = read_token(view, parent) if parent else None
    allowed = tuple(dict.fromkeys(scopes)) or (within.scopes if within else ACTIONS)
    latest = now + LONGEST_TOKEN if within is None else read_time(within.expires)
    ends = latest if expires is None else expires
    below = prefix or (within.prefix if within else "")
    problem = _too_wide(allowed, below, ends, latest, within)
    if problem or ends <= now:
        raise wrong(MALFORMED, problem or "the token would have ended already", fix="ask for less")
    identity, secret = secrets.token_hex(8), secrets.token_urlsafe(32)
    data = {
        "name": name[:200],
        "hash": _digest(secret),
        "scopes": list(allowed),
        "prefix": below,
        "expires": write_time(ends),
        "parent": parent,
    }
    stored = view.put_record(Record("token", identity, user, "active", at=write_time(now), data=data), 0)
    return f"cty_{identity}_{secret}", stored


def _too_wide(
    scopes: Iterable[str], prefix: str, ends: datetime, latest: datetime, within: TokenView | None
) -> str:  # fmt: skip
    if unknown := set(scopes) - set(ACTIONS):
        return f"there is no scope {min(unknown)!r}; there are {', '.join(ACTIONS)}"
    if not _PREFIX.fullmatch(prefix):
        return f"{prefix!r} is no prefix of a node's id"
    if ends > latest:
        return f"it would last longer than {write_time(latest)}"
    if within is not None:
        if wider := set(scopes) - set(within.scopes):
            return f"the token that it is narrowed from does not allow {min(wider)}"
        if not covers(within.prefix, prefix):
            return f"the token that it is narrowed from is for {within.prefix}"
    return ""


@dataclass(frozen=True, slots=True)
class TokenView:
    """A token as it is stored."""

    id: str
    owner: str
    scopes: tuple[str, ...]
    prefix: str
    expires: str
    parent: str


def read_token(view: Reader, identity: str) -> TokenView:
    """A stored token.

    Raises:
        RequestError: REG008, there is none.
    """
    found = demand(view, "token", identity)
    d = found.data
    return TokenView(found.id, found.owner, tuple(d["scopes"]), d["prefix"], d["expires"], d["parent"])


def revoke_token(view: Writer, identity: str, *, now: datetime) -> Record:
    """End a token, and with it all that were narrowed from it."""
    found = demand(view, "token", identity)
    return found if found.state == "revoked" else view.put_record(
        found.changed(write_time(now), state="revoked"), found.version
    )  # fmt: skip


def by_token(view: Reader, text: str, *, now: datetime, address: str = "") -> Actor | None:
    """Who sends the token; None when it is unknown, has ended, or was revoked, or one that it was narrowed from was."""
    match = _TOKEN.fullmatch(text)
    if match is None:
        return None
    found = view.record("token", match[1])
    if found is None or not hmac.compare_digest(str(found.data["hash"]), _digest(match[2])):
        return None
    user, ends = view.record("user", found.owner), _end(view, found)
    if user is None or user.state != "active" or ends is None or ends <= now:
        return None
    return Actor(
        user.id,
        str(user.data["name"]),
        frozenset(user.data["roles"]),
        frozenset(found.data["scopes"]),
        str(found.data["prefix"]),
        found.id,
        "",
        address,
        ends,
    )


def _end(view: Reader, token: Record) -> datetime | None:
    """When the first of a token and those that it was narrowed from ends; None when one of them is revoked or gone."""
    ends, link = [], token
    while link.state == "active":
        ends.append(read_time(str(link.data["expires"])))
        parent = str(link.data["parent"])
        if not parent:
            return min(ends)
        above = view.record("token", parent)
        if above is None:
            break
        link = above
    return None


# Sessions


def new_session(view: Writer, user: str, *, now: datetime, address: str) -> tuple[str, Record]:
    """Begin a session: the cookie's text, and its record."""
    secret = secrets.token_urlsafe(32)
    data = {"csrf": secrets.token_urlsafe(32), "expires": write_time(now + SESSION), "address": address}
    stored = view.put_record(Record("session", _digest(secret), user, "active", at=write_time(now), data=data), 0)
    return secret, stored


def by_session(view: Reader, cookie: str, *, now: datetime, address: str = "") -> Actor | None:
    """Whose session the cookie is; None when it is unknown or has ended."""
    found = view.record("session", _digest(cookie)) if 0 < len(cookie) <= 100 else None
    ends = read_time(str(found.data["expires"])) if found is not None else now
    if found is None or ends <= now:
        return None
    user = view.record("user", found.owner)
    if user is None or user.state != "active":
        return None
    return Actor(
        user.id,
        str(user.data["name"]),
        frozenset(user.data["roles"]),
        csrf=str(found.data["csrf"]),
        address=address,
        ends=ends,
    )


def end_session(view: Writer, cookie: str) -> None:
    """End a session."""
    view.drop_record("session", _digest(cookie))


def public_user(user: Record) -> dict[str, Any]:
    """What others may see of a user."""
    return {
        "id": user.id,
        "name": user.data["name"],
        "roles": user.data["roles"],
        "state": user.state,
        "version": user.version,
    }


def public_token(token: Record) -> dict[str, Any]:
    """What may be seen of a token once it was made."""
    shown: Mapping[str, Any] = {k: token.data[k] for k in ("name", "scopes", "prefix", "expires", "parent")}
    return {"id": token.id, "owner": token.owner, "state": token.state, "made": token.at, **shown}
