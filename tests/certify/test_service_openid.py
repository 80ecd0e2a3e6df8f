"""Signing in with an OpenID Connect provider: a small real one, on loopback."""

from __future__ import annotations

import base64
import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import KeySet, RSAKey
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from certify.registry.registry import Registry
from certify.service import identity, oidc
from certify.service.settings import OpenIdSettings
from certify.times import system_clock
from certify_spec.diagnostics import RequestError
from registry_support import codes
from service_support import BASE, codes_of, inhabit, listening_app, roomy, served

KEY = RSAKey.generate_key(2048, {"kid": "one", "use": "sig"})


@dataclass
class Provider:
    """A provider with one user, who always agrees; `spoil` changes what it says."""

    issuer: str = ""
    codes: dict[str, dict[str, str]] = field(default_factory=dict)
    spoil: dict[str, Any] = field(default_factory=dict)
    key: RSAKey = field(default_factory=lambda: KEY)

    def app(self) -> Starlette:
        """Its addresses."""
        return Starlette(
            routes=[
                Route("/.well-known/openid-configuration", self.describe),
                Route("/authorize", self.authorize),
                Route("/token", self.token, methods=["POST"]),
                Route("/keys", self.keys),
            ]
        )

    async def describe(self, _request: Request) -> Response:
        return JSONResponse(
            {
                "issuer": self.issuer,
                "authorization_endpoint": f"{self.issuer}/authorize",
                "token_endpoint": f"{self.issuer}/token",
                "jwks_uri": f"{self.issuer}/keys",
            }
        )

    async def authorize(self, request: Request) -> Response:
        code, asked = secrets.token_hex(8), dict(request.query_params)
        self.codes[code] = asked
        state = self.spoil.get("state", asked["state"])
        return RedirectResponse(f"{asked['redirect_uri']}?code={code}&state={state}", 303)

    async def token(self, request: Request) -> Response:
        form = dict(part.split("=", 1) for part in (await request.body()).decode().split("&"))
        asked = self.codes.pop(form["code"])
        challenge = base64.urlsafe_b64encode(sha256(form["code_verifier"].encode()).digest()).rstrip(b"=").decode()
        assert challenge == asked["code_challenge"]
        assert base64.b64decode(request.headers["authorization"].split()[1]) == b"certify:secret"
        now = int(time.time())
        claims = {"iss": self.issuer, "aud": "certify", "sub": "42", "nonce": asked["nonce"], "exp": now + 60}
        header = {"alg": "RS256", "kid": "one"}
        token = jwt.encode(header, {**claims, **self.spoil.get("claims", {})}, self.spoil.get("key", self.key))
        return JSONResponse({"access_token": "x", "token_type": "Bearer", "id_token": token})

    async def keys(self, _request: Request) -> Response:
        return JSONResponse(KeySet([self.key]).as_dict(private=False))


@dataclass
class Signing:
    """A service with a provider, and a browser."""

    provider: Provider
    url: str
    folder: Path

    def browser(self) -> httpx.Client:
        """A browser of its own."""
        return httpx.Client(timeout=30, follow_redirects=True)


@pytest.fixture(scope="module")
def signing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Signing]:
    """A service whose user ida signs in at the provider."""
    folder = tmp_path_factory.mktemp("openid") / "registry"
    inhabit(folder)
    secret = folder.parent / "secret"
    secret.write_text("secret\n")
    provider = Provider()
    with listening_app(provider.app()) as issuer:
        provider.issuer = issuer
        with Registry.open(folder) as registry, registry.store.write() as view:
            identity.add_user(view, "ida", now=system_clock(), roles=["reviewer"], subject=f"{issuer} 42")
        settings = roomy(folder, open_id=OpenIdSettings(issuer, "certify", secret))
        with served(settings, at_own_address=True) as url:
            yield Signing(provider, url, folder)


def test_somebody_who_was_entered_signs_in(signing: Signing) -> None:
    """R-AUTH: the code flow with PKCE, state and nonce ends in a session of the user with that subject."""
    signing.provider.spoil = {}
    with signing.browser() as browser:
        browser.get(f"{signing.url}{oidc.BEGIN}")
        me = browser.get(f"{signing.url}{BASE}/me").json()
    assert (me["user"], me["roles"]) == ("ida", ["reviewer"])


@pytest.mark.parametrize(
    "spoil",
    [
        {"state": "another"},
        {"claims": {"nonce": "another"}},
        {"claims": {"iss": "https://elsewhere"}},
        {"claims": {"aud": "another"}},
        {"claims": {"exp": 1}},
        {"claims": {"sub": "43"}},
        {"key": RSAKey.generate_key(2048, {"kid": "one", "use": "sig"})},
    ],
    ids=["state", "nonce", "issuer", "audience", "expired", "subject", "signature"],
)
def test_what_is_not_believed(signing: Signing, spoil: dict[str, Any]) -> None:
    """R-AUTH: another state, nonce, issuer, audience, an old token, somebody unknown, a forged signature: refused."""
    signing.provider.spoil = spoil
    with signing.browser() as browser:
        refused = browser.get(f"{signing.url}{oidc.BEGIN}")
        assert (refused.status_code, codes_of(refused)) == (401, ["SRV002"])
        assert browser.get(f"{signing.url}{BASE}/me").status_code == 401
    with Registry.open(signing.folder) as registry, registry.store.read() as view:
        assert view.audited(limit=2)[1].item == "openid"


def test_a_sign_in_that_began_elsewhere(signing: Signing) -> None:
    """R-AUTH: what comes back without the browser's own cookie, or a second time, begins no session."""
    signing.provider.spoil = {}
    with signing.browser() as browser:
        stranger = browser.get(f"{signing.url}{oidc.BACK}", params={"code": "x", "state": "y"})
        assert (stranger.status_code, codes_of(stranger)) == (400, ["SRV001"])


def test_the_page_to_sign_in_on_shows_the_way(signing: Signing) -> None:
    """R-AUTH: with a provider the page links to it, after a wrong password too; without a provider it does not."""
    signing.provider.spoil = {}
    link = f'href="{oidc.BEGIN}"'
    with signing.browser() as browser:
        assert link in browser.get(f"{signing.url}/log").text
        wrong = browser.post(f"{signing.url}/login", data={"user": "ida", "password": "wrong", "next": "/log"})
        assert (wrong.status_code, link in wrong.text) == (401, True)
        assert browser.get(signing.url + oidc.BEGIN).url.path == "/queue"
        assert browser.get(f"{signing.url}{BASE}/me").json()["user"] == "ida"
    with served(roomy(signing.folder)) as plain:
        page = httpx.get(f"{plain}/login")
    assert (page.status_code, oidc.BEGIN in page.text) == (200, False)


def test_settings_that_cannot_work(signing: Signing) -> None:
    """R-AUTH: without the address that people use, or over plain http to another machine, nothing starts."""
    settings = OpenIdSettings("https://id.example", "certify", signing.folder)
    for wrong, public in ((settings, ""), (replace(settings, issuer="http://id.example"), "https://registry.example")):
        with pytest.raises(RequestError) as refused:
            oidc.demand_settings(wrong, public)
        assert codes(refused.value) == ["REG009"]
