"""`certify registry`: what is in it, what people decide about it, and whether its log still tells the truth."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any

import typer

from certify.cli import registries
from certify.cli.status import Status

registry_app = typer.Typer(help="The registry.", no_args_is_help=True)

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on standard output.")]
RegistryPath = registries.Place
KeyPath = Annotated[Path | None, typer.Option("--key", help="The signing key's file or folder.")]
Name = Annotated[str, typer.Argument(metavar="NODE@VERSION")]
Reason = Annotated[str, typer.Option("--reason", help="Why.")]
DEFAULT = registries.DEFAULT


def _minute(at: str) -> str:
    """A time as a table shows it."""
    return f"{at[:10]} {at[11:16]} UTC"


@registry_app.command("list")
def list_(registry: RegistryPath = DEFAULT, as_json: Json = False) -> int:
    """The nodes in the registry, with their releases."""
    from certify.cli.output import Output

    output = Output(as_json=as_json)
    with registries.opened(registry) as opened:
        found = opened.listed()
    releases, since = [release for release, _ in found], {release.name: at for release, at in found}
    rows = [(r.node, r.release, r.status.value, _minute(since[r.name]), r.evidence[:16] + "…") for r in releases]
    output.table(("node", "version", "status", "published", "evidence"), rows)
    output.data({"releases": [_data(release) | {"published": since[release.name]} for release in releases]})
    return Status.HELD


@registry_app.command("show")
def show(
    name: Name,
    registry: RegistryPath = DEFAULT,
    as_json: Json = False,
) -> int:
    """Everything the registry holds about one release."""
    from certify.cli import waiving
    from certify.cli.output import Output
    from certify.times import system_clock

    output, now = Output(as_json=as_json), system_clock()
    with registries.opened(registry) as opened:
        shown = opened.show(name)
        report = shown.published.artefacts.get("report")
        page = opened.where(report) if report else None
        relied_on = [w for w in opened.waivers(shown.release.node) if w.id in shown.published.blobs]
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
        rows.append(("report", page))
    output.table(("", name), rows)
    output.table(("check", "verdict"), sorted(published.verdicts.items()))
    waiving.lines(output, relied_on, now)
    output.data(
        {
            "release": _data(shown.release),
            "published": _data(published),
            "decisions": [_data(record.entry) for record in shown.decisions],
            "waivers": [waiving.data(stored, now) for stored in relied_on],
            "receipt": shown.receipt.to_data(),
            "report": page,
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
    verifier: Annotated[str, typer.Option("--verifier", help="The registry's key, known from elsewhere.")] = "",
    as_json: Json = False,
) -> int:
    """Compute everything again from the raw storage: entries, blobs, signatures, tables, tree and checkpoints.

    Of a service, all that its log speaks of is downloaded first, and verified here.
    """
    from certify.cli.output import Output
    from certify.registry import verification
    from certify.registry.checkpoint import CheckpointError, Verifier
    from certify.registry.errors import MALFORMED, wrong

    output = Output(as_json=as_json)
    remembered = checkpoint.read_text(encoding="utf-8") if checkpoint else None
    try:
        key = Verifier.from_text(verifier) if verifier else None
    except CheckpointError as error:
        raise wrong(MALFORMED, "--verifier is no key of a registry", because=str(error)) from None
    if registries.is_remote(registry):
        from certify.service import downloads
        from certify.service.client import RemoteRegistry

        with RemoteRegistry(registry) as remote:
            report = downloads.verify(remote, remembered=remembered, verifier=key)
    else:
        report = verification.verify_log(registries.folder(registry), remembered=remembered, verifier=key)
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


@registry_app.command("waive")
def waive(
    node: Annotated[str, typer.Argument(metavar="NODE", help="The node's id, without a version.")],
    code: Annotated[str, typer.Option("--code", help="Code of the finding, such as POL112.")],
    reason: Reason,
    owner: Annotated[str, typer.Option("--owner", help="Who answers for it.")],
    expires: Annotated[
        str, typer.Option("--expires", help="When it ends: the start of a day in UTC, or a moment; at most 366 days.")
    ],
    versions: Annotated[
        list[str] | None,
        typer.Option("--versions", help='The versions: ">=1.0.0,<2.0.0", 1.2.* or 1.2.3; may be repeated.'),
    ] = None,
    subject: Annotated[str, typer.Option("--subject", help="Or: the digest of the one subject.")] = "",
    place: Annotated[str, typer.Option("--place", metavar="FILE[:LINE]", help="Only for a finding there.")] = "",
    about: Annotated[str, typer.Option("--about", help="Only for a finding about this, as its data says.")] = "",
    registry: RegistryPath = DEFAULT,
    key: KeyPath = None,
    as_json: Json = False,
) -> int:
    """Sign a waiver of one finding and enter it in the log."""
    from certify.cli import waiving

    asked = waiving.Asked(node, code, reason, owner, expires, tuple(versions or ()), subject, place, about)
    return waiving.waive(asked, registry, key, as_json=as_json)


@registry_app.command("waivers")
def waivers(
    node: Annotated[str | None, typer.Argument(metavar="[NODE]", help="The node's id.")] = None,
    registry: RegistryPath = DEFAULT,
    as_json: Json = False,
) -> int:
    """The waivers, and whether each is valid, expired or not yet valid."""
    from certify.cli import waiving

    return waiving.show(node, registry, as_json=as_json)


@registry_app.command("approve")
def approve(
    name: Name, reason: Reason, registry: RegistryPath = DEFAULT, key: KeyPath = None, as_json: Json = False
) -> int:
    """Approve a release, with another key than the one that signed its evidence."""
    from certify.cli import waiving
    from certify.registry.entries import Status as Standing

    return waiving.decide(name, Standing.APPROVED, reason, registry, key, as_json=as_json)


@registry_app.command("reject")
def reject(
    name: Name, reason: Reason, registry: RegistryPath = DEFAULT, key: KeyPath = None, as_json: Json = False
) -> int:
    """Reject a release."""
    from certify.cli import waiving
    from certify.registry.entries import Status as Standing

    return waiving.decide(name, Standing.REJECTED, reason, registry, key, as_json=as_json)


@registry_app.command("diff")
def diff(
    old: Annotated[str, typer.Argument(metavar="NODE@A")],
    new: Annotated[str, typer.Argument(metavar="NODE@B")],
    registry: RegistryPath = DEFAULT,
    as_json: Json = False,
) -> int:
    """What changed between two releases: files, manifest, verdicts, findings, components and policy."""
    from certify.cli.output import Output
    from certify.evidence.bundle import Evidence
    from certify.registry import differences
    from certify.registry.errors import MALFORMED, wrong
    from certify.registry.registry import split_name

    output = Output(as_json=as_json)
    if split_name(old)[0] != split_name(new)[0]:
        raise wrong(MALFORMED, f"{old} and {new} are releases of different nodes", fix="name two releases of one node")
    with registries.opened(registry) as opened:
        before, after = (Evidence.decode(opened.blob(opened.show(name).release.evidence)) for name in (old, new))
        found = differences.compare(before, after, opened.blob)
    for section, changes in found.items():
        if changes:
            rows = [(c.kind, visible(c.name), shown(c.before), shown(c.after)) for c in changes]
            output.table(("", section, old.partition("@")[2], new.partition("@")[2]), rows)
    if not any(found.values()):
        output.say(f"nothing changed between {old} and {new}")
    sections = {section: [change.to_data() for change in changes] for section, changes in found.items()}
    output.data({"old": old, "new": new, "differences": sections})
    return Status.HELD


def shown(value: Any) -> str:
    """A value of a comparison, short enough for a table; nothing for what is not there."""
    if value is None:
        return ""
    text = visible(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True))
    return text if len(text) <= 80 else f"{text[:77]}…"


def visible(text: str) -> str:
    """The text with characters that steer a terminal, or cannot be seen, written as escapes."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def _data(value: Any) -> dict[str, Any]:
    """A release or an entry of the log as data; keys of signers by their id."""
    from certify.laboratory.archive import plain

    data = {field.name: getattr(value, field.name) for field in fields(value)}
    signer = data.pop("signer", None)
    shown: dict[str, Any] = plain(data)
    return shown | ({"signer": signer.key_id} if signer is not None else {})


def _add_service() -> None:
    from certify.cli import keeping, serving

    serving.register(registry_app)
    keeping.register(registry_app)


_add_service()
