"""Signing in with an OpenID Connect provider: the authorization code flow, with PKCE.

Rules this module keeps:

- a sign-in is bound to the browser that began it: state, nonce and verifier are kept here under a cookie, for ten
  minutes, and used once;
- the provider's token is believed only after its signature, issuer, audience, nonce and time have been checked;
- who signs in must have been entered as a user with that subject: a provider opens no door by itself.
"""

from __future__ import annotations

import base64
import secrets
import time
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Final

import httpx
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from certify.registry.errors import MALFORMED, from_system, wrong
from certify.registry.registry import Registry
from certify.service.api.sessions import set_session
from certify.service.errors import NOT_SIGNED_IN, UNREACHABLE, Declined, bad
from certify.service.service import Service
from certify.service.settings import OpenIdSettings
from certify.service.web import client_address

BEGIN: Final = "/login/openid"
BACK: Final = "/login/openid/back"
COOKIE: Final = "certify_signing_in"
SECONDS: Final = 600
MOST: Final = 10_000
LEEWAY: Final = 60


@dataclass(frozen=True, slots=True)
class Attempt:
    """A sign-in that has begun."""

    state: str
    nonce: str
    verifier: str
    ends: float


@dataclass(slots=True)
class OpenId:
    """The way to one provider.

    Attributes:
        settings: which one.
        service: the service that people sign in to.
        transport: how the provider is asked; for tests.
    """

    settings: OpenIdSettings
    service: Service
    transport: httpx.AsyncBaseTransport | None = None
    attempts: dict[str, Attempt] = field(default_factory=dict)
    _discovered: dict[str, Any] = field(default_factory=dict)

    def _client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(transport=self.transport, timeout=10, follow_redirects=False)

    @property
    def _back(self) -> str:
        return self.service.settings.public_url.rstrip("/") + BACK

    def _secret(self) -> str:
        try:
            return self.settings.secret_file.read_text("utf-8").strip()
        except OSError as error:
            raise from_system(error, self.settings.secret_file) from error

    async def _provider(self, client: httpx.AsyncClient) -> dict[str, Any]:
        """The provider's own description, asked for once.

        Raises:
            Declined: SRV014, it cannot be reached, or describes somebody else.
        """
        if not self._discovered:
            where = self.settings.issuer.rstrip("/") + "/.well-known/openid-configuration"
            try:
                said = (await client.get(where)).raise_for_status().json()
            except (httpx.HTTPError, ValueError) as error:
                raise Declined(503, UNREACHABLE, "the provider cannot be reached", because=str(error)) from None
            if said.get("issuer") != self.settings.issuer:
                raise Declined(503, UNREACHABLE, "the provider describes another issuer")
            self._discovered = said
        return self._discovered

    async def begin(self, _request: Request) -> Response:
        """Send the browser to the provider."""
        async with self._client() as client:
            provider = await self._provider(client)
            attempt = Attempt(
                secrets.token_urlsafe(32), secrets.token_urlsafe(32), secrets.token_urlsafe(48), time.time() + SECONDS
            )
            challenge = base64.urlsafe_b64encode(sha256(attempt.verifier.encode()).digest()).rstrip(b"=").decode()
            asked = {
                "response_type": "code",
                "client_id": self.settings.client,
                "redirect_uri": self._back,
                "scope": "openid profile",
                "state": attempt.state,
                "nonce": attempt.nonce,
                "code_challenge": challenge,
                "code_challenge_method": "S256",
            }
            url = httpx.URL(provider["authorization_endpoint"]).copy_merge_params(asked)
        self.attempts = {key: a for key, a in self.attempts.items() if a.ends > time.time()}
        if len(self.attempts) >= MOST:
            raise Declined(503, UNREACHABLE, "too many sign-ins have begun", headers={"Retry-After": "60"})
        cookie = secrets.token_urlsafe(32)
        self.attempts[cookie] = attempt
        response = RedirectResponse(str(url), 303)
        response.set_cookie(
            COOKIE,
            cookie,
            max_age=SECONDS,
            path=BEGIN,
            httponly=True,
            samesite="lax",
            secure=self.service.settings.secure_cookies,
        )
        return response

    async def back(self, request: Request) -> Response:
        """Take the browser back, and begin a session.

        Raises:
            Declined: SRV001 the sign-in did not begin here; SRV002 the provider does not say who it is, or nobody with
                that subject was entered.
        """
        self.service.logins.take(f"address {client_address(request)}")
        attempt = self.attempts.pop(request.cookies.get(COOKIE, ""), None)
        if attempt is None or attempt.ends <= time.time():
            raise bad("the sign-in did not begin in this browser, or took too long")
        if not secrets.compare_digest(attempt.state, request.query_params.get("state", "")):
            raise self._refused("the provider sent another state back")
        if "code" not in request.query_params:
            raise self._refused(f"the provider declined: {request.query_params.get('error', 'no reason')[:100]}")
        claims = await self._claims(request, attempt)
        user = await self._user(f"{claims['iss']} {claims['sub']}")
        cookie, _ = await self.service.begin_session(user, client_address(request))
        response = RedirectResponse("/", 303)
        set_session(response, cookie, secure=self.service.settings.secure_cookies)
        response.delete_cookie(COOKIE, path=BEGIN)
        return response

    async def _claims(self, request: Request, attempt: Attempt) -> dict[str, Any]:
        """What the provider says of who has signed in, after everything about it was checked."""
        from joserfc import jwt
        from joserfc.errors import JoseError
        from joserfc.jwk import KeySet

        async with self._client() as client:
            provider = await self._provider(client)
            try:
                sent = {
                    "grant_type": "authorization_code",
                    "code": request.query_params["code"],
                    "redirect_uri": self._back,
                    "code_verifier": attempt.verifier,
                }
                basic = (self.settings.client, self._secret())
                answer = await client.post(provider["token_endpoint"], data=sent, auth=basic)
                tokens = answer.raise_for_status().json()
                keys = (await client.get(provider["jwks_uri"])).raise_for_status().json()
                decoded = jwt.decode(
                    tokens["id_token"], KeySet.import_key_set(keys), algorithms=["RS256", "ES256", "EdDSA", "Ed25519"]
                )
                rules = jwt.JWTClaimsRegistry(
                    leeway=LEEWAY,
                    iss={"essential": True, "value": self.settings.issuer},
                    aud={"essential": True, "value": self.settings.client},
                    sub={"essential": True},
                    exp={"essential": True},
                    nonce={"essential": True, "value": attempt.nonce},
                )
                rules.validate(decoded.claims)
            except (JoseError, httpx.HTTPError, KeyError, ValueError) as error:
                raise self._refused(f"the provider's answer does not hold: {type(error).__name__}") from None
        return dict(decoded.claims)

    async def _user(self, subject: str) -> str:
        def work(registry: Registry) -> str:
            with registry.store.read() as view:
                found = [user.id for user in view.records("user", state="active") if user.data["subject"] == subject]
            return found[0] if len(found) == 1 else ""

        user = await self.service.desk.read(work)
        if not user:
            raise self._refused(f"nobody was entered with the subject {subject[:200]!r}")
        return user

    def _refused(self, message: str) -> Declined:
        return Declined(401, NOT_SIGNED_IN, message, action="sign in", item="openid")


def demand_settings(settings: OpenIdSettings, public_url: str) -> None:
    """Refuse settings with which nobody could sign in.

    Raises:
        RequestError: REG009.
    """
    if not public_url:
        raise wrong(MALFORMED, "OpenID Connect needs --public-url, the address that people use")
    if not settings.issuer.startswith(("https://", "http://127.0.0.1", "http://localhost")):
        raise wrong(MALFORMED, "an OpenID Connect issuer is reached over https")
    try:
        import joserfc  # noqa: F401 - whether it is there
    except ImportError:
        fix = "pip install 'certify-toolkit[oidc]'"
        raise wrong(MALFORMED, "OpenID Connect needs a library that is not installed", fix=fix) from None
