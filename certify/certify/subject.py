"""The subject of a certification: a manifest, and the bytes of the node's own files.

Rules this module keeps:

- the files of a subject are those that decide what the node does, or prove it: the manifest, its fixtures, its proof
  bundles, and every module of its folder that the entry point, a simulator or a declared type may import
  (`certify.manifest.closure`);
- a file is read once, and its digest is that of the bytes read;
- the digest of a subject depends on its files' names and bytes alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from certify import codec
from certify.manifest import loader, rules
from certify.manifest.closure import closure
from certify.manifest.files import MAX_FIXTURE_BYTES, Refused, inside, read_inside
from certify.manifest.model import Manifest
from certify_spec.diagnostics import Diagnostic, Place, RequestError

MAX_FILES: Final = 2_000
"""A node has at most so many files of its own."""
MAX_FILE_BYTES: Final = 16 * 2**20
"""One of its files is at most so large."""
MAX_TOTAL_BYTES: Final = 64 * 2**20
"""All of them together are at most so large."""


@dataclass(frozen=True, slots=True)
class Signature:
    """What the node's entry point looks like from outside, as the laboratory found it.

    Attributes:
        input_schema: JSON Schema (draft 2020-12) of the input.
        output_schema: JSON Schema of the output.
        parameters: parameter names that make up the input; one means that the input is that value, several that it is a
            map by name.
        context: the parameter that takes the context, if any.
        is_async: whether the entry point is a coroutine function.
        modules: modules, other than the node's own, that importing the node imported.
        line: line of the `def` in its file.
        file: the file, relative to the manifest's folder.
    """

    input_schema: Mapping[str, object]
    output_schema: Mapping[str, object]
    parameters: tuple[str, ...]
    context: str | None
    is_async: bool
    modules: tuple[str, ...]
    file: str
    line: int


@dataclass(frozen=True, slots=True)
class Subject:
    """A node under certification.

    Attributes:
        manifest: its `node.toml`, read and checked.
        root: the folder of the manifest; every path in findings is relative to it.
        manifest_file: name of the manifest's file within `root`.
        files: BLAKE3 digest (hex) of each of the node's files by path relative to `root`: the node's own Python
            modules, its fixtures and the manifest itself.
        digest: BLAKE3 digest (hex) of the canonical map of `files`: the subject's content address.
    """

    manifest: Manifest
    root: Path
    manifest_file: str
    files: Mapping[str, str]
    digest: str

    @property
    def name(self) -> str:
        """``id@version``."""
        return f"{self.manifest.node.id}@{self.manifest.node.version}"


@dataclass(frozen=True, slots=True)
class NodeFolder:
    """A subject, with the bytes of its fixtures.

    Attributes:
        subject: the node.
        inputs: the input of each fixture as JSON text, by the fixture's name, in the manifest's order.
        expected: the expected output of each fixture that has one, by the fixture's name.
        content: the bytes of each of `subject.files`, by path: what the digests are of.
    """

    subject: Subject
    inputs: Mapping[str, bytes]
    expected: Mapping[str, bytes]
    content: Mapping[str, bytes]

    @property
    def rehearsal(self) -> bytes | None:
        """The input with which a laboratory calls the node before anything counts: the first fixture's."""
        return next(iter(self.inputs.values()), None)


def read_subject(path: Path) -> NodeFolder:
    """Read a node's manifest and its own files.

    Args:
        path: the `node.toml`; its folder is the node's.

    Raises:
        RequestError: the manifest is wrong, or one of the files leaves the folder, cannot be read, or is too large.
    """
    content = loader.read(path)
    manifest = loader.parse(content, path)
    root = path.parent
    reader = _Reader(root, path, content)
    inputs = {fixture.name: reader.read(fixture.input, MAX_FIXTURE_BYTES) for fixture in manifest.fixture}
    expected = {
        fixture.name: reader.read(fixture.output, MAX_FIXTURE_BYTES)
        for fixture in manifest.fixture
        if fixture.output is not None
    }
    for name in (*manifest.node.files, *(proof.file for proof in manifest.proof)):
        reader.read(name, MAX_FILE_BYTES)
    try:
        closure(manifest, root, lambda name: reader.read(name, MAX_FILE_BYTES))
    except Refused as refused:
        raise reader.refusal(refused) from None
    files = {name: codec.address(content) for name, content in sorted(reader.content.items())}
    subject = Subject(manifest, root, path.name, files, subject_digest(files))
    return NodeFolder(subject, inputs, expected, dict(sorted(reader.content.items())))


def subject_digest(files: Mapping[str, str]) -> str:
    """The content address of a subject: that of the canonical map from each file's path to its digest."""
    return codec.address(codec.encode(dict(files)))


class _Reader:
    """Reads files of the folder, each once, and counts them."""

    def __init__(self, root: Path, manifest: Path, content: bytes) -> None:
        self.root = root
        self.manifest = manifest
        self.content = {manifest.name: content}
        self.total = len(content)
        try:
            inside(root, manifest.name)
            _demand_writable(manifest.name)
        except Refused as refused:
            raise self.refusal(refused) from None

    def read(self, name: str, limit: int) -> bytes:
        name = Path(name).as_posix()
        if name in self.content:
            return self.content[name]
        try:
            content = self._new(name, limit)
        except Refused as refused:
            raise self.refusal(refused) from None
        self.total += len(content)
        self.content[name] = content
        return content

    def _new(self, name: str, limit: int) -> bytes:
        _demand_writable(name)
        if len(self.content) >= MAX_FILES:
            fix = "move what is not the node's own out of its folder"
            raise Refused(rules.TOO_MUCH, f"the node has more than {MAX_FILES} files", fix)
        left = MAX_TOTAL_BYTES - self.total
        if left < limit:
            return self._last(name, left)
        return read_inside(self.root, name, limit)

    def _last(self, name: str, left: int) -> bytes:
        """A file that may be the one too many."""
        try:
            return read_inside(self.root, name, left)
        except Refused as refused:
            if refused.rule is not rules.TOO_MUCH:
                raise
            message = f"the node's own files have more than {MAX_TOTAL_BYTES} bytes together, {name} included"
            raise Refused(rules.TOO_MUCH, message, "move data out of the node's folder") from None

    def refusal(self, refused: Refused) -> RequestError:
        place = Place(str(self.manifest), 1, 1)
        return RequestError(Diagnostic(refused.rule, refused.message, place, fix=refused.fix))


def _demand_writable(name: str) -> None:
    try:
        codec.encode(name)
    except codec.EncodingError as error:
        message = f"the name of the file {name!a} cannot be written down: {error.reason}"
        raise Refused(rules.FILE_NAME, message, "rename the file") from None
