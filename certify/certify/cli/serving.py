"""Behind `certify registry serve`, `user` and `token`: the service, and who may use it."""

from __future__ import annotations

import getpass
import os
import sys
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

import typer

from certify.cli import registries
from certify.cli.status import Status
from certify.times import system_clock

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on standard output.")]
Folder = Annotated[Path, typer.Option("--registry", envvar="CERTIFY_REGISTRY", help="The registry's folder.")]
DEFAULT = Path(".certify/registry")
PASSWORD = "CERTIFY_PASSWORD"  # noqa: S105 - the name of a variable

user_app = typer.Typer(help="The service's users.", no_args_is_help=True)
token_app = typer.Typer(help="The service's API tokens.", no_args_is_help=True)


def serve(
    registry: Folder = DEFAULT,
    host: Annotated[str, typer.Option("--host", help="Address to listen at.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="Port; 0 takes any free one.")] = 8787,
    access: Annotated[Path | None, typer.Option("--access", help="Access policies (.cedar).")] = None,
    in_flight: Annotated[int, typer.Option("--in-flight", min=1, help="Requests at a time.")] = 100,
    rate: Annotated[float, typer.Option("--rate", min=1, help="Requests a minute of one client.")] = 100,
    burst: Annotated[int, typer.Option("--burst", min=1, help="Requests of one client at once.")] = 20,
    streams: Annotated[int, typer.Option("--streams", min=1, help="Event streams at a time.")] = 200,
    anonymous_read: Annotated[bool, typer.Option("--anonymous-read", help="Let everybody read.")] = False,
    plain_http: Annotated[
        bool, typer.Option("--plain-http", help="Cookies without HTTPS; for a service on loopback.")
    ] = False,
    public_url: Annotated[str, typer.Option("--public-url", help="Address that people use.")] = "",
    proxy: Annotated[list[str] | None, typer.Option("--proxy", help="Address of a trusted reverse proxy.")] = None,
    issuer: Annotated[str, typer.Option("--oidc-issuer", help="OpenID Connect provider.")] = "",
    client: Annotated[str, typer.Option("--oidc-client", help="Our id there.")] = "",
    secret_file: Annotated[Path | None, typer.Option("--oidc-secret-file", help="File with our secret.")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="No log of requests.")] = False,
) -> int:
    """Serve the registry: API, events, metrics and pages."""
    from certify.registry.errors import MALFORMED, wrong
    from certify.registry.registry import Registry
    from certify.service import server
    from certify.service.settings import OpenIdSettings, Settings

    if bool(issuer) != bool(client and secret_file):
        raise wrong(MALFORMED, "OpenID Connect needs --oidc-issuer, --oidc-client and --oidc-secret-file")
    open_id = OpenIdSettings(issuer, client, secret_file) if issuer and secret_file else None
    Registry.ensure(registry).close()
    settings = Settings(
        folder=registry,
        access=access,
        in_flight=in_flight,
        rate=rate,
        burst=burst,
        streams=streams,
        anonymous_read=anonymous_read,
        secure_cookies=not plain_http,
        public_url=public_url,
        open_id=open_id,
        trusted_proxies=tuple(proxy or ()),
    )
    return server.run(settings, host=host, port=port, quiet=quiet)


@user_app.command("add")
def add_user(
    login: Annotated[str, typer.Argument(metavar="USER", help="The user's id.")],
    roles: Annotated[list[str] | None, typer.Option("--role", help="author, reviewer or admin; repeatable.")] = None,
    name: Annotated[str, typer.Option("--name", help="What the user is called.")] = "",
    subject: Annotated[
        str, typer.Option("--subject", help='"ISSUER SUBJECT" of an OpenID Connect provider, instead of a password.')
    ] = "",
    registry: Folder = DEFAULT,
    as_json: Json = False,
) -> int:
    """Enter a user; the password comes from CERTIFY_PASSWORD, or is asked for."""
    from certify.registry.registry import Registry
    from certify.service import identity

    password = "" if subject else _password()
    hashed = identity.hashed(password) if password else ""
    with Registry.ensure(registry) as opened, opened.store.write() as view:
        user = identity.add_user(
            view,
            login,
            now=system_clock(),
            name=name,
            roles=roles or ["author"],
            password=hashed,
            subject=subject,
        )
    shown = identity.public_user(user)
    return _said(f"user {login}: {', '.join(shown['roles'])}", shown, as_json=as_json)


@user_app.command("list")
def list_users(registry: Folder = DEFAULT, as_json: Json = False) -> int:
    """The users."""
    from certify.registry.registry import Registry
    from certify.service import identity

    with Registry.open(registry) as opened, opened.store.read() as view:
        users = [identity.public_user(user) for user in view.records("user")]
    from certify.cli.output import Output

    output = Output(as_json=as_json)
    output.table(
        ("user", "name", "roles", "state"), [(u["id"], u["name"], ", ".join(u["roles"]), u["state"]) for u in users]
    )
    output.data({"users": users})
    return Status.HELD


@user_app.command("change")
def change_user(
    login: Annotated[str, typer.Argument(metavar="USER", help="The user's id.")],
    roles: Annotated[list[str] | None, typer.Option("--role", help="The roles from now on; repeatable.")] = None,
    state: Annotated[str, typer.Option("--state", help="active or disabled.")] = "",
    password: Annotated[bool, typer.Option("--password", help="Give a new password.")] = False,
    registry: Folder = DEFAULT,
    as_json: Json = False,
) -> int:
    """Change a user's roles, password or state; sessions end when a password changes or the user is disabled."""
    from certify.registry.registry import Registry
    from certify.service import identity

    changes: dict[str, Any] = {}
    if roles:
        changes["roles"] = roles
    if state:
        changes["state"] = state
    if password:
        changes["password"] = identity.hashed(_password())
    with Registry.open(registry) as opened, opened.store.write() as view:
        user = identity.change_user(view, login, now=system_clock(), **changes)
    shown = identity.public_user(user)
    return _said(f"user {login}: {', '.join(shown['roles'])}, {shown['state']}", shown, as_json=as_json)


@token_app.command("new")
def new_token(
    login: Annotated[str, typer.Argument(metavar="USER", help="Whose token.")],
    name: Annotated[str, typer.Option("--name", help="What it is for.")] = "command line",
    scopes: Annotated[list[str] | None, typer.Option("--scope", help="What it allows; repeatable.")] = None,
    prefix: Annotated[str, typer.Option("--prefix", help="Below which nodes must lie.")] = "",
    days: Annotated[float, typer.Option("--days", min=0.001, max=366, help="How long it lasts.")] = 90,
    registry: Folder = DEFAULT,
    as_json: Json = False,
) -> int:
    """Make a token, and print it: it is shown this once."""
    from certify.registry.registry import Registry
    from certify.service import identity

    now = system_clock()
    with Registry.open(registry) as opened, opened.store.write() as view:
        text, token = identity.new_token(
            view,
            login,
            now=now,
            name=name,
            scopes=scopes or (),
            prefix=prefix,
            expires=now + timedelta(days=days),
        )
    shown = identity.public_token(token)
    from certify.cli.output import Output

    output = Output(as_json=as_json)
    if not as_json:
        sys.stdout.write(text + "\n")
    output.data({"token": text, **shown})
    return Status.HELD


@token_app.command("list")
def list_tokens(
    login: Annotated[str, typer.Argument(metavar="USER", help="Whose tokens.")],
    registry: Folder = DEFAULT,
    as_json: Json = False,
) -> int:
    """The tokens of a user."""
    from certify.registry.registry import Registry
    from certify.service import identity

    with Registry.open(registry) as opened, opened.store.read() as view:
        tokens = [identity.public_token(token) for token in view.records("token", owner=login)]
    from certify.cli.output import Output

    output = Output(as_json=as_json)
    rows = [(t["id"], t["name"], ", ".join(t["scopes"]), t["prefix"], t["expires"], t["state"]) for t in tokens]
    output.table(("token", "name", "scopes", "prefix", "ends", "state"), rows)
    output.data({"tokens": tokens})
    return Status.HELD


@token_app.command("revoke")
def revoke_token(
    token: Annotated[str, typer.Argument(metavar="TOKEN", help="Its id, as `list` shows it.")],
    registry: Folder = DEFAULT,
    as_json: Json = False,
) -> int:
    """Revoke a token, and all that were narrowed from it."""
    from certify.registry.registry import Registry
    from certify.service import identity

    with Registry.open(registry) as opened, opened.store.write() as view:
        shown = identity.public_token(identity.revoke_token(view, token, now=system_clock()))
    return _said(f"token {token}: {shown['state']}", shown, as_json=as_json)


def register_key(
    registry: registries.Place = registries.DEFAULT,
    key: Annotated[Path | None, typer.Option("--key", help="The signing key's file or folder.")] = None,
    as_json: Json = False,
) -> int:
    """Enter your signing key at a registry's service, for the user of CERTIFY_TOKEN."""
    from certify.evidence.keys import load_key
    from certify.registry.errors import MALFORMED, wrong
    from certify.service.client import RemoteRegistry

    if not registries.is_remote(registry):
        raise wrong(MALFORMED, "keys are entered at a service", fix="--registry https://…")
    pair = load_key(key)
    with RemoteRegistry(registry) as remote:
        user = remote.register_key(pair)
    data = {"key": pair.public.key_id, "user": user}
    return _said(f"key {pair.public.key_id} is entered for {user}", data, as_json=as_json)


def _password() -> str:
    """The password from the environment or the terminal.

    Raises:
        RequestError: REG009, there is none.
    """
    from certify.registry.errors import MALFORMED, wrong

    given = os.environ.get(PASSWORD, "")
    if given:
        return given
    if not sys.stdin.isatty():
        raise wrong(MALFORMED, "there is nobody to ask for a password", fix=f"set {PASSWORD}")
    return getpass.getpass("password: ")


def _said(text: str, data: dict[str, Any], *, as_json: bool) -> int:
    from certify.cli.output import Output

    output = Output(as_json=as_json)
    output.say(text)
    output.data(data)
    return Status.HELD


def register(app: typer.Typer) -> None:
    """Add the commands to those of the registry."""
    app.command("serve")(serve)
    app.command("register-key")(register_key)
    app.add_typer(user_app, name="user")
    app.add_typer(token_app, name="token")
