"""The subject of a certification: a manifest, and the bytes of the node's own files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from certify.manifest.model import Manifest


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
        files: BLAKE3 digest (hex) of each of the node's files by path relative to `root`: the node's own Python modules, its fixtures and
            the manifest itself.
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
