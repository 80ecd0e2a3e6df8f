"""Behind `certify registry create`, `backup`, `restore`, `clean`, `witness` and `verify-bundle`: keeping a registry."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from certify.cli import registries
from certify.cli.status import Status
from certify.times import system_clock, write_time

if TYPE_CHECKING:  # read when a command runs, so that every other command starts without
    from certify.registry.verification import VerificationReport

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on standard output.")]
Folder = Annotated[Path, typer.Option("--registry", envvar="CERTIFY_REGISTRY", help="The registry's folder.")]
Database = Annotated[str, typer.Option("--database", help="postgresql://USER@HOST/DATABASE, in place of SQLite.")]
Blobs = Annotated[str, typer.Option("--blobs", help="s3://BUCKET/PREFIX?endpoint=URL, in place of files.")]
DEFAULT = Path(registries.DEFAULT)


def create(registry: Folder = DEFAULT, database: Database = "", blobs: Blobs = "", as_json: Json = False) -> int:
    """Make an empty registry, where it is said: SQLite or PostgreSQL, files or S3-compatible storage."""
    from certify.cli.output import Output
    from certify.registry.places import Storage
    from certify.registry.registry import Registry

    with Registry.create(registry, storage=Storage(database, blobs)) as made:
        verifier = str(made.verifier)
    output = Output(as_json=as_json)
    output.say(f"made {registry}; its key is {verifier}")
    output.data({"registry": str(registry), "verifier": verifier})
    return Status.HELD


def backup(
    target: Annotated[Path, typer.Argument(metavar="FOLDER", help="A folder that does not exist.")],
    registry: Folder = DEFAULT,
    without_key: Annotated[bool, typer.Option("--without-key", help="Leave the signing keys out.")] = False,
    as_json: Json = False,
) -> int:
    """Copy a registry, in use or not, into a folder, and verify the copy."""
    from certify.registry import copies

    return _copied(copies.backup(registry, target, with_key=not without_key), target, as_json=as_json)


def restore(
    source: Annotated[Path, typer.Argument(metavar="FOLDER", help="A backup.")],
    registry: Folder = DEFAULT,
    database: Database = "",
    blobs: Blobs = "",
    as_json: Json = False,
) -> int:
    """Verify a backup, and make a registry from it."""
    from certify.registry import copies
    from certify.registry.places import Storage

    return _copied(copies.restore(source, registry, Storage(database, blobs)), registry, as_json=as_json)


def _copied(report: VerificationReport, target: Path, *, as_json: bool) -> int:
    from certify.cli.output import Output

    output = Output(as_json=as_json)
    output.diagnostics(report.diagnostics)
    said = "all hold" if report.holds else "the copy does not hold"
    output.say(f"{target}: {report.entries} entries, {report.blobs} blobs: {said}")
    output.data({"folder": str(target), **report.to_data()})
    return Status.HELD if report.holds else Status.REFUSED


def clean(
    registry: Folder = DEFAULT,
    days: Annotated[float, typer.Option("--days", min=0, help="How old an upload must be.")] = 7,
    as_json: Json = False,
) -> int:
    """Remove uploads that no release names."""
    from certify.cli.output import Output
    from certify.registry.registry import Registry

    before = write_time(system_clock() - timedelta(days=days))
    with Registry.open(registry) as opened, opened.store.write() as view:
        digests = view.unstage(before)
        opened.store.blobs.remove(digests)
    output = Output(as_json=as_json)
    output.say(f"{len(digests)} uploads were removed")
    output.data({"removed": list(digests)})
    return Status.HELD


def witness(
    registry: registries.Place = registries.DEFAULT,
    state: Annotated[Path, typer.Option("--state", help="Where to remember checkpoints.")] = Path("witness.json"),
    verifier: Annotated[str, typer.Option("--verifier", help="The registry's key, known from elsewhere.")] = "",
    against: Annotated[
        list[Path] | None, typer.Option("--against", help="What another witness remembers; repeatable.")
    ] = None,
    as_json: Json = False,
) -> int:
    """Fetch the log, compute its root, and check that it extends what was remembered; then remember it."""
    from certify.cli.output import Output
    from certify.registry.checkpoint import Verifier
    from certify.registry.errors import MALFORMED, wrong
    from certify.service import witness as watching
    from certify.service.client import RemoteRegistry

    if not registries.is_remote(registry):
        raise wrong(MALFORMED, "a witness watches a service", fix="--registry https://…")
    before = watching.read_memory(state)
    key = Verifier.from_text(verifier) if verifier else None
    with RemoteRegistry(registry) as remote:
        after = watching.look(remote, before, verifier=key)
        compared = 0
        for file in against or ():
            other = watching.read_memory(file)
            if other is None:
                raise wrong(watching.UNREADABLE, f"there is no {file}")
            compared += watching.cross_check(after, other, remote)
    watching.write_memory(state, after)
    old, new = before.newest if before else None, after.newest
    sizes = (old.size if old else 0, new.size if new else 0)
    output = Output(as_json=as_json)
    output.say(f"the log went from {sizes[0]} to {sizes[1]} entries, and only grew", "green")
    if compared:
        output.say(f"{compared} checkpoints of other witnesses lie on the same log", "green")
    output.data({"before": sizes[0], "size": sizes[1], "compared": compared, "verifier": str(after.verifier)})
    return Status.HELD


def verify_bundle(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A downloaded bundle.")],
    verifier: Annotated[str, typer.Option("--verifier", help="The registry's key, known from elsewhere.")] = "",
    as_json: Json = False,
) -> int:
    """Verify a release, its evidence and the decisions on it, without the registry and without a network."""
    from certify.cli.output import Output
    from certify.registry.checkpoint import CheckpointError, Verifier
    from certify.registry.errors import MALFORMED, from_system, wrong
    from certify.service import bundles

    try:
        data = file.read_bytes()
    except OSError as error:
        raise from_system(error, file) from error
    try:
        key = Verifier.from_text(verifier) if verifier else bundles.named_verifier(data)
    except CheckpointError as error:
        raise wrong(MALFORMED, "--verifier is no key of a registry", because=str(error)) from None
    shown = bundles.verify(data, key)
    output = Output(as_json=as_json)
    rows = [
        ("release", shown.release.name),
        ("status", shown.release.status.value),
        ("evidence", shown.release.evidence),
        ("signed by", f"key {shown.published.signer.key_id}"),
        ("published", shown.published.at),
        ("proved", f"{shown.proofs} entries of the log, {shown.blobs} blobs"),
        ("registry", str(key) if verifier else f"{key} (as the file says: compare it with the one you know)"),
    ]
    rows += [(decided.status.value, f"{decided.at}: {decided.reason}") for decided in shown.decisions]
    output.table(("", "holds"), rows)
    output.table(("check", "verdict"), sorted(shown.published.verdicts.items()))
    output.data(
        {
            "release": shown.release.name,
            "status": shown.release.status.value,
            "evidence": shown.release.evidence,
            "verifier": str(key),
            "known": bool(verifier),
            "entries": shown.proofs,
            "blobs": shown.blobs,
        }
    )
    return Status.HELD


def bundle(
    name: Annotated[str, typer.Argument(metavar="NODE@VERSION")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Write to this file.")],
    registry: registries.Place = registries.DEFAULT,
    as_json: Json = False,
) -> int:
    """Write a release with everything that is needed to verify it offline."""
    from certify.cli.output import Output
    from certify.codec import encode
    from certify.service import bundles
    from certify.service.client import RemoteRegistry

    with registries.opened(registry) as opened:
        if isinstance(opened, RemoteRegistry):
            data = opened.ask("GET", f"/bundles/{name}").content
            bundles.verify(data, opened.verifier)
        else:
            data = encode(bundles.bundle(opened, name))
    output.write_bytes(data)
    said = Output(as_json=as_json)
    said.say(f"{output}: {len(data)} bytes")
    said.data({"file": str(output), "bytes": len(data)})
    return Status.HELD


def register(app: typer.Typer) -> None:
    """Add the commands to those of the registry."""
    for name, command in (
        ("create", create),
        ("backup", backup),
        ("restore", restore),
        ("clean", clean),
        ("witness", witness),
        ("bundle", bundle),
        ("verify-bundle", verify_bundle),
    ):
        app.command(name)(command)
