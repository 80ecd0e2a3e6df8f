"""Behind `init`: a manifest and an example input from a function's signature."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from certify import codec
from certify.cli.output import Output
from certify.cli.status import Status
from certify.laboratory.laboratory import Laboratory
from certify.manifest.closure import closure
from certify.manifest.example import NoExample, example_input
from certify.manifest.example import as_json as example_text
from certify.manifest.files import Refused, read_inside
from certify.manifest.model import Manifest
from certify.manifest.scaffold import FIXTURE, scaffold
from certify.subject import MAX_FILE_BYTES, Subject, subject_digest
from certify_spec.diagnostics import Diagnostic, Place, RequestError, Rule

CLI006 = Rule("CLI006", "A file is there already.", "Move it away first: init never overwrites.")
CLI007 = Rule("CLI007", "The entry point is not written as module:function.", "Write payments.charge:handle.")

_NAME = "node.toml"


def write(entry: str, folder: Path, *, as_json: bool) -> int:
    """Write `node.toml` and its fixture; both or neither.

    Raises:
        RequestError: the entry point cannot be used, or a file is there already.
    """
    _demand_entry(entry)
    manifest_path, fixture_path = folder / _NAME, folder / FIXTURE
    for path in (manifest_path, fixture_path):
        if path.exists():
            raise RequestError(Diagnostic(CLI006, f"{path} is there already", Place(str(path)), fix=CLI006.advice))
    with _subject(entry, folder) as laboratory:
        signature = laboratory.signature()
    try:
        fixture = example_text(example_input(signature.input_schema))
    except NoExample as error:
        raise RequestError(
            Diagnostic(CLI007, f"no example input can be made: {error}", Place(signature.file, signature.line))
        ) from None
    text = scaffold(entry, signature)
    fixture_path.parent.mkdir(parents=True, exist_ok=True)
    fixture_path.write_text(fixture, encoding="utf-8")
    try:
        manifest_path.write_text(text, encoding="utf-8")
    except OSError:
        fixture_path.unlink(missing_ok=True)
        raise
    output = Output(as_json=as_json)
    output.say(f"wrote {manifest_path} and {fixture_path}", "green")
    output.say("look at every line marked as a guess, then run: certify check " + str(manifest_path))
    output.data({"manifest": str(manifest_path), "fixture": str(fixture_path)})
    return Status.HELD


def _demand_entry(entry: str) -> None:
    module, separator, function = entry.partition(":")
    if not separator or not function.isidentifier() or not all(part.isidentifier() for part in module.split(".")):
        raise RequestError(Diagnostic(CLI007, f"{entry!r} is not of the form module:function", fix=CLI007.advice))


@contextlib.contextmanager
def _subject(entry: str, folder: Path) -> Iterator[Laboratory]:
    """A laboratory for a function that has no manifest yet."""
    manifest = Manifest.model_validate(
        {
            "schema": 1,
            "node": {
                "id": "scaffold",
                "version": "0.0.0",
                "entry": entry,
                "effects": "pure",
                "determinism": "best_effort",
            },
            "budget": {"wall": "10s", "cpu": "10s", "memory": "1GiB"},
            "fixture": [{"name": "none", "input": "none.json"}],
        }
    )
    files: dict[str, str] = {}

    def read(name: str) -> bytes:
        content = read_inside(folder, name, MAX_FILE_BYTES)
        files[name] = codec.address(content)
        return content

    try:
        closure(manifest, folder, read)
    except Refused as refused:
        raise RequestError(Diagnostic(refused.rule, refused.message, Place(str(folder)), fix=refused.fix)) from None
    if not files:
        raise RequestError(
            Diagnostic(CLI007, f"{folder.absolute()} has no module for {entry!r}", fix="name the folder with --folder")
        )
    subject = Subject(manifest, folder, _NAME, files, subject_digest(files))
    with Laboratory(subject, jobs=1) as laboratory:
        yield laboratory
