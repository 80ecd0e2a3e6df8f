"""Which installed distribution a module comes from, and what that distribution needs.

Rules this module keeps:

- nothing is imported to find out where it comes from: the distributions' own records are read;
- of two installations of one distribution, the one that Python would import counts;
- names are compared in their normalised form (PEP 503).
"""

from __future__ import annotations

import base64
import binascii
import csv
import functools
import hashlib
import json
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from email.message import Message
from email.parser import HeaderParser
from importlib import metadata
from importlib.machinery import EXTENSION_SUFFIXES, PathFinder
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import NormalizedName, canonicalize_name

_SUFFIXES: Final = (".py", *EXTENSION_SUFFIXES, ".pyc")


@dataclass(frozen=True, slots=True)
class InstalledFile:
    """A file of a distribution.

    Attributes:
        path: as the distribution's RECORD writes it.
        recorded: the SHA-256 digest (hex) that RECORD gives; empty when it gives none.
        found: the SHA-256 digest (hex) of the file as it is now; empty when it is not there.
    """

    path: str
    recorded: str
    found: str


@dataclass(frozen=True, slots=True)
class Distribution:
    """An installed distribution, by its normalised name; `requires` are the texts of what it says it requires."""

    name: NormalizedName
    version: str
    licence: str
    requires: tuple[str, ...]
    source: metadata.Distribution = field(repr=False, compare=False)

    @property
    def requirements(self) -> Iterator[Requirement]:
        """What it says it requires; what is no requirement by PEP 508 is left out."""
        return (requirement for text in self.requires if (requirement := _requirement(text)) is not None)

    @property
    def editable_folder(self) -> Path | None:
        """The folder of an editable installation."""
        try:
            described = json.loads(self.source.read_text("direct_url.json") or "{}")
            editable = described["dir_info"]["editable"]
            url = urlsplit(described["url"])
        except (ValueError, KeyError, TypeError):
            return None
        return Path(unquote(url.path)) if editable is True and url.scheme == "file" else None

    def file_of(self, module: str) -> InstalledFile | None:
        """The file that holds the module, with its digests; None when the distribution lists none."""
        stem = module.replace(".", "/")
        wanted = {f"{base}{suffix}" for base in (stem, f"{stem}/__init__") for suffix in _SUFFIXES}
        for path in self.source.files or ():
            if str(path) in wanted:
                return InstalledFile(str(path), _recorded(path), _found(Path(str(self.source.locate_file(path)))))
        return None


class Installed:
    """The distributions on a module search path; by default on this interpreter's own."""

    def __init__(self, path: Iterable[str] | None = None) -> None:
        self._path = list(sys.path if path is None else path)
        self._by_name: dict[NormalizedName, Distribution] = {}
        self._by_module: dict[str, list[Distribution]] = {}
        for source in metadata.distributions(path=self._path):
            found = _read_distribution(source)
            if found is not None and found.name not in self._by_name:
                self._add(found)

    def _add(self, distribution: Distribution) -> None:
        self._by_name[distribution.name] = distribution
        for name in _top_level_names(distribution.source):
            self._by_module.setdefault(name, []).append(distribution)

    def named(self, name: str) -> Distribution | None:
        """The distribution of that name."""
        return self._by_name.get(canonicalize_name(name))

    def providing(self, module: str) -> tuple[Distribution, ...]:
        """The distributions that the module comes from: none, one, or those that share a namespace package."""
        candidates = self._by_module.get(module.partition(".")[0], [])
        if len(candidates) > 1:
            candidates = [one for one in candidates if one.file_of(module)] or candidates
        return tuple(candidates) or self._editable(module)

    def closure(
        self, names: Iterable[str], extras: Mapping[str, frozenset[str]] | None = None
    ) -> dict[str, Distribution]:
        """The named distributions that are installed, and all that they require here, by normalised name.

        Args:
            names: where to start.
            extras: the extras that are asked of the named distributions, by normalised name.
        """
        found: dict[str, Distribution] = {}
        asked = {canonicalize_name(name): frozenset(extra) for name, extra in (extras or {}).items()}
        open_names: list[tuple[NormalizedName, frozenset[str]]] = [
            (canonicalize_name(name), asked.get(canonicalize_name(name), frozenset())) for name in names
        ]
        seen: set[tuple[NormalizedName, frozenset[str]]] = set()
        while open_names:
            step = open_names.pop()
            distribution = self._by_name.get(step[0])
            if step in seen or distribution is None:
                continue
            seen.add(step)
            found[step[0]] = distribution
            open_names += self.required_by(distribution, step[1])
        return found

    def required_by(
        self, distribution: Distribution, extras: frozenset[str] = frozenset()
    ) -> list[tuple[NormalizedName, frozenset[str]]]:
        """The installed distributions that this one requires here directly, each with the extras asked of it."""
        needed = []
        for requirement in distribution.requirements:
            name = canonicalize_name(requirement.name)
            if name in self._by_name and applies(requirement, extras):
                needed.append((name, frozenset(requirement.extras)))
        return needed

    def _editable(self, module: str) -> tuple[Distribution, ...]:
        """An editable installation lists no modules: look where the module would be found."""
        spec = PathFinder.find_spec(module.partition(".")[0], self._path)
        if spec is None:
            return ()
        places = [Path(place) for place in (spec.origin, *(spec.submodule_search_locations or ())) if place]
        return tuple(
            one
            for one in self._by_name.values()
            if (folder := one.editable_folder) and any(_is_source(place, folder) for place in places)
        )


def here() -> Installed:
    """The distributions of this interpreter, read once for as long as nothing is installed or removed."""
    return _read(tuple((folder, _changed(folder)) for folder in sys.path))


@functools.lru_cache(maxsize=1)
def _read(path: tuple[tuple[str, int], ...]) -> Installed:
    return Installed(folder for folder, _changed in path)


def _changed(folder: str) -> int:
    try:
        return os.stat(folder or ".").st_mtime_ns  # noqa: PTH116 - an empty entry is the working folder, as for import
    except OSError:
        return 0


def _read_distribution(source: metadata.Distribution) -> Distribution | None:
    """The distribution, from the headers of its METADATA: the description below them is most of the file."""
    text = source.read_text("METADATA")
    described = source.metadata if text is None else HeaderParser().parsestr(text.partition("\n\n")[0])
    name = described["Name"]
    if not name:
        return None
    required = source.requires if text is None else described.get_all("Requires-Dist")
    return Distribution(
        canonicalize_name(name), described["Version"] or "", _licence(described), tuple(required or ()), source
    )


@functools.cache
def _requirement(text: str) -> Requirement | None:
    try:
        return Requirement(text)
    except InvalidRequirement:
        return None


def _is_source(place: Path, folder: Path) -> bool:
    """Whether the place belongs to the folder's own sources, and not to an environment inside it."""
    return place.is_relative_to(folder) and "site-packages" not in place.relative_to(folder).parts


def applies(requirement: Requirement, extras: frozenset[str] = frozenset()) -> bool:
    """Whether the requirement's marker holds here, with one of the extras or with none."""
    marker = requirement.marker
    return marker is None or any(marker.evaluate({"extra": extra}) for extra in (*sorted(extras), ""))


def _top_level_names(source: metadata.Distribution) -> set[str]:
    names = set((source.read_text("top_level.txt") or "").split())
    for path in _listed(source):
        first, inner, _rest = path.partition("/")
        if inner and path.endswith((".py", ".pyc", ".so")) and first.isidentifier():
            names.add(first)
        elif not inner and path.endswith(_SUFFIXES):
            names.add(path.partition(".")[0])
    return names


def _listed(source: metadata.Distribution) -> Iterator[str]:
    """The paths that the distribution's record lists. Read as text: making a path of each takes ten times as long."""
    record = source.read_text("RECORD")
    if record is None:
        return map(str, source.files or ())
    return (row[0] for row in csv.reader(record.splitlines()) if row)


def _recorded(path: metadata.PackagePath) -> str:
    if path.hash is None or path.hash.mode != "sha256":
        return ""
    try:
        return base64.urlsafe_b64decode(path.hash.value + "=" * (-len(path.hash.value) % 4)).hex()
    except (binascii.Error, ValueError):
        return ""


def _found(file: Path) -> str:
    try:
        return hashlib.sha256(file.read_bytes()).hexdigest()
    except OSError:
        return ""


def _licence(described: metadata.PackageMetadata | Message) -> str:
    """The licence: the SPDX expression, or the classifiers, or the first line of free text."""
    fields: dict[str, list[str]] = {
        name: described.get_all(name) or [] for name in ("License-Expression", "Classifier", "License")
    }
    if fields["License-Expression"]:
        return fields["License-Expression"][0]
    classifiers = [text.rpartition(" :: ")[2] for text in fields["Classifier"] if text.startswith("License ::")]
    if classifiers:
        return ", ".join(sorted(classifiers))
    lines = fields["License"][0].strip().splitlines() if fields["License"] else []
    return lines[0].strip()[:120] if lines else ""
