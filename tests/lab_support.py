"""Helps tests that need the laboratory: nodes written to a folder, and a laboratory opened on them."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from certify.laboratory.laboratory import Laboratory, Limits
from certify.subject import NodeFolder, read_subject

MANIFEST = """
schema = 1

[node]
id = "specimen"
version = "1.0.0"
entry = "node:node"
effects = "{effects}"
determinism = "{determinism}"
{node}

[budget]
wall = "1s"
cpu = "1s"
memory = "128MiB"
{budget}

{rest}

[[fixture]]
name = "one"
input = "one.json"
"""


def write_node(
    folder: Path,
    code: str,
    value: Any,
    *,
    effects: str = "pure",
    determinism: str = "strict",
    node: str = "",
    budget: str = "",
    rest: str = "",
    files: Mapping[str, str] | None = None,
) -> Path:
    """Write a node with one fixture into a folder; gives the manifest's path."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "node.py").write_text(textwrap.dedent(code), encoding="utf-8")
    (folder / "one.json").write_text(json.dumps(value), encoding="utf-8")
    for name, content in (files or {}).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(textwrap.dedent(content), encoding="utf-8")
    manifest = folder / "node.toml"
    manifest.write_text(
        MANIFEST.format(effects=effects, determinism=determinism, node=node, budget=budget, rest=rest), encoding="utf-8"
    )
    return manifest


@contextmanager
def opened(
    manifest: Path, *, limits: Limits | None = None, jobs: int = 1, rehearsed: bool = False
) -> Iterator[tuple[NodeFolder, Laboratory]]:
    """The node's folder, and a laboratory on it; one job, since tests themselves run side by side."""
    folder = read_subject(manifest)
    rehearsal = folder.rehearsal if rehearsed else None
    with Laboratory(folder.subject, limits=limits, jobs=jobs, rehearsal=rehearsal) as laboratory:
        yield folder, laboratory
