"""`certify registry`: what is in it, and whether its log still tells the truth."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any

import typer

from certify.cli.status import Status
from certify.laboratory.archive import plain

registry_app = typer.Typer(help="The registry.", no_args_is_help=True)

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on standard output.")]
RegistryPath = Annotated[Path, typer.Option("--registry", envvar="CERTIFY_REGISTRY", help="The registry's folder.")]
DEFAULT = Path(".certify/registry")


@registry_app.command("list")
def list_(registry: RegistryPath = DEFAULT, as_json: Json = False) -> int:
    """The nodes in the registry, with their releases."""
    from certify.cli.output import Output
    from certify.registry.registry import Registry

    output = Output(as_json=as_json)
    with Registry.open(registry) as opened:
        releases = [release for held in opened.list_nodes().values() for release in held]
        since = {release.name: opened.show(release.name).published.at for release in releases}
    rows = [(r.node, r.release, r.status.value, since[r.name], r.evidence[:16] + "…") for r in releases]
    output.table(("node", "version", "status", "published", "evidence"), rows)
    output.data({"releases": [_data(release) | {"published": since[release.name]} for release in releases]})
    return Status.HELD


@registry_app.command("show")
def show(
    name: Annotated[str, typer.Argument(metavar="NODE@VERSION")],
    registry: RegistryPath = DEFAULT,
    as_json: Json = False,
) -> int:
    """Everything the registry holds about one release."""
    from certify.cli.output import Output
    from certify.registry.registry import Registry

    output = Output(as_json=as_json)
    with Registry.open(registry) as opened:
        shown = opened.show(name)
        report = shown.published.artefacts.get("report")
        page = opened.blob_path(report) if report else None
    published = shown.published
    rows = [
        ("status", f"{shown.release.status}"),
        ("published", published.at),
        ("subject", published.subject),
        ("evidence", published.evidence),
        ("signed by", f"key {published.signer.key_id}"),
        ("log entry", f"{shown.receipt.entry} of {shown.receipt.size}, leaf {shown.receipt.leaf.hex()[:16]}…"),
    ]
    if page is not None:
        rows.append(("report", str(page)))
    output.table(("", name), rows)
    output.table(("check", "verdict"), sorted(published.verdicts.items()))
    output.data(
        {
            "release": _data(shown.release),
            "published": _data(published),
            "decisions": [_data(record.entry) for record in shown.decisions],
            "receipt": shown.receipt.to_data(),
            "report": str(page) if page else None,
        }
    )
    return Status.HELD


@registry_app.command("verify-log")
def verify_log(
    registry: RegistryPath = DEFAULT,
    checkpoint: Annotated[
        Path | None, typer.Option("--checkpoint", help="A checkpoint kept elsewhere, which the log must extend.")
    ] = None,
    save: Annotated[Path | None, typer.Option("--save", help="Write the newest checkpoint to this file.")] = None,
    as_json: Json = False,
) -> int:
    """Compute everything again from the raw storage: entries, blobs, signatures, tables, tree and checkpoints."""
    from certify.cli.output import Output
    from certify.registry import verification

    output = Output(as_json=as_json)
    remembered = checkpoint.read_text(encoding="utf-8") if checkpoint else None
    report = verification.verify_log(registry, remembered=remembered)
    output.diagnostics(report.diagnostics)
    output.say(
        f"{report.entries} entries, {report.blobs} blobs, {report.signatures} signatures: "
        + ("all hold" if report.holds else "the log does not hold"),
        "green" if report.holds else "bold red",
    )
    if save is not None and report.holds:
        save.write_text(report.checkpoint, encoding="utf-8")
    output.data(report.to_data())
    return Status.HELD if report.holds else Status.REFUSED


def _data(value: Any) -> dict[str, Any]:
    """A release or an entry of the log as data; keys of signers by their id."""
    data = {field.name: getattr(value, field.name) for field in fields(value)}
    signer = data.pop("signer", None)
    shown: dict[str, Any] = plain(data)
    return shown | ({"signer": signer.key_id} if signer is not None else {})
